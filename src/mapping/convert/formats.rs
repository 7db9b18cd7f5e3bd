//! Dates as text in a format of MongoDB's `$dateFromString`.

#[cfg(test)]
mod tests;

use super::calendar::{
    CivilDate, WeekDate, civil_from_days, day_of_year, days_from_civil, days_from_week,
    week_from_days,
};

const MILLIS_OF_DAY: i64 = 86_400_000;

/// A compiled format: literal bytes and specifiers that together name a whole date.
#[derive(Debug, Clone)]
pub(super) struct Format {
    pieces: Vec<Piece>,
    date: DateForm,
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Literal(u8),
    Specifier(Part, Style),
}

/// What a specifier names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    DayOfYear,
    WeekYear,
    Week,
    Weekday,
    Hour,
    Minute,
    Second,
    Milli,
    /// Minutes ahead of UTC.
    Offset,
}

/// How a specifier is written.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// Padded with zeros to `most` digits; read with `least` digits or more.
    Digits { least: usize, most: usize },
    /// Three digits; read as a fraction of one to three.
    Fraction,
    /// The first three letters of the month's English name.
    ShortMonth,
    /// The month's English name.
    FullMonth,
    /// `±hhmm`; read as `±hh:mm`, `±hh` and `Z` too.
    Offset,
    /// `±m`, a number of minutes.
    OffsetMinutes,
}

/// By which parts a format names the day.
#[derive(Debug, Clone, Copy)]
enum DateForm {
    Calendar,
    Ordinal,
    Week,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The specifier of a letter.
fn specifier(letter: u8) -> Option<(Part, Style)> {
    let digits = |least, most| Style::Digits { least, most };
    Some(match letter {
        b'Y' => (Part::Year, digits(4, 4)),
        b'm' => (Part::Month, digits(1, 2)),
        b'b' => (Part::Month, Style::ShortMonth),
        b'B' => (Part::Month, Style::FullMonth),
        b'd' => (Part::Day, digits(1, 2)),
        b'j' => (Part::DayOfYear, digits(1, 3)),
        b'G' => (Part::WeekYear, digits(4, 4)),
        b'V' => (Part::Week, digits(1, 2)),
        b'u' => (Part::Weekday, digits(1, 1)),
        b'H' => (Part::Hour, digits(1, 2)),
        b'M' => (Part::Minute, digits(2, 2)),
        b'S' => (Part::Second, digits(2, 2)),
        b'L' => (Part::Milli, Style::Fraction),
        b'z' => (Part::Offset, Style::Offset),
        b'Z' => (Part::Offset, Style::OffsetMinutes),
        _ => return None,
    })
}

impl Format {
    /// Compiles a format, or says what is wrong with it.
    pub fn new(text: &str) -> Result<Format, String> {
        let wrong = |what: &str| Err(format!("format \"{text}\" {what}"));
        let mut pieces = Vec::new();
        let mut named = 0;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                let mut bytes = [0; 4];
                let literal = character.encode_utf8(&mut bytes).bytes();
                pieces.extend(literal.map(Piece::Literal));
                continue;
            }
            let Some(letter) = characters.next() else {
                return wrong("ends with a single %; write %% for a percent sign");
            };
            if letter == '%' {
                pieces.push(Piece::Literal(b'%'));
                continue;
            }
            let Some((part, style)) = u8::try_from(letter).ok().and_then(specifier) else {
                return wrong(&format!(
                    "has %{letter}; known are %Y %m %b %B %d %j %G %V %u %H %M %S %L %z %Z and %%"
                ));
            };
            if named & 1 << part as u32 != 0 {
                return wrong(&format!("says with %{letter} what it says already"));
            }
            named |= 1 << part as u32;
            pieces.push(Piece::Specifier(part, style));
        }
        match DateForm::of(named) {
            Some(date) => Ok(Format { pieces, date }),
            None => wrong(
                "does not say one day in one way: use %Y, %m (or %b, %B) and %d; or %Y and %j; or \
                 %G, %V and %u",
            ),
        }
    }

    /// The milliseconds since 1970 of a text that has this format from end to end. Parts that the
    /// format does not name are zero.
    pub fn read(&self, text: &[u8]) -> Option<i64> {
        let mut moment = Moment::default();
        let mut rest = text;
        for piece in &self.pieces {
            match *piece {
                Piece::Literal(byte) => rest = rest.strip_prefix(&[byte])?,
                Piece::Specifier(part, style) => {
                    let (number, after) = style.read(rest)?;
                    moment.set(part, number);
                    rest = after;
                }
            }
        }
        if rest.is_empty() { moment.millis(self.date) } else { None }
    }

    /// Appends a date in UTC. Nothing outside the years 1 to 9999, then false.
    pub fn write(&self, millis: i64, out: &mut Vec<u8>) -> bool {
        let Some(moment) = Moment::of(millis) else { return false };
        for piece in &self.pieces {
            match *piece {
                Piece::Literal(byte) => out.push(byte),
                Piece::Specifier(part, style) => style.write(moment.get(part), out),
            }
        }
        true
    }
}

impl DateForm {
    /// The form of a format that names these parts, if they name one day in one way.
    fn of(named: u32) -> Option<DateForm> {
        let set = |parts: &[Part]| parts.iter().fold(0, |set, part| set | 1u32 << *part as u32);
        let days = set(&[
            Part::Year,
            Part::Month,
            Part::Day,
            Part::DayOfYear,
            Part::WeekYear,
            Part::Week,
            Part::Weekday,
        ]);
        [
            (DateForm::Calendar, set(&[Part::Year, Part::Month, Part::Day])),
            (DateForm::Ordinal, set(&[Part::Year, Part::DayOfYear])),
            (DateForm::Week, set(&[Part::WeekYear, Part::Week, Part::Weekday])),
        ]
        .into_iter()
        .find(|(_, parts)| named & days == *parts)
        .map(|(form, _)| form)
    }
}

