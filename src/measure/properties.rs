//! Whatever a server does, a trial has figures or says that it has none.

use proptest::prelude::*;

use crate::measure::{Client, Expected, Trial, TrialSummary, Value, check_trust};
use crate::metric::{Metric, MetricId, Shape, Statistic};
use crate::plan::Pacing;
use crate::record::{Chunk, Failure, FailureClass, RequestRecord, TokenSource, Usage};
use crate::scenario::Slo;
use crate::units::Nanos;

/// Some days: longer than any trial, and equal stamps are not rare among small ones.
fn any_time() -> impl Strategy<Value = Nanos> {
    prop_oneof![0..4_u64, 0..2_000_000_000_u64, 0..1_u64 << 50]
}

fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![0..3_u32, 0..200_u32, Just(u32::MAX)]
}

fn any_chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let chunk = (any_time(), any_count(), any::<bool>());
    let chunks = proptest::collection::vec(chunk, 0..6);
    chunks
        .prop_map(|chunks| chunks.into_iter().map(|(at, tokens, reasoning)| Chunk { at, tokens, reasoning }).collect())
}

fn any_record() -> impl Strategy<Value = RequestRecord> {
    let times =
        (any_time(), any_time(), any_time(), proptest::option::of(any_time()), proptest::option::of(any_time()));
    let counts = (any_count(), any_count(), any_count(), any_count(), 0..5_u32);
    let usage = proptest::option::of((any_count(), any_count(), proptest::option::of(any_count())));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(200..600_u16));
    (times, counts, any_chunks(), usage, flags).prop_map(
        |(times, counts, chunks, usage, (streamed, failed, to_cancel, status))| RequestRecord {
            index: counts.4,
            user: counts.4,
            max_tokens: counts.0,
            request_id: "r".into(),
            scheduled: times.0,
            sent: times.1,
            headers: times.3,
            first_event: times.3,
            chunks,
            closed: times.2,
            status,
            streamed,
            coalesced: counts.3,
            usage: usage.map(|(input, output, cached)| Usage { input, output, cached, reasoning: cached }),
            input_tokens: counts.1,
            output_tokens: counts.2,
            token_source: TokenSource::Usage,
            finish_reason: None,
            connect: times.4,
            resent: 0,
            to_cancel,
            cancelled: to_cancel && !failed && counts.4 > 2,
            failure: failed.then(|| Failure::new(FailureClass::Timeout, "late")),
        },
    )
}

fn any_pacing() -> impl Strategy<Value = Pacing> {
    prop_oneof![
        (0..5_u32, any_time()).prop_map(|(users, ramp_up)| Pacing::Closed { users, ramp_up }),
        proptest::option::of(0..4_u32).prop_map(|max_in_flight| Pacing::Open { max_in_flight }),
        (0..4_u32).prop_map(|size| Pacing::Batch { size }),
    ]
}

fn every_statistic() -> Vec<MetricId> {
    let statistics = [0.001, 0.5, 0.95, 0.999].map(Statistic::Quantile);
    let statistics = statistics.into_iter().chain([Statistic::Mean, Statistic::Min, Statistic::Max, Statistic::Std]);
    let of = |metric: &Metric| match metric.shape() {
        Shape::Single => vec![MetricId { metric: *metric, statistic: None }],
        Shape::Distribution => {
            statistics.clone().map(|statistic| MetricId { metric: *metric, statistic: Some(statistic) }).collect()
        }
    };
    Metric::ALL.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn every_figure_of_any_trial_is_finite(
        records in proptest::collection::vec(any_record(), 0..8),
        pacing in any_pacing(),
        flags in any::<[bool; 2]>(),
        unsent in 0..3_u32,
        limits in proptest::collection::vec((prop_oneof![Just(Metric::Ttft), Just(Metric::Tpot)], any_time()), 0..3),
        baseline in proptest::option::of(0.0..1e6_f64),
    ) {
        let wake_lags = records.iter().map(|record| record.closed).collect();
        let client = Client { wake_lags, server_late: Some([1, 2]), cpu_share: Some(0.5), unsent, peak_in_flight: 3, max_in_flight: Some(2) };
        let trial = Trial { pacing, records, stream: flags[0], shares_prefix: flags[1], common_tokens: unsent, client };
        let summary = TrialSummary::of(&trial, &Slo { limits });
        for id in every_statistic() {
            if let Value::Known(value) = summary.value(id) {
                prop_assert!(value.is_finite() && value >= 0.0, "{id}: {value}");
            }
        }
        prop_assert!(summary.tokens_per_chunk.is_finite());
        prop_assert!(summary.errors <= summary.n && summary.failures.values().sum::<u64>() == summary.errors);
        let aside = trial.records.iter().filter(|record| record.is_set_aside()).count() as u64;
        prop_assert_eq!(summary.n + aside, trial.records.len() as u64);
        prop_assert!(summary.cancelled <= aside);
        let expected = baseline.map(|output_tokens| Expected { output_tokens, of: "the baseline" });
        for invalid in check_trust(&trial, &summary, expected) {
            prop_assert!(!invalid.reason.is_empty() && !invalid.hint.is_empty());
        }
    }
}
