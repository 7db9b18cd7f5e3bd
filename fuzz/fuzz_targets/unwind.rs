//! Mappings that unwind arrays and maps: documents forward, into a journal, and back; and the merge of what the application has
//! made of the unwound documents.
#![no_main]

mod shared;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use libfuzzer_sys::fuzz_target;
use mongosplit::mapping::{Mapped, Mapper, Merger, Plan, Sides};
use mongosplit::raw::{Elements, Validator};
use shared::data::{Chance, framed, mappings};
use shared::{Tape, check, split};

thread_local! {
    /// By their seeds. Nothing where a mapping is refused, or unwinds nothing.
    static PLANS: RefCell<HashMap<u64, Option<&'static Plan>>> = RefCell::default();
}

/// The mapping of a seed, or of one of those behind it.
fn plan_of(seed: u64) -> Option<&'static Plan> {
    let compile = |seed: u64| {
        let plan = Plan::parse(&mappings::text(&mut Chance::new(seed))).ok()?;
        let unwinds = (0..plan.target_count()).any(|target| plan.is_unwound(target));
        unwinds.then(|| &*Box::leak(Box::new(plan)))
    };
    PLANS.with_borrow_mut(|plans| {
        (seed..seed + 16).find_map(|seed| *plans.entry(seed).or_insert_with(|| compile(seed)))
    })
}

fn sides<T>(
    plan: &Plan,
    documents: &[Vec<Vec<u8>>],
    use_them: impl FnOnce(Sides<'_, '_>) -> T,
) -> T {
    let numbered = || documents.iter().enumerate();
    let single: Vec<Option<&[u8]>> = numbered()
        .map(|(target, all)| all.first().filter(|_| !plan.is_unwound(target)).map(Vec::as_slice))
        .collect();
    let unwound: Vec<Option<Vec<&[u8]>>> = numbered()
        .map(|(target, all)| {
            plan.is_unwound(target).then(|| all.iter().map(Vec::as_slice).collect())
        })
        .collect();
    use_them(Sides { single: &single, unwound: &unwound })
}

/// The unwound documents with some removed, doubled under another `_id`, moved, or with a field less.
fn change(tape: &mut Tape<'_>, documents: &mut Vec<Vec<u8>>) {
    for _ in 0..tape.below(6) {
        let at = tape.below(documents.len() + 1);
        let Some(document) = documents.get(at).cloned() else { continue };
        let elements: Vec<Vec<u8>> =
            Elements::new(&document).map(|element| element.bytes.to_vec()).collect();
        match tape.below(4) {
            0 => drop(documents.remove(at)),
            1 => {
                let mut document = elements;
                document.retain(|element| !element[1..].starts_with(b"_id\0"));
                document.insert(0, [&b"\x10_id\0"[..], &[tape.byte(), 1, 2, 3]].concat());
                documents.push(framed(&document.concat()));
            }
            2 => {
                let document = documents.remove(at);
                documents.insert(0, document);
            }
            _ => {
                let mut document = elements;
                let field = tape.below(document.len().max(1));
                if field < document.len() && !document[field][1..].starts_with(b"_id\0") {
                    document.remove(field);
                }
                documents[at] = framed(&document.concat());
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut tape = Tape::of_any(data);
    let seed = u64::from(tape.byte()) << 4 | u64::from(tape.byte() & 15);
    let Some(plan) = plan_of(seed << 4) else { return };
    let source = tape.source(7);
    check(plan, &[&source]);

    let mut mapped = Mapped::default();
    Mapper::new(plan).map([&source[..]].into_iter(), |_| None, &mut mapped).expect("sound");
    if !mapped.refused.is_empty() {
        return;
    }
    let base: Vec<Vec<Vec<u8>>> = mapped
        .outputs
        .iter()
        .map(|output| split(output).into_iter().map(<[u8]>::to_vec).collect())
        .collect();
    // A run refuses a document whose unwound documents have one `_id`.
    let is_twice = |all: &Vec<Vec<u8>>| {
        let ids: HashSet<_> = all.iter().map(|document| plan.id_fingerprint(document)).collect();
        ids.len() < all.len()
    };
    if base.iter().any(is_twice) {
        return;
    }
    let mut merger = Merger::new(plan);
    let same = sides(plan, &base, |base| merger.merge(Some(&source), base, base));
    assert!(same.document == source, "the merge of what has not changed is another document");
    let mut current = base.clone();
    for (target, documents) in current.iter_mut().enumerate() {
        if plan.is_unwound(target) {
            change(&mut tape, documents);
        }
    }
    let merge = |merger: &mut Merger<'_>| {
        sides(plan, &base, |base| {
            sides(plan, &current, |current| merger.merge(Some(&source), base, current).document)
        })
    };
    let merged = merge(&mut merger);
    assert!(Validator::default().check(&merged).is_ok());
    assert!(merge(&mut Merger::new(plan)) == merged, "a merger's past changes what it writes");
});
