//! Three ways together: a source document, what it became, and what has become of that since, to the source
//! document of today. What has not changed comes from the original; what has goes through the mapping's inverse.

use serde::Serialize;

use super::backward::{Guess, kept_original, unconverted};
use super::forward::{Fate, Forward, Role, descend, is_of_type, keep_row};
use super::mapper::document_digest;
use super::plan::{Chain, Convert, Expression, Inverse, Item, Plan, Row, RowValue};
use super::shape::{Record, Shapes, Span};
use crate::raw::{Elements, ItemKey, Value, Writer, differing_paths, kind};

/// A source document of today, and how it came about.
#[derive(Debug, Default)]
pub struct Merged {
    /// The document.
    pub document: Vec<u8>,
    /// Source fields that have changed, and the target's field that each value is from.
    pub changed: Vec<Change>,
    /// Changed copies of one source field that disagree.
    pub conflicts: Vec<Conflict>,
    /// Fields of the targets whose change no source field takes.
    pub not_carried_back: Vec<String>,
}

/// A source field with a new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The source's field.
    pub field: String,
    /// The target's field that the value is from, behind its collection.
    pub from: String,
}

/// Copies of one source field that have changed and disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The source's field.
    pub field: String,
    /// The target's field that wins.
    pub winner: String,
    /// Those that lose.
    pub losers: Vec<String>,
}

/// Merges by a plan.
#[derive(Debug)]
pub struct Merger<'p> {
    plan: &'p Plan,
    forward: Forward,
    items: Vec<Shapes<()>>,
    spans: Vec<Span>,
}

/// A row's field in a target's current document.
struct Cell<'a> {
    target: usize,
    row: usize,
    inner: Option<usize>,
    value: Option<Value<'a>>,
    /// The field's names inside the value that stand for others.
    aliases: &'a [(Box<[u8]>, Box<[u8]>)],
}

/// A changed field on its way to a source field.
struct Candidate<'a> {
    source: usize,
    below: &'a [Box<[u8]>],
    inverse: Inverse,
    base: Option<Value<'a>>,
    cell: Cell<'a>,
}

/// What becomes of a source field.
enum Edit {
    Set(u8, Vec<u8>),
    Remove,
}

impl<'p> Merger<'p> {
    /// A merger by this plan.
    pub fn new(plan: &'p Plan) -> Self {
        Merger { plan, forward: Forward::new(plan), items: plan.items.iter().map(|_| Shapes::default()).collect(), spans: Vec::new() }
    }

    /// Merges one document. Without an original there is no base: the document has been created since. A target
    /// that is missing in `current` counts as unchanged.
    pub fn merge(&mut self, original: Option<&[u8]>, base: &[Option<&[u8]>], current: &[Option<&[u8]>]) -> Merged {
        let plan = self.plan;
        let mut merged = Merged::default();
        let mut candidates = Vec::new();
        let mut superseded = Vec::new();
        for (target, document) in current.iter().enumerate() {
            let Some(document) = document else { continue };
            for cell in cells(plan, target, document, &mut superseded) {
                let before = base[target].and_then(|base| field_value(plan, &cell, base));
                if base[target].is_some() && same(before, cell.value) {
                    continue;
                }
                let row = cell.row(plan);
                if target != plan.driver() && &*row.name_nul == b"_id\0" {
                    continue;
                }
                if let Some((source, below, inverse)) = feeding(plan, &cell, original) {
                    candidates.push(Candidate { source, below, inverse, base: before, cell });
                }
            }
        }
        let mut order: Vec<usize> = Vec::new();
        for candidate in &candidates {
            if !order.contains(&candidate.source) {
                order.push(candidate.source);
            }
        }
        let mut parts = Vec::new();
        if candidates.iter().any(|candidate| !candidate.below.is_empty()) {
            // A part of a source field is set only where the field as a whole does not bring it back anyway.
            let whole: Vec<Candidate<'_>> = candidates.extract_if(.., |candidate| candidate.below.is_empty()).collect();
            parts = std::mem::replace(&mut candidates, whole);
            let mut tried = Merged::default();
            let document = self.build(&order, &candidates, original, base, current, &mut tried, &mut Vec::new());
            let mut outputs = vec![Vec::new(); plan.targets.len()];
            self.forward.map(plan, &document, &mut outputs);
            parts.retain(|part| !same(field_value(plan, &part.cell, &outputs[part.cell.target]), part.cell.value));
        }
        candidates.append(&mut parts);
        let document = self.build(&order, &candidates, original, base, current, &mut merged, &mut superseded);
        merged.document = document;
        self.note_not_carried_back(base, current, &superseded, &mut merged);
        merged
    }

