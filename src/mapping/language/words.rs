//! The words of the language: one table for each kind of table in a mapping. The reader knows a word
//! by these, and the schema is made from them.

/// A kind of table in a mapping.
pub(super) struct Table {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is, for messages.
    pub what: &'static str,
    /// The words that it must have.
    pub required: &'static [&'static str],
    pub words: &'static [&'static [Word]],
}

/// A word of the language.
pub(super) struct Word {
    pub name: &'static str,
    pub takes: Takes,
    /// A line for those who write mappings.
    pub about: &'static str,
}

/// What a word takes.
pub(super) enum Takes {
    /// The number of the format.
    Format,
    /// Text that is not empty.
    Text,
    /// Text that may be empty.
    AnyText,
    /// Text, or a list of texts.
    Texts,
    /// A list of texts.
    TextList,
    Bool,
    /// True, false, or a name.
    BoolOrName,
    /// Only `true`.
    True,
    /// A name, or `false`.
    NameOrFalse,
    /// A number from 0.
    Count,
    Number,
    Choice(&'static [&'static str]),
    /// A BSON value.
    Value,
    /// A list of them.
    Values,
    /// A value or a list of them.
    ValueOrValues,
    /// A path, or a list of paths and alternatives.
    Copy,
    /// A type's name, or a list of them.
    Kinds,
    /// The same, or a table of `must`'s words.
    Type,
    /// An index's fields and directions.
    Keys,
    /// A document as a table or as Extended JSON.
    Document,
    /// Lists of documents by name.
    Documents,
    Query,
    Queries,
    One(&'static Table),
    List(&'static Table),
    /// Tables by names.
    Named(&'static Table),
}

impl Table {
    pub fn all(&self) -> impl Iterator<Item = &'static Word> {
        self.words.iter().copied().flatten()
    }
    pub fn find(&self, name: &str) -> Option<&'static Word> {
        self.all().find(|word| word.name == name)
    }
}

const fn word(name: &'static str, takes: Takes, about: &'static str) -> Word {
    Word { name, takes, about }
}

/// BSON types by MongoDB's names, and their element types.
pub(super) const KINDS: &[(&str, &[u8])] = {
    use crate::raw::kind::*;
    &[
        ("double", &[DOUBLE]),
        ("string", &[STRING]),
        ("object", &[DOCUMENT]),
        ("array", &[ARRAY]),
        ("binData", &[BINARY]),
        ("undefined", &[UNDEFINED]),
        ("objectId", &[OBJECT_ID]),
        ("bool", &[BOOLEAN]),
        ("date", &[DATE]),
        ("null", &[NULL]),
        ("regex", &[REGEX]),
        ("dbPointer", &[DB_POINTER]),
        ("javascript", &[CODE]),
        ("symbol", &[SYMBOL]),
        ("javascriptWithScope", &[CODE_WITH_SCOPE]),
        ("int", &[INT32]),
        ("timestamp", &[TIMESTAMP]),
        ("long", &[INT64]),
        ("decimal", &[DECIMAL128]),
        ("minKey", &[MIN_KEY]),
        ("maxKey", &[MAX_KEY]),
        ("number", &[INT32, INT64, DOUBLE, DECIMAL128]),
    ]
};

/// Names of types that are not MongoDB's, and the one that is meant.
pub(super) const OTHER_KINDS: &[(&str, &str)] = &[
    ("integer", "int"),
    ("int32", "int"),
    ("int64", "long"),
    ("float", "double"),
    ("boolean", "bool"),
    ("document", "object"),
    ("table", "object"),
    ("text", "string"),
    ("binary", "binData"),
    ("datetime", "date"),
    ("decimal128", "decimal"),
    ("ObjectId", "objectId"),
];

pub(super) const UNMATCHED: &[&str] = &["fail", "journal"];
pub(super) const ORDER: &[&str] = &["table", "source"];
pub(super) const MERGE: &[&str] = &["newest"];
pub(super) const CONVERT: &[&str] =
    &["date", "objectId", "string", "int", "long", "double", "decimal", "bool"];

