//! `inspect`: lists what is in a dump, checks every document, and assesses its source collections:
//! whether a migration can begin, and what it needs.

mod counts;
mod needs;
mod pass;
mod places;
mod reading;
mod report;
mod tally;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::base::documents::Counts;
use crate::disk::{Disk, IoMode};
use crate::dump::{self, Dump, Metadata, OplogOperations};
use crate::error::{Error, Result, counted};
use crate::mapping::Plan;
use crate::ops::check::{Finding, Target};
use crate::ops::transform::{self, check_oplog, check_standing, kept_unique, rounded_seconds};
use crate::pipeline::{self, Pool, Threads};
use crate::plain::PlainPath;
use crate::progress::Progress;
use needs::Amount;
use pass::{Part, Pass, Source, SourceFound, Use, Written};
use reading::Reading;

pub use counts::{Distribution, Range};
pub use needs::{DiskNeeds, Needs, TimeBudget, TimeOfStep};
pub use places::{Place, TypeCount};
pub use report::{Assessment, Collection, Damage, Report};
pub use tally::{Dates, Lengths, Most, Owners, ValueCount, Values, time_text};

/// What [`inspect`] reads, and for which output.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dump; `-` for an archive on standard input.
    pub dump: PathBuf,
    /// A directory on the disk that the output will be written to.
    pub out: PathBuf,
    /// The databases whose source collection is assessed; all if empty.
    pub databases: Vec<String>,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// A dump, for an output below the current directory.
    pub fn new(dump: impl Into<PathBuf>) -> Self {
        Options {
            dump: dump.into(),
            out: PathBuf::from("."),
            databases: Vec::new(),
            threads: None,
            io: IoMode::default(),
        }
    }
}

/// Reads every document of a dump once, and checks it and an archive's checksums. Maps those of the
/// source collections, and counts what the mapping's `[assess]` says.
///
/// What is damaged is in the report, and the rest is read all the same.
///
/// # Errors
///
/// [`Error::Input`] and [`Error::Read`] if the dump cannot be opened, [`Error::Usage`] if it does not
/// have one of the databases, [`Error::Interrupted`] after a signal.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, inspect, progress::Silent};
///
/// # fn main() -> mongosplit::Result<()> {
/// let options = inspect::Options::new("fixtures/dump");
/// let report = inspect::inspect(&options, &Plan::built_in()?, &Silent)?;
/// assert!(report.go, "{:?}", report.reasons);
/// assert_eq!(report.collections.iter().map(|collection| collection.documents).sum::<u64>(), 106);
/// assert_eq!(report.sources[0].average_bytes(), 8_031);
/// # Ok(())
/// # }
/// ```
pub fn inspect(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    inspect_on(&Disk::new(options.io), options, plan, progress)
}

/// [`inspect`], with the file operations of `disk`.
#[doc(hidden)]
pub fn inspect_on(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Report> {
    let began = Instant::now();
    let database = match options.databases.as_slice() {
        [database] => Some(database.as_str()),
        _ => None,
    };
    let dump = Dump::open_on(disk, &options.dump, database)?;
    progress.detail(&dump.describe());
    let threads = Threads::new(options.threads)?;
    let mut inspection = Inspection::new(disk, &dump, plan, options)?;
    let written = inspection.read(&threads, progress)?;
    let mut report = inspection.report(written, threads.count() as u64, progress)?;
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}

struct Inspection<'d> {
    disk: &'d Disk,
    dump: &'d Dump,
    plan: &'d Plan,
    options: &'d Options,
    /// The sources, and the metadata of each.
    sources: Vec<(dump::Collection, Option<Metadata>)>,
    /// Their numbers by database and name.
    numbers: HashMap<(String, String), usize>,
    parts: Vec<Part>,
    collections: Vec<Collection>,
    reasons: Vec<String>,
    damages: Vec<Damage>,
    remarks: Vec<String>,
    /// The bytes of what was read, as stored.
    stored: Option<u64>,
}

