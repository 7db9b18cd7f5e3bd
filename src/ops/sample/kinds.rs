//! What kinds of documents there are in a collection, and which document shows each first.
//!
//! Memory is bounded whatever the documents look like: what comes after the limits is not told apart,
//! which is reported.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::mapping::{Counted, Plan};
use crate::raw::{Elements, kind};

/// More field orders are not told apart.
pub(super) const MOST_ORDERS: usize = 4096;
/// More places (fields, and items of arrays) are not followed.
pub(super) const MOST_PLACES: usize = 4096;
/// More values of a field of `[assess]` are not told apart, nor are longer ones.
pub(super) const MOST_VALUES: usize = 1000;
pub(super) const MOST_VALUE_BYTES: usize = 256;
/// How many levels of fields and items are followed; the document's own fields are the first.
const LEVELS: usize = 4;
/// So many names of an embedded document have a place each; the rest, which may be data, share one.
const MOST_NAMES: usize = 32;
/// The same of the document itself.
const MOST_TOP_NAMES: usize = 1024;
const MOST_NAME_BYTES: usize = 256;

/// What a document of a sample stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The sequence of its fields: the number of the order, from 1.
    Order(usize),
    /// A type at a place.
    Type {
        place: usize,
        kind: u8,
    },
    /// A rule that it breaks.
    Finding(String),
    /// Why a server would refuse it.
    Refusal(String),
    /// A value of a field of `[assess]`: its type and bytes.
    Value {
        path: usize,
        kind: u8,
        bytes: Box<[u8]>,
    },
    /// It has the most bytes.
    Largest,
    /// It has the first or the last date of a field, or the longest array.
    Oldest(usize),
    Newest(usize),
    Longest(usize),
    /// It has a unique value that a later document has too, which is refused.
    Twin,
}

/// The groups of kinds, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Group {
    /// Sequences of field names.
    FieldOrder,
    /// Types of a field or an item.
    Type,
    /// Rules that documents break.
    Finding,
    /// Reasons for which a server would refuse a document.
    Refusal,
    /// Values of the fields that the mapping assesses by value.
    Value,
    /// The largest, the oldest, the newest, and those with the longest arrays.
    Extreme,
    /// The first of two documents with one unique value.
    Twin,
}

impl What {
    pub fn group(&self) -> Group {
        match self {
            What::Order(_) => Group::FieldOrder,
            What::Type { .. } => Group::Type,
            What::Finding(_) => Group::Finding,
            What::Refusal(_) => Group::Refusal,
            What::Value { .. } => Group::Value,
            What::Largest | What::Oldest(_) | What::Newest(_) | What::Longest(_) => Group::Extreme,
            What::Twin => Group::Twin,
        }
    }
}

/// A kind of document.
#[derive(Debug)]
pub(super) struct Kind {
    pub what: What,
    /// The number of the document that stands for it, from 1.
    pub document: u64,
    /// How many documents are of it.
    pub documents: u64,
    last: u64,
}

/// A place in documents.
#[derive(Debug, Default)]
struct Place {
    children: HashMap<Box<[u8]>, usize>,
    /// Where names beyond the first are.
    others: Option<usize>,
    /// Where the items are, if it is an array.
    items: Option<usize>,
    /// The kinds of its types.
    kinds: Vec<(u8, usize)>,
    /// The place that it is in, and its name there; none of what has many names. Items have the name
    /// `[]`.
    above: usize,
    name: Step,
}

/// How a place is named in the one above.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Step {
    Name(Box<[u8]>),
    #[default]
    Others,
    Items,
}

/// What was seen of a collection.
#[derive(Debug)]
pub(super) struct Kinds {
    kinds: Vec<Kind>,
    orders: HashMap<u128, usize>,
    places: Vec<Place>,
    findings: HashMap<String, usize>,
    refusals: HashMap<String, usize>,
    /// For each path by whose values documents are told apart.
    values: Vec<(Counted, KindOfValue)>,
    largest: Extreme,
    dates: Vec<(Counted, [Extreme; 2])>,
    lengths: Vec<(Counted, Extreme)>,
    pub limits: Limits,
}

