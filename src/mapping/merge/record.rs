//! Merges a document of a level, from what its views' documents were and are.

use super::cells::{Feed, cells, feeding, is_any_document, node_of, null_if_missing};
use super::changes::{Carried, Log};
use super::compare::{document, same};
use super::patch::{Applying, Edit, NewValue, Patch};
use super::pools::levels_from;
use super::sides::{Located, Side, text, value_at};
use super::unwound::Group;
use super::{Conflict, Merger};
use crate::mapping::evaluate::{Evaluator, Position, Scope, descend};
use crate::mapping::forward::Targets;
use crate::mapping::plan::{Change, Inverse, Place, Plan, SOURCE};
use crate::mapping::views::{Guess, unchanged};
use crate::raw::{Elements, Value, Writer, kind};

/// A document to merge.
pub(super) struct Job<'s> {
    pub level: usize,
    /// The documents of each view of the level.
    pub sides: &'s [Option<Side<'s>>],
    pub original: Option<&'s [u8]>,
    /// The views that were written for the original.
    pub written_base: u32,
    /// Those, and the ones that have documents now.
    pub written: u32,
    /// The target that determines which source documents exist.
    pub driver: Option<usize>,
    /// The document's path for reports, with a dot at its end.
    pub field: String,
    /// The source document.
    pub source: &'s [u8],
    /// The fields that were unwound.
    pub groups: &'s [Group<'s>],
}

/// A changed field of a view, and the field of the level that it goes back to.
struct Candidate<'c> {
    view: usize,
    /// Its number among the view's fields.
    number: usize,
    place: Place,
    label: String,
    feed: Feed<'c>,
    base: Option<Value<'c>>,
    now: Option<Value<'c>>,
}

impl Candidate<'_> {
    fn date(&self) -> Option<i64> {
        self.now.and_then(|value| value.date_millis())
    }
    /// Whether a document that was created since has no value for it.
    fn is_unset(&self, job: &Job<'_>) -> bool {
        job.original.is_none() && self.now.is_none_or(|value| value.is_null())
    }
}

