//! `transform`: a dump's source collection to the collections that replace it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::batch::{Batch, Splitter};
use crate::disk::{Disk, IoMode};
use crate::dump::{self, Collection, Dump, Metadata, MetadataAt, Stream, archive, create_index_command, is_database_name};
use crate::error::{Error, Position, Result, counted};
use crate::fingerprints::Fingerprints;
use crate::hash::Counted;
use crate::journal::{JournalWriter, Unreadable};
use crate::manifest::{self, Manifest, Role};
use crate::mapping::{Findings, Mapped, Mapper, Plan};
use crate::output::archive::ArchiveFile;
use crate::output::{self, Claim, Form, OutputFile, Staging};
use crate::pipeline::{self, Pool, Stages, Threads};
pub(crate) use crate::places::check_apart;
use crate::places::{self, Inputs, OutputPlace};
use crate::progress::Progress;
use crate::raw::Validator;

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
        sources.push(Source::new(collection, options, dump.metadata(disk, collection)?)?);
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
    if will_fail && !dump::is_standard_input(&options.dump) {
        stages.name_earlier(&mut Reading::open(disk, options, plan, &dump, &collections)?, &mut sources)?;
    }
    check_results(options, &stages.files, &sources, plan, &dump.remarks)?;

    let mut manifest = Manifest {
        format: manifest::FORMAT,
        tool: concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned(),
        kind: manifest::Kind::Transform,
        mapping: manifest::Mapping { name: plan.name().to_owned(), version: plan.version().to_owned(), sha256: plan.sha256().to_owned() },
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
    check_conservation(&manifest, plan)?;
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

/// What no file can tell of a dump that comes in a pipe: whether mongodump ran to its end.
fn unexpected_number(options: &Options, plan: &Plan) -> Vec<String> {
    if !dump::is_standard_input(&options.dump) || options.expect_documents.is_some() {
        return Vec::new();
    }
    vec![format!(
        "whether standard input held all of {0} is not known: a mongodump that is stopped by a signal ends its archive properly, \
         with a sound checksum and fewer documents. Only its exit code (set -o pipefail) and the number of documents tell; \
         give --expect-docs N, with the N of db.{0}.countDocuments({{}}) while nothing writes",
        plan.collection()
    )]
}

/// Seconds to the millisecond.
pub(crate) fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What is read and how, for users who ask for more.
fn detail_run(progress: &dyn Progress, dump: &Dump, collections: &[Collection], threads: &Threads, options: &Options) {
    progress.detail(&dump.describe());
    for (collection, file) in collections.iter().zip(files_of(dump, collections)) {
        let metadata = collection.metadata.as_ref().map_or("none".to_owned(), MetadataAt::to_string);
        progress.detail(&format!("source {}: documents '{file}', metadata {metadata}", collection.namespace()));
    }
    progress.detail(&format!("{}, {}", counted(threads.count() as u64, "thread"), options.io.describe()));
}

fn single_database(options: &Options) -> Option<&str> {
    match options.databases.as_slice() {
        [database] => Some(database),
        _ => None,
    }
}

fn files_of(dump: &Dump, collections: &[Collection]) -> Vec<String> {
    let name = |collection: &Collection| match dump.is_archive() {
        true => format!("{}, {}", dump.path.display(), collection.namespace()),
        false => collection.documents.as_deref().unwrap_or(&dump.path).display().to_string(),
    };
    collections.iter().map(name).collect()
}

/// What stands in target collections already.
#[derive(Debug, Default)]
struct Existing {
    ids: HashSet<u128>,
    /// By the number of the unique index.
    unique: HashSet<(usize, u128)>,
}

impl Existing {
    fn add(&mut self, plan: &Plan, target: usize, document: &[u8]) {
        self.ids.extend(plan.id_fingerprint(document));
        self.unique.extend(plan.unique_fingerprints(target, document));
    }
}

/// Refuses dumps whose documents are not all in the source's file, or whose restoring would collide. What an archive
/// tells of it only while it is read, [`Reading::check_after`] refuses.
fn check_traps(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    dump: &Dump,
    sources: &[Collection],
    remarks: &mut Vec<String>,
) -> Result<HashMap<(usize, usize), Existing>> {
    let mut existing: HashMap<(usize, usize), Existing> = HashMap::new();
    for source in sources {
        if let Some(refusal) = dump.no_collection(disk, source)? {
            return Err(refusal);
        }
    }
    let standing: Vec<(usize, usize, &Collection)> = standing_targets(options, plan, dump, sources);
    if dump.is_archive() {
        if options.existing_targets == ExistingTargets::Check && !standing.is_empty() {
            // The one case that needs two passes: what stands in the targets must be known before the first output.
            let Some(mut archive) = dump.archive(disk)? else { return Ok(existing) };
            let of_entry = |entry: &archive::Entry| -> Vec<(usize, usize)> {
                let is_entry = |collection: &Collection| (&collection.database, &collection.name) == (&entry.database, &entry.collection);
                standing.iter().filter(|(_, _, collection)| is_entry(collection)).map(|(number, target, _)| (*number, *target)).collect()
            };
            let places: Vec<Vec<(usize, usize)>> = archive.prelude().entries.iter().map(of_entry).collect();
            while let Some(document) = archive.next_document()? {
                for &(number, target) in &places[document.namespace] {
                    existing.entry((number, target)).or_default().add(plan, target, document.bytes);
                }
            }
        }
        return Ok(existing);
    }
    for source in sources {
        let namespace = source.namespace();
        let (touching, all) = dump.oplog_operations(disk, &namespace)?;
        check_oplog(options, "oplog.bson", &namespace, (touching, all), remarks)?;
    }
    for (number, target, collection) in standing {
        let Some(path) = collection.documents.as_deref() else { continue };
        let (documents, bytes) = dump::count(disk, path)?;
        check_standing(options, &collection.namespace(), documents, bytes, remarks)?;
        if documents == 0 {
            continue;
        }
        let known = existing.entry((number, target)).or_default();
        let mut splitter = Splitter::new(Stream::open(disk, path)?, 0, path.display().to_string());
        let mut batch = Batch::default();
        while splitter.fill(&mut batch)? {
            batch.documents().for_each(|document| known.add(plan, target, document));
        }
    }
    Ok(existing)
}

/// Collections of the dump that are targets, with the numbers of source and target.
fn standing_targets<'a>(options: &Options, plan: &Plan, dump: &'a Dump, sources: &[Collection]) -> Vec<(usize, usize, &'a Collection)> {
    let mut standing = Vec::new();
    for (number, source) in sources.iter().enumerate().filter(|_| options.existing_targets != ExistingTargets::Ignore) {
        let database = options.to_database.as_ref().unwrap_or(&source.database);
        for (target, name) in plan.target_collections().enumerate() {
            let found = dump.collections.iter().find(|other| other.database == *database && other.name == name);
            standing.extend(found.map(|collection| (number, target, collection)));
        }
    }
    standing
}

