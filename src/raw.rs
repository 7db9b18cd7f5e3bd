//! BSON as bytes: an element cursor with exact byte ranges, a full validator and a writer.
//!
//! Nothing here allocates per document, recurses, or decodes a value that it only passes on. Format
//! facts are from the BSON specification, version 1.1 (bsonspec.org).

use std::collections::{HashMap, VecDeque};

use thiserror::Error;
use wide::u8x16;

/// Largest document that mongorestore accepts, 16 MiB (mongo-tools `db/db.go`, `MaxBSONSize`).
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;
/// Smallest document: a length and the final NUL.
pub const MIN_DOCUMENT_BYTES: usize = 5;
/// Levels of nesting that a server stores, the document itself being level 1
/// (`BSONDepth::kDefaultMaxAllowableDepth` less the server's own reserve).
pub const MAX_STORED_DEPTH: u32 = 180;

/// Element types of the specification that the code has to tell apart.
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

/// Name of an element type as MongoDB's documentation writes it.
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
    #[error("a value of type {what} of {need} bytes where {have} are left in the enclosing document")]
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

/// One element of a document: its bytes and the ranges in them.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Type byte, name with its NUL, value.
    pub bytes: &'a [u8],
    /// Where the value begins in `bytes`.
    value_at: u32,
}

impl<'a> Element<'a> {
    /// The type byte.
    #[inline]
    pub fn kind(&self) -> u8 {
        self.bytes[0]
    }
    /// The name, without its NUL; any bytes but NUL.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        &self.bytes[1..self.value_at as usize - 1]
    }
    /// The name with its NUL.
    #[inline]
    pub fn key_nul(&self) -> &'a [u8] {
        &self.bytes[1..self.value_at as usize]
    }
    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'a> {
        Value { kind: self.bytes[0], bytes: &self.bytes[self.value_at as usize..] }
    }
}

/// A value: its type and its bytes, exactly.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Value<'a> {
    /// The element type.
    pub kind: u8,
    /// The value's bytes, for strings and documents with their length and NUL.
    pub bytes: &'a [u8],
}

impl PartialEq for Value<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && same(self.bytes, other.bytes)
    }
}

impl<'a> Value<'a> {
    /// BSON null.
    pub const NULL: Value<'static> = Value { kind: kind::NULL, bytes: &[] };

    /// The content of a string, without length and NUL; of any other type nothing, and of one that has no room for its NUL.
    #[inline]
    pub fn text(&self) -> Option<&'a [u8]> {
        if self.kind != kind::STRING {
            return None;
        }
        self.bytes.get(4..self.bytes.len() - 1)
    }
    /// Whether the value is null.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.kind == kind::NULL
    }
    /// The elements of a document or array; of any other type none.
    #[inline]
    pub fn elements(&self) -> Elements<'a> {
        match self.kind {
            kind::DOCUMENT | kind::ARRAY => Elements::new(self.bytes),
            _ => Elements { rest: &[] },
        }
    }
    /// Milliseconds since 1970 of a date; of any other type nothing.
    pub fn date_millis(&self) -> Option<i64> {
        if self.kind != kind::DATE {
            return None;
        }
        self.bytes.try_into().ok().map(i64::from_le_bytes)
    }
    /// The value of an int32 or int64; of any other type nothing.
    pub fn integer(&self) -> Option<i64> {
        match self.kind {
            kind::INT32 => self.bytes.try_into().ok().map(|b| i64::from(i32::from_le_bytes(b))),
            kind::INT64 => self.bytes.try_into().ok().map(i64::from_le_bytes),
            _ => None,
        }
    }
    /// The value of a double; of any other type nothing.
    pub fn double(&self) -> Option<f64> {
        if self.kind != kind::DOUBLE {
            return None;
        }
        self.bytes.try_into().ok().map(f64::from_le_bytes)
    }
    /// Whether this is an array without items.
    pub fn is_empty_array(&self) -> bool {
        self.kind == kind::ARRAY && self.bytes.len() == MIN_DOCUMENT_BYTES
    }
}

