//! A page as one file of HTML: no script, nothing that is fetched. It follows the reader's light or dark, prints, and
//! fits a phone: what is wide scrolls within its own box.

use std::fmt::Write;

use super::super::text::thousands;
use super::{Align, Chart, Content, Figure, Heading, Line, Mark, Page, Step, Table};

/// The widest line of a command, where it can be broken.
const COLUMNS: usize = 76;
/// The height of a bar with its name, in pixels.
const BAR: usize = 38;
/// The longest name above a bar, in letters. The table has all of it.
const NAME: usize = 24;

const STYLE: &str = include_str!("page.css");

impl Page {
    /// The page as HTML, with all its parts.
    pub fn to_html(&self, heading: &Heading) -> String {
        let mut html = Html { text: String::new(), charts: 0 };
        html.head(heading);
        let page = self.plain();
        html.verdicts(&page.verdicts);
        // A part without a title goes on with what stands above it.
        let mut is_open = false;
        for part in &page.parts {
            if part.title.is_some() || !is_open {
                if is_open {
                    html.push("</section>\n");
                }
                html.push("<section>\n");
                is_open = true;
            }
            let title = part.title.as_deref();
            if let Some(title) = title {
                html.line("h2", title);
            }
            html.content(&part.content, title);
        }
        if is_open {
            html.push("</section>\n");
        }
        html.push("</main>\n</body>\n</html>\n");
        html.text
    }
}

struct Html {
    text: String,
    charts: usize,
}

