//! Identifies the mapping that an output was written with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The identity of a mapping, as recorded in manifests and journals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its file, in hex.
    pub sha256: String,
}

impl fmt::Display for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mapping '{}' {} ({})",
            self.name.escape_debug(),
            self.version.escape_debug(),
            self.sha256.escape_debug()
        )
    }
}
