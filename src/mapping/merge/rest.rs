//! The fields that no row names.

use std::collections::HashMap;

use super::compare::same;
use super::{Change, Edit};
use crate::mapping::forward::{Fate, Role};
use crate::mapping::plan::Plan;
use crate::raw::{Element, Elements, Value, Writer};

/// Changes to the fields that no row names.
#[derive(Default)]
pub(super) struct RestEdits {
    pub(super) edits: Vec<RestEdit>,
}

/// A field that was changed, added or removed.
pub(super) struct RestEdit {
    name: Vec<u8>,
    /// How many fields of its name come before it.
    occurrence: usize,
    /// The current element, if it still exists.
    now: Option<Vec<u8>>,
}

impl RestEdits {
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.edits.iter().any(|edit| edit.name == key)
    }
}

/// Counts the occurrences of names.
#[derive(Default)]
pub(super) struct Occurrences<'a>(HashMap<&'a [u8], usize>);

impl<'a> Occurrences<'a> {
    /// The number of earlier calls with this name.
    fn of(&mut self, key: &'a [u8]) -> usize {
        let count = self.0.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

/// Finds the changes to the fields of the `rest` target that no row names. `written` is the set of
/// targets that have a document.
pub(super) fn rest_edits(
    plan: &Plan,
    base: Option<&[u8]>,
    current: &[u8],
    written: u32,
) -> RestEdits {
    let Some(rest) = plan.rest else { return RestEdits::default() };
    let target = &plan.targets[rest];
    fn others<'a>(
        document: &'a [u8],
        is_other: impl Fn(&[u8]) -> bool,
    ) -> Vec<(usize, Element<'a>)> {
        let mut occurrences = Occurrences::default();
        let found = Elements::new(document).filter(|element| is_other(element.key()));
        found.map(|element| (occurrences.of(element.key()), element)).collect()
    }
    let is_other = |key: &[u8]| target.names.number(key).is_none();
    let before = base.map(|base| others(base, is_other)).unwrap_or_default();
    let now = others(current, is_other);
    let by_name: HashMap<(&[u8], usize), Element<'_>> =
        now.iter().map(|(occurrence, element)| ((element.key(), *occurrence), *element)).collect();
    let mut edits = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (occurrence, element) in before {
        let key = element.key();
        known.insert((key, occurrence));
        match by_name.get(&(key, occurrence)) {
            Some(other) if same(Some(element.value()), Some(other.value())) => {}
            other => edits.push(RestEdit {
                name: key.to_vec(),
                occurrence,
                now: other.map(|other| other.bytes.to_vec()),
            }),
        }
    }
    for (occurrence, element) in now {
        let key = element.key();
        // A field that a rule reads cannot be passed through, so mapping it forward would not write
        // it here.
        let passes = || {
            plan.names.number(key).is_none_or(|name| {
                plan.sources[name].read_by & written == 0 && !plan.sources[name].reserved
            })
        };
        if !known.contains(&(key, occurrence)) && passes() {
            let now = Some(element.bytes.to_vec());
            edits.push(RestEdit { name: key.to_vec(), occurrence, now });
        }
    }
    RestEdits { edits }
}

/// Applies edits to the original, each in its place. New fields are appended.
pub(super) fn assemble(
    plan: &Plan,
    original: Option<&[u8]>,
    edits: Vec<(usize, Edit)>,
    rest: &RestEdits,
    changed: &mut Vec<Change>,
) -> Vec<u8> {
    let mut edits: Vec<(usize, Option<Edit>)> =
        edits.into_iter().map(|(source, edit)| (source, Some(edit))).collect();
    let collection =
        plan.rest.map(|rest| plan.targets[rest].collection.as_str()).unwrap_or_default();
    let mut pending: HashMap<(&[u8], usize), &Option<Vec<u8>>> = HashMap::new();
    for edit in &rest.edits {
        pending.insert((&edit.name, edit.occurrence), &edit.now);
        let key = String::from_utf8_lossy(&edit.name);
        changed.push(Change { field: key.to_string(), from: format!("{collection}.{key}") });
    }
    let mut out = Vec::new();
    let open = out.open();
    let mut occurrences = Occurrences::default();
    for element in original.into_iter().flat_map(Elements::new) {
        let occurrence = occurrences.of(element.key());
        let name = plan.names.number(element.key());
        let role = match name {
            None => Role::Other,
            Some(name) if occurrence == 0 => Role::Named(name),
            Some(name) => Role::Again(name),
        };
        if let Role::Named(name) = role
            && let Some((_, edit)) =
                edits.iter_mut().find(|(source, edit)| *source == name && edit.is_some())
        {
            if let Some(Edit::Set(kind, bytes)) = edit.take() {
                out.element(element.key_nul(), Value { kind, bytes: &bytes });
            }
            continue;
        }
        let passes = matches!(role.fate(plan, u32::MAX), Fate::Passed)
            || name.is_some_and(|name| !plan.sources[name].reserved);
        match pending.remove(&(element.key(), occurrence)).filter(|_| passes) {
            Some(Some(bytes)) => out.put(bytes),
            Some(None) => {}
            None => out.put(element.bytes),
        }
    }
    for (source, edit) in &edits {
        if let Some(Edit::Set(kind, bytes)) = edit {
            out.head(*kind, &[plan.names.name(*source), &[0]].concat());
            out.put(bytes);
        }
    }
    for edit in &rest.edits {
        if let Some(bytes) = &edit.now
            && pending.contains_key(&(edit.name.as_slice(), edit.occurrence))
        {
            out.put(bytes);
        }
    }
    out.close(open);
    out
}
