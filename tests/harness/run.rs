//! Runs of the binary: finished ones, with all that they said, and ones that still go on.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use super::files::listing;
use super::golden::in_one_line;
use super::{World, root};

/// The binary, to be run in the project's root.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mongosplit"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// A run of the binary, ended.
pub struct Run {
    command: String,
    code: Option<i32>,
    /// What came on stdout, which may be an archive.
    pub bytes: Vec<u8>,
    pub stdout: String,
    pub stderr: String,
    listing: String,
}

/// A run of the binary that goes on. Its streams are pipes.
pub struct Started {
    child: Child,
    command: String,
    place: PathBuf,
}

impl Started {
    pub fn new(command: &mut Command, place: &Path) -> Started {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the binary");
        Started { child, command: format!("{command:?}"), place: place.to_owned() }
    }
    pub fn id(&self) -> u32 {
        self.child.id()
    }
    /// Gives it a part of its standard input. A run that was stopped reads no more.
    pub fn feed(&mut self, bytes: &[u8]) {
        let _ = self.child.stdin.as_mut().expect("its stdin").write_all(bytes);
    }
    /// Its standard input, for somebody else to feed.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("its stdin")
    }
    /// Nobody reads what it writes to stdout any more.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }
    /// Waits until it has begun to write, and fails where it ends before.
    pub fn wait_for(&mut self, staging: &Path) {
        for _ in 0..60_000 {
            if staging.exists() {
                return;
            }
            let ended = self.child.try_wait().expect("the run");
            assert!(ended.is_none(), "{ended:?} before there was {staging:?}: {}", self.command);
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("there is no {staging:?}: {}", self.command);
    }
    pub fn signal(&self, signal: &str) {
        let args = [format!("-{signal}"), self.id().to_string()];
        assert!(Command::new("kill").args(args).status().expect("kill").success());
    }
    /// Waits for its end; its standard input ends here.
    pub fn finish(self) -> Run {
        let output = self.child.wait_with_output().expect("the run");
        Run::of(self.command, output, &self.place)
    }
}

impl Run {
    pub fn of(command: String, output: Output, place: &Path) -> Run {
        Run {
            command,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            bytes: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
            listing: listing(place),
        }
    }
    /// Fails unless it has ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        self
    }
    /// Fails unless stdout has this, however it is wrapped.
    #[track_caller]
    pub fn says(self, what: &str) -> Run {
        assert!(in_one_line(&self.stdout).contains(what), "stdout lacks {what:?}\n{self}");
        self
    }
    /// Fails unless stderr is exactly this, the temporary directory's name aside.
    #[track_caller]
    pub fn complains(self, world: &World, what: &str) -> Run {
        let found = world.plain(&self.stderr);
        assert_eq!(found.trim_end(), what.trim_end(), "stderr\n{self}");
        self
    }
    /// What `--json` has printed.
    #[track_caller]
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
    pub fn code(&self) -> Option<i32> {
        self.code
    }
    /// The exit code, and all that was said, as one line.
    pub fn told(self) -> (i32, String) {
        (self.code.expect("an exit code"), in_one_line(&(self.stderr + &self.stdout)))
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
