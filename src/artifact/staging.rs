//! Outputs: written beside their place under names that nothing takes for a dump, put on disk, and then published
//! in one step, the manifest last.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::lock::Lock;
use super::manifest::{self, Manifest, Role};
use super::pieces::Moves;
use super::place::{self, Place, Standing};
use super::writer::{DeferredTail, OutputFile, Sink};
use crate::disk::{Disk, WriteFile};
use crate::error::{Error, Result};

/// What a staging directory beside its place ends in.
pub const STAGING_SUFFIX: &str = ".mongosplit-partial";
/// A staging directory inside its place. The dot makes mongorestore refuse all of the place.
pub const STAGING_INSIDE: &str = ".mongosplit-partial.d";
/// What the lock file beside a place ends in.
pub const LOCK_SUFFIX: &str = ".mongosplit-lock";
/// The lock file of a place that is filled from inside.
pub const LOCK_INSIDE: &str = ".mongosplit-lock";
/// What an old output's name ends in while it makes room, on a file system that cannot exchange directories.
pub(super) const REPLACED_SUFFIX: &str = ".mongosplit-replaced";
pub(super) const PART: &str = ".part";
/// What systems leave in any directory: no part of an output, and no reason to call one damaged.
pub(crate) const IGNORABLE: [&str; 3] = [".DS_Store", "Thumbs.db", "lost+found"];

/// How an output is made.
#[derive(Debug, Clone)]
pub struct Form {
    /// Where it is to be.
    pub layout: Layout,
    /// Compress files, at this level.
    pub gzip_level: Option<u32>,
    /// Replace an output of the same kind that stands at the place, and finish or remove what a run that was cut short
    /// has left there.
    pub force: bool,
    /// What the output is the result of; [`Form::force`] replaces no other.
    pub kind: manifest::Kind,
    /// Permission bits of the source: nobody may read the output who may not read it.
    pub source_mode: u32,
}

/// A place that this run alone writes to as long as the claim lives. It is looked at under a lock.
#[derive(Debug)]
pub struct Claim<'d> {
    disk: &'d Disk,
    place: Place,
    lock: Lock<'d>,
    warnings: Vec<String>,
}

impl<'d> Claim<'d> {
    /// Claims the place of an output, and fails where none can come there. It is absent or empty unless [`Form::force`] is
    /// set.
    pub fn take(disk: &'d Disk, form: Form) -> Result<Self> {
        let mut place = Place::new(disk, form)?;
        let lock = match Lock::take(disk, &place.path, place.lock()) {
            Err(Error::Write { source, .. })
                if is_unwritable(&source) && place.is_beside_a_directory(disk)? =>
            {
                place.is_inside = true;
                Lock::take(disk, &place.path, place.lock())?
            }
            Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let parent = place.parent();
                return Err(Error::output(
                    &place.path,
                    format!("cannot be made, as there is no directory '{}'", parent.display()),
                ));
            }
            other => other?,
        };
        let mut claim = Claim { disk, place, lock, warnings: Vec::new() };
        if !claim.lock.is_held() {
            claim.warnings.push(format!(
                "the file system of '{}' has no locks, so another run for the same place would not be noticed",
                claim.place.path.display()
            ));
        }
        match claim.stale()? {
            None | Some(place::Stale::Staging) => {
                claim.place.check(claim.place.standing(disk)?).map(drop)?
            }
            Some(_) => {} // what stands there is known once that is finished
        }
        Ok(claim)
    }
    /// What a run that was cut short has left, where this one may finish or remove it.
    fn stale(&self) -> Result<Option<place::Stale>> {
        match self.place.stale(self.disk)? {
            Some(stale) if !self.place.form.force => Err(self.place.refusal(&stale)),
            Some(_) if !self.lock.is_held() => Err(Error::output(
                &self.place.staging(),
                "is left from a run that was cut short, or belongs to one that still goes on: the file system has no locks that would tell, so --force leaves it; remove it when no run goes on",
            )),
            stale => Ok(stale),
        }
    }
}

