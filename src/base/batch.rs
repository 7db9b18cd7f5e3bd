//! Splits a stream of documents into batches. Only the documents decide where a batch ends.

use std::io::{self, Read};
use std::path::Path;

use super::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, Position, Result};
use crate::plain::PlainPath;
use crate::raw::{self, Fault, FaultKind};

/// Most bytes of documents in one batch, unless a single document is larger. This is part of the
/// journal's format, where each batch becomes one document.
pub const BATCH_BYTES: usize = 512 * 1024;
/// Most documents in one batch, which is part of the format likewise. What a document becomes may be many times its size,
/// so a batch of very small ones would become very large.
pub const BATCH_DOCUMENTS: usize = 2048;
/// What a document counts as at least when the work of a round is measured out.
const LEAST_WEIGHT: usize = BATCH_BYTES / BATCH_DOCUMENTS;

/// Documents of one source, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The number of their source.
    pub source: usize,
    /// The documents, one after the other.
    pub bytes: Vec<u8>,
    /// The end of each document in `bytes`.
    pub ends: Vec<u32>,
    /// The number of documents of the source before these.
    pub documents_before: u64,
    /// The number of bytes of the source before these.
    pub bytes_before: u64,
    /// The byte offset of each document in the input, if they do not follow each other there.
    offsets: Vec<u64>,
}

impl Batch {
    /// The documents, in order.
    pub fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends
            .iter()
            .map(move |&end| &self.bytes[std::mem::replace(&mut from, end as usize)..end as usize])
    }
    /// The document with this index in the batch, from 0.
    pub fn document(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }
    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }
    /// The position of a document in its source; `file` is the name of the source.
    pub fn position(&self, index: usize, file: &str) -> Position {
        Position {
            file: file.to_owned(),
            document: self.documents_before + index as u64 + 1,
            offset: self
                .offsets
                .get(index)
                .copied()
                .unwrap_or(self.bytes_before + self.start(index) as u64),
            id: self.ends.get(index).and_then(|_| raw::display_id(self.document(index))),
        }
    }
    /// Whether a document of `size` bytes fits into the batch. An empty batch has room for any.
    pub fn has_room(&self, size: usize) -> bool {
        self.bytes.is_empty()
            || self.bytes.len() + size <= BATCH_BYTES && self.ends.len() < BATCH_DOCUMENTS
    }
    /// How much work the batch is: its bytes, or more if the documents are very small.
    pub fn weight(&self) -> usize {
        self.bytes.len().max(self.ends.len() * LEAST_WEIGHT)
    }
    /// Empties the batch, for documents that follow `documents_before` others of `bytes_before`
    /// bytes.
    pub fn restart(&mut self, source: usize, documents_before: u64, bytes_before: u64) {
        self.source = source;
        recycle(&mut self.bytes);
        self.ends.clear();
        self.offsets.clear();
        self.documents_before = documents_before;
        self.bytes_before = bytes_before;
    }
    /// Adds a document.
    pub fn push(&mut self, document: &[u8]) {
        self.bytes.extend_from_slice(document);
        self.ends.push(self.bytes.len() as u32);
    }
    /// Adds a document with its byte offset, for an input that contains other documents in between.
    pub fn push_from(&mut self, document: &[u8], offset: u64) {
        self.push(document);
        self.offsets.push(offset);
    }
}

/// Larger buffers are not reused.
const RECYCLED_BYTES: usize = 4 * BATCH_BYTES;

/// Empties a buffer for reuse. Frees its memory if a large document has grown it.
pub fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > RECYCLED_BYTES {
        *buffer = Vec::new();
    }
    buffer.clear();
}

/// Empties a buffer that is one of `buffers` which together receive about as much as a batch has, and
/// makes room in it, so that it need not be moved while it grows. Room that is not used costs no memory.
pub fn prepare(buffer: &mut Vec<u8>, buffers: usize) {
    recycle(buffer);
    buffer.reserve(4 * BATCH_BYTES / buffers.max(4));
}

/// Lengthens a buffer of which `have` bytes are filled. New memory comes cleared from the system,
/// where `resize` would clear it once more.
fn lengthen(buffer: &mut Vec<u8>, have: usize, length: usize) {
    if buffer.len() >= length {
        return;
    }
    if buffer.capacity() >= length {
        return buffer.resize(length, 0);
    }
    let mut longer = vec![0; length];
    longer[..have].copy_from_slice(&buffer[..have]);
    *buffer = longer;
}

/// Splits a stream of documents into batches.
#[derive(Debug)]
pub struct Splitter<R> {
    stream: R,
    source: usize,
    file: String,
    /// Bytes read after the last batch.
    carried: Vec<u8>,
    documents: u64,
    bytes: u64,
    at_end: bool,
    max_bytes: usize,
}

impl Splitter<Stream> {
    /// Opens a file of documents.
    pub fn open(disk: &Disk, path: &Path) -> Result<Self> {
        Ok(Splitter::new(Stream::open(disk, path)?, 0, path.plain()))
    }
}

