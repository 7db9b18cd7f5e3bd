//! The validator and the cursor against documents of every type, sound and spoiled, with the `bson` crate as the oracle.

mod harness;

use bson::raw::{RawBsonRef, RawDocument};
use harness::{Chance, documents, element, framed, string};
use mongosplit::raw::{Elements, Fault, FaultKind, Validator};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What the `bson` crate says of a document: sound, faulty, or not for it to say.
#[derive(Debug, PartialEq)]
enum Verdict {
    Sound,
    Faulty,
    Unknown,
}

/// The `bson` crate's verdict on every element at every depth. Unknown where it stops at a name or
/// string that is not UTF-8, which we pass on.
fn verdict(bytes: &[u8]) -> Verdict {
    let mut todo = vec![bytes.to_vec()];
    while let Some(bytes) = todo.pop() {
        let Ok(document) = RawDocument::from_bytes(&bytes) else { return Verdict::Faulty };
        for element in document.iter_elements() {
            let element = match element {
                Ok(element) => element,
                Err(error) => return refused(&error),
            };
            match element.value() {
                Ok(RawBsonRef::Document(inner)) => todo.push(inner.as_bytes().to_vec()),
                Ok(RawBsonRef::Array(inner)) => todo.push(inner.as_bytes().to_vec()),
                Ok(RawBsonRef::JavaScriptCodeWithScope(code)) => {
                    todo.push(code.scope.as_bytes().to_vec())
                }
                Ok(_) => {}
                Err(error) => return refused(&error),
            }
        }
    }
    Verdict::Sound
}

fn refused(error: &bson::error::Error) -> Verdict {
    match error.kind {
        bson::error::ErrorKind::Utf8Encoding { .. } => Verdict::Unknown,
        _ => Verdict::Faulty,
    }
}

/// Fails unless the cursor's elements lie one behind the other from the length to the final NUL, at every depth.
fn assert_tiled(document: &[u8]) {
    let mut todo = vec![document];
    while let Some(document) = todo.pop() {
        let mut at = 4;
        for element in Elements::new(document) {
            assert_eq!(element.bytes.as_ptr(), document[at..].as_ptr());
            assert_eq!(
                element.bytes.len(),
                1 + element.key_nul().len() + element.value().bytes.len()
            );
            assert_eq!(element.key_nul(), [element.key(), &[0]].concat());
            at += element.bytes.len();
            let value = element.value();
            match value.kind {
                3 | 4 => todo.push(value.bytes),
                15 => {
                    let code = u32::from_le_bytes(value.bytes[4..8].try_into().unwrap()) as usize;
                    todo.push(&value.bytes[8 + code..]);
                }
                _ => {}
            }
        }
        assert_eq!(at, document.len() - 1, "elements and the final NUL are the document");
    }
}