    /// The source document with the changes of the candidates, source field by source field in this order.
    #[allow(clippy::too_many_arguments)]
    fn build(
        &mut self,
        order: &[usize],
        candidates: &[Candidate<'_>],
        original: Option<&[u8]>,
        base: &[Option<&[u8]>],
        current: &[Option<&[u8]>],
        merged: &mut Merged,
        superseded: &mut Vec<String>,
    ) -> Vec<u8> {
        let plan = self.plan;
        let mut edits: Vec<(usize, Edit)> = Vec::new();
        for &source in order {
            let of_source: Vec<&Candidate<'_>> = candidates.iter().filter(|candidate| candidate.source == source).collect();
            if !of_source.is_empty() {
                edits.push((source, self.edit(source, &of_source, original, merged, superseded)));
            }
        }
        let rest = plan.rest.and_then(|rest| current[rest].map(|current| rest_edits(plan, base[rest], current)));
        assemble(plan, original, edits, rest.unwrap_or_default(), &mut merged.changed)
    }

    /// The new value of one source field from the changed targets' fields.
    fn edit(
        &mut self,
        source: usize,
        candidates: &[&Candidate<'_>],
        original: Option<&[u8]>,
        merged: &mut Merged,
        superseded: &mut Vec<String>,
    ) -> Edit {
        let plan = self.plan;
        let name = String::from_utf8_lossy(plan.names.name(source)).into_owned();
        let was = original.and_then(|original| Elements::new(original).find(plan.names.name(source)));
        let whole: Vec<&&Candidate<'_>> = candidates.iter().filter(|candidate| candidate.below.is_empty()).collect();
        let mut edit = None;
        if let Some(first) = whole.first() {
            let newest = whole.iter().filter(|candidate| plan.sources[source].newest && candidate.date().is_some()).max_by(|a, b| {
                // Of equal dates the first wins, which `max_by` would pass over.
                a.date().cmp(&b.date()).then(std::cmp::Ordering::Greater)
            });
            let said_nothing = |candidate: &Candidate<'_>| original.is_none() && candidate.cell.value.is_none_or(|value| value.is_null());
            let set = whole.iter().find(|candidate| !said_nothing(candidate)).unwrap_or(first);
            let winner = newest.unwrap_or(set);
            let disagrees = |other: &&&&Candidate<'_>| !same(other.cell.value, winner.cell.value) && !said_nothing(other);
            let losers: Vec<String> = whole.iter().filter(disagrees).map(|loser| loser.cell.label(plan)).collect();
            if !losers.is_empty() {
                superseded.extend(losers.iter().cloned());
                merged.conflicts.push(Conflict { field: name.clone(), winner: winner.cell.label(plan), losers });
            }
            merged.changed.push(Change { field: name.clone(), from: winner.cell.label(plan) });
            edit = Some(self.inverse(winner, was));
        }
        for part in candidates.iter().filter(|candidate| !candidate.below.is_empty()) {
            let now = match &edit {
                Some(Edit::Set(kind, bytes)) => Some(Value { kind: *kind, bytes }),
                Some(Edit::Remove) => None,
                None => was,
            };
            if let ([field], Some(value)) = (part.below, part.cell.value)
                && let Some(bytes) = with_field(now, field, value)
            {
                merged.changed.push(Change { field: format!("{name}.{}", String::from_utf8_lossy(field)), from: part.cell.label(plan) });
                edit = Some(Edit::Set(kind::DOCUMENT, bytes));
            }
        }
        edit.unwrap_or_else(|| was.map_or(Edit::Remove, |was| Edit::Set(was.kind, was.bytes.to_vec())))
    }

    fn inverse(&mut self, winner: &Candidate<'_>, was: Option<Value<'_>>) -> Edit {
        let Some(value) = winner.cell.value else { return Edit::Remove };
        match &winner.inverse {
            Inverse::Same if value.kind == kind::DOCUMENT => Edit::Set(value.kind, without_aliased(value, winner.cell.aliases)),
            Inverse::Same => Edit::Set(value.kind, value.bytes.to_vec()),
            Inverse::Convert(convert) => edit_of(&unconverted(convert, value, None)),
            Inverse::Each(item) if value.kind == kind::ARRAY => {
                Edit::Set(kind::ARRAY, self.merge_items(*item, was, winner.base, value))
            }
            Inverse::Each(_) => Edit::Set(value.kind, value.bytes.to_vec()),
        }
    }

    /// An array's items: those that have not changed in their original bytes, the others by the inverse.
    fn merge_items(&mut self, number: usize, was: Option<Value<'_>>, base: Option<Value<'_>>, current: Value<'_>) -> Vec<u8> {
        let array = |value: Option<Value<'_>>| value.filter(|value| value.kind == kind::ARRAY).is_some();
        let items = |value: Value<'_>| value.elements().map(|_| ()).count();
        let aligned = match (was, base) {
            (Some(was), Some(base)) if array(Some(was)) && array(Some(base)) && items(was) == items(base) => {
                let was: Vec<_> = was.elements().map(|element| element.bytes).collect();
                Some((was, base.elements().map(|element| unordered_digest(element.value())).collect::<Vec<_>>()))
            }
            _ => None,
        };
        let now: Vec<u128> = current.elements().map(|element| unordered_digest(element.value())).collect();
        let mut kept: Vec<Option<usize>> = vec![None; now.len()];
        if let Some((_, before)) = &aligned {
            for operation in similar::capture_diff_slices(similar::Algorithm::Myers, before, &now) {
                if let similar::DiffOp::Equal { old_index, new_index, len } = operation {
                    (0..len).for_each(|at| kept[new_index + at] = Some(old_index + at));
                }
            }
        }
        let was = was.map(|was| was.elements().map(|element| element.value()).collect::<Vec<_>>()).unwrap_or_default();
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

    /// An item by the inverse alone: the rows in their order, then the fields that no row names.
    fn write_inverse_item(&mut self, number: usize, key_nul: &[u8], value: Value<'_>, out: &mut Vec<u8>) {
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

    /// Maps the merged document forward and notes each change that this does not give again.
    fn note_not_carried_back(&mut self, base: &[Option<&[u8]>], current: &[Option<&[u8]>], superseded: &[String], merged: &mut Merged) {
        let plan = self.plan;
        let mut outputs = vec![Vec::new(); plan.targets.len()];
        let written = self.forward.map(plan, &merged.document, &mut outputs);
        for (target, current) in current.iter().enumerate() {
            let Some(current) = current else { continue };
            let collection = &plan.targets[target].collection;
            if written & 1 << target == 0 {
                if base[target].is_none_or(|base| !differing_paths(base, current).is_empty()) {
                    merged.not_carried_back.push(collection.clone());
                }
                continue;
            }
            let since: Option<Vec<String>> = base[target].map(|base| differing_paths(base, current));
            for path in differing_paths(&outputs[target], current) {
                let related = |other: &String| is_within(&path, other) || is_within(other, &path);
                let changed = since.as_ref().is_none_or(|since| since.iter().any(related));
                let label = format!("{collection}.{path}");
                if changed && !superseded.iter().any(|known| is_within(&label, known)) {
                    merged.not_carried_back.push(label);
                }
            }
        }
    }
}

impl Candidate<'_> {
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
    /// Collection and field, as reports name it.
    fn label(&self, plan: &Plan) -> String {
        let target = &plan.targets[self.target];
        let name = |row: &Row| String::from_utf8_lossy(&row.name_nul[..row.name_nul.len() - 1]).into_owned();
        let inner = self.inner.map(|_| format!(".{}", name(self.row(plan)))).unwrap_or_default();
        format!("{}.{}{inner}", target.collection, name(&target.rows[self.row]))
    }
}

fn key_of(row: &Row) -> &[u8] {
    &row.name_nul[..row.name_nul.len() - 1]
}

/// A row's field in a document of its target.
fn field_value<'a>(plan: &Plan, cell: &Cell<'_>, document: &'a [u8]) -> Option<Value<'a>> {
    let outer = Elements::new(document).find(key_of(&plan.targets[cell.target].rows[cell.row]))?;
    match cell.inner {
        None => Some(outer),
        Some(_) if outer.kind == kind::DOCUMENT => Elements::new(outer.bytes).find(key_of(cell.row(plan))),
        Some(_) => None,
    }
}

/// The rows' fields of a target's current document. A field's alias that is present stands for it.
fn cells<'a>(plan: &'a Plan, target: usize, document: &'a [u8], superseded: &mut Vec<String>) -> Vec<Cell<'a>> {
    let mut cells = Vec::new();
    for (number, row) in plan.targets[target].rows.iter().enumerate() {
        let inner: Vec<Option<usize>> = match &row.value {
            RowValue::Document(rows) => (0..rows.len()).map(Some).collect(),
            _ => vec![None],
        };
        for inner in inner {
            let mut cell = Cell { target, row: number, inner, value: None, aliases: &row.aliases };
            cell.value = field_value(plan, &cell, document);
            if let Some(alias) = &row.alias
                && let Some(value) = Elements::new(document).find(alias)
            {
                superseded.push(cell.label(plan));
                superseded.push(format!("{}.{}", plan.targets[target].collection, String::from_utf8_lossy(alias)));
                cell.value = Some(value);
            }
            let value = cell.value.filter(|value| value.kind == kind::DOCUMENT);
            if value.is_some_and(|value| cell.aliases.iter().any(|(name, alias)| has_both(value, name, alias))) {
                superseded.push(cell.label(plan));
            }
            cells.push(cell);
        }
    }
    cells
}

fn has_both(document: Value<'_>, name: &[u8], alias: &[u8]) -> bool {
    document.elements().find(name).is_some() && document.elements().find(alias).is_some()
}

/// The source field that a row's change goes to.
///
/// That is the alternative which gave the row its value, if this row is where its value is looked for first; else
/// the alternative of the row's own name, else the first.
fn feeding<'p>(plan: &'p Plan, cell: &Cell<'_>, original: Option<&[u8]>) -> Option<(usize, &'p [Box<[u8]>], Inverse)> {
    let chain: &Chain = match &cell.row(plan).value {
        RowValue::Each { path, item, .. } => return Some((path.head, &[], Inverse::Each(*item))),
        RowValue::Document(_) => return None,
        RowValue::Chain(chain) => chain,
    };
    let of = |expression: &'p Expression| match expression {
        Expression::Copy { path, convert, .. } => {
            Some((path.head, path.below.as_slice(), convert.clone().map_or(Inverse::Same, |convert: Convert| Inverse::Convert(convert))))
        }
        _ => None,
    };
    let gave = |expression: &&'p Expression| {
        let Expression::Copy { path, only, .. } = expression else { return false };
        let head = original.and_then(|original| Elements::new(original).find(plan.names.name(path.head)));
        let value = head.and_then(|head| descend(head, &path.below)).filter(|value| only.is_none_or(|only| is_of_type(*value, only)));
        value.is_some_and(|value| !value.is_null() && !(chain.empty_array && value.is_empty_array()))
    };
    let is_home = |source: usize| {
        plan.sources[source].routes.first().is_some_and(|route| route.target == cell.target && route.field == cell.row)
    };
    let own_name = |expression: &&'p Expression| {
        matches!(expression, Expression::Copy { path, .. } if path.below.is_empty() && plan.names.name(path.head) == key_of(cell.row(plan)))
    };
    let gave = chain.alternatives.iter().find(gave).and_then(of).filter(|(source, below, _)| below.is_empty() && is_home(*source));
    gave.or_else(|| chain.alternatives.iter().find(own_name).and_then(of)).or_else(|| chain.alternatives.iter().find_map(of))
}

