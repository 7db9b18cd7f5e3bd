//! What every command shares: its log, its report, progress, and what is said at its end, whatever that is.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use mongosplit::apart::Inputs;
use mongosplit::error::Position;
use mongosplit::layout::Layout;
use mongosplit::{Error, Result};
use serde::Serialize;

use super::args::Common;
use super::progress::Display;
use super::records::{self, ReportFile};
use super::signals::Signals;

/// What a command reads and writes, and how it reports.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// What is read.
    pub inputs: Vec<&'a Path>,
    /// What is written, besides reports.
    pub output: Option<Layout>,
    /// Standard output carries data, so that texts go to stderr.
    pub stdout_is_taken: bool,
    /// The report is a JSON object a line.
    pub is_report_in_lines: bool,
    /// Documents that progress is measured by.
    pub expected_documents: Option<u64>,
}

/// A command that runs.
#[derive(Debug)]
pub struct Session<'a> {
    common: &'a Common,
    /// Its progress.
    pub display: Display,
    /// Its report.
    pub report: Report,
    stdout_is_taken: bool,
}

/// The report of a command, if one was asked for.
#[derive(Debug)]
pub struct Report {
    /// None once it is complete.
    file: Option<ReportFile>,
    is_in_lines: bool,
}

impl Report {
    /// Adds a line to a report that is one object a line.
    pub fn line(&mut self, object: &impl Serialize) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write((to_json(object, false)? + "\n").as_bytes())
    }
    /// Adds what is left to say, and brings the report to its place.
    fn finish(&mut self, last: Option<&impl Serialize>) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        if let Some(last) = last {
            file.write((to_json(last, !self.is_in_lines)? + "\n").as_bytes())?;
        }
        file.finish()
    }
}

fn to_json(object: &impl Serialize, is_pretty: bool) -> Result<String> {
    let text = if is_pretty {
        serde_json::to_string_pretty(object)
    } else {
        serde_json::to_string(object)
    };
    text.map_err(|error| Error::Usage(format!("the report cannot be written as JSON: {error}")))
}

/// What a report says of a run that failed.
#[derive(Debug, Serialize)]
struct Failure {
    error: FailureText,
    exit_code: u8,
}

#[derive(Debug, Serialize)]
struct FailureText {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

impl Failure {
    fn of(error: &anyhow::Error) -> Failure {
        // The library's errors name their cause themselves.
        let (exit_code, message, position) = match error.downcast_ref::<Error>() {
            Some(error) => (error.exit_code(), error.to_string(), error.position().cloned()),
            None => (2, format!("{error:#}"), None),
        };
        Failure { error: FailureText { message, position }, exit_code }
    }
}

/// Says an error on stderr, and gives the exit code for it.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let Failure { error, exit_code } = Failure::of(error);
    // Where nobody reads stderr any more there is nobody to tell.
    let _ = writeln!(io::stderr(), "mongosplit: {}", error.message);
    ExitCode::from(exit_code)
}

/// What a command has found out.
#[derive(Debug)]
pub struct Outcome<'r, R> {
    /// As it goes to `--report` and `--json`.
    pub report: &'r R,
    /// As people read it.
    pub summary: String,
    /// What does not hold, as `--quiet` shows it; nothing where all holds.
    pub trouble: Option<String>,
}

impl<'a> Session<'a> {
    /// Begins a command: the places of its report and log are refused now, or will do.
    pub fn begin(common: &'a Common, plan: Plan<'_>) -> anyhow::Result<Self> {
        let signals = Signals::watch()?;
        let inputs = Inputs::new(plan.inputs.iter().copied());
        let (report, log) = records::open(
            common.report.as_deref(),
            common.log_file.as_deref(),
            &inputs,
            plan.output.as_ref(),
        )?;
        let display = Display::new(common, signals, plan.expected_documents, log);
        let report = Report { file: report, is_in_lines: plan.is_report_in_lines };
        Ok(Session { common, display, report, stdout_is_taken: plan.stdout_is_taken })
    }

    /// Runs the command. An error is noted in its log and its report too.
    pub fn run(
        mut self,
        work: impl FnOnce(&mut Self) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        work(&mut self).inspect_err(|error| self.note_failure(error))
    }

    fn note_failure(&mut self, error: &anyhow::Error) {
        let failure = Failure::of(error);
        self.display.log(&format!("error: {}", failure.error.message));
        if let Err(error) = self.report.finish(Some(&failure)) {
            let _ = writeln!(io::stderr(), "warning: {error}");
        }
        if self.common.json
            && let Ok(text) = to_json(&failure, true)
        {
            // What failed may be the writing to stdout itself.
            let _ = self.print(&(text + "\n"));
        }
    }

    /// Prints an outcome the ways that were asked for; 1 where something does not hold.
    pub fn finish<R: Serialize>(&mut self, outcome: Outcome<'_, R>) -> anyhow::Result<ExitCode> {
        self.finish_with(outcome, true)
    }

    /// [`Session::finish`]; the report has its lines already.
    pub fn finish_lines<R: Serialize>(
        &mut self,
        outcome: Outcome<'_, R>,
    ) -> anyhow::Result<ExitCode> {
        self.finish_with(outcome, false)
    }

    fn finish_with<R: Serialize>(
        &mut self,
        outcome: Outcome<'_, R>,
        is_report_to_come: bool,
    ) -> anyhow::Result<ExitCode> {
        let Outcome { report, summary, trouble } = outcome;
        summary.lines().for_each(|line| self.display.log(line));
        self.report.finish(is_report_to_come.then_some(report))?;
        if self.common.json {
            self.print(&(to_json(report, true)? + "\n"))?;
        } else if !self.common.quiet {
            self.print(&summary)?;
        } else if let Some(trouble) = &trouble {
            let _ = io::stderr().lock().write_all(trouble.as_bytes());
        }
        Ok(ExitCode::from(u8::from(trouble.is_some())))
    }

    /// Prints to stdout, or to stderr where stdout carries the data, which is out by then whether or not anybody reads.
    fn print(&self, text: &str) -> Result<()> {
        if self.stdout_is_taken {
            let _ = io::stderr().lock().write_all(text.as_bytes());
            return Ok(());
        }
        print(text)
    }
}

/// Prints to stdout; an error there is one of the output.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Write {
        action: "write to",
        path: "standard output".into(),
        source,
    })
}
