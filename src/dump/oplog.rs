//! The oplog of `mongodump --oplog`: operations that happened during the dump and are in no collection's file.

use std::io::Read;
use std::path::Path;

use crate::batch::{Batch, Splitter};
use crate::error::{Error, Result};
use crate::raw::{Elements, Validator, Value, kind};

/// Limit of an oplog entry: mongorestore's for oplog replay, 16 MiB + 16 KiB.
const MAX_ENTRY_BYTES: usize = 16 * 1024 * 1024 + 16 * 1024;

/// How many operations touch a namespace, those inside `applyOps` included, and how many there are.
pub(super) fn operations(stream: impl Read, path: &Path, namespace: &str) -> Result<(u64, u64)> {
    let file = path.display().to_string();
    let mut splitter = Splitter::new(stream, 0, file.clone()).with_limit(MAX_ENTRY_BYTES);
    let mut batch = Batch::default();
    let mut validator = Validator::default();
    let (mut touching, mut all) = (0, 0);
    while splitter.fill(&mut batch)? {
        for (index, entry) in batch.documents().enumerate() {
            validator.check(entry).map_err(|fault| Error::document(batch.position(index, &file), fault))?;
            all += 1;
            touching += touching_in(entry, namespace);
        }
    }
    Ok((touching, all))
}

/// Operations on the namespace in one entry; a work list instead of recursion, as `applyOps` nest.
pub(crate) fn touching_in(entry: &[u8], namespace: &str) -> u64 {
    let (database, collection) = namespace.split_once('.').unwrap_or((namespace, ""));
    let mut touching = 0;
    let mut open = vec![entry];
    while let Some(operation) = open.pop() {
        let field = |name: &[u8]| Elements::new(operation).find(name);
        let on = field(b"ns").and_then(|value| value.text()).unwrap_or_default();
        let command = field(b"o").filter(|value| value.kind == kind::DOCUMENT);
        if on == namespace.as_bytes() {
            touching += 1;
            continue;
        }
        let Some(command) = command.filter(|_| field(b"op").and_then(|op| op.text()) == Some(b"c")) else { continue };
        if let Some(operations) = command.elements().find(b"applyOps").filter(|value| value.kind == kind::ARRAY) {
            open.extend(
                operations
                    .elements()
                    .map(|operation| operation.value())
                    .filter(|value| value.kind == kind::DOCUMENT)
                    .map(|value| value.bytes),
            );
            continue;
        }
        let names_it = |value: Value<'_>| value.text().is_some_and(|text| text == collection.as_bytes() || text == namespace.as_bytes());
        let is_here = on.strip_suffix(b".$cmd") == Some(database.as_bytes());
        let first_names_it =
            command.elements().next().is_some_and(|first| is_here && (first.key() == b"dropDatabase" || names_it(first.value())));
        let renames_it = command.elements().any(|element| element.key() == b"to" && names_it(element.value()));
        if first_names_it
            || renames_it
            || command.elements().next().is_some_and(|first| first.key() == b"renameCollection" && names_it(first.value()))
        {
            touching += 1;
        }
    }
    touching
}
