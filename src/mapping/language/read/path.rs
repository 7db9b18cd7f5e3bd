//! Names, paths, and templates with paths in them.

use std::ops::Range;

use super::super::problem::{Problems, quoted};
use super::super::{At, Part, Path, Template, Unwind};
use super::table::Given;

/// A field's name: one name of a path.
pub(super) fn name(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<At<String>> {
    let text = given.text(problems)?;
    if text.contains('.') {
        let message = format!(
            "{} is not a field's name: it has a dot; write an embedded document as `document`",
            quoted(&text)
        );
        problems.error(&text.at, message);
        return None;
    }
    checked(&text, &text.at, "a field's name", problems, check_name(&text)).map(|()| text)
}

/// A key of a table that names a field.
pub(super) fn key_name(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<At<String>> {
    let name = given.word;
    let check = if name.contains('.') { Err("it has a dot") } else { check_name(name) };
    checked(name, &given.at, "a name", problems, check)?;
    Some(At { at: given.at.clone(), value: name.to_owned() })
}

/// A path without `[]`.
pub(super) fn path(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Path> {
    let text = given.text(problems)?;
    plain(&text, &text.at, problems)
}

/// One path, or a list of them.
pub(super) fn paths(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Path>> {
    super::table::every(&given.one_or_many(problems)?, problems, path)
}

/// A path without `[]` that is this text.
pub(super) fn plain(text: &str, at: &Range<usize>, problems: &mut Problems<'_>) -> Option<Path> {
    let names = checked(text, at, "a path", problems, names(text))?;
    Some(Path { at: at.clone(), names, items: None })
}

/// A path in which `[]` may follow a name once, as in `a[].b`.
pub(super) fn items_path(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Path> {
    let text = given.text(problems)?;
    let Some((array, field)) = text.split_once("[]") else {
        return plain(&text, &text.at, problems);
    };
    let parts = || {
        let field =
            field.strip_prefix('.').ok_or("`[]` needs a field of the items, as in 'a[].b'")?;
        if field.contains("[]") {
            return Err("it has more than one `[]`");
        }
        Ok((names(array)?, names(field)?))
    };
    let (names, items) = checked(&text, &text.at, "a path", problems, parts())?;
    Some(Path { at: text.at, names, items: Some(items) })
}

/// What a target unwinds: a path, with `{}` at the end if a document's entries are meant.
pub(super) fn unwind(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<At<Unwind>> {
    let text = given.text(problems)?;
    let (path, is_map) = match text.strip_suffix("{}") {
        Some(path) => (path, true),
        None => (text.strip_suffix("[]").unwrap_or(&text), false),
    };
    if path.len() == text.len() || is_map {
        let path = plain(path, &text.at, problems)?;
        return Some(At { at: text.at, value: Unwind { path, is_map } });
    }
    let message = format!("`unwind` names the array without `[]`: {}", quoted(path));
    problems.error(&text.at, message);
    None
}

fn names(text: &str) -> Result<Vec<String>, &'static str> {
    text.split('.').map(|name| check_name(name).map(|()| name.to_owned())).collect()
}

/// Whether a path can name this field.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("a name is empty")
    } else if name.contains('\0') {
        Err("a name has a NUL character")
    } else if name.contains("[]") {
        Err("`[]` cannot be in this place")
    } else if name.contains("{}") {
        Err("`{}` cannot be in this place")
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        Err("a number cannot name a field here; such a field travels by `rest`")
    } else {
        Ok(())
    }
}

fn checked<T>(
    text: &str,
    at: &Range<usize>,
    what: &str,
    problems: &mut Problems<'_>,
    result: Result<T, &str>,
) -> Option<T> {
    result.map_err(|why| problems.error(at, format!("{} is not {what}: {why}", quoted(text)))).ok()
}

/// Text with `{…}` in it; `{{` and `}}` are braces.
pub(super) fn template(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Template> {
    let text = given.any_text(problems)?;
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.as_str();
    while let Some(brace) = rest.find(['{', '}']) {
        literal.push_str(&rest[..brace]);
        let after = &rest[brace + 1..];
        if after.as_bytes().first() == Some(&rest.as_bytes()[brace]) {
            literal.push_str(&after[..1]);
            rest = &after[1..];
            continue;
        }
        let inside = rest[brace..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((name, after)) = inside.filter(|(name, _)| !name.contains('{')) else {
            let (one, other) = if rest[brace..].starts_with('{') { ("{", "}") } else { ("}", "{") };
            let message = format!(
                "a `{one}` without a `{other}` in {}; a brace as text is written twice",
                quoted(&text)
            );
            problems.error(&text.at, message);
            return None;
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(part(name, &text.at, problems)?);
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    if parts.is_empty() {
        problems.error(&text.at, format!("`{}` is empty", given.word));
        return None;
    }
    Some(Template { at: text.at, parts })
}

fn part(name: &str, at: &Range<usize>, problems: &mut Problems<'_>) -> Option<Part> {
    if name == "position" {
        return Some(Part::Position);
    }
    match name.strip_prefix("outer.") {
        Some(path) => plain(path, at, problems).map(Part::Outer),
        None => plain(name, at, problems).map(Part::Field),
    }
}
