//! Progress on stderr: a bar, plain lines, or JSON lines.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mongosplit::plain::{plain, plain_json, plain_lines};
use mongosplit::progress::Progress;

use super::args::{Common, ProgressKind};
use super::signals::Signals;
use super::text::{columns_of, count, duration, thousands};

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress, details and warnings.
#[derive(Debug)]
pub struct Display {
    kind: ProgressKind,
    quiet: bool,
    verbose: bool,
    signals: Signals,
    expected_documents: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bar: ProgressBar,
    stage: String,
    began: Instant,
    last_line: Instant,
    total: Option<u64>,
    documents: u64,
    bytes: u64,
    log: Option<File>,
}

impl Display {
    /// A display that follows the options, and writes to an open log file.
    pub fn new(
        common: &Common,
        signals: Signals,
        expected_documents: Option<u64>,
        log: Option<File>,
    ) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let kind = match common.progress {
            ProgressKind::Auto if is_terminal && !common.quiet => ProgressKind::Bar,
            ProgressKind::Auto => ProgressKind::None,
            other => other,
        };
        let now = Instant::now();
        let state = State {
            bar: ProgressBar::hidden(),
            stage: String::new(),
            began: now,
            last_line: now,
            total: None,
            documents: 0,
            bytes: 0,
            log,
        };
        let (quiet, verbose) = (common.quiet, common.verbose);
        Display { kind, quiet, verbose, signals, expected_documents, state: Mutex::new(state) }
    }

    /// Writes a line to the log file.
    pub fn log(&self, line: &str) {
        self.with(|state| state.log_line(line));
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn detail_line(&self, state: &mut State, message: &str) {
        if self.verbose {
            state.bar.suspend(|| say(message));
            state.log_line(message);
        }
    }

    fn line(&self, state: &mut State) {
        let line = state.line(self.expected_documents);
        match self.kind {
            ProgressKind::Plain => say(&format!("[{}] {line}", now())),
            ProgressKind::Json => {
                let json = serde_json::json!({
                    "time": now_and_zone(), "stage": state.stage, "documents": state.documents, "bytes": state.bytes, "total_bytes": state.total,
                });
                say(&plain_json(&json.to_string()));
            }
            _ => {}
        }
        state.log_line(&line);
        state.last_line = Instant::now();
    }
}

/// Prints a line to stderr. The run goes on if stderr is closed.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain_lines(line));
}

/// Local time, `2026-01-31 09:30:00`.
fn now() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Local time and its distance from UTC, `2026-01-31 09:30:00+01:00`: a log is read elsewhere, and later.
fn now_and_zone() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
}

impl State {
    fn log_line(&mut self, line: &str) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "[{}] {}", now_and_zone(), plain_lines(line));
        }
    }

    /// `3,500/10,523 documents (33%), 110 docs/s, ETA 64s`; without an expected number, the
    /// percentage of bytes.
    fn line(&self, expected: Option<u64>) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let share = |part: u64, whole: u64| (part.min(whole) * 100).checked_div(whole).unwrap_or(0);
        let done = match (expected, self.total) {
            (Some(expected), _) => {
                format!(
                    "{}/{} documents ({}%)",
                    thousands(self.documents),
                    thousands(expected),
                    share(self.documents, expected)
                )
            }
            (None, Some(total)) => format!(
                "{} ({}% of the bytes)",
                count(self.documents, "document"),
                share(self.bytes, total)
            ),
            (None, None) => count(self.documents, "document"),
        };
        let rate = self.documents as f64 / seconds;
        let eta = match self.total {
            Some(total) if self.bytes > 0 => {
                let rest = total.saturating_sub(self.bytes) as f64 * seconds / self.bytes as f64;
                format!(", ETA {rest:.0}s")
            }
            _ => String::new(),
        };
        format!("{done}, {} docs/s{eta}", thousands(rate as u64))
    }
}

impl Progress for Display {
    fn start(&self, stage: &str, total_bytes: Option<u64>) {
        self.with(|state| {
            state.stage = stage.to_owned();
            state.total = total_bytes;
            (state.documents, state.bytes) = (0, 0);
            state.began = Instant::now();
            state.last_line = state.began;
            if self.kind == ProgressKind::Bar {
                state.bar = ProgressBar::new(total_bytes.unwrap_or(0));
                let template = match columns_of(std::io::stderr()) {
                    Some(..80) => "{prefix} {percent}% [{wide_bar}] ETA {eta}",
                    _ => "{prefix} {percent}% [{wide_bar}] {msg}, {decimal_bytes}/{decimal_total_bytes}, \
                          {decimal_bytes_per_sec}, ETA {eta}",
                };
                state.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
                state.bar.set_prefix(plain(stage).into_owned());
            }
        });
    }
    fn advance(&self, documents: u64, bytes: u64) {
        self.with(|state| {
            state.documents = documents;
            state.bytes = state.total.map_or(bytes, |total| bytes.min(total));
            state.bar.set_position(state.bytes);
            state.bar.set_message(count(documents, "document"));
            if state.last_line.elapsed() >= INTERVAL {
                self.line(state);
            }
        });
    }
    fn finish(&self) {
        self.with(|state| {
            state.bar.finish_and_clear();
            if let Some(total) = state.total {
                state.bytes = total;
            }
            self.line(state);
            let seconds = state.began.elapsed().as_secs_f64();
            let done = format!(
                "{}: {}, {}",
                state.stage,
                count(state.documents, "document"),
                duration(seconds)
            );
            self.detail_line(state, &done);
        });
    }
    fn detail(&self, message: &str) {
        self.with(|state| self.detail_line(state, message));
    }
    fn warn(&self, message: &str) {
        self.with(|state| {
            if !self.quiet {
                state.bar.suspend(|| say(&format!("warning: {message}")));
            }
            state.log_line(&format!("warning: {message}"));
        });
    }
    fn interrupted(&self) -> Option<i32> {
        self.signals.received()
    }
}
