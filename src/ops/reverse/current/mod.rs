//! `reverse --current`: today's source collection, from an output, its journal, and a later dump of
//! the collections that the application has used since.

mod beside;
mod events;
mod groups;
mod merging;
mod redump;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use beside::Beside;
pub use beside::BesideReport;
use events::EventLog;
pub use events::{Counts, Event, EventKind};
use groups::Group;
use merging::{Current, Found, Merging, Today, Write, check_size, current_documents};
use redump::{Opening, check_driver, open_source_lookup, redump_remarks};

use super::original::OpenSource;
use super::{self as reverse, Opened, Options, Reversal, UNREAD, database_of, proven};
use crate::artifact::apart;
use crate::artifact::difference::{Difference, Problem};
use crate::artifact::reader::{self, Artifact, Watched};
use crate::artifact::staging::Staging;
use crate::artifact::writer::{Content, DocumentSink, OutputFile};
use crate::disk::Disk;
use crate::dump::{Dump, Metadata};
use crate::error::{Error, Result};
use crate::fingerprints::fingerprint_of;
use crate::hash::HashingCounter;
use crate::lookup::{IdPrefix, Left, Lookup};
use crate::manifest::{self, Role};
use crate::mapping::{Merged, Merger};
use crate::ops::verify::together::compare_artifacts;
use crate::pipeline::{self, Pool, Threads};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::Elements;
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
    /// What outputs of other mappings have of the collections.
    pub beside: Vec<BesideReport>,
    /// Remarks on the later dump.
    pub remarks: Vec<String>,
}

/// Brings back the source collections as of today, after the application has used the new ones:
/// `redump` is a later dump of them. `each` receives every document with something to report; with
/// `strict`, any such document fails the run.
///
/// [`Options::further`] names outputs of the same mapping that are brought back with the first one,
/// [`Options::beside`] outputs of other mappings, whose documents are left out.
///
/// # Errors
///
/// As [`reverse`](super::reverse); also [`Error::Check`] if `redump` looks cut short, or two outputs
/// have the same document, and [`Error::Input`] if `redump` lacks one of the collections.
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
/// let options = transform::Options::new("fixtures/dump", &out);
/// transform::transform(&options, &Plan::built_in()?, &Silent)?;
/// let options = reverse::Options::new(&out, &back);
/// let report = reverse::reverse_current(&options, &out, false, &Silent, &mut |_| Ok(()))?;
/// assert!(report.counts.is_unchanged());
/// # Ok(())
/// # }
/// ```
pub fn reverse_current(
    options: &Options,
    redump: &Path,
    strict: bool,
    progress: &dyn Progress,
    each: &mut (dyn FnMut(&Event) -> Result<()> + Send),
) -> Result<Report> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    if !options.dry_run {
        apart::check_apart(redump, &options.dest)?;
    }
    let Opened { artifact, further, plan, layout, threads, mut staging } =
        Opened::new(&disk, options)?;
    let plan = &plan;
    let besides = options
        .beside
        .iter()
        .map(|out| Beside::open(&disk, out, plan))
        .collect::<Result<Vec<_>>>()?;
    let outputs: Vec<Artifact> = std::iter::once(artifact).chain(further).collect();
    let groups = Group::of(&outputs)?;
    check_contradictions(&disk, &outputs, &besides, progress)?;
    let scratch = match &staging {
        Some(staging) => staging.scratch()?,
        None => std::env::temp_dir(),
    };
    let mut restored = Vec::new();
    for group in &groups {
        let database = database_of(&group.recorded.namespace, options.to_database.as_deref())?;
        restored.push(format!("{database}.{}", plan.collection()));
    }
    let targets = groups.iter().flat_map(|group| &group.recorded.targets);
    let read: HashSet<String> =
        targets.map(|target| &target.namespace).chain(&restored).cloned().collect();
    let later = Dump::open_unpacked(&disk, redump, None, &scratch, progress, &read)?;
    let mut remarks = later.remarks.clone();
    let mut result = Reversal::new(&outputs[0].manifest, options, &layout);
    outputs.iter().for_each(|output| result.note_collections(&output.manifest, plan));
    for collection in &mut result.new_collections {
        collection.is_shared |= besides.iter().any(|beside| beside.fills(&collection.namespace));
    }
    let mut log = EventLog { counts: Counts::default(), first: Vec::new(), each };
    let mut beside = Vec::new();
    for (group, namespace) in groups.iter().zip(&restored) {
        let recorded = &group.recorded;
        let database = database_of(&recorded.namespace, options.to_database.as_deref())?;
        let level = options.gzip_level;
        let path = documents_path(&database, plan.collection(), level.is_some());
        let mut file = Staging::file(staging.as_mut(), path, Role::Documents, namespace, level)?;
        let opening = Opening {
            disk: &disk,
            plan,
            later: &later,
            redump,
            recorded,
            outputs: &outputs,
            besides: &besides,
            scratch: &scratch,
            progress,
        };
        let before = log.counts.clone();
        let lookups = opening.lookups(&mut log, &mut beside)?;
        check_driver(options, redump, recorded, plan, &lookups)?;
        // What stands in the source's place is the target of its name.
        let is_replaced = (0..plan.target_count()).any(|target| plan.is_source(target));
        let source_lookup = match is_replaced {
            true => None,
            false => open_source_lookup(&disk, &later, redump, namespace, &scratch, progress)?,
        };
        remarks.extend(redump_remarks(
            redump,
            (!is_replaced).then_some(namespace),
            source_lookup.as_ref(),
            recorded,
            &lookups,
        ));
        let today = Today {
            plan,
            recorded,
            lookups: &lookups,
            source: source_lookup.as_ref().map(|lookup| (namespace.as_str(), lookup)),
            progress,
        };
        let mut metadata = Vec::new();
        for member in &group.members {
            let output = &outputs[member.output];
            let own = &output.manifest.sources[member.source];
            let mut source = OpenSource::open(&disk, output, plan, own)?;
            let total: u64 = source.streams.iter().map(|stream| stream.file.bytes).sum();
            progress.start("reverse", Some(total));
            let mut part = (group.members.len() > 1).then(Part::default);
            let before = log.counts.clone();
            merge_source(&disk, &threads, today, &mut source, &mut file, part.as_mut(), &mut log)?;
            if let Some(part) = part
                && log.counts.since(&before).has_source_documents()
            {
                proven(own, namespace, &part.content())?;
            }
            progress.finish();
            metadata.push((output, source.header.metadata));
        }
        merge_rest(today, &mut file, &mut log)?;
        for lookup in lookups.iter().chain(&source_lookup) {
            lookup.check_unchanged()?;
        }
        drop((lookups, source_lookup)); // what was unpacked must be gone before the result is published
        let entry = threads.run(|| file.finish())?;
        let has_source_documents = log.counts.since(&before).has_source_documents();
        result.manifest.sources.push(source_entry(group, namespace, &entry, has_source_documents)?);
        result.manifest.files.push(entry);
        remarks.extend(metadata_remarks(&recorded.namespace, &metadata)?);
        let metadata = metadata.into_iter().find_map(|(_, metadata)| metadata);
        result.write_metadata(staging.as_mut(), &threads, namespace, metadata)?;
    }
    drop(later); // what was unpacked must be gone before the result is published
    outputs.iter().try_for_each(|output| reader::check_stored(&disk, output, UNREAD))?;
    besides.iter().try_for_each(|beside| beside.check(&disk))?;
    remarks.extend(beside_remarks(&besides, &beside));
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
    Ok(Report { reversal, redump: redump.to_owned(), counts, first, beside, remarks })
}

