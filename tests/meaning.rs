//! What the words of a mapping make of documents. Each document also comes back, byte for byte.

mod harness;

use harness::becomes::{become_these, finds, map, plan, rows};
use mongosplit::mapping::Plan;

#[test]
fn a_missing_value_and_null_are_told_apart() {
    let cases: [(&str, [&str; 3]); 9] = [
        // Without the field, with null, with a value.
        ("{ name = \"a\" }", ["{_id: 1}", "{_id: 1, a: null}", "{_id: 1, a: 5}"]),
        (
            "{ name = \"a\", or_null = true }",
            ["{_id: 1, a: null}", "{_id: 1, a: null}", "{_id: 1, a: 5}"],
        ),
        (
            "{ name = \"a\", if_missing = 0 }",
            ["{_id: 1, a: 0}", "{_id: 1, a: null}", "{_id: 1, a: 5}"],
        ),
        ("{ name = \"a\", if_null = 0 }", ["{_id: 1, a: 0}", "{_id: 1, a: 0}", "{_id: 1, a: 5}"]),
        (
            "{ name = \"a\", when_missing = [{ const = 9 }] }",
            ["{_id: 1, a: 9}", "{_id: 1, a: null}", "{_id: 1, a: 5}"],
        ),
        (
            "{ name = \"a\", coalesce = [{ const = 9 }] }",
            ["{_id: 1, a: 9}", "{_id: 1, a: 9}", "{_id: 1, a: 5}"],
        ),
        // If none gives a value, the last result stands.
        (
            "{ name = \"a\", coalesce = [{ copy = \"b\" }] }",
            ["{_id: 1}", "{_id: 1}", "{_id: 1, a: 5}"],
        ),
        (
            "{ name = \"a\", type = \"string\", if_missing = \"x\" }",
            ["{_id: 1, a: \"x\"}", "{_id: 1, a: \"x\"}", "{_id: 1, a: \"x\"}"],
        ),
        (
            "{ name = \"a\", when = { a = { \"$gt\" = 4 } }, or_null = true }",
            ["{_id: 1, a: null}", "{_id: 1, a: null}", "{_id: 1, a: 5}"],
        ),
    ];
    for (row, [missing, null, value]) in cases {
        become_these(
            &rows(row, ""),
            &[
                ("{_id: 1}", &[missing]),
                ("{_id: 1, a: null}", &[null]),
                ("{_id: 1, a: 5}", &[value]),
            ],
        );
    }
}

#[test]
fn operators_compute_values() {
    let document = "{_id: 1, a: 5, t: \"x\", d: {a: 1, b: {c: \"y\"}}, l: [{b: 1, c: \"p\"}, 7, {c: 2}, {b: null}], e: []}";
    for (operator, value) in [
        ("copy = \"d.b.c\"", "\"y\""),
        ("copy = \"d.b\"", "{c: \"y\"}"),
        ("copy = \"l.b\"", ""),
        ("copy = [\"none\", \"d.none\", \"t\", \"a\"]", "\"x\""),
        (
            "copy = [{ copy = \"t\", type = \"int\" }, { copy = \"d.b.c\", translate = [{ from = \"y\", to = 3 }] }]",
            "3",
        ),
        ("copy = \"l[].b\"", "[1, null]"),
        ("copy = \"l[].b\", every = true", ""),
        ("copy = \"e[].b\", every = true", "[]"),
        ("copy = \"a[].b\"", ""),
        ("each = \"l\"", "[{b: 1, c: \"p\"}, 7, {c: 2}, {b: null}]"),
        ("each = \"a\"", "5"),
        (
            "each = \"l\", shape = \"S\"",
            "[{b: 1, c: \"p\", n: 2}, 7, {c: 2, n: 2}, {b: null, n: 2}]",
        ),
        ("copy = \"d\", shape = \"S\"", "{a: 1, b: {c: \"y\"}, n: 2}"),
        ("copy = \"a\", shape = \"S\"", "5"),
        ("text = \"a\"", "\"5\""),
        ("text = \"none\"", ""),
        ("template = \"{t}-{d.b.c}\"", "\"x-y\""),
        ("template = \"{t}{a}\"", ""),
        ("template = \"{{}}{t}\"", "\"{}x\""),
        ("const = 3000000000", "3000000000L"),
        ("const = [1, { a = \"b\" }]", "[1, {a: \"b\"}]"),
        ("const = 2025-10-13T10:15:23.5Z", "@1760350523500"),
        ("const = { \"$null\" = true }", "null"),
        ("null = true", "null"),
        (
            "document = [{ name = \"p\", copy = \"a\" }, { name = \"q\", copy = \"none\" }]",
            "{p: 5}",
        ),
        ("size = \"l\"", "4"),
        ("size = \"a\"", "0"),
        ("not_empty = \"e\"", "false"),
        ("not_empty = \"l\"", "true"),
        ("rest = \"d\"", "{a: 1, b: {c: \"y\"}}"),
        ("rest = \"none\"", ""),
        ("copy = \"t\", convert = \"objectId\"", "\"x\""),
        ("copy = \"a\", convert = \"string\"", "\"5\""),
        ("copy = \"l[].b\", convert = \"string\"", "[\"1\", null]"),
        ("each = \"l\", convert = \"double\"", "[{b: 1, c: \"p\"}, 7.0, {c: 2}, {b: null}]"),
    ] {
        let plan = rows(
            &format!("{{ name = \"x\", {operator} }}"),
            "[shape.S]\nfields = [{ name = \"n\", const = 2 }]",
        );
        let expected = if value.is_empty() {
            "{_id: 1}".to_owned()
        } else {
            format!("{{_id: 1, x: {value}}}")
        };
        assert_eq!(map(&plan, document).0, [expected], "{operator}");
    }
}

