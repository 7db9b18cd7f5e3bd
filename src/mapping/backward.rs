//! Backward: restores a source document from the targets' documents and notes.
//!
//! One mechanism serves every operator. [`Backward::describe`] runs the inverse of the mapping,
//! compares the result with the source, and notes each difference. [`Backward::restore`] runs the
//! inverse and applies the notes. Both are in this one file, of more than 500 lines, because what one
//! writes the other must read, step by step.
//!
//! A document is described level by level. For each level: its sequence of names, then a fix for each
//! field that the inverse does not give. Levels nest only as deep as the mapping's paths and shapes do.

use std::ops::Range;

use smallvec::SmallVec;

use super::fate::{Fate, Meaning, Role, Roles, meaning};
use super::plan::{Change, Inverse, Plan, SOURCE};
use super::shape::{Keeper, Record, Shape, Shapes, shed_starts};
use super::views::{Expected, Passed, SimplePlace, TableShapes, View, Views, locate, unchanged};
use crate::journal::{FixKind, Misfit, Notes, Reader, put_number};
use crate::raw::{Elements, ItemKey, MAX_DOCUMENT_BYTES, Value, Writer, kind};

/// Runs the mapping backward. Its caches save time and do not change the result.
#[derive(Debug)]
pub(super) struct Backward {
    /// For each target, the sequences of names of its documents, and where the fields of the current
    /// one are.
    targets: Vec<TableShapes>,
    located: Vec<Vec<u32>>,
    caches: Caches,
}

/// What is kept from one document to the next.
#[derive(Debug)]
struct Caches {
    /// For each level, the sequences of names met.
    levels: Vec<Keeper<Meaning>>,
    /// For each table, those of its documents in arrays and other documents.
    tables: Vec<Keeper<Box<[u32]>>>,
    starts: Vec<Vec<u32>>,
    records: Vec<Vec<u8>>,
}

impl Caches {
    fn take_starts(&mut self) -> Vec<u32> {
        self.starts.pop().unwrap_or_default()
    }
    fn take_record(&mut self) -> Vec<u8> {
        let mut record = self.records.pop().unwrap_or_default();
        record.clear();
        record
    }
}

/// A difference that becomes a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost<'a> {
    /// This rule says so.
    Rule(usize),
    /// Nothing reads the field with this name, and nothing takes it.
    LeftOut(&'a [u8]),
}

/// The documents of a source document, target by target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Documents<'d, 'a> {
    /// The targets whose rules apply.
    pub written: u32,
    /// The document of each target that unwinds nothing.
    pub single: &'d [Option<&'a [u8]>],
    /// The documents of each target that unwinds a field.
    pub unwound: &'d [Vec<&'a [u8]>],
}

impl Backward {
    pub fn new(plan: &Plan) -> Self {
        Backward {
            targets: plan.targets.iter().map(|_| Shapes::default()).collect(),
            located: plan.targets.iter().map(|_| Vec::new()).collect(),
            caches: Caches {
                levels: plan.levels.iter().map(|_| Keeper::default()).collect(),
                tables: plan.tables.iter().map(|_| Keeper::default()).collect(),
                starts: Vec::new(),
                records: Vec::new(),
            },
        }
    }

    /// Frees what a document with very many fields has needed.
    pub fn shed(&mut self) {
        self.targets.iter_mut().for_each(Shapes::shed);
        self.located.iter_mut().for_each(shed_starts);
        let Caches { levels, tables, starts, records } = &mut self.caches;
        levels.iter_mut().for_each(Keeper::shed);
        tables.iter_mut().for_each(Keeper::shed);
        starts.iter_mut().for_each(shed_starts);
        records.iter_mut().for_each(crate::batch::recycle);
    }

