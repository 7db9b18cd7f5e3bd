//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error.
    Error(i32),
    /// It moves half of the bytes.
    Short,
    /// This signal arrives.
    Signal(i32),
}

/// Which call it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The one with this number, from 1.
    Number(u64),
    /// The first one that renames.
    Rename,
    /// None.
    Never,
}

/// The command line.
#[derive(Debug)]
pub struct Options {
    /// Calls count from the first one below this directory.
    pub below: PathBuf,
    /// Where to say what happened.
    pub report: PathBuf,
    /// Where to list the calls.
    pub list: Option<PathBuf>,
    pub at: At,
    pub fault: Fault,
    /// Later calls fail too.
    pub from_there_on: bool,
    /// The file system has no renames with flags.
    pub lacks_exchange: bool,
    pub command: Vec<OsString>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let (mut below, mut report) = (None, None);
        let mut options = Options {
            below: PathBuf::new(),
            report: PathBuf::new(),
            list: None,
            at: At::Never,
            fault: Fault::Error(libc::EIO),
            from_there_on: false,
            lacks_exchange: false,
            command: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{} needs a value", argument.display()));
            match argument.to_str() {
                Some("--below") => below = Some(PathBuf::from(value()?)),
                Some("--report") => report = Some(PathBuf::from(value()?)),
                Some("--list") => options.list = Some(PathBuf::from(value()?)),
                Some("--at") => options.at = at(&value()?.to_string_lossy())?,
                Some("--fault") => options.fault = fault(&value()?.to_string_lossy())?,
                Some("--from") => options.from_there_on = true,
                Some("--no-exchange") => options.lacks_exchange = true,
                Some("--") => {
                    options.command = arguments.collect();
                    break;
                }
                _ => return Err(format!("unknown option {}", argument.display())),
            }
        }
        options.below = below.ok_or("--below DIR is missing")?;
        options.report = report.ok_or("--report FILE is missing")?;
        if options.command.is_empty() {
            return Err("the command is missing".into());
        }
        Ok(options)
    }
}

fn at(text: &str) -> Result<At, String> {
    match text {
        "rename" => Ok(At::Rename),
        _ => text.parse().map(At::Number).map_err(|_| format!("--at {text} is not a number")),
    }
}

fn fault(text: &str) -> Result<Fault, String> {
    Ok(match text {
        "EIO" => Fault::Error(libc::EIO),
        "ENOSPC" => Fault::Error(libc::ENOSPC),
        "EACCES" => Fault::Error(libc::EACCES),
        "EINTR" => Fault::Error(libc::EINTR),
        "short" => Fault::Short,
        "KILL" => Fault::Signal(libc::SIGKILL),
        "TERM" => Fault::Signal(libc::SIGTERM),
        "INT" => Fault::Signal(libc::SIGINT),
        "HUP" => Fault::Signal(libc::SIGHUP),
        _ => return Err(format!("unknown fault {text}")),
    })
}
