//! `verify`: an output against its manifest. Reports every difference, then fails.

mod restored;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::batch::{Batch, Splitter};
use crate::disk::{Disk, IoMode};
use crate::dump::{Metadata, Stream, read_small};
use crate::error::{Error, IoContext, Result, counted};
use crate::hash::{self, Counted};
use crate::journal;
use crate::manifest::{self, Kind, Manifest, Role};
use crate::pipeline::{self, Stages, Threads};
use crate::progress::Progress;
use crate::raw;
use crate::transform::rounded_seconds;

pub use restored::{DocumentDifference, RestoredReport, compare_with_restored};
pub use source::{SourceReport, compare_with_source};

/// What to check, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The output.
    pub out: PathBuf,
    /// Findings in the manifest fail the check.
    pub strict: bool,
    /// Number of threads.
    pub threads: Option<usize>,
    /// How files are read.
    pub io: IoMode,
}

impl Options {
    /// For an output, everything else as the command line has it by default.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Options { out: out.into(), strict: false, threads: None, io: IoMode::Auto }
    }
}

/// What a check has found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The output.
    pub out: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Files that were read.
    pub files: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// What does not hold; empty where everything does.
    pub differences: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Reads the manifest of an output.
pub fn read_manifest(out: &Path) -> Result<Manifest> {
    let path = out.join(manifest::FILE_NAME);
    let metadata = std::fs::metadata(out).reading("open", out)?;
    if !metadata.is_dir() {
        return Err(Error::input(out, "is no output of mongosplit: it is no directory"));
    }
    match std::fs::read(&path) {
        Ok(bytes) => Manifest::parse(&bytes, &path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Check(format!(
            "'{}' has no {}: it is no output of mongosplit, or one that was not finished",
            out.display(),
            manifest::FILE_NAME
        ))),
        Err(source) => Err(Error::Read { action: "read", path, source }),
    }
}

/// Checks an output against its manifest: which files there are, their sizes, SHA-256, framing and counts.
pub fn verify(options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let manifest = read_manifest(&options.out)?;
    let disk = Disk::new(options.io);
    let threads = Threads::new(options.threads)?;
    let mut differences = file_set(&options.out, &manifest)?;
    differences.extend(contradictions(&manifest));
    let total: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    progress.start("verify", Some(total));
    let mut checked = Checked { documents: 0, bytes: 0 };
    for file in &manifest.files {
        match check_file(&disk, &threads, &options.out, file, &mut checked, progress) {
            Ok(found) => differences.extend(found),
            Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error @ Error::Interrupted(_)) => return Err(error),
            Err(error) => differences.push(error.to_string()),
        }
    }
    progress.finish();
    let sums = options.out.join(manifest::SUMS_NAME);
    if let Ok(content) = std::fs::read(&sums)
        && content != manifest.sums().as_bytes()
    {
        differences.push(format!("'{}' is not what the manifest says", sums.display()));
    }
    if options.strict {
        for finding in manifest.sources.iter().flat_map(|source| &source.findings) {
            differences.push(format!("finding {}: {} ({} documents)", finding.rule, finding.expects, finding.documents));
        }
    }
    Ok(Report {
        out: options.out.clone(),
        files: manifest.files.len(),
        bytes: checked.bytes,
        manifest,
        differences,
        seconds: rounded_seconds(began.elapsed()),
    })
}

/// Files that are missing, too many, of another size, or no files.
pub(crate) fn file_set(out: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let mut present = BTreeSet::new();
    let mut open = vec![(out.to_owned(), String::new())];
    while let Some((directory, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&directory).reading("list", &directory)? {
            let entry = entry.reading("list", &directory)?;
            let name = entry.file_name();
            if prefix.is_empty() && name == "lost+found" {
                continue;
            }
            let path = format!("{prefix}{}", name.to_string_lossy());
            let metadata = entry.path().symlink_metadata().reading("look at", &entry.path())?;
            if metadata.is_dir() {
                let directory = format!("{path}/");
                // mongorestore takes any directory for a database, an empty one too.
                if !manifest.files.iter().any(|file| file.path.starts_with(&directory)) {
                    differences.push(format!("'{}' is a directory that no file of the manifest lies in", path.escape_debug()));
                }
                open.push((entry.path(), directory));
                continue;
            }
            if !metadata.is_file() {
                differences.push(format!("'{}' is no regular file", path.escape_debug()));
                present.insert(path);
                continue;
            }
            let is_manifest = path == manifest::FILE_NAME || path == manifest::SUMS_NAME;
            match manifest.files.iter().find(|file| file.path == path) {
                None if !is_manifest => differences.push(format!("'{}' is there, but not in the manifest", path.escape_debug())),
                Some(file) if file.bytes != metadata.len() => {
                    differences.push(format!("'{path}' has {} bytes, the manifest says {}", metadata.len(), file.bytes));
                }
                _ => {}
            }
            present.insert(path);
        }
    }
    let expected = manifest.files.iter().map(|file| file.path.as_str()).chain([manifest::SUMS_NAME]);
    differences.extend(expected.filter(|path| !present.contains(*path)).map(|path| format!("'{path}' is missing")));
    differences.sort();
    Ok(differences)
}

