//! The mapping as a table for people: every target and shape with its rows, each rule in words.

mod layout;
mod words;

use std::fmt::Write;

use layout::{push_table, push_wrapped};
use words::{
    POSITION, chain_rules, expression_source, join, list, must_rules, path_text, value_text,
};

use super::compile::query_text;
use super::language::{
    self, Back, Expression, Filter, Index, Mapping, Operator, Order, Problems, Requirement, Rest,
    Row, Shape, Target, Tests, Unmatched,
};
use super::plan::Plan;
use crate::plain::plain;

impl Plan {
    /// The mapping as text, at most 100 columns wide: for each target and shape, a table of its
    /// fields, their sources and their rules.
    pub fn show(&self) -> String {
        // The text has been compiled, so it can be read.
        let Some(mapping) = language::read(&self.text, Tests::Read, &mut Problems::new(&self.text))
        else {
            return String::new();
        };
        let mut text = format!(
            "Mapping '{}', version {}\nSHA-256 {}\n",
            plain(&self.id.name),
            plain(&self.id.version),
            self.id.sha256
        );
        head(&mut text, &mapping);
        lets(&mut text, &mapping);
        mapping.targets.iter().for_each(|one| target(&mut text, one, &mapping));
        mapping.shapes.iter().for_each(|one| shape(&mut text, one));
        text
    }
}

/// A line of `what: text`, wrapped.
fn say(text: &mut String, what: &str, said: &str) {
    push_wrapped(text, "  ", &format!("{what}: {said}"));
}

fn head(text: &mut String, mapping: &Mapping) {
    let source = plain(mapping.source.as_str());
    let _ = writeln!(text, "\nSource collection '{source}'");
    say(text, "Joined by", &format!("'{}'", mapping.key.as_str()));
    let unmatched = match mapping.unmatched {
        Unmatched::Fail => "refused, as a server cannot have it",
        Unmatched::Journal => "kept in the journal",
    };
    say(text, "A document that no target takes", unmatched);
    if !mapping.drop.is_empty() {
        say(text, "In the journal only", &list(mapping.drop.iter().map(path_text)));
    }
    for (word, paths) in &mapping.assess {
        let what = format!("Counted by `inspect`, {}", word.as_str());
        say(text, &what, &list(paths.iter().map(path_text)));
    }
    if !mapping.tests.is_empty() {
        say(text, "Tests", &mapping.tests.len().to_string());
    }
}

fn lets(text: &mut String, mapping: &Mapping) {
    if mapping.lets.is_empty() {
        return;
    }
    text.push_str("\nComputed once a document\n\n");
    let row = |(name, value): &(language::At<String>, Expression)| {
        let mut rules = chain_rules(value);
        rules.extend(words::alternatives(&value.when_missing, &value.coalesce));
        [name.value.clone(), expression_source(value, Some(name)), join(rules)]
    };
    push_table(text, ["Name", "Source", "Rule"], mapping.lets.iter().map(row).collect());
}

fn target(text: &mut String, target: &Target, mapping: &Mapping) {
    let (source, collection) = (plain(mapping.source.as_str()), plain(target.collection.as_str()));
    let _ = writeln!(text, "\n{source} -> {collection}\n");
    let takes = match &target.filter {
        Filter::All => "every document".to_owned(),
        Filter::Where(query) => format!("documents where {}", query_text(query)),
        Filter::Otherwise(_) => {
            "documents that no earlier target with a condition takes".to_owned()
        }
    };
    say(text, "Takes", &takes);
    if let Some(unwind) = &target.unwind {
        let path = path_text(&unwind.path);
        let made = match unwind.is_map {
            true => format!("one document for each entry of the document {path}"),
            false => format!("one document for each item of the array {path}"),
        };
        say(text, "Unwinds", &format!("{made}; the rows read the item"));
    }
    if target.private {
        say(text, "Private", "what its rows read reaches no other target");
    }
    if target.shared {
        say(text, "Shared", "another mapping fills this collection, too");
    }
    if let Some(key) = &target.key {
        say(text, "Joined by", &format!("'{}'", key.as_str()));
    }
    let order = target.order.unwrap_or(Order::Table);
    say(text, "Order", order_text(order));
    text.push('\n');
    let mut rows = Vec::new();
    push_rows(&mut rows, 0, &target.fields, target.unwind.as_ref().is_some_and(|one| one.is_map));
    if target.rest {
        rows.push(other_fields(match order {
            Order::Table => "passed on after the fields above",
            Order::Source => "passed on in their places",
        }));
    }
    push_table(text, ["Field", "Source", "Rule"], rows);
    if !(target.requires.is_empty() && target.indexes.is_empty() && target.drop_indexes.is_empty())
    {
        text.push('\n');
    }
    requirements(text, &target.requires);
    for index in &target.indexes {
        say(text, "Index", &index_text(index));
    }
    if !target.drop_indexes.is_empty() {
        let names = target.drop_indexes.iter().map(|name| format!("'{}'", name.as_str()));
        say(text, "Indexes of the source that go", &list(names));
    }
}

