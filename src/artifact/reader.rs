//! Opening an output and checking that it is what its manifest says: one place for `verify` and `reverse`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::Layout;
use super::manifest::{self, Manifest, Role};
use super::staging::IGNORABLE;
use super::writer::DocumentSink;
use crate::base::hashing::Hashing;
use crate::base::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, IoContext, Result};
use crate::hash::Counted;
use crate::journal::Header;
use crate::pipeline;

/// More than a manifest with a million files has.
const MOST_MANIFEST_BYTES: u64 = 512 * 1024 * 1024;

/// An output that is there.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) layout: Layout,
    pub(crate) manifest: Manifest,
}

impl Artifact {
    /// Reads the manifest of an output: in its directory, or beside its archive.
    pub(crate) fn open(disk: &Disk, out: &Path) -> Result<Artifact> {
        let archive = Layout::Archive(out.to_owned());
        let is_directory = match std::fs::metadata(out) {
            Ok(metadata) => metadata.is_dir(),
            // The archive may be missing: it went to standard output.
            Err(_) if archive.manifest().is_file() => false,
            Err(error) => return Err(error).reading("open", out),
        };
        let layout = if is_directory { Layout::Directory(out.to_owned()) } else { archive };
        let path = layout.manifest();
        let manifest = match disk.read_small(&path, MOST_MANIFEST_BYTES) {
            Ok(bytes) => Manifest::parse(&bytes, &path)?,
            Err(error) if error.is_not_found() && is_directory => {
                return Err(Error::Check(format!(
                    "'{}' has no {}: it is no output of mongosplit, or one that was not finished",
                    out.display(),
                    manifest::FILE_NAME
                )));
            }
            Err(error) if error.is_not_found() => {
                let what = format!(
                    "is no output of mongosplit: it is no directory, and there is no '{}' beside it",
                    path.display()
                );
                return Err(Error::input(out, what));
            }
            Err(error) => return Err(error),
        };
        if manifest.options.archive == is_directory {
            return Err(Error::Check(format!(
                "'{}' is the manifest of another output than '{}'",
                path.display(),
                out.display()
            )));
        }
        if manifest.options.archive
            && manifest
                .archive()
                .is_none_or(|file| Some(file.path.as_ref()) != out.file_name().map(Path::new))
        {
            let named = manifest.archive().map_or("no archive", |file| file.path.as_str());
            return Err(Error::Check(format!(
                "'{}' is the manifest of '{named}'; give the archive and the files beside it that name again",
                path.display()
            )));
        }
        Ok(Artifact { layout, manifest })
    }
    /// The output, as it was named.
    pub(crate) fn out(&self) -> &Path {
        self.layout.place()
    }
    /// Where a file of the manifest is.
    pub(crate) fn path(&self, file: &manifest::File) -> PathBuf {
        self.layout.path_of(&file.path)
    }
}

/// Which files an output consists of, held against its manifest.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Files that are missing, too many, of another size, or no files; SHA256SUMS that says something else.
    pub(crate) differences: Vec<String>,
    /// Files that systems leave in any directory.
    pub(crate) remarks: Vec<String>,
}

impl Contents {
    /// Fails where there are differences.
    pub(crate) fn require(&self, out: &Path) -> Result<()> {
        if self.differences.is_empty() { Ok(()) } else { Err(not_verified(out, &self.differences)) }
    }
}

/// Holds the files of an output, and what SHA256SUMS says, against its manifest. No other file's content is read.
pub(crate) fn contents(disk: &Disk, artifact: &Artifact) -> Result<Contents> {
    let mut contents = Contents::default();
    match artifact.layout.is_archive() {
        true => files_beside(disk, artifact, &mut contents)?,
        false => files_in(disk, artifact, &mut contents)?,
    }
    check_sums(disk, artifact, &mut contents)?;
    contents.differences.sort();
    contents.remarks.sort();
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
            let shown = path.escape_debug();
            if IGNORABLE.iter().any(|ignorable| name == OsStr::new(ignorable))
                && (metadata.is_file() || metadata.is_dir())
            {
                contents.remarks.push(format!("'{shown}' is there, which systems leave in any directory; it is not part of the output"));
                continue;
            }
            if metadata.is_dir() {
                let directory = format!("{path}/");
                // mongorestore takes any directory for a database, an empty one too.
                if !manifest.files.iter().any(|file| file.path.starts_with(&directory)) {
                    differences.push(format!(
                        "'{shown}' is a directory that no file of the manifest lies in"
                    ));
                }
                open.push((place, directory));
                continue;
            }
            let is_manifest = path == manifest::FILE_NAME || path == manifest::SUMS_NAME;
            match manifest.files.iter().find(|file| file.path == path) {
                _ if !metadata.is_file() => {
                    differences.push(format!("'{shown}' is no regular file"))
                }
                None if !is_manifest => {
                    differences.push(format!("'{shown}' is there, but not in the manifest"))
                }
                Some(file) if file.bytes != metadata.len() => {
                    differences.push(format!(
                        "'{path}' has {} bytes, the manifest says {}",
                        metadata.len(),
                        file.bytes
                    ));
                }
                _ => {}
            }
            present.insert(path);
        }
    }
    let expected =
        manifest.files.iter().map(|file| file.path.as_str()).chain([manifest::SUMS_NAME]);
    differences.extend(
        expected.filter(|path| !present.contains(*path)).map(|path| format!("'{path}' is missing")),
    );
    Ok(())
}

