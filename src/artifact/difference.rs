//! What does not match in an output, as values. Their text is made when they are printed.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// How much a difference matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It is worth knowing, and does no harm.
    Remark,
    /// The check fails.
    Error,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// A file of the manifest is missing.
    Missing,
    /// A file is not in the manifest.
    Unlisted,
    /// A file is not a regular file.
    NotRegular,
    /// A directory contains no file of the manifest; mongorestore would take it for a database.
    ForeignDirectory,
    /// A file is one that systems create in any directory.
    Ignorable,
    /// SHA256SUMS does not match the manifest.
    Sums,
    /// A value differs: size, SHA-256, count, digest.
    Value,
    /// A file cannot be read as what it should be.
    Unreadable,
    /// The manifest contradicts itself, or names what this version does not know.
    Contradiction,
    /// A journal belongs to another run.
    Journal,
    /// The source is not what the output was made from.
    Source,
    /// The source's metadata differs.
    Metadata,
    /// An index is missing or differs.
    Index,
    /// What was derived again is not what the output has.
    Derived,
    /// Two outputs for one database have documents with the same `_id`.
    SameId,
    /// Two outputs for one database have documents with the same value of a unique index.
    SameValue,
}

/// Something in an output that does not match.
///
/// Its text, by [`Display`](fmt::Display), names the subject, what was found, and what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// How much it matters.
    pub level: Level,
    /// What is wrong.
    pub problem: Problem,
    /// What it is about: a path below the output, or a namespace. Empty if it is the manifest.
    pub subject: String,
    /// What was found, if that says more than the problem does.
    pub found: Option<String>,
    /// What the manifest records, if it is a value.
    pub recorded: Option<String>,
}

impl Difference {
    /// A problem that says it all.
    pub(crate) fn new(problem: Problem, subject: impl Into<String>) -> Self {
        let level = match problem {
            Problem::Ignorable => Level::Remark,
            _ => Level::Error,
        };
        Difference { level, problem, subject: subject.into(), found: None, recorded: None }
    }
    /// A value that is not the recorded one.
    pub(crate) fn value(
        subject: impl Into<String>,
        found: impl Into<String>,
        recorded: impl Into<String>,
    ) -> Self {
        let recorded = Some(recorded.into());
        Difference { recorded, ..Difference::new(Problem::Value, subject).found(found) }
    }
    /// The same with what was found.
    pub(crate) fn found(self, found: impl Into<String>) -> Self {
        Difference { found: Some(found.into()), ..self }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { subject, found, recorded, .. } = self;
        let subject = subject.escape_debug();
        let found = found.as_deref().unwrap_or_default();
        match self.problem {
            Problem::Missing => write!(f, "'{subject}' is missing"),
            Problem::Unlisted => write!(f, "'{subject}' exists, but is not in the manifest"),
            Problem::NotRegular => write!(f, "'{subject}' is not a regular file"),
            Problem::ForeignDirectory => {
                write!(f, "'{subject}' is a directory that contains no file of the manifest")
            }
            Problem::Ignorable => write!(
                f,
                "'{subject}' exists; systems create it in any directory, and it is not part of the output"
            ),
            Problem::Sums => write!(f, "'{subject}' does not match the manifest"),
            Problem::Value => {
                let recorded = recorded.as_deref().unwrap_or("nothing");
                write!(f, "'{subject}' has {found}, the manifest says {recorded}")
            }
            Problem::Unreadable | Problem::Contradiction | Problem::Journal => f.write_str(found),
            Problem::Derived if self.subject.is_empty() => f.write_str(found),
            Problem::Source => write!(f, "{subject} has {found}"),
            Problem::Metadata => write!(
                f,
                "the source's metadata differs: that of {subject} (indexes and options): {found}"
            ),
            Problem::Index | Problem::SameId | Problem::SameValue => {
                write!(f, "{subject}: {found}")
            }
            Problem::Derived => write!(f, "'{subject}' {found}"),
        }
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Difference", 6)?;
        fields.serialize_field("level", &self.level)?;
        fields.serialize_field("problem", &self.problem)?;
        fields.serialize_field("subject", &self.subject)?;
        fields.serialize_field("found", &self.found)?;
        fields.serialize_field("recorded", &self.recorded)?;
        fields.serialize_field("text", &self.to_string())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_value_and_a_text() {
        let difference = Difference::value("a.bson", "5 bytes", "7");
        assert_eq!(difference.to_string(), "'a.bson' has 5 bytes, the manifest says 7");
        let json = serde_json::to_value(&difference).expect("JSON");
        assert_eq!(json["level"], "error");
        assert_eq!(json["recorded"], "7");
        assert_eq!(json["text"], difference.to_string());
        let remark = Difference::new(Problem::Ignorable, ".DS_Store");
        assert_eq!(serde_json::to_value(&remark).expect("JSON")["level"], "remark");
    }
}
