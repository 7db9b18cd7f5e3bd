//! The output files of one source while they are written, and the counts that go with them.

use super::indexes::metadata_text;
use super::unique::SeenValues;
use super::{ArrayCount, Options, SetAside, SourceReport};
use crate::artifact::archive_writer;
use crate::artifact::staging::Staging;
use crate::artifact::writer::{DocumentSink, OutputFile};
use crate::base::namespace::{check_database_name, collection_file_name};
use crate::dump::{Collection, Metadata};
use crate::error::{Error, Result};
use crate::hash::HashingCounter;
use crate::journal::{JournalWriter, Unreadable};
use crate::manifest::{self, Role};
use crate::mapping::{Findings, Found, KeptIndex, Plan, Rule};

/// The output of one source once it is written.
pub(super) struct Finished {
    /// Its entry in the manifest.
    pub(super) source: manifest::Source,
    /// Those of its files.
    pub(super) files: Vec<manifest::File>,
    pub(super) report: SourceReport,
}

/// The output of one source while it is written.
pub(super) struct Outputs<'d> {
    pub(super) collection: Collection,
    /// The database's name in the output.
    pub(super) database: String,
    pub(super) metadata: Option<Metadata>,
    /// The bytes of the metadata that the journal holds.
    pub(super) journaled: Option<Vec<u8>>,
    pub(super) targets: Vec<OutputFile<'d>>,
    pub(super) journal: Option<OutputFile<'d>>,
    pub(super) rejected: Option<OutputFile<'d>>,
    pub(super) journal_writer: JournalWriter,
    /// The unique indexes of the source that a target keeps.
    pub(super) kept: Vec<KeptIndex>,
    pub(super) seen: SeenValues,
    /// Hashes the source's documents.
    pub(super) hash: HashingCounter,
    pub(super) documents: u64,
    pub(super) counts: Vec<u64>,
    pub(super) digests: Vec<u128>,
    pub(super) whole: u64,
    /// For each name that the mapping knows, whether a document had it.
    pub(super) seen_names: Vec<bool>,
    pub(super) findings: Findings,
    pub(super) refused: Vec<SetAside>,
    pub(super) refused_count: u64,
    pub(super) arrays: Vec<[u64; 2]>,
}

impl<'d> Outputs<'d> {
    pub(super) fn new(
        collection: &Collection,
        options: &Options,
        metadata: Option<Metadata>,
    ) -> Result<Self> {
        let known = options.known_metadata.get(&collection.namespace());
        let known = known.map_or(Ok(None), |bytes| {
            Metadata::parse(bytes.clone(), collection.namespace().as_ref())
        })?;
        let journaled = known.filter(|known| {
            metadata.as_ref().is_some_and(|metadata| metadata.differences(known).is_empty())
        });
        let journaled = journaled.or_else(|| metadata.clone()).map(|metadata| metadata.bytes);
        let database = options.to_database.clone().unwrap_or_else(|| collection.database.clone());
        check_database_name(&database)?;
        Ok(Outputs {
            collection: collection.clone(),
            database,
            metadata,
            journaled,
            targets: Vec::new(),
            journal: None,
            rejected: None,
            journal_writer: JournalWriter::default(),
            kept: Vec::new(),
            seen: SeenValues::default(),
            hash: HashingCounter::default(),
            documents: 0,
            counts: Vec::new(),
            digests: Vec::new(),
            whole: 0,
            seen_names: Vec::new(),
            findings: Findings::default(),
            refused: Vec::new(),
            refused_count: 0,
            arrays: Vec::new(),
        })
    }