/// Comparisons of a query.
pub(super) const COMPARISONS: &[Word] = &[
    word("$eq", Takes::Value, "equal to this value"),
    word("$ne", Takes::Value, "not equal to this value"),
    word("$in", Takes::Values, "equal to one of these values"),
    word("$nin", Takes::Values, "equal to none of these values"),
    word("$exists", Takes::Bool, "whether the field is there, null included"),
    word("$type", Takes::Kinds, "of this BSON type, or of one of these"),
    word("$gt", Takes::Value, "greater than this value"),
    word("$gte", Takes::Value, "greater than or equal to this value"),
    word("$lt", Takes::Value, "less than this value"),
    word("$lte", Takes::Value, "less than or equal to this value"),
];

/// Words of a query that are not fields.
pub(super) const QUERY: &[Word] = &[
    word("$or", Takes::Queries, "one of these queries holds"),
    word("$nor", Takes::Queries, "none of these queries holds"),
    word("any_set", Takes::Texts, "one of these fields is neither missing nor null"),
    word("not_empty", Takes::Text, "an array with at least one item"),
];

/// The forms of Extended JSON that a table can have.
pub(super) const FORMS: &[&str] = &[
    "$null",
    "$oid",
    "$date",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$regularExpression",
    "$timestamp",
    "$code",
    "$scope",
    "$symbol",
    "$undefined",
    "$minKey",
    "$maxKey",
    "$dbPointer",
];

pub(super) static MAPPING: Table = Table {
    name: "mapping",
    what: "the mapping",
    required: &["format", "name", "version", "source", "key", "target"],
    words: &[&[
        word("format", Takes::Format, "the number of the mapping language: 2"),
        word("name", Takes::Text, "the mapping's name"),
        word("version", Takes::Text, "the mapping's version"),
        word("source", Takes::Text, "the collection in the dump"),
        word("key", Takes::Text, "the field that joins the targets' documents on the way back"),
        word("drop", Takes::Texts, "source fields that are meant to be in the journal only"),
        word(
            "unmatched",
            Takes::Choice(UNMATCHED),
            "what becomes of a document that no target takes (default: \"fail\")",
        ),
        word("let", Takes::Named(&LET), "values that are computed once a document"),
        word("target", Takes::List(&TARGET), "the target collections"),
        word("shape", Takes::Named(&SHAPE), "fields of embedded documents and of items"),
        word("test", Takes::List(&TEST), "source documents, and what they must become"),
        word("assess", Takes::One(&ASSESS), "the fields that `inspect` counts"),
    ]],
};

pub(super) static TARGET: Table = Table {
    name: "target",
    what: "a target",
    required: &["collection"],
    words: &[&[
        word("collection", Takes::Text, "the collection's name"),
        word("where", Takes::Query, "which source documents it takes (default: all)"),
        word(
            "otherwise",
            Takes::True,
            "takes the documents that no earlier target with `where` took",
        ),
        word("rest", Takes::Bool, "takes the fields that nothing reads (default: false)"),
        word("private", Takes::Bool, "what it reads never reaches another target (default: false)"),
        word("shared", Takes::Bool, "another mapping fills this collection, too (default: false)"),
        word(
            "unwind",
            Takes::Text,
            "one document for each item of this array; with `{}` at the end, for each entry of a document",
        ),
        word("key", Takes::Text, "the name of the key's field here, if it is not the mapping's"),
        word("order", Takes::Choice(ORDER), "the order of the fields (default: \"table\")"),
        word("fields", Takes::List(&FIELD), "the fields, in order"),
        word("requires", Takes::List(&REQUIREMENT), "fields of which one must be set"),
        word("indexes", Takes::List(&INDEX), "the collection's indexes"),
        word("drop_indexes", Takes::Texts, "indexes of the source that a target of its name drops"),
    ]],
};

