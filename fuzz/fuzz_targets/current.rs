//! A migrated document that the application has changed, as the input says: the merge gives a sound document, and
//! the original where nothing has changed.
#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use mongosplit::mapping::{Mapped, Mapper, Merger, Sides};
use mongosplit::raw::{Elements, Validator};
use shared::data::framed;
use shared::{BUILT_IN, Tape, split};

/// A document of a target with some fields left out, doubled, moved, or taken from another document.
fn changed(tape: &mut Tape<'_>, document: &[u8]) -> Vec<u8> {
    let mut elements: Vec<Vec<u8>> =
        Elements::new(document).map(|element| element.bytes.to_vec()).collect();
    for _ in 0..tape.below(8) {
        let at = tape.below(elements.len() + 1);
        match tape.below(4) {
            0 if at < elements.len() => drop(elements.remove(at)),
            1 if at < elements.len() => {
                let element = elements[at].clone();
                elements.push(element);
            }
            2 if at < elements.len() => {
                let element = elements.remove(at);
                elements.insert(0, element);
            }
            _ => {
                let source = tape.source(7);
                for element in Elements::new(&source).skip(1) {
                    // In the place of the field of its name, else behind the others.
                    match elements
                        .iter_mut()
                        .find(|other| other[1..].starts_with(element.key_nul()))
                    {
                        Some(other) => *other = element.bytes.to_vec(),
                        None => elements.push(element.bytes.to_vec()),
                    }
                }
            }
        }
    }
    framed(&elements.concat())
}

/// The built-in mapping unwinds nothing.
fn sides<'d, 'a>(single: &'d [Option<&'a [u8]>]) -> Sides<'d, 'a> {
    Sides { single, unwound: &[] }
}

fuzz_target!(|data: &[u8]| {
    let mut tape = Tape::new(data);
    let original = tape.source(7);
    let mut mapped = Mapped::default();
    Mapper::new(&BUILT_IN)
        .map([original.as_slice()].into_iter(), |_| None, &mut mapped)
        .expect("a sound document");
    if !mapped.refused.is_empty() {
        return;
    }
    let base: Vec<Option<&[u8]>> =
        mapped.outputs.iter().map(|output| split(output).first().copied()).collect();
    let mut merger = Merger::new(&BUILT_IN);
    let same = merger.merge(Some(&original), sides(&base), sides(&base));
    assert!(same.document == original, "the merge of what has not changed is another document");
    assert!(
        same.changed.is_empty() && same.conflicts.is_empty() && same.not_carried_back.is_empty(),
        "{same:?}"
    );

    let documents: Vec<Option<Vec<u8>>> = base
        .iter()
        .map(|document| match (document, tape.below(8)) {
            (_, 7) => None,
            (None, 0..=3) => None,
            (None, _) => Some(changed(&mut tape, &original)),
            (Some(document), _) => Some(changed(&mut tape, document)),
        })
        .collect();
    let current: Vec<Option<&[u8]>> = documents.iter().map(Option::as_deref).collect();
    let merged = merger.merge(Some(&original), sides(&base), sides(&current));
    assert!(Validator::default().check(&merged.document).is_ok());
    let again = Merger::new(&BUILT_IN).merge(Some(&original), sides(&base), sides(&current));
    assert!(
        again.document == merged.document,
        "what a merger has seen before changes what it writes"
    );
    // The same as a document that has been created since.
    let created = merger.merge(None, sides(&vec![None; base.len()]), sides(&current));
    assert!(Validator::default().check(&created.document).is_ok());
});
