//! Arbitrary bytes as what a journal says of a batch, applied to documents that it does not fit: an error, never a panic, and no more
//! output than the journal and the documents can give.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};

struct Fixture {
    plan: Plan,
    header: Vec<u8>,
    targets: Vec<Vec<u8>>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let plan = Plan::built_in().unwrap();
    // {_id: 7, transformation_history: [{type: "impute_mean", applied_at: "2025-10-13"}], algorithm: "x"}
    let step = framed(&[&b"\x02type\0\x0c\0\0\0impute_mean\0"[..], b"\x02applied_at\0\x0b\0\0\x002025-10-13\0"].concat());
    let steps = framed(&[&b"\x030\0"[..], &step, b"\x031\0", &step].concat());
    let source = framed(&[&b"\x10_id\0\x07\0\0\0"[..], b"\x04transformation_history\0", &steps, b"\x02algorithm\0\x02\0\0\0x\0"].concat());
    let mut mapped = Mapped::default();
    Mapper::new(&plan).map([source.as_slice()].into_iter(), |_| None, &mut mapped).unwrap();
    let mut header = Vec::new();
    JournalWriter::default().write_header("db.c", &plan, None, &mut header);
    Fixture { targets: mapped.outputs.clone(), plan, header }
});

fn framed(elements: &[u8]) -> Vec<u8> {
    [&(elements.len() as u32 + 5).to_le_bytes()[..], elements, &[0]].concat()
}

fn restore(journal: &[u8]) {
    let Ok((mut reader, _)) = JournalReader::open(journal, "journal".into()) else { return };
    let mut notes = JournalBatch::default();
    let mut restorer = Restorer::new(&FIXTURE.plan);
    while let Ok(true) = reader.next(&mut notes) {
        let mut notes_reader = notes.reader();
        for _ in 0..notes.documents.min(4) {
            let mut out = Vec::new();
            if restorer.restore(&mut notes_reader, |target| FIXTURE.targets.get(target).map(Vec::as_slice), &mut out).is_err() {
                break;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    restore(data);
    restore(&[&FIXTURE.header[..], data].concat());
    // The same bytes as a program of a batch, with orders and values that it may use.
    let orders = framed(b"\x020\0\x22\0\0\0_id\0transformation_history\0other\0\0\x021\0\x11\0\0\0type\0applied_at\0\0");
    let values = framed(b"\x020\0\x02\0\0\0v\0\x101\0\x05\0\0\0\x032\0\x05\0\0\0\0");
    let program = [&(data.len() as u32).to_le_bytes()[..], &[0], data].concat();
    let batch = framed(
        &[
            &b"\x10documents\0\x02\0\0\0\x04targets\0"[..],
            &framed(b"\x100\0\x02\0\0\0\x101\0\x02\0\0\0\x102\0\x02\0\0\0"),
            b"\x04orders\0",
            &orders,
            b"\x05program\0",
            &program,
            b"\x04values\0",
            &values,
        ]
        .concat(),
    );
    restore(&[&FIXTURE.header[..], &batch].concat());
});
