//! A page as Markdown (CommonMark with GitHub's tables). Names in it come from dumps, so nothing that they hold is
//! taken for markup.

use super::super::text::thousands;
use super::{Align, Chart, Content, Figure, Heading, Line, Page, Step, Table};
use mongosplit::plain::plain_lines;

/// The widest line of a command, where it can be broken.
const COLUMNS: usize = 80;

impl Page {
    /// The page as Markdown. Its title is a heading of this level; all parts are there.
    pub fn to_markdown(&self, heading: &Heading, level: usize) -> String {
        let mut text = Markdown { text: String::new(), level };
        text.heading(0, &heading.title);
        text.block(&format!("**{}**", marked(&heading.outcome)));
        text.code(&heading.command);
        text.figures(&heading.facts);
        let page = self.plain();
        text.lines(&page.verdicts);
        for part in &page.parts {
            if let Some(title) = &part.title {
                text.heading(1, title);
            }
            match &part.content {
                Content::Figures(figures) => text.figures(figures),
                Content::Table(table) => text.table(table),
                Content::Chart(chart) => text.chart(chart),
                Content::Lines(lines) | Content::Notes(lines) => text.lines(lines),
                Content::Steps(steps) => text.steps(steps),
                Content::Text(words) => text.code(words.trim_end()),
            }
        }
        text.text
    }
}

struct Markdown {
    text: String,
    level: usize,
}

impl Markdown {
    /// Text with an empty line above it.
    fn block(&mut self, block: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += block;
        self.text.push('\n');
    }
    fn heading(&mut self, below: usize, title: &str) {
        let signs = "#".repeat(self.level + below);
        self.block(&format!("{signs} {}", escaped(title)));
    }
    fn list(&mut self, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.map(|item| format!("- {item}")).collect();
        if !items.is_empty() {
            self.block(&items.join("\n"));
        }
    }
    fn code(&mut self, code: &str) {
        let block = fenced(code, "");
        self.block(&block);
    }
    fn figures(&mut self, figures: &[Figure]) {
        let one =
            |figure: &Figure| format!("**{}:** {}", escaped(&figure.name), escaped(&figure.value));
        self.list(figures.iter().map(one));
    }
    fn lines(&mut self, lines: &[Line]) {
        self.list(lines.iter().map(marked));
    }
    fn table(&mut self, table: &Table) {
        let row = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let names = table.columns.iter().map(|column| escaped(&column.name)).collect::<Vec<_>>();
        let rules = table.columns.iter().map(|column| match column.align {
            Align::Left => "---".to_owned(),
            Align::Right => "---:".to_owned(),
        });
        let mut rows = vec![row(&names), row(&rules.collect::<Vec<_>>())];
        for cells in &table.rows {
            rows.push(row(&cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>()));
        }
        self.block(&rows.join("\n"));
    }
    fn chart(&mut self, chart: &Chart) {
        let mut table = Table::new(&[("", Align::Left), (&chart.unit, Align::Right)]);
        let row = |bar: &super::Bar| vec![bar.name.clone(), thousands(bar.value)];
        table.rows = chart.bars.iter().map(row).collect();
        self.table(&table);
    }
    fn steps(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            // What belongs to an item is indented as far as its text.
            let number = format!("{}. ", number + 1);
            let indent = " ".repeat(number.len());
            self.block(&format!("{number}{}", escaped(&step.what)));
            for command in &step.commands {
                let code = command.lines(COLUMNS).join("\n");
                self.block(&fenced(&code, &indent));
            }
            if let Some(expects) = &step.expects {
                self.block(&format!("{indent}{}", escaped(expects)));
            }
        }
    }
}

fn marked(line: &Line) -> String {
    match line.mark.symbol() {
        Some(symbol) => format!("{symbol} {}", escaped(&line.text)),
        None => escaped(&line.text),
    }
}

/// A block of code, whose fence is longer than any in it.
fn fenced(code: &str, indent: &str) -> String {
    let longest = code.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lines = [fence.as_str()].into_iter().chain(code.lines()).chain([fence.as_str()]);
    lines.map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

/// Text in one line that means nothing but itself.
pub fn escaped(text: &str) -> String {
    let text = plain_lines(text).replace('\n', " ");
    let letters: Vec<char> = text.trim().chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, letter) in letters.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1).copied();
        let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // An entity has a name or a number.
            '&' if after.is_some_and(|after| after == '#' || after.is_alphabetic()) => {
                out.push_str("&amp;");
            }
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => out.extend(['\\', letter]),
            // Within a word it is one.
            '_' if !(is_word(before) && is_word(after)) => out.push_str("\\_"),
            // A list or a heading.
            '#' | '+' | '-' | '=' if at == 0 => out.extend(['\\', letter]),
            '.' | ')' if after.is_none_or(|after| after == ' ') && is_number(&letters[..at]) => {
                out.extend(['\\', letter]);
            }
            // An address would become a link.
            '/' if before == Some(':') && after == Some('/') => out.push_str("\\/"),
            '.' if out.ends_with("www") || out.ends_with("WWW") => out.push_str("\\."),
            _ => out.push(letter),
        }
    }
    out
}

fn is_number(letters: &[char]) -> bool {
    !letters.is_empty() && letters.iter().all(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        for (name, expected) in [
            ("narrative_modeling.user_data", "narrative_modeling.user_data"),
            ("_a_", "\\_a\\_"),
            ("<script>&amp;&", "&lt;script&gt;&amp;amp;&"),
            ("[x](http://a.b) `c` *d* | ~e~", "\\[x\\](http:\\//a.b) \\`c\\` \\*d\\* \\| \\~e\\~"),
            ("# a", "\\# a"),
            ("1. a", "1\\. a"),
            ("1.5 a", "1.5 a"),
            ("a\nb\u{1b}\u{202e}", "a b\\\\u{1b}\\\\u{202e}"),
        ] {
            assert_eq!(escaped(name), expected);
        }
        assert_eq!(fenced("a\n```` b", " "), " `````\n a\n ```` b\n `````");
    }
}
