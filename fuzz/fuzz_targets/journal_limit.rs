//! Documents of about 16 MiB, made of the input's decisions, so that what the journal holds of them is about as large as it may be:
//! it is written and read back, and the documents come back by it.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use mongosplit::raw::MAX_DOCUMENT_BYTES;
use shared::data::{element, framed, string};
use shared::{BUILT_IN, Tape, check};

/// Items of so many kinds, up to `room` bytes. Each kind takes more in the journal than another.
fn items(tape: &mut Tape<'_>, room: usize) -> Vec<u8> {
    let kind = tape.below(6);
    let each = 1 + tape.below(16);
    let mut items = Vec::new();
    for number in 0.. {
        let name = format!("f{}", number / each);
        let item = match kind {
            // A field order for each of some items.
            0 => framed(&element(10, name.as_bytes(), &[])),
            1 => framed(&element(2, b"type", &string(b"impute_mean"))),
            // Text that is a date, and almost one.
            2 => framed(&element(2, b"applied_at", &string(b"2025-10-13T10:15:23.123456+00:00"))),
            3 => framed(&element(2, b"applied_at", &string(b"2025-10-13T10:15:23.1+02:00"))),
            4 => framed(&[element(8, b"is_valid", &[1]), element(8, b"is_valid", &[0])].concat()),
            _ => framed(&[]),
        };
        let item = element(3, number.to_string().as_bytes(), &item);
        if items.len() + item.len() > room {
            return items;
        }
        items.extend(item);
    }
    items
}

fuzz_target!(|data: &[u8]| {
    let mut tape = Tape::new(data);
    let mut fields = element(16, b"_id", &1i32.to_le_bytes());
    // Kept whole, or not: a document without a `user_id` is as good as one with it.
    let target = MAX_DOCUMENT_BYTES - [0, 1, 2, 5, 100, 4000, 9000, 70_000][tape.below(8)];
    let name = [&b"transformation_history"[..], b"data_schema", b"unknown"][tape.below(3)];
    let share = tape.below(256);
    let items = items(&mut tape, (target - 1000) / 256 * share);
    fields.extend(element(4, name, &framed(&items)));
    for _ in 0..tape.below(4) {
        // Fields that no target takes, or the journal alone.
        let name = [&b"version"[..], b"file_size", b"notes", b"x", b"parent_dataset_id"][tape.below(5)];
        fields.extend(element(2, name, &string(&tape.bytes(20))));
    }
    let fill = [&b"version"[..], b"notes", b"filename", b"zz"][tape.below(4)];
    let used = fields.len() + 5 + 1 + fill.len() + 1 + 5;
    fields.extend(element(2, fill, &string(&vec![b'x'; target.saturating_sub(used)])));
    let document = framed(&fields);
    assert!(document.len() <= MAX_DOCUMENT_BYTES);
    check(&BUILT_IN, &[&document]);
});
