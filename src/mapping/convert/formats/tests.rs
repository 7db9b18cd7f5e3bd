//! Formats against tables, and against jiff.

use super::*;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn format(text: &str) -> Format {
    Format::new(text).unwrap_or_else(|error| panic!("{error}"))
}
fn read(form: &str, text: &str) -> Option<i64> {
    format(form).read(text.as_bytes())
}
fn write(form: &str, millis: i64) -> Option<String> {
    let mut out = Vec::new();
    format(form).write(millis, &mut out).then(|| String::from_utf8(out).expect("UTF-8"))
}
/// The milliseconds that another implementation reads.
fn ms(iso: &str) -> Option<i64> {
    Some(iso.parse::<Timestamp>().expect("a date").as_millisecond())
}

#[test]
fn formats_that_mean_nothing_are_refused() {
    for (form, part) in [
        ("%Y-%m-%d %", "single %"),
        ("%Y-%m-%y", "has %y"),
        ("%Y-%m-%é", "has %é"),
        ("%Y-%m-%d %Y", "already"),
        ("%Y-%m-%d %b", "already"),
        ("%Y-%m-%d %z%Z", "already"),
        ("", "one day in one way"),
        ("%Y", "one day in one way"),
        ("%Y-%M-%d", "one day in one way"),
        ("%Y-%m-%d %j", "one day in one way"),
        ("%Y-%V-%u", "one day in one way"),
        ("%G-%V", "one day in one way"),
    ] {
        let error = Format::new(form).expect_err(form);
        assert!(error.starts_with(&format!("format \"{form}\" ")), "{error}");
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn texts_are_read_from_end_to_end() {
    for (form, text, iso) in [
        ("%d/%m/%Y", "13/10/2025", "2025-10-13T00:00:00Z"),
        ("%d/%m/%Y", "3/1/2025", "2025-01-03T00:00:00Z"),
        ("%m/%d/%Y %H:%M", "10/13/2025 9:05", "2025-10-13T09:05:00Z"),
        ("%Y%m%d%H%M%S%L", "20251013101523007", "2025-10-13T10:15:23.007Z"),
        ("%Y-%m-%d %H:%M:%S.%L UTC", "2025-10-13 10:15:23.5 UTC", "2025-10-13T10:15:23.5Z"),
        ("%b %d, %Y", "OCT 3, 2025", "2025-10-03T00:00:00Z"),
        ("%d %B %Y", "3 october 2025", "2025-10-03T00:00:00Z"),
        ("%d %B %Y", "03 May 2025", "2025-05-03T00:00:00Z"),
        ("%Y-%j", "2024-366", "2024-12-31T00:00:00Z"),
        ("%Y-%j", "2025-1", "2025-01-01T00:00:00Z"),
        ("%G-W%V-%u", "2020-W53-7", "2021-01-03T00:00:00Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2025-10-13T10:15:23+0200", "2025-10-13T08:15:23Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2025-10-13T10:15:23-00:30", "2025-10-13T10:45:23Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2025-10-13T10:15:23+02", "2025-10-13T08:15:23Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2025-10-13T10:15:23Z", "2025-10-13T10:15:23Z"),
        ("%Y-%m-%d %Z", "2025-10-13 -90", "2025-10-13T01:30:00Z"),
        ("100%% %Y-%m-%d é", "100% 2025-10-13 é", "2025-10-13T00:00:00Z"),
    ] {
        assert_eq!(read(form, text), ms(iso), "{form:?} {text:?}");
    }
    for (form, text) in [
        ("%d/%m/%Y", "13/10/25"),
        ("%d/%m/%Y", "13/10/2025 "),
        ("%d/%m/%Y", " 13/10/2025"),
        ("%d/%m/%Y", "13-10-2025"),
        ("%d/%m/%Y", "013/10/2025"),
        ("%d/%m/%Y", "31/04/2025"),
        ("%d/%m/%Y", "29/02/2025"),
        ("%d/%m/%Y", "1/13/2025"),
        ("%d/%m/%Y", "0/1/2025"),
        ("%d/%m/%Y", "1/1/0000"),
        ("%d/%m/%Y", ""),
        ("%Y-%m-%d %H:%M", "2025-10-13 24:00"),
        ("%Y-%m-%d %H:%M", "2025-10-13 10:60"),
        ("%Y-%m-%d %H:%M", "2025-10-13 10:5"),
        ("%Y-%m-%d %H:%M:%S", "2025-10-13 10:15:60"),
        ("%Y-%m-%d .%L", "2025-10-13 ."),
        ("%Y-%m-%d .%L", "2025-10-13 .1234"),
        ("%b %d, %Y", "October 3, 2025"),
        ("%B %d, %Y", "Oct 3, 2025"),
        ("%Y-%j", "2025-366"),
        ("%Y-%j", "2025-0"),
        ("%G-W%V-%u", "2021-W53-1"),
        ("%G-W%V-%u", "2021-W00-1"),
        ("%G-W%V-%u", "2021-W01-0"),
        ("%G-W%V-%u", "2021-W01-8"),
        ("%G-W%V-%u", "9999-W52-6"),
        ("%Y-%m-%d%z", "2025-10-13+24:00"),
        ("%Y-%m-%d%z", "2025-10-13+02:60"),
        ("%Y-%m-%d%z", "2025-10-13+2"),
        ("%Y-%m-%d%z", "2025-10-13z"),
        ("%Y-%m-%d%z", "2025-10-13UTC"),
        ("%Y-%m-%d%Z", "2025-10-13+1440"),
        ("%Y-%m-%d%Z", "2025-10-1360"),
    ] {
        assert_eq!(read(form, text), None, "{form:?} {text:?}");
    }
}

#[test]
fn dates_are_written_with_leading_zeros_in_utc() {
    let millis = ms("0987-01-03T04:05:06.007Z").expect("a date");
    assert_eq!(
        write("%Y %m %d %H %M %S %L %z %%", millis).as_deref(),
        Some("0987 01 03 04 05 06 007 +0000 %")
    );
    assert_eq!(write("%b-%d-%Y %Z", millis).as_deref(), Some("Jan-03-0987 +0"));
    assert_eq!(write("%d %B %Y", millis).as_deref(), Some("03 January 0987"));
    assert_eq!(write("%Y.%j", millis).as_deref(), Some("0987.003"));
    assert_eq!(write("%G-W%V-%u", millis).as_deref(), Some("0987-W01-3"));
    assert_eq!(write("%Y-%m-%d", 253_402_300_800_000), None);
    assert_eq!(write("%Y-%m-%d", -62_135_596_800_001), None);
}

const FORMS: [(&str, &str); 5] = [
    ("%Y-%m-%dT%H:%M:%S.%LZ", "%Y-%m-%dT%H:%M:%S.%3fZ"),
    ("%d %B %Y, %H.%M.%S,%L %z", "%d %B %Y, %H.%M.%S,%3f %z"),
    ("%b/%d/%Y %H%M%S%L", "%b/%d/%Y %H%M%S%3f"),
    ("%Y%j %H%M%S%L", "%Y%j %H%M%S%3f"),
    ("%G-W%V-%u %H%M%S%L", "%G-W%V-%u %H%M%S%3f"),
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000, failure_persistence: None, rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn dates_come_back_and_are_as_jiff_writes_them(
        millis in -62_135_596_800_000i64..253_402_207_200_000,
    ) {
        let zoned = Timestamp::from_millisecond(millis).expect("a date");
        let zoned = zoned.to_zoned_datetime(TimeZone::UTC);
        for (ours, theirs) in FORMS {
            let text = write(ours, millis).expect("in range");
            prop_assert_eq!(&text, &zoned.strftime(theirs).to_string());
            prop_assert_eq!(read(ours, &text), Some(millis));
        }
    }

    #[test]
    fn no_text_panics(text in "[0-9A-Za-z:+. %-]{0,30}", bytes in any::<Vec<u8>>()) {
        for (form, _) in FORMS {
            let _ = read(form, &text);
            let _ = format(form).read(&bytes);
        }
        let _ = Format::new(&text);
    }
}
