//! Merges the documents of a batch with what the later dump has of them.

use std::collections::HashMap;

use super::events::{Event, EventKind};
use crate::error::{Error, Result};
use crate::fingerprints::fingerprint_of;
use crate::journal::JournalReader;
use crate::lookup::{Lookup, id_fingerprint};
use crate::manifest;
use crate::mapping::{Merged, Merger, Plan, Restorer, Sides};
use crate::ops::reverse::original::{BatchRestorer, Documents, Pieces, misfit, read_pieces};
use crate::pipeline::{Pool, Stages};
use crate::progress::Progress;
use crate::raw::{self, Elements, differing_paths};

pub(super) fn check_size(merged: &Merged, event: &Event) -> Result<()> {
    if merged.document.len() <= raw::MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    Err(Error::Check(format!(
        "{}: the document with _id {} would have {} bytes, more than the 16777216 that a server takes; nothing was published",
        event.namespace,
        event.id,
        merged.document.len()
    )))
}

/// Today's documents of one source document.
pub(super) struct Current<'a> {
    pub(super) single: Vec<Option<&'a [u8]>>,
    /// For each target that unwinds a field, its documents.
    pub(super) unwound: Vec<Option<Vec<&'a [u8]>>>,
}

impl<'a> Current<'a> {
    pub(super) fn sides(&self) -> Sides<'_, 'a> {
        Sides { single: &self.single, unwound: &self.unwound }
    }
    /// Nothing of any target.
    pub(super) fn none(plan: &Plan) -> Self {
        let targets = plan.target_count();
        Current { single: vec![None; targets], unwound: vec![None; targets] }
    }
    /// Whether the documents are those of `other`, but for the order of fields. What is missing here
    /// counts as unchanged.
    fn is_same(&self, base: &Current<'_>) -> bool {
        let is_one = |(base, current): (&Option<&[u8]>, &Option<&[u8]>)| match (base, current) {
            (Some(base), Some(current)) => is_same(base, current),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let are_all = |number: usize| {
            let Some(current) = &self.unwound[number] else { return true };
            same_documents(base.unwound[number].as_deref().unwrap_or_default(), current)
        };
        base.single.iter().zip(&self.single).all(is_one) && (0..self.unwound.len()).all(are_all)
    }
}

/// Whether two documents are the same, but for the order of fields.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    !raw::differ(one, other)
}

/// Whether the documents of two lists are the same in any order, joined by their `_id`s.
fn same_documents(base: &[&[u8]], current: &[&[u8]]) -> bool {
    let by_id: HashMap<u128, &[u8]> =
        current.iter().map(|document| (id_fingerprint(document), *document)).collect();
    base.len() == current.len()
        && by_id.len() == current.len()
        && base.iter().all(|base| {
            by_id.get(&id_fingerprint(base)).is_some_and(|current| is_same(base, current))
        })
}

/// Today's documents of one key, by target.
#[derive(Debug)]
pub(super) struct Found {
    driver: usize,
    documents: Vec<Vec<Vec<u8>>>,
}

impl Found {
    /// Finds what belongs to `document`, which is of the target `driver`.
    pub(super) fn of(
        plan: &Plan,
        lookups: &[Lookup],
        driver: usize,
        document: Vec<u8>,
    ) -> Result<Found> {
        let key = plan.key(driver, &document).map(fingerprint_of).unwrap_or_default();
        let mut documents = Vec::with_capacity(lookups.len());
        for (number, lookup) in lookups.iter().enumerate() {
            documents.push(if number == driver { Vec::new() } else { lookup.take(key)? });
        }
        documents[driver] = vec![document];
        Ok(Found { driver, documents })
    }
}

