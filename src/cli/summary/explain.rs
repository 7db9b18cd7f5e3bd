//! The text of `mapping explain`.

use mongosplit::explain::{Kept, Report};

/// A document before and after, and what the journal keeps of it.
pub fn explain(report: &Report) -> String {
    let mut text = format!("{}\n{}\n", report.position, indented(&report.before));
    if let Some(reason) = &report.refused {
        line!(text, "\n✗ A server would refuse what becomes of it: {reason}");
    }
    for after in &report.after {
        match after.documents.as_slice() {
            [] => {
                line!(text, "\n{}: no document", after.collection);
            }
            [document] => {
                line!(text, "\n{}\n{}", after.collection, indented(document));
            }
            documents => {
                line!(text, "\n{}: {} documents", after.collection, documents.len());
                for document in documents {
                    line!(text, "{}", indented(document));
                }
            }
        }
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

fn indented(json: &str) -> String {
    json.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
