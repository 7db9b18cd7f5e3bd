//! `transform`: a dump's source collection to the collections that replace it.

mod checks;
mod outputs;
mod preflight;
mod run;
mod source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::disk::{Disk, IoMode};
use crate::dump::{Dump, Metadata, MetadataAt};
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest, Role};
use crate::mapping::Plan;
use crate::output::archive::ArchiveFile;
use crate::output::{self, Claim, Form, Staging};
use crate::pipeline::{self, Pool, Threads};
pub(crate) use crate::places::check_apart;
use crate::places::{self, Inputs, OutputPlace};
use crate::progress::Progress;
use outputs::{Beside, Outputs, archived};
pub(crate) use outputs::{documents_path, metadata_path};
use preflight::{check_traps, detail_run, files_of, not_carried_over, single_database, unexpected_number};
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
        [Indexes::All, Indexes::NonUnique, Indexes::None].into_iter().find(|indexes| indexes.name() == name)
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
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The output.
    pub out: PathBuf,
    /// What its files are named after: the output, but for an archive on standard output.
    #[serde(skip)]
    pub place: PathBuf,
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

/// Transforms a dump.
pub fn transform(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    transform_on(&Disk::new(options.io), options, plan, progress)
}

/// [`transform`] by the file operations of `disk`.
pub fn transform_on(disk: &Disk, options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let archive = options.archive || is_standard_output(&options.out);
    let options = &Options { archive, ..options.clone() };
    let mut is_streaming = false;
    let result = transform_to(disk, options, plan, progress, &mut is_streaming);
    result.map_err(|error| if is_streaming { Error::Streamed(Box::new(error)) } else { error })
}

/// Whether a path names standard output.
pub fn is_standard_output(out: &Path) -> bool {
    out == Path::new("-")
}

/// Where the files of an output go, but for an archive on standard output, which `-` for the output asks for.
pub(crate) fn place_of<'a>(out: &'a Path, sidecar: Option<&'a Path>) -> Result<&'a Path> {
    let usage = |what: &str| Err(Error::Usage(what.to_owned()));
    match (is_standard_output(out), sidecar) {
        (true, None) => usage("an archive on standard output needs --sidecar PREFIX, as the manifest and the other files need a place"),
        (false, Some(_)) => usage("--sidecar is for an archive on standard output (-); else the files lie beside the archive"),
        (true, Some(prefix)) => Ok(prefix),
        (false, None) => Ok(out),
    }
}

/// Refuses, before anything is read, an output that would meet what is read or that has nowhere to go.
pub(crate) fn check_output(inputs: &[&Path], out: &Path, archive: bool, sidecar: Option<&Path>) -> Result<()> {
    let place = place_of(out, sidecar)?;
    let is_stream = is_standard_output(out);
    inputs.iter().try_for_each(|input| check_apart(input, place))?;
    OutputPlace { place: place.to_owned(), is_archive: archive || is_stream, is_stream }.check(&Inputs::new(inputs.iter().copied()))?;
    if is_stream { places::check_standard_output() } else { Ok(()) }
}

