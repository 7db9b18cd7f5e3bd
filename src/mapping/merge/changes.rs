//! What a merge has carried back, for its report.

use std::collections::HashSet;

use super::cells::reaches;
use super::{Change, Conflict};
use crate::mapping::plan::{Inverse, Plan};

/// A log of the changes that were carried to source fields.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub changed: Vec<Change>,
    pub conflicts: Vec<Conflict>,
    /// Fields of the targets whose value lost to another's.
    pub superseded: Vec<String>,
    /// Fields of the targets whose value is now in the source.
    pub carried: Vec<Carried>,
    /// What was taken of documents inside, once each.
    absorbed: HashSet<(String, Absorbed)>,
}

/// What was taken of a document inside under a label.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Absorbed {
    Superseded,
    Whole,
    Inverse,
}

/// A field of a target whose value is in the source.
#[derive(Debug)]
pub(super) struct Carried {
    label: String,
    /// How it went back, if not everything in it does.
    inverse: Option<Inverse>,
}

impl Carried {
    pub fn whole(label: String) -> Self {
        Carried { label, inverse: None }
    }
    pub fn by(label: String, inverse: Inverse) -> Self {
        Carried { label, inverse: Some(inverse) }
    }
}

impl Log {
    /// What the log says of fields, to be looked up.
    pub fn index(&self) -> Index<'_> {
        let mut carried: Vec<&Carried> = self.carried.iter().collect();
        carried.sort_by_key(|carried| &carried.label);
        let mut superseded: Vec<&str> = self.superseded.iter().map(String::as_str).collect();
        superseded.sort_unstable();
        Index { carried, superseded }
    }
    /// Takes what was carried in a document inside.
    pub fn absorb(&mut self, inner: Log) {
        self.conflicts.extend(inner.conflicts);
        // Of many items, the labels are the same.
        for label in inner.superseded {
            if self.absorbed.insert((label.clone(), Absorbed::Superseded)) {
                self.superseded.push(label);
            }
        }
        for carried in inner.carried {
            let how = if carried.inverse.is_some() { Absorbed::Inverse } else { Absorbed::Whole };
            if self.absorbed.insert((carried.label.clone(), how)) {
                self.carried.push(carried);
            }
        }
    }
}

/// A log of which fields are looked up: there may be a million in it.
#[derive(Debug)]
pub(super) struct Index<'l> {
    /// In the order of their labels.
    carried: Vec<&'l Carried>,
    superseded: Vec<&'l str>,
}

impl Index<'_> {
    /// Whether the value at a place in a target is now in the source, possibly converted.
    pub fn has_carried(&self, plan: &Plan, label: &str) -> bool {
        around(label).any(|outer| {
            let first = self.carried.partition_point(|carried| carried.label.as_str() < outer);
            let same = self.carried[first..].iter().take_while(|carried| carried.label == outer);
            let below = label[outer.len()..].strip_prefix('.');
            let below: Vec<&str> =
                below.map(|below| below.split('.').collect()).unwrap_or_default();
            same.into_iter().any(|carried| {
                carried.inverse.as_ref().is_none_or(|inverse| reaches(plan, inverse, &below))
            })
        })
    }
    /// Whether a value at a place in a target, or around it, lost to another's.
    pub fn is_superseded(&self, label: &str) -> bool {
        around(label).any(|outer| self.superseded.binary_search(&outer).is_ok())
    }
}

/// A path, and those of all that is around it.
fn around(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(at, _)| &path[..at]).chain([path])
}
