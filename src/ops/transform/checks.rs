//! What must hold of a run's results before they are published.

use super::outputs::Outputs;
use super::{Options, set_aside_line};
use crate::error::{Error, Result, counted};
use crate::manifest::Manifest;
use crate::mapping::Plan;

/// Fails if documents are missing, or are there and must not be.
pub(super) fn check_results(
    options: &Options,
    files: &[String],
    sources: &[Outputs<'_>],
    plan: &Plan,
    remarks: &[String],
) -> Result<()> {
    for (source, file) in sources.iter().zip(files) {
        let namespace = source.collection.namespace();
        if source.refused_count > 0 && !options.skip_unrestorable {
            let mut lines: Vec<String> = source
                .refused
                .iter()
                .map(|refused| format!("  {}", set_aside_line(refused)))
                .collect();
            if source.refused_count > source.refused.len() as u64 {
                lines.push(format!(
                    "  and {} more (--max-findings)",
                    source.refused_count - source.refused.len() as u64
                ));
            }
            let who = match source.refused.iter().any(|refused| refused.by_mapping) {
                true => "a server or the mapping would refuse",
                false => "a server would refuse",
            };
            return Err(Error::Check(format!(
                "'{file}': {who} {} of the {} documents of {namespace}:\n{}\nfix them in the database and dump again, or leave them out with --skip-unrestorable",
                source.refused_count,
                source.documents,
                lines.join("\n")
            )));
        }
        if source.documents == 0 && !options.allow_empty {
            let remarks: String = remarks.iter().map(|remark| format!("\n{remark}")).collect();
            return Err(Error::Check(format!(
                "'{file}': {namespace} has no documents; a mongodump that was killed can leave such files. If that is right, give --allow-empty{remarks}"
            )));
        }
        let limits = [
            ("were set aside", source.refused_count, options.max_rejected, "--max-rejected"),
            (
                "have findings",
                source.findings.documents(),
                options.max_finding_documents,
                "--max-finding-docs",
            ),
        ];
        for (what, documents, limit, option) in limits {
            if let Some(limit) = limit.filter(|limit| !limit.allows(documents, source.documents)) {
                return Err(Error::Check(format!(
                    "'{file}': {documents} of the {} documents of {namespace} {what}, {:.2}%; {option} {limit} was given. Nothing was published",
                    source.documents,
                    documents as f64 * 100.0 / source.documents as f64
                )));
            }
        }
        if options.strict && !source.findings.is_empty() {
            let lines = source.findings.iter(plan).map(|(rule, found)| {
                format!(
                    "  {}: {} ({}, first _id {})",
                    rule.name,
                    source.findings.text(rule),
                    counted(found.documents, "document"),
                    found.first_ids.first().map_or("none", String::as_str)
                )
            });
            return Err(Error::Check(format!(
                "'{file}': {namespace} has findings, and --strict was given:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            )));
        }
    }
    let documents: u64 = sources.iter().map(|source| source.documents).sum();
    match options.expect_documents {
        Some(expected) if expected != documents => Err(Error::Check(format!(
            "the source has {}, --expect-docs {expected} was given",
            counted(documents, "document")
        ))),
        _ => Ok(()),
    }
}

/// Checks that every source document is in each target that takes all, or was set aside.
pub(super) fn check_conservation(manifest: &Manifest, plan: &Plan) -> Result<()> {
    for source in &manifest.sources {
        // An unwinding target has no document of a source document without items.
        let is_single = |family: &&Vec<usize>| !family.iter().any(|one| plan.is_unwound(*one));
        for family in plan.families().iter().filter(is_single) {
            let documents: u64 =
                family.iter().map(|target| source.targets[*target].documents).sum();
            if documents + source.rejected < source.documents {
                let names: Vec<&str> = family
                    .iter()
                    .map(|target| source.targets[*target].namespace.as_str())
                    .collect();
                return Err(Error::Check(format!(
                    "{} has {} documents, {} have {documents} together, and {} were set aside: documents are missing. Nothing was published; please report this",
                    source.namespace,
                    source.documents,
                    names.join(", "),
                    source.rejected
                )));
            }
        }
        for (number, target) in source.targets.iter().enumerate() {
            let holds = match plan.is_unconditional(number) {
                true => target.documents + source.rejected == source.documents,
                false => {
                    plan.is_unwound(number)
                        || target.documents + source.rejected <= source.documents
                }
            };
            if !holds {
                return Err(Error::Check(format!(
                    "{} has {} documents, {} has {}, and {} were set aside: documents are missing or too many. Nothing was published; please report this",
                    source.namespace,
                    source.documents,
                    target.namespace,
                    target.documents,
                    source.rejected
                )));
            }
        }
    }
    Ok(())
}

/// A remark on what the mapping reads and no document has: it may be misspelt there.
pub(super) fn unread(source: &Outputs<'_>, plan: &Plan) -> Option<String> {
    let unseen = plan.unseen(&source.seen_names, &source.counts);
    let more = unseen.len().saturating_sub(MOST_NAMES);
    let names: Vec<String> =
        unseen.iter().take(MOST_NAMES).map(|name| name.escape_debug().to_string()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| {
        format!(
            "the mapping reads fields that no document of {} has: {}{more}",
            source.collection.namespace(),
            names.join(", ")
        )
    })
}

/// The most names in a remark.
const MOST_NAMES: usize = 20;
