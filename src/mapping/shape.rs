//! Shapes: field orders and what they mean. Documents of one collection repeat a few sequences of
//! field names, so what a sequence means for the mapping is resolved once, and recognised by
//! comparing names instead of looking them up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::raw::{Element, Elements, ExpectedName, Value};

/// Where an element of a document is, in bytes from the document's start. It ends where the next begins, so
/// those of a document have one more behind them. A document may have millions of elements, so this is five bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: [u8; 4],
    /// The length of the name, or [`LONG_NAME`].
    name: u8,
}

/// Stands for this length of a name, and for all that are longer.
const LONG_NAME: u8 = u8::MAX;

impl Span {
    #[inline]
    fn new(start: usize, value: usize) -> Self {
        let name = value.saturating_sub(start + 2).min(usize::from(LONG_NAME));
        Span { start: (start as u32).to_le_bytes(), name: name as u8 }
    }
    #[inline]
    fn start(self) -> usize {
        u32::from_le_bytes(self.start) as usize
    }
    /// Where the value begins.
    #[inline]
    fn value(self, document: &[u8]) -> usize {
        let least = self.start() + 2 + usize::from(self.name);
        if self.name < LONG_NAME {
            return least;
        }
        let rest = document[least - 1..].iter().position(|byte| *byte == 0);
        least + rest.unwrap_or_default()
    }
}

/// A document whose top-level elements have been located.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub bytes: &'a [u8],
    pub spans: &'a [Span],
    /// For each name in the mapping's table, the position of its first occurrence.
    pub first: &'a [Option<u32>],
}

impl<'a> Record<'a> {
    /// The value at a position.
    #[inline]
    pub fn at(&self, position: usize) -> Value<'a> {
        let (span, end) = (self.spans[position], self.spans[position + 1].start());
        Value { kind: self.bytes[span.start()], bytes: &self.bytes[span.value(self.bytes)..end] }
    }
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.spans.len() - 1
    }
    /// The type of the first value with this name, by its number in the mapping's table.
    #[inline]
    pub fn kind(&self, name: usize) -> Option<u8> {
        self.first[name].map(|position| self.bytes[self.spans[position as usize].start()])
    }
    /// The name at a position.
    pub fn name(&self, position: usize) -> &'a [u8] {
        let span = self.spans[position];
        &self.bytes[span.start() + 1..span.value(self.bytes) - 1]
    }
    /// The bytes of the elements from one position up to, but not including, another.
    #[inline]
    pub fn run(&self, from: usize, to: usize) -> &'a [u8] {
        if from == to {
            return &[];
        }
        &self.bytes[self.spans[from].start()..self.spans[to].start()]
    }
    /// The first value with this name, by its number in the mapping's table.
    #[inline]
    pub fn get(&self, name: usize) -> Option<Value<'a>> {
        self.first[name].map(|position| self.at(position as usize))
    }
}

/// A sequence of field names, and what it means.
#[derive(Debug)]
pub(crate) struct Shape<M> {
    /// The names, concatenated, each with its NUL.
    pub keys: Box<[u8]>,
    /// The names, prepared, if the shape is kept. They take many times the bytes of the names.
    expected: Box<[ExpectedName]>,
    /// For each name in the table, the position of its first occurrence.
    pub first: Box<[Option<u32>]>,
    /// What the sequence means for the mapping.
    pub meaning: M,
}

impl<M> Shape<M> {
    /// Whether all names are prepared.
    fn is_prepared(&self) -> bool {
        self.keys.is_empty() || !self.expected.is_empty()
    }
    /// The names, each with its NUL.
    pub fn key_nuls(&self) -> impl Iterator<Item = &[u8]> {
        let unprepared = if self.expected.is_empty() { &*self.keys } else { &[] };
        let prepared = self.expected.iter().map(ExpectedName::nul);
        prepared.chain(unprepared.split_inclusive(|byte| *byte == 0))
    }
}

/// Names, numbered.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    numbers: HashMap<Box<[u8]>, usize>,
    names: Vec<Box<[u8]>>,
}

