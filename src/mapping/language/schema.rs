//! The JSON Schema of the language, for editors.

use serde_json::{Map, Value, json};

use super::words::{COMPARISONS, KINDS, QUERY, TABLES, Table, Takes, Word};

/// The syntax of a mapping as a JSON Schema (Draft 4), as Taplo and other editors of TOML read it. It
/// is made from the words that are read, and stricter rules than a schema can state are left to the
/// reader.
pub fn schema() -> String {
    let mut definitions = Map::new();
    for table in &TABLES[1..] {
        definitions.insert(table.name.to_owned(), of_table(table));
    }
    definitions.insert("query".to_owned(), of_query());
    definitions.insert("comparison".to_owned(), of_comparison());
    definitions.insert("kind".to_owned(), of_kind());
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "mongosplit mapping, format 2",
    });
    if let (Value::Object(schema), Value::Object(mapping)) = (&mut schema, of_table(TABLES[0])) {
        schema.extend(mapping);
    }
    schema["definitions"] = definitions.into();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

fn of_table(table: &Table) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": of_words(table.all()),
        "additionalProperties": false,
    });
    if !table.required.is_empty() {
        schema["required"] = json!(table.required);
    }
    if table.find("spread").is_some() {
        schema["anyOf"] = json!([{ "required": ["name"] }, { "required": ["spread"] }]);
    }
    schema
}

fn of_words<'w>(words: impl Iterator<Item = &'w Word>) -> Value {
    words.map(|word| (word.name.to_owned(), of_word(word))).collect::<Map<_, _>>().into()
}

fn of_word(word: &Word) -> Value {
    let mut schema = takes(&word.takes);
    // A reference has no room for a description in Draft 4.
    if schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    schema["description"] = word.about.into();
    schema
}

fn takes(takes: &Takes) -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    let texts = || json!({ "type": "array", "items": text() });
    match takes {
        Takes::Format => json!({ "type": "integer", "enum": [2] }),
        Takes::Text => text(),
        Takes::AnyText => json!({ "type": "string" }),
        Takes::Texts => json!({ "anyOf": [text(), texts()] }),
        Takes::TextList => texts(),
        Takes::Bool => json!({ "type": "boolean" }),
        Takes::BoolOrName => json!({ "anyOf": [{ "type": "boolean" }, text()] }),
        Takes::True => json!({ "type": "boolean", "enum": [true] }),
        Takes::NameOrFalse => json!({ "anyOf": [text(), { "enum": [false] }] }),
        Takes::Count => json!({ "type": "integer", "minimum": 0 }),
        Takes::Number => json!({ "type": "number" }),
        Takes::Choice(names) => json!({ "type": "string", "enum": names }),
        Takes::Value | Takes::ValueOrValues => json!({}),
        Takes::Values => json!({ "type": "array" }),
        Takes::Copy => {
            let item = json!({ "anyOf": [text(), reference("alternative")] });
            json!({ "anyOf": [text(), list(item)] })
        }
        Takes::Kinds => reference("kind"),
        Takes::Type => json!({ "anyOf": [reference("kind"), reference("subschema")] }),
        Takes::Keys => named(json!({ "type": "integer", "enum": [1, -1] })),
        Takes::Document => json!({ "type": ["object", "string"] }),
        Takes::Documents => named(list(json!({ "type": ["object", "string"] }))),
        Takes::Query => reference("query"),
        Takes::Queries => list(reference("query")),
        Takes::One(table) => reference(table.name),
        Takes::List(table) => list(reference(table.name)),
        Takes::Named(table) => named(reference(table.name)),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn list(item: Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn named(value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

/// A query: its own words, and fields with a comparison or any value.
fn of_query() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "properties": of_words(QUERY.iter()),
        "additionalProperties": { "anyOf": [reference("comparison"), {}] },
    })
}

fn of_comparison() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "properties": of_words(COMPARISONS.iter()),
        "additionalProperties": false,
    })
}

