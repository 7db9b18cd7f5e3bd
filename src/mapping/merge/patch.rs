//! Edits of a source document, and how they are applied: each in its place, new fields behind.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Change;
use super::changes::{Carried, Log};
use super::compare::document;
use super::sides::{Located, text};
use crate::mapping::fate::Fate;
use crate::mapping::plan::Plan;
use crate::raw::{Elements, Value, Writer, kind};

/// A value of a source field, or none.
pub(super) type NewValue = Option<(u8, Vec<u8>)>;

/// Edits of the fields of one document.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// The first field of each name.
    pub fields: Vec<(Vec<u8>, Field)>,
    /// Fields that no rule reads.
    pub others: Vec<Other>,
}

/// Edits of one field: of the whole, and then inside it.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub whole: Option<Edit>,
    pub inside: Patch,
}

/// A field's new value.
#[derive(Debug)]
pub(super) struct Edit {
    pub value: NewValue,
    /// The target's field that it is from. Without one it is not reported.
    pub from: Option<String>,
    pub carried: Vec<Carried>,
}

/// A field that no rule reads, and that was changed, added or removed.
#[derive(Debug)]
pub(super) struct Other {
    pub name: Vec<u8>,
    /// How many fields of its name come before it that no rule reads.
    pub occurrence: usize,
    /// The current element, if it still exists.
    pub now: Option<Vec<u8>>,
    pub from: String,
}

impl Patch {
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.others.is_empty()
    }
    /// Whether it adds anything where there is no document yet.
    fn adds(&self) -> bool {
        let adds = |field: &Field| {
            field.whole.as_ref().is_some_and(|edit| edit.value.is_some()) || field.inside.adds()
        };
        self.fields.iter().any(|(_, field)| adds(field))
            || self.others.iter().any(|other| other.now.is_some())
    }
    /// The edits of a field, which is added if it has none.
    pub fn field(&mut self, name: &[u8]) -> &mut Field {
        let known = self.fields.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.fields.push((name.to_vec(), Field::default()));
            self.fields.len() - 1
        });
        &mut self.fields[at].1
    }
    /// The edits of the field at a path of at least one name.
    pub fn at(&mut self, names: &[Vec<u8>]) -> Option<&mut Field> {
        let (last, before) = names.split_last()?;
        let patch = before.iter().fold(self, |patch, name| &mut patch.field(name).inside);
        Some(patch.field(last))
    }
    /// Whether a field that no rule reads is edited.
    pub fn has_other(&self, name: &[u8]) -> bool {
        self.others.iter().any(|other| other.name == name)
    }
    /// Adds the other patch's edits behind its own.
    pub fn append(&mut self, other: Patch) {
        for (name, field) in other.fields {
            let mine = self.field(&name);
            if mine.whole.is_none() {
                mine.whole = field.whole;
            }
            mine.inside.append(field.inside);
        }
        self.others.extend(other.others);
    }
}

/// Applies patches.
pub(super) struct Applying<'a> {
    pub plan: &'a Plan,
    /// The views that were written for the original.
    pub written: u32,
    pub log: &'a mut Log,
}