pub(super) static SHAPE: Table = Table {
    name: "shape",
    what: "a shape",
    required: &[],
    words: &[&[
        word("order", Takes::Choice(ORDER), "the order of the fields (default: \"source\")"),
        word(
            "rest",
            Takes::BoolOrName,
            "takes the fields that nothing reads (default: true); or the row whose document does",
        ),
        word("fields", Takes::List(&FIELD), "the fields, in order"),
        word("requires", Takes::List(&REQUIREMENT), "fields of which one must be set"),
    ]],
};

/// What computes a value.
pub(super) static OPERATORS: &[Word] = &[
    word("copy", Takes::Copy, "the value at a path, unchanged; of a list, the first that is there"),
    word("each", Takes::Text, "each item of the array at a path"),
    word("value", Takes::Text, "a value of `[let]`"),
    word("text", Takes::Text, "the value at a path as text, whatever its type"),
    word("template", Takes::AnyText, "text with values in it, as in \"{a.b}_x\""),
    word("const", Takes::Value, "this value"),
    word("null", Takes::True, "null"),
    word("document", Takes::List(&FIELD), "an embedded document of these fields"),
    word("size", Takes::Text, "the number of items of the array at a path"),
    word("not_empty", Takes::Text, "whether the array at a path has an item"),
    word("rest", Takes::Text, "a subdocument's fields that nothing reads (\".\": this record's)"),
    word("outer", Takes::Text, "a field of the source document, from within an item"),
    word("position", Takes::True, "the item's number, or the entry's key"),
    word("uuid5", Takes::TextList, "an identifier that is derived from these templates"),
];

/// What computes fields rather than a value.
pub(super) static SPREAD: &[Word] =
    &[word("spread", Takes::Text, "a subdocument's fields that nothing reads, as fields here")];

/// What changes or limits an operator's value.
static MODIFIERS: &[Word] = &[
    word("every", Takes::Bool, "with `[]` in `copy`: nothing unless every item has the field"),
    word("type", Takes::Type, "the value counts only if it has this type or fulfils these words"),
    word("when", Takes::Query, "the value is missing unless this holds"),
    word("convert", Takes::Choice(CONVERT), "converts the value to this type, if that is exact"),
    word("format", Takes::Texts, "the formats of dates in text"),
    word("translate", Takes::List(&TRANSLATION), "values, and what they become"),
    word("keep", Takes::Text, "where the original of a translated value stays"),
    word("shape", Takes::Text, "the shape of a document, or of each item"),
];

static ALTERNATIVES: &[Word] = &[
    word("when_missing", Takes::List(&ALTERNATIVE), "tried next if the value is missing"),
    word("coalesce", Takes::List(&ALTERNATIVE), "tried next if the value is missing or null"),
];

static FIELD_ONLY: &[Word] = &[
    word("name", Takes::Text, "the field's name"),
    word("note", Takes::AnyText, "a comment for readers"),
    word("if_missing", Takes::Value, "the value if it is missing"),
    word("if_null", Takes::Value, "the value if it is missing or null"),
    word("or_null", Takes::True, "null if it is missing"),
    word("must", Takes::One(&MUST), "what the application accepts"),
    word(
        "back",
        Takes::NameOrFalse,
        "the name under which a value made since the migration goes back; false: it does not",
    ),
    word("merge", Takes::Choice(MERGE), "of several changed copies, the latest date wins"),
];

pub(super) static FIELD: Table = Table {
    name: "field",
    what: "a field",
    required: &[],
    words: &[FIELD_ONLY, OPERATORS, SPREAD, MODIFIERS, ALTERNATIVES],
};

pub(super) static ALTERNATIVE: Table = Table {
    name: "alternative",
    what: "an alternative",
    required: &[],
    words: &[OPERATORS, MODIFIERS],
};

pub(super) static LET: Table = Table {
    name: "let",
    what: "a value of `[let]`",
    required: &[],
    words: &[OPERATORS, MODIFIERS, ALTERNATIVES],
};

