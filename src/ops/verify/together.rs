//! Compares outputs that are restored into one database with one another: what the server would
//! refuse of the second because of the first.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Options;
use super::collections::{Joined, Part, artifacts_of};
use super::unique::{UniqueKey, fingerprint_as_key};
use crate::artifact::difference::{Difference, Problem};
use crate::artifact::reader::Artifact;
use crate::base::documents::{Checking, each_document};
use crate::disk::Disk;
use crate::dump::IndexDefinition;
use crate::error::Result;
use crate::fingerprints::{Fingerprints, document_digest};
use crate::manifest::Kind;
use crate::mapping::Plan;
use crate::ops::reverse::original;
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw::{self, Elements};
use crate::transform::rounded_seconds;

/// A collection that several outputs hold documents of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SharedCollection {
    /// Its namespace.
    pub namespace: String,
    /// The number of outputs that have it.
    pub outputs: usize,
    /// The number of documents in all of them.
    pub documents: u64,
}

/// What a comparison of outputs with one another found.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct OutputsReport {
    /// The outputs.
    pub outputs: Vec<PathBuf>,
    /// The collections that several of them hold.
    pub shared: Vec<SharedCollection>,
    /// The number of `_id`s, unique values and indexes in which they contradict one another.
    pub contradictions: u64,
    /// These, up to a thousand.
    pub named: Vec<Difference>,
    /// What was not compared, and why.
    pub remarks: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How many contradictions are named.
const MOST_NAMED: usize = 1000;

impl OutputsReport {
    /// Whether all outputs can be restored into one database.
    pub fn holds(&self) -> bool {
        self.contradictions == 0
    }
    fn name(&mut self, difference: Difference) {
        if self.named.len() < MOST_NAMED {
            self.named.push(difference);
        }
    }
}

/// Compares outputs that are meant for one database with one another, before anything is restored:
/// no `_id` and no value of a unique index may be in two of them, and indexes of one collection must
/// agree. `verified` are their reports.
///
/// `options.out` is not looked at.
///
/// # Errors
///
/// [`Error::Usage`](crate::Error::Usage) if an output is named twice, and what reading them fails
/// with.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, progress::Silent, transform, verify};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// let plan = Plan::built_in()?;
/// let mut verified = Vec::new();
/// for name in ["one", "two"] {
///     let out = directory.path().join(name);
///     // The same dump twice: every document is in both outputs.
///     transform::transform(&transform::Options::new("fixtures/dump", &out), &plan, &Silent)?;
///     verified.push(verify::verify(&verify::Options::new(&out), &Silent)?);
/// }
/// let options = verify::Options::new(&verified[0].out);
/// let report = verify::compare_outputs(&options, &verified, &Silent)?;
/// assert_eq!(report.contradictions, 124);
/// # Ok(())
/// # }
/// ```
pub fn compare_outputs(
    options: &Options,
    verified: &[super::Report],
    progress: &dyn Progress,
) -> Result<OutputsReport> {
    let artifacts = artifacts_of(verified)?;
    let artifacts: Vec<&Artifact> = artifacts.iter().collect();
    compare_artifacts(&Disk::new(options.io), &artifacts, progress)
}

/// [`compare_outputs`] for outputs that are open.
pub(crate) fn compare_artifacts(
    disk: &Disk,
    artifacts: &[&Artifact],
    progress: &dyn Progress,
) -> Result<OutputsReport> {
    let began = Instant::now();
    let outputs = artifacts.iter().map(|artifact| artifact.out().to_owned()).collect();
    let mut report = OutputsReport { outputs, ..OutputsReport::default() };
    let mut plans = HashMap::new();
    for artifact in artifacts.iter().filter(|artifact| artifact.manifest.kind == Kind::Transform) {
        plans.insert(artifact.out(), original::recorded_plan(disk, artifact)?);
    }
    let joined = Joined::of(artifacts.iter().copied());
    for joined in joined.iter().filter(|joined| joined.parts.len() > 1) {
        report.shared.push(SharedCollection {
            namespace: joined.namespace.to_owned(),
            outputs: joined.parts.len(),
            documents: joined.documents(),
        });
        compare_indexes(disk, joined, &mut report)?;
        let keys = unique_keys(disk, joined, &plans, &mut report)?;
        let mut collisions = Collisions::default();
        collisions.find(disk, joined, &keys, progress)?;
        report.contradictions += collisions.count;
        if collisions.count > 0 {
            collisions.name(disk, joined, &keys, &mut report, progress)?;
        }
    }
    report.seconds = rounded_seconds(began.elapsed());
    Ok(report)
}

/// Notes the indexes of a collection that a server would not have side by side.
fn compare_indexes(disk: &Disk, joined: &Joined<'_>, report: &mut OutputsReport) -> Result<()> {
    let mut known: Vec<(IndexDefinition, &Path)> = Vec::new();
    for part in &joined.parts {
        let Some(metadata) = part.metadata(disk)? else { continue };
        for index in metadata.index_definitions() {
            if known.iter().any(|(other, _)| *other == index) {
                continue;
            }
            if let Some((other, out)) = known.iter().find(|(other, _)| other.contradicts(&index)) {
                let found = format!(
                    "'{}' has {other}, '{}' has {index}",
                    out.plain(),
                    part.artifact.out().plain()
                );
                report.contradictions += 1;
                report.name(Difference::new(Problem::Index, joined.namespace).found(found));
            }
            known.push((index, part.artifact.out()));
        }
    }
    Ok(())
}

