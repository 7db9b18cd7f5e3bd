//! A three-way merge: from a source document (the original), what it was mapped to (the base) and
//! what the application has made of that since (the current documents) to an up-to-date source
//! document. What has not changed comes from the original; what has changed goes through the
//! mapping's inverse.

mod cells;
mod compare;
mod rest;

use serde::Serialize;

use cells::{Cell, Feed, cells, feeding, field_value, has_same_id, is_of_driver, key_of};
use compare::{aligned_items, carried_digest, is_within, key_nul_is, same, with_field};
use rest::{RestEdits, assemble, rest_edits};

use super::backward::{Guess, kept_original, unconverted};
use super::forward::{Forward, keep_row};
use super::plan::{Chain, Inverse, Item, Plan, RowValue};
use super::shape::{Record, Shapes, Span};
use crate::raw::{Elements, ItemKey, Value, Writer, all_differing_paths, differing_paths, kind};

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

/// Merges documents by a plan.
#[derive(Debug)]
pub struct Merger<'p> {
    plan: &'p Plan,
    forward: Forward,
    items: Vec<Shapes<()>>,
    spans: Vec<Span>,
}

/// A changed field of a target, and the source field that it feeds.
struct Candidate<'a> {
    source: usize,
    below: &'a [Box<[u8]>],
    inverse: Inverse,
    /// The source field feeds the row through a defined value, which can have other sources too.
    is_defined: bool,
    base: Option<Value<'a>>,
    cell: Cell<'a>,
}

/// A log of the changes that were carried to source fields.
#[derive(Default)]
struct MergeLog {
    changed: Vec<Change>,
    conflicts: Vec<Conflict>,
    /// Fields of the targets whose value lost to another's.
    superseded: Vec<String>,
    /// Fields of the targets whose value is now in the source. For an array that is mapped item by
    /// item, also the number of its [`Item`].
    carried: Vec<(String, Option<usize>)>,
}

/// What happens to a source field.
enum Edit {
    Set(u8, Vec<u8>),
    Remove,
}

impl<'p> Merger<'p> {
    /// A merger for this plan.
    pub fn new(plan: &'p Plan) -> Self {
        Merger {
            plan,
            forward: Forward::new(plan),
            items: plan.items.iter().map(|_| Shapes::default()).collect(),
            spans: Vec::new(),
        }
    }

    /// Merges one document. Without an original there is no base: the document was created since. A
    /// target that is missing from `current` counts as unchanged.
    pub fn merge(
        &mut self,
        original: Option<&[u8]>,
        base: &[Option<&[u8]>],
        current: &[Option<&[u8]>],
    ) -> Merged {
        let plan = self.plan;
        let mut candidates = Vec::new();
        for (target, document) in current.iter().enumerate() {
            let Some(document) = document else { continue };
            let is_new = original.is_some()
                && target != plan.driver()
                && !has_same_id(base[target], document);
            for cell in cells(plan, target, document) {
                let before = base[target].and_then(|base| field_value(plan, &cell, base));
                if base[target].is_some() && same(before, cell.value) {
                    continue;
                }
                if target != plan.driver() && key_of(cell.row(plan)) == b"_id" {
                    continue;
                }
                let Some(feed) = feeding(plan, &cell, original) else { continue };
                if is_new && is_of_driver(plan, feed.source, current[plan.driver()]) {
                    continue;
                }
                if is_new
                    && base[target].is_none()
                    && cell.value.is_none_or(|value| value.is_null())
                {
                    continue;
                }
                let Feed { source, below, inverse, is_defined } = feed;
                candidates.push(Candidate {
                    source,
                    below,
                    inverse,
                    is_defined,
                    base: before,
                    cell,
                });
            }
        }
        let present = |target: &usize| base[*target].or(current[*target]).is_some();
        let written =
            (0..current.len()).filter(present).fold(0u32, |mask, target| mask | 1 << target);
        let rest = plan
            .rest
            .and_then(|rest| {
                current[rest].map(|current| rest_edits(plan, base[rest], current, written))
            })
            .unwrap_or_default();
        // If a field was passed through and has changed there, a new document in another target
        // does not set it.
        candidates.retain(|candidate| {
            base[candidate.cell.target].is_some() || !rest.has(plan.names.name(candidate.source))
        });
        let mut order: Vec<usize> = Vec::new();
        for candidate in &candidates {
            if !order.contains(&candidate.source) {
                order.push(candidate.source);
            }
        }
        let mut parts = Vec::new();
        if candidates.iter().any(|candidate| candidate.is_dependent(plan)) {
            // A part of a source field, or a row with a condition, counts as changed only if the
            // other changes do not produce its value anyway.
            let whole: Vec<Candidate<'_>> =
                candidates.extract_if(.., |candidate| !candidate.is_dependent(plan)).collect();
            parts = std::mem::replace(&mut candidates, whole);
            let document =
                self.build(&order, &candidates, original, &rest, &mut MergeLog::default());
            let mut outputs = vec![Vec::new(); plan.targets.len()];
            self.forward.map(plan, &document, &mut outputs);
            parts.retain(|part| {
                !same(field_value(plan, &part.cell, &outputs[part.cell.target]), part.cell.value)
            });
        }
        candidates.append(&mut parts);
        candidates.sort_by_key(|candidate| {
            (candidate.cell.target, candidate.cell.row, candidate.cell.inner)
        });
        let mut log = MergeLog::default();
        let document = self.build(&order, &candidates, original, &rest, &mut log);
        let not_carried_back = self.not_carried_back(&document, base, current, &log);
        Merged { document, changed: log.changed, conflicts: log.conflicts, not_carried_back }
    }

