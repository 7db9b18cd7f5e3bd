//! Reads files and standard input as streams of uncompressed bytes.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::audience::Audience;
use super::hashing::{Hashing, Passing};
use super::waiting;
use crate::batch::stream_error;
use crate::disk::{Disk, ReadFile};
use crate::error::{Error, IoContext, Result};
use crate::gzip;
use crate::plain::PlainPath;

/// The path that names standard input as a dump.
pub const STANDARD_INPUT: &str = "-";

/// The name of standard input in messages.
pub const STANDARD_INPUT_NAME: &str = "standard input";

/// Whether a path names standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// A stream of uncompressed bytes, which counts the bytes of the file that it has read.
pub struct Stream {
    inner: Box<dyn Read + Send>,
    progress: Arc<AtomicU64>,
    /// The size of the file as stored, in bytes; `u64::MAX` if it is unknown.
    pub file_bytes: u64,
    /// Its bytes are compressed.
    pub is_gzip: bool,
    /// The file opened again, to notice changes; `None` for standard input.
    checked: Option<Arc<ReadFile>>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("file", &self.checked.as_ref().map(|file| file.path()))
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Opens a file. Recognises gzip by its first bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if the path is not a regular file, or an empty file named like gzip.
    pub fn open(disk: &Disk, path: &Path) -> Result<Stream> {
        Stream::open_with(disk, path, None)
    }
    /// Like [`Stream::open`]. Counts and hashes the stored bytes in the background.
    pub fn open_hashed(disk: &Disk, path: &Path) -> Result<(Stream, Arc<Hashing>)> {
        let hashing = Arc::new(Hashing::default());
        Ok((Stream::open_with(disk, path, Some(Arc::clone(&hashing)))?, hashing))
    }
    /// From now on, also counts and hashes the uncompressed bytes in the background.
    pub fn hash_content(&mut self) -> Arc<Hashing> {
        let hashing = Arc::new(Hashing::default());
        let inner = std::mem::replace(&mut self.inner, Box::new(std::io::empty()));
        self.inner = Box::new(Passing { inner, hashing: Arc::clone(&hashing) });
        hashing
    }
    fn open_with(disk: &Disk, path: &Path, hashing: Option<Arc<Hashing>>) -> Result<Stream> {
        let magic = head(disk, path, 2)?;
        let mut file = disk.open(path)?;
        let checked = Some(Arc::new(disk.open(path)?));
        let file_bytes = file.size();
        let is_gzip = magic == gzip::MAGIC;
        if !is_gzip && path.extension().is_some_and(|suffix| suffix == "gz") && magic.is_empty() {
            return Err(Error::input(
                path,
                "is empty, so it is not a gzip file; mongorestore refuses it too",
            ));
        }
        let progress = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&progress);
        let read = move |buffer: &mut [u8]| {
            let read = file.read(buffer)?;
            if let Some(hashing) = &hashing {
                hashing.pass(&buffer[..read]);
            }
            Ok(read)
        };
        let counted = Counting { inner: read, counter };
        let inner: Box<dyn Read + Send> =
            if is_gzip { Box::new(gzip::decoder(counted)) } else { Box::new(counted) };
        Ok(Stream { inner, progress, file_bytes, is_gzip, checked })
    }
    /// Reads standard input, which is for its owner alone: a pipe does not tell who may read. Recognises gzip by its
    /// first bytes.
    pub fn standard_input(disk: &Disk) -> Result<Stream> {
        disk.narrow(Audience::Owner);
        let path = Path::new(STANDARD_INPUT_NAME);
        let input = std::io::stdin();
        let status = rustix::fs::fstat(&input).reading("read", path)?;
        let is_file = rustix::fs::FileType::from_raw_mode(status.st_mode).is_file();
        let file_bytes = if is_file { status.st_size as u64 } else { u64::MAX };
        let progress = Arc::new(AtomicU64::new(0));
        let mut counted = Counting {
            inner: move |buffer: &mut [u8]| {
                waiting::wait_to_read(&input).map_err(std::io::Error::other)?;
                Ok(rustix::io::read(&input, buffer)?)
            },
            counter: Arc::clone(&progress),
        };
        let mut first = Vec::new();
        counted
            .by_ref()
            .take(2)
            .read_to_end(&mut first)
            .map_err(|error| stream_error(error, STANDARD_INPUT_NAME))?;
        let is_gzip = first == gzip::MAGIC;
        let whole = std::io::Cursor::new(first).chain(counted);
        let inner: Box<dyn Read + Send> =
            if is_gzip { Box::new(gzip::decoder(whole)) } else { Box::new(whole) };
        Ok(Stream { inner, progress, file_bytes, is_gzip, checked: None })
    }
    /// The size of the file as stored, if it is known.
    pub fn total(&self) -> Option<u64> {
        Some(self.file_bytes).filter(|bytes| *bytes != u64::MAX)
    }
    /// The counter that is read by [`Stream::file_bytes_read`].
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }
    /// The number of stored bytes that have been read.
    pub fn file_bytes_read(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }
    /// Fails if the file has changed since it was opened. Standard input is not checked.
    pub fn check_unchanged(&self) -> Result<()> {
        self.checked.as_ref().map_or(Ok(()), |file| file.check_unchanged())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer)
    }
}

struct Counting<F> {
    inner: F,
    counter: Arc<AtomicU64>,
}

impl<F: FnMut(&mut [u8]) -> std::io::Result<usize>> Read for Counting<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = (self.inner)(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first bytes of a file, or all if it has fewer.
pub(crate) fn head(disk: &Disk, path: &Path, bytes: u64) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = disk.open(path)?.take(bytes).read_to_end(&mut head);
    read.map_err(|error| stream_error(error, &path.plain()))?;
    Ok(head)
}
