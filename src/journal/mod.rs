//! The rollback journal: what the collections do not hold of the source. `docs/FORMAT.md` describes it
//! field by field.

mod codec;
mod file;

pub(crate) use codec::{FixKind, put_number};
pub use codec::{Misfit, Notes, Reader};
pub use file::{
    FORMAT, Header, INVERSE, JournalBatch, JournalReader, JournalWriter, MAX_DOCUMENT_BYTES,
    MAX_MAPPING_BYTES, Unreadable,
};
