//! The summaries of `reverse`.

use mongosplit::manifest;
use mongosplit::reverse;

use super::super::text::{count, duration, shell_word, thousands};
use super::restore_argument;

/// The summary of `reverse`.
pub fn reverse(report: &reverse::Report) -> String {
    let mut text = String::new();
    for source in &report.manifest.sources {
        restored_source(&mut text, report.dry_run, source);
        line!(
            text,
            "✓ Identical to the source: {} bytes, SHA-256 {}",
            thousands(source.bytes),
            source.sha256
        );
    }
    line!(
        text,
        "✓ Rollback complete: {} restored in {}",
        count(report.manifest.sources.iter().map(|source| source.documents).sum(), "document"),
        duration(report.seconds)
    );
    reverse_next_steps(&mut text, report);
    text
}

fn restored_source(text: &mut String, is_dry_run: bool, source: &manifest::Source) {
    let verb = if is_dry_run { "Would restore" } else { "Restored" };
    let documents = count(source.documents, "document");
    line!(text, "✓ {verb} {documents} of {}", source.namespace);
}

/// The summary of `reverse --current`.
pub fn reverse_current(report: &reverse::CurrentReport) -> String {
    let mut text = String::new();
    let (reversal, counts) = (&report.reversal, &report.counts);
    for source in &reversal.manifest.sources {
        restored_source(&mut text, reversal.dry_run, source);
    }
    line!(
        text,
        "  unchanged: {}, drifted: {}, added: {}, deleted: {}",
        thousands(counts.unchanged),
        thousands(counts.drifted),
        thousands(counts.added),
        thousands(counts.deleted)
    );
    line!(
        text,
        "  with conflicts: {}, with changes not carried back: {}, missing in one collection only: {}",
        thousands(counts.conflicts),
        thousands(counts.not_carried_back),
        thousands(counts.missing_siblings)
    );
    if counts.in_source() > 0 {
        line!(
            text,
            "! NOT CARRIED BACK: the source collection itself has changed since the migration: {} changed, {} added, {} removed there. The renameCollection below deletes these changes",
            count(counts.source_changed, "document"),
            thousands(counts.source_added),
            thousands(counts.source_removed)
        );
    }
    for other in &report.beside {
        line!(
            text,
            "  beside '{}' (mapping '{}'): {} of {} left out, and {} created since, which belong to it",
            other.out.display(),
            other.mapping.name.escape_debug(),
            count(other.brought, "document"),
            other.namespace,
            thousands(other.created)
        );
    }
    if counts.is_unchanged() {
        line!(
            text,
            "✓ Nothing has changed since the migration: the result is identical to the source"
        );
    }
    for event in &report.first {
        line!(text, "    {} _id {}{}", event.kind.name(), event.id, event_details(event));
    }
    let events = counts.drifted + counts.added + counts.deleted + counts.in_source();
    if events > report.first.len() as u64 {
        line!(text, "    and more, all in the file given to --report");
    }
    for remark in &report.remarks {
        line!(text, "! {remark}");
    }
    line!(text, "✓ Rollback complete in {}", duration(reversal.seconds));
    reverse_next_steps(&mut text, reversal);
    text
}

fn event_details(event: &reverse::Event) -> String {
    let mut details = Vec::new();
    if event.kind == reverse::EventKind::Drifted {
        details.extend(
            event.changed.iter().map(|change| format!("{} from {}", change.field, change.from)),
        );
    }
    details.extend(event.conflicts.iter().map(|conflict| {
        format!(
            "conflict over {}: {} wins over {}",
            conflict.field,
            conflict.winner,
            conflict.losers.join(", ")
        )
    }));
    if !event.not_carried_back.is_empty() {
        details.push(format!("not carried back: {}", event.not_carried_back.join(", ")));
    }
    if !event.missing_in.is_empty() {
        details.push(format!(
            "missing in {}, treated as unchanged there",
            event.missing_in.join(", ")
        ));
    }
    if details.is_empty() { String::new() } else { format!(": {}", details.join("; ")) }
}

fn reverse_next_steps(text: &mut String, report: &reverse::Report) {
    for reverse::TtlIndex { namespace, index, seconds } in &report.ttl_indexes {
        line!(
            text,
            "! The metadata of {namespace} holds the TTL index '{index}', which deletes a document {seconds} seconds after its date: old ones are gone as soon as it is built. Restore with --noIndexRestore to keep them"
        );
    }
    if report.dry_run {
        line!(text, "Dry run: nothing was written.");
        return;
    }
    line!(text, "  Manifest: {}", report.layout.manifest().display());
    let gzip = if report.manifest.options.gzip_level.is_some() { " --gzip" } else { "" };
    let dest = restore_argument(&report.layout);
    for source in &report.manifest.sources {
        let (database, collection) = source.namespace.split_once('.').unwrap_or_default();
        let namespace = shell_word(&source.namespace);
        let rollback = shell_word(&format!("{database}.{collection}_rollback"));
        line!(text, "\nNext, for {}:", source.namespace);
        line!(
            text,
            "  mongorestore --stopOnError{gzip} --nsInclude {namespace} --nsFrom {namespace} --nsTo {rollback} {dest}"
        );
        line!(
            text,
            "mongorestore must report: {} document(s) restored successfully. 0 document(s) failed to restore. Then, in mongosh:",
            source.documents
        );
        line!(
            text,
            "  db.adminCommand({{renameCollection: \"{database}.{collection}_rollback\", to: \"{database}.{collection}\", dropTarget: true}})"
        );
    }
    // All sources of an output are collections of one name.
    let first = report.manifest.sources.first().and_then(|source| source.namespace.split_once('.'));
    line!(
        text,
        "Do not restore over a live {}: every document fails, and mongorestore still exits with 0.",
        first.unwrap_or_default().1
    );
}
