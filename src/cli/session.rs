//! What every command shares: log, report, progress, and printing the outcome or the error.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use jiff::ZonedDateTime;
use mongosplit::apart::Inputs;
use mongosplit::layout::Layout;
use mongosplit::plain::{plain_json, plain_lines};
use mongosplit::progress::Progress;
use mongosplit::{Error, Result};
use serde::Serialize;

use super::args::{Color, Common};
use super::page::{Page, Style};
use super::progress::Display;
use super::records::{self, Records, Report, WholeFile};
use super::report::{self, About, Ended, Failure, Form, Metrics, Notice};
use super::signals::Signals;
use super::text::{columns_of, command_line, duration};

/// What a command reads and writes, and how it reports.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// The command's name in reports.
    pub command: &'static str,
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
    started: ZonedDateTime,
    command: &'static str,
    /// As they were given, quoted for a shell.
    arguments: String,
    /// Its progress.
    pub display: Display,
    /// The documents that there is something to tell of.
    pub details: Details,
    /// The files given to `--report` and `--metrics` that are not complete.
    reports: VecDeque<Report>,
    stdout_is_taken: bool,
}

/// The file given to `--details`, one JSON object a line; none without, and once it is complete.
#[derive(Debug)]
pub struct Details(Option<WholeFile>);

impl Details {
    /// Appends a line.
    pub fn line(&mut self, object: &impl Serialize) -> Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let line = serde_json::to_string(object).map_err(report::unwritable)?;
        file.write((plain_json(&line) + "\n").as_bytes())
    }
    /// Publishes the file.
    fn finish(&mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), WholeFile::finish)
    }
}

/// Prints an error to stderr and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let Failure { error, exit_code } = Failure::of(error);
    complain(&error.message);
    ExitCode::from(exit_code)
}

/// Prints what went wrong to stderr.
fn complain(message: &str) {
    // If stderr is closed, there is nobody to tell.
    let _ = writeln!(io::stderr(), "mongosplit: {}", plain_lines(message));
}

/// The result of a command.
#[derive(Debug)]
pub struct Outcome<'r, R> {
    /// For `--report`, `--json` and `--metrics`.
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
        let Records { reports, details, log } =
            records::open(common, &inputs, setup.output.as_ref())?;
        let display = Display::new(common, signals, setup.expected_documents, log);
        let stdout_is_taken = setup.stdout_is_taken;
        let arguments = command_line(std::env::args_os().skip(1));
        display.log(&format!("mongosplit {}: {arguments}", env!("CARGO_PKG_VERSION")));
        Ok(Session {
            common,
            began: Instant::now(),
            started: ZonedDateTime::now(),
            command: setup.command,
            arguments,
            display,
            details: Details(details),
            reports,
            stdout_is_taken,
        })
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
                "this took {}, more than {LONG} times the expected {}",
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
        let details = self.details.line(&failure).and_then(|()| self.details.finish());
        self.warn_of(details);
        let about = self.about(failure.exit_code);
        let page = failure.page();
        let ended: Ended<'_, ()> = Ended::Failed { failure: &failure, page: &page };
        while let Some(report) = self.reports.pop_front() {
            self.warn_of(write_report(report, &about, &ended));
        }
        if self.common.json
            && let Ok(text) = report::text(Form::Json, &about, &ended)
        {
            // Writing to stdout may be what failed.
            let _ = self.print(&text);
        }
    }

    fn warn_of(&self, result: Result<()>) {
        if let Err(error) = result {
            let _ = writeln!(io::stderr(), "warning: {}", plain_lines(&error.to_string()));
        }
    }

    /// What is known of the run, which ends now.
    fn about(&self, exit_code: u8) -> About {
        About {
            command: self.command,
            arguments: self.arguments.clone(),
            started: self.started.clone(),
            finished: ZonedDateTime::now(),
            seconds: self.began.elapsed().as_secs_f64(),
            exit_code,
        }
    }

    /// Prints the outcome in the forms that were asked for. The exit code is 1 if there is a
    /// problem.
    pub fn finish<R>(&mut self, outcome: Outcome<'_, R>) -> anyhow::Result<ExitCode>
    where
        R: Serialize + Metrics + Notice,
    {
        self.finish_with(outcome, None)
    }

    /// [`finish`](Session::finish) of a command that has a result although something failed, which
    /// decides the exit code.
    pub fn finish_with<R>(
        &mut self,
        outcome: Outcome<'_, R>,
        failure: Option<&Failure>,
    ) -> anyhow::Result<ExitCode>
    where
        R: Serialize + Metrics + Notice,
    {
        let Outcome { report, page, problem } = outcome;
        let exit_code = match failure {
            Some(failure) => failure.exit_code,
            None => u8::from(problem.is_some()),
        };
        if let Some(failure) = failure {
            complain(&failure.error.message);
        }
        self.note_delay();
        let in_log = Style { is_verbose: true, ..Style::default() };
        page.to_text(in_log).lines().for_each(|line| self.display.log(line));
        let about = self.about(exit_code);
        let ended = Ended::Complete { report, page: &page, failure };
        self.details.finish()?;
        if self.common.json {
            self.print(&report::text(Form::Json, &about, &ended)?)?;
        } else if !self.common.quiet {
            self.print(&page.to_text(self.style(Stream::Out)))?;
        } else if let Some(problem) = &problem {
            let text = problem.to_text(self.style(Stream::Error));
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        // What is written from here on holds the exit code, so what can still fail comes before it.
        while let Some(report) = self.reports.pop_front() {
            write_report(report, &about, &ended)?;
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

/// Writes a report, and publishes it.
fn write_report<R>(report: Report, about: &About, ended: &Ended<'_, R>) -> Result<()>
where
    R: Serialize + Metrics + Notice,
{
    let Report { form, mut file } = report;
    file.write(report::text(form, about, ended)?.as_bytes())?;
    file.finish()
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
