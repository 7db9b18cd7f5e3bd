//! What each command's report says in figures.

use std::collections::BTreeMap;
use std::path::Path;

use mongosplit::manifest::{Manifest, Role, Source};
use mongosplit::{check, explain, findings, inspect, reverse, sample, show, transform, verify};
use serde::Serialize;

use super::metrics::{Metric, Metrics, Registry};

/// What `verify` found.
#[derive(Debug, Serialize)]
pub struct VerifyResult<'r> {
    /// Each output against its manifest.
    pub outputs: &'r [verify::Report],
    /// The outputs with one another, if there are several and each of them matches its manifest.
    pub together: Option<verify::OutputsReport>,
    /// With `--source`.
    pub source: Option<verify::SourceReport>,
    /// With `--restored`.
    pub restored: Option<verify::RestoredReport>,
}

impl<'r> VerifyResult<'r> {
    /// The outputs alone.
    pub fn of(outputs: &'r [verify::Report]) -> VerifyResult<'r> {
        VerifyResult { outputs, together: None, source: None, restored: None }
    }
}

/// What `reverse` did.
#[derive(Debug, Serialize)]
pub struct ReverseResult<'r> {
    #[serde(flatten)]
    pub reversal: &'r reverse::Report,
    /// With `--current`: what has happened since the migration.
    pub current: Option<Current<'r>>,
}

/// What has happened since the migration.
#[derive(Debug, Serialize)]
pub struct Current<'r> {
    pub redump: &'r Path,
    pub counts: &'r reverse::Counts,
    pub first: &'r [reverse::Event],
    pub beside: &'r [reverse::BesideReport],
    pub remarks: &'r [String],
}

impl<'r> From<&'r reverse::Report> for ReverseResult<'r> {
    fn from(reversal: &'r reverse::Report) -> Self {
        ReverseResult { reversal, current: None }
    }
}

impl<'r> From<&'r reverse::CurrentReport> for ReverseResult<'r> {
    fn from(report: &'r reverse::CurrentReport) -> Self {
        let reverse::CurrentReport { redump, counts, first, beside, remarks, .. } = report;
        let current = Current { redump, counts, first, beside, remarks };
        ReverseResult { reversal: &report.reversal, current: Some(current) }
    }
}

const DOCUMENTS: Metric = Metric {
    name: "mongosplit_documents",
    help: "Documents of a collection: of the source, of a target, set aside, or of a dump.",
};
const BYTES: Metric = Metric {
    name: "mongosplit_bytes",
    help: "Uncompressed bytes of a collection's documents, or of its journal.",
};
const RATIO: Metric = Metric {
    name: "mongosplit_documents_ratio",
    help: "Documents of the first target, as a share of those of the source.",
};
const PER_SECOND: Metric = Metric {
    name: "mongosplit_documents_per_second",
    help: "Documents that the last run read in a second.",
};
const FINDING_DOCUMENTS: Metric = Metric {
    name: "mongosplit_finding_documents",
    help: "Documents of the source with findings, each counted once.",
};
const FINDINGS: Metric =
    Metric { name: "mongosplit_findings", help: "Documents of the source that break a rule." };
const DIFFERENCES: Metric = Metric {
    name: "mongosplit_differences",
    help: "What differs from what it should be: documents, files, indexes, or outputs for one database.",
};
const CHANGED: Metric = Metric {
    name: "mongosplit_changed_documents",
    help: "Documents by what has happened to them since the migration.",
};
const UNSOUND: Metric = Metric {
    name: "mongosplit_unsound_collections",
    help: "Collections of a dump whose documents are missing or whose checksum does not hold.",
};
const GO: Metric =
    Metric { name: "mongosplit_go", help: "Whether the last assessment said GO (1) or NO-GO (0)." };
const DISK_NEEDED: Metric =
    Metric { name: "mongosplit_disk_needed_bytes", help: "Bytes that the output will take." };
const DISK_FREE: Metric = Metric {
    name: "mongosplit_disk_free_bytes",
    help: "Bytes that were free on the disk of the output.",
};

