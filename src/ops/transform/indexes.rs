//! The metadata of targets: their indexes and options. A target with the source's name keeps those of
//! the source.

use bson::{Bson, Document, doc};
use serde_json::Value;

use super::{Indexes, Options};
use crate::dump::Metadata;
use crate::mapping::{KeptIndex, Plan};

/// The metadata of a target, as mongorestore reads it: canonical Extended JSON.
pub(super) fn metadata_text(
    plan: &Plan,
    target: usize,
    collection: &str,
    options: &Options,
    source: Option<&Metadata>,
) -> String {
    let kept = kept_metadata(plan, target, source);
    let mut list: Vec<Value> = kept.iter().flat_map(|kept| kept.indexes.iter().cloned()).collect();
    if kept.is_none() {
        list.push(
            Bson::from(doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" })
                .into_canonical_extjson(),
        );
    }
    let is_left_out = |unique: bool| match options.indexes {
        Indexes::All => false,
        Indexes::NonUnique => unique,
        Indexes::None => true,
    };
    list.retain(|index| {
        let is_unique = index.get("unique").and_then(Value::as_bool).unwrap_or(false);
        index.get("name").and_then(Value::as_str) == Some("_id_") || !is_left_out(is_unique)
    });
    for index in plan.indexes(target).iter().filter(|index| !is_left_out(index.unique)) {
        let key: Document = index
            .key
            .iter()
            .map(|(name, direction)| (name.clone(), Bson::Int32(*direction as i32)))
            .collect();
        let mut entry = doc! { "v": 2, "key": key, "name": &index.name };
        if index.unique {
            entry.insert("unique", true);
        }
        list.push(Bson::from(entry).into_canonical_extjson());
    }
    let options = kept.map(|kept| Value::Object(kept.options));
    let mut metadata = serde_json::Map::new();
    metadata
        .insert("options".to_owned(), options.unwrap_or_else(|| Value::Object(Default::default())));
    metadata.insert("indexes".to_owned(), Value::Array(list));
    metadata.insert("collectionName".to_owned(), Value::from(collection));
    metadata.insert("type".to_owned(), Value::from("collection"));
    Value::Object(metadata).to_string()
}

/// What a target keeps of the source's metadata.
struct Kept {
    indexes: Vec<Value>,
    options: serde_json::Map<String, Value>,
}

fn kept_metadata(plan: &Plan, target: usize, source: Option<&Metadata>) -> Option<Kept> {
    let metadata = source.filter(|_| plan.is_source(target))?;
    let is_kept = |index: &&Value| {
        let name = index.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_dropped = plan.drop_indexes(target).iter().any(|dropped| dropped == name);
        let is_replaced = plan.indexes(target).iter().any(|index| index.name == name);
        !is_dropped && !is_replaced
    };
    Some(Kept {
        indexes: metadata.indexes.iter().filter(is_kept).cloned().collect(),
        options: metadata.options.clone(),
    })
}

/// The unique indexes that a target with the source's name keeps. What they hold changes, so their
/// values are checked as those of the mapping's indexes are. Those whose values cannot be checked are
/// remarks.
pub(crate) fn kept_unique(
    plan: &Plan,
    source: Option<&Metadata>,
    namespace: &str,
    remarks: &mut Vec<String>,
) -> Vec<KeptIndex> {
    let mut unique = Vec::new();
    for target in (0..plan.target_count()).filter(|target| plan.is_source(*target)) {
        let Some(kept) = kept_metadata(plan, target, source) else { continue };
        for index in &kept.indexes {
            let name = index.get("name").and_then(Value::as_str).unwrap_or_default();
            if index.get("unique").and_then(Value::as_bool) != Some(true) || name == "_id_" {
                continue;
            }
            let has = |what: &str| index.get(what).is_some_and(|value| !value.is_null());
            if has("partialFilterExpression") || has("collation") {
                remarks.push(format!(
                    "{namespace} keeps the unique index '{name}', which has a filter or a collation: whether the documents fulfil it is not checked"
                ));
                continue;
            }
            let key = index.get("key").and_then(Value::as_object);
            let paths = key
                .into_iter()
                .flatten()
                .map(|(path, _)| path.split('.').map(|name| name.as_bytes().into()).collect());
            unique.push(KeptIndex {
                target,
                name: name.to_owned(),
                paths: paths.collect(),
                is_sparse: index.get("sparse").and_then(Value::as_bool).unwrap_or(false),
            });
        }
    }
    unique
}