    /// Locates the fields of the targets' documents, to which the other methods refer.
    pub fn locate(&mut self, plan: &Plan, documents: &[Option<&[u8]>]) {
        for (number, document) in documents.iter().enumerate() {
            if let Some(document) = document {
                let (shapes, starts) = (&mut self.targets[number], &mut self.located[number]);
                locate(plan, number, document, shapes, starts);
            }
        }
    }
    /// The located document of a target.
    pub fn target<'a>(&'a self, number: usize, document: &'a [u8]) -> Record<'a> {
        Record::new(document, &self.located[number], self.targets[number].last())
    }
    /// Locates a document in a target that has several of one source document.
    pub fn locate_one<'a>(
        &'a mut self,
        plan: &Plan,
        number: usize,
        document: &'a [u8],
    ) -> Record<'a> {
        locate(plan, number, document, &mut self.targets[number], &mut self.located[number]);
        self.target(number, document)
    }

    /// Notes how to restore the source document in `record` from the targets' documents.
    ///
    /// The notes are right only if [`Backward::restore`] then produces the source. The caller
    /// proves that.
    pub fn describe(
        &mut self,
        plan: &Plan,
        record: Record<'_>,
        shape: &Shape<Meaning>,
        documents: Documents<'_, '_>,
        notes: &mut Notes,
        mut lost: impl FnMut(Lost<'_>),
    ) {
        let Backward { targets, located, caches } = self;
        let mut list = views(plan, documents, targets, located);
        let mut views = Views::of_source(plan, documents.written, &mut list, documents.unwound);
        let mut passed = views.passed(SOURCE, None);
        let order = notes.order(&shape.keys);
        put_number(&mut notes.program, order);
        let mut describing = Describing { plan, caches, notes, lost: &mut lost };
        describing.level(SOURCE, record, &shape.meaning.roles, &mut views, &mut passed);
    }

    /// Restores the source document from the located documents of the targets and the notes.
    pub fn restore<W: Writer>(
        &mut self,
        plan: &Plan,
        documents: Documents<'_, '_>,
        reader: &mut Reader<'_>,
        out: &mut W,
    ) -> Result<(), Misfit> {
        let Backward { targets, located, caches } = self;
        let mut list = views(plan, documents, targets, located);
        let mut views = Views::of_source(plan, documents.written, &mut list, documents.unwound);
        let order = reader.number()?;
        let mut restoring = Restoring { plan, caches, reader };
        restoring.level(SOURCE, order, &mut views, None, out)
    }
}

/// The targets' documents as views of the source document.
fn views<'a>(
    plan: &'a Plan,
    documents: Documents<'_, 'a>,
    targets: &'a [TableShapes],
    located: &'a [Vec<u32>],
) -> SmallVec<[Option<View<'a>>; 4]> {
    let mut views = SmallVec::new();
    for (number, document) in documents.single.iter().enumerate() {
        views.push(document.map(|bytes| {
            let shape = targets[number].last();
            let record = Record::new(bytes, &located[number], shape);
            View::new(plan, number, record, &shape.meaning)
        }));
    }
    views
}

/// The number of fields of an item that nothing reads, if its table moves them into a row.
fn moved(plan: &Plan, level: usize, roles: &Roles) -> usize {
    let known = &plan.levels[level];
    let moves = known.in_order.is_some_and(|table| plan.tables[table].rest_into.is_some());
    if moves { roles.iter().filter(|role| *role == Role::Other).count() } else { 0 }
}

/// Whether a source value that the inverse does not produce is missing from the collections. Null
/// is not a loss, nor is an empty array that the rule treats as missing.
fn is_lost(value: Value<'_>, expected: &Expected<'_>) -> bool {
    let is_refused = expected
        .route
        .and_then(|route| route.only.as_ref())
        .is_some_and(|only| !only.passes(value));
    let dropped_empty = value.is_empty_array() && is_refused;
    // What was unwound, or was not, has findings of its own.
    let is_changed = expected.route.is_some_and(|route| match route.inverse {
        Inverse::Same => false,
        Inverse::Unwound(_) => true,
        // Another alternative may have given the target's value.
        Inverse::Change(ref change) => expected.raw.is_some_and(|raw| gives(change, value, raw)),
        Inverse::Each(_) | Inverse::Shape(_) => {
            expected.raw.is_some_and(|raw| raw.kind == value.kind)
        }
    });
    !value.is_null() && !dropped_empty && !is_changed
}

/// Whether a change makes this value of that one.
fn gives(change: &Change, value: Value<'_>, raw: Value<'_>) -> bool {
    match change {
        Change::Convert { conversion, .. } if conversion.is_iso() && raw.kind == kind::DATE => {
            value.text().and_then(super::convert::date_from_iso) == raw.date_millis()
        }
        Change::Convert { conversion, .. } => {
            let mut bytes = Vec::new();
            let kind = conversion.convert(value, &mut bytes);
            kind.map_or(value == raw, |kind| raw == Value { kind, bytes: &bytes })
        }
        Change::Translate(translation) => {
            raw == translation.translate(value).map_or(value, |(to, _)| to.value())
        }
        Change::Shape { .. } => raw.kind == value.kind,
    }
}

struct Describing<'d, 'p> {
    plan: &'p Plan,
    caches: &'d mut Caches,
    notes: &'d mut Notes,
    lost: &'d mut dyn FnMut(Lost<'_>),
}

