//! Merges the items of arrays that are mapped item by item.

use super::Merger;
use super::align::aligned_items;
use super::cells::goes_back;
use super::compare::carried_digest;
use super::record::changed_back;
use crate::mapping::plan::{Inverse, Plan};
use crate::raw::{ItemKey, Value, Writer, kind};

impl Merger<'_> {
    /// Merges the items of an array. Unchanged ones keep their original bytes; the others go back
    /// through the inverse alone.
    pub(super) fn merge_items(
        &mut self,
        inner: &Inverse,
        (was, base, now): (Option<Value<'_>>, Option<Value<'_>>, Value<'_>),
        source: &[u8],
    ) -> Vec<u8> {
        let (was, base) = (items_of(was), items_of(base));
        let current = items_of(Some(now));
        let mut kept: Vec<Option<usize>> = vec![None; current.len()];
        if was.len() == base.len() {
            let digests = |items: &[Value<'_>]| -> Vec<u128> {
                items.iter().map(|item| digest(self.plan, inner, *item)).collect()
            };
            for (old, new) in aligned_items(&digests(&base), &digests(&current)) {
                kept[new] = Some(old);
            }
        }
        let mut out = Vec::new();
        let open = out.open();
        let mut key = ItemKey::default();
        for (item, kept) in current.iter().zip(&kept) {
            match kept {
                Some(index) => out.element(key.key_nul(), was[*index]),
                None => self.new_item(inner, key.key_nul(), *item, source, &mut out),
            }
            key.advance();
        }
        out.close(open);
        out
    }

    /// Writes an item by the inverse alone.
    fn new_item(
        &mut self,
        inner: &Inverse,
        key_nul: &[u8],
        item: Value<'_>,
        source: &[u8],
        out: &mut Vec<u8>,
    ) {
        match inner {
            Inverse::Shape(table) if item.kind == kind::DOCUMENT => {
                let labels = (String::new(), String::new());
                let (bytes, _) = self.merge_shaped(*table, (None, None, item), labels, source);
                out.element(key_nul, Value { kind: kind::DOCUMENT, bytes: &bytes });
            }
            Inverse::Change(change) => match changed_back(change, item, None, None, None) {
                Some((kind, bytes)) => out.element(key_nul, Value { kind, bytes: &bytes }),
                None => out.element(key_nul, item),
            },
            _ => out.element(key_nul, item),
        }
    }
}

fn items_of(array: Option<Value<'_>>) -> Vec<Value<'_>> {
    let array = array.filter(|array| array.kind == kind::ARRAY);
    array.into_iter().flat_map(|array| array.elements()).map(|element| element.value()).collect()
}

/// A digest of what goes back of an item.
fn digest(plan: &Plan, inner: &Inverse, item: Value<'_>) -> u128 {
    carried_digest(item, |name| match inner {
        Inverse::Shape(table) => {
            let table = &plan.tables[*table];
            let row = table.rows.iter().find(|row| row.name() == name);
            row.is_none_or(|row| goes_back(plan, table.level, row))
        }
        _ => true,
    })
}
