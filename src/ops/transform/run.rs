//! The stages of a run: read, map, write.

use std::collections::HashMap;

use super::outputs::{Outputs, unreadable_journal};
use super::preflight::ExistingDocuments;
use super::source::Reading;
use super::unique::{self, UniqueValue};
use super::{Options, SetAside};
use crate::artifact::archive_writer::ArchiveFile;
use crate::artifact::writer::{DocumentSink, OutputFile};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::hash::HashingCounter;
use crate::mapping::{KeptIndex, Mapped, Mapper, Plan, Refusal};
use crate::pipeline::{self, Pool, Stages};
use crate::progress::Progress;

pub(super) struct Transforming<'a> {
    pub(super) plan: &'a Plan,
    /// For each source, the unique indexes that a target keeps.
    pub(super) kept: Vec<Vec<KeptIndex>>,
    pub(super) mappers: Pool<Mapper<'a>>,
    pub(super) existing: ExistingDocuments,
    pub(super) options: &'a Options,
    pub(super) progress: &'a dyn Progress,
    pub(super) files: Vec<String>,
}

pub(super) struct Writing<'d> {
    pub(super) sources: Vec<Outputs<'d>>,
    pub(super) archive: Option<ArchiveFile<'d>>,
    pub(super) documents: u64,
    pub(super) file_bytes: u64,
    /// Receives every document that is set aside.
    pub(super) each: EachSetAside<'d>,
}

/// Receives a document that is set aside, with its namespace.
pub(super) type EachSetAside<'a> = &'a mut (dyn FnMut(&str, &SetAside) -> Result<()> + Send);

/// The most documents of a source that a report lists as set aside; all are counted, and handed on.
const MOST_LISTED: usize = 10_000;

/// A batch, and how far the files had been read by then.
#[derive(Default)]
pub(super) struct Read {
    batch: Batch,
    file_bytes: u64,
}

