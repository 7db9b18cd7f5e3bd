//! The text of any value, as an `_id` needs it.

use sha2::{Digest, Sha256};

use crate::raw::{self, Value, kind};

/// Appends a value as text, in the form that MAPPING.md defines for `dataset_id`. Different values
/// of one type never have the same text.
pub(crate) fn write_text(value: Value<'_>, out: &mut Vec<u8>) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.kind {
        kind::OBJECT_ID => out.extend(raw::hex_digits(value.bytes)),
        kind::STRING => out.extend_from_slice(value.text().unwrap_or_default()),
        kind::INT32 | kind::INT64 => {
            out.extend_from_slice(value.integer().unwrap_or_default().to_string().as_bytes())
        }
        kind::DOUBLE if value.double().is_some_and(|d| d.abs() <= EXACT && d.fract() == 0.0) => {
            out.extend_from_slice(
                (value.double().unwrap_or_default() as i64).to_string().as_bytes(),
            );
        }
        kind::BINARY if value.bytes.len() == 5 + 16 && matches!(value.bytes[4], 3 | 4) => {
            let digits = raw::hex(&value.bytes[5..]);
            for (at, group) in
                [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].into_iter().enumerate()
            {
                if at > 0 {
                    out.push(b'-');
                }
                out.extend_from_slice(&digits.as_bytes()[group.0..group.1]);
            }
        }
        other => {
            out.extend_from_slice(b"bson:");
            out.extend_from_slice(raw::hex(&[other]).as_bytes());
            if value.bytes.len() > 256 {
                out.extend_from_slice(b":sha256:");
                out.extend_from_slice(raw::hex(&Sha256::digest(value.bytes)).as_bytes());
            } else {
                out.push(b':');
                out.extend_from_slice(raw::hex(value.bytes).as_bytes());
            }
        }
    }
}
