//! Where an output goes: what stands there, what a run that was cut short has left, and what may be replaced.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::layout::{BESIDE, beside};
use super::manifest::{self, Recognised};
use super::pieces::{MARK, Moves};
use super::staging::{
    Form, IGNORABLE, LOCK_INSIDE, LOCK_SUFFIX, PART, REPLACED_SUFFIX, STAGING_INSIDE,
    STAGING_SUFFIX, read_of_output,
};
use crate::disk::Disk;
use crate::error::{Error, Result};

const LOST_AND_FOUND: &str = "lost+found";

/// The place of an output, and where its parts are while it is made.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// Whether it is filled from inside, as it cannot be renamed over.
    pub(super) is_inside: bool,
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    EmptyDirectory,
    /// An output that `--force` replaces: its files and directories directly at the place. The first is the one
    /// without which the rest is no output.
    Replaceable(Vec<String>),
    /// Something else: where and why it is not replaced.
    Foreign(PathBuf, String),
}

/// What a run that was cut short has left.
#[derive(Debug)]
pub(super) enum Stale {
    /// A staging directory; the place is as it was before the run, or as the run was to make it.
    Staging,
    /// Publishing in pieces has begun.
    Begun(Moves),
    /// The old output is beside its place, where the new one was to come.
    Aside,
}

