//! What several targets share: documents that the mapping has something to do with, made of the fuzzer's bytes, and
//! the laws that hold of every document.
#![allow(dead_code)]

#[path = "../../../tests/harness/data/mod.rs"]
pub mod data;

use std::io::Read;
use std::sync::LazyLock;

use data::documents::{self, DATES};
use data::{element, framed, string};
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};
use mongosplit::raw::Validator;

/// The built-in mapping.
pub static BUILT_IN: LazyLock<Plan> = LazyLock::new(|| Plan::built_in().unwrap());

/// All words in the quoted texts of the built-in mapping: names, and the values that it asks for or translates.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mapping = include_str!("../../../mappings/user_data.toml");
    let rows = mapping.lines().filter(|line| !line.starts_with('#'));
    let texts = rows.flat_map(|row| row.split('"').skip(1).step_by(2));
    let mut words: Vec<&str> = texts
        .flat_map(|text| text.split(|char: char| !char.is_alphanumeric() && char != '_'))
        .collect();
    words.sort_unstable();
    words.dedup();
    words.extend(["transformation_history", "data_schema"].repeat(8));
    words
});

/// Names of fields of random mappings, those of documents and arrays more often.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut names = documents::LOOSE.to_vec();
    names.extend(documents::ITEM_NAMES);
    for all in [&documents::EMBEDDED[..], &documents::ARRAYS, &documents::MAPS, &documents::BELOW] {
        names.extend(all.repeat(4));
    }
    names.extend(["secret", "hidden", "hush"]);
    names
});

/// The fuzzer's bytes, read as decisions. Behind their end all are 0.
pub struct Tape<'a>(pub &'a [u8], &'static [&'static str]);

impl<'a> Tape<'a> {
    /// For documents of the built-in mapping.
    pub fn new(bytes: &'a [u8]) -> Self {
        Tape(bytes, &WORDS)
    }
    /// For documents of random mappings.
    pub fn of_any(bytes: &'a [u8]) -> Self {
        Tape(bytes, &NAMES)
    }
}

impl Tape<'_> {
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn name(&mut self) -> Vec<u8> {
        let number = usize::from(self.byte());
        match self.1.get(number) {
            Some(word) => word.as_bytes().to_vec(),
            None if number > 250 => {
                let mut name = self.bytes(number - 250);
                name.retain(|byte| *byte != 0);
                name
            }
            None => documents::KNOWN[number % documents::KNOWN.len()].into(),
        }
    }
    fn text(&mut self) -> Vec<u8> {
        match self.byte() {
            0 => Vec::new(),
            number @ 1..=8 => DATES[usize::from(number) - 1].into(),
            number @ 9..=24 => self.bytes(usize::from(number) - 8),
            // A date with other digits somewhere.
            number @ 25..=40 => {
                let mut text = DATES[usize::from(number) % 8].as_bytes().to_vec();
                let at = self.below(text.len());
                text[at] = self.byte();
                text
            }
            number => WORDS[usize::from(number) % WORDS.len()].into(),
        }
    }
    /// A value, nested at most `depth` levels more.
    fn value(&mut self, depth: usize) -> (u8, Vec<u8>) {
        let number = usize::from(self.byte());
        // The types that rules convert come up more often.
        let kind = *documents::KINDS.get(number).unwrap_or(&[2, 3, 4, 9, 10, 16][number % 6]);
        let kind = if depth == 0 && matches!(kind, 3 | 4 | 15) { 10 } else { kind };
        let value = match kind {
            2 | 13 | 14 => string(&self.text()),
            3 => framed(&self.elements(depth - 1)),
            4 => self.array(depth - 1),
            5 => {
                let content = self.bytes(number % 20);
                let subtype = if content.first() == Some(&2) { 0 } else { content.len() as u8 };
                let content = if subtype == 2 { Vec::new() } else { content };
                [
                    &(content.len() as u32).to_le_bytes()[..],
                    &[if content.is_empty() { 0 } else { subtype }],
                    &content,
                ]
                .concat()
            }
            8 => vec![self.byte() & 1],
            11 => b"pattern\0im\0".to_vec(),
            12 => [string(&self.text()), self.bytes(12)].concat(),
            15 => {
                let inner = [string(&self.text()), framed(&self.elements(depth - 1))].concat();
                [&(inner.len() as u32 + 4).to_le_bytes()[..], &inner].concat()
            }
            16 => i32::from(self.byte() as i8).to_le_bytes().to_vec(),
            1 | 9 | 17 | 18 => {
                let mut value = self.bytes(number % 9);
                value.resize(8, 0);
                value
            }
            7 => self.bytes(12),
            19 => self.bytes(16),
            _ => Vec::new(),
        };
        (kind, value)
    }
    fn elements(&mut self, depth: usize) -> Vec<u8> {
        let mut elements = Vec::new();
        for _ in 0..self.below(10) {
            let (name, (kind, value)) = (self.name(), self.value(depth));
            elements.extend(element(kind, &name, &value));
        }
        elements
    }
    /// Items that are alike, mostly, so that what the journal says of them repeats.
    fn array(&mut self, depth: usize) -> Vec<u8> {
        let mut elements = Vec::new();
        let mut last = (10, Vec::new());
        for number in 0..self.below(8) {
            match self.byte() {
                0..=127 if depth > 0 => last = (3, framed(&self.elements(depth - 1))),
                0..=159 => last = self.value(depth),
                _ => {}
            }
            let key = if self.0.first() == Some(&255) {
                self.name()
            } else {
                number.to_string().into_bytes()
            };
            elements.extend(element(last.0, &key, &last.1));
        }
        framed(&elements)
    }
    /// A document with this number as its `_id`, and that first or behind its other fields.
    pub fn source(&mut self, id: i32) -> Vec<u8> {
        let id = element(16, b"_id", &id.to_le_bytes());
        let mut fields = Vec::new();
        let is_last = self.byte() == 255;
        for _ in 0..self.below(24) {
            let (name, (kind, value)) = (self.name(), self.value(4));
            fields.extend(element(kind, &name, &value));
        }
        framed(&if is_last { [fields, id].concat() } else { [id, fields].concat() })
    }
    /// Documents to the tape's end.
    pub fn sources(&mut self) -> Vec<Vec<u8>> {
        let mut sources = Vec::new();
        while !self.is_at_end() && sources.len() < 12 {
            sources.push(self.source(sources.len() as i32));
        }
        sources
    }
}

