//! The mapping: how each field is transformed, forward and backward.
//!
//! A mapping file ([`Plan::parse`]) is data; nothing in this module names a field of `user_data`.

mod backward;
mod check;
mod compile;
mod convert;
mod forward;
mod mapper;
mod merge;
mod model;
mod plan;
mod shape;
mod show;
mod texts;

pub use check::Refusal;
pub use mapper::{Findings, Mapped, Mapper, Refused, Restorer, SAMPLES};
pub use merge::{Change, Conflict, Merged, Merger};
pub use plan::{Index, Plan, Rule};
