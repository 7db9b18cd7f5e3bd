//! Opening an output and checking that it is what its manifest says: one place for `verify` and `reverse`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::batch::{BATCH_BYTES, Batch, Splitter};
use crate::disk::Disk;
use crate::dump::{self, Hashing, Stream, archive};
use crate::error::{Error, IoContext, Result};
use crate::hash::Counted;
use crate::journal::{Header, JournalBatch, JournalReader};
use crate::manifest::{self, Manifest, Role};
use crate::mapping::{Misfit, Plan, Reader, Restorer};
use crate::output::{self, DocumentSink, IGNORABLE};
use crate::pipeline;
use crate::progress::Progress;
use crate::raw::MAX_DOCUMENT_BYTES;

/// More than a manifest with a million files has.
const MOST_MANIFEST_BYTES: u64 = 512 * 1024 * 1024;

/// Reads the manifest of an output: in its directory, or beside its archive.
pub(crate) fn read_manifest(disk: &Disk, out: &Path) -> Result<Manifest> {
    let is_directory = match std::fs::metadata(out) {
        Ok(metadata) => metadata.is_dir(),
        // The archive may be missing: it went to standard output.
        Err(_) if output::beside(out, manifest::FILE_NAME).is_file() => false,
        Err(error) => return Err(error).reading("open", out),
    };
    let path = if is_directory { out.join(manifest::FILE_NAME) } else { output::beside(out, manifest::FILE_NAME) };
    let manifest = match disk.read_small(&path, MOST_MANIFEST_BYTES) {
        Ok(bytes) => Manifest::parse(&bytes, &path)?,
        Err(error) if error.is_not_found() && is_directory => {
            return Err(Error::Check(format!(
                "'{}' has no {}: it is no output of mongosplit, or one that was not finished",
                out.display(),
                manifest::FILE_NAME
            )));
        }
        Err(error) if error.is_not_found() => {
            let what = format!("is no output of mongosplit: it is no directory, and there is no '{}' beside it", path.display());
            return Err(Error::input(out, what));
        }
        Err(error) => return Err(error),
    };
    if manifest.options.archive == is_directory {
        return Err(Error::Check(format!("'{}' is the manifest of another output than '{}'", path.display(), out.display())));
    }
    if manifest.options.archive && manifest.archive().is_none_or(|file| Some(file.path.as_ref()) != out.file_name().map(Path::new)) {
        let named = manifest.archive().map_or("no archive", |file| file.path.as_str());
        return Err(Error::Check(format!(
            "'{}' is the manifest of '{named}'; give the archive and the files beside it that name again",
            path.display()
        )));
    }
    Ok(manifest)
}

/// Which files an output consists of, held against its manifest.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Files that are missing, too many, of another size, or no files; SHA256SUMS that says something else.
    pub(crate) differences: Vec<String>,
    /// Files that systems leave in any directory.
    pub(crate) remarks: Vec<String>,
}

impl Contents {
    /// Fails where there are differences.
    pub(crate) fn require(&self, out: &Path) -> Result<()> {
        if self.differences.is_empty() { Ok(()) } else { Err(not_verified(out, &self.differences)) }
    }
}

/// Holds the files of an output, and what SHA256SUMS says, against its manifest. No other file's content is read.
pub(crate) fn contents(disk: &Disk, out: &Path, manifest: &Manifest) -> Result<Contents> {
    let mut contents = Contents::default();
    match manifest.options.archive {
        true => files_beside(disk, out, manifest, &mut contents)?,
        false => files_in(disk, out, manifest, &mut contents)?,
    }
    check_sums(disk, out, manifest, &mut contents)?;
    contents.differences.sort();
    contents.remarks.sort();
    Ok(contents)
}

