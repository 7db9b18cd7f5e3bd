//! The hot parts one by one, over 4 MB of generated documents: `make bench-micro`. Throughput is in bytes of
//! source documents, so that the parts can be compared with each other and with the whole.

#![allow(missing_docs, dead_code)]

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use mongosplit::batch::{Batch, Splitter};
use mongosplit::fingerprints::document_digest;
use mongosplit::journal::JournalWriter;
use mongosplit::journal::Reader;
use mongosplit::mapping::{Mapped, Mapper, Plan, Restorer};
use mongosplit::raw::{Elements, Validator};
use mongosplit::{gzip, hash::HashingCounter};

#[path = "../fixtures/generate/bson.rs"]
mod bson;
#[path = "../fixtures/generate/rng.rs"]
mod rng;
#[path = "../fixtures/generate/shapes.rs"]
mod shapes;

/// Bytes of documents that each part works on.
const SIZE: usize = 4_000_000;

type Shape = (&'static str, fn(&mut bson::Bson, &mut rng::Rng, u64));

/// The application's documents, the export's with texts for dates, tiny ones, ones of 10,000 history items.
const SHAPES: [Shape; 4] = [
    ("app", shapes::app),
    ("export", shapes::export),
    ("small", shapes::small),
    ("history", shapes::long_history),
];

fn documents((_, write): Shape) -> Vec<u8> {
    let mut w = bson::Bson::default();
    for number in 0.. {
        let start = w.bytes.len();
        write(&mut w, &mut rng::Rng::for_document(1, number), number);
        if number > 0 && w.bytes.len() > SIZE {
            w.bytes.truncate(start);
            break;
        }
    }
    w.bytes
}

/// The documents in batches, as the pipeline has them.
fn batches(bytes: &[u8]) -> Vec<Batch> {
    let mut splitter = Splitter::new(bytes, 0, "generated".into());
    let mut batches = Vec::new();
    loop {
        let mut batch = Batch::default();
        if !splitter.fill(&mut batch).expect("generated documents are sound") {
            return batches;
        }
        batches.push(batch);
    }
}

fn map(mapper: &mut Mapper<'_>, batch: &Batch, mapped: &mut Mapped) {
    mapper.map(batch.documents(), |_| None, mapped).expect("generated documents are sound");
}

/// The documents that stand one behind the other.
fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(*bytes[at..].first_chunk()?) as usize;
        at += length;
        Some(&bytes[at - length..at])
    })
}

fn parts(criterion: &mut Criterion) {
    let plan = Plan::built_in().expect("the built-in mapping is sound");
    for shape in SHAPES {
        let bytes = documents(shape);
        let mut group = criterion.benchmark_group(shape.0);
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
        reading(&mut group, &bytes);
        mapping(&mut group, &plan, &bytes);
        group.finish();
    }
}

fn reading(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8]) {
    let batches = batches(bytes);
    group.bench_function("frame", |b| {
        let mut batch = Batch::default();
        b.iter(|| {
            let mut splitter = Splitter::new(bytes, 0, String::new());
            while splitter.fill(&mut batch).expect("sound") {
                black_box(&batch);
            }
        });
    });
    group.bench_function("walk", |b| {
        b.iter(|| {
            batches
                .iter()
                .flat_map(Batch::documents)
                .map(|document| Elements::new(document).count())
                .sum::<usize>()
        });
    });
    group.bench_function("validate", |b| {
        let mut validator = Validator::default();
        b.iter(|| {
            for document in batches.iter().flat_map(Batch::documents) {
                black_box(validator.check(document).expect("sound"));
            }
        });
    });
    group.bench_function("hash", |b| {
        b.iter(|| {
            let mut counted = HashingCounter::default();
            batches.iter().for_each(|batch| counted.update(&batch.bytes));
            counted.finish()
        });
    });
    group.bench_function("digest", |b| {
        b.iter(|| {
            batches
                .iter()
                .flat_map(Batch::documents)
                .map(document_digest)
                .fold(0, u128::wrapping_add)
        });
    });
    group.bench_function("gzip", |b| {
        b.iter(|| batches.iter().map(|batch| gzip::compress(&batch.bytes, 1).len()).sum::<usize>())
    });
    let compressed: Vec<u8> =
        batches.iter().flat_map(|batch| gzip::compress(&batch.bytes, 1)).collect();
    group.bench_function("gunzip", |b| {
        b.iter(|| {
            std::io::copy(&mut gzip::decoder(compressed.as_slice()), &mut std::io::sink())
                .expect("it was just compressed")
        });
    });
}

fn mapping(group: &mut BenchmarkGroup<'_, WallTime>, plan: &Plan, bytes: &[u8]) {
    let batches = batches(bytes);
    // What a worker does of a batch: validation, the mapping forward, the checks, the notes and the proof.
    group.bench_function("map", |b| {
        let (mut mapper, mut mapped) = (Mapper::new(plan), Mapped::default());
        b.iter(|| {
            for batch in &batches {
                map(&mut mapper, batch, &mut mapped);
                black_box(&mapped);
            }
        });
    });
    let mut mapper = Mapper::new(plan);
    let mapped: Vec<Mapped> = batches
        .iter()
        .map(|batch| {
            let mut mapped = Mapped::default();
            map(&mut mapper, batch, &mut mapped);
            mapped
        })
        .collect();
    group.bench_function("journal", |b| {
        let (mut writer, mut out) = (JournalWriter::default(), Vec::new());
        b.iter(|| {
            out.clear();
            for (batch, mapped) in batches.iter().zip(&mapped) {
                writer
                    .write_batch(batch.ends.len(), &mapped.counts, &mapped.notes, &mut out)
                    .expect("it is read back");
            }
            out.len()
        });
    });
    // The proof is this, compared with the source instead of written.
    group.bench_function("restore", |b| {
        let (mut restorer, mut out) = (Restorer::new(plan), Vec::new());
        b.iter(|| {
            for (batch, mapped) in batches.iter().zip(&mapped) {
                out.clear();
                let mut targets: Vec<_> =
                    mapped.outputs.iter().map(|output| split(output)).collect();
                let notes = &mapped.notes;
                let mut reader = Reader::new(notes.program(), notes.values(), notes.orders());
                for _ in &batch.ends {
                    restorer
                        .restore(&mut reader, |target| targets[target].next(), &mut out)
                        .expect("it was proven");
                }
                assert!(out == batch.bytes);
            }
        });
    });
}

criterion_group!(benches, parts);
criterion_main!(benches);
