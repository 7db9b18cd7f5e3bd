//! What users of other tools type, and what to type instead.

/// What to type instead of arguments that could not be parsed; nothing if they hold no word that is known from
/// elsewhere. `arguments` come without the program's name.
pub fn hint(arguments: &[String]) -> Option<String> {
    let command = arguments.first().map_or("", String::as_str);
    // The other commands have options of these names, or take no such place.
    if !matches!(command, "transform" | "reverse" | "verify" | "sample") {
        return None;
    }
    let (index, word) = arguments.iter().enumerate().find(|(_, word)| is_foreign(word))?;
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word.as_str(), None),
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
            let mut instead: Vec<&str> = arguments.iter().map(String::as_str).collect();
            instead.remove(index);
            let place = match value {
                Some(value) => value,
                None if index < instead.len() => instead.remove(index),
                None => output,
            };
            let instead = shlex::try_join(instead.into_iter().chain([place])).ok()?;
            format!("the output is the last argument, without {name}: mongosplit {instead}")
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
