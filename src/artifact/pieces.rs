//! Publishing in pieces, for outputs that no single rename can publish (an archive with its sidecar
//! files, a mount point). Old files are moved away, one rename each, and then the new files are
//! moved in; the file that completes the output comes last.
//!
//! Before the first rename, a mark in the staging directory lists all moves. Old files are kept
//! next to it until all new ones are in place. So if a run is interrupted, a later run can finish
//! its moves.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};

/// The file in a staging directory that lists the moves. It exists once publishing has begun.
pub(super) const MARK: &str = ".mongosplit-publishing";
/// The directory in a staging directory that keeps old files.
pub(super) const OLD: &str = ".mongosplit-old";
const FIRST_LINE: &str = "mongosplit publishing 1";
const LAST_LINE: &str = "end";

/// The moves that publish an output.
#[derive(Debug)]
pub(super) struct Moves {
    /// The directory of the old files, and of the new ones.
    pub(super) root: PathBuf,
    pub(super) staging: PathBuf,
    /// Names in `root` to move away, in this order.
    pub(super) old: Vec<String>,
    /// Names in `staging` to move to `root`, in this order; the last one completes the output.
    pub(super) new: Vec<String>,
}

impl Moves {
    /// Writes the mark. From here on, a later run finishes the moves if this one is interrupted.
    pub(super) fn begin(&self, disk: &Disk) -> Result<()> {
        if !self.old.is_empty() {
            disk.create_dir(&self.staging.join(OLD))?;
            disk.sync_dir(&self.staging)?; // so a mark without this directory means that it was removed
        }
        let list = |what: &str, names: &[String]| {
            names.iter().map(|name| format!("{what} {name}\n")).collect::<String>()
        };
        let text = format!(
            "{FIRST_LINE}\n{}{}{LAST_LINE}\n",
            list("old", &self.old),
            list("new", &self.new)
        );
        let unfinished = self.staging.join(format!("{MARK}.part"));
        let mut file = disk.create(&unfinished)?;
        file.write(&[text.as_bytes()])?;
        file.finish()?;
        disk.rename_new(&unfinished, &self.staging.join(MARK))?;
        disk.sync_dir(&self.staging)
    }
    /// Reads the moves that an interrupted run has begun, if there are any.
    pub(super) fn load(disk: &Disk, root: &Path, staging: &Path) -> Result<Option<Moves>> {
        let mark = staging.join(MARK);
        let Some(metadata) = disk.look(&mark)? else { return Ok(None) };
        let unknown = || {
            Error::output(
                &mark,
                "is not a list of moves by mongosplit; keep the files next to it that are yours, and remove the rest",
            )
        };
        if !metadata.is_file() {
            return Err(unknown());
        }
        let text = super::staging::read_of_output(disk, &mark)?;
        let text = String::from_utf8(text).map_err(|_| unknown())?;
        let body = text
            .strip_prefix(FIRST_LINE)
            .and_then(|rest| rest.strip_suffix(&format!("\n{LAST_LINE}\n")))
            .ok_or_else(unknown)?;
        let mut moves = Moves {
            root: root.to_owned(),
            staging: staging.to_owned(),
            old: Vec::new(),
            new: Vec::new(),
        };
        for line in body.split('\n').skip(1) {
            let (what, name) = line.split_once(' ').ok_or_else(unknown)?;
            if matches!(name, "" | "." | "..") || name.contains('/') {
                return Err(unknown());
            }
            match what {
                "old" => moves.old.push(name.to_owned()),
                "new" => moves.new.push(name.to_owned()),
                _ => return Err(unknown()),
            }
        }
        Ok(Some(moves))
    }
    /// Makes all moves that have not been made yet.
    pub(super) fn complete(&self, disk: &Disk) -> Result<()> {
        // Old files are removed once all new ones are in place, and the mark is removed after them.
        // So without the directory of old files, there is nothing left to move away.
        let has_old = !self.old.is_empty() && disk.look(&self.staging.join(OLD))?.is_some();
        for name in self.old.iter().filter(|_| has_old) {
            let (at, aside) = (self.root.join(name), self.staging.join(OLD).join(name));
            // If the old file has been moved already, the file of that name may be the new one.
            let is_old = disk.look(&aside)?.is_none()
                && (!self.new.contains(name) || disk.look(&self.staging.join(name))?.is_some());
            if is_old && disk.look(&at)?.is_some() {
                disk.rename_new(&at, &aside)?;
            }
        }
        if has_old {
            disk.sync_dir(&self.staging.join(OLD))?;
            disk.sync_dir(&self.root)?;
        }
        for (number, name) in self.new.iter().enumerate() {
            let (staged, to) = (self.staging.join(name), self.root.join(name));
            if number + 1 == self.new.len() {
                disk.sync_dir(&self.root)?;
            }
            if disk.look(&staged)?.is_some() {
                disk.rename_new(&staged, &to)?;
            } else if disk.look(&to)?.is_none() {
                return Err(Error::output(
                    &staged,
                    format!(
                        "is missing, so the interrupted run cannot be finished; the old files are in '{OLD}' next to it"
                    ),
                ));
            }
        }
        disk.sync_dir(&self.root)
    }
    /// Undoes all moves that have been made, and removes the mark.
    pub(super) fn undo(&self, disk: &Disk) -> Result<()> {
        for name in self.new.iter().rev() {
            let (staged, to) = (self.staging.join(name), self.root.join(name));
            if disk.look(&staged)?.is_none() && disk.look(&to)?.is_some() {
                disk.rename_new(&to, &staged)?;
            }
        }
        for name in self.old.iter().rev() {
            let (at, aside) = (self.root.join(name), self.staging.join(OLD).join(name));
            if disk.look(&aside)?.is_some() {
                disk.rename_new(&aside, &at)?;
            }
        }
        disk.sync_dir(&self.root)?;
        disk.remove_file(&self.staging.join(MARK))
    }
}
