//! Moves a finished output from its staging directory to its place, and back if that fails.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Staging;
use crate::artifact::pieces::Moves;
use crate::artifact::place::{self, Existing};
use crate::error::{Error, Result};
use crate::plain::PlainPath;

impl Staging<'_> {
    /// Publishes the staging directory as a whole.
    pub(super) fn move_whole(&mut self) -> Result<()> {
        let (disk, parent, place) = (self.disk, self.place.parent(), self.place.path.clone());
        let existing = self.existing()?;
        // Only now, so that nobody but the owner could open the incomplete output.
        disk.admit(&self.staging)?;
        let empty = match existing {
            Existing::Nothing => {
                disk.rename_new(&self.staging, &place)?;
                None
            }
            Existing::EmptyDirectory => {
                let mode = disk.look(&place)?.map(|there| there.mode());
                disk.rename_over_empty(&self.staging, &place)?;
                mode
            }
            Existing::Replaceable(_) | Existing::Foreign(..) => {
                let old = match disk.exchange(&self.staging, &place)? {
                    true => self.staging.clone(),
                    false => self.replace_in_two_steps()?,
                };
                if let Err(error) = disk.sync_dir(&parent) {
                    return Err(self.restore_old(&old, error));
                }
                self.discard(&old, "the old output");
                return Ok(());
            }
        };
        disk.sync_dir(&parent).map_err(|error| self.take_back(empty, error))
    }
    /// Removes a new output from its place after an error: it may not be on disk. `empty` is the
    /// mode of the empty directory that was there.
    fn take_back(&mut self, empty: Option<u32>, error: Error) -> Error {
        let (disk, place) = (self.disk, &self.place.path);
        let back = disk.rename_new(place, &self.staging).and_then(|()| match empty {
            Some(mode) => disk.create_dir_again(place, mode),
            None => Ok(()),
        });
        match back {
            Ok(()) => error,
            Err(_) if self.check_own().is_ok() => error,
            Err(_) => Error::output(
                place,
                format!(
                    "is the whole output, but a power failure could undo its last step, and it cannot be taken back ({error}); verify it, or run again with --force"
                ),
            ),
        }
    }
    /// Replaces an old output by two renames, and returns the path of the old one.
    fn replace_in_two_steps(&mut self) -> Result<PathBuf> {
        let (disk, place, old) = (self.disk, &self.place.path, self.place.replaced());
        self.warnings.push(format!(
            "the file system cannot exchange directories, so for a moment neither the old output nor the new one was at '{}'",
            place.plain()
        ));
        disk.rename_new(place, &old)?;
        if let Err(error) = disk.rename_new(&self.staging, place) {
            return Err(self.restore_old(&old, error));
        }
        Ok(old)
    }
    /// Moves an old output back to its place after an error.
    fn restore_old(&mut self, old: &Path, error: Error) -> Error {
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
                        "is the old output: publishing the new one failed ({error}); --force finishes that run first"
                    ),
                )
            }
        }
    }

    /// Publishes the output in pieces. All old files are moved away first, so that old and new ones
    /// never mix.
    pub(super) fn move_pieces(&mut self) -> Result<()> {
        let disk = self.disk;
        let old = match self.existing()? {
            Existing::Replaceable(units) => units,
            _ => Vec::new(),
        };
        let moves = Moves {
            root: self.place.root(),
            staging: self.staging.clone(),
            old,
            new: self.units()?,
        };
        let moved = moves.begin(disk).and_then(|()| moves.complete(disk));
        if let Err(error) = moved {
            if place::has_mark(disk, &self.staging).unwrap_or(true) && moves.undo(disk).is_err() {
                self.done = true;
                return Err(Error::output(
                    &self.staging,
                    format!(
                        "holds files that belong at '{}', because neither the new output nor the old one could be moved there ({error}); do not remove it: --force finishes that run first",
                        self.place.path.plain()
                    ),
                ));
            }
            return Err(error);
        }
        let left = self.discard(&self.staging.clone(), "the staging directory");
        self.done = true; // the output is complete, whatever follows
        if let Some(error) = left
            && self.place.is_inside
        {
            return Err(Error::output(
                &self.staging,
                format!(
                    "cannot be removed ({error}); the output at '{}' is complete, but mongorestore refuses it while this is there: remove it",
                    self.place.path.plain()
                ),
            ));
        }
        Ok(())
    }
    /// The names to move to the place; the one that completes the output comes last.
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
    /// Removes what the published output does not need. If that fails, adds a warning and returns
    /// the error.
    fn discard(&mut self, path: &Path, what: &str) -> Option<Error> {
        // The second try is for files that another program kept open for a moment.
        let remove = || place::remove_output(self.disk, path);
        let Err(error) = remove().or_else(|_| remove()) else {
            return None;
        };
        self.warnings.push(format!("{what} is still at '{}': {error}; remove it", path.plain()));
        Some(error)
    }
}
