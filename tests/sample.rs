//! `sample`: every kind of document is in it, the same for any shape of the dump; masked, it is found the same of
//! it, and nothing of the original is left.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::laws::{cases, sources};
use harness::samples::{application, export_step, oid, with_model};
use harness::{
    Chance, DATABASE, World, documents, dump, element, files, fixture, framed, mappings,
    same_files, split, string, write_dump,
};
use mongosplit::disk::{Disk, Fault};
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::sample::{self, Group, LIST_NAME, Report, sample};
use mongosplit::transform::{self, ExistingTargets, transform};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const KEY: &[u8] = b"a key of some bytes, and not a secret";

/// Takes a sample of a dump, masked if there is a key.
fn taken(
    world: &World,
    plan: &Plan,
    dump: &Path,
    name: &str,
    documents: u64,
    key: Option<&[u8]>,
) -> (PathBuf, Report) {
    let out = world.path(name);
    let mut options = sample::Options::new(dump, &out, documents);
    options.mask = key.map(|key| world.write("keys/key", key));
    let report =
        sample(&options, plan, &Silent).unwrap_or_else(|error| panic!("{dump:?}: {error}"));
    (out, report)
}

/// The rules that a dump's documents break, and why a server would refuse some.
fn verdict(world: &World, plan: &Plan, dump: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut options = transform::Options::new(dump, world.path("dry"));
    options.dry_run = true;
    options.skip_unrestorable = true;
    options.ignore_oplog = true;
    options.existing_targets = ExistingTargets::Ignore;
    options.threads = Some(1);
    let report =
        transform(&options, plan, &Silent).unwrap_or_else(|error| panic!("{dump:?}: {error}"));
    let source = &report.manifest.sources[0];
    let rules = source.findings.iter().map(|finding| finding.rule.clone()).collect();
    // Without the numbers and the document that a duplicate names.
    let reason = |reason: &str| {
        let reason = reason.rsplit_once(": document ").map_or(reason, |(reason, _)| reason);
        reason.chars().filter(|letter| !letter.is_ascii_digit()).collect()
    };
    let refused = report.sources[0].set_aside.iter().map(|one| reason(&one.reason)).collect();
    (rules, refused)
}

fn collection(out: &Path) -> Vec<u8> {
    fs::read(out.join(DATABASE).join("user_data.bson")).expect("the documents")
}

