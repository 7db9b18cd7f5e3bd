//! The documents that the way back starts from: what the inverse makes of them for each field of a
//! level, without the journal.

use super::evaluate::descend;
use super::fate::{Fate, Role};
use super::plan::{
    Change, Inverse, Keeping, Level, Place, Plan, PoolId, Route, SOURCE, Simple, Table, Taker,
};
use super::shape::{Record, Shapes};
use crate::journal::Misfit;
use crate::raw::{Element, Elements, Fields, Places, Taking, Value, Writer, kind};

/// A value that the inverse produces.
#[derive(Debug, Clone)]
pub(super) enum Guess<'a> {
    Nothing,
    Value(Value<'a>),
    /// A date as text.
    Iso([u8; 34]),
    /// A document without one of its fields: the elements before it and after it.
    Without(&'a [u8], &'a [u8]),
    /// A value of this type that was converted back.
    Converted(u8, Vec<u8>),
}

impl<'a> Guess<'a> {
    pub fn is(&self, value: Value<'_>) -> bool {
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
            Guess::Converted(kind, bytes) => *kind == value.kind && bytes == value.bytes,
        }
    }
    /// The type of the value.
    pub fn kind(&self) -> Option<u8> {
        match self {
            Guess::Nothing => None,
            Guess::Value(value) => Some(value.kind),
            Guess::Iso(_) => Some(kind::STRING),
            Guess::Without(..) => Some(kind::DOCUMENT),
            Guess::Converted(kind, _) => Some(*kind),
        }
    }
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Guess::Value(value) => value.text(),
            Guess::Iso(bytes) => Some(&bytes[4..33]),
            Guess::Converted(kind::STRING, bytes) => bytes.get(4..bytes.len() - 1),
            _ => None,
        }
    }
    /// Writes it as a field. [`Guess::Nothing`] is an error.
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
            Guess::Converted(kind, bytes) => out.element(key_nul, Value { kind: *kind, bytes }),
        }
        Ok(())
    }
}

/// A value converted back. `kept` is the original, if the translation has kept it.
pub(super) fn unchanged<'a>(
    change: &'a Change,
    value: Value<'a>,
    kept: Option<Value<'a>>,
) -> Guess<'a> {
    match change {
        Change::Convert { conversion, .. } => {
            if conversion.is_iso()
                && let Some(iso) = value.date_millis().and_then(super::convert::iso_from_date)
            {
                return Guess::Iso(iso);
            }
            let kind = conversion.likely_source(value);
            let mut bytes = Vec::new();
            match conversion.back(value, kind, &mut bytes) {
                true => Guess::Converted(kind, bytes),
                false => Guess::Value(value),
            }
        }
        Change::Translate(translation) => {
            Guess::Value(kept.or_else(|| translation.original(value)).unwrap_or(value))
        }
        Change::Shape { .. } => Guess::Value(value),
    }
}

/// The original of a translated field that a document keeps in another row's document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'a> {
    pub original: Value<'a>,
    /// The elements of that document before and after the one that keeps it.
    pub before: &'a [u8],
    pub after: &'a [u8],
}

pub(super) fn kept_original<'a>(keeping: &Keeping, record: Record<'a>) -> Option<Kept<'a>> {
    let holder = record.get(keeping.holder).filter(|value| value.kind == kind::DOCUMENT)?.bytes;
    let mut elements = Elements::new(holder);
    loop {
        let at = holder.len() - elements.rest().len();
        let element = elements.next()?;
        if element.key() == &*keeping.name {
            let original = element.value();
            let translated = record.get(keeping.row)?;
            let (to, keep) = keeping.translation.translate(original)?;
            let (before, after) =
                (&holder[4..at], &holder[at + element.bytes.len()..holder.len() - 1]);
            return (keep && to.value() == translated).then_some(Kept { original, before, after });
        }
    }
}

/// The positions of the fields that rows of a table name, in order; all others no row names.
pub(super) fn row_positions(table: &Table, first: &[Option<u32>]) -> Box<[u32]> {
    let mut positions: Vec<u32> = first.iter().take(table.rows.len()).copied().flatten().collect();
    positions.sort_unstable();
    positions.into()
}

/// The fields that a view has taken from a level, to be given back by name.
#[derive(Debug)]
pub(super) enum Pool<'a> {
    OfRecord(Taking<Others<'a>>),
    OfDocument(Taking<Places<'a>>),
}

/// The fields of a record but for those at the positions of rows.
#[derive(Debug)]
pub(super) struct Others<'a> {
    record: Record<'a>,
    rows: &'a [u32],
}

