//! Where an output may go, who may read it, what may stand at the input's place, and what is printed.

mod harness;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness::{DATABASE, Run, World, content, copy, dump, files, fixture, golden, same_files};

fn transform(world: &World, dump: &Path, out: &Path, options: &[&str]) -> Run {
    world.run(
        [OsStr::new("transform"), dump.as_ref(), out.as_ref()]
            .into_iter()
            .chain(options.iter().map(OsStr::new)),
    )
}

fn reverse(world: &World, out: &Path, dest: &str, options: &[&str]) -> Run {
    let dest = world.path(dest);
    let args = [OsStr::new("reverse"), out.as_ref(), dest.as_ref()];
    world.run(args.into_iter().chain(options.iter().map(OsStr::new)))
}

fn small() -> std::path::PathBuf {
    fixture("odd/no-prelude")
}

#[test]
fn an_output_goes_to_an_absent_or_empty_place() {
    let world = World::new();
    for (name, inside) in [("absent", None), ("empty", Some("")), ("mounted", Some("lost+found"))] {
        if let Some(inside) = inside {
            world.mkdir(&format!("{name}/{inside}"));
        }
        let out = world.transform(&small(), name);
        world.run([OsStr::new("verify"), out.as_ref()]).exits(0);
    }
    world.holds_only(&["absent", "empty", "mounted"]);
}

#[test]
fn a_place_that_is_taken_is_refused() {
    let world = World::new();
    world.write("full/file", "precious");
    transform(&world, &small(), &world.path("full"), &[]).exits(4).complains(
        &world,
        "mongosplit: 'DIR/full': is not empty; name a directory that does not exist or is empty",
    );
    world.write("file", "precious");
    let text = "is not a directory; name one that does not exist or is empty";
    transform(&world, &small(), &world.path("file"), &[])
        .exits(4)
        .complains(&world, &format!("mongosplit: 'DIR/file': {text}"));
    transform(&world, &small(), &world.path("file"), &["--force"])
        .exits(4)
        .complains(&world, &format!("mongosplit: 'DIR/file': {text}"));
    for (name, to) in [("link", "full"), ("dangling", "nowhere")] {
        symlink(world.path(to), world.path(name)).expect("a link");
        let text =
            format!("mongosplit: 'DIR/{name}': is a symbolic link; name the directory itself");
        transform(&world, &small(), &world.path(name), &[]).exits(4).complains(&world, &text);
        transform(&world, &small(), &world.path(name), &["--force"])
            .exits(4)
            .complains(&world, &text);
    }
    transform(&world, &small(), Path::new("/"), &["--force"]).exits(2).complains(
        &world,
        &format!(
            "mongosplit: '/': contains the dump '{}', which is never changed; name a place outside",
            small().display()
        ),
    );
    transform(&world, &small(), &world.path("no/such/parent"), &[]).exits(4).complains(
        &world,
        "mongosplit: 'DIR/no/such/parent': cannot be created, because there is no directory 'DIR/no/such'; make that first",
    );
    assert_eq!(fs::read_to_string(world.path("full/file")).expect("the file"), "precious");
    assert_eq!(fs::read_to_string(world.path("file")).expect("the file"), "precious");
    world.holds_only(&["full", "file", "link", "dangling"]);
}

#[test]
fn force_alone_replaces_an_output() {
    let world = World::new();
    let out = world.transform(&fixture("odd/defaults"), "out");
    let old = files(&out);
    transform(&world, &small(), &out, &[]).exits(4);
    same_files(&files(&out), &old, "untouched");
    // A run that fails leaves what is there.
    transform(&world, &fixture("odd/truncated-document"), &out, &["--force"]).exits(3);
    same_files(&files(&out), &old, "after a run that failed");
    transform(&world, &small(), &out, &["--force"]).exits(0);
    let fresh = world.transform(&small(), "fresh");
    same_files(&files(&out), &files(&fresh), "replaced");
    world.holds_only(&["out", "fresh"]);
}

