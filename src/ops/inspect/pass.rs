//! The pass over all documents of a dump: each is validated; those of a source are mapped, counted
//! and surveyed besides.

use std::collections::HashMap;

use super::reading::Reading;
use super::tally::Tally;
use crate::batch::Batch;
use crate::dump::touching_in;
use crate::error::{Error, Position, Result};
use crate::journal::JournalWriter;
use crate::mapping::{Findings, KeptIndex, Mapped, Mapper, Plan, SAMPLES};
use crate::ops::check::Refused;
use crate::ops::survey::Survey;
use crate::ops::transform::SeenValues;
use crate::pipeline::{Pool, Stages};
use crate::progress::Progress;
use crate::raw::Validator;

/// What a collection of the dump is to the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The source with this number.
    Source(usize),
    Oplog,
    Other,
}

/// A collection that is read.
#[derive(Debug)]
pub(super) struct Part {
    pub namespace: String,
    /// Its file, for errors.
    pub file: String,
    pub of: Use,
}

/// What was found out about a collection.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub documents: u64,
    pub bytes: u64,
    /// The first document that is not valid.
    pub damage: Option<Error>,
}

/// What was found out about a source.
#[derive(Debug)]
pub(super) struct SourceFound {
    pub tally: Tally,
    pub survey: Survey,
    pub findings: Findings,
    pub refused: Refused,
    /// Documents and bytes of each target.
    pub targets: Vec<(u64, u64)>,
    pub journal_bytes: u64,
    /// Operations on it in the archive's oplog.
    pub touching: u64,
    journal: JournalWriter,
    seen: SeenValues,
}

impl SourceFound {
    pub fn new(plan: &Plan, kept: usize) -> Self {
        SourceFound {
            tally: Tally::new(plan.assess()),
            survey: Survey::default(),
            findings: Findings::default(),
            refused: Refused::default(),
            targets: vec![(0, 0); plan.target_count()],
            // Its header holds the mapping.
            journal_bytes: plan.text().len() as u64,
            touching: 0,
            journal: JournalWriter::default(),
            seen: SeenValues::new(plan, kept),
        }
    }
}

/// The stages of the pass.
pub(super) struct Pass<'a> {
    pub plan: &'a Plan,
    pub parts: &'a [Part],
    /// The namespace of each source, and the unique indexes that a target keeps of it.
    pub sources: Vec<Source>,
    pub mappers: Pool<Mapper<'a>>,
    pub validators: Pool<Validator>,
    pub progress: &'a dyn Progress,
}

/// A source, for the pass.
#[derive(Debug)]
pub(super) struct Source {
    pub namespace: String,
    pub kept: Vec<KeptIndex>,
}

/// What the pass has found so far.
#[derive(Debug)]
pub(super) struct Written {
    pub parts: Vec<Found>,
    pub sources: Vec<SourceFound>,
    pub documents: u64,
    buffer: Vec<u8>,
}

impl Written {
    pub fn new(parts: usize, sources: Vec<SourceFound>) -> Self {
        let parts = (0..parts).map(|_| Found::default()).collect();
        Written { parts, sources, documents: 0, buffer: Vec::new() }
    }
}

/// A batch, and how far the files had been read by then.
#[derive(Default)]
pub(super) struct Read {
    batch: Batch,
    file_bytes: u64,
}

/// What one batch holds.
#[derive(Default)]
pub(super) struct Seen {
    damage: Option<Error>,
    /// Of a source's batch.
    source: Option<Box<SeenSource>>,
    /// Of an oplog's batch: operations on each source.
    touching: Vec<u64>,
}

struct SeenSource {
    mapped: Mapped,
    tally: Tally,
    survey: Survey,
    /// The documents that are valid, by their index in the batch. Only they were mapped.
    valid: Vec<usize>,
}

