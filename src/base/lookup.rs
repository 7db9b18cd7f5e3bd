//! Finds documents of a file by a value in them. Takes at most 64 bytes of memory for each
//! document.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::documents::{Checking, each_document};
use crate::base::mmap::Mapped;
use crate::base::stream::{Stream, head};
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::error::{Error, IoContext, Result};
use crate::fingerprints::fingerprint_of;
use crate::progress::Progress;
use crate::raw::{self, Elements, Value, kind};

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

/// A file of documents with an index by the fingerprint of one value.
#[derive(Debug)]
pub struct Lookup {
    /// The number of documents in the file, indexed or not.
    documents: u64,
    map: Mapped,
    /// The halves of a fingerprint and an offset, sorted.
    entries: Vec<Entry>,
    /// One bit for each entry, set once the entry was taken.
    taken: Vec<AtomicU64>,
    /// The unpacked copy of a compressed file, removed when it is dropped.
    _unpacked: Option<tempfile::TempPath>,
}

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
        let (unpacked, file) = unpack(disk, path, scratch)?;
        let map = Mapped::open(disk, &file)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut offset = 0;
        let mut input = Splitter::new(Stream::open(disk, &file)?, 0, path.display().to_string());
        let counts = each_document(&mut input, Checking::Validity, progress, |document| {
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
        entries.sort_unstable();
        let taken = (0..entries.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Lookup { documents: counts.documents, map, entries, taken, _unpacked: unpacked })
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
    /// Returns the documents with this fingerprint, in the order of the file, and marks them as
    /// taken.
    pub fn take(&self, fingerprint: u128) -> impl Iterator<Item = &[u8]> {
        let fingerprint = halves(fingerprint);
        let from = self.entries.partition_point(|(known, _)| *known < fingerprint);
        let count =
            self.entries[from..].iter().take_while(|(known, _)| *known == fingerprint).count();
        for entry in from..from + count {
            self.taken[entry / 64].fetch_or(1 << (entry % 64), Ordering::Relaxed);
        }
        let map = &self.map;
        self.entries[from..from + count].iter().map(move |(_, offset)| document_at(map, *offset))
    }
    /// Returns a document with this fingerprint that was not taken yet: one that equals `like` if
    /// there is one, else the first. Marks it as taken, so that each of several documents with the
    /// same `_id` gets its own partner.
    pub fn take_partner(&self, fingerprint: u128, like: &[u8]) -> Option<&[u8]> {
        let fingerprint = halves(fingerprint);
        let from = self.entries.partition_point(|(known, _)| *known < fingerprint);
        let same =
            self.entries[from..].iter().take_while(|(known, _)| *known == fingerprint).enumerate();
        let mut free = same
            .map(|(index, (_, offset))| (from + index, document_at(&self.map, *offset)))
            .filter(|(entry, _)| !self.is_taken(*entry));
        let first = free.next()?;
        let (entry, document) = if first.1 == like {
            first
        } else {
            free.find(|(_, document)| *document == like).unwrap_or(first)
        };
        self.taken[entry / 64].fetch_or(1 << (entry % 64), Ordering::Relaxed);
        Some(document)
    }
    fn is_taken(&self, entry: usize) -> bool {
        self.taken[entry / 64].load(Ordering::Relaxed) & 1 << (entry % 64) != 0
    }
    /// The documents that were not taken, in the order of the file.
    pub fn left(&self) -> impl Iterator<Item = &[u8]> {
        let mut offsets: Vec<u64> = Vec::new();
        for (entry, (_, offset)) in self.entries.iter().enumerate() {
            if !self.is_taken(entry) {
                offsets.push(*offset);
            }
        }
        offsets.sort_unstable();
        offsets.into_iter().map(|offset| document_at(&self.map, offset))
    }
    /// A document with the same value as an earlier one, if there is one.
    pub fn duplicate(&self) -> Option<&[u8]> {
        let pair = self.entries.windows(2).find(|pair| pair[0].0 == pair[1].0)?;
        Some(document_at(&self.map, pair[1].1))
    }
    /// Fails if the file has changed since it was indexed.
    pub fn check_unchanged(&self) -> Result<()> {
        self.map.check_unchanged()
    }
}

fn document_at(map: &[u8], offset: u64) -> &[u8] {
    let rest = &map[(offset as usize).min(map.len())..];
    let length = rest.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    &rest[..length.min(rest.len()).max(raw::MIN_DOCUMENT_BYTES.min(rest.len()))]
}

fn unpack(
    disk: &Disk,
    path: &Path,
    scratch: &Path,
) -> Result<(Option<tempfile::TempPath>, PathBuf)> {
    if head(disk, path, 2)? != crate::gzip::MAGIC {
        return Ok((None, path.to_owned()));
    }
    let mut file = tempfile::NamedTempFile::new_in(scratch).writing("create a file in", scratch)?;
    std::io::copy(&mut Stream::open(disk, path)?, &mut file).writing("unpack into", scratch)?;
    let path = file.into_temp_path();
    let place = path.to_path_buf();
    Ok((Some(path), place))
}