/// [`files_in`] of an archive: beside it, other files may be anything, but not the archive's own by their names.
fn files_beside(disk: &Disk, artifact: &Artifact, contents: &mut Contents) -> Result<()> {
    let Artifact { layout, manifest } = artifact;
    let differences = &mut contents.differences;
    let listed = manifest.files.iter().map(|file| (artifact.path(file), Some(file.bytes)));
    for (path, said) in listed.chain([(layout.sums(), None)]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (disk.look(&path).map_err(Error::of_reading)?, said) {
            (None, _) => differences.push(format!("'{name}' is missing")),
            (Some(metadata), _) if !metadata.is_file() => {
                differences.push(format!("'{name}' is no regular file"))
            }
            (Some(metadata), Some(said)) if metadata.len() != said => {
                differences.push(format!(
                    "'{name}' has {} bytes, the manifest says {said}",
                    metadata.len()
                ));
            }
            _ => {}
        }
    }
    for path in ["rollback", "rejected"].map(|what| layout.path_of_own(what)) {
        let is_listed = manifest.files.iter().any(|file| artifact.path(file) == path);
        if !is_listed && disk.look(&path).map_err(Error::of_reading)?.is_some() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            differences
                .push(format!("'{}' is there, but not in the manifest", name.escape_debug()));
        }
    }
    Ok(())
}

/// What is missing, or no file, has been noted; what cannot be read is an error.
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
        contents.differences.push(format!("'{name}' is not what the manifest says"));
    }
    Ok(())
}

/// Fails where the content of files of these roles is not what the manifest says.
pub(crate) fn check_stored(disk: &Disk, artifact: &Artifact, roles: &[Role]) -> Result<()> {
    let mut differences = Vec::new();
    for file in artifact.manifest.files.iter().filter(|file| roles.contains(&file.role)) {
        differences.extend(stored_difference(disk, &artifact.path(file), file)?);
    }
    if differences.is_empty() { Ok(()) } else { Err(not_verified(artifact.out(), &differences)) }
}

/// How a file's stored bytes differ from what the manifest says.
pub(crate) fn stored_difference(
    disk: &Disk,
    path: &Path,
    file: &manifest::File,
) -> Result<Option<String>> {
    let mut stream = disk.open(path)?;
    let mut hash = Counted::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer).reading("read", path)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let (bytes, sha256) = hash.finish();
    Ok(((bytes, &sha256) != (file.bytes, &file.sha256)).then(|| {
        format!("'{}' has SHA-256 {sha256}, the manifest says {}", file.path, file.sha256)
    }))
}

/// The error of a command that an output which does not verify has stopped.
pub(crate) fn not_verified(out: &Path, differences: &[String]) -> Error {
    Error::Check(format!(
        "'{}' does not verify, so nothing was reversed:\n  {}\nrun `mongosplit verify` on it, or take another copy",
        out.display(),
        differences.join("\n  ")
    ))
}

/// What a journal's header says that a manifest does not.
pub(crate) fn of_another_run(
    header: &Header,
    path: &Path,
    manifest: &Manifest,
    namespace: &str,
) -> Option<String> {
    let is_same = header.namespace == namespace && header.mapping == manifest.mapping;
    (!is_same).then(|| {
        format!(
            "'{}' is the journal of another run: it is of {} by {}, the manifest is of {namespace} by {}",
            path.display(),
            header.namespace,
            header.mapping,
            manifest.mapping
        )
    })
}

/// A file that is read and hashed, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub file: manifest::File,
    pub path: PathBuf,
    hashing: Arc<Hashing>,
    pub mode: u32,
    read: Arc<AtomicU64>,
}

impl Watched {
    pub fn open(
        disk: &Disk,
        artifact: &Artifact,
        file: &manifest::File,
    ) -> Result<(Stream, Watched)> {
        let path = artifact.path(file);
        let (stream, hashing) = Stream::open_hashed(disk, &path)?;
        let watched = Watched {
            file: file.clone(),
            path,
            hashing,
            mode: stream.mode,
            read: stream.counter(),
        };
        Ok((stream, watched))
    }
    /// Bytes that have been read.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
    /// What is wrong with the bytes, all of which have been read.
    pub fn check(&self) -> Option<String> {
        let (bytes, sha256) = self.hashing.finish();
        let same = bytes == self.file.bytes && sha256 == self.file.sha256;
        (!same).then(|| {
            format!(
                "'{}' has SHA-256 {sha256}, the manifest says {}",
                self.file.path, self.file.sha256
            )
        })
    }
}

/// Appends to a result, and hashes what was read meanwhile: the most of it side by side with what is appended.
pub(crate) fn append_watching(
    file: &mut dyn DocumentSink,
    pieces: &[&[u8]],
    watched: &[Watched],
) -> Result<()> {
    let Some((largest, _)) =
        watched.iter().enumerate().max_by_key(|(_, watched)| watched.hashing.waiting())
    else {
        return file.append_beside(pieces, None);
    };
    let append = || {
        watched[largest]
            .hashing
            .with_waiting(|hash, bytes| file.append_beside(pieces, Some((hash, &[bytes]))))
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