fn files_in(disk: &Disk, out: &Path, manifest: &Manifest, contents: &mut Contents) -> Result<()> {
    let differences = &mut contents.differences;
    let mut present = BTreeSet::new();
    let mut open = vec![(out.to_owned(), String::new())];
    while let Some((directory, prefix)) = open.pop() {
        for name in disk.list(&directory).map_err(Error::of_reading)? {
            let path = format!("{prefix}{}", name.to_string_lossy());
            let place = directory.join(&name);
            let Some(metadata) = disk.look(&place).map_err(Error::of_reading)? else { continue };
            let shown = path.escape_debug();
            if IGNORABLE.iter().any(|ignorable| name == OsStr::new(ignorable)) && (metadata.is_file() || metadata.is_dir()) {
                contents.remarks.push(format!("'{shown}' is there, which systems leave in any directory; it is not part of the output"));
                continue;
            }
            if metadata.is_dir() {
                let directory = format!("{path}/");
                // mongorestore takes any directory for a database, an empty one too.
                if !manifest.files.iter().any(|file| file.path.starts_with(&directory)) {
                    differences.push(format!("'{shown}' is a directory that no file of the manifest lies in"));
                }
                open.push((place, directory));
                continue;
            }
            let is_manifest = path == manifest::FILE_NAME || path == manifest::SUMS_NAME;
            match manifest.files.iter().find(|file| file.path == path) {
                _ if !metadata.is_file() => differences.push(format!("'{shown}' is no regular file")),
                None if !is_manifest => differences.push(format!("'{shown}' is there, but not in the manifest")),
                Some(file) if file.bytes != metadata.len() => {
                    differences.push(format!("'{path}' has {} bytes, the manifest says {}", metadata.len(), file.bytes));
                }
                _ => {}
            }
            present.insert(path);
        }
    }
    let expected = manifest.files.iter().map(|file| file.path.as_str()).chain([manifest::SUMS_NAME]);
    differences.extend(expected.filter(|path| !present.contains(*path)).map(|path| format!("'{path}' is missing")));
    Ok(())
}

/// [`files_in`] of an archive: beside it, other files may be anything, but not the archive's own by their names.
fn files_beside(disk: &Disk, out: &Path, manifest: &Manifest, contents: &mut Contents) -> Result<()> {
    let differences = &mut contents.differences;
    let listed = manifest.files.iter().map(|file| (manifest.path_in(out, &file.path), Some(file.bytes)));
    for (path, said) in listed.chain([(manifest.sums_path(out), None)]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (disk.look(&path).map_err(Error::of_reading)?, said) {
            (None, _) => differences.push(format!("'{name}' is missing")),
            (Some(metadata), _) if !metadata.is_file() => differences.push(format!("'{name}' is no regular file")),
            (Some(metadata), Some(said)) if metadata.len() != said => {
                differences.push(format!("'{name}' has {} bytes, the manifest says {said}", metadata.len()));
            }
            _ => {}
        }
    }
    for path in ["rollback", "rejected"].map(|what| output::beside(out, what)) {
        let is_listed = manifest.files.iter().any(|file| manifest.path_in(out, &file.path) == path);
        if !is_listed && disk.look(&path).map_err(Error::of_reading)?.is_some() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            differences.push(format!("'{}' is there, but not in the manifest", name.escape_debug()));
        }
    }
    Ok(())
}

/// What is missing, or no file, has been noted; what cannot be read is an error.
fn check_sums(disk: &Disk, out: &Path, manifest: &Manifest, contents: &mut Contents) -> Result<()> {
    let path = manifest.sums_path(out);
    let Some(metadata) = disk.look(&path).map_err(Error::of_reading)?.filter(|metadata| metadata.is_file()) else { return Ok(()) };
    let expected = manifest.sums();
    let is_same =
        metadata.len() == expected.len() as u64 && disk.read_small(&path, expected.len() as u64)?.as_slice() == expected.as_bytes();
    if !is_same {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        contents.differences.push(format!("'{name}' is not what the manifest says"));
    }
    Ok(())
}

/// Fails where the content of files of these roles is not what the manifest says.
pub(crate) fn check_stored(disk: &Disk, out: &Path, manifest: &Manifest, roles: &[Role]) -> Result<()> {
    let mut differences = Vec::new();
    for file in manifest.files.iter().filter(|file| roles.contains(&file.role)) {
        differences.extend(stored_difference(disk, &manifest.path_in(out, &file.path), file)?);
    }
    if differences.is_empty() { Ok(()) } else { Err(not_verified(out, &differences)) }
}

/// How a file's stored bytes differ from what the manifest says.
pub(crate) fn stored_difference(disk: &Disk, path: &Path, file: &manifest::File) -> Result<Option<String>> {
    let mut stream = disk.open(path)?;
    let mut hash = Counted::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer).reading("read", path)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let (bytes, sha256) = hash.finish();
    Ok(((bytes, &sha256) != (file.bytes, &file.sha256))
        .then(|| format!("'{}' has SHA-256 {sha256}, the manifest says {}", file.path, file.sha256)))
}

