//! Masks documents: a keyed permutation of values and names, which leaves types, lengths and all that
//! the mapping looks at. A masked document has the length of the original, and its bytes in the same
//! places.

mod dates;
mod key;
mod metadata;
mod numbers;
mod symbols;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use self::dates::Shift;
use self::key::{Key, LEAST_KEY_BYTES, Numbers};
use self::symbols::{Kind, Symbol};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::mapping::{Answers, Known, Plan};
use crate::plain::PlainPath;
use crate::raw::{Elements, Value, kind};

/// A key file is not larger.
const MOST_KEY_BYTES: u64 = 1024 * 1024;
/// So many names of fields are remembered with what replaces them.
const MOST_NAMES: usize = 4096;
/// A longer text is taken for no number and no identifier.
const MOST_FORM_BYTES: usize = 64;
/// A longer text is tried with few candidates.
const LONG_TEXT_BYTES: usize = 4096;
/// A longer text is replaced in pieces, so that it takes little memory. Wherever they end, bytes that are
/// UTF-8 together stay so, and others do not become it.
const PIECE_BYTES: usize = 64 * 1024;

/// Masks documents with a key.
#[derive(Debug)]
pub(super) struct Masker {
    key: Key,
    known: Known,
    shift: Shift,
    /// Names of fields with what replaces them.
    names: RefCell<HashMap<Name, Name>>,
}

type Name = Box<[u8]>;

/// What a text looks like besides letters and signs. What replaces it looks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Iso,
    /// As a program writes it.
    Integer,
    ObjectId,
    Uuid,
    Hex,
    Plain,
}

/// A document or an array that is being masked.
struct Open<'d> {
    elements: Elements<'d>,
    /// Where the next element is in the document.
    at: usize,
    /// The number of the next item of an array.
    item: Option<u64>,
}

impl Masker {
    /// Masks with the key in a file, for a mapping.
    pub fn open(disk: &Disk, path: &Path, plan: &Plan) -> Result<Masker> {
        let bytes = disk
            .read_small_aside(path, MOST_KEY_BYTES)
            .map_err(|error| Error::Usage(format!("the key cannot be used: {error}")))?;
        Masker::new(&bytes, plan).ok_or_else(|| {
            Error::Usage(format!(
                "'{}': a key has at least {LEAST_KEY_BYTES} bytes, this one has {}; make one with `head -c 32 /dev/urandom`",
                path.plain(),
                bytes.len()
            ))
        })
    }

    /// Masks with a key, for a mapping. None if the key is too short.
    pub fn new(key: &[u8], plan: &Plan) -> Option<Masker> {
        let key = Key::new(key)?;
        let shift = Shift::new(&key);
        Some(Masker { key, known: plan.known(), shift, names: RefCell::default() })
    }

    /// Masks a valid document.
    pub fn document(&self, document: &[u8]) -> Vec<u8> {
        let mut masked = document.to_vec();
        let mut open = vec![Open { elements: Elements::new(document), at: 4, item: None }];
        while let Some(here) = open.last_mut() {
            let Some(element) = here.elements.next() else {
                open.pop();
                continue;
            };
            let name_at = here.at + 1;
            let value_at = name_at + element.key_nul().len();
            here.at += element.bytes.len();
            let is_item = here.item.as_mut().is_some_and(|item| {
                *item += 1;
                element.key() == (*item - 1).to_string().as_bytes()
            });
            // An empty name stays, and a document may have millions.
            if !is_item && !element.key().is_empty() {
                put(&mut masked, name_at, &self.name(element.key()));
            }
            let value = element.value();
            let inside = match value.kind {
                kind::DOCUMENT | kind::ARRAY if self.known.has_value(value) => continue,
                kind::DOCUMENT | kind::ARRAY => 0,
                kind::CODE_WITH_SCOPE => {
                    // The size of all, and the code's; then the scope.
                    let code = length_at(value.bytes, 4);
                    put(&mut masked, value_at + 8, &self.code(&value.bytes[8..8 + code]));
                    8 + code
                }
                _ => {
                    put(&mut masked, value_at, &self.value(value));
                    continue;
                }
            };
            open.push(Open {
                elements: Elements::new(&value.bytes[inside..]),
                at: value_at + inside + 4,
                item: (value.kind == kind::ARRAY).then_some(0),
            });
        }
        masked
    }

    /// The bytes that replace those of any value.
    pub fn whole_value(&self, value: Value<'_>) -> Vec<u8> {
        match value.kind {
            kind::DOCUMENT | kind::ARRAY if self.known.has_value(value) => value.bytes.to_vec(),
            kind::DOCUMENT => self.document(value.bytes),
            // Only its type and its size are shown.
            kind::ARRAY | kind::CODE_WITH_SCOPE => value.bytes.to_vec(),
            _ => self.value(value),
        }
    }

