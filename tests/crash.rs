//! Runs that are cut short: at each of their file operations, by signals, and by `kill -9`. What is left is a
//! complete output or none.

mod util;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongosplit::disk::Disk;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{self, reverse_on};
use mongosplit::transform::{self, transform_on};
use mongosplit::verify::{self, verify};
use util::{Files, World, files, root, same_files};

fn is_sound(out: &Path) -> bool {
    verify(&verify::Options::new(out), &Silent).is_ok_and(|report| report.differences.is_empty())
}

/// Fails the first, second, … operation and all behind it, until a run needs no more of them. `place` is where its
/// result goes; `old` is what stood there.
fn at_each_step(world: &World, place: &str, old: Option<&Files>, names: &[&str], mut run: impl FnMut(&Disk) -> mongosplit::Result<()>) {
    let path = world.path(place);
    for step in 1..1000 {
        let disk = Disk::failing_at(step);
        let result = run(&disk);
        let succeeded = result.is_ok();
        match (path.exists(), old) {
            (true, Some(old)) => {
                assert!(is_sound(&path), "step {step}: what is there does not verify; {result:?}");
                if succeeded {
                    assert_ne!(files(&path), *old, "step {step}");
                }
            }
            (true, None) => assert!(is_sound(&path), "step {step}: what is there does not verify; {result:?}"),
            (false, Some(_)) => panic!("step {step}: neither the old output nor the new one is there; {result:?}"),
            (false, None) => assert!(!succeeded, "step {step}: success, and nothing is there"),
        }
        let there = if path.exists() { [names, &[place]].concat() } else { names.to_vec() };
        world.holds_only(&there);
        if succeeded {
            assert!(step > 10, "only {step} steps");
            assert!(disk.steps() < step, "a run that succeeded had an operation that failed");
            return;
        }
        if path.exists() {
            fs::remove_dir_all(&path).expect("the output");
        }
        if let Some(old) = old {
            restore(&path, old);
        }
    }
    panic!("a thousand operations do not suffice");
}

fn restore(path: &Path, old: &Files) {
    for (name, bytes) in old {
        let file = path.join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        fs::write(file, bytes).expect("a file");
    }
}

#[test]
fn transform_fails_at_each_step() {
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    for (name, level) in [("plain", None), ("packed", Some(1))] {
        let world = World::new();
        let mut options = transform::Options::new(root().join("fixtures/odd/no-id"), world.path(name));
        (options.gzip_level, options.skip_unrestorable) = (level, true);
        at_each_step(&world, name, None, &[], |disk| transform_on(disk, &options, &plan, &Silent).map(drop));
    }
    world.holds_only(&[]);
}

#[test]
fn transform_over_an_output_fails_at_each_step() {
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    let old = files(&world.transform(&root().join("fixtures/odd/defaults"), "out"));
    let mut options = transform::Options::new(root().join("fixtures/odd/no-prelude"), world.path("out"));
    options.force = true;
    at_each_step(&world, "out", Some(&old), &[], |disk| transform_on(disk, &options, &plan, &Silent).map(drop));
}

/// An empty directory that is there stays there, empty.
#[test]
fn transform_into_an_empty_directory_fails_at_each_step() {
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    let out = world.mkdir("out");
    let options = transform::Options::new(root().join("fixtures/odd/no-prelude"), &out);
    for step in 1..1000 {
        let result = transform_on(&Disk::failing_at(step), &options, &plan, &Silent);
        world.holds_only(&["out"]);
        if result.is_ok() {
            assert!(is_sound(&out));
            return;
        }
        if !files(&out).is_empty() {
            assert!(is_sound(&out), "step {step}: {result:?}");
            fs::remove_dir_all(&out).expect("the output");
            fs::create_dir(&out).expect("the directory");
        }
    }
}

#[test]
fn reverse_fails_at_each_step() {
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    let out = world.transform(&root().join("fixtures/odd/no-prelude"), "out");
    let options = reverse::Options::new(&out, world.path("back"));
    let before = files(&out);
    at_each_step(&world, "back", None, &["out"], |disk| reverse_on(disk, &options, &plan, &Silent).map(drop));
    assert_eq!(files(&out), before);
    let old = files(&world.path("back"));
    let other = world.transform(&root().join("fixtures/odd/defaults"), "other");
    let mut options = reverse::Options::new(&other, world.path("back"));
    options.force = true;
    at_each_step(&world, "back", Some(&old), &["out", "other"], |disk| reverse_on(disk, &options, &plan, &Silent).map(drop));
}

