//! Reads mongodump's archive format as a stream, checking its framing. An archive is never in
//! memory as a whole.
//!
//! Facts are from mongo-tools `common/archive/` (`archive.go`, `prelude.go`, `parser.go`,
//! `demultiplexer.go`): a magic number, a prelude (header document, one document for each
//! collection, terminator), then blocks of a namespace header, documents and a terminator. Blocks
//! of different namespaces interleave. Each namespace ends with a header of its own, which has
//! `EOF` set and contains the CRC-64/XZ of its documents, as an int64. All of the format is in this
//! file, which is why it has more than 500 lines.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crc_fast::{CrcAlgorithm, Digest};

use super::documents::{Checking, Counts};
use super::namespace::is_database_name;
use super::stream::Stream;
use crate::batch::stream_error;
use crate::disk::Disk;
use crate::error::{Error, Position, Result};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::{self, Elements, Validator, Value, kind};

/// The magic number of archives: `0x8199e26d`, little-endian.
pub const MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];
/// The terminator of the prelude and of each block.
pub const TERMINATOR: [u8; 4] = [0xff; 4];
/// The version of the format.
pub const FORMAT_VERSION: &str = "0.1";
/// The longest namespace that a server accepts (MongoDB manual, "Limits and Thresholds").
const MAX_NAMESPACE_BYTES: usize = 255;
/// The largest prelude, and the most collections in one, that are accepted: all of it is kept in memory.
pub const MOST_PRELUDE_BYTES: u64 = 32 * 1024 * 1024;
/// See [`MOST_PRELUDE_BYTES`].
pub const MOST_COLLECTIONS: usize = 65_536;
/// The number of bytes to read at once.
const READ_BYTES: usize = 1024 * 1024;
/// Prefix of the collection in which a server before version 8.3 keeps the documents of a time
/// series.
const BUCKETS: &str = "system.buckets.";

/// The part of an archive before its documents.
#[derive(Debug, Clone, Default)]
pub struct Prelude {
    /// How many namespaces may be open at once.
    pub concurrent_collections: i32,
    /// The version of the server that was dumped.
    pub server_version: String,
    /// The version of the tool that wrote the archive.
    pub tool_version: String,
    /// The collections.
    pub entries: Vec<Arc<Entry>>,
}

/// A collection in a prelude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its database; empty for the oplog.
    pub database: String,
    /// Its name.
    pub collection: String,
    /// Its metadata as JSON, or empty if there is none.
    pub metadata: Vec<u8>,
    /// `collection`, `view` or `timeseries`; `None` in old archives.
    pub kind: Option<String>,
}

impl Entry {
    /// The namespace, `database.collection`.
    pub fn namespace(&self) -> String {
        format!("{}.{}", self.database, self.collection)
    }
    /// Whether it is the oplog of `mongodump --oplog`.
    pub fn is_oplog(&self) -> bool {
        self.database.is_empty()
    }
}

/// A document of an archive.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The number of its namespace in the prelude.
    pub namespace: usize,
    /// Its byte offset in the uncompressed archive.
    pub offset: u64,
    /// Its bytes. They have the length that they announce and end with NUL; nothing else has been
    /// checked.
    pub bytes: &'a [u8],
}

/// What has been read of a namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of documents.
    pub documents: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Whether its checksum is right; `None` if it is not checked, or has not been read yet.
    pub checksum_holds: Option<bool>,
}