fn of_kind() -> Value {
    let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let name = json!({ "type": "string", "enum": names });
    json!({ "anyOf": [name, { "type": "array", "items": name, "minItems": 1 }] })
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::{EVERYTHING, EXAMPLE};
    use super::*;

    /// The first rule that a value breaks, by what [`schema`] uses of JSON Schema.
    fn broken(root: &Value, schema: &Value, value: &Value) -> Option<String> {
        let rules = schema.as_object()?;
        rules.iter().find_map(|(rule, with)| {
            let each = |schemas: &Value| {
                let schemas = schemas.as_array().unwrap().clone();
                schemas.into_iter().map(|schema| broken(root, &schema, value))
            };
            let holds = match rule.as_str() {
                "$ref" => {
                    let place = with.as_str().unwrap().strip_prefix('#').unwrap();
                    return broken(root, root.pointer(place).unwrap(), value);
                }
                "allOf" => return each(with).find_map(|broken| broken),
                "items" => {
                    return value.as_array()?.iter().find_map(|item| broken(root, with, item));
                }
                "properties" => {
                    let has = |(name, value)| broken(root, with.get(name)?, value);
                    return value.as_object()?.iter().find_map(has);
                }
                "additionalProperties" => {
                    let known = rules.get("properties");
                    let is_known =
                        |name: &str| known.is_some_and(|known| known.get(name).is_some());
                    let mut others = value.as_object()?.iter().filter(|(name, _)| !is_known(name));
                    if *with != false {
                        return others.find_map(|(_, value)| broken(root, with, value));
                    }
                    others.next().is_none()
                }
                "anyOf" => each(with).any(|broken| broken.is_none()),
                "type" => {
                    let is = match value {
                        Value::String(_) => "string",
                        Value::Bool(_) => "boolean",
                        Value::Number(number) if number.is_i64() => "integer",
                        Value::Number(_) => "number",
                        Value::Array(_) => "array",
                        _ => "object",
                    };
                    let fits = |name: &Value| name == is || (name == "number" && is == "integer");
                    with.as_array().map_or_else(|| fits(with), |names| names.iter().any(fits))
                }
                "enum" => with.as_array().unwrap().contains(value),
                "required" => {
                    let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                    !value.is_object() || with.as_array().unwrap().iter().all(has)
                }
                "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
                "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
                "minProperties" => value.as_object().is_none_or(|entries| !entries.is_empty()),
                "minimum" => value.as_f64().is_none_or(|number| number >= 0.0),
                "description" | "title" | "$schema" | "definitions" => true,
                other => panic!("'{other}' is not checked"),
            };
            (!holds).then(|| format!("{rule} {with}: {value}"))
        })
    }

    fn check(text: &str) -> Option<String> {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        broken(&schema, &schema, &toml::from_str::<Value>(text).unwrap())
    }

    #[test]
    fn samples_fulfil_the_schema() {
        assert_eq!(check(EXAMPLE), None);
        assert_eq!(check(EVERYTHING), None);
    }

    #[test]
    fn mistakes_break_the_schema() {
        for (right, wrong) in [
            ("format  = 2", "format = 1"),
            ("source  =", "sauce ="),
            ("{ copy = \"filename\" }", "{ cpoy = \"filename\" }"),
            ("value = \"dataset_id\"", "value = 1"),
            ("null = true", "null = false"),
            ("{ bsonType = \"objectId\" }", "{ bsonType = \"ObjectId\" }"),
            ("back = false", "back = true"),
            ("convert = \"date\"", "convert = \"dates\""),
            ("{ dataset_id = 1 }", "{ dataset_id = 2 }"),
            ("{ name = \"_id\", must", "{ must"),
            ("minItems = 1", "minItems = -1"),
        ] {
            assert!(EXAMPLE.contains(right), "{right}");
            assert!(check(&EXAMPLE.replacen(right, wrong, 1)).is_some(), "{wrong}");
        }
    }

    #[test]
    fn every_word_is_in_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        for table in TABLES {
            let words = match table.name {
                "mapping" => &schema["properties"],
                name => &schema["definitions"][name]["properties"],
            };
            for word in table.all() {
                assert_eq!(words[word.name]["description"], word.about);
            }
            assert_eq!(words.as_object().unwrap().len(), table.all().count(), "{}", table.name);
        }
    }
}
