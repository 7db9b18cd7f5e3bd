//! Reports as text for people.

/// Appends a line to a text.
macro_rules! line {
    ($text:expr, $($line:tt)*) => {
        $text.push_str(&(format!($($line)*) + "\n"))
    };
}

mod check;
mod explain;
mod findings;
mod inspect;
mod reverse;
mod sample;
mod tests;
mod transform;
mod verify;

use mongosplit::layout::Layout;
use mongosplit::manifest::{File, Manifest, Role, Source};
use mongosplit::plain::json_string;

use super::page::{Align, Command, Content, Line, Page, Table};
use super::text::{count, path_argument, thousands};

pub use check::check;
pub use explain::{explain, show};
pub use findings::findings;
pub use inspect::{inspect, no_go};
pub use reverse::{reverse, reverse_current};
pub use sample::sample;
pub use tests::tests;
pub use transform::transform;
pub use verify::{verify, verify_named, verify_restored, verify_source, verify_together};

/// The documents of the first targets, as a share of the sources'.
fn ratio(sources: &[Source]) -> String {
    let of = |source: &Source| source.targets.first().map_or(0, |target| target.documents);
    let first: u64 = sources.iter().map(of).sum();
    let percent = match sources.iter().map(|source| source.documents).sum::<u64>() {
        0 => 100.0,
        all => first as f64 * 100.0 / all as f64,
    };
    format!("{percent:.2}%")
}

/// Namespaces and their documents, below no names of columns.
fn documents_table() -> Table {
    Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)])
}

/// A row of a [`documents_table`].
fn documents_row(name: &str, documents: u64, what: &str) -> Vec<String> {
    vec![name.to_owned(), thousands(documents), what.to_owned()]
}

/// Documents that break a rule, with what it demands.
fn finding_line(rule: &str, demands: &str, documents: u64, first_ids: &[String]) -> Line {
    let (documents, ids) = (count(documents, "document"), first_ids.join(", "));
    Line::plain(format!("{rule}: {demands}; {documents}, first _id {ids}"))
}

/// The argument that makes mongorestore restore an output.
fn restore_argument(layout: &Layout) -> String {
    match layout {
        Layout::Directory(place) => path_argument(place),
        Layout::Archive(place) => format!("--archive={}", path_argument(place)),
        Layout::Stream(_) => "--archive".to_owned(),
    }
}

/// The dump of the database that these namespaces are in, or of all if there are several.
fn dump_of<'n>(namespaces: impl Iterator<Item = &'n str>, to: &str) -> Command {
    let database_of =
        |namespace: &'n str| namespace.split_once('.').map_or(namespace, |(database, _)| database);
    let mut databases: Vec<&str> = namespaces.map(database_of).collect();
    databases.dedup();
    let dump = Command::shell("mongodump").uri();
    let dump = match databases.as_slice() {
        [database] => dump.option("--db", database),
        _ => dump,
    };
    dump.option("--out", to)
}

/// What moves a collection into the place of another.
fn rename_command(from: &str, to: &str) -> Command {
    let (from, to) = (json_string(from), json_string(to));
    Command::Mongosh(format!(
        "db.adminCommand({{renameCollection: {from}, to: {to}, dropTarget: true}})"
    ))
}

/// The files that a dry run did not write.
fn push_files(page: &mut Page, manifest: &Manifest) {
    let table = |files: &[&File]| {
        let mut table = Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)]);
        let row = |file: &&File| {
            vec![file.path.clone(), format!("{} bytes", thousands(file.bytes)), file.sha256.clone()]
        };
        table.rows = files.iter().map(row).collect();
        Content::Table(table)
    };
    let (metadata, others): (Vec<_>, Vec<_>) =
        manifest.files.iter().partition(|file| file.role == Role::Metadata);
    page.push_titled("A run without --dry-run will write, with these SHA-256", table(&others));
    page.push_detail("And as metadata", table(&metadata));
}
