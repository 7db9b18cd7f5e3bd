//! The compiled mapping. A [`Plan`] that exists has passed the mapping's own checks: every name in
//! it is resolved, and its fields are private to this module's parent.

use xxhash_rust::xxh3::xxh3_128;

use super::check::Refusal;
use super::model::TypeName;
use super::shape::Names;
use super::texts::Texts;
use crate::base::mapping_id::MappingId;
use crate::fingerprints::fingerprint_of;
use crate::raw::{self, Value, kind};

/// A compiled mapping, from [`Plan::built_in`] or [`Plan::parse`].
#[derive(Debug)]
pub struct Plan {
    pub(super) id: MappingId,
    pub(super) collection: String,
    /// The text of the mapping file.
    pub(super) text: String,
    /// The names of source fields that a rule reads, or that must not be passed through.
    pub(super) names: Names,
    /// What is known of each of these names.
    pub(super) sources: Vec<Source>,
    pub(super) defines: Vec<Define>,
    pub(super) targets: Vec<Target>,
    pub(super) items: Vec<Item>,
    pub(super) rules: Vec<Rule>,
    pub(super) arrays: Vec<(String, String)>,
    /// For each of these arrays: the number of the source's name, the target and its row.
    pub(super) array_rows: Vec<(usize, usize, usize)>,
    /// The target that takes the fields that no rule reads.
    pub(super) rest: Option<usize>,
    /// The name of the join field, with its NUL.
    pub(super) key_nul: Box<[u8]>,
    /// The number of fingerprint classes that the unique indexes need; see [`Target::unique`].
    pub(super) unique_classes: usize,
}

/// A source field that the mapping knows.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Bit `i` is set if a rule of target `i` reads it.
    pub read_by: u32,
    /// The `rest` target has a row of this name, so the field cannot be passed through.
    pub reserved: bool,
    /// The places from which its value can be restored, best first.
    pub routes: Vec<Route>,
    pub journal_only_rule: usize,
    pub duplicate_rule: usize,
    pub newest: bool,
}

/// A place in a target that holds a source field's value.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub target: usize,
    /// The field's number in the target's names.
    pub field: usize,
    /// The field inside that field, for rows of a `document`.
    pub inner: Option<Box<[u8]>>,
    pub inverse: Inverse,
    /// Which alternative of the row this is; 0 for the first.
    pub rank: usize,
    /// The path below the source field, if the row copies from inside it.
    pub below: Vec<Box<[u8]>>,
    /// The row treats an empty array as empty.
    pub empty_array: bool,
}

/// How a target's value becomes the source's.
#[derive(Debug, Clone)]
pub(super) enum Inverse {
    /// Unchanged.
    Same,
    /// Converted back.
    Convert(Convert),
    /// An array mapped item by item.
    Each(usize),
}

/// A named text, computed once for each document: the first alternative that yields a text.
#[derive(Debug)]
pub(super) struct Define {
    pub name: String,
    pub alternatives: Vec<Expression>,
}

/// A target collection.
#[derive(Debug)]
pub(super) struct Target {
    pub collection: String,
    /// Source fields of which one must be neither absent nor null. If empty, the target is always
    /// written.
    pub when_any: Vec<usize>,
    pub rows: Vec<Row>,
    /// The names of the rows.
    pub names: Names,
    pub indexes: Vec<Index>,
    /// The row numbers of each compound index.
    pub compound: Vec<Vec<usize>>,
    /// The unique indexes. Two of them share a class of fingerprints if the values of one differ
    /// exactly when those of the other do.
    pub unique: Vec<Unique>,
}

/// A unique index, with its class of fingerprints and its rows.
#[derive(Debug)]
pub(super) struct Unique {
    pub class: usize,
    pub rows: Vec<usize>,
    pub index: String,
}

/// An index that a target's metadata carries.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its fields and directions, in order.
    pub key: Vec<(String, i64)>,
    /// Whether it is unique.
    pub unique: bool,
}

/// A row of a table: one field of a target.
#[derive(Debug)]
pub(super) struct Row {
    pub name_nul: Box<[u8]>,
    pub value: RowValue,
    pub fast: FastPath,
    pub check: Option<Check>,
}

#[derive(Debug)]
pub(super) enum RowValue {
    Chain(Chain),
    Document(Vec<Row>),
    Each { path: Path, item: usize, fallback: Fallback },
}

/// What a row's rules usually amount to. It saves time and does not change the result.
#[derive(Debug)]
pub(super) enum FastPath {
    /// The value of this source field, unless it is null, or an empty array that the row treats as
    /// empty.
    Field {
        name: usize,
        /// The row has the field's name, so the whole element can be copied.
        whole: bool,
    },
    /// Always this element.
    Element(Box<[u8]>),
    /// There is no shortcut.
    None,
}

/// Alternatives in order, and the fallback if none has a value.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub alternatives: Vec<Expression>,
    pub fallback: Fallback,
    /// Treat an empty array as empty.
    pub empty_array: bool,
    /// Yield nothing unless this is an array with items.
    pub when: Option<Path>,
}