/// A moment, part by part.
#[derive(Debug, Default)]
struct Moment([i64; Part::Offset as usize + 1]);

impl Moment {
    fn get(&self, part: Part) -> i64 {
        self.0[part as usize]
    }
    fn set(&mut self, part: Part, number: i64) {
        self.0[part as usize] = number;
    }

    /// The parts of a date in UTC, in the years 1 to 9999.
    fn of(millis: i64) -> Option<Moment> {
        let days = millis.div_euclid(MILLIS_OF_DAY);
        let CivilDate { year, month, day } = civil_from_days(days);
        if !(1..=9999).contains(&year) {
            return None;
        }
        let week = week_from_days(days);
        let of_day = millis.rem_euclid(MILLIS_OF_DAY);
        let mut moment = Moment::default();
        moment.set(Part::Year, year);
        moment.set(Part::Month, month);
        moment.set(Part::Day, day);
        moment.set(Part::DayOfYear, day_of_year(days));
        moment.set(Part::WeekYear, week.year);
        moment.set(Part::Week, week.week);
        moment.set(Part::Weekday, week.weekday);
        moment.set(Part::Hour, of_day / 3_600_000);
        moment.set(Part::Minute, of_day / 60_000 % 60);
        moment.set(Part::Second, of_day / 1000 % 60);
        moment.set(Part::Milli, of_day % 1000);
        Some(moment)
    }
    /// The milliseconds since 1970 of a real date in the years 1 to 9999 and a real time.
    fn millis(&self, date: DateForm) -> Option<i64> {
        let days = self.days(date)?;
        let hour = self.get(Part::Hour);
        let minute = self.get(Part::Minute);
        let second = self.get(Part::Second);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let minutes = (days * 24 + hour) * 60 + minute - self.get(Part::Offset);
        Some(minutes * 60_000 + second * 1000 + self.get(Part::Milli))
    }
    fn days(&self, date: DateForm) -> Option<i64> {
        let year = self.get(Part::Year);
        let days = match date {
            DateForm::Calendar => {
                days_from_civil(year, self.get(Part::Month), self.get(Part::Day))?
            }
            DateForm::Ordinal => {
                let day = self.get(Part::DayOfYear);
                let days = days_from_civil(year, 1, 1)? + day - 1;
                (day > 0 && civil_from_days(days).year == year).then_some(days)?
            }
            DateForm::Week => days_from_week(WeekDate {
                year: self.get(Part::WeekYear),
                week: self.get(Part::Week),
                weekday: self.get(Part::Weekday),
            })?,
        };
        (civil_from_days(days).year <= 9999).then_some(days)
    }
}

impl Style {
    /// The number at the start of a text, and what follows it.
    fn read(self, text: &[u8]) -> Option<(i64, &[u8])> {
        match self {
            Style::Digits { least, most } => {
                let (number, _, rest) = digits(text, least, most)?;
                Some((number, rest))
            }
            Style::Fraction => {
                let (number, length, rest) = digits(text, 1, 3)?;
                Some((number * [100, 10, 1][length - 1], rest))
            }
            Style::ShortMonth => month(text, |name| &name[..3]),
            Style::FullMonth => month(text, |name| name),
            Style::Offset => offset(text),
            Style::OffsetMinutes => {
                let (sign, rest) = sign(text)?;
                let (minutes, _, rest) = digits(rest, 1, 4)?;
                (minutes < 24 * 60).then_some((sign * minutes, rest))
            }
        }
    }
    fn write(self, number: i64, out: &mut Vec<u8>) {
        let text = match self {
            Style::Digits { most, .. } => format!("{number:0most$}"),
            Style::Fraction => format!("{number:03}"),
            Style::ShortMonth => MONTHS[number as usize - 1][..3].to_owned(),
            Style::FullMonth => MONTHS[number as usize - 1].to_owned(),
            // Only dates in UTC are written.
            Style::Offset => "+0000".to_owned(),
            Style::OffsetMinutes => "+0".to_owned(),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The number of the digits at the start of a text, how many they are, and what follows them. As
/// many as there are, up to `most`.
fn digits(text: &[u8], least: usize, most: usize) -> Option<(i64, usize, &[u8])> {
    let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if length < least {
        return None;
    }
    let number = text[..length].iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    Some((number, length, &text[length..]))
}

/// The month that a text begins with, in any case, and what follows it.
fn month(text: &[u8], spelling: fn(&'static str) -> &'static str) -> Option<(i64, &[u8])> {
    (1..).zip(MONTHS).find_map(|(number, name)| {
        let (start, rest) = text.split_at_checked(spelling(name).len())?;
        start.eq_ignore_ascii_case(spelling(name).as_bytes()).then_some((number, rest))
    })
}

fn sign(text: &[u8]) -> Option<(i64, &[u8])> {
    match text.split_first()? {
        (b'+', rest) => Some((1, rest)),
        (b'-', rest) => Some((-1, rest)),
        _ => None,
    }
}

/// The minutes of an offset at the start of a text, and what follows it.
fn offset(text: &[u8]) -> Option<(i64, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"Z") {
        return Some((0, rest));
    }
    let (sign, rest) = sign(text)?;
    let (hours, _, rest) = digits(rest, 2, 2)?;
    let (minutes, rest) = match digits(rest.strip_prefix(b":").unwrap_or(rest), 2, 2) {
        Some((minutes, _, rest)) => (minutes, rest),
        None => (0, rest),
    };
    (hours <= 23 && minutes <= 59).then_some((sign * (hours * 60 + minutes), rest))
}
