//! `[let]`: the order in which its values are computed.

use super::{Compiler, Reads};
use crate::mapping::language::{Expression, Operator, Part, Row, Shape};
use crate::mapping::plan::{Chain, Let, SOURCE};

impl<'m> Compiler<'m, '_> {
    /// Numbers the values of `[let]` so that each comes after those that it needs.
    pub(super) fn number_lets(&mut self) {
        let mapping = self.mapping;
        let names: Vec<&'m str> =
            mapping.lets.iter().map(|(name, _)| name.value.as_str()).collect();
        let needs: Vec<Vec<usize>> =
            mapping.lets.iter().map(|(_, one)| needed(one, &names, &mapping.shapes)).collect();
        let mut left: Vec<usize> = (0..names.len()).collect();
        while !left.is_empty() {
            let ready = |one: &usize| {
                needs[*one].iter().all(|need| self.let_numbers.contains_key(names[*need]))
            };
            let Some(at) = left.iter().position(ready) else {
                // What only needs a circle is not in it.
                while let Some(at) = left
                    .iter()
                    .position(|one| !left.iter().any(|other| needs[*other].contains(one)))
                {
                    let number = self.let_numbers.len();
                    self.let_numbers.insert(names[left.remove(at)], number);
                }
                for one in &left {
                    let number = self.let_numbers.len();
                    self.let_numbers.insert(names[*one], number);
                }
                let circle: Vec<&str> = left.iter().map(|one| names[*one]).collect();
                let at = mapping.lets[left[0]].0.at.clone();
                self.error(
                    &at,
                    format!(
                        "the values of [let] need each other in a circle: {}",
                        circle.join(", ")
                    ),
                );
                return;
            };
            let number = self.let_numbers.len();
            self.let_numbers.insert(names[left.remove(at)], number);
        }
    }

    pub(super) fn compile_lets(&mut self) {
        let mapping = self.mapping;
        let mut lets: Vec<Option<Let>> = mapping.lets.iter().map(|_| None).collect();
        for (name, one) in &mapping.lets {
            let reads = Reads {
                level: SOURCE,
                view: None,
                is_item: false,
                is_unwound: false,
                target: None,
                name: "[let]",
            };
            let own = Some(name);
            let chain = Chain {
                first: self.expression(one, own, reads),
                when_missing: self.expressions(&one.when_missing, reads),
                coalesce: self.expressions(&one.coalesce, reads),
                if_missing: None,
                if_null: None,
            };
            if let Some(number) = self.let_numbers.get(name.value.as_str()) {
                lets[*number] = Some(Let { name: name.value.clone(), chain });
            }
        }
        self.lets = lets.into_iter().flatten().collect();
    }
}

/// The numbers of the values that an expression needs.
fn needed(expression: &Expression, names: &[&str], shapes: &[Shape]) -> Vec<usize> {
    let number = |name: &str| names.iter().position(|known| *known == name);
    let mut found = Vec::new();
    let mut open = vec![expression];
    let mut rows: Vec<&Row> = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    loop {
        let Some(one) = open.pop() else {
            let Some(row) = rows.pop() else { break };
            open.extend([&row.value].into_iter().chain(&row.when_missing).chain(&row.coalesce));
            continue;
        };
        open.extend(one.when_missing.iter().chain(&one.coalesce));
        let shape = one.shape.as_ref().filter(|shape| !known.contains(&shape.as_str()));
        if let Some(shape) = shape {
            known.push(shape);
            let mut all = shapes.iter();
            rows.extend(
                all.find(|other| other.name.value == shape.value)
                    .into_iter()
                    .flat_map(|one| &one.fields),
            );
        }
        match &one.operator {
            Some(Operator::Let(name)) => found.extend(number(name)),
            Some(Operator::First(all)) => open.extend(all),
            Some(Operator::Document(inner)) => rows.extend(inner),
            Some(Operator::Template(template)) => found.extend(of_parts(&template.parts, number)),
            Some(Operator::Uuid5(parts)) => {
                found.extend(parts.iter().flat_map(|part| of_parts(&part.parts, number)));
            }
            _ => {}
        }
    }
    found
}

fn of_parts(parts: &[Part], number: impl Fn(&str) -> Option<usize>) -> Vec<usize> {
    let field = |part: &Part| match part {
        Part::Field(path) if path.names.len() == 1 => number(&path.names[0]),
        _ => None,
    };
    parts.iter().filter_map(field).collect()
}
