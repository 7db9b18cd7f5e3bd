//! The lock of a place: only the run that holds it writes there.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Locked};
use crate::error::{Error, IoContext, Result};

/// The first line of a lock file. A file that begins with something else is never overwritten.
const FIRST_LINE: &str = "mongosplit lock";
/// No lock file is larger.
const MAX_BYTES: u64 = 1024;

/// A lock file next to or inside a place. It is created if it does not exist, and removed, while
/// still locked, as the last step of a run.
#[derive(Debug)]
pub(super) struct Lock<'d> {
    disk: &'d Disk,
    path: PathBuf,
    file: File,
    is_held: bool,
    is_released: bool,
}

impl<'d> Lock<'d> {
    /// Takes the lock of `place` without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if another run holds the lock, or the file at `path` is not a lock file.
    pub(super) fn take(disk: &'d Disk, place: &Path, path: PathBuf) -> Result<Self> {
        loop {
            if disk.look(&path)?.is_some_and(|there| there.is_symlink()) {
                return Err(not_a_lock(&path));
            }
            let file = disk.open_lock(&path)?;
            let found = file.metadata().writing("look at", &path)?;
            if !found.is_file() || found.nlink() > 1 || found.len() > MAX_BYTES {
                return Err(not_a_lock(&path));
            }
            let locked = disk.lock(&file, &path)?;
            let mut lock = Lock {
                disk,
                path: path.clone(),
                file,
                is_held: locked == Locked::Yes,
                is_released: locked == Locked::Elsewhere,
            };
            // The run that held it may have removed it meanwhile, and another run may have created
            // a new one.
            let is_there = disk
                .look(&path)?
                .is_some_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino()));
            if !is_there {
                lock.is_released = true;
                continue;
            }
            let mut contents = String::new();
            let is_ours = (&lock.file).take(MAX_BYTES).read_to_string(&mut contents).is_ok()
                && (contents.is_empty() || contents.starts_with(FIRST_LINE));
            if !is_ours {
                lock.is_released = true;
                return Err(not_a_lock(&path));
            }
            if locked == Locked::Elsewhere {
                return Err(Error::output(
                    place,
                    format!(
                        "is being written by another run{}; wait or choose another place",
                        holder(&contents)
                    ),
                ));
            }
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let contents = format!("{FIRST_LINE}\nprocess {}\nhost {host}\n", std::process::id());
            disk.rewrite(&lock.file, &lock.path, contents.as_bytes())?;
            return Ok(lock);
        }
    }
    /// Whether the file is locked. It is not on a file system without locks, where another run may
    /// use this place.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }
    /// Removes the file. The lock itself ends when this value is dropped.
    pub(super) fn release(&mut self) -> Result<()> {
        self.is_released = true;
        let own = self.file.metadata().writing("look at", &self.path)?;
        match self.disk.look(&self.path)? {
            Some(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => {
                self.disk.remove_file(&self.path)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if !self.is_released {
            let _ = self.release(); // a file that stays is unlocked, so the next run can use it
        }
    }
}

fn not_a_lock(path: &Path) -> Error {
    Error::output(path, "is not a lock file of mongosplit; remove it or choose another place")
}

/// The process that holds a lock, according to the file's contents.
fn holder(contents: &str) -> String {
    let value = |name: &str| {
        contents
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.escape_debug().to_string())
    };
    match (value("process "), value("host ")) {
        (Some(process), Some(host)) => format!(" (process {process}, host {host})"),
        _ => String::new(),
    }
}
