//! What private targets read reaches no other target.

use super::{Compiler, Reads};
use crate::mapping::language::{
    Condition, Expression, Filter, Operator, Part, Path, Query, Row, Template,
};
use crate::mapping::plan::{
    Change, Operator as CompiledOperator, Row as CompiledRow, SOURCE, Table, Target,
};

/// The paths that private targets read, each with the target.
#[derive(Debug, Default)]
pub(super) struct PrivatePaths(Vec<(Vec<String>, usize)>);

/// How a path lies to a private one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Free,
    /// It is private, or inside what is.
    Private,
    /// Something inside it is private.
    Holds,
}

impl PrivatePaths {
    /// How a path that a target reads lies to those of other private targets; and that path.
    fn of(&self, names: &[String], target: Option<usize>) -> (Privacy, String) {
        let mut found = (Privacy::Free, String::new());
        for (private, owner) in self.0.iter().filter(|(_, owner)| Some(*owner) != target) {
            let _ = owner;
            if names.starts_with(private) {
                return (Privacy::Private, private.join("."));
            }
            if private.starts_with(names) {
                found = (Privacy::Holds, private.join("."));
            }
        }
        found
    }
}

impl<'m> Compiler<'m, '_> {
    /// Finds what the rows of private targets read, but for their `_id` and key.
    pub(super) fn find_private(&mut self) {
        let mapping = self.mapping;
        for (number, target) in mapping.targets.iter().enumerate() {
            if !target.private {
                continue;
            }
            let key = target.key.as_ref().unwrap_or(&mapping.key);
            let is_shared = |row: &&Row| {
                row.name.as_ref().is_some_and(|name| **name == "_id" || name.value == key.value)
            };
            let mut shared = Vec::new();
            let mut paths = Vec::new();
            for row in &target.fields {
                let found = self.paths_of(row);
                if is_shared(&row) { &mut shared } else { &mut paths }.extend(found);
            }
            paths.retain(|path| !shared.contains(path));
            if let Some(unwind) = &target.unwind {
                // Its rows read items, and the items are private as a whole.
                paths = vec![unwind.path.names.clone()];
            }
            if target.rest {
                let what = "a private target takes what its rows name, and no `rest`";
                self.error(&target.collection.at, what);
            }
            self.private.0.extend(paths.into_iter().map(|path| (path, number)));
        }
    }

    /// All source paths that a row reads. Of a path through an array, the array.
    fn paths_of(&self, row: &'m Row) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut rows = vec![row];
        while let Some(row) = rows.pop() {
            let mut open: Vec<(&Expression, Option<&String>)> =
                vec![(&row.value, row.name.as_ref().map(|name| &name.value))];
            open.extend(row.when_missing.iter().chain(&row.coalesce).map(|one| (one, None)));
            while let Some((one, own)) = open.pop() {
                open.extend(one.when_missing.iter().chain(&one.coalesce).map(|one| (one, None)));
                let mut add = |path: &Path| paths.push(path.names.clone());
                let mut template = |template: &'m Template| {
                    for part in &template.parts {
                        if let Part::Field(path) = part {
                            add(path);
                        }
                    }
                };
                match &one.operator {
                    None => paths.extend(own.map(|name| vec![name.clone()])),
                    Some(Operator::Copy { path, .. }) => add(path),
                    Some(
                        Operator::Each(path)
                        | Operator::Text(path)
                        | Operator::Size(path)
                        | Operator::NotEmpty(path)
                        | Operator::Rest(Some(path))
                        | Operator::Spread(Some(path)),
                    ) => add(path),
                    Some(Operator::Template(one)) => template(one),
                    Some(Operator::Uuid5(all)) => all.iter().for_each(template),
                    Some(Operator::First(all)) => open.extend(all.iter().map(|one| (one, None))),
                    Some(Operator::Document(inner)) => rows.extend(inner),
                    Some(Operator::Let(name)) => {
                        let mut lets = self.mapping.lets.iter();
                        let found = lets.find(|(known, _)| known.value == name.value);
                        open.extend(found.map(|(name, one)| (one, Some(&name.value))));
                    }
                    Some(
                        Operator::Constant(_)
                        | Operator::Outer(_)
                        | Operator::Position
                        | Operator::Rest(None)
                        | Operator::Spread(None),
                    ) => {}
                }
            }
        }
        paths
    }

    /// Marks private fields, and what they are in.
    pub(super) fn mark_private(&mut self) {
        for (path, target) in self.private.0.clone() {
            let mut level = SOURCE;
            for (depth, name) in path.iter().enumerate() {
                let node = self.levels.node(level, name.as_bytes());
                if depth + 1 == path.len() {
                    self.levels.node_mut(level, node).private = Some(target);
                } else {
                    self.levels.node_mut(level, node).hides = true;
                    level = self.levels.inside(level, node);
                }
            }
        }
    }

    /// Marks the levels of the items that private targets map.
    pub(super) fn mark_private_levels(&mut self, tables: &[Table], targets: &[Target]) {
        let of_private = targets.iter().enumerate().filter(|(_, target)| target.private);
        let mut open: Vec<usize> = of_private.map(|(number, _)| number).collect();
        let mut known = open.clone();
        while let Some(number) = open.pop() {
            let table = &tables[number];
            if table.level != SOURCE {
                self.levels.level_mut(table.level).is_private = true;
            }
            let mut rows: Vec<&CompiledRow> = table.rows.iter().collect();
            while let Some(row) = rows.pop() {
                if let CompiledOperator::Document(inner) = &row.chain.first.operator {
                    rows.extend(inner);
                }
                for expression in row.chain.expressions() {
                    if let Some(Change::Shape { table, .. }) = &expression.change
                        && !known.contains(table)
                    {
                        known.push(*table);
                        open.push(*table);
                    }
                }
            }
        }
    }

    /// Fails if a path that is read is private, or holds what is; `why` says what cannot be done.
    pub(super) fn not_private(&mut self, path: &Path, reads: Reads<'m>, why: &str) {
        if reads.level != SOURCE {
            return;
        }
        let (privacy, names) = self.private.of(&path.names, reads.target);
        let vault = self.vault(&names);
        match privacy {
            Privacy::Free => {}
            Privacy::Private => self.error(
                &path.at,
                format!("'{names}' is private to '{vault}', so nothing else can name it"),
            ),
            Privacy::Holds => self.error(
                &path.at,
                format!("'{names}', which is private to '{vault}', is inside, so {why}"),
            ),
        }
    }

    /// The private path that is below a path, if one is. An error if the path itself is private.
    pub(super) fn private_below(&mut self, path: &Path, reads: Reads<'m>) -> Option<String> {
        if reads.level != SOURCE {
            return None;
        }
        match self.private.of(&path.names, reads.target) {
            (Privacy::Holds, names) => Some(names),
            (Privacy::Private, _) => {
                self.not_private(path, reads, "");
                None
            }
            (Privacy::Free, _) => None,
        }
    }

    fn vault(&self, names: &str) -> &'m str {
        let mut private = self.private.0.iter();
        let found = private.find(|(path, _)| path.join(".") == names);
        found.map_or("", |(_, target)| self.mapping.targets[*target].collection.as_str())
    }
}

/// The constants that a query's equalities demand.
pub(super) fn equalities(query: &Query) -> Vec<(&Path, &crate::mapping::language::Constant)> {
    use crate::mapping::language::Comparison;
    let mut found = Vec::new();
    for condition in &query.all {
        if let Condition::Field(path, all) = condition {
            for comparison in all {
                if let Comparison::Equal(value) = comparison {
                    found.push((path, value));
                }
            }
        }
    }
    found
}

/// The query of a target's `where`.
pub(super) fn query_of(filter: &Filter) -> Option<&Query> {
    match filter {
        Filter::Where(query) => Some(query),
        Filter::All | Filter::Otherwise(_) => None,
    }
}
