//! Arbitrary bytes as a file of documents: those that are sound come back from the built-in mapping.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use mongosplit::raw::{MAX_DOCUMENT_BYTES, Validator, document_length};
use shared::{BUILT_IN, check};

fuzz_target!(|data: &[u8]| {
    let mut sources = Vec::new();
    let mut rest = data;
    while let Some(size) =
        rest.first_chunk::<4>().and_then(|length| document_length(*length, MAX_DOCUMENT_BYTES).ok())
    {
        let Some((document, behind)) = rest.split_at_checked(size) else { break };
        if Validator::default().check(document).is_ok() {
            sources.push(document);
        }
        rest = behind;
    }
    check(&BUILT_IN, &sources);
});
