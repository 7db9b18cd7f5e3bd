//! Where the sources' documents come from: files one after the other, or one archive in which they
//! interleave.

use std::collections::{HashMap, HashSet};

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
use crate::plain::PlainPath;
use crate::raw::Validator;

/// Where the sources' documents come from.
pub(super) struct Reading {
    /// One file for each source, or one pass over an archive for each, or for all of them.
    inputs: Vec<Input>,
    /// The input that is being read.
    current: usize,
}

enum Input {
    File(Splitter<Stream>),
    Archive(Box<Demultiplexing>),
}

impl Input {
    fn stream(&self) -> &Stream {
        match self {
            Input::File(splitter) => splitter.stream(),
            Input::Archive(archive) => archive.reader.stream(),
        }
    }
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        match self {
            Input::File(splitter) => splitter.fill(batch),
            Input::Archive(archive) => archive.fill(batch),
        }
    }
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
            let first = if is_in_turn { Pass::Of(0) } else { Pass::All };
            let mut passes = vec![(archive, first)];
            for number in (1..collections.len()).take_while(|_| is_in_turn) {
                passes.extend(dump.archive(disk)?.map(|archive| (archive, Pass::Of(number))));
            }
            let input = |(archive, pass)| {
                let pass = Demultiplexing::new(archive, collections, pass, options, plan);
                Input::Archive(Box::new(pass))
            };
            return Ok(Reading { inputs: passes.into_iter().map(input).collect(), current: 0 });
        }
        let mut inputs = Vec::new();
        for (number, collection) in collections.iter().enumerate() {
            let path = collection.documents.as_deref().unwrap_or(&options.dump);
            dump::refuse_other_content(disk, path)?;
            let (stream, file) = (Stream::open(disk, path)?, path.plain());
            inputs.push(Input::File(Splitter::new(stream, number, file)));
        }
        Ok(Reading { inputs, current: 0 })
    }
    fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.inputs.iter().map(Input::stream)
    }
    /// The bytes of the sources' documents; none if that is known only once they are read.
    pub(super) fn plain_bytes(&self) -> Option<u64> {
        let plain = |input: &Input| match input {
            Input::File(splitter) if !splitter.stream().is_gzip => {
                Some(splitter.stream().file_bytes)
            }
            Input::File(_) | Input::Archive(_) => None,
        };
        self.inputs.iter().map(plain).sum()
    }
    pub(super) fn total(&self) -> Option<u64> {
        self.streams().map(Stream::total).sum()
    }
    /// Fills a batch of one source. False at the end.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        while let Some(input) = self.inputs.get_mut(self.current) {
            if input.fill(batch)? {
                return Ok(true);
            }
            self.current += 1;
        }
        Ok(false)
    }
    pub(super) fn file_bytes_read(&self) -> u64 {
        self.streams().map(Stream::file_bytes_read).sum()
    }
    /// Refuses what shows only when all is read.
    pub(super) fn check_after(
        &self,
        options: &Options,
        sources: &[Collection],
        remarks: &mut Vec<String>,
    ) -> Result<()> {
        self.streams().try_for_each(Stream::check_unchanged)?;
        let Some(Input::Archive(archive)) = self.inputs.first() else { return Ok(()) };
        archive.check_standing(options, remarks)?;
        for (source, touching) in sources.iter().zip(&archive.touching) {
            let operations = OplogOperations { touching: *touching, all: archive.operations };
            let oplog = "the archive's oplog";
            check_oplog(options, oplog, &source.namespace(), operations, remarks)?;
        }
        Ok(())
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
struct Demultiplexing {
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
        let numbers: HashMap<(&str, &str), usize> = sources
            .iter()
            .enumerate()
            .map(|(number, source)| ((source.database.as_str(), source.name.as_str()), number))
            .collect();
        let databases: HashSet<&str> = sources
            .iter()
            .map(|source| options.to_database.as_ref().unwrap_or(&source.database).as_str())
            .collect();
        for entry in &reader.prelude().entries {
            let number = numbers.get(&(entry.database.as_str(), entry.collection.as_str()));
            uses.push(match number.copied() {
                // Another pass reads what this one skips.
                number if !pass.reads(number) => Use::Other,
                _ if entry.is_oplog() => Use::Oplog,
                Some(number) => Use::Source(number),
                None if options.existing_targets == ExistingTargets::Ignore => Use::Other,
                None if targets.contains(&entry.collection.as_str())
                    && databases.contains(entry.database.as_str()) =>
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
                ended => {
                    self.end = Some(ended.map(drop));
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
        for (number, entry) in self.reader.prelude().entries.iter().enumerate() {
            if self.uses[number] == Use::Target {
                let counts = self.reader.seen(number).counts();
                check_standing(options, &entry.namespace(), counts, remarks)?;
            }
        }
        Ok(())
    }
}
