//! The documents of a view, before and now, without what a table has moved or kept in them.

use std::borrow::Cow;

use super::compare::document;
use crate::mapping::evaluate::descend;
use crate::mapping::fate::{Fate, Meaning, Placement, Role, Roles, meaning};
use crate::mapping::plan::{Keeping, Place, Plan, SOURCE};
use crate::mapping::shape::{NameSet, Record, Shapes};
use crate::mapping::views::kept_original;
use crate::raw::{Element, Elements, Value, Writer, kind};

/// A document of a level, located.
pub(super) struct Located<'a> {
    bytes: &'a [u8],
    shapes: Shapes<Meaning>,
    starts: Vec<u32>,
}

impl<'a> Located<'a> {
    pub fn new(plan: &Plan, level: usize, bytes: &'a [u8]) -> Self {
        let (mut shapes, mut starts) = (Shapes::default(), Vec::new());
        shapes.index(bytes, &mut starts, &plan.levels[level].names, |keys, first| {
            meaning(plan, level, keys, first)
        });
        Located { bytes, shapes, starts }
    }
    pub fn record(&self) -> Record<'_> {
        Record::new(self.bytes, &self.starts, self.shapes.last())
    }
    pub fn roles(&self) -> &Roles {
        &self.shapes.last().meaning.roles
    }
    /// Where the rows of the level's table stand.
    pub fn placement(&self) -> &Placement {
        &self.shapes.last().meaning.placement
    }
    /// The fields, each with what becomes of it.
    pub fn fates<'s>(
        &'s self,
        plan: &'s Plan,
        level: usize,
        written: u32,
        copied: bool,
    ) -> impl Iterator<Item = (Fate, Element<'a>)> + 's {
        let level = &plan.levels[level];
        let roles = self.roles().iter();
        let fates = roles.map(move |role| level.fate(role, written, copied));
        fates.zip(Elements::new(self.bytes))
    }
}

/// The source document that is merged, located once for all its items.
#[derive(Debug, Default)]
pub(super) struct LocatedSource {
    shapes: Shapes<Meaning>,
    starts: Vec<u32>,
    /// Where it is in memory, and its length.
    of: Option<(usize, usize)>,
}

impl LocatedSource {
    /// Forgets the document: another may come to be in its place.
    pub fn forget(&mut self) {
        *self = LocatedSource::default();
    }
    /// Locates a document that stays where it is until it is forgotten.
    pub fn locate(&mut self, plan: &Plan, source: &[u8]) {
        let of = Some((source.as_ptr().addr(), source.len()));
        if self.of != of {
            let names = &plan.levels[SOURCE].names;
            self.shapes.index(source, &mut self.starts, names, |keys, first| {
                meaning(plan, SOURCE, keys, first)
            });
            self.of = of;
        }
    }
    /// The document that was located.
    pub fn record<'r>(&'r self, source: &'r [u8]) -> Record<'r> {
        Record::new(source, &self.starts, self.shapes.last())
    }
}

/// The documents of a view.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub table: usize,
    pub base: Option<Cow<'a, [u8]>>,
    pub now: Option<Cow<'a, [u8]>>,
    /// The original that a translation has kept in the current document.
    pub kept: Option<Value<'a>>,
    /// The collection or field that it is, for reports.
    pub label: String,
    /// It has taken the place of the document that was migrated.
    pub is_new: bool,
    /// The fields that the table has moved into a row's document, and that row.
    moved: Option<(usize, NameSet)>,
}

impl<'a> Side<'a> {
    /// The documents of a table, of which `original` is the source.
    pub fn new(
        plan: &Plan,
        table: usize,
        (base, now): (Option<&'a [u8]>, Option<&'a [u8]>),
        original: Option<&[u8]>,
        label: String,
    ) -> Self {
        let mut side = Side {
            table,
            base: base.map(Cow::Borrowed),
            now: now.map(Cow::Borrowed),
            kept: None,
            label,
            is_new: false,
            moved: None,
        };
        if let Some(keeping) = &plan.tables[table].keeping {
            side.take_kept(plan, keeping, (base, now));
        }
        if let (Some(row), Some(original), Some(_)) = (plan.tables[table].rest_into, original, base)
        {
            side.take_moved(plan, row, original);
        }
        side
    }

    /// Takes the kept original out of both documents.
    fn take_kept(
        &mut self,
        plan: &Plan,
        keeping: &Keeping,
        (base, now): (Option<&'a [u8]>, Option<&'a [u8]>),
    ) {
        let holder = plan.tables[self.table].rows[keeping.holder].name();
        let before = base.and_then(|base| kept_in(plan, self.table, keeping, base));
        self.kept = now.and_then(|now| kept_in(plan, self.table, keeping, now));
        if let (Some(base), Some(_)) = (base, before) {
            self.base = Some(Cow::Owned(without(base, holder, &keeping.name)));
        }
        if let Some(now) = now {
            let there = document(Elements::new(now).find(holder))
                .and_then(|holder| holder.elements().find(&keeping.name));
            // One that the new value has outdated does not go back either.
            if there.is_some() && (self.kept.is_some() || there == before) {
                self.now = Some(Cow::Owned(without(now, holder, &keeping.name)));
            }
        }
    }

