//! The built-in mapping's conversions, from a source document to the targets' values.

mod harness;

use harness::{element, framed, string};
use mongosplit::mapping::{Mapped, Mapper, Plan};
use mongosplit::raw::{Elements, Value};

/// The documents of the built-in mapping's targets for a document of these fields.
fn map(fields: &[u8]) -> Vec<Vec<u8>> {
    let plan = Plan::built_in().expect("it compiles");
    let source = framed(fields);
    let mut mapped = Mapped::default();
    Mapper::new(&plan)
        .map([source.as_slice()].into_iter(), |_| None, &mut mapped)
        .expect("it is sound");
    assert_eq!((mapped.refused.len(), mapped.whole), (0, 0));
    mapped.outputs.clone()
}

fn id() -> Vec<u8> {
    element(16, b"_id", &7i32.to_le_bytes())
}

/// The step that an item with these fields becomes.
fn step(item: &[u8]) -> Vec<u8> {
    let history = framed(&element(3, b"0", &framed(item)));
    let outputs = map(&[id(), element(4, b"transformation_history", &history)].concat());
    let steps = Elements::new(&outputs[1]).find(b"transformation_steps").expect("it is there");
    steps.elements().next().expect("one step").value().bytes.to_vec()
}

fn get<'d>(document: &'d [u8], name: &str) -> Option<Value<'d>> {
    Elements::new(document).find(name.as_bytes())
}

fn text<'d>(document: &'d [u8], name: &str) -> Option<&'d str> {
    get(document, name)
        .and_then(|value| value.text())
        .map(|text| std::str::from_utf8(text).expect("UTF-8"))
}