impl Html {
    fn push(&mut self, html: &str) {
        self.text += html;
    }
    fn line(&mut self, tag: &str, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "<{tag}>{}</{tag}>", escaped(text));
    }

    fn head(&mut self, heading: &Heading) {
        let Heading { title, outcome, command, facts } = heading;
        let _ = write!(
            self.text,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n",
            escaped(title),
            escaped(&outcome.text),
        );
        let class = class(outcome.mark);
        let _ = writeln!(
            self.text,
            "<div class=\"title\">\n<h1>{}</h1>\n<p class=\"outcome {class}\">{}{}</p>\n</div>",
            escaped(title),
            // The words beside it say the same.
            shape(outcome.mark),
            escaped(&outcome.text)
        );
        let _ = writeln!(self.text, "<pre><code>{}</code></pre>", escaped(command));
        self.figures(facts, "facts");
        self.push("</header>\n");
    }

    fn verdicts(&mut self, verdicts: &[Line]) {
        for Line { mark, text } in verdicts {
            let class = class(*mark);
            let _ = writeln!(
                self.text,
                "<p class=\"verdict {class}\">{}<span>{}</span></p>",
                symbol(*mark),
                escaped(text)
            );
        }
    }

    fn content(&mut self, content: &Content, title: Option<&str>) {
        match content {
            Content::Figures(figures) => self.figures(figures, "figures"),
            Content::Table(table) => self.table(table, title.unwrap_or("Collections")),
            Content::Chart(chart) => self.chart(chart, title.unwrap_or("Chart")),
            Content::Lines(lines) | Content::Notes(lines) => self.lines(lines),
            Content::Steps(steps) => self.steps(steps),
            Content::Text(text) => {
                let _ = writeln!(
                    self.text,
                    "<pre class=\"text\" tabindex=\"0\">{}</pre>",
                    escaped(text)
                );
            }
        }
    }

    fn figures(&mut self, figures: &[Figure], class: &str) {
        let _ = writeln!(self.text, "<dl class=\"{class}\">");
        for Figure { name, value } in figures {
            let _ = writeln!(
                self.text,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escaped(name),
                escaped(value)
            );
        }
        self.push("</dl>\n");
    }

    fn table(&mut self, table: &Table, label: &str) {
        let align = |number: usize| match table.columns.get(number).map(|column| column.align) {
            Some(Align::Right) => " class=\"number\"",
            _ => "",
        };
        // It scrolls, so that it can be reached with the keyboard.
        let _ = writeln!(
            self.text,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>",
            escaped(label)
        );
        if table.columns.iter().any(|column| !column.name.is_empty()) {
            self.push("<thead><tr>");
            for (number, column) in table.columns.iter().enumerate() {
                // A heading without words is none.
                let tag = if column.name.is_empty() { "td" } else { "th" };
                let scope = if column.name.is_empty() { "" } else { " scope=\"col\"" };
                let name = escaped(&column.name);
                let _ = write!(self.text, "<{tag}{scope}{}>{name}</{tag}>", align(number));
            }
            self.push("</tr></thead>\n");
        }
        self.push("<tbody>\n");
        for row in &table.rows {
            self.push("<tr>");
            for (number, cell) in row.iter().enumerate() {
                let _ = write!(self.text, "<td{}>{}</td>", align(number), escaped(cell));
            }
            self.push("</tr>\n");
        }
        self.push("</tbody>\n</table>\n</div>\n");
    }

    /// Bars below their names. Widths are shares of the page's, so that the letters stay as large on a phone.
    fn chart(&mut self, chart: &Chart, label: &str) {
        self.charts += 1;
        let number = self.charts;
        let most = chart.bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
        let _ = writeln!(
            self.text,
            "<figure>\n<svg role=\"img\" aria-labelledby=\"chart-{number}\" width=\"100%\" height=\"{}\">\n<title id=\"chart-{number}\">{}, {}; the table below has all values</title>",
            chart.bars.len() * BAR,
            escaped(label),
            escaped(&chart.unit),
        );
        for (row, bar) in chart.bars.iter().enumerate() {
            let top = row * BAR;
            // Little is still something.
            let least = if bar.value == 0 { 0.0 } else { 0.7 };
            let percent = (bar.value as f64 * 100.0 / most as f64).max(least);
            let name: String = match bar.name.char_indices().nth(NAME) {
                Some((end, _)) => format!("{}…", &bar.name[..end]),
                None => bar.name.clone(),
            };
            let _ = writeln!(
                self.text,
                "<text x=\"0\" y=\"{}\">{}</text><text class=\"value\" x=\"100%\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"room\" x=\"0\" y=\"{}\" width=\"100%\" height=\"10\" rx=\"3\"/>\
                 <rect class=\"bar\" x=\"0\" y=\"{}\" width=\"{percent:.2}%\" height=\"10\" rx=\"3\"/>",
                top + 14,
                escaped(&name),
                top + 14,
                thousands(bar.value),
                top + 20,
                top + 20,
            );
        }
        self.push("</svg>\n<details>\n<summary>Table</summary>\n");
        let mut table = Table::new(&[("", Align::Left), (&chart.unit, Align::Right)]);
        let row = |bar: &super::Bar| vec![bar.name.clone(), thousands(bar.value)];
        table.rows = chart.bars.iter().map(row).collect();
        self.table(&table, label);
        self.push("</details>\n</figure>\n");
    }

    fn lines(&mut self, lines: &[Line]) {
        self.push("<ul class=\"lines\">\n");
        for Line { mark, text } in lines {
            let class = class(*mark);
            let (symbol, text) = (symbol(*mark), escaped(text));
            let _ = writeln!(self.text, "<li class=\"{class}\">{symbol}<span>{text}</span></li>");
        }
        self.push("</ul>\n");
    }

    fn steps(&mut self, steps: &[Step]) {
        self.push("<ol class=\"steps\">\n");
        for step in steps {
            self.push("<li>\n");
            self.line("p", &step.what);
            for command in &step.commands {
                let lines = command.lines(COLUMNS).join("\n");
                let _ = writeln!(self.text, "<pre><code>{}</code></pre>", escaped(&lines));
            }
            if let Some(expects) = &step.expects {
                self.line("p", expects);
            }
            self.push("</li>\n");
        }
        self.push("</ol>\n");
    }
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Holds => "holds",
        Mark::Fails => "fails",
        Mark::Attention => "attention",
        Mark::None => "plain",
    }
}

