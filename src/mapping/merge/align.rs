//! Finds the items that two arrays have in common, in their order, in little more time than reading them takes.

use std::collections::{HashMap, HashSet};

/// Up to so many comparisons, a longest common subsequence is computed.
const EXACT: usize = 1 << 20;
/// Stretches are divided so many times at most.
const DEEPEST: usize = 16;

/// Items that both arrays have, as positions in both, increasing in both: a longest common subsequence if
/// the arrays are short or differ in few places, else a long one.
///
/// A longest one of two long arrays without a common order would cost the square of their length. What differs in them
/// is found in steps: items at the beginning and the end that are the same; items that each side has once, of which the
/// longest increasing sequence is kept; and the same again between those. Where that finds nothing, the first of each
/// item stands for the first, the second for the second.
pub(super) fn aligned_items(before: &[u128], now: &[u128]) -> Vec<(usize, usize)> {
    // Items that only one side has are removed first.
    let common = |of: &[u128], other: &[u128]| -> (Vec<usize>, Vec<u128>) {
        let known: HashSet<u128> = other.iter().copied().collect();
        of.iter().enumerate().filter(|(_, digest)| known.contains(digest)).unzip()
    };
    let (old_places, old) = common(before, now);
    let (new_places, new) = common(now, before);
    let mut pairs = Vec::new();
    let mut budget = EXACT;
    let mut open = vec![Stretch { old: 0..old.len(), new: 0..new.len(), depth: 0 }];
    while let Some(stretch) = open.pop() {
        stretch.align((&old, &new), &mut budget, &mut pairs, &mut open);
    }
    pairs.sort_unstable();
    pairs.into_iter().map(|(at, other)| (old_places[at], new_places[other])).collect()
}

/// A part of both arrays that is still to be aligned.
struct Stretch {
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
    /// How many stretches it is in.
    depth: usize,
}

impl Stretch {
    /// Adds the pairs that are found in it, and the stretches between them to `open`.
    fn align(
        mut self,
        (old, new): (&[u128], &[u128]),
        budget: &mut usize,
        pairs: &mut Vec<(usize, usize)>,
        open: &mut Vec<Stretch>,
    ) {
        while !self.is_empty() && old[self.old.start] == new[self.new.start] {
            pairs.push((self.old.start, self.new.start));
            (self.old.start, self.new.start) = (self.old.start + 1, self.new.start + 1);
        }
        while !self.is_empty() && old[self.old.end - 1] == new[self.new.end - 1] {
            (self.old.end, self.new.end) = (self.old.end - 1, self.new.end - 1);
            pairs.push((self.old.end, self.new.end));
        }
        if self.is_empty() {
            return;
        }
        let cost = self.old.len().saturating_mul(self.new.len());
        if cost <= *budget {
            *budget -= cost;
            return self.longest(old, new, pairs);
        }
        let unique = match self.depth {
            DEEPEST.. => Vec::new(),
            _ => self.matches(old, new, true),
        };
        let anchors = if unique.is_empty() {
            // No item is there once on each side. Between these pairs nothing more is looked for.
            return pairs.extend(increasing(&self.matches(old, new, false)));
        } else {
            increasing(&unique)
        };
        let (mut old_from, mut new_from) = (self.old.start, self.new.start);
        let ends = std::iter::once((self.old.end, self.new.end));
        for (old_to, new_to) in anchors.iter().copied().chain(ends) {
            let depth = self.depth + 1;
            open.push(Stretch { old: old_from..old_to, new: new_from..new_to, depth });
            (old_from, new_from) = (old_to + 1, new_to + 1);
        }
        pairs.extend(anchors);
    }

    fn is_empty(&self) -> bool {
        self.old.is_empty() || self.new.is_empty()
    }

