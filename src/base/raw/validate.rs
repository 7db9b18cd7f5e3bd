//! Validates documents, without recursion.

use super::MIN_DOCUMENT_BYTES;
use super::fault::{Fault, FaultKind};
use super::kinds::{SIZES, WITH_LENGTH, kind, kind_name, read_length, value_size};
use super::words::{is_ascii, scan_name};

/// Facts about a valid document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Levels of nesting. The document is level 1, and every document, array or code scope in it
    /// adds one.
    pub depth: u32,
    /// The offset, from the start of the document, of the first string or name that is not UTF-8.
    pub invalid_utf8: Option<usize>,
}

/// Checks every length, type and terminator of documents. Reuses its stack between calls.
#[derive(Debug, Default)]
pub struct Validator {
    ends: Vec<usize>,
}

impl Validator {
    /// Checks one document, whose length must be exactly `document.len()`.
    ///
    /// Invalid UTF-8 is not a fault but is reported in [`Facts`], because such values are copied
    /// unchanged. Depth is counted, but not limited.
    pub fn check(&mut self, document: &[u8]) -> Result<Facts, Fault> {
        let fault = |offset, kind| Err(Fault::in_document(offset, kind, document));
        let mut facts = Facts { depth: 1, invalid_utf8: None };
        match read_length(document) {
            Some(length)
                if usize::try_from(length) == Ok(document.len())
                    && document.len() >= MIN_DOCUMENT_BYTES => {}
            Some(length) => return fault(0, FaultKind::DocumentLength(length)),
            None => return fault(0, FaultKind::Truncated { have: document.len() as u64, need: 5 }),
        }
        self.ends.clear();
        let mut end = document.len() - 1;
        if document[end] != 0 {
            return fault(end, FaultKind::NoTerminator(document[end]));
        }
        let mut at = 4;
        loop {
            // `end` is the offset of the innermost document's final NUL, which has been checked.
            if at == end {
                at += 1;
                match self.ends.pop() {
                    None => return Ok(facts),
                    Some(outer) => {
                        end = outer;
                        continue;
                    }
                }
            }
            let kind = document[at];
            if kind == 0 {
                return fault(at, FaultKind::EarlyEnd(end - at));
            }
            let key_at = at + 1;
            // If a name continues after `end`, the offset of its value shows it below.
            let Some((key_len, key_is_ascii)) = scan_name(&document[key_at..]) else {
                return fault(key_at, FaultKind::UnterminatedName);
            };
            if !key_is_ascii {
                note_utf8(&mut facts, document, key_at, key_at + key_len);
            }
            let value_at = key_at + key_len + 1;
            // If a name ends with the document's final NUL, nothing is left for the value.
            if value_at > end {
                return fault(key_at, FaultKind::UnterminatedName);
            }
            // The fast path: most values are numbers and the like, which have a fixed size and no
            // invalid bytes.
            let fixed = SIZES[kind as usize] as usize;
            if fixed < WITH_LENGTH as usize && fixed <= end - value_at && kind != kind::BOOLEAN {
                at = value_at + fixed;
                continue;
            }
            let body = &document[value_at..end];
            // So do most of the others: strings, documents and arrays without a fault.
            let length = read_length(body).and_then(|length| usize::try_from(length).ok());
            if let Some(length) = length {
                if kind == kind::STRING && length > 0 && body.get(3 + length) == Some(&0) {
                    at = value_at + 4 + length;
                    note_utf8(&mut facts, document, value_at + 4, at - 1);
                    continue;
                }
                if matches!(kind, kind::DOCUMENT | kind::ARRAY)
                    && length >= MIN_DOCUMENT_BYTES
                    && body.get(length - 1) == Some(&0)
                {
                    self.enter(&mut facts, &mut end, value_at + length - 1);
                    at = value_at + 4;
                    continue;
                }
            }
            let Some(size) = value_size(kind, body) else {
                return fault(value_at, self.size_fault(kind, body));
            };
            if size > body.len() {
                return fault(
                    value_at,
                    FaultKind::PastEnd {
                        what: kind_name(kind),
                        need: size as i64,
                        have: body.len(),
                    },
                );
            }
            at = value_at + size;
            match kind {
                kind::STRING | kind::CODE | kind::SYMBOL | kind::DB_POINTER => {
                    // A DBPointer is a string followed by 12 bytes.
                    let tail = if kind == kind::DB_POINTER { 12 } else { 0 };
                    if size < 5 + tail {
                        return fault(value_at, FaultKind::EmptyString(kind_name(kind)));
                    }
                    let nul = at - tail - 1;
                    if document[nul] != 0 {
                        return fault(nul, FaultKind::StringTerminator(document[nul]));
                    }
                    note_utf8(&mut facts, document, value_at + 4, nul);
                }
                // Those without a fault have been entered above.
                kind::DOCUMENT | kind::ARRAY if size < MIN_DOCUMENT_BYTES => {
                    return fault(value_at, FaultKind::DocumentLength(size as i32));
                }
                kind::DOCUMENT | kind::ARRAY => {
                    return fault(at - 1, FaultKind::NoTerminator(document[at - 1]));
                }
                kind::BOOLEAN if document[value_at] > 1 => {
                    return fault(value_at, FaultKind::Boolean(document[value_at]));
                }
                kind::BINARY if document[value_at + 4] == 2 => {
                    let inner = read_length(&document[value_at + 5..at])
                        .and_then(|n| usize::try_from(n).ok());
                    if inner.and_then(|n| n.checked_add(4)) != Some(size - 5) {
                        return fault(value_at, FaultKind::InnerLength("binary of subtype 2"));
                    }
                }
                kind::REGEX => note_utf8(&mut facts, document, value_at, at),
                kind::CODE_WITH_SCOPE => {
                    let inner = FaultKind::InnerLength(kind_name(kind));
                    let code = read_length(&document[(value_at + 4).min(at)..at])
                        .and_then(|n| usize::try_from(n).ok());
                    let Some(scope_at) = code.and_then(|n| n.checked_add(value_at + 8)) else {
                        return fault(value_at, inner);
                    };
                    if scope_at == value_at + 8 || scope_at + MIN_DOCUMENT_BYTES > at {
                        return fault(value_at, inner);
                    }
                    if document[scope_at - 1] != 0 {
                        return fault(
                            scope_at - 1,
                            FaultKind::StringTerminator(document[scope_at - 1]),
                        );
                    }
                    if read_length(&document[scope_at..]).and_then(|n| usize::try_from(n).ok())
                        != Some(at - scope_at)
                    {
                        return fault(scope_at, inner);
                    }
                    if document[at - 1] != 0 {
                        return fault(at - 1, FaultKind::NoTerminator(document[at - 1]));
                    }
                    note_utf8(&mut facts, document, value_at + 8, scope_at - 1);
                    self.enter(&mut facts, &mut end, at - 1);
                    at = scope_at + 4;
                }
                _ => {}
            }
        }
    }

