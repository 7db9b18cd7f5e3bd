//! Maps batches of source documents, and proves for each document that it can be restored.

use std::collections::BTreeMap;
use std::num::NonZeroU128;

use super::backward::{Backward, Lost};
use super::check::{Refusal, check_document};
use super::forward::Forward;
use super::plan::{INVALID_UTF8, MAX_TARGETS, Plan, Rule};
use super::shape::Record;
use crate::fingerprints::document_digest;
use crate::journal::{Misfit, Notes, Reader, put_number};
use crate::raw::{self, Comparer, Fault, Validator, Value, Writer, kind};

/// The number of `_id`s to keep with a finding.
pub const SAMPLES: usize = 5;

/// A document of a batch that goes to no collection.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its number in the batch, from 0.
    pub index: usize,
    /// Why.
    pub reason: Refusal,
}

/// What was found, by the number of its rule.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    by_rule: BTreeMap<usize, Found>,
}

/// The documents that broke a rule.
#[derive(Debug, Default, Clone)]
pub struct Found {
    /// How many.
    pub documents: u64,
    /// The `_id`s of the first few.
    pub first_ids: Vec<String>,
}

impl Findings {
    fn note(&mut self, rule: usize, document: &[u8]) {
        let found = self.by_rule.entry(rule).or_default();
        found.documents += 1;
        if found.first_ids.len() < SAMPLES {
            found.first_ids.push(raw::display_id(document).unwrap_or_else(|| "none".to_owned()));
        }
    }
    /// Adds the findings of a later batch.
    pub fn append(&mut self, later: &Findings) {
        for (rule, later) in &later.by_rule {
            let found = self.by_rule.entry(*rule).or_default();
            found.documents += later.documents;
            let room = SAMPLES.saturating_sub(found.first_ids.len());
            found.first_ids.extend(later.first_ids.iter().take(room).cloned());
        }
    }
    /// Each rule that was broken, in the order of the rules.
    pub fn iter<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a Rule, &'a Found)> {
        self.by_rule.iter().map(|(rule, found)| (&plan.rules()[*rule], found))
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_rule.is_empty()
    }
}

/// What one batch of source documents becomes.
#[derive(Debug, Default)]
pub struct Mapped {
    /// For each target, its documents, concatenated.
    pub outputs: Vec<Vec<u8>>,
    /// For each target, the number of its documents.
    pub counts: Vec<u64>,
    /// For each target, the sum of its documents' digests, modulo 2^128.
    pub digests: Vec<u128>,
    /// The notes on the batch for the journal.
    pub notes: Notes,
    /// The number of documents that the journal keeps whole.
    pub whole: u64,
    /// What the application would refuse.
    pub findings: Findings,
    /// Documents that a server would refuse, in order. They are in no output; the notes hold them
    /// whole.
    pub refused: Vec<Refused>,
    /// The refused documents, concatenated.
    pub rejected: Vec<u8>,
    /// For each array of [`Plan::arrays`], the number of documents in which it has items: in the
    /// source, and in the target.
    pub arrays: Vec<[u64; 2]>,
    /// The fingerprint for each document and class of unique values (see [`Plan::unique_classes`]).
    pub fingerprints: Vec<Option<NonZeroU128>>,
}

impl Mapped {
    fn clear(&mut self, plan: &Plan) {
        self.outputs.resize_with(plan.targets.len(), Vec::new);
        self.outputs.iter_mut().for_each(crate::batch::recycle);
        self.counts.clear();
        self.counts.resize(plan.targets.len(), 0);
        self.digests.clear();
        self.digests.resize(plan.targets.len(), 0);
        self.notes.clear();
        self.whole = 0;
        self.findings.by_rule.clear();
        self.refused.clear();
        crate::batch::recycle(&mut self.rejected);
        self.fingerprints.clear();
        self.arrays.clear();
        self.arrays.resize(plan.array_rows.len(), [0; 2]);
    }
}

/// Maps batches by a plan. Each thread has its own. What it caches saves time and does not change
/// the result.
#[derive(Debug)]
pub struct Mapper<'p> {
    plan: &'p Plan,
    validator: Validator,
    forward: Forward,
    backward: Backward,
    /// For each rule, the document that broke it last, so that a document counts once.
    last_broken: Vec<u64>,
    document_number: u64,
    /// The rules that the current document breaks, once each. They count only if the document is
    /// not refused.
    broken: Vec<usize>,
}

