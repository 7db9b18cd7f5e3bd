//! What becomes of the fields of a level: which of them rules read, and where the others go.

use super::plan::{Alternative, Level, Node, Plan, PoolId, Row, Table, Taker, TakerId};
use super::shape::{count_keys, split_keys};

/// What the field at one position of a document is to the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The first field with this name in the level's table.
    Named(usize),
    /// A later field with the same name.
    Again(usize),
    /// A name that the mapping does not know.
    Other,
    /// A field that stays as it is although the mapping knows its name.
    Stays,
}

/// The most names of a level that a mapping may know, so that a role is two bytes.
pub(super) const MOST_NAMES: usize = 32_000;

/// The roles of a document's fields, two bytes each: a document may have millions.
#[derive(Debug)]
pub(super) struct Roles(Box<[u16]>);

impl Roles {
    /// So many roles: room that grows would take twice as much for a while.
    fn new(count: usize, roles: impl Iterator<Item = Role>) -> Self {
        let mut all = Vec::with_capacity(count);
        all.extend(roles.map(Self::packed));
        Roles(all.into())
    }
    fn packed(role: Role) -> u16 {
        match role {
            Role::Other => 0,
            Role::Stays => 1,
            Role::Named(name) => 2 + 2 * name as u16,
            Role::Again(name) => 3 + 2 * name as u16,
        }
    }
    fn unpacked(role: u16) -> Role {
        match role {
            0 => Role::Other,
            1 => Role::Stays,
            named if named.is_multiple_of(2) => Role::Named((named / 2 - 1) as usize),
            again => Role::Again((again / 2 - 1) as usize),
        }
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn at(&self, position: usize) -> Role {
        Self::unpacked(self.0[position])
    }
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().map(|role| Self::unpacked(*role))
    }
    pub fn has_other(&self) -> bool {
        self.0.contains(&Self::packed(Role::Other))
    }
}

/// What happens to a field, given the views that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Rules read it.
    Read(usize),
    /// Rules read something inside it.
    Entered(usize),
    /// It is passed to the level's taker, if it has one.
    Passed,
    /// It is kept out of the collections.
    Excluded(usize),
}

impl Node {
    /// Whether rules of the written views read the whole field.
    pub fn is_read(&self, written: u32) -> bool {
        self.read_by & written != 0
    }
}

impl Level {
    /// The taker of the fields that nothing reads, with its number.
    pub fn taker(&self, written: u32) -> Option<(usize, &Taker)> {
        self.takers.iter().enumerate().find(|(_, taker)| written & 1 << taker.view != 0)
    }

    /// The fate of a field with this role. `copied` says that a row copies the level's document
    /// but for what is private.
    pub fn fate(&self, role: Role, written: u32, copied: bool) -> Fate {
        let (name, is_first) = match role {
            Role::Other | Role::Stays => return Fate::Passed,
            Role::Named(name) => (name, true),
            Role::Again(name) => (name, false),
        };
        let node = &self.nodes[name];
        if copied && node.private.is_none() {
            // Only what is private is cut from a copy, at any depth.
            return match (node.hides, is_first) {
                (false, _) => Fate::Passed,
                (true, true) => Fate::Entered(name),
                (true, false) => Fate::Excluded(name),
            };
        }
        if node.is_read(written) {
            return if is_first { Fate::Read(name) } else { Fate::Excluded(name) };
        }
        if node.private.is_some() || node.dropped {
            return Fate::Excluded(name);
        }
        if node.entered_by & written != 0 {
            return if is_first { Fate::Entered(name) } else { Fate::Excluded(name) };
        }
        if self.is_reserved(node, written) {
            return Fate::Excluded(name);
        }
        match (node.hides, is_first) {
            (false, _) => Fate::Passed,
            (true, true) => Fate::Entered(name),
            (true, false) => Fate::Excluded(name),
        }
    }

    /// Whether the document that takes the level's unread fields has a row of this field's name.
    pub fn is_reserved(&self, node: &Node, written: u32) -> bool {
        let takes = |(_, taker): (usize, &Taker)| {
            taker.pool == PoolId::View && node.reserved & 1 << taker.view != 0
        };
        node.reserved != 0 && self.taker(written).is_some_and(takes)
    }
}

