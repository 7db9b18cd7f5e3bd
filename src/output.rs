//! Outputs: written beside their place under names that nothing takes for a dump, put on disk, and then published
//! in one step, the manifest last.

pub mod archive;
mod lock;
mod pieces;
mod place;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, WriteFile};
use crate::error::{Error, IoContext, Result};
use crate::gzip;
use crate::hash::{Counted, update_both};
use crate::manifest::{self, Manifest, Role};
use crate::pipeline;
use lock::Lock;
use pieces::Moves;
use place::{Place, Standing};

/// What a staging directory beside its place ends in.
pub const STAGING_SUFFIX: &str = ".mongosplit-partial";
/// A staging directory inside its place. The dot makes mongorestore refuse all of the place.
pub const STAGING_INSIDE: &str = ".mongosplit-partial.d";
/// What the lock file beside a place ends in.
pub const LOCK_SUFFIX: &str = ".mongosplit-lock";
/// The lock file of a place that is filled from inside.
pub const LOCK_INSIDE: &str = ".mongosplit-lock";
/// What an old output's name ends in while it makes room, on a file system that cannot exchange directories.
const REPLACED_SUFFIX: &str = ".mongosplit-replaced";
const PART: &str = ".part";
/// What systems leave in any directory: no part of an output, and no reason to call one damaged.
pub(crate) const IGNORABLE: [&str; 3] = [".DS_Store", "Thumbs.db", "lost+found"];

/// A file of an output: hashed, and compressed if it is to be, while it is written.
#[derive(Debug)]
pub struct OutputFile<'d> {
    entry: manifest::File,
    /// Hashes what is appended.
    raw: Counted,
    /// Hashes what is stored, where that is something else.
    gzip: Option<Gzip>,
    sink: Sink<'d>,
}

/// Where the bytes of an output go.
#[derive(Debug)]
enum Sink<'d> {
    /// Nowhere: a dry run.
    Nowhere,
    File(WriteFile<'d>),
    /// Standard output.
    Stream(Held),
}

impl Sink<'_> {
    fn write(&mut self, pieces: &[&[u8]]) -> Result<()> {
        match self {
            Sink::Nowhere => Ok(()),
            Sink::File(file) => file.write(pieces),
            Sink::Stream(stream) => pieces.iter().try_for_each(|piece| stream.write(piece)),
        }
    }
}

/// What has not been written to standard output yet. Dropped, it never will be.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    is_held: bool,
}

impl Held {
    /// Bytes written at once: what a pipe takes.
    const PIECE: usize = 64 * 1024;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.is_held || self.bytes.len() < Self::PIECE {
            return Ok(());
        }
        self.flush()
    }
    fn flush(&mut self) -> Result<()> {
        let path = Path::new("standard output");
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(io::stdout(), rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)).writing("write to", path),
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).writing("write to", path),
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

/// Another stream's hash, and its bytes that are to be hashed side by side with those of an output.
pub type Beside<'a> = (&'a mut Counted, &'a [&'a [u8]]);

/// Something that the documents of a collection are appended to.
pub trait DocumentSink: Send {
    /// Appends documents in pieces and hashes them side by side with another stream's, which costs less than to hash
    /// the one after the other.
    fn append_beside(&mut self, pieces: &[&[u8]], beside: Option<Beside<'_>>) -> Result<()>;
    /// Counts documents that were appended.
    fn count(&mut self, documents: u64);
    /// Compresses what can be; to be called now and then.
    fn compress(&mut self) -> Result<()>;
}

impl DocumentSink for OutputFile<'_> {
    fn append_beside(&mut self, pieces: &[&[u8]], beside: Option<Beside<'_>>) -> Result<()> {
        OutputFile::append_beside(self, pieces, beside)
    }
    fn count(&mut self, documents: u64) {
        OutputFile::count(self, documents);
    }
    fn compress(&mut self) -> Result<()> {
        OutputFile::compress(self)
    }
}

#[derive(Debug)]
struct Gzip {
    level: u32,
    pending: Vec<u8>,
    stored: Counted,
    members: u64,
}

fn hash_beside(hash: &mut Counted, pieces: &[&[u8]], beside: Option<Beside<'_>>) {
    match beside {
        Some(other) => update_both((hash, pieces), other),
        None => pieces.iter().for_each(|piece| hash.update(piece)),
    }
}

fn store(gzip: &mut Option<Gzip>, sink: &mut Sink<'_>, pieces: &[&[u8]]) -> Result<()> {
    match gzip {
        Some(gzip) => pieces.iter().for_each(|piece| gzip.pending.extend_from_slice(piece)),
        None => sink.write(pieces)?,
    }
    Ok(())
}

