//! Runs that are cut short: at each of their file operations, by signals, and by `kill -9`. What is left is a
//! complete output or none, and an old output is there until a new one is complete.
//!
//! `EVERY_STEP=1` also lets every later run fail at each of its operations; without it, those do that find most.

mod harness;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use harness::{Started, World, binary, files, fixture, same_files};
use mongosplit::disk::{Disk, Fault};
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{self, reverse_on};
use mongosplit::transform::{self, transform_on};
use mongosplit::verify::{self, verify};

fn is_sound(out: &Path) -> bool {
    verify(&verify::Options::new(out), &Silent).is_ok_and(|report| report.differences.is_empty())
}

// --- at each step ---

/// All that lies below a directory: the bytes of files, nothing for directories. Of a lock, only that it is there.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

fn tree(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(directory).expect("below").to_string_lossy().into_owned();
            if path.is_dir() {
                tree.insert(name, None);
                open.push(path);
            } else {
                let bytes = if name.ends_with("mongosplit-lock") {
                    Vec::new()
                } else {
                    fs::read(&path).expect("a file")
                };
                tree.insert(name, Some(bytes));
            }
        }
    }
    tree
}

fn restore(directory: &Path, tree: &Tree) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            fs::remove_dir_all(path).expect("removed")
        } else {
            fs::remove_file(path).expect("removed")
        }
    }
    for (name, bytes) in tree {
        match bytes {
            None => fs::create_dir_all(directory.join(name)).expect("a directory"),
            Some(bytes) => fs::write(directory.join(name), bytes).expect("a file"),
        }
    }
}

/// What a run leaves only when it is cut short.
fn is_left_over(name: &str) -> bool {
    name.starts_with("out.mongosplit-") || name.starts_with("out/.mongosplit-")
}

fn without_left_over(tree: &Tree) -> Tree {
    tree.iter()
        .filter(|(name, _)| !is_left_over(name))
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect()
}

/// What mongorestore would restore from a directory: nothing if it refuses all of it because of a
/// dot in the name of a directory.
fn restorable<'t>(tree: &'t Tree, directory: &str) -> BTreeMap<&'t str, &'t [u8]> {
    let below = |name: &'t String| name.strip_prefix(directory)?.strip_prefix('/');
    let mut found = BTreeMap::new();
    for (name, bytes) in tree {
        match (below(name), bytes) {
            (Some(name), None) if !name.contains('/') && name.contains('.') => {
                return BTreeMap::new();
            }
            (Some(name), Some(bytes)) if name.ends_with(".bson") || name.ends_with(".bson.gz") => {
                found.insert(name, bytes.as_slice());
            }
            _ => {}
        }
    }
    found
}

fn names(tree: &Tree) -> Vec<&String> {
    tree.keys().collect()
}

/// How an output comes to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In one step.
    Whole,
    /// In two, on a file system that cannot exchange two directories.
    Aside,
    /// One file after the other.
    Pieces,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Transform,
    Reverse,
}

/// A kind of run, and what is at its place before.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    operation: Operation,
    way: Way,
    is_archive: bool,
    gzip: bool,
    /// There is an old output, to be replaced.
    over: bool,
    /// A directory that is there, below the temporary one, with what is left alone in it.
    standing: Option<&'static str>,
}

const PLAIN: Case = Case {
    name: "plain",
    operation: Operation::Transform,
    way: Way::Whole,
    is_archive: false,
    gzip: false,
    over: false,
    standing: None,
};
const CASES: &[Case] = &[
    PLAIN,
    Case { name: "gzip", gzip: true, ..PLAIN },
    Case { name: "into an empty directory", standing: Some("out"), ..PLAIN },
    Case { name: "force", over: true, ..PLAIN },
    Case { name: "force without exchange", over: true, way: Way::Aside, ..PLAIN },
    Case {
        name: "into a file system's root",
        standing: Some("out/lost+found"),
        way: Way::Pieces,
        ..PLAIN
    },
    Case {
        name: "force in a file system's root",
        over: true,
        standing: Some("out/lost+found"),
        way: Way::Pieces,
        ..PLAIN
    },
    Case { name: "archive", is_archive: true, way: Way::Pieces, ..PLAIN },
    Case { name: "archive force", is_archive: true, over: true, way: Way::Pieces, ..PLAIN },
    Case { name: "reverse", operation: Operation::Reverse, ..PLAIN },
    Case { name: "reverse force", operation: Operation::Reverse, over: true, ..PLAIN },
    Case {
        name: "reverse archive force",
        operation: Operation::Reverse,
        is_archive: true,
        over: true,
        way: Way::Pieces,
        ..PLAIN
    },
];