pub(super) static TRANSLATION: Table = Table {
    name: "translation",
    what: "a translation",
    required: &["from", "to"],
    words: &[&[
        word("from", Takes::ValueOrValues, "a value, or a list of values"),
        word("to", Takes::Value, "what they become"),
    ]],
};

pub(super) static REQUIREMENT: Table = Table {
    name: "requirement",
    what: "a requirement",
    required: &["when", "any"],
    words: &[&[
        word("when", Takes::Query, "if this holds for what is written"),
        word("any", Takes::TextList, "one of these fields must be set"),
    ]],
};

pub(super) static INDEX: Table = Table {
    name: "index",
    what: "an index",
    required: &["key"],
    words: &[&[
        word("key", Takes::Keys, "fields and directions (1 or -1), in order"),
        word("unique", Takes::Bool, "no two documents have the same values (default: false)"),
        word("name", Takes::Text, "the index's name (default: MongoDB's)"),
    ]],
};

pub(super) static TEST: Table = Table {
    name: "test",
    what: "a test",
    required: &["given"],
    words: &[&[
        word("name", Takes::Text, "the test's name"),
        word(
            "given",
            Takes::Document,
            "the source document: a table, or Extended JSON in a string",
        ),
        word("expect", Takes::Documents, "for each target, the documents that it must get"),
    ]],
};

pub(super) static ASSESS: Table = Table {
    name: "assess",
    what: "`[assess]`",
    required: &[],
    words: &[&[
        word("value", Takes::Texts, "fields that are counted by value"),
        word("length", Takes::Texts, "arrays that are counted by length"),
        word("owner", Takes::Texts, "the field that names a document's owner"),
        word("date", Takes::Texts, "fields that are counted by date"),
    ]],
};

pub(super) static MUST: Table = Table {
    name: "must",
    what: "`must`",
    required: &[],
    words: &[
        SCHEMA,
        &[word("optional", Takes::Bool, "a missing value is accepted (default: false)")],
    ],
};

/// A part of `must`, and what `type` takes.
pub(super) static SUBSCHEMA: Table = Table {
    name: "subschema",
    what: "a part of `must` or `type`",
    required: &[],
    words: &[SCHEMA],
};

/// Words of MongoDB's `$jsonSchema`, and `anyCase`.
static SCHEMA: &[Word] = &[
    word("bsonType", Takes::Kinds, "the type, or a list of types"),
    word("enum", Takes::Values, "the values that are accepted"),
    word("pattern", Takes::Text, "a regular expression that a string must contain"),
    word("anyCase", Takes::Bool, "`enum` and `pattern` ignore the case of ASCII letters"),
    word("minimum", Takes::Number, "the least number"),
    word("maximum", Takes::Number, "the greatest number"),
    word("exclusiveMinimum", Takes::Bool, "`minimum` itself is not accepted"),
    word("exclusiveMaximum", Takes::Bool, "`maximum` itself is not accepted"),
    word("minItems", Takes::Count, "the least number of items"),
    word("maxItems", Takes::Count, "the greatest number of items"),
    word("items", Takes::One(&SUBSCHEMA), "what each item must be"),
    word("properties", Takes::Named(&SUBSCHEMA), "what these fields must be, if they are there"),
    word("additionalProperties", Takes::One(&SUBSCHEMA), "what each other field must be"),
    word("required", Takes::TextList, "fields that must be there"),
    word("anyOf", Takes::List(&SUBSCHEMA), "one of these is fulfilled"),
    word("not", Takes::One(&SUBSCHEMA), "this is not fulfilled"),
];

/// All kinds of tables; the first is the file itself.
pub(super) static TABLES: &[&Table] = &[
    &MAPPING,
    &TARGET,
    &SHAPE,
    &FIELD,
    &ALTERNATIVE,
    &LET,
    &TRANSLATION,
    &REQUIREMENT,
    &INDEX,
    &TEST,
    &ASSESS,
    &MUST,
    &SUBSCHEMA,
];