impl OutputFile<'_> {
    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.raw.update(bytes);
        store(&mut self.gzip, &mut self.sink, &[bytes])
    }
    /// Appends bytes in pieces and hashes them side by side with another stream's, while another thread writes them.
    pub fn append_beside(&mut self, pieces: &[&[u8]], beside: Option<Beside<'_>>) -> Result<()> {
        let (raw, gzip, sink) = (&mut self.raw, &mut self.gzip, &mut self.sink);
        pipeline::join(|| hash_beside(raw, pieces, beside), || store(gzip, sink, pieces)).1
    }
    /// Counts documents that were appended.
    pub fn count(&mut self, documents: u64) {
        *self.entry.documents.get_or_insert(0) += documents;
    }
    /// Compresses whole members of what was appended; to be called now and then.
    pub fn compress(&mut self) -> Result<()> {
        let Some(gzip) = &mut self.gzip else { return Ok(()) };
        let whole = gzip.pending.len() / gzip::MEMBER_BYTES * gzip::MEMBER_BYTES;
        self.compress_to(whole)
    }
    fn compress_to(&mut self, end: usize) -> Result<()> {
        let Some(gzip) = &mut self.gzip else { return Ok(()) };
        let level = gzip.level;
        let mut members: Vec<(&[u8], Vec<u8>)> = gzip.pending[..end].chunks(gzip::MEMBER_BYTES).map(|chunk| (chunk, Vec::new())).collect();
        pipeline::for_each(&mut members, |(chunk, member)| {
            *member = gzip::compress(chunk, level);
            Ok(())
        })?;
        for (_, member) in &members {
            gzip.stored.update(member);
            gzip.members += 1;
            self.sink.write(&[member])?;
        }
        gzip.pending.drain(..end);
        Ok(())
    }
    /// From here on, nothing more goes to a stream before it is released.
    fn hold(&mut self) {
        if let Sink::Stream(stream) = &mut self.sink {
            stream.is_held = true;
        }
    }
    /// Puts the file on disk and says what it is.
    pub fn finish(self) -> Result<manifest::File> {
        self.finish_held().map(|(entry, _)| entry)
    }
    /// [`OutputFile::finish`], with what is held back of a stream.
    fn finish_held(mut self) -> Result<(manifest::File, Option<Held>)> {
        let rest = self.gzip.as_ref().map_or(0, |gzip| gzip.pending.len());
        self.compress_to(rest)?;
        if self.gzip.as_ref().is_some_and(|gzip| gzip.members == 0) {
            // mongorestore refuses a compressed file of zero bytes; an empty collection is an empty member.
            let member = gzip::compress(&[], 1);
            if let Some(gzip) = &mut self.gzip {
                gzip.stored.update(&member);
            }
            self.sink.write(&[&member])?;
        }
        let held = match self.sink {
            Sink::Nowhere => None,
            Sink::File(file) => file.finish().map(|()| None)?,
            Sink::Stream(stream) => Some(stream),
        };
        let (bytes, sha256) = self.raw.finish();
        match self.gzip {
            None => (self.entry.bytes, self.entry.sha256) = (bytes, sha256),
            Some(gzip) => {
                (self.entry.bytes, self.entry.sha256) = gzip.stored.finish();
                (self.entry.raw_bytes, self.entry.raw_sha256) = (Some(bytes), Some(sha256));
            }
        }
        Ok((self.entry, held))
    }
}

/// How an output is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    /// Compress files, at this level.
    pub gzip_level: Option<u32>,
    /// Replace an output of the same kind that stands at the place, and finish or remove what a run that was cut short
    /// has left there.
    pub force: bool,
    /// What the output is the result of; [`Form::force`] replaces no other.
    pub kind: manifest::Kind,
    /// Permission bits of the source: nobody may read the output who may not read it.
    pub source_mode: u32,
    /// One archive, with the other files beside it.
    pub archive: bool,
    /// The archive goes to standard output; only the other files have a place.
    pub stream: bool,
}

