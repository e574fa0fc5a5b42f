//! Quantities as people write them in files: times (`"300ms"`), shares (`"5%"`).
//!
//! Inside the program a time is a `u64` of nanoseconds and a share is an `f64` (5 % is `0.05`);
//! these types exist so that a file's text and its meaning are converted in one place.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds: of a duration, or since the epoch of the run that a record belongs to.
pub type Nanos = u64;

/// Nanoseconds as the milliseconds that people read.
pub fn millis(nanos: Nanos) -> f64 {
    nanos as f64 / 1e6
}

/// A length of time written with its unit: `"25us"`, `"300ms"`, `"2s"`, `"10m"`, `"1h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Nanos);

impl Time {
    /// A whole number of milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A whole number of seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// As the standard library's duration.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }
}

/// Why a text is not a quantity; the message names the forms that are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    /// With a message that names the right forms behind `; write `.
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

const TIME_UNITS: [(&str, f64); 6] = [
    // Longest suffix first where one ends in another: "ms" before "m" and "s".
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

impl FromStr for Time {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || {
            UnitError(format!(
                "`{text}` is not a time; write a number and a unit, such as `250us`, `300ms`, `2s` or `10m`"
            ))
        };
        let trimmed = text.trim().replace('µ', "u");
        let digits_end = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).ok_or_else(fail)?;
        let (number, unit) = trimmed.split_at(digits_end);
        let factor = TIME_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(fail)?.1;
        let value: f64 = number.replace('_', "").parse().map_err(|_| fail())?;
        let nanos = value * factor;
        // A century is more than any run lasts and keeps sums of times far from overflow.
        if !(0.0..=3.2e18).contains(&nanos) {
            return Err(fail());
        }
        Ok(Self(nanos.round() as Nanos))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) =
            TIME_UNITS.iter().rev().find(|(_, factor)| self.0 as f64 >= *factor).unwrap_or(&TIME_UNITS[3]);
        write!(f, "{}{name}", self.0 as f64 / factor)
    }
}

/// A part of a whole, written as a percentage: `"5%"` is `0.05`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError(format!("`{text}` is not a percentage; write a number and `%`, such as `5%`"));
        let number = text.trim().strip_suffix('%').ok_or_else(fail)?;
        let value: f64 = number.trim().parse().map_err(|_| fail())?;
        if value.is_finite() { Ok(Self(value / 100.0)) } else { Err(fail()) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to hide binary noise: 0.07 * 100 is 7.000000000000001.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

/// How much something may grow in a minute, written with its unit: `"1MiB/min"`, `"40MiB/h"`. In bytes a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Growth(pub f64);

const SIZE_UNITS: [(&str, f64); 4] =
    [("GiB", 1024.0 * 1024.0 * 1024.0), ("MiB", 1024.0 * 1024.0), ("KiB", 1024.0), ("B", 1.0)];

impl FromStr for Growth {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || {
            UnitError(format!(
                "`{text}` is not a growth; write a size and `/min` or `/h`, such as `1MiB/min` or `40MiB/h`"
            ))
        };
        let (size, per) = text.split_once('/').ok_or_else(fail)?;
        let minutes = match per.trim() {
            "min" => 1.0,
            "h" => 60.0,
            _ => return Err(fail()),
        };
        let size = size.trim();
        let (unit, bytes) = SIZE_UNITS.iter().find(|(unit, _)| size.ends_with(unit)).ok_or_else(fail)?;
        let number: f64 = size[..size.len() - unit.len()].trim().parse().map_err(|_| fail())?;
        let value = number * bytes / minutes;
        if value.is_finite() && number >= 0.0 { Ok(Self(value)) } else { Err(fail()) }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = SIZE_UNITS.iter().find(|(_, bytes)| self.0 >= *bytes).unwrap_or(&SIZE_UNITS[3]);
        // Rounded to hide binary noise.
        write!(f, "{}{unit}/min", (self.0 / bytes * 1e3).round() / 1e3)
    }
}

/// Reads and writes a type as the text that people write. What it names is in scope where it is used.
macro_rules! text_form {
    ($type:ty, $name:literal, $pattern:literal, $about:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
        #[cfg(feature = "schema")]
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $about })
            }
        }
    };
}

pub(crate) use text_form;

text_form!(
    Time,
    "Time",
    r"^[0-9._]+\s*(ns|us|µs|ms|s|m|h)$",
    "a length of time with its unit: 25us, 300ms, 2s, 10m, 1h"
);
text_form!(Share, "Share", r"^-?[0-9.]+\s*%$", "a percentage: 5%");
text_form!(Growth, "Growth", r"^[0-9.]+\s*(B|KiB|MiB|GiB)\s*/\s*(min|h)$", "growth of memory: 1MiB/min, 40MiB/h");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_print_alike() {
        for (text, nanos) in
            [("25us", 25_000), ("300ms", 300_000_000), ("1.5s", 1_500_000_000), ("10m", 600_000_000_000)]
        {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.0, nanos, "{text}");
            assert_eq!(time.to_string(), text);
        }
        assert_eq!("0ms".parse::<Time>().unwrap().to_string(), "0s");
    }

    #[test]
    fn what_is_not_a_time_says_so() {
        for text in ["", "5", "ms", "-1s", "5 parsecs", "1e3s", "9999999999h"] {
            let error = text.parse::<Time>().unwrap_err().to_string();
            assert!(error.contains("write a number and a unit"), "{text}: {error}");
        }
    }

    #[test]
    fn growths_read_and_print_alike() {
        for (text, bytes, printed) in [
            ("1MiB/min", 1_048_576.0, "1MiB/min"),
            ("1.5 KiB / min", 1536.0, "1.5KiB/min"),
            ("60GiB/h", 1_073_741_824.0, "1GiB/min"),
            ("0B/min", 0.0, "0B/min"),
        ] {
            let growth: Growth = text.parse().unwrap();
            assert!((growth.0 - bytes).abs() < 1e-6, "{text}");
            assert_eq!(growth.to_string(), printed);
        }
        for text in ["", "1MiB", "1MB/min", "-1MiB/min", "MiB/min", "1MiB/s", "infMiB/min", "NaNB/h"] {
            let error = text.parse::<Growth>().unwrap_err().to_string();
            assert!(error.contains("such as `1MiB/min`"), "{text}: {error}");
        }
    }

    #[test]
    fn shares_read_and_print_alike() {
        for (text, value) in [("5%", 0.05), ("0.1%", 0.001), ("7%", 0.07), ("-3%", -0.03)] {
            let share: Share = text.parse().unwrap();
            assert!((share.0 - value).abs() < 1e-15);
            assert_eq!(share.to_string(), text);
        }
        assert!("5".parse::<Share>().is_err());
        assert!("NaN%".parse::<Share>().is_err());
    }
}
