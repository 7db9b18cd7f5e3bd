//! docs/MAPPING.md cannot rot: each example is run forward and backward and says what it is printed to say,
//! each word of the language is in one, and docs/TUTORIAL.md's session is run as it is printed.
//!
//! An example is a block of `toml` and, below it, a block of `text`. If the `toml` holds `format = 2`, it
//! is a whole mapping. Otherwise it is a fragment: rows (lines that begin with `{`) go to a target `t` with the
//! source's `_id`, and a head is put in front. In the `text`, a line that begins with
//!
//! - `{` is a source document,
//! - `→` is what it becomes; the collection's name is in front of the document if it is not `t`,
//! - `!` is a finding,
//! - `~` is a document that the application has changed since, and `+` one that it has created,
//! - `←` is what `--current` makes of these, and what it does not carry back,
//! - `✗` is why the document is refused, or, without a document, what is wrong with the mapping,
//! - `journal` lists the values that the journal keeps.
//!
//! `UPDATE_DOCS=1` writes all but the source documents and the changes anew.

mod harness;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use bson::{Bson, Document};
use harness::{World, root, split, steady};
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Merger, Plan, Restorer, Sides, schema};
use serde_json::Value;

/// A `toml` block of the page and the `text` block that belongs to it.
struct Example {
    line: usize,
    toml: String,
    /// The lines of the `text` block in the page.
    text: Option<std::ops::Range<usize>>,
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).expect("the page")
}

