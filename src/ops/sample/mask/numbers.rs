//! Replaces numbers. One is replaced by a number of its type and sign, with as many digits, on the same
//! side of all that the mapping compares with. Integers are replaced alike, whatever their type.

use super::Masker;
use crate::raw::{Value, kind};

/// Up to here, an integer is the same as a double.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Numbers besides the mapping's that stay, and between which others stay: truth, and where types end.
const BOUNDS: [f64; 8] = [
    -9_223_372_036_854_775_808.0,
    -EXACT,
    -2_147_483_649.0,
    0.0,
    1.0,
    2_147_483_648.0,
    EXACT,
    9_223_372_036_854_775_808.0,
];
const MANTISSA: u64 = (1 << 52) - 1;
/// The largest coefficient of a decimal has so many digits.
const DECIMAL_DIGITS: u32 = 34;
const DECIMAL_BIAS: i32 = 6176;
/// So many candidates are tried for one of which conversions, patterns and orders say the same.
pub(super) const CANDIDATES: usize = 64;

/// Whether an integer is one of those that are replaced alike in all types.
pub(super) fn is_exact(number: i64) -> bool {
    number.unsigned_abs() <= EXACT as u64
}

impl Masker {
    fn bounds(&self) -> impl Iterator<Item = f64> {
        BOUNDS.into_iter().chain(self.known.numbers().iter().copied())
    }

    /// What replaces an integer for which [`is_exact`] holds.
    pub(super) fn integer(&self, number: i64) -> i64 {
        let digits = number.unsigned_abs().checked_ilog10().unwrap_or_default();
        let (mut low, mut high) = (10i128.pow(digits), 10i128.pow(digits + 1) - 1);
        if number < 0 {
            (low, high) = (-high, -low);
        }
        for bound in self.bounds() {
            match (number as f64).total_cmp(&(bound + 0.0)) {
                std::cmp::Ordering::Equal => return number,
                // Casts of doubles end at the largest integers.
                std::cmp::Ordering::Greater => low = low.max(bound.floor() as i128 + 1),
                std::cmp::Ordering::Less => high = high.min(bound.ceil() as i128 - 1),
            }
        }
        let many = (high - low + 1).unsigned_abs();
        let place = (i128::from(number) - low).unsigned_abs();
        let image = self.key.permute(&low.to_le_bytes(), many, place);
        i64::try_from(low + image as i128).unwrap_or(number)
    }

    pub(super) fn int32(&self, value: Value<'_>) -> Vec<u8> {
        let number = self.integer(value.integer().unwrap_or_default());
        (number as i32).to_le_bytes().to_vec()
    }

    pub(super) fn int64(&self, value: Value<'_>) -> Vec<u8> {
        let number = value.integer().unwrap_or_default();
        if is_exact(number) {
            return self.integer(number).to_le_bytes().to_vec();
        }
        let is_double = |number: i64| number as f64 as i128 == i128::from(number);
        if is_double(number) {
            return (self.double_of(number as f64) as i64).to_le_bytes().to_vec();
        }
        let power = 1u64 << number.unsigned_abs().ilog2();
        let mut place = number.unsigned_abs() - power;
        for _ in 0..CANDIDATES {
            place = self.key.permute(b"int64", u128::from(power), u128::from(place)) as u64;
            let image = ((power + place) as i64).wrapping_mul(number.signum());
            if !is_double(image) && self.is_alike(value, &image.to_le_bytes()) {
                break;
            }
        }
        ((power + place) as i64).wrapping_mul(number.signum()).to_le_bytes().to_vec()
    }

    pub(super) fn double(&self, value: Value<'_>) -> Vec<u8> {
        self.double_of(value.double().unwrap_or_default()).to_le_bytes().to_vec()
    }

    fn double_of(&self, number: f64) -> f64 {
        let absolute = number.abs();
        if number.is_infinite() || number == 0.0 {
            return number;
        }
        if number.fract() == 0.0 && absolute <= EXACT {
            return self.integer(number as i64) as f64;
        }
        let bits = absolute.to_bits();
        let (mut low, mut high) = (bits & !MANTISSA, bits | MANTISSA);
        if number.is_nan() {
            // All zeros would be infinite; the usual NaN has nothing in it.
            low += 1;
            if number.to_bits() & !(1 << 63) == f64::NAN.to_bits() {
                return number;
            }
        }
        for bound in self.bounds() {
            let bound = if number < 0.0 { -bound } else { bound };
            if bound == absolute {
                return number;
            }
            match bound < absolute {
                _ if bound <= 0.0 || number.is_nan() => {}
                true => low = low.max(bound.to_bits() + 1),
                false => high = high.min(bound.to_bits() - 1),
            }
        }
        let mut place = bits - low;
        loop {
            let what = [b"double".as_slice(), &low.to_le_bytes()].concat();
            let many = u128::from(high - low) + 1;
            place = self.key.permute(&what, many, u128::from(place)) as u64;
            let image = f64::from_bits(low + place).copysign(number);
            // The walk comes back to the number itself at last.
            if image.is_nan() || (image.fract() == 0.0) == (number.fract() == 0.0) {
                return image;
            }
        }
    }

