//! Each command: options from arguments, the operation, its report, an exit code.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use mongosplit::disk::{Disk, IoMode};
use mongosplit::dump::Dump;
use mongosplit::mapping::Plan;
use mongosplit::transform::{self, Indexes};
use mongosplit::{Error, Result, current, inspect, reverse, verify};

use super::args::{self, Arguments, Command, Common};
use super::progress::Display;
use super::signals::Signals;
use super::summary;

/// The gzip level where none is given; see docs/BENCHMARKS.md.
const DEFAULT_GZIP_LEVEL: u32 = 2;

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(&arguments.command) {
        Ok(code) => code,
        Err(error) => {
            // The library's errors name their cause themselves.
            let (code, message) = match error.downcast_ref::<Error>() {
                Some(error) => (error.exit_code(), error.to_string()),
                None => (2, format!("{error:#}")),
            };
            // Where nobody reads stderr any more there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "mongosplit: {message}");
            ExitCode::from(code)
        }
    }
}

fn execute(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Transform(arguments) => transform(arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Reverse(arguments) => reverse(arguments),
        Command::Inspect(arguments) => inspect(arguments),
        Command::Mapping(args::Mapping::Show { mapping }) => {
            print(&plan(mapping.as_deref())?.show())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "mongosplit", &mut text);
            print(&String::from_utf8_lossy(&text))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
            print(&String::from_utf8_lossy(&text))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn transform(arguments: &args::Transform) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let display = Display::new(common, Signals::watch()?, arguments.expect_docs)?;
    let plan = plan(arguments.mapping.as_deref())?;
    let options = transform::Options {
        databases: arguments.databases.names.clone(),
        all_databases: arguments.databases.all_dbs,
        to_database: arguments.to_db.clone(),
        indexes: match arguments.indexes {
            args::Indexes::All => Indexes::All,
            args::Indexes::NonUnique => Indexes::NonUnique,
            args::Indexes::None => Indexes::None,
        },
        gzip_level: gzip_level(&arguments.output),
        archive: arguments.output.archive,
        sidecar: arguments.output.sidecar.clone(),
        force: arguments.output.force,
        strict: arguments.strict,
        skip_unrestorable: arguments.skip_unrestorable,
        max_findings: arguments.max_findings,
        expect_documents: arguments.expect_docs,
        allow_empty: arguments.allow_empty,
        allow_existing_targets: arguments.allow_existing_targets,
        ignore_oplog: arguments.ignore_oplog,
        dry_run: arguments.dry_run,
        threads: common.threads.map(usize::from),
        io: io_mode(common),
        ..transform::Options::new(&arguments.dump, &arguments.out)
    };
    let report = logged(&display, transform::transform(&options, &plan, &display))?;
    let to_stdout = transform::is_standard_output(&arguments.out) && !arguments.dry_run;
    finish_beside(common, &display, &report, &summary::transform(&report, &plan), to_stdout)?;
    Ok(ExitCode::SUCCESS)
}

fn gzip_level(output: &args::Output) -> Option<u32> {
    output.gzip_level.or(output.gzip.then_some(DEFAULT_GZIP_LEVEL))
}

fn io_mode(common: &Common) -> IoMode {
    match common.io {
        args::Io::Auto => IoMode::Auto,
        args::Io::Direct => IoMode::Direct,
        args::Io::Buffered => IoMode::Buffered,
    }
}

fn plan(file: Option<&Path>) -> Result<Plan> {
    match file {
        None => Plan::built_in(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::Usage(format!("cannot read the mapping '{}': {error}", path.display())))?;
            Plan::parse(&text)
        }
    }
}

/// Notes an error in the log file too.
fn logged<T>(display: &Display, result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        display.log(&format!("error: {error}"));
    }
    result
}

/// Prints a report the ways that were asked for.
fn finish(common: &Common, display: &Display, report: &impl serde::Serialize, summary: &str) -> anyhow::Result<()> {
    finish_beside(common, display, report, summary, false)
}

/// [`finish`]; on stderr where stdout carries the data.
fn finish_beside(
    common: &Common,
    display: &Display,
    report: &impl serde::Serialize,
    summary: &str,
    stdout_is_taken: bool,
) -> anyhow::Result<()> {
    let print = |text: &str| if stdout_is_taken { print_beside(text) } else { print(text) };
    for line in summary.lines() {
        display.log(line);
    }
    let json = serde_json::to_string_pretty(report)? + "\n";
    if let Some(path) = &common.report {
        std::fs::write(path, &json).map_err(|source| Error::Write { action: "write the report", path: path.clone(), source })?;
    }
    if common.json {
        print(&json)?;
    } else if !common.quiet {
        print(summary)?;
    }
    Ok(())
}

/// Prints to stderr. The data is out by then, whether or not anybody reads this.
fn print_beside(text: &str) -> Result<()> {
    let _ = io::stderr().lock().write_all(text.as_bytes());
    Ok(())
}

