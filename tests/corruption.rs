//! Outputs that were altered: each alteration is found, and named. After PostgreSQL's tests of pg_verifybackup
//! (`t/003_corruption.pl`, `t/005_bad_manifest.pl`), and beyond them: every byte of every file. What is said stands
//! in `tests/golden`; `UPDATE_GOLDEN=1` writes it anew.

mod harness;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use harness::{
    DATABASE, World, append, copy, dump, edit, files, fixture, flip, golden, reseal, split,
};
use mongosplit::disk::{Disk, Fault};
use mongosplit::journal::{JournalBatch, JournalReader};
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{self, reverse};
use mongosplit::verify::{self, verify};

const METADATA: &str = "narrative_modeling/dataset_metadata.bson";
const CONFIGS: &str = "narrative_modeling/transformation_configs.bson";
const JOURNAL: &str = "narrative_modeling.user_data.rollback";

/// What `verify` and `reverse` say, the temporary directory's name taken out.
fn said(world: &World, out: &Path) -> (Vec<String>, String) {
    let verified = match verify(&verify::Options::new(out), &Silent) {
        Ok(report) => report.differences.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    let options = reverse::Options::new(out, world.path("back"));
    let reversed = match reverse(&options, &Silent) {
        Ok(_) => "it was reversed".to_owned(),
        Err(error) => error.to_string(),
    };
    let plain = |text: &str| world.plain(text);
    (verified.iter().map(|line| plain(line)).collect(), plain(&reversed))
}

fn exchange(out: &Path, one: &str, other: &str) {
    let (a, b) =
        (fs::read(out.join(one)).expect("a file"), fs::read(out.join(other)).expect("a file"));
    fs::write(out.join(one), b).expect("a file");
    fs::write(out.join(other), a).expect("a file");
}

/// SHA-256 sums are of no use in a table.
fn without_sums(text: &str) -> String {
    let mut plain = String::new();
    for part in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_sum = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain += &if is_sum { part.replace(word, "…") } else { part.to_owned() };
    }
    plain
}

