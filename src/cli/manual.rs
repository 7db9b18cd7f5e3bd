//! The manual pages: one for each command.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::args::Arguments;

/// A manual page.
#[derive(Debug)]
pub struct Page {
    /// The name of its file: `mongosplit-mapping-check.1`.
    pub file: String,
    /// It in roff.
    pub text: Vec<u8>,
}

/// The pages of all commands; that of the program comes last.
pub fn pages() -> io::Result<Vec<Page>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(&program, &[], &mut pages)?;
    Ok(pages)
}

/// Adds the pages of a command and of those in it. `above` are the names of the commands that it is in.
fn add(command: &Command, above: &[&str], pages: &mut Vec<Page>) -> io::Result<()> {
    let name = name_of(command);
    let inside: Vec<&Command> = command.get_subcommands().collect();
    let mut below = above.to_vec();
    below.push(name);
    for one in &inside {
        add(one, &below, pages)?;
    }
    let mut text = Vec::new();
    let man = Man::new(command.clone());
    let file = man.get_filename();
    man.render(&mut text)?;
    let others = above.iter().copied().chain(inside.iter().map(|one| name_of(one)));
    let others: Vec<String> =
        others.map(|name| format!("{}(1)", name.replace('-', "\\-"))).collect();
    text.extend_from_slice(format!(".SH \"SEE ALSO\"\n{}\n", others.join(", ")).as_bytes());
    pages.push(Page { file, text });
    Ok(())
}

/// `mongosplit-mapping-check`.
fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_is_named_and_names_only_pages_that_are_there() {
        let pages = pages().expect("pages");
        let names: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(names.last(), Some(&"mongosplit.1"));
        assert!(names.contains(&"mongosplit-mapping-check.1"), "{names:?}");
        for Page { file, text } in &pages {
            let text = String::from_utf8_lossy(text).replace("\\-", "-");
            let (_, also) = text.split_once(".SH \"SEE ALSO\"\n").expect("a last section");
            assert!(!also.trim().is_empty(), "{file}");
            let before = text.match_indices("(1)").map(|(at, _)| &text[..at]);
            for other in before {
                let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '-';
                let at = other.rfind(|letter| !is_name(letter)).map_or(0, |at| at + 1);
                let other = format!("{}.1", &other[at..]);
                assert!(names.contains(&other.as_str()), "{file} names {other}");
            }
        }
    }
}
