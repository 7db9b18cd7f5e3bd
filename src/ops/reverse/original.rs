//! The source's documents, brought back from an output and its journal.

use std::path::{Path, PathBuf};

use crate::artifact::difference::Difference;
use crate::artifact::reader::{
    Artifact, Watched, journal_mismatch, not_verified, stored_difference,
};
use crate::base::archive_format as archive;
use crate::base::documents::{self, Batches, Shares};
use crate::base::hash::sha256;
use crate::base::stream::Stream;
use crate::batch::{BATCH_BYTES, Batch, Splitter};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::journal::{Header, JournalBatch, JournalReader, Misfit, Reader};
use crate::manifest::{self, Role};
use crate::mapping::{Plan, Restorer};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::MAX_DOCUMENT_BYTES;

/// The mapping that an output was made with, from its journals.
///
/// # Errors
///
/// [`Error::Check`] if a journal is of another run, or its mapping cannot be used.
pub(crate) fn recorded_plan(disk: &Disk, artifact: &Artifact) -> Result<Plan> {
    let mut plan = None;
    for source in &artifact.manifest.sources {
        let (header, path) = journal_header(disk, artifact, source)?;
        // All headers that pass have the manifest's mapping, so its text is the same in all.
        if plan.is_none() {
            plan = Some(plan_of(&header, &path)?);
        }
    }
    plan.ok_or_else(|| {
        Error::Check(format!(
            "'{}': the manifest names no source collection, so there is nothing to reverse",
            artifact.out().plain()
        ))
    })
}

/// Compiles the mapping in a journal's header.
pub(crate) fn plan_of(header: &Header, journal: &Path) -> Result<Plan> {
    let refuse = |what: String| Error::Check(format!("'{}': {what}", journal.plain()));
    let plan = Plan::parse_again(&header.text);
    let sha256 = match &plan {
        Ok(plan) => plan.id().sha256.clone(),
        Err(_) => sha256(header.text.as_bytes()),
    };
    if sha256 != header.mapping.sha256 {
        let names = &header.mapping;
        return Err(refuse(format!("holds a mapping with SHA-256 {sha256}, but names {names}")));
    }
    let plan = plan.map_err(|error| {
        refuse(format!(
            "its mapping cannot be compiled by this version of mongosplit; use the version that made the output: {error}"
        ))
    })?;
    if *plan.id() != header.mapping {
        return Err(refuse(format!("names {}, but holds {}", header.mapping, plan.id())));
    }
    Ok(plan)
}

/// The server's version in an output that is an archive.
pub(super) fn server_version(disk: &Disk, artifact: &Artifact) -> Result<Option<String>> {
    let Some(file) = artifact.manifest.archive() else { return Ok(None) };
    let reader = archive::Reader::open_file(disk, &artifact.path(file))?;
    Ok(Some(reader.prelude().server_version.clone()))
}

/// Reads the header of a source's journal, which must be of the manifest's run.
pub(super) fn journal_header(
    disk: &Disk,
    artifact: &Artifact,
    source: &manifest::Source,
) -> Result<(Header, PathBuf)> {
    let file = artifact.manifest.file(Role::Journal, &source.namespace);
    let file = file.ok_or_else(|| not_named(artifact, "journal", source))?;
    let path = artifact.path(file);
    let stream = Stream::open(disk, &path)?;
    let (_, header) = JournalReader::open(stream, path.plain()).map_err(|error| {
        // An altered file is reported as such.
        match stored_difference(disk, &path, file) {
            Ok(Some(difference)) => not_verified(artifact.out(), &[difference]),
            _ => error,
        }
    })?;
    match journal_mismatch(&header, &path, &artifact.manifest, &source.namespace) {
        Some(difference) => Err(Error::Check(difference.to_string())),
        None => Ok((header, path)),
    }
}

fn not_named(artifact: &Artifact, what: &str, source: &manifest::Source) -> Error {
    Error::Check(format!(
        "'{}': the manifest names no {what} of {}",
        artifact.out().plain(),
        source.namespace
    ))
}

/// One source's files, opened.
pub(crate) struct OpenSource {
    pub header: Header,
    pub journal: JournalReader<Stream>,
    pub targets: Vec<Documents>,
    pub streams: Vec<Watched>,
    pub out: PathBuf,
}

