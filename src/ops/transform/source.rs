//! Where the sources' documents come from: files one after the other, or one archive in which they
//! interleave.

use super::preflight::{check_oplog, check_standing};
use super::{ExistingTargets, Options};
use crate::artifact::layout::Layout;
use crate::base::archive_format as archive;
use crate::base::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::dump::{self, Collection, Dump, OplogOperations};
use crate::error::{Error, Position, Result};
use crate::mapping::Plan;
use crate::raw::Validator;

/// Where the sources' documents come from.
pub(super) enum Reading {
    /// One file for each source, one after the other.
    Files { splitters: Vec<Splitter<Stream>>, current: usize },
    /// One archive in which they interleave; read once for each source if they have to come one after
    /// the other.
    Archive { passes: Vec<Demultiplexing>, current: usize },
}

impl Reading {
    /// Opens the sources at their beginning; standard input can be opened only once.
    pub(super) fn open(
        disk: &Disk,
        options: &Options,
        layout: &Layout,
        plan: &Plan,
        dump: &Dump,
        collections: &[Collection],
    ) -> Result<Reading> {
        if let Some(archive) = dump.archive(disk)? {
            // An archive holds the sources one after the other, whatever the dump's shape: one pass for
            // each. Standard input has one pass, and keeps its order.
            let is_in_turn = layout.is_archive()
                && collections.len() > 1
                && !crate::base::stream::is_standard_input(&options.dump);
            let mut passes = vec![Demultiplexing::new(
                archive,
                collections,
                if is_in_turn { Pass::Of(0) } else { Pass::All },
                options,
                plan,
            )];
            for number in (1..collections.len()).take_while(|_| is_in_turn) {
                let again = dump.archive(disk)?.into_iter();
                passes.extend(again.map(|archive| {
                    Demultiplexing::new(archive, collections, Pass::Of(number), options, plan)
                }));
            }
            return Ok(Reading::Archive { passes, current: 0 });
        }
        let mut splitters = Vec::new();
        for (number, collection) in collections.iter().enumerate() {
            let path = collection.documents.as_deref().unwrap_or(&options.dump);
            dump::refuse_other_content(disk, path)?;
            splitters.push(Splitter::new(
                Stream::open(disk, path)?,
                number,
                path.display().to_string(),
            ));
        }
        Ok(Reading::Files { splitters, current: 0 })
    }
    /// The permission bits that all files share.
    pub(super) fn mode(&self) -> u32 {
        match self {
            Reading::Files { splitters, .. } => {
                splitters.iter().fold(u32::MAX, |mode, splitter| mode & splitter.stream().mode)
            }
            Reading::Archive { passes, .. } => {
                passes.iter().fold(u32::MAX, |mode, archive| mode & archive.reader.stream().mode)
            }
        }
    }
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Reading::Files { splitters, .. } => {
                Some(splitters.iter().map(|splitter| splitter.stream().file_bytes).sum())
            }
            Reading::Archive { passes, .. } => {
                passes.iter().map(|archive| archive.reader.stream().total()).sum()
            }
        }
    }
    /// Fills a batch of one source. False at the end.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        match self {
            Reading::Files { splitters, current } => {
                while let Some(splitter) = splitters.get_mut(*current) {
                    if splitter.fill(batch)? {
                        return Ok(true);
                    }
                    *current += 1;
                }
                Ok(false)
            }
            Reading::Archive { passes, current } => {
                while let Some(archive) = passes.get_mut(*current) {
                    if archive.fill(batch)? {
                        return Ok(true);
                    }
                    *current += 1;
                }
                Ok(false)
            }
        }
    }
    pub(super) fn file_bytes_read(&self) -> u64 {
        match self {
            Reading::Files { splitters, .. } => {
                splitters.iter().map(|splitter| splitter.stream().file_bytes_read()).sum()
            }
            Reading::Archive { passes, .. } => {
                passes.iter().map(|archive| archive.reader.stream().file_bytes_read()).sum()
            }
        }
    }
    /// Refuses what shows only when all is read.
    pub(super) fn check_after(
        &self,
        options: &Options,
        sources: &[Collection],
        remarks: &mut Vec<String>,
    ) -> Result<()> {
        match self {
            Reading::Files { splitters, .. } => {
                splitters.iter().try_for_each(|splitter| splitter.stream().check_unchanged())
            }
            Reading::Archive { passes, .. } => {
                passes.iter().try_for_each(|archive| archive.reader.stream().check_unchanged())?;
                let archive = &passes[0];
                archive.check_standing(options, remarks)?;
                let of_source = sources.iter().zip(&archive.touching);
                of_source.into_iter().try_for_each(|(source, touching)| {
                    let operations =
                        OplogOperations { touching: *touching, all: archive.operations };
                    check_oplog(
                        options,
                        "the archive's oplog",
                        &source.namespace(),
                        operations,
                        remarks,
                    )
                })
            }
        }
    }
}

/// What a namespace of an archive is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The source with this number.
    Source(usize),
    /// A target collection: documents in it refuse the run, or were checked before.
    Target,
    Oplog,
    Other,
}