/// Errors by which a directory says that nothing can be made in it.
fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// An output directory that is being made. Dropped before [`Staging::publish`], it leaves nothing.
#[derive(Debug)]
pub struct Staging<'d> {
    disk: &'d Disk,
    place: Place,
    staging: PathBuf,
    /// Device and inode of the staging directory.
    own: (u64, u64),
    form: Form,
    directories: BTreeSet<String>,
    files: Vec<String>,
    /// Whether the staging directory is no longer this run's to remove.
    done: bool,
    warnings: Vec<String>,
    /// Dropped last.
    lock: Lock<'d>,
}

impl<'d> Staging<'d> {
    /// Begins an output at its place, which is absent or empty unless [`Form::force`] is set.
    pub fn begin(disk: &'d Disk, form: Form) -> Result<Self> {
        let source_mode = form.source_mode;
        Staging::begin_at(Claim::take(disk, form)?, source_mode)
    }
    /// Begins an output at a place that has been claimed, from a source with these permission bits.
    pub fn begin_at(claim: Claim<'d>, source_mode: u32) -> Result<Self> {
        if let Some(stale) = claim.stale()? {
            claim.place.clear(claim.disk, stale)?;
        }
        let Claim { disk, place, lock, warnings } = claim;
        place.check(place.standing(disk)?)?;
        let staging = place.staging();
        disk.create_dir(&staging, 0o700)?;
        let form = Form { source_mode, ..place.form.clone() };
        let own = match disk.look(&staging) {
            Ok(Some(made)) => (made.dev(), made.ino()),
            other => {
                let _ = disk.remove_dir(&staging);
                return Err(other.err().unwrap_or_else(|| {
                    Error::output(&staging, "is gone: another program has removed it")
                }));
            }
        };
        Ok(Staging {
            disk,
            place,
            staging,
            own,
            form,
            directories: BTreeSet::new(),
            files: Vec::new(),
            done: false,
            warnings,
            lock,
        })
    }

