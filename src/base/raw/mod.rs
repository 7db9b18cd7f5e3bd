//! BSON as bytes: an element cursor with exact byte ranges, a full validator and a writer.
//!
//! Nothing here allocates for each document, recurses, or decodes a value that it only copies.
//! Format facts are from the BSON specification, version 1.1 (bsonspec.org).

mod compare;
mod display;
mod element;
mod fault;
mod json;
mod kinds;
mod path;
mod taking;
mod validate;
mod words;
mod write;

pub use compare::{differ, differing_paths, differing_paths_up_to};
pub(crate) use display::hex_digits;
pub use display::{display_id, display_value, hex};
pub use element::{Element, Elements, ExpectedName, Value};
pub use fault::{Fault, FaultKind};
pub use json::{extended_json, extended_json_of};
pub use kinds::{kind, kind_name};
pub(crate) use taking::{Fields, Places, Taking};
pub use validate::{Facts, Validator, depth, document_length};
pub(crate) use words::{head, nul_position};
pub use write::{Comparer, ItemKey, Open, Writer};

/// Largest document that mongorestore accepts, 16 MiB (mongo-tools `db/db.go`, `MaxBSONSize`).
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;
/// Smallest document: a length and the final NUL.
pub const MIN_DOCUMENT_BYTES: usize = 5;
/// Levels of nesting that a server stores, where the document itself is level 1
/// (`BSONDepth::kDefaultMaxAllowableDepth` less the server's own reserve).
pub const MAX_STORED_DEPTH: u32 = 180;
