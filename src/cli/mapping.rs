//! The commands about mappings: show, check, explain, init, test and schema.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mongosplit::apart::Inputs;
use mongosplit::layout::is_standard_output;
use mongosplit::mapping::{Checked, Plan, Problem, schema};
use mongosplit::plain::{PlainPath, plain_lines};
use mongosplit::{Error, Result, cases, check, explain, init};
use serde::Serialize;

use super::args::{Check, Explain, Init, Mapping};
use super::commands::io_mode;
use super::page::Style;
use super::records;
use super::report::{Metrics, Notice, Registry};
use super::session::{Outcome, Session, Setup, print};
use super::{summary, text};

/// How a built-in mapping is named where a file can be.
const BUILT_IN: &str = "builtin:";

/// Runs a command about mappings.
pub fn execute(command: &Mapping) -> anyhow::Result<ExitCode> {
    match command {
        Mapping::Show { file } => {
            print(&plain_lines(&plan_of(Some(file))?.show()))?;
            Ok(ExitCode::SUCCESS)
        }
        Mapping::Check(arguments) => check(arguments),
        Mapping::Explain(arguments) => explain(arguments),
        Mapping::Test { files } => test(files),
        Mapping::Schema => {
            print(&schema())?;
            Ok(ExitCode::SUCCESS)
        }
        Mapping::Init(arguments) => init(arguments),
    }
}

/// The mapping that `--mapping` names, or else the built-in one.
pub fn plan_of(file: Option<&Path>) -> Result<Plan> {
    match file {
        None => Plan::built_in(),
        Some(file) => checked(file)?.into_plan(),
    }
}

/// The file of the mapping that `--mapping` names, unless it is a built-in one.
pub fn file_of_plan(file: Option<&Path>) -> Option<PathBuf> {
    file.filter(|file| built_in_name(file).is_none()).map(Path::to_owned)
}

fn built_in_name(file: &Path) -> Option<&str> {
    file.to_str().and_then(|file| file.strip_prefix(BUILT_IN))
}

/// Reads and compiles the mapping in a file, or a built-in one.
fn checked(file: &Path) -> Result<Checked> {
    Ok(Plan::check(&text_of(file)?).in_file(&file.plain()))
}

fn text_of(file: &Path) -> Result<String> {
    if let Some(name) = built_in_name(file) {
        let text = Plan::built_in_text(name).ok_or_else(|| {
            let names: Vec<&str> = Plan::built_in_names().collect();
            Error::Usage(format!(
                "there is no built-in mapping '{}'; there are {}",
                name.escape_debug(),
                names.join(" and ")
            ))
        });
        return text.map(str::to_owned);
    }
    std::fs::read_to_string(file).map_err(|error| {
        Error::Usage(format!("cannot read the mapping '{}': {error}", file.plain()))
    })
}

fn test(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut all_passed = true;
    for file in files {
        let name = file.plain();
        match checked(file)?.into_plan() {
            Ok(plan) => {
                let report = cases::run(&plan);
                all_passed &= report.failed().next().is_none();
                print(&summary::tests(&name, &report).to_text(Style::default()))?;
            }
            Err(error) => {
                all_passed = false;
                print(&plain_lines(&format!("{name}: {error}\n")))?;
            }
        }
    }
    Ok(ExitCode::from(u8::from(!all_passed)))
}

/// What `mapping check` found.
#[derive(Debug, Serialize)]
struct Checking {
    /// What is wrong with the mapping's text, or remarkable.
    problems: Vec<String>,
    /// What the mapping does to the dump, if one is given and the mapping can be used.
    dump: Option<check::Report>,
}

impl Metrics for Checking {
    fn metrics(&self, into: &mut Registry) {
        if let Some(dump) = &self.dump {
            dump.metrics(into);
        }
    }
}

impl Notice for Checking {}

fn check(arguments: &Check) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let dump = arguments.dump.as_deref();
    let inputs = [Some(arguments.file.as_path()), dump].into_iter().flatten().collect();
    let setup = Setup { command: "mapping check", inputs, ..Setup::default() };
    Session::begin(common, setup)?.run(|session| {
        let databases = &arguments.databases;
        if dump.is_none() && (!databases.names.is_empty() || databases.all_dbs) {
            let what = "--db and --all-dbs need a dump: without one only the mapping is read";
            return Err(Error::Usage(what.to_owned()).into());
        }
        let Checked { plan, mut problems, .. } = checked(&arguments.file)?;
        let mut report = None;
        if let (Some(plan), Some(dump)) = (&plan, dump) {
            let mut options = check::Options::new(dump);
            options.databases = databases.names.clone();
            options.all_databases = databases.all_dbs;
            options.io = io_mode(common);
            let mut checked = check::check(&options, plan, &session.display)?;
            let file = arguments.file.plain();
            checked.remarks.iter_mut().for_each(|remark| remark.file = Some(file.clone()));
            problems.extend(checked.remarks.iter().cloned());
            report = Some(checked);
        }
        let file = arguments.file.plain();
        let page = summary::check(&file, plan.as_ref(), &problems, report.as_ref());
        let problem = plan.is_none().then(|| page.clone());
        let problems = problems.iter().map(Problem::to_string).collect();
        let report = Checking { problems, dump: report };
        session.finish(Outcome { report: &report, page, problem })
    })
}

fn explain(arguments: &Explain) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let inputs = vec![arguments.file.as_path(), arguments.dump.as_path()];
    let setup = Setup { command: "mapping explain", inputs, ..Setup::default() };
    Session::begin(common, setup)?.run(|session| {
        let plan = plan_of(Some(&arguments.file))?;
        let mut options = explain::Options::new(&arguments.dump, &arguments.id);
        options.database = arguments.db.clone();
        options.io = io_mode(common);
        let report = explain::explain(&options, &plan, &session.display)?;
        let summary = summary::explain(&report, text::columns_of(std::io::stdout()));
        session.finish(Outcome { report: &report, page: summary.into(), problem: None })
    })
}

fn init(arguments: &Init) -> anyhow::Result<ExitCode> {
    let common = arguments.common();
    let inputs = vec![arguments.dump.as_path()];
    let setup = Setup { command: "mapping init", inputs, ..Setup::default() };
    Session::begin(&common, setup)?.run(|session| {
        let place = arguments.out.as_deref().filter(|place| !is_standard_output(place));
        let inputs = Inputs::new([arguments.dump.as_path()]);
        let file = place
            .map(|place| records::open_mapping(place, &inputs, arguments.force))
            .transpose()?;
        let mut options = init::Options::new(&arguments.dump, &arguments.collection);
        options.database = arguments.db.clone();
        options.io = io_mode(&common);
        let text = init::init(&options, &session.display)?;
        match file {
            None => print(&text)?,
            Some(mut file) => {
                file.write(text.as_bytes())?;
                file.finish()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
