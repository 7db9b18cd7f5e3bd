//! `transform`: a dump's source collection to the collections that replace it.

mod checks;
mod outputs;
mod preflight;
mod run;
mod source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::artifact::apart;
use crate::artifact::archive_writer::ArchiveFile;
use crate::artifact::layout::Layout;
use crate::artifact::staging::{Claim, Form, Staging};
use crate::base::stream::is_standard_input;
use crate::disk::{Disk, IoMode};
use crate::dump::{Collection, Dump, Metadata};
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Role};
use crate::mapping::Plan;
use crate::pipeline::{self, Pool, Threads};
use crate::progress::Progress;
use outputs::{Beside, Outputs, archived};
pub(crate) use outputs::{documents_path, metadata_path};
use preflight::{
    ExistingDocuments, check_traps, detail_run, files_of, metadata_remark, not_carried_over,
    single_database, unexpected_number,
};
use run::{Transforming, Writing};
use source::Reading;

/// Which indexes the metadata files carry, besides the one on `_id`.
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

/// What documents in a target collection of the dump mean for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingTargets {
    /// They fail it.
    #[default]
    Refuse,
    /// They fail it if one of them collides with one of the output.
    Check,
    /// Nothing: the output is not to be restored beside them.
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
    /// Databases whose source collection is taken; none where the dump has only one.
    pub databases: Vec<String>,
    /// Take the source collection of every database.
    pub all_databases: bool,
    /// The database's name in the output, where it is to be another.
    pub to_database: Option<String>,
    /// Indexes in the metadata.
    pub indexes: Indexes,
    /// Compress files, at this level.
    pub gzip_level: Option<u32>,
    /// Make one archive, with the other files beside it; `-` is standard output.
    pub archive: bool,
    /// What the files beside an archive on standard output are named after.
    pub sidecar: Option<PathBuf>,
    /// The server's version in an archive, where it is not to be the dump's.
    pub server_version: Option<String>,
    /// Metadata by namespace that the journal holds instead of the dump's, where that differs in nothing but what a
    /// restore changes by itself (see [`Metadata::differences`]).
    pub known_metadata: HashMap<String, Vec<u8>>,
    /// Replace what stands at the output's place.
    pub force: bool,
    /// Findings fail the run.
    pub strict: bool,
    /// Set documents aside that a server would refuse.
    pub skip_unrestorable: bool,
    /// How many of those an error names.
    pub max_findings: usize,
    /// How many documents the source must have.
    pub expect_documents: Option<u64>,
    /// Zero documents are no failure.
    pub allow_empty: bool,
    /// Whether the dump may have documents in a target collection.
    pub existing_targets: ExistingTargets,
    /// Go on where the oplog has operations on the source.
    pub ignore_oplog: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// How the output is to lie in the file system.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the options do not fit together.
    pub fn layout(&self) -> Result<Layout> {
        Layout::new(&self.out, self.archive, self.sidecar.as_deref())
    }
    /// From a dump to an output, everything else as the command line has it by default.
    pub fn new(dump: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Options {
            dump: dump.into(),
            out: out.into(),
            databases: Vec::new(),
            all_databases: false,
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

/// What a run has done.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The output.
    #[serde(rename = "out", serialize_with = "layout_as_path")]
    pub layout: Layout,
    /// The manifest that was written, or would have been.
    pub manifest: Manifest,
    /// For each source what the manifest does not tell.
    pub sources: Vec<SourceReport>,
    /// What of the dump is not in the output, and other things that a user should know.
    pub remarks: Vec<String>,
    /// What may be wrong although every check holds.
    pub warnings: Vec<String>,
    /// Seconds that the run took.
    pub seconds: f64,
}

/// What became of one source, beside what the manifest tells.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// Its namespace.
    pub namespace: String,
    /// Documents that were set aside.
    pub set_aside: Vec<SetAside>,
    /// The source's own indexes, as the commands that would create them.
    pub index_commands: Vec<String>,
    /// Options of the source that are not carried over.
    pub options: Vec<String>,
    /// Arrays that are mapped item by item.
    pub arrays: Vec<ArrayCount>,
    /// Its metadata, where the dump has any.
    #[serde(skip)]
    pub metadata: Option<Metadata>,
}

/// How many documents have an array with items, before and after.
#[derive(Debug, Clone, Serialize)]
pub struct ArrayCount {
    /// The source's field.
    pub source_field: String,
    /// Source documents (not set aside) in which it has items.
    pub source: u64,
    /// The target's field, behind its collection.
    pub target_field: String,
    /// Target documents in which it has items.
    pub target: u64,
}

