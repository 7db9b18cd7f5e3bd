//! Evaluates the rows of tables: what each operator writes for one document.

mod items;
mod operators;
mod remainder;

use std::ops::Range;

use super::fate::{Fate, Meaning, Placement, Role, Roles};
use super::plan::{Chain, FastPath, Operator, Path, Plan, Row, Table};
use super::shape::{Keeper, NameSet, Record, Shapes, shed_starts};
use crate::raw::{Elements, Value, Writer, kind};

/// Follows a path of names into a value. Paths do not go through arrays.
pub(super) fn descend<'a>(value: Value<'a>, below: &[Box<[u8]>]) -> Option<Value<'a>> {
    below.iter().try_fold(value, |value, name| match value.kind {
        kind::DOCUMENT => Elements::new(value.bytes).find(name),
        _ => None,
    })
}

/// The value at a path of a record.
#[inline(always)]
pub(super) fn follow<'a>(record: Record<'a>, path: &Path) -> Option<Value<'a>> {
    let value = record.get(path.head)?;
    if path.below.is_empty() { Some(value) } else { descend(value, &path.below) }
}

/// The kind of value that was written for a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Missing,
    Null,
    Value,
}

impl Written {
    fn of(value: Value<'_>) -> Self {
        if value.is_null() { Written::Null } else { Written::Value }
    }
}

/// Which of the parts of an unwound field a document is made from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position<'a> {
    /// It is not from an unwound field.
    None,
    /// The number of the array's item.
    Item(i32),
    /// The name of the document's entry.
    Entry(&'a [u8]),
}

/// What the rows of a table read.
#[derive(Clone, Copy)]
pub(super) struct Scope<'r> {
    pub level: usize,
    pub record: Record<'r>,
    /// What the fields of the record are to the level.
    pub roles: &'r Roles,
    /// The views of the level that are written.
    pub written: u32,
    /// The source document.
    pub source: Record<'r>,
    pub position: Position<'r>,
}

/// What is kept from one document to the next. It saves time and does not change the result.
#[derive(Debug)]
pub(super) struct Caches {
    /// For each level of items, the sequences of names met.
    pub levels: Vec<Keeper<Meaning>>,
    /// For each table, the sequences of names of its documents.
    written: Vec<Shapes<()>>,
    starts: Vec<Vec<u32>>,
    /// Rules that the current document breaks, perhaps more than once each.
    pub broken: Vec<usize>,
    /// The elements of the values of `[let]` for the current document: type, NUL, value.
    pub lets: Vec<Option<Vec<u8>>>,
}

impl Caches {
    pub fn new(plan: &Plan) -> Self {
        Caches {
            levels: plan.levels.iter().map(|_| Keeper::default()).collect(),
            written: plan.tables.iter().map(|_| Shapes::default()).collect(),
            starts: Vec::new(),
            broken: Vec::new(),
            lets: plan.lets.iter().map(|_| None).collect(),
        }
    }
    /// Frees what a document with very many fields has needed.
    pub fn shed(&mut self) {
        self.levels.iter_mut().for_each(Keeper::shed);
        self.written.iter_mut().for_each(Shapes::shed);
        self.starts.iter_mut().for_each(shed_starts);
        for element in self.lets.iter_mut().flatten() {
            crate::batch::recycle(element);
        }
    }
}

/// Writes rows.
pub(super) struct Evaluator<'a> {
    pub plan: &'a Plan,
    pub caches: &'a mut Caches,
}

