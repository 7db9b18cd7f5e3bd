//! `verify --source`: derives everything again from the source's dump, and brings every document
//! back.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::restored::{DocumentDifference, RestoredReport, Side, note_extra};
use super::{Options, Report, unknown_indexes};
use crate::artifact::difference::{Difference, Problem};
use crate::artifact::reader::Artifact;
use crate::base::archive_format as archive;
use crate::base::namespace::database_of;
use crate::disk::Disk;
use crate::dump::{Dump, Metadata};
use crate::error::{Error, Result};
use crate::lookup::{Lookup, id_fingerprint};
use crate::manifest::Source;
use crate::mapping::Plan;
use crate::ops::reverse::original;
use crate::progress::Progress;
use crate::reverse;
use crate::transform::{self, ExistingTargets, Indexes, rounded_seconds};

/// What was found by deriving everything again.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// What was derived.
    pub derived: transform::Report,
    /// Where it differs from the output.
    pub differences: Vec<Difference>,
    /// Where the source's documents differ from those that the output was made of.
    pub documents: Option<RestoredReport>,
    /// What a restore changed by itself.
    pub remarks: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Derives an output again from a dump and compares each file; brings each document back on the way.
/// If the source has changed since, reports which documents did; `each` receives every one.
pub fn compare_with_source(
    options: &Options,
    verified: &Report,
    dump: &Path,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<SourceReport> {
    let began = Instant::now();
    let disk = Disk::new(options.io);
    let manifest = &verified.manifest;
    let (artifact, plan) = reverse::open_output(&disk, &options.out)?;
    let plan = &plan;
    let mut journaled = HashMap::new();
    for source in &manifest.sources {
        if let Some(bytes) = original::journaled_metadata(&disk, &artifact, source)? {
            journaled.insert(source.namespace.clone(), bytes);
        }
    }
    let derived = transform::transform(
        &derivation(options, &artifact, dump, journaled.clone())?,
        plan,
        progress,
    )?;
    let mut remarks = Vec::new();
    let mut differences = Vec::new();
    for (was, is) in manifest.sources.iter().zip(&derived.manifest.sources) {
        if (was.documents, &was.sha256) != (is.documents, &is.sha256) {
            let what = format!(
                "{} documents and SHA-256 {} now; the output was made from {} and {}",
                is.documents, is.sha256, was.documents, was.sha256
            );
            differences.push(Difference::new(Problem::Source, &is.namespace).found(what));
        }
    }
    let source_differs = !differences.is_empty();
    for is in &derived.sources {
        let was = journaled
            .remove(&is.namespace)
            .map_or(Ok(None), |bytes| Metadata::parse(bytes, is.namespace.as_ref()))?;
        match metadata_differences(was.as_ref(), is.metadata.as_ref()) {
            Metadatas::Same => {}
            Metadatas::Alike => remarks.push(format!(
                "the metadata of {} differs from the journal's only in its uuid or in an order that does not matter, as after a restore",
                is.namespace
            )),
            Metadatas::Different(what) => {
                differences.push(Difference::new(Problem::Metadata, &is.namespace).found(what));
            }
        }
    }
    for file in &derived.manifest.files {
        match manifest.files.iter().find(|known| known.path == file.path) {
            Some(known) if known == file => {}
            Some(known) => {
                let what = format!(
                    "derived again has SHA-256 {}, the output's has {}",
                    file.sha256, known.sha256
                );
                differences.push(Difference::new(Problem::Derived, &file.path).found(what));
            }
            None => differences.push(
                Difference::new(Problem::Derived, &file.path)
                    .found("is derived again, but not in the output"),
            ),
        }
    }
    if derived.manifest.sources != manifest.sources && differences.is_empty() {
        differences.push(
            Difference::new(Problem::Derived, "").found(
                "the manifest's counts, findings or digests differ from those derived again",
            ),
        );
    }
    let compare = || compare_documents(&disk, &artifact, dump, plan, progress, each);
    let documents = source_differs.then(compare).transpose()?;
    Ok(SourceReport {
        derived,
        differences,
        documents,
        remarks,
        seconds: rounded_seconds(began.elapsed()),
    })
}

/// How a source's metadata compares with the journal's.
enum Metadatas {
    /// The same bytes.
    Same,
    /// They differ only in what a restore changes.
    Alike,
    Different(String),
}

fn metadata_differences(was: Option<&Metadata>, is: Option<&Metadata>) -> Metadatas {
    match (was, is) {
        (Some(was), Some(is)) if was.bytes == is.bytes => Metadatas::Same,
        (Some(was), Some(is)) => match is.differences(was) {
            differences if differences.is_empty() => Metadatas::Alike,
            differences => Metadatas::Different(differences.join("; ")),
        },
        (Some(_), None) => {
            Metadatas::Different("it is missing now, the output's journal holds it".to_owned())
        }
        (None, Some(_)) => {
            Metadatas::Different("it is there now, the output's journal holds none".to_owned())
        }
        (None, None) => Metadatas::Same,
    }
}

/// The server version in an archive: another shape of the same dump may not have it.
fn archived_version(options: &Options, artifact: &Artifact) -> Result<Option<String>> {
    let Some(file) = artifact.manifest.archive() else { return Ok(None) };
    let path = artifact.path(file);
    let reader = archive::Reader::open_file(&Disk::new(options.io), &path)?;
    Ok(Some(reader.prelude().server_version.clone()))
}

/// The options that make a transformation produce an output's bytes again.
fn derivation(
    options: &Options,
    artifact: &Artifact,
    dump: &Path,
    journaled: HashMap<String, Vec<u8>>,
) -> Result<transform::Options> {
    let manifest = &artifact.manifest;
    let database = |namespace: &str| database_of(namespace).to_owned();
    let sources = manifest.sources.iter().map(|source| database(&source.namespace)).collect();
    let renamed = |source: &Source| {
        let to = source.targets.first().map(|target| database(&target.namespace));
        to.filter(|to| *to != database(&source.namespace))
    };
    let indexes = Indexes::of_name(&manifest.options.indexes)
        .ok_or_else(|| Error::Check(unknown_indexes(manifest)))?;
    Ok(transform::Options {
        databases: sources,
        to_database: manifest.sources.first().and_then(renamed),
        indexes,
        gzip_level: manifest.options.gzip_level,
        archive: manifest.options.archive,
        server_version: archived_version(options, artifact)?,
        skip_unrestorable: manifest.options.skip_unrestorable,
        allow_empty: true,
        existing_targets: ExistingTargets::Ignore,
        known_metadata: journaled,
        ignore_oplog: true,
        dry_run: true,
        threads: options.threads,
        io: options.io,
        ..transform::Options::new(dump, &options.out)
    })
}

/// Compares the documents that the output was made from with those of a later dump.
fn compare_documents(
    disk: &Disk,
    artifact: &Artifact,
    dump: &Path,
    plan: &Plan,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&DocumentDifference) -> Result<()>,
) -> Result<RestoredReport> {
    let began = Instant::now();
    let mut report = RestoredReport { redump: dump.to_owned(), ..RestoredReport::default() };
    for source in &artifact.manifest.sources {
        let database = database_of(&source.namespace);
        let wanted = HashSet::from([format!("{database}.{}", plan.collection())]);
        let later = Dump::open_unpacked(
            disk,
            dump,
            Some(database),
            &std::env::temp_dir(),
            progress,
            &wanted,
        )?;
        let collection =
            later.sources(disk, plan.collection(), &[database.to_owned()], false)?.remove(0);
        let path = collection.documents.as_deref().unwrap_or(dump);
        let lookup = Lookup::open(disk, path, &std::env::temp_dir(), progress, |document| {
            Some(id_fingerprint(document))
        })?;
        report.documents += source.documents;
        let side = Side { namespace: &source.namespace, output: None, theirs: &lookup };
        original::each_source_document(
            disk,
            artifact,
            plan,
            source,
            progress,
            &mut |document, _| side.compare(document, &mut report, each),
        )?;
        note_extra(&source.namespace, &lookup, &mut report, each)?;
        lookup.check_unchanged()?;
    }
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}
