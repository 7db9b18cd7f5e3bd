//! An output that is there: opening and checking it, for all that read one.

pub(crate) mod reader;
