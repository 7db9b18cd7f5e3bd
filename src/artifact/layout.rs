//! How an output lies in the file system: decided once, from its name and the options.

use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};
use crate::error::{Error, Result};

/// Where an output is, and in which form.
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
    /// A directory that holds all files.
    Directory(PathBuf),
    /// One archive, with the other files beside it.
    Archive(PathBuf),
    /// An archive on standard output; the other files are named after this prefix.
    Stream(PathBuf),
}

/// Whether a path names standard output.
pub fn is_standard_output(out: &Path) -> bool {
    out == Path::new("-")
}

/// What the names of the files beside an archive end in.
pub(crate) const BESIDE: [&str; 4] =
    ["rollback", "rejected", manifest::SUMS_NAME, manifest::FILE_NAME];

impl Layout {
    /// Of an output that is to be made. `-` is an archive on standard output, whose other files need a prefix.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if a prefix is missing, or there is one that nothing is named after.
    pub fn new(out: &Path, is_archive: bool, sidecar: Option<&Path>) -> Result<Layout> {
        let usage = |what: &str| Err(Error::Usage(what.to_owned()));
        match (is_standard_output(out), sidecar) {
            (true, None) => usage(
                "an archive on standard output needs --sidecar PREFIX, as the manifest and the other files need a place",
            ),
            (false, Some(_)) => usage(
                "--sidecar is for an archive on standard output (-); else the files lie beside the archive",
            ),
            (true, Some(prefix)) => Ok(Layout::Stream(prefix.to_owned())),
            (false, None) if is_archive => Ok(Layout::Archive(out.to_owned())),
            (false, None) => Ok(Layout::Directory(out.to_owned())),
        }
    }
    /// Of an output that is there, as its manifest tells.
    pub fn of(out: &Path, manifest: &Manifest) -> Layout {
        if manifest.options.archive {
            Layout::Archive(out.to_owned())
        } else {
            Layout::Directory(out.to_owned())
        }
    }
    /// The output, or what the files beside an archive on standard output are named after.
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
    /// What kind of thing it is, in a word.
    pub(crate) fn noun(&self) -> &'static str {
        if self.is_archive() { "archive" } else { "directory" }
    }
    /// Where a file is that the manifest names.
    pub fn path_of(&self, path: &str) -> PathBuf {
        match self {
            Layout::Directory(place) => place.join(path),
            Layout::Archive(place) | Layout::Stream(place) => {
                place.parent().unwrap_or(Path::new("")).join(path)
            }
        }
    }
    /// Where a file is that the manifest does not name: itself, or SHA256SUMS.
    pub fn path_of_own(&self, name: &str) -> PathBuf {
        if self.is_archive() { beside(self.place(), name) } else { self.place().join(name) }
    }
    /// Where the manifest is.
    pub fn manifest(&self) -> PathBuf {
        self.path_of_own(manifest::FILE_NAME)
    }
    /// Where SHA256SUMS is.
    pub fn sums(&self) -> PathBuf {
        self.path_of_own(manifest::SUMS_NAME)
    }
    /// The name of the archive, which its manifest holds; of a directory none.
    pub(crate) fn archive_name(&self) -> Result<Option<String>> {
        if !self.is_archive() {
            return Ok(None);
        }
        let name = self.place().file_name().and_then(|name| name.to_str());
        // A `/` at the end would be cut off by `file_name`, and the archive would take the place of a directory's name.
        let name = name.filter(|name| {
            !name.contains(['\\', '\n', '\0'])
                && self.place().to_str().is_some_and(|place| place.ends_with(name))
        });
        match name {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(Error::output(
                self.place(),
                "is no name for an archive and the files beside it",
            )),
        }
    }
}

/// The place of a file beside an archive.
pub(crate) fn beside(place: &Path, what: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}
