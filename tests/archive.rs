//! Archives in and out: each rule of the format, damage at every byte, and every shape in and out. `CORPUS`, a
//! directory, adds archives that others have written.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use harness::{
    Files, World, binary, boolean, document, files, fixture, flip, framed, in_one_line, int32,
    int64, text,
};
use mongosplit::base::archive_format::Reader;
use mongosplit::disk::IoMode;
use mongosplit::mapping::Plan;
use mongosplit::progress::Silent;
use mongosplit::{Error, inspect, reverse, transform, verify};

/// What was read of an archive: documents by namespace.
type Content = BTreeMap<String, Vec<Vec<u8>>>;

// --- a writer that shares nothing with the one under test ---

fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = u64::MAX;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xc96c_5795_d787_0f42 } else { crc >> 1 };
        }
    }
    !crc
}

const END: [u8; 4] = [0xff; 4];

fn header() -> Vec<u8> {
    let fields = [
        int32("concurrent_collections", 4),
        text("version", b"0.1"),
        text("server_version", b"5.0.0"),
        text("tool_version", b"t"),
    ];
    [b"\x6d\xe2\x99\x81".to_vec(), document(&fields)].concat()
}

fn entry_of(database: &[u8], collection: &[u8], kind: &str) -> Vec<u8> {
    let metadata = format!(
        r#"{{"options":{{}},"indexes":[],"collectionName":"{}","type":"{kind}"}}"#,
        String::from_utf8_lossy(collection).escape_default()
    );
    let fields = [
        text("db", database),
        text("collection", collection),
        text("metadata", metadata.as_bytes()),
        int32("size", 0),
        text("type", kind.as_bytes()),
    ];
    document(&fields)
}

fn entry(database: &str, collection: &str) -> Vec<u8> {
    entry_of(database.as_bytes(), collection.as_bytes(), "collection")
}

fn head(database: &str, collection: &str, end: u8, crc: u64) -> Vec<u8> {
    document(&[
        text("db", database.as_bytes()),
        text("collection", collection.as_bytes()),
        boolean("EOF", end),
        int64("CRC", crc),
    ])
}

fn block(database: &str, collection: &str, documents: &[Vec<u8>]) -> Vec<u8> {
    [head(database, collection, 0, 0), documents.concat(), END.to_vec()].concat()
}

fn close(database: &str, collection: &str, documents: &[Vec<u8>]) -> Vec<u8> {
    [head(database, collection, 1, crc64(&documents.concat())), END.to_vec()].concat()
}

fn source(number: i32) -> Vec<u8> {
    let name = format!("file {number}");
    document(&[int32("_id", number), text("user_id", b"u"), text("filename", name.as_bytes())])
}

/// Two collections, two documents each, interleaved.
fn small() -> Vec<u8> {
    let (a, b) =
        ([source(1), source(2)], [document(&[int32("_id", 7)]), document(&[int32("_id", 8)])]);
    [
        header(),
        entry("d", "user_data"),
        entry("d", "other"),
        END.to_vec(),
        block("d", "user_data", &a[..1]),
        block("d", "other", &b[..1]),
        block("d", "user_data", &a[1..]),
        close("d", "user_data", &a),
        block("d", "other", &b[1..]),
        close("d", "other", &b),
    ]
    .concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

// --- helpers ---

fn read(bytes: &[u8]) -> mongosplit::Result<Content> {
    read_from(bytes)
}

fn read_from(stream: impl Read) -> mongosplit::Result<Content> {
    let mut reader = Reader::open(stream, "a".to_owned())?;
    let names: Vec<String> =
        reader.prelude().entries.iter().map(|entry| entry.namespace()).collect();
    (0..names.len()).for_each(|number| reader.check(number));
    let mut content: Content = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    while let Some(document) = reader.next_document()? {
        content.get_mut(&names[document.namespace]).unwrap().push(document.bytes.to_vec());
    }
    Ok(content)
}

/// A pipe gives as much as it has at once; neither what is read nor what is said hangs on that.
#[test]
fn an_archive_reads_the_same_in_pieces_of_any_size() {
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let size = self.0.len().min(buffer.len()).min(1);
            self.0.read(&mut buffer[..size])
        }
    }
    let log = b"2026-08-01T12:00:00.000+0000\twriting d.c to archive on stdout\n";
    for bytes in [
        small(),
        log.to_vec(),
        b"not".to_vec(),
        [header(), log.to_vec()].concat(),
        [small(), log.to_vec()].concat(),
    ] {
        let said = |result: mongosplit::Result<Content>| result.map_err(|error| error.to_string());
        assert_eq!(said(read_from(Trickle(&bytes))), said(read(&bytes)));
    }
}

fn plan() -> Plan {
    Plan::built_in().unwrap()
}

