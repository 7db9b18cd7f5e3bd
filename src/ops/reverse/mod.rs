//! `reverse`: the source collection, brought back from an output and its journal.

mod current;
pub(crate) mod original;
mod plain;

use std::path::PathBuf;

use serde::Serialize;

pub use current::{Counts, Event, Report as CurrentReport, reverse_current};
pub use plain::{reverse, reverse_on};

use crate::artifact::reader;
use crate::base::namespace::is_database_name;
use crate::disk::{Disk, IoMode};
use crate::dump::Metadata;
use crate::error::{Error, Result};
use crate::manifest::{self, Kind, Manifest, Role};
use crate::mapping::Plan;
use crate::output::{self, Form};
use crate::transform::{check_output, is_standard_output, place_of};

/// What to reverse, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The output of `transform`.
    pub out: PathBuf,
    /// Where the result goes.
    pub dest: PathBuf,
    /// The database's name in the result, where it is to be another.
    pub to_database: Option<String>,
    /// Compress files, at this level.
    pub gzip_level: Option<u32>,
    /// Make one archive, with the other files beside it; `-` is standard output.
    pub archive: bool,
    /// What the files beside an archive on standard output are named after.
    pub sidecar: Option<PathBuf>,
    /// Replace what stands at the result's place.
    pub force: bool,
    /// With a later dump: how many documents its driving collection must have.
    pub expect_documents: Option<u64>,
    /// With a later dump: its driving collection may be empty.
    pub allow_empty: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// From an output to a dump, everything else as the command line has it by default.
    pub fn new(out: impl Into<PathBuf>, dest: impl Into<PathBuf>) -> Self {
        Options {
            out: out.into(),
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

/// What a run has done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// The result.
    pub dest: PathBuf,
    /// What its files are named after: the result, but for an archive on standard output.
    #[serde(skip)]
    pub place: PathBuf,
    /// The manifest that was written, or would have been.
    pub manifest: Manifest,
    /// Indexes in the restored metadata by which a server deletes documents: namespace, index, seconds.
    pub ttl_indexes: Vec<(String, String, String)>,
    /// Seconds that the run took.
    pub seconds: f64,
}

pub(crate) fn note_ttl_indexes(noted: &mut Vec<(String, String, String)>, namespace: &str, metadata: Option<Vec<u8>>) -> Result<()> {
    let metadata = metadata.map_or(Ok(None), |bytes| Metadata::parse(bytes, namespace.as_ref()))?;
    let ttl = metadata.map(|metadata| metadata.ttl_indexes()).unwrap_or_default();
    noted.extend(ttl.into_iter().map(|(name, seconds)| (namespace.to_owned(), name, seconds)));
    Ok(())
}

/// Documents, uncompressed bytes and their SHA-256 of a file.
pub(crate) fn content_of(file: &manifest::File) -> (u64, u64, &String) {
    (file.documents.unwrap_or_default(), file.raw_bytes.unwrap_or(file.bytes), file.raw_sha256.as_ref().unwrap_or(&file.sha256))
}

/// The manifest of an output that can be reversed by this plan; its files are there and of the right sizes.
pub(crate) fn open_output(disk: &Disk, options: &Options, plan: &Plan) -> Result<Manifest> {
    if !options.dry_run {
        check_output(&[&options.out], &options.dest, options.archive, options.sidecar.as_deref())?;
    }
    let manifest = reader::read_manifest(disk, &options.out)?;
    if manifest.kind != Kind::Transform {
        return Err(Error::Check(format!(
            "'{}' is the result of `reverse`; only an output of `transform` can be reversed",
            options.out.display()
        )));
    }
    if manifest.mapping.sha256 != plan.id().sha256 {
        return Err(Error::Check(format!(
            "'{}' was made with {}, this is {}; give that mapping with --mapping, or use the version of mongosplit that made the output ({})",
            options.out.display(),
            manifest.mapping,
            plan.id(),
            manifest.tool
        )));
    }
    if let (Some(name), true) = (&options.to_database, manifest.sources.len() > 1) {
        return Err(Error::Usage(format!(
            "--to-db {name} would put the collections of {} databases into one; leave it out, or transform one database with --db NAME and reverse that",
            manifest.sources.len()
        )));
    }
    for source in &manifest.sources {
        database_of(&source.namespace, options.to_database.as_deref())?;
    }
    reader::contents(disk, &options.out, &manifest)?.require(&options.out)?;
    if !options.dry_run {
        let place = place_of(&options.dest, options.sidecar.as_deref())?;
        output::check_place(place, form_of(options))?;
    }
    Ok(manifest)
}

/// What a reversal's manifest says of a source, once the restored documents are those that the manifest of the
/// transformation describes.
pub(crate) fn proven(
    said: &manifest::Source,
    namespace: &str,
    (documents, bytes, sha256): (u64, u64, &String),
) -> Result<manifest::Source> {
    if (documents, bytes, sha256) != (said.documents, said.bytes, &said.sha256) {
        return Err(Error::Check(format!(
            "the reversal of {} has {documents} documents, {bytes} bytes and SHA-256 {sha256}; the source had {}, {} and {}. Nothing was published",
            said.namespace, said.documents, said.bytes, said.sha256
        )));
    }
    let round_trip = manifest::RoundTrip { proven: documents, whole: said.round_trip.whole };
    Ok(manifest::Source {
        namespace: namespace.to_owned(),
        targets: Vec::new(),
        findings: Vec::new(),
        rejected: 0,
        round_trip,
        ..said.clone()
    })
}

/// The manifest of a reversal, its sources and files still to come.
pub(crate) fn reverse_manifest(manifest: &Manifest, options: &Options) -> Manifest {
    Manifest {
        kind: Kind::Reverse,
        tool: concat!("mongosplit ", env!("CARGO_PKG_VERSION")).to_owned(),
        options: manifest::Options { gzip_level: options.gzip_level, archive: options.archive, ..manifest.options.clone() },
        sources: Vec::new(),
        files: Vec::new(),
        ..manifest.clone()
    }
}

pub(crate) fn database_of(namespace: &str, to: Option<&str>) -> Result<String> {
    let database = to.unwrap_or_else(|| namespace.split_once('.').map_or(namespace, |(database, _)| database));
    match is_database_name(database) {
        true => Ok(database.to_owned()),
        false => Err(Error::Usage(format!("'{}' cannot be the name of a database", database.escape_debug()))),
    }
}

/// The files that a reversal does not read otherwise.
pub(crate) const UNREAD: &[Role] = &[Role::Metadata, Role::Rejected];

/// The form of a reversal's result; the mode is still to come.
pub(crate) fn form_of(options: &Options) -> Form {
    let stream = is_standard_output(&options.dest);
    Form {
        gzip_level: options.gzip_level,
        force: options.force,
        kind: manifest::Kind::Reverse,
        source_mode: 0o666,
        archive: options.archive,
        stream,
    }
}
