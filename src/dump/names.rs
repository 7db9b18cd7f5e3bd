//! Finds databases and collections by the names of a dump's files.

use std::path::{Path, PathBuf};

use super::Metadata;
use crate::base::namespace::unescape;
use crate::disk::Disk;
use crate::error::Result;

/// What a file of a dump contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRole {
    Documents,
    Metadata,
}

/// Length of the file names that mongodump shortens (`mongodump/prepare.go`: 208 bytes, `%24`, a hash
/// of 27).
const CUT_BYTES: usize = 238;

/// The escaped name of a file's collection, and what the file holds of it.
pub(super) fn split_file_name(path: &Path) -> Option<(String, FileRole)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    if let Some(stem) = plain.strip_suffix(".metadata.json") {
        return Some((stem.to_owned(), FileRole::Metadata));
    }
    plain.strip_suffix(".bson").map(|stem| (stem.to_owned(), FileRole::Documents))
}

/// Whether a file belongs to a collection.
pub(super) fn is_dump_file(path: &Path) -> bool {
    split_file_name(path).is_some()
}

/// The metadata file next to a file of documents.
pub(crate) fn metadata_file_of(path: &Path) -> Option<PathBuf> {
    let (stem, _) = split_file_name(path)?;
    [".metadata.json", ".metadata.json.gz"]
        .iter()
        .map(|suffix| path.with_file_name(format!("{stem}{suffix}")))
        .find(|path| path.is_file())
}

/// A collection's true name: from the metadata if the file name was shortened, else from the file
/// name.
pub(super) fn collection_name(disk: &Disk, file: &Path, stem: &str) -> Result<String> {
    if stem.len() == CUT_BYTES && stem.contains("%24") {
        let metadata_file = match split_file_name(file) {
            Some((_, FileRole::Metadata)) => Some(file.to_owned()),
            _ => metadata_file_of(file),
        };
        if let Some(path) = metadata_file
            && let Some(metadata) = Metadata::parse(super::read_small(disk, &path)?, &path)?
            && let Some(name) = metadata.collection_name
        {
            return Ok(unescape(&name).unwrap_or(name));
        }
    }
    Ok(unescape(stem).unwrap_or_else(|| stem.to_owned()))
}

/// Whether a name in metadata, plain or escaped, is the name of a collection.
pub(super) fn is_name_of(stored: &str, collection: &str) -> bool {
    stored == collection || unescape(stored).is_some_and(|name| name == collection)
}