#[test]
fn values_of_let_are_computed_in_the_order_of_what_needs_what() {
    let plan = plan(
        r#"
        [let]
        last  = { template = "{middle}!" }
        middle = { value = "first", coalesce = [{ const = "none" }] }
        first = { copy = "a", type = "string", when_missing = [{ copy = "b" }] }
        [[target]]
        collection = "t"
        fields = [{ name = "_id" }, { name = "x", value = "last" }]
        "#,
    );
    become_these(
        &plan,
        &[
            ("{_id: 1, a: \"v\"}", &["{_id: 1, x: \"v!\"}"]),
            ("{_id: 1, a: 7, b: \"w\"}", &["{_id: 1, x: \"w!\"}"]),
            ("{_id: 1}", &["{_id: 1, x: \"none!\"}"]),
        ],
    );
}

#[test]
fn where_and_otherwise_share_the_documents_out() {
    let plan = plan(
        r#"
        unmatched = "journal"
        [[target]]
        collection = "a"
        where = { kind = "a" }
        rest = true
        fields = [{ name = "_id" }]
        [[target]]
        collection = "b"
        where = { kind = { "$in" = ["b", 2] }, "$or" = [{ n = { "$gt" = 1, "$lte" = 3 } }, { n = { "$exists" = false } }] }
        fields = [{ name = "_id" }, { name = "n" }]
        [[target]]
        collection = "c"
        where = { any_set = ["q", "r.s"], list = { "$type" = "array" }, "$nor" = [{ not_empty = "list" }] }
        fields = [{ name = "_id" }]
        "#,
    );
    become_these(
        &plan,
        &[
            ("{_id: 1, kind: \"a\"}", &["{_id: 1, kind: \"a\"}", "", ""]),
            ("{_id: 1, kind: 2.0}", &["", "{_id: 1}", ""]),
            ("{_id: 1, kind: 2L, n: 3}", &["", "{_id: 1, n: 3}", ""]),
            ("{_id: 1, kind: \"b\", n: 4}", &["", "", ""]),
            ("{_id: 1, r: {s: 0}, list: []}", &["", "", "{_id: 1}"]),
            ("{_id: 1, q: null, list: []}", &["", "", ""]),
            ("{_id: 1, q: 1, list: [1]}", &["", "", ""]),
            // A path does not go through an array; that it met one is said.
            ("{_id: 1, kind: [\"a\"]}", &["", "", ""]),
        ],
    );
    finds(&plan, "{_id: 1, kind: [\"a\"]}", &["unmatched", "where a", "where b"]);
}

