//! Well-formed documents of all BSON types, with what makes them hard: duplicate names, any order, any nesting, names
//! and strings that are not UTF-8, deprecated types, and the names that the built-in mapping knows.

use super::{Chance, element, framed, string};

/// Every type that the specification knows.
pub const KINDS: [u8; 21] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0x7f, 0xff];

/// Names that the built-in mapping reads or writes.
pub const KNOWN: [&str; 46] = [
    "user_id",
    "dataset_id",
    "filename",
    "original_filename",
    "file_type",
    "file_path",
    "s3_url",
    "file_size",
    "num_rows",
    "row_count",
    "num_columns",
    "columns",
    "data_schema",
    "schema",
    "inferred_schema",
    "statistics",
    "quality_report",
    "data_preview",
    "aiSummary",
    "ai_summary",
    "pii_report",
    "contains_pii",
    "pii_risk_level",
    "pii_masked",
    "is_processed",
    "processed_at",
    "onboarding_progress",
    "created_at",
    "updated_at",
    "version",
    "parent_dataset_id",
    "transformation_history",
    "algorithm",
    "hyperparameters",
    "training_metrics",
    "model_name",
    "model_status",
    "problem_type",
    "tags",
    "notes",
    "config_id",
    "transformation_steps",
    "name",
    "status",
    "feature_config",
    "model_size",
];
/// Names of fields that the random mappings read or write: of any type, mostly documents, mostly arrays, and mostly
/// documents that are used as maps.
pub const LOOSE: [&str; 13] =
    ["kind", "name", "status", "when", "stamp", "a", "b", "c", "d", "e", "x", "y", "z"];
pub const EMBEDDED: [&str; 3] = ["nested", "other", "p"];
pub const ARRAYS: [&str; 3] = ["list", "steps", "tags"];
pub const MAPS: [&str; 1] = ["map"];
/// Names in their embedded documents.
pub const BELOW: [&str; 9] = ["a", "b", "c", "when", "kind", "deep", "list", "map", "q"];
/// Paths that private targets of random mappings read.
pub const PRIVATE: [&str; 5] = ["secret", "nested.secret", "other.deep.secret", "hidden", "hush"];
/// Names in the items of arrays.
pub const ITEM_NAMES: [&str; 27] = [
    "type",
    "transformation_type",
    "column",
    "columns",
    "parameters",
    "applied_at",
    "timestamp",
    "is_valid",
    "validation_errors",
    "rows_affected",
    "affected_rows",
    "data_loss_percentage",
    "field_name",
    "field_type",
    "data_type",
    "example_values",
    "legacy_type",
    "a",
    "b",
    "c",
    "when",
    "kind",
    "deep",
    "list",
    "tags",
    "id",
    "secret",
];
/// Texts that are dates, or almost.
pub const DATES: [&str; 8] = [
    "2025-10-13",
    "2025-10-13T10:15:23.123456+00:00",
    "2025-10-13T10:15:23.123+00:00",
    "2025-10-13 10:15",
    "2025-10-13T10:15:23Z",
    "2025-10-13T10:15:23.5-02:30",
    "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59",
];
const TEXTS: [&str; 18] = [
    "",
    "csv",
    "low",
    "remove_duplicates",
    "drop_duplicates",
    "impute_mean",
    "impute",
    "formula",
    "derive",
    "encode",
    "one",
    "two",
    "uno",
    "2025-02-30",
    "ü☃",
    "a.b",
    "x y z",
    "1",
];

fn name(chance: &mut Chance) -> Vec<u8> {
    match chance.below(12) {
        0 => Vec::new(),
        1 => b"\xff\xfe".to_vec(),
        2 => b"$a.b".to_vec(),
        3 => vec![b'n'; chance.below(300)],
        4 => format!("f{}", chance.below(30)).into_bytes(),
        5 | 6 => ITEM_NAMES[chance.below(ITEM_NAMES.len())].into(),
        _ => KNOWN[chance.below(KNOWN.len())].into(),
    }
}

fn text(chance: &mut Chance) -> Vec<u8> {
    match chance.below(10) {
        0 => b"\xc0\x80\xff".to_vec(),
        1 => b"in\0side".to_vec(),
        2 => vec![b't'; chance.below(400)],
        _ => {
            let number = chance.below(DATES.len() + TEXTS.len());
            DATES.get(number).unwrap_or_else(|| &TEXTS[number - DATES.len()]).as_bytes().to_vec()
        }
    }
}

fn bytes(chance: &mut Chance, count: usize) -> Vec<u8> {
    (0..count).map(|_| chance.next() as u8).collect()
}

