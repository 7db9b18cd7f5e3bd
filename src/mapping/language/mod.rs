//! The mapping language as written: what [`read`] makes of a file's text. Names in it are not resolved
//! yet; [`compile`](super::compile) does that.
//!
//! Everything that a later problem can be about carries its place in the text. Values nest at most 80
//! levels deep ([`read`] refuses others), so walking them by recursion is safe.

use std::ops::Range;

mod problem;
mod read;
mod schema;
mod words;

pub use problem::{Problem, Severity};
pub use schema::schema;

pub(super) use problem::{Problems, nearest};
pub(super) use read::{Tests, read};

/// A value with its place in the text, in bytes.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub at: Range<usize>,
    pub value: T,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A mapping file.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub name: At<String>,
    pub version: At<String>,
    /// The collection in the dump.
    pub source: At<String>,
    /// The field that joins the targets' documents on the way back.
    pub key: At<String>,
    /// Source fields that are meant to be in the journal only.
    pub drop: Vec<Path>,
    /// What becomes of a document that no target takes.
    pub unmatched: Unmatched,
    /// Values that are computed once a document, in the file's order.
    pub lets: Vec<(At<String>, Expression)>,
    pub targets: Vec<Target>,
    pub shapes: Vec<Shape>,
    pub tests: Vec<Test>,
    /// Which fields an assessment counts: each of its words with the paths that it names.
    pub assess: Vec<(At<String>, Vec<Path>)>,
}

/// What becomes of a source document that no target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// A server cannot have it: the run fails, or sets it aside if asked to.
    Fail,
    /// It is kept in the journal.
    Journal,
}

/// A target collection.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub collection: At<String>,
    pub filter: Filter,
    /// Fields that nothing reads go here, behind the rows.
    pub rest: bool,
    /// What its rows read never reaches another target.
    pub private: bool,
    /// Another mapping fills the collection, too.
    pub shared: bool,
    /// One document for each item of this array, or entry of this document (`{}`).
    pub unwind: Option<At<Unwind>>,
    /// The name of the key's field here, if it is not the mapping's.
    pub key: Option<At<String>>,
    pub order: Option<Order>,
    pub fields: Vec<Row>,
    pub requires: Vec<Requirement>,
    pub indexes: Vec<Index>,
    /// For a target with the source's name: indexes of the source that it does not keep.
    pub drop_indexes: Vec<At<String>>,
}

/// Which source documents a target takes.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All,
    Where(Query),
    /// Those that none of the earlier targets with a `where` took. The range is the word's.
    Otherwise(Range<usize>),
}

/// What a target unwinds.
#[derive(Debug, Clone)]
pub(super) struct Unwind {
    pub path: Path,
    /// A document used as a map, each of whose entries becomes a document.
    pub is_map: bool,
}

/// The order of the fields that a table writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The table's own.
    Table,
    /// The record's: a row stands in the place of the field that it copies whole.
    Source,
}

/// The fields of an embedded document or of an array's items.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub name: At<String>,
    pub order: Order,
    pub rest: Rest,
    pub fields: Vec<Row>,
    pub requires: Vec<Requirement>,
}

/// Where the fields of a shape's records go that nothing reads.
#[derive(Debug, Clone)]
pub(super) enum Rest {
    /// Nowhere: they are left out.
    No,
    /// They stay.
    Yes,
    /// They go to the end of this row's document.
    Into(At<String>),
}

/// A row of a table: one field that it writes, or, with `spread`, several.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub at: Range<usize>,
    /// None with [`Operator::Spread`].
    pub name: Option<At<String>>,
    pub value: Expression,
    /// Operators tried next where the value is missing.
    pub when_missing: Vec<Expression>,
    /// Operators tried next where the value is missing or null.
    pub coalesce: Vec<Expression>,
    /// A value where it is missing.
    pub if_missing: Option<At<Constant>>,
    /// A value where it is missing or null.
    pub if_null: Option<At<Constant>>,
    /// Null where it is missing.
    pub or_null: bool,
    pub must: Option<Must>,
    pub back: Back,
    /// Of several copies that changed, the latest date wins on the way back.
    pub newest: bool,
    /// A comment for readers.
    pub note: Option<String>,
}

