//! What a command tells people: a verdict, and below it figures, tables, charts, lines and next
//! steps. It is written as text (`text.rs`), as HTML and as Markdown.

mod html;
mod markdown;
mod text;

pub use markdown::escaped as escaped_markdown;
pub use text::Style;

use std::borrow::Cow;

use mongosplit::plain::{plain, plain_lines};
use unicode_width::UnicodeWidthStr;

use super::text::{shell_option, shell_word};

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It holds: `✓`.
    Holds,
    /// It does not hold: `✗`.
    Fails,
    /// Somebody should look at it: `!`.
    Attention,
    /// A statement.
    None,
}

/// When a part is in the text. All of them are in HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Always.
    Always,
    /// With `--verbose`.
    Verbose,
}

/// The result of a command, for people.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What holds, or does not.
    pub verdicts: Vec<Line>,
    /// What is said about it, in order.
    pub parts: Vec<Part>,
}

/// What stands above a page in a file, which is read without the terminal that it came from.
#[derive(Debug)]
pub struct Heading {
    pub title: String,
    /// How the run ended, in a few words.
    pub outcome: Line,
    /// The command line.
    pub command: String,
    /// When, how long, by what.
    pub facts: Vec<Figure>,
}

/// A sentence with its mark.
#[derive(Debug, Clone)]
pub struct Line {
    pub mark: Mark,
    pub text: String,
}

/// A part of a page.
#[derive(Debug, Clone)]
pub struct Part {
    pub shown: Shown,
    /// Above it, if it needs one.
    pub title: Option<String>,
    pub content: Content,
}

/// What a part holds.
#[derive(Debug, Clone)]
pub enum Content {
    Figures(Vec<Figure>),
    Table(Table),
    Chart(Chart),
    Lines(Vec<Line>),
    /// What should be looked at: the first few, one line each; with `--verbose`, all in full.
    Notes(Vec<Line>),
    Steps(Vec<Step>),
    /// Text that is already laid out, and is not wrapped.
    Text(String),
}

/// A named value.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: String,
    pub value: String,
}

/// Rows of cells below the names of the columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A bar for each of some values.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What the values count: `documents`.
    pub unit: String,
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    pub name: String,
    pub value: u64,
}

/// Something to do next.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// What it is for.
    pub what: String,
    /// What to run, in this order.
    pub commands: Vec<Command>,
    /// What it must say, or what to do if it does not.
    pub expects: Option<String>,
}

/// A command that can be pasted.
#[derive(Debug, Clone)]
pub enum Command {
    /// For a shell: the command's name, then options with their values and arguments, each quoted.
    /// It is broken between two of these.
    Shell(Vec<String>),
    /// For mongosh, one line.
    Mongosh(String),
}

impl Line {
    pub fn new(mark: Mark, text: impl Into<String>) -> Line {
        Line { mark, text: text.into() }
    }
    pub fn holds(text: impl Into<String>) -> Line {
        Line::new(Mark::Holds, text)
    }
    pub fn fails(text: impl Into<String>) -> Line {
        Line::new(Mark::Fails, text)
    }
    pub fn attention(text: impl Into<String>) -> Line {
        Line::new(Mark::Attention, text)
    }
    pub fn plain(text: impl Into<String>) -> Line {
        Line::new(Mark::None, text)
    }
}

impl Mark {
    /// The character that it is shown as, if any.
    pub fn symbol(self) -> Option<char> {
        match self {
            Mark::Holds => Some('✓'),
            Mark::Fails => Some('✗'),
            Mark::Attention => Some('!'),
            Mark::None => None,
        }
    }
}

impl Page {
    /// A page with one verdict.
    pub fn new(verdict: Line) -> Page {
        Page { verdicts: vec![verdict], parts: Vec::new() }
    }
    /// Adds a part that is always shown; nothing if it is empty.
    pub fn push(&mut self, content: Content) {
        self.push_part(Shown::Always, None, content);
    }
    /// Adds a part below a title; nothing if it is empty.
    pub fn push_titled(&mut self, title: &str, content: Content) {
        self.push_part(Shown::Always, Some(title.to_owned()), content);
    }
    /// Adds a part for `--verbose` and HTML; nothing if it is empty.
    pub fn push_detail(&mut self, title: &str, content: Content) {
        self.push_part(Shown::Verbose, Some(title.to_owned()), content);
    }
    fn push_part(&mut self, shown: Shown, title: Option<String>, content: Content) {
        if !content.is_empty() {
            self.parts.push(Part { shown, title, content });
        }
    }
    /// Adds what another page says: its verdicts below the verdicts, its parts below the parts.
    pub fn append(&mut self, other: Page) {
        self.verdicts.extend(other.verdicts);
        self.parts.extend(other.parts);
    }
    /// The page without what steers a terminal or turns the direction of writing: names come from dumps. Each of its
    /// forms begins with this.
    fn plain(&self) -> Page {
        let mut page = self.clone();
        page.verdicts.iter_mut().for_each(|line| make_plain(&mut line.text, plain_lines));
        for part in &mut page.parts {
            part.title.iter_mut().for_each(|title| make_plain(title, plain));
            part.content.make_plain();
        }
        page
    }
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty() && self.parts.is_empty()
    }
    /// Nothing if it says nothing.
    pub fn or_none(self) -> Option<Page> {
        Some(self).filter(|page| !page.is_empty())
    }
}

