//! File operations. Only regular files are opened; they bypass the page cache if the system can,
//! and are synced to disk before they get their names. Tests can make a [`Disk`] fail, or kill the
//! process, at any of its steps. The file has more than 500 lines so that no file operation is
//! anywhere else, where a test could not make it fail.

use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, IntoInnerError, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::audience::Audience;
use crate::error::{Error, IoContext, Result};

/// How files are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// Bypass the page cache if the kernel and the file system can, else use it.
    #[default]
    Auto,
    /// Bypass the page cache; fail if that is impossible.
    Direct,
    /// Use the page cache.
    Buffered,
}

impl IoMode {
    /// The mode in words, for messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            IoMode::Auto => "past the page cache if the system can",
            IoMode::Direct => "past the page cache",
            IoMode::Buffered => "through the page cache",
        }
    }
}

/// Size of one read or write call in bytes.
pub const BLOCK: usize = 1024 * 1024;
/// Linux's `RWF_DONTCACHE` (include/uapi/linux/fs.h, since 6.14).
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
/// Older kernels have the flag disabled, or lose data with it on some file systems.
const DONT_CACHE_SINCE: (u32, u32) = (6, 16);

/// The file operations of one run. Each is a step, which tests can make fail.
#[derive(Debug, Default)]
pub struct Disk {
    mode: IoMode,
    steps: Arc<Steps>,
    readers: Mutex<Readers>,
    /// What was unpacked from archives, by the path that it is opened by.
    unpacked: Mutex<HashMap<PathBuf, Weak<Unpacked>>>,
    used_fallback: AtomicBool,
    lacks_exchange: bool,
    lacks_locks: bool,
    /// For tests.
    free_bytes: Option<u64>,
}

/// Who may read all that was read.
#[derive(Debug, Default)]
struct Readers {
    audience: Audience,
    /// The file that was looked at last: most are opened several times in a row.
    last: Option<PathBuf>,
}

/// What happens at a step, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only this step fails.
    Once,
    /// This step and all later ones fail.
    FromThereOn,
    /// The process is killed, as by `kill -9`, instead of taking this step.
    Kill,
}

/// Counts the steps of a disk and of the files that it has opened, and makes some of them fail.
#[derive(Debug, Default)]
struct Steps {
    taken: AtomicU64,
    fault: Option<(u64, Fault)>,
}

impl Steps {
    fn step(&self) -> io::Result<()> {
        let step = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let fault = self
            .fault
            .filter(|(at, fault)| step == *at || *fault == Fault::FromThereOn && step > *at);
        match fault {
            None => return Ok(()),
            Some((_, Fault::Kill)) => {
                let _ = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
            }
            Some(_) => {}
        }
        Err(io::Error::other("stopped here by a test"))
    }
}

/// The result of [`Disk::lock`].
#[derive(Debug, PartialEq, Eq)]
pub enum Locked {
    /// The file is locked until it is closed.
    Yes,
    /// Another open file holds the lock.
    Elsewhere,
    /// The file system has no locks.
    Unsupported,
}