impl<R: Read> Splitter<R> {
    /// Splits a stream that contains nothing but documents. `file` names it in errors.
    pub fn new(stream: R, source: usize, file: String) -> Self {
        Splitter {
            stream,
            source,
            file,
            carried: Vec::new(),
            documents: 0,
            bytes: 0,
            at_end: false,
            max_bytes: raw::MAX_DOCUMENT_BYTES,
        }
    }
    /// Accepts documents of up to `max_bytes`, instead of a server's limit.
    pub fn with_limit(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
    /// The name of the input in errors.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The stream.
    pub fn stream(&self) -> &R {
        &self.stream
    }
    /// The number of documents and of bytes so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.documents, self.bytes)
    }

    /// Fills the batch with the next documents. Returns false at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Document`] if a document has an impossible length or the stream ends inside one,
    /// [`Error::Read`] if reading fails.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.source = self.source;
        (batch.documents_before, batch.bytes_before) = (self.documents, self.bytes);
        batch.ends.clear();
        // The buffer keeps its old length, because bytes that will be overwritten need no clearing.
        let buffer = &mut batch.bytes;
        if self.at_end && self.carried.is_empty() {
            buffer.clear();
            return Ok(false);
        }
        if buffer.capacity() > RECYCLED_BYTES {
            *buffer = Vec::new();
        }
        let mut have = self.carried.len();
        lengthen(buffer, 0, have.max(BATCH_BYTES));
        buffer[..have].copy_from_slice(&self.carried);
        recycle(&mut self.carried);
        let mut wanted = BATCH_BYTES;
        loop {
            have = self.read_to(buffer, have, wanted)?;
            let mut at = batch.ends.last().map_or(0, |end| *end as usize);
            let fault = loop {
                if batch.ends.len() == BATCH_DOCUMENTS {
                    break None;
                }
                let rest = &buffer[at..have];
                let Some(length) = rest.first_chunk::<4>() else { break None };
                match raw::document_length(*length, self.max_bytes) {
                    Err(fault) => break Some(fault),
                    Ok(size) if size > rest.len() => {
                        wanted = size;
                        break None;
                    }
                    Ok(size) => {
                        at += size;
                        batch.ends.push(at as u32);
                    }
                }
            };
            // Documents before a fault are returned first, so that an earlier fault in one of them
            // is reported.
            if !batch.ends.is_empty() {
                self.carried.extend_from_slice(&buffer[at..have]);
                buffer.truncate(at);
                self.documents += batch.ends.len() as u64;
                self.bytes += at as u64;
                return Ok(true);
            }
            if let Some(fault) = fault {
                return Err(self.error(fault, &buffer[..have]));
            }
            if self.at_end {
                let rest = std::mem::take(buffer);
                if have == 0 {
                    return Ok(false);
                }
                let need = rest[..have]
                    .first_chunk::<4>()
                    .map(|length| u64::from(u32::from_le_bytes(*length)));
                let fault = need.map_or(FaultKind::NoLength(have), |need| FaultKind::Truncated {
                    have: have as u64,
                    need,
                });
                return Err(self.error(fault, &rest[..have]));
            }
        }
    }

    /// Reads until `wanted` bytes of the buffer are filled, or the stream ends. Returns the number
    /// of filled bytes.
    fn read_to(&mut self, buffer: &mut Vec<u8>, mut have: usize, wanted: usize) -> Result<usize> {
        lengthen(buffer, have, wanted);
        while have < wanted && !self.at_end {
            match self.stream.read(&mut buffer[have..wanted]) {
                Ok(0) => self.at_end = true,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stream_error_at(error, &buffer[..have])),
            }
        }
        Ok(have)
    }

    /// Adds to an error of the stream the document at which reading failed.
    fn stream_error_at(&self, error: io::Error, bytes: &[u8]) -> Error {
        let mut rest = bytes;
        let mut document = self.documents + 1;
        while let Some(size) = rest
            .first_chunk::<4>()
            .and_then(|length| raw::document_length(*length, self.max_bytes).ok())
        {
            let Some(after) = rest.get(size..) else { break };
            rest = after;
            document += 1;
        }
        match stream_error(error, &self.file) {
            Error::Read { action, path, source } => {
                let offset = self.bytes + bytes.len() as u64;
                let place = match (rest.is_empty(), raw::display_id(rest)) {
                    (true, _) if document == 1 => "before the first document".to_owned(),
                    (true, _) => format!(
                        "after document {}, at byte offset {offset} of the documents",
                        document - 1
                    ),
                    (false, Some(id)) => format!(
                        "in document {document}, _id {id}, at byte offset {offset} of the documents"
                    ),
                    (false, None) => {
                        format!("in document {document}, at byte offset {offset} of the documents")
                    }
                };
                Error::Read {
                    action,
                    path,
                    source: io::Error::new(source.kind(), format!("{source} ({place})")),
                }
            }
            other => other,
        }
    }

    fn error(&self, kind: FaultKind, document: &[u8]) -> Error {
        let position = Position {
            file: self.file.clone(),
            document: self.documents + 1,
            offset: self.bytes,
            // The bytes may be cut off; the cursor over elements stops at their end.
            id: raw::display_id(document),
        };
        Error::document(position, Fault::of_document(kind))
    }
}

/// Turns an error of a stream into one of the library. If a reader below has wrapped one of the
/// library's own errors, returns that.
pub fn stream_error(error: io::Error, file: &str) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(source) => Error::Read { action: "read", path: file.into(), source },
    }
}
