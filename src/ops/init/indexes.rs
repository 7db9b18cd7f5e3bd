//! The indexes of a collection, as far as a mapping can say them.

use serde_json::Value;

use super::super::survey::unsayable;
use super::toml::{InlineTable, string};
use crate::dump::{Metadata, index_name, relaxed};

/// The number of indexes that a server allows a collection.
const MOST_INDEXES: usize = 64;
/// The largest row that is written; a server's limit on names makes real ones smaller.
const MOST_ROW_BYTES: usize = 2048;

/// The indexes of a collection but for the one on `_id`.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// Those that a mapping can say, as TOML.
    pub(super) rows: Vec<String>,
    /// The others.
    pub(super) left_out: Vec<LeftOut>,
}

/// An index that a mapping cannot say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) name: String,
    /// What cannot be said: names of options, no values.
    pub(super) because_of: String,
}

impl Indexes {
    /// Those in a collection's metadata.
    pub(super) fn of(metadata: &Metadata) -> Indexes {
        let mut indexes = Indexes::default();
        for index in metadata.own_indexes() {
            match row(index) {
                Ok(row) if indexes.rows.len() < MOST_INDEXES => indexes.rows.push(row),
                Ok(_) => indexes.leave_out(index, "more than a server allows".to_owned()),
                Err(because_of) => indexes.leave_out(index, because_of),
            }
        }
        indexes
    }

    fn leave_out(&mut self, index: &Value, because_of: String) {
        self.left_out.push(LeftOut { name: index_name(index).to_owned(), because_of });
    }
}

/// An index as a mapping says it, or what cannot be said.
fn row(index: &Value) -> Result<String, String> {
    let Some(key) = index.get("key").and_then(key) else { return Err("its key".to_owned()) };
    let Some(name) = index.get("name").and_then(Value::as_str) else {
        return Err("it has no name".to_owned());
    };
    let options = unsayable_options(index);
    if !options.is_empty() {
        return Err(options.join(", "));
    }
    let mut row = InlineTable::default();
    let mut fields = InlineTable::default();
    key.iter().for_each(|(field, direction)| fields.entry(field, direction));
    row.entry("key", fields.finish());
    if index.get("unique") == Some(&Value::Bool(true)) {
        row.entry("unique", true);
    }
    if name != default_name(&key) {
        row.entry("name", string(name));
    }
    let row = row.finish();
    if row.len() > MOST_ROW_BYTES { Err("its length".to_owned()) } else { Ok(row) }
}

/// The fields of a key with their directions, if they are paths and 1 or -1.
fn key(key: &Value) -> Option<Vec<(&str, i64)>> {
    let is_path = |field: &str| {
        field.split('.').all(|name| unsayable(name.as_bytes()).is_none() && !name.starts_with('$'))
    };
    let fields = key.as_object().filter(|fields| !fields.is_empty())?;
    fields
        .iter()
        .map(|(field, value)| {
            let value = relaxed(value);
            let direction = [1, -1].into_iter().find(|one| value.as_f64() == Some(*one as f64));
            direction.filter(|_| is_path(field)).map(|direction| (field.as_str(), direction))
        })
        .collect()
}

/// The names of the options that change what an index is, and that a mapping has no word for.
fn unsayable_options(index: &Value) -> Vec<String> {
    let is_sayable = |(name, value): &(&String, &Value)| match name.as_str() {
        "key" | "name" | "v" | "ns" | "background" => true,
        "unique" => value.is_boolean(),
        _ => **value == Value::Bool(false),
    };
    let options = index.as_object().into_iter().flatten();
    options.filter(|option| !is_sayable(option)).map(|(name, _)| name.clone()).collect()
}

/// The name that MongoDB gives an index of this key.
fn default_name(key: &[(&str, i64)]) -> String {
    let parts: Vec<String> =
        key.iter().map(|(field, direction)| format!("{field}_{direction}")).collect();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn say_keys_uniqueness_and_names() {
        for (index, expected) in [
            (
                json!({"key": {"a": {"$numberInt": "1"}}, "name": "a_1", "v": 2}),
                r#"{ key = { a = 1 } }"#,
            ),
            (
                json!({"key": {"b.c": -1.0, "a": {"$numberDouble": "1.0"}}, "name": "b.c_-1_a_1", "unique": true}),
                r#"{ key = { "b.c" = -1, a = 1 }, unique = true }"#,
            ),
            (
                json!({"key": {"a": {"$numberLong": "1"}}, "name": "mine \"a\"", "sparse": false, "background": true}),
                r#"{ key = { a = 1 }, name = "mine \"a\"" }"#,
            ),
        ] {
            assert_eq!(row(&index).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn name_what_cannot_be_said() {
        for (index, expected) in [
            (
                json!({"key": {"a": 1}, "name": "a_1", "expireAfterSeconds": 9, "sparse": true}),
                "expireAfterSeconds, sparse",
            ),
            (
                json!({"key": {"a": 1}, "name": "a_1", "partialFilterExpression": {"b": "secret"}}),
                "partialFilterExpression",
            ),
            (json!({"key": {"a": "text"}, "name": "a_text"}), "its key"),
            (json!({"key": {"a": 2}, "name": "a_2"}), "its key"),
            (json!({"key": {"$**": 1}, "name": "all"}), "its key"),
            (json!({"key": {"a.0": 1}, "name": "a.0_1"}), "its key"),
            (json!({"key": {}, "name": "none"}), "its key"),
            (json!({"name": "none"}), "its key"),
            (json!({"key": {"a": 1}}), "it has no name"),
            (json!({"key": {"a": 1}, "name": "x".repeat(3000)}), "its length"),
        ] {
            assert_eq!(row(&index), Err(expected.to_owned()));
        }
    }
}
