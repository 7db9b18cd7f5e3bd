//! Finds the fields in which two documents differ.

use std::collections::{HashMap, VecDeque};

use super::element::Value;
use super::kinds::kind;

/// The paths of the fields in which two documents differ, about a hundred at most. The order of
/// fields does not count, and paths are as deep as possible.
pub fn differing_paths(one: &[u8], other: &[u8]) -> Vec<String> {
    differing_paths_up_to(one, other, 100)
}

/// Like [`differing_paths`], but without a limit.
pub fn all_differing_paths(one: &[u8], other: &[u8]) -> Vec<String> {
    differing_paths_up_to(one, other, usize::MAX)
}

fn differing_paths_up_to(one: &[u8], other: &[u8], limit: usize) -> Vec<String> {
    let whole = |bytes| Value { kind: kind::DOCUMENT, bytes };
    let mut open = vec![(String::new(), whole(one), whole(other))];
    let mut paths = Vec::new();
    while let Some((path, one, other)) = open.pop() {
        if paths.len() >= limit {
            break;
        }
        let below = |key: &[u8]| {
            let key = String::from_utf8_lossy(key).escape_debug().to_string();
            if path.is_empty() { key } else { format!("{path}.{key}") }
        };
        let theirs: Vec<_> = other.elements().collect();
        let mut matched = vec![false; theirs.len()];
        // The first field that is not matched yet is mostly the right one. Others are found by
        // name.
        let mut next = 0;
        let mut by_name: Option<HashMap<&[u8], VecDeque<usize>>> = None;
        for element in one.elements() {
            while matched.get(next) == Some(&true) {
                next += 1;
            }
            let found =
                if theirs.get(next).is_some_and(|candidate| candidate.key() == element.key()) {
                    Some(next)
                } else {
                    let places = by_name.get_or_insert_with(|| {
                        let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
                        theirs.iter().enumerate().skip(next).for_each(|(at, their)| {
                            places.entry(their.key()).or_default().push_back(at)
                        });
                        places
                    });
                    let places = places.get_mut(element.key());
                    places.and_then(|places| {
                        std::iter::from_fn(|| places.pop_front()).find(|at| !matched[*at])
                    })
                };
            let Some(at) = found else {
                paths.push(below(element.key()));
                continue;
            };
            matched[at] = true;
            let (mine, theirs) = (element.value(), theirs[at].value());
            let descend =
                mine.kind == theirs.kind && matches!(mine.kind, kind::DOCUMENT | kind::ARRAY);
            if mine != theirs && descend {
                open.push((below(element.key()), mine, theirs));
            } else if mine != theirs {
                paths.push(below(element.key()));
            }
        }
        paths.extend(
            theirs
                .iter()
                .zip(&matched)
                .filter(|(_, matched)| !**matched)
                .map(|(element, _)| below(element.key())),
        );
    }
    paths.sort();
    paths
}