/// The kind of each value, by its type and bytes.
type KindOfValue = HashMap<Box<[u8]>, usize>;

/// Whether something was not told apart.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Limits {
    pub orders: bool,
    pub places: bool,
    pub values: bool,
}

/// The document with the most of something so far.
#[derive(Debug, Default, Clone, Copy)]
struct Extreme(Option<(i128, u64)>);

impl Extreme {
    fn note(&mut self, value: i128, document: u64) {
        if self.0.is_none_or(|(most, _)| value > most) {
            self.0 = Some((value, document));
        }
    }
}

impl Kinds {
    pub fn new(plan: &Plan) -> Self {
        let assessed = plan.assess();
        Kinds {
            kinds: Vec::new(),
            orders: HashMap::new(),
            places: vec![Place::default()],
            findings: HashMap::new(),
            refusals: HashMap::new(),
            values: assessed.values.iter().cloned().map(|path| (path, HashMap::new())).collect(),
            largest: Extreme::default(),
            dates: assessed.dates.iter().cloned().map(|path| (path, Default::default())).collect(),
            lengths: assessed
                .lengths
                .iter()
                .cloned()
                .map(|path| (path, Default::default()))
                .collect(),
            limits: Limits::default(),
        }
    }

    /// Notes what a valid document looks like. Returns whether it is the first of any kind.
    pub fn observe(&mut self, document: &[u8], number: u64) -> bool {
        let before = self.kinds.len();
        self.order(document, number);
        self.types(document, number);
        self.assessed_values(document, number);
        self.kinds.len() > before
    }

    /// Notes that a document breaks a rule.
    pub fn finding(&mut self, rule: &str, number: u64) {
        let kind = self.findings.get(rule).copied();
        let kind = self.count(kind, number, || What::Finding(rule.to_owned()));
        self.findings.insert(rule.to_owned(), kind);
    }

    /// Notes why a server would refuse a document. Returns whether it is the first.
    pub fn refusal(&mut self, reason: &str, number: u64) -> bool {
        let before = self.kinds.len();
        let kind = self.refusals.get(reason).copied();
        let kind = self.count(kind, number, || What::Refusal(reason.to_owned()));
        self.refusals.insert(reason.to_owned(), kind);
        self.kinds.len() > before
    }

    /// Notes whether a document is the largest, the oldest, the newest or has the longest arrays.
    pub fn extremes(&mut self, document: &[u8], number: u64) {
        self.largest.note(document.len() as i128, number);
        for (path, [oldest, newest]) in &mut self.dates {
            let Some(value) = path.value(document) else { continue };
            let iso = value.text().and_then(Plan::iso_millis);
            if let Some(millis) = value.date_millis().or(iso) {
                oldest.note(-i128::from(millis), number);
                newest.note(millis.into(), number);
            }
        }
        for (path, longest) in &mut self.lengths {
            let array = path.value(document).filter(|value| value.kind == kind::ARRAY);
            if let Some(array) = array {
                longest.note(array.elements().count() as i128, number);
            }
        }
    }

    /// All kinds, by the document that stands for each. `twins` are the first of two documents with
    /// one unique value.
    pub fn chosen(&mut self, twins: impl Iterator<Item = u64>) -> BTreeMap<u64, Vec<usize>> {
        let extremes = std::iter::once((What::Largest, self.largest))
            .chain(self.dates.iter().enumerate().flat_map(|(path, (_, [oldest, newest]))| {
                [(What::Oldest(path), *oldest), (What::Newest(path), *newest)]
            }))
            .chain(
                self.lengths
                    .iter()
                    .enumerate()
                    .map(|(path, (_, longest))| (What::Longest(path), *longest)),
            );
        let extremes =
            extremes.filter_map(|(what, Extreme(most))| most.map(|(_, document)| (what, document)));
        let twins = twins.map(|document| (What::Twin, document));
        let further: Vec<(What, u64)> = extremes.chain(twins).collect();
        self.kinds.extend(further.into_iter().map(|(what, document)| Kind {
            what,
            document,
            documents: 1,
            last: document,
        }));
        let mut chosen = BTreeMap::<u64, Vec<usize>>::new();
        for (number, kind) in self.kinds.iter().enumerate() {
            chosen.entry(kind.document).or_default().push(number);
        }
        chosen
    }