/// Refuses operations on the source that happened during the dump.
fn check_oplog(options: &Options, oplog: &str, namespace: &str, (touching, all): (u64, u64), remarks: &mut Vec<String>) -> Result<()> {
    if touching > 0 {
        let what = format!(
            "{oplog} has {touching} of {all} operations on {namespace}, which happened during the dump and are not in its documents"
        );
        if !options.ignore_oplog {
            return Err(Error::Check(format!("{what}; dump again while nothing writes, or give --ignore-oplog to leave them out")));
        }
        remarks.push(format!("{what}; they are left out (--ignore-oplog)"));
    } else if all > 0 {
        remarks.push(format!("{oplog} is not in the output; none of its {all} operations is on {namespace}"));
    }
    Ok(())
}

/// Refuses documents in a target collection.
fn check_standing(options: &Options, namespace: &str, documents: u64, bytes: u64, remarks: &mut Vec<String>) -> Result<()> {
    if documents == 0 {
        return Ok(());
    }
    let what = format!("the dump holds {} ({bytes} bytes) in the target collection {namespace} already", counted(documents, "document"));
    if options.existing_targets == ExistingTargets::Refuse {
        return Err(Error::Check(format!(
            "{what}; has the migration run before? Give --allow-existing-targets to go on after checking that none of them collides"
        )));
    }
    remarks.push(format!("{what}; none of them collides with the output, and they are not in it"));
    Ok(())
}

/// What of the dump is not in the output.
fn not_carried_over(dump: &Dump, sources: &[Collection]) -> Vec<String> {
    let mut remarks = Vec::new();
    let others: Vec<String> = dump.others(sources).map(|other| other.namespace().escape_debug().to_string()).collect();
    if !others.is_empty() {
        remarks.push(format!("not in the output, as they are other collections: {}", others.join(", ")));
    }
    if dump.others(sources).any(|other| other.database == "admin" || other.name.starts_with("$admin.system.")) {
        remarks.push("users and roles of the dump are not in the output".to_owned());
    }
    remarks
}

/// The documents of one source on their way out.
struct Source<'d> {
    collection: Collection,
    /// The database's name in the output.
    database: String,
    metadata: Option<Metadata>,
    /// The bytes of the metadata that the journal holds.
    journaled: Option<Vec<u8>>,
    targets: Vec<OutputFile<'d>>,
    journal: Option<OutputFile<'d>>,
    rejected: Option<OutputFile<'d>>,
    journal_writer: JournalWriter,
    seen: Vec<Fingerprints>,
    /// Of the source's documents.
    hash: Counted,
    documents: u64,
    counts: Vec<u64>,
    digests: Vec<u128>,
    whole: u64,
    findings: Findings,
    refused: Vec<SetAside>,
    refused_count: u64,
    arrays: Vec<[u64; 2]>,
}

