//! Wrong usage and bad input, each with all that is said of it: what is wrong, and what to type instead.
//! The texts are in `tests/golden/usage.txt`; `UPDATE_GOLDEN=1` rewrites them.

mod harness;

use std::fs;
use std::os::unix::fs::symlink;

use bson::{Bson, doc};
use harness::{World, golden, root, steady};

/// Run in a directory with `dump`, `out` (of it), `back` (the reverse of that), `empty`, `other` (a dump without
/// the source), `short.key`, `damaged` (a dump with a damaged value) and `notes.txt`.
const LINES: [&str; 52] = [
    "",
    "transfrom dump new",
    "transform",
    "transform dump",
    "transform dump new more",
    "transform dump -o new",
    "transform dump --out=new",
    "transform dump new --archive=new.archive",
    "transform --uri mongodb://localhost dump new",
    "transform dump new --collection user_data",
    "transform dump new --batch-size 500",
    "transform dump new --drop",
    "transform dump new --expect-docs 1,000",
    "transform dump new --expect-docs 10_523",
    "transform dump new --expect-docs many",
    "transform dump new --expect-docs 59",
    "transform dump new --max-findings 1,000",
    "transform dump new --max-rejected 0.1%",
    "transform dump new --gzip-level 11",
    "transform dump new --threads 0",
    "transform dump new --indexes unique",
    "transform dump new --mapping nothing.toml",
    "transform dump new --mapping builtin:users",
    "transform dump new -d elsewhere",
    "transform dump out",
    "transform dump missing/new",
    "transform dump dump/new",
    "transform out new",
    "transform nothing new",
    "transform notes.txt new",
    "transform empty new",
    "transform other new",
    "transform damaged new",
    "transform damaged new",
    "transform dump new --report missing/report.json",
    "transform dump new --quiet --verbose",
    "verify dump",
    "verify out -o new",
    "verify out --source dump --restored dump",
    "verify --check-rollback out",
    "reverse out",
    "reverse back new",
    "reverse out new --strict",
    "show out --id nothing",
    "sample dump new",
    "sample dump new --docs 1,000",
    "sample dump -o new --docs 5",
    "sample dump new --docs 5 --archive=new.archive",
    "sample - new --docs 5",
    "sample dump dump/new --docs 5",
    "sample dump new --docs 5 --mask short.key",
    "sample dump new --docs 5 --mask nothing.key",
];

#[test]
fn each_mistake_is_told_with_what_to_type_instead() {
    let world = World::new();
    symlink(root().join("fixtures/dump"), world.path("dump")).expect("a link");
    world.run_inside(["transform", "dump", "out", "-q"]).exits(0);
    world.run_inside(["reverse", "out", "back", "-q"]).exits(0);
    fs::create_dir(world.path("empty")).expect("a directory");
    world.write("short.key", "secret");
    world.write("notes.txt", "What we agreed on.\n");
    world.write("other/shop/orders.bson", "");
    world.write("other/shop/orders.metadata.json", "{\"options\":{},\"indexes\":[]}");
    let step = |rows: Bson| doc! { "type": "filter", "parameters": { "rows": rows } };
    let history = [step(1.into()), step(2.into()), step(true.into())];
    let document = doc! { "_id": 7, "transformation_history": history.to_vec() };
    let mut bytes = document.to_vec().expect("BSON");
    let at = bytes.windows(6).rposition(|bytes| bytes == b"\x08rows\0").expect("the value");
    bytes[at + 6] = 3;
    world.write("damaged/shop/user_data.bson", bytes);
    world.write("damaged/shop/user_data.metadata.json", "{\"options\":{},\"indexes\":[]}");
    let mut text = String::new();
    for line in LINES {
        let run = world.run_inside(line.split_whitespace());
        let code = run.code().expect("a code");
        assert!((1..=4).contains(&code) && run.stdout.is_empty(), "{line}\n{run}");
        assert!(!world.path("new").exists(), "{line}");
        let said: Vec<String> = run.stderr.trim_end().lines().map(steady).collect();
        text += &format!("$ mongosplit {line}\n[{code}] {}\n\n", said.join("\n"));
    }
    golden("usage.txt", &world.plain(&text));
}
