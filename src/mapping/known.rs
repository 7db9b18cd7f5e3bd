//! What a mapping knows: the names that it mentions, and the values that it compares. What is masked
//! keeps these, so that the mapping does the same with it.

use std::collections::HashSet;

use regex::bytes::{Regex, RegexBuilder};

use super::convert::{Conversion, date_from_iso};
use super::language::{
    self, Back, Comparison, Condition, Constant, Expression, Filter, Index, Mapping, Must,
    Operator, Part, Path, Problems, Query, Requirement, Rest, Row, Template, Tests,
};
use super::plan::Plan;
use super::query::{equal, order};
use crate::raw::{Value, kind};

/// What a mapping knows of its documents.
#[derive(Debug, Default)]
pub struct Known {
    names: HashSet<Box<[u8]>>,
    index_names: HashSet<String>,
    texts: HashSet<Box<[u8]>>,
    /// In lower case.
    texts_in_any_case: HashSet<Box<[u8]>>,
    /// Constants of other types.
    others: Vec<Constant>,
    /// Those whose order relative to a value counts.
    ordered: Vec<Constant>,
    /// The bounds of numbers, and all numbers that are compared, sorted.
    numbers: Vec<f64>,
    patterns: Vec<Regex>,
    conversions: Vec<Conversion>,
}

/// What conversions, patterns and orders of a mapping make of a value. Values of one type with the
/// same answers are the same to these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers(Vec<u8>);

impl Plan {
    /// What the mapping knows.
    #[doc(hidden)]
    pub fn known(&self) -> Known {
        let text = self.text();
        // The text has been compiled, so it can be read.
        let mapping = language::read(text, Tests::Skip, &mut Problems::new(text));
        mapping.map_or_else(Known::default, |mapping| Known::of(&mapping))
    }

    /// The milliseconds since 1970 of an ISO 8601 text, if it is one.
    #[doc(hidden)]
    pub fn iso_millis(text: &[u8]) -> Option<i64> {
        date_from_iso(text)
    }
}

impl Known {
    /// Whether the mapping mentions a field of this name, at any place.
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// Whether the mapping names an index so.
    pub fn has_index(&self, name: &str) -> bool {
        self.index_names.contains(name)
    }

    /// Whether the mapping compares values with this one.
    pub fn has_value(&self, value: Value<'_>) -> bool {
        match value.text() {
            Some(text) => {
                self.texts.contains(text)
                    || !self.texts_in_any_case.is_empty()
                        && self.texts_in_any_case.contains(text.to_ascii_lowercase().as_slice())
            }
            None => self.others.iter().any(|other| equal(value, other.value())),
        }
    }

