//! Documents as relaxed Extended JSON, for people: in their own order, with all their fields.

use super::display::{display_value, hex};
use super::element::{Elements, Value};
use super::kinds::kind;
use crate::plain::json_string;

/// A document or an array whose text is at most this long is on one line.
const ONE_LINE: usize = 72;

/// A document as relaxed Extended JSON, indented, without a line end. Fields keep their order, and
/// several of one name are all there, which no JSON parser keeps. What is not UTF-8 is replaced.
pub fn extended_json(document: &[u8]) -> String {
    extended_json_of(Value { kind: kind::DOCUMENT, bytes: document })
}

/// A value as relaxed Extended JSON, likewise.
pub fn extended_json_of(value: Value<'_>) -> String {
    let mut text = Text::default();
    text.value(value);
    while let Some(container) = text.open.last_mut() {
        let Some(element) = container.elements.next() else {
            text.close();
            continue;
        };
        let (is_first, is_array) = (container.is_empty, container.is_array);
        container.is_empty = false;
        text.next(is_first);
        if !is_array {
            text.out += &quoted(element.key());
            text.out += ": ";
        }
        text.value(element.value());
    }
    text.out
}

/// Levels from here on are on one line: a server stores fewer, and indenting a million levels would take the square of it.
const MOST_INDENTED: usize = 200;

/// A text that is being made.
#[derive(Default)]
struct Text<'a> {
    out: String,
    open: Vec<Container<'a>>,
}

/// A document or an array that has been begun.
struct Container<'a> {
    elements: Elements<'a>,
    is_array: bool,
    is_empty: bool,
    /// It is on one line.
    is_short: bool,
}

impl<'a> Text<'a> {
    /// Begins a document or an array, or writes another value.
    fn value(&mut self, value: Value<'a>) {
        if !matches!(value.kind, kind::DOCUMENT | kind::ARRAY) {
            self.out += &scalar(value);
            return;
        }
        let is_array = value.kind == kind::ARRAY;
        let is_short = self.open.last().is_some_and(|outer| outer.is_short)
            || self.open.len() >= MOST_INDENTED
            || short_length(value).is_some_and(|length| length <= ONE_LINE);
        self.out.push(if is_array { '[' } else { '{' });
        let elements = value.elements();
        self.open.push(Container { elements, is_array, is_empty: true, is_short });
    }

    /// Goes to the place of the next element.
    fn next(&mut self, is_first: bool) {
        if !is_first {
            self.out.push(',');
        }
        match self.open.last() {
            Some(Container { is_short: true, is_array, .. }) => {
                // As in `{ "a": [1, 2] }`.
                if !is_first || !is_array {
                    self.out.push(' ');
                }
            }
            _ => self.line(self.open.len()),
        }
    }

    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn close(&mut self) {
        let Some(container) = self.open.pop() else { return };
        match container {
            Container { is_empty: true, .. } => {}
            Container { is_short: true, is_array: false, .. } => self.out.push(' '),
            Container { is_short: true, .. } => {}
            Container { .. } => self.line(self.open.len()),
        }
        self.out.push(if container.is_array { ']' } else { '}' });
    }
}

/// About how long a document or an array is on one line. None if it is certainly too long.
fn short_length(value: Value<'_>) -> Option<usize> {
    if value.bytes.len() > 4 * ONE_LINE {
        return None;
    }
    let mut length = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        for element in value.elements() {
            length += 4 + if value.kind == kind::ARRAY { 0 } else { 2 + element.key().len() };
            match element.kind() {
                kind::DOCUMENT | kind::ARRAY => open.push(element.value()),
                _ => length += scalar(element.value()).chars().count(),
            }
            if length > ONE_LINE {
                return None;
            }
        }
    }
    Some(length)
}

/// A value that is neither a document nor an array.
fn scalar(value: Value<'_>) -> String {
    match value.kind {
        kind::STRING => quoted(value.text().unwrap_or_default()),
        kind::OBJECT_ID => format!("{{ \"$oid\": \"{}\" }}", hex(value.bytes)),
        kind::INT32 | kind::INT64 => value.integer().unwrap_or_default().to_string(),
        kind::BOOLEAN => (value.bytes != [0]).to_string(),
        kind::NULL => "null".to_owned(),
        _ => by_crate(value).unwrap_or_else(|| quoted(display_value(value).as_bytes())),
    }
}

