//! `reverse`: the source collection, brought back from an output and its journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::artifact::reader::{self, not_verified, stored_difference};
use crate::batch::{BATCH_BYTES, Batch, Splitter};
use crate::disk::{Disk, IoMode};
use crate::dump::{self, Hashing, Metadata, Stream, archive, is_database_name};
use crate::error::{Error, Result};
use crate::journal::{Header, JournalBatch, JournalReader};
use crate::manifest::{self, Kind, Manifest, Role};
use crate::mapping::{Plan, Restorer};
use crate::output::archive::ArchiveFile;
use crate::output::{self, DocumentSink, Form, Staging};
use crate::pipeline::{self, Pool, Stages, Threads};
use crate::progress::Progress;
use crate::raw::MAX_DOCUMENT_BYTES;
use crate::transform::{check_output, documents_path, is_standard_output, metadata_path, place_of, rounded_seconds};

/// What to reverse, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The output of `transform`.
    pub out: PathBuf,
    /// Where the result goes.
    pub dest: PathBuf,
    /// The database's name in the result, where it is to be another.
    pub to_database: Option<String>,
    /// Compress files, at this level.
    pub gzip_level: Option<u32>,
    /// Make one archive, with the other files beside it; `-` is standard output.
    pub archive: bool,
    /// What the files beside an archive on standard output are named after.
    pub sidecar: Option<PathBuf>,
    /// Replace what stands at the result's place.
    pub force: bool,
    /// With a later dump: how many documents its driving collection must have.
    pub expect_documents: Option<u64>,
    /// With a later dump: its driving collection may be empty.
    pub allow_empty: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// From an output to a dump, everything else as the command line has it by default.
    pub fn new(out: impl Into<PathBuf>, dest: impl Into<PathBuf>) -> Self {
        Options {
            out: out.into(),
            dest: dest.into(),
            to_database: None,
            gzip_level: None,
            archive: false,
            sidecar: None,
            force: false,
            expect_documents: None,
            allow_empty: false,
            dry_run: false,
            threads: None,
            io: IoMode::Auto,
        }
    }
}

/// What a run has done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The result.
    pub dest: PathBuf,
    /// What its files are named after: the result, but for an archive on standard output.
    #[serde(skip)]
    pub place: PathBuf,
    /// The manifest that was written, or would have been.
    pub manifest: Manifest,
    /// Indexes in the restored metadata by which a server deletes documents: namespace, index, seconds.
    pub ttl_indexes: Vec<(String, String, String)>,
    /// Seconds that the run took.
    pub seconds: f64,
}

/// Brings the source collections back, byte for byte, proven by their SHA-256.
pub fn reverse(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    reverse_on(&Disk::new(options.io), options, plan, progress)
}

/// [`reverse`] by the file operations of `disk`.
pub fn reverse_on(disk: &Disk, options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let archive = options.archive || is_standard_output(&options.dest);
    let options = &Options { archive, ..options.clone() };
    let mut is_streaming = false;
    let result = reverse_to(disk, options, plan, progress, &mut is_streaming);
    result.map_err(|error| if is_streaming { Error::Streamed(Box::new(error)) } else { error })
}

