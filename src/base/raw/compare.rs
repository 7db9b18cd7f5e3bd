//! Finds the fields in which two documents differ.

use super::element::Elements;
use super::kinds::kind;
use super::taking::{Places, Taking};

/// The paths of the fields in which two documents differ, about a hundred at most. The order of
/// fields does not count, and paths are as deep as a server's documents may be.
pub fn differing_paths(one: &[u8], other: &[u8]) -> Vec<String> {
    differing_paths_up_to(one, other, 100)
}

/// How deep paths go: a server has no documents of more than some 200 levels. Each level is compared as a whole first, so
/// without a limit a document of a million levels would be compared a million times.
const DEEPEST: usize = 200;
/// The most characters of a name in a path.
const LONGEST_NAME: usize = 256;

/// Two documents that are being compared.
struct Pair<'a> {
    /// Its own path.
    path: String,
    one: Elements<'a>,
    other: Taking<Places<'a>>,
}

impl<'a> Pair<'a> {
    fn new(path: String, one: &'a [u8], other: &'a [u8]) -> Self {
        let places = Places::of(other, Elements::new(other));
        Pair { path, one: Elements::new(one), other: Taking::new(places) }
    }
    fn below(&self, key: &[u8]) -> String {
        let key = String::from_utf8_lossy(&key[..key.len().min(4 * LONGEST_NAME)]);
        let mut key = key.escape_debug().to_string();
        if key.chars().count() > LONGEST_NAME {
            key = key.chars().take(LONGEST_NAME - 3).chain("...".chars()).collect();
        }
        match self.path.is_empty() {
            true => key,
            false => format!("{}.{key}", self.path),
        }
    }
    /// Goes on to the next field that is not the same in both, up to the end.
    fn next(&mut self) -> Option<Step<'a>> {
        while let Some(element) = self.one.next() {
            let found = self.other.take(element.key());
            let Some(found) = found.and_then(|at| self.other.fields.element(at)) else {
                return Some(Step::Differs(self.below(element.key())));
            };
            let (one, other) = (element.value(), found.value());
            if one == other {
                continue;
            }
            let path = self.below(element.key());
            let nests = one.kind == other.kind && matches!(one.kind, kind::DOCUMENT | kind::ARRAY);
            return Some(match nests {
                true => Step::Into(path, one.bytes, other.bytes),
                false => Step::Differs(path),
            });
        }
        None
    }
}

enum Step<'a> {
    Differs(String),
    /// Two documents at a path, which may differ.
    Into(String, &'a [u8], &'a [u8]),
}

/// Like [`differing_paths`], with another limit.
pub fn differing_paths_up_to(one: &[u8], other: &[u8], limit: usize) -> Vec<String> {
    let mut open = vec![Pair::new(String::new(), one, other)];
    let mut paths = Vec::new();
    while paths.len() < limit {
        let can_go_on = open.len() <= DEEPEST;
        let Some(pair) = open.last_mut() else { break };
        match pair.next() {
            Some(Step::Into(path, one, other)) if can_go_on => {
                open.push(Pair::new(path, one, other));
            }
            Some(Step::Differs(path) | Step::Into(path, ..)) => paths.push(path),
            None => {
                let left = pair.other.rest().filter_map(|at| pair.other.fields.element(at));
                let room = limit - paths.len();
                paths.extend(left.take(room).map(|element| pair.below(element.key())));
                open.pop();
            }
        }
    }
    paths.sort();
    paths
}

/// Whether two documents differ in more than the order of their fields.
pub fn differ(one: &[u8], other: &[u8]) -> bool {
    one != other && !differing_paths_up_to(one, other, 1).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Value, Writer};

    /// A document of so many levels, the innermost with this field.
    fn nested(levels: usize, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut open = vec![out.open()];
        for _ in 1..levels {
            out.head(kind::DOCUMENT, b"a\0");
            open.push(out.open());
        }
        out.element(name, Value::NULL);
        while let Some(one) = open.pop() {
            out.close(one);
        }
        out
    }

    /// Level by level, a million levels would be compared a million times.
    #[test]
    fn paths_go_as_deep_as_a_server_stores_documents() {
        let (one, other) = (nested(100, b"x\0"), nested(100, b"y\0"));
        let paths = differing_paths(&one, &other);
        assert_eq!(paths, [format!("{}x", "a.".repeat(99)), format!("{}y", "a.".repeat(99))]);
        let (one, other) = (nested(100_000, b"x\0"), nested(100_000, b"y\0"));
        assert_eq!(differing_paths(&one, &other).len(), 1);
        assert!(differ(&one, &other) && !differ(&one, &one));
    }

    #[test]
    fn names_in_paths_are_cut() {
        let name = [&vec![b'x'; 100_000][..], &[0]].concat();
        let (one, other) = (nested(1, &name), nested(1, b"y\0"));
        let lengths: Vec<usize> = differing_paths(&one, &other).iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST_NAME, 1]);
    }

    #[test]
    fn many_documents_in_another_order_inside_do_not_differ() {
        let document = |names: [&[u8]; 2]| {
            let mut out = Vec::new();
            let open = out.open();
            for number in 0..500 {
                out.head(kind::DOCUMENT, format!("{number}\0").as_bytes());
                let inner = out.open();
                names.iter().for_each(|name| out.element(name, Value::NULL));
                out.close(inner);
            }
            out.close(open);
            out
        };
        assert!(!differ(&document([b"a\0", b"b\0"]), &document([b"b\0", b"a\0"])));
        assert!(differ(&document([b"a\0", b"b\0"]), &document([b"b\0", b"c\0"])));
    }
}
