//! Compiles what values must be, queries and requirements.

use std::ops::Bound;

use regex::bytes::RegexBuilder;

use super::{Compiler, Reads};
use crate::mapping::check::{Check, Content, Range};
use crate::mapping::language::{
    Comparison as WrittenComparison, Condition as WrittenCondition, Constant, Kinds, Must,
    Query as WrittenQuery, Requirement as WrittenRequirement, Row as WrittenRow,
};
use crate::mapping::plan::{Path, Requirement};
use crate::mapping::query::{Comparison, Condition, OneOf, Query};
use crate::raw::{display_value, extended_json_of, kind, kind_name};

impl<'m> Compiler<'m, '_> {
    /// Compiles what a value at this place must be.
    pub(super) fn check(&mut self, at: &str, must: &Must) -> Check {
        let items =
            must.items.as_ref().map(|items| Box::new(self.check(&format!("{at}[]"), items)));
        let additional = must
            .additional
            .as_ref()
            .map(|additional| Box::new(self.check(&format!("{at}.*"), additional)));
        let mut properties = Vec::new();
        for (name, property) in &must.properties {
            let mut check = self.check(&format!("{at}.{}", name.value), property);
            let is_required = must.required.iter().any(|required| required.value == name.value);
            check.optional = !is_required;
            properties.push((name.as_bytes().into(), check));
        }
        let named = |name: &str| must.properties.iter().any(|(known, _)| known.value == name);
        for name in must.required.iter().filter(|name| !named(name)) {
            let check = self.check(&format!("{at}.{}", name.value), &Must::any());
            properties.push((name.as_bytes().into(), check));
        }
        let any_of: Vec<Check> = must.any_of.iter().map(|one| self.check(at, one)).collect();
        let not = must.not.as_ref().map(|not| Box::new(self.check(at, not)));
        let one_of = OneOf::new(&must.one_of);
        let pattern = must.pattern.as_ref().and_then(|pattern| {
            let built = RegexBuilder::new(pattern)
                .case_insensitive(must.any_case)
                .unicode(false)
                .size_limit(PATTERN_BYTES)
                .build();
            if let Err(error) = &built {
                // The place in the pattern is drawn in lines of its own, above what is wrong.
                let error = error.to_string();
                let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.error(&pattern.at, format!("the pattern cannot be used: {what}"));
            }
            built.ok()
        });
        let range = range(must);
        let item_count = (must.min_items.is_some() || must.max_items.is_some())
            .then(|| (must.min_items.unwrap_or(0), must.max_items.unwrap_or(u64::MAX)));
        let others = [
            pattern.is_some(),
            item_count.is_some(),
            additional.is_some(),
            !properties.is_empty(),
            !any_of.is_empty(),
            not.is_some(),
        ];
        let content = match (!one_of.is_empty(), range.is_some(), items.is_some()) {
            _ if others.contains(&true) => Content::Several,
            (false, false, false) => Content::Any,
            (true, false, false) => Content::OneOf,
            (false, true, false) => Content::Range,
            (false, false, true) => Content::Items,
            _ => Content::Several,
        };
        Check {
            rule: self.rule(at, describe(must)),
            kinds: must.kinds.unwrap_or(Kinds(u32::MAX)),
            optional: must.optional,
            content,
            one_of,
            any_case: must.any_case,
            pattern,
            range,
            item_count,
            items,
            properties,
            additional,
            any_of,
            not,
        }
    }

    /// Compiles a query on what a table's rows read.
    pub(super) fn query(&mut self, query: &'m WrittenQuery, reads: Reads<'m>) -> Query {
        let all = query.all.iter().map(|condition| self.condition(condition, reads)).collect();
        Query { all }
    }

    fn condition(&mut self, condition: &'m WrittenCondition, reads: Reads<'m>) -> Condition {
        match condition {
            WrittenCondition::AnySet(paths) => {
                Condition::AnySet(paths.iter().map(|path| self.derived(path, reads)).collect())
            }
            WrittenCondition::NotEmpty(path) => Condition::NotEmpty(self.derived(path, reads)),
            WrittenCondition::Or(all) => {
                Condition::Or(all.iter().map(|query| self.query(query, reads)).collect())
            }
            WrittenCondition::Nor(all) => {
                Condition::Nor(all.iter().map(|query| self.query(query, reads)).collect())
            }
            WrittenCondition::Field(path, all) => {
                Condition::Field(self.derived(path, reads), all.iter().map(comparison).collect())
            }
        }
    }

    /// Compiles what a table's documents need. Its queries are on what is written, so their fields
    /// are rows.
    pub(super) fn requirements(
        &mut self,
        fields: &'m [WrittenRow],
        requires: &'m [WrittenRequirement],
        reads: Reads<'m>,
    ) -> Vec<Requirement> {
        let row = |name: &str| {
            fields
                .iter()
                .position(|field| field.name.as_ref().is_some_and(|known| known.value == name))
        };
        let mut compiled = Vec::new();
        for requirement in requires {
            let mut any = Vec::new();
            for name in &requirement.any {
                match row(name) {
                    Some(row) => any.push(row),
                    None => self.error(&name.at, format!("'{}' has no row here", name.value)),
                }
            }
            let when = self.written_query(&requirement.when, &row);
            let names: Vec<&str> = requirement.any.iter().map(|name| name.as_str()).collect();
            compiled.push(Requirement {
                when,
                any,
                rule: self.rule(
                    format!("{}.{}", reads.name, names.join("|")),
                    format!("{} must be set: {}", one_of(&names), query_text(&requirement.when)),
                ),
            });
        }
        compiled
    }

    fn written_query(
        &mut self,
        query: &'m WrittenQuery,
        row: &dyn Fn(&str) -> Option<usize>,
    ) -> Query {
        let mut path = |path: &crate::mapping::language::Path| {
            let (head, below) = path
                .names
                .split_first()
                .map_or(("", &[][..]), |(head, below)| (head.as_str(), below));
            let number = row(head);
            if number.is_none() {
                self.problems.error(&path.at, format!("'{head}' has no row here"));
            }
            Path {
                head: number.unwrap_or_default(),
                below: below.iter().map(|name| name.as_bytes().into()).collect(),
            }
        };
        let mut all = Vec::new();
        for condition in &query.all {
            all.push(match condition {
                WrittenCondition::AnySet(paths) => {
                    Condition::AnySet(paths.iter().map(&mut path).collect())
                }
                WrittenCondition::NotEmpty(one) => Condition::NotEmpty(path(one)),
                WrittenCondition::Field(one, all) => {
                    Condition::Field(path(one), all.iter().map(comparison).collect())
                }
                WrittenCondition::Or(_) | WrittenCondition::Nor(_) => {
                    self.problems.error(
                        &query.at,
                        "`requires` takes no `$or` and `$nor`; write one requirement for each case",
                    );
                    return Query { all };
                }
            });
        }
        Query { all }
    }
}