fn options(dump: &Path, out: &Path) -> transform::Options {
    transform::Options {
        threads: Some(1),
        io: IoMode::Buffered,
        ..transform::Options::new(dump, out)
    }
}

fn run(options: &transform::Options) -> mongosplit::Result<transform::Report> {
    transform::transform(options, &plan(), &Silent)
}

/// What a check says does not match.
fn texts(report: &verify::Report) -> Vec<String> {
    report.differences.iter().map(ToString::to_string).collect()
}

fn verified(out: &Path) -> mongosplit::Result<verify::Report> {
    verify::verify(&verify::Options::new(out), &Silent)
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.to_vec();
    }
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}

/// The documents of an output of any shape, one collection's behind the other.
fn documents(files: &Files) -> BTreeMap<String, Vec<u8>> {
    if let Some(archive) = files.get("out") {
        return read(&unpacked(archive))
            .unwrap()
            .into_iter()
            .map(|(name, documents)| (name, documents.concat()))
            .collect();
    }
    let of_file = |(path, bytes): (&String, &Vec<u8>)| {
        let path = path.strip_prefix("out/")?.trim_end_matches(".gz").strip_suffix(".bson")?;
        Some((path.replace('/', "."), unpacked(bytes)))
    };
    files.iter().filter_map(of_file).collect()
}

// --- reading ---

#[test]
fn documents_are_read_as_they_were_written() {
    assert_eq!(crc64(b"123456789"), 0x995d_c9bb_df19_39fa);
    let content = read(&small()).unwrap();
    assert_eq!(content["d.user_data"], [source(1), source(2)]);
    assert_eq!(content["d.other"].len(), 2);
}

#[test]
fn old_archives_and_empty_blocks_are_read() {
    let old = document(&[
        text("db", b"d"),
        text("collection", b"c"),
        text("metadata", b"{}"),
        int32("size", 0),
    ]);
    let archive =
        [header(), old, END.to_vec(), block("d", "c", &[]), close("d", "c", &[])].concat();
    assert_eq!(read(&archive).unwrap()["d.c"].len(), 0);
    let series = [
        header(),
        entry_of(b"d", b"c", "timeseries"),
        END.to_vec(),
        block("d", "system.buckets.c", &[source(1)]),
        close("d", "system.buckets.c", &[source(1)]),
    ];
    assert_eq!(read(&series.concat()).unwrap()["d.c"].len(), 1);
}