impl<'d> Source<'d> {
    fn new(collection: &Collection, options: &Options, metadata: Option<Metadata>) -> Result<Self> {
        let known = options.known_metadata.get(&collection.namespace());
        let known = known.map_or(Ok(None), |bytes| Metadata::parse(bytes.clone(), collection.namespace().as_ref()))?;
        let journaled = known.filter(|known| metadata.as_ref().is_some_and(|metadata| metadata.differences(known).is_empty()));
        let journaled = journaled.or_else(|| metadata.clone()).map(|metadata| metadata.bytes);
        let database = options.to_database.clone().unwrap_or_else(|| collection.database.clone());
        if !is_database_name(&database) {
            return Err(Error::Usage(format!("'{}' cannot be the name of a database", database.escape_debug())));
        }
        Ok(Source {
            collection: collection.clone(),
            database,
            metadata,
            journaled,
            targets: Vec::new(),
            journal: None,
            rejected: None,
            journal_writer: JournalWriter::default(),
            seen: Vec::new(),
            hash: Counted::default(),
            documents: 0,
            counts: Vec::new(),
            digests: Vec::new(),
            whole: 0,
            findings: Findings::default(),
            refused: Vec::new(),
            refused_count: 0,
            arrays: Vec::new(),
        })
    }

    fn open_files(
        &mut self,
        plan: &Plan,
        options: &Options,
        beside: Option<Beside<'_>>,
        mut staging: Option<&mut Staging<'d>>,
    ) -> Result<()> {
        let level = options.gzip_level;
        let own_name = format!("{}.{}", self.database, plan.collection());
        let named = |what: &str| match beside {
            None => format!("{own_name}.{what}"),
            Some(Beside { name, is_only: true }) => format!("{name}.{what}"),
            Some(Beside { name, is_only: false }) => format!("{name}.{own_name}.{what}"),
        };
        for name in plan.target_collections().filter(|_| beside.is_none()) {
            let namespace = format!("{}.{name}", self.database);
            let path = documents_path(&self.database, name, level.is_some());
            self.targets.push(Staging::file(staging.as_deref_mut(), path, Role::Documents, &namespace, level)?);
        }
        let namespace = self.collection.namespace();
        let mut journal = Staging::file(staging.as_deref_mut(), named("rollback"), Role::Journal, &namespace, level)?;
        let mut header = Vec::new();
        let metadata = self.journaled.as_deref();
        self.journal_writer
            .write_header(&namespace, plan, metadata, &mut header)
            .map_err(|why| unreadable_journal(&namespace, "header", &why))?;
        journal.append(&header)?;
        journal.count(1);
        self.journal = Some(journal);
        if options.skip_unrestorable {
            self.rejected = Some(Staging::file(staging, named("rejected"), Role::Rejected, &namespace, None)?);
        }
        self.counts = vec![0; plan.target_count()];
        self.digests = vec![0; plan.target_count()];
        self.arrays = vec![[0; 2]; plan.arrays().len()];
        self.seen = (0..plan.unique_classes()).map(|_| Fingerprints::default()).collect();
        Ok(())
    }

    fn finish(
        self,
        plan: &Plan,
        options: &Options,
        mut staging: Option<&mut Staging<'d>>,
    ) -> Result<(manifest::Source, Vec<manifest::File>, SourceReport)> {
        let namespace = self.collection.namespace();
        let mut files = Vec::new();
        let mut targets = Vec::new();
        let names: Vec<&str> = plan.target_collections().collect();
        for (number, name) in names.iter().enumerate() {
            targets.push(manifest::Target {
                namespace: format!("{}.{name}", self.database),
                documents: self.counts[number],
                digest: manifest::digest_text(self.digests[number]),
            });
        }
        for (number, file) in self.targets.into_iter().enumerate() {
            files.push(file.finish()?);
            let target = &targets[number].namespace;
            let path = metadata_path(&self.database, names[number], options.gzip_level.is_some());
            let mut metadata = Staging::file(staging.as_deref_mut(), path, Role::Metadata, target, options.gzip_level)?;
            metadata.append(metadata_text(plan, number, names[number], options.indexes).as_bytes())?;
            files.push(metadata.finish()?);
        }
        for file in [self.journal, self.rejected].into_iter().flatten() {
            files.push(file.finish()?);
        }
        let (bytes, sha256) = self.hash.finish();
        let findings = self.findings.sorted().into_iter().map(|(rule, documents, first_ids)| {
            let rule = &plan.rules()[rule];
            manifest::Finding { rule: rule.name.clone(), expects: rule.text.clone(), documents, first_ids }
        });
        let source = manifest::Source {
            namespace: namespace.clone(),
            documents: self.documents,
            bytes,
            sha256,
            targets,
            rejected: self.refused_count,
            round_trip: manifest::RoundTrip { proven: self.documents, whole: self.whole + self.refused_count },
            findings: findings.collect(),
        };
        let metadata = self.metadata.as_ref();
        let arrays = plan.arrays().iter().zip(&self.arrays).map(|((source_field, target_field), [source, target])| ArrayCount {
            source_field: source_field.clone(),
            source: *source,
            target_field: target_field.clone(),
            target: *target,
        });
        let report = SourceReport {
            arrays: arrays.collect(),
            namespace,
            set_aside: self.refused,
            index_commands: metadata
                .map(|metadata| metadata.own_indexes().map(|index| create_index_command(&self.collection.name, index)).collect())
                .unwrap_or_default(),
            options: metadata
                .map(|metadata| metadata.options.iter().map(|(name, value)| format!("{name}: {value}")).collect())
                .unwrap_or_default(),
            metadata: self.metadata,
        };
        Ok((source, files, report))
    }
}

