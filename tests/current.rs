//! `reverse --current`: the source collection of today, from what was migrated and what has become of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::path::Path;

use bson::{Bson, Document, doc};
use harness::samples::*;
use harness::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Target, field, the source fields it may go to, a new value.
type Fed = (usize, &'static str, &'static [&'static str], fn(i64) -> Bson);

/// A field of a target that a source field feeds, the source fields that a change of it may go to, and plausible
/// new values.
const FED: &[Fed] = &[
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
    (0, "schema", &["schema"], document),
    (0, "statistics", &["statistics"], document),
    (0, "quality_report", &["quality_report"], document),
    (0, "data_preview", &["data_preview"], documents),
    (0, "aiSummary", &["aiSummary"], document),
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
    (2, "hyperparameters", &["hyperparameters"], hyperparameters),
    (2, "performance_metrics", &["training_metrics"], metrics),
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
// Fields that the new model does not name stay in the documents that it has for them.
fn hyperparameters(seed: i64) -> Bson {
    doc! { "max_depth": seed, "additional_params": { "new": seed } }.into()
}
fn metrics(seed: i64) -> Bson {
    doc! { "cv_score": 0.5, "test_score": 0.5, "additional_metrics": { "new": seed } }.into()
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
        let documents = tapes
            .iter()
            .enumerate()
            .map(|(number, tape)| source_document(&mut Tape::new(tape), number as u32))
            .collect();
        (documents, choices)
    })
}

fn world(documents: &[Vec<u8>]) -> Migration {
    Migration::new(documents, |options| options.skip_unrestorable = true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 40, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_was_restored_gives_the_source((documents, choices) in some_documents()) {
        let world = world(&documents);
        let redump = shuffled(&world.restored(), &mut Tape::new(&choices));
        let outcome = world.reverse_from(&world.redump(&redump), true).unwrap();
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
            if let Some(Bson::Boolean(old)) = get(current, path) {
                new = (!old).into();
            }
            if path == "applied_at" && get(current, "is_applied") != Some(Bson::Boolean(true)) {
                continue;
            }
            // What is no document takes no field; such a change is told of, not carried back.
            if path == "pii_report.pii_fields" && !matches!(get(document, "pii_report"), None | Some(Bson::Null | Bson::Document(_))) {
                continue;
            }
            set(current, path, new.clone());
            changes.push((position, target, path, sources, new, dataset));
        }
        let redump = shuffled(&redump, &mut tape);
        let path = world.redump(&redump);
        let outcome = world.reverse_from(&path, false).unwrap();
        prop_assert_eq!(outcome.documents.len(), documents.len());
        prop_assert_eq!(outcome.report.counts.drifted, changes.len() as u64);
        prop_assert_eq!(world.reverse_from(&path, true).is_err(), !changes.is_empty());
        let again = Migration::transform_again(&outcome.documents);
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
        let path = world.redump(&shuffled(&redump, &mut tape));
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
        let outcome = world.reverse_from(&world.redump(&shuffled(&redump, &mut tape)), false).unwrap();
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
        let world = Migration::of(std::slice::from_ref(&source));
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
        let changed: Vec<&String> = source
            .keys()
            .chain(now.keys())
            .filter(|name| source.get(name) != now.get(name))
            .collect();
        assert!(
            !changed.is_empty() && changed.iter().all(|name| sources.contains(&name.as_str())),
            "{path}: {changed:?}"
        );
        for name in sources.iter() {
            if let Some(value) = now.get(name) {
                expected.insert(*name, value.clone());
            }
        }
        assert_eq!(outcome.bytes, expected.to_vec().unwrap(), "{path}");
        let mut again = Migration::transform_again(&outcome.documents);
        assert_eq!(get(of(&mut again, TARGETS[*target], &id(1)), path), Some(new), "{path}");
    }
}

/// `reverse --current` as a user runs it.
fn reverse_current(
    world: &Migration,
    dest: &Path,
    redump: &Path,
    options: &[&str],
) -> (i32, String) {
    let out = world.path("out");
    let args = [Path::new("reverse"), &out, dest, "--current".as_ref(), redump];
    let options = options.iter().chain(&["--verbose"]).map(Path::new);
    world.run(args.into_iter().chain(options)).told()
}

fn one(document: Document) -> (Migration, Collections) {
    let world = Migration::of(&[document]);
    let restored = world.restored();
    (world, restored)
}

#[test]
fn copies_that_agree_win_and_those_that_do_not_are_told() {
    let (world, restored) = one(with_model(application(oid(1), 1)));
    let mut redump = restored.clone();
    set(of(&mut redump, TARGETS[1], &id(1)), "user_id", text(1));
    set(of(&mut redump, TARGETS[2], &id(1)), "user_id", text(1));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("user_id"), Some(&text(1)));
    assert_eq!((outcome.changed(), outcome.event().conflicts.len()), (vec!["user_id"], 0));

    set(of(&mut redump, TARGETS[2], &id(1)), "user_id", text(2));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("user_id"), Some(&text(1)));
    let conflict = &outcome.event().conflicts[0];
    assert_eq!(
        (conflict.winner.as_str(), conflict.losers.as_slice()),
        ("transformation_configs.user_id", &["model_configs.user_id".to_owned()][..])
    );
    assert!(outcome.event().not_carried_back.is_empty());

    let mut redump = restored.clone();
    set(of(&mut redump, TARGETS[0], &id(1)), "updated_at", later(1));
    set(of(&mut redump, TARGETS[1], &id(1)), "updated_at", later(3));
    set(of(&mut redump, TARGETS[2], &id(1)), "updated_at", later(2));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("updated_at"), Some(&later(3)));
    assert_eq!(
        outcome.event().conflicts[0].losers,
        ["dataset_metadata.updated_at", "model_configs.updated_at"]
    );

    let mut redump = restored;
    set(of(&mut redump, TARGETS[0], &id(1)), "file_path", text(1));
    set(of(&mut redump, TARGETS[1], &id(1)), "current_file_path", text(2));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("file_path"), Some(&text(1)));
    assert_eq!(outcome.event().conflicts[0].losers, ["transformation_configs.current_file_path"]);
    let error = world.reverse_from(&world.redump(&redump), true).err().unwrap();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(
        error.to_string(),
        "the collections have changed since the migration, and --strict was given: 1 drifted, 0 added, 0 deleted, 1 with conflicts, 0 with changes that are not carried back, 0 missing in one collection only; in the source collection itself 0 changed, 0 added, 0 removed; nothing was published"
    );
}

