//! The figures of one trial.

use std::collections::BTreeMap;

use crate::measure::request::{inter_token, start};
use crate::measure::{RequestMetrics, Window};
use crate::metric::{Metric, MetricId, Statistic};
use crate::plan::Pacing;
use crate::record::{FailureClass, RequestRecord, TokenSource};
use crate::scenario::Slo;
use crate::stats::quantile::quantile_with_failures;
use crate::stats::variance::{mean, variance};
use crate::units::{Nanos, millis};

/// What one trial left behind.
#[derive(Clone, Debug)]
pub struct Trial {
    /// How requests were released.
    pub pacing: Pacing,
    /// Every attempted request, in the order of the plan.
    pub records: Vec<RequestRecord>,
    /// Whether answers were asked for as streams.
    pub stream: bool,
    /// Whether the plan shares prefixes between prompts on purpose.
    pub shares_prefix: bool,
    /// Tokens that every prompt begins with all the same: salt, system message and what the server's template puts there.
    pub common_tokens: u32,
    /// What the client noticed about itself.
    pub client: Client,
}

/// What the client noticed about itself during a trial.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// How late probes woke the load workers.
    pub wake_lags: Vec<Nanos>,
    /// How late an embedded server's steps were, at the median and the 95th percentile. It shares the client's machine,
    /// and what keeps it from its times is in every latency.
    pub server_late: Option<[Nanos; 2]>,
    /// Largest share of a core that a worker used.
    pub cpu_share: Option<f64>,
    /// Requests of the plan that were never sent.
    pub unsent: u32,
    /// Most requests in flight at once.
    pub peak_in_flight: u32,
    /// The limit on requests in flight, if the scenario has one.
    pub max_in_flight: Option<u32>,
}

/// One statistic of one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number, in the metric's unit.
    Known(f64),
    /// Failed requests reach into the quantile, or a rate is 0: worse than any number.
    Censored,
    /// The trial cannot show it: the steady window is shorter than half of it.
    Unresolved,
    /// The trial has no such figure (no streaming, no SLO, no cache counts).
    Absent,
}

/// The figures of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialSummary {
    /// Requests attempted, failures included and those left out that the client was to give up on purpose.
    pub n: u64,
    /// Requests that the client gave up on purpose.
    pub cancelled: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Failed requests by class.
    pub failures: BTreeMap<FailureClass, u64>,
    /// The part of the trial in which rates were counted.
    pub window: Window,
    /// The whole trial.
    pub whole: Window,
    /// Text events that carried something else than one token, as tokens per chunk.
    pub tokens_per_chunk: f64,
    /// Answers by where the token counts of their chunks come from.
    pub token_sources: BTreeMap<TokenSource, u64>,
    /// Requests that opened a connection.
    pub new_connections: u64,
    /// Times that a request was sent again because the server had closed the pooled connection.
    pub resent: u64,
    /// Stream events that shared a network read with an earlier one.
    pub coalesced: u64,
    /// Successful requests whose answer was more than 5 % shorter or longer than asked for.
    pub off_length: u64,
    distributions: BTreeMap<Metric, Distribution>,
    singles: BTreeMap<Metric, Value>,
}

/// Sorted values and the number of values that failed requests stand for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Distribution {
    sorted: Vec<f64>,
    lost: usize,
}