pub use data::split;

/// Bytes that are read a few at a time.
pub struct Pieces<'a>(pub &'a [u8], pub usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.0.len().min(buffer.len()).min(self.1);
        buffer[..size].copy_from_slice(&self.0[..size]);
        self.0 = &self.0[size..];
        Ok(size)
    }
}

/// Bytes with some of them replaced, as `patch` says: where, how many, by what. Without a patch they stay as they are.
pub fn patched(bytes: &[u8], patch: &[u8]) -> Vec<u8> {
    let mut tape = Tape::new(patch);
    let from = (tape.below(256) * 256 + tape.below(256)) % (bytes.len() + 1);
    let to = (from + tape.below(256)).min(bytes.len());
    [&bytes[..from], tape.0, &bytes[to..]].concat()
}

/// Maps documents, as one batch and one by one, and brings them back: they come back byte for byte, none is lost, what is
/// written is sound, and does not depend on what the mapper has seen before.
pub fn check(plan: &Plan, sources: &[&[u8]]) {
    let mut mapper = Mapper::new(plan);
    let mut mapped = Mapped::default();
    mapper.map(sources.iter().copied(), |_| None, &mut mapped).expect("sound documents");
    let targets: Vec<Vec<&[u8]>> = mapped.outputs.iter().map(|bytes| split(bytes)).collect();
    let placed = sources.len() - mapped.refused.len();
    for (target, documents) in targets.iter().enumerate() {
        assert_eq!(documents.len() as u64, mapped.counts[target]);
        match plan.is_unconditional(target) {
            true => assert_eq!(documents.len(), placed),
            false => assert!(documents.len() <= placed || plan.is_unwound(target)),
        }
        documents.iter().for_each(|document| assert!(Validator::default().check(document).is_ok()));
    }
    let refused: Vec<u8> =
        mapped.refused.iter().flat_map(|refused| sources[refused.index]).copied().collect();
    assert_eq!(mapped.rejected, refused);

    let mut journal = Vec::new();
    let mut writer = JournalWriter::default();
    writer
        .write_header("db.c", plan.id(), plan.text(), Some(b"{}"), &mut journal)
        .expect("it is read back");
    writer
        .write_batch(sources.len(), &mapped.counts, &mapped.notes, &mut journal)
        .expect("it is read back");
    let (mut reader, header) = JournalReader::open(journal.as_slice(), "journal".into()).unwrap();
    assert_eq!(header.metadata.as_deref(), Some(&b"{}"[..]));
    let mut notes = JournalBatch::default();
    assert!(reader.next(&mut notes).unwrap());
    assert_eq!(notes.documents, sources.len());
    let mut notes_reader = notes.reader();
    let mut rest: Vec<_> = targets.iter().map(|documents| documents.iter().copied()).collect();
    let mut restorer = Restorer::new(plan);
    let mut restored = Vec::new();
    for _ in sources {
        restorer.restore(&mut notes_reader, |target| rest[target].next(), &mut restored).unwrap();
    }
    assert!(notes_reader.is_at_end() && rest.iter_mut().all(|rest| rest.next().is_none()));
    assert!(restored == sources.concat(), "the documents that came back are others");

    let mut alone = Mapped::default();
    let mut outputs = vec![Vec::new(); targets.len()];
    for source in sources {
        Mapper::new(plan)
            .map([*source].into_iter(), |_| None, &mut alone)
            .expect("sound documents");
        outputs.iter_mut().zip(&alone.outputs).for_each(|(all, one)| all.extend_from_slice(one));
    }
    assert!(outputs == mapped.outputs, "what a mapper has seen before changes what it writes");
}
