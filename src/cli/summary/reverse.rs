//! The summaries of `reverse`.

use std::path::Path;

use mongosplit::layout::Layout;
use mongosplit::manifest::{self, Manifest};
use mongosplit::plain::{PlainPath, json_string, plain};
use mongosplit::reverse;

use super::super::page::{Command, Content, Figure, Line, Page, Step};
use super::super::text::{count, duration, path_argument, size, thousands};
use super::{dump_of, push_files, rename_command, restore_argument};

/// The summary of `reverse` of an output.
pub fn reverse(report: &reverse::Report, out: &Path) -> Page {
    let sources = &report.manifest.sources;
    let mut page = Page {
        verdicts: sources.iter().map(|one| restored(report, one)).collect(),
        parts: Vec::new(),
    };
    page.verdicts.push(Line::holds("Identical to the source, byte for byte"));
    let mut figures: Vec<Figure> =
        sources.iter().map(|source| Figure::new("SHA-256", &source.sha256)).collect();
    figures.push(Figure::new("result", result(report)));
    page.push(Content::Figures(figures));
    push_next_steps(&mut page, report, Compared::Output(out));
    page
}

/// What a dump of the rolled back database is compared with.
#[derive(Debug, Clone, Copy)]
enum Compared<'a> {
    /// The output, whose source it must be again.
    Output(&'a Path),
    /// The result of the reversal.
    Result,
}

fn restored(report: &reverse::Report, source: &manifest::Source) -> Line {
    let verb = if report.dry_run { "Dry run: would bring back" } else { "Brought back" };
    Line::holds(format!("{verb} {} of {}", count(source.documents, "document"), source.namespace))
}

/// How large the result is, and how long it took.
fn result(report: &reverse::Report) -> String {
    let bytes = report.manifest.sources.iter().map(|source| source.bytes).sum();
    format!("{} in {}", size(bytes), duration(report.seconds))
}

/// The summary of `reverse --current`.
pub fn reverse_current(report: &reverse::CurrentReport) -> Page {
    let (reversal, counts) = (&report.reversal, &report.counts);
    let sources = reversal.manifest.sources.iter();
    let mut page = Page {
        verdicts: sources.map(|source| restored(reversal, source)).collect(),
        parts: Vec::new(),
    };
    if counts.in_source() > 0 {
        page.verdicts.push(Line::attention(format!(
            "NOT CARRIED BACK: the source collection itself has changed since the migration: {} changed, {} added, {} removed there. The renameCollection below deletes these changes",
            count(counts.source_changed, "document"),
            thousands(counts.source_added),
            thousands(counts.source_removed)
        )));
    }
    if counts.deleted > 0 {
        page.verdicts.push(Line::attention(format!(
            "Left out: {}, deleted since the migration",
            count(counts.deleted, "document")
        )));
    }
    if counts.is_unchanged() {
        let what = "Nothing has changed since the migration: identical to the source";
        page.verdicts.push(Line::holds(what));
    }
    page.push(Content::Figures(current_figures(report)));
    // What is not certain comes before what is known to have happened.
    let mut notes: Vec<Line> = report.remarks.iter().map(Line::attention).collect();
    notes.extend(report.first.iter().map(event_line));
    page.push(Content::Notes(notes));
    let events = counts.drifted + counts.added + counts.deleted + counts.in_source();
    if events > report.first.len() as u64 {
        let first = report.first.len();
        let what = format!("The first {first} are above; --details FILE has all of them.");
        page.push_detail("Changes since the migration", Content::Lines(vec![Line::plain(what)]));
    }
    push_next_steps(&mut page, reversal, Compared::Result);
    page
}

fn current_figures(report: &reverse::CurrentReport) -> Vec<Figure> {
    let counts = &report.counts;
    let mut figures = vec![Figure::new(
        "documents",
        format!(
            "{} unchanged, {} drifted, {} added, {} deleted; {}",
            thousands(counts.unchanged),
            thousands(counts.drifted),
            thousands(counts.added),
            thousands(counts.deleted),
            duration(report.reversal.seconds)
        ),
    )];
    if counts.conflicts + counts.not_carried_back + counts.missing_siblings > 0 {
        figures.push(Figure::new(
            "of these",
            format!(
                "{} with conflicts, {} not carried back, {} missing in one collection",
                thousands(counts.conflicts),
                thousands(counts.not_carried_back),
                thousands(counts.missing_siblings)
            ),
        ));
    }
    figures.extend(report.beside.iter().map(|other| {
        Figure::new(
            "left out",
            format!(
                "of {}, as in '{}': {} that mapping '{}' brought, and {} created since, which belong to it",
                other.namespace,
                other.out.plain(),
                count(other.brought, "document"),
                other.mapping.name,
                thousands(other.created)
            ),
        )
    }));
    figures
}

