//! Reports, logs and mappings. Their places are checked before anything is read, and a report or a
//! mapping is published whole or not at all.

use std::collections::VecDeque;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mongosplit::apart::{Inputs, parent_of};
use mongosplit::audience::{Audience, Replaced};
use mongosplit::layout::Layout;
use mongosplit::plain::PlainPath;
use mongosplit::{Error, Result};
use rustix::fs::Access;
use tempfile::NamedTempFile;

use super::args::Common;
use super::report::Form;

/// A report or a mapping that is being written.
#[derive(Debug)]
pub struct WholeFile {
    to: BufWriter<To>,
    path: PathBuf,
    purpose: Purpose,
    /// Who may read it once it is published.
    audience: Audience,
}

/// What a file is for, in errors.
#[derive(Debug, Clone, Copy)]
struct Purpose {
    /// The option that names it.
    option: &'static str,
    /// What is done with it, as a verb.
    action: &'static str,
}

const METRICS: Purpose = Purpose { option: "--metrics", action: "write the metrics" };
const DETAILS: Purpose = Purpose { option: "--details", action: "write the details" };
const REPORT: Purpose = Purpose { option: "--report", action: "write the report" };
const MAPPING: Purpose = Purpose { option: "--out", action: "write the mapping" };

#[derive(Debug)]
enum To {
    /// A temporary file in the same directory, renamed when it is complete.
    Temporary {
        file: NamedTempFile,
        place: PathBuf,
        /// The file that it replaces.
        replaced: Option<Replaced>,
        /// What is at `place` by then may be replaced.
        may_replace: bool,
    },
    /// A pipe, a terminal or a device. It is opened at the first write, because opening a pipe
    /// waits for a reader.
    Special {
        path: PathBuf,
        file: Option<File>,
    },
    /// The file that standard output is open on, or standard error. A second descriptor would
    /// overwrite its content.
    Stdout,
    Stderr,
}

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            To::Temporary { file, .. } => file.as_file_mut().write(bytes), // tempfile's errors name the temporary file
            To::Special { file: Some(file), .. } => file.write(bytes),
            To::Special { path, file } => {
                file.insert(File::options().write(true).open(path)?).write(bytes)
            }
            To::Stdout => io::stdout().write(bytes),
            To::Stderr => io::stderr().write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            To::Stdout => io::stdout().flush(),
            _ => Ok(()),
        }
    }
}

impl WholeFile {
    fn begin(
        place: Place,
        path: &Path,
        purpose: Purpose,
        may_replace: bool,
        audience: Audience,
    ) -> Result<WholeFile> {
        let option = purpose.option;
        let to = match place {
            Place::Special => To::Special { path: path.to_owned(), file: None },
            Place::Stdout => To::Stdout,
            Place::Stderr => To::Stderr,
            Place::Absent(place) => {
                let file = temporary_next_to(&place, path, option)?;
                To::Temporary { file, place, replaced: None, may_replace }
            }
            Place::File(place, replaced) => {
                let file = temporary_next_to(&place, path, option)?;
                To::Temporary { file, place, replaced: Some(replaced), may_replace }
            }
        };
        Ok(WholeFile { to: BufWriter::new(to), path: path.to_owned(), purpose, audience })
    }
    /// Appends bytes.
    pub fn write(&mut self, text: &[u8]) -> Result<()> {
        let WholeFile { to, path, purpose, .. } = self;
        to.write_all(text).map_err(|source| purpose.failed(path, source))
    }
    /// Publishes the file.
    pub fn finish(self) -> Result<()> {
        let WholeFile { to, path, purpose, audience } = self;
        let failed = |source| purpose.failed(&path, source);
        let to = to.into_inner().map_err(|error| failed(error.into_error()))?;
        let To::Temporary { file, place, replaced, may_replace } = to else { return Ok(()) };
        match replaced {
            None => audience.admit_to(file.as_file()),
            Some(replaced) => audience.admit_instead(file.as_file(), replaced),
        }
        .map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let persisted =
            if may_replace { file.persist(&place) } else { file.persist_noclobber(&place) };
        persisted.map_err(|error| failed(error.error))?;
        // A file system that cannot sync a directory has the report in place anyway.
        let _ = File::open(parent_of(&place)).and_then(|directory| directory.sync_all());
        Ok(())
    }
}