impl Merger<'_> {
    /// Merges a document.
    pub(super) fn merge_record(&mut self, job: &Job<'_>) -> (Vec<u8>, Log) {
        let plan = self.plan;
        let located = job.original.map(|original| Located::new(plan, job.level, original));
        let mut candidates = candidates(plan, job, located.as_ref());
        let others = job.others(plan);
        // If a field was passed through and has changed there, a new document in another target
        // does not set it.
        candidates.retain(|candidate| {
            let has_base =
                job.sides[candidate.view].as_ref().is_some_and(|side| side.base.is_some());
            has_base || !others.has_other(&candidate.feed.names[0])
        });
        let mut order: Vec<Vec<Vec<u8>>> = Vec::new();
        for candidate in &candidates {
            if !order.contains(&candidate.feed.names) {
                order.push(candidate.feed.names.clone());
            }
        }
        if candidates.iter().any(|candidate| candidate.feed.is_dependent) {
            // A part of a field, or a row with a condition, counts as changed only if the other
            // changes do not produce its value anyway.
            let mut dependent: Vec<Candidate<'_>> =
                candidates.extract_if(.., |candidate| candidate.feed.is_dependent).collect();
            let document =
                self.build(job, &order, &candidates, job.others(plan), &mut Log::default());
            let views = self.reproduce(job, &document);
            dependent.retain(|part| {
                let (view, table) = match job.level {
                    SOURCE => (views.get(part.view), part.view),
                    _ => {
                        (views.first(), job.sides[part.view].as_ref().map_or(0, |side| side.table))
                    }
                };
                let value = view.and_then(|view| value_at(plan, table, &part.place, view));
                !same(value, part.now)
            });
            candidates.append(&mut dependent);
        }
        candidates.sort_by_key(|candidate| (candidate.view, candidate.number));
        let mut log = Log::default();
        let document = self.build(job, &order, &candidates, others, &mut log);
        (document, log)
    }

    /// Builds the document with the changes of the candidates, in this order.
    fn build(
        &mut self,
        job: &Job<'_>,
        order: &[Vec<Vec<u8>>],
        candidates: &[Candidate<'_>],
        others: Patch,
        log: &mut Log,
    ) -> Vec<u8> {
        let plan = self.plan;
        let mut patch = Patch::default();
        for names in order {
            let of_field: Vec<&Candidate<'_>> =
                candidates.iter().filter(|candidate| candidate.feed.names == *names).collect();
            if !of_field.is_empty()
                && let Some(field) = patch.at(names)
            {
                field.whole = Some(self.edit(job, names, &of_field, log));
            }
        }
        patch.append(others);
        for group in job.groups {
            group.add_to(plan, &mut patch);
        }
        if job.original.is_none() {
            add_known(plan, job, &mut patch);
        }
        let mut applying = Applying { plan, written: job.written_base, log };
        applying.document(Some(job.level), job.original, patch, false, &job.field)
    }

    /// The new value of one field, from the changed fields of the views.
    fn edit(
        &mut self,
        job: &Job<'_>,
        names: &[Vec<u8>],
        candidates: &[&Candidate<'_>],
        log: &mut Log,
    ) -> Edit {
        let plan = self.plan;
        let node = node_of(plan, job.level, names);
        let is_newest = node.is_some_and(|(level, node)| plan.levels[level].nodes[node].newest);
        let first = candidates[0];
        let newest = candidates
            .iter()
            .filter(|candidate| is_newest && candidate.date().is_some())
            // Of equal dates the first wins; `max_by` would return the last.
            .max_by(|a, b| a.date().cmp(&b.date()).then(std::cmp::Ordering::Greater));
        let set = candidates.iter().find(|candidate| !candidate.is_unset(job)).unwrap_or(&first);
        let winner = newest.unwrap_or(set);
        let losers: Vec<String> = candidates
            .iter()
            .filter(|other| !same(other.now, winner.now) && !other.is_unset(job))
            .map(|loser| loser.label.clone())
            .collect();
        let field = names.iter().map(|name| text(name)).collect::<Vec<_>>().join(".");
        let field = format!("{}{field}", job.field);
        if !losers.is_empty() {
            log.superseded.extend(losers.iter().cloned());
            let winner = winner.label.clone();
            log.conflicts.push(Conflict { field: field.clone(), winner, losers });
        }
        let was = job.original.and_then(|original| at_names(original, names));
        let (value, carried) = self.inverse(job, winner, was, &field, log);
        Edit { value, from: Some(winner.label.clone()), carried }
    }

    /// The value that goes back, and what of the view's field it holds.
    fn inverse(
        &mut self,
        job: &Job<'_>,
        winner: &Candidate<'_>,
        was: Option<Value<'_>>,
        field: &str,
        log: &mut Log,
    ) -> (NewValue, Vec<Carried>) {
        let whole = || vec![Carried::whole(winner.label.clone())];
        let Some(now) = winner.now else { return (None, whole()) };
        let as_it_stands = || (Some((now.kind, now.bytes.to_vec())), whole());
        match &winner.feed.inverse {
            Inverse::Change(change) => {
                let side = job.sides[winner.view].as_ref();
                let kept = side.filter(|side| {
                    let keeping = self.plan.tables[side.table].keeping.as_ref();
                    keeping.is_some_and(|keeping| keeping.row == winner.place.row)
                        && winner.place.inner.is_empty()
                });
                let kept = kept.and_then(|side| side.kept);
                (changed_back(change, now, kept, was, winner.base), whole())
            }
            Inverse::Each(inner) if now.kind == kind::ARRAY => {
                let arrays = (was, winner.base, now);
                let bytes = self.merge_items(inner, arrays, job.source);
                let carried = Carried::by(winner.label.clone(), winner.feed.inverse.clone());
                (Some((kind::ARRAY, bytes)), vec![carried])
            }
            Inverse::Shape(table) if now.kind == kind::DOCUMENT => {
                let (was, base) = match (document(was), document(winner.base)) {
                    (Some(was), Some(base)) => (Some(was), Some(base)),
                    _ => (None, None),
                };
                let documents = (was, base, now);
                let labels = (winner.label.clone(), format!("{field}."));
                let (bytes, mut inner) = self.merge_shaped(*table, documents, labels, job.source);
                if was.is_none() {
                    let inverse = winner.feed.inverse.clone();
                    inner.carried = vec![Carried::by(winner.label.clone(), inverse)];
                }
                let carried = std::mem::take(&mut inner.carried);
                log.absorb(inner);
                (Some((kind::DOCUMENT, bytes)), carried)
            }
            Inverse::Same | Inverse::Each(_) | Inverse::Shape(_) | Inverse::Unwound(_) => {
                as_it_stands()
            }
        }
    }

    /// Merges a document that a table maps.
    pub(super) fn merge_shaped(
        &mut self,
        table: usize,
        (was, base, now): (Option<Value<'_>>, Option<Value<'_>>, Value<'_>),
        (label, field): (String, String),
        source: &[u8],
    ) -> (Vec<u8>, Log) {
        let plan = self.plan;
        if was.is_none() && super::cells::is_identity(plan, table) {
            return (now.bytes.to_vec(), Log::default());
        }
        let original = was.map(|was| was.bytes);
        let documents = (base.map(|base| base.bytes), Some(now.bytes));
        let side = [Some(Side::new(plan, table, documents, original, label))];
        self.merge_record(&Job {
            level: plan.tables[table].level,
            sides: &side,
            original,
            written_base: 1,
            written: 1,
            driver: Some(0),
            field,
            source,
            groups: &[],
        })
    }

    /// The views' documents of a document, mapped forward.
    fn reproduce(&mut self, job: &Job<'_>, document: &[u8]) -> Vec<Vec<u8>> {
        if job.level == SOURCE {
            return self.map(document).0;
        }
        let table = job.sides.iter().flatten().next().map(|side| side.table);
        table.map(|table| vec![self.item(table, document, job.source)]).unwrap_or_default()
    }

    /// The document that a table makes of an item.
    fn item(&mut self, table: usize, document: &[u8], source: &[u8]) -> Vec<u8> {
        let plan = self.plan;
        let table = &plan.tables[table];
        let located = Located::new(plan, table.level, document);
        self.source.locate(plan, source);
        let scope = Scope {
            level: table.level,
            record: located.record(),
            roles: located.roles(),
            written: 1,
            source: self.source.record(source),
            position: Position::None,
        };
        let in_order = plan.levels[table.level].in_order.map(|_| located.placement());
        let mut out = Vec::new();
        let open = out.open();
        let caches = &mut self.caches;
        Evaluator { plan, caches }.table(table, &scope, in_order, &mut out);
        out.close(open);
        self.caches.broken.clear();
        out
    }

    /// A source document, mapped forward.
    pub(super) fn map(&mut self, document: &[u8]) -> (Vec<Vec<u8>>, Targets) {
        let mut outputs = vec![Vec::new(); self.plan.targets.len()];
        let targets = self.forward.map(self.plan, document, &mut outputs);
        (outputs, targets)
    }
}

/// The changed fields of the views that go back to fields of the level.
fn candidates<'c>(
    plan: &'c Plan,
    job: &'c Job<'c>,
    located: Option<&Located<'_>>,
) -> Vec<Candidate<'c>> {
    let mut found = Vec::new();
    for (view, side) in job.sides.iter().enumerate() {
        let Some(side) = side.as_ref().filter(|side| side.now.is_some()) else { continue };
        for (number, cell) in cells(&plan.tables[side.table].rows).into_iter().enumerate() {
            let (base, mut now) = side.at(plan, &cell.place);
            let is_of_shape = side.table >= plan.targets.len();
            if job.original.is_none() && is_of_shape && now.is_none() {
                now = null_if_missing(cell.row);
            }
            if side.base.is_some() && same(base, now) {
                continue;
            }
            if job.level == SOURCE && Some(view) != job.driver && cell.row.name() == b"_id" {
                continue;
            }
            let Some(feed) = feeding(plan, job, view, &cell, located) else { continue };
            if feed.is_by_field() && is_any_document(base, now) {
                continue;
            }
            if side.is_new {
                let is_null = now.is_none_or(|value| value.is_null());
                if is_of_driver(plan, job, &feed) || side.base.is_none() && is_null {
                    continue;
                }
            }
            let label = side.label_of(plan, &cell.place);
            found.push(Candidate { view, number, place: cell.place, label, feed, base, now });
        }
    }
    found
}

