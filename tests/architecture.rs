//! What may import what in `src`. An import that is against the table fails here, and so does an exception that
//! nothing needs any more.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::{files, root};

/// A module below `src`, and the others whose items its files may name. All may name their own.
const TABLE: [(&str, &[&str]); 7] = [
    ("base", &[]),
    ("dump", &["base"]),
    ("journal", &["base"]),
    ("mapping", &["base"]),
    ("artifact", &["base"]),
    ("ops", &["artifact", "mapping", "journal", "dump", "base"]),
    // The binary: it has the library by its name, as every other program.
    ("cli", &[]),
];

/// Single items that are allowed besides: files whose path starts so, and what they may name.
const BESIDES: [(&str, &str); 7] = [
    // The mapping takes its notes in the journal's code, as it makes them.
    ("mapping/", "journal::FixKind"),
    ("mapping/", "journal::Misfit"),
    ("mapping/", "journal::Notes"),
    ("mapping/", "journal::Reader"),
    ("mapping/", "journal::put_number"),
    // Opening an output compares its journals' headers with the manifest.
    ("artifact/", "journal::Header"),
    // Input and output are kept apart, and a lone .bson file has metadata beside it that is input too.
    ("artifact/apart.rs", "dump::metadata_file_of"),
];

/// What is against the table, to be mended and not to be added to.
const VIOLATIONS: [(&str, &str); 0] = [];

