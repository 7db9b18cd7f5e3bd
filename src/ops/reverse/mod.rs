//! `reverse`: the source collection, brought back from an output and its journal.

mod current;
pub(crate) mod original;
mod plain;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

pub use current::{
    BesideReport, Counts, Event, EventKind, Report as CurrentReport, reverse_current,
};
pub use plain::{reverse, reverse_on};

use crate::artifact::apart;
use crate::artifact::layout::Layout;
use crate::artifact::reader::{self, Artifact};
use crate::artifact::staging::{self, Form, Staging};
use crate::artifact::writer::{Content, DeferredTail};
use crate::base::namespace;
use crate::disk::{Disk, IoMode};
use crate::dump::Metadata;
use crate::error::{Error, Result};
use crate::manifest::{self, Kind, Manifest, Role};
use crate::mapping::Plan;
use crate::ops::verify::collections::distinct;
use crate::pipeline::Threads;
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::transform::{layout_as_path, metadata_path, rounded_seconds};

/// What to reverse, and how.
///
/// Make one with [`Options::new`], and set what differs. Fields are added in later versions.
#[derive(Debug, Clone)]
pub struct Options {
    /// The output of `transform`.
    pub out: PathBuf,
    /// With a later dump: further outputs of the same mapping, such as those of other shards. Their
    /// documents come after those of `out`.
    pub further: Vec<PathBuf>,
    /// With a later dump: outputs of other mappings that were restored into the same database.
    pub beside: Vec<PathBuf>,
    /// Where the result goes.
    pub dest: PathBuf,
    /// Another name for the database in the result.
    pub to_database: Option<String>,
    /// Compress the files at this level, 1 to 9.
    pub gzip_level: Option<u32>,
    /// Write one archive, with the other files next to it; `-` is standard output.
    pub archive: bool,
    /// The prefix of the files that go with an archive on standard output.
    pub sidecar: Option<PathBuf>,
    /// Replace an existing result.
    pub force: bool,
    /// With a later dump: the number of documents that its driving collection must have.
    pub expect_documents: Option<u64>,
    /// With a later dump: accept an empty driving collection.
    pub allow_empty: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// The outputs to reverse, in order.
    pub(crate) fn outs(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.out).chain(&self.further)
    }
    /// The result's layout in the file system.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the options do not fit together.
    pub fn layout(&self) -> Result<Layout> {
        Layout::new(&self.dest, self.archive, self.sidecar.as_deref())
    }
    /// From an output to a dump, with the command line's defaults.
    pub fn new(out: impl Into<PathBuf>, dest: impl Into<PathBuf>) -> Self {
        Options {
            out: out.into(),
            further: Vec::new(),
            beside: Vec::new(),
            dest: dest.into(),
            to_database: None,
            gzip_level: None,
            archive: false,
            sidecar: None,
            force: false,
            expect_documents: None,
            allow_empty: false,
            dry_run: false,
            threads: None,
            io: IoMode::Auto,
        }
    }
}

/// An index that makes the server delete documents some time after a date in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TtlIndex {
    /// Its collection's namespace.
    pub namespace: String,
    /// Its name.
    pub index: String,
    /// Seconds after the date.
    pub seconds: String,
}

/// A collection that the migration made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NewCollection {
    /// Its namespace.
    pub namespace: String,
    /// Whether other mappings fill it too, so that it must not be dropped.
    pub is_shared: bool,
}

/// What a run did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The result.
    #[serde(rename = "dest", serialize_with = "layout_as_path")]
    pub layout: Layout,
    /// The manifest that was written, or would have been in a dry run.
    pub manifest: Manifest,
    /// Indexes in the restored metadata that make the server delete documents.
    pub ttl_indexes: Vec<TtlIndex>,
    /// The collections that a rollback leaves behind, without those that it replaces.
    pub new_collections: Vec<NewCollection>,
    /// How long the run took, in seconds.
    pub seconds: f64,
}

