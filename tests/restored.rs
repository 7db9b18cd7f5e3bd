//! `verify --restored` and `verify --source` against later dumps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::samples::*;
use harness::*;

fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_restored_database_is_compared_in_any_order() {
    let world = Migration::of(&three());
    let restored = world.restored();
    let report = world.path("report.ndjson");
    let compare = |redump: &Collections| {
        world.told(&[
            "verify".as_ref(),
            &world.path("out"),
            "--restored".as_ref(),
            &world.redump(redump),
            "--details".as_ref(),
            &report,
        ])
    };
    let mut redump = restored.clone();
    redump.values_mut().for_each(|documents| documents.reverse());
    let (code, said) = compare(&redump);
    assert!(code == 0 && lines(&report).is_empty(), "{said}");
    let mut fields = elements(&redump[TARGETS[0]][0]);
    fields.reverse();
    redump.get_mut(TARGETS[0]).unwrap()[0] = from_elements(&fields);
    let (code, said) = compare(&redump);
    assert!(code == 0 && lines(&report).is_empty() && said.contains("order"), "{said}");

    set(of(&mut redump, TARGETS[0], &oid(1).to_hex()), "pii_report.masked", true.into());
    set(of(&mut redump, TARGETS[0], &oid(1).to_hex()), "s3_url", 1.into());
    redump.get_mut(TARGETS[2]).unwrap().clear();
    let mut extra = redump[TARGETS[1]][0].clone();
    set(&mut extra, "_id", oid(9).into());
    redump.get_mut(TARGETS[1]).unwrap().push(extra);
    let (code, said) = compare(&redump);
    assert_eq!(code, 1, "{said}");
    let mut found: Vec<_> = lines(&report)
        .iter()
        .map(|line| {
            format!(
                "{} {} {} {}",
                line["namespace"], line["id"], line["difference"], line["fields"]
            )
        })
        .collect();
    found.sort();
    let quoted = |number| format!("\"ObjectId('{}')\"", oid(number).to_hex());
    assert_eq!(
        found,
        [
            format!(
                "\"narrative_modeling.dataset_metadata\" {} \"changed\" [\"pii_report.masked\",\"s3_url\"]",
                quoted(1)
            ),
            format!("\"narrative_modeling.model_configs\" {} \"missing\" []", quoted(2)),
            format!("\"narrative_modeling.transformation_configs\" {} \"extra\" []", quoted(9)),
        ]
    );
}

#[test]
fn a_source_that_has_changed_since_is_told_document_by_document() {
    let mut changed = application(oid(2), 1);
    let world = Migration::of(&[application(oid(1), 2), changed.clone(), application(oid(3), 0)]);
    changed.insert("filename", "other");
    let later = world.path("later");
    write_dump(
        &later,
        DATABASE,
        &[("user_data", &raw(&[application(oid(4), 0), changed, application(oid(3), 0)]).concat())],
    );
    let report = world.path("report.ndjson");
    let (code, said) = world.told(&[
        "verify".as_ref(),
        &world.path("out"),
        "--source".as_ref(),
        &later,
        "--details".as_ref(),
        &report,
    ]);
    assert_eq!(code, 1, "{said}");
    let mut found: Vec<_> = lines(&report)
        .iter()
        .map(|line| format!("{} {} {}", line["difference"], line["id"], line["fields"]))
        .collect();
    found.sort();
    let quoted = |number| format!("\"ObjectId('{}')\"", oid(number).to_hex());
    assert_eq!(
        found,
        [
            format!("\"changed\" {} [\"filename\"]", quoted(2)),
            format!("\"extra\" {} []", quoted(4)),
            format!("\"missing\" {} []", quoted(1))
        ]
    );
}

