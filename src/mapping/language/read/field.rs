//! Fields, and the operators that compute their values.

use toml::de::DeValue;

use super::super::problem::Problems;
use super::super::words::{
    ALTERNATIVE, CONVERT, FIELD, LET, MERGE, OPERATORS, SPREAD, TRANSLATION,
};
use super::super::{
    At, Back, Conversion, Expression, Operator, Path, Row, Template, Translation, Type,
};
use super::constant::{constant, scalar};
use super::must::{must, only};
use super::path::{items_path, name, path, template};
use super::query::query;
use super::table::{Given, Words};

/// The rows of a list.
pub(super) fn fields(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Row>> {
    given.each("fields", 1, problems, field)
}

fn field(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Row> {
    let words = Words::open(given.value, &FIELD, problems)?;
    let is_spread = words.get("spread").is_some();
    check_name(&words, is_spread, problems);
    check_fallbacks(&words, problems);
    let name = words.optional("name", problems, name);
    let note = words.optional("note", problems, Given::any_text);
    let if_missing = words.optional("if_missing", problems, constant);
    let if_null = words.optional("if_null", problems, constant);
    let or_null = words.mark("or_null", problems);
    let must = words.optional("must", problems, must);
    let back = words.optional("back", problems, back);
    let merge = words.optional("merge", problems, |given, problems| given.choice(MERGE, problems));
    let alternatives = alternatives(&words, problems);
    let value = expression(&words, problems);
    let (when_missing, coalesce) = alternatives?;
    let name = name?;
    if name.is_some() == is_spread {
        return None;
    }
    Some(Row {
        at: words.at,
        name,
        value: value?,
        when_missing,
        coalesce,
        if_missing: if_missing?,
        if_null: if_null?,
        or_null: or_null?,
        must: must?,
        back: back?.unwrap_or(Back::Default),
        newest: merge?.is_some(),
        note: note?.map(|note| note.value),
    })
}

fn check_name(words: &Words<'_>, is_spread: bool, problems: &mut Problems<'_>) {
    if !is_spread {
        if words.is_missing("name") {
            problems.error(&words.at, "a field needs `name`");
        }
        return;
    }
    words.refuse(
        "name",
        "`spread` has no `name`: it writes the fields under their own names",
        problems,
    );
    let is_known = |word: &str| {
        matches!(word, "name" | "note")
            || OPERATORS.iter().chain(SPREAD).any(|known| known.name == word)
    };
    for given in
        words.all().filter(|given| FIELD.find(given.word).is_some() && !is_known(given.word))
    {
        problems.error(&given.at, format!("`{}` means nothing with `spread`", given.word));
    }
}

/// Reports values for the same case.
fn check_fallbacks(words: &Words<'_>, problems: &mut Problems<'_>) {
    let why =
        "they say different things of a missing value (`if_null` is for missing and for null)";
    words.at_most_one(&["if_missing", "if_null", "or_null"], why, problems);
    let is_constant = words.get("const").is_some() || words.get("null").is_some();
    if !is_constant || words.get("when").is_some() {
        return;
    }
    for word in ["when_missing", "if_missing", "or_null"] {
        words.refuse(
            word,
            format!("`{word}` means nothing here: a constant is never missing"),
            problems,
        );
    }
}

fn back(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Back> {
    match given.value.get_ref() {
        DeValue::Boolean(false) => Some(Back::Never),
        DeValue::String(_) => name(given, problems).map(Back::Name),
        _ => given.wrong("a name, or `false`", problems),
    }
}

/// A value of `[let]`.
pub(super) fn let_value(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    let words = Words::open(given.value, &LET, problems)?;
    let alternatives = alternatives(&words, problems);
    let value = with_operator(&words, problems);
    let (when_missing, coalesce) = alternatives?;
    Some(Expression { when_missing, coalesce, ..value? })
}

fn alternative(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    let words = Words::open(given.value, &ALTERNATIVE, problems)?;
    with_operator(&words, problems)
}

/// The values of `when_missing` and of `coalesce`.
fn alternatives(
    words: &Words<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Vec<Expression>, Vec<Expression>)> {
    let list = |given: &Given<'_>, problems: &mut Problems<'_>| {
        given.each("alternatives", 1, problems, alternative)
    };
    let when_missing = words.list("when_missing", problems, list);
    let coalesce = words.list("coalesce", problems, list);
    Some((when_missing?, coalesce?))
}

/// An expression that has no field's name to copy by.
fn with_operator(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    if OPERATORS.iter().all(|operator| words.is_missing(operator.name)) {
        let what = words.table.what;
        problems.error(&words.at, format!("{what} needs an operator, as in {{ copy = \"a.b\" }}"));
    }
    expression(words, problems).filter(|expression| expression.operator.is_some())
}

fn expression(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    let operator = the_operator(words, problems);
    check_modifiers(words, operator.as_ref().map(Option::as_ref), problems);
    let only = words.optional("type", problems, only);
    let when = words.optional("when", problems, query);
    let convert = conversion(words, problems);
    let translate = words.list("translate", problems, |given, problems| {
        given.each("translations", 1, problems, translation)
    });
    let keep = words.optional("keep", problems, path);
    let shape = words.optional("shape", problems, Given::text);
    Some(Expression {
        at: words.at.clone(),
        operator: operator?,
        only: only?,
        when: when?,
        convert: convert?,
        translate: translate?,
        keep: keep?,
        shape: shape?,
        when_missing: Vec::new(),
        coalesce: Vec::new(),
    })
}

/// The operator that the table has; `Some(None)` without one.
#[allow(clippy::option_option)]
fn the_operator(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Option<Operator>> {
    let every = words.flag("every", problems);
    let mut given = words.among(OPERATORS);
    if words.table.find("spread").is_some() {
        given.extend(words.among(SPREAD));
    }
    given.sort_by_key(|given| given.at.start);
    if let [first, second, ..] = &given[..] {
        problems.error(
            &second.at,
            format!(
                "{} has both `{}` and `{}`; it can have one operator",
                words.table.what, first.word, second.word
            ),
        );
    }
    let read: Vec<_> =
        given.iter().map(|given| operator(given, every.unwrap_or_default(), problems)).collect();
    every?;
    match <[_; 1]>::try_from(read) {
        Ok([operator]) => operator.map(Some),
        Err(read) => read.is_empty().then_some(None),
    }
}

fn operator(given: &Given<'_>, every: bool, problems: &mut Problems<'_>) -> Option<Operator> {
    Some(match given.word {
        "copy" if given.value.get_ref().is_array() => {
            Operator::First(given.each("paths and tables", 1, problems, copied)?)
        }
        "copy" if given.value.get_ref().is_str() => {
            Operator::Copy { path: items_path(given, problems)?, every }
        }
        "copy" => return given.wrong("a path, or a list of paths and tables", problems),
        "each" => Operator::Each(path(given, problems)?),
        "value" => Operator::Let(given.text(problems)?),
        "text" => Operator::Text(path(given, problems)?),
        "template" => Operator::Template(template(given, problems)?),
        "const" => Operator::Constant(constant(given, problems)?.value),
        "null" => {
            given.only_true(problems)?;
            Operator::Constant(super::super::Constant::null())
        }
        "document" => Operator::Document(fields(given, problems)?),
        "size" => Operator::Size(path(given, problems)?),
        "not_empty" => Operator::NotEmpty(path(given, problems)?),
        "rest" => Operator::Rest(rest(given, problems)?),
        "spread" => Operator::Spread(rest(given, problems)?),
        "outer" => Operator::Outer(path(given, problems)?),
        "position" => {
            given.only_true(problems)?;
            Operator::Position
        }
        "uuid5" => Operator::Uuid5(uuid_parts(given, problems)?),
        word => unreachable!("`{word}` is in the table of operators"),
    })
}

/// An item of `copy`'s list: a path, or a table.
fn copied(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Expression> {
    match given.value.get_ref() {
        DeValue::String(_) => {
            let path = items_path(given, problems)?;
            Some(Expression::of(given.value.span(), Operator::Copy { path, every: false }))
        }
        DeValue::Table(_) => {
            let expression = alternative(given, problems)?;
            if matches!(expression.operator, Some(Operator::First(_))) {
                problems.error(&expression.at, "a list within `copy`'s list; make it one list");
                return None;
            }
            Some(expression)
        }
        _ => given.wrong("paths and tables in its list", problems),
    }
}

/// The path of `rest` and `spread`; `Some(None)` for this record.
#[allow(clippy::option_option)]
fn rest(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Option<Path>> {
    match given.value.get_ref() {
        DeValue::String(text) if text == "." => Some(None),
        _ => path(given, problems).map(Some),
    }
}

fn uuid_parts(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Template>> {
    given.each("templates, as in [\"{_id}\", \"{position}\"]", 1, problems, template)
}

/// Reports modifiers that mean nothing with the operator. `operator` is None if it is wrong itself.
#[allow(clippy::option_option)]
fn check_modifiers(
    words: &Words<'_>,
    operator: Option<Option<&Operator>>,
    problems: &mut Problems<'_>,
) {
    if words.get("convert").is_none() {
        words.refuse("format", "`format` needs `convert = \"date\"` or `\"string\"`", problems);
    }
    if words.get("translate").is_none() {
        words.refuse("keep", "`keep` needs `translate`", problems);
    }
    let Some(operator) = operator else { return };
    let goes_through_items =
        matches!(operator, Some(Operator::Copy { path, .. }) if path.items.is_some());
    if !goes_through_items {
        words.refuse("every", "`every` needs `copy` with `[]` in its path", problems);
    }
    if operator.is_some_and(|operator| !operator.can_have_shape()) {
        let word = words.among(OPERATORS).first().map_or("", |given| given.word);
        let why =
            format!("`shape` means nothing with `{word}`: it yields no document of the source");
        words.refuse("shape", why, problems);
    }
}

impl Operator {
    /// Whether it yields values of the source as they are, which documents can be among.
    fn can_have_shape(&self) -> bool {
        matches!(
            self,
            Operator::Copy { .. }
                | Operator::First(_)
                | Operator::Each(_)
                | Operator::Let(_)
                | Operator::Outer(_)
        )
    }
}

#[allow(clippy::option_option)]
fn conversion(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Option<At<Conversion>>> {
    let to = words.optional("convert", problems, |given, problems| {
        given.choice(CONVERT, problems).map(|number| (given.at.clone(), TYPES[number]))
    });
    let formats = words.list("format", problems, |given, problems| {
        super::table::every(&given.one_or_many(problems)?, problems, Given::text)
    });
    let (to, formats) = (to?, formats?);
    let Some((at, to)) = to else { return Some(None) };
    if !matches!(to, Type::Date | Type::String) && !formats.is_empty() {
        words.refuse("format", "`format` needs `convert = \"date\"` or `\"string\"`", problems);
        return None;
    }
    let formats = formats.into_iter().map(|format| format.value).collect();
    Some(Some(At { at, value: Conversion { to, formats } }))
}

/// The types that [`CONVERT`] names.
const TYPES: [Type; CONVERT.len()] = [
    Type::Date,
    Type::ObjectId,
    Type::String,
    Type::Int,
    Type::Long,
    Type::Double,
    Type::Decimal,
    Type::Bool,
];

fn translation(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Translation> {
    let words = Words::open(given.value, &TRANSLATION, problems)?;
    let from = words.required("from", problems, |given, problems| {
        super::table::every(&given.one_or_many(problems)?, problems, scalar)
    });
    let to = words.required("to", problems, scalar);
    Some(Translation { from: from?, to: to? })
}
