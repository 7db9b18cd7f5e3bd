//! Compares and scans bytes in words. Most names and values are so short that a call for each byte,
//! or even for each name, would cost more than the work itself.

use wide::u8x16;

/// Whether two slices are equal. For most names and values, comparing two words is faster than a
/// call.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.len() > 16 {
        return one == other;
    }
    match (one.first_chunk::<8>(), other.first_chunk::<8>()) {
        (Some(start), Some(other_start)) => {
            start == other_start && one.last_chunk::<8>() == other.last_chunk::<8>()
        }
        _ => head(one) == head(other),
    }
}

/// The first eight bytes as a number, and a mask of the bits that are in use.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> (u64, u64) {
    let length = bytes.len();
    if let Some(word) = bytes.first_chunk::<8>() {
        return (u64::from_le_bytes(*word), u64::MAX);
    }
    // Two overlapping words, because copying so few bytes would be a call.
    let word = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first))
                | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (word, (1 << (8 * length)) - 1)
}

/// Scans sixteen bytes at a time. Most names are shorter, so this is faster than a call for each.
#[derive(Clone, Copy)]
pub(super) struct Sixteen {
    /// Bit `i`: byte `i` is NUL.
    zeros: u32,
    /// Bit `i`: byte `i` is not ASCII.
    high: u32,
}

impl Sixteen {
    #[inline]
    fn of(bytes: &[u8; 16]) -> Self {
        let bytes = u8x16::new(*bytes);
        Sixteen {
            zeros: bytes.cmp_eq(u8x16::splat(0)).move_mask() as u32,
            high: bytes.move_mask() as u32,
        }
    }
    /// The number of bytes before the first NUL, and whether all of them are ASCII. `None` if there
    /// is no NUL.
    #[inline]
    fn name(self) -> Option<(usize, bool)> {
        let before = (self.zeros & self.zeros.wrapping_neg()).wrapping_sub(1);
        (self.zeros != 0).then(|| (self.zeros.trailing_zeros() as usize, self.high & before == 0))
    }
}

/// The length of the name at the start of `bytes`, without its NUL, and whether it is ASCII.
#[inline]
pub(super) fn scan_name(bytes: &[u8]) -> Option<(usize, bool)> {
    match bytes.first_chunk::<16>().and_then(|bytes| Sixteen::of(bytes).name()) {
        Some(name) => Some(name),
        None => scan_long_name(bytes),
    }
}

/// Like [`scan_name`], for a name that is long or near the end of the bytes.
fn scan_long_name(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut scanned = 0;
    let mut is_ascii = true;
    for bytes in bytes.as_chunks::<16>().0 {
        let bytes = Sixteen::of(bytes);
        if let Some((length, end_is_ascii)) = bytes.name() {
            return Some((scanned + length, is_ascii && end_is_ascii));
        }
        is_ascii &= bytes.high == 0;
        scanned += 16;
    }
    let length = scanned + bytes[scanned..].iter().position(|&byte| byte == 0)?;
    Some((length, is_ascii && bytes[scanned..length].is_ascii()))
}

/// The position of the first NUL.
#[inline]
pub(crate) fn nul_position(bytes: &[u8]) -> Option<usize> {
    scan_name(bytes).map(|(length, _)| length)
}

/// Whether a range of bytes is ASCII. The last sixteen bytes may reach back before the range, where
/// bits are masked out, so that a short text takes one step.
#[inline]
pub(super) fn is_ascii(document: &[u8], from: usize, to: usize) -> bool {
    let mut at = from;
    while let Some(bytes) = document[at..to].first_chunk::<16>() {
        if Sixteen::of(bytes).high != 0 {
            return false;
        }
        at += 16;
    }
    match document[..to].last_chunk::<16>() {
        Some(bytes) => Sixteen::of(bytes).high >> (16 - (to - at)) == 0,
        None => document[at..to].is_ascii(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Names of every length that the comparisons by words treat differently, ASCII and not.
    pub(in super::super) fn names() -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        for length in 0..40 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            for changed in 0..length {
                let mut other = name.clone();
                other[changed] = 0xc3;
                names.push(other);
            }
            names.push(name);
        }
        names
    }

    #[test]
    fn names_are_scanned_wherever_they_end() {
        for name in names() {
            for behind in 0..20 {
                let bytes = [&name[..], &[0], &vec![b'x'; behind]].concat();
                assert_eq!(
                    scan_name(&bytes),
                    Some((name.len(), name.is_ascii())),
                    "{name:?} before {behind} bytes"
                );
            }
            assert_eq!(scan_name(&name), None);
        }
    }

    #[test]
    fn ranges_are_ascii_whatever_stands_around_them() {
        for text in names() {
            for before in 0..20 {
                let bytes = [&vec![0xff; before], &text[..], &[0xff; 3]].concat();
                assert_eq!(
                    is_ascii(&bytes, before, before + text.len()),
                    text.is_ascii(),
                    "{text:?} behind {before} bytes"
                );
            }
        }
    }

    #[test]
    fn bytes_are_the_same_only_if_all_of_them_are() {
        let names = names();
        for one in &names {
            for other in &names {
                assert_eq!(same(one, other), one == other);
            }
        }
    }
}
