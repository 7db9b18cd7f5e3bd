//! Splits a monolithic collection of a MongoDB dump into the collections that replace it, file to file, with
//! indexes, a checksum manifest, and a way back that is proven byte for byte.

mod artifact;
pub mod batch;
pub mod current;
pub mod disk;
pub mod dump;
pub mod error;
pub mod fingerprints;
pub mod gzip;
pub mod hash;
pub mod inspect;
pub mod journal;
pub mod lookup;
pub mod manifest;
pub mod mapping;
mod mmap;
pub mod output;
pub mod pipeline;
pub mod places;
pub mod progress;
pub mod raw;
pub mod reverse;
pub mod transform;
pub mod verify;

pub use error::{Error, Result};
