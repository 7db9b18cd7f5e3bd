//! Places that must not meet: what a run writes, and what it reads. Told from names and inodes alone, before anything
//! is read.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::layout::{BESIDE, Layout};
use crate::error::{Error, IoContext, Result};

/// What tells two names of one file: its device and inode.
type Identity = (u64, u64);

/// How deep the files of an input lie below it at most.
const DEPTH: usize = 2;

/// What a run reads.
#[derive(Debug, Default)]
pub struct Inputs(Vec<Input>);

#[derive(Debug)]
struct Input {
    /// As it was named.
    name: PathBuf,
    /// Its real path; none of standard input.
    real: Option<PathBuf>,
    /// Its files.
    files: HashSet<Identity>,
}

impl Inputs {
    /// Of these names; one that does not exist is left to whoever opens it.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a Path>) -> Self {
        Inputs(names.into_iter().filter_map(Input::look_at).collect())
    }

    /// Why a file at `place` cannot be written: it is one of an input, or would come to lie in one.
    pub fn refusal(&self, place: &Path) -> Option<String> {
        let standing = fs::metadata(place).ok();
        let real = real_path(place).ok()?;
        self.0.iter().find_map(|input| {
            let name = input.name.display();
            if standing.as_ref().is_some_and(|standing| input.files.contains(&identity(standing))) {
                return Some(format!(
                    "is a file of the input '{name}', which is never changed; name another place"
                ));
            }
            let is_inside = input.real.as_ref().is_some_and(|input| real.starts_with(input));
            is_inside.then(|| {
                format!(
                    "lies inside the input '{name}', which is never changed; name a place outside"
                )
            })
        })
    }
}

impl Input {
    fn look_at(name: &Path) -> Option<Input> {
        if crate::base::stream::is_standard_input(name) {
            let status = rustix::fs::fstat(std::io::stdin()).ok()?;
            let is_file = rustix::fs::FileType::from_raw_mode(status.st_mode).is_file();
            // The types differ from system to system.
            #[allow(clippy::unnecessary_cast)]
            let files = is_file
                .then_some((status.st_dev as u64, status.st_ino as u64))
                .into_iter()
                .collect();
            return Some(Input {
                name: crate::base::stream::STANDARD_INPUT_NAME.into(),
                real: None,
                files,
            });
        }
        let mut files = HashSet::new();
        // An output that is an archive is read with the files beside it, a file of documents with its metadata.
        for path in std::iter::once(name.to_owned())
            .chain(standing_beside(name))
            .chain(crate::dump::metadata_beside(name))
        {
            note_files(&path, DEPTH, &mut files);
        }
        let real = fs::canonicalize(name).ok();
        (real.is_some() || !files.is_empty()).then(|| Input { name: name.to_owned(), real, files })
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Notes the regular files that a path is or holds. What cannot be looked at, cannot be read either.
fn note_files(path: &Path, depth: usize, files: &mut HashSet<Identity>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() {
        files.insert(identity(&metadata));
    } else if metadata.is_dir() && depth > 0 {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            note_files(&entry.path(), depth - 1, files);
        }
    }
}

/// The real path of a place that need not exist: that of the part that does, with the rest behind it.
fn real_path(place: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(place)?;
    let standing = absolute.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    Ok(match standing {
        Some((part, real)) => real.join(absolute.strip_prefix(part).unwrap_or(Path::new(""))),
        None => absolute,
    })
}

/// The directory that a place is in.
fn parent_of(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a name is that of a file beside the archive `name`.
fn is_beside(name: &str, other: &str) -> bool {
    let behind = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
    behind.is_some_and(|behind| {
        BESIDE.iter().any(|end| behind == *end || behind.ends_with(&format!(".{end}")))
    })
}

/// Files that exist beside an archive at `place` and have the names of what belongs to it.
fn standing_beside(place: &Path) -> Vec<PathBuf> {
    let Some(name) = place.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if place.is_dir() {
        return Vec::new();
    }
    let entries = fs::read_dir(parent_of(place)).into_iter().flatten().flatten();
    let beside = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| is_beside(name, other)));
    beside.map(|entry| entry.path()).collect()
}

