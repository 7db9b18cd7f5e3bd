//! Targets and shapes, with what belongs to them.

use std::ops::Range;

use super::super::problem::Problems;
use super::super::words::{INDEX, ORDER, REQUIREMENT, SHAPE, TARGET};
use super::super::{At, Filter, Index, Order, Requirement, Rest, Shape, Target};

use super::field::fields;
use super::path::{key_name, name, plain, unwind};
use super::query::query;
use super::table::{Given, Words, every, integer};
use toml::de::DeValue;

pub(super) fn target(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Target> {
    let words = Words::open(given.value, &TARGET, problems)?;
    let collection = words.required("collection", problems, Given::text);
    let filter = filter(&words, problems);
    let rest = words.flag("rest", problems);
    let private = words.flag("private", problems);
    let shared = words.flag("shared", problems);
    let unwind = words.optional("unwind", problems, unwind);
    let key = words.optional("key", problems, name);
    let order = words.optional("order", problems, order);
    let fields = words.list("fields", problems, fields);
    let requires = words.list("requires", problems, requirements);
    let indexes = words
        .list("indexes", problems, |given, problems| given.each("indexes", 0, problems, index));
    let drop_indexes = words.list("drop_indexes", problems, |given, problems| {
        every(&given.one_or_many(problems)?, problems, Given::text)
    });
    let (rest, fields) = (rest?, fields?);
    check_not_empty(&words, rest || !fields.is_empty(), problems)?;
    Some(Target {
        collection: collection?,
        filter: filter?,
        rest,
        private: private?,
        shared: shared?,
        unwind: unwind?,
        key: key?,
        order: order?,
        fields,
        requires: requires?,
        indexes: indexes?,
        drop_indexes: drop_indexes?,
    })
}

fn filter(words: &Words<'_>, problems: &mut Problems<'_>) -> Option<Filter> {
    let why = "one of them says which documents it takes";
    words.at_most_one(&["where", "otherwise"], why, problems);
    let query = words.optional("where", problems, query);
    let otherwise = words.optional("otherwise", problems, |given, problems| {
        given.only_true(problems).map(|()| given.at.clone())
    });
    match (query?, otherwise?) {
        (Some(query), None) => Some(Filter::Where(query)),
        (None, Some(at)) => Some(Filter::Otherwise(at)),
        (None, None) => Some(Filter::All),
        (Some(_), Some(_)) => None,
    }
}

pub(super) fn shape(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Shape> {
    let name = key_name(given, problems);
    let words = Words::open(given.value, &SHAPE, problems)?;
    let order = words.optional("order", problems, order);
    let rest = words.optional("rest", problems, shape_rest);
    let fields = words.list("fields", problems, fields);
    let requires = words.list("requires", problems, requirements);
    let (rest, fields) = (rest?.unwrap_or(Rest::Yes), fields?);
    let has_fields = matches!(rest, Rest::Yes) || !fields.is_empty();
    check_not_empty(&words, has_fields, problems)?;
    Some(Shape {
        name: name?,
        order: order?.unwrap_or(Order::Source),
        rest,
        fields,
        requires: requires?,
    })
}

/// Whether a shape takes the fields that nothing reads, or which row's document does.
fn shape_rest(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Rest> {
    match given.value.get_ref() {
        DeValue::String(_) => given.text(problems).map(Rest::Into),
        DeValue::Boolean(true) => Some(Rest::Yes),
        DeValue::Boolean(false) => Some(Rest::No),
        _ => given.wrong("`true`, `false` or the name of a row", problems),
    }
}

fn check_not_empty(words: &Words<'_>, has_fields: bool, problems: &mut Problems<'_>) -> Option<()> {
    if !has_fields {
        let what = words.table.what;
        problems.error(&words.at, format!("{what} needs `fields`, or `rest = true`"));
    }
    has_fields.then_some(())
}

fn order(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Order> {
    given.choice(ORDER, problems).map(|number| ORDERS[number])
}

/// The orders that [`ORDER`] names.
const ORDERS: [Order; ORDER.len()] = [Order::Table, Order::Source];

fn requirements(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<Requirement>> {
    given.each("requirements", 0, problems, |given, problems| {
        let words = Words::open(given.value, &REQUIREMENT, problems)?;
        let when = words.required("when", problems, query);
        let any = words.required("any", problems, |given, problems| {
            given.each("fields' names", 1, problems, name)
        });
        Some(Requirement { when: when?, any: any? })
    })
}

fn index(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Index> {
    let words = Words::open(given.value, &INDEX, problems)?;
    let key = words.required("key", problems, keys);
    let name = words.optional("name", problems, Given::text);
    let unique = words.flag("unique", problems);
    Some(Index { at: words.at, name: name?, key: key?, unique: unique? })
}

fn keys(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<Vec<(At<String>, i64)>> {
    let needs = "a table of fields and directions, as in { a = 1, \"b.c\" = -1 }";
    let entries = given.entries(needs, problems)?;
    if entries.is_empty() {
        problems.error(&given.value.span(), "an index needs a field");
        return None;
    }
    every(&entries, problems, key)
}

fn key(given: &Given<'_>, problems: &mut Problems<'_>) -> Option<(At<String>, i64)> {
    given.not_dotted(problems)?;
    let path = plain(given.word, &given.at, problems);
    let direction = integer(given.value).filter(|direction| matches!(direction, 1 | -1));
    if direction.is_none() {
        let at: Range<usize> = given.value.span();
        problems.error(&at, "an index's direction is 1 or -1; other kinds of index are not made");
    }
    path?;
    Some((At { at: given.at.clone(), value: given.word.to_owned() }, direction?))
}
