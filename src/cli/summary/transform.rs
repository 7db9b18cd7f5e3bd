//! The summary of `transform`.

use mongosplit::layout::Layout;
use mongosplit::manifest::{self, Manifest, Role};
use mongosplit::mapping::Plan;
use mongosplit::plain::plain;
use mongosplit::transform;

use super::super::page::{Command, Content, Figure, Line, Page, Step, Table};
use super::super::text::{argument_in_text, count, duration, path_argument, size, thousands};
use super::{
    documents_row, documents_table, dump_of, finding_line, push_files, ratio, rename_command,
    restore_argument,
};

/// How many sources are listed with each of their targets.
const DETAILED_SOURCES: usize = 2;
/// How many set-aside documents are listed.
const SET_ASIDE: usize = 10;

/// The summary of `transform`.
pub fn transform(report: &transform::Report, plan: &Plan) -> Page {
    let manifest = &report.manifest;
    let mut page = Page { verdicts: verdicts(report), parts: Vec::new() };
    page.push(Content::Table(targets(manifest)));
    page.push(Content::Figures(figures(report)));
    page.push(Content::Notes(notes(report)));
    page.push_detail("Set aside", Content::Lines(set_aside(report)));
    page.push_detail("Findings", Content::Lines(findings(manifest)));
    page.push_detail("Not in the output", Content::Lines(not_in_output(report, plan)));
    page.push_detail("Indexes that are not carried over", Content::Steps(index_steps(report)));
    if report.dry_run {
        push_files(&mut page, manifest);
    } else {
        page.push_titled("Next", Content::Steps(next_steps(report)));
        page.push_detail("If a restore fails", Content::Lines(if_it_fails(report, plan)));
    }
    page
}

fn verdicts(report: &transform::Report) -> Vec<Line> {
    let manifest = &report.manifest;
    let verb = if report.dry_run { "Dry run: would split" } else { "Split" };
    let documents: u64 = manifest.sources.iter().map(|source| source.documents).sum();
    let rejected: u64 = manifest.sources.iter().map(|source| source.rejected).sum();
    let from = match manifest.sources.as_slice() {
        [source] => source.namespace.clone(),
        sources => count(sources.len() as u64, "database"),
    };
    let all = count(documents, "document");
    let split = match rejected {
        0 => all,
        rejected => format!("{} of {all}", thousands(documents - rejected)),
    };
    vec![Line::holds(format!("{verb} {split} of {from}"))]
}

/// What each collection gets; of many sources, how many documents each has.
fn targets(manifest: &Manifest) -> Table {
    let mut table = documents_table();
    let mut row = |name: &str, documents: u64, what: &str| {
        table.rows.push(documents_row(name, documents, what));
    };
    for source in &manifest.sources {
        if manifest.sources.len() > DETAILED_SOURCES {
            row(&source.namespace, source.documents - source.rejected, "documents split");
            continue;
        }
        for target in &source.targets {
            row(&target.namespace, target.documents, "documents");
        }
        if source.rejected > 0 {
            row("set aside", source.rejected, "documents");
        }
    }
    table
}

fn figures(report: &transform::Report) -> Vec<Figure> {
    let manifest = &report.manifest;
    let sum = |of: fn(&manifest::Source) -> u64| manifest.sources.iter().map(of).sum::<u64>();
    let source_bytes = sum(|source| source.bytes);
    let per_second = |number: u64| number as f64 / report.seconds.max(0.001);
    let raw = |file: &manifest::File| file.raw_bytes.unwrap_or(file.bytes);
    let collections: u64 =
        manifest.files_of(Role::Documents).chain(manifest.archive()).map(raw).sum();
    let journal: u64 = manifest.files_of(Role::Journal).map(raw).sum();
    let share = if source_bytes == 0 { 0.0 } else { journal as f64 * 100.0 / source_bytes as f64 };
    vec![
        Figure::new(
            "proof",
            format!(
                "{} brought back and equal, {} kept whole; ratio {}",
                count(sum(|source| source.round_trip.proven), "document"),
                thousands(sum(|source| source.round_trip.whole)),
                ratio(&manifest.sources),
            ),
        ),
        Figure::new(
            "size",
            format!(
                "source {}, collections {}, journal {} ({share:.1}%)",
                size(source_bytes),
                size(collections),
                size(journal),
            ),
        ),
        Figure::new(
            "time",
            format!(
                "{}, {} docs/s, {}/s",
                duration(report.seconds),
                thousands(per_second(sum(|source| source.documents)) as u64),
                size(per_second(source_bytes) as u64)
            ),
        ),
    ]
}

