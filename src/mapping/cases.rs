//! The tests in a mapping's text.

use super::language::{self, Problems, Tests};
use super::plan::Plan;

/// A `[[test]]` of a mapping.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Case {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line that it begins at, from 1.
    pub line: usize,
    /// The source document.
    pub given: Vec<u8>,
    /// For each target that it names, the documents that must be written, in order. None if only the
    /// way back is tested.
    pub expect: Option<Vec<(String, Vec<Vec<u8>>)>>,
}

impl Plan {
    /// The tests in the mapping's text, in order.
    pub fn cases(&self) -> Vec<Case> {
        let text = self.text();
        // The text has been compiled, so it can be read.
        let mapping = language::read(text, Tests::Read, &mut Problems::new(text));
        let case = |test: language::Test| Case {
            name: test.name,
            line: text[..test.at.start].matches('\n').count() + 1,
            given: test.given,
            expect: test.expect.map(|targets| {
                targets.into_iter().map(|(name, documents)| (name.value, documents)).collect()
            }),
        };
        mapping.into_iter().flat_map(|mapping| mapping.tests).map(case).collect()
    }
}
