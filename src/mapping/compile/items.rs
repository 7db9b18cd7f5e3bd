//! Compiles the items of arrays, and the constraints on values.

use std::ops::Bound;

use super::{Compiler, Scope, nul};
use crate::mapping::model;
use crate::mapping::model::TypeName;
use crate::mapping::plan::{Chain, Check, Convert, Item, ItemRow, Kinds, Range, Requirement};
use crate::mapping::shape::Names;

impl Compiler {
    pub(super) fn item(&mut self, name: &str, item: &model::Item) -> Item {
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

    pub(super) fn check(&mut self, at: &str, must: &model::Constraint) -> Check {
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

    pub(super) fn range(&mut self, at: &str, must: &model::Constraint) -> Option<Range> {
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
