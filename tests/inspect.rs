//! The assessment: what it counts, what it decides, and that it says what a transform will do.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bson::{Bson, Document, doc};
use harness::files::names_in;
use harness::{World, fixture, golden, samples};
use mongosplit::disk::{Disk, IoMode};
use mongosplit::progress::{Progress, Silent};
use mongosplit::{Plan, inspect, transform};
use proptest::prelude::*;
use serde_json::Value;

fn assessed(dump: &Path, threads: usize) -> inspect::Report {
    let mut options = inspect::Options::new(dump);
    options.threads = Some(threads);
    inspect::inspect(&options, &Plan::built_in().expect("a mapping"), &Silent).expect("a report")
}

fn json(report: &impl serde::Serialize) -> Value {
    serde_json::to_value(report).expect("JSON")
}

/// A text without what depends on the disk.
fn steady(text: &str) -> String {
    let at = text.find(" free in").or_else(|| text.find("free in")).expect("a figure");
    let from = text[..at].trim_end().rfind(';').expect("a figure") + 1;
    format!("{} # {}", &text[..from], text[at..].trim_start())
}

#[test]
fn an_assessment_reads_so() {
    let world = World::new();
    // A path of one length wherever the sources are: the lines are broken by it.
    harness::copy(&fixture("dump"), &world.path("dump"));
    let run = |options: &[&str]| {
        let line = ["inspect", "dump", "--threads", "2"];
        let run = world.run_inside(line.iter().chain(options)).exits(0);
        steady(&run.stdout)
    };
    golden("inspect.txt", &format!("{}\n---- with -v\n\n{}", run(&[]), run(&["-v"])));
}