    /// Begins a file at a path below the output, of one name or of a directory's and one. Without a staging
    /// directory (`output` is none) it is hashed only.
    pub fn file(
        output: Option<&mut Staging<'d>>,
        path: String,
        role: Role,
        namespace: &str,
        gzip_level: Option<u32>,
    ) -> Result<OutputFile<'d>> {
        let sink = match output {
            None => Sink::Nowhere,
            Some(output) if output.form.layout.is_stream() && role == Role::Archive => {
                Sink::Stream(DeferredTail::default())
            }
            Some(output) => Sink::File(output.create(&path)?),
        };
        Ok(OutputFile::new(path, role, namespace, gzip_level, sink))
    }

    /// Where temporary files can go; they must be gone when the output is published.
    pub fn scratch(&self) -> &Path {
        &self.staging
    }

    fn create(&mut self, path: &str) -> Result<WriteFile<'d>> {
        self.check_own()?;
        if let Some((directory, _)) = path.split_once('/')
            && self.directories.insert(directory.to_owned())
        {
            self.disk.create_dir(&self.staging.join(directory), self.directory_mode())?;
        }
        self.files.push(path.to_owned());
        self.disk.create(&self.staging.join(format!("{path}{PART}")), self.file_mode())
    }
    fn file_mode(&self) -> u32 {
        0o600 | self.form.source_mode & 0o044
    }
    fn directory_mode(&self) -> u32 {
        0o700 | self.form.source_mode & 0o044 | (self.form.source_mode & 0o044) >> 2
    }

    /// Writes SHA256SUMS and the manifest, puts everything on disk and brings it to its place.
    ///
    /// Returns warnings about what the file system could not do.
    pub fn publish(self, manifest: &Manifest) -> Result<Vec<String>> {
        self.publish_with(manifest, None)
    }

    /// [`Staging::publish`]; the end of a stream is written when all other files are on disk, and before they come
    /// to their place.
    pub fn publish_with(
        mut self,
        manifest: &Manifest,
        held: Option<DeferredTail>,
    ) -> Result<Vec<String>> {
        for (name, text) in
            [(manifest::SUMS_NAME, manifest.sums()), (manifest::FILE_NAME, manifest.to_text())]
        {
            let name = self
                .form
                .layout
                .archive_name()?
                .map_or(name.to_owned(), |archive| format!("{archive}.{name}"));
            let mut file = self.create(&name)?;
            file.write(&[text.as_bytes()])?;
            file.finish()?;
        }
        self.sync_directories()?;
        self.check_own()?;
        if let Some(mut held) = held {
            held.flush()?;
        }
        self.unveil()?;
        match self.form.layout.is_archive() || self.place.is_inside {
            true => self.move_pieces()?,
            false => self.take_place()?,
        }
        self.done = true;
        if self.disk.did_without() {
            self.warnings.push(format!(
                "the file system of '{}' lacks rename without replacing, or putting directories on disk; a power failure just now could undo the last steps",
                self.place.path.display()
            ));
        }
        if let Err(error) = self.lock.release() {
            self.warnings.push(error.to_string());
        }
        Ok(std::mem::take(&mut self.warnings))
    }

    /// Fails where the staging directory is not the one that this run made.
    fn check_own(&self) -> Result<()> {
        match self.disk.look(&self.staging)? {
            Some(there) if (there.dev(), there.ino()) == self.own => Ok(()),
            _ => Err(Error::output(
                &self.staging,
                "is no longer the directory that this run made: another program has removed or replaced it; nothing was published",
            )),
        }
    }

    /// Takes `.part` from the names of the files, whose last is the manifest's.
    fn unveil(&self) -> Result<()> {
        for path in &self.files {
            self.disk.rename_new(
                &self.staging.join(format!("{path}{PART}")),
                &self.staging.join(path),
            )?;
        }
        self.sync_directories()
    }

    fn sync_directories(&self) -> Result<()> {
        for directory in &self.directories {
            self.disk.sync_dir(&self.staging.join(directory))?;
        }
        self.disk.sync_dir(&self.staging)
    }

    /// What stands at the place now that the output is made.
    fn standing(&self) -> Result<Standing> {
        let standing = self.place.standing(self.disk)?;
        if !self.form.force && !matches!(standing, Standing::Nothing | Standing::EmptyDirectory) {
            return Err(Error::output(
                &self.place.path,
                "is no longer empty: something was put there during the run; nothing was replaced",
            ));
        }
        self.place.check(standing)
    }

    /// Brings the staging directory to its place, whole.
    fn take_place(&mut self) -> Result<()> {
        let (disk, parent, place) = (self.disk, self.place.parent(), self.place.path.clone());
        let standing = self.standing()?;
        // Only now, as a directory that its owner alone can open protects what is half done.
        disk.set_mode(&self.staging, self.directory_mode() & !umask())?;
        match standing {
            Standing::Nothing => disk.rename_new(&self.staging, &place)?,
            Standing::EmptyDirectory => disk.rename_over_empty(&self.staging, &place)?,
            Standing::Replaceable(_) | Standing::Foreign(..) => {
                let old = match disk.exchange(&self.staging, &place)? {
                    true => self.staging.clone(),
                    false => self.make_room()?,
                };
                if let Err(error) = disk.sync_dir(&parent) {
                    return Err(self.give_back(&old, error));
                }
                self.discard(&old, "the old output");
                return Ok(());
            }
        }
        disk.sync_dir(&parent)
    }
    /// Takes the place of an old output in two steps, and gives where the old one is.
    fn make_room(&mut self) -> Result<PathBuf> {
        let (disk, place, old) = (self.disk, &self.place.path, self.place.replaced());
        self.warnings.push(format!(
            "the file system cannot exchange directories, so for a moment there was neither the old output nor the new one at '{}'",
            place.display()
        ));
        disk.rename_new(place, &old)?;
        if let Err(error) = disk.rename_new(&self.staging, place) {
            return Err(self.give_back(&old, error));
        }
        Ok(old)
    }
    /// Brings an old output back to its place after an error.
    fn give_back(&mut self, old: &Path, error: Error) -> Error {
        let (disk, place) = (self.disk, &self.place.path);
        let back = match old == self.staging {
            true => disk.exchange(old, place).map(drop),
            false => {
                let away = if self.check_own().is_ok() {
                    Ok(())
                } else {
                    disk.rename_new(place, &self.staging)
                };
                away.and_then(|()| disk.rename_new(old, place))
            }
        };
        match back {
            Ok(()) => error,
            Err(_) => {
                self.done = true;
                Error::output(
                    old,
                    format!(
                        "is the old output: the new one could not be put in its place safely ({error}); --force finishes that first"
                    ),
                )
            }
        }
    }

    /// Brings the output to its place in pieces. Old files make room first, so that at no moment an old one stands for
    /// a new one.
    fn move_pieces(&mut self) -> Result<()> {
        let disk = self.disk;
        let old = match self.standing()? {
            Standing::Replaceable(units) => units,
            _ => Vec::new(),
        };
        let moves = Moves {
            root: self.place.root(),
            staging: self.staging.clone(),
            old,
            new: self.units()?,
        };
        let moved = moves.begin(disk).and_then(|()| moves.advance(disk));
        if let Err(error) = moved {
            if place::has_mark(disk, &self.staging).unwrap_or(true) && moves.retreat(disk).is_err()
            {
                self.done = true;
                return Err(Error::output(
                    &self.staging,
                    format!(
                        "holds files that belong at '{}', as neither the new output nor the old one could be put in place ({error}); do not remove it: --force finishes that first",
                        self.place.path.display()
                    ),
                ));
            }
            return Err(error);
        }
        let left = self.discard(&self.staging.clone(), "what is left of the run");
        if left && self.place.is_inside {
            self.done = true;
            return Err(Error::output(
                &self.staging,
                format!(
                    "cannot be removed; the output at '{}' is complete, but mongorestore refuses it while this is there: remove it",
                    self.place.path.display()
                ),
            ));
        }
        Ok(())
    }
    /// The names that come to the place in pieces, the one that completes the output last.
    fn units(&self) -> Result<Vec<String>> {
        let mut units: Vec<String> = Vec::new();
        for path in &self.files {
            let unit = path.split_once('/').map_or(path.as_str(), |(directory, _)| directory);
            if !units.iter().any(|there| there == unit) {
                units.push(unit.to_owned());
            }
        }
        if let Some(name) = self.form.layout.archive_name()? {
            units.sort_by_key(|unit| *unit == name);
        }
        Ok(units)
    }
    /// Removes what the published output does not need; a warning says where that fails. Whether it is left.
    fn discard(&mut self, path: &Path, what: &str) -> bool {
        // A second time, as what keeps a file for a moment may have passed.
        let Err(error) = self.disk.remove_tree(path).or_else(|_| self.disk.remove_tree(path))
        else {
            return false;
        };
        self.warnings.push(format!("{what} is still at '{}': {error}; remove it", path.display()));
        true
    }
}

/// Fails early where an output cannot come to its place; what [`Claim::take`] does, without keeping the place.
pub fn check_place(form: Form) -> Result<()> {
    Claim::take(&Disk::default(), form).map(drop)
}

/// The content of a small file of an output that is there.
pub(super) fn read_of_output(disk: &Disk, path: &Path) -> Result<Vec<u8>> {
    const MOST: u64 = 512 * 1024 * 1024;
    disk.read_small(path, MOST).map_err(Error::of_writing)
}

fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    rustix::process::umask(mask);
    mask.bits()
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What another program has put there is not this run's to remove.
        if self.done || self.check_own().is_err() {
            return;
        }
        if let Err(error) = self.disk.remove_tree(&self.staging) {
            let _ = writeln!(
                io::stderr(),
                "warning: cannot remove '{}': {error}",
                self.staging.display()
            );
        }
    }
}
