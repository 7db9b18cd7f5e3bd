//! Operators, modifiers and demands in words.

use crate::mapping::compile::{describe, query_text};
use crate::mapping::language::{
    At, Constant, Expression, Must, Operator, Part, Path, Template, Translation, Type,
};
use crate::raw::extended_json_of;

/// What `position` is, whether an array or a map is unwound.
pub const POSITION: &str = "the item's number, from 0, or the entry's key";

/// Texts after one another.
pub fn list(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

/// The steps of a rule.
pub fn join(rules: Vec<String>) -> String {
    rules.join("; ")
}

/// A path as it is written, in quotes.
pub fn path_text(path: &Path) -> String {
    format!("'{}'", path_words(path))
}

fn path_words(path: &Path) -> String {
    let below = path.items.as_ref().map(|items| format!("[].{}", items.join(".")));
    path.names.join(".") + &below.unwrap_or_default()
}

/// A value as Extended JSON.
pub fn value_text(value: &Constant) -> String {
    extended_json_of(value.value())
}

/// Where an expression's value comes from, for the column of sources. `own` is the row's name.
pub fn expression_source(expression: &Expression, own: Option<&At<String>>) -> String {
    match &expression.operator {
        None => own.map_or(String::new(), |own| own.value.clone()),
        Some(Operator::First(all)) => list(all.iter().map(|one| expression_source(one, own))),
        Some(
            Operator::Copy { path, .. }
            | Operator::Each(path)
            | Operator::Text(path)
            | Operator::Size(path)
            | Operator::NotEmpty(path)
            | Operator::Rest(Some(path))
            | Operator::Spread(Some(path)),
        ) => path_words(path),
        Some(Operator::Outer(path)) => format!("outer {}", path_words(path)),
        Some(Operator::Let(name)) => format!("let {}", name.value),
        Some(Operator::Template(template)) => template_text(template),
        Some(Operator::Uuid5(parts)) => list(parts.iter().map(template_text)),
        Some(Operator::Rest(None) | Operator::Spread(None)) => "(this record)".to_owned(),
        Some(Operator::Constant(_) | Operator::Document(_) | Operator::Position) => "-".to_owned(),
    }
}

fn template_text(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.replace('{', "{{").replace('}', "}}"),
        Part::Field(path) => format!("{{{}}}", path_words(path)),
        Part::Outer(path) => format!("{{outer.{}}}", path_words(path)),
        Part::Position => "{position}".to_owned(),
    };
    format!("\"{}\"", template.parts.iter().map(part).collect::<String>())
}

/// What an expression does with its source, step by step; at least one.
pub fn chain_rules(expression: &Expression) -> Vec<String> {
    let mut rules = vec![verb(expression)];
    if let Some(Operator::First(all)) = &expression.operator {
        let with_own = all.iter().filter(|one| !modifiers(one).is_empty() || !is_copy(one));
        rules.extend(with_own.map(described));
    }
    rules.extend(modifiers(expression));
    rules
}

fn is_copy(expression: &Expression) -> bool {
    matches!(&expression.operator, None | Some(Operator::Copy { .. }))
}

/// What an operator does with its source.
fn verb(expression: &Expression) -> String {
    match &expression.operator {
        None => "copy",
        Some(Operator::Copy { path, every }) => match (&path.items, every) {
            (None, _) => "copy",
            (Some(_), false) => "the values in the array's items",
            (Some(_), true) => {
                "the values in the array's items, if every item is a document that has one"
            }
        },
        Some(Operator::First(_)) => "the first that is present",
        Some(Operator::Each(_)) => "each item",
        Some(Operator::Let(_)) => "computed once a document",
        Some(Operator::Text(_)) => "as text",
        Some(Operator::Template(_)) => "text, if all its parts are texts",
        Some(Operator::Constant(value)) => return format!("always {}", value_text(value)),
        Some(Operator::Document(_)) => "a document of these fields:",
        Some(Operator::Size(_)) => "the number of items",
        Some(Operator::NotEmpty(_)) => "true if it has items, else false",
        Some(Operator::Rest(_)) => "its fields that no rule reads, as a document",
        Some(Operator::Spread(_)) => "its fields that no rule reads, as fields here",
        Some(Operator::Outer(_)) => "copy of the source document's field",
        Some(Operator::Position) => POSITION,
        Some(Operator::Uuid5(_)) => "an identifier derived from these (UUID, version 5)",
    }
    .to_owned()
}

