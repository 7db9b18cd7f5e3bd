//! Opens an output and checks it against its manifest, for `verify` and `reverse`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::difference::{Difference, Problem};
use super::layout::Layout;
use super::manifest::{self, Manifest, Role};
use super::staging::IGNORABLE;
use super::writer::DocumentSink;
use crate::base::hashing::Hashing;
use crate::base::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, IoContext, Result};
use crate::hash::HashingCounter;
use crate::journal::Header;
use crate::pipeline;
use crate::plain::{PlainPath, plain};

/// A manifest with a million files is smaller.
const MAX_MANIFEST_BYTES: u64 = 512 * 1024 * 1024;

/// An existing output.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) layout: Layout,
    pub(crate) manifest: Manifest,
}

impl Artifact {
    /// Reads the manifest of an output: in its directory, or next to its archive.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] if there is no output at `out`, and [`Error::Check`] if it has no manifest,
    /// a damaged one, or that of another output.
    pub(crate) fn open(disk: &Disk, out: &Path) -> Result<Artifact> {
        let archive = Layout::Archive(out.to_owned());
        let is_directory = match std::fs::metadata(out) {
            Ok(metadata) => metadata.is_dir(),
            // The archive may be missing, because it went to standard output.
            Err(_) if archive.manifest().is_file() => false,
            Err(error) => return Err(error).reading("open", out),
        };
        let layout = if is_directory { Layout::Directory(out.to_owned()) } else { archive };
        let path = layout.manifest();
        let manifest = match disk.read_small(&path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => Manifest::parse(&bytes, &path)?,
            Err(error) if error.is_not_found() && is_directory => {
                return Err(Error::Check(format!(
                    "'{}' has no {}: it is not an output of mongosplit, or an unfinished one",
                    out.plain(),
                    manifest::FILE_NAME
                )));
            }
            Err(error) if error.is_not_found() => {
                let what = format!(
                    "is not an output of mongosplit: it is not a directory, and there is no '{}' next to it",
                    path.plain()
                );
                return Err(Error::input(out, what));
            }
            Err(error) => return Err(error),
        };
        if manifest.options.archive == is_directory {
            return Err(Error::Check(format!(
                "'{}' is not the manifest of '{}', but of another output",
                path.plain(),
                out.plain()
            )));
        }
        if manifest.options.archive
            && manifest
                .archive()
                .is_none_or(|file| Some(file.path.as_ref()) != out.file_name().map(Path::new))
        {
            let named = manifest.archive().map_or("no archive", |file| file.path.as_str());
            return Err(Error::Check(format!(
                "'{}' is the manifest of '{named}'; rename the archive and the files next to it back to that name",
                path.plain()
            )));
        }
        Ok(Artifact { layout, manifest })
    }
    /// The path of the output, as the user gave it.
    pub(crate) fn out(&self) -> &Path {
        self.layout.place()
    }
    /// The path of a file that the manifest lists.
    pub(crate) fn path(&self, file: &manifest::File) -> PathBuf {
        self.layout.path_of(&file.path)
    }
}

/// The files of an output compared with its manifest.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Files that are missing, unlisted, not regular, or of another size, and a SHA256SUMS with
    /// other contents.
    pub(crate) differences: Vec<Difference>,
    /// Files such as `.DS_Store`, which systems create in any directory.
    pub(crate) remarks: Vec<Difference>,
}

impl Contents {
    /// Fails if there are differences.
    pub(crate) fn require(&self, out: &Path) -> Result<()> {
        if self.differences.is_empty() { Ok(()) } else { Err(not_verified(out, &self.differences)) }
    }
}

/// Compares the files of an output, and the contents of SHA256SUMS, with its manifest. Only
/// SHA256SUMS is read.
pub(crate) fn contents(disk: &Disk, artifact: &Artifact) -> Result<Contents> {
    let mut contents = Contents::default();
    match artifact.layout.is_archive() {
        true => sidecar_files(disk, artifact, &mut contents)?,
        false => files_in(disk, artifact, &mut contents)?,
    }
    check_sums(disk, artifact, &mut contents)?;
    contents.differences.sort_by_cached_key(Difference::to_string);
    contents.remarks.sort_by_cached_key(Difference::to_string);
    Ok(contents)
}

