//! Checks the files of an output against its manifest (stored bytes, framing, counts, digests), and
//! the manifest against itself.

use std::path::Path;

use super::collections::{Part, parts};
use super::unknown_indexes;
use crate::artifact::difference::Difference;
use crate::artifact::reader::{self, Artifact};
use crate::base::archive_format as archive;
use crate::base::hashing::Hashing;
use crate::base::stream::Stream;
use crate::batch::{BATCH_BYTES, Batch, Splitter};
use crate::disk::Disk;
use crate::dump::{MOST_METADATA_BYTES, Metadata, read_small};
use crate::error::{Result, counted};
use crate::fingerprints::document_digest;
use crate::hash::{self, HashingCounter};
use crate::journal::{self, JournalReader};
use crate::manifest::{self, Kind, Manifest, Role};
use crate::ops::reverse::original;
use crate::pipeline::{self, Stages, Threads};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw;
use crate::transform::Indexes;

/// Where the manifest contradicts itself, or names what this version does not know.
pub(super) fn contradictions(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    if Indexes::of_name(&manifest.options.indexes).is_none() {
        found.push(unknown_indexes(manifest));
    }
    let level = manifest
        .options
        .gzip_level
        .map_or("no level of compression".to_owned(), |level| format!("compression level {level}"));
    let is_other = |file: &&manifest::File| {
        file.role != Role::Rejected
            && file.raw_sha256.is_some() != manifest.options.gzip_level.is_some()
    };
    found.extend(manifest.files.iter().find(is_other).map(|file| {
        let sum = if file.raw_sha256.is_some() { "a" } else { "no" };
        format!(
            "the manifest records {level}, and {sum} SHA-256 of uncompressed bytes for '{}'",
            file.path
        )
    }));
    for source in &manifest.sources {
        if (manifest.kind == Kind::Transform) == source.targets.is_empty() {
            found.push(format!(
                "the manifest is of {}, and has {} target collections for {}",
                manifest.kind.command(),
                source.targets.len(),
                source.namespace
            ));
        }
        for target in &source.targets {
            let documents =
                manifest.file(Role::Documents, &target.namespace).and_then(|file| file.documents);
            if !manifest.options.archive && documents != Some(target.documents) {
                let of_file =
                    documents.map_or("none".to_owned(), |documents| documents.to_string());
                found.push(format!(
                    "the manifest records {} documents for {}, and {of_file} for its file",
                    target.documents, target.namespace
                ));
            }
            if !manifest.options.archive
                && manifest.file(Role::Metadata, &target.namespace).is_none()
            {
                found.push(format!("the manifest names no metadata of {}", target.namespace));
            }
        }
        if manifest.kind == Kind::Transform && source.round_trip.proven != source.documents {
            found.push(format!(
                "the manifest records {} for {}, and {} that were proven to come back",
                counted(source.documents, "document"),
                source.namespace,
                source.round_trip.proven
            ));
        }
        if manifest.kind == Kind::Transform
            && manifest.file(Role::Journal, &source.namespace).is_none()
        {
            found.push(format!("the manifest names no journal of {}", source.namespace));
        }
    }
    found
}

/// Checks the files of an output, one after the other.
pub(super) struct Checker<'a> {
    pub(super) disk: &'a Disk,
    pub(super) threads: &'a Threads,
    pub(super) artifact: &'a Artifact,
    pub(super) progress: &'a dyn Progress,
    /// How much was read so far.
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

/// Where a file differs from the manifest.
struct Differences<'a> {
    file: &'a str,
    found: Vec<Difference>,
}

impl Differences<'_> {
    /// Compares one thing; `what` may be empty.
    fn note(&mut self, what: &str, found: impl ToString, recorded: impl ToString) {
        let (found, recorded) = (found.to_string(), recorded.to_string());
        if found != recorded {
            let space = if what.is_empty() { "" } else { " " };
            let found = format!("{what}{space}{found}");
            self.found.push(Difference::value(self.file, found, recorded));
        }
    }
}