impl TrialSummary {
    /// The figures of `trial`.
    pub fn of(trial: &Trial, slo: &Slo) -> Self {
        let records = &trial.records;
        let window = Window::steady(records, trial.pacing);
        let whole = Window::whole(records);
        let metrics: Vec<RequestMetrics> = records.iter().map(|r| RequestMetrics::of(r, trial.pacing)).collect();
        let mut failures = BTreeMap::new();
        for failure in records.iter().filter_map(|r| r.failure.as_ref()) {
            *failures.entry(failure.class).or_insert(0) += 1;
        }
        let good = || records.iter().filter(|r| r.is_answered());
        let aside = records.iter().filter(|r| r.is_set_aside()).count();
        let cancelled = records.iter().filter(|r| r.cancelled).count();
        let chunks: usize = good().filter(|r| r.streamed).map(|r| r.chunks.len()).sum();
        let tokens: u64 = good().filter(|r| r.streamed).map(|r| u64::from(r.output_tokens)).sum();
        Self {
            n: (records.len() - aside) as u64,
            cancelled: cancelled as u64,
            errors: failures.values().sum(),
            failures,
            window,
            whole,
            tokens_per_chunk: if chunks == 0 { 1.0 } else { tokens as f64 / chunks as f64 },
            token_sources: good().fold(BTreeMap::new(), |mut answers, r| {
                *answers.entry(r.token_source).or_insert(0) += 1;
                answers
            }),
            new_connections: records.iter().filter(|r| r.connect.is_some()).count() as u64,
            resent: records.iter().map(|r| u64::from(r.resent)).sum(),
            coalesced: records.iter().map(|r| u64::from(r.coalesced)).sum(),
            off_length: good()
                .filter(|r| f64::from(r.output_tokens.abs_diff(r.max_tokens)) > 0.05 * f64::from(r.max_tokens))
                .count() as u64,
            distributions: distributions(trial, &metrics),
            singles: singles(trial, &metrics, slo, window, whole),
        }
    }

    /// One statistic; `Absent` also where `id` names none of the metric's.
    pub fn value(&self, id: MetricId) -> Value {
        let Some(statistic) = id.statistic else {
            return self.singles.get(&id.metric).copied().unwrap_or(Value::Absent);
        };
        let Some(Distribution { sorted, lost }) = self.distributions.get(&id.metric) else { return Value::Absent };
        if sorted.is_empty() {
            return if *lost > 0 { Value::Censored } else { Value::Absent };
        }
        let spoiled = |value: f64| if *lost > 0 { Value::Censored } else { Value::Known(value) };
        match statistic {
            Statistic::Quantile(q) => match quantile_with_failures(sorted, *lost, q) {
                Some(value) if value.is_finite() => Value::Known(value),
                _ => Value::Censored,
            },
            Statistic::Mean => spoiled(mean(sorted)),
            Statistic::Min => Value::Known(sorted[0]),
            Statistic::Max => spoiled(sorted[sorted.len() - 1]),
            Statistic::Std if sorted.len() < 2 => Value::Absent,
            Statistic::Std => spoiled(variance(sorted).sqrt()),
        }
    }

    /// The sorted values of a distribution, failed requests left out, in the metric's unit.
    pub fn values(&self, metric: Metric) -> &[f64] {
        self.distributions.get(&metric).map_or(&[], |d| &d.sorted)
    }
}

fn distributions(trial: &Trial, metrics: &[RequestMetrics]) -> BTreeMap<Metric, Distribution> {
    const LATENCIES: [Metric; 8] = [
        Metric::Ttft,
        Metric::Ttfo,
        Metric::Ttst,
        Metric::Tpot,
        Metric::MaxStall,
        Metric::E2eLatency,
        Metric::ServiceTtft,
        Metric::ServiceE2eLatency,
    ];
    let records = &trial.records;
    let failed = records.iter().filter(|r| r.failure.is_some());
    // A failed request counts as infinitely slow in every latency that it would have had, so that a hang
    // never looks like an improvement: once a request, and once per missing token for per-token values.
    let lost = failed.clone().count();
    let lost_tokens: usize = failed.map(|r| r.max_tokens.saturating_sub(1) as usize).sum();
    let good = || records.iter().filter(|r| r.is_answered());
    let streaming = |r: &&RequestRecord| r.streamed;
    let gaps = |r: &RequestRecord| -> Vec<f64> {
        r.chunks.windows(2).map(|pair| millis(pair[1].at.saturating_sub(pair[0].at))).collect()
    };
    let mut all: BTreeMap<Metric, Distribution> = BTreeMap::new();
    let mut add = |metric, values: Vec<f64>, lost| {
        let mut sorted = values;
        sorted.sort_unstable_by(f64::total_cmp);
        all.insert(metric, Distribution { sorted, lost });
    };
    for metric in LATENCIES {
        let streamed_only = !matches!(metric, Metric::E2eLatency | Metric::ServiceE2eLatency);
        let lost = if streamed_only && !trial.stream { 0 } else { lost };
        add(metric, metrics.iter().filter_map(|m| m.get(metric)).map(millis).collect(), lost);
    }
    let itl = good().filter(streaming).flat_map(|r| inter_token(r).into_iter().map(millis)).collect();
    add(Metric::Itl, itl, if trial.stream { lost_tokens } else { 0 });
    let chunk_gaps = good().filter(streaming).flat_map(gaps).collect();
    add(Metric::ChunkGap, chunk_gaps, if trial.stream { lost_tokens } else { 0 });
    let answered = || records.iter().filter(|r| r.headers.is_some() && !r.is_set_aside());
    add(Metric::Connect, answered().map(|r| millis(r.connect.unwrap_or(0))).collect(), 0);
    add(Metric::SendLag, records.iter().map(|r| millis(r.sent.saturating_sub(r.scheduled))).collect(), 0);
    add(Metric::InputTokens, good().map(|r| f64::from(r.input_tokens)).collect(), 0);
    if !without_tokens(records) {
        add(Metric::OutputTokens, good().map(|r| f64::from(r.output_tokens)).collect(), 0);
    }
    let of_usage = |get: fn(&crate::record::Usage) -> Option<u32>| {
        good().filter_map(|r| r.usage.as_ref().and_then(get)).map(f64::from).collect::<Vec<_>>()
    };
    add(Metric::CachedTokens, of_usage(|usage| usage.cached), 0);
    add(Metric::ReasoningTokens, of_usage(|usage| usage.reasoning), 0);
    all
}

