//! The BSON specification's own corpus and mongo-tools' cases, where the environment names them (`CORPUS=…`), and a
//! smaller table of our own that always runs.

mod harness;

use std::path::{Path, PathBuf};

use harness::{element, framed, split, unhex};
use mongosplit::batch::{Batch, Splitter};
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};
use mongosplit::raw::{Elements, Fault, Validator};

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("CORPUS").filter(|corpus| !corpus.is_empty()).map(PathBuf::from);
    if corpus.is_none() {
        println!(
            "conformance: CORPUS is not set, so the specification's corpus was not read (`make conformance CORPUS=…`)"
        );
    }
    corpus
}

fn check(document: &[u8]) -> Result<mongosplit::raw::Facts, Fault> {
    Validator::default().check(document)
}

/// Fails unless a document that holds this one, and its fields, comes out of the mapping unchanged and is given back byte for byte.
fn assert_passed_on(plan: &Plan, document: &[u8], what: &str) {
    check(document).unwrap_or_else(|fault| panic!("{what}: refused: {fault} at {}", fault.offset));
    let id = element(16, b"_id", &1i32.to_le_bytes());
    let history = framed(&element(3, b"0", document));
    let source = framed(
        &[
            id,
            element(3, b"unforeseen", document),
            element(3, b"statistics", document),
            element(4, b"transformation_history", &history),
            document[4..document.len() - 1].to_vec(),
        ]
        .concat(),
    );
    let mut mapped = Mapped::default();
    Mapper::new(plan)
        .map([source.as_slice()].into_iter(), |_| None, &mut mapped)
        .unwrap_or_else(|(_, fault)| panic!("{what}: {fault}"));
    let mut journal = Vec::new();
    let mut writer = JournalWriter::default();
    writer
        .write_header("db.user_data", plan.id(), plan.text(), None, &mut journal)
        .expect("it is read back");
    writer.write_batch(1, &mapped.counts, &mapped.notes, &mut journal).expect("it is read back");
    let (mut reader, _) =
        JournalReader::open(journal.as_slice(), "journal".into()).expect("its own header");
    let mut notes = JournalBatch::default();
    assert!(reader.next(&mut notes).expect("its own batch"));
    let mut restored = Vec::new();
    let outputs = |target: usize| mapped.outputs.get(target).map(Vec::as_slice);
    Restorer::new(plan)
        .restore(&mut notes.reader(), outputs, &mut restored)
        .unwrap_or_else(|misfit| panic!("{what}: {misfit}"));
    assert!(restored == source, "{what}: the reversal is not the source");
    if mapped.refused.is_empty() {
        for name in [&b"unforeseen"[..], b"statistics"] {
            let value = Elements::new(&mapped.outputs[0])
                .find(name)
                .unwrap_or_else(|| panic!("{what}: not passed on"));
            assert!(value.kind == 3 && value.bytes == document, "{what}: changed on its way");
        }
    }
}

#[test]
fn the_specifications_corpus_comes_back_or_is_refused() {
    let Some(corpus) = corpus() else { return };
    let plan = Plan::built_in().expect("it compiles");
    let mut files: Vec<PathBuf> = std::fs::read_dir(corpus.join("bson-corpus"))
        .expect("CORPUS/bson-corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let (mut valid, mut faulty, mut reported) = (0, 0, 0);
    for path in files.iter().filter(|path| path.extension().is_some_and(|suffix| suffix == "json"))
    {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).expect("readable");
        let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for case in file["valid"].as_array().into_iter().flatten() {
            for form in ["canonical_bson", "degenerate_bson", "converted_bson"] {
                if let Some(hex) = case[form].as_str() {
                    assert_passed_on(
                        &plan,
                        &unhex(hex),
                        &format!("{name}, {}, {form}", case["description"]),
                    );
                    valid += 1;
                }
            }
        }
        for case in file["decodeErrors"].as_array().into_iter().flatten() {
            let what = format!("{name}, {}", case["description"]);
            let bytes = unhex(case["bson"].as_str().expect("a decode error has bson"));
            match check(&bytes) {
                Err(_) => {}
                Ok(facts) => {
                    assert!(facts.invalid_utf8.is_some(), "{what}: accepted");
                    assert!(
                        what.to_lowercase().contains("utf-8"),
                        "{what}: only UTF-8 may be reported instead"
                    );
                    reported += 1;
                }
            }
            faulty += 1;
        }
    }
    assert_eq!((valid, faulty), (743, 75), "byte strings of the corpus");
    println!(
        "conformance: {valid} valid byte strings passed on, {faulty} faulty ones refused ({reported} of them reported as not UTF-8)"
    );
}

/// Reads a file of documents to its end; the number of sound ones, and the first fault.
fn read(path: &Path) -> (usize, Option<String>) {
    let file =
        std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut splitter = Splitter::new(file, 0, path.display().to_string());
    let mut batch = Batch::default();
    let mut sound = 0;
    loop {
        match splitter.fill(&mut batch) {
            Err(error) => return (sound, Some(error.to_string())),
            Ok(false) => return (sound, None),
            Ok(true) => {
                for document in batch.documents() {
                    if let Err(fault) = check(document) {
                        return (sound, Some(fault.to_string()));
                    }
                    sound += 1;
                }
            }
        }
    }
}

