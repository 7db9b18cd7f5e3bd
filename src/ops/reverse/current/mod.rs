//! `reverse --current`: today's source collection, from an output, its journal, and a later dump of
//! the collections that the application has used since.

mod events;
mod merging;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use events::EventLog;
pub use events::{Counts, Event, EventKind};
use merging::{Merging, Today, Write, check_size, current_documents};

use super::original::OpenSource;
use super::{self as reverse, Opened, Options, Reversal, UNREAD, database_of, proven};
use crate::artifact::apart;
use crate::artifact::reader::{self, Watched};
use crate::artifact::staging::Staging;
use crate::artifact::writer::{Content, DocumentSink, OutputFile};
use crate::disk::Disk;
use crate::dump::{Collection, Dump};
use crate::error::{Error, Result, counted};
use crate::fingerprints::fingerprint_of;
use crate::lookup::{Lookup, id_fingerprint};
use crate::manifest::{self, Role};
use crate::mapping::{Merged, Merger, Plan};
use crate::pipeline::{self, Pool, Threads};
use crate::progress::Progress;
use crate::raw::{self, Elements};
use crate::transform::documents_path;

/// What a run did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The reversal.
    pub reversal: reverse::Report,
    /// The later dump.
    pub redump: PathBuf,
    /// The number of documents by what happened to them.
    pub counts: Counts,
    /// The first few events.
    pub first: Vec<Event>,
    /// Remarks on the later dump.
    pub remarks: Vec<String>,
}

/// Brings back the source collections as of today, after the application has used the new ones:
/// `redump` is a later dump of them. `each` receives every document with something to report; with
/// `strict`, any such document fails the run.
///
/// # Errors
///
/// As [`reverse`](super::reverse); also [`Error::Check`] if `redump` looks cut short, and
/// [`Error::Input`] if it lacks one of the collections.
///
/// # Examples
///
/// Nothing has changed here, so the result is the original.
///
/// ```
/// use mongosplit::{Plan, progress::Silent, reverse, transform};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// # let (out, back) = (directory.path().join("out"), directory.path().join("back"));
/// let plan = Plan::built_in()?;
/// transform::transform(&transform::Options::new("fixtures/dump", &out), &plan, &Silent)?;
/// let options = reverse::Options::new(&out, &back);
/// let report =
///     reverse::reverse_current(&options, &out, false, &plan, &Silent, &mut |_| Ok(()))?;
/// assert!(report.counts.is_unchanged());
/// # Ok(())
/// # }
/// ```
pub fn reverse_current(
    options: &Options,
    redump: &Path,
    strict: bool,
    plan: &Plan,
    progress: &dyn Progress,
    each: &mut (dyn FnMut(&Event) -> Result<()> + Send),
) -> Result<Report> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    if !options.dry_run {
        apart::check_apart(redump, &options.dest)?;
    }
    let Opened { artifact, layout, threads, sources, mut staging } =
        Opened::new(&disk, options, plan)?;
    let manifest = &artifact.manifest;
    let scratch =
        staging.as_ref().map_or_else(std::env::temp_dir, |staging| staging.scratch().to_owned());
    let mut restored = Vec::new();
    for source in &manifest.sources {
        let database = database_of(&source.namespace, options.to_database.as_deref())?;
        restored.push(format!("{database}.{}", plan.collection()));
    }
    let is_read = |collection: &Collection| {
        let namespace = collection.namespace();
        let mut targets = manifest.sources.iter().flat_map(|source| &source.targets);
        restored.contains(&namespace) || targets.any(|target| target.namespace == namespace)
    };
    let later = Dump::open_unpacked(&disk, redump, None, &scratch, progress, is_read)?;
    let mut remarks = later.remarks.clone();
    let mut result = Reversal::new(manifest, options, &layout);
    let mut log = EventLog { counts: Counts::default(), first: Vec::new(), each };
    for ((mut source, recorded), namespace) in
        sources.into_iter().zip(&manifest.sources).zip(&restored)
    {
        let database = database_of(&recorded.namespace, options.to_database.as_deref())?;
        let level = options.gzip_level;
        let path = documents_path(&database, plan.collection(), level.is_some());
        let mut file = Staging::file(staging.as_mut(), path, Role::Documents, namespace, level)?;
        let lookups = open_lookups(&disk, plan, &later, redump, recorded, &scratch, progress)?;
        check_driver(options, redump, recorded, plan, &lookups)?;
        let source_lookup =
            open_source_lookup(&disk, &later, redump, namespace, &scratch, progress)?;
        remarks.extend(redump_remarks(
            redump,
            namespace,
            source_lookup.as_ref(),
            recorded,
            &lookups,
        ));
        let total: u64 = source.streams.iter().map(|stream| stream.file.bytes).sum();
        progress.start("reverse", Some(total));
        let before = log.counts.clone();
        let today = Today {
            plan,
            recorded,
            lookups: &lookups,
            source: source_lookup.as_ref().map(|lookup| (namespace.as_str(), lookup)),
            progress,
        };
        merge_source(&disk, &threads, today, &mut source, &mut file, &mut log)?;
        progress.finish();
        for lookup in lookups.iter().chain(&source_lookup) {
            lookup.check_unchanged()?;
        }
        drop((lookups, source_lookup)); // what was unpacked must be gone before the result is published
        let entry = threads.run(|| file.finish())?;
        let has_source_documents = log.counts.since(&before).has_source_documents();
        result.manifest.sources.push(source_entry(
            recorded,
            namespace,
            &entry,
            has_source_documents,
        )?);
        result.manifest.files.push(entry);
        let metadata = source.header.metadata.clone();
        result.write_metadata(staging.as_mut(), &threads, namespace, metadata)?;
    }
    drop(later); // what was unpacked must be gone before the result is published
    reader::check_stored(&disk, &artifact, UNREAD)?;
    let EventLog { counts, first, .. } = log;
    if strict && !counts.is_unchanged() {
        return Err(Error::Check(format!(
            "the collections have changed since the migration, and --strict was given: {} drifted, {} added, {} deleted, {} with conflicts, {} with changes that are not carried back, {} missing in one collection only; in the source collection itself {} changed, {} added, {} removed; nothing was published",
            counts.drifted,
            counts.added,
            counts.deleted,
            counts.conflicts,
            counts.not_carried_back,
            counts.missing_siblings,
            counts.source_changed,
            counts.source_added,
            counts.source_removed
        )));
    }
    let reversal = result.publish(staging, None, options, layout, began, progress)?;
    Ok(Report { reversal, redump: redump.to_owned(), counts, first, remarks })
}

