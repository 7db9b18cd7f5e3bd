//! The rollback journal: a BSON file with what the collections do not hold. `docs/FORMAT.md` describes
//! it field by field.

use std::collections::HashMap;
use std::io::Read;

use super::codec::{Notes, Reader};
use crate::base::mapping_id::MappingId;
use crate::batch::{Batch, Splitter, recycle};
use crate::error::{Error, Result};
use crate::raw::{self, Elements, ItemKey, Validator, Value, Writer, kind};

/// The format version that this version of mongosplit writes and reads.
pub const FORMAT: i32 = 2;
/// The number of the inverse that a journal is written for. It is raised when what the inverse
/// produces changes: a journal holds only what its own inverse does not.
pub const INVERSE: i32 = 1;
/// The largest text of a mapping that a header holds.
pub const MAX_MAPPING_BYTES: usize = 1024 * 1024;
/// Largest document of a journal, the limit of bsondump (mongo-tools `bsondump/bsondump.go`).
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024 + 16 * 1024;
/// How many field orders get a number for the whole journal.
const MAX_ORDERS: usize = 4096;
/// Longer field orders are written out in each batch that uses them.
const MAX_ORDER_BYTES: usize = 2048;

/// Writes notes as documents of the journal, in source order. Each one is read back at once, with the
/// reader that `reverse` uses.
#[derive(Debug, Default)]
pub struct JournalWriter {
    numbers: HashMap<Box<[u8]>, i32>,
    decoder: Decoder,
    read_back: JournalBatch,
}

impl JournalWriter {
    /// Appends the header. `text` is the mapping's file, `metadata` the contents of the source's
    /// metadata file.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the header could not be read back.
    pub fn write_header(
        &mut self,
        namespace: &str,
        mapping: &MappingId,
        text: &str,
        metadata: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let from = out.len();
        let open = out.open();
        out.text(b"mongosplit\0", &[b"rollback journal"]);
        out.element(b"format\0", Value { kind: kind::INT32, bytes: &FORMAT.to_le_bytes() });
        out.text(b"namespace\0", &[namespace.as_bytes()]);
        out.head(kind::DOCUMENT, b"mapping\0");
        let open_mapping = out.open();
        out.text(b"name\0", &[mapping.name.as_bytes()]);
        out.text(b"version\0", &[mapping.version.as_bytes()]);
        out.text(b"sha256\0", &[mapping.sha256.as_bytes()]);
        out.text(b"text\0", &[text.as_bytes()]);
        out.close(open_mapping);
        out.element(b"inverse\0", Value { kind: kind::INT32, bytes: &INVERSE.to_le_bytes() });
        match metadata {
            Some(bytes) => put_binary(b"metadata\0", bytes, out),
            None => out.element(b"metadata\0", Value::NULL),
        }
        out.close(open);
        self.decoder.check(&out[from..])?;
        let header = Header::of(&out[from..]).map_err(Unreadable)?;
        let Header { namespace: read_namespace, mapping: id, text: read_text, metadata: read } =
            &header;
        match (read_namespace.as_str(), id, read_text.as_str(), read.as_deref())
            == (namespace, mapping, text, metadata)
        {
            true => Ok(()),
            false => Err(Unreadable("the header is read back differently".to_owned())),
        }
    }

    /// Appends the notes on a batch: its number of source documents, and of documents in each target.
    pub fn write_batch(
        &mut self,
        documents: usize,
        counts: &[u64],
        notes: &Notes,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let from = out.len();
        let int = |number: u64| (number as i32).to_le_bytes();
        let open = out.open();
        out.element(b"documents\0", Value { kind: kind::INT32, bytes: &int(documents as u64) });
        out.head(kind::ARRAY, b"targets\0");
        let targets = out.open();
        let mut key = ItemKey::default();
        for count in counts {
            out.element(key.key_nul(), Value { kind: kind::INT32, bytes: &int(*count) });
            key.advance();
        }
        out.close(targets);
        out.head(kind::ARRAY, b"orders\0");
        let orders = out.open();
        let mut key = ItemKey::default();
        for order in notes.orders() {
            match self.numbers.get(order) {
                Some(number) => out.element(
                    key.key_nul(),
                    Value { kind: kind::INT32, bytes: &number.to_le_bytes() },
                ),
                None => {
                    if is_numbered(order, self.numbers.len()) {
                        self.numbers.insert(order.clone(), self.numbers.len() as i32);
                    }
                    match std::str::from_utf8(order) {
                        Ok(_) => out.text(key.key_nul(), &[order]),
                        Err(_) => put_binary(key.key_nul(), order, out),
                    }
                }
            }
            key.advance();
        }
        out.close(orders);
        put_binary(b"program\0", notes.program(), out);
        out.head(kind::ARRAY, b"values\0");
        let values = out.open();
        out.put(notes.values());
        out.close(values);
        out.close(open);
        let result = self.read_back(documents, counts, notes, &out[from..]);
        recycle(&mut self.read_back.bytes);
        result
    }

