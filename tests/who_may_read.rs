//! Nobody may read what a run writes who may not read its sources. Tried with the system's own judgement: as root, each
//! file is opened as another user.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use harness::{DATABASE, World, copy, dump, files, is_root, root};
use mongosplit::audience::Audience;
use mongosplit::progress::Progress;
use mongosplit::{Plan, reverse, transform};
use rustix::fs::XattrFlags;

/// A user and a group that own nothing here.
const STRANGER: u32 = 4242;

/// A temporary directory that everyone may enter, if the system's own one is of that kind.
fn public_world() -> Option<World> {
    let world = World::new();
    set_mode(&world.path(""), 0o755);
    let file = world.write("probe", "");
    let is_public = Audience::of_all([file.as_path()]) == Audience::Everyone;
    fs::remove_file(file).expect("the probe");
    if !is_public {
        println!("left out: the temporary directory is not open to everyone");
    }
    is_public.then_some(world)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

/// A small dump and a mapping, readable by everyone.
fn prepare(world: &World) {
    copy(&dump(), &world.path("in/dump"));
    fs::copy(root().join("mappings/user_data.toml"), world.path("in/mapping.toml"))
        .expect("a mapping");
    for name in ["in", "in/dump", &format!("in/dump/{DATABASE}")] {
        set_mode(&world.path(name), 0o755);
    }
    for name in files(&world.path("in")).keys() {
        set_mode(&world.path("in").join(name), 0o644);
    }
}

/// What runs write from the dump.
const RUNS: &str = r#"
set -e; cd "$DIR"; umask "$UMASK"; {
    $MONGOSPLIT transform in/dump out/directory --mapping in/mapping.toml --log-file out/t.log --report out/t.json
    $MONGOSPLIT transform in/dump out/packed --mapping in/mapping.toml --gzip --report out/t.html
    $MONGOSPLIT transform in/dump out/archive --mapping in/mapping.toml --archive
    $MONGOSPLIT transform in/dump - --mapping in/mapping.toml --archive --sidecar out/streamed | cat >streamed
    $MONGOSPLIT sample in/dump out/sample --docs 5 --mapping in/mapping.toml
    $MONGOSPLIT inspect in/dump --mapping in/mapping.toml --report out/i.md --metrics out/i.prom
    $MONGOSPLIT verify out/directory --source in/dump --report out/v.json
    $MONGOSPLIT findings out/directory --report out/f.json
    $MONGOSPLIT reverse out/archive out/back
    $MONGOSPLIT reverse out/packed out/today --current out/archive --details out/d.ndjson
} >said
"#;

/// Runs the commands, and returns what they have written.
fn results(world: &World, umask: &str) -> Vec<PathBuf> {
    let _ = fs::remove_dir_all(world.path("out"));
    world.mkdir("out");
    set_mode(&world.path("out"), 0o755);
    results_in(world, umask)
}

fn results_in(world: &World, umask: &str) -> Vec<PathBuf> {
    world.shell(&format!("UMASK={umask}; {RUNS}")).exits(0);
    let written: Vec<PathBuf> =
        files(&world.path("out")).keys().map(|name| world.path("out").join(name)).collect();
    assert!(written.len() > 40, "{written:?}");
    written
}

/// The files among these that another user can read. The first group is the user's own.
fn readable(paths: &[PathBuf], user: u32, group: u32) -> Vec<&Path> {
    let script = r#"for file; do head -c 1 "$file" >/dev/null 2>&1 && echo yes || echo no; done"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(paths).uid(user).gid(group).current_dir("/");
    let output = command.output().expect("a shell");
    let answers = String::from_utf8(output.stdout).expect("text");
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), paths.len());
    paths
        .iter()
        .zip(answers)
        .filter(|(_, answer)| *answer == "yes")
        .map(|(path, _)| path.as_path())
        .collect()
}

fn is_metrics(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "prom")
}

/// Runs the commands, and compares what they have written with who is to read it.
fn check(name: &str, expected: Audience, world: &World) {
    let written = results(world, "022");
    compare(name, expected, world, &written);
}

