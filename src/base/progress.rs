//! How a run tells what it is doing, and is told to stop.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicI32, Ordering};

/// Watches a run. All methods may be called from any thread.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use mongosplit::{Dump, inspect, progress::Progress};
///
/// #[derive(Default)]
/// struct Counter(AtomicU64);
///
/// impl Progress for Counter {
///     fn advance(&self, documents: u64, _bytes: u64) {
///         self.0.fetch_max(documents, Ordering::Relaxed);
///     }
/// }
///
/// # fn main() -> mongosplit::Result<()> {
/// let counter = Counter::default();
/// inspect::inspect(&Dump::open("fixtures/dump")?, &counter)?;
/// assert_eq!(counter.0.into_inner(), 60); // of the largest collection
/// # Ok(())
/// # }
/// ```
pub trait Progress: Sync {
    /// A stage begins, of so many input bytes where that is known. With compressed input these are compressed
    /// bytes.
    fn start(&self, _stage: &str, _total_bytes: Option<u64>) {}
    /// So many documents and input bytes of the stage are done, in all.
    fn advance(&self, _documents: u64, _bytes: u64) {}
    /// The stage is done.
    fn finish(&self) {}
    /// Something that a user should know, though the run goes on.
    fn warn(&self, _message: &str) {}
    /// What the run does, for users who ask for more: what is opened as what, what comes of it.
    fn detail(&self, _message: &str) {}
    /// The signal that asks the run to stop, if one has come.
    fn interrupted(&self) -> Option<i32> {
        None
    }
    /// Fails if a signal has come.
    fn check(&self) -> Result<()> {
        self.interrupted().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

/// Says nothing.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {}

/// A signal that has come, as a handler can note it.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicI32);

impl Interrupt {
    /// None has come.
    pub const fn new() -> Self {
        Interrupt(AtomicI32::new(0))
    }
    /// Notes a signal by its number.
    pub fn note(&self, signal: i32) {
        self.0.store(signal, Ordering::Relaxed);
    }
    /// The signal that has come.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}