impl Disk {
    /// File operations in this mode.
    pub fn new(mode: IoMode) -> Self {
        Disk { mode, ..Disk::default() }
    }
    /// For tests: the operation with this number, from 1, and all later ones fail.
    pub fn failing_at(step: u64) -> Self {
        Disk::with_fault(step, Fault::FromThereOn)
    }
    /// For tests: something happens at the operation with this number, from 1.
    pub fn with_fault(step: u64, fault: Fault) -> Self {
        Disk {
            steps: Arc::new(Steps { fault: Some((step, fault)), ..Steps::default() }),
            ..Disk::default()
        }
    }
    /// For tests: behaves like a file system that cannot exchange two paths.
    pub fn without_exchange(mut self) -> Self {
        self.lacks_exchange = true;
        self
    }
    /// For tests: behaves like a file system with so many free bytes.
    pub fn with_free_bytes(mut self, bytes: u64) -> Self {
        self.free_bytes = Some(bytes);
        self
    }
    /// What is free for an ordinary user on the file system of a directory, or of the nearest
    /// directory above it that exists; none if the system does not say.
    pub fn free_bytes(&self, directory: &Path) -> Option<u64> {
        if self.free_bytes.is_some() {
            return self.free_bytes;
        }
        let absolute = std::path::absolute(directory).ok()?;
        let existing = absolute.ancestors().find(|place| place.exists())?;
        let status = rustix::fs::statvfs(existing).ok()?;
        status.f_bavail.checked_mul(status.f_frsize)
    }
    /// For tests: behaves like a file system without locks.
    pub fn without_locks(mut self) -> Self {
        self.lacks_locks = true;
        self
    }
    /// The number of operations so far.
    pub fn steps(&self) -> u64 {
        self.steps.taken.load(Ordering::Relaxed)
    }
    /// Whether the file system lacked an operation for which there is a weaker fallback: renaming
    /// without replacing, or syncing a directory.
    pub fn did_without(&self) -> bool {
        self.used_fallback.load(Ordering::Relaxed)
    }
    fn step(&self) -> io::Result<()> {
        self.steps.step()
    }
    /// From now on, what is written is for this audience at most.
    pub(crate) fn narrow(&self, audience: Audience) {
        let mut readers = locked(&self.readers);
        readers.audience = readers.audience.and(audience);
    }
    /// What is written is read from this file too.
    pub(crate) fn add_source(&self, path: &Path) {
        self.narrow(Audience::of_all([path]));
    }
    /// Lets those read a file or directory that this run has created who may read all that it has read.
    pub fn admit(&self, path: &Path) -> Result<()> {
        let audience = locked(&self.readers).audience;
        self.step().and_then(|()| audience.admit(path)).writing("set the mode of", path)
    }
    /// Lets what was unpacked be opened by a path that no file has, as long as the value lives.
    pub(crate) fn keep_unpacked(&self, path: &Path, unpacked: &Arc<Unpacked>) {
        locked(&self.unpacked).insert(path.to_owned(), Arc::downgrade(unpacked));
    }
    fn find_unpacked(&self, path: &Path) -> Option<Arc<Unpacked>> {
        locked(&self.unpacked).get(path)?.upgrade()
    }

