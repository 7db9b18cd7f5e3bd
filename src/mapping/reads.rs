//! Which paths the rows of a mapping read, held against documents: rows that nothing feeds, and
//! fields that nothing reads.
//!
//! This walks the text of the mapping, not the plan, and documents once more than the engine does. It
//! is for `mapping check`.

mod paths;

use std::collections::HashMap;

use paths::{Paths, ROOT};

use super::language::{self, Problem, Problems, Tests};
use super::plan::Plan;
use crate::raw::{Value, display_id, kind, kind_name};

/// More unread fields than this are not told apart.
const MOST_UNREAD: usize = 1000;
/// Longer paths of unread fields are cut.
const MOST_PATH_BYTES: usize = 256;

/// What the rows of a mapping have read, and what nothing has.
#[derive(Debug)]
pub struct Reads {
    paths: Paths,
    documents: u64,
    unread: HashMap<String, Unread>,
    /// Documents with an unread field that came after [`MOST_UNREAD`] others.
    with_more: u64,
    last_with_more: u64,
}

/// A field that no row reads.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Unread {
    /// Its path; `[]` is any item of an array, `{}` any entry of a map.
    pub path: String,
    /// The number of documents that have it.
    pub documents: u64,
    /// The types of its values.
    pub types: Vec<&'static str>,
    /// The `_id` of the first document that has it.
    pub example: String,
    /// A target or a shape passes it on by its `rest`; else it is in the journal only.
    pub is_passed: bool,
    #[serde(skip)]
    last: u64,
}

/// A document that is left to look at.
struct Open<'d> {
    value: Value<'d>,
    node: usize,
    path: String,
    /// A row reads it whole.
    is_read: bool,
    is_passed: bool,
}

impl Reads {
    /// The paths that the rows of a mapping read. Nothing has been seen.
    pub fn new(plan: &Plan) -> Self {
        let text = plan.text();
        // The text has been compiled, so it can be read.
        let mapping = language::read(text, Tests::Skip, &mut Problems::new(text));
        Reads {
            paths: mapping.map_or_else(Paths::default, |mapping| Paths::new(&mapping)),
            documents: 0,
            unread: HashMap::new(),
            with_more: 0,
            last_with_more: 0,
        }
    }

    /// Holds a valid document against the paths.
    pub fn observe(&mut self, document: &[u8]) {
        self.documents += 1;
        let root = &mut self.paths.nodes[ROOT];
        root.seen = true;
        let whole = Value { kind: kind::DOCUMENT, bytes: document };
        let (path, is_read, is_passed) = (String::new(), false, root.has_rest);
        // Paths nest only as deep as the mapping's.
        let mut open = vec![Open { value: whole, node: ROOT, path, is_read, is_passed }];
        while let Some(here) = open.pop() {
            for element in here.value.elements() {
                let Some(&node) = self.paths.nodes[here.node].children.get(element.key()) else {
                    if !here.is_read {
                        self.note(&here, element.key(), element.value(), document);
                    }
                    continue;
                };
                let known = &mut self.paths.nodes[node];
                known.seen = true;
                let is_read = here.is_read || known.is_whole;
                let is_passed = here.is_passed || known.has_rest;
                let path = join(&here.path, element.key());
                let found = Open { value: element.value(), node, path, is_read, is_passed };
                self.enter(found, &mut open);
            }
        }
    }

    /// Adds the documents in a value that paths go into.
    fn enter<'d>(&mut self, found: Open<'d>, open: &mut Vec<Open<'d>>) {
        let Open { value, node: number, .. } = found;
        let node = &self.paths.nodes[number];
        let Some((items, is_map)) = node.items else {
            if value.kind == kind::DOCUMENT && (node.is_entered || !node.children.is_empty()) {
                open.push(found);
            }
            return;
        };
        if value.kind != if is_map { kind::DOCUMENT } else { kind::ARRAY } {
            return;
        }
        let path = found.path + if is_map { "{}" } else { "[]" };
        for element in value.elements() {
            let known = &mut self.paths.nodes[items];
            known.seen = true;
            if element.kind() == kind::DOCUMENT {
                open.push(Open {
                    value: element.value(),
                    node: items,
                    path: path.clone(),
                    is_read: found.is_read || known.is_whole,
                    is_passed: known.has_rest,
                });
            }
        }
    }

    fn note(&mut self, here: &Open<'_>, name: &[u8], value: Value<'_>, document: &[u8]) {
        let mut path = join(&here.path, name);
        if path.len() > MOST_PATH_BYTES {
            path = path.chars().take(MOST_PATH_BYTES / 4).chain("…".chars()).collect();
        }
        if !self.unread.contains_key(&path) && self.unread.len() >= MOST_UNREAD {
            self.with_more += u64::from(self.last_with_more != self.documents);
            self.last_with_more = self.documents;
            return;
        }
        let unread = self.unread.entry(path).or_insert_with_key(|path| Unread {
            path: path.clone(),
            documents: 0,
            types: Vec::new(),
            example: display_id(document).unwrap_or_else(|| "none".to_owned()),
            is_passed: here.is_passed,
            last: 0,
        });
        unread.documents += u64::from(unread.last != self.documents);
        unread.last = self.documents;
        let name = kind_name(value.kind);
        if !unread.types.contains(&name) {
            unread.types.push(name);
        }
    }

    /// The fields that no row reads, by their path.
    pub fn unread(&self) -> Vec<Unread> {
        let mut all: Vec<Unread> = self.unread.values().cloned().collect();
        all.sort_by(|one, other| one.path.cmp(&other.path));
        all
    }

    /// The number of documents with further such fields, which were not told apart.
    pub fn with_more(&self) -> u64 {
        self.with_more
    }

    /// A remark for each target without documents, and for each row that no document fed: none of
    /// the fields that it reads was in any. `counts` are the targets' documents.
    pub fn remarks(&self, plan: &Plan, counts: &[u64]) -> Vec<Problem> {
        let mut problems = Problems::new(plan.text());
        for (target, count) in self.paths.targets.iter().zip(counts) {
            if *count == 0 {
                problems.remark(&target.at, format!("'{}' has no documents", target.value));
            }
        }
        for row in &self.paths.rows {
            let seen = |node: &usize| self.paths.nodes[*node].seen;
            let is_idle = row.target.is_some_and(|target| counts.get(target) == Some(&0));
            if is_idle || !row.bases.iter().any(seen) || row.reads.iter().any(seen) {
                continue;
            }
            let names: Vec<String> =
                row.names.iter().map(|name| format!("'{}'", name.escape_debug())).collect();
            let all = if names.len() == 1 { "is" } else { "are" };
            let names = names.join(", ");
            problems.remark(&row.at, format!("is never fed: {names} {all} in no document"));
        }
        problems.into_sorted()
    }
}

fn join(path: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).escape_debug().to_string();
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
