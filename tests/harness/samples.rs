//! Source documents of the shapes that exist, and changes of their fields.

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Document, doc};

use super::framed;

/// Choices that proptest makes, one byte after the other; 0 when they have run out, so that less is simpler.
pub struct Tape<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tape<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Tape { bytes, at: 0 }
    }
    pub fn below(&mut self, bound: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % bound
    }
    pub fn chance(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }
}

pub fn date(millis: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(1_760_000_000_000 + millis))
}

pub fn oid(number: u32) -> ObjectId {
    let mut bytes = [0x65; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// A step as the application wrote it.
pub fn app_step(number: i64) -> Document {
    let kinds =
        ["drop_missing", "impute_mean", "remove_duplicates", "encode", "trim_whitespace", "scale"];
    doc! { "timestamp": date(number * 1000 + 7), "type": kinds[number as usize % 6], "parameters": { "column": format!("c{number}"), "n": number }, "affected_rows": number as i32 }
}

/// A step as the legacy export has it.
pub fn export_step(number: i64) -> Document {
    let kinds =
        ["drop_missing", "impute_median", "remove_duplicates", "encode", "formula", "scale"];
    doc! { "type": kinds[number as usize % 6], "column": format!("c{number}"), "parameters": { "n": number }, "applied_at": format!("2025-10-{:02}T10:15:23.{:06}", number % 28 + 1, 123_000 + number) }
}

pub fn schema_field(number: usize) -> Document {
    doc! { "field_name": format!("f{number}"), "field_type": "numeric", "inferred_dtype": "int64", "unique_values": number as i32, "missing_values": 0 }
}

/// A document as the application has it today.
pub fn application(id: impl Into<Bson>, steps: i64) -> Document {
    doc! {
        "_id": id.into(), "user_id": "user_1", "filename": "a.csv", "original_filename": "A.csv", "s3_url": "s3://bucket/a.csv",
        "file_type": "csv", "file_path": "datasets/user_1/a.csv", "num_rows": 100, "num_columns": 2, "columns": ["f0", "f1"],
        "data_schema": [schema_field(0), schema_field(1)], "schema": { "f0": "int64" }, "statistics": { "f0": { "mean": 1.5 } },
        "quality_report": { "score": 0.9 }, "data_preview": [{ "f0": 1 }],
        "aiSummary": { "overview": "o", "issues": ["i"], "relationships": [], "suggestions": [], "rawMarkdown": "# a", "createdAt": date(5) },
        "contains_pii": true, "pii_report": { "detections": [{ "column": "f0" }] }, "pii_risk_level": "high", "pii_masked": false,
        "is_processed": true, "processed_at": date(3), "onboarding_progress": { "step": 2 },
        "transformation_history": (0..steps).map(app_step).collect::<Vec<_>>(), "created_at": date(1), "updated_at": date(2),
    }
}

pub fn with_model(mut document: Document) -> Document {
    document.extend(doc! {
        "model_name": "m", "algorithm": "rf", "problem_type": "regression", "hyperparameters": { "k": 3 }, "training_metrics": { "r2": 0.5 },
        "model_status": "deployed", "model_size": 77, "tags": ["t"], "notes": "n", "feature_config": { "a": 1 }, "training_config": {},
        "model_path": "m.bin", "trained_at": date(9), "description": "d",
    });
    document
}

/// With steps, with a model, and with neither.
pub fn three() -> [Document; 3] {
    [application(oid(1), 2), with_model(application(oid(2), 1)), application(oid(3), 0)]
}

/// A value of any type.
pub fn any_value(tape: &mut Tape<'_>) -> Bson {
    match tape.below(14) {
        0 => Bson::Null,
        1 => Bson::String("text".to_owned()),
        2 => Bson::Int32(7),
        3 => Bson::Int64(-1),
        4 => Bson::Double(f64::NAN),
        5 => Bson::Boolean(true),
        6 => date(tape.below(99) as i64),
        7 => Bson::Array(vec![]),
        8 => Bson::Array(vec![
            Bson::Int32(1),
            Bson::Document(doc! { "type": "x", "parameters": 5 }),
            Bson::String("s".to_owned()),
        ]),
        9 => Bson::Document(doc! {}),
        10 => Bson::Document(
            doc! { "fields": ["a"], "rawMarkdown": 1, "raw_markdown": 2, "createdAt": "x" },
        ),
        11 => {
            Bson::Binary(Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] })
        }
        12 => Bson::RegularExpression(bson::Regex {
            pattern: bson::raw::cstr!("a").into(),
            options: bson::raw::cstr!("i").into(),
        }),
        _ => Bson::MinKey,
    }
}

