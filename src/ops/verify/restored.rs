//! `verify --restored`: compares outputs with a later dump of the database they were restored into.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Options;
use super::collections::{Joined, artifacts_of};
use crate::artifact::difference::{Difference, Problem};
use crate::artifact::reader::Artifact;
use crate::base::documents::{Checking, each_document};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{Dump, Metadata};
use crate::error::{Error, Result};
use crate::fingerprints::document_digest;
use crate::lookup::{Lookup, id_fingerprint};
use crate::plain::PlainPath;
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
#[non_exhaustive]
pub struct DocumentDifference {
    /// The collection.
    pub namespace: String,
    /// The output that has the document, if several were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
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
}

/// Compares each collection of outputs with that of a later dump, in any order of documents.
/// `verified` are the outputs' reports: of one output, or of all that were restored into the database.
/// `each` receives every difference.
///
/// A collection that several outputs have must hold the documents of all of them. `options.out` is not
/// looked at.
pub fn compare_with_restored(
    options: &Options,
    verified: &[super::Report],
    redump: &Path,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<RestoredReport> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    let artifacts = artifacts_of(verified)?;
    let expected = Joined::of(&artifacts);
    let empty = |artifact: &&Artifact| {
        !expected
            .iter()
            .flat_map(|one| &one.parts)
            .any(|part| part.artifact.out() == artifact.out())
    };
    if let Some(artifact) = artifacts.iter().find(empty) {
        return Err(Error::Check(format!(
            "'{}': the manifest names no collection, so there is nothing to compare",
            artifact.out().plain()
        )));
    }
    let namespaces: HashSet<String> = expected.iter().map(|one| one.namespace.to_owned()).collect();
    let dump =
        Dump::open_unpacked(&disk, redump, None, &std::env::temp_dir(), progress, &namespaces)?;
    let mut report = RestoredReport {
        redump: redump.to_owned(),
        remarks: dump.remarks.clone(),
        ..RestoredReport::default()
    };
    for joined in &expected {
        let Joined { namespace, parts } = joined;
        let standing = dump.collections.iter().find(|other| other.namespace() == *namespace);
        let Some((standing, theirs)) =
            standing.and_then(|standing| Some((standing, standing.documents.as_deref()?)))
        else {
            let who = match parts.as_slice() {
                [_] => "the output has".to_owned(),
                parts => format!("{} of the outputs have", parts.len()),
            };
            return Err(Error::input(
                redump,
                format!(
                    "has no {namespace}, which {who}; was the whole database dumped, and the right one?"
                ),
            ));
        };
        let mut metadata = Vec::new();
        for part in parts {
            metadata.extend(part.metadata(&disk)?);
        }
        if !metadata.is_empty() {
            let theirs = dump.metadata(&disk, standing)?;
            compare_indexes(namespace, &metadata, theirs.as_ref(), &mut report);
        }
        report.documents += joined.documents();
        let found = count_and_digest(&disk, theirs, progress)?;
        if found.0 == joined.documents() && joined.digest() == Some(found.1) {
            continue;
        }
        let lookup = Lookup::open(&disk, theirs, &std::env::temp_dir(), progress, |document| {
            Some(id_fingerprint(document))
        })?;
        for part in parts {
            let side = Side {
                namespace,
                output: (artifacts.len() > 1).then(|| part.artifact.out()),
                theirs: &lookup,
            };
            each_document(&mut part.open(&disk)?, Checking::Framing, progress, |document| {
                side.compare(document.bytes(), &mut report, each)
            })?;
        }
        note_extra(namespace, &lookup, &mut report, each)?;
        lookup.check_unchanged()?;
    }
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}

/// Compares the indexes of a collection, as sets by name, with those that the outputs have of it.
fn compare_indexes(
    namespace: &str,
    ours: &[Metadata],
    theirs: Option<&Metadata>,
    report: &mut RestoredReport,
) {
    let Some(theirs) = theirs else {
        let remark = format!(
            "'{}' has no metadata of {namespace}, so it is unknown whether its indexes were built",
            report.redump.plain()
        );
        return report.remarks.push(remark);
    };
    for found in ours.iter().flat_map(|ours| theirs.index_differences(ours)) {
        let difference = Difference::new(Problem::Index, namespace).found(found);
        if !report.index_differences.contains(&difference) {
            report.index_differences.push(difference);
        }
    }
    let is_further = |name: &&str| {
        ours.iter().all(|ours| theirs.further_indexes(ours).any(|further| further == *name))
    };
    let further: Vec<String> = ours
        .first()
        .into_iter()
        .flat_map(|ours| theirs.further_indexes(ours))
        .filter(is_further)
        .map(|name| name.escape_debug().to_string())
        .collect();
    if !further.is_empty() {
        let has =
            if ours.len() > 1 { "the outputs do not have" } else { "the output does not have" };
        report.remarks.push(format!("{namespace} has indexes that {has}: {}", further.join(", ")));
    }
}

/// Notes the documents of a lookup that nothing asked for.
pub(super) fn note_extra(
    namespace: &str,
    lookup: &Lookup,
    report: &mut RestoredReport,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<()> {
    let side = Side { namespace, output: None, theirs: lookup };
    for document in lookup.left() {
        side.note(&document?, DifferenceKind::Extra, Vec::new(), report, each)?;
    }
    Ok(())
}

/// The two sides of a comparison by `_id`.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) namespace: &'a str,
    /// The output that has the documents, where there are several.
    pub(super) output: Option<&'a Path>,
    pub(super) theirs: &'a Lookup,
}

impl Side<'_> {
    /// Compares a document with the one that has the same `_id`.
    pub(super) fn compare(
        self,
        document: &[u8],
        report: &mut RestoredReport,
        each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
    ) -> Result<()> {
        let (difference, fields) =
            match self.theirs.take_partner(id_fingerprint(document), document)? {
                Some(other) if other == document => return Ok(()),
                Some(other) => {
                    let fields = differing_paths(document, &other);
                    if fields.is_empty() {
                        report.reordered += 1;
                        return Ok(());
                    }
                    (DifferenceKind::Changed, fields)
                }
                None => (DifferenceKind::Missing, Vec::new()),
            };
        self.note(document, difference, fields, report, each)
    }
    /// Counts a difference and passes it on.
    fn note(
        self,
        document: &[u8],
        difference: DifferenceKind,
        fields: Vec<String>,
        report: &mut RestoredReport,
        each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
    ) -> Result<()> {
        *match difference {
            DifferenceKind::Missing => &mut report.missing,
            DifferenceKind::Extra => &mut report.extra,
            DifferenceKind::Changed => &mut report.changed,
        } += 1;
        let difference = DocumentDifference {
            namespace: self.namespace.to_owned(),
            output: self.output.map(Path::to_owned),
            id: raw::display_id(document).unwrap_or_default(),
            difference,
            fields,
        };
        each(&difference)?;
        if report.first.len() < FIRST {
            report.first.push(difference);
        }
        Ok(())
    }
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
