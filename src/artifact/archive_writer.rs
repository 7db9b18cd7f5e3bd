//! Writes archives for `mongorestore --archive`. [`crate::base::archive_format`] describes the
//! format.

use crc_fast::Digest;

use super::writer::{Content, DeferredTail, DocumentSink, OtherHash, OutputFile};
use crate::base::archive_format::{FORMAT_VERSION, MAGIC, TERMINATOR, checksum};
use crate::error::Result;
use crate::hash::HashingCounter;
use crate::manifest;
use crate::raw::{Value, Writer, kind};

/// The server version written if the dump does not state one. It needs three numbers: mongorestore
/// refuses an archive whose version has another form (`common/archive/prelude.go`, `ReadDir`).
const UNKNOWN_VERSION: &str = "0.0.0";

/// A collection of an archive that is to be written.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its metadata, as JSON.
    pub metadata: String,
}

/// An archive that is being written. Its collections stay open until [`ArchiveFile::finish`] ends
/// them all.
#[derive(Debug)]
pub struct ArchiveFile<'d> {
    file: OutputFile<'d>,
    collections: Vec<(Collection, Checksum)>,
}

struct Checksum(Digest);

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0.finalize())
    }
}

impl<'d> ArchiveFile<'d> {
    /// Writes the prelude of an archive with these collections.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::error::Error::Write) if the file cannot be written.
    pub fn begin(
        mut file: OutputFile<'d>,
        server_version: Option<&str>,
        collections: Vec<Collection>,
    ) -> Result<Self> {
        let mut bytes = MAGIC.to_vec();
        let header = bytes.open();
        // mongorestore hangs if more collections are open than the header announces (DESIGN §9).
        bytes
            .element(b"concurrent_collections\0", int32(&(collections.len() as i32).to_le_bytes()));
        bytes.text(b"version\0", &[FORMAT_VERSION.as_bytes()]);
        bytes.text(b"server_version\0", &[server_version.unwrap_or(UNKNOWN_VERSION).as_bytes()]);
        bytes.text(
            b"tool_version\0",
            &[concat!("mongosplit ", env!("CARGO_PKG_VERSION")).as_bytes()],
        );
        bytes.close(header);
        for collection in &collections {
            let entry = bytes.open();
            bytes.text(b"db\0", &[collection.database.as_bytes()]);
            bytes.text(b"collection\0", &[collection.name.as_bytes()]);
            bytes.text(b"metadata\0", &[collection.metadata.as_bytes()]);
            bytes.element(b"size\0", int32(&[0; 4]));
            bytes.text(b"type\0", &[b"collection"]);
            bytes.close(entry);
        }
        bytes.put(&TERMINATOR);
        file.append(&bytes)?;
        file.count(0);
        let collections =
            collections.into_iter().map(|collection| (collection, Checksum(checksum()))).collect();
        Ok(ArchiveFile { file, collections })
    }
    /// Appends one block for each pair of collection number and documents. Hashes the blocks while
    /// it hashes the bytes of another stream, if there are any; pairs without documents are
    /// skipped.
    pub fn blocks(
        &mut self,
        blocks: &[(usize, &[u8])],
        other: Option<OtherHash<'_>>,
    ) -> Result<()> {
        let mut headers = Vec::new();
        for (number, documents) in blocks {
            let (collection, checksum) = &mut self.collections[*number];
            checksum.0.update(documents);
            headers.push(namespace_header(collection, None));
        }
        let with_headers =
            headers.iter().zip(blocks).filter(|(_, (_, documents))| !documents.is_empty());
        let pieces: Vec<&[u8]> = with_headers
            .flat_map(|(header, (_, documents))| [header, *documents, &TERMINATOR])
            .collect();
        self.file.append_and_hash(&pieces, other)
    }
    /// Adds to the number of documents.
    pub fn count(&mut self, documents: u64) {
        self.file.count(documents);
    }
    /// Compresses what has been appended, except for an incomplete gzip member. Call it after every
    /// batch or so.
    pub fn compress(&mut self) -> Result<()> {
        self.file.compress()
    }
    /// Returns a sink for the documents of one collection.
    pub fn share(&mut self, number: usize) -> Share<'_, 'd> {
        Share { archive: self, number, raw: HashingCounter::default(), documents: 0 }
    }
    /// Ends every collection. If the archive goes to standard output, its end is returned
    /// unwritten, so that it can be written once nothing else can fail.
    pub fn finish(mut self) -> Result<(manifest::File, Option<DeferredTail>)> {
        self.file.defer_tail();
        for (collection, checksum) in &self.collections {
            self.file.append(&namespace_header(collection, Some(checksum.0.finalize())))?;
            self.file.append(&TERMINATOR)?;
        }
        self.file.finish_with_tail()
    }
}

/// The header of a block. `end` is the checksum of the collection if this header ends it.
fn namespace_header(collection: &Collection, end: Option<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let open = bytes.open();
    bytes.text(b"db\0", &[collection.database.as_bytes()]);
    bytes.text(b"collection\0", &[collection.name.as_bytes()]);
    bytes.element(b"EOF\0", Value { kind: kind::BOOLEAN, bytes: &[u8::from(end.is_some())] });
    bytes.element(b"CRC\0", Value { kind: kind::INT64, bytes: &end.unwrap_or(0).to_le_bytes() });
    bytes.close(open);
    bytes
}

fn int32(bytes: &[u8; 4]) -> Value<'_> {
    Value { kind: kind::INT32, bytes }
}

/// One collection of an archive that is being written, with a hash of its own.
#[derive(Debug)]
pub struct Share<'a, 'd> {
    archive: &'a mut ArchiveFile<'d>,
    number: usize,
    raw: HashingCounter,
    documents: u64,
}

impl Share<'_, '_> {
    /// Returns the number, size and hash of the documents that were appended.
    pub fn finish(self) -> Content {
        let (bytes, sha256) = self.raw.finish();
        Content { documents: self.documents, bytes, sha256 }
    }
}

impl DocumentSink for Share<'_, '_> {
    fn append_and_hash(&mut self, pieces: &[&[u8]], other: Option<OtherHash<'_>>) -> Result<()> {
        if let Some((hash, pieces)) = other {
            pieces.iter().for_each(|piece| hash.update(piece));
        }
        let blocks: Vec<(usize, &[u8])> =
            pieces.iter().map(|piece| (self.number, *piece)).collect();
        self.archive.blocks(&blocks, Some((&mut self.raw, pieces)))
    }
    fn count(&mut self, documents: u64) {
        self.documents += documents;
        self.archive.count(documents);
    }
    fn compress(&mut self) -> Result<()> {
        self.archive.compress()
    }
}
