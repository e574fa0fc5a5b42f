//! Days and dates as people write them in files: `"90d"`, `"2026-12-31"`. All dates are UTC's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::units::{UnitError, text_form};

/// A number of days, written `"90d"` or in weeks `"12w"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(pub u32);

impl FromStr for Days {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let trimmed = text.trim();
        let days = match (trimmed.strip_suffix('d'), trimmed.strip_suffix('w')) {
            (Some(number), _) => number.trim().parse::<u32>().ok(),
            (None, Some(number)) => number.trim().parse::<u32>().ok().and_then(|weeks| weeks.checked_mul(7)),
            _ => None,
        };
        // A century is longer than anybody waits, and keeps sums far from overflow.
        days.filter(|days| (1..=36_500).contains(days)).map(Self).ok_or_else(|| {
            UnitError::new(format!(
                "`{text}` is not a number of days; write a whole number and `d` or `w`, such as `90d` or `12w`"
            ))
        })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.0)
    }
}

/// A day of the calendar, written `"2026-12-31"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day of an RFC 3339 timestamp; `None` if it does not begin with one.
    pub fn of_timestamp(timestamp: &str) -> Option<Self> {
        timestamp.get(..10)?.parse().ok()
    }

    /// Days from `earlier` to this one; negative if that is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.number() - earlier.number()
    }

    /// Days since the first of March of the year 0, so that a leap day ends its year.
    fn number(self) -> i64 {
        let (year, month) = match self.month {
            1 | 2 => (i64::from(self.year) - 1, i64::from(self.month) + 9),
            month => (i64::from(self.year), i64::from(month) - 3),
        };
        365 * year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * month + 2) / 5
            + i64::from(self.day)
            - 1
    }
}

fn days_of(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail =
            || UnitError::new(format!("`{text}` is not a date; write year, month and day, such as `2026-12-31`"));
        let digits = |part: &str, length: usize| {
            (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u16>().ok())?
        };
        let mut parts = text.trim().split('-');
        let mut next = |length| parts.next().and_then(|part| digits(part, length)).ok_or_else(fail);
        let (year, month, day) = (next(4)?, next(2)? as u8, next(2)? as u8);
        if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
            return Err(fail());
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

text_form!(Days, "Days", r"^[0-9]+\s*[dw]$", "a number of days: 90d, or of weeks: 12w");
text_form!(Date, "Date", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date: 2026-12-31");

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_weeks() {
        assert_eq!("90d".parse(), Ok(Days(90)));
        assert_eq!(" 12 w".parse(), Ok(Days(84)));
        assert_eq!(Days(84).to_string(), "84d");
        for text in ["", "90", "d", "0d", "-1d", "1.5d", "3m", "99999999999d", "700000000w"] {
            assert!(
                text.parse::<Days>().unwrap_err().to_string().contains("write a whole number and `d` or `w`"),
                "{text}"
            );
        }
    }

    #[test]
    fn dates_that_there_are() {
        for text in ["2026-12-31", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert_eq!(date(text).to_string(), text);
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "26-1-1",
            "2026-12-31-1",
            "+026-01-01",
            "x",
        ] {
            assert!(text.parse::<Date>().unwrap_err().to_string().contains("is not a date"), "{text}");
        }
        assert_eq!(Date::of_timestamp("2026-11-22T21:00:00.000Z"), Some(date("2026-11-22")));
        assert_eq!(Date::of_timestamp("1"), None);
        assert_eq!(Date::of_timestamp("2026-11-2é"), None);
    }

    #[test]
    fn days_between_dates() {
        for (from, to, days) in [
            ("2026-11-22", "2026-11-22", 0),
            ("2026-11-22", "2026-11-23", 1),
            ("2024-02-28", "2024-03-01", 2),
            ("2023-02-28", "2023-03-01", 1),
            ("1970-01-01", "2026-11-23", 20_780),
            ("2026-03-01", "2026-01-01", -59),
            ("1600-01-01", "2000-01-01", 146_097),
        ] {
            assert_eq!(date(to).days_since(date(from)), days, "{from} to {to}");
        }
        assert!(date("2026-12-31") < date("2027-01-01"));
    }
}
