//! Ways to do harm to an output, and to make its checksums right again afterwards.

use std::fs;
use std::path::Path;

/// Puts bytes behind those of a file.
pub fn append(path: impl AsRef<Path>, bytes: &[u8]) {
    let mut content = fs::read(&path).expect("a file");
    content.extend_from_slice(bytes);
    fs::write(path, content).expect("a file");
}

/// Changes the text of a file.
pub fn edit(path: impl AsRef<Path>, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(&path).expect("a text");
    fs::write(path, change(text)).expect("a text");
}

/// Bytes with some bits of one of them turned.
pub fn flip(bytes: &[u8], at: usize, bits: u8) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= bits;
    flipped
}

/// Makes a manifest's own checksum right again, after its text was changed.
pub fn reseal(text: &str) -> String {
    let at = text.rfind("  \"manifest_sha256\": \"").expect("a checksum");
    let checksum = mongosplit::hash::sha256(&text.as_bytes()[..at]);
    format!("{}  \"manifest_sha256\": \"{checksum}\"\n}}\n", &text[..at])
}