/// Whether nobody was asked for tokens, as where answers are embeddings: then their count is not 0 but none.
fn without_tokens(records: &[RequestRecord]) -> bool {
    !records.is_empty() && records.iter().all(|record| record.max_tokens == 0)
}

fn singles(
    trial: &Trial,
    metrics: &[RequestMetrics],
    slo: &Slo,
    window: Window,
    whole: Window,
) -> BTreeMap<Metric, Value> {
    let records = &trial.records;
    let good = || records.iter().filter(|r| r.is_answered());
    // A window shorter than half the trial shows ramp-up and drain rather than the server.
    let steady = window.seconds() > 0.0 && window.seconds() >= 0.5 * whole.seconds();
    let rate = |count: f64| match (steady, count > 0.0) {
        (false, _) => Value::Unresolved,
        (true, false) => Value::Censored,
        (true, true) => Value::Known(count / window.seconds()),
    };
    // Tokens of failed requests were not delivered as an answer and do not count.
    let output: u64 = good().map(|r| tokens_in(r, window)).sum();
    let input: u64 = good()
        .filter(|r| r.chunks.first().is_some_and(|c| window.holds(c.at)))
        .map(|r| u64::from(r.input_tokens))
        .sum();
    let completed = good().filter(|r| window.holds(r.closed)).count();
    let in_flight: Nanos = records.iter().map(|r| window.overlap(start(r, trial.pacing), r.closed)).sum();
    let paces: Vec<f64> = metrics.iter().filter_map(|m| m.tpot).filter(|t| *t > 0).map(|t| 1e9 / t as f64).collect();
    // Requests that were to be given up were never to succeed or fail.
    let scheduled = records.iter().filter(|r| !r.is_set_aside()).count() + trial.client.unsent as usize;
    let failed = records.iter().filter(|r| r.failure.is_some()).count();
    let mut all = BTreeMap::from([
        (Metric::InputThroughput, rate(input as f64)),
        (Metric::TotalThroughput, rate((output + input) as f64)),
        (Metric::RequestThroughput, rate(completed as f64)),
        (
            Metric::ConcurrencyMean,
            if steady { Value::Known(in_flight as f64 / (window.to - window.from) as f64) } else { Value::Unresolved },
        ),
    ]);
    if !without_tokens(records) {
        all.insert(Metric::OutputThroughput, rate(output as f64));
    }
    if scheduled > 0 {
        all.insert(Metric::ErrorRate, Value::Known(failed as f64 / scheduled as f64));
    }
    if !paces.is_empty() {
        all.insert(Metric::UserThroughput, Value::Known(mean(&paces)));
    }
    if !slo.limits.is_empty() {
        let met = |i: &usize| meets(&records[*i], &metrics[*i], slo);
        let met: Vec<usize> = (0..records.len()).filter(met).collect();
        let inside = met.iter().filter(|i| window.holds(records[**i].closed)).count();
        all.insert(Metric::Goodput, rate(inside as f64));
        all.insert(Metric::GoodputRatio, Value::Known(met.len() as f64 / scheduled.max(1) as f64));
    }
    let counted: Vec<&RequestRecord> =
        good().filter(|r| r.usage.as_ref().is_some_and(|usage| usage.cached.is_some())).collect();
    let asked: u64 = counted.iter().map(|r| u64::from(r.input_tokens)).sum();
    if asked > 0 {
        let cached: u64 = counted.iter().filter_map(|r| r.usage.as_ref()?.cached).map(u64::from).sum();
        all.insert(Metric::PrefixHitRatio, Value::Known(cached as f64 / asked as f64));
    }
    all
}

