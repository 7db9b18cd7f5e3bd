//! A three-way merge: from a source document (the original), what it was mapped to (the base) and
//! what the application has made of that since (the current documents) to an up-to-date source
//! document. What has not changed comes from the original; what has changed goes through the
//! mapping's inverse.

use std::collections::HashMap;

use serde::Serialize;

use super::backward::{Guess, kept_original, unconverted};
use super::forward::{Fate, Forward, Role, descend, is_of_type, keep_row};
use super::plan::{Chain, Expression, Inverse, Item, Plan, Row, RowValue, copies};
use super::shape::{Record, Shapes, Span};
use crate::fingerprints::document_digest;
use crate::raw::{
    Element, Elements, ItemKey, Value, Writer, all_differing_paths, differing_paths, kind,
};

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

/// The field of a row in a target's current document.
struct Cell<'a> {
    target: usize,
    row: usize,
    inner: Option<usize>,
    value: Option<Value<'a>>,
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

impl Cell<'_> {
    fn row<'p>(&self, plan: &'p Plan) -> &'p Row {
        let row = &plan.targets[self.target].rows[self.row];
        match (&row.value, self.inner) {
            (RowValue::Document(rows), Some(inner)) => &rows[inner],
            _ => row,
        }
    }
    /// Its collection and field, for reports.
    fn label(&self, plan: &Plan) -> String {
        let target = &plan.targets[self.target];
        let name = |row: &Row| {
            String::from_utf8_lossy(&row.name_nul[..row.name_nul.len() - 1]).into_owned()
        };
        let inner = self.inner.map(|_| format!(".{}", name(self.row(plan)))).unwrap_or_default();
        format!("{}.{}{inner}", target.collection, name(&target.rows[self.row]))
    }
}

fn key_of(row: &Row) -> &[u8] {
    &row.name_nul[..row.name_nul.len() - 1]
}

/// The value of a row's field in a document of its target.
fn field_value<'a>(plan: &Plan, cell: &Cell<'_>, document: &'a [u8]) -> Option<Value<'a>> {
    let outer = Elements::new(document).find(key_of(&plan.targets[cell.target].rows[cell.row]))?;
    match cell.inner {
        None => Some(outer),
        Some(_) if outer.kind == kind::DOCUMENT => {
            Elements::new(outer.bytes).find(key_of(cell.row(plan)))
        }
        Some(_) => None,
    }
}

/// The fields of all rows in a target's current document.
fn cells<'a>(plan: &Plan, target: usize, document: &'a [u8]) -> Vec<Cell<'a>> {
    let mut cells = Vec::new();
    for (row_number, row) in plan.targets[target].rows.iter().enumerate() {
        let inner: Vec<Option<usize>> = match &row.value {
            RowValue::Document(rows) => (0..rows.len()).map(Some).collect(),
            _ => vec![None],
        };
        for inner in inner {
            let mut cell = Cell { target, row: row_number, inner, value: None };
            cell.value = field_value(plan, &cell, document);
            cells.push(cell);
        }
    }
    cells
}

/// Whether a document has the `_id` of the one that was migrated.
fn has_same_id(base: Option<&[u8]>, current: &[u8]) -> bool {
    let id = |document| Elements::new(document).find(b"_id");
    base.is_some_and(|base| id(base) == id(current))
}

/// Whether the driving target's document covers a source field: by a row, or by a field that was
/// passed through.
///
/// If a document of another target was recreated, that is not a change of such a field.
fn is_of_driver(plan: &Plan, source: usize, driver: Option<&[u8]>) -> bool {
    let has_row = plan.sources[source]
        .routes
        .iter()
        .any(|route| route.target == plan.driver() && route.below.is_empty());
    let passed = driver.and_then(|driver| Elements::new(driver).find(plan.names.name(source)));
    has_row || passed.is_some_and(|value| !value.is_null())
}

/// The source field, or the place in it, that feeds a row.
struct Feed<'p> {
    source: usize,
    below: &'p [Box<[u8]>],
    inverse: Inverse,
    is_defined: bool,
}

