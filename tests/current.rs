//! `reverse --current`: the source collection of today, from what was migrated and what has become of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common_current;

use bson::{Bson, Document, doc};
use common_current::*;
use proptest::prelude::*;


/// A field of a target that a source field feeds, the source fields that a change of it may go to, and plausible
/// new values.
const FED: &[(usize, &str, &[&str], fn(i64) -> Bson)] = &[
    (0, "user_id", &["user_id"], text),
    (0, "filename", &["filename"], text),
    (0, "original_filename", &["original_filename"], text),
    (0, "file_type", &["file_type"], text),
    (0, "file_path", &["file_path"], text),
    (0, "s3_url", &["s3_url"], text),
    (0, "num_rows", &["row_count", "num_rows"], number),
    (0, "num_columns", &["num_columns"], number),
    (0, "columns", &["columns"], texts),
    (0, "data_schema", &["data_schema"], schema),
    (0, "inferred_schema", &["schema"], document),
    (0, "statistics", &["statistics"], document),
    (0, "quality_report", &["quality_report"], document),
    (0, "data_preview", &["data_preview"], documents),
    (0, "ai_summary", &["aiSummary"], document),
    (0, "pii_report.contains_pii", &["contains_pii"], flag),
    (0, "pii_report.pii_fields", &["pii_report"], texts),
    (0, "pii_report.risk_level", &["pii_risk_level"], text),
    (0, "pii_report.detection_details", &["pii_report"], document),
    (0, "pii_report.masked", &["pii_masked"], flag),
    (0, "is_processed", &["is_processed"], flag),
    (0, "processed_at", &["processed_at"], later),
    (0, "onboarding_progress", &["onboarding_progress"], document),
    (0, "created_at", &["created_at"], later),
    (0, "updated_at", &["updated_at"], later),
    (1, "user_id", &["user_id"], text),
    (1, "transformation_steps", &["transformation_history"], steps),
    (1, "current_file_path", &["file_path"], text),
    (1, "applied_at", &["updated_at"], later),
    (1, "created_at", &["created_at"], later),
    (1, "updated_at", &["updated_at"], later),
    (2, "user_id", &["user_id"], text),
    (2, "name", &["model_name"], text),
    (2, "description", &["description"], text),
    (2, "problem_type", &["problem_type"], text),
    (2, "algorithm", &["algorithm"], text),
    (2, "feature_config", &["feature_config"], document),
    (2, "training_config", &["training_config"], document),
    (2, "model_path", &["model_path"], text),
    (2, "model_file_url", &["model_file_url"], text),
    (2, "feature_transformer_path", &["feature_transformer_path"], text),
    (2, "model_size", &["model_size"], number),
    (2, "trained_at", &["trained_at"], later),
    (2, "tags", &["tags"], texts),
    (2, "notes", &["notes"], text),
    (2, "hyperparameters", &["hyperparameters"], document),
    (2, "performance_metrics", &["training_metrics"], document),
    (2, "status", &["model_status"], text),
    (2, "created_at", &["created_at"], later),
    (2, "updated_at", &["updated_at"], later),
];

/// Fields that no source field feeds.
const NOT_FED: &[(usize, &str)] = &[
    (0, "file_size"),
    (0, "version"),
    (0, "parent_dataset_id"),
    (0, "pii_report.masked_at"),
    (1, "config_id"),
    (1, "is_applied"),
    (1, "validation_result"),
    (1, "last_validated_at"),
    (1, "last_preview"),
    (1, "total_transformations"),
    (1, "total_data_loss"),
    (1, "version"),
    (1, "parent_config_id"),
    (1, "of_the_application"),
    (2, "model_id"),
    (2, "version"),
    (2, "is_active"),
    (2, "of_the_application"),
];

fn text(seed: i64) -> Bson {
    format!("new {seed}").into()
}
fn number(seed: i64) -> Bson {
    Bson::Int64(1000 + seed)
}
fn flag(seed: i64) -> Bson {
    (seed % 2 == 0).into()
}
fn texts(seed: i64) -> Bson {
    vec![text(seed), text(seed + 1)].into()
}
fn document(seed: i64) -> Bson {
    doc! { "new": seed, "in": { "it": [seed] } }.into()
}
fn documents(seed: i64) -> Bson {
    vec![document(seed), document(seed + 1)].into()
}
fn later(seed: i64) -> Bson {
    date(100_000 + seed)
}
fn schema(seed: i64) -> Bson {
    let mut field = schema_field(seed as usize);
    field.extend(doc! { "data_type": "ordinal", "example_values": [seed], "is_constant": true, "is_high_cardinality": false });
    vec![Bson::Document(field)].into()
}
fn new_step(seed: i64) -> Document {
    doc! {
        "transformation_type": "derive", "column": "c", "columns": Bson::Null, "parameters": { "k": seed, "legacy_type": "formula" }, "applied_at": date(seed),
        "is_valid": true, "validation_errors": [], "rows_affected": 5, "data_loss_percentage": 0.5,
    }
}
fn steps(seed: i64) -> Bson {
    vec![Bson::Document(new_step(seed))].into()
}

