//! What users of other tools type, and what to type instead.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::text::{command_line, path_argument};

/// What to type instead of arguments that could not be parsed; nothing if they hold no word that is known from
/// elsewhere. `arguments` come without the program's name.
pub fn hint(arguments: &[OsString]) -> Option<String> {
    let words: Vec<Cow<'_, str>> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let command = words.first().map_or("", Cow::as_ref);
    // The other commands have options of these names, or take no such place.
    if !matches!(command, "transform" | "reverse" | "verify" | "sample") {
        return None;
    }
    let (index, word) = words.iter().enumerate().find(|(_, word)| is_foreign(word))?;
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word.as_ref(), None),
    };
    let places = match command {
        "reverse" => "OUT DEST",
        "verify" => "OUT",
        _ => "DUMP OUT",
    };
    let (input, output) = places.split_once(' ').unwrap_or((places, places));
    Some(match name {
        "-o" | "--out" | "--archive" if command == "verify" => {
            format!("verify writes nothing, so there is no {name}: mongosplit verify OUT")
        }
        "--archive" if command == "sample" => {
            "a sample is a directory, and an archive that is read is named as DUMP: mongosplit sample DUMP OUT --docs N"
                .to_owned()
        }
        "-o" | "--out" => {
            let mut instead = arguments.to_vec();
            let named = instead.remove(index);
            let place = match value {
                // What stands behind `--out=`, byte for byte.
                Some(_) => OsStr::from_bytes(&named.as_bytes()[name.len() + 1..]).to_owned(),
                None if index < instead.len() => instead.remove(index),
                None => output.into(),
            };
            let (instead, place) = (command_line(instead.into_iter()), path_argument(place.as_ref()));
            format!("the output is the last argument, without {name}: mongosplit {instead} {place}")
        }
        "--archive" => format!(
            "--archive takes no file: name an archive that is read as {input}; to write one, name it as {output} and add --archive: mongosplit {command} {places} --archive"
        ),
        "--batch-size" | "--batchSize" => {
            format!("{name} is not needed, as memory is bounded without it; leave it out")
        }
        "--uri" | "--host" | "--port" | "-h" | "-u" | "--username" => format!(
            "mongosplit connects to no database, so there is no {name}: dump with mongodump {name} …, then mongosplit {command} {places}"
        ),
        "-c" | "--collection" => format!(
            "the mapping names the collection, so there is no {name}; give another mapping with --mapping FILE"
        ),
        "--check-rollback" => {
            "dump the restored database, then compare: mongosplit verify OUT --source REDUMP"
                .to_owned()
        }
        _ => format!(
            "{name} is an option of mongorestore; the summary of transform prints the command that restores OUT"
        ),
    })
}

/// Whether a word is an option that users know from the mongo tools or the runbook.
fn is_foreign(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    let is_known = [
        "-o",
        "--out",
        "--batch-size",
        "--batchSize",
        "--uri",
        "--host",
        "--port",
        "-u",
        "--username",
        "-c",
        "--collection",
        "--check-rollback",
        "--drop",
        "--nsInclude",
        "--nsFrom",
        "--nsTo",
        "--stopOnError",
    ];
    is_known.contains(&name) || name == "--archive" && word.len() > name.len()
}
