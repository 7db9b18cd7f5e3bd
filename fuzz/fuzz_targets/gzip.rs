//! Arbitrary bytes as a gzip stream, which is refused or what another decoder makes of it; and in members that we have
//! compressed, whole, cut, and with something behind them.
#![no_main]

mod shared;

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;
use mongosplit::gzip::{compress, decoder, decoder_buffered};
use shared::Tape;

/// Enough for all that is compressed here; a hostile stream has a thousand times its size.
const MOST: u64 = 1 << 20;

fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    decoder(bytes).take(MOST).read_to_end(&mut out).ok().map(|_| out)
}

fuzz_target!(|data: &[u8]| {
    let ours = decoded(data);
    if let Some(ours) = &ours
        && !data.is_empty()
    {
        let mut other = Vec::new();
        MultiGzDecoder::new(data)
            .take(MOST)
            .read_to_end(&mut other)
            .expect("another decoder takes it, too");
        assert!(*ours == other);
    }
    let mut in_pieces = Vec::new();
    let outcome =
        decoder_buffered(BufReader::with_capacity(1, data)).take(MOST).read_to_end(&mut in_pieces);
    assert_eq!(outcome.ok().map(|_| in_pieces), ours);

    let mut tape = Tape::new(data);
    let (mut stream, mut content, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let (behind, cut) = (tape.byte(), tape.below(256));
    while !tape.is_at_end() && ends.len() < 3 {
        let (level, size) = (1 + tape.below(9) as u32, tape.below(256));
        let member = tape.bytes(size);
        stream.extend(compress(&member, level));
        content.extend(member);
        ends.push(stream.len());
    }
    if ends.is_empty() {
        return;
    }
    assert!(decoded(&stream).is_some_and(|decoded| decoded == content));
    let cut = stream.len().saturating_sub(cut);
    assert_eq!(decoded(&stream[..cut]).is_some(), ends.contains(&cut), "cut at {cut}");
    stream.push(behind);
    assert!(decoded(&stream).is_none());
});