/// The elements of a document that [`Validator::check`] has accepted.
///
/// On bytes that were not checked it ends early rather than panic.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// A cursor over the whole bytes of a document, length and final NUL included.
    #[inline]
    pub fn new(document: &'a [u8]) -> Self {
        Elements { rest: document.get(4..).unwrap_or_default() }
    }
    /// A cursor over elements that stand without a length before them.
    #[inline]
    pub fn of_body(elements: &'a [u8]) -> Self {
        Elements { rest: elements }
    }
    /// The value of the first element with this name.
    pub fn find(mut self, key: &[u8]) -> Option<Value<'a>> {
        while let Some(element) = self.step() {
            if same(element.key(), key) {
                return Some(element.value());
            }
        }
        None
    }
    /// The next element. A call of its own for each would cost as much as it does.
    #[inline(always)]
    fn step(&mut self) -> Option<Element<'a>> {
        let (&kind, behind) = self.rest.split_first()?;
        if kind == 0 {
            return None;
        }
        let value_at = nul_position(behind)? + 2;
        let size = value_size(kind, self.rest.get(value_at..)?)?;
        let (bytes, rest) = self.rest.split_at_checked(value_at + size)?;
        self.rest = rest;
        Some(Element { bytes, value_at: value_at as u32 })
    }
    /// The bytes not yet passed, the final NUL included.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;
    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.step()
    }
}

/// A name, prepared to be compared with others. Names are short, so that a call of the library's comparison would
/// cost more than the words do that are compared here.
#[derive(Debug, Clone)]
pub struct ExpectedName {
    /// The name with its NUL.
    nul: Box<[u8]>,
    /// Its first eight bytes, and which bits of them there are.
    head: u64,
    mask: u64,
    /// The next eight.
    next: u64,
    next_mask: u64,
}

impl ExpectedName {
    /// A name with its NUL.
    pub fn new(nul: &[u8]) -> Self {
        let (next, next_mask) = head(nul.get(8..).unwrap_or_default());
        let (head, mask) = head(nul);
        ExpectedName { nul: nul.into(), head, mask, next, next_mask }
    }
    /// Where the value of the element at this offset begins and ends, if the element has this name. Comparing is
    /// cheaper than searching the NUL.
    #[inline(always)]
    pub fn value_at(&self, document: &[u8], at: usize) -> Option<(usize, usize)> {
        let rest = document.get(at..)?;
        let Some(word) = rest.get(1..).and_then(|name| name.first_chunk::<8>()) else {
            return self.value_at_end(rest).map(|(value, end)| (at + value, at + end));
        };
        if u64::from_le_bytes(*word) & self.mask != self.head || !self.goes_on_in(rest) {
            return None;
        }
        let value = 1 + self.nul.len();
        let end = value + value_size(rest[0], rest.get(value..)?)?;
        (end <= rest.len()).then_some((at + value, at + end))
    }
    /// Whether the element at the start of these bytes has this name beyond its first eight bytes.
    #[inline]
    fn goes_on_in(&self, element: &[u8]) -> bool {
        match element.get(9..).and_then(|bytes| bytes.first_chunk::<8>()) {
            Some(word) if self.nul.len() <= 16 => u64::from_le_bytes(*word) & self.next_mask == self.next,
            _ => element.get(1..1 + self.nul.len()) == Some(&self.nul),
        }
    }
    /// The same for one of the last elements of a document, which is too short for a word.
    #[cold]
    fn value_at_end(&self, rest: &[u8]) -> Option<(usize, usize)> {
        let element = Elements { rest }.next().filter(|element| element.key_nul() == &*self.nul)?;
        Some((element.value_at as usize, element.bytes.len()))
    }
}

/// Whether bytes are the same. Most names and values are so short that a call would cost more than two words do.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.len() > 16 {
        return one == other;
    }
    match (one.first_chunk::<8>(), other.first_chunk::<8>()) {
        (Some(start), Some(other_start)) => start == other_start && one.last_chunk::<8>() == other.last_chunk::<8>(),
        _ => head(one) == head(other),
    }
}

