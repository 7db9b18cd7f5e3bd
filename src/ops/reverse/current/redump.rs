//! The later dump: the collections that the application has used since, indexed, and what makes one
//! doubt that it is complete.

use std::path::Path;

use super::super::Options;
use super::beside::{Beside, BesideReport, Shared, by_key};
use super::events::EventLog;
use crate::artifact::reader::Artifact;
use crate::disk::Disk;
use crate::dump::Dump;
use crate::error::{Error, Result, counted};
use crate::lookup::{Lookup, id_fingerprint};
use crate::manifest;
use crate::mapping::Plan;
use crate::plain::PlainPath;
use crate::progress::Progress;
use crate::raw;

/// What it takes to open the collections of a source in the later dump.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) disk: &'a Disk,
    pub(super) plan: &'a Plan,
    pub(super) later: &'a Dump,
    pub(super) redump: &'a Path,
    pub(super) recorded: &'a manifest::Source,
    pub(super) outputs: &'a [Artifact],
    pub(super) besides: &'a [Beside],
    pub(super) scratch: &'a Path,
    pub(super) progress: &'a dyn Progress,
}

impl Opening<'_> {
    /// Indexes the documents of each target in the later dump by the mapping's key. Those of other
    /// mappings are left out.
    pub(super) fn lookups(
        self,
        log: &mut EventLog<'_>,
        beside: &mut Vec<BesideReport>,
    ) -> Result<Vec<Lookup>> {
        let Opening { disk, plan, later, redump, recorded, scratch, progress, .. } = self;
        let mut lookups = Vec::new();
        for (number, target) in recorded.targets.iter().enumerate() {
            let standing =
                later.collections.iter().find(|other| other.namespace() == target.namespace);
            let Some(path) = standing.and_then(|standing| standing.documents.as_deref()) else {
                return Err(Error::input(
                    redump,
                    format!(
                        "has no {}, which the output has; dump the whole database that it was restored into",
                        target.namespace
                    ),
                ));
            };
            let (outputs, besides) = (self.outputs, self.besides);
            let mut shared =
                Shared::open(disk, plan, recorded, number, outputs, besides, progress)?;
            let lookup =
                Lookup::open_some(disk, path, scratch, progress, |document| match &mut shared {
                    Some(shared) => shared.place(document, log),
                    None => Ok(by_key(plan, number, document)),
                })?;
            beside.extend(shared.iter().flat_map(Shared::reports));
            if plan.is_driver(number)
                && let Some(pair) = lookup.duplicate()?
            {
                let [first, second] =
                    pair.map(|document| raw::display_id(&document).unwrap_or_default());
                return Err(Error::Check(format!(
                    "'{}': two documents of {} have one {}, those with _id {first} and _id {second}; it is not clear which of them should go back",
                    path.plain(),
                    target.namespace,
                    plan.key_name(number),
                )));
            }
            lookups.push(lookup);
        }
        Ok(lookups)
    }
}

/// Refuses a later dump that looks cut short: every document that it lacks would be deleted.
pub(super) fn check_driver(
    options: &Options,
    redump: &Path,
    recorded: &manifest::Source,
    plan: &Plan,
    lookups: &[Lookup],
) -> Result<()> {
    let drivers = plan.drivers();
    let documents: u64 = drivers.iter().map(|driver| lookups[*driver].documents()).sum();
    let namespaces: Vec<&str> =
        drivers.iter().map(|driver| recorded.targets[*driver].namespace.as_str()).collect();
    let namespaces = namespaces.join(" and ");
    let had: u64 = drivers.iter().map(|driver| recorded.targets[*driver].documents).sum();
    if drivers.iter().all(|driver| lookups[*driver].is_empty()) && !options.allow_empty {
        let what = match documents {
            0 => "no documents".to_owned(),
            others => format!("none but {} of other mappings", counted(others, "document")),
        };
        return Err(Error::Check(format!(
            "'{}': {namespaces} has {what}, the output has {had}; a mongodump that was stopped leaves such a file, and every document would count as deleted. Dump again, or give --allow-empty if all of them were deleted",
            redump.plain(),
        )));
    }
    // One of several, or of those whose documents are items of a field.
    let mut deciding = (0..lookups.len())
        .filter(|target| plan.is_driver(*target) || plan.is_unwound(*target))
        .map(|target| (&recorded.targets[target], &lookups[target]));
    let emptied = deciding.find(|(target, lookup)| lookup.is_empty() && target.documents > 0);
    if let (Some((target, _)), false) = (emptied, options.allow_empty) {
        return Err(Error::Check(format!(
            "'{}': {} has no documents, the output has {}; a mongodump that was stopped leaves such a file, and each of them would count as deleted. Dump again, or give --allow-empty if all of them were deleted",
            redump.plain(),
            target.namespace,
            target.documents
        )));
    }
    match options.expect_documents {
        Some(expected) if expected != documents => Err(Error::Check(format!(
            "'{}': {namespaces} has {}, --expect-docs {expected} was given; missing ones would count as deleted. Was the dump stopped?",
            redump.plain(),
            counted(documents, "document")
        ))),
        _ => Ok(()),
    }
}

/// Indexes the source collection itself in the later dump by `_id`, if it is there.
pub(super) fn open_source_lookup(
    disk: &Disk,
    later: &Dump,
    redump: &Path,
    namespace: &str,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Option<Lookup>> {
    let Some(standing) = later.collections.iter().find(|other| other.namespace() == namespace)
    else {
        return Ok(None);
    };
    let path = standing
        .documents
        .as_deref()
        .ok_or_else(|| Error::input(redump, format!("has no documents of {namespace}")))?;
    Lookup::open(disk, path, scratch, progress, |document| Some(id_fingerprint(document))).map(Some)
}

/// Remarks on a later dump that help to decide whether to trust it.
pub(super) fn redump_remarks(
    redump: &Path,
    restored: Option<&str>,
    source: Option<&Lookup>,
    recorded: &manifest::Source,
    lookups: &[Lookup],
) -> Vec<String> {
    let mut remarks = Vec::new();
    for (target, lookup) in recorded.targets.iter().zip(lookups) {
        if lookup.documents() == 0 && target.documents > 0 {
            remarks.push(format!(
                "'{}': {} has no documents, the output has {}; a mongodump that was stopped leaves such a file next to sound metadata",
                redump.plain(),
                target.namespace,
                target.documents
            ));
        }
    }
    let Some(restored) = restored else { return remarks };
    match source {
        None => {
            remarks.push(format!("unknown whether {restored} has changed since: '{}' does not hold it", redump.plain()))
        }
        Some(lookup) if lookup.is_empty() && recorded.documents > 0 => remarks.push(format!(
            "'{}': {restored} has no documents, it had {}; a mongodump that was stopped leaves such a file next to sound metadata",
            redump.plain(),
            recorded.documents
        )),
        Some(_) => {}
    }
    remarks
}
