//! Outputs are written next to their place, under names that no tool takes for a dump, synced to
//! disk, and then published in one step. If that takes several renames, the file that completes the
//! output comes last.

mod publish;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::layout::Layout;
use super::lock::Lock;
use super::manifest::{self, Manifest, Role};
use super::place::{self, Existing, Leftover, Place};
use super::writer::{DeferredTail, OutputFile, Sink};
use crate::disk::{Disk, WriteFile};
use crate::error::{Error, Result};
use crate::plain::PlainPath;

/// The suffix of a staging directory next to its place.
pub const STAGING_SUFFIX: &str = ".mongosplit-partial";
/// The name of a staging directory inside its place. Because of the dot, mongorestore refuses the
/// whole place.
pub const STAGING_INSIDE: &str = ".mongosplit-partial.d";
/// The suffix of the lock file next to a place.
pub const LOCK_SUFFIX: &str = ".mongosplit-lock";
/// The name of the lock file inside a place.
pub const LOCK_INSIDE: &str = ".mongosplit-lock";
/// The suffix of an old output that has been moved away, on a file system that cannot exchange
/// directories.
pub(super) const REPLACED_SUFFIX: &str = ".mongosplit-replaced";
pub(super) const PART: &str = ".part";
/// The directory for temporary files in a staging directory.
const SCRATCH: &str = ".mongosplit-scratch";
/// Names that systems create in any directory. They are neither part of an output nor a sign of
/// damage.
pub(crate) const IGNORABLE: [&str; 3] = [".DS_Store", "Thumbs.db", "lost+found"];

/// Options for writing an output.
#[derive(Debug, Clone)]
pub struct Form {
    /// The place and form of the output.
    pub layout: Layout,
    /// Compress files at this level.
    pub gzip_level: Option<u32>,
    /// Replace an existing output of the same kind, and finish or remove what an interrupted run
    /// has left.
    pub force: bool,
    /// The command whose outputs [`Form::force`] replaces; none if an output has no manifest.
    pub kind: Option<manifest::Kind>,
}

/// A locked place. As long as the claim lives, no other run writes there.
#[derive(Debug)]
pub struct Claim<'d> {
    disk: &'d Disk,
    place: Place,
    lock: Lock<'d>,
    warnings: Vec<String>,
}

impl<'d> Claim<'d> {
    /// Locks the place of an output, and checks that an output can be published there.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if another run holds the place, an interrupted run has left files, or
    /// something exists there that must not be replaced; without [`Form::force`] that is anything
    /// but an empty directory.
    pub fn take(disk: &'d Disk, form: Form) -> Result<Self> {
        let mut place = Place::new(disk, form)?;
        let lock = match Lock::take(disk, &place.path, place.lock()) {
            Err(Error::Write { source, .. })
                if is_unwritable(&source) && place.can_stage_inside(disk)? =>
            {
                place.is_inside = true;
                Lock::take(disk, &place.path, place.lock())?
            }
            Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let parent = place.parent();
                return Err(Error::output(
                    &place.path,
                    format!(
                        "cannot be created, because there is no directory '{}'; make that first",
                        parent.plain()
                    ),
                ));
            }
            other => other?,
        };
        let mut claim = Claim { disk, place, lock, warnings: Vec::new() };
        if !claim.lock.is_held() {
            claim.warnings.push(format!(
                "the file system of '{}' has no locks, so another run for the same place would go unnoticed",
                claim.place.path.plain()
            ));
        }
        match claim.leftover()? {
            None | Some(Leftover::Staging) => {
                claim.place.check(claim.place.existing(disk)?).map(drop)?
            }
            Some(_) => {} // what exists at the place is known once the interrupted run is finished
        }
        Ok(claim)
    }
    /// What an interrupted run has left. Fails if this run may not finish or remove it.
    fn leftover(&self) -> Result<Option<Leftover>> {
        match self.place.leftover(self.disk)? {
            Some(leftover) if !self.place.form.force => Err(self.place.refusal(&leftover)),
            Some(_) if !self.lock.is_held() => Err(Error::output(
                &self.place.staging(),
                "was left by an interrupted run, or is in use by another: without locks on this file system, --force cannot know and leaves it; remove it once no run is active",
            )),
            leftover => Ok(leftover),
        }
    }
}