/// The blocks of a page: the first line's number, the language, and the lines inside.
fn blocks<'p>(lines: &[&'p str]) -> Vec<(&'p str, std::ops::Range<usize>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        let Some(language) = line.strip_prefix("```") else { continue };
        match open.take() {
            Some((language, start)) => blocks.push((language, start..number)),
            None => open = Some((language, number + 1)),
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

fn examples(lines: &[&str]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_open = false;
    for (language, range) in blocks(lines) {
        match language {
            "toml" => {
                let toml = lines[range.clone()].join("\n") + "\n";
                examples.push(Example { line: range.start + 1, toml, text: None });
                is_open = true;
            }
            "text" if is_open => {
                examples.last_mut().expect("a toml block").text = Some(range);
                is_open = false;
            }
            _ => is_open = false,
        }
    }
    examples
}

/// The whole mapping that a block stands for.
fn whole(toml: &str) -> String {
    if toml.contains("format  = 2") || toml.contains("format = 2") {
        return toml.to_owned();
    }
    let has = |word: &str| toml.lines().any(|line| line.split('=').next().unwrap().trim() == word);
    let mut text = "format = 2\n".to_owned();
    for (word, value) in [("name", "example"), ("version", "1"), ("source", "s"), ("key", "_id")] {
        let is_given = word == "source" && has("source");
        if !is_given {
            let _ = writeln!(text, "{word} = \"{value}\"");
        }
    }
    let is_table = |line: &&str| line.starts_with('[');
    let top: Vec<&str> = toml.lines().take_while(|line| !is_table(line)).collect();
    let below: Vec<&str> = toml.lines().skip(top.len()).collect();
    // Rows begin at the first line with a brace; what precedes them are words of the file.
    let rows_at = top.iter().position(|line| line.starts_with('{')).unwrap_or(top.len());
    let (words, rows) = top.split_at(rows_at);
    text += &words.join("\n");
    text.push('\n');
    if !rows.is_empty() {
        text += "[[target]]\ncollection = \"t\"\nfields = [\n  { name = \"_id\" },\n";
        for row in rows {
            let ends = row.ends_with('}') && !row.starts_with(' ') || *row == "]}";
            text += &format!("  {row}{}\n", if ends { "," } else { "" });
        }
        text += "]\n";
    }
    text += &below.join("\n");
    text.push('\n');
    text
}

/// A line of a `text` block that is not a source document.
type Said = Vec<String>;

/// The source documents of a `text` block, each with what is said of it; what stands before the first
/// belongs to the mapping.
fn cases(lines: &[&str]) -> (Said, Vec<(String, Said)>) {
    let mut parts: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        match parts.last_mut() {
            Some(last) if line.starts_with(' ') || line.starts_with('}') => {
                *last += "\n";
                *last += line;
            }
            _ => parts.push((*line).to_owned()),
        }
    }
    let mut of_mapping = Vec::new();
    let mut cases: Vec<(String, Said)> = Vec::new();
    for part in parts {
        match cases.last_mut() {
            _ if part.starts_with(['{', '+']) => cases.push((part, Vec::new())),
            Some((_, said)) => said.push(part),
            None => of_mapping.push(part),
        }
    }
    (of_mapping, cases)
}

fn parse(text: &str) -> Bson {
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    Bson::try_from(value).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

fn bytes(text: &str) -> Vec<u8> {
    match parse(text) {
        Bson::Document(document) => document.to_vec().expect("a document"),
        other => panic!("not a document: {other}"),
    }
}

/// A value in Extended JSON from which it can be read again.
fn extended(value: Bson) -> Value {
    match value {
        Bson::Int64(number) => serde_json::json!({ "$numberLong": number.to_string() }),
        Bson::Document(document) => Value::Object(
            document.into_iter().map(|(name, value)| (name, extended(value))).collect(),
        ),
        Bson::Array(items) => items.into_iter().map(extended).collect(),
        other => other.into_relaxed_extjson(),
    }
}

/// JSON on one line if it fits, else with a line for each field.
fn pretty(value: &Value, indent: usize, room: usize, out: &mut String) {
    let flat = flat(value);
    let space = |n: usize| " ".repeat(n);
    match value {
        Value::Object(fields) if flat.chars().count() > room && !fields.is_empty() => {
            out.push('{');
            for (number, (name, value)) in fields.iter().enumerate() {
                let _ = write!(out, "\n{}\"{name}\": ", space(indent + 2));
                pretty(value, indent + 2, 92 - indent - name.len() - 6, out);
                out.push_str(if number + 1 < fields.len() { "," } else { "" });
            }
            let _ = write!(out, "\n{}}}", space(indent));
        }
        Value::Array(items) if flat.chars().count() > room && !items.is_empty() => {
            out.push('[');
            for (number, value) in items.iter().enumerate() {
                let _ = write!(out, "\n{}", space(indent + 2));
                pretty(value, indent + 2, 92 - indent, out);
                out.push_str(if number + 1 < items.len() { "," } else { "" });
            }
            let _ = write!(out, "\n{}]", space(indent));
        }
        _ => out.push_str(&flat),
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let all: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::String(name.clone()), flat(value)))
                .collect();
            format!("{{ {} }}", all.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn shown(document: &[u8]) -> Value {
    let document = Document::from_reader(document).expect("a document without odd names");
    extended(Bson::Document(document))
}

/// What a mapping makes of a document, in the form of the page.
fn said(plan: &Plan, source: &[u8], wants_journal: bool) -> Said {
    let mut mapped = Mapped::default();
    Mapper::new(plan).map([source].into_iter(), |_| None, &mut mapped).expect("a sound document");
    let mut said = Vec::new();
    if let Some(refused) = mapped.refused.first() {
        said.push(format!("✗ {}", refused.reason));
        return said;
    }
    for (collection, output) in plan.target_collections().zip(&mapped.outputs) {
        for document in split(output) {
            let head =
                if collection == "t" { "→ ".to_owned() } else { format!("→ {collection} ") };
            let mut text = head.clone();
            pretty(&shown(document), 2, 96 - head.chars().count(), &mut text);
            said.push(text);
        }
    }
    for (rule, _) in mapped.findings.iter(plan) {
        let text = mapped.findings.text(rule);
        said.push(format!("! {}: {text}", rule.name));
    }
    let values = round_trip(plan, source, &mapped);
    if wants_journal {
        let values: Vec<String> = values.into_iter().map(|value| flat(&extended(value))).collect();
        let whole = if mapped.whole > 0 { " the whole document" } else { "" };
        let list = if mapped.whole > 0 { String::new() } else { values.join(", ") };
        said.push(format!("journal{whole} {list}").trim_end().to_owned());
    }
    said
}

/// Restores the document, and returns the values that the journal holds for it.
fn round_trip(plan: &Plan, source: &[u8], mapped: &Mapped) -> Vec<Bson> {
    let mut journal = Vec::new();
    let mut writer = JournalWriter::default();
    writer.write_header("db.s", plan.id(), plan.text(), None, &mut journal).expect("a header");
    writer.write_batch(1, &mapped.counts, &mapped.notes, &mut journal).expect("a batch");
    let batch = Document::from_reader(*split(&journal).last().expect("a batch")).expect("BSON");
    let (mut reader, _) =
        JournalReader::open(journal.as_slice(), "journal".into()).expect("it opens");
    let mut kept = JournalBatch::default();
    assert!(reader.next(&mut kept).expect("a batch"));
    let mut targets: Vec<_> = mapped.outputs.iter().map(|bytes| split(bytes).into_iter()).collect();
    let mut out = Vec::new();
    Restorer::new(plan)
        .restore(&mut kept.reader(), |target| targets[target].next(), &mut out)
        .unwrap_or_else(|misfit| panic!("{misfit}"));
    assert!(out == source, "the way back does not give {}", flat(&shown(source)));
    batch.get_array("values").cloned().unwrap_or_default()
}

/// A line that names a collection, if it is not `t`, and a document: the collection and the document.
fn collection_and_document(line: &str) -> (&str, String) {
    let (collection, document) = line.split_once('{').expect("a document");
    let collection = collection.trim_start_matches(['~', '+', '→', '←']).trim();
    (if collection.is_empty() { "t" } else { collection }, format!("{{{document}"))
}

/// The documents of each target, those that unwind nothing and the others.
#[derive(Default, Clone)]
struct Target {
    is_unwound: bool,
    documents: Vec<Vec<u8>>,
}

/// What `--current` makes of a document if the application has left these documents.
fn said_of_changes(plan: &Plan, source: Option<&[u8]>, changes: &[String]) -> Said {
    let mut mapped = Mapped::default();
    Mapper::new(plan).map(source.into_iter(), |_| None, &mut mapped).expect("a sound document");
    let outputs = (0..plan.target_count()).map(|number| Target {
        is_unwound: plan.is_unwound(number),
        documents: mapped
            .outputs
            .get(number)
            .map(|output| split(output).into_iter().map(<[u8]>::to_vec).collect())
            .unwrap_or_default(),
    });
    let base: Vec<Target> = outputs.collect();
    let mut current = base.clone();
    let id = |document: &[u8]| Document::from_reader(document).expect("BSON").get("_id").cloned();
    for change in changes {
        let (collection, document) = collection_and_document(change);
        let number = plan.target_collections().position(|one| one == collection);
        let documents = &mut current[number.expect("a target")].documents;
        let document = bytes(&document);
        match documents.iter_mut().find(|one| id(one) == id(&document)) {
            Some(one) => *one = document,
            None => documents.push(document),
        }
    }
    let single = |targets: &'_ [Target]| -> Vec<Option<Vec<u8>>> {
        targets
            .iter()
            .map(|one| one.documents.first().filter(|_| !one.is_unwound).cloned())
            .collect()
    };
    let (base_single, current_single) = (single(&base), single(&current));
    fn unwound(targets: &[Target]) -> Vec<Option<Vec<&[u8]>>> {
        let of = |one: &Target| -> bool { one.is_unwound };
        targets
            .iter()
            .map(|one| of(one).then(|| one.documents.iter().map(Vec::as_slice).collect()))
            .collect()
    }
    let base_single: Vec<Option<&[u8]>> = base_single.iter().map(Option::as_deref).collect();
    let current_single: Vec<Option<&[u8]>> = current_single.iter().map(Option::as_deref).collect();
    let (base_unwound, current_unwound) = (unwound(&base), unwound(&current));
    let none = vec![None; plan.target_count()];
    let before = Sides { single: &base_single, unwound: &base_unwound };
    let merged = Merger::new(plan).merge(
        source,
        if source.is_some() { before } else { Sides { single: &none, unwound: &[] } },
        Sides { single: &current_single, unwound: &current_unwound },
    );
    let mut text = "← ".to_owned();
    pretty(&shown(&merged.document), 2, 94, &mut text);
    let mut said = vec![text];
    said.extend(merged.conflicts.iter().map(|one| {
        format!("← conflict over {}: {} wins over {}", one.field, one.winner, one.losers.join(", "))
    }));
    said.extend(merged.not_carried_back.iter().map(|one| format!("← not carried back: {one}")));
    said
}

/// What is said of the mapping itself: what is wrong with it, without the lines of its text.
fn problems(text: &str) -> Said {
    let problems = Plan::check(text).problems;
    problems.iter().map(|problem| format!("✗ {}", problem.message)).collect()
}

/// Two things said are the same if their documents are, whatever the spaces.
fn normal(said: &str) -> String {
    match said.chars().next() {
        Some(mark @ ('→' | '←')) if said.contains('{') => {
            let (collection, document) = collection_and_document(said);
            format!("{mark} {collection} {}", flat(&extended(parse(&document))))
        }
        _ => said.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn examples_say_what_is_printed() {
    let text = page("MAPPING.md");
    let lines: Vec<&str> = text.lines().collect();
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut wrong = Vec::new();
    let mut replaced: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    let mut ran = 0;
    for example in examples(&lines) {
        let mapping = whole(&example.toml);
        let Some(range) = example.text else {
            if let Err(error) = Plan::parse(&mapping) {
                wrong.push(format!("docs/MAPPING.md:{}: {error}", example.line));
            }
            continue;
        };
        let (of_mapping, cases) = cases(&lines[range.clone()]);
        let mut blocks: Vec<String> = Vec::new();
        let found = problems(&mapping);
        let is_same =
            found.iter().map(|said| normal(said)).eq(of_mapping.iter().map(|said| normal(said)));
        if !is_same {
            wrong.push(format!(
                "docs/MAPPING.md:{}: found:\n{}\n{mapping}",
                example.line,
                found.join("\n")
            ));
        }
        if !found.is_empty() {
            blocks.push(found.join("\n"));
        }
        if let Some(plan) = Plan::check(&mapping).plan {
            for (given, expected) in cases {
                ran += 1;
                let wants_journal = expected.iter().any(|said| said.starts_with("journal"));
                let is_created = given.starts_with('+');
                let changes: Vec<String> =
                    expected.iter().filter(|said| said.starts_with('~')).cloned().collect();
                let found = std::panic::catch_unwind(|| {
                    if is_created {
                        let created = [std::slice::from_ref(&given), &changes[..]].concat();
                        return [changes, said_of_changes(&plan, None, &created)].concat();
                    }
                    let source = bytes(&given);
                    let mut found = said(&plan, &source, wants_journal);
                    if !changes.is_empty() {
                        found.extend(changes.clone());
                        found.extend(said_of_changes(&plan, Some(&source), &changes));
                    }
                    found
                });
                let found = found.unwrap_or_else(|_| vec!["PANIC".to_owned()]);
                let same = found.iter().map(|said| normal(said));
                if !same.eq(expected.iter().map(|said| normal(said))) {
                    wrong.push(format!(
                        "docs/MAPPING.md:{}: of {given}\nfound:\n{}\nprinted:\n{}",
                        example.line,
                        found.join("\n"),
                        expected.join("\n")
                    ));
                }
                blocks.push(format!("{given}\n{}", found.join("\n")));
            }
        }
        replaced.push((range, blocks.join("\n\n")));
    }
    if update {
        let mut new: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for (range, text) in replaced.into_iter().rev() {
            new.splice(range, text.lines().map(str::to_owned));
        }
        std::fs::write(root().join("docs/MAPPING.md"), new.join("\n") + "\n").expect("the page");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran > 60, "only {ran} documents were mapped");
}

/// The words of a schema that a mapping uses, each with the name of its table.
struct Seen<'s> {
    root: &'s Value,
    words: BTreeSet<String>,
}

impl Seen<'_> {
    fn walk(&mut self, schema: &Value, table: &str, value: &toml::Value) {
        if let Some(place) = schema["$ref"].as_str() {
            let name = place.rsplit('/').next().unwrap().to_owned();
            let schema = self.root["definitions"][&name].clone();
            return self.walk(&schema, &name, value);
        }
        for all in ["allOf", "anyOf"] {
            for one in schema[all].as_array().cloned().unwrap_or_default() {
                self.walk(&one, table, value);
            }
        }
        if let (Some(names), Some(text)) = (schema["enum"].as_array(), value.as_str())
            && names.contains(&Value::from(text))
        {
            self.words.insert(format!("{table}: \"{text}\""));
        }
        if let Some(items) = value.as_array() {
            items.iter().for_each(|item| self.walk(&schema["items"], table, item));
        }
        let Some(entries) = value.as_table() else { return };
        let is_object = schema["type"] == "object";
        for (name, value) in entries.iter().filter(|_| is_object) {
            match schema["properties"].get(name) {
                Some(word) => {
                    self.words.insert(format!("{table}: {name}"));
                    let word = word.clone();
                    self.walk(&word, table, value);
                }
                None => {
                    let others = schema["additionalProperties"].clone();
                    self.walk(&others, table, value);
                }
            }
        }
    }
}

/// All words of a schema, in the same form.
fn all_words(root: &Value) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let definitions = root["definitions"].as_object().expect("definitions").iter();
    let tables = definitions.map(|(name, table)| (name.as_str(), table)).chain([("mapping", root)]);
    for (name, table) in tables {
        let mut open = vec![table];
        while let Some(schema) = open.pop() {
            if let Some(properties) = schema["properties"].as_object() {
                words.extend(properties.keys().map(|word| format!("{name}: {word}")));
                open.extend(properties.values());
            }
            for all in ["allOf", "anyOf"] {
                open.extend(schema[all].as_array().into_iter().flatten());
            }
            for text in schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                words.insert(format!("{name}: \"{text}\""));
            }
            open.extend(schema.get("items"));
        }
    }
    words
}

