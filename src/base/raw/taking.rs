//! Takes fields by name, one after the other, each in a few steps whatever the order. Fields may be millions, so
//! little is kept of each.

use std::collections::HashMap;

use super::element::{Element, Elements};

/// Fields that have numbers from 0 on.
pub(crate) trait Fields<'a> {
    /// How many there are.
    fn len(&self) -> usize;
    /// The name of one.
    fn name(&self, number: usize) -> &'a [u8];
    /// Whether one is none of those that can be taken.
    fn is_left_out(&self, _number: usize) -> bool {
        false
    }
}

/// Elements of a document.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    bytes: &'a [u8],
    /// Where they begin in it.
    begin: Vec<u32>,
}

impl<'a> Places<'a> {
    /// Some of the elements of a document.
    pub fn of(document: &'a [u8], elements: impl Iterator<Item = Element<'a>>) -> Self {
        let start = document.as_ptr().addr();
        let begin = elements.map(|element| (element.bytes.as_ptr().addr() - start) as u32);
        Places { bytes: document, begin: begin.collect() }
    }
    /// The element of a number.
    pub fn element(&self, number: usize) -> Option<Element<'a>> {
        Elements::of_body(self.bytes.get(*self.begin.get(number)? as usize..)?).next()
    }
}

impl<'a> Fields<'a> for Places<'a> {
    fn len(&self) -> usize {
        self.begin.len()
    }
    fn name(&self, number: usize) -> &'a [u8] {
        self.element(number).map(|element| element.key()).unwrap_or_default()
    }
}

/// Fields that are taken by name, once each.
#[derive(Debug)]
pub(crate) struct Taking<F> {
    pub fields: F,
    /// The field that is expected next.
    next: usize,
    /// How others are found, once one was asked for.
    by_name: Option<Box<ByName>>,
}

#[derive(Debug)]
struct ByName {
    /// The numbers of the fields, in the order of their names, and then their own.
    sorted: Vec<u32>,
    /// For each name that was asked for, by where it begins in `sorted`, the first field that may be left.
    left: HashMap<usize, usize>,
    /// A bit for each field: it was taken.
    is_taken: Vec<u64>,
}

impl ByName {
    fn take(&mut self, number: usize) {
        self.is_taken[number / 64] |= 1 << (number % 64);
    }
    fn is_taken(&self, number: usize) -> bool {
        self.is_taken[number / 64] >> (number % 64) & 1 == 1
    }
}

impl<'a, F: Fields<'a>> Taking<F> {
    pub fn new(fields: F) -> Self {
        Taking { fields, next: 0, by_name: None }
    }

    /// Takes the next field with this name: mostly the first that is left.
    pub fn take(&mut self, name: &[u8]) -> Option<usize> {
        while self.next < self.fields.len() && self.is_gone(self.next) {
            self.next += 1;
        }
        if self.next < self.fields.len() && self.fields.name(self.next) == name {
            self.next += 1;
            return Some(self.next - 1);
        }
        let mut by_name = self.by_name.take().unwrap_or_else(|| Box::new(self.sorted()));
        let found = self.find(&mut by_name, name);
        if let Some(found) = found {
            by_name.take(found);
        }
        self.by_name = Some(by_name);
        found
    }

    /// The fields that are left.
    pub fn rest(&self) -> impl Iterator<Item = usize> + '_ {
        (self.next..self.fields.len()).filter(|number| !self.is_gone(*number))
    }

    fn is_gone(&self, number: usize) -> bool {
        self.fields.is_left_out(number)
            || self.by_name.as_ref().is_some_and(|by_name| by_name.is_taken(number))
    }

    /// The fields from the next one on, sorted.
    fn sorted(&self) -> ByName {
        let left =
            (self.next..self.fields.len()).filter(|number| !self.fields.is_left_out(*number));
        let mut sorted: Vec<u32> = left.map(|number| number as u32).collect();
        sorted.sort_unstable_by_key(|number| (self.fields.name(*number as usize), *number));
        ByName { sorted, left: HashMap::new(), is_taken: vec![0; self.fields.len().div_ceil(64)] }
    }

    /// The first field of this name that is left.
    fn find(&self, by_name: &mut ByName, name: &[u8]) -> Option<usize> {
        let name_of = |number: &u32| self.fields.name(*number as usize);
        let begin = by_name.sorted.partition_point(|number| name_of(number) < name);
        let mut at = by_name.left.get(&begin).copied().unwrap_or(begin);
        let found = loop {
            match by_name.sorted.get(at).filter(|number| name_of(number) == name) {
                // One before the next was taken in its turn.
                Some(number)
                    if (*number as usize) < self.next || by_name.is_taken(*number as usize) =>
                {
                    at += 1;
                }
                found => break found.map(|number| *number as usize),
            }
        };
        by_name.left.insert(begin, at);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words(Vec<&'static str>);

    impl<'a> Fields<'a> for Words {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn name(&self, number: usize) -> &'a [u8] {
            self.0[number].as_bytes()
        }
        fn is_left_out(&self, number: usize) -> bool {
            self.0[number].is_empty()
        }
    }

    #[test]
    fn fields_are_taken_in_any_order_once_each() {
        let mut taking = Taking::new(Words(vec!["a", "", "b", "a", "c", "", "a", "b"]));
        let takes = ["a", "c", "b", "a", "x", "b", "a", "a", "c", "b"];
        let taken: Vec<_> = takes.iter().map(|name| taking.take(name.as_bytes())).collect();
        let expected =
            [Some(0), Some(4), Some(2), Some(3), None, Some(7), Some(6), None, None, None];
        assert_eq!(taken, expected);
        assert_eq!(taking.rest().count(), 0);
        let mut taking = Taking::new(Words(vec!["a", "", "b", "a"]));
        assert_eq!((taking.take(b"b"), taking.rest().collect::<Vec<_>>()), (Some(2), vec![0, 3]));
    }

    /// A search from the front each time would take hours.
    #[test]
    fn a_million_fields_are_taken_from_the_last_to_the_first() {
        let names: Vec<String> = (0..1_000_000).map(|number| format!("{number}")).collect();
        let document: Vec<u8> =
            names.iter().flat_map(|name| [&[10], name.as_bytes(), &[0]].concat()).collect();
        let mut taking = Taking::new(Places::of(&document, Elements::of_body(&document)));
        for (number, name) in names.iter().enumerate().rev() {
            assert_eq!(taking.take(name.as_bytes()), Some(number));
        }
        let many = [10, b'a', 0].repeat(1_000_000);
        let mut taking = Taking::new(Places::of(&many, Elements::of_body(&many)));
        assert_eq!(taking.take(b"b"), None);
        for number in 0..1_000_000 {
            assert_eq!(taking.take(b"a"), Some(number));
        }
        assert_eq!(taking.take(b"a"), None);
    }
}
