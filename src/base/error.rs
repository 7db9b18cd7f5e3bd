//! The library's one error type, by what it means for the caller.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::raw::Fault;

/// Shorthand for results of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in the input a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The file, or `standard input`, with the namespace where one file holds several.
    pub file: String,
    /// Number of the document in its collection, from 1.
    pub document: u64,
    /// Where the document begins, in bytes of the (decompressed) file.
    pub offset: u64,
    /// The document's `_id`, where it could be read.
    pub id: Option<String>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': document {}, byte offset {}", self.file, self.document, self.offset)?;
        match &self.id {
            Some(id) => write!(f, ", _id {id}"),
            None => Ok(()),
        }
    }
}

/// Everything that can go wrong, by what it means. The exit code is [`Error::exit_code`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the mapping asks for something that cannot be. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A check does not hold. Exit code 1.
    #[error("{0}")]
    Check(String),
    /// A document is not sound BSON. Exit code 3.
    #[error("{position}: {}{}", fault.kind, fault_place(position, fault))]
    Document {
        /// The document.
        position: Box<Position>,
        /// What is wrong with it, and where in it.
        fault: Fault,
    },
    /// The input is not readable as a dump. Exit code 3.
    #[error("'{}': {what}", path.display())]
    Input {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// Reading failed. Exit code 3.
    #[error("cannot {action} '{}': {source}", path.display())]
    Read {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The output cannot be there. Exit code 4.
    #[error("'{}': {what}", path.display())]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// What stands against it, and what to do.
        what: String,
    },
    /// Writing failed. Exit code 4.
    #[error("cannot {action} '{}': {source}", path.display())]
    Write {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something failed after an archive's first bytes went to standard output. Exit code as for what failed.
    #[error(
        "{0}; the archive on standard output ends early, so that mongorestore fails too, but documents may already be in the database. To try again, dump the source collection alone, give transform --force and mongorestore --drop"
    )]
    Streamed(Box<Error>),
    /// Stopped by a signal. Exit code 128 + its number.
    #[error("stopped by signal {0}; nothing was published")]
    Interrupted(i32),
}

/// Where in the input a fault is, unless that is where its document begins.
fn fault_place(position: &Position, fault: &Fault) -> String {
    match fault.offset {
        0 => String::new(),
        within => format!(", at byte offset {}", position.offset + within as u64),
    }
}

/// `1 document`, `2 documents`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl Error {
    /// An [`Error::Input`].
    pub fn input(path: &Path, what: impl Into<String>) -> Self {
        Error::Input { path: path.to_owned(), what: what.into() }
    }
    /// An [`Error::Output`].
    pub fn output(path: &Path, what: impl Into<String>) -> Self {
        Error::Output { path: path.to_owned(), what: what.into() }
    }
    /// An [`Error::Document`].
    pub(crate) fn document(position: Position, fault: Fault) -> Self {
        Error::Document { position: Box::new(position), fault }
    }
    /// The same failure of a file operation, on what is read.
    pub(crate) fn of_reading(self) -> Self {
        match self {
            Error::Write { action, path, source } => Error::Read { action, path, source },
            other => other,
        }
    }
    /// The same failure of a file operation, on what is written.
    pub(crate) fn of_writing(self) -> Self {
        match self {
            Error::Read { action, path, source } => Error::Write { action, path, source },
            other => other,
        }
    }
    /// Whether there is no file of that name.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Error::Read { source, .. } | Error::Write { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
    /// The document that the error is about, if it is about one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mongosplit::{Dump, inspect, progress::Silent};
    ///
    /// # fn main() -> mongosplit::Result<()> {
    /// let dump = Dump::open("fixtures/odd/truncated-document")?;
    /// let error = inspect::inspect(&dump, &Silent).unwrap_err();
    /// let position = error.position().expect("a document");
    /// assert_eq!((position.document, position.offset), (3, 460));
    /// assert_eq!(error.exit_code(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn position(&self) -> Option<&Position> {
        match self {
            Error::Document { position, .. } => Some(position),
            Error::Streamed(error) => error.position(),
            _ => None,
        }
    }
    /// The exit code that a program should end with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Check(_) => 1,
            Error::Usage(_) => 2,
            Error::Document { .. } | Error::Input { .. } | Error::Read { .. } => 3,
            Error::Output { .. } | Error::Write { .. } => 4,
            Error::Streamed(error) => error.exit_code(),
            Error::Interrupted(signal) => 128 + *signal as u8,
        }
    }
}

/// Gives an [`io::Error`] its path and side, once, where the call is made.
pub trait IoContext<T> {
    /// For reading: what was tried, and on what.
    fn reading(self, action: &'static str, path: &Path) -> Result<T>;
    /// For writing: what was tried, and on what.
    fn writing(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for std::result::Result<T, E> {
    fn reading(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Read { action, path: path.to_owned(), source: source.into() })
    }
    fn writing(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Write { action, path: path.to_owned(), source: source.into() })
    }
}
