//! Compares values, and the items of arrays, for a merge.

use crate::fingerprints::document_digest;
use crate::raw::{Elements, Value, Writer, differ, kind};

/// Whether two values are the same, ignoring the order of fields.
pub(super) fn same(one: Option<Value<'_>>, other: Option<Value<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let nests = one.kind == other.kind && matches!(one.kind, kind::DOCUMENT | kind::ARRAY);
            one == other || nests && !differ(one.bytes, other.bytes)
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether two documents are the same, ignoring the order of fields.
pub(super) fn same_document(one: &[u8], other: &[u8]) -> bool {
    !differ(one, other)
}

/// Whether a document has the `_id` of the one that was migrated.
pub(super) fn has_same_id(base: Option<&[u8]>, current: &[u8]) -> bool {
    base.is_some_and(|base| id(base) == id(current))
}

/// A document's `_id`.
pub(super) fn id(document: &[u8]) -> Option<Value<'_>> {
    Elements::new(document).find(b"_id")
}

/// The value, if it is a document.
pub(super) fn document(value: Option<Value<'_>>) -> Option<Value<'_>> {
    value.filter(|value| value.kind == kind::DOCUMENT)
}

/// A digest of the fields of a document that `goes_back` names, ignoring their order.
pub(super) fn carried_digest(value: Value<'_>, goes_back: impl Fn(&[u8]) -> bool) -> u128 {
    if value.kind != kind::DOCUMENT || value.elements().all(|element| goes_back(element.key())) {
        return unordered_digest(value);
    }
    let mut carried = Vec::new();
    let open = carried.open();
    value
        .elements()
        .filter(|element| goes_back(element.key()))
        .for_each(|element| carried.put(element.bytes));
    carried.close(open);
    unordered_digest(Value { kind: kind::DOCUMENT, bytes: &carried })
}

/// A digest of a value that does not depend on the order of its fields, at any depth.
fn unordered_digest(value: Value<'_>) -> u128 {
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