impl<'p> Describing<'_, 'p> {
    /// Notes a fix for each field of a document that the inverse does not give, and the end.
    fn level<'a>(
        &mut self,
        number: usize,
        record: Record<'_>,
        roles: &Roles,
        views: &mut Views<'_, 'a>,
        passed: &mut Passed<'a>,
    ) where
        'p: 'a,
    {
        let level = &views.plan.levels[number];
        let copied = Views::is_copied(passed);
        let mut last_fix = 0;
        for (position, role) in roles.iter().enumerate() {
            let value = record.at(position);
            if !copied
                && let Some(found) = views.simple(level, role)
                && found.record.at(found.position) == value
            {
                continue;
            }
            let fate = level.fate(role, views.written, copied);
            let expected = views.expect(level, passed, (role, fate), record.name(position));
            if !matches!(fate, Fate::Entered(_)) && expected.guess.is(value) {
                continue;
            }
            if let Fate::Entered(_) = fate
                && value.kind != kind::DOCUMENT
                && expected.guess.is(value)
            {
                continue;
            }
            let gap = (position - last_fix) as u64;
            last_fix = position;
            self.fix(number, gap, value, (fate, &expected), record.name(position), views);
        }
        put_number(&mut self.notes.program, 0);
    }

    /// Notes how one field differs from what the inverse gives.
    fn fix<'a>(
        &mut self,
        level: usize,
        gap: u64,
        value: Value<'_>,
        (fate, expected): (Fate, &Expected<'a>),
        name: &[u8],
        views: &mut Views<'_, 'a>,
    ) where
        'p: 'a,
    {
        let head = |kind: FixKind| gap << 3 | kind as u64;
        let mark = self.notes.mark();
        if let Fate::Entered(node) = fate
            && value.kind == kind::DOCUMENT
            && let Some(inside) = self.plan.levels[level].nodes[node].inside
        {
            put_number(&mut self.notes.program, head(FixKind::Document));
            return self.inside(inside, value, expected.raw, views);
        }
        if expected.raw == Some(value) {
            return put_number(&mut self.notes.program, head(FixKind::Raw));
        }
        match (expected.route.map(|route| &route.inverse), expected.raw) {
            (Some(Inverse::Each(inner)), Some(target))
                if value.kind == kind::ARRAY && target.kind == kind::ARRAY =>
            {
                put_number(&mut self.notes.program, head(FixKind::Items));
                if self.items(inner, value, target.elements().map(|item| item.value())) {
                    return;
                }
                self.notes.back_to(&mark);
            }
            (Some(Inverse::Shape(table)), Some(target))
                if value.kind == kind::DOCUMENT && target.kind == kind::DOCUMENT =>
            {
                put_number(&mut self.notes.program, head(FixKind::Document));
                self.shaped(*table, value, target, 0);
                if self.notes.since(&mark) <= value.bytes.len() {
                    return;
                }
                self.notes.back_to(&mark);
            }
            (Some(Inverse::Unwound(target)), _) => {
                put_number(&mut self.notes.program, head(FixKind::Items));
                if self.unwound(*target, value, &views.unwound[*target]) {
                    return;
                }
                self.notes.back_to(&mark);
            }
            // The guess is for the likely type; for another the result differs.
            (Some(Inverse::Change(Change::Convert { conversion, .. })), Some(target))
                if expected.guess.kind() != Some(value.kind) =>
            {
                let mut bytes = Vec::new();
                if conversion.back(target, value.kind, &mut bytes) && bytes == value.bytes {
                    put_number(&mut self.notes.program, head(FixKind::Typed));
                    return put_number(&mut self.notes.program, u64::from(value.kind));
                }
            }
            _ => {}
        }
        put_value_fix(self.notes, gap, value, expected.guess.text());
        let level = &self.plan.levels[level];
        match fate {
            Fate::Excluded(node) if level.nodes[node].dropped => {}
            Fate::Excluded(node) if level.nodes[node].is_read(views.written) => {
                (self.lost)(Lost::Rule(level.nodes[node].duplicate_rule));
            }
            Fate::Excluded(node) => (self.lost)(Lost::Rule(level.nodes[node].journal_only_rule)),
            Fate::Read(node) if is_lost(value, expected) && !views.holds(level, node, value) => {
                (self.lost)(Lost::Rule(level.nodes[node].journal_only_rule));
            }
            Fate::Passed | Fate::Entered(_) => {
                // Names of fields in what is private are private, too.
                (self.lost)(Lost::LeftOut(if level.is_private { &[] } else { name }));
            }
            Fate::Read(_) => {}
        }
    }

    /// Notes the sequence of names and the fixes of an embedded document that rules enter.
    fn inside<'a>(
        &mut self,
        inside: usize,
        value: Value<'_>,
        outside: Option<Value<'a>>,
        views: &mut Views<'_, 'a>,
    ) where
        'p: 'a,
    {
        let mut shapes = self.caches.levels[inside].take();
        let mut starts = self.caches.take_starts();
        let plan = self.plan;
        let shape =
            shapes.index(value.bytes, &mut starts, &plan.levels[inside].names, |keys, first| {
                meaning(plan, inside, keys, first)
            });
        let record = Record::new(value.bytes, &starts, shape);
        let order = self.notes.order(&shape.keys);
        put_number(&mut self.notes.program, order);
        let mut passed = views.passed(inside, outside);
        self.level(inside, record, &shape.meaning.roles, views, &mut passed);
        self.caches.levels[inside].keep(shapes);
        self.caches.starts.push(starts);
    }

    /// Notes the sequence of names and the fixes of a document that a table maps. `offset` is added to
    /// the number of the sequence.
    fn shaped(&mut self, table: usize, value: Value<'_>, target: Value<'_>, offset: u64) {
        let plan = self.plan;
        let level = plan.tables[table].level;
        let mut shapes = self.caches.levels[level].take();
        let mut tables = self.caches.tables[table].take();
        let (mut starts, mut target_starts) =
            (self.caches.take_starts(), self.caches.take_starts());
        let shape =
            shapes.index(value.bytes, &mut starts, &plan.levels[level].names, |keys, first| {
                meaning(plan, level, keys, first)
            });
        let record = Record::new(value.bytes, &starts, shape);
        let order = self.notes.order(&shape.keys);
        put_number(&mut self.notes.program, order + offset);
        let located = locate(plan, table, target.bytes, &mut tables, &mut target_starts);
        let target = Record::new(target.bytes, &target_starts, located);
        let mut view = [Some(View::new(plan, table, target, &located.meaning))];
        let mut views = Views::of_item(plan, level, &mut view);
        views.moved = moved(plan, level, &shape.meaning.roles);
        let mut passed = views.passed(level, None);
        self.level(level, record, &shape.meaning.roles, &mut views, &mut passed);
        self.caches.levels[level].keep(shapes);
        self.caches.tables[table].keep(tables);
        self.caches.starts.push(starts);
        self.caches.starts.push(target_starts);
    }

    /// Notes each item of an array. False if the array cannot be described this way: it has another
    /// number of items than the target's, or its keys are not 0, 1, 2 ….
    fn items<'t>(
        &mut self,
        inner: &Inverse,
        source: Value<'_>,
        mut targets: impl Iterator<Item = Value<'t>>,
    ) -> bool {
        let mut key = ItemKey::default();
        let mut records = Records::new(self.caches);
        for element in source.elements() {
            let Some(target) = targets.next() else { return records.give_up(self.caches) };
            if element.key_nul() != key.key_nul() {
                return records.give_up(self.caches);
            }
            key.advance();
            let values = self.notes.values.len();
            self.item(inner, element.value(), target, &mut records.current);
            records.push(self.notes, values);
        }
        records.finish(self.notes, self.caches);
        targets.next().is_none()
    }

    /// Notes one item in `record`, and the values that it needs.
    fn item(&mut self, inner: &Inverse, value: Value<'_>, target: Value<'_>, record: &mut Vec<u8>) {
        record.clear();
        if value == target {
            return put_number(record, ITEM_SAME);
        }
        match inner {
            Inverse::Shape(table)
                if value.kind == kind::DOCUMENT && target.kind == kind::DOCUMENT =>
            {
                self.item_of(*table, value, target, record);
            }
            Inverse::Change(change) => {
                let mut bytes = Vec::new();
                match change {
                    change if unchanged(change, target, None).is(value) => {
                        put_number(record, ITEM_GUESS);
                    }
                    Change::Convert { conversion, .. }
                        if conversion.back(target, value.kind, &mut bytes)
                            && bytes == value.bytes =>
                    {
                        put_number(record, ITEM_TYPED + u64::from(value.kind));
                    }
                    _ => self.literal_item(value, record),
                }
            }
            _ => self.literal_item(value, record),
        }
    }

    fn literal_item(&mut self, value: Value<'_>, record: &mut Vec<u8>) {
        put_number(record, ITEM_LITERAL);
        self.notes.value(value);
    }

    /// Notes a document that a table maps in an item's record, or the whole if that is shorter.
    fn item_of(&mut self, table: usize, value: Value<'_>, target: Value<'_>, record: &mut Vec<u8>) {
        let mark = self.notes.mark();
        // The fixes belong in the item's record; the values that they take belong in the notes.
        std::mem::swap(record, &mut self.notes.program);
        self.shaped(table, value, target, ITEM_SHAPED);
        std::mem::swap(record, &mut self.notes.program);
        if record.len() + self.notes.since(&mark) > value.bytes.len() {
            self.notes.back_to(&mark);
            record.clear();
            self.literal_item(value, record);
        }
    }

    /// Notes what an unwound field was, given the documents made of it. False if it cannot be
    /// described this way.
    fn unwound(&mut self, target: usize, source: Value<'_>, documents: &[&[u8]]) -> bool {
        let plan = self.plan;
        let Some(unwind) = &plan.targets[target].unwind else { return false };
        let wanted = if unwind.is_map { kind::DOCUMENT } else { kind::ARRAY };
        if source.kind != wanted {
            return false;
        }
        let mut key = ItemKey::default();
        let mut keys = Vec::new();
        let mut count = 0;
        let mut children = documents.iter();
        let mut are_positions = true;
        for element in source.elements() {
            if !unwind.is_map && element.key_nul() != key.key_nul() {
                return false;
            }
            key.advance();
            keys.extend_from_slice(element.key_nul());
            count += 1;
            // Only documents were unwound.
            let child = if element.kind() == kind::DOCUMENT { children.next() } else { None };
            are_positions &= child
                .and_then(|child| entry_name(plan, target, child))
                .is_some_and(|name| name == element.key());
        }
        put_number(&mut self.notes.program, count);
        if unwind.is_map {
            let order = if are_positions { 0 } else { self.notes.order(&keys) + 1 };
            put_number(&mut self.notes.program, order);
        }
        let mut children = documents.iter();
        let mut records = Records::new(self.caches);
        for element in source.elements() {
            let value = element.value();
            let values = self.notes.values.len();
            records.current.clear();
            match value.kind {
                kind::DOCUMENT => {
                    let Some(child) = children.next() else {
                        return records.give_up(self.caches);
                    };
                    let child = Value { kind: kind::DOCUMENT, bytes: child };
                    let mut record = std::mem::take(&mut records.current);
                    self.item_of(target, value, child, &mut record);
                    records.current = record;
                }
                _ => {
                    put_number(&mut records.current, ITEM_LEFT);
                    self.notes.value(value);
                }
            }
            records.push(self.notes, values);
        }
        records.finish(self.notes, self.caches);
        children.next().is_none()
    }
}

