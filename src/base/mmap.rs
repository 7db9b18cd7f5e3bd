//! Files as memory, where access is random. With `hash/pair.rs` the only `unsafe` of the crate.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::disk::{Disk, ReadFile};
use crate::error::{IoContext, Result};

/// A file's bytes. Held beside the file's state, so that [`Mapped::check_unchanged`] can tell whether they are
/// still what was mapped.
#[derive(Debug)]
pub struct Mapped {
    map: Option<memmap2::Mmap>,
    file: ReadFile,
}

impl Mapped {
    /// Maps a regular file.
    pub fn open(disk: &Disk, path: &Path) -> Result<Mapped> {
        let file = disk.open(path)?;
        if file.size() == 0 {
            return Ok(Mapped { map: None, file });
        }
        let handle = File::open(path).reading("open", path)?;
        // SAFETY: the map is private and read only. Another process that shortens the file meanwhile makes reads
        // fault (SIGBUS), which ends this process before anything is published; one that changes it in place may
        // change what is read, and is found by `check_unchanged`. No reference outlives the map.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&handle) }.reading("map", path)?;
        Ok(Mapped { map: Some(map), file })
    }
    /// Fails where the file has been changed since.
    pub fn check_unchanged(&self) -> Result<()> {
        self.file.check_unchanged()
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}
