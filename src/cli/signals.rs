//! SIGINT, SIGTERM and SIGHUP ask a run to stop: it cleans up and exits with 128 + the signal's
//! number. A second one ends the process at once. SIGXFSZ is ignored, so that a file size limit
//! makes the write fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// Remembers which signal has arrived.
#[derive(Debug)]
pub struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    pub fn watch() -> anyhow::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The order matters: the first signal sets the flag after this check, so the second one
            // ends the process.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&again),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&again))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&received), signal as usize)?;
        }
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        mongosplit::base::waiting::end_waits_at(Arc::clone(&received));
        Ok(Signals { received })
    }
    pub fn received(&self) -> Option<i32> {
        Some(self.received.load(Ordering::Relaxed) as i32).filter(|signal| *signal != 0)
    }
}
