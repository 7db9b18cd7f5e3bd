//! Finds documents of a file by a value in them. Takes at most 64 bytes of memory for each
//! document.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use smallvec::SmallVec;

use super::documents::{Checking, each_document};
use crate::base::stream::Stream;
use crate::batch::Splitter;
use crate::disk::{Disk, ReadFile, Unpacking};
use crate::error::{Error, Result};
use crate::fingerprints::fingerprint_of;
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::{self, Elements, Validator, Value, kind};

/// Three words take 24 bytes. With a u128, alignment would make it 32.
type Entry = (Fingerprint, u64);
type Fingerprint = [u64; 2];

fn halves(fingerprint: u128) -> Fingerprint {
    [(fingerprint >> 64) as u64, fingerprint as u64]
}

/// The fingerprint of a document's `_id`, or of the whole document if it has none.
pub fn id_fingerprint(document: &[u8]) -> u128 {
    let whole = Value { kind: kind::DOCUMENT, bytes: document };
    fingerprint_of(Elements::new(document).find(b"_id").unwrap_or(whole))
}

/// How a document is found in a [`Lookup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// By this fingerprint.
    By(u128),
    /// Not at all: it belongs to somebody else.
    LeftOut,
    /// It lacks the value, which is an error.
    Lacking,
}

/// Bytes that are read first: most documents are no larger, and need no second call.
const FIRST_BYTES: usize = 2048;

/// A file of documents with an index by the fingerprint of one value.
#[derive(Debug)]
pub struct Lookup {
    path: PathBuf,
    /// The number of documents in the file, indexed or not.
    documents: u64,
    /// Their size, uncompressed.
    bytes: u64,
    /// Files of others are read and never mapped into memory: if one is cut meanwhile, that is an error, and no signal
    /// that ends the process. A compressed file is read from an unpacked copy.
    source: ReadFile,
    /// The halves of a fingerprint and an offset, sorted.
    entries: Vec<Entry>,
    /// One bit for each entry, set once the entry was taken.
    taken: Vec<AtomicU64>,
}

/// A document that was not taken, by where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left(u64);

