//! Several outputs for one database: shards of one collection, and two mappings that fill one.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bson::{Document, doc};
use harness::samples::{
    application, date, elements, from_elements, get, oid, raw, set, with_model,
};
use harness::{DATABASE, Run, TARGETS, World, in_one_line, split, steady, write_dump};

/// A mapping whose first collection is the third of the built-in one.
const MODELS: &str = r#"
format  = 2
name    = "ml_models"
version = "1.0.0"
source  = "ml_models"
key     = "model_id"

[[target]]
collection = "model_configs"
shared     = true
rest       = true
fields     = [{ name = "_id" }, { name = "model_id" }]
indexes    = [{ key = { model_id = 1 }, unique = true, name = "model_id_1_unique" }]
"#;

/// Dumps, the outputs made of them, and later dumps.
struct Database {
    world: World,
}

impl Database {
    fn new() -> Database {
        Database { world: World::new() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }
    /// A shard's dump of `user_data`, and its output of this name.
    fn shard(&self, name: &str, documents: &[Document]) -> PathBuf {
        self.output(name, "user_data", documents, &[])
    }
    fn output(
        &self,
        name: &str,
        collection: &str,
        documents: &[Document],
        options: &[&str],
    ) -> PathBuf {
        let dump = self.path(&format!("dump-{name}"));
        write_dump(&dump, DATABASE, &[(collection, &raw(documents).concat())]);
        self.world.transform_with(&dump, name, options)
    }
    /// The output of `ml_models`.
    fn models(&self, name: &str, documents: &[Document]) -> PathBuf {
        let mapping = self.world.write("models.toml", MODELS);
        let mapping = mapping.to_str().expect("UTF-8");
        self.output(name, "ml_models", documents, &["--mapping", mapping])
    }
    /// What the outputs were restored to: the documents of all of them, backwards.
    fn restored(&self, outs: &[&Path]) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut restored: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (out, target) in outs.iter().flat_map(|out| TARGETS.map(|target| (out, target))) {
            let file = out.join(DATABASE).join(format!("{target}.bson"));
            let Ok(bytes) = fs::read(file) else { continue };
            let documents = split(&bytes).into_iter().map(<[u8]>::to_vec);
            restored.entry(target.to_owned()).or_default().extend(documents);
        }
        restored.values_mut().for_each(|documents| documents.reverse());
        restored
    }
    /// Writes a later dump.
    fn redump(&self, name: &str, collections: &BTreeMap<String, Vec<Vec<u8>>>) -> PathBuf {
        let path = self.path(name);
        let joined: Vec<(&str, Vec<u8>)> =
            collections.iter().map(|(name, all)| (name.as_str(), all.concat())).collect();
        let files: Vec<(&str, &[u8])> =
            joined.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        write_dump(&path, DATABASE, &files);
        for (name, _) in files {
            let metadata = path.join(DATABASE).join(format!("{name}.metadata.json"));
            fs::remove_file(metadata).expect("the metadata");
        }
        path
    }
    fn run(&self, command: &str, paths: &[&Path], options: &[&str]) -> Run {
        let args = std::iter::once(Path::new(command)).chain(paths.iter().copied());
        self.world.run(args.chain(options.iter().map(Path::new)))
    }
    /// What a run printed, as one line, without times and the directory's name.
    fn printed(&self, run: &Run) -> String {
        self.world.plain(&in_one_line(&steady_text(&run.stdout)))
    }
}

fn steady_text(text: &str) -> String {
    text.lines().map(|line| steady(line) + "\n").collect()
}

fn id(number: u32) -> String {
    format!("ObjectId('{}')", oid(number).to_hex())
}

/// A model as the application has it.
fn model(number: u32, name: &str) -> Document {
    doc! { "_id": oid(number), "model_id": format!("model-{number}"), "user_id": "user_1", "dataset_id": oid(1).to_hex(), "name": name, "created_at": date(1) }
}

