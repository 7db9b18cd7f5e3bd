//! `reverse --current` over the example mappings: unwound collections, shapes, conversions, vaults.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use harness::*;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{CurrentReport as Report, Event};
use mongosplit::{reverse, transform};

/// The documents of each collection.
type Collections = BTreeMap<String, Vec<Document>>;

fn mapping(name: &str) -> String {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let example = directory.join("examples").join(format!("{name}.toml"));
    std::fs::read_to_string(&example)
        .or_else(|_| std::fs::read_to_string(directory.join(format!("{name}.toml"))))
        .unwrap()
}

/// A dump, what a mapping makes of it, and the way back.
struct Example {
    world: World,
    plan: Plan,
    sources: Vec<Document>,
    made: std::cell::Cell<u32>,
}

struct Outcome {
    documents: Vec<Document>,
    bytes: Vec<u8>,
    events: Vec<Event>,
    report: Report,
}

fn bytes_of(documents: &[Document]) -> Vec<u8> {
    documents.iter().flat_map(|document| document.to_vec().unwrap()).collect()
}

fn documents_of(bytes: &[u8]) -> Vec<Document> {
    split(bytes).into_iter().map(|bytes| Document::from_reader(bytes).unwrap()).collect()
}

impl Example {
    fn of(name: &str, sources: &[Document]) -> Example {
        Example::by(&mapping(name), sources)
    }
    fn by(mapping: &str, sources: &[Document]) -> Example {
        let plan = Plan::parse(mapping).unwrap();
        let world = World::new();
        let (dump, out) = (world.path("dump"), world.path("out"));
        write_dump(&dump, DATABASE, &[(plan.collection(), &bytes_of(sources))]);
        let mut options = transform::Options::new(dump, out);
        options.threads = Some(2);
        options.existing_targets = transform::ExistingTargets::Ignore;
        transform::transform(&options, &plan, &Silent).unwrap();
        Example { world, plan, sources: sources.to_vec(), made: 0.into() }
    }
    /// A document for each `[[test]]` of the mapping.
    fn of_its_tests(name: &str) -> Example {
        let mapping: toml::Table = mapping(name).parse().unwrap();
        let given = |test: &toml::Value| -> Document {
            let value: serde_json::Value =
                serde_json::from_str(test["given"].as_str().unwrap()).unwrap();
            match Bson::try_from(value).unwrap() {
                Bson::Document(document) => document,
                other => panic!("{other}"),
            }
        };
        let mut sources: Vec<Document> = Vec::new();
        for source in mapping["test"].as_array().unwrap().iter().map(given) {
            if sources.iter().all(|other| other.get("_id") != source.get("_id")) {
                sources.push(source);
            }
        }
        Example::of(name, &sources)
    }
    fn restored(&self) -> Collections {
        let read = |name: &str| {
            let file = self.world.path("out").join(DATABASE).join(format!("{name}.bson"));
            (name.to_owned(), documents_of(&std::fs::read(file).unwrap()))
        };
        self.plan.target_collections().map(read).collect()
    }
    fn reverse(&self, now: &Collections) -> Outcome {
        self.reverse_with(now, true).unwrap()
    }
    fn reverse_with(&self, now: &Collections, allow_empty: bool) -> mongosplit::Result<Outcome> {
        self.made.set(self.made.get() + 1);
        let redump = self.world.path(&format!("redump-{}", self.made.get()));
        let dest = self.world.path(&format!("dest-{}", self.made.get()));
        let files: Vec<(&str, Vec<u8>)> =
            now.iter().map(|(name, documents)| (name.as_str(), bytes_of(documents))).collect();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        write_dump(&redump, DATABASE, &files);
        let mut options = reverse::Options::new(self.world.path("out"), &dest);
        options.threads = Some(2);
        options.allow_empty = allow_empty;
        let mut events = Vec::new();
        let report = reverse::reverse_current(&options, &redump, false, &Silent, &mut |event| {
            events.push(event.clone());
            Ok(())
        })?;
        let file = dest.join(DATABASE).join(format!("{}.bson", self.plan.collection()));
        let bytes = std::fs::read(file).unwrap();
        Ok(Outcome { documents: documents_of(&bytes), bytes, events, report })
    }
    fn source_bytes(&self) -> Vec<u8> {
        bytes_of(&self.sources)
    }
}

