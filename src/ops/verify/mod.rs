//! `verify`: checks an output against its manifest. Reports every difference, then fails.

pub(crate) mod collections;
mod files;
mod restored;
mod source;
pub(crate) mod together;
mod unique;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::artifact::reader::{self, Artifact, Contents};
use crate::disk::{Disk, IoMode};
use crate::error::{Error, Result};
use crate::manifest::{Finding, Manifest};
use crate::pipeline::Threads;
use crate::progress::Progress;
use crate::transform::rounded_seconds;
use files::{Checker, contradictions};

pub use crate::artifact::difference::{Difference, Level, Problem};
pub use restored::{DifferenceKind, DocumentDifference, RestoredReport, compare_with_restored};
pub use source::{SourceReport, compare_with_source};
pub use together::{OutputsReport, SharedCollection, compare_outputs};

/// What to check, and how.
///
/// Make one with [`Options::new`], and set what differs. Fields are added in later versions.
#[derive(Debug, Clone)]
pub struct Options {
    /// The output.
    pub out: PathBuf,
    /// Treat findings in the manifest as errors.
    pub strict: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// For an output, with the command line's defaults.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Options { out: out.into(), strict: false, threads: None, io: IoMode::Auto }
    }
}

/// What a check found.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The output.
    pub out: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Files that were read.
    pub files: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// What does not match; empty if everything does.
    pub differences: Vec<Difference>,
    /// The manifest's findings, if they are treated as errors.
    pub strict_findings: Vec<Finding>,
    /// Harmless files that do not belong to the output.
    pub remarks: Vec<Difference>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether the check passed.
    pub fn holds(&self) -> bool {
        self.differences.is_empty() && self.strict_findings.is_empty()
    }
}

/// Checks an output against its manifest: which files there are, their sizes, SHA-256, framing and counts.
///
/// The report lists all that is wrong; the first difference does not end the check.
///
/// # Errors
///
/// [`Error::Check`] if there is no sound manifest, [`Error::Read`] if a file cannot be read.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, progress::Silent, transform, verify};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// # let out = directory.path().join("out");
/// transform::transform(
///     &transform::Options::new("fixtures/dump", &out),
///     &Plan::built_in()?,
///     &Silent,
/// )?;
/// std::fs::remove_file(out.join("SHA256SUMS")).expect("it is there");
/// let report = verify::verify(&verify::Options::new(&out), &Silent)?;
/// assert!(!report.holds());
/// assert_eq!(report.differences[0].to_string(), "'SHA256SUMS' is missing");
/// # Ok(())
/// # }
/// ```
pub fn verify(options: &Options, progress: &dyn Progress) -> Result<Report> {
    verify_on(&Disk::new(options.io), options, progress)
}

/// [`verify`], with the file operations of `disk`.
#[doc(hidden)]
pub fn verify_on(disk: &Disk, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let artifact = Artifact::open(disk, &options.out)?;
    let manifest = &artifact.manifest;
    let threads = Threads::new(options.threads)?;
    let Contents { mut differences, remarks } = reader::contents(disk, &artifact)?;
    differences.extend(
        contradictions(manifest)
            .into_iter()
            .map(|what| Difference::new(Problem::Contradiction, "").found(what)),
    );
    let total: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    progress.start("verify", Some(total));
    let mut checker =
        Checker { disk, threads: &threads, artifact: &artifact, progress, documents: 0, bytes: 0 };
    for file in &manifest.files {
        match checker.check(file) {
            Ok(found) => differences.extend(found),
            Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error @ Error::Interrupted(_)) => return Err(error),
            Err(error) => differences
                .push(Difference::new(Problem::Unreadable, &file.path).found(error.to_string())),
        }
    }
    progress.finish();
    let findings =
        manifest.sources.iter().filter(|_| options.strict).flat_map(|source| &source.findings);
    let strict_findings = findings.cloned().collect();
    Ok(Report {
        out: options.out.clone(),
        files: manifest.files.len(),
        bytes: checker.bytes,
        manifest: artifact.manifest,
        differences,
        strict_findings,
        remarks,
        seconds: rounded_seconds(began.elapsed()),
    })
}

pub(crate) fn unknown_indexes(manifest: &Manifest) -> String {
    format!(
        "the manifest names the option indexes '{}', which this version does not know",
        manifest.options.indexes.escape_debug()
    )
}
