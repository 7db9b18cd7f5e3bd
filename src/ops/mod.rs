//! The operations: each one function from options to a report.

pub mod cases;
pub mod check;
pub mod explain;
pub mod findings;
pub mod init;
pub mod inspect;
pub mod reverse;
pub mod sample;
pub mod show;
mod single;
mod source;
mod survey;
pub mod transform;
pub mod verify;
mod wanted_id;
