//! Numbers, sizes, durations and shell words for people.

use std::path::Path;

use indicatif::HumanCount;

/// `10,523`.
pub fn thousands(number: u64) -> String {
    HumanCount(number).to_string()
}

/// `2.1 GB`; powers of ten.
pub fn size(bytes: u64) -> String {
    let units =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// `1 hour 52 minutes`, `1 minute 1 second`, `12.3 seconds`.
pub fn duration(seconds: f64) -> String {
    // 59.95 seconds and more would round to 60.0 seconds; print a minute instead.
    let whole = if (59.95..60.0).contains(&seconds) { 60 } else { seconds as u64 };
    match whole {
        0..60 if seconds < 9.995 => format!("{seconds:.2} seconds"),
        0..60 => format!("{seconds:.1} seconds"),
        60..3600 => format!("{} {}", count(whole / 60, "minute"), count(whole % 60, "second")),
        _ => format!("{} {}", count(whole / 3600, "hour"), count(whole / 60 % 60, "minute")),
    }
}

/// `1 document`, `2 documents`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A word, quoted for a shell if it has to be.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path, quoted for a shell if it has to be.
pub fn shell_path(path: &Path) -> String {
    let word = path.to_string_lossy();
    // A leading dash would make it an option.
    if word.starts_with('-') { shell_word(&format!("./{word}")) } else { shell_word(&word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_printed_for_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(10_523), "10,523");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(2_140_000_000), "2.1 GB");
        assert_eq!(duration(0.5), "0.50 seconds");
        assert_eq!(duration(9.996), "10.0 seconds");
        assert_eq!(duration(59.96), "1 minute 0 seconds");
        assert_eq!(duration(61.0), "1 minute 1 second");
        assert_eq!(duration(182.0), "3 minutes 2 seconds");
        assert_eq!(duration(6720.0), "1 hour 52 minutes");
        assert_eq!(shell_word("/out dir/it's"), r"'/out dir/it'\''s'");
        assert_eq!(shell_path(Path::new("-x")), "./-x");
    }
}