#[test]
fn otherwise_takes_what_those_before_it_did_not() {
    let plan = plan(
        r#"
        [[target]]
        collection = "always"
        fields = [{ name = "_id" }]
        [[target]]
        collection = "a"
        where = { kind = "a" }
        fields = [{ name = "_id" }, { name = "n" }]
        [[target]]
        collection = "b"
        where = { n = 1 }
        fields = [{ name = "_id" }, { name = "n" }]
        [[target]]
        collection = "neither"
        otherwise = true
        rest = true
        fields = [{ name = "_id" }]
        "#,
    );
    assert_eq!(plan.families(), [vec![1, 2, 3]]);
    assert!(plan.is_unconditional(0) && !plan.is_unconditional(3));
    become_these(
        &plan,
        &[
            ("{_id: 1, kind: \"a\", n: 1}", &["{_id: 1}", "{_id: 1, n: 1}", "{_id: 1, n: 1}", ""]),
            ("{_id: 1, kind: \"b\", n: 2}", &["{_id: 1}", "", "", "{_id: 1, kind: \"b\", n: 2}"]),
        ],
    );
    // What `where` says of a document that it takes is known on the way back, so it is no loss.
    finds(&plan, "{_id: 1, kind: \"a\", n: 3}", &[]);
    finds(&plan, "{_id: 1, kind: \"a\", n: 3, z: 1}", &["left-out"]);
}

#[test]
fn a_document_that_no_target_takes_is_refused_or_meant_for_the_journal() {
    let mapping = "[[target]]\ncollection = \"t\"\nwhere = { a = 1 }\nrest = true\n";
    let (became, said) = map(&plan(mapping), "{_id: 1, a: 2}");
    assert_eq!(became, [""]);
    assert!(said.starts_with("refused: no target of the mapping takes it"), "{said}");
    let (became, said) =
        map(&plan(&format!("unmatched = \"journal\"\n{mapping}")), "{_id: 1, a: 2}");
    assert_eq!(became, [""]);
    assert!(!said.contains("refused"), "{said}");
}

#[test]
fn what_no_row_takes_is_a_finding() {
    for row in [
        "copy = [\"a\", \"c\"]",
        "copy = [\"a\", { copy = \"c\", convert = \"int\" }]",
        "copy = [\"a\", { copy = \"c\", translate = [{ from = 1, to = 2 }] }]",
        "copy = [\"a\", { copy = \"c\", shape = \"S\" }]",
        "copy = \"a\", coalesce = [{ copy = \"c\", shape = \"S\" }]",
        "copy = \"a\", when_missing = [{ each = \"c\", shape = \"S\" }]",
        "copy = \"a\", when_missing = [{ each = \"c\", convert = \"int\" }]",
        "copy = \"c\", when = { a = 7 }, coalesce = [{ copy = \"a\" }]",
        "copy = \"c\", when = { a = 7 }, convert = \"int\", coalesce = [{ copy = \"a\" }]",
        "copy = \"c\", type = \"bool\", convert = \"int\", coalesce = [{ copy = \"a\" }]",
    ] {
        let plan =
            rows(&format!("{{ name = \"s\", {row} }}"), "[shape.S]\nfields = [{ name = \"x\" }]\n");
        for document in
            ["{_id: 1, a: 1, c: \"X\"}", "{_id: 1, a: 1, c: {x: 1}}", "{_id: 1, a: 1, c: [{x: 1}]}"]
        {
            become_these(&plan, &[(document, &["{_id: 1, s: 1}"])]);
            finds(&plan, document, &["journal-only c"]);
        }
    }
    // A changed value is no loss, whatever the journal needs to undo it.
    for row in [
        "copy = \"c\", convert = \"date\"",
        "copy = \"c\", translate = [{ from = [\"2025-10-13\", \"x\"], to = 2 }]",
    ] {
        let plan = rows(&format!("{{ name = \"s\", {row} }}"), "");
        finds(&plan, "{_id: 1, c: \"2025-10-13\"}", &[]);
    }
}

#[test]
fn what_is_dropped_is_no_finding() {
    let with = |drop: &str| {
        plan(&format!("{drop}[[target]]\ncollection = \"t\"\nfields = [{{ name = \"_id\" }}]\n"))
    };
    finds(&with(""), "{_id: 1, a: 1, b: {c: 1, d: 2}}", &["left-out"]);
    finds(&with("drop = [\"a\", \"b\"]\n"), "{_id: 1, a: 1, b: {c: 1, d: 2}, a: 3}", &[]);
    finds(&with("drop = [\"a\", \"b.c\"]\n"), "{_id: 1, a: 1, b: {c: 1}}", &[]);
    finds(&with("drop = [\"a\", \"b.c\"]\n"), "{_id: 1, a: 1, b: {c: 1, d: 2}}", &["left-out"]);
    // It is in the way of no `rest`: what is dropped goes nowhere.
    let plan = plan("drop = \"a\"\n[[target]]\ncollection = \"t\"\nrest = true\n");
    become_these(&plan, &[("{_id: 1, a: 1, b: 2}", &["{_id: 1, b: 2}"])]);
    let plan = self::plan("drop = \"b.c\"\n[[target]]\ncollection = \"t\"\nrest = true\n");
    become_these(&plan, &[("{_id: 1, b: {c: 1, d: 2}}", &["{_id: 1, b: {d: 2}}"])]);
}

