//! Shapes: field orders and what they mean. Documents of one collection repeat a few sequences of
//! field names, so what a sequence means for the mapping is resolved once, and recognised by
//! comparing names instead of looking them up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::raw::{Element, Elements, ExpectedName, Value};

/// A document whose top-level elements have been located.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub bytes: &'a [u8],
    /// Where the elements begin, in bytes from the document's start, and where the last ends. A document may have
    /// millions, so nothing else is kept of each.
    starts: &'a [u32],
    /// How far behind its beginning the value of each is, if the shape is kept.
    heads: &'a [u16],
    /// For each name in the mapping's table, the position of its first occurrence.
    pub first: &'a [Option<u32>],
}

impl<'a> Record<'a> {
    /// A document, which [`Shapes::index`] has located, and its shape.
    #[inline]
    pub fn new<M>(bytes: &'a [u8], starts: &'a [u32], shape: &'a Shape<M>) -> Self {
        Record { bytes, starts, heads: &shape.heads, first: &shape.first }
    }
    /// The value at a position. Inlined, because a call would cost as much as the work.
    #[inline(always)]
    pub fn at(&self, position: usize) -> Value<'a> {
        let (start, end) = (self.starts[position] as usize, self.starts[position + 1] as usize);
        let value = start + self.head(position, start);
        Value { kind: self.bytes[start], bytes: &self.bytes[value..end] }
    }
    /// How far behind its beginning the value at a position is.
    #[inline(always)]
    fn head(&self, position: usize, start: usize) -> usize {
        match self.heads.get(position) {
            Some(head) => usize::from(*head),
            None => 1 + search_name(&self.bytes[start + 1..]),
        }
    }
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }
    /// The type of the first value with this name, by its number in the mapping's table.
    #[inline]
    pub fn kind(&self, name: usize) -> Option<u8> {
        self.first[name].map(|position| self.bytes[self.starts[position as usize] as usize])
    }
    /// The name at a position.
    pub fn name(&self, position: usize) -> &'a [u8] {
        let start = self.starts[position] as usize;
        &self.bytes[start + 1..start + self.head(position, start) - 1]
    }
    /// The bytes of the elements from one position up to, but not including, another.
    #[inline]
    pub fn run(&self, from: usize, to: usize) -> &'a [u8] {
        if from == to {
            return &[];
        }
        &self.bytes[self.starts[from] as usize..self.starts[to] as usize]
    }
    /// The first value with this name, by its number in the mapping's table.
    #[inline]
    pub fn get(&self, name: usize) -> Option<Value<'a>> {
        self.first[name].map(|position| self.at(position as usize))
    }
}

/// The length of the name at the start of these bytes, with its NUL. Few documents have so long names together
/// that it must be searched for, so this is kept out of the way of the others.
#[cold]
#[inline(never)]
fn search_name(bytes: &[u8]) -> usize {
    crate::raw::nul_position(bytes).map_or(bytes.len(), |length| length + 1)
}

/// A sequence of field names, and what it means.
#[derive(Debug)]
pub(crate) struct Shape<M> {
    /// The names, concatenated, each with its NUL.
    pub keys: Box<[u8]>,
    /// The names, prepared, if the shape is kept. They take many times the bytes of the names.
    expected: Box<[ExpectedName]>,
    /// For each of those, the bytes that its element begins with: type, name, NUL.
    heads: Box<[u16]>,
    /// For each name in the table, the position of its first occurrence.
    pub first: Box<[Option<u32>]>,
    /// What the sequence means for the mapping.
    pub meaning: M,
    /// It is kept for later documents. If not, its names are not prepared.
    is_kept: bool,
}

impl<M> Shape<M> {
    /// The names, each with its NUL.
    pub fn key_nuls(&self) -> KeyNuls<'_> {
        KeyNuls { keys: &self.keys, heads: self.heads.iter() }
    }
}

/// The names of a shape, each with its NUL.
pub(crate) struct KeyNuls<'s> {
    keys: &'s [u8],
    heads: std::slice::Iter<'s, u16>,
}