/// The first eight bytes as a number, and which bits of it are there.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> (u64, u64) {
    let length = bytes.len();
    if let Some(word) = bytes.first_chunk::<8>() {
        return (u64::from_le_bytes(*word), u64::MAX);
    }
    // Two words that overlap, as copying so few bytes would be a call.
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4)),
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (word, (1 << (8 * length)) - 1)
}

/// Sixteen bytes at a time: names are short, and a call for each would cost more than looking at all of these.
#[derive(Clone, Copy)]
struct Sixteen {
    /// Bit `i`: byte `i` is NUL.
    zeros: u32,
    /// Bit `i`: byte `i` is not ASCII.
    high: u32,
}

impl Sixteen {
    #[inline]
    fn of(bytes: &[u8; 16]) -> Self {
        let bytes = u8x16::new(*bytes);
        Sixteen { zeros: bytes.cmp_eq(u8x16::splat(0)).move_mask() as u32, high: bytes.move_mask() as u32 }
    }
    /// Number of bytes before the first NUL, and whether all of them are ASCII; nothing without a NUL.
    #[inline]
    fn name(self) -> Option<(usize, bool)> {
        let before = (self.zeros & self.zeros.wrapping_neg()).wrapping_sub(1);
        (self.zeros != 0).then(|| (self.zeros.trailing_zeros() as usize, self.high & before == 0))
    }
}

/// Length of the name at the start of `bytes`, up to its NUL, and whether it is ASCII.
#[inline]
fn scan_name(bytes: &[u8]) -> Option<(usize, bool)> {
    match bytes.first_chunk::<16>().and_then(|bytes| Sixteen::of(bytes).name()) {
        Some(name) => Some(name),
        None => scan_long_name(bytes),
    }
}

/// The same for a name that is long, or among the last bytes.
fn scan_long_name(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut behind = 0;
    let mut is_ascii = true;
    for bytes in bytes.as_chunks::<16>().0 {
        let bytes = Sixteen::of(bytes);
        if let Some((length, end_is_ascii)) = bytes.name() {
            return Some((behind + length, is_ascii && end_is_ascii));
        }
        is_ascii &= bytes.high == 0;
        behind += 16;
    }
    let length = behind + bytes[behind..].iter().position(|&byte| byte == 0)?;
    Some((length, is_ascii && bytes[behind..length].is_ascii()))
}

/// Position of the first NUL.
#[inline]
fn nul_position(bytes: &[u8]) -> Option<usize> {
    scan_name(bytes).map(|(length, _)| length)
}

#[inline]
fn read_length(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|b| i32::from_le_bytes(*b))
}

/// Size in bytes of a value at the start of `bytes`, as its own lengths tell; nothing for lengths
/// that cannot be.
#[inline(always)]
fn value_size(kind: u8, bytes: &[u8]) -> Option<usize> {
    let size = SIZES[kind as usize];
    if size < COUNTED {
        return Some(size as usize);
    }
    if size < UNTOLD {
        return usize::try_from(read_length(bytes)?).ok().map(|length| length + (size - COUNTED) as usize);
    }
    untold_size(kind, bytes)
}

/// The same for the one type whose size is told by two NULs, and for those that are none.
#[cold]
fn untold_size(kind: u8, bytes: &[u8]) -> Option<usize> {
    if kind != kind::REGEX {
        return None;
    }
    let pattern = nul_position(bytes)? + 1;
    Some(pattern + nul_position(bytes.get(pattern..)?)? + 1)
}

/// In [`SIZES`]: the size is a length at the value's start and as many bytes more as the number is above this.
const COUNTED: u8 = 32;
/// In [`SIZES`]: no such type, or one whose size is told by two NULs.
const UNTOLD: u8 = 255;

