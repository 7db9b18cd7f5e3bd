//! Whatever names, options, server versions and documents hold: nothing that is shown steers a terminal, turns the
//! direction of writing or begins a line of its own; no value of a document is in it; and a printed command means what
//! it says.

mod harness;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use bson::{Bson, Document, doc};
use harness::samples::{application, oid, with_model};
use harness::{DATABASE, World, copy, fixture, root, write_dump};
use mongosplit::plain::is_plain;

/// What a name or a value may hold that a terminal, a reader or a pager would obey.
const HOSTILE: &str =
    "n\u{1b}[31m\u{9b}2J\u{7}\u{7f}\u{202e}\u{2066}\u{2028}\r\nFORGED: it's <b>fine</b>\t";

/// Fails if a text has what it must not have.
fn check(what: &str, text: &str) {
    for line in text.split('\n') {
        assert!(line.chars().all(is_plain), "{what}: {line:?}");
    }
    // Words may be wrapped before it, but not behind the character that is escaped before it.
    assert!(!text.contains("\\r\nFORGED"), "{what}: {text}");
}

/// Runs a command in the temporary directory with every record, and checks all that it shows. Returns the exit code.
fn shows_nothing_hostile(world: &World, arguments: &[&str], has_records: bool) -> Option<i32> {
    for name in ["r.json", "r.html", "r.md", "r.prom", "l.log", "d.ndjson"] {
        let _ = fs::remove_file(world.path(name));
    }
    let mut words: Vec<&str> = arguments.to_vec();
    if has_records {
        words.extend("--report r.json --report r.html --report r.md --metrics r.prom --log-file l.log -v --progress plain".split(' '));
    }
    let run = world.run_inside(&words);
    let what = format!("{arguments:?}");
    check(&format!("{what} stdout"), &run.stdout);
    check(&format!("{what} stderr"), &run.stderr);
    for name in ["r.json", "r.html", "r.md", "r.prom", "l.log", "d.ndjson"] {
        let Ok(text) = fs::read_to_string(world.path(name)) else { continue };
        check(&format!("{what} {name}"), &text);
        if name == "r.html" {
            assert!(!text.contains("<b>"), "{text}");
        }
        if name == "r.json" {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
    }
    if has_records && run.code() != Some(2) {
        let forms = ["--json", "--color"];
        let mut words: Vec<&str> = arguments.to_vec();
        words.extend([forms[0], "--progress", "json"]);
        let again = world.run_inside(&words);
        check(&format!("{what} --json"), &again.stdout);
        check(&format!("{what} --json"), &again.stderr);
        let mut words: Vec<&str> = arguments.to_vec();
        words.extend([forms[1], "always"]);
        let coloured = world.run_inside(&words).stdout;
        let mut parts = coloured.split("\u{1b}[");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        parts.for_each(|part| plain += part.split_once('m').map_or(part, |(_, rest)| rest));
        // A name's own colour would be taken out here too, so it is looked for by what stands before it.
        assert!(!coloured.contains("n\u{1b}[31m"), "{what}: {coloured:?}");
        check(&format!("{what} --color"), &plain);
    }
    run.code()
}

/// A dump whose names are hostile wherever a name can be: fields, `_id`s, collections, indexes, the server's version.
fn write_hostile_dump(at: &Path) {
    let mut documents = Vec::new();
    for number in 0..4 {
        let mut document = with_model(application(oid(number), 2));
        document.insert(HOSTILE, HOSTILE);
        document.insert("schema", doc! { HOSTILE: { HOSTILE: HOSTILE } });
        document.insert("aiSummary", doc! { HOSTILE: 1, "issues": 5 });
        documents.push(document);
    }
    documents[1].insert("_id", HOSTILE);
    documents[2].insert("_id", doc! { HOSTILE: HOSTILE });
    documents[3].insert("transformation_history", vec![doc! { HOSTILE: 1, "type": HOSTILE }]);
    let bytes: Vec<u8> = documents.iter().flat_map(|one| one.to_vec().expect("BSON")).collect();
    write_dump(at, DATABASE, &[("user_data", &bytes), ("other", b"")]);
    let place = at.join(DATABASE);
    let hostile_file = HOSTILE.replace('/', "%2F");
    fs::write(place.join(format!("{hostile_file}.bson")), b"").expect("a collection");
    let metadata = serde_json::json!({
        "options": { HOSTILE: 1 },
        "indexes": [
            { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
            { "v": 2, "key": { HOSTILE: 1 }, "name": HOSTILE, "unique": true },
            { "v": 2, "key": { "user_id": 1 }, "name": format!("{HOSTILE}2"), HOSTILE: HOSTILE },
        ],
        "collectionName": "user_data", "type": "collection", HOSTILE: HOSTILE,
    });
    fs::write(place.join("user_data.metadata.json"), metadata.to_string()).expect("metadata");
    let prelude = serde_json::json!({ "ServerVersion": HOSTILE, "ToolVersion": HOSTILE });
    fs::write(at.join("prelude.json"), prelude.to_string()).expect("a prelude");
}

#[test]
fn names_of_files_and_of_what_is_in_them() {
    let world = World::new();
    let file = |name: &str| format!("{}-{name}", HOSTILE.replace('/', "_"));
    let (dump, out, back) = (file("dump"), file("out"), file("back"));
    write_hostile_dump(&world.path(&dump));
    let mapping = file("mapping.toml");
    fs::copy(root().join("mappings/user_data.toml"), world.path(&mapping)).expect("a mapping");
    let run = |arguments: &[&str]| shows_nothing_hostile(&world, arguments, true);
    assert_eq!(run(&["inspect", &dump]), Some(0));
    assert_eq!(run(&["transform", &dump, &out, "--mapping", &mapping]), Some(0));
    assert_eq!(run(&["transform", &dump, &out, "--force", "--strict"]), Some(1));
    assert_eq!(run(&["transform", &dump, &out]), Some(4));
    assert_eq!(run(&["transform", &dump, &out, "--dry-run"]), Some(0));
    assert_eq!(run(&["verify", &out]), Some(0));
    assert_eq!(run(&["verify", &out, "--source", &dump]), Some(0));
    assert_eq!(run(&["findings", &out]), Some(0));
    assert_eq!(run(&["show", &out, "--id", HOSTILE]), Some(0));
    assert_eq!(run(&["show", &out, "--id", &file("none")]), Some(1));
    assert_eq!(run(&["sample", &dump, &file("sample"), "--docs", "2"]), Some(0));
    check(
        "sample.ndjson",
        &fs::read_to_string(world.path(&file("sample")).join("sample.ndjson")).expect("a list"),
    );
    assert_eq!(run(&["reverse", &out, &back]), Some(0));
    assert_eq!(run(&["mapping", "check", &mapping, &dump]), Some(0));
    assert_eq!(run(&["mapping", "explain", &mapping, &dump, "--id", HOSTILE]), Some(0));
    let plain = |arguments: &[&str]| shows_nothing_hostile(&world, arguments, false);
    assert_eq!(plain(&["mapping", "init", &dump, "--collection", "user_data"]), Some(0));
    assert_eq!(plain(&["mapping", "test", &mapping]), Some(0));
    // A re-dump that differs, one of another output, and one that is cut.
    let redump = file("redump");
    copy(&world.path(&out), &world.path(&redump));
    for name in ["manifest.json", "SHA256SUMS", "narrative_modeling.user_data.rollback"] {
        fs::remove_file(world.path(&redump).join(name)).expect("a file of the output");
    }
    let collection = world.path(&redump).join(DATABASE).join("dataset_metadata.bson");
    let bytes = fs::read(&collection).expect("a collection");
    let changed: Vec<u8> = harness::split(&bytes)
        .into_iter()
        .skip(1)
        .flat_map(|bytes| {
            let mut document = Document::from_reader(bytes).expect("a document");
            document.insert(format!("{HOSTILE}new"), HOSTILE);
            document.to_vec().expect("BSON")
        })
        .collect();
    fs::write(&collection, changed).expect("a collection");
    assert_eq!(run(&["verify", &out, "--restored", &redump, "--details", "d.ndjson"]), Some(1));
    assert_eq!(
        run(&["reverse", &out, &file("today"), "--current", &redump, "--details", "d.ndjson"]),
        Some(0)
    );
    fs::write(&collection, &bytes[..bytes.len() - 1]).expect("a collection");
    assert_eq!(run(&["reverse", &out, &file("cut"), "--current", &redump]), Some(3));
    // A damaged value is named with its path.
    let source = world.path(&dump).join(DATABASE).join("user_data.bson");
    let mut bytes = fs::read(&source).expect("documents");
    let at =
        bytes.windows(HOSTILE.len()).rposition(|one| one == HOSTILE.as_bytes()).expect("a name");
    bytes[at - 1] = 0x77;
    fs::write(&source, bytes).expect("documents");
    for command in ["inspect", "transform"] {
        let place = file("damaged");
        let words =
            if command == "inspect" { vec![command, &dump] } else { vec![command, &dump, &place] };
        assert_eq!(run(&words), Some(3));
    }
    fs::write(world.path(&out).join(file("foreign")), "").expect("a file");
    assert_eq!(run(&["verify", &out]), Some(1));
    assert_eq!(run(&["transform", &dump, &out, "--force"]), Some(4));
}

#[test]
fn names_in_archives() {
    let world = World::new();
    write_hostile_dump(&world.path("dump"));
    let run = |arguments: &[&str]| shows_nothing_hostile(&world, arguments, true);
    for version in [HOSTILE, "\u{9b}31m"] {
        run(&["transform", "dump", "archive", "--archive", "--force", "--server-version", version]);
    }
    // An archive whose prelude is hostile: the version is of the same length.
    let archive = fs::read(fixture("all.archive")).expect("an archive");
    for (from, to) in [
        ("user_data", "u\u{1b}[31m\r\u{9b}"),
        ("analytics", "a\u{1b}[31m\nxy"),
        ("\"v\":", "\"\u{9b}:"),
    ] {
        assert_eq!(from.len(), to.len());
        let mut changed = archive.clone();
        let mut at = 0;
        while let Some(found) =
            changed[at..].windows(from.len()).position(|one| one == from.as_bytes())
        {
            at += found;
            changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
        world.write("hostile.archive", changed);
        for arguments in [
            vec!["inspect", "hostile.archive"],
            vec!["transform", "hostile.archive", "from-archive", "--force"],
            vec!["sample", "hostile.archive", "sample", "--docs", "1"],
        ] {
            let code = run(&arguments).expect("an exit code");
            assert!(code < 5, "{arguments:?}: {code}");
        }
    }
}

#[test]
fn words_of_the_command_line() {
    let world = World::new();
    copy(&fixture("dump"), &world.path("dump"));
    world.transform(&world.path("dump"), "out");
    let option = format!("--{HOSTILE}");
    let equal = format!("--io={HOSTILE}");
    for arguments in [
        vec![HOSTILE],
        vec![&option],
        vec!["transform", HOSTILE, "x"],
        vec!["transform", "dump", "x", &option],
        vec!["transform", "dump", "x", &equal],
        vec!["transform", "dump", "x", "--db", HOSTILE],
        vec!["transform", "dump", "x", "--to-db", HOSTILE],
        vec!["transform", "dump", "x", "--mapping", HOSTILE],
        vec!["transform", "dump", "x", "--mapping", "built-in:\u{1b}[31m"],
        vec!["transform", "dump", "x", "--expect-docs", HOSTILE],
        vec!["transform", "dump", "x", "--max-rejected", HOSTILE],
        vec!["transform", "dump", "x", "--expect-duration", HOSTILE],
        vec!["transform", "dump", "-o", HOSTILE],
        vec!["transform", "dump", "x", "--report", "none/\u{1b}[31m/x"],
        vec!["transform", "dump", "-", "--sidecar", HOSTILE, "--archive"],
        vec!["verify", HOSTILE],
        vec!["verify", "out", "--source", HOSTILE],
        vec!["verify", "out", "--restored", HOSTILE],
        vec!["reverse", HOSTILE, "y"],
        vec!["reverse", "out", "y", "--current", HOSTILE],
        vec!["reverse", "out", "y", "--beside", HOSTILE],
        vec!["reverse", "out", "y", "--to-db", HOSTILE],
        vec!["show", "out", "--id", HOSTILE],
        vec!["show", "out", "--id", "1", "--db", HOSTILE],
        vec!["sample", "dump", "z", "--docs", "1", "--mask", HOSTILE],
        vec!["mapping", "show", HOSTILE],
        vec!["mapping", "check", HOSTILE],
        vec!["mapping", "init", "dump", "--collection", HOSTILE],
        vec!["mapping", HOSTILE],
        vec!["man", HOSTILE],
        vec!["completions", HOSTILE],
    ] {
        let code = shows_nothing_hostile(&world, &arguments, false);
        assert!(matches!(code, Some(1..=4)), "{arguments:?}: {code:?}");
    }
    // What is not UTF-8.
    for name in [&b"\xff\x1b[31m"[..], b"-\xffx"] {
        let run = world.run_inside([OsString::from("inspect"), OsString::from_vec(name.to_vec())]);
        check("not UTF-8", &run.stderr);
    }
    // A mapping with hostile names in it, and mistakes.
    let mapping = fs::read_to_string(root().join("mappings/user_data.toml")).expect("a mapping");
    let hostile = "\\u001b[31m\\r\\nFORGED";
    for (number, changed) in [
        mapping.replacen("user_data", &format!("user{hostile}"), 1),
        mapping.replacen("name", hostile, 3),
        format!("{mapping}\n[\"{hostile}\"]\nx = 1\n"),
        format!("{mapping}\n\u{1b}[31m\u{9b}"),
        mapping.replacen(
            "collection = \"dataset_metadata\"",
            &format!("collection = \"{hostile}\""),
            1,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_ne!(changed, mapping, "{number}");
        world.write("m.toml", changed);
        for arguments in [
            vec!["mapping", "check", "m.toml"],
            vec!["mapping", "show", "m.toml"],
            vec!["transform", "dump", "x", "--mapping", "m.toml", "--dry-run"],
        ] {
            let code = shows_nothing_hostile(&world, &arguments, false);
            assert!(matches!(code, Some(0..=4)), "{arguments:?}: {code:?}");
        }
    }
}

/// Names in a mapping, wherever it may have one, and its tests.
#[test]
fn names_in_mappings() {
    let world = World::new();
    copy(&fixture("dump"), &world.path("dump"));
    let mapping = fs::read_to_string(root().join("mappings/user_data.toml")).expect("a mapping");
    let mut words: Vec<&str> = mapping.split('"').skip(1).step_by(2).collect();
    words.retain(|word| !word.is_empty() && word.len() < 40 && !word.contains(['\n', '\\']));
    words.sort_unstable();
    words.dedup();
    assert!(words.len() > 100, "{words:?}");
    // Each third one: the others have the same places.
    for word in words.into_iter().step_by(3) {
        let hostile = format!("\"{word}\\u001b[31m\\r\\nFORGED\"");
        world.write("m.toml", mapping.replace(&format!("\"{word}\""), &hostile));
        for arguments in [
            vec!["mapping", "check", "m.toml", "dump"],
            vec!["mapping", "show", "m.toml"],
            vec!["mapping", "test", "m.toml"],
            vec![
                "transform",
                "dump",
                "x",
                "--mapping",
                "m.toml",
                "--dry-run",
                "-v",
                "--allow-empty",
            ],
        ] {
            let code = shows_nothing_hostile(&world, &arguments, false);
            assert!(matches!(code, Some(0..=3)), "{arguments:?}: {code:?}");
        }
    }
}

/// Names in a manifest and in a journal, by somebody who has sealed them again.
#[test]
fn names_in_outputs() {
    let world = World::new();
    copy(&fixture("dump"), &world.path("dump"));
    world.transform(&world.path("dump"), "out");
    let manifest = fs::read_to_string(world.path("out/manifest.json")).expect("a manifest");
    let hostile = "x\\u001b[31m\\r\\nFORGED";
    let mut words: Vec<&str> = manifest.split('"').skip(1).step_by(2).collect();
    words.sort_unstable();
    words.dedup();
    for word in words.iter().filter(|word| !word.is_empty() && **word != "manifest_sha256") {
        let changed = manifest.replace(&format!("\"{word}\""), &format!("\"{hostile}\""));
        world.write("out/manifest.json", harness::reseal(&changed));
        for arguments in [
            vec!["verify", "out"],
            vec!["verify", "out", "--restored", "out"],
            vec!["reverse", "out", "back", "--dry-run"],
            vec!["reverse", "out", "back", "--current", "out", "--dry-run"],
            vec!["findings", "out"],
            vec!["show", "out", "--id", "1"],
        ] {
            let code = shows_nothing_hostile(&world, &arguments, false);
            assert!(matches!(code, Some(0..=3)), "{word}: {arguments:?}: {code:?}");
        }
    }
}

/// The commands that are printed for a database named like an option, and for paths that a shell would take apart.
#[test]
fn printed_commands_mean_what_they_say() {
    let world = World::new();
    let documents = with_model(application(oid(1), 1)).to_vec().expect("BSON");
    write_dump(&world.path("dump"), "-x", &[("user_data", &documents)]);
    let out = "-out $(touch forged)\u{1b}'";
    let run = world.run_inside(["transform", "dump", "--", out]).exits(0);
    let text = world.plain(&run.stdout);
    for expected in [
        "--nsInclude=-x.dataset_metadata",
        "mongodump --uri \"$MONGODB_URI\" --db=-x --out redump",
        r"mongosplit reverse $'./-out $(touch forged)\x1b\'' rehearsal",
    ] {
        let words =
            text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected), "{expected}: {text}");
    }
    // The shell gives the program the very bytes back.
    let command = text.lines().find(|line| line.contains("mongosplit reverse")).expect("a command");
    let script = format!(
        "cd \"$DIR\" && mongosplit() {{ \"$MONGOSPLIT\" \"$@\"; }} && {} && test ! -e forged",
        command.trim()
    );
    world.shell(&format!("exec bash -c {}", shlex::try_quote(&script).expect("a script"))).exits(0);
    let original = fs::read(world.path("dump/-x/user_data.bson")).expect("the source");
    assert_eq!(fs::read(world.path("rehearsal/-x/user_data.bson")).expect("the result"), original);
}

/// What `inspect` prints to run next says what it was told itself; a hint gives the words back.
#[test]
fn printed_commands_hold_all_that_was_said() {
    let world = World::new();
    let document = with_model(application(oid(1), 1)).to_vec().expect("BSON");
    for database in ["one", "-two"] {
        write_dump(&world.path("dump"), database, &[("user_data", &document)]);
    }
    let mapping = fs::read_to_string(root().join("mappings/user_data.toml")).expect("a mapping");
    world.write("a mapping.toml", mapping);
    for (arguments, expected) in [
        (vec!["inspect", "dump"], "mongosplit transform dump OUT --all-dbs"),
        (
            vec!["inspect", "dump", "--db=-two"],
            "mongosplit transform dump OUT --db=-two --expect-docs 1",
        ),
        (
            vec!["inspect", "dump", "--db", "one", "--mapping", "a mapping.toml"],
            "mongosplit transform dump OUT --mapping 'a mapping.toml' --db one --expect-docs 1",
        ),
    ] {
        let said = world.run_inside(&arguments).exits(0).stdout;
        let said =
            said.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    for (arguments, expected) in [
        (vec!["transform", "dump", "-o", "-x"], "mongosplit transform dump ./-x"),
        (vec!["transform", "dump", "--out=a\u{1b} b"], r"mongosplit transform dump $'a\x1b b'"),
        (vec!["transform", "a dump", "-o", "out"], "mongosplit transform 'a dump' out"),
    ] {
        let said = world.run_inside(&arguments).exits(2).stderr;
        assert!(said.trim_end().ends_with(expected), "{arguments:?}: {said}");
    }
    // A command within a text is not taken apart where the text is wrapped.
    let out = "an output with a long name in which there are blanks and more of them";
    let said = world.run_inside(["transform", "dump", out, "--db", "one"]).exits(0).stdout;
    assert!(said.contains("(mongosplit findings OUT)"), "{said}");
}

/// A text that stands in every value of a document.
const SECRET: &str = "S3CR3T";

/// Replaces the texts in a value, but those that the mapping enumerates, and numbers.
fn conceal(value: &mut Bson, mapping: &str) {
    match value {
        Bson::String(text) if !mapping.contains(&format!("\"{text}\"")) => {
            *text = format!("{SECRET}-{text}");
        }
        Bson::Document(document) => {
            document.iter_mut().for_each(|(_, value)| conceal(value, mapping))
        }
        Bson::Array(items) => items.iter_mut().for_each(|item| conceal(item, mapping)),
        Bson::Int32(number) => *number += 73_310_000,
        Bson::Int64(number) => *number += 73_310_000,
        Bson::Double(number) => *number += 7331.7331,
        _ => {}
    }
}

fn reveals_nothing(world: &World, arguments: &[&str]) -> Option<i32> {
    let shown = ["r.json", "r.html", "r.md", "r.prom", "l.log", "d.ndjson"];
    for name in shown {
        let _ = fs::remove_file(world.path(name));
    }
    let records = "--report r.json --report r.html --report r.md --metrics r.prom --log-file l.log -v --progress plain";
    let has_details = matches!(arguments[0], "transform" | "verify" | "reverse");
    let words = arguments.iter().copied().chain(records.split(' '));
    let details: &[&str] = if has_details { &["--details", "d.ndjson"] } else { &[] };
    let run = world.run_inside(words.chain(details.iter().copied()));
    let texts = shown.map(|name| (name, fs::read_to_string(world.path(name)).unwrap_or_default()));
    let streams = [("stdout", run.stdout.clone()), ("stderr", run.stderr.clone())];
    for (name, text) in texts.iter().chain(&streams) {
        for value in [SECRET, "7331"] {
            let line = text.lines().find(|line| line.contains(value));
            assert!(line.is_none(), "{arguments:?} {name}: {}", line.unwrap_or_default());
        }
    }
    run.code()
}

/// Values reach no message, report, log or detail.
#[test]
fn values_of_documents_are_not_shown() {
    let world = World::new();
    let mapping = fs::read_to_string(root().join("mappings/user_data.toml")).expect("a mapping");
    let made = |allowed: &str, steps: i64| -> Vec<Document> {
        let of = |number: u32| {
            let mut document = with_model(application(oid(number), steps));
            document.insert("dataset_id", format!("{SECRET}-dataset"));
            document.insert("unknown", SECRET);
            document
                .iter_mut()
                .filter(|(name, _)| *name != "_id")
                .for_each(|(_, value)| conceal(value, allowed));
            document
        };
        (1..4).map(of).collect()
    };
    let bytes = |documents: &[Document]| -> Vec<u8> {
        documents.iter().flat_map(|one| one.to_vec().expect("BSON")).collect()
    };
    // All of one dataset_id, which is unique; and each of its own; and nothing as the mapping wants it.
    let unique = made(&mapping, 2);
    let mut sound = unique.clone();
    for (number, document) in sound.iter_mut().enumerate() {
        document.insert("dataset_id", format!("{SECRET}-{number}"));
    }
    let mut odd = made("", 2);
    odd.truncate(1);
    for (name, documents) in [("unique", &unique), ("sound", &sound), ("odd", &odd)] {
        write_dump(&world.path(name), DATABASE, &[("user_data", &bytes(documents))]);
        reveals_nothing(&world, &["inspect", name]);
        reveals_nothing(&world, &["transform", name, &format!("{name}-refused"), "--strict"]);
        reveals_nothing(
            &world,
            &["transform", name, &format!("{name}-out"), "--skip-unrestorable"],
        );
        reveals_nothing(&world, &["mapping", "check", "mapping.toml", name]);
        reveals_nothing(&world, &["sample", name, &format!("{name}-sample"), "--docs", "1"]);
        let out = format!("{name}-out");
        assert_eq!(reveals_nothing(&world, &["verify", &out]), Some(0), "{name}");
        assert_eq!(reveals_nothing(&world, &["verify", &out, "--source", name]), Some(0));
        reveals_nothing(&world, &["findings", &out]);
        assert_eq!(reveals_nothing(&world, &["reverse", &out, &format!("{name}-back")]), Some(0));
    }
    // Two outputs that contradict one another.
    assert_eq!(world.run_inside(["transform", "sound", "again"]).code(), Some(0));
    let mut others = sound.clone();
    for (number, document) in others.iter_mut().enumerate() {
        document.insert("_id", oid(90 + number as u32));
    }
    write_dump(&world.path("others"), DATABASE, &[("user_data", &bytes(&others))]);
    world.run_inside(["transform", "others", "others-out"]).exits(0);
    assert_eq!(reveals_nothing(&world, &["verify", "sound-out", "others-out"]), Some(1));
    assert_eq!(reveals_nothing(&world, &["verify", "sound-out", "again"]), Some(1));
    assert_eq!(
        reveals_nothing(
            &world,
            &["reverse", "sound-out", "others-out", "r1", "--current", "sound-out"]
        ),
        Some(1)
    );
    // What the application has changed since: a value, a type, an item, a document; then one key twice.
    let redump = world.path("redump");
    copy(&world.path("sound-out"), &redump);
    let collection = redump.join(DATABASE).join("dataset_metadata.bson");
    let before: Vec<Document> = harness::split(&fs::read(&collection).expect("a collection"))
        .into_iter()
        .map(|bytes| Document::from_reader(bytes).expect("a document"))
        .collect();
    let mut changed = before.clone();
    for (name, value) in changed[0].iter_mut() {
        if name != "_id" && name != "dataset_id" {
            *value = Bson::String(format!("{SECRET}-changed"));
        }
    }
    changed[1].insert("more", doc! { "x": SECRET, "y": 73_310_001 });
    changed.remove(2);
    let mut created = before[2].clone();
    created.insert("_id", oid(77));
    created.insert("dataset_id", format!("{SECRET}-created"));
    changed.push(created);
    fs::write(&collection, bytes(&changed)).expect("a collection");
    let source = redump.join(DATABASE).join("user_data.bson");
    let mut touched = sound.clone();
    touched[0].insert("filename", format!("{SECRET}-touched"));
    fs::write(source, bytes(&touched)).expect("a collection");
    assert_eq!(reveals_nothing(&world, &["verify", "sound-out", "--restored", "redump"]), Some(1));
    assert_eq!(
        reveals_nothing(&world, &["reverse", "sound-out", "r2", "--current", "redump"]),
        Some(0)
    );
    assert_eq!(
        reveals_nothing(&world, &["reverse", "sound-out", "r3", "--current", "redump", "--strict"]),
        Some(1)
    );
    changed[1] = changed[0].clone();
    changed[1].insert("_id", oid(78));
    fs::write(&collection, bytes(&changed)).expect("a collection");
    let code = reveals_nothing(&world, &["reverse", "sound-out", "r4", "--current", "redump"]);
    assert_eq!(code, Some(1), "two documents have one dataset_id");
}
