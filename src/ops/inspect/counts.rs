//! What an assessment counts: distributions, and how often each of many values occurs.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

/// How many documents have a value in each of some ranges.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The greatest value of each range but the last, ascending.
    bounds: &'static [u64],
    documents: Vec<u64>,
}

/// A range of a [`Distribution`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The least value.
    pub from: u64,
    /// The greatest value; none for the last range.
    pub to: Option<u64>,
    /// The documents whose value is in it.
    pub documents: u64,
}

impl Distribution {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Distribution { bounds, documents: vec![0; bounds.len() + 1] }
    }

    pub(super) fn count(&mut self, value: u64) {
        let range = self.bounds.partition_point(|bound| *bound < value);
        self.documents[range] += 1;
    }

    pub(super) fn append(&mut self, other: &Distribution) {
        for (sum, documents) in self.documents.iter_mut().zip(&other.documents) {
            *sum += documents;
        }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + '_ {
        self.documents.iter().enumerate().map(|(number, documents)| Range {
            from: number.checked_sub(1).map_or(0, |before| self.bounds[before] + 1),
            to: self.bounds.get(number).copied(),
            documents: *documents,
        })
    }
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.ranges())
    }
}

/// How often each value occurs: exactly while there are few different ones, then of the most
/// frequent.
#[derive(Debug)]
pub(super) struct Frequent {
    /// So many values are kept.
    most: usize,
    counts: HashMap<u128, u64>,
    is_exact: bool,
}

impl Frequent {
    /// Keeps so many different values.
    pub fn new(most: usize) -> Self {
        Frequent { most, counts: HashMap::new(), is_exact: true }
    }

    /// Counts a value, by its fingerprint.
    pub fn add(&mut self, value: u128, times: u64) {
        *self.counts.entry(value).or_default() += times;
        // Room for as many again, so that the rare ones are looked for rarely.
        if self.counts.len() > 2 * self.most {
            self.drop_rare();
        }
    }

    fn drop_rare(&mut self) {
        self.is_exact = false;
        let mut all: Vec<(u128, u64)> = self.counts.drain().collect();
        // The value decides between equals, so that the result depends on the values alone.
        all.sort_by_key(|(value, times)| (std::cmp::Reverse(*times), *value));
        all.truncate(self.most);
        self.counts = all.into_iter().collect();
    }

    /// The counts of all values, by value; whether none is missing.
    pub fn finish(mut self) -> Counts {
        if self.counts.len() > self.most {
            self.drop_rare();
        }
        let mut times: Vec<u64> = self.counts.into_values().collect();
        times.sort_unstable();
        Counts { times, is_exact: self.is_exact }
    }

    /// Adds what another has counted of few values, none of which it has dropped.
    pub fn append(&mut self, later: &mut Frequent) {
        let mut all: Vec<(u128, u64)> = later.counts.drain().collect();
        // In an order that depends on the values alone, as the rare ones may be dropped meanwhile.
        all.sort_unstable();
        all.into_iter().for_each(|(value, times)| self.add(value, times));
    }
}

/// How often values occur, ascending.
#[derive(Debug)]
pub(super) struct Counts {
    pub times: Vec<u64>,
    /// No value is missing, and each was counted from its first time.
    pub is_exact: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_one_range() {
        let mut sizes = Distribution::new(&[0, 5, 20]);
        [0, 1, 5, 6, 20, 21, 1_000_000].into_iter().for_each(|value| sizes.count(value));
        let range = |from, to, documents| Range { from, to, documents };
        let ranges: Vec<Range> = sizes.ranges().collect();
        let expected =
            [range(0, Some(0), 1), range(1, Some(5), 2), range(6, Some(20), 2), range(21, None, 2)];
        assert_eq!(ranges, expected);
    }

    #[test]
    fn the_frequent_are_kept() {
        let mut few = Frequent::new(4);
        (0..4).for_each(|value| few.add(value, value as u64 + 1));
        let counts = few.finish();
        assert_eq!((counts.times, counts.is_exact), (vec![1, 2, 3, 4], true));

        let mut many = Frequent::new(4);
        for round in 0..100 {
            many.add(7, 1);
            many.add(1000 + round, 1);
        }
        let counts = many.finish();
        assert_eq!((counts.times.last(), counts.is_exact), (Some(&100), false));
        assert_eq!(counts.times.len(), 4);
    }
}