fn reverse_to(disk: &Disk, options: &Options, plan: &Plan, progress: &dyn Progress, is_streaming: &mut bool) -> Result<Report> {
    let began = Instant::now();
    let place = place_of(&options.dest, options.sidecar.as_deref())?;
    let manifest = open_output(disk, options, plan)?;
    let threads = Threads::new(options.threads)?;
    let mut sources = Vec::new();
    for source in &manifest.sources {
        sources.push(OpenSource::open(disk, options, plan, &manifest, source)?);
    }
    let mode = sources.iter().flat_map(|source| &source.streams).fold(0o666, |mode, stream| mode & stream.mode);
    let mut staging = match options.dry_run {
        true => None,
        false => Some(Staging::begin(disk, place, Form { source_mode: mode, ..form_of(options) })?),
    };
    let total: u64 = manifest.files.iter().filter(|file| file.role != Role::Metadata).map(|file| file.bytes).sum();
    progress.start("reverse", Some(total));
    let mut result = reverse_manifest(&manifest, options);
    let mut ttl_indexes = Vec::new();
    let mut done = (0, 0);
    let mut archive = None;
    if options.archive {
        let name = output::archive_name(place)?;
        let file = Staging::file(staging.as_mut(), name, Role::Archive, "", options.gzip_level)?;
        *is_streaming = is_standard_output(&options.dest) && !options.dry_run;
        let version = sources.iter().find_map(|source| source.server_version.as_deref());
        let collections: Result<Vec<_>> =
            sources.iter().zip(&manifest.sources).map(|(source, said)| archived(source, said, options, plan)).collect();
        archive = Some(ArchiveFile::begin(file, version, collections?)?);
    }
    for (number, (source, said)) in sources.into_iter().zip(&manifest.sources).enumerate() {
        let database = database_of(&said.namespace, options.to_database.as_deref())?;
        let collection = plan.collection();
        let namespace = format!("{database}.{collection}");
        let header = source.header.clone();
        if let Some(archive) = &mut archive {
            let mut share = archive.share(number);
            source.run(disk, &threads, plan, &mut share, progress, &mut done)?;
            let (documents, bytes, sha256) = share.finish();
            result.sources.push(proven(said, &namespace, (documents, bytes, &sha256))?);
            note_ttl_indexes(&mut ttl_indexes, &namespace, header.metadata)?;
            continue;
        }
        let level = options.gzip_level;
        let path = documents_path(&database, collection, level.is_some());
        let mut file = Staging::file(staging.as_mut(), path, Role::Documents, &namespace, level)?;
        source.run(disk, &threads, plan, &mut file, progress, &mut done)?;
        let entry = threads.run(|| file.finish())?;
        result.sources.push(proven(said, &namespace, content_of(&entry))?);
        result.files.push(entry);
        if let Some(bytes) = header.metadata {
            let path = metadata_path(&database, collection, level.is_some());
            let mut file = Staging::file(staging.as_mut(), path, Role::Metadata, &namespace, level)?;
            file.append(&bytes)?;
            result.files.push(threads.run(|| file.finish())?);
            note_ttl_indexes(&mut ttl_indexes, &namespace, Some(bytes))?;
        }
    }
    reader::check_stored(disk, &options.out, &manifest, UNREAD)?;
    let mut held = None;
    if let Some(archive) = archive {
        let (entry, end) = threads.run(|| archive.finish())?;
        result.files.push(entry);
        held = end;
    }
    progress.finish();
    if let Some(signal) = progress.interrupted() {
        return Err(Error::Interrupted(signal));
    }
    if let Some(staging) = staging {
        for warning in staging.publish_with(&result, held)? {
            progress.warn(&warning);
        }
    }
    Ok(Report {
        dry_run: options.dry_run,
        dest: options.dest.clone(),
        place: place.to_owned(),
        manifest: result,
        ttl_indexes,
        seconds: rounded_seconds(began.elapsed()),
    })
}

/// The form of a reversal's result; the mode is still to come.
fn form_of(options: &Options) -> Form {
    let stream = is_standard_output(&options.dest);
    Form {
        gzip_level: options.gzip_level,
        force: options.force,
        kind: manifest::Kind::Reverse,
        source_mode: 0o666,
        archive: options.archive,
        stream,
    }
}

/// The collection that a source is in a result that is an archive.
fn archived(source: &OpenSource, said: &manifest::Source, options: &Options, plan: &Plan) -> Result<output::archive::Collection> {
    let metadata = source.header.metadata.clone().unwrap_or_default();
    let metadata = String::from_utf8(metadata).map_err(|_| Error::Check(format!("the metadata of {} is not UTF-8", said.namespace)))?;
    Ok(output::archive::Collection {
        database: database_of(&said.namespace, options.to_database.as_deref())?,
        name: plan.collection().to_owned(),
        metadata,
    })
}