impl<'a> Fields<'a> for Others<'a> {
    fn len(&self) -> usize {
        self.record.len()
    }
    fn name(&self, number: usize) -> &'a [u8] {
        self.record.name(number)
    }
    fn is_left_out(&self, number: usize) -> bool {
        self.rows.binary_search(&(number as u32)).is_ok()
    }
}

impl<'a> Pool<'a> {
    fn of_record(record: Record<'a>, rows: &'a [u32]) -> Self {
        Pool::OfRecord(Taking::new(Others { record, rows }))
    }
    /// The fields of a document that `is_row` does not name.
    fn of_document(document: Value<'a>, is_row: impl Fn(&[u8]) -> bool) -> Self {
        Self::of_elements(document, document.elements().filter(|element| !is_row(element.key())))
    }
    /// Some elements of a document.
    fn of_elements(document: Value<'a>, elements: impl Iterator<Item = Element<'a>>) -> Self {
        Pool::OfDocument(Taking::new(Places::of(document.bytes, elements)))
    }
    fn empty() -> Self {
        Pool::OfDocument(Taking::new(Places::of(&[], std::iter::empty())))
    }
    /// Takes the next field with this name.
    pub fn take(&mut self, name: &[u8]) -> Option<Value<'a>> {
        match self {
            Pool::OfRecord(taking) => {
                let number = taking.take(name)?;
                Some(taking.fields.record.at(number))
            }
            Pool::OfDocument(taking) => {
                let number = taking.take(name)?;
                Some(taking.fields.element(number)?.value())
            }
        }
    }
}

/// A document of a table, with its fields located.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub table: usize,
    pub record: Record<'a>,
    pub pool: Pool<'a>,
    pub kept: Option<Kept<'a>>,
}

impl<'a> View<'a> {
    pub fn new(plan: &Plan, table: usize, record: Record<'a>, rows: &'a [u32]) -> Self {
        let kept = plan.tables[table].keeping.as_ref();
        View {
            table,
            record,
            pool: Pool::of_record(record, rows),
            kept: kept.and_then(|keeping| kept_original(keeping, record)),
        }
    }
    /// The value at a place.
    #[inline(always)]
    pub fn at(&self, place: &Place) -> Option<Value<'a>> {
        let value = self.record.get(place.row)?;
        if place.inner.is_empty() { Some(value) } else { descend(value, &place.inner) }
    }
}

/// The documents that hold what a level's fields have become.
pub(super) struct Views<'v, 'a> {
    pub plan: &'a Plan,
    /// The views that are written.
    pub written: u32,
    pub views: &'v mut [Option<View<'a>>],
    /// The level of the source document or item that the views are of.
    pub top: usize,
    /// Pools in embedded documents of the views.
    pub inner: Vec<Option<Pool<'a>>>,
    /// For each target that unwinds a field, its documents.
    pub unwound: &'v [Vec<&'a [u8]>],
    /// How many fields of the level nothing reads: so many stand at the end of the document that
    /// takes them, if one does ([`Table::rest_into`]).
    pub moved: usize,
}

/// Where the fields of a level come from that no rule reads.
pub(super) enum Passed<'a> {
    /// The pool of a taker.
    Taker(&'a Taker),
    /// What a taker of the level outside has left of this document, or the end of one that takes
    /// the rest.
    Remainder(Pool<'a>),
    Nowhere,
}

/// What the views alone tell of a field.
pub(super) struct Expected<'a> {
    /// What the inverse produces.
    pub guess: Guess<'a>,
    /// The view's value that this comes from.
    pub raw: Option<Value<'a>>,
    pub route: Option<&'a Route>,
}

impl Expected<'_> {
    const NOTHING: Expected<'static> = Expected { guess: Guess::Nothing, raw: None, route: None };
}

/// Where a field is in a view, unchanged.
pub(super) struct SimplePlace<'r, 'a> {
    pub simple: Simple,
    pub record: &'r Record<'a>,
    pub position: usize,
}

