//! Places that must not meet: reports, logs and side files, what is read, and the output. And what a report says, and
//! how it comes to its place.

mod harness;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness::{Files, Run, World, copy, files, fixture, is_root, root, same_files};
use serde_json::Value;

/// A directory with a dump, an output of it and the reversal of that, each an archive too.
struct Place {
    world: World,
    before: Files,
}

impl Place {
    fn new() -> Place {
        let world = World::new();
        copy(&fixture("odd/no-prelude"), &world.path("dump"));
        copy(&fixture("odd/no-prelude"), &world.path("later"));
        fs::copy(fixture("all.archive"), world.path("a.archive")).expect("an archive");
        fs::copy(root().join("mappings/user_data.toml"), world.path("mapping.toml"))
            .expect("a mapping");
        world.transform(&world.path("dump"), "split");
        world.transform_with(&world.path("dump"), "split.archive", &["--archive"]);
        let before = files(&world.path(""));
        Place { world, before }
    }
    /// Runs it in the directory itself, so that a bare name is a place in it.
    fn run(&self, line: &str) -> Run {
        self.world.run_inside(line.split(' '))
    }
    /// Fails where a run was not refused for wrong usage, with this on stderr, or has changed anything.
    #[track_caller]
    fn refuses(&self, line: &str, what: &str) {
        self.run(line).exits(2).complains(&self.world, &format!("mongosplit: {what}"));
        same_files(&files(&self.world.path("")), &self.before, line);
    }
}

const NEVER: &str = "which is never changed; name another place";
const OUTSIDE: &str = "which is never changed; name a place outside";

/// Neither a report nor a log takes the place of what a run reads, or comes to lie in it.
#[test]
fn reports_and_logs_may_not_be_in_an_input() {
    let place = Place::new();
    let documents = "narrative_modeling/user_data.bson";
    let metadata = "narrative_modeling/user_data.metadata.json";
    symlink(place.world.path("dump").join(documents), place.world.path("link")).expect("a link");
    fs::hard_link(place.world.path("dump").join(documents), place.world.path("other-name"))
        .expect("a link");
    let place = Place { before: files(&place.world.path("")), ..place };
    for option in ["--report", "--details", "--metrics", "--log-file"] {
        for (command, at, input) in [
            ("transform dump out", format!("dump/{documents}"), "dump"),
            ("transform dump out", "link".to_owned(), "dump"),
            ("transform dump out", "other-name".to_owned(), "dump"),
            ("transform dump out --dry-run", format!("dump/{metadata}"), "dump"),
            (
                "transform dump/narrative_modeling out",
                format!("dump/{documents}"),
                "dump/narrative_modeling",
            ),
            (
                "transform dump/narrative_modeling/user_data.bson out",
                format!("dump/{metadata}"),
                &format!("dump/{documents}"),
            ),
            ("transform a.archive out", "a.archive".to_owned(), "a.archive"),
            (
                "transform dump out --mapping mapping.toml",
                "mapping.toml".to_owned(),
                "mapping.toml",
            ),
            ("verify split", "split/manifest.json".to_owned(), "split"),
            ("verify split.archive", "split.archive.rollback".to_owned(), "split.archive"),
            ("verify split.archive", "split.archive.manifest.json".to_owned(), "split.archive"),
            ("verify split --source dump", format!("dump/{documents}"), "dump"),
            ("verify split --restored later", format!("later/{documents}"), "later"),
            ("reverse split back", "split/SHA256SUMS".to_owned(), "split"),
            ("reverse split back --current later", format!("later/{metadata}"), "later"),
            ("inspect a.archive", "a.archive".to_owned(), "a.archive"),
        ] {
            place.refuses(
                &format!("{command} {option} {at}"),
                &format!("{option} '{at}': is a file of the input '{input}', {NEVER}"),
            );
        }
        for (command, at, input) in [
            ("transform dump out", "dump/report.json", "dump"),
            ("transform dump out", "./dump/../dump/report.json", "dump"),
            ("verify split", "split/narrative_modeling/report.json", "split"),
            ("verify split --restored later", "later/report.json", "later"),
            ("reverse split back", "split/report.json", "split"),
            ("inspect dump", "dump/report.json", "dump"),
        ] {
            place.refuses(
                &format!("{command} {option} {at}"),
                &format!("{option} '{at}': is inside the input '{input}', {OUTSIDE}"),
            );
        }
    }
    // Standard input has no name, but is a file.
    let text = format!(
        "mongosplit: --report 'a.archive': is a file of the input 'standard input', {NEVER}"
    );
    place
        .world
        .shell("cd $DIR && $MONGOSPLIT transform - out --report a.archive < a.archive")
        .exits(2)
        .complains(&place.world, &text);
    same_files(&files(&place.world.path("")), &place.before, "standard input");
}