fn compare(name: &str, expected: Audience, world: &World, written: &[PathBuf]) {
    let (of_files, of_directories) = match expected {
        Audience::Everyone => (0o644, 0o755),
        Audience::Group(_) => (0o640, 0o750),
        Audience::Owner => (0o600, 0o700),
    };
    for path in written.iter().filter(|path| !is_metrics(path)) {
        // A stream has one reader, and its sidecar files do not come from it.
        assert_eq!(mode(path), of_files, "{name}: {}: {:o}", path.display(), mode(path));
        let directory = path.parent().expect("a directory");
        if directory != world.path("out") {
            assert_eq!(mode(directory), of_directories, "{name}: {}", directory.display());
        }
    }
    for path in written.iter().filter(|path| is_metrics(path)) {
        assert_eq!(mode(path), 0o644, "{name}: {}", path.display());
    }
    if !is_root() {
        println!("{name}: left out: reading as another user needs root");
        return;
    }
    let sources: Vec<PathBuf> =
        files(&world.path("in")).keys().map(|name| world.path("in").join(name)).collect();
    for group in [STRANGER, rustix::process::getegid().as_raw()] {
        let may_read_all = readable(&sources, STRANGER, group).len() == sources.len();
        let open: Vec<&Path> = readable(written, STRANGER, group);
        let open: Vec<&Path> = open.into_iter().filter(|path| !is_metrics(path)).collect();
        assert!(
            may_read_all || open.is_empty(),
            "{name}: a user of group {group} may not read the sources, but {open:?}"
        );
    }
}

fn document_file(world: &World) -> PathBuf {
    world.path(&format!("in/dump/{DATABASE}/user_data.bson"))
}