/// Prints to stdout; an error there is one of the output.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Write { action: "write to", path: "standard output".into(), source })
}

fn verify(arguments: &args::Verify) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let display = Display::new(common, Signals::watch()?, None)?;
    let options = verify::Options {
        strict: arguments.strict,
        threads: common.threads.map(usize::from),
        io: io_mode(common),
        ..verify::Options::new(&arguments.out)
    };
    let report = logged(&display, verify::verify(&options, &display))?;
    let holds = report.holds();
    let (Some(other), true) = (arguments.source.as_ref().or(arguments.restored.as_ref()), holds) else {
        finish(common, &display, &report, &summary::verify(&report))?;
        return Ok(exit_code(holds));
    };
    // The differences go to the report's file as they are found, one JSON object a line.
    let mut lines = common.report.as_deref().map(LineFile::create).transpose()?;
    let mut each = |difference: &verify::DocumentDifference| lines.as_mut().map_or(Ok(()), |lines| lines.put(difference));
    let without_file = Common { report: None, ..common.clone() };
    if arguments.source.is_some() {
        let plan = plan(arguments.mapping.as_deref())?;
        let derived = logged(&display, verify::compare_with_source(&options, &report, other, &plan, &display, &mut each))?;
        let text = summary::verify(&report) + &summary::verify_source(&derived);
        lines.map_or(Ok(()), LineFile::finish)?;
        finish(&without_file, &display, &derived, &text)?;
        return Ok(exit_code(derived.differences.is_empty()));
    }
    let compared = logged(&display, verify::compare_with_restored(&options, &report.manifest, other, &display, &mut each))?;
    lines.map_or(Ok(()), LineFile::finish)?;
    let text = summary::verify(&report) + &summary::verify_restored(&compared);
    finish(&without_file, &display, &compared, &text)?;
    Ok(exit_code(compared.is_same()))
}

/// A file of JSON lines.
struct LineFile {
    file: BufWriter<File>,
    path: PathBuf,
}

impl LineFile {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|source| Error::Write { action: "create the report", path: path.to_owned(), source })?;
        Ok(LineFile { file: BufWriter::new(file), path: path.to_owned() })
    }
    fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(|source| Error::Write { action: "write the report", path: self.path, source })
    }
    fn put(&mut self, line: &impl serde::Serialize) -> Result<()> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(io::Error::from).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| Error::Write { action: "write the report", path: self.path.clone(), source })
    }
}

fn exit_code(holds: bool) -> ExitCode {
    ExitCode::from(u8::from(!holds))
}

fn reverse(arguments: &args::Reverse) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let display = Display::new(common, Signals::watch()?, None)?;
    let plan = plan(arguments.mapping.as_deref())?;
    let options = reverse::Options {
        to_database: arguments.to_db.clone(),
        gzip_level: gzip_level(&arguments.output),
        archive: arguments.output.archive,
        sidecar: arguments.output.sidecar.clone(),
        force: arguments.output.force,
        dry_run: arguments.dry_run,
        threads: common.threads.map(usize::from),
        io: io_mode(common),
        ..reverse::Options::new(&arguments.out, &arguments.dest)
    };
    let Some(redump) = &arguments.current else {
        if arguments.strict {
            return Err(Error::Usage("--strict is for --current: without it the result is the source itself, or nothing".to_owned()).into());
        }
        let report = logged(&display, reverse::reverse(&options, &plan, &display))?;
        let to_stdout = transform::is_standard_output(&arguments.dest) && !arguments.dry_run;
        finish_beside(common, &display, &report, &summary::reverse(&report, &plan), to_stdout)?;
        return Ok(ExitCode::SUCCESS);
    };
    if options.archive {
        return Err(Error::Usage("--archive does not go with --current: its result is a directory".to_owned()).into());
    }
    // The events go to the report's file as they happen, one JSON object a line.
    let mut lines = common.report.as_deref().map(LineFile::create).transpose()?;
    let mut each = |event: &current::Event| lines.as_mut().map_or(Ok(()), |lines| lines.put(event));
    let report = logged(&display, current::reverse_current(&options, redump, arguments.strict, &plan, &display, &mut each))?;
    lines.map_or(Ok(()), LineFile::finish)?;
    let without_file = Common { report: None, ..common.clone() };
    finish(&without_file, &display, &report, &summary::reverse_current(&report, &plan))?;
    Ok(ExitCode::SUCCESS)
}

fn inspect(arguments: &args::Inspect) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let display = Display::new(common, Signals::watch()?, None)?;
    let disk = Disk::new(io_mode(common));
    let dump = Dump::open(&disk, &arguments.dump, None)?;
    let report = logged(&display, inspect::inspect(&disk, &dump, &display))?;
    finish(common, &display, &report, &summary::inspect(&dump, &report))?;
    Ok(exit_code(report.is_sound()))
}
