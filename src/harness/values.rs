//! What the client noticed about itself.

use crate::harness::bench::Bench;
use crate::measure::Trial;
pub(crate) use crate::measure::{kept, row};
use crate::report::ClientInfo;
use crate::units::{Nanos, millis};

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
