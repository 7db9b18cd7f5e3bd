//! The compiled mapping. A [`Plan`] that exists has passed the mapping's own checks: every name in
//! it is resolved, and its fields are private to this module's parent.
//!
//! The plan describes two sides. *Levels* are the documents that the mapping reads: the source
//! document, its embedded documents that a path enters, and the items of arrays. *Tables* are the
//! documents that it writes: those of the targets, and the items with a shape. What a level's fields
//! become stands in its nodes; how a table's fields are computed, in its rows.
//!
//! It has more than 500 lines because it is the one page on which the whole plan stands.

use std::num::NonZeroU128;

use xxhash_rust::xxh3::xxh3_128;

use super::assess::Assess;
use super::check::{Check, Refusal, RowCheck};
use super::convert::Conversion;
use super::evaluate::descend;
use super::language::{Constant, Order, Unmatched};
use super::query::Query;
use super::shape::Names;
use super::texts::Texts;
use crate::base::mapping_id::MappingId;
use crate::fingerprints::fingerprint_of;
use crate::raw::{self, Value};

/// A compiled mapping, from [`Plan::built_in`] or [`Plan::parse`].
#[derive(Debug)]
pub struct Plan {
    pub(super) id: MappingId,
    /// The source collection.
    pub(super) source: String,
    /// The text of the mapping file.
    pub(super) text: String,
    pub(super) unmatched: Unmatched,
    pub(super) lets: Vec<Let>,
    /// All documents that the mapping reads. The first is the source document's top level.
    pub(super) levels: Vec<Level>,
    /// All documents that it writes: the targets' in their order, then those of shapes.
    pub(super) tables: Vec<Table>,
    pub(super) targets: Vec<Target>,
    pub(super) rules: Vec<Rule>,
    /// The arrays that are mapped item by item: the source's field and the target's field, each with
    /// its collection.
    pub(super) arrays: Vec<(String, String)>,
    /// For each of these arrays: the number of the source's name, the target and its row.
    pub(super) array_rows: Vec<(usize, usize, usize)>,
    /// The targets with `otherwise`, each with the targets with a `where` before it.
    pub(super) families: Vec<Vec<usize>>,
    pub(super) levels_added: u32,
    /// The number of fingerprint classes that the unique indexes need; see [`Unique`].
    pub(super) unique_classes: usize,
    pub(super) assess: Assess,
}

/// The number of the source document's level.
pub(super) const SOURCE: usize = 0;

/// A kind of document that the mapping reads.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The names of fields that rules read, or that must not be passed through. If the level has a
    /// table in source order, that table's rows come first.
    pub names: Names,
    /// What is known of the fields with each of these names.
    pub nodes: Vec<Node>,
    /// The rows that take the fields that no rule reads, in the order of the targets. The first of
    /// a written target does.
    pub takers: Vec<Taker>,
    /// The table in source order that reads this level, if one does.
    pub in_order: Option<usize>,
    /// A private target reads it, so the names of its fields are not told.
    pub is_private: bool,
    /// Pools that takers refer to by number; see [`PoolPlace`].
    pub pools: Vec<PoolPlace>,
}

/// A field of a level that the mapping knows.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Bit `i` is set if a rule of view `i` reads the whole field, or computes something from it.
    pub read_by: u32,
    /// Bit `i` is set if a rule of view `i` reads something inside it.
    pub entered_by: u32,
    /// Bit `i` is set if view `i` has a row of this name, so the field cannot be passed through to
    /// it.
    pub reserved: u32,
    /// Rows of this private view read it, so it reaches nothing else.
    pub private: Option<usize>,
    /// Something inside it is private or dropped, so it is not passed or copied as it stands.
    pub hides: bool,
    /// Only `copy` lists of a table in source order read it, so it stays where another is used.
    pub only_alternative: bool,
    /// The mapping says that it is meant to be in the journal only.
    pub dropped: bool,
    /// The level of the document in it, if a path enters it.
    pub inside: Option<usize>,
    /// The places from which its value can be restored, best first.
    pub routes: Vec<Route>,
    /// The first route, if it gives the row's whole value unchanged.
    pub simple: Option<Simple>,
    /// Its value where these views are written, as their `where` says.
    pub known: Vec<(usize, Constant)>,
    pub journal_only_rule: usize,
    pub duplicate_rule: usize,
    pub newest: bool,
}

/// A place in a view's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the row in the view's table.
    pub row: usize,
    /// Names of embedded documents and of the field in the innermost, for rows of a `document`.
    pub inner: Vec<Box<[u8]>>,
}