fn check(document: &[u8]) -> Result<mongosplit::raw::Facts, Fault> {
    Validator::default().check(document)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn sound_documents_of_every_type_are_accepted(seed in any::<u64>()) {
        let document = documents::source(&mut Chance::new(seed), 1);
        let facts = check(&document);
        prop_assert!(facts.is_ok(), "{facts:?}");
        assert_tiled(&document);
        if facts.is_ok_and(|facts| facts.invalid_utf8.is_none()) {
            prop_assert_ne!(verdict(&document), Verdict::Faulty);
        }
    }

    #[test]
    fn spoiled_documents_are_judged_as_the_bson_crate_does(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let document = documents::document(&mut chance, 4, 12);
        for _ in 0..20 {
            let spoiled = documents::spoiled(&mut chance, &document);
            let ours = check(&spoiled);
            if ours.is_ok() {
                assert_tiled(&spoiled);
            } else if let Err(fault) = &ours {
                prop_assert!(fault.offset <= spoiled.len());
                // The cursor ends early on it, and does not panic.
                Elements::new(&spoiled).for_each(drop);
            }
            match (verdict(&spoiled), &ours) {
                (Verdict::Sound, Err(fault)) => prop_assert!(false, "refused: {fault:?} {}", hex(&spoiled)),
                (Verdict::Faulty, Ok(_)) => prop_assert!(false, "accepted: {}", hex(&spoiled)),
                _ => {}
            }
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = check(&bytes);
        Elements::new(&bytes).for_each(drop);
        if bytes.len() >= 5 {
            let length = bytes.len() as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            *bytes.last_mut().unwrap() = 0;
            if check(&bytes).is_ok() {
                assert_tiled(&bytes);
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    mongosplit::raw::hex(bytes)
}

#[test]
fn two_million_levels_take_no_stack() {
    const LEVELS: usize = 2_000_000;
    // Each level is a document with one field that holds the next; 7 bytes of head and 1 of tail a level.
    let mut bytes = Vec::with_capacity(LEVELS * 8);
    for level in 0..LEVELS {
        let length = (LEVELS - level) * 8 - 3;
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
        if level + 1 < LEVELS {
            bytes.extend_from_slice(b"\x03a\0");
        }
    }
    bytes.resize(LEVELS * 8 - 3, 0);
    let judged = std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || (check(&bytes), mongosplit::raw::depth(&bytes), bytes))
        .unwrap();
    let (facts, depth, bytes) = judged.join().unwrap();
    assert_eq!(facts.expect("it is sound").depth, LEVELS as u32);
    assert_eq!(depth, LEVELS as u32);
    let inner = Elements::new(&bytes).next().expect("one element");
    assert_eq!(inner.bytes.len(), bytes.len() - 5);
}

#[test]
fn what_is_not_utf8_is_reported_where_it_begins() {
    let bad = |bytes: Vec<u8>| check(&framed(&bytes)).expect("it is sound").invalid_utf8;
    assert_eq!(bad(element(2, b"a", &string(b"\xff"))), Some(4 + 3 + 4));
    assert_eq!(bad(element(10, b"\xff", &[])), Some(5));
    assert_eq!(bad(element(11, b"r", b"\xff\0i\0")), Some(7));
    assert_eq!(bad(element(2, b"a", &string("ü".as_bytes()))), None);
    assert_eq!(bad(element(5, b"a", &[1, 0, 0, 0, 0, 0xff])), None);
}

#[test]
fn a_fault_tells_its_place_and_kind() {
    let is = |bytes: &[u8], offset: usize, kind: FaultKind, path: Option<&str>| {
        let path = path.map(str::to_owned);
        assert_eq!(check(bytes), Err(Fault { offset, kind, path }));
    };
    is(b"", 0, FaultKind::Truncated { have: 0, need: 5 }, None);
    is(b"\x05\0\0\0\x01", 4, FaultKind::NoTerminator(1), None);
    is(&framed(&element(0x20, b"a", &[])), 7, FaultKind::UnknownType(0x20), Some("a"));
    is(&framed(&element(8, b"a", &[2])), 7, FaultKind::Boolean(2), Some("a"));
    is(&framed(b"\x0aabc"), 5, FaultKind::UnterminatedName, None);
    is(&framed(&[0, 0]), 4, FaultKind::EarlyEnd(2), None);
}

#[test]
fn a_fault_names_the_path_of_the_damaged_value() {
    let path = |bytes: &[u8]| check(&framed(bytes)).expect_err("it is faulty").path;
    let is = |bytes: &[u8], expected: &str| assert_eq!(path(bytes).as_deref(), Some(expected));
    let bad = element(8, b"bad", &[2]);
    let null = element(10, b"null", &[]);
    let of = |kind: u8, name: &[u8], inside: &[u8]| element(kind, name, &framed(inside));
    is(&[null.clone(), bad.clone()].concat(), "bad");
    is(
        &of(3, b"a", &[null.clone(), of(3, b"b", &[null.clone(), bad.clone()].concat())].concat()),
        "a.b.bad",
    );
    // Items of arrays by their position, whatever they are called.
    let items = [element(10, b"7", &[]), of(3, b"7", &null), of(3, b"9", &bad)].concat();
    is(&of(4, b"history", &items), "history[2].bad");
    is(&of(4, b"a", &of(4, b"0", &element(8, b"0", &[3]))), "a[0][0]");
    // A field after an array that is sound.
    is(&[of(4, b"a", &null), bad.clone()].concat(), "bad");
    let scope = [&[0; 4][..], &string(b"f()"), &framed(&bad)].concat();
    let length = (scope.len() as u32).to_le_bytes();
    is(&element(15, b"code", &[&length[..], &scope[4..]].concat()), "code.bad");
    // What is wrong with a document's own length, name or end is wrong with that document.
    is(&of(3, b"a", b"\x0aabc"), "a");
    is(&of(3, b"a", &[0, 0]), "a");
    is(&element(3, b"a", &[4, 0, 0, 0]), "a");
    is(&element(3, b"a", &[6, 0, 0, 0, 0, 1]), "a");
    assert_eq!(path(&[0, 0]), None);
    // Names are escaped and shortened, and so is the path.
    is(&of(3, b"\xff'\n", &bad), r"\u{fffd}\'\n.bad".replace(r"\u{fffd}", "\u{fffd}").as_str());
    is(&of(3, &[b'n'; 1000], &bad), &format!("{}....bad", "n".repeat(40)));
    let mut deep = bad;
    for _ in 0..100_000 {
        deep = of(3, b"a", &deep);
        if deep.len() > 2000 {
            break;
        }
    }
    let path = path(&deep).expect("a path");
    assert!(path.starts_with("a.a.a.") && path.ends_with(".a … bad"), "{path}");
    assert!(path.len() < 250, "{path}");
}

#[test]
fn old_binary_without_room_for_its_inner_length_is_refused() {
    for room in 0..4 {
        let value = [&[room as u8, 0, 0, 0, 2][..], &vec![0; room]].concat();
        let document = framed(&element(5, b"a", &value));
        assert_eq!(
            check(&document),
            Err(Fault {
                offset: 7,
                kind: FaultKind::InnerLength("binary of subtype 2"),
                path: Some("a".to_owned())
            }),
            "{room}"
        );
        assert_eq!(verdict(&document), Verdict::Faulty);
    }
    assert!(check(&framed(&element(5, b"a", &[4, 0, 0, 0, 2, 0, 0, 0, 0]))).is_ok());
}

/// Errors name the `_id` of a document that may be faulty because of it.
#[test]
fn an_id_that_is_faulty_itself_is_displayed() {
    for kind in 0..=255 {
        for length in 0..30 {
            let elements = [element(kind, b"_id", &vec![0; length]), vec![0xff; 3]].concat();
            let _ = mongosplit::raw::display_id(&framed(&elements));
        }
    }
    assert_eq!(
        mongosplit::raw::display_id(&framed(&element(2, b"_id", &[0; 4]))).as_deref(),
        Some("''")
    );
}
