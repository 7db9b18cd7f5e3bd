//! The texts that a mapping knows, and the meaning of each.

use crate::raw::head;

/// A few texts, found by their bytes. The first eight bytes are compared as a number, which
/// distinguishes most texts without a call.
#[derive(Debug, Clone)]
pub(super) struct Texts<T>(Vec<(u64, Box<[u8]>, T)>);

impl<T> Default for Texts<T> {
    fn default() -> Self {
        Texts(Vec::new())
    }
}

impl<T> FromIterator<(Box<[u8]>, T)> for Texts<T> {
    fn from_iter<I: IntoIterator<Item = (Box<[u8]>, T)>>(texts: I) -> Self {
        Texts(texts.into_iter().map(|(text, meaning)| (head(&text).0, text, meaning)).collect())
    }
}

impl<T> Texts<T> {
    /// The meaning of a text, if it is one of these.
    #[inline]
    pub fn find(&self, text: &[u8]) -> Option<&T> {
        let (head, _) = head(text);
        let is = |known: &[u8]| {
            known.len() == text.len() && (text.len() <= 8 || known[8..] == text[8..])
        };
        self.0
            .iter()
            .find(|(start, known, _)| *start == head && is(known))
            .map(|(_, _, meaning)| meaning)
    }
    /// Whether the text is one of these, ignoring ASCII case.
    pub fn has_in_any_case(&self, text: &[u8]) -> bool {
        self.0.iter().any(|(_, known, _)| known.eq_ignore_ascii_case(text))
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_all_their_bytes() {
        let all: Vec<String> =
            (0..24).flat_map(|length| ["a", "b"].map(|end| "x".repeat(length) + end)).collect();
        let (known, unknown): (Vec<_>, Vec<_>) =
            all.iter().enumerate().partition(|(number, _)| number % 3 != 0);
        let texts: Texts<usize> =
            known.iter().map(|(number, text)| (text.as_bytes().into(), *number)).collect();
        for (number, text) in known {
            assert_eq!(texts.find(text.as_bytes()), Some(&number));
            assert!(texts.has_in_any_case(text.to_uppercase().as_bytes()));
        }
        for (_, text) in unknown {
            assert_eq!(texts.find(text.as_bytes()), None, "{text}");
        }
        assert_eq!(texts.find(b""), None);
    }
}
