//! Dumps: what `mongodump` writes, told apart by content.
//!
//! A directory, a single file and an archive are all a [`Dump`]. Names, suffixes and shortened names
//! follow mongo-tools `mongodump/prepare.go` and `mongorestore/filepath.go`.

mod content;
mod metadata;
mod names;
mod oplog;
mod read;
mod sources;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(crate) use content::refuse_other_content;
use content::{describe_directory, is_archive, looks_like};
pub(crate) use metadata::IndexDefinition;
pub(crate) use metadata::MOST_METADATA_BYTES;
pub use metadata::Metadata;
use metadata::check_metadata_size;
pub(crate) use metadata::{index_name, relaxed};
pub(crate) use names::metadata_file_of;
pub(crate) use oplog::OplogOperations;
#[doc(hidden)]
pub use oplog::touching_in;
pub use read::{Document, DocumentIter, OpenCollection};

use crate::base::archive_format as archive;
use crate::base::documents::Checking;
use crate::base::namespace::is_database_name;
use crate::base::stream::{STANDARD_INPUT_NAME, Stream, is_standard_input};
use crate::disk::{Disk, Unpacked, Unpacking, locked, names_in};
use crate::error::{Error, IoContext, Result, counted};
use crate::plain::{PlainPath, plain};
use crate::progress::Progress;

/// An open dump.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dump {
    /// The path that was opened.
    pub path: PathBuf,
    /// The collections, by database and name.
    pub(crate) collections: Vec<Collection>,
    /// The version of the server that it comes from, if the dump has it.
    pub server_version: Option<String>,
    /// The oplog of `mongodump --oplog`.
    pub(crate) oplog: Option<PathBuf>,
    /// Remarks for the user.
    pub remarks: Vec<String>,
    kind: Kind,
    /// The archive, if the dump is one, with its prelude read.
    reader: Mutex<Option<archive::Reader<Stream>>>,
    /// The unpacked collections of an archive, removed with the dump.
    _unpacked: Vec<Arc<Unpacked>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A directory.
    Directory,
    /// One file of documents: the source, whatever its name.
    SingleFile,
    /// One file, or standard input, with many collections.
    Archive,
}

/// Where to find a collection's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataAt {
    /// A file.
    File(PathBuf),
    /// The prelude of an archive.
    Prelude(Arc<archive::Entry>),
}

impl std::fmt::Display for MetadataAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MetadataAt::File(path) => write!(f, "'{}'", path.plain()),
            MetadataAt::Prelude(_) => write!(f, "in the archive's prelude"),
        }
    }
}

/// A collection in a dump.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// The file with its documents: of an archive, the archive, which [`Dump::archive`] reads.
    pub documents: Option<PathBuf>,
    /// The place of its metadata.
    pub metadata: Option<MetadataAt>,
}

impl Collection {
    /// The namespace, `database.collection`.
    pub fn namespace(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }
}

/// The bytes that wait to be written while an archive is unpacked, of all collections together.
const MOST_BUFFERED: usize = 16 * 1024 * 1024;

/// The uncompressed content of a metadata file or a prelude. More than [`MOST_METADATA_BYTES`] is
/// refused.
pub(crate) fn read_small(disk: &Disk, path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    Stream::open(disk, path)?
        .take(MOST_METADATA_BYTES + 1)
        .read_to_end(&mut content)
        .reading("read", path)?;
    check_metadata_size(content.len() as u64, path)?;
    Ok(content)
}

impl Dump {
    /// [`Dump::open`], with the file operations of `disk`. `database` names the database of a single
    /// file; otherwise its directory does.
    #[doc(hidden)]
    pub fn open_on(disk: &Disk, path: &Path, database: Option<&str>) -> Result<Dump> {
        let mut dump = Dump {
            path: path.to_owned(),
            collections: Vec::new(),
            server_version: None,
            oplog: None,
            remarks: Vec::new(),
            kind: Kind::Directory,
            reader: Mutex::new(None),
            _unpacked: Vec::new(),
        };
        if is_standard_input(path) {
            dump.path = STANDARD_INPUT_NAME.into();
            dump.whole_archive(Stream::standard_input(disk)?)?;
        } else if std::fs::metadata(path).reading("open", path)?.is_dir() {
            dump.directory(disk)?;
        } else if is_archive(disk, path)? {
            dump.whole_archive(Stream::open(disk, path)?)?;
        } else {
            dump.single_file(disk, database)?;
        }
        dump.collections.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
        Ok(dump)
    }