impl Pass<'_> {
    /// Maps and counts the documents of a source that are valid.
    fn source(&self, number: usize, batch: &Batch, seen: &mut Seen, file: &str) {
        let assess = self.plan.assess();
        let of_batch = seen.source.get_or_insert_with(|| {
            let (mapped, survey) = (Mapped::default(), Survey::default());
            Box::new(SeenSource { mapped, tally: Tally::new(assess), survey, valid: Vec::new() })
        });
        let SeenSource { mapped, tally, survey, valid } = &mut **of_batch;
        (*tally, *survey) = (Tally::new(assess), Survey::default());
        valid.clear();
        valid.extend(0..batch.ends.len());
        let kept = &self.sources[number].kept;
        let mut map = |valid: &[usize]| {
            let documents = valid.iter().map(|index| batch.document(*index));
            self.mappers.with(
                || Mapper::new(self.plan),
                |mapper| mapper.map_keeping(documents, kept, |_| None, mapped),
            )
        };
        if let Err((index, fault)) = map(valid) {
            seen.damage = Some(Error::document(batch.position(index, file), fault));
            self.validators.with(Validator::default, |validator| {
                valid.retain(|index| validator.check(batch.document(*index)).is_ok());
            });
            if map(valid).is_err() {
                // What the validator accepts, the mapper maps; if not, nothing is counted.
                valid.clear();
                *mapped = Mapped::default();
            }
        }
        for index in &*valid {
            tally.observe(assess, batch.document(*index));
            survey.observe(batch.document(*index));
        }
    }

    /// Validates the documents of a collection; counts the operations of an oplog.
    fn other(&self, of: Use, batch: &Batch, seen: &mut Seen, file: &str) {
        seen.touching.resize(self.sources.len(), 0);
        let fault = self.validators.with(Validator::default, |validator| {
            batch.documents().enumerate().find_map(|(index, document)| {
                if let Err(fault) = validator.check(document) {
                    return Some((index, fault));
                }
                if of == Use::Oplog {
                    for (touching, source) in seen.touching.iter_mut().zip(&self.sources) {
                        *touching += touching_in(document, &source.namespace);
                    }
                }
                None
            })
        });
        let error = |(index, fault)| Error::document(batch.position(index, file), fault);
        seen.damage = fault.map(error);
    }

    fn append(&self, written: &mut Written, batch: &Batch, seen: &mut Seen) -> Result<()> {
        let found = &mut written.parts[batch.source];
        found.documents += batch.ends.len() as u64;
        found.bytes += batch.bytes.len() as u64;
        let part = &self.parts[batch.source];
        if found.damage.is_none() {
            found.damage = seen.damage.take();
        }
        if part.of == Use::Oplog {
            for (source, touching) in written.sources.iter_mut().zip(&seen.touching) {
                source.touching += touching;
            }
        }
        let (Use::Source(number), Some(of_batch)) = (part.of, &mut seen.source) else {
            return Ok(());
        };
        if of_batch.valid.is_empty() {
            return Ok(());
        }
        let source = &mut written.sources[number];
        let SeenSource { mapped, valid, .. } = &**of_batch;
        self.refusals(source, mapped, |mapped| batch.position(valid[mapped], &part.file));
        source.findings.append(&mapped.findings);
        for (sum, (documents, bytes)) in
            source.targets.iter_mut().zip(mapped.counts.iter().zip(&mapped.outputs))
        {
            *sum = (sum.0 + documents, sum.1 + bytes.len() as u64);
        }
        written.buffer.clear();
        let journal = source.journal.write_batch(
            valid.len(),
            &mapped.counts,
            &mapped.notes,
            &mut written.buffer,
        );
        journal.map_err(|why| Error::Check(format!("{}: {why}", part.namespace)))?;
        source.journal_bytes += written.buffer.len() as u64;
        source.tally.append(&mut of_batch.tally);
        let survey = std::mem::take(&mut of_batch.survey);
        if source.survey.can_merge(&survey) {
            source.survey.merge(survey);
        } else {
            let documents = of_batch.valid.iter().map(|index| batch.document(*index));
            documents.for_each(|document| source.survey.observe(document));
        }
        Ok(())
    }

    /// Counts what a server would refuse, duplicates of earlier documents' unique values included.
    /// `position` is that of the document with an index among those that were mapped.
    fn refusals(
        &self,
        source: &mut SourceFound,
        mapped: &Mapped,
        position: impl Fn(usize) -> Position,
    ) {
        let mut reasons: HashMap<usize, String> = mapped
            .refused
            .iter()
            .map(|refused| (refused.index, refused.reason.to_string()))
            .collect();
        for (index, (class, _)) in source.seen.duplicates(self.plan, mapped) {
            let reason = match class.checked_sub(self.plan.unique_classes()) {
                None => self.plan.duplicate(class).to_string(),
                Some(_) => "an earlier document has the same value in a unique index".to_owned(),
            };
            reasons.entry(index).or_insert(reason);
        }
        source.refused.documents += reasons.len() as u64;
        let mut reasons: Vec<(usize, String)> = reasons.into_iter().collect();
        reasons.sort();
        let room = SAMPLES.saturating_sub(source.refused.first.len());
        let first = reasons.into_iter().take(room);
        source
            .refused
            .first
            .extend(first.map(|(index, reason)| format!("{}: {reason}", position(index))));
    }
}

impl<'a> Stages for Pass<'a> {
    type Input = Read;
    type Output = Seen;
    type Reader = Reading<'a>;
    type Writer = Written;

    fn read(&self, reader: &mut Reading<'a>, input: &mut Read) -> Result<bool> {
        let more = reader.fill(&mut input.batch);
        input.file_bytes = reader.file_bytes_read();
        Ok(more)
    }
    fn size(&self, input: &Read) -> usize {
        input.batch.weight()
    }
    fn map(&self, input: &Read, seen: &mut Seen) -> Result<()> {
        let part = &self.parts[input.batch.source];
        seen.damage = None;
        seen.touching.clear();
        match part.of {
            Use::Source(number) => self.source(number, &input.batch, seen, &part.file),
            of => self.other(of, &input.batch, seen, &part.file),
        }
        Ok(())
    }
    fn write(&self, written: &mut Written, round: &mut [(Read, Seen)]) -> Result<()> {
        for (read, seen) in round.iter_mut() {
            self.append(written, &read.batch, seen)?;
            written.documents += read.batch.ends.len() as u64;
            self.progress.advance(written.documents, read.file_bytes);
        }
        Ok(())
    }
    fn check(&self) -> Result<()> {
        self.progress.check()
    }
}
