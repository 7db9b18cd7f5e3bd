//! The mappings that are shipped: they can be used, pass their own tests, and are shown as golden
//! texts say (`UPDATE_GOLDEN=1` rewrites these).

mod harness;

use std::fs;

use harness::files::names_in;
use harness::{World, framed, golden, root};
use mongosplit::cases;
use mongosplit::journal::Reader;
use mongosplit::mapping::{Mapped, Mapper, Plan, Problem};

/// The mappings' files below `mappings`, and their texts.
fn shipped() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for directory in ["mappings", "mappings/examples"] {
        let mut names = names_in(&root().join(directory));
        names.sort();
        files.extend(names.into_iter().filter(|name| name.ends_with(".toml")).map(|name| {
            let file = format!("{directory}/{name}");
            let text = fs::read_to_string(root().join(&file)).expect("a mapping");
            (file, text)
        }));
    }
    assert!(files.len() >= 12, "{files:?}");
    files
}

#[test]
fn they_can_be_used() {
    for (file, text) in shipped() {
        let checked = Plan::check(&text).in_file(&file);
        let problems: Vec<String> = checked.problems.iter().map(Problem::to_string).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

#[test]
fn they_pass_their_tests() {
    let mut failed = Vec::new();
    for (file, text) in shipped() {
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let report = cases::run(&plan);
        assert!(!file.contains("examples") || report.tests.len() > 1, "{file} has no tests");
        for test in report.failed() {
            failed.extend(
                test.failures.iter().map(|failure| format!("{file}:{}: {failure}", test.line)),
            );
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What the journal keeps of each test's document can be told from the notes, to their end.
#[test]
fn what_is_kept_is_told() {
    let mut kept = 0;
    for (file, text) in shipped() {
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let cases = plan.cases();
        let mut mapped = Mapped::default();
        let given = || cases.iter().map(|case| case.given.as_slice());
        Mapper::new(&plan).map(given(), |_| None, &mut mapped).expect("valid documents");
        let notes = &mapped.notes;
        let values = framed(notes.values());
        let mut reader = Reader::new(notes.program(), &values, notes.orders());
        for document in given() {
            let told = plan.kept(&mut reader, document, &mut |_| kept += 1);
            told.unwrap_or_else(|misfit| panic!("{file}: {misfit}"));
        }
        assert!(reader.is_at_end(), "{file}");
    }
    assert!(kept > 50, "{kept}");
}

#[test]
fn they_are_shown_in_words() {
    let mut all = String::new();
    for (file, text) in shipped() {
        let shown = Plan::parse(&text).unwrap_or_else(|error| panic!("{file}: {error}")).show();
        for line in shown.lines() {
            assert!(line.chars().count() <= 100 && line.trim_end() == line, "{file}: {line:?}");
        }
        // The SHA-256 changes with every comment in the file.
        let steady: Vec<&str> =
            shown.lines().filter(|line| !line.starts_with("SHA-256 ")).collect();
        all += &format!("==> {file} <==\n{}\n\n", steady.join("\n"));
    }
    golden("mapping_show.txt", &all);
}

#[test]
fn the_built_in_ones_have_names() {
    let names: Vec<&str> = Plan::built_in_names().collect();
    assert_eq!(names, ["user_data", "ml_models"]);
    for name in names {
        let plan = Plan::built_in_named(name).expect("it is there").expect("it compiles");
        assert_eq!(plan.id().name, name);
        let file = root().join("mappings").join(format!("{name}.toml"));
        assert_eq!(fs::read_to_string(file).expect("its file"), plan.text());
    }
    assert!(Plan::built_in_named("user_dat").is_none());
    let world = World::new();
    for arguments in [
        vec!["mapping", "show", "builtin:users"],
        vec!["transform", "fixtures/dump", "out", "--dry-run", "--mapping", "builtin:users"],
    ] {
        world.run(arguments).exits(2).complains(
            &world,
            "mongosplit: there is no built-in mapping 'users'; there are user_data and ml_models",
        );
    }
}
