//! Tables of each pair of types.

use super::*;

#[test]
fn what_has_the_type_stays_and_what_has_no_conversion_is_refused() {
    for to in TYPES {
        let conversion = conversion(to, &[]);
        refuses(&conversion, &others());
        for value in [
            text("any"),
            oid(ID),
            boolean(true),
            sample(kind::BOOLEAN, &[7]),
            int(-1),
            long(-1),
            double(f64::NAN),
            decimal("-1.10"),
            sample(kind::DECIMAL128, &[0xff; 16]),
            date(i64::MIN),
        ] {
            if value.kind == kind_of(to) {
                inverts(&conversion, &[(value.clone(), value)]);
            }
        }
        for other in others() {
            assert_eq!(back(&conversion, &other, kind::STRING), None);
            assert_eq!(back(&conversion, &other, other.kind), None);
            assert_eq!(conversion.likely_source(other.value()), other.kind);
        }
    }
}

#[test]
fn to_date() {
    let to = conversion(Type::Date, &[]);
    let ms = 1_760_350_523_123;
    inverts(
        &to,
        &[
            (text("2025-10-13T10:15:23.123+00:00"), date(ms)),
            (long(ms), date(ms)),
            (long(i64::MIN), date(i64::MIN)),
            (int(-5), date(-5)),
            (double(ms as f64), date(ms)),
            (double(-9_223_372_036_854_775_808.0), date(i64::MIN)),
            (decimal("1760350523123"), date(ms)),
        ],
    );
    let iso = text("2025-10-13T10:15:23.123+00:00");
    accepts(
        &to,
        &[
            (text("2025-10-13T10:15:23.123Z"), date(ms), Some(iso.clone())),
            (text("2025-10-13T10:15:23.123999Z"), date(ms), Some(iso.clone())),
            (text("2025-10-13 12:15:23.123+0200"), date(ms), Some(iso)),
            (text("1970-01-01"), date(0), Some(text("1970-01-01T00:00:00.000+00:00"))),
            (text("0001-01-01T00:00+00:01"), date(-62_135_596_860_000), None),
            (decimal("12.0"), date(12), Some(decimal("12"))),
            (decimal("1E+3"), date(1000), Some(decimal("1000"))),
            (oid(ID), date(1_350_508_407_000), None),
            (oid("ffffffff0000000000000000"), date(4_294_967_295_000), None),
        ],
    );
    refuses(
        &to,
        &[
            text(""),
            text("2025"),
            text("0"),
            text("13.10.2025"),
            boolean(true),
            double(0.5),
            double(-0.0),
            double(f64::NAN),
            double(9_223_372_036_854_775_808.0),
            decimal("0.5"),
            decimal("NaN"),
            decimal("-0"),
            decimal("1E+30"),
        ],
    );
    assert_eq!(back(&to, &date(1 << 40), kind::INT32), None);
    assert_eq!(back(&to, &date((1 << 53) + 1), kind::DOUBLE), None);
    assert_eq!(to.likely_source(date(0).value()), kind::STRING);
    assert_eq!(to.likely_source(date(i64::MAX).value()), kind::DATE);
}

#[test]
fn to_date_by_formats() {
    let to = conversion(Type::Date, &["%d/%m/%Y", "%m/%d/%Y %H:%M"]);
    let (ms, of_day) = (1_741_564_800_000, 33_900_000);
    inverts(&to, &[(text("10/03/2025"), date(ms)), (text("03/10/2025 09:25"), date(ms + of_day))]);
    accepts(
        &to,
        &[
            (text("10/3/2025"), date(ms), Some(text("10/03/2025"))),
            (text("03/10/2025 00:00"), date(ms), Some(text("10/03/2025"))),
        ],
    );
    refuses(&to, &[text("2025-03-10"), text("3/13/2025"), text("10/03/2025 09:25:00")]);
    // Neither format says seconds.
    assert_eq!(back(&to, &date(ms + 1000), kind::STRING), None);
    // With a format, nothing but text converts.
    refuses(&to, &[long(ms + 1), int(1), oid(ID)]);
    assert_eq!(back(&to, &date(ms + 1), kind::INT64), None);
    let or_iso = conversion(Type::Date, &["%d/%m/%Y", "iso"]);
    inverts(&or_iso, &[(text("10/03/2025"), date(ms))]);
    inverts(&or_iso, &[(text("2025-03-10T00:00:00.001+00:00"), date(ms + 1))]);

    // A text of the second format that the first reads as another day is not its date's text.
    let ambiguous = conversion(Type::Date, &["%d/%m/%Y", "%m/%d/%Y"]);
    accepts(&ambiguous, &[(text("3/13/2025"), date(1_741_824_000_000), Some(text("13/03/2025")))]);
}