#[test]
fn shards_that_agree_can_be_restored_into_one_database() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2), with_model(application(oid(2), 1))]);
    let b = database.shard("b", &[with_model(application(oid(3), 0))]);
    let run = database.run("verify", &[&a, &b], &[]).exits(0);
    assert_eq!(
        database.printed(&run).split_once("✓ 2 outputs").expect("the outputs").1,
        " can be restored into one database: no _id, unique value or index of 3 shared collections contradicts another \
         narrative_modeling.dataset_metadata 3 documents in 2 outputs \
         narrative_modeling.transformation_configs 3 documents in 2 outputs \
         narrative_modeling.model_configs 2 documents in 2 outputs time # seconds"
    );
    assert!(database.printed(&run).contains("✓ 'DIR/a': 7 files "), "{run}");
    let json = database.run("verify", &[&a, &b], &["--json"]).exits(0);
    let json = &json.report()["result"];
    assert_eq!(json["together"]["contradictions"], 0);
    assert_eq!(json["outputs"].as_array().expect("the outputs").len(), 2);
}

/// A document that two shards have is an orphan on one of them.
#[test]
fn an_id_in_two_outputs_is_named() {
    let database = Database::new();
    let orphan = application(oid(1), 2);
    let a = database.shard("a", &[orphan.clone(), application(oid(2), 0)]);
    let mut changed = application(oid(2), 0);
    changed.insert("filename", "other");
    let b = database.shard("b", &[application(oid(3), 0), changed, orphan]);
    let run = database.run("verify", &[&a, &b], &[]).exits(1);
    let found = database.printed(&run);
    let both = "is in 'DIR/a' and 'DIR/b', ";
    assert_eq!(
        found.split_once("✗ ").expect("what is wrong").1,
        format!(
            "4 contradictions between 2 outputs for one database \
             narrative_modeling.dataset_metadata 5 documents in 2 outputs \
             narrative_modeling.transformation_configs 5 documents in 2 outputs \
             narrative_modeling.model_configs 0 documents in 2 outputs time # seconds \
             narrative_modeling.dataset_metadata: _id {two} {both}another document \
             narrative_modeling.dataset_metadata: _id {one} {both}the same document \
             narrative_modeling.transformation_configs: _id {two} {both}the same document \
             narrative_modeling.transformation_configs: _id {one} {both}the same document \
             Next: 1. Restored into one database, the second document of each pair fails. Remove one of the two from its database, dump that again and run `transform` again. A document that two shards have is an orphan on one of them: run cleanupOrphaned there first.",
            one = id(1),
            two = id(2),
        )
    );
}

/// Numbers that a server takes for equal are one `_id`.
#[test]
fn equal_numbers_are_one_id() {
    let database = Database::new();
    let named = |id: bson::Bson, dataset: &str| {
        let mut document = application(id, 0);
        document.insert("dataset_id", dataset);
        document
    };
    let a = database.shard("a", &[named(7.into(), "a")]);
    let b = database.shard("b", &[named(7.0.into(), "b")]);
    let run = database.run("verify", &[&a, &b], &[]).exits(1);
    let what = "dataset_metadata: _id 7.0 is in 'DIR/a' and 'DIR/b', another document";
    assert!(database.printed(&run).contains(what), "{run}");
}

/// The mapping's unique indexes are checked even if the metadata was written without them: a cluster may
/// build them later.
#[test]
fn a_unique_value_in_two_outputs_is_named() {
    let database = Database::new();
    let named = |number| {
        let mut document = application(oid(number), 0);
        document.insert("dataset_id", "one");
        document
    };
    let a = database.output("a", "user_data", &[named(1)], &["--indexes", "none"]);
    let b = database.output("b", "user_data", &[named(2)], &["--indexes", "none"]);
    let run = database.run("verify", &[&a, &b], &[]).exits(1);
    let found = database.printed(&run);
    for (collection, field, index) in [
        ("dataset_metadata", "dataset_id", "dataset_id_1_unique"),
        ("transformation_configs", "config_id", "config_id_1_unique"),
    ] {
        let line = format!(
            "narrative_modeling.{collection}: one value of {field} (unique index '{index}') is in 'DIR/a' and 'DIR/b': _id {} and _id {}",
            id(1),
            id(2)
        );
        assert!(found.contains(&line), "{line} in\n{found}");
    }
}

