use super::super::problem::Problem;
use super::super::words::{COMPARISONS, QUERY, TABLES};
use super::super::{Constant, Operator, Part};
use super::*;
use crate::plain::PlainPath;

/// The example of the language's description.
pub(in crate::mapping) const EXAMPLE: &str = include_str!("example.toml");
/// Every word.
pub(in crate::mapping) const EVERYTHING: &str = include_str!("everything.toml");
/// Mistakes, and what is said of them.
const MISTAKES: &str = include_str!("mistakes.txt");

const HEAD: &str = "format = 2\nname = \"n\"\nversion = \"1\"\nsource = \"s\"\nkey = \"k\"\n";

fn problems_of(text: &str) -> Vec<Problem> {
    let mut problems = Problems::new(text);
    let mapping = read(text, Tests::Read, &mut problems);
    assert_eq!(mapping.is_none(), problems.has_errors());
    problems.into_sorted()
}

/// Reads a text that has no problems.
fn valid(text: &str) -> Mapping {
    let mut problems = Problems::new(text);
    let mapping = read(text, Tests::Read, &mut problems);
    let problems: Vec<String> = problems.into_sorted().iter().map(Problem::to_string).collect();
    assert_eq!(problems.join("\n"), "");
    mapping.unwrap()
}

/// The operator of a target that has one field.
fn operator(field: &str) -> Operator {
    let mapping = valid(&whole("field", field));
    mapping.targets[0].fields[0].value.operator.clone().unwrap()
}

fn constant(value: &str) -> (u8, Vec<u8>) {
    match operator(&format!("{{ name = \"a\", const = {value} }}")) {
        Operator::Constant(Constant { kind, bytes }) => (kind, bytes.into_vec()),
        other => panic!("{other:?}"),
    }
}

/// A part of a mapping, in a mapping that has nothing else of interest.
fn whole(part: &str, text: &str) -> String {
    match part {
        "field" => format!("{HEAD}[[target]]\ncollection = \"t\"\nfields = [\n{text}\n]\n"),
        "target" => format!("{HEAD}[[target]]\ncollection = \"t\"\nrest = true\n{text}\n"),
        "mapping" => format!("{HEAD}{text}\n[[target]]\ncollection = \"t\"\nrest = true\n"),
        "file" => text.to_owned(),
        _ => panic!("'{part}' is not a part"),
    }
}

/// Each case of the file is a part's name, a colon and text; then, each after an arrow, problems with
/// line, column and length.
#[test]
fn mistakes_are_told_as_recorded() {
    let mut now = String::new();
    for case in MISTAKES.split("\n\n").map(str::trim_end) {
        let text = case.split("\n-> ").next().unwrap();
        let (part, mistake) = text.split_once(": ").unwrap();
        now += text;
        for problem in problems_of(&whole(part, mistake)) {
            let Problem { line, column, length, message, .. } = problem;
            now += &format!("\n-> {line}:{column}+{length} {message}");
        }
        now += "\n\n";
    }
    if now.trim_end() != MISTAKES.trim_end() {
        let path = std::env::temp_dir().join("mistakes.txt");
        std::fs::write(&path, now.trim_end().to_owned() + "\n").unwrap();
        panic!("messages changed; compare with {}", path.plain());
    }
}

#[test]
fn the_example_reads() {
    let mapping = valid(EXAMPLE);
    assert_eq!(mapping.name.value, "user_data");
    assert_eq!(&EXAMPLE[mapping.source.at.clone()], "\"user_data\"");
    assert_eq!(mapping.targets.len(), 2);
    assert_eq!(mapping.targets[0].fields.len(), 9);
    assert_eq!(
        mapping.shapes.iter().map(|shape| &*shape.name.value).collect::<Vec<_>>(),
        ["SchemaField", "TransformationStep"]
    );
}