#[test]
fn to_object_id() {
    let to = conversion(Type::ObjectId, &[]);
    inverts(&to, &[(text(ID), oid(ID))]);
    accepts(&to, &[(text(&ID.to_uppercase()), oid(ID), Some(text(ID)))]);
    refuses(
        &to,
        &[
            text(""),
            text(&ID[1..]),
            text(&format!("{ID}0")),
            text("507f1f77bcf86cd79943901g"),
            text("507f1f77bcf86cd79943901é"),
            text("+07f1f77bcf86cd799439011"),
            int(1),
            date(0),
            boolean(false),
        ],
    );
    assert_eq!(to.likely_source(oid(ID).value()), kind::STRING);
}

#[test]
fn to_string() {
    let to = conversion(Type::String, &[]);
    inverts(
        &to,
        &[
            (oid(ID), text(ID)),
            (boolean(true), text("true")),
            (boolean(false), text("false")),
            (int(-12), text("-12")),
            (long(i64::MIN), text("-9223372036854775808")),
            (double(1.0), text("1")),
            (double(-0.0), text("-0")),
            (double(0.1), text("0.1")),
            (double(1e21), text("1e+21")),
            (double(1e-7), text("1e-7")),
            (double(2f64.powi(60)), text("1152921504606847000")),
            (double(f64::NEG_INFINITY), text("-Infinity")),
            (double(f64::from_bits(0x7ff8 << 48)), text("NaN")),
            (decimal("1.10"), text("1.10")),
            (decimal("1E+3"), text("1E+3")),
            (decimal("-0E-9"), text("-0E-9")),
            (decimal("NaN"), text("NaN")),
            (date(1_760_350_523_120), text("2025-10-13T10:15:23.120Z")),
            (date(-1), text("1969-12-31T23:59:59.999Z")),
        ],
    );
    refuses(
        &to,
        &[
            date(i64::MAX),
            double(f64::from_bits(0xfff8 << 48)),
            sample(kind::DECIMAL128, &[0xff; 16]),
            sample(kind::BOOLEAN, &[2]),
        ],
    );
    for (value, source) in [
        ("", kind::STRING),
        ("some", kind::STRING),
        (ID, kind::OBJECT_ID),
        ("123456789012345678901234", kind::OBJECT_ID),
        (&ID.to_uppercase(), kind::STRING),
        ("true", kind::BOOLEAN),
        ("12", kind::INT32),
        ("012", kind::STRING),
        ("2147483648", kind::INT64),
        ("0.5", kind::DOUBLE),
        ("-0", kind::DOUBLE),
        ("0.50", kind::DECIMAL128),
        ("1e+21", kind::DOUBLE),
        ("1E+21", kind::DECIMAL128),
        ("2025-10-13T10:15:23.120Z", kind::DATE),
        ("2025-10-13T10:15:23Z", kind::STRING),
    ] {
        assert_eq!(to.likely_source(text(value).value()), source, "{value:?}");
    }
}

#[test]
fn to_string_by_formats() {
    let to = conversion(Type::String, &["%Y-%m-%d", "%Y-%m-%d %H:%M"]);
    let midnight = 1_741_564_800_000;
    inverts(
        &to,
        &[
            (date(midnight), text("2025-03-10")),
            (date(midnight + 60_000), text("2025-03-10 00:01")),
            (int(1), text("1")),
        ],
    );
    refuses(&to, &[date(midnight + 1), date(i64::MAX)]);
    assert_eq!(back(&to, &text("2025-03-10 00:00"), kind::DATE), None);
    assert_eq!(to.likely_source(text("2025-03-10").value()), kind::DATE);
    assert_eq!(to.likely_source(text("1").value()), kind::STRING);
}

#[test]
fn to_int_and_long() {
    let int_to = conversion(Type::Int, &[]);
    inverts(
        &int_to,
        &[
            (text("-12"), int(-12)),
            (long(2_147_483_647), int(i32::MAX)),
            (double(1.0), int(1)),
            (decimal("-2147483648"), int(i32::MIN)),
            (boolean(true), int(1)),
            (boolean(false), int(0)),
        ],
    );
    accepts(
        &int_to,
        &[
            (text("012.0"), int(12), Some(text("12"))),
            (text("12e1"), int(120), Some(text("120"))),
            (decimal("1.0"), int(1), Some(decimal("1"))),
        ],
    );
    refuses(
        &int_to,
        &[
            text(""),
            text("+1"),
            text("1.5"),
            text("-0"),
            text("2147483648"),
            text("true"),
            text("NaN"),
            long(2_147_483_648),
            double(0.5),
            double(-0.0),
            double(2_147_483_648.0),
            decimal("0.1"),
            date(0),
            oid(ID),
        ],
    );
    assert_eq!(back(&int_to, &int(2), kind::BOOLEAN), None);

    let long_to = conversion(Type::Long, &[]);
    inverts(
        &long_to,
        &[
            (text("9223372036854775807"), long(i64::MAX)),
            (int(-1), long(-1)),
            (double(2f64.powi(60)), long(1 << 60)),
            (decimal("9223372036854775807"), long(i64::MAX)),
            (boolean(true), long(1)),
            (date(-7), long(-7)),
        ],
    );
    refuses(&long_to, &[text("9223372036854775808"), double(2f64.powi(63)), double(-0.0)]);
    assert_eq!(back(&long_to, &long(1 << 31), kind::INT32), None);
    assert_eq!(back(&long_to, &long((1 << 53) + 1), kind::DOUBLE), None);
    assert_eq!(long_to.likely_source(long(5).value()), kind::STRING);
}