impl Checker<'_> {
    /// Checks a file against its entry in the manifest.
    pub(super) fn check(&mut self, file: &manifest::File) -> Result<Vec<Difference>> {
        let mut differences = Differences { file: &file.path, found: Vec::new() };
        let path = &self.artifact.path(file);
        match file.role {
            Role::Metadata => self.metadata(file, path, &mut differences)?,
            Role::Archive => self.archive(file, path, &mut differences)?,
            Role::Documents | Role::Journal | Role::Rejected => {
                self.documents(file, path, &mut differences)?
            }
        }
        Ok(differences.found)
    }

    fn metadata(
        &mut self,
        file: &manifest::File,
        path: &Path,
        differences: &mut Differences<'_>,
    ) -> Result<()> {
        let stored = self.disk.read_small(path, MOST_METADATA_BYTES)?;
        self.bytes += stored.len() as u64;
        differences.note("SHA-256", hash::sha256(&stored), &file.sha256);
        let content = read_small(self.disk, path)?;
        if let Some(raw_sha256) = &file.raw_sha256 {
            differences.note("SHA-256 of its content", hash::sha256(&content), raw_sha256);
        }
        Metadata::parse(content, path)?;
        Ok(())
    }

    /// Checks a file of documents: stored and unpacked bytes, framing, count, and digest.
    fn documents(
        &mut self,
        file: &manifest::File,
        path: &Path,
        differences: &mut Differences<'_>,
    ) -> Result<()> {
        let (disk, threads, progress) = (self.disk, self.threads, self.progress);
        let manifest = &self.artifact.manifest;
        let (stream, stored) = match file.raw_sha256 {
            Some(_) => {
                Stream::open_hashed(disk, path).map(|(stream, stored)| (stream, Some(stored)))?
            }
            None => (Stream::open(disk, path)?, None),
        };
        let limit = if file.role == Role::Journal {
            journal::MAX_DOCUMENT_BYTES
        } else {
            raw::MAX_DOCUMENT_BYTES
        };
        let mut splitter = Splitter::new(stream, 0, path.plain()).with_limit(limit);
        let mut batch = Batch::default();
        let mut content = HashingCounter::default();
        let mut digest = 0u128;
        let before = (self.documents, self.bytes);
        let framed = Framing { behind: &[stored.as_deref()], progress }.run(
            threads,
            &mut content,
            |bytes| {
                std::mem::swap(bytes, &mut batch.bytes);
                if !splitter.fill(&mut batch)? {
                    return Ok(0);
                }
                batch
                    .documents()
                    .for_each(|document| digest = digest.wrapping_add(document_digest(document)));
                std::mem::swap(bytes, &mut batch.bytes);
                progress.advance(
                    before.0 + splitter.counts().0,
                    before.1 + splitter.stream().file_bytes_read(),
                );
                Ok(bytes.len())
            },
        );
        let (documents, _) = splitter.counts();
        self.documents += documents;
        self.bytes += splitter.stream().file_bytes_read();
        framed?;
        splitter.stream().check_unchanged()?;
        let (bytes, sha256) = content.finish();
        match stored {
            // Another size was reported before anything was read.
            None => differences.note("SHA-256", sha256, &file.sha256),
            Some(stored) => {
                differences.note("SHA-256", stored.finish().1, &file.sha256);
                differences.note("uncompressed bytes:", bytes, file.raw_bytes.unwrap_or_default());
                differences.note(
                    "uncompressed SHA-256",
                    sha256,
                    file.raw_sha256.as_deref().unwrap_or_default(),
                );
            }
        }
        if let Some(recorded) = file.documents {
            differences.note("", counted(documents, "document"), counted(recorded, "document"));
        }
        // Bytes that are not the manifest's prove nothing about its digests.
        if differences.found.is_empty() {
            differences.found.extend(
                check_digest(self.artifact, &file.path, &file.namespace, digest)
                    .filter(|_| file.role == Role::Documents),
            );
            if file.role == Role::Journal {
                let (_, header) = JournalReader::open(Stream::open(disk, path)?, path.plain())?;
                let mismatch = reader::journal_mismatch(&header, path, manifest, &file.namespace);
                if mismatch.is_none() {
                    original::plan_of(&header, path)?;
                }
                differences.found.extend(mismatch);
            }
        }
        Ok(())
    }

    /// Checks an archive: stored and unpacked bytes, framing, checksums, and each namespace's documents.
    fn archive(
        &mut self,
        file: &manifest::File,
        path: &Path,
        differences: &mut Differences<'_>,
    ) -> Result<()> {
        let (threads, progress) = (self.threads, self.progress);
        let (mut stream, stored) = Stream::open_hashed(self.disk, path)?;
        let unpacked = file.raw_sha256.as_ref().map(|_| stream.hash_content());
        let before = (self.documents, self.bytes);
        let mut reader = archive::Reader::open(stream, path.plain())?;
        reader.check_all_and_continue();
        let mut digests = vec![0u128; reader.prelude().entries.len()];
        Framing { behind: &[Some(&*stored), unpacked.as_deref()], progress }.run(
            threads,
            &mut HashingCounter::default(),
            |_| {
                let mut bytes = 0;
                while bytes < BATCH_BYTES
                    && let Some(document) = reader.next_document()?
                {
                    bytes += document.bytes.len();
                    let digest = &mut digests[document.namespace];
                    *digest = digest.wrapping_add(document_digest(document.bytes));
                    self.documents += 1;
                }
                progress.advance(self.documents, before.1 + reader.stream().file_bytes_read());
                Ok(bytes)
            },
        )?;
        reader.stream().check_unchanged()?;
        self.bytes += reader.stream().file_bytes_read();
        let (bytes, sha256) = stored.finish();
        differences.note("bytes", bytes, file.bytes);
        differences.note("SHA-256", sha256, &file.sha256);
        if let Some(unpacked) = unpacked {
            let (bytes, sha256) = unpacked.finish();
            differences.note("bytes uncompressed", bytes, file.raw_bytes.unwrap_or_default());
            differences.note(
                "SHA-256 uncompressed",
                sha256,
                file.raw_sha256.as_deref().unwrap_or_default(),
            );
        }
        differences.note(
            "documents",
            self.documents - before.0,
            file.documents.unwrap_or_default(),
        );
        let expected = parts(self.artifact);
        let entries = &reader.prelude().entries;
        for (number, entry) in entries.iter().enumerate() {
            let (namespace, seen) = (entry.namespace(), reader.seen(number));
            let recorded = expected
                .iter()
                .find(|one| one.namespace == namespace)
                .map_or("none".to_owned(), |one| one.documents.to_string());
            differences.note(&format!("documents of {namespace}:"), seen.documents, recorded);
            if seen.checksum_holds == Some(false) {
                differences.note(
                    &format!("a CRC of {namespace} that"),
                    "does not hold",
                    "it holds",
                );
            }
            Metadata::parse(entry.metadata.clone(), path)?;
        }
        let is_absent =
            |one: &&Part<'_>| !entries.iter().any(|entry| entry.namespace() == one.namespace);
        for absent in expected.iter().filter(is_absent) {
            differences.note("no collection", "", absent.namespace);
        }
        if (reader.prelude().concurrent_collections as usize) < reader.most_open() {
            differences.note(
                "open at once",
                reader.most_open(),
                reader.prelude().concurrent_collections,
            );
        }
        if differences.found.is_empty() {
            let of_entry = |(entry, digest): (&std::sync::Arc<archive::Entry>, &u128)| {
                check_digest(self.artifact, &file.path, &entry.namespace(), *digest)
            };
            differences.found.extend(entries.iter().zip(&digests).filter_map(of_entry));
        }
        Ok(())
    }
}

