//! Keeps what a run writes apart from what it reads. Names and inodes decide, before any content is
//! read.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::layout::{Layout, SIDECARS};
use crate::base::audience::Audience;
use crate::disk::names_in;
use crate::error::{Error, IoContext, Result};
use crate::plain::PlainPath;

/// Device and inode: equal for two names of the same file.
type Identity = (u64, u64);

/// How many levels below an input its files can be.
const DEPTH: usize = 2;

/// The files and directories that a run reads.
#[derive(Debug, Default)]
pub struct Inputs(Vec<Input>);

#[derive(Debug)]
struct Input {
    /// The name that the user gave.
    name: PathBuf,
    /// Its real path, or `None` for standard input.
    real: Option<PathBuf>,
    /// The regular files that it consists of.
    files: HashMap<Identity, PathBuf>,
    /// It is standard input, a pipe or a device, which do not tell who may read what comes out of them.
    is_stream: bool,
}

impl Inputs {
    /// Collects the files behind these names. A name that does not exist is skipped: opening it
    /// will fail later.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a Path>) -> Self {
        Inputs(names.into_iter().filter_map(Input::look_at).collect())
    }

    /// Who may read all of these files.
    pub fn audience(&self) -> Audience {
        let of_input = |input: &Input| match input.is_stream {
            true => Audience::Owner,
            false => Audience::of_all(input.files.values().map(PathBuf::as_path)),
        };
        self.0.iter().map(of_input).fold(Audience::Everyone, Audience::and)
    }

    /// Returns why no file can be written at `place`: it belongs to an input or would be inside
    /// one.
    pub fn refusal(&self, place: &Path) -> Option<String> {
        let existing = fs::metadata(place).ok();
        let real = real_path(place).ok()?;
        self.0.iter().find_map(|input| {
            let name = input.name.plain();
            if existing
                .as_ref()
                .is_some_and(|existing| input.files.contains_key(&identity(existing)))
            {
                return Some(format!(
                    "is a file of the input '{name}', which is never changed; name another place"
                ));
            }
            let is_inside = input.real.as_ref().is_some_and(|input| real.starts_with(input));
            is_inside.then(|| {
                format!(
                    "is inside the input '{name}', which is never changed; name a place outside"
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
                .then(|| ((status.st_dev as u64, status.st_ino as u64), PathBuf::new()))
                .into_iter()
                .collect();
            return Some(Input {
                name: crate::base::stream::STANDARD_INPUT_NAME.into(),
                real: None,
                files,
                is_stream: true,
            });
        }
        let mut files = HashMap::new();
        // An archive is read along with its sidecar files, and a .bson file along with its
        // metadata.
        for path in std::iter::once(name.to_owned())
            .chain(existing_sidecars(name))
            .chain(crate::dump::metadata_file_of(name))
        {
            collect_files(&path, DEPTH, &mut files);
        }
        let real = fs::canonicalize(name).ok();
        let is_stream = fs::metadata(name).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let is_there = real.is_some() || is_stream || !files.is_empty();
        is_there.then(|| Input { name: name.to_owned(), real, files, is_stream })
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Collects the regular files at or below a path. Errors are ignored: what cannot be listed cannot
/// be read either.
fn collect_files(path: &Path, depth: usize, files: &mut HashMap<Identity, PathBuf>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() {
        files.insert(identity(&metadata), path.to_owned());
    } else if metadata.is_dir() && depth > 0 {
        for name in names_in(path).unwrap_or_default() {
            collect_files(&path.join(name), depth - 1, files);
        }
    }
}

/// Resolves a path whose last components need not exist: the existing part is resolved, the rest is
/// appended.
fn real_path(place: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(place)?;
    let existing = absolute.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    Ok(match existing {
        Some((part, real)) => real.join(absolute.strip_prefix(part).unwrap_or(Path::new(""))),
        None => absolute,
    })
}

/// The directory that contains a place.
pub fn parent_of(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `other` is named like a sidecar file of the archive `name`.
fn is_sidecar(name: &str, other: &str) -> bool {
    let suffix = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
    suffix.is_some_and(|suffix| {
        SIDECARS.iter().any(|end| suffix == *end || suffix.ends_with(&format!(".{end}")))
    })
}

/// Existing files next to an archive at `place` that are named like its sidecar files.
fn existing_sidecars(place: &Path) -> Vec<PathBuf> {
    let Some(name) = place.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if place.is_dir() {
        return Vec::new();
    }
    let beside = names_in(parent_of(place)).unwrap_or_default();
    let sidecars =
        beside.iter().filter(|other| other.to_str().is_some_and(|other| is_sidecar(name, other)));
    sidecars.map(|other| place.with_file_name(other)).collect()
}

/// Fails if the output would be inside its input, or the input inside the output.
pub(crate) fn check_apart(dump: &Path, out: &Path) -> Result<()> {
    if crate::base::stream::is_standard_input(dump) {
        return Ok(());
    }
    let dump_place = fs::canonicalize(dump).reading("open", dump)?;
    let out_place = real_path(out).writing("find", out)?;
    let refusal = |what: &str| {
        let (out, dump) = (out.plain(), dump.plain());
        Err(Error::Usage(format!(
            "'{out}': {what} the dump '{dump}', which is never changed; name a place outside"
        )))
    };
    if out_place.starts_with(&dump_place) {
        return refusal("is inside");
    }
    if dump_place.starts_with(&out_place) {
        return refusal("contains");
    }
    Ok(())
}

impl Layout {
    /// Fails if an archive or one of its sidecar files would replace a file that is read, or cannot
    /// be created where it belongs. For a directory, [`check_place`](super::staging::check_place)
    /// does this.
    pub(crate) fn check_apart_from(&self, inputs: &Inputs) -> Result<()> {
        if !self.is_archive() {
            return Ok(());
        }
        let archive = Some(self.place().to_owned()).filter(|_| !self.is_stream());
        let own = SIDECARS.map(|what| self.path_of_named(what));
        for place in archive.into_iter().chain(own).chain(existing_sidecars(self.place())) {
            if let Some(refusal) = inputs.refusal(&place) {
                return Err(Error::Usage(format!("'{}': {refusal}", place.plain())));
            }
        }
        let Layout::Stream(prefix) = self else { return Ok(()) };
        let parent = parent_of(prefix);
        let refusal =
            |what: String| Err(Error::Usage(format!("--sidecar '{}': {what}", prefix.plain())));
        match fs::metadata(parent) {
            Err(error) => refusal(format!("cannot look at '{}': {error}", parent.plain())),
            Ok(metadata) if !metadata.is_dir() => {
                refusal(format!("'{}' is not a directory", parent.plain()))
            }
            Ok(_) => match rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Ok(()),
                Err(error) => refusal(format!("cannot write in '{}': {error}", parent.plain())),
            },
        }
    }

    /// Returns why no other file can be written at `other`: the path belongs to the output or to
    /// its staging directory.
    pub fn refusal(&self, other: &Path) -> Option<String> {
        let (place, other) = (real_path(self.place()).ok()?, real_path(other).ok()?);
        let name = place.file_name()?.to_str()?;
        let below =
            other.strip_prefix(place.parent()?).ok()?.components().next()?.as_os_str().to_str()?;
        let out = self.place().plain();
        if below == name || self.is_archive() && is_sidecar(name, below) {
            let what = if self.is_archive() { "is a file of" } else { "is inside" };
            return Some(format!("{what} the output '{out}'; name a place outside"));
        }
        let is_staging =
            below.strip_prefix(name).is_some_and(|rest| rest.starts_with(".mongosplit-"));
        is_staging.then(|| {
            format!(
                "has a name that is reserved for building the output '{out}'; name another place"
            )
        })
    }
}

/// Fails, before anything is read, if the output would overlap with an input or could not be
/// written.
pub(crate) fn check_output(inputs: &[&Path], layout: &Layout) -> Result<()> {
    inputs.iter().try_for_each(|input| check_apart(input, layout.place()))?;
    layout.check_apart_from(&Inputs::new(inputs.iter().copied()))?;
    if layout.is_stream() { check_standard_output() } else { Ok(()) }
}

/// Fails if standard output is the null device. Rust's runtime opens a closed standard output as
/// that device, so an archive written to it would be lost without an error.
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
            assert!(is_sidecar("x", other), "{other}");
        }
        for other in ["x", "x.json", "xmanifest.json", "y.rollback", "x.rollback.old"] {
            assert!(!is_sidecar("x", other), "{other}");
        }
    }
}
