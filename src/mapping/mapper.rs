//! Maps batches of source documents, and proves for each document that it can be restored.

use std::num::NonZeroU128;

use super::backward::{Backward, Documents, Lost};
use super::check::{Refusal, check_table};
use super::evaluate::{descend, follow};
use super::findings::{Findings, SAMPLES};
use super::forward::{Forward, Targets};
use super::language::Unmatched;
use super::plan::{INVALID_UTF8, LEFT_OUT, MAX_TARGETS, Plan, UNMATCHED, fingerprint};
use crate::fingerprints::document_digest;
use crate::journal::{Misfit, Notes, Reader, put_number};
use crate::raw::{Comparer, Fault, Validator, Value, Writer, kind};

/// A document of a batch that goes to no collection.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its number in the batch, from 0.
    pub index: usize,
    /// Why.
    pub reason: Refusal,
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
    /// For each name that the mapping knows of the source's fields, whether a document had it: one of
    /// this batch, or of those that the same thread mapped before.
    pub seen: Vec<bool>,
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
    /// Those of unwound documents and of kept indexes, of which a source document has many: its
    /// index, the class and the value.
    pub unwound_fingerprints: Vec<(usize, usize, NonZeroU128)>,
}

impl Mapped {
    fn clear(&mut self, plan: &Plan) {
        let targets = plan.targets.len();
        self.outputs.resize_with(targets, Vec::new);
        self.outputs.iter_mut().for_each(|output| crate::batch::prepare(output, targets));
        self.counts.clear();
        self.counts.resize(plan.targets.len(), 0);
        self.digests.clear();
        self.digests.resize(plan.targets.len(), 0);
        self.notes.clear();
        self.whole = 0;
        self.findings.clear();
        self.refused.clear();
        crate::batch::recycle(&mut self.rejected);
        self.fingerprints.clear();
        self.unwound_fingerprints.clear();
        self.arrays.clear();
        self.arrays.resize(plan.array_rows.len(), [0; 2]);
    }
}

/// A unique index of the source that a target with its name keeps.
#[derive(Debug, Clone)]
pub struct KeptIndex {
    /// The number of the target.
    pub target: usize,
    /// The index's name.
    pub name: String,
    /// The names of each of its paths.
    pub paths: Vec<Vec<Box<[u8]>>>,
    /// Documents without any of its fields are not in it.
    pub is_sparse: bool,
}

impl KeptIndex {
    /// The fingerprint of a document's value in it, if the document is in it.
    fn fingerprint(&self, document: &[u8]) -> Option<NonZeroU128> {
        let document = Value { kind: kind::DOCUMENT, bytes: document };
        let values: Vec<Option<Value<'_>>> =
            self.paths.iter().map(|path| descend(document, path)).collect();
        let is_out = self.is_sparse && values.iter().all(Option::is_none);
        let values = values.into_iter().map(|value| value.unwrap_or(Value::NULL));
        (!is_out).then(|| fingerprint(values))
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
        self.map_keeping(documents, &[], duplicate, mapped)
    }

