//! Splits a monolithic collection of a MongoDB dump into the collections that replace it, file to
//! file, with indexes, a checksum manifest, and a way back that is proven byte for byte.
//!
//! mongosplit stands between `mongodump` and `mongorestore`. It reads files and writes files; no
//! database is touched. The binary of the same name is a thin shell around this library.
//!
//! # What to use
//!
//! | Task | Start at |
//! |---|---|
//! | Read a dump: collections, metadata, documents | [`Dump::open`] |
//! | Check every document of a dump, and assess its source collection | [`inspect::inspect`] |
//! | Split its source collection | [`transform::transform`] |
//! | Check an output | [`verify::verify`], [`verify::compare_with_source`], [`verify::compare_with_restored`] |
//! | Check outputs that go into one database | [`verify::compare_outputs`], [`verify::compare_with_restored`] |
//! | Bring the source collection back | [`reverse::reverse`], [`reverse::reverse_current`] |
//! | Read what an output says of itself | [`manifest::Manifest::read`] |
//! | Get a first mapping from a collection | [`init::init`] |
//! | Use another mapping than the built-in one | [`Plan::parse`], [`Plan::built_in_named`] |
//! | Run a mapping's tests | [`cases::run`] |
//! | See what a mapping does to a dump, or to one document | [`check::check`], [`explain::explain`] |
//! | See one document of an output, or its findings with every `_id` | [`show::show`], [`findings::findings`] |
//! | Take a small dump with a document of every kind, masked if asked | [`sample::sample`] |
//! | Follow a run, or stop it | [`progress::Progress`] |
//!
//! Each operation is one function: it takes options and returns a report, or an [`Error`] that says
//! what, where, and what to do. Nothing is printed.
//!
//! # Example
//!
//! Split a dump, check the output, and bring the original back.
//!
//! ```
//! use mongosplit::progress::Silent;
//! use mongosplit::{Plan, reverse, transform, verify};
//!
//! # fn main() -> mongosplit::Result<()> {
//! # let directory = tempfile::tempdir().expect("a temporary directory");
//! # let (out, back) = (directory.path().join("out"), directory.path().join("back"));
//! let options = transform::Options::new("fixtures/dump", &out);
//! let report = transform::transform(&options, &Plan::built_in()?, &Silent)?;
//! assert_eq!(report.manifest.sources[0].documents, 60);
//!
//! let report = verify::verify(&verify::Options::new(&out), &Silent)?;
//! assert!(report.holds());
//!
//! reverse::reverse(&reverse::Options::new(&out, &back), &Silent)?;
//! let original = "narrative_modeling/user_data.bson";
//! assert_eq!(
//!     std::fs::read(back.join(original)).expect("the result"),
//!     std::fs::read(std::path::Path::new("fixtures/dump").join(original)).expect("the source"),
//! );
//! # Ok(())
//! # }
//! ```

#[doc(hidden)]
pub mod artifact;
#[doc(hidden)]
pub mod base;
mod dump;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod mapping;
mod ops;

pub use artifact::layout::Layout;
pub use artifact::manifest;
pub use base::disk::IoMode;
pub use base::error::{Error, Position, Result};
pub use base::mapping_id::MappingId;
pub use base::progress;
pub use base::raw::{Fault, FaultKind};
pub use dump::{Document, DocumentIter, Dump, Metadata, OpenCollection};
pub use mapping::Plan;
pub use ops::{
    cases, check, explain, findings, init, inspect, reverse, sample, show, transform, verify,
};

// For the modules of this crate, its tests and its fuzz targets.
#[doc(hidden)]
pub use artifact::{apart, layout, staging};
#[doc(hidden)]
pub use base::{
    audience, batch, disk, error, fingerprints, gzip, hash, lookup, pipeline, plain, raw,
};
#[doc(hidden)]
pub use dump::touching_in;
