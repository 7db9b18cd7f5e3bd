//! Merges the documents that a field was unwound to back into the field.

use std::collections::{HashMap, VecDeque};

use super::changes::Log;
use super::compare::{id, same_document};
use super::patch::{Edit, NewValue, Patch};
use super::record::at_names;
use super::sides::{text, value_at};
use super::{EMPTY, Merger};
use crate::fingerprints::fingerprint_of;
use crate::mapping::backward::entry_name;
use crate::mapping::convert::write_text;
use crate::mapping::plan::{Plan, SOURCE, Unwind};
use crate::mapping::query::as_double;
use crate::raw::{ItemKey, Value, Writer, kind};

/// An unwound field, merged.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub target: usize,
    /// The field's new value, if it has changed.
    edit: Option<NewValue>,
    /// The documents of today in the order of the field's items, each with that from before.
    pub children: Vec<(Option<&'a [u8]>, &'a [u8])>,
    /// The field cannot take them.
    pub is_lost: bool,
    pub log: Log,
}

/// A document of today, and what it was made of.
struct Child<'a> {
    now: &'a [u8],
    base: Option<&'a [u8]>,
    item: Option<Value<'a>>,
    /// The name of its entry, if the field is a map.
    name: Vec<u8>,
}

impl Group<'_> {
    /// Adds the field's edit.
    pub fn add_to(&self, plan: &Plan, patch: &mut Patch) {
        let (Some(value), Some(unwind)) = (&self.edit, &plan.targets[self.target].unwind) else {
            return;
        };
        if let Some(field) = patch.at(&names(plan, unwind)) {
            let from = Some(plan.targets[self.target].collection.clone());
            field.whole = Some(Edit { value: value.clone(), from, carried: Vec::new() });
        }
    }
}

impl Merger<'_> {
    /// Merges the documents of a target that unwinds a field. None if there never were any.
    pub(super) fn merge_group<'a>(
        &mut self,
        target: usize,
        original: Option<&'a [u8]>,
        (base, now): (&[&'a [u8]], &[&'a [u8]]),
    ) -> Option<Group<'a>> {
        let plan = self.plan;
        let unwind = plan.targets[target].unwind.as_ref()?;
        if base.is_empty() && now.is_empty() {
            return None;
        }
        let mut group =
            Group { target, edit: None, children: Vec::new(), is_lost: false, log: Log::default() };
        let was = original.and_then(|original| at_names(original, &names(plan, unwind)));
        let wanted = if unwind.is_map { kind::DOCUMENT } else { kind::ARRAY };
        let field = was.filter(|was| was.kind == wanted);
        if was.is_some_and(|was| !was.is_null()) && field.is_none() {
            group.children = now.iter().map(|now| (None, *now)).collect();
            group.is_lost = true;
            return Some(group);
        }
        let mut survivors = survivors(field, base, now);
        let is_same = survivors.new.is_empty()
            && survivors.gone == 0
            && survivors
                .old
                .iter()
                .all(|child| child.base.is_some_and(|base| same_document(base, child.now)));
        let children = ordered(plan, target, unwind, &mut survivors);
        group.children = children.iter().map(|child| (child.base, child.now)).collect();
        if !is_same {
            let source = original.unwrap_or(EMPTY);
            group.edit =
                Some(self.field_of(target, unwind, field, children, source, &mut group.log));
        }
        Some(group)
    }

    /// The value of an unwound field.
    fn field_of(
        &mut self,
        target: usize,
        unwind: &Unwind,
        field: Option<Value<'_>>,
        children: Vec<Child<'_>>,
        source: &[u8],
        log: &mut Log,
    ) -> NewValue {
        let mut out = Vec::new();
        let open = out.open();
        let mut key = ItemKey::default();
        let mut put = |name: &[u8], value: Value<'_>| {
            if unwind.is_map {
                out.element(&[name, &[0]].concat(), value);
            } else {
                out.element(key.key_nul(), value);
                key.advance();
            }
        };
        // What is no document was never unwound, and stays where it was.
        let known: std::collections::HashSet<*const u8> = children
            .iter()
            .filter_map(|child| child.item)
            .map(|item| item.bytes.as_ptr())
            .collect();
        let mut children = children.into_iter();
        let mut item_of = |child: Child<'_>, merger: &mut Self| {
            let bytes = merger.child(target, &child, source, log);
            (child.name, bytes)
        };
        for element in field.into_iter().flat_map(|field| field.elements()) {
            let value = element.value();
            if value.kind != kind::DOCUMENT {
                put(element.key(), value);
            } else if known.contains(&value.bytes.as_ptr())
                && let Some(child) = children.next()
            {
                let (name, bytes) = item_of(child, self);
                put(&name, Value { kind: kind::DOCUMENT, bytes: &bytes });
            }
        }
        for child in children {
            let (name, bytes) = item_of(child, self);
            put(&name, Value { kind: kind::DOCUMENT, bytes: &bytes });
        }
        out.close(open);
        Some((if unwind.is_map { kind::DOCUMENT } else { kind::ARRAY }, out))
    }

    /// The item that a document goes back to.
    fn child(&mut self, target: usize, child: &Child<'_>, source: &[u8], log: &mut Log) -> Vec<u8> {
        if let (Some(item), Some(base)) = (child.item, child.base)
            && same_document(base, child.now)
        {
            return item.bytes.to_vec();
        }
        let document = |bytes| Value { kind: kind::DOCUMENT, bytes };
        let documents = match (child.item, child.base) {
            (Some(item), Some(base)) => (Some(item), Some(document(base)), document(child.now)),
            _ => (None, None, document(child.now)),
        };
        let collection = self.plan.targets[target].collection.clone();
        let field = self.plan.targets[target].unwind.as_ref();
        let field = field.map_or_else(String::new, |unwind| path_of(self.plan, unwind));
        let labels = (collection, format!("{field}."));
        let (bytes, mut inner) = self.merge_shaped(target, documents, labels, source);
        inner.changed.clear();
        log.absorb(inner);
        bytes
    }
}