fn start(dump: &Path, out: &Path, options: &[&str]) -> Child {
    let mut command = util::binary();
    command.args([OsStr::new("transform"), dump.as_ref(), out.as_ref()]).args(options);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

/// Waits until a run has begun to write, and fails where it ends before.
fn wait_for_staging(child: &mut Child, staging: &Path) {
    let began = Instant::now();
    while !staging.exists() {
        assert!(child.try_wait().expect("the run").is_none(), "the run ended before it was to be stopped");
        assert!(began.elapsed() < Duration::from_secs(30), "the run does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

#[test]
fn a_signal_leaves_nothing() {
    let world = World::new();
    let dump = world.generate("dump", 40);
    let out = world.path("out");
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut child = start(&dump, &out, &["--threads", "1"]);
        wait_for_staging(&mut child, &world.path("out.mongosplit-partial"));
        kill(&child, signal);
        let output = child.wait_with_output().expect("the run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{signal}: {stderr}");
        assert_eq!(stderr, format!("mongosplit: stopped by signal {}; nothing was published\n", code - 128));
        world.holds_only(&["dump"]);
    }
}

/// A limit on the size of files, as a full disk, is an error of the write.
#[test]
fn a_disk_that_is_full() {
    let world = World::new();
    world.generate("dump", 4);
    for (limit, command) in [(200, "transform $DIR/dump $DIR/out"), (2000, "transform $DIR/dump $DIR/out --gzip")] {
        let run = world.shell(&format!("ulimit -f {limit}; exec $MONGOSPLIT {command}"));
        if run.code() == Some(0) {
            assert!(is_sound(&world.path("out")));
            fs::remove_dir_all(world.path("out")).expect("the output");
            continue;
        }
        let run = run.exits(4);
        assert!(run.stderr.contains("cannot write '") && run.stderr.contains("File too large"), "{run}");
        world.holds_only(&["dump"]);
    }
    let out = world.transform(&world.path("dump"), "out");
    let run = world.shell("ulimit -f 200; exec $MONGOSPLIT reverse $DIR/out $DIR/back").exits(4);
    assert!(run.stderr.contains("File too large"), "{run}");
    assert!(is_sound(&out));
    world.holds_only(&["dump", "out"]);
}

/// The old output is as it was after a signal to a run that was to replace it.
#[test]
fn a_signal_leaves_the_old_output() {
    let world = World::new();
    let dump = world.generate("dump", 40);
    let out = world.transform(&root().join("fixtures/odd/no-prelude"), "out");
    let old = files(&out);
    let mut child = start(&dump, &out, &["--force", "--threads", "1"]);
    wait_for_staging(&mut child, &world.path("out.mongosplit-partial"));
    kill(&child, "TERM");
    assert_eq!(child.wait().expect("the run").code(), Some(143));
    same_files(&files(&out), &old, "the old output");
    world.holds_only(&["dump", "out"]);
}

/// Killed at various times: no output or a complete one, and a stale directory that is named, and that `--force`
/// removes.
#[test]
fn killed_at_any_time() {
    let world = World::new();
    let dump = world.generate("dump", 8);
    let uninterrupted = files(&world.transform(&dump, "whole"));
    let out = world.path("out");
    let staging = world.path("out.mongosplit-partial");
    let mut cut_short = 0;
    for round in 0..12 {
        let mut child = start(&dump, &out, &[]);
        if round % 2 == 0 {
            wait_for_staging(&mut child, &staging);
        }
        std::thread::sleep(Duration::from_millis(round * 15));
        let _ = child.kill();
        child.wait().expect("the run");
        if out.exists() {
            assert!(is_sound(&out), "round {round}");
        }
        if staging.exists() {
            cut_short += 1;
            let parts = files(&staging);
            assert!(
                parts.keys().all(|name| name.ends_with(".part"))
                    || parts.contains_key("SHA256SUMS")
                    || !parts.contains_key("manifest.json")
            );
            if !out.exists() {
                let run = world.run([OsStr::new("transform"), dump.as_ref(), out.as_ref()]).exits(4);
                run.complains(
                    &world,
                    "mongosplit: 'DIR/out.mongosplit-partial': is left from a run that was cut short, or belongs to one that still goes on; remove it, or give --force to have it removed",
                );
            }
        }
        world.run([OsStr::new("transform"), dump.as_ref(), out.as_ref(), "--force".as_ref()]).exits(0);
        same_files(&files(&out), &uninterrupted, "the run after one that was killed");
        world.holds_only(&["dump", "whole", "out"]);
        fs::remove_dir_all(&out).expect("the output");
    }
    assert!(cut_short > 0, "no run was cut short");
}

/// Two at once, for one place: one of them wins, and the result is whole.
#[test]
fn two_runs_for_one_place() {
    let world = World::new();
    let dump = world.generate("dump", 4);
    let out = world.path("out");
    let (one, other) = (start(&dump, &out, &[]), start(&dump, &out, &[]));
    let codes: Vec<Option<i32>> = [one, other].into_iter().map(|child| child.wait_with_output().expect("the run").status.code()).collect();
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(4)), "{codes:?}");
    assert!(is_sound(&out));
    world.holds_only(&["dump", "out"]);
}
