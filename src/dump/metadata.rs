//! The metadata of a collection: JSON with its type, options and indexes.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::plain::plain_json;

/// The largest metadata accepted. A server allows 64 indexes and a validator, some tens of
/// kilobytes; all of it goes into one document of the rollback journal.
pub const MOST_METADATA_BYTES: u64 = 1024 * 1024;

/// Fails if metadata is too large.
pub(super) fn check_metadata_size(bytes: u64, path: &Path) -> Result<()> {
    if bytes <= MOST_METADATA_BYTES {
        return Ok(());
    }
    let what = format!(
        "has more than {MOST_METADATA_BYTES} bytes of metadata, more than any collection has; is it another file under this name?"
    );
    Err(Error::input(path, what))
}

/// The metadata of a collection.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The file, byte for byte (uncompressed).
    pub(crate) bytes: Vec<u8>,
    /// `collection`, `view` or `timeseries`.
    pub(crate) kind: Option<String>,
    pub(crate) indexes: Vec<Value>,
    pub(crate) options: serde_json::Map<String, Value>,
    /// The collection's name according to the metadata.
    pub(crate) collection_name: Option<String>,
    /// All other keys but `uuid`, which changes with every restore.
    others: serde_json::Map<String, Value>,
}

impl Metadata {
    /// Parses metadata; an empty file has none.
    #[doc(hidden)]
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Option<Metadata>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        check_metadata_size(bytes.len() as u64, path)?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|error| {
            Error::input(path, format!("is not a collection's metadata: it is not JSON ({error})"))
        })?;
        let Value::Object(mut json) = json else {
            return Err(Error::input(
                path,
                "is not a collection's metadata: it is JSON, but not an object",
            ));
        };
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut metadata = Metadata {
            kind: text("type"),
            indexes: json.get("indexes").and_then(Value::as_array).cloned().unwrap_or_default(),
            options: json.get("options").and_then(Value::as_object).cloned().unwrap_or_default(),
            collection_name: text("collectionName"),
            others: serde_json::Map::new(),
            bytes,
        };
        json.retain(|name, _| {
            !["type", "indexes", "options", "collectionName", "uuid"].contains(&name.as_str())
        });
        metadata.others = json;
        Ok(Some(metadata))
    }
    /// The metadata file, byte for byte (uncompressed).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// `collection`, `view` or `timeseries`, if the metadata says so.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
    /// The names of the indexes, in the file's order.
    pub fn index_names(&self) -> Vec<&str> {
        self.indexes.iter().map(index_name).collect()
    }
    /// The commands for `mongosh` that create the indexes of a collection of this name, but for the
    /// one on `_id`.
    pub fn create_index_commands(&self, collection: &str) -> Vec<String> {
        self.own_indexes().map(|index| create_index_command(collection, index)).collect()
    }
    /// How this metadata differs from what it was. What a restore changes does not count: the `uuid`,
    /// and the order of indexes and of keys if it means nothing.
    #[doc(hidden)]
    pub fn differences(&self, was: &Metadata) -> Vec<String> {
        let mut differences = Vec::new();
        if (&self.kind, &self.collection_name) != (&was.kind, &was.collection_name) {
            differences.push("it is of another kind or name".to_owned());
        }
        if self.options != was.options || self.others != was.others {
            let shown = |metadata: &Metadata| Value::Object(metadata.options.clone()).to_string();
            differences.push(format!("options are {}, were {}", shown(self), shown(was)));
        }
        differences.extend(self.index_differences(was));
        differences.extend(
            self.further_indexes(was).map(|name| format!("index '{}' is new", name.escape_debug())),
        );
        differences
    }
    /// Indexes, as a set by name, that are missing here or have changed.
    #[doc(hidden)]
    pub fn index_differences(&self, was: &Metadata) -> Vec<String> {
        let differences = was.indexes.iter().filter_map(|was| {
            let name = index_name(was);
            let named = self.indexes.iter().filter(|index| index_name(index) == name);
            // Metadata that no server wrote may have several of one name.
            let differing: Option<Vec<String>> =
                named.map(|index| index_difference(index, was)).collect();
            let what = differing?.into_iter().next().unwrap_or_else(|| "is missing".to_owned());
            Some(format!("index '{}' {what}", name.escape_debug()))
        });
        differences.collect()
    }
    /// The names of new indexes.
    #[doc(hidden)]
    pub fn further_indexes<'a>(&'a self, was: &'a Metadata) -> impl Iterator<Item = &'a str> {
        let known = |name: &str| was.indexes.iter().any(|was| index_name(was) == name);
        self.indexes.iter().map(index_name).filter(move |name| !known(name))
    }
    /// The collection that the metadata belongs to: by its own key, or by the indexes of a server
    /// before 4.4.
    #[doc(hidden)]
    pub fn own_collection(&self) -> Option<&str> {
        let namespace = || self.indexes.iter().find_map(|index| index.get("ns")?.as_str());
        self.collection_name.as_deref().or_else(|| Some(namespace()?.split_once('.')?.1))
    }
    /// What each index is.
    pub(crate) fn index_definitions(&self) -> impl Iterator<Item = IndexDefinition> {
        self.indexes.iter().map(IndexDefinition::of)
    }
    /// The unique indexes, as the metadata has them.
    pub(crate) fn unique_indexes(&self) -> impl Iterator<Item = &Value> {
        self.indexes.iter().filter(|index| index.get("unique") == Some(&Value::Bool(true)))
    }
    /// All indexes but the one on `_id`, which every collection has.
    pub(crate) fn own_indexes(&self) -> impl Iterator<Item = &Value> {
        self.indexes.iter().filter(|index| index_name(index) != "_id_")
    }
    /// Names and seconds of the indexes that make a server delete old documents.
    #[doc(hidden)]
    pub fn ttl_indexes(&self) -> Vec<(String, String)> {
        let ttl = |index: &Value| {
            let seconds = index.get("expireAfterSeconds")?;
            Some((index_name(index).to_owned(), relaxed(seconds).to_string()))
        };
        self.indexes.iter().filter_map(ttl).collect()
    }
}