/// The error of a command that an output which does not verify has stopped.
pub(crate) fn not_verified(out: &Path, differences: &[String]) -> Error {
    Error::Check(format!(
        "'{}' does not verify, so nothing was reversed:\n  {}\nrun `mongosplit verify` on it, or take another copy",
        out.display(),
        differences.join("\n  ")
    ))
}

/// What a journal's header says that a manifest does not.
pub(crate) fn of_another_run(header: &Header, path: &Path, manifest: &Manifest, namespace: &str) -> Option<String> {
    let mapping = &manifest.mapping;
    let shown =
        |(name, version, sha256): (&str, &str, &str)| format!("mapping '{}' {} ({sha256})", name.escape_debug(), version.escape_debug());
    let was = (header.mapping_name.as_str(), header.mapping_version.as_str(), header.mapping_sha256.as_str());
    let said = (mapping.name.as_str(), mapping.version.as_str(), mapping.sha256.as_str());
    ((header.namespace.as_str(), was) != (namespace, said)).then(|| {
        format!(
            "'{}' is the journal of another run: it is of {} by {}, the manifest is of {namespace} by {}",
            path.display(),
            header.namespace,
            shown(was),
            shown(said)
        )
    })
}

/// A file that is read and hashed, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub file: manifest::File,
    pub path: PathBuf,
    hashing: Arc<Hashing>,
    pub mode: u32,
    read: Arc<AtomicU64>,
}

impl Watched {
    fn open(disk: &Disk, manifest: &Manifest, out: &Path, file: &manifest::File) -> Result<(Stream, Watched)> {
        let path = manifest.path_in(out, &file.path);
        let (stream, hashing) = Stream::open_hashed(disk, &path)?;
        let watched = Watched { file: file.clone(), path, hashing, mode: stream.mode, read: stream.counter() };
        Ok((stream, watched))
    }
    /// Bytes that have been read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
    /// What is wrong with the bytes, all of which have been read.
    pub fn check(&self) -> Option<String> {
        let (bytes, sha256) = self.hashing.finish();
        let same = bytes == self.file.bytes && sha256 == self.file.sha256;
        (!same).then(|| format!("'{}' has SHA-256 {sha256}, the manifest says {}", self.file.path, self.file.sha256))
    }
}

/// Appends to a result, and hashes what was read meanwhile: the most of it side by side with what is appended.
pub(crate) fn append_watching(file: &mut dyn DocumentSink, pieces: &[&[u8]], watched: &[Watched]) -> Result<()> {
    let Some((largest, _)) = watched.iter().enumerate().max_by_key(|(_, watched)| watched.hashing.waiting()) else {
        return file.append_beside(pieces, None);
    };
    let append = || watched[largest].hashing.with_waiting(|hash, bytes| file.append_beside(pieces, Some((hash, &[bytes]))));
    let others = || watched.iter().enumerate().filter(|(number, _)| *number != largest).for_each(|(_, other)| other.hashing.catch_up());
    pipeline::join(append, others).0
}

/// One source's files, opened.
pub(crate) struct OpenSource {
    pub header: Header,
    /// The server's version in an archive.
    pub server_version: Option<String>,
    pub journal: JournalReader<Stream>,
    pub targets: Vec<Documents>,
    pub streams: Vec<Watched>,
    pub out: PathBuf,
}

