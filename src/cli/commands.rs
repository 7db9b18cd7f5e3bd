//! The commands: turn arguments into options, run the operation, print its report, return an exit
//! code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use mongosplit::disk::IoMode;
use mongosplit::layout::{Layout, is_standard_output};
use mongosplit::plain::plain;
use mongosplit::progress::Progress;
use mongosplit::transform::{self, ExistingTargets, Indexes};
use mongosplit::{Error, findings, inspect, reverse, sample, show, verify};
use serde::Serialize;

use super::args::{self, Arguments, Command, Common};
use super::hints;
use super::manual;
use super::mapping::{self, file_of_plan, plan_of};
use super::page::Page;
use super::report::{Failure, FailureText, ReverseResult, VerifyResult};
use super::session::{self, Outcome, Session, fail, print};
use super::{summary, text};

/// The gzip level of `--gzip`; see docs/BENCHMARKS.md.
const DEFAULT_GZIP_LEVEL: u32 = 2;

/// Parses the command line and runs the command.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    execute(&arguments.command).unwrap_or_else(|error| fail(&error))
}

/// Says what is wrong with the arguments, and what to type instead. Prints what `--help` and `--version` ask for.
fn refuse(error: &clap::Error) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = words.get(1..).unwrap_or_default();
    if let Some(hint) = hints::hint(arguments).filter(|_| error.use_stderr()) {
        return fail(&Error::Usage(hint).into());
    }
    // clap quotes arguments as they are, so it is asked again about what can be shown.
    let shown = words.iter().map(|word| plain(&word.to_string_lossy()).into_owned());
    match Arguments::try_parse_from(shown) {
        Err(shown) if shown.kind() == error.kind() => shown.exit(),
        _ => error.exit(),
    }
}

fn execute(command: &Command) -> anyhow::Result<ExitCode> {
    // Before anything is read: a wrong checksum is worse than none.
    mongosplit::hash::check()?;
    mongosplit::disk::allow_open_files();
    match command {
        Command::Transform(arguments) => transform(arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Reverse(arguments) => reverse(arguments),
        Command::Inspect(arguments) => inspect(arguments),
        Command::Show(arguments) => show(arguments),
        Command::Findings(arguments) => findings(arguments),
        Command::Sample(arguments) => sample(arguments),
        Command::Mapping(command) => mapping::execute(command),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "mongosplit", &mut text);
            print(&String::from_utf8_lossy(&text))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { command, all } => manual(command, all.as_deref()),
    }
}

