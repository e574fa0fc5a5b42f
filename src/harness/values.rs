//! From a trial's summary to the values that are judged and stored.

use std::collections::BTreeMap;

use crate::gate::TrialValues;
use crate::harness::bench::Bench;
use crate::measure::{Trial, TrialSummary, Value};
use crate::metric::MetricId;
use crate::report::ClientInfo;
use crate::scenario::Case;
use crate::units::{Nanos, millis};

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

/// What the client noticed about itself, over any number of trials.
#[derive(Debug, Default)]
pub(crate) struct Lags {
    send: Vec<Nanos>,
    wake: Vec<Nanos>,
    cpu: Option<f64>,
}

impl Lags {
    pub(crate) fn add(&mut self, trial: &Trial) {
        self.send.extend(trial.records.iter().map(|r| r.sent.saturating_sub(r.scheduled)));
        self.wake.extend(&trial.client.wake_lags);
        self.cpu = match (self.cpu, trial.client.cpu_share) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }

    pub(crate) fn info(mut self, bench: &Bench) -> ClientInfo {
        self.send.sort_unstable();
        self.wake.sort_unstable();
        let at = |sorted: &[Nanos], q: f64| {
            let rank = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
            sorted.get(rank).map_or(0.0, |lag| millis(*lag))
        };
        let late = bench.target.embedded.as_ref().map(crate::sim::Server::lateness).filter(|late| late.count() > 0);
        ClientInfo {
            send_lag_p50_ms: at(&self.send, 0.5),
            send_lag_p99_ms: at(&self.send, 0.99),
            wake_lag_p50_ms: at(&self.wake, 0.5),
            wake_lag_p99_ms: at(&self.wake, 0.99),
            cpu_share: self.cpu,
            server_late_p50_ms: late.as_ref().map(|late| millis(late.p50())),
            server_late_p99_ms: late.as_ref().map(|late| millis(late.p99())),
        }
    }
}

/// The same of a single trial.
pub(crate) fn client_info(trial: &Trial, bench: &Bench) -> ClientInfo {
    let mut lags = Lags::default();
    lags.add(trial);
    lags.info(bench)
}