/// Sizes of values by element type.
const SIZES: [u8; 256] = {
    let mut sizes = [UNTOLD; 256];
    sizes[kind::STRING as usize] = COUNTED + 4;
    sizes[kind::CODE as usize] = COUNTED + 4;
    sizes[kind::SYMBOL as usize] = COUNTED + 4;
    sizes[kind::DOCUMENT as usize] = COUNTED;
    sizes[kind::ARRAY as usize] = COUNTED;
    sizes[kind::CODE_WITH_SCOPE as usize] = COUNTED;
    sizes[kind::BINARY as usize] = COUNTED + 5;
    sizes[kind::DB_POINTER as usize] = COUNTED + 16;
    sizes[kind::DOUBLE as usize] = 8;
    sizes[kind::DATE as usize] = 8;
    sizes[kind::TIMESTAMP as usize] = 8;
    sizes[kind::INT64 as usize] = 8;
    sizes[kind::INT32 as usize] = 4;
    sizes[kind::NULL as usize] = 0;
    sizes[kind::UNDEFINED as usize] = 0;
    sizes[kind::MIN_KEY as usize] = 0;
    sizes[kind::MAX_KEY as usize] = 0;
    sizes[kind::BOOLEAN as usize] = 1;
    sizes[kind::OBJECT_ID as usize] = 12;
    sizes[kind::DECIMAL128 as usize] = 16;
    sizes
};

/// What a document is, beyond being sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Levels of nesting: the document is level 1; every document, array or code scope in it adds one.
    pub depth: u32,
    /// Where the first string or name that is not UTF-8 begins, from the document's start.
    pub invalid_utf8: Option<usize>,
}

/// Checks documents whole: every length, every type, every terminator. Keeps its stack between calls.
#[derive(Debug, Default)]
pub struct Validator {
    ends: Vec<usize>,
}