/// Under which name a value that was made since the migration goes back.
#[derive(Debug, Clone)]
pub(super) enum Back {
    /// That of its first alternative.
    Default,
    Name(At<String>),
    /// It does not go back.
    Never,
}

/// One operator with its modifiers.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    pub at: Range<usize>,
    /// None: the field with the row's name is copied.
    pub operator: Option<Operator>,
    /// The value counts only where it conforms to this.
    pub only: Option<Must>,
    /// The value is missing unless this holds.
    pub when: Option<Query>,
    pub convert: Option<At<Conversion>>,
    pub translate: Vec<Translation>,
    /// Where the original of a translation stays.
    pub keep: Option<Path>,
    pub shape: Option<At<String>>,
    /// In `[let]` only: operators tried next where the value is missing, and where it is missing or null.
    pub when_missing: Vec<Expression>,
    pub coalesce: Vec<Expression>,
}

impl Expression {
    /// An operator without modifiers.
    pub fn of(at: Range<usize>, operator: Operator) -> Self {
        Expression {
            at,
            operator: Some(operator),
            only: None,
            when: None,
            convert: None,
            translate: Vec::new(),
            keep: None,
            shape: None,
            when_missing: Vec::new(),
            coalesce: Vec::new(),
        }
    }
}

/// What computes a value.
#[derive(Debug, Clone)]
pub(super) enum Operator {
    /// `copy = "a.b"`. With `[]` in the path (see [`Path::items`]): the values in an array's items.
    Copy {
        path: Path,
        /// Nothing unless every item is a document that has the field.
        every: bool,
    },
    /// `copy = [ … ]`: the first that is there.
    First(Vec<Expression>),
    /// `each = "path"`: each item of an array.
    Each(Path),
    /// `value = "NAME"`: a value of `[let]`.
    Let(At<String>),
    /// `text = "path"`: the text of any value.
    Text(Path),
    /// `template = "…{path}…"`.
    Template(Template),
    /// `const = …` and `null = true`.
    Constant(Constant),
    /// `document = [ … ]`: an embedded document of rows over the same record.
    Document(Vec<Row>),
    /// `size = "path"`: the number of items.
    Size(Path),
    /// `not_empty = "path"`: whether there is an item.
    NotEmpty(Path),
    /// `rest = "path"`, none for `"."`: a subdocument's fields that nothing reads, as a document.
    Rest(Option<Path>),
    /// `spread = "path"`, none for `"."`: the same, as fields of this table.
    Spread(Option<Path>),
    /// `outer = "path"`: a field of the source document.
    Outer(Path),
    /// `position = true`: the item's number, or the entry's key.
    Position,
    /// `uuid5 = [ … ]`: an identifier derived from these parts, each a template.
    Uuid5(Vec<Template>),
}

/// Text with values in it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub at: Range<usize>,
    pub parts: Vec<Part>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(String),
    /// `{name}` or `{path}`: a value of `[let]`, else a field.
    Field(Path),
    /// `{outer.path}`.
    Outer(Path),
    /// `{position}`.
    Position,
}

/// A path of names, at least one.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub at: Range<usize>,
    pub names: Vec<String>,
    /// `a.b[].c.d`: the names before `[]` are `names`, those behind are these. None without `[]`; at
    /// least one name.
    pub items: Option<Vec<String>>,
}

/// A BSON value: its type and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constant {
    pub kind: u8,
    pub bytes: Box<[u8]>,
}

impl Constant {
    pub fn null() -> Self {
        Constant { kind: crate::raw::kind::NULL, bytes: Box::default() }
    }
}

/// How a value is converted: to this type, and, for dates, from and to text of these formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversion {
    pub to: Type,
    pub formats: Vec<String>,
}

/// Types that `convert` can name: those of MongoDB's `$convert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Date,
    ObjectId,
    String,
    Int,
    Long,
    Double,
    Decimal,
    Bool,
}

/// `{ from = …, to = … }`: values and what they become.
#[derive(Debug, Clone)]
pub(super) struct Translation {
    /// At least one.
    pub from: Vec<At<Constant>>,
    pub to: At<Constant>,
}

/// A condition on a document: all of these hold.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub at: Range<usize>,
    pub all: Vec<Condition>,
}