    /// Builds the source document with the changes of the candidates, field by field in this order.
    fn build(
        &mut self,
        order: &[usize],
        candidates: &[Candidate<'_>],
        original: Option<&[u8]>,
        rest: &RestEdits,
        log: &mut MergeLog,
    ) -> Vec<u8> {
        let plan = self.plan;
        let mut edits: Vec<(usize, Edit)> = Vec::new();
        for &source in order {
            let of_source: Vec<&Candidate<'_>> =
                candidates.iter().filter(|candidate| candidate.source == source).collect();
            if !of_source.is_empty() {
                edits.push((source, self.edit(source, &of_source, original, log)));
            }
        }
        assemble(plan, original, edits, rest, &mut log.changed)
    }

    /// The new value of one source field, from the changed fields of the targets.
    fn edit(
        &mut self,
        source: usize,
        candidates: &[&Candidate<'_>],
        original: Option<&[u8]>,
        log: &mut MergeLog,
    ) -> Edit {
        let plan = self.plan;
        let name = String::from_utf8_lossy(plan.names.name(source)).into_owned();
        let was =
            original.and_then(|original| Elements::new(original).find(plan.names.name(source)));
        let whole: Vec<&&Candidate<'_>> =
            candidates.iter().filter(|candidate| candidate.below.is_empty()).collect();
        let mut edit = Edit::of(was);
        if let Some(first) = whole.first() {
            let newest = whole
                .iter()
                .filter(|candidate| plan.sources[source].newest && candidate.date().is_some())
                .max_by(|a, b| {
                    // Of equal dates the first wins; `max_by` would return the last.
                    a.date().cmp(&b.date()).then(std::cmp::Ordering::Greater)
                });
            let is_unset = |candidate: &Candidate<'_>| {
                original.is_none() && candidate.cell.value.is_none_or(|value| value.is_null())
            };
            let set = whole.iter().find(|candidate| !is_unset(candidate)).unwrap_or(first);
            let winner = newest.unwrap_or(set);
            let disagrees = |other: &&&&Candidate<'_>| {
                !same(other.cell.value, winner.cell.value) && !is_unset(other)
            };
            let losers: Vec<String> =
                whole.iter().filter(disagrees).map(|loser| loser.cell.label(plan)).collect();
            if !losers.is_empty() {
                log.superseded.extend(losers.iter().cloned());
                log.conflicts.push(Conflict {
                    field: name.clone(),
                    winner: winner.cell.label(plan),
                    losers,
                });
            }
            edit = self.inverse(winner, was);
            if edit.value() != was {
                log.changed.push(Change { field: name.clone(), from: winner.cell.label(plan) });
                let item = if let Inverse::Each(item) = winner.inverse { Some(item) } else { None };
                log.carried.push((winner.cell.label(plan), item));
            }
        }
        for part in candidates.iter().filter(|candidate| !candidate.below.is_empty()) {
            if let ([field], Some(value)) = (part.below, part.cell.value)
                && let Some(bytes) = with_field(edit.value(), field, value)
            {
                log.changed.push(Change {
                    field: format!("{name}.{}", String::from_utf8_lossy(field)),
                    from: part.cell.label(plan),
                });
                log.carried.push((part.cell.label(plan), None));
                edit = Edit::Set(kind::DOCUMENT, bytes);
            }
        }
        edit
    }

