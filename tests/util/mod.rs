//! A small harness: a temporary directory, the binary, and whole outputs to compare. What a test expected and did
//! not get is shown with the command, both streams and what lies in the directory.

#![allow(dead_code, reason = "each test program uses its own part of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The database of the fixtures.
pub const DATABASE: &str = "narrative_modeling";

/// Every file below a directory with its bytes; links and pipes by what they are.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A temporary directory, and the binary that runs in the project's root.
pub struct World {
    dir: tempfile::TempDir,
}

/// A run of the binary.
pub struct Run {
    command: String,
    code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    listing: String,
}

impl World {
    pub fn new() -> World {
        World {
            dir: tempfile::Builder::new()
                .prefix("mongosplit-test-")
                .tempdir()
                .expect("a temporary directory"),
        }
    }
    /// The same in memory, where the system has a place for that: for tests of very many runs.
    pub fn in_memory() -> World {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let made = tempfile::Builder::new().prefix("mongosplit-test-").tempdir_in(place);
        made.map_or_else(|_| World::new(), |dir| World { dir })
    }
    /// A path in the temporary directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub fn mkdir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, bytes).expect("a file");
        path
    }
    /// Writes a dump with one `user_data`: the fixture's documents so many times, each time with other `_id`s.
    pub fn generate(&self, name: &str, times: u32) -> PathBuf {
        let source = dump().join(DATABASE);
        let once = fs::read(source.join("user_data.bson")).expect("the fixture");
        let mut documents = Vec::new();
        for time in 0..times {
            let mut rest = once.as_slice();
            while let Some(length) = rest.first_chunk::<4>() {
                let (document, behind) = rest.split_at(u32::from_le_bytes(*length) as usize);
                rest = behind;
                if document[4..9] != *b"\x07_id\0" {
                    continue;
                }
                let id = documents.len() + 9;
                documents.extend_from_slice(document);
                documents[id..id + 4].copy_from_slice(&time.to_be_bytes());
            }
        }
        self.write(
            &format!("{name}/prelude.json"),
            r#"{"ServerVersion":"5.0.0","ToolVersion":"100.12.0"}"#,
        );
        self.write(
            &format!("{name}/{DATABASE}/user_data.metadata.json"),
            fs::read(source.join("user_data.metadata.json")).expect("the fixture"),
        );
        self.write(&format!("{name}/{DATABASE}/user_data.bson"), documents);
        self.path(name)
    }
    /// Runs the binary.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        let mut command = binary();
        command.args(args);
        self.finish(command)
    }
    /// Runs the binary in the temporary directory.
    pub fn run_inside<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        let mut command = binary();
        command.args(args).current_dir(self.dir.path());
        self.finish(command)
    }
    /// Runs it by way of a shell, where `$MONGOSPLIT` is the binary and `$DIR` the temporary directory.
    pub fn shell(&self, script: &str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(root()).stdin(Stdio::null());
        command.env("MONGOSPLIT", env!("CARGO_BIN_EXE_mongosplit")).env("DIR", self.dir.path());
        self.finish(command)
    }
    fn finish(&self, mut command: Command) -> Run {
        let output = command.output().expect("the binary runs");
        let code = output.status.code();
        Run {
            command: format!("{command:?}"),
            code,
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
            listing: listing(self.dir.path()),
        }
    }
    /// `transform` of a dump to `out` that succeeds.
    pub fn transform(&self, dump: &Path, out: &str) -> PathBuf {
        self.transform_with(dump, out, &[])
    }
    /// The same with more options.
    pub fn transform_with(&self, dump: &Path, out: &str, options: &[&str]) -> PathBuf {
        let out = self.path(out);
        let args = [OsStr::new("transform"), dump.as_ref(), out.as_ref()];
        self.run(args.into_iter().chain(options.iter().map(OsStr::new))).exits(0);
        out
    }
    /// A text with the temporary directory's name taken out of it.
    pub fn plain(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
    /// Fails where something other than these lies in the temporary directory.
    pub fn holds_only(&self, names: &[&str]) {
        let mut found: Vec<String> = names_in(self.dir.path());
        found.sort();
        let mut names: Vec<&str> = names.to_vec();
        names.sort_unstable();
        assert_eq!(found, names, "in {}", listing(self.dir.path()));
    }
}

