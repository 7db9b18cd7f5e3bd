//! Reads the documents of a collection, from a file or an archive: in batches, or one by one. The
//! loop over single documents checks them, knows their positions, shows progress and can be
//! interrupted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::archive_format as archive;
use super::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::disk::{Disk, locked};
use crate::error::{Error, Position, Result};
use crate::progress::Progress;
use crate::raw::Validator;

/// Most bytes of other collections that may wait until they are read. In an archive by mongosplit
/// the collections alternate with every batch of source documents, so it stays far below this.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// A source of documents in batches.
pub trait Batches {
    /// Fills the batch with the next documents. Returns false at the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool>;
    /// The name of the input in errors.
    fn file(&self) -> &str;
    /// The number of stored bytes that have been read.
    fn file_bytes_read(&self) -> u64;
    /// Fails if the file has changed since it was opened.
    fn check_unchanged(&self) -> Result<()>;
}

impl Batches for Splitter<Stream> {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        Splitter::fill(self, batch)
    }
    fn file(&self) -> &str {
        Splitter::file(self)
    }
    fn file_bytes_read(&self) -> u64 {
        self.stream().file_bytes_read()
    }
    fn check_unchanged(&self) -> Result<()> {
        self.stream().check_unchanged()
    }
}

/// What to check of each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checking {
    /// Only its length.
    Framing,
    /// Everything.
    Validity,
}

/// A number of documents, and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of documents.
    pub documents: u64,
    /// Their size in bytes, uncompressed.
    pub bytes: u64,
}

/// A document with its position.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    batch: &'a Batch,
    index: usize,
    file: &'a str,
}

impl<'a> Located<'a> {
    /// The document's bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.batch.document(self.index)
    }
    /// Its position in the input.
    pub fn position(&self) -> Position {
        self.batch.position(self.index, self.file)
    }
}

/// Calls `each` for every document of an input, in order.
///
/// # Errors
///
/// [`Error::Document`] at the first invalid document, [`Error::Interrupted`] after a signal, and
/// [`Error::Input`] if the file has changed meanwhile.
pub fn each_document(
    input: &mut dyn Batches,
    checking: Checking,
    progress: &dyn Progress,
    mut each: impl FnMut(Located<'_>) -> Result<()>,
) -> Result<Counts> {
    let mut batch = Batch::default();
    let mut validator = Validator::default();
    let mut counts = Counts::default();
    while input.fill(&mut batch)? {
        progress.check()?;
        for index in 0..batch.ends.len() {
            let document = Located { batch: &batch, index, file: input.file() };
            if checking == Checking::Validity {
                validator
                    .check(document.bytes())
                    .map_err(|fault| Error::document(document.position(), fault))?;
            }
            counts.documents += 1;
            counts.bytes += document.bytes().len() as u64;
            each(document)?;
        }
        progress.advance(counts.documents, input.file_bytes_read());
    }
    input.check_unchanged()?;
    Ok(counts)
}

/// Counts the documents of a file, checking only their lengths.
pub fn count(disk: &Disk, path: &Path, progress: &dyn Progress) -> Result<Counts> {
    each_document(&mut Splitter::open(disk, path)?, Checking::Framing, progress, |_| Ok(()))
}

/// The documents of one collection, in a file or an archive.
#[derive(Debug)]
pub enum Documents {
    /// The documents of a file.
    File(Splitter<Stream>),
    /// The documents of one collection in an archive.
    Share {
        /// All collections that are read from the archive.
        shares: Arc<Mutex<Shares>>,
        /// The number of this one.
        number: usize,
        /// The archive and the namespace, for errors.
        file: String,
    },
}

impl Batches for Documents {
    /// For an archive, returns false only at the end of the whole archive.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        match self {
            Documents::File(splitter) => splitter.fill(batch),
            Documents::Share { shares, number, .. } => locked(shares).fill(*number, batch),
        }
    }
    fn file(&self) -> &str {
        match self {
            Documents::File(splitter) => splitter.file(),
            Documents::Share { file, .. } => file,
        }
    }
    fn file_bytes_read(&self) -> u64 {
        match self {
            Documents::File(splitter) => splitter.stream().file_bytes_read(),
            Documents::Share { shares, .. } => locked(shares).reader.stream().file_bytes_read(),
        }
    }
    fn check_unchanged(&self) -> Result<()> {
        match self {
            Documents::File(splitter) => splitter.stream().check_unchanged(),
            Documents::Share { shares, .. } => locked(shares).reader.stream().check_unchanged(),
        }
    }
}

