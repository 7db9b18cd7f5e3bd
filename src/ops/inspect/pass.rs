//! The pass over all documents of a dump: each is validated; those of a source are mapped, counted
//! and surveyed besides.

use std::collections::HashMap;

use super::reading::Reading;
use super::tally::Tally;
use crate::batch::Batch;
use crate::dump::touching_in;
use crate::error::{Error, Result};
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
    /// Of a source's batch without damage.
    source: Option<Box<SeenSource>>,
    /// Of an oplog's batch: operations on each source.
    touching: Vec<u64>,
}

struct SeenSource {
    mapped: Mapped,
    tally: Tally,
    survey: Survey,
}

impl Pass<'_> {
    /// Maps and counts the documents of a source, unless one is not valid.
    fn source(&self, number: usize, batch: &Batch, seen: &mut Seen, file: &str) {
        let assess = self.plan.assess();
        let of_batch = seen.source.get_or_insert_with(|| {
            let (mapped, survey) = (Mapped::default(), Survey::default());
            Box::new(SeenSource { mapped, tally: Tally::new(assess), survey })
        });
        of_batch.tally = Tally::new(assess);
        of_batch.survey = Survey::default();
        let kept = &self.sources[number].kept;
        let mapped = self.mappers.with(
            || Mapper::new(self.plan),
            |mapper| mapper.map_keeping(batch.documents(), kept, |_| None, &mut of_batch.mapped),
        );
        if let Err((index, fault)) = mapped {
            seen.damage = Some(Error::document(batch.position(index, file), fault));
            seen.source = None;
            return;
        }
        for document in batch.documents() {
            of_batch.tally.observe(assess, document);
            of_batch.survey.observe(document);
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
        let source = &mut written.sources[number];
        let mapped = &of_batch.mapped;
        self.refusals(source, batch, mapped, &part.file);
        source.findings.append(&mapped.findings);
        for (sum, (documents, bytes)) in
            source.targets.iter_mut().zip(mapped.counts.iter().zip(&mapped.outputs))
        {
            *sum = (sum.0 + documents, sum.1 + bytes.len() as u64);
        }
        written.buffer.clear();
        let journal = source.journal.write_batch(
            batch.ends.len(),
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
            batch.documents().for_each(|document| source.survey.observe(document));
        }
        Ok(())
    }

    /// Counts what a server would refuse, duplicates of earlier documents' unique values included.
    fn refusals(&self, source: &mut SourceFound, batch: &Batch, mapped: &Mapped, file: &str) {
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
        source.refused.first.extend(
            first.map(|(index, reason)| format!("{}: {reason}", batch.position(index, file))),
        );
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
        input.batch.bytes.len()
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