impl Run {
    /// Fails unless it has ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        self
    }
    #[track_caller]
    pub fn says(self, what: &str) -> Run {
        assert!(self.stdout.contains(what), "stdout lacks {what:?}\n{self}");
        self
    }
    /// Fails unless stderr is exactly this, the temporary directory's name aside.
    #[track_caller]
    pub fn complains(self, world: &World, what: &str) -> Run {
        let found = world.plain(&self.stderr);
        assert_eq!(found.trim_end(), what.trim_end(), "stderr\n{self}");
        self
    }
    pub fn code(&self) -> Option<i32> {
        self.code
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "command: {}\ncode: {:?}\nstdout:\n{}\nstderr:\n{}\nfiles:\n{}",
            self.command, self.code, self.stdout, self.stderr, self.listing
        )
    }
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fixture that the real mongodump wrote.
pub fn dump() -> PathBuf {
    root().join("fixtures/dump")
}

/// The binary, to be run in the project's root.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mongosplit"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Whether permissions keep nothing from this process.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What lies below a directory, a line each.
fn listing(directory: &Path) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for name in names_in(&path) {
            let path = path.join(name);
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            lines.push(format!(
                "  {name}  {:o}  {}",
                metadata.permissions().mode(),
                metadata.len()
            ));
            if metadata.is_dir() {
                open.push(path);
            }
        }
    }
    lines.sort();
    lines.truncate(200);
    lines.join("\n")
}

/// All files below a directory.
pub fn files(directory: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for name in names_in(&path) {
            let path = path.join(name);
            let metadata = path.symlink_metadata().expect("a file");
            let name = path.strip_prefix(directory).expect("below").to_string_lossy().into_owned();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() {
                files.insert(name, fs::read(&path).expect("a file that can be read"));
            } else {
                files.insert(name, format!("{:?}", metadata.file_type()).into_bytes());
            }
        }
    }
    files
}

/// Fails where two directories differ, and says in which files.
#[track_caller]
pub fn same_files(one: &Files, other: &Files, what: &str) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "file names, {what}");
    let differ: Vec<&String> =
        one.iter().filter(|(name, bytes)| other[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?} differ, {what}");
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
}

/// The content of a file, uncompressed.
pub fn content(path: &Path) -> Vec<u8> {
    let opened = mongosplit::base::stream::Stream::open(&mongosplit::disk::Disk::default(), path);
    let mut content = Vec::new();
    opened
        .unwrap_or_else(|error| panic!("{error}"))
        .read_to_end(&mut content)
        .expect("a file that can be read");
    content
}

/// The lengths of documents that stand one behind the other.
pub fn lengths(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(length) = bytes.first_chunk::<4>() {
        lengths.push(u32::from_le_bytes(*length) as usize);
        bytes = &bytes[lengths[lengths.len() - 1]..];
    }
    lengths
}

/// Compares with `tests/golden/NAME`, which `UPDATE_GOLDEN=1` writes anew.
#[track_caller]
pub fn golden(name: &str, found: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).expect("a golden file");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == found {
        return;
    }
    let at = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        text.lines().skip(at.saturating_sub(5)).take(15).collect::<Vec<_>>().join("\n")
    };
    panic!(
        "{name}: differs at line {}\nexpected:\n{}\nfound:\n{}\nUPDATE_GOLDEN=1 writes it anew",
        at + 1,
        around(&expected),
        around(found)
    );
}

/// Makes a manifest's own checksum right again, after its text was changed.
pub fn reseal(text: &str) -> String {
    let at = text.rfind("  \"manifest_sha256\": \"").expect("a checksum");
    let checksum = mongosplit::hash::sha256(&text.as_bytes()[..at]);
    format!("{}  \"manifest_sha256\": \"{checksum}\"\n}}\n", &text[..at])
}