/// The lines of the list.
fn list(out: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(out.join(LIST_NAME)).expect("the list");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn built_in() -> Plan {
    Plan::built_in().expect("the plan")
}

#[test]
fn every_shape_of_the_dump_gives_the_same() {
    let (world, plan) = (World::new(), built_in());
    for key in [None, Some(KEY)] {
        let name = |what: &str| format!("{what}-{}", key.is_some());
        let files_of =
            |name: &str, dump: PathBuf| files(&taken(&world, &plan, &dump, name, 20, key).0);
        let one = files_of(&name("dump"), dump());
        for other in ["dump-gzip", "all.archive", "all.archive.gz"] {
            same_files(&one, &files_of(&name(other), fixture(other)), other);
        }
        same_files(&one, &files_of(&name("database"), dump().join(DATABASE)), "a database");
        assert_eq!(one.len(), 3, "{:?}", one.keys());
    }
}

#[test]
fn its_documents_are_those_of_the_source_in_their_order() {
    let (world, plan) = (World::new(), built_in());
    let (out, report) = taken(&world, &plan, &dump(), "out", 30, None);
    let source = collection(&dump());
    let all = split(&source);
    let sample = collection(&out);
    let lines = list(&out);
    let taken = split(&sample);
    assert_eq!((taken.len(), lines.len(), report.sources[0].taken), (30, 31, 30));
    assert_eq!((&lines[0]["format"], &lines[0]["documents"]), (&1.into(), &60.into()));
    let mut before = 0;
    for (document, line) in taken.iter().zip(&lines[1..]) {
        let number = line["source_document"].as_u64().expect("a number");
        assert!(number > before && all[number as usize - 1] == *document, "{line}");
        before = number;
    }
    let metadata = |of: &Path| fs::read(of.join(DATABASE).join("user_data.metadata.json"));
    assert!(metadata(&out).expect("metadata") == metadata(&dump()).expect("metadata"));
    // Who stands for nothing is spread evenly.
    let spread: Vec<u64> = lines[1..]
        .iter()
        .filter(|line| line["stands_for"].as_array().expect("a list").is_empty())
        .filter_map(|line| line["source_document"].as_u64())
        .collect();
    assert_eq!(spread.len() as u64, 30 - report.sources[0].representatives);
    assert!(spread[0] < 20 && spread[spread.len() - 1] > 40, "{spread:?}");
}

#[test]
fn each_kind_is_in_it_even_where_fewer_are_asked_for() {
    let (world, plan) = (World::new(), built_in());
    let (out, report) = taken(&world, &plan, &dump(), "out", 1, None);
    let source = &report.sources[0];
    assert!(source.taken > 1 && source.taken == source.representatives, "{source:?}");
    let lines = list(&out);
    let mut kinds = BTreeMap::<String, u64>::new();
    for line in &lines[1..] {
        for reason in line["stands_for"].as_array().expect("a list") {
            *kinds.entry(reason["kind"].as_str().expect("a kind").to_owned()).or_default() += 1;
        }
    }
    assert_eq!(kinds.values().sum::<u64>(), source.kinds.values().sum::<u64>());
    assert_eq!((kinds["extreme"], source.kinds[&Group::Extreme]), (4, 4));
    let has = |what: &str| fs::read_to_string(out.join(LIST_NAME)).expect("it").contains(what);
    for what in [
        "most bytes",
        "first created_at",
        "last created_at",
        "longest transformation_history",
        "pii_risk_level: 'high'",
        "journal-only num_rows",
        "data_schema[].unique_values: int32",
    ] {
        assert!(has(what), "{what}");
    }
    // All of it, and no more.
    let (_, report) = taken(&world, &plan, &dump(), "all", 1_000_000, None);
    assert_eq!(report.sources[0].taken, 60);
}

#[test]
fn the_findings_of_odd_dumps_are_those_of_their_samples() {
    let (world, plan) = (World::new(), built_in());
    let mut seen = BTreeSet::new();
    for name in [
        "dump",
        "odd/findings",
        "odd/absent-fields",
        "odd/invalid-utf8",
        "odd/duplicate-fields",
        "odd/journal-only",
        "odd/all-id-types",
        "odd/iso-text",
        "odd/steps",
        "odd/defaults",
        "odd/model-or-not",
        "odd/duplicate-dataset-id",
        "odd/duplicate-dataset-id-numbers",
        "odd/duplicate-id",
        "odd/no-id",
        "odd/array-id",
        "odd/regex-id",
        "odd/undefined-id",
        "odd/parallel-arrays",
        "odd/nested-181",
        "odd/nested-180-one-deeper",
        "odd/nested-1000",
        "odd/unrestorable-many",
        "odd/source-options",
        "odd/escaped-source",
        "odd/no-metadata",
        "odd/oplog-touches-source",
        "odd/targets-collide-key",
    ] {
        let dump = fixture(name);
        let expected = verdict(&world, &plan, &dump);
        for key in [None, Some(KEY)] {
            let place = format!("{}-{}", name.replace('/', "-"), key.is_some());
            let (out, report) = taken(&world, &plan, &dump, &place, 1, key);
            assert_eq!(verdict(&world, &plan, &out), expected, "{place}");
            assert_eq!(report.sources[0].changed_by_mask, 0, "{place}");
        }
        seen.extend(expected.0);
        seen.extend(expected.1);
    }
    assert!(seen.len() > 80, "{}", seen.len());
    // Of many documents, few are taken.
    let dump = world.generate("dump", 20);
    let (out, report) = taken(&world, &plan, &dump, "few", 1, Some(KEY));
    assert_eq!(verdict(&world, &plan, &out), verdict(&world, &plan, &dump));
    assert!(report.sources[0].documents > 1000 && report.sources[0].taken < 30);
}

#[test]
fn two_documents_with_one_unique_value_stay_two() {
    let (world, plan) = (World::new(), built_in());
    let mut all: Vec<Vec<u8>> =
        (0..200).map(|number| application(oid(number), 1).to_vec().expect("a document")).collect();
    let mut twin = application(oid(120), 1);
    twin.insert("of its own", 1);
    all.push(twin.to_vec().expect("a document"));
    let dump = world.path("dump");
    write_dump(&dump, DATABASE, &[("user_data", &all.concat())]);
    let (out, report) = taken(&world, &plan, &dump, "out", 1, Some(KEY));
    assert_eq!(report.sources[0].kinds[&Group::Twin], 1);
    assert_eq!(verdict(&world, &plan, &out), verdict(&world, &plan, &dump));
    let numbers: Vec<u64> =
        list(&out)[1..].iter().filter_map(|line| line["source_document"].as_u64()).collect();
    assert!(numbers.contains(&121) && numbers.contains(&201), "{numbers:?}");
    // One that is refused anyhow is not taken to fill up.
    let (_, report) = taken(&world, &plan, &dump, "more", 500, None);
    assert_eq!(report.sources[0].taken, 201);
}

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(usual),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

/// A sample of documents has the verdict of all, masked or not.
fn verdicts_stay(plan: &Plan, collection: &str, all: &[Vec<u8>]) -> Result<(), String> {
    let world = World::in_memory();
    let dump = world.path("dump");
    write_dump(&dump, DATABASE, &[(collection, &all.concat())]);
    let expected = verdict(&world, plan, &dump);
    for (name, key) in [("plain", None), ("masked", Some(KEY))] {
        let (out, report) = taken(&world, plan, &dump, name, 2, key);
        let found = verdict(&world, plan, &out);
        if found != expected || report.sources[0].changed_by_mask > 0 {
            return Err(format!("{name}: {found:#?}, not {expected:#?}; {report:#?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn verdicts_stay_with_the_built_in_mapping(seed in any::<u64>()) {
        let all = sources(&mut Chance::new(seed), 12, documents::source);
        let outcome = verdicts_stay(&built_in(), "user_data", &all);
        prop_assert!(outcome.is_ok(), "seed {}: {}", seed, outcome.unwrap_err());
    }

    #[test]
    fn verdicts_stay_with_any_mapping(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, false);
        if let Some(plan) = Plan::check(&made.text).plan {
            let all = sources(&mut chance, 8, documents::any);
            let outcome = verdicts_stay(&plan, plan.collection(), &all);
            prop_assert!(outcome.is_ok(), "seed {}: {}\n{}", seed, outcome.unwrap_err(), made.text);
        }
    }
}

#[test]
fn nothing_of_the_original_is_left_behind_a_mask() {
    let (world, plan) = (World::new(), built_in());
    let secret = |number: usize| format!("Zq{number:04}Secret");
    let mut all = Vec::new();
    for number in 0..20 {
        let mut document = with_model(application(oid(7_000_000 + number), 2));
        let text = secret(number as usize);
        document.insert("user_id", text.as_str());
        document.insert("filename", format!("{text}.csv"));
        document.insert("s3_url", format!("https://{text}.example.com/{text}"));
        document.insert("model_file_url", format!("https://{text}.example.com"));
        document.insert(text.clone(), "an unknown name");
        document.insert(
            "data_preview",
            vec![bson::doc! { text.clone(): text.clone(), "n": 918_273_645 }],
        );
        document.insert("statistics", bson::doc! { text.clone(): { "mean": 8_675.309_1 } });
        document.insert("transformation_history", vec![export_step(3)]);
        document.insert("row_count", 918_273_645);
        let mut elements: Vec<Vec<u8>> =
            harness::samples::elements(&document.to_vec().expect("it"));
        let bytes = text.as_bytes();
        let binary = [&(bytes.len() as u32).to_le_bytes()[..], &[0], bytes].concat();
        elements.push(element(5, b"binary", &binary));
        elements.push(element(13, b"code", &string(bytes)));
        elements.push(element(14, b"symbol", &string(bytes)));
        elements.push(element(11, b"regex", &[bytes, &[0], b"i\0"].concat()));
        elements.push(element(12, b"pointer", &[&string(bytes)[..], b"ZqPointer_id"].concat()));
        let scope = framed(&element(2, bytes, &string(bytes)));
        let with_scope = [&string(bytes)[..], &scope].concat();
        let length = (with_scope.len() as u32 + 4).to_le_bytes();
        elements.push(element(15, b"scoped", &[&length[..], &with_scope].concat()));
        elements.push(element(2, b"broken", &string(&[bytes, b"\xff\xfe", bytes].concat())));
        elements.push(element(2, b"signs", &string(b"!?#*!?#* a")));
        all.push(framed(&elements.concat()));
    }
    let dump = world.path("dump");
    write_dump(&dump, DATABASE, &[("user_data", &all.concat())]);
    world.write(
        &format!("dump/{DATABASE}/user_data.metadata.json"),
        r#"{"options":{"validator":{"a":"Zq0001Secret"}},"indexes":[
            {"v":2,"key":{"_id":1},"name":"_id_"},
            {"v":2,"key":{"Zq0001Secret.x":1,"user_id":-1},"name":"Zq0001Secret.x_1_user_id_-1"},
            {"v":2,"key":{"user_id":1},"name":"Zq0002Secret","unique":true,"expireAfterSeconds":60},
            {"v":2,"key":{"user_id":1},"name":"part","partialFilterExpression":{"a":"Zq0003Secret"}},
            {"v":2,"key":{"user_id":"text"},"name":"text","weights":{"Zq0004Secret":1}}],
            "uuid":"5a71536563726574","collectionName":"user_data","type":"collection"}"#,
    );
    let (out, report) = taken(&world, &plan, &dump, "out", 20, Some(KEY));
    assert_eq!(report.sources[0].indexes_left_out, 2);
    assert_eq!((report.sources[0].taken, report.sources[0].changed_by_mask), (20, 0));
    let mut tokens: Vec<Vec<u8>> = vec![
        b"ecret".to_vec(),
        b"ZqPointer".to_vec(),
        b"Random Forest".to_vec(),
        b"an unknown".to_vec(),
        b"example".to_vec(),
        b"5a7153".to_vec(),
        b"10:15:23".to_vec(),
        b"2025-10".to_vec(),
        b"!?#*".to_vec(),
        918_273_645i32.to_le_bytes().to_vec(),
        8_675.309_1f64.to_le_bytes().to_vec(),
        oid(7_000_000).bytes()[..8].to_vec(),
    ];
    tokens.extend((0..20).map(|number| format!("Zq{number:04}").into_bytes()));
    for (name, bytes) in files(&out) {
        for token in &tokens {
            let at = bytes.windows(token.len()).position(|part| part == token);
            assert_eq!(at, None, "{name} has {:?}", String::from_utf8_lossy(token));
        }
    }
    let written = collection(&out);
    assert_eq!(written.len(), all.concat().len());
    assert!(written.windows(8).any(|part| part == b"https://"), "the mapping looks at that");
    let metadata = fs::read_to_string(out.join(DATABASE).join("user_data.metadata.json"));
    assert!(metadata.expect("it").contains("_user_id_-1"));
}

#[test]
fn equal_values_stay_equal_and_dates_in_order() {
    let (world, plan) = (World::new(), built_in());
    let all: Vec<Vec<u8>> = (0..40)
        .map(|number| {
            let mut document = application(oid(number), 1);
            document.insert("user_id", format!("user_{}", number % 7));
            document.insert("of", oid(number / 2).to_hex());
            document.insert("created_at", harness::samples::date(i64::from(number) * 86_400_000));
            document.to_vec().expect("a document")
        })
        .collect();
    let dump = world.path("dump");
    write_dump(&dump, DATABASE, &[("user_data", &all.concat())]);
    let (out, _) = taken(&world, &plan, &dump, "out", 40, Some(KEY));
    let written = collection(&out);
    let masked: Vec<bson::Document> = split(&written)
        .iter()
        .map(|bytes| bson::Document::from_reader(*bytes).expect("a document"))
        .collect();
    let ids: Vec<String> =
        masked.iter().map(|one| one.get_object_id("_id").expect("an id").to_hex()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 40);
    for (number, one) in masked.iter().enumerate() {
        // A name that the mapping does not know is there under another.
        let of =
            one.iter().find(|(name, _)| name.len() == 2).expect("it").1.as_str().expect("text");
        assert_eq!(of, ids[number / 2]);
        let user = |one: &bson::Document| one.get_str("user_id").expect("text").to_owned();
        assert_eq!(user(one), user(&masked[number % 7]));
        let created = |one: &bson::Document| {
            one.get_datetime("created_at").expect("a date").timestamp_millis()
        };
        assert_eq!(created(one) - created(&masked[0]), number as i64 * 86_400_000);
    }
    assert!(masked[0].get_str("user_id").expect("text") != "user_0");
    // Another key gives other values, the same key the same.
    let again = taken(&world, &plan, &dump, "again", 40, Some(KEY)).0;
    let other = taken(&world, &plan, &dump, "other", 40, Some(b"another key, as long")).0;
    assert!(collection(&again) == written && collection(&other) != written);
}

/// Large values are replaced in pieces, whose ends may lie within a character.
#[test]
fn long_texts_are_masked_whole() {
    let (world, plan) = (World::new(), built_in());
    let long = |start: &str| format!("{start}{}", "aé日😀".repeat(30_000));
    let document = bson::doc! {
        "_id": 1,
        "filename": long("x"),
        "model_file_url": long("https://"),
        "algorithm": long(""),
        "blob": bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: b"blob".repeat(100_000),
        },
    };
    let dump = world.path("dump");
    let bytes = document.to_vec().expect("a document");
    write_dump(&dump, DATABASE, &[("user_data", &bytes)]);
    let (out, report) = taken(&world, &plan, &dump, "out", 1, Some(KEY));
    assert_eq!(report.sources[0].changed_by_mask, 0);
    let masked = bson::Document::from_reader(collection(&out).as_slice()).expect("a document");
    assert!(masked.get_str("model_file_url").expect("text").starts_with("https://"));
    let text = masked.get_str("filename").expect("text");
    assert!(!["é日", "日😀", "blobblob"].iter().any(|part| text.contains(part)));
    assert!(!collection(&out).windows(8).any(|part| part == b"blobblob"));
}

