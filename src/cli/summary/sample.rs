//! The summary of `sample`.

use std::path::Path;

use mongosplit::sample::{Group, LIST_NAME, Report, Source};

use super::super::page::{Align, Command, Content, Line, Page, Step, Table};
use super::super::text::{count, path_argument, size, thousands};

/// What was taken, and what to do with it.
pub fn sample(report: &Report, mapping: Option<&Path>) -> Page {
    let taken: u64 = report.sources.iter().map(|source| source.taken).sum();
    let bytes = report.sources.iter().map(|source| source.taken_bytes).sum();
    let masked = if report.is_masked { "masked " } else { "" };
    let taken = count(taken, "document");
    let verdict = format!("Took a {masked}sample of {taken}, {}", size(bytes));
    let mut page = Page::new(Line::holds(verdict));
    for source in &report.sources {
        page.push_titled(&source.namespace, Content::Table(counts(source)));
    }
    page.push(Content::Notes(notes(report)));
    page.push_titled("Next", Content::Steps(next_steps(report, mapping)));
    page
}

fn counts(source: &Source) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Right)]);
    let mut row = |what: &str, number: u64| {
        table.rows.push(vec![what.to_owned(), thousands(number)]);
    };
    row("documents in the source", source.documents);
    row("documents in the sample", source.taken);
    row("  one for each kind", source.representatives);
    row("  spread evenly over the source", source.taken - source.representatives);
    for (group, number) in &source.kinds {
        row(group_name(*group), *number);
    }
    table
}

fn notes(report: &Report) -> Vec<Line> {
    let mut notes = Vec::new();
    if !report.is_masked {
        notes.push("holds real data; --mask KEYFILE replaces it".to_owned());
    }
    let asked = report.asked;
    for source in &report.sources {
        if source.representatives > asked {
            notes.push(format!("more than --docs {asked}: each kind needs a document"));
        } else if source.taken < asked {
            notes.push(format!("fewer than --docs {asked}: the source has no more"));
        }
        notes.extend(source.not_told_apart.iter().map(|what| format!("not told apart: {what}")));
        if source.indexes_left_out > 0 {
            let indexes = count(source.indexes_left_out, "index");
            notes.push(format!("without {indexes} whose options may hold values"));
        }
        if source.changed_by_mask > 0 {
            let changed = count(source.changed_by_mask, "document");
            notes.push(format!("{changed} with other findings once masked; see changed_by_mask"));
        }
    }
    notes.extend(report.remarks.iter().cloned());
    notes.into_iter().map(Line::attention).collect()
}

fn next_steps(report: &Report, mapping: Option<&Path>) -> Vec<Step> {
    let mut transform = Command::shell("mongosplit")
        .word("transform")
        .raw(path_argument(&report.out))
        .raw(beside(report));
    if report.sources.len() > 1 {
        transform = transform.word("--all-dbs");
    }
    if let Some(file) = mapping {
        transform = transform.raw(format!("--mapping {}", path_argument(file)));
    }
    let is_refused = |source: &Source| source.kinds.contains_key(&Group::Refusal);
    let expects = report.sources.iter().any(is_refused).then(|| {
        "It ends with 1, as for the whole dump: a server would refuse documents.".to_owned()
    });
    let list = path_argument(&report.out.join(LIST_NAME));
    vec![
        Step { what: "Rehearse with it:".to_owned(), commands: vec![transform], expects },
        Step {
            what: "See what each document stands for:".to_owned(),
            commands: vec![Command::shell("less").raw(list)],
            expects: None,
        },
    ]
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::FieldOrder => "field orders",
        Group::Type => "types of fields and items",
        Group::Finding => "findings",
        Group::Refusal => "reasons why a server would refuse one",
        Group::Value => "values of assessed fields",
        Group::Extreme => "largest, oldest, newest, longest",
        Group::Twin => "partners of refused duplicates",
        _ => "others",
    }
}

/// A place next to the sample for what `transform` makes of it.
fn beside(report: &Report) -> String {
    let mut name = report.out.file_name().unwrap_or_default().to_owned();
    name.push("-out");
    path_argument(&report.out.with_file_name(name))
}
