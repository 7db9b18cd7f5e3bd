//! What the tests share: a place to work in and the binary ([`World`], [`Run`], [`Started`]), bytes of BSON
//! ([`data`]), a migration with its way back ([`Migration`], [`samples`]), golden files, and ways to do harm.

#![allow(dead_code, unused_imports, reason = "each test program uses its own part of it")]

pub mod becomes;
pub mod console;
pub mod data;
pub mod faults;
pub mod files;
pub mod golden;
pub mod laws;
pub mod migration;
pub mod notation;
pub mod run;
pub mod samples;
pub mod shop;
pub mod world;

pub use data::{
    Chance, boolean, document, documents, element, framed, int32, int64, mappings, split, string,
    text, unhex,
};
pub use faults::{append, edit, flip, reseal};
pub use files::{Files, content, copy, files, fixture, root, same_files};
pub use golden::{golden, in_one_line, steady};
pub use migration::{Collections, Migration, Outcome, TARGETS, of, write_dump};
pub use run::{Run, Started, binary};
pub use world::World;

/// The database of the fixtures.
pub const DATABASE: &str = "narrative_modeling";

/// The fixture that the real mongodump wrote.
pub fn dump() -> std::path::PathBuf {
    fixture("dump")
}

/// Whether permissions keep nothing from this process.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
