//! Documents whose unique value an earlier document has.

use std::collections::HashMap;

use crate::fingerprints::{ClassValue, Fingerprints, insert_all};
use crate::mapping::{Mapped, Plan};

/// A value of a unique index: the number of its class, and its fingerprint.
pub(crate) type UniqueValue = ClassValue;

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
        let mut all: Vec<(usize, UniqueValue)> = values(plan, mapped).collect();
        // Those of unwound documents come behind all others.
        all.sort_by_key(|(index, _)| *index);
        let (mut duplicates, mut values) = (HashMap::new(), Vec::new());
        for of_document in all.chunk_by(|(one, _), (other, _)| one == other) {
            values.clear();
            values.extend(of_document.iter().map(|(_, value)| *value));
            // The other values of a document that is refused do not count as seen.
            if let Some(value) = insert_all(&mut self.0, &values) {
                duplicates.insert(of_document[0].0, value);
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
