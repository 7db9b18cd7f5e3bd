//! Arbitrary bytes as a manifest, with their own checksum and as it may have been damaged: what is accepted is written
//! again as it was read, and its paths stay below the output.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mongosplit::hash::sha256;
use mongosplit::manifest::Manifest;

fuzz_target!(|data: &[u8]| {
    let _ = Manifest::parse(data, Path::new("m"));
    let mut text = data.to_vec();
    text.extend_from_slice(b",\n");
    let checksum = sha256(&text);
    text.extend_from_slice(format!("  \"manifest_sha256\": \"{checksum}\"\n}}\n").as_bytes());
    if let Ok(manifest) = Manifest::parse(&text, Path::new("m")) {
        let mut paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert!(
            paths.iter().all(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")))
        );
        paths.sort_unstable();
        assert!(paths.windows(2).all(|pair| pair[0] != pair[1]));
        let again =
            Manifest::parse(manifest.to_text().as_bytes(), Path::new("m")).expect("its own text");
        assert_eq!(again, manifest);
    }
});
