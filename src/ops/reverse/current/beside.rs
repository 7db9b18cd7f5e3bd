//! Outputs of other mappings that were restored into the same database: which documents of a shared
//! collection are whose.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::{UNREAD, open_output};
use super::events::{Event, EventKind, EventLog};
use crate::artifact::reader::{self, Artifact};
use crate::base::documents::{Checking, each_document};
use crate::base::mapping_id::MappingId;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fingerprints::{Fingerprints, fingerprint_of};
use crate::lookup::{Indexed, id_fingerprint};
use crate::manifest::{self, Role};
use crate::mapping::Plan;
use crate::ops::verify::collections::Joined;
use crate::plain::PlainPath;
use crate::progress::Progress;

/// What another mapping has of a shared collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BesideReport {
    /// The other output.
    pub out: PathBuf,
    /// Its mapping.
    pub mapping: MappingId,
    /// The collection.
    pub namespace: String,
    /// Documents of the later dump that this output brought. They were left out.
    pub brought: u64,
    /// Documents created since that belong to its mapping. They were left out.
    pub created: u64,
}

/// An output of another mapping.
pub(super) struct Beside {
    pub(super) artifact: Artifact,
    /// The namespaces of its mapping's driving collection.
    drivers: Vec<String>,
}

impl Beside {
    /// Opens an output, which must not be of the mapping that is reversed.
    pub(super) fn open(disk: &Disk, out: &Path, reversed: &Plan) -> Result<Beside> {
        let (artifact, plan) = open_output(disk, out)?;
        if artifact.manifest.mapping.sha256 == reversed.id().sha256 {
            return Err(Error::Usage(format!(
                "'{}' was made with the mapping that is reversed, {}; name it with the other OUTs, not with --beside",
                out.plain(),
                reversed.id()
            )));
        }
        let drivers = artifact.manifest.sources.iter();
        let drivers = drivers.flat_map(|source| {
            let targets = source.targets.iter().enumerate();
            targets.filter(|(number, _)| plan.is_driver(*number)).map(|(_, target)| target)
        });
        let drivers = drivers.map(|target| target.namespace.clone()).collect();
        Ok(Beside { artifact, drivers })
    }
    /// Whether it has a collection of this name.
    pub(super) fn fills(&self, namespace: &str) -> bool {
        let mut targets = self.artifact.manifest.sources.iter().flat_map(|source| &source.targets);
        targets.any(|target| target.namespace == namespace)
    }
    /// Fails if a file is not what its manifest says: documents that it lacks would count as created.
    pub(super) fn check(&self, disk: &Disk) -> Result<()> {
        reader::check_stored(disk, &self.artifact, UNREAD)?;
        reader::check_stored(disk, &self.artifact, &[Role::Documents, Role::Archive, Role::Journal])
    }
}

/// A collection that outputs of other mappings hold documents of, too.
pub(super) struct Shared<'a> {
    plan: &'a Plan,
    recorded: &'a manifest::Source,
    /// Its number.
    target: usize,
    namespace: &'a str,
    /// The `_id`s in the outputs that are reversed.
    own: Fingerprints,
    others: Vec<Other<'a>>,
    created: Owner,
}

/// What one other output has of a shared collection.
struct Other<'a> {
    beside: &'a Beside,
    ids: Fingerprints,
    brought: u64,
    created: u64,
}

/// Whose the documents of a shared collection are that are in no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The mapping's that is reversed: the collection is its driving one.
    Own,
    /// That of the other output with this number.
    Other(usize),
    /// Nobody's: the collection drives no mapping.
    None,
    /// It drives several.
    Several,
}

