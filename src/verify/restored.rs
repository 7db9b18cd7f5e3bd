//! `verify --restored`: an output against a later dump of the database that it was restored into.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Options;
use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::dump::{self, Documents, Dump, Shares, Stream, archive};
use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::manifest::{self, Kind, Manifest, Role};
use crate::mapping::{document_digest, fingerprint_of};
use crate::progress::Progress;
use crate::raw::{self, Elements, differing_paths};
use crate::transform::rounded_seconds;

/// How a document differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentDifference {
    /// The collection.
    pub namespace: String,
    /// The document's `_id`.
    pub id: String,
    /// `missing`, `extra` or `changed`.
    pub difference: &'static str,
    /// Paths of the fields that differ.
    pub fields: Vec<String>,
}

/// What a comparison has found.
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
    /// Those that differ in nothing but the order of their fields.
    pub reordered: u64,
    /// The first few differences.
    pub first: Vec<DocumentDifference>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Differences that a report keeps.
const FIRST: usize = 20;

impl RestoredReport {
    /// Whether the later dump holds the output's documents, and nothing else.
    pub fn is_same(&self) -> bool {
        self.missing + self.extra + self.changed == 0
    }
    /// Counts a difference and passes it on.
    pub(super) fn note(&mut self, difference: DocumentDifference, each: &mut dyn FnMut(&DocumentDifference) -> Result<()>) -> Result<()> {
        *match difference.difference {
            "missing" => &mut self.missing,
            "extra" => &mut self.extra,
            _ => &mut self.changed,
        } += 1;
        each(&difference)?;
        if self.first.len() < FIRST {
            self.first.push(difference);
        }
        Ok(())
    }
}

/// Compares each collection of an output with that of a later dump, in any order of documents. `each` gets every
/// difference.
pub fn compare_with_restored(
    options: &Options,
    manifest: &Manifest,
    redump: &Path,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<RestoredReport> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    let expected = expected_collections(manifest);
    if expected.is_empty() {
        return Err(Error::Check(format!("'{}': the manifest names no collection, so there is nothing to compare", options.out.display())));
    }
    let is_expected = |collection: &dump::Collection| expected.iter().any(|one| one.namespace == collection.namespace());
    let dump = Dump::open_unpacked(&disk, redump, None, &std::env::temp_dir(), is_expected)?;
    let mut report = RestoredReport { redump: redump.to_owned(), ..RestoredReport::default() };
    for target in &expected {
        let standing = dump.collections.iter().find(|other| other.namespace() == target.namespace);
        let Some(theirs) = standing.and_then(|standing| standing.documents.as_deref()) else {
            return Err(Error::input(
                redump,
                format!("has no {}, which the output has; was it dumped whole, and from the right database?", target.namespace),
            ));
        };
        report.documents += target.documents;
        let (documents, digest) = count_and_digest(&disk, theirs, progress)?;
        if documents == target.documents && target.digest.is_some_and(|said| manifest::digest_text(digest) == said) {
            continue;
        }
        // A source may hold documents without an `_id`, which a server has given one since.
        let id = |document: &[u8]| Some(Elements::new(document).find(b"_id").map(fingerprint_of).unwrap_or_default());
        let lookup = Lookup::open(&disk, theirs, &std::env::temp_dir(), id)?;
        let mut ours = documents_of(&disk, &options.out, manifest, target.namespace)?;
        let mut batch = Batch::default();
        while ours.fill(&mut batch)? {
            for document in batch.documents() {
                compare_one(target.namespace, document, &lookup, &mut report, each)?;
            }
        }
        note_extra(target.namespace, &lookup, &mut report, each)?;
        lookup.check_unchanged()?;
    }
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}

/// A collection that a later dump must hold.
struct Expected<'a> {
    namespace: &'a str,
    documents: u64,
    /// Of the documents in any order, where the manifest has it.
    digest: Option<&'a str>,
}

/// What was restored: of a transformation the targets, of a reversal the sources.
fn expected_collections<'m>(manifest: &'m Manifest) -> Vec<Expected<'m>> {
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
            let expected =
                |source: &'m manifest::Source| Expected { namespace: &source.namespace, documents: source.documents, digest: None };
            manifest.sources.iter().map(expected).collect()
        }
    }
}

/// The documents of a collection of an output.
fn documents_of(disk: &Disk, out: &Path, manifest: &Manifest, namespace: &str) -> Result<Documents> {
    let none = || Error::Check(format!("'{}': the manifest names no documents of {namespace}", out.display()));
    if let Some(file) = manifest.archive() {
        let path = manifest.path_in(out, &file.path);
        let reader = archive::Reader::open(Stream::open(disk, &path)?, path.display().to_string())?;
        return Shares::open(reader, &[namespace])?.pop().ok_or_else(none);
    }
    let path = manifest.path_in(out, &manifest.file(Role::Documents, namespace).ok_or_else(none)?.path);
    Ok(Documents::File(Splitter::new(Stream::open(disk, &path)?, 0, path.display().to_string())))
}

/// Notes the documents of a lookup that nothing has asked for.
pub(super) fn note_extra(
    namespace: &str,
    lookup: &Lookup,
    report: &mut RestoredReport,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<()> {
    for document in lookup.left() {
        let id = raw::display_id(document).unwrap_or_default();
        report.note(DocumentDifference { namespace: namespace.to_owned(), id, difference: "extra", fields: Vec::new() }, each)?;
    }
    Ok(())
}

/// Compares a document with the one of the same `_id`.
pub(super) fn compare_one(
    namespace: &str,
    document: &[u8],
    theirs: &Lookup,
    report: &mut RestoredReport,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<()> {
    let id = Elements::new(document).find(b"_id").map(fingerprint_of).unwrap_or_default();
    let difference = match theirs.take(id).next() {
        Some(other) if other == document => return Ok(()),
        Some(other) => {
            let fields = differing_paths(document, other);
            if fields.is_empty() {
                report.reordered += 1;
                return Ok(());
            }
            ("changed", fields)
        }
        None => ("missing", Vec::new()),
    };
    let id = raw::display_id(document).unwrap_or_default();
    report.note(DocumentDifference { namespace: namespace.to_owned(), id, difference: difference.0, fields: difference.1 }, each)
}

fn count_and_digest(disk: &Disk, path: &Path, progress: &dyn Progress) -> Result<(u64, u128)> {
    let mut splitter = Splitter::new(Stream::open(disk, path)?, 0, path.display().to_string());
    let mut batch = Batch::default();
    let mut digest = 0u128;
    progress.start("compare", Some(splitter.stream().file_bytes));
    while splitter.fill(&mut batch)? {
        if let Some(signal) = progress.interrupted() {
            return Err(Error::Interrupted(signal));
        }
        batch.documents().for_each(|document| digest = digest.wrapping_add(document_digest(document)));
        progress.advance(splitter.counts().0, splitter.stream().file_bytes_read());
    }
    progress.finish();
    Ok((splitter.counts().0, digest))
}
