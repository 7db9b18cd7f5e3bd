//! Outputs of every version, in `tests/data/outputs`: each verifies, and comes back as it was.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::files::names_in;
use harness::{World, fixture, root};
use mongosplit::manifest::Manifest;
use mongosplit::progress::Silent;
use mongosplit::{Plan, reverse, transform, verify};

fn kept() -> PathBuf {
    root().join("tests/data/outputs")
}

/// An output to keep: its place below the version, and what it is made of.
fn to_keep(version: &Path) -> [transform::Options; 3] {
    let options = |source: &str, place: &str| {
        transform::Options::new(fixture("odd").join(source), version.join(place))
    };
    [
        options("iso-text", "directory"),
        transform::Options {
            all_databases: true,
            archive: true,
            gzip_level: Some(6),
            ..options("two-databases", "databases/archive")
        },
        transform::Options {
            skip_unrestorable: true,
            gzip_level: Some(6),
            ..options("no-id", "rejected")
        },
    ]
}

/// Writes what the present version makes, if that is asked for.
fn update() {
    if std::env::var_os("UPDATE_OUTPUTS").is_none() {
        return;
    }
    let unreleased = kept().join("unreleased");
    let _ = fs::remove_dir_all(&unreleased);
    fs::create_dir_all(unreleased.join("databases")).expect("a directory");
    for options in to_keep(&unreleased) {
        let made = transform::transform(&options, &Plan::built_in().expect("the plan"), &Silent);
        made.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn outputs_of_every_version_come_back() {
    update();
    let versions: Vec<String> =
        names_in(&kept()).into_iter().filter(|name| !name.ends_with(".md")).collect();
    assert!(versions.contains(&"unreleased".to_owned()), "{versions:?}; `make outputs` writes it");
    for version in versions {
        for options in to_keep(&kept().join(&version)) {
            let (out, world) = (options.out, World::new());
            let report = verify::verify(&verify::Options::new(&out), &Silent);
            let report = report.unwrap_or_else(|error| panic!("{error}"));
            assert!(report.holds(), "{}: {:?}", out.display(), report.differences);
            // What comes back is compared with the SHA-256 of the source.
            let back = reverse::Options::new(&out, world.path("back"));
            let reversed = reverse::reverse(&back, &Silent);
            let reversed = reversed.unwrap_or_else(|error| panic!("{error}"));
            let recorded = Manifest::read(&out).expect("the manifest").sources;
            let sums = |sources: &[mongosplit::manifest::Source]| -> Vec<(u64, String)> {
                let of = |source: &mongosplit::manifest::Source| {
                    (source.documents, source.sha256.clone())
                };
                sources.iter().map(of).collect()
            };
            assert_eq!(sums(&reversed.manifest.sources), sums(&recorded), "{}", out.display());
            let today = reverse::Options::new(&out, world.path("today"));
            let merged = reverse::reverse_current(&today, &out, true, &Silent, &mut |_| Ok(()));
            merged.unwrap_or_else(|error| panic!("{}: {error}", out.display()));
        }
    }
}