    /// Fails unless the reader accepts a document, and finds in it what was written.
    fn read_back(
        &mut self,
        documents: usize,
        counts: &[u64],
        notes: &Notes,
        document: &[u8],
    ) -> Result<(), Unreadable> {
        let JournalWriter { decoder, read_back, .. } = self;
        decoder.check(document)?;
        read_back.bytes.clear();
        read_back.bytes.extend_from_slice(document);
        decoder.decode(read_back).map_err(|what| Unreadable(what.to_owned()))?;
        let (program, values) = read_back.parts();
        let is_same = read_back.documents == documents
            && read_back.targets.iter().map(|count| *count as u64).eq(counts.iter().copied())
            && read_back.orders == notes.orders()
            && program == notes.program()
            && values.get(4..values.len().saturating_sub(1)) == Some(notes.values());
        if is_same { Ok(()) } else { Err(Unreadable("it is read back differently".to_owned())) }
    }
}

/// Why a document of a journal does not read back as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// Whether a new field order gets a number, if `numbered` have one.
fn is_numbered(order: &[u8], numbered: usize) -> bool {
    numbered < MAX_ORDERS && order.len() <= MAX_ORDER_BYTES
}

fn put_binary(key_nul: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    out.head(kind::BINARY, key_nul);
    out.put(&(bytes.len() as i32).to_le_bytes());
    out.put(&[0]);
    out.put(bytes);
}

fn binary(value: Value<'_>) -> Option<&[u8]> {
    (value.kind == kind::BINARY).then(|| &value.bytes[5..])
}

/// A number of a header as errors show it.
fn shown(number: Option<i64>) -> String {
    number.map_or("none".to_owned(), |number| number.to_string())
}

/// A journal's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The source's namespace.
    pub namespace: String,
    /// The mapping.
    pub mapping: MappingId,
    /// The text of the mapping's file. Whoever compiles it compares its SHA-256 with the one in `mapping`.
    pub text: String,
    /// The contents of the source's metadata file, if it had one.
    pub metadata: Option<Vec<u8>>,
}

impl Header {
    /// Reads a journal's first document; the error says what is wrong with it.
    fn of(document: &[u8]) -> Result<Header, String> {
        let field = |name: &[u8]| Elements::new(document).find(name);
        let text = |value: Option<Value<'_>>| {
            value.and_then(|value| value.text()).map(|text| match std::str::from_utf8(text) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(text).into_owned(),
            })
        };
        if text(field(b"mongosplit")).as_deref() != Some("rollback journal") {
            return Err("is not a rollback journal".to_owned());
        }
        match field(b"format").and_then(|value| value.integer()) {
            Some(format) if format == i64::from(FORMAT) => {}
            format => {
                let hint = match format {
                    Some(1) => {
                        "; outputs of mongosplit 0.1 have format 1, and are read by the version that made them"
                    }
                    _ => "",
                };
                return Err(format!(
                    "has journal format {}, but this version of mongosplit reads {FORMAT}{hint}",
                    shown(format)
                ));
            }
        }
        match field(b"inverse").and_then(|value| value.integer()) {
            Some(inverse) if inverse == i64::from(INVERSE) => {}
            inverse => {
                return Err(format!(
                    "was written for inverse {}, but this version of mongosplit has {INVERSE}; use the version that made the output",
                    shown(inverse)
                ));
            }
        }
        let mapping = field(b"mapping").filter(|value| value.kind == kind::DOCUMENT);
        let of_mapping = |name: &[u8]| {
            text(mapping.and_then(|mapping| mapping.elements().find(name)))
                .ok_or_else(|| "does not name a mapping".to_owned())
        };
        let id = MappingId {
            name: of_mapping(b"name")?,
            version: of_mapping(b"version")?,
            sha256: of_mapping(b"sha256")?,
        };
        let mapping_text = of_mapping(b"text")?;
        if mapping_text.len() > MAX_MAPPING_BYTES {
            return Err(format!(
                "holds a mapping of {} bytes; at most {MAX_MAPPING_BYTES} are allowed",
                mapping_text.len()
            ));
        }
        Ok(Header {
            namespace: text(field(b"namespace"))
                .ok_or_else(|| "does not name a namespace".to_owned())?,
            mapping: id,
            text: mapping_text,
            metadata: field(b"metadata").and_then(binary).map(<[u8]>::to_vec),
        })
    }
}

/// Decodes the documents of a journal, in order.
#[derive(Debug, Default)]
struct Decoder {
    orders: Vec<Box<[u8]>>,
    validator: Validator,
}

/// Reads a journal.
#[derive(Debug)]
pub struct JournalReader<R> {
    splitter: Splitter<R>,
    batch: Batch,
    next: usize,
    decoder: Decoder,
    file: String,
}

/// The notes on one batch of source documents, read from a journal.
#[derive(Debug, Default)]
pub struct JournalBatch {
    /// The number of source documents.
    pub documents: usize,
    /// The number of documents in each target.
    pub targets: Vec<usize>,
    orders: Vec<Box<[u8]>>,
    bytes: Vec<u8>,
}