/// Which of the documents that were found count. Of several in
/// another target that unwinds nothing, the one with the previous `_id` counts, else the first.
pub(super) fn current_documents<'a>(
    plan: &Plan,
    base: &Current<'_>,
    found: &'a Found,
    event: &mut Event,
) -> Current<'a> {
    let names: Vec<&str> = plan.target_collections().collect();
    let mut current = Current::none(plan);
    for (number, candidates) in found.documents.iter().enumerate() {
        let candidates: Vec<&[u8]> = candidates.iter().map(Vec::as_slice).collect();
        if number == found.driver {
            current.single[number] = candidates.first().copied();
            continue;
        }
        if plan.is_unwound(number) {
            current.unwound[number] = Some(candidates);
            continue;
        }
        let id = |document: &&[u8]| Elements::new(document).find(b"_id").map(fingerprint_of);
        let before = base.single[number].and_then(|base| id(&base));
        let chosen = candidates
            .iter()
            .position(|candidate| before.is_some() && id(candidate) == before)
            .unwrap_or(0);
        for (at, other) in candidates.iter().enumerate() {
            if at != chosen {
                let id = raw::display_id(other).unwrap_or_default();
                event.not_carried_back.push(format!(
                    "{} document with _id {id}, another one of the same {}",
                    names[number],
                    plan.key_name(number)
                ));
            }
        }
        if candidates.is_empty() && base.single[number].is_some() {
            event.missing_in.push(names[number].to_owned());
        }
        current.single[number] = candidates.get(chosen).copied();
    }
    current
}

/// A merged batch: the documents, and the events about them.
#[derive(Debug, Default)]
pub(super) struct MergedBatch {
    pub(super) bytes: Vec<u8>,
    pub(super) documents: u64,
    pub(super) unchanged: u64,
    pub(super) events: Vec<Event>,
}

/// The collections of a source as they are in the later dump.
#[derive(Clone, Copy)]
pub(super) struct Today<'a> {
    pub(super) plan: &'a Plan,
    pub(super) recorded: &'a manifest::Source,
    pub(super) lookups: &'a [Lookup],
    /// The source collection itself, and its namespace.
    pub(super) source: Option<(&'a str, &'a Lookup)>,
    pub(super) progress: &'a dyn Progress,
}

pub(super) struct Merging<'a> {
    pub(super) today: Today<'a>,
    pub(super) journal: String,
    pub(super) pool: Pool<(Restorer<'a>, Merger<'a>)>,
}

/// Takes a round of merged batches.
pub(super) type Write<'a> = Box<dyn FnMut(&mut [(Pieces, MergedBatch)]) -> Result<()> + Send + 'a>;

impl Today<'_> {
    pub(super) fn source_event(&self, document: &[u8], kind: EventKind, what: &str) -> Event {
        let mut event = Event::new(self.recorded, document, kind);
        let namespace =
            self.source.map_or(self.recorded.namespace.as_str(), |(namespace, _)| namespace);
        event.not_carried_back.push(format!("{namespace}: {what}"));
        event
    }

    /// Compares a document with the source collection itself, which the application may still write to.
    fn compare_with_source(&self, original: &[u8]) -> Result<Option<Event>> {
        let Some((_, lookup)) = self.source else { return Ok(None) };
        let Some(now) = lookup.take_partner(id_fingerprint(original), original)? else {
            let removed = self.source_event(original, EventKind::SourceRemoved, "removed since");
            return Ok(Some(removed));
        };
        let fields = if now == original { Vec::new() } else { differing_paths(original, &now) };
        let event = || {
            self.source_event(
                original,
                EventKind::SourceChanged,
                &format!("changed since: {}", fields.join(", ")),
            )
        };
        Ok((!fields.is_empty()).then(event))
    }
}

