//! Figures as people read them.

/// A value with its unit, at most four significant digits: `49.23 ms`, `1402 tok/s`, `0.40 %`.
pub(crate) fn value(value: f64, unit: &str) -> String {
    let unit = if unit.is_empty() { "%" } else { unit };
    format!("{} {unit}", figure(value, unit, digits(value, unit)))
}

/// An interval of values with its unit at the end: `49.82 to 50.42 ms`.
pub(crate) fn value_range([low, high]: [f64; 2], unit: &str) -> String {
    let unit = if unit.is_empty() { "%" } else { unit };
    let digits = digits(high, unit);
    format!("{} to {} {unit}", figure(low, unit, digits), figure(high, unit, digits))
}

/// An interval of values without their unit: `[49.82, 50.42]`.
pub(crate) fn value_interval([low, high]: [f64; 2], unit: &str) -> String {
    let unit = if unit.is_empty() { "%" } else { unit };
    let digits = digits(high, unit);
    format!("[{}, {}]", figure(low, unit, digits), figure(high, unit, digits))
}

fn digits(value: f64, unit: &str) -> usize {
    match value.abs() {
        _ if unit == "%" => 2,
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    }
}

fn figure(value: f64, unit: &str, digits: usize) -> String {
    format!("{:.digits$}", if unit == "%" { value * 100.0 } else { value })
}

/// A signed number; what rounds to nothing has no minus, which would read as a direction.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    if text.chars().any(|c| c.is_ascii_digit() && c != '0') { text } else { text.replace('-', "+") }
}

/// A ratio as a signed change: `1.041` is `+4.1 %`.
pub(crate) fn change(ratio: f64) -> String {
    format!("{} %", signed((ratio - 1.0) * 100.0, 1))
}

/// An interval of ratios without the per cent sign: `[+3.2, +5.0]`.
pub(crate) fn change_interval([low, high]: [f64; 2]) -> String {
    format!("[{}, {}]", signed((low - 1.0) * 100.0, 1), signed((high - 1.0) * 100.0, 1))
}

/// A difference of shares in points: `+0.40 pp`.
pub(crate) fn points(difference: f64) -> String {
    format!("{} pp", signed(difference * 100.0, 2))
}

/// An interval of differences in points: `[+0.10, +0.70]`.
pub(crate) fn points_interval([low, high]: [f64; 2]) -> String {
    format!("[{}, {}]", signed(low * 100.0, 2), signed(high * 100.0, 2))
}

/// A share as a percentage with up to one digit: `3 %`, `0.5 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = (share * 1000.0).round() / 10.0;
    format!("{percent} %")
}

/// A number with up to one digit behind the point: `3`, `7.4`.
pub(crate) fn plain(value: f64) -> String {
    let value = (value * 10.0).round() / 10.0;
    // Rounding leaves a sign on nothing.
    format!("{}", value + 0.0)
}

/// A number of bytes: `812 KiB`, `3.4 GiB`; with its sign where it is a change.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = UNITS.iter().enumerate().rev().find(|(step, _)| value.abs() >= 1024_f64.powi(*step as i32));
    let (step, unit) = step.unwrap_or((0, &"B"));
    format!("{} {unit}", plain(value / 1024_f64.powi(step as i32)))
}

/// Six digits behind the point: more than any figure deserves, and the same on every machine.
pub(super) fn six_digits(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// `value` as a line of JSON Lines.
pub(super) fn json_line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("structs of numbers and texts have a JSON form") + "\n"
}

/// `1 trial`, `2 trials`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(value(49.234, "ms"), "49.23 ms");
        assert_eq!(value(4.2806, "ms"), "4.281 ms");
        assert_eq!(value(1402.4, "tok/s"), "1402 tok/s");
        assert_eq!(value(0.004, ""), "0.40 %");
        assert_eq!(value_range([99.951, 100.42], "ms"), "100.0 to 100.4 ms");
        assert_eq!(value_interval([0.25, 0.255], ""), "[25.00, 25.50]");
        assert_eq!(change(1.0414), "+4.1 %");
        assert_eq!(change_interval([0.97, 1.002]), "[-3.0, +0.2]");
        assert_eq!(points(0.005), "+0.50 pp");
        assert_eq!(percent(0.03), "3 %");
        assert_eq!(percent(0.0049), "0.5 %");
        assert_eq!([plain(3.04), plain(7.36), plain(-0.01)], ["3", "7.4", "0"]);
        assert_eq!([bytes(0.0), bytes(1023.0), bytes(3.45 * 1_048_576.0)], ["0 B", "1023 B", "3.5 MiB"]);
        assert_eq!([bytes(-2048.0), bytes(8e12)], ["-2 KiB", "7.3 TiB"]);
        assert_eq!((count(1, "job"), count(3, "job")), ("1 job".to_owned(), "3 jobs".to_owned()));
    }

    #[test]
    fn nothing_has_no_direction() {
        assert_eq!(change(0.9996), "+0.0 %");
        assert_eq!(change_interval([0.9994, 0.9996]), "[-0.1, +0.0]");
        assert_eq!(points(-0.000_04), "+0.00 pp");
    }
}