#[test]
fn what_the_application_saves_under_its_stored_names_goes_back() {
    let (world, mut redump) = one(application(oid(1), 1));
    let current = of(&mut redump, TARGETS[0], &id(1));
    set(current, "schema", doc! { "new": 1 }.into());
    set(current, "aiSummary", doc! { "overview": "new", "rawMarkdown": "# new" }.into());
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("schema"), Some(&doc! { "new": 1 }.into()));
    assert_eq!(
        outcome.document(0).get("aiSummary"),
        Some(&doc! { "overview": "new", "rawMarkdown": "# new" }.into())
    );
    assert_eq!(outcome.changed(), ["schema", "aiSummary"]);
    assert!(outcome.event().not_carried_back.is_empty(), "{:?}", outcome.event());
}

#[test]
fn a_dataset_that_the_application_created_keeps_its_own_id() {
    let world = Migration::of(&[application(oid(1), 1)]);
    let mut redump = world.restored();
    let (own, own_id) = ("dataset_0123456789abcdef", oid(9));
    let metadata = doc! {
        "_id": own_id, "user_id": "user_1", "dataset_id": own, "filename": "n.csv", "original_filename": "N.csv", "file_type": "csv",
        "file_path": "datasets/user_1/n.csv", "s3_url": "s3://b/n.csv", "num_rows": 3, "num_columns": 1, "created_at": later(1), "updated_at": later(2),
    };
    let config = doc! {
        "_id": oid(10), "user_id": "user_1", "dataset_id": own, "config_id": format!("{own}_config"),
        "transformation_steps": [new_step(1)], "created_at": later(1), "updated_at": later(2),
    };
    redump.get_mut(TARGETS[0]).unwrap().push(metadata.to_vec().unwrap());
    redump.get_mut(TARGETS[1]).unwrap().push(config.to_vec().unwrap());
    // This one has the id that the mapping would give it, so that the source needs no field for it.
    let same =
        doc! { "_id": oid(11), "user_id": "user_1", "dataset_id": id(11), "updated_at": later(3) };
    redump.get_mut(TARGETS[0]).unwrap().push(same.to_vec().unwrap());
    let outcome = world.reverse(&redump);
    let created = outcome.document(1);
    assert_eq!(
        (created.get("_id"), created.get("dataset_id")),
        (Some(&own_id.into()), Some(&own.into()))
    );
    assert_eq!(created.get_array("transformation_history").unwrap().len(), 1);
    assert_eq!(outcome.document(2).get("dataset_id"), None);
    let again = Migration::transform_again(&outcome.documents);
    let ids = |target: usize| -> Vec<_> {
        again[TARGETS[target]].iter().map(|document| get(document, "dataset_id")).collect()
    };
    for target in [0, 1] {
        assert_eq!(ids(target), [id(1), own.to_owned(), id(11)].map(|text| Some(text.into())));
    }
    assert_eq!(get(&again[TARGETS[1]][1], "config_id"), Some(format!("{own}_config").into()));
}