#[test]
fn every_word_is_in_an_example() {
    let root: Value = serde_json::from_str(&schema()).expect("JSON");
    let text = page("MAPPING.md");
    let lines: Vec<&str> = text.lines().collect();
    let mut seen = Seen { root: &root, words: BTreeSet::new() };
    for example in examples(&lines) {
        let mapping = whole(&example.toml);
        let value: toml::Value = toml::from_str(&mapping)
            .unwrap_or_else(|error| panic!("docs/MAPPING.md:{}: {error}\n{mapping}", example.line));
        seen.walk(&root, "mapping", &value);
    }
    let words = all_words(&root);
    // The tables of alternatives, of `[let]` and of rows share operators and modifiers, so each of
    // these has to be in one of them only; parts of `must` likewise. The page has a table of types.
    let shared = [["field", "alternative", "let"].as_slice(), &["must", "subschema"]];
    let is_seen = |word: &String| {
        let (table, name) = word.split_once(": ").expect("a table's word");
        let others = shared.iter().find(|tables| tables.contains(&table));
        let in_page = table == "kind" && text.contains(&format!("`{}`", name.trim_matches('"')));
        in_page
            || seen.words.contains(word)
            || others.is_some_and(|tables| {
                tables.iter().any(|table| seen.words.contains(&format!("{table}: {name}")))
            })
    };
    let missing: Vec<&String> = words.iter().filter(|word| !is_seen(word)).collect();
    assert!(missing.is_empty(), "words without an example: {missing:#?}");
    assert!(words.len() > 150, "the schema has only {} words", words.len());
}