    pub(super) fn decimal(&self, value: Value<'_>) -> Vec<u8> {
        let Ok(bytes) = <[u8; 16]>::try_from(value.bytes) else { return value.bytes.to_vec() };
        let bits = u128::from_le_bytes(bytes);
        let (coefficient, rest) = (bits & ((1 << 113) - 1), bits >> 113 << 113);
        let is_special = bits >> 125 & 3 == 3 || coefficient >= 10u128.pow(DECIMAL_DIGITS);
        if coefficient == 0 && !is_special {
            return bytes.to_vec();
        }
        if is_special {
            // No number, or one in a form that no server writes. The largest bits say which.
            let (rest, low) = (bits >> 110 << 110, bits & ((1 << 110) - 1));
            let image = match low {
                0 => 0,
                low => 1 + self.key.permute(b"special", (1 << 110) - 1, low - 1),
            };
            return (rest | image).to_le_bytes().to_vec();
        }
        let exponent = (bits >> 113 & 0x3fff) as i32 - DECIMAL_BIAS;
        let is_negative = bits >> 127 != 0;
        if let Some(power) = 10u128.checked_pow(exponent.unsigned_abs()).filter(|_| exponent <= 0)
            && coefficient.is_multiple_of(power)
            && coefficient / power <= EXACT as u128
        {
            let whole = (coefficient / power) as i64;
            let image = self.integer(if is_negative { -whole } else { whole });
            let coefficient = u128::from(image.unsigned_abs()) * power;
            return (rest | coefficient).to_le_bytes().to_vec();
        }
        let side = |coefficient: u128| -> Vec<Option<std::cmp::Ordering>> {
            let sign = if is_negative { "-" } else { "" };
            let number: f64 = format!("{sign}{coefficient}e{exponent}").parse().unwrap_or_default();
            self.bounds().map(|bound| number.partial_cmp(&bound)).collect()
        };
        let low = 10u128.pow(coefficient.ilog10());
        let (own, mut image) = (side(coefficient), coefficient);
        if own.contains(&Some(std::cmp::Ordering::Equal)) {
            return bytes.to_vec();
        }
        for _ in 0..CANDIDATES {
            image = low + self.key.permute(b"decimal", 9 * low, image - low);
            let is_same = image.is_multiple_of(10) == coefficient.is_multiple_of(10);
            let candidate = (rest | image).to_le_bytes();
            if is_same && side(image) == own && self.is_alike(value, &candidate) {
                break;
            }
        }
        (rest | image).to_le_bytes().to_vec()
    }

    /// A number on the same side of all constants of its type.
    pub(super) fn between(&self, value: Value<'_>, number: u128, bits: u32) -> u128 {
        let (mut low, mut high) = (0, (1u128 << bits) - 1);
        for constant in self.known.constants(value.kind) {
            let bound = ordinal(constant);
            match number.cmp(&bound) {
                std::cmp::Ordering::Equal => return number,
                std::cmp::Ordering::Greater => low = low.max(bound + 1),
                std::cmp::Ordering::Less => high = high.min(bound - 1),
            }
        }
        low + self.key.permute(&[value.kind], high - low + 1, number - low)
    }

    pub(super) fn object_id(&self, value: Value<'_>) -> Vec<u8> {
        self.between(value, ordinal(value), 96).to_be_bytes()[4..].to_vec()
    }

    pub(super) fn timestamp(&self, value: Value<'_>) -> Vec<u8> {
        (self.between(value, ordinal(value), 64) as u64).to_le_bytes().to_vec()
    }
}

/// An ObjectId or a timestamp as a number in the order of its type.
fn ordinal(value: Value<'_>) -> u128 {
    let shift = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    match value.kind {
        kind::TIMESTAMP => value.bytes.iter().rev().fold(0, shift),
        _ => value.bytes.iter().fold(0, shift),
    }
}