#[test]
fn no_output_goes_into_the_dump_or_around_it() {
    let world = World::new();
    let dump = world.path("backups/dump");
    copy(&small(), &dump);
    let before = files(&world.path("backups"));
    for (dump, out, what) in [
        ("backups/dump", "backups/dump/out", "is inside the dump"),
        ("backups/dump", "backups/dump", "is inside the dump"),
        ("backups/dump", "backups/../backups/dump/narrative_modeling/out", "is inside the dump"),
        ("backups/dump", "backups", "contains the dump"),
        ("backups/dump/narrative_modeling/user_data.bson", "backups/dump", "contains the dump"),
    ] {
        for options in [&[] as &[&str], &["--force"]] {
            let text = format!(
                "mongosplit: 'DIR/{out}': {what} 'DIR/{dump}', which is never changed; name a place outside"
            );
            transform(&world, &world.path(dump), &world.path(out), options)
                .exits(2)
                .complains(&world, &text);
        }
    }
    symlink(world.path("backups/dump"), world.path("link")).expect("a link");
    transform(&world, &dump, &world.path("link/out"), &[]).exits(2);
    transform(&world, &world.path("link"), &world.path("backups/dump/out"), &[]).exits(2);
    transform(&world, &dump, &world.path("backups/dump/out"), &["--archive"]).exits(2);
    same_files(&files(&world.path("backups")), &before, "the dump");
    // `reverse` never changes its input either.
    let out = world.transform(&dump, "out");
    for dest in ["out/back", "out"] {
        let text = format!(
            "mongosplit: 'DIR/{dest}': is inside the dump 'DIR/out', which is never changed; name a place outside"
        );
        let dest = world.path(dest);
        world
            .run([OsStr::new("reverse"), out.as_ref(), dest.as_ref(), "--force".as_ref()])
            .exits(2)
            .complains(&world, &text);
    }
    // Nor the later dump, which is not so much as looked at.
    let dest = world.path("backups/dump/back");
    world
        .run([OsStr::new("reverse"), world.path("absent").as_ref(), dest.as_ref(), "--current".as_ref(), dump.as_ref()])
        .exits(2)
        .complains(
            &world,
            "mongosplit: 'DIR/backups/dump/back': is inside the dump 'DIR/backups/dump', which is never changed; name a place outside",
        );
    world.run([OsStr::new("verify"), out.as_ref()]).exits(0);
}

#[test]
fn force_alone_removes_a_stale_staging_directory() {
    let world = World::new();
    world.write("out.mongosplit-partial/narrative_modeling/x.bson.part", "left");
    let text = "mongosplit: 'DIR/out.mongosplit-partial': was left by an interrupted run; remove it, or give --force to have it removed";
    transform(&world, &small(), &world.path("out"), &[]).exits(4).complains(&world, text);
    assert!(world.path("out.mongosplit-partial/narrative_modeling/x.bson.part").exists());
    transform(&world, &small(), &world.path("out"), &["--force"]).exits(0);
    world.holds_only(&["out"]);
}

/// What `--force` removes is a directory that a run has left, and nothing by way of a link.
#[test]
fn a_staging_directory_that_is_a_link_is_left_alone() {
    let world = World::new();
    world.write("precious/file", "precious");
    symlink(world.path("precious"), world.path("out.mongosplit-partial")).expect("a link");
    transform(&world, &small(), &world.path("out"), &[]).exits(4);
    transform(&world, &small(), &world.path("out"), &["--force"]).exits(4).complains(
        &world,
        "mongosplit: cannot remove 'DIR/out.mongosplit-partial': Not a directory (os error 20)",
    );
    world.holds_only(&["precious", "out.mongosplit-partial"]);
    assert_eq!(fs::read_to_string(world.path("precious/file")).expect("the file"), "precious");
}

#[test]
fn a_dump_may_be_read_only() {
    let world = World::new();
    let dump = world.path("dump");
    copy(&small(), &dump);
    let set = |mode_of_files: u32, mode_of_directories: u32| {
        for path in [dump.join("narrative_modeling"), dump.clone()] {
            for entry in fs::read_dir(&path).expect("a directory") {
                let entry = entry.expect("an entry").path();
                if entry.is_file() {
                    fs::set_permissions(entry, fs::Permissions::from_mode(mode_of_files))
                        .expect("a mode");
                }
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode_of_directories))
                .expect("a mode");
        }
    };
    set(0o444, 0o555);
    world.transform(&dump, "out");
    set(0o644, 0o755);
}