fn case(name: &str) -> Case {
    *CASES.iter().find(|case| case.name == name).expect("a case")
}

impl Case {
    fn disk(&self, disk: Disk) -> Disk {
        if self.way == Way::Aside { disk.without_exchange() } else { disk }
    }
    /// Runs it, from one of two sources, to `out` below a directory.
    fn run(
        &self,
        disk: &Disk,
        sources: &Path,
        number: u32,
        directory: &Path,
        force: bool,
    ) -> mongosplit::Result<()> {
        static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan::built_in().expect("the plan"));
        let plan = &*PLAN;
        let (gzip_level, archive) = (self.gzip.then_some(1), self.is_archive);
        match self.operation {
            Operation::Transform => {
                let dump = fixture(["odd/defaults", "odd/no-id"][number as usize]);
                let plain = transform::Options::new(dump, directory.join("out"));
                // One thread, so that the steps come in one order.
                let options = transform::Options {
                    gzip_level,
                    archive,
                    force,
                    skip_unrestorable: true,
                    threads: Some(1),
                    ..plain
                };
                transform_on(disk, &options, plan, &Silent).map(drop)
            }
            Operation::Reverse => {
                let plain =
                    reverse::Options::new(sources.join(number.to_string()), directory.join("out"));
                let options =
                    reverse::Options { gzip_level, archive, force, threads: Some(1), ..plain };
                reverse_on(disk, &options, &Silent).map(drop)
            }
        }
    }
}

/// A case that is ready to be run, in memory where that can be, as there are many runs.
struct Stage {
    case: Case,
    sources: World,
    world: World,
    before: Tree,
    after: Tree,
    /// Mixtures that do not verify.
    mixtures: RefCell<BTreeSet<Tree>>,
}

