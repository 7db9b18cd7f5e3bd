//! `manifest.json` lists what an output consists of. `docs/FORMAT.md` describes it key by key.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::mapping_id::MappingId;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::hash;
use crate::plain::{PlainPath, plain};

/// The format version that this version of mongosplit writes and reads.
pub const FORMAT: u32 = 1;
/// The name of the manifest.
pub const FILE_NAME: &str = "manifest.json";
/// The name of the file for `sha256sum -c`.
pub const SUMS_NAME: &str = "SHA256SUMS";

/// The tool and its version, as recorded in manifests.
pub(crate) fn tool() -> String {
    concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The manifest of an output of `transform` or `reverse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format version, [`FORMAT`].
    pub format: u32,
    /// The tool and its version.
    pub tool: String,
    /// The command that wrote the files.
    pub kind: Kind,
    /// The mapping.
    pub mapping: MappingId,
    /// The options that the output's bytes depend on.
    pub options: Options,
    /// The source collections.
    pub sources: Vec<Source>,
    /// Every file except the manifest itself and SHA256SUMS.
    pub files: Vec<File>,
}

/// The command that wrote an output.
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
    /// The name of the command.
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
    /// Which indexes are in the metadata files: `all`, `non-unique` or `none`.
    pub indexes: String,
    /// The compression level, if files are compressed.
    pub gzip_level: Option<u32>,
    /// Whether the output is one archive.
    pub archive: bool,
    /// Whether documents that a server would refuse went to a separate file.
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
    /// The collections that its documents were split into.
    pub targets: Vec<Target>,
    /// The number of documents in none of them, because a server would refuse them.
    pub rejected: u64,
    /// How many documents were reversed and compared.
    pub round_trip: RoundTrip,
    /// Documents that the application would not accept, by rule.
    pub findings: Vec<Finding>,
}

impl Source {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let targets = self.targets.iter().flat_map(|one| [&*one.namespace, &*one.digest]);
        let findings = self.findings.iter().flat_map(|one| {
            let ids = one.first_ids.iter().map(String::as_str);
            ids.chain([&*one.rule, &*one.expects])
        });
        [&*self.namespace, &*self.sha256].into_iter().chain(targets).chain(findings)
    }
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

/// How many documents were reversed and compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundTrip {
    /// Documents that were reversed and compared byte for byte.
    pub proven: u64,
    /// The number of these that the journal stores whole.
    pub whole: u64,
}

/// Documents that break a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// What the rule expects.
    pub expects: String,
    /// How many documents break it.
    pub documents: u64,
    /// The `_id`s of the first few.
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
    /// Its path relative to the output, with `/` between the parts.
    pub path: String,
    /// What it is for.
    pub role: Role,
    /// The namespace that it belongs to.
    pub namespace: String,
    /// Its number of documents, if it contains documents.
    pub documents: Option<u64>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Its uncompressed size in bytes, if it is compressed.
    pub raw_bytes: Option<u64>,
    /// SHA-256 of its uncompressed bytes, if it is compressed.
    pub raw_sha256: Option<String>,
}

const CHECKSUM_KEY: &str = "manifest_sha256";

impl Manifest {
    /// The text of the manifest: JSON, whose last line before the closing brace is the SHA-256 of
    /// all lines above it.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.truncate(text.len().saturating_sub(2)); // the line break and the closing brace
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

    /// Parses a manifest; `path` names it in errors. The checksum is checked first, then the format
    /// version, then everything else.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] if `bytes` are not a manifest, or one that was altered, cut off, written by
    /// another format version, or that lists a path outside the output or twice.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Manifest> {
        let refuse = |what: String| Error::Check(format!("'{}': {what}", path.plain()));
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refuse("is not UTF-8, so it is not a manifest".to_owned()))?;
        let mark = format!("  \"{CHECKSUM_KEY}\": \"");
        let at = text.rfind(&mark).filter(|at| text[..*at].ends_with('\n'));
        let at = at.ok_or_else(|| {
            refuse("has no checksum line, so it is not a manifest, or was cut off".to_owned())
        })?;
        let stated = &text[at + mark.len()..];
        let found = hash::sha256(&bytes[..at]);
        if stated.starts_with(found.as_str()) && stated[found.len()..] != *"\"\n}\n" {
            return Err(refuse(
                "does not end with its checksum; it was altered or damaged".to_owned(),
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
            .map_err(|error| refuse(format!("is not a manifest: {}", plain(&error.to_string()))))?;
        if version.format != FORMAT {
            return Err(refuse(format!(
                "has format version {}, but this version of mongosplit reads {FORMAT}",
                version.format
            )));
        }
        let manifest: Manifest = serde_json::from_str(&body)
            .map_err(|error| refuse(format!("is not a manifest: {}", plain(&error.to_string()))))?;
        // None is written with one, so messages need not care.
        if let Some(bad) = manifest.texts().find(|text| text.chars().any(char::is_control)) {
            return Err(refuse(format!("has the text '{}', with a control character", plain(bad))));
        }
        let mut paths = HashSet::new();
        for file in &manifest.files {
            if !is_below(&file.path) {
                return Err(refuse(format!(
                    "lists the path '{}', which is not inside the output",
                    file.path.escape_debug()
                )));
            }
            if [FILE_NAME, SUMS_NAME].contains(&file.path.as_str()) {
                return Err(refuse(format!(
                    "lists '{}', which belongs to no collection",
                    file.path
                )));
            }
            if !is_sha256(&file.sha256)
                || file.raw_sha256.as_deref().is_some_and(|sum| !is_sha256(sum))
            {
                return Err(refuse(format!(
                    "has a text that is not a SHA-256 for '{}'",
                    file.path.escape_debug()
                )));
            }
            if !paths.insert(file.path.as_str()) {
                return Err(refuse(format!("lists the path '{}' twice", file.path.escape_debug())));
            }
        }
        Ok(manifest)
    }

    /// All texts in it but the paths, which are checked by themselves, and the mapping's name.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let own = [self.tool.as_str(), self.options.indexes.as_str()];
        let of_sources = self.sources.iter().flat_map(Source::texts);
        own.into_iter().chain(of_sources).chain(self.files.iter().map(|file| &*file.namespace))
    }

    /// The contents of SHA256SUMS.
    pub fn sums(&self) -> String {
        self.files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect()
    }
    /// The archive with all documents, if the output is an archive.
    pub fn archive(&self) -> Option<&File> {
        self.files_of(Role::Archive).next()
    }
    /// The files of a role, in the order of the manifest.
    pub fn files_of(&self, role: Role) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.role == role)
    }
    /// The first file of a role and namespace.
    pub fn file(&self, role: Role, namespace: &str) -> Option<&File> {
        self.files_of(role).find(|file| file.namespace == namespace)
    }
}

/// The parts of a manifest by which an output is recognised, whatever its format version, and even
/// if its checksum is wrong.
#[derive(Debug, Deserialize)]
pub(crate) struct Recognised {
    /// The command that wrote the files.
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
    /// Parses these bytes, or returns `None` if they are not a manifest of mongosplit.
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
    /// The paths of its files, without the manifest itself and SHA256SUMS.
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

/// Whether a path consists of plain names only, so that it cannot leave the directory where it
/// starts.
fn is_below(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['\0', '\\', '\n'])
}

/// A digest as 32 hex digits, as written in manifests.
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
