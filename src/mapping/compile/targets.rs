//! Compiles the targets of a mapping.

use super::{Compiler, Reads};
use crate::mapping::language::{Filter as WrittenFilter, Order, Target as Written};
use crate::mapping::plan::{Filter, PoolId, SOURCE, Taker, Target, Unwind};

impl<'m> Compiler<'m, '_> {
    pub(super) fn target(&mut self, number: usize, target: &'m Written) -> Target {
        self.collection_name(&target.collection);
        let collection = target.collection.as_str();
        let earlier = &self.mapping.targets[..number];
        if earlier.iter().any(|other| other.collection.value == collection) {
            self.error(
                &target.collection.at,
                format!("'{collection}' is listed as a target twice"),
            );
        }
        let is_source = collection == self.mapping.source.value;
        if let (Some(first), false) = (target.drop_indexes.first(), is_source) {
            self.error(
                &first.at,
                "`drop_indexes` is for a target with the source's name; others have only the indexes listed here",
            );
        }
        let of_source = Reads {
            level: SOURCE,
            view: Some(number),
            is_item: false,
            is_unwound: false,
            target: Some(number),
            name: collection,
        };
        let filter = self.filter(number, target, of_source);
        let mut reads = of_source;
        let mut unwind = None;
        if let Some(written) = &target.unwind {
            self.not_private(&written.path, of_source, "it cannot be unwound");
            self.levels.enter(SOURCE, &written.path.names, 1 << number);
            let node = self.levels.node_at(SOURCE, &written.path.names);
            if let Some((level, node)) = node {
                self.levels.node_mut(level, node).read_by |= 1 << number;
            }
            let path = self.path(&written.path, SOURCE);
            let level = self.levels.add(Some(&format!("{}[]", written.path.names.join("."))));
            reads = Reads { level, view: Some(0), is_item: true, is_unwound: true, ..of_source };
            unwind = Some(Unwind {
                path,
                is_map: written.is_map,
                level,
                position: None,
                left_rule: self.rule(
                    format!("not-unwound {}", written.path.names.join(".")),
                    "items that are no documents, or a value of another type, stay in the rollback journal",
                ),
            });
        }
        let order = target.order.unwrap_or(Order::Table);
        let mut table =
            self.table(number, &target.fields, &target.requires, order, target.rest, reads);
        if let Some(taker) = &mut table.rest {
            let view = if reads.is_item { 0 } else { number };
            let takers = &mut self.levels.level_mut(reads.level).takers;
            takers.push(Taker { view, pool: PoolId::View, all_but_private: false });
            taker.number = takers.len() - 1;
        }
        let (indexes, compound, unique) = self.indexes(target, &mut table);
        let key_name = target.key.as_ref().unwrap_or(&self.mapping.key);
        let key = self.key(key_name, target, &mut table);
        if table.names.number(b"_id").is_none() && !target.rest {
            self.error(
                &target.collection.at,
                format!("'{collection}' has no field '_id', so a server would add one to each of its documents"),
            );
        }
        // For refusals, also where `_id` comes by `rest`.
        let id = table.names.add(b"_id");
        self.tables[number] = Some(table);
        Target {
            collection: collection.to_owned(),
            filter,
            unwind,
            private: target.private,
            shared: target.shared,
            drop_indexes: target.drop_indexes.iter().map(|name| name.value.clone()).collect(),
            id,
            indexes,
            compound,
            unique,
            key,
            array_rule: self.rule(
                format!("where {collection}"),
                "a condition met an array; MongoDB would look at its items, this does not",
            ),
        }
    }

    fn filter(&mut self, number: usize, target: &'m Written, reads: Reads<'m>) -> Filter {
        match &target.filter {
            WrittenFilter::All => Filter::All,
            WrittenFilter::Where(query) => Filter::Where(self.query(query, reads)),
            WrittenFilter::Otherwise(at) => {
                let mut others = Vec::new();
                for (other, earlier) in self.mapping.targets[..number].iter().enumerate() {
                    match earlier.filter {
                        WrittenFilter::All => {}
                        WrittenFilter::Where(_) => others.push(other),
                        WrittenFilter::Otherwise(_) => others.clear(),
                    }
                }
                if others.is_empty() {
                    self.error(
                        at,
                        "`otherwise` takes what no earlier target with a `where` takes, and there is none",
                    );
                }
                Filter::Otherwise(others)
            }
        }
    }
}
