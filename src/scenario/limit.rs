//! The little language of limits: `<= 300ms`, `<= baseline + 10%`, `<= reference + 5%`, `<= 0.7 * reference`.

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

/// What the comparisons of a scenario are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Accepted jobs: `baseline`.
    Baseline,
    /// The other variant of a `[compare]` scenario: `reference`.
    Variant,
}

impl Against {
    /// What it is called in a limit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Variant => "reference",
        }
    }
}

/// What the measured value is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reference {
    /// A fixed value in the metric's unit (milliseconds, tok/s, a share as 0…1).
    Absolute(f64),
    /// The baseline with a tolerance: a part of it for ratios (`0.05`), points for shares (`0.005`).
    Baseline(f64),
    /// What the reference variant has in the same run.
    Variant(Margin),
}

/// How the judged variant may differ from the reference variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// A tolerance: a part of the reference for ratios (`0.05`), points for shares (`0.005`).
    Tolerance(f64),
    /// A multiple of the reference's value; never of a share.
    Multiple(f64),
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

    /// The tolerance of a comparison as the gate takes it: a part of the reference's cost, or points of a share;
    /// `None` for a fixed limit. A multiple `0.7 * reference` is the tolerance −30 %.
    pub fn tolerance(self) -> Option<f64> {
        match self.reference {
            Reference::Absolute(_) => None,
            Reference::Baseline(tolerance) | Reference::Variant(Margin::Tolerance(tolerance)) => Some(tolerance),
            Reference::Variant(Margin::Multiple(factor)) => Some(match self.bound {
                Bound::AtMost => factor - 1.0,
                // `>= 1.2 * reference` of throughput: its cost may be at most 1/1.2 of the reference's.
                Bound::AtLeast => 1.0 / factor - 1.0,
            }),
        }
    }

    /// Reads `text` as a limit of `metric`, whose unit and good direction it must fit, in a scenario whose
    /// comparisons are made with `against`.
    pub fn parse(text: &str, metric: MetricId, against: Against) -> Result<Self, LimitError> {
        let fail = |message: String| LimitError { message, hint: hint(metric, against) };
        let trimmed = text.trim();
        let (bound, rest) = if let Some(rest) = trimmed.strip_prefix("<=") {
            (Bound::AtMost, rest.trim())
        } else if let Some(rest) = trimmed.strip_prefix(">=") {
            (Bound::AtLeast, rest.trim())
        } else {
            return Err(fail(format!("limit `{text}` must start with `<=` or `>=`")));
        };
        let compares = [Against::Baseline, Against::Variant].into_iter().find(|side| rest.contains(side.name()));
        let reference = match compares {
            Some(side) if side != against => return Err(other_side(side, bound, rest)),
            Some(_) => comparison(rest, bound, metric, against)?,
            None => Reference::Absolute(
                absolute(rest, metric)
                    .ok_or_else(|| fail(format!("`{rest}` is not a value of `{metric}`{}", unit_hint(metric))))?,
            ),
        };
        let good = good(metric);
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

    /// The limit as a scenario file writes it, with the unit of `metric`.
    pub fn text(self, metric: MetricId) -> String {
        let bound = self.bound;
        let within = |against: Against, tolerance: f64| {
            if tolerance == 0.0 {
                return format!("{bound} {}", against.name());
            }
            // Points, where a percentage of a percentage could be understood.
            let unit = margin_unit(metric);
            let tolerance = Share(tolerance).to_string().replace('%', unit);
            format!("{bound} {} {} {tolerance}", against.name(), sign(bound))
        };
        match self.reference {
            Reference::Absolute(value) => match (metric.metric.unit(), metric.metric.scale()) {
                (_, Scale::Difference) => format!("{bound} {}", Share(value)),
                ("ms", _) => format!("{bound} {}", Time((value * 1e6).round() as u64)),
                _ => format!("{bound} {value}"),
            },
            Reference::Baseline(tolerance) => within(Against::Baseline, tolerance),
            Reference::Variant(Margin::Tolerance(tolerance)) => within(Against::Variant, tolerance),
            Reference::Variant(Margin::Multiple(factor)) => format!("{bound} {factor} * {}", Against::Variant.name()),
        }
    }
}

/// The side of a comparison that leaves room for getting better.
fn good(metric: MetricId) -> Bound {
    match metric.metric.better() {
        Better::Lower => Bound::AtMost,
        Better::Higher => Bound::AtLeast,
    }
}