#[derive(Debug, Default)]
pub(super) struct Fallback {
    /// Replaces null and absent values.
    pub empty: Option<Constant>,
    /// Replaces absent values.
    pub absent: Option<Constant>,
}

/// A constant value of the mapping.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub kind: u8,
    pub bytes: Box<[u8]>,
}

impl Constant {
    pub fn value(&self) -> Value<'_> {
        Value { kind: self.kind, bytes: &self.bytes }
    }
}

#[derive(Debug)]
pub(super) enum Expression {
    Copy {
        path: Path,
        only: Option<TypeName>,
        convert: Option<Convert>,
    },
    Constant(Constant),
    Defined(usize),
    Text(Path),
    Template(Vec<Part>),
    Pluck {
        path: Path,
        field: Box<[u8]>,
        only: Option<TypeName>,
    },
    Count(Path),
    NonEmpty(Path),
    /// In an item: a field of the enclosing document.
    Outer(Path),
}

#[derive(Debug)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    Copy(Path),
    Defined(usize),
}

/// A field of a record, and the names below it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub head: usize,
    pub below: Vec<Box<[u8]>>,
}

/// How a value is converted.
#[derive(Debug, Clone)]
pub(super) enum Convert {
    Date,
    Translate(Translation),
}

#[derive(Debug, Clone)]
pub(super) struct Translation {
    /// Each text, what it becomes (a string value), and whether the original is kept.
    pub forward: Texts<(Constant, bool)>,
    /// Each text and its original (a string value), if there is only one and it is not kept.
    pub backward: Texts<Constant>,
    /// Where the original is kept: a row, and a name in its document.
    pub keep: Option<(usize, Box<[u8]>)>,
}

impl Translation {
    pub fn translate(&self, value: Value<'_>) -> Option<(&Constant, bool)> {
        self.forward.find(value.text()?).map(|(to, keep)| (to, *keep))
    }
}

/// How the items of an array are mapped.
#[derive(Debug)]
pub(super) struct Item {
    pub rows: Vec<ItemRow>,
    /// The names of rows, the old names of renamed fields, and the names that rows read, in one
    /// table.
    pub names: Names,
    pub requires: Vec<Requirement>,
    pub not_renamed_rule: usize,
    pub duplicate_rule: usize,
    /// The row whose translation keeps the original.
    pub keeping_row: Option<usize>,
    pub check_rule: usize,
    /// Whether any row has a check.
    pub checked: bool,
}

#[derive(Debug)]
pub(super) struct ItemRow {
    pub name_nul: Box<[u8]>,
    /// The number of the row's name.
    pub own: usize,
    pub rename: Option<usize>,
    /// The source's name for the field in a new item, with its NUL.
    pub back_nul: Box<[u8]>,
    pub convert: Option<Convert>,
    pub convert_own: bool,
    /// What is added if the item lacks the field.
    pub missing: Chain,
    pub check: Option<Check>,
    /// It has no source field, so it does not go back.
    pub generated: bool,
}

#[derive(Debug)]
pub(super) struct Requirement {
    pub row: usize,
    pub one_of: Texts<()>,
    pub needs_any: Vec<usize>,
    pub rule: usize,
}

/// What a value must be, and the rule that a finding names otherwise.
#[derive(Debug)]
pub(super) struct Check {
    pub rule: usize,
    /// The element types that pass.
    pub kinds: Kinds,
    /// An absent value passes.
    pub optional: bool,
    /// Every value of these types passes.
    pub by_type_alone: bool,
    /// An array passes only if all its items are strings.
    pub strings: bool,
    /// A string must be one of these, unless there are none.
    pub one_of: Texts<()>,
    /// A string must begin with one of these, unless there are none.
    pub starts_with: Vec<Box<[u8]>>,
    pub any_case: bool,
    pub range: Option<Range>,
    pub items: Option<Box<Check>>,
    pub values: Option<Box<Check>>,
    /// For some fields: their possible names, of which the first that exists is checked, and what
    /// it must be.
    pub fields: Vec<(Vec<Box<[u8]>>, Check)>,
}

/// Numbers between two bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub from: std::ops::Bound<f64>,
    pub to: std::ops::Bound<f64>,
}

impl Range {
    /// Whether it contains a number. It never contains NaN.
    pub fn has(self, number: f64) -> bool {
        !number.is_nan() && std::ops::RangeBounds::contains(&(self.from, self.to), &number)
    }
}

/// A set of element types. MinKey and MaxKey are the same in it, but no [`TypeName`] means them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub fn of(name: TypeName) -> Self {
        let bit = |kind: u8| 1u32 << (kind & 31);
        Kinds(match name {
            TypeName::Null => bit(kind::NULL),
            TypeName::String => bit(kind::STRING),
            TypeName::Boolean => bit(kind::BOOLEAN),
            TypeName::Integer => bit(kind::INT32) | bit(kind::INT64),
            TypeName::Number => bit(kind::INT32) | bit(kind::INT64) | bit(kind::DOUBLE),
            TypeName::Date => bit(kind::DATE),
            TypeName::ObjectId => bit(kind::OBJECT_ID),
            TypeName::Document => bit(kind::DOCUMENT),
            TypeName::Array | TypeName::Strings => bit(kind::ARRAY),
        })
    }
    pub fn of_any(names: &[TypeName]) -> Self {
        Kinds(names.iter().fold(0, |kinds, name| kinds | Kinds::of(*name).0))
    }
    #[inline]
    pub fn has(self, kind: u8) -> bool {
        self.0 >> (kind & 31) & 1 != 0
    }
}

