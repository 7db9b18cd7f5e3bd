//! Shapes: field orders and what they mean. Documents of one collection repeat a few sequences of
//! field names, so what a sequence means for the mapping is resolved once, and recognised by
//! comparing names instead of looking them up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::raw::{Elements, ExpectedName, Value};

/// Where an element of a document is, in bytes from the document's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    value: u32,
    end: u32,
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
        let span = self.spans[position];
        Value {
            kind: self.bytes[span.start as usize],
            bytes: &self.bytes[span.value as usize..span.end as usize],
        }
    }
    /// The type of the first value with this name, by its number in the mapping's table.
    #[inline]
    pub fn kind(&self, name: usize) -> Option<u8> {
        self.first[name].map(|position| self.bytes[self.spans[position as usize].start as usize])
    }
    /// The name at a position.
    pub fn name(&self, position: usize) -> &'a [u8] {
        let span = self.spans[position];
        &self.bytes[span.start as usize + 1..span.value as usize - 1]
    }
    /// The bytes of the elements from one position up to, but not including, another.
    #[inline]
    pub fn run(&self, from: usize, to: usize) -> &'a [u8] {
        if from == to {
            return &[];
        }
        &self.bytes[self.spans[from].start as usize..self.spans[to - 1].end as usize]
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
    expected: Box<[ExpectedName]>,
    /// For each name in the table, the position of its first occurrence.
    pub first: Box<[Option<u32>]>,
    /// What the sequence means for the mapping.
    pub meaning: M,
}

impl<M> Shape<M> {
    /// The names, each with its NUL.
    pub fn key_nuls(&self) -> impl Iterator<Item = &[u8]> {
        self.expected.iter().map(ExpectedName::nul)
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

/// Splits concatenated names at their NULs, which are dropped.
pub(crate) fn split_keys(keys: &[u8]) -> impl Iterator<Item = &[u8]> {
    keys.split_inclusive(|&byte| byte == 0).map(|key| &key[..key.len() - 1])
}

/// The most shapes to keep. One more, and all are forgotten.
const MAX_SHAPES: usize = 256;
/// Shapes whose names are longer than this together are resolved each time.
const MAX_KEPT_KEYS: usize = 2048;

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
        spans.push(Span { start: at as u32, value: value as u32, end: end as u32 });
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
        let all = expected.is_some_and(|expected| expected.len() == spans.len());
        if !all || document.get(at).is_some_and(|kind| *kind != 0) {
            for element in Elements::of_body(document.get(at..).unwrap_or_default()) {
                let end = at + element.bytes.len();
                spans.push(Span {
                    start: at as u32,
                    value: (at + 1 + element.key_nul().len()) as u32,
                    end: end as u32,
                });
                at = end;
            }
            self.keys.clear();
            for span in spans.iter() {
                self.keys
                    .extend_from_slice(&document[span.start as usize + 1..span.value as usize]);
            }
            self.last = self.find(names, resolve);
        }
        &self.list[self.last]
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
        let keys: Box<[u8]> = self.keys.as_slice().into();
        let first = names.first_positions(split_keys(&keys));
        let meaning = resolve(&keys, &first);
        let expected = keys.split_inclusive(|byte| *byte == 0).map(ExpectedName::new).collect();
        if self.list.len() >= MAX_SHAPES {
            self.list.clear();
            self.by_keys.clear();
        }
        // A shape that is too long to keep is always the last in the list.
        if self.list.last().is_some_and(|shape| shape.keys.len() > MAX_KEPT_KEYS) {
            self.list.pop();
        }
        if keys.len() <= MAX_KEPT_KEYS {
            self.by_keys.insert(keys.clone(), self.list.len());
        }
        self.list.push(Shape { keys, expected, first, meaning });
        self.list.len() - 1
    }
}