/// The name of the entry that a document was unwound from, if one of its rows holds it.
pub(super) fn entry_name<'a>(plan: &Plan, target: usize, document: &'a [u8]) -> Option<&'a [u8]> {
    let place = plan.targets[target].unwind.as_ref()?.position.as_ref()?;
    let name = plan.tables[target].names.name(place.row);
    let value = Elements::new(document).find(name)?;
    super::evaluate::descend(value, &place.inner)?.text()
}

/// How an item is given.
pub(super) const ITEM_LITERAL: u64 = 0;
/// It is the target's.
pub(super) const ITEM_SAME: u64 = 1;
/// It is what the inverse makes of the target's.
pub(super) const ITEM_GUESS: u64 = 2;
/// It was not unwound, so no document is of it.
pub(super) const ITEM_LEFT: u64 = 3;
/// It is a document: the number of its sequence of names is added, and its fixes follow.
pub(super) const ITEM_SHAPED: u64 = 4;
/// It is what the inverse makes for the type whose byte is added.
pub(super) const ITEM_TYPED: u64 = 8;

/// The records of an array's items; equal ones in a row are written once, with their number.
struct Records {
    current: Vec<u8>,
    last: Vec<u8>,
    repeats: u64,
}

impl Records {
    fn new(caches: &mut Caches) -> Self {
        Records { current: caches.take_record(), last: caches.take_record(), repeats: 0 }
    }
    /// Adds the current record. `values` is how long the notes' values were before it.
    fn push(&mut self, notes: &mut Notes, values: usize) {
        let takes_values = values != notes.values.len();
        if self.repeats > 0 && !takes_values && self.current == self.last {
            self.repeats += 1;
            return;
        }
        self.flush(notes);
        std::mem::swap(&mut self.current, &mut self.last);
        self.repeats = 1;
        if takes_values {
            // A record that takes values cannot be repeated.
            self.flush(notes);
        }
    }
    fn flush(&mut self, notes: &mut Notes) {
        if self.repeats > 0 {
            notes.program.put(&self.last);
            put_number(&mut notes.program, self.repeats - 1);
        }
        self.repeats = 0;
    }
    fn finish(mut self, notes: &mut Notes, caches: &mut Caches) {
        self.flush(notes);
        self.give_up(caches);
    }
    fn give_up(self, caches: &mut Caches) -> bool {
        caches.records.extend([self.current, self.last]);
        false
    }
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

struct Restoring<'d, 'p, 'r> {
    plan: &'p Plan,
    caches: &'d mut Caches,
    reader: &'d mut Reader<'r>,
}