/// Whether the driving target's document covers a source field: by a row, or by a field that was
/// passed through.
///
/// If a document of another target was recreated, that is not a change of such a field.
fn is_of_driver(plan: &Plan, job: &Job<'_>, feed: &Feed<'_>) -> bool {
    let Some(driver) = job.driver else { return false };
    let node = node_of(plan, job.level, &feed.names);
    let has_row = node.is_some_and(|(level, node)| {
        plan.levels[level].nodes[node].routes.iter().any(|route| route.view == driver)
    });
    let document = job.sides[driver].as_ref().and_then(|side| side.now.as_deref());
    let passed = document.and_then(|document| at_names(document, &feed.names));
    has_row || passed.is_some_and(|value| !value.is_null())
}

/// The value at a path of a document.
pub(super) fn at_names<'d>(document: &'d [u8], names: &[Vec<u8>]) -> Option<Value<'d>> {
    let (first, below) = names.split_first()?;
    let below: Vec<Box<[u8]>> = below.iter().map(|name| name.as_slice().into()).collect();
    descend(Elements::new(document).find(first)?, &below)
}

/// The fields that the conditions of written targets demand, where a new document lacks them.
fn add_known(plan: &Plan, job: &Job<'_>, patch: &mut Patch) {
    for (path, level) in paths_from(plan, job.level) {
        for (number, node) in plan.levels[level].nodes.iter().enumerate() {
            let mut known = node.known.iter();
            let Some((_, constant)) = known.find(|(view, _)| job.written & 1 << view != 0) else {
                continue;
            };
            let name = plan.levels[level].names.name(number);
            let mut names = path.clone();
            names.push(name.to_vec());
            let value = constant.value();
            if let Some(field) = patch.at(&names)
                && field.whole.as_ref().is_none_or(|edit| edit.value.is_none())
            {
                let value = Some((value.kind, value.bytes.to_vec()));
                field.whole = Some(Edit { value, from: None, carried: Vec::new() });
            }
        }
    }
}