/// A rule that findings refer to.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: a field's path, or a word and a field's name.
    pub name: String,
    /// What it demands.
    pub text: String,
}

/// The most targets of a mapping: a set of targets is a `u32`.
pub(super) const MAX_TARGETS: usize = 32;
/// The number of the rule `invalid-utf8`, which every mapping has.
pub(super) const INVALID_UTF8: usize = 0;

impl Plan {
    /// The name, version and SHA-256 of the mapping file.
    pub fn id(&self) -> &MappingId {
        &self.id
    }
    /// The source collection.
    pub fn collection(&self) -> &str {
        &self.collection
    }
    /// The target collections, in order.
    pub fn target_collections(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|target| target.collection.as_str())
    }
    /// The number of targets.
    #[doc(hidden)]
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }
    /// The arrays that are mapped item by item: the source's field and the target's field, each
    /// with its collection.
    #[doc(hidden)]
    pub fn arrays(&self) -> &[(String, String)] {
        &self.arrays
    }
    /// The indexes of a target, without the one on `_id`.
    #[doc(hidden)]
    pub fn indexes(&self, target: usize) -> &[Index] {
        &self.targets[target].indexes
    }
    /// Whether every source document becomes a document of this target.
    #[doc(hidden)]
    pub fn is_unconditional(&self, target: usize) -> bool {
        self.targets[target].when_any.is_empty()
    }
    /// The rules that findings refer to by number.
    #[doc(hidden)]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// The number of classes of unique values.
    #[doc(hidden)]
    pub fn unique_classes(&self) -> usize {
        self.unique_classes
    }
    /// The fingerprint of a document's `_id`.
    #[doc(hidden)]
    pub fn id_fingerprint(&self, document: &[u8]) -> Option<u128> {
        raw::Elements::new(document).find(b"_id").map(fingerprint_of)
    }
    /// For each unique index of a target: its number, and the fingerprint of a document's value in
    /// it.
    #[doc(hidden)]
    pub fn unique_fingerprints(&self, target: usize, document: &[u8]) -> Vec<(usize, u128)> {
        let target = &self.targets[target];
        let value = |row: &usize| {
            raw::Elements::new(document).find(target.names.name(*row)).unwrap_or(Value::NULL)
        };
        target
            .unique
            .iter()
            .enumerate()
            .map(|(number, index)| (number, fingerprint(index.rows.iter().map(value))))
            .collect()
    }
    /// The name of a unique index, by its number in a target.
    #[doc(hidden)]
    pub fn unique_index(&self, target: usize, number: usize) -> &str {
        &self.targets[target].unique[number].index
    }
    /// The refusal of a document that has the same value in a class of unique values as an earlier
    /// one.
    #[doc(hidden)]
    pub fn duplicate(&self, class: usize) -> Refusal {
        let find = |target: &Target| {
            target
                .unique
                .iter()
                .find(|unique| unique.class == class)
                .map(|unique| (target.collection.clone(), unique.index.clone()))
        };
        let (collection, index) = self.targets.iter().find_map(find).unwrap_or_default();
        Refusal::Duplicate { collection, index }
    }
    /// The target whose documents determine which source documents exist.
    #[doc(hidden)]
    pub fn driver(&self) -> usize {
        self.rest.unwrap_or(0)
    }
    /// The name of the field by which the targets' documents are joined.
    #[doc(hidden)]
    pub fn key_name(&self) -> String {
        String::from_utf8_lossy(&self.key_nul[..self.key_nul.len() - 1]).into_owned()
    }
    /// The value by which the targets' documents are joined.
    #[doc(hidden)]
    pub fn key<'a>(&self, document: &'a [u8]) -> Option<Value<'a>> {
        raw::Elements::new(document).find(&self.key_nul[..self.key_nul.len() - 1])
    }
}

/// The copies among a row's alternatives, including those inside defined values, in the order in
/// which they are tried.
pub(super) fn copies<'p>(defines: &'p [Define], chain: &'p Chain) -> Vec<&'p Expression> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut open: Vec<&Expression> = chain.alternatives.iter().rev().collect();
    while let Some(expression) = open.pop() {
        match expression {
            Expression::Copy { .. } => found.push(expression),
            Expression::Defined(number) if !known.contains(number) => {
                known.push(*number);
                open.extend(defines[*number].alternatives.iter().rev());
            }
            _ => {}
        }
    }
    found
}

/// One fingerprint of several values.
pub(super) fn fingerprint<'v>(values: impl Iterator<Item = Value<'v>>) -> u128 {
    let both =
        |one: u128, other: u128| xxh3_128([one.to_le_bytes(), other.to_le_bytes()].as_flattened());
    values.map(fingerprint_of).reduce(both).unwrap_or_default()
}
