use super::*;
use bson::{Bson, Document, doc};
use proptest::prelude::*;

fn survey(documents: impl IntoIterator<Item = Document>) -> Survey {
    let mut survey = Survey::default();
    for document in documents {
        survey.observe(&document.to_vec().expect("a document"));
    }
    survey
}

fn names(survey: &Survey) -> Vec<String> {
    survey.fields().map(|field| String::from_utf8_lossy(&field.name).into_owned()).collect()
}

#[test]
fn a_new_field_goes_behind_the_one_before_it() {
    let seen = survey([doc! { "_id": 1, "a": 1, "c": 1 }, doc! { "_id": 2, "a": 1, "b": 1 }]);
    assert_eq!(names(&seen), ["_id", "a", "b", "c"]);
    assert_eq!(names(&survey([doc! { "a": 1 }])), ["a"]);
}

#[test]
fn the_number_of_places_is_bounded() {
    let wide = |number: u32| -> Document {
        (0..1000).map(|field| (format!("f{number}_{field}"), Bson::from(1))).collect()
    };
    let mut seen = survey((0..6).map(wide));
    assert_eq!((seen.places(), seen.with_further_fields.documents), (MOST_PLACES, 2));
    // What was turned away stays so, though there is room again.
    seen.room.places += 10;
    seen.observe(&doc! { "late": 1 }.to_vec().expect("a document"));
    assert_eq!((seen.places(), seen.with_further_fields.documents), (MOST_PLACES, 3));
    // And the key is followed.
    seen.observe(&doc! { "_id": 1 }.to_vec().expect("a document"));
    assert_eq!(names(&seen)[0], "_id");

    let deep = |number: u32| {
        let inner: Document =
            (0..30).map(|field| (format!("x{field}"), Bson::from(doc! { "y": [[1]] }))).collect();
        doc! { format!("f{number}"): [inner] }
    };
    let seen = survey((0..200).map(deep));
    assert!(seen.places() <= MOST_PLACES, "{}", seen.places());
    assert!(seen.with_further_fields.documents > 0);
}

#[test]
fn maps_are_given_up_and_make_room() {
    let map = |number: u32| doc! { "map": { format!("user{number}"): { "a": { "b": 1 } } } };
    let seen = survey((0..40).map(map));
    assert_eq!(seen.places(), 2);
    let by_key = survey([doc! { "map": { "2024": 1 } }, doc! { "map": { "a": 1 } }]);
    assert!(by_key.fields().all(|field| field.values.fields().is_none()));
    // Few, but all of them different.
    let few = survey((0..5).map(map));
    assert!(few.fields().all(|field| field.values.fields().is_none()));
}

#[test]
fn long_names_are_counted_only() {
    let seen = survey([doc! { "_id": 1, "x".repeat(257): 1, "y".repeat(300): 1 }]);
    assert_eq!((names(&seen).len(), seen.with_long_names.documents), (1, 1));
    assert_eq!(names(&survey([doc! { "x".repeat(256): 1 }])).len(), 1);
}

#[test]
fn nothing_is_followed_below_the_last_level() {
    let seen = survey([doc! { "a": { "b": { "c": { "d": { "e": { "f": 1 } } } } } }]);
    assert_eq!(seen.places(), 1 + LEVELS as usize);
    let seen = survey([doc! { "a": [[[[[1]]]]] }]);
    assert_eq!(seen.places(), 1 + LEVELS as usize);
}

/// Documents with few names, so that they share some.
fn documents() -> impl Strategy<Value = Vec<Document>> {
    let scalar = prop_oneof![
        Just(Bson::from(1)),
        Just(Bson::from("text")),
        Just(Bson::Null),
        "[a-z0-9]{1,2}".prop_map(|name| Bson::from(doc! { name: 1 })),
    ];
    let value =
        prop_oneof![scalar.clone(), proptest::collection::vec(scalar, 0..4).prop_map(Bson::from),];
    let document = proptest::collection::btree_map("[a-e]", value, 0..6);
    let document = (0..50_i32, document).prop_map(|(id, fields)| {
        let mut document = doc! { "_id": id };
        document.extend(fields);
        document
    });
    proptest::collection::vec(document, 1..120)
}

/// All that a survey says, in an order of its own.
fn all_of(survey: &Survey) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for field in survey.fields() {
        all.push(format!(
            "{:?} {} {} {:?} {:?}",
            String::from_utf8_lossy(&field.name),
            field.seen.documents,
            field.repeated.documents,
            field.lacking,
            values_of(&field.values)
        ));
    }
    all.sort();
    all.push(format!("{} {:?}", survey.documents(), survey.first));
    all
}

fn values_of(values: &Values) -> Vec<String> {
    let mut all: Vec<String> = values.types().iter().map(|seen| format!("{seen:?}")).collect();
    for field in values.fields().into_iter().flat_map(Fields::in_order) {
        let seen = field.seen.documents;
        all.push(format!("{:?} {seen} {:?}", field.name, values_of(&field.values)));
    }
    all.extend(values.items().map(|items| format!("{:?}", values_of(items))));
    all.sort();
    all
}

proptest! {
    #[test]
    fn parts_that_are_merged_say_what_the_whole_says(
        documents in documents(),
        cuts in proptest::collection::vec(1..20_usize, 1..12),
    ) {
        let whole = survey(documents.iter().cloned());
        let mut merged = Survey::default();
        let mut rest = documents.as_slice();
        for cut in cuts.iter().cycle() {
            let (part, behind) = rest.split_at((*cut).min(rest.len()));
            let part = survey(part.iter().cloned());
            prop_assert!(merged.can_merge(&part));
            merged.merge(part);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(all_of(&merged), all_of(&whole));
        prop_assert_eq!(merged.places(), whole.places());
    }
}

#[test]
fn names_that_no_path_can_say() {
    for name in ["", ".", "a.b", "12", "a[]", "a{}b"] {
        assert!(unsayable(name.as_bytes()).is_some(), "{name:?}");
    }
    assert!(unsayable(b"\xff").is_some());
    for name in ["a", "-1", "1a", "a[0]", "{a}", "$a", "é", " "] {
        assert_eq!(unsayable(name.as_bytes()), None, "{name:?}");
    }
}
