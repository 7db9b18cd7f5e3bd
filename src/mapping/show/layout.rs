//! Tables and paragraphs of a fixed width.

/// No line is wider, in characters.
pub const WIDTH: usize = 100;
/// The most that the first two columns take.
const COLUMNS: [usize; 2] = [30, 26];
/// The space in front of a table, and between its columns.
const GAP: usize = 2;

/// Appends a table whose cells wrap within their columns.
pub fn push_table(text: &mut String, head: [&str; 3], rows: Vec<[String; 3]>) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str()).chain([head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMNS[column])
    };
    let (first, second) = (width(0), width(1));
    let widths = [first, second, WIDTH - 3 * GAP - first - second];
    push_row(text, &head.map(str::to_owned), &widths);
    let lines = widths.map(|width| "-".repeat(width));
    push_row(text, &lines, &widths);
    rows.iter().for_each(|row| push_row(text, row, &widths));
}

fn push_row(text: &mut String, row: &[String; 3], widths: &[usize; 3]) {
    let cells = [0, 1, 2].map(|column| wrapped(&row[column], widths[column]));
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let mut shown = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let part = cell.get(line).map_or("", String::as_str);
            shown += &format!("{:GAP$}{part:width$}", "");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
}

/// Appends a paragraph; the lines after its first are indented further.
pub fn push_wrapped(text: &mut String, indent: &str, paragraph: &str) {
    for (number, line) in wrapped(paragraph, WIDTH - indent.len() - 2 * GAP).iter().enumerate() {
        let further = if number == 0 { "" } else { "    " };
        text.push_str(&format!("{indent}{further}{line}\n"));
    }
}

/// A text in lines of at most `width` characters, at least one. Its indent stays, in all of them.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let indent: String = text.chars().take_while(|letter| *letter == ' ').take(width / 2).collect();
    let room = (width - indent.len()).max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        while !letters.is_empty() {
            let space = usize::from(used > 0);
            if used + space + letters.len() > room && used > 0 {
                lines.push(String::new());
                used = 0;
                continue;
            }
            let part: Vec<char> = letters.drain(..letters.len().min(room - used - space)).collect();
            if let Some(line) = lines.last_mut() {
                line.extend(std::iter::repeat_n(' ', space));
                line.extend(&part);
            }
            used += space + part.len();
        }
    }
    lines.into_iter().map(|line| indent.clone() + &line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_too_long_are_broken() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("  one two", 5), ["  one", "  two"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("", 3), [""]);
    }

    #[test]
    fn a_table_is_never_too_wide() {
        let long = "word ".repeat(60) + &"x".repeat(300);
        let mut text = String::new();
        push_table(&mut text, ["A", "B", "C"], vec![[long.clone(), long.clone(), long]]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
