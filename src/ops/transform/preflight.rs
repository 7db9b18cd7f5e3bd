//! Checks before the first document: traps that refuse a run, and remarks for the user.

use std::collections::{HashMap, HashSet};

use super::source::Reading;
use super::{ExistingTargets, Options};
use crate::artifact::layout::Layout;
use crate::base::archive_format as archive;
use crate::base::documents::{Checking, Counts, count, each_document};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{Collection, Dump, Metadata, MetadataAt, OplogOperations};
use crate::error::{Error, Result, counted};
use crate::mapping::Plan;
use crate::pipeline::Threads;
use crate::plain::PlainPath;
use crate::progress::Progress;

/// Reports what is read and how, for `--verbose`.
pub(super) fn detail_run(
    progress: &dyn Progress,
    dump: &Dump,
    collections: &[Collection],
    threads: &Threads,
    options: &Options,
) {
    progress.detail(&dump.describe());
    for (collection, file) in collections.iter().zip(files_of(dump, collections)) {
        let metadata =
            collection.metadata.as_ref().map_or("none".to_owned(), MetadataAt::to_string);
        progress.detail(&format!(
            "source {}: documents '{file}', metadata {metadata}",
            collection.namespace()
        ));
    }
    progress.detail(&format!(
        "{}, {}",
        counted(threads.count() as u64, "thread"),
        options.io.describe()
    ));
}

pub(super) fn single_database(options: &Options) -> Option<&str> {
    match options.databases.as_slice() {
        [database] => Some(database),
        _ => None,
    }
}

pub(super) fn files_of(dump: &Dump, collections: &[Collection]) -> Vec<String> {
    let name = |collection: &Collection| match dump.is_archive() {
        true => format!("{}, {}", dump.path.plain(), collection.namespace()),
        false => collection.documents.as_deref().unwrap_or(&dump.path).plain(),
    };
    collections.iter().map(name).collect()
}

/// What target collections in the dump hold already, by the numbers of source and target.
pub(super) type ExistingDocuments = HashMap<(usize, usize), Existing>;

/// What one target collection holds already.
#[derive(Debug, Default)]
pub(super) struct Existing {
    pub(super) ids: HashSet<u128>,
    /// By the number of the unique index.
    pub(super) unique: HashSet<(usize, u128)>,
}

impl Existing {
    fn add(&mut self, plan: &Plan, target: usize, document: &[u8]) {
        self.ids.extend(plan.id_fingerprint(document));
        self.unique.extend(plan.unique_fingerprints(target, document));
    }
}

/// Refuses a dump whose documents are not all in the source's file, or whose output would collide
/// when it is restored. An archive shows some of this only while it is read:
/// [`Reading::check_after`] refuses that.
pub(super) fn check_traps(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    dump: &Dump,
    sources: &[Collection],
    progress: &dyn Progress,
    remarks: &mut Vec<String>,
) -> Result<ExistingDocuments> {
    let mut existing: ExistingDocuments = HashMap::new();
    for source in sources {
        if let Some(refusal) = dump.refusal(disk, source)? {
            return Err(refusal);
        }
    }
    let standing = standing_targets(options, plan, dump, sources);
    if dump.is_archive() {
        if options.existing_targets == ExistingTargets::Check && !standing.is_empty() {
            // The one case that needs two passes: existing documents must be known before the first
            // output.
            let Some(mut archive) = dump.archive(disk)? else { return Ok(existing) };
            let of_entry = |entry: &archive::Entry| -> Vec<(usize, usize)> {
                let is_entry = |collection: &Collection| {
                    (&collection.database, &collection.name) == (&entry.database, &entry.collection)
                };
                standing
                    .iter()
                    .filter(|standing| is_entry(standing.collection))
                    .map(|standing| (standing.source, standing.target))
                    .collect()
            };
            let places: Vec<Vec<(usize, usize)>> =
                archive.prelude().entries.iter().map(|entry| of_entry(entry)).collect();
            archive.each_document(Checking::Framing, progress, |document| {
                for &(number, target) in &places[document.namespace] {
                    existing.entry((number, target)).or_default().add(plan, target, document.bytes);
                }
                Ok(())
            })?;
        }
        return Ok(existing);
    }
    for source in sources {
        let namespace = source.namespace();
        let operations = dump.oplog_operations(disk, &namespace, progress)?;
        check_oplog(options, "oplog.bson", &namespace, operations, remarks)?;
    }
    for Standing { source, target, collection } in standing {
        let Some(path) = collection.documents.as_deref() else { continue };
        let counts = count(disk, path, progress)?;
        check_standing(options, &collection.namespace(), counts, remarks)?;
        if counts.documents > 0 {
            let known = existing.entry((source, target)).or_default();
            each_document(
                &mut Splitter::open(disk, path)?,
                Checking::Framing,
                progress,
                |document| {
                    known.add(plan, target, document.bytes());
                    Ok(())
                },
            )?;
        }
    }
    Ok(existing)
}

/// A collection of the dump that a target would be written into.
struct Standing<'a> {
    /// The number of the source.
    source: usize,
    /// The number of the target.
    target: usize,
    collection: &'a Collection,
}

