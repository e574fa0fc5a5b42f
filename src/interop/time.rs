//! Times of day as tools write them.

/// Seconds since 1970 of `2026-11-23T11:38:12.012Z` or `20261123-114112`, both taken as UTC: only differences between
/// times of one tool are used.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, rest)) => {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (whole, format!("0.{digits}").parse().ok()?)
        }
        None => (text, 0.0),
    };
    let digits: String = whole.chars().filter(char::is_ascii_digit).take(14).collect();
    if digits.len() != 14 {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits[range].parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
            - 719_469;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) as f64 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00.5Z", 951_825_600.5),
            ("2026-11-23T11:38:12.25", 1_795_433_892.25),
            ("20261123-113812", 1_795_433_892.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-23", "2026-11-23T24:00:00Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