impl OpenSource {
    /// Opens the journal and the collections of a source.
    pub fn open(
        disk: &Disk,
        artifact: &Artifact,
        plan: &Plan,
        source: &manifest::Source,
    ) -> Result<OpenSource> {
        let (out, manifest) = (artifact.out(), &artifact.manifest);
        let missing = |what: &str| not_named(artifact, what, source);
        let mut streams = Vec::new();
        let file =
            manifest.file(Role::Journal, &source.namespace).ok_or_else(|| missing("journal"))?;
        let (stream, watched) = Watched::open(disk, artifact, file)?;
        let (journal, header) = JournalReader::open(stream, watched.path.plain())?;
        if let Some(difference) =
            journal_mismatch(&header, &watched.path, manifest, &source.namespace)
        {
            return Err(Error::Check(difference.to_string()));
        }
        streams.push(watched);
        let mut targets = Vec::new();
        if source.targets.len() != plan.target_count() {
            return Err(missing("complete set of collections"));
        }
        if let Some(file) = manifest.archive() {
            let (stream, watched) = Watched::open(disk, artifact, file)?;
            let name = watched.path.plain();
            let reader = archive::Reader::open(stream, name.clone())?;
            let namespaces: Vec<&str> =
                source.targets.iter().map(|target| target.namespace.as_str()).collect();
            let shares = Shares::open(reader, &namespaces)?;
            let named = |(input, namespace): (documents::Documents, &&str)| {
                Documents::new(input, format!("{name}, {namespace}"))
            };
            targets = shares.into_iter().zip(&namespaces).map(named).collect();
            streams.push(watched);
        }
        for target in source.targets.iter().filter(|_| manifest.archive().is_none()) {
            let file = manifest
                .file(Role::Documents, &target.namespace)
                .ok_or_else(|| missing("documents"))?;
            let (stream, watched) = Watched::open(disk, artifact, file)?;
            let name = watched.path.plain();
            targets.push(Documents::new(
                documents::Documents::File(Splitter::new(stream, 0, name.clone())),
                name,
            ));
            streams.push(watched);
        }
        Ok(OpenSource { header, journal, targets, streams, out: out.to_owned() })
    }

    /// The name of the journal.
    pub fn journal_name(&self) -> String {
        self.streams[0].path.plain()
    }

    /// Settles the outcome of a run over the files. An altered file is reported as such, rather than by
    /// the nonsense it led to. If the run stopped early, the files are read again for that: a hash of
    /// half a file proves nothing.
    pub fn settle(&mut self, disk: &Disk, outcome: Result<()>) -> Result<()> {
        let outcome = outcome.and_then(|()| self.drain());
        let altered = |watched: &Watched| {
            stored_difference(disk, &watched.path, &watched.file).ok().flatten()
        };
        let differences: Vec<Difference> = match &outcome {
            Ok(()) => self.streams.iter().filter_map(Watched::check).collect(),
            Err(Error::Interrupted(_) | Error::Write { .. } | Error::Output { .. }) => Vec::new(),
            Err(_) => self.streams.iter().filter_map(altered).collect(),
        };
        if differences.is_empty() { outcome } else { Err(not_verified(&self.out, &differences)) }
    }

    fn each(
        &mut self,
        plan: &Plan,
        progress: &dyn Progress,
        each: &mut dyn FnMut(&[u8], &BatchRestorer<'_>) -> Result<()>,
    ) -> Result<()> {
        let journal = self.journal_name();
        let mut restorer = Restorer::new(plan);
        let mut pieces = Pieces::default();
        let mut document = Vec::new();
        progress.start(&self.header.namespace, None);
        while read_pieces(&mut self.journal, &mut self.targets, &mut pieces)? {
            progress.check()?;
            let mut batch = BatchRestorer::new(&pieces);
            loop {
                document.clear();
                let next = batch.next(&mut restorer, &mut document);
                if !next.map_err(|why| misfit(&journal, why))? {
                    break;
                }
                each(&document, &batch)?;
            }
        }
        progress.finish();
        Ok(())
    }

    /// Fails if a collection has documents that the journal does not describe.
    fn drain(&mut self) -> Result<()> {
        for documents in &mut self.targets {
            let mut rest = Group::default();
            if documents.take(1, &mut rest)? > 0 {
                return Err(Error::Check(format!(
                    "'{}' has more documents than the journal describes",
                    documents.file
                )));
            }
        }
        Ok(())
    }
}

/// The error for a journal that does not fit the collections.
pub(crate) fn misfit(journal: &str, misfit: Misfit) -> Error {
    Error::Check(format!("'{journal}' does not fit the collections: {misfit}"))
}

/// Documents one after the other, and where each ends.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub bytes: Vec<u8>,
    pub ends: Vec<u32>,
}

impl Group {
    pub fn document(&self, index: usize) -> Option<&[u8]> {
        let from = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        self.bytes.get(from..*self.ends.get(index)? as usize)
    }
    /// Empties it, one of `groups` of one batch.
    fn clear(&mut self, groups: usize) {
        crate::batch::prepare(&mut self.bytes, groups);
        self.ends.clear();
    }
}

/// The documents of a collection, taken a few at a time.
#[derive(Debug)]
pub(crate) struct Documents {
    input: documents::Documents,
    batch: Batch,
    next: usize,
    file: String,
}

impl Documents {
    fn new(input: documents::Documents, file: String) -> Self {
        Documents { input, batch: Batch::default(), next: 0, file }
    }
    /// Appends up to `count` documents to the group; returns how many there were.
    fn take(&mut self, count: usize, group: &mut Group) -> Result<usize> {
        for taken in 0..count {
            while self.next == self.batch.ends.len() {
                self.next = 0;
                if !self.input.fill(&mut self.batch)? {
                    self.input.check_unchanged()?;
                    return Ok(taken);
                }
            }
            group.bytes.extend_from_slice(self.batch.document(self.next));
            group.ends.push(group.bytes.len() as u32);
            self.next += 1;
        }
        Ok(count)
    }
}