fn cstring(chance: &mut Chance) -> Vec<u8> {
    let mut text = text(chance);
    text.retain(|byte| *byte != 0);
    text.push(0);
    text
}

/// A type and the bytes of a value of it, nested at most `depth` levels more.
pub fn value(chance: &mut Chance, depth: usize) -> (u8, Vec<u8>) {
    let mut kind = KINDS[chance.below(KINDS.len())];
    if chance.one_in(3) {
        kind = [2, 2, 3, 4, 4, 9, 10][chance.below(7)];
    }
    if depth == 0 && matches!(kind, 3 | 4 | 15) {
        kind = 10;
    }
    let value = match kind {
        1 => match chance.below(4) {
            0 => f64::NAN.to_le_bytes().to_vec(),
            1 => (chance.below(1000) as f64).to_le_bytes().to_vec(),
            _ => bytes(chance, 8),
        },
        2 | 13 | 14 => string(&text(chance)),
        3 => document(chance, depth - 1, 6),
        4 => array(chance, depth - 1),
        5 => {
            let length = chance.below(40);
            let subtype = [0u8, 1, 2, 3, 4, 5, 6, 9, 0x80, 0xff][chance.below(10)];
            let content = match subtype {
                2 => [&(length as u32).to_le_bytes()[..], &bytes(chance, length)].concat(),
                _ => bytes(chance, length),
            };
            [&(content.len() as u32).to_le_bytes()[..], &[subtype], &content].concat()
        }
        7 => bytes(chance, 12),
        8 => vec![chance.below(2) as u8],
        9 => match chance.one_in(4) {
            true => bytes(chance, 8),
            false => (chance.below(2_000_000_000) as i64 * 1000 + chance.below(1000) as i64)
                .to_le_bytes()
                .to_vec(),
        },
        11 => [cstring(chance), cstring(chance)].concat(),
        12 => [string(&text(chance)), bytes(chance, 12)].concat(),
        15 => {
            let inner = [string(&text(chance)), document(chance, depth - 1, 4)].concat();
            [&(inner.len() as u32 + 4).to_le_bytes()[..], &inner].concat()
        }
        16 => (chance.below(1000) as i32 - 100).to_le_bytes().to_vec(),
        17 | 18 => bytes(chance, 8),
        19 => bytes(chance, 16),
        _ => Vec::new(),
    };
    (kind, value)
}

fn array(chance: &mut Chance, depth: usize) -> Vec<u8> {
    let mut elements = Vec::new();
    // Items of one form mostly, as in real arrays, so that what the journal says of them repeats.
    let items = chance.below(7);
    let documents = chance.one_in(2);
    let odd_keys = chance.one_in(8);
    let same = chance.clone();
    for number in 0..items {
        let mut like = same.clone();
        let source = if chance.one_in(3) { &mut *chance } else { &mut like };
        let (kind, value) = if documents && depth > 0 {
            (3, item(source, depth - 1))
        } else {
            value(source, depth)
        };
        let key = if odd_keys { name(source) } else { number.to_string().into_bytes() };
        elements.extend(element(kind, &key, &value));
    }
    framed(&elements)
}

fn item(chance: &mut Chance, depth: usize) -> Vec<u8> {
    let mut elements = Vec::new();
    for _ in 0..chance.below(7) {
        let key = ITEM_NAMES[chance.below(ITEM_NAMES.len())];
        let (kind, value) = match (key, chance.below(4)) {
            ("parameters" | "deep", 0..3) => (3, below(chance, depth.min(1))),
            ("list", 0..2) if depth > 0 => (4, array(chance, depth - 1)),
            (
                "type" | "transformation_type" | "kind" | "applied_at" | "timestamp" | "when",
                0..3,
            ) => (2, string(&text(chance))),
            _ => value(chance, depth),
        };
        elements.extend(element(kind, key.as_bytes(), &value));
    }
    framed(&elements)
}

/// A document of fewer than so many fields.
pub fn document(chance: &mut Chance, depth: usize, fields: usize) -> Vec<u8> {
    let mut elements = Vec::new();
    for _ in 0..chance.below(fields) {
        let (kind, value) = value(chance, depth);
        elements.extend(element(kind, &name(chance), &value));
    }
    framed(&elements)
}

/// An embedded document with names that the random mappings know.
fn below(chance: &mut Chance, depth: usize) -> Vec<u8> {
    let mut elements = Vec::new();
    for _ in 0..chance.below(7) {
        let key: Vec<u8> = match chance.below(8) {
            0 => name(chance),
            1 => b"secret".to_vec(),
            _ => BELOW[chance.below(BELOW.len())].into(),
        };
        let (kind, value) = match &key[..] {
            b"deep" | b"q" if depth > 0 => (3, below(chance, depth - 1)),
            b"list" if depth > 0 => (4, array(chance, depth)),
            b"map" if depth > 0 => (3, map(chance, depth)),
            b"when" | b"kind" => (2, string(&text(chance))),
            _ => value(chance, depth),
        };
        elements.extend(element(kind, &key, &value));
    }
    framed(&elements)
}

