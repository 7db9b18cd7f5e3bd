//! How large the journal is, and what makes it so.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::journal::{JournalWriter, Misfit, Reader};
use crate::mapping::{KeptWhat, Mapped, Plan};
use crate::raw::Writer;

/// More causes than this are counted as one.
const MOST_CAUSES: usize = 1000;

/// What the journal keeps.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Journal {
    /// Its bytes, without its header.
    pub bytes: u64,
    /// Its share of the source's bytes, in percent.
    pub percent: f64,
    /// What it holds, the largest part first.
    pub causes: Vec<Cause>,
}

/// A part of the journal.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Cause {
    /// The field; empty for whole documents, field orders and what is not told apart.
    pub path: String,
    /// What is kept of it.
    pub what: &'static str,
    /// How often: once for each document, or for each item.
    pub times: u64,
    /// The bytes.
    pub bytes: u64,
}

/// Writes the journal without keeping it, and reads what is in it.
pub(super) struct Measure<'p> {
    plan: &'p Plan,
    writer: JournalWriter,
    buffer: Vec<u8>,
    bytes: u64,
    causes: BTreeMap<(KeptWhat, String), Amount>,
    others: Amount,
    order_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Amount {
    times: u64,
    bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.times += 1;
        self.bytes += bytes as u64;
    }
}

impl<'p> Measure<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        Measure {
            plan,
            writer: JournalWriter::default(),
            buffer: Vec::new(),
            bytes: 0,
            causes: BTreeMap::new(),
            others: Amount::default(),
            order_bytes: 0,
        }
    }

    /// Begins the journal of another source.
    pub fn begin(&mut self) {
        self.writer = JournalWriter::default();
    }

    pub fn batch(&mut self, batch: &Batch, mapped: &Mapped) -> Result<()> {
        let notes = &mapped.notes;
        self.buffer.clear();
        let written =
            self.writer.write_batch(batch.ends.len(), &mapped.counts, notes, &mut self.buffer);
        written.map_err(|why| broken(&why.to_string()))?;
        let size = self.buffer.len();
        self.bytes += size as u64;
        self.order_bytes +=
            size.saturating_sub(notes.program().len() + notes.values().len()) as u64;
        self.buffer.clear();
        let open = self.buffer.open();
        self.buffer.put(notes.values());
        self.buffer.close(open);
        let mut reader = Reader::new(notes.program(), &self.buffer, notes.orders());
        let causes = &mut self.causes;
        let others = &mut self.others;
        for document in batch.documents() {
            let mut each = |kept: crate::mapping::Kept<'_>| {
                let path = if kept.what == KeptWhat::Order { "" } else { kept.path };
                let key = (kept.what, path.to_owned());
                match causes.len() < MOST_CAUSES || causes.contains_key(&key) {
                    true => causes.entry(key).or_default().add(kept.bytes),
                    false => others.add(kept.bytes),
                }
            };
            self.plan.kept(&mut reader, document, &mut each).map_err(|Misfit(why)| broken(why))?;
        }
        Ok(())
    }

    pub fn journal(self, source_bytes: u64) -> Journal {
        let cause = |((what, path), amount): ((KeptWhat, String), Amount)| Cause {
            path,
            what: match what {
                KeptWhat::Order => "field orders, and the structure of the journal",
                other => other.text(),
            },
            times: amount.times,
            bytes: amount.bytes + if what == KeptWhat::Order { self.order_bytes } else { 0 },
        };
        let mut causes: Vec<Cause> = self.causes.into_iter().map(cause).collect();
        if self.others.times > 0 {
            let Amount { times, bytes } = self.others;
            causes.push(Cause { path: String::new(), what: "other fields", times, bytes });
        }
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.bytes));
        let percent = match source_bytes {
            0 => 0.0,
            all => (self.bytes as f64 / all as f64 * 10_000.0).round() / 100.0,
        };
        Journal { bytes: self.bytes, percent, causes }
    }
}

/// The notes cannot be read back: a bug, which the engine's own proof should have found.
fn broken(why: &str) -> Error {
    Error::Check(format!("the journal cannot be read back: {why}; please report this"))
}
