//! Texts of mapping files, over the whole language that `mappings/user_data.toml` describes. Most compile; those that
//! do not must be refused, and neither may panic.

use std::fmt::Write;

use super::Chance;
use super::documents::KNOWN;

const TYPES: [&str; 10] = [
    "null",
    "string",
    "boolean",
    "integer",
    "number",
    "date",
    "object_id",
    "document",
    "array",
    "strings",
];
const CONSTANTS: [&str; 8] = [
    "null",
    "[]",
    "{}",
    "false",
    "7",
    r#""text""#,
    r#"{"$numberDouble": "0.5"}"#,
    r#"{"a": [1, {"b": null}]}"#,
];
const ITEM_FIELDS: [&str; 10] = [
    "transformation_type",
    "column",
    "columns",
    "parameters",
    "applied_at",
    "is_valid",
    "rows_affected",
    "field_name",
    "data_type",
    "b",
];
const OLD_NAMES: [&str; 6] = ["type", "timestamp", "affected_rows", "kind", "when", "column"];

fn path(chance: &mut Chance) -> String {
    let head = KNOWN[chance.below(KNOWN.len())];
    match chance.below(6) {
        0 => format!("{head}.{}", ["a", "b", "fields", "column", "x.y"][chance.below(5)]),
        _ => head.to_owned(),
    }
}

fn constant(chance: &mut Chance) -> &'static str {
    CONSTANTS[chance.below(CONSTANTS.len())]
}

fn defined(chance: &mut Chance) -> &'static str {
    ["k", "joined", "who", "again"][chance.below(4)]
}

/// `operator = …` without braces.
fn expression(chance: &mut Chance, in_item: bool) -> String {
    let only = |chance: &mut Chance| match chance.one_in(4) {
        true => format!(", only = \"{}\"", TYPES[chance.below(TYPES.len())]),
        false => String::new(),
    };
    match chance.below(if in_item { 12 } else { 11 }) {
        0 => format!("value = \"{}\"", defined(chance)),
        1 => format!("text = \"{}\"", path(chance)),
        2 => format!("template = \"a/{{{}}}/{{{}}}\"", path(chance), defined(chance)),
        3 => format!("constant = '{}'", constant(chance)),
        4 => {
            let only = if chance.one_in(2) { ", only = \"strings\"" } else { "" };
            format!(
                "pluck = \"{}[].{}\"{only}",
                path(chance),
                ["a", "column", "field_name"][chance.below(3)]
            )
        }
        5 => format!("count = \"{}\"", path(chance)),
        6 => format!("non_empty = \"{}\"", path(chance)),
        11 => format!("outer = \"{}\"", path(chance)),
        _ => format!("copy = \"{}\"{}", path(chance), only(chance)),
    }
}

fn alternatives(chance: &mut Chance, in_item: bool, row: &mut String) {
    if chance.one_in(3) {
        let many = 1 + chance.below(3);
        let all: Vec<String> =
            (0..many).map(|_| format!("{{ {} }}", expression(chance, in_item))).collect();
        let _ = write!(row, ", or = [{}]", all.join(", "));
    }
    match chance.below(6) {
        0 => drop(write!(row, ", empty = '{}'", constant(chance))),
        1 => drop(write!(row, ", absent = '{}'", constant(chance))),
        _ => {}
    }
}

fn translation(chance: &mut Chance, keep: Option<&str>) -> String {
    let keep = keep
        .filter(|_| chance.one_in(2))
        .map_or(String::new(), |place| format!(", keep = \"{place}\""));
    let mut entries = vec![
        format!(
            "{{ from = [\"remove_duplicates\"], to = \"drop_duplicates\"{} }}",
            if chance.one_in(4) { &keep } else { "" }
        ),
        format!(
            "{{ from = [\"impute_mean\", \"impute_median\", \"one\"], to = \"impute\"{keep} }}"
        ),
        // Two that become one, and one that becomes another's original.
        "{ from = [\"uno\"], to = \"csv\" }".to_owned(),
        "{ from = [\"low\"], to = \"csv\" }".to_owned(),
        format!("{{ from = [\"csv\"], to = \"remove_duplicates\"{keep} }}"),
    ];
    for _ in 0..chance.below(4) {
        entries.remove(chance.below(entries.len()));
    }
    format!("[{}]", entries.join(", "))
}

fn must(chance: &mut Chance, row: &mut String) {
    if chance.one_in(4) {
        let kind = TYPES[chance.below(TYPES.len())];
        let more = [
            "",
            ", min = 0",
            ", max = 10",
            ", above = 0.5, below = 7, optional = true",
            ", one_of = [\"csv\", \"low\"], any_case = true",
            ", starts_with = [\"dat\"], any_case = true",
            ", items = { is = \"string\" }",
            ", values = { is = \"number\", optional = true }, fields = [{ name = [\"a\", \"b\"], must = { is = \"string\", optional = true } }]",
        ][chance.below(8)];
        let _ = write!(row, ", must = {{ is = [\"null\", \"{kind}\"]{more} }}");
    }
}

