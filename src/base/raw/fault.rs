//! The faults that the bytes of a document can have.

use thiserror::Error;

use super::path::path_at;

/// A fault in the bytes of a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultKind {
    /// A length that no document can have.
    #[error("a document length of {0} bytes, but it must be 5 to 16777216")]
    DocumentLength(i32),
    /// The input ends inside a document's length.
    #[error("the input ends after {}, too few for a document's length", crate::error::counted(*.0 as u64, "byte"))]
    NoLength(usize),
    /// The input ends inside a document.
    #[error("the input ends after {have} of the document's {need} bytes")]
    Truncated {
        /// The number of bytes before the end.
        have: u64,
        /// The number of bytes that the document announces.
        need: u64,
    },
    /// An embedded value is longer than the rest of its document.
    #[error("a value of type {what} of {need} bytes, with {have} left in the enclosing document")]
    PastEnd {
        /// The type of the value.
        what: &'static str,
        /// The number of bytes that the value announces.
        need: i64,
        /// The number of bytes left in the document.
        have: usize,
    },
    /// The last byte of a document, according to its length, is not NUL.
    #[error("byte 0x{0:02x} instead of the document's final NUL")]
    NoTerminator(u8),
    /// A document ends earlier than its length says.
    #[error("the document ends {0} bytes earlier than its length says")]
    EarlyEnd(usize),
    /// A type byte that is not in the specification.
    #[error("unknown element type 0x{0:02x}")]
    UnknownType(u8),
    /// A string without its NUL.
    #[error("byte 0x{0:02x} instead of the string's final NUL")]
    StringTerminator(u8),
    /// A name or regular expression without a NUL before the end of its document.
    #[error("a name or regular expression without its final NUL")]
    UnterminatedName,
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean of value {0}, but it must be 0 or 1")]
    Boolean(u8),
    /// A string that is too short for its NUL.
    #[error("a value of type {0} of length 0, which has no final NUL")]
    EmptyString(&'static str),
    /// Lengths inside one value that contradict each other.
    #[error("lengths inside a value of type {0} contradict each other")]
    InnerLength(&'static str),
}

/// A fault, and its offset from the start of the document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{kind}", place(path.as_deref()))]
pub struct Fault {
    /// Offset in bytes from the start of the document.
    pub offset: usize,
    /// The fault.
    pub kind: FaultKind,
    /// The path of the damaged value, if that is not the document itself.
    pub path: Option<String>,
}

impl Fault {
    /// A fault in a document.
    #[cold]
    pub(super) fn in_document(offset: usize, kind: FaultKind, document: &[u8]) -> Fault {
        Fault { offset, kind, path: path_at(document, offset) }
    }
    /// A fault of a document as a whole.
    pub(crate) fn of_document(kind: FaultKind) -> Fault {
        Fault { offset: 0, kind, path: None }
    }
}

fn place(path: Option<&str>) -> String {
    path.map(|path| format!("in '{path}': ")).unwrap_or_default()
}
