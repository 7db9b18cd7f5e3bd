//! Compiles a mapping file to a [`Plan`]: resolves names, finds contradictions and reports all of
//! them at once.

use std::ops::Bound;

use bson::{Bson, Document};
use sha2::{Digest, Sha256};

use super::model::{self, TypeName};
use super::plan::{
    Chain, Check, Constant, Convert, Define, Expression, Fallback, FastPath, INVALID_UTF8, Index,
    Inverse, Item, ItemRow, Kinds, MAX_TARGETS, Part, Path, Plan, Range, Requirement, Route, Row,
    RowValue, Rule, Source, Target, Translation, Unique, copies,
};
use super::shape::Names;
use crate::base::mapping_id::MappingId;
use crate::error::{Error, Result};
use crate::raw::{self, Writer, kind};

const BUILT_IN: &str = include_str!("../../mappings/user_data.toml");
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

    fn convert(
        &mut self,
        at: &str,
        date: bool,
        translations: &[model::Translation],
        rows: &[model::ItemField],
    ) -> Option<Convert> {
        if date && !translations.is_empty() {
            self.problem(at, "has both `date` and `translate`");
        }
        if date {
            return Some(Convert::Date);
        }
        if translations.is_empty() {
            return None;
        }
        let mut forward: Vec<(Box<[u8]>, Constant, bool)> = Vec::new();
        let mut backward: Vec<(Box<[u8]>, Constant)> = Vec::new();
        let mut keep = None;
        for translation in translations {
            for from in &translation.from {
                if forward.iter().any(|(known, _, _)| **known == *from.as_bytes()) {
                    self.problem(at, format!("'{from}' is translated twice"));
                }
                forward.push((
                    from.as_bytes().into(),
                    string(&translation.to),
                    translation.keep.is_some(),
                ));
            }
            if let (None, [only]) = (&translation.keep, translation.from.as_slice()) {
                backward.push((translation.to.as_bytes().into(), string(only)));
            }
            if let Some(place) = &translation.keep {
                let place_of = place.split_once('.').and_then(|(row, name)| {
                    let row = rows.iter().position(|other| other.name == row)?;
                    // A NUL would end the name early.
                    (!name.contains('\0')).then_some(())?;
                    Some((row, Box::from(name.as_bytes())))
                });
                if place_of.is_none()
                    || keep.as_ref().is_some_and(|other| Some(other) != place_of.as_ref())
                {
                    self.problem(at, format!("'{place}' cannot keep the original: use one ROW.NAME of the same item for all translations"));
                }
                keep = place_of;
            }
        }
        // A text that several texts become cannot be translated back.
        let ambiguous = |text: &[u8]| {
            translations.iter().filter(|other| other.to.as_bytes() == text).count() > 1
        };
        backward.retain(|(text, _)| !ambiguous(text));
        let forward = forward.into_iter().map(|(from, to, keep)| (from, (to, keep))).collect();
        Some(Convert::Translate(Translation {
            forward,
            backward: backward.into_iter().collect(),
            keep,
        }))
    }

    fn fallback(&mut self, at: &str, empty: Option<&str>, absent: Option<&str>) -> Fallback {
        if empty.is_some() && absent.is_some() {
            self.problem(at, "has both `empty` and `absent`; `empty` covers absent values too");
        }
        Fallback {
            empty: empty.and_then(|text| self.constant(at, text)),
            absent: absent.and_then(|text| self.constant(at, text)),
        }
    }

    fn constant(&mut self, at: &str, text: &str) -> Option<Constant> {
        let value = serde_json::from_str::<serde_json::Value>(text)
            .map_err(|error| error.to_string())
            .and_then(|json| Bson::try_from(json).map_err(|error| error.to_string()))
            .and_then(|value| {
                let mut document = Document::new();
                document.insert("v", value);
                document.to_vec().map_err(|error| error.to_string())
            });
        match value {
            // The value follows the length, the type, `v` and its NUL, and precedes one NUL.
            Ok(bytes) => Some(Constant { kind: bytes[4], bytes: bytes[7..bytes.len() - 1].into() }),
            Err(error) => {
                self.problem(at, format!("'{text}' is not an Extended JSON value: {error}"));
                None
            }
        }
    }

    fn alternative(
        &mut self,
        at: &str,
        expression: &model::Expression,
        scope: &mut Scope<'_>,
    ) -> Expression {
        if !expression.or.is_empty() {
            self.problem(
                at,
                "an alternative cannot have its own `or`; list all alternatives in one",
            );
        }
        self.expression(at, expression, scope)
    }

    fn expression(
        &mut self,
        at: &str,
        expression: &model::Expression,
        scope: &mut Scope<'_>,
    ) -> Expression {
        if operators(expression) != 1 {
            self.problem(at, "an alternative needs exactly one operator");
        }
        if expression.only.is_some() && expression.copy.is_none() && expression.pluck.is_none() {
            self.problem(at, "`only` needs `copy` or `pluck`");
        }
        let only = expression.only;
        if let Some(path) = &expression.copy {
            return Expression::Copy { path: self.path(at, path, scope), only, convert: None };
        }
        if let Some(name) = &expression.value {
            return match self.defines.iter().position(|define| define.name == *name) {
                Some(number) => {
                    self.mark_defined(number);
                    Expression::Defined(number)
                }
                None => {
                    self.problem(at, format!("'{name}' is not defined"));
                    placeholder()
                }
            };
        }
        if let Some(path) = &expression.text {
            return Expression::Text(self.path(at, path, scope));
        }
        if let Some(template) = &expression.template {
            return Expression::Template(self.template(at, template, scope));
        }
        if let Some(text) = &expression.constant {
            return self.constant(at, text).map_or_else(placeholder, Expression::Constant);
        }
        if let Some(pluck) = &expression.pluck {
            let Some((array, field)) = pluck.split_once("[].") else {
                self.problem(at, format!("'{pluck}' is not of the form ARRAY[].FIELD"));
                return placeholder();
            };
            return Expression::Pluck {
                path: self.path(at, array, scope),
                field: field.as_bytes().into(),
                only,
            };
        }
        if let Some(path) = &expression.count {
            return Expression::Count(self.path(at, path, scope));
        }
        if let Some(path) = &expression.non_empty {
            return Expression::NonEmpty(self.path(at, path, scope));
        }
        let path = expression.outer.as_deref().unwrap_or_default();
        if matches!(scope, Scope::Document) {
            self.problem(at, "`outer` only works in items");
        }
        Expression::Outer(self.path(at, path, &mut Scope::Document))
    }

    fn template(&mut self, at: &str, template: &str, scope: &mut Scope<'_>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once('{') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.as_bytes().into()));
            }
            let Some((name, tail)) = tail.split_once('}') else {
                self.problem(at, "a `{` without a `}`");
                return parts;
            };
            parts.push(match self.defines.iter().position(|define| define.name == name) {
                Some(number) => {
                    self.mark_defined(number);
                    Part::Defined(number)
                }
                None => Part::Copy(self.path(at, name, scope)),
            });
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.as_bytes().into()));
        }
        parts
    }

    fn path(&mut self, at: &str, path: &str, scope: &mut Scope<'_>) -> Path {
        let mut names = path.split('.');
        let head = names.next().unwrap_or_default();
        if path.is_empty() || path.contains('\0') || path.split('.').any(str::is_empty) {
            self.problem(at, format!("'{path}' is not a path"));
        }
        let head = match scope {
            Scope::Document => self.read(head),
            Scope::Item(table) => table.add(head.as_bytes()),
        };
        Path { head, below: names.map(|name| name.as_bytes().into()).collect() }
    }

    /// Marks a source field as read by the current target, and returns its number.
    fn read(&mut self, name: &str) -> usize {
        let number = self.source(name);
        self.mark_read(&[number]);
        number
    }

    fn mark_read(&mut self, sources: &[usize]) {
        for &source in sources {
            self.sources[source].read_by |= self.target.map_or(0, |target| 1 << target);
        }
    }

    /// Marks the source fields that a defined value is computed from as read by the current target.
    fn mark_defined(&mut self, number: usize) {
        let mut open = vec![number];
        let mut known = Vec::new();
        let mut read = Vec::new();
        while let Some(number) = open.pop() {
            if known.contains(&number) {
                continue;
            }
            known.push(number);
            for alternative in &self.defines[number].alternatives {
                read.extend(heads(alternative));
                open.extend(defined_in(alternative));
            }
        }
        self.mark_read(&read);
    }

    fn item(&mut self, name: &str, item: &model::Item) -> Item {
        let mut names = Names::default();
        for (number, field) in item.field.iter().enumerate() {
            let at = format!("item.{name}.{}", field.name);
            names.add(field.name.as_bytes());
            if item.field[..number].iter().any(|other| other.name == field.name) {
                self.problem(&at, "has two rules");
            }
            if field.name.is_empty() || field.name.contains('\0') {
                self.problem(&at, "is not a field name");
            }
        }
        let mut rows: Vec<ItemRow> = Vec::new();
        for (own, field) in item.field.iter().enumerate() {
            let at = format!("item.{name}.{}", field.name);
            let rename = field.rename.as_ref().map(|old| names.add(old.as_bytes()));
            let has_rule = |old: &String| item.field.iter().any(|other| other.name == *old);
            if field.rename.as_ref().is_some_and(has_rule)
                || (rename.is_some() && rows.iter().any(|row| row.rename == rename))
            {
                self.problem(&at, "renames a field that has a rule of its own");
            }
            let mut missing = Chain {
                fallback: self.fallback(&at, field.empty.as_deref(), field.absent.as_deref()),
                ..Chain::default()
            };
            for other in &field.or {
                missing.alternatives.push(self.alternative(
                    &at,
                    other,
                    &mut Scope::Item(&mut names),
                ));
            }
            rows.push(ItemRow {
                name_nul: nul(&field.name),
                own,
                rename,
                back_nul: nul(field.back.as_ref().unwrap_or(&field.name)),
                convert: self.convert(&at, field.date, &field.translate, &item.field),
                convert_own: field.convert_own,
                missing,
                check: field
                    .must
                    .as_ref()
                    .map(|must| self.check(&format!("{name}.{}", field.name), must)),
                generated: field.generated,
            });
        }
        let mut requires = Vec::new();
        for requirement in &item.requires {
            let mut row = |field: &String| {
                let number = item.field.iter().position(|known| known.name == *field);
                if number.is_none() {
                    self.problems.push(format!("item.{name}, requires: '{field}' has no row"));
                }
                number.unwrap_or_default()
            };
            let (row_number, needs_any) =
                (row(&requirement.field), requirement.needs_any.iter().map(&mut row).collect());
            requires.push(Requirement {
                row: row_number,
                one_of: requirement
                    .one_of
                    .iter()
                    .map(|text| (text.as_bytes().into(), ()))
                    .collect(),
                needs_any,
                rule: self.rule(
                    format!("{name}.{}", requirement.needs_any.join("|")),
                    format!(
                        "one must be set where {} is one of {}",
                        requirement.field,
                        requirement.one_of.join(", ")
                    ),
                ),
            });
        }
        Item {
            keeping_row: rows.iter().position(
                |row| matches!(&row.convert, Some(Convert::Translate(t)) if t.keep.is_some()),
            ),
            checked: rows.iter().any(|row| row.check.is_some()),
            rows,
            names,
            requires,
            not_renamed_rule: self.rule(
                format!("not-renamed {name}"),
                "the item has both the old and the new name of a field; the old one stays",
            ),
            duplicate_rule: self.rule(
                format!("duplicate-field {name}"),
                "a field that a rule reads occurs more than once in an item; the first counts",
            ),
            check_rule: self.rule(name.to_owned(), "an item must be a document"),
        }
    }

    fn check(&mut self, at: &str, must: &model::Constraint) -> Check {
        let types = must.is.to_vec();
        let absent = must.optional.then_some("absent");
        let names: Vec<&str> =
            absent.into_iter().chain(types.iter().map(|name| name.name())).collect();
        let mut text = format!("must be {}", names.join(" or "));
        if !must.one_of.is_empty() {
            text += &format!(", one of {}", must.one_of.join(", "));
        }
        text += &bounds(must);
        if !must.starts_with.is_empty() {
            text += &format!(" that starts with {}", must.starts_with.join(" or "));
        }
        let mut part = |at: String, part: &Option<Box<model::Constraint>>| {
            part.as_ref().map(|part| Box::new(self.check(&at, part)))
        };
        let items = part(format!("{at}[]"), &must.items);
        let values = part(format!("{at}.*"), &must.values);
        let fields: Vec<_> = must
            .fields
            .iter()
            .map(|field| {
                let names = field.name.to_vec();
                let check = self.check(&format!("{at}.{}", names.join("|")), &field.must);
                (names.iter().map(|name| name.as_bytes().into()).collect(), check)
            })
            .collect();
        let strings = types.contains(&TypeName::Strings) && !types.contains(&TypeName::Array);
        let range = self.range(at, must);
        let has_texts = !must.one_of.is_empty() || !must.starts_with.is_empty();
        let has_parts = items.is_some() || values.is_some() || !fields.is_empty();
        Check {
            rule: self.rule(at, text),
            kinds: Kinds::of_any(&types),
            optional: must.optional,
            by_type_alone: !strings && !has_texts && range.is_none() && !has_parts,
            strings,
            one_of: must.one_of.iter().map(|text| (text.as_bytes().into(), ())).collect(),
            starts_with: must.starts_with.iter().map(|text| text.as_bytes().into()).collect(),
            any_case: must.any_case,
            range,
            items,
            values,
            fields,
        }
    }

    fn range(&mut self, at: &str, must: &model::Constraint) -> Option<Range> {
        if must.min.is_some() && must.above.is_some() || must.max.is_some() && must.below.is_some()
        {
            self.problem(
                at,
                "has more than one lower or upper bound: use `min` or `above`, `max` or `below`",
            );
        }
        let bound = |included: Option<f64>, excluded: Option<f64>| {
            included
                .map(Bound::Included)
                .or(excluded.map(Bound::Excluded))
                .unwrap_or(Bound::Unbounded)
        };
        let range = Range { from: bound(must.min, must.above), to: bound(must.max, must.below) };
        let is_bounded = must.min.or(must.max).or(must.above).or(must.below).is_some();
        is_bounded.then_some(range)
    }

    /// Finds the places from which each source field can be restored. Rows that always hold its
    /// value come before rows that hold it only if another field is empty; both are in the
    /// mapping's order.
    fn routes(&mut self, targets: &[Target], mapping: &model::Mapping) {
        for (target, compiled) in targets.iter().enumerate() {
            for (field, row) in compiled.rows.iter().enumerate() {
                let written = &mapping.target[target].field[field];
                match &row.value {
                    RowValue::Document(rows) => {
                        for (inner, row) in rows.iter().enumerate() {
                            let written = &written.document.as_deref().unwrap_or_default()[inner];
                            self.row_routes(target, field, Some(&row.name_nul), row, written);
                        }
                    }
                    _ => self.row_routes(target, field, None, row, written),
                }
            }
        }
        for source in &mut self.sources {
            source.routes.sort_by_key(|route| (!route.below.is_empty(), route.rank));
        }
    }

    fn row_routes(
        &mut self,
        target: usize,
        field: usize,
        inner: Option<&[u8]>,
        row: &Row,
        written: &model::Field,
    ) {
        let empty_array = matches!(&row.value, RowValue::Chain(chain) if chain.empty_array);
        let mut add = |source: usize, rank: usize, inverse: Inverse, below: &[Box<[u8]>]| {
            let inner = inner.map(|name_nul| name_nul[..name_nul.len() - 1].into());
            self.sources[source].newest |= written.merge == Some(model::Merge::Newest);
            self.sources[source].routes.push(Route {
                target,
                field,
                inner,
                inverse,
                rank,
                below: below.to_vec(),
                empty_array,
            });
        };
        match &row.value {
            RowValue::Each { path, item, .. } => add(path.head, 0, Inverse::Each(*item), &[]),
            RowValue::Chain(chain) => {
                for (rank, alternative) in copies(&self.defines, chain).into_iter().enumerate() {
                    if let Expression::Copy { path, convert, .. } = alternative {
                        let inverse = convert.clone().map_or(Inverse::Same, Inverse::Convert);
                        // A row that holds its value only sometimes comes after those that always
                        // do.
                        add(
                            path.head,
                            rank + usize::from(chain.when.is_some()),
                            inverse,
                            &path.below,
                        );
                    }
                }
            }
            RowValue::Document(_) => {}
        }
    }

    /// Assigns a class of fingerprints to each unique index. Texts made of one defined value and
    /// fixed parts differ exactly when the value does, so all such rows share a class.
    fn unique_classes(&self, targets: &mut [Target]) -> usize {
        let mut of_defined: Vec<usize> = Vec::new();
        let mut classes = 0;
        for target in targets {
            let rows = &target.rows;
            for unique in &mut target.unique {
                let defined = match unique.rows.as_slice() {
                    [row] => deciding_define(&rows[*row]),
                    _ => None,
                };
                unique.class = match defined
                    .and_then(|defined| of_defined.iter().position(|known| *known == defined))
                {
                    Some(class) => class,
                    None => {
                        // A target that is not always written cannot represent the others.
                        of_defined.push(
                            defined.filter(|_| target.when_any.is_empty()).unwrap_or(usize::MAX),
                        );
                        classes += 1;
                        classes - 1
                    }
                };
            }
        }
        classes
    }
}