#[test]
fn a_rest_takes_what_nothing_reads_at_any_depth() {
    let plan = plan(
        r#"
        [[target]]
        collection = "parts"
        fields = [{ name = "_id" }, { name = "c", copy = "a.b.c" }, { name = "x" }]
        [[target]]
        collection = "whole"
        rest = true
        fields = [{ name = "_id" }, { name = "first", copy = "a.f" }]
        "#,
    );
    become_these(
        &plan,
        &[
            (
                "{_id: 1, a: {e: 1, b: {c: 2, d: 3}, f: 4}, x: 5, y: 6}",
                &["{_id: 1, c: 2, x: 5}", "{_id: 1, first: 4, a: {e: 1, b: {d: 3}}, y: 6}"],
            ),
            // Nothing is left of it.
            ("{_id: 1, a: {b: {c: 2}}}", &["{_id: 1, c: 2}", "{_id: 1}"]),
            // It cannot be entered.
            ("{_id: 1, a: [7], y: 6}", &["{_id: 1}", "{_id: 1, a: [7], y: 6}"]),
        ],
    );
}

#[test]
fn a_named_row_wins_over_what_spreads() {
    let plan = rows("{ spread = \"d\" }, { name = \"a\" }, { name = \"z\", copy = \"d.q\" }", "");
    become_these(
        &plan,
        &[
            ("{_id: 1, a: 1, d: {b: 2, q: 3, c: 4}}", &["{_id: 1, b: 2, c: 4, a: 1, z: 3}"]),
            ("{_id: 1, a: 1, d: {a: 2, _id: 9, b: 3}}", &["{_id: 1, b: 3, a: 1}"]),
            ("{_id: 1, a: 1, d: 7}", &["{_id: 1, a: 1}"]),
        ],
    );
    finds(&plan, "{_id: 1, a: 1, d: {b: 2, q: 3}}", &[]);
    finds(&plan, "{_id: 1, a: 1, d: {a: 2, b: 2}}", &["left-out"]);
    finds(&plan, "{_id: 1, a: 1, d: 7}", &["left-out"]);
}

#[test]
fn items_keep_their_order_and_what_no_row_reads() {
    let plan = rows(
        "{ name = \"l\", each = \"l\", shape = \"S\" }",
        r#"
        [shape.S]
        fields = [
          { name = "kind", copy = ["kind", { copy = "type", keep = "parameters.was", translate = [
            { from = "drop", to = "remove" }, { from = ["mean", "median"], to = "impute" } ] }], if_missing = "none" },
          { name = "parameters", if_null = {} },
          { name = "at", copy = ["at", "when"], convert = "date" },
          { name = "ok", if_missing = true },
        ]
        "#,
    );
    let item = |item: &str| {
        let (became, said) = map(&plan, &format!("{{_id: 1, l: [{item}]}}"));
        let inner =
            became[0].strip_prefix("{_id: 1, l: [").and_then(|text| text.strip_suffix("]}"));
        (inner.expect("one item").to_owned(), said)
    };
    for (from, to) in [
        // A row stands where the field is that it copies; others behind, in the table's order.
        (
            "{z: 1, when: \"2025-10-13\", type: \"drop\"}",
            "{z: 1, at: @1760313600000, kind: \"remove\", parameters: {}, ok: true}",
        ),
        ("{}", "{kind: \"none\", parameters: {}, ok: true}"),
        // Where several originals become one, the original stays beside it.
        (
            "{type: \"mean\", ok: false, parameters: {n: 1}}",
            "{kind: \"impute\", ok: false, parameters: {n: 1, was: \"mean\"}}",
        ),
        (
            "{type: \"mean\", parameters: null}",
            "{kind: \"impute\", parameters: {was: \"mean\"}, ok: true}",
        ),
        ("{type: \"mean\"}", "{kind: \"impute\", parameters: {was: \"mean\"}, ok: true}"),
        // What is in its way stays, and the original is in the journal only.
        (
            "{type: \"mean\", parameters: {was: 3}}",
            "{kind: \"impute\", parameters: {was: 3}, ok: true}",
        ),
        (
            "{type: \"mean\", parameters: \"odd\"}",
            "{kind: \"impute\", parameters: \"odd\", ok: true}",
        ),
        ("{type: \"other\", parameters: {}}", "{kind: \"other\", parameters: {}, ok: true}"),
        // An alternative that is not used stays under its own name, and so does a later duplicate.
        (
            "{type: \"drop\", kind: \"x\", parameters: {}, ok: 1}",
            "{type: \"drop\", kind: \"x\", parameters: {}, ok: 1}",
        ),
        (
            "{kind: \"x\", kind: \"y\", parameters: {}, ok: 1}",
            "{kind: \"x\", kind: \"y\", parameters: {}, ok: 1}",
        ),
    ] {
        assert_eq!(item(from).0, to, "{from}");
    }
    assert!(item("{type: \"drop\", kind: \"x\"}").1.contains("not-renamed S"));
    assert!(item("{kind: \"x\", kind: \"y\"}").1.contains("duplicate-field S"));
    assert!(item("{at: \"soon\"}").1.contains("not-converted S.at"));
    assert!(item("7").1.contains("S: an item must be a document"));
}