impl Evaluator<'_> {
    /// Writes the fields of a table's document, without its length and NUL.
    pub fn table(
        &mut self,
        table: &Table,
        scope: &Scope<'_>,
        placement: Option<&Placement>,
        out: &mut Vec<u8>,
    ) {
        match placement {
            Some(placement) => self.in_order(table, placement, scope, out),
            None => self.rows(&table.rows, Some(table), scope, out),
        }
    }

    /// Writes rows in their order, and then, if they are those of a table, the fields that nothing reads
    /// if it takes them.
    fn rows(&mut self, rows: &[Row], table: Option<&Table>, scope: &Scope<'_>, out: &mut Vec<u8>) {
        // Adjacent source fields are copied in one piece.
        let mut run: Range<usize> = 0..0;
        let from = out.len();
        let keeping = table.filter(|table| table.keeping.is_some());
        let kept = keeping.and_then(|table| self.kept(table, scope));
        for (number, row) in rows.iter().enumerate() {
            if let FastPath::Field { name, whole } = row.fast
                && let Some(position) = scope.record.first[name]
            {
                let position = position as usize;
                let value = scope.record.at(position);
                if takes_fast_path(row, value) {
                    if !whole {
                        put_run(&mut run, scope.record, out);
                        out.element(&row.name_nul, value);
                    } else if position == run.end && run.start < run.end {
                        run.end += 1;
                    } else {
                        put_run(&mut run, scope.record, out);
                        run = position..position + 1;
                    }
                    continue;
                }
            }
            put_run(&mut run, scope.record, out);
            if let Operator::Spread(path, taker) = &row.chain.first.operator {
                self.spread(path.as_ref(), *taker, scope, (rows, from), out);
            } else if let Some(table) = keeping {
                self.row_keeping(table, number, kept, scope, out);
            } else {
                self.row(row, scope, out);
            }
        }
        put_run(&mut run, scope.record, out);
        let rest = table.and_then(|table| table.rest);
        if let Some(taker) = rest.filter(|taker| self.plan.takes(*taker, scope.written)) {
            let others = rows.iter().any(is_spread).then_some((rows, from));
            self.rest(taker.level, scope, others, out);
        }
    }

    /// Writes one row.
    fn row(&mut self, row: &Row, scope: &Scope<'_>, out: &mut Vec<u8>) {
        match &row.fast {
            FastPath::Element(element) => out.put(element),
            _ => self.chain(&row.chain, &row.name_nul, scope, out),
        }
    }

    /// Writes a document whose rows stand in the places of the fields that they copy.
    fn in_order(
        &mut self,
        table: &Table,
        placement: &Placement,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) {
        use super::fate::Action;
        let record = scope.record;
        let start = out.len();
        let kept = self.kept(table, scope);
        let level = &self.plan.levels[scope.level];
        let into = table.rest_into.filter(|row| goes_into(&table.rows[*row], scope));
        let takes =
            into.is_none() && table.rest.is_some_and(|taker| self.plan.takes(taker, scope.written));
        let mut from = 0;
        for (position, action) in placement.actions().enumerate() {
            let fate = match action {
                Action::Copy => continue,
                Action::Fate => level.fate(scope.roles.at(position), scope.written, false),
                _ => Fate::Passed,
            };
            if action == Action::Fate && fate == Fate::Passed && takes {
                continue;
            }
            out.put(record.run(from, position));
            from = position + 1;
            match action {
                Action::Rename(row) => {
                    out.element(&table.rows[row].name_nul, record.at(position));
                }
                Action::Change { row, alternative } => {
                    let row = &table.rows[row];
                    let change = row.alternatives[alternative].change.as_ref();
                    self.changed(change, &row.name_nul, record.at(position), scope, out);
                }
                Action::Row(row) if into == Some(row) => self.with_rest(table, row, scope, out),
                Action::Row(row) => self.row_keeping(table, row, kept, scope, out),
                Action::Copy => {}
                Action::Fate => {
                    if let (Fate::Entered(name), true) = (fate, takes) {
                        self.remainder_of(scope.level, name, record.at(position), scope, out);
                    }
                }
            }
        }
        out.put(record.run(from, placement.len()));
        for row in &placement.behind {
            match &table.rows[*row].chain.first.operator {
                _ if into == Some(*row) => self.with_rest(table, *row, scope, out),
                Operator::Spread(path, taker) => {
                    self.spread(path.as_ref(), *taker, scope, (&table.rows, start), out);
                }
                _ => self.row_keeping(table, *row, kept, scope, out),
            }
        }
    }

    /// Writes a row's document, and behind its own fields those of the record that nothing reads.
    fn with_rest(&mut self, table: &Table, number: usize, scope: &Scope<'_>, out: &mut Vec<u8>) {
        let row = &table.rows[number];
        let own = row.own.and_then(|own| scope.record.get(own));
        let own = own.filter(|value| value.kind == kind::DOCUMENT);
        out.head(kind::DOCUMENT, &row.name_nul);
        let open = out.open();
        if let Some(own) = own {
            out.put(&own.bytes[4..own.bytes.len() - 1]);
        }
        let there = own.map(|own| NameSet::of(own.elements())).unwrap_or_default();
        for (position, role) in scope.roles.iter().enumerate() {
            if role == Role::Other && !there.contains(scope.record.name(position)) {
                out.put(scope.record.run(position, position + 1));
            }
        }
        out.close(open);
    }

    /// The original that a table's holder has to keep for this record.
    fn kept<'r>(&self, table: &Table, scope: &Scope<'r>) -> Option<Value<'r>> {
        let keeping = table.keeping.as_ref()?;
        let alternatives = &table.rows[keeping.row].alternatives;
        let used = alternatives.iter().position(|one| scope.record.first[one.name].is_some())?;
        if used != keeping.alternative {
            return None;
        }
        let original = scope.record.get(alternatives[used].name)?;
        let (_, keep) = keeping.translation.translate(original)?;
        keep.then_some(original)
    }

    /// Writes a row, and, if it is the holder, the original in it.
    fn row_keeping(
        &mut self,
        table: &Table,
        number: usize,
        kept: Option<Value<'_>>,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) {
        let row = &table.rows[number];
        let keeping = table.keeping.as_ref().filter(|keeping| keeping.holder == number);
        let (Some(keeping), Some(original)) = (keeping, kept) else {
            return self.row(row, scope, out);
        };
        let mark = out.len();
        self.row(row, scope, out);
        let value_at = mark + 1 + row.name_nul.len();
        let is_missing = out.len() == mark;
        if is_missing {
            out.head(kind::DOCUMENT, &row.name_nul);
            out.put(&[5, 0, 0, 0, 0]);
        }
        let is_document = out[mark] == kind::DOCUMENT;
        if !is_document || Elements::new(&out[value_at..]).find(&keeping.name).is_some() {
            return;
        }
        // The document's final NUL makes room for the original, and its length grows.
        out.pop();
        out.put(&[original.kind]);
        out.put(&keeping.name);
        out.put(&[0]);
        out.put(original.bytes);
        out.put(&[0]);
        let length = ((out.len() - value_at) as u32).to_le_bytes();
        out[value_at..value_at + 4].copy_from_slice(&length);
    }

    /// Writes the value of a chain as a field with this name.
    pub fn chain(&mut self, chain: &Chain, name_nul: &[u8], scope: &Scope<'_>, out: &mut Vec<u8>) {
        let mark = out.len();
        let mut written = self.expression(&chain.first, name_nul, scope, out);
        for other in &chain.when_missing {
            if written != Written::Missing {
                break;
            }
            written = self.expression(other, name_nul, scope, out);
        }
        for other in &chain.coalesce {
            if written == Written::Value {
                break;
            }
            // If none gives a value, the last result stands.
            out.truncate(mark);
            written = self.expression(other, name_nul, scope, out);
        }
        let instead = match written {
            Written::Missing => chain.if_missing.as_ref().or(chain.if_null.as_ref()),
            Written::Null => chain.if_null.as_ref(),
            Written::Value => None,
        };
        if let Some(constant) = instead {
            out.truncate(mark);
            out.element(name_nul, constant.value());
        }
    }
}

