//! The fields of the targets' current documents, and the source fields that feed them.

use crate::mapping::forward::{descend, is_of_type};
use crate::mapping::plan::{Chain, Expression, Inverse, Plan, Row, RowValue, copies};
use crate::raw::{Elements, Value, kind};

/// The field of a row in a target's current document.
pub(super) struct Cell<'a> {
    pub(super) target: usize,
    pub(super) row: usize,
    pub(super) inner: Option<usize>,
    pub(super) value: Option<Value<'a>>,
}

impl Cell<'_> {
    pub(super) fn row<'p>(&self, plan: &'p Plan) -> &'p Row {
        let row = &plan.targets[self.target].rows[self.row];
        match (&row.value, self.inner) {
            (RowValue::Document(rows), Some(inner)) => &rows[inner],
            _ => row,
        }
    }
    /// Its collection and field, for reports.
    pub(super) fn label(&self, plan: &Plan) -> String {
        let target = &plan.targets[self.target];
        let name = |row: &Row| {
            String::from_utf8_lossy(&row.name_nul[..row.name_nul.len() - 1]).into_owned()
        };
        let inner = self.inner.map(|_| format!(".{}", name(self.row(plan)))).unwrap_or_default();
        format!("{}.{}{inner}", target.collection, name(&target.rows[self.row]))
    }
}

pub(super) fn key_of(row: &Row) -> &[u8] {
    &row.name_nul[..row.name_nul.len() - 1]
}

/// The value of a row's field in a document of its target.
pub(super) fn field_value<'a>(
    plan: &Plan,
    cell: &Cell<'_>,
    document: &'a [u8],
) -> Option<Value<'a>> {
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
pub(super) fn cells<'a>(plan: &Plan, target: usize, document: &'a [u8]) -> Vec<Cell<'a>> {
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

/// The source field, or the place in it, that feeds a row.
pub(super) struct Feed<'p> {
    pub(super) source: usize,
    pub(super) below: &'p [Box<[u8]>],
    pub(super) inverse: Inverse,
    pub(super) is_defined: bool,
}

/// The source field to which a row's change goes.
///
/// This is the alternative that supplied the row's value, if this row is the first place where that
/// field's value is looked up; else the alternative with the row's own name; else the first.
pub(super) fn feeding<'p>(
    plan: &'p Plan,
    cell: &Cell<'_>,
    original: Option<&[u8]>,
) -> Option<Feed<'p>> {
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

/// Whether a document has the `_id` of the one that was migrated.
pub(super) fn has_same_id(base: Option<&[u8]>, current: &[u8]) -> bool {
    let id = |document| Elements::new(document).find(b"_id");
    base.is_some_and(|base| id(base) == id(current))
}

/// Whether the driving target's document covers a source field: by a row, or by a field that was
/// passed through.
///
/// If a document of another target was recreated, that is not a change of such a field.
pub(super) fn is_of_driver(plan: &Plan, source: usize, driver: Option<&[u8]>) -> bool {
    let has_row = plan.sources[source]
        .routes
        .iter()
        .any(|route| route.target == plan.driver() && route.below.is_empty());
    let passed = driver.and_then(|driver| Elements::new(driver).find(plan.names.name(source)));
    has_row || passed.is_some_and(|value| !value.is_null())
}