/// The modifiers of an expression.
fn modifiers(expression: &Expression) -> Vec<String> {
    let mut rules = Vec::new();
    let only = expression.only.as_ref();
    rules.extend(only.map(|only| format!("counts only if it is {}", demand(only))));
    let when = expression.when.as_ref();
    rules.extend(when.map(|when| format!("only where {}", query_text(when))));
    if let Some(convert) = &expression.convert {
        let to = type_text(convert.to);
        rules.push(match convert.formats.as_slice() {
            [] => format!("converted to {to}"),
            formats => format!(
                "converted to {to}, by the format {}",
                formats.iter().map(|format| format!("'{format}'")).collect::<Vec<_>>().join(" or ")
            ),
        });
    }
    if !expression.translate.is_empty() {
        rules.push(list(expression.translate.iter().map(translation_text)));
    }
    let keep = expression.keep.as_ref();
    rules.extend(keep.map(|keep| format!("the original stays in {}", path_text(keep))));
    let shape = expression.shape.as_ref();
    rules.extend(shape.map(|shape| format!("by shape '{}'", shape.value)));
    rules
}

fn type_text(to: Type) -> &'static str {
    match to {
        Type::Date => "a date",
        Type::ObjectId => "an ObjectId",
        Type::String => "a string",
        Type::Int => "an int32",
        Type::Long => "an int64",
        Type::Double => "a double",
        Type::Decimal => "a decimal128",
        Type::Bool => "a boolean",
    }
}

fn translation_text(translation: &Translation) -> String {
    let from: Vec<String> = translation.from.iter().map(|from| value_text(from)).collect();
    format!("{} -> {}", from.join(" or "), value_text(&translation.to))
}

/// What is tried next, and when.
pub fn alternatives(when_missing: &[Expression], coalesce: &[Expression]) -> Vec<String> {
    let all = |all: &[Expression], when: &str| match all {
        [] => None,
        all => {
            let all: Vec<String> = all.iter().map(described).collect();
            Some(format!("{when} -> {}", all.join(", else ")))
        }
    };
    let missing = all(when_missing, "missing");
    missing.into_iter().chain(all(coalesce, "missing or null")).collect()
}

/// An alternative with its source and its modifiers.
fn described(expression: &Expression) -> String {
    let source = expression_source(expression, None);
    let text = match &expression.operator {
        None => source,
        Some(Operator::Copy { path, .. }) if path.items.is_none() => format!("'{source}'"),
        Some(Operator::Let(name)) => format!("the computed '{}'", name.value),
        Some(Operator::Template(_)) => source,
        Some(Operator::Constant(value)) => value_text(value),
        Some(Operator::Outer(path)) => format!("the source document's {}", path_text(path)),
        Some(Operator::Document(_) | Operator::Position | Operator::Uuid5(_)) => verb(expression),
        Some(Operator::First(_)) => format!("the first present of {source}"),
        Some(Operator::Text(_)) => format!("'{source}' as text"),
        Some(_) => format!("'{source}': {}", verb(expression)),
    };
    let modifiers = modifiers(expression);
    if modifiers.is_empty() { text } else { format!("{text} ({})", modifiers.join("; ")) }
}

/// What the application accepts.
pub fn must_rules(must: &Must) -> String {
    format!("must be {}", demand(must))
}

/// What a value must be, in words, and what its items and fields must be.
fn demand(must: &Must) -> String {
    let plain = Must { one_of: Vec::new(), any_of: Vec::new(), not: None, ..must.clone() };
    let mut parts = vec![describe(&plain).replacen("must be ", "", 1)];
    if !must.one_of.is_empty() {
        parts.push(format!("one of {}", list(must.one_of.iter().map(value_text))));
    }
    if must.any_case {
        parts.push("in upper or lower case".to_owned());
    }
    let items = must.items.as_ref();
    parts.extend(items.map(|items| format!("each item {}", demand(items))));
    if !must.required.is_empty() {
        parts.push(format!("with {}", list(must.required.iter().map(|name| name.value.clone()))));
    }
    let properties = must.properties.iter();
    parts.extend(properties.map(|(name, must)| format!("'{}' {}", name.value, demand(must))));
    let additional = must.additional.as_ref();
    parts.extend(additional.map(|other| format!("each other field {}", demand(other))));
    if !must.any_of.is_empty() {
        let any: Vec<String> = must.any_of.iter().map(|one| format!("({})", demand(one))).collect();
        parts.push(any.join(" or "));
    }
    parts.extend(must.not.as_ref().map(|not| format!("not ({})", demand(not))));
    let says_enough = |part: &String| part.starts_with("one of ") || part.starts_with("not (");
    if parts[0] == "a value" && parts.get(1).is_some_and(says_enough) {
        parts.remove(0);
    }
    parts.join(", ")
}
