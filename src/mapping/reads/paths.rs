//! The paths that rows read, as a tree.

use std::collections::HashMap;
use std::ops::Range;

use crate::mapping::language::{
    At, Condition, Expression, Filter, Mapping, Operator, Part, Path, Query, Rest, Row, Template,
};

/// The source document.
pub const ROOT: usize = 0;
/// Larger trees are not followed: shapes within shapes can make any number of paths.
const MOST_NODES: usize = 1 << 16;

/// The paths that the rows of a mapping read.
#[derive(Debug, Default)]
pub struct Paths {
    pub nodes: Vec<Node>,
    pub rows: Vec<RowReads>,
    /// The targets' names, each with its place in the text.
    pub targets: Vec<At<String>>,
}

/// A field of source documents that rows read, or read something in.
#[derive(Debug, Default)]
pub struct Node {
    pub children: HashMap<Box<[u8]>, usize>,
    /// Its items, if it is an array, or its entries, if it is used as a map (true).
    pub items: Option<(usize, bool)>,
    /// A row takes the whole value, or computes something from it.
    pub is_whole: bool,
    /// Rows take single fields of the document here.
    pub is_entered: bool,
    /// Fields that no row reads are passed on from here.
    pub has_rest: bool,
    /// A document has it.
    pub seen: bool,
}

/// What a row reads.
#[derive(Debug)]
pub struct RowReads {
    /// Its place in the text.
    pub at: Range<usize>,
    /// The target that it is of; none for a shape.
    pub target: Option<usize>,
    /// The documents that it is applied to.
    pub bases: Vec<usize>,
    /// The fields that it reads.
    pub reads: Vec<usize>,
    /// Their paths as they are written.
    pub names: Vec<String>,
}

/// Where rows are applied.
#[derive(Clone, Copy)]
struct Here {
    base: usize,
    target: Option<usize>,
}

impl Paths {
    pub fn new(mapping: &Mapping) -> Self {
        let mut paths = Paths { nodes: vec![Node::default()], ..Paths::default() };
        paths.nodes[ROOT].is_entered = true;
        for path in &mapping.drop {
            let node = paths.item_node(ROOT, path);
            paths.nodes[node].is_whole = true;
        }
        for (number, target) in mapping.targets.iter().enumerate() {
            paths.targets.push(target.collection.clone());
            if let Filter::Where(query) = &target.filter {
                paths.query(ROOT, query);
            }
            let mut base = ROOT;
            if let Some(unwind) = &target.unwind {
                let node = paths.node(ROOT, &unwind.path.names);
                base = paths.items(node, unwind.is_map);
                paths.nodes[base].is_entered = true;
            }
            paths.nodes[base].has_rest |= target.rest;
            paths.all_rows(mapping, &target.fields, Here { base, target: Some(number) });
        }
        // What is not complete says nothing of rows.
        if paths.nodes.len() >= MOST_NODES {
            paths.rows.clear();
        }
        paths
    }

    /// Adds the rows of a table.
    fn all_rows(&mut self, mapping: &Mapping, fields: &[Row], here: Here) {
        for field in fields {
            let mut reads = Found::default();
            let own = field.name.as_ref();
            for one in [&field.value].into_iter().chain(&field.when_missing).chain(&field.coalesce)
            {
                self.expression(mapping, one, own, here, &mut reads);
            }
            if let Some(Operator::Document(inner)) = &field.value.operator {
                self.all_rows(mapping, inner, here);
            }
            if !reads.nodes.is_empty() {
                self.add_row(field, here, reads);
            }
        }
    }

    fn add_row(&mut self, field: &Row, here: Here, reads: Found) {
        let at = field.name.as_ref().map_or_else(|| field.at.clone(), |name| name.at.clone());
        if let Some(row) = self.rows.iter_mut().find(|row| row.at == at) {
            row.bases.push(here.base);
            row.reads.extend(reads.nodes);
            return;
        }
        let (reads, names) = (reads.nodes, reads.names);
        self.rows.push(RowReads { at, target: here.target, bases: vec![here.base], reads, names });
    }

