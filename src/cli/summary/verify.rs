//! The summaries of `verify`.

use std::path::Path;

use mongosplit::manifest::{Kind, Manifest};
use mongosplit::plain::PlainPath;
use mongosplit::verify::{self, DifferenceKind, DocumentDifference};

use super::super::page::{Align, Command, Content, Figure, Line, Page, Step, Table};
use super::super::text::{count, duration, path_argument, size, thousands};
use super::{documents_row, documents_table, ratio};

/// The summary of `verify`.
pub fn verify(report: &verify::Report) -> Page {
    one_of(report, None)
}

/// The summary of `verify` for one of several outputs.
pub fn verify_named(report: &verify::Report) -> Page {
    one_of(report, Some(&report.out))
}

/// The summary for an output, with its name if it is one of several.
fn one_of(report: &verify::Report, name: Option<&Path>) -> Page {
    if !report.holds() {
        return failed(report, name);
    }
    let verb = if report.files == 1 { "matches" } else { "match" };
    let name = name.map(|name| format!("'{}': ", name.plain())).unwrap_or_default();
    let mut page = Page::new(Line::holds(format!(
        "{name}{} ({}) {verb} the manifest",
        count(report.files as u64, "file"),
        size(report.bytes)
    )));
    let documents = Content::Table(documents(&report.manifest));
    if name.is_empty() {
        page.push(documents);
        let time = duration(report.seconds);
        let checked = format!("presence, size, SHA-256, framing, number of documents; {time}");
        page.push(Content::Figures(vec![Figure::new("checked", checked)]));
    } else {
        page.push_detail(&report.out.plain(), documents);
    }
    page.push(Content::Notes(report.remarks.iter().map(attention).collect()));
    page
}

fn attention(what: &impl std::fmt::Display) -> Line {
    Line::attention(what.to_string())
}

fn plain(what: &impl std::fmt::Display) -> Line {
    Line::plain(what.to_string())
}

/// What does not match, in full; below its name, if it is one of several.
fn failed(report: &verify::Report, name: Option<&Path>) -> Page {
    let mut page = Page::default();
    let out = report.out.plain();
    let mut lines: Vec<Line> = report.differences.iter().map(plain).collect();
    if !lines.is_empty() {
        page.verdicts.push(Line::fails(format!("'{out}' does not match its manifest")));
        let what = "Do not restore or reverse it. Use another copy, or make it again with --force";
        lines.push(Line::attention(what));
    }
    if !report.strict_findings.is_empty() {
        let what = format!("'{out}' has findings, and --strict was given");
        page.verdicts.push(Line::fails(what));
        lines.extend(report.strict_findings.iter().map(|finding| {
            let documents = count(finding.documents, "document");
            Line::plain(format!("{}: {} ({documents})", finding.rule, finding.expects))
        }));
    }
    match name {
        None => page.push(Content::Lines(lines)),
        Some(name) => page.push_titled(&format!("'{}'", name.plain()), Content::Lines(lines)),
    }
    page
}

/// The documents of sources and of what they became.
fn documents(manifest: &Manifest) -> Table {
    let mut table = documents_table();
    for source in &manifest.sources {
        let what = match manifest.kind {
            Kind::Reverse => "documents",
            Kind::Transform => "documents, the source",
        };
        table.rows.push(documents_row(&source.namespace, source.documents, what));
        let targets = source.targets.iter();
        let row = |target: &mongosplit::manifest::Target| {
            documents_row(&target.namespace, target.documents, "documents")
        };
        table.rows.extend(targets.map(row));
    }
    table
}

/// How many contradictions a summary names.
const FIRST: usize = 20;

/// The summary of `verify` for several outputs, compared with one another.
pub fn verify_together(report: &verify::OutputsReport) -> Page {
    let outputs = report.outputs.len();
    let shared = count(report.shared.len() as u64, "shared collection");
    let verdict = match report.contradictions {
        0 => Line::holds(format!(
            "{outputs} outputs can be restored into one database: no _id, unique value or index of {shared} contradicts another"
        )),
        contradictions => Line::fails(format!(
            "{} between {outputs} outputs for one database",
            count(contradictions, "contradiction")
        )),
    };
    let mut page = Page::new(verdict);
    let mut table = documents_table();
    table.rows.extend(report.shared.iter().map(|collection| {
        let what = format!("documents in {} outputs", collection.outputs);
        documents_row(&collection.namespace, collection.documents, &what)
    }));
    page.push(Content::Table(table));
    page.push(Content::Figures(vec![Figure::new("time", duration(report.seconds))]));
    let mut lines: Vec<Line> = report.named.iter().take(FIRST).map(plain).collect();
    let more = report.contradictions.saturating_sub(FIRST as u64);
    if more > 0 {
        lines.push(Line::plain(format!(
            "and {} more; the report (--json, --report) names the first 1,000",
            thousands(more)
        )));
    }
    page.push(Content::Lines(lines));
    page.push(Content::Notes(report.remarks.iter().map(Line::attention).collect()));
    page.push_titled("Next", Content::Steps(mend(report)));
    page
}

/// How to resolve contradictions.
fn mend(report: &verify::OutputsReport) -> Vec<Step> {
    let has = |problems: &[verify::Problem]| {
        report.named.iter().any(|difference| problems.contains(&difference.problem))
    };
    let mut steps = Vec::new();
    if has(&[verify::Problem::SameId, verify::Problem::SameValue]) {
        steps.push(
            "Restored into one database, the second document of each pair fails. Remove one of the two from its database, dump that again and run `transform` again. A document that two shards have is an orphan on one of them: run cleanupOrphaned there first.",
        );
    }
    if has(&[verify::Problem::Index]) {
        steps.push(
            "A server builds one of two such indexes. Give both mappings the same definition and run `transform` again, or restore one output with --noIndexRestore and build its other indexes by hand.",
        );
    }
    steps.into_iter().map(|what| Step { what: what.to_owned(), ..Step::default() }).collect()
}

