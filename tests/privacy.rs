//! What a private target reads reaches nothing else: no other target's documents, no finding, no refusal, whether the
//! private target is written for a document or not.

mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::laws::{Run, cases, check, said, sources};
use harness::{Chance, documents, element, framed, mappings, split, string};
use mongosplit::mapping::{Mapped, Mapper, Plan};
use mongosplit::raw::{Elements, kind};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What every private value holds, and no other.
const MARK: &[u8] = b"p_r_i_v_a_t_e";

/// A value of this type or another that holds the mark; an array and a document with marked names and items.
fn marked(chance: &mut Chance, like: u8) -> (u8, Vec<u8>) {
    let text = string(&[MARK, format!("-{}", chance.below(1000)).as_bytes()].concat());
    let inner = framed(&[element(2, b"a", &text), element(2, MARK, &text)].concat());
    match (like, chance.below(6)) {
        (_, 0) | (kind::STRING, 1..) => (kind::STRING, text),
        (_, 1) => {
            let binary = [&(MARK.len() as u32).to_le_bytes()[..], &[0], MARK].concat();
            (kind::BINARY, binary)
        }
        (kind::DOCUMENT, _) => {
            let entry = element(3, &[MARK, b"1"].concat(), &inner);
            (kind::DOCUMENT, framed(&[entry, element(2, b"secret", &text)].concat()))
        }
        _ => {
            let items =
                [element(3, b"0", &inner), element(2, b"1", &text), element(3, b"2", &inner)];
            (kind::ARRAY, framed(&items.concat()))
        }
    }
}

/// The document with marks in place of all values at these paths, duplicates included; and whether there is any.
fn mark(chance: &mut Chance, document: &[u8], paths: &[&str]) -> (Vec<u8>, bool) {
    let mut elements = Vec::new();
    let mut has_any = false;
    for found in Elements::new(document) {
        let name = found.key();
        let is_private = paths.iter().any(|path| path.as_bytes() == name);
        let below: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.split_once('.'))
            .filter(|(head, _)| head.as_bytes() == name)
            .map(|(_, below)| below)
            .collect();
        let value = found.value();
        if is_private {
            let (kind, value) = marked(chance, value.kind);
            elements.push(element(kind, name, &value));
            has_any = true;
        } else if !below.is_empty() && value.kind == kind::DOCUMENT {
            let (inner, has) = mark(chance, value.bytes, &below);
            elements.push(element(kind::DOCUMENT, name, &inner));
            has_any |= has;
        } else {
            elements.push(found.bytes.to_vec());
        }
    }
    (framed(&elements.concat()), has_any)
}

fn has_mark(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|part| part == MARK)
}

/// Panics if a mark is in a target that is not the vault, or in what is said.
fn assert_kept(plan: &Plan, vault: usize, sources: &[Vec<u8>]) -> Run {
    let run = check(plan, sources);
    for (target, documents) in run.targets.iter().enumerate().filter(|(target, _)| *target != vault)
    {
        let leak = split(documents).into_iter().find(|document| has_mark(document));
        assert!(leak.is_none(), "target {target} has a private value: {leak:?}");
    }
    for said in &run.said {
        assert!(!has_mark(said.as_bytes()), "a private value is said: {said}");
    }
    // Refusals of duplicates and of what a server does not take name no value either.
    let mut mapped = Mapped::default();
    let refuse = |number: usize| number.is_multiple_of(2).then(|| plan.duplicate(0));
    if plan.unique_classes() > 0 {
        Mapper::new(plan)
            .map(sources.iter().map(Vec::as_slice), refuse, &mut mapped)
            .expect("sound documents");
        assert!(!has_mark(said(plan, &mapped).as_bytes()));
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_is_private_stays_in_the_vault(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, true);
        let Some(plan) = Plan::check(&made.text).plan else { return Ok(()) };
        let Some((vault, paths)) = &made.vault else { return Ok(()) };
        let marked: Vec<Vec<u8>> = sources(&mut chance, 8, documents::any)
            .iter()
            .map(|source| mark(&mut chance, source, paths).0)
            .collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| assert_kept(&plan, *vault, &marked)));
        prop_assert!(outcome.is_ok(), "seed {}, the mapping:\n{}", seed, made.text);
    }
}