/// Prints the manual page of a command, or writes the pages of all into a directory.
fn manual(command: &[String], all: Option<&Path>) -> anyhow::Result<ExitCode> {
    let pages = manual::pages()?;
    if let Some(directory) = all {
        for page in &pages {
            let path = directory.join(&page.file);
            std::fs::write(&path, &page.text).map_err(|source| Error::Write {
                action: "write",
                path,
                source,
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let words = std::iter::once("mongosplit").chain(command.iter().map(String::as_str));
    let file = format!("{}.1", words.collect::<Vec<_>>().join("-"));
    let page = pages.iter().find(|page| page.file == file).ok_or_else(|| {
        Error::Usage(format!(
            "there is no command '{}'; `mongosplit --help` lists them",
            command.join(" ").escape_debug()
        ))
    })?;
    print(&String::from_utf8_lossy(&page.text))?;
    Ok(ExitCode::SUCCESS)
}

fn transform(arguments: &args::Transform) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let setup = session::Setup {
        command: "transform",
        inputs: std::iter::once(arguments.dump.as_path())
            .chain(arguments.mapping.as_deref())
            .collect(),
        output: layout(&arguments.out, &arguments.output),
        stdout_is_taken: is_standard_output(&arguments.out) && !arguments.dry_run,
        expected_documents: arguments.expect_docs,
    };
    Session::begin(common, setup)?.run(|session| {
        let plan = plan_of(arguments.mapping.as_deref())?;
        let options = transform::Options {
            databases: arguments.databases.names.clone(),
            all_databases: arguments.databases.all_dbs,
            plan_file: file_of_plan(arguments.mapping.as_deref()),
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
            max_rejected: arguments.max_rejected,
            max_finding_documents: arguments.max_finding_docs,
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
        // Documents that are set aside are written as they are found.
        let Session { display, details, .. } = session;
        let mut each = |namespace: &str, document: &transform::SetAside| {
            details.line(&Rejected { namespace, document })
        };
        let report = transform::transform_each(&options, &plan, display, &mut each)?;
        detail_files(display, &report.manifest);
        session.finish(Outcome {
            report: &report,
            page: summary::transform(&report, &plan),
            problem: None,
        })
    })
}

/// A line of `--details`: a document that was set aside.
#[derive(Serialize)]
struct Rejected<'r> {
    namespace: &'r str,
    #[serde(flatten)]
    document: &'r transform::SetAside,
}

/// Where a run writes. Nothing if the arguments contradict one another; the library reports that.
fn layout(out: &Path, output: &args::Output) -> Option<Layout> {
    Layout::new(out, output.archive, output.sidecar.as_deref()).ok()
}

fn gzip_level(output: &args::Output) -> Option<u32> {
    output.gzip_level.or(output.gzip.then_some(DEFAULT_GZIP_LEVEL))
}

pub fn io_mode(common: &Common) -> IoMode {
    match common.io {
        args::Io::Auto => IoMode::Auto,
        args::Io::Direct => IoMode::Direct,
        args::Io::Buffered => IoMode::Buffered,
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
    let dump = arguments.source.as_deref().or(arguments.restored.as_deref());
    let setup = session::Setup {
        command: "verify",
        inputs: arguments.outs.iter().map(PathBuf::as_path).chain(dump).collect(),
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        if arguments.source.is_some() && arguments.outs.len() > 1 {
            let what = "--source takes one OUT: a dump is the source of one output; give each OUT \
                        with its own dump";
            return Err(Error::Usage(what.to_owned()).into());
        }
        let options = |out: &Path| verify::Options {
            strict: arguments.strict,
            threads: common.threads.map(usize::from),
            io: io_mode(common),
            ..verify::Options::new(out)
        };
        let mut reports = Vec::new();
        for out in &arguments.outs {
            reports.push(verify::verify(&options(out), &session.display)?);
        }
        let options = options(&arguments.outs[0]);
        let summary = match reports.len() {
            1 => summary::verify,
            _ => summary::verify_named,
        };
        let (mut page, mut problem) = (Page::default(), Page::default());
        for report in &reports {
            page.append(summary(report));
            if !report.holds() {
                problem.append(summary(report));
            }
        }
        let (Some(dump), true) = (dump, problem.is_empty()) else {
            return match reports.as_slice() {
                [_] => session.finish(Outcome {
                    report: &VerifyResult::of(&reports),
                    page,
                    problem: problem.or_none(),
                }),
                _ => verify_together(session, &options, reports, page, problem),
            };
        };
        // Differences are written as they are found.
        let Session { display, details, .. } = session;
        let mut each = |difference: &verify::DocumentDifference| details.line(difference);
        if arguments.source.is_some() {
            let derived =
                verify::compare_with_source(&options, &reports[0], dump, display, &mut each)?;
            let compared = summary::verify_source(&derived);
            let problem = (!derived.differences.is_empty()).then(|| compared.clone());
            page.append(compared);
            let result = VerifyResult { source: Some(derived), ..VerifyResult::of(&reports) };
            return session.finish(Outcome { report: &result, page, problem });
        }
        let restored = verify::compare_with_restored(&options, &reports, dump, display, &mut each)?;
        let compared = summary::verify_restored(&restored, &reports);
        let problem = (!restored.is_same()).then(|| compared.clone());
        page.append(compared);
        let result = VerifyResult { restored: Some(restored), ..VerifyResult::of(&reports) };
        session.finish(Outcome { report: &result, page, problem })
    })
}

/// Compares outputs with one another if each of them matches its manifest.
fn verify_together(
    session: &mut Session<'_>,
    options: &verify::Options,
    outputs: Vec<verify::Report>,
    mut page: Page,
    mut problem: Page,
) -> anyhow::Result<ExitCode> {
    let mut together = None;
    if outputs.iter().all(|report| report.differences.is_empty()) {
        let report = verify::compare_outputs(options, &outputs, &session.display)?;
        let compared = summary::verify_together(&report);
        if !report.holds() {
            problem.append(compared.clone());
        }
        page.append(compared);
        together = Some(report);
    }
    session.finish(Outcome {
        report: &VerifyResult { together, ..VerifyResult::of(&outputs) },
        page,
        problem: problem.or_none(),
    })
}

fn reverse(arguments: &args::Reverse) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let redump = arguments.current.as_deref();
    let setup = session::Setup {
        command: "reverse",
        inputs: arguments
            .outs
            .iter()
            .chain(&arguments.beside)
            .map(PathBuf::as_path)
            .chain(redump)
            .collect(),
        output: layout(&arguments.dest, &arguments.output),
        stdout_is_taken: redump.is_none()
            && is_standard_output(&arguments.dest)
            && !arguments.dry_run,
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let options = reverse::Options {
            further: arguments.outs[1..].to_vec(),
            beside: arguments.beside.clone(),
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
            ..reverse::Options::new(&arguments.outs[0], &arguments.dest)
        };
        let Some(redump) = redump else {
            if arguments.strict {
                let what = "--strict needs --current: without it the result is identical to the \
                            source, or an error";
                return Err(Error::Usage(what.to_owned()).into());
            }
            let report = reverse::reverse(&options, &session.display)?;
            detail_files(&session.display, &report.manifest);
            return session.finish(Outcome {
                report: &ReverseResult::from(&report),
                page: summary::reverse(&report, &options.out),
                problem: None,
            });
        };
        if options.archive || is_standard_output(&options.dest) {
            let what = "--archive and - cannot be used with --current, whose result is a \
                        directory; name one";
            return Err(Error::Usage(what.to_owned()).into());
        }
        // Events are written as they happen.
        let Session { display, details, .. } = session;
        let mut each = |event: &reverse::Event| details.line(event);
        let report =
            reverse::reverse_current(&options, redump, arguments.strict, display, &mut each)?;
        detail_files(display, &report.reversal.manifest);
        session.finish(Outcome {
            report: &ReverseResult::from(&report),
            page: summary::reverse_current(&report),
            problem: None,
        })
    })
}

fn inspect(arguments: &args::Inspect) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let setup = session::Setup {
        command: "inspect",
        inputs: std::iter::once(arguments.dump.as_path())
            .chain(arguments.mapping.as_deref())
            .collect(),
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let plan = plan_of(arguments.mapping.as_deref())?;
        let mut options = inspect::Options::new(&arguments.dump);
        options.out = arguments.out.clone();
        options.databases = arguments.databases.clone();
        options.threads = common.threads.map(usize::from);
        options.io = io_mode(common);
        let report = inspect::inspect(&options, &plan, &session.display)?;
        let outcome = Outcome {
            report: &report,
            page: summary::inspect(&report, arguments),
            problem: (!report.go).then(|| summary::no_go(&report)),
        };
        let failure = report.damages.first().map(|damage| Failure {
            error: FailureText {
                code: damage.code,
                message: damage.message.clone(),
                position: damage.position.clone(),
            },
            exit_code: report.exit_code(),
        });
        session.finish_with(outcome, failure.as_ref())
    })
}

