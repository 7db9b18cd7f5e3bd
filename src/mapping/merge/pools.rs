//! The fields that no rule reads: how they have changed where they were taken to.

use std::collections::{HashMap, HashSet};

use super::compare::{document, same};
use super::patch::{Other, Patch};
use super::record::Job;
use super::sides::{Located, Side, text, value_at};
use crate::mapping::fate::{Fate, Role};
use crate::mapping::plan::{Place, Plan, PoolId, Taker};
use crate::raw::{Element, Elements, Value};

/// The fields of a level that stand in a view, before and now.
#[derive(Default)]
struct Taken<'s> {
    base: Vec<Element<'s>>,
    now: Vec<Element<'s>>,
    /// The place that they are in, for reports.
    label: Label<'s>,
}

/// How fields are named in reports.
#[derive(Clone)]
enum Label<'s> {
    /// By the view, which may have moved them.
    Of(&'s Side<'s>),
    In(String),
}

impl Default for Label<'_> {
    fn default() -> Self {
        Label::In(String::new())
    }
}

impl Label<'_> {
    fn of(&self, plan: &Plan, name: &[u8]) -> String {
        match self {
            Label::Of(side) => side.label_of_other(plan, name),
            Label::In(place) => format!("{place}.{}", text(name)),
        }
    }
}

impl<'s> Taken<'s> {
    /// The fields of the document with this name, if it is there.
    fn inside(&self, plan: &Plan, name: &[u8]) -> Option<Taken<'s>> {
        let is_named = |element: &&Element<'s>| element.key() == name;
        self.base.iter().chain(&self.now).find(is_named)?;
        let fields = |elements: &[Element<'s>]| -> Vec<Element<'s>> {
            let found = elements.iter().find(is_named);
            found.into_iter().flat_map(|element| element.value().elements()).collect()
        };
        let label = Label::In(self.label.of(plan, name));
        Some(Taken { base: fields(&self.base), now: fields(&self.now), label })
    }
}

/// A level whose fields are compared.
#[derive(Clone, Copy)]
struct At<'a> {
    plan: &'a Plan,
    level: usize,
    /// The views that were written for the original, and those that are written now.
    written: (u32, u32),
    copied: bool,
}

