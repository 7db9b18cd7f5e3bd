//! Arbitrary text as a mapping, or changes to the text of a random mapping: it compiles, or its problems are named. What
//! compiles maps some documents, and they come back.
#![no_main]

mod shared;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mongosplit::mapping::{Plan, Severity};
use shared::data::{Chance, documents, mappings};
use shared::{check, patched};

static SOURCES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0..3).map(|id| documents::any(&mut Chance::new(u64::from(id)), id)).collect());

fuzz_target!(|data: &[u8]| {
    let made;
    let data = match data {
        // No text begins so.
        [255, high, low, patch @ ..] => {
            let seed = u64::from(*high) << 8 | u64::from(*low);
            made = patched(mappings::text(&mut Chance::new(seed)).as_bytes(), patch);
            &made
        }
        text => text,
    };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let checked = Plan::check(text);
    let problems: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
    let has_errors = checked.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert!(checked.plan.is_some() != has_errors, "{problems:?}");
    if let Some(plan) = &checked.plan {
        assert!(!plan.show().is_empty() && plan.text() == text);
        check(plan, &SOURCES.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
});