/// A place in a view from which a field's value can be restored.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// The number of the target, or 0 where the level is that of an item.
    pub view: usize,
    /// None for a target that unwinds the field.
    pub place: Option<Place>,
    pub inverse: Inverse,
    /// Which alternative of the row this is, 0 for the first; higher if the row has a condition.
    pub rank: usize,
    /// The value counts only where it conforms.
    pub only: Option<Check>,
    /// The field is not the first alternative of a `copy` list, or not in `copy` at all.
    pub alternative: bool,
}

/// A route that gives a row's whole value unchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simple {
    pub view: usize,
    pub row: usize,
    /// The row has the field's name, so that the view's element is the field.
    pub keeps_name: bool,
    /// The row's document may [keep](Keeping) an original, which is not a part of the value.
    pub is_holder: bool,
}

impl Simple {
    /// What the route of a field with this name is to a view of this table, if it is one of these.
    pub fn of(name: &[u8], route: &Route, table: Option<&Table>) -> Option<Simple> {
        let place = route.place.as_ref().filter(|place| place.inner.is_empty())?;
        let keeping = table?.keeping.as_ref();
        let is_holder = keeping.is_some_and(|keeping| keeping.holder == place.row);
        let keeps_name = table?.rows[place.row].name() == name;
        let simple = Simple { view: route.view, row: place.row, keeps_name, is_holder };
        matches!(route.inverse, Inverse::Same).then_some(simple)
    }
}

/// How a view's value becomes the source's.
#[derive(Debug, Clone)]
pub(super) enum Inverse {
    /// Unchanged.
    Same,
    /// Converted back.
    Change(Change),
    /// An array; each item is mapped by a table of the plan, or changed.
    Each(Box<Inverse>),
    /// A document that is mapped by this table.
    Shape(usize),
    /// The documents of a target that unwinds it: this target's number.
    Unwound(usize),
}

impl Inverse {
    /// The inverse of a change of one value.
    pub(super) fn of(change: Option<&Change>) -> Inverse {
        match change {
            None => Inverse::Same,
            Some(Change::Shape { table, .. }) => Inverse::Shape(*table),
            Some(change) => Inverse::Change(change.clone()),
        }
    }

    /// The inverse of a change of each item of an array.
    pub(super) fn of_each(change: Option<&Change>) -> Inverse {
        match change {
            None => Inverse::Same,
            change => Inverse::Each(Box::new(Inverse::of(change))),
        }
    }
}

/// Where the fields that no rule reads go.
#[derive(Debug, Clone)]
pub(super) struct Taker {
    pub view: usize,
    pub pool: PoolId,
    /// The row copies the whole document but for what is private: it takes all other fields, read
    /// or not.
    pub all_but_private: bool,
}

/// One of the [takers](Level::takers) of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TakerId {
    pub level: usize,
    pub number: usize,
}

/// Which fields of a view are not those of rows, and so were taken from a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolId {
    /// The fields of the view's own document.
    View,
    /// Those of an embedded document: the number of a [`PoolPlace`] of the source document's or
    /// item's level.
    Inner(usize),
}

/// An embedded document of a view that holds fields taken from a level.
#[derive(Debug, Clone)]
pub(super) struct PoolPlace {
    pub view: usize,
    pub place: Place,
    /// The names of the rows in that document.
    pub rows: Names,
}

/// A named value, computed once for each source document.
#[derive(Debug)]
pub(super) struct Let {
    pub name: String,
    pub chain: Chain,
}

/// A target collection. Its table has the same number.
#[derive(Debug)]
pub(super) struct Target {
    pub collection: String,
    pub filter: Filter,
    pub unwind: Option<Unwind>,
    pub private: bool,
    pub shared: bool,
    pub drop_indexes: Vec<String>,
    /// The number of `_id` in the table's names.
    pub id: usize,
    pub indexes: Vec<Index>,
    /// The paths of each compound index, as in [`Unique`].
    pub compound: Vec<Vec<Path>>,
    /// The unique indexes. Two of them share a class of fingerprints if the values of one differ
    /// exactly when those of the other do.
    pub unique: Vec<Unique>,
    /// The path of the key's field.
    pub key: Path,
    /// The rule that the query of `where` met an array.
    pub array_rule: usize,
}

/// Which source documents a target takes.
#[derive(Debug)]
pub(super) enum Filter {
    All,
    Where(Query),
    /// Those that none of these targets takes.
    Otherwise(Vec<usize>),
}