    /// Like [`Mapper::map`]; the values of `kept` indexes get the classes behind those of the plan.
    pub fn map_keeping<'d>(
        &mut self,
        documents: impl Iterator<Item = &'d [u8]>,
        kept: &[KeptIndex],
        duplicate: impl Fn(usize) -> Option<Refusal>,
        mapped: &mut Mapped,
    ) -> Result<(), (usize, Fault)> {
        mapped.clear(self.plan);
        for (index, document) in documents.enumerate() {
            let result = self.map_one(index, document, kept, &duplicate, mapped);
            if document.len() > LARGE {
                self.forward.shed();
                self.backward.shed();
            }
            result.map_err(|fault| (index, fault))?;
        }
        mapped.seen.clear();
        mapped.seen.extend_from_slice(self.forward.seen());
        Ok(())
    }

    fn map_one(
        &mut self,
        index: usize,
        document: &[u8],
        kept: &[KeptIndex],
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
        let targets = self.forward.map(plan, document, &mut mapped.outputs);
        if facts.invalid_utf8.is_some() {
            broken(INVALID_UTF8);
        }
        let first_fingerprint = mapped.fingerprints.len();
        mapped.fingerprints.resize(first_fingerprint + plan.unique_classes, None);
        let first_unwound = mapped.unwound_fingerprints.len();
        let mut documents = [None; MAX_TARGETS];
        let mut unwound: Vec<Vec<&[u8]>> = Vec::new();
        for target in 0..plan.targets.len() {
            let output = &mapped.outputs[target][starts[target]..];
            if plan.is_unwound(target) {
                unwound.resize_with(plan.targets.len(), Vec::new);
                let mut from = starts[target];
                for end in self.forward.ends(target) {
                    unwound[target].push(&mapped.outputs[target][from..*end]);
                    from = *end;
                }
            } else if targets.written & 1 << target != 0 {
                documents[target] = Some(output);
            }
        }
        let documents = Documents {
            written: targets.written,
            single: &documents[..plan.targets.len()],
            unwound: &unwound,
        };
        self.backward.locate(plan, documents.single);
        let mut refusal = too_much(&targets, document.len());
        if targets.taken == 0 && plan.unmatched == Unmatched::Fail {
            refusal = refusal.or(Some(Refusal::Unmatched));
        }
        for target in 0..plan.targets.len() {
            let fingerprints = &mut mapped.fingerprints[first_fingerprint..];
            if let Some(document) = documents.single[target] {
                let record = self.backward.target(target, document);
                check_table(&plan.tables[target], record, &mut broken);
                for unique in &plan.targets[target].unique {
                    fingerprints[unique.class]
                        .get_or_insert_with(|| unique.fingerprint(|path| follow(record, path)));
                }
                refusal =
                    refusal.or_else(|| super::check::refusal(plan, target, record, facts.depth));
            }
            for document in documents.unwound.get(target).into_iter().flatten() {
                let record = self.backward.locate_one(plan, target, document);
                check_table(&plan.tables[target], record, &mut broken);
                for unique in &plan.targets[target].unique {
                    let fingerprint = unique.fingerprint(|path| follow(record, path));
                    mapped.unwound_fingerprints.push((index, unique.class, fingerprint));
                }
                refusal =
                    refusal.or_else(|| super::check::refusal(plan, target, record, facts.depth));
            }
        }
        for (number, index_kept) in kept.iter().enumerate() {
            let single = documents.single[index_kept.target].into_iter();
            let unwound = documents.unwound.get(index_kept.target).into_iter().flatten().copied();
            for fingerprint in
                single.chain(unwound).filter_map(|document| index_kept.fingerprint(document))
            {
                let class = plan.unique_classes + number;
                mapped.unwound_fingerprints.push((index, class, fingerprint));
            }
        }
        for rule in self.forward.broken() {
            broken(*rule);
        }
        if let Some(reason) = refusal.or_else(|| duplicate(index)) {
            mapped.fingerprints[first_fingerprint..].fill(None);
            mapped.unwound_fingerprints.truncate(first_unwound);
            for (output, start) in mapped.outputs.iter_mut().zip(starts) {
                output.truncate(start);
            }
            mapped.rejected.put(document);
            mapped.refused.push(Refused { index, reason });
            mapped.notes.set_aside(document);
            return Ok(());
        }
        for target in 0..plan.targets.len() {
            let single = documents.single[target].into_iter();
            let unwound = documents.unwound.get(target).into_iter().flatten().copied();
            for document in single.chain(unwound) {
                mapped.counts[target] += 1;
                mapped.digests[target] =
                    mapped.digests[target].wrapping_add(document_digest(document));
            }
        }
        let source = self.forward.record(document);
        for ((name, target, row), counts) in plan.array_rows.iter().zip(&mut mapped.arrays) {
            let has_items =
                |value: Value<'_>| u64::from(value.kind == kind::ARRAY && !value.is_empty_array());
            // Where the target has no document of the source, the array is not of this row.
            let Some(document) = documents.single[*target] else { continue };
            counts[0] += source.get(*name).map_or(0, has_items);
            let target = self.backward.target(*target, document);
            counts[1] += target.get(*row).map_or(0, has_items);
        }
        let mut left_out = Vec::new();
        if targets.taken == 0 {
            broken(UNMATCHED);
        }
        let caches = (&mut self.forward, &mut self.backward);
        let findings = (&mut broken, &mut left_out);
        if !note_and_prove(plan, caches, document, documents, &mut mapped.notes, findings) {
            mapped.whole += 1;
            mapped.notes.keep_whole(document, documents);
        }
        mapped.findings.note(&self.broken, document);
        mapped.findings.name(left_out);
        Ok(())
    }
}

/// Refuses a document if unwinding makes more of it than memory is planned for.
fn too_much(targets: &Targets, size: usize) -> Option<Refusal> {
    let limit = 4 * size + UNWOUND_ALLOWANCE;
    let bytes = targets.unwound_bytes;
    (bytes > limit).then_some(Refusal::TooMuch { bytes, of: size, limit })
}

/// What a larger document has needed is freed once it is mapped.
const LARGE: usize = 256 * 1024;

/// What the unwound documents of a source document may have besides four times its bytes.
const UNWOUND_ALLOWANCE: usize = 64 * 1024;

