//! `verify --restored`: compares an output with a later dump of the database it was restored into.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Options;
use crate::artifact::difference::{Difference, Problem};
use crate::artifact::layout::Layout;
use crate::artifact::reader::Artifact;
use crate::base::archive_format as archive;
use crate::base::documents::Shares;
use crate::base::documents::{Checking, Documents, each_document};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{self, Dump, Metadata, read_small};
use crate::error::{Error, Result};
use crate::fingerprints::document_digest;
use crate::lookup::{Lookup, id_fingerprint};
use crate::manifest::{self, Kind, Manifest, Role};
use crate::progress::Progress;
use crate::raw::{self, differing_paths};
use crate::transform::rounded_seconds;

/// How a document can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// The later dump lacks it.
    Missing,
    /// Only the later dump has it.
    Extra,
    /// Fields differ.
    Changed,
}

impl DifferenceKind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "extra",
            DifferenceKind::Changed => "changed",
        }
    }
}

/// How a document differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentDifference {
    /// The collection.
    pub namespace: String,
    /// The document's `_id`.
    pub id: String,
    /// How it differs.
    pub difference: DifferenceKind,
    /// Paths of the fields that differ.
    pub fields: Vec<String>,
}

/// What a comparison found.
#[derive(Debug, Default, Serialize)]
pub struct RestoredReport {
    /// The later dump.
    pub redump: PathBuf,
    /// Documents that the output has.
    pub documents: u64,
    /// Those that the later dump lacks.
    pub missing: u64,
    /// Those that only the later dump has.
    pub extra: u64,
    /// Those that differ.
    pub changed: u64,
    /// Those that differ only in the order of their fields.
    pub reordered: u64,
    /// The first few differences.
    pub first: Vec<DocumentDifference>,
    /// Indexes that are missing, or differ from the output's metadata.
    pub index_differences: Vec<Difference>,
    /// Remarks on the later dump.
    pub remarks: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How many differences a report keeps.
const FIRST: usize = 20;

impl RestoredReport {
    /// Whether the later dump has the output's documents and no others, and the output's indexes.
    pub fn is_same(&self) -> bool {
        self.missing + self.extra + self.changed == 0 && self.index_differences.is_empty()
    }
    /// Counts a difference and passes it on.
    fn note(
        &mut self,
        namespace: &str,
        document: &[u8],
        difference: DifferenceKind,
        fields: Vec<String>,
        each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
    ) -> Result<()> {
        *match difference {
            DifferenceKind::Missing => &mut self.missing,
            DifferenceKind::Extra => &mut self.extra,
            DifferenceKind::Changed => &mut self.changed,
        } += 1;
        let id = raw::display_id(document).unwrap_or_default();
        let difference =
            DocumentDifference { namespace: namespace.to_owned(), id, difference, fields };
        each(&difference)?;
        if self.first.len() < FIRST {
            self.first.push(difference);
        }
        Ok(())
    }
}

/// Compares each collection of an output with that of a later dump, in any order of documents.
/// `each` receives every difference.
pub fn compare_with_restored(
    options: &Options,
    manifest: &Manifest,
    redump: &Path,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<RestoredReport> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    let artifact =
        Artifact { layout: Layout::of(&options.out, manifest), manifest: manifest.clone() };
    let expected = expected_collections(manifest);
    if expected.is_empty() {
        return Err(Error::Check(format!(
            "'{}': the manifest names no collection, so there is nothing to compare",
            options.out.display()
        )));
    }
    let is_expected = |collection: &dump::Collection| {
        expected.iter().any(|one| one.namespace == collection.namespace())
    };
    let dump =
        Dump::open_unpacked(&disk, redump, None, &std::env::temp_dir(), progress, is_expected)?;
    let mut report = RestoredReport {
        redump: redump.to_owned(),
        remarks: dump.remarks.clone(),
        ..RestoredReport::default()
    };
    let metadata = metadata_of(&disk, &artifact, &expected)?;
    for (target, metadata) in expected.iter().zip(metadata) {
        let standing = dump.collections.iter().find(|other| other.namespace() == target.namespace);
        let Some(theirs) = standing.and_then(|standing| standing.documents.as_deref()) else {
            return Err(Error::input(
                redump,
                format!(
                    "has no {}, which the output has; was the whole database dumped, and the right one?",
                    target.namespace
                ),
            ));
        };
        if let (Some(standing), Some(metadata)) = (standing, metadata) {
            let theirs = dump.metadata(&disk, standing)?;
            compare_indexes(target.namespace, &metadata, theirs.as_ref(), &mut report);
        }
        report.documents += target.documents;
        let (documents, digest) = count_and_digest(&disk, theirs, progress)?;
        if documents == target.documents
            && target.digest.is_some_and(|recorded| manifest::digest_text(digest) == recorded)
        {
            continue;
        }
        let lookup = Lookup::open(&disk, theirs, &std::env::temp_dir(), progress, |document| {
            Some(id_fingerprint(document))
        })?;
        let mut ours = documents_of(&disk, &artifact, target.namespace)?;
        each_document(&mut ours, Checking::Framing, progress, |document| {
            compare_one(target.namespace, document.bytes(), &lookup, &mut report, each)
        })?;
        note_extra(target.namespace, &lookup, &mut report, each)?;
        lookup.check_unchanged()?;
    }
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}

/// A collection that a later dump must hold.
pub(super) struct Expected<'a> {
    pub(super) namespace: &'a str,
    pub(super) documents: u64,
    /// The digest of the documents in any order, if the manifest has it.
    pub(super) digest: Option<&'a str>,
}

