//! Reports as text for people.

use std::fmt::Write;
use std::path::Path;

use mongosplit::Dump;
use mongosplit::layout::Layout;
use mongosplit::manifest::{self, Manifest, Role};
use mongosplit::mapping::Plan;
use mongosplit::{reverse, transform, verify};

use super::text::{count, duration, shell_path, shell_word, size, thousands};

/// The summary of `transform`.
pub fn transform(report: &transform::Report, plan: &Plan) -> String {
    let mut text = String::new();
    let manifest = &report.manifest;
    let documents: u64 = manifest.sources.iter().map(|source| source.documents).sum();
    let verb = if report.dry_run { "Would split" } else { "Split" };
    for (source, details) in manifest.sources.iter().zip(&report.sources) {
        let all = count(source.documents, "document");
        let split = match source.rejected {
            0 => all,
            rejected => format!("{} of {all}", thousands(source.documents - rejected)),
        };
        let _ = writeln!(text, "✓ {verb} {split} of {}", source.namespace);
        for target in &source.targets {
            let _ =
                writeln!(text, "    {:<48} {:>12}", target.namespace, thousands(target.documents));
        }
        let first = source.targets.first().map_or(0, |target| target.documents);
        let ratio = if source.documents == 0 {
            100.0
        } else {
            first as f64 * 100.0 / source.documents as f64
        };
        let _ = writeln!(
            text,
            "    {:<48} {:>12}",
            "set aside (a server would refuse them)",
            thousands(source.rejected)
        );
        let _ = writeln!(text, "  Ratio: {ratio:.2}%");
        let _ = writeln!(
            text,
            "  Round trip: {} restored and compared byte for byte, {} kept whole in the journal",
            count(source.round_trip.proven, "document"),
            thousands(source.round_trip.whole)
        );
        let _ = writeln!(
            text,
            "  Source: {} bytes, SHA-256 {}",
            thousands(source.bytes),
            source.sha256
        );
        for refused in details.set_aside.iter().take(10) {
            let _ = writeln!(text, "    set aside: {}", transform::set_aside_line(refused));
        }
        if details.set_aside.len() > 10 {
            let _ = writeln!(
                text,
                "    and {} more, all in the report (--json, --report)",
                source.rejected - 10
            );
        }
        findings(&mut text, source);
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "! {warning}");
    }
    let source_bytes: u64 = manifest.sources.iter().map(|source| source.bytes).sum();
    let _ = writeln!(text, "  Duration: {}", duration(report.seconds));
    let per_second = |number: u64| number as f64 / report.seconds.max(0.001);
    let _ = writeln!(
        text,
        "  Throughput: {} docs/s, {}/s",
        thousands(per_second(documents) as u64),
        size(per_second(source_bytes) as u64)
    );
    storage(&mut text, manifest, source_bytes);
    if report.dry_run {
        let _ =
            writeln!(text, "  Dry run: nothing was written. A real run will write these files:");
        for file in &manifest.files {
            let _ =
                writeln!(text, "    {}  {:>14}  {}", file.sha256, thousands(file.bytes), file.path);
        }
    } else {
        let _ = writeln!(text, "  Manifest: {}", report.layout.manifest().display());
    }
    let mut notes: Vec<String> = report.remarks.clone();
    for source in &report.sources {
        if !source.options.is_empty() {
            notes.push(format!(
                "options of {} are not carried over: {}",
                source.namespace,
                source.options.join(", ")
            ));
        }
        notes.extend(source.index_commands.iter().map(|command| {
            format!("index of {} is not carried over: {command}", source.namespace)
        }));
    }
    if !notes.is_empty() {
        let _ = writeln!(text, "\nNote:");
        notes.iter().for_each(|note| {
            let _ = writeln!(text, "  {note}");
        });
    }
    if !report.dry_run {
        next_steps(&mut text, report, plan);
    }
    text
}

fn findings(text: &mut String, source: &manifest::Source) {
    if source.findings.is_empty() {
        let _ = writeln!(text, "  Findings: none");
        return;
    }
    let _ = writeln!(
        text,
        "  Findings (copied unchanged; the application's models would refuse them, or they are only in the journal):"
    );
    for finding in &source.findings {
        let _ = writeln!(
            text,
            "    {}: {} - {}, first _id {}",
            finding.rule,
            finding.expects,
            count(finding.documents, "document"),
            finding.first_ids.join(", ")
        );
    }
}

