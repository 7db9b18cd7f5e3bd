//! What is wrong with a mapping's text, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::plain::plain;

/// More problems than this are only counted.
const LIMIT: usize = 100;
/// A longer line is cut around the place that a problem marks.
const WIDTH: usize = 70;
/// How much of a cut line precedes the place.
const CONTEXT: usize = 30;

/// Something that is wrong, or remarkable, in a mapping's text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Whether the mapping cannot be used.
    pub severity: Severity,
    /// The name of the file, where the caller has set one.
    pub file: Option<String>,
    /// The number of the line, from 1.
    pub line: usize,
    /// The number of the character in its line, from 1.
    pub column: usize,
    /// The number of characters that are marked, at least 1; a place never spans lines.
    pub length: usize,
    /// What is wrong, and what to do.
    pub message: String,
    /// The line as it is shown: control characters escaped, and cut around the place if it is long.
    pub text: String,
    /// The place in `text`, in characters.
    marked: Range<usize>,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The mapping cannot be used.
    Error,
    /// The mapping can be used, but may not mean what was meant.
    Remark,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.escape_debug())?;
        }
        let severity = if self.severity == Severity::Remark { "remark: " } else { "" };
        writeln!(f, "{}:{}: {severity}{}", self.line, self.column, self.message)?;
        writeln!(f, "{:>5} | {}", self.line, self.text)?;
        let before = self.marked.start;
        write!(f, "{:>5} | {:before$}{}", "", "", "^".repeat(self.marked.len().max(1)))
    }
}

/// Collects problems with a text.
#[derive(Debug)]
pub(in crate::mapping) struct Problems<'t> {
    text: &'t str,
    found: Vec<Found>,
    /// How many were found after [`LIMIT`].
    more: usize,
    errors: bool,
}

#[derive(Debug)]
struct Found {
    severity: Severity,
    at: Range<usize>,
    message: String,
}

impl<'t> Problems<'t> {
    pub fn new(text: &'t str) -> Self {
        Problems { text, found: Vec::new(), more: 0, errors: false }
    }

    /// Adds something for which the mapping cannot be used. `at` is in bytes of the text; a range that
    /// is outside of it marks its end.
    pub fn error(&mut self, at: &Range<usize>, what: impl Into<String>) {
        self.errors = true;
        self.add(Severity::Error, at, what.into());
    }

    /// Adds something that does not keep the mapping from being used.
    pub fn remark(&mut self, at: &Range<usize>, what: impl Into<String>) {
        self.add(Severity::Remark, at, what.into());
    }

    fn add(&mut self, severity: Severity, at: &Range<usize>, message: String) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.found.push(Found { severity, at: at.clone(), message });
        }
    }

    /// Whether further problems are only counted, so that their messages need no work.
    pub fn is_full(&self) -> bool {
        self.found.len() >= LIMIT
    }

    pub fn has_errors(&self) -> bool {
        self.errors
    }

    /// The problems by place; of one place, in the order in which they were found.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        if self.found.is_empty() {
            return Vec::new();
        }
        self.found.sort_by_key(|found| found.at.start);
        let lines = Lines::new(self.text);
        let mut problems: Vec<Problem> =
            self.found.into_iter().map(|found| lines.problem(found)).collect();
        if self.more > 0 {
            let severity = if self.errors { Severity::Error } else { Severity::Remark };
            let end = self.text.len();
            let message = format!("{} more problems are not shown", self.more);
            problems.push(lines.problem(Found { severity, at: end..end, message }));
        }
        problems
    }
}

/// The lines of a text by the position of their first byte.
struct Lines<'t> {
    text: &'t str,
    starts: BTreeMap<usize, usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(after).zip(1..).collect();
        Lines { text, starts }
    }

    fn problem(&self, found: Found) -> Problem {
        let start = floor(self.text, found.at.start);
        let end = floor(self.text, found.at.end).max(start);
        let (&first, &number) =
            self.starts.range(..=start).next_back().expect("the first line starts at 0");
        let line = self.text[first..].split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = (start - first).min(line.len());
        let end = (end - first).clamp(start, line.len());
        let column = line[..start].chars().count();
        let length = line[start..end].chars().count().max(1);
        let (text, marked) = shown(line, column..column + length);
        Problem {
            severity: found.severity,
            file: None,
            line: number,
            column: column + 1,
            length,
            message: plain(&found.message).into_owned(),
            text,
            marked,
        }
    }
}

/// The last position up to `at` where a character starts.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}

