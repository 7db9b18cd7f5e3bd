//! Input and output that someone has damaged on purpose: every bit of small dumps of each shape, every length, every bit of a mapping's
//! text and of a later dump, and what is no regular file. A run fails and blames the right file, or what it makes is right; it never
//! panics and never waits.
//!
//! `cargo test` takes a part of the bits and lengths; with `EVERY_BIT=1` (`make limits`) it takes all.

mod harness;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use harness::{DATABASE, World, copy, files, fixture};
use mongosplit::error::Error;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::{Result, inspect, reverse, transform, verify};

/// Every number up to this one, or one of so many, as this run takes.
fn some_of(all: usize, one_of: usize) -> impl Iterator<Item = usize> {
    let step = if std::env::var_os("EVERY_BIT").is_some() { 1 } else { one_of };
    (0..all).step_by(step)
}

fn derived(dump: &Path, out: &Path) -> Result<transform::Report> {
    let mut options = transform::Options::new(dump, out);
    (options.threads, options.dry_run) = (Some(1), true);
    options.skip_unrestorable = true;
    transform::transform(&options, &Plan::built_in()?, &Silent)
}

/// The file or directory that an error blames: the first that it names.
fn blamed(error: &Error) -> String {
    error.to_string().split("': ").next().unwrap_or_default().to_owned()
}

/// A dump of each shape that has three small documents, and whether its checksums cover the documents.
fn shapes(world: &World) -> Vec<(&'static str, PathBuf, bool)> {
    let plain = world.path("plain");
    copy(&fixture("odd/no-prelude"), &plain);
    let gzip = world.path("gzip");
    copy(&fixture("odd/gzip-two-members"), &gzip);
    // A mapping that copies a collection makes an archive of it, which is a dump like any other.
    let mapping = world.write(
        "copy.toml",
        "format = 2\nname = \"copy\"\nversion = \"1\"\nsource = \"user_data\"\nkey = \"_id\"\n\n[[target]]\ncollection = \"user_data\"\nrest = true\nfields = [{ name = \"_id\" }]\n",
    );
    let archive = |name: &str, more: &[&str]| {
        let mapping = mapping.to_str().expect("a path");
        let options = [&["--archive", "--mapping", mapping], more].concat();
        world.transform_with(&plain, name, &options)
    };
    let (one, other) = (archive("one.archive", &[]), archive("two.archive.gz", &["--gzip"]));
    vec![
        ("bson", plain.clone(), false),
        ("bson.gz", gzip, true),
        ("archive", one, true),
        ("archive.gz", other, true),
    ]
}

/// The files that an input consists of.
fn parts(input: &Path) -> Vec<PathBuf> {
    if input.is_file() {
        return vec![input.to_owned()];
    }
    files(input).into_keys().map(|name| input.join(name)).collect()
}

#[test]
fn a_dump_with_a_bit_flipped_or_cut_is_refused_or_right() {
    let world = World::new();
    for (shape, input, is_covered) in shapes(&world) {
        let original =
            derived(&input, &world.path("out")).unwrap_or_else(|e| panic!("{shape}: {e}"));
        let sums = |report: &transform::Report| -> Vec<(u64, String)> {
            let sources = report.manifest.sources.iter();
            sources.map(|source| (source.documents, source.sha256.clone())).collect()
        };
        let expected = sums(&original);
        let (mut refused, mut accepted) = (0, 0);
        for path in parts(&input) {
            let bytes = fs::read(&path).expect("a file");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let mut check = |changed: &[u8], what: &str| {
                fs::write(&path, changed).expect("a file");
                match derived(&input, &world.path("out")) {
                    // Checksums cover the documents.
                    Ok(report) if is_covered => {
                        accepted += 1;
                        assert_eq!(sums(&report), expected, "{shape}: {what} of {name}: accepted");
                    }
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        refused += 1;
                        assert!(
                            matches!(error.exit_code(), 1..=3),
                            "{shape}: {what} of {name}: {error}"
                        );
                        let blamed = blamed(&error);
                        let is_dump = blamed.contains(&*input.to_string_lossy());
                        let is_other = ["user_data.bson", "metadata.json", "prelude.json"]
                            .iter()
                            .any(|other| !name.contains(other) && blamed.contains(other));
                        // That a database has no source any more is the directory's fault.
                        assert!(
                            is_dump && !is_other || name.contains("metadata"),
                            "{shape}: {what} of {name} blames another: {error}"
                        );
                    }
                }
            };
            for bit in some_of(8 * bytes.len(), 53) {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                check(&changed, &format!("bit {bit}"));
            }
            for length in some_of(bytes.len(), 29) {
                check(&bytes[..length], &format!("the first {length} bytes"));
            }
            fs::write(&path, &bytes).expect("a file");
        }
        assert!(refused > 0, "{shape}: {refused} refused, {accepted} accepted");
    }
}

/// Every command that reads a mapping compiles it first.
#[test]
fn a_mapping_with_a_bit_flipped_or_cut_compiles_or_is_refused() {
    let text = include_bytes!("../mappings/ml_models.toml");
    let check = |changed: &[u8]| {
        if let Ok(text) = std::str::from_utf8(changed) {
            let _ = Plan::parse(text);
        }
    };
    for bit in some_of(8 * text.len(), 149) {
        let mut changed = text.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        check(&changed);
    }
    some_of(text.len(), 61).for_each(|length| check(&text[..length]));
}

