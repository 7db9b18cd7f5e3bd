//! `mapping check`, `explain`, `test` and `schema`: what they print, and with which code they end.
//! Long texts are in `tests/golden`; `UPDATE_GOLDEN=1` rewrites them.

mod harness;

use harness::shop::{MAPPING, world};
use harness::{World, golden};

#[test]
fn a_mapping_is_checked() {
    let world = world();
    let run = world.run_inside(["mapping", "check", "shop.toml"]).exits(0);
    assert_eq!(run.stdout, "✓ shop.toml: mapping 'shop' can be used\n", "{run}");
    world.write("bad.toml", MAPPING.replace("convert", "convrt").replace("unwind", "unwimd"));
    let run = world.run_inside(["mapping", "check", "bad.toml"]).exits(1);
    assert_eq!(
        run.stdout,
        "✗ bad.toml: the mapping cannot be used: 2 errors
bad.toml:17:22: unknown word 'convrt'; did you mean 'convert'?
   17 |   { name = \"joined\", convrt = \"date\" },
      |                      ^^^^^^

bad.toml:23:1: unknown word 'unwimd'; did you mean 'unwind'?
   23 | unwimd = \"orders\"
      | ^^^^^^
",
        "{run}"
    );
    // Only errors, on stderr.
    let quiet = world.run_inside(["mapping", "check", "-q", "bad.toml"]).exits(1);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", run.stdout.as_str()));
    let quiet = world.run_inside(["mapping", "check", "-q", "shop.toml"]).exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "{quiet}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let world = world();
    world.run_inside(["mapping", "check", "none.toml"]).exits(2).complains(
        &world,
        "mongosplit: cannot read the mapping 'none.toml': No such file or directory (os error 2)",
    );
    world.run_inside(["mapping", "check", "shop.toml", "--db", "shop"]).exits(2).complains(
        &world,
        "mongosplit: --db and --all-dbs need a dump: without one only the mapping is read",
    );
    world
        .run_inside(["mapping", "check", "shop.toml", "dump", "--db", "x"])
        .exits(2)
        .complains(&world, "mongosplit: 'dump': has no x.old; it contains shop.old");
}

#[test]
fn a_mapping_is_checked_against_a_dump() {
    let world = world();
    let run = world.run_inside(["mapping", "check", "shop.toml", "dump"]).exits(0);
    let verbose = world.run_inside(["mapping", "check", "shop.toml", "dump", "-v"]).exits(0);
    golden("mapping_check.txt", &[run.stdout, verbose.stdout].join("\n"));
    let json = world.run_inside(["mapping", "check", "shop.toml", "dump", "--json"]).exits(0);
    let json = &json.report()["result"];
    assert_eq!(json["dump"]["documents"], 3);
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_document_is_explained() {
    let world = world();
    let explain =
        |id: &str| world.run_inside(["mapping", "explain", "shop.toml", "dump", "--id", id]);
    let first = explain("ObjectId('070707070707070707070707')").exits(0);
    for id in ["{\"$oid\": \"070707070707070707070707\"}", "070707070707070707070707"] {
        assert_eq!(explain(id).exits(0).stdout, first.stdout, "{id}");
    }
    let second = explain("two").exits(0);
    assert_eq!(explain("'two'").exits(0).stdout, second.stdout);
    assert_eq!(explain("\"two\"").exits(0).stdout, second.stdout);
    let third = explain("3").exits(0);
    golden("mapping_explain.txt", &[first.stdout, second.stdout, third.stdout].join("\n"));
    explain("4").exits(1).complains(
        &world,
        "mongosplit: shop.old has no document with the _id 4; write it as messages show it, or as Extended JSON",
    );
}

#[test]
fn tests_of_a_mapping_are_run() {
    let world = world();
    let run = world.run_inside(["mapping", "test", "shop.toml"]).exits(0);
    assert_eq!(run.stdout, "✓ shop.toml: 1 test passed\n");
    let (without, _) = MAPPING.split_once("[[test]]").expect("a test");
    world.write("none.toml", without);
    let wrong = without.to_owned()
        + r#"
[[test]]
name = "a value, a type and an order"
given = { _id = 1, name = "Ada", joined = "2020-01-01" }
expect = { people = [{ _id = 1, name = "Ada", zip = "none", joined = "2020-01-01", ghost = { "$null" = true } }] }
[[test]]
given = { _id = 1, bot = true, orders = [{ id = 7 }] }
expect = { orders = [], bots = [{ _id = 1 }, { _id = 2 }], nobody = [] }
[[test]]
given = { name = "x" }
"#;
    world.write("wrong.toml", wrong);
    let run =
        world.run_inside(["mapping", "test", "none.toml", "wrong.toml", "shop.toml"]).exits(1);
    golden("mapping_test.txt", &run.stdout);
}

#[test]
fn the_schema_is_json() {
    let run = World::new().run(["mapping", "schema"]).exits(0);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
}
