//! What the trials of one side add up to.

use std::collections::BTreeMap;

use crate::gate::TrialValues;
use crate::harness::trial::Taken;
use crate::harness::watched;
use crate::measure::Trial;
use crate::pacer::Lateness;
use crate::record::TokenSource;
use crate::report::{ClientInfo, PrefixSide};
use crate::target::PrefixCounters;
use crate::units::{Nanos, millis};
use crate::watch::Observed;

/// The valid trials of one side, and what the client noticed in all of them.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The values of the valid trials, in order.
    pub(crate) trials: Vec<TrialValues>,
    /// Answers by where the token counts of their chunks come from.
    pub(crate) token_sources: BTreeMap<TokenSource, u64>,
    /// Answers that were off their planned length.
    pub(crate) off_length: u64,
    /// Mean over the valid trials.
    pub(crate) tokens_per_chunk: f64,
    pub(crate) requests: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    lags: Lags,
    /// Requests that did not fail.
    answered: u64,
    input_tokens: u64,
    /// Prompt tokens from the server's cache, by its `usage`; `None` if it never said.
    cached_tokens: Option<u64>,
    counters: Option<PrefixCounters>,
    /// What was seen of the server in each trial.
    pub(crate) observed: Vec<Observed>,
    /// Seconds from the first to the last request of each trial, added up.
    pub(crate) loaded: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            trials: Vec::new(),
            token_sources: BTreeMap::new(),
            off_length: 0,
            tokens_per_chunk: 1.0,
            requests: 0,
            failures: BTreeMap::new(),
            lags: Lags::default(),
            answered: 0,
            input_tokens: 0,
            cached_tokens: None,
            counters: None,
            observed: Vec::new(),
            loaded: 0.0,
        }
    }
}

impl Tally {
    /// Notes how the client did in a trial, valid or not.
    pub(crate) fn saw(&mut self, taken: &Taken) {
        self.lags.add(&taken.trial, taken.server_late.as_ref());
    }

    /// Counts a valid trial.
    pub(crate) fn take(&mut self, taken: &Taken) {
        let summary = &taken.summary;
        self.trials.push(taken.row.clone());
        for (source, answers) in &summary.token_sources {
            *self.token_sources.entry(*source).or_default() += answers;
        }
        self.requests += summary.n;
        self.off_length += summary.off_length;
        let n = self.trials.len() as f64;
        self.tokens_per_chunk += (summary.tokens_per_chunk - self.tokens_per_chunk) / n;
        for (class, n) in &summary.failures {
            *self.failures.entry(class.name().to_owned()).or_default() += n;
        }
        for record in taken.trial.records.iter().filter(|record| record.is_answered()) {
            self.answered += 1;
            self.input_tokens += u64::from(record.input_tokens);
            if let Some(cached) = record.usage.as_ref().and_then(|usage| usage.cached) {
                *self.cached_tokens.get_or_insert(0) += u64::from(cached);
            }
        }
        if let Some(counters) = watched::prefix(&taken.observed) {
            self.counters = Some(self.counters.unwrap_or_default().plus(counters));
        }
        self.observed.push(taken.observed.clone());
        self.loaded += summary.whole.seconds();
    }

    /// Share of the answers that were off their planned length.
    pub(crate) fn off_length_share(&self) -> f64 {
        self.off_length as f64 / self.requests.max(1) as f64
    }

    /// Requests that failed.
    pub(crate) fn errors(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How most answers were counted; `None` without any.
    pub(crate) fn token_source(&self) -> Option<TokenSource> {
        TokenSource::of_most(&self.token_sources)
    }

    /// What the client noticed about itself.
    pub(crate) fn client(&self) -> ClientInfo {
        self.lags.info()
    }

    /// What the prefix cache did, by the answers and by the server's own counters.
    pub(crate) fn prefix(&self) -> PrefixSide {
        PrefixSide {
            input_tokens: self.input_tokens,
            reused_tokens: self.cached_tokens,
            hit_ratio: self.cached_tokens.map(|cached| cached as f64 / self.input_tokens.max(1) as f64),
            matched_tokens: self.cached_tokens.map(|cached| cached as f64 / self.answered.max(1) as f64),
            counter_hit_ratio: self.counters.and_then(PrefixCounters::ratio),
        }
    }
}

/// Lags and processor share over any number of trials.
#[derive(Debug, Default)]
struct Lags {
    send: Vec<Nanos>,
    wake: Vec<Nanos>,
    server: Option<Lateness>,
    cpu: Option<f64>,
}

impl Lags {
    fn add(&mut self, trial: &Trial, server: Option<&Lateness>) {
        self.send.extend(trial.records.iter().map(|r| r.sent.saturating_sub(r.scheduled)));
        self.wake.extend(&trial.client.wake_lags);
        if let Some(server) = server {
            self.server.get_or_insert_default().merge(server);
        }
        self.cpu = match (self.cpu, trial.client.cpu_share) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }

    fn info(&self) -> ClientInfo {
        let at = |lags: &[Nanos], q: f64| {
            let mut sorted = lags.to_vec();
            sorted.sort_unstable();
            let rank = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
            sorted.get(rank).map_or(0.0, |lag| millis(*lag))
        };
        ClientInfo {
            send_lag_p50_ms: at(&self.send, 0.5),
            send_lag_p99_ms: at(&self.send, 0.99),
            wake_lag_p50_ms: at(&self.wake, 0.5),
            wake_lag_p99_ms: at(&self.wake, 0.99),
            cpu_share: self.cpu,
            server_late_p50_ms: self.server.as_ref().map(|late| millis(late.p50())),
            server_late_p99_ms: self.server.as_ref().map(|late| millis(late.p99())),
        }
    }
}

/// The same of a single trial.
pub(crate) fn client_info(trial: &Trial, server: Option<&Lateness>) -> ClientInfo {
    let mut lags = Lags::default();
    lags.add(trial, server);
    lags.info()
}
