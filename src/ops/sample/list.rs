//! The list of a sample: what each of its documents stands for, a JSON object a line.

use serde::Serialize;

use super::Source;
use super::choose::Choice;
use super::kinds::{Group, Step, What};
use super::mask::Masker;
use crate::base::mapping_id::MappingId;
use crate::mapping::Plan;
use crate::raw::{Value, display_id, display_value, kind_name};

/// The number of this format.
const FORMAT: u32 = 1;

/// The first line of a source.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    format: u32,
    mapping: &'a MappingId,
    namespace: &'a str,
    documents: u64,
    masked: bool,
    kinds: u64,
    not_told_apart: &'a [String],
}

/// The line of a document.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    namespace: &'a str,
    /// Its number in the sample, from 1.
    document: u64,
    /// Its number in the source.
    source_document: u64,
    /// Its `_id`, as messages show it.
    _id: Option<String>,
    /// Its kinds; none of one that was taken to spread the sample over the source.
    stands_for: Vec<Reason>,
    /// The mapping finds something else in it than in the original.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changed_by_mask: bool,
}

/// A kind that a document stands for.
#[derive(Debug, Serialize)]
struct Reason {
    kind: Group,
    what: String,
    /// How many documents of the source are of it.
    documents: u64,
}

/// A document to list.
pub(super) struct Listed<'a> {
    /// Its number in the sample, from 1.
    pub number: u64,
    /// Its number in the source.
    pub source: u64,
    /// What is written of it.
    pub bytes: &'a [u8],
    pub differs: bool,
}

/// Makes the lines of a source.
pub(super) struct Lister<'a> {
    choice: &'a Choice,
    masker: Option<&'a Masker>,
}

impl<'a> Lister<'a> {
    pub fn new(choice: &'a Choice, masker: Option<&'a Masker>) -> Self {
        Lister { choice, masker }
    }

    pub fn head<'s>(&self, source: &'s Source, plan: &'s Plan) -> Head<'s> {
        Head {
            format: FORMAT,
            mapping: plan.id(),
            namespace: &source.namespace,
            documents: source.documents,
            masked: self.masker.is_some(),
            kinds: source.kinds.values().sum(),
            not_told_apart: &source.not_told_apart,
        }
    }

    pub fn document<'s>(&self, namespace: &'s str, listed: Listed<'_>) -> Line<'s> {
        let kinds = self.choice.chosen.get(&listed.source).map_or(&[][..], Vec::as_slice);
        let reason = |number: &usize| {
            let kind = self.choice.kinds.get(*number);
            let what = self.what(&kind.what);
            Reason { kind: kind.what.group(), what, documents: kind.documents }
        };
        Line {
            namespace,
            document: listed.number,
            source_document: listed.source,
            _id: display_id(listed.bytes),
            stands_for: kinds.iter().map(reason).collect(),
            changed_by_mask: listed.differs,
        }
    }

    /// A kind in words. With a mask, names and values are those of the masked documents.
    fn what(&self, what: &What) -> String {
        let path = || self.choice.kinds.assessed(what).map_or("", |counted| &counted.name);
        match what {
            What::Order(number) => format!("order {number}"),
            What::Type { place, kind } => format!("{}: {}", self.path(*place), kind_name(*kind)),
            What::Finding(text) | What::Refusal(text) => text.clone(),
            What::Value { kind, bytes, .. } => {
                let value = Value { kind: *kind, bytes };
                let masked = self.masker.map(|masker| masker.whole_value(value));
                let value = Value { bytes: masked.as_deref().unwrap_or(bytes), ..value };
                format!("{}: {}", path(), display_value(value))
            }
            What::Largest => "most bytes".to_owned(),
            What::Oldest(_) => format!("first {}", path()),
            What::Newest(_) => format!("last {}", path()),
            What::Longest(_) => format!("longest {}", path()),
            What::Twin => "the first with a unique value that another has".to_owned(),
        }
    }

    fn path(&self, place: usize) -> String {
        let mut path = String::new();
        for step in self.choice.kinds.steps(place) {
            if !path.is_empty() && step != Step::Items {
                path.push('.');
            }
            path += &match step {
                Step::Items => "[]".to_owned(),
                Step::Others => "*".to_owned(),
                Step::Name(name) => {
                    let name = self.masker.map_or(name.clone(), |masker| masker.name(&name));
                    String::from_utf8_lossy(&name).escape_debug().to_string()
                }
            };
        }
        path
    }
}