impl<'d> Inspection<'d> {
    fn new(disk: &'d Disk, dump: &'d Dump, plan: &'d Plan, options: &'d Options) -> Result<Self> {
        let mut inspection = Inspection {
            disk,
            dump,
            plan,
            options,
            sources: Vec::new(),
            numbers: HashMap::new(),
            parts: Vec::new(),
            collections: Vec::new(),
            reasons: Vec::new(),
            damages: Vec::new(),
            remarks: dump.remarks.clone(),
            stored: None,
        };
        inspection.find_sources()?;
        Ok(inspection)
    }

    fn find_sources(&mut self) -> Result<()> {
        let databases = &self.options.databases;
        let found = match self.dump.sources(self.disk, self.plan.collection(), databases, true) {
            Ok(found) => found,
            Err(error @ Error::Usage(_)) => return Err(error),
            Err(error) => {
                self.reasons.push(error.to_string());
                Vec::new()
            }
        };
        if found.len() > 1 && databases.is_empty() {
            let of = self.plan.collection();
            self.remarks.push(format!(
                "{} databases have a collection '{of}'; transform needs --db NAME or --all-dbs",
                found.len()
            ));
        }
        for source in found {
            match self.dump.refusal(self.disk, &source) {
                Ok(None) => {}
                Ok(Some(error)) => self.reasons.push(error.to_string()),
                Err(error) => self.damages.push(error.into()),
            }
            let metadata = self.metadata_of(&source);
            let key = (source.database.clone(), source.name.clone());
            self.numbers.entry(key).or_insert(self.sources.len());
            self.sources.push((source, metadata));
        }
        Ok(())
    }

    /// The metadata of a collection. Damaged metadata is a damage of the dump.
    fn metadata_of(&mut self, collection: &dump::Collection) -> Option<Metadata> {
        self.dump.metadata(self.disk, collection).unwrap_or_else(|error| {
            let damage = Damage::from(error);
            if !self.damages.iter().any(|known| known.message == damage.message) {
                self.damages.push(damage);
            }
            None
        })
    }

    /// What a collection is to the mapping.
    fn use_of(&self, database: &str, name: &str) -> Use {
        let key = (database.to_owned(), name.to_owned());
        self.numbers.get(&key).map_or(Use::Other, |number| Use::Source(*number))
    }

    /// Reads the whole dump.
    fn read(&mut self, threads: &Threads, progress: &dyn Progress) -> Result<Written> {
        let dump = self.dump;
        let archive = dump.archive(self.disk)?;
        match &archive {
            Some(reader) => {
                for entry in &reader.prelude().entries {
                    let namespace = entry.namespace();
                    let of = match entry.is_oplog() {
                        true => Use::Oplog,
                        false => self.use_of(&entry.database, &entry.collection),
                    };
                    let file = format!("{}, {namespace}", reader.file());
                    self.parts.push(Part { namespace, file, of });
                    let known = dump.collections.iter().find(|known| {
                        (&known.database, &known.name) == (&entry.database, &entry.collection)
                    });
                    let metadata = known.and_then(|known| self.metadata_of(known));
                    let kind = match entry.is_oplog() {
                        true => Some("oplog".to_owned()),
                        false => entry.kind.clone(),
                    };
                    self.collections.push(listed(entry.namespace(), metadata, kind));
                }
            }
            None => {
                for collection in &dump.collections {
                    let namespace = collection.namespace();
                    let of = match dump.is_single_file() && !self.sources.is_empty() {
                        true => Use::Source(0),
                        false => self.use_of(&collection.database, &collection.name),
                    };
                    let path = collection.documents.as_deref().unwrap_or(&dump.path);
                    self.parts.push(Part { namespace: namespace.clone(), file: path.plain(), of });
                    let metadata = self.metadata_of(collection);
                    let mut listed = listed(namespace, metadata, None);
                    listed.lacks_documents =
                        collection.documents.is_none() && listed.kind == "collection";
                    self.collections.push(listed);
                }
            }
        }
        let mut sources = Vec::new();
        for (source, metadata) in &self.sources {
            let namespace = source.namespace();
            let kept = kept_unique(self.plan, metadata.as_ref(), &namespace, &mut self.remarks);
            sources.push(Source { namespace, kept });
        }
        let found = sources.iter().map(|source| SourceFound::new(self.plan, source.kept.len()));
        let mut written = Written::new(self.parts.len(), found.collect());
        let pass = Pass {
            plan: self.plan,
            parts: &self.parts,
            sources,
            mappers: Pool::default(),
            validators: Pool::default(),
            progress,
        };
        let mut reading = Reading::new(self.disk, dump, archive);
        self.stored = reading.total();
        progress.start("inspect", self.stored);
        pipeline::run(threads, &pass, &mut reading, &mut written)?;
        progress.finish();
        if let Some(reader) = reading.archive() {
            for (number, collection) in self.collections.iter_mut().enumerate() {
                collection.checksum_holds = reader.seen(number).checksum_holds;
            }
        }
        for damaged in reading.damages {
            self.damages.push(damaged.into());
        }
        Ok(written)
    }

