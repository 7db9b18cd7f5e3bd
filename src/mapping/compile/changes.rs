//! Compiles conversions, translations and shapes.

use super::operators::hint;
use super::{Compiler, Reads};
use crate::mapping::convert::Conversion;
use crate::mapping::language::{
    Constant, Expression as Written, Operator as WrittenOperator, Path as WrittenPath,
    Row as WrittenRow, Translation as Pair, nearest,
};
use crate::mapping::plan::{Change, Keeping, Row, Translation};

impl<'m> Compiler<'m, '_> {
    pub(super) fn change(&mut self, written: &'m Written) -> Option<Change> {
        let several =
            [written.convert.is_some(), !written.translate.is_empty(), written.shape.is_some()];
        if several.iter().filter(|one| **one).count() > 1 {
            self.error(
                &written.at,
                "`convert`, `translate` and `shape` exclude each other: a value is changed in one way",
            );
        }
        if let Some(convert) = &written.convert {
            return match Conversion::new(convert.to, &convert.formats) {
                Ok(conversion) => Some(Change::Convert { conversion, rule: None }),
                Err(what) => {
                    self.error(&convert.at, what);
                    None
                }
            };
        }
        if let Some(shape) = &written.shape {
            let table = self.shape_tables.get(shape.as_str()).copied();
            if table.is_none() {
                let names = self.mapping.shapes.iter().map(|shape| shape.name.as_str());
                let hint = hint(nearest(shape, names));
                self.error(&shape.at, format!("there is no [shape.{}]{hint}", **shape));
            }
            let rule = self.rule(shape.value.clone(), "an item must be a document");
            return table.map(|table| Change::Shape { table, rule: Some(rule) });
        }
        (!written.translate.is_empty()).then(|| {
            Change::Translate(self.translation(&written.translate, written.keep.is_some()))
        })
    }

    pub(super) fn translation(&mut self, pairs: &'m [Pair], keeps: bool) -> Translation {
        let originals = |to: &Constant| -> usize {
            pairs.iter().filter(|pair| pair.to.value == *to).map(|pair| pair.from.len()).sum()
        };
        let mut translation =
            Translation { texts: Default::default(), others: Vec::new(), backward: Vec::new() };
        let mut texts = Vec::new();
        let mut known: Vec<&Constant> = Vec::new();
        for pair in pairs {
            let to = &pair.to.value;
            let is_only = originals(to) == 1;
            for from in &pair.from {
                if known.contains(&&from.value) {
                    self.error(&from.at, "this value is translated twice");
                }
                known.push(&from.value);
                let keep = keeps && !is_only;
                match from.value.value().text() {
                    Some(text) => texts.push((text.into(), (to.clone(), keep))),
                    None => translation.others.push((from.value.clone(), to.clone(), keep)),
                }
                if is_only {
                    translation.backward.push((to.clone(), from.value.clone()));
                }
            }
        }
        translation.texts = texts.into_iter().collect();
        translation
    }

    /// Where a table keeps the originals of a translation.
    pub(super) fn keeping(
        &mut self,
        fields: &'m [WrittenRow],
        rows: &[Row],
        reads: Reads<'m>,
    ) -> Option<Keeping> {
        let mut found = None;
        for (number, field) in fields.iter().enumerate() {
            let all: Vec<&Written> = match &field.value.operator {
                Some(WrittenOperator::First(all)) => all.iter().chain([&field.value]).collect(),
                _ => vec![&field.value],
            };
            for one in all.into_iter().filter(|one| one.keep.is_some()) {
                let Some(keep) = &one.keep else { continue };
                let keeping = self.keeping_of(number, one, keep, (fields, rows), reads);
                if found.is_some() {
                    self.error(&keep.at, "a table can keep the originals of one translation only");
                }
                found = found.or(keeping);
            }
        }
        found
    }

    pub(super) fn keeping_of(
        &mut self,
        row: usize,
        written: &'m Written,
        keep: &WrittenPath,
        (fields, rows): (&'m [WrittenRow], &[Row]),
        reads: Reads<'m>,
    ) -> Option<Keeping> {
        let holder = |name: &String| {
            fields
                .iter()
                .position(|field| field.name.as_ref().is_some_and(|known| known.value == *name))
        };
        let place = match keep.names.as_slice() {
            [holder_name, name] => {
                holder(holder_name).map(|holder| (holder, name.as_bytes().into()))
            }
            _ => None,
        };
        let name = match &written.operator {
            Some(WrittenOperator::Copy { path, .. }) => path.names.first(),
            _ => fields[row].name.as_ref().map(|name| &name.value),
        };
        let number =
            name.and_then(|name| self.levels.level(reads.level).names.number(name.as_bytes()));
        let alternative = rows[row].alternatives.iter().position(|one| Some(one.name) == number);
        let (Some((holder, name)), Some(alternative)) = (place, alternative) else {
            self.error(
                &keep.at,
                "`keep` is ROW.NAME: another row of this table that is a document, and a name in it; and what is translated is a whole field",
            );
            return None;
        };
        let translation = self.translation(&written.translate, true);
        Some(Keeping { row, alternative, holder, name, translation })
    }
}