impl At<'_> {
    /// Takes out the documents that paths enter: they are compared field by field.
    fn entered<'s>(&self, taken: &mut Taken<'s>) -> Taken<'s> {
        let known = &self.plan.levels[self.level];
        let mut entered = Taken { label: taken.label.clone(), ..Taken::default() };
        for (number, node) in known.nodes.iter().enumerate() {
            let fate = known.fate(Role::Named(number), self.written.1, self.copied);
            let is_entered = matches!(fate, Fate::Entered(_))
                && node
                    .inside
                    .is_some_and(|inside| self.plan.levels[inside].taker(self.written.1).is_none());
            let name = known.names.name(number);
            let is_named = |element: &&Element<'s>| element.key() == name;
            let both = [taken.base.iter().find(is_named), taken.now.iter().find(is_named)];
            let are_documents =
                both.iter().flatten().all(|element| document(Some(element.value())).is_some());
            if is_entered && are_documents {
                let from = |all: &mut Vec<Element<'s>>| -> Vec<Element<'s>> {
                    all.extract_if(.., |element| element.key() == name).collect()
                };
                entered.base.extend(from(&mut taken.base));
                entered.now.extend(from(&mut taken.now));
            }
        }
        entered
    }

    /// Notes the fields from before that were changed or removed. Returns all from before.
    fn changed<'s>(
        &self,
        taken: &Taken<'s>,
        original: Option<&[u8]>,
        patch: &mut Patch,
    ) -> HashSet<(&'s [u8], usize)> {
        let mine = self.passed(original);
        let now: HashMap<(&[u8], usize), Element<'_>> = numbered(&taken.now).collect();
        let mut before = HashSet::new();
        for ((key, occurrence), element) in numbered(&taken.base) {
            before.insert((key, occurrence));
            // Another level's fields may stand in the same document.
            let is_mine = mine.get(key).is_some_and(|count| occurrence < *count);
            let other = now.get(&(key, occurrence));
            if is_mine && !same(Some(element.value()), other.map(Element::value)) {
                patch.others.push(Other {
                    name: key.to_vec(),
                    occurrence,
                    now: other.map(|other| other.bytes.to_vec()),
                    from: taken.label.of(self.plan, key),
                });
            }
        }
        before
    }

    /// Notes the fields that were not there before.
    fn added(&self, taken: &Taken<'_>, before: &HashSet<(&[u8], usize)>, patch: &mut Patch) {
        let known = &self.plan.levels[self.level];
        for ((key, occurrence), element) in numbered(&taken.now) {
            let role = role(self.plan, self.level, key, occurrence);
            // A field that a rule reads cannot be passed through, so mapping it forward would not
            // write it here.
            let passes = match known.fate(role, self.written.1, self.copied) {
                Fate::Passed => true,
                Fate::Entered(_) => document(Some(element.value())).is_none(),
                Fate::Read(_) | Fate::Excluded(_) => false,
            };
            if passes && !before.contains(&(key, occurrence)) {
                patch.others.push(Other {
                    name: key.to_vec(),
                    occurrence,
                    now: Some(element.bytes.to_vec()),
                    from: taken.label.of(self.plan, key),
                });
            }
        }
    }

    /// How many fields of each name the original passes on.
    fn passed(&self, original: Option<&[u8]>) -> HashMap<Vec<u8>, usize> {
        let mut passed = HashMap::new();
        let Some(original) = original else { return passed };
        let located = Located::new(self.plan, self.level, original);
        for (fate, element) in located.fates(self.plan, self.level, self.written.0, self.copied) {
            if matches!(fate, Fate::Passed | Fate::Entered(_)) {
                *passed.entry(element.key().to_vec()).or_insert(0) += 1;
            }
        }
        passed
    }
}

/// Fields, each with its name and how many of its name come before it.
fn numbered<'e, 's>(
    elements: &'e [Element<'s>],
) -> impl Iterator<Item = ((&'s [u8], usize), Element<'s>)> + 'e {
    let mut occurrences = Occurrences::default();
    elements.iter().map(move |element| ((element.key(), occurrences.of(element.key())), *element))
}

/// Counts the occurrences of names.
#[derive(Default)]
struct Occurrences<'a>(HashMap<&'a [u8], usize>);

