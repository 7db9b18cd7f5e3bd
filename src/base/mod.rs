//! What everything stands on: bytes, files, threads, errors. Imports nothing from above.

pub mod batch;
pub mod disk;
pub mod error;
pub mod fingerprints;
pub mod gzip;
pub mod hash;
pub mod lookup;
pub(crate) mod mmap;
pub mod pipeline;
pub mod progress;
pub mod raw;
