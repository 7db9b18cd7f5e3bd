//! Compares values, and the items of arrays, for a merge.

use crate::fingerprints::document_digest;
use crate::mapping::plan::Item;
use crate::raw::{Elements, Value, Writer, differing_paths, kind};

/// Whether two values are the same, ignoring the order of fields.
pub(super) fn same(one: Option<Value<'_>>, other: Option<Value<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let nests = one.kind == other.kind && matches!(one.kind, kind::DOCUMENT | kind::ARRAY);
            one == other || nests && differing_paths(one.bytes, other.bytes).is_empty()
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// A digest of the fields of an item that go back to the source, ignoring their order.
pub(super) fn carried_digest(item: &Item, value: Value<'_>) -> u128 {
    let is_generated =
        |key: &[u8]| item.rows.iter().any(|row| row.generated && key_nul_is(&row.name_nul, key));
    if value.kind != kind::DOCUMENT || !item.rows.iter().any(|row| row.generated) {
        return unordered_digest(value);
    }
    let mut carried = Vec::new();
    let open = carried.open();
    value
        .elements()
        .filter(|element| !is_generated(element.key()))
        .for_each(|element| carried.put(element.bytes));
    carried.close(open);
    unordered_digest(Value { kind: kind::DOCUMENT, bytes: &carried })
}

/// Whether a name with a NUL equals this name without one.
pub(super) fn key_nul_is(name_nul: &[u8], key: &[u8]) -> bool {
    name_nul.strip_suffix(&[0]) == Some(key)
}

/// The items of a longest common subsequence, as positions in both.
///
/// Items that only one side has are removed first: comparing all of a long, rewritten history would
/// cost the square of its length.
pub(super) fn aligned_items(before: &[u128], now: &[u128]) -> Vec<(usize, usize)> {
    let common = |of: &[u128], other: &[u128]| -> (Vec<usize>, Vec<u128>) {
        let known: std::collections::HashSet<u128> = other.iter().copied().collect();
        of.iter().enumerate().filter(|(_, digest)| known.contains(digest)).unzip()
    };
    let (old_places, old) = common(before, now);
    let (new_places, new) = common(now, before);
    let mut pairs = Vec::new();
    for operation in similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
        if let similar::DiffOp::Equal { old_index, new_index, len } = operation {
            pairs.extend(
                (0..len).map(|at| (old_places[old_index + at], new_places[new_index + at])),
            );
        }
    }
    pairs
}

/// Whether a path is equal to another or inside it.
pub(super) fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A digest of a value that does not depend on the order of its fields, at any depth.
pub(super) fn unordered_digest(value: Value<'_>) -> u128 {
    // The open documents and arrays: the elements left, the sum so far, and the type and name to
    // mix in at the end.
    let mut open: Vec<(Elements<'_>, u128, Vec<u8>)> = Vec::new();
    let mut top = vec![value.kind];
    match value.kind {
        kind::DOCUMENT | kind::ARRAY => open.push((value.elements(), 1, top)),
        _ => {
            top.extend_from_slice(value.bytes);
            return document_digest(&top);
        }
    }
    while let Some((elements, sum, _)) = open.last_mut() {
        match elements.next() {
            Some(element) if matches!(element.kind(), kind::DOCUMENT | kind::ARRAY) => {
                let head = element.bytes[..1 + element.key_nul().len()].to_vec();
                open.push((element.value().elements(), 1, head));
            }
            Some(element) => *sum = sum.wrapping_add(document_digest(element.bytes)),
            None => {
                let Some((_, sum, mut head)) = open.pop() else { break };
                head.extend_from_slice(&sum.to_le_bytes());
                let digest = document_digest(&head);
                match open.last_mut() {
                    Some((_, outer, _)) => *outer = outer.wrapping_add(digest),
                    None => return digest,
                }
            }
        }
    }
    0
}

/// A copy of a document with one field set. Nothing if the value is neither a document nor null.
pub(super) fn with_field(
    document: Option<Value<'_>>,
    field: &[u8],
    value: Value<'_>,
) -> Option<Vec<u8>> {
    let elements = match document {
        Some(document) if document.kind == kind::DOCUMENT => Elements::new(document.bytes),
        Some(other) if !other.is_null() => return None,
        _ => Elements::of_body(&[]),
    };
    let key_nul = [field, &[0]].concat();
    let mut out = Vec::new();
    let open = out.open();
    let mut is_set = false;
    for element in elements {
        if element.key() == field && !is_set {
            out.element(&key_nul, value);
            is_set = true;
        } else {
            out.put(element.bytes);
        }
    }
    if !is_set {
        out.element(&key_nul, value);
    }
    out.close(open);
    Some(out)
}