/// The error of a journal that would not be read back.
fn unreadable_journal(namespace: &str, part: &str, why: &Unreadable) -> Error {
    Error::Check(format!(
        "the rollback journal of {namespace} does not read back: its {part}: {why}. Nothing was published; please report this"
    ))
}

/// How the files beside an archive are named.
#[derive(Debug, Clone, Copy)]
struct Beside<'a> {
    name: &'a str,
    /// There is only one source, whose files need not be told from others'.
    is_only: bool,
}

/// The collections that an archive holds: every target of every source.
fn archived(sources: &[Source<'_>], plan: &Plan, options: &Options) -> Vec<output::archive::Collection> {
    let of_source = |source: &Source<'_>| -> Vec<output::archive::Collection> {
        let target = |(number, name): (usize, &str)| output::archive::Collection {
            database: source.database.clone(),
            name: name.to_owned(),
            metadata: metadata_text(plan, number, name, options.indexes),
        };
        plan.target_collections().enumerate().map(target).collect()
    };
    sources.iter().flat_map(of_source).collect()
}

/// Where the documents of a collection lie in an output.
pub(crate) fn documents_path(database: &str, collection: &str, gzip: bool) -> String {
    format!("{database}/{}.bson{}", dump::collection_file_name(collection), if gzip { ".gz" } else { "" })
}

/// Where the metadata of a collection lies in an output.
pub(crate) fn metadata_path(database: &str, collection: &str, gzip: bool) -> String {
    format!("{database}/{}.metadata.json{}", dump::collection_file_name(collection), if gzip { ".gz" } else { "" })
}

/// The metadata of a target, as mongorestore reads it: canonical Extended JSON.
fn metadata_text(plan: &Plan, target: usize, collection: &str, indexes: Indexes) -> String {
    let int = |number: i64| serde_json::json!({ "$numberInt": number.to_string() });
    let mut list = vec![serde_json::json!({ "v": int(2), "key": { "_id": int(1) }, "name": "_id_" })];
    for index in plan.indexes(target) {
        if indexes == Indexes::None || indexes == Indexes::NonUnique && index.unique {
            continue;
        }
        let key: serde_json::Map<String, serde_json::Value> =
            index.key.iter().map(|(name, direction)| (name.clone(), int(*direction))).collect();
        let mut entry = serde_json::json!({ "v": int(2), "key": key, "name": index.name });
        if index.unique {
            entry["unique"] = true.into();
        }
        list.push(entry);
    }
    serde_json::json!({ "options": {}, "indexes": list, "collectionName": collection, "type": "collection" }).to_string()
}

struct Transforming<'a> {
    plan: &'a Plan,
    mappers: Pool<Mapper<'a>>,
    existing: HashMap<(usize, usize), Existing>,
    options: &'a Options,
    progress: &'a dyn Progress,
    files: Vec<String>,
}

/// Where the sources' documents come from.
enum Reading {
    /// One file for each source, one after the other.
    Files { splitters: Vec<Splitter<Stream>>, current: usize },
    /// One archive in which they interleave; read again for each where they are to come one after the other.
    Archive { passes: Vec<Demultiplexing>, current: usize },
}

impl Reading {
    /// From the beginning, which of standard input comes once.
    fn open(disk: &Disk, options: &Options, plan: &Plan, dump: &Dump, collections: &[Collection]) -> Result<Reading> {
        if let Some(archive) = dump.archive(disk)? {
            // In an archive the sources come one after the other, whatever shape the dump has: a pass for each. Standard
            // input has one pass, and its order.
            let is_in_turn = options.archive && collections.len() > 1 && !dump::is_standard_input(&options.dump);
            let mut passes = vec![Demultiplexing::new(archive, collections, is_in_turn.then_some(0), options, plan)];
            for number in (1..collections.len()).take_while(|_| is_in_turn) {
                let again = dump.archive(disk)?.into_iter();
                passes.extend(again.map(|archive| Demultiplexing::new(archive, collections, Some(number), options, plan)));
            }
            return Ok(Reading::Archive { passes, current: 0 });
        }
        let mut splitters = Vec::new();
        for (number, collection) in collections.iter().enumerate() {
            let path = collection.documents.as_deref().unwrap_or(&options.dump);
            dump::refuse_other_content(disk, path)?;
            splitters.push(Splitter::new(Stream::open(disk, path)?, number, path.display().to_string()));
        }
        Ok(Reading::Files { splitters, current: 0 })
    }
    /// The permission bits that all its files have.
    fn mode(&self) -> u32 {
        match self {
            Reading::Files { splitters, .. } => splitters.iter().fold(u32::MAX, |mode, splitter| mode & splitter.stream().mode),
            Reading::Archive { passes, .. } => passes.iter().fold(u32::MAX, |mode, archive| mode & archive.reader.stream().mode),
        }
    }
    fn total(&self) -> Option<u64> {
        match self {
            Reading::Files { splitters, .. } => Some(splitters.iter().map(|splitter| splitter.stream().file_bytes).sum()),
            Reading::Archive { passes, .. } => passes.iter().map(|archive| archive.reader.stream().total()).sum(),
        }
    }
    /// Fills a batch of one source. False at the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        match self {
            Reading::Files { splitters, current } => {
                while let Some(splitter) = splitters.get_mut(*current) {
                    if splitter.fill(batch)? {
                        return Ok(true);
                    }
                    *current += 1;
                }
                Ok(false)
            }
            Reading::Archive { passes, current } => {
                while let Some(archive) = passes.get_mut(*current) {
                    if archive.fill(batch)? {
                        return Ok(true);
                    }
                    *current += 1;
                }
                Ok(false)
            }
        }
    }
    fn file_bytes_read(&self) -> u64 {
        match self {
            Reading::Files { splitters, .. } => splitters.iter().map(|splitter| splitter.stream().file_bytes_read()).sum(),
            Reading::Archive { passes, .. } => passes.iter().map(|archive| archive.reader.stream().file_bytes_read()).sum(),
        }
    }
    /// Refuses what has shown only when all was read.
    fn check_after(&self, options: &Options, sources: &[Collection], remarks: &mut Vec<String>) -> Result<()> {
        match self {
            Reading::Files { splitters, .. } => splitters.iter().try_for_each(|splitter| splitter.stream().check_unchanged()),
            Reading::Archive { passes, .. } => {
                passes.iter().try_for_each(|archive| archive.reader.stream().check_unchanged())?;
                let archive = &passes[0];
                archive.check_standing(options, remarks)?;
                let of_source = sources.iter().zip(&archive.touching);
                of_source.into_iter().try_for_each(|(source, touching)| {
                    check_oplog(options, "the archive's oplog", &source.namespace(), (*touching, archive.operations), remarks)
                })
            }
        }
    }
}

