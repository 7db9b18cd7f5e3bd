//! Forward: maps a source document to the documents of the targets. Bytes in, bytes out.

use super::evaluate::{Caches, Evaluator, Position, Scope, follow};
use super::fate::{Meaning, Placement, meaning, placement};
use super::language::Order;
use super::plan::{Filter, Let, Plan, SOURCE, Unwind};
use super::shape::{Record, Shape, Shapes, shed_starts};
use crate::raw::{Writer, kind};

/// Room for the ends of so many unwound documents is kept.
const MAX_KEPT_ENDS: usize = 16 * 1024;

/// What a source document has become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    /// The targets whose rules apply to it.
    pub written: u32,
    /// Those that have a document of it.
    pub taken: u32,
    /// The bytes of all its unwound documents.
    pub unwound_bytes: usize,
}

/// Maps documents. Its caches save time and do not change the result.
#[derive(Debug)]
pub(super) struct Forward {
    sources: Shapes<Meaning>,
    starts: Vec<u32>,
    caches: Caches,
    /// For each target in the source's order, where its rows stand.
    placements: Vec<Shapes<Placement>>,
    /// For each name that the source's level knows, whether a document had it.
    seen: Vec<bool>,
    /// For each target, where its documents of the current source document end in its output.
    ends: Vec<Vec<usize>>,
}