fn row(chance: &mut Chance, name: &str, items: usize, inside: usize) -> String {
    let mut row = format!("{{ name = \"{name}\", ");
    match chance.below(12) {
        0 | 1 if items > 0 => {
            let array = ["transformation_history", "data_schema", "list", "tags"][chance.below(4)];
            let _ = write!(row, "each = \"{array}\", item = \"I{}\"", chance.below(items));
            match chance.below(3) {
                0 => row.push_str(", empty = '[]'"),
                1 => row.push_str(", absent = 'null'"),
                _ => {}
            }
        }
        2 if inside < 2 => {
            let names = ["a", "b", "c", "d"];
            let many = 1 + chance.below(4);
            let rows: Vec<String> = names[..many]
                .iter()
                .map(|name| self::row(chance, name, items, inside + 1))
                .collect();
            let _ = write!(row, "document = [{}]", rows.join(", "));
        }
        3 => {
            let _ = write!(row, "copy = \"{}\", date = true", path(chance));
            alternatives(chance, false, &mut row);
        }
        4 => {
            let _ = write!(
                row,
                "copy = \"{}\", translate = {}",
                path(chance),
                translation(chance, None)
            );
            alternatives(chance, false, &mut row);
        }
        _ => {
            row.push_str(&expression(chance, false));
            alternatives(chance, false, &mut row);
            if chance.one_in(6) {
                let _ = write!(row, ", when = \"{}\"", path(chance));
            }
            if chance.one_in(6) {
                row.push_str(", empty_array = true");
            }
            if chance.one_in(8) {
                row.push_str(", merge = \"newest\"");
            }
        }
    }
    must(chance, &mut row);
    row.push_str(" }");
    row
}

fn item(chance: &mut Chance) -> String {
    let many = 1 + chance.below(ITEM_FIELDS.len());
    let mut fields: Vec<&str> = ITEM_FIELDS.into();
    fields.rotate_left(chance.below(ITEM_FIELDS.len()));
    let fields = &fields[..many];
    let mut old: Vec<&str> = OLD_NAMES.into_iter().filter(|name| !fields.contains(name)).collect();
    let mut text = String::from("field = [\n");
    for name in fields {
        let mut row = format!("  {{ name = \"{name}\"");
        if chance.one_in(3) && !old.is_empty() {
            let _ = write!(row, ", rename = \"{}\"", old.remove(chance.below(old.len())));
        }
        match chance.below(4) {
            0 => row.push_str(", date = true"),
            1 => {
                let keep = format!("{}.legacy_type", fields[chance.below(fields.len())]);
                let translation = translation(chance, Some(&keep));
                let _ = write!(row, ", translate = {translation}");
            }
            _ => {}
        }
        if chance.one_in(3) {
            row.push_str(", convert_own = true");
        }
        if chance.one_in(6) {
            row.push_str(", generated = true");
        }
        alternatives(chance, true, &mut row);
        must(chance, &mut row);
        let _ = writeln!(text, "{row} }},");
    }
    text.push_str("]\n");
    if chance.one_in(3) {
        let _ = writeln!(
            text,
            "requires = [{{ field = \"{}\", one_of = [\"impute\"], needs_any = [\"{}\"] }}]",
            fields[0],
            fields[many - 1]
        );
    }
    text
}

/// A mapping's text. `sound`: with an `_id` in every target, and a target that is always written.
pub fn text(chance: &mut Chance) -> String {
    let mut text = String::from(
        "format = 1\nname = \"random\"\nversion = \"0\"\ncollection = \"src\"\nkey = \"k\"\n[define]\n\
         joined = { template = \"{filename}-{kind}\" }\nwho = { copy = \"user_id\" }\n",
    );
    text.push_str(match chance.one_in(3) {
        true => "k = { copy = \"notes\", only = \"string\", or = [{ text = \"_id\" }] }\n",
        false => "k = { text = \"_id\" }\n",
    });
    let _ = writeln!(
        text,
        "again = {{ template = \"{{{}}}+{{user_id}}\" }}",
        if chance.one_in(2) { "filename" } else { "k" }
    );
    let items = chance.below(3);
    let targets = [1, 1, 2, 3, 5][chance.below(5)];
    let rest = chance.below(targets + 1);
    for target in 0..targets {
        let _ = write!(text, "\n[[target]]\ncollection = \"t{target}\"\n");
        if target == rest {
            text.push_str("rest = true\n");
        } else if chance.one_in(3) {
            let _ = writeln!(
                text,
                "when_any = [\"{}\", \"{}\"]",
                KNOWN[chance.below(KNOWN.len())],
                KNOWN[chance.below(KNOWN.len())]
            );
        }
        let mut rows = vec![
            "  { name = \"_id\", copy = \"_id\" }".to_owned(),
            "  { name = \"k\", value = \"k\" }".to_owned(),
        ];
        let mut names: Vec<&str> = KNOWN.into();
        for _ in 0..chance.below(20) {
            let name = names.remove(chance.below(names.len()));
            rows.push(format!("  {}", row(chance, name, items, 0)));
        }
        if chance.one_in(3) {
            let from = chance.below(rows.len());
            rows.rotate_left(from);
        }
        let _ = writeln!(text, "field = [\n{},\n]", rows.join(",\n"));
        if chance.one_in(2) {
            text.push_str("index = [{ name = \"k_1\", key = { k = 1 }, unique = true }]\n");
        }
    }
    for number in 0..items {
        let _ = write!(text, "\n[item.I{number}]\n{}", item(chance));
    }
    text
}
