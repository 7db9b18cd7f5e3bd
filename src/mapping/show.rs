//! The mapping as a table, in the form of the runbook.

use std::fmt::Write;

use super::model::{Expression, Field, ItemField, Mapping};
use super::plan::Plan;

impl Plan {
    /// The mapping as text: for each collection, a table of its fields, their sources and their
    /// rules.
    pub fn show(&self) -> String {
        // The text has been compiled, so it parses.
        let Ok(mapping) = toml::from_str::<Mapping>(&self.text) else { return String::new() };
        let mut text = format!(
            "Mapping '{}' version {}, SHA-256 {}\nSource collection: {}, joined by: {}\n",
            self.id.name, self.id.version, self.id.sha256, mapping.collection, mapping.key
        );
        for target in &mapping.target {
            let _ = write!(text, "\n{} -> {}\n", mapping.collection, target.collection);
            if !target.when_any.is_empty() {
                let _ = writeln!(text, "written if any of {} is set", target.when_any.join(", "));
            }
            let mut rows = vec![["Field".to_owned(), "Source".to_owned(), "Rule".to_owned()]];
            push_rows(&mut rows, "", &target.field, &mapping);
            if target.rest {
                rows.push([
                    "(other fields)".to_owned(),
                    "(the same names)".to_owned(),
                    "passed through after the fields above".to_owned(),
                ]);
            }
            push_table(&mut text, &rows);
            for index in &target.index {
                let key: Vec<String> = index
                    .key
                    .iter()
                    .map(|(name, direction)| {
                        format!("{name}: {}", direction.as_integer().unwrap_or_default())
                    })
                    .collect();
                let _ = writeln!(
                    text,
                    "  index {} {{{}}}{}",
                    index.name,
                    key.join(", "),
                    if index.unique { ", unique" } else { "" }
                );
            }
        }
        for (name, item) in &mapping.item {
            let _ = write!(
                text,
                "\n{name} (an item): its own fields in their own order, renamed and converted; then those still absent\n"
            );
            let mut rows = vec![["Field".to_owned(), "Source".to_owned(), "Rule".to_owned()]];
            rows.extend(item.field.iter().map(|field| item_row(field, &mapping)));
            push_table(&mut text, &rows);
        }
        text
    }
}

fn push_rows(rows: &mut Vec<[String; 3]>, prefix: &str, fields: &[Field], mapping: &Mapping) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        if let Some(inner) = &field.document {
            rows.push([name.clone(), String::new(), "a document".to_owned()]);
            push_rows(rows, &format!("{name}."), inner, mapping);
            continue;
        }
        let alternatives: Vec<Expression> =
            [field.expression()].into_iter().chain(field.or.iter().cloned()).collect();
        let mut source: Vec<String> =
            alternatives.iter().map(|expression| from(expression, mapping)).collect();
        let mut rules: Vec<String> = Vec::new();
        if let Some(array) = &field.each {
            source = vec![array.clone()];
            rules.push(format!("each item to {}", field.item.as_deref().unwrap_or_default()));
        }
        rules.extend(field.when.as_ref().map(|when| format!("only if {when} has items")));
        if field.constant.is_none() && field.each.is_none() {
            rules.push(if source.len() > 1 {
                "the first that is not empty".to_owned()
            } else {
                verb(&alternatives[0]).to_owned()
            });
        }
        rules.extend(field.empty.as_ref().map(|value| format!("empty -> {value}")));
        rules.extend(field.absent.as_ref().map(|value| format!("absent -> {value}")));
        rules.extend(field.note.clone());
        rows.push([name, source.join(", "), rules.join("; ")]);
    }
}

fn from(expression: &Expression, mapping: &Mapping) -> String {
    if let Some(name) = &expression.value {
        let of_define = |define: &Expression| {
            define.alternatives().map(|one| from(one, mapping)).collect::<Vec<_>>().join(", ")
        };
        return mapping.define.get(name).map_or(name.clone(), of_define);
    }
    if let Some(template) = &expression.template {
        return format!("\"{template}\"");
    }
    if let Some(constant) = &expression.constant {
        return constant.clone();
    }
    let only = if expression.only.is_some() {
        expression.only.map(|only| format!(" (if {})", only.name())).unwrap_or_default()
    } else {
        String::new()
    };
    let path = [
        &expression.copy,
        &expression.text,
        &expression.pluck,
        &expression.count,
        &expression.non_empty,
        &expression.outer,
    ]
    .into_iter()
    .flatten()
    .next();
    format!("{}{only}", path.map_or("", String::as_str))
}

fn verb(expression: &Expression) -> &'static str {
    match expression {
        Expression { text: Some(_), .. } | Expression { value: Some(_), .. } => "as text",
        Expression { template: Some(_), .. } => "template",
        Expression { pluck: Some(_), .. } => "the values in the array's items",
        Expression { count: Some(_), .. } => "number of items",
        Expression { non_empty: Some(_), .. } => "true if it has items",
        _ => "copy",
    }
}

fn item_row(field: &ItemField, mapping: &Mapping) -> [String; 3] {
    let mut rules = Vec::new();
    if field.date {
        rules.push("ISO text -> date".to_owned());
    }
    for translation in &field.translate {
        let kept = translation
            .keep
            .as_ref()
            .map(|place| format!(" (original in {place})"))
            .unwrap_or_default();
        rules.push(format!("{} -> {}{kept}", translation.from.join(", "), translation.to));
    }
    rules.extend(field.or.iter().map(|other| {
        let outer = if other.outer.is_some() { "the document's " } else { "" };
        format!("absent -> {outer}{}", from(other, mapping))
    }));
    rules.extend(field.empty.as_ref().map(|value| format!("empty -> {value}")));
    rules.extend(field.absent.as_ref().map(|value| format!("absent -> {value}")));
    let own = if field.generated { "-".to_owned() } else { field.name.clone() };
    let source = field.rename.as_ref().map_or(own, |old| format!("{}, {old}", field.name));
    [
        field.name.clone(),
        source,
        if rules.is_empty() { "copy".to_owned() } else { rules.join("; ") },
    ]
}

/// Appends rows in aligned columns. The last column is not padded.
fn push_table(text: &mut String, rows: &[[String; 3]]) {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for (number, [name, source, rule]) in rows.iter().enumerate() {
        let line = format!("  {name:first$}  {source:second$}  {rule}");
        let _ = writeln!(text, "{}", line.trim_end());
        if number == 0 {
            let _ = writeln!(text, "  {}", "-".repeat(first + second + 30));
        }
    }
}
