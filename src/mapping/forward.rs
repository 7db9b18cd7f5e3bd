//! Forward: maps a source document to the documents of the targets. Bytes in, bytes out.
//!
//! It has more than 500 lines because all operators share one walk over the source document, which is
//! the hot path and is read as a whole.

use std::ops::Range;

use super::check::check_item;
use super::convert;
use super::model::TypeName;
use super::plan::{
    Chain, Constant, Convert, Expression, FastPath, Item, Kinds, Part, Path, Plan, Row, RowValue,
    Translation,
};
use super::shape::{Record, Shape, Shapes, Span, split_keys};
use crate::raw::{Elements, ItemKey, Value, Writer, kind};

/// What the field at one position of a source document is to the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The first field with this name in the mapping's table.
    Named(usize),
    /// A later field with the same name.
    Again(usize),
    /// A name that the mapping does not know.
    Other,
}

/// What happens to a field, given the targets that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Rules read it.
    Read(usize),
    /// It is passed to the `rest` target unchanged.
    Passed,
    /// It is kept out of the collections.
    Excluded(usize),
}

impl Role {
    pub fn fate(self, plan: &Plan, written: u32) -> Fate {
        match self {
            Role::Other => Fate::Passed,
            Role::Named(name) if plan.sources[name].read_by & written != 0 => Fate::Read(name),
            Role::Again(name) if plan.sources[name].read_by & written != 0 => Fate::Excluded(name),
            Role::Named(name) | Role::Again(name) if plan.sources[name].reserved => {
                Fate::Excluded(name)
            }
            Role::Named(_) | Role::Again(_) => Fate::Passed,
        }
    }
}

pub(super) fn roles(plan: &Plan, keys: &[u8], first: &[Option<u32>]) -> Box<[Role]> {
    let role = |(position, key): (usize, &[u8])| match plan.names.number(key) {
        None => Role::Other,
        Some(name) if first[name] == Some(position as u32) => Role::Named(name),
        Some(name) => Role::Again(name),
    };
    split_keys(keys).enumerate().map(role).collect()
}

/// What happens to the field at one position of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Its name and value are copied.
    Copy,
    /// It is written under the row's name, and its value converted if `convert` is set.
    Row { row: usize, convert: bool },
}

/// What a sequence of names means for an item.
#[derive(Debug)]
pub(super) struct ItemMeaning {
    pub actions: Box<[Action]>,
    /// The target's item is identical to the source's.
    is_copy: bool,
    /// Rows whose field the item lacks.
    missing: Box<[usize]>,
    /// The position of the field whose translation keeps the original elsewhere.
    kept: Option<usize>,
    /// Rules that every item of this shape breaks.
    pub findings: Box<[usize]>,
}

pub(super) fn item_meaning(item: &Item, keys: &[u8], first: &[Option<u32>]) -> ItemMeaning {
    let keep_row = keep_row(item);
    let mut findings = Vec::new();
    let mut kept = None;
    let mut actions = Vec::new();
    for (position, key) in split_keys(keys).enumerate() {
        let Some(name) = item.names.number(key) else {
            actions.push(Action::Copy);
            continue;
        };
        if first[name] != Some(position as u32) {
            findings.push(item.duplicate_rule);
            actions.push(Action::Copy);
            continue;
        }
        let action = item.rows.iter().enumerate().find_map(|(number, row)| {
            if row.own == name {
                let convert = row.convert_own && row.convert.is_some();
                let changes =
                    convert || row.missing.fallback.empty.is_some() || keep_row == Some(number);
                return Some(if changes {
                    Action::Row { row: number, convert }
                } else {
                    Action::Copy
                });
            }
            if row.rename != Some(name) {
                return None;
            }
            if first[row.own].is_some() {
                findings.push(item.not_renamed_rule);
                return Some(Action::Copy);
            }
            if item.keeping_row == Some(number) {
                kept = Some(position);
            }
            Some(Action::Row { row: number, convert: row.convert.is_some() })
        });
        actions.push(action.unwrap_or(Action::Copy));
    }
    let lacks = |row: &usize| {
        let row = &item.rows[*row];
        let has = first[row.own].is_some() || row.rename.is_some_and(|old| first[old].is_some());
        let adds = !row.missing.alternatives.is_empty()
            || row.missing.fallback.empty.is_some()
            || row.missing.fallback.absent.is_some();
        !has && (adds || keep_row == Some(row.own))
    };
    findings.sort_unstable();
    findings.dedup();
    let missing: Box<[usize]> = (0..item.rows.len()).filter(lacks).collect();
    ItemMeaning {
        is_copy: missing.is_empty() && actions.iter().all(|action| *action == Action::Copy),
        actions: actions.into(),
        missing,
        kept,
        findings: findings.into(),
    }
}

