//! Waits for pipes in a way that a signal can end: a read or write that blocks would not return.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// As standard input and output are the process's, so is the signal that ends a wait for them.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// How long one look at a pipe takes at most: a signal is noticed as soon as that.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What can be written to a pipe that is ready without waiting: POSIX's `PIPE_BUF` is at least 512,
/// and a page on Linux.
pub(crate) const READY_BYTES: usize = 4096;

/// Ends waits once `signal` holds a signal's number. The first call counts.
pub fn end_waits_at(signal: Arc<AtomicUsize>) {
    let _ = SIGNAL.set(signal);
}

/// Whether it is a pipe or a socket, for which one may wait without end.
pub(crate) fn may_block(stream: impl AsFd) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|status| {
        matches!(FileType::from_raw_mode(status.st_mode), FileType::Fifo | FileType::Socket)
    })
}

/// Waits until there is something to read, or the end.
///
/// # Errors
///
/// [`Error::Interrupted`] after a signal.
pub(crate) fn wait_to_read(stream: impl AsFd) -> Result<()> {
    wait(stream, PollFlags::IN)
}

/// Waits until [`READY_BYTES`] can be written, or no one reads any more.
///
/// # Errors
///
/// [`Error::Interrupted`] after a signal.
pub(crate) fn wait_to_write(stream: impl AsFd) -> Result<()> {
    wait(stream, PollFlags::OUT)
}

fn wait(stream: impl AsFd, what: PollFlags) -> Result<()> {
    loop {
        match poll(&mut [PollFd::new(&stream, what)], Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => {}
            // If it cannot be polled, the operation itself says why.
            Ok(_) | Err(_) => return Ok(()),
        }
        match SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed)) {
            0 => {}
            signal => return Err(Error::Interrupted(signal as i32)),
        }
    }
}
