//! Archives as `mongorestore --archive` takes them: the format that [`crate::base::archive_format`] describes.

use crc_fast::Digest;

use super::writer::{Beside, Content, DeferredTail, DocumentSink, OutputFile};
use crate::base::archive_format::{FORMAT_VERSION, MAGIC, TERMINATOR, checksum};
use crate::error::Result;
use crate::hash::Counted;
use crate::manifest;
use crate::raw::{Value, Writer, kind};

/// The version of a server where the dump does not tell: mongorestore (`common/archive/prelude.go`, `ReadDir`)
/// refuses an archive whose version is not three numbers.
const UNKNOWN_VERSION: &str = "0.0.0";

/// A collection that an archive is to hold.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its metadata.
    pub metadata: String,
}

/// An archive that is being written. All its collections are open from its first block to its end.
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
    /// Begins an archive of these collections.
    pub fn begin(
        mut file: OutputFile<'d>,
        server_version: Option<&str>,
        collections: Vec<Collection>,
    ) -> Result<Self> {
        let mut bytes = MAGIC.to_vec();
        let header = bytes.open();
        // mongorestore waits for ever where more collections are open than it was told (DESIGN §9).
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
    /// Appends documents of collections, each with its number, as a block each, and hashes them side by side with
    /// another stream's.
    pub fn blocks(&mut self, blocks: &[(usize, &[u8])], beside: Option<Beside<'_>>) -> Result<()> {
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
        self.file.append_beside(&pieces, beside)
    }
    /// Counts documents that were appended.
    pub fn count(&mut self, documents: u64) {
        self.file.count(documents);
    }
    /// Compresses what can be; to be called now and then.
    pub fn compress(&mut self) -> Result<()> {
        self.file.compress()
    }
    /// The documents of one collection, as something to append to.
    pub fn share(&mut self, number: usize) -> Share<'_, 'd> {
        Share { archive: self, number, raw: Counted::default(), documents: 0 }
    }
    /// Ends every collection. Of a stream the end is held back, until everything else is certain.
    pub fn finish(mut self) -> Result<(manifest::File, Option<DeferredTail>)> {
        self.file.hold();
        for (collection, checksum) in &self.collections {
            self.file.append(&namespace_header(collection, Some(checksum.0.finalize())))?;
            self.file.append(&TERMINATOR)?;
        }
        self.file.finish_held()
    }
}

/// A block's header; with the checksum that ends the collection.
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

/// One collection of an archive that is being written; hashed for itself.
#[derive(Debug)]
pub struct Share<'a, 'd> {
    archive: &'a mut ArchiveFile<'d>,
    number: usize,
    raw: Counted,
    documents: u64,
}

impl Share<'_, '_> {
    /// What was appended.
    pub fn finish(self) -> Content {
        let (bytes, sha256) = self.raw.finish();
        Content { documents: self.documents, bytes, sha256 }
    }
}

impl DocumentSink for Share<'_, '_> {
    fn append_beside(&mut self, pieces: &[&[u8]], beside: Option<Beside<'_>>) -> Result<()> {
        if let Some((hash, pieces)) = beside {
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
