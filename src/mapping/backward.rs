//! Backward: restores a source document from the targets' documents and notes.
//!
//! One mechanism serves every operator. [`Backward::describe`] runs the inverse of the mapping,
//! compares the result with the source, and notes each difference. [`Backward::restore`] runs the
//! inverse and applies the notes. Both are in this one file, of more than 500 lines, because what one
//! writes the other must read, step by step.

use super::convert;
use super::forward::{Action, Fate, ItemMeaning, Role, item_meaning, keep_row, roles, translation};
use super::plan::{Constant, Convert, Inverse, Item, MAX_TARGETS, Plan, Route};
use super::shape::{Record, Shape, Shapes, Span};
use crate::journal::{FixKind, Misfit, Notes, Reader, put_number};
use crate::raw::{Elements, ItemKey, MAX_DOCUMENT_BYTES, Value, Writer, kind};

/// A value that the inverse produces.
pub(super) enum Guess<'a> {
    Nothing,
    Value(Value<'a>),
    /// A date as text.
    Iso([u8; 34]),
    /// A document without one of its fields: the elements before it and after it.
    Without(&'a [u8], &'a [u8]),
}

/// A source field as the targets alone give it.
struct Expected<'a> {
    /// What the inverse produces.
    guess: Guess<'a>,
    /// The target's value that this comes from.
    raw: Option<Value<'a>>,
    route: Option<&'a Route>,
}

impl<'a> Guess<'a> {
    fn is(&self, value: Value<'_>) -> bool {
        match self {
            Guess::Nothing => false,
            Guess::Value(guess) => *guess == value,
            Guess::Iso(bytes) => value.kind == kind::STRING && value.bytes == bytes,
            Guess::Without(before, after) => {
                value.kind == kind::DOCUMENT
                    && value.bytes.len() == before.len() + after.len() + 5
                    && value.bytes[4..].starts_with(before)
                    && value.bytes[4 + before.len()..].starts_with(after)
            }
        }
    }
    fn text(&self) -> Option<&[u8]> {
        match self {
            Guess::Value(value) => value.text(),
            Guess::Iso(bytes) => Some(&bytes[4..33]),
            _ => None,
        }
    }
    pub fn write<W: Writer>(&self, key_nul: &[u8], out: &mut W) -> Result<(), Misfit> {
        match self {
            Guess::Nothing => {
                return Err(Misfit(
                    "a field has a value neither in the collections nor in the journal",
                ));
            }
            Guess::Value(value) => out.element(key_nul, *value),
            Guess::Iso(bytes) => out.element(key_nul, Value { kind: kind::STRING, bytes }),
            Guess::Without(before, after) => {
                out.head(kind::DOCUMENT, key_nul);
                let open = out.open();
                out.put(before);
                out.put(after);
                out.close(open);
            }
        }
        Ok(())
    }
}

/// A target's document whose fields have been located.
#[derive(Debug, Default)]
struct Located {
    spans: Vec<Span>,
    /// The target has a document. Its shape is the one that was found last.
    is_present: bool,
}

/// The meaning of a target's field order: the positions of fields that no row names.
type RestPositions = Box<[u32]>;

/// Runs the mapping backward. Its caches save time and do not change the result.
#[derive(Debug)]
pub(super) struct Backward {
    targets: Vec<Shapes<RestPositions>>,
    located: Vec<Located>,
    sources: Shapes<Box<[Role]>>,
    source_items: Vec<Shapes<ItemMeaning>>,
    target_items: Vec<Shapes<()>>,
    source_spans: Vec<Span>,
    target_spans: Vec<Span>,
    record: Vec<u8>,
    last_record: Vec<u8>,
}

/// A difference that becomes a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The value of this source field reaches only the journal.
    JournalOnly(usize),
    /// A later occurrence of this source field.
    Duplicate(usize),
}

impl Backward {
    pub fn new(plan: &Plan) -> Self {
        Backward {
            targets: plan.targets.iter().map(|_| Shapes::default()).collect(),
            located: plan.targets.iter().map(|_| Located::default()).collect(),
            sources: Shapes::default(),
            source_items: plan.items.iter().map(|_| Shapes::default()).collect(),
            target_items: plan.items.iter().map(|_| Shapes::default()).collect(),
            source_spans: Vec::new(),
            target_spans: Vec::new(),
            record: Vec::new(),
            last_record: Vec::new(),
        }
    }