#[test]
fn every_rule_has_its_error() {
    let prelude = [header(), entry("d", "c"), END.to_vec()].concat();
    let at = prelude.len();
    let with = |rest: &[Vec<u8>]| [prelude.clone(), rest.concat()].concat();
    let c = [source(1)];
    let in_prelude = |entry: Vec<u8>| [header(), entry, END.to_vec()].concat();
    let start = header().len();
    let (b, e) = (block("d", "c", &c), close("d", "c", &c));
    let body = at + head("d", "c", 0, 0).len();
    let log = b"2026-08-01T12:00:00.000+0000\twriting d.c to archive on stdout\n".to_vec();
    let mixed =
        "a log seems to be mixed into the stream (keep stderr out of the pipe, without `2>&1`)";
    let mut no_nul = source(1);
    *no_nul.last_mut().unwrap() = 1;
    let of_c = [text("db", b"d"), text("collection", b"c")].concat();
    let block_header = |rest: &[Vec<u8>]| framed(&[of_c.clone(), rest.concat()].concat());
    let unknown = block_header(&[boolean("EOF", 0), int64("CRC", 0), int32("more", 1)]);
    let lacking = block_header(&[boolean("EOF", 0)]);
    let twice = document(&[text("db", b"d"), text("db", b"d")]);
    let no_boolean = block_header(&[int32("EOF", 0), int64("CRC", 0)]);
    let no_int64 = block_header(&[boolean("EOF", 0), int32("CRC", 0)]);
    let version = document(&[
        int32("concurrent_collections", 4),
        text("version", b"0.2"),
        text("server_version", b""),
        text("tool_version", b""),
    ]);
    let long = "x".repeat(254);
    let cases: Vec<(Vec<u8>, String)> = vec![
        (Vec::new(), "is empty, so it is not an archive; did mongodump fail?".into()),
        (
            b"\x05\0\0\0\0".to_vec(),
            "byte offset 0: begins with 05000000, but an archive begins with 6de29981; give the output of `mongodump --archive`".into(),
        ),
        (
            log.clone(),
            format!(
                "byte offset 0: found text instead of an archive's magic number: '2026-08-01T12:00:00.000+0000\\twriting d.c to archive on stdout'; {mixed}"
            ),
        ),
        (header()[..4].to_vec(), "byte offset 4: the archive ends before the archive's header: it was cut off".into()),
        ([&header()[..4], &END].concat(), "byte offset 4: found a terminator instead of the archive's header".into()),
        ([&header()[..4], &version].concat(), "byte offset 4: the archive's header has format version '0.2', but only 0.1 is supported".into()),
        (
            [header(), entry("d", "c"), b.clone()].concat(),
            format!("byte offset {}: found a block's header in the prelude: the terminator of the prelude is missing", at - 4),
        ),
        (in_prelude([entry("d", "c"), entry("d", "c")].concat()), format!("byte offset {}: the prelude lists d.c twice", at - 4)),
        (
            in_prelude(entry_of(b"d", b"\xff", "collection")),
            format!("byte offset {start}: a collection in the prelude has a field 'collection' that is not UTF-8"),
        ),
        (
            in_prelude(lacking.clone()),
            format!("byte offset {start}: a collection in the prelude has an unknown field 'EOF'"),
        ),
        (
            with(&[b.clone(), e.clone(), END.to_vec()]),
            format!(
                "byte offset {}: found a terminator instead of a block's header: a doubled terminator, or a block without a header",
                at + b.len() + e.len()
            ),
        ),
        (with(&[unknown]), format!("byte offset {at}: a block's header has an unknown field 'more'")),
        (with(&[lacking]), format!("byte offset {at}: a block's header lacks the field 'CRC'")),
        (with(&[twice]), format!("byte offset {at}: a block's header has the field 'db' twice")),
        (with(&[no_boolean]), format!("byte offset {at}: a block's header has a field 'EOF' that is not a boolean")),
        (with(&[no_int64]), format!("byte offset {at}: a block's header has a field 'CRC' that is not an int64")),
        (with(&[source(1)]), format!("byte offset {at}: a block's header has an unknown field '_id'")),
        (with(&[head("d", "z", 0, 0)]), format!("byte offset {at}: found a block of d.z, which the prelude does not list")),
        (
            with(&[head("d", "c", 0, 0), source(1), e.clone()]),
            format!(
                "byte offset {}, d.c: found a block's header among the documents: the terminator of the previous block is missing",
                body + source(1).len()
            ),
        ),
        (with(&[head("d", "c", 1, 0), source(1)]), format!("byte offset {body}, d.c: found data after the header that ends the namespace")),
        (with(&[b.clone(), e.clone(), e.clone()]), format!("byte offset {}: d.c is opened again after its end", at + b.len() + e.len())),
        (
            with(&[b.clone(), head("d", "c", 1, 5)]),
            format!(
                "byte offset {}: the documents of d.c have the CRC {:016x}, but the archive says 0000000000000005: it was damaged",
                at + b.len(),
                crc64(&c[0])
            ),
        ),
        (
            with(std::slice::from_ref(&b)),
            format!(
                "byte offset {}: the archive ends, but 1 of its namespaces are unfinished (d.c): it was cut off, or mongodump was stopped",
                at + b.len()
            ),
        ),
        (
            with(&[]),
            format!(
                "byte offset {at}: the archive ends, but 1 of its namespaces are missing (d.c): it was cut off, or mongodump was stopped"
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), log.clone()]),
            format!(
                "byte offset {body}, d.c: found text instead of a document or a terminator: '2026-08-01T12:00:00.000+0000\\twriting d.c to archive on stdout'; {mixed}"
            ),
        ),
        (
            with(&[log]),
            format!(
                "byte offset {at}: found text instead of a block's header: '2026-08-01T12:00:00.000+0000\\twriting d.c to archive on stdout'; {mixed}"
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), 4i32.to_le_bytes().to_vec()]),
            format!(
                "byte offset {body}, d.c: found 4 instead of a document or a terminator, which is neither a terminator nor a length of 5 to 16777216 bytes"
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), 16_777_217i32.to_le_bytes().to_vec()]),
            format!(
                "byte offset {body}, d.c: found 16777217 instead of a document or a terminator, which is neither a terminator nor a length of 5 to 16777216 bytes"
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), (-2i32).to_le_bytes().to_vec()]),
            format!(
                "byte offset {body}, d.c: found -2 instead of a document or a terminator, which is neither a terminator nor a length of 5 to 16777216 bytes"
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), source(1)[..9].to_vec()]),
            format!(
                "byte offset {body}, d.c: the archive ends after 9 of the {} bytes of a document or a terminator: it was cut off",
                source(1).len()
            ),
        ),
        (
            with(&[head("d", "c", 0, 0), no_nul]),
            format!(
                "byte offset {body}, d.c: found byte 0x01 instead of the final NUL of a document or a terminator, at byte offset {}",
                body + source(1).len() - 1
            ),
        ),
        (
            with(&[b, e, b"\0".to_vec()]),
            format!(
                "byte offset {}: the archive ends before a block's header: it was cut off",
                at + block("d", "c", &c).len() + close("d", "c", &c).len()
            ),
        ),
    ];
    let names = [
        ("..", "c", "database name '..'".to_owned()),
        ("a/b", "c", "database name 'a/b'".to_owned()),
        ("a\0", "c", r"database name 'a\0'".to_owned()),
        ("d", "..", "collection name '..'".to_owned()),
        ("d", "", "collection name ''".to_owned()),
        ("d", "a\0b", r"collection name 'a\0b'".to_owned()),
        ("d", &long, format!("collection name '{long}'")),
    ];
    let misnamed = names.map(|(database, collection, what)| {
        (
            in_prelude(entry(database, collection)),
            format!("byte offset {start}: a collection in the prelude has an invalid {what}"),
        )
    });
    for (archive, message) in cases.into_iter().chain(misnamed) {
        let error = read(&archive).expect_err(&message);
        assert_eq!(error.to_string(), format!("'a': {message}"));
        assert_eq!(error.exit_code(), 3);
    }
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let (folder, archive) = (World::new(), small());
    let (dump, out) = (folder.path("dump"), folder.path("out"));
    for length in 0..archive.len() {
        assert!(read(&archive[..length]).is_err(), "cut to {length} bytes");
        fs::write(&dump, &archive[..length]).unwrap();
        assert!(run(&options(&dump, &out)).is_err(), "cut to {length} bytes");
        assert_eq!(files(&folder.path("")).len(), 1, "cut to {length} bytes");
    }
    let packed = gzip(&archive);
    for length in 0..packed.len() {
        fs::write(&dump, &packed[..length]).unwrap();
        assert!(run(&options(&dump, &out)).is_err(), "gzip cut to {length} bytes");
    }
    fs::write(&dump, [packed, b"garbage".to_vec()].concat()).unwrap();
    assert!(run(&options(&dump, &out)).is_err());
}

