//! The place of an output: what exists there, what an interrupted run has left, and what may be
//! replaced.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::apart::parent_of;
use super::layout::{SIDECARS, sidecar};
use super::manifest::{self, Recognised};
use super::pieces::{MARK, Moves, OLD};
use super::staging::{
    Form, IGNORABLE, LOCK_INSIDE, LOCK_SUFFIX, PART, REPLACED_SUFFIX, STAGING_INSIDE,
    STAGING_SUFFIX, read_of_output,
};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::plain::PlainPath;

const LOST_AND_FOUND: &str = "lost+found";

/// The place of an output, and of the files that exist while it is built.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// Whether the output is staged inside the place, because the place cannot be replaced by a
    /// rename.
    pub(super) is_inside: bool,
}

/// What exists at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Nothing,
    EmptyDirectory,
    /// An output that `--force` replaces: the names directly at the place. Without the first one,
    /// the rest is not an output.
    Replaceable(Vec<String>),
    /// Something that is not replaced: its path, and why.
    Foreign(PathBuf, String),
}

/// What an interrupted run has left.
#[derive(Debug)]
pub(super) enum Leftover {
    /// A staging directory. The place is as it was before the run, or holds the complete output.
    Staging,
    /// A staging directory from which publishing in pieces has begun.
    Moves(Moves),
    /// The old output, moved away from its place to make room for the new one.
    OldOutput,
}

