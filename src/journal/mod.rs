//! The rollback journal stores what the target collections do not contain of the source.
//! `docs/FORMAT.md` describes it field by field.

mod codec;
mod file;

pub(crate) use codec::{FixKind, put_number};
pub use codec::{Misfit, Notes, Reader};
pub use file::{
    FORMAT, Header, JournalBatch, JournalReader, JournalWriter, MAX_DOCUMENT_BYTES, Unreadable,
};
