//! The merge of `reverse --current`, over mappings and documents made by chance: what has not changed gives the
//! original, and whatever the application may have done gives a sound document.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::data::documents::{any, source, value};
use harness::laws::cases;
use harness::*;
use mongosplit::mapping::{Mapped, Mapper, Merger, Plan, Sides};
use mongosplit::raw::Validator;

/// The documents of each target that one source document became.
#[derive(Debug, Clone, Default)]
struct Held {
    single: Vec<Option<Vec<u8>>>,
    unwound: Vec<Option<Vec<Vec<u8>>>>,
}

impl Held {
    /// None if the document is refused.
    fn of(plan: &Plan, document: &[u8]) -> Option<Held> {
        let mut mapped = Mapped::default();
        Mapper::new(plan).map([document].into_iter(), |_| None, &mut mapped).unwrap();
        if !mapped.refused.is_empty() {
            return None;
        }
        let mut held = Held::default();
        for (target, output) in mapped.outputs.iter().enumerate() {
            let documents: Vec<Vec<u8>> = split(output).into_iter().map(<[u8]>::to_vec).collect();
            let is_unwound = plan.is_unwound(target);
            held.single.push(documents.first().filter(|_| !is_unwound).cloned());
            held.unwound.push(is_unwound.then_some(documents));
        }
        Some(held)
    }
    /// Whether no two documents have one `_id`, which a run refuses.
    fn is_restorable(&self) -> bool {
        self.unwound.iter().flatten().all(|children| {
            let id = |child: &Vec<u8>| {
                samples::elements(child).into_iter().find(|field| key(field) == b"_id")
            };
            let ids: Vec<_> = children.iter().map(id).collect();
            (0..ids.len()).all(|at| ids[at].is_some() && !ids[..at].contains(&ids[at]))
        })
    }
    fn none(plan: &Plan) -> Held {
        let unwound = |target| plan.is_unwound(target).then(Vec::new);
        Held {
            single: vec![None; plan.target_count()],
            unwound: (0..plan.target_count()).map(unwound).collect(),
        }
    }
    fn with<T>(&self, each: impl FnOnce(Sides<'_, '_>) -> T) -> T {
        let single: Vec<Option<&[u8]>> = self.single.iter().map(Option::as_deref).collect();
        fn slices(all: &[Vec<u8>]) -> Vec<&[u8]> {
            all.iter().map(Vec::as_slice).collect()
        }
        let unwound: Vec<Option<Vec<&[u8]>>> =
            self.unwound.iter().map(|one| one.as_ref().map(|all| slices(all))).collect();
        each(Sides { single: &single, unwound: &unwound })
    }
    /// The same, with the fields of documents in another order where no name is there twice.
    fn shuffled(&self, chance: &mut Chance) -> Held {
        let mut other = self.clone();
        let all =
            other.single.iter_mut().flatten().chain(other.unwound.iter_mut().flatten().flatten());
        for document in all {
            let mut fields = samples::elements(document);
            let mut names: Vec<Vec<u8>> = fields.iter().map(|field| key(field)).collect();
            names.sort();
            names.dedup();
            if names.len() == fields.len() {
                let turn = chance.below(fields.len().max(1));
                fields.rotate_left(turn);
                *document = samples::from_elements(&fields);
            }
        }
        for children in other.unwound.iter_mut().flatten() {
            children.reverse();
        }
        other
    }
    /// What an application may have made of it.
    fn changed(&self, chance: &mut Chance, beside: &[u8]) -> Held {
        let mut other = self.clone();
        for (target, document) in other.single.iter_mut().enumerate() {
            match (&document, chance.below(8)) {
                (_, 7) => *document = None,
                (None, 0..=3) => {}
                (None, _) if self.unwound[target].is_none() => {
                    *document = Some(edited(chance, beside))
                }
                (Some(now), 0..=4) => *document = Some(edited(chance, now)),
                _ => {}
            }
        }
        for children in other.unwound.iter_mut().flatten() {
            children.retain(|_| !chance.one_in(5));
            for child in children.iter_mut() {
                if chance.one_in(2) {
                    *child = edited(chance, child);
                }
            }
            if chance.one_in(2) {
                children.push(edited(chance, beside));
            }
        }
        other
    }
}

/// A document with some of its fields changed, removed, added or given other names, at any depth.
fn edited(chance: &mut Chance, document: &[u8]) -> Vec<u8> {
    let mut fields = samples::elements(document);
    for _ in 0..1 + chance.below(3) {
        let at = chance.below(fields.len().max(1));
        let Some(field) = fields.get(at).cloned() else { break };
        let (kind, name) = (field[0], key(&field));
        let held = field[name.len() + 2..].to_vec();
        match chance.below(8) {
            0 => drop(fields.remove(at)),
            1 => fields.push(field),
            2 => {
                let other = chance.below(fields.len());
                fields[at] = element(kind, &key(&fields[other]), &held);
            }
            3 => fields.push(element(kind, &[&name, b"x".as_slice()].concat(), &held)),
            4 | 5 if kind == 3 => fields[at] = element(3, &name, &edited(chance, &held)),
            4 | 5 if kind == 4 => fields[at] = element(4, &name, &edited_items(chance, &held)),
            _ => {
                let (kind, value) = value(chance, 2);
                fields[at] = element(kind, &name, &value);
            }
        }
    }
    samples::from_elements(&fields)
}