#[test]
fn names_that_the_page_marks_as_findings_are_those_of_the_engine() {
    let text = page("MAPPING.md");
    let names: HashSet<&str> = [
        "left-out",
        "journal-only",
        "duplicate-field",
        "not-renamed",
        "not-converted",
        "not-unwound",
        "invalid-utf8",
        "where",
        "unmatched",
    ]
    .into();
    for name in &names {
        assert!(text.contains(&format!("`{name}")), "'{name}' is not explained");
    }
}

#[test]
fn identifiers_are_computed_as_documented() {
    let mapping = whole("{ name = \"u\", uuid5 = [\"{_id}-{x}\", \"{x}\"] }\n");
    let plan = Plan::parse(&mapping).expect("a mapping");
    let source = bytes(r#"{ "_id": 1, "x": "ab" }"#);
    let mut mapped = Mapped::default();
    Mapper::new(&plan).map([source.as_slice()].into_iter(), |_| None, &mut mapped).expect("sound");
    let value =
        |kind: u8, bytes: &[u8]| [&[kind][..], &(bytes.len() as u64).to_le_bytes(), bytes].concat();
    let template = |values: &[Vec<u8>]| {
        let values = values.concat();
        [(values.len() as u64).to_le_bytes().as_slice(), &values].concat()
    };
    let x = value(2, b"ab");
    let name =
        [template(&[value(16, &[1, 0, 0, 0]), value(0, b"-"), x.clone()]), template(&[x])].concat();
    let namespace = uuid::uuid!("6d6f6e67-6f73-506c-a974-757569643500");
    let expected = uuid::Uuid::new_v5(&namespace, &name);
    let found = Document::from_reader(mapped.outputs[0].as_slice()).expect("BSON");
    let Some(Bson::Binary(found)) = found.get("u") else { panic!("a binary: {found}") };
    assert_eq!(found.bytes, expected.as_bytes());
}

/// A command of docs/TUTORIAL.md, and the lines that are printed below it.
struct Step {
    command: String,
    /// The lines in the page.
    output: std::ops::Range<usize>,
}

/// What the tutorial's reader does, in order.
enum Part<'p> {
    /// Has a dump of these documents.
    Dump(&'p [&'p str]),
    /// Writes a file, or changes it.
    File(&'p [&'p str]),
    /// Dumps the new collections after the application has written these documents.
    Later(&'p [&'p str]),
    Step(Step),
}