/// What a namespace of an archive is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The source with this number.
    Source(usize),
    /// A target collection; documents in it refuse the run, or have been looked at before.
    Target,
    Oplog,
    Other,
}

/// An archive, taken apart in one pass: a batch for each source, whose bounds are those of a file's batches.
struct Demultiplexing {
    reader: archive::Reader<Stream>,
    uses: Vec<Use>,
    pending: Vec<Batch>,
    /// Documents and bytes of each source so far.
    before: Vec<(u64, u64)>,
    namespaces: Vec<String>,
    /// Documents in a target collection end the reading.
    refuses_targets: bool,
    /// Operations in the oplog, and those on each source.
    operations: u64,
    touching: Vec<u64>,
    validator: Validator,
    /// How the archive has ended; what is pending goes first, so that the first fault is the one reported.
    end: Option<Result<()>>,
}

impl Demultiplexing {
    fn new(mut reader: archive::Reader<Stream>, sources: &[Collection], only: Option<usize>, options: &Options, plan: &Plan) -> Self {
        let targets: Vec<&str> = plan.target_collections().collect();
        let mut uses = Vec::new();
        for entry in &reader.prelude().entries {
            let is_source = |source: &Collection| source.database == entry.database && source.name == entry.collection;
            let goes_to = |source: &Collection| options.to_database.as_ref().unwrap_or(&source.database) == &entry.database;
            uses.push(match sources.iter().position(is_source) {
                // Another pass has all that this one passes over.
                number if only.is_some() && number != only && (number.is_some() || only != Some(0)) => Use::Other,
                _ if entry.is_oplog() => Use::Oplog,
                Some(number) => Use::Source(number),
                None if options.existing_targets == ExistingTargets::Ignore => Use::Other,
                None if targets.contains(&entry.collection.as_str()) && sources.iter().any(goes_to) => Use::Target,
                None => Use::Other,
            });
        }
        for (number, of) in uses.iter().enumerate() {
            if *of != Use::Other {
                reader.check(number);
            }
        }
        let mut pending: Vec<Batch> = sources.iter().map(|_| Batch::default()).collect();
        pending.iter_mut().enumerate().for_each(|(number, batch)| batch.restart(number, 0, 0));
        Demultiplexing {
            uses,
            pending,
            before: vec![(0, 0); sources.len()],
            namespaces: sources.iter().map(Collection::namespace).collect(),
            refuses_targets: options.existing_targets == ExistingTargets::Refuse,
            operations: 0,
            touching: vec![0; sources.len()],
            validator: Validator::default(),
            end: None,
            reader,
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        while self.end.is_none() {
            let document = match self.reader.next_document() {
                Ok(Some(document)) => document,
                Ok(None) => {
                    self.end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    self.end = Some(Err(error));
                    break;
                }
            };
            match self.uses[document.namespace] {
                Use::Other => {}
                Use::Source(source) => {
                    let pending = &mut self.pending[source];
                    let is_full = !pending.has_room(document.bytes.len());
                    if is_full {
                        std::mem::swap(pending, batch);
                        let (documents, bytes) = self.before[source];
                        pending.restart(source, documents, bytes);
                    }
                    pending.push_from(document.bytes, document.offset);
                    self.before[source].0 += 1;
                    self.before[source].1 += document.bytes.len() as u64;
                    if is_full {
                        return Ok(true);
                    }
                }
                Use::Target if !self.refuses_targets => {}
                Use::Target => {
                    // The run will be refused; what is left to do is to count what stands in its way.
                    self.end = Some(self.reader.skip_to_end());
                    self.pending.iter_mut().for_each(|pending| pending.restart(0, 0, 0));
                }
                Use::Oplog => {
                    if let Err(fault) = self.validator.check(document.bytes) {
                        let offset = document.offset;
                        let file = format!("{}, the oplog", self.reader.file());
                        let position = Position { file, document: self.operations + 1, offset, id: None };
                        return Err(Error::document(position, fault));
                    }
                    self.operations += 1;
                    for (namespace, touching) in self.namespaces.iter().zip(&mut self.touching) {
                        *touching += dump::touching_in(document.bytes, namespace);
                    }
                }
            }
        }
        for pending in &mut self.pending {
            if !pending.ends.is_empty() {
                std::mem::swap(pending, batch);
                pending.restart(batch.source, 0, 0);
                return Ok(true);
            }
        }
        self.end.take().unwrap_or(Ok(())).map(|()| {
            self.end = Some(Ok(()));
            false
        })
    }

    fn check_standing(&self, options: &Options, remarks: &mut Vec<String>) -> Result<()> {
        for (number, entry) in self.reader.prelude().entries.iter().enumerate().filter(|(number, _)| self.uses[*number] == Use::Target) {
            let seen = self.reader.seen(number);
            check_standing(options, &entry.namespace(), seen.documents, seen.bytes, remarks)?;
        }
        Ok(())
    }
}

struct Writing<'d> {
    sources: Vec<Source<'d>>,
    archive: Option<ArchiveFile<'d>>,
    documents: u64,
    file_bytes: u64,
}

