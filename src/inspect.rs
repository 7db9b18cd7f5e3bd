//! `inspect`: what is in a dump.

use serde::Serialize;

use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::dump::{Dump, Stream};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::raw::Validator;

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
    /// `collection`, `view`, `timeseries`, as its metadata says.
    pub kind: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// The names of its indexes.
    pub indexes: Vec<String>,
}

/// Lists the collections of a dump and reads every document of them.
pub fn inspect(disk: &Disk, dump: &Dump, progress: &dyn Progress) -> Result<Report> {
    let mut collections = Vec::new();
    let mut validator = Validator::default();
    for collection in &dump.collections {
        let metadata = dump.metadata(disk, collection)?;
        let mut counts = (0, 0);
        if let Some(path) = &collection.documents {
            let file = path.display().to_string();
            let mut splitter = Splitter::new(Stream::open(disk, path)?, 0, file.clone());
            progress.start(&collection.namespace(), Some(splitter.stream().file_bytes));
            let mut batch = Batch::default();
            while splitter.fill(&mut batch)? {
                if let Some(signal) = progress.interrupted() {
                    return Err(Error::Interrupted(signal));
                }
                for (index, document) in batch.documents().enumerate() {
                    validator.check(document).map_err(|fault| Error::Document {
                        position: Box::new(batch.position(index, &file)),
                        fault: fault.kind,
                    })?;
                }
                progress.advance(splitter.counts().0, splitter.stream().file_bytes_read());
            }
            progress.finish();
            counts = splitter.counts();
        }
        let name = |index: &serde_json::Value| index.get("name").and_then(|name| name.as_str()).unwrap_or("(without a name)").to_owned();
        collections.push(Collection {
            namespace: collection.namespace(),
            kind: metadata.as_ref().and_then(|metadata| metadata.kind.clone()).unwrap_or_else(|| "collection".to_owned()),
            documents: counts.0,
            bytes: counts.1,
            indexes: metadata.map(|metadata| metadata.indexes.iter().map(name).collect()).unwrap_or_default(),
        });
    }
    Ok(Report { collections })
}