/// The source field to which a row's change goes.
///
/// This is the alternative that supplied the row's value, if this row is the first place where that
/// field's value is looked up; else the alternative with the row's own name; else the first.
fn feeding<'p>(plan: &'p Plan, cell: &Cell<'_>, original: Option<&[u8]>) -> Option<Feed<'p>> {
    let chain: &Chain = match &cell.row(plan).value {
        RowValue::Each { path, item, .. } => {
            return Some(Feed {
                source: path.head,
                below: &[],
                inverse: Inverse::Each(*item),
                is_defined: false,
            });
        }
        RowValue::Document(_) => return None,
        RowValue::Chain(chain) => chain,
    };
    let is_defined = chain.alternatives.iter().any(|one| matches!(one, Expression::Defined(_)));
    let copies = copies(&plan.defines, chain);
    let feed_of = |expression: &&'p Expression| match expression {
        Expression::Copy { path, convert, .. } => {
            let inverse = convert.clone().map_or(Inverse::Same, Inverse::Convert);
            Some(Feed { source: path.head, below: path.below.as_slice(), inverse, is_defined })
        }
        _ => None,
    };
    let supplies = |expression: &&&'p Expression| {
        let Expression::Copy { path, only, .. } = expression else { return false };
        let head =
            original.and_then(|original| Elements::new(original).find(plan.names.name(path.head)));
        let value = head
            .and_then(|head| descend(head, &path.below))
            .filter(|value| only.is_none_or(|only| is_of_type(*value, only)));
        value.is_some_and(|value| !(value.is_null() || chain.empty_array && value.is_empty_array()))
    };
    let is_first_route = |source: usize| {
        plan.sources[source]
            .routes
            .first()
            .is_some_and(|route| route.target == cell.target && route.field == cell.row)
    };
    let own_name = |expression: &&&'p Expression| matches!(expression, Expression::Copy { path, .. } if path.below.is_empty() && plan.names.name(path.head) == key_of(cell.row(plan)));
    let supplied = copies
        .iter()
        .find(supplies)
        .and_then(feed_of)
        .filter(|feed| feed.below.is_empty() && is_first_route(feed.source));
    supplied
        .or_else(|| copies.iter().find(own_name).and_then(feed_of))
        .or_else(|| copies.iter().find_map(feed_of))
}

/// Whether two values are the same, ignoring the order of fields.
fn same(one: Option<Value<'_>>, other: Option<Value<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let nests = one.kind == other.kind && matches!(one.kind, kind::DOCUMENT | kind::ARRAY);
            one == other || nests && differing_paths(one.bytes, other.bytes).is_empty()
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// A digest of the fields of an item that go back to the source, ignoring their order.
fn carried_digest(item: &Item, value: Value<'_>) -> u128 {
    let is_generated =
        |key: &[u8]| item.rows.iter().any(|row| row.generated && key_nul_is(&row.name_nul, key));
    if value.kind != kind::DOCUMENT || !item.rows.iter().any(|row| row.generated) {
        return unordered_digest(value);
    }
    let mut carried = Vec::new();
    let open = carried.open();
    value
        .elements()
        .filter(|element| !is_generated(element.key()))
        .for_each(|element| carried.put(element.bytes));
    carried.close(open);
    unordered_digest(Value { kind: kind::DOCUMENT, bytes: &carried })
}

/// Whether a name with a NUL equals this name without one.
fn key_nul_is(name_nul: &[u8], key: &[u8]) -> bool {
    name_nul.strip_suffix(&[0]) == Some(key)
}

/// The items of a longest common subsequence, as positions in both.
///
/// Items that only one side has are removed first: comparing all of a long, rewritten history would
/// cost the square of its length.
fn aligned_items(before: &[u128], now: &[u128]) -> Vec<(usize, usize)> {
    let common = |of: &[u128], other: &[u128]| -> (Vec<usize>, Vec<u128>) {
        let known: std::collections::HashSet<u128> = other.iter().copied().collect();
        of.iter().enumerate().filter(|(_, digest)| known.contains(digest)).unzip()
    };
    let (old_places, old) = common(before, now);
    let (new_places, new) = common(now, before);
    let mut pairs = Vec::new();
    for operation in similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
        if let similar::DiffOp::Equal { old_index, new_index, len } = operation {
            pairs.extend(
                (0..len).map(|at| (old_places[old_index + at], new_places[new_index + at])),
            );
        }
    }
    pairs
}

