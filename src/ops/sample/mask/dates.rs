//! Shifts dates, and dates in ISO text, all by one span that the key determines: into the past, so that
//! none lies in the future. Orders and distances stay.

use super::Masker;
use super::key::Key;
use crate::mapping::Plan;
use crate::raw::{Value, kind};

const DAY: i64 = 86_400_000;
/// The dates that text can say: years 1 to 9999.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// How far dates are shifted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    /// Whole days, in milliseconds.
    days: i64,
    /// Besides, for what has a time of day.
    time: i64,
}

impl Shift {
    /// One to ten years.
    pub fn new(key: &Key) -> Self {
        let days = 365 + key.number("days", 9 * 365) as i64;
        // A time of day of which no part is zero, so that every part changes.
        let (hours, minutes) = (1 + key.number("hours", 22), 1 + key.number("minutes", 58));
        let (seconds, millis) = (1 + key.number("seconds", 58), 1 + key.number("millis", 998));
        let time = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
        Shift { days: -days * DAY, time: -(time as i64) }
    }
}

impl Masker {
    pub(super) fn date(&self, value: Value<'_>) -> Vec<u8> {
        let millis = value.date_millis().unwrap_or_default();
        self.shifted(millis, self.shift.days + self.shift.time).to_le_bytes().to_vec()
    }

    /// A date, shifted between those that the mapping compares with: at an end it goes on at the
    /// other.
    fn shifted(&self, millis: i64, by: i64) -> i64 {
        let (mut low, mut high) = (i128::from(i64::MIN), i128::from(i64::MAX));
        let mut within = |from: i128, to: i128| {
            if i128::from(millis) >= from {
                low = low.max(from);
            } else {
                high = high.min(from - 1);
            }
            if i128::from(millis) <= to {
                high = high.min(to);
            } else {
                low = low.max(to + 1);
            }
        };
        within(FIRST.into(), LAST.into());
        for constant in self.known.constants(kind::DATE).filter_map(|date| date.date_millis()) {
            if constant == millis {
                return millis;
            }
            within(i128::from(constant) + 1, i128::from(i64::MAX));
            within(i128::from(i64::MIN), i128::from(constant) - 1);
        }
        let shifted = (i128::from(millis) - low + i128::from(by)).rem_euclid(high - low + 1);
        i64::try_from(low + shifted).unwrap_or(millis)
    }

    /// What replaces ISO text: text of the same form, with the date that a date would get. None for
    /// other text.
    pub(super) fn iso(&self, text: &[u8]) -> Option<Vec<u8>> {
        Plan::iso_millis(text)?;
        let fraction = match text.get(19) {
            Some(b'.') => text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        let has_time = text.len() > 10;
        // The offset is not a part of it: the local time is shifted.
        let length = match (text.get(16), fraction) {
            _ if !has_time => 10,
            (Some(b':'), 0) => 19,
            (Some(b':'), digits) => 20 + digits,
            _ => 16,
        };
        let local = Plan::iso_millis(text.get(..length)?)?;
        if !(FIRST..=LAST).contains(&local) {
            return None;
        }
        let by = self.shift.days + if has_time { self.shift.time } else { 0 };
        let written = iso_text(self.shifted(local, by))?;
        let mut masked = text.to_vec();
        // The text is `YYYY-MM-DDTHH:MM:SS.mmm`, as the other is as far as it goes.
        for (to, from) in masked.iter_mut().zip(written).take(length.min(23)) {
            if to.is_ascii_digit() {
                *to = from;
            }
        }
        // What is below a millisecond.
        if fraction > 3 {
            let mut below = super::symbols::read(&text[23..length], super::symbols::Kind::Name);
            super::symbols::replace(&self.key, &mut below);
            masked[23..length].copy_from_slice(&super::symbols::write(&below));
        }
        Some(masked)
    }
}

/// A date in the years 1 to 9999 as `YYYY-MM-DDTHH:MM:SS.mmm`.
fn iso_text(millis: i64) -> Option<Vec<u8>> {
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    let civil = time.to_zoned_datetime(jiff::tz::TimeZone::UTC).datetime();
    Some(civil.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string().into_bytes())
}