    /// The metadata of a path, without following links; `None` if nothing is there.
    pub fn look(&self, path: &Path) -> Result<Option<Metadata>> {
        match self.step().and_then(|()| path.symlink_metadata()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).writing("look at", path),
        }
    }
    /// The names in a directory, sorted.
    pub fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        self.step().and_then(|()| names_in(path)).writing("list", path)
    }
    /// Opens a lock file for reading and writing. If it does not exist, creates it, for its owner
    /// alone. Neither follows a link nor waits.
    pub fn open_lock(&self, path: &Path) -> Result<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags)
                .open(path)
        };
        self.step().and_then(|()| open()).writing("open", path)
    }
    /// Tries to take the exclusive lock of an open file, without waiting.
    pub fn lock(&self, file: &File, path: &Path) -> Result<Locked> {
        self.step().writing("lock", path)?;
        if self.lacks_locks {
            return Ok(Locked::Unsupported);
        }
        loop {
            return match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Locked::Yes),
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => Ok(Locked::Elsewhere),
                Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK | Errno::INVAL) => {
                    Ok(Locked::Unsupported)
                }
                Err(error) => Err(error).writing("lock", path),
            };
        }
    }
    /// Replaces the contents of a small open file.
    pub fn rewrite(&self, file: &File, path: &Path, content: &[u8]) -> Result<()> {
        let write = || file.set_len(0).and_then(|()| file.write_all_at(content, 0));
        self.step().and_then(|()| write()).writing("write", path)
    }
    /// Creates a directory for its owner alone.
    pub fn create_dir(&self, path: &Path) -> Result<()> {
        self.create_dir_again(path, 0o700)
    }
    /// Creates a directory that was there before, with this mode.
    pub fn create_dir_again(&self, path: &Path, mode: u32) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        self.step()
            .and_then(|()| std::fs::DirBuilder::new().mode(mode & 0o7777).create(path))
            .writing("create directory", path)
    }
    /// Creates a file for its owner alone. Fails if it exists.
    pub fn create(&self, path: &Path) -> Result<WriteFile<'_>> {
        let open = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .custom_flags(OFlags::NOFOLLOW.bits() as i32)
                .mode(0o600)
                .open(path)
        };
        let file = self.step().and_then(|()| open()).writing("create", path)?;
        let uncached = match self.mode {
            IoMode::Auto => kernel_supports_uncached(),
            IoMode::Direct => true,
            IoMode::Buffered => false,
        };
        Ok(WriteFile {
            disk: self,
            file,
            path: path.to_owned(),
            offset: 0,
            waiting: Vec::new(),
            spare: Vec::new(),
            uncached,
        })
    }
    /// Renames. Fails if `to` exists.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.step().writing("rename to", to)?;
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.used_fallback.store(true, Ordering::Relaxed);
                if to.symlink_metadata().is_ok() {
                    return Err(io::Error::from(io::ErrorKind::AlreadyExists))
                        .writing("rename to", to);
                }
                std::fs::rename(from, to).writing("rename to", to)
            }
            other => other.writing("rename to", to),
        }
    }
    /// Exchanges two paths atomically. Returns false if the system cannot.
    pub fn exchange(&self, one: &Path, other: &Path) -> Result<bool> {
        self.step().writing("exchange", other)?;
        if self.lacks_exchange {
            return Ok(false);
        }
        match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            result => result.map(|()| true).writing("exchange", other),
        }
    }
    /// Renames a directory, replacing the empty directory `to`.
    pub fn rename_over_empty(&self, from: &Path, to: &Path) -> Result<()> {
        self.step().and_then(|()| std::fs::rename(from, to)).writing("rename to", to)
    }
    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        self.step().and_then(|()| std::fs::remove_dir(path)).writing("remove", path)
    }
    /// Removes a file or link.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        self.step().and_then(|()| std::fs::remove_file(path)).writing("remove", path)
    }
    /// Removes a directory with everything below it, without following links. After an error it
    /// continues with the rest, and then returns the first error.
    pub fn remove_tree(&self, path: &Path) -> Result<()> {
        let mut failed = Ok(());
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(io::Error::from)
            .writing("remove", path)?;
        let mut open = vec![self.open_tree(CWD, name, path.to_owned())?];
        while let Some(top) = open.last_mut() {
            if let Some(name) = top.names.pop() {
                let path = top.path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
                let is_directory =
                    rustix::fs::statat(&top.directory, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(
                        |status| rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir(),
                    );
                if is_directory {
                    match self.open_tree(top.directory.as_fd(), name, path) {
                        Ok(next) => open.push(next),
                        Err(error) => failed = failed.and(Err(error)),
                    }
                    continue;
                }
                failed =
                    failed.and(self.unlink(top.directory.as_fd(), &name, AtFlags::empty(), &path));
                continue;
            }
            let Some(Tree { name, path, .. }) = open.pop() else { break };
            let above = open.last().map_or(CWD, |above| above.directory.as_fd());
            failed = failed.and(self.unlink(above, &name, AtFlags::REMOVEDIR, &path));
        }
        failed
    }
    fn open_tree(&self, above: BorrowedFd<'_>, name: CString, path: PathBuf) -> Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let list = || {
            let directory = rustix::fs::openat(above, &name, flags, Mode::empty())?;
            let mut names = names_of(&directory)?;
            names.reverse();
            Ok((directory, names))
        };
        let listed = self.step().and_then(|()| uninterrupted(list));
        let (directory, names) = listed.writing("remove", &path)?;
        Ok(Tree { directory, name, path, names })
    }
    fn unlink(
        &self,
        above: BorrowedFd<'_>,
        name: &CString,
        flags: AtFlags,
        path: &Path,
    ) -> Result<()> {
        match self.step().and_then(|()| Ok(rustix::fs::unlinkat(above, name, flags)?)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.writing("remove", path),
        }
    }
    /// Syncs the names in a directory to disk.
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        let sync = || File::open(path)?.sync_all();
        match self.step().and_then(|()| sync()) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                self.used_fallback.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other.writing("sync", path),
        }
    }
    /// Opens a regular file for reading from its start. Whoever may not read it may not read what
    /// the run writes.
    pub fn open(&self, path: &Path) -> Result<ReadFile> {
        if let Some(unpacked) = self.find_unpacked(path) {
            return self.open_unpacked(path, unpacked);
        }
        let (file, metadata) = self.open_aside(path)?;
        let mut readers = locked(&self.readers);
        if readers.last.as_deref() != Some(path) {
            readers.audience = readers.audience.and(Audience::of(path, &metadata));
            readers.last = Some(path.to_owned());
        }
        Ok(file)
    }
    /// Opens what was unpacked from the file at `path`, which errors name.
    pub(crate) fn open_unpacked(&self, path: &Path, unpacked: Arc<Unpacked>) -> Result<ReadFile> {
        ReadFile::of_unpacked(path, unpacked, &self.steps)
    }
    /// [`Disk::open`] for a file of which nothing reaches what the run writes.
    fn open_aside(&self, path: &Path) -> Result<(ReadFile, Metadata)> {
        ReadFile::open_with(path, self.mode, &self.steps)
    }
    /// Reads a regular file of at most `max_bytes`, without decompressing it.
    pub fn read_small(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
        read_small(self.open(path)?, max_bytes)
    }
    /// [`Disk::read_small`] for a file of which nothing reaches what the run writes.
    pub fn read_small_aside(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
        read_small(self.open_aside(path)?.0, max_bytes)
    }
}