#[test]
fn indexes_of_two_mappings_must_agree() {
    let database = Database::new();
    let a = database.shard("a", &[with_model(application(oid(1), 0))]);
    let metadata = fs::read_to_string(a.join(DATABASE).join("model_configs.metadata.json"));
    assert!(metadata.expect("the metadata").contains(r#""name":"model_id_1_unique""#));
    let mapping =
        MODELS.replace("{ key = { model_id = 1 }, unique", "{ key = { model_id = -1 }, unique");
    let mapping = database.world.write("models.toml", mapping);
    let options = ["--mapping", mapping.to_str().expect("UTF-8")];
    let b = database.output("b", "ml_models", &[model(9, "m")], &options);
    let run = database.run("verify", &[&a, &b], &[]).exits(1);
    assert_eq!(
        database.printed(&run).split_once("✗ ").expect("what is wrong").1,
        r#"1 contradiction between 2 outputs for one database narrative_modeling.model_configs 2 documents in 2 outputs time # seconds narrative_modeling.model_configs: 'DIR/a' has index 'model_id_1_unique' with key {"model_id":1} and options {"unique":true}, 'DIR/b' has index 'model_id_1_unique' with key {"model_id":-1} and options {"unique":true} Next: 1. A server builds one of two such indexes. Give both mappings the same definition and run `transform` again, or restore one output with --noIndexRestore and build its other indexes by hand."#
    );
}

#[test]
fn an_output_that_does_not_verify_is_not_compared() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 0)]);
    let b = database.shard("b", &[application(oid(1), 0)]);
    fs::remove_file(b.join("SHA256SUMS")).expect("the sums");
    let run = database.run("verify", &[&a, &b], &[]).exits(1);
    let found = database.printed(&run);
    assert!(
        found.contains("✗ 'DIR/b' does not match its manifest ")
            && found.contains("'SHA256SUMS' is missing"),
        "{run}"
    );
}

/// Findings fail a strict run, and keep nothing from being compared.
#[test]
fn strict_outputs_are_compared_all_the_same() {
    let database = Database::new();
    let mut odd = application(oid(1), 0);
    odd.insert("user_id", 1);
    let a = database.shard("a", std::slice::from_ref(&odd));
    let b = database.shard("b", &[odd]);
    let run = database.run("verify", &[&a, &b], &["--strict"]).exits(1);
    for what in ["✗ 'DIR/a' has findings, and --strict was given", "✗ 2 contradictions between"]
    {
        assert!(database.printed(&run).contains(what), "{what} in\n{run}");
    }
    let quiet = database.run("verify", &[&a, &b], &["--strict", "-q"]).exits(1);
    for what in ["✗ 'DIR/b' has findings, and --strict was given", "✗ 2 contradictions between"]
    {
        assert!(database.world.plain(&quiet.stderr).contains(what), "{what} in\n{quiet}");
    }
}

#[test]
fn outputs_are_named_once_and_a_source_is_of_one() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 0)]);
    let b = database.shard("b", &[application(oid(2), 0)]);
    let again = database.path("a/../a");
    database.run("verify", &[&a, &again], &[]).exits(2).complains(
        &database.world,
        "mongosplit: 'DIR/a' and 'DIR/a/../a' are one output; name each output once",
    );
    let dump = database.path("dump-a");
    let source = ["--source", dump.to_str().expect("UTF-8")];
    database.run("verify", &[&a, &b], &source).exits(2).complains(
        &database.world,
        "mongosplit: --source takes one OUT: a dump is the source of one output; give each OUT with its own dump",
    );
}

