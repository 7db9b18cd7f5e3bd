//! Runs a program and makes its k-th file call fail, whichever thread makes it.
//!
//!     injector --below DIR --report FILE [--at K|rename] [--fault FAULT] [--from] [--no-exchange]
//!              [--list FILE] -- COMMAND...
//!
//! FAULT is `EIO`, `ENOSPC`, `EACCES` or `EINTR` (the call fails with it), `short` (the call moves
//! half of the bytes), `KILL`, `TERM`, `INT` or `HUP` (the signal arrives at the call). Only calls
//! that can fail this way count; the first that counts is the first with a path below DIR, so the
//! dynamic loader's do not. With `--from`, later calls below DIR fail too. With `--no-exchange`,
//! `renameat2` fails with EINVAL if it has flags, as on a file system that lacks them.
//!
//! Calls are seen by ptrace, as a library that is preloaded sees no raw system calls. A seccomp
//! filter stops the program at file calls alone, so that others run at full speed.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod options;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tracer;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> ExitCode {
    let run = options::Options::parse(std::env::args_os().skip(1))
        .and_then(|options| tracer::run(&options).map_err(|error| error.to_string()));
    match run {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("injector: {problem}");
            ExitCode::from(125)
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() -> ExitCode {
    eprintln!("injector: left out: it needs Linux on x86-64 or aarch64");
    ExitCode::from(125)
}
