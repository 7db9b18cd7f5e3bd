//! The report of `inspect`.

use std::path::PathBuf;

use serde::Serialize;

use super::counts::Distribution;
use super::needs::Needs;
use super::places::Place;
use super::tally::{Dates, Lengths, Most, Owners, Values};
use crate::error::{Error, Position};
use crate::ops::check::{Finding, Refused, Target};

/// What is in a dump, and whether it can be migrated.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The dump.
    pub dump: PathBuf,
    /// The version of the server that was dumped, if the dump tells.
    pub server_version: Option<String>,
    /// Whether a migration can begin.
    pub go: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What could not be read. The figures are of what was.
    pub damages: Vec<Damage>,
    /// The dump's collections, by namespace.
    pub collections: Vec<Collection>,
    /// The source collections.
    pub sources: Vec<Assessment>,
    /// What a migration of these needs.
    pub needs: Needs,
    /// Other things worth knowing.
    pub remarks: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Something that could not be read.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// The kind of error, [`Error::code`].
    pub code: &'static str,
    /// What, where and why.
    pub message: String,
    /// The document, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// One collection.
#[derive(Debug, Serialize)]
pub struct Collection {
    /// Its namespace.
    pub namespace: String,
    /// `collection`, `view` or `timeseries`, from its metadata.
    pub kind: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// The names of its indexes.
    pub indexes: Vec<String>,
    /// Whether the archive's checksum of its documents holds; none if the dump has no checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum_holds: Option<bool>,
    /// Whether the dump has its metadata, but no file of its documents. mongodump writes one even
    /// for an empty collection; views and time series have none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_documents: bool,
}

impl Collection {
    /// Whether its documents are there, and nothing is known to be wrong with them.
    pub fn is_sound(&self) -> bool {
        self.checksum_holds != Some(false) && !self.lacks_documents
    }
}

/// What was counted of a source collection.
#[derive(Debug, Serialize)]
pub struct Assessment {
    /// Its namespace.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// The documents by size.
    pub sizes: Distribution,
    /// The largest document.
    pub largest: Option<Most>,
    /// Arrays by length.
    pub lengths: Vec<Lengths>,
    /// Fields by value.
    pub values: Vec<Values>,
    /// Documents by owner.
    pub owners: Vec<Owners>,
    /// Dates.
    pub dates: Vec<Dates>,
    /// The fields: how many documents have them, and of which types they are.
    pub places: Vec<Place>,
    /// Documents with names of more than 256 bytes, which are not in `places`.
    pub with_long_names: u64,
    /// Documents with fields beyond the 4,096 that are followed.
    pub with_further_fields: u64,
    /// Documents that a server would refuse.
    pub refused: Refused,
    /// What the application would refuse, by rule.
    pub findings: Vec<Finding>,
    /// How many documents have findings.
    pub finding_documents: u64,
    /// What the targets would get.
    pub targets: Vec<Target>,
}

impl Assessment {
    /// The average size of a document, in bytes.
    pub fn average_bytes(&self) -> u64 {
        self.bytes.checked_div(self.documents).unwrap_or(0)
    }
}

impl Report {
    /// The documents and bytes of all sources.
    pub fn source_counts(&self) -> (u64, u64) {
        let of =
            |sum: (u64, u64), source: &Assessment| (sum.0 + source.documents, sum.1 + source.bytes);
        self.sources.iter().fold((0, 0), of)
    }
    /// The exit code: 3 if something could not be read, 1 if a migration cannot begin.
    pub fn exit_code(&self) -> u8 {
        match (self.damages.is_empty(), self.go) {
            (false, _) => 3,
            (true, false) => 1,
            (true, true) => 0,
        }
    }
}

impl From<Error> for Damage {
    fn from(error: Error) -> Self {
        Damage {
            code: error.code(),
            message: error.to_string(),
            position: error.position().cloned(),
        }
    }
}