    /// Locates the fields of the targets' documents, to which the other methods refer.
    pub fn locate(&mut self, plan: &Plan, documents: &[Option<&[u8]>]) {
        for (number, document) in documents.iter().enumerate() {
            self.located[number].is_present = document.is_some();
            if let Some(document) = document {
                let names = &plan.targets[number].names;
                self.targets[number].index(
                    document,
                    &mut self.located[number].spans,
                    names,
                    |keys, _| {
                        let others = super::shape::split_keys(keys)
                            .enumerate()
                            .filter(|(_, key)| names.number(key).is_none());
                        others.map(|(position, _)| position as u32).collect()
                    },
                );
            }
        }
    }
    /// The located document of a target.
    pub fn target<'a>(&'a self, number: usize, document: &'a [u8]) -> Record<'a> {
        Record {
            bytes: document,
            spans: &self.located[number].spans,
            first: &self.targets[number].last().first,
        }
    }

    /// Notes how to restore the source document in `record` from the targets' documents.
    ///
    /// The notes are right only if [`Backward::restore`] then produces the source. The caller
    /// proves that.
    pub fn describe(
        &mut self,
        plan: &Plan,
        record: Record<'_>,
        shape: &Shape<Box<[Role]>>,
        documents: &[Option<&[u8]>],
        notes: &mut Notes,
        mut lost: impl FnMut(Lost),
    ) {
        let mut targets = Targets::of(documents, &self.targets, &self.located);
        let order = notes.order(&shape.keys);
        put_number(&mut notes.program, order);
        let mut last_fix = 0;
        for (position, role) in shape.meaning.iter().enumerate() {
            let value = record.at(position);
            let fate = role.fate(plan, targets.written);
            let Expected { guess, raw, route } = targets.expect(plan, fate);
            if guess.is(value) {
                continue;
            }
            let gap = (position - last_fix) as u64;
            last_fix = position;
            let fix = |kind: FixKind| gap << 3 | kind as u64;
            if raw == Some(value) {
                put_number(&mut notes.program, fix(FixKind::Raw));
                continue;
            }
            if let (Some(Route { inverse: Inverse::Each(item), .. }), Some(target)) = (route, raw)
                && value.kind == kind::ARRAY
                && target.kind == kind::ARRAY
            {
                let mark = notes.mark();
                put_number(&mut notes.program, fix(FixKind::Items));
                let fits = describe_items(
                    &plan.items[*item],
                    (value, &mut self.source_items[*item], &mut self.source_spans),
                    (target, &mut self.target_items[*item], &mut self.target_spans),
                    (&mut self.record, &mut self.last_record),
                    notes,
                );
                if fits {
                    continue;
                }
                notes.back_to(&mark);
            }
            put_value_fix(notes, gap, value, guess.text());
            match fate {
                Fate::Excluded(name) if plan.sources[name].read_by & targets.written != 0 => {
                    lost(Lost::Duplicate(name))
                }
                Fate::Excluded(name) => lost(Lost::JournalOnly(name)),
                Fate::Read(name) if is_lost(value, route) => lost(Lost::JournalOnly(name)),
                _ => {}
            }
        }
        put_number(&mut notes.program, 0);
    }

