//! Files of a test: what lies below a directory, read, copied and compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Every file below a directory with its bytes; links and pipes by what they are.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file or directory of `fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    root().join("fixtures").join(name)
}

pub fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What lies below a directory, a line each.
pub fn listing(directory: &Path) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for name in names_in(&path) {
            let path = path.join(name);
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            lines.push(format!(
                "  {name}  {:o}  {}",
                metadata.permissions().mode(),
                metadata.len()
            ));
            if metadata.is_dir() {
                open.push(path);
            }
        }
    }
    lines.sort();
    lines.truncate(200);
    lines.join("\n")
}

/// All files below a directory.
pub fn files(directory: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for name in names_in(&path) {
            let path = path.join(name);
            let metadata = path.symlink_metadata().expect("a file");
            let name = path.strip_prefix(directory).expect("below").to_string_lossy().into_owned();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() {
                files.insert(name, fs::read(&path).expect("a file that can be read"));
            } else {
                files.insert(name, format!("{:?}", metadata.file_type()).into_bytes());
            }
        }
    }
    files
}

/// Fails where two directories differ, and says in which files.
#[track_caller]
pub fn same_files(one: &Files, other: &Files, what: &str) {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "file names, {what}");
    let differ: Vec<&String> =
        one.iter().filter(|(name, bytes)| other[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?} differ, {what}");
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
}

/// The content of a file, uncompressed.
pub fn content(path: &Path) -> Vec<u8> {
    let opened = mongosplit::base::stream::Stream::open(&mongosplit::disk::Disk::default(), path);
    let mut content = Vec::new();
    opened
        .unwrap_or_else(|error| panic!("{error}"))
        .read_to_end(&mut content)
        .expect("a file that can be read");
    content
}