fn files_in(disk: &Disk, artifact: &Artifact, contents: &mut Contents) -> Result<()> {
    let manifest = &artifact.manifest;
    let differences = &mut contents.differences;
    let mut present = BTreeSet::new();
    let mut open = vec![(artifact.out().to_owned(), String::new())];
    while let Some((directory, prefix)) = open.pop() {
        for name in disk.list(&directory).map_err(Error::of_reading)? {
            let path = format!("{prefix}{}", name.to_string_lossy());
            let place = directory.join(&name);
            let Some(metadata) = disk.look(&place).map_err(Error::of_reading)? else { continue };
            if IGNORABLE.iter().any(|ignorable| name == OsStr::new(ignorable))
                && (metadata.is_file() || metadata.is_dir())
            {
                contents.remarks.push(Difference::new(Problem::Ignorable, path));
                continue;
            }
            if metadata.is_dir() {
                let directory = format!("{path}/");
                // mongorestore takes every directory for a database, even an empty one.
                if !manifest.files.iter().any(|file| file.path.starts_with(&directory)) {
                    differences.push(Difference::new(Problem::ForeignDirectory, path));
                }
                open.push((place, directory));
                continue;
            }
            let is_manifest = path == manifest::FILE_NAME || path == manifest::SUMS_NAME;
            match manifest.files.iter().find(|file| file.path == path) {
                _ if !metadata.is_file() => {
                    differences.push(Difference::new(Problem::NotRegular, &path))
                }
                None if !is_manifest => differences.push(Difference::new(Problem::Unlisted, &path)),
                Some(file) if file.bytes != metadata.len() => {
                    differences.push(other_size(&path, metadata.len(), file.bytes));
                }
                _ => {}
            }
            present.insert(path);
        }
    }
    let expected =
        manifest.files.iter().map(|file| file.path.as_str()).chain([manifest::SUMS_NAME]);
    differences.extend(
        expected
            .filter(|path| !present.contains(*path))
            .map(|path| Difference::new(Problem::Missing, path)),
    );
    Ok(())
}

/// [`files_in`] for an archive. Unrelated files may be next to it, but not unlisted ones that are
/// named like its sidecar files.
fn sidecar_files(disk: &Disk, artifact: &Artifact, contents: &mut Contents) -> Result<()> {
    let Artifact { layout, manifest } = artifact;
    let differences = &mut contents.differences;
    let listed = manifest.files.iter().map(|file| (artifact.path(file), Some(file.bytes)));
    for (path, recorded) in listed.chain([(layout.sums(), None)]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (disk.look(&path).map_err(Error::of_reading)?, recorded) {
            (None, _) => differences.push(Difference::new(Problem::Missing, name)),
            (Some(metadata), _) if !metadata.is_file() => {
                differences.push(Difference::new(Problem::NotRegular, name))
            }
            (Some(metadata), Some(recorded)) if metadata.len() != recorded => {
                differences.push(other_size(name, metadata.len(), recorded));
            }
            _ => {}
        }
    }
    for path in ["rollback", "rejected"].map(|what| layout.path_of_named(what)) {
        let is_listed = manifest.files.iter().any(|file| artifact.path(file) == path);
        if !is_listed && disk.look(&path).map_err(Error::of_reading)?.is_some() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            differences.push(Difference::new(Problem::Unlisted, name));
        }
    }
    Ok(())
}

fn other_size(subject: impl Into<String>, found: u64, recorded: u64) -> Difference {
    Difference::value(subject, format!("{found} bytes"), recorded.to_string())
}

/// Compares SHA256SUMS with the manifest. If it is missing or not a regular file, that has been
/// reported already.
fn check_sums(disk: &Disk, artifact: &Artifact, contents: &mut Contents) -> Result<()> {
    let path = artifact.layout.sums();
    let Some(metadata) =
        disk.look(&path).map_err(Error::of_reading)?.filter(|metadata| metadata.is_file())
    else {
        return Ok(());
    };
    let expected = artifact.manifest.sums();
    let is_same = metadata.len() == expected.len() as u64
        && disk.read_small(&path, expected.len() as u64)?.as_slice() == expected.as_bytes();
    if !is_same {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        contents.differences.push(Difference::new(Problem::Sums, name));
    }
    Ok(())
}