/// Today's documents: those that were there before, in their order, and new ones.
struct Survivors<'a> {
    old: Vec<Child<'a>>,
    new: Vec<&'a [u8]>,
    gone: usize,
}

/// Joins documents by `_id`.
fn survivors<'a>(field: Option<Value<'a>>, base: &[&'a [u8]], now: &[&'a [u8]]) -> Survivors<'a> {
    let fingerprint = |document: &[u8]| id(document).map(fingerprint_of);
    let mut by_id: HashMap<Option<u128>, VecDeque<usize>> = HashMap::new();
    for (at, document) in now.iter().enumerate() {
        by_id.entry(fingerprint(document)).or_default().push_back(at);
    }
    let mut is_old = vec![false; now.len()];
    let items = field.into_iter().flat_map(|field| field.elements());
    let mut items = items.filter(|element| element.kind() == kind::DOCUMENT);
    let mut survivors = Survivors { old: Vec::new(), new: Vec::new(), gone: 0 };
    for base in base {
        let item = items.next();
        match by_id.get_mut(&fingerprint(base)).and_then(VecDeque::pop_front) {
            Some(at) => {
                is_old[at] = true;
                survivors.old.push(Child {
                    now: now[at],
                    base: Some(base),
                    item: item.map(|item| item.value()),
                    name: item.map(|item| item.key().to_vec()).unwrap_or_default(),
                });
            }
            None => survivors.gone += 1,
        }
    }
    let new = now.iter().zip(&is_old).filter(|(_, is_old)| !**is_old);
    survivors.new = new.map(|(document, _)| *document).collect();
    survivors.new.sort_by_key(|document| id(document).map(|id| (id.bytes, id.kind)));
    survivors
}

/// The order of the field's items: by the row that holds the position, if any of them has moved or
/// they are in its order; else as before, new ones behind.
fn ordered<'a>(
    plan: &Plan,
    target: usize,
    unwind: &Unwind,
    survivors: &mut Survivors<'a>,
) -> Vec<Child<'a>> {
    let mut children = std::mem::take(&mut survivors.old);
    if unwind.is_map {
        for child in &mut children {
            let now = entry_name(plan, target, child.now);
            let before = child.base.and_then(|base| entry_name(plan, target, base));
            if let Some(now) = now.filter(|now| Some(*now) != before && !now.contains(&0)) {
                child.name = now.to_vec();
            }
        }
    }
    let position = |document: &[u8]| {
        let place = unwind.position.as_ref()?;
        value_at(plan, target, place, document).and_then(as_double)
    };
    let before = |one: &Option<f64>, other: &Option<f64>| match (one, other) {
        (Some(one), Some(other)) => one.total_cmp(other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    };
    let has_moved = children
        .iter()
        .any(|child| child.base.is_some_and(|base| position(base) != position(child.now)));
    let is_sorted = children
        .is_sorted_by(|one, other| before(&position(one.now), &position(other.now)).is_le());
    children.extend(std::mem::take(&mut survivors.new).into_iter().map(|now| Child {
        now,
        base: None,
        item: None,
        name: if unwind.is_map { new_name(plan, target, now) } else { Vec::new() },
    }));
    if !unwind.is_map && unwind.position.is_some() && (has_moved || is_sorted) {
        children.sort_by(|one, other| before(&position(one.now), &position(other.now)));
    }
    children
}

/// The name of a new entry of a map.
fn new_name(plan: &Plan, target: usize, document: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    match (entry_name(plan, target, document), id(document)) {
        (Some(found), _) => name.extend_from_slice(found),
        (None, Some(id)) => write_text(id, &mut name),
        (None, None) => {}
    }
    name.retain(|byte| *byte != 0);
    name
}

fn names(plan: &Plan, unwind: &Unwind) -> Vec<Vec<u8>> {
    let head = plan.levels[SOURCE].names.name(unwind.path.head);
    let below = unwind.path.below.iter().map(|name| &**name);
    std::iter::once(head).chain(below).map(<[u8]>::to_vec).collect()
}

fn path_of(plan: &Plan, unwind: &Unwind) -> String {
    names(plan, unwind).iter().map(|name| text(name)).collect::<Vec<_>>().join(".")
}
