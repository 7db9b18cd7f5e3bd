//! The validator against the `bson` crate, and the cursor on what the validator accepts and refuses.
#![no_main]

use bson::raw::{RawBsonRef, RawDocument};
use libfuzzer_sys::fuzz_target;
use mongosplit::raw::{Elements, ExpectedName, Validator, display_id};

/// Nothing where the crate stops at what is not UTF-8, which we pass on.
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
                Ok(RawBsonRef::JavaScriptCodeWithScope(code)) => {
                    todo.push(code.scope.as_bytes().to_vec())
                }
                Ok(_) => {}
                Err(error) => return judge(error),
            }
        }
    }
    Some(true)
}

/// Levels of nesting of a sound document, whose elements lie one behind the other at each of them, found by name or not.
fn depth_of_tiles(bytes: &[u8]) -> u32 {
    let mut todo = vec![(bytes, 1)];
    let mut depth = 0;
    while let Some((document, level)) = todo.pop() {
        depth = depth.max(level);
        let mut at = 4;
        for element in Elements::new(document) {
            let place = (at + 1 + element.key_nul().len(), at + element.bytes.len());
            for expected in [element.key_nul(), b"another\0"] {
                let found = ExpectedName::new(expected).value_at(document, at);
                assert_eq!(found, (expected == element.key_nul()).then_some(place));
            }
            assert_eq!(element.bytes.as_ptr(), document[at..].as_ptr());
            at += element.bytes.len();
            let value = element.value();
            match value.kind {
                3 | 4 => todo.push((value.bytes, level + 1)),
                15 => {
                    let code = u32::from_le_bytes(value.bytes[4..8].try_into().unwrap()) as usize;
                    todo.push((&value.bytes[8 + code..], level + 1));
                }
                _ => {}
            }
        }
        assert_eq!(at, document.len() - 1);
    }
    depth
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    // The length is put right mostly, so that the input gets past it.
    if data.len() >= 5 && data[4] & 0x40 == 0 {
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        *bytes.last_mut().unwrap() = 0;
    }
    let _ = display_id(&bytes);
    match (Validator::default().check(&bytes), is_sound(&bytes)) {
        (Ok(facts), oracle) => {
            assert_ne!(oracle, Some(false));
            assert_eq!(oracle.is_none(), facts.invalid_utf8.is_some());
            assert_eq!(depth_of_tiles(&bytes), facts.depth);
        }
        (Err(fault), oracle) => {
            assert_ne!(oracle, Some(true));
            assert!(fault.offset <= bytes.len());
            // The cursor ends early on it.
            let covered: usize = Elements::new(&bytes).map(|element| element.bytes.len()).sum();
            assert!(covered <= bytes.len());
        }
    }
});