fn shape(text: &mut String, shape: &Shape) {
    let _ = writeln!(text, "\nShape '{}'\n", plain(shape.name.as_str()));
    say(text, "Order", order_text(shape.order));
    text.push('\n');
    let mut rows = Vec::new();
    push_rows(&mut rows, 0, &shape.fields, false);
    rows.push(match &shape.rest {
        Rest::No => other_fields("left out: in the journal only"),
        Rest::Yes if shape.order == Order::Table => {
            other_fields("passed on after the fields above")
        }
        Rest::Yes => other_fields("passed on in their places"),
        Rest::Into(row) => {
            other_fields(&format!("passed on at the end of the document '{}'", row.as_str()))
        }
    });
    push_table(text, ["Field", "Source", "Rule"], rows);
    if !shape.requires.is_empty() {
        text.push('\n');
    }
    requirements(text, &shape.requires);
}

fn order_text(order: Order) -> &'static str {
    match order {
        Order::Table => "that of this table",
        Order::Source => {
            "the record's own; a row is in the place of the field that it copies whole, else in that of its own name, else last"
        }
    }
}

fn other_fields(rule: &str) -> [String; 3] {
    ["(other fields)".to_owned(), "(the same)".to_owned(), rule.to_owned()]
}

/// Adds a line for each row; those of an embedded document follow it, indented.
fn push_rows(rows: &mut Vec<[String; 3]>, depth: usize, fields: &[Row], is_map: bool) {
    for field in fields {
        let name = field.name.as_ref();
        let shown = name.map_or("(its fields)", |name| name.as_str());
        rows.push([
            format!("{}{shown}", "  ".repeat(depth)),
            expression_source(&field.value, name),
            join(row_rules(field, is_map)),
        ]);
        if let Some(Operator::Document(inner)) = &field.value.operator {
            push_rows(rows, depth + 1, inner, is_map);
        }
    }
}

/// What becomes of a row's value, step by step.
fn row_rules(row: &Row, is_map: bool) -> Vec<String> {
    let mut rules = chain_rules(&row.value);
    rules.extend(words::alternatives(&row.when_missing, &row.coalesce));
    let position = if is_map { "the entry's key" } else { "the item's number, from 0" };
    rules.iter_mut().for_each(|rule| *rule = rule.replace(POSITION, position));
    rules.extend(row.if_missing.as_ref().map(|value| format!("missing -> {}", value_text(value))));
    rules.extend(row.or_null.then(|| "missing -> null".to_owned()));
    let if_null = row.if_null.as_ref();
    rules.extend(if_null.map(|value| format!("missing or null -> {}", value_text(value))));
    rules.extend(row.must.as_ref().map(must_rules));
    rules.extend(match &row.back {
        Back::Default => None,
        Back::Name(name) => Some(format!("a new value goes back as '{}'", name.as_str())),
        Back::Never => Some("a new value does not go back".to_owned()),
    });
    rules.extend(row.newest.then(|| "of several changed copies, the latest wins".to_owned()));
    rules.extend(row.note.iter().map(|note| format!("note: {note}")));
    rules
}

fn requirements(text: &mut String, requires: &[Requirement]) {
    for requirement in requires {
        let names = requirement.any.iter().map(|name| format!("'{}'", name.as_str()));
        let needed = match requirement.any.len() {
            1 => format!("{} must be set", list(names)),
            _ => format!("one of {} must be set", list(names)),
        };
        say(text, "Needs", &format!("where {}, {needed}", query_text(&requirement.when)));
    }
}

fn index_text(index: &Index) -> String {
    let key = index.key.iter().map(|(path, direction)| format!("{}: {direction}", path.as_str()));
    let name = index.name.as_ref().map(|name| format!("'{}' ", name.as_str()));
    let unique = if index.unique { ", unique" } else { "" };
    format!("{}{{ {} }}{unique}", name.unwrap_or_default(), list(key))
}
