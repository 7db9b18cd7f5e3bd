//! The fields of a collection's documents, as a survey has seen them.

use serde::Serialize;

use crate::ops::survey::{Example, Field, Survey, Values};
use crate::raw::kind_name;

/// A field, or the items of an array.
#[derive(Debug, Serialize)]
pub struct Place {
    /// Its path: `a.b`, or `a[]` for the items of an array.
    pub path: String,
    /// How many documents have it: of the collection, or of the embedded documents. Of an array's
    /// items, how many there are.
    pub documents: u64,
    /// How many could have it.
    pub of: u64,
    /// The `_id` of the first document that lacks it. Only of the collection's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
    /// The types of its values, the most common first.
    pub types: Vec<TypeCount>,
}

/// How many values have a type.
#[derive(Debug, Serialize)]
pub struct TypeCount {
    /// The type, as MongoDB names it.
    #[serde(rename = "type")]
    pub name: &'static str,
    /// The values.
    pub values: u64,
    /// The `_id` of the first document with one.
    pub first: String,
}

impl Place {
    /// Whether all documents have it, with values of one type.
    pub fn is_uniform(&self) -> bool {
        self.documents == self.of && self.types.len() < 2
    }
    /// Whether it is a field of the collection's documents themselves.
    pub fn is_top(&self) -> bool {
        !self.path.contains(['.', '['])
    }
}

/// What is shown instead of the `_id` of a document that has none.
fn shown(example: &Example) -> String {
    example.as_deref().unwrap_or("no _id").to_owned()
}

/// All places that were followed, each followed by those in it.
pub(super) fn of(survey: &Survey) -> Vec<Place> {
    let mut places = Vec::new();
    let fields: Vec<&Field> = survey.fields().collect();
    let mut open: Vec<(Place, &Values)> = fields
        .into_iter()
        .rev()
        .map(|field| {
            let mut place = place(shown_name(&field.name), &field.values);
            place.documents = field.seen.documents;
            place.of = survey.documents();
            place.lacking = field.lacking.as_ref().map(shown);
            (place, &field.values)
        })
        .collect();
    while let Some((place, values)) = open.pop() {
        let mut inner = inner(&place.path, values);
        inner.reverse();
        open.append(&mut inner);
        places.push(place);
    }
    places
}

/// The fields of the documents among values, and the items of the arrays.
fn inner<'s>(path: &str, values: &'s Values) -> Vec<(Place, &'s Values)> {
    let mut inner = Vec::new();
    if let Some(fields) = values.fields() {
        for field in fields.in_order() {
            let mut place = place(format!("{path}.{}", shown_name(&field.name)), &field.values);
            place.documents = field.seen.documents;
            place.of = fields.documents();
            inner.push((place, &field.values));
        }
    }
    inner.extend(values.items().map(|items| (place(format!("{path}[]"), items), items)));
    inner
}

fn place(path: String, values: &Values) -> Place {
    let types: Vec<TypeCount> = values
        .types()
        .into_iter()
        .map(|seen| TypeCount {
            name: kind_name(seen.kind),
            values: seen.values,
            first: shown(&seen.first),
        })
        .collect();
    let all = types.iter().map(|one| one.values).sum();
    Place { path, documents: all, of: all, lacking: None, types }
}

fn shown_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}