/// The row whose document keeps the original of another row's translation.
pub(super) fn keep_row(item: &Item) -> Option<usize> {
    translation(item).and_then(|translation| translation.keep.as_ref()).map(|(row, _)| *row)
}

/// The translation in an item that keeps originals.
pub(super) fn translation(item: &Item) -> Option<&Translation> {
    match &item.rows[item.keeping_row?].convert {
        Some(Convert::Translate(translation)) => Some(translation),
        _ => None,
    }
}

/// Follows a path of names into a value.
pub(super) fn descend<'a>(value: Value<'a>, below: &[Box<[u8]>]) -> Option<Value<'a>> {
    below.iter().try_fold(value, |value, name| match value.kind {
        kind::DOCUMENT => Elements::new(value.bytes).find(name),
        _ => None,
    })
}

fn follow<'a>(record: Record<'a>, path: &Path) -> Option<Value<'a>> {
    descend(record.get(path.head)?, &path.below)
}

/// Whether a value is of a type.
pub(super) fn is_of_type(value: Value<'_>, name: TypeName) -> bool {
    Kinds::of(name).has(value.kind) && (name != TypeName::Strings || holds_strings(value))
}

/// Whether every item of an array is a string.
pub(super) fn holds_strings(array: Value<'_>) -> bool {
    array.elements().all(|item| item.kind() == kind::STRING)
}

/// The kind of value that was written for a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Null,
    EmptyArray,
    Value,
}

impl Written {
    fn of(value: Value<'_>) -> Self {
        match value {
            value if value.is_null() => Written::Null,
            value if value.is_empty_array() => Written::EmptyArray,
            _ => Written::Value,
        }
    }
}

/// Maps documents. Its caches save time and do not change the result.
#[derive(Debug)]
pub(super) struct Forward {
    sources: Shapes<Box<[Role]>>,
    items: Vec<Shapes<ItemMeaning>>,
    spans: Vec<Span>,
    item_spans: Vec<Span>,
    /// Shapes of items as they are written.
    written_items: Vec<Shapes<()>>,
    /// Rules that the items of the current document break, perhaps more than once each.
    broken: Vec<usize>,
    /// The texts of the defined values of the current document.
    defined: Vec<Option<Vec<u8>>>,
    spare: Vec<u8>,
}

impl Forward {
    pub fn new(plan: &Plan) -> Self {
        Forward {
            sources: Shapes::default(),
            items: plan.items.iter().map(|_| Shapes::default()).collect(),
            spans: Vec::new(),
            item_spans: Vec::new(),
            written_items: plan.items.iter().map(|_| Shapes::default()).collect(),
            broken: Vec::new(),
            defined: plan.defines.iter().map(|_| None).collect(),
            spare: Vec::new(),
        }
    }

    /// The shape of the document that was mapped last.
    pub fn shape(&self) -> &Shape<Box<[Role]>> {
        self.sources.last()
    }
    /// Where the fields of that document are.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
    /// Rules that the items of that document break, perhaps more than once each.
    pub fn broken(&self) -> &[usize] {
        &self.broken
    }

