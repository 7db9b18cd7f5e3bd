//! Hashes a stream in the background: bytes are kept as they are read, and another thread hashes
//! them when it is free.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hash::HashingCounter;

/// Bytes that may wait, usually more than a run reads between two calls of
/// [`Hashing::with_waiting`]. Above this, the reading thread hashes them itself, unless another
/// thread is hashing at the time.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Bytes for which there is room from the beginning. Room that is not used costs no memory.
const USUAL_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Counts and hashes the bytes that are read from a stream.
#[derive(Debug, Default)]
pub struct Hashing {
    waiting: Mutex<Vec<u8>>,
    hashed: Mutex<Hashed>,
}

#[derive(Debug, Default)]
struct Hashed {
    hash: HashingCounter,
    /// The second buffer, so that reading can go on while this one is hashed.
    taken: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hashing {
    /// Keeps bytes that were read.
    pub(super) fn pass(&self, bytes: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if waiting.capacity() == 0 {
            waiting.reserve(USUAL_WAITING_BYTES);
        }
        waiting.extend_from_slice(bytes);
        let is_full = waiting.len() >= MAX_WAITING_BYTES;
        drop(waiting);
        // Waiting here could deadlock: the thread that hashes may be waiting for the work of this
        // one.
        if is_full && let Ok(mut hashed) = self.hashed.try_lock() {
            self.hand_over(&mut hashed, HashingCounter::update);
        }
    }
    /// The number of bytes that wait to be hashed.
    pub fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }
    /// Calls `work` with the hash and the bytes that wait. It must hash all of them.
    pub fn with_waiting<T>(&self, work: impl FnOnce(&mut HashingCounter, &[u8]) -> T) -> T {
        self.hand_over(&mut lock(&self.hashed), work)
    }
    fn hand_over<T>(
        &self,
        hashed: &mut Hashed,
        work: impl FnOnce(&mut HashingCounter, &[u8]) -> T,
    ) -> T {
        let Hashed { hash, taken } = hashed;
        taken.clear();
        std::mem::swap(taken, &mut lock(&self.waiting));
        work(hash, taken)
    }
    /// Hashes the bytes that wait.
    pub fn catch_up(&self) {
        self.with_waiting(HashingCounter::update);
    }
    /// Returns the number of bytes that were read, and their SHA-256 in hex.
    pub fn finish(&self) -> (u64, String) {
        self.with_waiting(|hash, bytes| {
            hash.update(bytes);
            hash.clone().finish()
        })
    }
}

/// A reader that passes the bytes it reads to a [`Hashing`].
pub(super) struct Passing<R> {
    pub inner: R,
    pub hashing: Arc<Hashing>,
}

impl<R: Read> Read for Passing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hashing.pass(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    #[test]
    fn hashes_in_order_whoever_does_it() {
        let bytes: Vec<u8> =
            (0..3 * MAX_WAITING_BYTES + 12345).map(|at| (at * 31 + at / 977) as u8).collect();
        let hashing = Arc::new(Hashing::default());
        let mut stream = Passing { inner: bytes.as_slice(), hashing: Arc::clone(&hashing) };
        let mut buffer = vec![0; 999_983];
        for turn in 0.. {
            if stream.read(&mut buffer).expect("bytes") == 0 {
                break;
            }
            assert!(hashing.waiting() < MAX_WAITING_BYTES);
            if turn % 7 == 3 && turn < 20 {
                hashing.catch_up();
            }
        }
        assert_eq!(hashing.finish(), (bytes.len() as u64, sha256(&bytes)));
        assert_eq!(hashing.finish(), (bytes.len() as u64, sha256(&bytes)));
    }
}