/// What a target unwinds.
#[derive(Debug)]
pub(super) struct Unwind {
    pub path: Path,
    pub is_map: bool,
    /// The level of the items.
    pub level: usize,
    /// A row that holds the position.
    pub position: Option<Place>,
    /// The rule that something was not unwound.
    pub left_rule: usize,
}

/// A unique index, with its class of fingerprints and its fields.
#[derive(Debug)]
pub(super) struct Unique {
    pub class: usize,
    /// Paths in the target's documents; their first name's number is that in its table's names.
    pub paths: Vec<Path>,
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

/// The fields of a kind of document that the mapping writes.
#[derive(Debug)]
pub(super) struct Table {
    /// For messages: a collection, or `shape NAME`.
    pub name: String,
    /// The level that the rows read.
    pub level: usize,
    pub rows: Vec<Row>,
    /// The names of the rows, by their number, and then those of other fields that indexes name.
    pub names: Names,
    pub order: Order,
    /// It takes the fields of its level that nothing reads.
    pub rest: Option<TakerId>,
    /// For a shape: they go to the end of this row's document.
    pub rest_into: Option<usize>,
    /// The row whose translation keeps originals, and where.
    pub keeping: Option<Keeping>,
    pub requires: Vec<Requirement>,
    pub row_checks: Vec<RowCheck>,
    /// Whether any row has a check, or the table a requirement.
    pub checked: bool,
    /// The rule that a value is no document, so that the table does not apply.
    pub shape_rule: usize,
    pub duplicate_rule: usize,
    pub not_renamed_rule: usize,
}

/// Where the originals of a row's translation are kept.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    /// The row that is translated.
    pub row: usize,
    /// Which alternative of its `copy` list is.
    pub alternative: usize,
    /// The row whose document keeps the original, and the name there.
    pub holder: usize,
    pub name: Box<[u8]>,
    pub translation: Translation,
}

/// A row of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// The field's name with its NUL. Empty for `spread`.
    pub name_nul: Box<[u8]>,
    pub chain: Chain,
    pub fast: FastPath,
    pub check: Option<Check>,
    pub back: Back,
    /// Of several copies that changed, the latest date wins on the way back.
    pub newest: bool,
    /// The fields of the level that it copies whole, in the order in which they are tried.
    pub alternatives: Vec<Alternative>,
    /// The number of its own name in the level, if the level knows it.
    pub own: Option<usize>,
    /// It can have a value without any of these.
    pub adds: bool,
}

/// A field that a row copies whole.
#[derive(Debug)]
pub(super) struct Alternative {
    pub name: usize,
    /// Its value is the row's, null included, but for this change of it: nothing else is tried.
    pub is_direct: bool,
    /// How its value is changed.
    pub change: Option<Change>,
}

impl Row {
    /// Whether it has a check, or holds rows that have.
    pub fn is_checked(&self) -> bool {
        self.check.is_some()
            || matches!(&self.chain.first.operator, Operator::Document(rows) if rows.iter().any(Row::is_checked))
    }
    /// The field's name.
    pub fn name(&self) -> &[u8] {
        self.name_nul.split_last().map_or(&[], |(_, name)| name)
    }
}

/// Under which name a value that was made since the migration goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Back {
    /// That of its first alternative.
    Default,
    /// This, with its NUL.
    Name(Box<[u8]>),
    /// It does not go back.
    Never,
}

/// What a row's rules usually amount to. It saves time and does not change the result.
#[derive(Debug)]
pub(super) enum FastPath {
    /// The value of this field of the level, if the row takes it as it stands.
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

/// An operator, what is tried next, and the values that stand in.
#[derive(Debug)]
pub(super) struct Chain {
    pub first: Expression,
    /// Tried next where the value is missing.
    pub when_missing: Vec<Expression>,
    /// Tried next where the value is missing or null.
    pub coalesce: Vec<Expression>,
    /// Replaces a missing value.
    pub if_missing: Option<Constant>,
    /// Replaces null and a missing value.
    pub if_null: Option<Constant>,
}

impl Chain {
    /// All operators, in the order in which they are tried.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        std::iter::once(&self.first).chain(&self.when_missing).chain(&self.coalesce)
    }
}

/// One operator with its modifiers.
#[derive(Debug)]
pub(super) struct Expression {
    pub operator: Operator,
    /// The value counts only where it conforms.
    pub only: Option<Check>,
    /// The value is missing unless this holds.
    pub when: Option<Query>,
    /// What becomes of the value, or, with [`Operator::Each`] and [`Operator::Pluck`], of each item.
    pub change: Option<Change>,
}

