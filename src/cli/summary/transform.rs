//! The summary of `transform`.

use mongosplit::layout::Layout;
use mongosplit::manifest::{self, Manifest, Role};
use mongosplit::mapping::Plan;
use mongosplit::transform;

use super::super::text::{count, duration, shell_path, shell_word, size, thousands};
use super::{ratio, remarks, restored_from, row};

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
        line!(text, "✓ {verb} {split} of {}", source.namespace);
        for target in &source.targets {
            line!(text, "{}", row(&target.namespace, target.documents));
        }
        line!(text, "{}", row("set aside (a server would refuse them)", source.rejected));
        line!(text, "{}", ratio(source));
        line!(
            text,
            "  Round trip: {} restored and compared byte for byte, {} kept whole in the journal",
            count(source.round_trip.proven, "document"),
            thousands(source.round_trip.whole)
        );
        line!(text, "  Source: {} bytes, SHA-256 {}", thousands(source.bytes), source.sha256);
        for refused in details.set_aside.iter().take(10) {
            line!(text, "    set aside: {}", transform::set_aside_line(refused));
        }
        if details.set_aside.len() > 10 {
            line!(
                text,
                "    and {} more, all in the report (--json, --report)",
                source.rejected - 10
            );
        }
        findings(&mut text, source);
    }
    for warning in &report.warnings {
        line!(text, "! {warning}");
    }
    let source_bytes: u64 = manifest.sources.iter().map(|source| source.bytes).sum();
    line!(text, "  Duration: {}", duration(report.seconds));
    let per_second = |number: u64| number as f64 / report.seconds.max(0.001);
    line!(
        text,
        "  Throughput: {} docs/s, {}/s",
        thousands(per_second(documents) as u64),
        size(per_second(source_bytes) as u64)
    );
    storage(&mut text, manifest, source_bytes);
    if report.dry_run {
        line!(text, "  Dry run: nothing was written. A real run will write these files:");
        for file in &manifest.files {
            line!(text, "    {}  {:>14}  {}", file.sha256, thousands(file.bytes), file.path);
        }
    } else {
        line!(text, "  Manifest: {}", report.layout.manifest().display());
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
        line!(text, "\nNote:");
        remarks(&mut text, &notes);
    }
    if !report.dry_run {
        next_steps(&mut text, report, plan);
    }
    text
}

fn findings(text: &mut String, source: &manifest::Source) {
    if source.findings.is_empty() {
        line!(text, "  Findings: none");
        return;
    }
    line!(
        text,
        "  Findings (copied unchanged; the application's models would refuse them, or they are only in the journal):"
    );
    for finding in &source.findings {
        line!(
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
    line!(
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
    let mut includes: Vec<String> = targets
        .iter()
        .map(|target| format!(" --nsInclude {}", shell_word(&target.namespace)))
        .collect();
    // What takes the source's place is restored beside it first.
    let replaced = replaced(manifest);
    includes.extend(replaced.iter().map(|namespace| {
        format!(
            " --nsFrom {} --nsTo {}",
            shell_word(namespace),
            shell_word(&format!("{namespace}_split"))
        )
    }));
    let out = shell_path(report.layout.place());
    let is_stream = report.layout.is_stream();
    if is_stream {
        stream_steps(
            text,
            &report.layout,
            &format!("mongorestore --archive --stopOnError{gzip}{}", includes.concat()),
        );
    } else {
        line!(text, "\nNext:");
        line!(
            text,
            "  mongorestore --stopOnError{gzip}{} {}",
            includes.concat(),
            restored_from(&report.layout)
        );
    }
    line!(
        text,
        "mongorestore must report: {documents} document(s) restored successfully. 0 document(s) failed to restore."
    );
    if !replaced.is_empty() {
        line!(text, "Then, while nothing writes, in mongosh:");
    }
    for namespace in &replaced {
        line!(
            text,
            "  db.adminCommand({{renameCollection: \"{namespace}_split\", to: \"{namespace}\", dropTarget: true}})"
        );
    }
    line!(text, "Its exit code 0 alone proves nothing. Check with a new dump:");
    line!(text, "  mongodump --out REDUMP && mongosplit verify {out} --restored REDUMP");
    let shared: Vec<&str> = plan
        .target_collections()
        .enumerate()
        .filter(|(number, _)| plan.is_shared(*number))
        .map(|(_, collection)| collection)
        .collect();
    line!(text, "If the first restore failed, {}.", again(&out, is_stream, &shared));
    let itself = match replaced.is_empty() {
        true => format!("{} itself, ", plan.collection()),
        false => String::new(),
    };
    line!(text, "Not in the output: {itself}other collections, users and roles, the oplog.");
}

/// The sources whose place a target takes, by namespace.
fn replaced(manifest: &manifest::Manifest) -> Vec<&str> {
    let sources = manifest
        .sources
        .iter()
        .filter(|source| source.targets.iter().any(|target| target.namespace == source.namespace));
    sources.map(|source| source.namespace.as_str()).collect()
}

/// What to do after a restore that failed. Collections that other runs fill too must not be dropped.
fn again(out: &str, is_stream: bool, shared: &[&str]) -> String {
    if !shared.is_empty() {
        let restore = match is_stream {
            true => format!("and `mongosplit verify {out}` passes, restore the copy"),
            false => "run the same command".to_owned(),
        };
        return format!(
            "{restore} without --stopOnError: documents that are there already are reported as failed and stay, the others are inserted. Drop nothing: other runs fill {} too. Then check with a new dump",
            shared.join(", ")
        );
    }
    if is_stream {
        return format!(
            "and `mongosplit verify {out}` passes, restore the copy with --drop. If it does not pass, run the pipe again: dump only the source collection, transform with --force, mongorestore with --drop"
        );
    }
    "and only then, run the same command with --drop".to_owned()
}

/// What to do with an archive on standard output, and why to keep a copy.
fn stream_steps(text: &mut String, layout: &Layout, restore: &str) {
    let new = shell_path(&layout.path_of_named("new"));
    let place = shell_path(layout.place());
    line!(text, "\nThe archive went to standard output. Keep a copy of it with tee:");
    line!(text, "  set -o pipefail; umask 077");
    line!(text, "  mongosplit transform … | tee {new} | {restore} && mv {new} {place}");
    line!(
        text,
        "Without the copy, {place} cannot be verified, compared with a re-dump or reversed: the journal alone does not hold the documents."
    );
}

#[cfg(test)]
mod tests {
    use super::again;

    #[test]
    fn a_shared_collection_is_never_dropped() {
        assert_eq!(again("out", false, &[]), "and only then, run the same command with --drop");
        for is_stream in [false, true] {
            let text = again("out", is_stream, &["model_configs"]);
            assert!(!text.contains("--drop"), "{text}");
            assert!(text.contains("Drop nothing: other runs fill model_configs too"), "{text}");
        }
    }
}
