//! Arbitrary bytes as a file of documents, read in pieces of any size: the batches are the bytes, up to the first fault.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use mongosplit::batch::{Batch, Splitter};

struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.0.len().min(buffer.len()).min(self.1);
        buffer[..size].copy_from_slice(&self.0[..size]);
        self.0 = &self.0[size..];
        Ok(size)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let mut splitter = Splitter::new(Pieces(bytes, usize::from(piece) + 1), 0, "fuzz".into());
    let mut batch = Batch::default();
    let mut joined = Vec::new();
    let outcome = loop {
        match splitter.fill(&mut batch) {
            Ok(true) => {
                assert_eq!(batch.documents().flatten().count(), batch.bytes.len());
                joined.extend_from_slice(&batch.bytes);
            }
            other => break other,
        }
    };
    assert_eq!(joined, bytes[..joined.len()]);
    assert_eq!(splitter.counts().1, joined.len() as u64);
    assert_eq!(outcome.is_ok(), joined.len() == bytes.len());
});
