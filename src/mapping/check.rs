//! Checks of the documents to be written: what the application's models accept, and what a server
//! accepts.

use thiserror::Error;

use super::forward::holds_strings;
use super::plan::{Check, Item, Plan, Row, RowValue, fingerprint};
use super::shape::Record;
use crate::raw::{self, Elements, Value, kind};

/// Why a server would refuse a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A server would generate a different `_id` in each collection.
    #[error("has no _id, so a server would give it a different one in each collection")]
    NoId,
    /// A type that `_id` cannot have.
    #[error("its _id is of type {0}, which a server refuses")]
    IdType(&'static str),
    /// Two arrays in one compound index.
    #[error("{collection}: index '{index}' cannot hold two arrays in one document")]
    ParallelArrays {
        /// The target.
        collection: String,
        /// The index.
        index: String,
    },
    /// Too large once mapped.
    #[error("{collection}: the document would have {bytes} bytes, a server accepts 16777216")]
    TooLarge {
        /// The target.
        collection: String,
        /// Its size.
        bytes: usize,
    },
    /// Nested too deeply once mapped.
    #[error("{collection}: the document would be nested {depth} levels deep, a server accepts 180")]
    TooDeep {
        /// The target.
        collection: String,
        /// Its depth.
        depth: u32,
    },
    /// An earlier document has the same value in a unique index.
    #[error("{collection}: an earlier document has the same value in the unique index '{index}'")]
    Duplicate {
        /// The target.
        collection: String,
        /// The index.
        index: String,
    },
}

/// Checks one document of a target, but not its items. Calls `broken` with the number of each rule
/// that it breaks, perhaps more than once, and `unique` with the value of each unique index.
/// `source_depth` is the depth of the source document.
pub(super) fn check_document(
    plan: &Plan,
    number: usize,
    record: Record<'_>,
    source_depth: u32,
    mut broken: impl FnMut(usize),
    mut unique: impl FnMut(usize, u128),
) -> Option<Refusal> {
    let target = &plan.targets[number];
    for (row_number, row) in target.rows.iter().enumerate() {
        check_row(row, record.get(row_number), &mut broken);
    }
    for index in &target.unique {
        let values = index.rows.iter().map(|row| record.get(*row).unwrap_or(Value::NULL));
        unique(index.class, fingerprint(values));
    }
    refusal(plan, number, record, source_depth)
}

/// Whether a server would refuse a document, and why.
fn refusal(plan: &Plan, number: usize, record: Record<'_>, source_depth: u32) -> Option<Refusal> {
    let target = &plan.targets[number];
    let document = record.bytes;
    let collection = || target.collection.clone();
    match target.names.number(b"_id").and_then(|id| record.get(id)).map(|id| id.kind) {
        None => return Some(Refusal::NoId),
        Some(refused @ (kind::ARRAY | kind::REGEX | kind::UNDEFINED)) => {
            return Some(Refusal::IdType(raw::kind_name(refused)));
        }
        Some(_) => {}
    }
    let is_array = |row: &&usize| record.get(**row).is_some_and(|value| value.kind == kind::ARRAY);
    for (rows, index) in
        target.compound.iter().zip(target.indexes.iter().filter(|index| index.key.len() > 1))
    {
        if rows.iter().filter(is_array).count() > 1 {
            return Some(Refusal::ParallelArrays {
                collection: collection(),
                index: index.name.clone(),
            });
        }
    }
    if document.len() > raw::MAX_DOCUMENT_BYTES {
        return Some(Refusal::TooLarge { collection: collection(), bytes: document.len() });
    }
    // Rows nest source values at most one level (`document`) deeper, plucked ones two.
    if source_depth + 2 > raw::MAX_STORED_DEPTH {
        let depth = raw::depth(document);
        if depth > raw::MAX_STORED_DEPTH {
            return Some(Refusal::TooDeep { collection: collection(), depth });
        }
    }
    None
}

fn check_row(row: &Row, value: Option<Value<'_>>, broken: &mut impl FnMut(usize)) {
    if let Some(check) = &row.check {
        check_value(check, value, broken);
    }
    if let (RowValue::Document(rows), Some(value)) = (&row.value, value) {
        for row in rows {
            check_row(row, value.elements().find(&row.name_nul[..row.name_nul.len() - 1]), broken);
        }
    }
}

/// Checks one item of the target and appends the rules that it breaks.
pub(super) fn check_item(item: &Item, record: Record<'_>, broken: &mut Vec<usize>) {
    let mut broken = |rule| broken.push(rule);
    for row in &item.rows {
        if let Some(check) = &row.check {
            check_value(check, record.get(row.own), &mut broken);
        }
    }
    for requirement in &item.requires {
        let text = record.get(item.rows[requirement.row].own).and_then(|value| value.text());
        let applies = text.is_some_and(|text| requirement.one_of.find(text).is_some());
        // The application's own check treats empty values as missing.
        let is_empty = |value: Value<'_>| {
            value.is_null() || value.is_empty_array() || value.text().is_some_and(<[u8]>::is_empty)
        };
        let is_set =
            |row: &usize| record.get(item.rows[*row].own).is_some_and(|value| !is_empty(value));
        if applies && !requirement.needs_any.iter().any(is_set) {
            broken(requirement.rule);
        }
    }
}

#[inline]
fn check_value(check: &Check, value: Option<Value<'_>>, broken: &mut impl FnMut(usize)) {
    match value {
        None if check.optional => {}
        Some(value) if check.kinds.has(value.kind) => {
            if !check.by_type_alone {
                check_content(check, value, broken);
            }
        }
        _ => broken(check.rule),
    }
}

/// Checks the content of a value whose type passes.
fn check_content(check: &Check, value: Value<'_>, broken: &mut impl FnMut(usize)) {
    if check.strings && value.kind == kind::ARRAY && !holds_strings(value) {
        return broken(check.rule);
    }
    if let Some(text) = value.text()
        && !is_known_text(check, text)
    {
        broken(check.rule);
    }
    if let (Some(range), false) = (check.range, value.is_null())
        && !range.has(
            value
                .integer()
                .map(|integer| integer as f64)
                .or_else(|| value.double())
                .unwrap_or(f64::NAN),
        )
    {
        broken(check.rule);
    }
    if let Some(items) = check.items.as_ref().filter(|_| value.kind == kind::ARRAY) {
        value.elements().for_each(|item| check_value(items, Some(item.value()), broken));
    }
    if value.kind == kind::DOCUMENT {
        for (names, check) in &check.fields {
            let Some(name) =
                names.iter().find(|name| Elements::new(value.bytes).find(name).is_some())
            else {
                check_value(check, None, broken);
                continue;
            };
            // The application's driver takes the last of several; here each must pass.
            let of_name = value.elements().filter(|element| element.key() == &**name);
            of_name.for_each(|element| check_value(check, Some(element.value()), broken));
        }
        if let Some(values) = &check.values {
            value.elements().for_each(|field| check_value(values, Some(field.value()), broken));
        }
    }
}

/// Whether a string is one that passes.
fn is_known_text(check: &Check, text: &[u8]) -> bool {
    let begins = |start: &[u8]| {
        text.get(..start.len())
            .is_some_and(|head| head == start || check.any_case && head.eq_ignore_ascii_case(start))
    };
    let is_one = check.one_of.is_empty()
        || check.one_of.find(text).is_some()
        || check.any_case && check.one_of.has_in_any_case(text);
    is_one && (check.starts_with.is_empty() || check.starts_with.iter().any(|start| begins(start)))
}
