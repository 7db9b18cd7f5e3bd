//! The listing of `inspect`.

use mongosplit::Dump;

use super::super::text::count;
use super::remarks;

/// The listing of `inspect`.
pub fn inspect(dump: &Dump, report: &mongosplit::inspect::Report) -> String {
    let mut text = String::new();
    line!(
        text,
        "{}, server version {}",
        dump.path.display(),
        dump.server_version.as_deref().unwrap_or("unknown")
    );
    for collection in &report.collections {
        line!(
            text,
            "  {:<48} {:<12} {:>12} {:>16}  indexes: {}{}",
            collection.namespace.escape_debug().to_string(),
            collection.kind,
            count(collection.documents, "document"),
            count(collection.bytes, "byte"),
            if collection.indexes.is_empty() {
                "unknown".to_owned()
            } else {
                collection.indexes.join(", ")
            },
            match collection.checksum_holds {
                None if collection.lacks_documents =>
                    "  ✗ NO .bson FILE: its documents are missing",
                None => "",
                Some(true) => "  checksum matches",
                Some(false) => "  ✗ CHECKSUM DOES NOT MATCH: the archive is damaged",
            }
        );
    }
    remarks(&mut text, &dump.remarks);
    text
}

/// For `inspect --quiet`: the collections that are not sound.
pub fn damage(dump: &Dump, report: &mongosplit::inspect::Report) -> String {
    let damaged = report.collections.iter().filter(|collection| !collection.is_sound());
    let line = |collection: &mongosplit::inspect::Collection| {
        let namespace = collection.namespace.escape_debug();
        let what = if collection.lacks_documents {
            format!("{namespace} has metadata, but no .bson file: its documents are missing")
        } else {
            format!("the checksum of {namespace} does not match: the archive is damaged")
        };
        format!("mongosplit: '{}': {what}\n", dump.path.display())
    };
    damaged.map(line).collect()
}
