//! SIGINT, SIGTERM and SIGHUP ask a run to stop: it cleans up and exits with 128 + the signal's
//! number. A second one ends the process at once. SIGHUP stays ignored if it was, as `nohup` leaves
//! it. SIGXFSZ is ignored, so that a file size limit makes the write fail.

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
        let stopping = [SIGINT, SIGTERM, SIGHUP];
        for signal in stopping.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP))
        {
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

/// Whether this process began with a signal ignored. Only Linux says so without `unsafe`.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}