/// Where the manifest's own numbers do not agree.
fn contradictions(manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    for source in &manifest.sources {
        if (manifest.kind == Kind::Transform) == source.targets.is_empty() {
            let kind = if manifest.kind == Kind::Transform { "transform" } else { "reverse" };
            found.push(format!("the manifest is of {kind}, and has {} target collections for {}", source.targets.len(), source.namespace));
        }
        for target in &source.targets {
            let documents = manifest.file(Role::Documents, &target.namespace).and_then(|file| file.documents);
            if !manifest.options.archive && documents != Some(target.documents) {
                let of_file = documents.map_or("none".to_owned(), |documents| documents.to_string());
                found.push(format!("the manifest gives {} documents for {}, and {of_file} for its file", target.documents, target.namespace));
            }
        }
        if manifest.kind == Kind::Transform && source.round_trip.proven != source.documents {
            found.push(format!(
                "the manifest gives {} for {}, and {} that were proven to come back",
                counted(source.documents, "document"),
                source.namespace,
                source.round_trip.proven
            ));
        }
        if manifest.kind == Kind::Transform && manifest.file(Role::Journal, &source.namespace).is_none() {
            found.push(format!("the manifest names no journal of {}", source.namespace));
        }
    }
    found
}

struct Checked {
    documents: u64,
    bytes: u64,
}

fn check_file(
    disk: &Disk,
    threads: &Threads,
    out: &Path,
    file: &manifest::File,
    checked: &mut Checked,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let path = out.join(&file.path);
    let mut differences = Vec::new();
    let mut differ = |what: &str, found: String, said: &str| {
        if found != said {
            differences.push(format!("'{}' has {what}{found}, the manifest says {said}", file.path));
        }
    };
    if file.role == Role::Metadata {
        let stored = std::fs::read(&path).reading("read", &path)?;
        checked.bytes += stored.len() as u64;
        differ("SHA-256 ", hash::sha256(&stored), &file.sha256);
        let content = read_small(disk, &path)?;
        if let Some(raw_sha256) = &file.raw_sha256 {
            differ("SHA-256 of its content ", hash::sha256(&content), raw_sha256);
        }
        Metadata::parse(content, &path)?;
        return Ok(differences);
    }
    let (stream, hashed) = if file.raw_sha256.is_some() {
        let (stream, hashed) = Stream::open_hashed(disk, &path)?;
        (stream, Some(hashed))
    } else {
        (Stream::open(disk, &path)?, None)
    };
    let limit = if file.role == Role::Journal { journal::MAX_DOCUMENT_BYTES } else { raw::MAX_DOCUMENT_BYTES };
    let mut splitter = Splitter::new(stream, 0, path.display().to_string()).with_limit(limit);
    let mut raw = Counted::default();
    let before = (checked.documents, checked.bytes);
    let framed = pipeline::run(threads, &Framing { progress, before }, &mut splitter, &mut raw);
    let (documents, _) = splitter.counts();
    let read = splitter.stream().file_bytes_read();
    checked.documents += documents;
    checked.bytes += read;
    framed?;
    splitter.stream().check_unchanged()?;
    let (raw_bytes, raw_sha256) = raw.finish();
    match hashed {
        None => {
            // Another size was noted before anything was read.
            differ("SHA-256 ", raw_sha256, &file.sha256);
        }
        Some(hashed) => {
            let (_, sha256) = hashed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone().finish();
            differ("SHA-256 ", sha256, &file.sha256);
            differ("uncompressed bytes: ", raw_bytes.to_string(), &file.raw_bytes.unwrap_or_default().to_string());
            differ("uncompressed SHA-256 ", raw_sha256, file.raw_sha256.as_deref().unwrap_or_default());
        }
    }
    if let Some(said) = file.documents {
        differ("", counted(documents, "document"), &counted(said, "document"));
    }
    Ok(differences)
}

/// Frames documents while they are hashed on another thread.
struct Framing<'a> {
    progress: &'a dyn Progress,
    before: (u64, u64),
}

impl Stages for Framing<'_> {
    type Input = Batch;
    type Output = ();
    type Reader = Splitter<Stream>;
    type Writer = Counted;

    fn read(&self, splitter: &mut Splitter<Stream>, batch: &mut Batch) -> Result<bool> {
        let more = splitter.fill(batch)?;
        let (documents, _) = splitter.counts();
        self.progress.advance(self.before.0 + documents, self.before.1 + splitter.stream().file_bytes_read());
        Ok(more)
    }
    fn size(&self, batch: &Batch) -> usize {
        batch.bytes.len()
    }
    fn map(&self, _: &Batch, _: &mut ()) -> Result<()> {
        Ok(())
    }
    fn write(&self, hash: &mut Counted, round: &mut [(Batch, ())]) -> Result<()> {
        round.iter().for_each(|(batch, ())| hash.update(&batch.bytes));
        Ok(())
    }
    fn check(&self) -> Result<()> {
        self.progress.interrupted().map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
    }
}