/// Whether two values are the same, the order of fields aside.
fn same(one: Option<Value<'_>>, other: Option<Value<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one == other || one.kind == kind::DOCUMENT && other.kind == kind::DOCUMENT && differing_paths(one.bytes, other.bytes).is_empty()
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// A document without the fields whose aliases are present.
fn without_aliased(document: Value<'_>, aliases: &[(Box<[u8]>, Box<[u8]>)]) -> Vec<u8> {
    let is_aliased = |key: &[u8]| aliases.iter().any(|(name, alias)| **name == *key && document.elements().find(alias).is_some());
    let mut out = Vec::new();
    let open = out.open();
    document.elements().filter(|element| !is_aliased(element.key())).for_each(|element| out.put(element.bytes));
    out.close(open);
    out
}

/// Whether a path is another one or lies below it.
fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A digest of a value that is the same whatever the order of its fields.
fn unordered_digest(value: Value<'_>) -> u128 {
    match value.kind {
        kind::DOCUMENT => value.elements().fold(1, |sum: u128, element| sum.wrapping_add(document_digest(element.bytes))),
        kind => document_digest(value.bytes).wrapping_add(u128::from(kind) << 64),
    }
}

/// A document with one field set; nothing where the value is no document.
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
            (_, Some(kept)) if keep_row(item) == Some(number) && value.kind == kind::DOCUMENT => Guess::Without(kept.before, kept.behind),
            (Some(convert), kept) => unconverted(convert, value, kept.map(|kept| kept.original)),
            (None, _) => Guess::Value(value),
        };
        // A guess from a value is always one.
        let _ = guess.write(&row.back_nul, out);
    }
}

