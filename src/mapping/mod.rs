//! The mapping: how each field is transformed, forward and backward.
//!
//! A mapping file ([`Plan::parse`]) is data; nothing in this module names a field of `user_data`.

mod assess;
mod backward;
mod built_in;
mod cases;
mod check;
mod compile;
mod convert;
mod evaluate;
mod fate;
mod findings;
mod forward;
mod kept;
mod known;
mod language;
mod mapper;
mod merge;
mod plan;
mod query;
mod reads;
mod shape;
mod show;
mod texts;
mod views;

pub use assess::{Assess, Counted};
pub use cases::Case;
pub use check::Refusal;
pub use compile::Checked;
pub use findings::{Findings, Found, SAMPLES};
pub use kept::{Kept, KeptWhat};
pub use known::{Answers, Known};
pub use language::{Problem, Severity, schema};
pub use mapper::{KeptIndex, Mapped, Mapper, Refused, Restorer};
pub use merge::{Change, Conflict, Merged, Merger, Sides};
pub use plan::{Index, Plan, Rule};
pub use reads::{Reads, Unread};
