//! How long trials will take.

use crate::baseline::{Baseline, middle};
use crate::plan::{Pacing, Plan};
use crate::predict::virtual_run::job;
use crate::profile::Embedded;
use crate::scenario::Case;
use crate::units::Nanos;

/// Seconds of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration {
    /// Of the warm-up, once.
    pub warmup: f64,
    /// Of a trial with the priming of its prefixes.
    pub trial: f64,
}

/// On the embedded server, by running a trial in virtual time.
pub fn simulated(case: &Case, plan: &Plan, config: &Embedded) -> Duration {
    let job = job(case, plan, config, 0, 1, None);
    Duration { warmup: seconds(job.warmup), trial: job.lengths.last().copied().map_or(0.0, seconds) }
}

/// On a server that was measured before, by what its baseline says; `None` if it says too little.
pub fn remembered(plan: &Plan, baseline: &Baseline) -> Option<Duration> {
    let value = |metric: &str| middle(&baseline.jobs, metric)?.value();
    let latency = value("e2e_latency.mean").or_else(|| value("e2e_latency.p50")).map(|ms| ms / 1e3);
    let all = plan.requests.len() as f64;
    let (users, by_pacing) = match plan.pacing {
        Pacing::Open { .. } => {
            let last = plan.requests.last().map_or(0.0, |request| seconds(request.at));
            (1.0, Some(last + latency.unwrap_or(0.0)))
        }
        Pacing::Closed { users, .. } => (f64::from(users.max(1)), None),
        Pacing::Batch { size } => (f64::from(size.max(1)), None),
    };
    // The rate leaves out what is to be given up.
    let counted = plan.requests.iter().filter(|request| request.cancel.is_none()).count() as f64;
    let by_rate = || value("request_throughput").filter(|rate| *rate > 0.0).map(|rate| counted / rate);
    let by_latency = || latency.map(|latency| all / users * latency);
    let unlimited = by_pacing.or_else(by_rate).or_else(by_latency);
    let limit = plan.duration.map(seconds);
    let trial = match (unlimited, limit) {
        (Some(trial), Some(limit)) => trial.min(limit),
        (trial, limit) => trial.or(limit)?,
    };
    let unmeasured = |requests: usize, users: f64| (requests as f64 / users).ceil() * latency.unwrap_or(0.0);
    Some(Duration { warmup: unmeasured(plan.warmup.len(), users), trial: trial + unmeasured(plan.prime.len(), 1.0) })
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::baseline::Job;
    use crate::gate::TrialValues;

    fn baseline(values: &[(&str, f64)]) -> Baseline {
        let values = values.iter().map(|(metric, value)| ((*metric).to_owned(), Some(*value))).collect();
        Baseline {
            case: "c".into(),
            profile: "p".into(),
            conditions: BTreeMap::new(),
            jobs: vec![Job { trials: vec![TrialValues { n: 10, errors: 0, values }], ..Job::default() }],
            anchors: Vec::new(),
        }
    }

    fn plan(pacing: Pacing, duration: Option<Nanos>) -> Plan {
        let prompt = crate::plan::Prompt {
            system: None,
            prefix: Vec::new(),
            body: "the".into(),
            input_tokens: 1,
            salt_tokens: 0,
        };
        let request = |index: u32| crate::plan::PlannedRequest {
            index,
            user: 0,
            at: u64::from(index) * 1_000_000_000,
            prompt: prompt.clone(),
            max_tokens: 1,
            cancel: None,
        };
        let requests = (0..20).map(request).collect();
        Plan {
            pacing,
            warmup: vec![request(0); 3],
            prime: vec![request(0); 2],
            requests,
            duration,
            shares_prefix: false,
            common_tokens: 0,
            hash: String::new(),
        }
    }

    #[test]
    fn a_baseline_tells_how_long_a_trial_is() {
        let closed = plan(Pacing::Closed { users: 2, ramp_up: 0 }, None);
        let known = baseline(&[("request_throughput", 4.0), ("e2e_latency.mean", 500.0)]);
        assert_eq!(remembered(&closed, &known), Some(Duration { warmup: 1.0, trial: 6.0 }));
        let latency_only = baseline(&[("e2e_latency.p50", 500.0)]);
        assert_eq!(remembered(&closed, &latency_only), Some(Duration { warmup: 1.0, trial: 6.0 }));
        assert_eq!(remembered(&closed, &baseline(&[])), None);
        let limited = plan(Pacing::Closed { users: 2, ramp_up: 0 }, Some(2_000_000_000));
        assert_eq!(remembered(&limited, &known), Some(Duration { warmup: 1.0, trial: 3.0 }));
        assert_eq!(remembered(&limited, &baseline(&[])), Some(Duration { warmup: 0.0, trial: 2.0 }));
    }

    #[test]
    fn an_open_loop_ends_after_its_last_arrival() {
        let open = plan(Pacing::Open { max_in_flight: None }, None);
        assert_eq!(remembered(&open, &baseline(&[])), Some(Duration { warmup: 0.0, trial: 19.0 }));
        let known = baseline(&[("e2e_latency.mean", 500.0)]);
        assert_eq!(remembered(&open, &known), Some(Duration { warmup: 1.5, trial: 20.5 }));
    }
}