/// The digests of all outputs add up to the re-dump's; only where they do not is each document looked up.
#[test]
fn a_restored_database_is_compared_with_all_outputs() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2), with_model(application(oid(2), 1))]);
    let b = database.shard("b", &[application(oid(3), 0)]);
    let models = database.models("models", &[model(9, "m")]);
    let outs = [a.as_path(), &b, &models];
    let mut collections = database.restored(&outs);
    let compare = |redump: &Path| {
        database.run("verify", &outs, &["--restored", redump.to_str().expect("UTF-8")])
    };
    let run = compare(&database.redump("same", &collections)).exits(0);
    let found = database.printed(&run);
    assert!(
        found.contains("✓ 8 documents compared with 'DIR/same': all are there and equal ")
            && found.contains(
                "differences 0 missing, 0 extra, 0 changed; 0 only reordered time # seconds"
            ),
        "{run}"
    );

    // One shard alone does not account for what the other has brought.
    let same = database.path("same");
    let alone = database.run("verify", &[&a], &["--restored", same.to_str().expect("UTF-8")]);
    let alone = alone.exits(1);
    assert!(alone.stdout.contains("0 missing, 3 extra, 0 changed"), "{alone}");

    let configs = collections.get_mut(TARGETS[2]).expect("the models");
    assert_eq!(get(&configs[0], "_id"), Some(oid(9).into()));
    set(&mut configs[0], "name", "other".into());
    let mut extra = configs[1].clone();
    set(&mut extra, "_id", oid(10).into());
    configs.push(extra);
    let datasets = collections.get_mut(TARGETS[0]).expect("the datasets");
    datasets.retain(|document| get(document, "_id") != Some(oid(3).into()));
    let mut fields = elements(&datasets[0]);
    fields.reverse();
    datasets[0] = from_elements(&fields);
    let run = compare(&database.redump("other", &collections)).exits(1);
    let found = database.printed(&run);
    let line = format!(
        "✗ 8 documents compared with 'DIR/other': it differs differences 1 missing, 1 extra, 1 changed; 1 only reordered time # seconds \
         missing narrative_modeling.dataset_metadata _id {} (of 'DIR/b') \
         changed narrative_modeling.model_configs _id {}: name (of 'DIR/models') \
         extra narrative_modeling.model_configs _id {} ",
        id(3),
        id(9),
        id(10)
    );
    assert!(found.contains(&line), "{line}\nin\n{found}");
    assert!(found.ends_with(&format!("--id \"{}\"", id(3))), "{found}");
    // A collection that is missing altogether.
    collections.remove(TARGETS[1]);
    compare(&database.redump("short", &collections)).exits(3).complains(
        &database.world,
        "mongosplit: 'DIR/short': has no narrative_modeling.transformation_configs, which 2 of the outputs have; was the whole database dumped, and the right one?",
    );
}

/// The documents of `user_data` in a result.
fn back(dest: &Path) -> Vec<Document> {
    documents(dest, "user_data")
}

fn documents(dest: &Path, collection: &str) -> Vec<Document> {
    let bytes = fs::read(dest.join(DATABASE).join(format!("{collection}.bson")));
    let read = |bytes: &[u8]| Document::from_reader(bytes).expect("a document");
    split(&bytes.expect("the result")).into_iter().map(read).collect()
}

impl Database {
    /// `reverse OUT... DEST --current REDUMP`.
    fn reverse(&self, outs: &[&Path], dest: &Path, redump: &Path, beside: &[&Path]) -> Run {
        let mut paths = outs.to_vec();
        paths.push(dest);
        let mut options = vec!["--current", redump.to_str().expect("UTF-8")];
        for other in beside {
            options.extend(["--beside", other.to_str().expect("UTF-8")]);
        }
        self.run("reverse", &paths, &options)
    }
}