#[test]
fn a_restored_reversal_is_compared_with_the_source_collection() {
    let world = Migration::of(&three());
    let redump = world.path("redump");
    for archive in [false, true] {
        let back = world.fresh("back");
        let more: &[&std::path::Path] = if archive { &["--archive".as_ref()] } else { &[] };
        let out = world.path("out");
        let (code, said) =
            world.told(&[&["reverse".as_ref(), out.as_path(), back.as_path()], more].concat());
        assert_eq!(code, 0, "{said}");
        let compare = |collection: &str, documents: &[Vec<u8>]| {
            let _ = std::fs::remove_dir_all(&redump);
            write_dump(&redump, DATABASE, &[(collection, &documents.concat())]);
            world.told(&["verify".as_ref(), &back, "--restored".as_ref(), &redump])
        };
        let mut documents = world.sources();
        documents.reverse();
        let (code, said) = compare("user_data", &documents);
        assert!(code == 0 && said.contains("3 documents compared"), "{code} {said}");
        set(&mut documents[0], "filename", "other".into());
        documents.remove(1);
        let (code, said) = compare("user_data", &documents);
        assert!(code == 1 && said.contains("1 missing, 0 extra, 1 changed"), "{code} {said}");
        let (code, said) = compare("other", &documents);
        assert!(
            code == 3 && said.contains("has no narrative_modeling.user_data, which the output has"),
            "{code} {said}"
        );
    }
}

