//! `reverse --current` over random mappings: what has not changed comes back as it was, and whatever the application
//! has made of the documents, the merge gives one sound document, always the same.

mod harness;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::laws::{cases, sources};
use harness::{Chance, documents, framed, mappings, split};
use mongosplit::mapping::{Mapped, Mapper, Merger, Plan, Sides};
use mongosplit::raw::{Elements, Validator};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The targets' documents of one source document: of targets that unwind nothing, and of the others.
#[derive(Debug, Clone, Default)]
struct Documents {
    single: Vec<Option<Vec<u8>>>,
    unwound: Vec<Option<Vec<Vec<u8>>>>,
}

impl Documents {
    /// None if a run refuses the document.
    fn of(plan: &Plan, source: &[u8]) -> Option<Documents> {
        let mut mapped = Mapped::default();
        Mapper::new(plan)
            .map([source].into_iter(), |_| None, &mut mapped)
            .expect("a sound document");
        if !mapped.refused.is_empty() {
            return None;
        }
        let mut documents = Documents::default();
        for (target, output) in mapped.outputs.iter().enumerate() {
            let all: Vec<Vec<u8>> = split(output).into_iter().map(<[u8]>::to_vec).collect();
            let ids: HashSet<Option<u128>> =
                all.iter().map(|document| plan.id_fingerprint(document)).collect();
            // A run refuses a document whose unwound documents have one `_id`.
            if ids.len() < all.len() {
                return None;
            }
            let is_unwound = plan.is_unwound(target);
            documents.single.push(all.first().filter(|_| !is_unwound).cloned());
            documents.unwound.push(is_unwound.then_some(all));
        }
        Some(documents)
    }

    fn sides<T>(&self, use_them: impl FnOnce(Sides<'_, '_>) -> T) -> T {
        let single: Vec<Option<&[u8]>> = self.single.iter().map(Option::as_deref).collect();
        let unwound: Vec<Option<Vec<&[u8]>>> = self
            .unwound
            .iter()
            .map(|all| all.as_ref().map(|all| all.iter().map(Vec::as_slice).collect()))
            .collect();
        use_them(Sides { single: &single, unwound: &unwound })
    }

    /// What an application may make of them.
    fn changed(&self, chance: &mut Chance) -> Documents {
        let mut changed = self.clone();
        for document in &mut changed.single {
            match chance.below(8) {
                0 => *document = None,
                1..5 => *document = document.as_deref().map(|document| edited(chance, document)),
                5 if document.is_none() => *document = Some(documents::any(chance, 7)),
                _ => {}
            }
        }
        for all in changed.unwound.iter_mut().flatten() {
            if !all.is_empty() {
                let at = chance.below(all.len());
                match chance.below(6) {
                    0 => drop(all.remove(at)),
                    1 => all[at] = edited(chance, &all[at]),
                    2 => all.push(edited(chance, &all[at])),
                    3 => all.rotate_left(at),
                    4 => all.push(documents::any(chance, 9)),
                    _ => {}
                }
            }
        }
        changed
    }
}

/// A document with some fields left out, doubled, moved, or another's.
fn edited(chance: &mut Chance, document: &[u8]) -> Vec<u8> {
    let mut elements: Vec<Vec<u8>> =
        Elements::new(document).map(|element| element.bytes.to_vec()).collect();
    for _ in 0..chance.below(4) {
        let at = chance.below(elements.len() + 1);
        let other = documents::any(chance, 7);
        let field =
            Elements::new(&other).nth(chance.below(5)).map(|element| element.bytes.to_vec());
        match (chance.below(5), field) {
            (0, _) if at < elements.len() => drop(elements.remove(at)),
            (1, _) if at < elements.len() => elements.push(elements[at].clone()),
            (2, _) if at < elements.len() => {
                let element = elements.remove(at);
                elements.insert(0, element);
            }
            (3, Some(field)) if at < elements.len() => {
                // Another value under the same name.
                let name_at = elements[at].iter().position(|byte| *byte == 0).unwrap_or_default();
                let value_at = field.iter().position(|byte| *byte == 0).unwrap_or_default();
                elements[at] =
                    [&field[..1], &elements[at][1..=name_at], &field[value_at + 1..]].concat();
            }
            (_, Some(field)) => elements.push(field),
            _ => {}
        }
    }
    framed(&elements.concat())
}

/// The same document with its fields in another order.
fn turned(chance: &mut Chance, document: &[u8]) -> Vec<u8> {
    let mut elements: Vec<&[u8]> = Elements::new(document).map(|element| element.bytes).collect();
    let has_duplicates = elements.iter().enumerate().any(|(at, element)| {
        let name =
            |element: &[u8]| element[1..].split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
        elements[..at].iter().any(|other| name(other) == name(element))
    });
    if !has_duplicates && !elements.is_empty() {
        let at = chance.below(elements.len());
        elements.rotate_left(at);
    }
    framed(&elements.concat())
}

fn merges(plan: &Plan, source: &[u8], chance: &mut Chance) {
    let Some(base) = Documents::of(plan, source) else { return };
    let mut merger = Merger::new(plan);
    let same = base.sides(|sides| merger.merge(Some(source), sides, sides));
    assert!(same.document == source, "the merge of what has not changed is another document");
    assert!(same.has_nothing_to_report(), "nothing has changed: {same:?}");
    let mut other_order = base.clone();
    for document in other_order.single.iter_mut().flatten() {
        *document = turned(chance, document);
    }
    let same =
        base.sides(|base| other_order.sides(|current| merger.merge(Some(source), base, current)));
    assert!(same.document == source, "another order of fields is no change");
    assert!(same.has_nothing_to_report(), "another order of fields is no change: {same:?}");

    for _ in 0..3 {
        let current = base.changed(chance);
        let merge = |merger: &mut Merger<'_>| {
            base.sides(|base| current.sides(|current| merger.merge(Some(source), base, current)))
        };
        let merged = merge(&mut merger);
        assert!(Validator::default().check(&merged.document).is_ok(), "not a sound document");
        let again = merge(&mut Merger::new(plan));
        assert!(again.document == merged.document, "what a merger has seen before changes it");
        let nothing = Documents {
            single: vec![None; base.single.len()],
            unwound: base.unwound.iter().map(|all| all.as_ref().map(|_| Vec::new())).collect(),
        };
        let created =
            nothing.sides(|base| current.sides(|current| merger.merge(None, base, current)));
        assert!(Validator::default().check(&created.document).is_ok(), "not a sound document");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_has_not_changed_comes_back_as_it_was(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, false);
        let Some(plan) = Plan::check(&made.text).plan else { return Ok(()) };
        for source in sources(&mut chance, 4, documents::any) {
            let outcome = catch_unwind(AssertUnwindSafe(|| merges(&plan, &source, &mut chance)));
            prop_assert!(outcome.is_ok(), "seed {}, the mapping:\n{}", seed, made.text);
        }
    }
}