/// Nor does it lie in the output, or take a name that the output or its making needs.
#[test]
fn reports_and_logs_may_not_be_in_the_output() {
    let place = Place::new();
    for option in ["--report", "--details", "--metrics", "--log-file"] {
        for (command, at, out) in [
            ("transform dump out", "out", "out"),
            ("transform dump out", "out/report.json", "out"),
            ("transform dump out/", "./out/report.json", "out/"),
            ("transform dump split --force", "split/manifest.json", "split"),
            ("transform dump split --force", "split/report.json", "split"),
            ("reverse split back", "back/report.json", "back"),
        ] {
            let text =
                format!("{option} '{at}': is inside the output '{out}'; name a place outside");
            place.refuses(&format!("{command} {option} {at}"), &text);
        }
        for (command, at, out) in [
            ("transform dump out --archive", "out", "out"),
            ("transform dump out --archive", "out.manifest.json", "out"),
            ("transform dump out --archive", "out.rollback", "out"),
            ("transform dump - --sidecar out", "out.SHA256SUMS", "out"),
            ("reverse split back --archive", "back.rollback", "back"),
        ] {
            let text =
                format!("{option} '{at}': is a file of the output '{out}'; name a place outside");
            place.refuses(&format!("{command} {option} {at}"), &text);
        }
        for at in
            ["out.mongosplit-lock", "out.mongosplit-partial", "out.mongosplit-partial/report.json"]
        {
            let text = format!(
                "{option} '{at}': has a name that is reserved for building the output 'out'; name another place"
            );
            place.refuses(&format!("transform dump out {option} {at}"), &text);
        }
    }
}

/// What cannot be written is found out before anything is read: the dump need not even be there.
#[test]
fn reports_and_logs_that_cannot_be_written_are_refused_first() {
    let place = Place::new();
    let absent = "No such file or directory (os error 2)";
    symlink("nowhere/at/all", place.world.path("dangling")).expect("a link");
    let place = Place { before: files(&place.world.path("")), ..place };
    for option in ["--report", "--details", "--metrics", "--log-file"] {
        for (at, what) in [
            ("no/file", format!("cannot be written: {absent}")),
            ("mapping.toml/file", "cannot be written: Not a directory (os error 20)".to_owned()),
            ("dangling", format!("cannot be written: {absent}")),
            ("dump", "is a directory; name a file".to_owned()),
            (".", "is a directory; name a file".to_owned()),
        ] {
            place.refuses(
                &format!("transform no-dump out {option} {at}"),
                &format!("{option} '{at}': {what}"),
            );
        }
    }
    symlink("later", place.world.path("link")).expect("a link");
    place.world.write("report.json", "old");
    let place = Place { before: files(&place.world.path("")), ..place };
    for (report, log) in [
        ("x", "x"),
        ("x", "./x"),
        ("later/../x", "x"),
        ("later/x", "link/x"),
        ("report.json", "later/../report.json"),
    ] {
        let text = format!("--report and --log-file both name '{report}'; use two files");
        place.refuses(&format!("transform dump out --report {report} --log-file {log}"), &text);
    }
    let options = ["--report", "--metrics", "--details", "--log-file"];
    for (number, first) in options.iter().enumerate() {
        for second in &options[number + 1..] {
            place.refuses(
                &format!("verify split {second} x {first} ./later/../x"),
                &format!("{first} and {second} both name './later/../x'; use two files"),
            );
        }
    }
    place.refuses(
        "verify split --report x.html --report y.md --report ./x.html",
        "--report names 'x.html' twice; use two files",
    );
    if !is_root() {
        fs::set_permissions(place.world.path("later"), fs::Permissions::from_mode(0o555))
            .expect("a mode");
        for option in ["--report", "--log-file"] {
            let text = format!(
                "{option} 'later/file': cannot be written: Permission denied (os error 13)"
            );
            place.refuses(&format!("transform dump out {option} later/file"), &text);
        }
        fs::set_permissions(place.world.path("later"), fs::Permissions::from_mode(0o755))
            .expect("a mode");
    }
}

