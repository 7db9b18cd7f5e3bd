//! A temporary directory, and the binary. What a test expected and did not get is shown with the command, both
//! streams and what lies in the directory.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::files::{listing, names_in};
use super::{DATABASE, Run, Started, binary, dump, root, split};

/// A temporary directory, and the binary that runs in the project's root.
pub struct World {
    dir: tempfile::TempDir,
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
            let identified = |document: &&[u8]| document[4..9] == *b"\x07_id\0";
            for document in split(&once).into_iter().filter(identified) {
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
    /// Runs it with this on its standard input.
    pub fn run_fed<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: impl AsRef<[u8]> + Send,
    ) -> Run {
        let mut run = self.start(binary().args(args));
        std::thread::scope(|scope| {
            let mut stdin = run.stdin();
            scope.spawn(move || drop(stdin.write_all(input.as_ref())));
            run.finish()
        })
    }
    /// Starts it.
    pub fn start(&self, command: &mut Command) -> Started {
        Started::new(command, self.dir.path())
    }
    fn finish(&self, mut command: Command) -> Run {
        let output = command.output().expect("the binary runs");
        std::str::from_utf8(&output.stdout).expect("UTF-8 on stdout");
        Run::of(format!("{command:?}"), output, self.dir.path())
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
