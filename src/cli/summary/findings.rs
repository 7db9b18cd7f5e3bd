//! The text of `findings`.

use mongosplit::findings::Report;

use super::super::text::{count, thousands};

/// The rules that documents break, each with the `_id`s of the first of these.
pub fn findings(report: &Report) -> String {
    let mut text = String::new();
    for source in &report.sources {
        let documents = count(source.documents, "document");
        if source.rules.is_empty() {
            line!(text, "{}: {documents}, no findings", source.namespace);
        } else {
            let rules = count(source.rules.len() as u64, "rule");
            line!(text, "{}: {documents}, findings by {rules}", source.namespace);
        }
        for rule in &source.rules {
            line!(text, "\n  {}: {}", rule.rule, rule.expects);
            line!(text, "  {}:", count(rule.documents, "document"));
            for id in &rule.first_ids {
                line!(text, "    {id}");
            }
            let more = rule.documents - rule.first_ids.len() as u64;
            if more > 0 {
                line!(
                    text,
                    "    and {} more (--max N, or --details FILE for all)",
                    thousands(more)
                );
            }
        }
    }
    text
}
