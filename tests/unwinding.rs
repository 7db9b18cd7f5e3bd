//! Targets that unwind an array or a document, and identifiers that are derived. Each document also comes back, byte
//! for byte.

mod harness;

use harness::becomes::{become_these, finds, map, plan};
use harness::{DATABASE, World, write_dump};
use mongosplit::progress::Silent;
use mongosplit::transform;

#[test]
fn an_array_is_unwound_item_by_item() {
    let plan = plan(
        r#"
        [[target]]
        collection = "parents"
        rest = true
        fields = [{ name = "_id" }]
        [[target]]
        collection = "children"
        unwind = "d.list"
        key = "parent"
        rest = true
        fields = [{ name = "_id", template = "{outer.name}/{position}" }, { name = "parent", outer = "_id" }, { name = "n", position = true }]
        "#,
    );
    become_these(
        &plan,
        &[
            (
                "{_id: 1, name: \"p\", d: {list: [{a: 1}, {a: 2, a: 3}], e: 4}}",
                &[
                    "{_id: 1, name: \"p\", d: {e: 4}}",
                    "{_id: \"p/0\", parent: 1, n: 0, a: 1} {_id: \"p/1\", parent: 1, n: 1, a: 2, a: 3}",
                ],
            ),
            // What is no document is left over; the number is the item's own.
            (
                "{_id: 1, name: \"p\", d: {list: [7, {a: 1}, null]}}",
                &["{_id: 1, name: \"p\"}", "{_id: \"p/1\", parent: 1, n: 1, a: 1}"],
            ),
            ("{_id: 1, name: \"p\", d: {list: []}}", &["{_id: 1, name: \"p\"}", ""]),
            ("{_id: 1, name: \"p\", d: {list: null}}", &["{_id: 1, name: \"p\"}", ""]),
            ("{_id: 1, name: \"p\", d: {list: {a: 1}}}", &["{_id: 1, name: \"p\"}", ""]),
            ("{_id: 1, name: \"p\"}", &["{_id: 1, name: \"p\"}", ""]),
        ],
    );
    finds(&plan, "{_id: 1, name: \"p\", d: {list: [{a: 1}]}}", &[]);
    finds(&plan, "{_id: 1, name: \"p\", d: {list: [{a: 1}, 7]}}", &["not-unwound d.list"]);
    let (_, said) = map(&plan, "{_id: 1, name: \"p\", d: {list: {a: 1}}}");
    assert!(said.contains("not-unwound d.list"), "{said}");
}

#[test]
fn a_map_is_unwound_entry_by_entry() {
    let plan = plan(
        r#"
        [[target]]
        collection = "parents"
        rest = true
        fields = [{ name = "_id" }]
        [[target]]
        collection = "children"
        unwind = "map{}"
        key = "parent"
        fields = [{ name = "_id", position = true }, { name = "parent", outer = "_id" }, { name = "a" }]
        "#,
    );
    become_these(
        &plan,
        &[
            (
                "{_id: 1, map: {x: {a: 1}, \"\": {a: 2}, x: {a: 3}}, z: 1}",
                &[
                    "{_id: 1, z: 1}",
                    "{_id: \"x\", parent: 1, a: 1} {_id: \"\", parent: 1, a: 2} {_id: \"x\", parent: 1, a: 3}",
                ],
            ),
            ("{_id: 1, map: {x: 7, y: {}}}", &["{_id: 1}", "{_id: \"y\", parent: 1}"]),
            ("{_id: 1, map: [{a: 1}]}", &["{_id: 1}", ""]),
        ],
    );
    finds(&plan, "{_id: 1, map: {x: {a: 1, b: 2}}}", &["left-out"]);
    finds(&plan, "{_id: 1, map: {x: 7}}", &["not-unwound map"]);
}

#[test]
fn unwinding_is_bounded_by_the_document() {
    let plan = plan(
        r#"
        [[target]]
        collection = "parents"
        fields = [{ name = "_id" }, { name = "big" }]
        [[target]]
        collection = "children"
        unwind = "list"
        key = "parent"
        fields = [{ name = "_id", uuid5 = ["{outer._id}", "{position}"] }, { name = "parent", outer = "_id" }, { name = "big", outer = "big" }]
        "#,
    );
    let document = |items: usize| {
        format!("{{_id: 1, big: \"{}\", list: [{}]}}", "x".repeat(10_000), "{}, ".repeat(items))
    };
    // Four times the document, and 64 KiB.
    assert_eq!(map(&plan, &document(9)).0[1].matches("parent").count(), 9);
    let (became, said) = map(&plan, &document(14));
    assert_eq!(became, ["", ""]);
    assert!(said.starts_with("refused: unwinding would make "), "{said}");
}

