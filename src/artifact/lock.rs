//! The lock of a place: who holds it writes there, and nobody else.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Locked};
use crate::error::{Error, IoContext, Result};

/// What a lock file says first. It is written to no file that says something else.
const FIRST_LINE: &str = "mongosplit lock";
/// More than a lock file ever says.
const MOST: u64 = 1024;

/// A lock file beside or inside a place: made where there is none, and unlinked last of all, still locked.
#[derive(Debug)]
pub(super) struct Lock<'d> {
    disk: &'d Disk,
    path: PathBuf,
    file: File,
    is_held: bool,
    is_released: bool,
}

impl<'d> Lock<'d> {
    /// Takes the lock of `place`, and does not wait for it.
    pub(super) fn take(disk: &'d Disk, place: &Path, path: PathBuf) -> Result<Self> {
        loop {
            if disk.look(&path)?.is_some_and(|there| there.is_symlink()) {
                return Err(is_no_lock(&path));
            }
            let file = disk.open_lock(&path)?;
            let found = file.metadata().writing("look at", &path)?;
            if !found.is_file() || found.nlink() > 1 || found.len() > MOST {
                return Err(is_no_lock(&path));
            }
            let locked = disk.lock(&file, &path)?;
            let mut lock = Lock {
                disk,
                path: path.clone(),
                file,
                is_held: locked == Locked::Yes,
                is_released: locked == Locked::Elsewhere,
            };
            // Who held it may have unlinked it meanwhile, and another run may have made it anew.
            let is_there = disk
                .look(&path)?
                .is_some_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino()));
            if !is_there {
                lock.is_released = true;
                continue;
            }
            let mut said = String::new();
            let is_ours = (&lock.file).take(MOST).read_to_string(&mut said).is_ok()
                && (said.is_empty() || said.starts_with(FIRST_LINE));
            if !is_ours {
                lock.is_released = true;
                return Err(is_no_lock(&path));
            }
            if locked == Locked::Elsewhere {
                return Err(Error::output(
                    place,
                    format!(
                        "is being written by another run{}; wait or choose another place",
                        holder(&said)
                    ),
                ));
            }
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let says = format!("{FIRST_LINE}\nprocess {}\nhost {host}\n", std::process::id());
            disk.rewrite(&lock.file, &lock.path, says.as_bytes())?;
            return Ok(lock);
        }
    }
    /// Whether the file system has locks, so that no other run is at this place.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }
    /// Unlinks the file; its lock goes when this is dropped.
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
            let _ = self.release(); // a file that stays, unlocked, stands in nobody's way
        }
    }
}

fn is_no_lock(path: &Path) -> Error {
    Error::output(path, "is no lock file of mongosplit; remove it or choose another place")
}

/// Who holds a lock, as its file says.
fn holder(said: &str) -> String {
    let value = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.escape_debug().to_string())
    };
    match (value("process "), value("host ")) {
        (Some(process), Some(host)) => format!(" (process {process}, host {host})"),
        _ => String::new(),
    }
}