#[test]
fn nothing_else_is_there() {
    let world = World::new();
    let out = world.path("out");
    let dump = dump();
    let args =
        ["sample".as_ref(), dump.as_os_str(), out.as_os_str(), "--docs".as_ref(), "5".as_ref()];
    let run = world.run(args).exits(0).says("Took a sample of");
    for line in world.plain(&run.stdout).lines().filter(|line| !line.contains("DIR")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    world.holds_only(&["out"]);
    world.run(args).exits(4).complains(
        &world,
        "mongosplit: 'DIR/out': is not empty; name a directory that does not exist or is empty",
    );
}

#[test]
fn a_damaged_dump_leaves_nothing() {
    let world = World::new();
    let dump = fixture("odd/truncated-document");
    let out = world.path("out");
    world
        .run([
            "sample".as_ref(),
            dump.as_os_str(),
            out.as_os_str(),
            "--docs".as_ref(),
            "5".as_ref(),
        ])
        .exits(3);
    world.holds_only(&[]);
    let dump = fixture("odd/empty-collection");
    world
        .run(["sample".as_ref(), dump.as_os_str(), out.as_os_str(), "--docs".as_ref(), "5".as_ref()])
        .exits(1)
        .complains(&world, "mongosplit: narrative_modeling.user_data has no documents, so there is nothing to take a sample of");
    world.holds_only(&[]);
}

/// Whatever operation fails, there is the whole sample or nothing.
#[test]
fn it_is_there_whole_or_not_at_all() {
    let plan = built_in();
    let world = World::in_memory();
    let mut options = sample::Options::new(dump(), world.path("out"), 5);
    options.mask = Some(world.write("key", KEY));
    let whole = {
        let disk = Disk::default();
        sample::sample_on(&disk, &options, &plan, &Silent).expect("a sample");
        let whole = files(&options.out);
        fs::remove_dir_all(&options.out).expect("the sample");
        (whole, disk.steps())
    };
    for step in 1..=whole.1 {
        for fault in [Fault::Once, Fault::FromThereOn] {
            let disk = Disk::with_fault(step, fault);
            let done = sample::sample_on(&disk, &options, &plan, &Silent);
            if options.out.exists() {
                same_files(&files(&options.out), &whole.0, &format!("step {step}, {fault:?}"));
            }
            assert!(done.is_err() || options.out.exists(), "step {step}, {fault:?}");
            for left in ["out", "out.mongosplit-partial"] {
                let _ = fs::remove_dir_all(world.path(left));
            }
            let _ = fs::remove_file(world.path("out.mongosplit-lock"));
        }
    }
}

#[test]
fn several_databases_are_sampled_each() {
    let (world, plan) = (World::new(), built_in());
    let mut options = sample::Options::new(fixture("odd/two-databases"), world.path("out"), 1);
    options.all_databases = true;
    let report = sample(&options, &plan, &Silent).expect("a sample");
    assert_eq!(report.sources.len(), 2);
    assert!(files(&world.path("out")).keys().any(|name| name.starts_with("narrative_staging/")));
}