/// Refuses outputs of which two have one document: it would come back twice, or count as deleted.
fn check_contradictions(
    disk: &Disk,
    outputs: &[Artifact],
    besides: &[Beside],
    progress: &dyn Progress,
) -> Result<()> {
    let all: Vec<&Artifact> =
        outputs.iter().chain(besides.iter().map(|beside| &beside.artifact)).collect();
    if all.len() == 1 {
        return Ok(());
    }
    let report = compare_artifacts(disk, &all, progress)?;
    // That indexes differ is no matter here: the documents were restored.
    let of_documents = |difference: &&Difference| difference.problem != Problem::Index;
    let Some(first) = report.named.iter().find(of_documents) else { return Ok(()) };
    let names: Vec<String> =
        all.iter().map(|artifact| format!("'{}'", artifact.out().plain())).collect();
    Err(Error::Check(format!(
        "the outputs {} contradict one another, so nothing was reversed: {first}; `mongosplit verify` of all of them names each document that two of them have",
        names.join(", ")
    )))
}

/// Remarks on sources' metadata that differ: only one goes back.
fn metadata_remarks(
    namespace: &str,
    metadata: &[(&Artifact, Option<Vec<u8>>)],
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (output, bytes) in metadata {
        let parsed =
            bytes.clone().map_or(Ok(None), |bytes| Metadata::parse(bytes, namespace.as_ref()))?;
        found.extend(parsed.map(|parsed| (output, parsed)));
    }
    let Some(((first, metadata), others)) = found.split_first() else { return Ok(Vec::new()) };
    let remark = |(other, one): &(&&Artifact, Metadata)| {
        let differences = one.differences(metadata);
        (!differences.is_empty()).then(|| {
            format!(
                "the metadata of {namespace} in '{}' differs from that in '{}', which goes back: {}",
                other.out().plain(),
                first.out().plain(),
                differences.join("; ")
            )
        })
    };
    Ok(others.iter().filter_map(remark).collect())
}

/// Remarks on outputs of other mappings that have no collection in common with those reversed.
fn beside_remarks(besides: &[Beside], reports: &[BesideReport]) -> Vec<String> {
    let out = |beside: &Beside| beside.artifact.out().to_owned();
    let is_apart = |out: &PathBuf| !reports.iter().any(|report| report.out == *out);
    let remark = |out: PathBuf| {
        format!(
            "'{}' shares no collection with the outputs that are reversed, so --beside changes nothing",
            out.plain()
        )
    };
    besides.iter().map(out).filter(is_apart).map(remark).collect()
}

