//! `manifest.json`: what an output consists of. `docs/FORMAT.md` describes it key by key.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::mapping_id::MappingId;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::hash;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;
/// The manifest's name.
pub const FILE_NAME: &str = "manifest.json";
/// The name of the file that `sha256sum -c` reads.
pub const SUMS_NAME: &str = "SHA256SUMS";

/// The tool and its version, as manifests name it.
pub(crate) fn tool() -> String {
    concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// An output, or the result of a reversal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The tool and its version.
    pub tool: String,
    /// What the files are the result of.
    pub kind: Kind,
    /// The mapping.
    pub mapping: MappingId,
    /// The options that the output's bytes depend on.
    pub options: Options,
    /// What it was made from.
    pub sources: Vec<Source>,
    /// Every file but the manifest itself and SHA256SUMS.
    pub files: Vec<File>,
}

/// What a manifest's files are the result of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `transform`.
    #[default]
    Transform,
    /// `reverse`.
    Reverse,
}

impl Kind {
    /// The command that makes it.
    pub fn command(self) -> &'static str {
        match self {
            Kind::Transform => "transform",
            Kind::Reverse => "reverse",
        }
    }
}

/// Options that the output's bytes depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Which indexes the metadata files carry: `all`, `non-unique` or `none`.
    pub indexes: String,
    /// The compression level, where files are compressed.
    pub gzip_level: Option<u32>,
    /// Whether the output is one archive.
    pub archive: bool,
    /// Whether documents that a server would refuse were set aside.
    pub skip_unrestorable: bool,
}

/// One source collection and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its namespace in the dump.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// Bytes of its documents, uncompressed.
    pub bytes: u64,
    /// SHA-256 of those bytes.
    pub sha256: String,
    /// The collections that it became.
    pub targets: Vec<Target>,
    /// Documents in none of them, as a server would refuse them.
    pub rejected: u64,
    /// What was proven of the way back.
    pub round_trip: RoundTrip,
    /// What the application would not accept, by rule.
    pub findings: Vec<Finding>,
}

/// A collection in the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its namespace.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// The sum, modulo 2^128, of the XXH3-128 of each document, in hex; the same in any order.
    pub digest: String,
}

/// What was proven of the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundTrip {
    /// Documents brought back and compared byte for byte.
    pub proven: u64,
    /// Those among them that the journal keeps whole.
    pub whole: u64,
}

/// Documents that break a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// What it asks for.
    pub expects: String,
    /// How many documents break it.
    pub documents: u64,
    /// The first few `_id`s.
    pub first_ids: Vec<String>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Documents of a collection.
    Documents,
    /// A collection's metadata.
    Metadata,
    /// The rollback journal.
    Journal,
    /// Source documents that a server would refuse.
    Rejected,
    /// Several collections in mongodump's archive format.
    Archive,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its path below the output, `/` between the parts.
    pub path: String,
    /// What it is for.
    pub role: Role,
    /// The namespace that it belongs to.
    pub namespace: String,
    /// Its documents, where it holds documents.
    pub documents: Option<u64>,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Size uncompressed, where it is compressed.
    pub raw_bytes: Option<u64>,
    /// SHA-256 uncompressed, where it is compressed.
    pub raw_sha256: Option<String>,
}

const CHECKSUM_KEY: &str = "manifest_sha256";

