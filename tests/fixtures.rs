//! Every odd dump of `fixtures/odd`: its exit code, what is said of it, and that nothing is left behind or lost.
//! What is said stands in `tests/golden/odd.txt`; `UPDATE_GOLDEN=1` writes it anew.

mod harness;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{World, content, files, fixture, golden, root};

/// What else a case is run with: the exit code, the case, the options.
const MORE: &str = "
0 empty-collection --allow-empty
0 empty-collection --allow-empty --gzip
0 killed-dump --allow-empty
0 gzip-empty --allow-empty
0 targets-present --allow-existing-targets
1 targets-collide-id --allow-existing-targets
1 targets-collide-key --allow-existing-targets
0 oplog-touches-source --ignore-oplog
0 oplog-apply-ops --ignore-oplog
0 oplog-apply-ops-nested --ignore-oplog
0 oplog-drop --ignore-oplog
3 oplog-truncated --ignore-oplog
0 two-databases --db narrative_modeling
0 two-databases --db narrative_staging
0 two-databases --db narrative_staging --db narrative_modeling
2 two-databases --db elsewhere
0 two-databases --all-dbs
2 two-databases --all-dbs --to-db one
2 two-databases --all-dbs --db narrative_modeling
3 no-source --all-dbs
0 duplicate-dataset-id --skip-unrestorable
0 duplicate-dataset-id-numbers --skip-unrestorable
0 duplicate-id --skip-unrestorable
0 no-id --skip-unrestorable
0 array-id --skip-unrestorable
0 regex-id --skip-unrestorable
0 undefined-id --skip-unrestorable
0 parallel-arrays --skip-unrestorable
0 parallel-arrays --skip-unrestorable --gzip
0 nested-181 --skip-unrestorable
0 nested-180-one-deeper --skip-unrestorable
0 nested-1000 --skip-unrestorable
0 unrestorable-many --skip-unrestorable
1 unrestorable-many --max-findings 2
0 unrestorable-many --skip-unrestorable --max-findings 2
1 findings --strict
1 absent-fields --strict
1 invalid-utf8 --strict
1 duplicate-fields --strict
1 journal-only --strict
1 all-id-types --strict
1 iso-text --strict
1 steps --strict
0 defaults --strict
0 model-or-not --strict
0 no-prelude --expect-docs 3
1 no-prelude --expect-docs 4
";

/// The rows of that table.
fn more() -> impl Iterator<Item = (i32, &'static str, Vec<&'static str>)> {
    MORE.trim().lines().map(|line| {
        let mut words = line.split(' ');
        let code = words.next().and_then(|code| code.parse().ok()).expect("a code");
        (code, words.next().expect("a case"), words.collect())
    })
}

/// The cases, and the exit code of each.
fn cases() -> Vec<(String, i32)> {
    let table = fs::read_to_string(fixture("odd/cases.tsv")).expect("the table");
    let case = |line: &str| {
        let mut fields = line.split('\t');
        (
            fields.next().expect("a name").to_owned(),
            fields.next().and_then(|code| code.parse().ok()).expect("a code"),
        )
    };
    table.lines().map(case).collect()
}

#[test]
fn every_folder_has_its_row() {
    let mut folders: Vec<String> = fs::read_dir(fixture("odd"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let mut named: Vec<String> = cases().into_iter().map(|(name, _)| name).collect();
    folders.sort();
    named.sort();
    assert_eq!(folders, named);
    assert!(more().all(|(_, case, _)| named.iter().any(|name| name == case)));
}

#[test]
fn every_odd_dump_ends_as_its_row_says() {
    let mut said = String::new();
    for (case, code) in cases() {
        said += &run_case(&case, &[], code);
        for (code, _, options) in more().filter(|(_, name, _)| *name == case) {
            said += &run_case(&case, &options, code);
        }
    }
    golden("odd.txt", &said);
}

/// Runs one case, checks all but the words, and gives those.
fn run_case(case: &str, options: &[&str], code: i32) -> String {
    let world = World::new();
    let dump = format!("fixtures/odd/{case}");
    let out = world.path("out");
    let before = files(&root().join(&dump));
    let transform = |more: &[&str]| {
        let args = [OsStr::new("transform"), dump.as_ref(), out.as_ref()];
        world.run(args.into_iter().chain(options.iter().chain(more).map(OsStr::new))).exits(code)
    };
    let run = transform(&[]);
    assert_eq!(files(&root().join(&dump)), before, "the input was changed\n{run}");
    world.holds_only(if code == 0 { &["out"] } else { &[] });
    // A dry run says the same, and all of it; it names no directory that has another name each time.
    let stdout = match code {
        0 => lasting(&transform(&["--dry-run", "--verbose"]).stdout),
        _ => run.stdout.clone(),
    };
    let said = format!(
        "$ transform {case} {}\nexit {code}\n{}{stdout}\n",
        options.join(" "),
        world.plain(&run.stderr)
    )
    .replace(" \nexit", "\nexit");
    if code == 0 {
        holds_and_comes_back(&world, &root().join(&dump));
    } else {
        assert!(
            run.stderr.starts_with("mongosplit: ") || run.stderr.starts_with("error: "),
            "{run}"
        );
        assert!(!run.stderr.contains("panicked"), "{run}");
        assert_eq!(run.stdout, "", "{run}");
    }
    said
}

/// The summary without what each run has anew, and without what every summary says.
fn lasting(stdout: &str) -> String {
    let kept = stdout
        .lines()
        .take_while(|line| !line.starts_with("A run without --dry-run"))
        .filter(|line| !line.contains(" docs/s, ") && !line.starts_with("  size "));
    // The fixture's usual two indexes are in every summary.
    let usual = |line: &str| {
        line.ends_with(r#"{"name":"user_id_1"})"#) || line.ends_with(r#"{"name":"created_at_1"})"#)
    };
    kept.filter(|line| !line.is_empty() && !usual(line)).map(|line| format!("{line}\n")).collect()
}

fn holds_and_comes_back(world: &World, dump: &Path) {
    let (out, back) = (world.path("out"), world.path("back"));
    world.run([OsStr::new("verify"), out.as_ref()]).exits(0);
    world.run([OsStr::new("reverse"), out.as_ref(), back.as_ref()]).exits(0);
    world.run([OsStr::new("verify"), back.as_ref()]).exits(0);
    for database in fs::read_dir(&back)
        .expect("the result")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
    {
        let name = database.file_name().expect("a name");
        for suffix in ["bson", "metadata.json"] {
            let source = source_file(&dump.join(name), suffix)
                .map(|path| content(&path))
                .filter(|bytes| !bytes.is_empty() || suffix == "bson");
            let restored = Some(database.join(format!("user_data.{suffix}")))
                .filter(|path| path.exists())
                .map(|path| content(&path));
            assert!(
                source == restored,
                "{} is not what it was: {name:?} of {}",
                suffix,
                dump.display()
            );
        }
    }
}

/// The file of a source, whatever way its name is written.
fn source_file(database: &Path, suffix: &str) -> Option<PathBuf> {
    let stems = ["user_data", "user%5Fdata"];
    let ends = ["", ".gz"];
    let names = stems.iter().flat_map(|stem| {
        ends.iter().map(move |end| database.join(format!("{stem}.{suffix}{end}")))
    });
    names.into_iter().find(|path| path.exists())
}
