//! Operators, modifiers, paths, queries and values made by chance.

use std::fmt::Write;

use super::super::documents::{ARRAYS, BELOW, EMBEDDED, ITEM_NAMES, LOOSE, MAPS, PRIVATE};
use super::{Here, LETS, Making, Use};

const TYPES: [&str; 12] = [
    "null", "string", "bool", "int", "long", "number", "double", "date", "objectId", "object",
    "array", "binData",
];
const VALUES: [&str; 20] = [
    "true",
    "7",
    "0",
    "-3000000000",
    "0.5",
    "nan",
    "\"text\"",
    "\"\"",
    "\"csv\"",
    "2025-10-13T10:15:23Z",
    "[]",
    "{}",
    "[1, { b = { \"$null\" = true } }]",
    "{ a = [1, 2.5], b = \"x\" }",
    "{ \"$null\" = true }",
    "{ \"$oid\" = \"0123456789abcdef01234567\" }",
    "{ \"$numberDecimal\" = \"1.50\" }",
    "{ \"$numberLong\" = \"5\" }",
    "{ \"$uuid\" = \"00010203-0405-0607-0809-0a0b0c0d0e0f\" }",
    "{ \"$minKey\" = 1 }",
];
/// How many of the values are neither documents nor arrays, from the front.
const SCALARS: usize = 10;

