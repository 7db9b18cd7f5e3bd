//! Limits of a run: how many of the documents may be left out, or have findings.

use std::fmt;
use std::str::FromStr;

/// The most documents of which something may hold: a number, or a share of all.
///
/// # Examples
///
/// ```
/// use mongosplit::transform::Limit;
///
/// let limit: Limit = "0.1%".parse()?;
/// assert!(limit.allows(10, 10_000) && !limit.allows(11, 10_000));
/// assert!("5".parse::<Limit>()?.allows(5, 5));
/// assert!("1,000".parse::<Limit>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many documents.
    Documents(u64),
    /// So many percent of the documents.
    Percent(f64),
}

impl Limit {
    /// Whether so many documents of all are within the limit.
    pub fn allows(self, documents: u64, all: u64) -> bool {
        match self {
            Limit::Documents(most) => documents <= most,
            Limit::Percent(most) => documents as f64 * 100.0 <= most * all as f64,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Documents(most) => write!(f, "{most}"),
            Limit::Percent(most) => write!(f, "{most}%"),
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a number of documents, as in 10, or a share, as in 0.1%".to_owned();
        match text.strip_suffix('%') {
            None => text.parse().map(Limit::Documents).map_err(|_| wrong()),
            Some(percent) => {
                let percent = percent.parse().map_err(|_| wrong())?;
                (0.0..=100.0)
                    .contains(&percent)
                    .then_some(Limit::Percent(percent))
                    .ok_or_else(wrong)
            }
        }
    }
}