/// A document that is used as a map: of items by names, some of them twice.
fn map(chance: &mut Chance, depth: usize) -> Vec<u8> {
    let mut elements = Vec::new();
    for number in 0..chance.below(6) {
        let key = if chance.one_in(3) { name(chance) } else { format!("k{number}").into_bytes() };
        let (kind, value) =
            if chance.one_in(5) { value(chance, depth) } else { (3, item(chance, depth)) };
        elements.extend(element(kind, &key, &value));
    }
    framed(&elements)
}

/// A source document for random mappings, with an `_id` that is this number.
pub fn any(chance: &mut Chance, id: u32) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let all = || {
        LOOSE
            .iter()
            .chain(&EMBEDDED)
            .chain(&ARRAYS)
            .chain(&MAPS)
            .chain(&["secret", "hidden", "hush", "k", "old"])
    };
    let mut names: Vec<Vec<u8>> = Vec::new();
    // All names in some order, or any of them, more than once too.
    match chance.one_in(3) {
        true => {
            names.extend(all().map(|name| name.as_bytes().to_vec()));
            let at = chance.below(names.len());
            names.rotate_left(at);
            names.truncate(4 + chance.below(25));
        }
        false => {
            for _ in 0..chance.below(30) {
                let number = chance.below(all().count() + 3);
                names.push(
                    all().nth(number).map_or_else(|| name(chance), |name| name.as_bytes().to_vec()),
                );
            }
        }
    }
    for key in names {
        if key == b"_id" {
            continue;
        }
        let known = std::str::from_utf8(&key).unwrap_or_default();
        let is_odd = chance.one_in(6);
        let (kind, value) = match known {
            _ if is_odd => value(chance, 3),
            _ if EMBEDDED.contains(&known) => (3, below(chance, 2)),
            _ if ARRAYS.contains(&known) || known == "hidden" => (4, array(chance, 3)),
            _ if MAPS.contains(&known) || known == "hush" => (3, map(chance, 2)),
            "kind" | "name" | "status" | "when" | "secret" | "k" => (2, string(&text(chance))),
            _ => value(chance, 2),
        };
        fields.push(element(kind, &key, &value));
    }
    with_id(chance, fields, id)
}

/// A source document: one with an `_id` that is this number, mostly of names that the built-in mapping knows.
pub fn source(chance: &mut Chance, id: u32) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for _ in 0..chance.below(40) {
        let key = name(chance);
        if key == b"_id" {
            continue;
        }
        let (kind, value) = match &key[..] {
            b"transformation_history" | b"data_schema" if !chance.one_in(4) => {
                (4, array(chance, 3))
            }
            b"user_id" | b"filename" | b"file_path" if !chance.one_in(3) => {
                (2, string(&text(chance)))
            }
            _ => value(chance, 3),
        };
        fields.push(element(kind, &key, &value));
    }
    with_id(chance, fields, id)
}

/// The document of these fields and an `_id`, which may stand behind others, and twice.
fn with_id(chance: &mut Chance, mut fields: Vec<Vec<u8>>, id: u32) -> Vec<u8> {
    if chance.one_in(20) {
        fields.push(element(2, b"_id", &string(b"a second one")));
    }
    let id = element(16, b"_id", &(id as i32).to_le_bytes());
    let place = if chance.one_in(4) { chance.below(fields.len() + 1) } else { 0 };
    // A second `_id` before the first would be the one that counts, and collide.
    let place =
        if fields.last().is_some_and(|field| field.starts_with(b"\x02_id\0")) { 0 } else { place };
    fields.insert(place, id);
    framed(&fields.concat())
}

/// A document with one or more bytes changed, cut or put in.
pub fn spoiled(chance: &mut Chance, document: &[u8]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..1 + chance.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = chance.below(bytes.len());
        match chance.below(6) {
            0 => bytes[at] = chance.next() as u8,
            1 => bytes[at] ^= 1 << chance.below(8),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, chance.next() as u8),
            4 => bytes[at] = [0, 1, 4, 5, 0x7f, 0x80, 0xff][chance.below(7)],
            _ => {
                bytes.truncate(at.max(1));
            }
        }
        // The length is right mostly, so that the fault is found deeper.
        if bytes.len() >= 4 && !chance.one_in(4) {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
        }
    }
    bytes
}