    fn report(mut self, written: Written, threads: u64, progress: &dyn Progress) -> Result<Report> {
        for (collection, found) in self.collections.iter_mut().zip(written.parts) {
            (collection.documents, collection.bytes) = (found.documents, found.bytes);
            self.damages.extend(found.damage.map(Damage::from));
        }
        let mut amount = Amount {
            is_compressed: self.stored.is_some_and(|stored| {
                stored < self.collections.iter().map(|collection| collection.bytes).sum()
            }),
            ..Amount::default()
        };
        let mut sources = Vec::new();
        for ((source, _), found) in std::mem::take(&mut self.sources).iter().zip(written.sources) {
            let namespace = source.namespace();
            let operations = match self.dump.is_archive() {
                true => Ok(OplogOperations { touching: found.touching, all: self.oplog_entries() }),
                false => self.dump.oplog_operations(self.disk, &namespace, progress),
            };
            match operations {
                Ok(operations) => self.check_oplog(&namespace, operations),
                Err(error @ Error::Interrupted(_)) => return Err(error),
                Err(error) => self.damages.push(error.into()),
            }
            self.check_targets(source);
            amount.add(&found, self.plan);
            let assessment = assessment(self.plan, source, found);
            self.check_source(&assessment);
            sources.push(assessment);
        }
        self.check_collections();
        let needs = Needs::of(&amount, threads, self.disk, &self.options.out);
        if needs.disk.lacks_room() {
            self.reasons.push(format!(
                "'{}' has {} bytes free, the output alone needs {}; free some, or choose another place",
                needs.disk.directory.plain(),
                needs.disk.free.unwrap_or(0),
                needs.disk.output
            ));
        }
        let mut collections = self.collections;
        collections.sort_by(|a, b| a.namespace.cmp(&b.namespace));
        Ok(Report {
            dump: self.dump.path.clone(),
            server_version: self.dump.server_version.clone(),
            go: self.reasons.is_empty() && self.damages.is_empty(),
            reasons: self.reasons,
            damages: self.damages,
            collections,
            sources,
            needs,
            remarks: self.remarks,
            seconds: 0.0,
        })
    }

    /// The entries of an archive's oplog.
    fn oplog_entries(&self) -> u64 {
        let parts = self.parts.iter().zip(&self.collections);
        parts
            .filter(|(part, _)| part.of == Use::Oplog)
            .map(|(_, collection)| collection.documents)
            .sum()
    }

    fn check_oplog(&mut self, namespace: &str, operations: OplogOperations) {
        let options = transform::Options::new(&self.options.dump, &self.options.out);
        let oplog = if self.dump.is_archive() { "the archive's oplog" } else { "oplog.bson" };
        let checked = check_oplog(&options, oplog, namespace, operations, &mut self.remarks);
        self.reasons.extend(checked.err().map(|error| error.to_string()));
    }