    pub fn get(&self, number: usize) -> &Kind {
        &self.kinds[number]
    }

    /// The number of kinds of each group.
    pub fn by_group(&self) -> BTreeMap<Group, u64> {
        let mut groups = BTreeMap::new();
        self.kinds.iter().for_each(|kind| *groups.entry(kind.what.group()).or_default() += 1);
        groups
    }

    /// The path of a field of `[assess]` that a kind names.
    pub fn assessed(&self, what: &What) -> Option<&Counted> {
        match what {
            What::Value { path, .. } => self.values.get(*path).map(|(path, _)| path),
            What::Oldest(path) | What::Newest(path) => self.dates.get(*path).map(|(path, _)| path),
            What::Longest(path) => self.lengths.get(*path).map(|(path, _)| path),
            _ => None,
        }
    }

    /// How a place is reached from the document.
    pub fn steps(&self, mut place: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while place != 0 {
            steps.push(self.places[place].name.clone());
            place = self.places[place].above;
        }
        steps.reverse();
        steps
    }

    /// Counts a document of a kind, which is new if it is none.
    fn count(&mut self, kind: Option<usize>, document: u64, what: impl FnOnce() -> What) -> usize {
        let Some(number) = kind else {
            self.kinds.push(Kind { what: what(), document, documents: 1, last: document });
            return self.kinds.len() - 1;
        };
        let kind = &mut self.kinds[number];
        kind.documents += u64::from(kind.last != document);
        kind.last = document;
        number
    }

    fn order(&mut self, document: &[u8], number: u64) {
        let mut hash = Xxh3Default::new();
        Elements::new(document).for_each(|element| hash.update(element.key_nul()));
        let order = hash.digest128();
        let known = self.orders.get(&order).copied();
        if known.is_none() && self.orders.len() >= MOST_ORDERS {
            self.limits.orders = true;
            return;
        }
        let name = self.orders.len() + 1;
        let kind = self.count(known, number, || What::Order(name));
        self.orders.insert(order, kind);
    }

    fn types(&mut self, document: &[u8], number: u64) {
        // As deep as levels are followed.
        let mut open = vec![(Elements::new(document), 0, false)];
        while let Some((elements, place, is_array)) = open.last_mut() {
            let Some(element) = elements.next() else {
                open.pop();
                continue;
            };
            let name = if *is_array { None } else { Some(element.key()) };
            let place = *place;
            let Some(child) = self.child(place, name) else {
                self.limits.places = true;
                continue;
            };
            let value = element.value();
            self.note_type(child, value.kind, number);
            if open.len() < LEVELS {
                match value.kind {
                    kind::DOCUMENT => open.push((value.elements(), child, false)),
                    kind::ARRAY => open.push((value.elements(), child, true)),
                    _ => {}
                }
            }
        }
    }

    fn note_type(&mut self, place: usize, kind: u8, number: u64) {
        let known = self.places[place].kinds.iter().find(|(of, _)| *of == kind);
        let known = known.map(|(_, number)| *number);
        let noted = self.count(known, number, || What::Type { place, kind });
        if known.is_none() {
            self.places[place].kinds.push((kind, noted));
        }
    }