/// A run may not ask more of a file than that it can be read, and reads regular files only.
#[test]
fn a_pipe_is_no_input() {
    let world = World::new();
    world.shell("mkdir -p $DIR/dump/narrative_modeling && mkfifo $DIR/dump/narrative_modeling/user_data.bson $DIR/pipe.bson").exits(0);
    for name in ["dump", "dump/narrative_modeling", "dump/narrative_modeling/user_data.bson"] {
        transform(&world, &world.path(name), &world.path("out"), &[]).exits(3).complains(
            &world,
            "mongosplit: 'DIR/dump/narrative_modeling/user_data.bson': is not a regular file",
        );
    }
    transform(&world, Path::new("/dev/null"), &world.path("out"), &[])
        .exits(3)
        .complains(&world, "mongosplit: '/dev/null': is not a regular file");
    world.holds_only(&["dump", "pipe.bson"]);
}

#[test]
fn links_are_fine_as_input() {
    let world = World::new();
    let direct = world.transform(&small(), "direct");
    symlink(small(), world.path("link")).expect("a link");
    let database = world.mkdir("dump/narrative_modeling");
    for name in ["user_data.bson", "user_data.metadata.json"] {
        symlink(small().join(DATABASE).join(name), database.join(name)).expect("a link");
    }
    for (dump, out) in [("link", "a"), ("dump", "b")] {
        let out = world.transform(&world.path(dump), out);
        same_files(&files(&direct), &files(&out), dump);
    }
}

#[test]
fn a_place_without_a_dump_is_refused() {
    let world = World::new();
    world.mkdir("empty");
    transform(&world, &world.path("empty"), &world.path("out"), &[])
        .exits(3)
        .complains(&world, "mongosplit: 'DIR/empty': is an empty directory, not a dump");
    transform(&world, &world.path("absent"), &world.path("out"), &[]).exits(3).complains(
        &world,
        "mongosplit: cannot open 'DIR/absent': No such file or directory (os error 2)",
    );
    let metadata = small().join(DATABASE).join("user_data.metadata.json");
    transform(&world, &metadata, &world.path("out"), &[]).exits(3);
    world.holds_only(&["empty"]);
}

/// What a dry run says, the real run does; and it writes nothing.
#[test]
fn a_dry_run_says_what_a_run_does_and_writes_nothing() {
    let world = World::new();
    for (number, options) in
        [&[] as &[&str], &["--gzip"], &["--to-db", "other", "--indexes", "none"]]
            .into_iter()
            .enumerate()
    {
        let out = world.path(&format!("out-{number}"));
        let dry = transform(&world, &dump(), &out, &[options, &["--dry-run", "--json"]].concat())
            .exits(0);
        assert!(!out.exists());
        let real = transform(&world, &dump(), &out, &[options, &["--json"]].concat()).exits(0);
        let (dry, real) = (&dry.report()["result"], &real.report()["result"]);
        assert_eq!(dry["manifest"], real["manifest"]);
        assert_eq!((&dry["dry_run"], &real["dry_run"]), (&true.into(), &false.into()));
        for file in real["manifest"]["files"].as_array().expect("files") {
            let bytes =
                fs::read(out.join(file["path"].as_str().expect("a path"))).expect("the file");
            assert_eq!(file["sha256"], mongosplit::hash::sha256(&bytes));
        }
        // Over what is there, and in front of a place that is taken: still only a dry run.
        let before = files(&out);
        transform(&world, &dump(), &out, &[options, &["--dry-run", "--force"]].concat())
            .exits(0)
            .says("would split 60 documents");
        same_files(&files(&out), &before, "a dry run over an output");
    }
    reverse(&world, &world.path("out-0"), "back", &["--dry-run"])
        .exits(0)
        .says("would bring back 60 documents");
    world.holds_only(&["out-0", "out-1", "out-2"]);
}

