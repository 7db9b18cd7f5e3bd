//! The sessions in README.md are run as they are printed, in one directory, and say what they are printed to say.

mod harness;

use std::os::unix::fs::symlink;

use harness::{World, root, steady};

/// A command, and the lines that are printed below it.
struct Step {
    command: String,
    output: Vec<String>,
}

/// The steps in the blocks of a page that are marked as `console`.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        match line {
            "```console" => is_inside = true,
            "```" => is_inside = false,
            _ if !is_inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    steps.push(Step { command: command.to_owned(), output: Vec::new() })
                }
                None => steps.last_mut().expect("a command first").output.push(line.to_owned()),
            },
        }
    }
    steps
}

/// Whether a command needs a server, or what only one has written.
fn needs_server(command: &str) -> bool {
    command.starts_with("mongodump")
        || command.starts_with("mongorestore")
        || ["redump", "later"].iter().any(|dump| command.contains(dump))
}

#[test]
fn sessions_say_what_is_printed() {
    let world = World::new();
    symlink(root().join("fixtures"), world.path("fixtures")).expect("a link");
    let page = std::fs::read_to_string(root().join("README.md")).expect("the page");
    let mut ran = 0;
    for Step { command, output } in steps(&page) {
        if needs_server(&command) {
            continue;
        }
        let script = command.replacen("mongosplit", "\"$MONGOSPLIT\"", 1);
        let done = world.shell(&format!("cd \"$DIR\" && {script}"));
        let said = done.stdout + &done.stderr;
        let found: Vec<String> = said.lines().map(steady).collect();
        let mut expected: Vec<String> = output.iter().map(|line| steady(line)).collect();
        while expected.last().is_some_and(String::is_empty) {
            expected.pop();
        }
        // `…` stands for lines that are left out.
        let parts: Vec<&[String]> = expected.split(|line| line == "…").collect();
        let (first, last) = (parts[0], parts[parts.len() - 1]);
        let fits = match parts.len() {
            1 => found == first,
            _ => found.starts_with(first) && found.ends_with(last),
        };
        assert!(
            fits,
            "$ {command}\nprinted in README.md:\n{}\nfound:\n{}",
            expected.join("\n"),
            found.join("\n")
        );
        ran += 1;
    }
    assert!(ran >= 7, "only {ran} commands of README.md were run");
}
