//! All documents of a dump, in one pass: file after file, or the collections of an archive as they
//! come.

use crate::base::archive_format::Reader;
use crate::base::documents::Batches;
use crate::base::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::dump::Dump;
use crate::error::{Error, Result};

/// What is read one after the other, or from an archive.
pub(super) struct Reading<'d> {
    disk: &'d Disk,
    input: Input<'d>,
    /// What could not be read. The collections behind it are read all the same.
    pub damages: Vec<Error>,
    /// Bytes of the files that have been read.
    bytes_before: u64,
}

enum Input<'d> {
    Files {
        /// The files that are still to be read, last first, each with its collection's number.
        rest: Vec<(usize, &'d std::path::Path)>,
        current: Option<(usize, Splitter<Stream>)>,
    },
    Archive(Box<Archive>),
}

struct Archive {
    reader: Reader<Stream>,
    /// Documents and bytes of each collection so far.
    before: Vec<(u64, u64)>,
    is_at_end: bool,
    /// A document that did not fit into the last batch.
    carried: Option<Carried>,
}

struct Carried {
    number: usize,
    offset: u64,
    bytes: Vec<u8>,
}

impl<'d> Reading<'d> {
    /// A dump's files, or the archive that it is.
    pub fn new(disk: &'d Disk, dump: &'d Dump, archive: Option<Reader<Stream>>) -> Self {
        let input = match archive {
            Some(mut reader) => {
                reader.check_all_and_continue();
                let before = vec![(0, 0); reader.prelude().entries.len()];
                Input::Archive(Box::new(Archive {
                    reader,
                    before,
                    is_at_end: false,
                    carried: None,
                }))
            }
            None => {
                let files = dump.collections.iter().enumerate().rev();
                let path = |(number, collection): (usize, &'d crate::dump::Collection)| {
                    Some((number, collection.documents.as_deref()?))
                };
                Input::Files { rest: files.filter_map(path).collect(), current: None }
            }
        };
        Reading { disk, input, damages: Vec::new(), bytes_before: 0 }
    }

    /// The bytes of all files, as stored.
    pub fn total(&self) -> Option<u64> {
        match &self.input {
            Input::Archive(archive) => archive.reader.stream().total(),
            Input::Files { rest, .. } => {
                let size = |(_, path): &(usize, &std::path::Path)| {
                    std::fs::metadata(path).ok().map(|metadata| metadata.len())
                };
                rest.iter().map(size).sum()
            }
        }
    }

    /// How many bytes have been read, as stored.
    pub fn file_bytes_read(&self) -> u64 {
        let current = match &self.input {
            Input::Archive(archive) => archive.reader.stream().file_bytes_read(),
            Input::Files { current, .. } => {
                current.as_ref().map_or(0, |(_, splitter)| splitter.file_bytes_read())
            }
        };
        self.bytes_before + current
    }

    /// The archive, once it has been read.
    pub fn archive(&self) -> Option<&Reader<Stream>> {
        match &self.input {
            Input::Archive(archive) => Some(&archive.reader),
            Input::Files { .. } => None,
        }
    }

    /// Fills a batch with documents of one collection, whose number is the batch's source. False at
    /// the end. What cannot be read is in [`damages`](Reading::damages).
    pub fn fill(&mut self, batch: &mut Batch) -> bool {
        match &mut self.input {
            Input::Archive(archive) => match archive.fill(batch) {
                Ok(more) => more,
                Err(error) => {
                    archive.is_at_end = true;
                    self.damages.push(error);
                    !batch.ends.is_empty()
                }
            },
            Input::Files { rest, current } => loop {
                if current.is_none() {
                    let Some((number, path)) = rest.pop() else { return false };
                    match Splitter::open(self.disk, path) {
                        Ok(splitter) => *current = Some((number, splitter)),
                        Err(error) => {
                            self.damages.push(error);
                            continue;
                        }
                    }
                }
                let Some((number, splitter)) = current else { return false };
                let filled = splitter.fill(batch).and_then(|more| {
                    if !more {
                        splitter.stream().check_unchanged()?;
                    }
                    Ok(more)
                });
                match filled {
                    Ok(true) => {
                        batch.source = *number;
                        return true;
                    }
                    ended => {
                        self.damages.extend(ended.err());
                        self.bytes_before += splitter.file_bytes_read();
                        *current = None;
                    }
                }
            },
        }
    }
}

impl Archive {
    /// A batch ends where the archive goes on to another collection.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.restart(0, 0, 0);
        if let Some(Carried { number, offset, bytes }) = self.carried.take() {
            put(&mut self.before, batch, number, offset, &bytes);
        }
        while !self.is_at_end {
            let Some(document) = self.reader.next_document()? else {
                self.is_at_end = true;
                self.reader.stream().check_unchanged()?;
                break;
            };
            let (number, offset, bytes) = (document.namespace, document.offset, document.bytes);
            let fits = batch.source == number && batch.has_room(bytes.len());
            if !batch.ends.is_empty() && !fits {
                self.carried = Some(Carried { number, offset, bytes: bytes.to_vec() });
                break;
            }
            put(&mut self.before, batch, number, offset, bytes);
        }
        Ok(!batch.ends.is_empty())
    }
}

/// Adds a document of a collection to a batch, which is empty or of that collection. `before` has
/// the documents and bytes of each collection so far.
fn put(before: &mut [(u64, u64)], batch: &mut Batch, number: usize, offset: u64, bytes: &[u8]) {
    let (documents, size) = &mut before[number];
    if batch.ends.is_empty() {
        batch.restart(number, *documents, *size);
    }
    batch.push_from(bytes, offset);
    *documents += 1;
    *size += bytes.len() as u64;
}