/// It ends with 0 where a transform does, and with what that ends with otherwise.
#[test]
fn go_means_that_a_transform_succeeds() {
    let world = World::new();
    let exceptions = BTreeMap::from([
        // Splits the only file of documents.
        ("killed-dump", "1 1"),
        // Which of the two databases is to be named.
        ("two-databases", "0 2"),
        // There is nothing to split: not a dump of ours, but a dump.
        ("no-source", "1 3"),
        ("metadata-only", "1 3"),
        ("not-a-dump-output", "1 3"),
        ("other-file-named-source", "1 3"),
    ]);
    let mut told = Vec::new();
    for name in names_in(&fixture("odd")) {
        let dump = fixture(&format!("odd/{name}"));
        if !dump.is_dir() {
            continue;
        }
        let code = |command: &str, rest: &[&str]| {
            let line = [command.as_ref(), dump.as_os_str()];
            let run = world.run_inside(line.into_iter().chain(rest.iter().map(AsRef::as_ref)));
            run.code().expect("an exit code")
        };
        let (inspected, transformed) =
            (code("inspect", &["-q"]), code("transform", &["out", "--dry-run", "-q"]));
        let codes = format!("{inspected} {transformed}");
        let expected = exceptions.get(name.as_str()).copied();
        if expected.map_or(inspected != transformed, |expected| expected != codes) {
            told.push(format!("{name}: {codes}"));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// The shape of the dump and the number of threads change nothing.
#[test]
fn the_same_documents_are_assessed_alike() {
    let world = World::new();
    let large = world.generate("large", 40);
    for dumps in [vec![fixture("dump"), fixture("dump-gzip"), fixture("all.archive")], vec![large]]
    {
        let mut first: Option<Value> = None;
        for dump in dumps {
            for threads in [1, 3] {
                let report = assessed(&dump, threads);
                assert!(report.go, "{:?}", report.reasons);
                let sources = json(&report.sources);
                assert_eq!(*first.get_or_insert_with(|| sources.clone()), sources);
            }
        }
    }
}

#[test]
fn what_is_damaged_is_named_and_the_rest_is_read() {
    let world = World::new();
    harness::copy(&fixture("dump"), &world.path("dump"));
    let damage = |name: &str, at: usize| {
        let path = world.path(name);
        let mut bytes = fs::read(&path).expect("a file");
        bytes[at] = 0x7e;
        fs::write(&path, bytes).expect("a file");
    };
    damage("dump/narrative_modeling/user_data.bson", 4);
    damage("dump/narrative_modeling/users.bson", 4);
    let run = world.run_inside(["inspect", "dump"]).exits(3);
    for name in ["user_data", "users"] {
        let what = format!("✗ 'dump/narrative_modeling/{name}.bson': document 1, byte");
        assert!(run.stdout.contains(&what), "{run}");
    }
    assert!(run.stderr.starts_with("mongosplit: 'dump/narrative_modeling/user"), "{run}");
    assert!(run.stdout.starts_with("✗ NO-GO: 'dump' cannot be read"), "{run}");
    assert!(run.stdout.contains("analytics.events                     25"), "{run}");
    // The rest of a collection is read after a document that is not valid.
    let report = assessed(&world.path("dump"), 2);
    let documents: Vec<u64> = report.collections.iter().map(|one| one.documents).collect();
    assert_eq!(documents, [25, 12, 60, 9]);
    assert_eq!(report.sources[0].documents, 59);
    assert!(report.reasons.is_empty(), "{:?}", report.reasons);

    // But not behind a length that cannot be right.
    let path = world.path("dump/narrative_modeling/user_data.bson");
    let mut bytes = fs::read(&path).expect("a file");
    bytes[..4].copy_from_slice(&[0xff; 4]);
    fs::write(&path, bytes).expect("a file");
    let report = assessed(&world.path("dump"), 2);
    assert_eq!((report.exit_code(), report.damages.len()), (3, 2), "{:?}", report.damages);
}

#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Progress for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().expect("a list").push(message.to_owned());
    }
}

#[test]
fn a_disk_without_room_is_no_place() {
    let world = World::new();
    let (dump, plan) = (fixture("dump"), Plan::built_in().expect("a mapping"));
    let disk = |free| Disk::new(IoMode::Buffered).with_free_bytes(free);
    let mut options = inspect::Options::new(&dump);
    options.out = "/backup".into();
    let report =
        |free| inspect::inspect_on(&disk(free), &options, &plan, &Silent).expect("a report");
    let needed = report(u64::MAX).needs.disk.output;
    assert!(report(needed).go);
    let no_go = report(needed - 1);
    let reason = format!(
        "'/backup' has {} bytes free, the output alone needs {needed}; free some, or choose another place",
        needed - 1
    );
    assert_eq!((no_go.exit_code(), no_go.reasons), (1, vec![reason]));

    // A transform refuses only what cannot be: the source alone does not fit.
    let source = report(u64::MAX).sources[0].bytes;
    let out = world.path("out");
    let run = |free, options: transform::Options| {
        let warnings = Warnings::default();
        let done = transform::transform_on(&disk(free), &options, &plan, &warnings);
        (done.map(drop).map_err(|error| (error.exit_code(), error.to_string())), warnings.0)
    };
    let plain = transform::Options::new(&dump, &out);
    let refusal = format!(
        "'{}': its file system has {} bytes free, the source alone has {source}; free some, choose another place, or compress with --gzip",
        out.display(),
        source - 1
    );
    assert_eq!(run(source - 1, plain.clone()).0, Err((4, refusal)));
    world.holds_only(&[]);
    let (done, warnings) = run(source, transform::Options { dry_run: true, ..plain.clone() });
    assert_eq!((done, warnings.into_inner().expect("a list").len()), (Ok(()), 0));
    for gzip in [Some(1), None] {
        let options = transform::Options { gzip_level: gzip, force: true, ..plain.clone() };
        let (done, warnings) = run(source, options);
        assert_eq!(done, Ok(()));
        let warnings = warnings.into_inner().expect("a list");
        assert_eq!(warnings.len(), usize::from(gzip.is_none()), "{warnings:?}");
    }
    for source in ["dump-gzip", "all.archive"] {
        let options = transform::Options::new(fixture(source), world.path(source));
        assert_eq!(run(1, options).0, Ok(()));
    }
}

fn dump_of(world: &World, documents: &[Document]) -> std::path::PathBuf {
    world.write("dump/d/user_data.bson", samples::raw(documents).concat())
}

/// Of values, only what the mapping lists, dates and `_id`s are shown.
#[test]
fn no_other_value_is_shown() {
    let world = World::new();
    let secret = |number: i32| {
        let mut document = samples::application(number, 2);
        document.insert("user_id", format!("SECRET-owner-{number}"));
        document.insert("filename", format!("SECRET-{number}"));
        document.insert("pii_risk_level", "SECRET-level");
        document.insert("statistics", doc! { format!("SECRETcolumn{number}"): "SECRET" });
        document
    };
    dump_of(&world, &(0..40).map(secret).collect::<Vec<_>>());
    let run = world.run_inside(["inspect", "dump", "-v", "--report", "report.json"]);
    let report = fs::read_to_string(world.path("report.json")).expect("a report");
    for text in [&run.stdout, &run.stderr, &report] {
        assert!(!text.contains("SECRET"), "{text}");
    }
    let owners = &assessed(&world.path("dump"), 1).sources[0].owners[0];
    assert_eq!((owners.owners, owners.is_exact, owners.most), (40, true, 1));
}

/// Counts as anybody would count, document by document.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    lengths: BTreeMap<usize, u64>,
    without_history: u64,
    risks: BTreeMap<String, u64>,
    presence: BTreeMap<String, u64>,
    types: BTreeMap<String, u64>,
}