#[test]
fn the_rest_of_a_shape_goes_where_it_says() {
    let with = |rest: &str, order: &str| {
        rows(
            "{ name = \"o\", shape = \"S\" }",
            &format!(
                "[shape.S]\n{rest}\n{order}\nfields = [{{ name = \"a\" }}, {{ name = \"more\" }}]\n"
            ),
        )
    };
    let becomes = |plan: &Plan, from: &str, to: &str| {
        become_these(
            plan,
            &[(&format!("{{_id: 1, o: {from}}}"), &[&format!("{{_id: 1, o: {to}}}")])],
        );
    };
    becomes(&with("", ""), "{z: 1, more: {p: 2}, a: 3}", "{z: 1, more: {p: 2}, a: 3}");
    becomes(
        &with("", "order = \"table\""),
        "{z: 1, more: {p: 2}, a: 3}",
        "{a: 3, more: {p: 2}, z: 1}",
    );
    let without = with("rest = false", "");
    becomes(&without, "{z: 1, more: {p: 2}, a: 3}", "{more: {p: 2}, a: 3}");
    finds(&without, "{_id: 1, o: {z: 1, a: 3}}", &["left-out"]);
    let into = with("rest = \"more\"", "");
    for (from, to) in [
        ("{z: 1, more: {p: 2}, a: 3, y: 4}", "{more: {p: 2, z: 1, y: 4}, a: 3}"),
        ("{z: 1, a: 3}", "{a: 3, more: {z: 1}}"),
        ("{z: 1, more: null, a: 3}", "{more: {z: 1}, a: 3}"),
        // Not written where there is nothing to take.
        ("{a: 3}", "{a: 3}"),
        ("{a: 3, more: null}", "{a: 3, more: null}"),
        // What has the name already is not written twice.
        ("{z: 1, more: {z: 2}}", "{more: {z: 2}}"),
        // Where the row holds no document, the fields stay.
        ("{z: 1, more: 5}", "{z: 1, more: 5}"),
    ] {
        becomes(&into, from, to);
    }
}

#[test]
fn a_target_in_the_source_s_order_keeps_the_places() {
    let plan = plan(
        r#"
        [[target]]
        collection = "src"
        order = "source"
        rest = true
        fields = [
          { name = "_id" },
          { name = "new", copy = "old" },
          { name = "at", convert = "date" },
          { name = "n", const = 1 },
        ]
        "#,
    );
    assert!(plan.is_source(0));
    become_these(
        &plan,
        &[
            (
                "{z: 1, old: 2, _id: 1, at: \"2025-10-13\", y: 3}",
                &["{z: 1, new: 2, _id: 1, at: @1760313600000, y: 3, n: 1}"],
            ),
            ("{n: 7, _id: 1}", &["{n: 1, _id: 1}"]),
            ("{_id: 1, new: 8, z: 2}", &["{_id: 1, z: 2, n: 1}"]),
        ],
    );
}