#[test]
fn iso_text_becomes_a_date_and_other_text_stays() {
    let applied_at = |content: &str| {
        let step = step(&element(2, b"applied_at", &string(content.as_bytes())));
        get(&step, "applied_at").expect("it is there").date_millis()
    };
    for (content, millis) in [
        ("2025-10-13", 1_760_313_600_000),
        ("2025-10-13T10:15", 1_760_350_500_000),
        ("2025-10-13 10:15:23", 1_760_350_523_000),
        ("2025-10-13T10:15:23.1", 1_760_350_523_100),
        ("2025-10-13T10:15:23.123999999Z", 1_760_350_523_123),
        ("2025-10-13T10:15:23+02:00", 1_760_343_323_000),
        ("2025-10-13T10:15-0030", 1_760_352_300_000),
        ("1969-12-31T23:59:59.999", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("2024-02-29", 1_709_164_800_000),
    ] {
        assert_eq!(applied_at(content), Some(millis), "{content}");
    }
    for content in [
        "",
        "2025",
        "2025-02-29",
        "2025-10-13T",
        "2025-10-13T24:00",
        "2025-10-13T10:15:60",
        "2025-10-13T10:15.5",
        "2025-10-13Z",
        " 2025-10-13",
        "0000-01-01",
    ] {
        assert_eq!(applied_at(content), None, "{content}");
    }
    // A field that is renamed is converted too.
    assert_eq!(
        get(&step(&element(2, b"timestamp", &string(b"2025-10-13"))), "applied_at")
            .and_then(|value| value.date_millis()),
        Some(1_760_313_600_000)
    );
}

#[test]
fn legacy_types_are_translated() {
    let table = [
        ("drop_duplicates", "remove_duplicates", false),
        ("impute", "impute_mean impute_median impute_mode impute_forward impute_backward", true),
        (
            "derive",
            "trim_whitespace fix_casing remove_special_chars standardize_format to_numeric to_string \
             to_datetime to_boolean extract_date_parts calculate_age create_cyclical formula \
             conditional regex_replace",
            true,
        ),
    ];
    let kind = |kind: &str| element(2, b"type", &string(kind.as_bytes()));
    for (to, from, keeps) in table {
        for legacy in from.split(' ') {
            let kept = keeps.then_some(legacy);
            for parameters in [
                Vec::new(),
                element(10, b"parameters", &[]),
                element(3, b"parameters", &framed(&element(16, b"n", &[1, 0, 0, 0]))),
            ] {
                let step = step(&[kind(legacy), parameters].concat());
                assert_eq!(text(&step, "transformation_type"), Some(to));
                assert_eq!(
                    text(get(&step, "parameters").expect("it is there").bytes, "legacy_type"),
                    kept,
                    "{legacy}"
                );
            }
        }
    }
    // The new name is not translated, nor is the old one beside it; an unknown type is copied.
    let own = step(&element(2, b"transformation_type", &string(b"formula")));
    assert_eq!(
        (text(&own, "transformation_type"), get(&own, "parameters").map(|value| value.bytes.len())),
        (Some("formula"), Some(5))
    );
    let both =
        step(&[kind("formula"), element(2, b"transformation_type", &string(b"encode"))].concat());
    assert_eq!(
        (text(&both, "type"), text(&both, "transformation_type")),
        (Some("formula"), Some("encode"))
    );
    assert_eq!(text(&step(&kind("pivot")), "transformation_type"), Some("pivot"));
    assert_eq!(text(&step(&[]), "transformation_type"), Some("unknown"));
    // What is in the way of the original stays, and the original goes to the journal only.
    let taken = step(
        &[kind("formula"), element(3, b"parameters", &framed(&element(10, b"legacy_type", &[])))]
            .concat(),
    );
    assert!(
        get(get(&taken, "parameters").expect("it is there").bytes, "legacy_type")
            .expect("it is there")
            .is_null()
    );
    let odd = step(&[kind("formula"), element(2, b"parameters", &string(b"odd"))].concat());
    assert_eq!(
        (text(&odd, "transformation_type"), text(&odd, "parameters")),
        (Some("derive"), Some("odd"))
    );
}

#[test]
fn a_key_is_text_of_any_id() {
    let id_text = |kind: u8, value: &[u8]| {
        text(&map(&element(kind, b"_id", value))[0], "dataset_id").map(str::to_owned)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(id_text(7, &[0xab; 12]), some(&"ab".repeat(12)));
    assert_eq!(id_text(2, &string("ü".as_bytes())), some("ü"));
    assert_eq!(id_text(16, &(-7i32).to_le_bytes()), some("-7"));
    assert_eq!(id_text(18, &i64::MIN.to_le_bytes()), some("-9223372036854775808"));
    assert_eq!(id_text(1, &9_007_199_254_740_992f64.to_le_bytes()), some("9007199254740992"));
    assert_eq!(
        id_text(1, &9_007_199_254_740_994f64.to_le_bytes()),
        some("bson:01:0100000000004043")
    );
    assert_eq!(id_text(1, &0.5f64.to_le_bytes()), some("bson:01:000000000000e03f"));
    let uuid = |subtype: u8| [&[16, 0, 0, 0, subtype][..], &(0..16).collect::<Vec<u8>>()].concat();
    assert_eq!(id_text(5, &uuid(4)), some("00010203-0405-0607-0809-0a0b0c0d0e0f"));
    assert_eq!(id_text(5, &uuid(3)), some("00010203-0405-0607-0809-0a0b0c0d0e0f"));
    assert_eq!(id_text(5, &uuid(0)), some("bson:05:1000000000000102030405060708090a0b0c0d0e0f"));
    assert_eq!(id_text(10, &[]), some("bson:0a:"));
    let long = framed(&element(2, b"a", &string(&[b'x'; 300])));
    let hash = mongosplit::hash::sha256(&long);
    assert_eq!(id_text(3, &long), some(&format!("bson:03:sha256:{hash}")));
}

#[test]
fn a_document_that_has_a_dataset_id_keeps_it() {
    let ids = |own: &[u8]| {
        let outputs = map(&[element(7, b"_id", &[0xab; 12]), own.to_vec()].concat());
        let config = text(&outputs[1], "config_id").map(str::to_owned);
        (
            text(&outputs[0], "dataset_id").map(str::to_owned),
            text(&outputs[1], "dataset_id").map(str::to_owned),
            config,
        )
    };
    let all = |id: &str| (Some(id.to_owned()), Some(id.to_owned()), Some(format!("{id}_config")));
    assert_eq!(
        ids(&element(2, b"dataset_id", &string(b"dataset_0123456789abcdef"))),
        all("dataset_0123456789abcdef")
    );
    assert_eq!(ids(&element(2, b"dataset_id", &string(b""))), all(""));
    // Of another type it is no id, and reaches only the journal.
    assert_eq!(ids(&element(16, b"dataset_id", &7i32.to_le_bytes())), all(&"ab".repeat(12)));
    assert_eq!(ids(&element(10, b"dataset_id", &[])), all(&"ab".repeat(12)));
}
