//! Documents with the names and values of the built-in mapping, made of the input: forward, into a journal, and back.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use shared::{BUILT_IN, Tape, check};

fuzz_target!(|data: &[u8]| {
    let sources = Tape::new(data).sources();
    check(&BUILT_IN, &sources.iter().map(Vec::as_slice).collect::<Vec<_>>());
});