fn storage(text: &mut String, manifest: &Manifest, source_bytes: u64) {
    let raw = |file: &manifest::File| file.raw_bytes.unwrap_or(file.bytes);
    let collections: u64 =
        manifest.files_of(Role::Documents).chain(manifest.archive()).map(raw).sum();
    let journal: u64 = manifest.files_of(Role::Journal).map(raw).sum();
    let stored: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let share = if source_bytes == 0 { 0.0 } else { journal as f64 * 100.0 / source_bytes as f64 };
    let _ = writeln!(
        text,
        "  Storage impact: +{} in the database, next to the source's {}; journal {} ({share:.1}% of the source); {} on disk",
        size(collections),
        size(source_bytes),
        size(journal),
        size(stored)
    );
}

fn next_steps(text: &mut String, report: &transform::Report, plan: &Plan) {
    let manifest = &report.manifest;
    let targets: Vec<&manifest::Target> =
        manifest.sources.iter().flat_map(|source| &source.targets).collect();
    let documents: u64 = targets.iter().map(|target| target.documents).sum();
    let gzip = if manifest.options.gzip_level.is_some() { " --gzip" } else { "" };
    let includes: Vec<String> = targets
        .iter()
        .map(|target| format!(" --nsInclude {}", shell_word(&target.namespace)))
        .collect();
    let out = shell_path(report.layout.place());
    let is_stream = report.layout.is_stream();
    if is_stream {
        stream_steps(
            text,
            report.layout.place(),
            &format!("mongorestore --archive --stopOnError{gzip}{}", includes.concat()),
        );
    } else {
        let _ = writeln!(text, "\nNext:");
        let _ = writeln!(
            text,
            "  mongorestore --stopOnError{gzip}{} {}",
            includes.concat(),
            restored_from(&report.layout)
        );
    }
    let _ = writeln!(
        text,
        "mongorestore must report: {documents} document(s) restored successfully. 0 document(s) failed to restore."
    );
    let _ = writeln!(text, "Its exit code 0 alone proves nothing. Check with a new dump:");
    let _ = writeln!(text, "  mongodump --out REDUMP && mongosplit verify {out} --restored REDUMP");
    let again = if is_stream {
        "the pipe again: dump only the source collection, transform with --force, mongorestore with --drop"
    } else {
        "the same command with --drop"
    };
    let _ = writeln!(text, "If the first restore failed, and only then, run {again}.");
    let _ = writeln!(
        text,
        "Not in the output: {} itself, other collections, users and roles, the oplog.",
        plan.collection()
    );
}

/// What to do with an archive on standard output, and why to keep a copy.
fn stream_steps(text: &mut String, place: &Path, restore: &str) {
    let place = shell_path(place);
    let _ = writeln!(text, "\nThe archive went to standard output. Keep a copy of it with tee:");
    let _ = writeln!(text, "  set -o pipefail; umask 077");
    let _ = writeln!(text, "  mongosplit transform … | tee {place} | {restore}");
    let _ = writeln!(
        text,
        "Without the copy, {place} cannot be verified, compared with a re-dump or reversed: the journal alone does not hold the documents."
    );
}

/// The argument that makes mongorestore restore an output.
fn restored_from(layout: &Layout) -> String {
    match layout {
        Layout::Directory(place) => shell_path(place),
        Layout::Archive(place) => format!("--archive={}", shell_path(place)),
        Layout::Stream(_) => "--archive".to_owned(),
    }
}

/// The summary of `reverse`.
pub fn reverse(report: &reverse::Report, plan: &Plan) -> String {
    let mut text = String::new();
    for source in &report.manifest.sources {
        restored_source(&mut text, report.dry_run, source);
        let _ = writeln!(
            text,
            "✓ Identical to the source: {} bytes, SHA-256 {}",
            thousands(source.bytes),
            source.sha256
        );
    }
    let _ = writeln!(
        text,
        "✓ Rollback complete: {} restored in {}",
        count(report.manifest.sources.iter().map(|source| source.documents).sum(), "document"),
        duration(report.seconds)
    );
    reverse_next_steps(&mut text, report, plan);
    text
}

fn restored_source(text: &mut String, is_dry_run: bool, source: &manifest::Source) {
    let verb = if is_dry_run { "Would restore" } else { "Restored" };
    let documents = count(source.documents, "document");
    let _ = writeln!(text, "✓ {verb} {documents} of {}", source.namespace);
}