fn sign(bound: Bound) -> char {
    match bound {
        Bound::AtMost => '+',
        Bound::AtLeast => '-',
    }
}

/// What the number of a tolerance is followed by.
fn margin_unit(metric: MetricId) -> &'static str {
    match metric.metric.scale() {
        Scale::Ratio => "%",
        Scale::Difference => "pp",
    }
}

/// A comparison with the side that the scenario does not have.
fn other_side(side: Against, bound: Bound, rest: &str) -> LimitError {
    match side {
        Against::Baseline => LimitError {
            message: "a `[compare]` scenario has no `baseline`".into(),
            hint: format!(
                "write `reference` for the other variant: `{bound} {}`",
                rest.replace("baseline", "reference")
            ),
        },
        Against::Variant => LimitError {
            message: "`reference` needs a `[compare]` table that names two variants".into(),
            hint: format!("compare with the baseline: `{bound} baseline …`"),
        },
    }
}

/// `baseline + 5%`, `reference + 5%` or `0.7 * reference`.
fn comparison(rest: &str, bound: Bound, metric: MetricId, against: Against) -> Result<Reference, LimitError> {
    let name = against.name();
    if let Some(tolerance) = rest.strip_prefix(name).and_then(|tail| tolerance(tail.trim(), bound, metric)) {
        return Ok(match against {
            Against::Baseline => Reference::Baseline(tolerance),
            Against::Variant => Reference::Variant(Margin::Tolerance(tolerance)),
        });
    }
    let multiple = rest.strip_suffix(name).filter(|_| against == Against::Variant).and_then(multiple);
    match (multiple, metric.metric.scale()) {
        (Some(factor), Scale::Ratio) => return Ok(Reference::Variant(Margin::Multiple(factor))),
        (Some(_), Scale::Difference) => {
            return Err(LimitError {
                message: format!("`{rest}` is a multiple of a share, and `{metric}` is compared in points"),
                hint: hint(metric, against),
            });
        }
        (None, _) => {}
    }
    let within = format!("{name} {} N{}", sign(bound), margin_unit(metric));
    let message = match (against, metric.metric.scale()) {
        (Against::Variant, Scale::Ratio) => format!("`{rest}` is neither `{within}` nor `N * {name}`"),
        _ => format!("`{rest}` is not `{within}`"),
    };
    Err(LimitError { message, hint: hint(metric, against) })
}

/// `+ 10%` after `<= baseline`, `- 3%` after `>= baseline`, or nothing.
fn tolerance(tail: &str, bound: Bound, metric: MetricId) -> Option<f64> {
    if tail.is_empty() {
        return Some(0.0);
    }
    let number = tail.strip_prefix(sign(bound))?.trim();
    // Of a share, percent are points too; of anything else points would mean nothing.
    let points = number.strip_suffix(margin_unit(metric)).map(|number| format!("{}%", number.trim()));
    let share = Share::from_str(points.as_deref().unwrap_or(number)).ok()?.0;
    (0.0..10.0).contains(&share).then_some(share)
}

/// `0.7 *`.
fn multiple(text: &str) -> Option<f64> {
    let factor: f64 = text.trim().strip_suffix('*')?.trim().parse().ok()?;
    // Beyond this the tolerance is nothing or everything.
    (1e-6..=1e6).contains(&factor).then_some(factor)
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

/// What could be written.
fn hint(metric: MetricId, against: Against) -> String {
    let bound = good(metric);
    let (fixed, points, factor) = match bound {
        Bound::AtMost => ("0.1%", "0.5pp", 0.7),
        Bound::AtLeast => ("95%", "1pp", 1.2),
    };
    let within = format!("{bound} {} {}", against.name(), sign(bound));
    match (metric.metric.scale(), metric.metric.unit(), against) {
        (Scale::Difference, _, _) => format!("write for example `{bound} {fixed}` or `{within} {points}`"),
        (Scale::Ratio, "ms", Against::Baseline) => format!("write for example `{bound} 300ms` or `{within} 5%`"),
        (Scale::Ratio, _, Against::Baseline) => format!("write for example `{within} 5%`"),
        (Scale::Ratio, _, Against::Variant) => {
            format!("write for example `{within} 5%` or `{bound} {factor} * {}`", against.name())
        }
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

#[cfg(test)]
mod tests;