impl Validator {
    /// Checks one document of exactly `document.len()` bytes.
    ///
    /// Invalid UTF-8 is reported in [`Facts`], as such values are passed on as they are. Depth is
    /// counted, not limited.
    pub fn check(&mut self, document: &[u8]) -> Result<Facts, Fault> {
        let fault = |offset: usize, kind: FaultKind| Err(Fault { offset, kind });
        let mut facts = Facts { depth: 1, invalid_utf8: None };
        match read_length(document) {
            Some(length) if usize::try_from(length) == Ok(document.len()) && document.len() >= MIN_DOCUMENT_BYTES => {}
            Some(length) => return fault(0, FaultKind::DocumentLength(length)),
            None => return fault(0, FaultKind::Truncated { have: document.len() as u64, need: 5 }),
        }
        self.ends.clear();
        let mut end = document.len() - 1;
        if document[end] != 0 {
            return fault(end, FaultKind::NoTerminator(document[end]));
        }
        let mut at = 4;
        loop {
            // `end` is the place of the innermost document's final NUL, already seen to be NUL.
            if at == end {
                at += 1;
                match self.ends.pop() {
                    None => return Ok(facts),
                    Some(outer) => {
                        end = outer;
                        continue;
                    }
                }
            }
            let kind = document[at];
            if kind == 0 {
                return fault(at, FaultKind::EarlyEnd(end - at));
            }
            let key_at = at + 1;
            // A name that goes on behind `end` is seen by the place of its value.
            let Some((key_len, key_is_ascii)) = scan_name(&document[key_at..]) else {
                return fault(key_at, FaultKind::UnterminatedName);
            };
            if !key_is_ascii {
                note_utf8(&mut facts, document, key_at, key_at + key_len);
            }
            let value_at = key_at + key_len + 1;
            // A name that takes the final NUL for its own leaves nothing for the value.
            if value_at > end {
                return fault(key_at, FaultKind::UnterminatedName);
            }
            // Most values are numbers and the like: of a fixed size, and any bytes will do.
            let fixed = SIZES[kind as usize] as usize;
            if fixed < COUNTED as usize && fixed <= end - value_at && kind != kind::BOOLEAN {
                at = value_at + fixed;
                continue;
            }
            let body = &document[value_at..end];
            let Some(size) = value_size(kind, body) else {
                return fault(value_at, self.size_fault(kind, body));
            };
            if size > body.len() {
                return fault(value_at, FaultKind::PastEnd { what: kind_name(kind), need: size as i64, have: body.len() });
            }
            at = value_at + size;
            match kind {
                kind::STRING | kind::CODE | kind::SYMBOL | kind::DB_POINTER => {
                    // A DBPointer is a string with 12 bytes behind it.
                    let tail = if kind == kind::DB_POINTER { 12 } else { 0 };
                    if size < 5 + tail {
                        return fault(value_at, FaultKind::EmptyString(kind_name(kind)));
                    }
                    let nul = at - tail - 1;
                    if document[nul] != 0 {
                        return fault(nul, FaultKind::StringTerminator(document[nul]));
                    }
                    note_utf8(&mut facts, document, value_at + 4, nul);
                }
                kind::DOCUMENT | kind::ARRAY => {
                    if size < MIN_DOCUMENT_BYTES {
                        return fault(value_at, FaultKind::DocumentLength(size as i32));
                    }
                    if document[at - 1] != 0 {
                        return fault(at - 1, FaultKind::NoTerminator(document[at - 1]));
                    }
                    self.enter(&mut facts, &mut end, at - 1);
                    at = value_at + 4;
                }
                kind::BOOLEAN if document[value_at] > 1 => {
                    return fault(value_at, FaultKind::Boolean(document[value_at]));
                }
                kind::BINARY if document[value_at + 4] == 2 => {
                    let inner = read_length(&document[value_at + 5..at]).and_then(|n| usize::try_from(n).ok());
                    if inner.and_then(|n| n.checked_add(4)) != Some(size - 5) {
                        return fault(value_at, FaultKind::InnerLength("binary of subtype 2"));
                    }
                }
                kind::REGEX => note_utf8(&mut facts, document, value_at, at),
                kind::CODE_WITH_SCOPE => {
                    let inner = FaultKind::InnerLength(kind_name(kind));
                    let code = read_length(&document[(value_at + 4).min(at)..at]).and_then(|n| usize::try_from(n).ok());
                    let Some(scope_at) = code.and_then(|n| n.checked_add(value_at + 8)) else {
                        return fault(value_at, inner);
                    };
                    if scope_at == value_at + 8 || scope_at + MIN_DOCUMENT_BYTES > at {
                        return fault(value_at, inner);
                    }
                    if document[scope_at - 1] != 0 {
                        return fault(scope_at - 1, FaultKind::StringTerminator(document[scope_at - 1]));
                    }
                    if read_length(&document[scope_at..]).and_then(|n| usize::try_from(n).ok()) != Some(at - scope_at) {
                        return fault(scope_at, inner);
                    }
                    if document[at - 1] != 0 {
                        return fault(at - 1, FaultKind::NoTerminator(document[at - 1]));
                    }
                    note_utf8(&mut facts, document, value_at + 8, scope_at - 1);
                    self.enter(&mut facts, &mut end, at - 1);
                    at = scope_at + 4;
                }
                _ => {}
            }
        }
    }

    #[inline]
    fn enter(&mut self, facts: &mut Facts, end: &mut usize, inner: usize) {
        self.ends.push(*end);
        *end = inner;
        facts.depth = facts.depth.max(self.ends.len() as u32 + 1);
    }

    #[cold]
    fn size_fault(&self, kind: u8, body: &[u8]) -> FaultKind {
        if kind_name(kind) == kind_name(0) {
            return FaultKind::UnknownType(kind);
        }
        match (kind, read_length(body)) {
            (kind::REGEX, _) => FaultKind::UnterminatedName,
            (_, Some(length)) => FaultKind::PastEnd { what: kind_name(kind), need: i64::from(length), have: body.len() },
            (_, None) => FaultKind::PastEnd { what: kind_name(kind), need: 4, have: body.len() },
        }
    }
}

#[inline]
fn note_utf8(facts: &mut Facts, document: &[u8], from: usize, to: usize) {
    if !is_ascii(document, from, to) && facts.invalid_utf8.is_none() && std::str::from_utf8(&document[from..to]).is_err() {
        facts.invalid_utf8 = Some(from);
    }
}