    /// Takes the fields that nothing reads out of the row's document that has taken them.
    fn take_moved(&mut self, plan: &Plan, row: usize, original: &[u8]) {
        let table = &plan.tables[self.table];
        let holder = table.rows[row].name();
        let own = Elements::new(original).find(holder);
        let own_names = document(own).map(|own| NameSet::of(own.elements())).unwrap_or_default();
        let located = Located::new(plan, table.level, original);
        let others = located.roles().iter().zip(Elements::new(original));
        let moved = others
            .filter(|(role, field)| *role == Role::Other && !own_names.contains(field.key()))
            .map(|(_, field)| field);
        let moved = NameSet::of(moved);
        if moved.is_empty()
            || own.is_some_and(|own| !own.is_null() && document(Some(own)).is_none())
        {
            return;
        }
        for side in [&mut self.base, &mut self.now].into_iter().flatten() {
            *side = Cow::Owned(moved_out(side, holder, own, &moved));
        }
        self.moved = Some((row, moved));
    }

    /// The value at a place before and now.
    pub fn at(&self, plan: &Plan, place: &Place) -> (Option<Value<'_>>, Option<Value<'_>>) {
        let [base, now] = [self.base.as_deref(), self.now.as_deref()].map(|document| {
            document.and_then(|document| value_at(plan, self.table, place, document))
        });
        (base, now)
    }

    /// The name of a place in reports.
    pub fn label_of(&self, plan: &Plan, place: &Place) -> String {
        let names = place.inner.iter().map(|name| &**name);
        let all = std::iter::once(plan.tables[self.table].rows[place.row].name()).chain(names);
        all.fold(self.label.clone(), |label, name| format!("{label}.{}", text(name)))
    }

    /// Where a field that no row names stands, for reports.
    pub fn label_of_other(&self, plan: &Plan, name: &[u8]) -> String {
        match &self.moved {
            Some((row, moved)) if moved.contains(name) => {
                let row = plan.tables[self.table].rows[*row].name();
                format!("{}.{}.{}", self.label, text(row), text(name))
            }
            _ => format!("{}.{}", self.label, text(name)),
        }
    }
}

/// A name, for reports.
pub(super) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The value at a place of a table's document.
pub(super) fn value_at<'d>(
    plan: &Plan,
    table: usize,
    place: &Place,
    document: &'d [u8],
) -> Option<Value<'d>> {
    let row = Elements::new(document).find(plan.tables[table].rows[place.row].name())?;
    descend(row, &place.inner)
}

/// The original that a document keeps.
fn kept_in<'a>(
    plan: &Plan,
    table: usize,
    keeping: &Keeping,
    document: &'a [u8],
) -> Option<Value<'a>> {
    let (mut shapes, mut starts) = (Shapes::<()>::default(), Vec::new());
    let shape = shapes.index(document, &mut starts, &plan.tables[table].names, |_, _| ());
    let record = Record::new(document, &starts, shape);
    let original = kept_original(keeping, record)?.original;
    // The value is the document's, which outlives the record.
    let holder = Elements::new(document).find(plan.tables[table].rows[keeping.holder].name())?;
    holder.elements().find(&keeping.name).filter(|found| *found == original)
}

/// A document without a field of one of its embedded documents.
fn without(document: &[u8], holder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    let open = out.open();
    let mut is_done = false;
    for field in Elements::new(document) {
        if is_done || field.key() != holder || field.kind() != kind::DOCUMENT {
            out.put(field.bytes);
            continue;
        }
        out.head(kind::DOCUMENT, field.key_nul());
        let inner = out.open();
        for one in field.value().elements() {
            if is_done || one.key() != name {
                out.put(one.bytes);
            } else {
                is_done = true;
            }
        }
        out.close(inner);
        is_done = true;
    }
    out.close(open);
    out
}

/// A document with the moved fields of its holder behind the others.
fn moved_out(document: &[u8], holder: &[u8], own: Option<Value<'_>>, moved: &NameSet) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    let mut behind = Vec::new();
    let open = out.open();
    for field in Elements::new(document) {
        if field.key() != holder || field.kind() != kind::DOCUMENT {
            out.put(field.bytes);
            continue;
        }
        let mut kept = Vec::new();
        for one in field.value().elements() {
            let to = if moved.contains(one.key()) { &mut behind } else { &mut kept };
            to.extend_from_slice(one.bytes);
        }
        match own {
            Some(own) if kept.is_empty() && own.kind != kind::DOCUMENT => {
                out.element(field.key_nul(), own);
            }
            None if kept.is_empty() => {}
            _ => {
                out.head(kind::DOCUMENT, field.key_nul());
                let inner = out.open();
                out.put(&kept);
                out.close(inner);
            }
        }
    }
    out.put(&behind);
    out.close(open);
    out
}