#[test]
fn a_source_whose_metadata_has_changed_is_told() {
    let documents = [application(oid(1), 2)];
    let world = Migration::of(&documents);
    let later = world.path("later");
    write_dump(&later, DATABASE, &[("user_data", &world.source)]);
    let compare =
        || world.told(&["verify".as_ref(), &world.path("out"), "--source".as_ref(), &later]);
    let (code, said) = compare();
    assert_eq!(code, 0, "{said}");
    let metadata = later.join(DATABASE).join("user_data.metadata.json");
    std::fs::write(&metadata, r#"{"options":{},"indexes":[],"collectionName":"user_data","uuid":"00000000000000000000000000000001"}"#)
        .unwrap();
    let (code, said) = compare();
    assert!(
        code == 1
            && said.contains("the source's metadata differs: that of narrative_modeling.user_data"),
        "{code} {said}"
    );
    std::fs::remove_file(metadata).unwrap();
    let (code, said) = compare();
    assert!(code == 1 && said.contains("is missing now"), "{code} {said}");
}

/// After a rollback the dump of the whole database has the new collections too, and what mongorestore makes anew.
#[test]
fn a_rollback_is_validated_by_one_command() {
    let documents = [application(oid(1), 2), with_model(application(oid(2), 1))];
    let world = Migration::of(&documents);
    let after = world.redump(&world.restored());
    write_dump(&after, DATABASE, &[("user_data", &world.source)]);
    let metadata = after.join(DATABASE).join("user_data.metadata.json");
    std::fs::write(
        &metadata,
        r#"{"indexes":[{"name":"_id_","key":{"_id":{"$numberInt":"1"}},"v":{"$numberInt":"2"}}],"uuid":"0123","type":"collection","options":{},"collectionName":"user_data"}"#,
    )
    .unwrap();
    let compare = |dump: &std::path::Path| {
        world.told(&["verify".as_ref(), &world.path("out"), "--source".as_ref(), dump])
    };
    let (code, said) = compare(&after);
    let remark = "the metadata of narrative_modeling.user_data differs from the journal's only in its uuid or in an order that does not matter, as after a restore";
    assert!(
        code == 0
            && said.contains(remark)
            && said.contains("No data loss: 2 documents brought back and equal, all of them"),
        "{code} {said}"
    );
    // A file of the same content elsewhere proves a copy of the backup.
    let (code, said) = compare(&after.join(DATABASE).join("user_data.bson"));
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(&metadata).unwrap();
    for (from, to, what) in [
        (r#"]"#, r#",{"v":2,"key":{"a":1},"name":"a_1"}]"#, "index 'a_1' is new"),
        (
            r#""_id":{"$numberInt":"1"}"#,
            r#""_id":{"$numberInt":"-1"}"#,
            r#"index '_id_' has key {"_id":-1}, it was {"_id":1}"#,
        ),
        (
            r#""options":{}"#,
            r#""options":{"capped":true}"#,
            r#"options are {"capped":true}, were {}"#,
        ),
    ] {
        std::fs::write(&metadata, text.replacen(from, to, 1)).unwrap();
        let (code, said) = compare(&after);
        let expected = format!(
            "the source's metadata differs: that of narrative_modeling.user_data (indexes and options): {what}"
        );
        assert!(code == 1 && said.contains(&expected), "{code} {said}");
    }
}

/// Documents without an `_id` are found by all that they are.
#[test]
fn documents_without_an_id_are_compared_with_their_like() {
    let nameless = |name: &str| {
        let mut document = application(oid(9), 1);
        document.remove("_id");
        document.insert("filename", name);
        document
    };
    let documents = raw(&[nameless("a"), application(oid(1), 1), nameless("b"), nameless("b")]);
    let world = Migration::new(&documents, |options| options.skip_unrestorable = true);
    let later = world.path("later");
    write_dump(
        &later,
        DATABASE,
        &[("user_data", &raw(&[nameless("b"), application(oid(1), 2), nameless("a")]).concat())],
    );
    let (code, said) =
        world.told(&["verify".as_ref(), &world.path("out"), "--source".as_ref(), &later]);
    assert!(code == 1 && said.contains("1 missing, 0 extra, 1 changed"), "{code} {said}");
}

/// A document that a dump has twice has no partner in the output.
#[test]
fn a_second_document_of_one_id_is_extra() {
    let world = Migration::of(&[application(oid(1), 1), application(oid(2), 1)]);
    let mut redump = world.restored();
    let again = redump[TARGETS[0]][0].clone();
    redump.get_mut(TARGETS[0]).unwrap().push(again);
    let (code, said) = world.told(&[
        "verify".as_ref(),
        &world.path("out"),
        "--restored".as_ref(),
        &world.redump(&redump),
    ]);
    assert!(code == 1 && said.contains("0 missing, 1 extra, 0 changed"), "{code} {said}");
}

/// A load that failed leaves the data without indexes, and mongorestore may have ended with 0.
#[test]
fn indexes_that_were_not_built_are_told() {
    let world = Migration::of(&[application(oid(1), 1)]);
    let redump = world.redump(&world.restored());
    let metadata = |name: &str| redump.join(DATABASE).join(format!("{name}.metadata.json"));
    let compare =
        || world.told(&["verify".as_ref(), &world.path("out"), "--restored".as_ref(), &redump]);
    for name in TARGETS {
        std::fs::copy(
            world.path("out").join(DATABASE).join(format!("{name}.metadata.json")),
            metadata(name),
        )
        .unwrap();
    }
    let (code, said) = compare();
    assert_eq!(code, 0, "{said}");

    let complete = std::fs::read_to_string(metadata(TARGETS[0])).unwrap();
    let plain = complete.replace(r#","unique":true"#, "");
    let other = complete
        .replace(r#""created_at":{"$numberInt":"-1"}"#, r#""created_at":{"$numberInt":"1"}"#);
    let without = complete.replace("user_id_1_created_at_-1", "another");
    for (text, what) in [
        (
            plain,
            "narrative_modeling.dataset_metadata: index 'dataset_id_1_unique' is no longer unique",
        ),
        (
            other,
            r#"narrative_modeling.dataset_metadata: index 'user_id_1_created_at_-1' has key {"user_id":1,"created_at":1}, it was {"user_id":1,"created_at":-1}"#,
        ),
        (
            without,
            "narrative_modeling.dataset_metadata: index 'user_id_1_created_at_-1' is missing",
        ),
    ] {
        assert_ne!(text, complete);
        std::fs::write(metadata(TARGETS[0]), text).unwrap();
        let (code, said) = compare();
        assert!(code == 1 && said.contains(what), "{code} {said}");
    }

    let more = complete.replacen(
        r#""indexes":["#,
        r#""indexes":[{"v":2,"key":{"dataset_id":1},"name":"dataset_id_1"},"#,
        1,
    );
    std::fs::write(metadata(TARGETS[0]), more).unwrap();
    let (code, said) = compare();
    let remark = "narrative_modeling.dataset_metadata has indexes that the output does not have: dataset_id_1";
    assert!(code == 0 && said.contains(remark), "{code} {said}");

    std::fs::remove_file(metadata(TARGETS[0])).unwrap();
    let (code, said) = compare();
    assert!(
        code == 0
            && said.contains(
                "has no metadata of narrative_modeling.dataset_metadata, so it is unknown whether its indexes"
            ),
        "{code} {said}"
    );
}