#[test]
fn the_cases_of_mongo_tools_come_back_or_are_refused() {
    let Some(corpus) = corpus() else { return };
    let file = |name: &str| corpus.join("mongo-tools").join(format!("{name}.bson"));
    for name in ["bad_cstring", "bad_type", "invalid_field_name", "partial_file", "random_bytes"] {
        let (_, fault) = read(&file(name));
        println!("conformance: {name}: {}", fault.as_deref().unwrap_or("accepted"));
        assert!(fault.is_some(), "{name} is accepted");
    }
    let plan = Plan::built_in().expect("it compiles");
    for name in ["all_types", "all_in_one_doc", "sample", "broken_array", "deep_nested"] {
        let (sound, fault) = read(&file(name));
        assert_eq!(fault, None, "{name}");
        assert!(sound > 0, "{name} holds no document");
        let bytes = std::fs::read(file(name)).expect("it was read before");
        for document in split(&bytes) {
            assert_passed_on(&plan, document, name);
        }
    }
    let deep = std::fs::read(file("deep_nested")).expect("it was read before");
    assert_eq!(check(&deep).expect("it is sound").depth, 501);
}

#[test]
fn a_file_name_that_was_cut_gets_its_collection_from_the_metadata() {
    let Some(corpus) = corpus() else { return };
    let dump = mongosplit::Dump::open(corpus.join("mongo-tools/longcollectionname/db1"));
    let names: Vec<String> = dump.expect("it is a dump").namespaces().collect();
    assert!(
        names.iter().any(|name| name.len() > 238),
        "the true name is in the metadata: {names:?}"
    );
}

/// Documents of our own: what is accepted, each type once and what is odd about it.
const SOUND: [(&str, &str); 27] = [
    ("nothing", "0500000000"),
    ("double", "10000000016400000000000000f83f00"),
    ("string with a NUL inside", "10000000027300040000006100620000"),
    ("empty string", "0d000000027300010000000000"),
    ("document", "0d000000036400050000000000"),
    ("array with odd keys", "130000000461000b0000000a39000a78000000"),
    ("binary", "0f0000000562000200000000010200"),
    ("old binary, its length inside", "13000000056200060000000202000000010200"),
    ("binary of an unknown subtype", "0e0000000562000100000042ff00"),
    ("undefined", "0800000006750000"),
    ("ObjectId", "14000000076f000102030405060708090a0b0c00"),
    ("booleans", "0d000000086100000862000100"),
    ("date before 1970", "10000000096400ffffffffffffffff00"),
    ("null", "080000000a6e0000"),
    ("regular expression, its options in no order", "0d0000000b7200610078690000"),
    ("DBPointer", "1a0000000c70000200000063000102030405060708090a0b0c00"),
    ("code", "0e0000000d630002000000780000"),
    ("symbol", "0e0000000e730002000000780000"),
    ("code with scope", "180000000f63001000000003000000787900050000000000"),
    ("int32", "0c0000001069002a00000000"),
    ("timestamp", "10000000117400010000000200000000"),
    ("int64", "10000000126900ffffffffffffff7f00"),
    ("decimal128 that is not canonical", "18000000136400ffffffffffffffffffffffffffffffff00"),
    ("MinKey and MaxKey", "0b000000ff61007f620000"),
    ("an empty name", "070000000a0000"),
    ("a name twice", "0b0000000a61000a610000"),
    ("NaN with a payload", "10000000016e00010000000000f87f00"),
];

/// What is refused, and a word of the reason.
const FAULTY: [(&str, &str, &str); 27] = [
    ("nothing at all", "", "ends after 0"),
    ("half a length", "0500", "ends after 2"),
    ("length too small", "0400000000", "length of 4"),
    ("negative length", "ffffffff00", "length of -1"),
    ("length beyond the end", "0600000000", "length of 6"),
    ("length before the end", "050000000000", "length of 5"),
    ("no final NUL", "0500000001", "final NUL"),
    ("an end before the end", "07000000000000", "earlier than its length"),
    ("unknown type", "0800000020610000", "unknown element type 0x20"),
    ("a name without its NUL", "080000000a616200", "without its final NUL"),
    ("double cut", "0f000000016400000000000000f800", "double"),
    ("string without its NUL", "0e00000002730002000000616200", "string's final NUL"),
    ("string of length 0", "0c0000000273000000000000", "string of length 0"),
    ("string of negative length", "0e000000027300ffffffff610000", "string of -1"),
    ("string beyond the end", "0e00000002730003000000610000", "string of 7"),
    ("document of length 4", "0d000000036400040000000000", "length of 4"),
    ("document beyond the end", "0d000000036400060000000000", "document of 6"),
    ("document without its NUL", "0d000000036400050000000100", "final NUL"),
    ("boolean of 2", "090000000862000200", "boolean of value 2"),
    ("binary of negative length", "0d000000056200ffffffff0000", "binary of -1"),
    ("binary beyond the end", "0f0000000562000300000000010200", "binary of 8"),
    ("old binary, lengths that differ", "13000000056200060000000203000000010200", "contradict"),
    (
        "regular expression without its options' NUL",
        "0b0000000b720061007800",
        "without its final NUL",
    ),
    ("DBPointer cut", "190000000c70000200000063000102030405060708090a0b00", "DBPointer"),
    (
        "code with scope, too short a length",
        "180000000f63000f00000003000000787900050000000000",
        "contradict",
    ),
    ("code with scope, its code too long", "180000000f63001000000004000000787900050000000000", ""),
    ("ObjectId cut", "13000000076f000102030405060708090a0b00", "ObjectId"),
];

#[test]
fn our_own_sound_documents_are_passed_on() {
    let plan = Plan::built_in().expect("it compiles");
    for (what, hex) in SOUND {
        assert_passed_on(&plan, &unhex(hex), what);
    }
}

#[test]
fn our_own_faulty_documents_are_refused() {
    for (what, hex, reason) in FAULTY {
        match check(&unhex(hex)) {
            Ok(_) => panic!("{what}: accepted"),
            Err(fault) => assert!(fault.to_string().contains(reason), "{what}: {fault}"),
        }
    }
}