/// What a mutex holds. A thread that panicked left nothing half done in what this crate keeps in one.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn read_small(file: ReadFile, max_bytes: u64) -> Result<Vec<u8>> {
    let path = file.path().to_owned();
    if file.size() > max_bytes {
        return Err(Error::input(
            &path,
            format!("has {} bytes, but such a file has at most {max_bytes}", file.size()),
        ));
    }
    let mut content = Vec::new();
    file.take(max_bytes).read_to_end(&mut content).reading("read", &path)?;
    Ok(content)
}

/// A file of ours without a name, which is gone once it is closed, and what was unpacked into it.
#[derive(Debug)]
pub(crate) struct Unpacked {
    file: File,
    /// The directory that it is in.
    scratch: PathBuf,
}

impl Unpacked {
    /// Fills a buffer from this offset.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(bytes, offset).map_err(|error| self.unreadable(error))
    }
    /// What cannot be read back is an error of the output, not of an input.
    fn unreadable(&self, source: io::Error) -> Error {
        let action = "read back what was unpacked into";
        Error::Write { action, path: self.scratch.clone(), source }
    }
}

/// What is being unpacked.
#[derive(Debug)]
pub(crate) struct Unpacking {
    file: BufWriter<File>,
    scratch: PathBuf,
}

impl Unpacking {
    /// Begins in a directory. So many bytes wait until they are written.
    pub(crate) fn begin(scratch: &Path, buffer: usize) -> Result<Unpacking> {
        let file = tempfile::tempfile_in(scratch).writing("create a file in", scratch)?;
        Ok(Unpacking { file: BufWriter::with_capacity(buffer, file), scratch: scratch.to_owned() })
    }
    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).writing("unpack into", &self.scratch)
    }
    /// Writes the rest.
    pub(crate) fn finish(self) -> Result<Unpacked> {
        let Unpacking { file, scratch } = self;
        let file = file.into_inner().map_err(IntoInnerError::into_error);
        Ok(Unpacked { file: file.writing("unpack into", &scratch)?, scratch })
    }
}

/// Raises the process's limit of open files as far as it may: a dump of many databases has several for each of them.
pub fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Without it, opening says which file was one too many.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The names in a directory, sorted.
///
/// `std::fs::read_dir` panics if closing the directory fails, as it may on a broken or remote file
/// system.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = || names_of(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let names = uninterrupted(list)?;
    Ok(names.into_iter().map(|name| OsString::from_vec(name.into_bytes())).collect())
}