impl Purpose {
    fn failed(self, path: &Path, source: io::Error) -> Error {
        Error::Write { action: self.action, path: path.to_owned(), source }
    }
}

/// Creates a temporary file in the directory of `place`, for its owner alone, removed unless it is
/// persisted. Errors name `path` and its option.
fn temporary_next_to(place: &Path, path: &Path, option: &str) -> Result<NamedTempFile> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    // Opened here, because tempfile's own errors name the temporary file.
    let make = |path: &Path| File::options().write(true).create_new(true).mode(0o600).open(path);
    let made = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".mongosplit-tmp")
        .make_in(parent_of(place), |path| make(path));
    made.map_err(|error| unwritable(option, path, &error))
}

fn unwritable(option: &str, path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Usage(format!("{option} '{}': cannot be written: {why}", path.plain()))
}

/// What exists at the place of a file.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Nothing. The path has no links in its directory part.
    Absent(PathBuf),
    /// A regular file: its path without links, and who may read it.
    File(PathBuf, Replaced),
    /// Neither a regular file nor a directory.
    Special,
    Stdout,
    Stderr,
}

/// Whether a standard stream is open on this file.
fn is_open_on(stream: impl AsFd, metadata: &Metadata) -> bool {
    // The types differ from system to system.
    #[allow(clippy::unnecessary_cast)]
    rustix::fs::fstat(stream).is_ok_and(|status| {
        (status.st_dev as u64, status.st_ino as u64) == (metadata.dev(), metadata.ino())
    })
}

/// Finds out what is at a place. Refuses one that is an input or part of the output.
fn examine(option: &str, path: &Path, inputs: &Inputs, output: Option<&Layout>) -> Result<Place> {
    let refused = |why: String| Error::Usage(format!("{option} '{}': {why}", path.plain()));
    let place = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(refused("is a directory; name a file".to_owned()));
        }
        Ok(metadata) => {
            if output.is_some_and(|output| output.is_stream())
                && is_open_on(io::stdout(), &metadata)
            {
                return Err(refused(
                    "is standard output, which carries the archive; name another place".to_owned(),
                ));
            }
            let (is_stdout, is_stderr) =
                (is_open_on(io::stdout(), &metadata), is_open_on(io::stderr(), &metadata));
            if !is_stdout && !is_stderr {
                rustix::fs::access(path, Access::WRITE_OK)
                    .map_err(|error| unwritable(option, path, &io::Error::from(error)))?;
            }
            match metadata.is_file() {
                _ if is_stdout => Place::Stdout,
                _ if is_stderr => Place::Stderr,
                false => return Ok(Place::Special),
                true => {
                    let real = std::fs::canonicalize(path)
                        .map_err(|error| unwritable(option, path, &error))?;
                    let replaced = Replaced::of(&real, &metadata);
                    Place::File(real, replaced)
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            Place::Absent(path.to_owned())
        }
        Err(error) => return Err(unwritable(option, path, &error)),
    };
    if let Some(refusal) =
        inputs.refusal(path).or_else(|| output.and_then(|output| output.refusal(path)))
    {
        return Err(refused(refusal));
    }
    let Place::Absent(path) = &place else { return Ok(place) };
    let parent =
        std::fs::canonicalize(parent_of(path)).map_err(|error| unwritable(option, path, &error))?;
    Ok(Place::Absent(parent.join(path.file_name().unwrap_or_default())))
}

/// What a run writes besides its output.
#[derive(Debug)]
pub struct Records {
    /// For each `--report`, and at last `--metrics`.
    pub reports: VecDeque<Report>,
    /// For `--details`.
    pub details: Option<WholeFile>,
    /// For `--log-file`.
    pub log: Option<File>,
}

/// A file for a report.
#[derive(Debug)]
pub struct Report {
    pub form: Form,
    pub file: WholeFile,
}

/// A file that is named on the command line, and what is at its place.
struct Named<'a> {
    option: &'static str,
    path: &'a Path,
    place: Place,
}

