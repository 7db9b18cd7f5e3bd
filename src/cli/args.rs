//! The arguments as they are typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use mongosplit::transform::Limit;

/// Splits a monolithic collection of a MongoDB dump into the collections that replace it.
///
/// Stands between mongodump and mongorestore. Reads files and writes files; no database is touched.
#[derive(Debug, Parser)]
#[command(name = "mongosplit", version, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all checks hold; 1 a check does not hold; 2 wrong usage, or a file that cannot be \
written or must not be; 3 the input is not readable as a dump; 4 the output cannot be written; 129, 130, 143 stopped by SIGHUP, \
SIGINT, SIGTERM";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Split the source collection of a dump
    Transform(Transform),
    /// Check an output against its manifest, and against its source or a re-dump
    Verify(Verify),
    /// Bring the source collection back, byte for byte
    Reverse(Reverse),
    /// Check every document of a dump, and assess its source collection: GO or NO-GO
    Inspect(Inspect),
    /// Show one document of an output: as the source had it, what it has become, what the journal keeps
    Show(Show),
    /// List the findings of an output by rule, with the _id of every document
    Findings(Findings),
    /// Take a small dump with a document of every kind, for rehearsals; masked if asked
    Sample(Sample),
    /// Show, check, test and make mappings
    #[command(subcommand)]
    Mapping(Mapping),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write all
    Man {
        /// The command: nothing for the program, or as in `mapping check`
        command: Vec<String>,
        /// Write the pages of all commands into a directory
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        all: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mongosplit transform /backup/dump /out --expect-docs 10523
  mongosplit transform /backup/dump /out --expect-docs 10523 --dry-run")]
pub struct Transform {
    /// What mongodump made: a directory, one database's directory in it, a .bson file, or an archive (- for standard input)
    pub dump: PathBuf,
    /// The output, which must be absent or empty (- for an archive on standard output)
    pub out: PathBuf,
    /// Read everything, write nothing, and print what a real run would write
    #[arg(long)]
    pub dry_run: bool,
    /// Fail unless the source has N documents
    #[arg(long, value_name = "N", value_parser = number)]
    pub expect_docs: Option<u64>,
    #[command(flatten)]
    pub databases: Databases,
    /// The mapping: a file, or builtin:NAME [default: builtin:user_data]
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
    /// The name of the database in the output
    #[arg(long, value_name = "NAME")]
    pub to_db: Option<String>,
    /// Which of the mapping's indexes the metadata holds
    #[arg(long, value_enum, default_value_t = Indexes::All)]
    pub indexes: Indexes,
    /// Treat findings as errors
    #[arg(long, help_heading = REFUSED)]
    pub strict: bool,
    /// Fail if more documents have findings: N, or N% of all
    #[arg(long, value_name = "LIMIT", help_heading = REFUSED)]
    pub max_finding_docs: Option<Limit>,
    /// Leave out documents that a server would refuse
    #[arg(long, help_heading = REFUSED)]
    pub skip_unrestorable: bool,
    /// Fail if more documents are left out: N, or N% of all
    #[arg(long, value_name = "LIMIT", requires = "skip_unrestorable", help_heading = REFUSED)]
    pub max_rejected: Option<Limit>,
    /// How many refused documents an error names
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count, help_heading = REFUSED)]
    pub max_findings: usize,
    /// Accept a source with no documents
    #[arg(long, help_heading = REFUSED)]
    pub allow_empty: bool,
    /// Allow existing documents in target collections if no keys collide
    #[arg(long, help_heading = REFUSED)]
    pub allow_existing_targets: bool,
    /// Allow oplog.bson to have operations on the source, which are left out
    #[arg(long, help_heading = REFUSED)]
    pub ignore_oplog: bool,
    #[command(flatten)]
    pub common: Common,
}

/// The heading of the options that say what fails a run.
const REFUSED: &str = "What is refused";

/// A number as it is typed.
fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        let digits: String = text.chars().filter(|letter| !",._' ".contains(*letter)).collect();
        match digits.parse::<u64>() {
            Ok(number) => format!("write {number}"),
            Err(_) => "write a number, as in 10523".to_owned(),
        }
    })
}