/// An array with an item changed, removed, doubled or moved.
fn edited_items(chance: &mut Chance, array: &[u8]) -> Vec<u8> {
    let mut items: Vec<(u8, Vec<u8>)> = samples::elements(array)
        .iter()
        .map(|item| (item[0], item[key(item).len() + 2..].to_vec()))
        .collect();
    if !items.is_empty() {
        let at = chance.below(items.len());
        match chance.below(5) {
            0 => drop(items.remove(at)),
            1 => items.insert(at, items[at].clone()),
            2 => items.rotate_left(at),
            3 if items[at].0 == 3 => items[at].1 = edited(chance, &items[at].1.clone()),
            _ => items[at] = value(chance, 1),
        }
    }
    let numbered = items.iter().enumerate();
    let fields: Vec<Vec<u8>> = numbered
        .map(|(number, (kind, value))| element(*kind, number.to_string().as_bytes(), value))
        .collect();
    samples::from_elements(&fields)
}

fn key(element: &[u8]) -> Vec<u8> {
    element[1..].iter().take_while(|byte| **byte != 0).copied().collect()
}

/// Checks one document. `what` names it in messages.
fn check(plan: &Plan, original: &[u8], chance: &mut Chance, what: &dyn Fn() -> String) -> bool {
    let Some(base) = Held::of(plan, original).filter(Held::is_restorable) else { return false };
    let mut merger = Merger::new(plan);
    let same = base.shuffled(chance);
    let merged = base.with(|before| same.with(|now| merger.merge(Some(original), before, now)));
    assert!(merged.document == original, "{}: what has not changed is another document", what());
    assert!(merged.has_nothing_to_report(), "{}: {merged:#?}", what());
    for _ in 0..3 {
        let now = base.changed(chance, original);
        let merge = |merger: &mut Merger<'_>| {
            base.with(|before| now.with(|now| merger.merge(Some(original), before, now)))
        };
        let merged = merge(&mut merger);
        assert!(Validator::default().check(&merged.document).is_ok(), "{}", what());
        let again = merge(&mut Merger::new(plan));
        assert!(again.document == merged.document, "{}: the past of a merger shows", what());
        let none = Held::none(plan);
        let created = none.with(|none| now.with(|now| merger.merge(None, none, now)));
        assert!(Validator::default().check(&created.document).is_ok(), "{}", what());
    }
    true
}

#[test]
fn any_mapping_gives_back_what_has_not_changed() {
    let (mut plans, mut documents) = (0, 0);
    for seed in 0..u64::from(cases(600)) {
        let chance = &mut Chance::new(seed);
        let text = mappings::text(chance);
        let Some(plan) = Plan::check(&text).plan else { continue };
        plans += 1;
        for number in 0..6 {
            let make = if chance.one_in(2) { any } else { source };
            let document = make(chance, number);
            let what = || format!("seed {seed}, document {number}\n{text}");
            documents += u32::from(check(&plan, &document, chance, &what));
        }
    }
    assert!(plans > cases(600) / 3 && documents > plans, "{plans} plans, {documents} documents");
}

#[test]
fn the_mappings_give_back_what_has_not_changed() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let mut files: Vec<_> = [directory.clone(), directory.join("examples")]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let plan = Plan::parse(&text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let given = |test: &toml::Value| -> Vec<u8> {
            let json: serde_json::Value = match test["given"].as_str() {
                Some(text) => serde_json::from_str(text).unwrap(),
                None => serde_json::to_value(&test["given"]).unwrap(),
            };
            match bson::Bson::try_from(json).unwrap() {
                bson::Bson::Document(document) => document.to_vec().unwrap(),
                other => panic!("{}: {other:?}", file.display()),
            }
        };
        let tests = table.get("test").and_then(|tests| tests.as_array());
        let mut sources: Vec<Vec<u8>> = tests.into_iter().flatten().map(given).collect();
        if sources.is_empty() {
            let three = samples::three();
            sources.extend(three.iter().map(|document| document.to_vec().unwrap()));
        }
        let mut found = 0;
        for seed in 0..u64::from(cases(600)) {
            let chance = &mut Chance::new(seed);
            let mut document = sources[chance.below(sources.len())].clone();
            for _ in 0..chance.below(4) {
                document = edited(chance, &document);
            }
            let what = || format!("seed {seed} of {}", file.display());
            found += u32::from(check(&plan, &document, chance, &what));
        }
        assert!(found > 0, "{}", file.display());
    }
}