    /// Restores the source document from the located documents of the targets and the notes.
    pub fn restore<W: Writer>(
        &mut self,
        plan: &Plan,
        documents: &[Option<&[u8]>],
        reader: &mut Reader<'_>,
        out: &mut W,
    ) -> Result<(), Misfit> {
        let order = reader.number()?;
        let shape = self
            .sources
            .of_keys(reader.order(order)?, &plan.names, |keys, first| roles(plan, keys, first));
        let mut targets = Targets::of(documents, &self.targets, &self.located);
        let mut fixes = Fixes::new(reader)?;
        let open = out.open();
        for (position, (role, key_nul)) in
            shape.meaning.iter().zip(shape.keys.split_inclusive(|byte| *byte == 0)).enumerate()
        {
            let Expected { guess, raw, route } =
                targets.expect(plan, role.fate(plan, targets.written));
            match fixes.at(position) {
                None => guess.write(key_nul, out)?,
                Some(FixKind::Items) => {
                    let (Some(Route { inverse: Inverse::Each(item), .. }), Some(target)) =
                        (route, raw)
                    else {
                        return Err(Misfit(
                            "the journal describes items of a field that is not mapped item by item",
                        ));
                    };
                    let shapes = (&mut self.source_items[*item], &mut self.target_items[*item]);
                    restore_items(
                        &plan.items[*item],
                        target,
                        key_nul,
                        shapes,
                        &mut self.target_spans,
                        reader,
                        out,
                    )?;
                    fixes.next(reader)?;
                }
                Some(kind) => {
                    write_fixed(kind, raw, &guess, key_nul, reader, out)?;
                    fixes.next(reader)?;
                }
            }
        }
        out.close(open);
        fixes.finish()
    }
}

/// Whether a source value that the inverse does not produce is missing from the collections. Null
/// is not a loss, nor is an empty array that the rule treats as empty.
fn is_lost(value: Value<'_>, route: Option<&Route>) -> bool {
    let dropped_empty = value.is_empty_array() && route.is_some_and(|route| route.empty_array);
    let is_converted = route.is_some_and(|route| !matches!(route.inverse, Inverse::Same));
    !value.is_null() && !dropped_empty && !is_converted
}

/// The documents of the targets, with their fields located.
struct Targets<'a> {
    written: u32,
    records: [Option<(Record<'a>, &'a [u32])>; MAX_TARGETS],
    /// The number of passed fields that have been taken so far.
    passed: usize,
}

impl<'a> Targets<'a> {
    fn of(
        documents: &[Option<&'a [u8]>],
        shapes: &'a [Shapes<RestPositions>],
        located: &'a [Located],
    ) -> Self {
        let mut targets = Targets { written: 0, records: [None; MAX_TARGETS], passed: 0 };
        for (number, ((document, shapes), located)) in
            documents.iter().zip(shapes).zip(located).enumerate()
        {
            if let (Some(bytes), true) = (document, located.is_present) {
                let shape = shapes.last();
                targets.written |= 1 << number;
                targets.records[number] = Some((
                    Record { bytes, spans: &located.spans, first: &shape.first },
                    &*shape.meaning,
                ));
            }
        }
        targets
    }

    /// What is known of the next source field without the journal.
    fn expect<'p: 'a>(&mut self, plan: &'p Plan, fate: Fate) -> Expected<'a> {
        const NOTHING: Expected<'static> =
            Expected { guess: Guess::Nothing, raw: None, route: None };
        match fate {
            Fate::Excluded(_) => NOTHING,
            Fate::Passed => {
                let rest = plan.rest.and_then(|rest| self.records[rest]);
                let value = rest.and_then(|(record, others)| {
                    Some(record.at(*others.get(self.passed)? as usize))
                });
                self.passed += 1;
                let guess = value.map_or(Guess::Nothing, Guess::Value);
                Expected { guess, raw: value, route: None }
            }
            Fate::Read(name) => {
                let mut routes = plan.sources[name].routes.iter();
                let Some(route) = routes
                    .find(|route| route.below.is_empty() && self.written & 1 << route.target != 0)
                else {
                    return NOTHING;
                };
                let field =
                    self.records[route.target].and_then(|(record, _)| record.get(route.field));
                let raw = field.and_then(|value| match &route.inner {
                    None => Some(value),
                    Some(inner) if value.kind == kind::DOCUMENT => {
                        Elements::new(value.bytes).find(inner)
                    }
                    Some(_) => None,
                });
                let guess = match (raw, &route.inverse) {
                    (None, _) | (_, Inverse::Each(_)) => Guess::Nothing,
                    (Some(value), Inverse::Same) => Guess::Value(value),
                    (Some(value), Inverse::Convert(convert)) => unconverted(convert, value, None),
                };
                Expected { guess, raw, route: Some(route) }
            }
        }
    }
}

/// A value converted back. `kept` is the original, if the translation has kept it.
pub(super) fn unconverted<'a>(
    convert: &'a Convert,
    value: Value<'a>,
    kept: Option<Value<'a>>,
) -> Guess<'a> {
    match convert {
        Convert::Date => value
            .date_millis()
            .and_then(convert::iso_from_date)
            .map_or(Guess::Value(value), Guess::Iso),
        Convert::Translate(translation) => {
            if let Some(kept) = kept {
                return Guess::Value(kept);
            }
            let back = value.text().and_then(|text| translation.backward.find(text));
            Guess::Value(back.map_or(value, Constant::value))
        }
    }
}

