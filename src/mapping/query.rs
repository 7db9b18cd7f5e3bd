//! Queries: the conditions of `where`, `when` and `requires`, in MongoDB's words and meaning. A path
//! does not go through arrays here; one that meets an array is reported.

use std::cmp::Ordering;

use super::evaluate::descend;
use super::language::{Constant, Kinds};
use super::plan::Path;
use super::shape::Record;
use super::texts::Texts;
use crate::raw::{Value, kind};

/// A condition on a document: all of these hold.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub all: Vec<Condition>,
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// One of these is neither missing nor null.
    AnySet(Vec<Path>),
    /// An array with an item.
    NotEmpty(Path),
    Or(Vec<Query>),
    Nor(Vec<Query>),
    Field(Path, Vec<Comparison>),
}

#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Equal(Constant),
    NotEqual(Constant),
    In(OneOf),
    NotIn(OneOf),
    Exists(bool),
    Type(Kinds),
    /// The value's order relative to a constant: the first two, or the last two.
    Ordered(Constant, [Ordering; 2]),
}

/// Some values, the texts among them found fast.
#[derive(Debug, Clone, Default)]
pub(super) struct OneOf {
    pub texts: Texts<()>,
    pub others: Vec<Constant>,
}

impl OneOf {
    pub fn new(values: &[Constant]) -> Self {
        let text = |value: &Constant| value.value().text().map(|text| (text.into(), ()));
        let others = values.iter().filter(|value| text(value).is_none());
        OneOf { texts: values.iter().filter_map(text).collect(), others: others.cloned().collect() }
    }
    /// Whether a value is one of these, as MongoDB compares.
    #[inline]
    pub fn has(&self, value: Value<'_>) -> bool {
        match value.text() {
            Some(text) => self.texts.find(text).is_some(),
            None => self.others.iter().any(|other| equal(value, other.value())),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.others.is_empty()
    }
}

impl Query {
    /// Whether it holds for a document. Sets `met_array` if a path met an array, whose items
    /// MongoDB would have looked at.
    pub fn holds(&self, record: Record<'_>, met_array: &mut bool) -> bool {
        self.all.iter().all(|condition| condition.holds(record, met_array))
    }
}

impl Condition {
    fn holds(&self, record: Record<'_>, met_array: &mut bool) -> bool {
        match self {
            Condition::AnySet(paths) => paths
                .iter()
                .any(|path| follow(record, path, met_array).is_some_and(|value| !value.is_null())),
            Condition::NotEmpty(path) => follow(record, path, met_array)
                .is_some_and(|value| value.kind == kind::ARRAY && !value.is_empty_array()),
            Condition::Or(queries) => queries.iter().any(|query| query.holds(record, met_array)),
            Condition::Nor(queries) => !queries.iter().any(|query| query.holds(record, met_array)),
            Condition::Field(path, comparisons) => {
                let value = follow(record, path, met_array);
                comparisons.iter().all(|comparison| comparison.holds(value, met_array))
            }
        }
    }
}

impl Comparison {
    fn holds(&self, value: Option<Value<'_>>, met_array: &mut bool) -> bool {
        let looks_inside = !matches!(self, Comparison::Exists(_) | Comparison::Type(_));
        *met_array |= looks_inside && value.is_some_and(|value| value.kind == kind::ARRAY);
        // MongoDB takes a missing field for null in comparisons.
        let or_null = value.unwrap_or(Value::NULL);
        match self {
            Comparison::Equal(other) => equal(or_null, other.value()),
            Comparison::NotEqual(other) => !equal(or_null, other.value()),
            Comparison::In(values) => values.has(or_null),
            Comparison::NotIn(values) => !values.has(or_null),
            Comparison::Exists(exists) => value.is_some() == *exists,
            Comparison::Type(kinds) => value.is_some_and(|value| kinds.has(value.kind)),
            Comparison::Ordered(other, orders) => value
                .and_then(|value| order(value, other.value()))
                .is_some_and(|order| orders.contains(&order)),
        }
    }
}

fn follow<'a>(record: Record<'a>, path: &Path, met_array: &mut bool) -> Option<Value<'a>> {
    let head = record.get(path.head)?;
    let found = descend(head, &path.below);
    if found.is_none() {
        let meets = |depth: &usize| {
            descend(head, &path.below[..*depth]).is_some_and(|value| value.kind == kind::ARRAY)
        };
        *met_array |= (0..path.below.len()).any(|depth| meets(&depth));
    }
    found
}

