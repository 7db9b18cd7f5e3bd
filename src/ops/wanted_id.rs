//! An `_id` that a user looks for.

use bson::Bson;

use crate::raw::{Elements, Value, display_value, kind};

/// The `_id` that is looked for, in the ways in which it can be meant.
pub(super) struct WantedId {
    text: String,
    /// The value's type and bytes, if the text is Extended JSON.
    value: Option<(u8, Vec<u8>)>,
}

impl WantedId {
    /// A text as a user types it: Extended JSON, plain text, or as messages show an `_id`.
    pub fn new(text: &str) -> Self {
        let value = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|json| Bson::try_from(json).ok())
            .and_then(|value| bson::doc! { "v": value }.to_vec().ok())
            .and_then(|document| {
                let value = Elements::new(&document).find(b"v")?;
                Some((value.kind, value.bytes.to_vec()))
            });
        WantedId { text: text.to_owned(), value }
    }

    /// Whether it is the `_id` of a document.
    pub fn is_of(&self, document: &[u8]) -> bool {
        let Some(id) = Elements::new(document).find(b"_id") else { return false };
        let is_value = self.value.as_ref().is_some_and(|(kind, bytes)| {
            let wanted = Value { kind: *kind, bytes };
            // A number is the same number in each of its types.
            id == wanted || id.integer().is_some_and(|id| wanted.integer() == Some(id))
        });
        let is_object_id =
            id.kind == kind::OBJECT_ID && crate::raw::hex(id.bytes) == self.text.to_lowercase();
        is_value
            || is_object_id
            || id.text() == Some(self.text.as_bytes())
            || display_value(id) == self.text
    }
}
