//! The way back: from which rows each field of a level can be restored.

use super::Compiler;
use super::privacy::{equalities, query_of};
use crate::mapping::language::Order;
use crate::mapping::plan::{
    Chain, Change, Expression, Inverse, Operator, Path, Place, PoolId, Route, Row, SOURCE, Simple,
    Table, Target,
};

/// The arrays that are mapped item by item: their names in the source and the target, and the number
/// of the source's name, of the target and of its row.
type Arrays = (Vec<(String, String)>, Vec<(usize, usize, usize)>);

/// Where the value that is looked at stands, and how certain it is to be there.
#[derive(Clone)]
struct At {
    level: usize,
    view: usize,
    place: Place,
    rank: usize,
    newest: bool,
}

impl Compiler<'_, '_> {
    /// Finds the places from which each field can be restored. Rows that always hold its value come
    /// before rows that hold it only if another is missing; both are in the mapping's order.
    pub(super) fn routes(&mut self, tables: &mut [Table], targets: &mut [Target]) {
        for (number, target) in targets.iter_mut().enumerate() {
            if let Some(unwind) = &mut target.unwind {
                unwind.position = position(&tables[number].rows);
                let path = self.names(&unwind.path, SOURCE);
                let route = Route {
                    view: number,
                    place: None,
                    inverse: Inverse::Unwound(number),
                    rank: 0,
                    only: None,
                    alternative: false,
                };
                self.add_route(SOURCE, &path, route, false);
            }
        }
        for (number, table) in tables.iter().enumerate() {
            let view = if table.level == SOURCE { number } else { 0 };
            self.rows_routes(table.level, view, &table.rows, None);
        }
        for number in 0..self.mapping.targets.len() {
            let Some(query) = query_of(&self.mapping.targets[number].filter) else { continue };
            for (path, value) in equalities(query) {
                if let Some((level, node)) = self.levels.node_at(SOURCE, &path.names) {
                    let known = (number, value.clone());
                    self.levels.node_mut(level, node).known.push(known);
                }
            }
        }
        for table in tables.iter_mut() {
            for row in table.rows.iter_mut().filter(|row| !row.name_nul.is_empty()) {
                row.own = match table.order {
                    Order::Source => Some(self.levels.node(table.level, row.name())),
                    Order::Table => self.levels.level(table.level).names.number(row.name()),
                };
            }
        }
        for level in 0..self.levels.len() {
            self.finish_level(level, tables);
        }
        // Names that were added since belong to tables in source order, too.
        for table in tables {
            let level = self.levels.level(table.level);
            if level.in_order.is_some() {
                for name in 0..level.names.len() {
                    table.names.add(level.names.name(name));
                }
            }
        }
    }

    /// Sorts the routes of a level, and reserves the names that rows write.
    fn finish_level(&mut self, level: usize, tables: &[Table]) {
        let of_view = |view: usize, level: usize, in_order: Option<usize>| match level {
            SOURCE => Some(view),
            _ => tables.iter().position(|table| table.level == level).or(in_order),
        };
        let in_order = self.levels.level(level).in_order;
        let views: Vec<usize> = self
            .levels
            .level(level)
            .takers
            .iter()
            .filter(|taker| taker.pool == PoolId::View)
            .map(|taker| taker.view)
            .collect();
        for view in views {
            let Some(table) = of_view(view, level, in_order) else { continue };
            // Only a table over this very level has its names beside the level's fields.
            if tables[table].level != level {
                continue;
            }
            for row in tables[table].rows.iter().filter(|row| !row.name_nul.is_empty()) {
                let node = self.levels.node(level, row.name());
                self.levels.node_mut(level, node).reserved |= 1 << view;
            }
        }
        let level_of = self.levels.level_mut(level);
        for (number, node) in level_of.nodes.iter_mut().enumerate() {
            let name = level_of.names.name(number);
            node.routes.sort_by_key(|route| route.rank);
            node.simple = node.routes.first().and_then(|route| {
                let table = of_view(route.view, level, in_order);
                Simple::of(name, route, table.map(|table| &tables[table]))
            });
            node.only_alternative =
                !node.routes.is_empty() && node.routes.iter().all(|route| route.alternative);
        }
    }

    fn rows_routes(&mut self, level: usize, view: usize, rows: &[Row], inside: Option<&Place>) {
        for (number, row) in rows.iter().enumerate() {
            let place = match inside {
                None => Place { row: number, inner: Vec::new() },
                Some(place) => {
                    let mut place = place.clone();
                    place.inner.push(row.name().into());
                    place
                }
            };
            if let Operator::Document(inner) = &row.chain.first.operator {
                self.rows_routes(level, view, inner, Some(&place));
            }
            let at = At { level, view, place, rank: 0, newest: row.newest };
            self.chain_routes(&row.chain, at);
        }
    }

    fn chain_routes(&mut self, chain: &Chain, at: At) {
        let mut rank = at.rank;
        for (number, expression) in chain.expressions().enumerate() {
            let conditional = expression.when.is_some();
            let here = At { rank: rank + usize::from(conditional), ..at.clone() };
            rank = self.expression_routes(expression, here, number > 0, true) + 1;
        }
    }