/// Whether two values are equal for MongoDB: numbers by their value, all others by type and bytes.
pub(super) fn equal(one: Value<'_>, other: Value<'_>) -> bool {
    one == other || order(one, other) == Some(Ordering::Equal)
}

/// The order of two values of one kind of type; none if MongoDB would not compare them.
pub(super) fn order(one: Value<'_>, other: Value<'_>) -> Option<Ordering> {
    if let (Some(one), Some(other)) = (Number::of(one), Number::of(other)) {
        return one.order(other);
    }
    if one.kind != other.kind {
        return None;
    }
    match one.kind {
        kind::STRING => Some(one.text()?.cmp(other.text()?)),
        kind::DATE => Some(one.date_millis()?.cmp(&other.date_millis()?)),
        kind::OBJECT_ID | kind::BOOLEAN => Some(one.bytes.cmp(other.bytes)),
        kind::TIMESTAMP => {
            let number = |value: Value<'_>| value.bytes.try_into().ok().map(u64::from_le_bytes);
            Some(number(one)?.cmp(&number(other)?))
        }
        _ => (one == other).then_some(Ordering::Equal),
    }
}

/// A number of any type.
#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    fn of(value: Value<'_>) -> Option<Number> {
        value
            .integer()
            .map(Number::Integer)
            .or_else(|| value.double().or_else(|| decimal(value)).map(Number::Double))
    }
    fn order(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(one), Number::Integer(other)) => Some(one.cmp(&other)),
            (Number::Double(one), Number::Double(other)) => one.partial_cmp(&other),
            (Number::Integer(one), Number::Double(other)) => integer_and_double(one, other),
            (Number::Double(one), Number::Integer(other)) => {
                integer_and_double(other, one).map(Ordering::reverse)
            }
        }
    }
}

/// The value of a number of any type, as a double.
pub(super) fn as_double(value: Value<'_>) -> Option<f64> {
    Number::of(value).map(|number| match number {
        Number::Integer(integer) => integer as f64,
        Number::Double(double) => double,
    })
}

/// Compares exactly: a double cannot hold each int64.
fn integer_and_double(integer: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // 2^63; smaller doubles have an integral part that is an int64.
    if double >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if double < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    Some(integer.cmp(&(whole as i64)).then(0.0.partial_cmp(&(double - whole))?))
}

/// A decimal as the nearest double.
fn decimal(value: Value<'_>) -> Option<f64> {
    if value.kind != kind::DECIMAL128 {
        return None;
    }
    let bytes: [u8; 16] = value.bytes.try_into().ok()?;
    bson::Decimal128::from_bytes(bytes).to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_exactly() {
        let cases = [
            (1, 1.0, Ordering::Equal),
            (1, 1.5, Ordering::Less),
            (-1, -1.5, Ordering::Greater),
            (2, 1.5, Ordering::Greater),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Ordering::Greater),
            (i64::MAX, 9_223_372_036_854_775_808.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
            (0, f64::INFINITY, Ordering::Less),
            (0, f64::NEG_INFINITY, Ordering::Greater),
        ];
        for (integer, double, expected) in cases {
            assert_eq!(integer_and_double(integer, double), Some(expected), "{integer} {double}");
        }
        assert_eq!(integer_and_double(0, f64::NAN), None);
    }
}
