//! Fixed limits (`<= 300ms`): the estimate over the trials against the limit, as people expect of an SLO.

use crate::gate::{CheckVerdict, TrialValues, Verdict};
use crate::metric::{Better, Metric, MetricId, Scale};
use crate::stats::interval::Proportion;
use crate::stats::student::{critical, normal_critical};
use crate::stats::trimmed::{trim_count, trimmed};

/// A fixed limit's verdict with the figures that it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Absolute {
    /// `pass`, `exceeded` or `unresolved`.
    pub check: CheckVerdict,
    /// The estimate over the trials; absent if it is infinite or was not measured.
    pub value: Option<f64>,
    /// Its two-sided 90 % interval.
    pub interval: Option<[f64; 2]>,
    /// The limit lies inside the interval: another run may decide otherwise.
    pub marginal: bool,
}

/// Judges `limit` (in the metric's unit) on the values of `trials`.
///
/// A quantile that the trials cannot resolve fails when its estimate is beyond the limit, and never passes.
pub fn absolute(metric: MetricId, limit: f64, trials: &[TrialValues]) -> Absolute {
    let name = metric.to_string();
    let estimate = if metric.metric == Metric::ErrorRate { pooled(trials) } else { over_trials(metric, &name, trials) };
    let (value, interval) = match estimate {
        Estimate::Known(value, interval) => (value, interval),
        Estimate::Worst => {
            let mut check = CheckVerdict::new(name, Verdict::Exceeded);
            check.reason = Some("so many requests failed that the value is beyond any limit".into());
            return Absolute { check, value: None, interval: None, marginal: false };
        }
        Estimate::None => {
            let mut check = CheckVerdict::new(name, Verdict::Unresolved);
            check.reason = Some("the trials have no such value".into());
            return Absolute { check, value: None, interval: None, marginal: false };
        }
    };
    let beyond = match metric.metric.better() {
        Better::Lower => value > limit,
        Better::Higher => value < limit,
    };
    let needed = metric.needed_requests();
    let fewest = trials.iter().map(|trial| trial.n).min().unwrap_or(0);
    let mut check = CheckVerdict::new(name, if beyond { Verdict::Exceeded } else { Verdict::Pass });
    if fewest < needed {
        check.reason = Some(format!("{fewest} requests a trial cannot show this quantile; it needs {needed}"));
        if !beyond {
            check.verdict = Verdict::Unresolved;
        }
    }
    let marginal = interval.is_some_and(|[low, high]| low <= limit && limit <= high);
    Absolute { check, value: Some(value), interval, marginal }
}

enum Estimate {
    Known(f64, Option<[f64; 2]>),
    Worst,
    None,
}

fn over_trials(metric: MetricId, name: &str, trials: &[TrialValues]) -> Estimate {
    let mut values = Vec::with_capacity(trials.len());
    let mut censored = 0;
    for trial in trials {
        match trial.values.get(name) {
            Some(Some(value)) => values.push(*value),
            Some(None) => censored += 1,
            None => return Estimate::None,
        }
    }
    // Trimming absorbs as many lost trials as it would cut anyway.
    if censored > trim_count(trials.len()) || values.is_empty() {
        return if trials.is_empty() { Estimate::None } else { Estimate::Worst };
    }
    let logarithmic = metric.metric.scale() == Scale::Ratio && values.iter().all(|value| *value > 0.0);
    if logarithmic {
        for value in &mut values {
            *value = value.ln();
        }
    }
    let back = |value: f64| if logarithmic { value.exp() } else { value };
    let Some(estimate) = trimmed(&mut values, 0.0) else {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        return Estimate::Known(back(mean), None);
    };
    let half = critical(0.05, estimate.df) * estimate.se;
    Estimate::Known(back(estimate.mean), Some([back(estimate.mean - half), back(estimate.mean + half)]))
}

fn pooled(trials: &[TrialValues]) -> Estimate {
    let count = |of: fn(&TrialValues) -> u64| trials.iter().map(of).sum::<u64>();
    let (errors, n) = (count(|trial| trial.errors), count(|trial| trial.n));
    if n == 0 {
        return Estimate::None;
    }
    let proportion = Proportion { count: errors as f64, of: n as f64 };
    let (low, high) = proportion.wilson(normal_critical(0.05));
    Estimate::Known(proportion.share(), Some([low, high]))
}
