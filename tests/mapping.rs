//! What the compiler says of mappings that can be read and yet mean nothing, whole texts with their places. What the
//! reader says is tested beside it, in `src/mapping/language/read/tests`.

mod harness;

use harness::golden;
use mongosplit::mapping::{Plan, Severity};

const HEAD: &str = "format = 2\nname = \"m\"\nversion = \"0\"\nsource = \"src\"\nkey = \"_id\"\n";

/// A target `t` with an `_id` and these rows, and `more` behind it.
fn rows(rows: &[&str], more: &str) -> String {
    format!(
        "{HEAD}[[target]]\ncollection = \"t\"\nfields = [\n  {{ name = \"_id\" }},\n  {},\n]\n{more}",
        rows.join(",\n  ")
    )
}

/// A mapping in which shapes are used.
fn shapes(text: &str) -> String {
    rows(&["{ name = \"a\", shape = \"S\" }"], text)
}

fn targets(text: &str) -> String {
    format!("{HEAD}{}", text.replace("[[target]] ", "[[target]]\ncollection = "))
}

#[test]
fn all_that_is_wrong_is_reported_at_once() {
    let cases = [
        (
            "names that nothing defines",
            rows(
                &[
                    "{ name = \"a\", value = \"whoo\" }",
                    "{ name = \"b\", value = \"else\" }",
                    "{ name = \"c\", each = \"l\", shape = \"Step\" }",
                ],
                "[let]\nwho = { copy = \"x\" }\n[shape.Steps]\nfields = [{ name = \"b\" }]\n",
            ),
        ),
        (
            "names that are defined twice",
            rows(
                &[
                    "{ name = \"a\" }",
                    "{ name = \"d\", document = [{ name = \"a\" }, { name = \"b\" }, { name = \"a\", const = 1 }] }",
                    "{ name = \"a\", copy = \"b\" }",
                ],
                "",
            ),
        ),
        (
            "operators in the wrong place",
            rows(
                &[
                    "{ name = \"a\", outer = \"x\" }",
                    "{ name = \"b\", position = true }",
                    "{ name = \"c\", template = \"{position}{outer.x}\" }",
                    "{ name = \"d\", when_missing = [{ rest = \"d\" }] }",
                    "{ name = \"e\", each = \"l\", shape = \"S\" }",
                    "{ name = \"f\", value = \"v\" }",
                ],
                "[let]\nv = { rest = \"d\" }\n[shape.S]\nfields = [{ name = \"p\", uuid5 = [\"{position}\"] }]\n",
            ),
        ),
        (
            "changes that cannot be made",
            rows(
                &[
                    "{ name = \"a\", convert = \"int\", translate = [{ from = 1, to = 2 }] }",
                    "{ name = \"b\", convert = \"date\", format = \"%Q\" }",
                    "{ name = \"c\", convert = \"date\", format = [\"iso\", \"%Y\"] }",
                    "{ name = \"d\", translate = [{ from = [1, \"x\"], to = 2 }, { from = \"x\", to = 3 }] }",
                    "{ name = \"e\", must = { pattern = \"(\" } }",
                ],
                "",
            ),
        ),
        (
            "requirements",
            rows(
                &["{ name = \"a\" }"],
                "requires = [\n  { when = { b = 1 }, any = [\"c\", \"a\"] },\n  { when = { \"$or\" = [{ a = 1 }] }, any = [\"a\"] },\n]\n",
            ),
        ),
        (
            "indexes",
            rows(
                &["{ name = \"a\" }"],
                "drop_indexes = [\"old\"]\nindexes = [\n  { key = { gone = 1 } },\n  { key = { a = 1 }, name = \"x\" },\n  { key = { \"a.b\" = -1 }, name = \"x\" },\n  { key = { a = 1, _id = 1 } },\n  { key = { a = 1, _id = 1 }, unique = true },\n]\n",
            ),
        ),
        (
            "otherwise",
            targets(
                "[[target]] \"a\"\notherwise = true\nrest = true\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"b\"\nwhere = { x = 1 }\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"c\"\notherwise = true\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"d\"\notherwise = true\nfields = [{ name = \"_id\" }]\n",
            ),
        ),
        (
            "targets",
            targets(
                "[[target]] \"t\"\nrest = true\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"t\"\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"u\"\nkey = \"k\"\nfields = [{ name = \"k\", copy = \"_id\" }]\n\
                 [[target]] \"v\"\nfields = [{ name = \"a\" }]\n\
                 [[target]] \"w\"\nrest = true\n",
            ),
        ),
        (
            "keys that do not join",
            targets(
                "[[target]] \"t\"\nfields = [{ name = \"_id\" }]\n\
                 [[target]] \"u\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", copy = \"x\" }]\n\
                 [[target]] \"v\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", text = \"_id\" }]\n\
                 [[target]] \"w\"\nunwind = \"l\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", value = \"v\" }]\n\
                 [[target]] \"x\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", copy = \"_id\", convert = \"string\" }]\n\
                 [[target]] \"y\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", copy = \"_id\", if_null = 0 }]\n\
                 [let]\nv = { text = \"_id\" }\n",
            ),
        ),
        (
            "no driver",
            targets(
                "[[target]] \"t\"\nunwind = \"l\"\nkey = \"k\"\nfields = [{ name = \"_id\" }, { name = \"k\", outer = \"_id\" }]\n",
            ),
        ),
        (
            "a circle in [let]",
            rows(
                &["{ name = \"a\", value = \"a\" }"],
                "[let]\na = { value = \"b\" }\nb = { template = \"{c}\" }\nc = { copy = [\"x\", { uuid5 = [\"{a}\"] }] }\nd = { value = \"a\" }\ne = { const = 1 }\n",
            ),
        ),
        (
            "a circle through a shape",
            rows(
                &["{ name = \"a\", value = \"v\" }"],
                "[let]\nv = { copy = \"x\", shape = \"S\" }\n[shape.S]\nfields = [{ name = \"p\", value = \"v\" }]\n",
            ),
        ),
        (
            "shapes that contain themselves",
            shapes(
                "[shape.S]\nfields = [{ name = \"s\", document = [{ name = \"x\", coalesce = [{ each = \"y\", shape = \"T\" }] }] }]\n\
                 [shape.T]\nfields = [{ name = \"s\", copy = [\"x\", { copy = \"y\", shape = \"S\" }] }]\n\
                 [shape.U]\nfields = [{ name = \"s\", shape = \"T\" }]\n\
                 [shape.V]\nfields = [{ name = \"s\", shape = \"V\" }]\n",
            ),
        ),
        (
            "where a shape's rest goes",
            shapes(
                "[shape.S]\nrest = \"more\"\nfields = [{ name = \"a\" }]\n\
                 [shape.T]\nrest = \"more\"\nfields = [{ name = \"more\", copy = \"x\" }]\n\
                 [shape.U]\norder = \"table\"\nrest = \"more\"\nfields = [{ name = \"more\" }]\n\
                 [shape.V]\nrest = \"more\"\nfields = [{ name = \"more\", if_null = {} }]\n",
            ),
        ),
        (
            "where originals are kept",
            shapes(
                "[shape.S]\nfields = [\n  { name = \"p\" },\n  { name = \"k\", translate = [{ from = [1, 2], to = 3 }], keep = \"p.was\" },\n  { name = \"l\", translate = [{ from = [1, 2], to = 3 }], keep = \"p.old\" },\n]\n\
                 [shape.T]\nfields = [\n  { name = \"p\" },\n  { name = \"k\", translate = [{ from = [1, 2], to = 3 }], keep = \"q.was\" },\n]\n\
                 [shape.U]\nfields = [\n  { name = \"p\" },\n  { name = \"k\", copy = \"x.y\", translate = [{ from = [1, 2], to = 3 }], keep = \"p.was\" },\n]\n\
                 [shape.V]\nfields = [\n  { name = \"p\" },\n  { name = \"k\", translate = [{ from = [1, 2], to = 3 }], keep = \"p\" },\n]\n",
            ),
        ),
        (
            "what is private",
            targets(
                "[[target]] \"v\"\nprivate = true\nrest = true\nfields = [{ name = \"_id\" }, { name = \"p\", copy = \"d.p\" }]\n\
                 [[target]] \"t\"\nfields = [\n  { name = \"_id\" },\n  { name = \"a\", copy = \"d.p.q\" },\n  { name = \"b\", copy = [\"x\", \"d\"] },\n  { name = \"c\", text = \"d\" },\n  { name = \"e\", each = \"d\" },\n  { name = \"d\" },\n]\n",
            ),
        ),
    ];
    let mut all = String::new();
    for (title, text) in cases {
        let checked = Plan::check(&text);
        let says: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
        assert!(checked.plan.is_none(), "{title}: {text}");
        all += &format!("# {title}\n{}\n\n", says.join("\n"));
    }
    golden("mapping_problems.txt", &all);
}

