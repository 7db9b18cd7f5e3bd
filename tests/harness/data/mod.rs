//! BSON as bytes, and documents and mappings made by chance. The fuzz targets use this too, so it needs nothing else.
#![allow(dead_code)]

pub mod documents;
pub mod mappings;

/// The documents that stand one behind the other in bytes that are nothing else.
pub fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    while let Some(length) = bytes.first_chunk::<4>() {
        let (document, rest) = bytes.split_at(u32::from_le_bytes(*length) as usize);
        documents.push(document);
        bytes = rest;
    }
    documents
}

/// Numbers by chance, the same for a seed on every machine (xorshift64*).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance(seed ^ 0x9e37_79b9_7f4a_7c15);
        chance.0 |= 1;
        for _ in 0..4 {
            chance.next();
        }
        chance
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 11) % bound as u64) as usize
    }
    /// True once in so many times.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
    pub fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }
}

/// The bytes of hexadecimal digits.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of digits");
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A document of these elements.
pub fn framed(elements: &[u8]) -> Vec<u8> {
    let mut document = (elements.len() as u32 + 5).to_le_bytes().to_vec();
    document.extend_from_slice(elements);
    document.push(0);
    document
}

/// An element: type, name, value.
pub fn element(kind: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[kind], name, &[0], value].concat()
}

/// The value of a string.
pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32 + 1).to_le_bytes()[..], text, &[0]].concat()
}

/// A document of these elements, one by one.
pub fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    framed(&elements.concat())
}

pub fn text(name: &str, text: impl AsRef<[u8]>) -> Vec<u8> {
    element(2, name.as_bytes(), &string(text.as_ref()))
}

pub fn boolean(name: &str, byte: u8) -> Vec<u8> {
    element(8, name.as_bytes(), &[byte])
}

pub fn int32(name: &str, number: i32) -> Vec<u8> {
    element(16, name.as_bytes(), &number.to_le_bytes())
}

pub fn int64(name: &str, number: u64) -> Vec<u8> {
    element(18, name.as_bytes(), &number.to_le_bytes())
}
