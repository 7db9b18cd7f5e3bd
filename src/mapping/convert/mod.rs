//! Conversions of single values to another type, where the result says exactly the same.
//!
//! The pairs of types, and which values of each convert, are in `docs/MAPPING.md`.

mod calendar;
mod dates;
mod formats;
mod numbers;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use dates::{date_from_iso, iso_from_date};
pub(crate) use text::write_text;

use super::language::Type;
use crate::raw::{Value, hex_digits, kind};
use formats::Format;
use numbers::{Number, double_to_integer, integer_to_double};

/// The BSON type of a type.
fn kind_of(name: Type) -> u8 {
    match name {
        Type::Date => kind::DATE,
        Type::ObjectId => kind::OBJECT_ID,
        Type::String => kind::STRING,
        Type::Int => kind::INT32,
        Type::Long => kind::INT64,
        Type::Double => kind::DOUBLE,
        Type::Decimal => kind::DECIMAL128,
        Type::Bool => kind::BOOLEAN,
    }
}

/// The inverse of [`kind_of`].
fn type_of(kind: u8) -> Option<Type> {
    Some(match kind {
        kind::DATE => Type::Date,
        kind::OBJECT_ID => Type::ObjectId,
        kind::STRING => Type::String,
        kind::INT32 => Type::Int,
        kind::INT64 => Type::Long,
        kind::DOUBLE => Type::Double,
        kind::DECIMAL128 => Type::Decimal,
        kind::BOOLEAN => Type::Bool,
        _ => return None,
    })
}

/// A compiled conversion.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    to: Type,
    /// The forms of dates as text. ISO text if there are none, and then numbers and ObjectIds are
    /// dates, too.
    forms: Vec<Form>,
}

impl Conversion {
    /// A conversion to a type, with formats of dates as text, which only `date` and `string` take.
    /// An error says what is wrong with a format.
    pub fn new(to: Type, formats: &[String]) -> Result<Self, String> {
        if !formats.is_empty() && !matches!(to, Type::Date | Type::String) {
            return Err("a format means nothing here; only date and string take one".to_owned());
        }
        let forms = formats.iter().map(|format| Form::new(format)).collect::<Result<_, _>>()?;
        Ok(Conversion { to, forms })
    }

    /// Whether it makes dates of ISO text.
    pub fn is_iso(&self) -> bool {
        self.to == Type::Date && matches!(self.forms.as_slice(), [] | [Form::Iso])
    }

    /// Appends the converted value's bytes to `out` and returns its BSON type. `None`, with nothing
    /// appended, if the conversion would not be exact, or if the value's type has none. A value
    /// that already has the type converts to itself.
    pub fn convert(&self, value: Value<'_>, out: &mut Vec<u8>) -> Option<u8> {
        // A date fits an int for some weeks around 1970 only, so this is for the way back alone.
        if (value.kind, self.to) == (kind::DATE, Type::Int) {
            return None;
        }
        self.cast(value, self.to, out)
    }

    /// Appends the bytes of the one value of type `from` that stands for all that convert to
    /// `value`. False, with nothing appended, if there is none: whatever is appended converts to
    /// `value`, byte for byte.
    pub fn back(&self, value: Value<'_>, from: u8, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let Some(source) = type_of(from) else { return false };
        if value.kind != kind_of(self.to) || self.cast(value, source, out).is_none() {
            return false;
        }
        let mut again = Vec::with_capacity(value.bytes.len());
        let original = Value { kind: from, bytes: &out[start..] };
        let is_inverse = self.convert(original, &mut again).is_some() && again == value.bytes;
        if !is_inverse {
            out.truncate(start);
        }
        is_inverse
    }

    /// The type that a converted value most likely had, if nothing else is known of it: the first
    /// of the usual ones with a value that [`Conversion::back`] finds; the value's own type if
    /// there is none.
    pub fn likely_source(&self, value: Value<'_>) -> u8 {
        let usual: &[u8] = match self.to {
            Type::Decimal => &[kind::INT32, kind::DOUBLE, kind::STRING],
            Type::String if !self.forms.is_empty() => &[kind::DATE],
            Type::String => &[
                kind::OBJECT_ID,
                kind::BOOLEAN,
                kind::INT32,
                kind::INT64,
                kind::DOUBLE,
                kind::DECIMAL128,
                kind::DATE,
            ],
            _ => &[kind::STRING],
        };
        let mut scratch = Vec::new();
        let found = usual.iter().find(|from| {
            scratch.clear();
            self.back(value, **from, &mut scratch)
        });
        found.copied().unwrap_or(value.kind)
    }

    /// Appends the bytes that say in type `to` what `value` says. `None`, with nothing appended, if
    /// no bytes do.
    fn cast(&self, value: Value<'_>, to: Type, out: &mut Vec<u8>) -> Option<u8> {
        if value.kind == kind_of(to) {
            out.extend_from_slice(value.bytes);
            return Some(value.kind);
        }
        match to {
            Type::Date => out.extend(self.date(value)?.to_le_bytes()),
            Type::ObjectId => out.extend(object_id(value)?),
            Type::String => self.write_string(value, out)?,
            Type::Int => out.extend(i32::try_from(integer(value)?).ok()?.to_le_bytes()),
            Type::Long => out.extend(integer(value)?.to_le_bytes()),
            Type::Double => out.extend(double(value)?.to_le_bytes()),
            Type::Decimal => out.extend(number(value)?.to_decimal()?),
            Type::Bool => out.push(u8::from(boolean(value)?)),
        }
        Some(kind_of(to))
    }