/// What was restored: the targets of a transformation, the sources of a reversal.
pub(super) fn expected_collections<'m>(manifest: &'m Manifest) -> Vec<Expected<'m>> {
    match manifest.kind {
        Kind::Transform => {
            let targets = manifest.sources.iter().flat_map(|source| &source.targets);
            let expected = |target: &'m manifest::Target| Expected {
                namespace: &target.namespace,
                documents: target.documents,
                digest: Some(&target.digest),
            };
            targets.map(expected).collect()
        }
        Kind::Reverse => {
            let expected = |source: &'m manifest::Source| Expected {
                namespace: &source.namespace,
                documents: source.documents,
                digest: None,
            };
            manifest.sources.iter().map(expected).collect()
        }
    }
}

/// The documents of a collection of an output.
fn documents_of(disk: &Disk, artifact: &Artifact, namespace: &str) -> Result<Documents> {
    let none = || {
        Error::Check(format!(
            "'{}': the manifest names no documents of {namespace}",
            artifact.out().display()
        ))
    };
    if let Some(file) = artifact.manifest.archive() {
        let path = artifact.path(file);
        let reader = archive::Reader::open_file(disk, &path)?;
        return Shares::open(reader, &[namespace])?.pop().ok_or_else(none);
    }
    let path = artifact.path(artifact.manifest.file(Role::Documents, namespace).ok_or_else(none)?);
    Ok(Documents::File(Splitter::open(disk, &path)?))
}

/// The output's metadata of each of these collections.
fn metadata_of(
    disk: &Disk,
    artifact: &Artifact,
    expected: &[Expected<'_>],
) -> Result<Vec<Option<Metadata>>> {
    if let Some(file) = artifact.manifest.archive() {
        let path = artifact.path(file);
        let reader = archive::Reader::open_file(disk, &path)?;
        let entries = &reader.prelude().entries;
        let entry =
            |one: &Expected<'_>| entries.iter().find(|entry| entry.namespace() == one.namespace);
        return expected
            .iter()
            .map(|one| {
                entry(one).map_or(Ok(None), |entry| Metadata::parse(entry.metadata.clone(), &path))
            })
            .collect();
    }
    let file = |one: &Expected<'_>| {
        artifact.manifest.file(Role::Metadata, one.namespace).map(|file| artifact.path(file))
    };
    expected
        .iter()
        .map(|one| {
            file(one).map_or(Ok(None), |path| Metadata::parse(read_small(disk, &path)?, &path))
        })
        .collect()
}

/// Compares the indexes of a collection, as sets by name.
fn compare_indexes(
    namespace: &str,
    ours: &Metadata,
    theirs: Option<&Metadata>,
    report: &mut RestoredReport,
) {
    let Some(theirs) = theirs else {
        let remark = format!(
            "'{}' has no metadata of {namespace}, so it is unknown whether its indexes were built",
            report.redump.display()
        );
        return report.remarks.push(remark);
    };
    report.index_differences.extend(
        theirs
            .index_differences(ours)
            .into_iter()
            .map(|difference| Difference::new(Problem::Index, namespace).found(difference)),
    );
    let further: Vec<String> =
        theirs.further_indexes(ours).map(|name| name.escape_debug().to_string()).collect();
    if !further.is_empty() {
        report.remarks.push(format!(
            "{namespace} has indexes that the output does not have: {}",
            further.join(", ")
        ));
    }
}

/// Notes the documents of a lookup that nothing asked for.
pub(super) fn note_extra(
    namespace: &str,
    lookup: &Lookup,
    report: &mut RestoredReport,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<()> {
    for document in lookup.left() {
        report.note(namespace, document, DifferenceKind::Extra, Vec::new(), each)?;
    }
    Ok(())
}

/// Compares a document with the one that has the same `_id`.
pub(super) fn compare_one(
    namespace: &str,
    document: &[u8],
    theirs: &Lookup,
    report: &mut RestoredReport,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<()> {
    let (difference, fields) = match theirs.take_partner(id_fingerprint(document), document) {
        Some(other) if other == document => return Ok(()),
        Some(other) => {
            let fields = differing_paths(document, other);
            if fields.is_empty() {
                report.reordered += 1;
                return Ok(());
            }
            (DifferenceKind::Changed, fields)
        }
        None => (DifferenceKind::Missing, Vec::new()),
    };
    report.note(namespace, document, difference, fields, each)
}

fn count_and_digest(disk: &Disk, path: &Path, progress: &dyn Progress) -> Result<(u64, u128)> {
    let mut splitter = Splitter::open(disk, path)?;
    let mut digest = 0u128;
    progress.start("compare", Some(splitter.stream().file_bytes));
    let counts = each_document(&mut splitter, Checking::Framing, progress, |document| {
        digest = digest.wrapping_add(document_digest(document.bytes()));
        Ok(())
    })?;
    progress.finish();
    Ok((counts.documents, digest))
}