impl Expression {
    /// Whether the operator's value is the expression's as it stands.
    pub fn is_plain(&self) -> bool {
        self.only.is_none() && self.change.is_none()
    }
}

/// What computes a value. Every walk over operators matches all of them, so that a new one does not
/// compile before each walk knows it.
#[derive(Debug)]
pub(super) enum Operator {
    Copy(Path),
    /// A document's fields but for those that are private. The number is its level's.
    CopyUnlessPrivate(Path, usize),
    /// The first that is there.
    First(Vec<Expression>),
    /// The values of a field in an array's items.
    Pluck {
        path: Path,
        below: Vec<Box<[u8]>>,
        every: bool,
    },
    Each(Path),
    Let(usize),
    Text(Path),
    Template(Vec<Part>),
    Constant(Constant),
    Document(Vec<Row>),
    Size(Path),
    NotEmpty(Path),
    /// A document's fields that nothing reads, as a document. Without a path, those of the record
    /// itself.
    Rest(Option<Path>, TakerId),
    /// The same, as fields.
    Spread(Option<Path>, TakerId),
    Outer(Path),
    Position,
    Uuid5(Vec<Vec<Part>>),
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    Copy(Path),
    Let(usize),
    Outer(Path),
    Position,
}

/// A field of a level, and the names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub head: usize,
    pub below: Vec<Box<[u8]>>,
}

/// How a value is changed.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Convert {
        conversion: Conversion,
        rule: Option<usize>,
    },
    Translate(Translation),
    /// A document is mapped by a table. Anything else breaks the rule.
    Shape {
        table: usize,
        rule: Option<usize>,
    },
}

/// Values and what they become.
#[derive(Debug, Clone)]
pub(super) struct Translation {
    /// Texts: what each becomes, and whether the original is kept.
    pub texts: Texts<(Constant, bool)>,
    /// Values of other types, likewise.
    pub others: Vec<(Constant, Constant, bool)>,
    /// What each result goes back to, if there is only one original and it is not kept.
    pub backward: Vec<(Constant, Constant)>,
}

impl Translation {
    /// What a value becomes, and whether the original is kept.
    pub fn translate(&self, value: Value<'_>) -> Option<(&Constant, bool)> {
        match value.text() {
            Some(text) => self.texts.find(text).map(|(to, keep)| (to, *keep)),
            None => {
                let mut others = self.others.iter();
                others.find(|(from, _, _)| from.value() == value).map(|(_, to, keep)| (to, *keep))
            }
        }
    }
    /// The original of a result.
    pub fn original(&self, value: Value<'_>) -> Option<Value<'_>> {
        let mut backward = self.backward.iter();
        backward.find(|(to, _)| to.value() == value).map(|(_, from)| from.value())
    }
}

/// Where a query holds for what a table writes, one of these fields is set.
#[derive(Debug)]
pub(super) struct Requirement {
    pub when: Query,
    pub any: Vec<usize>,
    pub rule: usize,
}

impl Constant {
    pub fn value(&self) -> Value<'_> {
        Value { kind: self.kind, bytes: &self.bytes }
    }
}

/// A rule that findings refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
/// The number of the rule `left-out`, which every mapping has.
pub(super) const LEFT_OUT: usize = 1;
/// The number of the rule `unmatched`, which every mapping has.
pub(super) const UNMATCHED: usize = 2;

