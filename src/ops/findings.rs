//! `findings`: the findings of an output by rule, with the `_id` of every document.

use std::path::PathBuf;

use serde::Serialize;

use super::reverse::open_output;
use super::reverse::original::each_source_document;
use crate::disk::{Disk, IoMode};
use crate::error::{Error, Result};
use crate::manifest;
use crate::mapping::{Mapped, Mapper, Plan};
use crate::progress::Progress;
use crate::raw::display_id;

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
        let mut found = Found::new(&plan, source, options.most);
        each_source_document(&disk, &artifact, &plan, source, progress, &mut |document, batch| {
            found.look(document, batch.migrated().all(|one| one.is_none()), each)
        })?;
        sources.push(found.finish(&options.out)?);
    }
    Ok(Report { sources })
}

/// The findings of a source while its documents are mapped.
struct Found<'p> {
    plan: &'p Plan,
    mapper: Mapper<'p>,
    mapped: Mapped,
    source: &'p manifest::Source,
    most: usize,
    document: u64,
    /// By the number of the manifest's finding: what was found so far.
    rules: Vec<manifest::Finding>,
}

impl<'p> Found<'p> {
    fn new(plan: &'p Plan, source: &'p manifest::Source, most: usize) -> Self {
        let none = |finding: &manifest::Finding| manifest::Finding {
            documents: 0,
            first_ids: Vec::new(),
            ..finding.clone()
        };
        Found {
            plan,
            mapper: Mapper::new(plan),
            mapped: Mapped::default(),
            source,
            most,
            document: 0,
            rules: source.findings.iter().map(none).collect(),
        }
    }

    /// Maps a document. `is_out` says that no collection has anything of it.
    fn look(
        &mut self,
        document: &[u8],
        is_out: bool,
        each: &mut dyn FnMut(&Finding<'_>) -> Result<()>,
    ) -> Result<()> {
        self.document += 1;
        let mapped = self.mapper.map(std::iter::once(document), |_| None, &mut self.mapped);
        mapped.map_err(|(_, fault)| {
            Error::Check(format!(
                "document {} of {}, brought back: {}; please report this",
                self.document, self.source.namespace, fault.kind
            ))
        })?;
        // What was set aside has no findings: alone, it may be fine.
        if is_out && self.mapped.counts.iter().any(|count| *count > 0) {
            return Ok(());
        }
        for (rule, _) in self.mapped.findings.iter(self.plan) {
            let id = display_id(document);
            // What is left out is followed by the names of the first such fields.
            let is_text = |expects: &str| {
                expects
                    .strip_prefix(&rule.text)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("; first: "))
            };
            let is_rule =
                |known: &&mut manifest::Finding| known.rule == rule.name && is_text(&known.expects);
            let Some(known) = self.rules.iter_mut().find(is_rule) else {
                return Err(self.differ(&rule.name));
            };
            known.documents += 1;
            if known.first_ids.len() < self.most {
                known.first_ids.push(id.clone().unwrap_or_else(|| "none".to_owned()));
            }
            each(&Finding {
                namespace: &self.source.namespace,
                document: self.document,
                id,
                rule: &rule.name,
            })?;
        }
        Ok(())
    }

    fn finish(self, out: &std::path::Path) -> Result<Source> {
        let differs = |(found, recorded): &(&manifest::Finding, &manifest::Finding)| {
            found.documents != recorded.documents
        };
        let pairs = self.rules.iter().zip(&self.source.findings);
        if let Some((found, recorded)) = pairs.clone().find(differs) {
            return Err(Error::Check(format!(
                "'{}': {} documents of {} break the rule {}; the manifest says {}",
                out.display(),
                found.documents,
                self.source.namespace,
                found.rule,
                recorded.documents
            )));
        }
        Ok(Source {
            namespace: self.source.namespace.clone(),
            documents: self.source.documents,
            rules: self.rules,
        })
    }

    fn differ(&self, rule: &str) -> Error {
        Error::Check(format!(
            "document {} of {} breaks the rule {rule}, of which the manifest knows nothing",
            self.document, self.source.namespace
        ))
    }
}