impl Seen {
    /// The number and size of its documents.
    pub fn counts(&self) -> Counts {
        Counts { documents: self.documents, bytes: self.bytes }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Unseen,
    Open,
    Closed,
}

struct State {
    status: Status,
    crc: Option<Digest>,
    seen: Seen,
}

/// A new digest for the documents of a namespace, with the CRC that archives use.
pub fn checksum() -> Digest {
    Digest::new(CrcAlgorithm::Crc64Xz)
}

/// Reads an archive in one pass. Its buffer holds one read, or the largest document.
///
/// The framing of every document is checked. The stream may end only after every namespace of the
/// prelude has ended.
pub struct Reader<R> {
    stream: R,
    file: String,
    buffer: Vec<u8>,
    /// The range of the buffer that has been read but not consumed.
    from: usize,
    to: usize,
    /// The byte offset of `from` in the uncompressed archive.
    offset: u64,
    at_end: bool,
    prelude: Prelude,
    states: Vec<State>,
    numbers: HashMap<String, usize>,
    /// The namespace of the current block.
    current: Option<usize>,
    /// Whether the current block is the last one of its namespace.
    is_closing: bool,
    open: usize,
    most_open: usize,
    tolerates_mismatch: bool,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("file", &self.file)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

struct NamespaceHeader {
    database: String,
    collection: String,
    is_end: bool,
    crc: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the prelude. `file` names the archive in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if the stream is not an archive or its prelude is damaged, [`Error::Read`]
    /// if reading fails.
    pub fn open(stream: R, file: String) -> Result<Self> {
        let mut reader = Reader {
            stream,
            file,
            buffer: Vec::new(),
            from: 0,
            to: 0,
            offset: 0,
            at_end: false,
            prelude: Prelude::default(),
            states: Vec::new(),
            numbers: HashMap::new(),
            current: None,
            is_closing: false,
            open: 0,
            most_open: 0,
            tolerates_mismatch: false,
        };
        reader.read_magic()?;
        reader.read_prelude()?;
        Ok(reader)
    }
    /// The prelude.
    pub fn prelude(&self) -> &Prelude {
        &self.prelude
    }
    /// What has been read of a namespace so far. `namespace` is its number in the prelude.
    pub fn seen(&self, namespace: usize) -> Seen {
        self.states[namespace].seen
    }
    /// The stream.
    pub fn stream(&self) -> &R {
        &self.stream
    }
    /// The archive's name in errors.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The largest number of namespaces that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.most_open
    }
    /// Turns on the checksum of a namespace. A mismatch is an error when the namespace ends.
    pub fn check(&mut self, namespace: usize) {
        self.states[namespace].crc = Some(checksum());
    }
    /// Turns on all checksums. A mismatch is recorded in [`Seen`] and is not an error.
    pub fn check_all_and_continue(&mut self) {
        (0..self.states.len()).for_each(|namespace| self.check(namespace));
        self.tolerates_mismatch = true;
    }

    fn read_magic(&mut self) -> Result<()> {
        // More than the four bytes, so that an error shows the same excerpt however much a pipe
        // returns at once.
        let have = self.fill(64)?;
        let head = &self.buffer[..have.min(64)];
        if have == 0 {
            return Err(Error::input(
                self.file.as_ref(),
                "is empty, so it is not an archive; did mongodump fail?",
            ));
        }
        if !head.starts_with(&MAGIC) {
            let what = match text_of(head) {
                Some(text) => {
                    format!("found text instead of an archive's magic number: '{text}'; {MIXED}")
                }
                None => format!(
                    "begins with {}, but an archive begins with {}; give the output of `mongodump --archive`",
                    raw::hex(&head[..have.min(4)]),
                    raw::hex(&MAGIC)
                ),
            };
            return Err(self.fault(what));
        }
        self.take(4);
        Ok(())
    }

    fn read_prelude(&mut self) -> Result<()> {
        match self.piece("the archive's header")? {
            None => return Err(self.fault("found a terminator instead of the archive's header")),
            Some(size) => {
                let header = archive_header(self.ahead(size))
                    .map_err(|what| self.fault(format!("the archive's header {what}")))?;
                self.prelude = header;
                self.take(size);
            }
        }
        while let Some(size) = self.piece("a collection of the prelude, or its terminator")? {
            if namespace_header(self.ahead(size)).is_ok() {
                return Err(self.fault(
                    "found a block's header in the prelude: the terminator of the prelude is missing",
                ));
            }
            let bytes = self.offset + size as u64;
            if bytes > MOST_PRELUDE_BYTES || self.prelude.entries.len() == MOST_COLLECTIONS {
                return Err(self.fault(format!(
                    "the prelude has more than {MOST_PRELUDE_BYTES} bytes or {MOST_COLLECTIONS} collections; dump fewer collections at once, with --nsInclude or --db"
                )));
            }
            let entry = entry(self.ahead(size))
                .map_err(|what| self.fault(format!("a collection in the prelude {what}")))?;
            let namespace = entry.namespace();
            let number = self.prelude.entries.len();
            if self.numbers.insert(namespace.clone(), number).is_some_and(|other| {
                self.prelude.entries.get(other).is_some_and(|other| other.namespace() == namespace)
            }) {
                return Err(
                    self.fault(format!("the prelude lists {} twice", namespace.escape_debug()))
                );
            }
            if entry.kind.as_deref() == Some("timeseries") {
                self.numbers
                    .entry(format!("{}.{BUCKETS}{}", entry.database, entry.collection))
                    .or_insert(number);
            }
            self.prelude.entries.push(Arc::new(entry));
            self.states.push(State { status: Status::Unseen, crc: None, seen: Seen::default() });
            self.take(size);
        }
        self.take(4);
        Ok(())
    }

