//! Mappings made by chance, over the whole language that docs/MAPPING.md describes. Nearly all of them compile; those
//! that do not must be refused, and neither may panic.
//!
//! Of fields, documents in [`documents`](super::documents) have the same names.

mod expressions;

use std::fmt::Write;

use super::Chance;
use super::documents::{ARRAYS, EMBEDDED, ITEM_NAMES, LOOSE, MAPS, PRIVATE};

/// A mapping, and what there is to know about it without compiling it.
#[derive(Debug)]
pub struct Made {
    pub text: String,
    /// The number of the private target, and the paths that reach no other.
    pub vault: Option<(usize, Vec<&'static str>)>,
    /// The fields that are meant to be in the journal only.
    pub drop: Vec<String>,
}

/// The text of a mapping.
pub fn text(chance: &mut Chance) -> String {
    any(chance, false).text
}

/// A mapping; one with a private target if that is asked for, else seldom.
pub fn any(chance: &mut Chance, with_vault: bool) -> Made {
    let vault = (with_vault || chance.one_in(4)).then(|| chance.below(3));
    let mut making = Making {
        has_vault: vault.is_some(),
        shapes: chance.below(4),
        key: ["_id", "k", "k", "key"][chance.below(4)],
        keeps: false,
        chance,
    };
    making.mapping(vault)
}

/// The names of `[let]`. Each needs only later ones.
const LETS: [&str; 5] = ["k", "joined", "who", "again", "part"];

/// What a row or a value of `[let]` reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    /// A value of `[let]` with this number; it needs only later ones.
    Let(usize),
    Source,
    /// The vault of the source document.
    Vault,
    Shape(usize),
    /// An unwound item.
    Unwound,
}

impl Here {
    fn is_item(self) -> bool {
        matches!(self, Here::Shape(_) | Here::Unwound)
    }
}

/// What a path is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A row's own `copy`, which leaves out what is private.
    Own,
    /// Anything else.
    Other,
}

struct Making<'c> {
    chance: &'c mut Chance,
    has_vault: bool,
    /// The number of shapes. Each uses only later ones.
    shapes: usize,
    key: &'static str,
    /// The table that is made has a translation that keeps originals.
    keeps: bool,
}

