//! Figures as people read them.

/// A value with its unit, three significant digits or whole milliseconds' tenths: `49.2 ms`, `1402 tok/s`, `0.4 %`.
pub(crate) fn value(value: f64, unit: &str) -> String {
    if unit.is_empty() {
        return format!("{:.2} %", value * 100.0);
    }
    let digits = match value.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$} {unit}")
}

/// A ratio as a signed change: `1.041` is `+4.1 %`.
pub(crate) fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// An interval of ratios without the per cent sign: `[+3.2, +5.0]`.
pub(crate) fn change_interval([low, high]: [f64; 2]) -> String {
    format!("[{:+.1}, {:+.1}]", (low - 1.0) * 100.0, (high - 1.0) * 100.0)
}

/// A difference of shares in points: `+0.4 pp`.
pub(crate) fn points(difference: f64) -> String {
    format!("{:+.2} pp", difference * 100.0)
}

/// An interval of differences in points.
pub(crate) fn points_interval([low, high]: [f64; 2]) -> String {
    format!("[{:+.2}, {:+.2}]", low * 100.0, high * 100.0)
}

/// A share as a percentage with up to one digit: `3 %`, `0.5 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = (share * 1000.0).round() / 10.0;
    format!("{percent} %")
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
        assert_eq!(change(1.0414), "+4.1 %");
        assert_eq!(change_interval([0.97, 1.002]), "[-3.0, +0.2]");
        assert_eq!(points(0.005), "+0.50 pp");
        assert_eq!(percent(0.03), "3 %");
        assert_eq!(percent(0.0049), "0.5 %");
        assert_eq!((count(1, "job"), count(3, "job")), ("1 job".to_owned(), "3 jobs".to_owned()));
    }
}
