//! A three-way merge: from a source document (the original), what it was mapped to (the base) and
//! what the application has made of that since (the current documents) to an up-to-date source
//! document. What has not changed comes from the original; what has changed goes through the
//! mapping's inverse.
//!
//! [`record`] merges a document of any level: the source's, an item of an array, an embedded document
//! with a shape, or the item that an unwound document was made of.

mod align;
mod cells;
mod changes;
mod compare;
mod items;
mod lost;
mod patch;
mod pools;
mod record;
mod sides;
mod unwound;

use serde::Serialize;

use super::evaluate::Caches;
use super::forward::Forward;
use super::plan::{Plan, SOURCE};
use compare::has_same_id;
use record::Job;
use sides::{LocatedSource, Side};

/// A merged source document, and how it differs from the original.
#[derive(Debug, Default)]
pub struct Merged {
    /// The document.
    pub document: Vec<u8>,
    /// Source fields that have changed, and the target's field that each new value is from.
    pub changed: Vec<Change>,
    /// Changed copies of one source field that disagree.
    pub conflicts: Vec<Conflict>,
    /// Fields of the targets whose changes no source field can hold.
    pub not_carried_back: Vec<String>,
}

impl Merged {
    /// Whether there is nothing to report.
    pub fn has_nothing_to_report(&self) -> bool {
        self.changed.is_empty() && self.conflicts.is_empty() && self.not_carried_back.is_empty()
    }
}

/// A source field with a new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The source's field.
    pub field: String,
    /// The target's field that the value is from, with its collection.
    pub from: String,
}

/// Copies of one source field that have changed and disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The source's field.
    pub field: String,
    /// The target's field that wins.
    pub winner: String,
    /// The fields that lose.
    pub losers: Vec<String>,
}

/// The targets' documents of one source document.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'d, 'a> {
    /// The document of each target that unwinds nothing.
    pub single: &'d [Option<&'a [u8]>],
    /// The documents of each target that unwinds a field. None: they count as unchanged.
    pub unwound: &'d [Option<Vec<&'a [u8]>>],
}

impl<'d, 'a> Sides<'d, 'a> {
    fn unwound(&self, target: usize) -> Option<&'d [&'a [u8]]> {
        self.unwound.get(target)?.as_deref()
    }
    fn has_any(&self, target: usize) -> bool {
        self.single[target].is_some() || self.unwound(target).is_some_and(|all| !all.is_empty())
    }
}

/// Merges documents by a plan.
#[derive(Debug)]
pub struct Merger<'p> {
    plan: &'p Plan,
    forward: Forward,
    caches: Caches,
    source: LocatedSource,
}

impl<'p> Merger<'p> {
    /// A merger for this plan.
    pub fn new(plan: &'p Plan) -> Self {
        Merger {
            plan,
            forward: Forward::new(plan),
            caches: Caches::new(plan),
            source: LocatedSource::default(),
        }
    }

    /// Merges one document. Without an original there is no base: the document was created since. A
    /// target that has no document in `current` counts as unchanged, unless it unwinds a field.
    pub fn merge(
        &mut self,
        original: Option<&[u8]>,
        base: Sides<'_, '_>,
        current: Sides<'_, '_>,
    ) -> Merged {
        let plan = self.plan;
        self.source.forget();
        let all = 0..plan.targets.len();
        let written_base = original.map_or(0, |original| self.map(original).1.written);
        let written = all
            .clone()
            .filter(|target| base.has_any(*target) || current.has_any(*target))
            .fold(written_base, |written, target| written | 1 << target);
        let documents = if original.is_some() { base } else { current };
        let driver = plan.driver_of(|target| documents.single[target].is_some());
        let side = |target: usize| {
            let (base, now) = (base.single[target], current.single[target]);
            base.or(now).filter(|_| !plan.is_unwound(target))?;
            let label = plan.targets[target].collection.clone();
            let mut side = Side::new(plan, target, (base, now), original, label);
            side.is_new = original.is_some()
                && Some(target) != driver
                && now.is_some_and(|now| !has_same_id(base, now));
            Some(side)
        };
        let sides: Vec<Option<Side<'_>>> = all.clone().map(side).collect();
        let mut groups = Vec::new();
        for target in all.filter(|target| plan.is_unwound(*target)) {
            if let Some(now) = current.unwound(target) {
                let base = base.unwound(target).unwrap_or_default();
                groups.extend(self.merge_group(target, original, (base, now)));
            }
        }
        let job = Job {
            level: SOURCE,
            sides: &sides,
            original,
            written_base,
            written,
            driver,
            field: String::new(),
            source: original.unwrap_or(EMPTY),
            groups: &groups,
        };
        let (document, log) = self.merge_record(&job);
        let not_carried_back = self.not_carried_back(&document, base, current, &groups, &log);
        Merged { document, changed: log.changed, conflicts: log.conflicts, not_carried_back }
    }
}

/// A document without fields.
const EMPTY: &[u8] = &[5, 0, 0, 0, 0];