/// The place of an output that is an archive, and the names of the files beside it.
pub fn beside(place: &Path, what: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
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
    /// Claims `place`, and fails where an output cannot come there. It is absent or empty unless [`Form::force`] is
    /// set.
    pub fn take(disk: &'d Disk, place: &Path, form: Form) -> Result<Self> {
        let mut place = Place::new(disk, place, form)?;
        let lock = match Lock::take(disk, &place.path, place.lock()) {
            Err(Error::Write { source, .. }) if is_unwritable(&source) && place.is_beside_a_directory(disk)? => {
                place.is_inside = true;
                Lock::take(disk, &place.path, place.lock())?
            }
            Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let parent = place.parent();
                return Err(Error::output(&place.path, format!("cannot be made, as there is no directory '{}'", parent.display())));
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
            None | Some(place::Stale::Staging) => claim.place.check(claim.place.standing(disk)?).map(drop)?,
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
    /// Begins an output at `place`, which is absent or empty unless [`Form::force`] is set.
    pub fn begin(disk: &'d Disk, place: &Path, form: Form) -> Result<Self> {
        Staging::begin_at(Claim::take(disk, place, form)?, form.source_mode)
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
        let form = Form { source_mode, ..place.form };
        let own = match disk.look(&staging) {
            Ok(Some(made)) => (made.dev(), made.ino()),
            other => {
                let _ = disk.remove_dir(&staging);
                return Err(other.err().unwrap_or_else(|| Error::output(&staging, "is gone: another program has removed it")));
            }
        };
        Ok(Staging { disk, place, staging, own, form, directories: BTreeSet::new(), files: Vec::new(), done: false, warnings, lock })
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
            Some(output) if output.form.stream && role == Role::Archive => Sink::Stream(Held::default()),
            Some(output) => Sink::File(output.create(&path)?),
        };
        let has_documents = !matches!(role, Role::Metadata);
        Ok(OutputFile {
            entry: manifest::File {
                path,
                role,
                namespace: namespace.to_owned(),
                documents: has_documents.then_some(0),
                bytes: 0,
                sha256: String::new(),
                raw_bytes: None,
                raw_sha256: None,
            },
            raw: Counted::default(),
            gzip: gzip_level.map(|level| Gzip { level, pending: Vec::new(), stored: Counted::default(), members: 0 }),
            sink,
        })
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
    pub fn publish_with(mut self, manifest: &Manifest, held: Option<Held>) -> Result<Vec<String>> {
        for (name, text) in [(manifest::SUMS_NAME, manifest.sums()), (manifest::FILE_NAME, manifest.to_text())] {
            let name = if self.form.archive { format!("{}.{name}", archive_name(&self.place.path)?) } else { name.to_owned() };
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
        match self.form.archive || self.place.is_inside {
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
            self.disk.rename_new(&self.staging.join(format!("{path}{PART}")), &self.staging.join(path))?;
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
                let away = if self.check_own().is_ok() { Ok(()) } else { disk.rename_new(place, &self.staging) };
                away.and_then(|()| disk.rename_new(old, place))
            }
        };
        match back {
            Ok(()) => error,
            Err(_) => {
                self.done = true;
                Error::output(
                    old,
                    format!("is the old output: the new one could not be put in its place safely ({error}); --force finishes that first"),
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
        let moves = Moves { root: self.place.root(), staging: self.staging.clone(), old, new: self.units()? };
        let moved = moves.begin(disk).and_then(|()| moves.advance(disk));
        if let Err(error) = moved {
            if place::has_mark(disk, &self.staging).unwrap_or(true) && moves.retreat(disk).is_err() {
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
        if self.form.archive {
            let name = archive_name(&self.place.path)?;
            units.sort_by_key(|unit| *unit == name);
        }
        Ok(units)
    }
    /// Removes what the published output does not need; a warning says where that fails. Whether it is left.
    fn discard(&mut self, path: &Path, what: &str) -> bool {
        // A second time, as what keeps a file for a moment may have passed.
        let Err(error) = self.disk.remove_tree(path).or_else(|_| self.disk.remove_tree(path)) else { return false };
        self.warnings.push(format!("{what} is still at '{}': {error}; remove it", path.display()));
        true
    }
}

/// The name of an archive, which its manifest holds.
pub fn archive_name(place: &Path) -> Result<String> {
    let is_directory = [b"/".as_slice(), b"/."].iter().any(|end| place.as_os_str().as_encoded_bytes().ends_with(end));
    let name = place.file_name().and_then(|name| name.to_str()).filter(|name| !is_directory && !name.contains(['\\', '\n', '\0']));
    name.map(str::to_owned).ok_or_else(|| Error::output(place, "is no name for an archive and the files beside it"))
}

/// Fails early where an output cannot come to `place`; what [`Claim::take`] does, without keeping the place.
pub fn check_place(place: &Path, form: Form) -> Result<()> {
    Claim::take(&Disk::default(), place, form).map(drop)
}

/// The content of a small file of an output that is there.
fn read_of_output(disk: &Disk, path: &Path) -> Result<Vec<u8>> {
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
            let _ = writeln!(io::stderr(), "warning: cannot remove '{}': {error}", self.staging.display());
        }
    }
}
