//! Checks of the documents to be written: what the application accepts (`must`), and what a server
//! accepts.

use regex::bytes::Regex;
use thiserror::Error;

use super::evaluate::follow;
use super::language::Kinds;
use super::plan::{Operator, Path, Plan, Row, Table};
use super::query::{OneOf, as_double};
use super::shape::Record;
use crate::raw::{self, Value, kind};

/// Why a server would refuse a document, or the mapping does not take it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A server would generate a different `_id` in each collection.
    #[error("has no _id, so a server would give it a different one in each collection")]
    NoId,
    /// A document of a target has no `_id`.
    #[error("{collection}: the document would have no _id, so a server would make one up")]
    NoTargetId {
        /// The target.
        collection: String,
    },
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
    /// Unwinding makes too much of one document.
    #[error("unwinding would make {bytes} bytes of its {of}; at most {limit} are made")]
    TooMuch {
        /// What all its unwound documents would have.
        bytes: usize,
        /// What the source document has.
        of: usize,
        /// 4 times that and 64 KiB.
        limit: usize,
    },
    /// An earlier document has the same value in a unique index.
    #[error("{collection}: an earlier document has the same value in the unique index '{index}'")]
    Duplicate {
        /// The target.
        collection: String,
        /// The index.
        index: String,
    },
    /// No target takes it.
    #[error("no target of the mapping takes it")]
    Unmatched,
}

impl Refusal {
    /// What it is about, without the numbers of the document.
    #[doc(hidden)]
    pub fn kind(&self) -> String {
        match self {
            Refusal::NoId => "no _id".to_owned(),
            Refusal::NoTargetId { collection } => format!("{collection}: no _id"),
            Refusal::IdType(kind) => format!("_id of type {kind}"),
            Refusal::ParallelArrays { collection, index } => {
                format!("{collection}: two arrays in index '{index}'")
            }
            Refusal::TooLarge { collection, .. } => format!("{collection}: too large"),
            Refusal::TooDeep { collection, .. } => format!("{collection}: nested too deep"),
            Refusal::TooMuch { .. } => "unwinds to too much".to_owned(),
            Refusal::Duplicate { collection, index } => {
                format!("{collection}: a value of unique index '{index}' twice")
            }
            Refusal::Unmatched => "no target".to_owned(),
        }
    }
}

/// What a value must be, and the rule that a finding names otherwise.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub rule: usize,
    /// The element types that pass.
    pub kinds: Kinds,
    /// A missing value passes.
    pub optional: bool,
    /// What else there is to check.
    pub content: Content,
    /// The value must be one of these, unless there are none.
    pub one_of: OneOf,
    pub any_case: bool,
    /// A string must match it.
    pub pattern: Option<Regex>,
    pub range: Option<Range>,
    /// The least and the greatest number of items.
    pub item_count: Option<(u64, u64)>,
    pub items: Option<Box<Check>>,
    pub properties: Vec<(Box<[u8]>, Check)>,
    /// What each field must be that `properties` does not name.
    pub additional: Option<Box<Check>>,
    pub any_of: Vec<Check>,
    pub not: Option<Box<Check>>,
}

/// What a check looks at besides the type. It saves time and does not change the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Every value of the types passes.
    Any,
    /// Only whether it is one of some.
    OneOf,
    /// Only whether it is between two numbers.
    Range,
    /// Only the items.
    Items,
    Several,
}

/// What there is to check in a row. Most values pass by their type, which is found out here.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCheck {
    pub row: usize,
    /// It is the row of a document whose rows may have checks.
    pub is_document: bool,
    pub kinds: Kinds,
    /// A missing value passes.
    pub optional: bool,
    /// Every value of these types passes.
    pub by_type_alone: bool,
}