impl<'s> Iterator for KeyNuls<'s> {
    type Item = &'s [u8];
    #[inline(always)]
    fn next(&mut self) -> Option<&'s [u8]> {
        let length = match self.heads.next() {
            Some(head) => usize::from(*head) - 1,
            None if self.keys.is_empty() => return None,
            None => search_name(self.keys),
        };
        let (key, rest) = self.keys.split_at(length);
        self.keys = rest;
        Some(key)
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

/// Splits concatenated names behind their NULs.
fn split_nuls(keys: &[u8]) -> impl Iterator<Item = &[u8]> {
    keys.split_inclusive(|byte| *byte == 0)
}

/// How many names there are in concatenated ones.
pub(crate) fn count_keys(keys: &[u8]) -> usize {
    keys.iter().filter(|byte| **byte == 0).count()
}

/// Splits concatenated names at their NULs, which are dropped.
pub(crate) fn split_keys(keys: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_nuls(keys).map(|key| &key[..key.len() - 1])
}

/// The most shapes to keep. One more, and all are forgotten.
const MAX_SHAPES: usize = 256;
/// Shapes whose names are longer than this together are resolved each time.
const MAX_KEPT_KEYS: usize = 2048;
/// More elements than this are not kept located once the batch is mapped.
const MAX_KEPT_STARTS: usize = 16 * 1024;

/// The elements of a larger document are counted before memory is taken for each.
const MANY_BYTES: usize = 64 * 1024;

/// Frees the memory that locating a document with very many elements has needed.
pub(crate) fn shed_starts(starts: &mut Vec<u32>) {
    if starts.capacity() > MAX_KEPT_STARTS {
        *starts = Vec::new();
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

/// Where the shapes of a role are kept while they are not in use. Taking them moves a pointer, as it happens for each item.
#[derive(Debug)]
pub(crate) struct Keeper<M>(Option<Box<Shapes<M>>>);

impl<M> Default for Keeper<M> {
    fn default() -> Self {
        Keeper(None)
    }
}

impl<M> Keeper<M> {
    /// Takes the shapes; others, if they are in use already.
    #[inline]
    pub fn take(&mut self) -> Box<Shapes<M>> {
        self.0.take().unwrap_or_default()
    }
    /// Keeps them for the next use.
    #[inline]
    pub fn keep(&mut self, shapes: Box<Shapes<M>>) {
        self.0 = Some(shapes);
    }
    /// Frees the memory of a shape that is too long to keep.
    pub fn shed(&mut self) {
        self.0.iter_mut().for_each(|shapes| shapes.shed());
    }
}

/// Locates elements as long as they have the expected names, and returns where the last of them
/// ends.
#[inline]
fn locate(expected: &[ExpectedName], document: &[u8], starts: &mut Vec<u32>) -> usize {
    // After a document of the same shape there is nothing to do.
    starts.resize(expected.len(), 0);
    let (mut at, mut found) = (4, 0);
    for (name, start) in expected.iter().zip(starts.iter_mut()) {
        let Some((_, end)) = name.value_at(document, at) else { break };
        *start = at as u32;
        at = end;
        found += 1;
    }
    starts.truncate(found);
    at
}

impl<M> Shapes<M> {
    /// Locates the elements of `document`, with their beginnings in `starts`, and returns its shape. `resolve`
    /// returns the meaning of a sequence that has not been met before.
    #[inline]
    pub fn index(
        &mut self,
        document: &[u8],
        starts: &mut Vec<u32>,
        names: &Names,
        resolve: impl FnOnce(&[u8], &[Option<u32>]) -> M,
    ) -> &Shape<M> {
        let expected = self.list.get(self.last).map(|shape| &*shape.expected);
        let mut at = locate(expected.unwrap_or_default(), document, starts);
        let all = expected.is_some_and(|expected| expected.len() == starts.len())
            && self.list.get(self.last).is_some_and(|shape| shape.is_kept);
        if !all || document.get(at).is_some_and(|kind| *kind != 0) {
            self.keys.clear();
            if let Some(shape) = self.list.get(self.last) {
                let known = shape.heads[..starts.len()].iter().map(|head| usize::from(*head) - 1);
                self.keys.extend_from_slice(&shape.keys[..known.sum()]);
            }
            let rest = Elements::of_body(document.get(at..).unwrap_or_default());
            if document.len() > MANY_BYTES {
                // Of very many elements, no more than their own bytes.
                starts.reserve_exact(rest.count() + 1);
                self.keys.reserve_exact(rest.map(|element| element.key_nul().len()).sum());
            }
            for element in rest {
                starts.push(at as u32);
                self.keys.extend_from_slice(element.key_nul());
                at += element.bytes.len();
            }
            self.last = self.find(names, resolve);
        }
        starts.push(at as u32);
        &self.list[self.last]
    }

    /// Frees the memory of a shape that is too long to keep.
    pub fn shed(&mut self) {
        if self.list.last().is_some_and(|shape| !shape.is_kept) {
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
        if self.list.last().is_some_and(|shape| !shape.is_kept) {
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
        let (mut expected, mut heads): (Box<[ExpectedName]>, Box<[u16]>) = Default::default();
        if is_kept {
            heads = split_nuls(&keys).map(|key| 1 + key.len() as u16).collect();
            expected = split_nuls(&keys).map(ExpectedName::new).collect();
            self.by_keys.insert(keys.clone(), self.list.len());
        }
        self.list.push(Shape { keys, expected, heads, first, meaning, is_kept });
        self.list.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Writer, kind};

    /// A document of integers, numbered from 0, with names of these lengths.
    fn numbered(lengths: &[usize]) -> Vec<u8> {
        let mut document = Vec::new();
        let open = document.open();
        for (number, length) in lengths.iter().enumerate() {
            let name = [&vec![b'a' + number as u8; *length][..], &[0]].concat();
            document.element(&name, Value { kind: kind::INT32, bytes: &[number as u8, 0, 0, 0] });
        }
        document.close(open);
        document
    }

    #[test]
    fn elements_are_located_whatever_the_length_of_their_names() {
        let (mut shapes, mut starts) = (Shapes::<()>::default(), Vec::new());
        let all: [&[usize]; 6] = [
            &[0, 1, 7, 8, 253, 254, 255, 256, 300],
            &[0, 1, 7, 8, 253, 254, 255, 256, 300, 70_000],
            &[0, 1, 7],
            &[0, 1, 7, 8, 9],
            &[],
            &[2040, 7],
        ];
        // Each is located anew and recognised, and follows another of which it is a part, or the other way round.
        for lengths in [all, all, [all[0]; 6], [all[1]; 6]].concat() {
            let document = numbered(lengths);
            let shape = shapes.index(&document, &mut starts, &Names::default(), |_, _| ());
            assert_eq!(shape.key_nuls().count(), lengths.len());
            let record = Record::new(&document, &starts, shape);
            assert_eq!(record.len(), lengths.len());
            for (number, length) in lengths.iter().enumerate() {
                assert_eq!(record.name(number).len(), *length);
                assert_eq!(record.at(number).integer(), Some(number as i64));
            }
            assert_eq!(record.run(0, lengths.len()), &document[4..document.len() - 1]);
        }
    }
}