    fn expression(
        &mut self,
        mapping: &Mapping,
        expression: &Expression,
        own: Option<&At<String>>,
        here: Here,
        found: &mut Found,
    ) {
        if let Some(query) = &expression.when {
            self.query(here.base, query);
        }
        for one in expression.when_missing.iter().chain(&expression.coalesce) {
            self.expression(mapping, one, None, here, found);
        }
        let shape = expression.shape.as_ref().map(|shape| shape.value.as_str());
        match &expression.operator {
            None => {
                let Some(own) = own else { return };
                let node = self.node(here.base, std::slice::from_ref(&own.value));
                self.take(mapping, node, shape);
                found.add(node, own.value.clone());
            }
            Some(Operator::First(all)) => {
                for one in all {
                    let mut one = one.clone();
                    one.shape = one.shape.or_else(|| expression.shape.clone());
                    self.expression(mapping, &one, None, here, found);
                }
            }
            Some(Operator::Copy { path, .. }) => {
                let node = self.item_node(here.base, path);
                self.take(mapping, node, shape);
                found.add(node, written(path));
            }
            Some(Operator::Each(path)) => {
                let node = self.node(here.base, &path.names);
                match shape {
                    Some(_) => {
                        let items = self.items(node, false);
                        self.take(mapping, items, shape);
                    }
                    None => self.take(mapping, node, None),
                }
                found.add(node, written(path));
            }
            Some(Operator::Text(path) | Operator::Size(path) | Operator::NotEmpty(path)) => {
                let node = self.node(here.base, &path.names);
                self.take(mapping, node, None);
                found.add(node, written(path));
            }
            Some(Operator::Rest(Some(path)) | Operator::Spread(Some(path))) => {
                let node = self.node(here.base, &path.names);
                self.nodes[node].is_whole = true;
                found.add(node, written(path));
            }
            Some(Operator::Outer(path)) => {
                let node = self.node(ROOT, &path.names);
                self.take(mapping, node, None);
                found.add(node, format!("outer.{}", written(path)));
            }
            Some(Operator::Let(name)) => self.computed(mapping, &name.value, here, found),
            Some(Operator::Template(template)) => self.template(mapping, template, here, found),
            Some(Operator::Uuid5(parts)) => {
                parts.iter().for_each(|part| self.template(mapping, part, here, found));
            }
            Some(
                Operator::Constant(_)
                | Operator::Document(_)
                | Operator::Position
                | Operator::Rest(None)
                | Operator::Spread(None),
            ) => {}
        }
    }

    /// What a value of `[let]` reads. Its names are checked to need each other in no circle.
    fn computed(&mut self, mapping: &Mapping, name: &str, here: Here, found: &mut Found) {
        let known = mapping.lets.iter().find(|(known, _)| known.value == name);
        if let Some((name, expression)) = known {
            let here = Here { base: ROOT, ..here };
            self.expression(mapping, expression, Some(name), here, found);
        }
    }

    fn template(&mut self, mapping: &Mapping, template: &Template, here: Here, found: &mut Found) {
        for part in &template.parts {
            let (base, path) = match part {
                Part::Field(path) => {
                    let [name] = path.names.as_slice() else {
                        self.read_part(here.base, path, found);
                        continue;
                    };
                    if mapping.lets.iter().any(|(known, _)| known.value == *name) {
                        self.computed(mapping, name, here, found);
                        continue;
                    }
                    (here.base, path)
                }
                Part::Outer(path) => (ROOT, path),
                Part::Literal(_) | Part::Position => continue,
            };
            self.read_part(base, path, found);
        }
    }

    fn read_part(&mut self, base: usize, path: &Path, found: &mut Found) {
        let node = self.node(base, &path.names);
        self.nodes[node].is_whole = true;
        found.add(node, written(path));
    }

    /// A row takes the value at a node: its fields by a shape, or the whole.
    fn take(&mut self, mapping: &Mapping, node: usize, shape: Option<&str>) {
        let shape =
            shape.and_then(|name| mapping.shapes.iter().find(|shape| shape.name.value == name));
        match shape {
            Some(shape) if self.nodes.len() < MOST_NODES => {
                self.nodes[node].is_entered = true;
                self.nodes[node].has_rest |= !matches!(shape.rest, Rest::No);
                self.all_rows(mapping, &shape.fields, Here { base: node, target: None });
            }
            Some(_) => {}
            None => self.nodes[node].is_whole = true,
        }
    }

    /// The fields that a query looks at: that is no taking, but they are known.
    fn query(&mut self, base: usize, query: &Query) {
        for condition in &query.all {
            match condition {
                Condition::AnySet(paths) => {
                    for path in paths {
                        self.node(base, &path.names);
                    }
                }
                Condition::NotEmpty(path) | Condition::Field(path, _) => {
                    self.node(base, &path.names);
                }
                Condition::Or(all) | Condition::Nor(all) => {
                    all.iter().for_each(|query| self.query(base, query));
                }
            }
        }
    }

    fn node(&mut self, base: usize, names: &[String]) -> usize {
        let mut node = base;
        for name in names {
            node = match self.nodes[node].children.get(name.as_bytes()) {
                Some(&child) => child,
                None => {
                    let child = self.add();
                    self.nodes[node].children.insert(name.as_bytes().into(), child);
                    child
                }
            };
        }
        node
    }

    /// The node of a path that may go through the items of an array.
    fn item_node(&mut self, base: usize, path: &Path) -> usize {
        let node = self.node(base, &path.names);
        match &path.items {
            None => node,
            Some(below) => {
                let items = self.items(node, false);
                self.node(items, below)
            }
        }
    }

    fn items(&mut self, node: usize, is_map: bool) -> usize {
        if let Some((items, _)) = self.nodes[node].items {
            return items;
        }
        let items = self.add();
        self.nodes[node].items = Some((items, is_map));
        items
    }

    fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

/// The nodes that a row reads, and how they are written.
#[derive(Default)]
struct Found {
    nodes: Vec<usize>,
    names: Vec<String>,
}

impl Found {
    fn add(&mut self, node: usize, name: String) {
        if !self.nodes.contains(&node) {
            self.nodes.push(node);
            self.names.push(name);
        }
    }
}

fn written(path: &Path) -> String {
    let below = path.items.as_ref().map(|items| format!("[].{}", items.join(".")));
    path.names.join(".") + &below.unwrap_or_default()
}