impl Place {
    pub(super) fn new(disk: &Disk, form: Form) -> Result<Place> {
        let path = form.layout.place().to_owned();
        if form.layout.archive_name()?.is_none() && path.file_name().is_none() {
            return Err(Error::output(
                &path,
                "does not end in a name, which the files next to the output need; give the name of the directory",
            ));
        }
        // Without a final `/` or `/.`, which rename calls refuse.
        let mut place = Place { path: path.components().collect(), form, is_inside: false };
        place.is_inside = !place.form.layout.is_archive()
            && place.is_directory(disk)?
            && (is_mount_point(&place.path) || disk.look(&path.join(LOST_AND_FOUND))?.is_some());
        Ok(place)
    }
    pub(super) fn is_directory(&self, disk: &Disk) -> Result<bool> {
        Ok(disk.look(&self.path)?.is_some_and(|metadata| metadata.is_dir()))
    }
    /// Whether it is an existing directory with no lock next to it. If no lock can be created there
    /// either, the output can still be staged inside.
    pub(super) fn can_stage_inside(&self, disk: &Disk) -> Result<bool> {
        Ok(!self.form.layout.is_archive()
            && !self.is_inside
            && disk.look(&self.lock())?.is_none()
            && self.is_directory(disk)?)
    }
    /// The directory that contains it.
    pub(super) fn parent(&self) -> PathBuf {
        parent_of(&self.path).to_owned()
    }
    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        self.path.with_file_name(name)
    }
    pub(super) fn lock(&self) -> PathBuf {
        if self.is_inside { self.path.join(LOCK_INSIDE) } else { self.sibling(LOCK_SUFFIX) }
    }
    pub(super) fn staging(&self) -> PathBuf {
        if self.is_inside { self.path.join(STAGING_INSIDE) } else { self.sibling(STAGING_SUFFIX) }
    }
    /// Where the old output is moved on a file system that cannot exchange directories.
    pub(super) fn replaced(&self) -> PathBuf {
        self.sibling(REPLACED_SUFFIX)
    }
    /// The directory that the files of an output are moved to, if it is published in pieces.
    pub(super) fn root(&self) -> PathBuf {
        if self.is_inside { self.path.clone() } else { self.parent() }
    }

    /// What an interrupted run has left. Call this only while holding the lock.
    pub(super) fn leftover(&self, disk: &Disk) -> Result<Option<Leftover>> {
        // Whatever the form of that run's output: a run of another form must be finished too.
        if !self.is_inside && disk.look(&self.replaced())?.is_some() {
            return Ok(Some(Leftover::OldOutput));
        }
        let staging = self.staging();
        if disk.look(&staging)?.is_none() {
            return Ok(None);
        }
        let moves = Moves::load(disk, &self.root(), &staging)?;
        Ok(Some(moves.map_or(Leftover::Staging, Leftover::Moves)))
    }
    /// The command that writes here.
    fn command(&self) -> &'static str {
        self.form.kind.map_or("sample", manifest::Kind::command)
    }
    /// The error of a run without `--force`.
    pub(super) fn refusal(&self, leftover: &Leftover) -> Error {
        match leftover {
            Leftover::Staging if self.form.kind.is_none() => {
                Error::output(&self.staging(), "was left by an interrupted run; remove it")
            }
            Leftover::Staging => Error::output(
                &self.staging(),
                "was left by an interrupted run; remove it, or give --force to have it removed",
            ),
            Leftover::Moves(_) => Error::output(
                &self.staging(),
                format!(
                    "was left by a run that was interrupted while it published, and holds files that belong at '{}'; do not remove it: --force finishes that run first",
                    self.path.plain()
                ),
            ),
            Leftover::OldOutput => Error::output(
                &self.replaced(),
                format!(
                    "is an old output, left by a run that was interrupted while it published a new one at '{}'; do not remove it: --force finishes that run first",
                    self.path.plain()
                ),
            ),
        }
    }

    /// What exists at the place, apart from the files that this run has there itself.
    pub(super) fn existing(&self, disk: &Disk) -> Result<Existing> {
        if self.form.layout.is_archive() {
            return self.existing_archive(disk);
        }
        let place = &self.path;
        let Some(metadata) = disk.look(place)? else { return Ok(Existing::Nothing) };
        if metadata.is_symlink() {
            return Err(Error::output(place, "is a symbolic link; name the directory itself"));
        }
        if !metadata.is_dir() {
            return Err(Error::output(
                place,
                "is not a directory; name one that does not exist or is empty",
            ));
        }
        let own = |name: &OsString| {
            self.is_inside
                && [LOST_AND_FOUND, LOCK_INSIDE, STAGING_INSIDE].iter().any(|own| name == own)
        };
        let mut names = disk.list(place)?;
        names.retain(|name| !own(name));
        if names.is_empty() {
            return Ok(Existing::EmptyDirectory);
        }
        self.replaceable(disk, names)
    }
    /// Whether these names in the directory, and all below, belong to one output that may be
    /// replaced.
    fn replaceable(&self, disk: &Disk, names: Vec<OsString>) -> Result<Existing> {
        let foreign = |why: String| Ok(Existing::Foreign(self.path.clone(), why));
        if names.iter().all(|name| is_ignorable(name)) {
            return Ok(Existing::Replaceable(Vec::new()));
        }
        let found = match self.manifest(disk, &self.path.join(manifest::FILE_NAME))? {
            None => self.staged_manifest(disk)?,
            found => found,
        };
        let Some(found) = found.filter(|found| !found.is_archive()) else {
            return foreign(format!(
                "contains '{}', but no {} of mongosplit",
                names[0].to_string_lossy().escape_debug(),
                manifest::FILE_NAME
            ));
        };
        if Some(found.kind) != self.form.kind {
            return foreign(format!(
                "is an output of {}, not of {}",
                found.kind.command(),
                self.command()
            ));
        }
        let files: BTreeSet<&str> =
            found.paths().chain([manifest::SUMS_NAME, manifest::FILE_NAME]).collect();
        let directories: BTreeSet<&str> = files
            .iter()
            .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]))
            .collect();
        let mut open: Vec<(String, OsString)> =
            names.into_iter().map(|name| (String::new(), name)).collect();
        let mut units = Vec::new();
        while let Some((above, name)) = open.pop() {
            let shown = format!("{above}{}", name.to_string_lossy());
            let path = self.path.join(&above).join(&name);
            let Some(metadata) = disk.look(&path)? else { continue };
            let is_named = match name.to_str() {
                Some(_) if metadata.is_dir() && directories.contains(shown.as_str()) => {
                    let inside =
                        disk.list(&path)?.into_iter().map(|name| (format!("{shown}/"), name));
                    open.extend(inside);
                    true
                }
                Some(_) => metadata.is_file() && files.contains(shown.as_str()),
                None => false,
            };
            if is_named && above.is_empty() {
                units.push(shown);
            } else if !(is_named || metadata.is_file() && is_ignorable(&name)) {
                return foreign(format!(
                    "contains '{}', which its {} does not list",
                    shown.escape_debug(),
                    manifest::FILE_NAME
                ));
            }
        }
        units.sort();
        units.sort_by_key(|name| name != manifest::FILE_NAME);
        Ok(Existing::Replaceable(units))
    }
    /// The manifest of an output that an interrupted run was moving to its place from a staging
    /// directory inside it, as version 0.1 did.
    fn staged_manifest(&self, disk: &Disk) -> Result<Option<Recognised>> {
        if !self.is_inside || disk.look(&self.path.join(manifest::FILE_NAME))?.is_some() {
            return Ok(None);
        }
        let staging = self.staging();
        match self.manifest(disk, &staging.join(manifest::FILE_NAME))? {
            None => self.manifest(disk, &staging.join(format!("{}{PART}", manifest::FILE_NAME))),
            found => Ok(found),
        }
    }
    fn manifest(&self, disk: &Disk, path: &Path) -> Result<Option<Recognised>> {
        if !disk.look(path)?.is_some_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        Ok(Recognised::parse(&read_of_output(disk, path)?))
    }

    /// What exists at the paths of an archive and its sidecar files; of a stream, of the sidecar
    /// files only.
    fn existing_archive(&self, disk: &Disk) -> Result<Existing> {
        let Some(name) = self.form.layout.archive_name()? else { return Ok(Existing::Nothing) };
        let found = self.manifest(disk, &sidecar(&self.path, manifest::FILE_NAME))?;
        let prefix = format!("{name}.");
        let mut units: Vec<String> =
            if self.form.layout.is_stream() { Vec::new() } else { vec![name.clone()] };
        let named = found.iter().flat_map(|found| found.paths());
        units.extend(
            named
                .filter(|path| path.starts_with(&prefix) && !path.contains('/'))
                .map(str::to_owned),
        );
        for what in SIDECARS.map(|what| format!("{prefix}{what}")) {
            if !units.contains(&what) {
                units.push(what);
            }
        }
        let mut existing = Vec::new();
        for unit in units {
            let path = self.path.with_file_name(&unit);
            match disk.look(&path)? {
                None => {}
                Some(metadata) if metadata.is_file() => existing.push(unit),
                Some(_) => {
                    return Err(Error::output(
                        &path,
                        "is not a regular file; name another place for the archive",
                    ));
                }
            }
        }
        let Some(first) = existing.first().map(|unit| self.path.with_file_name(unit)) else {
            return Ok(Existing::Nothing);
        };
        let manifest_name = format!("{prefix}{}", manifest::FILE_NAME);
        let Some(found) =
            found.filter(|found| found.is_archive() && found.paths().any(|path| path == name))
        else {
            return Ok(Existing::Foreign(
                first,
                format!("already exists, and no '{manifest_name}' of mongosplit lists it"),
            ));
        };
        if Some(found.kind) != self.form.kind {
            let why = format!(
                "already exists, and belongs to an output of {}, not of {}",
                found.kind.command(),
                self.command()
            );
            return Ok(Existing::Foreign(first, why));
        }
        let sums = format!("{prefix}{}", manifest::SUMS_NAME);
        let stranger = existing.iter().find(|unit| {
            **unit != manifest_name && **unit != sums && !found.paths().any(|path| path == *unit)
        });
        Ok(match stranger {
            Some(unit) => Existing::Foreign(
                self.path.with_file_name(unit),
                format!("already exists, and '{manifest_name}' does not list it"),
            ),
            None => Existing::Replaceable(existing),
        })
    }

    /// Fails if what exists at the place must not be replaced.
    pub(super) fn check(&self, existing: Existing) -> Result<Existing> {
        let (noun, force) = (self.form.layout.noun(), self.form.force);
        match existing {
            Existing::Replaceable(units) if !force => Err(match self.form.layout.is_archive() {
                true => {
                    let first = units
                        .first()
                        .map_or(self.path.clone(), |unit| self.path.with_file_name(unit));
                    Error::output(
                        &first,
                        "already exists; name another archive, or give --force to replace it",
                    )
                }
                false => Error::output(
                    &self.path,
                    "is not empty; name another directory, or give --force to replace it",
                ),
            }),
            Existing::Foreign(path, why) if force => Err(Error::output(
                &path,
                format!(
                    "{why}, so --force does not replace it; name another {noun}, or remove it yourself"
                ),
            )),
            Existing::Foreign(path, _) => Err(match self.form.layout.is_archive() {
                true => Error::output(&path, "already exists; name another archive"),
                false => Error::output(
                    &path,
                    "is not empty; name a directory that does not exist or is empty",
                ),
            }),
            other => Ok(other),
        }
    }

    /// Finishes or removes what an interrupted run has left. Call this only while holding the lock,
    /// and with `--force`.
    pub(super) fn clear(&self, disk: &Disk, leftover: Leftover) -> Result<()> {
        let staging = self.staging();
        match leftover {
            Leftover::Moves(moves) => {
                moves.complete(disk)?;
                remove_output(disk, &staging)?;
            }
            Leftover::Staging => {
                let existing = self.check(self.existing(disk)?)?;
                if self.is_inside
                    && let Existing::Replaceable(units) = &existing
                    && disk.look(&self.path.join(manifest::FILE_NAME))?.is_none()
                {
                    for unit in units {
                        remove(disk, &self.path.join(unit))?;
                    }
                }
                remove_output(disk, &staging)?;
            }
            Leftover::OldOutput => {
                let has_staging = disk.look(&staging)?.is_some();
                if disk.look(&self.path)?.is_some() {
                    self.check(self.existing(disk)?)?;
                    remove_output(disk, &self.replaced())?;
                } else if has_staging && disk.look(&staging.join(manifest::FILE_NAME))?.is_some() {
                    disk.rename_new(&staging, &self.path)?;
                    disk.sync_dir(&self.parent())?;
                    return remove_output(disk, &self.replaced());
                } else {
                    disk.rename_new(&self.replaced(), &self.path)?;
                }
                if has_staging {
                    remove_output(disk, &staging)?;
                }
            }
        }
        disk.sync_dir(&self.root())
    }
}