/// Whether a range of bytes is ASCII. What stands before the range in the last sixteen bytes is left out, so that short
/// texts are looked at once.
#[inline]
fn is_ascii(document: &[u8], from: usize, to: usize) -> bool {
    let mut at = from;
    while let Some(bytes) = document[at..to].first_chunk::<16>() {
        if Sixteen::of(bytes).high != 0 {
            return false;
        }
        at += 16;
    }
    match document[..to].last_chunk::<16>() {
        Some(bytes) => Sixteen::of(bytes).high >> (16 - (to - at)) == 0,
        None => document[at..to].is_ascii(),
    }
}

/// Levels of nesting of a document that was checked before.
pub fn depth(document: &[u8]) -> u32 {
    Validator::default().check(document).map_or(u32::MAX, |facts| facts.depth)
}

/// The announced length of the document at the start of `bytes` (of which four must be there).
///
/// Fails for a length that no document in a dump can have, or of more than `max_bytes`.
pub fn document_length(bytes: [u8; 4], max_bytes: usize) -> Result<usize, FaultKind> {
    let length = i32::from_le_bytes(bytes);
    match usize::try_from(length) {
        Ok(size) if (MIN_DOCUMENT_BYTES..=max_bytes).contains(&size) => Ok(size),
        _ => Err(FaultKind::DocumentLength(length)),
    }
}

/// An open document in a [`Writer`]'s buffer; its length is filled in when it is closed.
#[must_use]
#[derive(Debug)]
pub struct Open(usize);

/// Where documents are written to, piece by piece.
pub trait Writer {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
    /// Opens a document or array: four bytes for its length.
    fn open(&mut self) -> Open;
    /// Closes it: the final NUL, and the length.
    fn close(&mut self, open: Open);
    /// Bytes written since it was opened.
    fn since(&self, open: &Open) -> usize;

    /// Appends type and name (with its NUL) of an element.
    #[inline]
    fn head(&mut self, kind: u8, key_nul: &[u8]) {
        self.put(&[kind]);
        self.put(key_nul);
    }
    /// Appends a whole element, its name given with the NUL.
    #[inline]
    fn element(&mut self, key_nul: &[u8], value: Value<'_>) {
        self.head(value.kind, key_nul);
        self.put(value.bytes);
    }
    /// Appends a string element from its content in parts.
    fn text(&mut self, key_nul: &[u8], parts: &[&[u8]]) {
        self.head(kind::STRING, key_nul);
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.put(&(length as i32 + 1).to_le_bytes());
        for part in parts {
            self.put(part);
        }
        self.put(&[0]);
    }
}

impl Writer for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    #[inline]
    fn open(&mut self) -> Open {
        let at = self.len();
        self.extend_from_slice(&[0; 4]);
        Open(at)
    }
    #[inline]
    fn close(&mut self, open: Open) {
        self.push(0);
        let length = (self.len() - open.0) as i32;
        self[open.0..open.0 + 4].copy_from_slice(&length.to_le_bytes());
    }
    #[inline]
    fn since(&self, open: &Open) -> usize {
        self.len() - open.0
    }
}

/// A [`Writer`] that compares what is written with what is expected and keeps nothing.
#[derive(Debug)]
pub struct Comparer<'a> {
    expected: &'a [u8],
    at: usize,
    same: bool,
}

impl<'a> Comparer<'a> {
    /// Compares with these bytes.
    pub fn new(expected: &'a [u8]) -> Self {
        Comparer { expected, at: 0, same: true }
    }
    /// Whether exactly the expected bytes have been written.
    pub fn is_equal(&self) -> bool {
        self.same && self.at == self.expected.len()
    }
}