#[test]
fn what_was_written_to_the_source_collection_since_is_told_of() {
    let sources = [application(oid(1), 1), application(oid(2), 1), application(oid(3), 1)];
    let world = Migration::of(&sources);
    let mut redump = world.restored();
    let mut live = world.sources();
    // In any order, and with its fields in another one, nothing has changed.
    live.reverse();
    let turned: Document =
        sources[2].clone().into_iter().collect::<Vec<_>>().into_iter().rev().collect();
    live[0] = turned.to_vec().unwrap();
    redump.insert("user_data".to_owned(), live.clone());
    let outcome = world.reverse_from(&world.redump(&redump), true).unwrap();
    assert!(outcome.bytes == world.source && outcome.events.is_empty());

    // 1 has got a step, 2 is gone, 4 is new.
    let mut changed = sources[0].clone();
    changed.insert("transformation_history", vec![app_step(0), app_step(1)]);
    live[2] = changed.to_vec().unwrap();
    live.remove(1);
    live.push(application(oid(4), 0).to_vec().unwrap());
    redump.insert("user_data".to_owned(), live);
    let path = world.redump(&redump);
    let outcome = world.reverse_from(&path, false).unwrap();
    assert!(outcome.bytes == world.source);
    let told: Vec<_> = outcome
        .events
        .iter()
        .map(|event| (event.kind.name(), event.id.clone(), event.not_carried_back.concat()))
        .collect();
    let of = |number: u32| format!("ObjectId('{}')", id(number));
    assert_eq!(
        told,
        [
            (
                "source-changed",
                of(1),
                "narrative_modeling.user_data: changed since: transformation_history.1".to_owned()
            ),
            ("source-removed", of(2), "narrative_modeling.user_data: removed since".to_owned()),
            ("source-added", of(4), "narrative_modeling.user_data: added since".to_owned()),
        ]
    );
    let counts = &outcome.report.counts;
    assert_eq!(
        (counts.source_changed, counts.source_added, counts.source_removed, counts.unchanged),
        (1, 1, 1, 3)
    );
    assert!(!counts.is_unchanged() && counts.not_carried_back == 0);
    let error = world.reverse_from(&path, true).err().unwrap();
    assert!(
        error.exit_code() == 1
            && error
                .to_string()
                .contains("in the source collection itself 1 changed, 1 added, 1 removed"),
        "{error}"
    );
    let (code, said) = reverse_current(&world, &world.path("told"), &path, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("! NOT CARRIED BACK: the source collection itself has changed since the migration: 1 document changed, 1 added, 1 removed there. The renameCollection below deletes these changes"),
        "{said}"
    );
    // Where it is not in the dump, that is told.
    redump.remove("user_data");
    let path = world.redump(&redump);
    let remarks = world.reverse_from(&path, false).unwrap().report.remarks;
    let expected = format!(
        "unknown whether narrative_modeling.user_data has changed since: '{}' does not hold it",
        path.display()
    );
    assert!(remarks.contains(&expected), "{remarks:?}");
}

