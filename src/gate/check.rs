//! What a check compares: how its values become costs, its threshold, and how many requests it needs.

use crate::metric::{Better, Metric, MetricId, Scale};

use super::judge::JudgeError;
use super::protocol::{CheckInput, TrialValues};

/// `n(1-q)` must reach this in every trial before a quantile gates.
const BEYOND_QUANTILE: f64 = 5.0;
/// In doubles, 50·(1 − 0.9) falls short of 5.
const SLACK: f64 = 1e-9;

/// How a check's values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From pooled counts.
    ErrorRate,
    /// By logarithms.
    Ratio,
    /// By points of a share.
    Difference,
}

/// A check whose name has been understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check<'a> {
    pub(super) input: &'a CheckInput,
    pub(super) kind: Kind,
    /// The tolerance as a difference of costs.
    pub(super) threshold: f64,
    quantile: Option<f64>,
}

impl<'a> Check<'a> {
    pub(super) fn new(case: &str, input: &'a CheckInput) -> Result<Self, JudgeError> {
        let CheckInput { metric, tolerance, .. } = input;
        let known = metric.parse::<MetricId>().ok();
        let kind = match known {
            Some(MetricId { metric: Metric::ErrorRate, .. }) => Kind::ErrorRate,
            Some(id) if id.metric.scale() == Scale::Difference => Kind::Difference,
            _ => Kind::Ratio,
        };
        if !tolerance.is_finite() || (kind == Kind::Ratio && *tolerance <= -1.0) {
            return Err(JudgeError::new(
                format!("case `{case}`, `{metric}`: tolerance {tolerance} is out of range"),
                "give a part above -1 for ratios (`0.05` is 5 %), points for shares (`0.005` is half a point)",
            ));
        }
        Ok(Self {
            input,
            kind,
            threshold: if kind == Kind::Ratio { tolerance.ln_1p() } else { *tolerance },
            quantile: known.map_or_else(|| quantile_suffix(metric), MetricId::quantile),
        })
    }

    /// Whether the check has a say in its case's verdict.
    pub(super) fn gates(&self) -> bool {
        !self.input.advisory
    }

    /// Whether the check, if it can be assessed, is one of those that share `alpha`.
    pub(super) fn in_family(&self) -> bool {
        self.gates() && self.kind != Kind::ErrorRate
    }

    /// Whether the tolerance is a goal: the candidate must be better than the reference.
    pub(super) fn is_goal(&self) -> bool {
        self.threshold < 0.0
    }

    /// Why the check cannot be assessed with trials of these sizes.
    pub(super) fn unresolved(&self, sizes: impl IntoIterator<Item = u64>) -> Option<String> {
        if self.input.unresolved.is_some() {
            return self.input.unresolved.clone();
        }
        let beyond = 1.0 - self.quantile?;
        let smallest = sizes.into_iter().min()?;
        if smallest as f64 * beyond >= BEYOND_QUANTILE - SLACK {
            return None;
        }
        let needed = ((BEYOND_QUANTILE - SLACK) / beyond).ceil();
        Some(format!("`{}` needs {needed} requests in every trial, but one has {smallest}", self.input.metric))
    }

    /// The trial's cost, larger when worse: a logarithm, or a share; `+inf` when censored. `place` names the trial.
    pub(super) fn cost(&self, case: &str, trial: &TrialValues, place: impl Fn() -> String) -> Result<f64, JudgeError> {
        let CheckInput { metric, better, .. } = self.input;
        let Some(value) = trial.values.get(metric) else {
            return Err(JudgeError::new(
                format!("case `{case}`, {}: no value for `{metric}`", place()),
                "every trial needs each metric that is checked; write `null` for a censored value",
            ));
        };
        let Some(value) = *value else { return Ok(f64::INFINITY) };
        let sign = match better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        };
        let wrong = |what: &str, hint: &str| {
            Err(JudgeError::new(format!("case `{case}`, {}: `{metric}` is {value}, {what}", place()), hint))
        };
        match (self.kind, better) {
            (Kind::Ratio, Better::Higher) if value == 0.0 => Ok(f64::INFINITY),
            (Kind::Ratio, _) if value > 0.0 && value.is_finite() => Ok(sign * value.ln()),
            (Kind::Ratio, _) => wrong("which has no logarithm", "give a value above 0, or `null` for a censored one"),
            (_, _) if (0.0..=1.0).contains(&value) => Ok(sign * value),
            (_, _) => wrong("which is no share", "give a share from 0 to 1, such as `0.98`"),
        }
    }
}

