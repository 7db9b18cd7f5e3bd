//! The summary of `mapping check`.

use mongosplit::Plan;
use mongosplit::check::{Cause, Finding, Journal, Report};
use mongosplit::mapping::{Problem, Severity};

use super::super::page::{Align, Content, Figure, Line, Page, Table};
use super::super::text::{count, size, thousands};
use super::{documents_row, documents_table};

/// How many causes of the journal's size are listed.
const CAUSES: usize = 12;
/// How many unread fields are listed.
const UNREAD: usize = 50;

/// All problems with a mapping, and what it does to a dump.
pub fn check(
    file: &str,
    plan: Option<&Plan>,
    problems: &[Problem],
    report: Option<&Report>,
) -> Page {
    let (errors, remarks): (Vec<_>, Vec<_>) =
        problems.iter().partition(|problem| problem.severity == Severity::Error);
    let and_remarks = match remarks.len() as u64 {
        0 => String::new(),
        remarks => format!(", {}", count(remarks, "remark")),
    };
    let mut page = Page::new(match plan {
        Some(plan) => Line::holds(format!(
            "{file}: mapping '{}' can be used{and_remarks}",
            plan.id().name.escape_debug()
        )),
        None => Line::fails(format!(
            "{file}: the mapping cannot be used: {}{and_remarks}",
            count(errors.len() as u64, "error")
        )),
    });
    page.push(Content::Text(in_full(&errors)));
    if let Some(report) = report {
        push_report(&mut page, report);
    }
    page.push(Content::Notes(remarks.iter().map(|remark| note(remark)).collect()));
    page.push_detail("Remarks, with their places", Content::Text(in_full(&remarks)));
    page
}

/// Problems as compilers print them, which editors read.
fn in_full(problems: &[&Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect::<Vec<_>>().join("\n")
}

fn note(remark: &Problem) -> Line {
    Line::attention(format!("line {}: {}", remark.line, remark.message))
}

fn push_report(page: &mut Page, report: &Report) {
    if report.unread.is_empty() {
        page.verdicts.push(Line::holds("Rows read every field of these documents"));
    }
    if report.findings.is_empty() {
        page.verdicts.push(Line::holds("No document breaks a rule"));
    }
    let mut table = documents_table();
    table.rows.push(documents_row(&report.sources.join(", "), report.documents, "documents"));
    table.rows.extend(report.targets.iter().map(|target| {
        documents_row(&format!("→ {}", target.collection), target.documents, "documents")
    }));
    page.push(Content::Table(table));
    page.push(Content::Figures(vec![Figure::new(
        "size",
        format!(
            "source {}, journal {} ({:.1}%)",
            size(report.bytes),
            size(report.journal.bytes),
            report.journal.percent
        ),
    )]));
    if report.refused.documents > 0 {
        let documents = count(report.refused.documents, "document");
        let mut lines = vec![Line::fails(format!("A server would refuse {documents}:"))];
        lines.extend(report.refused.first.iter().map(Line::plain));
        page.push(Content::Lines(lines));
    }
    page.push(Content::Notes(unread(report)));
    page.push(Content::Notes(report.findings.iter().map(finding).collect()));
    page.push_detail("What the journal holds", Content::Table(causes(&report.journal)));
}

/// The fields that no row reads.
fn unread(report: &Report) -> Vec<Line> {
    let first = report.unread.iter().take(UNREAD).map(|unread| {
        Line::attention(format!(
            "no row reads {} ({}, in {}): {}; first _id {}",
            unread.path,
            unread.types.join(" or "),
            count(unread.documents, "document"),
            if unread.is_passed { "passed on by `rest`" } else { "only in the journal" },
            unread.example,
        ))
    });
    let mut lines: Vec<Line> = first.collect();
    if report.unread.len() > UNREAD {
        let more = thousands((report.unread.len() - UNREAD) as u64);
        lines.push(Line::attention(format!(
            "and {more} more such fields; --report FILE lists them"
        )));
    }
    if report.with_more_unread > 0 {
        let more = count(report.with_more_unread, "document");
        lines.push(Line::attention(format!("further fields that no row reads, in {more}")));
    }
    lines
}

fn finding(finding: &Finding) -> Line {
    Line::attention(format!(
        "{}: {} ({}); first _id {}",
        finding.rule,
        finding.text,
        count(finding.documents, "document"),
        finding.first_ids.join(", ")
    ))
}

/// What makes the journal as large as it is.
fn causes(journal: &Journal) -> Table {
    let mut table = Table::new(&[("", Align::Right), ("", Align::Left)]);
    let row = |cause: &Cause| {
        let of = match cause.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        let what = format!("{of}{}, {}", cause.what, count(cause.times, "time"));
        vec![size(cause.bytes), what]
    };
    table.rows = journal.causes.iter().take(CAUSES).map(row).collect();
    if journal.causes.len() > CAUSES {
        let rest: u64 = journal.causes.iter().skip(CAUSES).map(|cause| cause.bytes).sum();
        let more = (journal.causes.len() - CAUSES) as u64;
        table.rows.push(vec![size(rest), count(more, "smaller cause")]);
    }
    table
}
