//! The way back: from which rows each source field can be restored, and which unique indexes share
//! their values.

use super::Compiler;
use crate::mapping::model;
use crate::mapping::plan::{Expression, Inverse, Part, Route, Row, RowValue, Target, copies};

impl Compiler {
    /// Finds the places from which each source field can be restored. Rows that always hold its
    /// value come before rows that hold it only if another field is empty; both are in the
    /// mapping's order.
    pub(super) fn routes(&mut self, targets: &[Target], mapping: &model::Mapping) {
        for (target, compiled) in targets.iter().enumerate() {
            for (field, row) in compiled.rows.iter().enumerate() {
                let written = &mapping.target[target].field[field];
                match &row.value {
                    RowValue::Document(rows) => {
                        for (inner, row) in rows.iter().enumerate() {
                            let written = &written.document.as_deref().unwrap_or_default()[inner];
                            self.row_routes(target, field, Some(&row.name_nul), row, written);
                        }
                    }
                    _ => self.row_routes(target, field, None, row, written),
                }
            }
        }
        for source in &mut self.sources {
            source.routes.sort_by_key(|route| (!route.below.is_empty(), route.rank));
        }
    }

    pub(super) fn row_routes(
        &mut self,
        target: usize,
        field: usize,
        inner: Option<&[u8]>,
        row: &Row,
        written: &model::Field,
    ) {
        let empty_array = matches!(&row.value, RowValue::Chain(chain) if chain.empty_array);
        let mut add = |source: usize, rank: usize, inverse: Inverse, below: &[Box<[u8]>]| {
            let inner = inner.map(|name_nul| name_nul[..name_nul.len() - 1].into());
            self.sources[source].newest |= written.merge == Some(model::Merge::Newest);
            self.sources[source].routes.push(Route {
                target,
                field,
                inner,
                inverse,
                rank,
                below: below.to_vec(),
                empty_array,
            });
        };
        match &row.value {
            RowValue::Each { path, item, .. } => add(path.head, 0, Inverse::Each(*item), &[]),
            RowValue::Chain(chain) => {
                for (rank, alternative) in copies(&self.defines, chain).into_iter().enumerate() {
                    if let Expression::Copy { path, convert, .. } = alternative {
                        let inverse = convert.clone().map_or(Inverse::Same, Inverse::Convert);
                        // A row that holds its value only sometimes comes after those that always
                        // do.
                        add(
                            path.head,
                            rank + usize::from(chain.when.is_some()),
                            inverse,
                            &path.below,
                        );
                    }
                }
            }
            RowValue::Document(_) => {}
        }
    }

    /// Assigns a class of fingerprints to each unique index. Texts made of one defined value and
    /// fixed parts differ exactly when the value does, so all such rows share a class.
    pub(super) fn unique_classes(&self, targets: &mut [Target]) -> usize {
        let mut of_defined: Vec<usize> = Vec::new();
        let mut classes = 0;
        for target in targets {
            let rows = &target.rows;
            for unique in &mut target.unique {
                let defined = match unique.rows.as_slice() {
                    [row] => deciding_define(&rows[*row]),
                    _ => None,
                };
                unique.class = match defined
                    .and_then(|defined| of_defined.iter().position(|known| *known == defined))
                {
                    Some(class) => class,
                    None => {
                        // A target that is not always written cannot represent the others.
                        of_defined.push(
                            defined.filter(|_| target.when_any.is_empty()).unwrap_or(usize::MAX),
                        );
                        classes += 1;
                        classes - 1
                    }
                };
            }
        }
        classes
    }
}

/// The one defined value that determines the value of a row, if there is one.
fn deciding_define(row: &Row) -> Option<usize> {
    let RowValue::Chain(chain) = &row.value else { return None };
    match chain.alternatives.as_slice() {
        [Expression::Defined(defined)] => Some(*defined),
        [Expression::Template(parts)] => {
            let mut defined = None;
            for part in parts {
                match part {
                    Part::Literal(_) => {}
                    Part::Defined(number) if defined.is_none() => defined = Some(*number),
                    _ => return None,
                }
            }
            defined
        }
        _ => None,
    }
}