impl OpenSource {
    /// Opens the journal and the collections of a source.
    pub fn open(disk: &Disk, out: &Path, plan: &Plan, manifest: &Manifest, source: &manifest::Source) -> Result<OpenSource> {
        let missing = |what: &str| Error::Check(format!("'{}': the manifest names no {what} of {}", out.display(), source.namespace));
        let mut streams = Vec::new();
        let file = manifest.file(Role::Journal, &source.namespace).ok_or_else(|| missing("journal"))?;
        let (stream, watched) = Watched::open(disk, manifest, out, file)?;
        let (journal, header) = JournalReader::open(stream, watched.path.display().to_string())?;
        if let Some(difference) = of_another_run(&header, &watched.path, manifest, &source.namespace) {
            return Err(Error::Check(difference));
        }
        streams.push(watched);
        let mut targets = Vec::new();
        if source.targets.len() != plan.target_count() {
            return Err(missing("complete set of collections"));
        }
        let mut server_version = None;
        if let Some(file) = manifest.archive() {
            let (stream, watched) = Watched::open(disk, manifest, out, file)?;
            let name = watched.path.display().to_string();
            let reader = archive::Reader::open(stream, name.clone())?;
            server_version = Some(reader.prelude().server_version.clone());
            let namespaces: Vec<&str> = source.targets.iter().map(|target| target.namespace.as_str()).collect();
            let shares = dump::Shares::open(reader, &namespaces)?;
            let named = |(input, namespace): (dump::Documents, &&str)| Documents::new(input, format!("{name}, {namespace}"));
            targets = shares.into_iter().zip(&namespaces).map(named).collect();
            streams.push(watched);
        }
        for target in source.targets.iter().filter(|_| manifest.archive().is_none()) {
            let file = manifest.file(Role::Documents, &target.namespace).ok_or_else(|| missing("documents"))?;
            let (stream, watched) = Watched::open(disk, manifest, out, file)?;
            let name = watched.path.display().to_string();
            targets.push(Documents::new(dump::Documents::File(Splitter::new(stream, 0, name.clone())), name));
            streams.push(watched);
        }
        Ok(OpenSource { header, server_version, journal, targets, streams, out: out.to_owned() })
    }

    /// The error of a journal that does not fit the collections.
    pub fn misfit(&self, misfit: Misfit) -> Error {
        Error::Check(format!("'{}' does not fit the collections: {misfit}", self.streams[0].path.display()))
    }

    /// What a run over the files comes to. Altered files are named as such, rather than by what they made the journal
    /// say. Where the run has stopped early, they are read anew for that: what is left unread says nothing of a file.
    pub fn settle(&mut self, disk: &Disk, outcome: Result<()>) -> Result<()> {
        let outcome = outcome.and_then(|()| self.drain());
        let altered = |watched: &Watched| stored_difference(disk, &watched.path, &watched.file).ok().flatten();
        let differences: Vec<String> = match &outcome {
            Ok(()) => self.streams.iter().filter_map(Watched::check).collect(),
            Err(Error::Interrupted(_) | Error::Write { .. } | Error::Output { .. }) => Vec::new(),
            Err(_) => self.streams.iter().filter_map(altered).collect(),
        };
        if differences.is_empty() { outcome } else { Err(not_verified(&self.out, &differences)) }
    }

    /// Fails where a collection has documents that the journal does not describe.
    fn drain(&mut self) -> Result<()> {
        for documents in &mut self.targets {
            let mut rest = Group::default();
            if documents.take(1, &mut rest)? > 0 {
                return Err(Error::Check(format!("'{}' has more documents than the journal describes", documents.file)));
            }
        }
        Ok(())
    }
}

/// Documents one behind the other, and where each ends.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub bytes: Vec<u8>,
    pub ends: Vec<u32>,
}

impl Group {
    pub fn document(&self, index: usize) -> Option<&[u8]> {
        let from = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        self.bytes.get(from..*self.ends.get(index)? as usize)
    }
    fn clear(&mut self) {
        crate::batch::recycle(&mut self.bytes);
        self.ends.clear();
    }
}

/// The documents of a collection, taken a few at a time.
#[derive(Debug)]
pub(crate) struct Documents {
    input: dump::Documents,
    batch: Batch,
    next: usize,
    file: String,
}

impl Documents {
    fn new(input: dump::Documents, file: String) -> Self {
        Documents { input, batch: Batch::default(), next: 0, file }
    }
    /// Appends so many documents to the group, or as many as are left.
    fn take(&mut self, count: usize, group: &mut Group) -> Result<usize> {
        for taken in 0..count {
            while self.next == self.batch.ends.len() {
                self.next = 0;
                if !self.input.fill(&mut self.batch)? {
                    self.input.check_unchanged()?;
                    return Ok(taken);
                }
            }
            group.bytes.extend_from_slice(self.batch.document(self.next));
            group.ends.push(group.bytes.len() as u32);
            self.next += 1;
        }
        Ok(count)
    }
}

/// The notes on a batch, and the targets' documents that it became.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub notes: JournalBatch,
    pub targets: Vec<Group>,
}

impl Pieces {
    /// Bytes of the documents; at least one, as a batch without any is one all the same.
    pub fn size(&self) -> usize {
        self.targets.iter().map(|group| group.bytes.len()).sum::<usize>().max(1)
    }
}

