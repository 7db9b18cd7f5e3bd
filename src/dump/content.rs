//! What a file or directory is, told by its content.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::base::archive_format as archive;
use crate::base::stream::head;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::gzip;
use crate::plain::PlainPath;

/// Whether a file, unpacked if it is gzip, begins like an archive.
pub(super) fn is_archive(disk: &Disk, path: &Path) -> Result<bool> {
    Ok(content_head(disk, path, archive::MAGIC.len() as u64)?.0 == archive::MAGIC)
}

/// The first bytes of a file, unpacked if it is gzip, and whether it is.
fn content_head(disk: &Disk, path: &Path, bytes: u64) -> Result<(Vec<u8>, bool)> {
    let first = head(disk, path, bytes)?;
    if !first.starts_with(&gzip::MAGIC) {
        return Ok((first, false));
    }
    let mut content = Vec::new();
    let stream = BufReader::new(disk.open(path)?);
    // If the stream is broken, reading the documents reports where.
    let _ = gzip::decoder_buffered(stream).take(bytes).read_to_end(&mut content);
    Ok((content, true))
}

/// Describes a directory without collections.
pub(super) fn describe_directory(
    disk: &Disk,
    files: &[PathBuf],
    directories: &[PathBuf],
) -> String {
    if files.is_empty() && directories.is_empty() {
        return "is an empty directory, not a dump".to_owned();
    }
    let json = files.iter().find(|file| {
        file.extension().is_some_and(|suffix| suffix == "json")
            && file.file_name().is_none_or(|name| name != "prelude.json")
    });
    if let Some(json) = json {
        return format!(
            "is not a dump: it has no .bson files; '{}' looks like JSON, which mongoexport writes, and mongodump does not",
            json.plain()
        );
    }
    let some: Vec<String> = files
        .iter()
        .chain(directories)
        .take(5)
        .map(|file| {
            file.file_name().unwrap_or_default().to_string_lossy().escape_debug().to_string()
        })
        .collect();
    let first = files.iter().find_map(|file| {
        looks_like(disk, file).ok().flatten().map(|what| format!("; '{}' {what}", file.plain()))
    });
    format!(
        "is not a dump: it and its directories have no .bson files, but {}{}",
        some.join(", "),
        first.unwrap_or_default()
    )
}

/// What a file looks like, if it does not look like documents.
pub(super) fn looks_like(disk: &Disk, path: &Path) -> Result<Option<String>> {
    let (content, is_gzip) = content_head(disk, path, 512)?;
    let packed = if is_gzip { "gzip-compressed " } else { "" };
    let printable =
        |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, 9 | 10 | 13 | 32..=126 | 128..));
    let trimmed = content.trim_ascii_start();
    Ok(if content.is_empty() {
        None
    } else if content.get(257..262) == Some(b"ustar") {
        Some(format!("is a {packed}tar archive, not a dump; unpack it and name the dump in it"))
    } else if content.starts_with(&archive::MAGIC) {
        Some(format!("is a {packed}mongodump archive"))
    } else if matches!(trimmed.first(), Some(b'{' | b'[')) && printable(&content) {
        let metadata = path.to_string_lossy().contains(".metadata.json");
        Some(match metadata {
            true => "is a collection's metadata, not documents; name the .bson file next to it, or the directory".to_owned(),
            false => format!("is {packed}JSON, which mongoexport writes, not a dump; use mongodump"),
        })
    } else if content.len() >= 4 && printable(&content) {
        Some(format!("is {packed}text, not a dump"))
    } else {
        None
    })
}

/// Refuses a `.bson` file in a directory that plainly holds something else.
pub(crate) fn refuse_other_content(disk: &Disk, path: &Path) -> Result<()> {
    match looks_like(disk, path)? {
        Some(what) => Err(Error::input(path, what)),
        None => Ok(()),
    }
}
