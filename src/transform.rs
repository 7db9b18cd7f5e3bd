//! `transform`: a dump's source collection to the collections that replace it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::batch::{Batch, Splitter};
use crate::disk::{Disk, IoMode};
use crate::dump::{self, Collection, Dump, Metadata, Stream, create_index_command, is_database_name};
use crate::error::{Error, IoContext, Result, counted};
use crate::fingerprints::Fingerprints;
use crate::hash::Counted;
use crate::journal::JournalWriter;
use crate::manifest::{self, Manifest, Role};
use crate::mapping::{Findings, Mapped, Mapper, Plan, Refusal};
use crate::output::{self, Form, OutputFile, Staging};
use crate::pipeline::{self, Stages, Threads};
use crate::progress::Progress;

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
    /// Go on where the dump has documents in a target collection, if none collides.
    pub allow_existing_targets: bool,
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
            force: false,
            strict: false,
            skip_unrestorable: false,
            max_findings: 1000,
            expect_documents: None,
            allow_empty: false,
            allow_existing_targets: false,
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
    /// The manifest that was written, or would have been.
    pub manifest: Manifest,
    /// For each source what the manifest does not tell.
    pub sources: Vec<SourceReport>,
    /// What of the dump is not in the output, and other things that a user should know.
    pub remarks: Vec<String>,
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
    /// Its `_id`.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
}

/// Transforms a dump.
pub fn transform(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    transform_on(&Disk::new(options.io), options, plan, progress)
}

