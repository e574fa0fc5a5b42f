//! From values to places on paper, with ticks at round numbers.

/// Values that reach over more than this are shown by their logarithms.
const WIDE: f64 = 12.0;

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    /// From `start` to `end` on paper. An empty range is widened.
    pub(super) fn linear([from, to]: [f64; 2], [start, end]: [f64; 2]) -> Self {
        let (from, to) = if to - from > f64::EPSILON * from.abs().max(to.abs()).max(1e-9) {
            (from, to)
        } else {
            let half = (from.abs() * 0.05).max(1e-6);
            (from - half, to + half)
        };
        Self { from, to, start, end, log: false }
    }

    /// Linear, or by logarithms where the range is wide; with a little room at both ends.
    pub(super) fn fitting([from, to]: [f64; 2], paper: [f64; 2]) -> Self {
        if from > 0.0 && to / from > WIDE {
            let room = (to / from).powf(0.03);
            return Self { from: from / room, to: to * room, start: paper[0], end: paper[1], log: true };
        }
        let room = (to - from) * 0.06;
        let least = if from >= 0.0 { (from - room).max(0.0) } else { from - room };
        Self::linear([least, to + room], paper)
    }

    /// By logarithms; both ends are above zero.
    pub(super) fn logarithmic([from, to]: [f64; 2], [start, end]: [f64; 2]) -> Self {
        Self { from, to, start, end, log: true }
    }

    /// Where a value is on paper; what lies outside is put to the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Whether a value lies on the axis.
    pub(super) fn has(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    /// Round values, about as many as asked for, with their labels.
    pub(super) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        if self.log { self.log_ticks(about) } else { self.linear_ticks(about) }
    }

    fn linear_ticks(&self, about: usize) -> Vec<(f64, String)> {
        let step = round_step((self.to - self.from) / about.max(1) as f64);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.from / step - 1e-9).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|n| {
                let value = n as f64 * step;
                (value, grouped(&format!("{value:.digits$}")))
            })
            .collect()
    }

    fn log_ticks(&self, about: usize) -> Vec<(f64, String)> {
        let decades = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
        let all = |within: &[f64]| -> Vec<f64> {
            let values = decades.clone().flat_map(|power| within.iter().map(move |n| n * 10f64.powi(power)));
            values.filter(|value| (self.from..=self.to).contains(value)).collect()
        };
        let fine = all(&[1.0, 2.0, 5.0]);
        let values = if fine.len() > about + 2 { all(&[1.0]) } else { fine };
        let digits = |value: f64| (-(value * 1.000_001).log10().floor()).max(0.0) as usize;
        values.into_iter().map(|value| (value, grouped(&format!("{value:.0$}", digits(value))))).collect()
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= step * 0.999).unwrap_or(10.0);
    times * power
}

/// Thousands apart, by a space that does not break; no minus before nothing.
fn grouped(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) if rest.chars().any(|c| c.is_ascii_digit() && c != '0') => ("\u{2212}", rest),
        Some(rest) => ("", rest),
        None => ("", text),
    };
    let (whole, part) = digits.split_once('.').map_or((digits, ""), |(whole, part)| (whole, part));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && whole.len() > 4 && (whole.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// The smallest and the largest of the finite values.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some([value, value]),
        Some([low, high]) => Some([low.min(value), high.max(value)]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, about: usize) -> Vec<String> {
        scale.ticks(about).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Scale::linear([0.0, 1.0], [0.0, 1.0]), 4), ["0.0", "0.5", "1.0"]);
        assert_eq!(labels(Scale::linear([4.18, 4.31], [0.0, 1.0]), 4), ["4.20", "4.25", "4.30"]);
        assert_eq!(labels(Scale::linear([-3.0, 12.0], [0.0, 1.0]), 3), ["0", "5", "10"]);
        assert_eq!(labels(Scale::linear([-7.0, 2.0], [0.0, 1.0]), 4), ["\u{2212}5", "0"]);
        assert_eq!(labels(Scale::linear([0.0, 21_000.0], [0.0, 1.0]), 2), ["0", "20\u{202f}000"]);
        assert_eq!(labels(Scale::fitting([0.4, 300.0], [0.0, 1.0]), 4), ["1", "10", "100"]);
        assert_eq!(labels(Scale::fitting([0.4, 6.0], [0.0, 1.0]), 4), ["0.5", "1", "2", "5"]);
    }

    #[test]
    fn values_have_their_places() {
        let scale = Scale::linear([10.0, 20.0], [100.0, 0.0]);
        for (value, place) in [(10.0, 100.0), (15.0, 50.0), (20.0, 0.0), (99.0, 0.0), (-1.0, 100.0)] {
            assert!((scale.at(value) - place).abs() < 1e-9, "{value}");
        }
        let log = Scale::logarithmic([1.0, 8.0], [0.0, 3.0]);
        assert!((log.at(4.0) - 2.0).abs() < 1e-9 && log.at(0.0).abs() < 1e-9);
        let flat = Scale::linear([5.0, 5.0], [0.0, 10.0]);
        assert!((flat.at(5.0) - 5.0).abs() < 1e-9);
        assert!(Scale::fitting([1.0, 13.0], [0.0, 1.0]).is_log() && !Scale::fitting([0.0, 13.0], [0.0, 1.0]).is_log());
        assert_eq!(range([2.0, f64::NAN, 1.0, f64::INFINITY]), Some([1.0, 2.0]));
        assert_eq!(range([]), None);
    }
}