/// The most memory that a pattern may take when compiled.
const PATTERN_BYTES: usize = 1 << 20;

fn comparison(written: &WrittenComparison) -> Comparison {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match written {
        WrittenComparison::Equal(value) => Comparison::Equal(value.clone()),
        WrittenComparison::NotEqual(value) => Comparison::NotEqual(value.clone()),
        WrittenComparison::In(values) => Comparison::In(OneOf::new(values)),
        WrittenComparison::NotIn(values) => Comparison::NotIn(OneOf::new(values)),
        WrittenComparison::Exists(exists) => Comparison::Exists(*exists),
        WrittenComparison::Type(kinds) => Comparison::Type(*kinds),
        WrittenComparison::Greater(value) => Comparison::Ordered(value.clone(), [Greater, Greater]),
        WrittenComparison::GreaterOrEqual(value) => {
            Comparison::Ordered(value.clone(), [Greater, Equal])
        }
        WrittenComparison::Less(value) => Comparison::Ordered(value.clone(), [Less, Less]),
        WrittenComparison::LessOrEqual(value) => Comparison::Ordered(value.clone(), [Less, Equal]),
    }
}

fn range(must: &Must) -> Option<Range> {
    let bound = |value: Option<f64>, exclusive: bool| match (value, exclusive) {
        (None, _) => Bound::Unbounded,
        (Some(value), true) => Bound::Excluded(value),
        (Some(value), false) => Bound::Included(value),
    };
    (must.minimum.is_some() || must.maximum.is_some()).then(|| Range {
        from: bound(must.minimum, must.exclusive_minimum),
        to: bound(must.maximum, must.exclusive_maximum),
    })
}