/// A document that a server would refuse.
#[derive(Debug, Clone, Serialize)]
pub struct SetAside {
    /// Its number in the source, from 1.
    pub document: u64,
    /// Where it begins in the (uncompressed) file.
    pub offset: u64,
    /// Its `_id`.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
    /// The unique value that an earlier document has, too.
    #[serde(skip)]
    duplicate: Option<UniqueValue>,
}

/// A value of a unique index: the number of its class, and its fingerprint.
type UniqueValue = (usize, u128);

/// Splits the source collections of a dump into the collections that the plan describes.
///
/// Every document is brought back from what it became, and compared with the source byte for byte.
/// The output is published only when all of it is proven and on disk.
///
/// # Errors
///
/// [`Error::Check`] if something in the dump would be lost or refused by a server;
/// [`Error::Document`], [`Error::Input`] and [`Error::Read`] if the dump cannot be read;
/// [`Error::Output`] and [`Error::Write`] if the output cannot be written. Nothing is published.
///
/// # Examples
///
/// A dry run reads everything, and reports what a real run would write.
///
/// ```
/// use mongosplit::{Plan, progress::Silent, transform};
///
/// # fn main() -> mongosplit::Result<()> {
/// let options = transform::Options {
///     dry_run: true,
///     expect_documents: Some(60),
///     ..transform::Options::new("fixtures/dump", "out")
/// };
/// let report = transform::transform(&options, &Plan::built_in()?, &Silent)?;
/// let targets = &report.manifest.sources[0].targets;
/// assert_eq!(targets[0].namespace, "narrative_modeling.dataset_metadata");
/// assert_eq!(targets[0].documents, 60);
/// # Ok(())
/// # }
/// ```
pub fn transform(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    transform_on(&Disk::new(options.io), options, plan, progress)
}

/// [`transform`] by the file operations of `disk`.
#[doc(hidden)]
pub fn transform_on(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Report> {
    let prepared = Prepared::new(disk, options, plan, progress)?;
    // From here on an archive goes to standard output.
    let is_streaming = prepared.layout.is_stream() && !options.dry_run;
    prepared
        .run(progress)
        .map_err(|error| if is_streaming { Error::Streamed(Box::new(error)) } else { error })
}

/// A run of which nothing is written yet: the dump is open, the output's place is claimed, and no trap was found.
struct Prepared<'r> {
    began: Instant,
    disk: &'r Disk,
    options: &'r Options,
    plan: &'r Plan,
    layout: Layout,
    dump: Dump,
    collections: Vec<Collection>,
    threads: Threads,
    existing: ExistingDocuments,
    reader: Reading,
    sources: Vec<Outputs<'r>>,
    staging: Option<Staging<'r>>,
    remarks: Vec<String>,
}

impl<'r> Prepared<'r> {
    fn new(
        disk: &'r Disk,
        options: &'r Options,
        plan: &'r Plan,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let began = Instant::now();
        let layout = options.layout()?;
        if !options.dry_run {
            apart::check_output(&[&options.dump], &layout)?;
        }
        let dump = Dump::open_on(disk, &options.dump, single_database(options))?;
        let collections = source_collections(disk, options, plan, &dump)?;
        let form = Form {
            layout: layout.clone(),
            gzip_level: options.gzip_level,
            force: options.force,
            kind: manifest::Kind::Transform,
            source_mode: 0o666,
        };
        let claim = if options.dry_run { None } else { Some(Claim::take(disk, form)?) };
        let mut remarks = dump.remarks.clone();
        let threads = Threads::new(options.threads)?;
        detail_run(progress, &dump, &collections, &threads, options);
        let existing =
            check_traps(disk, options, plan, &dump, &collections, progress, &mut remarks)?;
        let reader = Reading::open(disk, options, &layout, plan, &dump, &collections)?;
        let mut sources = Vec::new();
        for collection in &collections {
            let source = Outputs::new(collection, options, dump.metadata(disk, collection)?)?;
            remarks.extend(metadata_remark(&dump, collection, source.metadata.as_ref()));
            sources.push(source);
        }
        remarks.extend(not_carried_over(&dump, &collections));
        let mut staging =
            claim.map(|claim| Staging::begin_at(claim, 0o666 & reader.mode())).transpose()?;
        let archive_name = layout.archive_name()?;
        let beside = archive_name.as_ref().map(|name| Beside { name, is_only: sources.len() == 1 });
        for source in &mut sources {
            source.open_files(plan, options, beside, staging.as_mut())?;
        }
        Ok(Prepared {
            began,
            disk,
            options,
            plan,
            layout,
            dump,
            collections,
            threads,
            existing,
            reader,
            sources,
            staging,
            remarks,
        })
    }

