//! Compiles the expressions of rows.

use bson::{Bson, Document};

use super::{Compiler, Scope, string};
use crate::mapping::model;
use crate::mapping::plan::{Constant, Convert, Expression, Fallback, Part, Path, Translation};
use crate::raw::kind;

impl Compiler {
    pub(super) fn convert(
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

    pub(super) fn fallback(
        &mut self,
        at: &str,
        empty: Option<&str>,
        absent: Option<&str>,
    ) -> Fallback {
        if empty.is_some() && absent.is_some() {
            self.problem(at, "has both `empty` and `absent`; `empty` covers absent values too");
        }
        Fallback {
            empty: empty.and_then(|text| self.constant(at, text)),
            absent: absent.and_then(|text| self.constant(at, text)),
        }
    }

    pub(super) fn constant(&mut self, at: &str, text: &str) -> Option<Constant> {
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

    pub(super) fn alternative(
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

    pub(super) fn expression(
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

    pub(super) fn template(
        &mut self,
        at: &str,
        template: &str,
        scope: &mut Scope<'_>,
    ) -> Vec<Part> {
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

    pub(super) fn path(&mut self, at: &str, path: &str, scope: &mut Scope<'_>) -> Path {
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
    pub(super) fn read(&mut self, name: &str) -> usize {
        let number = self.source(name);
        self.mark_read(&[number]);
        number
    }

    pub(super) fn mark_read(&mut self, sources: &[usize]) {
        for &source in sources {
            self.sources[source].read_by |= self.target.map_or(0, |target| 1 << target);
        }
    }

    /// Marks the source fields that a defined value is computed from as read by the current target.
    pub(super) fn mark_defined(&mut self, number: usize) {
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
}

/// The source fields that an expression over the document reads.
pub(super) fn heads(expression: &Expression) -> Vec<usize> {
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
pub(super) fn defined_in(expression: &Expression) -> Vec<usize> {
    match expression {
        Expression::Defined(number) => vec![*number],
        Expression::Template(parts) => parts
            .iter()
            .filter_map(|part| if let Part::Defined(number) = part { Some(*number) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}

/// The number of operators that an expression has.
pub(super) fn operators(expression: &model::Expression) -> usize {
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
pub(super) fn placeholder() -> Expression {
    Expression::Constant(Constant { kind: kind::NULL, bytes: Box::default() })
}