/// The notes on a batch, and the targets' documents that it became.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub notes: JournalBatch,
    pub targets: Vec<Group>,
}

impl Pieces {
    /// Bytes of the documents, and of the notes, which may hold documents too.
    pub fn size(&self) -> usize {
        self.targets.iter().map(|group| group.bytes.len()).sum::<usize>() + self.notes.size()
    }
}

/// Reads the next batch's notes and documents.
pub(crate) fn read_pieces(
    journal: &mut JournalReader<Stream>,
    targets: &mut [Documents],
    pieces: &mut Pieces,
) -> Result<bool> {
    if !journal.next(&mut pieces.notes)? {
        return Ok(false);
    }
    if pieces.notes.targets.len() != targets.len() {
        return Err(Error::Check(format!(
            "the journal is of {} collections, the output has {}",
            pieces.notes.targets.len(),
            targets.len()
        )));
    }
    pieces.targets.resize_with(targets.len(), Group::default);
    for ((documents, group), count) in
        targets.iter_mut().zip(&mut pieces.targets).zip(&pieces.notes.targets)
    {
        group.clear(pieces.notes.targets.len());
        let taken = documents.take(*count, group)?;
        if taken < *count {
            return Err(Error::Check(format!(
                "'{}' has fewer documents than the journal describes",
                documents.file
            )));
        }
    }
    Ok(true)
}

/// A source's metadata, from the journal.
pub(crate) fn journaled_metadata(
    disk: &Disk,
    artifact: &Artifact,
    source: &manifest::Source,
) -> Result<Option<Vec<u8>>> {
    Ok(journal_header(disk, artifact, source)?.0.metadata)
}

/// Passes each source document of an output to `each`, in order, with the batch that tells what it has
/// become.
///
/// # Errors
///
/// [`Error::Check`] if a file of the output is not what the manifest says.
pub(crate) fn each_source_document(
    disk: &Disk,
    artifact: &Artifact,
    plan: &Plan,
    source: &manifest::Source,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u8], &BatchRestorer<'_>) -> Result<()>,
) -> Result<()> {
    let mut open = OpenSource::open(disk, artifact, plan, source)?;
    let outcome = open.each(plan, progress, each);
    open.settle(disk, outcome)
}

/// Brings the documents of a batch back, one after the other.
pub(crate) struct BatchRestorer<'b> {
    pieces: &'b Pieces,
    notes: Reader<'b>,
    left: usize,
    /// For each target, the number of the first document that the last call took, and of the next one.
    first: Vec<usize>,
    next: Vec<usize>,
    bytes: usize,
}

impl<'b> BatchRestorer<'b> {
    /// Before the first document.
    pub(crate) fn new(pieces: &'b Pieces) -> Self {
        let none = vec![0; pieces.targets.len()];
        BatchRestorer {
            pieces,
            notes: pieces.notes.reader(),
            left: pieces.notes.documents,
            first: none.clone(),
            next: none,
            bytes: 0,
        }
    }
    /// Appends the next source document to `out`. Returns false at the end, when the batch's part of
    /// the journal is used up.
    pub(crate) fn next(
        &mut self,
        restorer: &mut Restorer<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Misfit> {
        if self.left == 0 {
            return match self.notes.is_at_end() {
                true => Ok(false),
                false => Err(Misfit("the journal describes more documents of a batch than it has")),
            };
        }
        self.left -= 1;
        self.first.copy_from_slice(&self.next);
        let (pieces, next) = (self.pieces, &mut self.next);
        let take = |target: usize| {
            let document = pieces.targets[target].document(next[target]);
            next[target] += 1;
            document
        };
        let before = out.len();
        restorer.restore(&mut self.notes, take, out)?;
        self.bytes += out.len() - before;
        // Batches of source documents have the same bounds in every run.
        if self.bytes > if pieces.notes.documents == 1 { MAX_DOCUMENT_BYTES } else { BATCH_BYTES } {
            return Err(Misfit("a batch would be larger than a batch can be"));
        }
        Ok(true)
    }
    /// The documents of a target that the last source document became.
    pub(crate) fn migrated_to(&self, target: usize) -> Vec<&'b [u8]> {
        let group = &self.pieces.targets[target];
        (self.first[target]..self.next[target]).filter_map(|at| group.document(at)).collect()
    }
    /// For each target, the document that the last source document became, or the first of them.
    pub(crate) fn migrated(&self) -> impl Iterator<Item = Option<&'b [u8]>> {
        let targets = self.pieces.targets.iter().zip(&self.first).zip(&self.next);
        targets
            .map(|((group, first), next)| if next > first { group.document(*first) } else { None })
    }
}
