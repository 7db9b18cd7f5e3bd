//! What is counted of a source's documents: their sizes, and the fields of the mapping's `[assess]`.

use serde::{Serialize, Serializer};

use super::counts::{Distribution, Frequent};
use crate::fingerprints::fingerprint_of;
use crate::mapping::{Assess, Counted};
use crate::raw::{Value, display_id, kind};

/// Bytes of documents.
const SIZES: &[u64] = &[1_000, 10_000, 100_000, 1_000_000];
/// Items of arrays.
const LENGTHS: &[u64] = &[0, 5, 20, 100, 1_000];
/// Documents of one owner.
const DOCUMENTS_OF_OWNER: &[u64] = &[1, 10, 100, 1_000, 10_000];
/// So many owners are counted exactly.
const MOST_OWNERS: usize = 10_000;

/// The document that has the most of something.
#[derive(Debug, Clone, Serialize)]
pub struct Most {
    /// How much.
    pub value: u64,
    /// Its `_id`, as messages show it.
    pub id: Option<String>,
}

/// An array, counted by its length.
#[derive(Debug, Serialize)]
pub struct Lengths {
    /// The field.
    pub field: String,
    /// The documents by the array's length.
    pub lengths: Distribution,
    /// All items.
    pub items: u64,
    /// The longest.
    pub longest: Option<Most>,
    /// Documents in which it is missing, or no array.
    pub without: u64,
}

/// A field, counted by its value.
#[derive(Debug, Serialize)]
pub struct Values {
    /// The field.
    pub field: String,
    /// The values that the mapping lists (`enum`), in its order.
    pub listed: Vec<ValueCount>,
    /// Documents with another value, which is not shown.
    pub other: u64,
    /// Documents in which it is null.
    pub null: u64,
    /// Documents without it.
    pub missing: u64,
}

/// How many documents have a value.
#[derive(Debug, Serialize)]
pub struct ValueCount {
    /// The value, as messages show it.
    pub value: String,
    /// The documents.
    pub documents: u64,
}

/// A field that names an owner. No owner's name is shown.
#[derive(Debug, Serialize)]
pub struct Owners {
    /// The field.
    pub field: String,
    /// How many owners there are; at least, if the count is not exact.
    pub owners: u64,
    /// There are at most 10,000 owners; else only the most frequent were counted.
    pub is_exact: bool,
    /// The owners by the number of their documents.
    pub documents: Distribution,
    /// The most documents of one owner.
    pub most: u64,
    /// Documents without an owner.
    pub without: u64,
}

/// A field that holds a date.
#[derive(Debug, Serialize)]
pub struct Dates {
    /// The field.
    pub field: String,
    /// The earliest, as RFC 3339.
    #[serde(serialize_with = "as_time")]
    pub first: Option<i64>,
    /// The latest.
    #[serde(serialize_with = "as_time")]
    pub last: Option<i64>,
    /// Documents in which it is a date.
    pub dates: u64,
    /// Documents in which it is missing, or of another type, such as text.
    pub without: u64,
}

fn as_time<S: Serializer>(millis: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    millis.map(time_text).serialize(serializer)
}

/// A date of BSON, milliseconds since 1970, as RFC 3339; beyond the year 9999 as a number.
pub fn time_text(millis: i64) -> String {
    crate::raw::display_value(Value { kind: kind::DATE, bytes: &millis.to_le_bytes() })
}

/// What is counted of documents.
#[derive(Debug)]
pub(super) struct Tally {
    pub documents: u64,
    pub bytes: u64,
    pub sizes: Distribution,
    pub largest: Option<Most>,
    pub lengths: Vec<Lengths>,
    pub values: Vec<Values>,
    owners: Vec<OwnerCounts>,
    pub dates: Vec<Dates>,
}

#[derive(Debug)]
struct OwnerCounts {
    field: String,
    documents: Frequent,
    without: u64,
}

/// Keeps the larger.
fn raise(most: &mut Option<Most>, value: u64, id: impl FnOnce() -> Option<String>) {
    if most.as_ref().is_none_or(|most| most.value < value) {
        *most = Some(Most { value, id: id() });
    }
}

