//! docs/RUNBOOK.md says of each block who runs it. Here run, in one shell, those that need no server; the end-to-end
//! tests run them too, with the others. The messages that it explains are real ones.

mod harness;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::console::{self, Block, Step};
use harness::{DATABASE, World, dump, root};

const PAGE: &str = "docs/RUNBOOK.md";

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).expect("the page")
}

/// Who runs a block.
#[derive(Debug, PartialEq, Eq)]
enum Runner {
    /// This test, and the end-to-end tests.
    Console,
    /// The end-to-end tests.
    Server,
    /// Nobody; the line above says why.
    Nobody,
    /// It holds no commands.
    Text,
}

/// Who runs a block, and the command that must be there for it. Without that, the block is left out.
fn runner<'a>(block: &Block<'a>) -> (Runner, Option<&'a str>) {
    let mut words = block.mark.split(' ');
    let word = words.next();
    let rest: Vec<&str> = words.collect();
    let (runner, rest) = match (word, rest.as_slice()) {
        (Some("console"), ["server", rest @ ..]) => (Runner::Server, rest),
        (Some("console"), rest) => (Runner::Console, rest),
        (Some("sh"), ["not-run"]) if block.above.starts_with("Not run: ") => {
            (Runner::Nobody, &[][..])
        }
        (Some("text"), []) => (Runner::Text, &[][..]),
        _ => panic!("{PAGE}, line {}: nothing says who runs this block: {block:?}", block.line),
    };
    match rest {
        [] => (runner, None),
        [needs] if needs.starts_with("needs=") => (runner, needs.strip_prefix("needs=")),
        _ => panic!("{PAGE}, line {}: unknown words in its mark: {}", block.line, block.mark),
    }
}

/// Whether the command that a block needs is there.
fn is_there(world: &World, needs: &str) -> bool {
    world.shell(&format!("command -v {needs}")).code() == Some(0)
}

#[test]
fn each_block_says_who_runs_it() {
    let page = page();
    let blocks = console::blocks(&page);
    let count = |wanted| blocks.iter().filter(|block| runner(block).0 == wanted).count();
    assert!(count(Runner::Console) >= 10 && count(Runner::Server) >= 15);
    for block in blocks {
        let is_session = matches!(runner(&block).0, Runner::Console | Runner::Server);
        assert!(!is_session || !block.steps().is_empty(), "{PAGE}, line {}: empty", block.line);
    }
}

#[test]
fn nothing_hides_from_the_marks_and_links_lead_somewhere() {
    let page = page();
    let mut is_inside = false;
    let (mut anchors, mut targets) = (Vec::new(), Vec::new());
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_inside = !is_inside;
        } else if !is_inside {
            assert!(
                !line.starts_with("    "),
                "{PAGE}, line {}: a block without a mark",
                index + 1
            );
            anchors.extend(line.starts_with('#').then(|| anchor(line)));
            targets.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        }
    }
    for target in targets {
        let leads = match target.strip_prefix('#') {
            Some(name) => anchors.iter().any(|anchor| anchor == name),
            None => {
                let path = target.split('#').next().expect("a path");
                path.contains("://") || root().join("docs").join(path).exists()
            }
        };
        assert!(leads, "{PAGE}: '{target}' leads nowhere");
    }
}

/// What a link to a heading is called.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let letters = text.chars().filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter));
    letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Stands before each command's output.
const MARK: &str = "--- the output of command ";