/// A line for a terminal, and where in it the characters `place` of the line are.
fn shown(line: &str, place: Range<usize>) -> (String, Range<usize>) {
    let is_long = line.chars().nth(WIDTH).is_some();
    let first = if is_long { place.start.saturating_sub(CONTEXT) } else { 0 };
    let mut text = String::new();
    let mut width = 0;
    if first > 0 {
        text.push('…');
        width = 1;
    }
    let mut marked: Option<Range<usize>> = None;
    let mut rest = line.chars().skip(first);
    for (number, character) in (first..).zip(rest.by_ref().take(WIDTH)) {
        let escaped = printable(character);
        let next = width + escaped.chars().count();
        if place.contains(&number) {
            marked.get_or_insert(width..width).end = next;
        }
        text.push_str(&escaped);
        width = next;
    }
    if rest.next().is_some() {
        text.push('…');
    }
    (text, marked.unwrap_or(width..width + 1))
}

/// A character as a terminal shows it in its place: quotes and backslashes unchanged, tabs, controls
/// and invisible characters escaped.
fn printable(character: char) -> String {
    match character {
        '"' | '\'' | '\\' => character.to_string(),
        _ => character.escape_debug().to_string(),
    }
}

/// What somebody wrote, in quotes, for a message: escaped, and cut if it is long.
pub(in crate::mapping) fn quoted(text: &str) -> String {
    let (text, _) = shown(text, 0..0);
    format!("'{text}'")
}

/// The known word that `word` probably should be: at most a third of its letters differ.
pub(in crate::mapping) fn nearest<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let length = word.chars().count();
    // Nothing is near to a longer one, and comparing it takes long.
    if length > 48 {
        return None;
    }
    let near = |other: &str| {
        let limit = (length.max(other.chars().count()) / 3).max(1);
        let distance = strsim::osa_distance(word, other);
        (distance <= limit && distance < length).then_some(distance)
    };
    known
        .into_iter()
        .filter_map(|other| Some((near(other)?, other)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str, at: Range<usize>) -> Problem {
        let mut problems = Problems::new(text);
        problems.error(&at, "is wrong");
        problems.into_sorted().remove(0)
    }

    #[test]
    fn a_problem_points_at_its_place() {
        let text = "a = 1\nfields = [\n  { name = \"ä\", cpoy = \"b\" },\n]\n";
        let at = text.find("cpoy").unwrap();
        let mut problem = only(text, at..at + 4);
        problem.file = Some("mapping.toml".into());
        assert_eq!(
            problem.to_string(),
            "mapping.toml:3:17: is wrong\n    3 |   { name = \"ä\", cpoy = \"b\" },\n      |                 ^^^^"
        );
        assert_eq!((problem.line, problem.column, problem.length), (3, 17, 4));
    }

    #[test]
    fn control_characters_do_not_move_the_pointer() {
        let problem = only("\t\u{1b}x = 1\r\n", 2..3);
        assert_eq!(
            problem.to_string(),
            "1:3: is wrong\n    1 | \\t\\u{1b}x = 1\n      |         ^"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(1000), "b".repeat(1000));
        let problem = only(&line, 1000..1004);
        assert_eq!(problem.column, 1001);
        let shown: Vec<String> = problem.to_string().lines().map(str::to_owned).collect();
        assert_eq!(shown[1].find('H').map(|at| shown[1][..at].chars().count()), shown[2].find('^'));
        assert!(shown[1].chars().count() < 120 && shown[1].ends_with('…'));
    }

    #[test]
    fn places_outside_of_the_text_and_within_characters_are_moved_into_it() {
        for text in ["", "ä", "a\n", "a\r\n\nä"] {
            for start in 0..10 {
                for end in 0..10 {
                    let problem = only(text, start..end);
                    assert!(problem.length >= 1 && problem.to_string().contains('^'));
                }
            }
        }
    }

    #[test]
    fn problems_are_sorted_and_their_number_is_limited() {
        let mut problems = Problems::new("abc");
        for _ in 0..LIMIT {
            problems.remark(&(2..3), "b");
        }
        assert!(!problems.has_errors());
        problems.error(&(0..1), "a");
        assert!(problems.has_errors());
        let sorted = problems.into_sorted();
        assert_eq!(sorted.len(), LIMIT + 1);
        assert_eq!(sorted[0].to_string(), "1:3: remark: b\n    1 | abc\n      |   ^");
        assert_eq!(sorted[LIMIT].message, "1 more problems are not shown");
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["copy", "const", "coalesce", "id"];
        assert_eq!(nearest("cpoy", known), Some("copy"));
        assert_eq!(nearest("colaesce", known), Some("coalesce"));
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("something", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"c".repeat(1 << 20), known), None);
    }
}
