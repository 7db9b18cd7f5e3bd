//! Arbitrary bytes as an archive, and in the place of bytes of a true one: an error, or documents that are the archive's bytes
//! where they say that they are; the same whatever pieces it is read in, and with checksums that are right.
#![no_main]

mod shared;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mongosplit::base::archive_format::{FORMAT_VERSION, MAGIC, Reader, Seen, TERMINATOR, checksum};
use shared::Pieces;
use shared::data::{boolean, document, framed, int32, int64, text};
use shared::patched;

/// Two collections, their blocks mixed.
static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let number = int32("concurrent_collections", 4);
    let header = [
        number,
        text("version", FORMAT_VERSION),
        text("server_version", "8.0"),
        text("tool_version", "100"),
    ]
    .concat();
    let mut archive = [&MAGIC[..], &framed(&header)].concat();
    for (name, kind) in [("a", "collection"), ("b", "timeseries")] {
        let size = int32("size", 0);
        archive.extend(framed(
            &[
                text("db", "d"),
                text("collection", name),
                text("metadata", "{}"),
                size,
                text("type", kind),
            ]
            .concat(),
        ));
    }
    archive.extend(TERMINATOR);
    let one = document(&[int32("_id", 7)]);
    let mut crc = checksum();
    crc.update(&one);
    for (name, is_end) in [("a", 0), ("b", 0), ("b", 1), ("a", 1)] {
        let crc = if is_end == 1 { crc.finalize() } else { 0 };
        let end = [boolean("EOF", is_end), int64("CRC", crc)].concat();
        archive.extend(framed(&[text("db", "d"), text("collection", name), end].concat()));
        if is_end == 0 {
            archive.extend(&one);
        }
        archive.extend(TERMINATOR);
    }
    archive
});

/// Each document's namespace and offset, what was seen of the namespaces, and the error.
type Outcome = (Vec<(usize, u64)>, Vec<Seen>, Option<String>);

fn read(bytes: &[u8], piece: usize, checks: bool) -> Outcome {
    let mut reader = match Reader::open(Pieces(bytes, piece), "archive".into()) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Vec::new(), Some(error.to_string())),
    };
    let count = reader.prelude().entries.len();
    match checks {
        true => (0..count).for_each(|namespace| reader.check(namespace)),
        false => reader.check_all_and_continue(),
    }
    let mut documents = Vec::new();
    let mut sums = vec![(checksum(), 0, 0); count];
    let error = loop {
        match reader.next_document() {
            Ok(Some(document)) => {
                let at = document.offset as usize;
                assert_eq!(document.bytes, &bytes[at..at + document.bytes.len()]);
                assert_eq!(document.bytes[..4], (document.bytes.len() as u32).to_le_bytes());
                let (crc, many, size) = &mut sums[document.namespace];
                crc.update(document.bytes);
                (*many, *size) = (*many + 1, *size + document.bytes.len() as u64);
                documents.push((document.namespace, document.offset));
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    let seen: Vec<Seen> = (0..count).map(|namespace| reader.seen(namespace)).collect();
    for (seen, (_, many, size)) in seen.iter().zip(&sums) {
        assert_eq!((seen.documents, seen.bytes), (*many, *size));
    }
    if error.is_none() {
        assert!(seen.iter().all(|seen| if checks {
            seen.checksum_holds == Some(true)
        } else {
            seen.checksum_holds.is_some()
        }));
        for (seen, (crc, ..)) in
            seen.iter().zip(&sums).filter(|(seen, _)| seen.checksum_holds == Some(true))
        {
            // The end says it, so it stands somewhere in the archive.
            let crc = crc.finalize().to_le_bytes();
            assert!(bytes.windows(8).any(|window| window == crc), "{seen:?}");
        }
    }
    (documents, seen, error)
}

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else {
        let (documents, _, error) = read(&ARCHIVE, 1 << 20, true);
        assert_eq!((documents.len(), error), (2, None));
        return;
    };
    let archive = if mode & 1 == 0 { patched(&ARCHIVE, data) } else { data.to_vec() };
    let tolerant = read(&archive, 1 << 20, false);
    assert_eq!(read(&archive, usize::from(mode >> 1) + 1, false), tolerant);
    let strict = read(&archive, 1 << 20, true);
    assert!(strict == tolerant || strict.2.is_some());
});
