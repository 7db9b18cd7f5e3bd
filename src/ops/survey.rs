//! What is seen of a collection's documents: names, types, how often, and the `_id`s of first
//! examples. No other value.
//!
//! Memory is bounded whatever the documents look like. What stops being followed is never followed
//! again, so that all that is said of a place is about every value at it.

use std::collections::HashMap;

use crate::raw::{Elements, Value, display_id, kind};

/// How many places (fields, and items of arrays) are followed.
pub(super) const MOST_PLACES: usize = 4096;
/// How many levels of fields and items are followed; the document's own fields are the first.
pub(super) const LEVELS: u32 = 4;
/// Longer names are not followed.
pub(super) const MOST_NAME_BYTES: usize = 256;
/// An embedded document with more names than this is taken for a map.
const MOST_EMBEDDED_NAMES: usize = 32;

/// What was seen of a collection.
#[derive(Debug)]
pub(super) struct Survey {
    fields: Fields,
    /// The number of `_id`.
    id: Option<usize>,
    room: Room,
    /// Documents with a name of more than [`MOST_NAME_BYTES`].
    pub(super) with_long_names: DocumentCount,
    /// Documents with a field that came after [`MOST_PLACES`] others.
    pub(super) with_further_fields: DocumentCount,
    /// The first document.
    first: Example,
    /// The numbers of the fields that every document has had.
    in_all: Vec<usize>,
}

/// The `_id` of a document, as messages show it; none if it has no `_id`.
pub(super) type Example = Option<Box<str>>;

fn example(document: &[u8]) -> Example {
    display_id(document).map(String::into_boxed_str)
}

impl Default for Survey {
    /// Nothing seen yet. There is always room for `_id`, the key, and it comes first.
    fn default() -> Self {
        let mut fields = Fields::default();
        let mut room = Room { places: MOST_PLACES, ran_out: false };
        let id = fields.find_or_add(b"_id", None, &mut room);
        Survey {
            fields,
            id,
            room,
            with_long_names: DocumentCount::default(),
            with_further_fields: DocumentCount::default(),
            first: None,
            in_all: Vec::new(),
        }
    }
}

impl Survey {
    /// Adds a document, which must be valid.
    pub(super) fn observe(&mut self, document: &[u8]) {
        self.fields.documents += 1;
        let number = self.fields.documents;
        if number == 1 {
            self.first = example(document);
        }
        let mut before = self.id;
        for element in Elements::new(document) {
            let name = element.key();
            match self.fields.find_or_add(name, before, &mut self.room) {
                Some(field) => {
                    before = if self.fields.is_repeated(field) { before } else { Some(field) };
                    self.note_new(field);
                    let sight = Sight { document, value: element.value() };
                    self.fields.observe(field, sight, LEVELS, &mut self.room);
                }
                None if name.len() > MOST_NAME_BYTES => self.with_long_names.count(number),
                None => self.with_further_fields.count(number),
            }
        }
        let fields = &mut self.fields.fields;
        self.in_all.retain(|field| {
            let has = fields[*field].seen.has_last(number);
            if !has {
                fields[*field].lacking = Some(example(document));
            }
            has
        });
    }

    /// Notes which document lacks a field that is seen for the first time.
    fn note_new(&mut self, field: usize) {
        let field_seen = &mut self.fields.fields[field];
        if field_seen.seen.documents > 0 {
            return;
        }
        match self.fields.documents {
            1 => self.in_all.push(field),
            _ => field_seen.lacking = Some(self.first.clone()),
        }
    }

    /// Whether [`merge`](Survey::merge) would give what observing the same documents gives.
    pub(super) fn can_merge(&self, later: &Survey) -> bool {
        !self.room.ran_out && !later.room.ran_out && self.room.places >= later.fields.places()
    }

    /// Adds what was seen of later documents, if it [can](Survey::can_merge).
    pub(super) fn merge(&mut self, later: Survey) {
        if self.fields.documents == 0 {
            *self = later;
            return;
        }
        let Survey { fields, first, with_long_names, .. } = later;
        self.in_all.retain(|field| {
            let field = &mut self.fields.fields[*field];
            let number = fields.numbers.get(&field.name).copied();
            let also = number.map(|number| &fields.fields[number]);
            field.lacking = match also.filter(|also| also.seen.documents > 0) {
                None => Some(first.clone()),
                Some(also) => also.lacking.clone(),
            };
            field.lacking.is_none()
        });
        let known = self.fields.fields.len();
        self.fields.merge(fields, self.id, &mut self.room);
        for field in &mut self.fields.fields[known..] {
            field.lacking = Some(self.first.clone());
        }
        self.with_long_names.documents += with_long_names.documents;
    }

    /// How many documents were added.
    pub(super) fn documents(&self) -> u64 {
        self.fields.documents
    }

