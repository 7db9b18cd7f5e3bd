//! The operations: each one function from options to a report.

pub mod transform;
