//! Law 1 to 4 of the contract under documents and mappings made by chance: what the mapping makes of a document and
//! what the journal keeps of it always give the document again, byte for byte.

mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::{Chance, documents, element, framed, mappings, split, string};
use mongosplit::journal::{JournalBatch, JournalReader, JournalWriter};
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};
use mongosplit::raw::{Elements, Validator};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What a run has made of some documents, in process.
#[derive(Debug, Default, PartialEq)]
struct Run {
    targets: Vec<Vec<u8>>,
    counts: Vec<u64>,
    journal: Vec<u8>,
    rejected: Vec<u8>,
    refused: Vec<usize>,
    whole: u64,
}

fn transform(plan: &Plan, sources: &[Vec<u8>], batch: usize, fresh_mappers: bool) -> Run {
    let mut run = Run {
        targets: vec![Vec::new(); plan.target_count()],
        counts: vec![0; plan.target_count()],
        ..Run::default()
    };
    let mut writer = JournalWriter::default();
    writer
        .write_header("db.src", plan.id(), Some(b"{\"indexes\":[]}"), &mut run.journal)
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
        writer
            .write_batch(group.len(), &mapped.counts, &mapped.notes, &mut run.journal)
            .expect("it is read back");
    }
    run
}

fn reverse(plan: &Plan, run: &Run) -> Result<Vec<u8>, String> {
    let (mut journal, header) = JournalReader::open(run.journal.as_slice(), "journal".into())
        .map_err(|error| error.to_string())?;
    assert_eq!(header.namespace, "db.src");
    assert_eq!(header.mapping, *plan.id());
    assert_eq!(header.metadata.as_deref(), Some(&b"{\"indexes\":[]}"[..]));
    let mut restorer = Restorer::new(plan);
    let mut targets: Vec<_> = run.targets.iter().map(|bytes| split(bytes).into_iter()).collect();
    let mut batch = JournalBatch::default();
    let mut out = Vec::new();
    while journal.next(&mut batch).map_err(|error| error.to_string())? {
        let mut reader = batch.reader();
        for _ in 0..batch.documents {
            restorer
                .restore(&mut reader, |target| targets[target].next(), &mut out)
                .map_err(|misfit| misfit.to_string())?;
        }
        assert!(reader.is_at_end(), "the journal describes more documents of a batch than it has");
    }
    assert!(
        targets.iter_mut().all(|documents| documents.next().is_none()),
        "documents that the journal does not describe"
    );
    Ok(out)
}

/// Runs it forward and backward and checks the laws; `whole` is how many documents the journal kept whole.
fn check(plan: &Plan, sources: &[Vec<u8>]) -> Run {
    let run = transform(plan, sources, 5, false);
    let restored = reverse(plan, &run).unwrap_or_else(|error| panic!("{error}"));
    assert!(restored == sources.concat(), "the reversal is not the source");

    // Conservation: a document is in every unconditional target, or refused.
    for target in 0..plan.target_count() {
        assert_eq!(split(&run.targets[target]).len() as u64, run.counts[target]);
        let placed = sources.len() - run.refused.len();
        match plan.is_unconditional(target) {
            true => assert_eq!(run.counts[target], placed as u64),
            false => assert!(run.counts[target] <= placed as u64),
        }
        let mut validator = Validator::default();
        for document in split(&run.targets[target]) {
            validator.check(document).expect("a target's document is sound");
        }
    }
    let refused: Vec<u8> = run.refused.iter().flat_map(|number| sources[*number].clone()).collect();
    assert_eq!(run.rejected, refused);

    // Determinism: what a mapper has seen before, and where batches end, changes nothing in the collections; in the
    // journal only where batches end does.
    let again = transform(plan, sources, 5, true);
    assert!(again == run, "what a mapper has seen before changes what it writes");
    let one = transform(plan, sources, 1, false);
    assert!(
        one.targets == run.targets && one.counts == run.counts && one.refused == run.refused,
        "batches change the collections"
    );
    assert!(reverse(plan, &one).expect("one document a batch") == sources.concat());
    run
}

fn sources(chance: &mut Chance, many: usize) -> Vec<Vec<u8>> {
    let mut sources: Vec<Vec<u8>> = Vec::new();
    for number in 0..many {
        // Some documents share their field order with the one before, and more.
        let seed = chance.next();
        sources.push(documents::source(&mut Chance::new(seed), number as u32));
        if chance.one_in(4) {
            sources.push(documents::source(&mut Chance::new(seed), 1_000_000 + number as u32));
        }
    }
    sources
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn every_document_comes_back_from_the_built_in_mapping(seed in any::<u64>()) {
        let plan = Plan::built_in().expect("it compiles");
        check(&plan, &sources(&mut Chance::new(seed), 12));
    }

    #[test]
    fn every_document_comes_back_from_any_mapping(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let text = mappings::text(&mut chance);
        if let Ok(plan) = Plan::parse(&text) {
            let sources = sources(&mut chance, 8);
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&plan, &sources)));
            prop_assert!(outcome.is_ok(), "the mapping:\n{}", text);
        }
    }
}