impl JournalBatch {
    /// The bytes of the notes, with those of the documents that they hold.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
    /// A reader of the notes.
    pub fn reader(&self) -> Reader<'_> {
        let (program, values) = self.parts();
        Reader::new(program, values, &self.orders)
    }
    /// The program and the array of values, with its length and NUL.
    fn parts(&self) -> (&[u8], &[u8]) {
        let field = |name: &[u8]| Elements::new(&self.bytes).find(name);
        let program = field(b"program").and_then(binary).unwrap_or_default();
        // A value of another type would hold bytes that nobody has checked.
        let values = field(b"values")
            .filter(|value| value.kind == kind::ARRAY)
            .map(|value| value.bytes)
            .unwrap_or_default();
        (program, values)
    }
}

impl Decoder {
    /// Fails if a document is too large for a journal, or not sound.
    fn check(&mut self, document: &[u8]) -> Result<(), Unreadable> {
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(Unreadable(format!(
                "it has {} bytes, but at most {MAX_DOCUMENT_BYTES} are allowed",
                document.len()
            )));
        }
        self.validator.check(document).map(drop).map_err(|fault| Unreadable(fault.to_string()))
    }

    /// Decodes a batch's bytes, which must be a sound document.
    fn decode(&mut self, batch: &mut JournalBatch) -> Result<(), &'static str> {
        let field = |name: &[u8]| Elements::new(&batch.bytes).find(name);
        let documents = field(b"documents")
            .and_then(|value| value.integer())
            .and_then(|number| usize::try_from(number).ok());
        batch.documents = documents.ok_or("a batch does not state its number of documents")?;
        batch.targets.clear();
        for count in field(b"targets")
            .filter(|value| value.kind == kind::ARRAY)
            .into_iter()
            .flat_map(|value| value.elements())
        {
            let count = count.value().integer().and_then(|number| usize::try_from(number).ok());
            batch.targets.push(count.ok_or("a batch does not state its number of documents")?);
        }
        batch.orders.clear();
        let mut order_bytes = 0;
        let orders = field(b"orders").filter(|value| value.kind == kind::ARRAY);
        for order in orders.ok_or("a batch has no field orders")?.elements() {
            let value = order.value();
            if let Some(number) = value.integer() {
                let known = usize::try_from(number).ok().and_then(|number| self.orders.get(number));
                let known = known.ok_or("a batch refers to a field order that was not given")?;
                // A batch has no more names than its documents; a reference is much smaller than what it
                // refers to.
                order_bytes += known.len();
                if order_bytes > MAX_DOCUMENT_BYTES {
                    return Err("a batch has more field orders than its documents can have");
                }
                batch.orders.push(known.clone());
                continue;
            }
            let order =
                value.text().or_else(|| binary(value)).ok_or("a field order is of another type")?;
            if order.last().is_some_and(|last| *last != 0) {
                return Err("a field order does not end with NUL");
            }
            if is_numbered(order, self.orders.len()) {
                self.orders.push(order.into());
            }
            batch.orders.push(order.into());
        }
        Ok(())
    }
}

impl<R: Read> JournalReader<R> {
    /// Reads the header. `file` names the journal in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] if it is not a journal of this format, [`Error::Document`] if its header is
    /// damaged.
    pub fn open(stream: R, file: String) -> Result<(Self, Header)> {
        let splitter = Splitter::new(stream, 0, file.clone()).with_limit(MAX_DOCUMENT_BYTES);
        let mut reader = JournalReader {
            splitter,
            batch: Batch::default(),
            next: 0,
            decoder: Decoder::default(),
            file,
        };
        let mut bytes = Vec::new();
        if !reader.next_document(&mut bytes)? {
            return Err(reader.refuse("is empty, so it is not a rollback journal"));
        }
        let header = Header::of(&bytes).map_err(|what| reader.refuse(&what))?;
        Ok((reader, header))
    }

    /// Reads the notes on the next batch. Returns false at the end.
    pub fn next(&mut self, batch: &mut JournalBatch) -> Result<bool> {
        if !self.next_document(&mut batch.bytes)? {
            return Ok(false);
        }
        self.decoder.decode(batch).map_err(|what| self.refuse(what))?;
        Ok(true)
    }

    fn next_document(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        while self.next == self.batch.ends.len() {
            self.next = 0;
            if !self.splitter.fill(&mut self.batch)? {
                return Ok(false);
            }
        }
        let document = self.batch.document(self.next);
        self.decoder
            .validator
            .check(document)
            .map_err(|fault| Error::document(self.batch.position(self.next, &self.file), fault))?;
        bytes.clear();
        bytes.extend_from_slice(document);
        self.next += 1;
        Ok(true)
    }

    fn refuse(&self, what: &str) -> Error {
        Error::Check(format!("'{}': {what}", self.file))
    }
}

// The longest journal document that one source document can need stays within bsondump's limit.
const _: () = assert!(raw::MAX_DOCUMENT_BYTES + 8 * 1024 < MAX_DOCUMENT_BYTES);