    /// Returns the next document, or `None` at the end of a complete archive.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if the framing is wrong, a checksum does not match, or the archive ends too
    /// early.
    pub fn next_document(&mut self) -> Result<Option<Document<'_>>> {
        loop {
            let Some(namespace) = self.current else {
                if self.fill(1)? == 0 {
                    self.check_end()?;
                    return Ok(None);
                }
                self.read_namespace_header()?;
                continue;
            };
            let Some(size) = self.piece("a document or a terminator")? else {
                self.take(4);
                self.current = None;
                self.is_closing = false;
                continue;
            };
            if self.is_closing {
                return Err(self.fault("found data after the header that ends the namespace"));
            }
            let bytes = &self.buffer[self.from..self.from + size];
            // A stored document begins with its _id, so only one that begins like a header needs
            // this check.
            if bytes[4..].starts_with(b"\x02db\0") && namespace_header(bytes).is_ok() {
                return Err(self.fault("found a block's header among the documents: the terminator of the previous block is missing"));
            }
            let state = &mut self.states[namespace];
            if let Some(crc) = &mut state.crc {
                crc.update(bytes);
            }
            state.seen.documents += 1;
            state.seen.bytes += size as u64;
            let (from, offset) = (self.from, self.offset);
            self.take(size);
            return Ok(Some(Document {
                namespace,
                offset,
                bytes: &self.buffer[from..from + size],
            }));
        }
    }

    /// Reads to the end, so that [`Reader::seen`] is complete.
    pub fn skip_to_end(&mut self) -> Result<()> {
        while self.next_document()?.is_some() {}
        Ok(())
    }

    fn read_namespace_header(&mut self) -> Result<()> {
        let Some(size) = self.piece("a block's header")? else {
            return Err(self.fault("found a terminator instead of a block's header: a doubled terminator, or a block without a header"));
        };
        let header = namespace_header(self.ahead(size))
            .map_err(|what| self.fault(format!("a block's header {what}")))?;
        let namespace = format!("{}.{}", header.database, header.collection);
        let Some(&number) = self.numbers.get(&namespace) else {
            return Err(self.fault(format!(
                "found a block of {}, which the prelude does not list",
                namespace.escape_debug()
            )));
        };
        match self.states[number].status {
            Status::Closed => {
                return Err(self
                    .fault(format!("{} is opened again after its end", namespace.escape_debug())));
            }
            Status::Open => {}
            Status::Unseen => {
                self.open += 1;
                self.most_open = self.most_open.max(self.open);
            }
        }
        self.states[number].status = if header.is_end { Status::Closed } else { Status::Open };
        if header.is_end {
            self.open -= 1;
            let found = self.states[number].crc.as_ref().map(Digest::finalize);
            self.states[number].seen.checksum_holds = found.map(|found| found == header.crc);
            if let Some(found) =
                found.filter(|found| *found != header.crc && !self.tolerates_mismatch)
            {
                return Err(self.fault(format!(
                    "the documents of {} have the CRC {found:016x}, but the archive says {:016x}: it was damaged",
                    namespace.escape_debug(),
                    header.crc
                )));
            }
        }
        self.take(size);
        self.current = Some(number);
        self.is_closing = header.is_end;
        Ok(())
    }

    fn check_end(&self) -> Result<()> {
        for (status, what) in [(Status::Open, "are unfinished"), (Status::Unseen, "are missing")] {
            let names: Vec<String> = (self.prelude.entries.iter().zip(&self.states))
                .filter(|(_, state)| state.status == status)
                .map(|(entry, _)| entry.namespace().escape_debug().to_string())
                .collect();
            if !names.is_empty() {
                let first = names[..names.len().min(5)].join(", ");
                return Err(self.fault(format!(
                    "the archive ends, but {} of its namespaces {what} ({first}): it was cut off, or mongodump was stopped",
                    names.len()
                )));
            }
        }
        Ok(())
    }

