//! `verify --restored` and `verify --source` against later dumps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common_current;

use common_current::*;

fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_restored_database_is_compared_in_any_order() {
    let world = World::of(&[application(oid(1), 2), with_model(application(oid(2), 1)), application(oid(3), 0)]);
    let restored = world.restored();
    let report = world.path("report.ndjson");
    let compare = |redump: &Collections| {
        run(&["verify".as_ref(), &world.path("out"), "--restored".as_ref(), &world.write(redump), "--report".as_ref(), &report])
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
        .map(|line| format!("{} {} {} {}", line["namespace"], line["id"], line["difference"], line["fields"]))
        .collect();
    found.sort();
    let quoted = |number| format!("\"ObjectId('{}')\"", oid(number).to_hex());
    assert_eq!(
        found,
        [
            format!("\"narrative_modeling.dataset_metadata\" {} \"changed\" [\"pii_report.masked\",\"s3_url\"]", quoted(1)),
            format!("\"narrative_modeling.model_configs\" {} \"missing\" []", quoted(2)),
            format!("\"narrative_modeling.transformation_configs\" {} \"extra\" []", quoted(9)),
        ]
    );
}

#[test]
fn a_source_that_has_changed_since_is_told_document_by_document() {
    let mut changed = application(oid(2), 1);
    let world = World::of(&[application(oid(1), 2), changed.clone(), application(oid(3), 0)]);
    changed.insert("filename", "other");
    let later = world.path("later");
    write_dump(&later, DATABASE, &[("user_data", &raw(&[application(oid(4), 0), changed, application(oid(3), 0)]).concat())]);
    let report = world.path("report.ndjson");
    let (code, said) = run(&["verify".as_ref(), &world.path("out"), "--source".as_ref(), &later, "--report".as_ref(), &report]);
    assert_eq!(code, 1, "{said}");
    let mut found: Vec<_> = lines(&report).iter().map(|line| format!("{} {} {}", line["difference"], line["id"], line["fields"])).collect();
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
    let world = World::of(&[application(oid(1), 2), with_model(application(oid(2), 1)), application(oid(3), 0)]);
    let redump = world.path("redump");
    for archive in [false, true] {
        let back = world.fresh("back");
        let more: &[&std::path::Path] = if archive { &["--archive".as_ref()] } else { &[] };
        let out = world.path("out");
        let (code, said) = run(&[&["reverse".as_ref(), out.as_path(), back.as_path()], more].concat());
        assert_eq!(code, 0, "{said}");
        let compare = |collection: &str, documents: &[Vec<u8>]| {
            let _ = std::fs::remove_dir_all(&redump);
            write_dump(&redump, DATABASE, &[(collection, &documents.concat())]);
            run(&["verify".as_ref(), &back, "--restored".as_ref(), &redump])
        };
        let mut documents = split(&world.source);
        documents.reverse();
        let (code, said) = compare("user_data", &documents);
        assert!(code == 0 && said.contains("3 documents compared"), "{code} {said}");
        set(&mut documents[0], "filename", "other".into());
        documents.remove(1);
        let (code, said) = compare("user_data", &documents);
        assert!(code == 1 && said.contains("missing: 1, extra: 0, changed: 1"), "{code} {said}");
        let (code, said) = compare("other", &documents);
        assert!(code == 3 && said.contains("has no narrative_modeling.user_data, which the output has"), "{code} {said}");
    }
}

#[test]
fn a_source_whose_metadata_has_changed_is_told() {
    let documents = [application(oid(1), 2)];
    let world = World::of(&documents);
    let later = world.path("later");
    write_dump(&later, DATABASE, &[("user_data", &world.source)]);
    let compare = || run(&["verify".as_ref(), &world.path("out"), "--source".as_ref(), &later]);
    let (code, said) = compare();
    assert_eq!(code, 0, "{said}");
    let metadata = later.join(DATABASE).join("user_data.metadata.json");
    std::fs::write(&metadata, r#"{"options":{},"indexes":[],"collectionName":"user_data","uuid":"00000000000000000000000000000001"}"#)
        .unwrap();
    let (code, said) = compare();
    assert!(code == 1 && said.contains("the source's metadata differs: that of narrative_modeling.user_data"), "{code} {said}");
    std::fs::remove_file(metadata).unwrap();
    let (code, said) = compare();
    assert!(code == 1 && said.contains("is missing now"), "{code} {said}");
}
