//! Reads a mapping's text.

mod constant;
mod field;
mod must;
mod path;
mod query;
mod table;
mod target;
#[cfg(test)]
pub(super) mod tests;

use toml::de::{DeTable, DeValue};
use toml_parser::lexer::TokenKind;

use super::problem::Problems;
use super::words::{ASSESS, MAPPING, TEST, UNMATCHED};
use super::{At, Expression, Mapping, Path, Test, Unmatched};
use table::{Given, Value, Words, every, given};

/// Larger texts are refused, as the journal's header must hold them.
const MAX_BYTES: usize = 1 << 20;
/// Values that nest deeper are refused.
const MAX_DEPTH: usize = 80;
/// A key with more dots is refused before it is parsed: each makes a table within a table, and these
/// are dropped by recursion.
const MAX_DOTS: usize = 16;

/// Whether a mapping's tests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) enum Tests {
    Read,
    /// They are not needed, and the text was read with them before.
    Skip,
}

/// Reads a mapping, and reports all that is wrong with it. None if there are errors.
pub(in crate::mapping) fn read(
    text: &str,
    tests: Tests,
    problems: &mut Problems<'_>,
) -> Option<Mapping> {
    check_text(text, problems)?;
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let end = text.len()..text.len();
        problems.error(&error.span().unwrap_or(end), format!("not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return None;
    }
    let root = root.into_inner();
    check_depth(&root, problems)?;
    check_format(&root, problems)?;
    let mapping = mapping(&Words::of(0..0, &root, &MAPPING, problems), tests, problems);
    mapping.filter(|_| !problems.has_errors())
}

/// Reports texts that could not be parsed in bounded time and space.
fn check_text(text: &str, problems: &mut Problems<'_>) -> Option<()> {
    if text.len() > MAX_BYTES {
        let message = format!("a mapping has at most 1 MiB; this one has {} bytes", text.len());
        problems.error(&(0..0), message);
        return None;
    }
    // Only a line with so many dots can have such a key, and few texts have one.
    let dotted = |line: &str| line.matches('.').count() > MAX_DOTS;
    if !text.lines().any(dotted) {
        return Some(());
    }
    let mut dots = 0;
    for token in toml_parser::Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot => dots += 1,
            TokenKind::Whitespace | TokenKind::Atom => {}
            TokenKind::BasicString | TokenKind::LiteralString => {}
            TokenKind::MlBasicString | TokenKind::MlLiteralString => {}
            _ => dots = 0,
        }
        if dots > MAX_DOTS {
            let at = token.span().start()..token.span().end();
            problems.error(&at, format!("a key has more than {MAX_DOTS} dots"));
            return None;
        }
    }
    Some(())
}

fn check_depth(root: &DeTable<'_>, problems: &mut Problems<'_>) -> Option<()> {
    let deep = root.values().find_map(|value| too_deep(value, MAX_DEPTH));
    if let Some(value) = deep {
        problems.error(&value.span(), format!("this nests more than {MAX_DEPTH} levels deep"));
    }
    deep.is_none().then_some(())
}

/// A value that is more than `levels` deep in this one.
fn too_deep<'v, 'a>(value: &'v Value<'a>, levels: usize) -> Option<&'v Value<'a>> {
    if levels == 0 {
        return Some(value);
    }
    match value.get_ref() {
        DeValue::Array(items) => items.iter().find_map(|item| too_deep(item, levels - 1)),
        DeValue::Table(table) => table.values().find_map(|item| too_deep(item, levels - 1)),
        _ => None,
    }
}

/// Whether the text is of this format. A text of another is not read further: all of it would be wrong.
fn check_format(root: &DeTable<'_>, problems: &mut Problems<'_>) -> Option<()> {
    let Some(entry) = table::entry(root, "format") else {
        problems.error(&(0..0), "the mapping needs `format = 2`");
        return None;
    };
    let given = given(entry);
    match table::integer(given.value) {
        Some(2) => return Some(()),
        Some(1) => problems.error(
            &given.value.span(),
            "format 1 was never released, and is not read; docs/MAPPING.md describes format 2",
        ),
        Some(other) => problems.error(
            &given.value.span(),
            format!("format {other} is unknown to this version, which reads format 2"),
        ),
        None => given.wrong("the number 2", problems).unwrap_or_default(),
    }
    None
}