impl<'p> Mapper<'p> {
    /// A mapper for this plan.
    pub fn new(plan: &'p Plan) -> Self {
        Mapper {
            plan,
            validator: Validator::default(),
            forward: Forward::new(plan),
            backward: Backward::new(plan),
            last_broken: vec![0; plan.rules.len()],
            document_number: 0,
            broken: Vec::new(),
        }
    }

    /// Maps the documents of a batch, in order, into `mapped`. `duplicate` returns a refusal if an
    /// earlier document has the same unique value as the document with this number in the batch.
    ///
    /// Fails at the first malformed document, with its number in the batch.
    pub fn map<'d>(
        &mut self,
        documents: impl Iterator<Item = &'d [u8]>,
        duplicate: impl Fn(usize) -> Option<Refusal>,
        mapped: &mut Mapped,
    ) -> Result<(), (usize, Fault)> {
        mapped.clear(self.plan);
        for (index, document) in documents.enumerate() {
            self.map_one(index, document, &duplicate, mapped).map_err(|fault| (index, fault))?;
        }
        Ok(())
    }

    fn map_one(
        &mut self,
        index: usize,
        document: &[u8],
        duplicate: &impl Fn(usize) -> Option<Refusal>,
        mapped: &mut Mapped,
    ) -> Result<(), Fault> {
        let plan = self.plan;
        let facts = self.validator.check(document)?;
        self.document_number += 1;
        let (last_broken, number) = (&mut self.last_broken, self.document_number);
        let broken_rules = &mut self.broken;
        broken_rules.clear();
        let mut broken = |rule: usize| {
            if last_broken[rule] != number {
                last_broken[rule] = number;
                broken_rules.push(rule);
            }
        };
        let starts: [usize; MAX_TARGETS] =
            std::array::from_fn(|target| mapped.outputs.get(target).map_or(0, Vec::len));
        let written = self.forward.map(plan, document, &mut mapped.outputs);
        if facts.invalid_utf8.is_some() {
            broken(INVALID_UTF8);
        }
        let first_fingerprint = mapped.fingerprints.len();
        mapped.fingerprints.resize(first_fingerprint + plan.unique_classes, None);
        let fingerprints = &mut mapped.fingerprints[first_fingerprint..];
        let mut documents = [None; MAX_TARGETS];
        for target in 0..plan.targets.len() {
            if written & 1 << target != 0 {
                documents[target] = Some(&mapped.outputs[target][starts[target]..]);
            }
        }
        let documents = &documents[..plan.targets.len()];
        self.backward.locate(plan, documents);
        let mut refusal = None;
        for (target, document) in documents.iter().enumerate() {
            if let Some(document) = document {
                let record = self.backward.target(target, document);
                let refused = check_document(
                    plan,
                    target,
                    record,
                    facts.depth,
                    &mut broken,
                    |class, fingerprint| {
                        fingerprints[class].get_or_insert(
                            NonZeroU128::new(fingerprint).unwrap_or(NonZeroU128::MIN),
                        );
                    },
                );
                refusal = refusal.or(refused);
            }
        }
        for rule in self.forward.broken() {
            broken(*rule);
        }
        if let Some(reason) = refusal.or_else(|| duplicate(index)) {
            fingerprints.fill(None);
            for (output, start) in mapped.outputs.iter_mut().zip(starts) {
                output.truncate(start);
            }
            mapped.rejected.put(document);
            mapped.refused.push(Refused { index, reason });
            mapped.notes.set_aside(document);
            return Ok(());
        }
        for (target, document) in documents.iter().enumerate() {
            if let Some(document) = document {
                mapped.counts[target] += 1;
                mapped.digests[target] =
                    mapped.digests[target].wrapping_add(document_digest(document));
            }
        }
        let source = Record {
            bytes: document,
            spans: self.forward.spans(),
            first: &self.forward.shape().first,
        };
        for ((name, target, row), counts) in plan.array_rows.iter().zip(&mut mapped.arrays) {
            let has_items =
                |value: Value<'_>| u64::from(value.kind == kind::ARRAY && !value.is_empty_array());
            counts[0] += source.get(*name).map_or(0, has_items);
            let target = documents[*target].map(|document| self.backward.target(*target, document));
            counts[1] += target.and_then(|target| target.get(*row)).map_or(0, has_items);
        }
        let caches = (&self.forward, &mut self.backward);
        if !note_and_prove(
            plan,
            caches,
            document,
            documents,
            written,
            &mut mapped.notes,
            &mut broken,
        ) {
            mapped.whole += 1;
            mapped.notes.keep_whole(document, written);
        }
        for rule in &self.broken {
            mapped.findings.note(*rule, document);
        }
        Ok(())
    }
}