    fn inverse(&mut self, winner: &Candidate<'_>, was: Option<Value<'_>>) -> Edit {
        let Some(value) = winner.cell.value else { return Edit::Remove };
        match &winner.inverse {
            Inverse::Convert(convert) => edit_of(&unconverted(convert, value, None)),
            Inverse::Each(item) if value.kind == kind::ARRAY => {
                Edit::Set(kind::ARRAY, self.merge_items(*item, was, winner.base, value))
            }
            Inverse::Same | Inverse::Each(_) => Edit::of(Some(value)),
        }
    }

    /// Merges the items of an array. Unchanged ones keep their original bytes; the others go
    /// through the inverse.
    fn merge_items(
        &mut self,
        number: usize,
        was: Option<Value<'_>>,
        base: Option<Value<'_>>,
        current: Value<'_>,
    ) -> Vec<u8> {
        let item = &self.plan.items[number];
        let digest = |value: Value<'_>| carried_digest(item, value);
        let array =
            |value: Option<Value<'_>>| value.filter(|value| value.kind == kind::ARRAY).is_some();
        let items = |value: Value<'_>| value.elements().map(|_| ()).count();
        let aligned = match (was, base) {
            (Some(was), Some(base))
                if array(Some(was)) && array(Some(base)) && items(was) == items(base) =>
            {
                let was: Vec<_> = was.elements().map(|element| element.bytes).collect();
                Some((
                    was,
                    base.elements().map(|element| digest(element.value())).collect::<Vec<_>>(),
                ))
            }
            _ => None,
        };
        let now: Vec<u128> = current.elements().map(|element| digest(element.value())).collect();
        let mut kept: Vec<Option<usize>> = vec![None; now.len()];
        if let Some((_, before)) = &aligned {
            for (old, new) in aligned_items(before, &now) {
                kept[new] = Some(old);
            }
        }
        let was = was
            .map(|was| was.elements().map(|element| element.value()).collect::<Vec<_>>())
            .unwrap_or_default();
        let mut out = Vec::new();
        let open = out.open();
        let mut key = ItemKey::default();
        for (element, kept) in current.elements().zip(&kept) {
            match kept {
                Some(index) => out.element(key.key_nul(), was[*index]),
                None => self.write_inverse_item(number, key.key_nul(), element.value(), &mut out),
            }
            key.advance();
        }
        out.close(open);
        out
    }

    /// Writes an item by the inverse alone: the rows in their order, then the fields that no row
    /// names.
    fn write_inverse_item(
        &mut self,
        number: usize,
        key_nul: &[u8],
        value: Value<'_>,
        out: &mut Vec<u8>,
    ) {
        let item = &self.plan.items[number];
        let converts = item.rows.iter().any(|row| row.rename.is_some() || row.convert.is_some());
        if value.kind != kind::DOCUMENT || !converts {
            return out.element(key_nul, value);
        }
        let shape = self.items[number].index(value.bytes, &mut self.spans, &item.names, |_, _| ());
        let record = Record { bytes: value.bytes, spans: &self.spans, first: &shape.first };
        out.head(kind::DOCUMENT, key_nul);
        let open = out.open();
        write_inverse_rows(item, record, out);
        for element in Elements::new(value.bytes) {
            if item.rows.iter().all(|row| *row.name_nul != *element.key_nul()) {
                out.put(element.bytes);
            }
        }
        out.close(open);
    }