/// Opens an output to reverse, with its mapping, and checks which files it has and their sizes.
pub(crate) fn open_output(disk: &Disk, out: &Path) -> Result<(Artifact, Plan)> {
    let artifact = Artifact::open(disk, out)?;
    if artifact.manifest.kind != Kind::Transform {
        return Err(Error::Check(format!(
            "'{}' is the result of `reverse`; only an output of `transform` can be reversed",
            out.plain()
        )));
    }
    reader::contents(disk, &artifact)?.require(out)?;
    let plan = original::recorded_plan(disk, &artifact)?;
    Ok((artifact, plan))
}

/// Checks that the databases of these sources can be named as the options want.
fn check_databases(options: &Options, namespaces: &[&str]) -> Result<()> {
    if let (Some(name), true) = (&options.to_database, namespaces.len() > 1) {
        return Err(Error::Usage(format!(
            "--to-db {name} would put the collections of {} databases into one; leave it out, or transform one database with --db NAME and reverse that",
            namespaces.len()
        )));
    }
    for namespace in namespaces {
        database_of(namespace, options.to_database.as_deref())?;
    }
    Ok(())
}

/// The manifest's entry for a restored source, once its documents are proven to be the source's.
fn proven(
    recorded: &manifest::Source,
    namespace: &str,
    restored: &Content,
) -> Result<manifest::Source> {
    let Content { documents, bytes, sha256 } = restored;
    if (*documents, *bytes, sha256) != (recorded.documents, recorded.bytes, &recorded.sha256) {
        return Err(Error::Check(format!(
            "the reversal of {} has {documents} documents, {bytes} bytes and SHA-256 {sha256}; the source had {}, {} and {}. Nothing was published",
            recorded.namespace, recorded.documents, recorded.bytes, recorded.sha256
        )));
    }
    let round_trip = manifest::RoundTrip { proven: *documents, whole: recorded.round_trip.whole };
    Ok(manifest::Source {
        namespace: namespace.to_owned(),
        targets: Vec::new(),
        findings: Vec::new(),
        rejected: 0,
        round_trip,
        ..recorded.clone()
    })
}

/// All that a reversal reads and writes, opened.
struct Opened<'r> {
    artifact: Artifact,
    /// Further outputs of the same mapping. Sources are opened when their turn comes: there may be thousands.
    further: Vec<Artifact>,
    plan: Plan,
    layout: Layout,
    threads: Threads,
    /// None in a dry run.
    staging: Option<Staging<'r>>,
}

impl<'r> Opened<'r> {
    fn new(disk: &'r Disk, options: &Options) -> Result<Self> {
        let layout = options.layout()?;
        if !options.dry_run {
            let inputs: Vec<&Path> =
                options.outs().chain(&options.beside).map(PathBuf::as_path).collect();
            apart::check_output(&inputs, &layout)?;
        }
        distinct(options.outs().chain(&options.beside))?;
        let (artifact, plan) = open_output(disk, &options.out)?;
        let mut further = Vec::new();
        for out in &options.further {
            let (other, _) = open_output(disk, out)?;
            let (one, another) = (&artifact.manifest.mapping, &other.manifest.mapping);
            if one.sha256 != another.sha256 {
                return Err(Error::Check(format!(
                    "'{}' was made with {one}, '{}' with {another}; only outputs of one mapping are reversed together. Give the other one with --beside",
                    options.out.plain(),
                    out.plain()
                )));
            }
            further.push(other);
        }
        let mut namespaces: Vec<&str> = Vec::new();
        for source in
            std::iter::once(&artifact).chain(&further).flat_map(|one| &one.manifest.sources)
        {
            if !namespaces.contains(&source.namespace.as_str()) {
                namespaces.push(&source.namespace);
            }
        }
        check_databases(options, &namespaces)?;
        if !options.dry_run {
            staging::check_place(form_of(options, layout.clone()))?;
        }
        let threads = Threads::new(options.threads)?;
        let begin = || Staging::begin(disk, form_of(options, layout.clone()));
        let staging = (!options.dry_run).then(begin).transpose()?;
        Ok(Opened { artifact, further, plan, layout, threads, staging })
    }
}