    /// Appends the targets' documents to `outputs` and returns the set of targets written.
    pub fn map(&mut self, plan: &Plan, document: &[u8], outputs: &mut [Vec<u8>]) -> u32 {
        let shape = self
            .sources
            .index(document, &mut self.spans, &plan.names, |keys, first| roles(plan, keys, first));
        let record = Record { bytes: document, spans: &self.spans, first: &shape.first };
        for (number, define) in plan.defines.iter().enumerate() {
            let mut text =
                self.defined[number].take().unwrap_or_else(|| std::mem::take(&mut self.spare));
            text.clear();
            let mut alternatives = define.alternatives.iter();
            let is_set =
                alternatives.any(|one| defined_text(one, record, &self.defined, &mut text));
            if is_set {
                self.defined[number] = Some(text);
            } else {
                self.spare = text;
            }
        }
        self.broken.clear();
        let mut written = 0;
        for (number, target) in plan.targets.iter().enumerate() {
            let set = |name: &usize| record.get(*name).is_some_and(|value| !value.is_null());
            if target.when_any.is_empty() || target.when_any.iter().any(set) {
                written |= 1 << number;
            }
        }
        for (number, target) in plan.targets.iter().enumerate() {
            if written & 1 << number == 0 {
                continue;
            }
            let out = &mut outputs[number];
            let open = out.open();
            let mut rows = Rows {
                plan,
                run: 0..0,
                record,
                defined: &self.defined,
                items: &mut self.items,
                written_items: &mut self.written_items,
                item_spans: &mut self.item_spans,
                broken: &mut self.broken,
            };
            for row in &target.rows {
                rows.write(row, out);
            }
            rows.put_run(out);
            if plan.rest == Some(number) {
                write_rest(plan, record, &shape.meaning, written, out);
            }
            out.close(open);
        }
        written
    }
}

/// Appends the text that an alternative of a defined value yields. False if it yields none.
fn defined_text(
    expression: &Expression,
    record: Record<'_>,
    defined: &[Option<Vec<u8>>],
    text: &mut Vec<u8>,
) -> bool {
    let value = match expression {
        Expression::Text(path) => {
            return follow(record, path).map(|value| convert::write_text(value, text)).is_some();
        }
        Expression::Copy { path, only, convert: None } => {
            let found = follow(record, path)
                .filter(|value| only.is_none_or(|only| is_of_type(*value, only)));
            return found
                .and_then(|value| value.text())
                .map(|content| text.extend_from_slice(content))
                .is_some();
        }
        expression => {
            // The element has an empty name: type and NUL, then the value.
            let mut element = Vec::new();
            write_expression(expression, &[0], record, record, defined, &mut element);
            element
        }
    };
    let value = value.get(2..).map(|bytes| Value { kind: value[0], bytes });
    value.and_then(|value| value.text()).map(|content| text.extend_from_slice(content)).is_some()
}

/// Appends the fields that no rule reads, adjacent ones in one piece.
fn write_rest(plan: &Plan, record: Record<'_>, roles: &[Role], written: u32, out: &mut Vec<u8>) {
    let mut from = 0;
    for (position, role) in roles.iter().enumerate() {
        if role.fate(plan, written) != Fate::Passed {
            out.put(record.run(from, position));
            from = position + 1;
        }
    }
    out.put(record.run(from, roles.len()));
}

struct Rows<'a> {
    plan: &'a Plan,
    record: Record<'a>,
    /// Positions of adjacent source fields still to be copied, in one piece.
    run: Range<usize>,
    defined: &'a [Option<Vec<u8>>],
    items: &'a mut [Shapes<ItemMeaning>],
    written_items: &'a mut [Shapes<()>],
    item_spans: &'a mut Vec<Span>,
    broken: &'a mut Vec<usize>,
}

