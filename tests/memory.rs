//! What mapping the most awkward documents takes at most: `tests/limits/run` measures whole runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use mongosplit::mapping::{Mapped, Mapper, Plan};

struct Measuring;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    PEAK.fetch_max(LIVE.fetch_add(by, Ordering::Relaxed) + by, Ordering::Relaxed);
}

// SAFETY: all calls go to the system's allocator as they are.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        grown(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

fn document(fields: &[u8]) -> Vec<u8> {
    let id = [&b"\x07_id\0"[..], &[1; 12]].concat();
    let length = (4 + id.len() + fields.len() + 1) as u32;
    [&length.to_le_bytes()[..], &id, fields, &[0]].concat()
}

/// One test, as all tests of a program share its memory. Vectors that grow may have twice the room that they use, which costs
/// addresses, and no memory.
#[test]
fn a_document_of_very_many_fields_takes_little_for_each() {
    const FIELDS: usize = 1_000_000;
    let names =
        || (0..FIELDS / 4).flat_map(|at| [&[10], format!("{at:x}").as_bytes(), &[0]].concat());
    let plan = Plan::built_in().expect("it compiles");
    for (what, fields, count) in [
        ("fields without names", [10, 0].repeat(FIELDS), FIELDS),
        ("fields of one name", [10, b'a', 0].repeat(FIELDS), FIELDS),
        ("fields of a name of the mapping", b"\x0anotes\0".repeat(FIELDS), FIELDS),
        ("fields of different names", names().collect(), FIELDS / 4),
    ] {
        let document = document(&fields);
        let mut mapper = Mapper::new(&plan);
        let mut mapped = Mapped::default();
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        mapper.map([&document[..]].into_iter(), |_| None, &mut mapped).expect("a sound document");
        let most = PEAK.load(Ordering::Relaxed) - before;
        let bound = 8 * document.len() + 16 * count + 4 * 1024 * 1024;
        println!("{what}: {most} bytes, {:.1} a field", most as f64 / count as f64);
        assert!(most < bound, "{what}: {most} bytes, at most {bound}");
        drop(mapped);
        let kept = LIVE.load(Ordering::Relaxed) - before;
        assert!(kept < 4 * 1024 * 1024, "{what}: {kept} bytes are kept");
    }
}