/// The result of a reversal while it is written.
struct Reversal {
    manifest: Manifest,
    ttl_indexes: Vec<TtlIndex>,
    new_collections: Vec<NewCollection>,
}

impl Reversal {
    fn new(manifest: &Manifest, options: &Options, layout: &Layout) -> Self {
        let options = manifest::Options {
            gzip_level: options.gzip_level,
            archive: layout.is_archive(),
            ..manifest.options.clone()
        };
        let (sources, files) = (Vec::new(), Vec::new());
        let manifest = Manifest {
            kind: Kind::Reverse,
            tool: manifest::tool(),
            options,
            sources,
            files,
            ..manifest.clone()
        };
        Reversal { manifest, ttl_indexes: Vec::new(), new_collections: Vec::new() }
    }
    /// Notes the collections that an output was restored as.
    fn note_collections(&mut self, output: &Manifest, plan: &Plan) {
        for source in &output.sources {
            for (number, target) in source.targets.iter().enumerate() {
                let namespace = &target.namespace;
                let is_known = self.new_collections.iter().any(|one| one.namespace == *namespace);
                if !is_known && !plan.is_source(number) {
                    self.new_collections.push(NewCollection {
                        namespace: namespace.clone(),
                        is_shared: plan.is_shared(number),
                    });
                }
            }
        }
    }
    /// Writes the source's metadata file, if it had one.
    fn write_metadata(
        &mut self,
        staging: Option<&mut Staging<'_>>,
        threads: &Threads,
        namespace: &str,
        metadata: Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(bytes) = metadata else { return Ok(()) };
        let level = self.manifest.options.gzip_level;
        let (database, collection) = namespace.split_once('.').unwrap_or((namespace, ""));
        let path = metadata_path(database, collection, level.is_some());
        let mut file = Staging::file(staging, path, Role::Metadata, namespace, level)?;
        file.append(&bytes)?;
        self.manifest.files.push(threads.run(|| file.finish())?);
        self.note_ttl_indexes(namespace, Some(bytes))
    }
    fn note_ttl_indexes(&mut self, namespace: &str, metadata: Option<Vec<u8>>) -> Result<()> {
        let metadata =
            metadata.map_or(Ok(None), |bytes| Metadata::parse(bytes, namespace.as_ref()))?;
        let ttl = metadata.map(|metadata| metadata.ttl_indexes()).unwrap_or_default();
        self.ttl_indexes.extend(ttl.into_iter().map(|(index, seconds)| TtlIndex {
            namespace: namespace.to_owned(),
            index,
            seconds,
        }));
        Ok(())
    }
    /// Publishes the result, and reports it.
    fn publish(
        self,
        staging: Option<Staging<'_>>,
        tail: Option<DeferredTail>,
        options: &Options,
        layout: Layout,
        began: Instant,
        progress: &dyn Progress,
    ) -> Result<Report> {
        progress.check()?;
        if let Some(staging) = staging {
            for warning in staging.publish_with(&self.manifest, tail)? {
                progress.warn(&warning);
            }
        }
        let seconds = rounded_seconds(began.elapsed());
        Ok(Report {
            dry_run: options.dry_run,
            layout,
            manifest: self.manifest,
            ttl_indexes: self.ttl_indexes,
            new_collections: self.new_collections,
            seconds,
        })
    }
}

pub(crate) fn database_of(namespace: &str, to: Option<&str>) -> Result<String> {
    let database = to.unwrap_or_else(|| namespace::database_of(namespace));
    namespace::check_database_name(database)?;
    Ok(database.to_owned())
}

/// The files that a reversal reads only to check them.
pub(crate) const UNREAD: &[Role] = &[Role::Metadata, Role::Rejected];

/// The form of a reversal's result.
pub(crate) fn form_of(options: &Options, layout: Layout) -> Form {
    Form { layout, gzip_level: options.gzip_level, force: options.force, kind: Some(Kind::Reverse) }
}
