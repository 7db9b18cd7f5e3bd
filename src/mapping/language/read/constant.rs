//! BSON values, as TOML has them or as Extended JSON.

use std::ops::Range;

use bson::{Bson, Document};
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::super::problem::{Problems, nearest, quoted};
use super::super::words::FORMS;
use super::super::{At, Constant};
use super::table::{Given, Value, entry, integer};
use crate::raw::kind;

/// A problem with a value, and its place.
type Failure = (Range<usize>, String);

/// Any value.
pub(super) fn constant(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<At<Constant>> {
    let value = reported(bson(given.value), problems)?;
    let value = reported(encoded(value).map_err(|why| (given.value.span(), why)), problems)?;
    Some(At { at: given.value.span(), value })
}

/// A value that is neither a document nor an array.
pub(super) fn scalar(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<At<Constant>> {
    let value = constant(given, problems)?;
    if matches!(value.kind, kind::DOCUMENT | kind::ARRAY) {
        let message = format!("`{}` cannot be a document or an array", given.word);
        problems.error(&value.at, message);
        return None;
    }
    Some(value)
}

/// A value to compare with.
pub(super) fn comparable(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Constant> {
    let value = constant(given, problems)?;
    if value.kind == kind::REGEX {
        problems.error(&value.at, "a query does not match regular expressions");
        return None;
    }
    Some(value.value)
}

/// A document: a table, or a string of Extended JSON.
pub(super) fn document(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let value = match given.value.get_ref() {
        DeValue::Table(_) => bson(given.value),
        DeValue::String(text) => extended_json(text).map_err(|why| (given.value.span(), why)),
        _ => {
            return given.wrong("a document: a table, or Extended JSON in a string", problems);
        }
    };
    let Bson::Document(document) = reported(value, problems)? else {
        problems.error(&given.value.span(), format!("`{}` is not a document", given.word));
        return None;
    };
    let bytes = document.to_vec().map_err(|error| (given.value.span(), error.to_string()));
    reported(bytes, problems)
}

fn reported<T>(result: Result<T, Failure>, problems: &mut Problems<'_>) -> Option<T> {
    result.map_err(|(at, what)| problems.error(&at, what)).ok()
}

fn extended_json(text: &str) -> Result<Bson, String> {
    serde_json::from_str::<serde_json::Value>(text)
        .map_err(|error| error.to_string())
        .and_then(|json| Bson::try_from(json).map_err(reason))
        .map_err(|why| format!("this is not Extended JSON: {}", why.escape_debug()))
}

/// What an error of the `bson` crate says, without its headings.
fn reason(error: bson::error::Error) -> String {
    error.message.unwrap_or_else(|| error.kind.to_string())
}

fn encoded(value: Bson) -> Result<Constant, String> {
    let mut document = Document::new();
    document.insert("v", value);
    let bytes = document.to_vec().map_err(|error| error.to_string())?;
    // The value follows the length, the type, `v` and its NUL, and precedes one NUL.
    Ok(Constant { kind: bytes[4], bytes: bytes[7..bytes.len() - 1].into() })
}

fn bson(value: &Value<'_>) -> Result<Bson, Failure> {
    let failure = |what: &str| (value.span(), what.to_owned());
    Ok(match value.get_ref() {
        DeValue::String(text) => Bson::String(text.clone().into_owned()),
        DeValue::Boolean(boolean) => Bson::Boolean(*boolean),
        DeValue::Integer(_) => match integer(value) {
            Some(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
            None => return Err(failure("this integer does not fit 64 bits")),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            // TOML has `inf` and `nan`.
            Ok(number) if number.is_finite() || float.as_str().contains('n') => {
                Bson::Double(number)
            }
            _ => return Err(failure("this float is out of range")),
        },
        DeValue::Datetime(date) => Bson::DateTime(bson::DateTime::from_millis(
            milliseconds(date).map_err(|what| failure(&what))?,
        )),
        DeValue::Array(items) => Bson::Array(items.iter().map(bson).collect::<Result<_, _>>()?),
        DeValue::Table(table) => return table_value(value, table),
    })
}

/// A document, or, of a table in a form of Extended JSON, the value that it means.
fn table_value(value: &Value<'_>, table: &DeTable<'_>) -> Result<Bson, Failure> {
    if let Some((key, mark)) = entry(table, "$null") {
        return match mark.get_ref() {
            DeValue::Boolean(true) if table.len() == 1 => Ok(Bson::Null),
            _ => Err((key.span(), "null is written `{ \"$null\" = true }`".to_owned())),
        };
    }
    if table
        .keys()
        .any(|key| key.get_ref().starts_with('$') && FORMS.contains(&key.get_ref().as_ref()))
    {
        return form(value).map_err(|why| {
            let why = format!("this is not Extended JSON: {}", why.escape_debug());
            (value.span(), why)
        });
    }
    let mut document = Document::new();
    for (key, value) in table {
        let name = key.get_ref();
        if name.contains('\0') {
            return Err((key.span(), "a field's name cannot have a NUL character".to_owned()));
        }
        if name.starts_with('$') && !matches!(name.as_ref(), "$ref" | "$id" | "$db") {
            let hint = match nearest(name, FORMS.iter().copied()) {
                Some(near) => format!("; did you mean '{near}'?"),
                None => String::new(),
            };
            return Err((
                key.span(),
                format!("{} is not a form of Extended JSON{hint}", quoted(name)),
            ));
        }
        document.insert(name.as_ref(), bson(value)?);
    }
    Ok(Bson::Document(document))
}

fn form(value: &Value<'_>) -> Result<Bson, String> {
    Bson::try_from(json(value)?).map_err(reason)
}

/// A table in a form of Extended JSON as JSON.
fn json(value: &Value<'_>) -> Result<serde_json::Value, String> {
    Ok(match value.get_ref() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Integer(_) => integer(value).ok_or("an integer does not fit 64 bits")?.into(),
        DeValue::Float(float) => {
            let number = float.as_str().parse::<f64>().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            number.ok_or("a number is not finite; write it as a string")?.into()
        }
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| {
                Ok::<_, String>((key.get_ref().clone().into_owned(), json(value)?))
            });
            serde_json::Value::Object(entries.collect::<Result<_, _>>()?)
        }
    })
}

/// Milliseconds since 1970 of a date with an offset.
fn milliseconds(date: &Datetime) -> Result<i64, String> {
    let (Some(day), Some(time), Some(offset)) = (date.date, date.time, date.offset) else {
        return Err("a date needs a time and an offset, as in 2024-05-27T07:32:00Z".to_owned());
    };
    let nanoseconds = time.nanosecond.unwrap_or_default();
    if nanoseconds % 1_000_000 != 0 {
        return Err("a BSON date has milliseconds: three digits after the seconds".to_owned());
    }
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i32::from(minutes),
    };
    let timestamp = || {
        let local = jiff::civil::DateTime::new(
            i16::try_from(day.year).ok()?,
            i8::try_from(day.month).ok()?,
            i8::try_from(day.day).ok()?,
            i8::try_from(time.hour).ok()?,
            i8::try_from(time.minute).ok()?,
            i8::try_from(time.second.unwrap_or_default()).ok()?,
            i32::try_from(nanoseconds).ok()?,
        );
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).ok()?;
        offset.to_timestamp(local.ok()?).ok()
    };
    timestamp()
        .map(|timestamp| timestamp.as_millisecond())
        .ok_or_else(|| "there is no such date".to_owned())
}
