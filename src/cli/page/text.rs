//! A page as text. Nothing is wider than the style's columns, but for words that are, such as paths.

use anstyle::{AnsiColor, Color, Style as Ansi};
use textwrap::Options;
use unicode_width::UnicodeWidthStr;

use super::super::text::thousands;
use super::{Align, Chart, Content, Figure, Line, Mark, Page, Part, Shown, Step, Table};

/// How a page is written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The widest line.
    pub columns: usize,
    /// With colours.
    pub has_colour: bool,
    /// With the parts that `--verbose` shows.
    pub is_verbose: bool,
}

impl Default for Style {
    /// For a file: 80 columns, without colours and details.
    fn default() -> Self {
        Style { columns: 80, has_colour: false, is_verbose: false }
    }
}

/// How many notes are shown without `--verbose`.
const NOTES: usize = 4;
/// The columns that the last cell of a row is wrapped in.
const NARROWEST_CELL: usize = 30;
/// The widest bar of a chart.
const BAR: usize = 24;

impl Page {
    /// The page as text; each line ends in a newline.
    pub fn to_text(&self, style: Style) -> String {
        let mut text = Text { lines: String::new(), style };
        let page = self.plain();
        page.verdicts.iter().for_each(|line| text.verdict(line));
        for part in &page.parts {
            if part.shown == Shown::Always || style.is_verbose {
                text.part(part);
            }
        }
        text.lines
    }
}