/// The source fields that an expression over the document reads.
fn heads(expression: &Expression) -> Vec<usize> {
    match expression {
        Expression::Copy { path, .. }
        | Expression::Text(path)
        | Expression::Pluck { path, .. }
        | Expression::Count(path)
        | Expression::NonEmpty(path)
        | Expression::Outer(path) => vec![path.head],
        Expression::Template(parts) => parts
            .iter()
            .filter_map(|part| if let Part::Copy(path) = part { Some(path.head) } else { None })
            .collect(),
        Expression::Constant(_) | Expression::Defined(_) => Vec::new(),
    }
}

/// The defined values that an expression uses.
fn defined_in(expression: &Expression) -> Vec<usize> {
    match expression {
        Expression::Defined(number) => vec![*number],
        Expression::Template(parts) => parts
            .iter()
            .filter_map(|part| if let Part::Defined(number) = part { Some(*number) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}

/// The one defined value that determines the value of a row, if there is one.
fn deciding_define(row: &Row) -> Option<usize> {
    let RowValue::Chain(chain) = &row.value else { return None };
    match chain.alternatives.as_slice() {
        [Expression::Defined(defined)] => Some(*defined),
        [Expression::Template(parts)] => {
            let mut defined = None;
            for part in parts {
                match part {
                    Part::Literal(_) => {}
                    Part::Defined(number) if defined.is_none() => defined = Some(*number),
                    _ => return None,
                }
            }
            defined
        }
        _ => None,
    }
}

/// The number of operators that an expression has.
fn operators(expression: &model::Expression) -> usize {
    [
        &expression.copy,
        &expression.value,
        &expression.text,
        &expression.template,
        &expression.constant,
        &expression.pluck,
        &expression.count,
        &expression.non_empty,
        &expression.outer,
    ]
    .into_iter()
    .filter(|operator| operator.is_some())
    .count()
}

/// Replaces an expression for which a problem has been reported.
fn placeholder() -> Expression {
    Expression::Constant(Constant { kind: kind::NULL, bytes: Box::default() })
}

/// A constraint's bounds in words.
fn bounds(must: &model::Constraint) -> String {
    let mut text = match (must.min, must.max) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(" of at least {min}"),
        (None, Some(max)) => format!(" of at most {max}"),
        (None, None) => String::new(),
    };
    text += &must.above.map(|above| format!(" above {above}")).unwrap_or_default();
    let and = if must.above.is_some() { " and" } else { "" };
    text += &must.below.map(|below| format!("{and} below {below}")).unwrap_or_default();
    text
}

fn nul(name: &str) -> Box<[u8]> {
    [name.as_bytes(), &[0]].concat().into()
}

fn string(text: &str) -> Constant {
    let length = (text.len() as i32 + 1).to_le_bytes();
    Constant { kind: kind::STRING, bytes: [&length[..], text.as_bytes(), &[0]].concat().into() }
}