    /// Returns the size of the next document, or `None` if a terminator comes next. Consumes
    /// neither. `what` is the expected thing, for errors.
    fn piece(&mut self, what: &str) -> Result<Option<usize>> {
        let have = self.fill(4)?;
        let Some(&head) = self.ahead(have).first_chunk::<4>() else {
            return Err(self.fault(format!("the archive ends before {what}: it was cut off")));
        };
        if head == TERMINATOR {
            return Ok(None);
        }
        let Ok(size) = raw::document_length(head, raw::MAX_DOCUMENT_BYTES) else {
            let have = self.fill(64)?.min(64);
            return Err(self.fault(match text_of(self.ahead(have)) {
                Some(text) => format!("found text instead of {what}: '{text}'; {MIXED}"),
                None => format!(
                    "found {} instead of {what}, which is neither a terminator nor a length of 5 to 16777216 bytes",
                    i32::from_le_bytes(head)
                ),
            }));
        };
        let have = self.fill(size)?;
        if have < size {
            return Err(self.fault(format!(
                "the archive ends after {have} of the {size} bytes of {what}: it was cut off"
            )));
        }
        match self.ahead(size)[size - 1] {
            0 => Ok(Some(size)),
            other => {
                let at = self.offset + size as u64 - 1;
                Err(self.fault(format!(
                    "found byte 0x{other:02x} instead of the final NUL of {what}, at byte offset {at}"
                )))
            }
        }
    }

    fn ahead(&self, size: usize) -> &[u8] {
        &self.buffer[self.from..self.from + size]
    }
    fn take(&mut self, size: usize) {
        self.from += size;
        self.offset += size as u64;
    }

    /// Reads until at least `size` bytes are buffered, or the stream ends. Returns the number of
    /// buffered bytes.
    fn fill(&mut self, size: usize) -> Result<usize> {
        while self.to - self.from < size && !self.at_end {
            if self.buffer.len() - self.from < size.max(4) {
                self.buffer.copy_within(self.from..self.to, 0);
                (self.from, self.to) = (0, self.to - self.from);
                let room = size.max(READ_BYTES);
                if self.buffer.len() < room {
                    self.buffer.resize(room, 0);
                }
            }
            match self.stream.read(&mut self.buffer[self.to..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => self.to += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(stream_error(error, &self.file)),
            }
        }
        Ok(self.to - self.from)
    }

    fn fault(&self, what: impl std::fmt::Display) -> Error {
        let namespace = self
            .current
            .map(|number| format!(", {}", self.prelude.entries[number].namespace().escape_debug()));
        Error::input(
            self.file.as_ref(),
            format!("byte offset {}{}: {what}", self.offset, namespace.unwrap_or_default()),
        )
    }
}

const MIXED: &str =
    "a log seems to be mixed into the stream (keep stderr out of the pipe, without `2>&1`)";

/// The first line of `bytes`, if they look like text.
fn text_of(bytes: &[u8]) -> Option<String> {
    let is_text = bytes.len() >= 4
        && bytes.iter().take(4).all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 32..=126));
    let printable = bytes.iter().take_while(|byte| matches!(byte, b'\t' | 32..=126)).count();
    is_text.then(|| String::from_utf8_lossy(&bytes[..printable]).escape_debug().to_string())
}

/// The fields of a header document. Unknown and repeated fields are errors.
struct Fields<'a, const N: usize>([Option<Value<'a>>; N]);

impl<'a, const N: usize> Fields<'a, N> {
    fn read(document: &'a [u8], names: [&str; N]) -> std::result::Result<Self, String> {
        Validator::default()
            .check(document)
            .map_err(|fault| format!("is not valid BSON: {}", fault.kind))?;
        let mut values = [None; N];
        for element in Elements::new(document) {
            let key = String::from_utf8_lossy(element.key()).into_owned();
            let Some(at) = names.iter().position(|name| *name == key) else {
                return Err(format!("has an unknown field '{}'", key.escape_debug()));
            };
            if values[at].replace(element.value()).is_some() {
                return Err(format!("has the field '{key}' twice"));
            }
        }
        Ok(Fields(values))
    }
    fn value(&self, at: usize, name: &str) -> std::result::Result<Value<'a>, String> {
        self.0[at].ok_or_else(|| format!("lacks the field '{name}'"))
    }
    fn text(&self, at: usize, name: &str) -> std::result::Result<String, String> {
        let bytes = self
            .value(at, name)?
            .text()
            .ok_or_else(|| format!("has a field '{name}' that is not a string"))?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| format!("has a field '{name}' that is not UTF-8"))
    }
    fn integer(&self, at: usize, name: &str) -> std::result::Result<i64, String> {
        self.value(at, name)?
            .integer()
            .ok_or_else(|| format!("has a field '{name}' that is not an integer"))
    }
    fn names(&self) -> std::result::Result<(String, String), String> {
        let (database, collection) = (self.text(0, "db")?, self.text(1, "collection")?);
        if !database.is_empty() && !is_database_name(&database) {
            return Err(format!("has an invalid database name '{}'", database.escape_debug()));
        }
        let is_name =
            !collection.is_empty() && !collection.starts_with('.') && !collection.contains('\0');
        if !is_name || database.len() + 1 + collection.len() > MAX_NAMESPACE_BYTES {
            return Err(format!("has an invalid collection name '{}'", collection.escape_debug()));
        }
        Ok((database, collection))
    }
}