impl Merging<'_> {
    fn merge_batch(
        &self,
        pieces: &Pieces,
        restorer: &mut Restorer<'_>,
        merger: &mut Merger<'_>,
        out: &mut MergedBatch,
    ) -> Result<()> {
        let Today { plan, recorded, lookups, .. } = self.today;
        let mut batch = BatchRestorer::new(pieces);
        let mut original = Vec::new();
        loop {
            original.clear();
            let next = batch.next(restorer, &mut original);
            if !next.map_err(|why| misfit(&self.journal, why))? {
                break;
            }
            out.events.extend(self.today.compare_with_source(&original)?);
            let base = base_of(plan, &batch);
            let driver = plan.driver_of(|target| base.single[target].is_some());
            let Some((driver, migrated)) =
                driver.and_then(|driver| Some((driver, base.single[driver]?)))
            else {
                // Set aside by the migration, so the application has never seen it.
                out.keep(&original);
                continue;
            };
            let key = plan.key(driver, migrated).map(fingerprint_of).unwrap_or_default();
            let mut event = Event::new(recorded, &original, EventKind::Unchanged);
            let Some(now) = lookups[driver].take(key)?.into_iter().next() else {
                event.kind = EventKind::Deleted;
                // The same event reports the siblings that are left.
                for (number, lookup) in lookups.iter().enumerate() {
                    if number != driver && lookup.mark_all(key) > 0 {
                        event.not_carried_back.push(format!(
                            "{} still has a document of it",
                            recorded.targets[number].namespace
                        ));
                    }
                }
                out.events.push(event);
                continue;
            };
            let found = Found::of(plan, lookups, driver, now)?;
            let current = current_documents(plan, &base, &found, &mut event);
            if current.is_same(&base) {
                if event.missing_in.is_empty() && event.not_carried_back.is_empty() {
                    out.keep(&original);
                    continue;
                }
                out.bytes.extend_from_slice(&original);
            } else {
                let merged = merger.merge(Some(&original), base.sides(), current.sides());
                check_size(&merged, &event)?;
                if merged.has_nothing_to_report()
                    && merged.document == original
                    && event.missing_in.is_empty()
                    && event.not_carried_back.is_empty()
                {
                    out.keep(&original);
                    continue;
                }
                out.bytes.extend_from_slice(&merged.document);
                if merged.document != original {
                    event.kind = EventKind::Drifted;
                }
                event.take(merged);
            }
            out.documents += 1;
            out.events.push(event);
        }
        Ok(())
    }
}

/// What the last source document of a batch was migrated to.
fn base_of<'b>(plan: &Plan, batch: &BatchRestorer<'b>) -> Current<'b> {
    let mut base = Current::none(plan);
    for (number, document) in batch.migrated().enumerate() {
        match plan.is_unwound(number) {
            true => base.unwound[number] = Some(batch.migrated_to(number)),
            false => base.single[number] = document,
        }
    }
    base
}

impl MergedBatch {
    fn keep(&mut self, document: &[u8]) {
        self.bytes.extend_from_slice(document);
        self.documents += 1;
        self.unchanged += 1;
    }
}

impl<'a> Stages for Merging<'a> {
    type Input = Pieces;
    type Output = MergedBatch;
    type Reader = (&'a mut JournalReader<crate::base::stream::Stream>, &'a mut [Documents]);
    type Writer = Write<'a>;

    fn read(&self, (journal, targets): &mut Self::Reader, pieces: &mut Pieces) -> Result<bool> {
        read_pieces(journal, targets, pieces)
    }
    fn size(&self, pieces: &Pieces) -> usize {
        pieces.size()
    }
    fn map(&self, pieces: &Pieces, out: &mut MergedBatch) -> Result<()> {
        crate::batch::prepare(&mut out.bytes, 1);
        (out.documents, out.unchanged) = (0, 0);
        out.events.clear();
        let make = || (Restorer::new(self.today.plan), Merger::new(self.today.plan));
        self.pool.with(make, |(restorer, merger)| self.merge_batch(pieces, restorer, merger, out))
    }
    fn write(&self, writer: &mut Write<'a>, round: &mut [(Pieces, MergedBatch)]) -> Result<()> {
        writer(round)
    }
    fn check(&self) -> Result<()> {
        self.today.progress.check()
    }
}
