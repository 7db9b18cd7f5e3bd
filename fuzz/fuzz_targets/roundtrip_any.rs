//! A mapping made by chance from the input's first bytes, and documents made of the others: forward, into a journal, and back.
#![no_main]

mod shared;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use mongosplit::mapping::Plan;
use shared::data::{Chance, mappings};
use shared::{Tape, check};

/// All of the 65,536 would take gigabytes.
const MOST_PLANS: usize = 4096;

thread_local! {
    /// Compiling takes longer than mapping a few documents. Nothing where a mapping is refused.
    static PLANS: RefCell<HashMap<u64, Option<Rc<Plan>>>> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let mut tape = Tape::of_any(data);
    let seed = u64::from(tape.byte()) << 8 | u64::from(tape.byte());
    let compile = || Plan::parse(&mappings::text(&mut Chance::new(seed))).ok().map(Rc::new);
    let plan = PLANS.with_borrow_mut(|plans| {
        if plans.len() == MOST_PLANS {
            plans.clear();
        }
        plans.entry(seed).or_insert_with(compile).clone()
    });
    if let Some(plan) = plan {
        let sources = tape.sources();
        check(&plan, &sources.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
});
