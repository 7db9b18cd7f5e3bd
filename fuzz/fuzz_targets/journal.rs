//! Arbitrary bytes as a journal, as the documents behind a journal's header, and in the place of bytes of a true journal's batch.
//! A journal that does not fit gives an error, never a panic; what comes back by it is sound.
#![no_main]

mod shared;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Restorer};
use mongosplit::raw::{Elements, Validator};
use shared::data::{element, framed};
use shared::{BUILT_IN, patched, split};

/// A source, what it became, and its journal.
struct Fixture {
    source: &'static [u8],
    targets: Vec<Vec<u8>>,
    header: Vec<u8>,
    batch: Vec<u8>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    // All kinds of fixes, and items.
    let source = include_bytes!("../../fixtures/odd/iso-text/narrative_modeling/user_data.bson");
    let documents = split(source);
    let mut mapped = Mapped::default();
    Mapper::new(&BUILT_IN).map(documents.iter().copied(), |_| None, &mut mapped).unwrap();
    let mut writer = JournalWriter::default();
    let (mut header, mut batch) = (Vec::new(), Vec::new());
    writer
        .write_header("db.c", BUILT_IN.id(), BUILT_IN.text(), None, &mut header)
        .expect("it is read back");
    writer
        .write_batch(documents.len(), &mapped.counts, &mapped.notes, &mut batch)
        .expect("it is read back");
    Fixture { source, targets: mapped.outputs, header, batch }
});

/// What a journal gives, up to the first error.
fn restore(journal: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok((mut reader, _)) = JournalReader::open(journal, "journal".into()) else { return out };
    let mut notes = JournalBatch::default();
    let mut restorer = Restorer::new(&BUILT_IN);
    let mut targets: Vec<_> =
        FIXTURE.targets.iter().map(|bytes| split(bytes).into_iter()).collect();
    while let Ok(true) = reader.next(&mut notes) {
        let mut notes_reader = notes.reader();
        for _ in 0..notes.documents {
            let before = out.len();
            if restorer
                .restore(&mut notes_reader, |target| targets.get_mut(target)?.next(), &mut out)
                .is_err()
            {
                out.truncate(before);
                return out;
            }
            assert!(
                Validator::default().check(&out[before..]).is_ok(),
                "what came back is no sound document"
            );
        }
    }
    out
}

/// A true batch with one of its fields' content patched, lengths and all around it put right.
fn with_patched(field: &[u8], patch: &[u8]) -> Vec<u8> {
    let mut elements = Vec::new();
    for one in Elements::new(&FIXTURE.batch) {
        let value = one.value().bytes;
        let value = match one.kind() {
            _ if one.key() != field => value.to_vec(),
            5 => {
                let content = patched(&value[5..], patch);
                [&(content.len() as u32).to_le_bytes()[..], &[0], &content].concat()
            }
            _ => framed(&patched(&value[4..value.len() - 1], patch)),
        };
        elements.extend(element(one.kind(), one.key(), &value));
    }
    [&FIXTURE.header[..], &framed(&elements)].concat()
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else {
        assert!(restore(&[&FIXTURE.header[..], &FIXTURE.batch].concat()) == FIXTURE.source);
        return;
    };
    let journal = match mode % 6 {
        0 => data.to_vec(),
        1 => [&FIXTURE.header[..], data].concat(),
        2 => with_patched(b"orders", data),
        3 => with_patched(b"values", data),
        // Any field, of any type.
        4 => [
            &FIXTURE.header[..],
            &framed(&patched(&FIXTURE.batch[4..FIXTURE.batch.len() - 1], data)),
        ]
        .concat(),
        _ => with_patched(b"program", data),
    };
    restore(&journal);
});
