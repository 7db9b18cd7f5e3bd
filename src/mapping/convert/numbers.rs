//! Numbers of any type: their value, their text, and what of them another type holds exactly.

#[cfg(test)]
mod tests;

use std::io::Write;

use crate::raw::{Value, kind};

/// The most digits that the coefficient of a number may have, as in BSON's decimal.
const MAX_DIGITS: usize = 34;
/// 10 to the power of [`MAX_DIGITS`], less one.
const MAX_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
/// The exponents of BSON's decimal, and what is added to them in its bytes.
const EXPONENTS: std::ops::RangeInclusive<i32> = -6176..=6111;
const BIAS: i32 = 6176;
/// A decimal's bits, from the sign on, that make it infinite or no number.
const DECIMAL_INFINITY: u128 = 0x78 << 120;
const DECIMAL_NAN: u128 = 0x7c << 120;
const DECIMAL_SIGN: u128 = 1 << 127;
/// The only NaN among the doubles that other types can express.
const DOUBLE_NAN: u64 = 0x7ff8_0000_0000_0000;

/// A number as digits and an exponent, which is what text and BSON's decimal hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Nan,
    Infinite { negative: bool },
    Finite(Digits),
}

/// `coefficient` times 10 to the power of `exponent`. Zero has a sign too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    pub negative: bool,
    /// At most [`MAX_COEFFICIENT`].
    pub coefficient: u128,
    pub exponent: i32,
}

impl Number {
    /// The number of a numeric value. A double becomes the shortest decimal that reads back as it.
    /// `None` for other types, for a NaN with bits of its own, and for a decimal in a form that
    /// servers do not write.
    pub fn of(value: Value<'_>) -> Option<Number> {
        match value.kind {
            kind::INT32 | kind::INT64 => value.integer().map(Number::of_integer),
            kind::DOUBLE => value.double().and_then(Number::of_double),
            kind::DECIMAL128 => value.bytes.try_into().ok().and_then(Number::of_decimal),
            _ => None,
        }
    }
    /// The number of an integer.
    pub fn of_integer(integer: i64) -> Number {
        Number::Finite(Digits {
            negative: integer < 0,
            coefficient: integer.unsigned_abs().into(),
            exponent: 0,
        })
    }
    fn of_double(double: f64) -> Option<Number> {
        if double.is_nan() {
            return (double.to_bits() == DOUBLE_NAN).then_some(Number::Nan);
        }
        if double.is_infinite() {
            return Some(Number::Infinite { negative: double < 0.0 });
        }
        Some(Number::Finite(shortest(double)))
    }
    fn of_decimal(bytes: [u8; 16]) -> Option<Number> {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits & DECIMAL_SIGN != 0;
        match bits & !DECIMAL_SIGN {
            DECIMAL_NAN => return (!negative).then_some(Number::Nan),
            DECIMAL_INFINITY => return Some(Number::Infinite { negative }),
            _ => {}
        }
        // The form for larger coefficients, which count as zero, and NaNs with bits of their own
        // seem to have a larger exponent.
        let coefficient = bits & ((1 << 113) - 1);
        let exponent = (bits >> 113 & 0x3fff) as i32 - BIAS;
        (coefficient <= MAX_COEFFICIENT && EXPONENTS.contains(&exponent))
            .then_some(Number::Finite(Digits { negative, coefficient, exponent }))
    }