#[test]
fn to_db_names_another_database() {
    let world = World::new();
    let out = world.transform_with(&small(), "out", &["--to-db", "elsewhere"]);
    let names: Vec<String> = files(&out).into_keys().collect();
    assert!(names.iter().all(|name| !name.contains(DATABASE)), "{names:?}");
    world.run([OsStr::new("verify"), out.as_ref()]).exits(0).says("elsewhere.dataset_metadata");
    reverse(&world, &out, "back", &[]).exits(0);
    assert_eq!(
        content(&world.path("back/narrative_modeling/user_data.bson")),
        content(&small().join(DATABASE).join("user_data.bson"))
    );
    reverse(&world, &out, "third", &["--to-db", "third"]).exits(0);
    assert_eq!(
        content(&world.path("third/third/user_data.bson")),
        content(&small().join(DATABASE).join("user_data.bson"))
    );
    for bad in ["", "a.b", "../x", "a/b", "a b", "$x"] {
        let text = format!("mongosplit: '{bad}' cannot be the name of a database");
        transform(&world, &small(), &world.path("bad"), &["--to-db", bad])
            .exits(2)
            .complains(&world, &text);
        reverse(&world, &out, "bad", &["--to-db", bad]).exits(2).complains(&world, &text);
    }
    world.holds_only(&["out", "back", "third"]);
}

#[test]
fn two_databases_do_not_go_into_one() {
    let world = World::new();
    let out = world.transform_with(&fixture("odd/two-databases"), "out", &["--all-dbs"]);
    let bad = world.path("bad");
    let text = "mongosplit: --to-db one would put the collections of 2 databases into one; leave it out, or transform one database with --db NAME and reverse that";
    let reverse =
        [OsStr::new("reverse"), out.as_ref(), bad.as_ref(), "--to-db".as_ref(), "one".as_ref()];
    world.run(reverse).exits(2).complains(&world, text);
    world.run(reverse.into_iter().chain(["--dry-run".as_ref()])).exits(2).complains(&world, text);
    world.run(reverse.into_iter().chain(["--archive".as_ref()])).exits(2).complains(&world, text);
    world
        .run(reverse.into_iter().chain(["--current".as_ref(), out.as_ref()]))
        .exits(2)
        .complains(&world, text);
    world.holds_only(&["out"]);
}

