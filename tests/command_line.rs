//! What the binary says, where it says it, and with which code it ends.

mod harness;

use std::fs;

use harness::{DATABASE, World, dump, fixture, in_one_line, root, split};

/// The collection that a file is of, its metadata tells.
#[test]
fn a_file_of_another_collection_is_refused() {
    let world = World::new();
    let users = dump().join(DATABASE).join("users.bson");
    let metadata = users.with_file_name("users.metadata.json");
    world.run(["transform".as_ref(), users.as_os_str(), world.path("out").as_os_str()]).exits(1).complains(
        &world,
        &format!(
            "mongosplit: '{}': its metadata '{}' says that it belongs to the collection 'users', not 'user_data'; name that collection's file",
            users.display(),
            metadata.display()
        ),
    );
    // Without metadata nothing tells, which is said.
    let alone = world.write(
        "narrative_modeling/users.bson",
        fs::read(dump().join(DATABASE).join("user_data.bson")).expect("a file"),
    );
    let remark = format!(
        "'{}' has no metadata file next to it, so its collection, indexes and options are unknown",
        alone.display()
    );
    world
        .run([
            "transform".as_ref(),
            alone.as_os_str(),
            world.path("out").as_os_str(),
            "-v".as_ref(),
        ])
        .exits(0)
        .says(&remark);
}

/// `--quiet` is quiet of what holds.
#[test]
fn a_quiet_check_says_what_does_not_hold() {
    let world = World::new();
    let out = world.transform(&dump(), "out");
    let run = || world.run(["verify".as_ref(), out.as_os_str(), "-q".as_ref()]);
    let fine = run().exits(0);
    assert_eq!((fine.stdout.as_str(), fine.stderr.as_str()), ("", ""), "{fine}");
    fs::remove_file(out.join("SHA256SUMS")).expect("a file");
    let broken = run()
        .exits(1)
        .complains(&world, "✗ 'DIR/out' does not match its manifest\n  'SHA256SUMS' is missing\n! Do not restore or reverse it. Use another copy, or make it again with --force");
    assert_eq!(broken.stdout, "");

    let archive = fixture("all.archive");
    let mut bytes = fs::read(archive).expect("the archive");
    let at = bytes.windows(9).position(|bytes| bytes == b"datasets/").expect("a text");
    bytes[at] ^= 1;
    let damaged = world.write("damaged.archive", bytes);
    let quiet = world.run(["inspect".as_ref(), damaged.as_os_str(), "-q".as_ref()]).exits(1);
    let reason = "✗ the checksum of narrative_modeling.user_data does not match: the archive is damaged; dump again";
    assert_eq!(quiet.stdout, "");
    assert!(in_one_line(&quiet.stderr).contains(reason), "{quiet}");
}

/// Progress has nobody to go to where stderr is broken or closed; the work is done all the same.
#[test]
fn a_broken_stderr_stops_no_run() {
    let world = World::new();
    for (number, (kind, stderr)) in [
        ("plain", "2>/dev/full"),
        ("json", "2>/dev/full"),
        ("bar", "2>/dev/full"),
        ("plain", "2>&-"),
        ("json", "2>&-"),
    ]
    .iter()
    .enumerate()
    {
        world.shell(&format!("\"$MONGOSPLIT\" transform fixtures/dump \"$DIR/out{number}\" --progress {kind} {stderr}")).exits(0);
        world.run(["verify".as_ref(), world.path(&format!("out{number}")).as_os_str()]).exits(0);
    }
}

/// `--verbose` tells what is opened as what, and each file with its SHA-256.
#[test]
fn verbose_names_inputs_and_checksums() {
    let world = World::new();
    let out = world.path("out");
    let quiet = world.run(["transform".as_ref(), dump().as_os_str(), out.as_os_str()]).exits(0);
    let verbose = world
        .run([
            "transform".as_ref(),
            dump().as_os_str(),
            out.as_os_str(),
            "--force".as_ref(),
            "-v".as_ref(),
        ])
        .exits(0);
    assert_eq!(quiet.stderr, "");
    for what in [
        "is read as a directory dump: 4 collections",
        "source narrative_modeling.user_data: documents '",
        "thread",
    ] {
        assert!(verbose.stderr.contains(what), "{what:?} in\n{verbose}");
    }
    let manifest = fs::read_to_string(out.join("manifest.json")).expect("the manifest");
    let sums: Vec<&str> = manifest.split('"').filter(|word| word.len() == 64).collect();
    assert!(
        verbose.stderr.lines().filter(|line| sums.iter().any(|sum| line.contains(sum))).count()
            >= 7,
        "{verbose}"
    );
}