    fn run(self, progress: &dyn Progress) -> Result<Report> {
        let Prepared {
            disk,
            options,
            plan,
            layout,
            dump,
            collections,
            threads,
            mut reader,
            sources,
            mut staging,
            mut remarks,
            ..
        } = self;
        let mut archive = None;
        if let Some(name) = layout.archive_name()? {
            let file =
                Staging::file(staging.as_mut(), name, Role::Archive, "", options.gzip_level)?;
            let version = options.server_version.as_ref().or(dump.server_version.as_ref());
            archive = Some(ArchiveFile::begin(
                file,
                version.map(String::as_str),
                archived(&sources, plan, options),
            )?);
        }
        progress.start("transform", reader.total());
        let files = files_of(&dump, &collections);
        let stages = Transforming {
            plan,
            mappers: Pool::default(),
            existing: self.existing,
            options,
            progress,
            files,
        };
        let mut writer = Writing { sources, archive, documents: 0, file_bytes: 0 };
        pipeline::run(&threads, &stages, &mut reader, &mut writer)?;
        progress.finish();
        reader.check_after(options, &collections, &mut remarks)?;
        let Writing { mut sources, archive, .. } = writer;
        let will_fail = !options.skip_unrestorable
            && sources
                .iter()
                .any(|source| source.refused.iter().any(|one| one.duplicate.is_some()));
        if will_fail && !is_standard_input(&options.dump) {
            stages.name_earlier(
                &mut Reading::open(disk, options, &layout, plan, &dump, &collections)?,
                &mut sources,
            )?;
        }
        checks::check_results(options, &stages.files, &sources, plan, &dump.remarks)?;

        let mut manifest = empty_manifest(options, &layout, plan);
        let mut reports = Vec::new();
        for source in sources {
            let (entry, files, report) =
                threads.run(|| source.finish(plan, options, staging.as_mut()))?;
            manifest.sources.push(entry);
            manifest.files.extend(files);
            reports.push(report);
        }
        checks::check_conservation(&manifest, plan)?;
        let mut tail = None;
        if let Some(archive) = archive {
            let (entry, end) = threads.run(|| archive.finish())?;
            manifest.files.insert(0, entry);
            tail = end;
        }
        progress.check()?;
        if let Some(staging) = staging {
            for warning in staging.publish_with(&manifest, tail)? {
                progress.warn(&warning);
            }
        }
        Ok(Report {
            dry_run: options.dry_run,
            layout,
            manifest,
            sources: reports,
            remarks,
            warnings: unexpected_number(options, plan),
            seconds: rounded_seconds(self.began.elapsed()),
        })
    }
}

/// The source collections that the options choose.
fn source_collections(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    dump: &Dump,
) -> Result<Vec<Collection>> {
    let collections = dump.sources(disk, plan.collection(), &options.databases, options.all_databases).map_err(|error| match error {
        Error::Input { path, what }
            if plan.target_collections().any(|target| dump.collections.iter().any(|there| there.name == target)) =>
        {
            Error::Input { path, what: format!("{what}, which looks like an output of transform; name the dump that it was made from") }
        }
        other => other,
    })?;
    match &options.to_database {
        Some(name) if collections.len() > 1 => Err(Error::Usage(format!(
            "--to-db {name} would put the collections of {} databases into one; take one with --db NAME",
            collections.len()
        ))),
        _ => Ok(collections),
    }
}

/// The manifest of an output, its sources and files still to come.
fn empty_manifest(options: &Options, layout: &Layout, plan: &Plan) -> Manifest {
    Manifest {
        format: manifest::FORMAT,
        tool: manifest::tool(),
        kind: manifest::Kind::Transform,
        mapping: plan.id().clone(),
        options: manifest::Options {
            indexes: options.indexes.name().to_owned(),
            gzip_level: options.gzip_level,
            archive: layout.is_archive(),
            skip_unrestorable: options.skip_unrestorable,
        },
        sources: Vec::new(),
        files: Vec::new(),
    }
}

/// An output in a report: standard output as `-`.
pub(crate) fn layout_as_path<S: serde::Serializer>(
    layout: &Layout,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match layout {
        Layout::Stream(_) => serializer.serialize_str("-"),
        Layout::Directory(place) | Layout::Archive(place) => place.serialize(serializer),
    }
}

/// Seconds to the millisecond.
pub(crate) fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// One line on a document that a server would refuse.
pub fn set_aside_line(refused: &SetAside) -> String {
    let id = refused.id.as_deref().map_or("no _id".to_owned(), |id| format!("_id {id}"));
    format!(
        "document {} (byte offset {}, {id}): {}",
        refused.document, refused.offset, refused.reason
    )
}