/// Tokens of a request whose event lies in the window. Chunk counts are scaled to the request's total where
/// the two differ, so that no token is lost or counted twice.
fn tokens_in(record: &RequestRecord, window: Window) -> u64 {
    let inside: u64 = record.chunks.iter().filter(|c| window.holds(c.at)).map(|c| u64::from(c.tokens)).sum();
    let all: u64 = record.chunks.iter().map(|c| u64::from(c.tokens)).sum();
    let total = u64::from(record.output_tokens);
    if all == total || all == 0 { inside } else { (inside as f64 * total as f64 / all as f64).round() as u64 }
}

fn meets(record: &RequestRecord, metrics: &RequestMetrics, slo: &Slo) -> bool {
    record.is_answered()
        && slo.limits.iter().all(|(metric, limit)| match metrics.get(*metric) {
            Some(value) => value <= *limit,
            // One token has no pace to be too slow.
            None => *metric == Metric::Tpot && record.output_tokens < 2,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::request::tests::record;
    use crate::record::Failure;

    const MS: Nanos = 1_000_000;

    fn trial(records: Vec<RequestRecord>, pacing: Pacing) -> Trial {
        Trial { pacing, records, stream: true, shares_prefix: false, common_tokens: 0, client: Client::default() }
    }

    fn value(summary: &TrialSummary, id: &str) -> Value {
        summary.value(id.parse().unwrap())
    }

    fn failed(mut record: RequestRecord) -> RequestRecord {
        record.failure = Some(Failure { class: FailureClass::Timeout, message: String::new() });
        record
    }

    #[test]
    fn failures_are_infinitely_slow_and_stay_in_n() {
        let one = |ms: Nanos| record(0, 0, &[(ms * MS, 1), ((ms + 10) * MS, 1)]);
        let mut records: Vec<_> = (1..=9).map(one).collect();
        records.push(failed(one(1)));
        let summary = TrialSummary::of(&trial(records, Pacing::Batch { size: 10 }), &Slo::default());
        assert_eq!((summary.n, summary.errors), (10, 1));
        assert_eq!(summary.failures, BTreeMap::from([(FailureClass::Timeout, 1)]));
        assert_eq!(value(&summary, "ttft.p50"), Value::Known(5.5));
        assert_eq!(value(&summary, "ttft.p95"), Value::Censored);
        assert_eq!(value(&summary, "ttft.mean"), Value::Censored);
        assert_eq!(value(&summary, "ttft.min"), Value::Known(1.0));
        assert_eq!(value(&summary, "error_rate"), Value::Known(0.1));
    }

    #[test]
    fn requests_that_were_given_up_are_in_no_figure() {
        let slo = Slo { limits: vec![(Metric::Ttft, 5 * MS)] };
        let one = |ms: Nanos| record(0, 0, &[(ms * MS, 1), ((ms + 10) * MS, 1)]);
        let mut records: Vec<_> = (1..=9).map(one).collect();
        records.push(failed(one(4)));
        let before = TrialSummary::of(&trial(records.clone(), Pacing::Open { max_in_flight: None }), &slo);
        for ms in [2, 7, 8] {
            records.push(RequestRecord { to_cancel: true, cancelled: true, usage: None, ..one(ms) });
        }
        // This one had ended by then, as it might not have done on a slower server.
        records.push(RequestRecord { to_cancel: true, ..one(1) });
        let after = TrialSummary::of(&trial(records.clone(), Pacing::Open { max_in_flight: None }), &slo);
        assert_eq!((after.n, after.errors, after.cancelled), (10, 1, 3));
        for id in ["ttft.p50", "tpot.mean", "itl.mean", "output_tokens.mean", "input_tokens.mean"] {
            assert_eq!(value(&after, id), value(&before, id), "{id}");
        }
        for id in ["error_rate", "goodput_ratio", "prefix_hit_ratio", "output_throughput"] {
            assert_eq!(value(&after, id), value(&before, id), "{id}");
        }
        assert_eq!(value(&after, "error_rate"), Value::Known(0.1));
        records.retain(|record| record.to_cancel);
        let none = trial(records, Pacing::Batch { size: 3 });
        let summary = TrialSummary::of(&none, &slo);
        let found = crate::measure::check_trust(&none, &summary, None);
        assert_eq!(found[0].reason, "all 4 requests that were sent were to be cancelled on purpose");
    }

    #[test]
    fn rates_count_inside_the_window() {
        let mut records = vec![
            record(0, 0, &[(100 * MS, 1), (200 * MS, 1)]),
            record(200 * MS, 200 * MS, &[(300 * MS, 1), (400 * MS, 1)]),
            record(100 * MS, 100 * MS, &[(200 * MS, 1), (300 * MS, 1)]),
        ];
        records[2].user = 1;
        let closed = Pacing::Closed { users: 2, ramp_up: 200 * MS };
        let summary = TrialSummary::of(&trial(records, closed), &Slo::default());
        // From 100 ms (second user started) to 300 ms (second user done): five tokens and two ends.
        assert_eq!(summary.window, Window { from: 100 * MS, to: 300 * MS });
        assert_eq!(value(&summary, "output_throughput"), Value::Known(25.0));
        assert_eq!(value(&summary, "request_throughput"), Value::Known(10.0));
        assert_eq!(value(&summary, "total_throughput"), Value::Known(175.0));
        assert_eq!(value(&summary, "concurrency_mean"), Value::Known(2.0));
    }

    #[test]
    fn a_short_window_resolves_no_rate() {
        let mut records = vec![record(0, 0, &[(1000 * MS, 1)]), record(10 * MS, 10 * MS, &[(100 * MS, 1)])];
        records[1].user = 1;
        let summary = TrialSummary::of(&trial(records, Pacing::Closed { users: 2, ramp_up: 0 }), &Slo::default());
        assert_eq!(value(&summary, "output_throughput"), Value::Unresolved);
    }

    #[test]
    fn goodput_counts_what_met_every_limit() {
        let slo = Slo { limits: vec![(Metric::Ttft, 50 * MS), (Metric::Tpot, 20 * MS)] };
        let records = vec![
            record(0, 0, &[(40 * MS, 1), (60 * MS, 1)]),
            record(0, 0, &[(60 * MS, 1), (70 * MS, 1)]),
            record(0, 0, &[(40 * MS, 1), (80 * MS, 1)]),
            failed(record(0, 0, &[(10 * MS, 1), (20 * MS, 1)])),
        ];
        let summary = TrialSummary::of(&trial(records, Pacing::Batch { size: 4 }), &slo);
        assert_eq!(value(&summary, "goodput_ratio"), Value::Known(0.25));
        let without = TrialSummary::of(&trial(vec![], Pacing::Batch { size: 4 }), &Slo::default());
        assert_eq!(value(&without, "goodput_ratio"), Value::Absent);
    }

    #[test]
    fn cached_tokens_make_a_hit_ratio() {
        let mut records = vec![record(0, 0, &[(40 * MS, 1)]), record(0, 0, &[(40 * MS, 1)])];
        records[0].usage.as_mut().unwrap().cached = Some(5);
        let summary = TrialSummary::of(&trial(records, Pacing::Batch { size: 2 }), &Slo::default());
        assert_eq!(value(&summary, "prefix_hit_ratio"), Value::Known(0.25));
    }

    #[test]
    fn an_empty_trial_has_no_figures() {
        let summary = TrialSummary::of(&trial(vec![], Pacing::Batch { size: 4 }), &Slo::default());
        for id in ["ttft.p50", "error_rate", "prefix_hit_ratio"] {
            assert_eq!(value(&summary, id), Value::Absent, "{id}");
        }
        assert_eq!(value(&summary, "output_throughput"), Value::Unresolved);
    }
}
