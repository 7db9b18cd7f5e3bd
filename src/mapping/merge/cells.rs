//! The fields of tables' documents, and the fields of their level that they go back to.

use super::compare::document;
use super::record::Job;
use super::sides::Located;
use crate::mapping::evaluate::follow;
use crate::mapping::language::Constant;
use crate::mapping::plan::{
    Back, Chain, Expression, Inverse, Operator, Path, Place, Plan, Row, SOURCE,
};
use crate::raw::{Value, kind};

/// A row, and where its field stands.
pub(super) struct Cell<'p> {
    pub row: &'p Row,
    pub place: Place,
}

/// The rows of a table that are no documents of rows, those in such documents included.
pub(super) fn cells(rows: &[Row]) -> Vec<Cell<'_>> {
    let mut found = Vec::new();
    let mut open: Vec<Cell<'_>> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        open.push(Cell { row, place: Place { row: number, inner: Vec::new() } });
        while let Some(cell) = open.pop() {
            let Operator::Document(inner) = &cell.row.chain.first.operator else {
                if !cell.row.name_nul.is_empty() {
                    found.push(cell);
                }
                continue;
            };
            for row in inner.iter().rev() {
                let mut place = cell.place.clone();
                place.inner.push(row.name().into());
                open.push(Cell { row, place });
            }
        }
    }
    found
}

/// A field of a level, or a place in it, that a row can have its value from.
#[derive(Debug, Clone)]
pub(super) struct Feed<'p> {
    pub names: Vec<Vec<u8>>,
    pub inverse: Inverse,
    /// The operator, but for a name that only `back` gives.
    expression: Option<&'p Expression>,
    /// Null does not count as a value.
    skips_null: bool,
    /// Its value can have other sources too, or be missing by a condition.
    pub is_dependent: bool,
}

/// All feeds of a row, in the order in which they are tried.
pub(super) fn feeds<'p>(plan: &'p Plan, level: usize, row: &'p Row) -> Vec<Feed<'p>> {
    let mut found = Vec::new();
    if row.back == Back::Never {
        return found;
    }
    chain_feeds(plan, level, &row.chain, false, &mut found);
    if let Back::Name(name_nul) = &row.back {
        let name = &name_nul[..name_nul.len() - 1];
        if !found.iter().any(|feed| feed.is_named(name)) {
            found.push(Feed {
                names: vec![name.to_vec()],
                inverse: Inverse::Same,
                expression: None,
                skips_null: false,
                is_dependent: false,
            });
        }
    }
    found
}

fn chain_feeds<'p>(
    plan: &'p Plan,
    level: usize,
    chain: &'p Chain,
    through_let: bool,
    found: &mut Vec<Feed<'p>>,
) {
    let skips_null = !chain.coalesce.is_empty() || chain.if_null.is_some();
    let mut open: Vec<(&Expression, bool)> =
        chain.expressions().map(|one| (one, through_let || one.when.is_some())).collect();
    open.reverse();
    while let Some((expression, is_dependent)) = open.pop() {
        let mut add = |path: &Path, inverse: Inverse| {
            found.push(Feed {
                names: names(plan, level, path),
                inverse,
                expression: Some(expression),
                skips_null,
                is_dependent: is_dependent || !path.below.is_empty(),
            });
        };
        match &expression.operator {
            Operator::Copy(path) => add(path, Inverse::of(expression.change.as_ref())),
            Operator::Each(path) => add(path, Inverse::of_each(expression.change.as_ref())),
            // Where it is a document, its fields go back one by one.
            Operator::CopyUnlessPrivate(path, _) | Operator::Rest(Some(path), _) => {
                add(path, Inverse::Same);
            }
            Operator::First(all) => {
                let all = all.iter().rev();
                open.extend(all.map(|one| (one, is_dependent || one.when.is_some())));
            }
            // A value of `[let]` is made of the source document's fields, perhaps through others, but
            // never through itself.
            Operator::Let(number) if expression.change.is_none() && level == SOURCE => {
                chain_feeds(plan, level, &plan.lets[*number].chain, true, found);
            }
            Operator::Let(_)
            | Operator::Pluck { .. }
            | Operator::Text(_)
            | Operator::Template(_)
            | Operator::Constant(_)
            | Operator::Document(_)
            | Operator::Size(_)
            | Operator::NotEmpty(_)
            | Operator::Rest(None, _)
            | Operator::Spread(..)
            | Operator::Outer(_)
            | Operator::Position
            | Operator::Uuid5(_) => {}
        }
    }
}

fn names(plan: &Plan, level: usize, path: &Path) -> Vec<Vec<u8>> {
    let head = plan.levels[level].names.name(path.head);
    std::iter::once(head).chain(path.below.iter().map(|name| &**name)).map(<[u8]>::to_vec).collect()
}

impl Feed<'_> {
    fn is_named(&self, name: &[u8]) -> bool {
        self.names.len() == 1 && self.names[0] == name
    }
    fn path(&self) -> Option<&Path> {
        match &self.expression?.operator {
            Operator::Copy(path)
            | Operator::Each(path)
            | Operator::CopyUnlessPrivate(path, _)
            | Operator::Rest(Some(path), _) => Some(path),
            _ => None,
        }
    }
    /// Whether a value at its place takes fields of a document one by one.
    pub fn is_by_field(&self) -> bool {
        self.expression.is_some_and(|expression| {
            matches!(
                expression.operator,
                Operator::CopyUnlessPrivate(..) | Operator::Rest(Some(_), _)
            )
        })
    }
    /// Whether the row had its value from here.
    fn supplies(&self, original: &Located<'_>) -> bool {
        let (Some(path), Some(expression)) = (self.path(), self.expression) else { return false };
        let Some(value) = follow(original.record(), path) else { return false };
        let passes = expression.only.as_ref().is_none_or(|only| only.passes(value));
        let holds =
            expression.when.as_ref().is_none_or(|when| when.holds(original.record(), &mut false));
        passes && holds && !(self.skips_null && value.is_null())
    }
}