/// A batch and how far the files had been read when it was.
#[derive(Default)]
struct Read {
    batch: Batch,
    file_bytes: u64,
}

impl Transforming<'_> {
    fn map_batch(&self, batch: &Batch, duplicates: &HashMap<usize, UniqueValue>, mapped: &mut Mapped) -> Result<()> {
        let refusal = |index: usize| duplicates.get(&index).map(|(class, _)| self.plan.duplicate(*class));
        let map = |mapper: &mut Mapper<'_>| mapper.map(batch.documents(), refusal, mapped);
        let mapped = self.mappers.with(|| Mapper::new(self.plan), map);
        mapped.map_err(|(index, fault)| Error::document(batch.position(index, &self.files[batch.source]), fault))
    }

    /// The unique values of a batch's documents, by their index.
    fn unique_values<'m>(&self, mapped: &'m Mapped) -> impl Iterator<Item = (usize, UniqueValue)> + 'm {
        let classes = self.plan.unique_classes();
        let values = mapped.fingerprints.iter().enumerate().filter(|(_, fingerprint)| **fingerprint != 0);
        values.map(move |(number, fingerprint)| (number / classes, (number % classes, *fingerprint)))
    }

    /// The documents of a batch whose unique values an earlier document has. The others' are noted.
    fn duplicates(&self, source: &mut Source<'_>, mapped: &Mapped) -> HashMap<usize, UniqueValue> {
        let mut duplicates = HashMap::new();
        for (index, value) in self.unique_values(mapped) {
            if !source.seen[value.0].insert(value.1) {
                duplicates.entry(index).or_insert(value);
            }
        }
        duplicates
    }

    /// Names, for each duplicate that was refused, the document that has its value first: only fingerprints are kept
    /// of that, so the source is mapped again until all are found.
    fn name_earlier(&self, reader: &mut Reading, sources: &mut [Source<'_>]) -> Result<()> {
        let mut refused = HashMap::<(usize, UniqueValue), Vec<&mut SetAside>>::new();
        for (number, source) in sources.iter_mut().enumerate() {
            for one in &mut source.refused {
                if let Some(value) = one.duplicate {
                    refused.entry((number, value)).or_default().push(one);
                }
            }
        }
        let (mut batch, mut mapped) = (Batch::default(), Mapped::default());
        while !refused.is_empty() && reader.fill(&mut batch)? {
            self.check()?;
            self.map_batch(&batch, &HashMap::new(), &mut mapped)?;
            for (index, value) in self.unique_values(&mapped) {
                for one in refused.remove(&(batch.source, value)).into_iter().flatten() {
                    let earlier = batch.position(index, "");
                    let id = earlier.id.map_or("no _id".to_owned(), |id| format!("_id {id}"));
                    one.reason += &format!(": document {} (byte offset {}, {id})", earlier.document, earlier.offset);
                }
            }
        }
        Ok(())
    }

    fn check_existing(&self, batch: &Batch, mapped: &Mapped) -> Result<()> {
        for (target, output) in mapped.outputs.iter().enumerate() {
            let Some(known) = self.existing.get(&(batch.source, target)) else { continue };
            let mut rest = output.as_slice();
            while let Some(length) = rest.first_chunk::<4>() {
                let (document, behind) = rest.split_at(u32::from_le_bytes(*length) as usize);
                rest = behind;
                let collides = |what: &str| {
                    let name = self.plan.target_collections().nth(target).unwrap_or_default().to_owned();
                    let id = crate::raw::display_id(document);
                    let file = &self.files[batch.source];
                    let positions = (0..batch.ends.len()).map(|index| batch.position(index, file));
                    // The target's document need not have its source's _id.
                    let place =
                        positions.into_iter().find(|position| id.is_some() && position.id == id).map(|position| position.to_string());
                    let place = place.unwrap_or_else(|| format!("'{file}': a document with _id {}", id.unwrap_or_default()));
                    Err(Error::Check(format!(
                        "{place}: {name} in the dump holds a document with the same {what} already, so a server would refuse one of them; remove the one that does not belong there and dump again"
                    )))
                };
                if self.plan.id_fingerprint(document).is_some_and(|id| known.ids.contains(&id)) {
                    return collides("_id");
                }
                for unique in self.plan.unique_fingerprints(target, document) {
                    if known.unique.contains(&unique) {
                        return collides(&format!("value in the unique index '{}'", self.plan.unique_index(target, unique.0)));
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'a> Stages for Transforming<'a> {
    type Input = Read;
    type Output = (Mapped, Vec<u8>);
    type Reader = Reading;
    type Writer = Writing<'a>;

    fn read(&self, reader: &mut Reading, input: &mut Read) -> Result<bool> {
        let more = reader.fill(&mut input.batch)?;
        input.file_bytes = reader.file_bytes_read();
        Ok(more)
    }
    fn size(&self, input: &Read) -> usize {
        input.batch.bytes.len()
    }
    fn map(&self, input: &Read, (mapped, _): &mut Self::Output) -> Result<()> {
        self.map_batch(&input.batch, &HashMap::new(), mapped)
    }
    fn write(&self, writer: &mut Writing<'a>, round: &mut [(Read, Self::Output)]) -> Result<()> {
        for (Read { batch, file_bytes }, (mapped, journal)) in round.iter_mut() {
            let source = &mut writer.sources[batch.source];
            let duplicates = self.duplicates(source, mapped);
            if !duplicates.is_empty() {
                self.map_batch(batch, &duplicates, mapped)?;
            }
            self.check_existing(batch, mapped)?;
            source.documents += batch.ends.len() as u64;
            for (number, (count, digest)) in mapped.counts.iter().zip(&mapped.digests).enumerate() {
                source.counts[number] += count;
                source.digests[number] = source.digests[number].wrapping_add(*digest);
            }
            for (sum, [source, target]) in source.arrays.iter_mut().zip(&mapped.arrays) {
                *sum = [sum[0] + source, sum[1] + target];
            }
            source.whole += mapped.whole;
            source.findings.append(&mapped.findings);
            for refused in &mapped.refused {
                source.refused_count += 1;
                // What is set aside is all in the report; only an error stops listing.
                if self.options.skip_unrestorable || source.refused.len() < self.options.max_findings {
                    let position = batch.position(refused.index, "");
                    source.refused.push(SetAside {
                        document: position.document,
                        offset: position.offset,
                        id: position.id,
                        reason: refused.reason.to_string(),
                        duplicate: duplicates.get(&refused.index).copied(),
                    });
                }
            }
            journal.clear();
            let written = source.journal_writer.write_batch(batch.ends.len(), &mapped.counts, &mapped.notes, journal);
            written.map_err(|why| {
                let (first, last) = (batch.documents_before + 1, batch.documents_before + batch.ends.len() as u64);
                unreadable_journal(&source.collection.namespace(), &format!("part on documents {first} to {last}"), &why)
            })?;
            writer.documents += batch.ends.len() as u64;
            writer.file_bytes = *file_bytes;
        }
        self.progress.advance(writer.documents, writer.file_bytes);
        let goes_out = |source: &Source<'_>| source.refused_count == 0 || self.options.skip_unrestorable;
        let mut blocks = Vec::new();
        if let Some(archive) = &mut writer.archive {
            // Each batch's documents collection by collection: its bounds do not depend on the rounds.
            for (input, (mapped, _)) in round.iter().filter(|(input, _)| goes_out(&writer.sources[input.batch.source])) {
                let first = input.batch.source * mapped.outputs.len();
                blocks.extend(mapped.outputs.iter().enumerate().map(|(target, bytes)| (first + target, bytes.as_slice())));
                archive.count(mapped.counts.iter().sum());
            }
        }
        let mut beside_archive = None;
        let mut appends = Vec::new();
        for (number, source) in writer.sources.iter_mut().enumerate() {
            if !goes_out(source) {
                continue; // the run will fail; what is left to do is to find all such documents
            }
            let of_source: Vec<&(Read, Self::Output)> = round.iter().filter(|(input, _)| input.batch.source == number).collect();
            let first_append = appends.len();
            for (target, file) in source.targets.iter_mut().enumerate() {
                let pieces = of_source.iter().map(|(_, (mapped, _))| mapped.outputs[target].as_slice()).collect();
                let documents = of_source.iter().map(|(_, (mapped, _))| mapped.counts[target]).sum();
                appends.push(Append { file, pieces, documents, beside: None });
            }
            if let Some(file) = &mut source.journal {
                let pieces = of_source.iter().map(|(_, (_, journal))| journal.as_slice()).collect();
                appends.push(Append { file, pieces, documents: of_source.len() as u64, beside: None });
            }
            if let Some(file) = &mut source.rejected {
                let pieces = of_source.iter().map(|(_, (mapped, _))| mapped.rejected.as_slice()).collect();
                let documents = of_source.iter().map(|(_, (mapped, _))| mapped.refused.len() as u64).sum();
                appends.push(Append { file, pieces, documents, beside: None });
            }
            // The source is hashed side by side with the largest of its files, or with the archive that stands for them.
            let pieces: Vec<&[u8]> = of_source.iter().map(|(input, _)| input.batch.bytes.as_slice()).collect();
            if writer.archive.is_some() && beside_archive.is_none() && !pieces.is_empty() {
                beside_archive = Some((&mut source.hash, pieces));
            } else if let Some(largest) = appends[first_append..].iter_mut().max_by_key(|append| append.bytes()) {
                largest.beside = Some((&mut source.hash, pieces));
            }
        }
        // The longest piece of work first, so that the threads end together.
        appends.sort_by_key(|append| std::cmp::Reverse(append.bytes()));
        let write_archive = || {
            let Some(archive) = &mut writer.archive else { return Ok(()) };
            archive.blocks(&blocks, beside_archive.as_mut().map(|(hash, pieces)| (&mut **hash, pieces.as_slice())))?;
            archive.compress()
        };
        let (in_archive, in_files) = pipeline::join(write_archive, || pipeline::for_each(&mut appends, Append::run));
        in_archive.and(in_files)
    }
    fn check(&self) -> Result<()> {
        self.progress.interrupted().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}

/// What a file gets of a round, and what is hashed beside it.
struct Append<'r, 'd> {
    file: &'r mut OutputFile<'d>,
    pieces: Vec<&'r [u8]>,
    documents: u64,
    beside: Option<(&'r mut Counted, Vec<&'r [u8]>)>,
}

impl Append<'_, '_> {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
    fn run(&mut self) -> Result<()> {
        self.file.count(self.documents);
        let beside = self.beside.as_mut().map(|(hash, pieces)| (&mut **hash, pieces.as_slice()));
        self.file.append_beside(&self.pieces, beside)?;
        self.file.compress()
    }
}

/// Fails where documents are missing or must not be there.
fn check_results(options: &Options, files: &[String], sources: &[Source<'_>], plan: &Plan, remarks: &[String]) -> Result<()> {
    for (source, file) in sources.iter().zip(files) {
        let namespace = source.collection.namespace();
        if source.refused_count > 0 && !options.skip_unrestorable {
            let mut lines: Vec<String> = source.refused.iter().map(|refused| format!("  {}", set_aside_line(refused))).collect();
            if source.refused_count > source.refused.len() as u64 {
                lines.push(format!("  and {} more (--max-findings)", source.refused_count - source.refused.len() as u64));
            }
            return Err(Error::Check(format!(
                "'{file}': a server would refuse {} of the {} documents of {namespace}:\n{}\nmend them in the database and dump again, or give --skip-unrestorable to leave them out",
                source.refused_count,
                source.documents,
                lines.join("\n")
            )));
        }
        if source.documents == 0 && !options.allow_empty {
            let remarks: String = remarks.iter().map(|remark| format!("\n{remark}")).collect();
            return Err(Error::Check(format!(
                "'{file}': {namespace} has no documents; if that is right, give --allow-empty (a mongodump that was killed can leave such files){remarks}"
            )));
        }
        if options.strict && !source.findings.is_empty() {
            let lines = source.findings.sorted().into_iter().map(|(rule, documents, ids)| {
                let rule = &plan.rules()[rule];
                format!(
                    "  {}: {} ({}, first _id {})",
                    rule.name,
                    rule.text,
                    counted(documents, "document"),
                    ids.first().map_or("none", String::as_str)
                )
            });
            return Err(Error::Check(format!(
                "'{file}': {namespace} has findings, and --strict was given:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            )));
        }
    }
    let documents: u64 = sources.iter().map(|source| source.documents).sum();
    match options.expect_documents {
        Some(expected) if expected != documents => {
            Err(Error::Check(format!("the source has {}, --expect-docs {expected} was given", counted(documents, "document"))))
        }
        _ => Ok(()),
    }
}

/// One line on a document that a server would refuse.
pub fn set_aside_line(refused: &SetAside) -> String {
    let id = refused.id.as_deref().map_or("no _id".to_owned(), |id| format!("_id {id}"));
    format!("document {} (byte offset {}, {id}): {}", refused.document, refused.offset, refused.reason)
}

/// Every source document is in each target that takes all, or was set aside.
fn check_conservation(manifest: &Manifest, plan: &Plan) -> Result<()> {
    for source in &manifest.sources {
        for (number, target) in source.targets.iter().enumerate() {
            let holds = match plan.is_unconditional(number) {
                true => target.documents + source.rejected == source.documents,
                false => target.documents + source.rejected <= source.documents,
            };
            if !holds {
                return Err(Error::Check(format!(
                    "{} has {} documents, {} has {}, and {} were set aside: documents are missing or too many. Nothing was published; please report this",
                    source.namespace, source.documents, target.namespace, target.documents, source.rejected
                )));
            }
        }
    }
    Ok(())
}