/// A level and those inside it, each with its path.
fn paths_from(plan: &Plan, top: usize) -> Vec<(Vec<Vec<u8>>, usize)> {
    let mut found = vec![(Vec::new(), top)];
    for at in 0..levels_from(plan, top).len() {
        let (path, level) = found[at].clone();
        for (number, node) in plan.levels[level].nodes.iter().enumerate() {
            if let Some(inside) = node.inside {
                let mut names: Vec<Vec<u8>> = path.clone();
                names.push(plan.levels[level].names.name(number).to_vec());
                found.push((names, inside));
            }
        }
    }
    found
}

/// A value changed back: to the type that the original has, if it was changed to another, else to the
/// likeliest.
pub(super) fn changed_back(
    change: &Change,
    now: Value<'_>,
    kept: Option<Value<'_>>,
    was: Option<Value<'_>>,
    base: Option<Value<'_>>,
) -> NewValue {
    if let (Change::Convert { conversion, .. }, Some(was)) = (change, was) {
        let was_changed = base.is_none_or(|base| base.kind != was.kind);
        if !was_changed && was.kind == now.kind {
            return Some((now.kind, now.bytes.to_vec()));
        }
        let mut bytes = Vec::new();
        if was_changed && conversion.back(now, was.kind, &mut bytes) {
            return Some((was.kind, bytes));
        }
    }
    of_guess(&unchanged(change, now, kept))
}

/// A guess as a value.
pub(super) fn of_guess(guess: &Guess<'_>) -> NewValue {
    let mut element = Vec::new();
    guess.write(&[0], &mut element).ok()?;
    Some((element[0], element[2..].to_vec()))
}