struct Text {
    lines: String,
    style: Style,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.lines += line.trim_end();
        self.lines.push('\n');
    }

    /// Words in as many lines as it takes; all but the first begin with `rest`.
    fn wrapped(&mut self, first: &str, rest: &str, words: &str) {
        let options = unbroken(self.style.columns).initial_indent(first).subsequent_indent(rest);
        for line in words.lines() {
            textwrap::wrap(line, &options).iter().for_each(|line| self.line(line));
        }
    }

    fn painted(&self, ansi: Ansi, text: &str) -> String {
        match self.style.has_colour {
            true => format!("{ansi}{text}{ansi:#}"),
            false => text.to_owned(),
        }
    }

    /// A line with its mark in front, in colour.
    fn marked(&mut self, line: &Line, is_bold: bool) {
        let Some(symbol) = line.mark.symbol() else {
            return self.wrapped("  ", "    ", &line.text);
        };
        let begin = self.lines.len();
        self.wrapped(&format!("{symbol} "), "  ", &line.text);
        if self.style.has_colour {
            let written = self.lines.split_off(begin);
            let (symbol, words) = written.split_once(' ').unwrap_or((&written, ""));
            let colour = colour(line.mark);
            let ansi = if is_bold { colour.bold() } else { colour };
            self.lines += &format!("{} {words}", self.painted(ansi, symbol));
        }
    }

    fn verdict(&mut self, line: &Line) {
        self.marked(line, true);
    }

    fn part(&mut self, part: &Part) {
        if let Some(title) = &part.title {
            self.lines.push('\n');
            let title = self.painted(Ansi::new().bold(), &format!("{title}:"));
            self.line(&title);
        }
        match &part.content {
            Content::Figures(figures) => self.figures(figures),
            Content::Table(table) => self.table(table),
            Content::Chart(chart) => self.chart(chart),
            Content::Lines(lines) => lines.iter().for_each(|line| self.marked(line, false)),
            Content::Notes(lines) => self.notes(lines),
            Content::Steps(steps) => self.steps(steps),
            Content::Text(text) => text.lines().for_each(|line| self.line(line)),
        }
    }

    fn notes(&mut self, lines: &[Line]) {
        if self.style.is_verbose {
            return lines.iter().for_each(|line| self.marked(line, false));
        }
        let shown = if lines.len() > NOTES { NOTES - 1 } else { lines.len() };
        for line in &lines[..shown] {
            let symbol = line.mark.symbol().map_or(" ".to_owned(), String::from);
            let symbol = self.painted(colour(line.mark), &symbol);
            self.line(&format!("{symbol} {}", self.on_one_line(&line.text)));
        }
        if lines.len() > shown {
            let more = format!("and {} more (-v lists them)", lines.len() - shown);
            self.marked(&Line::attention(more), false);
        }
    }

    /// As many words as there is room for behind a mark. A path at the end is kept.
    fn on_one_line(&self, words: &str) -> String {
        let room = self.style.columns - 2;
        let first = words.lines().next().unwrap_or_default();
        let mut lines = textwrap::wrap(first, unbroken(room - 2)).into_iter();
        let begin = lines.next().unwrap_or_default();
        let is_path = |rest: &str| rest.contains('/') && !rest.contains(' ');
        let is_whole = first.len() == words.len();
        if is_whole && (words.width() <= room || is_path(first[begin.len()..].trim())) {
            return words.to_owned();
        }
        format!("{begin} …")
    }

    fn figures(&mut self, figures: &[Figure]) {
        let width = figures.iter().map(|figure| figure.name.width()).max().unwrap_or(0);
        for Figure { name, value } in figures {
            let first = format!("  {name}{}  ", spaces(width - name.width()));
            self.wrapped(&first, &spaces(width + 4), value);
        }
    }

    fn table(&mut self, table: &Table) {
        let has_names = table.columns.iter().any(|column| !column.name.is_empty());
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let rows = has_names.then_some(&names).into_iter().chain(&table.rows);
        let mut widths = vec![0; table.columns.len()];
        for row in rows.clone() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let last = table.columns.len().saturating_sub(1);
        let before: usize = widths[..last].iter().map(|width| width + 2).sum::<usize>() + 2;
        let is_wide = before + widths.get(last).unwrap_or(&0) > self.style.columns;
        let is_left = table.columns.last().is_some_and(|column| column.align == Align::Left);
        for row in rows {
            let mut line = String::new();
            let cells = row.iter().zip(&table.columns).zip(&widths).enumerate();
            for (number, ((cell, column), width)) in cells {
                let padding = spaces(width - cell.width());
                line += "  ";
                line += &match column.align {
                    // What comes last may be long.
                    Align::Left if number == last => break,
                    Align::Left => cell.clone() + &padding,
                    Align::Right => padding + cell,
                };
            }
            match row.get(last).filter(|cell| is_left && !cell.is_empty()) {
                None => self.line(&line),
                Some(cell) if !is_wide || last == 0 => self.line(&(line + cell)),
                // It is wrapped in its column, or below the row if that is narrow.
                Some(cell) if before + NARROWEST_CELL <= self.style.columns => {
                    self.wrapped(&line, &spaces(before), cell);
                }
                Some(cell) => {
                    self.line(&line);
                    self.wrapped("    ", "    ", cell);
                }
            }
        }
    }

    fn chart(&mut self, chart: &Chart) {
        let name_width = chart.bars.iter().map(|bar| bar.name.width()).max().unwrap_or(0);
        let values: Vec<String> = chart.bars.iter().map(|bar| thousands(bar.value)).collect();
        let value_width = values.iter().map(|value| value.width()).max().unwrap_or(0);
        let most = chart.bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
        for (bar, value) in chart.bars.iter().zip(&values) {
            let length = (bar.value as usize).saturating_mul(BAR).div_ceil(most as usize);
            let name = format!("{}{}", bar.name, spaces(name_width - bar.name.width()));
            let value = format!("{}{value}", spaces(value_width - value.width()));
            let shape = self.painted(
                Ansi::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan))),
                &"█".repeat(length),
            );
            self.line(&format!("  {name}  {value}  {shape}"));
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            self.wrapped(&format!("{}. ", number + 1), "   ", &step.what);
            for command in &step.commands {
                command.lines(self.style.columns - 5).iter().for_each(|line| {
                    self.line(&format!("     {line}"));
                });
            }
            if let Some(expects) = &step.expects {
                self.wrapped("   ", "   ", expects);
            }
        }
    }
}

/// Lines of so many columns, broken between words only.
fn unbroken<'o>(columns: usize) -> Options<'o> {
    Options::new(columns)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
}