/// OUT alone is the way back, whatever has become of the file that the mapping was read from.
#[test]
fn an_output_keeps_its_mapping() {
    let world = World::new();
    let text = fs::read_to_string(root().join("mappings/user_data.toml")).expect("the mapping");
    let mapping = world.write("mapping.toml", text + "# of my own\n");
    let out = world.path("out");
    let dump = dump();
    let args = ["transform".as_ref(), dump.as_os_str(), out.as_os_str(), "--mapping".as_ref()];
    world.run(args.into_iter().chain([mapping.as_os_str()])).exits(0);
    fs::remove_file(mapping).expect("the mapping");
    world.run(["verify".as_ref(), out.as_os_str()]).exits(0);
    world
        .run(["verify".as_ref(), out.as_os_str(), "--source".as_ref(), dump.as_os_str()])
        .exits(0)
        .says("every byte was derived again from the source");
    for (dest, more) in [("back", &[][..]), ("today", &["--current".as_ref(), out.as_os_str()][..])]
    {
        let dest = world.path(dest);
        let args = ["reverse".as_ref(), out.as_os_str(), dest.as_os_str()];
        world.run(args.into_iter().chain(more.iter().copied())).exits(0);
        let file = |of: &std::path::Path| fs::read(of.join(DATABASE).join("user_data.bson"));
        assert!(file(&dest).expect("the result") == file(&dump).expect("the source"));
    }
}

/// A mapping that an output could not keep is refused before anything is read.
#[test]
fn a_mapping_that_is_too_large_to_keep_is_refused() {
    let world = World::new();
    let text = fs::read_to_string(root().join("mappings/user_data.toml")).expect("the mapping");
    let text = text + &"#".repeat(1 << 20);
    let mapping = world.write("mapping.toml", &text);
    let out = world.path("out");
    let dump = dump();
    let args = ["transform".as_ref(), dump.as_os_str(), out.as_os_str(), "--mapping".as_ref()];
    world.run(args.into_iter().chain([mapping.as_os_str()])).exits(2).complains(
        &world,
        &format!(
            "mongosplit: the mapping cannot be used:\nDIR/mapping.toml:1:1: a mapping has at most 1 MiB; this one has {} bytes\n    1 | {}…\n      | ^",
            text.len(),
            text.chars().take(70).collect::<String>()
        ),
    );
    world.holds_only(&["mapping.toml"]);
}

/// An archive that was damaged is listed as damaged, without another option.
#[test]
fn inspect_checks_archives_too() {
    let world = World::new();
    let bytes = fs::read(fixture("all.archive")).expect("the archive");
    let cut = world.write("cut.archive", &bytes[..400_000]);
    let run = world.run(["inspect".as_ref(), cut.as_os_str()]).exits(3);
    assert!(
        run.stderr.contains("the archive ends after") && run.stderr.contains("it was cut off"),
        "{run}"
    );
}

/// mongodump writes a file even for an empty collection, so a dump without one is not whole.
#[test]
fn inspect_misses_a_file_of_documents() {
    let world = World::new();
    let dump = fixture("odd/metadata-only");
    let run = world.run(["inspect".as_ref(), dump.as_os_str()]).exits(1);
    assert_eq!(run.stdout.matches("✗ its documents are missing").count(), 1, "{run}");
    let quiet = world.run(["inspect".as_ref(), dump.as_os_str(), "--quiet".as_ref()]).exits(1);
    let missing =
        "user_data has metadata, but no .bson file: its documents are missing; dump again";
    assert!(in_one_line(&quiet.stderr).contains(missing), "{quiet}");
    let view = world.run(["inspect".as_ref(), fixture("odd/view").as_os_str()]).exits(1);
    assert!(view.stdout.contains("narrative_modeling.user_data is a view"), "{view}");
}

/// A broken document is named by where it begins, the fault beside it, whoever reads it.
#[test]
fn every_command_names_the_same_offset_of_a_broken_document() {
    let world = World::new();
    let bson = fixture("odd/truncated-document/narrative_modeling/user_data.bson");
    let mut bytes =
        fs::read(fixture("odd/no-prelude/narrative_modeling/user_data.bson")).expect("documents");
    let first = split(&bytes)[0].len();
    let at =
        bytes[first..].windows(8).position(|bytes| bytes == b"user_id\0").expect("a field") + first;
    bytes[at - 1] = 0x7e; // an element of no known type
    let broken = world.write(&format!("{DATABASE}/user_data.bson"), bytes);
    for path in [broken, bson] {
        let said = |arguments: &[&std::ffi::OsStr]| world.run(arguments).exits(3).stderr;
        let transformed =
            said(&["transform".as_ref(), path.as_os_str(), world.path("out").as_os_str()]);
        let inspected = said(&["inspect".as_ref(), path.as_os_str()]);
        assert_eq!(transformed, inspected);
        assert!(transformed.contains("byte offset"), "{transformed}");
    }
}
