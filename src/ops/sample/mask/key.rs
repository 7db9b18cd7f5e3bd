//! The key, and what is derived from it: permutations of numbers, and streams of them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The fewest bytes of a key: 128 bits.
pub(super) const LEAST_KEY_BYTES: usize = 16;

/// HMAC-SHA-256 under the key.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    /// Shows nothing of the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key of these bytes; none if they are too few.
    pub fn new(bytes: &[u8]) -> Option<Key> {
        (bytes.len() >= LEAST_KEY_BYTES).then(|| Hmac::new_from_slice(bytes).ok().map(Key))?
    }

    /// The keyed hash of parts, whose lengths the caller fixes or writes into them.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// A number below `most`.
    pub fn number(&self, what: &str, most: u64) -> u64 {
        let hash = self.hash(&[what.as_bytes()]);
        let first = hash.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        first % most
    }

    /// A permutation of the numbers below `many`, which is at most 2^127: a Feistel network over as
    /// many bits as they have, walked until the result is one of them. Each `what` has its own.
    pub fn permute(&self, what: &[u8], many: u128, number: u128) -> u128 {
        let bits = u128::BITS - many.saturating_sub(1).leading_zeros();
        let (low, high) = (bits / 2, bits - bits / 2);
        let ones = |bits: u32| (1u128 << bits) - 1;
        let round = |round: u8, half: u128| {
            let hash = self.hash(&[
                b"number",
                &(what.len() as u64).to_le_bytes(),
                what,
                &many.to_le_bytes(),
                &[round],
                &half.to_le_bytes(),
            ]);
            hash.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
        };
        let mut result = number;
        loop {
            let (mut left, mut right) = (result >> low, result & ones(low));
            for number in 0..ROUNDS {
                match number % 2 {
                    0 => left ^= round(number, right) & ones(high),
                    _ => right ^= round(number, left) & ones(low),
                }
            }
            result = left << low | right;
            if result < many {
                return result;
            }
        }
    }
}

/// Rounds of a Feistel network.
pub(super) const ROUNDS: u8 = 8;

/// Numbers without end from a seed.
pub(super) struct Numbers {
    seed: [u8; 32],
    block: [u8; 32],
    next: usize,
    blocks: u64,
}

impl Numbers {
    pub fn new(seed: [u8; 32]) -> Self {
        Numbers { seed, block: [0; 32], next: 32, blocks: 0 }
    }
}

impl Iterator for Numbers {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        if self.next == self.block.len() {
            let hash = Sha256::new().chain_update(self.seed);
            self.block = hash.chain_update(self.blocks.to_le_bytes()).finalize().into();
            self.blocks += 1;
            self.next = 0;
        }
        let bytes = self.block.get(self.next..self.next + 4)?;
        self.next += 4;
        bytes.try_into().ok().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_has_one_image() {
        let key = Key::new(&[7; 16]).expect("a key");
        assert!(Key::new(&[7; 15]).is_none());
        for many in [1, 2, 3, 9, 90, 257, 1000] {
            let images: BTreeSet<u128> =
                (0..many).map(|number| key.permute(b"x", many, number)).collect();
            assert!(images.len() as u128 == many && images.iter().all(|image| *image < many));
        }
        let other = Key::new(&[8; 16]).expect("a key");
        let image = |key: &Key, what: &[u8]| key.permute(what, 1 << 96, 12345);
        assert_eq!(image(&key, b"x"), image(&key.clone(), b"x"));
        assert!(image(&key, b"x") != image(&key, b"y") && image(&key, b"x") != image(&other, b"x"));
    }
}
