//! The results of `mapping test`.

use mongosplit::cases::Report;

use super::super::page::{Content, Line, Page};
use super::super::text::count;

/// A verdict on a mapping, and below it the tests that failed.
pub fn tests(file: &str, report: &Report) -> Page {
    let passed = format!("{} passed", count(report.passed() as u64, "test"));
    let mut page = Page::new(match report.failed().count() {
        _ if report.tests.is_empty() => Line::attention(format!("{file}: has no tests")),
        0 => Line::holds(format!("{file}: {passed}")),
        failed => Line::fails(format!("{file}: {passed}, {failed} failed")),
    });
    for test in report.failed() {
        let name = test.name.as_deref().map_or("a test".to_owned(), |name| format!("'{name}'"));
        let line = Line::fails(format!("{name}, line {}", test.line));
        page.push(Content::Lines(vec![line]));
        let failures = test.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let indented = failures.lines().map(|line| format!("  {line}\n"));
        page.push(Content::Text(indented.collect()));
    }
    page
}