/// Whether an error means that nothing can be created in a directory.
fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// An output that is being written. If it is dropped before [`Staging::publish`], nothing is left
/// of it.
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
    /// Whether dropping this value must leave the staging directory alone.
    done: bool,
    warnings: Vec<String>,
    /// Dropped last.
    lock: Lock<'d>,
    /// Whether bytes of an archive have gone to standard output.
    is_out: Arc<AtomicBool>,
}

impl<'d> Staging<'d> {
    /// Claims the place of an output and begins to write it. Fails as [`Claim::take`] does.
    pub fn begin(disk: &'d Disk, form: Form) -> Result<Self> {
        Staging::begin_at(Claim::take(disk, form)?)
    }
    /// Begins an output at a claimed place. First finishes or removes what an interrupted run has
    /// left.
    pub fn begin_at(claim: Claim<'d>) -> Result<Self> {
        if let Some(leftover) = claim.leftover()? {
            claim.place.clear(claim.disk, leftover)?;
        }
        let Claim { disk, place, lock, warnings } = claim;
        place.check(place.existing(disk)?)?;
        let staging = place.staging();
        disk.create_dir(&staging)?;
        let form = place.form.clone();
        let own = match disk.look(&staging) {
            Ok(Some(made)) => (made.dev(), made.ino()),
            other => {
                let _ = disk.remove_dir(&staging);
                return Err(other.err().unwrap_or_else(|| {
                    Error::output(&staging, "is gone: another program removed it")
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
            is_out: Arc::default(),
        })
    }

    /// Begins a file of the output. `path` is relative to the output, and has one directory at
    /// most. In a dry run (`output` is `None`), the bytes are hashed but not written.
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
                Sink::Stream(DeferredTail::new(Arc::clone(&output.is_out)))
            }
            Some(output) => Sink::File(output.create(&path)?),
        };
        Ok(OutputFile::new(path, role, namespace, gzip_level, sink))
    }