impl<'v, 'a> Views<'v, 'a> {
    /// Those of a source document.
    pub fn of_source(
        plan: &'a Plan,
        written: u32,
        views: &'v mut [Option<View<'a>>],
        unwound: &'v [Vec<&'a [u8]>],
    ) -> Self {
        Views { plan, written, views, top: SOURCE, inner: Vec::new(), unwound, moved: 0 }
    }
    /// That of an item, which one table maps.
    pub fn of_item(plan: &'a Plan, level: usize, views: &'v mut [Option<View<'a>>]) -> Self {
        Views { plan, written: 1, views, top: level, inner: Vec::new(), unwound: &[], moved: 0 }
    }

    /// Where the unread fields of a level come from. `outside` is what a taker of the level around it
    /// holds under its name.
    pub fn passed(&mut self, level: usize, outside: Option<Value<'a>>) -> Passed<'a> {
        if level == self.top
            && self.moved > 0
            && let Some((_, document)) = self.takes_rest()
        {
            let end = document.elements().skip(self.kept_before(document));
            return Passed::Remainder(Pool::of_elements(document, end));
        }
        match self.plan.levels[level].taker(self.written) {
            Some((_, taker)) => Passed::Taker(taker),
            None => match outside.filter(|value| value.kind == kind::DOCUMENT) {
                Some(document) => Passed::Remainder(Pool::of_document(document, |_| false)),
                None => Passed::Nowhere,
            },
        }
    }

    /// The row whose document has taken the fields that nothing reads, and that document.
    fn takes_rest(&self) -> Option<(usize, Value<'a>)> {
        let view = self.views.first()?.as_ref().filter(|_| self.moved > 0)?;
        let row = self.plan.tables[view.table].rest_into?;
        let document = view.record.get(row).filter(|value| value.kind == kind::DOCUMENT)?;
        Some((row, document))
    }
    /// How many fields of such a document are its own.
    fn kept_before(&self, document: Value<'_>) -> usize {
        document.elements().count().saturating_sub(self.moved)
    }

    /// Takes a field that no rule reads.
    pub fn take(&mut self, passed: &mut Passed<'a>, name: &[u8]) -> Option<Value<'a>> {
        match passed {
            Passed::Remainder(pool) => pool.take(name),
            Passed::Nowhere => None,
            Passed::Taker(taker) => match taker.pool {
                PoolId::View => self.views[taker.view].as_mut()?.pool.take(name),
                PoolId::Inner(number) => self.inner_pool(number).take(name),
            },
        }
    }

    fn inner_pool(&mut self, number: usize) -> &mut Pool<'a> {
        let plan = self.plan;
        let place = &plan.levels[self.top].pools[number];
        if self.inner.len() <= number {
            self.inner.resize_with(number + 1, || None);
        }
        let views = &self.views;
        self.inner[number].get_or_insert_with(|| {
            let document = views[place.view].as_ref().and_then(|view| view.at(&place.place));
            match document.filter(|value| value.kind == kind::DOCUMENT) {
                Some(document) => {
                    Pool::of_document(document, |name| place.rows.number(name).is_some())
                }
                None => Pool::empty(),
            }
        })
    }

    /// Whether the level's document is a copy without what is private.
    pub fn is_copied(passed: &Passed<'_>) -> bool {
        matches!(passed, Passed::Taker(taker) if taker.all_but_private)
    }

    /// Where [`Views::expect`] finds most fields: the place of the first route, of which the value is unchanged. None
    /// wherever there is more to it, as there is in a level that is copied. It saves time and does not change the
    /// result.
    #[inline(always)]
    pub fn simple(&self, level: &Level, role: Role) -> Option<SimplePlace<'_, 'a>> {
        let Role::Named(name) = role else { return None };
        let node = &level.nodes[name];
        let simple = node.simple.filter(|_| node.is_read(self.written) && self.moved == 0)?;
        let view = self.views[simple.view].as_ref()?;
        if simple.is_holder && view.kept.is_some() {
            return None;
        }
        let position = view.record.first[simple.row]? as usize;
        Some(SimplePlace { simple, record: &view.record, position })
    }

    /// What is known of a field of this fate without the journal.
    #[inline(always)]
    pub fn expect(
        &mut self,
        level: &'a Level,
        passed: &mut Passed<'a>,
        (role, fate): (Role, Fate),
        name: &[u8],
    ) -> Expected<'a> {
        match fate {
            Fate::Excluded(name) => self.known(level, name),
            Fate::Passed | Fate::Entered(_) => {
                let value = match (role, self.moved, self.views.first_mut()) {
                    // It has not moved with the others.
                    (Role::Stays, 1.., Some(Some(view))) => view.pool.take(name),
                    _ => self.take(passed, name),
                };
                let value = value.or_else(|| self.whole(level, fate));
                if let (None, Role::Named(name)) = (value, role) {
                    return self.known(level, name);
                }
                let guess = value.map_or(Guess::Nothing, Guess::Value);
                Expected { guess, raw: value, route: None }
            }
            Fate::Read(name) => self.read(level, name),
        }
    }

    /// Whether a row of a written view holds this value of a field, unchanged.
    pub fn holds(&self, level: &Level, name: usize, value: Value<'_>) -> bool {
        level.nodes[name].routes.iter().any(|route| {
            let view = self.views.get(route.view).and_then(Option::as_ref);
            let place = route.place.as_ref().filter(|_| matches!(route.inverse, Inverse::Same));
            view.zip(place).is_some_and(|(view, place)| view.at(place) == Some(value))
        })
    }

    /// What a row holds of a field that it would take the unread fields of, if that was no document.
    fn whole(&self, level: &Level, fate: Fate) -> Option<Value<'a>> {
        let Fate::Entered(name) = fate else { return None };
        let inside = level.nodes[name].inside?;
        let (_, taker) = self.plan.levels[inside].taker(self.written)?;
        let PoolId::Inner(pool) = taker.pool else { return None };
        let place = &self.plan.levels[self.top].pools[pool].place;
        self.views[taker.view].as_ref()?.at(place).filter(|value| value.kind != kind::DOCUMENT)
    }

    /// The value that a `where` demands of a field that is in no collection.
    fn known(&self, level: &'a Level, name: usize) -> Expected<'a> {
        let mut known = level.nodes[name].known.iter();
        match known.find(|(view, _)| self.written & 1 << view != 0) {
            Some((_, constant)) => {
                Expected { guess: Guess::Value(constant.value()), raw: None, route: None }
            }
            None => Expected::NOTHING,
        }
    }

    #[inline(always)]
    fn read(&self, level: &'a Level, name: usize) -> Expected<'a> {
        let mut routes = level.nodes[name].routes.iter();
        let Some(route) = routes.find(|route| self.written & 1 << route.view != 0) else {
            return self.known(level, name);
        };
        let Some(place) = &route.place else {
            return Expected { guess: Guess::Nothing, raw: None, route: Some(route) };
        };
        let Some(view) = &self.views[route.view] else { return Expected::NOTHING };
        let raw = view.at(place);
        let guess = match (raw, &route.inverse) {
            (None, _) | (_, Inverse::Unwound(_)) => Guess::Nothing,
            // Mapped items and documents are often as they were.
            (Some(value), Inverse::Same | Inverse::Each(_) | Inverse::Shape(_)) => {
                Guess::Value(value)
            }
            (Some(value), Inverse::Change(change)) => {
                let kept = view.kept.filter(|_| {
                    let keeping = self.plan.tables[view.table].keeping.as_ref();
                    keeping.is_some_and(|keeping| keeping.row == place.row)
                });
                unchanged(change, value, kept.map(|kept| kept.original))
            }
        };
        if self.moved > 0
            && let Some((row, document)) = self.takes_rest()
            && row == place.row
            && place.inner.is_empty()
        {
            let own = document.elements().take(self.kept_before(document));
            let length = own.map(|element| element.bytes.len()).sum::<usize>();
            let guess = Guess::Without(&document.bytes[4..4 + length], &[]);
            return Expected { guess, raw, route: Some(route) };
        }
        if let Some(kept) = view.kept
            && place.inner.is_empty()
            && raw.is_some_and(|value| value.kind == kind::DOCUMENT)
            && self.plan.tables[view.table]
                .keeping
                .as_ref()
                .is_some_and(|keeping| keeping.holder == place.row)
        {
            let guess = Guess::Without(kept.before, kept.after);
            return Expected { guess, raw, route: Some(route) };
        }
        Expected { guess, raw, route: Some(route) }
    }
}

/// What is kept of the sequences of names of a table's documents: the positions of fields that rows name.
pub(super) type TableShapes = Shapes<Box<[u32]>>;

/// Locates the fields of a table's document.
pub(super) fn locate<'s>(
    plan: &Plan,
    table: usize,
    document: &[u8],
    shapes: &'s mut TableShapes,
    starts: &mut Vec<u32>,
) -> &'s super::shape::Shape<Box<[u32]>> {
    let table = &plan.tables[table];
    shapes.index(document, starts, &table.names, |_, first| row_positions(table, first))
}
