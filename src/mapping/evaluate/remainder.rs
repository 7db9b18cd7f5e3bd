//! The fields that nothing reads, and what is left of those that rules enter.

use super::{Evaluator, Scope, Written, follow, next_role};
use crate::mapping::fate::Fate;
use crate::mapping::plan::{Expression, Path, Row, TakerId};
use crate::mapping::shape::NameSet;
use crate::raw::{Elements, Value, Writer, kind};

impl Evaluator<'_> {
    /// Writes the fields of a record that nothing reads, adjacent ones in one piece. `others` are the
    /// rows of the document that is written, and where its fields begin, if fields of the same names
    /// may be there already.
    pub(super) fn rest(
        &mut self,
        level: usize,
        scope: &Scope<'_>,
        others: Option<(&[Row], usize)>,
        out: &mut Vec<u8>,
    ) {
        let plan = self.plan;
        let record = scope.record;
        let known = &plan.levels[level];
        let of_body = |from: usize| NameSet::of(Elements::of_body(&out[from..]));
        let spread = others.map(|(_, from)| of_body(from)).unwrap_or_default();
        let mut from = 0;
        for (position, role) in scope.roles.iter().enumerate() {
            let fate = known.fate(role, scope.written, false);
            if fate == Fate::Passed
                && (spread.is_empty() || !spread.contains(record.name(position)))
            {
                continue;
            }
            out.put(record.run(from, position));
            from = position + 1;
            if let Fate::Entered(name) = fate {
                self.remainder_of(level, name, record.at(position), scope, out);
            }
        }
        out.put(record.run(from, scope.roles.len()));
    }

    /// Writes what nothing reads of a field that rules enter, under its own name.
    pub(super) fn remainder_of(
        &mut self,
        level: usize,
        name: usize,
        value: Value<'_>,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) {
        let level = &self.plan.levels[level];
        let node = &level.nodes[name];
        if !level.is_reserved(node, scope.written) {
            let name_nul = [level.names.name(name), &[0]].concat();
            self.entered(node.inside, &name_nul, value, scope.written, false, out);
        }
    }

    /// The same, for any level. Writes nothing if nothing is left.
    pub(super) fn entered(
        &mut self,
        inside: Option<usize>,
        name_nul: &[u8],
        value: Value<'_>,
        written: u32,
        copied: bool,
        out: &mut Vec<u8>,
    ) {
        let Some(inside) = inside else { return };
        if value.kind != kind::DOCUMENT {
            return out.element(name_nul, value);
        }
        if !copied && self.plan.levels[inside].taker(written).is_some() {
            return;
        }
        let mark = out.len();
        out.head(kind::DOCUMENT, name_nul);
        let open = out.open();
        let from = out.len();
        self.remainder(inside, value, written, copied, &mut |_| true, out);
        let is_empty = out.len() == from;
        out.close(open);
        // An empty document that was read as one is in the order of the source's fields.
        if is_empty && (value.elements().next().is_some() || !copied) {
            out.truncate(mark);
        }
    }

    /// Writes the elements of a document that nothing reads, or, if `copied`, those that are not
    /// private. `passes` may keep a name out.
    pub(super) fn remainder(
        &mut self,
        level: usize,
        document: Value<'_>,
        written: u32,
        copied: bool,
        passes: &mut dyn FnMut(&[u8]) -> bool,
        out: &mut Vec<u8>,
    ) {
        let plan = self.plan;
        let known = &plan.levels[level];
        let mut seen = vec![false; known.nodes.len()];
        for element in document.elements() {
            let role = next_role(known, &mut seen, element.key());
            match known.fate(role, written, copied) {
                Fate::Passed if passes(element.key()) => out.put(element.bytes),
                Fate::Entered(name) => {
                    let node = &known.nodes[name];
                    self.entered(
                        node.inside,
                        element.key_nul(),
                        element.value(),
                        written,
                        copied,
                        out,
                    );
                }
                _ => {}
            }
        }
    }

    /// Writes the fields of a document that nothing reads as fields of the one that is written,
    /// unless it has a field or a row of the name.
    pub(super) fn spread(
        &mut self,
        path: Option<&Path>,
        taker: TakerId,
        scope: &Scope<'_>,
        (rows, from): (&[Row], usize),
        out: &mut Vec<u8>,
    ) {
        if !self.plan.takes(taker, scope.written) {
            return;
        }
        let value = value_at(scope, path);
        let Some(value) = value.filter(|value| value.kind == kind::DOCUMENT) else { return };
        let there = NameSet::of(Elements::of_body(&out[from..]));
        let mut passes = |name: &[u8]| {
            !there.contains(name)
                && !rows.iter().any(|row| !row.name_nul.is_empty() && row.name() == name)
        };
        self.remainder(taker.level, value, scope.written, false, &mut passes, out);
    }

    /// Writes a document's fields that nothing reads as a document of its own.
    pub(super) fn rest_document(
        &mut self,
        path: Option<&Path>,
        taker: TakerId,
        expression: &Expression,
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        if !self.plan.takes(taker, scope.written) {
            return Written::Missing;
        }
        match value_at(scope, path) {
            Some(value) if value.kind == kind::DOCUMENT => {
                out.head(kind::DOCUMENT, name_nul);
                let open = out.open();
                self.remainder(taker.level, value, scope.written, false, &mut |_| true, out);
                out.close(open);
                Written::Value
            }
            value => self.put_unchanged(value, expression, name_nul, out),
        }
    }
}

/// The value at a path of a record; without one, the record itself.
fn value_at<'a>(scope: &Scope<'a>, path: Option<&Path>) -> Option<Value<'a>> {
    match path {
        Some(path) => follow(scope.record, path),
        None => Some(Value { kind: kind::DOCUMENT, bytes: scope.record.bytes }),
    }
}