/// What becomes of the fields that no row names: by name and occurrence, the new element or none.
#[derive(Default)]
struct RestEdits {
    /// Name, occurrence, the element as it is now.
    edits: Vec<(Vec<u8>, usize, Option<Vec<u8>>)>,
}

fn rest_edits(plan: &Plan, base: Option<&[u8]>, current: &[u8]) -> RestEdits {
    let Some(rest) = plan.rest else { return RestEdits::default() };
    let target = &plan.targets[rest];
    let is_alias = |key: &[u8]| target.rows.iter().any(|row| row.alias.as_deref() == Some(key));
    let others = |document| {
        let mut found: Vec<(Vec<u8>, usize, Vec<u8>)> = Vec::new();
        for element in Elements::new(document) {
            if target.names.number(element.key()).is_none() && !is_alias(element.key()) {
                let occurrence = found.iter().filter(|(key, _, _)| key == element.key()).count();
                found.push((element.key().to_vec(), occurrence, element.bytes.to_vec()));
            }
        }
        found
    };
    let before = base.map(others).unwrap_or_default();
    let now = others(current);
    let mut edits = Vec::new();
    for (key, occurrence, bytes) in &before {
        match now.iter().find(|(name, number, _)| name == key && number == occurrence) {
            Some((_, _, same)) if same == bytes => {}
            Some((_, _, other)) => edits.push((key.clone(), *occurrence, Some(other.clone()))),
            None => edits.push((key.clone(), *occurrence, None)),
        }
    }
    for (key, occurrence, bytes) in now {
        let is_new = !before.iter().any(|(name, number, _)| *name == key && *number == occurrence);
        // A name that a rule reads cannot pass; forward, it would not come from here.
        if is_new && plan.names.number(&key).is_none_or(|name| plan.sources[name].read_by & 1 << rest == 0 && !plan.sources[name].reserved) {
            edits.push((key, occurrence, Some(bytes)));
        }
    }
    RestEdits { edits }
}