/// Fails where an output would lie inside its input, or the other way round.
pub(crate) fn check_apart(dump: &Path, out: &Path) -> Result<()> {
    if crate::base::stream::is_standard_input(dump) {
        return Ok(());
    }
    let dump_place = fs::canonicalize(dump).reading("open", dump)?;
    let out_place = real_path(out).writing("find", out)?;
    let refused = |what: &str| {
        let (out, dump) = (out.display(), dump.display());
        Err(Error::Usage(format!(
            "'{out}': {what} the dump '{dump}', which is never changed; name a place outside"
        )))
    };
    if out_place.starts_with(&dump_place) {
        return refused("lies inside");
    }
    if dump_place.starts_with(&out_place) {
        return refused("holds");
    }
    Ok(())
}

impl Layout {
    /// Fails where a file of an archive would take the place of one that is read, or cannot come to its place. What
    /// is a directory, [`check_place`](super::staging::check_place) checks.
    pub(crate) fn check_apart_from(&self, inputs: &Inputs) -> Result<()> {
        if !self.is_archive() {
            return Ok(());
        }
        let archive = Some(self.place().to_owned()).filter(|_| !self.is_stream());
        let own = BESIDE.map(|what| self.path_of_own(what));
        for place in archive.into_iter().chain(own).chain(standing_beside(self.place())) {
            if let Some(refusal) = inputs.refusal(&place) {
                return Err(Error::Usage(format!("'{}': {refusal}", place.display())));
            }
        }
        let Layout::Stream(prefix) = self else { return Ok(()) };
        let parent = parent_of(prefix);
        let refused =
            |what: String| Err(Error::Usage(format!("--sidecar '{}': {what}", prefix.display())));
        match fs::metadata(parent) {
            Err(error) => refused(format!("cannot look at '{}': {error}", parent.display())),
            Ok(metadata) if !metadata.is_dir() => {
                refused(format!("'{}' is not a directory", parent.display()))
            }
            Ok(_) => match rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Ok(()),
                Err(error) => refused(format!("cannot write in '{}': {error}", parent.display())),
            },
        }
    }

    /// Why no other file can be written at `other`: it would be one of the output, or of its staging directory.
    pub fn refusal(&self, other: &Path) -> Option<String> {
        let (place, other) = (real_path(self.place()).ok()?, real_path(other).ok()?);
        let name = place.file_name()?.to_str()?;
        let below =
            other.strip_prefix(place.parent()?).ok()?.components().next()?.as_os_str().to_str()?;
        let out = self.place().display();
        if below == name || self.is_archive() && is_beside(name, below) {
            let what = if self.is_archive() { "is a file of" } else { "lies inside" };
            return Some(format!("{what} the output '{out}'; name a place outside"));
        }
        let is_staging =
            below.strip_prefix(name).is_some_and(|rest| rest.starts_with(".mongosplit-"));
        is_staging.then(|| {
            format!(
                "has a name that is kept for the making of the output '{out}'; name another place"
            )
        })
    }
}

/// Refuses, before anything is read, an output that would meet what is read, or that has nowhere to go.
pub(crate) fn check_output(inputs: &[&Path], layout: &Layout) -> Result<()> {
    inputs.iter().try_for_each(|input| check_apart(input, layout.place()))?;
    layout.check_apart_from(&Inputs::new(inputs.iter().copied()))?;
    if layout.is_stream() { check_standard_output() } else { Ok(()) }
}

/// Fails where standard output cannot carry an archive: where it is the null device, as which Rust's runtime opens a
/// standard output that was closed.
fn check_standard_output() -> Result<()> {
    let path = Path::new("standard output");
    let status = rustix::fs::fstat(std::io::stdout()).writing("write to", path)?;
    let Ok(null) = fs::metadata("/dev/null") else { return Ok(()) };
    // The types differ from system to system.
    #[allow(clippy::unnecessary_cast)]
    let is_null = rustix::fs::FileType::from_raw_mode(status.st_mode).is_char_device()
        && null.file_type().is_char_device()
        && status.st_rdev as u64 == null.rdev();
    match is_null {
        true => Err(Error::output(
            path,
            "is closed or the null device, so the archive would be lost; write to a pipe or a file",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_an_archive() {
        for other in [
            "x.manifest.json",
            "x.SHA256SUMS",
            "x.rollback",
            "x.rejected",
            "x.db.user_data.rollback",
        ] {
            assert!(is_beside("x", other), "{other}");
        }
        for other in ["x", "x.json", "xmanifest.json", "y.rollback", "x.rollback.old"] {
            assert!(!is_beside("x", other), "{other}");
        }
    }
}
