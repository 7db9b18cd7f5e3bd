//! What the journal keeps of each document, read from the notes. The source documents are at hand, so
//! nothing is restored.

use super::backward::{ITEM_GUESS, ITEM_LEFT, ITEM_LITERAL, ITEM_SAME, ITEM_SHAPED, ITEM_TYPED};
use super::plan::{Plan, SOURCE};
use crate::journal::{FixKind, Misfit, Reader};
use crate::raw::{Elements, Value, kind};

/// Something that the journal keeps of a document.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Kept<'a> {
    /// The field's path; `[]` is any item of an array, `{}` any entry of a map. Empty for the whole
    /// document.
    pub path: &'a str,
    /// What is kept of it.
    pub what: KeptWhat,
    /// Bytes of the journal.
    pub bytes: usize,
    /// The field's value in the source.
    pub value: Value<'a>,
}

/// What the journal keeps of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeptWhat {
    /// The whole document, as no server takes what becomes of it, or no target takes it.
    SetAside,
    /// The whole document, as describing it would take more.
    Document,
    /// Its value.
    Value,
    /// An item or entry that was not unwound.
    NotUnwound,
    /// A part of its text.
    PartOfText,
    /// That it is null.
    Null,
    /// Its type before it was converted.
    Type,
    /// That it is what the target has.
    Unchanged,
    /// The order of its fields.
    Order,
}

impl KeptWhat {
    /// In words, with the reason.
    pub fn text(self) -> &'static str {
        match self {
            KeptWhat::SetAside => "the whole document: it is in no collection",
            KeptWhat::Document => "the whole document: a description would be larger, or not exact",
            KeptWhat::Value => "its value, which the collections do not have",
            KeptWhat::NotUnwound => "its value, as it was not unwound",
            KeptWhat::PartOfText => "part of its text; the collections have the rest",
            KeptWhat::Null => "that it is null, which the collections do not say",
            KeptWhat::Type => "its type before it was converted",
            KeptWhat::Unchanged => "that it is the same in the collections",
            KeptWhat::Order => "the order of the fields",
        }
    }
}

impl Plan {
    /// Reads the notes on the next document, and calls `each` for everything that they keep of it.
    pub fn kept(
        &self,
        reader: &mut Reader<'_>,
        document: &[u8],
        each: &mut dyn FnMut(Kept<'_>),
    ) -> Result<(), Misfit> {
        let mut reading = Reading { plan: self, reader, written: 0, path: String::new(), each };
        reading.document(document)
    }
}

struct Reading<'k, 'r> {
    plan: &'k Plan,
    reader: &'k mut Reader<'r>,
    written: u32,
    path: String,
    each: &'k mut dyn FnMut(Kept<'_>),
}

impl Reading<'_, '_> {
    fn document(&mut self, document: &[u8]) -> Result<(), Misfit> {
        let before = self.left();
        let head = self.reader.number()?;
        let whole = Value { kind: kind::DOCUMENT, bytes: document };
        self.written = (head >> 1) as u32;
        for target in 0..self.plan.target_count() {
            if self.written & 1 << target != 0 && self.plan.is_unwound(target) {
                self.reader.number()?;
            }
        }
        if head == 0 || head & 1 == 1 {
            let bytes = self.reader.document()?.len();
            let what = if head == 0 { KeptWhat::SetAside } else { KeptWhat::Document };
            self.keep(what, before, bytes, whole);
            return Ok(());
        }
        self.level(whole, true)
    }

    /// The bytes of the program that are left.
    fn left(&self) -> usize {
        self.reader.place().len()
    }

    fn keep(&mut self, what: KeptWhat, before: usize, bytes: usize, value: Value<'_>) {
        let bytes = bytes + before - self.left();
        (self.each)(Kept { path: &self.path, what, bytes, value });
    }

    /// Reads the number of a document's field order, and its fixes.
    fn level(&mut self, document: Value<'_>, is_top: bool) -> Result<(), Misfit> {
        let before = self.left();
        self.reader.number()?;
        self.fields(document, before, is_top)
    }

