//! The text of `mapping check`.

use mongosplit::Plan;
use mongosplit::check::{Journal, Report};
use mongosplit::mapping::{Problem, Severity};

use super::super::text::{count, size, thousands};

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
) -> String {
    let mut text = String::new();
    for problem in problems {
        line!(text, "{problem}\n");
    }
    let of = |severity| problems.iter().filter(|one| one.severity == severity).count() as u64;
    let (errors, remarks) = (of(Severity::Error), of(Severity::Remark));
    let remarks =
        if remarks > 0 { format!(", {}", count(remarks, "remark")) } else { String::new() };
    match plan {
        Some(plan) => line!(
            text,
            "✓ {file}: mapping '{}' can be used{remarks}",
            plan.id().name.escape_debug()
        ),
        None => {
            line!(text, "✗ {file}: the mapping cannot be used: {}{remarks}", count(errors, "error"))
        }
    }
    if let Some(report) = report {
        push_report(&mut text, report);
    }
    text
}

fn push_report(text: &mut String, report: &Report) {
    line!(
        text,
        "\nIn {}: {}, {}",
        report.sources.join(", "),
        count(report.documents, "document"),
        size(report.bytes)
    );
    for target in &report.targets {
        line!(text, "  -> {:<32} {}", target.collection, count(target.documents, "document"));
    }
    if report.refused.documents > 0 {
        line!(text, "\n✗ A server would refuse {}:", count(report.refused.documents, "document"));
        for one in &report.refused.first {
            line!(text, "  {one}");
        }
    }
    push_unread(text, report);
    text.push_str("\nFindings:");
    text.push_str(if report.findings.is_empty() { " none\n" } else { "\n" });
    for finding in &report.findings {
        line!(
            text,
            "  {}: {}; {}, first: {}",
            finding.rule,
            finding.text,
            count(finding.documents, "document"),
            finding.first_ids.join(", ")
        );
    }
    push_journal(text, &report.journal);
}

fn push_unread(text: &mut String, report: &Report) {
    text.push_str("\nFields that no row reads:");
    text.push_str(if report.unread.is_empty() { " none\n" } else { "\n" });
    for unread in report.unread.iter().take(UNREAD) {
        line!(
            text,
            "  {}: {}, {}, first: _id {}; {}",
            unread.path,
            count(unread.documents, "document"),
            unread.types.join(" or "),
            unread.example,
            if unread.is_passed { "passed on by `rest`" } else { "in the journal only" }
        );
    }
    if report.unread.len() > UNREAD {
        let more = (report.unread.len() - UNREAD) as u64;
        line!(text, "  and {} more; --report FILE lists them", thousands(more));
    }
    if report.with_more_unread > 0 {
        let more = count(report.with_more_unread, "document");
        line!(text, "  and others, not told apart, in {more}");
    }
}

fn push_journal(text: &mut String, journal: &Journal) {
    line!(text, "\nJournal: {}, {:.1} % of the source", size(journal.bytes), journal.percent);
    for cause in journal.causes.iter().take(CAUSES) {
        let of = match cause.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        line!(
            text,
            "  {:>12}  {of}{}, {}",
            size(cause.bytes),
            cause.what,
            count(cause.times, "time")
        );
    }
    if journal.causes.len() > CAUSES {
        let rest: u64 = journal.causes.iter().skip(CAUSES).map(|cause| cause.bytes).sum();
        let more = (journal.causes.len() - CAUSES) as u64;
        line!(text, "  {:>12}  {}", size(rest), count(more, "smaller cause"));
    }
}