pub(crate) fn note_ttl_indexes(noted: &mut Vec<(String, String, String)>, namespace: &str, metadata: Option<Vec<u8>>) -> Result<()> {
    let metadata = metadata.map_or(Ok(None), |bytes| Metadata::parse(bytes, namespace.as_ref()))?;
    let ttl = metadata.map(|metadata| metadata.ttl_indexes()).unwrap_or_default();
    noted.extend(ttl.into_iter().map(|(name, seconds)| (namespace.to_owned(), name, seconds)));
    Ok(())
}

/// Documents, uncompressed bytes and their SHA-256 of a file.
pub(crate) fn content_of(file: &manifest::File) -> (u64, u64, &String) {
    (file.documents.unwrap_or_default(), file.raw_bytes.unwrap_or(file.bytes), file.raw_sha256.as_ref().unwrap_or(&file.sha256))
}

/// The manifest of an output that can be reversed by this plan; its files are there and of the right sizes.
pub(crate) fn open_output(disk: &Disk, options: &Options, plan: &Plan) -> Result<Manifest> {
    if !options.dry_run {
        check_output(&[&options.out], &options.dest, options.archive, options.sidecar.as_deref())?;
    }
    let manifest = reader::read_manifest(disk, &options.out)?;
    if manifest.kind != Kind::Transform {
        return Err(Error::Check(format!(
            "'{}' is the result of `reverse`; only an output of `transform` can be reversed",
            options.out.display()
        )));
    }
    if manifest.mapping.sha256 != plan.sha256() {
        return Err(Error::Check(format!(
            "'{}' was made with mapping '{}' {} (SHA-256 {}), this is '{}' {} ({}); give that mapping with --mapping, or use the version of mongosplit that made the output ({})",
            options.out.display(),
            manifest.mapping.name,
            manifest.mapping.version,
            manifest.mapping.sha256,
            plan.name(),
            plan.version(),
            plan.sha256(),
            manifest.tool
        )));
    }
    if let (Some(name), true) = (&options.to_database, manifest.sources.len() > 1) {
        return Err(Error::Usage(format!(
            "--to-db {name} would put the collections of {} databases into one; leave it out, or transform one database with --db NAME and reverse that",
            manifest.sources.len()
        )));
    }
    for source in &manifest.sources {
        database_of(&source.namespace, options.to_database.as_deref())?;
    }
    reader::contents(disk, &options.out, &manifest)?.require(&options.out)?;
    if !options.dry_run {
        let place = place_of(&options.dest, options.sidecar.as_deref())?;
        output::check_place(place, form_of(options))?;
    }
    Ok(manifest)
}

/// What a reversal's manifest says of a source, once the restored documents are those that the manifest of the
/// transformation describes.
pub(crate) fn proven(
    said: &manifest::Source,
    namespace: &str,
    (documents, bytes, sha256): (u64, u64, &String),
) -> Result<manifest::Source> {
    if (documents, bytes, sha256) != (said.documents, said.bytes, &said.sha256) {
        return Err(Error::Check(format!(
            "the reversal of {} has {documents} documents, {bytes} bytes and SHA-256 {sha256}; the source had {}, {} and {}. Nothing was published",
            said.namespace, said.documents, said.bytes, said.sha256
        )));
    }
    let round_trip = manifest::RoundTrip { proven: documents, whole: said.round_trip.whole };
    Ok(manifest::Source {
        namespace: namespace.to_owned(),
        targets: Vec::new(),
        findings: Vec::new(),
        rejected: 0,
        round_trip,
        ..said.clone()
    })
}

/// The manifest of a reversal, its sources and files still to come.
pub(crate) fn reverse_manifest(manifest: &Manifest, options: &Options) -> Manifest {
    Manifest {
        kind: Kind::Reverse,
        tool: concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned(),
        options: manifest::Options { gzip_level: options.gzip_level, archive: options.archive, ..manifest.options.clone() },
        sources: Vec::new(),
        files: Vec::new(),
        ..manifest.clone()
    }
}

