//! What `transform` can be told.

use std::collections::HashMap;
use std::path::PathBuf;

use super::limit::Limit;
use crate::artifact::layout::Layout;
use crate::disk::IoMode;
use crate::error::Result;

/// The indexes that the metadata files carry, besides the one on `_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Indexes {
    /// All of the mapping's.
    #[default]
    All,
    /// Those that are not unique.
    NonUnique,
    /// None.
    None,
}

impl Indexes {
    /// Its name on the command line and in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Indexes::All => "all",
            Indexes::NonUnique => "non-unique",
            Indexes::None => "none",
        }
    }
    /// The one with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Indexes::All, Indexes::NonUnique, Indexes::None]
            .into_iter()
            .find(|indexes| indexes.name() == name)
    }
}

/// What a run does about documents that the dump has in a target collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingTargets {
    /// Fails.
    #[default]
    Refuse,
    /// Fails if one of them collides with a document of the output.
    Check,
    /// Ignores them: the output will not be restored next to them.
    Ignore,
}

/// What to transform, and how.
///
/// Make one with [`Options::new`], and set what differs: `Options { strict: true, ..Options::new(dump, out) }`. Fields are
/// added in later versions.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dump.
    pub dump: PathBuf,
    /// Where the output goes.
    pub out: PathBuf,
    /// The databases whose source collection to split; may be empty if the dump has only one.
    pub databases: Vec<String>,
    /// Split the source collection of every database.
    pub all_databases: bool,
    /// The file that the plan was read from, if there is one. The output records its text, so whoever may not read the
    /// file may not read the output.
    pub plan_file: Option<PathBuf>,
    /// Another name for the database in the output.
    pub to_database: Option<String>,
    /// Indexes in the metadata.
    pub indexes: Indexes,
    /// Compress the files at this level, 1 to 9.
    pub gzip_level: Option<u32>,
    /// Write one archive, with the other files next to it; `-` is standard output.
    pub archive: bool,
    /// The prefix of the files that go with an archive on standard output.
    pub sidecar: Option<PathBuf>,
    /// The server version to write into an archive instead of the dump's.
    pub server_version: Option<String>,
    /// Metadata by namespace to keep in the journal instead of the dump's, if the two differ only in
    /// what a restore changes (see [`Metadata::differences`](crate::Metadata::differences)).
    pub known_metadata: HashMap<String, Vec<u8>>,
    /// Replace an existing output.
    pub force: bool,
    /// Treat findings as errors.
    pub strict: bool,
    /// Set aside documents that a server would refuse.
    pub skip_unrestorable: bool,
    /// How many of them an error lists.
    pub max_findings: usize,
    /// Fail if more documents are set aside.
    pub max_rejected: Option<Limit>,
    /// Fail if more documents have findings.
    pub max_finding_documents: Option<Limit>,
    /// The number of documents that the source must have.
    pub expect_documents: Option<u64>,
    /// Accept a source without documents.
    pub allow_empty: bool,
    /// What to do about documents that the dump has in a target collection.
    pub existing_targets: ExistingTargets,
    /// Accept oplog operations on the source, and leave them out.
    pub ignore_oplog: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// The output's layout in the file system.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) if the options do not fit together.
    pub fn layout(&self) -> Result<Layout> {
        Layout::new(&self.out, self.archive, self.sidecar.as_deref())
    }
    /// From a dump to an output, with the command line's defaults.
    pub fn new(dump: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Options {
            dump: dump.into(),
            out: out.into(),
            databases: Vec::new(),
            all_databases: false,
            plan_file: None,
            to_database: None,
            indexes: Indexes::All,
            gzip_level: None,
            archive: false,
            sidecar: None,
            server_version: None,
            force: false,
            strict: false,
            skip_unrestorable: false,
            max_findings: 1000,
            max_rejected: None,
            max_finding_documents: None,
            expect_documents: None,
            allow_empty: false,
            existing_targets: ExistingTargets::Refuse,
            known_metadata: HashMap::new(),
            ignore_oplog: false,
            dry_run: false,
            threads: None,
            io: IoMode::Auto,
        }
    }
}
