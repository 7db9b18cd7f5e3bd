//! Names of databases and collections, and of the files named after them.

use crate::error::{Error, Result};

/// Undoes Go's `url.QueryEscape`. Returns `None` if the text is not escaped that way.
pub(crate) fn unescape(text: &str) -> Option<String> {
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

/// The name of a collection's files, without suffixes: the collection's name escaped by Go's
/// `url.QueryEscape`.
pub fn collection_file_name(collection: &str) -> String {
    let mut name = String::new();
    for byte in collection.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                name.push(byte as char)
            }
            b' ' => name.push('+'),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

/// The database of a namespace.
pub fn database_of(namespace: &str) -> &str {
    namespace.split_once('.').map_or(namespace, |(database, _)| database)
}

/// Fails if a name cannot be that of a database.
pub(crate) fn check_database_name(name: &str) -> Result<()> {
    if is_database_name(name) {
        return Ok(());
    }
    Err(Error::Usage(format!("'{}' cannot be the name of a database", name.escape_debug())))
}

/// Whether servers on every system accept this name for a database (MongoDB manual, "Naming
/// Restrictions"). Such a name is always a single component of a path.
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
        for (name, escaped) in [
            ("user_data", "user_data"),
            ("café menu/2025", "caf%C3%A9+menu%2F2025"),
            ("a.b~-", "a.b~-"),
            ("%", "%25"),
        ] {
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