impl Rows<'_> {
    fn write(&mut self, row: &Row, out: &mut Vec<u8>) {
        if let FastPath::Field { name, whole: true } = row.fast
            && let Some(position) = self.record.first[name]
            && takes_fast_path(row, self.record.at(position as usize))
        {
            let position = position as usize;
            if position != self.run.end {
                self.put_run(out);
                self.run.start = position;
            }
            self.run.end = position + 1;
            return;
        }
        self.put_run(out);
        match &row.fast {
            FastPath::Element(element) => return out.put(element),
            FastPath::Field { name, .. } => {
                if let Some(value) =
                    self.record.get(*name).filter(|value| takes_fast_path(row, *value))
                {
                    return out.element(&row.name_nul, value);
                }
            }
            FastPath::None => {}
        }
        match &row.value {
            RowValue::Chain(chain) => {
                write_chain(chain, &row.name_nul, self.record, self.record, self.defined, out)
            }
            RowValue::Document(rows) => {
                out.head(kind::DOCUMENT, &row.name_nul);
                let open = out.open();
                for row in rows {
                    self.write(row, out);
                }
                self.put_run(out);
                out.close(open);
            }
            RowValue::Each { path, item, fallback } => match self.record.get(path.head) {
                Some(value) if value.kind == kind::ARRAY => {
                    self.write_items(&row.name_nul, *item, value, out)
                }
                None => fallback.absent.as_ref().or(fallback.empty.as_ref()).into_iter().for_each(
                    |constant| {
                        out.element(&row.name_nul, constant.value());
                    },
                ),
                Some(value) if value.is_null() && fallback.empty.is_some() => {
                    fallback
                        .empty
                        .iter()
                        .for_each(|constant| out.element(&row.name_nul, constant.value()));
                }
                Some(value) => out.element(&row.name_nul, value),
            },
        }
    }

    /// Appends the adjacent fields in `run`.
    fn put_run(&mut self, out: &mut Vec<u8>) {
        if !self.run.is_empty() {
            out.put(self.record.run(self.run.start, self.run.end));
        }
        self.run = 0..0;
    }

    fn write_items(&mut self, name_nul: &[u8], number: usize, array: Value<'_>, out: &mut Vec<u8>) {
        let item = &self.plan.items[number];
        out.head(kind::ARRAY, name_nul);
        let open = out.open();
        let mut key = ItemKey::default();
        // Where the unchanged items begin that are still to be copied.
        let mut unchanged: Option<usize> = None;
        let mut end = 4;
        for element in array.elements() {
            let value = element.value();
            let start = end;
            end += element.bytes.len();
            let mut is_copy = true;
            if value.kind == kind::DOCUMENT {
                let shape = self.items[number].index(
                    value.bytes,
                    self.item_spans,
                    &item.names,
                    |keys, first| item_meaning(item, keys, first),
                );
                let record =
                    Record { bytes: value.bytes, spans: self.item_spans, first: &shape.first };
                if !shape.meaning.findings.is_empty() {
                    self.broken.extend_from_slice(&shape.meaning.findings);
                }
                is_copy = shape.meaning.is_copy;
                if is_copy {
                    // The target's item is identical, so this record describes it too.
                    check_item(item, record, self.broken);
                } else {
                    put_unchanged(array, &mut unchanged, start, out);
                    out.head(kind::DOCUMENT, key.key_nul());
                    let at = out.len();
                    write_item(item, &shape.meaning, record, self.record, self.defined, out);
                    if item.checked {
                        let shape = self.written_items[number].index(
                            &out[at..],
                            self.item_spans,
                            &item.names,
                            |_, _| (),
                        );
                        check_item(
                            item,
                            Record {
                                bytes: &out[at..],
                                spans: self.item_spans,
                                first: &shape.first,
                            },
                            self.broken,
                        );
                    }
                }
            } else {
                self.broken.push(item.check_rule);
            }
            if is_copy && element.key_nul() == key.key_nul() {
                unchanged.get_or_insert(start);
            } else if is_copy {
                put_unchanged(array, &mut unchanged, start, out);
                out.element(key.key_nul(), value);
            }
            key.advance();
        }
        put_unchanged(array, &mut unchanged, end, out);
        out.close(open);
    }
}

/// Appends the unchanged items from `from` to `end` in one piece.
fn put_unchanged(array: Value<'_>, from: &mut Option<usize>, end: usize, out: &mut Vec<u8>) {
    if let Some(from) = from.take() {
        out.put(&array.bytes[from..end]);
    }
}

/// Whether a row with a fast path can take it for this value.
fn takes_fast_path(row: &Row, value: Value<'_>) -> bool {
    let counts = |chain: &Chain| !(chain.empty_array && value.is_empty_array());
    !value.is_null() && matches!(&row.value, RowValue::Chain(chain) if counts(chain))
}

