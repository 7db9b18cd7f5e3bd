//! The levels of a mapping while it is compiled: fields by name, and documents inside them.

use crate::mapping::plan::{Level, Node};

/// All levels, and where each is.
#[derive(Debug, Default)]
pub(super) struct Levels {
    list: Vec<Level>,
    /// For each level, the field that it is inside, or nothing for a document of its own, and a name
    /// for messages.
    places: Vec<(Option<(usize, usize)>, String)>,
}

impl Levels {
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Adds a level for documents of their own. `shape` names them in messages.
    pub fn add(&mut self, shape: Option<&str>) -> usize {
        self.list.push(Level::default());
        self.places.push((None, shape.map(|name| format!("{name}.")).unwrap_or_default()));
        self.list.len() - 1
    }
    pub fn all(&self) -> impl Iterator<Item = &Level> {
        self.list.iter()
    }
    pub fn level(&self, level: usize) -> &Level {
        &self.list[level]
    }
    pub fn level_mut(&mut self, level: usize) -> &mut Level {
        &mut self.list[level]
    }
    pub fn node_mut(&mut self, level: usize, node: usize) -> &mut Node {
        &mut self.list[level].nodes[node]
    }
    /// The number of a name in a level, added if it is new.
    pub fn node(&mut self, level: usize, name: &[u8]) -> usize {
        let level = &mut self.list[level];
        let node = level.names.add(name);
        if node == level.nodes.len() {
            level.nodes.push(Node::default());
        }
        node
    }
    /// The level of the documents in a field.
    pub fn inside(&mut self, level: usize, node: usize) -> usize {
        if let Some(inside) = self.list[level].nodes[node].inside {
            return inside;
        }
        self.list.push(Level::default());
        self.places.push((Some((level, node)), String::new()));
        let inside = self.list.len() - 1;
        self.list[level].nodes[node].inside = Some(inside);
        inside
    }
    /// The field at a path, with its level; levels and fields are added.
    pub fn node_at(&mut self, level: usize, names: &[String]) -> Option<(usize, usize)> {
        let (first, rest) = names.split_first()?;
        let mut found = (level, self.node(level, first.as_bytes()));
        for name in rest {
            let inside = self.inside(found.0, found.1);
            found = (inside, self.node(inside, name.as_bytes()));
        }
        Some(found)
    }
    /// Marks the documents on the way to a field as entered by a view.
    pub fn enter(&mut self, level: usize, names: &[String], bit: u32) {
        let mut at = level;
        for name in &names[..names.len().saturating_sub(1)] {
            let node = self.node(at, name.as_bytes());
            self.list[at].nodes[node].entered_by |= bit;
            at = self.inside(at, node);
        }
    }
    /// Marks the documents on the way to a field as not to be passed or copied as they stand.
    pub fn hide(&mut self, level: usize, names: &[String]) {
        let mut at = level;
        for name in &names[..names.len().saturating_sub(1)] {
            let node = self.node(at, name.as_bytes());
            self.list[at].nodes[node].hides = true;
            at = self.inside(at, node);
        }
    }
    /// The path of a field, for messages.
    pub fn path(&self, level: usize, node: usize) -> String {
        let mut names =
            vec![String::from_utf8_lossy(self.list[level].names.name(node)).into_owned()];
        let mut at = level;
        while let Some((outer, field)) = self.places[at].0 {
            names.push(String::from_utf8_lossy(self.list[outer].names.name(field)).into_owned());
            at = outer;
        }
        names.reverse();
        format!("{}{}", self.places[at].1, names.join("."))
    }
    pub fn finish(self) -> Vec<Level> {
        self.list
    }
}
