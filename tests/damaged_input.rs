//! Dumps that are damaged anywhere: cut at every byte, and with every byte changed. A run fails with a position, or
//! what it makes comes back as it was; it never panics.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{DATABASE, World, content, copy, fixture, flip};
use mongosplit::error::Error;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::reverse::{self, reverse};
use mongosplit::transform::{self, transform};

fn options(dump: &Path, out: &Path) -> transform::Options {
    let mut options = transform::Options::new(dump, out);
    (options.threads, options.skip_unrestorable, options.allow_empty) = (Some(1), true, true);
    options
}

fn a_copy(world: &World, case: &str, file: &str) -> (PathBuf, PathBuf, Vec<u8>) {
    let dump = world.path("dump");
    copy(&fixture("odd").join(case), &dump);
    let file = dump.join(DATABASE).join(file);
    let bytes = fs::read(&file).expect("the documents");
    (dump, file, bytes)
}

/// Cuts a file of a case to each length, and shows what a dry run makes of it.
fn cut(
    world: &World,
    case: &str,
    file: &str,
    mut check: impl FnMut(usize, mongosplit::Result<transform::Report>),
) {
    let plan = Plan::built_in().expect("the plan");
    let (dump, file, bytes) = a_copy(world, case, file);
    let mut options = options(&dump, &world.path("out"));
    options.dry_run = true;
    for length in 0..bytes.len() {
        fs::write(&file, &bytes[..length]).expect("the documents");
        check(length, transform(&options, &plan, &Silent));
    }
}

#[test]
fn a_dump_cut_anywhere_fails_with_its_position() {
    let world = World::new();
    cut(&world, "no-prelude", "user_data.bson", |length, result| {
        match result {
            // A bare .bson file does not tell how many documents it should have.
            Ok(report) => assert_eq!(
                (length % 230, report.manifest.sources[0].documents),
                (0, length as u64 / 230)
            ),
            Err(Error::Document { position, .. }) => {
                assert_eq!(
                    (position.document, position.offset),
                    (length as u64 / 230 + 1, length as u64 / 230 * 230),
                    "cut to {length}"
                );
                assert_eq!(position.id.is_some(), length % 230 > 20, "cut to {length}: {position}");
            }
            Err(error) => panic!("cut to {length}: {error}"),
        }
    });
}

#[test]
fn a_compressed_dump_cut_anywhere_is_refused() {
    let world = World::new();
    let mut accepted = Vec::new();
    cut(&world, "gzip-two-members", "user_data.bson.gz", |length, result| match result {
        Ok(_) => accepted.push(length),
        Err(error) => assert_eq!(error.exit_code(), 3, "cut to {length}: {error}"),
    });
    // Nothing, or the end of the first member where that is the end of a document too.
    assert!(accepted.len() <= 1, "cut to {accepted:?} bytes, and accepted");
}

/// A changed byte may be a changed value. What is accepted comes back.
#[test]
fn a_changed_byte_is_refused_or_comes_back() {
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    let (dump, file, bytes) = a_copy(&world, "no-prelude", "user_data.bson");
    let mut accepted = 0;
    for at in 0..bytes.len() {
        let changed = flip(&bytes, at, [0x01, 0x02, 0x04, 0x10, 0x80][at % 5]);
        fs::write(&file, &changed).expect("the documents");
        let mut dry = options(&dump, &world.path("out"));
        dry.dry_run = true;
        match transform(&dry, &plan, &Silent) {
            Ok(_) if at % 12 == 0 => {
                accepted += 1;
                transform(&options(&dump, &world.path("out")), &plan, &Silent)
                    .unwrap_or_else(|error| panic!("byte {at}: {error}"));
                reverse(&reverse::Options::new(world.path("out"), world.path("back")), &Silent)
                    .unwrap_or_else(|error| panic!("byte {at}: {error}"));
                assert!(
                    content(&world.path("back").join(DATABASE).join("user_data.bson")) == changed,
                    "byte {at}"
                );
                fs::remove_dir_all(world.path("out")).expect("the output");
                fs::remove_dir_all(world.path("back")).expect("the result");
            }
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error, Error::Document { .. } | Error::Input { .. }),
                "byte {at}: {error}"
            ),
        }
    }
    assert!(accepted > 10, "{accepted}");
}

/// Written to during the run: an error, and nothing is published.
#[test]
fn a_dump_that_changes_while_it_is_read_is_refused() {
    struct Writes(PathBuf);
    impl mongosplit::progress::Progress for Writes {
        fn advance(&self, _: u64, _: u64) {
            let mut content = fs::read(&self.0).expect("the documents");
            content.extend_from_slice(&[5, 0, 0, 0, 0]);
            fs::write(&self.0, content).expect("the documents");
        }
    }
    let world = World::new();
    let plan = Plan::built_in().expect("the plan");
    let (dump, file, _) = a_copy(&world, "no-prelude", "user_data.bson");
    let error =
        transform(&options(&dump, &world.path("out")), &plan, &Writes(file)).expect_err("an error");
    assert_eq!(
        world.plain(&error.to_string()),
        "'DIR/dump/narrative_modeling/user_data.bson': changed while it was read (690 bytes before, 695 bytes now); run again once nothing writes to it"
    );
    world.holds_only(&["dump"]);
}
