//! Compiles a mapping file to a [`Plan`]: resolves names, finds contradictions and reports all of
//! them at once.

mod expressions;
mod items;
mod routes;

use sha2::{Digest, Sha256};

use expressions::{defined_in, heads, operators};

use super::model;
use super::plan::{
    Chain, Constant, Define, Expression, FastPath, INVALID_UTF8, Index, Item, MAX_TARGETS, Path,
    Plan, Row, RowValue, Rule, Source, Target, Unique,
};
use super::shape::Names;
use crate::base::mapping_id::MappingId;
use crate::error::{Error, Result};
use crate::raw::{self, Writer, kind};

const BUILT_IN: &str = include_str!("../../../mappings/user_data.toml");
/// The mapping file format that this version reads.
const FORMAT: u32 = 1;
/// The most bytes that a collection's name can have if its database has the shortest possible name.
/// A server accepts 255 for both names and the dot (MongoDB manual, "Limits and Thresholds", Length
/// of Namespace).
const MAX_COLLECTION_NAME: usize = 253;

impl Plan {
    /// The built-in mapping of `user_data`.
    ///
    /// # Examples
    ///
    /// ```
    /// let plan = mongosplit::Plan::built_in()?;
    /// let targets: Vec<&str> = plan.target_collections().collect();
    /// assert_eq!(plan.collection(), "user_data");
    /// assert_eq!(targets, ["dataset_metadata", "transformation_configs", "model_configs"]);
    /// assert!(plan.show().contains("aiSummary"));
    /// # Ok::<(), mongosplit::Error>(())
    /// ```
    pub fn built_in() -> Result<Plan> {
        Plan::parse(BUILT_IN)
    }

    /// Compiles the text of a mapping file.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage), which lists all that is wrong with it.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = mongosplit::Plan::parse("format = 1").unwrap_err();
    /// assert_eq!(error.exit_code(), 2);
    /// ```
    pub fn parse(text: &str) -> Result<Plan> {
        let mapping: model::Mapping = toml::from_str(text)
            .map_err(|error| Error::Usage(format!("the mapping is not readable: {error}")))?;
        let mut compiler = Compiler::default();
        let plan = compiler.mapping(&mapping, text);
        if compiler.problems.is_empty() {
            return Ok(plan);
        }
        Err(Error::Usage(format!(
            "mapping '{}' cannot be used:\n  {}",
            mapping.name,
            compiler.problems.join("\n  ")
        )))
    }
}

#[derive(Default)]
struct Compiler {
    problems: Vec<String>,
    names: Names,
    sources: Vec<Source>,
    defines: Vec<Define>,
    rules: Vec<Rule>,
    items: Vec<(String, Item)>,
    /// The target whose rows are being compiled; none while definitions and items are.
    target: Option<usize>,
}

/// What the paths of an expression start from.
enum Scope<'a> {
    Document,
    Item(&'a mut Names),
}