/// What a value must be, in words.
pub(in crate::mapping) fn describe(must: &Must) -> String {
    let mut types: Vec<String> = must.optional.then(|| "absent".to_owned()).into_iter().collect();
    match must.kinds {
        Some(kinds) => types.extend(types_of(kinds)),
        None => types.push("a value".to_owned()),
    }
    let mut text = format!("must be {}", types.join(" or "));
    if !must.one_of.is_empty() {
        text += &format!(", one of {}", constants(&must.one_of));
    }
    text += &bounds(must);
    if let Some(pattern) = &must.pattern {
        text += &format!(" that matches {}", pattern.value);
    }
    match (must.min_items, must.max_items) {
        (Some(least), Some(most)) => text += &format!(" of {least} to {most} items"),
        (Some(least), None) => text += &format!(" of at least {least} items"),
        (None, Some(most)) => text += &format!(" of at most {most} items"),
        (None, None) => {}
    }
    if !must.any_of.is_empty() {
        let all: Vec<String> = must.any_of.iter().map(fulfilled).collect();
        text += &format!(" that fulfils one of: {}", all.join("; "));
    }
    if let Some(not) = &must.not {
        text += &format!(", but not one that fulfils: {}", fulfilled(not));
    }
    text
}

/// One of several demands, in words.
fn fulfilled(must: &Must) -> String {
    let mut text = describe(must).replacen("must be ", "", 1);
    let required: Vec<&str> = must.required.iter().map(|name| name.as_str()).collect();
    if !required.is_empty() {
        text += &format!(" with {}", required.join(", "));
    }
    text
}

/// The types of a set, in words.
fn types_of(kinds: Kinds) -> Vec<String> {
    let mut left: Vec<u8> = ALL_KINDS.iter().copied().filter(|kind| kinds.has(*kind)).collect();
    let mut texts = Vec::new();
    let groups: [(&[u8], &str); 4] = [
        (&[kind::INT32, kind::INT64, kind::DOUBLE, kind::DECIMAL128], "a number"),
        (&[kind::INT32, kind::INT64, kind::DOUBLE], "a number"),
        (&[kind::INT32, kind::INT64], "an integer"),
        (&[kind::NULL], "null"),
    ];
    // Null stands first, as in `null or a string`.
    for (group, text) in groups.iter().rev().take(1).chain(&groups[..3]) {
        if group.iter().all(|kind| left.contains(kind)) {
            texts.push((*text).to_owned());
            left.retain(|kind| !group.contains(kind));
        }
    }
    texts.extend(left.iter().map(|kind| with_article(kind_name(*kind))));
    texts
}

const ALL_KINDS: [u8; 21] = [
    kind::STRING,
    kind::BOOLEAN,
    kind::INT32,
    kind::INT64,
    kind::DOUBLE,
    kind::DECIMAL128,
    kind::DATE,
    kind::OBJECT_ID,
    kind::DOCUMENT,
    kind::ARRAY,
    kind::BINARY,
    kind::UNDEFINED,
    kind::NULL,
    kind::REGEX,
    kind::DB_POINTER,
    kind::CODE,
    kind::SYMBOL,
    kind::CODE_WITH_SCOPE,
    kind::TIMESTAMP,
    kind::MIN_KEY,
    kind::MAX_KEY,
];