    /// Documents in a target collection are in the way.
    fn check_targets(&mut self, source: &dump::Collection) {
        let options = transform::Options::new(&self.options.dump, &self.options.out);
        for target in self.plan.target_collections() {
            let namespace = format!("{}.{target}", source.database);
            // What stands in the source's own place is the source.
            if target == source.name {
                continue;
            }
            let same = |collection: &&Collection| collection.namespace == namespace;
            let Some(there) = self.collections.iter().find(same) else { continue };
            let counts = Counts { documents: there.documents, bytes: there.bytes };
            let checked = check_standing(&options, &namespace, counts, &mut self.remarks);
            self.reasons.extend(checked.err().map(|error| error.to_string()));
        }
    }

    fn check_source(&mut self, source: &Assessment) {
        let namespace = &source.namespace;
        if source.documents == 0 && self.damages.is_empty() {
            self.reasons.push(format!(
                "{namespace} has no documents; if that is right, give transform --allow-empty"
            ));
        }
        let refused = source.refused.documents;
        if refused > 0 {
            self.reasons.push(format!(
                "a server would refuse {} of {namespace}; fix them in the database and dump again, or leave them out with --skip-unrestorable",
                counted(refused, "document")
            ));
        }
    }

    fn check_collections(&mut self) {
        for collection in &self.collections {
            let namespace = collection.namespace.escape_debug();
            if collection.lacks_documents {
                self.reasons.push(format!(
                    "{namespace} has metadata, but no .bson file: its documents are missing; dump again"
                ));
            }
            if collection.checksum_holds == Some(false) {
                self.reasons.push(format!(
                    "the checksum of {namespace} does not match: the archive is damaged; dump again"
                ));
            }
        }
    }
}

impl Amount {
    fn add(&mut self, found: &SourceFound, plan: &Plan) {
        let tally = &found.tally;
        self.source_documents += tally.documents;
        self.source_bytes += tally.bytes;
        self.journal_bytes += found.journal_bytes;
        self.unique_values += plan.unique_classes() as u64 * tally.documents;
        let largest = tally.largest.as_ref().map_or(0, |most| most.value);
        self.largest_document = self.largest_document.max(largest);
        for (documents, bytes) in &found.targets {
            self.target_documents += documents;
            self.target_bytes += bytes;
        }
    }
}

fn listed(namespace: String, metadata: Option<Metadata>, kind: Option<String>) -> Collection {
    let kind = metadata.as_ref().and_then(|metadata| metadata.kind.clone()).or(kind);
    Collection {
        namespace,
        kind: kind.unwrap_or_else(|| "collection".to_owned()),
        documents: 0,
        bytes: 0,
        indexes: metadata.iter().flat_map(Metadata::index_names).map(str::to_owned).collect(),
        checksum_holds: None,
        lacks_documents: false,
    }
}

fn assessment(plan: &Plan, source: &dump::Collection, found: SourceFound) -> Assessment {
    let SourceFound { mut tally, survey, findings, refused, targets, .. } = found;
    let names = plan.target_collections().map(str::to_owned);
    let target = |(collection, (documents, bytes))| Target { collection, documents, bytes };
    Assessment {
        namespace: source.namespace(),
        documents: tally.documents,
        bytes: tally.bytes,
        owners: tally.owners(),
        sizes: tally.sizes,
        largest: tally.largest,
        lengths: tally.lengths,
        values: tally.values,
        dates: tally.dates,
        places: places::of(&survey),
        with_long_names: survey.with_long_names.documents,
        with_further_fields: survey.with_further_fields.documents,
        refused,
        finding_documents: findings.documents(),
        findings: Finding::all(&findings, plan),
        targets: names.zip(targets).map(target).collect(),
    }
}