/// The original of a translated field that an item keeps in the document of another row.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub original: Value<'a>,
    /// The elements of that document before and after the one that keeps it.
    pub before: &'a [u8],
    pub after: &'a [u8],
}

pub(super) fn kept_original<'a>(item: &Item, record: Record<'a>) -> Option<Kept<'a>> {
    let translation = translation(item)?;
    let (row, name) = translation.keep.as_ref()?;
    let holder = record.get(*row).filter(|value| value.kind == kind::DOCUMENT)?.bytes;
    let mut elements = Elements::new(holder);
    loop {
        let at = holder.len() - elements.rest().len();
        let element = elements.next()?;
        if element.key() == &**name {
            let original = element.value();
            let translated = record.get(item.rows[item.keeping_row?].own)?;
            let (to, keep) = translation.translate(original)?;
            let (before, after) =
                (&holder[4..at], &holder[at + element.bytes.len()..holder.len() - 1]);
            return (keep && to.value() == translated).then_some(Kept { original, before, after });
        }
    }
}

/// What the inverse produces for one field of an item from the target's field `value`.
fn item_guess<'a>(
    item: &'a Item,
    action: Action,
    value: Value<'a>,
    kept: Option<Kept<'a>>,
) -> Guess<'a> {
    let Action::Row { row, convert } = action else { return Guess::Value(value) };
    if let (Some(kept), true) = (kept, keep_row(item) == Some(row) && value.kind == kind::DOCUMENT)
    {
        return Guess::Without(kept.before, kept.after);
    }
    match &item.rows[row].convert {
        Some(conversion) if convert => {
            unconverted(conversion, value, kept.map(|kept| kept.original))
        }
        _ => Guess::Value(value),
    }
}

type Side<'s, M> = (Value<'s>, &'s mut Shapes<M>, &'s mut Vec<Span>);

/// Notes each item of an array. False if the array cannot be described this way: it has another
/// number of items than the target's, or its keys are not 0, 1, 2 ….
fn describe_items(
    item: &Item,
    (source, source_shapes, source_spans): Side<'_, ItemMeaning>,
    (target, target_shapes, target_spans): Side<'_, ()>,
    (record, last): (&mut Vec<u8>, &mut Vec<u8>),
    notes: &mut Notes,
) -> bool {
    let mut targets = target.elements();
    let mut key = ItemKey::default();
    let mut repeats = 0u64;
    last.clear();
    let flush = |notes: &mut Notes, last: &[u8], repeats: u64| {
        if repeats > 0 {
            notes.program.put(last);
            put_number(&mut notes.program, repeats - 1);
        }
    };
    for element in source.elements() {
        let Some(target) = targets.next() else { return false };
        if element.key_nul() != key.key_nul() {
            return false;
        }
        key.advance();
        let (value, target) = (element.value(), target.value());
        record.clear();
        let values = notes.values.len();
        if value == target {
            put_number(record, 1);
        } else if value.kind == kind::DOCUMENT && target.kind == kind::DOCUMENT {
            let mark = notes.mark();
            let shape =
                source_shapes.index(value.bytes, source_spans, &item.names, |keys, first| {
                    item_meaning(item, keys, first)
                });
            let source = Record { bytes: value.bytes, spans: source_spans, first: &shape.first };
            let target_shape =
                target_shapes.index(target.bytes, target_spans, &item.names, |_, _| ());
            let target =
                Record { bytes: target.bytes, spans: target_spans, first: &target_shape.first };
            put_number(record, notes.order(&shape.keys) + 2);
            describe_item(item, &shape.meaning, source, target, record, notes);
            if record.len() + notes.since(&mark) > value.bytes.len() {
                notes.back_to(&mark);
                record.clear();
                put_number(record, 0);
                notes.value(value);
            }
        } else {
            put_number(record, 0);
            notes.value(value);
        }
        if repeats > 0 && values == notes.values.len() && record == last {
            repeats += 1;
            continue;
        }
        flush(notes, last, repeats);
        std::mem::swap(record, last);
        repeats = 1;
        if values != notes.values.len() {
            // A record that takes values cannot be repeated.
            flush(notes, last, repeats);
            repeats = 0;
        }
    }
    flush(notes, last, repeats);
    targets.next().is_none()
}