/// The unique indexes of a collection: those of the mappings, even if the metadata has been written
/// without them, and those of the metadata.
fn unique_keys(
    disk: &Disk,
    joined: &Joined<'_>,
    plans: &HashMap<&Path, Plan>,
    report: &mut OutputsReport,
) -> Result<Vec<UniqueKey>> {
    let mut keys: Vec<UniqueKey> = Vec::new();
    for part in &joined.parts {
        let mut found = Vec::new();
        if let Some((plan, target)) =
            plans.get(part.artifact.out()).zip(target_number(part)).filter(|(plan, target)| {
                // A manifest with other targets than its mapping is the business of `reverse`.
                *target < plan.target_count()
            })
        {
            let unique = plan.indexes(target).iter().filter(|index| index.unique);
            found.extend(unique.map(|index| {
                UniqueKey::new(&index.name, index.key.iter().map(|(field, _)| field.as_str()))
            }));
        }
        if let Some(metadata) = part.metadata(disk)? {
            found.extend(metadata.unique_indexes().filter_map(|index| {
                UniqueKey::of_metadata(index).unwrap_or_else(|remark| {
                    report.remarks.push(format!("{}: {remark}", joined.namespace));
                    None
                })
            }));
        }
        for key in found {
            if !keys.iter().any(|known| known.fields == key.fields) {
                keys.push(key);
            }
        }
    }
    report.remarks.dedup();
    Ok(keys)
}

/// The number of a part's target in its mapping.
fn target_number(part: &Part<'_>) -> Option<usize> {
    let targets = part.artifact.manifest.sources.iter().map(|source| &source.targets);
    targets
        .filter_map(|targets| targets.iter().position(|one| one.namespace == part.namespace))
        .next()
}

/// A document that was the first with its `_id` or value.
struct First<'a> {
    out: &'a Path,
    id: String,
    digest: u128,
}

/// What a document is compared by: its `_id`, or a unique index by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Check {
    Id,
    Unique(usize),
}

/// `_id`s and values that occur more than once.
#[derive(Default)]
struct Collisions<'a> {
    count: u64,
    /// The first of them, and the first document of each, once that has been found again.
    named: HashMap<(Check, u128), Option<First<'a>>>,
}

impl<'a> Collisions<'a> {
    fn add(&mut self, check: Check, fingerprint: u128) {
        self.count += 1;
        if self.named.len() < MOST_NAMED {
            self.named.insert((check, fingerprint), None);
        }
    }

    /// Reads all documents once, and keeps 16 bytes for each `_id` and value.
    fn find(
        &mut self,
        disk: &Disk,
        joined: &Joined<'_>,
        keys: &[UniqueKey],
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut ids = Fingerprints::default();
        let mut values: Vec<Fingerprints> = keys.iter().map(|_| Fingerprints::default()).collect();
        for part in &joined.parts {
            let mut input = part.open(disk)?;
            progress.start("compare", None);
            each_document(&mut input, Checking::Validity, progress, |document| {
                let id = id_of(document.bytes());
                if let Some(id) = id.filter(|id| !ids.insert(*id)) {
                    // That its values are there too is no news.
                    self.add(Check::Id, id);
                    return Ok(());
                }
                for (number, (key, seen)) in keys.iter().zip(&mut values).enumerate() {
                    for value in key.fingerprints(document.bytes()) {
                        if !seen.insert(value) {
                            self.add(Check::Unique(number), value);
                        }
                    }
                }
                Ok(())
            })?;
            progress.finish();
        }
        Ok(())
    }

    /// Reads all documents again, and names those that collide.
    fn name(
        &mut self,
        disk: &Disk,
        joined: &Joined<'a>,
        keys: &[UniqueKey],
        report: &mut OutputsReport,
        progress: &dyn Progress,
    ) -> Result<()> {
        for part in &joined.parts {
            let out = part.artifact.out();
            let mut input = part.open(disk)?;
            progress.start("compare", None);
            each_document(&mut input, Checking::Framing, progress, |document| {
                let bytes = document.bytes();
                let here = || First {
                    out,
                    id: raw::display_id(bytes).unwrap_or_default(),
                    digest: document_digest(bytes),
                };
                let id = id_of(bytes).and_then(|id| self.named.get_mut(&(Check::Id, id)));
                match id {
                    Some(Some(first)) => {
                        let here = here();
                        let what = format!(
                            "_id {} is in {}{}",
                            here.id,
                            both(first.out, out),
                            match first.digest == here.digest {
                                true => ", the same document",
                                false => ", another document",
                            }
                        );
                        let difference = Difference::new(Problem::SameId, joined.namespace);
                        report.name(difference.found(what));
                        return Ok(());
                    }
                    Some(first) => *first = Some(here()),
                    None => {}
                }
                for (number, key) in keys.iter().enumerate() {
                    for value in key.fingerprints(bytes) {
                        match self.named.get_mut(&(Check::Unique(number), value)) {
                            Some(Some(first)) => {
                                let what = format!(
                                    "one value of {} (unique index '{}') is in {}: _id {} and _id {}",
                                    key.names(),
                                    key.name.escape_debug(),
                                    both(first.out, out),
                                    first.id,
                                    here().id
                                );
                                let difference =
                                    Difference::new(Problem::SameValue, joined.namespace);
                                report.name(difference.found(what));
                            }
                            Some(first) => *first = Some(here()),
                            None => {}
                        }
                    }
                }
                Ok(())
            })?;
            progress.finish();
        }
        Ok(())
    }
}

/// Two outputs, or one, as a message names them.
fn both(one: &Path, other: &Path) -> String {
    match one == other {
        true => format!("'{}' twice", one.plain()),
        false => format!("'{}' and '{}'", one.plain(), other.plain()),
    }
}

/// The fingerprint of a document's `_id`, the same for numbers that a server takes for equal.
fn id_of(document: &[u8]) -> Option<u128> {
    Elements::new(document).find(b"_id").map(fingerprint_as_key)
}
