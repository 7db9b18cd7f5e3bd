//! Outputs of `transform` and `reverse`: their layout on disk, how they are written and published,
//! and how they are opened and checked again.

pub mod apart;
pub mod archive_writer;
pub mod difference;
pub mod layout;
mod lock;
pub mod manifest;
mod pieces;
mod place;
pub(crate) mod reader;
pub mod staging;
pub mod writer;