/// Shards come back together: each one's documents, in the order of the arguments, then those created since.
#[test]
fn shards_are_reversed_together() {
    let database = Database::new();
    let (one, two, three) =
        (application(oid(1), 2), with_model(application(oid(2), 1)), application(oid(3), 0));
    let a = database.shard("a", std::slice::from_ref(&three));
    let b = database.shard("b", &[one.clone(), two.clone()]);
    let mut collections = database.restored(&[&a, &b]);
    let redump = database.redump("same", &collections);
    for (dest, outs, expected) in [
        ("back", [&*b, &*a], [&one, &two, &three]),
        ("other-way", [&*a, &*b], [&three, &one, &two]),
    ] {
        let dest = database.path(dest);
        let run = database.reverse(&outs, &dest, &redump, &[]).exits(0);
        assert!(
            run.stdout.contains("✓ Brought back 3 documents of narrative_modeling.user_data\n"),
            "{run}"
        );
        assert!(run.stdout.contains("✓ Nothing has changed since the migration"), "{run}");
        assert_eq!(back(&dest).iter().collect::<Vec<_>>(), expected);
        database.run("verify", &[&dest], &[]).exits(0);
    }

    // One is changed, one is deleted, one is new.
    let datasets = collections.get_mut(TARGETS[0]).expect("the datasets");
    let number = |datasets: &[Vec<u8>], id: u32| {
        let at = datasets.iter().position(|one| get(one, "_id") == Some(oid(id).into()));
        at.expect("the dataset")
    };
    let changed = number(datasets, 3);
    set(&mut datasets[changed], "s3_url", "s3://other".into());
    let mut created = datasets[changed].clone();
    set(&mut created, "_id", oid(0).into());
    set(&mut created, "dataset_id", "of the application".into());
    datasets.push(created);
    let deleted = number(datasets, 1);
    datasets.remove(deleted);
    let redump = database.redump("changed", &collections);
    let dest = database.path("today");
    let run = database.reverse(&[&a, &b], &dest, &redump, &[]).exits(0);
    assert!(run.stdout.contains("1 unchanged, 1 drifted, 1 added, 1 deleted; "), "{run}");
    let ids: Vec<_> =
        back(&dest).iter().map(|one| one.get_object_id("_id").expect("an id")).collect();
    assert_eq!(ids, [oid(3), oid(2), oid(0)]);
    assert_eq!(back(&dest)[0].get_str("s3_url").ok(), Some("s3://other"));
    assert_eq!(back(&dest)[1], two);
}

#[test]
fn only_outputs_of_one_mapping_are_reversed_together() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2)]);
    let b = database.shard("b", &[application(oid(2), 0)]);
    let models = database.models("models", &[model(9, "m")]);
    let redump = database.redump("redump", &database.restored(&[&a, &b, &models]));
    let dest = database.path("back");
    let manifest = |out: &Path| mongosplit::manifest::Manifest::read(out).expect("the manifest");
    database.reverse(&[&a, &models], &dest, &redump, &[]).exits(1).complains(
        &database.world,
        &format!(
            "mongosplit: 'DIR/a' was made with {}, 'DIR/models' with {}; only outputs of one mapping are reversed together. Give the other one with --beside",
            manifest(&a).mapping,
            manifest(&models).mapping
        ),
    );
    database.reverse(&[&a], &dest, &redump, &[&b]).exits(2).complains(
        &database.world,
        &format!(
            "mongosplit: 'DIR/b' was made with the mapping that is reversed, {}; name it with the other OUTs, not with --beside",
            manifest(&b).mapping
        ),
    );
    database.run("reverse", &[&a, &b, &dest], &[]).exits(2).complains(
        &database.world,
        "mongosplit: reversing several outputs, or one with --beside, needs a current dump of the collections: give it with --current, or reverse each output by itself",
    );
    let again = database.path("a/../a");
    database.reverse(&[&a, &again], &dest, &redump, &[]).exits(2).complains(
        &database.world,
        "mongosplit: 'DIR/a' and 'DIR/a/../a' are one output; name each output once",
    );
    assert!(!dest.exists());
}

/// A document in two outputs would come back twice.
#[test]
fn outputs_that_contradict_one_another_are_not_reversed_together() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2)]);
    let b = database.shard("b", &[application(oid(2), 0), application(oid(1), 2)]);
    let redump = database.redump("redump", &database.restored(&[&b]));
    let dest = database.path("back");
    database.reverse(&[&a, &b], &dest, &redump, &[]).exits(1).complains(
        &database.world,
        &format!(
            "mongosplit: the outputs 'DIR/a', 'DIR/b' contradict one another, so nothing was reversed: narrative_modeling.dataset_metadata: _id {} is in 'DIR/a' and 'DIR/b', the same document; `mongosplit verify` of all of them names each document that two of them have",
            id(1)
        ),
    );
    assert!(!dest.exists());
}

