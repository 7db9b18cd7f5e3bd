//! The largest and the most awkward of what a dump may hold: what the journal's own limits have to take.

mod util;

use std::fs;
use std::path::Path;

use bson::{Bson, doc, oid::ObjectId};
use mongosplit::raw::MAX_DOCUMENT_BYTES;
use util::{DATABASE, World};

fn comes_back(world: &World, dump: &Path, options: &[&str]) {
    let out = world.transform_with(dump, "out", &[&["--force"], options].concat());
    world.run(["verify".as_ref(), out.as_os_str()]).exits(0);
    let back = world.path("back");
    world.run(["reverse".as_ref(), out.as_os_str(), back.as_os_str(), "--force".as_ref()]).exits(0);
    let name = format!("{DATABASE}/user_data.bson");
    assert!(
        fs::read(back.join(&name)).expect("the result")
            == fs::read(dump.join(&name)).expect("the source")
    );
}

/// Each item has another field: its order takes more in the journal than its names do, so that the notes on the document
/// would not fit.
#[test]
fn a_document_of_almost_16_mib_with_20_000_shapes() {
    let world = World::new();
    let items = (0..20_000)
        .map(|number| Bson::Document(doc! { format!("f{number}"): Bson::Null }))
        .collect::<Vec<_>>();
    let document = doc! {
        "_id": ObjectId::from_bytes([1; 12]), "user_id": "u", "transformation_history": items,
        // Of a field that is read elsewhere, this one reaches the journal alone.
        "version": "x".repeat(MAX_DOCUMENT_BYTES - 1_000_000),
    };
    let room = MAX_DOCUMENT_BYTES - document.to_vec().expect("a document").len();
    let mut full = document.clone();
    full.insert("version", "x".repeat(MAX_DOCUMENT_BYTES - 1_000_000 + room));
    let full = full.to_vec().expect("a document");
    assert_eq!(full.len(), MAX_DOCUMENT_BYTES);
    world.write(&format!("dump/{DATABASE}/user_data.bson"), full);
    comes_back(&world, &world.path("dump"), &[]);
}

/// Documents of 16 MiB whose targets would be larger than a server takes: the journal keeps them whole.
#[test]
fn documents_of_16_mib_that_are_set_aside() {
    let world = World::new();
    let mut documents = Vec::new();
    for number in 0..2 {
        let mut document = doc! { "_id": number, "fill": "" };
        let room = MAX_DOCUMENT_BYTES - document.to_vec().expect("a document").len();
        document.insert("fill", "x".repeat(room));
        documents.extend(document.to_vec().expect("a document"));
    }
    world.write(&format!("dump/{DATABASE}/user_data.bson"), documents);
    comes_back(&world, &world.path("dump"), &["--skip-unrestorable"]);
}

#[test]
fn metadata_of_any_size_is_not_taken() {
    let world = World::new();
    let dump = world.generate("dump", 1);
    let path = dump.join(DATABASE).join("user_data.metadata.json");
    let large = |bytes: usize| {
        format!(r#"{{"options":{{"comment":"{}"}},"indexes":[]}}"#, "x".repeat(bytes - 39))
    };
    fs::write(&path, large(1024 * 1024)).expect("the metadata");
    comes_back(&world, &dump, &[]);
    for bytes in [1024 * 1024 + 1, 16_800_000] {
        fs::write(&path, large(bytes)).expect("the metadata");
        world.run(["transform".as_ref(), dump.as_os_str(), world.path("other").as_os_str()]).exits(3).complains(
            &world,
            "mongosplit: 'DIR/dump/narrative_modeling/user_data.metadata.json': has more than 1048576 bytes, which is too much for metadata; was another file given this name?",
        );
    }
    assert!(!world.path("other").exists());
}