fn write_item(
    item: &Item,
    meaning: &ItemMeaning,
    record: Record<'_>,
    outer: Record<'_>,
    defined: &[Option<Vec<u8>>],
    out: &mut Vec<u8>,
) {
    let open = out.open();
    let translation = translation(item);
    let original = meaning.kept.and_then(|position| {
        let value = record.at(position);
        translation?.translate(value).filter(|(_, keep)| *keep).map(|_| value)
    });
    let keep = original
        .and_then(|original| translation?.keep.as_ref().map(|(row, name)| (*row, name, original)));
    let mut from = 0;
    for (position, action) in meaning.actions.iter().enumerate() {
        let Action::Row { row, convert } = *action else { continue };
        out.put(record.run(from, position));
        from = position + 1;
        let row_number = row;
        let row = &item.rows[row];
        let mut value = record.at(position);
        if let (true, Some(empty)) = (value.is_null(), &row.missing.fallback.empty) {
            value = empty.value();
        }
        match keep {
            Some((kept_in, name, original)) if kept_in == row_number => {
                write_keeping(&row.name_nul, value, name, original, out)
            }
            _ if convert => write_converted(row.convert.as_ref(), &row.name_nul, value, out),
            _ => out.element(&row.name_nul, value),
        }
    }
    out.put(record.run(from, meaning.actions.len()));
    for &number in &meaning.missing {
        let row = &item.rows[number];
        let mark = out.len();
        write_chain(&row.missing, &row.name_nul, record, outer, defined, out);
        if let Some((_, name, original)) = keep.filter(|(kept_in, _, _)| *kept_in == number) {
            out.truncate(mark);
            let empty: &[u8] = &[5, 0, 0, 0, 0];
            let value = row
                .missing
                .fallback
                .empty
                .as_ref()
                .map_or(Value { kind: kind::DOCUMENT, bytes: empty }, Constant::value);
            write_keeping(&row.name_nul, value, name, original, out);
        }
    }
    out.close(open);
}

/// Writes a document with one more field. Writes it unchanged if it is not a document or has the
/// field.
fn write_keeping(
    name_nul: &[u8],
    value: Value<'_>,
    name: &[u8],
    original: Value<'_>,
    out: &mut Vec<u8>,
) {
    if value.kind != kind::DOCUMENT || Elements::new(value.bytes).find(name).is_some() {
        return out.element(name_nul, value);
    }
    out.head(kind::DOCUMENT, name_nul);
    let open = out.open();
    out.put(&value.bytes[4..value.bytes.len() - 1]);
    out.put(&[original.kind]);
    out.put(name);
    out.put(&[0]);
    out.put(original.bytes);
    out.close(open);
}

fn write_converted(
    convert: Option<&Convert>,
    name_nul: &[u8],
    value: Value<'_>,
    out: &mut Vec<u8>,
) {
    match convert {
        Some(Convert::Date) => match value.text().and_then(convert::date_from_iso) {
            Some(millis) => {
                out.element(name_nul, Value { kind: kind::DATE, bytes: &millis.to_le_bytes() })
            }
            None => out.element(name_nul, value),
        },
        Some(Convert::Translate(translation)) => match translation.translate(value) {
            Some((to, _)) => out.element(name_nul, to.value()),
            None => out.element(name_nul, value),
        },
        None => out.element(name_nul, value),
    }
}

fn write_chain(
    chain: &Chain,
    name_nul: &[u8],
    record: Record<'_>,
    outer: Record<'_>,
    defined: &[Option<Vec<u8>>],
    out: &mut Vec<u8>,
) {
    let mark = out.len();
    let mut written = Written::Nothing;
    let applies = |path: &Path| {
        follow(record, path)
            .is_some_and(|value| value.kind == kind::ARRAY && !value.is_empty_array())
    };
    if let Some(path) = &chain.when
        && !applies(path)
    {
        if let Some(constant) = chain.fallback.absent.as_ref().or(chain.fallback.empty.as_ref()) {
            out.element(name_nul, constant.value());
        }
        return;
    }
    for alternative in &chain.alternatives {
        out.truncate(mark);
        written = write_expression(alternative, name_nul, record, outer, defined, out);
        match written {
            Written::Value => return,
            Written::EmptyArray if !chain.empty_array => return,
            _ => {}
        }
    }
    let fallback = &chain.fallback;
    let constant = match written {
        Written::Nothing => fallback.absent.as_ref().or(fallback.empty.as_ref()),
        _ => fallback.empty.as_ref(),
    };
    if let Some(constant) = constant {
        out.truncate(mark);
        out.element(name_nul, constant.value());
    }
}

