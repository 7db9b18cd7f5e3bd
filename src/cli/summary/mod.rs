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
use mongosplit::manifest::Source;

use super::text::{path_argument, thousands};

pub use check::check;
pub use explain::{explain, show};
pub use findings::findings;
pub use inspect::{inspect, no_go};
pub use reverse::{reverse, reverse_current};
pub use sample::sample;
pub use tests::tests;
pub use transform::transform;
pub use verify::{verify, verify_named, verify_restored, verify_source, verify_together};

fn remarks<T: std::fmt::Display>(text: &mut String, remarks: &[T]) {
    for remark in remarks {
        line!(text, "  {remark}");
    }
}

/// A collection and its documents, in columns.
fn row(name: &str, documents: u64) -> String {
    format!("    {name:<48} {:>12}", thousands(documents))
}

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

/// The argument that makes mongorestore restore an output.
fn restore_argument(layout: &Layout) -> String {
    match layout {
        Layout::Directory(place) => path_argument(place),
        Layout::Archive(place) => format!("--archive={}", path_argument(place)),
        Layout::Stream(_) => "--archive".to_owned(),
    }
}
