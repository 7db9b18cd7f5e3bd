//! `show`: one document of an output: as the source had it, what it has become, and what the journal
//! keeps of it.

use std::path::PathBuf;

use serde::Serialize;

use super::explain;
use super::reverse::open_output;
use super::reverse::original::each_source_document;
use super::wanted_id::WantedId;
use crate::base::namespace::database_of;
use crate::disk::{Disk, IoMode};
use crate::error::{Error, Position, Result, counted};
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::{display_id, extended_json};

/// More documents with one `_id` are an error: only a damaged source has so many.
const MOST: usize = 100;

/// What [`show`] looks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The output of `transform`.
    pub out: PathBuf,
    /// The `_id` of a source document, or of one that it has become: text, Extended JSON, or as
    /// messages show it.
    pub id: String,
    /// The source's database; all if it is not given.
    pub database: Option<String>,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// The documents with this `_id` in an output.
    pub fn new(out: impl Into<PathBuf>, id: impl Into<String>) -> Self {
        Options { out: out.into(), id: id.into(), database: None, io: IoMode::default() }
    }
}

/// The documents that were found.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// One, unless several sources or source documents have the `_id`.
    pub documents: Vec<explain::Report>,
}

/// Finds the source documents with an `_id`, or of which a collection of the output has a document with
/// it. All of the output is read, so that what is shown is what the manifest proves.
///
/// # Errors
///
/// [`Error::Check`] if there is no such document, or the output does not verify; [`Error::Usage`] if the
/// output has no source in the database.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, progress::Silent, show, transform};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// # let out = directory.path().join("out");
/// transform::transform(&transform::Options::new("fixtures/dump", &out), &Plan::built_in()?, &Silent)?;
/// let error = show::show(&show::Options::new(&out, "nothing has this _id"), &Silent).unwrap_err();
/// assert_eq!(error.exit_code(), 1);
/// # Ok(())
/// # }
/// ```
pub fn show(options: &Options, progress: &dyn Progress) -> Result<Report> {
    let disk = Disk::new(options.io);
    let (artifact, plan) = open_output(&disk, &options.out)?;
    let is_wanted = |namespace: &str| {
        options.database.as_deref().is_none_or(|database| database_of(namespace) == database)
    };
    let sources = &artifact.manifest.sources;
    if !sources.iter().any(|source| is_wanted(&source.namespace)) {
        let names: Vec<&str> = sources.iter().map(|source| source.namespace.as_str()).collect();
        return Err(Error::Usage(format!(
            "--db {}: '{}' was made from {}",
            options.database.as_deref().unwrap_or_default().escape_debug(),
            options.out.plain(),
            names.join(", ")
        )));
    }
    let wanted = WantedId::new(&options.id);
    let mut documents = Vec::new();
    for source in sources.iter().filter(|source| is_wanted(&source.namespace)) {
        let (mut number, mut offset) = (0, 0);
        each_source_document(&disk, &artifact, &plan, source, progress, &mut |document, batch| {
            let position = Position {
                file: source.namespace.clone(),
                document: number + 1,
                offset,
                id: display_id(document),
            };
            number += 1;
            offset += document.len() as u64;
            let stored: Vec<_> =
                (0..plan.target_count()).map(|target| batch.migrated_to(target)).collect();
            let is_found =
                wanted.is_of(document) || stored.iter().flatten().any(|one| wanted.is_of(one));
            if !is_found {
                return Ok(());
            }
            if documents.len() == MOST {
                return Err(Error::Check(format!(
                    "more than {} have the _id {}",
                    counted(MOST as u64, "document"),
                    options.id.escape_debug()
                )));
            }
            let mut report = explain::report(&plan, position.to_string(), document)?;
            for (after, stored) in report.after.iter_mut().zip(stored) {
                after.documents = stored.into_iter().map(extended_json).collect();
            }
            documents.push(report);
            Ok(())
        })?;
    }
    if documents.is_empty() {
        return Err(Error::Check(format!(
            "'{}' has no document with the _id {}, neither of its source nor in its collections; write it as messages show it, or as Extended JSON",
            options.out.plain(),
            options.id.escape_debug()
        )));
    }
    Ok(Report { documents })
}
