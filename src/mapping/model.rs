//! A mapping file as written: pure data. Unknown keys are refused.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    pub format: u32,
    pub name: String,
    pub version: String,
    pub collection: String,
    pub key: String,
    #[serde(default)]
    pub define: BTreeMap<String, Expression>,
    pub target: Vec<Target>,
    #[serde(default)]
    pub item: BTreeMap<String, Item>,
}

/// A target collection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub collection: String,
    #[serde(default)]
    pub rest: bool,
    #[serde(default)]
    pub when_any: Vec<String>,
    pub field: Vec<Field>,
    #[serde(default)]
    pub index: Vec<Index>,
}

/// An index; `key` keeps the fields in the order of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub name: String,
    pub key: toml::Table,
    #[serde(default)]
    pub unique: bool,
}

/// Where a value comes from: exactly one operator and its modifiers.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expression {
    pub copy: Option<String>,
    pub value: Option<String>,
    pub text: Option<String>,
    pub template: Option<String>,
    pub constant: Option<String>,
    pub pluck: Option<String>,
    pub count: Option<String>,
    pub non_empty: Option<String>,
    pub outer: Option<String>,
    pub only: Option<TypeName>,
    /// In a definition: what to try next if it yields no text.
    pub or: Vec<Expression>,
}

impl Expression {
    /// A definition's alternatives, in the order in which they are tried.
    pub fn alternatives(&self) -> impl Iterator<Item = &Expression> {
        std::iter::once(self).chain(&self.or)
    }
}

/// A row of a target's (or of a `document`'s) table.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Field {
    pub name: String,
    pub copy: Option<String>,
    pub value: Option<String>,
    pub text: Option<String>,
    pub template: Option<String>,
    pub constant: Option<String>,
    pub pluck: Option<String>,
    pub count: Option<String>,
    pub non_empty: Option<String>,
    pub only: Option<TypeName>,
    pub document: Option<Vec<Field>>,
    pub each: Option<String>,
    pub item: Option<String>,
    pub or: Vec<Expression>,
    pub empty: Option<String>,
    pub absent: Option<String>,
    pub empty_array: bool,
    pub when: Option<String>,
    pub date: bool,
    pub translate: Vec<Translation>,
    pub must: Option<Constraint>,
    pub merge: Option<Merge>,
    /// A comment for readers; it has no effect.
    pub note: Option<String>,
}

impl Field {
    /// The operator among the row's keys.
    pub fn expression(&self) -> Expression {
        Expression {
            copy: self.copy.clone(),
            value: self.value.clone(),
            text: self.text.clone(),
            template: self.template.clone(),
            constant: self.constant.clone(),
            pluck: self.pluck.clone(),
            count: self.count.clone(),
            non_empty: self.non_empty.clone(),
            only: self.only,
            ..Expression::default()
        }
    }
}

/// How the items of an array are mapped.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    pub field: Vec<ItemField>,
    #[serde(default)]
    pub requires: Vec<Requirement>,
}

/// A row of an item's table.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ItemField {
    pub name: String,
    pub rename: Option<String>,
    pub back: Option<String>,
    pub translate: Vec<Translation>,
    pub date: bool,
    pub convert_own: bool,
    pub generated: bool,
    pub or: Vec<Expression>,
    pub empty: Option<String>,
    pub absent: Option<String>,
    pub must: Option<Constraint>,
}

/// Texts to replace by another. With `keep`, the original is stored in that place of the same item.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Translation {
    pub from: Vec<String>,
    pub to: String,
    pub keep: Option<String>,
}

/// Fields of which one must be set if another has certain values.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    pub field: String,
    pub one_of: Vec<String>,
    pub needs_any: Vec<String>,
}

/// What a value must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constraint {
    pub is: OneOrMany<TypeName>,
    /// An absent value passes.
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub one_of: Vec<String>,
    #[serde(default)]
    pub starts_with: Vec<String>,
    #[serde(default)]
    pub any_case: bool,
    /// Inclusive bounds.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Exclusive bounds.
    pub above: Option<f64>,
    pub below: Option<f64>,
    /// What each item of an array must be.
    pub items: Option<Box<Constraint>>,
    /// What the value of each field of a document must be.
    pub values: Option<Box<Constraint>>,
    #[serde(default)]
    pub fields: Vec<FieldConstraint>,
}

/// What a field of an embedded document must be. The first of the names that the document has is
/// checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldConstraint {
    pub name: OneOrMany<String>,
    pub must: Constraint,
}

/// A value or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    pub fn to_vec(&self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one.clone()],
            OneOrMany::Many(many) => many.clone(),
        }
    }
}

/// Types that `is` and `only` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TypeName {
    Null,
    String,
    Boolean,
    Integer,
    Number,
    Date,
    ObjectId,
    Document,
    Array,
    /// An array of strings.
    Strings,
}

impl TypeName {
    pub fn name(self) -> &'static str {
        match self {
            TypeName::Null => "null",
            TypeName::String => "a string",
            TypeName::Boolean => "a boolean",
            TypeName::Integer => "an integer",
            TypeName::Number => "a number",
            TypeName::Date => "a date",
            TypeName::ObjectId => "an ObjectId",
            TypeName::Document => "a document",
            TypeName::Array => "an array",
            TypeName::Strings => "an array of strings",
        }
    }
}

/// Which of several changed copies of one source field wins on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Merge {
    Newest,
}
