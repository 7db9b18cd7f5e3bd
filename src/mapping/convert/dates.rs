//! Dates from ISO 8601 text and back.

use super::calendar::{CivilDate, civil_from_days, days_from_civil};

/// The milliseconds since 1970 of an ISO 8601 text, in the forms that MAPPING.md lists (*ISO
/// text*).
///
/// No offset means UTC. Digits of the fraction after the third are dropped. Returns nothing for any
/// other text.
pub(crate) fn date_from_iso(text: &[u8]) -> Option<i64> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        text.get(from..to)?.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-')) {
        return None;
    }
    let days = days_from_civil(digits(0, 4)?, digits(5, 7)?, digits(8, 10)?)?;
    if text.len() == 10 {
        return Some(days * 86_400_000);
    }
    if !((is(10, b'T') || is(10, b' ')) && is(13, b':')) {
        return None;
    }
    let (hour, minute) = (digits(11, 13)?, digits(14, 16)?);
    let mut second = 0;
    let mut millis = 0;
    let mut at = 16;
    if is(at, b':') {
        second = digits(17, 19)?;
        at = 19;
        if is(at, b'.') {
            let fraction = text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if fraction == 0 {
                return None;
            }
            let kept = fraction.min(3);
            millis = digits(20, 20 + kept)? * [100, 10, 1][kept - 1];
            at = 20 + fraction;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match text.len() - at {
        0 => 0,
        1 if is(at, b'Z') => 0,
        length @ (5 | 6) => {
            let sign = match text[at] {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            if length == 6 && !is(at + 3, b':') {
                return None;
            }
            let (hours, minutes) = (digits(at + 1, at + 3)?, digits(at + length - 2, at + length)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
        _ => return None,
    };
    Some(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + millis)
}

/// The length of the text that [`iso_from_date`] writes.
const ISO_LENGTH: usize = 29;

/// A date as a BSON string value, `YYYY-MM-DDTHH:MM:SS.mmm+00:00`, or nothing outside the years 1
/// to 9999.
pub(crate) fn iso_from_date(millis: i64) -> Option<[u8; ISO_LENGTH + 5]> {
    let CivilDate { year, month, day } = civil_from_days(millis.div_euclid(86_400_000));
    if !(1..=9999).contains(&year) {
        return None;
    }
    let of_day = millis.rem_euclid(86_400_000);
    let mut value = *b"\x1e\0\0\x000000-00-00T00:00:00.000+00:00\0";
    let mut put = |at: usize, number: u32| {
        value[4 + at] = b'0' + (number / 10) as u8;
        value[5 + at] = b'0' + (number % 10) as u8;
    };
    // All fit: a day has 86,400,000 milliseconds.
    let (year, of_day) = (year as u32, of_day as u32);
    put(0, year / 100);
    put(2, year % 100);
    put(5, month as u32);
    put(8, day as u32);
    put(11, of_day / 3_600_000);
    put(14, of_day / 60_000 % 60);
    put(17, of_day / 1000 % 60);
    put(20, of_day % 1000 / 10);
    value[4 + 22] = b'0' + (of_day % 10) as u8;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_text_in_every_form() {
        let ms = |text: &str| date_from_iso(text.as_bytes());
        assert_eq!(ms("1970-01-01"), Some(0));
        assert_eq!(ms("2025-10-13T10:15"), Some(1_760_350_500_000));
        assert_eq!(ms("2025-10-13 10:15:23"), Some(1_760_350_523_000));
        assert_eq!(ms("2025-10-13T10:15:23.1"), Some(1_760_350_523_100));
        assert_eq!(ms("2025-10-13T10:15:23.123999Z"), Some(1_760_350_523_123));
        assert_eq!(ms("2025-10-13T10:15:23+02:00"), Some(1_760_343_323_000));
        assert_eq!(ms("2025-10-13T10:15-0030"), Some(1_760_352_300_000));
        assert_eq!(ms("0001-01-01"), Some(-62_135_596_800_000));
        assert_eq!(ms("9999-12-31T23:59:59.999"), Some(253_402_300_799_999));
        assert_eq!(ms("2024-02-29"), Some(1_709_164_800_000));
        for bad in [
            "",
            "2025",
            "0000-01-01",
            "2025-02-29",
            "1900-02-29",
            "2025-13-01",
            "2025-00-01",
            "2025-01-00",
            "2025-04-31",
            "2025-10-13T",
            "2025-10-13T10",
            "2025-10-13T24:00",
            "2025-10-13T10:60",
            "2025-10-13T10:15:60",
            "2025-10-13t10:15",
            "2025-10-13  10:15",
            "2025-10-13T10:15.5",
            "2025-10-13T10:15:23.",
            "2025-10-13T10:15:23z",
            "2025-10-13T10:15:23+24:00",
            "2025-10-13T10:15:23+02",
            "2025-10-13T10:15:23+2:00",
            "2025-10-13T10:15:23+02:60",
            " 2025-10-13",
            "2025-10-13 ",
            "+025-10-13",
            "2025-10-13Z",
            "2025-10-13T10:15:23+02-00",
        ] {
            assert_eq!(ms(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn dates_come_back_from_their_text() {
        for millis in [
            0,
            1,
            -1,
            1_760_350_523_123,
            -62_135_596_800_000,
            253_402_300_799_999,
            951_782_400_000,
            4_107_542_399_999,
        ] {
            let value = iso_from_date(millis).expect("in range");
            assert_eq!(date_from_iso(&value[4..value.len() - 1]), Some(millis));
        }
        assert_eq!(
            &iso_from_date(1_760_350_523_123).expect("in range")[4..33],
            b"2025-10-13T10:15:23.123+00:00"
        );
        assert!(iso_from_date(253_402_300_800_000).is_none());
        assert!(iso_from_date(-62_135_596_800_001).is_none());
    }
}