/// The manifest's entry for a restored source. If nothing has changed, it must be the source itself.
fn source_entry(
    recorded: &manifest::Source,
    namespace: &str,
    restored: &manifest::File,
    has_source_documents: bool,
) -> Result<manifest::Source> {
    if has_source_documents {
        return proven(recorded, namespace, &Content::of(restored));
    }
    let content = Content::of(restored);
    Ok(manifest::Source {
        namespace: namespace.to_owned(),
        documents: content.documents,
        bytes: content.bytes,
        sha256: content.sha256,
        targets: Vec::new(),
        rejected: 0,
        round_trip: manifest::RoundTrip { proven: 0, whole: 0 },
        findings: Vec::new(),
    })
}

/// Indexes the documents of each target in the later dump by the mapping's key.
fn open_lookups(
    disk: &Disk,
    plan: &Plan,
    later: &Dump,
    redump: &Path,
    recorded: &manifest::Source,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Lookup>> {
    let mut lookups = Vec::new();
    for (number, target) in recorded.targets.iter().enumerate() {
        let standing = later.collections.iter().find(|other| other.namespace() == target.namespace);
        let Some(path) = standing.and_then(|standing| standing.documents.as_deref()) else {
            return Err(Error::input(
                redump,
                format!(
                    "has no {}, which the output has; dump all of the database that it was restored into",
                    target.namespace
                ),
            ));
        };
        let lookup = Lookup::open(disk, path, scratch, progress, |document| {
            plan.key(document).map(fingerprint_of)
        })?;
        if number == plan.driver()
            && let Some(document) = lookup.duplicate()
        {
            let key = plan.key(document).map(raw::display_value).unwrap_or_default();
            return Err(Error::Check(format!(
                "'{}': two documents of {} have one {}, {key} (the second has _id {}); it is not clear which of them should go back",
                path.display(),
                target.namespace,
                plan.key_name(),
                raw::display_id(document).unwrap_or_default()
            )));
        }
        lookups.push(lookup);
    }
    Ok(lookups)
}

/// Refuses a later dump that looks cut short: every document that it lacks would be deleted.
fn check_driver(
    options: &Options,
    redump: &Path,
    recorded: &manifest::Source,
    plan: &Plan,
    lookups: &[Lookup],
) -> Result<()> {
    let (target, documents) =
        (&recorded.targets[plan.driver()], lookups[plan.driver()].len() as u64);
    if documents == 0 && !options.allow_empty {
        return Err(Error::Check(format!(
            "'{}': {} has no documents, the output has {}; a mongodump that was stopped leaves such a file, and every document would count as deleted. Dump again, or give --allow-empty if all of them were deleted",
            redump.display(),
            target.namespace,
            target.documents
        )));
    }
    match options.expect_documents {
        Some(expected) if expected != documents => Err(Error::Check(format!(
            "'{}': {} has {}, --expect-docs {expected} was given; missing ones would count as deleted. Was the dump stopped?",
            redump.display(),
            target.namespace,
            counted(documents, "document")
        ))),
        _ => Ok(()),
    }
}

/// Indexes the source collection itself in the later dump by `_id`, if it is there.
fn open_source_lookup(
    disk: &Disk,
    later: &Dump,
    redump: &Path,
    namespace: &str,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Option<Lookup>> {
    let Some(standing) = later.collections.iter().find(|other| other.namespace() == namespace)
    else {
        return Ok(None);
    };
    let path = standing
        .documents
        .as_deref()
        .ok_or_else(|| Error::input(redump, format!("has no documents of {namespace}")))?;
    Lookup::open(disk, path, scratch, progress, |document| Some(id_fingerprint(document))).map(Some)
}

/// Remarks on a later dump that help to decide whether to trust it.
fn redump_remarks(
    redump: &Path,
    restored: &str,
    source: Option<&Lookup>,
    recorded: &manifest::Source,
    lookups: &[Lookup],
) -> Vec<String> {
    let mut remarks = Vec::new();
    for (target, lookup) in recorded.targets.iter().zip(lookups) {
        if lookup.is_empty() && target.documents > 0 {
            remarks.push(format!(
                "'{}': {} has no documents, the output has {}; a mongodump that was stopped leaves such a file next to sound metadata",
                redump.display(),
                target.namespace,
                target.documents
            ));
        }
    }
    match source {
        None => {
            remarks.push(format!("'{}' has no {restored}, so what the application wrote there since is unknown", redump.display()))
        }
        Some(lookup) if lookup.is_empty() && recorded.documents > 0 => remarks.push(format!(
            "'{}': {restored} has no documents, it had {}; a mongodump that was stopped leaves such a file next to sound metadata",
            redump.display(),
            recorded.documents
        )),
        Some(_) => {}
    }
    remarks
}

fn merge_source(
    disk: &Disk,
    threads: &Threads,
    today: Today<'_>,
    source: &mut OpenSource,
    file: &mut OutputFile<'_>,
    log: &mut EventLog<'_>,
) -> Result<()> {
    let Today { plan, recorded, lookups, progress, .. } = today;
    let journal = source.journal_name();
    let outcome = {
        let stages = Merging { today, journal, pool: Pool::default() };
        let streams = &source.streams;
        let mut reader = (&mut source.journal, source.targets.as_mut_slice());
        let mut writer: Write<'_> = Box::new(|round| {
            let restored: Vec<&[u8]> =
                round.iter().map(|(_, merged)| merged.bytes.as_slice()).collect();
            reader::append_watching(file, &restored, streams)?;
            for (_, merged) in round.iter_mut() {
                file.count(merged.documents);
                log.counts.unchanged += merged.unchanged;
                for event in merged.events.drain(..) {
                    log.record(event)?;
                }
            }
            let counts = &log.counts;
            progress.advance(
                counts.unchanged + counts.drifted + counts.deleted,
                streams.iter().map(Watched::bytes_read).sum(),
            );
            file.compress()
        });
        pipeline::run(threads, &stages, &mut reader, &mut writer)
    };
    source.settle(disk, outcome)?;
    // New documents come last, sorted by the bytes of their `_id`s.
    let mut added: Vec<&[u8]> = lookups[plan.driver()].left().collect();
    added
        .sort_by_key(|document| Elements::new(document).find(b"_id").map(|id| (id.bytes, id.kind)));
    let mut merger = Merger::new(plan);
    for document in added {
        let mut event = Event::new(recorded, document, EventKind::Added);
        let current =
            current_documents(plan, lookups, &vec![None; lookups.len()], document, &mut event);
        let merged = merger.merge(None, &vec![None; lookups.len()], &current);
        append_merged(merged, event, file, log)?;
    }
    for (number, lookup) in lookups.iter().enumerate() {
        if number == plan.driver() {
            continue;
        }
        for document in lookup.left() {
            // It never had a sibling, or the sibling was deleted.
            let mut event = Event::new(recorded, document, EventKind::Orphan);
            event.not_carried_back.push(format!(
                "{} without a document in {}",
                recorded.targets[number].namespace,
                recorded.targets[plan.driver()].namespace
            ));
            log.counts.not_carried_back += 1;
            log.pass_on(event)?;
        }
    }
    for document in today.source.iter().flat_map(|(_, lookup)| lookup.left()) {
        log.record(today.source_event(document, EventKind::SourceAdded, "added since"))?;
    }
    Ok(())
}

fn append_merged(
    merged: Merged,
    mut event: Event,
    file: &mut OutputFile<'_>,
    log: &mut EventLog<'_>,
) -> Result<()> {
    check_size(&merged, &event)?;
    file.append(&merged.document)?;
    file.count(1);
    event.take(merged);
    log.record(event)
}