impl Stage {
    fn new(case: Case) -> Stage {
        let (sources, world) = (World::in_memory(), World::in_memory());
        if case.operation == Operation::Reverse {
            for number in 0..2 {
                PLAIN
                    .run(&Disk::default(), Path::new(""), number, &sources.mkdir("made"), false)
                    .expect("a source");
                fs::rename(sources.path("made/out"), sources.path(&number.to_string()))
                    .expect("a source");
            }
        }
        let mut stage = Stage {
            case,
            sources,
            world,
            before: Tree::new(),
            after: Tree::new(),
            mixtures: RefCell::default(),
        };
        if let Some(standing) = case.standing {
            stage.world.mkdir(standing);
        }
        if case.over {
            stage.run(&Disk::default(), 0, false).expect("an old output");
        }
        stage.before = tree(&stage.directory());
        let disk = case.disk(Disk::default());
        stage.run(&disk, 1, case.over).expect("a run that nothing stops");
        stage.after = tree(&stage.directory());
        assert_ne!(stage.before, stage.after);
        assert!(is_sound(&stage.world.path("out")) && disk.steps() > 30, "{} steps", disk.steps());
        stage
    }
    fn directory(&self) -> PathBuf {
        self.world.path("")
    }
    fn run(&self, disk: &Disk, number: u32, force: bool) -> mongosplit::Result<()> {
        self.case.run(disk, self.sources.path("").as_path(), number, &self.directory(), force)
    }
    /// Runs it on what is left, failing at a step; gives what is left then, and how many steps it took.
    fn fail(
        &self,
        left: &Tree,
        force: bool,
        step: u64,
        fault: Fault,
    ) -> (Tree, mongosplit::Result<()>, u64) {
        restore(&self.directory(), left);
        let disk = self.case.disk(Disk::with_fault(step, fault));
        let result = self.run(&disk, 1, force);
        let found = tree(&self.directory());
        self.check(&found, &format!("{}, step {step}, {fault:?}: {result:?}", self.case.name));
        (found, result, disk.steps())
    }
    /// Whether all of an output is there, at its place or where it waits.
    fn keeps(&self, found: &Tree, output: &Tree) -> bool {
        let is_there = |(name, bytes): (&String, &Option<Vec<u8>>)| {
            let name = name.strip_prefix("out/").unwrap_or(name);
            let is_it = |other: &String| {
                other == name || other.strip_suffix(name).is_some_and(|above| above.ends_with('/'))
            };
            bytes.is_none() || found.iter().any(|(other, there)| there == bytes && is_it(other))
        };
        output.iter().all(is_there)
    }
    /// What holds whatever has happened.
    fn check(&self, found: &Tree, context: &str) {
        assert!(
            self.keeps(found, &self.before) || self.keeps(found, &self.after),
            "{context}: both are lost: {:?}",
            names(found)
        );
        for staging in
            ["out.mongosplit-partial", "out.mongosplit-replaced", "out/.mongosplit-partial.d"]
        {
            let restored = restorable(found, staging);
            assert!(
                restored.is_empty()
                    || [&self.before, &self.after]
                        .iter()
                        .any(|tree| restorable(tree, "out") == restored),
                "{context}: mongorestore would take a part of an output in {staging}: {:?}",
                names(found)
            );
        }
        let seen = without_left_over(found);
        if seen == self.before || seen == self.after {
            return;
        }
        match self.case.way {
            Way::Whole => panic!(
                "{context}: neither the old output nor the new one is at the place: {:?}",
                names(found)
            ),
            Way::Aside => assert!(
                seen.is_empty(),
                "{context}: half an output is at the place: {:?}",
                names(found)
            ),
            Way::Pieces if self.mixtures.borrow().contains(&seen) => {}
            Way::Pieces => {
                assert!(
                    !is_sound(&self.world.path("out")),
                    "{context}: a mixture verifies: {:?}",
                    names(found)
                );
                self.mixtures.borrow_mut().insert(seen);
            }
        }
    }
    /// Fails each step of a run, once and from there on. Gives all that is left.
    fn at_each_step(&self) -> BTreeSet<Tree> {
        let mut all = BTreeSet::new();
        for fault in [Fault::Once, Fault::FromThereOn] {
            for step in 1.. {
                let (found, result, steps) = self.fail(&self.before, self.case.over, step, fault);
                if steps < step {
                    result.expect("no step failed");
                    assert_eq!(names(&found), names(&self.after));
                    break;
                }
                let context = format!("{}, step {step}, {fault:?}: {result:?}", self.case.name);
                if fault == Fault::Once {
                    // A file that nobody locks any more is in nobody's way.
                    let left: Vec<_> = found
                        .keys()
                        .filter(|name| is_left_over(name) && !name.ends_with("-lock"))
                        .collect();
                    assert!(left.is_empty(), "{context}: left {left:?}");
                }
                match result {
                    Ok(()) => assert_eq!(without_left_over(&found), self.after, "{context}"),
                    Err(error) => {
                        assert!([3, 4].contains(&error.exit_code()), "{context}");
                        if fault == Fault::Once {
                            assert_eq!(without_left_over(&found), self.before, "{context}");
                        }
                    }
                }
                all.insert(found);
            }
        }
        all
    }
    /// Whether publishing has begun and is to be finished.
    fn is_begun(&self, left: &Tree) -> bool {
        let seen = without_left_over(left);
        let is_mark = |name: &String| {
            name.ends_with(".mongosplit-publishing") || name.starts_with("out.mongosplit-replaced")
        };
        seen != self.before && seen != self.after || left.keys().any(is_mark)
    }
    /// A run with `--force` on what is left fails at each step; to the point where what was left is finished, as from
    /// there on it is a run like the first one.
    fn fails_again(&self, left: &Tree) {
        for fault in [Fault::FromThereOn, Fault::Once] {
            for step in 1.. {
                let (found, result, taken) = self.fail(left, true, step, fault);
                if result.is_ok() && taken < step {
                    break;
                }
                if self.is_begun(left)
                    && !self.is_begun(&found)
                    && std::env::var_os("EVERY_STEP").is_none()
                {
                    break;
                }
            }
        }
    }
    /// A run with `--force` on what is left succeeds.
    fn succeeds_again(&self, left: &Tree) {
        restore(&self.directory(), left);
        let result = self.run(&self.case.disk(Disk::default()), 1, true);
        assert!(result.is_ok(), "{}: {result:?} after {:?}", self.case.name, names(left));
        let found = tree(&self.directory());
        assert!(
            found == self.after,
            "{}: {:?} after {:?}",
            self.case.name,
            names(&found),
            names(left)
        );
    }
}