/// Notes how to restore a document, and proves the notes by restoring it. False, with nothing
/// noted, if the notes would be larger than the document or the proof fails.
fn note_and_prove(
    plan: &Plan,
    (forward, backward): (&mut Forward, &mut Backward),
    document: &[u8],
    documents: Documents<'_, '_>,
    notes: &mut Notes,
    (broken, left_out): (&mut impl FnMut(usize), &mut Vec<Vec<u8>>),
) -> bool {
    let is_taken = documents.single.iter().any(Option::is_some)
        || documents.unwound.iter().any(|unwound| !unwound.is_empty());
    let mark = notes.mark();
    notes.begin(document.len());
    notes.put_head(documents, false);
    backward.describe(plan, forward.record(document), forward.shape(), documents, notes, |lost| {
        match lost {
            Lost::Rule(rule) => broken(rule),
            // That no target takes the document says it of all its fields.
            Lost::LeftOut(_) if !is_taken => {}
            Lost::LeftOut(name) => {
                broken(LEFT_OUT);
                if left_out.len() < SAMPLES && !name.is_empty() {
                    left_out.push(name.to_vec());
                }
            }
        }
    });
    if document.len() > LARGE {
        // The proof needs the targets' documents alone.
        forward.shed();
    }
    // A head of 0 means a document that was set aside, so one that is in no target is kept whole.
    if documents.written != 0 && notes.since(&mark) <= document.len() && notes.fit() {
        let mut reader = notes.reader(&mark);
        let mut comparer = Comparer::new(document);
        let restored = Head::read(plan, &mut reader)
            .and_then(|_| backward.restore(plan, documents, &mut reader, &mut comparer));
        if restored.is_ok() && comparer.is_equal() && reader.is_at_end() {
            notes.end();
            return true;
        }
    }
    notes.back_to(&mark);
    notes.end();
    false
}

/// What a source document's notes begin with.
struct Head {
    /// The targets whose rules apply to it.
    written: u32,
    /// For each target that unwinds a field and applies, the number of its documents.
    unwound: Vec<u64>,
    is_whole: bool,
}

impl Head {
    fn read(plan: &Plan, reader: &mut Reader<'_>) -> Result<Head, Misfit> {
        let head = reader.number()?;
        let written = u32::try_from(head >> 1)
            .ok()
            .filter(|written| u64::from(*written) >> plan.targets.len() == 0)
            .ok_or(Misfit("the journal names targets that do not exist"))?;
        let mut unwound = Vec::new();
        for target in 0..plan.targets.len() {
            if written & 1 << target != 0 && plan.is_unwound(target) {
                unwound.resize(plan.targets.len(), 0);
                unwound[target] = reader.number()?;
            }
        }
        Ok(Head { written, unwound, is_whole: head & 1 == 1 || head == 0 })
    }
}

impl Notes {
    /// Notes a document that is in no collection.
    fn set_aside(&mut self, document: &[u8]) {
        put_number(&mut self.program, 0);
        self.value(Value { kind: kind::DOCUMENT, bytes: document });
    }
    /// Notes a document that cannot be restored from the targets' documents.
    fn keep_whole(&mut self, document: &[u8], documents: Documents<'_, '_>) {
        self.put_head(documents, true);
        self.value(Value { kind: kind::DOCUMENT, bytes: document });
    }
    /// Notes which documents the targets have; see [`Head`].
    fn put_head(&mut self, documents: Documents<'_, '_>, is_whole: bool) {
        put_number(&mut self.program, u64::from(documents.written) << 1 | u64::from(is_whole));
        for (target, unwound) in documents.unwound.iter().enumerate() {
            if documents.written & 1 << target != 0 && documents.single[target].is_none() {
                put_number(&mut self.program, unwound.len() as u64);
            }
        }
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
        let plan = self.plan;
        let head = Head::read(plan, reader)?;
        let too_few = Misfit("a collection has fewer documents than the journal describes");
        let mut documents = [None; MAX_TARGETS];
        let mut unwound: Vec<Vec<&[u8]>> = vec![Vec::new(); head.unwound.len()];
        for (target, document) in documents.iter_mut().enumerate().take(plan.targets.len()) {
            if head.written & 1 << target == 0 {
                continue;
            }
            match plan.is_unwound(target) {
                false => *document = Some(next(target).ok_or(too_few)?),
                true => {
                    for _ in 0..head.unwound[target] {
                        unwound[target].push(next(target).ok_or(too_few)?);
                    }
                }
            }
        }
        if head.is_whole {
            out.put(reader.document()?);
            return Ok(());
        }
        let documents = Documents {
            written: head.written,
            single: &documents[..plan.targets.len()],
            unwound: &unwound,
        };
        self.backward.locate(plan, documents.single);
        let from = out.len();
        let result = self.backward.restore(self.plan, documents, reader, out);
        if out.len() - from > LARGE {
            self.backward.shed();
        }
        result
    }
}
