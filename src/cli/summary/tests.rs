//! The results of `mapping test`.

use mongosplit::cases::Report;

use super::super::text::count;

/// A line for a mapping, and below it the tests that failed.
pub fn tests(file: &str, report: &Report) -> String {
    let passed = format!("{} passed", count(report.passed() as u64, "test"));
    let mut text = match report.failed().count() {
        _ if report.tests.is_empty() => format!("{file}: has no tests\n"),
        0 => format!("{file}: {passed}\n"),
        failed => format!("{file}: {passed}, {failed} failed\n"),
    };
    for test in report.failed() {
        let name = test.name.as_deref().map_or("a test".to_owned(), |name| format!("'{name}'"));
        line!(text, "  ✗ {name}, line {}", test.line);
        for failure in &test.failures {
            failure.to_string().lines().for_each(|line| {
                line!(text, "    {line}");
            });
        }
    }
    text
}
