//! Reports as text for people.

mod inspect;
mod reverse;
mod transform;
mod verify;

use std::fmt::Write;

use mongosplit::layout::Layout;

use super::text::shell_path;

pub use inspect::{damage, inspect};
pub use reverse::{reverse, reverse_current};
pub use transform::transform;
pub use verify::{verify, verify_restored, verify_source};

fn remarks<T: std::fmt::Display>(text: &mut String, remarks: &[T]) {
    remarks.iter().for_each(|remark| {
        let _ = writeln!(text, "  {remark}");
    });
}

/// The argument that makes mongorestore restore an output.
fn restored_from(layout: &Layout) -> String {
    match layout {
        Layout::Directory(place) => shell_path(place),
        Layout::Archive(place) => format!("--archive={}", shell_path(place)),
        Layout::Stream(_) => "--archive".to_owned(),
    }
}
