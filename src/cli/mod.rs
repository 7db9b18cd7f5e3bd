//! The command line: arguments to options, reports to text.

mod args;
mod commands;
mod hints;
mod manual;
mod mapping;
mod page;
mod progress;
mod records;
mod report;
mod session;
mod signals;
mod summary;
mod text;

pub use commands::run;