    /// Reads a text: `NaN`, `Infinity`, `-Infinity`, or an optional `-`, digits, optionally `.` and
    /// digits, and optionally `e` or `E`, an optional sign and digits. `None` for any other text,
    /// and for one of more than 34 digits without its leading zeros.
    pub fn from_text(text: &[u8]) -> Option<Number> {
        match text {
            b"NaN" => return Some(Number::Nan),
            b"Infinity" => return Some(Number::Infinite { negative: false }),
            b"-Infinity" => return Some(Number::Infinite { negative: true }),
            _ => {}
        }
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, rest) = take_digits(text);
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => {
                let (fraction, rest) = take_digits(rest);
                (Some(fraction), rest)
            }
            None => (None, rest),
        };
        if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        let exponent = read_exponent(rest)? - i64::try_from(fraction.len()).ok()?;
        let exponent = i32::try_from(exponent).ok()?;
        let coefficient = read_coefficient(whole, fraction)?;
        Some(Number::Finite(Digits { negative, coefficient, exponent }))
    }

    /// Appends the text, which [`Number::from_text`] reads as the same number, digit by digit:
    /// plain where the exponent is not positive and the first digit is not beyond the sixth place
    /// after the point, else with one digit in front of the point and an exponent after `letter`.
    ///
    /// With `E` this is the text that the specification of BSON's decimal prescribes, with `e` that
    /// of a number in JavaScript (but for the sign of zero).
    pub fn write(&self, letter: u8, out: &mut Vec<u8>) {
        match self {
            Number::Nan => out.extend_from_slice(b"NaN"),
            Number::Infinite { negative: false } => out.extend_from_slice(b"Infinity"),
            Number::Infinite { negative: true } => out.extend_from_slice(b"-Infinity"),
            Number::Finite(digits) => digits.write(letter, out),
        }
    }

    /// The bytes of the BSON decimal with these digits and this exponent, if there is one.
    pub fn to_decimal(self) -> Option<[u8; 16]> {
        let bits = match self {
            Number::Nan => DECIMAL_NAN,
            Number::Infinite { negative } => DECIMAL_INFINITY | sign_bit(negative),
            Number::Finite(Digits { negative, coefficient, exponent }) => {
                if !EXPONENTS.contains(&exponent) {
                    return None;
                }
                sign_bit(negative) | ((exponent + BIAS) as u128) << 113 | coefficient
            }
        };
        Some(bits.to_le_bytes())
    }
    /// The double of exactly this value, or the one whose shortest decimal this is.
    pub fn to_double(self) -> Option<f64> {
        match self {
            Number::Nan => Some(f64::from_bits(DOUBLE_NAN)),
            Number::Infinite { negative: false } => Some(f64::INFINITY),
            Number::Infinite { negative: true } => Some(f64::NEG_INFINITY),
            Number::Finite(digits) => digits.to_double(),
        }
    }
    /// The integer of exactly this value. Negative zero is none.
    pub fn to_integer(self) -> Option<i64> {
        match self {
            Number::Finite(digits) => digits.to_integer(),
            _ => None,
        }
    }
}

fn sign_bit(negative: bool) -> u128 {
    if negative { DECIMAL_SIGN } else { 0 }
}

/// The integer of exactly the value of a double. Negative zero is none.
pub(super) fn double_to_integer(double: f64) -> Option<i64> {
    // 2^63, the first integer that is too large.
    const END: f64 = 9_223_372_036_854_775_808.0;
    let is_integral = double.fract() == 0.0 && (-END..END).contains(&double);
    let is_negative_zero = double == 0.0 && double.is_sign_negative();
    (is_integral && !is_negative_zero).then_some(double as i64)
}

/// The double of exactly the value of an integer.
pub(super) fn integer_to_double(integer: i64) -> Option<f64> {
    let double = integer as f64;
    (double as i128 == i128::from(integer)).then_some(double)
}

/// Splits the digits from the start of a text.
fn take_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The coefficient that these digits are, if it has at most [`MAX_DIGITS`].
fn read_coefficient(whole: &[u8], fraction: &[u8]) -> Option<u128> {
    let digits = || whole.iter().chain(fraction).skip_while(|digit| **digit == b'0');
    if digits().nth(MAX_DIGITS).is_some() {
        return None;
    }
    Some(digits().fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0')))
}

/// The exponent that ends a number's text; 0 if nothing is left of the text.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let Some((b'e' | b'E', text)) = text.split_first() else {
        return text.is_empty().then_some(0);
    };
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (digits, rest) = take_digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let exponent = digits.iter().try_fold(0i64, |sum, digit| {
        let next = sum * 10 + i64::from(digit - b'0');
        (next <= i64::from(i32::MAX)).then_some(next)
    })?;
    Some(if negative { -exponent } else { exponent })
}

