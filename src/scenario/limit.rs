//! The little language of limits: `<= 300ms`, `<= baseline + 10%`, `<= 0.7 * reference`.

use std::fmt;
use std::str::FromStr;

use crate::metric::{Better, MetricId, Scale};
use crate::units::{Share, Time};

/// Which side of the limit is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
}

/// What the measured value is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reference {
    /// A fixed value in the metric's unit (milliseconds, tok/s, a share as 0…1).
    Absolute(f64),
    /// The baseline with a tolerance: a part of it for ratios (`0.05`), points for shares (`0.005`).
    Baseline(f64),
    /// A multiple of the reference variant's value.
    Variant(f64),
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The allowed side.
    pub bound: Bound,
    /// What it is measured against.
    pub reference: Reference,
}

/// A limit that does not parse or does not fit its metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LimitError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Limit {
    /// Whether the limit compares two sides, so that it is tested with confidence.
    pub fn is_comparison(self) -> bool {
        !matches!(self.reference, Reference::Absolute(_))
    }

    /// The tolerance of a comparison as the gate takes it: a relative part or points; `None` for a fixed limit.
    /// A multiple `0.7 * reference` is the tolerance −30 %.
    pub fn tolerance(self) -> Option<f64> {
        match self.reference {
            Reference::Absolute(_) => None,
            Reference::Baseline(tolerance) => Some(tolerance),
            Reference::Variant(factor) => Some(match self.bound {
                Bound::AtMost => factor - 1.0,
                // `>= 1.2 * reference` of throughput: its cost may be at most 1/1.2 of the reference's.
                Bound::AtLeast => 1.0 / factor - 1.0,
            }),
        }
    }

    /// Reads `text` as a limit of `metric`, whose unit and good direction it must fit.
    pub fn parse(text: &str, metric: MetricId) -> Result<Self, LimitError> {
        let example = example(metric);
        let fail = |message: String| LimitError { message, hint: format!("write for example `{example}`") };
        let trimmed = text.trim();
        let (bound, rest) = if let Some(rest) = trimmed.strip_prefix("<=") {
            (Bound::AtMost, rest.trim())
        } else if let Some(rest) = trimmed.strip_prefix(">=") {
            (Bound::AtLeast, rest.trim())
        } else {
            return Err(fail(format!("limit `{text}` must start with `<=` or `>=`")));
        };
        let good = match metric.metric.better() {
            Better::Lower => Bound::AtMost,
            Better::Higher => Bound::AtLeast,
        };
        let reference = if let Some(tail) = rest.strip_prefix("baseline") {
            Reference::Baseline(
                tolerance(tail.trim(), bound)
                    .ok_or_else(|| fail(format!("`{rest}` is not `baseline {} N%`", sign(bound))))?,
            )
        } else if rest == "reference" || rest.ends_with("reference") {
            let factor = rest.strip_suffix("reference").unwrap_or_default().trim();
            let factor = if factor.is_empty() {
                Some(1.0)
            } else {
                factor.strip_suffix('*').and_then(|number| number.trim().parse().ok())
            };
            Reference::Variant(
                factor
                    .filter(|f: &f64| f.is_finite() && *f > 0.0)
                    .ok_or_else(|| fail(format!("`{rest}` is not `N * reference`")))?,
            )
        } else {
            Reference::Absolute(
                absolute(rest, metric)
                    .ok_or_else(|| fail(format!("`{rest}` is not a value of `{metric}`{}", unit_hint(metric))))?,
            )
        };
        if !matches!(reference, Reference::Absolute(_)) && bound != good {
            return Err(LimitError {
                message: format!(
                    "`{text}` forbids getting better: {} values of `{metric}` are good",
                    match good {
                        Bound::AtMost => "low",
                        Bound::AtLeast => "high",
                    }
                ),
                hint: format!("write `{good} …`"),
            });
        }
        Ok(Self { bound, reference })
    }
}

fn sign(bound: Bound) -> char {
    match bound {
        Bound::AtMost => '+',
        Bound::AtLeast => '-',
    }
}

/// `+ 10%` after `<= baseline`, `- 3%` after `>= baseline`, or nothing.
fn tolerance(tail: &str, bound: Bound) -> Option<f64> {
    if tail.is_empty() {
        return Some(0.0);
    }
    let share = tail.strip_prefix(sign(bound))?.trim();
    // Points (`0.5pp`) and percent mean the same number; which one applies follows from the metric's scale.
    let share = share.strip_suffix("pp").map_or_else(|| share.to_owned(), |number| format!("{}%", number.trim()));
    Share::from_str(&share).ok().map(|s| s.0).filter(|s| (0.0..10.0).contains(s))
}

fn absolute(text: &str, metric: MetricId) -> Option<f64> {
    let value = match (metric.metric.unit(), metric.metric.scale()) {
        ("ms", _) => Time::from_str(text).ok()?.0 as f64 / 1e6,
        (_, Scale::Difference) => {
            Share::from_str(text).map(|s| s.0).ok().or_else(|| text.parse().ok()).filter(|v| (0.0..=1.0).contains(v))?
        }
        (unit, _) => text.strip_suffix(unit).unwrap_or(text).trim().parse().ok()?,
    };
    (value.is_finite() && value >= 0.0).then_some(value)
}

