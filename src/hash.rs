//! Bytes counted and hashed as they pass.

use sha2::{Digest, Sha256};

use crate::raw;

/// How many bytes have passed, and their SHA-256.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    hasher: Sha256,
    bytes: u64,
}

impl Counted {
    /// Counts and hashes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }
    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// The number of bytes and their SHA-256 in hex.
    pub fn finish(self) -> (u64, String) {
        (self.bytes, raw::hex(&self.hasher.finalize()))
    }
}

/// The SHA-256 of some bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    raw::hex(&Sha256::digest(bytes))
}
