//! What computes a value: each operator, with its modifiers.

use super::{Evaluator, Position, Scope, Written, follow, let_value};
use crate::mapping::convert;
use crate::mapping::plan::{Change, Expression, Operator, Part, Path};
use crate::raw::{Value, Writer, kind};

impl Evaluator<'_> {
    pub(super) fn expression(
        &mut self,
        expression: &Expression,
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        if let Some(when) = &expression.when
            && !when.holds(scope.record, &mut false)
        {
            return Written::Missing;
        }
        match &expression.operator {
            Operator::Copy(path) => {
                self.put(follow(scope.record, path), expression, name_nul, scope, out)
            }
            Operator::Outer(path) => {
                self.put(follow(scope.source, path), expression, name_nul, scope, out)
            }
            Operator::First(alternatives) => {
                for alternative in alternatives {
                    let written = self.expression(alternative, name_nul, scope, out);
                    if written != Written::Missing {
                        return written;
                    }
                }
                Written::Missing
            }
            Operator::Let(number) => {
                let element = self.caches.lets[*number].take();
                let value = element.as_deref().and_then(let_value);
                let written = self.put(value, expression, name_nul, scope, out);
                self.caches.lets[*number] = element;
                written
            }
            Operator::Each(path) => match follow(scope.record, path) {
                Some(value) if value.kind == kind::ARRAY => {
                    self.items(expression, name_nul, value, scope, out)
                }
                value => {
                    if let (Some(value), Some(Change::Shape { rule, .. })) =
                        (value, &expression.change)
                        && !value.is_null()
                    {
                        self.caches.broken.extend(*rule);
                    }
                    self.put_unchanged(value, expression, name_nul, out)
                }
            },
            Operator::Pluck { path, below, every } => {
                match follow(scope.record, path).filter(|value| value.kind == kind::ARRAY) {
                    Some(array) => {
                        self.pluck((array, below, *every), expression, name_nul, scope, out)
                    }
                    None => Written::Missing,
                }
            }
            Operator::CopyUnlessPrivate(path, level) => match follow(scope.record, path) {
                Some(value) if value.kind == kind::DOCUMENT => {
                    if expression.only.as_ref().is_some_and(|only| !only.passes(value)) {
                        return Written::Missing;
                    }
                    out.head(kind::DOCUMENT, name_nul);
                    let open = out.open();
                    self.remainder(*level, value, scope.written, true, &mut |_| true, out);
                    out.close(open);
                    Written::Value
                }
                value => self.put_unchanged(value, expression, name_nul, out),
            },
            Operator::Document(rows) => {
                out.head(kind::DOCUMENT, name_nul);
                let open = out.open();
                self.rows(rows, None, scope, out);
                out.close(open);
                Written::Value
            }
            Operator::Rest(path, taker) => {
                self.rest_document(path.as_ref(), *taker, expression, name_nul, scope, out)
            }
            // Spread rows write fields; `rows` and `in_order` do that.
            Operator::Spread(..) => Written::Missing,
            Operator::Constant(constant) => {
                self.put(Some(constant.value()), expression, name_nul, scope, out)
            }
            Operator::Text(path) => {
                let Some(value) = follow(scope.record, path) else { return Written::Missing };
                if expression.is_plain() {
                    out.head(kind::STRING, name_nul);
                    put_string(|out| convert::write_text(value, out), out);
                    return Written::Value;
                }
                let mut string = Vec::new();
                put_string(|out| convert::write_text(value, out), &mut string);
                let value = Value { kind: kind::STRING, bytes: &string };
                self.put(Some(value), expression, name_nul, scope, out)
            }
            Operator::Template(parts) if expression.is_plain() => {
                self.template(parts, name_nul, scope, out)
            }
            Operator::Template(parts) => {
                let mut element = Vec::new();
                self.template(parts, &[0], scope, &mut element);
                self.put(let_value(&element), expression, name_nul, scope, out)
            }
            Operator::Size(path) => {
                let size = array(scope, path).map_or(0, |value| value.elements().count());
                let bytes = (size as i32).to_le_bytes();
                self.put(
                    Some(Value { kind: kind::INT32, bytes: &bytes }),
                    expression,
                    name_nul,
                    scope,
                    out,
                )
            }
            Operator::NotEmpty(path) => {
                let has = array(scope, path).is_some_and(|value| !value.is_empty_array());
                let bytes = [u8::from(has)];
                let value = Some(Value { kind: kind::BOOLEAN, bytes: &bytes });
                self.put(value, expression, name_nul, scope, out)
            }
            Operator::Position => match scope.position {
                Position::None => Written::Missing,
                Position::Item(number) => {
                    let bytes = number.to_le_bytes();
                    let value = Some(Value { kind: kind::INT32, bytes: &bytes });
                    self.put(value, expression, name_nul, scope, out)
                }
                Position::Entry(name) => {
                    let mut text = Vec::new();
                    put_string(|out| out.put(name), &mut text);
                    let value = Some(Value { kind: kind::STRING, bytes: &text });
                    self.put(value, expression, name_nul, scope, out)
                }
            },
            Operator::Uuid5(parts) => self.uuid5(parts, expression, name_nul, scope, out),
        }
    }

    /// Writes a value, filtered and changed as the expression says.
    pub(super) fn put(
        &mut self,
        value: Option<Value<'_>>,
        expression: &Expression,
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        let Some(value) =
            value.filter(|value| expression.only.as_ref().is_none_or(|only| only.passes(*value)))
        else {
            return Written::Missing;
        };
        self.changed(expression.change.as_ref(), name_nul, value, scope, out);
        Written::of(value)
    }

    /// The same, for a value to which the change does not apply.
    pub(super) fn put_unchanged(
        &mut self,
        value: Option<Value<'_>>,
        expression: &Expression,
        name_nul: &[u8],
        out: &mut Vec<u8>,
    ) -> Written {
        let only = expression.only.as_ref();
        match value.filter(|value| only.is_none_or(|only| only.passes(*value))) {
            None => Written::Missing,
            Some(value) => {
                out.element(name_nul, value);
                Written::of(value)
            }
        }
    }

    /// Writes a value as a change makes it.
    pub(super) fn changed(
        &mut self,
        change: Option<&Change>,
        name_nul: &[u8],
        value: Value<'_>,
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) {
        match change {
            None => out.element(name_nul, value),
            Some(Change::Convert { conversion, rule }) => {
                let mark = out.len();
                out.head(value.kind, name_nul);
                match conversion.convert(value, out) {
                    Some(kind) => out[mark] = kind,
                    None => {
                        out.put(value.bytes);
                        if !value.is_null() {
                            self.caches.broken.extend(*rule);
                        }
                    }
                }
            }
            Some(Change::Translate(translation)) => {
                let to = translation.translate(value).map(|(to, _)| to.value());
                out.element(name_nul, to.unwrap_or(value));
            }
            Some(Change::Shape { table, .. }) if value.kind == kind::DOCUMENT => {
                self.shaped(*table, name_nul, value, scope, out);
            }
            Some(Change::Shape { rule, .. }) => {
                if !value.is_null() {
                    self.caches.broken.extend(*rule);
                }
                out.element(name_nul, value);
            }
        }
    }

    /// Writes text with values in it; nothing unless all are strings.
    pub(super) fn template(
        &mut self,
        parts: &[Part],
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        let mark = out.len();
        out.head(kind::STRING, name_nul);
        let length_at = out.len();
        out.put(&[0; 4]);
        for part in parts {
            let number;
            let text = match part {
                Part::Literal(text) => Some(&**text),
                Part::Let(number) => {
                    self.caches.lets[*number].as_deref().and_then(let_value).and_then(|v| v.text())
                }
                Part::Copy(path) => follow(scope.record, path).and_then(|value| value.text()),
                Part::Outer(path) => follow(scope.source, path).and_then(|value| value.text()),
                Part::Position => match scope.position {
                    Position::None => None,
                    Position::Item(item) => {
                        number = item.to_string();
                        Some(number.as_bytes())
                    }
                    Position::Entry(name) => Some(name),
                },
            };
            match text {
                Some(text) => out.put(text),
                None => {
                    out.truncate(mark);
                    return Written::Missing;
                }
            }
        }
        out.put(&[0]);
        let length = (out.len() - length_at - 4) as i32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        Written::Value
    }

    /// The bytes of a part of an identifier: the type, the length and the bytes of each value in it.
    fn identifying(&self, part: &[Part], scope: &Scope<'_>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut put = |kind: u8, value: &[u8]| {
            bytes.push(kind);
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            bytes.extend_from_slice(value);
        };
        for part in part {
            let value = match part {
                Part::Literal(text) => {
                    put(0, text);
                    continue;
                }
                Part::Position => {
                    match scope.position {
                        Position::None => return None,
                        Position::Item(number) => put(kind::INT32, &number.to_le_bytes()),
                        Position::Entry(entry) => put(kind::STRING, entry),
                    }
                    continue;
                }
                Part::Let(number) => self.caches.lets[*number].as_deref().and_then(let_value),
                Part::Copy(path) => follow(scope.record, path),
                Part::Outer(path) => follow(scope.source, path),
            }?;
            put(value.kind, value.text().unwrap_or(value.bytes));
        }
        Some(bytes)
    }

    /// Writes an identifier derived from its parts: a UUID of version 5 (RFC 9562) over the length and
    /// the [bytes](Self::identifying) of each.
    pub(super) fn uuid5(
        &mut self,
        parts: &[Vec<Part>],
        expression: &Expression,
        name_nul: &[u8],
        scope: &Scope<'_>,
        out: &mut Vec<u8>,
    ) -> Written {
        let mut name = Vec::new();
        for part in parts {
            let Some(bytes) = self.identifying(part, scope) else { return Written::Missing };
            name.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            name.extend_from_slice(&bytes);
        }
        let uuid = uuid::Uuid::new_v5(&NAMESPACE, &name);
        let mut bytes = [16, 0, 0, 0, 4].to_vec();
        bytes.extend_from_slice(uuid.as_bytes());
        self.put(
            Some(Value { kind: kind::BINARY, bytes: &bytes }),
            expression,
            name_nul,
            scope,
            out,
        )
    }
}

/// The namespace of the identifiers that `uuid5` derives.
const NAMESPACE: uuid::Uuid = uuid::uuid!("6d6f6e67-6f73-506c-a974-757569643500");

fn array<'a>(scope: &Scope<'a>, path: &Path) -> Option<Value<'a>> {
    follow(scope.record, path).filter(|value| value.kind == kind::ARRAY)
}

/// Appends text as the value of a BSON string.
fn put_string(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let length_at = out.len();
    out.put(&[0; 4]);
    write(out);
    out.put(&[0]);
    let length = (out.len() - length_at - 4) as i32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}
