//! Values and helpers for the tests of conversions.

mod laws;
mod tables;

use super::*;
use crate::raw::{display_value, kind_name};

/// A value of its own.
#[derive(Clone, PartialEq)]
struct Sample {
    kind: u8,
    bytes: Vec<u8>,
}

impl Sample {
    fn value(&self) -> Value<'_> {
        Value { kind: self.kind, bytes: &self.bytes }
    }
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            kind::DECIMAL128 => {
                let bytes = self.bytes[..].try_into().expect("16 bytes");
                write!(f, "decimal {}", bson::Decimal128::from_bytes(bytes))
            }
            _ => write!(f, "{} {}", kind_name(self.kind), display_value(self.value())),
        }
    }
}

fn sample(kind: u8, bytes: &[u8]) -> Sample {
    Sample { kind, bytes: bytes.to_vec() }
}
fn text(text: &str) -> Sample {
    let length = (text.len() as i32 + 1).to_le_bytes();
    sample(kind::STRING, &[&length, text.as_bytes(), &[0]].concat())
}
fn int(number: i32) -> Sample {
    sample(kind::INT32, &number.to_le_bytes())
}
fn long(number: i64) -> Sample {
    sample(kind::INT64, &number.to_le_bytes())
}
fn double(number: f64) -> Sample {
    sample(kind::DOUBLE, &number.to_le_bytes())
}
fn decimal(text: &str) -> Sample {
    let decimal: bson::Decimal128 = text.parse().expect("a decimal");
    sample(kind::DECIMAL128, &decimal.bytes())
}
fn boolean(truth: bool) -> Sample {
    sample(kind::BOOLEAN, &[u8::from(truth)])
}
fn date(millis: i64) -> Sample {
    sample(kind::DATE, &millis.to_le_bytes())
}
fn oid(digits: &str) -> Sample {
    let id = bson::oid::ObjectId::parse_str(digits).expect("an ObjectId");
    sample(kind::OBJECT_ID, &id.bytes())
}

fn conversion(to: Type, formats: &[&str]) -> Conversion {
    let formats: Vec<_> = formats.iter().map(|format| (*format).to_owned()).collect();
    Conversion::new(to, &formats).unwrap_or_else(|error| panic!("{error}"))
}
/// Converts, and checks that nothing else is written.
fn convert(conversion: &Conversion, from: &Sample) -> Option<Sample> {
    let mut out = b"before".to_vec();
    let kind = conversion.convert(from.value(), &mut out);
    let bytes = out.strip_prefix(b"before").expect("what was there before");
    assert!(kind.is_some() || bytes.is_empty(), "{from:?}: {bytes:?}");
    kind.map(|kind| sample(kind, bytes))
}
/// Converts back, and checks that nothing else is written.
fn back(conversion: &Conversion, value: &Sample, from: u8) -> Option<Sample> {
    let mut out = b"before".to_vec();
    let is_back = conversion.back(value.value(), from, &mut out);
    let bytes = out.strip_prefix(b"before").expect("what was there before");
    assert!(is_back || bytes.is_empty(), "{value:?}: {bytes:?}");
    is_back.then(|| sample(from, bytes))
}

/// Checks a table of values, what they convert to, and what those convert back to.
fn accepts(conversion: &Conversion, table: &[(Sample, Sample, Option<Sample>)]) {
    for (from, to, original) in table {
        assert_eq!(convert(conversion, from).as_ref(), Some(to), "{from:?}");
        assert_eq!(&back(conversion, to, from.kind), original, "back from {from:?}");
    }
}
/// Checks values that convert, and convert back to themselves.
fn inverts(conversion: &Conversion, table: &[(Sample, Sample)]) {
    for (from, to) in table {
        accepts(conversion, &[(from.clone(), to.clone(), Some(from.clone()))]);
    }
}
fn refuses(conversion: &Conversion, values: &[Sample]) {
    for value in values {
        assert_eq!(convert(conversion, value), None, "{value:?}");
    }
}

const ID: &str = "507f1f77bcf86cd799439011";
const TYPES: [Type; 8] = [
    Type::Date,
    Type::ObjectId,
    Type::String,
    Type::Int,
    Type::Long,
    Type::Double,
    Type::Decimal,
    Type::Bool,
];

/// A value of each other kind, none of which converts.
fn others() -> Vec<Sample> {
    let mut others = vec![
        sample(kind::DOCUMENT, &[5, 0, 0, 0, 0]),
        sample(kind::ARRAY, &[5, 0, 0, 0, 0]),
        sample(kind::BINARY, &[1, 0, 0, 0, 0, 49]),
        sample(kind::REGEX, b"1\0\0"),
        sample(kind::CODE, text("1").bytes.as_slice()),
        sample(kind::SYMBOL, text("1").bytes.as_slice()),
        sample(kind::TIMESTAMP, &[0, 0, 0, 0, 1, 0, 0, 0]),
    ];
    others.extend(
        [kind::NULL, kind::UNDEFINED, kind::MIN_KEY, kind::MAX_KEY].map(|kind| sample(kind, &[])),
    );
    others
}
