//! Text as symbols: each byte or character with the class that its replacement is of. Replacing a
//! symbol by another of its class changes neither the length nor where text is UTF-8.

use super::key::{Key, Numbers, ROUNDS};

/// Signs of which four and more in a row are text of their own; fewer only structure it.
const SIGNS: &[u8; 32] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const HEX: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
/// So many signs in a row are replaced, and so many hexadecimal digits are taken for such.
const LEAST_SIGNS: usize = 4;
const LEAST_HEX: usize = 8;

/// Ranges of characters: of one UTF-8 length each, and replaced by one of the same.
const CHARACTERS: [(u32, u32); 11] = [
    ('a' as u32, 'z' as u32),
    ('A' as u32, 'Z' as u32),
    ('0' as u32, '9' as u32),
    (0x80, 0x9f),
    (0xa0, 0xbf),
    (0xc0, 0x7ff),
    (0x800, 0x1fff),
    (0x2000, 0x206f),
    (0x2070, 0xd7ff),
    (0xe000, 0xffff),
    (0x1_0000, 0x10_ffff),
];

/// Ranges of bytes that are not part of UTF-8: those that its definition (RFC 3629, section 4) tells
/// apart, so that no sequence becomes valid.
const BYTES: [(u8, u8); 14] = [
    (0x80, 0x8f),
    (0x90, 0x9f),
    (0xa0, 0xbf),
    (0xc0, 0xc1),
    (0xc2, 0xdf),
    (0xe0, 0xe0),
    (0xe1, 0xec),
    (0xed, 0xed),
    (0xee, 0xef),
    (0xf0, 0xf0),
    (0xf1, 0xf3),
    (0xf4, 0xf4),
    (0xf5, 0xf7),
    (0xf8, 0xff),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Stays.
    Fixed,
    Sign,
    Hex,
    HexUpper,
    Byte,
    /// The number of one of [`CHARACTERS`].
    Character(u8),
    /// The number of one of [`BYTES`].
    Invalid(u8),
}

impl Class {
    /// How many symbols it has.
    fn size(self) -> u32 {
        match self {
            Class::Fixed => 1,
            Class::Sign => SIGNS.len() as u32,
            Class::Hex | Class::HexUpper => 16,
            Class::Byte => 256,
            Class::Character(number) => {
                let (first, last) = CHARACTERS[usize::from(number)];
                last - first + 1
            }
            Class::Invalid(number) => {
                let (first, last) = BYTES[usize::from(number)];
                u32::from(last - first) + 1
            }
        }
    }
    fn number(self) -> u8 {
        match self {
            Class::Fixed => 0,
            Class::Sign => 1,
            Class::Hex => 2,
            Class::HexUpper => 3,
            Class::Byte => 4,
            Class::Character(number) => 16 + number,
            Class::Invalid(number) => 32 + number,
        }
    }
}

/// A symbol: its class, and its number in it; of a fixed one, the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    class: Class,
    number: u32,
}

impl Symbol {
    /// Other symbols of its class, the same for a seed.
    pub fn others(self, numbers: &mut Numbers) -> impl Iterator<Item = Symbol> {
        let size = self.class.size();
        let first = numbers.next().unwrap_or_default() % size;
        let all = (0..size.min(MOST_OTHERS)).map(move |step| (first + step) % size);
        all.map(move |number| Symbol { number, ..self })
    }
    fn write(self, out: &mut Vec<u8>) {
        let at = self.number as usize;
        match self.class {
            Class::Fixed | Class::Byte => out.push(self.number as u8),
            Class::Sign => out.push(SIGNS[at]),
            Class::Hex => out.push(HEX[at]),
            Class::HexUpper => out.push(HEX_UPPER[at]),
            Class::Character(class) => {
                let code = CHARACTERS[usize::from(class)].0 + self.number;
                let mut bytes = [0; 4];
                let letter = char::from_u32(code).unwrap_or('?');
                out.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
            }
            Class::Invalid(class) => out.push(BYTES[usize::from(class)].0 + self.number as u8),
        }
    }
}

/// How many other symbols are tried in place of one.
const MOST_OTHERS: u32 = 36;

/// What a text is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// The name of a field, in which signs mean something.
    Name,
    Bytes,
}

/// The symbols of a text.
pub(super) fn read(text: &[u8], kind: Kind) -> Vec<Symbol> {
    let symbol = |class, number| Symbol { class, number };
    if kind == Kind::Bytes {
        return text.iter().map(|byte| symbol(Class::Byte, u32::from(*byte))).collect();
    }
    if let Some((class, digits)) = hex_class(text) {
        let number = |byte: &u8| digits.iter().position(|digit| digit == byte).unwrap_or(0) as u32;
        return text.iter().map(|byte| symbol(class, number(byte))).collect();
    }
    let mut symbols = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let code = letter as u32;
            let is_in = |(first, last): &(u32, u32)| (*first..=*last).contains(&code);
            symbols.push(match CHARACTERS.iter().position(is_in) {
                Some(class) => symbol(Class::Character(class as u8), code - CHARACTERS[class].0),
                None => symbol(Class::Fixed, code),
            });
        }
        for byte in chunk.invalid() {
            let is_in = |(first, last): &(u8, u8)| (*first..=*last).contains(byte);
            symbols.push(match BYTES.iter().position(is_in) {
                Some(class) => {
                    symbol(Class::Invalid(class as u8), u32::from(byte - BYTES[class].0))
                }
                // The ASCII bytes are all valid.
                None => symbol(Class::Fixed, u32::from(*byte)),
            });
        }
    }
    if kind == Kind::Text {
        replace_runs_of_signs(&mut symbols);
    }
    symbols
}

