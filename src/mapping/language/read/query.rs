//! Conditions on documents, in MongoDB's words.

use toml::de::DeValue;

use super::super::problem::{Problems, nearest, quoted};
use super::super::words::{COMPARISONS, FORMS, KINDS, OTHER_KINDS, QUERY};
use super::super::{Comparison, Condition, Kinds, Query};
use super::constant::comparable;
use super::path::{path, paths, plain};
use super::table::{Given, every, given};

/// A query that has at least one condition.
pub(super) fn query(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Query> {
    let entries = given.entries("a query: a table of fields and their values", problems)?;
    if entries.is_empty() {
        let message = "an empty query always holds; leave it out";
        problems.error(&given.value.span(), message);
        return None;
    }
    let all = every(&entries, problems, condition)?;
    Some(Query { at: given.value.span(), all })
}

fn condition(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Condition> {
    Some(match given.word {
        "$or" => Condition::Or(given.each("queries", 1, problems, query)?),
        "$nor" => Condition::Nor(given.each("queries", 1, problems, query)?),
        "any_set" => Condition::AnySet(paths(given, problems)?),
        "not_empty" => Condition::NotEmpty(path(given, problems)?),
        word if word.starts_with('$') => {
            problems.error(&given.at, unknown(word));
            return None;
        }
        _ => field(given, problems)?,
    })
}

fn unknown(word: &str) -> String {
    let shown = quoted(word);
    if word == "$and" {
        return "there is no `$and`: all conditions of a query hold together".to_owned();
    }
    if COMPARISONS.iter().any(|known| known.name == word) {
        return format!("{shown} compares a field: write `field = {{ \"{word}\" = … }}`");
    }
    match nearest(word, QUERY.iter().map(|word| word.name)) {
        Some(near) => format!("unknown operator {shown}; did you mean '{near}'?"),
        None => format!("unknown operator {shown}; a query has fields, '$or' and '$nor'"),
    }
}

fn field(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Condition> {
    given.not_dotted(problems)?;
    let path = plain(given.word, &given.at, problems);
    let comparisons = match comparisons_of(given) {
        Some(comparisons) => every(&comparisons, problems, comparison),
        None => comparable(given, problems).map(|value| vec![Comparison::Equal(value)]),
    };
    Some(Condition::Field(path?, comparisons?))
}

/// The entries of a table of comparisons. None of any other value: it is one to be equal to.
fn comparisons_of<'a>(word: &Given<'a>) -> Option<Vec<Given<'a>>> {
    let DeValue::Table(table) = word.value.get_ref() else { return None };
    let is_value = |key: &str| FORMS.contains(&key) || matches!(key, "$ref" | "$id" | "$db");
    let keys = || table.keys().map(|key| key.get_ref().as_ref());
    if keys().any(is_value) || !keys().any(|key| key.starts_with('$')) {
        return None;
    }
    Some(table.iter().map(given).collect())
}

fn comparison(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Comparison> {
    let one = comparable;
    let many = |given: &Given<'_>, problems: &mut Problems<'_>| {
        given.each("values", 0, problems, comparable)
    };
    Some(match given.word {
        "$eq" => Comparison::Equal(one(given, problems)?),
        "$ne" => Comparison::NotEqual(one(given, problems)?),
        "$in" => Comparison::In(many(given, problems)?),
        "$nin" => Comparison::NotIn(many(given, problems)?),
        "$exists" => Comparison::Exists(given.boolean(problems)?),
        "$type" => Comparison::Type(kinds(given, problems)?),
        "$gt" => Comparison::Greater(one(given, problems)?),
        "$gte" => Comparison::GreaterOrEqual(one(given, problems)?),
        "$lt" => Comparison::Less(one(given, problems)?),
        "$lte" => Comparison::LessOrEqual(one(given, problems)?),
        word => {
            let known = COMPARISONS.iter().map(|word| word.name);
            let hint = match nearest(word, known.clone()) {
                Some(near) => format!("did you mean '{near}'?"),
                None if word.starts_with('$') => {
                    format!("known are {}", known.collect::<Vec<_>>().join(", "))
                }
                None => "fields and comparisons do not mix in one table".to_owned(),
            };
            problems.error(&given.at, format!("unknown comparison {}; {hint}", quoted(word)));
            return None;
        }
    })
}

/// The name of a BSON type, or a list of them.
pub(super) fn kinds(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Kinds> {
    let names: Vec<&'static str> = KINDS.iter().map(|(name, _)| *name).collect();
    let sets = every(&given.one_or_many(problems)?, problems, |given, problems| {
        let DeValue::String(_) = given.value.get_ref() else {
            return given.wrong("the name of a BSON type, or a list of names", problems);
        };
        let text = given.text(problems)?;
        let found = names.iter().position(|name| *name == text.value);
        if found.is_none() {
            let other = OTHER_KINDS.iter().find(|(other, _)| *other == text.value);
            let near = other.map(|(_, meant)| *meant);
            let hint = match near.or_else(|| nearest(&text, names.iter().copied())) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known are {}", names.join(", ")),
            };
            problems.error(&text.at, format!("unknown BSON type {}; {hint}", quoted(&text)));
        }
        Some(KINDS[found?].1)
    })?;
    Some(Kinds::of(sets.into_iter().flatten().copied()))
}
