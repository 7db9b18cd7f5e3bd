//! Entries of an oplog: as many operations on a namespace are counted as were written, however they nest. Arbitrary
//! documents are read without a panic.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use mongosplit::raw::Validator;
use mongosplit::touching_in;
use shared::Tape;
use shared::data::{element, framed, string};

const NAMESPACE: &str = "db.c";

fn text(name: &[u8], value: &str) -> Vec<u8> {
    element(2, name, &string(value.as_bytes()))
}

/// An operation, and how many operations on the namespace it counts as.
fn operation(tape: &mut Tape<'_>, depth: usize) -> (Vec<u8>, u64) {
    let other = ["db.d", "other.c", "db", "db.c.d", ""][tape.below(5)];
    let entry = |op: &str, ns: &str, o: &[u8]| {
        framed(&[text(b"op", op), text(b"ns", ns), element(3, b"o", o)].concat())
    };
    let name = ["c", "d"][tape.below(2)];
    let of_name = u64::from(name == "c");
    match tape.below(8) {
        0 => (entry(["i", "u", "d"][tape.below(3)], NAMESPACE, &framed(&[])), 1),
        1 => (entry(["i", "u", "d", "n"][tape.below(4)], other, &framed(&text(b"x", "c"))), 0),
        2 => {
            let command = [&b"create"[..], b"drop", b"collMod", b"createIndexes"][tape.below(4)];
            (entry("c", "db.$cmd", &framed(&text(command, name))), of_name)
        }
        3 => (entry("c", "db.$cmd", &framed(&element(1, b"dropDatabase", &[0; 8]))), 1),
        4 => {
            let from = ["db.c", "db.d"][tape.below(2)];
            let to = ["db.c", "db.e"][tape.below(2)];
            let command = framed(&[text(b"renameCollection", from), text(b"to", to)].concat());
            let counts = u64::from(from == NAMESPACE || to == NAMESPACE);
            (entry("c", ["admin.$cmd", "db.$cmd"][tape.below(2)], &command), counts)
        }
        5 => (entry("c", "other.$cmd", &framed(&text(b"drop", name))), 0),
        _ if depth == 0 => (entry("n", "", &framed(&[])), 0),
        _ => {
            let (mut items, mut counts) = (Vec::new(), 0);
            for number in 0..tape.below(5) {
                let (inner, count) = operation(tape, depth - 1);
                // What is no document is no operation.
                let kind = if tape.below(8) == 7 { 4 } else { 3 };
                items.extend(element(kind, number.to_string().as_bytes(), &inner));
                counts += if kind == 3 { count } else { 0 };
            }
            let ns = ["admin.$cmd", "db.$cmd"][tape.below(2)];
            (entry("c", ns, &framed(&element(4, b"applyOps", &framed(&items)))), counts)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    if mode == 255 {
        if Validator::default().check(rest).is_ok() {
            // Each nested document counts once at most.
            assert!(touching_in(rest, NAMESPACE) <= rest.len() as u64);
        }
        return;
    }
    let mut tape = Tape::new(rest);
    let (entry, counts) = operation(&mut tape, usize::from(mode % 60));
    assert!(Validator::default().check(&entry).is_ok());
    assert_eq!(touching_in(&entry, NAMESPACE), counts);
});