/// How the digest of a target's documents differs from the manifest.
fn check_digest(
    artifact: &Artifact,
    path: &str,
    namespace: &str,
    digest: u128,
) -> Option<Difference> {
    let expected = parts(artifact);
    let recorded = expected.iter().find(|one| one.namespace == namespace)?.digest?;
    let found = manifest::digest_text(digest);
    (found != recorded)
        .then(|| Difference::value(path, format!("digest {found} of {namespace}"), recorded))
}

/// Frames documents while another thread hashes what was read.
struct Framing<'a> {
    /// What is hashed after it was read.
    behind: &'a [Option<&'a Hashing>],
    progress: &'a dyn Progress,
}

/// Frames some documents and returns how many bytes they have, 0 at the end. Leaves in the buffer
/// what is to be hashed.
type Frame<'a> = Box<dyn FnMut(&mut Vec<u8>) -> Result<usize> + Send + 'a>;

impl<'a> Framing<'a> {
    fn run(
        &self,
        threads: &Threads,
        hash: &mut HashingCounter,
        frame: impl FnMut(&mut Vec<u8>) -> Result<usize> + Send + 'a,
    ) -> Result<()> {
        pipeline::run(threads, self, &mut (Box::new(frame) as Frame<'a>), hash)
    }
}

impl<'a> Stages for Framing<'a> {
    type Input = (Vec<u8>, usize);
    type Output = ();
    type Reader = Frame<'a>;
    type Writer = HashingCounter;

    fn read(&self, frame: &mut Frame<'a>, (bytes, framed): &mut Self::Input) -> Result<bool> {
        *framed = frame(bytes)?;
        Ok(*framed > 0)
    }
    fn size(&self, (_, framed): &Self::Input) -> usize {
        *framed
    }
    fn map(&self, _: &Self::Input, (): &mut ()) -> Result<()> {
        Ok(())
    }
    fn write(&self, hash: &mut HashingCounter, round: &mut [(Self::Input, ())]) -> Result<()> {
        self.behind.iter().flatten().for_each(|hashing| hashing.catch_up());
        round.iter().for_each(|((bytes, _), ())| hash.update(bytes));
        Ok(())
    }
    fn check(&self) -> Result<()> {
        self.progress.check()
    }
}
