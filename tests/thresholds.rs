//! Limits that a run is given: how many documents may be left out or have findings, how long it should take.

mod harness;

use harness::World;
use harness::shop::world;

/// Transforms the shop's dump with these options.
fn transform(world: &World, options: &[&str]) -> harness::Run {
    let line = ["transform", "dump", "out", "--mapping", "shop.toml", "--force"];
    world.run_inside(line.iter().chain(options).copied())
}

#[test]
fn too_many_documents_with_findings_are_refused() {
    let world = world();
    for limit in ["1", "0", "33.3%", "0%"] {
        transform(&world, &["--max-finding-docs", limit]).exits(1).complains(&world, &format!(
            "mongosplit: 'dump/shop/old.bson': 2 of the 3 documents of shop.old have findings, 66.67%; --max-finding-docs {limit} was given. Nothing was published"
        ));
        assert!(!world.path("out").exists());
    }
    for limit in ["2", "66.7%", "100%"] {
        let run = transform(&world, &["--max-finding-docs", limit, "--json"]).exits(0);
        assert!(run.stdout.contains("\"finding_documents\": 2"), "{run}");
    }
}

#[test]
fn too_many_rejected_documents_are_refused() {
    let world = world();
    let mut documents = std::fs::read(world.path("dump/shop/old.bson")).expect("the dump");
    documents.extend_from_within(..);
    std::fs::write(world.path("dump/shop/old.bson"), documents).expect("the dump");
    let skip = "--skip-unrestorable";
    transform(&world, &[skip, "--max-rejected", "0"]).exits(1).complains(
        &world,
        "mongosplit: 'dump/shop/old.bson': 1 of the 6 documents of shop.old were set aside, 16.67%; --max-rejected 0 was given. Nothing was published",
    );
    assert!(!world.path("out").exists());
    transform(&world, &[skip, "--max-rejected", "16.7%"]).exits(0);
    let run = transform(&world, &["--max-rejected", "1"]).exits(2);
    assert!(run.stderr.contains(skip), "{run}");
}

#[test]
fn limits_that_mean_nothing_are_refused() {
    let world = world();
    for limit in ["1,000", "-1", "", "%", "101%", "NaN%", "1 %", "0.5"] {
        let run = transform(&world, &[&format!("--max-finding-docs={limit}")]).exits(2);
        let what = "write a number of documents, as in 10, or a share, as in 0.1%";
        assert!(run.stderr.contains(what), "{run}");
    }
    let run = transform(&world, &["--expect-duration", "soon"]).exits(2);
    assert!(run.stderr.contains("--expect-duration <TIME>"), "{run}");
}

#[test]
fn a_run_that_takes_too_long_is_only_warned_of() {
    let world = world();
    let run = transform(&world, &["--expect-duration", "1ns", "--log-file", "log"]).exits(0);
    let warning = "warning: this took ";
    assert!(run.stderr.contains(warning), "{run}");
    let log = std::fs::read_to_string(world.path("log")).expect("the log");
    assert!(log.contains(warning), "{log}");
    let run = transform(&world, &["--expect-duration", "99h"]).exits(0);
    assert!(!run.stderr.contains(warning), "{run}");
}
