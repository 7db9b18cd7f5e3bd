//! Takes words out of the file's tables, and values of the types that words take.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::problem::{Problems, nearest, quoted};
use super::super::words::{self, Table};
use super::At;

/// A value of the file, with its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A table of the file: its words are known, and all that it must have are there.
pub(super) struct Words<'a> {
    pub at: Range<usize>,
    pub table: &'static Table,
    entries: &'a DeTable<'a>,
    /// Words that the unknown ones are near to.
    meant: Vec<&'static str>,
}

/// A word that a table has, and its value.
#[derive(Clone)]
pub(super) struct Given<'a> {
    /// As the table has it, for messages.
    pub word: &'a str,
    /// The word's place.
    pub at: Range<usize>,
    pub value: &'a Value<'a>,
}

impl<'a> Words<'a> {
    /// Opens the table that is the value of `word`, and reports the words that it should not have.
    pub fn open(
        value: &'a Value<'a>,
        table: &'static Table,
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let DeValue::Table(entries) = value.get_ref() else {
            let is = type_of(value);
            problems.error(&value.span(), format!("{} is a table, not {is}", table.what));
            return None;
        };
        Some(Self::of(value.span(), entries, table, problems))
    }

    /// Like [`Words::open`], for the file itself.
    pub fn of(
        at: Range<usize>,
        entries: &'a DeTable<'a>,
        table: &'static Table,
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut meant = Vec::new();
        for key in entries.keys() {
            if table.find(key.get_ref()).is_none() && !problems.is_full() {
                let near = nearest(key.get_ref(), table.all().map(|word| word.name));
                problems.error(&key.span(), unknown(key.get_ref(), near, table));
                meant.extend(near);
            }
        }
        let words = Words { at, table, entries, meant };
        for word in table.required.iter().filter(|word| words.is_missing(word)) {
            let about = table.find(word).map_or("", |word| word.about);
            problems.error(&words.at, format!("{} needs `{word}`: {about}", table.what));
        }
        words
    }

    /// Whether a word is not there, not even misspelt.
    pub fn is_missing(&self, word: &str) -> bool {
        entry(self.entries, word).is_none() && !self.meant.contains(&word)
    }

    pub fn get(&self, word: &str) -> Option<Given<'a>> {
        debug_assert!(self.table.find(word).is_some(), "`{word}` is not in the table of words");
        entry(self.entries, word).map(given)
    }

    /// Those of the words that the table has.
    pub fn among(&self, words: &[words::Word]) -> Vec<Given<'a>> {
        words.iter().filter_map(|word| entry(self.entries, word.name)).map(given).collect()
    }

    /// All words that the table has.
    pub fn all(&self) -> impl Iterator<Item = Given<'a>> {
        self.entries.iter().map(given)
    }

    /// The value of a word: `Some(None)` without the word, None if its value is wrong.
    #[allow(clippy::option_option)]
    pub fn optional<'t, T>(
        &self,
        word: &str,
        problems: &mut Problems<'t>,
        read: impl FnOnce(&Given<'a>, &mut Problems<'t>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(word) {
            Some(given) => read(&given, problems).map(Some),
            None => Some(None),
        }
    }

    /// The value of a word that the table must have.
    pub fn required<'t, T>(
        &self,
        word: &str,
        problems: &mut Problems<'t>,
        read: impl FnOnce(&Given<'a>, &mut Problems<'t>) -> Option<T>,
    ) -> Option<T> {
        debug_assert!(self.table.required.contains(&word));
        read(&self.get(word)?, problems)
    }

    /// The values of a word that takes a list; none without the word.
    pub fn list<'t, T>(
        &self,
        word: &str,
        problems: &mut Problems<'t>,
        read: impl FnOnce(&Given<'a>, &mut Problems<'t>) -> Option<Vec<T>>,
    ) -> Option<Vec<T>> {
        self.optional(word, problems, read).map(Option::unwrap_or_default)
    }

    /// The value of a word that takes `true` or `false`; false without the word.
    pub fn flag(&self, word: &str, problems: &mut Problems<'_>) -> Option<bool> {
        self.optional(word, problems, Given::boolean).map(Option::unwrap_or_default)
    }

    /// Whether a word that only takes `true` is there.
    pub fn mark(&self, word: &str, problems: &mut Problems<'_>) -> Option<bool> {
        self.optional(word, problems, Given::only_true).map(|mark| mark.is_some())
    }

    /// Reports a word that means nothing here.
    pub fn refuse(&self, word: &str, why: impl Into<String>, problems: &mut Problems<'_>) {
        if let Some(given) = self.get(word) {
            problems.error(&given.at, why);
        }
    }

    /// Reports all but the first of words that exclude each other.
    pub fn at_most_one(&self, words: &[&str], why: &str, problems: &mut Problems<'_>) {
        let mut found: Vec<_> = words.iter().filter_map(|word| self.get(word)).collect();
        found.sort_by_key(|given| given.at.start);
        for other in found.iter().skip(1) {
            let (first, other_word) = (found[0].word, other.word);
            problems.error(
                &other.at,
                format!("{} has both `{first}` and `{other_word}`: {why}", self.table.what),
            );
        }
    }
}

