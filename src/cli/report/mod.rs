//! What a run leaves for others: a report as JSON, HTML or Markdown, and metrics. All say how the
//! run ended, on success and on failure.

mod figures;
mod metrics;
mod notice;

use std::path::Path;

use jiff::ZonedDateTime;
use mongosplit::error::Position;
use mongosplit::plain::plain_json;
use mongosplit::{Error, Result};
use serde::Serialize;

use super::page::{Content, Figure, Heading, Line, Page};
use super::text::{duration, thousands};

pub use figures::{ReverseResult, VerifyResult};
pub use metrics::{Metrics, Registry};
pub use notice::Notice;

/// The version of the envelope, in `docs/REPORT.md`.
const SCHEMA: &str = "mongosplit-report/1";
/// The tool and its version.
const TOOL: &str = concat!("mongosplit ", env!("CARGO_PKG_VERSION"));

/// How a file tells what a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The envelope, for programs.
    Json,
    /// A page, for a browser.
    Html,
    /// A notice and the page, for messages and tickets.
    Markdown,
    /// For Prometheus.
    Metrics,
}

impl Form {
    /// The form of a report by its name: `.html`, `.md`, else JSON.
    pub fn of(path: &Path) -> Form {
        let is = |suffix: &str| {
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(suffix))
        };
        match () {
            () if is("html") => Form::Html,
            () if is("md") => Form::Markdown,
            () => Form::Json,
        }
    }
}

/// What is known of every run.
#[derive(Debug)]
pub struct About {
    /// The command, as in `mapping check`.
    pub command: &'static str,
    /// The arguments, quoted for a shell.
    pub arguments: String,
    pub started: ZonedDateTime,
    pub finished: ZonedDateTime,
    pub seconds: f64,
    pub exit_code: u8,
}

impl About {
    /// RFC 3339 with milliseconds and the distance from UTC.
    fn time(time: &ZonedDateTime) -> String {
        time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }
    /// A time for people.
    pub fn readable(time: &ZonedDateTime) -> String {
        time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// How a run ended, with what there is to tell of it.
#[derive(Debug)]
pub enum Ended<'r, R> {
    /// It has a result.
    Complete {
        report: &'r R,
        page: &'r Page,
        /// What failed all the same.
        failure: Option<&'r Failure>,
    },
    /// An error ended it. The page is that of [`Failure::page`].
    Failed { failure: &'r Failure, page: &'r Page },
}

impl<R> Ended<'_, R> {
    fn page(&self) -> &Page {
        match self {
            Ended::Complete { page, .. } | Ended::Failed { page, .. } => page,
        }
    }
}

/// What failed, and the exit code.
#[derive(Debug, Serialize)]
pub struct Failure {
    pub error: FailureText,
    pub exit_code: u8,
}

/// What failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailureText {
    /// A stable word, [`Error::code`].
    pub code: &'static str,
    pub message: String,
    /// The document that it is about, if any.
    pub position: Option<Position>,
}

impl Failure {
    pub fn of(error: &anyhow::Error) -> Failure {
        // The library's errors include their cause.
        let (exit_code, code, message, position) = match error.downcast_ref::<Error>() {
            Some(error) => {
                (error.exit_code(), error.code(), error.to_string(), error.position().cloned())
            }
            None => (2, "other", format!("{error:#}"), None),
        };
        Failure { error: FailureText { code, message, position }, exit_code }
    }

    /// What to do about it, beyond what the message says.
    fn advice(&self) -> &'static str {
        match self.error.code {
            "usage" => "Correct the command line or the mapping, then run the command again.",
            "check" => "Correct what the message names, then run the command again.",
            "document" | "input" => {
                "Look at the input at this place, or make the dump again. mongosplit inspect reads every document of a dump and checks its checksums."
            }
            "read" => {
                "See that the file exists and may be read, and that its disk is sound; then run the command again."
            }
            "output" | "write" => {
                "Name another place or make room there, then run the command again. A run that could not finish publishes no output; --force removes what it has left."
            }
            "interrupted" => "Run the command again; --force removes what this run has left.",
            _ => "Run the command again.",
        }
    }

    /// The error for people, with what to do.
    pub fn page(&self) -> Page {
        let FailureText { code, message, position } = &self.error;
        let mut page = Page::new(Line::fails(message.clone()));
        let mut figures = vec![Figure::new("code", *code)];
        if let Some(position) = position {
            figures.push(Figure::new("file", position.file.clone()));
            figures.push(Figure::new("document", thousands(position.document)));
            figures.push(Figure::new("byte offset", position.offset.to_string()));
            figures.extend(position.id.as_ref().map(|id| Figure::new("_id", id.clone())));
        }
        page.push_titled("Error", Content::Figures(figures));
        page.push_titled("What to do", Content::Lines(vec![Line::plain(self.advice())]));
        page
    }
}