impl<'p> Restoring<'_, 'p, '_> {
    /// Writes a document with this sequence of names. `outside` is what a taker of the level around
    /// it holds under its name.
    fn level<'a, W: Writer>(
        &mut self,
        number: usize,
        order: u64,
        views: &mut Views<'_, 'a>,
        outside: Option<Value<'a>>,
        out: &mut W,
    ) -> Result<(), Misfit>
    where
        'p: 'a,
    {
        let plan = self.plan;
        let mut shapes = self.caches.levels[number].take();
        let names = &plan.levels[number].names;
        let keys = self.reader.order(order)?;
        let shape = shapes.of_keys(keys, names, |keys, first| meaning(plan, number, keys, first));
        if number == views.top {
            views.moved = moved(plan, number, &shape.meaning.roles);
        }
        let mut passed = views.passed(number, outside);
        let result = self.fields(number, shape, views, &mut passed, out);
        self.caches.levels[number].keep(shapes);
        result
    }

    fn fields<'a, W: Writer>(
        &mut self,
        number: usize,
        shape: &Shape<Meaning>,
        views: &mut Views<'_, 'a>,
        passed: &mut Passed<'a>,
        out: &mut W,
    ) -> Result<(), Misfit>
    where
        'p: 'a,
    {
        let level = &views.plan.levels[number];
        let copied = Views::is_copied(passed);
        let mut fixes = Fixes::new(self.reader)?;
        let open = out.open();
        // Adjacent fields of a view are copied in one piece.
        let (mut from, mut run) = (0, 0..0);
        for (position, (role, key_nul)) in
            shape.meaning.roles.iter().zip(shape.key_nuls()).enumerate()
        {
            let name = &key_nul[..key_nul.len() - 1];
            let fix = fixes.at(position);
            if fix.is_none()
                && !copied
                && let Some(found) = views.simple(level, role)
            {
                let SimplePlace { simple, record, position } = found;
                if simple.keeps_name && simple.view == from && position == run.end {
                    run.end += 1;
                    continue;
                }
                put_run(views, from, &mut run, out);
                if simple.keeps_name {
                    (from, run) = (simple.view, position..position + 1);
                } else {
                    out.element(key_nul, record.at(position));
                }
                continue;
            }
            put_run(views, from, &mut run, out);
            let fate = level.fate(role, views.written, copied);
            let expected = views.expect(level, passed, (role, fate), name);
            match fix {
                None => expected.guess.write(key_nul, out)?,
                Some(fix) => {
                    self.fixed(number, fix, (fate, expected), key_nul, views, out)?;
                    fixes.next(self.reader)?;
                }
            }
        }
        put_run(views, from, &mut run, out);
        out.close(open);
        fixes.finish()
    }

    /// Writes a field that the notes correct.
    fn fixed<'a, W: Writer>(
        &mut self,
        level: usize,
        fix: FixKind,
        (fate, expected): (Fate, Expected<'a>),
        key_nul: &[u8],
        views: &mut Views<'_, 'a>,
        out: &mut W,
    ) -> Result<(), Misfit>
    where
        'p: 'a,
    {
        let missing = Misfit("a field that the journal takes from the collections is missing");
        match fix {
            FixKind::Raw => out.element(key_nul, expected.raw.ok_or(missing)?),
            FixKind::Null => out.element(key_nul, Value::NULL),
            FixKind::Literal => out.element(key_nul, self.reader.value()?),
            FixKind::Splice => {
                let (prefix, suffix, middle) =
                    (self.reader.number()?, self.reader.number()?, self.reader.bytes()?);
                let text = expected
                    .guess
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
            FixKind::Typed => {
                let kind = self.reader.number()?;
                let route = expected.route.map(|route| &route.inverse);
                let Some(Inverse::Change(change)) = route else {
                    return Err(Misfit(
                        "the journal records the type of a field that is not converted",
                    ));
                };
                write_typed(change, expected.raw.ok_or(missing)?, kind, key_nul, out)?;
            }
            FixKind::Document => {
                let order = self.reader.number()?;
                match (fate, expected.route.map(|route| &route.inverse), expected.raw) {
                    (Fate::Entered(node), ..) => {
                        let inside = self.plan.levels[level].nodes[node].inside;
                        let inside = inside
                            .ok_or(Misfit("the journal enters a field that no path enters"))?;
                        out.head(kind::DOCUMENT, key_nul);
                        self.level(inside, order, views, expected.raw, out)?;
                    }
                    (_, Some(Inverse::Shape(table)), Some(target))
                        if target.kind == kind::DOCUMENT =>
                    {
                        out.head(kind::DOCUMENT, key_nul);
                        self.shaped(*table, order, target.bytes, out)?;
                    }
                    _ => {
                        return Err(Misfit(
                            "the journal describes the fields of a value that is not a document",
                        ));
                    }
                }
            }
            FixKind::Items => match expected.route.map(|route| &route.inverse) {
                Some(Inverse::Each(inner)) => {
                    let target = expected.raw.ok_or(missing)?;
                    out.head(kind::ARRAY, key_nul);
                    let inner: &Inverse = inner;
                    self.items(inner, target, out)?;
                }
                Some(Inverse::Unwound(target)) => {
                    self.unwound(*target, &views.unwound[*target], key_nul, out)?;
                }
                _ => {
                    return Err(Misfit(
                        "the journal describes items of a field that is not mapped item by item",
                    ));
                }
            },
        }
        Ok(())
    }

    fn shaped<W: Writer>(
        &mut self,
        table: usize,
        order: u64,
        target: &[u8],
        out: &mut W,
    ) -> Result<(), Misfit> {
        let plan = self.plan;
        let level = plan.tables[table].level;
        let mut tables = self.caches.tables[table].take();
        let mut starts = self.caches.take_starts();
        let located = locate(plan, table, target, &mut tables, &mut starts);
        let record = Record::new(target, &starts, located);
        let mut view = [Some(View::new(plan, table, record, &located.meaning))];
        let mut views = Views::of_item(plan, level, &mut view);
        let result = self.level(level, order, &mut views, None, out);
        self.caches.tables[table].keep(tables);
        self.caches.starts.push(starts);
        result
    }

    /// Writes the items of an array that is mapped item by item.
    fn items<W: Writer>(
        &mut self,
        inner: &Inverse,
        target: Value<'_>,
        out: &mut W,
    ) -> Result<(), Misfit> {
        let open = out.open();
        let mut key = ItemKey::default();
        let mut repeats = Repeats::default();
        for element in target.elements() {
            repeats.begin(self.reader);
            let target = element.value();
            match (self.reader.number()?, inner) {
                (ITEM_LITERAL, _) => out.element(key.key_nul(), self.reader.value()?),
                (ITEM_SAME, _) => out.element(key.key_nul(), target),
                (ITEM_GUESS, Inverse::Change(change)) => {
                    unchanged(change, target, None).write(key.key_nul(), out)?;
                }
                (order @ ITEM_SHAPED.., Inverse::Shape(table)) if target.kind == kind::DOCUMENT => {
                    out.head(kind::DOCUMENT, key.key_nul());
                    self.shaped(*table, order - ITEM_SHAPED, target.bytes, out)?;
                }
                (typed @ ITEM_TYPED.., Inverse::Change(change)) => {
                    write_typed(change, target, typed - ITEM_TYPED, key.key_nul(), out)?;
                }
                _ => return Err(UNMAPPED_ITEM),
            }
            check_size(out.since(&open))?;
            key.advance();
            repeats.end(self.reader)?;
        }
        repeats.finish()?;
        out.close(open);
        Ok(())
    }

    /// Writes an unwound field from its documents.
    fn unwound<W: Writer>(
        &mut self,
        target: usize,
        documents: &[&[u8]],
        key_nul: &[u8],
        out: &mut W,
    ) -> Result<(), Misfit> {
        let plan = self.plan;
        let Some(unwind) = &plan.targets[target].unwind else {
            return Err(Misfit("the journal describes a field that is not unwound"));
        };
        let count = self.reader.number()?;
        let mut names = None;
        if unwind.is_map {
            let order = self.reader.number()?;
            if order > 0 {
                let keys = self.reader.order(order - 1)?;
                names = Some(keys.split_inclusive(|byte| *byte == 0));
            }
        }
        out.head(if unwind.is_map { kind::DOCUMENT } else { kind::ARRAY }, key_nul);
        let open = out.open();
        let mut item_key = ItemKey::default();
        let mut children = documents.iter();
        let mut repeats = Repeats::default();
        for _ in 0..count {
            repeats.begin(self.reader);
            let code = self.reader.number()?;
            let child =
                match code {
                    ITEM_LEFT => None,
                    _ => Some(*children.next().ok_or(Misfit(
                        "the journal describes more items than the collection has",
                    ))?),
                };
            let key: Vec<u8> = match (&mut names, unwind.is_map) {
                (_, false) => item_key.key_nul().to_vec(),
                (Some(names), true) => names
                    .next()
                    .ok_or(Misfit("the journal names fewer entries than there are"))?
                    .to_vec(),
                (None, true) => {
                    let name = child.and_then(|child| entry_name(plan, target, child));
                    let name = name.filter(|name| !name.contains(&0));
                    let name = name.ok_or(Misfit("a document does not name its entry"))?;
                    [name, &[0]].concat()
                }
            };
            match (code, child) {
                (ITEM_LITERAL | ITEM_LEFT, _) => out.element(&key, self.reader.value()?),
                (order @ ITEM_SHAPED.., Some(child)) => {
                    out.head(kind::DOCUMENT, &key);
                    self.shaped(target, order - ITEM_SHAPED, child, out)?;
                }
                _ => return Err(UNMAPPED_ITEM),
            }
            check_size(out.since(&open))?;
            item_key.advance();
            repeats.end(self.reader)?;
        }
        repeats.finish()?;
        if children.next().is_some() {
            return Err(Misfit("the collection has more documents than the journal describes"));
        }
        out.close(open);
        Ok(())
    }
}