/// A compressed re-dump is unpacked first. What is wrong with it is not the unpacked file's fault.
#[test]
fn a_later_dump_that_is_damaged_is_blamed_itself() {
    let world = World::new();
    let out = world.transform_with(&fixture("odd/no-prelude"), "out", &["--gzip"]);
    let redump = world.path("redump");
    copy(&out.join(DATABASE), &redump.join(DATABASE));
    let report = verify::verify(&verify::Options::new(&out), &Silent).expect("a report");
    let mut refused = 0;
    for path in parts(&redump) {
        let bytes = fs::read(&path).expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut check = |changed: &[u8], what: &str| {
            fs::write(&path, changed).expect("a file");
            let options = verify::Options::new(&out);
            let reports = std::slice::from_ref(&report);
            let restored =
                verify::compare_with_restored(&options, reports, &redump, &Silent, &mut |_| Ok(()))
                    .map(drop);
            let mut options = reverse::Options::new(&out, world.path("back"));
            options.dry_run = true;
            let current =
                reverse::reverse_current(&options, &redump, false, &Silent, &mut |_| Ok(()))
                    .map(drop);
            for error in [restored, current].into_iter().filter_map(Result::err) {
                refused += 1;
                assert!(
                    blamed(&error).contains(&*redump.to_string_lossy()),
                    "{what} of {name} blames another: {error}"
                );
            }
        };
        for bit in some_of(8 * bytes.len(), 211) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check(&changed, &format!("bit {bit}"));
        }
        for length in some_of(bytes.len(), 97) {
            check(&bytes[..length], &format!("the first {length} bytes"));
        }
        fs::write(&path, &bytes).expect("a file");
    }
    assert!(refused > 10, "{refused}");
}

/// Fails if it takes longer than anything that waits for nobody.
fn at_once<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    let done = receiver.recv_timeout(Duration::from_secs(60));
    done.unwrap_or_else(|_| panic!("{what}: waits"))
}

/// Puts something that is no regular file in the place of a path.
type Placing = fn(&Path);

const IRREGULAR: [(&str, Placing); 6] = [
    ("a pipe", |path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
    }),
    ("a link to an endless device", |path| symlink("/dev/zero", path).expect("a link")),
    ("a link to nothing", |path| symlink("nothing", path).expect("a link")),
    ("a link to itself", |path| symlink(path, path).expect("a link")),
    ("a directory", |path| fs::create_dir(path).expect("a directory")),
    ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).expect("a socket"))),
];

#[test]
fn what_is_no_file_in_a_dump_is_refused_at_once() {
    for name in ["user_data.bson", "user_data.metadata.json"] {
        for (what, place) in IRREGULAR {
            let world = World::new();
            let dump = world.path("dump");
            copy(&fixture("odd/no-prelude"), &dump);
            let path = dump.join(DATABASE).join(name);
            fs::remove_file(&path).expect("a file");
            place(&path);
            let (of_transform, out) = (dump.clone(), world.path("out"));
            let result = at_once(what, move || derived(&of_transform, &out).map(drop));
            let of_inspect = dump.clone();
            let inspected = at_once(what, move || {
                let options = inspect::Options::new(&of_inspect);
                inspect::inspect(&options, &Plan::built_in()?, &Silent).map(drop)
            });
            let error = result.expect_err("an error");
            assert!(matches!(error.exit_code(), 1..=3), "{name}, {what}: {error}");
            let _ = inspected;
        }
    }
}

#[test]
fn what_is_no_file_in_a_later_dump_is_refused_at_once() {
    let all = World::new();
    let out = all.transform(&fixture("odd/no-prelude"), "out");
    for name in ["dataset_metadata.bson", "transformation_configs.metadata.json"] {
        for (what, place) in IRREGULAR {
            let world = World::new();
            let redump = world.path("redump");
            copy(&out.join(DATABASE), &redump.join(DATABASE));
            let path = redump.join(DATABASE).join(name);
            fs::remove_file(&path).expect("a file");
            place(&path);
            let (one, of) = (out.clone(), redump.clone());
            let restored = at_once(what, move || {
                let options = verify::Options::new(&one);
                let report = verify::verify(&options, &Silent)?;
                verify::compare_with_restored(&options, &[report], &of, &Silent, &mut |_| Ok(()))
                    .map(drop)
            });
            let (one, of, back) = (out.clone(), redump.clone(), world.path("back"));
            let current = at_once(what, move || {
                let options = reverse::Options::new(&one, &back);
                reverse::reverse_current(&options, &of, false, &Silent, &mut |_| Ok(())).map(drop)
            });
            if name.ends_with(".bson") {
                for result in [restored, current] {
                    let error = result.expect_err("an error");
                    assert!(matches!(error.exit_code(), 1..=3), "{name}, {what}: {error}");
                }
                assert!(!world.path("back").exists(), "{name}, {what}");
            }
        }
    }
}

#[test]
fn what_is_no_file_in_an_output_is_a_difference_at_once() {
    let all = World::new();
    let good = all.transform(&fixture("odd/no-prelude"), "out");
    for name in files(&good).into_keys() {
        for (what, place) in IRREGULAR {
            let world = World::new();
            let out = world.path("out");
            copy(&good, &out);
            fs::remove_file(out.join(&name)).expect("a file");
            place(&out.join(&name));
            let one = out.clone();
            let holds = at_once(what, move || {
                verify::verify(&verify::Options::new(&one), &Silent)
                    .is_ok_and(|report| report.holds())
            });
            assert!(!holds, "{name}, {what}: verify says that all is well");
            let (one, back) = (out.clone(), world.path("back"));
            let reversed = at_once(what, move || {
                reverse::reverse(&reverse::Options::new(&one, &back), &Silent).map(drop)
            });
            assert!(reversed.is_err(), "{name}, {what}: reverse goes on");
        }
    }
}