fn transform_to(disk: &Disk, options: &Options, plan: &Plan, progress: &dyn Progress, is_streaming: &mut bool) -> Result<Report> {
    let began = Instant::now();
    let place = place_of(&options.out, options.sidecar.as_deref())?;
    if !options.dry_run {
        check_output(&[&options.dump], &options.out, options.archive, options.sidecar.as_deref())?;
    }
    let dump = Dump::open(disk, &options.dump, single_database(options))?;
    let collections = dump.sources(disk, plan.collection(), &options.databases, options.all_databases).map_err(|error| match error {
        Error::Input { path, what }
            if plan.target_collections().any(|target| dump.collections.iter().any(|there| there.name == target)) =>
        {
            Error::Input { path, what: format!("{what}, which looks like an output of transform; name the dump that it was made from") }
        }
        other => other,
    })?;
    if let (Some(name), true) = (&options.to_database, collections.len() > 1) {
        return Err(Error::Usage(format!(
            "--to-db {name} would put the collections of {} databases into one; take one with --db NAME",
            collections.len()
        )));
    }
    let stream = is_standard_output(&options.out);
    let form = Form {
        gzip_level: options.gzip_level,
        force: options.force,
        kind: manifest::Kind::Transform,
        source_mode: 0o666,
        archive: options.archive,
        stream,
    };
    let mut claim = None;
    if !options.dry_run {
        claim = Some(Claim::take(disk, place, form)?);
    }
    let mut remarks = dump.remarks.clone();
    let threads = Threads::new(options.threads)?;
    detail_run(progress, &dump, &collections, &threads, options);
    let existing = check_traps(disk, options, plan, &dump, &collections, &mut remarks)?;

    let mut reader = Reading::open(disk, options, plan, &dump, &collections)?;
    let mut sources = Vec::new();
    for (number, collection) in collections.iter().enumerate() {
        sources.push(Outputs::new(collection, options, dump.metadata(disk, collection)?)?);
        let metadata_remark = match (&collection.metadata, &sources[number].metadata) {
            // Of a single file, the dump's own remark says so.
            (None, _) if dump.is_single_file() => None,
            (None, _) => Some("has no metadata file, so its indexes and options are not known"),
            (Some(MetadataAt::Prelude(_)), None) => Some("has no metadata in the archive, so its indexes and options are not known"),
            (Some(MetadataAt::File(_)), None) => Some("has an empty metadata file, so its indexes and options are not known"),
            _ => None,
        };
        remarks.extend(metadata_remark.map(|remark| format!("{} {remark}", collection.namespace())));
    }
    remarks.extend(not_carried_over(&dump, &collections));
    let mut staging = claim.map(|claim| Staging::begin_at(claim, form.source_mode & reader.mode())).transpose()?;
    let archive_name = options.archive.then(|| output::archive_name(place)).transpose()?;
    let beside = archive_name.as_ref().map(|name| Beside { name, is_only: sources.len() == 1 });
    for source in &mut sources {
        source.open_files(plan, options, beside, staging.as_mut())?;
    }
    let mut archive = None;
    if let Some(name) = &archive_name {
        let file = Staging::file(staging.as_mut(), name.clone(), Role::Archive, "", options.gzip_level)?;
        let version = options.server_version.as_ref().or(dump.server_version.as_ref());
        *is_streaming = stream && !options.dry_run;
        archive = Some(ArchiveFile::begin(file, version.map(String::as_str), archived(&sources, plan, options))?);
    }

    progress.start("transform", reader.total());
    let stages = Transforming { plan, mappers: Pool::default(), existing, options, progress, files: files_of(&dump, &collections) };
    let mut writer = Writing { sources, archive, documents: 0, file_bytes: 0 };
    pipeline::run(&threads, &stages, &mut reader, &mut writer)?;
    progress.finish();
    reader.check_after(options, &collections, &mut remarks)?;
    let Writing { mut sources, archive, .. } = writer;
    let will_fail = !options.skip_unrestorable && sources.iter().any(|source| source.refused.iter().any(|one| one.duplicate.is_some()));
    if will_fail && !crate::base::stream::is_standard_input(&options.dump) {
        stages.name_earlier(&mut Reading::open(disk, options, plan, &dump, &collections)?, &mut sources)?;
    }
    checks::check_results(options, &stages.files, &sources, plan, &dump.remarks)?;

    let mut manifest = Manifest {
        format: manifest::FORMAT,
        tool: concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned(),
        kind: manifest::Kind::Transform,
        mapping: plan.id().clone(),
        options: manifest::Options {
            indexes: options.indexes.name().to_owned(),
            gzip_level: options.gzip_level,
            archive: options.archive,
            skip_unrestorable: options.skip_unrestorable,
        },
        sources: Vec::new(),
        files: Vec::new(),
    };
    let mut reports = Vec::new();
    for source in sources {
        let (entry, files, report) = threads.run(|| source.finish(plan, options, staging.as_mut()))?;
        manifest.sources.push(entry);
        manifest.files.extend(files);
        reports.push(report);
    }
    checks::check_conservation(&manifest, plan)?;
    let mut held = None;
    if let Some(archive) = archive {
        let (entry, end) = threads.run(|| archive.finish())?;
        manifest.files.insert(0, entry);
        held = end;
    }
    if let Some(signal) = progress.interrupted() {
        return Err(Error::Interrupted(signal));
    }
    if let Some(staging) = staging {
        for warning in staging.publish_with(&manifest, held)? {
            progress.warn(&warning);
        }
    }
    Ok(Report {
        dry_run: options.dry_run,
        out: options.out.clone(),
        place: place.to_owned(),
        manifest,
        sources: reports,
        remarks,
        warnings: unexpected_number(options, plan),
        seconds: rounded_seconds(began.elapsed()),
    })
}

/// Seconds to the millisecond.
pub(crate) fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// One line on a document that a server would refuse.
pub fn set_aside_line(refused: &SetAside) -> String {
    let id = refused.id.as_deref().map_or("no _id".to_owned(), |id| format!("_id {id}"));
    format!("document {} (byte offset {}, {id}): {}", refused.document, refused.offset, refused.reason)
}
