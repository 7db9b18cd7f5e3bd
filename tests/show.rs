//! `show` and `findings`: what they say of an output's documents, and of outputs that cannot be trusted.

mod harness;

use std::fs;

use harness::World;
use harness::shop::world;
use serde_json::Value;

/// The shop, split. Its first document is there once more as the last, which was left out.
fn split() -> World {
    let world = world();
    let mut documents = fs::read(world.path("dump/shop/old.bson")).expect("the dump");
    let first = documents[..4].try_into().map(u32::from_le_bytes).expect("a length") as usize;
    documents.extend_from_within(..first);
    fs::write(world.path("dump/shop/old.bson"), documents).expect("the dump");
    let line = ["transform", "dump", "out", "--mapping", "shop.toml", "--skip-unrestorable"];
    world.run_inside(line.into_iter().chain(["--details", "left.ndjson"])).exits(0);
    world
}

fn lines(world: &World, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(world.path(name)).expect("the details");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_document_of_an_output_is_shown() {
    let world = split();
    let show = |id: &str| world.run_inside(["show", "out", "--id", id]);
    let explain =
        |id: &str| world.run_inside(["mapping", "explain", "shop.toml", "dump", "--id", id]);
    for id in ["two", "'two'", "\"two\""] {
        let shown = show(id).exits(0).stdout;
        let (position, shown) = shown.split_once('\n').expect("lines");
        assert_eq!(position, "'shop.old': document 2, byte offset 256, _id 'two'");
        let explained = explain(id).exits(0).stdout;
        assert_eq!(explained.split_once('\n').expect("lines").1, shown);
    }
    // By what it has become: an order.
    let order = show("2").exits(0).stdout;
    assert!(order.starts_with("'shop.old': document 1,") && order.contains("Mill Lane"), "{order}");
    // Two source documents have this one. The second was left out.
    let both = show("070707070707070707070707").exits(0).stdout;
    let (first, second) = both.split_once("\n'shop.old': document 4,").expect("two documents");
    assert!(first.contains("\norders: 2 documents\n"), "{both}");
    assert!(second.contains("\npeople: no document\n"), "{both}");
    let json = world.run_inside(["show", "out", "--id", "3", "--json"]).exits(0).report();
    assert_eq!(json["result"]["documents"][0]["after"][0]["collection"], "people");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let world = split();
    world.run_inside(["show", "out", "--id", "4"]).exits(1).complains(
        &world,
        "mongosplit: 'out' has no document with the _id 4, neither of its source nor in its collections; write it as messages show it, or as Extended JSON",
    );
    world
        .run_inside(["show", "out", "--id", "3", "--db", "other"])
        .exits(2)
        .complains(&world, "mongosplit: --db other: 'out' was made from shop.old");
    world.run_inside(["show", "dump", "--id", "3"]).exits(1).complains(
        &world,
        "mongosplit: 'dump' has no manifest.json: it is not an output of mongosplit, or an unfinished one",
    );
    world.run_inside(["reverse", "out", "back"]).exits(0);
    for line in [&["show", "back", "--id", "3"][..], &["findings", "back"]] {
        world.run_inside(line.iter().copied()).exits(1).complains(
        &world,
            "mongosplit: 'back' is the result of `reverse`; only an output of `transform` can be reversed",
        );
    }
    let people = world.path("out/shop/people.bson");
    let bytes = fs::read(&people).expect("the people");
    let at = bytes.windows(3).position(|bytes| bytes == b"Ada").expect("a name");
    let mut altered = bytes.clone();
    altered[at] = b'E';
    fs::write(&people, altered).expect("the people");
    for line in [&["show", "out", "--id", "3"][..], &["findings", "out"]] {
        let run = world.run_inside(line.iter().copied()).exits(1);
        let what = "mongosplit: 'out' does not verify, so nothing was written:\n  'shop/people.bson' has SHA-256 ";
        assert!(run.stderr.starts_with(what) && run.stdout.is_empty(), "{run}");
    }
}

#[test]
fn findings_are_listed_with_every_id() {
    let world = split();
    let run = world.run_inside(["findings", "out", "--details", "all.ndjson", "--json"]).exits(0);
    let report = &run.report()["result"];
    let manifest: Value =
        serde_json::from_slice(&fs::read(world.path("out/manifest.json")).expect("the manifest"))
            .expect("JSON");
    let rules = report["sources"][0]["rules"].as_array().expect("rules");
    assert_eq!(report["sources"][0]["rules"], manifest["sources"][0]["findings"]);
    let all = lines(&world, "all.ndjson");
    let counted: u64 = rules.iter().filter_map(|rule| rule["documents"].as_u64()).sum();
    assert!(counted > 3 && all.len() as u64 == counted, "{all:?}");
    assert!(all.iter().all(|line| line["document"] != 4), "{all:?}");
    let run = world.run_inside(["findings", "out", "--max", "0"]).exits(0);
    assert!(run.stdout.starts_with("! Among 4 documents of shop.old, some break "), "{run}");
    assert!(run.stdout.contains("  and 1 more (--max N, or --details FILE for all)\n"), "{run}");
    // What was left out is in transform's own details.
    let left = lines(&world, "left.ndjson");
    let id = "ObjectId('070707070707070707070707')";
    assert_eq!((left.len(), &left[0]["id"], &left[0]["document"]), (1, &id.into(), &4.into()));
    assert_eq!(left[0]["namespace"], "shop.old");
}

/// What was told of documents until a run failed is kept, with the failure behind it.
#[test]
fn details_of_a_failed_run_end_with_the_error() {
    let world = split();
    fs::create_dir(world.path("later")).expect("a directory");
    let line = ["verify", "out", "--restored", "later", "--details", "found.ndjson"];
    world.run_inside(line).exits(3);
    let lines = lines(&world, "found.ndjson");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["exit_code"], 3);
    let both = "--report and --details both name 'x'; use two files";
    let line = ["verify", "out", "--report", "x", "--details", "x"];
    world.run_inside(line).exits(2).complains(&world, &format!("mongosplit: {both}"));
}