#[test]
fn those_who_may_read_every_source() {
    let Some(world) = public_world() else { return };
    let own = Audience::Group(rustix::process::getegid().as_raw());
    let database = format!("in/dump/{DATABASE}");
    let metadata = format!("{database}/user_data.metadata.json");
    let prelude = "in/dump/prelude.json";
    let bson = format!("{database}/user_data.bson");
    type Modes<'m> = &'m [(&'m str, u32)];
    let cases: &[(&str, Modes<'_>, Audience)] = &[
        ("everyone", &[], Audience::Everyone),
        ("the group alone", &[(&bson, 0o640)], own),
        ("the owner alone", &[(&bson, 0o600)], Audience::Owner),
        ("others without the group", &[(&bson, 0o604)], Audience::Owner),
        ("private metadata", &[(&metadata, 0o600)], Audience::Owner),
        ("a private prelude", &[(prelude, 0o600)], Audience::Owner),
        ("a private mapping", &[("in/mapping.toml", 0o600)], Audience::Owner),
        ("a private directory above", &[("in", 0o700)], Audience::Owner),
        ("a private directory", &[(&database, 0o700)], Audience::Owner),
        ("a directory of the group", &[("in/dump", 0o750)], own),
        ("a directory that others cannot list", &[("in/dump", 0o711)], Audience::Everyone),
        ("a directory of others without the group", &[("in/dump", 0o705)], Audience::Owner),
        ("a group in both ways", &[("in", 0o710), (&bson, 0o640), (&metadata, 0o640)], own),
    ];
    for (name, modes, expected) in cases {
        prepare(&world);
        modes.iter().for_each(|(path, mode)| set_mode(&world.path(path), *mode));
        check(name, *expected, &world);
        modes.iter().for_each(|(path, _)| set_mode(&world.path(path), 0o755));
    }
}

/// Only what is read counts: not the dump's other collections, and not the key of a masked sample.
#[test]
fn what_is_not_read_does_not_count() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    let other = world.write("in/dump/other/things.bson", "");
    set_mode(&other, 0o600);
    let key = world.write("key", [7; 32]);
    set_mode(&key, 0o600);
    world
        .shell("cd $DIR && umask 022 && $MONGOSPLIT transform in/dump plain && $MONGOSPLIT sample in/dump masked --docs 5 --mask key")
        .exits(0);
    for result in ["plain", "masked"] {
        for name in files(&world.path(result)).keys() {
            assert_eq!(mode(&world.path(result).join(name)), 0o644, "{result}/{name}");
        }
    }
}

#[test]
fn a_link_is_as_private_as_what_it_leads_to() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    fs::create_dir(world.path("private")).expect("a directory");
    set_mode(&world.path("private"), 0o700);
    fs::rename(world.path("in/dump"), world.path("private/dump")).expect("a move");
    symlink(world.path("private/dump"), world.path("in/dump")).expect("a link");
    let written = results(&world, "022");
    compare("a link", Audience::Owner, &world, &written);
}

#[test]
fn another_group_does_not_count_as_ours() {
    let Some(world) = public_world() else { return };
    if !is_root() {
        return println!("left out: giving a file to another group needs root");
    }
    prepare(&world);
    let bson = document_file(&world);
    set_mode(&bson, 0o640);
    chown(&bson, None, Some(STRANGER)).expect("another group");
    check("a file of another group", Audience::Owner, &world);
    // What is written here is of that group, because the directory says so.
    fs::remove_dir_all(world.path("out")).expect("the results");
    let out = world.mkdir("out");
    chown(&out, None, Some(STRANGER)).expect("another group");
    set_mode(&out, 0o2755);
    let written = results_in(&world, "022");
    for path in written.iter().filter(|path| !is_metrics(path)) {
        assert_eq!((path.metadata().expect("a file").gid(), mode(path)), (STRANGER, 0o640));
    }
    assert_eq!(fs::metadata(out.join("directory")).expect("a directory").mode() & 0o7777, 0o2750);
    // And here of that group, although the sources are of ours.
    chown(&bson, None, Some(rustix::process::getegid().as_raw())).expect("our group");
    fs::remove_dir_all(&out).expect("the results");
    fs::create_dir(&out).expect("a directory");
    chown(&out, None, Some(STRANGER)).expect("another group");
    set_mode(&out, 0o2755);
    let written = results_in(&world, "022");
    compare("the results are of another group", Audience::Owner, &world, &written);
}

/// An access control list that lets one more user read: `linux/posix_acl_xattr.h`, version 2.
fn acl(user: u32, others: u16) -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, permissions, id) in [
        (0x01_u16, 7_u16, nobody),
        (0x02, 5, user),
        (0x04, 5, nobody),
        (0x10, 5, nobody),
        (0x20, others, nobody),
    ] {
        list.extend_from_slice(&tag.to_le_bytes());
        list.extend_from_slice(&permissions.to_le_bytes());
        list.extend_from_slice(&id.to_le_bytes());
    }
    list
}

#[test]
fn an_access_control_list_makes_private() {
    let Some(world) = public_world() else { return };
    let database = format!("in/dump/{DATABASE}");
    for path in [format!("{database}/user_data.bson"), database.clone(), "in".to_owned()] {
        prepare(&world);
        let path = world.path(&path);
        let list = acl(STRANGER + 1, 5);
        let name = "system.posix_acl_access";
        if rustix::fs::setxattr(&path, name, &list, XattrFlags::empty()).is_err() {
            return println!("left out: no access control lists on this file system");
        }
        check(&format!("a list on {}", path.display()), Audience::Owner, &world);
        rustix::fs::removexattr(&path, name).expect("no list");
    }
    // New files inherit a list, which would let its users read with the group.
    prepare(&world);
    set_mode(&document_file(&world), 0o640);
    let _ = fs::remove_dir_all(world.path("out"));
    let out = world.mkdir("out");
    let list = acl(STRANGER, 0);
    rustix::fs::setxattr(&out, "system.posix_acl_default", &list, XattrFlags::empty())
        .expect("a default list");
    for path in results_in(&world, "022").iter().filter(|path| !is_metrics(path)) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        if is_root() {
            assert_eq!(readable(std::slice::from_ref(path), STRANGER, STRANGER).len(), 0);
        }
    }
}