/// The role of the next field of a document, given which names were seen before.
pub(super) fn next_role(level: &super::plan::Level, seen: &mut [bool], key: &[u8]) -> Role {
    match level.names.number(key) {
        None => Role::Other,
        // A name that only the table has is no node.
        Some(name) if name >= seen.len() => Role::Other,
        Some(name) if std::mem::replace(&mut seen[name], true) => Role::Again(name),
        Some(name) => Role::Named(name),
    }
}

/// Whether a record has fields that nothing reads, which go to the end of this row's document: the
/// record has none of its name, or a document, or null.
fn goes_into(row: &Row, scope: &Scope<'_>) -> bool {
    let own = row.own.and_then(|own| scope.record.get(own));
    own.is_none_or(|value| value.kind == kind::DOCUMENT || value.is_null())
        && scope.roles.has_other()
}

fn is_spread(row: &Row) -> bool {
    matches!(row.chain.first.operator, Operator::Spread(..))
}

/// Appends the adjacent fields in `run`.
#[inline(always)]
fn put_run(run: &mut Range<usize>, record: Record<'_>, out: &mut Vec<u8>) {
    if run.start < run.end {
        out.put(record.run(run.start, run.end));
    }
    *run = 0..0;
}

/// Whether a row with a fast path takes this value as it stands.
fn takes_fast_path(row: &Row, value: Value<'_>) -> bool {
    !value.is_null() && row.chain.first.only.as_ref().is_none_or(|only| only.passes(value))
}

/// The value of an element without a name: its type, a NUL and its bytes.
pub(super) fn let_value(element: &[u8]) -> Option<Value<'_>> {
    element.get(2..).map(|bytes| Value { kind: element[0], bytes })
}
