//! The laws of the way back, in process: what a mapping makes of documents, and whether they come back.

use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};
use mongosplit::raw::Validator;

use super::{Chance, documents, split};

/// What a run has made of some documents.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    pub targets: Vec<Vec<u8>>,
    pub counts: Vec<u64>,
    pub journal: Vec<u8>,
    pub rejected: Vec<u8>,
    pub refused: Vec<usize>,
    /// The number of documents that the journal keeps whole.
    pub whole: u64,
    /// What is said of each batch: findings and refusals.
    pub said: Vec<String>,
}

impl Run {
    /// Maps documents, so many a batch, each batch by a new mapper if that is asked for.
    pub fn of(plan: &Plan, sources: &[Vec<u8>], batch: usize, fresh_mappers: bool) -> Run {
        let mut run = Run {
            targets: vec![Vec::new(); plan.target_count()],
            counts: vec![0; plan.target_count()],
            ..Run::default()
        };
        let mut writer = JournalWriter::default();
        writer
            .write_header(
                "db.src",
                plan.id(),
                plan.text(),
                Some(b"{\"indexes\":[]}"),
                &mut run.journal,
            )
            .expect("it is read back");
        let mut mapper = Mapper::new(plan);
        let mut mapped = Mapped::default();
        for (number, group) in sources.chunks(batch).enumerate() {
            if fresh_mappers {
                mapper = Mapper::new(plan);
            }
            mapper
                .map(group.iter().map(Vec::as_slice), |_| None, &mut mapped)
                .expect("sound documents");
            for (target, output) in mapped.outputs.iter().enumerate() {
                run.targets[target].extend_from_slice(output);
                run.counts[target] += mapped.counts[target];
            }
            run.whole += mapped.whole;
            run.rejected.extend_from_slice(&mapped.rejected);
            run.refused.extend(mapped.refused.iter().map(|refused| number * batch + refused.index));
            run.said.push(said(plan, &mapped));
            writer
                .write_batch(group.len(), &mapped.counts, &mapped.notes, &mut run.journal)
                .expect("it is read back");
        }
        run
    }

    /// The source, from the targets' documents and the journal.
    pub fn reverse(&self, plan: &Plan) -> Result<Vec<u8>, String> {
        let (mut journal, header) = JournalReader::open(self.journal.as_slice(), "journal".into())
            .map_err(|error| error.to_string())?;
        assert_eq!(header.namespace, "db.src");
        assert_eq!(header.mapping, *plan.id());
        assert_eq!(header.metadata.as_deref(), Some(&b"{\"indexes\":[]}"[..]));
        let mut restorer = Restorer::new(plan);
        let mut targets: Vec<_> =
            self.targets.iter().map(|bytes| split(bytes).into_iter()).collect();
        let mut batch = JournalBatch::default();
        let mut out = Vec::new();
        while journal.next(&mut batch).map_err(|error| error.to_string())? {
            let mut reader = batch.reader();
            for _ in 0..batch.documents {
                restorer
                    .restore(&mut reader, |target| targets[target].next(), &mut out)
                    .map_err(|misfit| misfit.to_string())?;
            }
            assert!(reader.is_at_end(), "the journal describes more documents than a batch has");
        }
        assert!(
            targets.iter_mut().all(|documents| documents.next().is_none()),
            "documents that the journal does not describe"
        );
        Ok(out)
    }
}

/// All that is said of a batch: the rules that were broken with the `_id`s, and refusals.
pub fn said(plan: &Plan, mapped: &Mapped) -> String {
    let mut text = String::new();
    for (rule, found) in mapped.findings.iter(plan) {
        let demand = mapped.findings.text(rule);
        text += &format!("{}: {demand} {} {:?}\n", rule.name, found.documents, found.first_ids);
    }
    for refused in &mapped.refused {
        text += &format!("refused: {} {:?}\n", refused.reason, refused.reason);
    }
    text
}

/// Maps documents forward and backward and checks the laws.
pub fn check(plan: &Plan, sources: &[Vec<u8>]) -> Run {
    let run = Run::of(plan, sources, 5, false);
    let restored = run.reverse(plan).unwrap_or_else(|error| panic!("{error}"));
    assert!(restored == sources.concat(), "the reversal is not the source");

    // Conservation: a document is in every unconditional target and in one of each family, or it is refused.
    let placed = (sources.len() - run.refused.len()) as u64;
    for target in 0..plan.target_count() {
        assert_eq!(split(&run.targets[target]).len() as u64, run.counts[target]);
        match plan.is_unconditional(target) {
            true => assert_eq!(run.counts[target], placed),
            false => assert!(run.counts[target] <= placed || plan.is_unwound(target)),
        }
        let mut validator = Validator::default();
        for document in split(&run.targets[target]) {
            validator.check(document).expect("a target's document is sound");
        }
    }
    for family in plan.families() {
        let is_single = family.iter().all(|target| !plan.is_unwound(*target));
        let taken: u64 = family.iter().map(|target| run.counts[*target]).sum();
        assert!(!is_single || taken >= placed, "a document is in no target of a family");
    }
    let refused: Vec<u8> = run.refused.iter().flat_map(|number| sources[*number].clone()).collect();
    assert_eq!(run.rejected, refused);

    // Determinism: what a mapper has seen before, and where batches end, changes nothing in the collections; in the
    // journal only where batches end does.
    let again = Run::of(plan, sources, 5, true);
    assert!(again == run, "what a mapper has seen before changes what it writes");
    let one = Run::of(plan, sources, 1, false);
    assert!(
        one.targets == run.targets && one.counts == run.counts && one.refused == run.refused,
        "batches change the collections"
    );
    assert!(one.reverse(plan).expect("one document a batch") == sources.concat());

    // What the journal says of a document is not larger than the document.
    let mut mapped = Mapped::default();
    for source in sources {
        Mapper::new(plan)
            .map([source.as_slice()].into_iter(), |_| None, &mut mapped)
            .expect("a sound document");
        if mapped.whole == 0 && mapped.refused.is_empty() {
            let orders: usize = mapped.notes.orders().iter().map(|order| order.len()).sum();
            let notes = mapped.notes.program().len() + mapped.notes.values().len() + orders;
            assert!(notes <= source.len(), "{notes} bytes of notes on {}", source.len());
        }
    }
    run
}

/// Documents of one kind, of which some have the field order of the one before, and more.
pub fn sources(
    chance: &mut Chance,
    many: usize,
    one: fn(&mut Chance, u32) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut sources: Vec<Vec<u8>> = Vec::new();
    for number in 0..many {
        let seed = chance.next();
        sources.push(one(&mut Chance::new(seed), number as u32));
        if chance.one_in(4) {
            sources.push(one(&mut Chance::new(seed), 1_000_000 + number as u32));
        }
    }
    sources
}

/// How many cases a property is tried with: so many, or `CASES`.
pub fn cases(usual: u32) -> u32 {
    std::env::var("CASES").map_or(usual, |text| text.parse().expect("a number"))
}