/// Fails if the contents of files of these roles do not match the manifest.
pub(crate) fn check_stored(disk: &Disk, artifact: &Artifact, roles: &[Role]) -> Result<()> {
    let mut differences = Vec::new();
    for file in artifact.manifest.files.iter().filter(|file| roles.contains(&file.role)) {
        differences.extend(stored_difference(disk, &artifact.path(file), file)?);
    }
    if differences.is_empty() { Ok(()) } else { Err(not_verified(artifact.out(), &differences)) }
}

/// Compares the stored bytes of a file with the manifest, and describes the difference.
pub(crate) fn stored_difference(
    disk: &Disk,
    path: &Path,
    file: &manifest::File,
) -> Result<Option<Difference>> {
    let mut stream = disk.open(path)?;
    let mut hash = HashingCounter::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer).reading("read", path)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let (bytes, sha256) = hash.finish();
    Ok(other_sum(file, bytes, &sha256))
}

fn other_sum(file: &manifest::File, bytes: u64, sha256: &str) -> Option<Difference> {
    ((bytes, sha256) != (file.bytes, file.sha256.as_str()))
        .then(|| Difference::value(&file.path, format!("SHA-256 {sha256}"), &file.sha256))
}

/// The error for an output that is to be used and does not verify.
pub(crate) fn not_verified(out: &Path, differences: &[Difference]) -> Error {
    let differences: Vec<String> = differences.iter().map(Difference::to_string).collect();
    Error::Check(format!(
        "'{}' does not verify, so nothing was written:\n  {}\nrun `mongosplit verify` on it, or use another copy",
        out.plain(),
        differences.join("\n  ")
    ))
}

/// Describes how the header of a journal contradicts the manifest. `None` if both are of the same
/// run.
pub(crate) fn journal_mismatch(
    header: &Header,
    path: &Path,
    manifest: &Manifest,
    namespace: &str,
) -> Option<Difference> {
    let is_same = header.namespace == namespace && header.mapping == manifest.mapping;
    (!is_same).then(|| {
        let what = format!(
            "'{}' is the journal of another run: it is of {} by {}, but the manifest is of {namespace} by {}",
            path.plain(),
            plain(&header.namespace),
            header.mapping,
            manifest.mapping
        );
        Difference::new(Problem::Journal, namespace).found(what)
    })
}

/// A file that is hashed while it is read, with its entry in the manifest.
#[derive(Debug)]
pub(crate) struct Watched {
    pub file: manifest::File,
    pub path: PathBuf,
    hashing: Arc<Hashing>,
    read: Arc<AtomicU64>,
}

impl Watched {
    /// Opens a file of the output. The hash covers all that is read from the returned stream.
    pub fn open(
        disk: &Disk,
        artifact: &Artifact,
        file: &manifest::File,
    ) -> Result<(Stream, Watched)> {
        let path = artifact.path(file);
        let (stream, hashing) = Stream::open_hashed(disk, &path)?;
        let watched = Watched { file: file.clone(), path, hashing, read: stream.counter() };
        Ok((stream, watched))
    }
    /// The number of stored bytes that have been read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
    /// Compares the file with the manifest, and describes the difference. Call it once the stream
    /// has been read to its end.
    pub fn check(&self) -> Option<Difference> {
        let (bytes, sha256) = self.hashing.finish();
        other_sum(&self.file, bytes, &sha256)
    }
}

/// Appends to a result while hashing what was read. The file with the most bytes to hash is hashed
/// in the same loop as the appended pieces, the others on another thread.
pub(crate) fn append_watching(
    file: &mut dyn DocumentSink,
    pieces: &[&[u8]],
    watched: &[Watched],
) -> Result<()> {
    let Some((largest, _)) =
        watched.iter().enumerate().max_by_key(|(_, watched)| watched.hashing.waiting())
    else {
        return file.append_and_hash(pieces, None);
    };
    let append = || {
        watched[largest]
            .hashing
            .with_waiting(|hash, bytes| file.append_and_hash(pieces, Some((hash, &[bytes]))))
    };
    let others = || {
        watched
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != largest)
            .for_each(|(_, other)| other.hashing.catch_up())
    };
    pipeline::join(append, others).0
}