    /// Adds the routes of an expression, and returns the last rank. `is_later` says that another was
    /// tried before it.
    fn expression_routes(
        &mut self,
        expression: &Expression,
        at: At,
        is_later: bool,
        is_own: bool,
    ) -> usize {
        let change = expression.change.as_ref();
        let route = |inverse: Inverse, alternative: bool| Route {
            view: at.view,
            place: Some(at.place.clone()),
            inverse,
            rank: at.rank,
            only: expression.only.clone(),
            alternative,
        };
        match &expression.operator {
            Operator::Copy(path) => {
                let names = self.names(path, at.level);
                let alternative = is_own && !is_later && path.below.is_empty();
                self.add_route(
                    at.level,
                    &names,
                    route(Inverse::of(change), alternative),
                    at.newest,
                );
            }
            Operator::Each(path) => {
                let names = self.names(path, at.level);
                self.add_route(at.level, &names, route(Inverse::of_each(change), false), at.newest);
            }
            Operator::First(all) => {
                let mut rank = at.rank;
                for one in all {
                    let here = At { rank, ..at.clone() };
                    rank = self.expression_routes(one, here, is_later, is_own) + 1;
                }
                return rank.saturating_sub(1);
            }
            Operator::Let(number) if change.is_none() && at.level == SOURCE => {
                let chain = std::mem::replace(&mut self.lets[*number].chain, nothing());
                self.chain_routes(&chain, at.clone());
                self.lets[*number].chain = chain;
            }
            Operator::Let(_)
            | Operator::CopyUnlessPrivate(..)
            | Operator::Pluck { .. }
            | Operator::Text(_)
            | Operator::Template(_)
            | Operator::Constant(_)
            | Operator::Document(_)
            | Operator::Size(_)
            | Operator::NotEmpty(_)
            | Operator::Rest(..)
            | Operator::Spread(..)
            | Operator::Outer(_)
            | Operator::Position
            | Operator::Uuid5(_) => {}
        }
        at.rank
    }

    fn names(&self, path: &Path, level: usize) -> Vec<String> {
        let head = self.levels.level(level).names.name(path.head);
        let names = [head].into_iter().chain(path.below.iter().map(|name| &**name));
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    fn add_route(&mut self, level: usize, names: &[String], route: Route, newest: bool) {
        if let Some((level, node)) = self.levels.node_at(level, names) {
            let node = self.levels.node_mut(level, node);
            node.newest |= newest;
            node.routes.push(route);
        }
    }

    /// The levels of the items of an array that is mapped item by item, or unwound.
    pub(super) fn levels_of_items(&self, names: &[String]) -> Vec<usize> {
        let mut levels = Vec::new();
        for target in &self.mapping.targets {
            if target.unwind.as_ref().is_some_and(|unwind| unwind.path.names == names)
                && let Some(number) =
                    self.mapping.targets.iter().position(|other| std::ptr::eq(other, target))
            {
                levels.extend(self.tables[number].as_ref().map(|table| table.level));
            }
        }
        for table in self.tables.iter().flatten().filter(|table| table.level == SOURCE) {
            for row in &table.rows {
                if let Expression {
                    operator: Operator::Each(path),
                    change: Some(Change::Shape { table: shape, .. }),
                    ..
                } = &row.chain.first
                    && self.names(path, SOURCE) == names
                {
                    levels.extend(self.tables[*shape].as_ref().map(|table| table.level));
                }
            }
        }
        levels
    }

    /// The arrays that targets map item by item, whose documents are counted on both sides.
    pub(super) fn arrays(&self, tables: &[Table], targets: &[Target]) -> Arrays {
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        for (number, target) in targets.iter().enumerate() {
            if target.unwind.is_some() {
                continue;
            }
            for (row_number, row) in tables[number].rows.iter().enumerate() {
                let Expression { operator: Operator::Each(path), only: None, when: None, .. } =
                    &row.chain.first
                else {
                    continue;
                };
                if !path.below.is_empty() {
                    continue;
                }
                let field = String::from_utf8_lossy(row.name()).into_owned();
                let source = self.names(path, SOURCE).join(".");
                names.push((
                    format!("{}.{source}", self.mapping.source.value),
                    format!("{}.{field}", target.collection),
                ));
                rows.push((path.head, number, row_number));
            }
        }
        (names, rows)
    }
}

/// The row that holds the position in an unwound field.
fn position(rows: &[Row]) -> Option<Place> {
    let holds = |row: &Row| {
        row.chain
            .expressions()
            .any(|one| matches!(one.operator, Operator::Position) && one.change.is_none())
    };
    let row = rows.iter().position(holds)?;
    Some(Place { row, inner: Vec::new() })
}

/// A chain that stands in while another is walked.
fn nothing() -> Chain {
    Chain {
        first: Expression { operator: Operator::Position, only: None, when: None, change: None },
        when_missing: Vec::new(),
        coalesce: Vec::new(),
        if_missing: None,
        if_null: None,
    }
}
