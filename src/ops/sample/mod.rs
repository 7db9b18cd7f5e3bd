//! `sample`: a small dump with a document of every kind, masked if asked, for rehearsals on a laptop.
//!
//! It reads the source twice: first to find out which document shows which kind, then to copy these.

mod choose;
mod kinds;
mod list;
mod mask;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::choose::{Choice, choose};
use self::list::{Listed, Lister};
use self::mask::Masker;
use super::source::open_documents;
use crate::artifact::apart;
use crate::artifact::layout::Layout;
use crate::artifact::staging::{Claim, Form, Staging};
use crate::base::documents::{Batches, Checking, each_document};
use crate::base::stream::is_standard_input;
use crate::disk::{Disk, IoMode, WriteFile};
use crate::dump::{Collection, Dump};
use crate::error::{Error, IoContext, Result};
use crate::fingerprints::document_digest;
use crate::mapping::{Mapped, Mapper, Plan};
use crate::plain::plain_json;
use crate::progress::Progress;
use crate::transform::{documents_path, metadata_path};

pub use self::kinds::Group;

/// The file of a sample that lists what each document stands for.
pub const LIST_NAME: &str = "sample.ndjson";

/// What [`sample`] reads and writes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dump, which is read twice.
    pub dump: PathBuf,
    /// Where the sample goes; must not exist or be empty.
    pub out: PathBuf,
    /// How many documents of each source are taken. More, if it has more kinds.
    pub documents: u64,
    /// The databases whose source collection is read; needed if several have one.
    pub databases: Vec<String>,
    /// Read the source collection of every database.
    pub all_databases: bool,
    /// The file that the plan was read from, if there is one. Whoever may not read it may not read the sample.
    pub plan_file: Option<PathBuf>,
    /// A file with a key of at least 16 bytes, with which values and names are replaced.
    pub mask: Option<PathBuf>,
    /// How files are read and written.
    pub io: IoMode,
}

impl Options {
    /// A sample of so many documents of the source collection of a dump.
    pub fn new(dump: impl Into<PathBuf>, out: impl Into<PathBuf>, documents: u64) -> Self {
        Options {
            dump: dump.into(),
            out: out.into(),
            documents,
            databases: Vec::new(),
            all_databases: false,
            plan_file: None,
            mask: None,
            io: IoMode::default(),
        }
    }
}

/// A sample that was written.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where it is.
    pub out: PathBuf,
    /// How many documents were asked for, of each source.
    pub asked: u64,
    /// Whether values and names were replaced.
    pub is_masked: bool,
    /// The source collections.
    pub sources: Vec<Source>,
    /// Remarks for the user.
    pub remarks: Vec<String>,
}

/// A source collection and what was taken of it.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// Its namespace.
    pub namespace: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The documents in the sample.
    pub taken: u64,
    /// Their bytes.
    pub taken_bytes: u64,
    /// Those that stand for a kind. The others are spread evenly over the source.
    pub representatives: u64,
    /// How many kinds there are, by group.
    pub kinds: BTreeMap<Group, u64>,
    /// What was too much to be told apart.
    pub not_told_apart: Vec<String>,
    /// Indexes that the metadata of a masked sample does not have.
    pub indexes_left_out: u64,
    /// Documents of which the mapping makes something else once they are masked, so that their
    /// findings differ.
    pub changed_by_mask: u64,
}

/// Writes a small dump of the source collection: for each kind of document the first that shows it,
/// and, up to the number asked for, others spread evenly.
///
/// A kind is a field order, a type at a place, a rule that is broken, a reason for a refusal, a value
/// of a field that the mapping assesses; the largest, oldest and newest document, and that with the
/// longest history are kinds of their own. The bytes depend on the documents, the metadata, the
/// mapping, the number and the key alone. Memory is bounded, but for 16 bytes for each unique value.
///
/// # Errors
///
/// [`Error::Usage`] if the dump is standard input or the key is too short; [`Error::Check`] if a source
/// has no documents; [`Error::Document`] at the first invalid document; [`Error::Output`] if the place
/// is not free. Nothing is left there then.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, progress::Silent, sample};
///
/// # fn main() -> mongosplit::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// # let out = directory.path().join("sample");
/// let options = sample::Options::new("fixtures/dump", &out, 10);
/// let report = sample::sample(&options, &Plan::built_in()?, &Silent)?;
/// assert_eq!(report.sources[0].documents, 60);
/// assert!(report.sources[0].taken < 60);
/// # Ok(())
/// # }
/// ```
pub fn sample(options: &Options, plan: &Plan, progress: &dyn Progress) -> Result<Report> {
    sample_on(&Disk::new(options.io), options, plan, progress)
}

