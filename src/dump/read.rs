//! Reading a dump's collections from outside the crate: one collection, document by document.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Collection, Dump, Metadata};
use crate::base::archive_format as archive;
use crate::base::documents::{Batches, Documents, Shares};
use crate::base::stream::Stream;
use crate::batch::{Batch, Splitter};
use crate::disk::Disk;
use crate::error::{Error, Position, Result};
use crate::plain::{PlainPath, plain};
use crate::raw::Validator;

impl Dump {
    /// Opens what `mongodump` made: a directory, one database's directory in it, a single `.bson`
    /// file, or an archive; plain or gzip, told apart by content. `-` is an archive on standard
    /// input.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if there is no dump at `path`, [`Error::Read`] if it cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> mongosplit::Result<()> {
    /// let dump = mongosplit::Dump::open("fixtures/dump")?;
    /// let names: Vec<String> = dump.namespaces().collect();
    /// assert!(names.contains(&"narrative_modeling.user_data".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Dump> {
        Dump::open_on(&Disk::default(), path.as_ref(), None)
    }

    /// The namespaces of the dump's collections, sorted.
    pub fn namespaces(&self) -> impl Iterator<Item = String> + '_ {
        self.collections.iter().map(Collection::namespace)
    }

    /// Opens a collection by its name, or by its namespace (`DATABASE.NAME`) if several databases
    /// have one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no such collection, or more than one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> mongosplit::Result<()> {
    /// let users = mongosplit::Dump::open("fixtures/dump")?.collection("users")?;
    /// assert_eq!(users.namespace(), "narrative_modeling.users");
    /// assert_eq!(users.metadata().expect("it has metadata").index_names(), ["_id_"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn collection(&self, name: &str) -> Result<OpenCollection> {
        let is_named =
            |collection: &&Collection| collection.name == name || collection.namespace() == name;
        let found: Vec<&Collection> = self.collections.iter().filter(is_named).collect();
        let path = self.path.plain();
        let disk = Disk::default();
        match found.as_slice() {
            [collection] => Ok(OpenCollection {
                collection: (*collection).clone(),
                metadata: self.metadata(&disk, collection)?,
                dump: self.path.clone(),
                archive: self.archive(&disk)?,
            }),
            [] => Err(Error::Usage(format!("'{path}': has no collection '{}'", plain(name)))),
            _ => {
                let names: Vec<String> = found.iter().map(|found| found.namespace()).collect();
                let names = names.join(", ");
                Err(Error::Usage(format!("'{path}': '{name}' is ambiguous; name one of {names}")))
            }
        }
    }
}

/// A collection of a dump, ready to be read.
#[derive(Debug)]
pub struct OpenCollection {
    collection: Collection,
    metadata: Option<Metadata>,
    dump: PathBuf,
    /// The archive, if the dump is one.
    archive: Option<archive::Reader<Stream>>,
}

impl OpenCollection {
    /// Database and name.
    pub fn namespace(&self) -> String {
        self.collection.namespace()
    }

    /// The collection's metadata, if the dump has any.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The documents, in the dump's order. Each one is checked whole before it is returned.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be opened. A document that is not sound is an item of the
    /// iterator: [`Error::Document`], whose [`Error::position`] says where it is. After an error
    /// there are no more items.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> mongosplit::Result<()> {
    /// let dump = mongosplit::Dump::open("fixtures/dump")?;
    /// let mut bytes = 0;
    /// for document in dump.collection("user_data")?.documents()? {
    ///     bytes += document?.bytes().len();
    /// }
    /// assert_eq!(bytes, 481_913);
    /// # Ok(())
    /// # }
    /// ```
    pub fn documents(self) -> Result<DocumentIter> {
        let namespace = self.namespace();
        let input = match (self.archive, &self.collection.documents) {
            (Some(archive), _) => Shares::open(archive, &[&namespace])?.remove(0),
            (None, Some(path)) => Documents::File(Splitter::open(&Disk::default(), path)?),
            (None, None) => {
                return Err(Error::input(&self.dump, format!("has no documents of {namespace}")));
            }
        };
        let validator = Validator::default();
        Ok(DocumentIter { input, batch: Batch::default(), next: 0, validator, is_done: false })
    }
}

/// A document of a dump.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    bytes: Vec<u8>,
    position: Position,
}

impl Document {
    /// The document as BSON, exactly as the dump has it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Where it is: file, number, byte offset, `_id`.
    pub fn position(&self) -> &Position {
        &self.position
    }
    /// Its `_id` as the shell writes it, shortened if it is long; none if it has none.
    pub fn id(&self) -> Option<&str> {
        self.position.id.as_deref()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {} bytes)", self.position, self.bytes.len())
    }
}

/// The documents of a collection; see [`OpenCollection::documents`].
#[derive(Debug)]
pub struct DocumentIter {
    input: Documents,
    batch: Batch,
    next: usize,
    validator: Validator,
    is_done: bool,
}

impl DocumentIter {
    fn advance(&mut self) -> Result<Option<Document>> {
        while self.next == self.batch.ends.len() {
            self.next = 0;
            if !self.input.fill(&mut self.batch)? {
                self.input.check_unchanged()?;
                return Ok(None);
            }
        }
        let bytes = self.batch.document(self.next);
        let position = self.batch.position(self.next, self.input.file());
        self.validator.check(bytes).map_err(|fault| Error::document(position.clone(), fault))?;
        self.next += 1;
        Ok(Some(Document { bytes: bytes.to_vec(), position }))
    }
}

impl Iterator for DocumentIter {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = self.advance().transpose();
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}
