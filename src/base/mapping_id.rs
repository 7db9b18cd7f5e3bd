//! Which mapping an output was made with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mapping, as the manifest and the journal name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: String,
}

impl fmt::Display for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mapping '{}' {} ({})",
            self.name.escape_debug(),
            self.version.escape_debug(),
            self.sha256
        )
    }
}
