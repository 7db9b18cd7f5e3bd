//! The oplog of `mongodump --oplog`: operations that happened during the dump, and are not in any
//! collection's file.

use std::path::Path;

use crate::base::documents::{Checking, each_document};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::error::Result;
use crate::progress::Progress;
use crate::raw::{Elements, Value, kind};

/// The largest oplog entry: mongorestore's limit for oplog replay, 16 MiB + 16 KiB.
const MAX_ENTRY_BYTES: usize = 16 * 1024 * 1024 + 16 * 1024;

/// How many operations an oplog has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OplogOperations {
    /// Those that touch a namespace.
    pub touching: u64,
    /// All entries of the oplog.
    pub all: u64,
}

/// Counts the entries of an oplog, and the operations that touch a namespace.
pub(super) fn operations(
    disk: &Disk,
    path: &Path,
    namespace: &str,
    progress: &dyn Progress,
) -> Result<OplogOperations> {
    let mut input = Splitter::open(disk, path)?.with_limit(MAX_ENTRY_BYTES);
    let mut touching = 0;
    let counts = each_document(&mut input, Checking::Validity, progress, |entry| {
        touching += touching_in(entry.bytes(), namespace);
        Ok(())
    })?;
    Ok(OplogOperations { touching, all: counts.documents })
}

/// Operations on the namespace in one entry. `applyOps` nest, so this uses a work list, not recursion.
#[doc(hidden)]
pub fn touching_in(entry: &[u8], namespace: &str) -> u64 {
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
        let Some(command) = command.filter(|_| field(b"op").and_then(|op| op.text()) == Some(b"c"))
        else {
            continue;
        };
        if let Some(operations) =
            command.elements().find(b"applyOps").filter(|value| value.kind == kind::ARRAY)
        {
            open.extend(
                operations
                    .elements()
                    .map(|operation| operation.value())
                    .filter(|value| value.kind == kind::DOCUMENT)
                    .map(|value| value.bytes),
            );
            continue;
        }
        let is_named = |value: Value<'_>| {
            value
                .text()
                .is_some_and(|text| text == collection.as_bytes() || text == namespace.as_bytes())
        };
        let is_in_database = on.strip_suffix(b".$cmd") == Some(database.as_bytes());
        let is_command_on_it = command.elements().next().is_some_and(|first| {
            is_in_database && (first.key() == b"dropDatabase" || is_named(first.value()))
                || first.key() == b"renameCollection" && is_named(first.value())
        });
        let is_rename_to_it =
            command.elements().any(|element| element.key() == b"to" && is_named(element.value()));
        if is_command_on_it || is_rename_to_it {
            touching += 1;
        }
    }
    touching
}