pub(crate) fn database_of(namespace: &str, to: Option<&str>) -> Result<String> {
    let database = to.unwrap_or_else(|| namespace.split_once('.').map_or(namespace, |(database, _)| database));
    match is_database_name(database) {
        true => Ok(database.to_owned()),
        false => Err(Error::Usage(format!("'{}' cannot be the name of a database", database.escape_debug()))),
    }
}

/// The files that a reversal does not read otherwise.
pub(crate) const UNREAD: &[Role] = &[Role::Metadata, Role::Rejected];

/// A file that is read and hashed, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub file: manifest::File,
    pub path: PathBuf,
    hashing: Arc<Hashing>,
    pub mode: u32,
    read: Arc<std::sync::atomic::AtomicU64>,
}

impl Watched {
    fn open(disk: &Disk, manifest: &Manifest, out: &std::path::Path, file: &manifest::File) -> Result<(Stream, Watched)> {
        let path = manifest.path_in(out, &file.path);
        let (stream, hashing) = Stream::open_hashed(disk, &path)?;
        let watched = Watched { file: file.clone(), path, hashing, mode: stream.mode, read: stream.counter() };
        Ok((stream, watched))
    }
    /// Bytes that have been read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(std::sync::atomic::Ordering::Relaxed)
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
    server_version: Option<String>,
    pub journal: JournalReader<Stream>,
    pub targets: Vec<Documents>,
    pub streams: Vec<Watched>,
    pub out: PathBuf,
}

impl OpenSource {
    /// Opens the journal and the collections of a source.
    pub fn open(disk: &Disk, options: &Options, plan: &Plan, manifest: &Manifest, source: &manifest::Source) -> Result<OpenSource> {
        let missing =
            |what: &str| Error::Check(format!("'{}': the manifest names no {what} of {}", options.out.display(), source.namespace));
        let mut streams = Vec::new();
        let file = manifest.file(Role::Journal, &source.namespace).ok_or_else(|| missing("journal"))?;
        let (stream, watched) = Watched::open(disk, manifest, &options.out, file)?;
        let (journal, header) = JournalReader::open(stream, watched.path.display().to_string())?;
        if let Some(difference) = reader::of_another_run(&header, &watched.path, manifest, &source.namespace) {
            return Err(Error::Check(difference));
        }
        streams.push(watched);
        let mut targets = Vec::new();
        if source.targets.len() != plan.target_count() {
            return Err(missing("complete set of collections"));
        }
        let mut server_version = None;
        if let Some(file) = manifest.archive() {
            let (stream, watched) = Watched::open(disk, manifest, &options.out, file)?;
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
            let (stream, watched) = Watched::open(disk, manifest, &options.out, file)?;
            let name = watched.path.display().to_string();
            targets.push(Documents::new(dump::Documents::File(Splitter::new(stream, 0, name.clone())), name));
            streams.push(watched);
        }
        Ok(OpenSource { header, server_version, journal, targets, streams, out: options.out.clone() })
    }

    fn run(
        mut self,
        disk: &Disk,
        threads: &Threads,
        plan: &Plan,
        file: &mut dyn DocumentSink,
        progress: &dyn Progress,
        done: &mut (u64, u64),
    ) -> Result<()> {
        let stages = Restoring {
            plan,
            restorers: Pool::default(),
            progress,
            journal: self.streams[0].path.display().to_string(),
            before: *done,
            watched: &self.streams,
        };
        let mut reader = (&mut self.journal, self.targets.as_mut_slice());
        let mut writer = Restored { file, documents: 0 };
        let outcome = pipeline::run(threads, &stages, &mut reader, &mut writer);
        let documents = writer.documents;
        self.settle(disk, outcome)?;
        *done = (done.0 + documents, done.1 + self.streams.iter().map(|stream| stream.file.bytes).sum::<u64>());
        Ok(())
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

struct Restoring<'a> {
    plan: &'a Plan,
    restorers: Pool<Restorer<'a>>,
    progress: &'a dyn Progress,
    journal: String,
    before: (u64, u64),
    watched: &'a [Watched],
}

struct Restored<'a> {
    file: &'a mut dyn DocumentSink,
    documents: u64,
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

impl<'a> Stages for Restoring<'a> {
    type Input = Pieces;
    type Output = Vec<u8>;
    type Reader = (&'a mut JournalReader<Stream>, &'a mut [Documents]);
    type Writer = Restored<'a>;

