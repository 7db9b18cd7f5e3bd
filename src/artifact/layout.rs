//! How an output is laid out on disk. This is decided once, from its name and the options.

use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};
use crate::error::{Error, Result};

/// The place and form of an output.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use mongosplit::Layout;
///
/// let layout = Layout::new(Path::new("/out.archive"), true, None)?;
/// assert_eq!(layout.manifest(), Path::new("/out.archive.manifest.json"));
/// assert!(Layout::new(Path::new("-"), true, None).is_err()); // needs a prefix for the other files
/// # Ok::<(), mongosplit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A directory that contains all files.
    Directory(PathBuf),
    /// One archive, with sidecar files next to it.
    Archive(PathBuf),
    /// An archive on standard output. The names of its sidecar files begin with this prefix.
    Stream(PathBuf),
}

/// Whether a path names standard output.
pub fn is_standard_output(out: &Path) -> bool {
    out == Path::new("-")
}

/// Suffixes of the sidecar files of an archive.
pub(crate) const SIDECARS: [&str; 4] =
    ["rollback", "rejected", manifest::SUMS_NAME, manifest::FILE_NAME];

impl Layout {
    /// The layout of a new output. `-` means an archive on standard output, which needs a prefix
    /// for its sidecar files.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if standard output comes without a prefix, or a prefix without standard
    /// output.
    pub fn new(out: &Path, is_archive: bool, sidecar: Option<&Path>) -> Result<Layout> {
        let usage = |what: &str| Err(Error::Usage(what.to_owned()));
        match (is_standard_output(out), sidecar) {
            (true, None) => usage(
                "an archive on standard output needs --sidecar PREFIX, which names the manifest and the other files",
            ),
            (false, Some(_)) => usage(
                "--sidecar is for an archive on standard output (-); otherwise the files are next to the archive",
            ),
            (true, Some(prefix)) => Ok(Layout::Stream(prefix.to_owned())),
            (false, None) if is_archive => Ok(Layout::Archive(out.to_owned())),
            (false, None) => Ok(Layout::Directory(out.to_owned())),
        }
    }
    /// The layout of an existing output, according to its manifest.
    pub fn of(out: &Path, manifest: &Manifest) -> Layout {
        if manifest.options.archive {
            Layout::Archive(out.to_owned())
        } else {
            Layout::Directory(out.to_owned())
        }
    }
    /// The path of the output. For an archive on standard output, the prefix of its sidecar files.
    pub fn place(&self) -> &Path {
        match self {
            Layout::Directory(place) | Layout::Archive(place) | Layout::Stream(place) => place,
        }
    }
    /// Whether all collections are in one archive.
    pub fn is_archive(&self) -> bool {
        !matches!(self, Layout::Directory(_))
    }
    /// Whether the archive goes to standard output.
    pub fn is_stream(&self) -> bool {
        matches!(self, Layout::Stream(_))
    }
    /// `archive` or `directory`, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        if self.is_archive() { "archive" } else { "directory" }
    }
    /// The path of a file that the manifest lists.
    pub fn path_of(&self, path: &str) -> PathBuf {
        match self {
            Layout::Directory(place) => place.join(path),
            Layout::Archive(place) | Layout::Stream(place) => {
                place.parent().unwrap_or(Path::new("")).join(path)
            }
        }
    }
    /// The path of a file that belongs to every output by its name alone, such as the manifest or
    /// SHA256SUMS.
    pub fn path_of_named(&self, name: &str) -> PathBuf {
        if self.is_archive() { sidecar(self.place(), name) } else { self.place().join(name) }
    }
    /// The path of the manifest.
    pub fn manifest(&self) -> PathBuf {
        self.path_of_named(manifest::FILE_NAME)
    }
    /// The path of SHA256SUMS.
    pub fn sums(&self) -> PathBuf {
        self.path_of_named(manifest::SUMS_NAME)
    }
    /// The file name of the archive, which its manifest records. `None` for a directory.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if the path does not end in a name that a manifest can record.
    pub(crate) fn archive_name(&self) -> Result<Option<String>> {
        if !self.is_archive() {
            return Ok(None);
        }
        let name = self.place().file_name().and_then(|name| name.to_str());
        // `file_name` drops a final `/`, so without this check an archive could be named like a
        // directory.
        let name = name.filter(|name| {
            !name.contains(['\\', '\n', '\0'])
                && self.place().to_str().is_some_and(|place| place.ends_with(name))
        });
        match name {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(Error::output(
                self.place(),
                "cannot name an archive and the files next to it; give another name",
            )),
        }
    }
}

/// The path of a sidecar file of the archive at `place`.
pub(crate) fn sidecar(place: &Path, what: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}
