//! The validator against the `bson` crate, and the cursor on what the validator accepts and refuses.
#![no_main]

use bson::raw::{RawBsonRef, RawDocument};
use libfuzzer_sys::fuzz_target;
use mongosplit::raw::{Elements, Validator};

/// Nothing where the crate stops at what is not UTF-8.
fn is_sound(bytes: &[u8]) -> Option<bool> {
    let judge = |error: bson::error::Error| match error.kind {
        bson::error::ErrorKind::Utf8Encoding { .. } => None,
        _ => Some(false),
    };
    let mut todo = vec![bytes.to_vec()];
    while let Some(bytes) = todo.pop() {
        let Ok(document) = RawDocument::from_bytes(&bytes) else { return Some(false) };
        for element in document.iter_elements() {
            match element.and_then(|element| element.value()) {
                Ok(RawBsonRef::Document(inner)) => todo.push(inner.as_bytes().to_vec()),
                Ok(RawBsonRef::Array(inner)) => todo.push(inner.as_bytes().to_vec()),
                Ok(RawBsonRef::JavaScriptCodeWithScope(code)) => todo.push(code.scope.as_bytes().to_vec()),
                Ok(_) => {}
                Err(error) => return judge(error),
            }
        }
    }
    Some(true)
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    // The length is put right mostly, so that the input gets past it.
    if data.len() >= 5 && data[4] & 0x40 == 0 {
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        *bytes.last_mut().unwrap() = 0;
    }
    let ours = Validator::default().check(&bytes);
    let covered: usize = Elements::new(&bytes).map(|element| element.bytes.len()).sum();
    match &ours {
        Ok(facts) => {
            assert_eq!(covered + 5, bytes.len());
            if facts.invalid_utf8.is_none() {
                assert_eq!(is_sound(&bytes), Some(true));
            }
        }
        Err(_) => assert_ne!(is_sound(&bytes), Some(true)),
    }
});
