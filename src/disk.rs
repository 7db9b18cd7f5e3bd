//! Files: opened only where they are regular, read and written past the page cache where the system can,
//! put on disk before they are named. A [`Disk`] can be told to stop at one of its steps, for tests.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::error::{Error, IoContext, Result};

/// How files are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// Past the page cache where the kernel and the file system can, else through it.
    #[default]
    Auto,
    /// Past the page cache, or not at all.
    Direct,
    /// Through the page cache.
    Buffered,
}

impl IoMode {
    /// In words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            IoMode::Auto => "past the page cache where the system can",
            IoMode::Direct => "past the page cache",
            IoMode::Buffered => "through the page cache",
        }
    }
}

/// Size of one read or write call.
pub const BLOCK: usize = 1024 * 1024;
/// Linux's `RWF_DONTCACHE` (include/uapi/linux/fs.h, since 6.14).
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
/// Kernels before this one had the flag switched off, or lost data with it on some file systems.
const DONT_CACHE_SINCE: (u32, u32) = (6, 16);

/// The file operations of one run.
#[derive(Debug, Default)]
pub struct Disk {
    mode: IoMode,
    steps: AtomicU64,
    fail_at: Option<u64>,
    kept_from: AtomicBool,
}

impl Disk {
    /// Operations in this mode.
    pub fn new(mode: IoMode) -> Self {
        Disk { mode, ..Disk::default() }
    }
    /// For tests: the operation with this number, from 1, and all after it fail.
    pub fn failing_at(step: u64) -> Self {
        Disk { fail_at: Some(step), ..Disk::default() }
    }
    /// Operations so far.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
    /// Whether the file system could not do something that [`Disk`] then did without: rename without replacing,
    /// or putting a directory on disk.
    pub fn did_without(&self) -> bool {
        self.kept_from.load(Ordering::Relaxed)
    }
    fn step(&self) -> io::Result<()> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if self.fail_at.is_some_and(|at| step >= at) {
            return Err(io::Error::other("stopped here by a test"));
        }
        Ok(())
    }

    /// Creates a directory with this mode, less the umask.
    pub fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        self.step().and_then(|()| std::fs::DirBuilder::new().mode(mode).create(path)).writing("create directory", path)
    }
    /// Creates a file that was not there, with this mode, less the umask.
    pub fn create(&self, path: &Path, mode: u32) -> Result<WriteFile<'_>> {
        let open = || OpenOptions::new().write(true).create_new(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).mode(mode).open(path);
        let file = self.step().and_then(|()| open()).writing("create", path)?;
        let uncached = match self.mode {
            IoMode::Auto => kernel_can(),
            IoMode::Direct => true,
            IoMode::Buffered => false,
        };
        Ok(WriteFile { disk: self, file, path: path.to_owned(), offset: 0, waiting: Vec::new(), spare: Vec::new(), uncached })
    }
    /// Renames, and never replaces anything.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.step().writing("rename to", to)?;
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.kept_from.store(true, Ordering::Relaxed);
                if to.symlink_metadata().is_ok() {
                    return Err(io::Error::from(io::ErrorKind::AlreadyExists)).writing("rename to", to);
                }
                std::fs::rename(from, to).writing("rename to", to)
            }
            other => other.writing("rename to", to),
        }
    }
    /// Lets two paths change places, in one step. False where the system has no such call.
    pub fn exchange(&self, one: &Path, other: &Path) -> Result<bool> {
        self.step().writing("exchange", other)?;
        match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            result => result.map(|()| true).writing("exchange", other),
        }
    }
    /// Renames over an empty directory.
    pub fn rename_over_empty(&self, from: &Path, to: &Path) -> Result<()> {
        self.step().and_then(|()| std::fs::rename(from, to)).writing("rename to", to)
    }
    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        self.step().and_then(|()| std::fs::remove_dir(path)).writing("remove", path)
    }
    /// Puts a directory's names on disk.
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        let sync = || File::open(path)?.sync_all();
        match self.step().and_then(|()| sync()) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                self.kept_from.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other.writing("put on disk", path),
        }
    }
    /// Opens a regular file for reading from its start.
    pub fn open(&self, path: &Path) -> Result<ReadFile> {
        ReadFile::open(path, self.mode)
    }
}

/// Whether this kernel's uncached reads and writes can be relied on.
fn kernel_can() -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= DONT_CACHE_SINCE)
}

/// Errors by which a file system says that it cannot do uncached reads or writes.
fn is_unsupported(error: Errno) -> bool {
    [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS].contains(&error)
}

/// A file that is being written, in whole blocks.
#[derive(Debug)]
pub struct WriteFile<'d> {
    disk: &'d Disk,
    file: File,
    path: PathBuf,
    offset: u64,
    /// Bytes behind the last whole block.
    waiting: Vec<u8>,
    spare: Vec<u8>,
    uncached: bool,
}