/// What a flipped bit may change without being noticed is outside the documents, which have checksums: versions,
/// metadata that stays JSON, `size`, the number of collections, the kind, and the CRC of headers that end nothing.
#[test]
fn a_bit_flipped_anywhere_fails_or_leaves_every_document_as_it_was() {
    let archive = small();
    let content = read(&archive).unwrap();
    let mut unnoticed = 0;
    for at in 0..archive.len() {
        for bit in 0..8 {
            if let Ok(found) = read(&flip(&archive, at, 1 << bit)) {
                assert_eq!(found, content, "bit {bit} of byte {at}");
                unnoticed += 1;
            }
        }
    }
    assert!(unnoticed < archive.len() * 8 / 3, "{unnoticed}");
}

// --- every shape in, every shape out ---

#[test]
fn four_shapes_in_and_four_out_are_the_same_and_reverse_to_the_source() {
    let original = fs::read(fixture("dump/narrative_modeling/user_data.bson")).unwrap();
    let inputs = ["dump", "dump-gzip", "all.archive", "all.archive.gz"];
    let mut collections = None;
    for (archive, level) in [(false, None), (false, Some(2)), (true, None), (true, Some(2))] {
        let mut first = None;
        for input in inputs {
            let folder = World::new();
            let out = folder.path("out");
            run(&transform::Options {
                archive,
                gzip_level: level,
                ..options(&fixture(input), &out)
            })
            .unwrap();
            let written = files(&folder.path(""));
            let first = first.get_or_insert_with(|| written.clone());
            assert!(*first == written, "{input} to archive: {archive}, gzip: {level:?}");
            let content = documents(&written);
            assert!(
                *collections.get_or_insert_with(|| content.clone()) == content,
                "{input} to {archive} {level:?}"
            );
            assert_eq!(content.len(), 3);
            assert!(verified(&out).unwrap().differences.is_empty());
            let report = verified(&out).unwrap();
            let checked = verify::compare_with_source(
                &verify::Options::new(&out),
                &report,
                &fixture(input),
                &Silent,
                &mut |_| Ok(()),
            );
            assert!(checked.unwrap().differences.is_empty());
            for (to_archive, to_level) in [(false, None), (true, Some(1))] {
                let back = folder.path(&format!("back-{to_archive}"));
                let options = reverse::Options {
                    archive: to_archive,
                    gzip_level: to_level,
                    ..reverse::Options::new(&out, &back)
                };
                reverse::reverse(&options, &Silent).unwrap();
                let restored = match to_archive {
                    true => read(&unpacked(&fs::read(&back).unwrap())).unwrap()["narrative_modeling.user_data"].concat(),
                    false => fs::read(back.join("narrative_modeling/user_data.bson")).unwrap(),
                };
                assert!(restored == original);
                assert!(verified(&back).unwrap().differences.is_empty());
            }
        }
    }
}

