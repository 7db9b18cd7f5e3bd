//! `mapping check` with a dump: what a mapping does to the documents of its source collection.
//! Nothing is written.

mod journal;

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use self::journal::Measure;
use super::source::open_documents;
use crate::base::documents::Batches;
use crate::batch::Batch;
use crate::disk::{Disk, IoMode};
use crate::dump::{Collection, Dump};
use crate::error::{Error, Result};
use crate::mapping::{Findings, Mapped, Mapper, Plan, Problem, Reads, SAMPLES, Unread};
use crate::progress::Progress;

pub use self::journal::{Cause, Journal};

/// What [`check`] reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dump; `-` for an archive on standard input.
    pub dump: PathBuf,
    /// The databases whose source collection is read; needed if several have one.
    pub databases: Vec<String>,
    /// Read the source collection of every database.
    pub all_databases: bool,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// The source collection of a dump.
    pub fn new(dump: impl Into<PathBuf>) -> Self {
        Options {
            dump: dump.into(),
            databases: Vec::new(),
            all_databases: false,
            io: IoMode::default(),
        }
    }
}

/// What a mapping does to the documents of a dump.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The source collections.
    pub sources: Vec<String>,
    /// Their documents.
    pub documents: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// The targets, in order.
    pub targets: Vec<Target>,
    /// Documents that a server would refuse. Duplicates of unique values are not looked for;
    /// `transform --dry-run` does.
    pub refused: Refused,
    /// What the application would refuse, by rule.
    pub findings: Vec<Finding>,
    /// The fields that no row reads.
    pub unread: Vec<Unread>,
    /// The number of documents with further such fields, which are not listed.
    pub with_more_unread: u64,
    /// What the journal keeps.
    pub journal: Journal,
    /// Rows that nothing feeds, and targets without documents.
    #[serde(serialize_with = "as_texts")]
    pub remarks: Vec<Problem>,
}

/// What a target gets.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its collection.
    pub collection: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Documents that a server would refuse.
#[derive(Debug, Default, Serialize)]
pub struct Refused {
    /// How many.
    pub documents: u64,
    /// The first few, each with the reason.
    pub first: Vec<String>,
}

/// Documents that break a rule.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// What it demands.
    pub text: String,
    /// How many documents.
    pub documents: u64,
    /// The `_id`s of the first few.
    pub first_ids: Vec<String>,
}

impl Finding {
    /// All findings, in the order of the rules.
    pub(super) fn all(findings: &Findings, plan: &Plan) -> Vec<Finding> {
        let finding = |(rule, found): (&crate::mapping::Rule, &crate::mapping::Found)| Finding {
            rule: rule.name.clone(),
            text: findings.text(rule),
            documents: found.documents,
            first_ids: found.first_ids.clone(),
        };
        findings.iter(plan).map(finding).collect()
    }
}

fn as_texts<S: Serializer>(problems: &[Problem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(Problem::to_string))
}

/// Maps all documents of the source collection, and writes nothing.
///
/// It reads the source once, and its memory is bounded.
///
/// # Errors
///
/// Those of reading the dump, and [`Error::Document`] at the first invalid document.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, check, progress::Silent};
///
/// # fn main() -> mongosplit::Result<()> {
/// let report = check::check(&check::Options::new("fixtures/dump"), &Plan::built_in()?, &Silent)?;
/// assert_eq!(report.documents, 60);
/// assert_eq!(report.targets[0].documents, 60);
/// # Ok(())
/// # }
/// ```
pub fn check(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let disk = Disk::new(options.io);
    let database = match options.databases.as_slice() {
        [database] => Some(database.as_str()),
        _ => None,
    };
    let dump = Dump::open_on(&disk, &options.dump, database)?;
    progress.detail(&dump.describe());
    let sources =
        dump.sources(&disk, plan.collection(), &options.databases, options.all_databases)?;
    dump.remarks.iter().for_each(|remark| progress.warn(remark));
    let mut checking = Checking::new(plan);
    for source in &sources {
        checking.source(&disk, &dump, source, progress)?;
    }
    Ok(checking.report(&sources))
}

struct Checking<'p> {
    plan: &'p Plan,
    mapper: Mapper<'p>,
    mapped: Mapped,
    reads: Reads,
    documents: u64,
    bytes: u64,
    counts: Vec<(u64, u64)>,
    refused: Refused,
    findings: Findings,
    measure: Measure<'p>,
}

impl<'p> Checking<'p> {
    fn new(plan: &'p Plan) -> Self {
        Checking {
            plan,
            mapper: Mapper::new(plan),
            mapped: Mapped::default(),
            reads: Reads::new(plan),
            documents: 0,
            bytes: 0,
            counts: vec![(0, 0); plan.target_count()],
            refused: Refused::default(),
            findings: Findings::default(),
            measure: Measure::new(plan),
        }
    }

    fn source(
        &mut self,
        disk: &Disk,
        dump: &Dump,
        source: &Collection,
        progress: &dyn Progress,
    ) -> Result<()> {
        if let Some(refusal) = dump.refusal(disk, source)? {
            return Err(refusal);
        }
        let (mut documents, total) = open_documents(disk, dump, source)?;
        progress.start(&source.namespace(), total);
        self.measure.begin();
        let mut batch = Batch::default();
        let before = self.documents;
        while documents.fill(&mut batch)? {
            progress.check()?;
            self.batch(&batch, documents.file())?;
            progress.advance(self.documents - before, documents.file_bytes_read());
        }
        documents.check_unchanged()?;
        progress.finish();
        Ok(())
    }

    fn batch(&mut self, batch: &Batch, file: &str) -> Result<()> {
        let mapped = &mut self.mapped;
        self.mapper
            .map(batch.documents(), |_| None, mapped)
            .map_err(|(index, fault)| Error::document(batch.position(index, file), fault))?;
        self.documents += batch.ends.len() as u64;
        self.bytes += batch.bytes.len() as u64;
        let of_targets = mapped.counts.iter().zip(&mapped.outputs);
        for (sum, (documents, output)) in self.counts.iter_mut().zip(of_targets) {
            *sum = (sum.0 + documents, sum.1 + output.len() as u64);
        }
        self.findings.append(&mapped.findings);
        for refused in &mapped.refused {
            self.refused.documents += 1;
            if self.refused.first.len() < SAMPLES {
                let position = batch.position(refused.index, file);
                self.refused.first.push(format!("{position}: {}", refused.reason));
            }
        }
        batch.documents().for_each(|document| self.reads.observe(document));
        self.measure.batch(batch, mapped)
    }

    fn report(self, sources: &[Collection]) -> Report {
        let plan = self.plan;
        let names = plan.target_collections().map(str::to_owned);
        let target = |(collection, (documents, bytes))| Target { collection, documents, bytes };
        Report {
            sources: sources.iter().map(Collection::namespace).collect(),
            documents: self.documents,
            bytes: self.bytes,
            targets: names.zip(self.counts.iter().copied()).map(target).collect(),
            refused: self.refused,
            findings: Finding::all(&self.findings, plan),
            unread: self.reads.unread(),
            with_more_unread: self.reads.with_more(),
            journal: self.measure.journal(self.bytes),
            // Without documents, nothing is to be said of rows.
            remarks: match self.documents {
                0 => Vec::new(),
                _ => {
                    let counts: Vec<u64> =
                        self.counts.iter().map(|(documents, _)| *documents).collect();
                    self.reads.remarks(plan, &counts)
                }
            },
        }
    }
}
