//! Pieces of TOML, escaped by `toml_writer`.

use toml_writer::{ToTomlKey, ToTomlValue, TomlKeyBuilder, TomlStringBuilder};

/// A string, on one line whatever is in it.
pub(super) fn string(text: &str) -> String {
    TomlStringBuilder::new(text).as_basic().to_toml_value()
}

/// An array on one line. The items are TOML.
pub(super) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// An inline table on one line.
#[derive(Debug, Default)]
pub(super) struct InlineTable(Vec<String>);

impl InlineTable {
    /// Adds a value, which is TOML.
    pub(super) fn entry(&mut self, key: &str, value: impl std::fmt::Display) {
        let builder = TomlKeyBuilder::new(key);
        let key = builder.as_unquoted().unwrap_or_else(|| builder.as_basic()).to_toml_key();
        self.0.push(format!("{key} = {value}"));
    }

    /// The table as TOML.
    pub(super) fn finish(self) -> String {
        if self.0.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_as_it_was() {
        let texts = [
            "",
            "a b",
            "a.b",
            "\"'\\",
            "\n\r\t\u{8}\u{c}\u{1b}\u{7f}\u{85}",
            "é\u{2028}\u{1f600}",
            "'''",
            "\"\"\"",
        ];
        for text in texts {
            let mut table = InlineTable::default();
            table.entry(text, array([string(text)]));
            let table = table.finish();
            assert_eq!(table.lines().count(), 1, "{table:?}");
            let read: toml::Table = toml::from_str(&format!("t = {table}")).expect("TOML");
            assert_eq!(read["t"][text][0].as_str(), Some(text), "{table}");
        }
        assert_eq!(InlineTable::default().finish(), "{}");
    }
}
