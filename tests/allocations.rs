//! Mapping is the hot path: once a mapper has seen a batch, the next of the same kind costs (almost) no allocation. What is
//! left is once a batch: field orders, and the `_id`s that findings name.

mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use harness::{element, framed, int32, text};
use mongosplit::mapping::{Mapped, Mapper, Plan};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all calls go to the system's allocator as they are.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn array(name: &str, items: &[Vec<u8>]) -> Vec<u8> {
    let elements: Vec<u8> = items
        .iter()
        .enumerate()
        .flat_map(|(number, item)| element(3, number.to_string().as_bytes(), item))
        .collect();
    element(4, name.as_bytes(), &framed(&elements))
}

/// A document as the application writes it; the export's differs in its steps.
fn document(number: u32, is_export: bool) -> Vec<u8> {
    let date = |name: &str| {
        element(9, name.as_bytes(), &(1_760_350_523_123i64 + i64::from(number)).to_le_bytes())
    };
    let id = [&[0; 8][..], &number.to_be_bytes()].concat();
    let parameters = element(3, b"parameters", &framed(&text("method", "mean")));
    let step = |kind: &str| {
        framed(&match is_export {
            true => [
                text("type", kind),
                text("column", "age"),
                parameters.clone(),
                text("applied_at", "2025-10-13T10:15:23.123456+00:00"),
            ]
            .concat(),
            false => [
                date("timestamp"),
                text("type", kind),
                parameters.clone(),
                int32("affected_rows", 3),
            ]
            .concat(),
        })
    };
    let field = |name: &str| {
        framed(
            &[
                text("field_name", name),
                text("field_type", "numeric"),
                text("inferred_dtype", "int64"),
                int32("unique_values", 9),
                int32("missing_values", 0),
            ]
            .concat(),
        )
    };
    framed(
        &[
            element(7, b"_id", &id),
            text("user_id", "user_1"),
            text("filename", "report.csv"),
            text("original_filename", "report.csv"),
            text("file_type", "csv"),
            text("file_path", "datasets/user_1/report.csv"),
            text("s3_url", "s3://bucket/report.csv"),
            int32("num_rows", 10 + number as i32),
            int32("num_columns", 2),
            array("data_schema", &[field("age"), field("name")]),
            array(
                "transformation_history",
                &[step("impute_mean"), step("encode"), step("remove_duplicates")],
            ),
            element(8, b"is_processed", &[1]),
            date("created_at"),
            date("updated_at"),
        ]
        .concat(),
    )
}

#[test]
fn a_batch_like_the_one_before_allocates_next_to_nothing() {
    let plan = Plan::built_in().expect("it compiles");
    for (shape, is_export) in [("application", false), ("export", true)] {
        let documents: Vec<Vec<u8>> = (0..600).map(|number| document(number, is_export)).collect();
        let mut mapper = Mapper::new(&plan);
        let mut mapped = Mapped::default();
        let mut map = || {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            mapper
                .map(documents.iter().map(Vec::as_slice), |_| None, &mut mapped)
                .expect("sound documents");
            assert_eq!((mapped.whole, mapped.refused.len()), (0, 0));
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        map();
        map();
        let allocations = map();
        println!("{shape}: {allocations} allocations for {} documents", documents.len());
        assert!(
            allocations * 10 < documents.len() as u64,
            "{shape}: {allocations} allocations for {} documents",
            documents.len()
        );
    }
}