    /// The fields that were seen, in the order that the documents suggest.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.in_order().filter(|field| field.seen.documents > 0)
    }

    /// How many places are followed.
    #[cfg(test)]
    fn places(&self) -> usize {
        self.fields.places()
    }
}

/// A number of documents, each counted once.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct DocumentCount {
    pub(super) documents: u64,
    last: u64,
}

impl DocumentCount {
    /// Counts the document with this number, from 1, unless it was the last.
    fn count(&mut self, number: u64) {
        self.documents += u64::from(!self.has_last(number));
        self.last = number;
    }
    fn has_last(&self, number: u64) -> bool {
        self.last == number
    }
}

/// How many more places can be followed.
#[derive(Debug)]
struct Room {
    places: usize,
    /// Once a place was turned away, no other is taken: it may have been there before, unseen.
    ran_out: bool,
}

impl Room {
    fn take(&mut self) -> bool {
        self.ran_out |= self.places == 0;
        self.places -= usize::from(!self.ran_out);
        !self.ran_out
    }
}

/// The fields of documents.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The number of documents.
    documents: u64,
    fields: Vec<Field>,
    numbers: HashMap<Box<[u8]>, usize>,
    order: Vec<usize>,
}

/// A field of documents.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<[u8]>,
    pub(super) seen: DocumentCount,
    /// The documents that have it more than once.
    pub(super) repeated: DocumentCount,
    /// Its values, in all documents.
    pub(super) values: Values,
    /// Of the document's own fields: the first document that lacks it, if one does.
    pub(super) lacking: Option<Example>,
}

/// A value of a document.
#[derive(Debug, Clone, Copy)]
struct Sight<'d> {
    document: &'d [u8],
    value: Value<'d>,
}

impl<'d> Sight<'d> {
    fn of(self, value: Value<'d>) -> Self {
        Sight { value, ..self }
    }
}

impl Fields {
    /// The number of a field. A new one is put behind the field `before` it, or in front.
    fn find_or_add(
        &mut self,
        name: &[u8],
        before: Option<usize>,
        room: &mut Room,
    ) -> Option<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if name.len() > MOST_NAME_BYTES || !room.take() {
            return None;
        }
        let number = self.fields.len();
        let at = before.and_then(|before| self.order.iter().position(|field| *field == before));
        self.order.insert(at.map_or(0, |at| at + 1), number);
        self.numbers.insert(name.into(), number);
        self.fields.push(Field {
            name: name.into(),
            seen: DocumentCount::default(),
            repeated: DocumentCount::default(),
            values: Values::default(),
            lacking: None,
        });
        Some(number)
    }

    /// Whether the current document has had the field with this number already.
    fn is_repeated(&self, number: usize) -> bool {
        self.fields[number].seen.has_last(self.documents)
    }

    /// Adds a value of the field with this number, in the current document.
    fn observe(&mut self, number: usize, sight: Sight<'_>, levels: u32, room: &mut Room) {
        let is_repeated = self.is_repeated(number);
        let field = &mut self.fields[number];
        if is_repeated {
            field.repeated.count(self.documents);
        }
        field.seen.count(self.documents);
        field.values.observe(sight, levels - 1, room);
    }

    /// Adds an embedded document. Returns false if such documents are not regular.
    fn observe_embedded(&mut self, sight: Sight<'_>, levels: u32, room: &mut Room) -> bool {
        self.documents += 1;
        let mut before = None;
        for element in sight.value.elements() {
            before = self.find_or_add(element.key(), before, room);
            let is_map = self.fields.len() > MOST_EMBEDDED_NAMES;
            match before {
                Some(field) if !is_map && unsayable(element.key()).is_none() => {
                    self.observe(field, sight.of(element.value()), levels, room);
                }
                _ => return false,
            }
        }
        true
    }

    /// Adds the fields of later documents, the first behind the field `before` it. Returns false at
    /// the first that there is no room for.
    fn merge(&mut self, later: Fields, mut before: Option<usize>, room: &mut Room) -> bool {
        self.documents += later.documents;
        let Fields { mut fields, order, .. } = later;
        for number in order {
            let later = &mut fields[number];
            if later.seen.documents == 0 {
                continue;
            }
            before = self.find_or_add(&later.name, before, room);
            let Some(number) = before else { return false };
            let field = &mut self.fields[number];
            field.seen.documents += later.seen.documents;
            field.repeated.documents += later.repeated.documents;
            field.values.merge(std::mem::take(&mut later.values), room);
        }
        true
    }

    /// The fields in the order of the documents.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Field> {
        self.order.iter().map(|number| &self.fields[*number])
    }

    /// The number of documents.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// Whether a document has at least half of the names on average. The names of a document that
    /// is used as a map are data: few of its documents have the same.
    fn is_regular(&self) -> bool {
        let seen: u64 = self.fields.iter().map(|field| field.seen.documents).sum();
        !self.fields.is_empty() && 2 * seen >= self.fields.len() as u64 * self.documents
    }

    fn places(&self) -> usize {
        self.fields.iter().map(|field| 1 + field.values.places()).sum()
    }
}