#[test]
fn a_later_dump_that_was_cut_short_is_refused() {
    let world = Migration::of(&[application(oid(1), 1), application(oid(2), 1)]);
    let mut redump = world.restored();
    let full = world.redump(&redump);
    let message = |path: &std::path::Path, expected: Option<u64>| {
        let error = world
            .reverse_with(path, false, |options| options.expect_documents = expected)
            .err()
            .unwrap();
        assert_eq!(error.exit_code(), 1);
        error.to_string().replace(&path.display().to_string(), "REDUMP")
    };
    assert_eq!(
        message(&full, Some(3)),
        "'REDUMP': narrative_modeling.dataset_metadata has 2 documents, --expect-docs 3 was given; missing ones would count as deleted. Was the dump stopped?"
    );
    assert!(world.reverse_with(&full, true, |options| options.expect_documents = Some(2)).is_ok());
    redump.get_mut(TARGETS[0]).unwrap().clear();
    let empty = world.redump(&redump);
    assert_eq!(
        message(&empty, None),
        "'REDUMP': narrative_modeling.dataset_metadata has no documents, the output has 2; a mongodump that was stopped leaves such a file, and every document would count as deleted. Dump again, or give --allow-empty if all of them were deleted"
    );
    let outcome = world.reverse_with(&empty, false, |options| options.allow_empty = true).unwrap();
    assert_eq!((outcome.report.counts.deleted, outcome.documents.len()), (2, 0));
    // A sibling's file may be empty: its documents count as unchanged, but it is told.
    let mut redump = world.restored();
    redump.get_mut(TARGETS[1]).unwrap().clear();
    let path = world.redump(&redump);
    let outcome = world.reverse_from(&path, false).unwrap();
    let expected = format!(
        "'{}': narrative_modeling.transformation_configs has no documents, the output has 2; a mongodump that was stopped leaves such a file next to sound metadata",
        path.display()
    );
    assert!(outcome.report.remarks.contains(&expected), "{:?}", outcome.report.remarks);
    assert_eq!(outcome.report.counts.missing_siblings, 2);
}

#[test]
fn a_sibling_that_was_made_anew_says_nothing_of_its_dataset() {
    let (world, mut redump) = one(application(oid(1), 2));
    let config = of(&mut redump, TARGETS[1], &id(1));
    set(config, "_id", oid(70).into());
    set(config, "user_id", text(5));
    set(config, "current_file_path", text(6));
    set(config, "created_at", later(8));
    set(config, "updated_at", later(9));
    set(config, "is_applied", false.into());
    set(config, "applied_at", Bson::Null);
    set(config, "total_transformations", 0.into());
    set(config, "transformation_steps", Bson::Array(vec![]));
    let outcome = world.reverse(&redump);
    let mut expected = application(oid(1), 2);
    expected.insert("transformation_history", Bson::Array(vec![]));
    assert_eq!(outcome.document(0), expected);
    assert_eq!(outcome.changed(), ["transformation_history"]);
    let fields = ["_id", "user_id", "current_file_path", "created_at", "updated_at"];
    let mut told = outcome.event().not_carried_back.clone();
    told.sort();
    let mut all: Vec<String> =
        fields.iter().map(|field| format!("transformation_configs.{field}")).collect();
    all.sort();
    assert_eq!(told, all);
}

#[test]
fn a_step_of_which_nothing_goes_back_keeps_its_bytes() {
    let mut source = application(oid(1), 0);
    source.insert("transformation_history", (0..3).map(export_step).collect::<Vec<_>>());
    let (world, mut redump) = one(source);
    let mut steps =
        get(&redump[TARGETS[1]][0], "transformation_steps").unwrap().as_array().unwrap().clone();
    for name in ["is_valid", "validation_errors"] {
        let step = steps[1].as_document_mut().unwrap();
        step.insert(
            name,
            if name == "is_valid" { Bson::from(false) } else { vec!["e".to_owned()].into() },
        );
    }
    set(of(&mut redump, TARGETS[1], &id(1)), "transformation_steps", steps.into());
    let outcome = world.reverse(&redump);
    assert!(outcome.bytes == world.source);
    assert_eq!((outcome.event().kind.name(), outcome.changed().len()), ("unchanged", 0));
    assert_eq!(
        outcome.event().not_carried_back,
        [
            "transformation_configs.transformation_steps.1.is_valid",
            "transformation_configs.transformation_steps.1.validation_errors.0"
        ]
    );
}

#[test]
fn what_is_carried_back_is_not_told_to_be_lost() {
    let (world, mut redump) = one(application(oid(1), 1));
    // Null, which the mapping would replace by a default, is in the source all the same.
    set(of(&mut redump, TARGETS[0], &id(1)), "file_type", Bson::Null);
    let mut step = new_step(4);
    step.insert("parameters", Bson::Null);
    step.insert("is_valid", false);
    let mut steps =
        get(&redump[TARGETS[1]][0], "transformation_steps").unwrap().as_array().unwrap().clone();
    steps.push(step.into());
    set(of(&mut redump, TARGETS[1], &id(1)), "transformation_steps", steps.into());
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.changed(), ["file_type", "transformation_history"]);
    assert_eq!(outcome.document(0).get("file_type"), Some(&Bson::Null));
    assert_eq!(
        outcome.event().not_carried_back,
        ["transformation_configs.transformation_steps.1.is_valid"]
    );
}

