//! A migration and the ways on from it: an output, a later dump of it, and back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use bson::{Bson, Document};
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{CurrentReport as Report, Event};
use mongosplit::{Result, reverse, transform};

use super::files::names_in;
use super::samples::{get, raw};
use super::{DATABASE, World, split};

pub const TARGETS: [&str; 3] = ["dataset_metadata", "transformation_configs", "model_configs"];

/// The documents of each collection of a dump.
pub type Collections = BTreeMap<String, Vec<Vec<u8>>>;

/// The document of a collection with this `dataset_id`.
pub fn of<'c>(
    collections: &'c mut Collections,
    collection: &str,
    dataset: &str,
) -> &'c mut Vec<u8> {
    let documents = collections.get_mut(collection).unwrap();
    documents
        .iter_mut()
        .find(|document| get(document, "dataset_id") == Some(Bson::String(dataset.to_owned())))
        .unwrap()
}

/// A directory with a dump, and an output made of it.
pub struct Migration {
    world: World,
    pub source: Vec<u8>,
    pub plan: Plan,
    made: Cell<u32>,
}

impl Deref for Migration {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

fn owned(documents: &[u8]) -> Vec<Vec<u8>> {
    split(documents).into_iter().map(<[u8]>::to_vec).collect()
}

impl Migration {
    pub fn of(documents: &[Document]) -> Migration {
        Migration::new(&raw(documents), |_| ())
    }
    pub fn new(documents: &[Vec<u8>], change: impl Fn(&mut transform::Options)) -> Migration {
        let world = Migration {
            world: World::new(),
            source: documents.concat(),
            plan: Plan::built_in().unwrap(),
            made: 0.into(),
        };
        write_dump(&world.path("dump"), DATABASE, &[("user_data", &world.source)]);
        let mut options = transform::Options::new(world.path("dump"), world.path("out"));
        options.allow_empty = true;
        options.threads = Some(2);
        change(&mut options);
        transform::transform(&options, &world.plan, &Silent).unwrap();
        world
    }
    /// The documents of the source.
    pub fn sources(&self) -> Vec<Vec<u8>> {
        owned(&self.source)
    }
    /// Runs the binary: its exit code, and all that it said.
    pub fn told(&self, args: &[&Path]) -> (i32, String) {
        self.run(args.iter().copied().chain([Path::new("--verbose")])).told()
    }
    /// A name that nothing stands at.
    pub fn fresh(&self, name: &str) -> PathBuf {
        self.made.set(self.made.get() + 1);
        self.path(&format!("{name}-{}", self.made.get()))
    }
    /// What was restored.
    pub fn restored(&self) -> Collections {
        let file = |name: &str| self.path("out").join(DATABASE).join(format!("{name}.bson"));
        let read = |name: &str| (name.to_owned(), owned(&std::fs::read(file(name)).unwrap()));
        TARGETS.into_iter().map(read).collect()
    }
    /// Writes a later dump, of these collections.
    pub fn redump(&self, collections: &Collections) -> PathBuf {
        let path = self.fresh("redump");
        let joined: Vec<(&str, Vec<u8>)> = collections
            .iter()
            .map(|(name, documents)| (name.as_str(), documents.concat()))
            .collect();
        let files: Vec<(&str, &[u8])> =
            joined.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        write_dump(&path, DATABASE, &files);
        for name in collections.keys().map(|name| format!("{name}.metadata.json")) {
            // What was restored has its indexes.
            let _ = std::fs::copy(
                self.path("out").join(DATABASE).join(&name),
                path.join(DATABASE).join(&name),
            );
        }
        path
    }
    pub fn reverse_from(&self, redump: &Path, strict: bool) -> Result<Outcome> {
        // Of the random dumps some have nothing but documents that were set aside.
        self.reverse_with(redump, strict, |options| options.allow_empty = true)
    }
    pub fn reverse_with(
        &self,
        redump: &Path,
        strict: bool,
        change: impl Fn(&mut reverse::Options),
    ) -> Result<Outcome> {
        let dest = self.fresh("dest");
        let mut events = Vec::new();
        let mut options = reverse::Options::new(self.path("out"), &dest);
        options.threads = Some(2);
        change(&mut options);
        let result = reverse::reverse_current(&options, redump, strict, &Silent, &mut |event| {
            events.push(event.clone());
            Ok(())
        });
        match result {
            Ok(report) => {
                let bytes = std::fs::read(dest.join(DATABASE).join("user_data.bson")).unwrap();
                Ok(Outcome { documents: owned(&bytes), bytes, events, report, dest })
            }
            Err(error) => {
                assert!(!dest.exists(), "something was published");
                let left = names_in(&self.path(""));
                assert!(!left.iter().any(|name| name.contains("partial")), "{left:?}");
                Err(error)
            }
        }
    }
    pub fn reverse(&self, collections: &Collections) -> Outcome {
        self.reverse_from(&self.redump(collections), false).unwrap()
    }
    /// What documents become, and their findings are nobody's business.
    pub fn transform_again(documents: &[Vec<u8>]) -> Collections {
        Migration::new(documents, |options| options.skip_unrestorable = true).restored()
    }
}

pub struct Outcome {
    pub bytes: Vec<u8>,
    pub documents: Vec<Vec<u8>>,
    pub events: Vec<Event>,
    pub report: Report,
    pub dest: PathBuf,
}

impl Outcome {
    pub fn document(&self, number: usize) -> Document {
        Document::from_reader(self.documents[number].as_slice()).unwrap()
    }
    pub fn event(&self) -> &Event {
        assert_eq!(self.events.len(), 1, "{:#?}", self.events);
        &self.events[0]
    }
    /// The source's fields that a lone event says have changed.
    pub fn changed(&self) -> Vec<&str> {
        self.event().changed.iter().map(|change| change.field.as_str()).collect()
    }
}

pub fn write_dump(path: &Path, database: &str, files: &[(&str, &[u8])]) {
    let directory = path.join(database);
    std::fs::create_dir_all(&directory).unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.join(format!("{name}.bson")), bytes).unwrap();
        let metadata = format!(
            r#"{{"options":{{}},"indexes":[{{"v":{{"$numberInt":"2"}},"key":{{"_id":{{"$numberInt":"1"}}}},"name":"_id_"}}],"uuid":"00","collectionName":"{name}","type":"collection"}}"#
        );
        std::fs::write(directory.join(format!("{name}.metadata.json")), metadata).unwrap();
    }
}