/// What is done to an output, and how.
type Alteration = (&'static str, fn(&Path));

const ALTERATIONS: &[Alteration] = &[
    ("a file more at the root", |out| fs::write(out.join("notes.txt"), "x").expect("a file")),
    ("a collection more", |out| {
        fs::write(out.join(DATABASE).join("users.bson"), "").expect("a file")
    }),
    ("a directory more, with a file", |out| {
        fs::create_dir(out.join("admin")).expect("a directory");
        fs::write(out.join("admin/x.bson"), "").expect("a file");
    }),
    ("an empty directory more, which mongorestore takes for a database", |out| {
        fs::create_dir(out.join("admin")).expect("a directory")
    }),
    ("a file missing", |out| fs::remove_file(out.join(METADATA)).expect("a file")),
    ("the journal missing", |out| fs::remove_file(out.join(JOURNAL)).expect("a file")),
    ("the sums missing", |out| fs::remove_file(out.join("SHA256SUMS")).expect("a file")),
    ("the manifest missing", |out| fs::remove_file(out.join("manifest.json")).expect("a file")),
    ("the database's directory missing", |out| {
        fs::remove_dir_all(out.join(DATABASE)).expect("a directory")
    }),
    ("a byte appended", |out| append(out.join(METADATA), &[0])),
    ("a sound document appended", |out| append(out.join(METADATA), &[5, 0, 0, 0, 0])),
    ("truncated to nothing", |out| fs::write(out.join(METADATA), "").expect("a file")),
    ("truncated by a byte", |out| {
        let content = fs::read(out.join(METADATA)).expect("a file");
        fs::write(out.join(METADATA), &content[..content.len() - 1]).expect("a file");
    }),
    ("another document of the same length", |out| {
        let mut content = fs::read(out.join(METADATA)).expect("a file");
        let at = content.windows(4).position(|bytes| bytes == b"user").expect("a text");
        content[at] ^= 1;
        fs::write(out.join(METADATA), content).expect("a file");
    }),
    ("two collections exchanged", |out| exchange(out, METADATA, CONFIGS)),
    ("a file that is a link to the same content", |out| {
        fs::rename(out.join(METADATA), out.with_extension("moved")).expect("a file");
        symlink(out.with_extension("moved"), out.join(METADATA)).expect("a link");
    }),
    ("a database that is a link", |out| {
        fs::rename(out.join(DATABASE), out.with_extension("moved")).expect("a directory");
        symlink(out.with_extension("moved"), out.join(DATABASE)).expect("a link");
    }),
    ("a manifest that is a link", |out| {
        fs::rename(out.join("manifest.json"), out.with_extension("moved")).expect("a file");
        symlink(out.with_extension("moved"), out.join("manifest.json")).expect("a link");
    }),
    ("a byte behind the manifest", |out| append(out.join("manifest.json"), b"\n")),
    ("a line behind the sums", |out| append(out.join("SHA256SUMS"), b"\n")),
    ("indexes taken from the metadata", |out| {
        fs::write(out.join(DATABASE).join("dataset_metadata.metadata.json"), r#"{"indexes":[]}"#)
            .expect("a file")
    }),
];

#[test]
fn each_alteration_is_named() {
    let mut all = String::new();
    for (name, alter) in ALTERATIONS {
        let world = World::new();
        let out = world.transform(&fixture("odd/no-prelude"), "out");
        assert_eq!(
            said(&world, &out),
            (Vec::new(), "it was reversed".to_owned()),
            "before: {name}"
        );
        fs::remove_dir_all(world.path("back")).expect("the result");
        alter(&out);
        let (verified, reversed) = said(&world, &out);
        let verified: Vec<String> = verified.iter().map(|line| without_sums(line)).collect();
        assert!(!verified.is_empty(), "verify accepts it: {name}");
        assert_ne!(reversed, "it was reversed", "{name}");
        assert!(!world.path("back").exists(), "{name}");
        all += &format!(
            "{name}\nverify:\n{}\nreverse:\n{}\n\n",
            verified.join("\n"),
            without_sums(&reversed)
        );
        let run = world.run([std::ffi::OsStr::new("verify"), out.as_ref()]);
        assert!(matches!(run.code(), Some(1 | 3)), "{run}");
    }
    golden("alterations.txt", &all);
}

/// Manifests with one thing changed: what, from, to; `⏎` is a line break. Their own checksum is right again.
const MANIFESTS: &str = r#"
another format | "format": 1, | "format": 2,
a format that is no number | "format": 1, | "format": "1",
no format | {⏎  "format": 1, | {
an unknown key | "format": 1, | "format": 1,⏎  "more": 1,
a key twice | "format": 1, | "format": 1,⏎  "format": 1,
an unknown key within | "role": "journal", | "role": "journal",⏎      "more": 1,
an unknown role | "role": "journal", | "role": "diary",
no path | "path": "narrative_modeling.user_data.rollback", |
a path twice | "path": "narrative_modeling/model_configs.bson" | "path": "narrative_modeling/dataset_metadata.bson"
a path upwards | "path": "narrative_modeling/model_configs.bson" | "path": "../model_configs.bson"
a path that goes up and down | "path": "narrative_modeling/model_configs.bson" | "path": "narrative_modeling/../x.bson"
a path by way of here | "path": "narrative_modeling/model_configs.bson" | "path": "./narrative_modeling/model_configs.bson"
a path with a dot within | "path": "narrative_modeling/model_configs.bson" | "path": "narrative_modeling/./model_configs.bson"
a path from the root | "path": "narrative_modeling/model_configs.bson" | "path": "/etc/passwd"
no characters in a path | "path": "narrative_modeling/model_configs.bson" | "path": ""
a line break in a path | "path": "narrative_modeling/model_configs.bson" | "path": "a\nb"
a NUL in a path | "path": "narrative_modeling/model_configs.bson" | "path": "a\u0000b"
the manifest's own path | "path": "narrative_modeling/model_configs.bson" | "path": "manifest.json"
the path of the sums | "path": "narrative_modeling/model_configs.bson" | "path": "SHA256SUMS"
two slashes in a path | "path": "narrative_modeling/model_configs.bson" | "path": "narrative_modeling//model_configs.bson"
a checksum that is short | "sha256": "e3b0 | "sha256": "e3
a checksum that is no hex | "sha256": "e3b0 | "sha256": "xxxx
a checksum in capitals | "sha256": "e3b0 | "sha256": "E3B0
another file's path | "path": "narrative_modeling/model_configs.bson" | "path": "narrative_modeling/other.bson"
fewer documents | "documents": 3, | "documents": 2,
a negative number | "documents": 3, | "documents": -3,
a number beyond 64 bits | "documents": 3, | "documents": 99999999999999999999,
a fraction | "documents": 3, | "documents": 3.0,
a number as text | "documents": 3, | "documents": "3",
another namespace | "namespace": "narrative_modeling.user_data" | "namespace": "elsewhere.user_data"
metadata of another collection | "role": "metadata",⏎      "namespace": "narrative_modeling.dataset_metadata" | "role": "metadata",⏎      "namespace": "elsewhere.other"
another mapping | "name": "user_data" | "name": "other"
another version of the mapping | "version": "3.0.0" | "version": "4.0.0"
files that are no list | "files": [ | "files": {
fewer proven | "proven": 3 | "proven": 2
a digest that is long | "digest": " | "digest": "0
another digest | "digest": "00000000000000000000000000000000" | "digest": "00000000000000000000000000000001"
the result of a reversal | "kind": "transform" | "kind": "reverse"
another compression | "gzip_level": null | "gzip_level": 6
an unknown kind of indexes | "indexes": "all" | "indexes": "some"
"#;

#[test]
fn each_bad_manifest_is_named() {
    let world = World::new();
    let good = world.transform(&fixture("odd/no-prelude"), "good");
    assert_eq!(said(&world, &good).0, Vec::<String>::new());
    fs::remove_dir_all(world.path("back")).expect("the result");
    let text = fs::read_to_string(good.join("manifest.json")).expect("the manifest");
    let mut all = String::new();
    let mut check = |name: &str, bytes: &[u8], out: PathBuf| {
        fs::write(out.join("manifest.json"), bytes).expect("a file");
        let (verified, reversed) = said(&world, &out);
        assert!(!verified.is_empty(), "verify accepts it: {name}");
        let _ = fs::remove_dir_all(world.path("back"));
        fs::remove_dir_all(&out).expect("the copy");
        all += &without_sums(&format!(
            "{name}\nverify:\n{}\nreverse:\n{reversed}\n\n",
            verified.join("\n")
        ))
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    };
    let fresh = || {
        let out = world.path("out");
        copy(&good, &out);
        out
    };
    for row in MANIFESTS.trim().lines() {
        let mut columns = row.split('|').map(|column| column.trim().replace('⏎', "\n"));
        let [name, from, to] = std::array::from_fn(|_| columns.next().expect("a column"));
        assert!(text.contains(&from), "{name}");
        let changed = text.replacen(&from, &to, 1);
        check(&name, reseal(&changed).as_bytes(), fresh());
    }
    let half = text.len() / 2;
    let raw: Vec<(&str, Vec<u8>)> = vec![
        ("no bytes", Vec::new()),
        ("an empty object", b"{}".to_vec()),
        ("an empty list", b"[]".to_vec()),
        ("half of it", text.as_bytes()[..half].to_vec()),
        ("without its last line break", text.as_bytes()[..text.len() - 1].to_vec()),
        ("with a carriage return", text.replace('\n', "\r\n").into_bytes()),
        ("with a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("not UTF-8", [b"\xff", text.as_bytes()].concat()),
        (
            "without a checksum",
            text.as_bytes()[..text.rfind("  \"manifest_sha256\"").expect("it")].to_vec(),
        ),
        ("the checksum in capitals", capital_checksum(&text).into_bytes()),
        (
            "altered under its checksum",
            text.replacen("\"documents\": 3", "\"documents\": 4", 1).into_bytes(),
        ),
        (
            "deep JSON",
            reseal(&format!("{}\n  \"manifest_sha256\": \"\"\n}}\n", "[".repeat(100_000)))
                .into_bytes(),
        ),
    ];
    for (name, bytes) in raw {
        check(name, &bytes, fresh());
    }
    golden("manifests.txt", &all);
}

fn capital_checksum(text: &str) -> String {
    let (body, checksum) = text.split_at(text.rfind(": \"").expect("the checksum"));
    format!("{body}{}", checksum.to_uppercase())
}

/// A manifest of very many files is refused, each file by its name.
#[test]
fn a_manifest_of_very_many_files_is_reported_file_by_file() {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let text = fs::read_to_string(out.join("manifest.json")).expect("the manifest");
    let entry = "    {\"path\": \"#\", \"role\": \"metadata\", \"namespace\": \"a.b\", \"documents\": null, \"bytes\": 0, \"sha256\": \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", \"raw_bytes\": null, \"raw_sha256\": null},\n";
    let many: String = (0..20_000).map(|number| entry.replace('#', &number.to_string())).collect();
    let text = text.replacen("\"files\": [\n", &format!("\"files\": [\n{many}"), 1);
    fs::write(out.join("manifest.json"), reseal(&text)).expect("a file");
    let report = verify(&verify::Options::new(&out), &Silent).expect("a report");
    assert!(report.differences.len() >= 20_000);
}

/// Files of another run of the same tool, each of them sound.
#[test]
fn files_of_another_run_are_refused() {
    let world = World::new();
    let one = world.transform(&fixture("odd/no-prelude"), "one");
    let other = world.transform(&fixture("odd/defaults"), "other");
    assert_eq!(said(&world, &one).0, Vec::<String>::new());
    fs::remove_dir_all(world.path("back")).expect("the result");
    let mut all = String::new();
    for name in files(&one).keys() {
        let out = world.path("out");
        copy(&one, &out);
        fs::copy(other.join(name), out.join(name)).expect("a file");
        if files(&one)[name] == files(&other)[name] {
            fs::remove_dir_all(&out).expect("the copy");
            continue;
        }
        let (verified, reversed) = said(&world, &out);
        assert!(!verified.is_empty(), "verify accepts {name} of another run");
        assert_ne!(reversed, "it was reversed", "{name}");
        assert!(!world.path("back").exists());
        all += &without_sums(&format!(
            "{name}\nverify:\n{}\nreverse:\n{reversed}\n\n",
            verified.join("\n")
        ));
        // With the manifest and its sums made to fit, only the proof of the reversal is left.
        if name == METADATA || name == CONFIGS || name == JOURNAL {
            let manifest = fit_manifest(&out, name);
            fs::write(out.join("manifest.json"), manifest).expect("a file");
            let (_, reversed) = said(&world, &out);
            assert_ne!(
                reversed, "it was reversed",
                "{name} of another run, with a manifest that fits"
            );
            assert!(!world.path("back").exists());
            all += &without_sums(&format!(
                "{name}, with a manifest that fits\nreverse:\n{reversed}\n\n"
            ));
        }
        fs::remove_dir_all(&out).expect("the copy");
    }
    golden("other-run.txt", &all);
}

/// The manifest of an output, changed to say what one file has now; SHA256SUMS with it.
fn fit_manifest(out: &Path, name: &str) -> String {
    let path = out.join("manifest.json");
    let mut manifest =
        mongosplit::manifest::Manifest::parse(&fs::read(&path).expect("the manifest"), &path)
            .expect("a manifest");
    let content = fs::read(out.join(name)).expect("the file");
    let file = manifest.files.iter_mut().find(|file| file.path == name).expect("the entry");
    (file.bytes, file.sha256) = (content.len() as u64, mongosplit::hash::sha256(&content));
    fs::write(out.join("SHA256SUMS"), manifest.sums()).expect("a file");
    manifest.to_text()
}

/// What `verify` and `reverse` say where the journal's header was changed, and the manifest fits it.
fn with_header(change: impl FnOnce(&mut Vec<u8>)) -> (String, String) {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let mut journal = fs::read(out.join(JOURNAL)).expect("the journal");
    change(&mut journal);
    fs::write(out.join(JOURNAL), journal).expect("the journal");
    let manifest = fit_manifest(&out, JOURNAL);
    fs::write(out.join("manifest.json"), manifest).expect("the manifest");
    let (verified, reversed) = said(&world, &out);
    (verified.join("\n"), reversed)
}

/// The place of what follows this text in some bytes.
fn after(bytes: &[u8], what: &[u8]) -> usize {
    let at = bytes.windows(what.len()).position(|window| window == what);
    at.expect("the text") + what.len()
}

#[test]
fn a_journal_of_another_format_or_inverse_is_refused() {
    let file = "'DIR/out/narrative_modeling.user_data.rollback'";
    for (field, number, what) in [
        (
            &b"\x10format\0"[..],
            1,
            "has journal format 1, but this version of mongosplit reads 2; outputs of mongosplit 0.1 have format 1, and are read by the version that made them",
        ),
        (b"\x10format\0", 3, "has journal format 3, but this version of mongosplit reads 2"),
        (
            b"\x10inverse\0",
            2,
            "was written for inverse 2, but this version of mongosplit has 1; use the version that made the output",
        ),
    ] {
        let (verified, reversed) = with_header(|journal| {
            let at = after(journal, field);
            journal[at] = number;
        });
        assert_eq!(verified, format!("{file}: {what}"));
        assert_eq!(reversed, format!("{file}: {what}"));
    }
}

/// The journal's mapping is the one that the manifest names, or none.
#[test]
fn a_mapping_that_was_changed_in_the_journal_is_noticed() {
    let (verified, reversed) = with_header(|journal| {
        let at = after(journal, b"\x02text\0") + 4;
        journal[at] ^= 1;
    });
    let plan = Plan::built_in().expect("the plan");
    let mut text = plan.text().as_bytes().to_vec();
    text[0] ^= 1;
    let what = format!(
        "'DIR/out/narrative_modeling.user_data.rollback': holds a mapping with SHA-256 {}, but names {}",
        mongosplit::hash::sha256(&text),
        plan.id()
    );
    assert_eq!((verified, reversed), (what.clone(), what));
}

/// A mapping of a language that this version does not know.
#[test]
fn a_mapping_that_does_not_compile_is_refused() {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let plan = Plan::built_in().expect("the plan");
    let text = plan.text().replacen("\nformat  = 2", "\nformat  = 9", 1);
    let sha256 = mongosplit::hash::sha256(text.as_bytes());
    let mut journal = fs::read(out.join(JOURNAL)).expect("the journal");
    for (from, to) in [(plan.text(), &text), (&plan.id().sha256, &sha256)] {
        let at = after(&journal, from.as_bytes());
        journal[at - from.len()..at].copy_from_slice(to.as_bytes());
    }
    fs::write(out.join(JOURNAL), journal).expect("the journal");
    edit(out.join("manifest.json"), |text| reseal(&text.replace(&plan.id().sha256, &sha256)));
    let manifest = fit_manifest(&out, JOURNAL);
    fs::write(out.join("manifest.json"), manifest).expect("the manifest");
    let (verified, reversed) = said(&world, &out);
    let verified = verified.join("\n");
    let what = "'DIR/out/narrative_modeling.user_data.rollback': its mapping cannot be compiled by this version of mongosplit; use the version that made the output: ";
    let why = "format 9 is unknown to this version, which reads format 2";
    assert!(verified.starts_with(what) && verified.contains(why), "{verified}");
    assert_eq!(verified, reversed);
}

/// A journal with this batch instead of its own.
fn with_batch(journal: &[u8], batch: &Document) -> Vec<u8> {
    let header = u32::from_le_bytes(journal[..4].try_into().expect("a length")) as usize;
    [&journal[..header], &batch.to_vec().expect("a document")].concat()
}

/// What `reverse` says where the journal has this batch, and the manifest fits it.
fn reversed_with(case: &str, batch: &Document) -> String {
    let world = World::new();
    let out = world.transform(&fixture("odd").join(case), "out");
    let journal = fs::read(out.join(JOURNAL)).expect("the journal");
    fs::write(out.join(JOURNAL), with_batch(&journal, batch)).expect("the journal");
    fs::write(out.join("manifest.json"), fit_manifest(&out, JOURNAL)).expect("the manifest");
    let (_, reversed) = said(&world, &out);
    assert!(!world.path("back").exists());
    reversed
}

fn program(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// A journal says in few bytes what may come back as many: field orders and records of items are referred to.
#[test]
fn a_journal_cannot_ask_for_any_amount_of_memory() {
    let said = |what: &str| format!("'DIR/out/{JOURNAL}' does not fit the collections: {what}");
    let name = |length: usize| "n".repeat(length) + "\0";

    // Each document has one field with a long name, null.
    let null = [6, 0, 2, 0];
    let batch = doc! {
        "documents": 3, "targets": [3, 3, 0], "orders": [name(200_000)], "program": program(&null.repeat(3)), "values": [],
    };
    assert_eq!(
        reversed_with("no-prelude", &batch),
        said("a batch would be larger than a batch can be")
    );

    // The third document of the case has two items, and one record serves both.
    let items = [6, 1, 5, 6, 2, 0, 1, 0];
    let batch = doc! {
        "documents": 3, "targets": [3, 3, 0], "orders": ["x\0", "transformation_history\0", name(9_000_000)],
        "program": program(&[&null[..], &null, &items].concat()), "values": [],
    };
    assert_eq!(
        reversed_with("steps", &batch),
        said("a restored document would be larger than the maximum")
    );

    let orders: Vec<Bson> =
        [name(2000).into()].into_iter().chain((0..10_000).map(|_| Bson::Int32(0))).collect();
    let batch = doc! { "documents": 3, "targets": [3, 3, 0], "orders": orders, "program": program(&[]), "values": [] };
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let journal = with_batch(&fs::read(out.join(JOURNAL)).expect("the journal"), &batch);
    let (mut reader, _) = JournalReader::open(journal.as_slice(), "j".into()).expect("the header");
    let error = reader.next(&mut JournalBatch::default()).expect_err("an error");
    assert_eq!(error.to_string(), "'j': a batch has more field orders than its documents can have");
}

/// The documents that a journal keeps whole are in an array, which is checked with the journal.
#[test]
fn a_journal_with_its_values_in_bytes_is_refused() {
    // As an array these bytes, their subtype included, would hold a document of a length that it does not have.
    let values =
        Binary { subtype: BinarySubtype::UserDefined(3), bytes: b"0\0\x05\0\0\0\xff".to_vec() };
    let batch = doc! { "documents": 1, "targets": [1, 1, 0], "orders": [], "program": program(&[7]), "values": values };
    let reversed = reversed_with("no-prelude", &batch);
    assert_eq!(
        reversed,
        format!(
            "'DIR/out/{JOURNAL}' does not fit the collections: a value that the program asks for is missing"
        )
    );
}

/// Whether every bit and every length is taken, as `make limits` does.
fn is_every_bit() -> bool {
    std::env::var_os("EVERY_BIT").is_some()
}

/// Changes every byte of every file, one at a time. A rejected document is among them.
fn change_every_byte(more: &[&str]) {
    let world = World::new();
    let out = world.transform_with(
        &fixture("odd/no-id"),
        "out",
        &[&["--skip-unrestorable"], more].concat(),
    );
    let mut options = verify::Options::new(&out);
    options.threads = Some(1);
    assert!(verify(&options, &Silent).expect("a report").differences.is_empty());
    for (name, bytes) in files(&out) {
        let path = out.join(&name);
        for at in 0..bytes.len() {
            let one = [[0x01, 0x20, 0x80][at % 3]];
            let all = [1, 2, 4, 8, 16, 32, 64, 128];
            for bit in if is_every_bit() { &all[..] } else { &one } {
                fs::write(&path, flip(&bytes, at, *bit)).expect("the file");
                let found =
                    verify(&options, &Silent).map_or(true, |report| !report.differences.is_empty());
                assert!(found, "byte {at} of {name} was changed, and verify says that all is well");
            }
        }
        fs::write(&path, &bytes).expect("the file");
    }
    assert!(verify(&options, &Silent).expect("a report").differences.is_empty());
}

#[test]
fn every_changed_byte_is_found() {
    change_every_byte(&[]);
}

#[test]
fn every_changed_byte_of_compressed_files_is_found() {
    change_every_byte(&["--gzip"]);
}

/// The same for `reverse`, which reads less: every byte of what it needs, and some of the rest.
#[test]
fn reverse_takes_no_changed_byte() {
    let world = World::new();
    let out = world.transform_with(&fixture("odd/no-id"), "out", &["--skip-unrestorable"]);
    let mut options = reverse::Options::new(&out, world.path("back"));
    (options.threads, options.dry_run) = (Some(1), true);
    reverse(&options, &Silent).unwrap_or_else(|error| panic!("{error}"));
    for (name, bytes) in files(&out) {
        for at in (0..bytes.len()).step_by(3) {
            fs::write(out.join(&name), flip(&bytes, at, 1 << (at % 8))).expect("the file");
            assert!(
                reverse(&options, &Silent).is_err(),
                "byte {at} of {name} was changed, and reverse goes on"
            );
        }
        fs::write(out.join(&name), &bytes).expect("the file");
    }
}

/// Each length that a file can be cut to.
#[test]
fn no_file_may_be_cut() {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    assert!(verify(&verify::Options::new(&out), &Silent).expect("a report").differences.is_empty());
    for (name, bytes) in files(&out) {
        for length in (0..bytes.len()).step_by(if is_every_bit() { 1 } else { 7 }) {
            fs::write(out.join(&name), &bytes[..length]).expect("the file");
            let found = verify(&verify::Options::new(&out), &Silent)
                .map_or(true, |report| !report.differences.is_empty());
            assert!(found, "{name} was cut to {length} bytes");
        }
        fs::write(out.join(&name), &bytes).expect("the file");
    }
}

/// What systems leave in any directory is told, and is no difference: `reverse` takes the output too.
#[test]
fn what_systems_leave_in_a_directory_is_a_remark() {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    fs::write(out.join(".DS_Store"), "x").expect("a file");
    fs::write(out.join(DATABASE).join("Thumbs.db"), "x").expect("a file");
    fs::create_dir(out.join("lost+found")).expect("a directory");
    let report = verify(&verify::Options::new(&out), &Silent).expect("a report");
    assert!(report.differences.is_empty());
    let remark = |name: &str| {
        format!(
            "'{name}' exists; systems create it in any directory, and it is not part of the output"
        )
    };
    let expected = [".DS_Store", "lost+found", "narrative_modeling/Thumbs.db"].map(remark);
    let remarks: Vec<String> = report.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(remarks, expected);
    assert_eq!(said(&world, &out).1, "it was reversed");
    world.run(["verify".as_ref(), out.as_os_str(), "-v".as_ref()]).exits(0).says(&expected[0]);
}

/// What cannot be read is an error, and what is no file is refused at once and never waited for.
#[test]
fn what_is_not_a_regular_file_is_refused_at_once() {
    let world = World::new();
    let make_fifo = |path: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
    };
    for name in ["SHA256SUMS", "manifest.json", JOURNAL, METADATA] {
        let out = world.path("out");
        let _ = fs::remove_dir_all(&out);
        world.transform(&fixture("odd/no-prelude"), "out");
        fs::remove_file(out.join(name)).expect("a file");
        make_fifo(&out.join(name)).expect("a pipe");
        let (verified, reversed) = said(&world, &out);
        let refused = match name {
            "manifest.json" => format!("'DIR/out/{name}': is not a regular file"),
            _ => format!("'{name}' is not a regular file"),
        };
        assert!(verified.contains(&refused), "{verified:?}");
        assert!(reversed.contains(&refused), "{reversed}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let run = |step| {
        verify::verify_on(
            &Disk::with_fault(step, Fault::Once),
            &verify::Options::new(&out),
            &Silent,
        )
    };
    let mut failed = Vec::new();
    for step in 1.. {
        match run(step) {
            Ok(report) if report.differences.is_empty() => break,
            Ok(report) => failed.extend(report.differences.iter().map(ToString::to_string)),
            Err(error) => failed.push(error.to_string()),
        }
    }
    for name in ["SHA256SUMS", "manifest.json", JOURNAL, METADATA] {
        for action in ["open", "read"] {
            let expected =
                format!("cannot {action} '{}': stopped here by a test", out.join(name).display());
            assert!(
                failed.iter().any(|error| error.contains(&expected)),
                "{expected} in {failed:#?}"
            );
        }
    }
}

/// A reversal that stops before it has read all says nothing of what it has not read.
#[test]
fn sound_files_are_not_blamed() {
    let world = World::new();
    let out = world.transform(&world.generate("dump", 40), "out");
    let bytes = fs::read(out.join(CONFIGS)).expect("a file");
    let mut shorter = bytes.clone();
    // The last document goes, and the manifest fits what is left.
    let last = split(&bytes).pop().expect("documents").len();
    shorter.truncate(bytes.len() - last);
    fs::write(out.join(CONFIGS), &shorter).expect("a file");
    fs::write(out.join("manifest.json"), fit_manifest(&out, CONFIGS)).expect("a file");
    assert_eq!(
        said(&world, &out).1,
        format!("'DIR/out/{CONFIGS}' has fewer documents than the journal describes")
    );
}

/// All that is wrong is reported, not the first alone.
#[test]
fn everything_is_reported() {
    let world = World::new();
    let out = world.transform(&dump(), "out");
    fs::remove_file(out.join("SHA256SUMS")).expect("a file");
    append(out.join(METADATA), &[5, 0, 0, 0, 0]);
    fs::write(out.join("extra"), "").expect("a file");
    let (verified, _) = said(&world, &out);
    for what in [
        "'SHA256SUMS' is missing",
        "'extra' exists, but is not in the manifest",
        "has 61 documents, the manifest says 60 documents",
    ] {
        assert!(verified.iter().any(|line| line.contains(what)), "{what} in {verified:?}");
    }
}
