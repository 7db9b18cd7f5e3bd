//! The indexes and keys of targets.

use super::Compiler;
use crate::mapping::language::{At, Target as Written};
use crate::mapping::plan::{
    Chain, Expression, Filter, Index, Let, Operator, Part, Path, SOURCE, Table, Target, Unique,
};

/// Indexes as a target has them: all, the paths of compound ones, and unique ones.
type Indexes = (Vec<Index>, Vec<Vec<Path>>, Vec<Unique>);

impl<'m> Compiler<'m, '_> {
    pub(super) fn indexes(&mut self, target: &'m Written, table: &mut Table) -> Indexes {
        let (mut indexes, mut compound, mut unique) = (Vec::new(), Vec::new(), Vec::new());
        let keeps_source = target.collection.value == self.mapping.source.value;
        for index in &target.indexes {
            let default: Vec<String> = index
                .key
                .iter()
                .map(|(field, direction)| format!("{}_{direction}", **field))
                .collect();
            let name = index.name.as_ref().map_or(default.join("_"), |name| name.value.clone());
            if indexes.iter().any(|known: &Index| known.name == name) {
                self.error(&index.at, format!("'{}' has two indexes '{name}'", *target.collection));
            }
            let mut paths = Vec::new();
            for (field, _) in &index.key {
                let has_row = field
                    .split('.')
                    .next()
                    .is_some_and(|head| table.names.number(head.as_bytes()).is_some());
                let takes_more =
                    target.rest || table.rows.iter().any(|row| row.name_nul.is_empty());
                if !has_row && !takes_more && !keeps_source {
                    self.error(
                        &field.at,
                        format!("'{}' has no field '{}'", *target.collection, **field),
                    );
                }
                paths.push(target_path(table, field));
            }
            if paths.len() > 1 {
                compound.push(paths.clone());
            }
            if index.unique {
                unique.push(Unique { class: 0, paths, index: name.clone() });
            }
            indexes.push(Index {
                name,
                key: index.key.iter().map(|(field, way)| (field.value.clone(), *way)).collect(),
                unique: index.unique,
            });
        }
        let copies_id = target.unwind.is_none() && copies_id(table, &self.levels);
        if !copies_id && !derives_id(table) {
            let id = target_path(table, "_id");
            unique.push(Unique { class: 0, paths: vec![id], index: "_id_".to_owned() });
        }
        (indexes, compound, unique)
    }

    /// The path of a target's key.
    pub(super) fn key(&mut self, key: &At<String>, target: &'m Written, table: &mut Table) -> Path {
        let head = key.split('.').next().unwrap_or_default();
        let has_row = table.names.number(head.as_bytes()).is_some_and(|row| row < table.rows.len());
        if !has_row && !target.rest {
            self.error(
                &target.collection.at,
                format!(
                    "'{}' has no field '{}', by which its documents are joined; add it, or name another with `key`",
                    *target.collection, **key
                ),
            );
        }
        target_path(table, key)
    }

    /// Fails for each target whose key is not computed as the driver's is: nothing would join them.
    pub(super) fn keys(&mut self, tables: &[Table], targets: &[Target]) {
        let mut drivers = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            if target.unwind.is_none() {
                drivers.push(number);
            }
        }
        let Some(driver) = drivers.first().copied() else {
            self.error(
                &self.mapping.source.at.clone(),
                "all targets unwind something, so none says which source documents there are; add one that does not",
            );
            return;
        };
        let expected = self.computed(&tables[driver], &targets[driver]);
        for (number, target) in targets.iter().enumerate() {
            let computed = self.computed(&tables[number], target);
            if computed != expected {
                let what = format!(
                    "the key of '{}' is {computed}, and that of '{}' is {expected}; they have to be the same for the documents to be joined",
                    target.collection, targets[driver].collection
                );
                let at = self.mapping.targets[number].collection.at.clone();
                self.error(&at, what);
            }
        }
    }

    /// Fails for each target whose `_id` or key would come by `rest` if another target did not read it.
    pub(super) fn rests(&mut self, tables: &[Table]) {
        for (number, written) in self.mapping.targets.iter().enumerate() {
            let table = &tables[number];
            if !written.rest || table.level != SOURCE {
                continue;
            }
            let key = written.key.as_ref().unwrap_or(&self.mapping.key);
            let mut names = vec!["_id"];
            names.extend(key.split('.').next().filter(|name| *name != "_id"));
            for name in names {
                let has_row = table.rows.iter().any(|row| row.name() == name.as_bytes());
                let level = self.levels.level(SOURCE);
                let read_by =
                    level.names.number(name.as_bytes()).map(|node| level.nodes[node].read_by);
                let others = read_by.unwrap_or(0) & !(1 << number);
                if !has_row && others != 0 {
                    let other = &self.mapping.targets[others.trailing_zeros() as usize].collection;
                    let what = format!(
                        "'{}' has no field '{name}': '{}' reads it, so `rest` does not bring it; add {{ name = \"{name}\" }}",
                        *written.collection, **other
                    );
                    self.error(&written.collection.at, what);
                }
            }
        }
    }

    /// How a target's key is computed from the source document, in words.
    fn computed(&self, table: &Table, target: &Target) -> String {
        let row = table.rows.get(target.key.head).filter(|_| target.key.below.is_empty());
        let Some(Row { chain, .. }) = row else {
            let names = [table.names.name(target.key.head)].into_iter();
            let names = names.chain(target.key.below.iter().map(|name| &**name));
            return names.map(String::from_utf8_lossy).collect::<Vec<_>>().join(".");
        };
        let Chain { first, when_missing, coalesce, if_missing, if_null } = chain;
        let operator = &first.operator;
        let is_plain = when_missing.is_empty()
            && coalesce.is_empty()
            && if_missing.is_none()
            && if_null.is_none()
            && first.when.is_none()
            && first.is_plain();
        let text = |path: &Path, level: usize| {
            let head = self.levels.level(level).names.name(path.head);
            let names = [head].into_iter().chain(path.below.iter().map(|name| &**name));
            names.map(String::from_utf8_lossy).collect::<Vec<_>>().join(".")
        };
        match operator {
            Operator::Copy(path) if is_plain && table.level == SOURCE => text(path, SOURCE),
            Operator::Outer(path) if is_plain => text(path, SOURCE),
            Operator::Let(number) if is_plain => self.let_name(*number, text),
            _ => format!(
                "the row '{}' of '{}'",
                String::from_utf8_lossy(table.names.name(target.key.head)),
                table.name
            ),
        }
    }

    /// A value of `[let]` by its name, or by its path if it is nothing but a copy.
    fn let_name(&self, number: usize, text: impl Fn(&Path, usize) -> String) -> String {
        let Some(Let { name, chain }) = self.lets.get(number) else { return String::new() };
        match chain {
            Chain {
                first:
                    Expression { operator: Operator::Copy(path), only: None, change: None, when: None },
                when_missing,
                coalesce,
                ..
            } if when_missing.is_empty() && coalesce.is_empty() => text(path, SOURCE),
            _ => format!("the value '{name}' of [let]"),
        }
    }

    /// Assigns a class of fingerprints to each unique index. Texts made of one value of `[let]` and
    /// fixed parts differ exactly when the value does, so all such rows share a class.
    pub(super) fn unique_classes(&self, tables: &[Table], targets: &mut [Target]) -> usize {
        let mut of_let: Vec<usize> = Vec::new();
        let mut classes = 0;
        for (table, target) in tables.iter().zip(targets) {
            let is_always = matches!(target.filter, Filter::All) && target.unwind.is_none();
            let is_unwound = target.unwind.is_some();
            for unique in &mut target.unique {
                let deciding = match unique.paths.as_slice() {
                    [Path { head, below }] if below.is_empty() && !is_unwound => {
                        table.rows.get(*head).and_then(|row| deciding_let(&row.chain))
                    }
                    _ => None,
                };
                let known = deciding.and_then(|one| of_let.iter().position(|known| *known == one));
                unique.class = known.unwrap_or_else(|| {
                    // A target that is not always written cannot represent the others.
                    of_let.push(deciding.filter(|_| is_always).unwrap_or(usize::MAX));
                    classes += 1;
                    classes - 1
                });
            }
        }
        classes
    }
}

