//! Sessions in Markdown pages: commands behind `$ `, and below them what they print. `…` stands for what is left out:
//! lines where it is alone on one, else a part of a line.

use super::steady;

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block<'a> {
    /// What stands behind its opening fence.
    pub mark: &'a str,
    /// The number of its first line in the page.
    pub line: usize,
    /// The last line above it that is not empty.
    pub above: &'a str,
    pub lines: Vec<&'a str>,
}

/// A command, and the lines that are printed below it.
#[derive(Debug)]
pub struct Step {
    /// The number of its line in the page.
    pub line: usize,
    pub command: String,
    pub output: Vec<String>,
}

/// The fenced blocks of a page.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let (mut is_inside, mut above) = (false, "");
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_inside => is_inside = false,
            Some(mark) => {
                is_inside = true;
                blocks.push(Block { mark, line: index + 2, above, lines: Vec::new() });
            }
            None if is_inside => blocks.last_mut().expect("a fence first").lines.push(line),
            None if line.is_empty() => {}
            None => above = line,
        }
    }
    assert!(!is_inside, "the last block does not end");
    blocks
}

impl Block<'_> {
    /// Its commands. One that ends in a backslash goes on in the next line.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                let (line, command) = (self.line + index, command.to_owned());
                steps.push(Step { line, command, output: Vec::new() });
                continue;
            }
            let step = steps.last_mut().expect("a command first");
            match step.command.ends_with('\\') {
                true => step.command.extend(["\n", line]),
                false => step.output.push((*line).to_owned()),
            }
        }
        for Step { output, .. } in &mut steps {
            output
                .truncate(output.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1));
        }
        steps
    }
}

impl Step {
    /// Fails unless the command has printed what the page says; times may differ.
    #[track_caller]
    pub fn check(&self, page: &str, found: &str) {
        let expected: Vec<String> = self.output.iter().map(|line| steady(line)).collect();
        let found: Vec<String> = found.lines().map(steady).collect();
        assert!(
            lines_fit(&expected, &found),
            "{page}, line {}:\n$ {}\nprinted there:\n{}\nfound:\n{}",
            self.line,
            self.command,
            expected.join("\n"),
            found.join("\n")
        );
    }
}

/// Whether lines are the expected ones.
pub fn lines_fit(expected: &[String], found: &[String]) -> bool {
    fits(expected, found, |line| line == "…", |one, other| line_fits(one, other))
}

fn line_fits(expected: &str, found: &str) -> bool {
    let (expected, found): (Vec<char>, Vec<char>) =
        (expected.chars().collect(), found.chars().collect());
    fits(&expected, &found, |letter| *letter == '…', |one, other| one == other)
}

/// Whether a sequence is the expected one, in which gaps stand for anything. The parts between gaps are looked for in
/// their order, each as early as possible; the last one is at the end.
fn fits<T>(
    expected: &[T],
    found: &[T],
    is_gap: impl Fn(&T) -> bool,
    is_same: impl Fn(&T, &T) -> bool,
) -> bool {
    let begins = |found: &[T], part: &[T]| {
        found.len() >= part.len() && part.iter().zip(found).all(|(one, other)| is_same(one, other))
    };
    let parts: Vec<&[T]> = expected.split(is_gap).collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return found.len() == expected.len() && begins(found, expected);
    };
    if !begins(found, first) {
        return false;
    }
    let mut rest = &found[first.len()..];
    for part in middle {
        let Some(at) = (0..=rest.len()).find(|at| begins(&rest[*at..], part)) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && begins(&rest[rest.len() - last.len()..], last)
}