impl From<String> for Page {
    /// A text that is laid out already.
    fn from(text: String) -> Page {
        let mut page = Page { verdicts: Vec::new(), parts: Vec::new() };
        page.push(Content::Text(text));
        page
    }
}

impl Content {
    /// The same without what steers a terminal, in its texts; commands are quoted for a shell already.
    fn make_plain(&mut self) {
        match self {
            Content::Figures(figures) => figures.iter_mut().for_each(|figure| {
                make_plain(&mut figure.name, plain);
                make_plain(&mut figure.value, plain_lines);
            }),
            Content::Table(table) => {
                let cells = table.rows.iter_mut().flatten();
                cells.for_each(|cell| make_plain(cell, plain));
            }
            Content::Chart(chart) => {
                chart.bars.iter_mut().for_each(|bar| make_plain(&mut bar.name, plain));
            }
            Content::Lines(lines) | Content::Notes(lines) => {
                lines.iter_mut().for_each(|line| make_plain(&mut line.text, plain_lines));
            }
            Content::Steps(steps) => {
                for step in steps {
                    make_plain(&mut step.what, plain_lines);
                    step.expects.iter_mut().for_each(|text| make_plain(text, plain_lines));
                }
            }
            Content::Text(text) => make_plain(text, plain_lines),
        }
    }
    fn is_empty(&self) -> bool {
        match self {
            Content::Figures(figures) => figures.is_empty(),
            Content::Table(table) => table.rows.is_empty(),
            Content::Chart(chart) => chart.bars.is_empty(),
            Content::Lines(lines) | Content::Notes(lines) => lines.is_empty(),
            Content::Steps(steps) => steps.is_empty(),
            Content::Text(text) => text.is_empty(),
        }
    }
}

fn make_plain(text: &mut String, plain: fn(&str) -> Cow<'_, str>) {
    if let Cow::Owned(shown) = plain(text) {
        *text = shown;
    }
}

impl Figure {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Figure {
        Figure { name: name.into(), value: value.into() }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[(&str, Align)]) -> Table {
        let column =
            |(name, align): &(&str, Align)| Column { name: (*name).to_owned(), align: *align };
        Table { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }
}

impl Command {
    /// A command for a shell, without options and arguments.
    pub fn shell(name: &str) -> Command {
        Command::Shell(vec![name.to_owned()])
    }
    /// With an option that has no value, or an argument.
    pub fn word(self, word: &str) -> Command {
        self.raw(shell_word(word))
    }
    /// With an option and its value, which stay together.
    pub fn option(self, option: &str, value: &str) -> Command {
        self.raw(shell_option(option, value))
    }
    /// With `--uri "$MONGODB_URI"`: a password on a command line is seen by everyone.
    pub fn uri(self) -> Command {
        self.raw("--uri \"$MONGODB_URI\"".to_owned())
    }
    /// Its lines, of which all but the last are continued. A part that is wider than that stays whole.
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let parts = match self {
            Command::Shell(parts) => parts,
            Command::Mongosh(text) => return vec![text.clone()],
        };
        let mut lines = Vec::new();
        let mut line = String::new();
        for (number, part) in parts.iter().enumerate() {
            // The last part of a line needs room for ` \\` unless it is the last of all.
            let continued = if number + 1 < parts.len() { 2 } else { 0 };
            if number > 0 && line.width() + 1 + part.width() + continued > columns {
                lines.push(line + " \\");
                line = String::from(" ");
            }
            if number > 0 {
                line.push(' ');
            }
            line += part;
        }
        lines.push(line);
        lines
    }
    /// With a part that is quoted already.
    pub fn raw(self, part: String) -> Command {
        match self {
            Command::Shell(mut parts) => {
                parts.push(part);
                Command::Shell(parts)
            }
            Command::Mongosh(text) => Command::Mongosh(text + &part),
        }
    }
}
