//! What every command shares: log, report, progress, and printing the outcome or the error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use mongosplit::apart::Inputs;
use mongosplit::error::Position;
use mongosplit::layout::Layout;
use mongosplit::progress::Progress;
use mongosplit::{Error, Result};
use serde::Serialize;

use super::args::{Color, Common};
use super::page::{Page, Style};
use super::progress::Display;
use super::records::{self, Records, WholeFile};
use super::signals::Signals;
use super::text::{columns_of, command_line, duration};

/// What a command reads and writes, and how it reports.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// The files and directories that it reads.
    pub inputs: Vec<&'a Path>,
    /// The output, reports aside.
    pub output: Option<Layout>,
    /// Standard output carries data, so text goes to stderr.
    pub stdout_is_taken: bool,
    /// The number of documents that progress counts towards.
    pub expected_documents: Option<u64>,
}

/// So many times the expected duration is worth a warning: the runbook stops a migration there.
const LONG: f64 = 3.0;

/// Text is laid out for at least so many columns.
const NARROWEST: usize = 40;

/// A standard stream that text goes to.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Error,
}

/// Whether the environment lets a terminal have colours: <https://no-color.org>.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A running command.
#[derive(Debug)]
pub struct Session<'a> {
    common: &'a Common,
    began: Instant,
    /// Its progress.
    pub display: Display,
    /// The documents that there is something to tell of.
    pub details: Details,
    /// The file given to `--report`; none without, and once it is complete.
    report: Option<WholeFile>,
    stdout_is_taken: bool,
}

/// The file given to `--details`, one JSON object a line; none without, and once it is complete.
#[derive(Debug)]
pub struct Details(Option<WholeFile>);

impl Details {
    /// Appends a line.
    pub fn line(&mut self, object: &impl Serialize) -> Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        file.write((to_json(object, false)? + "\n").as_bytes())
    }
    /// Publishes the file.
    fn finish(&mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), WholeFile::finish)
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

/// The report of a run that failed.
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
        // The library's errors include their cause.
        let (exit_code, message, position) = match error.downcast_ref::<Error>() {
            Some(error) => (error.exit_code(), error.to_string(), error.position().cloned()),
            None => (2, format!("{error:#}"), None),
        };
        Failure { error: FailureText { message, position }, exit_code }
    }
}

/// Prints an error to stderr and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let Failure { error, exit_code } = Failure::of(error);
    complain(&error.message);
    ExitCode::from(exit_code)
}

/// Prints what went wrong to stderr.
pub fn complain(message: &str) {
    // If stderr is closed, there is nobody to tell.
    let _ = writeln!(io::stderr(), "mongosplit: {message}");
}

/// The result of a command.
#[derive(Debug)]
pub struct Outcome<'r, R> {
    /// For `--report` and `--json`.
    pub report: &'r R,
    /// For people.
    pub page: Page,
    /// What failed, as `--quiet` prints it; nothing if the check passed.
    pub problem: Option<Page>,
}

impl<'a> Session<'a> {
    /// Begins a command. Places for its report and log that cannot be used are refused here.
    pub fn begin(common: &'a Common, setup: Setup<'_>) -> anyhow::Result<Self> {
        let signals = Signals::watch()?;
        let inputs = Inputs::new(setup.inputs.iter().copied());
        let Records { report, details, log } =
            records::open(common, &inputs, setup.output.as_ref())?;
        let display = Display::new(common, signals, setup.expected_documents, log);
        let stdout_is_taken = setup.stdout_is_taken;
        let command = command_line(std::env::args_os().skip(1));
        display.log(&format!("mongosplit {}: {command}", env!("CARGO_PKG_VERSION")));
        let began = Instant::now();
        Ok(Session { common, began, display, details: Details(details), report, stdout_is_taken })
    }

    /// Runs the command. An error goes to its log and its report too.
    pub fn run(
        mut self,
        work: impl FnOnce(&mut Self) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        work(&mut self).inspect_err(|error| self.note_failure(error))
    }