impl Writer for Comparer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.same = self.same && self.expected.get(self.at..end).is_some_and(|expected| same(expected, bytes));
        self.at = end;
    }
    #[inline]
    fn head(&mut self, kind: u8, key_nul: &[u8]) {
        let end = self.at + 1 + key_nul.len();
        let expected = self.expected.get(self.at..end).and_then(|expected| expected.split_first());
        self.same = self.same && expected.is_some_and(|(expected, name)| *expected == kind && same(name, key_nul));
        self.at = end;
    }
    #[inline]
    fn open(&mut self) -> Open {
        let at = self.at;
        self.at += 4;
        Open(at)
    }
    #[inline]
    fn close(&mut self, open: Open) {
        self.put(&[0]);
        let length = ((self.at - open.0) as i32).to_le_bytes();
        self.same = self.same && self.expected.get(open.0..open.0 + 4) == Some(&length[..]);
    }
    #[inline]
    fn since(&self, open: &Open) -> usize {
        self.at - open.0
    }
}

/// The name of an array's item, with its NUL, written into a small buffer.
#[derive(Debug, Clone)]
pub struct ItemKey {
    buffer: [u8; 12],
    from: usize,
}

impl Default for ItemKey {
    fn default() -> Self {
        let mut buffer = [0; 12];
        buffer[10] = b'0';
        ItemKey { buffer, from: 10 }
    }
}

impl ItemKey {
    /// The name of the current item, `0` at first.
    #[inline]
    pub fn key_nul(&self) -> &[u8] {
        &self.buffer[self.from..]
    }
    /// Counts on by one.
    #[inline]
    pub fn advance(&mut self) {
        for at in (self.from..11).rev() {
            if self.buffer[at] < b'9' {
                self.buffer[at] += 1;
                return;
            }
            self.buffer[at] = b'0';
        }
        self.from -= 1;
        self.buffer[self.from] = b'1';
    }
}

/// Paths of the fields in which two documents differ, their order aside; the deepest that can be told, and no
/// more than about a hundred.
pub fn differing_paths(one: &[u8], other: &[u8]) -> Vec<String> {
    differing_paths_up_to(one, other, 100)
}

/// All of [`differing_paths`].
pub fn all_differing_paths(one: &[u8], other: &[u8]) -> Vec<String> {
    differing_paths_up_to(one, other, usize::MAX)
}

fn differing_paths_up_to(one: &[u8], other: &[u8], most: usize) -> Vec<String> {
    let whole = |bytes| Value { kind: kind::DOCUMENT, bytes };
    let mut open = vec![(String::new(), whole(one), whole(other))];
    let mut paths = Vec::new();
    while let Some((path, one, other)) = open.pop() {
        if paths.len() >= most {
            break;
        }
        let below = |key: &[u8]| {
            let key = String::from_utf8_lossy(key).escape_debug().to_string();
            if path.is_empty() { key } else { format!("{path}.{key}") }
        };
        let theirs: Vec<_> = other.elements().collect();
        let mut matched = vec![false; theirs.len()];
        // The first that is not matched; mostly the one that is looked for. The others are found by name.
        let mut next = 0;
        let mut by_name: Option<HashMap<&[u8], VecDeque<usize>>> = None;
        for element in one.elements() {
            while matched.get(next) == Some(&true) {
                next += 1;
            }
            let found = if theirs.get(next).is_some_and(|candidate| candidate.key() == element.key()) {
                Some(next)
            } else {
                let places = by_name.get_or_insert_with(|| {
                    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
                    theirs.iter().enumerate().skip(next).for_each(|(at, their)| places.entry(their.key()).or_default().push_back(at));
                    places
                });
                let places = places.get_mut(element.key());
                places.and_then(|places| std::iter::from_fn(|| places.pop_front()).find(|at| !matched[*at]))
            };
            let Some(at) = found else {
                paths.push(below(element.key()));
                continue;
            };
            matched[at] = true;
            let (mine, theirs) = (element.value(), theirs[at].value());
            let descend = mine.kind == theirs.kind && matches!(mine.kind, kind::DOCUMENT | kind::ARRAY);
            if mine != theirs && descend {
                open.push((below(element.key()), mine, theirs));
            } else if mine != theirs {
                paths.push(below(element.key()));
            }
        }
        paths.extend(theirs.iter().zip(&matched).filter(|(_, matched)| !**matched).map(|(element, _)| below(element.key())));
    }
    paths.sort();
    paths
}

