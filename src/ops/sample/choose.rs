//! The first pass: which documents stand for the kinds of a collection.

use std::collections::{BTreeMap, BTreeSet};

use super::kinds::{Kinds, Limits, MOST_ORDERS, MOST_PLACES, MOST_VALUE_BYTES, MOST_VALUES};
use crate::base::documents::{Checking, Located, each_document};
use crate::disk::Disk;
use crate::dump::{Collection, Dump};
use crate::error::{Error, Result};
use crate::fingerprints::{ClassValue, Fingerprints, document_digest, insert_all};
use crate::mapping::{Mapped, Mapper, Plan};
use crate::ops::source::open_documents;
use crate::progress::Progress;

/// What was chosen of a collection.
#[derive(Debug)]
pub(super) struct Choice {
    pub documents: u64,
    pub bytes: u64,
    /// The sum of the documents' digests, to notice if they change until they are copied.
    pub digest: u128,
    pub kinds: Kinds,
    /// The documents that stand for kinds, by number from 1, with these kinds.
    pub chosen: BTreeMap<u64, Vec<usize>>,
    duplicates: Duplicates,
}

/// Documents of which an earlier one has a unique value, a bit each.
#[derive(Debug, Default)]
struct Duplicates {
    bits: Vec<u64>,
    count: u64,
}

