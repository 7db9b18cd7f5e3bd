//! The text of the mapping. Names, types and counts go into it, and no value.

use super::super::survey::{
    Field, Fields, MOST_NAME_BYTES, MOST_PLACES, Survey, Values, unsayable,
};
use super::indexes::{Indexes, LeftOut};
use super::toml::{InlineTable, array, string};
use crate::dump::{Collection, Metadata};
use crate::error::counted;
use crate::raw::kind;

/// Longer rows say less of what is inside the field.
const MOST_ROW_BYTES: usize = 1000;
/// The largest sum of the rows. A mapping has at most 1 MiB, because the journal keeps it.
const MOST_FIELD_BYTES: usize = 640 * 1024;
/// How many things a list in a comment names.
const MOST_LISTED: usize = 20;
/// How many characters of a name a comment shows.
const MOST_SHOWN: usize = 60;
/// The longest name of a collection.
const MOST_COLLECTION_BYTES: usize = 253;

/// A mapping that copies all of a collection.
pub(super) fn mapping(
    collection: &Collection,
    survey: &Survey,
    metadata: Option<&Metadata>,
) -> String {
    let documents = survey.documents();
    let (sayable, unsayable): (Vec<&Field>, Vec<&Field>) =
        survey.fields().partition(|field| unsayable(&field.name).is_none());
    let rows = field_rows(&sayable, documents);
    let mut text = header(collection, documents);
    text += &format!("[[target]]\ncollection = {}\n", string(&target_name(&collection.name)));
    text += "# Fields that no row reads are copied after the others.\n";
    text += &left_to_rest(survey, &unsayable, sayable.len() - rows.len());
    text += &format!("rest = true\nfields = [\n{}]\n", rows.concat());
    text + &metadata.map(of_metadata).unwrap_or_default()
}

/// Everything before the target.
fn header(collection: &Collection, documents: u64) -> String {
    let name = string(&collection.name);
    format!(
        r#"# A mapping to start from: it copies all of {} into one collection.
# `mongosplit mapping init` made it from {}.
#
# Each row copies the field of its name; its comment says how often that was seen. `must` is what was
# seen: other values are copied all the same, and reported as findings. Adapt it to what the
# application accepts. Fields are written in this order; the journal keeps a document's own order, and
# later fields of the same name. To split the collection, rename the target, add more, and move rows.

format = 2
name = {name}
version = "1.0.0"
source = {name}
key = "_id"

"#,
        collection.namespace().escape_debug(),
        count(documents, "document")
    )
}

/// The name of a collection beside the source, which a mapping can name.
fn target_name(source: &str) -> String {
    const SUFFIX: &str = "_new";
    let mut name = source.replace(['\0', '$', '/', '\\'], "_");
    if let Some(rest) = name.strip_prefix("system.") {
        name = format!("system_{rest}");
    }
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    while name.len() + SUFFIX.len() > MOST_COLLECTION_BYTES {
        name.pop();
    }
    name + SUFFIX
}

/// The rows of the fields, as many as fit.
fn field_rows(fields: &[&Field], documents: u64) -> Vec<String> {
    let mut bytes = 0;
    let is_fitting = |row: &String| {
        bytes += row.len();
        bytes <= MOST_FIELD_BYTES
    };
    fields.iter().map(|field| field_row(field, documents)).take_while(is_fitting).collect()
}

/// The row of a field, with its comment.
fn field_row(field: &Field, documents: u64) -> String {
    let row = (0..super::super::survey::LEVELS)
        .rev()
        .map(|levels| row(field, documents, levels))
        .find(|row| row.len() <= MOST_ROW_BYTES)
        .unwrap_or_else(|| row(field, documents, 0));
    format!("  {row},  # {}\n", comment(field, documents))
}

