//! Formats values for messages.

use super::element::{Elements, Value};
use super::kinds::{kind, kind_name};

/// A document's `_id` for messages, limited in length.
pub fn display_id(document: &[u8]) -> Option<String> {
    Elements::new(document).find(b"_id").map(display_value)
}

/// A value for messages: as the shell writes it if that is short, else its type and size.
pub fn display_value(value: Value<'_>) -> String {
    let text = match value.kind {
        kind::OBJECT_ID => format!("ObjectId('{}')", hex(value.bytes)),
        kind::STRING => format!(
            "'{}'",
            String::from_utf8_lossy(value.text().unwrap_or_default()).escape_debug()
        ),
        kind::INT32 | kind::INT64 => value.integer().unwrap_or_default().to_string(),
        kind::DOUBLE => format!("{:?}", value.double().unwrap_or_default()),
        kind::BOOLEAN => (value.bytes != [0]).to_string(),
        kind::NULL => "null".to_owned(),
        kind::DATE => {
            match jiff::Timestamp::from_millisecond(value.date_millis().unwrap_or_default()) {
                Ok(time) => format!("{time:.3}"),
                Err(_) => format!("date {} ms", value.date_millis().unwrap_or_default()),
            }
        }
        kind::BINARY if value.bytes.len() <= 5 + 32 => {
            format!("binary subtype {} {}", value.bytes[4], hex(&value.bytes[5..]))
        }
        other => format!("{} of {} bytes", kind_name(other), value.bytes.len()),
    };
    if text.chars().count() <= 80 {
        return text;
    }
    text.chars().take(77).chain("...".chars()).collect()
}

/// Lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    hex_digits(bytes).map(char::from).collect()
}

/// Like [`hex`], but returns bytes.
pub(crate) fn hex_digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
}
