//! Law 1 to 4 of the contract under documents and mappings made by chance: what the mapping makes of a document and
//! what the journal keeps of it always give the document again, byte for byte.

mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::laws::{Run, cases, check, sources};
use harness::{Chance, documents, element, framed, mappings, string};
use mongosplit::mapping::{Mapped, Mapper, Plan};
use mongosplit::raw::Elements;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(usual),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn every_document_comes_back_from_the_built_in_mapping(seed in any::<u64>()) {
        let plan = Plan::built_in().expect("it compiles");
        check(&plan, &sources(&mut Chance::new(seed), 12, documents::source));
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn every_document_comes_back_from_any_mapping(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, false);
        if let Some(plan) = Plan::check(&made.text).plan {
            let sources = sources(&mut chance, 8, documents::any);
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&plan, &sources)));
            prop_assert!(outcome.is_ok(), "seed {}, the mapping:\n{}", seed, made.text);
        }
    }

    #[test]
    fn what_reaches_no_collection_is_a_finding(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, false);
        if let Some(plan) = Plan::check(&made.text).plan {
            for id in 0..6 {
                let outcome = catch_unwind(AssertUnwindSafe(|| nothing_is_silent(&plan, &made, &documents::any(&mut chance.clone(), id))));
                prop_assert!(outcome.is_ok(), "seed {}, the mapping:\n{}", seed, made.text);
                chance.next();
            }
        }
    }
}

/// Gives a document some fields whose values are found again wherever they go, and looks for them: each is in a
/// collection, or among the fields that are meant to be left out, or the document has a finding.
fn nothing_is_silent(plan: &Plan, made: &mappings::Made, document: &[u8]) {
    let mut elements: Vec<Vec<u8>> = Vec::new();
    let mut marks = Vec::new();
    for (number, found) in Elements::new(document).enumerate() {
        let name = found.key();
        let is_first = !Elements::new(document).take(number).any(|other| other.key() == name);
        if name == b"_id" || !is_first || number % 2 == 1 {
            elements.push(found.bytes.to_vec());
            continue;
        }
        let mark = format!("mark-{number}-of-this-field");
        elements.push(element(2, name, &string(mark.as_bytes())));
        marks.push((name.to_vec(), mark));
    }
    let source = framed(&elements.concat());
    let mut mapped = Mapped::default();
    Mapper::new(plan)
        .map([source.as_slice()].into_iter(), |_| None, &mut mapped)
        .expect("a sound document");
    if !mapped.refused.is_empty() {
        return;
    }
    for (name, mark) in marks {
        let has = |output: &Vec<u8>| output.windows(mark.len()).any(|part| part == mark.as_bytes());
        let name = String::from_utf8_lossy(&name);
        let is_there = mapped.outputs.iter().any(has);
        let is_dropped = made.drop.iter().any(|path| path.split('.').next() == Some(&*name));
        assert!(
            is_there || is_dropped || !mapped.findings.is_empty(),
            "'{name}' is in no collection, and nothing is said of it"
        );
    }
}

#[test]
fn nearly_all_random_mappings_compile() {
    let refused: Vec<(String, String)> = (0..400)
        .filter_map(|seed| {
            let text = mappings::text(&mut Chance::new(seed));
            let problem = Plan::parse(&text).err()?.to_string();
            Some((problem, text))
        })
        .collect();
    assert!(refused.len() < 120, "{} of 400 mappings are refused: {refused:#?}", refused.len());
}

/// The words that a mapping can have below its targets' and shapes' tables, each of which random mappings use.
#[test]
fn random_mappings_use_the_whole_language() {
    let texts: Vec<String> = (0..400).map(|seed| mappings::text(&mut Chance::new(seed))).collect();
    let text = texts.concat();
    let schema: serde_json::Value =
        serde_json::from_str(&mongosplit::mapping::schema()).expect("JSON");
    for table in ["target", "shape", "field", "alternative", "let", "must", "index", "requirement"]
    {
        let words = &schema["definitions"][table]["properties"];
        for word in words.as_object().expect("words").keys() {
            assert!(
                text.contains(&format!("{word} = ")),
                "no random mapping has `{word}` ({table})"
            );
        }
    }
}

#[test]
fn ordinary_documents_are_seldom_kept_whole() {
    let plan = Plan::built_in().expect("it compiles");
    let sources = sources(&mut Chance::new(1), 400, documents::source);
    let run = check(&plan, &sources);
    let placed = (sources.len() - run.refused.len()) as u64;
    assert!(
        run.whole * 100 <= placed * 5,
        "{} of {placed} documents are whole in the journal",
        run.whole
    );
}

/// The mapping of `src` with this in its targets and behind them, and `k` in `[let]`.
fn mapping(targets: &str) -> Plan {
    let text = format!(
        "format = 2\nname = \"m\"\nversion = \"0\"\nsource = \"src\"\nkey = \"k\"\n[let]\nk = {{ text = \"_id\" }}\n{targets}"
    );
    Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_document_that_no_target_takes_comes_back() {
    let text = r#"
        format = 2
        name = "m"
        version = "0"
        source = "src"
        key = "_id"
        unmatched = "journal"
        [[target]]
        collection = "t"
        where = { any_set = "absent" }
        rest = true
    "#;
    // Nulls cost the journal no more than the document, so nothing but the lack of a target keeps it whole.
    let source = framed(&[element(10, b"a", &[]), element(10, b"b", &[])].concat());
    let all = [source.clone(), source.clone(), source];
    let run = check(&Plan::parse(text).expect("it compiles"), &all);
    assert_eq!((run.counts[0], run.whole, run.refused.len()), (0, 3, 0));
    // A mapping that does not say that this is meant refuses them.
    let text = text.replace("unmatched = \"journal\"", "");
    let run = check(&Plan::parse(&text).expect("it compiles"), &all);
    assert_eq!((run.counts[0], run.whole, run.refused.len()), (0, 0, 3));
}

#[test]
fn an_item_may_use_a_value_of_let() {
    let plan = mapping(
        r#"
        [[target]]
        collection = "t"
        fields = [{ name = "_id" }, { name = "k", value = "k" }, { name = "list", each = "list", shape = "I" }]
        [shape.I]
        fields = [{ name = "of", value = "k" }, { name = "at", template = "{a}/{k}" }]
        "#,
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
fn a_field_that_is_copied_behind_two_values_is_not_passed_on_too() {
    let plan = mapping(
        r#"
        z = { value = "a" }
        a = { copy = "first" }
        [[target]]
        collection = "t"
        rest = true
        fields = [{ name = "_id" }, { name = "k", value = "k" }, { name = "full", value = "z" }]
        "#,
    );
    let source = framed(
        &[element(16, b"_id", &7i32.to_le_bytes()), element(2, b"first", &string(b"x"))].concat(),
    );
    let run: Run = check(&plan, &[source]);
    let find =
        |name: &[u8]| Elements::new(&run.targets[0]).find(name).and_then(|value| value.text());
    assert_eq!(find(b"full"), Some(&b"x"[..]));
    assert_eq!(find(b"first"), None);
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