fn colour(mark: Mark) -> Ansi {
    let colour = match mark {
        Mark::Holds => AnsiColor::Green,
        Mark::Fails => AnsiColor::Red,
        Mark::Attention => AnsiColor::Yellow,
        Mark::None => return Ansi::new(),
    };
    Ansi::new().fg_color(Some(Color::Ansi(colour)))
}

fn spaces(number: usize) -> String {
    " ".repeat(number)
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    #[test]
    fn fits_the_columns() {
        let mut page = Page::new(Line::holds("a ".repeat(60)));
        page.push(Content::Figures(vec![
            Figure::new("documents", "60"),
            Figure::new("source", "word ".repeat(30)),
        ]));
        let mut table = Table::new(&[("name", Align::Left), ("documents", Align::Right)]);
        table.rows =
            vec![vec!["é".to_owned(), "1".to_owned()], vec!["abc".to_owned(), "1,000".to_owned()]];
        page.push_titled("Collections", Content::Table(table));
        let bar = |name: &str, value| super::super::Bar { name: name.to_owned(), value };
        page.push(Content::Chart(Chart {
            unit: "documents".to_owned(),
            bars: vec![bar("up to 1 kB", 1), bar("more", 1000), bar("none", 0)],
        }));
        page.push_detail("Detail", Content::Lines(vec![Line::attention("look")]));
        let mut command = Command::shell("mongorestore").uri();
        for name in ["one", "two", "three", "four"] {
            command = command.option("--nsInclude", &format!("database.collection_{name}"));
        }
        page.push_titled(
            "Next",
            Content::Steps(vec![Step {
                what: "Restore it".to_owned(),
                commands: vec![command.word("a b")],
                expects: Some("It must say so.".to_owned()),
            }]),
        );
        let mut table = Table::new(&[("", Align::Right), ("", Align::Left)]);
        table.rows = vec![
            vec!["1 kB".to_owned(), "word ".repeat(30)],
            vec!["10 kB".to_owned(), String::new()],
        ];
        page.push(Content::Table(table));
        let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
        table.rows = vec![vec!["a".repeat(60), "0".repeat(64)]];
        page.push(Content::Table(table));
        let text = page.to_text(Style::default());
        assert_eq!(
            text,
            "\
✓ a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a
  a a a a a a a a a a a a a a a a a a a a a
  documents  60
  source     word word word word word word word word word word word word word
             word word word word word word word word word word word word word
             word word word word

Collections:
  name  documents
  é             1
  abc       1,000
  up to 1 kB      1  █
  more        1,000  ████████████████████████
  none            0

Next:
1. Restore it
     mongorestore --uri \"$MONGODB_URI\" --nsInclude database.collection_one \\
       --nsInclude database.collection_two \\
       --nsInclude database.collection_three \\
       --nsInclude database.collection_four 'a b'
   It must say so.
   1 kB  word word word word word word word word word word word word word word
         word word word word word word word word word word word word word word
         word word
  10 kB
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    0000000000000000000000000000000000000000000000000000000000000000
"
        );
        assert!(text.lines().all(|line| line.width() <= 80));
        let verbose = Style { has_colour: true, is_verbose: true, ..Style::default() };
        let text = page.to_text(verbose);
        assert!(text.contains("\u{1b}[33m!\u{1b}[0m look"), "{text:?}");
        assert!(text.starts_with("\u{1b}[1m\u{1b}[32m✓\u{1b}[0m a a"), "{text:?}");
    }
    #[test]
    fn a_note_has_one_line() {
        let notes = [
            "short".to_owned(),
            format!("said of '/a/{}'", "long/".repeat(20)),
            "and the rest ".repeat(9),
        ];
        let mut page = Page::new(Line::holds("it holds"));
        page.push(Content::Notes(notes.iter().map(Line::attention).collect()));
        let line = |end: &str| format!("! {end}");
        let text = page.to_text(Style::default());
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines[..2], [line(&notes[0]), line(&notes[1])]);
        assert!(lines[2].ends_with(" the …") && lines[2].width() <= 80, "{text}");
    }
}
