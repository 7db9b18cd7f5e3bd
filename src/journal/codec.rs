//! Notes for the rollback journal: what the mapping's inverse cannot know. They hold field orders, and
//! for each document the places where the inverse does not produce the source's bytes.
//! `docs/FORMAT.md` describes the encoding.

use std::collections::HashMap;

use thiserror::Error;

use crate::fingerprints::document_digest;
use crate::raw::{Elements, ItemKey, MAX_DOCUMENT_BYTES, Value, Writer, kind};

/// The journal does not fit the documents it is applied to, or is not a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Misfit(pub &'static str);

/// The most that a field order takes in a journal besides its names: its type, its own name (digits
/// and NUL), a length, and a NUL or subtype.
const ORDER_OVERHEAD: usize = 16;

/// The most that the notes on one batch may take in a journal, the largest document kept whole
/// included.
const MAX_BYTES: usize = MAX_DOCUMENT_BYTES + 8 * 1024;

/// What the values of the notes on a document may have besides twice its bytes.
const VALUES_ALLOWANCE: usize = 1024 * 1024;
/// Larger buffers are not kept.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// How a value differs from what the inverse produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FixKind {
    /// The target's value unchanged, not converted back.
    Raw = 1,
    /// Null.
    Null = 2,
    /// A value in the journal.
    Literal = 3,
    /// A string whose middle is in the journal.
    Splice = 4,
    /// An array whose items are corrected one by one, or a field that was unwound.
    Items = 5,
    /// A document whose fields are corrected one by one.
    Document = 6,
    /// What the inverse makes for another type of the source.
    Typed = 7,
}

/// The notes on one batch of documents.
#[derive(Debug, Default)]
pub struct Notes {
    pub(crate) program: Vec<u8>,
    /// The elements of an array of values, without its length and NUL.
    pub(crate) values: Vec<u8>,
    next_value: ItemKey,
    orders: Vec<Box<[u8]>>,
    /// Their numbers, by their digests: a field order may have millions of names.
    by_keys: HashMap<u128, u32>,
    /// The total bytes of all orders.
    order_bytes: usize,
    last_order: usize,
    /// The values need not go beyond this many bytes.
    most_values: Option<usize>,
    /// They would have, so the notes are of no use.
    is_over: bool,
}

/// A state of [`Notes`] to return to.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub program: usize,
    pub values: usize,
    next_value: ItemKey,
    orders: usize,
    order_bytes: usize,
}

impl Notes {
    /// Clears the notes, and keeps the memory.
    pub fn clear(&mut self) {
        self.program.clear();
        self.values.clear();
        self.next_value = ItemKey::default();
        self.orders.clear();
        self.by_keys.clear();
        self.order_bytes = 0;
        self.last_order = 0;
        (self.most_values, self.is_over) = (None, false);
        if self.program.capacity() + self.values.capacity() > MAX_KEPT_BYTES {
            (self.program, self.values) = (Vec::new(), Vec::new());
        }
    }
    /// The field orders by number: the names one after the other, each with its NUL.
    pub fn orders(&self) -> &[Box<[u8]>] {
        &self.orders
    }
    /// The program: for each document, its field order and its fixes.
    pub fn program(&self) -> &[u8] {
        &self.program
    }
    /// The elements of the array of values, without the array's length and NUL.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            program: self.program.len(),
            values: self.values.len(),
            next_value: self.next_value.clone(),
            orders: self.orders.len(),
            order_bytes: self.order_bytes,
        }
    }
    /// Whether the notes fit into one document of a journal.
    pub(crate) fn fit(&self) -> bool {
        let orders = self.order_bytes + self.orders.len() * ORDER_OVERHEAD;
        !self.is_over && self.program.len() + self.values.len() + orders <= MAX_BYTES
    }
    /// Begins the notes on a document of so many bytes. If they became much larger, they would be of no use, so values
    /// beyond that are not kept.
    pub(crate) fn begin(&mut self, document: usize) {
        self.most_values = Some(self.values.len() + 2 * document + VALUES_ALLOWANCE);
        self.is_over = false;
    }
    /// Ends them.
    pub(crate) fn end(&mut self) {
        (self.most_values, self.is_over) = (None, false);
    }
    /// The number of bytes added since a mark.
    pub(crate) fn since(&self, mark: &Mark) -> usize {
        self.program.len() - mark.program + self.values.len() - mark.values + self.order_bytes
            - mark.order_bytes
    }
    pub(crate) fn back_to(&mut self, mark: &Mark) {
        self.program.truncate(mark.program);
        self.values.truncate(mark.values);
        self.next_value = mark.next_value.clone();
        for order in self.orders.drain(mark.orders..) {
            self.by_keys.remove(&document_digest(&order));
        }
        self.order_bytes = mark.order_bytes;
        self.last_order = 0;
    }
    /// Returns the number of a field order in this batch, adding the order if it is new.
    pub(crate) fn order(&mut self, keys: &[u8]) -> u64 {
        if self.orders.get(self.last_order).is_some_and(|order| **order == *keys) {
            return self.last_order as u64;
        }
        let digest = document_digest(keys);
        let known = self.by_keys.get(&digest).copied();
        let number = match known.filter(|number| *self.orders[*number as usize] == *keys) {
            Some(number) => number,
            None => {
                let number = self.orders.len() as u32;
                self.orders.push(keys.into());
                self.by_keys.insert(digest, number);
                self.order_bytes += keys.len();
                number
            }
        };
        self.last_order = number as usize;
        u64::from(number)
    }
    pub(crate) fn value(&mut self, value: Value<'_>) {
        if self.most_values.is_some_and(|most| self.values.len() + value.bytes.len() > most) {
            self.is_over = true;
            return;
        }
        self.values.element(self.next_value.key_nul(), value);
        self.next_value.advance();
    }
    /// A reader of what was written since a mark.
    pub(crate) fn reader(&self, mark: &Mark) -> Reader<'_> {
        Reader {
            program: &self.program[mark.program..],
            values: Elements::of_body(&self.values[mark.values..]),
            orders: &self.orders,
        }
    }
}