#[test]
fn an_output_is_compared_with_a_dump_that_is_an_archive() {
    let folder = World::new();
    for archive in [false, true] {
        let out = folder.path(&format!("out-{archive}"));
        run(&transform::Options { archive, ..options(&fixture("all.archive"), &out) }).unwrap();
        let redump = folder.path(&format!("redump-{archive}"));
        run(&transform::Options {
            archive: true,
            gzip_level: Some(1),
            ..options(&fixture("all.archive"), &redump)
        })
        .unwrap();
        let verified = [verified(&out).unwrap()];
        let compare = |redump: &Path| {
            verify::compare_with_restored(
                &verify::Options::new(&out),
                &verified,
                redump,
                &Silent,
                &mut |_| Ok(()),
            )
            .unwrap()
        };
        assert!(compare(&redump).is_same());
        // The same without one document.
        let content = read(&unpacked(&fs::read(&redump).unwrap())).unwrap();
        let mut parts = vec![header()];
        let name = |name: &String| {
            name.split_once('.')
                .map(|(database, collection)| (database.to_owned(), collection.to_owned()))
                .unwrap()
        };
        parts.extend(
            content.keys().map(name).map(|(database, collection)| entry(&database, &collection)),
        );
        parts.push(END.to_vec());
        for (namespace, documents) in &content {
            let (database, collection) = name(namespace);
            let documents =
                if collection == "model_configs" { &documents[1..] } else { &documents[..] };
            parts.extend([
                block(&database, &collection, documents),
                close(&database, &collection, documents),
            ]);
        }
        fs::write(&redump, parts.concat()).unwrap();
        let compared = compare(&redump);
        assert_eq!((compared.missing, compared.extra, compared.changed), (1, 0, 0));
    }
}

