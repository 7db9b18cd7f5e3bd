//! Compiles a mapping to a [`Plan`]: resolves names, finds contradictions and reports all of them at
//! once.

mod changes;
mod checks;
mod indexes;
mod lets;
mod levels;
mod operators;
mod privacy;
mod routes;
mod rows;
mod shapes;
mod targets;

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

pub(super) use checks::{describe, query_text};
use levels::Levels;
use privacy::PrivatePaths;

use super::assess::Assess;
use super::fate::MOST_NAMES;
use super::language::{self, At, Mapping, Problem, Problems, Severity, Tests};
use super::plan::{
    Filter, INVALID_UTF8, LEFT_OUT, Let, MAX_TARGETS, Plan, Rule, SOURCE, Table, Target, UNMATCHED,
};
use crate::base::mapping_id::MappingId;
use crate::error::{Error, Result};
use crate::plain::plain;
use crate::raw;

/// The most bytes that a collection's name can have if its database has the shortest possible name.
/// A server accepts 255 for both names and the dot (MongoDB manual, "Limits and Thresholds", Length
/// of Namespace).
const MAX_COLLECTION_NAME: usize = 253;

impl Plan {
    /// Compiles the text of a mapping file.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage), which lists all that is wrong with it.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = mongosplit::Plan::parse("format = 2").unwrap_err();
    /// assert_eq!(error.exit_code(), 2);
    /// ```
    pub fn parse(text: &str) -> Result<Plan> {
        Plan::check(text).into_plan()
    }

    /// Compiles the text of a mapping file, and keeps all that there is to say about it.
    pub fn check(text: &str) -> Checked {
        Plan::compile(text, Tests::Read)
    }

    /// Like [`Plan::parse`], for a text that has been compiled before: a built-in mapping's, or a
    /// journal's. Its tests are not read.
    pub(crate) fn parse_again(text: &str) -> Result<Plan> {
        Plan::compile(text, Tests::Skip).into_plan()
    }

    fn compile(text: &str, tests: Tests) -> Checked {
        let mut problems = Problems::new(text);
        let plan = language::read(text, tests, &mut problems)
            .and_then(|mapping| Compiler::new(&mapping, &mut problems).mapping(text));
        let plan = plan.filter(|_| !problems.has_errors());
        Checked { plan, problems: problems.into_sorted() }
    }
}

/// What [`Plan::check`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The plan, if there is no error.
    pub plan: Option<Plan>,
    /// Errors and remarks, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// The same, with the name of the file in each problem.
    pub fn in_file(mut self, file: &str) -> Self {
        self.problems.iter_mut().for_each(|problem| problem.file = Some(file.to_owned()));
        self
    }

    /// The plan, or an [`Error::Usage`](crate::Error::Usage) that lists all that is wrong.
    pub fn into_plan(self) -> Result<Plan> {
        self.plan.ok_or_else(|| {
            let errors = self.problems.iter().filter(|one| one.severity == Severity::Error);
            let errors: Vec<String> = errors.map(Problem::to_string).collect();
            Error::Usage(format!("the mapping cannot be used:\n{}", errors.join("\n")))
        })
    }
}

/// What the rows of a table read, while they are compiled.
#[derive(Clone, Copy)]
struct Reads<'m> {
    level: usize,
    /// The table's number in the level's views. None in `[let]`.
    view: Option<usize>,
    /// The rows are those of an item: of a shape, or of a target that unwinds.
    is_item: bool,
    is_unwound: bool,
    /// The target that the rows belong to, for what is private.
    target: Option<usize>,
    /// For messages and rules: a collection or a shape.
    name: &'m str,
}

struct Compiler<'m, 't> {
    mapping: &'m Mapping,
    problems: &'m mut Problems<'t>,
    levels: Levels,
    rules: Vec<Rule>,
    /// Their numbers.
    rule_numbers: HashMap<Rule, usize>,
    lets: Vec<Let>,
    /// The number of each name of `[let]`, in the order in which they are computed.
    let_numbers: HashMap<&'m str, usize>,
    /// The table of each shape.
    shape_tables: HashMap<&'m str, usize>,
    tables: Vec<Option<Table>>,
    private: PrivatePaths,
    /// The number of embedded documents and the depth of constants, which bound how much deeper a
    /// target's document is.
    levels_added: u32,
}

impl<'m, 't> Compiler<'m, 't> {
    fn new(mapping: &'m Mapping, problems: &'m mut Problems<'t>) -> Self {
        Compiler {
            mapping,
            problems,
            levels: Levels::default(),
            rules: Vec::new(),
            rule_numbers: HashMap::new(),
            lets: Vec::new(),
            let_numbers: HashMap::new(),
            shape_tables: HashMap::new(),
            tables: Vec::new(),
            private: PrivatePaths::default(),
            levels_added: 2,
        }
    }

    fn error(&mut self, at: &Range<usize>, what: impl Into<String>) {
        self.problems.error(at, what);
    }

    fn rule(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let rule =
            Rule { name: plain(&name.into()).into_owned(), text: plain(&text.into()).into_owned() };
        if let Some(known) = self.rule_numbers.get(&rule) {
            return *known;
        }
        self.rule_numbers.insert(rule.clone(), self.rules.len());
        self.rules.push(rule);
        self.rules.len() - 1
    }