/// What needs attention, one line for each kind.
fn notes(report: &transform::Report) -> Vec<Line> {
    let mut notes: Vec<Line> = report.warnings.iter().map(Line::attention).collect();
    let manifest = &report.manifest;
    let rejected: u64 = manifest.sources.iter().map(|source| source.rejected).sum();
    if rejected > 0 {
        let what = count(rejected, "document");
        notes.push(Line::attention(format!("set aside: {what} that a server would refuse (-v)")));
    }
    let rules: usize = manifest.sources.iter().map(|source| source.findings.len()).sum();
    let with_findings: u64 = report.sources.iter().map(|source| source.finding_documents).sum();
    if rules > 0 {
        let (documents, rules) = (count(with_findings, "document"), count(rules as u64, "rule"));
        let how = match report.dry_run {
            true => "-v".to_owned(),
            false => format!("mongosplit findings {}", argument_in_text(report.layout.place())),
        };
        let verb = if with_findings == 1 { "breaks" } else { "break" };
        notes.push(Line::attention(format!("findings: {documents} {verb} {rules} ({how})")));
    }
    for source in &report.sources {
        let indexes = source.index_commands.len() as u64;
        if indexes > 0 {
            let what = if indexes == 1 { "index" } else { "indexes" };
            let of = &source.namespace;
            notes.push(Line::attention(format!("not carried over: {indexes} {what} of {of} (-v)")));
        }
    }
    notes.extend(report.remarks.iter().map(Line::attention));
    notes
}

fn set_aside(report: &transform::Report) -> Vec<Line> {
    let mut lines = Vec::new();
    for source in &report.sources {
        let first = source.set_aside.iter().take(SET_ASIDE);
        lines.extend(first.map(|refused| Line::plain(transform::set_aside_line(refused))));
        let shown = source.set_aside.len().min(SET_ASIDE);
        let manifest = report.manifest.sources.iter();
        let all = manifest.filter(|one| one.namespace == source.namespace).map(|one| one.rejected);
        let more = all.sum::<u64>().saturating_sub(shown as u64);
        if more > 0 {
            let listed = source.set_aside.len() as u64 == more + shown as u64;
            let place = if listed { "the report and --details" } else { "--details" };
            lines.push(Line::plain(format!("and {} more, all in {place}", thousands(more))));
        }
    }
    lines
}

/// Values that are copied unchanged although the application's models refuse them, and values that
/// only the journal has.
fn findings(manifest: &Manifest) -> Vec<Line> {
    let findings = manifest.sources.iter().flat_map(|source| &source.findings);
    let line = |finding: &manifest::Finding| {
        finding_line(&finding.rule, &finding.expects, finding.documents, &finding.first_ids)
    };
    findings.map(line).collect()
}

fn not_in_output(report: &transform::Report, plan: &Plan) -> Vec<Line> {
    let mut left_out = Vec::new();
    for source in &report.sources {
        let of = &source.namespace;
        if !source.options.is_empty() {
            left_out.push(format!("options of {of}: {}", plain(&source.options.join(", "))));
        }
    }
    let itself = match replaced(&report.manifest).is_empty() {
        true => format!("{} itself, ", plan.collection()),
        false => String::new(),
    };
    left_out.push(format!("{itself}other collections, users and roles, the oplog"));
    left_out.into_iter().map(Line::plain).collect()
}