#[test]
fn random_mappings_put_private_values_into_their_vaults() {
    let (mut with_marks, mut filled, mut empty) = (0, 0, 0);
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let made = mappings::any(&mut chance, true);
        let (Some(plan), Some((vault, paths))) = (Plan::check(&made.text).plan, &made.vault) else {
            continue;
        };
        for source in sources(&mut chance, 4, documents::any) {
            let (source, has_any) = mark(&mut chance, &source, paths);
            with_marks += usize::from(has_any);
            let run = Run::of(&plan, &[source], 1, false);
            filled += usize::from(has_mark(&run.targets[*vault]));
            empty += usize::from(has_any && run.counts[*vault] == 0 && run.refused.is_empty());
        }
    }
    assert!(with_marks > 600 && filled > 200 && empty > 100, "{with_marks} {filled} {empty}");
}

const HEAD: &str = "format = 2\nname = \"m\"\nversion = \"0\"\nsource = \"src\"\nkey = \"_id\"\n";

/// A mapping of these targets and a vault that only documents with `open` have.
fn with_vault(fields: &str, others: &str) -> Plan {
    let shape = if fields.contains("shape") {
        "[shape.S]\nfields = [{ name = \"n\", const = 1 }]\n"
    } else {
        ""
    };
    let text = format!(
        "{HEAD}[[target]]\ncollection = \"vault\"\nprivate = true\nwhere = {{ open = true }}\nfields = [{{ name = \"_id\" }}, {fields}]\n{others}{shape}"
    );
    Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn text(name: &str, text: &[u8]) -> Vec<u8> {
    element(2, name.as_bytes(), &string(text))
}
fn inner(name: &str, elements: &[Vec<u8>]) -> Vec<u8> {
    element(3, name.as_bytes(), &framed(&elements.concat()))
}
fn id() -> Vec<u8> {
    element(16, b"_id", &7i32.to_le_bytes())
}

/// All ways in which another target can take what has something private in it.
const TAKERS: [&str; 9] = [
    "rest = true\nfields = [{ name = \"_id\" }]",
    "order = \"source\"\nrest = true\nfields = [{ name = \"_id\" }]",
    "fields = [{ name = \"_id\" }, { name = \"user\" }]",
    "fields = [{ name = \"_id\" }, { name = \"all\", copy = \"user\" }]",
    "fields = [{ name = \"_id\" }, { name = \"all\", document = [{ name = \"user\" }] }]",
    "fields = [{ name = \"_id\" }, { name = \"all\", rest = \"user\" }]",
    "fields = [{ name = \"_id\" }, { name = \"all\", rest = \".\" }]",
    "fields = [{ name = \"_id\" }, { spread = \"user\" }]",
    "fields = [{ name = \"_id\" }, { spread = \".\" }]",
];

/// All ways in which a vault can read the mail, the street and the phone.
const VAULTS: [&str; 6] = [
    "{ name = \"mail\", copy = \"user.mail\" }, { name = \"street\", copy = \"user.address.street\" }, { name = \"phone\" }",
    "{ name = \"x\", document = [{ name = \"mail\", copy = \"user.mail\" }, { name = \"y\", document = [{ name = \"phone\" }] }] }, { name = \"all\", copy = \"user.address\" }",
    "{ name = \"x\", text = \"user.mail\" }, { name = \"y\", template = \"{phone}!\" }, { name = \"z\", rest = \"user.address\" }",
    "{ name = \"x\", copy = [\"user.mail\", \"phone\"] }, { spread = \"user.address\" }",
    "{ name = \"x\", copy = \"none\", when_missing = [{ copy = \"user.address.street\" }], coalesce = [{ text = \"phone\" }] }, { name = \"y\", copy = \"user.mail\", convert = \"int\" }",
    "{ name = \"x\", copy = \"user.mail\", when = { phone = { \"$exists\" = true } } }, { name = \"y\", copy = \"user.address\", shape = \"S\" }, { name = \"p\", size = \"phone\" }",
];

#[test]
fn private_fields_are_cut_from_whatever_holds_them() {
    let sources = [false, true].map(|open| {
        let secret = || text("mail", MARK);
        let address =
            |more: Vec<u8>| inner("address", &[text("city", b"x"), text("street", MARK), more]);
        // The fields, and what they are in, occur twice.
        let user = || {
            inner(
                "user",
                &[
                    text("name", b"n"),
                    secret(),
                    address(text("street", MARK)),
                    secret(),
                    address(text("zip", b"1")),
                ],
            )
        };
        let open = element(8, b"open", &[u8::from(open)]);
        let fields =
            [id(), open, user(), text("phone", MARK), user(), text("phone", MARK), text("z", b"1")];
        framed(&fields.concat())
    });
    for rows in VAULTS {
        for taker in TAKERS {
            let plan = with_vault(rows, &format!("[[target]]\ncollection = \"users\"\n{taker}\n"));
            let run = assert_kept(&plan, 0, &sources);
            assert_eq!(run.counts, [1, 2], "{rows} {taker}: {:?}", run.said);
            assert!(has_mark(&run.targets[0]), "{rows}");
            // What is not private is there.
            if !taker.contains("\".\"") && !rows.contains("\"user.address\"") {
                let has_city = run.targets[1].windows(4).any(|part| part == b"city");
                assert!(has_city, "{rows} {taker}");
            }
        }
    }
}

#[test]
fn private_items_are_cut_with_all_that_is_in_them() {
    let card = || framed(&[text("number", MARK), text("bank", MARK)].concat());
    let cards = || {
        let items = [element(3, b"0", &card()), text("1", MARK), element(3, b"2", &card())];
        element(4, b"cards", &framed(&items.concat()))
    };
    let source = framed(&[id(), text("a", b"1"), cards(), cards()].concat());
    let vault = "[[target]]\ncollection = \"cards\"\nprivate = true\nunwind = \"cards\"\nkey = \"of\"\nfields = [{ name = \"_id\", uuid5 = [\"{outer._id}\", \"{position}\"] }, { name = \"of\", outer = \"_id\" }, { name = \"number\" }]\n";
    for taker in [
        "rest = true\nfields = [{ name = \"_id\" }]",
        "order = \"source\"\nrest = true\nfields = [{ name = \"_id\" }]",
        "fields = [{ name = \"_id\" }, { spread = \".\" }]",
    ] {
        let text = format!("{HEAD}{vault}[[target]]\ncollection = \"users\"\n{taker}\n");
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let run = assert_kept(&plan, 0, std::slice::from_ref(&source));
        assert_eq!(run.counts, [2, 1]);
    }
}

/// What is said of a mapping that does not compile.
fn refused(text: &str) -> String {
    match Plan::parse(text) {
        Ok(_) => panic!("this compiles:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_private_can_be_named_nowhere_else() {
    let mapping = |other: &str| {
        format!(
            "{HEAD}[[target]]\ncollection = \"vault\"\nprivate = true\nfields = [{{ name = \"_id\" }}, {{ name = \"mail\", copy = \"user.mail\" }}]\n[[target]]\ncollection = \"users\"\n{other}\n"
        )
    };
    for path in ["user.mail", "user.mail.domain"] {
        for field in ["copy", "each", "text", "size", "not_empty", "rest", "template", "uuid5"] {
            let value = match field {
                "template" => format!("\"{{{path}}}\""),
                "uuid5" => format!("[\"{{{path}}}\"]"),
                _ => format!("\"{path}\""),
            };
            let text = mapping(&format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", {field} = {value} }}]"
            ));
            let said = refused(&text);
            assert!(said.contains("'user.mail' is private to 'vault'"), "{field}: {said}");
        }
        for other in [
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", copy = [\"y\", \"{path}\"] }}]"
            ),
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", coalesce = [{{ copy = \"{path}\" }}] }}]"
            ),
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", when = {{ any_set = \"{path}\" }} }}]"
            ),
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", value = \"v\" }}]\n[let]\nv = {{ copy = \"{path}\" }}"
            ),
            format!("where = {{ \"{path}\" = 1 }}\nrest = true"),
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", each = \"y\", shape = \"S\" }}]\n[shape.S]\nfields = [{{ name = \"o\", outer = \"{path}\" }}]"
            ),
            format!(
                "fields = [{{ name = \"_id\" }}, {{ name = \"x\", each = \"y\", shape = \"S\" }}]\n[shape.S]\nfields = [{{ name = \"o\", template = \"{{outer.{path}}}\" }}]"
            ),
            format!("unwind = \"{path}\"\nfields = [{{ name = \"_id\", outer = \"_id\" }}]"),
            format!(
                "rest = true\n[[target]]\ncollection = \"third\"\nprivate = true\nfields = [{{ name = \"_id\" }}, {{ name = \"x\", copy = \"{path}\" }}]"
            ),
        ] {
            let said = refused(&mapping(&other));
            assert!(said.contains("'user.mail' is private to 'vault'"), "{other}: {said}");
        }
    }
}
