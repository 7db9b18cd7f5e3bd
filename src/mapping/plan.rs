//! The compiled mapping. Holding a [`Plan`] proves that the mapping's own checks have passed; every name in it
//! is resolved, and its fields are private to the mapping stage.

use xxhash_rust::xxh3::xxh3_128;

use super::check::Refusal;
use super::model::TypeName;
use super::shape::Names;
use super::texts::Texts;
use crate::base::mapping_id::MappingId;
use crate::fingerprints::fingerprint_of;
use crate::raw::{self, Value, kind};

/// A compiled mapping. Made by [`Plan::built_in`] and [`Plan::parse`].
#[derive(Debug)]
pub struct Plan {
    pub(super) id: MappingId,
    pub(super) collection: String,
    /// The mapping file.
    pub(super) text: String,
    /// The names of source fields that mean something to a rule, or are kept out of the collections.
    pub(super) names: Names,
    /// For each of those names what is known of it.
    pub(super) sources: Vec<Source>,
    pub(super) defines: Vec<Define>,
    pub(super) targets: Vec<Target>,
    pub(super) items: Vec<Item>,
    pub(super) rules: Vec<Rule>,
    pub(super) arrays: Vec<(String, String)>,
    /// For each of those arrays the source's name, the target and its row.
    pub(super) array_rows: Vec<(usize, usize, usize)>,
    /// The target that takes the fields which no rule reads.
    pub(super) rest: Option<usize>,
    /// The join field's name with its NUL.
    pub(super) key_nul: Box<[u8]>,
    /// How many classes of fingerprints the unique indexes need; see [`Target::unique`].
    pub(super) unique_classes: usize,
}

/// A source field that the mapping knows.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Bit `i`: a rule of target `i` reads it.
    pub read_by: u32,
    /// A field of the `rest` target has this name.
    pub reserved: bool,
    /// Where its value can be had back, best first.
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
    /// The field inside it, for rows of a `document`.
    pub inner: Option<Box<[u8]>>,
    pub inverse: Inverse,
    /// Which alternative of the row this is; 0 for the first.
    pub rank: usize,
    /// Names of the path below the source field, where the row copies from inside of it.
    pub below: Vec<Box<[u8]>>,
    /// The row takes an empty array for nothing.
    pub empty_array: bool,
}

/// How a value of a target becomes the source's.
#[derive(Debug, Clone)]
pub(super) enum Inverse {
    /// As it stands.
    Same,
    /// Converted back.
    Convert(Convert),
    /// An array mapped item by item.
    Each(usize),
}

/// A named text that is computed once a document: the first of the alternatives that is one.
#[derive(Debug)]
pub(super) struct Define {
    pub name: String,
    pub alternatives: Vec<Expression>,
}

/// A collection that is written.
#[derive(Debug)]
pub(super) struct Target {
    pub collection: String,
    /// Source fields of which one must be neither absent nor null; none: always written.
    pub when_any: Vec<usize>,
    pub rows: Vec<Row>,
    /// The rows' names.
    pub names: Names,
    pub indexes: Vec<Index>,
    /// Row numbers of each index of several fields.
    pub compound: Vec<Vec<usize>>,
    /// For each unique index: the class of fingerprints that its values fall into, and its rows. Rows whose
    /// texts differ exactly when another's do share a class.
    pub unique: Vec<Unique>,
}

/// A unique index.
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

/// A row of a table: a field of a target.
#[derive(Debug)]
pub(super) struct Row {
    pub name_nul: Box<[u8]>,
    pub value: RowValue,
    pub usual: Usual,
    pub check: Option<Check>,
}

#[derive(Debug)]
pub(super) enum RowValue {
    Chain(Chain),
    Document(Vec<Row>),
    Each { path: Path, item: usize, fallback: Fallback },
}

/// What a row's rules mostly come to; it saves time and changes nothing.
#[derive(Debug)]
pub(super) enum Usual {
    /// The value of this source field, unless it is null or, where that counts for nothing, an empty array.
    Field {
        name: usize,
        /// The row has the field's name, so that the whole element is the same.
        whole: bool,
    },
    /// Always this element.
    Element(Box<[u8]>),
    /// Nothing that is known beforehand.
    Unknown,
}

/// Alternatives in order, and what is left when none has a value.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub alternatives: Vec<Expression>,
    pub fallback: Fallback,
    /// An empty array counts as empty.
    pub empty_array: bool,
    /// Nothing unless this is an array with an item.
    pub when: Option<Path>,
}

#[derive(Debug, Default)]
pub(super) struct Fallback {
    /// In the place of null, and of nothing.
    pub empty: Option<Constant>,
    /// In the place of nothing.
    pub absent: Option<Constant>,
}

/// A value of the mapping itself.
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
    /// In an item: a field of the document around it.
    Outer(Path),
}

#[derive(Debug)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    Copy(Path),
    Defined(usize),
}

/// A field of a record, and names below it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub head: usize,
    pub below: Vec<Box<[u8]>>,
}

/// How a value is changed on its way.
#[derive(Debug, Clone)]
pub(super) enum Convert {
    Date,
    Translate(Translation),
}