/// The commands that create the indexes which are not in the output.
fn index_steps(report: &transform::Report) -> Vec<Step> {
    let sources = report.sources.iter().filter(|source| !source.index_commands.is_empty());
    let step = |source: &transform::SourceReport| Step {
        what: format!("To create those of {} elsewhere, in mongosh:", source.namespace),
        commands: source.index_commands.iter().cloned().map(Command::Mongosh).collect(),
        expects: None,
    };
    sources.map(step).collect()
}

fn next_steps(report: &transform::Report) -> Vec<Step> {
    let manifest = &report.manifest;
    let targets: Vec<&manifest::Target> =
        manifest.sources.iter().flat_map(|source| &source.targets).collect();
    let documents: u64 = targets.iter().map(|target| target.documents).sum();
    let mut restore = Command::shell("mongorestore").uri().word("--stopOnError");
    if manifest.options.gzip_level.is_some() {
        restore = restore.word("--gzip");
    }
    for target in &targets {
        restore = restore.option("--nsInclude", &target.namespace);
    }
    // What takes the source's place is restored beside it first.
    let replaced = replaced(manifest);
    for namespace in &replaced {
        restore =
            restore.option("--nsFrom", namespace).option("--nsTo", &format!("{namespace}_split"));
    }
    restore = restore.raw(restore_argument(&report.layout));
    let out = path_argument(report.layout.place());
    let mut steps = match &report.layout {
        Layout::Stream(_) => stream_steps(&report.layout, restore),
        _ => vec![Step {
            what: "Restore. mongorestore must end with the line below the command:".to_owned(),
            commands: vec![restore],
            expects: None,
        }],
    };
    if let Some(last) = steps.last_mut() {
        last.expects = Some(format!(
            "{documents} document(s) restored successfully. 0 document(s) failed to restore."
        ));
    }
    if !replaced.is_empty() {
        let rename = |namespace: &&str| rename_command(&format!("{namespace}_split"), namespace);
        steps.push(Step {
            what: "While nothing writes, in mongosh:".to_owned(),
            commands: replaced.iter().map(rename).collect(),
            expects: None,
        });
    }
    let namespaces = targets.iter().map(|target| target.namespace.as_str());
    let verify = Command::shell("mongosplit").word("verify").raw(out.clone());
    steps.push(Step {
        what: "Prove it: mongorestore's exit code 0 proves nothing, that of verify does:"
            .to_owned(),
        commands: vec![dump_of(namespaces, "redump"), verify.raw("--restored redump".to_owned())],
        expects: None,
    });
    steps.push(Step {
        what: "Rehearse the way back:".to_owned(),
        commands: vec![Command::shell("mongosplit").word("reverse").raw(out).word("rehearsal")],
        expects: None,
    });
    steps
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
            "{restore} without --stopOnError: existing documents are reported as failed and stay, the others are inserted. Drop nothing: other runs fill {} too. Then check with a new dump",
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
fn stream_steps(layout: &Layout, restore: Command) -> Vec<Step> {
    let new = path_argument(&layout.path_of_named("new"));
    let place = path_argument(layout.place());
    let mut pipe = vec!["mongosplit transform … |".to_owned(), format!("tee {new} |")];
    if let Command::Shell(parts) = restore {
        pipe.extend(parts);
    }
    pipe.push(format!("&& mv {new} {place}"));
    vec![Step {
        what: format!(
            "The archive went to standard output. Keep a copy of it with tee: without it, {place} cannot be verified, compared with a re-dump or reversed, as the journal alone does not hold the documents:"
        ),
        commands: vec![
            Command::Shell(vec!["set -o pipefail; umask 077".to_owned()]),
            Command::Shell(pipe),
        ],
        expects: None,
    }]
}

fn if_it_fails(report: &transform::Report, plan: &Plan) -> Vec<Line> {
    let shared: Vec<&str> = plan
        .target_collections()
        .enumerate()
        .filter(|(number, _)| plan.is_shared(*number))
        .map(|(_, collection)| collection)
        .collect();
    let out = argument_in_text(report.layout.place());
    vec![Line::plain(format!("{}.", again(&out, report.layout.is_stream(), &shared)))]
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
