//! Opens a collection of a dump, to be read once.

use crate::base::documents::{Documents, Shares};
use crate::base::stream::Stream;
use crate::batch::Splitter;
use crate::disk::Disk;
use crate::dump::{self, Collection, Dump};
use crate::error::Result;

/// The collection's documents, and the size of their file as stored if it is known.
pub(super) fn open_documents(
    disk: &Disk,
    dump: &Dump,
    collection: &Collection,
) -> Result<(Documents, Option<u64>)> {
    if let Some(archive) = dump.archive(disk)? {
        let total = archive.stream().total();
        return Ok((Shares::open(archive, &[&collection.namespace()])?.remove(0), total));
    }
    let path = collection.documents.as_deref().unwrap_or(&dump.path);
    dump::refuse_other_content(disk, path)?;
    let splitter: Splitter<Stream> = Splitter::open(disk, path)?;
    let total = splitter.stream().total();
    Ok((Documents::File(splitter), total))
}