    /// The milliseconds since 1970 that a value of another type says.
    fn date(&self, value: Value<'_>) -> Option<i64> {
        match value.kind {
            kind::STRING => self.read_date(value.text()?),
            _ if !self.forms.is_empty() => None,
            // The seconds since 1970 are the first four bytes, big-endian.
            kind::OBJECT_ID => {
                value.bytes.first_chunk().map(|bytes| i64::from(u32::from_be_bytes(*bytes)) * 1000)
            }
            kind::BOOLEAN => None,
            _ => integer(value),
        }
    }
    /// Reads a date by the first format that matches the whole text.
    fn read_date(&self, text: &[u8]) -> Option<i64> {
        if self.forms.is_empty() {
            return date_from_iso(text);
        }
        self.forms.iter().find_map(|form| form.read(text))
    }
    /// Appends a date in the first format whose text [`Conversion::read_date`] reads as it. If
    /// there is none, what is appended means nothing.
    fn write_date(&self, millis: i64, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        if self.forms.is_empty() {
            return write_iso(millis, self.to, out).then_some(());
        }
        self.forms.iter().find_map(|form| {
            out.truncate(start);
            let is_written = match form {
                Form::Iso => write_iso(millis, self.to, out),
                Form::Format(format) => format.write(millis, out),
            };
            (is_written && self.read_date(&out[start..]) == Some(millis)).then_some(())
        })
    }

    /// Appends a string value that says what a value of another type says.
    fn write_string(&self, value: Value<'_>, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        if self.write_text(value, out).is_none() {
            out.truncate(start);
            return None;
        }
        out.push(0);
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Some(())
    }
    fn write_text(&self, value: Value<'_>, out: &mut Vec<u8>) -> Option<()> {
        match value.kind {
            kind::DATE => self.write_date(value.date_millis()?, out)?,
            kind::OBJECT_ID => out.extend(hex_digits(value.bytes)),
            kind::BINARY => write_uuid(value.bytes, out)?,
            kind::BOOLEAN if flag(value)? => out.extend_from_slice(b"true"),
            kind::BOOLEAN => out.extend_from_slice(b"false"),
            kind::DECIMAL128 => Number::of(value)?.write(b'E', out),
            _ => Number::of(value)?.write(b'e', out),
        }
        Some(())
    }
}

/// A form of dates as text.
#[derive(Debug, Clone)]
enum Form {
    Iso,
    Format(Format),
}

impl Form {
    fn new(text: &str) -> Result<Self, String> {
        match text {
            "iso" => Ok(Form::Iso),
            format => Format::new(format).map(Form::Format),
        }
    }
    fn read(&self, text: &[u8]) -> Option<i64> {
        match self {
            Form::Iso => date_from_iso(text),
            Form::Format(format) => format.read(text),
        }
    }
}

/// Appends a date as ISO text. Text becomes a date and back in the form of MAPPING.md, but a date
/// becomes text as in MongoDB. False outside the years 1 to 9999.
fn write_iso(millis: i64, to: Type, out: &mut Vec<u8>) -> bool {
    let Some(iso) = iso_from_date(millis) else { return false };
    let (time, offset) = iso[4..iso.len() - 1].split_at(23);
    out.extend_from_slice(time);
    out.extend_from_slice(if to == Type::String { b"Z" } else { offset });
    true
}

/// Appends a UUID (binary subtype 4 of 16 bytes) in lowercase with hyphens.
fn write_uuid(binary: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let [16, 0, 0, 0, 4, uuid @ ..] = binary else { return None };
    let digits: Vec<u8> = hex_digits(uuid).collect();
    for (number, group) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
        if number > 0 {
            out.push(b'-');
        }
        out.extend_from_slice(digits.get(group)?);
    }
    Some(())
}

/// The value of a boolean in the form that servers write.
fn flag(value: Value<'_>) -> Option<bool> {
    match value {
        Value { kind: kind::BOOLEAN, bytes: [0] } => Some(false),
        Value { kind: kind::BOOLEAN, bytes: [1] } => Some(true),
        _ => None,
    }
}

/// The integer that a value of another type than text or a number says.
fn plain_integer(value: Value<'_>) -> Option<i64> {
    match value.kind {
        kind::BOOLEAN => flag(value).map(i64::from),
        kind::DATE => value.date_millis(),
        _ => None,
    }
}

/// The integer that a value says.
fn integer(value: Value<'_>) -> Option<i64> {
    match value.kind {
        kind::INT32 | kind::INT64 => value.integer(),
        kind::DOUBLE => value.double().and_then(double_to_integer),
        kind::DECIMAL128 => Number::of(value)?.to_integer(),
        kind::STRING => Number::from_text(value.text()?)?.to_integer(),
        _ => plain_integer(value),
    }
}

/// The double that a value of another type says.
fn double(value: Value<'_>) -> Option<f64> {
    match value.kind {
        kind::DECIMAL128 => Number::of(value)?.to_double(),
        kind::STRING => Number::from_text(value.text()?)?.to_double(),
        _ => integer_to_double(integer(value)?),
    }
}

/// The number, with its digits, that a value of another type than decimal says.
fn number(value: Value<'_>) -> Option<Number> {
    match value.kind {
        kind::STRING => Number::from_text(value.text()?),
        kind::BOOLEAN | kind::DATE => plain_integer(value).map(Number::of_integer),
        _ => Number::of(value),
    }
}

/// The truth that a value of another type says: the texts `true` and `false`, the numbers 1 and 0.
fn boolean(value: Value<'_>) -> Option<bool> {
    match value.kind {
        kind::STRING => match value.text()? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        },
        kind::INT32 | kind::INT64 | kind::DOUBLE | kind::DECIMAL128 => match integer(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// The ObjectId of a text of 24 hexadecimal digits.
fn object_id(value: Value<'_>) -> Option<[u8; 12]> {
    let digits: &[u8; 24] = value.text()?.try_into().ok()?;
    let mut bytes = [0; 12];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}