    fn mapping(mut self, text: &str) -> Option<Plan> {
        let mapping = self.mapping;
        let invalid = self.rule(
            "invalid-utf8",
            "a string or a name is not UTF-8; its bytes are copied as they are",
        );
        let left_out = self.rule(
            "left-out",
            "fields that no rule reads and no target takes; they are in the rollback journal only",
        );
        let unmatched = self
            .rule("unmatched", "no target takes the document; it is in the rollback journal only");
        assert_eq!([invalid, left_out, unmatched], [INVALID_UTF8, LEFT_OUT, UNMATCHED]);
        if mapping.targets.is_empty() || mapping.targets.len() > MAX_TARGETS {
            self.error(
                &mapping.source.at,
                format!(
                    "the mapping has {} targets; 1 to {MAX_TARGETS} are allowed",
                    mapping.targets.len()
                ),
            );
            return None;
        }
        self.collection_name(&mapping.source);
        self.levels.add(None);
        self.find_private();
        self.number_shapes();
        self.number_lets();
        self.tables.resize_with(mapping.targets.len() + mapping.shapes.len(), || None);
        self.compile_lets();
        self.compile_shapes();
        let mut targets: Vec<Target> = Vec::new();
        for (number, target) in mapping.targets.iter().enumerate() {
            let target = self.target(number, target);
            targets.push(target);
        }
        if self.problems.has_errors() {
            return None;
        }
        self.drops();
        self.mark_private();
        let mut tables: Vec<Table> = self.tables.drain(..).flatten().collect();
        self.routes(&mut tables, &mut targets);
        self.mark_private_levels(&tables, &targets);
        self.rules_of_levels();
        self.rests(&tables);
        self.keys(&tables, &targets);
        let most = self.levels.all().map(|level| level.names.len()).max().unwrap_or_default();
        if most > MOST_NAMES {
            self.error(
                &mapping.source.at,
                format!(
                    "the mapping names {most} fields of one document; at most {MOST_NAMES} are allowed"
                ),
            );
            return None;
        }
        let unique_classes = self.unique_classes(&tables, &mut targets);
        let families = families(&targets);
        let (arrays, array_rows) = self.arrays(&tables, &targets);
        Some(Plan {
            id: MappingId {
                name: mapping.name.value.clone(),
                version: mapping.version.value.clone(),
                sha256: raw::hex(&Sha256::digest(text.as_bytes())),
            },
            text: text.to_owned(),
            source: mapping.source.value.clone(),
            unmatched: mapping.unmatched,
            lets: self.lets,
            levels: self.levels.finish(),
            tables,
            targets,
            rules: self.rules,
            arrays,
            array_rows,
            families,
            levels_added: self.levels_added,
            unique_classes,
            assess: Assess::of(mapping),
        })
    }

    /// Collection names become file names, so those that a server refuses must be refused here. So are control
    /// characters, which SHA256SUMS and every list of names would have to escape.
    fn collection_name(&mut self, name: &At<String>) {
        let is_reserved =
            name.starts_with("system.") || name.starts_with('.') || name.ends_with('.');
        if name.is_empty()
            || name.len() > MAX_COLLECTION_NAME
            || is_reserved
            || name.contains(['$', '/', '\\'])
            || name.chars().any(char::is_control)
        {
            self.error(
                &name.at,
                format!(
                    "'{}' is not a collection name: use 1 to {MAX_COLLECTION_NAME} bytes, no '/', '\\', '$' or control character, no dot at either end, no 'system.' in front",
                    name.escape_debug()
                ),
            );
        }
    }

    /// Marks the fields that are meant to be in the journal only.
    fn drops(&mut self) {
        for path in &self.mapping.drop {
            let mut levels = vec![SOURCE];
            let mut names = path.names.as_slice();
            if let Some(below) = &path.items {
                levels = self.levels_of_items(&path.names);
                if levels.is_empty() {
                    self.error(
                        &path.at,
                        format!(
                            "nothing maps the items of '{}', so their fields cannot be dropped; drop the whole field",
                            path.names.join(".")
                        ),
                    );
                }
                names = below;
            }
            for level in levels {
                self.levels.hide(level, names);
                if let Some((level, node)) = self.levels.node_at(level, names) {
                    self.levels.node_mut(level, node).dropped = true;
                }
            }
        }
    }

    /// The rules that a field of a level can break, by its path.
    fn rules_of_levels(&mut self) {
        for level in 0..self.levels.len() {
            for node in 0..self.levels.level(level).nodes.len() {
                let path = self.levels.path(level, node);
                let journal_only = self.rule(
                    format!("journal-only {path}"),
                    "the value reaches only the rollback journal",
                );
                let duplicate = self.rule(
                    format!("duplicate-field {path}"),
                    "the field occurs more than once; the first counts",
                );
                let node = self.levels.node_mut(level, node);
                node.journal_only_rule = journal_only;
                node.duplicate_rule = duplicate;
            }
        }
    }
}

/// The targets with `otherwise`, each with those before it whose rest it takes.
fn families(targets: &[Target]) -> Vec<Vec<usize>> {
    let family = |(number, target): (usize, &Target)| match &target.filter {
        Filter::Otherwise(others) if target.unwind.is_none() => {
            Some(others.iter().copied().chain([number]).collect())
        }
        _ => None,
    };
    targets.iter().enumerate().filter_map(family).collect()
}

/// A name with its NUL.
fn nul(name: &str) -> Box<[u8]> {
    [name.as_bytes(), &[0]].concat().into()
}

/// The number of a target's row names that no field can have: a name with a NUL.
fn no_name(number: usize) -> Vec<u8> {
    format!("\0{number}").into_bytes()
}