/// [`number`], of things in memory.
fn count(text: &str) -> Result<usize, String> {
    number(text).and_then(|number| usize::try_from(number).map_err(|error| error.to_string()))
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mongosplit verify /out
  mongosplit verify /out --restored /backup/redump --details differences.ndjson
  mongosplit verify /out --source /backup/dump")]
pub struct Verify {
    /// What `transform` or `reverse` made; several that are restored into one database are compared with one another
    #[arg(required = true, value_name = "OUT")]
    pub outs: Vec<PathBuf>,
    /// Also derive everything again from the source's dump (one OUT only)
    #[arg(long, value_name = "DUMP", conflicts_with = "restored")]
    pub source: Option<PathBuf>,
    /// Compare with a dump of the database that every OUT was restored into
    #[arg(long, value_name = "REDUMP")]
    pub restored: Option<PathBuf>,
    /// Treat findings as errors
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mongosplit reverse /out /rehearsal
  mongosplit reverse /out /rollback --current /backup/redump --details events.ndjson")]
pub struct Reverse {
    /// What `transform` made; with --current, several of one mapping (shards) are reversed together, in this order
    #[arg(required = true, value_name = "OUT")]
    pub outs: Vec<PathBuf>,
    /// Where the source's dump goes, which must be absent or empty (- for an archive on standard output)
    pub dest: PathBuf,
    /// A dump of the new collections after the application has used them
    #[arg(long, value_name = "REDUMP")]
    pub current: Option<PathBuf>,
    /// An output of another mapping in the same database, whose documents are left out (repeatable)
    #[arg(long, value_name = "OTHER", requires = "current")]
    pub beside: Vec<PathBuf>,
    /// The name of the database in the result
    #[arg(long, value_name = "NAME")]
    pub to_db: Option<String>,
    #[command(flatten)]
    pub output: Output,
    /// Read everything, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Fail unless the first collection in REDUMP has N documents
    #[arg(long, value_name = "N", requires = "current", value_parser = number)]
    pub expect_docs: Option<u64>,
    /// Accept a REDUMP whose first collection is empty
    #[arg(long, requires = "current")]
    pub allow_empty: bool,
    /// Fail if documents have changed, conflict, or hold what is not carried back
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mongosplit inspect /backup/dump
  mongosplit inspect /backup/dump --out /backup --report assessment.html")]
pub struct Inspect {
    /// What mongodump made; - for an archive on standard input
    pub dump: PathBuf,
    /// A directory on the disk that the output will go to: is there room?
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// The database whose source collection is assessed (repeatable); all if it is not given
    #[arg(short = 'd', long = "db", value_name = "NAME")]
    pub databases: Vec<String>,
    /// Another mapping than the built-in one, or builtin:NAME
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mongosplit show /out --id 683b9800b539f345325e0796")]
pub struct Show {
    /// What `transform` made
    pub out: PathBuf,
    /// The _id of the source's document, or of one that it has become: text, Extended JSON, or as messages show it
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// The source's database, if OUT was made from several
    #[arg(short = 'd', long, value_name = "NAME")]
    pub db: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mongosplit findings /out --details findings.ndjson")]
pub struct Findings {
    /// What `transform` made
    pub out: PathBuf,
    /// How many _ids of each rule are printed; --details has all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count)]
    pub max: usize,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mongosplit sample /backup/dump /sample --docs 200
  head -c 32 /dev/urandom > key
  mongosplit sample /backup/dump /sample --docs 200 --mask key")]
pub struct Sample {
    /// What mongodump made: a directory, one database's directory in it, a .bson file, or the file of an archive
    pub dump: PathBuf,
    /// Where the sample goes, as a directory dump; must not exist or be empty
    pub out: PathBuf,
    /// How many documents to take of each source; more, if it has more kinds of them
    #[arg(long, value_name = "N", value_parser = number)]
    pub docs: u64,
    /// Replace all values and names that the mapping does not know, with the key in a file of 16 bytes or more
    #[arg(long, value_name = "KEYFILE")]
    pub mask: Option<PathBuf>,
    #[command(flatten)]
    pub databases: Databases,
    /// Another mapping than the built-in one, or builtin:NAME
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Mapping {
    /// Print a mapping as a table, every rule in words
    Show {
        /// The mapping's file, or builtin:NAME
        #[arg(value_name = "FILE", default_value = "builtin:user_data")]
        file: PathBuf,
    },
    /// Report all that is wrong with a mapping; with a dump, what it does to its documents
    Check(Check),
    /// Show what becomes of one document, and what the journal keeps of it
    Explain(Explain),
    /// Write a first mapping for a collection: it copies every field, and notes the types seen in each
    Init(Init),
    /// Run the tests in mappings
    Test {
        /// The mappings' files, or builtin:NAME
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of mappings, for editors
    Schema,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mongosplit mapping check mapping.toml /backup/dump")]
pub struct Check {
    /// The mapping's file, or builtin:NAME
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What mongodump made; - for an archive on standard input
    pub dump: Option<PathBuf>,
    #[command(flatten)]
    pub databases: Databases,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mongosplit mapping explain mapping.toml /backup/dump --id 683b9800b539f345325e0796")]
pub struct Explain {
    /// The mapping's file, or builtin:NAME
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What mongodump made; - for an archive on standard input
    pub dump: PathBuf,
    /// The document's _id: text, Extended JSON, or as messages show it
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// The database whose source collection is read, if there are several
    #[arg(short = 'd', long, value_name = "NAME")]
    pub db: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mongosplit mapping init /backup/dump --collection orders --out mapping.toml")]
pub struct Init {
    /// What mongodump made; - for an archive on standard input
    pub dump: PathBuf,
    /// The collection
    #[arg(long, value_name = "NAME")]
    pub collection: String,
    /// Its database, if several have a collection of that name
    #[arg(short = 'd', long, value_name = "NAME")]
    pub db: Option<String>,
    /// Write the mapping to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace an existing FILE, once the mapping is complete
    #[arg(long)]
    pub force: bool,
    /// How files are read
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub io: Io,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
    /// Print only the mapping and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print on stderr how the dump is read, and how long that takes
    #[arg(short, long)]
    pub verbose: bool,
}

impl Init {
    /// The options that it shares with other commands. It has no report: its result is a text.
    pub fn common(&self) -> Common {
        Common {
            threads: None,
            io: self.io,
            json: false,
            report: Vec::new(),
            metrics: None,
            details: None,
            log_file: None,
            expect_duration: None,
            color: Color::Auto,
            progress: self.progress,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}

#[derive(Debug, Args)]
pub struct Databases {
    /// The database of the source collection (repeatable)
    #[arg(short = 'd', long = "db", value_name = "NAME")]
    pub names: Vec<String>,
    /// Take the source collection of every database
    #[arg(long, conflicts_with = "names")]
    pub all_dbs: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Compress the output's files
    #[arg(long)]
    pub gzip: bool,
    /// The level, 1 (fast) to 9 (small); implies --gzip
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=9))]
    pub gzip_level: Option<u32>,
    /// Write one archive for `mongorestore --archive`, with the other files next to it
    #[arg(long)]
    pub archive: bool,
    /// The prefix of the files that go with an archive on standard output
    #[arg(long, value_name = "PREFIX")]
    pub sidecar: Option<PathBuf>,
    /// Replace an existing output, once the new one is complete
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reports and running")]
pub struct Common {
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a report, on failure too: a page (FILE.html), a notice to send (FILE.md), else JSON (repeatable)
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Write figures for Prometheus (node_exporter's textfile collector), on failure too
    #[arg(long, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// Write a line of JSON to a file for each document reported: differences, drift, findings, documents left out
    #[arg(long, value_name = "FILE")]
    pub details: Option<PathBuf>,
    /// Also write what is printed to a file, with times
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Warn if it takes three times as long, as in 90m or "1h 30m"
    #[arg(long, value_name = "TIME")]
    pub expect_duration: Option<SignedDuration>,
    /// Colours in the summary; NO_COLOR in the environment is honoured
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressKind::Auto)]
    pub progress: ProgressKind,
    /// Number of threads; by default, the number of cores
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// How files are read and written
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub io: Io,
    /// Print only errors and what does not hold
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print the summary in full, and on stderr how inputs are read, how long stages take, and the SHA-256 of each
    /// file
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Indexes {
    All,
    NonUnique,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Io {
    Auto,
    Direct,
    Buffered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// A bar on a terminal, else nothing
    Auto,
    Bar,
    Plain,
    Json,
    None,
}