fn mapping(words: &Words<'_>, tests: Tests, problems: &mut Problems<'_>) -> Option<Mapping> {
    let name = words.required("name", problems, Given::text);
    let version = words.required("version", problems, Given::text);
    let source = words.required("source", problems, Given::text);
    let key = words.required("key", problems, path::name);
    let drop = words.list("drop", problems, dropped);
    let unmatched = words.optional("unmatched", problems, |given, problems| {
        given.choice(UNMATCHED, problems).map(|number| UNMATCHED_WORDS[number])
    });
    let lets = words.list("let", problems, lets);
    let targets = words.required("target", problems, |given, problems| {
        given.each("targets, each written `[[target]]`", 1, problems, target::target)
    });
    let shapes = words.list("shape", problems, |given, problems| {
        let needs = "tables by names, each written `[shape.NAME]`";
        every(&given.entries(needs, problems)?, problems, target::shape)
    });
    let tests = words.list("test", problems, |given, problems| match tests {
        Tests::Read => given.each("tests, each written `[[test]]`", 0, problems, test),
        Tests::Skip => Some(Vec::new()),
    });
    let assess = words.list("assess", problems, assess);
    Some(Mapping {
        name: name?,
        version: version?,
        source: source?,
        key: key?,
        drop: drop?,
        unmatched: unmatched?.unwrap_or(Unmatched::Fail),
        lets: lets?,
        targets: targets?,
        shapes: shapes?,
        tests: tests?,
        assess: assess?,
    })
}

/// What the words of [`UNMATCHED`] mean.
const UNMATCHED_WORDS: [Unmatched; UNMATCHED.len()] = [Unmatched::Fail, Unmatched::Journal];

/// A path, or a list of paths, which may be empty.
fn many_paths(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Path>> {
    match given.value.get_ref() {
        DeValue::Array(_) => given.each("paths", 0, problems, path::path),
        _ => path::path(given, problems).map(|path| vec![path]),
    }
}

/// Paths, of which some may be in the items of an array.
fn dropped(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Path>> {
    match given.value.get_ref() {
        DeValue::Array(_) => given.each("paths", 0, problems, path::items_path),
        _ => path::items_path(given, problems).map(|path| vec![path]),
    }
}

fn lets(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<(At<String>, Expression)>> {
    let entries = given.entries("a table of names, each with an operator", problems)?;
    every(&entries, problems, |given, problems| {
        let name = path::key_name(given, problems);
        if matches!(given.word, "outer" | "position") {
            let message = format!("`{}` has a meaning of its own in templates", given.word);
            problems.error(&given.at, message);
        }
        let value = field::let_value(given, problems);
        Some((name?, value?))
    })
}

fn assess(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<(At<String>, Vec<Path>)>> {
    let words = Words::open(given.value, &ASSESS, problems)?;
    let known: Vec<_> = words.all().filter(|given| ASSESS.find(given.word).is_some()).collect();
    every(&known, problems, |given, problems| {
        let word = At { at: given.at.clone(), value: given.word.to_owned() };
        Some((word, many_paths(given, problems)?))
    })
}

fn test(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Test> {
    let words = Words::open(given.value, &TEST, problems)?;
    let name = words.optional("name", problems, Given::text);
    let given = words.required("given", problems, constant::document);
    let expect = words.optional("expect", problems, |given, problems| {
        let entries = given.entries("a table of targets, each with its documents", problems)?;
        every(&entries, problems, |given, problems| {
            let target = At { at: given.at.clone(), value: given.word.to_owned() };
            let documents = given.each("documents", 0, problems, constant::document)?;
            Some((target, documents))
        })
    });
    Some(Test { at: words.at, name: name?.map(|name| name.value), given: given?, expect: expect? })
}