/// Indexes are no matter for what comes back: the documents were restored.
#[test]
fn indexes_that_differ_do_not_keep_anything_from_coming_back() {
    let database = Database::new();
    let a = database.shard("a", &[with_model(application(oid(1), 0))]);
    let mapping = MODELS.replace("{ model_id = 1 }, unique", "{ model_id = -1 }, unique");
    let mapping = database.world.write("models.toml", mapping);
    let options = ["--mapping", mapping.to_str().expect("UTF-8")];
    let models = database.output("models", "ml_models", &[model(9, "m")], &options);
    let redump = database.redump("redump", &database.restored(&[&a, &models]));
    let run = database.reverse(&[&a], &database.path("back"), &redump, &[&models]).exits(0);
    assert!(run.stdout.contains("✓ Nothing has changed since the migration"), "{run}");
}

/// A source that was put elsewhere on one shard is not joined with the others.
#[test]
fn outputs_in_two_databases_are_not_reversed_together() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2)]);
    let options = ["--to-db", "elsewhere"];
    let b = database.output("b", "user_data", &[application(oid(2), 0)], &options);
    let redump = database.redump("redump", &database.restored(&[&a]));
    let dest = database.path("back");
    database.reverse(&[&a, &b], &dest, &redump, &[]).exits(1).complains(
        &database.world,
        "mongosplit: narrative_modeling.user_data is narrative_modeling.dataset_metadata in 'DIR/a', and elsewhere.dataset_metadata in 'DIR/b'; reverse these outputs one by one",
    );
}

/// The original of a part is proven even if another part has changed.
#[test]
fn a_damaged_part_is_noticed() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2)]);
    let b = database.shard("b", &[application(oid(2), 0)]);
    let redump = database.redump("redump", &database.restored(&[&a, &b]));
    let file = b.join(DATABASE).join("transformation_configs.bson");
    let mut bytes = fs::read(&file).expect("the documents");
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("the documents");
    let dest = database.path("back");
    let run = database.reverse(&[&a, &b], &dest, &redump, &[]).exits(1);
    assert!(run.stderr.contains("' does not verify"), "{run}");
    assert!(!dest.exists());
}

/// Both mappings fill `model_configs`. Each one's reversal takes what is its own.
#[test]
fn what_another_mapping_brought_is_left_out() {
    let database = Database::new();
    let two = with_model(application(oid(2), 1));
    let a = database.shard("a", &[application(oid(1), 2), two.clone()]);
    let models = database.models("models", &[model(8, "m"), model(9, "n")]);
    let mut collections = database.restored(&[&a, &models]);
    let redump = database.redump("same", &collections);
    // Without the other mapping, its models are taken for those of datasets.
    let run = database.reverse(&[&a], &database.path("wrong"), &redump, &[]).exits(0);
    assert!(!run.stdout.contains("✓ Nothing has changed"), "{run}");

    let dest = database.path("back");
    let run = database.reverse(&[&a], &dest, &redump, &[&models]).exits(0);
    let found = database.printed(&run);
    for line in [
        "✓ Brought back 2 documents of narrative_modeling.user_data ",
        "left out of narrative_modeling.model_configs, as in 'DIR/models': 2 documents that mapping 'ml_models' brought, and 0 created since, which belong to it ",
        "✓ Nothing has changed since the migration",
    ] {
        assert!(found.contains(line), "{line} in\n{found}");
    }
    assert_eq!(back(&dest), [application(oid(1), 2), two.clone()]);
    let dest = database.path("models-back");
    let run = database.reverse(&[&models], &dest, &redump, &[&a]).exits(0);
    assert!(run.stdout.contains("✓ Nothing has changed since the migration"), "{run}");
    assert_eq!(documents(&dest, "ml_models"), [model(8, "m"), model(9, "n")]);

    // A model that the application has created is that mapping's whose driving collection it is in.
    let created = model(7, "new").to_vec().expect("a document");
    collections.get_mut(TARGETS[2]).expect("the models").push(created);
    let redump = database.redump("created", &collections);
    let dest = database.path("today");
    let run = database.reverse(&[&a], &dest, &redump, &[&models]).exits(0);
    let found = database.printed(&run);
    assert!(found.contains("brought, and 1 created since, which belong to it "), "{run}");
    assert_eq!(back(&dest), [application(oid(1), 2), two]);
    let dest = database.path("models-today");
    let run = database.reverse(&[&models], &dest, &redump, &[&a]).exits(0);
    assert!(run.stdout.contains("2 unchanged, 0 drifted, 1 added, 0 deleted; "), "{run}");
    assert_eq!(documents(&dest, "ml_models"), [model(8, "m"), model(9, "n"), model(7, "new")]);
}