impl Making<'_> {
    /// An operator with modifiers, without braces.
    pub(super) fn expression(&mut self, here: Here, way: Use) -> String {
        let choice = self.chance.below(if here.is_item() { 17 } else { 15 });
        let path = self.path(here, way);
        let (mut text, can_have_shape) = match choice {
            0 => match self.let_name(here) {
                Some(name) => (format!("value = \"{name}\""), true),
                None => (format!("text = \"{}\"", self.path(here, Use::Other)), false),
            },
            1 => (format!("text = \"{}\"", self.path(here, Use::Other)), false),
            2 => (format!("template = \"{}\"", self.template(here)), false),
            3 => {
                let array = ARRAYS[self.chance.below(ARRAYS.len())];
                let below = ["a", "kind", "deep.a", "when"][self.chance.below(4)];
                let every = if self.chance.one_in(3) { ", every = true" } else { "" };
                (format!("copy = \"{array}[].{below}\"{every}"), false)
            }
            4 => (format!("size = \"{}\"", self.path(here, Use::Other)), false),
            5 => return format!("not_empty = \"{}\"", self.path(here, Use::Other)),
            6 => {
                let part = self.template(here);
                let other = self.path(here, Use::Other);
                (format!("uuid5 = [\"{part}\", \"{{{other}}}\"]"), false)
            }
            7 | 8 => {
                let array = self.array(here);
                (format!("each = \"{array}\""), true)
            }
            9 | 10 => {
                let many = 2 + self.chance.below(2);
                let all: Vec<String> = (0..many)
                    .map(|_| {
                        let path = self.path(here, Use::Other);
                        if self.chance.one_in(3) {
                            let mut one = format!("copy = \"{path}\"");
                            self.modifiers(here, true, &mut one);
                            format!("{{ {one} }}")
                        } else {
                            format!("\"{path}\"")
                        }
                    })
                    .collect();
                (format!("copy = [{}]", all.join(", ")), true)
            }
            15 => {
                let path = self.path(Here::Source, Use::Other);
                (format!("outer = \"{path}\""), true)
            }
            16 if here == Here::Unwound => ("position = true".to_owned(), false),
            _ => (format!("copy = \"{path}\""), true),
        };
        self.modifiers(here, can_have_shape, &mut text);
        text
    }

    fn modifiers(&mut self, here: Here, can_have_shape: bool, text: &mut String) {
        if self.chance.one_in(5) {
            if self.chance.one_in(3) {
                let words = self.must(false);
                let _ = write!(text, ", type = {words}");
            } else {
                let _ = write!(text, ", type = \"{}\"", TYPES[self.chance.below(TYPES.len())]);
            }
        }
        if self.chance.one_in(8) {
            let query = self.query(here, 1);
            let _ = write!(text, ", when = {query}");
        }
        match self.chance.below(8) {
            0 => {
                let to = ["date", "objectId", "string", "int", "long", "double", "decimal", "bool"]
                    [self.chance.below(8)];
                let format = match to {
                    "date" | "string" => [
                        "",
                        ", format = [\"iso\"]",
                        ", format = \"%Y-%m-%d\"",
                        ", format = [\"%d.%m.%Y %H:%M\", \"%Y-%m-%d\"]",
                    ][self.chance.below(4)],
                    _ => "",
                };
                let _ = write!(text, ", convert = \"{to}\"{format}");
            }
            1 => {
                let pairs = self.translations();
                let _ = write!(text, ", translate = {pairs}");
            }
            2 | 3 if can_have_shape => {
                // A shape uses later ones, and `[let]` but for its last value the last.
                let from = match here {
                    Here::Shape(number) => number + 1,
                    Here::Let(number) if number + 1 == LETS.len() => self.shapes,
                    Here::Let(_) => self.shapes.saturating_sub(1),
                    _ => 0,
                };
                if from < self.shapes {
                    let number = from + self.chance.below(self.shapes - from);
                    let _ = write!(text, ", shape = \"S{number}\"");
                }
            }
            _ => {}
        }
    }

    pub(super) fn translations(&mut self) -> String {
        let mut all = vec![
            "{ from = \"remove_duplicates\", to = \"drop_duplicates\" }",
            "{ from = [\"impute_mean\", \"one\"], to = \"impute\" }",
            "{ from = \"uno\", to = \"csv\" }",
            "{ from = \"low\", to = \"csv\" }",
            "{ from = \"csv\", to = \"uno\" }",
            "{ from = [1, true, { \"$null\" = true }], to = 2 }",
            "{ from = 2, to = \"two\" }",
        ];
        for _ in 0..self.chance.below(5) {
            all.remove(self.chance.below(all.len()));
        }
        format!("[{}]", all.join(", "))
    }

    fn template(&mut self, here: Here) -> String {
        let mut parts = vec!["x".to_owned(), format!("{{{}}}", self.path(here, Use::Other))];
        if let Some(name) = self.let_name(here) {
            parts.push(format!("{{{name}}}"));
        }
        if here.is_item() {
            parts.push("{outer.name}".to_owned());
        }
        if here == Here::Unwound {
            parts.push("{position}".to_owned());
        }
        parts.remove(self.chance.below(parts.len()));
        parts.join(["", "/", "{{"][self.chance.below(3)])
    }

    pub(super) fn let_name(&mut self, here: Here) -> Option<&'static str> {
        let from = match here {
            Here::Let(number) => number + 1,
            Here::Vault => return None,
            Here::Shape(number) if number + 1 == self.shapes => LETS.len() - 1,
            _ => 0,
        };
        (from < LETS.len()).then(|| LETS[from + self.chance.below(LETS.len() - from)])
    }

    /// Whether something in it may be private, so that only a row's own `copy` can name it.
    fn holds_private(&self, name: &str) -> bool {
        self.has_vault && PRIVATE.iter().any(|path| path.starts_with(&format!("{name}.")))
    }

    /// A path in what is read, that of no private field.
    pub(super) fn path(&mut self, here: Here, way: Use) -> String {
        if here.is_item() {
            let name = ITEM_NAMES[self.chance.below(ITEM_NAMES.len())];
            return match (name, self.chance.below(4)) {
                ("deep" | "parameters", 1..) => {
                    format!("{name}.{}", BELOW[self.chance.below(BELOW.len())])
                }
                _ => name.to_owned(),
            };
        }
        loop {
            let path = match self.chance.below(12) {
                0 => "_id".to_owned(),
                1 => ARRAYS[self.chance.below(ARRAYS.len())].to_owned(),
                2 => MAPS[self.chance.below(MAPS.len())].to_owned(),
                3 | 4 => EMBEDDED[self.chance.below(EMBEDDED.len())].to_owned(),
                5 | 6 => {
                    let outer = EMBEDDED[self.chance.below(EMBEDDED.len())];
                    format!("{outer}.{}", BELOW[self.chance.below(BELOW.len())])
                }
                7 => format!("other.deep.{}", ["a", "b", "when"][self.chance.below(3)]),
                _ => LOOSE[self.chance.below(LOOSE.len())].to_owned(),
            };
            if way == Use::Own || !self.holds_private(&path) {
                return path;
            }
        }
    }

    /// The path of a document whose fields are taken; `.` is the record itself.
    pub(super) fn embedded(&mut self, here: Here) -> String {
        let paths: &[&str] = match here {
            _ if self.chance.one_in(5) => &["."],
            Here::Shape(_) | Here::Unwound => &["deep", "parameters", "deep.deep"],
            _ => &["nested", "other", "other.deep", "map", "p.q"],
        };
        (*self.chance.pick(paths)).to_owned()
    }

    fn array(&mut self, here: Here) -> String {
        match here {
            Here::Shape(_) | Here::Unwound => {
                ["list", "deep.list", "tags"][self.chance.below(3)].to_owned()
            }
            _ if self.chance.one_in(4) => "nested.list".to_owned(),
            _ => ARRAYS[self.chance.below(ARRAYS.len())].to_owned(),
        }
    }

    pub(super) fn query(&mut self, here: Here, depth: usize) -> String {
        let mut all = Vec::new();
        for _ in 0..1 + self.chance.below(2) {
            let path = self.path(here, Use::Other);
            let (value, other) = (self.scalar(), self.scalar());
            all.push(match self.chance.below(11) {
                0 => format!("any_set = [\"{path}\"]"),
                1 => format!("not_empty = \"{path}\""),
                2 if depth > 0 => {
                    let word = ["$or", "$nor"][self.chance.below(2)];
                    format!(
                        "\"{word}\" = [{}, {}]",
                        self.query(here, depth - 1),
                        self.query(here, depth - 1)
                    )
                }
                3 => format!("\"{path}\" = {value}"),
                4 => format!("\"{path}\" = {{ \"$in\" = [{value}, {other}] }}"),
                5 => format!("\"{path}\" = {{ \"$nin\" = [{value}, {other}] }}"),
                6 => format!("\"{path}\" = {{ \"$ne\" = {value} }}"),
                7 => format!(
                    "\"{path}\" = {{ \"$type\" = \"{}\" }}",
                    TYPES[self.chance.below(TYPES.len())]
                ),
                8 => format!("\"{path}\" = {{ \"$gt\" = {value}, \"$lte\" = {other} }}"),
                9 => format!("\"{path}\" = {{ \"$gte\" = {value} }}"),
                _ => format!("\"{path}\" = {{ \"$exists\" = {} }}", self.chance.one_in(2)),
            });
        }
        // A key twice is no TOML.
        all.dedup_by_key(|one| one.split(" = ").next().unwrap_or_default().to_owned());
        if all.len() > 1 && all[0].split(" = ").next() == all[1].split(" = ").next() {
            all.pop();
        }
        format!("{{ {} }}", all.join(", "))
    }

    pub(super) fn must(&mut self, is_row: bool) -> String {
        let kind = TYPES[self.chance.below(TYPES.len())];
        let optional = if is_row && self.chance.one_in(3) { "optional = true, " } else { "" };
        let more = [
            "",
            ", minimum = 0, exclusiveMinimum = true",
            ", maximum = 10, exclusiveMaximum = true",
            ", minItems = 1, maxItems = 3",
            ", enum = [\"csv\", \"low\", 7], anyCase = true",
            ", pattern = \"^dat\", anyCase = true",
            ", items = { bsonType = \"string\" }",
            ", properties = { a = { bsonType = \"string\" }, b = { enum = [1] } }, required = [\"a\"]",
            ", additionalProperties = { bsonType = \"number\" }",
            ", anyOf = [{ bsonType = \"null\" }, { minItems = 1 }]",
            ", not = { required = [\"x\"] }",
        ][self.chance.below(11)];
        format!("{{ {optional}bsonType = [\"null\", \"{kind}\"]{more} }}")
            .replace("\"null\", \"null\"", "\"null\"")
    }

    pub(super) fn value(&mut self) -> &'static str {
        VALUES[self.chance.below(VALUES.len())]
    }
    pub(super) fn scalar(&mut self) -> &'static str {
        VALUES[self.chance.below(SCALARS)]
    }
}