/// The same documents, in another order, and their fields too.
fn shuffled(collections: &Collections, tape: &mut Tape<'_>) -> Collections {
    let mut collections = collections.clone();
    for documents in collections.values_mut() {
        for document in documents.iter_mut() {
            let mut fields = elements(document);
            let mut names: Vec<String> = fields.iter().map(|element| name_of(element)).collect();
            names.sort();
            names.dedup();
            // Of a name that is there twice the order means something.
            if names.len() == fields.len() {
                tape.shuffle(&mut fields);
            }
            *document = from_elements(&fields);
        }
        tape.shuffle(documents);
    }
    collections
}

fn some_documents() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    let tapes = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..10);
    (tapes, prop::collection::vec(any::<u8>(), 300)).prop_map(|(tapes, choices)| {
        let documents = tapes.iter().enumerate().map(|(number, tape)| source_document(&mut Tape::new(tape), number as u32)).collect();
        (documents, choices)
    })
}

fn world(documents: &[Vec<u8>]) -> World {
    World::new(documents, |options| options.skip_unrestorable = true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_restored_gives_the_source((documents, choices) in some_documents()) {
        let world = world(&documents);
        let redump = shuffled(&world.restored(), &mut Tape::new(&choices));
        let outcome = world.reverse_from(&world.write(&redump), true).unwrap();
        prop_assert!(outcome.bytes == world.source);
        prop_assert!(outcome.report.counts.is_unchanged());
        prop_assert!(outcome.events.is_empty());
    }

    #[test]
    fn a_changed_field_changes_its_source_field_only((documents, choices) in some_documents()) {
        let world = world(&documents);
        let restored = world.restored();
        let mut redump = restored.clone();
        let mut tape = Tape::new(&choices);
        let mut changes = Vec::new();
        for (position, document) in documents.iter().enumerate() {
            let Some(driver) = restored[TARGETS[0]].iter().find(|target| get(target, "_id") == get(document, "_id")) else { continue };
            let dataset = get(driver, "dataset_id").unwrap();
            let (target, path, sources, value) = FED[tape.below(FED.len())];
            let Some(current) = redump.get_mut(TARGETS[target]).unwrap().iter_mut().find(|current| get(current, "dataset_id").as_ref() == Some(&dataset)) else { continue };
            let mut new = value(tape.below(100) as i64);
            if get(current, path).as_ref() == Some(&new) {
                new = value(tape.below(100) as i64 + 101);
            }
            if path == "applied_at" && get(current, "is_applied") != Some(Bson::Boolean(true)) {
                continue;
            }
            set(current, path, new.clone());
            changes.push((position, target, path, sources, new, dataset));
        }
        let redump = shuffled(&redump, &mut tape);
        let path = world.write(&redump);
        let outcome = world.reverse_from(&path, false).unwrap();
        prop_assert_eq!(outcome.documents.len(), documents.len());
        prop_assert_eq!(outcome.report.counts.drifted, changes.len() as u64);
        prop_assert_eq!(world.reverse_from(&path, true).is_err(), !changes.is_empty());
        let again = World::transform_again(&outcome.documents);
        for (position, (before, now)) in documents.iter().zip(&outcome.documents).enumerate() {
            let Some((_, target, path, sources, new, dataset)) = changes.iter().find(|change| change.0 == position) else {
                prop_assert!(before == now, "a document that has not changed");
                continue;
            };
            let (mut before, mut now) = (elements(before), elements(now));
            let hit = sources.iter().filter(|name| {
                let find = |elements: &[Vec<u8>]| elements.iter().find(|element| name_of(element) == **name).cloned();
                find(&before) != find(&now)
            }).count();
            prop_assert_eq!(hit, 1, "{} of {}", path, TARGETS[*target]);
            let first_gone = |elements: &mut Vec<Vec<u8>>| for name in *sources {
                if let Some(at) = elements.iter().position(|element| name_of(element) == *name) {
                    elements.remove(at);
                }
            };
            first_gone(&mut before);
            first_gone(&mut now);
            prop_assert!(before == now, "another field changed with {} of {}: {:?} {:?}", path, TARGETS[*target], before.iter().map(|e| name_of(e)).collect::<Vec<_>>(), now.iter().map(|e| name_of(e)).collect::<Vec<_>>());
            let gives = again[TARGETS[*target]].iter().find(|document| get(document, "dataset_id").as_ref() == Some(dataset)).and_then(|document| get(document, path));
            prop_assert_eq!(gives.as_ref(), Some(new), "{} of {}", path, TARGETS[*target]);
        }
    }

    #[test]
    fn any_other_change_is_told_and_changes_nothing((documents, choices) in some_documents()) {
        let world = world(&documents);
        let mut redump = world.restored();
        let mut tape = Tape::new(&choices);
        let mut changes = Vec::new();
        let datasets: Vec<Bson> = redump[TARGETS[0]].iter().map(|document| get(document, "dataset_id").unwrap()).collect();
        for dataset in datasets {
            let (target, path) = NOT_FED[tape.below(NOT_FED.len())];
            let Some(current) = redump.get_mut(TARGETS[target]).unwrap().iter_mut().find(|current| get(current, "dataset_id").as_ref() == Some(&dataset)) else { continue };
            set(current, path, doc! { "now": 1 }.into());
            changes.push(format!("{}.{path}", TARGETS[target]));
        }
        let path = world.write(&shuffled(&redump, &mut tape));
        let outcome = world.reverse_from(&path, false).unwrap();
        prop_assert!(outcome.bytes == world.source);
        let mut told: Vec<String> = outcome.events.iter().flat_map(|event| event.not_carried_back.clone()).collect();
        told.sort();
        changes.sort();
        prop_assert!(outcome.events.iter().all(|event| event.changed.is_empty() && event.conflicts.is_empty()));
        prop_assert_eq!(told, changes.clone());
        prop_assert_eq!(world.reverse_from(&path, true).is_err(), !changes.is_empty());
    }

    #[test]
    fn passed_fields_are_changed_added_and_removed((documents, choices) in some_documents()) {
        let world = world(&documents);
        let mut redump = world.restored();
        let mut tape = Tape::new(&choices);
        let mut expected = documents.clone();
        let known: Vec<&str> = FED.iter().chain(&[]).filter(|row| row.0 == 0).map(|row| row.1).collect();
        for source in &mut expected {
            let Some(current) = redump.get_mut(TARGETS[0]).unwrap().iter_mut().find(|target| get(target, "_id") == get(source, "_id")) else { continue };
            let name = ["extra", "__v", "a note", "of_the_application"][tape.below(4)];
            assert!(!known.contains(&name));
            let twice = elements(source).iter().filter(|element| name_of(element) == name).count() > 1;
            if twice {
                continue;
            }
            if tape.below(2) == 0 {
                set(current, name, text(4));
                set(source, name, text(4));
            } else {
                unset(current, name);
                unset(source, name);
            }
        }
        let outcome = world.reverse_from(&world.write(&shuffled(&redump, &mut tape)), false).unwrap();
        prop_assert!(outcome.bytes == expected.concat());
        prop_assert!(outcome.events.iter().all(|event| event.not_carried_back.is_empty() && event.conflicts.is_empty() && event.changed.len() == 1));
    }
}

fn id(number: u32) -> String {
    oid(number).to_hex()
}

#[test]
fn every_row_is_fed() {
    // Each row in turn, so that no row waits for chance.
    for (target, path, sources, value) in FED {
        let source = with_model(application(oid(1), 2));
        let world = World::of(&[source.clone()]);
        let mut redump = world.restored();
        let current = of(&mut redump, TARGETS[*target], &id(1));
        let new = match get(current, path) {
            Some(Bson::Boolean(old)) => Bson::Boolean(!old),
            _ => value(8),
        };
        set(current, path, new.clone());
        let outcome = world.reverse(&redump);
        let mut expected = source.clone();
        let now = outcome.document(0);
        let changed: Vec<&String> = source.keys().chain(now.keys()).filter(|name| source.get(name) != now.get(name)).collect();
        assert!(!changed.is_empty() && changed.iter().all(|name| sources.contains(&name.as_str())), "{path}: {changed:?}");
        for name in sources.iter() {
            if let Some(value) = now.get(name) {
                expected.insert(*name, value.clone());
            }
        }
        assert_eq!(outcome.bytes, expected.to_vec().unwrap(), "{path}");
        let mut again = World::transform_again(&outcome.documents);
        assert_eq!(get(of(&mut again, TARGETS[*target], &id(1)), path), Some(new), "{path}");
    }
}
