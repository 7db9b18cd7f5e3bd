//! `mapping explain`: what becomes of one document, and what the journal keeps of it.

use std::path::PathBuf;

use serde::Serialize;

use super::single::Single;
use super::source::open_documents;
use super::wanted_id::WantedId;
use crate::base::documents::{Checking, each_document};
use crate::disk::{Disk, IoMode};
use crate::dump::{Collection, Dump};
use crate::error::{Error, Result};
use crate::journal::{Misfit, Reader};
use crate::mapping::{KeptWhat, Plan};
use crate::progress::Progress;
use crate::raw::{extended_json, extended_json_of};

/// What [`explain`] reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dump; `-` for an archive on standard input.
    pub dump: PathBuf,
    /// The database of the source collection; needed if several have one.
    pub database: Option<String>,
    /// The document's `_id`: text, Extended JSON, or as messages show it.
    pub id: String,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// The document with this `_id` in the source collection of a dump.
    pub fn new(dump: impl Into<PathBuf>, id: impl Into<String>) -> Self {
        Options { dump: dump.into(), database: None, id: id.into(), io: IoMode::default() }
    }
}

/// What becomes of a document.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where the document is.
    pub position: String,
    /// The document, as Extended JSON.
    pub before: String,
    /// The targets, each with the documents written for it, as Extended JSON.
    pub after: Vec<After>,
    /// Why a server would refuse it, if it would.
    pub refused: Option<String>,
    /// What the journal keeps, but for field orders.
    pub kept: Vec<Kept>,
    /// What the application would refuse, and other findings.
    pub findings: Vec<Finding>,
}

/// What a target gets.
#[derive(Debug, Serialize)]
pub struct After {
    /// Its collection.
    pub collection: String,
    /// Its documents, in order.
    pub documents: Vec<String>,
}

/// Something that the journal keeps.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// The field; empty for the whole document.
    pub path: String,
    /// What is kept of it, and why.
    pub what: &'static str,
    /// The source's value, as Extended JSON, if the journal has it or a part of it.
    pub value: Option<String>,
}

/// A rule that the document breaks.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// What it demands.
    pub text: String,
}

/// Finds a document in the source collection of a dump, and maps it.
///
/// # Errors
///
/// [`Error::Check`] if there is no such document; those of reading the dump.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, explain, progress::Silent};
///
/// # fn main() -> mongosplit::Result<()> {
/// let options = explain::Options::new("fixtures/dump", "nothing has this _id");
/// let error = explain::explain(&options, &Plan::built_in()?, &Silent).unwrap_err();
/// assert_eq!(error.exit_code(), 1);
/// # Ok(())
/// # }
/// ```
pub fn explain(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let disk = Disk::new(options.io);
    let dump = Dump::open_on(&disk, &options.dump, options.database.as_deref())?;
    progress.detail(&dump.describe());
    let databases: Vec<String> = options.database.iter().cloned().collect();
    let source = dump.sources(&disk, plan.collection(), &databases, false)?.remove(0);
    if let Some(refusal) = dump.refusal(&disk, &source)? {
        return Err(refusal);
    }
    let found = find(&disk, &dump, &source, &WantedId::new(&options.id), progress)?;
    let Some((position, document)) = found else {
        return Err(Error::Check(format!(
            "{} has no document with the _id {}; write it as messages show it, or as Extended JSON",
            source.namespace(),
            options.id.escape_debug()
        )));
    };
    report(plan, position, &document)
}

/// The first document with an `_id`, and its position. All documents are read: an archive's
/// checksums are at its end.
fn find(
    disk: &Disk,
    dump: &Dump,
    source: &Collection,
    wanted: &WantedId,
    progress: &dyn Progress,
) -> Result<Option<(String, Vec<u8>)>> {
    let (mut documents, total) = open_documents(disk, dump, source)?;
    progress.start(&source.namespace(), total);
    let mut found = None;
    each_document(&mut documents, Checking::Validity, progress, |document| {
        if found.is_none() && wanted.is_of(document.bytes()) {
            found = Some((document.position().to_string(), document.bytes().to_vec()));
        }
        Ok(())
    })?;
    progress.finish();
    Ok(found)
}

/// What becomes of a document at this position.
pub(super) fn report(plan: &Plan, position: String, document: &[u8]) -> Result<Report> {
    let broken = |why: &str| Error::Check(format!("{position}: cannot be mapped: {why}"));
    let single = Single::new(plan, document).map_err(|fault| broken(&fault.to_string()))?;
    let after = plan.target_collections().enumerate().map(|(target, collection)| After {
        collection: collection.to_owned(),
        documents: single.documents(target).into_iter().map(extended_json).collect(),
    });
    let findings = &single.mapped.findings;
    let finding = |(rule, _): (&crate::mapping::Rule, _)| Finding {
        rule: rule.name.clone(),
        text: findings.text(rule),
    };
    Ok(Report {
        before: extended_json(document),
        after: after.collect(),
        refused: single.refusal(),
        kept: kept(plan, &single, document).map_err(|Misfit(why)| broken(why))?,
        findings: findings.iter(plan).map(finding).collect(),
        position,
    })
}

fn kept(plan: &Plan, single: &Single<'_>, document: &[u8]) -> Result<Vec<Kept>, Misfit> {
    let notes = &single.mapped.notes;
    let values = single.values();
    let mut reader = Reader::new(notes.program(), &values, notes.orders());
    let mut all = Vec::new();
    plan.kept(&mut reader, document, &mut |kept| {
        if kept.what != KeptWhat::Order {
            let has_value =
                matches!(kept.what, KeptWhat::Value | KeptWhat::NotUnwound | KeptWhat::PartOfText);
            all.push(Kept {
                path: kept.path.to_owned(),
                what: kept.what.text(),
                value: has_value.then(|| extended_json_of(kept.value)),
            });
        }
    })?;
    Ok(all)
}