/// Whether a path is equal to another or inside it.
fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A digest of a value that does not depend on the order of its fields, at any depth.
fn unordered_digest(value: Value<'_>) -> u128 {
    // The open documents and arrays: the elements left, the sum so far, and the type and name to
    // mix in at the end.
    let mut open: Vec<(Elements<'_>, u128, Vec<u8>)> = Vec::new();
    let mut top = vec![value.kind];
    match value.kind {
        kind::DOCUMENT | kind::ARRAY => open.push((value.elements(), 1, top)),
        _ => {
            top.extend_from_slice(value.bytes);
            return document_digest(&top);
        }
    }
    while let Some((elements, sum, _)) = open.last_mut() {
        match elements.next() {
            Some(element) if matches!(element.kind(), kind::DOCUMENT | kind::ARRAY) => {
                let head = element.bytes[..1 + element.key_nul().len()].to_vec();
                open.push((element.value().elements(), 1, head));
            }
            Some(element) => *sum = sum.wrapping_add(document_digest(element.bytes)),
            None => {
                let Some((_, sum, mut head)) = open.pop() else { break };
                head.extend_from_slice(&sum.to_le_bytes());
                let digest = document_digest(&head);
                match open.last_mut() {
                    Some((_, outer, _)) => *outer = outer.wrapping_add(digest),
                    None => return digest,
                }
            }
        }
    }
    0
}

/// A copy of a document with one field set. Nothing if the value is neither a document nor null.
fn with_field(document: Option<Value<'_>>, field: &[u8], value: Value<'_>) -> Option<Vec<u8>> {
    let elements = match document {
        Some(document) if document.kind == kind::DOCUMENT => Elements::new(document.bytes),
        Some(other) if !other.is_null() => return None,
        _ => Elements::of_body(&[]),
    };
    let key_nul = [field, &[0]].concat();
    let mut out = Vec::new();
    let open = out.open();
    let mut is_set = false;
    for element in elements {
        if element.key() == field && !is_set {
            out.element(&key_nul, value);
            is_set = true;
        } else {
            out.put(element.bytes);
        }
    }
    if !is_set {
        out.element(&key_nul, value);
    }
    out.close(open);
    Some(out)
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

/// Changes to the fields that no row names.
#[derive(Default)]
struct RestEdits {
    edits: Vec<RestEdit>,
}

/// A field that was changed, added or removed.
struct RestEdit {
    name: Vec<u8>,
    /// How many fields of its name come before it.
    occurrence: usize,
    /// The current element, if it still exists.
    now: Option<Vec<u8>>,
}

impl RestEdits {
    fn has(&self, key: &[u8]) -> bool {
        self.edits.iter().any(|edit| edit.name == key)
    }
}

/// Counts the occurrences of names.
#[derive(Default)]
struct Occurrences<'a>(HashMap<&'a [u8], usize>);

impl<'a> Occurrences<'a> {
    /// The number of earlier calls with this name.
    fn of(&mut self, key: &'a [u8]) -> usize {
        let count = self.0.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

/// Finds the changes to the fields of the `rest` target that no row names. `written` is the set of
/// targets that have a document.
fn rest_edits(plan: &Plan, base: Option<&[u8]>, current: &[u8], written: u32) -> RestEdits {
    let Some(rest) = plan.rest else { return RestEdits::default() };
    let target = &plan.targets[rest];
    fn others<'a>(
        document: &'a [u8],
        is_other: impl Fn(&[u8]) -> bool,
    ) -> Vec<(usize, Element<'a>)> {
        let mut occurrences = Occurrences::default();
        let found = Elements::new(document).filter(|element| is_other(element.key()));
        found.map(|element| (occurrences.of(element.key()), element)).collect()
    }
    let is_other = |key: &[u8]| target.names.number(key).is_none();
    let before = base.map(|base| others(base, is_other)).unwrap_or_default();
    let now = others(current, is_other);
    let by_name: HashMap<(&[u8], usize), Element<'_>> =
        now.iter().map(|(occurrence, element)| ((element.key(), *occurrence), *element)).collect();
    let mut edits = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (occurrence, element) in before {
        let key = element.key();
        known.insert((key, occurrence));
        match by_name.get(&(key, occurrence)) {
            Some(other) if same(Some(element.value()), Some(other.value())) => {}
            other => edits.push(RestEdit {
                name: key.to_vec(),
                occurrence,
                now: other.map(|other| other.bytes.to_vec()),
            }),
        }
    }
    for (occurrence, element) in now {
        let key = element.key();
        // A field that a rule reads cannot be passed through, so mapping it forward would not write
        // it here.
        let passes = || {
            plan.names.number(key).is_none_or(|name| {
                plan.sources[name].read_by & written == 0 && !plan.sources[name].reserved
            })
        };
        if !known.contains(&(key, occurrence)) && passes() {
            let now = Some(element.bytes.to_vec());
            edits.push(RestEdit { name: key.to_vec(), occurrence, now });
        }
    }
    RestEdits { edits }
}

/// Applies edits to the original, each in its place. New fields are appended.
fn assemble(
    plan: &Plan,
    original: Option<&[u8]>,
    edits: Vec<(usize, Edit)>,
    rest: &RestEdits,
    changed: &mut Vec<Change>,
) -> Vec<u8> {
    let mut edits: Vec<(usize, Option<Edit>)> =
        edits.into_iter().map(|(source, edit)| (source, Some(edit))).collect();
    let collection =
        plan.rest.map(|rest| plan.targets[rest].collection.as_str()).unwrap_or_default();
    let mut pending: HashMap<(&[u8], usize), &Option<Vec<u8>>> = HashMap::new();
    for edit in &rest.edits {
        pending.insert((&edit.name, edit.occurrence), &edit.now);
        let key = String::from_utf8_lossy(&edit.name);
        changed.push(Change { field: key.to_string(), from: format!("{collection}.{key}") });
    }
    let mut out = Vec::new();
    let open = out.open();
    let mut occurrences = Occurrences::default();
    for element in original.into_iter().flat_map(Elements::new) {
        let occurrence = occurrences.of(element.key());
        let name = plan.names.number(element.key());
        let role = match name {
            None => Role::Other,
            Some(name) if occurrence == 0 => Role::Named(name),
            Some(name) => Role::Again(name),
        };
        if let Role::Named(name) = role
            && let Some((_, edit)) =
                edits.iter_mut().find(|(source, edit)| *source == name && edit.is_some())
        {
            if let Some(Edit::Set(kind, bytes)) = edit.take() {
                out.element(element.key_nul(), Value { kind, bytes: &bytes });
            }
            continue;
        }
        let passes = matches!(role.fate(plan, u32::MAX), Fate::Passed)
            || name.is_some_and(|name| !plan.sources[name].reserved);
        match pending.remove(&(element.key(), occurrence)).filter(|_| passes) {
            Some(Some(bytes)) => out.put(bytes),
            Some(None) => {}
            None => out.put(element.bytes),
        }
    }
    for (source, edit) in &edits {
        if let Some(Edit::Set(kind, bytes)) = edit {
            out.head(*kind, &[plan.names.name(*source), &[0]].concat());
            out.put(bytes);
        }
    }
    for edit in &rest.edits {
        if let Some(bytes) = &edit.now
            && pending.contains_key(&(edit.name.as_slice(), edit.occurrence))
        {
            out.put(bytes);
        }
    }
    out.close(open);
    out
}
