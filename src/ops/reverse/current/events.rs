//! What happened to documents since the migration.

use serde::Serialize;

use crate::error::Result;
use crate::manifest;
use crate::mapping::{Change, Conflict, Merged};
use crate::raw;

/// What can become of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Nothing, but there is something else to report.
    Unchanged,
    /// At least one field has changed.
    Drifted,
    /// Created since.
    Added,
    /// Deleted since.
    Deleted,
    /// A document of another collection than the first, without a sibling there.
    Orphan,
    /// Changed in the source collection itself.
    SourceChanged,
    /// Added to the source collection itself.
    SourceAdded,
    /// Removed from the source collection itself.
    SourceRemoved,
}

impl EventKind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Unchanged => "unchanged",
            EventKind::Drifted => "drifted",
            EventKind::Added => "added",
            EventKind::Deleted => "deleted",
            EventKind::Orphan => "orphan",
            EventKind::SourceChanged => "source-changed",
            EventKind::SourceAdded => "source-added",
            EventKind::SourceRemoved => "source-removed",
        }
    }
    /// Whether it is about the source collection itself.
    fn is_of_source(self) -> bool {
        matches!(self, EventKind::SourceChanged | EventKind::SourceAdded | EventKind::SourceRemoved)
    }
}

/// What happened to one document since the migration.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The source's namespace.
    pub namespace: String,
    /// The document's `_id`.
    pub id: String,
    /// What happened to it.
    pub kind: EventKind,
    /// Source fields with a new value.
    pub changed: Vec<Change>,
    /// Copies of one field that have changed and disagree.
    pub conflicts: Vec<Conflict>,
    /// Changes, and documents, that no source field takes.
    pub not_carried_back: Vec<String>,
    /// Collections that lack the document; it counts as unchanged there.
    pub missing_in: Vec<String>,
}

/// The number of documents by what happened to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As they were.
    pub unchanged: u64,
    /// Changed since.
    pub drifted: u64,
    /// Created since.
    pub added: u64,
    /// Deleted since.
    pub deleted: u64,
    /// Documents with copies that disagree.
    pub conflicts: u64,
    /// Documents with changes that no source field takes.
    pub not_carried_back: u64,
    /// Documents that another collection than the first lacks.
    pub missing_siblings: u64,
    /// Documents changed in the source collection itself; none of that is carried back.
    pub source_changed: u64,
    /// Documents added to the source collection itself.
    pub source_added: u64,
    /// Documents removed from the source collection itself.
    pub source_removed: u64,
}

impl Counts {
    pub(super) fn note(&mut self, event: &Event) {
        let count = match event.kind {
            EventKind::Drifted => &mut self.drifted,
            EventKind::Added => &mut self.added,
            EventKind::Deleted => &mut self.deleted,
            EventKind::SourceChanged => &mut self.source_changed,
            EventKind::SourceAdded => &mut self.source_added,
            EventKind::SourceRemoved => &mut self.source_removed,
            _ => &mut self.unchanged,
        };
        *count += 1;
        if event.kind.is_of_source() {
            return;
        }
        self.conflicts += u64::from(!event.conflicts.is_empty());
        self.not_carried_back += u64::from(!event.not_carried_back.is_empty());
        self.missing_siblings += u64::from(!event.missing_in.is_empty());
    }
    /// All changes in the source collection itself.
    pub fn in_source(&self) -> u64 {
        self.source_changed + self.source_added + self.source_removed
    }
    /// Whether nothing has changed since the migration.
    pub fn is_unchanged(&self) -> bool {
        self.has_source_documents()
            && self.conflicts + self.not_carried_back + self.missing_siblings + self.in_source()
                == 0
    }
    /// What was counted since.
    pub(super) fn since(&self, before: &Counts) -> Counts {
        Counts {
            drifted: self.drifted - before.drifted,
            added: self.added - before.added,
            deleted: self.deleted - before.deleted,
            ..Counts::default()
        }
    }
    /// Whether the result holds the source's own documents and no others.
    pub(super) fn has_source_documents(&self) -> bool {
        self.drifted + self.added + self.deleted == 0
    }
}

/// How many events a report keeps.
const FIRST: usize = 20;

pub(super) struct EventLog<'a> {
    pub(super) counts: Counts,
    pub(super) first: Vec<Event>,
    pub(super) each: &'a mut (dyn FnMut(&Event) -> Result<()> + Send),
}

impl EventLog<'_> {
    pub(super) fn record(&mut self, event: Event) -> Result<()> {
        self.counts.note(&event);
        self.pass_on(event)
    }
    pub(super) fn pass_on(&mut self, event: Event) -> Result<()> {
        (self.each)(&event)?;
        if self.first.len() < FIRST {
            self.first.push(event);
        }
        Ok(())
    }
}

impl Event {
    pub(super) fn new(recorded: &manifest::Source, document: &[u8], kind: EventKind) -> Self {
        Event {
            namespace: recorded.namespace.clone(),
            id: raw::display_id(document).unwrap_or_default(),
            kind,
            changed: Vec::new(),
            conflicts: Vec::new(),
            not_carried_back: Vec::new(),
            missing_in: Vec::new(),
        }
    }
    pub(super) fn take(&mut self, merged: Merged) {
        self.changed = merged.changed;
        self.conflicts = merged.conflicts;
        self.not_carried_back.extend(merged.not_carried_back);
    }
}
