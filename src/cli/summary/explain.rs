//! The texts of `mapping explain` and `show`.

use mongosplit::explain::{Kept, Report};
use mongosplit::show;

/// Documents of an output. See [`explain`].
pub fn show(report: &show::Report, width: Option<usize>) -> String {
    let texts: Vec<String> = report.documents.iter().map(|one| explain(one, width)).collect();
    texts.join("\n")
}

/// A document before and after, side by side if that fits into `width` columns, and what the journal
/// keeps of it.
pub fn explain(report: &Report, width: Option<usize>) -> String {
    let mut text = format!("{}\n", report.position);
    let before = indented(&report.before);
    let mut after = String::new();
    for target in &report.after {
        if !after.is_empty() {
            after += "\n";
        }
        match target.documents.as_slice() {
            [] => line!(after, "{}: no document", target.collection),
            [document] => line!(after, "{}\n{}", target.collection, indented(document)),
            documents => {
                line!(after, "{}: {} documents", target.collection, documents.len());
                documents.iter().for_each(|document| line!(after, "{}", indented(document)));
            }
        }
    }
    match width.and_then(|width| beside(&before, &after, width)) {
        Some(both) => text += &both,
        None => line!(text, "{before}\n\n{}", after.trim_end()),
    }
    if let Some(reason) = &report.refused {
        line!(text, "\n✗ A server would refuse what becomes of it: {reason}");
    }
    text += "\nThe journal keeps the order of the fields, and";
    text += if report.kept.is_empty() { " nothing else\n" } else { "\n" };
    report.kept.iter().for_each(|kept| push_kept(&mut text, kept));
    if !report.findings.is_empty() {
        text += "\nFindings\n";
    }
    for finding in &report.findings {
        line!(text, "  {}: {}", finding.rule, finding.text);
    }
    text
}

fn push_kept(text: &mut String, kept: &Kept) {
    let of = match kept.path.as_str() {
        "" => String::new(),
        path => format!("of '{path}': "),
    };
    line!(text, "  {of}{}", kept.what);
    if let Some(value) = &kept.value {
        line!(text, "{}", indented(&indented(value)));
    }
}

/// Two texts side by side, if they fit.
fn beside(left: &str, right: &str, width: usize) -> Option<String> {
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let column = longest(left);
    if column + SEPARATOR.chars().count() + longest(right) > width {
        return None;
    }
    let mut text = String::new();
    let (mut left, mut right) = (left.lines(), right.lines());
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() {
            return Some(text);
        }
        let both = format!("{:column$}{SEPARATOR}{}", one.unwrap_or(""), other.unwrap_or(""));
        line!(text, "{}", both.trim_end());
    }
}

const SEPARATOR: &str = "  │ ";

/// A text with each line indented. A document may have millions of lines, so nothing is kept of each.
fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 2 * json.lines().count());
    for line in json.lines() {
        text += if text.is_empty() { "  " } else { "\n  " };
        text += line;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_side_by_side_where_there_is_room() {
        let both = "  a   │ c\n  bb  │\n      │ d\n";
        assert_eq!(beside("  a\n  bb", "c\n\nd", 9).as_deref(), Some(both));
        assert_eq!(beside("  a\n  bb", "c\n\nd", 8), None);
    }
}