/// The other types, as the `bson` crate writes them.
fn by_crate(value: Value<'_>) -> Option<String> {
    let mut document = Vec::new();
    let open = super::Writer::open(&mut document);
    super::Writer::element(&mut document, b"v\0", value);
    super::Writer::close(&mut document, open);
    let read = bson::Document::from_reader(document.as_slice()).ok()?;
    let value = read.get("v")?.clone().into_relaxed_extjson();
    Some(spaced(&value))
}

/// JSON on one line, with spaces.
fn spaced(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name.as_bytes()), spaced(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A string of JSON.
fn quoted(text: &[u8]) -> String {
    json_string(&String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_deep_documents_take_room_in_proportion() {
        let levels = 20_000;
        let mut document = Vec::new();
        for level in 0..levels {
            let length: u32 = 7 * (levels - 1 - level) + 5;
            document.extend_from_slice(&length.to_le_bytes());
            document.extend_from_slice(if level + 1 < levels { b"\x03\0" } else { b"" });
        }
        document.extend(vec![0; levels as usize]);
        assert!(crate::raw::Validator::default().check(&document).is_ok());
        let text = extended_json(&document);
        assert!(text.len() < 20 * document.len(), "{} of {}", text.len(), document.len());
        assert_eq!(text.matches('{').count(), levels as usize);
    }

    fn of(document: bson::Document) -> String {
        extended_json(&document.to_vec().unwrap())
    }

    #[test]
    fn short_documents_are_on_one_line() {
        use bson::doc;
        assert_eq!(of(doc! {}), "{}");
        assert_eq!(
            of(doc! { "a": 1, "b": [1.0, "x"], "c": {} }),
            "{ \"a\": 1, \"b\": [1.0, \"x\"], \"c\": {} }"
        );
        let long = "x".repeat(80);
        assert_eq!(
            of(
                doc! { "a": &long, "b": { "c": bson::oid::ObjectId::from_bytes([1; 12]), "d": bson::DateTime::from_millis(0) } }
            ),
            format!(
                "{{\n  \"a\": \"{long}\",\n  \"b\": {{\n    \"c\": {{ \"$oid\": \"010101010101010101010101\" }},\n    \"d\": {{ \"$date\": \"1970-01-01T00:00:00Z\" }}\n  }}\n}}"
            )
        );
    }

    #[test]
    fn it_is_read_back_as_the_same_document() {
        use bson::{Bson, doc};
        let document = doc! {
            "double": 1.5, "nan": f64::INFINITY, "text": "a\"b\u{1}", "binary": Bson::Binary(bson::Binary {
                subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3],
            }),
            "regex": Bson::RegularExpression(bson::Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() }),
            "min": Bson::MinKey, "max": Bson::MaxKey, "null": Bson::Null, "long": 1_i64 << 40,
            "timestamp": Bson::Timestamp(bson::Timestamp { time: 1, increment: 2 }),
            "decimal": "1.50".parse::<bson::Decimal128>().unwrap(), "early": bson::DateTime::from_millis(-5),
            "code": Bson::JavaScriptCode("f".into()), "deep": [[[{ "a": [1, 2, 3] }]]],
        };
        let json: serde_json::Value = serde_json::from_str(&of(document.clone())).unwrap();
        assert_eq!(Bson::try_from(json).unwrap(), Bson::Document(document));
    }

    #[test]
    fn deep_documents_and_duplicate_fields_are_written() {
        let mut bytes = b"\x0c\0\0\0\x10a\0\x01\0\0\0\0".to_vec();
        for _ in 0..5000 {
            let mut outer = Vec::new();
            let open = super::super::Writer::open(&mut outer);
            for _ in 0..2 {
                super::super::Writer::element(&mut outer, b"a\0", Value::NULL);
            }
            super::super::Writer::element(
                &mut outer,
                b"b\0",
                Value { kind: kind::DOCUMENT, bytes: &bytes },
            );
            super::super::Writer::close(&mut outer, open);
            bytes = outer;
        }
        let text = extended_json(&bytes);
        assert!(text.starts_with("{\n  \"a\": null,\n  \"a\": null,\n  \"b\": {\n"), "{text:.100}");
    }
}
