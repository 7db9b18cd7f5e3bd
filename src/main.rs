//! The command line of mongosplit.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