/// Fails the first, second, … operation, it alone or with all behind it, until a run needs no more of them; then
/// the same with runs that find what the first one has left.
fn fails_at_each_step(name: &str) {
    let stage = Stage::new(case(name));
    let all = stage.at_each_step();
    let most = all.iter().max_by_key(|left| left.len());
    for left in &all {
        stage.succeeds_again(left);
        if stage.is_begun(left) || Some(left) == most || std::env::var_os("EVERY_STEP").is_some() {
            stage.fails_again(left);
        }
    }
}

/// Tests by their names, each of one case.
macro_rules! each {
    ($($name:ident: $check:ident($case:literal),)*) => {
        $(#[test] fn $name() { $check($case); })*
    };
}

each! {
    transform_fails_at_each_step: fails_at_each_step("plain"),
    transform_with_gzip_fails_at_each_step: fails_at_each_step("gzip"),
    transform_into_an_empty_directory_fails_at_each_step: fails_at_each_step("into an empty directory"),
    transform_over_an_output_fails_at_each_step: fails_at_each_step("force"),
    transform_force_without_exchange_fails_at_each_step: fails_at_each_step("force without exchange"),
    transform_into_a_file_systems_root_fails_at_each_step: fails_at_each_step("into a file system's root"),
    transform_force_in_a_file_systems_root_fails_at_each_step: fails_at_each_step("force in a file system's root"),
    transform_archive_fails_at_each_step: fails_at_each_step("archive"),
    transform_archive_force_fails_at_each_step: fails_at_each_step("archive force"),
    reverse_fails_at_each_step: fails_at_each_step("reverse"),
    reverse_force_fails_at_each_step: fails_at_each_step("reverse force"),
    reverse_archive_force_fails_at_each_step: fails_at_each_step("reverse archive force"),
}

/// What a run has begun, one of another form finishes too, before it finds that the place is not for it. Killed just
/// before, it must not take the old output that waits, or the new one, for what can be removed.
fn another_form_finishes_it(name: &str) {
    let stage = Stage::new(case(name));
    let other = Case { is_archive: !stage.case.is_archive, ..stage.case };
    let begun: Vec<Tree> =
        stage.at_each_step().into_iter().filter(|left| stage.is_begun(left)).collect();
    assert!(begun.len() > 5, "{}", begun.len());
    for left in begun {
        restore(&stage.directory(), &left);
        let error = other
            .run(&Disk::default(), Path::new(""), 1, &stage.directory(), true)
            .expect_err("the place is taken");
        assert_eq!(error.exit_code(), 4, "{error}");
        let found = tree(&stage.directory());
        let seen = without_left_over(&found);
        assert!(
            seen == stage.before || seen == stage.after,
            "{name}: {error}: {:?} after {:?}",
            names(&found),
            names(&left)
        );
    }
}

each! {
    a_directory_after_an_archive_that_was_cut_short: another_form_finishes_it("archive force"),
    an_archive_after_a_directory_that_was_cut_short: another_form_finishes_it("force without exchange"),
}

/// A kill leaves what a run leaves that fails from there on, so what the tests above find of the one holds of both.
fn killed_at_each_step(name: &str) {
    let stage = Stage::new(case(name));
    for step in 1.. {
        let (failed, result, steps) =
            stage.fail(&stage.before, stage.case.over, step, Fault::FromThereOn);
        restore(&stage.directory(), &stage.before);
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "a_run_that_is_killed", "--ignored"]);
        command.env("CASE", name).env("STEP", step.to_string());
        command.env("SOURCES", stage.sources.path("")).env("PLACE", stage.directory());
        let output = command.output().expect("this program");
        if steps < step {
            result.expect("no step failed");
            assert!(output.status.success(), "{output:?}");
            assert_eq!(names(&tree(&stage.directory())), names(&stage.after));
            break;
        }
        assert_eq!(output.status.signal(), Some(9), "step {step}: {output:?}");
        let killed = tree(&stage.directory());
        assert!(
            killed == failed,
            "{name}, step {step}: {:?}, and after a kill {:?}",
            names(&failed),
            names(&killed)
        );
    }
}

