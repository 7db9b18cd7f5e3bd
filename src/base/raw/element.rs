//! A cursor over the elements of a document, with exact byte ranges.

use super::MIN_DOCUMENT_BYTES;
use super::kinds::{kind, value_size};
use super::words::{head, nul_position, same};

/// One element of a document.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// All its bytes: the type, the name with its NUL, and the value.
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
    /// The name, without its NUL. It need not be UTF-8.
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

/// A value: its type and its exact bytes.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Value<'a> {
    /// The element type.
    pub kind: u8,
    /// The bytes of the value. For strings and documents they include the length and the NUL.
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

    /// The text of a string, without length and NUL. `None` for other types, and for a string too
    /// short for its NUL.
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
    /// The elements of a document or array. Empty for other types.
    #[inline]
    pub fn elements(&self) -> Elements<'a> {
        match self.kind {
            kind::DOCUMENT | kind::ARRAY => Elements::new(self.bytes),
            _ => Elements { rest: &[] },
        }
    }
    /// The milliseconds since 1970 of a date. `None` for other types.
    pub fn date_millis(&self) -> Option<i64> {
        if self.kind != kind::DATE {
            return None;
        }
        self.bytes.try_into().ok().map(i64::from_le_bytes)
    }
    /// The value of an int32 or int64. `None` for other types.
    pub fn integer(&self) -> Option<i64> {
        match self.kind {
            kind::INT32 => self.bytes.try_into().ok().map(|b| i64::from(i32::from_le_bytes(b))),
            kind::INT64 => self.bytes.try_into().ok().map(i64::from_le_bytes),
            _ => None,
        }
    }
    /// The value of a double. `None` for other types.
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

/// The elements of a document that [`Validator::check`](super::Validator::check) has accepted.
///
/// On unchecked bytes it may end early, but never panics.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// A cursor over the whole bytes of a document, length and final NUL included.
    #[inline]
    pub fn new(document: &'a [u8]) -> Self {
        Elements { rest: document.get(4..).unwrap_or_default() }
    }
    /// A cursor over elements without a length in front of them.
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
    /// The next element. Inlined, because a call would cost as much as the work.
    #[inline(always)]
    fn step(&mut self) -> Option<Element<'a>> {
        let (&kind, after) = self.rest.split_first()?;
        if kind == 0 {
            return None;
        }
        let value_at = nul_position(after)? + 2;
        let size = value_size(kind, self.rest.get(value_at..)?)?;
        let (bytes, rest) = self.rest.split_at_checked(value_at + size)?;
        self.rest = rest;
        Some(Element { bytes, value_at: value_at as u32 })
    }
    /// The bytes that are left, including the final NUL.
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

/// A name, prepared for comparisons. Names are short, so comparing words is faster than a call of
/// the library's comparison.
#[derive(Debug, Clone)]
pub struct ExpectedName {
    /// The name with its NUL.
    nul: Box<[u8]>,
    /// Its first eight bytes, and a mask of the bits that are in use.
    head: u64,
    mask: u64,
    /// The next eight bytes, and their mask.
    next: u64,
    next_mask: u64,
}

impl ExpectedName {
    /// Prepares a name, given with its NUL.
    pub fn new(nul: &[u8]) -> Self {
        let (next, next_mask) = head(nul.get(8..).unwrap_or_default());
        let (head, mask) = head(nul);
        ExpectedName { nul: nul.into(), head, mask, next, next_mask }
    }
    /// If the element at offset `at` has this name, returns where its value begins and ends. This
    /// is faster than searching for the NUL first.
    #[inline(always)]
    pub fn value_at(&self, document: &[u8], at: usize) -> Option<(usize, usize)> {
        let rest = document.get(at..)?;
        let Some((start, behind)) = rest.split_first_chunk::<17>() else {
            return self.value_at_end(rest).map(|(value, end)| (at + value, at + end));
        };
        let [kind, a, b, c, d, e, f, g, h, next @ ..] = *start;
        let (word, next) = (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(next));
        if word & self.mask != self.head || next & self.next_mask != self.next {
            return None;
        }
        if self.nul.len() > 16 && !behind.starts_with(&self.nul[16..]) {
            return None;
        }
        let value = 1 + self.nul.len();
        let end = value + value_size(kind, rest.get(value..)?)?;
        (end <= rest.len()).then_some((at + value, at + end))
    }
    /// Like [`ExpectedName::value_at`], for an element near the end of the document, with fewer
    /// bytes behind it than are compared at once.
    #[cold]
    fn value_at_end(&self, rest: &[u8]) -> Option<(usize, usize)> {
        let element = Elements { rest }.next().filter(|element| element.key_nul() == &*self.nul)?;
        Some((element.value_at as usize, element.bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::names;
    use super::*;

    #[test]
    fn an_expected_name_is_found_where_it_is_and_nowhere_else() {
        let names = names();
        for (number, name) in names.iter().enumerate() {
            let nul = [&name[..], &[0]].concat();
            // Short and long values, so that the document ends soon after the name, or not.
            for value in [&[][..], &[7; 8][..], &[7; 16][..]] {
                let kind = [(0, kind::NULL), (8, kind::INT64), (16, kind::DECIMAL128)]
                    .iter()
                    .find(|(size, _)| *size == value.len());
                let kind = kind.map_or(0, |(_, kind)| *kind);
                let document = [&[9, 9, 9, 9, kind], &nul[..], value, &[0]].concat();
                let element = Elements::new(&document).next().expect("an element");
                assert_eq!(element.key_nul(), nul);
                let place = (5 + nul.len(), 5 + nul.len() + value.len());
                assert_eq!(ExpectedName::new(&nul).value_at(&document, 4), Some(place));
                for other in names
                    .iter()
                    .skip(number.saturating_sub(45))
                    .take(90)
                    .filter(|other| *other != name)
                {
                    assert_eq!(
                        ExpectedName::new(&[&other[..], &[0]].concat()).value_at(&document, 4),
                        None,
                        "{other:?} in {name:?}"
                    );
                }
            }
        }
    }
}
