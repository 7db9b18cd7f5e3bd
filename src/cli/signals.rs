//! SIGINT, SIGTERM and SIGHUP ask a run to stop; it cleans up and ends with 128 + the signal's number. A second
//! one ends the process at once. SIGXFSZ is ignored, so that a file size limit is an error of the write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// Watches for signals.
#[derive(Debug)]
pub struct Signals {
    came: Arc<AtomicUsize>,
}

impl Signals {
    pub fn watch() -> anyhow::Result<Self> {
        let came = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order the second signal ends the process, as the first has set the flag.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&again),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&again))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&came), signal as usize)?;
        }
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Signals { came })
    }
    pub fn came(&self) -> Option<i32> {
        Some(self.came.load(Ordering::Relaxed) as i32).filter(|signal| *signal != 0)
    }
}