/// Writes adjacent fields of a view, and empties the run.
#[inline(always)]
fn put_run<W: Writer>(views: &Views<'_, '_>, view: usize, run: &mut Range<usize>, out: &mut W) {
    if run.start < run.end
        && let Some(view) = &views.views[view]
    {
        out.put(view.record.run(run.start, run.end));
    }
    *run = 0..0;
}

/// An item whose description has no meaning for the rule that maps it.
const UNMAPPED_ITEM: Misfit =
    Misfit("the journal describes an item in a way that it is not mapped");

/// A record can be repeated any number of times, so a small journal could demand any amount of memory.
fn check_size(bytes: usize) -> Result<(), Misfit> {
    if bytes > MAX_DOCUMENT_BYTES {
        return Err(Misfit("a restored document would be larger than the maximum"));
    }
    Ok(())
}

/// Writes a value converted back to the type with this byte.
fn write_typed<W: Writer>(
    change: &Change,
    value: Value<'_>,
    kind: u64,
    key_nul: &[u8],
    out: &mut W,
) -> Result<(), Misfit> {
    let wrong = Misfit("a value does not convert back to the type that the journal records");
    let Change::Convert { conversion, .. } = change else { return Err(wrong) };
    let kind = u8::try_from(kind).map_err(|_| wrong)?;
    let mut bytes = Vec::new();
    if !conversion.back(value, kind, &mut bytes) {
        return Err(wrong);
    }
    out.element(key_nul, Value { kind, bytes: &bytes });
    Ok(())
}

/// A record that is read again for each of its repetitions.
#[derive(Default)]
struct Repeats<'r> {
    left: u64,
    place: &'r [u8],
    end: &'r [u8],
    is_repeating: bool,
}

impl<'r> Repeats<'r> {
    fn begin(&mut self, reader: &mut Reader<'r>) {
        if self.is_repeating {
            reader.go_to(self.place);
        } else {
            self.place = reader.place();
        }
    }
    fn end(&mut self, reader: &mut Reader<'r>) -> Result<(), Misfit> {
        if !self.is_repeating {
            self.left = reader.number()?;
            self.end = reader.place();
        } else {
            self.left -= 1;
            reader.go_to(self.end);
        }
        self.is_repeating = self.left > 0;
        Ok(())
    }
    fn finish(self) -> Result<(), Misfit> {
        if self.is_repeating {
            return Err(Misfit("the journal describes more items than the collection has"));
        }
        Ok(())
    }
}

/// The fixes of one document. Each is read after the one before has been applied.
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