    /// What replaces the name of a field.
    pub fn name(&self, name: &[u8]) -> Box<[u8]> {
        if self.known.has_name(name) {
            return name.into();
        }
        if let Some(known) = self.names.borrow().get(name) {
            return known.clone();
        }
        let mut symbols = symbols::read(name, Kind::Name);
        let mut masked = name.to_vec();
        for _ in 0..numbers::CANDIDATES {
            symbols::replace(&self.key, &mut symbols);
            masked = symbols::write(&symbols);
            if !self.known.has_name(&masked) && symbols::is_hex(&masked) == symbols::is_hex(name) {
                break;
            }
        }
        let mut names = self.names.borrow_mut();
        if names.len() < MOST_NAMES {
            names.insert(name.into(), masked.as_slice().into());
        }
        masked.into()
    }

    /// The bytes that replace those of a value that is no document and no array.
    pub fn value(&self, value: Value<'_>) -> Vec<u8> {
        if self.known.has_value(value) {
            return value.bytes.to_vec();
        }
        match value.kind {
            kind::STRING => framed(value.bytes, |text| self.text(text)),
            kind::CODE | kind::SYMBOL => self.code_value(value.bytes),
            kind::INT32 => self.int32(value),
            kind::INT64 => self.int64(value),
            kind::DOUBLE => self.double(value),
            kind::DECIMAL128 => self.decimal(value),
            kind::DATE => self.date(value),
            kind::OBJECT_ID => self.object_id(value),
            kind::TIMESTAMP => self.timestamp(value),
            kind::BINARY => self.binary(value.bytes),
            kind::REGEX => self.regex(value.bytes),
            kind::DB_POINTER => {
                let (name, id) = value.bytes.split_at(value.bytes.len() - 12);
                let id = Value { kind: kind::OBJECT_ID, bytes: id };
                [self.code_value(name), self.object_id(id)].concat()
            }
            // Nothing in them says anything.
            _ => value.bytes.to_vec(),
        }
    }

    /// Whether the mapping makes the same of a value and of what shall replace it.
    fn is_alike(&self, value: Value<'_>, bytes: &[u8]) -> bool {
        let candidate = Value { bytes, ..value };
        !self.known.has_value(candidate)
            && self.known.answers(candidate) == self.known.answers(value)
    }

    fn code_value(&self, bytes: &[u8]) -> Vec<u8> {
        [&bytes[..4], &self.code(&bytes[4..])].concat()
    }

    /// A text with its NUL that no rule looks into.
    fn code(&self, text_nul: &[u8]) -> Vec<u8> {
        let (text, nul) = text_nul.split_at(text_nul.len().saturating_sub(1));
        [&self.replaced(text, Kind::Text), nul].concat()
    }

    fn regex(&self, bytes: &[u8]) -> Vec<u8> {
        let mut parts = bytes.splitn(3, |byte| *byte == 0);
        let (pattern, options) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_usual = options.iter().all(|option| b"ilmsux".contains(option));
        let options = match is_usual {
            true => options.to_vec(),
            false => self.replaced(options, Kind::Text),
        };
        [self.replaced(pattern, Kind::Text).as_slice(), &[0], &options, &[0]].concat()
    }

    fn binary(&self, bytes: &[u8]) -> Vec<u8> {
        // Its length and its subtype; of the oldest, its length again.
        let head = match bytes.get(4) {
            Some(2) => bytes.len().min(9),
            _ => bytes.len().min(5),
        };
        let (head, data) = bytes.split_at(head);
        [head, &self.replaced(data, Kind::Bytes)].concat()
    }

    fn replaced(&self, text: &[u8], kind: Kind) -> Vec<u8> {
        let mut masked = Vec::with_capacity(text.len());
        for piece in text.chunks(PIECE_BYTES) {
            let mut symbols = symbols::read(piece, kind);
            symbols::replace(&self.key, &mut symbols);
            masked.extend(symbols::write(&symbols));
        }
        masked
    }