#[test]
fn a_problem_says_where_it_is() {
    let checked = Plan::check(&rows(
        &["{ name = \"a\", value = \"whoo\" }"],
        "[let]\nwho = { copy = \"x\" }",
    ));
    let [problem] = &checked.problems[..] else { panic!("{:?}", checked.problems) };
    assert_eq!((problem.line, problem.column, problem.severity), (10, 25, Severity::Error));
    assert_eq!(problem.text, "  { name = \"a\", value = \"whoo\" },");
    assert_eq!(
        Plan::parse("format = 3").expect_err("it must not compile").to_string(),
        "the mapping cannot be used:\n1:10: format 3 is unknown to this version, which reads format 2\n    1 | format = 3\n      |          ^"
    );
}

#[test]
fn the_number_of_targets_has_a_bound() {
    let many = |count: usize| {
        let one = |number: usize| {
            format!("[[target]]\ncollection = \"t{number}\"\nfields = [{{ name = \"_id\" }}]\n")
        };
        format!("{HEAD}{}", (0..count).map(one).collect::<String>())
    };
    assert!(Plan::check(&many(32)).plan.is_some());
    let problems = Plan::check(&many(33)).problems;
    assert_eq!(problems[0].message, "the mapping has 33 targets; 1 to 32 are allowed");
}