fn write_expression(
    expression: &Expression,
    name_nul: &[u8],
    record: Record<'_>,
    outer: Record<'_>,
    defined: &[Option<Vec<u8>>],
    out: &mut Vec<u8>,
) -> Written {
    let mut put = |value: Option<Value<'_>>| match value {
        None => Written::Nothing,
        Some(value) => {
            out.element(name_nul, value);
            Written::of(value)
        }
    };
    match expression {
        Expression::Copy { path, only, convert } => {
            let value = follow(record, path)
                .filter(|value| only.is_none_or(|only| is_of_type(*value, only)));
            match (value, convert) {
                (Some(value), Some(convert)) => {
                    write_converted(Some(convert), name_nul, value, out);
                    Written::of(value)
                }
                (value, _) => put(value),
            }
        }
        Expression::Outer(path) => put(follow(outer, path)),
        Expression::Constant(constant) => put(Some(constant.value())),
        Expression::Count(path) => {
            let count = follow(record, path)
                .filter(|value| value.kind == kind::ARRAY)
                .map_or(0, |value| value.elements().count());
            put(Some(Value { kind: kind::INT32, bytes: &(count as i32).to_le_bytes() }))
        }
        Expression::NonEmpty(path) => {
            let has = follow(record, path)
                .is_some_and(|value| value.kind == kind::ARRAY && !value.is_empty_array());
            put(Some(Value { kind: kind::BOOLEAN, bytes: &[u8::from(has)] }))
        }
        Expression::Defined(number) => match &defined[*number] {
            Some(text) => {
                out.text(name_nul, &[text]);
                Written::Value
            }
            None => Written::Nothing,
        },
        Expression::Text(path) => {
            let Some(value) = follow(record, path) else { return Written::Nothing };
            let mut text = Vec::new();
            convert::write_text(value, &mut text);
            out.text(name_nul, &[&text]);
            Written::Value
        }
        Expression::Template(parts) => {
            let mark = out.len();
            out.head(kind::STRING, name_nul);
            let length_at = out.len();
            out.put(&[0; 4]);
            for part in parts {
                let text = match part {
                    Part::Literal(text) => Some(&**text),
                    Part::Defined(number) => defined[*number].as_deref(),
                    Part::Copy(path) => follow(record, path).and_then(|value| value.text()),
                };
                match text {
                    Some(text) => out.put(text),
                    None => {
                        out.truncate(mark);
                        return Written::Nothing;
                    }
                }
            }
            out.put(&[0]);
            let length = (out.len() - length_at - 4) as i32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            Written::Value
        }
        Expression::Pluck { path, field, only } => {
            let Some(array) = follow(record, path).filter(|value| value.kind == kind::ARRAY) else {
                return Written::Nothing;
            };
            let mark = out.len();
            out.head(kind::ARRAY, name_nul);
            let open = out.open();
            let mut key = ItemKey::default();
            for item in array.elements() {
                let value = item.value();
                let found = if value.kind == kind::DOCUMENT {
                    Elements::new(value.bytes).find(field)
                } else {
                    None
                };
                match found {
                    Some(found)
                        if *only != Some(TypeName::Strings) || found.kind == kind::STRING =>
                    {
                        out.element(key.key_nul(), found);
                        key.advance();
                    }
                    _ if *only == Some(TypeName::Strings) => {
                        out.truncate(mark);
                        return Written::Nothing;
                    }
                    _ => {}
                }
            }
            let is_empty = key.key_nul() == b"0\0";
            out.close(open);
            if is_empty { Written::EmptyArray } else { Written::Value }
        }
    }
}