impl Plan {
    /// The name, version and SHA-256 of the mapping file.
    pub fn id(&self) -> &MappingId {
        &self.id
    }
    /// The text of the mapping file.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The source collection.
    pub fn collection(&self) -> &str {
        &self.source
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
    /// The fields that an assessment counts.
    #[doc(hidden)]
    pub fn assess(&self) -> &Assess {
        &self.assess
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
    /// The source's indexes that a target with the source's name does not keep.
    #[doc(hidden)]
    pub fn drop_indexes(&self, target: usize) -> &[String] {
        &self.targets[target].drop_indexes
    }
    /// Whether every source document becomes exactly one document of this target.
    #[doc(hidden)]
    pub fn is_unconditional(&self, target: usize) -> bool {
        let target = &self.targets[target];
        matches!(target.filter, Filter::All) && target.unwind.is_none()
    }
    /// Whether a source document becomes any number of documents of this target.
    #[doc(hidden)]
    pub fn is_unwound(&self, target: usize) -> bool {
        self.targets[target].unwind.is_some()
    }
    /// Whether another mapping fills the target's collection, too.
    #[doc(hidden)]
    pub fn is_shared(&self, target: usize) -> bool {
        self.targets[target].shared
    }
    /// Whether a target's collection has the source's name.
    #[doc(hidden)]
    pub fn is_source(&self, target: usize) -> bool {
        self.targets[target].collection == self.source
    }
    /// Families of targets with a `where` that end in an `otherwise`: each source document becomes
    /// a document of at least one of a family.
    #[doc(hidden)]
    pub fn families(&self) -> &[Vec<usize>] {
        &self.families
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
        let unique = self.targets[target].unique.iter().enumerate();
        let value = |path: &Path| self.field_of(target, document, path);
        unique.map(|(number, index)| (number, index.fingerprint(value).get())).collect()
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
            let mut unique = target.unique.iter();
            unique
                .find(|unique| unique.class == class)
                .map(|unique| (target.collection.clone(), unique.index.clone()))
        };
        let (collection, index) = self.targets.iter().find_map(find).unwrap_or_default();
        Refusal::Duplicate { collection, index }
    }
    /// The target that determines which source documents exist, given those that are written: the
    /// first that unwinds nothing.
    #[doc(hidden)]
    pub fn driver_of(&self, mut is_written: impl FnMut(usize) -> bool) -> Option<usize> {
        (0..self.targets.len())
            .find(|target| self.targets[*target].unwind.is_none() && is_written(*target))
    }
    /// Whether a target can be a document's driver.
    #[doc(hidden)]
    pub fn is_driver(&self, target: usize) -> bool {
        self.drivers().contains(&target)
    }
    /// The targets that can be a document's driver, in order: up to the first that is always
    /// written.
    #[doc(hidden)]
    pub fn drivers(&self) -> Vec<usize> {
        let mut drivers = Vec::new();
        for target in (0..self.targets.len()).filter(|target| !self.is_unwound(*target)) {
            drivers.push(target);
            if self.is_unconditional(target) {
                break;
            }
        }
        drivers
    }
    /// The name of the field by which a target's documents are joined to the others'.
    #[doc(hidden)]
    pub fn key_name(&self, target: usize) -> String {
        let key = &self.targets[target].key;
        let head = self.tables[target].names.name(key.head);
        let names = std::iter::once(head).chain(key.below.iter().map(|name| &**name));
        names.map(String::from_utf8_lossy).collect::<Vec<_>>().join(".")
    }
    /// The value by which a target's documents are joined to the others'.
    #[doc(hidden)]
    pub fn key<'a>(&self, target: usize, document: &'a [u8]) -> Option<Value<'a>> {
        self.field_of(target, document, &self.targets[target].key)
    }
    /// The value at a path of a target's document.
    fn field_of<'a>(&self, target: usize, document: &'a [u8], path: &Path) -> Option<Value<'a>> {
        let head = self.tables[target].names.name(path.head);
        descend(raw::Elements::new(document).find(head)?, &path.below)
    }
    /// The source fields that rules of written targets read and that no document had. `seen` is that of
    /// all batches, `counts` the number of each target's documents.
    #[doc(hidden)]
    pub fn unseen(&self, seen: &[bool], counts: &[u64]) -> Vec<String> {
        let has = |(number, _): &(usize, &u64)| 1u32 << number;
        let written = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let written = written.fold(0, |mask, one| mask | has(&one));
        let level = &self.levels[SOURCE];
        let is_missing = |name: &usize| {
            let node = &level.nodes[*name];
            (node.read_by | node.entered_by) & written != 0
                && !seen.get(*name).copied().unwrap_or(false)
        };
        let names = (0..level.nodes.len()).filter(is_missing);
        names.map(|name| String::from_utf8_lossy(level.names.name(name)).into_owned()).collect()
    }
    /// How many levels deeper than in the source a value can be in a target, at most.
    pub(super) fn levels_added(&self) -> u32 {
        self.levels_added
    }
}

impl Unique {
    /// The fingerprint of a document's value in the index, given the values at its paths. A missing
    /// field counts as null, as it does for the server.
    pub fn fingerprint<'v>(&self, value: impl Fn(&Path) -> Option<Value<'v>>) -> NonZeroU128 {
        fingerprint(self.paths.iter().map(|path| value(path).unwrap_or(Value::NULL)))
    }
}

/// One fingerprint of several values.
pub(super) fn fingerprint<'v>(values: impl Iterator<Item = Value<'v>>) -> NonZeroU128 {
    let both =
        |one: u128, other: u128| xxh3_128([one.to_le_bytes(), other.to_le_bytes()].as_flattened());
    let all = values.map(fingerprint_of).reduce(both).unwrap_or_default();
    NonZeroU128::new(all).unwrap_or(NonZeroU128::MIN)
}
