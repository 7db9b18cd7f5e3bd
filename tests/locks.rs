//! Two runs for one place, and what `--force` replaces there.

mod harness;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use harness::{Run, Started, World, binary, copy, edit, files, fixture, reseal, same_files};
use mongosplit::disk::Disk;
use mongosplit::mapping::Plan;
use mongosplit::progress::Progress;
use mongosplit::transform::{self, transform_on};

// --- a run that goes on for as long as a test wants ---

/// A run that waits for the rest of its archive.
struct Waiting {
    run: Started,
    rest: Vec<u8>,
}

impl Waiting {
    /// Starts `transform -` and goes on when it has made its staging directory.
    fn start(world: &World, options: &[&str], staging: &str) -> Waiting {
        let archive = fs::read(fixture("all.archive")).expect("an archive");
        let (first, rest) = archive.split_at(archive.len() / 2);
        let mut command = binary();
        command.args(["transform", "-"]).args(options).current_dir(world.path(""));
        let mut run = world.start(&mut command);
        run.feed(first);
        run.wait_for(&world.path(staging));
        Waiting { run, rest: rest.to_vec() }
    }
    /// Gives it the rest.
    fn finish(mut self) -> Run {
        self.run.feed(&self.rest);
        self.run.finish()
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A world with a dump and an output of another one, for `reverse`.
fn prepared() -> World {
    let world = World::new();
    copy(&fixture("odd/no-prelude"), &world.path("dump"));
    world.transform(&fixture("odd/defaults"), "split");
    world
}

fn run(world: &World, line: &str) -> Run {
    world.run_inside(line.split(' '))
}

/// Whoever comes second is told who is there, whatever it is to make, and harms nothing.
#[test]
fn a_place_that_another_run_writes_to_is_refused() {
    for (name, prepare, options, staging, lock) in [
        ("out", "", &["out"] as &[&str], "out.mongosplit-partial", "out.mongosplit-lock"),
        ("out", "out/lost+found", &["out"], "out/.mongosplit-partial.d", "out/.mongosplit-lock"),
        ("out", "", &["out", "--archive"], "out.mongosplit-partial", "out.mongosplit-lock"),
        ("out", "", &["-", "--sidecar", "out"], "out.mongosplit-partial", "out.mongosplit-lock"),
    ] {
        let world = prepared();
        if !prepare.is_empty() {
            world.mkdir(prepare);
        }
        let first = Waiting::start(&world, options, staging);
        let text = format!(
            "mongosplit: '{name}': is being written by another run (process {}, host {}); wait or choose another place",
            first.run.id(),
            host()
        );
        let mut seconds =
            vec!["transform dump out", "reverse split out", "reverse split out --current split"];
        if prepare.is_empty() {
            seconds.extend(["transform dump out --archive", "reverse split out --archive"]);
        }
        for second in seconds {
            for force in ["", " --force"] {
                run(&world, &format!("{second}{force}")).exits(4).complains(&world, &text);
            }
        }
        run(&world, "transform dump ./out/ --force")
            .exits(4)
            .complains(&world, &text.replace("'out'", "'./out'"));
        run(&world, "transform dump out --dry-run").exits(0);
        run(&world, "transform dump other").exits(0);
        assert!(world.path(lock).exists() && world.path(staging).is_dir());
        let output = first.finish().exits(0);
        if options.contains(&"-") {
            fs::write(world.path("out"), output.bytes).expect("the archive");
        }
        run(&world, "verify out").exits(0).says("60");
        let beside = if options.contains(&"out") && options.len() == 1 {
            vec!["dump", "split", "out", "other"]
        } else {
            vec![
                "dump",
                "split",
                "out",
                "other",
                "out.manifest.json",
                "out.SHA256SUMS",
                "out.rollback",
            ]
        };
        world.holds_only(&beside);
        assert!(!world.path(lock).exists() && !world.path(staging).exists());
    }
}

/// A run publishes its own staging directory, or nothing; and removes no other.
#[test]
fn a_run_whose_staging_directory_was_replaced_publishes_nothing() {
    for archive in [false, true] {
        let world = World::new();
        let first = Waiting::start(
            &world,
            if archive { &["out", "--archive"] } else { &["out"] },
            "out.mongosplit-partial",
        );
        fs::rename(world.path("out.mongosplit-partial"), world.path("away")).expect("another name");
        copy(&world.path("away"), &world.path("out.mongosplit-partial"));
        let (other, away) = (files(&world.path("out.mongosplit-partial")), world.path("away"));
        let output = first.finish().exits(4);
        assert_eq!(
            output.stderr,
            "mongosplit: 'out.mongosplit-partial': is no longer the directory that this run created: another program removed or replaced it; nothing was published\n"
        );
        assert!(away.exists());
        same_files(
            &files(&world.path("out.mongosplit-partial")),
            &other,
            "another's staging directory",
        );
        world.holds_only(&["away", "out.mongosplit-partial"]);
    }
}

// --- the race ---

/// Two runs of `--force` at once, many times, the second a little later each time. Whoever says that all is well has
/// left an output that verifies, whatever the other has done.
#[test]
fn runs_at_the_same_time_leave_a_whole_output() {
    let world = prepared();
    world.generate("big", 2);
    for archive in [false, true] {
        let out = world.path(if archive { "arch" } else { "out" });
        let (mut refused, mut both) = (0, 0);
        for round in 0..24 {
            let start = |dump: &str| {
                let args = ["--force", "--quiet", "--threads", "1"];
                let mut command = binary();
                command.arg("transform").arg(world.path(dump)).arg(&out).args(args);
                world.start(command.args(archive.then_some("--archive")))
            };
            let one = start(["big", "dump"][round % 2]);
            std::thread::sleep(Duration::from_micros(1500 * (round / 2) as u64));
            let other = start(["dump", "big"][round % 2]);
            let runs = [one, other].map(Started::finish);
            let codes = runs.each_ref().map(Run::code);
            for run in &runs {
                let said = world.plain(&run.stderr);
                match run.code() {
                    Some(0) => assert_eq!(said, "", "round {round}"),
                    Some(4) => {
                        let is_told = said.contains("': is being written by another run")
                            && said.ends_with("; wait or choose another place\n");
                        assert!(is_told && said.lines().count() == 1, "round {round}: {said}");
                        refused += 1;
                    }
                    _ => panic!("round {round}: {codes:?}: {said}"),
                }
            }
            assert!(codes.contains(&Some(0)), "round {round}: {codes:?}");
            both += usize::from(codes == [Some(0); 2]);
            world.run(["verify".as_ref(), out.as_os_str()]).exits(0);
            let rest = ["dump", "split", "big", "out"].map(str::to_owned).to_vec();
            let beside = ["arch", "arch.manifest.json", "arch.SHA256SUMS", "arch.rollback"]
                .map(str::to_owned);
            let there = if archive { [rest, beside.to_vec()].concat() } else { rest };
            world.holds_only(&there.iter().map(String::as_str).collect::<Vec<_>>());
        }
        eprintln!("archive: {archive}: {refused} refused, {both} one behind the other");
    }
}

// --- lock files ---

#[test]
fn what_is_no_lock_file_is_left_alone() {
    let world = prepared();
    let text = "mongosplit: 'out.mongosplit-lock': is not a lock file of mongosplit; remove it or choose another place";
    let lock = world.path("out.mongosplit-lock");
    world.write("precious", "precious");
    let refuse = |force: &str| run(&world, &format!("transform dump out{force}")).exits(4);
    for force in ["", " --force"] {
        fs::write(&lock, "precious").expect("a file");
        refuse(force).complains(&world, text);
        assert_eq!(fs::read_to_string(&lock).expect("the file"), "precious");
        fs::remove_file(&lock).expect("removed");
        symlink("precious", &lock).expect("a link");
        refuse(force).complains(&world, text);
        fs::remove_file(&lock).expect("removed");
        fs::hard_link(world.path("precious"), &lock).expect("a link");
        refuse(force).complains(&world, text);
        fs::remove_file(&lock).expect("removed");
        world.shell("mkfifo $DIR/out.mongosplit-lock").exits(0);
        refuse(force).complains(&world, text);
        fs::remove_file(&lock).expect("removed");
        fs::create_dir(&lock).expect("a directory");
        refuse(force);
        fs::remove_dir(&lock).expect("removed");
    }
    assert_eq!(fs::read_to_string(world.path("precious")).expect("the file"), "precious");
    // One that a killed run has left is in nobody's way.
    for left in ["", "mongosplit lock\nprocess 1\nhost elsewhere\n"] {
        fs::write(&lock, left).expect("a lock");
        run(&world, "transform dump out --force").exits(0);
        world.holds_only(&["dump", "split", "precious", "out"]);
    }
}

/// Notes what is warned of.
#[derive(Default)]
struct Warned(Mutex<Vec<String>>);

impl Progress for Warned {
    fn warn(&self, message: &str) {
        self.0.lock().expect("no panic").push(message.to_owned());
    }
}

/// Where a file system has no locks, a run says so, and leaves a staging directory that may be another run's.
#[test]
fn a_file_system_without_locks_is_warned_of() {
    let world = prepared();
    let plan = Plan::built_in().expect("the plan");
    let out = world.path("out");
    let transform = |force: bool| {
        let warned = Warned::default();
        let options =
            transform::Options { force, ..transform::Options::new(world.path("dump"), &out) };
        let result =
            transform_on(&Disk::default().without_locks(), &options, &plan, &warned).map(drop);
        (
            result.map_err(|error| (error.exit_code(), world.plain(&error.to_string()))),
            warned.0.into_inner().expect("no panic"),
        )
    };
    for force in [false, true] {
        let (result, warned) = transform(force);
        assert_eq!(result, Ok(()));
        let text = "the file system of 'DIR/out' has no locks, so another run for the same place would go unnoticed";
        assert_eq!(warned.iter().map(|text| world.plain(text)).collect::<Vec<_>>(), [text]);
    }
    world.write("out.mongosplit-partial/narrative_modeling/x.bson.part", "another run's");
    for (force, text) in [
        (
            false,
            "'DIR/out.mongosplit-partial': was left by an interrupted run; remove it, or give --force to have it removed",
        ),
        (
            true,
            "'DIR/out.mongosplit-partial': was left by an interrupted run, or is in use by another: without locks on this file system, --force cannot know and leaves it; remove it once no run is active",
        ),
    ] {
        assert_eq!(transform(force).0, Err((4, text.to_owned())));
        assert!(world.path("out.mongosplit-partial/narrative_modeling/x.bson.part").exists());
    }
}

// --- what --force replaces ---

/// A place with something in it, made from an output of `transform`.
fn altered(world: &World, archive: bool, alter: impl FnOnce(&Path)) {
    for name in ["out", "out.manifest.json", "out.SHA256SUMS", "out.rollback", "out.rejected"]
        .map(|name| world.path(name))
    {
        if name.is_dir() {
            fs::remove_dir_all(name).expect("removed");
        } else if name.symlink_metadata().is_ok() {
            fs::remove_file(name).expect("removed");
        }
    }
    run(world, if archive { "transform old out --archive" } else { "transform old out" }).exits(0);
    alter(&world.path("out"));
}

/// A file beside an archive.
fn beside(out: &Path, what: &str) -> PathBuf {
    out.with_file_name(format!("out.{what}"))
}

fn empty(directory: &Path) {
    fs::remove_dir_all(directory).expect("removed");
    fs::create_dir(directory).expect("a directory");
}

/// Changes the text of a manifest, its own checksum right again.
fn amend(manifest: PathBuf, from: &str, to: &str) {
    edit(manifest, |text| reseal(&text.replace(from, to)));
}

fn world_with_old() -> World {
    let world = prepared();
    copy(&fixture("odd/defaults"), &world.path("old"));
    world
}

/// What a place is called, and how it is made from an output.
type Alteration = (&'static str, fn(&Path));
/// The same, and why it stays.
type Refused = (&'static str, fn(&Path), String);

#[test]
fn force_replaces_outputs_of_its_own_kind() {
    let world = world_with_old();
    run(&world, "transform dump new").exits(0);
    let fresh = files(&world.path("new"));
    let replaced: &[Alteration] = &[
        ("sound", |_| {}),
        ("a file is missing", |out| {
            fs::remove_file(out.join("narrative_modeling/model_configs.bson")).expect("removed")
        }),
        ("all but the manifest is missing", |out| {
            fs::remove_dir_all(out.join("narrative_modeling")).expect("removed")
        }),
        ("a file is damaged", |out| {
            fs::write(out.join("narrative_modeling/dataset_metadata.bson"), "damaged")
                .expect("a file")
        }),
        ("the manifest's checksum does not hold", |out| {
            edit(out.join("manifest.json"), |text| text.replace("\"proven\": 3", "\"proven\": 4"))
        }),
        ("of another version", |out| {
            amend(out.join("manifest.json"), "\"format\": 1", "\"format\": 7")
        }),
        ("what systems leave", |out| {
            fs::write(out.join(".DS_Store"), "").expect("a file");
            fs::write(out.join("narrative_modeling/Thumbs.db"), "").expect("a file");
        }),
        ("nothing but what systems leave", |out| {
            empty(out);
            fs::write(out.join(".DS_Store"), "").expect("a file");
        }),
        ("empty", empty),
    ];
    for (what, alter) in replaced {
        altered(&world, false, alter);
        if *what != "empty" {
            let text = "mongosplit: 'out': is not empty; name another directory, or give --force to replace it";
            run(&world, "transform dump out").exits(4).complains(&world, text);
        }
        run(&world, "transform dump out --force").exits(0);
        same_files(&files(&world.path("out")), &fresh, what);
        world.holds_only(&["dump", "split", "old", "new", "out"]);
    }
}

#[test]
fn force_replaces_no_other_directory() {
    let world = world_with_old();
    let foreign = "but no manifest.json of mongosplit";
    let unnamed = "which its manifest.json does not list";
    let refused: &[Refused] = &[
        (
            "no output",
            |out| fs::remove_file(out.join("manifest.json")).expect("removed"),
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "another manifest",
            |out| {
                fs::write(out.join("manifest.json"), r#"{"name": "an extension"}"#).expect("a file")
            },
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "another tool's",
            |out| amend(out.join("manifest.json"), "mongosplit 0", "elsewhere 0"),
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "a manifest of places outside",
            |out| {
                amend(out.join("manifest.json"), "narrative_modeling/dataset_metadata.bson", "../x")
            },
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "a manifest that is a link",
            |out| {
                fs::rename(out.join("manifest.json"), out.with_file_name("manifest"))
                    .expect("another name");
                symlink("../manifest", out.join("manifest.json")).expect("a link");
            },
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "an archive's manifest",
            |out| amend(out.join("manifest.json"), "\"archive\": false", "\"archive\": true"),
            format!("contains 'SHA256SUMS', {foreign}"),
        ),
        (
            "a file more",
            |out| fs::write(out.join("notes.txt"), "mine").expect("a file"),
            format!("contains 'notes.txt', {unnamed}"),
        ),
        (
            "a file more, further down",
            |out| fs::write(out.join("narrative_modeling/x.bson"), "mine").expect("a file"),
            format!("contains 'narrative_modeling/x.bson', {unnamed}"),
        ),
        (
            "a database more",
            |out| fs::create_dir(out.join("other")).expect("a directory"),
            format!("contains 'other', {unnamed}"),
        ),
        (
            "a directory where a file was",
            |out| {
                fs::remove_file(out.join("SHA256SUMS")).expect("removed");
                fs::create_dir(out.join("SHA256SUMS")).expect("a directory");
            },
            format!("contains 'SHA256SUMS', {unnamed}"),
        ),
        (
            "a link where a file was",
            |out| {
                fs::remove_file(out.join("SHA256SUMS")).expect("removed");
                symlink("../old", out.join("SHA256SUMS")).expect("a link");
            },
            format!("contains 'SHA256SUMS', {unnamed}"),
        ),
        (
            "a directory with an ignorable name",
            |out| fs::create_dir(out.join(".DS_Store")).expect("a directory"),
            format!("contains '.DS_Store', {unnamed}"),
        ),
        (
            "somebody's files",
            |out| {
                empty(out);
                fs::write(out.join("thesis.tex"), "years").expect("a file");
            },
            format!("contains 'thesis.tex', {foreign}"),
        ),
        (
            "a dump",
            |out| {
                fs::remove_dir_all(out).expect("removed");
                copy(&fixture("odd/defaults"), out);
            },
            format!("contains 'narrative_modeling', {foreign}"),
        ),
    ];
    for (what, alter, why) in refused {
        altered(&world, false, alter);
        let before = files(&world.path(""));
        let text =
            "mongosplit: 'out': is not empty; name a directory that does not exist or is empty";
        run(&world, "transform dump out").exits(4).complains(&world, text);
        let text = format!(
            "mongosplit: 'out': {why}, so --force does not replace it; name another directory, or remove it yourself"
        );
        run(&world, "transform dump out --force").exits(4).complains(&world, &text);
        same_files(&files(&world.path("")), &before, what);
        let _ = fs::remove_file(world.path("manifest"));
    }
    // What one command has made, the other does not replace.
    altered(&world, false, |_| {});
    run(&world, "reverse split back").exits(0);
    let before = files(&world.path(""));
    for (line, what) in [
        ("reverse split out", "'out': is an output of transform, not of reverse"),
        ("transform dump back", "'back': is an output of reverse, not of transform"),
    ] {
        let text = format!(
            "mongosplit: {what}, so --force does not replace it; name another directory, or remove it yourself"
        );
        run(&world, &format!("{line} --force")).exits(4).complains(&world, &text);
        same_files(&files(&world.path("")), &before, line);
    }
    run(&world, "reverse split back --force").exits(0);
}

#[test]
fn force_replaces_archives_of_its_own_kind_and_no_others() {
    let world = world_with_old();
    let replaced: &[Alteration] = &[
        ("sound", |_| {}),
        ("cut off", |out| fs::write(out, "cut").expect("a file")),
        ("side files alone", |out| fs::remove_file(out).expect("removed")),
        ("no journal", |out| fs::remove_file(beside(out, "rollback")).expect("removed")),
        ("the manifest's checksum does not hold", |out| {
            edit(beside(out, "manifest.json"), |text| {
                text.replace("\"proven\": 3", "\"proven\": 4")
            })
        }),
    ];
    for (what, alter) in replaced {
        altered(&world, true, alter);
        let refused = run(&world, "transform dump out --archive").exits(4);
        let text = "': already exists; name another archive, or give --force to replace it\n";
        assert!(refused.stderr.ends_with(text), "{what}: {refused}");
        run(&world, "transform dump out --archive --force").exits(0);
        run(&world, "verify out").exits(0);
        world.holds_only(&[
            "dump",
            "split",
            "old",
            "out",
            "out.manifest.json",
            "out.SHA256SUMS",
            "out.rollback",
        ]);
    }
    let unnamed = "already exists, and no 'out.manifest.json' of mongosplit lists it";
    let refused: &[Refused] = &[
        (
            "no manifest",
            |out| fs::remove_file(beside(out, "manifest.json")).expect("removed"),
            format!("'out': {unnamed}"),
        ),
        (
            "another's manifest",
            |out| fs::write(beside(out, "manifest.json"), "{}").expect("a file"),
            format!("'out': {unnamed}"),
        ),
        (
            "a manifest of another archive",
            |out| amend(beside(out, "manifest.json"), "\"path\": \"out", "\"path\": \"in"),
            format!("'out': {unnamed}"),
        ),
        (
            "a directory's manifest",
            |out| amend(beside(out, "manifest.json"), "\"archive\": true", "\"archive\": false"),
            format!("'out': {unnamed}"),
        ),
        (
            "a side file that it does not name",
            |out| fs::write(beside(out, "rejected"), "mine").expect("a file"),
            "'out.rejected': already exists, and 'out.manifest.json' does not list it".to_owned(),
        ),
        (
            "a file of that name alone",
            |out| {
                for what in ["manifest.json", "SHA256SUMS", "rollback"] {
                    fs::remove_file(beside(out, what)).expect("removed");
                }
            },
            format!("'out': {unnamed}"),
        ),
    ];
    for (what, alter, why) in refused {
        altered(&world, true, alter);
        let before = files(&world.path(""));
        run(&world, "transform dump out --archive").exits(4);
        let text = format!(
            "mongosplit: {why}, so --force does not replace it; name another archive, or remove it yourself"
        );
        run(&world, "transform dump out --archive --force").exits(4).complains(&world, &text);
        same_files(&files(&world.path("")), &before, what);
    }
    altered(&world, true, |_| {});
    let before = files(&world.path(""));
    let text = "mongosplit: 'out': already exists, and belongs to an output of transform, not of reverse, so --force does not replace it; name another archive, or remove it yourself";
    run(&world, "reverse split out --archive --force").exits(4).complains(&world, text);
    // Neither form replaces the other.
    run(&world, "transform dump out --force").exits(4).complains(
        &world,
        "mongosplit: 'out': is not a directory; name one that does not exist or is empty",
    );
    run(&world, "transform dump split --archive --force").exits(4).complains(
        &world,
        "mongosplit: 'split': is not a regular file; name another place for the archive",
    );
    same_files(&files(&world.path("")), &before, "refused");
    // No link is written through, and none is taken for a file of ours.
    fs::rename(beside(&world.path("out"), "rollback"), world.path("elsewhere"))
        .expect("another name");
    symlink("elsewhere", beside(&world.path("out"), "rollback")).expect("a link");
    let before = files(&world.path(""));
    run(&world, "transform dump out --archive --force").exits(4).complains(
        &world,
        "mongosplit: 'out.rollback': is not a regular file; name another place for the archive",
    );
    same_files(&files(&world.path("")), &before, "a link");
}

/// The root of a file system, as far as `lost+found` tells: what is in it stays, and is filled from inside.
#[test]
fn the_root_of_a_file_system_is_filled_from_inside() {
    let world = world_with_old();
    run(&world, "transform dump new").exits(0);
    let fresh = files(&world.path("new"));
    world.write("out/lost+found/#12", "found");
    let check = |what: &str| {
        let mut found = files(&world.path("out"));
        assert_eq!(found.remove("lost+found/#12").as_deref(), Some(b"found".as_slice()), "{what}");
        same_files(&found, &fresh, what);
        run(&world, "verify out").exits(0);
        world.holds_only(&["dump", "split", "old", "new", "out"]);
    };
    run(&world, "transform dump out").exits(0);
    check("empty");
    run(&world, "transform dump out").exits(4).complains(
        &world,
        "mongosplit: 'out': is not empty; name another directory, or give --force to replace it",
    );
    run(&world, "transform old out --force").exits(0);
    run(&world, "transform dump out --force").exits(0);
    check("replaced");
    world.write("out/notes.txt", "mine");
    let before = files(&world.path("out"));
    run(&world, "transform old out --force").exits(4).complains(
        &world,
        "mongosplit: 'out': contains 'notes.txt', which its manifest.json does not list, so --force does not replace it; name another directory, or remove it yourself",
    );
    same_files(&files(&world.path("out")), &before, "refused");
}
