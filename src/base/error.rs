//! The library's error type. Its variants say what an error means for the caller.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use thiserror::Error;

use crate::plain::PlainPath;
use crate::raw::Fault;

/// A result with this library's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The position of a document in the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The file, or `standard input`, followed by the namespace if the file contains several.
    pub file: String,
    /// The number of the document in its collection, from 1.
    pub document: u64,
    /// The byte offset of the document in the decompressed file.
    pub offset: u64,
    /// The document's `_id` as text, if it could be read.
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

/// Everything that can go wrong. [`Error::exit_code`] returns the exit code.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the mapping asks for something impossible. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A check failed. Exit code 1.
    #[error("{0}")]
    Check(String),
    /// A document is not valid BSON. Exit code 3.
    #[error("{position}: {fault}{}", fault_place(position, fault))]
    Document {
        /// The position of the document.
        position: Box<Position>,
        /// The fault, and its offset in the document.
        fault: Fault,
    },
    /// The input cannot be read as a dump. Exit code 3.
    #[error("'{}': {what}", path.plain())]
    Input {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// Reading failed. Exit code 3.
    #[error("cannot {action} '{}': {source}", path.plain())]
    Read {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The output cannot be written at its place. Exit code 4.
    #[error("'{}': {what}", path.plain())]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
    /// Writing failed. Exit code 4.
    #[error("cannot {action} '{}': {source}", path.plain())]
    Write {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Something failed after the first bytes of an archive went to standard output. Exit code of
    /// the error inside.
    #[error(
        "{0}; the archive on standard output ends early, so mongorestore fails too, but documents may already be in the database. To try again, dump only the source collection, and use transform --force and mongorestore --drop; --drop deletes the target collections, so use it only if nothing else has been written to them"
    )]
    Streamed(Box<Error>),
    /// Stopped by a signal. Exit code 128 plus the signal's number.
    #[error("stopped by signal {0}; nothing was published")]
    Interrupted(i32),
}

/// The position of a fault in the input, if it is not at the start of its document.
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
    /// Wraps the error of a run that may have written part of an archive to standard output.
    pub(crate) fn after_output(self, is_out: Option<&AtomicBool>) -> Self {
        match is_out {
            Some(is_out) if is_out.load(Ordering::Relaxed) => Error::Streamed(Box::new(self)),
            _ => self,
        }
    }
    /// Turns the error of a write operation into one of reading, with exit code 3.
    pub(crate) fn of_reading(self) -> Self {
        match self {
            Error::Write { action, path, source } => Error::Read { action, path, source },
            other => other,
        }
    }
    /// Turns the error of a read operation into one of writing, with exit code 4.
    pub(crate) fn of_writing(self) -> Self {
        match self {
            Error::Read { action, path, source } => Error::Write { action, path, source },
            other => other,
        }
    }
    /// Whether a file does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Error::Read { source, .. } | Error::Write { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
    /// The position of the document that the error is about, if any.
    ///
    /// # Examples
    ///
    /// ```
    /// use mongosplit::Dump;
    ///
    /// # fn main() -> mongosplit::Result<()> {
    /// let dump = Dump::open("fixtures/odd/truncated-document")?;
    /// let documents = dump.collection("user_data")?.documents()?;
    /// let error = documents.collect::<Result<Vec<_>, _>>().unwrap_err();
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
    /// A word for the kind of error, for programs. It stays the same from version to version: `check`, `usage`,
    /// `document`, `input`, `read`, `output`, `write` or `interrupted`.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = mongosplit::Dump::open("no-such-dump").unwrap_err();
    /// assert_eq!(error.code(), "read");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Error::Check(_) => "check",
            Error::Usage(_) => "usage",
            Error::Document { .. } => "document",
            Error::Input { .. } => "input",
            Error::Read { .. } => "read",
            Error::Output { .. } => "output",
            Error::Write { .. } => "write",
            Error::Streamed(error) => error.code(),
            Error::Interrupted(_) => "interrupted",
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

/// Adds the operation and the path to an [`io::Error`] at the call that failed.
pub trait IoContext<T> {
    /// Turns an error into [`Error::Read`]; `action` is the operation, as a verb.
    fn reading(self, action: &'static str, path: &Path) -> Result<T>;
    /// Turns an error into [`Error::Write`]; `action` is the operation, as a verb.
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