    /// Maps the merged document forward, and lists each change that this does not reproduce and
    /// that is not in the document either.
    fn not_carried_back(
        &mut self,
        document: &[u8],
        base: &[Option<&[u8]>],
        current: &[Option<&[u8]>],
        log: &MergeLog,
    ) -> Vec<String> {
        let plan = self.plan;
        let mut lost = Vec::new();
        let mut outputs = vec![Vec::new(); plan.targets.len()];
        let written = self.forward.map(plan, document, &mut outputs);
        for (target, current) in current.iter().enumerate() {
            let Some(current) = current else { continue };
            let collection = &plan.targets[target].collection;
            if written & 1 << target == 0 {
                if base[target].is_none_or(|base| !differing_paths(base, current).is_empty()) {
                    lost.push(collection.clone());
                }
                continue;
            }
            let since: Option<Vec<String>> =
                base[target].map(|base| all_differing_paths(base, current));
            // A new null is not a change: the application's models store their optional fields as
            // null.
            let field = |document: &'_ [u8], path: &str| {
                Elements::new(document).find(path.as_bytes()).map(|value| value.is_null())
            };
            let is_new_null = |path: &String| {
                field(current, path) == Some(true)
                    && base[target].is_none_or(|base| field(base, path).is_none())
            };
            for path in all_differing_paths(&outputs[target], current)
                .into_iter()
                .filter(|path| !is_new_null(path))
            {
                let related = |other: &String| is_within(&path, other) || is_within(other, &path);
                let has_changed = since.as_ref().is_none_or(|since| since.iter().any(related));
                let label = format!("{collection}.{path}");
                if has_changed
                    && !log.superseded.iter().any(|known| is_within(&label, known))
                    && !log.has_carried(plan, &label)
                {
                    lost.push(label);
                }
            }
        }
        lost
    }
}

impl MergeLog {
    /// Whether the value at a place in a target is now in the source, possibly converted.
    fn has_carried(&self, plan: &Plan, label: &str) -> bool {
        self.carried.iter().any(|(field, item)| {
            let Some(below) = label.strip_prefix(field.as_str()) else { return false };
            let mut names = below.split('.');
            if names.next() != Some("") {
                return false;
            }
            // The number of an item is followed by one of its fields, which may be one that does
            // not go back.
            match (item, names.nth(1)) {
                (Some(item), Some(name)) => !plan.items[*item]
                    .rows
                    .iter()
                    .any(|row| row.generated && key_nul_is(&row.name_nul, name.as_bytes())),
                _ => true,
            }
        })
    }
}

impl Edit {
    fn of(value: Option<Value<'_>>) -> Self {
        value.map_or(Edit::Remove, |value| Edit::Set(value.kind, value.bytes.to_vec()))
    }
    fn value(&self) -> Option<Value<'_>> {
        match self {
            Edit::Set(kind, bytes) => Some(Value { kind: *kind, bytes }),
            Edit::Remove => None,
        }
    }
}

impl Candidate<'_> {
    /// Whether the row holds only a part of its source field, has a condition, or may have its
    /// value from another field.
    fn is_dependent(&self, plan: &Plan) -> bool {
        let has_condition =
            matches!(&self.cell.row(plan).value, RowValue::Chain(Chain { when: Some(_), .. }));
        !self.below.is_empty() || has_condition || self.is_defined
    }
    fn date(&self) -> Option<i64> {
        self.cell.value.and_then(|value| value.date_millis())
    }
}

fn edit_of(guess: &Guess<'_>) -> Edit {
    let mut element = Vec::new();
    match guess.write(&[0], &mut element) {
        Ok(()) => Edit::Set(element[0], element[2..].to_vec()),
        Err(_) => Edit::Remove,
    }
}

fn write_inverse_rows(item: &Item, record: Record<'_>, out: &mut Vec<u8>) {
    let kept = kept_original(item, record);
    for (number, row) in item.rows.iter().enumerate().filter(|(_, row)| !row.generated) {
        let value = match (record.get(row.own), &row.missing.fallback.absent) {
            (Some(value), _) => value,
            (None, Some(absent)) if absent.value().is_null() => Value::NULL,
            (None, _) => continue,
        };
        let guess = match (&row.convert, kept) {
            (_, Some(kept)) if keep_row(item) == Some(number) && value.kind == kind::DOCUMENT => {
                Guess::Without(kept.before, kept.after)
            }
            (Some(convert), kept) => unconverted(convert, value, kept.map(|kept| kept.original)),
            (None, _) => Guess::Value(value),
        };
        // This cannot fail: the guess has a value.
        let _ = guess.write(&row.back_nul, out);
    }
}