/// The quantile that a name of no known metric ends in: `queue.wait.p99.9`.
fn quantile_suffix(name: &str) -> Option<f64> {
    let percent: f64 = name
        .match_indices(".p")
        .map(|(at, _)| &name[at + 2..])
        .find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?
        .parse()
        .ok()?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(metric: &str, better: Better, tolerance: f64) -> CheckInput {
        CheckInput { metric: metric.into(), better, tolerance, advisory: false, unresolved: None }
    }

    fn trial(metric: &str, value: Option<f64>) -> TrialValues {
        TrialValues { n: 100, errors: 0, values: [(metric.to_owned(), value)].into() }
    }

    #[test]
    fn costs_grow_when_things_get_worse() {
        let cost = |metric: &str, better, value| {
            let input = input(metric, better, 0.05);
            Check::new("c", &input).unwrap().cost("c", &trial(metric, value), || "pair 2 side a".into())
        };
        assert_eq!(cost("ttft.p50", Better::Lower, Some(50.0)), Ok(50.0_f64.ln()));
        assert_eq!(cost("output_throughput", Better::Higher, Some(50.0)), Ok(-50.0_f64.ln()));
        assert_eq!(cost("goodput_ratio", Better::Higher, Some(0.9)), Ok(-0.9));
        assert_eq!(cost("anything", Better::Lower, Some(2.0)), Ok(2.0_f64.ln()));
        assert_eq!(cost("ttft.p50", Better::Lower, None), Ok(f64::INFINITY));
        assert_eq!(cost("output_throughput", Better::Higher, Some(0.0)), Ok(f64::INFINITY));
        for (metric, better, value) in [
            ("ttft.p50", Better::Lower, 0.0),
            ("ttft.p50", Better::Lower, -3.0),
            ("ttft.p50", Better::Lower, f64::NAN),
            ("ttft.p50", Better::Lower, f64::INFINITY),
            ("output_throughput", Better::Higher, -1.0),
            ("goodput_ratio", Better::Higher, 98.5),
        ] {
            let error = cost(metric, better, Some(value)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("case `c`, pair 2 side a: `{metric}` is {value}")), "{error}");
        }
    }

    #[test]
    fn a_missing_value_is_named() {
        let input = input("ttft.p50", Better::Lower, 0.05);
        let check = Check::new("chat", &input).unwrap();
        let error = check.cost("chat", &trial("tpot.p50", None), || "pair 1 side b".into()).unwrap_err();
        assert_eq!(error.message, "case `chat`, pair 1 side b: no value for `ttft.p50`");
    }

    #[test]
    fn thresholds() {
        let threshold = |metric: &str, tolerance| {
            Check::new("c", &input(metric, Better::Lower, tolerance)).map(|c| c.threshold).ok()
        };
        assert_eq!(threshold("ttft.p50", 0.05), Some(0.05_f64.ln_1p()));
        assert!((threshold("ttft.p50", -0.3).unwrap() - 0.7_f64.ln()).abs() < 1e-15);
        assert_eq!(threshold("prefix_hit_ratio", -1.0), Some(-1.0));
        assert_eq!(threshold("error_rate", 0.005), Some(0.005));
        assert_eq!(threshold("ttft.p50", -1.0), None);
        assert_eq!(threshold("ttft.p50", f64::INFINITY), None);
    }

    #[test]
    fn quantiles_need_requests() {
        for (metric, needed) in [
            ("ttft.p50", 10),
            ("ttft.p90", 50),
            ("itl.p95", 100),
            ("itl.p99", 500),
            ("ttft.p99.9", 5000),
            ("my.own.p99", 500),
            ("queue.pending.p90", 50),
            ("ttft.mean", 1),
            ("output_throughput", 1),
            ("db.pNN", 1),
        ] {
            let input = input(metric, Better::Lower, 0.05);
            let check = Check::new("c", &input).unwrap();
            assert_eq!(check.unresolved([10_000, needed]), None, "{metric}");
            if needed > 1 {
                let why = check.unresolved([10_000, needed - 1]).unwrap();
                assert_eq!(
                    why,
                    format!("`{metric}` needs {needed} requests in every trial, but one has {}", needed - 1)
                );
            }
        }
    }
}