fn event_line(event: &reverse::Event) -> Line {
    let text = format!("{} _id {}{}", event.kind.name(), event.id, event_details(event));
    Line::attention(plain(&text))
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

fn push_next_steps(page: &mut Page, report: &reverse::Report, compared: Compared<'_>) {
    let ttl = |index: &reverse::TtlIndex| {
        let reverse::TtlIndex { namespace, index, seconds } = index;
        Line::attention(format!(
            "TTL index '{index}' of {namespace} deletes each document {seconds} seconds after its date: old ones are gone as soon as it is built. Restore with --noIndexRestore to keep them"
        ))
    };
    page.push(Content::Lines(report.ttl_indexes.iter().map(ttl).collect()));
    if report.dry_run {
        return push_files(page, &report.manifest);
    }
    let steps = [restore(report), rename(report), prove(report, compared)];
    let steps = steps.into_iter().chain(drop_new(report)).collect();
    page.push_titled("Next", Content::Steps(steps));
    let collection = collection_of(&report.manifest);
    page.push_detail(
        "Never restore over a live collection",
        Content::Lines(vec![Line::plain(format!(
            "Over {collection} itself every document fails, and mongorestore still exits with 0."
        ))]),
    );
}

/// The name that the source is restored as first.
fn rollback_name(source: &manifest::Source) -> String {
    format!("{}_rollback", source.namespace)
}

fn restore(report: &reverse::Report) -> Step {
    let manifest = &report.manifest;
    let mut restore = Command::shell("mongorestore").uri().word("--stopOnError");
    if manifest.options.gzip_level.is_some() {
        restore = restore.word("--gzip");
    }
    for source in &manifest.sources {
        let namespace = &source.namespace;
        restore = restore
            .option("--nsInclude", namespace)
            .option("--nsFrom", namespace)
            .option("--nsTo", &rollback_name(source));
    }
    let documents: u64 = manifest.sources.iter().map(|source| source.documents).sum();
    let collection = collection_of(manifest);
    let from = match &report.layout {
        Layout::Stream(_) => " (The archive went to standard output: pipe it into this command.)",
        _ => "",
    };
    Step {
        what: format!(
            "Restore it under another name, never over {collection}. It must end like this:{from}"
        ),
        commands: vec![restore.raw(restore_argument(&report.layout))],
        expects: Some(format!(
            "{documents} document(s) restored successfully. 0 document(s) failed to restore."
        )),
    }
}

/// All sources of an output are collections of one name.
fn collection_of(manifest: &Manifest) -> &str {
    let first = manifest.sources.first().and_then(|source| source.namespace.split_once('.'));
    first.map_or("the source", |(_, collection)| collection)
}

fn rename(report: &reverse::Report) -> Step {
    let rename =
        |source: &manifest::Source| rename_command(&rollback_name(source), &source.namespace);
    Step {
        what: format!(
            "While nothing writes, replace {} by it, in mongosh:",
            collection_of(&report.manifest)
        ),
        commands: report.manifest.sources.iter().map(rename).collect(),
        expects: None,
    }
}

fn prove(report: &reverse::Report, compared: Compared<'_>) -> Step {
    let namespaces = report.manifest.sources.iter().map(|source| source.namespace.as_str());
    let verify = Command::shell("mongosplit").word("verify");
    let verify = match compared {
        Compared::Output(out) => verify.raw(path_argument(out)).raw("--source after".to_owned()),
        Compared::Result => {
            let result = path_argument(report.layout.place());
            verify.raw(result).raw("--restored after".to_owned())
        }
    };
    Step {
        what: "Prove it; verify must exit with 0:".to_owned(),
        commands: vec![dump_of(namespaces, "after"), verify],
        expects: None,
    }
}

/// The way back leaves the new collections where they are.
fn drop_new(report: &reverse::Report) -> Option<Step> {
    let (shared, own): (Vec<_>, Vec<_>) =
        report.new_collections.iter().partition(|collection| collection.is_shared);
    if own.is_empty() {
        return None;
    }
    let kept = match shared.as_slice() {
        [] => String::new(),
        shared => {
            let name = |one: &&reverse::NewCollection| {
                one.namespace.split_once('.').map_or("", |(_, collection)| collection).to_owned()
            };
            let mut names: Vec<String> = shared.iter().map(name).collect();
            names.dedup();
            format!(" (not {}, which others fill)", names.join(", "))
        }
    };
    Some(Step {
        what: format!("Drop the new collections{kept} in mongosh:"),
        commands: own.iter().map(|collection| drop_command(&collection.namespace)).collect(),
        expects: None,
    })
}

fn drop_command(namespace: &str) -> Command {
    let (database, collection) = namespace.split_once('.').unwrap_or((namespace, ""));
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    // No method of mongosh's `db` has an underscore inside its name.
    let is_property = collection.chars().all(is_word)
        && collection.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && collection.contains('_');
    let of = match is_property {
        true => format!(".{collection}"),
        false => format!(".getCollection({})", json_string(collection)),
    };
    Command::Mongosh(format!("db.getSiblingDB({}){of}.drop()", json_string(database)))
}