impl RowCheck {
    /// What there is to check in each row that has a check, or holds rows that have.
    pub fn of(rows: &[Row]) -> Vec<RowCheck> {
        let of = |(row, one): (usize, &Row)| {
            let check = one.check.as_ref();
            one.is_checked().then(|| RowCheck {
                row,
                is_document: matches!(one.chain.first.operator, Operator::Document(_)),
                kinds: check.map_or(Kinds(0), |check| check.kinds),
                optional: check.is_some_and(|check| check.optional),
                by_type_alone: check.is_some_and(|check| check.content == Content::Any),
            })
        };
        rows.iter().enumerate().filter_map(of).collect()
    }
}

/// Numbers between two bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub from: std::ops::Bound<f64>,
    pub to: std::ops::Bound<f64>,
}

impl Range {
    /// Whether it contains a value, if that is a number.
    #[inline]
    pub fn has_value(self, value: Value<'_>) -> bool {
        match value.kind {
            kind::INT32 | kind::INT64 => {
                value.integer().is_none_or(|number| self.has(number as f64))
            }
            _ => as_double(value).is_none_or(|number| self.has(number)),
        }
    }
    /// Whether it contains a number. It never contains NaN.
    pub fn has(self, number: f64) -> bool {
        !number.is_nan() && std::ops::RangeBounds::contains(&(self.from, self.to), &number)
    }
}

impl Check {
    /// Whether a value conforms.
    #[inline]
    pub fn passes(&self, value: Value<'_>) -> bool {
        let mut passes = true;
        self.check(Some(value), &mut |_| passes = false);
        passes
    }

    /// Calls `broken` with the number of each rule that the value breaks, perhaps more than once.
    #[inline(always)]
    pub fn check(&self, value: Option<Value<'_>>, broken: &mut dyn FnMut(usize)) {
        match value {
            None if self.optional => {}
            Some(value) if self.kinds.has(value.kind) => self.check_content(value, broken),
            _ => broken(self.rule),
        }
    }

    /// Checks the content of a value whose type passes.
    #[inline(always)]
    fn check_content(&self, value: Value<'_>, broken: &mut dyn FnMut(usize)) {
        let passes = match self.content {
            Content::Any => true,
            Content::OneOf => self.is_known(value),
            Content::Range => self.range.is_none_or(|range| range.has_value(value)),
            Content::Items => return self.check_items(value, broken),
            Content::Several => return self.check_all(value, broken),
        };
        if !passes {
            broken(self.rule);
        }
    }

    #[inline(never)]
    fn check_items(&self, value: Value<'_>, broken: &mut dyn FnMut(usize)) {
        if let Some(items) = self.items.as_ref().filter(|_| value.kind == kind::ARRAY) {
            value.elements().for_each(|item| items.check(Some(item.value()), broken));
        }
    }

    #[inline(never)]
    fn check_all(&self, value: Value<'_>, broken: &mut dyn FnMut(usize)) {
        let is_known = self.one_of.is_empty() || self.is_known(value);
        let matches = self.pattern.is_none() || self.matches(value);
        let is_in_range = self.range.is_none_or(|range| range.has_value(value));
        let is_counted = self.item_count.is_none() || self.is_counted(value);
        let is_combined = self.any_of.is_empty() && self.not.is_none() || self.is_combined(value);
        if !(is_known && matches && is_in_range && is_counted && is_combined) {
            broken(self.rule);
        }
        self.check_items(value, broken);
        if value.kind == kind::DOCUMENT {
            self.check_fields(value, broken);
        }
    }

    fn check_fields(&self, value: Value<'_>, broken: &mut dyn FnMut(usize)) {
        for (name, check) in &self.properties {
            // The application's driver takes the last of several; here each must pass.
            let mut is_there = false;
            for element in value.elements().filter(|element| element.key() == &**name) {
                is_there = true;
                check.check(Some(element.value()), broken);
            }
            if !is_there {
                check.check(None, broken);
            }
        }
        if let Some(check) = &self.additional {
            let is_named = |key: &[u8]| self.properties.iter().any(|(name, _)| **name == *key);
            let others = value.elements().filter(|element| !is_named(element.key()));
            others.for_each(|element| check.check(Some(element.value()), broken));
        }
    }

    #[inline]
    fn is_known(&self, value: Value<'_>) -> bool {
        self.one_of.has(value)
            || self.any_case
                && value.text().is_some_and(|text| self.one_of.texts.has_in_any_case(text))
    }