/// The row of a field, which says what is inside it down to some levels.
fn row(field: &Field, documents: u64, levels: u32) -> String {
    let mut must = types_of(&field.values);
    if field.seen.documents < documents {
        must.entry("optional", true);
    }
    add_content(&mut must, &field.values, levels);
    let mut row = InlineTable::default();
    row.entry("name", string(&String::from_utf8_lossy(&field.name)));
    row.entry("must", must.finish());
    row.finish()
}

/// A constraint that the values have one of the types seen.
fn types_of(values: &Values) -> InlineTable {
    let mut must = InlineTable::default();
    let types: Vec<String> =
        values.types().iter().map(|seen| string(type_word(seen.kind))).collect();
    match types.as_slice() {
        [one] => must.entry("bsonType", one),
        _ => must.entry("bsonType", array(types)),
    }
    must
}

/// Adds what items and embedded documents must be.
fn add_content(must: &mut InlineTable, values: &Values, levels: u32) {
    if levels == 0 {
        return;
    }
    if let Some(items) = values.items() {
        must.entry("items", inner(items, levels - 1));
    }
    if let Some(fields) = values.fields() {
        add_fields(must, fields, levels - 1);
    }
}

/// What values inside others must be.
fn inner(values: &Values, levels: u32) -> String {
    let mut must = types_of(values);
    add_content(&mut must, values, levels);
    must.finish()
}

fn add_fields(must: &mut InlineTable, fields: &Fields, levels: u32) {
    let mut properties = InlineTable::default();
    let mut required = Vec::new();
    for field in fields.in_order() {
        let name = String::from_utf8_lossy(&field.name);
        properties.entry(&name, inner(&field.values, levels));
        if field.seen.documents == fields.documents() {
            required.push(string(&name));
        }
    }
    must.entry("properties", properties.finish());
    if !required.is_empty() {
        must.entry("required", array(required));
    }
}

/// How often a field was seen, and with which types if those differ.
fn comment(field: &Field, documents: u64) -> String {
    let mut text = presence(field.seen.documents, documents);
    text += &mixed_types(": ", &field.values);
    if let Some(items) = field.values.items() {
        text += &mixed_types("; items: ", items);
    }
    if field.repeated.documents > 0 {
        text += &format!("; more than once in {}", grouped(field.repeated.documents));
    }
    text
}

fn presence(seen: u64, documents: u64) -> String {
    if seen == documents {
        return "in all documents".to_owned();
    }
    format!("in {} of {}", grouped(seen), count(documents, "document"))
}

/// The number of values of each type, if there are several.
fn mixed_types(before: &str, values: &Values) -> String {
    let types = values.types();
    if types.len() < 2 {
        return String::new();
    }
    let counts: Vec<String> = types
        .iter()
        .map(|seen| format!("{} {}", grouped(seen.values), type_word(seen.kind)))
        .collect();
    format!("{before}{}", counts.join(", "))
}

/// Comments on the fields that have no row.
fn left_to_rest(survey: &Survey, unsayable_fields: &[&Field], without_room: usize) -> String {
    let mut text = String::new();
    let documents = survey.documents();
    let describe = |field: &Field| {
        let why = unsayable(&field.name).unwrap_or_default();
        let presence = comment(field, documents);
        format!("{} {why}; {presence}", shown(&String::from_utf8_lossy(&field.name)))
    };
    if !unsayable_fields.is_empty() {
        text += "# Paths cannot name these fields, so only `rest` copies them:\n";
        text += &list(unsayable_fields.iter().map(|field| describe(field)));
    }
    let mut remark = |what: String| text += &format!("# `rest` also copies {what}.\n");
    if survey.with_long_names.documents > 0 {
        let number = count(survey.with_long_names.documents, "document");
        remark(format!("fields with names of more than {MOST_NAME_BYTES} bytes, in {number}"));
    }
    if without_room > 0 {
        let fields = count(without_room as u64, "field");
        remark(format!("{fields} more, whose rows would make this file too large"));
    }
    if survey.with_further_fields.documents > 0 {
        let (most, number) =
            (grouped(MOST_PLACES as u64), count(survey.with_further_fields.documents, "document"));
        remark(format!(
            "further fields of {number}: only {most}, embedded ones included, were told apart"
        ));
    }
    text
}