impl Plan {
    /// Whether a row is the one that takes the fields of its level that nothing reads.
    pub(super) fn takes(&self, id: TakerId, written: u32) -> bool {
        self.levels[id.level].taker(written).is_some_and(|(number, _)| number == id.number)
    }
}

/// What a sequence of names means.
#[derive(Debug)]
pub(super) struct Meaning {
    pub roles: Roles,
    /// For a level that one table reads in the source's order.
    pub placement: Placement,
}

/// Where the rows of a table in the source's order stand.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// Packed; see [`Placement::at`].
    actions: Box<[u32]>,
    /// The rows and alternatives of the changes, to which actions refer by number.
    changes: Vec<(usize, usize)>,
    /// Rows without a place, which come behind.
    pub behind: Box<[usize]>,
    /// The document is copied as it stands.
    pub is_copy: bool,
    /// Rules that every document with these names breaks.
    pub findings: Box<[usize]>,
}

impl Placement {
    fn new(positions: usize) -> Self {
        // 1 is `Action::Fate`.
        Placement { actions: vec![1; positions].into(), ..Placement::default() }
    }
    pub fn len(&self) -> usize {
        self.actions.len()
    }
    pub fn at(&self, position: usize) -> Action {
        self.unpacked(self.actions[position])
    }
    pub fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        self.actions.iter().map(|action| self.unpacked(*action))
    }
    fn unpacked(&self, action: u32) -> Action {
        let number = (action >> 3) as usize;
        match action & 7 {
            0 => Action::Copy,
            1 => Action::Fate,
            2 => Action::Rename(number),
            3 => Action::Row(number),
            _ => {
                let (row, alternative) = self.changes[number];
                Action::Change { row, alternative }
            }
        }
    }
    fn put(&mut self, position: usize, action: Action) {
        self.actions[position] = match action {
            Action::Copy => 0,
            Action::Fate => 1,
            Action::Rename(row) => (row as u32) << 3 | 2,
            Action::Row(row) => (row as u32) << 3 | 3,
            Action::Change { row, alternative } => {
                self.changes.push((row, alternative));
                (self.changes.len() as u32 - 1) << 3 | 4
            }
        };
    }
}

/// What happens at one position of a table in the source's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The element is copied as it stands.
    Copy,
    /// The value is copied under the row's name.
    Rename(usize),
    /// The value is changed as this alternative of the row says.
    Change { row: usize, alternative: usize },
    /// The row is written.
    Row(usize),
    /// The field's fate decides.
    Fate,
}

/// The meaning of a sequence of names for a level.
pub(super) fn meaning(plan: &Plan, level: usize, keys: &[u8], first: &[Option<u32>]) -> Meaning {
    let level = &plan.levels[level];
    let role = |(position, key): (usize, &[u8])| match level.names.number(key) {
        None => Role::Other,
        Some(name) if first[name] == Some(position as u32) => Role::Named(name),
        Some(name) => Role::Again(name),
    };
    let mut roles = Roles::new(count_keys(keys), split_keys(keys).enumerate().map(role));
    let Some(table) = level.in_order else {
        return Meaning { roles, placement: Placement::default() };
    };
    let table = &plan.tables[table];
    let mut findings = stay(level, table, &mut roles, first);
    let mut placement = placement(table, first, roles.len());
    if let Some(row) = table.rest_into {
        let own = table.rows[row].own.and_then(|own| first[own]);
        match own {
            Some(at) => placement.put(at as usize, Action::Row(row)),
            None => {
                let behind = placement.behind.iter().chain([&row]).copied();
                let mut behind: Vec<usize> = behind.collect();
                behind.sort_unstable();
                placement.behind = behind.into();
            }
        }
    }
    for (position, role) in roles.iter().enumerate() {
        // Only one view reads the level, and it is always written.
        let passes =
            placement.at(position) == Action::Fate && level.fate(role, 1, false) == Fate::Passed;
        let stays = table.rest_into.is_none() || role == Role::Stays;
        if passes && table.rest.is_some() && stays {
            placement.put(position, Action::Copy);
        }
    }
    // The row that takes the rest is written as it stands where there is none.
    let is_idle = |row: &usize| table.rest_into == Some(*row);
    let copies = |action: Action| match action {
        Action::Copy => true,
        Action::Row(row) => is_idle(&row),
        Action::Rename(_) | Action::Change { .. } | Action::Fate => false,
    };
    placement.is_copy = table.rest.is_some()
        && placement.behind.iter().all(is_idle)
        && placement.actions().all(copies);
    findings.sort_unstable();
    findings.dedup();
    placement.findings = findings.into();
    Meaning { roles, placement }
}

