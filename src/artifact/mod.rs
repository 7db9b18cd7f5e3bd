//! What `transform` and `reverse` make, and what is read of it again.

pub mod manifest;
pub(crate) mod reader;