#[test]
fn several_sources_that_interleave_give_what_a_directory_gives() {
    let folder = World::new();
    let of = |from: i32| (from..from + 5000).map(source).collect::<Vec<_>>();
    let (a, b) = (of(0), of(100_000));
    let mut archive =
        [header(), entry("b", "user_data"), entry("a", "user_data"), END.to_vec()].concat();
    for (a, b) in a.chunks(700).zip(b.chunks(700)) {
        archive.extend([block("b", "user_data", b), block("a", "user_data", a)].concat());
    }
    archive.extend([close("a", "user_data", &a), close("b", "user_data", &b)].concat());
    let (dump, directory) = (folder.path("dump"), folder.path("directory"));
    fs::write(&dump, &archive).unwrap();
    let error = run(&options(&dump, &folder.path("o"))).unwrap_err();
    let size = a.concat().len();
    assert_eq!(
        error.to_string(),
        format!(
            "'{}' has 2 databases with a collection 'user_data':\n  a.user_data: 5000 documents, {size} bytes\n  b.user_data: 5000 documents, {} bytes\nchoose with --db NAME, or use all with --all-dbs",
            dump.display(),
            b.concat().len()
        )
    );
    let metadata = |bytes: &[u8]| unpacked(bytes);
    for (database, documents) in [("a", &a), ("b", &b)] {
        fs::create_dir_all(directory.join(database)).unwrap();
        fs::write(directory.join(database).join("user_data.bson"), documents.concat()).unwrap();
        let text =
            br#"{"options":{},"indexes":[],"collectionName":"user_data","type":"collection"}"#;
        fs::write(directory.join(database).join("user_data.metadata.json"), metadata(text))
            .unwrap();
    }
    fs::write(directory.join("prelude.json"), r#"{"ServerVersion":"5.0.0","ToolVersion":"t"}"#)
        .unwrap();
    for archive in [false, true] {
        let written = [&dump, &directory].map(|input| {
            let folder = World::new();
            let out = folder.path("out");
            run(&transform::Options { archive, all_databases: true, ..options(input, &out) })
                .unwrap();
            assert!(verified(&out).unwrap().differences.is_empty());
            let back = folder.path("back");
            reverse::reverse(&reverse::Options::new(&out, &back), &Silent).unwrap();
            assert!(fs::read(back.join("b/user_data.bson")).unwrap() == b.concat());
            files(&folder.path(""))
        });
        assert!(written[0] == written[1], "archive: {archive}");
    }
    let out = folder.path("only");
    let report =
        run(&transform::Options { databases: vec!["b".to_owned()], ..options(&dump, &out) })
            .unwrap();
    assert_eq!(report.manifest.sources[0].namespace, "b.user_data");
}

// --- traps ---

/// Runs an archive of these entries and blocks.
fn run_archive(
    parts: &[Vec<u8>],
    change: impl FnOnce(&mut transform::Options),
) -> mongosplit::Result<transform::Report> {
    let folder = World::new();
    let dump = folder.path("dump");
    fs::write(&dump, [header(), parts.concat()].concat()).unwrap();
    let mut options = options(&dump, &folder.path("out"));
    change(&mut options);
    run(&options)
}

#[test]
fn documents_in_a_target_are_refused_with_their_number() {
    let (sources, targets) =
        ([source(1)], [document(&[int32("_id", 50)]), document(&[int32("_id", 51)])]);
    let parts = |targets: &[Vec<u8>]| {
        let (s, t) = (("d", "user_data"), ("d", "dataset_metadata"));
        vec![
            entry(s.0, s.1),
            entry(t.0, t.1),
            END.to_vec(),
            block(s.0, s.1, &sources),
            block(t.0, t.1, targets),
            close(s.0, s.1, &sources),
            close(t.0, t.1, targets),
        ]
    };
    let error = run_archive(&parts(&targets), |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the dump holds 2 documents (28 bytes) in the target collection d.dataset_metadata already; has the migration run before? --allow-existing-targets accepts them if none collides"
    );
    run_archive(&parts(&targets), |options| {
        options.existing_targets = mongosplit::transform::ExistingTargets::Check
    })
    .unwrap();
    run_archive(&parts(&[]), |_| {}).unwrap();
    let collides = run_archive(&parts(&[document(&[int32("_id", 1)])]), |options| {
        options.existing_targets = mongosplit::transform::ExistingTargets::Check
    })
    .unwrap_err();
    assert!(matches!(collides, Error::Check(_)), "{collides}");
}

#[test]
fn operations_on_the_source_in_an_archives_oplog_are_refused() {
    let sources = [source(1)];
    let operation =
        |namespace: &str| document(&[text("op", b"i"), text("ns", namespace.as_bytes())]);
    let parts = |operations: &[Vec<u8>]| {
        let log = ("", "oplog");
        vec![
            entry("d", "user_data"),
            entry(log.0, log.1),
            END.to_vec(),
            block("d", "user_data", &sources),
            close("d", "user_data", &sources),
            block(log.0, log.1, operations),
            close(log.0, log.1, operations),
        ]
    };
    let error =
        run_archive(&parts(&[operation("d.user_data"), operation("d.x")]), |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive's oplog has 1 of 2 operations on d.user_data, which happened during the dump and are not in its documents; dump again while nothing writes, or leave them out with --ignore-oplog"
    );
    let ignored =
        run_archive(&parts(&[operation("d.user_data")]), |options| options.ignore_oplog = true)
            .unwrap();
    assert!(
        ignored.remarks.iter().any(|remark| remark.contains("(--ignore-oplog)")),
        "{:?}",
        ignored.remarks
    );
    run_archive(&parts(&[operation("d.x")]), |_| {}).unwrap();
}

#[test]
fn views_and_time_series_are_refused() {
    for (kind, data, what) in [
        ("view", "user_data", "d.user_data is a view"),
        ("timeseries", "system.buckets.user_data", "d.user_data is a time series"),
    ] {
        let parts = [entry_of(b"d", b"user_data", kind), END.to_vec(), close("d", data, &[])];
        let error = run_archive(&parts, |_| {}).unwrap_err();
        assert!(error.to_string().starts_with(what), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn a_damaged_checksum_of_another_collection_is_found_by_inspect() {
    let (folder, other) = (World::new(), [document(&[int32("_id", 7)])]);
    let parts = [
        header(),
        entry("d", "user_data"),
        entry("d", "z"),
        END.to_vec(),
        block("d", "user_data", &[source(1)]),
        block("d", "z", &other),
    ];
    let ends = [close("d", "user_data", &[source(1)]), head("d", "z", 1, 1), END.to_vec()];
    let dump = folder.path("dump");
    fs::write(&dump, [parts.concat(), ends.concat()].concat()).unwrap();
    run(&options(&dump, &folder.path("out"))).unwrap();
    let report = inspected(&dump).unwrap();
    let holds: Vec<_> = report
        .collections
        .iter()
        .map(|collection| {
            (collection.namespace.as_str(), collection.documents, collection.checksum_holds)
        })
        .collect();
    assert_eq!(holds, [("d.user_data", 1, Some(true)), ("d.z", 1, Some(false))]);
    let reason = "the checksum of d.z does not match: the archive is damaged; dump again";
    assert_eq!((report.go, report.reasons), (false, vec![reason.to_owned()]));
}

fn inspected(dump: &Path) -> mongosplit::Result<inspect::Report> {
    inspect::inspect(&inspect::Options::new(dump), &Plan::built_in()?, &Silent)
}

// --- the output ---

/// `tests/crash.rs` has runs that fail on the way.
#[test]
fn manifest_sums_and_journal_of_an_archive_are_beside_it() {
    let folder = World::new();
    let (dump, out) = (folder.path("dump"), folder.path("out"));
    fs::write(&dump, small()).unwrap();
    let options = transform::Options { archive: true, ..options(&dump, &out) };
    for force in [false, true] {
        run(&transform::Options { force, ..options.clone() }).unwrap();
        let names: Vec<String> = files(&folder.path("")).into_keys().collect();
        assert_eq!(names, ["dump", "out", "out.SHA256SUMS", "out.manifest.json", "out.rollback"]);
        assert!(verified(&out).unwrap().differences.is_empty());
    }
    let refused = run(&options).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "'{}': already exists; name another archive, or give --force to replace it",
            out.display()
        )
    );
}

#[test]
fn verify_finds_every_flipped_byte_and_every_missing_file() {
    let folder = World::new();
    let (dump, out) = (folder.path("dump"), folder.path("out"));
    fs::write(&dump, small()).unwrap();
    for level in [None, Some(1)] {
        run(&transform::Options {
            archive: true,
            gzip_level: level,
            force: true,
            ..options(&dump, &out)
        })
        .unwrap();
        for name in ["out", "out.rollback", "out.SHA256SUMS", "out.manifest.json"] {
            let path = folder.path(name);
            let sound = fs::read(&path).unwrap();
            let holds = || verified(&out).is_ok_and(|report| report.differences.is_empty());
            for at in (0..sound.len()).step_by(if name == "out" { 3 } else { 17 }) {
                fs::write(&path, flip(&sound, at, 0x10)).unwrap();
                assert!(!holds(), "byte {at} of {name}");
            }
            fs::remove_file(&path).unwrap();
            assert!(!holds(), "{name} missing");
            fs::write(&path, &sound).unwrap();
            assert!(holds());
        }
        let stray = folder.path("out.rejected");
        fs::write(&stray, b"").unwrap();
        assert_eq!(
            texts(&verified(&out).unwrap()),
            ["'out.rejected' exists, but is not in the manifest"]
        );
        fs::remove_file(stray).unwrap();
    }
}

// --- pipes ---

#[test]
fn a_pipe_carries_the_same_archive_as_a_file() {
    let folder = World::new();
    let file = folder.path("x");
    run(&transform::Options { archive: true, ..options(&fixture("all.archive"), &file) }).unwrap();
    for input in ["all.archive", "all.archive.gz"] {
        let prefix = folder.path(input);
        let done = folder.run_fed(
            ["transform", "-", "-", "--archive", "--sidecar", prefix.to_str().unwrap()],
            fs::read(fixture(input)).unwrap(),
        );
        let report = &done.stderr;
        assert_eq!(done.code(), Some(0), "{report}");
        let printed = format!(
            "set -o pipefail; umask 077 mongosplit transform … | tee {}.new | mongorestore --uri \"$MONGODB_URI\" --stopOnError --nsInclude ",
            prefix.display()
        );
        // The shell joins what is continued.
        let joined = in_one_line(&report.replace("\\\n", " "));
        assert!(joined.contains(&printed), "{report}");
        assert!(done.bytes == fs::read(&file).unwrap());
        fs::write(&prefix, &done.bytes).unwrap();
        assert!(verified(&prefix).unwrap().differences.is_empty());
    }
}

#[test]
fn what_turns_bad_at_its_end_leaves_a_stream_that_ends_early() {
    let folder = World::new();
    let prefix = folder.path("x");
    let arguments = ["transform", "-", "-", "--archive", "--sidecar", prefix.to_str().unwrap()];
    let mut bad = source(2);
    *bad.last_mut().unwrap() = 1;
    let large = |number| {
        let fill = "x".repeat(1_000_000);
        document(&[int32("_id", number), text("user_id", b"u"), text("fill", fill.as_bytes())])
    };
    // Of a small stream nothing has gone out yet, so nothing is said of the database.
    let large: Vec<Vec<u8>> = (10..25).map(large).chain([bad.clone()]).collect();
    for (sources, is_out) in [(vec![source(1), bad], false), (large, true)] {
        let archive = [
            header(),
            entry("d", "user_data"),
            END.to_vec(),
            block("d", "user_data", &sources),
            close("d", "user_data", &sources),
        ]
        .concat();
        let done = folder.run_fed(arguments, &archive).exits(3);
        let advice = "the archive on standard output ends early, so mongorestore fails too, but documents may already be in the database. To try again, dump only the source collection, and use transform --force and mongorestore --drop; --drop deletes the target collections, so use it only if nothing else has been written to them";
        assert_eq!(done.stderr.contains(advice), is_out, "{}", done.stderr);
        assert_eq!(done.bytes.is_empty(), !is_out);
        assert!(read(&done.bytes).is_err());
        assert!(files(&folder.path("")).is_empty());
    }
}

#[test]
fn standard_streams_without_a_sidecar_are_refused() {
    let folder = World::new();
    folder.run_fed(["transform", "-", "-", "--archive"], b"").exits(2);
    folder.run_fed(["transform", "-", "-"], b"").exits(2);
    let out = folder.path("x");
    let done = folder.run_fed(["transform", "-", out.to_str().unwrap()], b"").exits(3);
    assert_eq!(
        done.stderr,
        "mongosplit: 'standard input': is empty, so it is not an archive; did mongodump fail?\n"
    );
}

#[test]
fn a_closed_pipe_ends_the_run_and_leaves_nothing() {
    let folder = World::new();
    let prefix = folder.path("x");
    let mut run =
        folder.start(
            binary()
                .args(["transform".as_ref(), fixture("dump").as_os_str(), "-".as_ref()])
                .args(["--archive".as_ref(), "--sidecar".as_ref(), prefix.as_os_str()]),
        );
    run.close_stdout();
    run.finish().exits(4);
    assert!(files(&folder.path("")).is_empty());
}

/// Of an archive that is a file the first of two documents is found by reading again; standard input cannot be.
#[test]
fn duplicates_are_named() {
    let folder = World::new();
    let documents = [source(1), source(2), source(1)];
    let bytes = [
        header(),
        entry("d", "user_data"),
        END.to_vec(),
        block("d", "user_data", &documents[..1]),
        block("d", "user_data", &documents[1..]),
        close("d", "user_data", &documents),
    ]
    .concat();
    let second =
        bytes.windows(documents[0].len()).rposition(|window| window == documents[0]).unwrap();
    let first =
        bytes.windows(documents[0].len()).position(|window| window == documents[0]).unwrap();
    let said = |name: &str, place: &str| {
        format!(
            "'{name}, d.user_data': a server would refuse 1 of the 3 documents of d.user_data:\n  \
             document 3 (byte offset {second}, _id 1): dataset_metadata: an earlier document has the same value in the unique \
             index 'dataset_id_1_unique'{place}\nfix them in the database and dump again, or leave them out with --skip-unrestorable"
        )
    };
    let dump = folder.path("dump.archive");
    fs::write(&dump, &bytes).unwrap();
    let error = run(&options(&dump, &folder.path("out"))).unwrap_err().to_string();
    assert_eq!(
        error,
        said(&dump.display().to_string(), &format!(": document 1 (byte offset {first}, _id 1)"))
    );
    let out = folder.path("out").display().to_string();
    let run = folder.run_fed(["transform", "-", &out], &bytes);
    assert_eq!(run.stderr, format!("mongosplit: {}\n", said("standard input", "")));
    run.exits(1);
}

#[test]
fn verify_finds_another_digest_in_the_manifest() {
    for gzip_level in [None, Some(1)] {
        let folder = World::new();
        let out = folder.path("out");
        run(&transform::Options { archive: true, gzip_level, ..options(&fixture("dump"), &out) })
            .unwrap();
        let path = folder.path("out.manifest.json");
        let mut manifest =
            mongosplit::manifest::Manifest::parse(&fs::read(&path).unwrap(), &path).unwrap();
        let digest = std::mem::replace(&mut manifest.sources[0].targets[1].digest, "0".repeat(32));
        fs::write(&path, manifest.to_text()).unwrap();
        let name = "narrative_modeling.transformation_configs";
        let said = format!(
            "'out' has digest {digest} of {name}, the manifest says 00000000000000000000000000000000"
        );
        assert_eq!(texts(&verified(&out).unwrap()), [said]);
    }
}

// --- what others have written ---

#[test]
fn the_corpus_is_read_or_refused() {
    let Some(corpus) = std::env::var_os("CORPUS").map(PathBuf::from) else { return };
    for (name, documents) in [
        ("mongo-tools/test.bar.archive", 2),
        ("mongodump/all.archive", 106),
        ("mongodump/all.archive.gz", 106),
    ] {
        let report = inspected(&corpus.join(name)).unwrap();
        assert!(report.damages.is_empty());
        assert_eq!(
            report.collections.iter().map(|collection| collection.documents).sum::<u64>(),
            documents,
            "{name}"
        );
    }
    let bad = inspected(&corpus.join("mongo-tools/bad-format.archive"));
    assert!(bad.is_err() || bad.is_ok_and(|report| report.exit_code() == 3));
    let folder = World::new();
    let (out, back) = (folder.path("out"), folder.path("back"));
    run(&transform::Options {
        archive: true,
        ..options(&corpus.join("mongodump/interleaved.archive.gz"), &out)
    })
    .unwrap();
    assert!(verified(&out).unwrap().differences.is_empty());
    let report = reverse::reverse(&reverse::Options::new(&out, &back), &Silent).unwrap();
    assert_eq!(report.manifest.sources[0].documents, 640);
}