impl Names {
    /// The number of a name, which is added if it is new.
    pub fn add(&mut self, name: &[u8]) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.numbers.insert(name.into(), self.names.len());
        self.names.push(name.into());
        self.names.len() - 1
    }
    pub fn number(&self, name: &[u8]) -> Option<usize> {
        self.numbers.get(name).copied()
    }
    pub fn name(&self, number: usize) -> &[u8] {
        &self.names[number]
    }
    pub fn len(&self) -> usize {
        self.names.len()
    }
    /// The position of each name's first occurrence in a sequence of names.
    fn first_positions<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Box<[Option<u32>]> {
        let mut first = vec![None; self.len()];
        for (position, key) in keys.enumerate() {
            if let Some(number) = self.number(key) {
                first[number].get_or_insert(position as u32);
            }
        }
        first.into()
    }
}

/// The names of some fields. There may be millions, so nothing is kept for each but where it begins.
#[derive(Debug, Default)]
pub(crate) struct NameSet {
    /// The names, each with its NUL.
    names: Vec<u8>,
    /// Where they begin, in the order of the names.
    sorted: Vec<u32>,
}

impl NameSet {
    pub fn of<'a>(elements: impl Iterator<Item = Element<'a>>) -> Self {
        let (mut names, mut sorted) = (Vec::new(), Vec::new());
        for element in elements {
            sorted.push(names.len() as u32);
            names.extend_from_slice(element.key_nul());
        }
        sorted.sort_unstable_by_key(|at| name_at(&names, *at));
        NameSet { names, sorted }
    }
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
    pub fn contains(&self, name: &[u8]) -> bool {
        self.sorted.binary_search_by_key(&name, |at| name_at(&self.names, *at)).is_ok()
    }
}