#[test]
#[ignore = "the other tests start it, to be killed"]
fn a_run_that_is_killed() {
    let Ok(name) = std::env::var("CASE") else { return };
    let of = |name: &str| std::env::var(name).expect("a variable");
    let case = case(&name);
    let disk = case.disk(Disk::with_fault(of("STEP").parse().expect("a number"), Fault::Kill));
    case.run(&disk, Path::new(&of("SOURCES")), 1, Path::new(&of("PLACE")), case.over)
        .expect("a run that nothing stops");
}

each! {
    transform_archive_force_killed_at_each_step: killed_at_each_step("archive force"),
    transform_over_an_output_killed_at_each_step: killed_at_each_step("force"),
    transform_force_without_exchange_killed_at_each_step: killed_at_each_step("force without exchange"),
    transform_force_in_a_file_systems_root_killed_at_each_step: killed_at_each_step("force in a file system's root"),
}

fn start(world: &World, dump: &Path, out: &Path, options: &[&str]) -> Started {
    let args = [OsStr::new("transform"), dump.as_ref(), out.as_ref()];
    world.start(binary().args(args).args(options))
}

#[test]
fn a_signal_leaves_nothing() {
    let world = World::new();
    let dump = world.generate("dump", 40);
    let out = world.path("out");
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut run = start(&world, &dump, &out, &["--threads", "1"]);
        run.wait_for(&world.path("out.mongosplit-partial"));
        run.signal(signal);
        let run = run.finish().exits(code);
        assert_eq!(
            run.stderr,
            format!("mongosplit: stopped by signal {}; nothing was published\n", code - 128)
        );
        world.holds_only(&["dump"]);
    }
}

/// `nohup` starts a run with SIGHUP ignored, and it stays so.
#[test]
fn an_ignored_hangup_does_not_stop_a_run() {
    if !cfg!(target_os = "linux") {
        eprintln!("left out: only Linux says which signals are ignored");
        return;
    }
    let world = World::new();
    world.generate("dump", 8);
    let run = world.shell(
        "cd $DIR; trap '' HUP; $MONGOSPLIT transform dump out --threads 1 & run=$!
         until [ -e out.mongosplit-partial ]; do sleep 0.01; done
         kill -HUP $run; wait $run",
    );
    run.exits(0);
    assert!(is_sound(&world.path("out")));
}