impl Duplicates {
    fn add(&mut self, number: u64) {
        let word = (number / 64) as usize;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (number % 64);
        self.count += 1;
    }
    fn has(&self, number: u64) -> bool {
        self.bits.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

/// Chooses documents of a collection: the first of each kind.
pub(super) fn choose(
    disk: &Disk,
    dump: &Dump,
    source: &Collection,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Choice> {
    let mut choosing = Choosing::new(plan);
    let (mut documents, total) = open_documents(disk, dump, source)?;
    progress.start(&source.namespace(), total);
    let counts = each_document(&mut documents, Checking::Framing, progress, |document| {
        choosing.document(document)
    })?;
    progress.finish();
    if counts.documents == 0 {
        return Err(Error::Check(format!(
            "{} has no documents, so there is nothing to take a sample of",
            source.namespace()
        )));
    }
    let twins = choosing.twins(disk, dump, source, progress)?;
    let Choosing { mut kinds, digest, duplicates, .. } = choosing;
    Ok(Choice {
        documents: counts.documents,
        bytes: counts.bytes,
        digest,
        chosen: kinds.chosen(twins.into_iter()),
        kinds,
        duplicates,
    })
}

struct Choosing<'p> {
    plan: &'p Plan,
    mapper: Mapper<'p>,
    mapped: Mapped,
    kinds: Kinds,
    number: u64,
    digest: u128,
    /// The unique values of each class.
    seen: Vec<Fingerprints>,
    duplicates: Duplicates,
    /// Unique values of documents that were chosen and are duplicates. Kinds are bounded, so these
    /// are.
    wanted: BTreeSet<ClassValue>,
}

impl<'p> Choosing<'p> {
    fn new(plan: &'p Plan) -> Self {
        Choosing {
            plan,
            mapper: Mapper::new(plan),
            mapped: Mapped::default(),
            kinds: Kinds::new(plan),
            number: 0,
            digest: 0,
            seen: (0..plan.unique_classes()).map(|_| Fingerprints::default()).collect(),
            duplicates: Duplicates::default(),
            wanted: BTreeSet::new(),
        }
    }

    fn document(&mut self, located: Located<'_>) -> Result<()> {
        self.number += 1;
        let (document, number) = (located.bytes(), self.number);
        self.map(&located)?;
        self.digest = self.digest.wrapping_add(document_digest(document));
        let mut is_first = self.kinds.observe(document, number);
        match self.duplicate() {
            // It is refused wherever the other is there, so nothing else is found in it.
            Some(value) => {
                self.duplicates.add(number);
                is_first |= self.kinds.refusal(&self.plan.duplicate(value.0).kind(), number);
                if is_first {
                    self.wanted.insert(value);
                }
            }
            None => {
                self.kinds.extremes(document, number);
                for (rule, _) in self.mapped.findings.iter(self.plan) {
                    self.kinds.finding(&rule.name, number);
                }
                if let Some(refused) = self.mapped.refused.first() {
                    self.kinds.refusal(&refused.reason.kind(), number);
                }
            }
        }
        Ok(())
    }

    fn map(&mut self, located: &Located<'_>) -> Result<()> {
        let mapped = self.mapper.map(std::iter::once(located.bytes()), |_| None, &mut self.mapped);
        mapped.map_err(|(_, fault)| Error::document(located.position(), fault))
    }

    /// A unique value of the mapped document that it or an earlier one has. Remembers the values of
    /// others, as `transform` does.
    fn duplicate(&mut self) -> Option<ClassValue> {
        insert_all(&mut self.seen, &unique_values(&self.mapped))
    }

    /// The first documents with the values of chosen duplicates. Only fingerprints were kept, so the
    /// source is read again, if there are any, until all are found.
    fn twins(
        &mut self,
        disk: &Disk,
        dump: &Dump,
        source: &Collection,
        progress: &dyn Progress,
    ) -> Result<BTreeSet<u64>> {
        let mut twins = BTreeSet::new();
        let mut wanted = std::mem::take(&mut self.wanted);
        if wanted.is_empty() {
            return Ok(twins);
        }
        let (mut documents, total) = open_documents(disk, dump, source)?;
        progress.start(&source.namespace(), total);
        let mut number = 0;
        each_document(&mut documents, Checking::Framing, progress, |located| {
            number += 1;
            if wanted.is_empty() || self.duplicates.has(number) {
                return Ok(());
            }
            self.map(&located)?;
            for value in unique_values(&self.mapped) {
                if wanted.remove(&value) {
                    twins.insert(number);
                }
            }
            Ok(())
        })?;
        progress.finish();
        Ok(twins)
    }
}

fn unique_values(mapped: &Mapped) -> Vec<ClassValue> {
    let single = mapped.fingerprints.iter().enumerate();
    let single = single.filter_map(|(class, value)| Some((class, (*value)?)));
    let several = mapped.unwound_fingerprints.iter().map(|(_, class, value)| (*class, *value));
    single.chain(several).collect()
}

/// Takes so many documents besides the chosen ones, spread evenly.
pub(super) struct Spread {
    /// The documents to choose from.
    among: u64,
    takes: u64,
    seen: u64,
}

impl Choice {
    /// What is taken besides the chosen documents if so many are asked for.
    pub fn spread(&self, asked: u64) -> Spread {
        let chosen = self.chosen.len() as u64;
        let is_duplicate = |number: &&u64| self.duplicates.has(**number);
        let duplicates =
            self.duplicates.count - self.chosen.keys().filter(is_duplicate).count() as u64;
        let among = self.documents - chosen - duplicates;
        Spread { among, takes: asked.saturating_sub(chosen).min(among), seen: 0 }
    }
}

impl Spread {
    /// Whether the document with this number is taken, which is none of the chosen.
    pub fn takes(&mut self, choice: &Choice, number: u64) -> bool {
        if self.takes == 0 || choice.duplicates.has(number) {
            return false;
        }
        let taken =
            |seen: u64| u128::from(seen) * u128::from(self.takes) / u128::from(self.among.max(1));
        let before = taken(self.seen);
        let now = taken(self.seen + 1);
        self.seen += 1;
        now > before
    }
}

impl Limits {
    /// What was not told apart, in words.
    pub fn describe(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if self.orders {
            texts.push(format!("field orders after the first {MOST_ORDERS}"));
        }
        if self.places {
            texts.push(format!("types of fields after the first {MOST_PLACES} places"));
        }
        if self.values {
            texts.push(format!(
                "values of a field after the first {MOST_VALUES}, or of more than {MOST_VALUE_BYTES} bytes"
            ));
        }
        texts
    }
}
