//! The values of unique indexes, as a server compares them.

use serde_json::Value as Json;

use crate::fingerprints::fingerprint_of;
use crate::plain::plain;
use crate::raw::{Elements, Value, kind};

/// A unique index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UniqueKey {
    pub(super) name: String,
    /// The paths of its fields.
    pub(super) fields: Vec<String>,
    /// It leaves out documents without any of its fields.
    is_sparse: bool,
}

impl UniqueKey {
    pub(super) fn new<'f>(name: &str, fields: impl Iterator<Item = &'f str>) -> UniqueKey {
        let fields = fields.map(str::to_owned).collect();
        UniqueKey { name: name.to_owned(), fields, is_sparse: false }
    }

    /// The unique index that metadata describes. None if it is the one on `_id`; the error is a remark
    /// on one whose values cannot be compared here.
    pub(super) fn of_metadata(index: &Json) -> Result<Option<UniqueKey>, String> {
        let name = index.get("name").and_then(Json::as_str).unwrap_or_default();
        let Some(key) = index.get("key").and_then(Json::as_object) else { return Ok(None) };
        for option in ["partialFilterExpression", "collation"] {
            if index.get(option).is_some() {
                return Err(format!(
                    "the unique index '{}' has the option {option}, so its values were not compared",
                    name.escape_debug()
                ));
            }
        }
        let mut found = UniqueKey::new(name, key.keys().map(String::as_str));
        found.is_sparse = index.get("sparse") == Some(&Json::Bool(true));
        Ok((found.fields != ["_id"]).then_some(found))
    }

    /// The fingerprints of a document's values. An array has one for each item.
    pub(super) fn fingerprints(&self, document: &[u8]) -> Vec<u128> {
        let values: Vec<Vec<Value<'_>>> =
            self.fields.iter().map(|path| values(document, path)).collect();
        if self.is_sparse && values.iter().all(Vec::is_empty) {
            return Vec::new();
        }
        // A server takes at most one array in an index, so at most one field has several values.
        let several = values.iter().position(|of_field| of_field.len() > 1);
        let count = several.map_or(1, |field| values[field].len());
        let combined = |number: usize| {
            let part = |(field, of_field): (usize, &Vec<Value<'_>>)| {
                let number = if Some(field) == several { number } else { 0 };
                fingerprint_as_key(of_field.get(number).copied().unwrap_or(Value::NULL))
            };
            let parts: Vec<u128> = values.iter().enumerate().map(part).collect();
            match parts.as_slice() {
                [part] => *part,
                parts => {
                    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
                    fingerprint_of(Value { kind: kind::BINARY, bytes: &bytes })
                }
            }
        };
        // An array with a value twice is one document with this value.
        let mut found: Vec<u128> = (0..count).map(combined).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The names of its fields, for messages: values of documents are in none.
    pub(super) fn names(&self) -> String {
        plain(&self.fields.join(", ")).into_owned()
    }
}

/// The values at a path; those of each item where it meets an array. None if there is no field.
fn values<'d>(document: &'d [u8], path: &str) -> Vec<Value<'d>> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let mut found: Vec<Value<'d>> =
        Elements::new(document).find(first.as_bytes()).into_iter().collect();
    for part in parts {
        found = found
            .into_iter()
            .flat_map(items)
            .filter(|value| value.kind == kind::DOCUMENT)
            .filter_map(|value| value.elements().find(part.as_bytes()))
            .collect();
    }
    found.into_iter().flat_map(items).collect()
}

/// The items of an array, or the value itself.
fn items(value: Value<'_>) -> Vec<Value<'_>> {
    match value.kind {
        kind::ARRAY => value.elements().map(|element| element.value()).collect(),
        _ => vec![value],
    }
}

/// The fingerprint of a value, the same for numbers that a server takes for equal, and for text and
/// symbols. Numbers inside documents, and Decimal128, are compared by their bytes.
pub(super) fn fingerprint_as_key(value: Value<'_>) -> u128 {
    let integer = match value.kind {
        kind::INT32 | kind::INT64 => value.integer(),
        kind::DOUBLE => value.bytes.first_chunk::<8>().and_then(|bytes| {
            let double = f64::from_le_bytes(*bytes);
            // The conversion saturates; what does not come back is no integer.
            let integer = double as i64;
            (integer as f64 == double && integer != i64::MAX).then_some(integer)
        }),
        _ => None,
    };
    match integer {
        Some(integer) => fingerprint_of(Value { kind: kind::INT64, bytes: &integer.to_le_bytes() }),
        None if value.kind == kind::SYMBOL => {
            fingerprint_of(Value { kind: kind::STRING, bytes: value.bytes })
        }
        None => fingerprint_of(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn of(key: &UniqueKey, document: &bson::Document) -> Vec<u128> {
        key.fingerprints(&document.to_vec().expect("a document"))
    }

    #[test]
    fn values_are_compared_as_a_server_does() {
        let key = UniqueKey::new("a", ["a"].into_iter());
        let one = of(&key, &doc! { "a": 1 });
        assert_eq!(one, of(&key, &doc! { "a": 1i64 }));
        assert_eq!(one, of(&key, &doc! { "a": 1.0 }));
        assert_ne!(one, of(&key, &doc! { "a": 1.5 }));
        assert_ne!(one, of(&key, &doc! { "a": "1" }));
        assert_eq!(of(&key, &doc! { "b": 1 }), of(&key, &doc! { "a": bson::Bson::Null }));
        assert!(of(&key, &doc! { "a": [2, 1, 2] }).contains(&one[0]));
        assert_eq!(of(&key, &doc! { "a": [2, 1, 2] }).len(), 2);
        let inner = UniqueKey::new("a.b", ["a.b"].into_iter());
        assert_eq!(of(&inner, &doc! { "a": [{ "b": 1 }, 2, { "c": 1 }] }), one);
        let both = UniqueKey::new("both", ["a", "b"].into_iter());
        assert_eq!(of(&both, &doc! { "a": [1, 2], "b": 3 }).len(), 2);
        assert_ne!(of(&both, &doc! { "a": 1, "b": 2 }), of(&both, &doc! { "a": 2, "b": 1 }));
        let sparse = UniqueKey { is_sparse: true, ..both };
        assert!(of(&sparse, &doc! { "c": 1 }).is_empty());
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let of = |index: &str| UniqueKey::of_metadata(&serde_json::from_str(index).expect("JSON"));
        let found = of(r#"{"name":"a_1","key":{"a":1,"b.c":-1},"unique":true,"sparse":true}"#);
        let expected = UniqueKey {
            name: "a_1".to_owned(),
            fields: vec!["a".to_owned(), "b.c".to_owned()],
            is_sparse: true,
        };
        assert_eq!(found, Ok(Some(expected)));
        assert_eq!(of(r#"{"name":"_id_","key":{"_id":1},"unique":true}"#), Ok(None));
        for option in ["partialFilterExpression", "collation"] {
            let found = of(&format!(r#"{{"name":"a_1","key":{{"a":1}},"{option}":{{}}}}"#));
            let remark = format!(
                "the unique index 'a_1' has the option {option}, so its values were not compared"
            );
            assert_eq!(found, Err(remark));
        }
    }
}