/// The entry of a word. Tables are small: comparing words is faster than hashing one.
pub(super) fn entry<'a>(
    entries: &'a DeTable<'a>,
    word: &str,
) -> Option<(&'a Spanned<Cow<'a, str>>, &'a Value<'a>)> {
    entries.iter().find(|(key, _)| *key.get_ref() == word)
}

/// An entry of a table.
pub(super) fn given<'a>((key, value): (&'a Spanned<Cow<'a, str>>, &'a Value<'a>)) -> Given<'a> {
    Given { word: key.get_ref(), at: key.span(), value }
}

fn unknown(word: &str, near: Option<&str>, table: &Table) -> String {
    if let ("alternative", "when_missing" | "coalesce") = (table.name, word) {
        return format!("alternatives do not nest; list all of them in the field's `{word}`");
    }
    let shown = quoted(word);
    if let Some(near) = near {
        let is_operator =
            words::OPERATORS.iter().any(|word| word.name == near) && table.find("copy").is_some();
        let kind = if is_operator { "operator" } else { "word" };
        return format!("unknown {kind} {shown}; did you mean '{near}'?");
    }
    let mut elsewhere = words::TABLES.iter().filter(|other| other.find(word).is_some());
    match elsewhere.next() {
        Some(other) => {
            format!("{shown} is a word of {}, and means nothing in {}", other.what, table.what)
        }
        None => format!("{} has no word {shown}", table.what),
    }
}