    fn read(&self, (journal, targets): &mut Self::Reader, pieces: &mut Pieces) -> Result<bool> {
        read_pieces(journal, targets, pieces)
    }
    fn size(&self, pieces: &Pieces) -> usize {
        pieces.size()
    }
    fn map(&self, pieces: &Pieces, out: &mut Vec<u8>) -> Result<()> {
        crate::batch::recycle(out);
        let restore = |restorer: &mut Restorer<'_>| restorer.restore_batch(&pieces.notes, &pieces.targets, out);
        self.restorers
            .with(|| Restorer::new(self.plan), restore)
            .map_err(|misfit| Error::Check(format!("'{}' does not fit the collections: {misfit}", self.journal)))
    }
    fn write(&self, writer: &mut Restored<'a>, round: &mut [(Pieces, Vec<u8>)]) -> Result<()> {
        let restored: Vec<&[u8]> = round.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        append_watching(writer.file, &restored, self.watched)?;
        let documents: u64 = round.iter().map(|(pieces, _)| pieces.notes.documents as u64).sum();
        writer.file.count(documents);
        writer.documents += documents;
        let read: u64 = self.watched.iter().map(Watched::bytes_read).sum();
        self.progress.advance(self.before.0 + writer.documents, self.before.1 + read);
        writer.file.compress()
    }
    fn check(&self) -> Result<()> {
        self.progress.interrupted().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

/// A source's metadata, as the journal has it.
pub(crate) fn journaled_metadata(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    manifest: &Manifest,
    source: &manifest::Source,
) -> Result<Option<Vec<u8>>> {
    Ok(OpenSource::open(disk, options, plan, manifest, source)?.header.metadata)
}

/// Gives each source document of an output, in order, as the journal and the collections have it.
pub(crate) fn each_source_document(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    manifest: &Manifest,
    source: &manifest::Source,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut open = OpenSource::open(disk, options, plan, manifest, source)?;
    let mut restorer = Restorer::new(plan);
    let mut pieces = Pieces::default();
    let mut restored = Group::default();
    while read_pieces(&mut open.journal, &mut open.targets, &mut pieces)? {
        if let Some(signal) = progress.interrupted() {
            return Err(Error::Interrupted(signal));
        }
        restored.clear();
        let misfit = |misfit| Error::Check(format!("'{}' does not fit the collections: {misfit}", open.streams[0].path.display()));
        restorer.restore_batch(&pieces.notes, &pieces.targets, &mut restored.bytes).map_err(misfit)?;
        let mut rest = restored.bytes.as_slice();
        while let Some(length) = rest.first_chunk::<4>() {
            let (document, behind) = rest.split_at(u32::from_le_bytes(*length) as usize);
            each(document)?;
            rest = behind;
        }
    }
    Ok(())
}

impl Restorer<'_> {
    /// Appends the source documents of a batch to `out`.
    pub(crate) fn restore_batch(
        &mut self,
        notes: &JournalBatch,
        targets: &[Group],
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), crate::mapping::Misfit> {
        let mut reader = notes.reader();
        let mut next = vec![0usize; targets.len()];
        for _ in 0..notes.documents {
            let take = |target: usize| {
                let document = targets[target].document(next[target]);
                next[target] += 1;
                document
            };
            self.restore(&mut reader, take, out)?;
            // The batch was one of source documents, which have the same bounds for every run.
            if out.len() > if notes.documents == 1 { MAX_DOCUMENT_BYTES } else { BATCH_BYTES } {
                return Err(crate::mapping::Misfit("a batch would come back larger than one can be"));
            }
        }
        match reader.is_at_end() {
            true => Ok(()),
            false => Err(crate::mapping::Misfit("the journal says more of a batch than it has documents")),
        }
    }
}
