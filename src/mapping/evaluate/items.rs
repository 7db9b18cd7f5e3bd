//! Arrays and documents whose parts are mapped one by one.

use super::{Caches, Evaluator, Scope, Written, descend};
use crate::mapping::check::check_table;
use crate::mapping::fate::{Meaning, Placement, meaning};
use crate::mapping::plan::{Change, Expression, Table};
use crate::mapping::shape::{Record, Shapes};
use crate::raw::{ItemKey, Value, Writer, kind};

impl Evaluator<'_> {
    /// Writes a document as a table maps it.
    pub(super) fn shaped(
        &mut self,
        number: usize,
        name_nul: &[u8],
        value: Value<'_>,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut shapes = self.shapes_of(number);
        let mark = out.len();
        if shapes.is_copy(self, value, scope, |evaluator, scope, placement, table| {
            out.head(kind::DOCUMENT, name_nul);
            evaluator.document(table, placement, scope, number, out);
        }) {
            out.truncate(mark);
            out.element(name_nul, value);
        }
        self.give_back(shapes);
    }

    /// Writes the items of an array, each changed.
    pub(super) fn items(
        &mut self,
        expression: &Expression,
        name_nul: &[u8],
        array: Value<'_>,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        if expression.only.as_ref().is_some_and(|only| !only.passes(array)) {
            return Written::Missing;
        }
        out.head(kind::ARRAY, name_nul);
        let open = out.open();
        let mut key = ItemKey::default();
        let Some(Change::Shape { table: number, .. }) = &expression.change else {
            for element in array.elements() {
                self.changed(
                    expression.change.as_ref(),
                    key.key_nul(),
                    element.value(),
                    scope,
                    out,
                );
                key.advance();
            }
            out.close(open);
            return Written::Value;
        };
        let mut shapes = self.shapes_of(*number);
        let shape_rule = self.plan.tables[*number].shape_rule;
        // Where the unchanged items begin that are still to be copied.
        let mut unchanged: Option<usize> = None;
        let mut end = 4;
        for element in array.elements() {
            let value = element.value();
            let start = end;
            end += element.bytes.len();
            let is_copy = if value.kind == kind::DOCUMENT {
                shapes.is_copy(self, value, scope, |evaluator, scope, placement, table| {
                    put_items(array, &mut unchanged, start, out);
                    out.head(kind::DOCUMENT, key.key_nul());
                    evaluator.document(table, placement, scope, *number, out);
                })
            } else {
                self.caches.broken.push(shape_rule);
                true
            };
            if is_copy && element.key_nul() == key.key_nul() {
                unchanged.get_or_insert(start);
            } else if is_copy {
                put_items(array, &mut unchanged, start, out);
                out.element(key.key_nul(), value);
            }
            key.advance();
        }
        put_items(array, &mut unchanged, end, out);
        out.close(open);
        self.give_back(shapes);
        Written::Value
    }

    /// Writes a table's document, length and NUL included, and checks it.
    pub(super) fn document(
        &mut self,
        table: &Table,
        placement: Option<&Placement>,
        scope: &Scope<'_>,
        number: usize,
        out: &mut Vec<u8>,
    ) {
        let at = out.len();
        let open = out.open();
        self.table(table, scope, placement, out);
        out.close(open);
        if table.checked {
            let mut starts = self.caches.starts.pop().unwrap_or_default();
            let Caches { written, broken, .. } = &mut *self.caches;
            let shape = written[number].index(&out[at..], &mut starts, &table.names, |_, _| ());
            let record = Record::new(&out[at..], &starts, shape);
            check_table(table, record, &mut |rule| broken.push(rule));
            self.caches.starts.push(starts);
        }
    }

    /// Writes the values of a field in an array's items.
    pub(super) fn pluck(
        &mut self,
        (array, below, every): (Value<'_>, &[Box<[u8]>], bool),
        expression: &Expression,
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        let mark = out.len();
        out.head(kind::ARRAY, name_nul);
        let value_at = out.len();
        let open = out.open();
        let mut key = ItemKey::default();
        for item in array.elements() {
            match descend(item.value(), below) {
                Some(found) => {
                    self.changed(expression.change.as_ref(), key.key_nul(), found, scope, out);
                    key.advance();
                }
                None if every => {
                    out.truncate(mark);
                    return Written::Missing;
                }
                None => {}
            }
        }
        out.close(open);
        let plucked = Value { kind: kind::ARRAY, bytes: &out[value_at..] };
        if expression.only.as_ref().is_some_and(|only| !only.passes(plucked)) {
            out.truncate(mark);
            return Written::Missing;
        }
        Written::Value
    }

    /// Takes what is kept for a table's records, so that it can be used while others are.
    fn shapes_of(&mut self, table: usize) -> ItemShapes {
        let level = self.plan.tables[table].level;
        ItemShapes {
            table,
            shapes: self.caches.levels[level].take(),
            starts: self.caches.starts.pop().unwrap_or_default(),
        }
    }
    fn give_back(&mut self, shapes: ItemShapes) {
        let level = self.plan.tables[shapes.table].level;
        self.caches.levels[level].keep(shapes.shapes);
        self.caches.starts.push(shapes.starts);
    }
}

/// What is kept for the records that a table maps.
struct ItemShapes {
    table: usize,
    shapes: Box<Shapes<Meaning>>,
    starts: Vec<u32>,
}

impl ItemShapes {
    /// Whether the table's document for this one is identical, and checks it if so. If not, `write`
    /// is called.
    fn is_copy(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        value: Value<'_>,
        outer: &Scope<'_>,
        write: impl FnOnce(&mut Evaluator<'_>, &Scope<'_>, Option<&Placement>, &Table),
    ) -> bool {
        let plan = evaluator.plan;
        let table = &plan.tables[self.table];
        let level = table.level;
        let shape = self.shapes.index(
            value.bytes,
            &mut self.starts,
            &plan.levels[level].names,
            |keys, first| meaning(plan, level, keys, first),
        );
        let Meaning { roles, placement } = &shape.meaning;
        let record = Record::new(value.bytes, &self.starts, shape);
        if !placement.findings.is_empty() {
            evaluator.caches.broken.extend_from_slice(&placement.findings);
        }
        if placement.is_copy {
            // The level's names are the table's, so the record describes what is written, too.
            if table.checked {
                let broken = &mut evaluator.caches.broken;
                check_table(table, record, &mut |rule| broken.push(rule));
            }
            return true;
        }
        let scope = &Scope { level, record, roles, written: 1, ..*outer };
        let in_order = plan.levels[level].in_order.map(|_| placement);
        write(evaluator, scope, in_order, table);
        false
    }
}

/// Appends the unchanged items from `from` to `end` in one piece.
fn put_items(array: Value<'_>, from: &mut Option<usize>, end: usize, out: &mut Vec<u8>) {
    if let Some(from) = from.take() {
        out.put(&array.bytes[from..end]);
    }
}