/// So many collections of a dump are told apart.
const MOST_COLLECTIONS: usize = 200;
/// So many rules of a source are told apart: a mapping may have more.
const MOST_RULES: usize = 200;

fn documents(into: &mut Registry, namespace: &str, role: &str, count: u64) {
    into.add(DOCUMENTS, &[("namespace", namespace), ("role", role)], count);
}

fn bytes(into: &mut Registry, namespace: &str, role: &str, count: u64) {
    into.add(BYTES, &[("namespace", namespace), ("role", role)], count);
}

fn difference(into: &mut Registry, kind: &str, count: u64) {
    into.add(DIFFERENCES, &[("kind", kind)], count);
}

fn per_second(into: &mut Registry, documents: u64, seconds: f64) {
    into.set(PER_SECOND, &[], (documents as f64 / seconds.max(0.001)).round());
}

/// The figures of outputs. Several may have collections of one name.
fn of_manifests<'m>(into: &mut Registry, manifests: impl Iterator<Item = &'m Manifest>) {
    let mut ratios: BTreeMap<&str, Ratio> = BTreeMap::new();
    for manifest in manifests {
        for source in &manifest.sources {
            of_source(into, source);
            if let Some(first) = source.targets.first() {
                let ratio = ratios.entry(&source.namespace).or_default();
                ratio.first += first.documents;
                ratio.source += source.documents;
            }
        }
        for file in &manifest.files {
            let role = match file.role {
                Role::Documents => "target",
                Role::Journal => "journal",
                Role::Rejected => "rejected",
                Role::Metadata | Role::Archive => continue,
            };
            bytes(into, &file.namespace, role, file.raw_bytes.unwrap_or(file.bytes));
        }
    }
    for (namespace, Ratio { first, source }) in ratios {
        let ratio = if source == 0 { 1.0 } else { first as f64 / source as f64 };
        into.set(RATIO, &[("namespace", namespace)], ratio);
    }
}

/// Documents of first targets, and of their sources.
#[derive(Debug, Default)]
struct Ratio {
    first: u64,
    source: u64,
}

fn of_source(into: &mut Registry, source: &Source) {
    let namespace = &source.namespace;
    documents(into, namespace, "source", source.documents);
    documents(into, namespace, "rejected", source.rejected);
    bytes(into, namespace, "source", source.bytes);
    for target in &source.targets {
        documents(into, &target.namespace, "target", target.documents);
    }
    for finding in source.findings.iter().take(MOST_RULES) {
        rule(into, namespace, &finding.rule, finding.documents);
    }
}

fn rule(into: &mut Registry, namespace: &str, rule: &str, count: u64) {
    into.add(FINDINGS, &[("namespace", namespace), ("rule", rule)], count);
}

fn source_documents(manifest: &Manifest) -> u64 {
    manifest.sources.iter().map(|source| source.documents).sum()
}

impl Metrics for transform::Report {
    fn metrics(&self, into: &mut Registry) {
        of_manifests(into, [&self.manifest].into_iter());
        for source in &self.sources {
            let namespace = [("namespace", source.namespace.as_str())];
            into.add(FINDING_DOCUMENTS, &namespace, source.finding_documents);
        }
        per_second(into, source_documents(&self.manifest), self.seconds);
    }
}

impl Metrics for VerifyResult<'_> {
    fn metrics(&self, into: &mut Registry) {
        of_manifests(into, self.outputs.iter().map(|report| &report.manifest));
        let count =
            |of: fn(&verify::Report) -> usize| self.outputs.iter().map(of).sum::<usize>() as u64;
        let files = count(|report| report.differences.len());
        let derived = self.source.as_ref().map_or(0, |source| source.differences.len() as u64);
        difference(into, "file", files + derived);
        if let Some(together) = &self.together {
            difference(into, "contradiction", together.contradictions);
        }
        let compared = self.source.as_ref().and_then(|source| source.documents.as_ref());
        if let Some(documents) = self.restored.as_ref().or(compared) {
            difference(into, "missing", documents.missing);
            difference(into, "extra", documents.extra);
            difference(into, "changed", documents.changed);
            difference(into, "index", documents.index_differences.len() as u64);
        }
        let all = || self.outputs.iter().map(|report| source_documents(&report.manifest)).sum();
        match (&self.restored, &self.source) {
            (Some(restored), _) => per_second(into, restored.documents, restored.seconds),
            (None, Some(source)) => per_second(into, all(), source.seconds),
            (None, None) => {
                let seconds: f64 = self.outputs.iter().map(|report| report.seconds).sum();
                per_second(into, all(), seconds);
            }
        }
    }
}

