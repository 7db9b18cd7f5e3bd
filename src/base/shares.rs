//! Documents of a collection in batches, wherever they are stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::archive_format as archive;
use super::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::error::{Error, Result};

/// Bytes of other collections that may wait until they are asked for. An archive of this tool's own alternates
/// with every batch of source documents, so that this is far from reached.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// The documents of one collection: of a file, or a share of an archive.
#[derive(Debug)]
pub enum Documents {
    /// A file of its own.
    File(Splitter<Stream>),
    /// One of the collections that share an archive, by its number.
    Share(Arc<Mutex<Shares>>, usize),
}

impl Documents {
    /// Fills the batch with what comes next. False at the end; that of an archive is the whole archive's.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        match self {
            Documents::File(splitter) => splitter.fill(batch),
            Documents::Share(shares, number) => shares.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).fill(*number, batch),
        }
    }
    /// Fails where the file has been changed since it was opened.
    pub fn check_unchanged(&self) -> Result<()> {
        match self {
            Documents::File(splitter) => splitter.stream().check_unchanged(),
            Documents::Share(shares, _) => shares.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).reader.stream().check_unchanged(),
        }
    }
}

/// Some collections of an archive, read in one pass.
#[derive(Debug)]
pub struct Shares {
    reader: archive::Reader<Stream>,
    /// For each namespace of the archive the share that it is.
    numbers: Vec<Option<usize>>,
    waiting: Vec<VecDeque<Batch>>,
    waiting_bytes: usize,
    is_at_end: bool,
}

impl Shares {
    /// The collections of these namespaces, in their order; their checksums are checked.
    pub fn open(mut reader: archive::Reader<Stream>, namespaces: &[&str]) -> Result<Vec<Documents>> {
        let named: Vec<String> = reader.prelude().entries.iter().map(archive::Entry::namespace).collect();
        for namespace in namespaces {
            let number = named.iter().position(|name| name == namespace);
            reader.check(number.ok_or_else(|| Error::Check(format!("'{}' has no {namespace}", reader.file())))?);
        }
        let numbers = named.iter().map(|name| namespaces.iter().position(|namespace| namespace == name)).collect();
        let waiting = namespaces.iter().map(|_| VecDeque::new()).collect();
        let shares = Arc::new(Mutex::new(Shares { reader, numbers, waiting, waiting_bytes: 0, is_at_end: false }));
        Ok((0..namespaces.len()).map(|number| Documents::Share(Arc::clone(&shares), number)).collect())
    }

    fn fill(&mut self, number: usize, batch: &mut Batch) -> Result<bool> {
        if let Some(next) = self.waiting[number].pop_front() {
            self.waiting_bytes -= next.bytes.len();
            *batch = next;
            return Ok(true);
        }
        batch.restart(number, 0, 0);
        while !self.is_at_end {
            let Some(document) = self.reader.next_document()? else {
                self.is_at_end = true;
                break;
            };
            let Some(of) = self.numbers[document.namespace] else { continue };
            if of == number && batch.has_room(document.bytes.len()) {
                batch.push_from(document.bytes, document.offset);
                continue;
            }
            let queue = &mut self.waiting[of];
            if queue.back().is_none_or(|last| !last.has_room(document.bytes.len())) {
                let mut new = Batch::default();
                new.restart(of, 0, 0);
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