    /// The place of this name in another; without a name, that of its items.
    fn child(&mut self, place: usize, name: Option<&[u8]>) -> Option<usize> {
        let here = &self.places[place];
        let most = if place == 0 { MOST_TOP_NAMES } else { MOST_NAMES };
        let has_room = here.children.len() < most;
        let known = match name {
            None => here.items,
            Some(name) => match here.children.get(name) {
                None if name.len() > MOST_NAME_BYTES || !has_room => here.others,
                known => known.copied(),
            },
        };
        if known.is_some() || self.places.len() >= MOST_PLACES {
            return known;
        }
        let child = self.places.len();
        let here = &mut self.places[place];
        let step = match name {
            None => {
                here.items = Some(child);
                Step::Items
            }
            Some(name) if name.len() > MOST_NAME_BYTES || !has_room => {
                here.others = Some(child);
                Step::Others
            }
            Some(name) => {
                here.children.insert(name.into(), child);
                Step::Name(name.into())
            }
        };
        self.places.push(Place { above: place, name: step, ..Place::default() });
        Some(child)
    }

    fn assessed_values(&mut self, document: &[u8], number: u64) {
        for at in 0..self.values.len() {
            let Some(value) = self.values[at].0.value(document) else { continue };
            let key: Box<[u8]> = [&[value.kind], value.bytes].concat().into();
            let known = self.values[at].1.get(&key).copied();
            let is_new = known.is_none();
            if is_new && (self.values[at].1.len() >= MOST_VALUES || key.len() > MOST_VALUE_BYTES) {
                self.limits.values = true;
                continue;
            }
            let what = || What::Value { path: at, kind: value.kind, bytes: value.bytes.into() };
            let kind = self.count(known, number, what);
            if is_new {
                self.values[at].1.insert(key, kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Document, doc};

    fn kinds(documents: impl IntoIterator<Item = Document>) -> Kinds {
        let mut kinds = Kinds::new(&Plan::built_in().expect("the plan"));
        for (number, document) in (1..).zip(documents) {
            let bytes = document.to_vec().expect("a document");
            kinds.observe(&bytes, number);
            kinds.extremes(&bytes, number);
        }
        kinds
    }

    #[test]
    fn each_kind_has_the_first_document_that_shows_it() {
        let mut kinds = kinds([
            doc! { "a": 1, "b": [1, "x"] },
            doc! { "a": 2, "b": [2] },
            doc! { "b": [], "a": 2 },
            doc! { "a": "x", "pii_risk_level": "low", "transformation_history": [1] },
            doc! { "a": 1, "c": "a long text, so that it is the largest of all of these documents" },
        ]);
        let chosen = kinds.chosen(std::iter::empty());
        assert_eq!(chosen.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 5]);
        let whats = |document: u64| -> Vec<What> {
            chosen[&document].iter().map(|kind| kinds.get(*kind).what.clone()).collect()
        };
        assert_eq!(whats(3), [What::Order(2)]);
        assert!(whats(5).contains(&What::Largest) && whats(4).contains(&What::Longest(0)));
        assert_eq!(kinds.get(chosen[&1][0]).documents, 2);
        assert_eq!(kinds.by_group()[&Group::Value], 1);
    }

    #[test]
    fn what_is_told_apart_is_bounded() {
        let wide = |number: u32| -> Document {
            (0..900).map(|field| (format!("f{number}_{field}"), field.into())).collect()
        };
        let seen = kinds((0..20).map(wide));
        assert!(seen.places.len() <= MOST_TOP_NAMES + 2 && !seen.limits.places);
        let deep = |number: u32| doc! { format!("f{number}"): wide(number), "map": wide(number) };
        let seen = kinds((0..1000).map(deep));
        assert!(seen.places.len() == MOST_PLACES && seen.limits.places);
        let seen = kinds((0..5000).map(|number| doc! { format!("f{number}"): 1 }));
        assert!(seen.orders.len() == MOST_ORDERS && seen.limits.orders);
        let seen = kinds((0..2000).map(|number| doc! { "pii_risk_level": number }));
        assert!(seen.values[0].1.len() == MOST_VALUES && seen.limits.values);
    }
}
