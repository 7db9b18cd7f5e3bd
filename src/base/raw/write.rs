//! Writes documents piece by piece, or compares them with expected bytes instead of storing them.

use super::element::Value;
use super::kinds::kind;
use super::words::same;

/// An open document of a [`Writer`]. Its length is written when it is closed.
#[must_use]
#[derive(Debug)]
pub struct Open(usize);

/// A destination for documents, which are written piece by piece.
pub trait Writer {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
    /// Opens a document or array, reserving four bytes for its length.
    fn open(&mut self) -> Open;
    /// Closes a document or array: appends the final NUL, and fills in the length.
    fn close(&mut self, open: Open);
    /// The number of bytes written since `open`.
    fn since(&self, open: &Open) -> usize;

    /// Appends the type and name of an element. The name must end with its NUL.
    #[inline]
    fn head(&mut self, kind: u8, key_nul: &[u8]) {
        self.put(&[kind]);
        self.put(key_nul);
    }
    /// Appends a whole element. The name must end with its NUL.
    #[inline]
    fn element(&mut self, key_nul: &[u8], value: Value<'_>) {
        self.head(value.kind, key_nul);
        self.put(value.bytes);
    }
    /// Appends a string element, whose text is given in parts. The name must end with its NUL.
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

/// A [`Writer`] that compares what is written with expected bytes, and stores nothing.
#[derive(Debug)]
pub struct Comparer<'a> {
    expected: &'a [u8],
    at: usize,
    same: bool,
}

impl<'a> Comparer<'a> {
    /// Expects these bytes.
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
        self.same = self.same
            && self.expected.get(self.at..end).is_some_and(|expected| same(expected, bytes));
        self.at = end;
    }
    #[inline]
    fn head(&mut self, kind: u8, key_nul: &[u8]) {
        let end = self.at + 1 + key_nul.len();
        let expected = self.expected.get(self.at..end).and_then(|expected| expected.split_first());
        self.same = self.same
            && expected.is_some_and(|(expected, name)| *expected == kind && same(name, key_nul));
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

/// The name of an array item, with its NUL, in a small buffer.
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
    /// The name of the current item, which begins with `0`.
    #[inline]
    pub fn key_nul(&self) -> &[u8] {
        &self.buffer[self.from..]
    }
    /// Moves on to the next item.
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
