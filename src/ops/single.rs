//! One document mapped alone: what it becomes, what the journal keeps of it, and the way back.

use crate::journal::{Misfit, Reader};
use crate::mapping::{Mapped, Mapper, Plan, Restorer};
use crate::raw::{Fault, Writer};

/// What one source document becomes.
#[derive(Debug)]
pub(super) struct Single<'p> {
    plan: &'p Plan,
    pub mapped: Mapped,
}

impl<'p> Single<'p> {
    /// Maps a document.
    pub fn new(plan: &'p Plan, document: &[u8]) -> Result<Self, Fault> {
        let mut mapped = Mapped::default();
        Mapper::new(plan)
            .map(std::iter::once(document), |_| None, &mut mapped)
            .map_err(|(_, fault)| fault)?;
        Ok(Single { plan, mapped })
    }

    /// The documents of a target, in order.
    pub fn documents(&self, target: usize) -> Vec<&[u8]> {
        split(&self.mapped.outputs[target])
    }

    /// Why a server would refuse the document, if it would.
    pub fn refusal(&self) -> Option<String> {
        self.mapped.refused.first().map(|refused| refused.reason.to_string())
    }

    /// The journal's array of values.
    pub fn values(&self) -> Vec<u8> {
        let mut values = Vec::new();
        let open = values.open();
        values.put(self.mapped.notes.values());
        values.close(open);
        values
    }

    /// The source document, from what the targets and the journal have of it.
    pub fn restored(&self) -> Result<Vec<u8>, Misfit> {
        let notes = &self.mapped.notes;
        let values = self.values();
        let mut reader = Reader::new(notes.program(), &values, notes.orders());
        let all: Vec<Vec<&[u8]>> =
            (0..self.plan.target_count()).map(|target| self.documents(target)).collect();
        let mut next: Vec<_> = all.iter().map(|documents| documents.iter()).collect();
        let mut restored = Vec::new();
        Restorer::new(self.plan).restore(
            &mut reader,
            |target| next[target].next().copied(),
            &mut restored,
        )?;
        Ok(restored)
    }
}

/// Documents one after the other, apart.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    while let Some(length) = bytes.first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((document, rest)) = bytes.split_at_checked(length.max(1)) else { break };
        documents.push(document);
        bytes = rest;
    }
    documents
}