/// Whether publishing in pieces has begun from this staging directory.
pub(super) fn has_mark(disk: &Disk, staging: &Path) -> Result<bool> {
    Ok(disk.look(&staging.join(MARK))?.is_some())
}

/// Removes an old output, or a staging directory. First the databases in it get a suffix with a
/// dot, so that mongorestore refuses what is left if this is interrupted.
pub(super) fn remove_output(disk: &Disk, path: &Path) -> Result<()> {
    for root in [path.to_owned(), path.join(OLD)] {
        for name in disk.list(&root).unwrap_or_default() {
            let Some(name) = name.to_str().filter(|name| !name.contains('.')) else { continue };
            let database = root.join(name);
            if disk.look(&database).is_ok_and(|there| there.is_some_and(|there| there.is_dir())) {
                // If this fails, so does what follows, unless only this name cannot be changed.
                let _ = disk.rename_new(&database, &root.join(format!("{name}{PART}")));
            }
        }
    }
    disk.remove_tree(path)
}

fn remove(disk: &Disk, path: &Path) -> Result<()> {
    match disk.look(path)? {
        Some(metadata) if metadata.is_dir() => disk.remove_tree(path),
        Some(_) => disk.remove_file(path),
        None => Ok(()),
    }
}

fn is_ignorable(name: &OsStr) -> bool {
    IGNORABLE.iter().any(|ignorable| name == *ignorable)
}

/// Whether a directory is a mount point, which no rename can replace.
fn is_mount_point(place: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        let known = statx(CWD, place, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok();
        let known =
            known.filter(|known| known.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT));
        if let Some(known) = known {
            return known.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
    }
    let device = |path: &Path| {
        std::fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::dev(&metadata))
    };
    device(place) != device(parent_of(place))
}