/// [`transform`] by the file operations of `disk`.
pub fn transform_on(disk: &Disk, options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let dump = Dump::open(disk, &options.dump, single_database(options))?;
    let collections = dump.sources(disk, plan.collection(), &options.databases, options.all_databases).map_err(|error| match error {
        Error::Input { path, what } if plan.target_collections().any(|target| dump.collections.iter().any(|there| there.name == target)) => {
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
    if !options.dry_run {
        check_apart(&options.dump, &options.out)?;
        output::check_place(&options.out, options.force)?;
    }
    let mut remarks = dump.remarks.clone();
    let threads = Threads::new(options.threads)?;
    let existing = check_traps(disk, options, plan, &dump, &collections, &mut remarks)?;

    let mut sources = Vec::new();
    let mut reading = Vec::new();
    let mut form = Form { gzip_level: options.gzip_level, force: options.force, source_mode: 0o666 };
    for (number, collection) in collections.iter().enumerate() {
        let path = collection.documents.as_deref().unwrap_or(&options.dump);
        dump::refuse_other_content(disk, path)?;
        let stream = Stream::open(disk, path)?;
        form.source_mode &= stream.mode;
        reading.push(Splitter::new(stream, number, path.display().to_string()));
        sources.push(Source::new(collection, options, dump.metadata(disk, collection)?)?);
        let metadata_remark = match (&collection.metadata, &sources[number].metadata) {
            (None, _) => Some("has no metadata file, so its indexes and options are not known"),
            (Some(_), None) => Some("has an empty metadata file, so its indexes and options are not known"),
            _ => None,
        };
        remarks.extend(metadata_remark.map(|remark| format!("{} {remark}", collection.namespace())));
    }
    remarks.extend(not_carried_over(&dump, &collections));
    let mut staging = match options.dry_run {
        true => None,
        false => Some(Staging::begin(disk, &options.out, form)?),
    };
    for source in &mut sources {
        source.open_files(plan, options, staging.as_mut())?;
    }

    let total: u64 = reading.iter().map(|splitter| splitter.stream().file_bytes).sum();
    progress.start("transform", Some(total));
    let stages = Transforming { plan, mappers: Mutex::new(Vec::new()), existing, options, progress, files: files_of(&collections, options) };
    let mut reader = Reading { splitters: reading, current: 0 };
    let mut writer = Writing { sources, documents: 0, file_bytes: 0 };
    pipeline::run(&threads, &stages, &mut reader, &mut writer)?;
    progress.finish();
    for splitter in &reader.splitters {
        splitter.stream().check_unchanged()?;
    }
    let sources = writer.sources;
    check_results(options, &stages.files, &sources, plan, &dump.remarks)?;

    let mut manifest = Manifest {
        format: manifest::FORMAT,
        tool: concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned(),
        kind: manifest::Kind::Transform,
        mapping: manifest::Mapping {
            name: plan.name().to_owned(),
            version: plan.version().to_owned(),
            sha256: plan.sha256().to_owned(),
        },
        options: manifest::Options {
            indexes: options.indexes.name().to_owned(),
            gzip_level: options.gzip_level,
            archive: false,
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
    if let Some(signal) = progress.interrupted() {
        return Err(Error::Interrupted(signal));
    }
    if let Some(staging) = staging {
        for warning in staging.publish(&manifest)? {
            progress.warn(&warning);
        }
    }
    Ok(Report {
        dry_run: options.dry_run,
        out: options.out.clone(),
        manifest,
        sources: reports,
        remarks,
        seconds: rounded_seconds(began.elapsed()),
    })
}

/// Seconds to the millisecond.
pub(crate) fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn single_database(options: &Options) -> Option<&str> {
    match options.databases.as_slice() {
        [database] => Some(database),
        _ => None,
    }
}

fn files_of(collections: &[Collection], options: &Options) -> Vec<String> {
    let name = |collection: &Collection| collection.documents.as_deref().unwrap_or(&options.dump).display().to_string();
    collections.iter().map(name).collect()
}

/// Fails where an output would lie inside its input, or the other way round.
pub(crate) fn check_apart(dump: &Path, out: &Path) -> Result<()> {
    let dump_place = std::fs::canonicalize(dump).reading("open", dump)?;
    let absolute = std::path::absolute(out).writing("find", out)?;
    // The part of the output's path that exists, with the rest behind it.
    let existing = absolute.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    let Some((part, canonical)) = existing else { return Ok(()) };
    let rest = absolute.strip_prefix(part).unwrap_or(Path::new(""));
    let out_place = canonical.join(rest);
    if out_place.starts_with(&dump_place) {
        return Err(Error::output(out, format!("lies inside the dump '{}', which is never changed; name a place outside", dump.display())));
    }
    if dump_place.starts_with(&out_place) {
        return Err(Error::output(out, format!("holds the dump '{}', which is never changed; name a place outside", dump.display())));
    }
    Ok(())
}

/// What stands in target collections already.
#[derive(Debug, Default)]
struct Existing {
    ids: HashSet<u128>,
    /// By the number of the unique index.
    unique: HashSet<(usize, u128)>,
}

/// Refuses dumps whose documents are not all in the source's file, or whose restoring would collide.
fn check_traps(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    dump: &Dump,
    sources: &[Collection],
    remarks: &mut Vec<String>,
) -> Result<HashMap<(usize, usize), Existing>> {
    let mut existing: HashMap<(usize, usize), Existing> = HashMap::new();
    for (number, source) in sources.iter().enumerate() {
        if let Some(refusal) = dump.no_collection(disk, source)? {
            return Err(refusal);
        }
        let namespace = source.namespace();
        let (touching, all) = dump.oplog_operations(disk, &namespace)?;
        if touching > 0 {
            let what = format!("oplog.bson has {touching} of {all} operations on {namespace}, which happened during the dump and are not in its documents");
            if !options.ignore_oplog {
                return Err(Error::Check(format!("{what}; dump again while nothing writes, or give --ignore-oplog to leave them out")));
            }
            remarks.push(format!("{what}; they are left out (--ignore-oplog)"));
        } else if all > 0 {
            remarks.push(format!("oplog.bson is not in the output; none of its {all} operations is on {namespace}"));
        }
        for (target, name) in plan.target_collections().enumerate() {
            let database = options.to_database.as_ref().unwrap_or(&source.database);
            let standing = dump.collections.iter().find(|other| other.database == *database && other.name == name);
            let Some(path) = standing.and_then(|standing| standing.documents.as_deref()) else { continue };
            let (documents, bytes) = dump::count(disk, path)?;
            if documents == 0 {
                continue;
            }
            let what = format!("the dump holds {} ({bytes} bytes) in the target collection {database}.{name} already", counted(documents, "document"));
            if !options.allow_existing_targets {
                return Err(Error::Check(format!(
                    "{what}; has the migration run before? Give --allow-existing-targets to go on after checking that none of them collides"
                )));
            }
            remarks.push(format!("{what}; none of them collides with the output, and they are not in it"));
            let known = existing.entry((number, target)).or_default();
            let mut splitter = Splitter::new(Stream::open(disk, path)?, 0, path.display().to_string());
            let mut batch = Batch::default();
            while splitter.fill(&mut batch)? {
                for document in batch.documents() {
                    known.ids.extend(plan.id_fingerprint(document));
                    known.unique.extend(plan.unique_fingerprints(target, document));
                }
            }
        }
    }
    Ok(existing)
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
        let database = options.to_database.clone().unwrap_or_else(|| collection.database.clone());
        if !is_database_name(&database) {
            return Err(Error::Usage(format!("'{}' cannot be the name of a database", database.escape_debug())));
        }
        Ok(Source {
            collection: collection.clone(),
            database,
            metadata,
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

    fn open_files(&mut self, plan: &Plan, options: &Options, mut staging: Option<&mut Staging<'d>>) -> Result<()> {
        let level = options.gzip_level;
        for name in plan.target_collections() {
            let namespace = format!("{}.{name}", self.database);
            let path = documents_path(&self.database, name, level.is_some());
            self.targets.push(Staging::file(staging.as_deref_mut(), path, Role::Documents, &namespace, level)?);
        }
        let namespace = self.collection.namespace();
        let mut journal = Staging::file(staging.as_deref_mut(), format!("{}.{}.rollback", self.database, plan.collection()), Role::Journal, &namespace, level)?;
        let mut header = Vec::new();
        let metadata = self.metadata.as_ref().map(|metadata| metadata.bytes.as_slice());
        self.journal_writer.write_header(&namespace, plan, metadata, &mut header);
        journal.append(&header)?;
        journal.count(1);
        self.journal = Some(journal);
        if options.skip_unrestorable {
            let path = format!("{}.{}.rejected", self.database, plan.collection());
            self.rejected = Some(Staging::file(staging, path, Role::Rejected, &namespace, None)?);
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
        for (number, file) in self.targets.into_iter().enumerate() {
            files.push(file.finish()?);
            let target = format!("{}.{}", self.database, names[number]);
            let path = metadata_path(&self.database, names[number], options.gzip_level.is_some());
            let mut metadata = Staging::file(staging.as_deref_mut(), path, Role::Metadata, &target, options.gzip_level)?;
            metadata.append(metadata_text(plan, number, names[number], options.indexes).as_bytes())?;
            files.push(metadata.finish()?);
            targets.push(manifest::Target {
                namespace: target,
                documents: self.counts[number],
                digest: manifest::digest_text(self.digests[number]),
            });
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
        };
        Ok((source, files, report))
    }
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
        let key: serde_json::Map<String, serde_json::Value> = index.key.iter().map(|(name, direction)| (name.clone(), int(*direction))).collect();
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
    mappers: Mutex<Vec<Mapper<'a>>>,
    existing: HashMap<(usize, usize), Existing>,
    options: &'a Options,
    progress: &'a dyn Progress,
    files: Vec<String>,
}

struct Reading {
    splitters: Vec<Splitter<Stream>>,
    current: usize,
}

struct Writing<'d> {
    sources: Vec<Source<'d>>,
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
    fn map_batch(&self, batch: &Batch, duplicates: &HashMap<usize, Refusal>, mapped: &mut Mapped) -> Result<()> {
        let pooled = self.mappers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let mut mapper = pooled.unwrap_or_else(|| Mapper::new(self.plan));
        let result = mapper.map(batch.documents(), |index| duplicates.get(&index).cloned(), mapped);
        self.mappers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(mapper);
        result.map_err(|(index, fault)| {
            let mut position = batch.position(index, &self.files[batch.source]);
            position.offset += fault.offset as u64;
            Error::Document { position: Box::new(position), fault: fault.kind }
        })
    }

    /// The documents of a batch whose unique values an earlier document has. The others' are noted.
    fn duplicates(&self, source: &mut Source<'_>, mapped: &Mapped) -> HashMap<usize, Refusal> {
        let classes = self.plan.unique_classes();
        let mut duplicates = HashMap::new();
        if classes == 0 {
            return duplicates;
        }
        for (index, fingerprints) in mapped.fingerprints.chunks(classes).enumerate() {
            for (class, &fingerprint) in fingerprints.iter().enumerate() {
                if fingerprint != 0 && !source.seen[class].insert(fingerprint) {
                    duplicates.entry(index).or_insert_with(|| self.plan.duplicate(class));
                }
            }
        }
        duplicates
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
                    let place = positions.into_iter().find(|position| id.is_some() && position.id == id).map(|position| position.to_string());
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
        while reader.current < reader.splitters.len() {
            let more = reader.splitters[reader.current].fill(&mut input.batch)?;
            input.file_bytes = reader.splitters.iter().map(|splitter| splitter.stream().file_bytes_read()).sum();
            if more {
                return Ok(true);
            }
            reader.current += 1;
        }
        Ok(false)
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
                if source.refused.len() < self.options.max_findings {
                    let position = batch.position(refused.index, "");
                    source.refused.push(SetAside { document: position.document, id: position.id, reason: refused.reason.to_string() });
                }
            }
            journal.clear();
            source.journal_writer.write_batch(batch.ends.len(), &mapped.counts, &mapped.notes, journal);
            writer.documents += batch.ends.len() as u64;
            writer.file_bytes = *file_bytes;
        }
        self.progress.advance(writer.documents, writer.file_bytes);
        let mut appends = Vec::new();
        for (number, source) in writer.sources.iter_mut().enumerate() {
            if source.refused_count > 0 && !self.options.skip_unrestorable {
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
            // The source is hashed side by side with the largest of its files.
            let pieces = of_source.iter().map(|(input, _)| input.batch.bytes.as_slice()).collect();
            if let Some(largest) = appends[first_append..].iter_mut().max_by_key(|append| append.bytes()) {
                largest.beside = Some((&mut source.hash, pieces));
            }
        }
        // The longest piece of work first, so that the threads end together.
        appends.sort_by_key(|append| std::cmp::Reverse(append.bytes()));
        pipeline::for_each(&mut appends, Append::run)
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
                format!("  {}: {} ({}, first _id {})", rule.name, rule.text, counted(documents, "document"), ids.first().map_or("none", String::as_str))
            });
            return Err(Error::Check(format!("'{file}': {namespace} has findings, and --strict was given:\n{}", lines.collect::<Vec<_>>().join("\n"))));
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
    format!("document {} ({id}): {}", refused.document, refused.reason)
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