    /// The numbers that the mapping compares with, sorted.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// The constants of a type that values are ordered by, or compared with.
    pub fn constants(&self, kind: u8) -> impl Iterator<Item = Value<'_>> {
        let all = self.others.iter().chain(&self.ordered).map(Constant::value);
        all.filter(move |value| value.kind == kind)
    }

    /// What the mapping makes of a value.
    pub fn answers(&self, value: Value<'_>) -> Answers {
        let mut answers = Vec::new();
        for constant in &self.ordered {
            answers.push(order(value, constant.value()).map_or(9, |order| order as i8 as u8));
        }
        let mut scratch = Vec::new();
        for conversion in &self.conversions {
            scratch.clear();
            answers.push(conversion.convert(value, &mut scratch).unwrap_or_default());
        }
        if let Some(text) = value.text() {
            let matches = |pattern: &Regex| u8::from(pattern.is_match(text));
            answers.extend(self.patterns.iter().map(matches));
        }
        Answers(answers)
    }

    fn of(mapping: &Mapping) -> Known {
        let mut known = Known::default();
        known.names.insert(b"_id".as_slice().into());
        known.name(&mapping.key);
        mapping.drop.iter().for_each(|path| known.path(path));
        for (name, expression) in &mapping.lets {
            known.name(name);
            known.expression(expression);
        }
        for (_, paths) in &mapping.assess {
            paths.iter().for_each(|path| known.path(path));
        }
        for target in &mapping.targets {
            if let Filter::Where(query) = &target.filter {
                known.query(query);
            }
            if let Some(unwind) = &target.unwind {
                known.path(&unwind.path);
            }
            if let Some(key) = &target.key {
                known.name(key);
            }
            known.rows(&target.fields);
            known.requirements(&target.requires);
            target.indexes.iter().for_each(|index| known.index(index));
            known.index_names.extend(target.drop_indexes.iter().map(|name| name.value.clone()));
        }
        for shape in &mapping.shapes {
            known.rows(&shape.fields);
            known.requirements(&shape.requires);
            if let Rest::Into(name) = &shape.rest {
                known.name(name);
            }
        }
        known.numbers.sort_by(f64::total_cmp);
        known.numbers.dedup();
        known
    }

    fn name(&mut self, name: &str) {
        self.names.extend(name.split('.').map(|name| name.as_bytes().into()));
    }

    fn path(&mut self, path: &Path) {
        path.names.iter().chain(path.items.iter().flatten()).for_each(|name| self.name(name));
    }

    fn index(&mut self, index: &Index) {
        index.key.iter().for_each(|(name, _)| self.name(name));
        self.index_names.extend(index.name.as_ref().map(|name| name.value.clone()));
    }

    fn requirements(&mut self, all: &[Requirement]) {
        for requirement in all {
            self.query(&requirement.when);
            requirement.any.iter().for_each(|name| self.name(name));
        }
    }

    fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            row.name.iter().for_each(|name| self.name(name));
            if let Back::Name(name) = &row.back {
                self.name(name);
            }
            let all = [&row.value].into_iter().chain(&row.when_missing).chain(&row.coalesce);
            all.for_each(|expression| self.expression(expression));
            row.must.iter().for_each(|must| self.must(must));
        }
    }

    fn expression(&mut self, expression: &Expression) {
        for one in expression.when_missing.iter().chain(&expression.coalesce) {
            self.expression(one);
        }
        expression.only.iter().for_each(|must| self.must(must));
        expression.when.iter().for_each(|query| self.query(query));
        expression.keep.iter().for_each(|path| self.path(path));
        for translation in &expression.translate {
            translation.from.iter().for_each(|from| self.constant(from, false));
            self.constant(&translation.to, false);
        }
        if let Some(convert) = &expression.convert {
            // The mapping has been compiled, so that its formats are right.
            self.conversions.extend(Conversion::new(convert.to, &convert.formats));
        }
        match &expression.operator {
            Some(
                Operator::Copy { path, .. }
                | Operator::Each(path)
                | Operator::Text(path)
                | Operator::Size(path)
                | Operator::NotEmpty(path)
                | Operator::Rest(Some(path))
                | Operator::Spread(Some(path))
                | Operator::Outer(path),
            ) => self.path(path),
            Some(Operator::First(all)) => all.iter().for_each(|one| self.expression(one)),
            Some(Operator::Document(rows)) => self.rows(rows),
            Some(Operator::Template(template)) => self.template(template),
            Some(Operator::Uuid5(parts)) => parts.iter().for_each(|part| self.template(part)),
            Some(
                Operator::Let(_)
                | Operator::Constant(_)
                | Operator::Position
                | Operator::Rest(None)
                | Operator::Spread(None),
            )
            | None => {}
        }
    }

    fn template(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Field(path) | Part::Outer(path) => self.path(path),
                Part::Literal(_) | Part::Position => {}
            }
        }
    }

    fn query(&mut self, query: &Query) {
        for condition in &query.all {
            match condition {
                Condition::AnySet(paths) => paths.iter().for_each(|path| self.path(path)),
                Condition::NotEmpty(path) => self.path(path),
                Condition::Or(all) | Condition::Nor(all) => {
                    all.iter().for_each(|query| self.query(query));
                }
                Condition::Field(path, comparisons) => {
                    self.path(path);
                    comparisons.iter().for_each(|comparison| self.comparison(comparison));
                }
            }
        }
    }

    fn comparison(&mut self, comparison: &Comparison) {
        match comparison {
            Comparison::Equal(one) | Comparison::NotEqual(one) => self.constant(one, false),
            Comparison::In(all) | Comparison::NotIn(all) => {
                all.iter().for_each(|one| self.constant(one, false));
            }
            Comparison::Exists(_) | Comparison::Type(_) => {}
            Comparison::Greater(one)
            | Comparison::GreaterOrEqual(one)
            | Comparison::Less(one)
            | Comparison::LessOrEqual(one) => {
                self.constant(one, false);
                self.ordered.push(one.clone());
            }
        }
    }

    fn must(&mut self, must: &Must) {
        must.one_of.iter().for_each(|one| self.constant(one, must.any_case));
        if let Some(pattern) = &must.pattern {
            let mut built = RegexBuilder::new(pattern);
            built.case_insensitive(must.any_case).unicode(false);
            self.patterns.extend(built.build());
        }
        self.numbers.extend(must.minimum.iter().chain(&must.maximum));
        for (name, property) in &must.properties {
            self.name(name);
            self.must(property);
        }
        must.required.iter().for_each(|name| self.name(name));
        let inner = [&must.items, &must.additional, &must.not];
        inner.into_iter().flatten().for_each(|must| self.must(must));
        must.any_of.iter().for_each(|must| self.must(must));
    }

    fn constant(&mut self, constant: &Constant, any_case: bool) {
        let value = constant.value();
        let Some(text) = value.text() else {
            self.numbers.extend(super::query::as_double(value).filter(|number| !number.is_nan()));
            if !matches!(value.kind, kind::NULL | kind::BOOLEAN) {
                self.others.push(constant.clone());
            }
            return;
        };
        // An identifier may be a number in one place and its text in another.
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        self.numbers.extend(number.map(|number| number as f64));
        self.texts.insert(text.into());
        if any_case {
            self.texts_in_any_case.insert(text.to_ascii_lowercase().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u32 + 1).to_le_bytes()[..], text.as_bytes(), &[0]].concat()
    }

    #[test]
    fn names_values_and_bounds_of_the_built_in_mapping() {
        let known = Plan::built_in().expect("the plan").known();
        for name in
            ["_id", "pii_report", "detections", "rawMarkdown", "legacy_type", "train_test_split"]
        {
            assert!(known.has_name(name.as_bytes()), "{name}");
        }
        assert!(!known.has_name(b"email") && known.has_index("config_id_1_unique"));
        let has = |text: &str| known.has_value(Value { kind: kind::STRING, bytes: &string(text) });
        assert!(has("impute_mean") && has("CSV") && has("high") && !has("HIGH") && !has("x"));
        assert!(known.numbers().contains(&100.0));
        let answers =
            |text: &str| known.answers(Value { kind: kind::STRING, bytes: &string(text) });
        assert!(
            answers("https://a") == answers("HTTP://b") && answers("https:") != answers("http://")
        );
        assert!(answers("2025-10-13") != answers("2025-10-32"));
    }
}
