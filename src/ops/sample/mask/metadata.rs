//! The metadata of a masked collection: its plain indexes. What may hold values is left out: options
//! such as a validator, indexes on a part of the documents, and those of other kinds.

use serde_json::{Map, Value, json};

use super::Masker;
use crate::dump::{Metadata, index_name, relaxed};

/// What an index keeps, besides its key and its name.
const KEPT: [&str; 3] = ["v", "unique", "sparse"];
/// What an index can do without. A sample must not expire.
const WITHOUT: [&str; 6] = ["key", "name", "ns", "background", "hidden", "expireAfterSeconds"];

/// Metadata without values.
#[derive(Debug)]
pub struct MaskedMetadata {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many indexes it does not have.
    pub left_out: u64,
}

impl Masker {
    /// The metadata of a collection without values.
    pub fn metadata(&self, metadata: &Metadata, collection: &str) -> MaskedMetadata {
        let indexes: Vec<Value> =
            metadata.indexes.iter().filter_map(|index| self.index(index)).collect();
        let left_out = (metadata.indexes.len() - indexes.len()) as u64;
        let file = json!({
            "options": {},
            "indexes": indexes,
            "collectionName": collection,
            "type": "collection",
        });
        MaskedMetadata { bytes: file.to_string().into_bytes(), left_out }
    }

    fn index(&self, index: &Value) -> Option<Value> {
        let is_plain = |(name, value): (&String, &Value)| {
            let is_kept = KEPT.contains(&name.as_str()) && (value.is_boolean() || is_number(value));
            is_kept || WITHOUT.contains(&name.as_str())
        };
        let key = index.get("key")?.as_object()?;
        if !index.as_object()?.iter().all(is_plain) || !key.values().all(is_number) {
            return None;
        }
        let masked: Map<String, Value> =
            key.iter().map(|(path, direction)| (self.path(path), direction.clone())).collect();
        let name = index_name(index);
        let name = match name {
            _ if name == "_id_" || self.known.has_index(name) => name.to_owned(),
            _ if name == usual_name(key) => usual_name(&masked),
            _ => self.shown_name(name),
        };
        let mut of_sample = Map::new();
        for (word, value) in index.as_object()? {
            match word.as_str() {
                "key" => drop(of_sample.insert("key".to_owned(), Value::Object(masked.clone()))),
                "name" => drop(of_sample.insert("name".to_owned(), Value::from(name.as_str()))),
                word if KEPT.contains(&word) => {
                    drop(of_sample.insert(word.to_owned(), value.clone()))
                }
                _ => {}
            }
        }
        Some(Value::Object(of_sample))
    }

    fn path(&self, path: &str) -> String {
        let names: Vec<String> = path.split('.').map(|name| self.shown_name(name)).collect();
        names.join(".")
    }

    /// What replaces a name, as text.
    fn shown_name(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.name(name.as_bytes())).into_owned()
    }
}

fn is_number(value: &Value) -> bool {
    relaxed(value).is_number()
}

/// MongoDB's name of an index with this key.
fn usual_name(key: &Map<String, Value>) -> String {
    let part = |(path, direction): (&String, &Value)| format!("{path}_{}", relaxed(direction));
    key.iter().map(part).collect::<Vec<_>>().join("_")
}