/// Notes how to restore a document, and proves the notes by restoring it. False, with nothing
/// noted, if the notes would be larger than the document or the proof fails.
fn note_and_prove(
    plan: &Plan,
    (forward, backward): (&Forward, &mut Backward),
    document: &[u8],
    documents: &[Option<&[u8]>],
    written: u32,
    notes: &mut Notes,
    broken: &mut impl FnMut(usize),
) -> bool {
    if written == 0 {
        // A head of 0 means a document that was set aside, so this one has to be kept whole.
        return false;
    }
    let mark = notes.mark();
    put_number(&mut notes.program, u64::from(written) << 1);
    let shape = forward.shape();
    let record = Record { bytes: document, spans: forward.spans(), first: &shape.first };
    backward.describe(plan, record, shape, documents, notes, |lost| match lost {
        Lost::JournalOnly(name) => broken(plan.sources[name].journal_only_rule),
        Lost::Duplicate(name) => broken(plan.sources[name].duplicate_rule),
    });
    if notes.since(&mark) <= document.len() && notes.fit() {
        let mut reader = notes.reader(&mark);
        let mut comparer = Comparer::new(document);
        let restored = reader
            .number()
            .and_then(|_| backward.restore(plan, documents, &mut reader, &mut comparer));
        if restored.is_ok() && comparer.is_equal() && reader.is_at_end() {
            return true;
        }
    }
    notes.back_to(&mark);
    false
}

impl Notes {
    /// Notes a document that is in no collection.
    fn set_aside(&mut self, document: &[u8]) {
        put_number(&mut self.program, 0);
        self.value(Value { kind: kind::DOCUMENT, bytes: document });
    }
    /// Notes a document that cannot be restored from the targets' documents.
    fn keep_whole(&mut self, document: &[u8], written: u32) {
        put_number(&mut self.program, u64::from(written) << 1 | 1);
        self.value(Value { kind: kind::DOCUMENT, bytes: document });
    }
}

/// Restores source documents from the targets' documents and the journal's notes.
#[derive(Debug)]
pub struct Restorer<'p> {
    plan: &'p Plan,
    backward: Backward,
}

impl<'p> Restorer<'p> {
    /// A restorer for this plan.
    pub fn new(plan: &'p Plan) -> Self {
        Restorer { plan, backward: Backward::new(plan) }
    }

    /// Appends the next source document to `out`. `next` returns the next document of a target.
    pub fn restore<'d>(
        &mut self,
        reader: &mut Reader<'_>,
        mut next: impl FnMut(usize) -> Option<&'d [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let head = reader.number()?;
        let written = u32::try_from(head >> 1)
            .map_err(|_| Misfit("the journal names targets that do not exist"))?;
        if u64::from(written) >> self.plan.targets.len() != 0 {
            return Err(Misfit("the journal names targets that do not exist"));
        }
        let mut documents = [None; MAX_TARGETS];
        for (target, document) in documents.iter_mut().enumerate() {
            if written & 1 << target != 0 {
                *document = Some(next(target).ok_or(Misfit(
                    "a collection has fewer documents than the journal describes",
                ))?);
            }
        }
        if head & 1 == 1 || head == 0 {
            out.put(reader.document()?);
            return Ok(());
        }
        let documents = &documents[..self.plan.targets.len()];
        self.backward.locate(self.plan, documents);
        self.backward.restore(self.plan, documents, reader, out)
    }
}