/// The summary of `verify --source`, below that of `verify`.
pub fn verify_source(report: &verify::SourceReport) -> Page {
    let derived = &report.derived;
    if !report.differences.is_empty() {
        return differing_source(report);
    }
    let proven: u64 = derived.manifest.sources.iter().map(|source| source.round_trip.proven).sum();
    let mut page = Page::default();
    page.verdicts.push(Line::holds(
        "All fields correctly mapped: every byte was derived again from the source",
    ));
    page.verdicts.push(Line::holds(format!(
        "No data loss: {} brought back and equal, all of them",
        count(proven, "document")
    )));
    page.push(Content::Table(items(report)));
    page.push(Content::Lines(lost_items(report)));
    page.push(Content::Figures(vec![
        Figure::new("ratio", ratio(&derived.manifest.sources)),
        Figure::new("time", duration(report.seconds)),
    ]));
    page.push(Content::Notes(report.remarks.iter().map(Line::attention).collect()));
    page
}

/// How many documents have items in arrays that are mapped item by item.
fn items(report: &verify::SourceReport) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)]);
    for array in report.derived.sources.iter().flat_map(|source| &source.arrays) {
        let what = "documents with items";
        table.rows.push(documents_row(&array.source_field, array.source, what));
        table.rows.push(documents_row(&array.target_field, array.target, what));
    }
    table
}

fn lost_items(report: &verify::SourceReport) -> Vec<Line> {
    let arrays = report.derived.sources.iter().flat_map(|source| &source.arrays);
    let differing = arrays.filter(|array| array.source != array.target);
    differing
        .map(|array| {
            Line::fails(format!(
                "{} and {} have items in different numbers of documents",
                array.source_field, array.target_field
            ))
        })
        .collect()
}

fn differing_source(report: &verify::SourceReport) -> Page {
    let mut page = Page::new(Line::fails("The output differs from what this source produces"));
    page.push(Content::Lines(report.differences.iter().map(plain).collect()));
    let mut table = documents(&report.derived.manifest);
    table.rows.extend(items(report).rows);
    page.push_titled("This source produces", Content::Table(table));
    page.push(Content::Figures(vec![
        Figure::new("ratio", ratio(&report.derived.manifest.sources)),
        Figure::new("time", duration(report.seconds)),
    ]));
    if let Some(documents) = &report.documents {
        page.push_titled("Documents of the source", Content::Figures(vec![differences(documents)]));
        push_restored(&mut page, documents);
    }
    page.push(Content::Notes(report.remarks.iter().map(Line::attention).collect()));
    page
}

/// The summary of `verify --restored`, below that of `verify` of these outputs.
pub fn verify_restored(report: &verify::RestoredReport, outs: &[verify::Report]) -> Page {
    let compared = format!(
        "{} compared with '{}'",
        count(report.documents, "document"),
        report.redump.plain()
    );
    let mut page = Page::new(match report.is_same() {
        true => Line::holds(format!("{compared}: all are there and equal")),
        false => Line::fails(format!("{compared}: it differs")),
    });
    let time = Figure::new("time", duration(report.seconds));
    page.push(Content::Figures(vec![differences(report), time]));
    push_restored(&mut page, report);
    page.push_titled("Next", Content::Steps(look_at(report, outs).into_iter().collect()));
    page
}

/// How to see a document that differs.
fn look_at(report: &verify::RestoredReport, outs: &[verify::Report]) -> Option<Step> {
    let is_in_output = |one: &&DocumentDifference| one.difference != DifferenceKind::Extra;
    let first = report.first.iter().find(is_in_output)?;
    let of = |report: &&verify::Report| match &first.output {
        Some(out) => report.out == *out,
        None => outs.len() == 1,
    };
    let output = outs.iter().find(of).filter(|out| out.manifest.kind == Kind::Transform)?;
    let show = Command::shell("mongosplit").word("show").raw(path_argument(&output.out));
    Some(Step {
        what: "Look at a document that differs, as the output has it:".to_owned(),
        commands: vec![show.option("--id", &first.id)],
        expects: None,
    })
}

fn differences(report: &verify::RestoredReport) -> Figure {
    Figure::new(
        "differences",
        format!(
            "{} missing, {} extra, {} changed; {} only reordered",
            thousands(report.missing),
            thousands(report.extra),
            thousands(report.changed),
            thousands(report.reordered)
        ),
    )
}

fn push_restored(page: &mut Page, report: &verify::RestoredReport) {
    let mut lines: Vec<Line> = report.first.iter().map(difference_line).collect();
    let differences = report.missing + report.extra + report.changed;
    let more = differences.saturating_sub(report.first.len() as u64);
    if more > 0 {
        lines.push(Line::plain(format!("and {} more; --details FILE has all", thousands(more))));
    }
    lines.extend(report.index_differences.iter().map(plain));
    page.push(Content::Lines(lines));
    page.push(Content::Notes(report.remarks.iter().map(Line::attention).collect()));
}

fn difference_line(difference: &DocumentDifference) -> Line {
    let fields = match difference.fields.as_slice() {
        [] => String::new(),
        fields => format!(": {}", fields.join(", ")),
    };
    let output = match &difference.output {
        Some(output) => format!(" (of '{}')", output.plain()),
        None => String::new(),
    };
    Line::plain(format!(
        "{} {} _id {}{fields}{output}",
        difference.difference.name(),
        difference.namespace,
        difference.id
    ))
}
