//! Arbitrary bytes as the fields of a document: forward through the built-in mapping, into a journal, and back.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};

static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan::built_in().unwrap());

fuzz_target!(|data: &[u8]| {
    // An `_id` before them, so that the document is not set aside at once.
    let fields = [b"\x10_id\0\x07\0\0\0", data].concat();
    let mut source = (fields.len() as u32 + 5).to_le_bytes().to_vec();
    source.extend_from_slice(&fields);
    source.push(0);
    let mut mapped = Mapped::default();
    if Mapper::new(&PLAN).map([source.as_slice(), &source].into_iter(), |_| None, &mut mapped).is_err() {
        return;
    }
    let mut journal = Vec::new();
    let mut writer = JournalWriter::default();
    writer.write_header("db.c", &PLAN, None, &mut journal);
    writer.write_batch(2, &mapped.counts, &mapped.notes, &mut journal);
    let (mut reader, _) = JournalReader::open(journal.as_slice(), "journal".into()).unwrap();
    let mut notes = JournalBatch::default();
    assert!(reader.next(&mut notes).unwrap());
    let mut notes_reader = notes.reader();
    let mut rest: Vec<&[u8]> = mapped.outputs.iter().map(Vec::as_slice).collect();
    let mut restorer = Restorer::new(&PLAN);
    let mut restored = Vec::new();
    for _ in 0..2 {
        let mut next = |target: usize| {
            let length = rest[target].first_chunk::<4>()?;
            let (document, behind) = rest[target].split_at(u32::from_le_bytes(*length) as usize);
            rest[target] = behind;
            Some(document)
        };
        restorer.restore(&mut notes_reader, &mut next, &mut restored).unwrap();
    }
    assert!(notes_reader.is_at_end() && rest.iter().all(|rest| rest.is_empty()));
    assert_eq!(restored, [source.as_slice(), &source].concat());
});