#[test]
fn derived_identifiers_are_the_same_for_ever() {
    let plan = plan(
        r#"
        [let]
        who = { copy = "who" }
        [[target]]
        collection = "t"
        fields = [
          { name = "_id" },
          { name = "a", uuid5 = ["{_id}"] },
          { name = "b", uuid5 = ["{who}", "x/{a}"] },
          { name = "c", uuid5 = ["{who}x/", "{a}"] },
          { name = "d", uuid5 = ["{none}"] },
        ]
        [[target]]
        collection = "items"
        unwind = "l"
        key = "of"
        fields = [{ name = "_id", uuid5 = ["{outer._id}", "{position}"] }, { name = "of", outer = "_id" }]
        [[target]]
        collection = "entries"
        unwind = "m{}"
        key = "of"
        fields = [{ name = "_id", uuid5 = ["{outer._id}", "{position}"] }, { name = "of", outer = "_id" }]
        "#,
    );
    // Computed from RFC 9562 by hand. A part is its length in eight bytes, and for each value in it the type, the length
    // and the bytes; a text between values is of type 0.
    become_these(
        &plan,
        &[(
            "{_id: 1, who: \"w\", a: 5, l: [{}], m: {k: {}}}",
            &[
                "{_id: 1, a: <5 10000000044bd850aeefcf52b1a5dc8a1b2f4947a4>, b: <5 1000000004e8b3e0a40db055c8a09d2f625ac76f88>, c: <5 10000000044d4ad56358105238b9ea602bcf15e1a3>}",
                "{_id: <5 1000000004ba531242645254369a184bae6795962c>, of: 1}",
                "{_id: <5 100000000437cb9f7d4c8b5cf797cde543e3027092>, of: 1}",
            ],
        )],
    );
}

/// A run counts no document without items as missing.
#[test]
fn an_unwinding_target_may_share_with_an_otherwise() {
    let plan = plan(
        r#"
        unmatched = "journal"
        [[target]]
        collection = "children"
        where = { name = "p" }
        unwind = "list"
        key = "parent"
        fields = [{ name = "_id", template = "{outer.name}/{position}" }, { name = "parent", outer = "_id" }]
        [[target]]
        collection = "others"
        otherwise = true
        rest = true
        fields = [{ name = "_id" }]
        "#,
    );
    let world = World::new();
    let documents =
        [bson::doc! { "_id": 1, "name": "p", "list": [] }, bson::doc! { "_id": 2, "name": "q" }];
    let bytes: Vec<u8> =
        documents.iter().flat_map(|one| one.to_vec().expect("a document")).collect();
    write_dump(&world.path("dump"), DATABASE, &[(plan.collection(), &bytes)]);
    let options = transform::Options::new(world.path("dump"), world.path("out"));
    let report = transform::transform(&options, &plan, &Silent).expect("nothing is missing");
    let counts: Vec<u64> =
        report.manifest.sources[0].targets.iter().map(|target| target.documents).collect();
    assert_eq!(counts, [0, 1]);
}

/// Of many values of one document, each is looked up once; a search through all would take minutes.
#[test]
fn a_value_that_one_of_many_unwound_documents_repeats_is_named() {
    let plan = plan(
        r#"
        [[target]]
        collection = "parents"
        fields = [{ name = "_id" }]
        [[target]]
        collection = "children"
        unwind = "list"
        key = "parent"
        fields = [{ name = "_id" }, { name = "parent", outer = "_id" }]
        "#,
    );
    let document = |id: i32, list: &mut dyn Iterator<Item = i32>| {
        let items: Vec<_> = list.map(|id| bson::doc! { "_id": id }).collect();
        bson::doc! { "_id": id, "list": items }.to_vec().expect("a document")
    };
    let many = 1_000..301_000;
    let documents = [
        document(1, &mut [1, 2].into_iter()),
        document(2, &mut [3, 4, 3, 4].into_iter()),
        // 2 is the first that was met before.
        document(3, &mut many.clone().chain([2, 3, 1_000])),
        // The documents above are refused, so their other values are free.
        document(4, &mut many.chain([3, 4])),
        document(5, &mut [5, 1_000].into_iter()),
    ];
    let world = World::new();
    write_dump(&world.path("dump"), DATABASE, &[(plan.collection(), &documents.concat())]);
    let mut options = transform::Options::new(world.path("dump"), world.path("out"));
    options.skip_unrestorable = true;
    let report = transform::transform(&options, &plan, &Silent).expect("refused ones are skipped");
    let refused: Vec<u64> =
        report.sources[0].set_aside.iter().map(|refused| refused.document).collect();
    assert_eq!(refused, [2, 3, 5]);
    let reason = &report.sources[0].set_aside[1].reason;
    assert!(reason.contains("the same value in the unique index '_id_'"), "{reason}");
}
