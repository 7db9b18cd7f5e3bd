//! The path of fields to a place in a document that need not be sound.

use super::kinds::{kind, read_length, value_size};
use super::words::nul_position;

/// A longer path is cut in the middle.
const LONGEST: usize = 120;
/// A longer name is cut.
const LONGEST_NAME: usize = 40;

/// The path of names down to the element that holds the byte at `offset`, as in `a.b[2].c`: the items
/// of arrays by their position, names escaped. Nothing if the walk does not get there, or if the byte
/// belongs to the document itself.
///
/// It is bounded in length, whatever the document's depth.
pub fn path_at(document: &[u8], offset: usize) -> Option<String> {
    let mut path = Path::default();
    let mut in_array = false;
    let (mut at, mut position) = (4, 0);
    loop {
        let kind = *document.get(at)?;
        if kind == 0 || at >= offset {
            break;
        }
        let name = document.get(at + 1..)?;
        let name = &name[..nul_position(name)?];
        let value_at = at + 1 + name.len() + 1;
        // A fault in a name is one of the document that the name is in.
        if offset < value_at {
            break;
        }
        // Without a size, the fault is here or the walk ends here.
        let size = value_size(kind, document.get(value_at..)?);
        let end = size.and_then(|size| value_at.checked_add(size));
        if let Some(end) = end.filter(|end| *end <= offset) {
            (at, position) = (end, position + 1);
            continue;
        }
        path.enter(name, in_array.then_some(position));
        let inner = match kind {
            kind::DOCUMENT | kind::ARRAY => Some(value_at),
            kind::CODE_WITH_SCOPE => scope_at(document, value_at),
            _ => None,
        };
        // The length and the final NUL are the value's own.
        let Some(inner) = inner.filter(|inner| offset >= inner + 4) else { break };
        if end.is_none_or(|end| offset + 1 >= end) {
            break;
        }
        in_array = kind == kind::ARRAY;
        (at, position) = (inner + 4, 0);
    }
    path.text()
}

/// The offset of a code's scope.
fn scope_at(document: &[u8], value_at: usize) -> Option<usize> {
    let length = usize::try_from(read_length(document.get(value_at + 4..)?)?).ok()?;
    (value_at + 8).checked_add(length)
}

#[derive(Default)]
struct Path {
    /// The first part.
    head: String,
    /// What does not fit into it, as far as it is the last.
    last: Option<String>,
}

impl Path {
    fn enter(&mut self, name: &[u8], position: Option<usize>) {
        let part = match position {
            Some(position) => format!("[{position}]"),
            None => shown(name),
        };
        let dot = if position.is_some() || self.head.is_empty() { "" } else { "." };
        if self.last.is_none() && self.head.len() + part.len() <= LONGEST {
            self.head += dot;
            self.head += &part;
        } else {
            self.last = Some(part);
        }
    }
    fn text(self) -> Option<String> {
        let Path { head, last } = self;
        match last {
            Some(last) => Some(format!("{head} … {last}")),
            None => Some(head).filter(|head| !head.is_empty()),
        }
    }
}

/// A name, escaped. No more of it is looked at than is shown.
fn shown(name: &[u8]) -> String {
    let name = &name[..name.len().min(4 * (LONGEST_NAME + 2))];
    let name = String::from_utf8_lossy(name).escape_debug().to_string();
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name,
    }
}