/// The summary of `reverse --current`.
pub fn reverse_current(report: &reverse::CurrentReport, plan: &Plan) -> String {
    let mut text = String::new();
    let (reversal, counts) = (&report.reversal, &report.counts);
    for source in &reversal.manifest.sources {
        restored_source(&mut text, reversal.dry_run, source);
    }
    let _ = writeln!(
        text,
        "  unchanged: {}, drifted: {}, added: {}, deleted: {}",
        thousands(counts.unchanged),
        thousands(counts.drifted),
        thousands(counts.added),
        thousands(counts.deleted)
    );
    let _ = writeln!(
        text,
        "  with conflicts: {}, with changes not carried back: {}, missing in one collection only: {}",
        thousands(counts.conflicts),
        thousands(counts.not_carried_back),
        thousands(counts.missing_siblings)
    );
    if counts.in_source() > 0 {
        let _ = writeln!(
            text,
            "! NOT CARRIED BACK: the source collection itself has changed since the migration: {} changed, {} added, {} removed there. The renameCollection below deletes these changes",
            count(counts.source_changed, "document"),
            thousands(counts.source_added),
            thousands(counts.source_removed)
        );
    }
    if counts.is_unchanged() {
        let _ = writeln!(
            text,
            "✓ Nothing has changed since the migration: the result is identical to the source"
        );
    }
    for event in &report.first {
        let _ =
            writeln!(text, "    {} _id {}{}", event.kind.name(), event.id, event_details(event));
    }
    let events = counts.drifted + counts.added + counts.deleted + counts.in_source();
    if events > report.first.len() as u64 {
        let _ = writeln!(text, "    and more, all in the file given to --report");
    }
    report.remarks.iter().for_each(|remark| {
        let _ = writeln!(text, "! {remark}");
    });
    let _ = writeln!(text, "✓ Rollback complete in {}", duration(reversal.seconds));
    reverse_next_steps(&mut text, reversal, plan);
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

fn reverse_next_steps(text: &mut String, report: &reverse::Report, plan: &Plan) {
    for reverse::TtlIndex { namespace, index, seconds } in &report.ttl_indexes {
        let _ = writeln!(
            text,
            "! The metadata of {namespace} holds the TTL index '{index}', which deletes a document {seconds} seconds after its date: old ones are gone as soon as it is built. Restore with --noIndexRestore to keep them"
        );
    }
    if report.dry_run {
        let _ = writeln!(text, "Dry run: nothing was written.");
        return;
    }
    let _ = writeln!(text, "  Manifest: {}", report.layout.manifest().display());
    let gzip = if report.manifest.options.gzip_level.is_some() { " --gzip" } else { "" };
    let dest = restored_from(&report.layout);
    for source in &report.manifest.sources {
        let database = source.namespace.split_once('.').map_or("", |(database, _)| database);
        let namespace = shell_word(&source.namespace);
        let rollback = shell_word(&format!("{database}.{}_rollback", plan.collection()));
        let _ = writeln!(text, "\nNext, for {}:", source.namespace);
        let _ = writeln!(
            text,
            "  mongorestore --stopOnError{gzip} --nsInclude {namespace} --nsFrom {namespace} --nsTo {rollback} {dest}"
        );
        let _ = writeln!(
            text,
            "mongorestore must report: {} document(s) restored successfully. 0 document(s) failed to restore. Then, in mongosh:",
            source.documents
        );
        let _ = writeln!(
            text,
            "  db.adminCommand({{renameCollection: \"{database}.{0}_rollback\", to: \"{database}.{0}\", dropTarget: true}})",
            plan.collection()
        );
    }
    let _ = writeln!(
        text,
        "Do not restore over a live {}: every document fails, and mongorestore still exits with 0.",
        plan.collection()
    );
}

/// The summary of `verify`.
pub fn verify(report: &verify::Report) -> String {
    let mut text = String::new();
    if !report.differences.is_empty() {
        let _ = writeln!(text, "✗ '{}' does not match its manifest:", report.out.display());
        report.differences.iter().for_each(|difference| {
            let _ = writeln!(text, "    {difference}");
        });
    }
    if !report.strict_findings.is_empty() {
        let _ =
            writeln!(text, "✗ '{}' has findings, and --strict was given:", report.out.display());
        report.strict_findings.iter().for_each(|finding| {
            let documents = count(finding.documents, "document");
            let _ = writeln!(text, "    {}: {} ({documents})", finding.rule, finding.expects);
        });
    }
    if !report.holds() {
        return text;
    }
    let _ = writeln!(
        text,
        "✓ {} ({}) {}: presence, sizes, SHA-256, framing, counts ({})",
        count(report.files as u64, "file"),
        size(report.bytes),
        if report.files == 1 { "matches the manifest" } else { "match the manifest" },
        duration(report.seconds)
    );
    for source in &report.manifest.sources {
        let _ = writeln!(
            text,
            "    {:<48} {:>12}  source",
            source.namespace,
            thousands(source.documents)
        );
        for target in &source.targets {
            let _ =
                writeln!(text, "    {:<48} {:>12}", target.namespace, thousands(target.documents));
        }
    }
    remarks(&mut text, &report.remarks);
    text
}

/// The summary of `verify --source`.
pub fn verify_source(report: &verify::SourceReport) -> String {
    let mut text = String::new();
    let derived = &report.derived;
    for source in &derived.manifest.sources {
        let _ = writeln!(text, "  {} count: {}", source.namespace, thousands(source.documents));
        for target in &source.targets {
            let _ = writeln!(text, "  {} count: {}", target.namespace, thousands(target.documents));
        }
        let first = source.targets.first().map_or(0, |target| target.documents);
        let ratio = if source.documents == 0 {
            100.0
        } else {
            first as f64 * 100.0 / source.documents as f64
        };
        let _ = writeln!(text, "  Ratio: {ratio:.2}%");
    }
    for array in derived.sources.iter().flat_map(|source| &source.arrays) {
        let mark = if array.source == array.target { "✓" } else { "✗" };
        let _ = writeln!(
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
        let _ = writeln!(
            text,
            "✓ All fields correctly mapped: every byte of the output was derived again from the source"
        );
        let _ = writeln!(
            text,
            "✓ No data loss: validated {}, all of them",
            count(documents, "document")
        );
        let _ = writeln!(
            text,
            "✓ Rollback: {} restored and compared byte for byte ({})",
            count(documents, "document"),
            duration(report.seconds)
        );
        return text;
    }
    let _ = writeln!(text, "✗ The output differs from what this source produces:");
    report.differences.iter().for_each(|difference| {
        let _ = writeln!(text, "    {difference}");
    });
    if let Some(documents) = &report.documents {
        text += &restored_lines(documents);
    }
    remarks(&mut text, &report.remarks);
    text
}

fn remarks<T: std::fmt::Display>(text: &mut String, remarks: &[T]) {
    remarks.iter().for_each(|remark| {
        let _ = writeln!(text, "  {remark}");
    });
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
        let _ = writeln!(
            text,
            "    {} {} _id {}{fields}",
            difference.difference.name(),
            difference.namespace,
            difference.id
        );
    }
    let differences = report.missing + report.extra + report.changed;
    if differences > report.first.len() as u64 {
        let _ = writeln!(
            text,
            "    and {} more, all in the file given to --report",
            thousands(differences - report.first.len() as u64)
        );
    }
    report.index_differences.iter().for_each(|difference| {
        let _ = writeln!(text, "    {difference}");
    });
    remarks(&mut text, &report.remarks);
    text
}

/// The listing of `inspect`.
pub fn inspect(dump: &Dump, report: &mongosplit::inspect::Report) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, server version {}",
        dump.path.display(),
        dump.server_version.as_deref().unwrap_or("unknown")
    );
    for collection in &report.collections {
        let _ = writeln!(
            text,
            "  {:<48} {:<12} {:>12} {:>16}  indexes: {}{}",
            collection.namespace.escape_debug().to_string(),
            collection.kind,
            count(collection.documents, "document"),
            count(collection.bytes, "byte"),
            if collection.indexes.is_empty() {
                "unknown".to_owned()
            } else {
                collection.indexes.join(", ")
            },
            match collection.checksum_holds {
                None => "",
                Some(true) => "  checksum matches",
                Some(false) => "  ✗ CHECKSUM DOES NOT MATCH: the archive is damaged",
            }
        );
    }
    dump.remarks.iter().for_each(|remark| {
        let _ = writeln!(text, "  {remark}");
    });
    text
}

/// For `inspect --quiet`: the collections whose checksums do not match.
pub fn checksum_failures(dump: &Dump, report: &mongosplit::inspect::Report) -> String {
    let damaged =
        report.collections.iter().filter(|collection| collection.checksum_holds == Some(false));
    let line = |collection: &mongosplit::inspect::Collection| {
        let namespace = collection.namespace.escape_debug();
        format!(
            "mongosplit: '{}': the checksum of {namespace} does not match: the archive is damaged\n",
            dump.path.display()
        )
    };
    damaged.map(line).collect()
}