impl Transforming<'_> {
    fn map_batch(
        &self,
        batch: &Batch,
        duplicates: &HashMap<usize, UniqueValue>,
        mapped: &mut Mapped,
    ) -> Result<()> {
        let kept = &self.kept[batch.source];
        let refusal = |index: usize| {
            let (class, _) = duplicates.get(&index)?;
            match class.checked_sub(self.plan.unique_classes()).and_then(|number| kept.get(number))
            {
                None => Some(self.plan.duplicate(*class)),
                Some(index) => Some(Refusal::Duplicate {
                    collection: self.plan.collection().to_owned(),
                    index: index.name.clone(),
                }),
            }
        };
        let map =
            |mapper: &mut Mapper<'_>| mapper.map_keeping(batch.documents(), kept, refusal, mapped);
        let mapped = self.mappers.with(|| Mapper::new(self.plan), map);
        mapped.map_err(|(index, fault)| {
            Error::document(batch.position(index, &self.files[batch.source]), fault)
        })
    }

    /// Names, for each refused duplicate, the first document with its value. Only fingerprints were
    /// kept, so the source is mapped again until all are found.
    pub(super) fn name_earlier(
        &self,
        reader: &mut Reading,
        sources: &mut [Outputs<'_>],
    ) -> Result<()> {
        let mut refused = HashMap::<(usize, UniqueValue), Vec<&mut SetAside>>::new();
        for (number, source) in sources.iter_mut().enumerate() {
            for one in &mut source.refused {
                if let Some(value) = one.duplicate {
                    refused.entry((number, value)).or_default().push(one);
                }
            }
        }
        let (mut batch, mut mapped) = (Batch::default(), Mapped::default());
        while !refused.is_empty() && reader.fill(&mut batch)? {
            self.check()?;
            self.map_batch(&batch, &HashMap::new(), &mut mapped)?;
            for (index, value) in unique::values(self.plan, &mapped) {
                for one in refused.remove(&(batch.source, value)).into_iter().flatten() {
                    let earlier = batch.position(index, "");
                    let id = earlier.id.map_or("no _id".to_owned(), |id| format!("_id {id}"));
                    one.reason += &format!(
                        ": document {} (byte offset {}, {id})",
                        earlier.document, earlier.offset
                    );
                }
            }
        }
        Ok(())
    }

    fn check_existing(&self, batch: &Batch, mapped: &Mapped) -> Result<()> {
        for (target, output) in mapped.outputs.iter().enumerate() {
            let Some(known) = self.existing.get(&(batch.source, target)) else { continue };
            let mut rest = output.as_slice();
            while let Some(length) = rest.first_chunk::<4>() {
                let (document, behind) = rest.split_at(u32::from_le_bytes(*length) as usize);
                rest = behind;
                let collides = |what: &str| {
                    let name =
                        self.plan.target_collections().nth(target).unwrap_or_default().to_owned();
                    let id = crate::raw::display_id(document);
                    let file = &self.files[batch.source];
                    let positions = (0..batch.ends.len()).map(|index| batch.position(index, file));
                    // A target's document may have another _id than its source.
                    let place = positions
                        .into_iter()
                        .find(|position| id.is_some() && position.id == id)
                        .map(|position| position.to_string());
                    let place = place.unwrap_or_else(|| {
                        format!("'{file}': a document with _id {}", id.unwrap_or_default())
                    });
                    Err(Error::Check(format!(
                        "{place}: {name} in the dump already holds a document with the same {what}, so a server would refuse one of them; remove the one that does not belong and dump again"
                    )))
                };
                if self.plan.id_fingerprint(document).is_some_and(|id| known.ids.contains(&id)) {
                    return collides("_id");
                }
                for unique in self.plan.unique_fingerprints(target, document) {
                    if known.unique.contains(&unique) {
                        return collides(&format!(
                            "value in the unique index '{}'",
                            self.plan.unique_index(target, unique.0)
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Transforming<'_> {
    /// Settles a batch, in the batches' order: duplicates of earlier documents, collisions with
    /// existing ones, counts, and its part of the journal.
    fn account(
        &self,
        source: &mut Outputs<'_>,
        batch: &Batch,
        mapped: &mut Mapped,
        journal: &mut Vec<u8>,
        each: EachSetAside<'_>,
    ) -> Result<()> {
        let duplicates = source.seen.duplicates(self.plan, mapped);
        if !duplicates.is_empty() {
            self.map_batch(batch, &duplicates, mapped)?;
        }
        self.check_existing(batch, mapped)?;
        source.count(batch, mapped);
        let (skips, most) = match self.options.skip_unrestorable {
            true => (true, MOST_LISTED),
            false => (false, self.options.max_findings),
        };
        let namespace = source.collection.namespace();
        for refused in &mapped.refused {
            source.refused_count += 1;
            let is_listed = source.refused.len() < most;
            if !skips && !is_listed {
                continue;
            }
            let position = batch.position(refused.index, "");
            let one = SetAside {
                document: position.document,
                offset: position.offset,
                id: position.id,
                reason: refused.reason.to_string(),
                duplicate: duplicates.get(&refused.index).copied(),
                by_mapping: matches!(refused.reason, Refusal::Unmatched | Refusal::TooMuch { .. }),
            };
            if skips {
                each(&namespace, &one)?;
            }
            if is_listed {
                source.refused.push(one);
            }
        }
        journal.clear();
        source.write_journal(batch, mapped, journal)
    }
}

/// What a batch has become, and its part of the journal.
type Mapping = (Read, (Mapped, Vec<u8>));

impl<'a> Writing<'a> {
    /// Appends a round to the files and the archive, and hashes the sources meanwhile.
    fn append(&mut self, round: &[Mapping], skips_unrestorable: bool) -> Result<()> {
        // Once a document is refused the run will fail; it goes on only to find all such documents.
        let goes_out = |source: &Outputs<'_>| source.refused_count == 0 || skips_unrestorable;
        let blocks = match &mut self.archive {
            Some(archive) => {
                let of_round =
                    round.iter().filter(|(read, _)| goes_out(&self.sources[read.batch.source]));
                archive_blocks(of_round, archive)
            }
            None => Vec::new(),
        };
        let mut beside_archive = None;
        let mut appends = Vec::new();
        for (number, source) in
            self.sources.iter_mut().enumerate().filter(|(_, source)| goes_out(source))
        {
            let of_source: Vec<&Mapping> =
                round.iter().filter(|(read, _)| read.batch.source == number).collect();
            let SourceAppends { mut files, hash, pieces } = source.appends(&of_source);
            // The source is hashed side by side with its largest file, or with the archive.
            if self.archive.is_some() && beside_archive.is_none() && !pieces.is_empty() {
                beside_archive = Some((hash, pieces));
            } else if let Some(largest) = files.iter_mut().max_by_key(|append| append.bytes()) {
                largest.beside = Some((hash, pieces));
            }
            appends.append(&mut files);
        }
        // The longest piece of work first, so that the threads finish together.
        appends.sort_by_key(|append| std::cmp::Reverse(append.bytes()));
        let write_archive = || {
            let Some(archive) = &mut self.archive else { return Ok(()) };
            archive.blocks(
                &blocks,
                beside_archive.as_mut().map(|(hash, pieces)| (&mut **hash, pieces.as_slice())),
            )?;
            archive.compress()
        };
        let (in_archive, in_files) =
            pipeline::join(write_archive, || pipeline::for_each(&mut appends, Append::run));
        in_archive.and(in_files)
    }
}

/// Each batch's documents, collection by collection, with the collection's number in the archive.
/// The blocks' bounds do not depend on the rounds.
fn archive_blocks<'r>(
    round: impl Iterator<Item = &'r Mapping>,
    archive: &mut ArchiveFile<'_>,
) -> Vec<(usize, &'r [u8])> {
    let mut blocks = Vec::new();
    for (read, (mapped, _)) in round {
        let first = read.batch.source * mapped.outputs.len();
        blocks.extend(
            mapped
                .outputs
                .iter()
                .enumerate()
                .map(|(target, bytes)| (first + target, bytes.as_slice())),
        );
        archive.count(mapped.counts.iter().sum());
    }
    blocks
}

/// What a round appends to the files of a source, and the source's own documents to hash.
struct SourceAppends<'r, 'd> {
    files: Vec<Append<'r, 'd>>,
    hash: &'r mut HashingCounter,
    pieces: Vec<&'r [u8]>,
}

impl<'d> Outputs<'d> {
    /// Counts a settled batch.
    fn count(&mut self, batch: &Batch, mapped: &Mapped) {
        self.documents += batch.ends.len() as u64;
        for (number, (count, digest)) in mapped.counts.iter().zip(&mapped.digests).enumerate() {
            self.counts[number] += count;
            self.digests[number] = self.digests[number].wrapping_add(*digest);
        }
        for (sum, [source, target]) in self.arrays.iter_mut().zip(&mapped.arrays) {
            *sum = [sum[0] + source, sum[1] + target];
        }
        self.seen_names.resize(mapped.seen.len(), false);
        for (seen, also) in self.seen_names.iter_mut().zip(&mapped.seen) {
            *seen |= also;
        }
        self.whole += mapped.whole;
        self.findings.append(&mapped.findings);
    }
    /// Appends a batch's part of the journal to `journal`.
    fn write_journal(
        &mut self,
        batch: &Batch,
        mapped: &Mapped,
        journal: &mut Vec<u8>,
    ) -> Result<()> {
        let written = self.journal_writer.write_batch(
            batch.ends.len(),
            &mapped.counts,
            &mapped.notes,
            journal,
        );
        written.map_err(|why| {
            let (first, last) =
                (batch.documents_before + 1, batch.documents_before + batch.ends.len() as u64);
            unreadable_journal(
                &self.collection.namespace(),
                &format!("part on documents {first} to {last}"),
                &why,
            )
        })
    }
    fn appends<'r>(&'r mut self, round: &[&'r Mapping]) -> SourceAppends<'r, 'd> {
        let mut files = Vec::new();
        for (target, file) in self.targets.iter_mut().enumerate() {
            let pieces =
                round.iter().map(|(_, (mapped, _))| mapped.outputs[target].as_slice()).collect();
            let documents = round.iter().map(|(_, (mapped, _))| mapped.counts[target]).sum();
            files.push(Append { file, pieces, documents, beside: None });
        }
        if let Some(file) = &mut self.journal {
            let pieces = round.iter().map(|(_, (_, journal))| journal.as_slice()).collect();
            files.push(Append { file, pieces, documents: round.len() as u64, beside: None });
        }
        if let Some(file) = &mut self.rejected {
            let pieces = round.iter().map(|(_, (mapped, _))| mapped.rejected.as_slice()).collect();
            let documents = round.iter().map(|(_, (mapped, _))| mapped.refused.len() as u64).sum();
            files.push(Append { file, pieces, documents, beside: None });
        }
        SourceAppends {
            files,
            hash: &mut self.hash,
            pieces: round.iter().map(|(read, _)| read.batch.bytes.as_slice()).collect(),
        }
    }
}

impl<'a> Stages for Transforming<'a> {
    type Input = Read;
    type Output = (Mapped, Vec<u8>);
    type Reader = Reading;
    type Writer = Writing<'a>;

    fn read(&self, reader: &mut Reading, input: &mut Read) -> Result<bool> {
        let more = reader.fill(&mut input.batch)?;
        input.file_bytes = reader.file_bytes_read();
        Ok(more)
    }
    fn size(&self, input: &Read) -> usize {
        input.batch.weight()
    }
    fn map(&self, input: &Read, (mapped, _): &mut Self::Output) -> Result<()> {
        self.map_batch(&input.batch, &HashMap::new(), mapped)
    }
    fn write(&self, writer: &mut Writing<'a>, round: &mut [Mapping]) -> Result<()> {
        for (read, (mapped, journal)) in round.iter_mut() {
            let source = &mut writer.sources[read.batch.source];
            self.account(source, &read.batch, mapped, journal, &mut *writer.each)?;
            writer.documents += read.batch.ends.len() as u64;
            writer.file_bytes = read.file_bytes;
        }
        self.progress.advance(writer.documents, writer.file_bytes);
        writer.append(round, self.options.skip_unrestorable)
    }
    fn check(&self) -> Result<()> {
        self.progress.check()
    }
}

/// What a round appends to a file, and what is hashed alongside.
struct Append<'r, 'd> {
    file: &'r mut OutputFile<'d>,
    pieces: Vec<&'r [u8]>,
    documents: u64,
    beside: Option<(&'r mut HashingCounter, Vec<&'r [u8]>)>,
}

impl Append<'_, '_> {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
    fn run(&mut self) -> Result<()> {
        self.file.count(self.documents);
        let beside = self.beside.as_mut().map(|(hash, pieces)| (&mut **hash, pieces.as_slice()));
        self.file.append_and_hash(&self.pieces, beside)?;
        self.file.compress()
    }
}