/// A document that is in no output, in a collection that drives no mapping or several, is listed.
#[test]
fn a_created_document_that_is_nobodys_is_listed() {
    let database = Database::new();
    let a = database.shard("a", &[with_model(application(oid(1), 1))]);
    // A mapping that fills `model_configs` second.
    let second = MODELS.replace("rest       = true\n", "").replace(
        "[[target]]",
        "[[target]]\ncollection = \"models\"\nrest = true\nfields = [{ name = \"_id\" }, { name = \"model_id\" }]\n\n[[target]]",
    );
    let mapping = database.world.write("second.toml", second);
    let options = ["--mapping", mapping.to_str().expect("UTF-8")];
    let other = database.output("other", "ml_models", &[model(9, "m")], &options);
    let mut collections = database.restored(&[&a, &other]);
    let created = model(7, "new").to_vec().expect("a document");
    collections.get_mut(TARGETS[2]).expect("the models").push(created);
    let redump = database.redump("redump", &collections);
    let report = database.path("report.ndjson");
    let dest = database.path("back");
    let mut run = vec![Path::new("reverse"), &a, &dest, Path::new("--current"), &redump];
    run.extend([Path::new("--beside"), &other, Path::new("--details"), &report, Path::new("-v")]);
    let run = database.world.run(run).exits(0);
    let line = format!(
        "! orphan _id {}: not carried back: narrative_modeling.model_configs document created since; it is in no output, and its collection drives no mapping",
        id(7)
    );
    assert!(in_one_line(&run.stdout).contains(&line), "{run}");
    assert!(run.stdout.contains("1 not carried back,"), "{run}");
    assert_eq!(back(&dest), [with_model(application(oid(1), 1))]);
    let dest = database.path("strict");
    let options = ["--current", redump.to_str().expect("UTF-8"), "--beside"];
    let options = [&options[..], &[other.to_str().expect("UTF-8"), "--strict"]].concat();
    database.run("reverse", &[&a, &dest], &options).exits(1);

    // Two mappings with one driving collection.
    let models = database.models("models", &[model(9, "m")]);
    let mapping = database.world.write("third.toml", MODELS.replace("ml_models", "third"));
    let options = ["--mapping", mapping.to_str().expect("UTF-8")];
    let third = database.output("third", "third", &[model(8, "n")], &options);
    let mut collections = database.restored(&[&models, &third]);
    let created = model(7, "new").to_vec().expect("a document");
    collections.get_mut(TARGETS[2]).expect("the models").push(created);
    let redump = database.redump("of-two", &collections);
    let run =
        database.reverse(&[&models], &database.path("of-two-back"), &redump, &[&third]).exits(0);
    let line = format!("! orphan _id {}: not carried back:", id(7));
    assert!(in_one_line(&run.stdout).contains(&line), "{run}");
    assert!(run.stdout.contains("1 unchanged, 0 drifted, 0 added, 0 deleted; "), "{run}");
}

/// What `--beside` names is checked, and a mapping without a common collection changes nothing.
#[test]
fn other_outputs_are_checked() {
    let database = Database::new();
    let a = database.shard("a", &[application(oid(1), 2)]);
    let mapping = database.world.write("apart.toml", MODELS.replace("model_configs", "apart"));
    let options = ["--mapping", mapping.to_str().expect("UTF-8")];
    let apart = database.output("apart", "ml_models", &[model(9, "m")], &options);
    let models = database.models("models", &[model(9, "m")]);
    let redump = database.redump("redump", &database.restored(&[&a, &models]));
    let run = database.reverse(&[&a], &database.path("back"), &redump, &[&apart, &models]).exits(0);
    let remark = "! 'DIR/apart' shares no collection with ";
    assert!(database.printed(&run).contains(remark), "{run}");

    let file = models.join(DATABASE).join("model_configs.bson");
    let mut bytes = fs::read(&file).expect("the documents");
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("the documents");
    let dest = database.path("damaged");
    let run = database.reverse(&[&a], &dest, &redump, &[&models]).exits(1);
    assert!(run.stderr.contains("'narrative_modeling/model_configs.bson' has SHA-256"), "{run}");
    assert!(!dest.exists());
}