/// Some collections of an archive, read in one pass.
#[derive(Debug)]
pub struct Shares {
    reader: archive::Reader<Stream>,
    /// For each namespace of the archive, the number of its share if it is read.
    numbers: Vec<Option<usize>>,
    waiting: Vec<VecDeque<Batch>>,
    waiting_bytes: usize,
    /// How many documents of each share have been read.
    documents: Vec<u64>,
    is_at_end: bool,
}

impl Shares {
    /// Opens these collections of an archive, and returns one reader for each, in the same order.
    /// Their checksums are checked.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] if the archive does not contain one of the namespaces.
    pub fn open(
        mut reader: archive::Reader<Stream>,
        namespaces: &[&str],
    ) -> Result<Vec<Documents>> {
        let file = reader.file().to_owned();
        let named: Vec<String> =
            reader.prelude().entries.iter().map(|entry| entry.namespace()).collect();
        for namespace in namespaces {
            let number = named.iter().position(|name| name == namespace);
            reader.check(number.ok_or_else(|| {
                Error::Check(format!("'{}' does not contain {namespace}", reader.file()))
            })?);
        }
        let numbers = named
            .iter()
            .map(|name| namespaces.iter().position(|namespace| namespace == name))
            .collect();
        let waiting = namespaces.iter().map(|_| VecDeque::new()).collect();
        let shares = Arc::new(Mutex::new(Shares {
            reader,
            numbers,
            waiting,
            waiting_bytes: 0,
            documents: vec![0; namespaces.len()],
            is_at_end: false,
        }));
        let share = |(number, namespace): (usize, &&str)| Documents::Share {
            shares: Arc::clone(&shares),
            number,
            file: format!("{file}, {namespace}"),
        };
        Ok(namespaces.iter().enumerate().map(share).collect())
    }

    fn fill(&mut self, number: usize, batch: &mut Batch) -> Result<bool> {
        if let Some(next) = self.waiting[number].pop_front() {
            self.waiting_bytes -= next.bytes.len();
            *batch = next;
            return Ok(true);
        }
        batch.restart(number, self.documents[number], 0);
        while !self.is_at_end {
            let Some(document) = self.reader.next_document()? else {
                self.is_at_end = true;
                break;
            };
            let Some(of) = self.numbers[document.namespace] else { continue };
            self.documents[of] += 1;
            if of == number && batch.has_room(document.bytes.len()) {
                batch.push_from(document.bytes, document.offset);
                continue;
            }
            let queue = &mut self.waiting[of];
            if queue.back().is_none_or(|last| !last.has_room(document.bytes.len())) {
                let mut new = Batch::default();
                new.restart(of, self.documents[of] - 1, 0);
                queue.push_back(new);
            }
            if let Some(last) = queue.back_mut() {
                last.push_from(document.bytes, document.offset);
            }
            self.waiting_bytes += document.bytes.len();
            if self.waiting_bytes > MAX_WAITING_BYTES {
                return Err(Error::Check(format!(
                    "'{}' is not an archive of mongosplit: its collections do not alternate",
                    self.reader.file()
                )));
            }
            if !batch.ends.is_empty() {
                break;
            }
        }
        Ok(!batch.ends.is_empty())
    }
}