impl Place {
    pub(super) fn new(disk: &Disk, form: Form) -> Result<Place> {
        let path = form.layout.place().to_owned();
        if form.layout.archive_name()?.is_none() && path.file_name().is_none() {
            return Err(Error::output(
                &path,
                "does not end in a name, and files beside the output are named after it; give its name",
            ));
        }
        // Without a `/` or `/.` at the end, which no call that renames takes.
        let mut place = Place { path: path.components().collect(), form, is_inside: false };
        place.is_inside = !place.form.layout.is_archive()
            && place.is_directory(disk)?
            && (is_mount_point(&place.path) || disk.look(&path.join(LOST_AND_FOUND))?.is_some());
        Ok(place)
    }
    pub(super) fn is_directory(&self, disk: &Disk) -> Result<bool> {
        Ok(disk.look(&self.path)?.is_some_and(|metadata| metadata.is_dir()))
    }
    /// Whether it is a directory beside which nothing can be made.
    pub(super) fn is_beside_a_directory(&self, disk: &Disk) -> Result<bool> {
        Ok(!self.form.layout.is_archive()
            && !self.is_inside
            && disk.look(&self.lock())?.is_none()
            && self.is_directory(disk)?)
    }
    /// The directory that it is in.
    pub(super) fn parent(&self) -> PathBuf {
        parent_of(&self.path)
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
    /// Where an old output waits on a file system that cannot exchange directories.
    pub(super) fn replaced(&self) -> PathBuf {
        self.sibling(REPLACED_SUFFIX)
    }
    /// The directory in which an output that is published in pieces has its files.
    pub(super) fn root(&self) -> PathBuf {
        if self.is_inside { self.path.clone() } else { self.parent() }
    }

    /// What is left of a run that was cut short. To be asked under the lock.
    pub(super) fn stale(&self, disk: &Disk) -> Result<Option<Stale>> {
        // Whatever form that run's output had: what one of another form has begun must be finished too.
        if !self.is_inside && disk.look(&self.replaced())?.is_some() {
            return Ok(Some(Stale::Aside));
        }
        let staging = self.staging();
        if disk.look(&staging)?.is_none() {
            return Ok(None);
        }
        let begun = Moves::begun(disk, &self.root(), &staging)?;
        Ok(Some(begun.map_or(Stale::Staging, Stale::Begun)))
    }
    /// Why a run without `--force` goes no further.
    pub(super) fn refusal(&self, stale: &Stale) -> Error {
        match stale {
            Stale::Staging => Error::output(
                &self.staging(),
                "is left from a run that was cut short; remove it, or give --force to have it removed",
            ),
            Stale::Begun(_) => Error::output(
                &self.staging(),
                format!(
                    "is left from a run that was cut short while it put its output in place, and holds files that belong at '{}'; do not remove it: --force finishes that first",
                    self.path.display()
                ),
            ),
            Stale::Aside => Error::output(
                &self.replaced(),
                format!(
                    "is an old output, left from a run that was cut short while it put a new one at '{}'; do not remove it: --force finishes that first",
                    self.path.display()
                ),
            ),
        }
    }

    /// What stands at the place; of a mount point, beside what a run has there while it goes on.
    pub(super) fn standing(&self, disk: &Disk) -> Result<Standing> {
        if self.form.layout.is_archive() {
            return self.standing_archive(disk);
        }
        let place = &self.path;
        let Some(metadata) = disk.look(place)? else { return Ok(Standing::Nothing) };
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
            return Ok(Standing::EmptyDirectory);
        }
        self.replaceable(disk, names)
    }
    /// Whether these, directly at a place that is a directory, are what an output has there.
    fn replaceable(&self, disk: &Disk, names: Vec<OsString>) -> Result<Standing> {
        let foreign = |why: String| Ok(Standing::Foreign(self.path.clone(), why));
        if names.iter().all(|name| is_ignorable(name)) {
            return Ok(Standing::Replaceable(Vec::new()));
        }
        let found = match self.manifest(disk, &self.path.join(manifest::FILE_NAME))? {
            None => self.staged_manifest(disk)?,
            found => found,
        };
        let Some(found) = found.filter(|found| !found.is_archive()) else {
            return foreign(format!(
                "holds '{}', and no {} of mongosplit",
                names[0].to_string_lossy().escape_debug(),
                manifest::FILE_NAME
            ));
        };
        if found.kind != self.form.kind {
            return foreign(format!(
                "is an output of {}, not of {}",
                found.kind.command(),
                self.form.kind.command()
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
                    "holds '{}', which its {} does not name",
                    shown.escape_debug(),
                    manifest::FILE_NAME
                ));
            }
        }
        units.sort();
        units.sort_by_key(|name| name != manifest::FILE_NAME);
        Ok(Standing::Replaceable(units))
    }
    /// The manifest of an output that was being moved out of a directory inside its place, as version 0.1 did it.
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

    /// What stands where an archive and the files beside it are to come; of a stream, these files alone.
    fn standing_archive(&self, disk: &Disk) -> Result<Standing> {
        let Some(name) = self.form.layout.archive_name()? else { return Ok(Standing::Nothing) };
        let found = self.manifest(disk, &beside(&self.path, manifest::FILE_NAME))?;
        let prefix = format!("{name}.");
        let mut units: Vec<String> =
            if self.form.layout.is_stream() { Vec::new() } else { vec![name.clone()] };
        let named = found.iter().flat_map(|found| found.paths());
        units.extend(
            named
                .filter(|path| path.starts_with(&prefix) && !path.contains('/'))
                .map(str::to_owned),
        );
        for what in BESIDE.map(|what| format!("{prefix}{what}")) {
            if !units.contains(&what) {
                units.push(what);
            }
        }
        let mut standing = Vec::new();
        for unit in units {
            let path = self.path.with_file_name(&unit);
            match disk.look(&path)? {
                None => {}
                Some(metadata) if metadata.is_file() => standing.push(unit),
                Some(_) => {
                    return Err(Error::output(
                        &path,
                        "is no regular file; name another place for the archive",
                    ));
                }
            }
        }
        let Some(first) = standing.first().map(|unit| self.path.with_file_name(unit)) else {
            return Ok(Standing::Nothing);
        };
        let manifest_name = format!("{prefix}{}", manifest::FILE_NAME);
        let Some(found) =
            found.filter(|found| found.is_archive() && found.paths().any(|path| path == name))
        else {
            return Ok(Standing::Foreign(
                first,
                format!("is there already, and no '{manifest_name}' of mongosplit names it"),
            ));
        };
        if found.kind != self.form.kind {
            let why = format!(
                "is there already, and belongs to an output of {}, not of {}",
                found.kind.command(),
                self.form.kind.command()
            );
            return Ok(Standing::Foreign(first, why));
        }
        let sums = format!("{prefix}{}", manifest::SUMS_NAME);
        let stranger = standing.iter().find(|unit| {
            **unit != manifest_name && **unit != sums && !found.paths().any(|path| path == *unit)
        });
        Ok(match stranger {
            Some(unit) => Standing::Foreign(
                self.path.with_file_name(unit),
                format!("is there already, and '{manifest_name}' does not name it"),
            ),
            None => Standing::Replaceable(standing),
        })
    }

    /// Fails where what stands at the place is not to be replaced.
    pub(super) fn check(&self, standing: Standing) -> Result<Standing> {
        let (noun, force) = (self.form.layout.noun(), self.form.force);
        match standing {
            Standing::Replaceable(units) if !force => Err(match self.form.layout.is_archive() {
                true => {
                    let first = units
                        .first()
                        .map_or(self.path.clone(), |unit| self.path.with_file_name(unit));
                    Error::output(
                        &first,
                        "is there already; name another archive, or give --force to replace it",
                    )
                }
                false => Error::output(
                    &self.path,
                    "is not empty; name another directory, or give --force to replace it",
                ),
            }),
            Standing::Foreign(path, why) if force => Err(Error::output(
                &path,
                format!(
                    "{why}, so --force does not replace it; name another {noun}, or remove it yourself"
                ),
            )),
            Standing::Foreign(path, _) => Err(match self.form.layout.is_archive() {
                true => Error::output(&path, "is there already; name another archive"),
                false => Error::output(
                    &path,
                    "is not empty; name a directory that does not exist or is empty",
                ),
            }),
            fine => Ok(fine),
        }
    }

    /// Finishes or removes what a run that was cut short has left; only under the lock, and with `--force`.
    pub(super) fn clear(&self, disk: &Disk, stale: Stale) -> Result<()> {
        let staging = self.staging();
        match stale {
            Stale::Begun(moves) => {
                moves.advance(disk)?;
                disk.remove_tree(&staging)?;
            }
            Stale::Staging => {
                let standing = self.check(self.standing(disk)?)?;
                if self.is_inside
                    && let Standing::Replaceable(units) = &standing
                    && disk.look(&self.path.join(manifest::FILE_NAME))?.is_none()
                {
                    for unit in units {
                        remove(disk, &self.path.join(unit))?;
                    }
                }
                disk.remove_tree(&staging)?;
            }
            Stale::Aside => {
                let has_staging = disk.look(&staging)?.is_some();
                if disk.look(&self.path)?.is_some() {
                    self.check(self.standing(disk)?)?;
                    disk.remove_tree(&self.replaced())?;
                } else if has_staging && disk.look(&staging.join(manifest::FILE_NAME))?.is_some() {
                    disk.rename_new(&staging, &self.path)?;
                    disk.sync_dir(&self.parent())?;
                    return disk.remove_tree(&self.replaced());
                } else {
                    disk.rename_new(&self.replaced(), &self.path)?;
                }
                if has_staging {
                    disk.remove_tree(&staging)?;
                }
            }
        }
        disk.sync_dir(&self.root())
    }
}

/// Whether publishing from this staging directory has begun.
pub(super) fn has_mark(disk: &Disk, staging: &Path) -> Result<bool> {
    Ok(disk.look(&staging.join(MARK))?.is_some())
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

pub(super) fn parent_of(place: &Path) -> PathBuf {
    place
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// Whether a directory is one that is mounted, which nothing can be renamed over.
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
    device(place) != device(&parent_of(place))
}