    fn matches(&self, value: Value<'_>) -> bool {
        let pattern = self.pattern.as_ref();
        pattern.is_none_or(|pattern| value.text().is_none_or(|text| pattern.is_match(text)))
    }

    fn is_counted(&self, value: Value<'_>) -> bool {
        self.item_count.is_none_or(|(least, most)| {
            value.kind != kind::ARRAY || (least..=most).contains(&(value.elements().count() as u64))
        })
    }

    fn is_combined(&self, value: Value<'_>) -> bool {
        (self.any_of.is_empty() || self.any_of.iter().any(|check| check.passes(value)))
            && self.not.as_ref().is_none_or(|check| !check.passes(value))
    }
}

/// Checks a document of a table, but not its items. Calls `broken` with the number of each rule that
/// it breaks, perhaps more than once.
pub(super) fn check_table(table: &Table, record: Record<'_>, broken: &mut dyn FnMut(usize)) {
    for one in &table.row_checks {
        match record.kind(one.row) {
            Some(kind) if one.by_type_alone && one.kinds.has(kind) => {}
            None if one.optional => {}
            _ if one.is_document => check_row(&table.rows[one.row], record.get(one.row), broken),
            _ => {
                if let Some(check) = &table.rows[one.row].check {
                    check.check(record.get(one.row), broken);
                }
            }
        }
    }
    for requirement in &table.requires {
        // The application's own check treats empty values as missing.
        let is_empty = |value: Value<'_>| {
            value.is_null() || value.is_empty_array() || value.text().is_some_and(<[u8]>::is_empty)
        };
        let is_set = |row: &usize| record.get(*row).is_some_and(|value| !is_empty(value));
        if requirement.when.holds(record, &mut false) && !requirement.any.iter().any(is_set) {
            broken(requirement.rule);
        }
    }
}

fn check_row(row: &Row, value: Option<Value<'_>>, broken: &mut dyn FnMut(usize)) {
    if let Some(check) = &row.check {
        check.check(value, broken);
    }
    if let Operator::Document(rows) = &row.chain.first.operator
        && let Some(value) = value.filter(|value| value.kind == kind::DOCUMENT)
    {
        for row in rows.iter().filter(|row| row.is_checked()) {
            check_row(row, value.elements().find(row.name()), broken);
        }
    }
}

/// Whether a server would refuse a document of a target, and why.
pub(super) fn refusal(
    plan: &Plan,
    number: usize,
    record: Record<'_>,
    source_depth: u32,
) -> Option<Refusal> {
    let target = &plan.targets[number];
    let document = record.bytes;
    let collection = || target.collection.clone();
    match record.kind(target.id) {
        None if target.unwind.is_some() => {
            return Some(Refusal::NoTargetId { collection: collection() });
        }
        None => return Some(Refusal::NoId),
        Some(refused @ (kind::ARRAY | kind::REGEX | kind::UNDEFINED)) => {
            return Some(Refusal::IdType(raw::kind_name(refused)));
        }
        Some(_) => {}
    }
    let is_array =
        |path: &&Path| follow(record, path).is_some_and(|value| value.kind == kind::ARRAY);
    for (paths, index) in
        target.compound.iter().zip(target.indexes.iter().filter(|index| index.key.len() > 1))
    {
        if paths.iter().filter(is_array).count() > 1 {
            return Some(Refusal::ParallelArrays {
                collection: collection(),
                index: index.name.clone(),
            });
        }
    }
    if document.len() > raw::MAX_DOCUMENT_BYTES {
        return Some(Refusal::TooLarge { collection: collection(), bytes: document.len() });
    }
    // Only where the source is deep too can a target be: rows nest values a few levels deeper.
    if source_depth + plan.levels_added() > raw::MAX_STORED_DEPTH {
        let depth = raw::depth(document);
        if depth > raw::MAX_STORED_DEPTH {
            return Some(Refusal::TooDeep { collection: collection(), depth });
        }
    }
    None
}