fn describe_item(
    item: &Item,
    meaning: &ItemMeaning,
    source: Record<'_>,
    target: Record<'_>,
    record: &mut Vec<u8>,
    notes: &mut Notes,
) {
    let kept = kept_original(item, target);
    let mut last_fix = 0;
    for (position, action) in meaning.actions.iter().enumerate() {
        let value = source.at(position);
        let raw = (position < target.spans.len()).then(|| target.at(position));
        let guess = raw.map_or(Guess::Nothing, |raw| item_guess(item, *action, raw, kept));
        if guess.is(value) {
            continue;
        }
        let gap = (position - last_fix) as u64;
        last_fix = position;
        if raw == Some(value) {
            put_number(record, gap << 3 | FixKind::Raw as u64);
            continue;
        }
        // The fix belongs in the item's record; the value that it may take belongs in the notes.
        std::mem::swap(record, &mut notes.program);
        put_value_fix(notes, gap, value, guess.text());
        std::mem::swap(record, &mut notes.program);
    }
    put_number(record, 0);
}

/// Notes a value that is neither the guess nor the target's value: as null, as the middle of a
/// text, or in full.
fn put_value_fix(notes: &mut Notes, gap: u64, value: Value<'_>, guess: Option<&[u8]>) {
    if value.is_null() {
        return put_number(&mut notes.program, gap << 3 | FixKind::Null as u64);
    }
    if let (Some(guess), Some(text)) = (guess, value.text()) {
        let prefix = guess.iter().zip(text).take_while(|(a, b)| a == b).count();
        let most = guess.len().min(text.len()) - prefix;
        let suffix = guess
            .iter()
            .rev()
            .zip(text.iter().rev())
            .take(most)
            .take_while(|(a, b)| a == b)
            .count();
        if prefix + suffix > 8 {
            put_number(&mut notes.program, gap << 3 | FixKind::Splice as u64);
            put_number(&mut notes.program, prefix as u64);
            put_number(&mut notes.program, suffix as u64);
            let middle = &text[prefix..text.len() - suffix];
            put_number(&mut notes.program, middle.len() as u64);
            notes.program.put(middle);
            return;
        }
    }
    put_number(&mut notes.program, gap << 3 | FixKind::Literal as u64);
    notes.value(value);
}

/// The fixes of one record. Each is read after the one before has been applied.
struct Fixes {
    next: Option<(usize, FixKind)>,
    position: usize,
}

impl Fixes {
    fn new(reader: &mut Reader<'_>) -> Result<Self, Misfit> {
        let mut fixes = Fixes { next: None, position: 0 };
        fixes.next(reader)?;
        Ok(fixes)
    }
    fn next(&mut self, reader: &mut Reader<'_>) -> Result<(), Misfit> {
        self.next = match reader.fix()? {
            None => None,
            Some((gap, kind)) => {
                self.position =
                    usize::try_from(gap).unwrap_or(usize::MAX).saturating_add(self.position);
                Some((self.position, kind))
            }
        };
        Ok(())
    }
    fn at(&self, position: usize) -> Option<FixKind> {
        self.next.filter(|(at, _)| *at == position).map(|(_, kind)| kind)
    }
    fn finish(self) -> Result<(), Misfit> {
        if self.next.is_some() { Err(Misfit("a fix is past the last field")) } else { Ok(()) }
    }
}

