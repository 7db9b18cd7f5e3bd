//! `transform`: splits a dump's source collection into the collections that replace it.

mod checks;
mod indexes;
mod limit;
mod options;
mod outputs;
mod preflight;
mod run;
mod source;
mod unique;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::artifact::apart;
use crate::artifact::archive_writer::ArchiveFile;
use crate::artifact::layout::Layout;
use crate::artifact::staging::{Claim, Form, Staging};
use crate::base::stream::is_standard_input;
use crate::disk::Disk;
use crate::dump::{Collection, Dump, Metadata};
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Role};
use crate::mapping::Plan;
use crate::pipeline::{self, Pool, Threads};
use crate::progress::Progress;
pub(super) use indexes::kept_unique;
pub use limit::Limit;
pub use options::{ExistingTargets, Indexes, Options};
use outputs::{Beside, Outputs, archived};
pub(crate) use outputs::{documents_path, metadata_path, recorded};
use preflight::{
    ExistingDocuments, check_room, check_traps, detail_run, files_of, metadata_remark,
    not_carried_over, single_database, unexpected_number,
};
pub(super) use preflight::{check_oplog, check_standing};
use run::{Transforming, Writing};
use source::Reading;
pub(super) use unique::SeenValues;
use unique::UniqueValue;

/// What a run did.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The output.
    #[serde(rename = "out", serialize_with = "layout_as_path")]
    pub layout: Layout,
    /// The manifest that was written, or would have been in a dry run.
    pub manifest: Manifest,
    /// For each source, what the manifest does not hold.
    pub sources: Vec<SourceReport>,
    /// What the output leaves out, and other things worth knowing.
    pub remarks: Vec<String>,
    /// What may be wrong although every check passed.
    pub warnings: Vec<String>,
    /// How long the run took, in seconds.
    pub seconds: f64,
}

/// What became of one source, beyond what the manifest holds.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// Its namespace.
    pub namespace: String,
    /// The first 10,000 documents that were set aside. The manifest has their number; see [`transform_each`].
    pub set_aside: Vec<SetAside>,
    /// How many documents have findings.
    pub finding_documents: u64,
    /// The source's own indexes, as the commands that would create them.
    pub index_commands: Vec<String>,
    /// Options of the source that are not carried over.
    pub options: Vec<String>,
    /// Arrays that are mapped item by item.
    pub arrays: Vec<ArrayCount>,
    /// Its metadata, if the dump has any.
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
    /// The target's field, after its collection.
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
    /// The unique value that an earlier document has as well.
    #[serde(skip)]
    duplicate: Option<UniqueValue>,
    /// The mapping refuses it, not a server.
    #[serde(skip)]
    by_mapping: bool,
}

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

/// [`transform`], with every document that is set aside handed to `each`, with its namespace, as it is found. The report lists
/// the first 10,000 of a source.
///
/// # Errors
///
/// Those of [`transform`] and of `each`.
pub fn transform_each(
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
    each: &mut (dyn FnMut(&str, &SetAside) -> Result<()> + Send),
) -> Result<Report> {
    run_on(&Disk::new(options.io), options, plan, progress, each)
}