impl Lookup {
    /// Indexes a file. A compressed file is first unpacked into `scratch`. `value` returns the
    /// fingerprint by which a document is found.
    ///
    /// # Errors
    ///
    /// [`Error::Document`] if a document is invalid, [`Error::Input`] if `value` returns `None` for
    /// one.
    pub fn open(
        disk: &Disk,
        path: &Path,
        scratch: &Path,
        progress: &dyn Progress,
        value: impl Fn(&[u8]) -> Option<u128>,
    ) -> Result<Lookup> {
        Lookup::open_some(disk, path, scratch, progress, |document| {
            Ok(value(document).map_or(Indexed::Lacking, Indexed::By))
        })
    }
    /// [`Lookup::open`] for some of the documents of a file.
    ///
    /// # Errors
    ///
    /// As [`Lookup::open`], and those of `place`.
    pub fn open_some(
        disk: &Disk,
        path: &Path,
        scratch: &Path,
        progress: &dyn Progress,
        mut place: impl FnMut(&[u8]) -> Result<Indexed>,
    ) -> Result<Lookup> {
        // Opened before the first byte is read, to notice any change from then on.
        let theirs = disk.open(path)?;
        let stream = Stream::open(disk, path)?;
        let mut unpacked = match stream.is_gzip {
            false => None,
            true => Some(Unpacking::begin(scratch, 256 * 1024)?),
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut offset = 0;
        let mut input = Splitter::new(stream, 0, path.plain());
        let counts = each_document(&mut input, Checking::Validity, progress, |document| {
            if let Some(unpacked) = &mut unpacked {
                unpacked.append(document.bytes())?;
            }
            match place(document.bytes())? {
                Indexed::By(fingerprint) => entries.push((halves(fingerprint), offset)),
                Indexed::LeftOut => {}
                Indexed::Lacking => {
                    let what = format!(
                        "{} lacks the field by which documents are looked up",
                        document.position()
                    );
                    return Err(Error::input(path, what));
                }
            }
            offset += document.bytes().len() as u64;
            Ok(())
        })?;
        let source = match unpacked {
            None => theirs,
            Some(unpacked) => disk.open_unpacked(path, Arc::new(unpacked.finish()?))?,
        };
        entries.sort_unstable();
        let taken = (0..entries.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let documents = counts.documents;
        Ok(Lookup { path: path.to_owned(), documents, bytes: offset, source, entries, taken })
    }
    /// The number of documents in the file, with those that are left out.
    pub fn documents(&self) -> u64 {
        self.documents
    }
    /// The number of documents that can be found.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// The entries with this fingerprint.
    fn range(&self, fingerprint: u128) -> std::ops::Range<usize> {
        let fingerprint = halves(fingerprint);
        let from = self.entries.partition_point(|(known, _)| *known < fingerprint);
        let same = self.entries[from..].iter().take_while(|(known, _)| *known == fingerprint);
        from..from + same.count()
    }
    fn mark(&self, entry: usize) {
        self.taken[entry / 64].fetch_or(1 << (entry % 64), atomic::Ordering::Relaxed);
    }
    /// Marks the documents with this fingerprint as taken, and returns how many there are.
    pub fn mark_all(&self, fingerprint: u128) -> usize {
        let range = self.range(fingerprint);
        range.clone().for_each(|entry| self.mark(entry));
        range.len()
    }
    /// Returns the documents with this fingerprint, in the order of the file, and marks them as
    /// taken.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], and [`Error::Input`] if the file has changed.
    pub fn take(&self, fingerprint: u128) -> Result<Vec<Vec<u8>>> {
        let range = self.range(fingerprint);
        range.clone().for_each(|entry| self.mark(entry));
        self.entries[range].iter().map(|(_, offset)| self.read(*offset)).collect()
    }
    /// Returns a document with this fingerprint that was not taken yet: one that equals `like` if
    /// there is one, else the first. Marks it as taken, so that each of several documents with the
    /// same `_id` gets its own partner.
    ///
    /// # Errors
    ///
    /// As [`Lookup::take`].
    pub fn take_partner(&self, fingerprint: u128, like: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut first = None;
        for entry in self.range(fingerprint).filter(|entry| !self.is_taken(*entry)) {
            let document = self.read(self.entries[entry].1)?;
            if document == like {
                self.mark(entry);
                return Ok(Some(document));
            }
            first.get_or_insert((entry, document));
        }
        Ok(first.map(|(entry, document)| {
            self.mark(entry);
            document
        }))
    }
    fn is_taken(&self, entry: usize) -> bool {
        self.taken[entry / 64].load(atomic::Ordering::Relaxed) & 1 << (entry % 64) != 0
    }
    /// The documents that were not taken, in the order of the file.
    pub fn left(&self) -> impl Iterator<Item = Result<Vec<u8>>> {
        self.left_places().into_iter().map(|left| self.read_left(left))
    }
    /// Where the documents are that were not taken, in the order of the file.
    pub fn left_places(&self) -> Vec<Left> {
        let entries = self.entries.iter().enumerate();
        let mut left: Vec<Left> = entries
            .filter(|(entry, _)| !self.is_taken(*entry))
            .map(|(_, (_, offset))| Left(*offset))
            .collect();
        left.sort_unstable();
        left
    }
    /// A document that was not taken.
    ///
    /// # Errors
    ///
    /// As [`Lookup::take`].
    pub fn read_left(&self, left: Left) -> Result<Vec<u8>> {
        self.read(left.0)
    }
    /// Two documents with the same value, if there are any, in the order of the file.
    ///
    /// # Errors
    ///
    /// As [`Lookup::take`].
    pub fn duplicate(&self) -> Result<Option<[Vec<u8>; 2]>> {
        let pair = self.entries.windows(2).find(|pair| pair[0].0 == pair[1].0);
        pair.map(|pair| Ok([self.read(pair[0].1)?, self.read(pair[1].1)?])).transpose()
    }
    /// Reads a document, and checks it again, as the file may have been rewritten since.
    fn read(&self, offset: u64) -> Result<Vec<u8>> {
        let there = usize::try_from(self.bytes - offset).unwrap_or(usize::MAX);
        let mut document = vec![0; FIRST_BYTES.min(there)];
        self.source.read_exact_at(&mut document, offset)?;
        let length = document.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
        let length = length as usize;
        let is_possible = length <= there && length <= raw::MAX_DOCUMENT_BYTES;
        let first = document.len();
        if is_possible {
            document.resize(length, 0);
            if length > first {
                self.source.read_exact_at(&mut document[first..], offset + first as u64)?;
            }
        }
        match is_possible && Validator::default().check(&document).is_ok() {
            true => Ok(document),
            false => Err(Error::input(
                &self.path,
                "changed while it was read; run again once nothing writes to it",
            )),
        }
    }
    /// Fails if the file has changed since it was indexed. An unpacked copy is ours; its file was
    /// checked when it was indexed.
    pub fn check_unchanged(&self) -> Result<()> {
        self.source.check_unchanged()
    }
}

/// The first bytes of an `_id`, by which documents are sorted without keeping them. Only larger
/// ones are read again to compare them.
#[derive(Debug)]
pub struct IdPrefix {
    bytes: SmallVec<[u8; IdPrefix::BYTES]>,
    kind: Option<u8>,
    is_cut: bool,
}

impl IdPrefix {
    const BYTES: usize = 24;

    /// The prefix of a document's `_id`.
    pub fn of(document: &[u8]) -> IdPrefix {
        let id = Elements::new(document).find(b"_id");
        let bytes = id.map_or(&[][..], |id| id.bytes);
        IdPrefix {
            bytes: SmallVec::from_slice(&bytes[..bytes.len().min(IdPrefix::BYTES)]),
            kind: id.map(|id| id.kind),
            is_cut: bytes.len() > IdPrefix::BYTES,
        }
    }
    /// The order of two `_id`s by their bytes, then types; none is first. `None` if the prefixes do
    /// not decide it.
    pub fn compare(&self, other: &IdPrefix) -> Option<Ordering> {
        match (self.kind.is_some().cmp(&other.kind.is_some()), self.bytes.cmp(&other.bytes)) {
            (Ordering::Equal, Ordering::Equal) if self.is_cut && other.is_cut => None,
            // A shorter one is a prefix of the other.
            (Ordering::Equal, Ordering::Equal) if self.is_cut != other.is_cut => {
                Some(self.is_cut.cmp(&other.is_cut))
            }
            (Ordering::Equal, Ordering::Equal) => Some(self.kind.cmp(&other.kind)),
            (Ordering::Equal, order) | (order, _) => Some(order),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    /// A document with an `_id` of one byte, and text that makes it large.
    fn document(id: u8, size: usize) -> Vec<u8> {
        let text = vec![b'x'; size];
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(b"\x10_id\0");
        bytes.extend_from_slice(&u32::from(id).to_le_bytes());
        bytes.extend_from_slice(b"\x02t\0");
        bytes.extend_from_slice(&(size as u32 + 1).to_le_bytes());
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(&[0, 0]);
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }
    fn open(path: &Path, scratch: &Path) -> Lookup {
        let value = |document: &[u8]| Some(id_fingerprint(document));
        Lookup::open(&Disk::default(), path, scratch, &Silent, value).expect("a lookup")
    }

    #[test]
    fn documents_are_found_in_plain_and_compressed_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let documents = [document(1, 3), document(2, 10 * FIRST_BYTES), document(3, FIRST_BYTES)];
        let bytes = documents.concat();
        let plain = directory.path().join("plain.bson");
        std::fs::write(&plain, &bytes).expect("a file");
        let packed = directory.path().join("packed.bson.gz");
        std::fs::write(&packed, crate::gzip::compress(&bytes, 1)).expect("a file");
        for path in [plain, packed] {
            let lookup = open(&path, directory.path());
            let found = lookup.take(id_fingerprint(&documents[1])).expect("a document");
            assert_eq!(found, [documents[1].clone()]);
            let left: Result<Vec<_>> = lookup.left().collect();
            assert_eq!(left.expect("the others"), [documents[0].clone(), documents[2].clone()]);
            // Nothing has a name in the scratch directory.
            assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 2);
        }
    }

    /// Under a memory map, this was SIGBUS.
    #[test]
    fn a_file_that_is_cut_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("cut.bson");
        let documents = [document(1, 9000), document(2, 9000)];
        std::fs::write(&path, documents.concat()).expect("a file");
        let lookup = open(&path, directory.path());
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
        file.set_len(5000).expect("cut");
        for document in &documents {
            let error = lookup.take(id_fingerprint(document)).expect_err("it is cut");
            assert!(error.to_string().contains("changed while it was read"), "{error}");
            assert_eq!(error.exit_code(), 3);
        }
        lookup.check_unchanged().expect_err("it is cut");
    }

    #[test]
    fn long_ids_are_sorted_by_all_their_bytes() {
        let id = |text: &str| {
            let mut bytes = vec![0; 4];
            bytes.extend_from_slice(b"\x02_id\0");
            bytes.extend_from_slice(&(text.len() as u32 + 1).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(&[0, 0]);
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            IdPrefix::of(&bytes)
        };
        let long = "a".repeat(40);
        assert_eq!(id("a").compare(&id("b")), Some(Ordering::Less));
        assert_eq!(id(&long).compare(&id(&long)), None);
        assert_eq!(IdPrefix::of(&document(1, 3)).compare(&id("a")), Some(Ordering::Less));
    }
}
