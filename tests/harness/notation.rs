//! A notation of documents for tests: `{_id: 7, a: "x", a: [1.5, null, true], at: @0, id: #0123456789abcdef01234567}`.
//! A date is its milliseconds behind `@`; a name may be quoted, and occur more than once. Types without a notation are
//! shown as `<kind hex>`.

use mongosplit::raw::{Elements, Value, kind};

use super::{element, framed, string, unhex};

/// The bytes of a document.
pub fn bson(text: &str) -> Vec<u8> {
    let mut reading = Reading(text.trim());
    let (kind, bytes) = reading.value();
    assert!(kind == kind::DOCUMENT && reading.0.is_empty(), "not a document: {text}");
    bytes
}

struct Reading<'t>(&'t str);

impl Reading<'_> {
    fn skip(&mut self) {
        self.0 = self.0.trim_start_matches([' ', ',', '\n']);
    }
    fn takes(&mut self, what: &str) -> bool {
        self.skip();
        let rest = self.0.strip_prefix(what);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
    fn word(&mut self) -> String {
        self.skip();
        if self.takes("\"") {
            let (word, rest) = self.0.split_once('"').expect("a quote");
            self.0 = rest;
            return word.to_owned();
        }
        let end = self.0.find([':', ',', ' ', ']', '}']).expect("an end");
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.to_owned()
    }
    fn value(&mut self) -> (u8, Vec<u8>) {
        self.skip();
        if self.takes("{") {
            let mut elements = Vec::new();
            while !self.takes("}") {
                let name = self.word();
                assert!(self.takes(":"), "a colon behind {name}");
                let (kind, value) = self.value();
                elements.extend(element(kind, name.as_bytes(), &value));
            }
            return (kind::DOCUMENT, framed(&elements));
        }
        if self.takes("[") {
            let mut elements = Vec::new();
            let mut number = 0;
            while !self.takes("]") {
                let (kind, value) = self.value();
                elements.extend(element(kind, number.to_string().as_bytes(), &value));
                number += 1;
            }
            return (kind::ARRAY, framed(&elements));
        }
        if self.0.starts_with('"') {
            return (kind::STRING, string(self.word().as_bytes()));
        }
        let word = self.word();
        match word.as_str() {
            "null" => (kind::NULL, Vec::new()),
            "true" => (kind::BOOLEAN, vec![1]),
            "false" => (kind::BOOLEAN, vec![0]),
            word => {
                if let Some(hex) = word.strip_prefix('#') {
                    return (kind::OBJECT_ID, unhex(hex));
                }
                if let Some(millis) = word.strip_prefix('@') {
                    let millis: i64 = millis.parse().expect("milliseconds");
                    return (kind::DATE, millis.to_le_bytes().to_vec());
                }
                if let Some(long) = word.strip_suffix('L') {
                    return (kind::INT64, long.parse::<i64>().expect(word).to_le_bytes().to_vec());
                }
                if word.contains('.') {
                    return (kind::DOUBLE, word.parse::<f64>().expect(word).to_le_bytes().to_vec());
                }
                (kind::INT32, word.parse::<i32>().expect(word).to_le_bytes().to_vec())
            }
        }
    }
}

/// A document in the notation.
pub fn shown(document: &[u8]) -> String {
    let fields = Elements::new(document)
        .map(|found| format!("{}: {}", String::from_utf8_lossy(found.key()), value(found.value())));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn value(found: Value<'_>) -> String {
    let eight = || found.bytes.first_chunk::<8>().copied().unwrap_or_default();
    let hex = || found.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match found.kind {
        kind::DOCUMENT => shown(found.bytes),
        kind::ARRAY => {
            let items: Vec<String> = found.elements().map(|item| value(item.value())).collect();
            format!("[{}]", items.join(", "))
        }
        kind::STRING => {
            format!("\"{}\"", String::from_utf8_lossy(found.text().unwrap_or_default()))
        }
        kind::NULL => "null".to_owned(),
        kind::BOOLEAN => (found.bytes == [1]).to_string(),
        kind::DATE => format!("@{}", i64::from_le_bytes(eight())),
        kind::INT64 => format!("{}L", i64::from_le_bytes(eight())),
        kind::DOUBLE => format!("{:?}", f64::from_le_bytes(eight())),
        kind::INT32 => {
            i32::from_le_bytes(found.bytes.first_chunk().copied().unwrap_or_default()).to_string()
        }
        kind::OBJECT_ID => format!("#{}", hex()),
        kind => format!("<{kind} {}>", hex()),
    }
}
