//! The commands: turn arguments into options, run the operation, print its report, return an exit
//! code.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use mongosplit::Dump;
use mongosplit::disk::{Disk, IoMode};
use mongosplit::layout::{Layout, is_standard_output};
use mongosplit::mapping::Plan;
use mongosplit::progress::Progress;
use mongosplit::transform::{self, ExistingTargets, Indexes};
use mongosplit::{Error, Result, inspect, reverse, verify};

use super::args::{self, Arguments, Command, Common};
use super::session::{self, Outcome, Session, fail, print};
use super::summary;

/// The gzip level of `--gzip`; see docs/BENCHMARKS.md.
const DEFAULT_GZIP_LEVEL: u32 = 2;

/// Parses the command line and runs the command.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    execute(&arguments.command).unwrap_or_else(|error| fail(&error))
}

fn execute(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Transform(arguments) => transform(arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Reverse(arguments) => reverse(arguments),
        Command::Inspect(arguments) => inspect(arguments),
        Command::Mapping(args::Mapping::Show { mapping }) => {
            print(&plan_of(mapping.as_deref())?.show())?;
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
    let setup = session::Setup {
        inputs: std::iter::once(arguments.dump.as_path())
            .chain(arguments.mapping.as_deref())
            .collect(),
        output: layout(&arguments.out, &arguments.output),
        stdout_is_taken: is_standard_output(&arguments.out) && !arguments.dry_run,
        expected_documents: arguments.expect_docs,
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let plan = plan_of(arguments.mapping.as_deref())?;
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
            existing_targets: match arguments.allow_existing_targets {
                true => ExistingTargets::Check,
                false => ExistingTargets::Refuse,
            },
            ignore_oplog: arguments.ignore_oplog,
            dry_run: arguments.dry_run,
            threads: common.threads.map(usize::from),
            io: io_mode(common),
            ..transform::Options::new(&arguments.dump, &arguments.out)
        };
        let report = transform::transform(&options, &plan, &session.display)?;
        detail_files(&session.display, &report.manifest);
        session.finish(Outcome {
            report: &report,
            summary: summary::transform(&report, &plan),
            problem: None,
        })
    })
}

/// Where a run writes. Nothing if the arguments contradict one another; the library reports that.
fn layout(out: &Path, output: &args::Output) -> Option<Layout> {
    Layout::new(out, output.archive, output.sidecar.as_deref()).ok()
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

fn plan_of(file: Option<&Path>) -> Result<Plan> {
    match file {
        None => Plan::built_in(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::Usage(format!("cannot read the mapping '{}': {error}", path.display()))
            })?;
            Plan::parse(&text)
        }
    }
}

/// For `--verbose`: the SHA-256, size and path of each file.
fn detail_files(progress: &dyn Progress, manifest: &mongosplit::manifest::Manifest) {
    for file in &manifest.files {
        progress.detail(&format!(
            "{}  {:>14}  {}",
            file.sha256,
            super::text::thousands(file.bytes),
            file.path
        ));
    }
}