/// The script of `docs/SHARDED.md`, between programs that do what mongosh and mongodump would.
#[test]
fn the_script_for_a_shard_splits_it() {
    let database = Database::new();
    for (number, documents) in
        [[application(oid(1), 2)], [with_model(application(oid(2), 0))]].iter().enumerate()
    {
        let dump = database.path(&format!("shard-{number}"));
        write_dump(&dump, DATABASE, &[("user_data", &raw(documents).concat())]);
    }
    database.world.write("uris", "shard-0\nshard-1\n");
    database.world.write("bin/mongosh", "#!/bin/sh\necho 1\n");
    database.world.write(
        "bin/mongodump",
        "#!/bin/sh\n# --uri URI --db NAME --collection NAME --out DIR\nmkdir -p \"$8\" && cp -r \"$DIR/$2/.\" \"$8\"\n",
    );
    let script = "chmod +x \"$DIR\"/bin/* && ln -s \"$MONGOSPLIT\" \"$DIR/bin/mongosplit\"
        export PATH=\"$DIR/bin:$PATH\" SHARDS=\"$DIR/uris\" WORK=\"$DIR/work\"
        set -e
        for number in 0 1 1; do sh docs/examples/sharded/split-shard.sh $number; done
        sh -c 'mongosplit verify \"$WORK\"/*/out'
        sh docs/examples/sharded/split-shard.sh 2";
    let run = database.world.shell(script).exits(2);
    assert!(run.stdout.contains("✓ 2 outputs can be restored into one database"), "{run}");
    let last = database.world.plain(&run.stderr);
    assert_eq!(last.lines().last(), Some("split-shard: 'DIR/uris' has no line 3"), "{run}");
}

/// Outputs in different forms are the same outputs.
#[test]
fn outputs_may_be_archives() {
    let database = Database::new();
    let two = with_model(application(oid(2), 1));
    let a = database.shard("a", &[application(oid(1), 2)]);
    let as_directory = database.shard("b", std::slice::from_ref(&two));
    let packed = ["--archive", "--gzip"];
    let b = database.output("b.archive", "user_data", std::slice::from_ref(&two), &packed);
    let mapping = database.world.write("models.toml", MODELS);
    let options = [&packed[..], &["--mapping", mapping.to_str().expect("UTF-8")]].concat();
    let models = database.output("models.archive", "ml_models", &[model(9, "m")], &options);
    let plain = database.models("models", &[model(9, "m")]);
    let outs = [&*b, &*a, &*models];
    let run = database.run("verify", &outs, &[]).exits(0);
    assert!(run.stdout.contains("in 3 outputs\n"), "{run}");
    let run = database.run("verify", &[&as_directory, &b], &[]).exits(1);
    assert!(run.stdout.contains("✗ 3 contradictions between 2 outputs"), "{run}");
    let redump = database.redump("redump", &database.restored(&[&a, &as_directory, &plain]));
    let restored = ["--restored", redump.to_str().expect("UTF-8")];
    database.run("verify", &outs, &restored).exits(0);
    let dest = database.path("back");
    let run = database.reverse(&[&b, &a], &dest, &redump, &[&models]).exits(0);
    assert!(run.stdout.contains("✓ Nothing has changed since the migration"), "{run}");
    assert_eq!(back(&dest), [two, application(oid(1), 2)]);
    // Results of `reverse` are outputs, too: of one source they contradict one another.
    let again = database.path("again");
    database.reverse(&[&b, &a], &again, &redump, &[&models]).exits(0);
    let run = database.run("verify", &[&dest, &again], &[]).exits(1);
    let line = format!(
        "narrative_modeling.user_data: _id {} is in 'DIR/back' and 'DIR/again', the same document",
        id(1)
    );
    assert!(database.printed(&run).contains(&line), "{run}");
}