impl Metrics for ReverseResult<'_> {
    fn metrics(&self, into: &mut Registry) {
        of_manifests(into, [&self.reversal.manifest].into_iter());
        per_second(into, source_documents(&self.reversal.manifest), self.reversal.seconds);
        let Some(Current { counts, .. }) = &self.current else { return };
        for (kind, count) in [
            ("unchanged", counts.unchanged),
            ("drifted", counts.drifted),
            ("added", counts.added),
            ("deleted", counts.deleted),
            ("conflicting", counts.conflicts),
            ("not_carried_back", counts.not_carried_back),
            ("missing_sibling", counts.missing_siblings),
            ("in_source", counts.in_source()),
        ] {
            into.add(CHANGED, &[("kind", kind)], count);
        }
    }
}

impl Metrics for inspect::Report {
    fn metrics(&self, into: &mut Registry) {
        into.add(GO, &[], u64::from(self.go));
        for collection in self.collections.iter().take(MOST_COLLECTIONS) {
            documents(into, &collection.namespace, "collection", collection.documents);
            bytes(into, &collection.namespace, "collection", collection.bytes);
        }
        let unsound = self.collections.iter().filter(|collection| !collection.is_sound()).count();
        into.add(UNSOUND, &[], unsound as u64);
        for source in &self.sources {
            let namespace = source.namespace.as_str();
            documents(into, namespace, "source", source.documents);
            bytes(into, namespace, "source", source.bytes);
            documents(into, namespace, "rejected", source.refused.documents);
            into.add(FINDING_DOCUMENTS, &[("namespace", namespace)], source.finding_documents);
            for finding in source.findings.iter().take(MOST_RULES) {
                rule(into, namespace, &finding.rule, finding.documents);
            }
        }
        into.add(DISK_NEEDED, &[], self.needs.disk.output);
        if let Some(free) = self.needs.disk.free {
            into.add(DISK_FREE, &[], free);
        }
        per_second(into, self.collections.iter().map(|one| one.documents).sum(), self.seconds);
    }
}

impl Metrics for findings::Report {
    fn metrics(&self, into: &mut Registry) {
        for source in &self.sources {
            documents(into, &source.namespace, "source", source.documents);
            for finding in source.rules.iter().take(MOST_RULES) {
                rule(into, &source.namespace, &finding.rule, finding.documents);
            }
        }
    }
}

impl Metrics for check::Report {
    fn metrics(&self, into: &mut Registry) {
        // What several sources have is not told apart in this report.
        let namespace = self.sources.join(",");
        documents(into, &namespace, "source", self.documents);
        documents(into, &namespace, "rejected", self.refused.documents);
        bytes(into, &namespace, "source", self.bytes);
        bytes(into, &namespace, "journal", self.journal.bytes);
        for finding in self.findings.iter().take(MOST_RULES) {
            rule(into, &namespace, &finding.rule, finding.documents);
        }
    }
}

impl Metrics for sample::Report {
    fn metrics(&self, into: &mut Registry) {
        for source in &self.sources {
            documents(into, &source.namespace, "source", source.documents);
            documents(into, &source.namespace, "sample", source.taken);
            bytes(into, &source.namespace, "source", source.bytes);
            bytes(into, &source.namespace, "sample", source.taken_bytes);
        }
    }
}

// Single documents have no figures.
impl Metrics for show::Report {}
impl Metrics for explain::Report {}
