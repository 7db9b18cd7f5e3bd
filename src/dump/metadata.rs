//! A collection's metadata: JSON that says what the collection is and which indexes it has.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// The metadata of a collection.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The file, byte for byte (uncompressed).
    pub bytes: Vec<u8>,
    /// `collection`, `view` or `timeseries`.
    pub kind: Option<String>,
    /// The indexes.
    pub indexes: Vec<Value>,
    /// The collection's options.
    pub options: serde_json::Map<String, Value>,
    /// The name that the metadata has for the collection.
    pub collection_name: Option<String>,
}

impl Metadata {
    /// Reads metadata; a file without bytes has none.
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Option<Metadata>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::input(path, format!("is no metadata of a collection: it is no JSON ({error})")))?;
        let Value::Object(json) = json else {
            return Err(Error::input(path, "is no metadata of a collection: it is JSON, but no object"));
        };
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Metadata {
            kind: text("type"),
            indexes: json.get("indexes").and_then(Value::as_array).cloned().unwrap_or_default(),
            options: json.get("options").and_then(Value::as_object).cloned().unwrap_or_default(),
            collection_name: text("collectionName"),
            bytes,
        }))
    }
    /// The collection that the metadata is of: as it says, or as the indexes of a server before 4.4 do.
    pub fn own_collection(&self) -> Option<&str> {
        let namespace = || self.indexes.iter().find_map(|index| index.get("ns")?.as_str());
        self.collection_name.as_deref().or_else(|| Some(namespace()?.split_once('.')?.1))
    }
    /// The indexes but the one on `_id`, which every collection has.
    pub fn own_indexes(&self) -> impl Iterator<Item = &Value> {
        self.indexes.iter().filter(|index| index.get("name").and_then(Value::as_str) != Some("_id_"))
    }
    /// Names and seconds of the indexes by which a server deletes old documents.
    pub fn ttl_indexes(&self) -> Vec<(String, String)> {
        let ttl = |index: &Value| {
            let seconds = index.get("expireAfterSeconds")?;
            let name = index.get("name").and_then(Value::as_str).unwrap_or("without a name");
            Some((name.to_owned(), relaxed(seconds).to_string()))
        };
        self.indexes.iter().filter_map(ttl).collect()
    }
}

/// The command for mongosh that creates an index as the metadata describes it.
pub fn create_index_command(collection: &str, index: &Value) -> String {
    let key = shell_text(index.get("key").unwrap_or(&Value::Null));
    let mut options = serde_json::Map::new();
    for (name, value) in index.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "key" | "v" | "ns") {
            options.insert(name.clone(), value.clone());
        }
    }
    let options = shell_text(&Value::Object(options));
    let collection = Value::from(collection);
    format!("db.getCollection({collection}).createIndex({key}, {options})")
}

/// Extended JSON as the shell reads it: as plain JSON where that says the same.
fn shell_text(value: &Value) -> String {
    let plain = relaxed(value);
    if is_plain(&plain) { plain.to_string() } else { format!("EJSON.parse({}, {{relaxed: false}})", Value::from(value.to_string())) }
}

/// Whether the shell takes this for what it means: no date, Decimal128 and so on, and no number that it would round.
fn is_plain(value: &Value) -> bool {
    const TYPES: [&str; 16] = [
        "$binary",
        "$code",
        "$date",
        "$dbPointer",
        "$maxKey",
        "$minKey",
        "$numberDecimal",
        "$numberDouble",
        "$numberInt",
        "$numberLong",
        "$oid",
        "$regularExpression",
        "$symbol",
        "$timestamp",
        "$undefined",
        "$uuid",
    ];
    match value {
        Value::Object(fields) => fields.iter().all(|(name, value)| !TYPES.contains(&name.as_str()) && is_plain(value)),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Number(number) => number.as_i64().is_none_or(|number| number.unsigned_abs() < 1 << 53),
        _ => true,
    }
}

/// Extended JSON with plain numbers where the shell takes them.
fn relaxed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            if let (1, Some((kind, Value::String(text)))) = (fields.len(), fields.iter().next()) {
                let number = match kind.as_str() {
                    "$numberInt" | "$numberLong" => text.parse::<i64>().ok().map(Value::from),
                    "$numberDouble" => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| match number as i64 {
                        whole if whole as f64 == number => Value::from(whole),
                        _ => Value::from(number),
                    }),
                    _ => None,
                };
                return number.unwrap_or_else(|| value.clone());
            }
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), relaxed(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(relaxed).collect()),
        other => other.clone(),
    }
}
