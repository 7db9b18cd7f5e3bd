//! Arbitrary bytes as the metadata of a collection: they are kept as they are, and its indexes can be told as commands.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mongosplit::Metadata;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(metadata)) = Metadata::parse(data.to_vec(), Path::new("m")) {
        assert_eq!(metadata.bytes(), data);
        assert!(metadata.ttl_indexes().len() <= metadata.index_names().len());
        assert_eq!(metadata.differences(&metadata), Vec::<String>::new());
        for command in metadata.create_index_commands("c") {
            assert!(command.starts_with("db.getCollection(\"c\").createIndex("));
            assert!(command.ends_with(')') && !command.contains('\n'));
        }
    }
});