/// A mark, which a screen reader says in a word.
fn symbol(mark: Mark) -> String {
    let word = match mark {
        Mark::Holds => "Holds: ",
        Mark::Fails => "Does not hold: ",
        Mark::Attention => "Attention: ",
        Mark::None => return String::new(),
    };
    format!("{}<span class=\"spoken\">{word}</span>", shape(mark))
}

/// A mark for the eye.
fn shape(mark: Mark) -> String {
    mark.symbol().map_or_else(String::new, |symbol| {
        format!("<span class=\"mark\" aria-hidden=\"true\">{symbol}</span>")
    })
}

/// Text in HTML, also within the quotes of an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Bar;
    use super::*;

    /// Each kind of part. `tests/browser` looks at what is in this golden file.
    #[test]
    fn every_part_has_its_form() {
        let bars = |many: &[(&str, u64)]| Chart {
            unit: "documents".to_owned(),
            bars: many
                .iter()
                .map(|(name, value)| Bar { name: (*name).to_owned(), value: *value })
                .collect(),
        };
        let mut page = Page::new(Line::holds("GO: the dump can be migrated in the window"));
        page.verdicts
            .push(Line::attention("Two collections have validators, which are not compared"));
        page.push(Content::Figures(vec![
            Figure::new("source", "10,523 documents, 2.14 GB"),
            Figure::new("largest", "word ".repeat(40)),
            Figure::new("SHA-256", "0123456789abcdef".repeat(4)),
        ]));
        page.push_titled(
            "Size of documents",
            Content::Chart(bars(&[
                ("up to 1 kB", 120),
                ("up to 16 kB", 9_431),
                ("a_name_that_no_bar_has_room_for_<b>", 970),
                ("more", 2),
                ("none", 0),
            ])),
        );
        let columns = ["collection", "documents", "bytes", "SHA-256"];
        let aligns = [Align::Left, Align::Right, Align::Right, Align::Left];
        let columns: Vec<_> = columns.into_iter().zip(aligns).collect();
        let mut table = Table::new(&columns);
        for (name, documents) in [("dataset_metadata", "10,523"), ("<script>&\"'", "7")] {
            let cells = [name, documents, "2,140,000,000", &"0123456789abcdef".repeat(4)];
            table.rows.push(cells.map(str::to_owned).to_vec());
        }
        page.push_titled("Collections", Content::Table(table));
        page.push_titled(
            "Remarks",
            Content::Notes(vec![
                Line::holds("checksums hold"),
                Line::fails("a document\nin two lines"),
                Line::attention("look at this"),
                Line::plain("a statement"),
            ]),
        );
        let mut command = super::super::Command::shell("mongorestore").uri();
        for name in ["dataset_metadata", "transformation_configs", "model_configs"] {
            command = command.option("--nsInclude", &format!("narrative_modeling.{name}"));
        }
        let step = Step {
            what: "Restore".to_owned(),
            commands: vec![command.word("/a path/with spaces")],
            expects: Some("It must end with: 0 document(s) failed to restore.".to_owned()),
        };
        let mongosh = super::super::Command::Mongosh(format!("db.{}()", "long".repeat(30)));
        let rename = Step { what: "Rename".to_owned(), commands: vec![mongosh], expects: None };
        page.push_titled("Next", Content::Steps(vec![step, rename]));
        page.push_detail("As it is", Content::Text(format!("wide {}\n  <in>", "wide ".repeat(40))));
        let heading = Heading {
            title: "mongosplit inspect".to_owned(),
            outcome: Line::holds("Holds"),
            command: format!("mongosplit inspect /backup/{}", "x".repeat(90)),
            facts: vec![Figure::new("Exit code", "0"), Figure::new("Duration", "2 seconds")],
        };
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reports");
        for (name, found) in
            [("parts.html", page.to_html(&heading)), ("parts.md", page.to_markdown(&heading, 1))]
        {
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(root.join(name), &found).expect("a golden file");
            }
            let expected = std::fs::read_to_string(root.join(name)).unwrap_or_default();
            assert!(expected == found, "{name} differs; UPDATE_GOLDEN=1 writes it anew");
        }
    }

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(
            escaped("<b a='1' c=\"2\">&\n"),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\n"
        );
    }
}
