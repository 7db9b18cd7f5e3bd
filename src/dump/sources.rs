//! Which collections of a dump are worked on, and which cannot be.

use super::{Collection, Dump, Kind, Metadata, MetadataAt, names};
use crate::base::documents::{Counts, count};
use crate::disk::Disk;
use crate::error::{Error, Result, counted};
use crate::plain::{PlainPath, plain};
use crate::progress::Silent;
use std::collections::{HashMap, HashSet};

impl Dump {
    /// The collections named `collection` to work on: those of the given databases, or the only one.
    pub(crate) fn sources(
        &self,
        disk: &Disk,
        collection: &str,
        databases: &[String],
        all: bool,
    ) -> Result<Vec<Collection>> {
        if self.kind == Kind::SingleFile {
            let mut source = self.collections[0].clone();
            source.name = collection.to_owned();
            return Ok(vec![source]);
        }
        let is_candidate =
            |candidate: &&Collection| candidate.name == collection && candidate.documents.is_some();
        let candidates: Vec<&Collection> = self.collections.iter().filter(is_candidate).collect();
        let shown = plain(collection);
        for database in databases {
            if !candidates.iter().any(|candidate| candidate.database == *database) {
                let (path, names) = (self.path.plain(), self.list_namespaces());
                let database = plain(database);
                return Err(Error::Usage(format!(
                    "'{path}': has no {database}.{shown}; it contains {names}"
                )));
            }
        }
        let chosen: Vec<Collection> = candidates
            .iter()
            .filter(|candidate| databases.is_empty() || databases.contains(&candidate.database))
            .map(|candidate| (*candidate).clone())
            .collect();
        match chosen.len() {
            0 => {
                let metadata_only = self
                    .collections
                    .iter()
                    .find(|other| other.name == collection && other.documents.is_none());
                let what = match metadata_only {
                    Some(other) => {
                        let metadata =
                            other.metadata.as_ref().map(MetadataAt::to_string).unwrap_or_default();
                        if let Some(refusal) = self.refusal(disk, other)? {
                            return Err(refusal);
                        }
                        format!(
                            "has no documents of {}, only its metadata {metadata}",
                            other.namespace()
                        )
                    }
                    None => format!(
                        "has no collection '{shown}'; it contains {}",
                        self.list_namespaces()
                    ),
                };
                Err(Error::input(&self.path, what))
            }
            1 => Ok(chosen),
            _ if all || !databases.is_empty() => Ok(chosen),
            _ => {
                let mut lines = Vec::new();
                for (candidate, Counts { documents, bytes }) in
                    chosen.iter().zip(self.counts(disk, &chosen)?)
                {
                    lines.push(format!(
                        "  {}: {}, {bytes} bytes",
                        candidate.namespace(),
                        counted(documents, "document")
                    ));
                }
                Err(Error::Usage(format!(
                    "'{}' has {} databases with a collection '{shown}':\n{}\nchoose with --db NAME, or use all with --all-dbs",
                    self.path.plain(),
                    chosen.len(),
                    lines.join("\n")
                )))
            }
        }
    }

    fn list_namespaces(&self) -> String {
        let names: Vec<String> = self
            .collections
            .iter()
            .map(|other| other.namespace().escape_debug().to_string())
            .collect();
        match names.len() {
            0 => "no collections".to_owned(),
            count if count > 20 => format!("{} and {} more", names[..20].join(", "), count - 20),
            _ => names.join(", "),
        }
    }

    /// Counts the documents of each of these collections.
    fn counts(&self, disk: &Disk, collections: &[Collection]) -> Result<Vec<Counts>> {
        let Some(mut reader) = self.archive(disk)? else {
            return collections
                .iter()
                .map(|collection| {
                    collection
                        .documents
                        .as_deref()
                        .map_or(Ok(Counts::default()), |path| count(disk, path, &Silent))
                })
                .collect();
        };
        reader.skip_to_end()?;
        let entries = reader.prelude().entries.iter().enumerate();
        let numbers: HashMap<String, usize> =
            entries.map(|(number, entry)| (entry.namespace(), number)).collect();
        let of = |collection: &Collection| {
            let number = numbers.get(&collection.namespace());
            number.map(|number| reader.seen(*number).counts()).unwrap_or_default()
        };
        Ok(collections.iter().map(of).collect())
    }

    /// Why a source cannot be split: it is a view, a time series, or a file of another collection.
    pub(crate) fn refusal(&self, disk: &Disk, source: &Collection) -> Result<Option<Error>> {
        let in_prelude = match &source.metadata {
            Some(MetadataAt::Prelude(entry)) => entry.kind.clone(),
            _ => None,
        };
        let metadata = self.metadata(disk, source)?;
        let namespace = source.namespace();
        if self.kind == Kind::SingleFile
            && let Some(other) = metadata
                .as_ref()
                .and_then(Metadata::own_collection)
                .filter(|other| !names::is_name_of(other, &source.name))
        {
            return Ok(Some(Error::Check(format!(
                "'{}': its metadata {} says that it belongs to the collection '{}', not '{}'; name that collection's file",
                self.path.plain(),
                source.metadata.as_ref().map(MetadataAt::to_string).unwrap_or_default(),
                other.escape_debug(),
                source.name
            ))));
        }
        let kind = metadata.and_then(|metadata| metadata.kind).or(in_prelude);
        let buckets = format!("system.buckets.{}", source.name);
        let has_buckets = self
            .collections
            .iter()
            .any(|other| other.name == buckets && other.database == source.database);
        Ok(match kind.as_deref() {
            Some("view") => Some(Error::Check(format!(
                "{namespace} is a view; its documents belong to another collection, and a restore would not recreate the view. Dump that collection instead"
            ))),
            Some("timeseries") => Some(Error::Check(format!(
                "{namespace} is a time series; its documents are in {}.{buckets} in another form, which this mapping cannot read",
                source.database
            ))),
            _ if has_buckets => Some(Error::Check(format!(
                "{namespace} is a time series: the dump has {}.{buckets}, which contains its documents in another form",
                source.database
            ))),
            _ => None,
        })
    }

    /// The collections by their database and name, of which there may be tens of thousands. Of several, the first.
    pub(crate) fn by_name(&self) -> HashMap<(&str, &str), &Collection> {
        let all = self.collections.iter().rev();
        all.map(|one| ((one.database.as_str(), one.name.as_str()), one)).collect()
    }

    /// Collections other than the given ones.
    pub(crate) fn others<'a>(
        &'a self,
        sources: &'a [Collection],
    ) -> impl Iterator<Item = &'a Collection> {
        let sources: HashSet<(&str, &str)> =
            sources.iter().map(|one| (one.database.as_str(), one.name.as_str())).collect();
        let is_source = move |other: &Collection| {
            self.kind == Kind::SingleFile
                || sources.contains(&(other.database.as_str(), other.name.as_str()))
        };
        self.collections.iter().filter(move |other| !is_source(other))
    }
}
