//! What is printed when a command ends: its words, its width, its length and its colours.

mod harness;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Command;

use harness::{World, binary, golden, root, steady};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A directory with the fixtures in it, so that no printed path has a name that is another each time.
fn world() -> World {
    let world = World::new();
    for name in ["fixtures", "mappings"] {
        symlink(root().join(name), world.path(name)).expect("a link");
    }
    world
}

/// The commands of a migration that goes well, and of some that do not.
const SESSION: &str = "
0 transform fixtures/dump out
0 transform fixtures/dump out --dry-run
0 verify out
0 verify out --source fixtures/dump
0 verify out --restored out
0 reverse out back
0 reverse out back --dry-run
0 verify back
0 findings out
0 reverse out current --current out
0 transform fixtures/odd/source-options other --gzip
0 reverse other back-2 --gzip
0 transform fixtures/odd/source-options other -v --dry-run
0 transform fixtures/odd/unrestorable-many aside --skip-unrestorable
0 transform fixtures/odd/two-databases both --all-dbs
0 reverse both both-back
0 transform fixtures/dump packed --archive
0 reverse packed packed-back --archive
0 verify out other
1 verify out out-2
1 verify out --restored other
1 verify out --source fixtures/odd/source-options
1 verify out --strict
1 verify damaged
1 verify damaged out
0 reverse out late --current other
0 reverse out late-2 --current other -v
0 findings other
0 mapping check builtin:user_data
0 mapping check builtin:user_data fixtures/dump
0 mapping check mappings/user_data.toml fixtures/odd/defaults
0 mapping test mappings/user_data.toml builtin:ml_models
";

/// The rows of that table.
fn session() -> impl Iterator<Item = (i32, Vec<&'static str>)> {
    SESSION.trim().lines().map(|line| {
        let mut words = line.split(' ');
        let code = words.next().and_then(|code| code.parse().ok()).expect("a code");
        (code, words.collect())
    })
}

/// Outputs that the session needs besides its own.
fn prepared() -> World {
    let world = world();
    for out in ["damaged", "out-2"] {
        world.run_inside(["transform", "fixtures/dump", out]).exits(0);
    }
    fs::remove_file(world.path("damaged/SHA256SUMS")).expect("it is there");
    world
}

#[test]
fn summaries_are_as_before() {
    let world = prepared();
    let mut all = String::new();
    for (code, words) in session() {
        let run = world.run_inside(&words).exits(code);
        let lines = run.stdout.lines().map(|line| steady(line) + "\n").collect::<String>();
        all += &format!("$ mongosplit {}\n{lines}\n", words.join(" "));
    }
    golden("summaries.txt", &all);
}

/// The columns of the widest line.
const WIDEST: usize = 80;
/// A word of so many columns may be the only one in its line, or in its row of a table.
const LONG_WORD: usize = 38;
/// The lines of a summary without `--verbose`, where nothing is wrong.
const MOST_LINES: usize = 25;

/// Whether a line could not be narrower. A command for mongosh is one line, and so is what editors read.
fn is_unbreakable(line: &str) -> bool {
    let has_long_word = line.split(' ').any(|word| word.chars().count() >= LONG_WORD);
    has_long_word || line.trim_start().starts_with("db.") || line.contains(": remark: ")
}

#[track_caller]
fn fits(command: &[&str], stdout: &str) {
    for line in stdout.lines() {
        let columns = line.chars().count();
        assert!(
            columns <= WIDEST || is_unbreakable(line),
            "{columns} columns: {line}\n{}\n{stdout}",
            command.join(" ")
        );
    }
}

#[test]
fn summaries_fit_a_terminal() {
    let world = prepared();
    for (code, words) in session() {
        let run = world.run_inside(&words).exits(code);
        fits(&words, &run.stdout);
        let lines = run.stdout.lines().count();
        let is_brief = code != 0 || words.contains(&"-v") || lines <= MOST_LINES;
        // Two databases have two of each command.
        assert!(is_brief || words.contains(&"both"), "{lines} lines of {words:?}:\n{run}");
        // What was written is in the way of a second run.
        let can_again =
            matches!(words[0], "verify" | "findings") || words[..2] == ["mapping", "check"];
        if can_again && !words.contains(&"-v") {
            let again = [&words[..], &["-v"]].concat();
            fits(&again, &world.run_inside(&again).exits(code).stdout);
        }
    }
}