/// The models store optional fields as null, so that a document loaded and saved has some that it did not have.
#[test]
fn a_null_that_was_not_there_is_no_change() {
    let (world, mut collections) = one(with_model(application(oid(1), 2)));
    for name in ["deployment_config", "last_used_at", "parent_model_id"] {
        set(of(&mut collections, TARGETS[2], &id(1)), name, Bson::Null);
    }
    let outcome = world.reverse_from(&world.redump(&collections), true).unwrap();
    assert!(outcome.bytes == world.source && outcome.events.is_empty(), "{:#?}", outcome.events);
    set(of(&mut collections, TARGETS[2], &id(1)), "parent_model_id", "m".into());
    let outcome = world.reverse(&collections);
    assert_eq!(outcome.event().not_carried_back, ["model_configs.parent_model_id"]);
}

#[test]
fn unchanged_steps_keep_their_bytes() {
    for make in [app_step, export_step] {
        let mut source = application(oid(1), 0);
        let old: Vec<Document> = (0..5).map(make).collect();
        source.insert("transformation_history", old.clone());
        let (world, restored) = one(source);
        let base: Vec<Bson> = get(&restored[TARGETS[1]][0], "transformation_steps")
            .unwrap()
            .as_array()
            .unwrap()
            .clone();
        let new = Bson::Document(new_step(5));
        let back = doc! { "type": "formula", "column": "c", "columns": Bson::Null, "parameters": { "k": 5_i64 }, "applied_at": "2025-10-09T08:53:20.005+00:00", "rows_affected": 5, "data_loss_percentage": 0.5 };
        let (b, o) = (|at: usize| base[at].clone(), |at: usize| old[at].clone());
        // Its fields in another order, those inside it too.
        let turned = |value: &Bson| {
            let step = value.as_document().unwrap();
            let turn = |document: &Document| {
                document
                    .clone()
                    .into_iter()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect::<Document>()
            };
            let mut step = turn(step);
            let inner = turn(step.get_document("parameters").unwrap());
            step.insert("parameters", inner);
            Bson::Document(step)
        };
        let cases = [
            (
                vec![b(0), b(1), b(2), b(3), b(4), new.clone()],
                vec![o(0), o(1), o(2), o(3), o(4), back.clone()],
            ),
            (vec![b(0), b(2), b(4)], vec![o(0), o(2), o(4)]),
            (
                vec![b(0), b(1), new.clone(), b(2), b(3), b(4)],
                vec![o(0), o(1), back.clone(), o(2), o(3), o(4)],
            ),
            (
                vec![new.clone(), turned(&b(0)), b(1), turned(&b(3)), b(4)],
                vec![back.clone(), o(0), o(1), o(3), o(4)],
            ),
            (vec![], vec![]),
        ];
        for (now, expected) in cases {
            let mut redump = restored.clone();
            set(of(&mut redump, TARGETS[1], &id(1)), "transformation_steps", now.clone().into());
            let outcome = world.reverse(&redump);
            let expected = expected.into_iter().map(Bson::Document).collect::<Vec<_>>();
            assert_eq!(outcome.document(0).get("transformation_history"), Some(&expected.into()));
            assert_eq!(outcome.changed(), ["transformation_history"]);
            assert!(outcome.event().not_carried_back.is_empty(), "{:?}", outcome.event());
        }
        // Two that have changed places: what is not in the common order goes back by the inverse.
        let mut redump = restored.clone();
        set(
            of(&mut redump, TARGETS[1], &id(1)),
            "transformation_steps",
            vec![b(1), b(0), b(2), b(3), b(4)].into(),
        );
        let history =
            world.reverse(&redump).document(0).get_array("transformation_history").unwrap().clone();
        assert_eq!(history[2..], [o(2), o(3), o(4)].map(Bson::Document));
        assert_eq!(
            history[..2]
                .iter()
                .filter(|item| [o(0), o(1)].map(Bson::Document).contains(item))
                .count(),
            1
        );
    }
}

