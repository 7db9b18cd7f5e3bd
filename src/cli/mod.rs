//! The command line: arguments to options, reports to text.

mod args;
mod commands;
mod progress;
mod signals;
mod summary;
mod text;

pub use commands::run;
