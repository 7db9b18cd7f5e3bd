//! Counts and hashes bytes. Hashes two streams at once if that is faster on this processor.

mod pair;

use sha2::block_api::compress256;

use crate::error::{Error, Result};
use crate::raw;

/// The initial state of SHA-256 (FIPS 180-4, section 5.3.3).
const FIRST_STATE: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const BLOCK: usize = 64;

/// Counts bytes and computes their SHA-256.
#[derive(Debug, Clone)]
pub struct HashingCounter {
    state: [u32; 8],
    /// The bytes after the last whole block.
    rest: [u8; BLOCK],
    bytes: u64,
}

impl Default for HashingCounter {
    fn default() -> Self {
        HashingCounter { state: FIRST_STATE, rest: [0; BLOCK], bytes: 0 }
    }
}

impl HashingCounter {
    /// Counts and hashes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, _) = self.fill(bytes).as_chunks::<BLOCK>();
        compress256(&mut self.state, blocks);
        self.keep(bytes);
    }
    /// The number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Returns the number of bytes, and their SHA-256 in hex.
    pub fn finish(mut self) -> (u64, String) {
        let bytes = self.bytes;
        // The padding is a bit, zeros, and the length in bits at the end of a block (FIPS 180-4,
        // section 5.1.1).
        let used = self.used();
        let mut padding = [0u8; 2 * BLOCK];
        padding[0] = 0x80;
        let length = if used < BLOCK - 8 { BLOCK - used } else { 2 * BLOCK - used };
        padding[length - 8..length].copy_from_slice(&(bytes * 8).to_be_bytes());
        self.update(&padding[..length]);
        (bytes, raw::hex(self.state.map(u32::to_be_bytes).as_flattened()))
    }

    fn used(&self) -> usize {
        (self.bytes % BLOCK as u64) as usize
    }
    /// Completes the block that was begun, and returns the bytes after it. Returns none if they do
    /// not complete it.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let used = self.used();
        if used == 0 {
            return bytes;
        }
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK - used));
        self.rest[used..used + now.len()].copy_from_slice(now);
        if used + now.len() == BLOCK {
            compress256(&mut self.state, &[self.rest]);
        }
        later
    }
    /// Counts bytes whose whole blocks have been hashed, and keeps those after the last block.
    fn keep(&mut self, bytes: &[u8]) {
        let used = self.used();
        self.bytes += bytes.len() as u64;
        let end = self.used();
        // `fill` has copied bytes that end in the block in which they began.
        if used + bytes.len() >= BLOCK || used == 0 {
            self.rest[..end].copy_from_slice(&bytes[bytes.len() - end..]);
        }
    }
}

/// Hashes the next bytes of two streams at once, each given in pieces.
pub fn update_both(one: (&mut HashingCounter, &[&[u8]]), other: (&mut HashingCounter, &[&[u8]])) {
    let mut left = Pieces::new(one.0, one.1);
    let mut right = Pieces::new(other.0, other.1);
    if pair::is_faster() {
        while let (Some(a), Some(b)) = (left.blocks(), right.blocks()) {
            let count = a.len().min(b.len());
            pair::compress(&mut left.hash.state, &a[..count], &mut right.hash.state, &b[..count]);
            left.advance(count);
            right.advance(count);
        }
    }
    left.finish();
    right.finish();
}

/// The pieces of a stream, and how far their whole blocks have been hashed.
struct Pieces<'h, 'p> {
    hash: &'h mut HashingCounter,
    pieces: &'p [&'p [u8]],
    /// The whole blocks of the first piece that are left; `None` before the piece is begun.
    blocks: Option<&'p [[u8; BLOCK]]>,
}

impl<'h, 'p> Pieces<'h, 'p> {
    fn new(hash: &'h mut HashingCounter, pieces: &'p [&'p [u8]]) -> Self {
        Pieces { hash, pieces, blocks: None }
    }
    /// The next whole blocks, or `None` at the end.
    fn blocks(&mut self) -> Option<&'p [[u8; BLOCK]]> {
        loop {
            let (piece, later) = self.pieces.split_first()?;
            let blocks = match self.blocks {
                Some(blocks) => blocks,
                None => self.hash.fill(piece).as_chunks::<BLOCK>().0,
            };
            self.blocks = Some(blocks);
            if !blocks.is_empty() {
                return self.blocks;
            }
            self.hash.keep(piece);
            self.pieces = later;
            self.blocks = None;
        }
    }
    fn advance(&mut self, count: usize) {
        self.blocks = self.blocks.map(|blocks| &blocks[count..]);
    }
    /// Hashes the rest of this stream by itself.
    fn finish(mut self) {
        while let Some(blocks) = self.blocks() {
            compress256(&mut self.hash.state, blocks);
            self.advance(blocks.len());
        }
    }
}

/// The SHA-256 of bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = HashingCounter::default();
    hash.update(bytes);
    hash.finish().1
}