/// The original with its edits, each in its place; new fields behind it.
fn assemble(plan: &Plan, original: Option<&[u8]>, edits: Vec<(usize, Edit)>, rest: RestEdits, changed: &mut Vec<Change>) -> Vec<u8> {
    let mut edits: Vec<(usize, Option<Edit>)> = edits.into_iter().map(|(source, edit)| (source, Some(edit))).collect();
    let mut rest = rest.edits;
    let collection = plan.rest.map(|rest| plan.targets[rest].collection.as_str()).unwrap_or_default();
    for (key, _, _) in &rest {
        let key = String::from_utf8_lossy(key);
        changed.push(Change { field: key.to_string(), from: format!("{collection}.{key}") });
    }
    let mut out = Vec::new();
    let open = out.open();
    let mut seen: Vec<&[u8]> = Vec::new();
    for element in original.into_iter().flat_map(Elements::new) {
        let occurrence = seen.iter().filter(|key| **key == element.key()).count();
        seen.push(element.key());
        let name = plan.names.number(element.key());
        let role = match name {
            None => Role::Other,
            Some(name) if occurrence == 0 => Role::Named(name),
            Some(name) => Role::Again(name),
        };
        if let Role::Named(name) = role
            && let Some((_, edit)) = edits.iter_mut().find(|(source, edit)| *source == name && edit.is_some())
        {
            if let Some(Edit::Set(kind, bytes)) = edit.take() {
                out.element(element.key_nul(), Value { kind, bytes: &bytes });
            }
            continue;
        }
        let passes = matches!(role.fate(plan, u32::MAX), Fate::Passed) || name.is_some_and(|name| !plan.sources[name].reserved);
        let edited = rest.iter().position(|(key, number, _)| passes && key == element.key() && *number == occurrence);
        match edited.map(|at| rest.remove(at)) {
            Some((_, _, Some(bytes))) => out.put(&bytes),
            Some((_, _, None)) => {}
            None => out.put(element.bytes),
        }
    }
    for (source, edit) in &edits {
        if let Some(Edit::Set(kind, bytes)) = edit {
            out.head(*kind, &[plan.names.name(*source), &[0]].concat());
            out.put(bytes);
        }
    }
    rest.iter().filter_map(|(_, _, bytes)| bytes.as_ref()).for_each(|bytes| out.put(bytes));
    out.close(open);
    out
}