#[test]
fn what_needs_no_server_says_what_is_printed() {
    let world = World::new();
    let bin = world.mkdir("bin");
    symlink(env!("CARGO_BIN_EXE_mongosplit"), bin.join("mongosplit")).expect("a link");
    // What blocks that need a server have made: two dumps of one database, and its count of documents.
    for name in ["trial", "dump"] {
        let database = world.mkdir(&format!("story/{name}/{DATABASE}"));
        for file in fs::read_dir(dump().join(DATABASE)).expect("the fixture") {
            let file = file.expect("a file").path();
            fs::copy(&file, database.join(file.file_name().expect("a name"))).expect("a copy");
        }
        fs::copy(dump().join("prelude.json"), database.join("prelude.json")).expect("a copy");
    }
    let mut script = "set -euo pipefail\nexec 2>&1\nN=60\n".to_owned();

    let page = page();
    let mut steps: Vec<Step> = Vec::new();
    for block in console::blocks(&page) {
        let (runner, needs) = runner(&block);
        if runner != Runner::Console {
            continue;
        }
        match needs {
            Some(needs) if !is_there(&world, needs) => println!("left out: there is no {needs}"),
            _ => steps.extend(block.steps()),
        }
    }
    for (number, step) in steps.iter().enumerate() {
        script += &format!("printf '\\n%s\\n' '{MARK}{number}'\n{}\n", step.command);
    }
    world.write("story.sh", script);
    let done = world
        .shell("cd \"$DIR/story\" && umask 077 && PATH=\"$DIR/bin:$PATH\" exec bash ../story.sh");
    let mut rest = done.stdout.as_str();
    for (number, step) in steps.iter().enumerate() {
        let begin = format!("\n{MARK}{number}\n");
        let Some(at) = rest.find(&begin) else {
            panic!("{PAGE}, line {}: an earlier command failed\n{done}", step.line)
        };
        rest = &rest[at + begin.len()..];
        let end = rest.find(&format!("\n{MARK}")).unwrap_or(rest.len());
        step.check(PAGE, rest[..end].trim_end_matches('\n'));
    }
    done.exits(0);
}

/// Appends all text of the source and of golden files, with the lines of each string literal joined.
fn texts(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("the source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, text);
        } else {
            let mut is_joined = false;
            for line in fs::read_to_string(&path).expect("a file").lines() {
                let line = if is_joined { line.trim_start() } else { line };
                is_joined = line.ends_with('\\');
                text.push_str(line.strip_suffix('\\').unwrap_or(line));
                text.push_str(if is_joined { "" } else { "\n" });
            }
        }
    }
}

/// The parts of a format string between its arguments, and of a message between its gaps.
fn parts(text: &str) -> Vec<&str> {
    let parts = text.split(['…', '{', '}', '\'']);
    let is_letter = |letter: char| letter.is_alphanumeric();
    parts
        .map(|part| part.trim_matches(|letter| !is_letter(letter)))
        .filter(|part| part.len() > 3)
        .collect()
}

#[test]
fn the_messages_that_it_explains_are_real() {
    let mut text = String::new();
    for directory in ["src", "tests/golden"] {
        texts(&root().join(directory), &mut text);
    }
    // What the operating system says.
    text += "No such file or directory\nNo space left on device\n";
    let page = page();
    let begin = page.find("\n### The dump\n").expect("its beginning");
    let end = page.find("\n### Other tools\n").expect("its end");
    let (mut messages, mut unknown) = (0, Vec::new());
    for row in page[begin..end].lines().filter(|line| line.starts_with("| `")) {
        let message = row[3..].split("` |").next().expect("a message").split("` after `");
        for part in parts(message.into_iter().next().expect("a message")) {
            if !text.contains(part) {
                unknown.push(part);
            }
        }
        messages += 1;
    }
    assert!(unknown.is_empty(), "{PAGE}: nothing that is printed has {unknown:?}");
    assert!(messages >= 25, "only {messages} messages");
}

#[test]
fn gaps_stand_for_anything() {
    let lines = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    for (expected, found, is_fit) in [
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/…", "a", true),
        ("…/b", "a/a/b", true),
        ("…/b", "b/a", false),
        ("a/…/b/…/c", "a/1/b/2/b/c", true),
        ("a/…/b/…/c", "a/c/b", false),
        ("a/…/a", "a", false),
        ("1 of … files (…)", "1 of 2 files (3 kB)", true),
        ("1 of … files", "1 of 2 file", false),
    ] {
        let fit = console::lines_fit(&lines(expected), &lines(found));
        assert_eq!(fit, is_fit, "{expected} and {found}");
    }
}
