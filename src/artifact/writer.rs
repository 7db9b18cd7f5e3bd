//! Writes the files of an output, hashing and optionally compressing them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::manifest::{self, Role};
use crate::base::waiting;
use crate::disk::WriteFile;
use crate::error::{IoContext, Result};
use crate::gzip;
use crate::hash::{HashingCounter, update_both};
use crate::pipeline;

/// A file of an output, hashed and optionally compressed while it is written.
#[derive(Debug)]
pub struct OutputFile<'d> {
    entry: manifest::File,
    /// Hashes the appended bytes.
    raw: HashingCounter,
    /// Compresses, and hashes the stored bytes.
    gzip: Option<Gzip>,
    sink: Sink<'d>,
}

/// Where the bytes of an output go.
#[derive(Debug)]
pub(super) enum Sink<'d> {
    /// Nowhere, in a dry run.
    Nowhere,
    File(WriteFile<'d>),
    /// Standard output.
    Stream(DeferredTail),
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

/// Bytes that have not been written to standard output yet. If this is dropped, they never are.
#[derive(Debug)]
pub struct DeferredTail {
    bytes: Vec<u8>,
    is_deferred: bool,
    /// Set once the first bytes are out.
    is_out: Arc<AtomicBool>,
}

impl DeferredTail {
    /// Bytes written at once: the capacity of a pipe on Linux.
    const PIECE: usize = 64 * 1024;

    /// A stream that sets `is_out` once its first bytes are written.
    pub(super) fn new(is_out: Arc<AtomicBool>) -> Self {
        DeferredTail { bytes: Vec::new(), is_deferred: false, is_out }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.is_deferred || self.bytes.len() < Self::PIECE {
            return Ok(());
        }
        self.flush()
    }
    pub(super) fn flush(&mut self) -> Result<()> {
        let path = Path::new("standard output");
        let mut rest = self.bytes.as_slice();
        let may_block = waiting::may_block(io::stdout());
        while !rest.is_empty() {
            let mut piece = rest;
            if may_block {
                waiting::wait_to_write(io::stdout())?;
                piece = &rest[..rest.len().min(waiting::READY_BYTES)];
            }
            match rustix::io::write(io::stdout(), piece) {
                Ok(0) => {
                    return Err(io::Error::from(io::ErrorKind::WriteZero))
                        .writing("write to", path);
                }
                Ok(written) => {
                    self.is_out.store(true, Ordering::Relaxed);
                    rest = &rest[written..];
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).writing("write to", path),
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

/// The number, size and SHA-256 of documents, independent of how they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The number of documents.
    pub documents: u64,
    /// Their size in bytes, uncompressed.
    pub bytes: u64,
    /// The SHA-256 of those bytes.
    pub sha256: String,
}

impl Content {
    /// The content of a file of documents, according to the manifest.
    pub fn of(file: &manifest::File) -> Self {
        Content {
            documents: file.documents.unwrap_or_default(),
            bytes: file.raw_bytes.unwrap_or(file.bytes),
            sha256: file.raw_sha256.as_ref().unwrap_or(&file.sha256).clone(),
        }
    }
}

/// The hash of another stream, and bytes of it to hash in the same loop as those of an output.
pub type OtherHash<'a> = (&'a mut HashingCounter, &'a [&'a [u8]]);

/// A sink for the documents of a collection.
pub trait DocumentSink: Send {
    /// Appends documents in pieces, while another thread hashes them together with another stream's
    /// bytes, which is faster than hashing one after the other.
    fn append_and_hash(&mut self, pieces: &[&[u8]], other: Option<OtherHash<'_>>) -> Result<()>;
    /// Adds to the number of documents.
    fn count(&mut self, documents: u64);
    /// Compresses what has been appended, except for an incomplete gzip member. Call it after every
    /// batch or so.
    fn compress(&mut self) -> Result<()>;
}

impl DocumentSink for OutputFile<'_> {
    fn append_and_hash(&mut self, pieces: &[&[u8]], other: Option<OtherHash<'_>>) -> Result<()> {
        let (raw, gzip, sink) = (&mut self.raw, &mut self.gzip, &mut self.sink);
        pipeline::join(|| hash_with(raw, pieces, other), || store(gzip, sink, pieces)).1
    }
    fn count(&mut self, documents: u64) {
        *self.entry.documents.get_or_insert(0) += documents;
    }
    fn compress(&mut self) -> Result<()> {
        let Some(gzip) = &mut self.gzip else { return Ok(()) };
        let whole = gzip.pending.len() / gzip::MEMBER_BYTES * gzip::MEMBER_BYTES;
        self.compress_to(whole)
    }
}

#[derive(Debug)]
struct Gzip {
    level: u32,
    pending: Vec<u8>,
    stored: HashingCounter,
    members: u64,
}

fn hash_with(hash: &mut HashingCounter, pieces: &[&[u8]], other: Option<OtherHash<'_>>) {
    match other {
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

impl<'d> OutputFile<'d> {
    /// An empty file.
    pub(super) fn new(
        path: String,
        role: Role,
        namespace: &str,
        gzip_level: Option<u32>,
        sink: Sink<'d>,
    ) -> Self {
        OutputFile {
            entry: manifest::File {
                path,
                role,
                namespace: namespace.to_owned(),
                documents: (role != Role::Metadata).then_some(0),
                bytes: 0,
                sha256: String::new(),
                raw_bytes: None,
                raw_sha256: None,
            },
            raw: HashingCounter::default(),
            gzip: gzip_level.map(|level| Gzip {
                level,
                pending: Vec::new(),
                stored: HashingCounter::default(),
                members: 0,
            }),
            sink,
        }
    }
    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.raw.update(bytes);
        store(&mut self.gzip, &mut self.sink, &[bytes])
    }
    fn compress_to(&mut self, end: usize) -> Result<()> {
        let Some(gzip) = &mut self.gzip else { return Ok(()) };
        let level = gzip.level;
        let mut members: Vec<(&[u8], Vec<u8>)> = gzip.pending[..end]
            .chunks(gzip::MEMBER_BYTES)
            .map(|chunk| (chunk, Vec::new()))
            .collect();
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
    /// From here on, keeps what is appended to a stream for [`OutputFile::finish_with_tail`] to
    /// return.
    pub(super) fn defer_tail(&mut self) {
        if let Sink::Stream(stream) = &mut self.sink {
            stream.is_deferred = true;
        }
    }
    /// Syncs the file to disk and returns its entry for the manifest.
    pub fn finish(self) -> Result<manifest::File> {
        self.finish_with_tail().map(|(entry, _)| entry)
    }
    /// Like [`OutputFile::finish`]; also returns the end of a stream, which has not been written.
    pub(super) fn finish_with_tail(mut self) -> Result<(manifest::File, Option<DeferredTail>)> {
        let rest = self.gzip.as_ref().map_or(0, |gzip| gzip.pending.len());
        self.compress_to(rest)?;
        if self.gzip.as_ref().is_some_and(|gzip| gzip.members == 0) {
            // mongorestore refuses a compressed file of zero bytes, so an empty collection is one
            // empty gzip member.
            let member = gzip::compress(&[], 1);
            if let Some(gzip) = &mut self.gzip {
                gzip.stored.update(&member);
            }
            self.sink.write(&[&member])?;
        }
        let tail = match self.sink {
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
        Ok((self.entry, tail))
    }
}