fn verify(arguments: &args::Verify) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let mapping = arguments.made_with.mapping.as_deref();
    let dump = arguments.source.as_deref().or(arguments.restored.as_deref());
    let setup = session::Setup {
        inputs: [Some(arguments.out.as_path()), dump, mapping].into_iter().flatten().collect(),
        is_report_in_lines: dump.is_some(),
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        if mapping.is_some() && arguments.source.is_none() {
            return Err(Error::Usage(
                "--mapping needs --source: verify maps documents for nothing else".to_owned(),
            )
            .into());
        }
        let options = verify::Options {
            strict: arguments.strict,
            threads: common.threads.map(usize::from),
            io: io_mode(common),
            ..verify::Options::new(&arguments.out)
        };
        let report = verify::verify(&options, &session.display)?;
        let summary = summary::verify(&report);
        let (Some(dump), true) = (dump, report.holds()) else {
            let problem = (!report.holds()).then(|| summary.clone());
            return session.finish(Outcome { report: &report, summary, problem });
        };
        // Differences are written to the report as they are found, one JSON object a line.
        let Session { display, report: lines, .. } = session;
        let mut each = |difference: &verify::DocumentDifference| lines.line(difference);
        if arguments.source.is_some() {
            let plan = plan_of(mapping)?;
            let derived =
                verify::compare_with_source(&options, &report, dump, &plan, display, &mut each)?;
            let compared = summary::verify_source(&derived);
            let problem = (!derived.differences.is_empty()).then(|| compared.clone());
            return session.finish_lines(Outcome {
                report: &derived,
                summary: summary + &compared,
                problem,
            });
        }
        let restored =
            verify::compare_with_restored(&options, &report.manifest, dump, display, &mut each)?;
        let compared = summary::verify_restored(&restored);
        let problem = (!restored.is_same()).then(|| compared.clone());
        session.finish_lines(Outcome { report: &restored, summary: summary + &compared, problem })
    })
}

fn reverse(arguments: &args::Reverse) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let mapping = arguments.made_with.mapping.as_deref();
    let redump = arguments.current.as_deref();
    let setup = session::Setup {
        inputs: [Some(arguments.out.as_path()), redump, mapping].into_iter().flatten().collect(),
        output: layout(&arguments.dest, &arguments.output),
        stdout_is_taken: redump.is_none()
            && is_standard_output(&arguments.dest)
            && !arguments.dry_run,
        is_report_in_lines: redump.is_some(),
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let options = reverse::Options {
            to_database: arguments.to_db.clone(),
            gzip_level: gzip_level(&arguments.output),
            archive: arguments.output.archive,
            sidecar: arguments.output.sidecar.clone(),
            force: arguments.output.force,
            expect_documents: arguments.expect_docs,
            allow_empty: arguments.allow_empty,
            dry_run: arguments.dry_run,
            threads: common.threads.map(usize::from),
            io: io_mode(common),
            ..reverse::Options::new(&arguments.out, &arguments.dest)
        };
        let plan = plan_of(mapping)?;
        let Some(redump) = redump else {
            if arguments.strict {
                let what = "--strict needs --current: without it the result is identical to the \
                            source, or an error";
                return Err(Error::Usage(what.to_owned()).into());
            }
            let report = reverse::reverse(&options, &plan, &session.display)?;
            detail_files(&session.display, &report.manifest);
            return session.finish(Outcome {
                report: &report,
                summary: summary::reverse(&report, &plan),
                problem: None,
            });
        };
        if options.archive || is_standard_output(&options.dest) {
            let what = "--archive and - cannot be used with --current, whose result is a \
                        directory; name one";
            return Err(Error::Usage(what.to_owned()).into());
        }
        // Events are written to the report as they happen, one JSON object a line.
        let Session { display, report: lines, .. } = session;
        let mut each = |event: &reverse::Event| lines.line(event);
        let report = reverse::reverse_current(
            &options,
            redump,
            arguments.strict,
            &plan,
            display,
            &mut each,
        )?;
        detail_files(display, &report.reversal.manifest);
        session.finish_lines(Outcome {
            report: &report,
            summary: summary::reverse_current(&report, &plan),
            problem: None,
        })
    })
}

fn inspect(arguments: &args::Inspect) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let setup = session::Setup { inputs: vec![&arguments.dump], ..session::Setup::default() };
    Session::begin(common, setup)?.run(|session| {
        let disk = Disk::new(io_mode(common));
        let dump = Dump::open_on(&disk, &arguments.dump, None)?;
        session.display.detail(&dump.describe());
        let report = inspect::inspect_on(&disk, &dump, &session.display)?;
        let problem = (!report.is_sound()).then(|| summary::damage(&dump, &report));
        session.finish(Outcome {
            report: &report,
            summary: summary::inspect(&dump, &report),
            problem,
        })
    })
}