impl<'a> Shared<'a> {
    /// What outputs of other mappings have of the target with this number. None if they have nothing
    /// of it.
    pub(super) fn open(
        disk: &Disk,
        plan: &'a Plan,
        recorded: &'a manifest::Source,
        target: usize,
        outputs: &'a [Artifact],
        besides: &'a [Beside],
        progress: &dyn Progress,
    ) -> Result<Option<Shared<'a>>> {
        let namespace = recorded.targets[target].namespace.as_str();
        let mut others = Vec::new();
        for beside in besides {
            let ids = ids_of(disk, std::slice::from_ref(&beside.artifact), namespace, progress)?;
            others.extend(ids.map(|ids| Other { beside, ids, brought: 0, created: 0 }));
        }
        if others.is_empty() {
            return Ok(None);
        }
        let own = ids_of(disk, outputs, namespace, progress)?.unwrap_or_default();
        let mapping = |number: usize| -> &str {
            let other: &Other<'_> = &others[number];
            &other.beside.artifact.manifest.mapping.sha256
        };
        let drives = |number: &usize| {
            others[*number].beside.drivers.iter().any(|driver| driver == namespace)
        };
        let driving: Vec<usize> = (0..others.len()).filter(drives).collect();
        // Several outputs of one mapping are one owner.
        let is_one = driving.iter().all(|number| mapping(*number) == mapping(driving[0]));
        let created = match (plan.is_driver(target), driving.first()) {
            (true, None) => Owner::Own,
            (false, Some(first)) if is_one => Owner::Other(*first),
            (false, None) => Owner::None,
            _ => Owner::Several,
        };
        Ok(Some(Shared { plan, recorded, target, namespace, own, others, created }))
    }

    /// Whose a document of the later dump is. One that is nobody's is reported.
    pub(super) fn place(&mut self, document: &[u8], log: &mut EventLog<'_>) -> Result<Indexed> {
        let id = id_fingerprint(document);
        if let Some(other) = self.others.iter_mut().find(|other| other.ids.contains(id)) {
            other.brought += 1;
            return Ok(Indexed::LeftOut);
        }
        let why = match self.created {
            _ if self.own.contains(id) => return Ok(by_key(self.plan, self.target, document)),
            Owner::Own => return Ok(by_key(self.plan, self.target, document)),
            Owner::Other(number) => {
                self.others[number].created += 1;
                return Ok(Indexed::LeftOut);
            }
            Owner::None => "drives no mapping",
            Owner::Several => "drives several mappings",
        };
        let mut event = Event::new(self.recorded, document, EventKind::Orphan);
        event.not_carried_back.push(format!(
            "{} document created since; it is in no output, and its collection {why}",
            self.namespace
        ));
        log.counts.not_carried_back += 1;
        log.pass_on(event)?;
        Ok(Indexed::LeftOut)
    }

    /// What was left out, for each of the other outputs.
    pub(super) fn reports(&self) -> impl Iterator<Item = BesideReport> {
        self.others.iter().map(|other| BesideReport {
            out: other.beside.artifact.out().to_owned(),
            mapping: other.beside.artifact.manifest.mapping.clone(),
            namespace: self.namespace.to_owned(),
            brought: other.brought,
            created: other.created,
        })
    }
}

/// The place of a document of a target by the mapping's key.
pub(super) fn by_key(plan: &Plan, target: usize, document: &[u8]) -> Indexed {
    plan.key(target, document).map(fingerprint_of).map_or(Indexed::Lacking, Indexed::By)
}

/// The `_id`s of a collection in some outputs. None if none of them has it.
fn ids_of(
    disk: &Disk,
    outputs: &[Artifact],
    namespace: &str,
    progress: &dyn Progress,
) -> Result<Option<Fingerprints>> {
    let joined = Joined::of(outputs).into_iter().find(|joined| joined.namespace == namespace);
    let Some(joined) = joined else { return Ok(None) };
    let mut ids = Fingerprints::default();
    for part in &joined.parts {
        each_document(&mut part.open(disk)?, Checking::Framing, progress, |document| {
            ids.insert(id_fingerprint(document.bytes()));
            Ok(())
        })?;
    }
    Ok(Some(ids))
}
