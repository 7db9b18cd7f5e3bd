//! Numbers, sizes, durations and shell words for people.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use indicatif::{DecimalBytes, HumanCount};
use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, FractionalUnit, Spacing, SpanPrinter};
use mongosplit::plain::is_plain;

/// `10,523`.
pub fn thousands(number: u64) -> String {
    HumanCount(number).to_string()
}

/// `2.14 GB`; powers of ten.
pub fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// `1 hour 52 minutes 3 seconds`, `12.3 seconds`.
pub fn duration(seconds: f64) -> String {
    let digits = match seconds {
        ..10.0 => 2,
        ..60.0 => 1,
        _ => 0,
    };
    SpanPrinter::new()
        .designator(Designator::Verbose)
        .spacing(Spacing::BetweenUnitsAndDesignators)
        .fractional(Some(FractionalUnit::Second))
        .precision(Some(digits))
        .duration_to_string(&SignedDuration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// `1 document`, `2 documents`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A word, quoted for a shell if it has to be.
pub fn shell_word(word: &str) -> String {
    shell_bytes(word.as_bytes())
}

/// A word of any bytes, quoted for a shell if it has to be. What steers a terminal or is not UTF-8 is escaped in the
/// way that bash, zsh and ksh read.
fn shell_bytes(word: &[u8]) -> String {
    let text = std::str::from_utf8(word).ok().filter(|text| text.chars().all(is_plain));
    if let Some(quoted) = text.and_then(|text| shlex::try_quote(text).ok()) {
        return quoted.into_owned();
    }
    let mut quoted = String::from("$'");
    for chunk in word.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' | '\\' => quoted.extend(['\\', letter]),
                _ if is_plain(letter) => quoted.push(letter),
                _ => quoted.extend(letter.to_string().bytes().map(escaped_byte)),
            }
        }
        quoted.extend(chunk.invalid().iter().copied().map(escaped_byte));
    }
    quoted + "'"
}

fn escaped_byte(byte: u8) -> String {
    format!("\\x{byte:02x}")
}

/// An option with its value. One that begins with a dash stays a value.
pub fn shell_option(option: &str, value: &str) -> String {
    let between = if value.starts_with('-') { "=" } else { " " };
    format!("{option}{between}{}", shell_word(value))
}

/// A command line, each word quoted for a shell if it has to be.
pub fn command_line(words: impl Iterator<Item = OsString>) -> String {
    words.map(|word| shell_bytes(word.as_bytes())).collect::<Vec<_>>().join(" ")
}

/// A path, quoted for a shell if it has to be.
pub fn path_argument(path: &Path) -> String {
    let word = path.as_os_str().as_bytes();
    // A leading dash would make it an option.
    if word.starts_with(b"-") { shell_bytes(&[b"./", word].concat()) } else { shell_bytes(word) }
}

/// A path in a command that stands in a text, which may be wrapped: `OUT` if it would be taken apart.
pub fn argument_in_text(path: &Path) -> String {
    let argument = path_argument(path);
    if argument.contains(char::is_whitespace) { "OUT".to_owned() } else { argument }
}

/// The columns of a terminal; none if the stream is no terminal.
pub fn columns_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn are_printed_for_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(10_523), "10,523");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(2_140_000_000), "2.14 GB");
        assert_eq!(duration(0.5), "0.50 seconds");
        assert_eq!(duration(12.34), "12.3 seconds");
        assert_eq!(duration(60.0), "1 minute");
        assert_eq!(duration(61.0), "1 minute 1 second");
        assert_eq!(duration(182.0), "3 minutes 2 seconds");
        assert_eq!(duration(6720.0), "1 hour 52 minutes");
        assert_eq!(shell_word("/out dir/it's"), r#""/out dir/it's""#);
        assert_eq!(path_argument(Path::new("-x")), "./-x");
        let words = ["verify", "a b", "\u{1b}[2J\u{9b}"].map(OsString::from);
        assert_eq!(command_line(words.into_iter()), r"verify 'a b' $'\x1b[2J\xc2\x9b'");
        assert_eq!(shell_word("it's\r\\"), r"$'it\'s\x0d\\'");
        assert_eq!(path_argument(Path::new(OsStr::from_bytes(b"a\xff\n"))), r"$'a\xff\x0a'");
        assert_eq!(shell_option("--db", "-x"), "--db=-x");
        assert_eq!(shell_option("--db", "x y"), "--db 'x y'");
    }
}