/// [`transform`], with the file operations of `disk`.
#[doc(hidden)]
pub fn transform_on(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Report> {
    run_on(disk, options, plan, progress, &mut |_, _| Ok(()))
}

fn run_on(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
    each: run::EachSetAside<'_>,
) -> Result<Report> {
    let prepared = Prepared::new(disk, options, plan, progress)?;
    let is_out = prepared.staging.as_ref().map(Staging::is_out);
    prepared.run(progress, each).map_err(|error| error.after_output(is_out.as_deref()))
}

/// A run that has written nothing yet: the dump is open, the output's place is claimed, and no trap
/// was found.
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
        options.plan_file.iter().for_each(|file| disk.add_source(file));
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
            kind: Some(manifest::Kind::Transform),
        };
        let claim = if options.dry_run { None } else { Some(Claim::take(disk, form)?) };
        let mut remarks = dump.remarks.clone();
        let threads = Threads::new(options.threads)?;
        detail_run(progress, &dump, &collections, &threads, options);
        let existing =
            check_traps(disk, options, plan, &dump, &collections, progress, &mut remarks)?;
        let reader = Reading::open(disk, options, &layout, plan, &dump, &collections)?;
        if !options.dry_run {
            check_room(disk, options, &layout, &reader, progress)?;
        }
        let mut sources = Vec::new();
        for collection in &collections {
            let mut source = Outputs::new(collection, options, dump.metadata(disk, collection)?)?;
            source.kept =
                kept_unique(plan, source.metadata.as_ref(), &collection.namespace(), &mut remarks);
            remarks.extend(metadata_remark(&dump, collection, source.metadata.as_ref()));
            sources.push(source);
        }
        remarks.extend(not_carried_over(&dump, &collections));
        let mut staging = claim.map(Staging::begin_at).transpose()?;
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

    fn run(mut self, progress: &'r dyn Progress, each: run::EachSetAside<'r>) -> Result<Report> {
        let Prepared { disk, options, plan, .. } = self;
        let mut archive = None;
        if let Some(name) = self.layout.archive_name()? {
            let file =
                Staging::file(self.staging.as_mut(), name, Role::Archive, "", options.gzip_level)?;
            let version = options.server_version.as_ref().or(self.dump.server_version.as_ref());
            archive = Some(ArchiveFile::begin(
                file,
                version.map(String::as_str),
                archived(&self.sources, plan, options),
            )?);
        }
        progress.start("transform", self.reader.total());
        let files = files_of(&self.dump, &self.collections);
        let stages = Transforming {
            plan,
            kept: self.sources.iter().map(|source| source.kept.clone()).collect(),
            mappers: Pool::default(),
            existing: self.existing,
            options,
            progress,
            files,
        };
        let mut writer =
            Writing { sources: self.sources, archive, documents: 0, file_bytes: 0, each };
        pipeline::run(&self.threads, &stages, &mut self.reader, &mut writer)?;
        progress.finish();
        self.reader.check_after(options, &self.collections, &mut self.remarks)?;
        let Writing { mut sources, archive, .. } = writer;
        let will_fail = !options.skip_unrestorable
            && sources
                .iter()
                .any(|source| source.refused.iter().any(|one| one.duplicate.is_some()));
        if will_fail && !is_standard_input(&options.dump) {
            let mut again =
                Reading::open(disk, options, &self.layout, plan, &self.dump, &self.collections)?;
            stages.name_earlier(&mut again, &mut sources)?;
        }
        checks::check_results(options, &stages.files, &sources, plan, &self.dump.remarks)?;
        self.remarks.extend(sources.iter().filter_map(|source| checks::unread(source, plan)));

        let mut manifest = empty_manifest(options, &self.layout, plan);
        let mut reports = Vec::new();
        for source in sources {
            let finished =
                self.threads.run(|| source.finish(plan, options, self.staging.as_mut()))?;
            manifest.sources.push(finished.source);
            manifest.files.extend(finished.files);
            reports.push(finished.report);
        }
        checks::check_conservation(&manifest, plan)?;
        let mut tail = None;
        if let Some(archive) = archive {
            let (entry, end) = self.threads.run(|| archive.finish())?;
            manifest.files.insert(0, entry);
            tail = end;
        }
        progress.check()?;
        if let Some(staging) = self.staging {
            for warning in staging.publish_with(&manifest, tail)? {
                progress.warn(&warning);
            }
        }
        Ok(Report {
            dry_run: options.dry_run,
            layout: self.layout,
            manifest,
            sources: reports,
            remarks: self.remarks,
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
            Error::Input { path, what: format!("{what}, and looks like an output of transform; name the dump it was made from") }
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

/// A manifest without sources and files.
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

/// Describes a document that a server would refuse, on one line.
pub fn set_aside_line(refused: &SetAside) -> String {
    let id = refused.id.as_deref().map_or("no _id".to_owned(), |id| format!("_id {id}"));
    format!(
        "document {} (byte offset {}, {id}): {}",
        refused.document, refused.offset, refused.reason
    )
}