#[test]
fn to_double() {
    let to = conversion(Type::Double, &[]);
    inverts(
        &to,
        &[
            (text("0.1"), double(0.1)),
            (text("-0"), double(-0.0)),
            (text("NaN"), double(f64::from_bits(0x7ff8 << 48))),
            (int(7), double(7.0)),
            (long(1 << 60), double(2f64.powi(60))),
            (decimal("0.1"), double(0.1)),
            (decimal("-0"), double(-0.0)),
            (decimal("Infinity"), double(f64::INFINITY)),
            (boolean(true), double(1.0)),
            (date(5), double(5.0)),
        ],
    );
    let big = double(2f64.powi(60));
    accepts(
        &to,
        &[
            (text("0.10"), double(0.1), Some(text("0.1"))),
            (text("1.0"), double(1.0), Some(text("1"))),
            (decimal("1.0"), double(1.0), Some(decimal("1"))),
            (decimal("1152921504606846976"), big.clone(), Some(decimal("1152921504606847000"))),
            (text("1152921504606846976"), big, Some(text("1152921504606847000"))),
        ],
    );
    refuses(
        &to,
        &[
            long((1 << 53) + 1),
            // The shortest decimal of 2^60, but an integer says that it is exact.
            long(1_152_921_504_606_847_000),
            date((1 << 53) + 1),
            decimal("0.1000000000000000055511151231257827"),
            decimal("1E+400"),
            text("1e400"),
            text("0,5"),
            text("1/2"),
        ],
    );
    assert_eq!(back(&to, &double(f64::from_bits(0xfff8 << 48)), kind::STRING), None);
}

#[test]
fn to_decimal() {
    let to = conversion(Type::Decimal, &[]);
    inverts(
        &to,
        &[
            (text("1.10"), decimal("1.10")),
            (text("1E+3"), decimal("1E+3")),
            (
                text("-9.999999999999999999999999999999999E+6144"),
                decimal("-9.999999999999999999999999999999999E+6144"),
            ),
            (int(1500), decimal("1500")),
            (long(i64::MIN), decimal("-9223372036854775808")),
            (double(1500.0), decimal("1500")),
            (double(0.1), decimal("0.1")),
            (double(1e22), decimal("1E+22")),
            (double(-0.0), decimal("-0")),
            (double(f64::INFINITY), decimal("Infinity")),
            (boolean(true), decimal("1")),
            (date(-1), decimal("-1")),
        ],
    );
    accepts(&to, &[(text("01.10e0"), decimal("1.10"), Some(text("1.10")))]);
    refuses(
        &to,
        &[
            text("1.0000000000000000000000000000000000"),
            text("1e6145"),
            text("1e-6177"),
            text("12 EUR"),
            double(f64::from_bits(0xfff8 << 48)),
            oid(ID),
        ],
    );
    for (value, source) in [
        ("12", kind::INT32),
        ("2147483648", kind::DOUBLE),
        ("0.5", kind::DOUBLE),
        ("0.50", kind::STRING),
        ("12.0", kind::STRING),
        ("NaN", kind::DOUBLE),
    ] {
        assert_eq!(to.likely_source(decimal(value).value()), source, "{value:?}");
    }
}

#[test]
fn to_bool() {
    let to = conversion(Type::Bool, &[]);
    for truth in [false, true] {
        let number = i32::from(truth);
        inverts(
            &to,
            &[
                (text(if truth { "true" } else { "false" }), boolean(truth)),
                (int(number), boolean(truth)),
                (long(number.into()), boolean(truth)),
                (double(number.into()), boolean(truth)),
                (decimal(&number.to_string()), boolean(truth)),
            ],
        );
    }
    accepts(&to, &[(decimal("1.0"), boolean(true), Some(decimal("1")))]);
    refuses(
        &to,
        &[
            text(""),
            text("True"),
            text("yes"),
            text("1"),
            int(2),
            int(-1),
            double(0.5),
            double(-0.0),
            double(f64::NAN),
            date(0),
            date(1),
            oid(ID),
        ],
    );
    assert_eq!(back(&to, &sample(kind::BOOLEAN, &[2]), kind::INT32), None);
}

#[test]
fn formats_are_for_dates() {
    let format = ["%Y-%m-%d".to_owned()];
    for to in TYPES {
        let takes = matches!(to, Type::Date | Type::String);
        assert_eq!(Conversion::new(to, &format).is_ok(), takes, "{to:?}");
    }
    let error = Conversion::new(Type::Date, &["%Y".to_owned()]).expect_err("incomplete");
    assert!(error.starts_with("format \"%Y\" "), "{error}");
}