/// The documents that one of several outputs gave.
#[derive(Debug, Default)]
struct Part {
    documents: u64,
    hash: HashingCounter,
}

impl Part {
    fn content(self) -> Content {
        let (bytes, sha256) = self.hash.finish();
        Content { documents: self.documents, bytes, sha256 }
    }
}

/// The manifest's entry for a restored source. If nothing has changed, it must be the source itself.
fn source_entry(
    group: &Group,
    namespace: &str,
    restored: &manifest::File,
    has_source_documents: bool,
) -> Result<manifest::Source> {
    let (recorded, content) = (&group.recorded, Content::of(restored));
    let is_one = group.members.len() == 1;
    if has_source_documents && is_one {
        return proven(recorded, namespace, &content);
    }
    // Of several outputs each one's part has been proven.
    let round_trip = match has_source_documents {
        true => recorded.round_trip.clone(),
        false => manifest::RoundTrip { proven: 0, whole: 0 },
    };
    Ok(manifest::Source {
        namespace: namespace.to_owned(),
        documents: content.documents,
        bytes: content.bytes,
        sha256: content.sha256,
        targets: Vec::new(),
        rejected: 0,
        round_trip,
        findings: Vec::new(),
    })
}

fn merge_source(
    disk: &Disk,
    threads: &Threads,
    today: Today<'_>,
    source: &mut OpenSource,
    file: &mut OutputFile<'_>,
    mut part: Option<&mut Part>,
    log: &mut EventLog<'_>,
) -> Result<()> {
    let progress = today.progress;
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
                if let Some(part) = &mut part {
                    part.documents += merged.documents;
                    part.hash.update(&merged.bytes);
                }
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
    source.settle(disk, outcome)
}

/// A document that was created since the migration.
#[derive(Debug)]
struct Created {
    driver: usize,
    left: Left,
    id: IdPrefix,
}

/// Sorts documents by their `_id`s, of which only the largest are read again.
fn sort_created(lookups: &[Lookup], created: &mut [Created]) -> Result<()> {
    let read = |one: &Created| lookups[one.driver].read_left(one.left);
    let mut failed = Ok(());
    created.sort_by(|one, other| {
        one.id.compare(&other.id).unwrap_or_else(|| {
            match read(one).and_then(|a| Ok((a, read(other)?))) {
                Ok((one, other)) => {
                    let id = |document: &[u8]| {
                        Elements::new(document).find(b"_id").map(|id| (id.bytes.to_vec(), id.kind))
                    };
                    id(&one).cmp(&id(&other))
                }
                Err(error) => {
                    failed = Err(error);
                    std::cmp::Ordering::Equal
                }
            }
        })
    });
    failed
}

/// Appends what no output has: documents created since. Reports what else is left.
fn merge_rest(today: Today<'_>, file: &mut OutputFile<'_>, log: &mut EventLog<'_>) -> Result<()> {
    let Today { plan, recorded, lookups, .. } = today;
    // New documents come last, sorted by the bytes of their `_id`s. A document of several driving
    // collections is one; the first of them drives it.
    let drivers = plan.drivers();
    let (mut known, mut added) = (HashSet::new(), Vec::new());
    for &driver in &drivers {
        for left in lookups[driver].left_places() {
            let document = lookups[driver].read_left(left)?;
            if known.insert(plan.key(driver, &document).map(fingerprint_of)) {
                added.push(Created { driver, left, id: IdPrefix::of(&document) });
            }
        }
    }
    sort_created(lookups, &mut added)?;
    let (mut merger, base) = (Merger::new(plan), Current::none(plan));
    for Created { driver, left, .. } in added {
        let document = lookups[driver].read_left(left)?;
        let mut event = Event::new(recorded, &document, EventKind::Added);
        let found = Found::of(plan, lookups, driver, document)?;
        let current = current_documents(plan, &base, &found, &mut event);
        let merged = merger.merge(None, base.sides(), current.sides());
        append_merged(merged, event, file, log)?;
    }
    for (number, lookup) in lookups.iter().enumerate() {
        if plan.is_driver(number) {
            continue;
        }
        for document in lookup.left() {
            // It never had a sibling, or the sibling was deleted.
            let mut event = Event::new(recorded, &document?, EventKind::Orphan);
            let namespaces: Vec<&str> =
                drivers.iter().map(|driver| recorded.targets[*driver].namespace.as_str()).collect();
            event.not_carried_back.push(format!(
                "{} without a document in {}",
                recorded.targets[number].namespace,
                namespaces.join(" or ")
            ));
            log.counts.not_carried_back += 1;
            log.pass_on(event)?;
        }
    }
    for document in today.source.iter().flat_map(|(_, lookup)| lookup.left()) {
        log.record(today.source_event(&document?, EventKind::SourceAdded, "added since"))?;
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