/// Messages of two blocks each and their SHA-256 (FIPS 180-4, examples of NIST).
const KNOWN: [(&[u8], [u32; 8]); 2] = [
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        [
            0x248d_6a61,
            0xd206_38b8,
            0xe5c0_2693,
            0x0c3e_6039,
            0xa33c_e459,
            0x64ff_2167,
            0xf6ec_edd4,
            0x19db_06c1,
        ],
    ),
    (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        [
            0xcf5b_16a7,
            0x78af_8380,
            0x036c_e59e,
            0x7b04_9237,
            0x0b24_9b11,
            0xe8f0_7a51,
            0xafac_4503,
            0x7afe_e9d1,
        ],
    ),
];

/// The ways in which blocks are hashed: one stream, and two side by side.
struct Ways {
    single: fn(&mut [u32; 8], &[[u8; BLOCK]]),
    paired: pair::Compress,
}

/// Hashes known messages in each way that this processor uses, which takes some microseconds.
///
/// # Errors
///
/// [`Error::Check`] if a result is wrong: then no checksum of a run could be trusted.
pub fn check() -> Result<()> {
    check_ways(&Ways { single: compress256, paired: pair::compress })
}

fn check_ways(ways: &Ways) -> Result<()> {
    let [one, other] = KNOWN.map(|(message, sum)| {
        let mut blocks = [[0; BLOCK]; 2];
        let bytes = blocks.as_flattened_mut();
        bytes[..message.len()].copy_from_slice(message);
        bytes[message.len()] = 0x80;
        bytes[2 * BLOCK - 8..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
        (blocks, sum)
    });
    for (blocks, sum) in [&one, &other] {
        let mut state = FIRST_STATE;
        (ways.single)(&mut state, blocks);
        if state != *sum {
            return Err(wrong("of one stream"));
        }
    }
    let (mut left, mut right) = (FIRST_STATE, FIRST_STATE);
    (ways.paired)(&mut left, &one.0, &mut right, &other.0);
    match (left, right) == (one.1, other.1) {
        true => Ok(()),
        false => Err(wrong("of two streams side by side")),
    }
}

fn wrong(what: &str) -> Error {
    Error::Check(format!(
        "this machine computes a wrong SHA-256 {what}, so no checksum could be trusted, and nothing was done. Run on another machine; if it happens there too, please report it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 131 + at / 7) as u8).collect()
    }

    #[test]
    fn known_answers() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_machine_that_hashes_wrongly_is_told_apart() {
        check().expect("this one hashes rightly");
        let single = |state: &mut [u32; 8], blocks: &[[u8; BLOCK]]| {
            compress256(state, blocks);
            state[7] ^= 1;
        };
        let error = check_ways(&Ways { single, paired: pair::compress }).expect_err("an error");
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (
                "this machine computes a wrong SHA-256 of one stream, so no checksum could be trusted, and nothing was done. Run on another machine; if it happens there too, please report it",
                1
            )
        );
        for lane in 0..2 {
            // What no capture can hold, each lane has a function of its own for.
            let paired: pair::Compress = match lane {
                0 => |one, blocks, other, others| {
                    pair::compress(one, blocks, other, others);
                    one[0] ^= 1 << 31;
                },
                _ => |one, blocks, other, others| {
                    pair::compress(one, blocks, other, others);
                    other[3] ^= 1;
                },
            };
            let error = check_ways(&Ways { single: compress256, paired }).expect_err("an error");
            assert!(error.to_string().contains("of two streams side by side"), "{lane}: {error}");
        }
    }

    #[test]
    fn pieces_of_every_length_give_what_the_library_gives() {
        for length in 0..300 {
            let bytes = sample(length);
            for cut in 0..=length.min(130) {
                let mut hash = HashingCounter::default();
                hash.update(&bytes[..cut]);
                hash.update(&bytes[cut..]);
                assert_eq!(
                    hash.finish(),
                    (length as u64, raw::hex(&Sha256::digest(&bytes))),
                    "{cut} of {length}"
                );
            }
        }
    }

    #[test]
    fn two_streams_side_by_side_are_each_what_they_are_alone() {
        let bytes = sample(5000);
        for step in [1, 63, 64, 65, 200, 1000, 5000] {
            for other_step in [64, 100, 4999] {
                for length in [0, 1, 64, 999, 5000] {
                    let one: Vec<&[u8]> = bytes.chunks(step).collect();
                    let other: Vec<&[u8]> = bytes[..length].chunks(other_step).collect();
                    let (mut a, mut b) = (HashingCounter::default(), HashingCounter::default());
                    update_both((&mut a, &one), (&mut b, &other));
                    assert_eq!(a.finish().1, raw::hex(&Sha256::digest(&bytes)));
                    assert_eq!(
                        b.finish(),
                        (length as u64, raw::hex(&Sha256::digest(&bytes[..length])))
                    );
                }
            }
        }
    }
}
