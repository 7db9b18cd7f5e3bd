//! The operations: each one function from options to a report.

pub mod inspect;
pub mod reverse;
pub mod transform;
pub mod verify;