fn unit_hint(metric: MetricId) -> String {
    match (metric.metric.unit(), metric.metric.scale()) {
        (_, Scale::Difference) => ", which is a share such as `0.1%`".into(),
        ("ms", _) => ", which is a time such as `300ms`".into(),
        (unit, _) => format!(", which is a number in {unit}"),
    }
}

fn example(metric: MetricId) -> String {
    let better = metric.metric.better();
    match (metric.metric.unit(), metric.metric.scale(), better) {
        ("ms", _, _) => "<= 300ms` or `<= baseline + 5%".into(),
        (_, Scale::Difference, Better::Lower) => "<= 0.1%".into(),
        (_, Scale::Difference, Better::Higher) => ">= 95%".into(),
        (_, _, Better::Lower) => "<= baseline + 5%".into(),
        (_, _, Better::Higher) => ">= baseline - 5%".into(),
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
        })
    }
}

impl Limit {
    /// The limit as a scenario file writes it, with the unit of `metric`.
    pub fn text(self, metric: MetricId) -> String {
        let sign = sign(self.bound);
        match self.reference {
            Reference::Absolute(value) => match (metric.metric.unit(), metric.metric.scale()) {
                (_, Scale::Difference) => format!("{} {}", self.bound, Share(value)),
                ("ms", _) => format!("{} {}", self.bound, Time((value * 1e6).round() as u64)),
                _ => format!("{} {value}", self.bound),
            },
            Reference::Baseline(tolerance) => {
                let share = Share(tolerance).to_string();
                // Points, where a percentage of a percentage could be understood.
                let tolerance =
                    if metric.metric.scale() == Scale::Difference { share.replace('%', "pp") } else { share };
                format!("{} baseline {sign} {tolerance}", self.bound)
            }
            Reference::Variant(factor) => format!("{} {factor} * reference", self.bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(metric: &str, text: &str) -> Result<Limit, LimitError> {
        Limit::parse(text, metric.parse().unwrap())
    }

    #[test]
    fn the_documented_forms() {
        use Reference::{Absolute, Baseline, Variant};
        for (metric, text, bound, reference) in [
            ("ttft.p95", "<= 300ms", Bound::AtMost, Absolute(300.0)),
            ("ttft.p95", "<= baseline + 10%", Bound::AtMost, Baseline(0.1)),
            ("ttft.p95", "<=baseline", Bound::AtMost, Baseline(0.0)),
            ("output_throughput", ">= baseline - 3%", Bound::AtLeast, Baseline(0.03)),
            ("output_throughput", ">= 250", Bound::AtLeast, Absolute(250.0)),
            ("output_throughput", ">= 250 tok/s", Bound::AtLeast, Absolute(250.0)),
            ("error_rate", "<= 0.1%", Bound::AtMost, Absolute(0.001)),
            ("error_rate", "<= baseline + 0.5pp", Bound::AtMost, Baseline(0.005)),
            ("ttft.p50", "<= 0.7 * reference", Bound::AtMost, Variant(0.7)),
            ("prefix_hit_ratio", ">= 60%", Bound::AtLeast, Absolute(0.6)),
        ] {
            let limit = parse(metric, text).unwrap();
            assert_eq!(limit.bound, bound, "{text}");
            match (limit.reference, reference) {
                (Absolute(a), Absolute(b)) | (Baseline(a), Baseline(b)) | (Variant(a), Variant(b)) => {
                    assert!((a - b).abs() < 1e-12, "{text}: {a} {b}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn limits_print_as_they_are_written() {
        for (metric, text) in [
            ("ttft.p95", "<= 300ms"),
            ("ttft.p95", "<= baseline + 10%"),
            ("output_throughput", ">= baseline - 3%"),
            ("output_throughput", ">= 250"),
            ("error_rate", "<= 0.1%"),
            ("error_rate", "<= baseline + 0.5pp"),
            ("ttft.p50", "<= 0.7 * reference"),
        ] {
            assert_eq!(parse(metric, text).unwrap().text(metric.parse().unwrap()), text);
        }
    }

    #[test]
    fn what_does_not_parse_says_what_does() {
        for (metric, text, message) in [
            ("ttft.p95", "300ms", "must start with"),
            ("ttft.p95", "<= 300", "which is a time such as"),
            ("ttft.p95", "<= baseline - 5%", "is not `baseline + N%`"),
            ("ttft.p95", ">= baseline - 5%", "forbids getting better"),
            ("error_rate", "<= 5", "which is a share"),
            ("ttft.p50", "<= x * reference", "is not `N * reference`"),
            ("output_throughput", ">= fast", "a number in tok/s"),
        ] {
            let error = parse(metric, text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn a_multiple_of_the_reference_is_a_tolerance() {
        assert!((parse("ttft.p50", "<= 0.7 * reference").unwrap().tolerance().unwrap() + 0.3).abs() < 1e-12);
        assert_eq!(parse("ttft.p50", "<= 300ms").unwrap().tolerance(), None);
    }
}