/// A part of a [`Query`].
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// `any_set = [ … ]`: one of these fields is neither missing nor null.
    AnySet(Vec<Path>),
    /// `not_empty = "path"`: an array with an item.
    NotEmpty(Path),
    /// `"$or" = [ … ]`.
    Or(Vec<Query>),
    /// `"$nor" = [ … ]`.
    Nor(Vec<Query>),
    /// All these hold for a field.
    Field(Path, Vec<Comparison>),
}

/// A comparison in MongoDB's words and meaning.
#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Equal(Constant),
    NotEqual(Constant),
    In(Vec<Constant>),
    NotIn(Vec<Constant>),
    Exists(bool),
    Type(Kinds),
    Greater(Constant),
    GreaterOrEqual(Constant),
    Less(Constant),
    LessOrEqual(Constant),
}

/// A set of element types, as `bsonType` and `$type` name them (`number` is four).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(pub u32);

impl Kinds {
    /// The set of these element types.
    pub fn of(kinds: impl IntoIterator<Item = u8>) -> Self {
        Kinds(kinds.into_iter().fold(0, |set, kind| set | Self::bit(kind)))
    }

    /// Whether an element type is in the set.
    #[inline]
    pub fn has(self, kind: u8) -> bool {
        // The common types need no table.
        if kind < 30 { self.0 >> kind & 1 != 0 } else { self.0 & Self::bit(kind) != 0 }
    }

    /// The bit of the type's number, and the two highest bits for MaxKey (127) and MinKey (255).
    fn bit(kind: u8) -> u32 {
        match kind {
            crate::raw::kind::MIN_KEY => 1 << 31,
            crate::raw::kind::MAX_KEY => 1 << 30,
            0..30 => 1 << kind,
            _ => 0,
        }
    }
}

/// What a value must be, in the words and the meaning of MongoDB's `$jsonSchema`.
#[derive(Debug, Clone)]
pub(super) struct Must {
    /// `bsonType`; none: any type.
    pub kinds: Option<Kinds>,
    /// Ours: a missing value passes.
    pub optional: bool,
    /// `enum`; empty: any value.
    pub one_of: Vec<Constant>,
    /// `pattern`: a regular expression that a string must contain.
    pub pattern: Option<At<String>>,
    /// Ours: `enum` and `pattern` ignore the case of ASCII letters.
    pub any_case: bool,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    /// The bounds are exclusive (`exclusiveMinimum = true`, as in MongoDB's draft 4).
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub items: Option<Box<Must>>,
    pub properties: Vec<(At<String>, Must)>,
    /// `additionalProperties`: what each field that `properties` does not name must be.
    pub additional: Option<Box<Must>>,
    pub required: Vec<At<String>>,
    pub any_of: Vec<Must>,
    pub not: Option<Box<Must>>,
}

impl Must {
    /// What every value is.
    pub fn any() -> Self {
        Must {
            kinds: None,
            optional: false,
            one_of: Vec::new(),
            pattern: None,
            any_case: false,
            minimum: None,
            maximum: None,
            exclusive_minimum: false,
            exclusive_maximum: false,
            min_items: None,
            max_items: None,
            items: None,
            properties: Vec::new(),
            additional: None,
            required: Vec::new(),
            any_of: Vec::new(),
            not: None,
        }
    }
}

/// `{ when = …, any = [ … ] }`: where the query holds for what a table writes, one of these fields is
/// set: neither missing, null, an empty text nor an empty array.
#[derive(Debug, Clone)]
pub(super) struct Requirement {
    pub when: Query,
    pub any: Vec<At<String>>,
}

/// An index of a target.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub at: Range<usize>,
    /// None: MongoDB's default name, as `user_id_1_created_at_-1`.
    pub name: Option<At<String>>,
    /// Fields (paths, as the server takes them) and directions, in order.
    pub key: Vec<(At<String>, i64)>,
    pub unique: bool,
}

/// A `[[test]]`: a source document, and what it must become.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub at: Range<usize>,
    pub name: Option<String>,
    /// The source document's bytes.
    pub given: Vec<u8>,
    /// For each target named, its documents. None: only the round trip is tested.
    pub expect: Option<Vec<(At<String>, Documents)>>,
}

/// The bytes of documents.
pub(super) type Documents = Vec<Vec<u8>>;