impl Tally {
    pub fn new(assess: &Assess) -> Self {
        let lengths = |counted: &Counted| Lengths {
            field: counted.name.clone(),
            lengths: Distribution::new(LENGTHS),
            items: 0,
            longest: None,
            without: 0,
        };
        let values = |counted: &Counted| Values {
            field: counted.name.clone(),
            listed: counted.listed().map(|value| ValueCount { value, documents: 0 }).collect(),
            other: 0,
            null: 0,
            missing: 0,
        };
        let owners = |counted: &Counted| OwnerCounts {
            field: counted.name.clone(),
            documents: Frequent::new(MOST_OWNERS),
            without: 0,
        };
        let dates = |counted: &Counted| Dates {
            field: counted.name.clone(),
            first: None,
            last: None,
            dates: 0,
            without: 0,
        };
        Tally {
            documents: 0,
            bytes: 0,
            sizes: Distribution::new(SIZES),
            largest: None,
            lengths: assess.lengths.iter().map(lengths).collect(),
            values: assess.values.iter().map(values).collect(),
            owners: assess.owners.iter().map(owners).collect(),
            dates: assess.dates.iter().map(dates).collect(),
        }
    }

    /// Counts a valid document.
    pub fn observe(&mut self, assess: &Assess, document: &[u8]) {
        let size = document.len() as u64;
        self.documents += 1;
        self.bytes += size;
        self.sizes.count(size);
        raise(&mut self.largest, size, || display_id(document));
        for (counts, counted) in self.lengths.iter_mut().zip(&assess.lengths) {
            match counted.value(document).filter(|value| value.kind == kind::ARRAY) {
                None => counts.without += 1,
                Some(array) => {
                    let items = array.elements().count() as u64;
                    counts.lengths.count(items);
                    counts.items += items;
                    raise(&mut counts.longest, items, || display_id(document));
                }
            }
        }
        for (counts, counted) in self.values.iter_mut().zip(&assess.values) {
            match counted.value(document) {
                None => counts.missing += 1,
                Some(value) => match counted.number_of(value) {
                    Some(number) => counts.listed[number].documents += 1,
                    None if value.kind == kind::NULL => counts.null += 1,
                    None => counts.other += 1,
                },
            }
        }
        for (counts, counted) in self.owners.iter_mut().zip(&assess.owners) {
            match counted.value(document).filter(|value| value.kind != kind::NULL) {
                None => counts.without += 1,
                Some(owner) => counts.documents.add(fingerprint_of(owner), 1),
            }
        }
        for (counts, counted) in self.dates.iter_mut().zip(&assess.dates) {
            match counted.value(document).and_then(|value| value.date_millis()) {
                None => counts.without += 1,
                Some(date) => {
                    counts.dates += 1;
                    counts.first = Some(counts.first.map_or(date, |first| first.min(date)));
                    counts.last = Some(counts.last.map_or(date, |last| last.max(date)));
                }
            }
        }
    }

    /// Adds what was counted of later documents, which is cleared.
    pub fn append(&mut self, later: &mut Tally) {
        self.documents += later.documents;
        self.bytes += later.bytes;
        self.sizes.append(&later.sizes);
        if let Some(Most { value, id }) = later.largest.take() {
            raise(&mut self.largest, value, || id);
        }
        for (sum, later) in self.lengths.iter_mut().zip(&mut later.lengths) {
            sum.lengths.append(&later.lengths);
            sum.items += later.items;
            sum.without += later.without;
            if let Some(Most { value, id }) = later.longest.take() {
                raise(&mut sum.longest, value, || id);
            }
        }
        for (sum, later) in self.values.iter_mut().zip(&later.values) {
            for (sum, later) in sum.listed.iter_mut().zip(&later.listed) {
                sum.documents += later.documents;
            }
            sum.other += later.other;
            sum.null += later.null;
            sum.missing += later.missing;
        }
        for (sum, later) in self.owners.iter_mut().zip(&mut later.owners) {
            sum.without += later.without;
            sum.documents.append(&mut later.documents);
        }
        for (sum, later) in self.dates.iter_mut().zip(&later.dates) {
            sum.dates += later.dates;
            sum.without += later.without;
            sum.first = sum.first.into_iter().chain(later.first).min();
            sum.last = sum.last.into_iter().chain(later.last).max();
        }
    }

    /// The owners, counted.
    pub fn owners(&mut self) -> Vec<Owners> {
        let counted = |OwnerCounts { field, documents, without }: OwnerCounts| {
            let counts = documents.finish();
            let mut distribution = Distribution::new(DOCUMENTS_OF_OWNER);
            counts.times.iter().for_each(|times| distribution.count(*times));
            Owners {
                field,
                owners: counts.times.len() as u64,
                is_exact: counts.is_exact,
                documents: distribution,
                most: counts.times.last().copied().unwrap_or(0),
                without,
            }
        };
        self.owners.drain(..).map(counted).collect()
    }
}
