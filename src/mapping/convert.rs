//! Conversions of single values: dates from ISO 8601 text and back, and the text of an `_id`.

use sha2::{Digest, Sha256};

use crate::raw::{self, Value, kind};

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

/// The days since 1970-01-01 of a calendar date in the years 1 to 9999.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if year < 1 || day < 1 || day > length {
        return None;
    }
    // Years start in March here, so that the leap day is the last of the year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// A date of the calendar.
struct CivilDate {
    year: i64,
    month: i64,
    day: i64,
}

/// The calendar date of a number of days since 1970-01-01; the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> CivilDate {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    CivilDate { year, month: if month < 10 { month + 3 } else { month - 9 }, day }
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
    let mut put = |at: usize, digits: usize, mut number: i64| {
        for place in (at..at + digits).rev() {
            value[4 + place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, of_day / 3_600_000);
    put(14, 2, of_day / 60_000 % 60);
    put(17, 2, of_day / 1000 % 60);
    put(20, 3, of_day % 1000);
    Some(value)
}

/// Appends a value as text, in the form that MAPPING.md defines for `dataset_id`. Different values
/// of one type never have the same text.
pub(crate) fn write_text(value: Value<'_>, out: &mut Vec<u8>) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.kind {
        kind::OBJECT_ID => out.extend(raw::hex_digits(value.bytes)),
        kind::STRING => out.extend_from_slice(value.text().unwrap_or_default()),
        kind::INT32 | kind::INT64 => {
            out.extend_from_slice(value.integer().unwrap_or_default().to_string().as_bytes())
        }
        kind::DOUBLE if value.double().is_some_and(|d| d.abs() <= EXACT && d.fract() == 0.0) => {
            out.extend_from_slice(
                (value.double().unwrap_or_default() as i64).to_string().as_bytes(),
            );
        }
        kind::BINARY if value.bytes.len() == 5 + 16 && matches!(value.bytes[4], 3 | 4) => {
            let digits = raw::hex(&value.bytes[5..]);
            for (at, group) in
                [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].into_iter().enumerate()
            {
                if at > 0 {
                    out.push(b'-');
                }
                out.extend_from_slice(&digits.as_bytes()[group.0..group.1]);
            }
        }
        other => {
            out.extend_from_slice(b"bson:");
            out.extend_from_slice(raw::hex(&[other]).as_bytes());
            if value.bytes.len() > 256 {
                out.extend_from_slice(b":sha256:");
                out.extend_from_slice(raw::hex(&Sha256::digest(value.bytes)).as_bytes());
            } else {
                out.push(b':');
                out.extend_from_slice(raw::hex(value.bytes).as_bytes());
            }
        }
    }
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