    #[inline]
    fn enter(&mut self, facts: &mut Facts, end: &mut usize, inner: usize) {
        self.ends.push(*end);
        *end = inner;
        facts.depth = facts.depth.max(self.ends.len() as u32 + 1);
    }

    #[cold]
    fn size_fault(&self, kind: u8, body: &[u8]) -> FaultKind {
        if kind_name(kind) == kind_name(0) {
            return FaultKind::UnknownType(kind);
        }
        match (kind, read_length(body)) {
            (kind::REGEX, _) => FaultKind::UnterminatedName,
            (_, Some(length)) => FaultKind::PastEnd {
                what: kind_name(kind),
                need: i64::from(length),
                have: body.len(),
            },
            (_, None) => FaultKind::PastEnd { what: kind_name(kind), need: 4, have: body.len() },
        }
    }
}

#[inline]
fn note_utf8(facts: &mut Facts, document: &[u8], from: usize, to: usize) {
    if !is_ascii(document, from, to)
        && facts.invalid_utf8.is_none()
        && std::str::from_utf8(&document[from..to]).is_err()
    {
        facts.invalid_utf8 = Some(from);
    }
}

/// The levels of nesting of a valid document.
pub fn depth(document: &[u8]) -> u32 {
    Validator::default().check(document).map_or(u32::MAX, |facts| facts.depth)
}

/// Decodes the length of a document from its first four bytes.
///
/// Fails if it is smaller than any document or larger than `max_bytes`.
pub fn document_length(bytes: [u8; 4], max_bytes: usize) -> Result<usize, FaultKind> {
    let length = i32::from_le_bytes(bytes);
    match usize::try_from(length) {
        Ok(size) if (MIN_DOCUMENT_BYTES..=max_bytes).contains(&size) => Ok(size),
        _ => Err(FaultKind::DocumentLength(length)),
    }
}