impl Named<'_> {
    fn begin(self, purpose: Purpose, audience: Audience) -> Result<WholeFile> {
        WholeFile::begin(self.place, self.path, purpose, true, audience)
    }
}

/// Opens the records of a run, after checking the places of all.
pub fn open<'a>(common: &'a Common, inputs: &Inputs, output: Option<&Layout>) -> Result<Records> {
    let examined = |option: &'static str, path: &'a Path| {
        examine(option, path, inputs, output).map(|place| Named { option, path, place })
    };
    let one = |option, path: &'a Option<PathBuf>| {
        path.as_deref().map(|path| examined(option, path)).transpose()
    };
    let reports: Vec<Named<'_>> =
        common.report.iter().map(|path| examined(REPORT.option, path)).collect::<Result<_>>()?;
    let metrics = one(METRICS.option, &common.metrics)?;
    let details = one(DETAILS.option, &common.details)?;
    let log = one(LOG, &common.log_file)?;
    let all: Vec<&Named<'_>> = reports.iter().chain(&metrics).chain(&details).chain(&log).collect();
    for (number, one) in all.iter().enumerate() {
        let is_file = matches!(one.place, Place::Absent(_) | Place::File(..));
        if let Some(other) = all[..number].iter().find(|other| is_file && other.place == one.place)
        {
            let path = other.path.plain();
            return Err(Error::Usage(match other.option == one.option {
                true => format!("{} names '{path}' twice; use two files", one.option),
                false => {
                    format!("{} and {} both name '{path}'; use two files", other.option, one.option)
                }
            }));
        }
    }
    let audience = if all.is_empty() { Audience::Owner } else { inputs.audience() };
    let mut opened = VecDeque::new();
    for named in reports {
        opened
            .push_back(Report { form: Form::of(named.path), file: named.begin(REPORT, audience)? });
    }
    // The metrics come last, so that they tell of a report that could not be written. They hold
    // figures and names of the mapping's, and another user collects them.
    if let Some(named) = metrics {
        let file = named.begin(METRICS, Audience::Everyone)?;
        opened.push_back(Report { form: Form::Metrics, file });
    }
    Ok(Records {
        reports: opened,
        details: details.map(|named| named.begin(DETAILS, audience)).transpose()?,
        log: log.map(|named| open_log(named.path, named.place, audience)).transpose()?,
    })
}

/// The option that names a log.
const LOG: &str = "--log-file";

/// Opens a log to append to it. One that exists stays as it is, so it must not have more readers
/// than what is read.
fn open_log(path: &Path, place: Place, audience: Audience) -> Result<File> {
    let append = |options: &mut OpenOptions| options.append(true).mode(0o600).open(path);
    let opened = match place {
        // With a second descriptor, the standard stream would overwrite what the log writes.
        Place::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        Place::Stderr => io::stderr().as_fd().try_clone_to_owned().map(File::from),
        // Whoever puts a file there in this moment does not get the log.
        Place::Absent(_) => append(File::options().create_new(true))
            .and_then(|file| audience.admit_to(&file).map(|()| file)),
        Place::File(..) | Place::Special => append(&mut File::options()),
    };
    let unwritable = |error: io::Error| unwritable(LOG, path, &error);
    let file = opened.map_err(unwritable)?;
    if matches!(place, Place::File(..)) && audience.is_exceeded_by(&file).map_err(unwritable)? {
        return Err(Error::Usage(format!(
            "{LOG} '{}': can be read by users who may not read all input files, and a log names documents; make it private (chmod 600, and your own), or name another file",
            path.plain()
        )));
    }
    Ok(file)
}

/// Opens a new file for a mapping, after checking its place. What exists there is refused, or
/// replaced when the mapping is complete.
pub fn open_mapping(path: &Path, inputs: &Inputs, may_replace: bool) -> Result<WholeFile> {
    let place = examine(MAPPING.option, path, inputs, None)?;
    if matches!(place, Place::File(..)) && !may_replace {
        return Err(Error::output(
            path,
            "already exists; name another file, or give --force to replace it",
        ));
    }
    WholeFile::begin(place, path, MAPPING, may_replace, inputs.audience())
}