/// Reads the next batch's notes and documents.
pub(crate) fn read_pieces(journal: &mut JournalReader<Stream>, targets: &mut [Documents], pieces: &mut Pieces) -> Result<bool> {
    if !journal.next(&mut pieces.notes)? {
        return Ok(false);
    }
    if pieces.notes.targets.len() != targets.len() {
        return Err(Error::Check(format!(
            "the journal is of {} collections, the output has {}",
            pieces.notes.targets.len(),
            targets.len()
        )));
    }
    pieces.targets.resize_with(targets.len(), Group::default);
    for ((documents, group), count) in targets.iter_mut().zip(&mut pieces.targets).zip(&pieces.notes.targets) {
        group.clear();
        let taken = documents.take(*count, group)?;
        if taken < *count {
            return Err(Error::Check(format!("'{}' has fewer documents than the journal describes", documents.file)));
        }
    }
    Ok(true)
}

/// A source's metadata, as the journal has it.
pub(crate) fn journaled_metadata(
    disk: &Disk,
    out: &Path,
    plan: &Plan,
    manifest: &Manifest,
    source: &manifest::Source,
) -> Result<Option<Vec<u8>>> {
    Ok(OpenSource::open(disk, out, plan, manifest, source)?.header.metadata)
}

/// Gives each source document of an output, in order, as the journal and the collections have it.
pub(crate) fn each_source_document(
    disk: &Disk,
    out: &Path,
    plan: &Plan,
    manifest: &Manifest,
    source: &manifest::Source,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut open = OpenSource::open(disk, out, plan, manifest, source)?;
    let mut restorer = Restorer::new(plan);
    let mut pieces = Pieces::default();
    let mut document = Vec::new();
    while read_pieces(&mut open.journal, &mut open.targets, &mut pieces)? {
        if let Some(signal) = progress.interrupted() {
            return Err(Error::Interrupted(signal));
        }
        let mut batch = BatchRestorer::new(&pieces);
        loop {
            document.clear();
            if !batch.next(&mut restorer, &mut document).map_err(|misfit| open.misfit(misfit))? {
                break;
            }
            each(&document)?;
        }
    }
    Ok(())
}

/// Brings the documents of a batch back, one after the other.
pub(crate) struct BatchRestorer<'b> {
    pieces: &'b Pieces,
    notes: Reader<'b>,
    left: usize,
    /// For each target the number of its next document, and of the one after those that the last call took.
    first: Vec<usize>,
    next: Vec<usize>,
    bytes: usize,
}

impl<'b> BatchRestorer<'b> {
    /// Before the first document.
    pub(crate) fn new(pieces: &'b Pieces) -> Self {
        let none = vec![0; pieces.targets.len()];
        BatchRestorer { pieces, notes: pieces.notes.reader(), left: pieces.notes.documents, first: none.clone(), next: none, bytes: 0 }
    }
    /// Appends the next source document to `out`. False at the end, when all that the journal says of the batch is used up.
    pub(crate) fn next(&mut self, restorer: &mut Restorer<'_>, out: &mut Vec<u8>) -> Result<bool, Misfit> {
        if self.left == 0 {
            return match self.notes.is_at_end() {
                true => Ok(false),
                false => Err(Misfit("the journal says more of a batch than it has documents")),
            };
        }
        self.left -= 1;
        self.first.copy_from_slice(&self.next);
        let (pieces, next) = (self.pieces, &mut self.next);
        let take = |target: usize| {
            let document = pieces.targets[target].document(next[target]);
            next[target] += 1;
            document
        };
        let before = out.len();
        restorer.restore(&mut self.notes, take, out)?;
        self.bytes += out.len() - before;
        // The batch was one of source documents, which have the same bounds for every run.
        if self.bytes > if pieces.notes.documents == 1 { MAX_DOCUMENT_BYTES } else { BATCH_BYTES } {
            return Err(Misfit("a batch would come back larger than one can be"));
        }
        Ok(true)
    }
    /// For each target the document that the last source document became.
    pub(crate) fn migrated(&self) -> impl Iterator<Item = Option<&'b [u8]>> {
        let targets = self.pieces.targets.iter().zip(&self.first).zip(&self.next);
        targets.map(|((group, first), next)| if next > first { group.document(*first) } else { None })
    }
}