/// A document's `_id` for messages: readable, bounded in length.
pub fn display_id(document: &[u8]) -> Option<String> {
    Elements::new(document).find(b"_id").map(display_value)
}

/// A value for messages, as the shell writes it where that is short, else its type and size.
pub fn display_value(value: Value<'_>) -> String {
    let text = match value.kind {
        kind::OBJECT_ID => format!("ObjectId('{}')", hex(value.bytes)),
        kind::STRING => format!("'{}'", String::from_utf8_lossy(value.text().unwrap_or_default()).escape_debug()),
        kind::INT32 | kind::INT64 => value.integer().unwrap_or_default().to_string(),
        kind::DOUBLE => format!("{:?}", value.double().unwrap_or_default()),
        kind::BOOLEAN => (value.bytes != [0]).to_string(),
        kind::NULL => "null".to_owned(),
        kind::DATE => match jiff::Timestamp::from_millisecond(value.date_millis().unwrap_or_default()) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => format!("date {} ms", value.date_millis().unwrap_or_default()),
        },
        kind::BINARY if value.bytes.len() <= 5 + 32 => {
            format!("binary subtype {} {}", value.bytes[4], hex(&value.bytes[5..]))
        }
        other => format!("{} of {} bytes", kind_name(other), value.bytes.len()),
    };
    if text.chars().count() <= 80 {
        return text;
    }
    text.chars().take(77).chain("...".chars()).collect()
}

/// Lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    hex_digits(bytes).map(char::from).collect()
}

/// The same as bytes, for where no text of their own is wanted.
pub(crate) fn hex_digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of every length that the comparisons by words treat differently, ASCII and not.
    fn names() -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        for length in 0..40 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            for changed in 0..length {
                let mut other = name.clone();
                other[changed] = 0xc3;
                names.push(other);
            }
            names.push(name);
        }
        names
    }

    #[test]
    fn names_are_scanned_wherever_they_end() {
        for name in names() {
            for behind in 0..20 {
                let bytes = [&name[..], &[0], &vec![b'x'; behind]].concat();
                assert_eq!(scan_name(&bytes), Some((name.len(), name.is_ascii())), "{name:?} before {behind} bytes");
            }
            assert_eq!(scan_name(&name), None);
        }
    }

    #[test]
    fn ranges_are_ascii_whatever_stands_around_them() {
        for text in names() {
            for before in 0..20 {
                let bytes = [&vec![0xff; before], &text[..], &[0xff; 3]].concat();
                assert_eq!(is_ascii(&bytes, before, before + text.len()), text.is_ascii(), "{text:?} behind {before} bytes");
            }
        }
    }

    #[test]
    fn an_expected_name_is_found_where_it_is_and_nowhere_else() {
        let names = names();
        for (number, name) in names.iter().enumerate() {
            let nul = [&name[..], &[0]].concat();
            // The value is short, so that the document ends soon behind the name, or long.
            for value in [&[][..], &[7; 8][..], &[7; 16][..]] {
                let kind = [(0, kind::NULL), (8, kind::INT64), (16, kind::DECIMAL128)].iter().find(|(size, _)| *size == value.len());
                let kind = kind.map_or(0, |(_, kind)| *kind);
                let document = [&[9, 9, 9, 9, kind], &nul[..], value, &[0]].concat();
                let element = Elements::new(&document).next().expect("an element");
                assert_eq!(element.key_nul(), nul);
                let place = (5 + nul.len(), 5 + nul.len() + value.len());
                assert_eq!(ExpectedName::new(&nul).value_at(&document, 4), Some(place));
                for other in names.iter().skip(number.saturating_sub(45)).take(90).filter(|other| *other != name) {
                    assert_eq!(ExpectedName::new(&[&other[..], &[0]].concat()).value_at(&document, 4), None, "{other:?} in {name:?}");
                }
            }
        }
    }

    #[test]
    fn bytes_are_the_same_only_if_all_of_them_are() {
        let names = names();
        for one in &names {
            for other in &names {
                assert_eq!(same(one, other), one == other);
            }
        }
    }
}