/// The values of one type at a place.
#[derive(Debug, Clone)]
pub(super) struct TypeSeen {
    /// The element type.
    pub(super) kind: u8,
    /// How many values have it.
    pub(super) values: u64,
    /// The first document with one.
    pub(super) first: Example,
}

/// The values at a place.
#[derive(Debug, Default)]
pub(super) struct Values {
    types: Vec<TypeSeen>,
    embedded: Embedded,
    /// The items of the arrays among them.
    items: Option<Box<Values>>,
}

/// The documents at a place.
#[derive(Debug, Default)]
enum Embedded {
    #[default]
    None,
    Followed(Box<Fields>),
    /// Their names say nothing, or there was no room.
    GivenUp,
}

impl Values {
    fn observe(&mut self, sight: Sight<'_>, levels: u32, room: &mut Room) {
        let kind = sight.value.kind;
        match self.types.iter_mut().find(|seen| seen.kind == kind) {
            Some(seen) => seen.values += 1,
            None => self.types.push(TypeSeen { kind, values: 1, first: example(sight.document) }),
        }
        match kind {
            kind::DOCUMENT if levels > 0 => self.observe_document(sight, levels, room),
            kind::ARRAY if levels > 0 => self.observe_items(sight, levels, room),
            _ => {}
        }
    }

    fn observe_document(&mut self, sight: Sight<'_>, levels: u32, room: &mut Room) {
        if matches!(self.embedded, Embedded::None) {
            self.embedded = Embedded::Followed(Box::default());
        }
        let Embedded::Followed(fields) = &mut self.embedded else { return };
        if !fields.observe_embedded(sight, levels, room) {
            self.give_up(room);
        }
    }

    /// Follows the documents no more, and makes room for others.
    fn give_up(&mut self, room: &mut Room) {
        if let Embedded::Followed(fields) = &self.embedded {
            room.places += fields.places();
        }
        self.embedded = Embedded::GivenUp;
    }

    /// Adds the values of later documents. There is room for them.
    fn merge(&mut self, later: Values, room: &mut Room) {
        for later in later.types {
            match self.types.iter_mut().find(|seen| seen.kind == later.kind) {
                Some(seen) => seen.values += later.values,
                None => self.types.push(later),
            }
        }
        match (&mut self.embedded, later.embedded) {
            (_, Embedded::None) | (Embedded::GivenUp, _) => {}
            (_, Embedded::GivenUp) => self.give_up(room),
            (mine, Embedded::Followed(later)) => {
                if matches!(mine, Embedded::None) {
                    *mine = Embedded::Followed(Box::default());
                }
                if let Embedded::Followed(fields) = mine {
                    let has_room = fields.merge(*later, None, room);
                    if !has_room || fields.fields.len() > MOST_EMBEDDED_NAMES {
                        self.give_up(room);
                    }
                }
            }
        }
        if let Some(later) = later.items
            && (self.items.is_some() || room.take())
        {
            self.items.get_or_insert_default().merge(*later, room);
        }
    }

    fn observe_items(&mut self, sight: Sight<'_>, levels: u32, room: &mut Room) {
        for item in sight.value.elements() {
            if self.items.is_none() && room.take() {
                self.items = Some(Box::default());
            }
            let Some(items) = &mut self.items else { return };
            items.observe(sight.of(item.value()), levels - 1, room);
        }
    }

    /// The types, the most common first.
    pub(super) fn types(&self) -> Vec<&TypeSeen> {
        let mut types: Vec<&TypeSeen> = self.types.iter().collect();
        types.sort_by_key(|seen| (std::cmp::Reverse(seen.values), seen.kind));
        types
    }

    /// The fields of the documents among them, if those are regular.
    pub(super) fn fields(&self) -> Option<&Fields> {
        match &self.embedded {
            Embedded::Followed(fields) => Some(&**fields).filter(|fields| fields.is_regular()),
            Embedded::None | Embedded::GivenUp => None,
        }
    }

    /// The items of the arrays among them, if any was seen.
    pub(super) fn items(&self) -> Option<&Values> {
        self.items.as_deref()
    }

    fn places(&self) -> usize {
        let embedded = match &self.embedded {
            Embedded::Followed(fields) => fields.places(),
            Embedded::None | Embedded::GivenUp => 0,
        };
        embedded + self.items.as_ref().map_or(0, |items| 1 + items.places())
    }
}

/// Why no path can say a name, if none can.
pub(super) fn unsayable(name: &[u8]) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(name) else { return Some("is not UTF-8") };
    if text.is_empty() {
        return Some("is empty");
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("is a number");
    }
    let parts = [(".", "contains a dot"), ("[]", "contains []"), ("{}", "contains {}")];
    parts.iter().find(|(part, _)| text.contains(part)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests;
