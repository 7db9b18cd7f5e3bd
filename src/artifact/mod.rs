//! What `transform` and `reverse` make, both ways: how it lies in the file system, written and published, opened and checked.

pub mod apart;
pub mod archive_writer;
pub mod layout;
mod lock;
pub mod manifest;
mod pieces;
mod place;
pub(crate) mod reader;
pub mod staging;
pub mod writer;