impl WriteFile<'_> {
    /// Appends pieces one behind the other. Whole blocks are written from where they are, the rest waits for more.
    pub fn write(&mut self, pieces: &[&[u8]]) -> Result<()> {
        if self.waiting.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>() < BLOCK {
            pieces.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
            return Ok(());
        }
        let before = std::mem::replace(&mut self.waiting, std::mem::take(&mut self.spare));
        let mut block = Vec::with_capacity(1 + pieces.len());
        let mut size = 0;
        for mut piece in std::iter::once(before.as_slice()).chain(pieces.iter().copied()) {
            while size + piece.len() >= BLOCK {
                let (now, later) = piece.split_at(BLOCK - size);
                block.push(IoSlice::new(now));
                self.write_out(&mut block)?;
                block.clear();
                (piece, size) = (later, 0);
            }
            block.push(IoSlice::new(piece));
            size += piece.len();
        }
        block.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
        self.spare = before;
        self.spare.clear();
        Ok(())
    }
    /// Writes what is left and puts the file on disk. After an error the file is not to be used.
    pub fn finish(mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.waiting);
        self.write_out(&mut [IoSlice::new(&rest)])?;
        self.disk.step().and_then(|()| self.file.sync_all()).writing("put on disk", &self.path)
    }
    fn write_out(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<()> {
        // Empty ones are dropped first, as nothing to write is no call.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.disk.step().writing("write", &self.path)?;
            let flags = if self.uncached { DONT_CACHE } else { ReadWriteFlags::empty() };
            match write_at(&self.file, &slices[..slices.len().min(MAX_SLICES)], self.offset, flags) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)).writing("write", &self.path),
                Ok(written) => {
                    self.offset += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(Errno::INTR) => {}
                Err(error) if self.uncached && self.disk.mode == IoMode::Auto && is_unsupported(error) => self.uncached = false,
                Err(error) => return Err(error).writing("write", &self.path),
            }
        }
        Ok(())
    }
}

/// Pieces that one call takes (`UIO_MAXIOV`, include/uapi/linux/uio.h).
const MAX_SLICES: usize = 1024;

#[cfg(target_os = "linux")]
fn write_at(file: &File, pieces: &[IoSlice<'_>], offset: u64, flags: ReadWriteFlags) -> rustix::io::Result<usize> {
    rustix::io::pwritev2(file, pieces, offset, flags)
}
#[cfg(not(target_os = "linux"))]
fn write_at(file: &File, pieces: &[IoSlice<'_>], offset: u64, _: ReadWriteFlags) -> rustix::io::Result<usize> {
    rustix::io::pwrite(file, &pieces[0], offset)
}
#[cfg(target_os = "linux")]
fn read_at(file: &File, bytes: &mut [u8], offset: u64, flags: ReadWriteFlags) -> rustix::io::Result<usize> {
    rustix::io::preadv2(file, &mut [IoSliceMut::new(bytes)], offset, flags)
}
#[cfg(not(target_os = "linux"))]
fn read_at(file: &File, bytes: &mut [u8], offset: u64, _: ReadWriteFlags) -> rustix::io::Result<usize> {
    rustix::io::pread(file, bytes, offset)
}

/// What tells whether a file has been changed while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl State {
    fn of(metadata: &std::fs::Metadata) -> Self {
        State { device: metadata.dev(), inode: metadata.ino(), bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// A regular file that is read from its start.
#[derive(Debug)]
pub struct ReadFile {
    file: File,
    path: PathBuf,
    offset: u64,
    uncached: bool,
    state: State,
    mode: u32,
}

impl ReadFile {
    /// Opens it; anything but a regular file is refused, and never waited for.
    pub fn open(path: &Path, mode: IoMode) -> Result<Self> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).reading("open", path)?;
        let metadata = file.metadata().reading("open", path)?;
        if !metadata.is_file() {
            return Err(Error::input(path, "is not a regular file"));
        }
        let uncached = mode != IoMode::Buffered && kernel_can();
        Ok(ReadFile { file, path: path.to_owned(), offset: 0, uncached, state: State::of(&metadata), mode: metadata.mode() })
    }
    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.state.bytes
    }
    /// Its permission bits.
    pub fn mode(&self) -> u32 {
        self.mode
    }
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Fails where the file is no longer what it was when it was opened.
    pub fn check_unchanged(&self) -> Result<()> {
        let now = State::of(&self.file.metadata().reading("read", &self.path)?);
        let there = std::fs::metadata(&self.path).map(|metadata| State::of(&metadata)).unwrap_or(now);
        if now != self.state || there != self.state {
            let (was, is) = (self.state.bytes, now.bytes);
            return Err(Error::input(
                &self.path,
                format!("changed while it was read ({was} bytes before, {is} bytes now); run again when nothing writes to it"),
            ));
        }
        Ok(())
    }
}

impl Read for ReadFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(BLOCK);
        loop {
            let flags = if self.uncached { DONT_CACHE } else { ReadWriteFlags::empty() };
            match read_at(&self.file, &mut bytes[..most], self.offset, flags) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(Errno::INTR) => {}
                Err(error) if self.uncached && is_unsupported(error) => self.uncached = false,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