fn name_at(names: &[u8], at: u32) -> &[u8] {
    names[at as usize..].split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Splits concatenated names at their NULs, which are dropped.
pub(crate) fn split_keys(keys: &[u8]) -> impl Iterator<Item = &[u8]> {
    keys.split_inclusive(|&byte| byte == 0).map(|key| &key[..key.len() - 1])
}

/// The most shapes to keep. One more, and all are forgotten.
const MAX_SHAPES: usize = 256;
/// Shapes whose names are longer than this together are resolved each time.
const MAX_KEPT_KEYS: usize = 2048;
/// More elements than this are not kept located once the batch is mapped.
const MAX_KEPT_SPANS: usize = 16 * 1024;

/// Frees the memory of spans that a document with very many elements has needed.
pub(crate) fn shed_spans(spans: &mut Vec<Span>) {
    if spans.capacity() > MAX_KEPT_SPANS {
        *spans = Vec::new();
    }
}

/// The shapes met so far in one role. Their number is bounded; forgetting them only costs time.
#[derive(Debug)]
pub(crate) struct Shapes<M> {
    list: Vec<Shape<M>>,
    /// So few names cannot collide often enough to matter, so the hash needs no random key.
    by_keys: HashMap<Box<[u8]>, usize, BuildHasherDefault<DefaultHasher>>,
    last: usize,
    keys: Vec<u8>,
}

impl<M> Default for Shapes<M> {
    fn default() -> Self {
        Shapes { list: Vec::new(), by_keys: HashMap::default(), last: 0, keys: Vec::new() }
    }
}

/// Locates elements as long as they have the expected names, and returns where the last of them
/// ends.
fn locate(expected: &[ExpectedName], document: &[u8], spans: &mut Vec<Span>) -> usize {
    spans.clear();
    let mut at = 4;
    for name in expected {
        let Some((value, end)) = name.value_at(document, at) else { break };
        spans.push(Span::new(at, value));
        at = end;
    }
    at
}

impl<M> Shapes<M> {
    /// Locates the elements of `document` in `spans` and returns its shape. `resolve` returns the
    /// meaning of a sequence that has not been met before.
    #[inline]
    pub fn index(
        &mut self,
        document: &[u8],
        spans: &mut Vec<Span>,
        names: &Names,
        resolve: impl FnOnce(&[u8], &[Option<u32>]) -> M,
    ) -> &Shape<M> {
        let expected = self.list.get(self.last).map(|shape| &*shape.expected);
        let mut at = locate(expected.unwrap_or_default(), document, spans);
        let all = expected.is_some_and(|expected| expected.len() == spans.len())
            && self.list.get(self.last).is_some_and(|shape| shape.is_prepared());
        if !all || document.get(at).is_some_and(|kind| *kind != 0) {
            for element in Elements::of_body(document.get(at..).unwrap_or_default()) {
                let end = at + element.bytes.len();
                spans.push(Span::new(at, at + 1 + element.key_nul().len()));
                at = end;
            }
            self.keys.clear();
            // Of many names, no more than their bytes.
            let of = |span: &Span| &document[span.start() + 1..span.value(document)];
            self.keys.reserve(spans.iter().map(|span| of(span).len()).sum());
            for span in spans.iter() {
                self.keys.extend_from_slice(of(span));
            }
            self.last = self.find(names, resolve);
        }
        spans.push(Span::new(at, at));
        &self.list[self.last]
    }

    /// Frees the memory of a shape that is too long to keep.
    pub fn shed(&mut self) {
        if self.list.last().is_some_and(|shape| shape.keys.len() > MAX_KEPT_KEYS) {
            self.list.pop();
            self.last = 0;
        }
        if self.keys.capacity() > MAX_KEPT_KEYS {
            self.keys = Vec::new();
        }
    }

    /// The shape that was found last.
    pub fn last(&self) -> &Shape<M> {
        &self.list[self.last]
    }

    /// The shape of a sequence of names in the form of [`Shape::keys`].
    pub fn of_keys(
        &mut self,
        keys: &[u8],
        names: &Names,
        resolve: impl FnOnce(&[u8], &[Option<u32>]) -> M,
    ) -> &Shape<M> {
        if self.list.get(self.last).is_none_or(|shape| *shape.keys != *keys) {
            self.keys.clear();
            self.keys.extend_from_slice(keys);
            self.last = self.find(names, resolve);
        }
        &self.list[self.last]
    }

    fn find(&mut self, names: &Names, resolve: impl FnOnce(&[u8], &[Option<u32>]) -> M) -> usize {
        if let Some(&number) = self.by_keys.get(self.keys.as_slice()) {
            return number;
        }
        // A shape that is too long to keep is always the last in the list.
        if self.list.last().is_some_and(|shape| shape.keys.len() > MAX_KEPT_KEYS) {
            self.list.pop();
        }
        let is_kept = self.keys.len() <= MAX_KEPT_KEYS;
        let keys: Box<[u8]> = match is_kept {
            true => self.keys.as_slice().into(),
            false => std::mem::take(&mut self.keys).into(),
        };
        let first = names.first_positions(split_keys(&keys));
        let meaning = resolve(&keys, &first);
        if self.list.len() >= MAX_SHAPES {
            self.list.clear();
            self.by_keys.clear();
        }
        let mut expected: Box<[ExpectedName]> = [].into();
        if is_kept {
            expected = keys.split_inclusive(|byte| *byte == 0).map(ExpectedName::new).collect();
            self.by_keys.insert(keys.clone(), self.list.len());
        }
        self.list.push(Shape { keys, expected, first, meaning });
        self.list.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Writer, kind};

    #[test]
    fn elements_are_located_whatever_the_length_of_their_names() {
        let lengths = [0, 1, 7, 8, 253, 254, 255, 256, 300, 70_000];
        let mut document = Vec::new();
        let open = document.open();
        for (number, length) in lengths.iter().enumerate() {
            let name = [&vec![b'a' + number as u8; *length][..], &[0]].concat();
            document.element(&name, Value { kind: kind::INT32, bytes: &[number as u8, 0, 0, 0] });
        }
        document.close(open);
        let (mut shapes, mut spans) = (Shapes::<()>::default(), Vec::new());
        // What is located anew, and what is recognised.
        for _ in 0..2 {
            let shape = shapes.index(&document, &mut spans, &Names::default(), |_, _| ());
            assert_eq!(shape.key_nuls().count(), lengths.len());
            let record = Record { bytes: &document, spans: &spans, first: &shape.first };
            assert_eq!(record.len(), lengths.len());
            for (number, length) in lengths.iter().enumerate() {
                assert_eq!(record.name(number).len(), *length);
                assert_eq!(record.at(number).integer(), Some(number as i64));
            }
            assert_eq!(record.run(0, lengths.len()), &document[4..document.len() - 1]);
        }
    }
}
