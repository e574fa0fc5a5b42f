//! Tests of the kernel as a whole.

mod lines;
mod paired;
mod properties;
mod stored;
mod vectors;

use super::{CaseInput, CheckInput, CheckVerdict, Job, Mode, Order, Pair, Suite, SuiteVerdict, TrialValues, judge};
use crate::metric::{Better, MetricId};

/// A gating check of a known metric, or of a latency by any other name.
fn check(metric: &str, tolerance: f64) -> CheckInput {
    let better = metric.parse::<MetricId>().map_or(Better::Lower, |id| id.metric.better());
    CheckInput { metric: metric.into(), better, tolerance, advisory: false, unresolved: None }
}

/// A trial of 200 requests.
fn trial(errors: u64, values: &[(&str, Option<f64>)]) -> TrialValues {
    let values = values.iter().map(|(metric, value)| ((*metric).to_owned(), *value)).collect();
    TrialValues { n: 200, errors, values }
}

/// Pairs in alternating order from both sides' trials.
fn pairs(count: usize, of: impl Fn(usize) -> (TrialValues, TrialValues)) -> Vec<Pair> {
    (0..count)
        .map(|at| {
            let (a, b) = of(at);
            Pair { order: if at % 2 == 0 { Order::Ab } else { Order::Ba }, a, b }
        })
        .collect()
}

/// Noise of about one per cent that the slots share evenly.
fn wobble(at: usize) -> f64 {
    1.0 + [0.011, 0.009, -0.008, -0.012, 0.003, 0.004, -0.006, -0.004, 0.012, 0.010][at % 10]
}

fn paired(cases: Vec<CaseInput>) -> Suite {
    Suite::new(Mode::Paired, cases)
}

fn judged(suite: &Suite) -> SuiteVerdict {
    judge(suite).unwrap()
}

/// The only check of the only case.
fn only(verdict: &SuiteVerdict) -> &CheckVerdict {
    let [case] = &verdict.cases[..] else { panic!("{verdict:?}") };
    let [check] = &case.checks[..] else { panic!("{verdict:?}") };
    check
}

fn job(trials: impl IntoIterator<Item = TrialValues>) -> Job {
    Job { trials: trials.into_iter().collect() }
}