/// Every odd dump that can be transformed: each command that reads or writes its output.
#[test]
fn summaries_of_odd_dumps_fit_a_terminal() {
    let world = world();
    let mut transformed = 0;
    for entry in fs::read_dir(root().join("fixtures/odd")).expect("the fixtures") {
        let entry = entry.expect("an entry");
        if !entry.path().is_dir() {
            continue;
        }
        let case = entry.file_name().into_string().expect("UTF-8");
        let dump = format!("fixtures/odd/{case}");
        let (out, back) = (format!("out-{case}"), format!("back-{case}"));
        let transform = ["transform", &dump, &out, "--skip-unrestorable", "--allow-empty", "-v"];
        let run = world.run_inside(transform);
        fits(&transform, &run.stdout);
        if run.code() != Some(0) {
            continue;
        }
        transformed += 1;
        for words in [
            vec!["transform", &dump, &out, "--skip-unrestorable", "--allow-empty", "--dry-run"],
            vec!["verify", &out, "-v"],
            vec!["verify", &out, "--source", &dump, "-v"],
            vec!["findings", &out],
            vec!["reverse", &out, &back, "-v"],
            vec!["mapping", "check", "builtin:user_data", &dump, "-v"],
        ] {
            let run = world.run_inside(&words);
            fits(&words, &run.stdout);
            // Other databases in the dump are no fault of the summary's.
            let brief = run.stdout.lines().count() <= MOST_LINES;
            let is_long = words.contains(&"-v") || words[0] == "findings";
            assert!(brief || is_long, "{run}");
        }
    }
    assert!(transformed > 30, "{transformed}");
}

/// What a run prints to a terminal of 100 columns on its standard output.
fn on_a_terminal(command: &mut Command) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let slave = File::options().read(true).write(true).open(name.to_str().expect("a path"));
    let mut run = command.stdout(slave.expect("its other end")).spawn().expect("the binary");
    // No copy of the other end may stay open here.
    *command = Command::new("true");
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    let mut master = File::from(master);
    // A terminal that was hung up is an error on Linux, and the end elsewhere.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        said.extend_from_slice(&buffer[..read]);
    }
    assert!(run.wait().expect("the run").success());
    String::from_utf8(said).expect("UTF-8")
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    const ESCAPE: char = '\u{1b}';
    let world = World::new();
    let out = world.transform(&root().join("fixtures/dump"), "out");
    let verify = |options: &[&str]| {
        let mut command = binary();
        command.arg("verify").arg(&out).args(options);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command
    };
    let piped = |command: &mut Command| {
        let run = command.output().expect("the binary");
        String::from_utf8(run.stdout).expect("UTF-8")
    };
    assert!(!piped(&mut verify(&[])).contains(ESCAPE));
    assert!(!piped(&mut verify(&["--color", "never"])).contains(ESCAPE));
    assert!(
        piped(&mut verify(&["--color", "always"]))
            .contains("\u{1b}[1m\u{1b}[32m✓\u{1b}[0m 7 files")
    );
    // Who asks for colours gets them.
    assert!(piped(verify(&["--color", "always"]).env("NO_COLOR", "1")).contains(ESCAPE));
    assert!(on_a_terminal(&mut verify(&[])).contains(ESCAPE));
    assert!(on_a_terminal(verify(&[]).env("NO_COLOR", "")).contains(ESCAPE));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_a_terminal(verify(&[]).env(name, value)).contains(ESCAPE), "{name}");
    }
    assert!(!on_a_terminal(&mut verify(&["--color", "never"])).contains(ESCAPE));
    // Files have none.
    let files = ["log", "report"].map(|name| world.path(name));
    let [log, report] = files.each_ref().map(|path| path.to_str().expect("a path"));
    let options = ["--color", "always", "--log-file", log, "--report", report];
    assert!(piped(&mut verify(&options)).contains(ESCAPE));
    for path in &files {
        let text = fs::read_to_string(path).expect("the file");
        assert!(text.contains("narrative_modeling.dataset_metadata"), "{text}");
        assert!(!text.contains(ESCAPE), "{text}");
    }
}