/// [`sample`], with the file operations of `disk`.
#[doc(hidden)]
pub fn sample_on(
    disk: &Disk,
    options: &Options,
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Report> {
    if is_standard_input(&options.dump) {
        return Err(Error::Usage(
            "a sample takes two passes, and standard input can be read only once; save the archive to a file and name that".to_owned(),
        ));
    }
    options.plan_file.iter().for_each(|file| disk.add_source(file));
    let masker = match &options.mask {
        Some(path) => Some(Masker::open(disk, path, plan)?),
        None => None,
    };
    let layout = Layout::Directory(options.out.clone());
    let inputs: Vec<&Path> =
        std::iter::once(options.dump.as_path()).chain(options.mask.as_deref()).collect();
    apart::check_output(&inputs, &layout)?;
    let database = match options.databases.as_slice() {
        [database] => Some(database.as_str()),
        _ => None,
    };
    let dump = Dump::open_on(disk, &options.dump, database)?;
    progress.detail(&dump.describe());
    let sources =
        dump.sources(disk, plan.collection(), &options.databases, options.all_databases)?;
    let form = Form { layout, gzip_level: None, force: false, kind: None };
    let claim = Claim::take(disk, form)?;
    for source in &sources {
        if let Some(refusal) = dump.refusal(disk, source)? {
            return Err(refusal);
        }
    }
    let choices = sources
        .iter()
        .map(|source| choose(disk, &dump, source, plan, progress))
        .collect::<Result<Vec<_>>>()?;
    let mut staging = Staging::begin_at(claim)?;
    let mut list = staging.create(LIST_NAME)?;
    let mut report = Report {
        out: options.out.clone(),
        asked: options.documents,
        is_masked: masker.is_some(),
        sources: Vec::new(),
        remarks: dump.remarks.clone(),
    };
    for (collection, choice) in sources.iter().zip(choices) {
        let copying = Copying {
            disk,
            dump: &dump,
            collection,
            plan,
            masker: masker.as_ref(),
            asked: options.documents,
        };
        report.sources.push(copying.run(choice, &mut staging, &mut list, progress)?);
    }
    list.finish()?;
    report.remarks.extend(staging.publish_files(None)?);
    Ok(report)
}

/// Copies what was chosen of a source.
struct Copying<'a> {
    disk: &'a Disk,
    dump: &'a Dump,
    collection: &'a Collection,
    plan: &'a Plan,
    masker: Option<&'a Masker>,
    asked: u64,
}

impl Copying<'_> {
    fn run(
        &self,
        choice: Choice,
        staging: &mut Staging<'_>,
        list: &mut WriteFile<'_>,
        progress: &dyn Progress,
    ) -> Result<Source> {
        let namespace = self.collection.namespace();
        let (database, name) = (&self.collection.database, &self.collection.name);
        let mut source = Source {
            namespace: namespace.clone(),
            documents: choice.documents,
            bytes: choice.bytes,
            taken: 0,
            taken_bytes: 0,
            representatives: choice.chosen.len() as u64,
            kinds: choice.kinds.by_group(),
            not_told_apart: choice.kinds.limits.describe(),
            indexes_left_out: 0,
            changed_by_mask: 0,
        };
        if let Some(metadata) = self.dump.metadata(self.disk, self.collection)? {
            let bytes = match self.masker {
                None => metadata.bytes,
                Some(masker) => {
                    let masked = masker.metadata(&metadata, name);
                    source.indexes_left_out = masked.left_out;
                    masked.bytes
                }
            };
            let mut file = staging.create(&metadata_path(database, name, false))?;
            file.write(&[&bytes])?;
            file.finish()?;
        }
        let mut file = staging.create(&documents_path(database, name, false))?;
        let lister = Lister::new(&choice, self.masker);
        write_line(list, &lister.head(&source, self.plan))?;
        let mut compared = self.masker.map(|_| Compared::new(self.plan));
        let (mut documents, total) = open_documents(self.disk, self.dump, self.collection)?;
        progress.start(&namespace, total);
        let mut spread = choice.spread(self.asked);
        let mut digest = 0u128;
        let mut number = 0;
        each_document(&mut documents, Checking::Framing, progress, |located| {
            number += 1;
            let document = located.bytes();
            digest = digest.wrapping_add(document_digest(document));
            let is_chosen = choice.chosen.contains_key(&number);
            if !is_chosen && !spread.takes(&choice, number) {
                return Ok(());
            }
            // What was read before was valid; this is compared with it only at the end.
            crate::raw::Validator::default()
                .check(document)
                .map_err(|fault| Error::document(located.position(), fault))?;
            let masked = self.masker.map(|masker| masker.document(document));
            let written = masked.as_deref().unwrap_or(document);
            let differs = match &mut compared {
                Some(compared) => compared.differ(document, written),
                None => false,
            };
            source.taken += 1;
            source.taken_bytes += written.len() as u64;
            source.changed_by_mask += u64::from(differs);
            let listed = Listed { number: source.taken, source: number, bytes: written, differs };
            write_line(list, &lister.document(&namespace, listed))?;
            file.write(&[written])
        })?;
        progress.finish();
        file.finish()?;
        if digest != choice.digest {
            return Err(Error::input(
                Path::new(documents.file()),
                "has changed while it was read; a sample needs a dump that stays as it is",
            ));
        }
        Ok(source)
    }
}

fn write_line(file: &mut WriteFile<'_>, line: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(line).map_err(std::io::Error::from);
    let text = text.writing("write", Path::new(LIST_NAME))?;
    file.write(&[plain_json(&text).as_bytes(), b"\n"])
}

/// What the mapping makes of a document and of what it becomes by masking.
struct Compared<'p> {
    plan: &'p Plan,
    mapper: Mapper<'p>,
    mapped: Mapped,
}

impl<'p> Compared<'p> {
    fn new(plan: &'p Plan) -> Self {
        Compared { plan, mapper: Mapper::new(plan), mapped: Mapped::default() }
    }

    fn differ(&mut self, document: &[u8], masked: &[u8]) -> bool {
        self.verdict(document) != self.verdict(masked)
    }

    /// The rules that a document breaks, and why a server would refuse it; none if it is malformed.
    fn verdict(&mut self, document: &[u8]) -> Option<(Vec<String>, Option<String>)> {
        let mapped = &mut self.mapped;
        self.mapper.map(std::iter::once(document), |_| None, mapped).ok()?;
        let rules = mapped.findings.iter(self.plan).map(|(rule, _)| rule.name.clone()).collect();
        Some((rules, mapped.refused.first().map(|refused| refused.reason.kind())))
    }
}
