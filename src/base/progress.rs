//! Reports the progress of a run, and lets a signal stop it.

use crate::error::{Error, Result};

/// Receives the progress of a run. All methods may be called from any thread.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use mongosplit::{Plan, inspect, progress::Progress};
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
/// let options = inspect::Options::new("fixtures/dump");
/// inspect::inspect(&options, &Plan::built_in()?, &counter)?;
/// assert_eq!(counter.0.into_inner(), 106);
/// # Ok(())
/// # }
/// ```
pub trait Progress: Sync {
    /// A stage begins. `total_bytes` is the size of its input as stored, that is compressed if it
    /// is compressed; `None` if it is unknown.
    fn start(&self, _stage: &str, _total_bytes: Option<u64>) {}
    /// The total of documents and input bytes that the stage has processed so far.
    fn advance(&self, _documents: u64, _bytes: u64) {}
    /// The stage is finished.
    fn finish(&self) {}
    /// A warning for the user. The run continues.
    fn warn(&self, _message: &str) {}
    /// A detail for users who ask for more output.
    fn detail(&self, _message: &str) {}
    /// The signal that asks the run to stop, if there was one.
    fn interrupted(&self) -> Option<i32> {
        None
    }
    /// Fails with [`Error::Interrupted`] if there was a signal.
    fn check(&self) -> Result<()> {
        self.interrupted().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

/// Ignores all progress.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {}