    /// A longest common subsequence.
    fn longest(&self, old: &[u128], new: &[u128], pairs: &mut Vec<(usize, usize)>) {
        let (old, new) = (&old[self.old.clone()], &new[self.new.clone()]);
        for operation in similar::capture_diff_slices(similar::Algorithm::RawMyers, old, new) {
            if let similar::DiffOp::Equal { old_index, new_index, len } = operation {
                let (old_at, new_at) = (self.old.start + old_index, self.new.start + new_index);
                pairs.extend((0..len).map(|at| (old_at + at, new_at + at)));
            }
        }
    }

    /// Pairs of equal items, in the order of the old ones: of those that each side has once, or of each item as many as both
    /// sides have.
    fn matches(&self, old: &[u128], new: &[u128], once: bool) -> Vec<(usize, usize)> {
        let mut places: HashMap<u128, Vec<usize>> = HashMap::new();
        for at in self.new.clone().rev() {
            places.entry(new[at]).or_default().push(at);
        }
        if once {
            let mut count: HashMap<u128, usize> = HashMap::new();
            self.old.clone().for_each(|at| *count.entry(old[at]).or_default() += 1);
            places.retain(|item, places| places.len() == 1 && count.get(item) == Some(&1));
        }
        let next = |at: usize| Some((at, places.get_mut(&old[at])?.pop()?));
        self.old.clone().filter_map(next).collect()
    }
}

/// A longest sequence of pairs that increases on both sides, of pairs that increase on the first.
fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair at which a sequence of it ends earliest; for each pair, the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (number, (_, new)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *new);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = number,
            None => ends.push(number),
        }
    }
    let mut sequence = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(number) = at {
        sequence.push(pairs[number]);
        at = before[number];
    }
    sequence.reverse();
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of equal items, increasing on both sides.
    fn checked(old: &[u128], new: &[u128]) -> usize {
        let pairs = aligned_items(old, new);
        assert!(pairs.iter().all(|(at, other)| old[*at] == new[*other]));
        assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
        pairs.len()
    }

    /// The length of a longest common subsequence, by the textbook.
    fn longest(old: &[u128], new: &[u128]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for one in old {
            let mut diagonal = 0;
            for (at, other) in new.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if one == other { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row[new.len()]
    }

    fn random(seed: &mut u64, below: u64) -> u128 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u128::from((*seed >> 33) % below)
    }

    #[test]
    fn short_arrays_are_aligned_as_well_as_can_be() {
        let mut seed = 1;
        for round in 0..2000 {
            let (lengths, kinds) = ((round % 40, round % 37), 1 + round % 11);
            let mut items =
                |length| -> Vec<u128> { (0..length).map(|_| random(&mut seed, kinds)).collect() };
            let (old, new) = (items(lengths.0), items(lengths.1));
            assert_eq!(checked(&old, &new), longest(&old, &new), "{old:?} {new:?}");
        }
    }

    #[test]
    fn long_arrays_are_aligned_where_they_have_an_order_in_common() {
        let count = 200_000u128;
        let old: Vec<u128> = (0..count).collect();
        // Reversed, only one item keeps its place.
        assert_eq!(checked(&old, &old.iter().rev().copied().collect::<Vec<_>>()), 1);
        // One of ten changed, one of seven removed.
        let new: Vec<u128> = old
            .iter()
            .filter(|item| *item % 7 != 0)
            .map(|item| if item % 10 == 1 { item + count } else { *item })
            .collect();
        let kept = old.iter().filter(|item| *item % 7 != 0 && *item % 10 != 1).count();
        assert_eq!(checked(&old, &new), kept);
        // Two halves exchanged: one of them stays.
        let new: Vec<u128> = old[100_000..].iter().chain(&old[..100_000]).copied().collect();
        assert_eq!(checked(&old, &new), 100_000);
        // Ten items over and over, in another order each time.
        let mut seed = 7;
        let mut few = || -> Vec<u128> { (0..200_000).map(|_| random(&mut seed, 10)).collect() };
        assert!(checked(&few(), &few()) > 1000);
    }
}
