//! `findings`: the findings of an output by rule, with the `_id` of every document.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::reverse::open_output;
use super::reverse::original::each_source_document;
use crate::disk::{Disk, IoMode};
use crate::error::{Error, Result};
use crate::manifest;
use crate::mapping::{Findings, Mapped, Mapper};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::display_id;
use crate::transform::recorded;

/// What [`findings`] lists.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The output of `transform`.
    pub out: PathBuf,
    /// How many `_id`s of each rule the report holds.
    pub most: usize,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// The findings of an output, with the command line's defaults.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Options { out: out.into(), most: 10, io: IoMode::default() }
    }
}

/// The findings of an output.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Its sources, in the manifest's order.
    pub sources: Vec<Source>,
}

/// The findings of a source.
#[derive(Debug, Serialize)]
pub struct Source {
    /// Its namespace.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// The rules that documents break, in the mapping's order.
    pub rules: Vec<manifest::Finding>,
}

/// A document that breaks a rule.
#[derive(Debug, Serialize)]
pub struct Finding<'a> {
    /// The source's namespace.
    pub namespace: &'a str,
    /// The document's number in the source, from 1.
    pub document: u64,
    /// Its `_id`; none if it has none.
    pub id: Option<String>,
    /// The rule's name.
    pub rule: &'a str,
}

/// Lists the findings of an output. Each document is brought back and mapped anew; `each` receives every
/// document and rule that it breaks.
///
/// # Errors
///
/// [`Error::Check`] if the output does not verify, or has other findings than its manifest says.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, findings, progress::Silent, transform};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// # let out = directory.path().join("out");
/// transform::transform(&transform::Options::new("fixtures/dump", &out), &Plan::built_in()?, &Silent)?;
/// let mut all = 0;
/// let report = findings::findings(&findings::Options::new(&out), &Silent, &mut |_| {
///     all += 1;
///     Ok(())
/// })?;
/// assert_eq!(report.sources[0].rules.iter().map(|rule| rule.documents).sum::<u64>(), all);
/// # Ok(())
/// # }
/// ```
pub fn findings(
    options: &Options,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&Finding<'_>) -> Result<()>,
) -> Result<Report> {
    let disk = Disk::new(options.io);
    let (artifact, plan) = open_output(&disk, &options.out)?;
    let mut sources = Vec::new();
    for source in &artifact.manifest.sources {
        let mut found = Findings::keeping(options.most);
        let (mut mapper, mut mapped) = (Mapper::new(&plan), Mapped::default());
        let mut number = 0;
        each_source_document(&disk, &artifact, &plan, source, progress, &mut |document, batch| {
            number += 1;
            let done = mapper.map(std::iter::once(document), |_| None, &mut mapped);
            done.map_err(|(_, fault)| {
                Error::Check(format!(
                    "document {number} of {}, brought back: {}; please report this",
                    source.namespace, fault
                ))
            })?;
            // What was set aside has no findings: alone, it may be fine.
            let is_out = batch.migrated().all(|one| one.is_none());
            if is_out && mapped.counts.iter().any(|count| *count > 0) {
                return Ok(());
            }
            found.append(&mapped.findings);
            for (rule, _) in mapped.findings.iter(&plan) {
                each(&Finding {
                    namespace: &source.namespace,
                    document: number,
                    id: display_id(document),
                    rule: &rule.name,
                })?;
            }
            Ok(())
        })?;
        sources.push(checked(source, recorded(&found, &plan), &options.out)?);
    }
    Ok(Report { sources })
}

/// The findings of a source, if they are those of the manifest.
fn checked(source: &manifest::Source, rules: Vec<manifest::Finding>, out: &Path) -> Result<Source> {
    let told = |finding: &manifest::Finding| {
        (finding.rule.clone(), finding.expects.clone(), finding.documents)
    };
    if !rules.iter().map(told).eq(source.findings.iter().map(told)) {
        return Err(Error::Check(format!(
            "'{}': the findings of {}, derived again, are not those of the manifest; `mongosplit verify --source` compares all of the output",
            out.plain(),
            source.namespace
        )));
    }
    Ok(Source { namespace: source.namespace.clone(), documents: source.documents, rules })
}
