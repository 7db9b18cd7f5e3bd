//! The operations: each one function from options to a report.

pub mod cases;
pub mod check;
pub mod explain;
pub mod init;
pub mod inspect;
pub mod reverse;
mod single;
mod source;
pub mod transform;
pub mod verify;