#[test]
fn the_umask_takes_away() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    for (umask, of_files, of_directories) in
        [("000", 0o666, 0o777), ("002", 0o664, 0o775), ("027", 0o640, 0o750), ("077", 0o600, 0o700)]
    {
        for path in results(&world, umask) {
            assert_eq!(mode(&path), of_files, "umask {umask}: {}", path.display());
            let directory = path.parent().expect("a directory");
            if directory != world.path("out") {
                assert_eq!(mode(directory), of_directories, "{}", directory.display());
            }
        }
    }
}

/// A pipe does not tell who may read what comes out of it, and a file on standard input is treated alike.
#[test]
fn what_comes_from_standard_input_is_private() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    let archive = world.path("in/dump.archive");
    fs::copy(harness::fixture("all.archive"), &archive).expect("an archive");
    set_mode(&archive, 0o644);
    for input in ["<in/dump.archive", ""] {
        for name in ["c", "r.json", "l.log"] {
            let _ =
                fs::remove_dir_all(world.path(name)).or_else(|_| fs::remove_file(world.path(name)));
        }
        let run = format!("$MONGOSPLIT transform - c --report r.json --log-file l.log {input}");
        let run = if input.is_empty() { format!("cat in/dump.archive | {run}") } else { run };
        world.shell(&format!("cd $DIR && umask 022 && {run}")).exits(0);
        let out = files(&world.path("c")).into_keys().map(|name| world.path("c").join(name));
        for path in out.chain([world.path("r.json"), world.path("l.log")]) {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

/// A log grows, so its mode is of before; a report is made anew, and lets no more read than the old one did.
#[test]
fn records_that_exist() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    for (of_source, before, after) in [
        (0o644, 0o644, 0o644),
        (0o644, 0o664, 0o664),
        (0o644, 0o600, 0o600),
        (0o640, 0o644, 0o640),
        (0o640, 0o600, 0o600),
        (0o600, 0o644, 0o600),
    ] {
        set_mode(&document_file(&world), of_source);
        for name in ["r.json", "i.toml", "l.log"] {
            set_mode(&world.write(name, ""), before);
        }
        world.shell("cd $DIR && $MONGOSPLIT inspect in/dump --report r.json").exits(0);
        world
            .shell("cd $DIR && $MONGOSPLIT mapping init in/dump --collection user_data --force --out i.toml")
            .exits(0);
        for name in ["r.json", "i.toml"] {
            assert_eq!(mode(&world.path(name)), after, "{name}: {of_source:o} {before:o}");
        }
        let run = world.shell("cd $DIR && $MONGOSPLIT inspect in/dump --log-file l.log");
        assert_eq!(mode(&world.path("l.log")), before);
        match before == after {
            true => drop(run.exits(0)),
            false => drop(run.exits(2).complains(
                &world,
                "mongosplit: --log-file 'l.log': can be read by users who may not read all input files, and a log names documents; make it private (chmod 600, and your own), or name another file",
            )),
        }
    }
}

/// A mapping from a pipe, or from a pipe with a name that all may open.
#[test]
fn a_mapping_from_a_pipe_is_private() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    let run = "$MONGOSPLIT transform in/dump o --report r.json --log-file l.log --mapping";
    for script in [
        format!("cat in/mapping.toml | {run} /dev/stdin"),
        format!("mkfifo -m 644 fifo; cat in/mapping.toml >fifo & {run} fifo"),
    ] {
        world
            .shell(&format!("cd $DIR && umask 022; rm -rf o r.json l.log fifo; {script}"))
            .exits(0);
        let out = files(&world.path("o")).into_keys().map(|name| world.path("o").join(name));
        for path in out.chain([world.path("r.json"), world.path("l.log")]) {
            assert_eq!(mode(&path), 0o600, "{script}: {}", path.display());
        }
    }
}