/// What a value is, for messages.
pub(super) fn type_of(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Given<'a> {
    /// Reports a value of the wrong type.
    pub fn wrong<T>(&self, needs: &str, problems: &mut Problems<'_>) -> Option<T> {
        let is = type_of(self.value);
        problems.error(&self.value.span(), format!("`{}` takes {needs}, not {is}", self.word));
        None
    }

    /// The same word with an item of its list.
    pub fn with(&self, value: &'a Value<'a>) -> Given<'a> {
        Given { value, ..self.clone() }
    }

    pub fn any_text(&self, problems: &mut Problems<'_>) -> Option<At<String>> {
        match self.value.get_ref() {
            DeValue::String(text) => {
                Some(At { at: self.value.span(), value: text.clone().into_owned() })
            }
            _ => self.wrong("a string", problems),
        }
    }

    /// Text that is not empty and has no NUL.
    pub fn text(&self, problems: &mut Problems<'_>) -> Option<At<String>> {
        let text = self.any_text(problems)?;
        if text.is_empty() {
            problems.error(&text.at, format!("`{}` is empty", self.word));
            return None;
        }
        if text.contains('\0') {
            problems.error(&text.at, format!("`{}` has a NUL character", self.word));
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, problems: &mut Problems<'_>) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong("`true` or `false`", problems),
        }
    }

    /// A word that can only be true.
    pub fn only_true(&self, problems: &mut Problems<'_>) -> Option<()> {
        match self.value.get_ref() {
            DeValue::Boolean(true) => Some(()),
            _ => {
                let message = format!("`{}` takes only `true`; leave it out otherwise", self.word);
                problems.error(&self.value.span(), message);
                None
            }
        }
    }

    /// The number of the choice among the names that the word takes.
    pub fn choice(&self, names: &[&'static str], problems: &mut Problems<'_>) -> Option<usize> {
        let text = self.any_text(problems)?;
        let found = names.iter().position(|name| *name == text.value);
        if found.is_none() {
            let choices = listed(names);
            let hint = match nearest(&text, names.iter().copied()) {
                Some(near) if names.len() > 1 => format!("did you mean '{near}'?"),
                _ => format!("it takes {choices}"),
            };
            problems
                .error(&text.at, format!("`{}` cannot be {}; {hint}", self.word, quoted(&text)));
        }
        found
    }

    pub fn number(&self, problems: &mut Problems<'_>) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(_) => integer(self.value).map(|value| value as f64),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => return self.wrong("a number", problems),
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            problems.error(&self.value.span(), format!("`{}` is out of range", self.word));
        }
        number
    }

    /// A number from 0.
    pub fn count(&self, problems: &mut Problems<'_>) -> Option<u64> {
        let count = integer(self.value).and_then(|value| u64::try_from(value).ok());
        if count.is_none() {
            let message = format!("`{}` takes an integer from 0", self.word);
            problems.error(&self.value.span(), message);
        }
        count
    }

    /// The items of a list, which must have at least `least`.
    pub fn list(
        &self,
        of: &str,
        least: usize,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<Given<'a>>> {
        let DeValue::Array(items) = self.value.get_ref() else {
            return self.wrong(&format!("an array of {of}"), problems);
        };
        if items.len() < least {
            problems.error(&self.value.span(), format!("`{}` is empty", self.word));
            return None;
        }
        Some(items.iter().map(|item| self.with(item)).collect())
    }

    /// The items of a list, or the one value.
    pub fn one_or_many(&self, problems: &mut Problems<'_>) -> Option<Vec<Given<'a>>> {
        match self.value.get_ref() {
            DeValue::Array(_) => self.list("values", 1, problems),
            _ => Some(vec![self.clone()]),
        }
    }

    /// The entries of a table of names.
    pub fn entries(&self, needs: &str, problems: &mut Problems<'_>) -> Option<Vec<Given<'a>>> {
        let DeValue::Table(entries) = self.value.get_ref() else {
            return self.wrong(needs, problems);
        };
        Some(entries.iter().map(given).collect())
    }

    /// Reports a key with dots, as in `a.b = 1`: a table within a table, but meant as a path.
    pub fn not_dotted(&self, problems: &mut Problems<'_>) -> Option<()> {
        let DeValue::Table(table) = self.value.get_ref() else { return Some(()) };
        // The parser has no other place for such a table.
        if self.value.span() != self.at {
            return Some(());
        }
        let below = table.keys().next().map_or("…", |key| key.get_ref());
        let path = format!("{}.{below}", self.word);
        problems.error(&self.at, format!("a path is written in quotes: {}", double_quoted(&path)));
        None
    }

    /// Reads each of a list by `item`, even if one fails.
    pub fn each<T>(
        &self,
        of: &str,
        least: usize,
        problems: &mut Problems<'_>,
        item: impl FnMut(&Given<'a>, &mut Problems<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        every(&self.list(of, least, problems)?, problems, item)
    }
}

/// Reads all items, even if one fails.
pub(super) fn every<'a, T>(
    items: &[Given<'a>],
    problems: &mut Problems<'_>,
    mut item: impl FnMut(&Given<'a>, &mut Problems<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    // Not a collecting iterator, which would stop at the first that fails.
    let read: Vec<Option<T>> = items.iter().map(|given| item(given, problems)).collect();
    read.into_iter().collect()
}

/// An integer that fits 64 bits.
pub(super) fn integer(value: &Value<'_>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A key as it is written in quotes, for a message.
fn double_quoted(key: &str) -> String {
    let quoted = quoted(key);
    format!("\"{}\"", &quoted[1..quoted.len() - 1])
}

/// Names for a message: 'a', 'b' or 'c'.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
