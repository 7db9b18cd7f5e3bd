//! Texts that are as they were: files in `tests/golden`.

use std::fs;

use super::root;

/// Compares with `tests/golden/NAME`, which `UPDATE_GOLDEN=1` writes anew.
#[track_caller]
pub fn golden(name: &str, found: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).expect("a golden file");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == found {
        return;
    }
    let at = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        text.lines().skip(at.saturating_sub(5)).take(15).collect::<Vec<_>>().join("\n")
    };
    panic!(
        "{name}: differs at line {}\nexpected:\n{}\nfound:\n{}\nUPDATE_GOLDEN=1 writes it anew",
        at + 1,
        around(&expected),
        around(found)
    );
}

/// A text as one line, however it was wrapped.
pub fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line without the times that each run has anew.
pub fn steady(line: &str) -> String {
    if let Some((time, _)) = line.split_once(" docs/s") {
        let name = time.trim_start().split(' ').next().unwrap_or_default();
        return format!("  {name}   #");
    }
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        if words[at].starts_with("seconds") && words[at - 1].contains('.') {
            words[at - 1] = if words[at - 1].starts_with('(') { "(#" } else { "#" };
        }
    }
    words.join(" ")
}
