//! What a mapping makes of single documents, in the [notation](super::notation).

use mongosplit::mapping::Plan;

use super::laws::check;
use super::notation::{bson, shown};
use super::split;

/// A mapping with the key `_id` and `rest` behind its head.
pub fn plan(rest: &str) -> Plan {
    let text = format!(
        "format = 2\nname = \"m\"\nversion = \"0\"\nsource = \"src\"\nkey = \"_id\"\n{rest}"
    );
    Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A mapping of one target `t` with an `_id`, these rows and `more` behind them.
pub fn rows(rows: &str, more: &str) -> Plan {
    plan(&format!(
        "[[target]]\ncollection = \"t\"\nfields = [{{ name = \"_id\" }}, {rows}]\n{more}"
    ))
}

/// What a document becomes, target by target, and what is said of it.
pub fn map(plan: &Plan, document: &str) -> (Vec<String>, String) {
    let run = check(plan, &[bson(document)]);
    let all = |bytes: &Vec<u8>| split(bytes).into_iter().map(shown).collect::<Vec<_>>().join(" ");
    (run.targets.iter().map(all).collect(), run.said.concat())
}

/// Panics unless each document becomes what stands beside it.
pub fn become_these(plan: &Plan, cases: &[(&str, &[&str])]) {
    let mut wrong = String::new();
    for (document, expected) in cases {
        let (became, said) = map(plan, document);
        if became != *expected {
            wrong +=
                &format!("{document}\n  became {became:#?}\n  instead of {expected:#?}\n{said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Panics unless these are the names of the rules that a document breaks.
pub fn finds(plan: &Plan, document: &str, rules: &[&str]) {
    let (_, said) = map(plan, document);
    let names: Vec<&str> =
        said.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(names, rules, "{document}");
}
