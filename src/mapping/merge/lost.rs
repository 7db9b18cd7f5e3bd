//! What of today's documents the merged document does not hold.

use std::collections::HashSet;

use super::changes::{Index, Log};
use super::unwound::Group;
use super::{Merger, Sides};
use crate::mapping::plan::Plan;
use crate::raw::{Elements, Value, differ, differing_paths_up_to, kind};

impl Merger<'_> {
    /// Maps the merged document forward, and lists each change that this does not reproduce and
    /// that is not in the document either.
    pub(super) fn not_carried_back(
        &mut self,
        document: &[u8],
        base: Sides<'_, '_>,
        current: Sides<'_, '_>,
        groups: &[Group<'_>],
        log: &Log,
    ) -> Vec<String> {
        let plan = self.plan;
        let mut lost = Vec::new();
        let log = &log.index();
        let (outputs, targets) = self.map(document);
        for (target, (base, current)) in base.single.iter().zip(current.single).enumerate() {
            let current = current.filter(|_| !plan.is_unwound(target));
            let (base, Some(current)) = (*base, current) else { continue };
            let collection = &plan.targets[target].collection;
            if targets.written & 1 << target == 0 {
                if base.is_none_or(|base| differ(base, current)) {
                    lost.push(collection.clone());
                }
                continue;
            }
            let documents = Documents { base, now: current, again: &outputs[target] };
            lost.extend(documents.lost(plan, target, log));
        }
        for group in groups {
            self.lost_of_group(group, &outputs[group.target], &mut lost);
        }
        lost
    }

    /// The same for the documents that a field was unwound to.
    fn lost_of_group(&self, group: &Group<'_>, again: &[u8], lost: &mut Vec<String>) {
        let plan = self.plan;
        let ends = self.forward.ends(group.target);
        let collection = &plan.targets[group.target].collection;
        let has_changed =
            |base: &Option<&[u8]>, now: &[u8]| base.is_none_or(|base| differ(base, now));
        if group.is_lost || ends.len() != group.children.len() {
            if group.children.iter().any(|(base, now)| has_changed(base, now)) {
                lost.push(collection.clone());
            }
            return;
        }
        let log = &group.log.index();
        let mut known: HashSet<String> = lost.iter().cloned().collect();
        let mut from = 0;
        for ((base, now), end) in group.children.iter().zip(ends) {
            let again = &again[from..*end];
            from = *end;
            if has_changed(base, now) {
                let documents = Documents { base: *base, now, again };
                for path in documents.lost(plan, group.target, log) {
                    if lost.len() < MOST_PATHS && known.insert(path.clone()) {
                        lost.push(path);
                    }
                }
            }
        }
    }
}

/// The most fields of a document that are told apart.
const MOST_PATHS: usize = 1000;
/// The most changes of a document that are.
const MOST_CHANGES: usize = 100_000;

/// Paths, in their order.
struct Paths<'p>(&'p [String]);

impl Paths<'_> {
    /// Whether one of them is this path, is in it, or has it in itself.
    fn has_related(&self, path: &str) -> bool {
        let has = |path: &str| self.0.binary_search_by(|other| other.as_str().cmp(path)).is_ok();
        let outside = path.match_indices('.').map(|(at, _)| &path[..at]);
        let below = format!("{path}.");
        let first = self.0.partition_point(|other| *other < below);
        has(path)
            || outside.into_iter().any(has)
            || self.0.get(first).is_some_and(|other| other.starts_with(&below))
    }
}

/// A document of a target: before, now, and as the merged source would make it.
struct Documents<'a> {
    base: Option<&'a [u8]>,
    now: &'a [u8],
    again: &'a [u8],
}

impl Documents<'_> {
    /// The fields whose changes are not in the merged document, at most [`MOST_PATHS`] and then the collection.
    fn lost(&self, plan: &Plan, target: usize, log: &Index<'_>) -> Vec<String> {
        let collection = &plan.targets[target].collection;
        let differing = differing_paths_up_to(self.again, self.now, MOST_PATHS);
        if differing.is_empty() {
            return Vec::new();
        }
        let is_all = differing.len() < MOST_PATHS;
        // Of very many changes, all fields count as changed.
        let since = self.base.map(|base| differing_paths_up_to(base, self.now, MOST_CHANGES));
        let since = since.filter(|since| since.len() < MOST_CHANGES);
        let changed = since.as_deref().map(Paths);
        // A new null is not a change: the application's models store their optional fields as
        // null.
        let is_new_null = |path: &String| {
            at_path(self.now, path).is_some_and(|value| value.is_null())
                && self.base.is_none_or(|base| at_path(base, path).is_none())
        };
        // The order of the items says what a position was.
        let is_position = |path: &String| {
            let unwind = plan.targets[target].unwind.as_ref();
            let place = unwind.and_then(|unwind| unwind.position.as_ref());
            place.is_some_and(|place| plan.tables[target].rows[place.row].name() == path.as_bytes())
        };
        // A created document loses nothing by a field that it does not have.
        let is_added = |path: &String| self.base.is_none() && at_path(self.now, path).is_none();
        let mut lost = Vec::new();
        for path in differing {
            if is_new_null(&path) || is_position(&path) || is_added(&path) {
                continue;
            }
            let has_changed = changed.as_ref().is_none_or(|changed| changed.has_related(&path));
            let label = format!("{collection}.{path}");
            if has_changed && !log.is_superseded(&label) && !log.has_carried(plan, &label) {
                lost.push(label);
            }
        }
        if !is_all {
            lost.push(collection.clone());
        }
        lost
    }
}

/// The value at a path of a document, as reports write it.
fn at_path<'d>(document: &'d [u8], path: &str) -> Option<Value<'d>> {
    let whole = Value { kind: kind::DOCUMENT, bytes: document };
    path.split('.').try_fold(whole, |value, name| match value.kind {
        kind::DOCUMENT | kind::ARRAY => Elements::new(value.bytes).find(name.as_bytes()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_related_to_those_around_and_inside() {
        let paths = ["a", "b.c", "b.d-e", "b.d.e"].map(str::to_owned);
        let paths = Paths(&paths[..]);
        let related = ["a", "a.x", "b", "b.c", "b.c.0.y", "b.d", "b.d.e", "b.d.e.f"];
        assert!(related.iter().all(|path| paths.has_related(path)));
        assert!(["aa", "b.cc", "b.d.f", "c", "b.d-"].iter().all(|path| !paths.has_related(path)));
    }
}
