//! `inspect`: lists what is in a dump, and checks it.

use serde::Serialize;

use crate::base::archive_format::Reader;
use crate::base::documents::{Checking, Counts, each_document};
use crate::base::stream::Stream;
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{self, Dump, Metadata};
use crate::error::Result;
use crate::progress::Progress;

/// What is in a dump.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Its collections, by namespace.
    pub collections: Vec<Collection>,
}

/// One collection.
#[derive(Debug, Serialize)]
pub struct Collection {
    /// Its namespace.
    pub namespace: String,
    /// `collection`, `view` or `timeseries`, from its metadata.
    pub kind: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// The names of its indexes.
    pub indexes: Vec<String>,
    /// Whether the archive's checksum of its documents holds; none if the dump has no checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum_holds: Option<bool>,
    /// Whether the dump has its metadata, but no file of its documents. mongodump writes one even
    /// for an empty collection; views and time series have none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_documents: bool,
}

impl Collection {
    /// Whether nothing is known to be wrong with it.
    pub fn is_sound(&self) -> bool {
        self.checksum_holds != Some(false) && !self.lacks_documents
    }
}

impl Report {
    /// Whether all checksums hold, and no file of documents is missing.
    pub fn is_sound(&self) -> bool {
        self.collections.iter().all(Collection::is_sound)
    }
}

/// Lists the collections of a dump, reads every document, and checks an archive's checksums.
///
/// A checksum that does not hold, or a missing file, is in the report; a document that is not sound is an error.
///
/// # Examples
///
/// ```
/// use mongosplit::{Dump, inspect, progress::Silent};
///
/// # fn main() -> mongosplit::Result<()> {
/// let report = inspect::inspect(&Dump::open("fixtures/dump")?, &Silent)?;
/// assert!(report.is_sound());
/// assert_eq!(report.collections.iter().map(|collection| collection.documents).sum::<u64>(), 106);
/// # Ok(())
/// # }
/// ```
pub fn inspect(dump: &Dump, progress: &dyn Progress) -> Result<Report> {
    inspect_on(&Disk::default(), dump, progress)
}

/// [`inspect`], with the file operations of `disk`.
#[doc(hidden)]
pub fn inspect_on(disk: &Disk, dump: &Dump, progress: &dyn Progress) -> Result<Report> {
    if let Some(reader) = dump.archive(disk)? {
        return inspect_archive(disk, dump, reader, progress);
    }
    let mut collections = Vec::new();
    for collection in &dump.collections {
        let metadata = dump.metadata(disk, collection)?;
        let mut counts = Counts::default();
        if let Some(path) = &collection.documents {
            let mut splitter = Splitter::open(disk, path)?;
            progress.start(&collection.namespace(), Some(splitter.stream().file_bytes));
            counts = each_document(&mut splitter, Checking::Validity, progress, |_| Ok(()))?;
            progress.finish();
        }
        let listed = listed(collection.namespace(), metadata, None, counts);
        let lacks_documents = collection.documents.is_none() && listed.kind == "collection";
        collections.push(Collection { lacks_documents, ..listed });
    }
    Ok(Report { collections })
}

fn listed(
    namespace: String,
    metadata: Option<Metadata>,
    kind: Option<String>,
    Counts { documents, bytes }: Counts,
) -> Collection {
    let kind = metadata.as_ref().and_then(|metadata| metadata.kind.clone()).or(kind);
    Collection {
        namespace,
        kind: kind.unwrap_or_else(|| "collection".to_owned()),
        documents,
        bytes,
        indexes: metadata.iter().flat_map(Metadata::index_names).map(str::to_owned).collect(),
        checksum_holds: None,
        lacks_documents: false,
    }
}

fn inspect_archive(
    disk: &Disk,
    dump: &Dump,
    mut reader: Reader<Stream>,
    progress: &dyn Progress,
) -> Result<Report> {
    progress.start("inspect", reader.stream().total());
    reader.check_all_and_continue();
    reader.each_document(Checking::Validity, progress, |_| Ok(()))?;
    progress.finish();
    let mut collections = Vec::new();
    for (number, entry) in reader.prelude().entries.iter().enumerate() {
        let seen = reader.seen(number);
        let of_entry = |other: &&dump::Collection| {
            (&other.database, &other.name) == (&entry.database, &entry.collection)
        };
        let metadata = dump
            .collections
            .iter()
            .find(of_entry)
            .map_or(Ok(None), |collection| dump.metadata(disk, collection))?;
        let kind = if entry.is_oplog() { Some("oplog".to_owned()) } else { entry.kind.clone() };
        let listed = listed(entry.namespace(), metadata, kind, seen.counts());
        collections.push(Collection { checksum_holds: seen.checksum_holds, ..listed });
    }
    collections.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    Ok(Report { collections })
}
