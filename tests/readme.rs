//! The sessions in README.md are run as they are printed, in one directory, and say what they are printed to say.

mod harness;

use std::os::unix::fs::symlink;

use harness::{World, console, root};

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
    for block in console::blocks(&page) {
        if block.mark != "console" {
            continue;
        }
        for step in block.steps().iter().filter(|step| !needs_server(&step.command)) {
            let script = step.command.replacen("mongosplit", "\"$MONGOSPLIT\"", 1);
            let done = world.shell(&format!("cd \"$DIR\" && {script}"));
            step.check("README.md", &(done.stdout + &done.stderr));
            ran += 1;
        }
    }
    assert!(ran >= 7, "only {ran} commands of README.md were run");
}