impl Manifest {
    /// The manifest as it is written: JSON, its last line but the brace the SHA-256 of all lines before it.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.truncate(text.len().saturating_sub(2)); // the closing brace, and the line break before it
        text.push_str(",\n");
        let checksum = hash::sha256(text.as_bytes());
        text.push_str(&format!("  \"{CHECKSUM_KEY}\": \"{checksum}\"\n}}\n"));
        text
    }

    /// Reads the manifest of an output: in its directory, or beside its archive.
    ///
    /// The files that it names are not looked at: that is [`verify`](crate::verify::verify)'s task.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] if the manifest is damaged, altered, or of another output.
    ///
    /// # Examples
    ///
    /// ```
    /// use mongosplit::manifest::{Manifest, Role};
    /// # use mongosplit::{Plan, transform};
    ///
    /// # fn main() -> mongosplit::Result<()> {
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// # let out = directory.path().join("out");
    /// # let options = transform::Options::new("fixtures/dump", &out);
    /// # transform::transform(&options, &Plan::built_in()?, &mongosplit::progress::Silent)?;
    /// let manifest = Manifest::read(&out)?;
    /// let source = &manifest.sources[0];
    /// assert_eq!((source.documents, source.targets.len()), (60, 3));
    /// assert_eq!(manifest.files_of(Role::Journal).count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(out: impl AsRef<Path>) -> Result<Manifest> {
        let artifact = super::reader::Artifact::open(&Disk::default(), out.as_ref())?;
        Ok(artifact.manifest)
    }

    /// Parses a manifest. Its checksum comes first, then its format version, then every other rule.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Manifest> {
        let refuse = |what: String| Error::Check(format!("'{}': {what}", path.display()));
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refuse("is not UTF-8, so it is no manifest".to_owned()))?;
        let mark = format!("  \"{CHECKSUM_KEY}\": \"");
        let at = text.rfind(&mark).filter(|at| text[..*at].ends_with('\n'));
        let at = at.ok_or_else(|| {
            refuse("has no checksum line, so it is no manifest, or is cut off".to_owned())
        })?;
        let stated = &text[at + mark.len()..];
        let found = hash::sha256(&bytes[..at]);
        if stated.starts_with(found.as_str()) && stated[found.len()..] != *"\"\n}\n" {
            return Err(refuse(
                "does not end with its checksum, as a manifest does; it was altered or damaged"
                    .to_owned(),
            ));
        }
        if !stated.starts_with(found.as_str()) {
            let stated = stated.split('"').next().unwrap_or_default().escape_debug().to_string();
            return Err(refuse(format!(
                "states its checksum as {stated}, but has {found}; it was altered or damaged"
            )));
        }
        let body = format!("{}\n}}", text[..at].trim_end().trim_end_matches(','));
        let version: Version = serde_json::from_str(&body)
            .map_err(|error| refuse(format!("is no manifest: {error}")))?;
        if version.format != FORMAT {
            return Err(refuse(format!(
                "has format version {}, this version of mongosplit reads {FORMAT}",
                version.format
            )));
        }
        let manifest: Manifest = serde_json::from_str(&body)
            .map_err(|error| refuse(format!("is no manifest: {error}")))?;
        let mut paths = HashSet::new();
        for file in &manifest.files {
            if !is_below(&file.path) {
                return Err(refuse(format!(
                    "names the path '{}', which is not below the output",
                    file.path.escape_debug()
                )));
            }
            if [FILE_NAME, SUMS_NAME].contains(&file.path.as_str()) {
                return Err(refuse(format!(
                    "names '{}', which belongs to no collection",
                    file.path
                )));
            }
            if !is_sha256(&file.sha256)
                || file.raw_sha256.as_deref().is_some_and(|sum| !is_sha256(sum))
            {
                return Err(refuse(format!(
                    "has no SHA-256 of '{}', but another text",
                    file.path.escape_debug()
                )));
            }
            if !paths.insert(file.path.as_str()) {
                return Err(refuse(format!("names the path '{}' twice", file.path.escape_debug())));
            }
        }
        Ok(manifest)
    }

    /// The contents of SHA256SUMS.
    pub fn sums(&self) -> String {
        self.files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect()
    }
    /// The archive that holds all documents, where the output is one.
    pub fn archive(&self) -> Option<&File> {
        self.files_of(Role::Archive).next()
    }
    /// Files of a role, in order.
    pub fn files_of(&self, role: Role) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.role == role)
    }
    /// The file of a role and namespace.
    pub fn file(&self, role: Role, namespace: &str) -> Option<&File> {
        self.files_of(role).find(|file| file.namespace == namespace)
    }
}

/// What tells an output by its manifest, of whatever format version, even where its checksum does not hold.
#[derive(Debug, Deserialize)]
pub(crate) struct Recognised {
    /// What the files are the result of.
    pub(crate) kind: Kind,
    format: u32,
    tool: String,
    options: RecognisedOptions,
    files: Vec<RecognisedFile>,
}

#[derive(Debug, Deserialize)]
struct RecognisedOptions {
    archive: bool,
}

#[derive(Debug, Deserialize)]
struct RecognisedFile {
    path: String,
}

impl Recognised {
    /// What these bytes say, where they are a manifest of mongosplit.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Recognised> {
        let found: Recognised = serde_json::from_slice(bytes).ok()?;
        let is_ours = found.format > 0
            && found.tool.starts_with("mongosplit ")
            && found.paths().all(is_below);
        is_ours.then_some(found)
    }
    /// Whether the output is an archive.
    pub(crate) fn is_archive(&self) -> bool {
        self.options.archive
    }
    /// The paths of its files, but the manifest's own and that of SHA256SUMS.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a path leads to a place below where it starts, by plain names only.
fn is_below(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['\0', '\\', '\n'])
}

/// A digest as a manifest writes it.
pub fn digest_text(digest: u128) -> String {
    format!("{digest:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_path() {
        assert!(is_below("db/a.bson") && is_below("..a") && is_below("a"));
        for bad in [
            "", "/a", "a/", "a//b", ".", "./a", "a/./b", "..", "a/../b", "a/..", "a\\b", "a\n",
            "a\0",
        ] {
            assert!(!is_below(bad), "{bad:?}");
        }
    }
}