    /// A flag that is set once bytes of an archive have gone to standard output: from then on, a
    /// failure leaves something behind.
    pub fn is_out(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_out)
    }

    /// A directory for temporary files, which is removed before the output is published.
    pub fn scratch(&self) -> Result<PathBuf> {
        let scratch = self.staging.join(SCRATCH);
        if self.disk.look(&scratch)?.is_none() {
            self.disk.create_dir(&scratch)?;
        }
        Ok(scratch)
    }
    fn remove_scratch(&self) -> Result<()> {
        let scratch = self.staging.join(SCRATCH);
        match self.disk.look(&scratch)? {
            Some(_) => self.disk.remove_tree(&scratch),
            None => Ok(()),
        }
    }

    /// Begins a file that no manifest lists; `path` as for [`Staging::file`].
    pub(crate) fn create(&mut self, path: &str) -> Result<WriteFile<'d>> {
        self.check_own()?;
        if let Some((directory, _)) = path.split_once('/')
            && self.directories.insert(directory.to_owned())
        {
            self.disk.create_dir(&self.unfinished(directory))?;
        }
        self.files.push(path.to_owned());
        let unfinished = match path.split_once('/') {
            Some((directory, name)) => self.unfinished(directory).join(format!("{name}{PART}")),
            None => self.unfinished(path),
        };
        self.disk.create(&unfinished)
    }
    /// The path of a name directly in the staging directory until all below it is complete.
    fn unfinished(&self, name: &str) -> PathBuf {
        self.staging.join(format!("{name}{PART}"))
    }

    /// Writes SHA256SUMS and the manifest, syncs everything to disk and publishes it.
    ///
    /// Returns warnings about what the file system could not do.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] or [`Error::Write`]. The place is then as it was before, unless the error
    /// says otherwise.
    pub fn publish(self, manifest: &Manifest) -> Result<Vec<String>> {
        self.publish_with(manifest, None)
    }

    /// Like [`Staging::publish`]. The end of an archive on standard output is written once all
    /// other files are synced to disk, and before they are published.
    pub fn publish_with(
        mut self,
        manifest: &Manifest,
        tail: Option<DeferredTail>,
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
        self.publish_files(tail)
    }

    /// Publishes the files as they are, which are finished: a sample has no manifest.
    pub(crate) fn publish_files(mut self, tail: Option<DeferredTail>) -> Result<Vec<String>> {
        self.remove_scratch()?;
        for directory in &self.directories {
            self.disk.sync_dir(&self.unfinished(directory))?;
        }
        self.disk.sync_dir(&self.staging)?;
        self.check_own()?;
        if let Some(mut tail) = tail {
            tail.flush()?;
        }
        self.strip_part_suffix()?;
        match self.form.layout.is_archive() || self.place.is_inside {
            true => self.move_pieces()?,
            false => self.move_whole()?,
        }
        self.done = true;
        if self.disk.did_without() {
            self.warnings.push(format!(
                "the file system of '{}' cannot rename without replacing, or cannot sync directories; a power failure now could undo the last steps",
                self.place.path.plain()
            ));
        }
        if let Err(error) = self.lock.release() {
            self.warnings.push(error.to_string());
        }
        Ok(std::mem::take(&mut self.warnings))
    }

    /// Fails if the staging directory is not the one that this run created.
    fn check_own(&self) -> Result<()> {
        match self.disk.look(&self.staging)? {
            Some(there) if (there.dev(), there.ino()) == self.own => Ok(()),
            _ => Err(Error::output(
                &self.staging,
                "is no longer the directory that this run created: another program removed or replaced it; nothing was published",
            )),
        }
    }

    /// Lets others read the finished output as far as they may read its sources, and removes `.part`
    /// from all names. Directories come after the files in them, so that
    /// mongorestore, which refuses a directory with a dot in its name, finds all collections or
    /// refuses. The manifest comes last.
    fn strip_part_suffix(&self) -> Result<()> {
        let publish = |part: &Path, to: &Path| {
            self.disk.admit(part)?;
            self.disk.rename_new(part, to)
        };
        let strip = |name: &str| publish(&self.unfinished(name), &self.staging.join(name));
        for path in &self.files {
            if let Some((directory, name)) = path.split_once('/') {
                let directory = self.unfinished(directory);
                let part = directory.join(format!("{name}{PART}"));
                publish(&part, &directory.join(name))?;
            }
        }
        for directory in &self.directories {
            self.disk.sync_dir(&self.unfinished(directory))?;
        }
        self.directories.iter().try_for_each(|directory| strip(directory))?;
        self.files.iter().filter(|path| !path.contains('/')).try_for_each(|path| strip(path))?;
        self.disk.sync_dir(&self.staging)
    }

    /// What exists at the place now that the output is complete. Fails if that must not be
    /// replaced.
    fn existing(&self) -> Result<Existing> {
        let existing = self.place.existing(self.disk)?;
        if !self.form.force && !matches!(existing, Existing::Nothing | Existing::EmptyDirectory) {
            return Err(Error::output(
                &self.place.path,
                "is no longer empty: something was put there during the run; nothing was replaced",
            ));
        }
        self.place.check(existing)
    }
}

/// Fails early if an output cannot be published at its place. Like [`Claim::take`], but releases
/// the place.
pub fn check_place(form: Form) -> Result<()> {
    Claim::take(&Disk::default(), form).map(drop)
}

/// Reads a small file of an existing output.
pub(super) fn read_of_output(disk: &Disk, path: &Path) -> Result<Vec<u8>> {
    const MAX_BYTES: u64 = 512 * 1024 * 1024;
    disk.read_small_aside(path, MAX_BYTES).map_err(Error::of_writing)
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let removed = match self.disk.look(&self.staging) {
            Ok(Some(there)) if (there.dev(), there.ino()) == self.own => {
                place::remove_output(self.disk, &self.staging)
            }
            // Do not remove what another program has put there.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let _ = writeln!(
                io::stderr(),
                "warning: cannot remove '{}': {error}",
                self.staging.plain()
            );
        }
    }
}