fn archive_header(document: &[u8]) -> std::result::Result<Prelude, String> {
    let fields = Fields::read(
        document,
        ["concurrent_collections", "version", "server_version", "tool_version"],
    )?;
    let version = fields.text(1, "version")?;
    if version != FORMAT_VERSION {
        return Err(format!(
            "has format version '{}', but only {FORMAT_VERSION} is supported",
            version.escape_debug()
        ));
    }
    let concurrent = fields.integer(0, "concurrent_collections")?;
    Ok(Prelude {
        concurrent_collections: i32::try_from(concurrent)
            .map_err(|_| format!("announces {concurrent} collections at once"))?,
        server_version: fields.text(2, "server_version")?,
        tool_version: fields.text(3, "tool_version")?,
        entries: Vec::new(),
    })
}

fn entry(document: &[u8]) -> std::result::Result<Entry, String> {
    let fields = Fields::read(document, ["db", "collection", "metadata", "size", "type"])?;
    let (database, collection) = fields.names()?;
    let metadata = fields
        .value(2, "metadata")?
        .text()
        .ok_or("has a field 'metadata' that is not a string")?
        .to_vec();
    fields.integer(3, "size")?;
    let kind = fields.0[4].map(|_| fields.text(4, "type")).transpose()?;
    Ok(Entry { database, collection, metadata, kind: kind.filter(|kind| !kind.is_empty()) })
}

fn namespace_header(document: &[u8]) -> std::result::Result<NamespaceHeader, String> {
    let fields = Fields::read(document, ["db", "collection", "EOF", "CRC"])?;
    let (database, collection) = fields.names()?;
    let is_end = fields.value(2, "EOF")?;
    let crc = fields.value(3, "CRC")?;
    if is_end.kind != kind::BOOLEAN {
        return Err("has a field 'EOF' that is not a boolean".to_owned());
    }
    let Some(crc) = Some(crc)
        .filter(|crc| crc.kind == kind::INT64)
        .and_then(|crc| crc.bytes.first_chunk::<8>())
    else {
        return Err("has a field 'CRC' that is not an int64".to_owned());
    };
    Ok(NamespaceHeader {
        database,
        collection,
        is_end: is_end.bytes != [0],
        crc: u64::from_le_bytes(*crc),
    })
}

impl Reader<Stream> {
    /// Opens an archive, and reads its prelude.
    pub fn open_file(disk: &Disk, path: &Path) -> Result<Self> {
        Reader::open(Stream::open(disk, path)?, path.plain())
    }
    /// Calls `each` for every remaining document, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Document`] at the first invalid document, [`Error::Interrupted`] after a signal,
    /// and [`Error::Input`] if the archive is damaged or the file has changed meanwhile.
    pub fn each_document(
        &mut self,
        checking: Checking,
        progress: &dyn Progress,
        mut each: impl FnMut(Document<'_>) -> Result<()>,
    ) -> Result<()> {
        const STEP: u64 = 1024;
        let mut validator = Validator::default();
        let mut documents: u64 = 0;
        while let Some(document) = self.next_document()? {
            documents += 1;
            if checking == Checking::Validity
                && let Err(fault) = validator.check(document.bytes)
            {
                let (namespace, offset, id) =
                    (document.namespace, document.offset, raw::display_id(document.bytes));
                let file =
                    format!("{}, {}", self.file(), self.prelude().entries[namespace].namespace());
                return Err(Error::document(
                    Position { file, document: self.seen(namespace).documents, offset, id },
                    fault,
                ));
            }
            each(document)?;
            if documents.is_multiple_of(STEP) {
                progress.check()?;
                progress.advance(documents, self.stream.file_bytes_read());
            }
        }
        self.stream.check_unchanged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_64_xz() {
        let mut crc = checksum();
        crc.update(b"123456789");
        assert_eq!(crc.finalize(), 0x995d_c9bb_df19_39fa);
    }
}