impl Compiler {
    fn problem(&mut self, at: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("{at}: {what}"));
    }

    fn rule(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let rule = Rule { name: name.into(), text: text.into() };
        if let Some(known) =
            self.rules.iter().position(|known| known.name == rule.name && known.text == rule.text)
        {
            return known;
        }
        self.rules.push(rule);
        self.rules.len() - 1
    }

    fn source(&mut self, name: &str) -> usize {
        let number = self.names.add(name.as_bytes());
        if number == self.sources.len() {
            let journal_only_rule = self.rule(
                format!("journal-only {name}"),
                "the value reaches only the rollback journal",
            );
            let duplicate_rule = self.rule(
                format!("duplicate-field {name}"),
                "the field occurs more than once; the first counts",
            );
            self.sources.push(Source { journal_only_rule, duplicate_rule, ..Source::default() });
        }
        number
    }

    fn mapping(&mut self, mapping: &model::Mapping, text: &str) -> Plan {
        let rule = self.rule(
            "invalid-utf8",
            "a string or a name is not UTF-8; its bytes are copied as they are",
        );
        assert_eq!(rule, INVALID_UTF8);
        if mapping.format != FORMAT {
            self.problem("format", format!("is {}, this version reads {FORMAT}", mapping.format));
        }
        if mapping.target.is_empty() || mapping.target.len() > MAX_TARGETS {
            self.problem(
                "target",
                format!("has {} targets; 1 to {MAX_TARGETS} are allowed", mapping.target.len()),
            );
        }
        self.collection_name("collection", &mapping.collection);
        for (name, definition) in &mapping.define {
            let at = format!("define.{name}");
            let mut alternatives = vec![self.expression(&at, definition, &mut Scope::Document)];
            for other in &definition.or {
                alternatives.push(self.alternative(&at, other, &mut Scope::Document));
            }
            self.defines.push(Define { name: name.clone(), alternatives });
        }
        for (name, item) in &mapping.item {
            let item = self.item(name, item);
            self.items.push((name.clone(), item));
        }
        let mut rest = None;
        let mut targets: Vec<Target> = Vec::new();
        for (number, target) in mapping.target.iter().take(MAX_TARGETS).enumerate() {
            self.target = Some(number);
            if targets.iter().any(|other| other.collection == target.collection) {
                self.problem(&target.collection, "is listed as a target twice");
            }
            self.collection_name("target", &target.collection);
            if target.collection == mapping.collection {
                self.problem(&target.collection, "is both source and target");
            }
            if target.rest {
                if !target.when_any.is_empty() {
                    self.problem(
                        &target.collection,
                        "has `rest`, so it is always written and cannot have `when_any`",
                    );
                }
                if rest.is_some() {
                    self.problem(
                        &target.collection,
                        "is a second target with `rest`; only one can have it",
                    );
                }
                rest = Some(number);
            }
            let compiled = self.one_target(target);
            if compiled.names.number(mapping.key.as_bytes()).is_none() {
                self.problem(
                    &target.collection,
                    format!("has no field '{}', which the mapping names as its key", mapping.key),
                );
            }
            if compiled.names.number(b"_id").is_none() {
                self.problem(
                    &target.collection,
                    "has no field '_id', so a server would add one to each of its documents",
                );
            }
            targets.push(compiled);
        }
        if let Some(rest) = rest {
            for row in &targets[rest].rows {
                let name =
                    String::from_utf8_lossy(&row.name_nul[..row.name_nul.len() - 1]).into_owned();
                let number = self.source(&name);
                self.sources[number].reserved = true;
            }
        }
        self.routes(&targets, mapping);
        let unique_classes = self.unique_classes(&mut targets);
        let mut arrays = Vec::new();
        let mut array_rows = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            for (row_number, row) in target.rows.iter().enumerate() {
                if let RowValue::Each { path, .. } = &row.value {
                    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
                    let field = format!(
                        "{}.{}",
                        target.collection,
                        text(&row.name_nul[..row.name_nul.len() - 1])
                    );
                    arrays.push((
                        format!("{}.{}", mapping.collection, text(self.names.name(path.head))),
                        field,
                    ));
                    array_rows.push((path.head, number, row_number));
                }
            }
        }
        Plan {
            id: MappingId {
                name: mapping.name.clone(),
                version: mapping.version.clone(),
                sha256: raw::hex(&Sha256::digest(text.as_bytes())),
            },
            text: text.to_owned(),
            collection: mapping.collection.clone(),
            names: std::mem::take(&mut self.names),
            sources: std::mem::take(&mut self.sources),
            defines: std::mem::take(&mut self.defines),
            targets,
            items: std::mem::take(&mut self.items).into_iter().map(|(_, item)| item).collect(),
            rules: std::mem::take(&mut self.rules),
            arrays,
            array_rows,
            rest,
            key_nul: nul(&mapping.key),
            unique_classes,
        }
    }

    /// Collection names become file names, so those that a server refuses must be refused here.
    fn collection_name(&mut self, at: &str, name: &str) {
        let is_reserved =
            name.starts_with("system.") || name.starts_with('.') || name.ends_with('.');
        if name.is_empty()
            || name.len() > MAX_COLLECTION_NAME
            || is_reserved
            || name.contains(['\0', '$', '/', '\\'])
        {
            self.problem(
                at,
                format!(
                    "'{}' is not a collection name: use 1 to {MAX_COLLECTION_NAME} bytes, no '/', '\\', '$' or NUL, no dot at either end, no 'system.' in front",
                    name.escape_debug()
                ),
            );
        }
    }

    fn one_target(&mut self, target: &model::Target) -> Target {
        let when_any = target.when_any.iter().map(|name| self.read(name)).collect();
        let mut names = Names::default();
        let rows = self.rows(&target.collection, &target.field);
        for row in &target.field {
            // A repeated name gets one number; `rows` has reported it.
            names.add(row.name.as_bytes());
        }
        let mut indexes = Vec::new();
        let mut compound = Vec::new();
        let mut unique = Vec::new();
        for index in &target.index {
            let at = format!("{}, index '{}'", target.collection, index.name);
            let mut key = Vec::new();
            let mut rows = Vec::new();
            for (field, direction) in &index.key {
                match names.number(field.as_bytes()) {
                    Some(row) => rows.push(row),
                    None => self.problem(&at, format!("the target has no field '{field}'")),
                }
                match direction.as_integer() {
                    Some(direction @ (1 | -1)) => key.push((field.clone(), direction)),
                    _ => self.problem(&at, format!("the direction of '{field}' must be 1 or -1")),
                }
            }
            if rows.len() > 1 {
                compound.push(rows.clone());
            }
            if index.unique {
                unique.push(Unique { class: 0, rows, index: index.name.clone() });
            }
            indexes.push(Index { name: index.name.clone(), key, unique: index.unique });
        }
        Target {
            collection: target.collection.clone(),
            when_any,
            rows,
            names,
            indexes,
            compound,
            unique,
        }
    }

    fn rows(&mut self, at: &str, fields: &[model::Field]) -> Vec<Row> {
        let mut rows = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            let at = format!("{at}.{}", field.name);
            if field.name.is_empty() || field.name.contains('\0') {
                self.problem(&at, "is not a field name");
            }
            if fields[..number].iter().any(|other| other.name == field.name) {
                self.problem(&at, "has two rules");
            }
            let value = self.row_value(&at, field);
            let check = field.must.as_ref().map(|must| self.check(&at, must));
            rows.push(Row {
                name_nul: nul(&field.name),
                fast: self.fast_path(&field.name, &value),
                value,
                check,
            });
        }
        rows
    }

    fn row_value(&mut self, at: &str, field: &model::Field) -> RowValue {
        let fallback = self.fallback(at, field.empty.as_deref(), field.absent.as_deref());
        let operators = operators(&field.expression())
            + usize::from(field.document.is_some())
            + usize::from(field.each.is_some());
        if operators != 1 {
            self.problem(at, format!("has {operators} operators; exactly one is needed"));
        }
        if let Some(fields) = &field.document {
            return RowValue::Document(self.rows(at, fields));
        }
        if let Some(array) = &field.each {
            let path = self.path(at, array, &mut Scope::Document);
            if !path.below.is_empty() {
                self.problem(at, "`each` needs a top-level field");
            }
            let name = field.item.as_deref().unwrap_or_default();
            let item = self.items.iter().position(|(known, _)| known == name);
            if item.is_none() {
                self.problem(at, format!("there is no item '{name}'"));
            }
            let item = item.unwrap_or_default();
            let outer: Vec<usize> = self.items.get(item).map_or(Vec::new(), |(_, item)| {
                let alternatives = item.rows.iter().flat_map(|row| &row.missing.alternatives);
                alternatives
                    .filter(|other| matches!(other, Expression::Outer(_)))
                    .flat_map(heads)
                    .collect()
            });
            self.mark_read(&outer);
            let defined: Vec<usize> = self.items.get(item).map_or(Vec::new(), |(_, item)| {
                item.rows
                    .iter()
                    .flat_map(|row| &row.missing.alternatives)
                    .flat_map(defined_in)
                    .collect()
            });
            defined.into_iter().for_each(|number| self.mark_defined(number));
            return RowValue::Each { path, item, fallback };
        }
        let mut alternatives = vec![self.expression(at, &field.expression(), &mut Scope::Document)];
        for other in &field.or {
            alternatives.push(self.alternative(at, other, &mut Scope::Document));
        }
        if let Some(convert) = self.convert(at, field.date, &field.translate, &[]) {
            match &mut alternatives[0] {
                Expression::Copy { convert: place, .. } => *place = Some(convert),
                _ => self.problem(at, "`date` and `translate` need `copy`"),
            }
        }
        let when = field.when.as_ref().map(|path| self.path(at, path, &mut Scope::Document));
        RowValue::Chain(Chain { alternatives, fallback, empty_array: field.empty_array, when })
    }

    /// What the rules of a row with this name usually amount to.
    fn fast_path(&self, name: &str, value: &RowValue) -> FastPath {
        let RowValue::Chain(Chain { alternatives, when: None, fallback, .. }) = value else {
            return FastPath::None;
        };
        match alternatives.as_slice() {
            [Expression::Copy { path: Path { head, below }, only: None, convert: None }, ..]
                if below.is_empty() =>
            {
                FastPath::Field { name: *head, whole: self.names.name(*head) == name.as_bytes() }
            }
            [Expression::Constant(constant)] if fallback.empty.is_none() => {
                let mut element = Vec::new();
                element.element(&nul(name), constant.value());
                FastPath::Element(element.into())
            }
            _ => FastPath::None,
        }
    }
}

fn nul(name: &str) -> Box<[u8]> {
    [name.as_bytes(), &[0]].concat().into()
}

fn string(text: &str) -> Constant {
    let length = (text.len() as i32 + 1).to_le_bytes();
    Constant { kind: kind::STRING, bytes: [&length[..], text.as_bytes(), &[0]].concat().into() }
}