    /// Reads the fixes of a document, whose field order was read from `before` on.
    fn fields(&mut self, document: Value<'_>, before: usize, is_top: bool) -> Result<(), Misfit> {
        self.keep(KeptWhat::Order, before, 0, document);
        let mut elements = Elements::new(document.bytes);
        let mut next = 0;
        let mut position = 0;
        loop {
            let before = self.left();
            let Some((gap, fix)) = self.reader.fix()? else { return Ok(()) };
            position += usize::try_from(gap).map_err(|_| PAST)?;
            let skipped = position.checked_sub(next).ok_or(PAST)?;
            let element = elements.nth(skipped).ok_or(PAST)?;
            next = position + 1;
            let outer = self.path.len();
            if !is_top {
                self.path.push('.');
            }
            self.path += &String::from_utf8_lossy(element.key()).escape_debug().to_string();
            self.fix(fix, before, element.value())?;
            self.path.truncate(outer);
        }
    }

    fn fix(&mut self, fix: FixKind, before: usize, value: Value<'_>) -> Result<(), Misfit> {
        let (mut bytes, what) = (
            0,
            match fix {
                FixKind::Raw => KeptWhat::Unchanged,
                FixKind::Null => KeptWhat::Null,
                FixKind::Literal => KeptWhat::Value,
                FixKind::Splice => KeptWhat::PartOfText,
                FixKind::Typed => KeptWhat::Type,
                FixKind::Document => return self.level(value, false),
                FixKind::Items => return self.items(value),
            },
        );
        match fix {
            FixKind::Literal => bytes = self.reader.value()?.bytes.len(),
            FixKind::Splice => {
                self.reader.number()?;
                self.reader.number()?;
                self.reader.bytes()?;
            }
            FixKind::Typed => {
                self.reader.number()?;
            }
            _ => {}
        }
        self.keep(what, before, bytes, value);
        Ok(())
    }

    /// The items of an array that was mapped item by item, or what was unwound.
    fn items(&mut self, value: Value<'_>) -> Result<(), Misfit> {
        let items: Vec<Value<'_>> = value.elements().map(|element| element.value()).collect();
        let mut sign = "[]";
        if let Some(is_map) = self.unwound_here() {
            self.reader.number()?;
            if is_map {
                self.reader.number()?;
                sign = "{}";
            }
        }
        let outer = self.path.len();
        self.path += sign;
        let mut at = 0;
        while at < items.len() {
            self.item(items[at])?;
            let repeats = usize::try_from(self.reader.number()?).map_err(|_| PAST)?;
            at = at.saturating_add(1).saturating_add(repeats);
        }
        self.path.truncate(outer);
        if at == items.len() { Ok(()) } else { Err(PAST) }
    }

    fn item(&mut self, value: Value<'_>) -> Result<(), Misfit> {
        let before = self.left();
        match self.reader.number()? {
            code @ (ITEM_LITERAL | ITEM_LEFT) => {
                let bytes = self.reader.value()?.bytes.len();
                let is_left = code == ITEM_LEFT;
                let what = if is_left { KeptWhat::NotUnwound } else { KeptWhat::Value };
                self.keep(what, before, bytes, value);
            }
            ITEM_SAME | ITEM_GUESS => {}
            // Nothing is converted back to a document, so the number is not that of a type.
            ITEM_SHAPED.. if value.kind == kind::DOCUMENT => self.fields(value, before, false)?,
            ITEM_TYPED.. => self.keep(KeptWhat::Type, before, 0, value),
            _ => return Err(Misfit("the journal describes an item in an unknown way")),
        }
        Ok(())
    }

    /// Whether a written target unwinds the field at the current path, and whether that is a map.
    fn unwound_here(&self) -> Option<bool> {
        let names = &self.plan.levels[SOURCE].names;
        let mut targets = self.plan.targets.iter().enumerate();
        targets.find_map(|(number, target)| {
            let unwind = target.unwind.as_ref()?;
            let head = names.name(unwind.path.head);
            let path = std::iter::once(head).chain(unwind.path.below.iter().map(|name| &**name));
            let path: Vec<String> =
                path.map(|name| String::from_utf8_lossy(name).escape_debug().to_string()).collect();
            (self.written & 1 << number != 0 && path.join(".") == self.path)
                .then_some(unwind.is_map)
        })
    }
}

const PAST: Misfit = Misfit("the journal describes more than the document has");
