//! The laws that all conversions keep.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Values of all types, those that convert more often than others.
fn values() -> impl Strategy<Value = Sample> {
    let number_text = "-?[0-9]{1,36}(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,4})?";
    let date_text = concat!(
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,5})?)?(Z|[+-][0-9]{2}:?[0-5][0-9])?)?",
    );
    prop_oneof![
        number_text.prop_map(|string| text(&string)),
        "-?[0-9]{1,4}(\\.[0-9]{1,3})?".prop_map(|string| text(&string)),
        date_text.prop_map(|string| text(&string)),
        "[0-3]?[0-9]/[01]?[0-9]/[12][0-9]{3}( [0-2]?[0-9]:[0-5][0-9])?".prop_map(|s| text(&s)),
        "[0-9a-fA-F]{24}".prop_map(|string| text(&string)),
        "(true|false|NaN|-?Infinity|.{0,8})".prop_map(|string| text(&string)),
        any::<i32>().prop_map(int),
        (-2..3i32).prop_map(int),
        any::<i64>().prop_map(long),
        (-2..3i64).prop_map(long),
        any::<u64>().prop_map(|bits| double(f64::from_bits(bits))),
        (any::<i64>(), 0..4i32).prop_map(|(n, power)| double(n as f64 / 10f64.powi(power))),
        (-200..200i32).prop_map(|n| double(f64::from(n) / 2.0)),
        any::<[u8; 16]>().prop_map(|bytes| sample(kind::DECIMAL128, &bytes)),
        (any::<i64>(), -20..20i32).prop_map(|(n, power)| decimal(&format!("{n}e{power}"))),
        (-20..20i64, -2..2i32).prop_map(|(n, power)| decimal(&format!("{n}e{power}"))),
        any::<bool>().prop_map(boolean),
        any::<u8>().prop_map(|byte| sample(kind::BOOLEAN, &[byte])),
        any::<i64>().prop_map(date),
        (-62_135_596_800_000i64..253_402_300_800_000).prop_map(date),
        (-20_000..20_000i64).prop_map(|days| date(days * 86_400_000)),
        any::<[u8; 12]>().prop_map(|bytes| sample(kind::OBJECT_ID, &bytes)),
        proptest::sample::select(others()),
    ]
}

/// Each conversion without formats, and some with.
fn conversions() -> Vec<Conversion> {
    let formats: [&[&str]; 4] = [
        &["%d/%m/%Y"],
        &["%m/%d/%Y %H:%M", "%d/%m/%Y"],
        &["%d/%m/%Y", "%m/%d/%Y"],
        &["%Y-%m-%dT%H:%M:%S.%L%z"],
    ];
    let with = formats
        .iter()
        .flat_map(|formats| [conversion(Type::Date, formats), conversion(Type::String, formats)]);
    TYPES.into_iter().map(|to| conversion(to, &[])).chain(with).collect()
}

/// The value of a number in another implementation, as far as a double says it.
fn nearest_double(value: &Sample) -> Option<f64> {
    let value = value.value();
    match value.kind {
        kind::INT32 | kind::INT64 => value.integer().map(|integer| integer as f64),
        kind::DOUBLE => value.double(),
        kind::DECIMAL128 => {
            let decimal = bson::Decimal128::from_bytes(value.bytes.try_into().ok()?);
            decimal.to_string().parse().ok()
        }
        kind::STRING => std::str::from_utf8(value.text()?).ok()?.parse().ok(),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000, failure_persistence: None, rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_goes_back_converts_to_the_same_bytes(value in values()) {
        for conversion in conversions() {
            for from in 0..=u8::MAX {
                if let Some(original) = back(&conversion, &value, from) {
                    prop_assert_eq!(original.kind, from);
                    prop_assert_eq!(convert(&conversion, &original), Some(value.clone()));
                }
            }
            let source = conversion.likely_source(value.value());
            if source != value.kind {
                prop_assert!(back(&conversion, &value, source).is_some());
            }
        }
    }

    #[test]
    fn what_converts_stays_and_comes_back_alike(value in values()) {
        for conversion in conversions() {
            let Some(converted) = convert(&conversion, &value) else { continue };
            prop_assert_eq!(converted.kind, kind_of(conversion.to));
            prop_assert_eq!(convert(&conversion, &converted), Some(converted.clone()));
            if let Some(original) = back(&conversion, &converted, value.kind) {
                let one_spelling = !matches!(value.kind, kind::STRING | kind::DECIMAL128);
                prop_assert!(!one_spelling || original == value, "{original:?} {value:?}");
            } else if value.kind != kind::OBJECT_ID {
                let before_year_1 = converted.kind == kind::DATE && value.kind == kind::STRING;
                prop_assert!(before_year_1, "{value:?} to {converted:?} does not come back");
            }
        }
    }

    #[test]
    fn numbers_keep_their_value(value in values()) {
        for to in [Type::Int, Type::Long, Type::Double, Type::Decimal, Type::String] {
            let Some(converted) = convert(&conversion(to, &[]), &value) else { continue };
            let numbers = (nearest_double(&value), nearest_double(&converted));
            if let (Some(before), Some(after)) = numbers {
                let same = before == after || before.is_nan() && after.is_nan();
                prop_assert!(same, "{value:?} became {converted:?}");
                prop_assert_eq!(before.is_sign_negative(), after.is_sign_negative());
            }
        }
    }
}