    /// Opens a dump whose collections can all be read by path: from an archive, those with a namespace in
    /// `wanted` are unpacked in one pass into files in `scratch`, which are closed, and so gone, with the dump.
    pub(crate) fn open_unpacked(
        disk: &Disk,
        path: &Path,
        database: Option<&str>,
        scratch: &Path,
        progress: &dyn Progress,
        wanted: &HashSet<String>,
    ) -> Result<Dump> {
        let mut dump = Dump::open_on(disk, path, database)?;
        let Some(mut reader) = dump.archive(disk)? else { return Ok(dump) };
        let mut chosen: HashMap<String, &mut Collection> = dump
            .collections
            .iter_mut()
            .map(|collection| (collection.namespace(), collection))
            .filter(|(namespace, _)| wanted.contains(namespace))
            .collect();
        let buffer = (MOST_BUFFERED / chosen.len().max(1)).min(256 * 1024);
        let mut files = Vec::new();
        for number in 0..reader.prelude().entries.len() {
            let namespace = reader.prelude().entries[number].namespace();
            let Some(collection) = chosen.get_mut(&namespace) else {
                files.push(None);
                continue;
            };
            let place = dump.path.join(namespace);
            collection.documents = Some(place.clone());
            files.push(Some((Unpacking::begin(scratch, buffer)?, place)));
            reader.check(number);
        }
        reader.each_document(Checking::Framing, progress, |document| {
            match &mut files[document.namespace] {
                Some((unpacked, _)) => unpacked.append(document.bytes),
                None => Ok(()),
            }
        })?;
        for (unpacked, place) in files.into_iter().flatten() {
            let unpacked = Arc::new(unpacked.finish()?);
            disk.keep_unpacked(&place, &unpacked);
            dump._unpacked.push(unpacked);
        }
        dump.kind = Kind::Directory;
        Ok(dump)
    }

    /// How the dump was opened, in one line.
    #[doc(hidden)]
    pub fn describe(&self) -> String {
        let shape = match self.kind {
            Kind::Directory => "a directory dump",
            Kind::SingleFile => "a single file of documents",
            Kind::Archive => "an archive",
        };
        let collections = counted(self.collections.len() as u64, "collection");
        let version = plain(self.server_version.as_deref().unwrap_or("unknown"));
        format!(
            "'{}' is read as {shape}: {collections}, server version {version}",
            self.path.plain()
        )
    }

    /// Whether the dump is one file of documents: the source, whatever its name.
    pub(crate) fn is_single_file(&self) -> bool {
        self.kind == Kind::SingleFile
    }

    /// Whether the dump is an archive, whose documents [`Dump::archive`] reads.
    pub(crate) fn is_archive(&self) -> bool {
        self.kind == Kind::Archive
    }

    /// The archive, if the dump is one, with its prelude read. Each call starts from the beginning;
    /// standard input allows only one.
    pub(crate) fn archive(&self, disk: &Disk) -> Result<Option<archive::Reader<Stream>>> {
        if self.kind != Kind::Archive {
            return Ok(None);
        }
        let opened = locked(&self.reader).take();
        match opened {
            Some(reader) => Ok(Some(reader)),
            None if self.path == Path::new(STANDARD_INPUT_NAME) => Err(Error::Usage(
                "standard input can be read only once, and this needs the dump twice; name a file"
                    .to_owned(),
            )),
            None => archive::Reader::open_file(disk, &self.path).map(Some),
        }
    }

    fn whole_archive(&mut self, stream: Stream) -> Result<()> {
        let reader = archive::Reader::open(stream, self.path.plain())?;
        let prelude = reader.prelude();
        self.kind = Kind::Archive;
        self.server_version =
            Some(prelude.server_version.clone()).filter(|version| !version.is_empty());
        for entry in prelude.entries.iter().filter(|entry| !entry.is_oplog()) {
            // mongorestore would notice bad JSON only after it has inserted documents.
            Metadata::parse(entry.metadata.clone(), &self.path.join(entry.namespace()))?;
            self.collections.push(Collection {
                database: entry.database.clone(),
                name: entry.collection.clone(),
                documents: (entry.kind.as_deref() != Some("view")).then(|| self.path.clone()),
                metadata: Some(MetadataAt::Prelude(Arc::clone(entry))),
            });
        }
        self.reader = Mutex::new(Some(reader));
        Ok(())
    }

