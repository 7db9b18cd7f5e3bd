//! The fields that an assessment counts: a mapping's `[assess]`.

use super::evaluate::descend;
use super::language::{Constant, Mapping, Operator, Path, Row};
use crate::raw::{self, Value, kind};

/// The fields that a mapping has `inspect` count.
#[derive(Debug, Default)]
pub struct Assess {
    /// By value.
    pub values: Vec<Counted>,
    /// Arrays, by length.
    pub lengths: Vec<Counted>,
    /// By owner.
    pub owners: Vec<Counted>,
    /// Dates, by range.
    pub dates: Vec<Counted>,
}

/// A field that is counted.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Its path, with dots.
    pub name: String,
    path: Vec<Box<[u8]>>,
    /// The values that the mapping lists (`enum`) for a row that copies the field.
    listed: Vec<Constant>,
}

impl Assess {
    pub(super) fn of(mapping: &Mapping) -> Assess {
        let of = |word: &str| -> Vec<Counted> {
            let named = mapping.assess.iter().filter(|(name, _)| name.as_str() == word);
            named.flat_map(|(_, paths)| paths).map(|path| Counted::new(mapping, path)).collect()
        };
        Assess {
            values: of("value"),
            lengths: of("length"),
            owners: of("owner"),
            dates: of("date"),
        }
    }
}

impl Counted {
    fn new(mapping: &Mapping, path: &Path) -> Counted {
        Counted {
            name: path.names.join("."),
            path: path.names.iter().map(|name| name.as_bytes().into()).collect(),
            listed: listed(mapping, path),
        }
    }

    /// Its value in a document, if that has one.
    pub fn value<'d>(&self, document: &'d [u8]) -> Option<Value<'d>> {
        descend(Value { kind: kind::DOCUMENT, bytes: document }, &self.path)
    }

    /// The values that the mapping lists, as messages show them. No other is shown.
    pub fn listed(&self) -> impl Iterator<Item = String> + '_ {
        self.listed.iter().map(|constant| raw::display_value(constant.value()))
    }

    /// The number of a value among those that the mapping lists.
    pub fn number_of(&self, value: Value<'_>) -> Option<usize> {
        self.listed.iter().position(|listed| listed.value() == value)
    }
}

fn listed(mapping: &Mapping, path: &Path) -> Vec<Constant> {
    let mut rows: Vec<&Row> = mapping.targets.iter().flat_map(|target| &target.fields).collect();
    while let Some(row) = rows.pop() {
        if let Some(Operator::Document(fields)) = &row.value.operator {
            rows.extend(fields);
        }
        let copied = match (&row.value.operator, &row.name) {
            (None, Some(name)) => std::slice::from_ref(&name.value),
            (Some(Operator::Copy { path, .. }), _) => path.names.as_slice(),
            _ => continue,
        };
        if let (Some(must), true) = (&row.must, copied == path.names)
            && !must.one_of.is_empty()
        {
            return must.one_of.clone();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::Plan;

    #[test]
    fn finds_the_values_that_a_mapping_lists() {
        let plan = Plan::built_in().expect("a mapping");
        let [risk] = plan.assess().values.as_slice() else { panic!("{:?}", plan.assess()) };
        assert_eq!(risk.listed().collect::<Vec<_>>(), ["'low'", "'medium'", "'high'"]);
        let document = bson::doc! { "pii_risk_level": "high" }.to_vec().expect("a document");
        let value = risk.value(&document).expect("a value");
        assert_eq!(risk.number_of(value), Some(2));
        // A field whose values the mapping does not list has none that may be shown.
        assert_eq!(plan.assess().owners[0].listed().count(), 0);
    }
}
