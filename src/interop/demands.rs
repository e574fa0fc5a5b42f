//! What of two sides is compared.

use crate::gate::CheckInput;
use crate::metric::{Better, Metric, MetricId, Scale};
use crate::report::CaseReport;

use super::model::Measured;

/// A comparison that was asked for: a metric and how much worse is still accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// What is compared.
    pub metric: MetricId,
    /// A part (`0.05`), or points for shares.
    pub tolerance: f64,
    /// Judged and shown, but without a say.
    pub advisory: bool,
}

/// What gates where nobody says otherwise, and what is shown beside it.
const USUAL: [(&str, f64, bool); 8] = [
    ("ttft.p50", 0.05, false),
    ("tpot.p50", 0.03, false),
    ("output_throughput", 0.03, false),
    ("error_rate", 0.005, false),
    ("e2e_latency.p50", 0.05, true),
    ("ttft.p95", 0.10, true),
    ("tpot.p95", 0.05, true),
    ("itl.p99", 0.10, true),
];

/// The comparisons of a case: those of its scenario if it is ours, else the usual ones; what was `asked` for takes the
/// place of the same metric, and gates.
pub(super) fn demands(report: Option<&CaseReport>, asked: &[Demand]) -> Vec<Demand> {
    let mut demands: Vec<Demand> = report.map_or_else(Vec::new, of_scenario);
    if demands.iter().all(|demand| demand.metric.metric == Metric::ErrorRate) {
        demands = USUAL.iter().filter_map(|(name, tolerance, advisory)| of(name, *tolerance, *advisory)).collect();
    }
    for demand in asked {
        match demands.iter_mut().find(|known| known.metric == demand.metric) {
            Some(known) => *known = *demand,
            None => demands.push(*demand),
        }
    }
    demands
}

fn of(name: &str, tolerance: f64, advisory: bool) -> Option<Demand> {
    Some(Demand { metric: name.parse().ok()?, tolerance, advisory })
}

/// Comparisons with a baseline; multiples are goals between variants, and fixed limits were judged in the run.
fn of_scenario(report: &CaseReport) -> Vec<Demand> {
    let comparisons = report.checks.iter().filter(|check| !check.limit.contains('*'));
    comparisons.filter_map(|check| of(&check.judged.metric, check.tolerance?, check.judged.advisory)).collect()
}

impl Demand {
    /// The limit as a scenario would have it, with `A` for the baseline.
    pub(super) fn limit(&self) -> String {
        let (sign, direction) = match self.metric.metric.better() {
            Better::Lower => ('+', "<="),
            Better::Higher => ('-', ">="),
        };
        let unit = if self.metric.metric.scale() == Scale::Difference { "pp" } else { "%" };
        format!("{direction} A {sign} {}{unit}", (self.tolerance * 1e4).round() / 1e2)
    }

    /// The check as the judge takes it; `None` where a value that nobody insists on is not there.
    pub(super) fn input(&self, a: &[&Measured], b: &[&Measured]) -> Option<CheckInput> {
        let metric = self.metric.to_string();
        let lacks = |trials: &[&Measured]| trials.iter().any(|trial| !trial.values.values.contains_key(&metric));
        let unresolved = if self.metric.metric == Metric::ErrorRate {
            None
        } else {
            match (lacks(a), lacks(b)) {
                (false, false) => None,
                (true, true) => Some(format!("neither side has `{metric}` in every trial")),
                (true, false) => Some(format!("A does not have `{metric}` in every trial")),
                (false, true) => Some(format!("B does not have `{metric}` in every trial")),
            }
        };
        if self.advisory && unresolved.is_some() {
            return None;
        }
        Some(CheckInput {
            better: self.metric.metric.better(),
            tolerance: self.tolerance,
            advisory: self.advisory,
            unresolved,
            metric,
        })
    }
}