/// Collections of the dump that are targets.
fn standing_targets<'a>(
    options: &Options,
    plan: &Plan,
    dump: &'a Dump,
    sources: &[Collection],
) -> Vec<Standing<'a>> {
    let (mut standing, collections) = (Vec::new(), dump.by_name());
    for (number, source) in
        sources.iter().enumerate().filter(|_| options.existing_targets != ExistingTargets::Ignore)
    {
        let database = options.to_database.as_ref().unwrap_or(&source.database);
        for (target, name) in plan.target_collections().enumerate() {
            // What stands in the source's own place is the source.
            if (database, name) == (&source.database, source.name.as_str()) {
                continue;
            }
            let found = collections.get(&(database.as_str(), name)).copied();
            standing.extend(found.map(|collection| Standing {
                source: number,
                target,
                collection,
            }));
        }
    }
    standing
}

/// Refuses operations on the source that happened during the dump.
pub(crate) fn check_oplog(
    options: &Options,
    oplog: &str,
    namespace: &str,
    OplogOperations { touching, all }: OplogOperations,
    remarks: &mut Vec<String>,
) -> Result<()> {
    if touching > 0 {
        let what = format!(
            "{oplog} has {touching} of {all} operations on {namespace}, which happened during the dump and are not in its documents"
        );
        if !options.ignore_oplog {
            return Err(Error::Check(format!(
                "{what}; dump again while nothing writes, or leave them out with --ignore-oplog"
            )));
        }
        remarks.push(format!("{what}; they are left out (--ignore-oplog)"));
    } else if all > 0 {
        remarks.push(format!(
            "{oplog} is not in the output; none of its {all} operations is on {namespace}"
        ));
    }
    Ok(())
}

/// Refuses documents in a target collection.
pub(crate) fn check_standing(
    options: &Options,
    namespace: &str,
    Counts { documents, bytes }: Counts,
    remarks: &mut Vec<String>,
) -> Result<()> {
    if documents == 0 {
        return Ok(());
    }
    let what = format!(
        "the dump holds {} ({bytes} bytes) in the target collection {namespace} already",
        counted(documents, "document")
    );
    if options.existing_targets == ExistingTargets::Refuse {
        return Err(Error::Check(format!(
            "{what}; has the migration run before? --allow-existing-targets accepts them if none collides"
        )));
    }
    remarks.push(format!(
        "{what}; none of them collides with the output, which does not include them"
    ));
    Ok(())
}

/// A remark on a source's metadata.
pub(super) fn metadata_remark(
    dump: &Dump,
    collection: &Collection,
    metadata: Option<&Metadata>,
) -> Option<String> {
    let what = match (&collection.metadata, metadata) {
        // The dump's own remark covers a single file.
        (None, _) if dump.is_single_file() => return None,
        (None, _) => "has no metadata file",
        (Some(MetadataAt::Prelude(_)), None) => "has no metadata in the archive",
        (Some(MetadataAt::File(_)), None) => "has an empty metadata file",
        _ => return None,
    };
    Some(format!("{} {what}, so its indexes and options are unknown", collection.namespace()))
}

/// What the output leaves out of the dump.
pub(super) fn not_carried_over(dump: &Dump, sources: &[Collection]) -> Vec<String> {
    let mut remarks = Vec::new();
    let others: Vec<String> =
        dump.others(sources).map(|other| other.namespace().escape_debug().to_string()).collect();
    if !others.is_empty() {
        remarks.push(format!("other collections, not in the output: {}", others.join(", ")));
    }
    if dump
        .others(sources)
        .any(|other| other.database == "admin" || other.name.starts_with("$admin.system."))
    {
        remarks.push("users and roles of the dump are not in the output".to_owned());
    }
    remarks
}

/// Refuses a place that has not even room for a copy of the sources, and warns of one that has
/// hardly more. What a compressed output takes is not known.
pub(super) fn check_room(
    disk: &Disk,
    options: &Options,
    layout: &Layout,
    sources: &Reading,
    progress: &dyn Progress,
) -> Result<()> {
    if layout.is_stream() || options.gzip_level.is_some() {
        return Ok(());
    }
    let place = layout.place();
    let Some((needed, free)) = sources.plain_bytes().zip(disk.free_bytes(place)) else {
        return Ok(());
    };
    let room = format!("its file system has {free} bytes free, the source alone has {needed}");
    if free < needed {
        let what = format!("{room}; free some, choose another place, or compress with --gzip");
        return Err(Error::output(place, what));
    }
    if free < needed + needed / ROOM_BESIDES {
        progress.warn(&format!(
            "'{}': {room}, and the output is larger; inspect DUMP --out DIR says how large",
            place.plain()
        ));
    }
    Ok(())
}

/// The output is larger than the source by less than one part in so many, in most runs.
const ROOM_BESIDES: u64 = 4;

/// Warns that nothing in a piped dump shows whether mongodump ran to its end.
pub(super) fn unexpected_number(options: &Options, plan: &Plan) -> Vec<String> {
    if !crate::base::stream::is_standard_input(&options.dump) || options.expect_documents.is_some()
    {
        return Vec::new();
    }
    vec![format!(
        "give --expect-docs N, as standard input may have been cut short: a mongodump that is stopped by a signal \
         ends its archive properly, with a sound checksum and fewer documents. N is db.{0}.countDocuments({{}}) while \
         nothing writes; use set -o pipefail, too",
        plan.collection()
    )]
}
