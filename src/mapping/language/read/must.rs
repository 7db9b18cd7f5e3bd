//! What a value must be, in the words of `$jsonSchema`.

use toml::de::DeValue;

use super::super::problem::Problems;
use super::super::words::{MUST, SUBSCHEMA, Table};
use super::super::{At, Must};
use super::constant::constant;
use super::path::{key_name, name};
use super::query::kinds;
use super::table::{Given, Words, every};

/// The value of `must`.
pub(super) fn must(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Must> {
    schema(given, &MUST, problems)
}

/// The value of `type`: names of types, or the words of `must`.
pub(super) fn only(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Must> {
    if given.value.get_ref().is_table() {
        return part(given, problems);
    }
    let kinds = kinds(given, problems)?;
    Some(Must { kinds: Some(kinds), ..Must::any() })
}

fn part(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Must> {
    schema(given, &SUBSCHEMA, problems)
}

fn schema(given: &Given<'_>, table: &'static Table, problems: &mut Problems<'_>) -> Option<Must> {
    if !given.value.get_ref().is_table() {
        return given.wrong("a table, as in { bsonType = \"string\" }", problems);
    }
    let words = Words::open(given.value, table, problems)?;
    check(&words, problems);
    let must = read(&words, problems)?;
    check_bounds(&words, &must, problems)?;
    Some(must)
}

/// Reports words that mean nothing without another.
fn check(words: &Words<'_>, problems: &mut Problems<'_>) {
    for (word, needs) in [
        ("exclusiveMinimum", &["minimum"][..]),
        ("exclusiveMaximum", &["maximum"]),
        ("anyCase", &["enum", "pattern"]),
    ] {
        if words.get(word).is_some() && needs.iter().all(|needed| words.get(needed).is_none()) {
            let needs = needs.join("` or `");
            words.refuse(word, format!("`{word}` needs `{needs}`"), problems);
        }
    }
}

/// Reads the words, each even if others fail.
fn read(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Must> {
    let kinds = words.optional("bsonType", problems, kinds);
    let optional = match words.table.find("optional") {
        Some(_) => words.flag("optional", problems),
        None => Some(false),
    };
    let one_of = words.list("enum", problems, |given, problems| {
        given.each("values", 1, problems, |given, problems| {
            constant(given, problems).map(|constant| constant.value)
        })
    });
    let pattern = words.optional("pattern", problems, Given::text);
    let any_case = words.flag("anyCase", problems);
    let minimum = words.optional("minimum", problems, Given::number);
    let maximum = words.optional("maximum", problems, Given::number);
    let exclusive_minimum = words.flag("exclusiveMinimum", problems);
    let exclusive_maximum = words.flag("exclusiveMaximum", problems);
    let min_items = words.optional("minItems", problems, Given::count);
    let max_items = words.optional("maxItems", problems, Given::count);
    let items = words.optional("items", problems, boxed);
    let properties = words.list("properties", problems, properties);
    let additional = words.optional("additionalProperties", problems, boxed);
    let required =
        words.list("required", problems, |given, problems| given.each("names", 1, problems, name));
    let any_of =
        words.list("anyOf", problems, |given, problems| given.each("tables", 1, problems, part));
    let not = words.optional("not", problems, boxed);
    Some(Must {
        kinds: kinds?,
        optional: optional?,
        one_of: one_of?,
        pattern: pattern?,
        any_case: any_case?,
        minimum: minimum?,
        maximum: maximum?,
        exclusive_minimum: exclusive_minimum?,
        exclusive_maximum: exclusive_maximum?,
        min_items: min_items?,
        max_items: max_items?,
        items: items?,
        properties: properties?,
        additional: additional?,
        required: required?,
        any_of: any_of?,
        not: not?,
    })
}

/// Reports bounds that no value is within.
fn check_bounds(words: &Words<'_>, must: &Must, problems: &mut Problems<'_>) -> Option<()> {
    let low = must.minimum.zip(must.maximum).is_some_and(|(low, high)| low > high);
    let few = must.min_items.zip(must.max_items).is_some_and(|(low, high)| low > high);
    for (is_above, word, other) in [(low, "minimum", "maximum"), (few, "minItems", "maxItems")] {
        if is_above {
            words.refuse(
                word,
                format!("no value fulfils this: `{word}` is above `{other}`"),
                problems,
            );
        }
    }
    (!low && !few).then_some(())
}

fn boxed(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Box<Must>> {
    part(given, problems).map(Box::new)
}

fn properties(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<(At<String>, Must)>> {
    let entries = given.entries("a table of names, each with a table of words", problems)?;
    every(&entries, problems, |given, problems| {
        let name = key_name(given, problems);
        if !matches!(given.value.get_ref(), DeValue::Table(_)) {
            return given.wrong("a table of words, as in { bsonType = \"string\" }", problems);
        }
        Some((name?, part(given, problems)?))
    })
}
