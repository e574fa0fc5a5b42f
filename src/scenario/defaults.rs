//! What holds where a scenario says nothing.

use super::{Against, Check, Limit};
use crate::metric::MetricId;
use crate::units::{Growth, Time};
use crate::wire::Protocol;

/// Seed of the plan.
pub(super) const SEED: u64 = 42;
/// Length of answers to a dataset's prompts that name none.
pub(super) const DATASET_OUTPUT_TOKENS: u32 = 128;
/// Ramp-up time of each user.
pub(super) const RAMP_UP_PER_USER: Time = Time::from_millis(100);
/// Most warm-up requests, which are one a user.
pub(super) const WARMUP: u32 = 5;
/// Longest time of a request.
pub(super) const TIMEOUT: Time = Time::from_secs(60);
/// Longest time without a byte.
pub(super) const NO_PROGRESS: Time = Time::from_secs(20);
/// Fewest trials: the fewest that the gate can judge.
pub(super) const MIN_TRIALS: u32 = 6;
/// Fewest pairs at which a comparison of variants decides anything.
pub(super) const MIN_PAIRS: u32 = 6;
/// Trials with `--quick`.
pub(super) const QUICK_TRIALS: u32 = 2;
/// How much a server's memory may grow in a soak test: 1 MiB a minute.
pub(super) const RSS_GROWTH: Growth = Growth(1024.0 * 1024.0);
/// Part of a soak test's trial in which the server still takes what it needs.
pub(super) const SETTLE: f64 = 0.2;
/// Trials of a soak test.
pub(super) const SOAK_TRIALS: u32 = 1;
/// The slowdown that an inconclusive verdict must have been able to see.
pub(super) const BLIND_ABOVE: f64 = 0.25;

/// What kind of case a default check is for.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    Streamed,
    WithSlo,
}

const CHECKS: [(&str, &str, When); 9] = [
    ("ttft.p50", "<= baseline + 5%", When::Streamed),
    ("tpot.p50", "<= baseline + 3%", When::Streamed),
    ("output_throughput", ">= baseline - 3%", When::Always),
    ("error_rate", "<= baseline + 0.5pp", When::Always),
    ("e2e_latency.p50", "<= baseline + 5%", When::Always),
    ("ttft.p95", "<= baseline + 10%", When::Streamed),
    ("tpot.p95", "<= baseline + 5%", When::Streamed),
    ("itl.p99", "<= baseline + 10%", When::Streamed),
    ("goodput_ratio", ">= baseline - 1pp", When::WithSlo),
];

/// How many of [`CHECKS`] gate; the rest is advisory.
const GATING: usize = 4;

/// Of answers without tokens: a metric, its limit, and whether it is advisory.
const WITHOUT_TOKENS: [(&str, &str, bool); 5] = [
    ("e2e_latency.p50", "<= baseline + 5%", false),
    ("request_throughput", ">= baseline - 3%", false),
    ("error_rate", "<= baseline + 0.5pp", false),
    ("e2e_latency.p95", "<= baseline + 10%", true),
    ("input_throughput", ">= baseline - 3%", true),
];

/// The checks of a scenario that sets no limit.
pub(super) fn checks(protocol: Protocol, stream: bool, slo: bool, against: Against) -> Vec<Check> {
    if !protocol.has_tokens() {
        let goodput = CHECKS[8];
        let goodput = slo.then_some((goodput.0, goodput.1, true));
        let checks = WITHOUT_TOKENS.into_iter().chain(goodput);
        return checks.map(|(metric, limit, advisory)| check(metric, limit, against, advisory)).collect();
    }
    let wanted = |when: When| match when {
        When::Always => true,
        When::Streamed => stream,
        When::WithSlo => slo,
    };
    let checks = CHECKS.iter().enumerate().filter(|(_, (_, _, when))| wanted(*when));
    checks
        .map(|(index, (metric, limit, _))| {
            // Without a stream the latency is the only time there is, so it has to gate.
            check(metric, limit, against, index >= GATING && (stream || *metric != "e2e_latency.p50"))
        })
        .collect()
}

/// The check of the error rate, which every case has.
pub(super) fn error_rate(against: Against) -> Check {
    let (metric, limit, _) = CHECKS[3];
    check(metric, limit, against, false)
}

/// `limit` is written against the baseline.
fn check(metric: &str, limit: &str, against: Against, advisory: bool) -> Check {
    let metric: MetricId = metric.parse().expect("the names of the default checks are metrics");
    let limit = limit.replace(Against::Baseline.name(), against.name());
    let limit = Limit::parse(&limit, metric, against).expect("the limits of the default checks parse");
    Check { metric, limit, advisory, line: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Margin, Reference};

    fn listed(stream: bool, slo: bool) -> Vec<String> {
        listed_of(Protocol::OpenaiChat, stream, slo)
    }

    fn listed_of(protocol: Protocol, stream: bool, slo: bool) -> Vec<String> {
        let checks = checks(protocol, stream, slo, Against::Baseline).into_iter();
        checks
            .map(|check| {
                let Reference::Baseline(tolerance) = check.limit.reference else { panic!("{check:?}") };
                let mark = if check.advisory { "advisory" } else { "gates" };
                format!("{} {tolerance} {mark}", check.metric)
            })
            .collect()
    }

    #[test]
    fn of_a_streamed_case() {
        let with_slo = listed(true, true);
        assert_eq!(
            with_slo,
            [
                "ttft.p50 0.05 gates",
                "tpot.p50 0.03 gates",
                "output_throughput 0.03 gates",
                "error_rate 0.005 gates",
                "e2e_latency.p50 0.05 advisory",
                "ttft.p95 0.1 advisory",
                "tpot.p95 0.05 advisory",
                "itl.p99 0.1 advisory",
                "goodput_ratio 0.01 advisory",
            ]
        );
        assert_eq!(listed(true, false), with_slo[..8]);
    }

    #[test]
    fn of_a_case_without_a_stream() {
        assert_eq!(
            listed(false, false),
            ["output_throughput 0.03 gates", "error_rate 0.005 gates", "e2e_latency.p50 0.05 gates"]
        );
    }

    #[test]
    fn of_answers_without_tokens() {
        assert_eq!(
            listed_of(Protocol::OpenaiEmbeddings, false, true),
            [
                "e2e_latency.p50 0.05 gates",
                "request_throughput 0.03 gates",
                "error_rate 0.005 gates",
                "e2e_latency.p95 0.1 advisory",
                "input_throughput 0.03 advisory",
                "goodput_ratio 0.01 advisory",
            ]
        );
    }

    #[test]
    fn of_two_variants() {
        let against = |side| checks(Protocol::Tgi, true, true, side);
        for (baseline, variant) in against(Against::Baseline).iter().zip(&against(Against::Variant)) {
            assert!(matches!(variant.limit.reference, Reference::Variant(Margin::Tolerance(_))), "{variant:?}");
            assert_eq!(variant.limit.tolerance(), baseline.limit.tolerance());
            assert_eq!((variant.metric, variant.advisory), (baseline.metric, baseline.advisory));
        }
    }

    #[test]
    fn the_error_rate_is_the_error_rate() {
        let check = error_rate(Against::Variant);
        assert_eq!(check.metric.to_string(), "error_rate");
        assert_eq!(check.limit.text(check.metric), "<= reference + 0.5pp");
    }
}