/// Whether a text is all hexadecimal digits of one case, not all of them decimal.
pub(super) fn is_hex(text: &[u8]) -> bool {
    hex_class(text).is_some()
}

fn hex_class(text: &[u8]) -> Option<(Class, &'static [u8; 16])> {
    if text.len() < LEAST_HEX || text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let all = [(Class::Hex, HEX), (Class::HexUpper, HEX_UPPER)];
    all.into_iter().find(|(_, digits)| text.iter().all(|byte| digits.contains(byte)))
}

fn replace_runs_of_signs(symbols: &mut [Symbol]) {
    let sign_of = |symbol: &Symbol| {
        let is_it = |sign: &u8| u32::from(*sign) == symbol.number;
        SIGNS.iter().position(is_it).filter(|_| symbol.class == Class::Fixed)
    };
    let alike = |one: &Symbol, other: &Symbol| sign_of(one).is_some() == sign_of(other).is_some();
    for run in symbols.chunk_by_mut(alike) {
        if run.len() < LEAST_SIGNS {
            continue;
        }
        for symbol in run {
            if let Some(number) = sign_of(symbol) {
                *symbol = Symbol { class: Class::Sign, number: number as u32 };
            }
        }
    }
}

/// The text of symbols.
pub(super) fn write(symbols: &[Symbol]) -> Vec<u8> {
    let mut text = Vec::with_capacity(symbols.len());
    symbols.iter().for_each(|symbol| symbol.write(&mut text));
    text
}

/// Replaces all symbols, each by one of its class. This is a permutation of the texts with the same
/// classes: a Feistel network in which the symbols at even places shift those at odd ones, and these
/// shift those.
pub(super) fn replace(key: &Key, symbols: &mut [Symbol]) {
    let classes = symbols.iter().map(|symbol| match symbol.class {
        Class::Fixed => [0, symbol.number as u8],
        class => [class.number(), 0],
    });
    let classes: Vec<u8> = classes.flatten().collect();
    let classes = key.hash(&[b"classes", &classes]);
    let is_free = |symbol: &&mut Symbol| symbol.class != Class::Fixed;
    let mut halves = [Vec::new(), Vec::new()];
    for (place, symbol) in symbols.iter_mut().filter(is_free).enumerate() {
        halves[place % 2].push(symbol);
    }
    let [even, odd] = &mut halves;
    for round in 0..ROUNDS {
        let (from, to) = if round % 2 == 0 { (&*odd, &mut *even) } else { (&*even, &mut *odd) };
        let numbers: Vec<u8> = from.iter().flat_map(|symbol| symbol.number.to_le_bytes()).collect();
        let seed = key.hash(&[b"symbols", &classes, &[round], &numbers]);
        for (symbol, shift) in to.iter_mut().zip(Numbers::new(seed)) {
            let size = symbol.class.size();
            symbol.number = (symbol.number + shift % size) % size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn masked(key: &Key, text: &[u8], kind: Kind) -> Vec<u8> {
        let mut symbols = read(text, kind);
        assert_eq!(write(&symbols), text);
        replace(key, &mut symbols);
        write(&symbols)
    }

    #[test]
    fn a_text_keeps_its_form() {
        let key = Key::new(b"sixteen bytes key").expect("a key");
        let of = |text: &str| {
            let masked = masked(&key, text.as_bytes(), Kind::Text);
            assert_eq!(masked.len(), text.len());
            String::from_utf8(masked).expect("UTF-8")
        };
        let mail = of("Jane.Doe+7@example.com");
        assert!(!mail.contains("xample") && mail[4..5] == *"." && mail[10..11] == *"@", "{mail}");
        assert!(mail.as_bytes()[0].is_ascii_uppercase() && mail.as_bytes()[9].is_ascii_digit());
        assert!(of("0123456789abcdef").bytes().all(|byte| HEX.contains(&byte)));
        assert_ne!(of("#*#*!?"), "#*#*!?");
        for text in ["", " ", "Grüße, Ωμέγα", "日本語テキスト", "😀😀😀", "\u{2028}\u{feff}a"]
        {
            assert_eq!(of(text).chars().count(), text.chars().count());
        }
    }

    #[test]
    fn what_is_not_utf8_is_not_utf8_in_the_same_places() {
        let key = Key::new(b"sixteen bytes key").expect("a key");
        let shape = |bytes: &[u8]| -> Vec<(usize, usize)> {
            bytes.utf8_chunks().map(|chunk| (chunk.valid().len(), chunk.invalid().len())).collect()
        };
        let mut numbers = Numbers::new([3; 32]);
        for _ in 0..20_000 {
            let mut byte = || match numbers.next().expect("a number") {
                number if number % 3 == 0 => b'a',
                number => (number >> 8) as u8 | 0x80,
            };
            let text: Vec<u8> = (0..9).map(|_| byte()).collect();
            assert_eq!(shape(&masked(&key, &text, Kind::Text)), shape(&text), "{text:x?}");
        }
    }

    #[test]
    fn different_texts_stay_different() {
        let key = Key::new(b"sixteen bytes key").expect("a key");
        let texts = (0..1000).map(|number| format!("u{number:03}"));
        let all: BTreeSet<Vec<u8>> =
            texts.map(|text| masked(&key, text.as_bytes(), Kind::Text)).collect();
        assert_eq!(all.len(), 1000);
        let all: BTreeSet<Vec<u8>> =
            (0..=255).map(|byte| masked(&key, &[byte], Kind::Bytes)).collect();
        assert_eq!(all.len(), 256);
    }
}
