//! The base of all other modules: bytes, files, threads and errors. It imports none of them.

pub mod archive_format;
pub mod audience;
pub mod batch;
pub mod disk;
pub mod documents;
pub mod error;
pub mod fingerprints;
pub mod gzip;
pub mod hash;
pub mod hashing;
pub mod lookup;
pub mod mapping_id;
pub mod namespace;
pub mod pipeline;
pub mod plain;
pub mod progress;
pub mod raw;
pub mod stream;
pub mod waiting;