impl Applying<'_> {
    /// Applies a patch to a document of a level, or to none. `path` is the document's own, with a dot
    /// at its end.
    pub fn document(
        &mut self,
        level: Option<usize>,
        original: Option<&[u8]>,
        patch: Patch,
        copied: bool,
        path: &str,
    ) -> Vec<u8> {
        let plan = self.plan;
        let copied = level.map_or(copied, |level| {
            let taker = plan.levels[level].taker(self.written);
            taker.map_or(copied, |(_, taker)| taker.all_but_private)
        });
        let inside = |name: &[u8]| {
            let level = &plan.levels[level?];
            level.nodes.get(level.names.number(name)?)?.inside
        };
        let mut fields: Vec<(Vec<u8>, Option<Field>)> =
            patch.fields.into_iter().map(|(name, field)| (name, Some(field))).collect();
        let mut others: HashMap<(&[u8], usize), &Other> = HashMap::new();
        for other in &patch.others {
            others.insert((&other.name, other.occurrence), other);
        }
        let mut out = Vec::new();
        let open = out.open();
        let mut occurrences: HashMap<&[u8], usize> = HashMap::new();
        let located = original.zip(level).map(|(bytes, level)| Located::new(plan, level, bytes));
        let mut fates = located
            .iter()
            .zip(level)
            .flat_map(|(located, level)| located.fates(plan, level, self.written, copied))
            .map(|(fate, _)| fate)
            .collect::<Vec<_>>()
            .into_iter();
        for element in original.into_iter().flat_map(Elements::new) {
            let key = element.key();
            let mut other = None;
            if matches!(fates.next(), Some(Fate::Passed | Fate::Entered(_)) | None) {
                let count = occurrences.entry(key).or_default();
                other = others.remove(&(key, *count));
                *count += 1;
            }
            let field = fields
                .iter_mut()
                .find(|(name, field)| field.is_some() && name == key)
                .filter(|(_, field)| {
                    other.is_none() || field.as_ref().is_some_and(|field| field.whole.is_some())
                })
                .and_then(|(_, field)| field.take());
            match (field, other) {
                (Some(field), _) => {
                    let was = Some(element.value());
                    let value = self.field(inside(key), was, field, copied, (path, key));
                    if let Some((kind, bytes)) = value {
                        out.element(element.key_nul(), Value { kind, bytes: &bytes });
                    }
                }
                (None, Some(other)) => {
                    self.note_other(other, path);
                    out.put(other.now.as_deref().unwrap_or_default());
                }
                (None, None) => out.put(element.bytes),
            }
        }
        for (name, field) in &mut fields {
            let Some(field) = field.take() else { continue };
            let value = self.field(inside(name), None, field, copied, (path, name));
            if let Some((kind, bytes)) = value {
                out.element(&[name, &[0][..]].concat(), Value { kind, bytes: &bytes });
            }
        }
        for other in &patch.others {
            if let Some(bytes) = &other.now
                && others.contains_key(&(other.name.as_slice(), other.occurrence))
            {
                self.note_other(other, path);
                out.put(bytes);
            }
        }
        out.close(open);
        out
    }

    fn note_other(&mut self, other: &Other, path: &str) {
        let field = format!("{path}{}", text(&other.name));
        self.log.changed.push(Change { field, from: other.from.clone() });
        self.log.carried.push(Carried::whole(other.from.clone()));
    }

    /// The value of a field with its edits.
    fn field<'v>(
        &mut self,
        inside: Option<usize>,
        was: Option<Value<'v>>,
        field: Field,
        copied: bool,
        (path, name): (&str, &[u8]),
    ) -> Option<(u8, Cow<'v, [u8]>)> {
        let path = format!("{path}{}", text(name));
        let mut value = was.map(|was| (was.kind, Cow::Borrowed(was.bytes)));
        if let Some(edit) = field.whole {
            let now = edit.value.map(|(kind, bytes)| (kind, Cow::Owned(bytes)));
            if now != value {
                if let Some(from) = edit.from {
                    self.log.changed.push(Change { field: path.clone(), from });
                }
                self.log.carried.extend(edit.carried);
            }
            value = now;
        }
        if field.inside.is_empty() {
            return value;
        }
        let there = value.as_ref().map(|(kind, bytes)| Value { kind: *kind, bytes });
        let is_unset = there.is_none_or(|there| there.is_null());
        let within = document(there);
        if within.is_none() && !(is_unset && field.inside.adds()) {
            return value;
        }
        let bytes = within.map(|document| document.bytes.to_vec());
        let dotted = format!("{path}.");
        let bytes = self.document(inside, bytes.as_deref(), field.inside, copied, &dotted);
        Some((kind::DOCUMENT, Cow::Owned(bytes)))
    }
}