impl Digits {
    fn write(&self, letter: u8, out: &mut Vec<u8>) {
        let digits = self.coefficient.to_string();
        let first_place = i64::from(self.exponent) + digits.len() as i64 - 1;
        if self.negative {
            out.push(b'-');
        }
        if self.exponent > 0 || first_place < -6 {
            let (first, rest) = digits.split_at(1);
            out.extend_from_slice(first.as_bytes());
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest.as_bytes());
            }
            out.push(letter);
            out.extend_from_slice(format!("{first_place:+}").as_bytes());
            return;
        }
        let after_point = self.exponent.unsigned_abs() as usize;
        let zeros = (after_point + 1).saturating_sub(digits.len());
        let plain = ["0".repeat(zeros).as_str(), &digits].concat();
        let (whole, fraction) = plain.split_at(plain.len() - after_point);
        out.extend_from_slice(whole.as_bytes());
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
    }

    fn to_double(self) -> Option<f64> {
        let mut text = [0; 64];
        let mut rest = &mut text[..];
        write!(rest, "{}e{}", self.coefficient, self.exponent).ok()?;
        let length = 64 - rest.len();
        let double: f64 = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
        let double = if self.negative { -double } else { double };
        let same = double.is_finite()
            && (self.is_exactly(double) || self.reduced() == shortest(double).reduced());
        same.then_some(double)
    }
    /// Whether a finite double has exactly this value. The sign is not compared.
    fn is_exactly(&self, double: f64) -> bool {
        let bits = double.to_bits() & !(1 << 63);
        let mantissa_bits = bits & ((1 << 52) - 1);
        let (mantissa, power) = match (bits >> 52) as i64 {
            0 => (mantissa_bits, -1074),
            exponent => (mantissa_bits | 1 << 52, exponent - 1075),
        };
        if mantissa == 0 || self.coefficient == 0 {
            return mantissa == 0 && self.coefficient == 0;
        }
        // Compares the powers of two, and then what is left, which is odd.
        let twos = self.coefficient.trailing_zeros();
        let mantissa_twos = mantissa.trailing_zeros();
        if i64::from(twos) + i64::from(self.exponent) != power + i64::from(mantissa_twos) {
            return false;
        }
        let odd = self.coefficient >> twos;
        let mantissa_odd = u128::from(mantissa >> mantissa_twos);
        let fives = 5u128.checked_pow(self.exponent.unsigned_abs());
        let times_fives = |odd: u128| fives.and_then(|fives| odd.checked_mul(fives));
        if self.exponent >= 0 {
            times_fives(odd) == Some(mantissa_odd)
        } else {
            times_fives(mantissa_odd) == Some(odd)
        }
    }
    /// The same value with the shortest coefficient.
    fn reduced(mut self) -> Digits {
        if self.coefficient == 0 {
            return Digits { exponent: 0, ..self };
        }
        while self.coefficient.is_multiple_of(10) {
            self.coefficient /= 10;
            self.exponent += 1;
        }
        self
    }

    fn to_integer(self) -> Option<i64> {
        if self.coefficient == 0 {
            return (!self.negative).then_some(0);
        }
        let power = 10u128.checked_pow(self.exponent.unsigned_abs())?;
        let absolute = if self.exponent >= 0 {
            self.coefficient.checked_mul(power)?
        } else if self.coefficient.is_multiple_of(power) {
            self.coefficient / power
        } else {
            return None;
        };
        let absolute = i128::try_from(absolute).ok()?;
        i64::try_from(if self.negative { -absolute } else { absolute }).ok()
    }
}

/// The shortest decimal that reads back as this finite double, without an exponent where its value
/// is an integer below 10^21, as JavaScript writes it.
fn shortest(double: f64) -> Digits {
    let text = format!("{:e}", double.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let coefficient = read_coefficient(whole.as_bytes(), fraction.as_bytes()).unwrap_or_default();
    let exponent = exponent.parse::<i32>().unwrap_or_default() - fraction.len() as i32;
    let digits = Digits { negative: double.is_sign_negative(), coefficient, exponent };
    if (1..=20).contains(&exponent) && double.abs() < 1e21 {
        let coefficient = coefficient * 10u128.pow(exponent as u32);
        return Digits { coefficient, exponent: 0, ..digits };
    }
    digits
}