/// Nor does a file beside an archive, or the archive itself.
#[test]
fn side_files_may_not_be_in_an_input() {
    let place = Place::new();
    let bson = "dump/narrative_modeling/user_data.bson";
    let metadata = "dump/narrative_modeling/user_data.metadata.json";
    for (line, text) in [
        (
            "transform dump - --sidecar dump/x",
            format!("'dump/x': is inside the dump 'dump', {OUTSIDE}"),
        ),
        (
            "transform dump - --sidecar no/x",
            "--sidecar 'no/x': cannot look at 'no': No such file or directory (os error 2)"
                .to_owned(),
        ),
        (
            "transform dump - --sidecar mapping.toml/x",
            "--sidecar 'mapping.toml/x': 'mapping.toml' is not a directory".to_owned(),
        ),
        (
            "reverse split.archive split.archive.rollback --archive --force",
            format!("'split.archive.rollback': is a file of the input 'split.archive', {NEVER}"),
        ),
        (
            "reverse split.archive - --sidecar split.archive --force",
            format!("'split.archive': is inside the dump 'split.archive', {OUTSIDE}"),
        ),
        (
            &format!("transform {bson} {metadata} --archive --force"),
            format!("'{metadata}': is a file of the input '{bson}', {NEVER}"),
        ),
    ] {
        place.refuses(line, &text);
    }
    // An archive on standard input whose own name the output would take.
    place
        .world
        .shell("cd $DIR && $MONGOSPLIT transform - a.archive --archive --force < a.archive")
        .exits(2)
        .complains(
            &place.world,
            &format!("mongosplit: 'a.archive': is a file of the input 'standard input', {NEVER}"),
        );
    same_files(&files(&place.world.path("")), &place.before, "standard input");
}

#[test]
fn a_database_that_is_not_there_is_refused() {
    let place = Place::new();
    let text = "'dump': has no other.user_data; it contains narrative_modeling.user_data";
    place.refuses("transform dump out --db other", text);
    place.refuses("transform dump out --db other --dry-run", text);
    place.refuses(
        "transform a.archive out --db other",
        "'a.archive': has no other.user_data; it contains analytics.events, narrative_modeling.ml_models, narrative_modeling.user_data, narrative_modeling.users",
    );
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON")
}

