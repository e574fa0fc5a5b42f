//! When a trial is not a measurement: every reason with its figure and what to do.

use std::fmt;

use crate::measure::{Trial, TrialSummary, Value};
use crate::metric::{Metric, MetricId, Statistic};
use crate::record::{FailureClass, RequestRecord};
use crate::stats::quantile::quantile;
use crate::units::{Nanos, millis};

/// Why a trial is not a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What was found, with its figure.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
    /// What the client's machine was doing, not what the target answered: it may well be gone at the next attempt.
    pub passing: bool,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.reason, self.hint)
    }
}

/// How long answers should be, by what the trial is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Median answer length, in tokens.
    pub output_tokens: f64,
    /// Whose: `the baseline`, `the reference`.
    pub of: &'static str,
}

/// Everything that keeps `trial` from being a measurement; empty for a good one.
pub fn check(trial: &Trial, summary: &TrialSummary, expected: Option<Expected>) -> Vec<Invalid> {
    [
        nothing_sent(trial),
        every_request_set_aside(trial, summary),
        exhausted(trial),
        every_request_failed(trial, summary),
        rate_limited(trial, summary),
        not_streamed(trial, summary),
        late(middle_and_tail(&send_lags(trial)), summary, "the client sent requests late", LATE_HINT),
        late(middle_and_tail(&trial.client.wake_lags), summary, "the client woke up late", BUSY_HINT),
        late(trial.client.server_late, summary, "the embedded server was late", SERVER_HINT),
        busy(trial),
        unsent(trial),
        too_many_in_flight(trial),
        length_drift(summary, expected),
        cached(trial),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const BUSY_HINT: &str = "free a core for the client, or stop whatever else runs on this machine";
const LATE_HINT: &str = "lower the load, or run the client on a machine with more free cores";
const SERVER_HINT: &str =
    "stop whatever else runs on this machine: the simulated server could not keep to its own times";

fn median(summary: &TrialSummary, metric: Metric) -> Option<f64> {
    match summary.value(MetricId { metric, statistic: Some(Statistic::Quantile(0.5)) }) {
        Value::Known(value) => Some(value),
        _ => None,
    }
}

fn nothing_sent(trial: &Trial) -> Option<Invalid> {
    trial.records.is_empty().then(|| Invalid {
        passing: false,
        reason: "no request was sent".into(),
        hint: "check `load.requests` and `load.duration` of the scenario".into(),
    })
}

fn every_request_set_aside(trial: &Trial, summary: &TrialSummary) -> Option<Invalid> {
    (summary.n == 0 && !trial.records.is_empty()).then(|| Invalid {
        passing: false,
        reason: format!("all {} requests that were sent were to be cancelled on purpose", trial.records.len()),
        hint: "lower `request.cancel.rate`, or send more requests".into(),
    })
}

/// What the client's own system says when it has no more connections to give, what ran out, and what helps.
const EXHAUSTED: [(&str, &str, &str); 3] = [
    ("Too many open files", "open files", "raise the limit with `ulimit -n`, or lower the concurrency"),
    ("Cannot assign requested address", "local ports", PORTS_HINT),
    ("Can't assign requested address", "local ports", PORTS_HINT),
];

const PORTS_HINT: &str = "an address has about 28,000 ports, and a closed connection keeps its own for a minute: check \
                          that the server keeps connections alive, or lower the concurrency; to a server on this \
                          machine write `url` with 127.0.0.1, which leaves more addresses to send from";

/// Requests that failed because of the client's machine say nothing about the server.
fn exhausted(trial: &Trial) -> Option<Invalid> {
    let unconnected = |r: &&RequestRecord| r.failure.as_ref().is_some_and(|f| f.class == FailureClass::Connect);
    let said = |r: &RequestRecord, text: &str| r.failure.as_ref().is_some_and(|f| f.message.contains(text));
    EXHAUSTED.into_iter().find_map(|(text, what, hint)| {
        let failed = trial.records.iter().filter(unconnected).filter(|r| said(r, text)).count();
        (failed > 0).then(|| Invalid {
            passing: false,
            reason: format!("the client ran out of {what}: {failed} requests were not sent"),
            hint: hint.into(),
        })
    })
}

fn every_request_failed(trial: &Trial, summary: &TrialSummary) -> Option<Invalid> {
    let first = trial.records.iter().find_map(|r| r.failure.as_ref())?;
    (summary.errors == summary.n).then(|| Invalid {
        passing: false,
        reason: format!(
            "all {} requests failed; the first with `{}`: {}",
            summary.n,
            first.class.name(),
            first.message
        ),
        hint: "run `cargo tokpace check` to see which step fails".into(),
    })
}

fn rate_limited(trial: &Trial, summary: &TrialSummary) -> Option<Invalid> {
    let limited = trial.records.iter().filter(|r| r.status == Some(429)).count() as u64;
    (limited > 0 && limited < summary.n).then(|| Invalid {
        passing: false,
        reason: format!("the server refused {limited} of {} requests with status 429 (too many requests)", summary.n),
        hint: "raise the server's rate limit for this key, or lower the load: a limiter was measured, not the model"
            .into(),
    })
}

fn not_streamed(trial: &Trial, summary: &TrialSummary) -> Option<Invalid> {
    if !trial.stream {
        return None;
    }
    let hint = "check that the server streams (`stream: true`) and that no proxy in between buffers".to_owned();
    let good = || trial.records.iter().filter(|r| r.is_answered());
    let bodies = good().filter(|r| !r.streamed).count();
    if bodies > 0 {
        return Some(Invalid {
            passing: false,
            reason: format!("{bodies} of {} answers came as one JSON body although streams were asked for", summary.n),
            hint,
        });
    }
    let mut shares: Vec<f64> = good()
        .filter(|r| r.output_tokens >= 8)
        .filter_map(|r| {
            let (first, last) = (r.chunks.first()?.at, r.chunks.last()?.at);
            Some(first.saturating_sub(r.sent) as f64 / last.saturating_sub(r.sent).max(1) as f64)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    let share = *shares.get(shares.len() / 2)?;
    (share > 0.95).then(|| Invalid {
        passing: false,
        reason: format!(
            "nothing streamed: the first token came after {:.0} % of the answer's time (median)",
            share * 100.0
        ),
        hint,
    })
}

fn send_lags(trial: &Trial) -> Vec<Nanos> {
    trial.records.iter().map(|r| r.sent.saturating_sub(r.scheduled)).collect()
}

/// Median and 95th percentile.
fn middle_and_tail(lags: &[Nanos]) -> Option<[Nanos; 2]> {
    let mut sorted: Vec<f64> = lags.iter().map(|lag| *lag as f64).collect();
    sorted.sort_by(f64::total_cmp);
    Some([quantile(&sorted, 0.5)? as Nanos, quantile(&sorted, 0.95)? as Nanos])
}

/// p50 above 1 % of the median TTFT but at least 1 ms, or p95 above 5 % of it but at least 5 ms.
fn late(lags: Option<[Nanos; 2]>, summary: &TrialSummary, what: &str, hint: &str) -> Option<Invalid> {
    let [p50, p95] = lags?.map(millis);
    // Without streaming the latency as a whole is what the lag would distort.
    let scale = median(summary, Metric::Ttft).or_else(|| median(summary, Metric::E2eLatency))?;
    let limits = ((0.01 * scale).max(1.0), (0.05 * scale).max(5.0));
    (p50 > limits.0 || p95 > limits.1).then(|| Invalid {
        passing: true,
        reason: format!(
            "{what}: by {p50:.2} ms at the median (at most {:.2}), {p95:.2} ms at p95 (at most {:.2})",
            limits.0, limits.1
        ),
        hint: hint.into(),
    })
}

fn busy(trial: &Trial) -> Option<Invalid> {
    let share = trial.client.cpu_share.filter(|share| *share > 0.9)?;
    Some(Invalid {
        passing: true,
        reason: format!("a load worker used {:.0} % of its core (at most 90 %)", share * 100.0),
        hint: "build with `--release` (or `[profile.dev.package.\"*\"] opt-level = 3`), or lower the load".into(),
    })
}

fn unsent(trial: &Trial) -> Option<Invalid> {
    let open = matches!(trial.pacing, crate::plan::Pacing::Open { .. });
    (open && trial.client.unsent > 0).then(|| Invalid {
        passing: false,
        reason: format!("{} scheduled requests could not be sent", trial.client.unsent),
        hint: LATE_HINT.into(),
    })
}

fn too_many_in_flight(trial: &Trial) -> Option<Invalid> {
    let (peak, most) = (trial.client.peak_in_flight, trial.client.max_in_flight?);
    (peak > most).then(|| Invalid {
        passing: false,
        reason: format!("{peak} requests were in flight at once (`load.max_in_flight` is {most})"),
        hint: "the server does not keep up with this rate: lower `load.rate`, or raise `load.max_in_flight`".into(),
    })
}

fn length_drift(summary: &TrialSummary, expected: Option<Expected>) -> Option<Invalid> {
    let Expected { output_tokens: then, of } = expected.filter(|expected| expected.output_tokens > 0.0)?;
    let now = median(summary, Metric::OutputTokens)?;
    ((now / then - 1.0).abs() > 0.05).then(|| Invalid {
        passing: false,
        reason: format!("answers have {now:.0} tokens at the median, those of {of} {then:.0}"),
        hint: "fix the length with `request.extra = { ignore_eos = true }`, or compare with what answers as long"
            .into(),
    })
}

fn cached(trial: &Trial) -> Option<Invalid> {
    if trial.shares_prefix {
        return None;
    }
    let counted = trial.records.iter().filter(|record| record.is_answered());
    let counts = counted.filter_map(|record| Some((record.usage.as_ref()?.cached?, record.input_tokens)));
    // A server that matches token by token finds what every prompt begins with; that tells of nothing measured twice.
    let (found, asked) = counts.fold((0, 0), |(found, asked), (cached, input)| {
        (found + u64::from(cached.saturating_sub(trial.common_tokens)), asked + u64::from(input))
    });
    let ratio = found as f64 / asked.max(1) as f64;
    (ratio > 0.05).then(|| Invalid {
        passing: false,
        reason: format!(
            "{:.1} % of the prompt tokens came from the prefix cache although the scenario shares no prefix \
             (not counting the {} tokens that every prompt begins with)",
            ratio * 100.0,
            trial.common_tokens
        ),
        hint: "remove `salt = false`, or use a `prefix` or a longer dataset; this measured the cache".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Client;
    use crate::measure::request::tests::record;
    use crate::plan::Pacing;
    use crate::record::{Failure, Usage};
    use crate::scenario::Slo;

    const MS: Nanos = 1_000_000;

    /// An open loop of 2000 requests a second whose answers take 20 ms; request i is sent `lag(i)` after its time.
    fn open_loop(lag: impl Fn(u64) -> Nanos) -> Trial {
        let records = (0..20_000).map(|i| {
            let (scheduled, sent) = (i * MS / 2, i * MS / 2 + lag(i));
            record(scheduled, sent, &[(sent + 20 * MS, 1), (sent + 21 * MS, 1), (sent + 22 * MS, 1)])
        });
        let client = Client::default();
        let pacing = Pacing::Open { max_in_flight: None };
        Trial { pacing, records: records.collect(), stream: true, shares_prefix: false, common_tokens: 0, client }
    }

    fn reasons(trial: &Trial) -> Vec<String> {
        let summary = TrialSummary::of(trial, &Slo::default());
        check(trial, &summary, None).into_iter().map(|invalid| invalid.reason).collect()
    }

    #[test]
    fn an_open_loop_that_falls_behind_is_no_measurement() {
        assert_eq!(reasons(&open_loop(|i| i % 100 * MS / 100)), Vec::<String>::new());
        // A client that can send 1980 a second is late by a tenth of a second at the end.
        let behind = reasons(&open_loop(|i| i * MS / 200));
        assert_eq!(
            behind,
            ["the client sent requests late: by 50.00 ms at the median (at most 1.00), 95.00 ms at p95 (at most 5.00)"]
        );
        // Bursts of it count as well.
        assert_eq!(reasons(&open_loop(|i| if i % 10 == 0 { 6 * MS } else { 0 })).len(), 1);
    }

    #[test]
    fn an_embedded_server_that_misses_its_times_is_no_measurement() {
        let mut trial = open_loop(|_| 0);
        trial.client.server_late = Some([MS, 5 * MS]);
        assert_eq!(reasons(&trial), Vec::<String>::new());
        trial.client.server_late = Some([MS / 10, 6 * MS]);
        assert_eq!(
            reasons(&trial),
            ["the embedded server was late: by 0.10 ms at the median (at most 1.00), 6.00 ms at p95 (at most 5.00)"]
        );
    }

    #[test]
    fn an_arrival_that_was_not_sent_is_no_measurement() {
        let mut trial = open_loop(|_| 0);
        trial.client.unsent = 1;
        assert_eq!(reasons(&trial), ["1 scheduled requests could not be sent"]);
        trial.pacing = Pacing::Closed { users: 1, ramp_up: 0 };
        assert!(!reasons(&trial).iter().any(|reason| reason.contains("could not be sent")));
    }

    #[test]
    fn a_client_without_files_or_ports_measures_nothing() {
        for (message, what) in [
            ("failed to connect: Too many open files (os error 24)", "open files"),
            ("failed to connect: Cannot assign requested address (os error 99)", "local ports"),
        ] {
            let mut trial = open_loop(|_| 0);
            for record in &mut trial.records[..3] {
                record.failure = Some(Failure::new(FailureClass::Connect, message));
            }
            assert_eq!(reasons(&trial), [format!("the client ran out of {what}: 3 requests were not sent")]);
            // The server's own words are the server's trouble.
            for record in &mut trial.records {
                record.failure = record.failure.take().map(|f| Failure { class: FailureClass::HttpStatus, ..f });
            }
            assert_eq!(reasons(&trial), Vec::<String>::new());
        }
    }

    #[test]
    fn a_cache_that_answers_what_nobody_shared_is_no_measurement() {
        let cached = |tokens| {
            let mut trial = open_loop(|_| 0);
            for record in &mut trial.records {
                record.input_tokens = 64;
                record.usage = Some(Usage { input: 64, output: 3, cached: Some(tokens), reasoning: None });
            }
            trial
        };
        assert_eq!(reasons(&cached(3)), Vec::<String>::new());
        let found = reasons(&cached(12));
        assert!(found.len() == 1 && found[0].starts_with("18.8 % of the prompt tokens came from"), "{found:?}");
        // Salt and template are found by a server that matches token by token.
        let mut trial = cached(12);
        trial.common_tokens = 10;
        assert_eq!(reasons(&trial), Vec::<String>::new());
        trial.common_tokens = 8;
        assert!(reasons(&trial)[0].ends_with("(not counting the 8 tokens that every prompt begins with)"));
        trial.shares_prefix = true;
        assert_eq!(reasons(&trial), Vec::<String>::new());
    }
}
