//! Names of databases and collections, and of the files that hold them.

use std::path::{Path, PathBuf};

use super::Metadata;
use crate::disk::Disk;
use crate::error::Result;

/// What a file of a dump holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRole {
    Documents,
    Metadata,
}

/// Length of the file names that mongodump has cut (`mongodump/prepare.go`: 208 bytes, `%24`, a hash of 27).
const CUT_BYTES: usize = 238;

/// The escaped name of the collection that a file belongs to, and what the file holds of it.
pub(super) fn split_file_name(path: &Path) -> Option<(String, FileRole)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    if let Some(stem) = plain.strip_suffix(".metadata.json") {
        return Some((stem.to_owned(), FileRole::Metadata));
    }
    plain.strip_suffix(".bson").map(|stem| (stem.to_owned(), FileRole::Documents))
}

/// Whether a file is one of a collection.
pub(super) fn is_dump_file(path: &Path) -> bool {
    split_file_name(path).is_some()
}

/// The metadata file beside a file of documents.
pub(crate) fn metadata_beside(path: &Path) -> Option<PathBuf> {
    let (stem, _) = split_file_name(path)?;
    [".metadata.json", ".metadata.json.gz"]
        .iter()
        .map(|suffix| path.with_file_name(format!("{stem}{suffix}")))
        .find(|beside| beside.is_file())
}

/// A collection's true name. That of a cut file name is in the metadata; else the file's name counts.
pub(super) fn collection_name(disk: &Disk, file: &Path, stem: &str) -> Result<String> {
    if stem.len() == CUT_BYTES && stem.contains("%24") {
        let beside = match split_file_name(file) {
            Some((_, FileRole::Metadata)) => Some(file.to_owned()),
            _ => metadata_beside(file),
        };
        if let Some(path) = beside
            && let Some(metadata) = Metadata::parse(super::read_small(disk, &path)?, &path)?
            && let Some(name) = metadata.collection_name
        {
            return Ok(unescape(&name).unwrap_or(name));
        }
    }
    Ok(unescape(stem).unwrap_or_else(|| stem.to_owned()))
}

/// Whether a name as metadata has it, plain or escaped, is that of a collection.
pub(super) fn is_name_of(stored: &str, collection: &str) -> bool {
    stored == collection || unescape(stored).is_some_and(|name| name == collection)
}

/// Undoes Go's `url.QueryEscape`; nothing where the text is no result of it.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The name, without suffixes, of the files of a collection: Go's `url.QueryEscape`.
pub fn collection_file_name(collection: &str) -> String {
    let mut name = String::new();
    for byte in collection.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => name.push(byte as char),
            b' ' => name.push('+'),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

/// Whether a server on any system takes this as the name of a database (MongoDB manual, "Naming Restrictions").
/// Such a name is one component of a path and nothing else.
pub fn is_database_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 64
        && !name.contains(['/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|', '?', '\0'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go_does() {
        for (name, escaped) in [("user_data", "user_data"), ("café menu/2025", "caf%C3%A9+menu%2F2025"), ("a.b~-", "a.b~-"), ("%", "%25")]
        {
            assert_eq!(collection_file_name(name), escaped);
            assert_eq!(unescape(escaped).as_deref(), Some(name));
        }
        assert_eq!(unescape("%"), None);
        assert_eq!(unescape("%zz"), None);
        assert_eq!(unescape("%FF"), None);
    }

    #[test]
    fn database_names_are_plain_path_components() {
        assert!(is_database_name("narrative_modeling"));
        for bad in ["", ".", "..", "a/b", "a.b", "a b", "a\0", "a$", "\n", &"x".repeat(64)] {
            assert!(!is_database_name(bad), "{bad:?}");
        }
    }
}