#[test]
fn all_that_is_set_aside_is_in_the_report() {
    let world = World::new();
    let dump = fixture("odd/unrestorable-many");
    let options = ["--skip-unrestorable", "--max-findings", "2", "--json"];
    let run = transform(&world, &dump, &world.path("out"), &options).exits(0);
    let report = &run.report()["result"];
    let set_aside = report["sources"][0]["set_aside"].as_array().expect("an array");
    let numbers: Vec<_> =
        set_aside.iter().map(|one| one["document"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, [2, 4, 5, 6]);
    assert!(set_aside.iter().all(|one| one["reason"].is_string()), "{set_aside:?}");
}

#[test]
fn verify_by_strict_names_findings_as_such() {
    let world = World::new();
    let out = world.transform(&fixture("odd/findings"), "out");
    world.run([OsStr::new("verify"), out.as_ref()]).exits(0);
    let run = world
        .run([OsStr::new("verify"), out.as_ref(), "--strict".as_ref()])
        .exits(1)
        .says("has findings, and --strict was given");
    assert!(!run.stdout.contains("does not hold"), "{run}");
}

#[test]
fn metadata_has_the_indexes_that_were_asked_for() {
    let world = World::new();
    let mut all = String::new();
    for indexes in ["all", "non-unique", "none"] {
        let out = world.transform_with(&small(), indexes, &["--indexes", indexes]);
        for (name, bytes) in files(&out).iter().filter(|(name, _)| name.ends_with(".metadata.json"))
        {
            all += &format!("{indexes} {name}\n{}\n", String::from_utf8_lossy(bytes));
        }
    }
    golden("indexes.txt", &all);
}

#[test]
fn reports_logs_and_progress_say_what_a_run_did() {
    let world = World::new();
    let (report, log) = (world.path("report.json"), world.path("run.log"));
    let options = [
        "--report",
        report.to_str().expect("UTF-8"),
        "--log-file",
        log.to_str().expect("UTF-8"),
        "--progress",
        "plain",
    ];
    let run = transform(&world, &dump(), &world.path("out"), &options)
        .exits(0)
        .says("✓ Split 60 documents of narrative_modeling.user_data");
    let is_line = |line: &str| {
        line.starts_with("[20")
            && line.contains("] 60 documents (100% of the bytes), ")
            && line.contains(" docs/s, ETA 0s")
    };
    assert!(run.stderr.lines().all(is_line) && !run.stderr.is_empty(), "{run}");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(&report).expect("the report")).expect("JSON");
    assert_eq!(json["result"]["manifest"]["sources"][0]["documents"], 60);
    let logged = fs::read_to_string(&log).expect("the log");
    assert!(
        logged.contains("✓ Split 60 documents")
            && logged.lines().all(|line| line.starts_with("[20")),
        "{logged}"
    );
    // Date, time and the distance from UTC; what was run, and how it ended.
    let is_stamp = |line: &str| {
        let stamp = line.get(1..27).unwrap_or_default();
        jiff::Timestamp::strptime("%Y-%m-%d %H:%M:%S%:z]", stamp).is_ok()
    };
    assert!(logged.lines().all(is_stamp), "{logged}");
    let first = logged.lines().next().unwrap_or_default();
    let command = format!("] mongosplit {}: transform ", env!("CARGO_PKG_VERSION"));
    assert!(first.contains(&command) && first.contains("--log-file"), "{logged}");
    assert!(logged.ends_with("] ended with exit code 0\n"), "{logged}");
    // With the number of documents known, the runbook's line.
    let run = transform(
        &world,
        &dump(),
        &world.path("out"),
        &["--force", "--expect-docs", "60", "--progress", "plain"],
    )
    .exits(0);
    assert!(run.stderr.contains("] 60/60 documents (100%), "), "{run}");
    // A failing run is in the log too, and adds to it.
    let bad = fixture("odd/truncated-document");
    let text = log.to_str().expect("UTF-8");
    transform(&world, &bad, &world.path("bad"), &["--log-file", text]).exits(3);
    let longer = fs::read_to_string(&log).expect("the log");
    let error = format!("] error: '{}/", bad.display());
    let added = longer.strip_prefix(&logged).unwrap_or_default();
    assert!(added.lines().count() == 3 && added.contains(&error), "{longer}");
    // JSON alone on stdout, and nothing at all with --quiet.
    let run =
        transform(&world, &dump(), &world.path("json"), &["--json", "--progress", "json"]).exits(0);
    serde_json::from_str::<serde_json::Value>(&run.stdout).expect("JSON");
    assert!(
        run.stderr.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{run}"
    );
    let run = transform(&world, &dump(), &world.path("quiet"), &["--quiet"]).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

/// A stdout that cannot be written does not undo the output, but is no success.
#[test]
fn a_summary_that_cannot_be_written_fails_the_run() {
    let world = World::new();
    world
        .shell("$MONGOSPLIT transform fixtures/odd/no-prelude $DIR/out > /dev/full")
        .exits(4)
        .complains(
            &world,
            "mongosplit: cannot write to 'standard output': No space left on device (os error 28)",
        );
    world.run([OsStr::new("verify"), world.path("out").as_ref()]).exits(0);
}

/// A source and what it becomes are several open files, and a shell allows few.
#[test]
fn many_databases_may_be_split_at_once() {
    let world = World::new();
    let source = small().join(DATABASE);
    for number in 0..60 {
        copy(&source, &world.path("dump").join(format!("db{number}")));
    }
    world
        .shell("cd $DIR && ulimit -Sn 100 && $MONGOSPLIT transform dump out --all-dbs --archive -q && $MONGOSPLIT reverse out back --current out -q")
        .exits(0);
    assert_eq!(
        files(&world.path("back")).keys().filter(|name| name.ends_with(".bson")).count(),
        60
    );
}
