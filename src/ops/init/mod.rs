//! `mapping init`: makes a first mapping from the documents of a collection.

mod indexes;
mod text;
mod toml;

use std::path::PathBuf;

use super::survey::Survey;

use super::source::open_documents;
use crate::base::documents::{Checking, each_document};
use crate::disk::{Disk, IoMode};
use crate::dump::{Collection, Dump};
use crate::error::{Error, Result};
use crate::plain::{PlainPath, plain_json};
use crate::progress::Progress;

/// What [`init`] reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dump; `-` for an archive on standard input.
    pub dump: PathBuf,
    /// The database of the collection; needed if several have one of its name.
    pub database: Option<String>,
    /// The collection's name.
    pub collection: String,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// The collection of this name in a dump.
    pub fn new(dump: impl Into<PathBuf>, collection: impl Into<String>) -> Self {
        Options {
            dump: dump.into(),
            database: None,
            collection: collection.into(),
            io: IoMode::default(),
        }
    }
}

/// Reads a collection once, and returns the text of a mapping that copies all of it: a row for each
/// field, with the types that were seen.
///
/// The text depends on the namespace, the documents and the indexes alone, and contains no value. It
/// has at most 768 KiB. Memory is bounded too: at most 4,096 fields are told apart, and what has no
/// row is copied by the mapping's `rest`.
///
/// # Errors
///
/// [`Error::Input`] or [`Error::Usage`] if the dump has no such collection, or several;
/// [`Error::Check`] if it is a view, a time series, or has no documents; [`Error::Document`] at the
/// first invalid document.
///
/// # Examples
///
/// ```
/// use mongosplit::{init, progress::Silent};
///
/// # fn main() -> mongosplit::Result<()> {
/// let text = init::init(&init::Options::new("fixtures/dump", "users"), &Silent)?;
/// assert!(text.contains(r#"{ name = "_id", must = { bsonType = "string" } },"#));
/// # Ok(())
/// # }
/// ```
pub fn init(options: &Options, progress: &dyn Progress) -> Result<String> {
    let disk = Disk::new(options.io);
    let dump = Dump::open_on(&disk, &options.dump, options.database.as_deref())?;
    progress.detail(&dump.describe());
    let collection = only_collection(&disk, &dump, options)?;
    if let Some(refusal) = dump.refusal(&disk, &collection)? {
        return Err(refusal);
    }
    dump.remarks.iter().for_each(|remark| progress.warn(remark));
    let metadata = dump.metadata(&disk, &collection)?;
    let (mut documents, total) = open_documents(&disk, &dump, &collection)?;
    progress.start(&collection.namespace(), total);
    let mut survey = Survey::default();
    each_document(&mut documents, Checking::Validity, progress, |document| {
        survey.observe(document.bytes());
        Ok(())
    })?;
    progress.finish();
    if survey.documents() == 0 {
        return Err(Error::Check(format!(
            "{} has no documents, so there is nothing to make a mapping from",
            collection.namespace()
        )));
    }
    // TOML's basic strings have JSON's escapes.
    Ok(plain_json(&text::mapping(&collection, &survey, metadata.as_ref())).into_owned())
}

/// The one collection that the options name.
fn only_collection(disk: &Disk, dump: &Dump, options: &Options) -> Result<Collection> {
    let databases: Vec<String> = options.database.iter().cloned().collect();
    let is_named = |other: &&Collection| other.name == options.collection;
    let namespaces: Vec<String> =
        dump.collections.iter().filter(is_named).map(Collection::namespace).collect();
    if databases.is_empty() && namespaces.len() > 1 && !dump.is_single_file() {
        return Err(Error::Usage(format!(
            "'{}' has {} databases with a collection '{}': {}; choose one with --db NAME",
            dump.path.plain(),
            namespaces.len(),
            options.collection.escape_debug(),
            namespaces.join(", ")
        )));
    }
    Ok(dump.sources(disk, &options.collection, &databases, false)?.remove(0))
}