/// The words and signs of a source text, without comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let starts = |what: &str| letters[at..].iter().copied().take(what.len()).eq(what.chars());
        let find = |from: usize, what: &str| {
            let what: Vec<char> = what.chars().collect();
            let end = letters[from..].windows(what.len()).position(|window| window == what);
            end.map_or(letters.len(), |end| from + end + what.len())
        };
        let letter = letters[at];
        if starts("//") {
            at = find(at, "\n");
        } else if starts("/*") {
            at = find(at, "*/");
        } else if starts("r\"") || starts("r#") || starts("br\"") || starts("br#") {
            let quote = find(at, "\"");
            let hashes = letters[at..quote].iter().filter(|letter| **letter == '#').count();
            at = find(quote, &format!("\"{}", "#".repeat(hashes)));
        } else if letter == '"' {
            at += 1;
            while letters[at] != '"' {
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if letter == '\'' {
            // A character; or a lifetime, which is two tokens of no interest.
            let is_character = letters[at + 1] == '\\' || letters.get(at + 2) == Some(&'\'');
            at = if is_character {
                find(at + 2 + usize::from(letters[at + 1] == '\\'), "'")
            } else {
                at + 1
            };
        } else if is_word(letter) {
            let length = letters[at..].iter().take_while(|letter| is_word(**letter)).count();
            tokens.push(letters[at..at + length].iter().collect());
            at += length;
        } else {
            if starts("::") {
                tokens.push("::".to_owned());
                at += 1;
            } else if !letter.is_whitespace() {
                tokens.push(letter.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// The paths that begin at a token, the braces of a `use` taken apart; gives the token behind them.
fn paths(tokens: &[String], mut at: usize, prefix: &[&str], found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        if tokens[at] == "{" {
            at += 1;
            while tokens[at] != "}" {
                at = paths(tokens, at, &path, found);
                at += usize::from(tokens[at] == ",");
            }
            return at + 1;
        }
        path.push(&tokens[at]);
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") || tokens[at + 1] == "<" {
            break;
        }
        at += 1;
    }
    if tokens.get(at).is_some_and(|token| token == "as") {
        at += 2;
    }
    path.retain(|name| *name != "self");
    found.push(path.join("::"));
    at
}

/// The files of `src`, each with its tokens.
fn sources() -> BTreeMap<String, Vec<String>> {
    let mut files = files(&root().join("src"));
    // Tests have data beside them.
    files.retain(|name, _| name.ends_with(".rs"));
    let files = files.into_iter();
    files.map(|(name, bytes)| (name, tokens(&String::from_utf8(bytes).expect("UTF-8")))).collect()
}

/// What `lib.rs` passes on under a short name, by that name.
fn short_names(lib: &[String]) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    for at in (0..lib.len()).filter(|at| lib[*at] == "use") {
        paths(lib, at + 1, &[], &mut found);
    }
    let last = |path: &String| path.rsplit("::").next().expect("a name").to_owned();
    found.iter().map(|path| (last(path), path.clone())).collect()
}

/// All paths from the root of the crate in a file, also those that lead there by `super`.
fn named(file: &str, tokens: &[String], short: &BTreeMap<String, String>) -> BTreeSet<String> {
    let depth = file.split('/').filter(|part| *part != "mod.rs").count();
    let mut found = Vec::new();
    let mut inline = 0;
    for (at, token) in tokens.iter().enumerate() {
        // A module within the file is its last part, so that `super` leads one step less far from there on.
        if token == "mod" && tokens.get(at + 2).is_some_and(|token| token == "{") {
            inline = 1;
        }
        let is_first = at == 0 || tokens[at - 1] != "::";
        if token == "crate" && is_first && tokens[at + 1] == "::" {
            paths(tokens, at + 2, &[], &mut found);
        }
        if token == "super" && is_first {
            let steps = tokens[at..].chunks(2).take_while(|two| two[0] == "super").count();
            if steps >= depth + inline {
                paths(tokens, at + 2 * steps, &[], &mut found);
            }
        }
    }
    let mut full = BTreeSet::new();
    for mut path in found {
        while let Some(long) = short.get(path.split("::").next().expect("a name")) {
            let rest = path.split_once("::").map_or(String::new(), |(_, rest)| format!("::{rest}"));
            path = long.clone() + &rest;
        }
        full.insert(path);
    }
    full
}

/// `Path::display` shows what steers a terminal, and a newline in a name as one.
#[test]
fn paths_are_shown_plain() {
    for (file, tokens) in sources() {
        let shows = |words: &[String]| words[0] == "." && words[1] == "display" && words[2] == "(";
        assert!(!tokens.windows(3).any(shows), "{file}: `.display()`; use PlainPath");
    }
}

#[test]
fn imports_are_those_of_the_table() {
    let sources = sources();
    let short = short_names(&sources["lib.rs"]);
    let mut unneeded: BTreeSet<_> = BESIDES.iter().chain(&VIOLATIONS).collect();
    let mut against = Vec::new();
    let mut count = 0;
    for (file, tokens) in sources.iter().filter(|(file, _)| file.contains('/')) {
        let own = file.split('/').next().expect("a module");
        let (_, allowed) = TABLE.iter().find(|(module, _)| *module == own).expect(own);
        for path in named(file, tokens, &short) {
            count += 1;
            let module = path.split("::").next().expect("a module");
            assert!(
                TABLE.iter().any(|(name, _)| *name == module),
                "{file}: what is crate::{path}?"
            );
            if module == own || allowed.contains(&module) {
                continue;
            }
            let is_it = |(start, what): &&(&str, &str)| file.starts_with(start) && path == *what;
            match BESIDES.iter().chain(&VIOLATIONS).find(is_it) {
                Some(exception) => drop(unneeded.remove(exception)),
                None => against.push(format!("{file}: {path}")),
            }
        }
    }
    assert!(against.is_empty(), "against the table: {against:#?}");
    assert!(unneeded.is_empty(), "exceptions that nothing needs any more: {unneeded:#?}");
    assert!(count > 300, "only {count} imports were seen");
}

/// Files of `src` that have a word.
fn having(words: &[&str]) -> Vec<String> {
    let sources = sources().into_iter();
    let has = |tokens: &[String]| tokens.iter().any(|token| words.contains(&token.as_str()));
    sources.filter(|(_, tokens)| has(tokens)).map(|(file, _)| file).collect()
}

#[test]
fn threads_and_unsafe_code_are_in_few_places() {
    assert_eq!(having(&["rayon"]), ["base/pipeline.rs"]);
    assert_eq!(having(&["unsafe"]), ["base/hash/pair.rs"]);
}

#[test]
fn the_library_knows_no_command_line() {
    for file in having(&[
        "anstyle",
        "anyhow",
        "clap",
        "clap_complete",
        "clap_mangen",
        "indicatif",
        "shlex",
        "signal_hook",
        "textwrap",
        "unicode_width",
    ]) {
        assert!(file.starts_with("cli/"), "{file}");
    }
    // And the library is one crate, which its own files do not name as another program does.
    for file in having(&["mongosplit"]) {
        assert!(file.starts_with("cli/"), "{file}");
    }
    assert_eq!(having(&["cli"]), ["main.rs"]);
}

#[test]
fn a_long_file_gives_its_reason() {
    for file in sources().keys() {
        let text = std::fs::read_to_string(root().join("src").join(file)).expect("a source file");
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let has_reason = head.replace("//!", "").contains("more than 500 lines");
        assert_eq!(text.lines().count() > 500, has_reason, "{file}");
    }
}

#[test]
fn paths_are_found_wherever_they_are() {
    let short = BTreeMap::from([("raw".to_owned(), "base::raw".to_owned())]);
    let text = r##"
        // crate::in_a_comment
        use crate::ops::{self, verify::{Report, verify as check}};
        fn f<'a>(x: &'a str) -> char { crate::raw::hex::<u8>("crate::in_a_text"); r#"crate::raw_text"#; '"' }
        use super::super::dump::Dump;
        use super::sibling;
        mod tests { use super::super::mapping; }
    "##;
    let found = named("ops/verify.rs", &tokens(text), &short);
    let expected =
        ["base::raw::hex", "dump::Dump", "ops", "ops::verify::Report", "ops::verify::verify"];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