/// Gives the fields that stay under their own name although rows read them the role of those:
/// alternatives that are not used, and later duplicates. Returns the rules that say so.
fn stay(level: &Level, table: &Table, roles: &mut Roles, first: &[Option<u32>]) -> Vec<usize> {
    let (mut is_twice, mut is_not_renamed) = (false, false);
    for packed in &mut roles.0 {
        match Roles::unpacked(*packed) {
            Role::Again(name) => {
                let node = &level.nodes[name];
                is_twice |= node.is_read(1);
                if node.private.is_none() && !node.hides && !node.dropped {
                    *packed = Roles::packed(Role::Stays);
                }
            }
            Role::Named(name) if is_unused(level, table, name, first) => {
                is_not_renamed = true;
                *packed = Roles::packed(Role::Stays);
            }
            _ => {}
        }
    }
    let twice = is_twice.then_some(table.duplicate_rule);
    twice.into_iter().chain(is_not_renamed.then_some(table.not_renamed_rule)).collect()
}

/// Whether a field is only an alternative of rows that take another.
fn is_unused(level: &Level, table: &Table, name: usize, first: &[Option<u32>]) -> bool {
    let node = &level.nodes[name];
    let uses = |row: &Row| {
        used_alternative(row, first).is_some_and(|alternative| alternative.name == name)
    };
    // A field with a row's own name cannot stay beside what the row writes.
    name >= table.rows.len() && node.only_alternative && !table.rows.iter().any(uses)
}

/// The field of the level that a row copies whole: the first of its alternatives that is there.
fn used_alternative<'r>(row: &'r Row, first: &[Option<u32>]) -> Option<&'r Alternative> {
    row.alternatives.iter().find(|alternative| first[alternative.name].is_some())
}

/// Where the rows of a table stand, for documents with these names: each in the place of the field
/// that it copies whole, or else of the field with its name.
pub(super) fn placement(table: &Table, first: &[Option<u32>], positions: usize) -> Placement {
    let mut placement = Placement::new(positions);
    let mut behind = Vec::new();
    let holder = table.keeping.as_ref().map(|keeping| keeping.holder);
    for (number, row) in table.rows.iter().enumerate() {
        let used = used_alternative(row, first);
        let alternative = row.alternatives.iter().position(|one| first[one.name].is_some());
        let own = || row.own.filter(|own| first[*own].is_some());
        let place = used.map(|used| used.name).or_else(own);
        let place = place.and_then(|name| first[name]).map(|at| at as usize);
        let is_direct = used.is_some_and(|used| used.is_direct) && holder != Some(number);
        let is_plain = is_direct && used.is_some_and(|used| used.change.is_none());
        match place.filter(|at| placement.at(*at) == Action::Fate) {
            Some(at) if is_plain && used.map(|used| used.name) == row.own => {
                placement.put(at, Action::Copy);
            }
            Some(at) if is_plain => placement.put(at, Action::Rename(number)),
            Some(at) if is_direct => {
                let alternative = alternative.unwrap_or_default();
                placement.put(at, Action::Change { row: number, alternative });
            }
            Some(at) => placement.put(at, Action::Row(number)),
            None if row.adds || used.is_some() || holder == Some(number) => behind.push(number),
            None => {}
        }
    }
    placement.behind = behind.into();
    placement
}
