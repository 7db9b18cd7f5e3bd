//! Documents of a collection, wherever they are stored: in batches, or one by one in the one loop that checks them, knows where
//! they are, shows progress and can be interrupted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::archive_format as archive;
use super::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::error::{Error, Position, Result};
use crate::progress::Progress;
use crate::raw::Validator;

/// Bytes of other collections that may wait until they are asked for. An archive of this tool's own alternates
/// with every batch of source documents, so that this is far from reached.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// Something that gives documents in batches.
pub trait Batches {
    /// Fills the batch with what comes next. False at the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool>;
    /// The input, as errors name it.
    fn file(&self) -> &str;
    /// Bytes of the file that have been read.
    fn file_bytes_read(&self) -> u64;
    /// Fails where the file has been changed since it was opened.
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

/// What is looked at in each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checking {
    /// Its length alone.
    Framing,
    /// All of it.
    Validity,
}

/// How many documents there were, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents.
    pub documents: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
}

/// A document, and where it is.
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
    /// Where it is.
    pub fn position(&self) -> Position {
        self.batch.position(self.index, self.file)
    }
}

/// Gives each document of an input to `each`, in order.
///
/// Fails at the first document that is not sound, at a signal, and if the file was changed meanwhile.
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

/// The documents of a file, of which no more is wanted than their number.
pub fn count(disk: &Disk, path: &Path, progress: &dyn Progress) -> Result<Counts> {
    each_document(&mut Splitter::open(disk, path)?, Checking::Framing, progress, |_| Ok(()))
}

/// The documents of one collection: of a file, or a share of an archive.
#[derive(Debug)]
pub enum Documents {
    /// A file of its own.
    File(Splitter<Stream>),
    /// One of the collections that share an archive.
    Share {
        /// All of them.
        shares: Arc<Mutex<Shares>>,
        /// The number of this one.
        number: usize,
        /// The archive and the namespace, as errors name them.
        file: String,
    },
}

impl Batches for Documents {
    /// The end of a share of an archive is the whole archive's.
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

fn locked(shares: &Mutex<Shares>) -> MutexGuard<'_, Shares> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some collections of an archive, read in one pass.
#[derive(Debug)]
pub struct Shares {
    reader: archive::Reader<Stream>,
    /// For each namespace of the archive the share that it is.
    numbers: Vec<Option<usize>>,
    waiting: Vec<VecDeque<Batch>>,
    waiting_bytes: usize,
    /// How many documents of each share have been read.
    documents: Vec<u64>,
    is_at_end: bool,
}

impl Shares {
    /// The collections of these namespaces, in their order; their checksums are checked.
    pub fn open(
        mut reader: archive::Reader<Stream>,
        namespaces: &[&str],
    ) -> Result<Vec<Documents>> {
        let file = reader.file().to_owned();
        let named: Vec<String> =
            reader.prelude().entries.iter().map(archive::Entry::namespace).collect();
        for namespace in namespaces {
            let number = named.iter().position(|name| name == namespace);
            reader.check(
                number.ok_or_else(|| {
                    Error::Check(format!("'{}' has no {namespace}", reader.file()))
                })?,
            );
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
            if self.waiting_bytes > MOST_WAITING {
                return Err(Error::Check(format!(
                    "'{}' is no archive of mongosplit: its collections do not alternate",
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
