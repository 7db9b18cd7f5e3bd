//! Splits a monolithic collection of a MongoDB dump into the collections that replace it, file to file, with
//! indexes, a checksum manifest, and a way back that is proven byte for byte.

mod artifact;
pub mod base;
pub mod dump;
pub mod journal;
pub mod mapping;
pub mod ops;

pub use artifact::{apart, layout, manifest, staging};
pub(crate) use base::mmap;
pub use base::{batch, disk, error, fingerprints, gzip, hash, lookup, pipeline, progress, raw};
pub use error::{Error, Result};
pub use ops::{inspect, reverse, transform, verify};
