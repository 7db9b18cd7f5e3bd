//! 128-bit fingerprints of values and documents, and a set that takes little more than 16 bytes for
//! each.

use std::num::NonZeroU128;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::raw::Value;

/// The fingerprint of a value: the XXH3-128 of its bytes, with its type as the seed.
pub fn fingerprint_of(value: Value<'_>) -> u128 {
    xxh3_128_with_seed(value.bytes, u64::from(value.kind))
}

/// The XXH3-128 of a document, which the digests in manifests are sums of.
pub fn document_digest(document: &[u8]) -> u128 {
    xxh3_128(document)
}

/// The most bits of a fingerprint that tell its shard.
const MOST_BITS: u32 = 16;
/// Once the shards have so many on average, there are [`TIMES`] as many of them.
const MOST_IN_SHARD: usize = 64;
const TIMES: usize = 16;

/// A set of fingerprints. It consists of sorted shards, by their first bits, which grow in small
/// steps, so that no large table ever exists twice. A small set has few: there may be one for each of
/// many collections.
#[derive(Debug)]
pub struct Fingerprints {
    shards: Vec<Vec<u128>>,
    count: usize,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Fingerprints { shards: vec![Vec::new()], count: 0 }
    }
}

impl Fingerprints {
    fn shard(&self, fingerprint: u128) -> usize {
        let bits = self.shards.len().trailing_zeros();
        (fingerprint >> (128 - MOST_BITS)) as usize >> (MOST_BITS - bits)
    }
    /// Divides each shard.
    fn divide(&mut self) {
        let many = vec![Vec::new(); self.shards.len() * TIMES];
        for fingerprint in std::mem::replace(&mut self.shards, many).into_iter().flatten() {
            let shard = self.shard(fingerprint);
            self.shards[shard].push(fingerprint);
        }
    }
    /// Adds a fingerprint. Returns false if it was in the set already.
    pub fn insert(&mut self, fingerprint: u128) -> bool {
        let shards = self.shards.len();
        if self.count >= shards * MOST_IN_SHARD && shards < 1 << MOST_BITS {
            self.divide();
        }
        let shard = self.shard(fingerprint);
        let shard = &mut self.shards[shard];
        match shard.binary_search(&fingerprint) {
            Ok(_) => false,
            Err(place) => {
                if shard.len() == shard.capacity() {
                    shard.reserve_exact((shard.len() / 8).max(4));
                }
                shard.insert(place, fingerprint);
                self.count += 1;
                true
            }
        }
    }
    /// Removes a fingerprint, and keeps its room.
    fn remove(&mut self, fingerprint: u128) {
        let shard = self.shard(fingerprint);
        let shard = &mut self.shards[shard];
        if let Ok(place) = shard.binary_search(&fingerprint) {
            shard.remove(place);
            self.count -= 1;
        }
    }
    /// Whether a fingerprint is in the set.
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.shards[self.shard(fingerprint)].binary_search(&fingerprint).is_ok()
    }
}

/// A value of a class, each of which has a set: the number of the class, and the value's fingerprint.
pub type ClassValue = (usize, NonZeroU128);

/// Adds the values of a document to the sets of their classes: all of them, or, if one is in its set already or is
/// there twice, none. Returns the first such value. A document may have many, so each is looked at once.
pub fn insert_all(sets: &mut [Fingerprints], values: &[ClassValue]) -> Option<ClassValue> {
    let is_known = |(class, value): &ClassValue| !sets[*class].insert(value.get());
    let known = values.iter().position(is_known)?;
    for (class, value) in &values[..known] {
        sets[*class].remove(value.get());
    }
    Some(values[known])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_added_all_or_none() {
        let of = |number: u32| {
            let hash = NonZeroU128::new(xxh3_128(&number.to_le_bytes())).expect("a hash");
            (number as usize % 2, hash)
        };
        let mut sets = [Fingerprints::default(), Fingerprints::default()];
        let all: Vec<ClassValue> = (0..200_000).map(of).collect();
        assert_eq!(insert_all(&mut sets, &all[..100_000]), None);
        // One is known, and behind it another.
        let values = [&all[100_000..], &all[7..9]].concat();
        assert_eq!(insert_all(&mut sets, &values), Some(all[7]));
        // One is there twice, in this class only.
        let of_other = (1 - all[100_000].0, all[100_000].1);
        let values = [&all[100_000..], &[of_other, all[150_000], all[100_001]]].concat();
        assert_eq!(insert_all(&mut sets, &values), Some(all[150_000]));
        // Neither document has left anything.
        assert_eq!(insert_all(&mut sets, &all[100_000..]), None);
    }

    #[test]
    fn tells_what_it_has_seen() {
        let mut set = Fingerprints::default();
        let of = |number: u32| xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes());
        assert!((0..200_000).all(|number| set.insert(of(number))));
        assert!((0..200_000).all(|number| !set.insert(of(number))));
        assert!(!set.contains(of(200_000)) && set.contains(of(199_999)));
        assert!(set.insert(of(200_000)));
    }
}