#[test]
fn a_history_that_is_emptied_takes_no_date_with_it() {
    let (world, mut redump) = one(application(oid(1), 2));
    let current = of(&mut redump, TARGETS[1], &id(1));
    set(current, "transformation_steps", Bson::Array(vec![]));
    set(current, "is_applied", false.into());
    set(current, "applied_at", Bson::Null);
    set(current, "total_transformations", 0.into());
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.changed(), ["transformation_history"]);
    assert_eq!(outcome.document(0).get("updated_at"), Some(&date(2)));
    assert!(outcome.event().not_carried_back.is_empty() && outcome.event().conflicts.is_empty());
}

/// A history in which no step is as it was, then one in which each is at another place. Steps that one side alone has
/// are left out before the others are aligned, and that must lose none. Of the time this says nothing.
#[test]
fn histories_of_ten_thousand_steps_are_merged_as_short_ones_are() {
    let (world, restored) = one(application(oid(1), 10_000));
    let steps =
        get(&restored[TARGETS[1]][0], "transformation_steps").unwrap().as_array().unwrap().clone();
    let mut redump = restored.clone();
    let all_new: Vec<Bson> = steps
        .iter()
        .map(|step| {
            let mut step = step.as_document().unwrap().clone();
            step.insert("rows_affected", -1);
            step.into()
        })
        .collect();
    set(of(&mut redump, TARGETS[1], &id(1)), "transformation_steps", all_new.into());
    set(of(&mut redump, TARGETS[1], &id(1)), "last_preview", doc! { "rows": [] }.into());
    set(of(&mut redump, TARGETS[1], &id(1)), "validation_result", doc! { "ok": true }.into());
    let outcome = world.reverse(&redump);
    assert_eq!(
        outcome.event().not_carried_back,
        ["transformation_configs.last_preview", "transformation_configs.validation_result"]
    );
    // One that is gone from the front shifts all others; a change inside a document is still told of.
    set(of(&mut redump, TARGETS[1], &id(1)), "transformation_steps", steps[1..].to_vec().into());
    let outcome = world.reverse(&redump);
    assert_eq!(
        outcome.event().not_carried_back,
        ["transformation_configs.last_preview", "transformation_configs.validation_result"]
    );
    assert_eq!(outcome.document(0).get_array("transformation_history").unwrap().len(), 9_999);
}

#[test]
fn documents_created_and_deleted_since_are_added_and_dropped() {
    let sources = [
        application(oid(1), 1),
        application(oid(2), 1),
        application(oid(3), 1),
        with_model(application(oid(4), 1)),
    ];
    let world = Migration::of(&sources);
    let mut redump = world.restored();
    let is_not = |number: u32| {
        move |document: &Vec<u8>| get(document, "dataset_id") != Some(id(number).into())
    };
    // 1: deleted, its config left behind; 2: lacks its config; 4: lacks its model.
    redump.get_mut(TARGETS[0]).unwrap().retain(is_not(1));
    redump.get_mut(TARGETS[1]).unwrap().retain(is_not(2));
    redump.get_mut(TARGETS[2]).unwrap().clear();
    // A second config for 3.
    let mut second = of(&mut redump, TARGETS[1], &id(3)).clone();
    set(&mut second, "_id", oid(77).into());
    redump.get_mut(TARGETS[1]).unwrap().insert(0, second);
    // Created since, with all and with nothing beside it.
    let mut new =
        Migration::of(&[with_model(application(oid(9), 1)), application(oid(8), 0)]).restored();
    new.get_mut(TARGETS[1]).unwrap().retain(is_not(8));
    for target in TARGETS {
        redump.get_mut(target).unwrap().extend(new.remove(target).unwrap());
    }
    let outcome = world.reverse(&redump);
    let ids: Vec<Option<Bson>> =
        outcome.documents.iter().map(|document| get(document, "_id")).collect();
    assert_eq!(ids, [2, 3, 4, 8, 9].map(|number| Some(oid(number).into())));
    for (position, source) in sources[1..].iter().enumerate() {
        assert_eq!(outcome.documents[position], source.to_vec().unwrap());
    }
    let counts = &outcome.report.counts;
    assert_eq!((counts.unchanged, counts.drifted, counts.added, counts.deleted), (3, 0, 2, 1));
    assert_eq!((counts.missing_siblings, counts.not_carried_back, counts.conflicts), (2, 2, 0));
    let added = outcome.document(4);
    assert_eq!(added.get("algorithm"), Some(&"rf".into()));
    assert_eq!(added.get("model_name"), Some(&"m".into()));
    let again = Migration::transform_again(&outcome.documents[3..]);
    assert_eq!(get(&again[TARGETS[0]][1], "num_rows"), Some(100.into()));
    let options = mongosplit::verify::Options::new(&outcome.dest);
    let verified = mongosplit::verify::verify(&options, &mongosplit::progress::Silent).unwrap();
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
}