impl Outcome {
    fn event(&self) -> &Event {
        assert_eq!(self.events.len(), 1, "{:#?}", self.events);
        &self.events[0]
    }
    fn changed(&self) -> Vec<(&str, &str)> {
        let changed = self.event().changed.iter();
        changed.map(|change| (change.field.as_str(), change.from.as_str())).collect()
    }
}

const EXAMPLES: [&str; 10] = [
    "feelhub_relations",
    "flux_retour_cfas_element_list",
    "habitica_group_chat",
    "habitica_inbox",
    "lichess_user_perfs",
    "overleaf_confirmed_at",
    "schulcloud_object_ids",
    "tachi_user_private",
    "wekan_checklist_items",
    "ymeteor_decimals",
];

fn find<'c>(
    collections: &'c mut Collections,
    name: &str,
    key: &str,
    value: impl Into<Bson>,
) -> &'c mut Document {
    let value = value.into();
    let mut documents = collections.get_mut(name).unwrap().iter_mut();
    documents.find(|document| document.get(key) == Some(&value)).unwrap()
}

#[test]
fn what_was_restored_gives_the_source() {
    for name in EXAMPLES {
        let example = Example::of_its_tests(name);
        let mut now = example.restored();
        let outcome = example.reverse(&now);
        assert!(outcome.bytes == example.source_bytes(), "{name}: {:#?}", outcome.documents);
        assert!(
            outcome.events.is_empty() && outcome.report.counts.is_unchanged(),
            "{name}: {:#?}",
            outcome.events
        );
        // In any order.
        now.values_mut().for_each(|documents| documents.reverse());
        let outcome = example.reverse(&now);
        assert!(outcome.bytes == example.source_bytes(), "{name}: {:#?}", outcome.documents);
        assert!(outcome.events.is_empty(), "{name}: {:#?}", outcome.events);
    }
}

fn chat() -> Vec<Document> {
    vec![
        doc! { "_id": "g1", "name": "Readers", "chat": [
            { "id": "c1", "text": "one", "timestamp": 1_533_945_600_000.0, "likes": {} },
            "left over",
            { "id": "c2", "_id": "c2", "text": "two", "flags": { "a": true }, "x": { "y": 1, "z": 2 } },
            { "id": "c3", "text": "three" },
        ], "memberCount": 2 },
        doc! { "_id": "g2", "name": "Quiet" },
        doc! { "_id": "g3", "name": "Odd", "chat": "closed" },
    ]
}

#[test]
fn an_unwound_array_takes_changed_new_and_deleted_items() {
    let example = Example::of("habitica_group_chat", &chat());
    let mut now = example.restored();
    let changed = find(&mut now, "chats", "_id", "c1");
    changed.insert("text", "new text");
    changed.insert("timestamp", bson::DateTime::from_millis(1_600_000_000_000));
    changed.insert("pinned", true);
    find(&mut now, "chats", "_id", "c2").insert("x", doc! { "y": 3, "z": 2 });
    now.get_mut("chats").unwrap().retain(|document| document.get("_id") != Some(&"c3".into()));
    now.get_mut("chats").unwrap().insert(0, doc! {
        "_id": "c0", "id": "c0", "groupId": "g1", "timestamp": bson::DateTime::from_millis(5), "text": "new",
        "flags": {}, "flagCount": 0, "__v": 0, "uuid": "u",
    });
    find(&mut now, "groups", "_id", "g1").insert("memberCount", 3);
    let outcome = example.reverse(&now);
    let mut expected = chat();
    expected[0].insert("memberCount", 3);
    expected[0].insert("chat", bson::bson!([
        { "id": "c1", "text": "new text", "timestamp": 1_600_000_000_000.0, "likes": {}, "pinned": true },
        "left over",
        { "id": "c2", "_id": "c2", "text": "two", "flags": { "a": true }, "x": { "y": 3, "z": 2 } },
    ]));
    let items = outcome.documents[0].get_array("chat").unwrap();
    assert_eq!(items[..3], expected[0].get_array("chat").unwrap()[..], "{items:#?}");
    let new = items[3].as_document().unwrap();
    assert_eq!(
        (items.len(), new.get("id"), new.get("text"), new.get("uuid")),
        (4, Some(&"c0".into()), Some(&"new".into()), Some(&"u".into()))
    );
    assert!(!new.contains_key("groupId") && !new.contains_key("__v"), "{new:#?}");
    assert_eq!(outcome.documents[0].get("memberCount"), Some(&3.into()));
    assert_eq!(outcome.documents[1..], expected[1..]);
    assert_eq!(outcome.changed(), [("chat", "chats"), ("memberCount", "groups.memberCount")]);
    assert!(outcome.event().not_carried_back.is_empty(), "{:#?}", outcome.event());
}

