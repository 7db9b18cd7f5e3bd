//! Outputs: written beside their place under names that nothing takes for a dump, put on disk, and then published
//! in one step, the manifest last.

pub mod archive;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, WriteFile};
use crate::error::{Error, IoContext, Result};
use crate::gzip;
use crate::hash::{Counted, update_both};
use crate::manifest::{self, Manifest, Role};
use crate::pipeline;

/// What a staging directory beside its place ends in.
pub const STAGING_SUFFIX: &str = ".mongosplit-partial";
/// A staging directory inside its place. The dot makes mongorestore refuse all of the place.
pub const STAGING_INSIDE: &str = ".mongosplit-partial.d";
const PART: &str = ".part";

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
    /// Replace what stands at the output's place.
    pub force: bool,
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

/// What the names of the files beside an archive end in.
const BESIDE: [&str; 4] = [manifest::FILE_NAME, manifest::SUMS_NAME, "rollback", "rejected"];

/// An output directory that is being made. Dropped before [`Staging::publish`], it leaves nothing.
#[derive(Debug)]
pub struct Staging<'d> {
    disk: &'d Disk,
    place: PathBuf,
    staging: PathBuf,
    inside: bool,
    form: Form,
    directories: BTreeSet<String>,
    files: Vec<String>,
    /// Files of an archive that have come to their place, and old ones that made room, with where they are now.
    published: Vec<PathBuf>,
    set_aside: Vec<(PathBuf, PathBuf)>,
    done: bool,
    warnings: Vec<String>,
}

/// What stands at the place of an output.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Nothing,
    EmptyDirectory,
    Something,
}

fn standing(place: &Path) -> Result<Standing> {
    let metadata = match place.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Standing::Nothing),
        other => other.writing("look at", place)?,
    };
    if metadata.is_symlink() {
        return Err(Error::output(place, "is a symbolic link; name the directory itself"));
    }
    if !metadata.is_dir() {
        return Err(Error::output(place, "is not a directory; name one that does not exist or is empty"));
    }
    for entry in std::fs::read_dir(place).writing("list", place)? {
        if entry.writing("list", place)?.file_name() != "lost+found" {
            return Ok(Standing::Something);
        }
    }
    Ok(Standing::EmptyDirectory)
}

fn parent_of(place: &Path) -> PathBuf {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

impl<'d> Staging<'d> {
    /// Begins an output at `place`, which is absent or empty unless [`Form::force`] is set.
    pub fn begin(disk: &'d Disk, place: &Path, form: Form) -> Result<Self> {
        check_place(place, form)?;
        let standing = if form.archive { Standing::Nothing } else { standing(place)? };
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(STAGING_SUFFIX);
        let beside = parent_of(place).join(name);
        let within = place.join(STAGING_INSIDE);
        for stale in [&beside, &within] {
            if form.archive && stale == &within || stale.symlink_metadata().is_err() {
                continue;
            }
            if !form.force {
                return Err(Error::output(
                    stale,
                    "is left from a run that was cut short, or belongs to one that still goes on; remove it, or give --force to have it removed",
                ));
            }
            std::fs::remove_dir_all(stale).writing("remove", stale)?;
        }
        let mut output = Staging {
            disk,
            place: place.to_owned(),
            staging: beside,
            inside: false,
            form,
            directories: BTreeSet::new(),
            files: Vec::new(),
            published: Vec::new(),
            set_aside: Vec::new(),
            done: true,
            warnings: Vec::new(),
        };
        // An empty place that cannot be renamed over, as it is a mount point or holds `lost+found`, is filled from inside.
        let is_mount = standing != Standing::Nothing && device(place) != device(&parent_of(place));
        let has_lost_and_found = standing == Standing::EmptyDirectory && std::fs::read_dir(place).writing("list", place)?.next().is_some();
        let made = match is_mount || has_lost_and_found {
            true => Err(Error::output(place, "cannot be renamed over")),
            false => disk.create_dir(&output.staging, 0o700),
        };
        if let Err(error) = made {
            if standing != Standing::EmptyDirectory
                || matches!(&error, Error::Write { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists)
            {
                return Err(error);
            }
            output.staging = within;
            output.inside = true;
            disk.create_dir(&output.staging, 0o700)?;
        }
        output.done = false;
        Ok(output)
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
            let name = if self.form.archive { format!("{}.{name}", archive_name(&self.place)?) } else { name.to_owned() };
            let mut file = self.create(&name)?;
            file.write(&[text.as_bytes()])?;
            file.finish()?;
        }
        self.sync_directories(&self.staging)?;
        if let Some(mut held) = held {
            held.flush()?;
        }
        if self.form.archive {
            self.move_beside()?;
        } else if self.inside {
            self.move_out()?;
        } else {
            self.unveil(&self.staging)?;
            self.take_place()?;
        }
        self.done = true;
        if self.disk.did_without() {
            self.warnings.push(format!(
                "the file system of '{}' lacks rename without replacing, or putting directories on disk; a power failure just now could undo the last steps",
                self.place.display()
            ));
        }
        Ok(std::mem::take(&mut self.warnings))
    }

    /// Takes `.part` from the names of the files, whose last is the manifest's.
    fn unveil(&self, to: &Path) -> Result<()> {
        for path in &self.files {
            self.disk.rename_new(&self.staging.join(format!("{path}{PART}")), &to.join(path))?;
        }
        self.sync_directories(to)?;
        // Only now, as a directory that its owner alone can open protects what is half done.
        let mode = std::fs::Permissions::from_mode(self.directory_mode() & !umask());
        if !self.inside {
            std::fs::set_permissions(to, mode).writing("set the mode of", to)?;
        }
        Ok(())
    }

    fn sync_directories(&self, root: &Path) -> Result<()> {
        for directory in &self.directories {
            self.disk.sync_dir(&root.join(directory))?;
        }
        self.disk.sync_dir(root)
    }

    fn take_place(&mut self) -> Result<()> {
        let parent = parent_of(&self.place);
        match standing(&self.place)? {
            Standing::Nothing => self.disk.rename_new(&self.staging, &self.place)?,
            Standing::EmptyDirectory => self.disk.rename_over_empty(&self.staging, &self.place)?,
            Standing::Something if !self.form.force => {
                return Err(Error::output(&self.place, "is no longer empty: something was put there during the run; nothing was replaced"));
            }
            Standing::Something => {
                if self.disk.exchange(&self.staging, &self.place)? {
                    self.disk.sync_dir(&parent)?;
                    return std::fs::remove_dir_all(&self.staging).writing("remove the old output", &self.staging);
                }
                let mut name = self.place.file_name().unwrap_or_default().to_owned();
                name.push(".mongosplit-replaced");
                let old = parent.join(name);
                self.warnings.push(format!(
                    "the file system cannot exchange directories, so for a moment there was neither the old output nor the new one at '{}'",
                    self.place.display()
                ));
                self.disk.rename_new(&self.place, &old)?;
                self.disk.rename_new(&self.staging, &self.place)?;
                self.disk.sync_dir(&parent)?;
                return std::fs::remove_dir_all(&old).writing("remove the old output", &old);
            }
        }
        self.disk.sync_dir(&parent)
    }

    /// Moves an archive and what belongs to it out of the staging directory, the archive last. Old files make room
    /// first, so that at no moment an old one stands for a new one.
    fn move_beside(&mut self) -> Result<()> {
        let parent = parent_of(&self.place);
        let name = archive_name(&self.place)?;
        if self.form.force {
            for (number, old) in standing_beside(&self.place, self.form)?.into_iter().enumerate() {
                let aside = self.staging.join(format!("{number}.old"));
                self.disk.rename_new(&old, &aside)?;
                self.set_aside.push((old, aside));
            }
        }
        let mut files = self.files.clone();
        files.sort_by_key(|path| *path == name);
        for path in files {
            if path == name {
                self.disk.sync_dir(&parent)?;
            }
            let to = parent.join(&path);
            self.disk.rename_new(&self.staging.join(format!("{path}{PART}")), &to)?;
            self.published.push(to);
        }
        self.disk.sync_dir(&parent)?;
        self.set_aside.clear();
        std::fs::remove_dir_all(&self.staging).writing("remove", &self.staging)
    }

    /// Moves the files out of a staging directory inside their place.
    fn move_out(&self) -> Result<()> {
        for directory in &self.directories {
            self.disk.create_dir(&self.place.join(directory), self.directory_mode())?;
        }
        self.unveil(&self.place)?;
        for directory in &self.directories {
            self.disk.remove_dir(&self.staging.join(directory))?;
        }
        self.disk.remove_dir(&self.staging)?;
        self.disk.sync_dir(&self.place)
    }
}

/// The name of an archive, which its manifest holds.
pub fn archive_name(place: &Path) -> Result<String> {
    let name = place.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['\\', '\n', '\0']));
    name.map(str::to_owned).ok_or_else(|| Error::output(place, "is no name for an archive and the files beside it"))
}