/// What the metadata says of the collection: its indexes and options.
fn of_metadata(metadata: &Metadata) -> String {
    let Indexes { rows, left_out } = Indexes::of(metadata);
    let mut text = String::new();
    if !left_out.is_empty() {
        text += "# Indexes that are left out, with what a mapping cannot express:\n";
        let describe = |index: &LeftOut| {
            format!("{}: {}", shown(&index.name), cut(&index.because_of).escape_debug())
        };
        text += &list(left_out.iter().map(describe));
    }
    if !rows.is_empty() {
        let rows: Vec<String> = rows.iter().map(|row| format!("  {row},\n")).collect();
        text += &format!("indexes = [\n{}]\n", rows.concat());
    }
    if !metadata.options.is_empty() {
        text += "# Options of the collection that are left out:\n";
        text += &list(metadata.options.keys().map(|name| shown(name)));
    }
    text
}

/// Lines of a comment, the first ones only if there are many.
fn list(lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = lines.len().saturating_sub(MOST_LISTED);
    let mut text: String = lines.take(MOST_LISTED).map(|line| format!("#   {line}\n")).collect();
    if more > 0 {
        text += &format!("#   and {} more\n", grouped(more as u64));
    }
    text
}

/// A name for a comment: quoted, on one line, shortened.
fn shown(name: &str) -> String {
    format!("{:?}", cut(name))
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    let is_long = text.chars().nth(MOST_SHOWN).is_some();
    text.chars().take(MOST_SHOWN).chain(is_long.then_some('…')).collect()
}

/// `1 document`, `1,204 documents`.
fn count(number: u64, noun: &str) -> String {
    let text = counted(number, noun);
    text.replacen(&number.to_string(), &grouped(number), 1)
}

/// `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The word for an element type in `$jsonSchema`.
fn type_word(kind: u8) -> &'static str {
    match kind {
        kind::DOUBLE => "double",
        kind::STRING => "string",
        kind::DOCUMENT => "object",
        kind::ARRAY => "array",
        kind::BINARY => "binData",
        kind::UNDEFINED => "undefined",
        kind::OBJECT_ID => "objectId",
        kind::BOOLEAN => "bool",
        kind::DATE => "date",
        kind::NULL => "null",
        kind::REGEX => "regex",
        kind::DB_POINTER => "dbPointer",
        kind::CODE => "javascript",
        kind::SYMBOL => "symbol",
        kind::CODE_WITH_SCOPE => "javascriptWithScope",
        kind::INT32 => "int",
        kind::TIMESTAMP => "timestamp",
        kind::INT64 => "long",
        kind::DECIMAL128 => "decimal",
        kind::MIN_KEY => "minKey",
        _ => "maxKey",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_names_are_accepted() {
        for (source, expected) in [
            ("user_data", "user_data_new"),
            ("fs.files", "fs.files_new"),
            ("café menu/2025", "café menu_2025_new"),
            ("system.js", "system_js_new"),
            ("../x", "_._x_new"),
            ("", "_new"),
        ] {
            assert_eq!(target_name(source), expected);
        }
        assert!(target_name(&"é".repeat(127)).len() <= MOST_COLLECTION_BYTES);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_204), "1,204");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(count(1, "document"), "1 document");
        assert_eq!(count(12_345, "document"), "12,345 documents");
    }

    #[test]
    fn names_in_comments_stay_on_their_line() {
        assert_eq!(shown("a\n\u{202e}b"), r#""a\n\u{202e}b""#);
        assert_eq!(shown(&"x".repeat(61)), format!("\"{}…\"", "x".repeat(60)));
    }
}