impl Making<'_> {
    fn mapping(&mut self, vault: Option<usize>) -> Made {
        let targets = 1 + self.chance.below(4);
        let vault = vault.map(|vault| vault % (targets + 1)).filter(|_| self.has_vault);
        let targets = targets + usize::from(vault.is_some());
        let mut text = format!(
            "format = 2\nname = \"any\"\nversion = \"0\"\nsource = \"src\"\nkey = \"{}\"\n",
            self.key
        );
        let mut drop = Vec::new();
        if self.chance.one_in(3) {
            drop = (0..1 + self.chance.below(2))
                .map(|_| self.path(Here::Source, Use::Other))
                .collect();
            let quoted: Vec<String> = drop.iter().map(|path| format!("\"{path}\"")).collect();
            let _ = writeln!(text, "drop = [{}]", quoted.join(", "));
        }
        if self.chance.one_in(3) {
            text.push_str("unmatched = \"journal\"\n");
        }
        text.push_str(&self.lets());
        let mut vault_paths = Vec::new();
        let mut has_where = false;
        let mut has_driver = false;
        let is_shown = self.chance.one_in(3);
        for number in 0..targets {
            let _ = write!(text, "\n[[target]]\ncollection = \"t{number}\"\n");
            if vault == Some(number) {
                vault_paths = self.vault(&mut text);
                continue;
            }
            // One target at least unwinds nothing.
            let unwinds =
                self.chance.one_in(3) && (has_driver || number + 1 < targets) && number > 0;
            has_driver |= !unwinds;
            if number == 0 && is_shown {
                text = text.replacen("collection = \"t0\"", "collection = \"src\"", 1);
                if self.chance.one_in(2) {
                    text.push_str("drop_indexes = [\"old_1\"]\n");
                }
            }
            if has_where && self.chance.one_in(2) {
                // Once for those before it, most of the time.
                has_where = self.chance.one_in(20);
                text.push_str("otherwise = true\n");
            } else if self.chance.one_in(4) {
                has_where = true;
                let query = self.query(Here::Source, 2);
                let _ = writeln!(text, "where = {query}");
            }
            self.target(unwinds, targets == 1, &mut text);
        }
        for number in 0..self.shapes {
            self.shape(number, &mut text);
        }
        let vault = vault.map(|vault| (vault, vault_paths));
        Made { text, vault, drop }
    }

    fn lets(&mut self) -> String {
        let mut lines: Vec<String> = vec![if self.chance.one_in(2) {
            "k = { text = \"_id\" }".to_owned()
        } else {
            "k = { copy = \"k\", type = \"string\", coalesce = [{ text = \"_id\" }] }".to_owned()
        }];
        for (number, name) in LETS.iter().enumerate().skip(1) {
            let here = Here::Let(number);
            let mut line = self.expression(here, Use::Other);
            for word in ["when_missing", "coalesce"] {
                if self.chance.one_in(4) {
                    let _ =
                        write!(line, ", {word} = [{{ {} }}]", self.expression(here, Use::Other));
                }
            }
            lines.push(format!("{name} = {{ {line} }}"));
        }
        let from = self.chance.below(lines.len());
        lines.rotate_left(from);
        format!("\n[let]\n{}\n", lines.join("\n"))
    }

    /// The row of the key, for documents of the source or items.
    fn key_row(&mut self, unwinds: bool, text: &mut String) -> String {
        let name = match (self.key, unwinds) {
            ("_id", false) => return "{ name = \"_id\" }".to_owned(),
            ("_id", true) => "parent",
            _ if self.chance.one_in(4) => "joined_by",
            (key, _) => key,
        };
        if name != self.key {
            let _ = writeln!(text, "key = \"{name}\"");
        }
        match self.key {
            "_id" => format!("{{ name = \"{name}\", outer = \"_id\" }}"),
            "k" => format!("{{ name = \"{name}\", value = \"k\" }}"),
            _ if unwinds => format!("{{ name = \"{name}\", outer = \"_id\" }}"),
            _ => format!("{{ name = \"{name}\", copy = \"_id\" }}"),
        }
    }

    /// A target that is private, or a vault, and its private paths.
    fn vault(&mut self, text: &mut String) -> Vec<&'static str> {
        text.push_str("private = true\n");
        if self.chance.one_in(2) {
            let query = self.query(Here::Source, 1);
            let _ = writeln!(text, "where = {query}");
        }
        if self.chance.one_in(3) {
            let array = self.chance.one_in(2);
            let path = if array { "hidden" } else { "hush" };
            let _ = writeln!(text, "unwind = \"{path}{}\"", if array { "" } else { "{}" });
            let mut rows = vec![self.key_row(true, text)];
            rows.push("{ name = \"_id\", uuid5 = [\"{outer._id}\", \"{position}\"] }".to_owned());
            rows.extend(self.rows(Here::Unwound, &["a", "b", "secret"], 0));
            let _ = writeln!(text, "fields = [\n  {},\n]", rows.join(",\n  "));
            return vec![path];
        }
        let mut rows = vec![self.key_row(false, text)];
        if self.key != "_id" {
            rows.push("{ name = \"_id\" }".to_owned());
        }
        let mut paths = Vec::new();
        let mut all = PRIVATE.to_vec();
        for number in 0..1 + self.chance.below(4) {
            let path = all.remove(self.chance.below(all.len()));
            paths.push(path);
            let mut operator = ["copy", "copy", "copy", "text", "each", "size", "rest"]
                [self.chance.below(7)]
            .to_owned();
            operator = format!("{operator} = \"{path}\"");
            let more = match self.chance.below(8) {
                0 if !operator.starts_with("rest") => ", convert = \"string\"",
                1 if operator.starts_with("copy") => ", type = \"string\"",
                2 => ", must = { bsonType = \"string\", pattern = \"^a\" }",
                3 if self.shapes > 0
                    && (operator.starts_with("copy") || operator.starts_with("each")) =>
                {
                    ", shape = \"S0\""
                }
                _ => "",
            };
            let row = format!("{{ name = \"p{number}\", {operator}{more} }}");
            rows.push(match self.chance.below(6) {
                0 => format!("{{ name = \"in{number}\", document = [{row}] }}"),
                1 => format!("{{ spread = \"{path}\" }}"),
                2 => format!("{{ name = \"p{number}\", copy = \"none\", coalesce = [{{ template = \"{{{path}}}!\" }}] }}"),
                _ => row,
            });
        }
        let _ = writeln!(text, "fields = [\n  {},\n]", rows.join(",\n  "));
        paths
    }

    fn target(&mut self, unwinds: bool, is_alone: bool, text: &mut String) {
        let mut here = Here::Source;
        if unwinds {
            here = Here::Unwound;
            let all =
                [ARRAYS[0], ARRAYS[1], "nested.list", "map{}", "nested.map{}", "other.deep{}"];
            let path = all[self.chance.below(all.len() - usize::from(self.has_vault))];
            let _ = writeln!(text, "unwind = \"{path}\"");
        }
        let rest = self.chance.one_in(2);
        if rest {
            text.push_str("rest = true\n");
        }
        for (word, many) in [("order = \"source\"", 4), ("shared = true", 8)] {
            if self.chance.one_in(many) {
                let _ = writeln!(text, "{word}");
            }
        }
        if rest && is_alone && self.key == "_id" && self.chance.one_in(2) {
            return; // All fields as they are.
        }
        let mut rows = vec![self.key_row(unwinds, text)];
        match unwinds {
            true => rows.push(
                ["{ name = \"_id\", uuid5 = [\"{outer._id}\", \"{position}\"] }",
                    "{ name = \"_id\", position = true }",
                    "{ name = \"_id\", copy = \"id\", coalesce = [{ uuid5 = [\"{outer._id}\", \"x{position}\"] }] }",
                    "{ name = \"_id\", template = \"{outer.name}/{position}\", if_missing = 1 }"]
                    [self.chance.below(4)]
                .to_owned(),
            ),
            false if self.key != "_id" => rows.push("{ name = \"_id\" }".to_owned()),
            false => {}
        }
        let names: Vec<&str> = if unwinds {
            ITEM_NAMES.to_vec()
        } else {
            LOOSE.iter().chain(&EMBEDDED).chain(&ARRAYS).chain(&MAPS).copied().collect()
        };
        let many = self.chance.below(8);
        let names = self.some(&names, many);
        rows.extend(self.rows(here, &names, 0));
        if self.chance.one_in(3) {
            let from = self.chance.below(rows.len());
            rows.rotate_left(from);
        }
        let _ = writeln!(text, "fields = [\n  {},\n]", rows.join(",\n  "));
        if let (Some(name), true) = (names.first(), self.chance.one_in(3)) {
            let unique = self.chance.one_in(2);
            let _ = writeln!(
                text,
                "indexes = [{{ key = {{ {name} = -1 }}, unique = {unique} }}, {{ key = {{ _id = 1, {name} = 1 }}, name = \"two\" }}]"
            );
        }
        self.requires(&names, text);
    }

    fn requires(&mut self, names: &[&str], text: &mut String) {
        let (Some(first), true) = (names.first(), self.chance.one_in(4)) else { return };
        let value = self.scalar();
        let any = names[self.chance.below(names.len())];
        let _ = writeln!(
            text,
            "requires = [{{ when = {{ {first} = {{ \"$ne\" = {value} }} }}, any = [\"{any}\"] }}]"
        );
    }

    fn shape(&mut self, number: usize, text: &mut String) {
        let _ = write!(text, "\n[shape.S{number}]\n");
        let many = 1 + self.chance.below(5);
        let mut names = self.some(&ITEM_NAMES, many);
        let mut into = None;
        match self.chance.below(6) {
            0 => text.push_str("order = \"table\"\n"),
            1 => text.push_str("rest = false\n"),
            2 => {
                into = Some("parameters");
                names.retain(|name| *name != "parameters");
                text.push_str("rest = \"parameters\"\n");
            }
            _ => {}
        }
        let mut rows = self.rows(Here::Shape(number), &names, 0);
        rows.extend(into.map(|name| format!("{{ name = \"{name}\" }}")));
        let _ = writeln!(text, "fields = [\n  {},\n]", rows.join(",\n  "));
        self.requires(&names, text);
    }

    /// So many different ones of these names.
    fn some(&mut self, names: &[&'static str], many: usize) -> Vec<&'static str> {
        let mut names = names.to_vec();
        let mut some = Vec::new();
        while some.len() < many && !names.is_empty() {
            some.push(names.remove(self.chance.below(names.len())));
        }
        some
    }

    /// Rows with these names, and perhaps some that spread or take the rest.
    fn rows(&mut self, here: Here, names: &[&str], depth: usize) -> Vec<String> {
        let mut rows: Vec<String> = Vec::new();
        if depth == 0 {
            self.keeps = false;
        }
        // The originals of a translation stay in another row's document.
        let keeper = (depth == 0 && here.is_item() && self.chance.one_in(3))
            .then(|| names.iter().position(|name| *name == "parameters"))
            .flatten();
        for (number, name) in names.iter().enumerate() {
            if let (Some(keeper), false) = (keeper, self.keeps)
                && keeper != number
            {
                self.keeps = true;
                let pairs = self.translations();
                rows.push(format!(
                    "{{ name = \"{name}\", copy = [\"{name}\", {{ copy = \"type\", translate = {pairs}, keep = \"parameters.was\" }}] }}"
                ));
                continue;
            }
            if keeper == Some(number) {
                rows.push("{ name = \"parameters\", if_null = {} }".to_owned());
                continue;
            }
            rows.push(self.row(here, name, depth));
        }
        if here != Here::Vault && self.chance.one_in(6) {
            let path = self.embedded(here);
            rows.push(format!("{{ spread = \"{path}\" }}"));
        }
        if rows.is_empty() {
            rows.push("{ name = \"one\", const = 1 }".to_owned());
        }
        rows
    }

    fn row(&mut self, here: Here, name: &str, depth: usize) -> String {
        let mut row = format!("{{ name = \"{name}\"");
        match self.chance.below(12) {
            0 | 1 if depth < 2 => {
                let many = 1 + self.chance.below(3);
                let names = self.some(&["a", "b", "c", "d", "deep"], many);
                let inner = self.rows(here, &names, depth + 1);
                let _ = write!(row, ", document = [{}]", inner.join(", "));
            }
            2 => {
                let path = self.embedded(here);
                let _ = write!(row, ", rest = \"{path}\"");
            }
            3 => {
                let value = self.value();
                let _ = write!(row, ", const = {value}");
                if self.chance.one_in(3) {
                    let query = self.query(here, 1);
                    let _ = write!(row, ", when = {query}, or_null = true");
                }
            }
            4 => row.push_str(", null = true"),
            5 => {
                // Its own field, unless something private is inside.
                let query = self.query(here, 1);
                if self.chance.one_in(2) {
                    let _ = write!(row, ", when = {query}");
                }
                self.fallbacks(here, &mut row);
            }
            _ => {
                let own = self.expression(here, Use::Own);
                let _ = write!(row, ", {own}");
                self.fallbacks(here, &mut row);
            }
        }
        if self.chance.one_in(4) {
            let must = self.must(true);
            let _ = write!(row, ", must = {must}");
        }
        match self.chance.below(12) {
            0 => row.push_str(", back = false"),
            1 => row.push_str(", back = \"old\""),
            2 => row.push_str(", merge = \"newest\""),
            3 => row.push_str(", note = \"why\""),
            _ => {}
        }
        row.push_str(" }");
        row
    }

    fn fallbacks(&mut self, here: Here, row: &mut String) {
        let is_constant = row.contains(", const = ") || row.contains(", null = true");
        for word in ["when_missing", "coalesce"] {
            if self.chance.one_in(5) && !(is_constant && word == "when_missing") {
                let many = 1 + self.chance.below(2);
                let all: Vec<String> = (0..many)
                    .map(|_| format!("{{ {} }}", self.expression(here, Use::Other)))
                    .collect();
                let _ = write!(row, ", {word} = [{}]", all.join(", "));
            }
        }
        match self.chance.below(8) {
            0 if !is_constant => row.push_str(", or_null = true"),
            1 if !is_constant => {
                let value = self.value();
                let _ = write!(row, ", if_missing = {value}");
            }
            2 => {
                let value = self.value();
                let _ = write!(row, ", if_null = {value}");
            }
            _ => {}
        }
    }
}