/// A pipe that nothing comes from, and one that nothing reads, do not keep a run from stopping.
#[test]
fn a_signal_ends_a_wait_for_a_pipe() {
    let world = World::new();
    world.generate("dump", 4);
    fs::copy(fixture("all.archive"), world.path("all")).expect("a copy");
    let cases = [
        ("transform - $DIR/out <$DIR/pipe", "head -c 300000 $DIR/all >&3 &", "out"),
        ("transform $DIR/dump - --sidecar $DIR/out >$DIR/pipe", "", "out"),
    ];
    for (command, feed, out) in cases {
        let run = world.shell(&format!(
            "cd $DIR; mkfifo pipe; exec 3<>pipe; {feed}
             $MONGOSPLIT {command} 3<&- &
             run=$!
             until [ -e {out}.mongosplit-partial ]; do sleep 0.02; done
             kill -TERM $run; wait $run; code=$?; rm pipe; exit $code"
        ));
        let run = run.exits(143);
        assert!(run.stderr.contains("stopped by signal 15"), "{run}");
        world.holds_only(&["all", "dump"]);
    }
}

/// A limit on the size of files, as a full disk, is an error of the write.
#[test]
fn a_full_disk_leaves_no_output() {
    let world = World::new();
    world.generate("dump", 4);
    for options in ["", " --gzip"] {
        let command = format!("exec $MONGOSPLIT transform $DIR/dump $DIR/out{options}");
        let run = world.shell(&format!("ulimit -f 200; {command}")).exits(4);
        assert!(
            run.stderr.contains("cannot write '") && run.stderr.contains("File too large"),
            "{run}"
        );
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
    let out = world.transform(&fixture("odd/no-prelude"), "out");
    let old = files(&out);
    let mut run = start(&world, &dump, &out, &["--force", "--threads", "1"]);
    run.wait_for(&world.path("out.mongosplit-partial"));
    run.signal("TERM");
    run.finish().exits(143);
    same_files(&files(&out), &old, "the old output");
    world.holds_only(&["dump", "out"]);
}

/// Killed at various times: no output or a complete one, and a stale directory that is named, and that `--force`
/// removes.
#[test]
fn a_run_killed_at_any_time_leaves_a_whole_output_or_none() {
    let world = World::new();
    let dump = world.generate("dump", 8);
    let uninterrupted = files(&world.transform(&dump, "whole"));
    let out = world.path("out");
    let staging = world.path("out.mongosplit-partial");
    let mut cut_short = 0;
    for round in 0..12 {
        let mut run = start(&world, &dump, &out, &[]);
        if round % 2 == 0 {
            run.wait_for(&staging);
        }
        std::thread::sleep(Duration::from_millis(round * 15));
        run.signal("KILL");
        run.finish();
        if out.exists() {
            assert!(is_sound(&out), "round {round}");
        }
        if staging.exists() {
            cut_short += 1;
            let parts = files(&staging);
            // The manifest's name is the last to be given, when all else has its own.
            assert!(
                !parts.contains_key("manifest.json")
                    || parts.contains_key("SHA256SUMS")
                        && !parts.keys().any(|name| name.ends_with(".part")),
                "round {round}: {:?}",
                parts.keys()
            );
            if !out.exists() {
                let run =
                    world.run([OsStr::new("transform"), dump.as_ref(), out.as_ref()]).exits(4);
                run.complains(
                    &world,
                    "mongosplit: 'DIR/out.mongosplit-partial': was left by an interrupted run; remove it, or give --force to have it removed",
                );
            }
        }
        world
            .run([OsStr::new("transform"), dump.as_ref(), out.as_ref(), "--force".as_ref()])
            .exits(0);
        same_files(&files(&out), &uninterrupted, "the run after one that was killed");
        world.holds_only(&["dump", "whole", "out"]);
        fs::remove_dir_all(&out).expect("the output");
    }
    assert!(cut_short > 0, "no run was cut short");
}

/// Two at once, for one place: one of them wins, and the result is whole.
#[test]
fn of_two_runs_for_one_place_one_wins() {
    let world = World::new();
    let dump = world.generate("dump", 4);
    let out = world.path("out");
    let (one, other) = (start(&world, &dump, &out, &[]), start(&world, &dump, &out, &[]));
    let codes = [one, other].map(|run| run.finish().code());
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(4)), "{codes:?}");
    assert!(is_sound(&out));
    world.holds_only(&["dump", "out"]);
}