impl<'a> Occurrences<'a> {
    /// The number of earlier calls with this name.
    fn of(&mut self, key: &'a [u8]) -> usize {
        let count = self.0.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

impl<'s> Job<'s> {
    /// The edits of all fields that no rule reads.
    pub fn others(&self, plan: &Plan) -> Patch {
        let mut patch = Patch::default();
        self.others_of(plan, self.level, self.original, None, false, &mut patch);
        patch
    }

    /// Adds those of one level and of the levels inside it. `outside` is what a taker of the level
    /// around it holds under its name. Levels nest only as deep as the mapping's paths do.
    fn others_of(
        &self,
        plan: &Plan,
        level: usize,
        original: Option<&[u8]>,
        outside: Option<Taken<'s>>,
        copied: bool,
        patch: &mut Patch,
    ) {
        let known = &plan.levels[level];
        let written = if self.original.is_some() { self.written_base } else { self.written };
        let taker = known.taker(written).or_else(|| known.taker(self.written));
        let copied = taker.map_or(copied, |(_, taker)| taker.all_but_private);
        let taken = match taker {
            Some((_, taker)) => self.taken(plan, taker),
            None => outside,
        };
        let mut left = Taken::default();
        if let Some(mut taken) = taken {
            let at = At { plan, level, written: (written, self.written), copied };
            left = at.entered(&mut taken);
            let before = at.changed(&taken, original, patch);
            if taker.is_none_or(|(_, taker)| self.owns(plan, level, taker)) {
                at.added(&taken, &before, patch);
            }
        }
        for node in 0..known.nodes.len() {
            let Some(inside) = known.nodes[node].inside else { continue };
            let name = known.names.name(node);
            let inner = original.and_then(|original| Elements::new(original).find(name));
            let inner = document(inner).map(|inner| inner.bytes);
            let mut inner_patch = Patch::default();
            let outside = left.inside(plan, name);
            self.others_of(plan, inside, inner, outside, copied, &mut inner_patch);
            if !inner_patch.is_empty() {
                patch.field(name).inside.append(inner_patch);
            }
        }
    }

    /// The fields of a taker's view. None if they say nothing.
    fn taken(&self, plan: &Plan, taker: &Taker) -> Option<Taken<'s>> {
        let side = self.sides.get(taker.view)?.as_ref()?;
        let now = side.now.as_deref()?;
        let of = |document: &'s [u8]| -> Vec<Element<'s>> {
            match taker.pool {
                PoolId::View => {
                    let table = &plan.tables[side.table];
                    let mut seen = vec![false; table.rows.len()];
                    let is_row = |element: &Element<'_>| {
                        let number = table.names.number(element.key());
                        let number = number.filter(|number| *number < table.rows.len());
                        number.is_some_and(|number| !std::mem::replace(&mut seen[number], true))
                    };
                    let mut is_row = is_row;
                    Elements::new(document).filter(|element| !is_row(element)).collect()
                }
                PoolId::Inner(number) => {
                    let pool = &plan.levels[self.level].pools[number];
                    let found = document_at(plan, side.table, &pool.place, document);
                    found
                        .into_iter()
                        .flat_map(|found| found.elements())
                        .filter(|element| pool.rows.number(element.key()).is_none())
                        .collect()
                }
            }
        };
        let label = match taker.pool {
            PoolId::View => Label::Of(side),
            PoolId::Inner(number) => {
                Label::In(side.label_of(plan, &plan.levels[self.level].pools[number].place))
            }
        };
        let mut taken =
            Taken { base: side.base.as_deref().map(of).unwrap_or_default(), now: of(now), label };
        if side.is_new {
            // What a document that was made anew says of the driver's fields does not count.
            let base = std::mem::take(&mut taken.base);
            let names: HashSet<&[u8]> = base.iter().map(Element::key).collect();
            taken.now.retain(|element| !element.value().is_null() || names.contains(element.key()));
            taken.base = base;
        }
        Some(taken)
    }

    /// Whether a level is the one to which new fields of a taker's document go.
    fn owns(&self, plan: &Plan, level: usize, taker: &Taker) -> bool {
        let takes = |other: &usize| {
            let other = plan.levels[*other].taker(self.written);
            other.is_some_and(|(_, other)| other.view == taker.view && other.pool == taker.pool)
        };
        levels_from(plan, self.level)
            .iter()
            .find(|other| takes(other))
            .is_none_or(|first| *first == level)
    }
}

fn document_at<'d>(plan: &Plan, table: usize, place: &Place, bytes: &'d [u8]) -> Option<Value<'d>> {
    document(value_at(plan, table, place, bytes))
}

/// A level and those inside it, from the outside in.
pub(super) fn levels_from(plan: &Plan, top: usize) -> Vec<usize> {
    let mut levels = vec![top];
    let mut at = 0;
    while let Some(level) = levels.get(at) {
        levels.extend(plan.levels[*level].nodes.iter().filter_map(|node| node.inside));
        at += 1;
    }
    levels
}

/// What a field is to a level, given how many of its name come before it.
fn role(plan: &Plan, level: usize, key: &[u8], occurrence: usize) -> Role {
    let level = &plan.levels[level];
    match level.names.number(key).filter(|number| *number < level.nodes.len()) {
        None => Role::Other,
        Some(name) if occurrence > 0 => Role::Again(name),
        // An alternative that is not used stays under its own name.
        Some(name) if level.in_order.is_some() && level.nodes[name].only_alternative => Role::Other,
        Some(name) => Role::Named(name),
    }
}