/// An index's name. mongorestore skips an index without one.
pub(crate) fn index_name(index: &Value) -> &str {
    index.get("name").and_then(Value::as_str).unwrap_or("(without a name)")
}

/// What a server compares of an index that it is to build again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexDefinition {
    name: String,
    key: String,
    options: Value,
}

impl IndexDefinition {
    fn of(index: &Value) -> Self {
        let mut options = index_options(index);
        if let Some(options) = options.as_object_mut() {
            options.remove("name");
        }
        IndexDefinition { name: index_name(index).to_owned(), key: index_key(index), options }
    }
    /// Whether a server refuses one of them where the other is.
    pub(crate) fn contradicts(&self, other: &IndexDefinition) -> bool {
        match self.name == other.name {
            true => self != other,
            false => (&self.key, &self.options) == (&other.key, &other.options),
        }
    }
}

impl std::fmt::Display for IndexDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "index '{}' with key {}", self.name.escape_debug(), self.key)?;
        match self.options.as_object().is_none_or(serde_json::Map::is_empty) {
            true => Ok(()),
            false => write!(f, " and options {}", self.options),
        }
    }
}

/// An index's key as text: the order of its fields matters, and comparing maps ignores it.
fn index_key(index: &Value) -> String {
    index.get("key").map(relaxed).unwrap_or_default().to_string()
}

/// An index's options but for those that mean nothing: the format's version, the namespace of old
/// servers, how the index was built, and `false`.
fn index_options(index: &Value) -> Value {
    let mut options = index.as_object().cloned().unwrap_or_default();
    options.retain(|name, value| {
        !["key", "v", "ns", "background"].contains(&name.as_str()) && *value != Value::Bool(false)
    });
    relaxed(&Value::Object(options))
}

/// Describes how an index differs from an earlier one.
fn index_difference(is: &Value, was: &Value) -> Option<String> {
    if index_key(is) != index_key(was) {
        return Some(format!("has key {}, it was {}", index_key(is), index_key(was)));
    }
    let (is, was) = (index_options(is), index_options(was));
    if is == was {
        return None;
    }
    let is_unique = |options: &Value| options.get("unique") == Some(&Value::Bool(true));
    Some(match (is_unique(&is), is_unique(&was)) {
        (false, true) => "is no longer unique".to_owned(),
        _ => format!("has options {is}, they were {was}"),
    })
}

/// The command for mongosh that creates an index from its metadata.
fn create_index_command(collection: &str, index: &Value) -> String {
    let key = shell_text(index.get("key").unwrap_or(&Value::Null));
    let mut options = serde_json::Map::new();
    for (name, value) in index.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "key" | "v" | "ns") {
            options.insert(name.clone(), value.clone());
        }
    }
    let options = shell_text(&Value::Object(options));
    let collection = Value::from(collection);
    let command = format!("db.getCollection({collection}).createIndex({key}, {options})");
    plain_json(&command).into_owned()
}

/// Extended JSON as the shell reads it: plain JSON if that means the same.
fn shell_text(value: &Value) -> String {
    let plain = relaxed(value);
    if is_plain(&plain) {
        plain.to_string()
    } else {
        format!("EJSON.parse({}, {{relaxed: false}})", Value::from(value.to_string()))
    }
}

/// Whether the shell reads this for what it means: no date, Decimal128 and so on, and no number that
/// it would round.
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
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| !TYPES.contains(&name.as_str()) && is_plain(value))
        }
        Value::Array(items) => items.iter().all(is_plain),
        Value::Number(number) => {
            number.as_i64().is_none_or(|number| number.unsigned_abs() < 1 << 53)
        }
        _ => true,
    }
}

/// Extended JSON with plain numbers if the shell accepts them.
pub(crate) fn relaxed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            if let (1, Some((kind, Value::String(text)))) = (fields.len(), fields.iter().next()) {
                let number = match kind.as_str() {
                    "$numberInt" | "$numberLong" => text.parse::<i64>().ok().map(Value::from),
                    "$numberDouble" => {
                        text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| {
                            match number as i64 {
                                whole if whole as f64 == number => Value::from(whole),
                                _ => Value::from(number),
                            }
                        })
                    }
                    _ => None,
                };
                return number.unwrap_or_else(|| value.clone());
            }
            Value::Object(
                fields.iter().map(|(name, value)| (name.clone(), relaxed(value))).collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(relaxed).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_of_one_name_are_compared_with_all_of_that_name() {
        let of = |indexes: &str| {
            let text = format!(r#"{{"indexes":[{indexes}]}}"#);
            Metadata::parse(text.into_bytes(), Path::new("m")).ok().flatten().expect("metadata")
        };
        let both = of(r#"{"key":{"a":1}},{"key":{"b":1}}"#);
        assert_eq!(both.differences(&both), Vec::<String>::new());
        let one = of(r#"{"key":{"a":1}}"#);
        assert_eq!(
            one.differences(&both),
            [r#"index '(without a name)' has key {"a":1}, it was {"b":1}"#]
        );
        let none = of("");
        assert_eq!(none.differences(&one), ["index '(without a name)' is missing"]);
    }
}