/// A source document of one of the shapes, as bytes; `number` makes its `_id`.
pub fn source_document(tape: &mut Tape<'_>, number: u32) -> Vec<u8> {
    let id: Bson = match tape.below(5) {
        0..=2 => oid(number).into(),
        3 => format!("id-{number}").into(),
        _ => (number as i32).into(),
    };
    let shape = tape.below(4);
    let steps = tape.below(5) as i64;
    let mut document = application(id, steps);
    if shape == 1 || shape == 3 {
        document.insert("transformation_history", (0..steps).map(export_step).collect::<Vec<_>>());
        document.remove("original_filename");
    }
    if shape >= 2 && tape.below(3) > 0 {
        document = with_model(document);
    }
    for name in ["a note", "tags", "status", "algorithm"] {
        if tape.chance(6) && !document.contains_key(name) {
            document.insert(name, Bson::Null);
        }
    }
    if tape.chance(3) {
        document.insert("extra", any_value(tape));
    }
    if tape.chance(3) {
        document.insert("__v", 0);
    }
    let names: Vec<String> = document.keys().filter(|name| *name != "_id").cloned().collect();
    for name in &names {
        if tape.chance(12) {
            document.remove(name);
        }
    }
    if tape.chance(8) && !document.contains_key("row_count") {
        document.insert("row_count", [Bson::Int32(9), Bson::Null][tape.below(2)].clone());
    }
    if shape == 3 {
        for _ in 0..tape.below(6) {
            let name = &names[tape.below(names.len())];
            let value = any_value(tape);
            document.insert(name.clone(), value);
        }
        for name in ["version", "dataset_id", "inferred_schema", "name"] {
            if tape.chance(5) {
                document.insert(name, any_value(tape));
            }
        }
    }
    let mut fields: Vec<Vec<u8>> = elements(&document.to_vec().unwrap());
    if tape.chance(3) {
        tape.shuffle(&mut fields);
    }
    if shape == 3 && tape.chance(2) {
        // A name that is there twice.
        let again = fields[tape.below(fields.len())].clone();
        if !again[1..].starts_with(b"_id\0") {
            fields.push(again);
        }
    }
    from_elements(&fields)
}

/// A document's elements, each with type, name and value.
pub fn elements(document: &[u8]) -> Vec<Vec<u8>> {
    mongosplit::raw::Elements::new(document).map(|element| element.bytes.to_vec()).collect()
}

pub fn from_elements(elements: &[Vec<u8>]) -> Vec<u8> {
    framed(&elements.concat())
}

pub fn name_of(element: &[u8]) -> String {
    let end = element[1..].iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8_lossy(&element[1..=end]).into_owned()
}

fn element(name: &str, value: &Bson) -> Vec<u8> {
    elements(&doc! { name: value.clone() }.to_vec().unwrap()).remove(0)
}

/// The value at a path, if there is one.
pub fn get(document: &[u8], path: &str) -> Option<Bson> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let found = elements(document).into_iter().find(|element| name_of(element) == head)?;
    let value =
        Document::from_reader(from_elements(&[found]).as_slice()).unwrap().into_iter().next()?.1;
    match rest {
        None => Some(value),
        Some(rest) => get(&value.as_document()?.to_vec().unwrap(), rest),
    }
}

/// Sets the value at a path, everything else staying as it stands.
pub fn set(document: &mut Vec<u8>, path: &str, value: Bson) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let value = match rest {
        None => value,
        Some(rest) => {
            let mut inner = get(document, head)
                .and_then(|value| value.as_document().cloned())
                .unwrap_or_default()
                .to_vec()
                .unwrap();
            set(&mut inner, rest, value);
            Bson::Document(Document::from_reader(inner.as_slice()).unwrap())
        }
    };
    let mut fields = elements(document);
    let new = element(head, &value);
    match fields.iter_mut().find(|element| name_of(element) == head) {
        Some(field) => *field = new,
        None => fields.push(new),
    }
    *document = from_elements(&fields);
}

pub fn unset(document: &mut Vec<u8>, name: &str) {
    let fields: Vec<_> =
        elements(document).into_iter().filter(|element| name_of(element) != name).collect();
    *document = from_elements(&fields);
}

pub fn raw(documents: &[Document]) -> Vec<Vec<u8>> {
    documents.iter().map(|document| document.to_vec().unwrap()).collect()
}
