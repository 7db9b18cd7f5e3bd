//! Memory-mapped files, for random access. Only this file and `hash/pair.rs` contain `unsafe`.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::disk::{Disk, ReadFile};
use crate::error::{IoContext, Result};

/// The mapped bytes of a file, with its state at the time, so that [`Mapped::check_unchanged`] can
/// notice a change.
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
        // SAFETY: the map is private and read-only, and no reference outlives it. If another
        // process truncates the file, reads raise SIGBUS, which ends this process before anything
        // is published. If it changes the file in place, the bytes may change, which
        // `check_unchanged` notices.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&handle) }.reading("map", path)?;
        Ok(Mapped { map: Some(map), file })
    }
    /// Fails if the file has changed since it was mapped.
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