    /// Ends the log.
    fn log_end(&self, exit_code: u8) {
        self.display.log(&format!("ended with exit code {exit_code}"));
    }

    /// Warns if the command has taken far longer than was expected. No result depends on the clock.
    fn note_delay(&self) {
        let Some(expected) = self.common.expect_duration else { return };
        let expected = expected.as_secs_f64();
        let seconds = self.began.elapsed().as_secs_f64();
        if seconds > LONG * expected {
            self.display.warn(&format!(
                "this took {}, more than {LONG} times the {} that were expected",
                duration(seconds),
                duration(expected)
            ));
        }
    }

    fn note_failure(&mut self, error: &anyhow::Error) {
        let failure = Failure::of(error);
        self.display.log(&format!("error: {}", failure.error.message));
        self.log_end(failure.exit_code);
        // What was found until then is worth having, and its last line tells that it is not all.
        let written = self.details.line(&failure).and_then(|()| self.details.finish());
        for result in [written, self.write_report(&failure)] {
            if let Err(error) = result {
                let _ = writeln!(io::stderr(), "warning: {error}");
            }
        }
        if self.common.json
            && let Ok(text) = to_json(&failure, true)
        {
            // Writing to stdout may be what failed.
            let _ = self.print(&(text + "\n"));
        }
    }

    /// Prints the outcome in the forms that were asked for. The exit code is 1 if there is a
    /// problem.
    pub fn finish<R: Serialize>(&mut self, outcome: Outcome<'_, R>) -> anyhow::Result<ExitCode> {
        let exit_code = u8::from(outcome.problem.is_some());
        self.finish_with(outcome, exit_code)
    }

    /// [`finish`](Session::finish), with an exit code.
    pub fn finish_with<R: Serialize>(
        &mut self,
        outcome: Outcome<'_, R>,
        exit_code: u8,
    ) -> anyhow::Result<ExitCode> {
        let Outcome { report, page, problem } = outcome;
        self.note_delay();
        let in_log = Style { is_verbose: true, ..Style::default() };
        page.to_text(in_log).lines().for_each(|line| self.display.log(line));
        self.details.finish()?;
        self.write_report(report)?;
        if self.common.json {
            self.print(&(to_json(report, true)? + "\n"))?;
        } else if !self.common.quiet {
            self.print(&page.to_text(self.style(Stream::Out)))?;
        } else if let Some(problem) = &problem {
            let text = problem.to_text(self.style(Stream::Error));
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        self.log_end(exit_code);
        Ok(ExitCode::from(exit_code))
    }

    /// How a page is printed on a stream.
    fn style(&self, stream: Stream) -> Style {
        let (is_terminal, columns) = match stream {
            Stream::Out if !self.stdout_is_taken => {
                (io::stdout().is_terminal(), columns_of(io::stdout()))
            }
            _ => (io::stderr().is_terminal(), columns_of(io::stderr())),
        };
        let has_colour = match self.common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && wants_colour(),
        };
        let widest = Style::default().columns;
        Style {
            columns: columns.map_or(widest, |columns| columns.clamp(NARROWEST, widest)),
            has_colour,
            is_verbose: self.common.verbose,
        }
    }

    /// Writes the report, and publishes it.
    fn write_report(&mut self, report: &impl Serialize) -> Result<()> {
        let Some(mut file) = self.report.take() else { return Ok(()) };
        file.write((to_json(report, true)? + "\n").as_bytes())?;
        file.finish()
    }

    /// Prints to stdout, or to stderr if stdout carries data. A failure to print there is ignored:
    /// the data is out.
    fn print(&self, text: &str) -> Result<()> {
        if self.stdout_is_taken {
            let _ = io::stderr().lock().write_all(text.as_bytes());
            return Ok(());
        }
        print(text)
    }
}

/// Prints to stdout. Failing to is an error of the output (exit code 4).
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Write {
        action: "write to",
        path: "standard output".into(),
        source,
    })
}
