//! Compiles the operators of rows, and the paths that they read.

use super::rows::Inside;
use super::{Compiler, Reads};
use crate::mapping::language::{
    At, Constant, Expression as Written, Operator as WrittenOperator, Part as WrittenPart,
    Path as WrittenPath, Template, nearest,
};
use crate::mapping::plan::{
    Expression, Operator, Part, Path, Place, PoolId, PoolPlace, SOURCE, Taker, TakerId,
};
use crate::mapping::shape::Names;
use crate::raw::kind;

impl<'m> Compiler<'m, '_> {
    pub(super) fn operator(
        &mut self,
        written: &'m Written,
        own: Option<&'m At<String>>,
        reads: Reads<'m>,
        inside: Option<&Inside<'m>>,
    ) -> Operator {
        let Some(operator) = &written.operator else {
            let Some(own) = own else {
                self.error(&written.at, "an operator is missing: nothing says what to copy");
                return Operator::Constant(null());
            };
            let path =
                WrittenPath { at: own.at.clone(), names: vec![own.value.clone()], items: None };
            return self.copy(&path, reads, inside);
        };
        match operator {
            WrittenOperator::Copy { path, every } => match &path.items {
                None => self.copy(path, reads, inside),
                Some(below) => Operator::Pluck {
                    path: self.derived(path, reads),
                    below: below.iter().map(|name| name.as_bytes().into()).collect(),
                    every: *every,
                },
            },
            WrittenOperator::First(all) => {
                Operator::First(all.iter().map(|one| self.expression(one, None, reads)).collect())
            }
            WrittenOperator::Each(path) => {
                self.not_private(path, reads, "its items cannot be mapped");
                Operator::Each(self.read(path, reads))
            }
            WrittenOperator::Let(name) => self.use_let(name, reads),
            WrittenOperator::Text(path) => Operator::Text(self.derived(path, reads)),
            WrittenOperator::Template(template) => {
                Operator::Template(self.template(template, reads))
            }
            WrittenOperator::Constant(constant) => {
                self.levels_added += depth(constant);
                Operator::Constant(constant.clone())
            }
            WrittenOperator::Document(fields) => {
                self.levels_added += 1;
                let mut here = inside.cloned().unwrap_or_default();
                here.path.push('.');
                here.depth += 1;
                Operator::Document(self.rows_inside(fields, reads, &here))
            }
            WrittenOperator::Size(path) => Operator::Size(self.derived(path, reads)),
            WrittenOperator::NotEmpty(path) => Operator::NotEmpty(self.derived(path, reads)),
            WrittenOperator::Rest(path) => {
                self.levels_added += 1;
                let (path, taker) = self.taker(&written.at, path.as_ref(), false, reads, inside);
                Operator::Rest(path, taker)
            }
            WrittenOperator::Spread(path) => {
                let (path, taker) = self.taker(&written.at, path.as_ref(), true, reads, inside);
                Operator::Spread(path, taker)
            }
            WrittenOperator::Outer(path) => {
                if !reads.is_item {
                    self.error(
                        &path.at,
                        "`outer` is for shapes and targets that unwind; here, `copy` reads the source document",
                    );
                }
                Operator::Outer(self.outer(path, reads))
            }
            WrittenOperator::Position => {
                self.unwound_only(&written.at, "`position`", reads);
                Operator::Position
            }
            WrittenOperator::Uuid5(parts) => Operator::Uuid5(
                parts.iter().map(|template| self.template(template, reads)).collect(),
            ),
        }
    }

    pub(super) fn unwound_only(
        &mut self,
        at: &std::ops::Range<usize>,
        what: &str,
        reads: Reads<'_>,
    ) {
        if !reads.is_unwound {
            self.error(at, format!("{what} is for targets with `unwind`"));
        }
    }

    /// Copies a path; without what is private, if something below it is.
    pub(super) fn copy(
        &mut self,
        path: &WrittenPath,
        reads: Reads<'m>,
        inside: Option<&Inside<'m>>,
    ) -> Operator {
        let Some(names) = self.private_below(path, reads) else {
            return Operator::Copy(self.read(path, reads));
        };
        if inside.is_none() {
            self.error(
                &path.at,
                format!("'{names}' is private; only a row's own `copy` leaves it out, so copy the other fields one by one"),
            );
            return Operator::Copy(self.path(path, reads.level));
        }
        let compiled = self.path(path, reads.level);
        let (_, taker) = self.taker(&path.at, Some(path), false, reads, inside);
        self.levels.level_mut(taker.level).takers[taker.number].all_but_private = true;
        Operator::CopyUnlessPrivate(compiled, taker.level)
    }

    /// A row takes the fields of a level that nothing reads.
    pub(super) fn taker(
        &mut self,
        at: &std::ops::Range<usize>,
        path: Option<&WrittenPath>,
        is_spread: bool,
        reads: Reads<'m>,
        inside: Option<&Inside<'m>>,
    ) -> (Option<Path>, TakerId) {
        let nowhere = TakerId { level: reads.level, number: 0 };
        let (Some(view), Some(inside)) = (reads.view, inside) else {
            self.error(at, "`rest` and `spread` are for rows");
            return (None, nowhere);
        };
        let mut level = reads.level;
        let mut compiled = None;
        if let Some(path) = path {
            // What is inside and private is left out; what is private itself is an error.
            self.private_below(path, reads);
            compiled = Some(self.path(path, reads.level));
            let bit = 1 << view;
            let mut names = path.names.clone();
            // The level inside is entered, as if a row read something there.
            names.push(String::new());
            self.levels.enter(reads.level, &names, bit);
            for name in &path.names {
                let node = self.levels.node(level, name.as_bytes());
                level = self.levels.inside(level, node);
            }
        }
        let pool = match &inside.place {
            Some((row, names)) if !is_spread || inside.depth > 0 => {
                let mut rows = Names::default();
                if is_spread {
                    inside.rows.iter().for_each(|name| {
                        rows.add(name.as_bytes());
                    });
                }
                let inner = names.iter().map(|name| name.as_bytes().into()).collect();
                let place = PoolPlace { view, place: Place { row: *row, inner }, rows };
                let pools = &mut self.levels.level_mut(reads.level).pools;
                // Rows of one document take from the same pool.
                let known =
                    pools.iter().position(|known| known.view == view && known.place == place.place);
                PoolId::Inner(known.unwrap_or_else(|| {
                    pools.push(place);
                    pools.len() - 1
                }))
            }
            _ => PoolId::View,
        };
        let takers = &mut self.levels.level_mut(level).takers;
        takers.push(Taker { view, pool, all_but_private: false });
        (compiled, TakerId { level, number: takers.len() - 1 })
    }

    pub(super) fn use_let(&mut self, name: &'m At<String>, reads: Reads<'m>) -> Operator {
        let Some(number) = self.let_numbers.get(name.as_str()).copied() else {
            let names = self.mapping.lets.iter().map(|(name, _)| name.as_str());
            let hint = hint(nearest(name, names));
            self.error(&name.at, format!("[let] has no '{}'{hint}", **name));
            return Operator::Constant(null());
        };
        self.mark_let(number, reads);
        Operator::Let(number)
    }

    /// Marks the source fields that a value of `[let]` copies as read by the view.
    pub(super) fn mark_let(&mut self, number: usize, reads: Reads<'m>) {
        if reads.is_item {
            return;
        }
        let mut open = vec![number];
        let mut paths = Vec::new();
        while let Some(number) = open.pop() {
            let Some(one) = self.lets.get(number) else { continue };
            let mut expressions: Vec<&Expression> = one.chain.expressions().collect();
            while let Some(expression) = expressions.pop() {
                match &expression.operator {
                    Operator::Copy(path) => paths.push(path.clone()),
                    Operator::First(all) => expressions.extend(all),
                    Operator::Let(other) => open.push(*other),
                    _ => {}
                }
            }
        }
        for path in paths {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let head = text(self.levels.level(SOURCE).names.name(path.head));
            let names: Vec<String> =
                [head].into_iter().chain(path.below.iter().map(|name| text(name))).collect();
            self.mark_read(&names, reads);
        }
    }

    pub(super) fn template(&mut self, template: &'m Template, reads: Reads<'m>) -> Vec<Part> {
        let mut parts = Vec::new();
        for part in &template.parts {
            parts.push(match part {
                WrittenPart::Literal(text) => Part::Literal(text.as_bytes().into()),
                WrittenPart::Position => {
                    self.unwound_only(&template.at, "`{position}`", reads);
                    Part::Position
                }
                WrittenPart::Outer(path) => {
                    if !reads.is_item {
                        self.error(
                            &template.at,
                            "`{outer.…}` is for shapes and targets that unwind",
                        );
                    }
                    Part::Outer(self.outer(path, reads))
                }
                WrittenPart::Field(path) => {
                    let number = match path.names.as_slice() {
                        [name] => self.let_numbers.get(name.as_str()).copied(),
                        _ => None,
                    };
                    match number {
                        Some(number) => {
                            self.mark_let(number, reads);
                            Part::Let(number)
                        }
                        None => Part::Copy(self.derived(path, reads)),
                    }
                }
            });
        }
        parts
    }

    /// A path that is copied: its field is read.
    pub(super) fn read(&mut self, path: &WrittenPath, reads: Reads<'m>) -> Path {
        self.no_items(path);
        self.mark_read(&path.names, reads);
        self.path(path, reads.level)
    }

    pub(super) fn mark_read(&mut self, names: &[String], reads: Reads<'m>) {
        let Some(view) = reads.view else { return };
        let bit = 1 << view;
        self.levels.enter(reads.level, names, bit);
        if let Some((level, node)) = self.levels.node_at(reads.level, names) {
            self.levels.node_mut(level, node).read_by |= bit;
        }
    }

    /// A path from which something is computed. That does not count as reading the field: it goes
    /// where it would go without.
    pub(super) fn derived(&mut self, path: &WrittenPath, reads: Reads<'m>) -> Path {
        self.not_private(path, reads, "nothing can be computed from it here");
        self.path(path, reads.level)
    }

    pub(super) fn outer(&mut self, path: &WrittenPath, reads: Reads<'m>) -> Path {
        self.no_items(path);
        let of_source = Reads { level: SOURCE, is_item: false, ..reads };
        self.not_private(path, of_source, "it cannot be copied here");
        self.path(path, SOURCE)
    }

    pub(super) fn no_items(&mut self, path: &WrittenPath) {
        if path.items.is_some() {
            self.error(&path.at, "a path with `[]` is for `copy` only");
        }
    }

    pub(super) fn path(&mut self, path: &WrittenPath, level: usize) -> Path {
        let (head, below) =
            path.names.split_first().map_or(("", &[][..]), |(head, below)| (head.as_str(), below));
        Path {
            head: self.levels.node(level, head.as_bytes()),
            below: below.iter().map(|name| name.as_bytes().into()).collect(),
        }
    }
}

pub(super) fn null() -> Constant {
    Constant { kind: kind::NULL, bytes: Box::default() }
}

/// How many levels a constant nests.
fn depth(constant: &Constant) -> u32 {
    match constant.kind {
        kind::DOCUMENT | kind::ARRAY => crate::raw::depth(&constant.bytes),
        _ => 0,
    }
}

/// `; did you mean …?`, if a name is near.
pub(super) fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}