#[test]
fn a_model_created_since_takes_nothing_from_its_dataset() {
    let mut source = application(oid(1), 0);
    source.extend(
        doc! { "description": "of the dataset", "tags": ["mine"], "algorithm": Bson::Null },
    );
    let (world, mut redump) = one(source.clone());
    let model = doc! {
        "_id": oid(50), "user_id": "user_1", "dataset_id": id(1), "model_id": "m1", "name": "new", "description": Bson::Null, "algorithm": "rf",
        "hyperparameters": { "k": 1 }, "status": "trained", "version": "1.0.0", "is_active": true, "created_at": later(1), "updated_at": later(2),
    };
    redump.get_mut(TARGETS[2]).unwrap().push(model.to_vec().unwrap());
    let outcome = world.reverse(&redump);
    let now = outcome.document(0);
    source.insert("algorithm", "rf");
    let old: Document =
        now.clone().into_iter().filter(|(name, _)| source.contains_key(name)).collect();
    assert_eq!(old, source);
    assert_eq!(
        (now.get("model_name"), now.get("hyperparameters")),
        (Some(&"new".into()), Some(&doc! { "k": 1 }.into()))
    );
    for field in ["created_at", "updated_at"] {
        assert!(
            outcome.event().not_carried_back.contains(&format!("model_configs.{field}")),
            "{:?}",
            outcome.event()
        );
    }
}

#[test]
fn a_field_that_another_target_feeds_is_not_overwritten() {
    let (world, mut redump) = one(with_model(application(oid(1), 0)));
    set(of(&mut redump, TARGETS[0], &id(1)), "tags", text(1));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.bytes, world.source);
    assert_eq!(outcome.event().not_carried_back, ["dataset_metadata.tags"]);
}

#[test]
fn documents_set_aside_come_back() {
    let mut refused = application(oid(2), 0);
    refused.insert("_id", vec![Bson::Int32(1)]);
    let world = Migration::new(
        &raw(&[application(oid(1), 1), refused, application(oid(3), 0)]),
        |options| options.skip_unrestorable = true,
    );
    let mut redump = world.restored();
    assert_eq!(world.reverse(&redump).bytes, world.source);
    set(of(&mut redump, TARGETS[0], &id(3)), "s3_url", text(1));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.documents[..2], world.sources()[..2]);
    assert_eq!(outcome.document(2).get("s3_url"), Some(&text(1)));
}

