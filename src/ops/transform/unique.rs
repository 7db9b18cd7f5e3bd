//! Documents whose unique value an earlier document has.

use std::collections::HashMap;
use std::num::NonZeroU128;

use crate::fingerprints::Fingerprints;
use crate::mapping::{Mapped, Plan};

/// A value of a unique index: the number of its class, and its fingerprint.
pub(crate) type UniqueValue = (usize, NonZeroU128);

/// The unique values of a source's documents so far.
#[derive(Debug, Default)]
pub(crate) struct SeenValues(Vec<Fingerprints>);

impl SeenValues {
    /// None yet, for the mapping's unique indexes and so many others that a target keeps.
    pub fn new(plan: &Plan, kept: usize) -> Self {
        let classes = plan.unique_classes() + kept;
        SeenValues((0..classes).map(|_| Fingerprints::default()).collect())
    }

    /// The documents of a batch whose unique value an earlier document has, by their index.
    /// Remembers the values of the others. Batches come in their order.
    pub fn duplicates(&mut self, plan: &Plan, mapped: &Mapped) -> HashMap<usize, UniqueValue> {
        let mut values: Vec<(usize, UniqueValue)> = values(plan, mapped).collect();
        // Those of unwound documents come behind all others.
        values.sort_by_key(|(index, _)| *index);
        let mut duplicates = HashMap::new();
        for of_document in values.chunk_by(|(one, _), (other, _)| one == other) {
            let is_seen = |(number, (_, (class, value))): &(usize, &(usize, UniqueValue))| {
                self.0[*class].contains(value.get())
                    || of_document[..*number]
                        .iter()
                        .any(|(_, earlier)| *earlier == (*class, *value))
            };
            match of_document.iter().enumerate().find(is_seen) {
                // The other values of a document that is refused do not count as seen.
                Some((_, (index, value))) => {
                    duplicates.insert(*index, *value);
                }
                None => {
                    for (_, (class, value)) in of_document {
                        self.0[*class].insert(value.get());
                    }
                }
            }
        }
        duplicates
    }
}

/// The unique values of a batch's documents, by their index.
pub(super) fn values<'m>(
    plan: &Plan,
    mapped: &'m Mapped,
) -> impl Iterator<Item = (usize, UniqueValue)> + use<'m> {
    let classes = plan.unique_classes();
    let single = mapped.fingerprints.iter().enumerate();
    let single = single.filter_map(move |(number, fingerprint)| {
        Some((number / classes, (number % classes, (*fingerprint)?)))
    });
    let several = mapped.unwound_fingerprints.iter();
    single.chain(several.map(|(index, class, value)| (*index, (*class, *value))))
}
