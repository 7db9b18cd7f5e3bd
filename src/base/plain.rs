//! Shows text from dumps, file names and command lines without what steers a terminal, turns the direction of writing
//! or begins a line of its own. It is escaped as in Rust (`\u{1b}`), in JSON as JSON has it.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Whether a character is shown as it is: neither a control character nor one that turns the direction of writing,
/// separates lines, or is not allowed in HTML.
pub fn is_plain(letter: char) -> bool {
    !(letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
}

/// A name or a value, in one line.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, is_plain, |shown, letter| shown.extend(letter.escape_debug()))
}

/// A message, which may have several lines.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    let stays = |letter| letter == '\n' || is_plain(letter);
    escaped(text, stays, |shown, letter| shown.extend(letter.escape_debug()))
}

/// JSON, which stays what it is: such characters can only be in its strings.
pub fn plain_json(text: &str) -> Cow<'_, str> {
    let stays = |letter| letter == '\n' || is_plain(letter);
    escaped(text, stays, |shown, letter| {
        let _ = write!(shown, "\\u{:04x}", u32::from(letter));
    })
}

/// A text as a string of JSON.
pub fn json_string(text: &str) -> String {
    plain_json(&serde_json::Value::from(text).to_string()).into_owned()
}

fn escaped(
    text: &str,
    stays: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match stays(letter) {
            true => shown.push(letter),
            false => escape(&mut shown, letter),
        }
    }
    Cow::Owned(shown)
}

/// Paths in messages.
pub trait PlainPath {
    /// The path in one line. What is not UTF-8 is shown as `�`.
    fn plain(&self) -> String;
}

impl PlainPath for Path {
    fn plain(&self) -> String {
        plain(&self.to_string_lossy()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let hostile = "é\u{1b}[31m\u{9b}\u{7f}\u{202e}\u{2028}\r\n\t.";
        let shown = r"é\u{1b}[31m\u{9b}\u{7f}\u{202e}\u{2028}\r\n\t.";
        assert_eq!(plain(hostile), shown);
        assert_eq!(Path::new(hostile).plain(), shown);
        assert_eq!(plain_lines("a\nb\r"), "a\nb\\r");
        assert_eq!(plain("ö 例 \\ '"), "ö 例 \\ '");
        let json = serde_json::Value::from(hostile).to_string();
        let shown = plain_json(&json);
        assert!(shown.chars().all(is_plain), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), hostile);
    }
}