fn parts<'p>(lines: &'p [&'p str]) -> Vec<Part<'p>> {
    let mut parts = Vec::new();
    for (language, range) in blocks(lines) {
        let inside = &lines[range.clone()];
        match language {
            "json" => parts.push(Part::Dump(inside)),
            "toml" => parts.push(Part::File(inside)),
            "text" => parts.push(Part::Later(inside)),
            "console" => {
                for (number, line) in range.zip(inside) {
                    match (line.strip_prefix("$ "), parts.last_mut()) {
                        (Some(command), _) => parts.push(Part::Step(Step {
                            command: command.to_owned(),
                            output: number + 1..number + 1,
                        })),
                        (None, Some(Part::Step(step))) => step.output.end = number + 1,
                        (None, _) => panic!("output without a command: {line}"),
                    }
                }
            }
            _ => {}
        }
    }
    parts
}

/// Writes or changes a file as the first line of its block says.
fn change_file(world: &World, block: &[&str]) {
    let (first, text) = block.split_first().expect("a first line");
    let text = text.join("\n") + "\n";
    let first = first.strip_prefix("# ").expect("a comment that says which file this is");
    if let Some(rest) = first.strip_prefix("in ") {
        let (name, after) = rest.split_once(", after ").expect("a file and a line in it");
        let old = std::fs::read_to_string(world.path(name)).expect("the file");
        assert_eq!(old.matches(after).count(), 1, "{after}");
        let at = old.find(after).expect("the line") + after.len() + 1;
        let start = old[..at - 1].rfind('\n').expect("a line before") + 1;
        let indent = old[start..].len() - old[start..].trim_start().len();
        let text: String = text.lines().map(|line| " ".repeat(indent) + line + "\n").collect();
        world.write(name, old[..at].to_owned() + &text + &old[at..]);
    } else if let Some(name) = first.strip_prefix("at the end of ") {
        let old = std::fs::read_to_string(world.path(name)).expect("the file");
        world.write(name, old + "\n" + &text);
    } else {
        world.write(first, text);
    }
}

fn write_dump(world: &World, documents: &[&str]) {
    let all: Vec<u8> = documents.iter().flat_map(|document| bytes(document)).collect();
    harness::write_dump(&world.path("dump"), "shop", &[("orders", &all)]);
    world.write("dump/prelude.json", r#"{"ServerVersion":"5.0.0","ToolVersion":"100.12.0"}"#);
}

/// Copies what was restored to `later`, and puts documents in by their `_id`.
fn write_later(world: &World, documents: &[&str]) {
    world.write("later/prelude.json", r#"{"ServerVersion":"5.0.0","ToolVersion":"100.12.0"}"#);
    for entry in std::fs::read_dir(world.path("out/shop")).expect("OUT") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("UTF-8");
        world.write(&format!("later/shop/{name}"), std::fs::read(&path).expect("a file"));
    }
    for line in documents {
        let (collection, document) = line.split_once(' ').expect("a collection and a document");
        let name = format!("later/shop/{collection}.bson");
        let new = bytes(document);
        let id =
            |document: &[u8]| Document::from_reader(document).expect("BSON").get("_id").cloned();
        let old = std::fs::read(world.path(&name)).expect("the collection");
        let mut all: Vec<&[u8]> = split(&old);
        match all.iter_mut().find(|one| id(one) == id(&new)) {
            Some(one) => *one = &new,
            None => all.push(&new),
        }
        let all = all.concat();
        world.write(&name, all);
    }
}

#[test]
fn the_tutorial_says_what_is_printed() {
    let world = World::new();
    let text = page("TUTORIAL.md");
    let lines: Vec<&str> = text.lines().collect();
    let help = world.run(["reverse", "--help"]).stdout;
    let (mut ran, mut wrong, mut replaced) = (0, Vec::new(), Vec::new());
    for part in parts(&lines) {
        let step = match part {
            Part::Dump(documents) => {
                write_dump(&world, documents);
                continue;
            }
            Part::File(block) => {
                change_file(&world, block);
                continue;
            }
            Part::Later(documents) => {
                write_later(&world, documents);
                continue;
            }
            Part::Step(step) => step,
        };
        let command = &step.command;
        let needs_server = command.starts_with("mongo") && !command.starts_with("mongosplit ");
        if needs_server || command.contains("redump") {
            continue;
        }
        let mut script = command.replacen("mongosplit", "\"$MONGOSPLIT\"", 1);
        // A binary whose journal does not hold the mapping yet needs it by name.
        let reads_journal = command.contains(" reverse ") || command.contains("--source");
        if reads_journal && help.contains("--mapping") {
            script += " --mapping shop.toml";
        }
        let done = world.shell(&format!("cd \"$DIR\" && {script}"));
        let said = done.stdout + &done.stderr;
        let found: Vec<String> = said.lines().map(steady).collect();
        let printed = &lines[step.output.clone()];
        let mut expected: Vec<String> = printed.iter().map(|line| steady(line)).collect();
        while expected.last().is_some_and(String::is_empty) {
            expected.pop();
        }
        // `…` stands for lines that are left out.
        let parts: Vec<&[String]> = expected.split(|line| line == "…").collect();
        let mut left = found.as_slice();
        let is_there = |(number, part): (usize, &&[String])| {
            let is_last = number + 1 == parts.len();
            let mut places = 0..=left.len().saturating_sub(part.len());
            let fits = |at: &usize| {
                left[*at..].starts_with(part)
                    && (number > 0 || *at == 0)
                    && (!is_last || at + part.len() == left.len())
            };
            let at = places.find(fits);
            left = at.map_or(left, |at| &left[at + part.len()..]);
            at.is_some()
        };
        let fits = parts.iter().enumerate().all(is_there);
        if !fits {
            wrong.push(format!(
                "$ {command}\nprinted in TUTORIAL.md:\n{}\nfound:\n{}",
                expected.join("\n"),
                found.join("\n")
            ));
        }
        let blank = printed.last().is_some_and(|line| line.is_empty());
        if parts.len() == 1 {
            replaced.push((step.output, said + if blank { "\n" } else { "" }));
        }
        ran += 1;
    }
    // What its last sentences say.
    let back = std::fs::read(world.path("back/shop/orders.bson")).expect("the result");
    let back: Vec<Document> = split(&back)
        .into_iter()
        .map(|document| Document::from_reader(document).expect("BSON"))
        .collect();
    assert_eq!(back[1].get_str("status").ok(), Some("P"));
    assert_eq!(
        back[0].get_document("customer").expect("it").get_str("phone").ok(),
        Some("555-0199")
    );
    assert_eq!(back[2].get_str("placed").ok(), Some("July 5th"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let mut new: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for (range, text) in replaced.into_iter().rev() {
            new.splice(range, text.lines().map(str::to_owned));
        }
        std::fs::write(root().join("docs/TUTORIAL.md"), new.join("\n") + "\n").expect("the page");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran >= 9, "only {ran} commands were run");
}
