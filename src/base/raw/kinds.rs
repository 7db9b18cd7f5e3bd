//! Element types and the sizes of their values (bsonspec.org, version 1.1).

use super::words::nul_position;

/// Element types of the specification that the code distinguishes.
pub mod kind {
    #![allow(missing_docs)]
    pub const DOUBLE: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const DOCUMENT: u8 = 0x03;
    pub const ARRAY: u8 = 0x04;
    pub const BINARY: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const OBJECT_ID: u8 = 0x07;
    pub const BOOLEAN: u8 = 0x08;
    pub const DATE: u8 = 0x09;
    pub const NULL: u8 = 0x0a;
    pub const REGEX: u8 = 0x0b;
    pub const DB_POINTER: u8 = 0x0c;
    pub const CODE: u8 = 0x0d;
    pub const SYMBOL: u8 = 0x0e;
    pub const CODE_WITH_SCOPE: u8 = 0x0f;
    pub const INT32: u8 = 0x10;
    pub const TIMESTAMP: u8 = 0x11;
    pub const INT64: u8 = 0x12;
    pub const DECIMAL128: u8 = 0x13;
    pub const MIN_KEY: u8 = 0xff;
    pub const MAX_KEY: u8 = 0x7f;
}

/// The name of an element type, as in MongoDB's documentation.
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::DOUBLE => "double",
        kind::STRING => "string",
        kind::DOCUMENT => "document",
        kind::ARRAY => "array",
        kind::BINARY => "binary",
        kind::UNDEFINED => "undefined",
        kind::OBJECT_ID => "ObjectId",
        kind::BOOLEAN => "boolean",
        kind::DATE => "date",
        kind::NULL => "null",
        kind::REGEX => "regular expression",
        kind::DB_POINTER => "DBPointer",
        kind::CODE => "JavaScript code",
        kind::SYMBOL => "symbol",
        kind::CODE_WITH_SCOPE => "JavaScript code with scope",
        kind::INT32 => "int32",
        kind::TIMESTAMP => "timestamp",
        kind::INT64 => "int64",
        kind::DECIMAL128 => "decimal128",
        kind::MIN_KEY => "MinKey",
        kind::MAX_KEY => "MaxKey",
        _ => "unknown type",
    }
}

#[inline]
pub(super) fn read_length(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|b| i32::from_le_bytes(*b))
}

/// The size in bytes of the value at the start of `bytes`, according to its own lengths. `None` if
/// the type is unknown or a length is impossible.
#[inline(always)]
pub(super) fn value_size(kind: u8, bytes: &[u8]) -> Option<usize> {
    let size = SIZES[kind as usize];
    if size < WITH_LENGTH {
        return Some(size as usize);
    }
    if size < NO_LENGTH {
        return usize::try_from(read_length(bytes)?)
            .ok()
            .map(|length| length + (size - WITH_LENGTH) as usize);
    }
    size_by_nuls(kind, bytes)
}

/// The size of a regular expression, which ends with its second NUL. `None` for unknown types.
#[cold]
fn size_by_nuls(kind: u8, bytes: &[u8]) -> Option<usize> {
    if kind != kind::REGEX {
        return None;
    }
    let pattern = nul_position(bytes)? + 1;
    Some(pattern + nul_position(bytes.get(pattern..)?)? + 1)
}

/// In [`SIZES`], this and larger numbers stand for a value that begins with a length. Its size is
/// that length plus the difference from this number.
pub(super) const WITH_LENGTH: u8 = 32;
/// In [`SIZES`], this stands for an unknown type, or for one whose size depends on NULs.
pub(super) const NO_LENGTH: u8 = 255;

/// Sizes of values by element type.
pub(super) const SIZES: [u8; 256] = {
    let mut sizes = [NO_LENGTH; 256];
    let mut kind = 0;
    while kind < sizes.len() {
        sizes[kind] = match kind as u8 {
            kind::STRING | kind::CODE | kind::SYMBOL => WITH_LENGTH + 4,
            kind::DOCUMENT | kind::ARRAY | kind::CODE_WITH_SCOPE => WITH_LENGTH,
            kind::BINARY => WITH_LENGTH + 5,
            kind::DB_POINTER => WITH_LENGTH + 16,
            kind::DOUBLE | kind::DATE | kind::TIMESTAMP | kind::INT64 => 8,
            kind::INT32 => 4,
            kind::NULL | kind::UNDEFINED | kind::MIN_KEY | kind::MAX_KEY => 0,
            kind::BOOLEAN => 1,
            kind::OBJECT_ID => 12,
            kind::DECIMAL128 => 16,
            _ => NO_LENGTH,
        };
        kind += 1;
    }
    sizes
};
