//! The same documents give the same bytes: with any number of threads, from any kind of dump, read and written in
//! any way, at any place.

mod harness;

use std::fs;
use std::path::Path;

use harness::{DATABASE, Files, World, content, dump, files, fixture, same_files};
use mongosplit::disk::IoMode;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{self, reverse};
use mongosplit::transform::{self, transform};

fn output_of(
    world: &World,
    dump: &Path,
    name: &str,
    change: impl FnOnce(&mut transform::Options),
) -> Files {
    let mut options = transform::Options::new(dump, world.path(name));
    change(&mut options);
    transform(&options, &Plan::built_in().expect("the plan"), &Silent)
        .unwrap_or_else(|error| panic!("{error}"));
    files(&world.path(name))
}

/// Plain and compressed, over several batches.
#[test]
fn threads_and_ways_of_writing_change_no_byte() {
    let world = World::new();
    let dump = world.generate("dump", 12);
    for level in [None, Some(1), Some(6)] {
        let name = |what: &str| format!("{what}-{level:?}");
        let one = output_of(&world, &dump, &name("one"), |options| {
            (options.threads, options.gzip_level) = (Some(1), level)
        });
        for threads in [2, 7] {
            let more = output_of(&world, &dump, &name(&threads.to_string()), |options| {
                (options.threads, options.gzip_level) = (Some(threads), level);
            });
            same_files(&one, &more, &format!("{threads} threads, level {level:?}"));
        }
        let buffered = output_of(&world, &dump, &name("buffered"), |options| {
            (options.io, options.gzip_level) = (IoMode::Buffered, level)
        });
        same_files(&one, &buffered, "through the page cache");
    }
}

#[test]
fn compressed_files_hold_what_the_plain_ones_hold() {
    let world = World::new();
    let dump = world.generate("dump", 12);
    let plain = output_of(&world, &dump, "plain", |_| {});
    let packed = output_of(&world, &dump, "packed", |options| options.gzip_level = Some(1));
    for (name, bytes) in plain.iter().filter(|(name, _)| name.starts_with(DATABASE)) {
        let packed_name =
            if name.ends_with(".rollback") { name.clone() } else { format!("{name}.gz") };
        assert!(packed.contains_key(&packed_name), "{packed_name} among {:?}", packed.keys());
        assert!(content(&world.path("packed").join(&packed_name)) == *bytes, "{name}");
    }
}

#[test]
fn a_dump_plain_or_compressed_or_in_parts_gives_the_same() {
    let world = World::new();
    let plain = output_of(&world, &dump(), "plain", |_| {});
    let packed = output_of(&world, &fixture("dump-gzip"), "packed", |_| {});
    same_files(&plain, &packed, "plain and gzip dump");
    let directory = output_of(&world, &dump().join(DATABASE), "directory", |_| {});
    same_files(&plain, &directory, "the database's directory");
    let file = output_of(&world, &dump().join(DATABASE).join("user_data.bson"), "file", |_| {});
    same_files(&plain, &file, "the file alone");
}

/// One member or many, and members that end within a document.
#[test]
fn many_gzip_members_give_what_one_gives() {
    let world = World::new();
    let source = fs::read(dump().join(DATABASE).join("user_data.bson")).expect("the fixture");
    let members: Vec<u8> =
        source.chunks(4_001).flat_map(|chunk| mongosplit::gzip::compress(chunk, 1)).collect();
    world.write(&format!("many/{DATABASE}/user_data.bson.gz"), members);
    let metadata =
        fs::read(dump().join(DATABASE).join("user_data.metadata.json")).expect("the fixture");
    world.write(
        &format!("many/{DATABASE}/user_data.metadata.json.gz"),
        mongosplit::gzip::compress(&metadata, 9),
    );
    let one = output_of(&world, &dump(), "one", |_| {});
    let many = output_of(&world, &world.path("many"), "out", |_| {});
    same_files(&one, &many, "many members");
}

#[test]
fn threads_change_no_byte_of_a_reversal() {
    let world = World::new();
    let dump = world.generate("dump", 12);
    output_of(&world, &dump, "out", |_| {});
    output_of(&world, &dump, "packed", |options| options.gzip_level = Some(1));
    let back = |from: &str, to: &str, threads| {
        let mut options = reverse::Options::new(world.path(from), world.path(to));
        options.threads = Some(threads);
        reverse(&options, &Silent).unwrap_or_else(|error| panic!("{error}"));
        files(&world.path(to))
    };
    let one = back("out", "back-1", 1);
    for threads in [2, 7] {
        same_files(
            &one,
            &back("out", &format!("back-{threads}"), threads),
            &format!("{threads} threads"),
        );
        same_files(
            &one,
            &back("packed", &format!("packed-{threads}"), threads),
            &format!("from a compressed output, {threads} threads"),
        );
    }
    let source = fs::read(dump.join(DATABASE).join("user_data.bson")).expect("the dump");
    assert!(one[&format!("{DATABASE}/user_data.bson")] == source);
}