#[test]
fn the_number_of_names_has_a_bound() {
    let many = |count: usize| {
        let names: String = (0..count).map(|number| format!("\"x{number}\",")).collect();
        let target = "[[target]]\ncollection = \"t\"\nfields = [{ name = \"_id\" }]\n";
        format!("{HEAD}drop = [{names}]\n{target}")
    };
    assert!(Plan::check(&many(20_000)).plan.is_some());
    let problems = Plan::check(&many(40_000)).problems;
    let message = &problems[0].message;
    assert!(message.ends_with("fields of one document; at most 32000 are allowed"), "{message}");
}

#[test]
fn names_that_a_server_refuses_do_not_become_files() {
    let with = |source: &str, target: &str| {
        let text = format!(
            "format = 2\nname = \"m\"\nversion = \"0\"\nsource = \"{source}\"\nkey = \"_id\"\n\
             [[target]]\ncollection = \"{target}\"\nfields = [{{ name = \"_id\" }}]\n"
        );
        let problems = Plan::check(&text).problems;
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let long = "a".repeat(254);
    for name in ["x/../../../ESCAPED", "..", ".", "a.", "$cmd", "system.users", "a\\\\b", &long] {
        let expected = format!(
            "'{name}' is not a collection name: use 1 to 253 bytes, no '/', '\\', '$' or control character, no dot at either end, no 'system.' in front"
        );
        assert_eq!(with(name, "t"), [expected.as_str()]);
        assert_eq!(with("src", name), [expected.as_str()]);
    }
    assert_eq!(with("src", ""), ["`collection` is empty"]);
    assert!(with("src", &long[1..]).is_empty());
}
