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
    /// Whether the value at a place in a target is now in the source, possibly converted.
    pub fn has_carried(&self, plan: &Plan, label: &str) -> bool {
        self.carried.iter().any(|carried| {
            let below: Vec<&str> = match label.strip_prefix(carried.label.as_str()) {
                Some("") => Vec::new(),
                Some(below) if below.starts_with('.') => below[1..].split('.').collect(),
                _ => return false,
            };
            carried.inverse.as_ref().is_none_or(|inverse| reaches(plan, inverse, &below))
        })
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
