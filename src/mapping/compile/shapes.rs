//! The shapes of a mapping: each is a table of its own.

use std::collections::HashSet;

use super::{Compiler, Reads};
use crate::mapping::check::RowCheck;
use crate::mapping::language::{At, Expression, Operator, Order, Rest, Row, Shape};
use crate::mapping::plan::{FastPath, PoolId, Table, Taker, TakerId};

impl<'m> Compiler<'m, '_> {
    /// Numbers the tables of shapes, behind those of targets. A shape that contains itself is an error.
    pub(super) fn number_shapes(&mut self) {
        let mapping = self.mapping;
        for (number, shape) in mapping.shapes.iter().enumerate() {
            let table = mapping.targets.len() + number;
            if self.shape_tables.insert(shape.name.as_str(), table).is_some() {
                self.error(&shape.name.at, format!("there are two shapes '{}'", *shape.name));
            }
        }
        // What is left when shapes that contain no shape that is left are taken away, again and
        // again, contains itself.
        let mut left: Vec<&Shape> = mapping.shapes.iter().collect();
        loop {
            let names: HashSet<&str> = left.iter().map(|shape| shape.name.as_str()).collect();
            let contains =
                |shape: &&Shape| shapes_in(&shape.fields).iter().any(|name| names.contains(name));
            let (circular, free): (Vec<&Shape>, Vec<&Shape>) = left.into_iter().partition(contains);
            if free.is_empty() {
                for shape in in_circles(circular) {
                    let what = format!("the shape '{}' contains itself", *shape.name);
                    self.error(&shape.name.at, what);
                }
                return;
            }
            left = circular;
        }
    }

    pub(super) fn compile_shapes(&mut self) {
        for (number, shape) in self.mapping.shapes.iter().enumerate() {
            let table = self.mapping.targets.len() + number;
            let level = self.levels.add(Some(shape.name.as_str()));
            let reads = Reads {
                level,
                view: Some(0),
                is_item: true,
                is_unwound: false,
                target: None,
                name: &shape.name,
            };
            let takes = !matches!(shape.rest, Rest::No);
            let mut compiled =
                self.table(table, &shape.fields, &shape.requires, shape.order, takes, reads);
            if let Rest::Into(name) = &shape.rest {
                compiled.rest_into = self.rest_into(name, shape, &compiled);
            }
            if compiled.rest.is_some() {
                let takers = &mut self.levels.level_mut(level).takers;
                takers.push(Taker { view: 0, pool: PoolId::View, all_but_private: false });
                let number = takers.len() - 1;
                compiled.rest = Some(TakerId { level, number });
            }
            self.tables[table] = Some(compiled);
        }
    }

    /// The row whose document takes the rest of a shape's records.
    fn rest_into(&mut self, name: &At<String>, shape: &Shape, table: &Table) -> Option<usize> {
        let row = table.rows.iter().position(|row| row.name() == name.as_bytes());
        let is_plain = |row: usize| {
            let row = &table.rows[row];
            row.alternatives.len() == 1
                && row.alternatives[0].is_direct
                && row.alternatives[0].change.is_none()
                && self.levels.level(table.level).names.name(row.alternatives[0].name) == row.name()
                && !row.adds
        };
        if !row.is_some_and(is_plain) || shape.order != Order::Source {
            self.error(
                &name.at,
                "`rest` names a row of this shape that copies the field of its name and nothing else, in `order = \"source\"`",
            );
            return None;
        }
        row
    }

    /// Compiles a table: of a target, or of a shape.
    pub(super) fn table(
        &mut self,
        number: usize,
        fields: &'m [Row],
        requires: &'m [crate::mapping::language::Requirement],
        order: Order,
        rest: bool,
        reads: Reads<'m>,
    ) -> Table {
        let mut names = crate::mapping::shape::Names::default();
        let in_order = order == Order::Source && reads.is_item;
        for (row, field) in fields.iter().enumerate() {
            let name = match &field.name {
                Some(name) => name.as_bytes().to_vec(),
                None => super::no_name(row),
            };
            if names.add(&name) != row {
                let at = field.name.as_ref().map_or(&field.at, |name| &name.at).clone();
                let name = String::from_utf8_lossy(&name).into_owned();
                self.error(&at, format!("'{name}' has two rows in {}", reads.name));
                // The numbers of rows and names stay the same.
                names.add(&super::no_name(row));
            }
            if in_order {
                self.levels.node(reads.level, names.name(row).to_vec().as_slice());
            }
        }
        if in_order {
            self.levels.level_mut(reads.level).in_order = Some(number);
        }
        let mut rows = self.rows(fields, reads);
        let keeping = self.keeping(fields, &rows, reads);
        if let Some(keeping) = &keeping {
            // What is added to the holder's document is added by its row.
            rows[keeping.holder].fast = FastPath::None;
        }
        let requires = self.requirements(fields, requires, reads);
        let rest = rest.then_some(TakerId { level: reads.level, number: usize::MAX });
        let row_checks = RowCheck::of(&rows);
        Table {
            name: reads.name.to_owned(),
            level: reads.level,
            rows,
            names,
            order,
            rest,
            rest_into: None,
            keeping,
            checked: !row_checks.is_empty() || !requires.is_empty(),
            row_checks,
            requires,
            shape_rule: self.rule(reads.name.to_owned(), "an item must be a document"),
            duplicate_rule: self.rule(
                format!("duplicate-field {}", reads.name),
                "a field that a rule reads occurs more than once in an item; the first counts",
            ),
            not_renamed_rule: self.rule(
                format!("not-renamed {}", reads.name),
                "the item has both the old and the new name of a field; the old one stays",
            ),
        }
    }
}

/// Those of the shapes that are in a circle: what only contains one, and is in none left, goes.
fn in_circles(mut shapes: Vec<&Shape>) -> Vec<&Shape> {
    loop {
        let used: HashSet<&str> =
            shapes.iter().flat_map(|shape| shapes_in(&shape.fields)).collect();
        let (circular, others): (Vec<&Shape>, Vec<&Shape>) =
            shapes.into_iter().partition(|shape| used.contains(shape.name.as_str()));
        shapes = circular;
        if others.is_empty() {
            return shapes;
        }
    }
}

/// The names of the shapes that rows use.
fn shapes_in(rows: &[Row]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open: Vec<&Row> = rows.iter().collect();
    while let Some(row) = open.pop() {
        let mut expressions: Vec<&Expression> =
            [&row.value].into_iter().chain(&row.when_missing).chain(&row.coalesce).collect();
        while let Some(expression) = expressions.pop() {
            found.extend(expression.shape.as_ref().map(|shape| shape.value.as_str()));
            match &expression.operator {
                Some(Operator::First(all)) => expressions.extend(all),
                Some(Operator::Document(rows)) => open.extend(rows),
                _ => {}
            }
        }
    }
    found
}