/// How a run ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Holds,
    DoesNotHold,
    Failed,
    Interrupted,
}

impl Outcome {
    /// For people, with its mark.
    fn line(self) -> Line {
        match self {
            Outcome::Holds => Line::holds("Holds"),
            Outcome::DoesNotHold => Line::fails("Does not hold"),
            Outcome::Failed => Line::fails("Failed"),
            Outcome::Interrupted => Line::attention("Interrupted"),
        }
    }
}

/// The JSON report of every command.
#[derive(Debug, Serialize)]
struct Envelope<'r, R> {
    schema: &'static str,
    tool: &'static str,
    command: &'static str,
    outcome: Outcome,
    exit_code: u8,
    started: String,
    finished: String,
    error: Option<&'r FailureText>,
    result: Option<&'r R>,
}

/// The text of a file in one of the forms.
pub fn text<R>(form: Form, about: &About, ended: &Ended<'_, R>) -> Result<String>
where
    R: Serialize + Metrics + Notice,
{
    let (error, report) = match ended {
        Ended::Complete { report, failure, .. } => {
            (failure.map(|failure| &failure.error), Some(*report))
        }
        Ended::Failed { failure, .. } => (Some(&failure.error), None),
    };
    let outcome = match error.map(|error| error.code) {
        Some("interrupted") => Outcome::Interrupted,
        Some(_) => Outcome::Failed,
        None if about.exit_code == 0 => Outcome::Holds,
        None => Outcome::DoesNotHold,
    };
    match form {
        Form::Json => json(&Envelope {
            schema: SCHEMA,
            tool: TOOL,
            command: about.command,
            outcome,
            exit_code: about.exit_code,
            started: About::time(&about.started),
            finished: About::time(&about.finished),
            error,
            result: report,
        }),
        Form::Metrics => Ok(metrics::text(about, report)),
        Form::Html => Ok(ended.page().to_html(&heading(about, outcome))),
        Form::Markdown => {
            let (page, heading) = (ended.page(), heading(about, outcome));
            let notice = match ended {
                Ended::Complete { report, .. } => report.notice(about),
                Ended::Failed { failure, .. } => notice::of_failure(about, failure),
            };
            Ok(match notice {
                Some(notice) => notice::with_details(&notice, &page.to_markdown(&heading, 2)),
                None => page.to_markdown(&heading, 1),
            })
        }
    }
}

/// The lines that end a JSON report.
fn json(envelope: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(envelope).map_err(unwritable)?;
    Ok(plain_json(&text).into_owned() + "\n")
}

/// The error of a report that has no form in JSON.
pub fn unwritable(error: serde_json::Error) -> Error {
    Error::Usage(format!("the report cannot be written as JSON: {error}"))
}

fn heading(about: &About, outcome: Outcome) -> Heading {
    Heading {
        title: format!("mongosplit {}", about.command),
        outcome: outcome.line(),
        command: format!("mongosplit {}", about.arguments),
        facts: vec![
            Figure::new("Exit code", about.exit_code.to_string()),
            Figure::new("Duration", duration(about.seconds)),
            Figure::new("Started", About::readable(&about.started)),
            Figure::new("Finished", About::readable(&about.finished)),
            Figure::new("Version", TOOL),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_report_says_its_form() {
        let forms = [
            ("a.html", Form::Html),
            ("a.HTML", Form::Html),
            ("a.md", Form::Markdown),
            ("a.json", Form::Json),
            ("a", Form::Json),
            (".html", Form::Json),
            ("/dev/stdout", Form::Json),
        ];
        for (name, form) in forms {
            assert_eq!(Form::of(Path::new(name)), form, "{name}");
        }
    }
}