/// The feed to which a row's change goes.
///
/// This is the alternative that supplied the row's value, if this row is the first place where that
/// field's value is looked up; else, of a value that was made since, the one that `back` names; else
/// that with the row's own name; else the first.
pub(super) fn feeding<'p>(
    plan: &'p Plan,
    job: &Job<'_>,
    view: usize,
    cell: &Cell<'p>,
    original: Option<&Located<'_>>,
) -> Option<Feed<'p>> {
    let all = feeds(plan, job.level, cell.row);
    let is_first_route = |feed: &&Feed<'_>| {
        let Some((level, node)) = node_of(plan, job.level, &feed.names) else { return false };
        let routes = &plan.levels[level].nodes[node].routes;
        routes
            .iter()
            .find(|route| job.written & 1 << route.view != 0)
            .is_some_and(|route| route.view == view && route.place.as_ref() == Some(&cell.place))
    };
    // A part of a field that another row copies whole is that row's.
    let is_own = |feed: &&Feed<'_>| {
        let head = plan.levels[job.level].names.number(&feed.names[0]);
        feed.names.len() == 1
            || head.is_none_or(|head| !plan.levels[job.level].nodes[head].is_read(job.written))
    };
    let supplied = original.and_then(|original| {
        all.iter().find(|feed| feed.supplies(original)).filter(is_own).filter(is_first_route)
    });
    let back = || match &cell.row.back {
        Back::Name(name_nul) => {
            all.iter().find(|feed| feed.is_named(&name_nul[..name_nul.len() - 1]))
        }
        _ => None,
    };
    let own_name = || all.iter().find(|feed| original.is_some() && feed.is_named(cell.row.name()));
    supplied.or_else(back).or_else(own_name).or_else(|| all.first()).cloned()
}

/// The level and number of the field at a path.
pub(super) fn node_of(plan: &Plan, level: usize, names: &[Vec<u8>]) -> Option<(usize, usize)> {
    let (last, before) = names.split_last()?;
    let mut at = level;
    for name in before {
        let node = plan.levels[at].names.number(name)?;
        at = plan.levels[at].nodes.get(node)?.inside?;
    }
    let node = plan.levels[at].names.number(last)?;
    (node < plan.levels[at].nodes.len()).then_some((at, node))
}

/// Whether a row's values go back anywhere.
pub(super) fn goes_back(plan: &Plan, level: usize, row: &Row) -> bool {
    match &row.chain.first.operator {
        Operator::Document(rows) => rows.iter().any(|row| goes_back(plan, level, row)),
        Operator::Spread(..) | Operator::Rest(..) => true,
        _ => !feeds(plan, level, row).is_empty(),
    }
}

/// What a value at a place in a view's field goes back through: whether it goes back at all.
pub(super) fn reaches(plan: &Plan, inverse: &Inverse, below: &[&str]) -> bool {
    match (inverse, below) {
        (Inverse::Each(inner), [_, rest @ ..]) => reaches(plan, inner, rest),
        (Inverse::Shape(table), [name, rest @ ..]) => {
            let table = &plan.tables[*table];
            row_reaches(plan, table.level, &table.rows, name, rest)
                .unwrap_or(table.rest.is_some() || table.rest_into.is_some())
        }
        _ => true,
    }
}

/// The same for the field of rows with this name, if there is one.
fn row_reaches(
    plan: &Plan,
    level: usize,
    rows: &[Row],
    name: &str,
    below: &[&str],
) -> Option<bool> {
    let row = rows.iter().find(|row| row.name() == name.as_bytes())?;
    Some(match (&row.chain.first.operator, below) {
        (Operator::Document(inner), [name, rest @ ..]) => {
            row_reaches(plan, level, inner, name, rest).unwrap_or(true)
        }
        _ => {
            let feeds = feeds(plan, level, row);
            feeds.first().is_some_and(|feed| reaches(plan, &feed.inverse, below))
                || feeds.is_empty() && goes_back(plan, level, row)
        }
    })
}

/// Whether a table's documents go back as they stand.
pub(super) fn is_identity(plan: &Plan, table: usize) -> bool {
    let table = &plan.tables[table];
    table.keeping.is_none()
        && table.rest_into.is_none()
        && table.rows.iter().all(|row| {
            row.back == Back::Default
                && matches!(
                    feeds(plan, table.level, row).as_slice(),
                    [Feed { inverse: Inverse::Same, .. }]
                )
                && row.alternatives.iter().any(|one| Some(one.name) == row.own)
        })
}

/// Null, if a row writes it where its field is missing.
pub(super) fn null_if_missing(row: &Row) -> Option<Value<'_>> {
    let instead = row.chain.if_missing.as_ref().or(row.chain.if_null.as_ref());
    instead.map(Constant::value).filter(|value| value.kind == kind::NULL)
}

/// Whether either of two values is a document.
pub(super) fn is_any_document(one: Option<Value<'_>>, other: Option<Value<'_>>) -> bool {
    document(one).or(document(other)).is_some()
}
