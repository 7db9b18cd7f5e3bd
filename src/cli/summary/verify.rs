//! The summaries of `verify`.

use mongosplit::verify;

use super::super::text::{count, duration, size, thousands};
use super::{ratio, remarks, row};

/// The summary of `verify`.
pub fn verify(report: &verify::Report) -> String {
    let mut text = String::new();
    if !report.differences.is_empty() {
        line!(text, "✗ '{}' does not match its manifest:", report.out.display());
        for difference in &report.differences {
            line!(text, "    {difference}");
        }
    }
    if !report.strict_findings.is_empty() {
        line!(text, "✗ '{}' has findings, and --strict was given:", report.out.display());
        for finding in &report.strict_findings {
            let documents = count(finding.documents, "document");
            line!(text, "    {}: {} ({documents})", finding.rule, finding.expects);
        }
    }
    if !report.holds() {
        return text;
    }
    line!(
        text,
        "✓ {} ({}) {}: presence, sizes, SHA-256, framing, counts ({})",
        count(report.files as u64, "file"),
        size(report.bytes),
        if report.files == 1 { "matches the manifest" } else { "match the manifest" },
        duration(report.seconds)
    );
    for source in &report.manifest.sources {
        line!(text, "{}  source", row(&source.namespace, source.documents));
        for target in &source.targets {
            line!(text, "{}", row(&target.namespace, target.documents));
        }
    }
    remarks(&mut text, &report.remarks);
    text
}

/// The summary of `verify` for one of several outputs.
pub fn verify_named(report: &verify::Report) -> String {
    let summary = verify(report);
    // What does not hold names its output already.
    if report.holds() { format!("{}\n{summary}", report.out.display()) } else { summary }
}

/// How many contradictions a summary names.
const FIRST: usize = 20;

/// The summary of `verify` for several outputs, compared with one another.
pub fn verify_together(report: &verify::OutputsReport) -> String {
    let mut text = String::new();
    let outputs = report.outputs.len();
    let shared = report.shared.len() as u64;
    match report.contradictions {
        0 => {
            line!(
                text,
                "✓ {outputs} outputs can be restored into one database: no _id, unique value or index of {} contradicts another ({})",
                count(shared, "shared collection"),
                duration(report.seconds)
            );
        }
        contradictions => {
            line!(
                text,
                "✗ {} between {outputs} outputs for one database:",
                count(contradictions, "contradiction")
            );
        }
    }
    for collection in &report.shared {
        line!(
            text,
            "    {:<48} {:>12}  in {} outputs",
            collection.namespace,
            thousands(collection.documents),
            collection.outputs
        );
    }
    report.named.iter().take(FIRST).for_each(|difference| {
        line!(text, "    {difference}");
    });
    let more = report.contradictions.saturating_sub(FIRST as u64);
    if more > 0 {
        line!(
            text,
            "    and {} more; the report (--json, --report) names the first 1,000",
            thousands(more)
        );
    }
    let has = |problems: &[verify::Problem]| {
        report.named.iter().any(|difference| problems.contains(&difference.problem))
    };
    if has(&[verify::Problem::SameId, verify::Problem::SameValue]) {
        line!(
            text,
            "Restored into one database, the second document of each pair fails. Remove one of the two where it comes from, dump that source again and run `transform` again. A document that two shards have is an orphan on one of them: run cleanupOrphaned there first"
        );
    }
    if has(&[verify::Problem::Index]) {
        line!(
            text,
            "A server builds one of two such indexes. Give both mappings the same definition and run `transform` again, or restore one output with --noIndexRestore and build its other indexes by hand"
        );
    }
    remarks(&mut text, &report.remarks);
    text
}

/// The summary of `verify --source`.
pub fn verify_source(report: &verify::SourceReport) -> String {
    let mut text = String::new();
    let derived = &report.derived;
    for source in &derived.manifest.sources {
        line!(text, "  {} count: {}", source.namespace, thousands(source.documents));
        for target in &source.targets {
            line!(text, "  {} count: {}", target.namespace, thousands(target.documents));
        }
        line!(text, "  Ratio: {}", ratio(std::slice::from_ref(source)));
    }
    for array in derived.sources.iter().flat_map(|source| &source.arrays) {
        let mark = if array.source == array.target { "✓" } else { "✗" };
        line!(
            text,
            "{mark} {} with items: {}, {} with items: {}",
            array.source_field,
            thousands(array.source),
            array.target_field,
            thousands(array.target)
        );
    }
    if report.differences.is_empty() {
        let documents: u64 =
            derived.manifest.sources.iter().map(|source| source.round_trip.proven).sum();
        remarks(&mut text, &report.remarks);
        line!(
            text,
            "✓ All fields correctly mapped: every byte of the output was derived again from the source"
        );
        line!(text, "✓ No data loss: validated {}, all of them", count(documents, "document"));
        line!(
            text,
            "✓ Rollback: {} restored and compared byte for byte ({})",
            count(documents, "document"),
            duration(report.seconds)
        );
        return text;
    }
    line!(text, "✗ The output differs from what this source produces:");
    for difference in &report.differences {
        line!(text, "    {difference}");
    }
    if let Some(documents) = &report.documents {
        text += &restored_lines(documents);
    }
    remarks(&mut text, &report.remarks);
    text
}

/// The summary of `verify --restored`.
pub fn verify_restored(report: &verify::RestoredReport) -> String {
    let mark = if report.is_same() { "✓" } else { "✗" };
    let mut text = format!(
        "{mark} {} compared with '{}' in {}\n",
        count(report.documents, "document"),
        report.redump.display(),
        duration(report.seconds)
    );
    text += &restored_lines(report);
    text
}

fn restored_lines(report: &verify::RestoredReport) -> String {
    let mut text = format!(
        "  missing: {}, extra: {}, changed: {}, only reordered: {}\n",
        thousands(report.missing),
        thousands(report.extra),
        thousands(report.changed),
        thousands(report.reordered)
    );
    for difference in &report.first {
        let fields = if difference.fields.is_empty() {
            String::new()
        } else {
            format!(": {}", difference.fields.join(", "))
        };
        line!(
            text,
            "    {} {} _id {}{fields}{}",
            difference.difference.name(),
            difference.namespace,
            difference.id,
            match &difference.output {
                Some(output) => format!(" (of '{}')", output.display()),
                None => String::new(),
            }
        );
    }
    let differences = report.missing + report.extra + report.changed;
    if differences > report.first.len() as u64 {
        line!(
            text,
            "    and {} more, all in the file given to --report",
            thousands(differences - report.first.len() as u64)
        );
    }
    for difference in &report.index_differences {
        line!(text, "    {difference}");
    }
    remarks(&mut text, &report.remarks);
    text
}