impl Forward {
    pub fn new(plan: &Plan) -> Self {
        Forward {
            sources: Shapes::default(),
            starts: Vec::new(),
            caches: Caches::new(plan),
            placements: plan.targets.iter().map(|_| Shapes::default()).collect(),
            seen: vec![false; plan.levels[SOURCE].names.len()],
            ends: plan.targets.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// Frees what a document with very many fields has needed. The document that was mapped last is forgotten.
    pub fn shed(&mut self) {
        self.sources.shed();
        self.caches.shed();
        self.placements.iter_mut().for_each(Shapes::shed);
        shed_starts(&mut self.starts);
        for ends in &mut self.ends {
            ends.clear();
            ends.shrink_to(MAX_KEPT_ENDS);
        }
    }
    /// The shape of the document that was mapped last.
    pub fn shape(&self) -> &Shape<Meaning> {
        self.sources.last()
    }
    /// That document, which the caller still has.
    pub fn record<'d>(&'d self, document: &'d [u8]) -> Record<'d> {
        Record::new(document, &self.starts, self.shape())
    }
    /// For each name that the source's level knows, whether a document mapped so far had it.
    pub fn seen(&self) -> &[bool] {
        &self.seen
    }
    /// Rules that it breaks, but for the checks of its targets' documents; perhaps more than once
    /// each.
    pub fn broken(&self) -> &[usize] {
        &self.caches.broken
    }
    /// Where its documents in a target end in the output.
    pub fn ends(&self, target: usize) -> &[usize] {
        &self.ends[target]
    }

    /// Appends the targets' documents to `outputs`.
    pub fn map(&mut self, plan: &Plan, document: &[u8], outputs: &mut [Vec<u8>]) -> Targets {
        let Forward { sources, starts, caches, placements, seen, ends } = self;
        let shape = sources.index(document, starts, &plan.levels[SOURCE].names, |keys, first| {
            // Each sequence of names is met here before it is kept.
            for (seen, first) in seen.iter_mut().zip(first) {
                *seen |= first.is_some();
            }
            meaning(plan, SOURCE, keys, first)
        });
        let record = Record::new(document, starts, shape);
        caches.broken.clear();
        let mut targets =
            Targets { written: written(plan, record, caches), taken: 0, unwound_bytes: 0 };
        let scope = &Scope {
            level: SOURCE,
            record,
            roles: &shape.meaning.roles,
            written: targets.written,
            source: record,
            position: Position::None,
        };
        // No value of another document is left for one that has none.
        caches.lets.iter_mut().flatten().for_each(Vec::clear);
        let mut evaluator = Evaluator { plan, caches };
        for (number, one) in plan.lets.iter().enumerate() {
            evaluator.define(number, one, scope);
        }
        for (number, target) in plan.targets.iter().enumerate() {
            ends[number].clear();
            if targets.written & 1 << number == 0 {
                continue;
            }
            let out = &mut outputs[number];
            let from = out.len();
            match &target.unwind {
                Some(unwind) => {
                    evaluator.unwind(number, unwind, scope, &mut ends[number], out);
                    targets.unwound_bytes += out.len() - from;
                }
                None => {
                    let table = &plan.tables[number];
                    let placed = (table.order == Order::Source).then(|| {
                        let names = &plan.levels[SOURCE].names;
                        let placed = &mut placements[number];
                        &placed
                            .of_keys(&shape.keys, names, |_, first| {
                                placement(table, first, scope.roles.len())
                            })
                            .meaning
                    });
                    let open = out.open();
                    evaluator.table(table, scope, placed, out);
                    out.close(open);
                    ends[number].push(out.len());
                }
            }
            if !ends[number].is_empty() {
                targets.taken |= 1 << number;
            }
        }
        targets
    }
}

/// The targets whose rules apply to a document.
fn written(plan: &Plan, record: Record<'_>, caches: &mut Caches) -> u32 {
    let mut written = 0u32;
    for (number, target) in plan.targets.iter().enumerate() {
        let applies = match &target.filter {
            Filter::All => true,
            Filter::Where(query) => {
                let mut met_array = false;
                let holds = query.holds(record, &mut met_array);
                if met_array {
                    caches.broken.push(target.array_rule);
                }
                holds
            }
            Filter::Otherwise(others) => others.iter().all(|other| written & 1 << other == 0),
        };
        written |= u32::from(applies) << number;
    }
    written
}

impl Evaluator<'_> {
    /// Computes a value of `[let]`.
    fn define(&mut self, number: usize, one: &Let, scope: &Scope<'_>) {
        let mut element = self.caches.lets[number].take().unwrap_or_default();
        element.clear();
        self.chain(&one.chain, &[0], scope, &mut element);
        // An element that was not written leaves its memory behind for the next document.
        self.caches.lets[number] = Some(element);
    }

    /// Writes a document for each item of an array, or entry of a document.
    fn unwind(
        &mut self,
        number: usize,
        unwind: &Unwind,
        scope: &Scope<'_>,
        ends: &mut Vec<usize>,
        out: &mut Vec<u8>,
    ) {
        let plan = self.plan;
        let table = &plan.tables[number];
        let wanted = if unwind.is_map { kind::DOCUMENT } else { kind::ARRAY };
        let all = match follow(scope.record, &unwind.path) {
            Some(value) if value.kind == wanted => value,
            Some(value) => {
                if !value.is_null() {
                    self.caches.broken.push(unwind.left_rule);
                }
                return;
            }
            None => return,
        };
        let mut shapes = self.caches.levels[unwind.level].take();
        let mut starts = Vec::new();
        for (place, element) in all.elements().enumerate() {
            let value = element.value();
            if value.kind != kind::DOCUMENT {
                self.caches.broken.push(unwind.left_rule);
                continue;
            }
            let level = unwind.level;
            let names = &plan.levels[level].names;
            let shape = shapes.index(value.bytes, &mut starts, names, |keys, first| {
                meaning(plan, level, keys, first)
            });
            let Meaning { roles, placement } = &shape.meaning;
            self.caches.broken.extend_from_slice(&placement.findings);
            let item = &Scope {
                level,
                record: Record::new(value.bytes, &starts, shape),
                roles,
                written: 1,
                source: scope.source,
                position: if unwind.is_map {
                    Position::Entry(element.key())
                } else {
                    Position::Item(place as i32)
                },
            };
            let open = out.open();
            self.table(table, item, plan.levels[level].in_order.map(|_| placement), out);
            out.close(open);
            ends.push(out.len());
        }
        self.caches.levels[unwind.level].keep(shapes);
    }
}
