//! What the application would refuse of the documents, and what reaches no collection.

use std::collections::BTreeMap;

use super::plan::{Plan, Rule};
use crate::raw;

/// The number of `_id`s to keep with a finding.
pub const SAMPLES: usize = 5;

/// What was found, by the number of its rule.
#[derive(Debug, Clone)]
pub struct Findings {
    /// How many `_id`s are kept of each rule.
    most_ids: usize,
    by_rule: BTreeMap<usize, Found>,
    /// How many documents broke any rule.
    documents: u64,
    /// The names of the first few fields that were left out.
    left_out: Vec<String>,
}

/// The documents that broke a rule.
#[derive(Debug, Default, Clone)]
pub struct Found {
    /// How many.
    pub documents: u64,
    /// The `_id`s of the first few.
    pub first_ids: Vec<String>,
}

impl Default for Findings {
    fn default() -> Self {
        Findings::keeping(SAMPLES)
    }
}

impl Findings {
    /// None yet. Of each rule, the `_id`s of so many documents will be kept.
    pub fn keeping(most_ids: usize) -> Self {
        Findings { most_ids, by_rule: BTreeMap::new(), documents: 0, left_out: Vec::new() }
    }
    /// Notes the rules that a document breaks, each once.
    pub(super) fn note(&mut self, rules: &[usize], document: &[u8]) {
        self.documents += u64::from(!rules.is_empty());
        for rule in rules {
            let found = self.by_rule.entry(*rule).or_default();
            found.documents += 1;
            if found.first_ids.len() < self.most_ids {
                found
                    .first_ids
                    .push(raw::display_id(document).unwrap_or_else(|| "none".to_owned()));
            }
        }
    }
    /// Remembers the names of fields that were left out.
    pub(super) fn name(&mut self, left_out: Vec<Vec<u8>>) {
        for name in left_out {
            self.add_name(String::from_utf8_lossy(&name).escape_debug().to_string());
        }
    }
    fn add_name(&mut self, name: String) {
        if self.left_out.len() < SAMPLES && !self.left_out.contains(&name) {
            self.left_out.push(name);
        }
    }
    pub(super) fn clear(&mut self) {
        self.by_rule.clear();
        self.documents = 0;
        self.left_out.clear();
    }
    /// What a rule demands, with the names of the first few fields that were left out.
    pub fn text(&self, rule: &Rule) -> String {
        match rule.name.as_str() {
            "left-out" => format!("{}; first: {}", rule.text, self.left_out.join(", ")),
            _ => rule.text.clone(),
        }
    }
    /// Adds the findings of a later batch.
    pub fn append(&mut self, later: &Findings) {
        later.left_out.iter().for_each(|name| self.add_name(name.clone()));
        self.documents += later.documents;
        for (rule, later) in &later.by_rule {
            let found = self.by_rule.entry(*rule).or_default();
            found.documents += later.documents;
            let room = self.most_ids.saturating_sub(found.first_ids.len());
            found.first_ids.extend(later.first_ids.iter().take(room).cloned());
        }
    }
    /// Each rule that was broken, in the order of the rules.
    pub fn iter<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a Rule, &'a Found)> {
        self.by_rule.iter().map(|(rule, found)| (&plan.rules()[*rule], found))
    }
    /// How many documents broke any rule.
    pub fn documents(&self) -> u64 {
        self.documents
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_rule.is_empty()
    }
}