    fn directory(&mut self, disk: &Disk) -> Result<()> {
        let path = self.path.clone();
        let mut directories = Vec::new();
        let mut files = Vec::new();
        for entry in list(&path)? {
            match std::fs::metadata(&entry) {
                Ok(metadata) if metadata.is_dir() => directories.push(entry),
                // A link to nothing.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).reading("look at", &entry);
                }
                _ => files.push(entry),
            }
        }
        self.prelude(disk, &files)?;
        let is_oplog = |file: &&PathBuf| {
            file.file_name().is_some_and(|name| name == "oplog.bson" || name == "oplog.bson.gz")
        };
        let own_files =
            files.iter().filter(|file| !is_oplog(file)).any(|file| names::is_dump_file(file));
        if own_files {
            let name = directory_name(&path)?;
            self.database(disk, &name, &files)?;
            return Ok(());
        }
        self.oplog = files.iter().find(is_oplog).cloned();
        for directory in &directories {
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let files: Vec<PathBuf> = list(directory)?;
            if files.iter().any(|file| names::is_dump_file(file)) {
                if !is_database_name(&name) {
                    return Err(Error::input(
                        directory,
                        format!("'{}' cannot be the name of a database", name.escape_debug()),
                    ));
                }
                self.prelude(disk, &files)?;
                self.database(disk, &name, &files)?;
            }
        }
        if self.collections.is_empty() {
            return Err(Error::input(&path, describe_directory(disk, &files, &directories)));
        }
        if self.server_version.is_none()
            && !self.remarks.iter().any(|remark| remark.contains("prelude.json"))
        {
            self.remarks.push(
                "the dump has no prelude.json; mongodump 100.12 and later writes one last, so check that it ran to its end".to_owned(),
            );
        }
        Ok(())
    }

    /// Reads the server's version from a prelude among `files`.
    fn prelude(&mut self, disk: &Disk, files: &[PathBuf]) -> Result<()> {
        let is_prelude = |file: &&PathBuf| {
            file.file_name().is_some_and(|name| name == "prelude.json" || name == "prelude.json.gz")
        };
        if let Some(file) = files.iter().find(is_prelude) {
            let content: Option<serde_json::Value> =
                serde_json::from_slice(&read_small(disk, file)?).ok();
            let version = content
                .as_ref()
                .and_then(|content| content.get("ServerVersion"))
                .and_then(|version| version.as_str());
            match version {
                Some(version) => self.server_version = Some(version.to_owned()),
                None => self
                    .remarks
                    .push(format!("'{}' does not hold the server's version", file.plain())),
            }
        }
        Ok(())
    }

    fn database(&mut self, disk: &Disk, database: &str, files: &[PathBuf]) -> Result<()> {
        let mut known: HashMap<String, usize> = HashMap::new();
        for file in files {
            let Some((stem, role)) = names::split_file_name(file) else { continue };
            let name = names::collection_name(disk, file, &stem)?;
            let at = *known.entry(name).or_insert_with_key(|name| {
                self.collections.push(Collection {
                    database: database.to_owned(),
                    name: name.clone(),
                    documents: None,
                    metadata: None,
                });
                self.collections.len() - 1
            });
            let collection = &mut self.collections[at];
            let other = match role {
                names::FileRole::Documents => {
                    collection.documents.replace(file.clone()).map(MetadataAt::File)
                }
                names::FileRole::Metadata => {
                    collection.metadata.replace(MetadataAt::File(file.clone()))
                }
            };
            if let Some(other) = other {
                return Err(Error::input(
                    file,
                    format!(
                        "and {other} both exist for one collection; remove the one that does not belong to this dump"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn single_file(&mut self, disk: &Disk, database: Option<&str>) -> Result<()> {
        let path = self.path.clone();
        if let Some(what) = looks_like(disk, &path)? {
            return Err(Error::input(&path, what));
        }
        let database = match database {
            Some(database) => database.to_owned(),
            None => directory_name(
                std::path::absolute(&path)
                    .reading("find", &path)?
                    .parent()
                    .unwrap_or(Path::new("/")),
            )?,
        };
        let name = match names::split_file_name(&path) {
            Some((stem, names::FileRole::Documents)) => names::collection_name(disk, &path, &stem)?,
            _ => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let metadata = names::metadata_file_of(&path).map(MetadataAt::File);
        if metadata.is_none() {
            self.remarks.push(format!(
                "'{}' has no metadata file next to it, so its collection, indexes and options are unknown",
                path.plain()
            ));
        }
        self.kind = Kind::SingleFile;
        self.collections.push(Collection { database, name, documents: Some(path), metadata });
        Ok(())
    }

    /// The metadata of a collection, if there is any.
    pub(crate) fn metadata(
        &self,
        disk: &Disk,
        collection: &Collection,
    ) -> Result<Option<Metadata>> {
        match &collection.metadata {
            None => Ok(None),
            Some(MetadataAt::File(path)) => Metadata::parse(read_small(disk, path)?, path),
            Some(MetadataAt::Prelude(entry)) => Metadata::parse(entry.metadata.clone(), &self.path),
        }
    }

    /// The operations of the dump's oplog, and how many of them touch a namespace.
    pub(crate) fn oplog_operations(
        &self,
        disk: &Disk,
        namespace: &str,
        progress: &dyn Progress,
    ) -> Result<OplogOperations> {
        let operations =
            self.oplog.as_deref().map(|path| oplog::operations(disk, path, namespace, progress));
        operations.unwrap_or(Ok(OplogOperations::default()))
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let names = names_in(directory).reading("list", directory)?;
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn directory_name(directory: &Path) -> Result<String> {
    let absolute = std::path::absolute(directory).reading("find", directory)?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if is_database_name(&name) {
        return Ok(name);
    }
    Err(Error::input(
        directory,
        format!(
            "'{}' cannot be the name of a database; name the database with --db",
            name.escape_debug()
        ),
    ))
}