/// An archive, demultiplexed in one pass into batches with the same bounds as a file's.
pub(super) struct Demultiplexing {
    reader: archive::Reader<Stream>,
    uses: Vec<Use>,
    pending: Vec<Batch>,
    /// Documents and bytes of each source so far.
    before: Vec<(u64, u64)>,
    namespaces: Vec<String>,
    /// Stop reading at a document in a target collection.
    refuses_targets: bool,
    /// Operations in the oplog, and those on each source.
    operations: u64,
    touching: Vec<u64>,
    validator: Validator,
    /// How the archive ended. Pending batches go first, so that the first fault is the one reported.
    end: Option<Result<()>>,
}

/// What one reading of an archive takes from it.
#[derive(Clone, Copy)]
enum Pass {
    /// Everything.
    All,
    /// One source, by its number; the first also takes what belongs to no source.
    Of(usize),
}

impl Pass {
    /// Whether it reads a collection, which is the source of this number or none.
    fn reads(self, source: Option<usize>) -> bool {
        match self {
            Pass::All => true,
            Pass::Of(number) => source.unwrap_or(0) == number,
        }
    }
}

impl Demultiplexing {
    fn new(
        mut reader: archive::Reader<Stream>,
        sources: &[Collection],
        pass: Pass,
        options: &Options,
        plan: &Plan,
    ) -> Self {
        let targets: Vec<&str> = plan.target_collections().collect();
        let mut uses = Vec::new();
        for entry in &reader.prelude().entries {
            let is_source = |source: &Collection| {
                source.database == entry.database && source.name == entry.collection
            };
            let goes_to = |source: &Collection| {
                options.to_database.as_ref().unwrap_or(&source.database) == &entry.database
            };
            uses.push(match sources.iter().position(is_source) {
                // Another pass reads what this one skips.
                number if !pass.reads(number) => Use::Other,
                _ if entry.is_oplog() => Use::Oplog,
                Some(number) => Use::Source(number),
                None if options.existing_targets == ExistingTargets::Ignore => Use::Other,
                None if targets.contains(&entry.collection.as_str())
                    && sources.iter().any(goes_to) =>
                {
                    Use::Target
                }
                None => Use::Other,
            });
        }
        for (number, of) in uses.iter().enumerate() {
            if *of != Use::Other {
                reader.check(number);
            }
        }
        let mut pending: Vec<Batch> = sources.iter().map(|_| Batch::default()).collect();
        pending.iter_mut().enumerate().for_each(|(number, batch)| batch.restart(number, 0, 0));
        Demultiplexing {
            uses,
            pending,
            before: vec![(0, 0); sources.len()],
            namespaces: sources.iter().map(Collection::namespace).collect(),
            refuses_targets: options.existing_targets == ExistingTargets::Refuse,
            operations: 0,
            touching: vec![0; sources.len()],
            validator: Validator::default(),
            end: None,
            reader,
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        while self.end.is_none() {
            let document = match self.reader.next_document() {
                Ok(Some(document)) => document,
                Ok(None) => {
                    self.end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    self.end = Some(Err(error));
                    break;
                }
            };
            match self.uses[document.namespace] {
                Use::Other => {}
                Use::Source(source) => {
                    let pending = &mut self.pending[source];
                    let is_full = !pending.has_room(document.bytes.len());
                    if is_full {
                        std::mem::swap(pending, batch);
                        let (documents, bytes) = self.before[source];
                        pending.restart(source, documents, bytes);
                    }
                    pending.push_from(document.bytes, document.offset);
                    self.before[source].0 += 1;
                    self.before[source].1 += document.bytes.len() as u64;
                    if is_full {
                        return Ok(true);
                    }
                }
                Use::Target if !self.refuses_targets => {}
                Use::Target => {
                    // The run will be refused; all that is left is to count the documents in its way.
                    self.end = Some(self.reader.skip_to_end());
                    self.pending.iter_mut().for_each(|pending| pending.restart(0, 0, 0));
                }
                Use::Oplog => {
                    if let Err(fault) = self.validator.check(document.bytes) {
                        let offset = document.offset;
                        let file = format!("{}, the oplog", self.reader.file());
                        let position =
                            Position { file, document: self.operations + 1, offset, id: None };
                        return Err(Error::document(position, fault));
                    }
                    self.operations += 1;
                    for (namespace, touching) in self.namespaces.iter().zip(&mut self.touching) {
                        *touching += dump::touching_in(document.bytes, namespace);
                    }
                }
            }
        }
        for pending in &mut self.pending {
            if !pending.ends.is_empty() {
                std::mem::swap(pending, batch);
                pending.restart(batch.source, 0, 0);
                return Ok(true);
            }
        }
        self.end.take().unwrap_or(Ok(())).map(|()| {
            self.end = Some(Ok(()));
            false
        })
    }

    fn check_standing(&self, options: &Options, remarks: &mut Vec<String>) -> Result<()> {
        for (number, entry) in self
            .reader
            .prelude()
            .entries
            .iter()
            .enumerate()
            .filter(|(number, _)| self.uses[*number] == Use::Target)
        {
            let seen = self.reader.seen(number);
            check_standing(options, &entry.namespace(), seen.counts(), remarks)?;
        }
        Ok(())
    }
}