/// The names in an open directory, sorted.
fn names_of(directory: impl AsFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if ![c".", c".."].contains(&name.as_c_str()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Repeats what a signal has interrupted.
fn uninterrupted<T>(mut work: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// A directory that is being removed, and the names left in it, in reverse order.
struct Tree {
    directory: OwnedFd,
    name: CString,
    path: PathBuf,
    names: Vec<CString>,
}

/// Whether uncached reads and writes are safe on this kernel.
fn kernel_supports_uncached() -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= DONT_CACHE_SINCE)
}

/// Whether an error means that the file system cannot do uncached reads or writes.
fn is_unsupported(error: Errno) -> bool {
    [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS].contains(&error)
}

/// A file that is written in whole blocks.
#[derive(Debug)]
pub struct WriteFile<'d> {
    disk: &'d Disk,
    file: File,
    path: PathBuf,
    offset: u64,
    /// Bytes after the last whole block.
    waiting: Vec<u8>,
    spare: Vec<u8>,
    uncached: bool,
}

impl WriteFile<'_> {
    /// Appends pieces in order. Whole blocks are written without copying them, and the rest is kept
    /// for the next call.
    pub fn write(&mut self, pieces: &[&[u8]]) -> Result<()> {
        self.waiting.reserve(BLOCK.saturating_sub(self.waiting.len()));
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
    /// Writes the rest and syncs the file to disk. After an error, the file is incomplete.
    pub fn finish(mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.waiting);
        self.write_out(&mut [IoSlice::new(&rest)])?;
        self.disk.step().and_then(|()| self.file.sync_all()).writing("sync", &self.path)
    }
    fn write_out(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<()> {
        // Drops empty slices, so that there is no call to write nothing.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.disk.step().writing("write", &self.path)?;
            let flags = if self.uncached { DONT_CACHE } else { ReadWriteFlags::empty() };
            match write_at(&self.file, &slices[..slices.len().min(MAX_SLICES)], self.offset, flags)
            {
                Ok(0) => {
                    return Err(io::Error::from(io::ErrorKind::WriteZero))
                        .writing("write", &self.path);
                }
                Ok(written) => {
                    self.offset += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(Errno::INTR) => {}
                Err(error)
                    if self.uncached && self.disk.mode == IoMode::Auto && is_unsupported(error) =>
                {
                    self.uncached = false
                }
                Err(error) => return Err(error).writing("write", &self.path),
            }
        }
        Ok(())
    }
}

/// Most pieces for one call (`UIO_MAXIOV`, include/uapi/linux/uio.h).
const MAX_SLICES: usize = 1024;

