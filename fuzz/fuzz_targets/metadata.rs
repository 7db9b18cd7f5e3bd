//! Arbitrary bytes as the metadata of a collection: they are kept as they are, and its indexes can be told as commands.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mongosplit::dump::{Metadata, create_index_command};

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(metadata)) = Metadata::parse(data.to_vec(), Path::new("m")) {
        assert_eq!(metadata.bytes, data);
        assert!(metadata.own_indexes().count() <= metadata.indexes.len());
        assert!(metadata.ttl_indexes().len() <= metadata.indexes.len());
        for index in &metadata.indexes {
            let command = create_index_command("c", index);
            assert!(command.starts_with("db.getCollection(\"c\").createIndex(") && command.ends_with(')') && !command.contains('\n'));
        }
    }
});
