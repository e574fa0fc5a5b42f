//! From a trial's summary to the values that are judged and stored.

use std::collections::BTreeMap;

use crate::gate::TrialValues;
use crate::measure::{TrialSummary, Value};
use crate::metric::MetricId;
use crate::scenario::Case;

/// Stored in every baseline besides what the case's checks name, so that a new limit finds its history.
const USUAL: [&str; 28] = [
    "ttft.p50",
    "ttft.p90",
    "ttft.p95",
    "ttft.p99",
    "ttft.mean",
    "ttfo.p50",
    "tpot.p50",
    "tpot.p90",
    "tpot.p95",
    "tpot.mean",
    "itl.p50",
    "itl.p95",
    "itl.p99",
    "max_stall.p50",
    "e2e_latency.p50",
    "e2e_latency.p90",
    "e2e_latency.p95",
    "e2e_latency.p99",
    "e2e_latency.mean",
    "input_tokens.mean",
    "output_tokens.p50",
    "output_tokens.mean",
    "output_throughput",
    "total_throughput",
    "request_throughput",
    "user_throughput",
    "goodput_ratio",
    "prefix_hit_ratio",
];

/// The statistics to keep of a trial with `n` requests: the case's own and the usual ones that so many requests
/// can resolve.
pub(crate) fn kept(case: &Case, n: u64) -> Vec<MetricId> {
    let mut ids: Vec<MetricId> = case.gate.checks.iter().map(|check| check.metric).collect();
    let usual = USUAL.iter().filter_map(|name| name.parse::<MetricId>().ok());
    for id in usual.filter(|id| n >= id.needed_requests()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The row of a trial. What the trial does not have is left out; what failures made infinite is `None`.
pub(crate) fn row(summary: &TrialSummary, ids: &[MetricId]) -> TrialValues {
    let mut values = BTreeMap::new();
    for id in ids {
        match summary.value(*id) {
            Value::Known(value) => values.insert(id.to_string(), Some(value)),
            Value::Censored => values.insert(id.to_string(), None),
            Value::Unresolved | Value::Absent => None,
        };
    }
    TrialValues { n: summary.n, errors: summary.errors, values }
}