#[test]
fn most_random_mappings_compile() {
    let problems: Vec<String> = (0..200)
        .filter_map(|seed| Plan::parse(&mappings::text(&mut Chance::new(seed))).err())
        .map(|error| error.to_string())
        .collect();
    assert!(
        problems.len() < 100,
        "{} of 200 mappings are refused, the first: {:?}",
        problems.len(),
        &problems[..3]
    );
}

#[test]
fn ordinary_documents_are_seldom_kept_whole() {
    let plan = Plan::built_in().expect("it compiles");
    let sources = sources(&mut Chance::new(1), 400);
    let run = check(&plan, &sources);
    let placed = (sources.len() - run.refused.len()) as u64;
    assert!(
        run.whole * 100 <= placed * 5,
        "{} of {placed} documents are whole in the journal",
        run.whole
    );
}

fn mapping(rows: &str, more: &str) -> Plan {
    let text = format!(
        "format = 1\nname = \"m\"\nversion = \"0\"\ncollection = \"src\"\nkey = \"k\"\n[define]\nk = {{ text = \"_id\" }}\n\
         [[target]]\ncollection = \"t\"\n{rows}\n{more}"
    );
    Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_document_that_no_target_takes_comes_back() {
    let plan = mapping(
        "when_any = [\"absent\"]\nfield = [{ name = \"_id\", copy = \"_id\" }, { name = \"k\", value = \"k\" }]",
        "",
    );
    // Nulls cost the journal no more than the document, so nothing but the lack of a target keeps it whole.
    let source = framed(&[element(10, b"a", &[]), element(10, b"b", &[])].concat());
    let run = check(&plan, &[source.clone(), source.clone(), source]);
    assert_eq!((run.counts[0], run.whole), (0, 3));
}

#[test]
fn an_item_may_use_a_defined_value() {
    let plan = mapping(
        "field = [{ name = \"_id\", copy = \"_id\" }, { name = \"k\", value = \"k\" }, { name = \"list\", each = \"list\", item = \"I\" }]",
        "[item.I]\nfield = [{ name = \"of\", or = [{ value = \"k\" }] }, { name = \"at\", or = [{ template = \"{a}/{k}\" }] }]",
    );
    let item = framed(&element(2, b"a", &string(b"x")));
    let list = framed(&element(3, b"0", &item));
    let source =
        framed(&[element(16, b"_id", &7i32.to_le_bytes()), element(4, b"list", &list)].concat());
    let run = check(&plan, &[source]);
    let items = Elements::new(&run.targets[0]).find(b"list").expect("it is there");
    let item = items.elements().next().expect("one item").value();
    let text = |name: &[u8]| item.elements().find(name).and_then(|value| value.text());
    assert_eq!((text(b"of"), text(b"at")), (Some(&b"7"[..]), Some(&b"x/7"[..])));
}

#[test]
fn a_field_behind_a_value_behind_a_value_is_read() {
    let plan = mapping(
        "rest = true\nfield = [{ name = \"_id\", copy = \"_id\" }, { name = \"k\", value = \"k\" }, { name = \"full\", value = \"z\" }]",
        "[define.a]\ncopy = \"first\"\n[define.z]\ntemplate = \"{a}!\"",
    );
    let source = framed(
        &[element(16, b"_id", &7i32.to_le_bytes()), element(2, b"first", &string(b"x"))].concat(),
    );
    let run = check(&plan, &[source]);
    assert_eq!(
        Elements::new(&run.targets[0]).find(b"full").and_then(|value| value.text()),
        Some(&b"x!"[..])
    );
    assert!(
        Elements::new(&run.targets[0]).find(b"first").is_none(),
        "a field that a rule reads is not passed through too"
    );
}

#[test]
fn what_is_set_aside_makes_no_findings() {
    let plan = Plan::built_in().expect("it compiles");
    // No `_id`, so no collection gets it, and none of its fields is one that the application would not accept there.
    let source = framed(&element(2, b"user_id", &string(b"\xff")));
    let mut mapped = Mapped::default();
    Mapper::new(&plan)
        .map([source.as_slice()].into_iter(), |_| None, &mut mapped)
        .expect("it is sound");
    assert_eq!(mapped.refused.len(), 1);
    assert!(mapped.findings.is_empty(), "{:?}", mapped.findings);
}
