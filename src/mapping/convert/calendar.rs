//! Days since 1970-01-01 as dates of the Gregorian calendar, and back.

/// The days since 1970-01-01 of a calendar date in the years 1 to 9999.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
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
pub(super) struct CivilDate {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

/// The calendar date of a number of days since 1970-01-01; the inverse of [`days_from_civil`].
pub(super) fn civil_from_days(days: i64) -> CivilDate {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    // An era has 400 years, so all below is small.
    let day_of_era = days.rem_euclid(146_097) as u32;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + i64::from(year_of_era) + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    CivilDate { year, month: month.into(), day: day.into() }
}

/// A day by its week, as ISO 8601 counts: a week begins on Monday and belongs to the year that has
/// its Thursday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WeekDate {
    pub year: i64,
    /// 1 to 53.
    pub week: i64,
    /// 1 (Monday) to 7 (Sunday).
    pub weekday: i64,
}

/// The week date of a number of days since 1970-01-01.
pub(super) fn week_from_days(days: i64) -> WeekDate {
    // 1970-01-01 was a Thursday.
    let weekday = (days + 3).rem_euclid(7) + 1;
    let thursday = days + 4 - weekday;
    let CivilDate { year, .. } = civil_from_days(thursday);
    WeekDate { year, week: (day_of_year(thursday) - 1) / 7 + 1, weekday }
}

/// The days since 1970-01-01 of a week date, if the year has that week; the inverse of
/// [`week_from_days`].
pub(super) fn days_from_week(date: WeekDate) -> Option<i64> {
    // The fourth of January is always in the first week.
    let fourth = days_from_civil(date.year, 1, 4)?;
    let monday = fourth + 1 - week_from_days(fourth).weekday;
    let days = monday + (date.week - 1) * 7 + date.weekday - 1;
    (week_from_days(days) == date).then_some(days)
}

/// The day of the year, from 1.
pub(super) fn day_of_year(days: i64) -> i64 {
    let CivilDate { year, month, day } = civil_from_days(days);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    before + i64::from(leap && month > 2) + day
}