#[cfg(target_os = "linux")]
fn write_at(
    file: &File,
    pieces: &[IoSlice<'_>],
    offset: u64,
    flags: ReadWriteFlags,
) -> rustix::io::Result<usize> {
    rustix::io::pwritev2(file, pieces, offset, flags)
}
#[cfg(not(target_os = "linux"))]
fn write_at(
    file: &File,
    pieces: &[IoSlice<'_>],
    offset: u64,
    _: ReadWriteFlags,
) -> rustix::io::Result<usize> {
    rustix::io::pwrite(file, &pieces[0], offset)
}
#[cfg(target_os = "linux")]
fn read_at(
    file: &File,
    bytes: &mut [u8],
    offset: u64,
    flags: ReadWriteFlags,
) -> rustix::io::Result<usize> {
    rustix::io::preadv2(file, &mut [IoSliceMut::new(bytes)], offset, flags)
}
#[cfg(not(target_os = "linux"))]
fn read_at(
    file: &File,
    bytes: &mut [u8],
    offset: u64,
    _: ReadWriteFlags,
) -> rustix::io::Result<usize> {
    rustix::io::pread(file, bytes, offset)
}

/// The properties of a file by which a change is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Any write sets it, and no call can set it back, as it can the time of modification.
    changed: (i64, i64),
}

impl State {
    fn of(metadata: &std::fs::Metadata) -> Self {
        State {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A regular file that is read from its start.
#[derive(Debug)]
pub struct ReadFile {
    steps: Arc<Steps>,
    origin: Origin,
    path: PathBuf,
    offset: u64,
    uncached: bool,
    state: State,
}

/// What a file is read from.
#[derive(Debug)]
enum Origin {
    /// The file at its path.
    File(File),
    /// What was unpacked, which is ours.
    Unpacked(Arc<Unpacked>),
}

impl Origin {
    fn file(&self) -> &File {
        match self {
            Origin::File(file) => file,
            Origin::Unpacked(unpacked) => &unpacked.file,
        }
    }
}

impl ReadFile {
    /// Opens a file for reading. Fails on anything but a regular file, without waiting for it.
    pub fn open(path: &Path, mode: IoMode) -> Result<Self> {
        Ok(ReadFile::open_with(path, mode, &Arc::default())?.0)
    }
    fn open_with(path: &Path, mode: IoMode, steps: &Arc<Steps>) -> Result<(Self, Metadata)> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let open = || OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = steps.step().and_then(|()| open()).reading("open", path)?;
        let metadata = file.metadata().reading("open", path)?;
        if !metadata.is_file() {
            return Err(Error::input(path, "is not a regular file"));
        }
        let uncached = mode != IoMode::Buffered && kernel_supports_uncached();
        let file = ReadFile {
            steps: Arc::clone(steps),
            origin: Origin::File(file),
            path: path.to_owned(),
            offset: 0,
            uncached,
            state: State::of(&metadata),
        };
        Ok((file, metadata))
    }
    fn of_unpacked(path: &Path, unpacked: Arc<Unpacked>, steps: &Arc<Steps>) -> Result<Self> {
        let metadata = steps.step().and_then(|()| unpacked.file.metadata());
        let metadata = metadata.map_err(|error| unpacked.unreadable(error))?;
        Ok(ReadFile {
            steps: Arc::clone(steps),
            origin: Origin::Unpacked(unpacked),
            path: path.to_owned(),
            offset: 0,
            uncached: false,
            state: State::of(&metadata),
        })
    }
    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.state.bytes
    }
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Fills a buffer from this offset.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if the file ends before that: it had these bytes when it was read first.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let file = match &self.origin {
            Origin::File(file) => file,
            Origin::Unpacked(unpacked) => return unpacked.read_exact_at(bytes, offset),
        };
        match self.steps.step().and_then(|()| file.read_exact_at(bytes, offset)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.changed(&file.metadata().reading("read", &self.path)?))
            }
            other => other.reading("read", &self.path),
        }
    }
    /// The error of a file that is no longer what it was when it was opened.
    fn changed(&self, now: &Metadata) -> Error {
        let (was, is) = (self.state.bytes, now.len());
        Error::input(
            &self.path,
            format!(
                "changed while it was read ({was} bytes before, {is} bytes now); run again once nothing writes to it"
            ),
        )
    }
    /// Fails if the file has changed since it was opened: its size, a time of it, or the file at
    /// its path. Access times do not count. What was unpacked is ours and does not change.
    pub fn check_unchanged(&self) -> Result<()> {
        let Origin::File(file) = &self.origin else { return Ok(()) };
        let now = file.metadata().reading("read", &self.path)?;
        let there = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.changed(&now));
            }
            there => there.reading("look at", &self.path)?,
        };
        match State::of(&now) == self.state && State::of(&there) == self.state {
            true => Ok(()),
            false => Err(self.changed(&now)),
        }
    }
}

impl Read for ReadFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(BLOCK);
        self.steps.step()?;
        loop {
            let flags = if self.uncached { DONT_CACHE } else { ReadWriteFlags::empty() };
            match read_at(self.origin.file(), &mut bytes[..most], self.offset, flags) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(Errno::INTR) => {}
                Err(error) if self.uncached && is_unsupported(error) => self.uncached = false,
                Err(error) => match &self.origin {
                    Origin::File(_) => return Err(error.into()),
                    Origin::Unpacked(unpacked) => {
                        return Err(io::Error::other(unpacked.unreadable(error.into())));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_rewritten_with_its_time_put_back_has_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "before").expect("a file");
        let file = ReadFile::open(&path, IoMode::Auto).expect("the file");
        file.check_unchanged().expect("unchanged");
        let modified = std::fs::metadata(&path).and_then(|there| there.modified()).expect("a time");
        // Times of files advance in steps of a few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::write(&path, "after!").expect("other bytes");
        let other = OpenOptions::new().write(true).open(&path).expect("the file");
        other.set_modified(modified).expect("the time of before");
        let error = file.check_unchanged().expect_err("it was rewritten");
        assert!(error.to_string().contains("changed while it was read"), "{error}");
    }
}