/// Another user's log would be read by that user, and a new report by the group that we are in.
#[test]
fn records_of_other_users_and_groups() {
    let Some(world) = public_world() else { return };
    if !is_root() {
        return println!("left out: giving a file to another user needs root");
    }
    prepare(&world);
    set_mode(&document_file(&world), 0o600);
    let log = world.write("l.log", "");
    set_mode(&log, 0o600);
    chown(&log, Some(STRANGER), None).expect("another user");
    let command = binary_as(STRANGER + 1, &world);
    assert!(command.is_some_and(|code| code == 2), "the log of another user was taken");
    set_mode(&document_file(&world), 0o644);
    for (before, list, after) in
        [(0o640, false, 0o600), (0o604, false, 0o600), (0o640, true, 0o600)]
    {
        let report = world.path("r.json");
        let _ = fs::remove_file(&report);
        world.write("r.json", "");
        set_mode(&report, before);
        if list {
            let list = acl(STRANGER, 0);
            if rustix::fs::setxattr(&report, "system.posix_acl_access", &list, XattrFlags::empty())
                .is_err()
            {
                continue;
            }
        } else {
            chown(&report, None, Some(STRANGER)).expect("another group");
        }
        world.shell("cd $DIR && umask 022 && $MONGOSPLIT inspect in/dump --report r.json").exits(0);
        assert_eq!(mode(&report), after, "{before:o}, a list: {list}");
    }
}

/// Runs `inspect` with the log as another user, who has the dump, in a directory that all may write in.
fn binary_as(user: u32, world: &World) -> Option<i32> {
    set_mode(&world.path(""), 0o777);
    for name in files(&world.path("in")).into_keys() {
        chown(world.path("in").join(name), Some(user), Some(user)).expect("another user");
    }
    set_mode(&world.path("l.log"), 0o622);
    // The binary lies where this user may not go.
    let copied = world.path("binary");
    // By another process: a child of another test would keep this one's file open for writing.
    let copy = Command::new("cp").arg(env!("CARGO_BIN_EXE_mongosplit")).arg(&copied).status();
    assert!(copy.is_ok_and(|status| status.success()), "the binary is copied");
    set_mode(&copied, 0o755);
    let mut command = Command::new(copied);
    command.args(["inspect", "in/dump", "--quiet", "--log-file", "l.log"]);
    command.uid(user).gid(user).current_dir(world.path("")).status().expect("a run").code()
}

/// Looks at what lies around while a run goes on.
struct Looking {
    root: PathBuf,
    seen: Mutex<BTreeMap<PathBuf, u32>>,
}

impl Looking {
    fn look(&self) {
        let mut open = vec![self.root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    open.push(entry.path());
                }
                let mut seen = self.seen.lock().expect("what was seen");
                *seen.entry(entry.path()).or_default() |= metadata.permissions().mode() & 0o777;
            }
        }
    }
}

impl Progress for Looking {
    fn start(&self, _: &str, _: Option<u64>) {
        self.look();
    }
    fn advance(&self, _: u64, _: u64) {
        self.look();
    }
    fn finish(&self) {
        self.look();
    }
}

/// What is not complete is for its owner alone, and what is unpacked has no name.
#[test]
fn what_lies_around_while_a_run_goes_on() {
    let Some(world) = public_world() else { return };
    prepare(&world);
    let looking = |name: &str| Looking { root: world.path(name), seen: Mutex::default() };
    world.mkdir("one");
    let look = looking("one");
    let options = transform::Options {
        archive: true,
        ..transform::Options::new(world.path("in/dump"), world.path("one/archive"))
    };
    let plan = Plan::built_in().expect("the mapping");
    transform::transform(&options, &plan, &look).expect("an output");
    world.mkdir("two");
    let again = looking("two");
    let options = reverse::Options::new(world.path("one/archive"), world.path("two/back"));
    reverse::reverse_current(&options, &world.path("one/archive"), false, &again, &mut |_| Ok(()))
        .expect("a way back");
    for (look, finished) in [(&look, "one/archive"), (&again, "two/back")] {
        let seen = look.seen.lock().expect("what was seen");
        assert!(seen.len() > 3, "{seen:?}");
        for (path, mode) in seen.iter() {
            assert!(!path.starts_with(world.path(finished)), "{}", path.display());
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        }
    }
    let seen = again.seen.lock().expect("what was seen");
    let scratch: Vec<_> = seen
        .keys()
        .filter(|path| path.components().any(|name| name.as_os_str() == ".mongosplit-scratch"))
        .collect();
    assert_eq!(scratch.len(), 1, "{scratch:?}");
}