fn with_article(name: &str) -> String {
    match name {
        "undefined" | "MinKey" | "MaxKey" | "null" => name.to_owned(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'O']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// A constraint's bounds in words.
fn bounds(must: &Must) -> String {
    let lower = must.minimum.filter(|_| !must.exclusive_minimum);
    let upper = must.maximum.filter(|_| !must.exclusive_maximum);
    let mut text = match (lower, upper) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(" of at least {min}"),
        (None, Some(max)) => format!(" of at most {max}"),
        (None, None) => String::new(),
    };
    let above = must.minimum.filter(|_| must.exclusive_minimum);
    let below = must.maximum.filter(|_| must.exclusive_maximum);
    text += &above.map(|above| format!(" above {above}")).unwrap_or_default();
    let and = if above.is_some() { " and" } else { "" };
    text += &below.map(|below| format!("{and} below {below}")).unwrap_or_default();
    text
}

fn constants(values: &[Constant]) -> String {
    values.iter().map(constant_text).collect::<Vec<_>>().join(", ")
}

/// A constant, in Extended JSON; a string without its quotes.
pub(in crate::mapping) fn constant_text(constant: &Constant) -> String {
    match constant.value().text() {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None if matches!(constant.kind, kind::DOCUMENT | kind::ARRAY)
            && constant.bytes.len() < 64 =>
        {
            extended_json_of(constant.value()).lines().map(str::trim).collect::<Vec<_>>().join(" ")
        }
        None => display_value(constant.value()),
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [one] => format!("'{one}'"),
        _ => format!("one of {}", names.join(", ")),
    }
}

/// A query in words.
pub(in crate::mapping) fn query_text(query: &WrittenQuery) -> String {
    let join = |all: &[WrittenQuery]| {
        all.iter().map(|query| format!("({})", query_text(query))).collect::<Vec<_>>()
    };
    let all: Vec<String> = query
        .all
        .iter()
        .map(|condition| match condition {
            WrittenCondition::AnySet(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.names.join(".")).collect();
                format!("any of {} is set", paths.join(", "))
            }
            WrittenCondition::NotEmpty(path) => format!("{} has items", path.names.join(".")),
            WrittenCondition::Or(all) => join(all).join(" or "),
            WrittenCondition::Nor(all) => format!("none of {}", join(all).join(", ")),
            WrittenCondition::Field(path, all) => {
                let path = path.names.join(".");
                let all: Vec<String> =
                    all.iter().map(|one| format!("{path} {}", comparison_text(one))).collect();
                all.join(" and ")
            }
        })
        .collect();
    all.join(" and ")
}

fn comparison_text(comparison: &WrittenComparison) -> String {
    match comparison {
        WrittenComparison::Equal(value) => format!("is {}", constant_text(value)),
        WrittenComparison::NotEqual(value) => format!("is not {}", constant_text(value)),
        WrittenComparison::In(values) => format!("is one of {}", constants(values)),
        WrittenComparison::NotIn(values) => format!("is none of {}", constants(values)),
        WrittenComparison::Exists(true) => "is there".to_owned(),
        WrittenComparison::Exists(false) => "is not there".to_owned(),
        WrittenComparison::Type(kinds) => format!("is {}", types_of(*kinds).join(" or ")),
        WrittenComparison::Greater(value) => format!("> {}", constant_text(value)),
        WrittenComparison::GreaterOrEqual(value) => format!(">= {}", constant_text(value)),
        WrittenComparison::Less(value) => format!("< {}", constant_text(value)),
        WrittenComparison::LessOrEqual(value) => format!("<= {}", constant_text(value)),
    }
}