use crate::mapping::plan::Row;

/// A path in a target's documents.
fn target_path(table: &mut Table, path: &str) -> Path {
    let mut names = path.split('.');
    let head = table.names.add(names.next().unwrap_or_default().as_bytes());
    Path { head, below: names.map(|name| name.as_bytes().into()).collect() }
}

/// The one value of `[let]` that determines the value of a row, if there is one.
fn deciding_let(chain: &Chain) -> Option<usize> {
    if !chain.when_missing.is_empty() || !chain.coalesce.is_empty() {
        return None;
    }
    match &chain.first.operator {
        Operator::Let(number) => Some(*number),
        Operator::Template(parts) => {
            let mut deciding = None;
            for part in parts {
                match part {
                    Part::Literal(_) => {}
                    Part::Let(number) if deciding.is_none() => deciding = Some(*number),
                    _ => return None,
                }
            }
            deciding
        }
        _ => None,
    }
}

/// Whether a target's `_id` is that of its source document, which is unique.
fn copies_id(table: &Table, levels: &super::Levels) -> bool {
    let id = table.names.number(b"_id").and_then(|row| table.rows.get(row));
    // Without a row it comes by `rest`.
    id.is_none_or(|row| match &row.chain.first {
        Expression { operator: Operator::Copy(path), change: None, .. } => {
            path.below.is_empty() && levels.level(table.level).names.name(path.head) == b"_id"
        }
        _ => false,
    })
}

/// Whether a target's `_id` is derived from its source document and from the position in it, so that
/// it is unique.
fn derives_id(table: &Table) -> bool {
    let id = table.names.number(b"_id").and_then(|row| table.rows.get(row));
    id.is_some_and(|row| match &row.chain.first.operator {
        Operator::Uuid5(parts) => {
            let parts = || parts.iter().flatten();
            let of_source =
                |part: &Part| matches!(part, Part::Outer(path) if path.below.is_empty());
            parts().any(|part| matches!(part, Part::Position)) && parts().any(of_source)
        }
        _ => false,
    })
}
