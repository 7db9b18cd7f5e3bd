//! `reverse`: the source collection, brought back byte for byte from an output and its journal.

use std::time::Instant;

use super::original::{BatchRestorer, Documents, OpenSource, Pieces, read_pieces};
use super::{Options, Report, UNREAD, content_of, database_of, form_of, note_ttl_indexes, open_output, proven, reverse_manifest};
use crate::artifact::reader::{self, Watched, append_watching};
use crate::base::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::journal::JournalReader;
use crate::journal::Misfit;
use crate::manifest::{self, Role};
use crate::mapping::{Plan, Restorer};
use crate::output::archive::ArchiveFile;
use crate::output::{self, DocumentSink, Form, Staging};
use crate::pipeline::{self, Pool, Stages, Threads};
use crate::progress::Progress;
use crate::transform::{documents_path, is_standard_output, metadata_path, place_of, rounded_seconds};

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
        sources.push(OpenSource::open(disk, &options.out, plan, &manifest, source)?);
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

impl OpenSource {
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
        let restore = |restorer: &mut Restorer<'_>| {
            let mut batch = BatchRestorer::new(pieces);
            while batch.next(restorer, out)? {}
            Ok(())
        };
        let restored = self.restorers.with(|| Restorer::new(self.plan), restore);
        restored.map_err(|misfit: Misfit| Error::Check(format!("'{}' does not fit the collections: {misfit}", self.journal)))
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