#[test]
fn bad_input_is_named() {
    let world = Migration::of(&[application(oid(1), 1), application(oid(2), 1)]);
    let restored = world.restored();
    let fails = |redump: &std::path::Path, code: u8, message: &str| {
        let error = world.reverse_from(redump, false).err().expect(message);
        assert_eq!(
            world.plain(&error.to_string()),
            message.replace(
                "REDUMP",
                &format!("DIR/{}", redump.file_name().unwrap().to_string_lossy())
            )
        );
        assert_eq!(error.exit_code(), code, "{message}");
    };
    for name in TARGETS {
        let mut lacking = restored.clone();
        lacking.remove(name);
        fails(
            &world.redump(&lacking),
            3,
            &format!(
                "'REDUMP': has no narrative_modeling.{name}, which the output has; dump the whole database that it was restored into"
            ),
        );
    }
    let other = world.path("redump-other");
    let joined: Vec<(&str, Vec<u8>)> =
        restored.iter().map(|(name, documents)| (name.as_str(), documents.concat())).collect();
    write_dump(
        &other,
        "another",
        &joined.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect::<Vec<_>>(),
    );
    fails(
        &other,
        3,
        "'REDUMP': has no narrative_modeling.dataset_metadata, which the output has; dump the whole database that it was restored into",
    );
    let mut twice = restored.clone();
    let mut second = twice[TARGETS[0]][0].clone();
    set(&mut second, "_id", oid(9).into());
    twice.get_mut(TARGETS[0]).unwrap().push(second);
    fails(
        &world.redump(&twice),
        1,
        &format!(
            "'REDUMP/narrative_modeling/dataset_metadata.bson': two documents of narrative_modeling.dataset_metadata have one dataset_id, those with _id ObjectId('{}') and _id ObjectId('{}'); it is not clear which of them should go back",
            id(1),
            id(9)
        ),
    );
    let cut = world.redump(&restored);
    let file = cut.join(DATABASE).join("dataset_metadata.bson");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    let error = world.reverse_from(&cut, false).err().unwrap();
    assert!(
        error.exit_code() == 3 && error.to_string().contains("the input ends after"),
        "{error}"
    );

    // DEST inside REDUMP.
    let redump = world.redump(&restored);
    let (code, said) = reverse_current(&world, &redump.join("dest"), &redump, &[]);
    assert!(code != 0 && said.contains("is inside the dump"), "{code} {said}");
    assert!(!redump.join("dest").exists());
    // Compressed, all is well.
    for name in TARGETS {
        let file = redump.join(DATABASE).join(format!("{name}.bson"));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &std::fs::read(&file).unwrap()).unwrap();
        std::fs::write(file.with_extension("bson.gz"), packed.finish().unwrap()).unwrap();
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(world.reverse_from(&redump, true).unwrap().bytes, world.source);
    // OUT altered, file by file, and exchanged with another run's.
    let redump = world.redump(&restored);
    let another = Migration::of(&[application(oid(1), 1), application(oid(3), 1)]);
    for file in [
        "narrative_modeling.user_data.rollback",
        "narrative_modeling/dataset_metadata.bson",
        "narrative_modeling/transformation_configs.metadata.json",
        "manifest.json",
        "SHA256SUMS",
    ] {
        let path = world.path("out").join(file);
        let bytes = std::fs::read(&path).unwrap();
        let mut altered = bytes.clone();
        altered[bytes.len() / 2] ^= 1;
        std::fs::write(&path, altered).unwrap();
        let error = world.reverse_from(&redump, false).err().expect(file);
        assert!(matches!(error.exit_code(), 1 | 3), "{file}: {error}");
        std::fs::copy(another.path("out").join(file), &path).unwrap();
        if std::fs::read(&path).unwrap() != bytes {
            let error = world.reverse_from(&redump, false).err().expect(file);
            assert!(matches!(error.exit_code(), 1 | 3), "{file}: {error}");
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(world.reverse_from(&redump, true).unwrap().bytes, world.source);
}

#[test]
fn a_change_behind_hundreds_of_others_is_told() {
    let mut source = application(oid(1), 0);
    source.insert(
        "onboarding_progress",
        (0..300).map(|number| (format!("s{number}"), Bson::Int32(0))).collect::<Document>(),
    );
    let (world, mut redump) = one(source);
    let done: Document = (0..300).map(|number| (format!("s{number}"), Bson::Int32(1))).collect();
    set(of(&mut redump, TARGETS[0], &id(1)), "onboarding_progress", done.clone().into());
    set(of(&mut redump, TARGETS[0], &id(1)), "pii_report.masked_at", later(1));
    let outcome = world.reverse(&redump);
    assert_eq!(outcome.document(0).get("onboarding_progress"), Some(&done.into()));
    assert_eq!(outcome.event().not_carried_back, ["dataset_metadata.pii_report.masked_at"]);
}

#[test]
fn a_later_dump_may_be_an_archive() {
    let world = Migration::of(&three());
    let mut options = mongosplit::transform::Options::new(world.path("dump"), "");
    options.archive = true;
    for gzip_level in [None, Some(1)] {
        // An output is an archive of the very collections that a redump would hold.
        options.out = world.fresh("redump");
        options.gzip_level = gzip_level;
        mongosplit::transform::transform(&options, &world.plan, &mongosplit::progress::Silent)
            .unwrap();
        let outcome = world.reverse_from(&options.out, true).unwrap();
        assert_eq!(outcome.bytes, world.source);
        let names: Vec<_> = std::fs::read_dir(&outcome.dest)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let dry = world.path("dry");
        let (code, said) = reverse_current(&world, &dry, &options.out, &["--dry-run"]);
        assert!(code == 0 && !world.path("dry").exists(), "{code} {said}");
    }
    // Cut off, it is refused, and nothing is left.
    let bytes = std::fs::read(&options.out).unwrap();
    std::fs::write(&options.out, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(world.reverse_from(&options.out, false).err().unwrap().exit_code(), 3);
}
