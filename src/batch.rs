//! Documents on their way: framed by their lengths and gathered into batches whose bounds depend on nothing but
//! the documents.

use std::io::{self, Read};

use crate::error::{Error, Position, Result};
use crate::raw::{self, FaultKind};

/// Bytes of documents in one batch, unless a single document is larger. Part of the journal's format: a batch of
/// documents is one document of the journal.
pub const BATCH_BYTES: usize = 512 * 1024;

/// Documents of one source, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Number of the source that they come from.
    pub source: usize,
    /// The documents, one behind the other.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<u32>,
    /// Documents of the source before these.
    pub documents_before: u64,
    /// Bytes of the source before these.
    pub bytes_before: u64,
    /// Where each begins in the input, where that is not one behind the other.
    offsets: Vec<u64>,
}

impl Batch {
    /// The documents.
    pub fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut from, end as usize)..end as usize])
    }
    /// The document with this number in the batch.
    pub fn document(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }
    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }
    /// Where a document of the batch is in its source.
    pub fn position(&self, index: usize, file: &str) -> Position {
        Position {
            file: file.to_owned(),
            document: self.documents_before + index as u64 + 1,
            offset: self.offsets.get(index).copied().unwrap_or(self.bytes_before + self.start(index) as u64),
            id: self.ends.get(index).and_then(|_| raw::display_id(self.document(index))),
        }
    }
    /// Whether a document of this size can be added to the batch.
    pub fn has_room(&self, size: usize) -> bool {
        self.bytes.is_empty() || self.bytes.len() + size <= BATCH_BYTES
    }
    /// Empties it, to hold documents that follow on so many.
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
    /// Adds a document that is at this offset in an input where others lie between.
    pub fn push_from(&mut self, document: &[u8], offset: u64) {
        self.push(document);
        self.offsets.push(offset);
    }
}

/// Empties a buffer for its next use; one that a large document has grown is given back.
pub fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > 4 * BATCH_BYTES {
        *buffer = Vec::new();
    }
    buffer.clear();
}

/// Cuts a stream of documents into batches.
#[derive(Debug)]
pub struct Splitter<R> {
    stream: R,
    source: usize,
    file: String,
    /// Bytes read behind the last batch.
    carried: Vec<u8>,
    documents: u64,
    bytes: u64,
    at_end: bool,
    max_bytes: usize,
}

impl<R: Read> Splitter<R> {
    /// Over a stream that holds nothing but documents; `file` names it in errors.
    pub fn new(stream: R, source: usize, file: String) -> Self {
        Splitter { stream, source, file, carried: Vec::new(), documents: 0, bytes: 0, at_end: false, max_bytes: raw::MAX_DOCUMENT_BYTES }
    }
    /// Accepts documents of up to so many bytes, where that is not a server's limit.
    pub fn with_limit(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
    /// The stream.
    pub fn stream(&self) -> &R {
        &self.stream
    }
    /// Documents and bytes so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.documents, self.bytes)
    }

    /// Fills the batch with what comes next. False at the end.
    ///
    /// The end of the stream is an end only between documents; anywhere else it is an error.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.restart(self.source, self.documents, self.bytes);
        std::mem::swap(&mut batch.bytes, &mut self.carried);
        recycle(&mut self.carried);
        let mut wanted = BATCH_BYTES;
        loop {
            self.read_to(&mut batch.bytes, wanted)?;
            let mut at = batch.ends.last().map_or(0, |end| *end as usize);
            let fault = loop {
                let rest = &batch.bytes[at..];
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
            // Documents before a fault are passed on first, so that the first fault is the one reported.
            if !batch.ends.is_empty() {
                self.carried.extend_from_slice(&batch.bytes[at..]);
                batch.bytes.truncate(at);
                self.documents += batch.ends.len() as u64;
                self.bytes += at as u64;
                return Ok(true);
            }
            if let Some(fault) = fault {
                return Err(self.error(fault, &batch.bytes));
            }
            if self.at_end {
                return match batch.bytes.len() {
                    0 => Ok(false),
                    have => {
                        let need = batch.bytes.first_chunk::<4>().map_or(4, |length| u32::from_le_bytes(*length));
                        Err(self.error(FaultKind::Truncated { have: have as u64, need: u64::from(need) }, &batch.bytes))
                    }
                };
            }
        }
    }

    fn read_to(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> Result<()> {
        let mut have = bytes.len();
        if have < wanted {
            bytes.resize(wanted, 0);
        }
        while have < wanted && !self.at_end {
            match self.stream.read(&mut bytes[have..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(stream_error(error, &self.file)),
            }
        }
        bytes.truncate(have);
        Ok(())
    }

    fn error(&self, fault: FaultKind, document: &[u8]) -> Error {
        let position = Position {
            file: self.file.clone(),
            document: self.documents + 1,
            offset: self.bytes,
            // The elements end where the bytes do, so this reads no further than it may.
            id: raw::display_id(document),
        };
        Error::Document { position: Box::new(position), fault }
    }
}

/// An error of a stream: the library's own, if it is one that a reader below has passed through.
pub fn stream_error(error: io::Error, file: &str) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(source) => Error::Read { action: "read", path: file.into(), source },
    }
}