    pub(super) fn open_files(
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
            self.targets.push(Staging::file(
                staging.as_deref_mut(),
                path,
                Role::Documents,
                &namespace,
                level,
            )?);
        }
        let namespace = self.collection.namespace();
        let mut journal = Staging::file(
            staging.as_deref_mut(),
            named("rollback"),
            Role::Journal,
            &namespace,
            level,
        )?;
        let mut header = Vec::new();
        let metadata = self.journaled.as_deref();
        self.journal_writer
            .write_header(&namespace, plan.id(), plan.text(), metadata, &mut header)
            .map_err(|why| unreadable_journal(&namespace, "header", &why))?;
        journal.append(&header)?;
        journal.count(1);
        self.journal = Some(journal);
        if options.skip_unrestorable {
            self.rejected =
                Some(Staging::file(staging, named("rejected"), Role::Rejected, &namespace, None)?);
        }
        self.counts = vec![0; plan.target_count()];
        self.digests = vec![0; plan.target_count()];
        self.arrays = vec![[0; 2]; plan.arrays().len()];
        self.seen = SeenValues::new(plan, self.kept.len());
        Ok(())
    }

    pub(super) fn finish(
        self,
        plan: &Plan,
        options: &Options,
        mut staging: Option<&mut Staging<'d>>,
    ) -> Result<Finished> {
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
            let mut metadata = Staging::file(
                staging.as_deref_mut(),
                path,
                Role::Metadata,
                target,
                options.gzip_level,
            )?;
            metadata.append(
                metadata_text(plan, number, names[number], options, self.metadata.as_ref())
                    .as_bytes(),
            )?;
            files.push(metadata.finish()?);
        }
        for file in [self.journal, self.rejected].into_iter().flatten() {
            files.push(file.finish()?);
        }
        let (bytes, sha256) = self.hash.finish();
        let source = manifest::Source {
            namespace: namespace.clone(),
            documents: self.documents,
            bytes,
            sha256,
            targets,
            rejected: self.refused_count,
            round_trip: manifest::RoundTrip {
                proven: self.documents,
                whole: self.whole + self.refused_count,
            },
            findings: recorded(&self.findings, plan),
        };
        // A target that takes the source's place keeps what its mapping does not drop.
        let is_kept = source.targets.iter().any(|target| target.namespace == namespace);
        let metadata = self.metadata.as_ref().filter(|_| !is_kept);
        let arrays = plan.arrays().iter().zip(&self.arrays).map(
            |((source_field, target_field), [source, target])| ArrayCount {
                source_field: source_field.clone(),
                source: *source,
                target_field: target_field.clone(),
                target: *target,
            },
        );
        let report = SourceReport {
            arrays: arrays.collect(),
            namespace,
            set_aside: self.refused,
            finding_documents: self.findings.documents(),
            index_commands: metadata
                .map(|metadata| metadata.create_index_commands(&self.collection.name))
                .unwrap_or_default(),
            options: metadata
                .into_iter()
                .flat_map(|metadata| &metadata.options)
                .map(|(name, value)| format!("{name}: {value}"))
                .collect(),
            metadata: self.metadata,
        };
        Ok(Finished { source, files, report })
    }
}

/// The error for a journal that does not read back as it was written.
pub(super) fn unreadable_journal(namespace: &str, part: &str, why: &Unreadable) -> Error {
    Error::Check(format!(
        "the rollback journal of {namespace} does not read back: its {part}: {why}. Nothing was published; please report this"
    ))
}

/// How the files next to an archive are named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) name: &'a str,
    /// There is only one source, so its files need no namespace in their names.
    pub(super) is_only: bool,
}

/// The collections that an archive holds: every target of every source.
pub(super) fn archived(
    sources: &[Outputs<'_>],
    plan: &Plan,
    options: &Options,
) -> Vec<archive_writer::Collection> {
    let of_source = |source: &Outputs<'_>| -> Vec<archive_writer::Collection> {
        let target = |(number, name): (usize, &str)| archive_writer::Collection {
            database: source.database.clone(),
            name: name.to_owned(),
            metadata: metadata_text(plan, number, name, options, source.metadata.as_ref()),
        };
        plan.target_collections().enumerate().map(target).collect()
    };
    sources.iter().flat_map(of_source).collect()
}

/// Findings as a manifest has them.
pub(crate) fn recorded(findings: &Findings, plan: &Plan) -> Vec<manifest::Finding> {
    let finding = |(rule, found): (&Rule, &Found)| manifest::Finding {
        rule: rule.name.clone(),
        expects: findings.text(rule),
        documents: found.documents,
        first_ids: found.first_ids.clone(),
    };
    findings.iter(plan).map(finding).collect()
}

/// The path of a collection's documents in an output.
pub(crate) fn documents_path(database: &str, collection: &str, gzip: bool) -> String {
    path_of(database, collection, "bson", gzip)
}

/// The path of a collection's metadata in an output.
pub(crate) fn metadata_path(database: &str, collection: &str, gzip: bool) -> String {
    path_of(database, collection, "metadata.json", gzip)
}

fn path_of(database: &str, collection: &str, suffix: &str, gzip: bool) -> String {
    let gz = if gzip { ".gz" } else { "" };
    format!("{database}/{}.{suffix}{gz}", collection_file_name(collection))
}
