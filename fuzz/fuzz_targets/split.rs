//! Arbitrary bytes as a file of documents, read in pieces of any size: the batches are the bytes, up to the first fault,
//! and the fault is where a plain reading of the lengths finds it.
#![no_main]

mod shared;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use mongosplit::batch::{Batch, Splitter};
use mongosplit::error::Error;
use shared::Pieces;

thread_local! {
    /// Kept, as a new one begins with clearing half a megabyte.
    static BATCH: RefCell<Batch> = RefCell::default();
}

fn check(bytes: &[u8], piece: usize, batch: &mut Batch) {
    let mut ends = vec![0];
    while let Some(length) = bytes[ends[ends.len() - 1]..].first_chunk::<4>() {
        let length = i32::from_le_bytes(*length);
        let end = ends[ends.len() - 1] + length.max(0) as usize;
        if !(5..=16 * 1024 * 1024).contains(&length) || end > bytes.len() {
            break;
        }
        ends.push(end);
    }
    let sound = ends[ends.len() - 1];
    let mut splitter = Splitter::new(Pieces(bytes, piece), 0, "fuzz".into());
    let mut at = 0;
    let outcome = loop {
        match splitter.fill(batch) {
            Ok(true) => {
                assert!(!batch.ends.is_empty());
                for (index, document) in batch.documents().enumerate() {
                    assert_eq!(batch.position(index, "fuzz").offset, ends[at] as u64);
                    assert_eq!(document, &bytes[ends[at]..ends[at + 1]]);
                    at += 1;
                }
            }
            other => break other,
        }
    };
    assert_eq!((at, splitter.counts()), (ends.len() - 1, (at as u64, sound as u64)));
    match outcome {
        Ok(_) => assert_eq!(sound, bytes.len()),
        Err(Error::Document { position, .. }) => {
            assert!(sound < bytes.len());
            assert_eq!((position.document, position.offset), (at as u64 + 1, sound as u64));
        }
        Err(other) => panic!("{other}"),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some((&piece, bytes)) = data.split_first() {
        BATCH.with_borrow_mut(|batch| check(bytes, usize::from(piece) + 1, batch));
    }
});
