//! The collections of outputs by namespace, of which several outputs may hold documents.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Report;
use crate::artifact::layout::Layout;
use crate::artifact::reader::Artifact;
use crate::base::archive_format as archive;
use crate::base::documents::{Documents, Shares};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{Metadata, read_small};
use crate::error::{Error, Result};
use crate::manifest::{Kind, Role};
use crate::plain::PlainPath;

/// What one output has of a collection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) artifact: &'a Artifact,
    pub(crate) namespace: &'a str,
    pub(crate) documents: u64,
    /// The digest of the documents in any order, if the manifest has it.
    pub(super) digest: Option<&'a str>,
}

/// A collection that is restored from outputs: a target of a transformation, a source of a reversal.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    pub(crate) namespace: &'a str,
    /// What each output has of it, in the order of the outputs.
    pub(crate) parts: Vec<Part<'a>>,
}

impl<'a> Joined<'a> {
    /// The collections of all outputs, in the order in which they are named first.
    pub(crate) fn of(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Vec<Joined<'a>> {
        let mut joined: Vec<Joined<'a>> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for part in artifacts.into_iter().flat_map(parts) {
            let number = *numbers.entry(part.namespace).or_insert(joined.len());
            if number == joined.len() {
                joined.push(Joined { namespace: part.namespace, parts: Vec::new() });
            }
            joined[number].parts.push(part);
        }
        joined
    }
    /// The number of documents in all outputs.
    pub(crate) fn documents(&self) -> u64 {
        self.parts.iter().map(|part| part.documents).sum()
    }
    /// The digest of the documents of all outputs, if the manifests have it.
    pub(crate) fn digest(&self) -> Option<u128> {
        self.parts.iter().try_fold(0u128, |sum, part| {
            let digest = u128::from_str_radix(part.digest?, 16).ok()?;
            Some(sum.wrapping_add(digest))
        })
    }
}

/// The collections of an output.
pub(super) fn parts(artifact: &Artifact) -> Vec<Part<'_>> {
    let sources = &artifact.manifest.sources;
    match artifact.manifest.kind {
        Kind::Transform => sources
            .iter()
            .flat_map(|source| &source.targets)
            .map(|target| Part {
                artifact,
                namespace: &target.namespace,
                documents: target.documents,
                digest: Some(&target.digest),
            })
            .collect(),
        Kind::Reverse => sources
            .iter()
            .map(|source| Part {
                artifact,
                namespace: &source.namespace,
                documents: source.documents,
                digest: None,
            })
            .collect(),
    }
}

impl Part<'_> {
    /// Opens its documents.
    pub(crate) fn open(&self, disk: &Disk) -> Result<Documents> {
        let Part { artifact, namespace, .. } = self;
        let none = || {
            Error::Check(format!(
                "'{}': the manifest names no documents of {namespace}",
                artifact.out().plain()
            ))
        };
        if let Some(file) = artifact.manifest.archive() {
            let path = artifact.path(file);
            let reader = archive::Reader::open_file(disk, &path)?;
            return Shares::open(reader, &[namespace])?.pop().ok_or_else(none);
        }
        let file = artifact.manifest.file(Role::Documents, namespace).ok_or_else(none)?;
        Ok(Documents::File(Splitter::open(disk, &artifact.path(file))?))
    }
    /// Reads its metadata, if there is any.
    pub(crate) fn metadata(&self, disk: &Disk) -> Result<Option<Metadata>> {
        let Part { artifact, namespace, .. } = self;
        if let Some(file) = artifact.manifest.archive() {
            let path = artifact.path(file);
            let reader = archive::Reader::open_file(disk, &path)?;
            let entries = &reader.prelude().entries;
            return match entries.iter().find(|entry| entry.namespace() == *namespace) {
                Some(entry) => Metadata::parse(entry.metadata.clone(), &path),
                None => Ok(None),
            };
        }
        let file = artifact.manifest.file(Role::Metadata, namespace);
        file.map_or(Ok(None), |file| {
            let path = artifact.path(file);
            Metadata::parse(read_small(disk, &path)?, &path)
        })
    }
}

/// The outputs that were verified. One that is named twice is refused: all that it holds would count
/// twice.
pub(crate) fn artifacts_of(verified: &[Report]) -> Result<Vec<Artifact>> {
    distinct(verified.iter().map(|report| &report.out))?;
    let artifact = |report: &Report| Artifact {
        layout: Layout::of(&report.out, &report.manifest),
        manifest: report.manifest.clone(),
    };
    Ok(verified.iter().map(artifact).collect())
}

/// Fails if an output is named twice, under whatever name.
pub(crate) fn distinct<'p>(outs: impl Iterator<Item = &'p PathBuf>) -> Result<()> {
    let mut known: HashMap<PathBuf, &PathBuf> = HashMap::new();
    for out in outs {
        let real = out.canonicalize().unwrap_or_else(|_| out.clone());
        if let Some(other) = known.insert(real, out) {
            return Err(Error::Usage(format!(
                "'{}' and '{}' are one output; name each output once",
                other.plain(),
                out.plain()
            )));
        }
    }
    Ok(())
}
