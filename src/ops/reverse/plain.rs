//! `reverse`: the source collection, brought back byte for byte from an output and its journal.

use std::time::Instant;

use super::original::{self, BatchRestorer, Documents, OpenSource, Pieces, misfit, read_pieces};
use super::{Opened, Options, Report, Reversal, UNREAD, database_of, proven};
use crate::artifact::archive_writer::{self, ArchiveFile};
use crate::artifact::reader::{self, Artifact, Watched, append_watching};
use crate::artifact::staging::Staging;
use crate::artifact::writer::{Content, DocumentSink};
use crate::base::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::journal::JournalReader;
use crate::manifest::{self, Role};
use crate::mapping::{Plan, Restorer};
use crate::pipeline::{self, Pool, Stages, Threads};
use crate::progress::Progress;
use crate::transform::documents_path;

/// Brings the source collections back, byte for byte, proven by their SHA-256.
///
/// # Errors
///
/// [`Error::Check`] if the output does not verify, or its mapping is none that this version reads.
/// Nothing is published.
///
/// # Examples
///
/// See the [example of the crate](crate#example).
pub fn reverse(options: &Options, progress: &dyn Progress) -> Result<Report> {
    reverse_on(&Disk::new(options.io), options, progress)
}

/// [`reverse`], with the file operations of `disk`.
#[doc(hidden)]
pub fn reverse_on(disk: &Disk, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    if !options.further.is_empty() || !options.beside.is_empty() {
        let what = "reversing several outputs, or one with --beside, needs a current dump of the collections: give it with --current, or reverse each output by itself";
        return Err(Error::Usage(what.to_owned()));
    }
    let opened = Opened::new(disk, options)?;
    let is_out = opened.staging.as_ref().map(Staging::is_out);
    let outcome = restore(disk, options, opened, began, progress);
    outcome.map_err(|error| error.after_output(is_out.as_deref()))
}

fn restore(
    disk: &Disk,
    options: &Options,
    opened: Opened<'_>,
    began: Instant,
    progress: &dyn Progress,
) -> Result<Report> {
    let Opened { artifact, plan, layout, threads, mut staging, .. } = opened;
    let plan = &plan;
    let manifest = &artifact.manifest;
    let total: u64 = manifest
        .files
        .iter()
        .filter(|file| file.role != Role::Metadata)
        .map(|file| file.bytes)
        .sum();
    progress.start("reverse", Some(total));
    let mut result = Reversal::new(manifest, options, &layout);
    result.note_collections(manifest, plan);
    let mut done = Done::default();
    let mut archive = None;
    if let Some(name) = layout.archive_name()? {
        let file = Staging::file(staging.as_mut(), name, Role::Archive, "", options.gzip_level)?;
        let version = original::server_version(disk, &artifact)?;
        let archived = |recorded| archived(disk, &artifact, recorded, options, plan);
        let collections = manifest.sources.iter().map(archived).collect::<Result<Vec<_>>>()?;
        archive = Some(ArchiveFile::begin(file, version.as_deref(), collections)?);
    }
    for (number, recorded) in manifest.sources.iter().enumerate() {
        let source = OpenSource::open(disk, &artifact, plan, recorded)?;
        let database = database_of(&recorded.namespace, options.to_database.as_deref())?;
        let collection = plan.collection();
        let namespace = format!("{database}.{collection}");
        let metadata = source.header.metadata.clone();
        if let Some(archive) = &mut archive {
            let mut share = archive.share(number);
            source.run(disk, &threads, plan, &mut share, progress, &mut done)?;
            result.manifest.sources.push(proven(recorded, &namespace, &share.finish())?);
            result.note_ttl_indexes(&namespace, metadata)?;
            continue;
        }
        let level = options.gzip_level;
        let path = documents_path(&database, collection, level.is_some());
        let mut file = Staging::file(staging.as_mut(), path, Role::Documents, &namespace, level)?;
        source.run(disk, &threads, plan, &mut file, progress, &mut done)?;
        let entry = threads.run(|| file.finish())?;
        result.manifest.sources.push(proven(recorded, &namespace, &Content::of(&entry))?);
        result.manifest.files.push(entry);
        result.write_metadata(staging.as_mut(), &threads, &namespace, metadata)?;
    }
    reader::check_stored(disk, &artifact, UNREAD)?;
    let mut tail = None;
    if let Some(archive) = archive {
        let (entry, end) = threads.run(|| archive.finish())?;
        result.manifest.files.push(entry);
        tail = end;
    }
    progress.finish();
    result.publish(staging, tail, options, layout, began, progress)
}

/// A source's collection in a result that is an archive.
fn archived(
    disk: &Disk,
    artifact: &Artifact,
    recorded: &manifest::Source,
    options: &Options,
    plan: &Plan,
) -> Result<archive_writer::Collection> {
    let (header, _) = original::journal_header(disk, artifact, recorded)?;
    let metadata = header.metadata.unwrap_or_default();
    let metadata = String::from_utf8(metadata).map_err(|_| {
        Error::Check(format!("the metadata of {} is not UTF-8", recorded.namespace))
    })?;
    Ok(archive_writer::Collection {
        database: database_of(&recorded.namespace, options.to_database.as_deref())?,
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
        done: &mut Done,
    ) -> Result<()> {
        let stages = Restoring {
            plan,
            restorers: Pool::default(),
            progress,
            journal: self.journal_name(),
            before: *done,
            watched: &self.streams,
        };
        let mut reader = (&mut self.journal, self.targets.as_mut_slice());
        let mut writer = Restored { file, documents: 0 };
        let outcome = pipeline::run(threads, &stages, &mut reader, &mut writer);
        let documents = writer.documents;
        self.settle(disk, outcome)?;
        done.documents += documents;
        done.bytes += self.streams.iter().map(|stream| stream.file.bytes).sum::<u64>();
        Ok(())
    }
}

/// Documents and file bytes of the sources that are done.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    documents: u64,
    bytes: u64,
}

struct Restoring<'a> {
    plan: &'a Plan,
    restorers: Pool<Restorer<'a>>,
    progress: &'a dyn Progress,
    journal: String,
    before: Done,
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
        crate::batch::prepare(out, 1);
        let restore = |restorer: &mut Restorer<'_>| {
            let mut batch = BatchRestorer::new(pieces);
            while batch.next(restorer, out)? {}
            Ok(())
        };
        let restored = self.restorers.with(|| Restorer::new(self.plan), restore);
        restored.map_err(|why| misfit(&self.journal, why))
    }
    fn write(&self, writer: &mut Restored<'a>, round: &mut [(Pieces, Vec<u8>)]) -> Result<()> {
        let restored: Vec<&[u8]> = round.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        append_watching(writer.file, &restored, self.watched)?;
        let documents: u64 = round.iter().map(|(pieces, _)| pieces.notes.documents as u64).sum();
        writer.file.count(documents);
        writer.documents += documents;
        let read: u64 = self.watched.iter().map(Watched::bytes_read).sum();
        self.progress.advance(self.before.documents + writer.documents, self.before.bytes + read);
        writer.file.compress()
    }
    fn check(&self) -> Result<()> {
        self.progress.check()
    }
}