fn count(documents: &[Document]) -> Counted {
    let mut counted = Counted::default();
    for document in documents {
        match document.get("transformation_history") {
            Some(Bson::Array(items)) => *counted.lengths.entry(items.len()).or_default() += 1,
            _ => counted.without_history += 1,
        }
        let risk = match document.get("pii_risk_level") {
            None => "missing",
            Some(Bson::Null) => "null",
            Some(Bson::String(risk)) if ["low", "medium", "high"].contains(&risk.as_str()) => risk,
            Some(_) => "other",
        };
        *counted.risks.entry(risk.to_owned()).or_default() += 1;
        for (name, value) in document {
            *counted.presence.entry(name.clone()).or_default() += 1;
            let kind = format!("{name} {:?}", value.element_type());
            *counted.types.entry(kind).or_default() += 1;
        }
    }
    counted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_counts_are_those_of_the_documents(
        tapes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 8..160), 1..40)
    ) {
        let make = |(number, tape): (usize, &Vec<u8>)| {
            samples::source_document(&mut samples::Tape::new(tape), number as u32)
        };
        let raw: Vec<Vec<u8>> = tapes.iter().enumerate().map(make).collect();
        // Duplicate names and text that is not UTF-8 have no place in the crate's documents.
        let read = |bytes: &Vec<u8>| {
            let document = Document::from_reader(bytes.as_slice()).ok()?;
            (document.to_vec().ok()? == *bytes).then_some(document)
        };
        let documents: Vec<Document> = raw.iter().filter_map(read).collect();
        prop_assume!(!documents.is_empty());
        let world = World::in_memory();
        dump_of(&world, &documents);
        let report = assessed(&world.path("dump"), 2);
        let source = &report.sources[0];
        let counted = count(&documents);
        prop_assert_eq!(source.documents, documents.len() as u64);

        let history = &source.lengths[0];
        prop_assert_eq!(history.without, counted.without_history);
        for range in history.lengths.ranges() {
            let is_in = |length: usize| {
                length as u64 >= range.from && range.to.is_none_or(|to| length as u64 <= to)
            };
            let expected: u64 =
                counted.lengths.iter().filter(|(length, _)| is_in(**length)).map(|(_, n)| n).sum();
            prop_assert_eq!(range.documents, expected);
        }
        let risks = &source.values[0];
        let of = |name: &str| counted.risks.get(name).copied().unwrap_or(0);
        let listed: Vec<u64> = risks.listed.iter().map(|one| one.documents).collect();
        prop_assert_eq!(listed, [of("low"), of("medium"), of("high")]);
        prop_assert_eq!((risks.other, risks.null, risks.missing), (of("other"), of("null"), of("missing")));

        let top = source.places.iter().filter(|place| counted.presence.contains_key(&place.path));
        let presence: BTreeMap<String, u64> =
            top.clone().map(|place| (place.path.clone(), place.documents)).collect();
        prop_assert_eq!(presence.len(), counted.presence.len());
        for (name, documents) in &presence {
            prop_assert_eq!(counted.presence[name], *documents);
        }
        for place in top {
            let types: u64 = place.types.iter().map(|one| one.values).sum();
            prop_assert_eq!(types, place.documents);
            prop_assert_eq!(place.documents < place.of, place.lacking.is_some());
            let kinds = counted.types.keys().filter(|kind| {
                kind.rsplit_once(' ').is_some_and(|(name, _)| name == place.path)
            });
            prop_assert_eq!(place.types.len(), kinds.count());
        }
    }
}