#[test]
fn new_items_make_an_array_and_those_of_other_values_are_told() {
    let example = Example::of("habitica_group_chat", &chat());
    let mut now = example.restored();
    let message = |id: &str, group: &str| {
        doc! {
            "_id": id, "id": id, "groupId": group, "text": "t", "flags": {}, "flagCount": 0, "__v": 0,
        }
    };
    let chats = now.get_mut("chats").unwrap();
    chats.extend([
        message("n2", "g2"),
        message("n1", "g2"),
        message("n3", "g3"),
        message("n4", "gone"),
    ]);
    let outcome = example.reverse(&now);
    assert_eq!(outcome.documents[0], chat()[0]);
    let chats = outcome.documents[1].get_array("chat").unwrap();
    let ids: Vec<&str> =
        chats.iter().map(|item| item.as_document().unwrap().get_str("id").unwrap()).collect();
    assert_eq!(ids, ["n1", "n2"]);
    assert_eq!(outcome.documents[2], chat()[2]);
    let told: Vec<_> = outcome
        .events
        .iter()
        .map(|event| (event.kind.name(), event.not_carried_back.concat()))
        .collect();
    assert_eq!(
        told,
        [
            ("drifted", String::new()),
            ("unchanged", "chats".to_owned()),
            (
                "orphan",
                "narrative_modeling.chats without a document in narrative_modeling.groups"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn a_key_that_changed_moves_the_item() {
    let example = Example::of("habitica_group_chat", &chat());
    let mut now = example.restored();
    find(&mut now, "chats", "_id", "c2").insert("groupId", "g2");
    let outcome = example.reverse(&now);
    let ids = |at: usize| -> Vec<String> {
        let items = outcome.documents[at].get_array("chat").unwrap().iter();
        items
            .filter_map(|item| Some(item.as_document()?.get_str("id").unwrap().to_owned()))
            .collect()
    };
    assert_eq!((ids(0), ids(1)), (vec!["c1".to_owned(), "c3".to_owned()], vec!["c2".to_owned()]));
}

#[test]
fn parents_come_and_go_with_their_items() {
    let example = Example::of("habitica_group_chat", &chat());
    let mut now = example.restored();
    now.get_mut("groups").unwrap().retain(|group| group.get("_id") != Some(&"g1".into()));
    now.get_mut("groups").unwrap().push(doc! { "_id": "g9", "name": "Created", "chat": [] });
    now.get_mut("chats")
        .unwrap()
        .push(doc! { "_id": "m", "id": "m", "groupId": "g9", "text": "t" });
    let outcome = example.reverse(&now);
    assert_eq!(outcome.documents.len(), 3);
    assert_eq!(outcome.documents[2].get("name"), Some(&"Created".into()));
    assert_eq!(outcome.documents[2].get_array("chat").unwrap().len(), 1);
    let deleted = outcome.events.iter().find(|event| event.kind.name() == "deleted").unwrap();
    assert_eq!(deleted.not_carried_back, ["narrative_modeling.chats still has a document of it"]);
}

#[test]
fn a_map_takes_its_entries_back() {
    let source = doc! { "_id": "u", "inbox": { "newMessages": 1, "messages": {
        "k1": { "id": "m1", "text": "a" }, "m2": { "_id": "m2", "text": "b", "sent": true }, "m3": { "text": "c" },
    } }, "name": "Ada" };
    let example = Example::of("habitica_inbox", std::slice::from_ref(&source));
    let mut now = example.restored();
    find(&mut now, "inboxes", "_id", "m2").insert("text", "new");
    now.get_mut("inboxes").unwrap().retain(|document| document.get("_id") != Some(&"m3".into()));
    now.get_mut("inboxes").unwrap().push(doc! { "_id": "m0", "id": "m0", "ownerId": "u", "sent": false, "text": "d", "flags": {}, "flagCount": 0 });
    let outcome = example.reverse(&now);
    let messages =
        outcome.documents[0].get_document("inbox").unwrap().get_document("messages").unwrap();
    let names: Vec<&String> = messages.keys().collect();
    assert_eq!(names, ["k1", "m2", "m0"]);
    assert_eq!(messages.get("k1"), Some(&doc! { "id": "m1", "text": "a" }.into()));
    assert_eq!(messages.get("m2"), Some(&doc! { "_id": "m2", "text": "new", "sent": true }.into()));
    assert_eq!(messages.get_document("m0").unwrap().get("text"), Some(&"d".into()));
    assert_eq!(
        outcome.documents[0].get_document("inbox").unwrap().get("newMessages"),
        Some(&1.into())
    );
    assert!(outcome.event().not_carried_back.is_empty(), "{:#?}", outcome.event());
}

#[test]
fn a_position_orders_the_items() {
    let item = |title: &str| Bson::Document(doc! { "title": title, "isFinished": false });
    let source = doc! { "_id": "l", "cardId": "c", "items": [item("a"), item("b"), item("d")] };
    let example = Example::of("wekan_checklist_items", std::slice::from_ref(&source));
    let restored = example.restored();
    let titles = |outcome: &Outcome| -> Vec<String> {
        let items = outcome.documents[0].get_array("items").unwrap().iter();
        items.map(|item| item.as_document().unwrap().get_str("title").unwrap().to_owned()).collect()
    };
    let mut now = restored.clone();
    now.get_mut("checklistItems").unwrap().push(doc! {
        "_id": "new", "title": "c", "sort": 1.5, "isFinished": true, "checklistId": "l", "cardId": "c",
    });
    let outcome = example.reverse(&now);
    assert_eq!(titles(&outcome), ["a", "b", "c", "d"]);
    let items = outcome.documents[0].get_array("items").unwrap();
    assert_eq!([&items[0], &items[1], &items[3]], [&item("a"), &item("b"), &item("d")]);
    let mut now = restored;
    find(&mut now, "checklistItems", "title", "a").insert("sort", 7);
    assert_eq!(titles(&example.reverse(&now)), ["b", "d", "a"]);
}

#[test]
fn a_spread_subdocument_takes_its_fields_back() {
    let source = doc! { "_id": "u", "perfs": { "blitz": { "gl": { "r": 1500.5 } }, "puzzle": { "nb": 1 } }, "time": 1 };
    let bare = doc! { "_id": "v", "time": 2 };
    let example = Example::of("lichess_user_perfs", &[source.clone(), bare.clone()]);
    let mut now = example.restored();
    let perf = find(&mut now, "user_perf", "_id", "u");
    perf.insert("blitz", doc! { "gl": { "r": 1600.0 } });
    perf.insert("rapid", doc! { "nb": 3 });
    perf.remove("puzzle");
    now.get_mut("user_perf").unwrap().push(doc! { "_id": "v", "storm": { "runs": 1 } });
    find(&mut now, "user4", "_id", "v").insert("time", 3);
    let outcome = example.reverse(&now);
    let mut expected = source;
    expected.insert("perfs", doc! { "blitz": { "gl": { "r": 1600.0 } }, "rapid": { "nb": 3 } });
    assert_eq!(outcome.documents[0], expected);
    assert_eq!(
        outcome.documents[1],
        doc! { "_id": "v", "time": 3, "perfs": { "storm": { "runs": 1 } } }
    );
    assert!(
        outcome.events.iter().all(|event| event.not_carried_back.is_empty()),
        "{:#?}",
        outcome.events
    );
}

#[test]
fn a_vault_gives_back_what_it_holds() {
    let source = doc! { "_id": 1, "id": 7, "username": "u", "password": "p", "email": "e" };
    let example = Example::of("tachi_user_private", std::slice::from_ref(&source));
    let mut now = example.restored();
    find(&mut now, "user-private-information", "userID", 7).insert("email", "new");
    find(&mut now, "users", "id", 7).insert("username", "v");
    let outcome = example.reverse(&now);
    assert_eq!(
        outcome.documents[0],
        doc! { "_id": 1, "id": 7, "username": "v", "password": "p", "email": "new" }
    );
    assert!(outcome.event().not_carried_back.is_empty(), "{:#?}", outcome.event());
}

#[test]
fn a_condition_gives_its_fields_to_new_documents() {
    let id = |number: u8| {
        Bson::Binary(bson::Binary {
            subtype: bson::spec::BinarySubtype::Uuid,
            bytes: vec![number; 16],
        })
    };
    let sources = [
        doc! { "_id": id(1), "__discriminator": "Related", "fromId": id(10), "toId": id(11), "weight": 1.5, "creationDate": 1 },
        doc! { "_id": id(2), "__discriminator": "Media", "fromId": id(12), "toId": id(13) },
    ];
    let example = Example::of("feelhub_relations", &sources);
    let mut now = example.restored();
    find(&mut now, "related", "_id", id(1)).insert("weight", 2.5);
    now.get_mut("related")
        .unwrap()
        .push(doc! { "_id": id(9), "fromId": id(10), "toId": id(12), "weight": 0.5 });
    now.get_mut("media").unwrap().push(doc! { "_id": id(8), "fromId": id(10), "toId": id(12) });
    now.get_mut("media").unwrap().retain(|document| document.get("_id") != Some(&id(2)));
    let outcome = example.reverse(&now);
    let mut expected = sources[0].clone();
    expected.insert("weight", 2.5);
    assert_eq!(outcome.documents[0], expected);
    assert_eq!(outcome.documents[1], doc! { "_id": id(8), "fromId": id(10), "toId": id(12) });
    let created = &outcome.documents[2];
    assert_eq!(
        (created.get("_id"), created.get("__discriminator")),
        (Some(&id(9)), Some(&"Related".into()))
    );
    assert_eq!(outcome.documents.len(), 3);
}

#[test]
fn converted_values_go_back_as_they_were() {
    let oid = |number: u8| bson::oid::ObjectId::from_bytes([number; 12]);
    // Text stays text, and what was an identifier before stays one.
    let sources = [
        doc! { "_id": oid(1), "contextId": oid(2).to_hex() },
        doc! { "_id": oid(3), "contextId": oid(4) },
    ];
    let example = Example::of("schulcloud_object_ids", &sources);
    let mut now = example.restored();
    for number in [1, 3] {
        find(&mut now, "context-external-tools", "_id", oid(number)).insert("contextId", oid(9));
    }
    let outcome = example.reverse(&now);
    assert_eq!(outcome.documents[0].get("contextId"), Some(&oid(9).to_hex().into()));
    assert_eq!(outcome.documents[1].get("contextId"), Some(&oid(9).into()));

    // Items of an array: new ones go back, old ones keep their bytes.
    let source = doc! { "_id": oid(1), "effectifs": [oid(5), "text", oid(6)], "type": "t" };
    let example = Example::of("flux_retour_cfas_element_list", std::slice::from_ref(&source));
    let mut now = example.restored();
    let document = find(&mut now, "telechargementListeNomLogs", "_id", oid(1));
    document.insert("elementList", bson::bson!([oid(5).to_hex(), "text", oid(7).to_hex()]));
    let outcome = example.reverse(&now);
    assert_eq!(
        outcome.documents[0],
        doc! { "_id": oid(1), "effectifs": [oid(5), "text", oid(7)], "type": "t" }
    );

    // Documents in an array.
    let source = doc! { "_id": oid(1), "emails": [
        { "email": "a", "confirmedAt": "2025-01-02 03:04:05 UTC", "createdAt": 1 }, { "email": "b" },
    ] };
    let example = Example::of("overleaf_confirmed_at", std::slice::from_ref(&source));
    let mut now = example.restored();
    let document = find(&mut now, "users", "_id", oid(1));
    let mut emails = document.get_array("emails").unwrap().clone();
    emails.push(
        doc! { "email": "c", "confirmedAt": bson::DateTime::from_millis(1_735_787_045_000) }.into(),
    );
    document.insert("emails", emails);
    let outcome = example.reverse(&now);
    let emails = outcome.documents[0].get_array("emails").unwrap();
    assert_eq!(emails[..2], source.get_array("emails").unwrap()[..]);
    assert_eq!(emails[2], doc! { "email": "c", "confirmedAt": "2025-01-02 03:04:05 UTC" }.into());

    // Decimals, and the old values that the migration keeps.
    let source =
        doc! { "_id": 1, "products": [{ "name": "p", "price": 1.5 }, { "name": "q", "price": 2 }] };
    let example = Example::of("ymeteor_decimals", std::slice::from_ref(&source));
    let mut now = example.restored();
    let document = find(&mut now, "customerContracts", "_id", 1);
    let mut products = document.get_array("products").unwrap().clone();
    let price: bson::Decimal128 = "3.25".parse().unwrap();
    products[0].as_document_mut().unwrap().insert("price", price);
    document.insert("products", products);
    let outcome = example.reverse(&now);
    let products = outcome.documents[0].get_array("products").unwrap();
    assert_eq!(products[0].as_document().unwrap().get("price"), Some(&3.25.into()));
    assert!(!products[0].as_document().unwrap().contains_key("priceOld"));
    assert_eq!(products[1], source.get_array("products").unwrap()[1]);
}

#[test]
fn embedded_documents_are_built_again() {
    let source = doc! {
        "_id": 1, "user_id": "u", "model_id": "m", "training_config": { "test_size": 0.2, "cv_folds": 5, "seed": 7 },
        "metrics": { "accuracy": 0.9, "other": 1 }, "feature_names": ["a"], "unknown": true,
    };
    let example = Example::of("ml_models", std::slice::from_ref(&source));
    let restored = example.restored();
    assert!(example.reverse(&restored).bytes == example.source_bytes());
    let mut now = restored;
    let model = find(&mut now, "model_configs", "_id", 1);
    model
        .get_document_mut("hyperparameters")
        .unwrap()
        .get_document_mut("additional_params")
        .unwrap()
        .insert("seed", 8);
    model
        .get_document_mut("hyperparameters")
        .unwrap()
        .get_document_mut("additional_params")
        .unwrap()
        .insert("fresh", 1);
    model.get_document_mut("training_config").unwrap().insert("cv_folds", 9);
    let metrics = model.get_document_mut("performance_metrics").unwrap();
    metrics.insert("accuracy", 0.5);
    metrics.get_document_mut("additional_metrics").unwrap().remove("other");
    model.get_document_mut("feature_config").unwrap().insert("feature_names", vec!["a", "b"]);
    model.insert("unknown", false);
    let outcome = example.reverse(&now);
    assert_eq!(
        outcome.documents[0],
        doc! {
            "_id": 1, "user_id": "u", "model_id": "m", "training_config": { "test_size": 0.2, "cv_folds": 9, "seed": 8, "fresh": 1 },
            "metrics": { "accuracy": 0.5 }, "feature_names": ["a", "b"], "unknown": false,
        }
    );
    assert!(outcome.event().not_carried_back.is_empty(), "{:#?}", outcome.event());
}

/// A mapping of nested paths, and shapes in shapes.
const NESTED: &str = r#"
format  = 2
name    = "nested"
version = "1.0.0"
source  = "source"
key     = "_id"

[[target]]
collection = "nested"
rest       = true
where      = { kind = "a", "meta.level" = 3 }
fields     = [
  { name = "_id" },
  { name = "deep", copy = "a.b.c" },
  { name = "others", rest = "x.y" },
  { name = "outer", shape = "Outer" },
  { name = "old", copy = ["new_name", "old_name"], back = "old_name" },
  { name = "state", copy = "state", translate = [{ from = 1, to = "one" }, { from = [2, 3], to = "more" }] },
]

[[target]]
collection = "others"
otherwise  = true
rest       = true
fields     = [{ name = "_id" }]

[shape.Outer]
fields = [
  { name = "renamed", copy = "name" },
  { name = "inner", copy = "in", shape = "Inner" },
  { name = "made", const = 1, back = false },
]

[shape.Inner]
fields = [
  { name = "when", convert = "date" },
  { name = "kind", copy = "type", keep = "more.type", translate = [{ from = ["x", "y"], to = "z" }] },
  { name = "more", if_null = {} },
]
"#;

fn nested() -> Document {
    doc! {
        "_id": 1, "kind": "a", "meta": { "level": 3, "note": "n" },
        "a": { "b": { "c": 1, "d": 2 }, "e": 3 }, "x": { "y": { "p": 1, "q": 2 }, "z": 4 },
        "outer": { "name": "n", "in": { "when": "2025-01-02T03:04:05", "type": "x", "free": true }, "free": 1 },
        "old_name": "o", "state": 1,
    }
}

#[test]
fn nested_fields_go_back_to_their_places() {
    let source = nested();
    let example = Example::by(NESTED, std::slice::from_ref(&source));
    let restored = example.restored();
    assert!(example.reverse(&restored).bytes == example.source_bytes());
    let of = |edit: &dyn Fn(&mut Document)| {
        let mut now = restored.clone();
        edit(find(&mut now, "nested", "_id", 1));
        let outcome = example.reverse(&now);
        assert!(
            outcome.events.iter().all(|event| event.not_carried_back.is_empty()),
            "{:#?}",
            outcome.events
        );
        outcome.documents[0].clone()
    };
    let expected = |edit: &dyn Fn(&mut Document)| {
        let mut source = nested();
        edit(&mut source);
        source
    };
    // A field that a path reads, changed and removed.
    let set = |value: i32| of(&|document| drop(document.insert("deep", value)));
    assert_eq!(
        set(9),
        expected(&|source| {
            source.insert("a", doc! { "b": { "c": 9, "d": 2 }, "e": 3 });
        })
    );
    assert_eq!(
        of(&|document| drop(document.remove("deep"))),
        expected(&|source| {
            source.insert("a", doc! { "b": { "d": 2 }, "e": 3 });
        })
    );
    // What nothing reads of the documents that paths enter.
    assert_eq!(
        of(&|document| {
            document.insert("a", doc! { "b": { "d": 7 }, "e": 3, "f": 1 });
        }),
        expected(&|source| {
            source.insert("a", doc! { "b": { "c": 1, "d": 7 }, "e": 3, "f": 1 });
        })
    );
    // The fields of a document that a row takes.
    assert_eq!(
        of(&|document| {
            document.insert("others", doc! { "p": 1, "r": 5 });
        }),
        expected(&|source| {
            source.insert("x", doc! { "y": { "p": 1, "r": 5 }, "z": 4 });
        })
    );
    // Shapes in shapes.
    assert_eq!(
        of(&|document| {
            let outer = document.get_document_mut("outer").unwrap();
            outer.insert("renamed", "m");
            outer.insert("fresh", 1);
            let inner = outer.get_document_mut("inner").unwrap();
            inner.insert("when", bson::DateTime::from_millis(1_735_787_046_000));
            inner.remove("free");
        }),
        expected(&|source| {
            source.insert("outer", doc! {
            "name": "m", "in": { "when": "2025-01-02T03:04:06.000+00:00", "type": "x" }, "free": 1, "fresh": 1,
        });
        })
    );
    // A translation whose original is kept elsewhere, and one that is told by its result.
    assert_eq!(
        of(&|document| {
            let outer = document.get_document_mut("outer").unwrap();
            outer.get_document_mut("inner").unwrap().insert("kind", "new");
            document.insert("state", "more");
        }),
        expected(&|source| {
            source
                .get_document_mut("outer")
                .unwrap()
                .get_document_mut("in")
                .unwrap()
                .insert("type", "new");
            source.insert("state", "more");
        })
    );
    // The alternative that gave the value.
    assert_eq!(
        of(&|document| drop(document.insert("old", "p"))),
        expected(&|source| {
            source.insert("old_name", "p");
        })
    );
}

#[test]
fn nested_documents_are_created() {
    let example = Example::by(NESTED, &[nested()]);
    let mut now = example.restored();
    now.get_mut("nested").unwrap().push(doc! {
        "_id": 2, "deep": 5, "others": { "p": 1 }, "old": "o", "state": "one",
        "outer": { "renamed": "n", "inner": { "when": bson::DateTime::from_millis(0), "kind": "z", "more": { "type": "y", "m": 1 } }, "made": 1 },
        "free": true,
    });
    let outcome = example.reverse(&now);
    let created = &outcome.documents[1];
    for (name, value) in doc! {
        "_id": 2, "a": { "b": { "c": 5 } }, "x": { "y": { "p": 1 } }, "old_name": "o", "state": 1, "free": true,
        "outer": { "name": "n", "in": { "when": "1970-01-01T00:00:00.000+00:00", "type": "y", "more": { "m": 1 } } },
        "kind": "a", "meta": { "level": 3 },
    } {
        assert_eq!(created.get(&name), Some(&value), "{created:#?}");
    }
    assert!(outcome.event().not_carried_back.is_empty(), "{:#?}", outcome.event());
}

/// Of the time this says nothing, but that it ends.
#[test]
fn arrays_of_many_documents_are_merged() {
    let item = |number: i32| doc! { "title": format!("t{number}"), "isFinished": false };
    let items: Vec<Document> = (0..30_000).map(item).collect();
    let source = doc! { "_id": "l", "cardId": "c", "items": items };
    let example = Example::of("wekan_checklist_items", std::slice::from_ref(&source));
    let mut now = example.restored();
    now.get_mut("checklistItems").unwrap().reverse();
    assert!(example.reverse(&now).bytes == example.source_bytes());
    find(&mut now, "checklistItems", "title", "t7").insert("title", "new");
    let outcome = example.reverse(&now);
    let mut expected = source;
    expected.get_array_mut("items").unwrap()[7].as_document_mut().unwrap().insert("title", "new");
    assert!(outcome.documents[0] == expected);
}

#[test]
fn a_collection_that_was_emptied_is_refused() {
    for (name, collection) in [
        ("habitica_group_chat", "chats"),
        ("habitica_group_chat", "groups"),
        ("feelhub_relations", "related"),
        ("feelhub_relations", "media"),
    ] {
        let example = Example::of_its_tests(name);
        let mut now = example.restored();
        assert!(example.reverse_with(&now, false).is_ok());
        now.get_mut(collection).unwrap().clear();
        let error = example.reverse_with(&now, false).err().unwrap();
        let what = format!("narrative_modeling.{collection} has no documents, the output has");
        assert!(error.exit_code() == 1 && error.to_string().contains(&what), "{error}");
    }
    let example = Example::of_its_tests("habitica_group_chat");
    let mut now = example.restored();
    now.get_mut("chats").unwrap().clear();
    let outcome = example.reverse(&now);
    assert_eq!(outcome.documents[0].get("chat"), Some(&Bson::Array(vec![])));
}
