//! Compiles the rows of tables.

use super::operators::null;
use super::{Compiler, Reads, nul};
use crate::mapping::language::{At, Back as WrittenBack, Expression as Written, Row as WrittenRow};
use crate::mapping::plan::{
    Alternative, Back, Chain, Change, Expression, FastPath, Operator, Path, Row,
};
use crate::raw::Writer;

/// Where the rows that are compiled stand: in the document of this row, and in these documents in it.
#[derive(Clone, Default)]
pub(super) struct Inside<'m> {
    /// The number of the table's row, and the names from there.
    pub place: Option<(usize, Vec<&'m str>)>,
    /// How many embedded documents they are in.
    pub depth: usize,
    /// The names of the rows of this document.
    pub rows: Vec<&'m str>,
    /// The path for rules, with a dot at its end.
    pub path: String,
}

impl<'m> Compiler<'m, '_> {
    pub(super) fn rows(&mut self, fields: &'m [WrittenRow], reads: Reads<'m>) -> Vec<Row> {
        let inside = Inside { path: format!("{}.", reads.name), ..Inside::default() };
        self.rows_inside(fields, reads, &inside)
    }

    pub(super) fn rows_inside(
        &mut self,
        fields: &'m [WrittenRow],
        reads: Reads<'m>,
        inside: &Inside<'m>,
    ) -> Vec<Row> {
        let names: Vec<&'m str> =
            fields.iter().filter_map(|field| Some(field.name.as_ref()?.as_str())).collect();
        let mut rows = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            let mut here = inside.clone();
            here.rows.clone_from(&names);
            if inside.place.is_some()
                && let Some(name) = &field.name
                && names.iter().filter(|other| **other == name.as_str()).count() > 1
            {
                self.error(&name.at, format!("'{}' has two rows in this document", **name));
            }
            rows.push(self.row(number, field, reads, here));
        }
        rows
    }

    fn row(
        &mut self,
        number: usize,
        field: &'m WrittenRow,
        reads: Reads<'m>,
        mut inside: Inside<'m>,
    ) -> Row {
        let name = field.name.as_ref();
        // The row's own place, for what it takes from a level.
        match (&mut inside.place, name) {
            (Some((_, names)), Some(name)) => names.push(name),
            (place @ None, _) => *place = Some((number, Vec::new())),
            _ => {}
        }
        if let Some(name) = name {
            inside.path += name;
        }
        let first = self.expression_inside(&field.value, name, reads, Some(&inside));
        let chain = Chain {
            first,
            when_missing: self.expressions(&field.when_missing, reads),
            coalesce: self.expressions(&field.coalesce, reads),
            if_missing: field
                .if_missing
                .as_ref()
                .map(|value| value.value.clone())
                .or_else(|| field.or_null.then(null)),
            if_null: field.if_null.as_ref().map(|value| value.value.clone()),
        };
        let check = field.must.as_ref().map(|must| self.check(&inside.path, must));
        let chain = self.with_rules(chain, check.is_none(), &inside.path);
        let alternatives = alternatives(&chain);
        let is_whole = match &chain.first.operator {
            Operator::Copy(path) | Operator::Each(path) => path.below.is_empty(),
            Operator::First(all) => all.len() == alternatives.len(),
            _ => false,
        };
        let others = !chain.when_missing.is_empty() || !chain.coalesce.is_empty();
        let stands_in = chain.if_missing.is_some() || chain.if_null.is_some();
        Row {
            name_nul: name.map(|name| nul(name)).unwrap_or_default(),
            fast: self.fast_path(name, &chain, reads),
            adds: !is_whole || others || stands_in,
            chain,
            check,
            back: match &field.back {
                WrittenBack::Default => Back::Default,
                WrittenBack::Name(name) => Back::Name(nul(name)),
                WrittenBack::Never => Back::Never,
            },
            newest: field.newest,
            alternatives,
            own: None,
        }
    }

    /// Gives conversions a rule of their own, and takes that of a shape away, where the row's check
    /// would say it, too.
    fn with_rules(&mut self, mut chain: Chain, unchecked: bool, path: &str) -> Chain {
        let is_each = matches!(chain.first.operator, Operator::Each(_));
        let expressions = [&mut chain.first]
            .into_iter()
            .chain(&mut chain.when_missing)
            .chain(&mut chain.coalesce);
        for expression in expressions {
            let all: Vec<&mut Expression> = match &mut expression.operator {
                Operator::First(all) => all.iter_mut().collect(),
                _ => vec![expression],
            };
            for one in all {
                match &mut one.change {
                    Some(Change::Convert { rule, .. }) if unchecked => {
                        *rule = Some(self.rule(
                            format!("not-converted {path}"),
                            "the value does not convert exactly, so it is copied as it stands",
                        ));
                    }
                    // The row's own check says it already.
                    Some(Change::Shape { rule, .. }) if !unchecked && !is_each => *rule = None,
                    _ => {}
                }
            }
        }
        chain
    }

    /// What the rules of a row with this name usually amount to.
    fn fast_path(&self, name: Option<&At<String>>, chain: &Chain, reads: Reads<'_>) -> FastPath {
        let Chain { first: Expression { operator, only, when: None, change: None }, .. } = chain
        else {
            return FastPath::None;
        };
        match (operator, name) {
            (Operator::Copy(Path { head, below }), Some(name)) if below.is_empty() => {
                let names = &self.levels.level(reads.level).names;
                FastPath::Field { name: *head, whole: names.name(*head) == name.as_bytes() }
            }
            (Operator::Constant(constant), Some(name))
                if only.is_none() && chain.if_null.is_none() =>
            {
                let mut element = Vec::new();
                element.element(&nul(name), constant.value());
                FastPath::Element(element.into())
            }
            _ => FastPath::None,
        }
    }

    pub(super) fn expressions(
        &mut self,
        written: &'m [Written],
        reads: Reads<'m>,
    ) -> Vec<Expression> {
        written.iter().map(|one| self.expression(one, None, reads)).collect()
    }

    /// Compiles an operator outside a row. `own` is the name that it copies if it says nothing else.
    pub(super) fn expression(
        &mut self,
        written: &'m Written,
        own: Option<&'m At<String>>,
        reads: Reads<'m>,
    ) -> Expression {
        self.expression_inside(written, own, reads, None)
    }

    fn expression_inside(
        &mut self,
        written: &'m Written,
        own: Option<&'m At<String>>,
        reads: Reads<'m>,
        inside: Option<&Inside<'m>>,
    ) -> Expression {
        let mut operator = self.operator(written, own, reads, inside);
        let at = inside.map_or("", |inside| inside.path.as_str());
        let mut only = written.only.as_ref().map(|must| self.check(at, must));
        let mut change = self.change(written);
        if change.is_some() && matches!(operator, Operator::CopyUnlessPrivate(..)) {
            self.error(
                &written.at,
                "something inside is private to another target, so the document cannot be changed as a whole; copy the other fields one by one",
            );
        }
        // A list's modifiers apply to each of its alternatives that has none of its own.
        if let Operator::First(all) = &mut operator {
            for one in all {
                one.only = one.only.take().or_else(|| only.clone());
                one.change = one.change.take().or_else(|| change.clone());
            }
            (only, change) = (None, None);
        }
        let when = written.when.as_ref().map(|query| self.query(query, reads));
        Expression { operator, only, when, change }
    }
}

/// The fields that a chain copies whole, in the order in which they are tried.
fn alternatives(chain: &Chain) -> Vec<Alternative> {
    let keeps_null = chain.coalesce.is_empty() && chain.if_null.is_none();
    let has_when = chain.first.when.is_some();
    let of = |expression: &Expression| match &expression.operator {
        Operator::Copy(Path { head, below }) | Operator::Each(Path { head, below })
            if below.is_empty() =>
        {
            Some(Alternative {
                name: *head,
                is_direct: keeps_null
                    && matches!(expression.operator, Operator::Copy(_))
                    && !has_when
                    && expression.when.is_none()
                    && expression.only.is_none(),
                change: expression.change.clone(),
            })
        }
        _ => None,
    };
    match &chain.first.operator {
        Operator::First(all) => all.iter().filter_map(of).collect(),
        _ => of(&chain.first).into_iter().collect(),
    }
}
