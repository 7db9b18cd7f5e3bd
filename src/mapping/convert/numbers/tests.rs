//! Numbers against tables, and against the bson crate and the standard library.

use super::*;
use bson::Decimal128;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn decimal(text: &str) -> Option<[u8; 16]> {
    Number::from_text(text.as_bytes())?.to_decimal()
}
fn double(text: &str) -> Option<f64> {
    Number::from_text(text.as_bytes())?.to_double()
}
fn integer(text: &str) -> Option<i64> {
    Number::from_text(text.as_bytes())?.to_integer()
}
fn text(number: Number, letter: u8) -> String {
    let mut out = Vec::new();
    number.write(letter, &mut out);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn texts_of_the_grammar_and_others() {
    for good in [
        "0",
        "-0",
        "7",
        "007",
        "1.0",
        "0.50",
        "1e5",
        "1E5",
        "1e+05",
        "1.5E-7",
        "NaN",
        "Infinity",
        "-Infinity",
        "9999999999999999999999999999999999",
        "0000000000000000000000000000000000001",
        "0.0000000000000000000000000000000000000000000000000001",
        "1e2147483647",
    ] {
        assert!(Number::from_text(good.as_bytes()).is_some(), "{good:?}");
    }
    for bad in [
        "",
        "-",
        "+1",
        "--1",
        " 1",
        "1 ",
        ".5",
        "5.",
        "-.5",
        ".",
        "1e",
        "1e+",
        "1e1.0",
        "e5",
        "0x10",
        "1_000",
        "1,5",
        "1.2.3",
        "nan",
        "-NaN",
        "inf",
        "Inf",
        "infinity",
        "+Infinity",
        "1f",
        "\u{0661}",
        "1\0",
        "1e2147483648",
        "1e99999999999999999999",
        // 35 digits.
        "10000000000000000000000000000000000",
        "1.0000000000000000000000000000000000",
    ] {
        assert_eq!(Number::from_text(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn decimals_keep_their_digits_and_exponent() {
    for (from, to) in [
        ("0", "0"),
        ("-0", "-0"),
        ("0.00", "0.00"),
        ("0e3", "0E+3"),
        ("1.0", "1.0"),
        ("1.50", "1.50"),
        ("100", "100"),
        ("1e2", "1E+2"),
        ("0010.5", "10.5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("12.3e-8", "1.23E-7"),
        ("1.2e5", "1.2E+5"),
        ("9999999999999999999999999999999999", "9999999999999999999999999999999999"),
        ("9.999999999999999999999999999999999e6144", "9.999999999999999999999999999999999E+6144"),
        ("1e-6176", "1E-6176"),
        ("1234567890123456789012345678901234e-6176", "1.234567890123456789012345678901234E-6143"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ] {
        let bytes = decimal(from).unwrap_or_else(|| panic!("{from:?}"));
        assert_eq!(Decimal128::from_bytes(bytes).to_string(), to);
        assert_eq!(text(Number::of_decimal(bytes).expect("a number"), b'E'), to);
    }
    // Some have the value of a decimal, but with other digits.
    for bad in ["1e6112", "0e6112", "0e-6177", "10e-6177", "1e-6177", "1e6145"] {
        assert_eq!(decimal(bad), None, "{bad:?}");
    }
}

#[test]
fn other_forms_of_decimals_are_no_numbers() {
    let of = |bits: u128| Number::of_decimal(bits.to_le_bytes());
    let one = 6176 << 113 | 1;
    assert_eq!(of(one), Some(Number::of_integer(1)));
    assert_eq!(of((6176 << 113) | (MAX_COEFFICIENT + 1)), None, "a coefficient of 35 digits");
    assert_eq!(of(0x60 << 120), None, "the form for large coefficients");
    assert_eq!(of(DECIMAL_NAN | DECIMAL_SIGN), None);
    assert_eq!(of(DECIMAL_NAN | 1), None);
    assert_eq!(of(0x7e << 120), None, "a signalling NaN");
    assert_eq!(of(DECIMAL_INFINITY | 1), None);
}

#[test]
fn doubles_are_exact_or_the_shortest_decimal() {
    for (from, to) in [
        ("0.1", 0.1),
        ("0.10", 0.1),
        ("1e-1", 0.1),
        ("0.30000000000000004", 0.1 + 0.2),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", f64::MAX),
        ("2.2250738585072014e-308", f64::MIN_POSITIVE),
        ("9007199254740992", 9_007_199_254_740_992.0),
        ("1152921504606846976", 1_152_921_504_606_846_976.0),
        ("1152921504606847000", 1_152_921_504_606_846_976.0),
        ("9.31322574615478515625e-10", 2f64.powi(-30)),
        ("9.313225746154785e-10", 2f64.powi(-30)),
        ("0e400", 0.0),
    ] {
        assert_eq!(double(from), Some(to), "{from:?}");
    }
    assert_eq!(double("-0.0").map(f64::to_bits), Some((-0f64).to_bits()));
    assert_eq!(double("NaN").map(f64::to_bits), Some(DOUBLE_NAN));
    for bad in [
        "0.1000000000000000055511151231257827",
        "0.10000000000000001",
        "4.9e-324",
        "1e-400",
        "1e400",
        "1.7976931348623159e308",
        "9007199254740993",
        "1152921504606846977",
    ] {
        assert_eq!(double(bad), None, "{bad:?}");
    }
}

#[test]
fn doubles_as_text_are_those_of_javascript() {
    for (from, to) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1500.0, "1500"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e20, "100000000000000000000"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (0.000_001, "0.000001"),
        (0.000_000_1, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NEG_INFINITY, "-Infinity"),
        (f64::from_bits(DOUBLE_NAN), "NaN"),
    ] {
        assert_eq!(text(Number::of_double(from).expect("a number"), b'e'), to);
    }
    for bits in [0xfff8_0000_0000_0000, 0x7ff8_0000_0000_0001, 0x7ff0_0000_0000_0001] {
        assert_eq!(Number::of_double(f64::from_bits(bits)), None);
    }
}

#[test]
fn integers_are_exact() {
    for (from, to) in [
        ("0", Some(0)),
        ("0.0", Some(0)),
        ("0e-6000", Some(0)),
        ("-0", None),
        ("1.0", Some(1)),
        ("1.5", None),
        ("12e2", Some(1200)),
        ("1200e-2", Some(12)),
        ("120e-2", None),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", None),
        ("-9223372036854775808", Some(i64::MIN)),
        ("-9223372036854775809", None),
        ("9999999999999999999999999999999999", None),
        ("1e18", Some(1_000_000_000_000_000_000)),
        ("1e19", None),
        ("1e38", None),
        ("9e38", None),
        ("1e1000", None),
        ("1e-1000", None),
        ("NaN", None),
        ("Infinity", None),
    ] {
        assert_eq!(integer(from), to, "{from:?}");
    }
    assert_eq!(double_to_integer(9_223_372_036_854_775_808.0), None);
    assert_eq!(double_to_integer(-9_223_372_036_854_775_808.0), Some(i64::MIN));
    assert_eq!(double_to_integer(-0.0), None);
    assert_eq!(double_to_integer(0.5), None);
    assert_eq!(double_to_integer(f64::NAN), None);
    assert_eq!(double_to_integer(f64::INFINITY), None);
    assert_eq!(integer_to_double((1 << 53) + 1), None);
    assert_eq!(integer_to_double(1 << 62), Some(4_611_686_018_427_387_904.0));
    assert_eq!(integer_to_double(i64::MAX), None);
    assert_eq!(integer_to_double(i64::MIN), Some(-9_223_372_036_854_775_808.0));
}

/// Whether a decimal has exactly the value of a double, by long multiplication on its text.
fn is_exactly_by_text(digits: Digits, double: f64) -> bool {
    // More digits than any double has.
    let expansion = format!("{:.1100}", double.abs());
    let (whole, fraction) = expansion.split_once('.').expect("a point");
    let all = format!("{whole}{fraction}");
    let exponent = -1100;
    let coefficient = digits.coefficient.to_string();
    let zeros = digits.exponent - exponent;
    if zeros < 0 {
        return false;
    }
    let padded = format!("{coefficient}{}", "0".repeat(zeros as usize));
    all.trim_start_matches('0') == padded.trim_start_matches('0')
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_double_comes_back_from_its_text(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(!double.is_nan());
        let number = Number::of_double(double).expect("a number");
        let text = text(number, b'e');
        prop_assert_eq!(text.parse::<f64>().expect("a double").to_bits(), bits);
        let again = Number::from_text(text.as_bytes()).expect("of the grammar");
        prop_assert_eq!(again, number);
        prop_assert_eq!(again.to_double().map(f64::to_bits), Some(bits));
        let decimal = number.to_decimal().expect("a decimal");
        prop_assert_eq!(Number::of_decimal(decimal), Some(number));
    }

    #[test]
    fn every_decimal_is_as_bson_reads_and_writes_it(
        negative in any::<bool>(),
        coefficient in prop_oneof![0..=MAX_COEFFICIENT, 0..1000u128],
        exponent in prop_oneof![EXPONENTS, -40..40i32],
    ) {
        let number = Number::Finite(Digits { negative, coefficient, exponent });
        let text = text(number, b'E');
        let bytes = number.to_decimal().expect("a decimal");
        prop_assert_eq!(Decimal128::from_bytes(bytes).to_string(), text.clone());
        prop_assert_eq!(text.parse::<Decimal128>().expect("a decimal").bytes(), bytes);
        prop_assert_eq!(Number::of_decimal(bytes), Some(number));
        prop_assert_eq!(Number::from_text(text.as_bytes()), Some(number));
    }

    #[test]
    fn texts_that_are_read_are_read_as_bson_reads_them(
        text in "-?[0-9]{1,40}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?",
    ) {
        if let Some(bytes) = decimal(&text) {
            prop_assert_eq!(text.parse::<Decimal128>().expect("a decimal").bytes(), bytes);
        }
        if let Some(double) = double(&text) {
            prop_assert_eq!(text.parse::<f64>().expect("a double").to_bits(), double.to_bits());
        }
        if let (Some(ours), Ok(theirs)) = (integer(&text), text.parse::<i64>()) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn exact_doubles_are_those_with_the_same_digits(
        mantissa in prop_oneof![0..1u64 << 53, 0..1000u64],
        power in -80..80i32,
        change in 0..3u128,
    ) {
        let double = mantissa as f64 * 2f64.powi(power);
        let expansion = format!("{double:.90}");
        let (whole, fraction) = expansion.split_once('.').expect("a point");
        let fraction = fraction.trim_end_matches('0');
        let Some(coefficient) = read_coefficient(whole.as_bytes(), fraction.as_bytes()) else {
            return Ok(());
        };
        let exponent = -(fraction.len() as i32);
        let coefficient = coefficient + change;
        prop_assume!(coefficient <= MAX_COEFFICIENT);
        let digits = Digits { negative: false, coefficient, exponent };
        prop_assert_eq!(digits.is_exactly(double), is_exactly_by_text(digits, double));
        prop_assert_eq!(digits.is_exactly(double), change == 0);
    }
}
