//! What a migration needs: disk, memory and time.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::Disk;

/// Rates in bytes a second, on which the time budget rests. They were measured on two cores of a
/// virtual machine; another machine has others.
mod rate {
    /// `transform`, of the source: docs/BENCHMARKS.md, back to back.
    pub const TRANSFORM: f64 = 580e6;
    /// `transform` of a source that is compressed, of its uncompressed bytes: the same page.
    pub const TRANSFORM_GZIP: f64 = 420e6;
    /// `reverse`, of the source: the same page.
    pub const REVERSE: f64 = 950e6;
    /// `verify`, of the output; `--restored` reads the re-dump besides: the same page.
    pub const VERIFY: f64 = 1_240e6;
    /// mongodump: 4 million documents of 31 bytes in 1.46 s on one machine
    /// (windsoilder.github.io/why_mongodump_is_fast).
    pub const DUMP: f64 = 85e6;
}

/// The restore: bytes a second, and documents a second at most.
struct RestoreRate {
    bytes: f64,
    documents: f64,
}

/// mongorestore at its best: the documents of the same measurement took 79.8 s, 50,000 a second; and
/// it writes no faster than mongodump reads.
const FAST_RESTORE: RestoreRate = RestoreRate { bytes: 85e6, documents: 50_000.0 };
/// mongorestore to a distant or busy server: half of what it reached into the in-memory server of the
/// end-to-end tests (113 MB in 23,180 documents in 6 s).
const SLOW_RESTORE: RestoreRate = RestoreRate { bytes: 10e6, documents: 2_000.0 };

/// What each run holds in memory at most, documents aside: law 6 of docs/DESIGN.md.
const MEMORY_BYTES: u64 = 96 << 20;
/// For each document with a value in a unique index.
const FINGERPRINT_BYTES: u64 = 16;
/// The largest document is held so many times by each thread.
const HELD: u64 = 8;

/// What a migration needs.
#[derive(Debug, Serialize)]
pub struct Needs {
    /// On the disk of the output.
    pub disk: DiskNeeds,
    /// The most memory of a run.
    pub memory_bytes: u64,
    /// The time of the migration.
    pub migration: TimeBudget,
    /// The time of a rollback without changes by the application: `reverse`, then the restore.
    pub rollback: TimeBudget,
}

/// Bytes on disk, uncompressed.
#[derive(Debug, Serialize)]
pub struct DiskNeeds {
    /// The directory whose file system was asked.
    pub directory: PathBuf,
    /// The bytes that are free there; none if the system does not tell.
    pub free: Option<u64>,
    /// The output of `transform`.
    pub output: u64,
    /// The dump of the new collections, to verify the restore.
    pub redump: u64,
    /// The rehearsal of the way back.
    pub rehearsal: u64,
}

impl DiskNeeds {
    /// All of it at the same time.
    pub fn all(&self) -> u64 {
        self.output + self.redump + self.rehearsal
    }
    /// Whether not even the output has room.
    pub fn lacks_room(&self) -> bool {
        self.free.is_some_and(|free| free < self.output)
    }
}

/// The time that some steps take.
#[derive(Debug, Serialize)]
pub struct TimeBudget {
    /// The steps, in order.
    pub steps: Vec<TimeOfStep>,
}

/// The time that a step takes.
#[derive(Debug, Serialize)]
pub struct TimeOfStep {
    /// What is run.
    pub step: &'static str,
    /// Seconds at the least.
    pub least: f64,
    /// Seconds at the most.
    pub most: f64,
}

impl TimeBudget {
    /// Seconds at the least, of all steps.
    pub fn least(&self) -> f64 {
        self.steps.iter().map(|step| step.least).sum()
    }
    /// Seconds at the most.
    pub fn most(&self) -> f64 {
        self.steps.iter().map(|step| step.most).sum()
    }
}

/// How much there is to migrate.
#[derive(Debug, Default)]
pub(super) struct Amount {
    pub source_documents: u64,
    pub source_bytes: u64,
    pub target_documents: u64,
    pub target_bytes: u64,
    pub journal_bytes: u64,
    pub largest_document: u64,
    /// The values in unique indexes that a run remembers.
    pub unique_values: u64,
    pub is_compressed: bool,
}

impl Needs {
    pub(super) fn of(amount: &Amount, threads: u64, disk: &Disk, directory: &Path) -> Needs {
        let transform = if amount.is_compressed { rate::TRANSFORM_GZIP } else { rate::TRANSFORM };
        let targets = (amount.target_bytes, amount.target_documents);
        let source = (amount.source_bytes, amount.source_documents);
        let migration = vec![
            at("mongodump", amount.source_bytes, rate::DUMP),
            at("transform", amount.source_bytes, transform),
            restore("mongorestore", targets),
            at("mongodump again", amount.target_bytes, rate::DUMP),
            at("verify --restored", 2 * amount.target_bytes, rate::VERIFY),
        ];
        let rollback = vec![
            at("reverse", amount.source_bytes, rate::REVERSE),
            restore("mongorestore", source),
        ];
        Needs {
            disk: DiskNeeds {
                free: disk.free_bytes(directory),
                directory: directory.to_owned(),
                output: amount.target_bytes + amount.journal_bytes,
                redump: amount.target_bytes,
                rehearsal: amount.source_bytes,
            },
            memory_bytes: MEMORY_BYTES
                + FINGERPRINT_BYTES * amount.unique_values
                + HELD * amount.largest_document * threads,
            migration: TimeBudget { steps: migration },
            rollback: TimeBudget { steps: rollback },
        }
    }
}

fn at(step: &'static str, bytes: u64, rate: f64) -> TimeOfStep {
    let seconds = rounded(bytes as f64 / rate);
    TimeOfStep { step, least: seconds, most: seconds }
}

fn restore(step: &'static str, (bytes, documents): (u64, u64)) -> TimeOfStep {
    let seconds = |rate: &RestoreRate| {
        rounded((bytes as f64 / rate.bytes).max(documents as f64 / rate.documents))
    };
    TimeOfStep { step, least: seconds(&FAST_RESTORE), most: seconds(&SLOW_RESTORE) }
}

/// To a tenth of a second.
fn rounded(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