    /// What replaces a text: an identifier as an identifier of another type would be, and a date as a
    /// date; else, letters and digits.
    fn text(&self, text: &[u8]) -> Vec<u8> {
        let (form, answers) = (form(text), self.answers(text));
        let is_alike = |candidate: &[u8]| self.is_alike_text(candidate, form, &answers);
        if let Some(candidate) = self.of_form(form, text)
            && is_alike(&candidate)
        {
            return candidate;
        }
        let seed = self.key.hash(&[b"refine", text]);
        if let Some((first, _)) = text.split_at_checked(PIECE_BYTES) {
            let masked = self.replaced(text, Kind::Text);
            if is_alike(&masked) {
                return masked;
            }
            // What the mapping looks at in such a text is at its beginning, or is not kept.
            let (masked_first, rest) = masked.split_at(PIECE_BYTES);
            let holds = |first: &[Symbol]| is_alike(&[&symbols::write(first), rest].concat());
            let own = symbols::read(first, Kind::Text);
            if !holds(&own) {
                return masked;
            }
            let first = symbols::read(masked_first, Kind::Text);
            let refined = refine(&own, &first, Numbers::new(seed), holds);
            return [&symbols::write(&refined), rest].concat();
        }
        let symbols = symbols::read(text, Kind::Text);
        let mut candidate = symbols.clone();
        let tries = if text.len() > LONG_TEXT_BYTES { 2 } else { numbers::CANDIDATES };
        for _ in 0..tries {
            symbols::replace(&self.key, &mut candidate);
            let written = symbols::write(&candidate);
            if is_alike(&written) {
                return written;
            }
        }
        symbols::write(&refine(&symbols, &candidate, Numbers::new(seed), |symbols| {
            is_alike(&symbols::write(symbols))
        }))
    }

    fn of_form(&self, form: Form, text: &[u8]) -> Option<Vec<u8>> {
        match form {
            Form::Iso => self.iso(text),
            Form::Integer => {
                let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
                Some(self.integer(number).to_string().into_bytes())
            }
            Form::ObjectId => {
                let bytes = unhex(text)?;
                let id = self.object_id(Value { kind: kind::OBJECT_ID, bytes: &bytes });
                Some(in_case_of(text, &crate::raw::hex(&id)))
            }
            Form::Uuid => {
                let digits: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'-').collect();
                let bytes = self.replaced(&unhex(&digits)?, Kind::Bytes);
                let hex = crate::raw::hex(&bytes);
                let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                Some(in_case_of(text, &groups.join("-")))
            }
            Form::Hex | Form::Plain => None,
        }
    }

    fn answers(&self, text: &[u8]) -> Answers {
        let bytes = string(text);
        self.known.answers(Value { kind: kind::STRING, bytes: &bytes })
    }

    fn is_alike_text(&self, candidate: &[u8], own: Form, answers: &Answers) -> bool {
        let bytes = string(candidate);
        let value = Value { kind: kind::STRING, bytes: &bytes };
        form(candidate) == own
            && !self.known.has_value(value)
            && self.known.answers(value) == *answers
    }
}

/// Of two lists of symbols, as much of the second as leaves `holds` true, which is true of the first:
/// the mapping looks at the rest. For a symbol that cannot be that of the second, others are tried.
fn refine(
    own: &[Symbol],
    masked: &[Symbol],
    mut numbers: Numbers,
    holds: impl Fn(&[Symbol]) -> bool,
) -> Vec<Symbol> {
    let mut now = own.to_vec();
    let mut open = vec![std::ops::Range { start: 0, end: own.len() }];
    while let Some(range) = open.pop() {
        let before = now[range.clone()].to_vec();
        now[range.clone()].copy_from_slice(&masked[range.clone()]);
        if before == masked[range.clone()] || holds(&now) {
            continue;
        }
        now[range.clone()].copy_from_slice(&before);
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            open.extend([middle..range.end, range.start..middle]);
            continue;
        }
        for other in own[range.start].others(&mut numbers) {
            now[range.start] = other;
            if other != own[range.start] && holds(&now) {
                break;
            }
            now[range.start] = own[range.start];
        }
    }
    now
}

fn form(text: &[u8]) -> Form {
    if Plan::iso_millis(text).is_some() {
        return Form::Iso;
    }
    if text.len() <= MOST_FORM_BYTES {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let is_plain = |number: &i64| number.to_string().as_bytes() == text;
        if number.filter(is_plain).is_some_and(numbers::is_exact) {
            return Form::Integer;
        }
        if text.len() == 24 && text.iter().all(u8::is_ascii_hexdigit) {
            return Form::ObjectId;
        }
        let is_uuid = |(at, byte): (usize, &u8)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        if text.len() == 36 && text.iter().enumerate().all(is_uuid) {
            return Form::Uuid;
        }
    }
    if symbols::is_hex(text) { Form::Hex } else { Form::Plain }
}

/// Hexadecimal digits with capital letters, if those of a text are capital.
fn in_case_of(text: &[u8], hex: &str) -> Vec<u8> {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => hex.to_ascii_uppercase().into_bytes(),
        false => hex.as_bytes().to_vec(),
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    digits.chunks_exact(2).map(byte).collect()
}

/// The bytes of a string value.
fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32 + 1).to_le_bytes(), text, &[0]].concat()
}

/// The bytes of a string value with another text of the same length.
fn framed(bytes: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let text = bytes.get(4..bytes.len() - 1).unwrap_or_default();
    string(&change(text))
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    let length = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    length.map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// Replaces bytes by as many others.
fn put(document: &mut [u8], at: usize, bytes: &[u8]) {
    document[at..at + bytes.len()].copy_from_slice(bytes);
}