/// Appends a number as unsigned LEB128.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads notes in the order in which they were written.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    program: &'a [u8],
    values: Elements<'a>,
    orders: &'a [Box<[u8]>],
}

impl<'a> Reader<'a> {
    /// A reader of the three parts of one batch; `values` is the array with its length and NUL.
    pub fn new(program: &'a [u8], values: &'a [u8], orders: &'a [Box<[u8]>]) -> Self {
        Reader { program, values: Elements::new(values), orders }
    }
    /// Whether all notes have been read.
    pub fn is_at_end(&self) -> bool {
        self.program.is_empty() && self.values.clone().next().is_none()
    }
    pub(crate) fn number(&mut self) -> Result<u64, Misfit> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) =
                self.program.split_first().ok_or(Misfit("the program ends inside a document"))?;
            self.program = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Misfit("a number in the program is too large"))
    }
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Misfit> {
        let length = self.number()?;
        let parts =
            usize::try_from(length).ok().and_then(|length| self.program.split_at_checked(length));
        let (bytes, rest) = parts.ok_or(Misfit("a string in the program runs past its end"))?;
        self.program = rest;
        Ok(bytes)
    }
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Misfit> {
        self.values
            .next()
            .map(|element| element.value())
            .ok_or(Misfit("a value that the program asks for is missing"))
    }
    pub(crate) fn document(&mut self) -> Result<&'a [u8], Misfit> {
        let value = self.value()?;
        if value.kind == kind::DOCUMENT {
            Ok(value.bytes)
        } else {
            Err(Misfit("a document that is kept whole is of another type"))
        }
    }
    pub(crate) fn order(&mut self, number: u64) -> Result<&'a [u8], Misfit> {
        let order = usize::try_from(number).ok().and_then(|number| self.orders.get(number));
        order
            .map(|order| &**order)
            .ok_or(Misfit("the program refers to a field order that does not exist"))
    }
    /// The next fix: how many fields it is after the previous one, and its kind. None at the end.
    pub(crate) fn fix(&mut self) -> Result<Option<(u64, FixKind)>, Misfit> {
        let head = self.number()?;
        let kind = match head & 7 {
            0 if head == 0 => return Ok(None),
            1 => FixKind::Raw,
            2 => FixKind::Null,
            3 => FixKind::Literal,
            4 => FixKind::Splice,
            5 => FixKind::Items,
            6 => FixKind::Document,
            7 => FixKind::Typed,
            _ => return Err(Misfit("an unknown kind of fix")),
        };
        Ok(Some((head >> 3, kind)))
    }
    /// The rest of the program, to return to.
    pub(crate) fn place(&self) -> &'a [u8] {
        self.program
    }
    pub(crate) fn go_to(&mut self, place: &'a [u8]) {
        self.program = place;
    }
}