fn write_fixed<W: Writer>(
    kind: FixKind,
    raw: Option<Value<'_>>,
    guess: &Guess<'_>,
    key_nul: &[u8],
    reader: &mut Reader<'_>,
    out: &mut W,
) -> Result<(), Misfit> {
    match kind {
        FixKind::Raw => out.element(
            key_nul,
            raw.ok_or(Misfit("a field that the journal takes from the collections is missing"))?,
        ),
        FixKind::Null => out.element(key_nul, Value::NULL),
        FixKind::Literal => out.element(key_nul, reader.value()?),
        FixKind::Splice => {
            let (prefix, suffix, middle) = (reader.number()?, reader.number()?, reader.bytes()?);
            let text = guess
                .text()
                .ok_or(Misfit("a string that the journal completes is of another type"))?;
            let parts = usize::try_from(prefix).ok().zip(usize::try_from(suffix).ok());
            let ends = parts.and_then(|(prefix, suffix)| {
                Some((text.get(..prefix)?, text.get(text.len().checked_sub(suffix)?..)?))
            });
            let (start, end) =
                ends.ok_or(Misfit("a string that the journal completes is too short"))?;
            out.text(key_nul, &[start, middle, end]);
        }
        FixKind::Items => {
            return Err(Misfit(
                "the journal describes items of a field that is not mapped item by item",
            ));
        }
    }
    Ok(())
}

fn restore_items<W: Writer>(
    item: &Item,
    target: Value<'_>,
    key_nul: &[u8],
    (source_shapes, target_shapes): (&mut Shapes<ItemMeaning>, &mut Shapes<()>),
    spans: &mut Vec<Span>,
    reader: &mut Reader<'_>,
    out: &mut W,
) -> Result<(), Misfit> {
    out.head(kind::ARRAY, key_nul);
    let open = out.open();
    let mut key = ItemKey::default();
    let mut place = reader.place();
    let mut end = place;
    let mut repeats = 0;
    for element in target.elements() {
        if repeats == 0 {
            place = reader.place();
        } else {
            reader.go_to(place);
        }
        let value = element.value();
        match reader.number()? {
            0 => out.element(key.key_nul(), reader.value()?),
            1 => out.element(key.key_nul(), value),
            order => {
                if value.kind != kind::DOCUMENT {
                    return Err(Misfit("an item that the journal describes is not a document"));
                }
                let shape =
                    source_shapes.of_keys(reader.order(order - 2)?, &item.names, |keys, first| {
                        item_meaning(item, keys, first)
                    });
                let target_shape = target_shapes.index(value.bytes, spans, &item.names, |_, _| ());
                let target = Record { bytes: value.bytes, spans, first: &target_shape.first };
                out.head(kind::DOCUMENT, key.key_nul());
                restore_item(item, &shape.meaning, &shape.keys, target, reader, out)?;
            }
        }
        // A record can be repeated any number of times, so a small journal could demand any amount
        // of memory.
        if out.since(&open) > MAX_DOCUMENT_BYTES {
            return Err(Misfit("a restored document would be larger than the maximum"));
        }
        key.advance();
        if repeats == 0 {
            repeats = reader.number()?;
            end = reader.place();
        } else {
            repeats -= 1;
            if repeats == 0 {
                reader.go_to(end);
            }
        }
    }
    if repeats != 0 {
        return Err(Misfit("the journal describes more items than the collection has"));
    }
    out.close(open);
    Ok(())
}

fn restore_item<W: Writer>(
    item: &Item,
    meaning: &ItemMeaning,
    keys: &[u8],
    target: Record<'_>,
    reader: &mut Reader<'_>,
    out: &mut W,
) -> Result<(), Misfit> {
    let kept = kept_original(item, target);
    let mut fixes = Fixes::new(reader)?;
    let open = out.open();
    for (position, (action, key_nul)) in
        meaning.actions.iter().zip(keys.split_inclusive(|byte| *byte == 0)).enumerate()
    {
        let raw = (position < target.spans.len()).then(|| target.at(position));
        let guess = raw.map_or(Guess::Nothing, |raw| item_guess(item, *action, raw, kept));
        match fixes.at(position) {
            None => guess.write(key_nul, out)?,
            Some(kind) => {
                write_fixed(kind, raw, &guess, key_nul, reader, out)?;
                fixes.next(reader)?;
            }
        }
    }
    out.close(open);
    fixes.finish()
}