/// A run that fails says so in its report, whatever failed.
#[test]
fn a_report_of_a_failure_names_it() {
    let place = Place::new();
    let world = &place.world;
    world.write("bad/narrative_modeling/user_data.bson", {
        let mut bytes =
            fs::read(world.path("dump/narrative_modeling/user_data.bson")).expect("documents");
        let at = bytes.len() - 1;
        bytes[at] = 1;
        bytes
    });
    for (line, code, message) in [
        (
            "transform no-dump out",
            3,
            "cannot open 'no-dump': No such file or directory (os error 2)",
        ),
        (
            "transform dump split",
            4,
            "'split': is not empty; name another directory, or give --force to replace it",
        ),
        (
            "transform dump dump/out",
            2,
            "'dump/out': is inside the dump 'dump', which is never changed; name a place outside",
        ),
        (
            "transform dump out --db other",
            2,
            "'dump': has no other.user_data; it contains narrative_modeling.user_data",
        ),
        (
            "transform dump -",
            2,
            "an archive on standard output needs --sidecar PREFIX, which names the manifest and the other files",
        ),
        (
            "transform dump out --expect-docs 4",
            1,
            "the source has 3 documents, --expect-docs 4 was given",
        ),
        (
            "reverse dump out",
            1,
            "'dump' has no manifest.json: it is not an output of mongosplit, or an unfinished one",
        ),
        (
            "verify dump",
            1,
            "'dump' has no manifest.json: it is not an output of mongosplit, or an unfinished one",
        ),
        ("inspect no-dump", 3, "cannot open 'no-dump': No such file or directory (os error 2)"),
    ] {
        // Over an older report, which must not be taken for this run's.
        world.write("report.json", "{\"old\": true}");
        let run = place.run(&format!("{line} --report report.json --log-file run.log")).exits(code);
        let report = json(&world.path("report.json"));
        assert_eq!(
            (&report["error"]["message"], &report["exit_code"], &report["outcome"]),
            (&message.into(), &code.into(), &"failed".into()),
            "{run}"
        );
        assert_eq!((&report["error"]["position"], &report["result"]), (&Value::Null, &Value::Null));
        let log = fs::read_to_string(world.path("run.log")).expect("a log");
        assert!(log.contains(&format!("] error: {message}\n[")), "{log}");
        assert!(log.ends_with(&format!("] ended with exit code {code}\n")), "{log}");
        // The same on stdout.
        if !line.ends_with('-') {
            let run = place.run(&format!("{line} --json")).exits(code);
            assert_eq!(run.report()["error"], report["error"], "{run}");
        }
    }
    place.run("transform bad out --report report.json").exits(3);
    let report = json(&world.path("report.json"));
    let position = &report["error"]["position"];
    assert_eq!((&position["document"], &position["offset"]), (&3.into(), &460.into()), "{report}");
    assert_eq!(position["file"], "bad/narrative_modeling/user_data.bson");
    let hidden: Vec<_> =
        files(&world.path("")).into_keys().filter(|name| name.contains("mongosplit-")).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

/// Until a report is complete the old one is there, and it keeps its mode; a link leads to it still.
#[test]
fn a_report_comes_whole() {
    let place = Place::new();
    let world = &place.world;
    world.write("real/report.json", "old");
    fs::set_permissions(world.path("real/report.json"), fs::Permissions::from_mode(0o640))
        .expect("a mode");
    symlink("real/report.json", world.path("report.json")).expect("a link");
    let old = fs::File::open(world.path("report.json")).expect("the old report");
    place.run("transform dump out --report report.json").exits(0);
    let mut content = String::new();
    std::io::Read::read_to_string(&mut &old, &mut content).expect("the old report");
    assert_eq!(content, "old", "the old report was written over");
    assert!(world.path("report.json").is_symlink());
    assert_eq!(
        json(&world.path("real/report.json"))["result"]["manifest"]["sources"][0]["documents"],
        3
    );
    let mode =
        fs::metadata(world.path("real/report.json")).expect("the report").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(files(&world.path("real")).len(), 1);
    // In the working directory, under a bare name, with the mode of any new file.
    world.shell("cd $DIR && umask 027 && $MONGOSPLIT verify out --report new.json").exits(0);
    assert_eq!(json(&world.path("new.json"))["result"]["outputs"][0]["files"], 7);
    assert_eq!(
        fs::metadata(world.path("new.json")).expect("the report").permissions().mode() & 0o777,
        0o640
    );
}

/// A place that is not a regular file is written directly.
#[test]
fn a_report_for_a_pipe_or_a_standard_stream_is_written_directly() {
    let place = Place::new();
    let world = &place.world;
    let run =
        world.shell("cd $DIR && $MONGOSPLIT verify split --report /dev/stdout --quiet").exits(0);
    assert_eq!(run.report()["result"]["outputs"][0]["files"], 7);
    let run = world.shell("cd $DIR && $MONGOSPLIT verify split --report /dev/stderr").exits(0);
    let report: Value = serde_json::from_str(&run.stderr).expect("JSON");
    assert_eq!(report["result"]["outputs"][0]["files"], 7);
    // A file that is standard output too gets all that goes to either.
    for (option, file) in
        [("--report /dev/stdout", "a"), ("--report a2", "a2"), ("--log-file /dev/stdout", "b")]
    {
        world.shell(&format!("cd $DIR && $MONGOSPLIT verify split {option} > {file}")).exits(0);
        let text = fs::read_to_string(world.path(file)).expect("the file");
        let summaries = text.lines().filter(|line| line.contains("7 files (")).count();
        assert_eq!(
            (summaries, text.contains("\"files\": 7")),
            (if file == "b" { 2 } else { 1 }, file != "b"),
            "{file}: {text}"
        );
    }
    let run = world.shell("cd $DIR && mkfifo pipe && { cat pipe & } && $MONGOSPLIT verify split --quiet --report pipe && wait").exits(0);
    assert_eq!(run.report()["result"]["outputs"][0]["files"], 7);
    let run = world
        .shell("cd $DIR && { cat pipe & } && $MONGOSPLIT verify dump --report pipe; echo $?; wait")
        .exits(0);
    assert!(run.stdout.contains("\"exit_code\": 1") && world.path("pipe").exists(), "{run}");
    place.run("verify split --report /dev/null --quiet").exits(0);
    place.run("verify split --report /dev/full --quiet").exits(4).complains(
        world,
        "mongosplit: cannot write the report '/dev/full': No space left on device (os error 28)",
    );
    world.write("full.json", "old");
    world
        .shell("cd $DIR && ulimit -f 0 && exec $MONGOSPLIT verify split --report full.json --quiet")
        .exits(4)
        .complains(
            world,
            "mongosplit: cannot write the report 'full.json': File too large (os error 27)",
        );
    assert_eq!(fs::read_to_string(world.path("full.json")).expect("the old report"), "old");
    // Where the archive goes there, nothing else does.
    for option in ["--report", "--log-file"] {
        let text = format!(
            "mongosplit: {option} '/dev/stdout': is standard output, which carries the archive; name another place"
        );
        for to in ["| cat", "> file"] {
            let line = format!(
                "cd $DIR && {{ $MONGOSPLIT transform dump - --sidecar x {option} /dev/stdout; echo $? > code; }} {to}"
            );
            let run = world.shell(&line).complains(world, &text);
            assert_eq!(
                (
                    run.stdout.as_str(),
                    fs::read_to_string(world.path("code")).expect("a code").as_str()
                ),
                ("", "2\n")
            );
        }
    }
}

/// Rust opens a standard output that is closed as the null device; either way the archive would be lost.
#[test]
fn an_archive_for_a_closed_stream_is_refused() {
    let place = Place::new();
    let text = "mongosplit: 'standard output': is closed or the null device, so the archive would be lost; write to a pipe or a file";
    for command in
        ["transform dump - --sidecar x", "transform - - --sidecar x", "reverse split - --sidecar x"]
    {
        for to in [">&-", "> /dev/null"] {
            place
                .world
                .shell(&format!("cd $DIR && exec $MONGOSPLIT {command} < a.archive {to}"))
                .exits(4)
                .complains(&place.world, text);
            same_files(&files(&place.world.path("")), &place.before, command);
        }
    }
    // A dry run writes nothing.
    place
        .world
        .shell("cd $DIR && exec $MONGOSPLIT transform dump - --sidecar x --dry-run > /dev/null")
        .exits(0);
    // A summary is read by people, or by nobody.
    place.world.shell("cd $DIR && exec $MONGOSPLIT verify split > /dev/null").exits(0);
}

/// Relative and bare names, and ends with a slash or a dot, name the same place.
#[test]
fn all_names_of_a_place_are_one_place() {
    let place = Place::new();
    let world = &place.world;
    let whole = files(&world.path("split"));
    for (name, options) in [
        ("out", ""),
        ("out", " --force"),
        ("./out", " --force"),
        ("out/", " --force"),
        ("out/.", " --force"),
        ("later/../out", " --force"),
    ] {
        place.run(&format!("transform dump {name}{options}")).exits(0);
        same_files(&files(&world.path("out")), &whole, name);
    }
    for (name, options) in
        [("arch", ""), ("arch", " --force"), ("./arch", " --force"), ("later/../arch", " --force")]
    {
        place.run(&format!("transform dump {name} --archive{options}")).exits(0);
        place.run(&format!("verify {name}")).exits(0);
        place.run(&format!("reverse {name} back --archive --force")).exits(0);
        place.run("verify back").exits(0);
    }
    symlink("later", world.path("link")).expect("a link");
    world.mkdir("inside");
    for name in ["link", "link/", "link/."] {
        let text = "mongosplit: 'link': is a symbolic link; name the directory itself";
        place.run(&format!("transform dump {name} --force")).exits(4).complains(world, text);
    }
    for options in ["", " --archive", " --force"] {
        let text = "mongosplit: 'no/such/out': cannot be created, because there is no directory 'no/such'; make that first";
        place.run(&format!("transform dump no/such/out{options}")).exits(4).complains(world, text);
        let text = "mongosplit: 'inside/..': contains the dump 'dump', which is never changed; name a place outside";
        place.run(&format!("transform dump inside/..{options}")).exits(2).complains(world, text);
    }
    for name in ["new/", "new/."] {
        let text = format!(
            "mongosplit: '{name}': cannot name an archive and the files next to it; give another name"
        );
        place.run(&format!("transform dump {name} --archive")).exits(4).complains(world, &text);
    }
    world
        .shell("cd $DIR/inside && exec $MONGOSPLIT transform ../dump .")
        .exits(4)
        .complains(world, "mongosplit: '.': does not end in a name, which the files next to the output need; give the name of the directory");
    assert!(files(&world.path("inside")).is_empty() && files(&world.path("later")).len() == 2);
    world.run([OsStr::new("verify"), world.path("out").as_ref()]).exits(0);
}
