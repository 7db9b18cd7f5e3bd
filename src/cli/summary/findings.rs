//! The summary of `findings`.

use mongosplit::findings::{Report, Source};
use mongosplit::manifest::Finding;

use super::super::page::{Align, Content, Line, Page, Table};
use super::super::text::{count, thousands};

/// The rules that documents break, each with the `_id`s of the first of these.
pub fn findings(report: &Report) -> Page {
    let verdicts = report.sources.iter().map(verdict).collect();
    let mut page = Page { verdicts, parts: Vec::new() };
    for source in &report.sources {
        for rule in &source.rules {
            push_rule(&mut page, rule, (report.sources.len() > 1).then_some(source));
        }
    }
    page
}

fn verdict(source: &Source) -> Line {
    let of = format!("{} of {}", count(source.documents, "document"), source.namespace);
    match source.rules.len() as u64 {
        0 => Line::holds(format!("{of} break no rule")),
        rules => Line::attention(format!("Among {of}, some break {}", count(rules, "rule"))),
    }
}

/// A rule, and the documents that break it; of which source, if there are several.
fn push_rule(page: &mut Page, rule: &Finding, of: Option<&Source>) {
    let documents = count(rule.documents, "document");
    let of = of.map(|source| format!(" of {}", source.namespace)).unwrap_or_default();
    let what = format!("{}: {} ({documents}{of})", rule.rule, rule.expects);
    page.push(Content::Lines(vec![Line::attention(what)]));
    let mut table = Table::new(&[("", Align::Left)]);
    table.rows = rule.first_ids.iter().map(|id| vec![id.clone()]).collect();
    page.push(Content::Table(table));
    let more = rule.documents - rule.first_ids.len() as u64;
    if more > 0 {
        let what = format!("and {} more (--max N, or --details FILE for all)", thousands(more));
        page.push(Content::Lines(vec![Line::plain(what)]));
    }
}