fn show(arguments: &args::Show) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let setup = session::Setup {
        command: "show",
        inputs: vec![&arguments.out],
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let mut options = show::Options::new(&arguments.out, &arguments.id);
        options.database = arguments.db.clone();
        options.io = io_mode(common);
        let report = show::show(&options, &session.display)?;
        let summary = summary::show(&report, text::columns_of(std::io::stdout()));
        session.finish(Outcome { report: &report, page: summary.into(), problem: None })
    })
}

fn findings(arguments: &args::Findings) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let setup = session::Setup {
        command: "findings",
        inputs: vec![&arguments.out],
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let mut options = findings::Options::new(&arguments.out);
        options.most = arguments.max;
        options.io = io_mode(common);
        let Session { display, details, .. } = session;
        let mut each = |finding: &findings::Finding<'_>| details.line(finding);
        let report = findings::findings(&options, display, &mut each)?;
        let page = summary::findings(&report);
        session.finish(Outcome { report: &report, page, problem: None })
    })
}

fn sample(arguments: &args::Sample) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let further = arguments.mapping.as_deref().into_iter().chain(arguments.mask.as_deref());
    let setup = session::Setup {
        command: "sample",
        inputs: std::iter::once(arguments.dump.as_path()).chain(further).collect(),
        output: Some(Layout::Directory(arguments.out.clone())),
        ..session::Setup::default()
    };
    Session::begin(common, setup)?.run(|session| {
        let plan = plan_of(arguments.mapping.as_deref())?;
        let mut options = sample::Options::new(&arguments.dump, &arguments.out, arguments.docs);
        options.databases = arguments.databases.names.clone();
        options.all_databases = arguments.databases.all_dbs;
        options.plan_file = file_of_plan(arguments.mapping.as_deref());
        options.mask = arguments.mask.clone();
        options.io = io_mode(common);
        let report = sample::sample(&options, &plan, &session.display)?;
        let page = summary::sample(&report, arguments.mapping.as_deref());
        session.finish(Outcome { report: &report, page, problem: None })
    })
}