/// Files where an archive and what belongs to it are to come.
fn standing_beside(place: &Path, form: Form) -> Result<Vec<PathBuf>> {
    let mut places: Vec<PathBuf> = BESIDE.iter().map(|what| beside(place, what)).collect();
    let old = std::fs::read(beside(place, manifest::FILE_NAME)).ok();
    if let Some(old) = old.and_then(|bytes| Manifest::parse(&bytes, place).ok()) {
        let prefix = format!("{}.", archive_name(place)?);
        let is_beside = |file: &&manifest::File| file.path.starts_with(&prefix) && !file.path.contains('/');
        places.extend(old.files.iter().filter(is_beside).map(|file| parent_of(place).join(&file.path)));
    }
    if !form.stream {
        places.insert(0, place.to_owned());
    }
    places.retain(|place| place.symlink_metadata().is_ok());
    places.sort();
    places.dedup();
    match places.iter().find(|place| !place.symlink_metadata().is_ok_and(|metadata| metadata.is_file())) {
        Some(other) => Err(Error::output(other, "is no regular file; name another place for the archive")),
        None => Ok(places),
    }
}

/// Fails early where an output cannot come to `place`.
pub fn check_place(place: &Path, form: Form) -> Result<()> {
    if form.archive {
        archive_name(place)?;
        return match standing_beside(place, form)?.first() {
            Some(old) if !form.force => Err(Error::output(old, "is there already; name another archive, or give --force to replace it")),
            _ => Ok(()),
        };
    }
    if place.file_name().is_none() {
        return Err(Error::output(place, "is no place for an output; name a directory"));
    }
    if standing(place)? == Standing::Something && !form.force {
        return Err(Error::output(place, "is not empty; name another directory, or give --force to replace it"));
    }
    Ok(())
}

fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.dev())
}

fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    rustix::process::umask(mask);
    mask.bits()
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        for place in self.published.iter().rev() {
            let _ = std::fs::remove_file(place);
        }
        for (old, aside) in self.set_aside.iter().rev() {
            let _ = std::fs::rename(aside, old);
        }
        if self.inside {
            // What has been moved out already is no output without its manifest.
            for path in &self.files {
                let _ = std::fs::remove_file(self.place.join(path));
            }
            for directory in &self.directories {
                let _ = std::fs::remove_dir(self.place.join(directory));
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&self.staging) {
            let _ = writeln!(std::io::stderr(), "warning: cannot remove '{}': {error}", self.staging.display());
        }
    }
}