#[test]
fn everything_reads_to_every_variant() {
    let mapping = valid(EVERYTHING);
    let shown = format!("{mapping:?}");
    for variant in [
        // Unmatched, Filter, Order, Back
        "Journal",
        "All",
        "Where(",
        "Otherwise(",
        "Table",
        "Source",
        "Default",
        "Name(",
        "Never",
        // Operator
        "Copy {",
        "First(",
        "Each(",
        "Let(",
        "Text(",
        "Template(",
        "Constant(",
        "Document(",
        "Size(",
        "NotEmpty(",
        "Rest(None)",
        "Rest(Some",
        "Spread(",
        "Outer(",
        "Position",
        "Uuid5(",
        // Part, Type
        "Literal(",
        "Field(Path",
        "Date",
        "ObjectId",
        "String",
        "Int",
        "Long",
        "Double",
        "Decimal",
        "Bool",
        // Condition, Comparison
        "AnySet(",
        "Or(",
        "Nor(",
        "Field(Path",
        "Equal(",
        "NotEqual(",
        "In(",
        "NotIn(",
        "Exists(true)",
        "Exists(false)",
        "Type(Kinds",
        "Greater(",
        "GreaterOrEqual(",
        "Less(",
        "LessOrEqual(",
        "every: true",
        "is_map: true",
        "newest: true",
    ] {
        assert!(shown.contains(variant), "{variant} is not reached");
    }
    let test = &mapping.tests[1];
    let given = bson::Document::from_reader(&test.given[..]).unwrap();
    assert_eq!(given.keys().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(mapping.tests[0].expect.as_ref().unwrap()[0].1.len(), 2);
    for word in TABLES.iter().flat_map(|table| table.all()).chain(QUERY).chain(COMPARISONS) {
        let is_there = EVERYTHING.contains(word.name) || word.name == "target";
        assert!(is_there, "`{}` is not in the sample", word.name);
    }
}

#[test]
fn constants_have_their_bson_types() {
    use crate::raw::kind::*;
    assert_eq!(constant("1"), (INT32, vec![1, 0, 0, 0]));
    assert_eq!(constant("0x80000000"), (INT64, 2_147_483_648_i64.to_le_bytes().to_vec()));
    assert_eq!(constant("1_000.5"), (DOUBLE, 1000.5_f64.to_le_bytes().to_vec()));
    assert_eq!(constant("-inf"), (DOUBLE, f64::NEG_INFINITY.to_le_bytes().to_vec()));
    assert_eq!(constant("true"), (BOOLEAN, vec![1]));
    assert_eq!(constant("1970-01-01T01:00:00.250+01:00"), (DATE, 250_i64.to_le_bytes().to_vec()));
    assert_eq!(constant("1969-12-31T23:59:59.999Z"), (DATE, (-1_i64).to_le_bytes().to_vec()));
    assert_eq!(constant("\"a\""), (STRING, b"\x02\0\0\0a\0".to_vec()));
    assert_eq!(constant("{ \"$null\" = true }"), (NULL, vec![]));
    assert_eq!(constant("{ \"$numberLong\" = \"5\" }"), (INT64, 5_i64.to_le_bytes().to_vec()));
    assert_eq!(constant("{ \"$minKey\" = 1 }"), (MIN_KEY, vec![]));
    let document = bson::doc! { "z": 1, "a": [bson::Bson::Null, 2_i64 << 40] };
    assert_eq!(
        constant("{ z = 1, a = [{ \"$null\" = true }, 2199023255552] }"),
        (DOCUMENT, document.to_vec().unwrap())
    );
}

#[test]
fn doubled_braces_are_text() {
    let Operator::Template(template) = operator("{ name = \"a\", template = \"{{{b.c}}}é}}{{\" }")
    else {
        panic!()
    };
    let [Part::Literal(before), Part::Field(path), Part::Literal(after)] = &template.parts[..]
    else {
        panic!("{:?}", template.parts)
    };
    assert_eq!(
        (&**before, &path.names[..], &**after),
        ("{", &["b".into(), "c".into()][..], "}é}{")
    );
}

#[test]
fn kinds_hold_every_element_type() {
    use super::super::Kinds;
    let kinds = super::super::words::KINDS;
    for (name, of) in kinds {
        let set = Kinds::of(of.iter().copied());
        for kind in 0..=255 {
            assert_eq!(set.has(kind), of.contains(&kind), "{name} {kind}");
        }
    }
}

/// A value that no word takes is reported at every word, so every word of the tables is read.
#[test]
fn every_word_is_read() {
    const NEVER: &str = "07:32:00";
    let contexts = |table: &str| match table {
        "mapping" => ("file", "$"),
        "target" => ("target", "$"),
        "shape" => ("mapping", "[shape.X]\n$"),
        "field" => ("field", "{ $ }"),
        "alternative" => ("field", "{ name = \"a\", coalesce = [{ $ }] }"),
        "let" => ("mapping", "[let]\nx = { $ }"),
        "translation" => ("field", "{ name = \"a\", translate = [{ $ }] }"),
        "requirement" => ("target", "requires = [{ $ }]"),
        "index" => ("target", "indexes = [{ $ }]"),
        "test" => ("mapping", "[[test]]\n$"),
        "assess" => ("mapping", "[assess]\n$"),
        "must" => ("field", "{ name = \"a\", must = { $ } }"),
        "subschema" => ("field", "{ name = \"a\", type = { $ } }"),
        "query" => ("target", "where = { $ }"),
        "comparison" => ("target", "where = { a = { $ } }"),
        _ => panic!("'{table}' has no context"),
    };
    let of_tables = TABLES.iter().flat_map(|table| table.all().map(|word| (table.name, word)));
    let of_query = QUERY.iter().map(|word| ("query", word));
    let of_comparison = COMPARISONS.iter().map(|word| ("comparison", word));
    for (table, word) in of_tables.chain(of_query).chain(of_comparison) {
        let (part, around) = contexts(table);
        let entry = format!("\"{}\" = {NEVER}", word.name);
        let text = whole(part, &around.replace('$', &entry));
        // A word that the sample has already cannot be there twice.
        let twice = format!("{} = ", word.name);
        let is_twice =
            |line: &str| matches!(table, "mapping" | "target") && line.starts_with(&twice);
        let mut text: String =
            text.lines().filter(|line| !is_twice(line)).flat_map(|line| [line, "\n"]).collect();
        if table == "mapping" && word.name != "format" {
            text.insert_str(0, "format = 2\n");
        }
        let at = text.find(NEVER).unwrap();
        let line = text[..at].matches('\n').count() + 1;
        let column = at - text[..at].rfind('\n').map_or(0, |at| at + 1) + 1;
        let problems = problems_of(&text);
        assert!(
            problems.iter().any(|problem| (problem.line, problem.column) == (line, column)),
            "`{}` of {table} is not read: {problems:#?}",
            word.name
        );
    }
}

/// Texts that are deep or full of errors end soon, on the stack of a test's thread.
#[test]
fn hostile_texts_are_refused() {
    let keys = "a.".repeat(100_000) + "a";
    let dotted = "a.".repeat(MAX_DOTS) + "a = {";
    let deep = dotted.repeat(79) + &"}".repeat(79);
    let nested = |text: &str| format!("{HEAD}[[target]]\ncollection = \"t\"\nfields = {text}");
    for text in [
        format!("{keys} = 1"),
        format!("[{keys}]"),
        format!("x = {{ {keys} = 1 }}"),
        format!("{} = 1", "\"a\" . 'b' . ".repeat(50_000) + "a"),
        deep.clone(),
        format!("{HEAD}[let]\n{deep}"),
        deep.repeat(30),
        nested(&deep),
        nested(&("[".repeat(79) + &"]".repeat(79))),
        nested(&"[".repeat(100_000)),
        nested(&"{a=".repeat(100_000)),
        "[a]\n".repeat(100_000),
        "=\n".repeat(MAX_BYTES / 2),
        "\"".repeat(MAX_BYTES),
        " ".repeat(MAX_BYTES + 1),
        (0..60_000).fold(HEAD.to_owned(), |text, number| text + &format!("copi{number}=1\n")),
        (0..60_000).fold(HEAD.to_owned(), |text, number| text + &format!("copi{number}=1 #")),
    ] {
        let problems = problems_of(&text);
        assert!(!problems.is_empty() && problems.len() <= 101);
        assert!(problems.iter().all(|problem| problem.to_string().len() < 2000));
    }
}

/// Any change to a valid text is read or reported.
#[test]
fn mutations_never_panic() {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let pieces = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ".",
        ",",
        "=",
        "\n",
        "a",
        "0",
        "-1",
        "true",
        "[]",
        "{}",
        "\"\"",
        "é",
        "\\u0000",
        "$",
        "2024-01-01",
        "1e999",
        "nan",
        "'",
        "\"\"\"",
        "#",
        "{ copy = \"a\" }",
    ];
    for sample in [EXAMPLE, EVERYTHING] {
        let places: Vec<usize> =
            (0..=sample.len()).filter(|&at| sample.is_char_boundary(at)).collect();
        for _ in 0..1500 {
            let start = random(places.len());
            let end = (start + random(12)).min(places.len() - 1);
            let mut text = sample.to_owned();
            let piece = if random(3) == 0 { "" } else { pieces[random(pieces.len())] };
            text.replace_range(places[start]..places[end], piece);
            for problem in problems_of(&text) {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}
