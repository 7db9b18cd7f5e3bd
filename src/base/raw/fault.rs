//! What can be wrong with the bytes of a document.

use thiserror::Error;

/// What is wrong with the bytes of a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultKind {
    /// A length that no document can have.
    #[error("a document length of {0} bytes, where 5 to 16777216 are possible")]
    DocumentLength(i32),
    /// The input ends inside a document's length.
    #[error("the input ends after {}, too few for a document's length", crate::error::counted(*.0 as u64, "byte"))]
    NoLength(usize),
    /// The input ends inside a document.
    #[error("the input ends after {have} of the document's {need} bytes")]
    Truncated {
        /// Bytes that are there.
        have: u64,
        /// Bytes that the document announces.
        need: u64,
    },
    /// An embedded value reaches past the document that holds it.
    #[error(
        "a value of type {what} of {need} bytes where {have} are left in the enclosing document"
    )]
    PastEnd {
        /// The value's type.
        what: &'static str,
        /// Bytes that the value announces.
        need: i64,
        /// Bytes left.
        have: usize,
    },
    /// A document does not end with NUL where its length says that it ends.
    #[error("byte 0x{0:02x} where the document's final NUL belongs")]
    NoTerminator(u8),
    /// A document ends before its length says so.
    #[error("the document ends {0} bytes before its length says so")]
    EarlyEnd(usize),
    /// A type byte that the specification does not know.
    #[error("unknown element type 0x{0:02x}")]
    UnknownType(u8),
    /// A string without its NUL.
    #[error("byte 0x{0:02x} where the string's final NUL belongs")]
    StringTerminator(u8),
    /// A name or regular expression that runs to the document's end without a NUL.
    #[error("a name or regular expression without its final NUL")]
    UnterminatedName,
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean of value {0}, where 0 or 1 is possible")]
    Boolean(u8),
    /// A string so short that it has no room for its NUL.
    #[error("a value of type {0} of length 0, which has no final NUL")]
    EmptyString(&'static str),
    /// Lengths inside one value that contradict each other.
    #[error("lengths inside a value of type {0} contradict each other")]
    InnerLength(&'static str),
}

/// A fault and where it is, as an offset from the start of the document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct Fault {
    /// Offset in bytes from the start of the document.
    pub offset: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}