#[derive(Debug, Clone)]
pub(super) struct Translation {
    /// Text, what it becomes (as a string value), whether the original is kept beside it.
    pub forward: Texts<(Constant, bool)>,
    /// Text, what it came from (as a string value); only where that is one, and not kept.
    pub backward: Texts<Constant>,
    /// Where the original is kept: the number of the row and the name in its document.
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
    /// Row names, names that are renamed, and names that rows read, in one table.
    pub names: Names,
    pub requires: Vec<Requirement>,
    pub not_renamed_rule: usize,
    pub duplicate_rule: usize,
    /// The row that keeps the original of its translation.
    pub keeping_row: Option<usize>,
    pub check_rule: usize,
    /// Whether any row has a check.
    pub checked: bool,
}

#[derive(Debug)]
pub(super) struct ItemRow {
    pub name_nul: Box<[u8]>,
    /// The number of the row's own name.
    pub own: usize,
    pub rename: Option<usize>,
    /// The name, with its NUL, under which a new item's field goes back.
    pub back_nul: Box<[u8]>,
    pub convert: Option<Convert>,
    pub convert_own: bool,
    /// What is added where the item lacks the field.
    pub missing: Chain,
    pub check: Option<Check>,
    /// No source field feeds it, so that it does not go back.
    pub generated: bool,
}

#[derive(Debug)]
pub(super) struct Requirement {
    pub row: usize,
    pub one_of: Texts<()>,
    pub needs_any: Vec<usize>,
    pub rule: usize,
}

/// What a value must be, and the rule under which anything else is reported.
#[derive(Debug)]
pub(super) struct Check {
    pub rule: usize,
    /// The element types that pass, as [`Kinds`] has them.
    pub kinds: Kinds,
    /// No value passes.
    pub optional: bool,
    /// Any value of these types passes.
    pub by_type_alone: bool,
    /// An array passes if it holds nothing but strings.
    pub strings: bool,
    /// Texts of which a string must be one; none: any text.
    pub one_of: Texts<()>,
    /// Texts of which a string must begin with one; none: any text.
    pub starts_with: Vec<Box<[u8]>>,
    pub any_case: bool,
    pub range: Option<Range>,
    pub items: Option<Box<Check>>,
    pub values: Option<Box<Check>>,
    /// Names of which the first that is there counts, and what it must be.
    pub fields: Vec<(Vec<Box<[u8]>>, Check)>,
}

/// Numbers between two bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub from: std::ops::Bound<f64>,
    pub to: std::ops::Bound<f64>,
}

impl Range {
    /// Whether a number lies in it; NaN never does.
    pub fn has(self, number: f64) -> bool {
        !number.is_nan() && std::ops::RangeBounds::contains(&(self.from, self.to), &number)
    }
}

/// A set of element types. MinKey and MaxKey are the same in it, which no [`TypeName`] stands for.
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

/// A rule that findings name.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: a field's path, or a word with a field's name.
    pub name: String,
    /// What it asks for.
    pub text: String,
}

/// Targets of one mapping; which of them are written is a set of bits.
pub(super) const MAX_TARGETS: usize = 32;
/// Numbers of the rules that every mapping has.
pub(super) const INVALID_UTF8: usize = 0;

impl Plan {
    /// Name, version and SHA-256 of the mapping's file.
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
    /// Number of targets.
    #[doc(hidden)]
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }
    /// The arrays that are mapped item by item: the source's field, and the target's behind its collection.
    #[doc(hidden)]
    pub fn arrays(&self) -> &[(String, String)] {
        &self.arrays
    }
    /// The indexes of a target, the one on `_id` not among them.
    #[doc(hidden)]
    pub fn indexes(&self, target: usize) -> &[Index] {
        &self.targets[target].indexes
    }
    /// Whether every source document makes a document of this target.
    #[doc(hidden)]
    pub fn is_unconditional(&self, target: usize) -> bool {
        self.targets[target].when_any.is_empty()
    }
    /// The rules that findings refer to by number.
    #[doc(hidden)]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// How many classes of unique values a document has.
    #[doc(hidden)]
    pub fn unique_classes(&self) -> usize {
        self.unique_classes
    }
    /// The fingerprint of a document's `_id`.
    #[doc(hidden)]
    pub fn id_fingerprint(&self, document: &[u8]) -> Option<u128> {
        raw::Elements::new(document).find(b"_id").map(fingerprint_of)
    }
    /// For each unique index of a target its number, and the fingerprint of a document's value in it.
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
    /// The name of a unique index by its number in a target.
    #[doc(hidden)]
    pub fn unique_index(&self, target: usize, number: usize) -> &str {
        &self.targets[target].unique[number].index
    }
    /// Why a document with an earlier one's value of a class of unique values is refused.
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
    /// The target whose documents decide which source documents there are.
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

/// The copies among a row's alternatives, those behind defined values too, in the order in which they are tried.
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

/// The fingerprint of some values together.
pub(super) fn fingerprint<'v>(values: impl Iterator<Item = Value<'v>>) -> u128 {
    let both =
        |one: u128, other: u128| xxh3_128([one.to_le_bytes(), other.to_le_bytes()].as_flattened());
    values.map(fingerprint_of).reduce(both).unwrap_or_default()
}
