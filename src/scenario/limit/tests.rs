use proptest::prelude::*;

use super::*;
use crate::metric::{Metric, Shape, Statistic};

/// In the kind of scenario that the text is for.
fn parse(metric: &str, text: &str) -> Result<Limit, LimitError> {
    let against = if text.contains("reference") { Against::Variant } else { Against::Baseline };
    Limit::parse(text, metric.parse().unwrap(), against)
}

fn close(a: Reference, b: Reference) -> bool {
    use Margin::{Multiple, Tolerance};
    use Reference::{Absolute, Baseline, Variant};
    match (a, b) {
        (Absolute(a), Absolute(b))
        | (Baseline(a), Baseline(b))
        | (Variant(Tolerance(a)), Variant(Tolerance(b)))
        | (Variant(Multiple(a)), Variant(Multiple(b))) => (a - b).abs() < 1e-12 * a.abs().max(1.0),
        _ => false,
    }
}

#[test]
fn the_documented_forms() {
    use Margin::{Multiple, Tolerance};
    use Reference::{Absolute, Baseline, Variant};
    for (metric, text, bound, reference) in [
        ("ttft.p95", "<= 300ms", Bound::AtMost, Absolute(300.0)),
        ("ttft.p95", "<= baseline + 10%", Bound::AtMost, Baseline(0.1)),
        ("ttft.p95", "<=baseline", Bound::AtMost, Baseline(0.0)),
        ("output_throughput", ">= baseline - 3%", Bound::AtLeast, Baseline(0.03)),
        ("output_throughput", ">= 250", Bound::AtLeast, Absolute(250.0)),
        ("output_throughput", ">= 250 tok/s", Bound::AtLeast, Absolute(250.0)),
        ("error_rate", "<= 0.1%", Bound::AtMost, Absolute(0.001)),
        ("error_rate", "<= baseline + 0.5pp", Bound::AtMost, Baseline(0.005)),
        ("error_rate", "<= baseline + 0.5%", Bound::AtMost, Baseline(0.005)),
        ("prefix_hit_ratio", ">= 60%", Bound::AtLeast, Absolute(0.6)),
        ("ttft.p50", "<= reference", Bound::AtMost, Variant(Tolerance(0.0))),
        ("ttft.p50", "<= reference + 5%", Bound::AtMost, Variant(Tolerance(0.05))),
        ("output_throughput", ">=reference-3 %", Bound::AtLeast, Variant(Tolerance(0.03))),
        ("error_rate", "<= reference + 0.5pp", Bound::AtMost, Variant(Tolerance(0.005))),
        ("goodput_ratio", ">= reference - 2 pp", Bound::AtLeast, Variant(Tolerance(0.02))),
        ("ttft.p50", "<= 0.7 * reference", Bound::AtMost, Variant(Multiple(0.7))),
        ("output_throughput", ">= 1.2*reference", Bound::AtLeast, Variant(Multiple(1.2))),
    ] {
        let limit = parse(metric, text).unwrap();
        assert_eq!(limit.bound, bound, "{text}");
        assert!(close(limit.reference, reference), "{text}: {limit:?}");
    }
}

#[test]
fn limits_print_as_they_are_written() {
    for (metric, text) in [
        ("ttft.p95", "<= 300ms"),
        ("ttft.p95", "<= baseline + 10%"),
        ("ttft.p95", "<= baseline"),
        ("output_throughput", ">= baseline - 3%"),
        ("output_throughput", ">= 250"),
        ("error_rate", "<= 0.1%"),
        ("error_rate", "<= baseline + 0.5pp"),
        ("ttft.p50", "<= reference"),
        ("ttft.p50", "<= reference + 7%"),
        ("output_throughput", ">= reference - 3%"),
        ("prefix_hit_ratio", ">= reference - 2.5pp"),
        ("ttft.p50", "<= 0.7 * reference"),
        ("ttft.p50", "<= 1 * reference"),
    ] {
        assert_eq!(parse(metric, text).unwrap().text(metric.parse().unwrap()), text);
    }
}

#[test]
fn what_does_not_parse_says_what_does() {
    let time = "write for example `<= 300ms` or `<= baseline + 5%`";
    let latency = "write for example `<= reference + 5%` or `<= 0.7 * reference`";
    let throughput = "write for example `>= reference - 5%` or `>= 1.2 * reference`";
    let ratio = "write for example `>= 95%` or `>= reference - 1pp`";
    for (metric, text, message, hint) in [
        ("ttft.p95", "300ms", "limit `300ms` must start with `<=` or `>=`", time),
        ("ttft.p95", "<= 300", "`300` is not a value of `ttft.p95`, which is a time such as `300ms`", time),
        ("ttft.p95", "<= baseline - 5%", "`baseline - 5%` is not `baseline + N%`", time),
        ("ttft.p95", "<= baseline + 5pp", "`baseline + 5pp` is not `baseline + N%`", time),
        ("ttft.p95", "<= 0.7 * baseline", "`0.7 * baseline` is not `baseline + N%`", time),
        (
            "ttft.p95",
            ">= baseline - 5%",
            "`>= baseline - 5%` forbids getting better: low values of `ttft.p95` are good",
            "write `<= …`",
        ),
        (
            "error_rate",
            "<= 5",
            "`5` is not a value of `error_rate`, which is a share such as `0.1%`",
            "write for example `<= 0.1%` or `<= baseline + 0.5pp`",
        ),
        (
            "output_throughput",
            ">= fast",
            "`fast` is not a value of `output_throughput`, which is a number in tok/s",
            "write for example `>= baseline - 5%`",
        ),
        ("ttft.p50", "<= x * reference", "`x * reference` is neither `reference + N%` nor `N * reference`", latency),
        ("ttft.p50", "<= 0 * reference", "`0 * reference` is neither `reference + N%` nor `N * reference`", latency),
        ("ttft.p50", "<= 0.7 reference", "`0.7 reference` is neither `reference + N%` nor `N * reference`", latency),
        (
            "ttft.p50",
            "<= reference - 30%",
            "`reference - 30%` is neither `reference + N%` nor `N * reference`",
            latency,
        ),
        (
            "output_throughput",
            ">= reference + 5%",
            "`reference + 5%` is neither `reference - N%` nor `N * reference`",
            throughput,
        ),
        (
            "output_throughput",
            "<= 1.2 * reference",
            "`<= 1.2 * reference` forbids getting better: high values of `output_throughput` are good",
            "write `>= …`",
        ),
        ("goodput_ratio", ">= reference + 5pp", "`reference + 5pp` is not `reference - Npp`", ratio),
        (
            "prefix_hit_ratio",
            ">= 1.2 * reference",
            "`1.2 * reference` is a multiple of a share, and `prefix_hit_ratio` is compared in points",
            ratio,
        ),
    ] {
        let error = parse(metric, text).unwrap_err();
        assert_eq!((error.message.as_str(), error.hint.as_str()), (message, hint), "{text}");
    }
}

#[test]
fn each_kind_of_scenario_has_one_other_side() {
    let ttft: MetricId = "ttft.p50".parse().unwrap();
    let error = Limit::parse("<= baseline + 5%", ttft, Against::Variant).unwrap_err();
    assert_eq!(error.message, "a `[compare]` scenario has no `baseline`");
    assert_eq!(error.hint, "write `reference` for the other variant: `<= reference + 5%`");
    let error = Limit::parse("<= 0.7 * reference", ttft, Against::Baseline).unwrap_err();
    assert_eq!(error.message, "`reference` needs a `[compare]` table that names two variants");
    assert_eq!(error.hint, "compare with the baseline: `<= baseline …`");
    for against in [Against::Baseline, Against::Variant] {
        assert!(Limit::parse("<= 300ms", ttft, against).is_ok());
    }
}

#[test]
fn tolerances_are_of_the_cost() {
    for (metric, text, tolerance) in [
        ("ttft.p50", "<= 300ms", None),
        ("ttft.p50", "<= 0.7 * reference", Some(-0.3)),
        ("output_throughput", ">= 1.25 * reference", Some(-0.2)),
        ("ttft.p50", "<= reference", Some(0.0)),
        ("error_rate", "<= reference + 0.5pp", Some(0.005)),
        // A throughput's tolerance is that of its cost, against either side.
        ("output_throughput", ">= reference - 3%", Some(0.03)),
        ("output_throughput", ">= baseline - 3%", Some(0.03)),
    ] {
        let found = parse(metric, text).unwrap().tolerance();
        assert_eq!(found.is_some(), tolerance.is_some(), "{text}");
        assert!(found.zip(tolerance).is_none_or(|(found, tolerance)| (found - tolerance).abs() < 1e-12), "{text}");
    }
}

fn metrics() -> impl Strategy<Value = MetricId> {
    let of = |metric: &Metric| MetricId {
        metric: *metric,
        statistic: (metric.shape() == Shape::Distribution).then_some(Statistic::Quantile(0.5)),
    };
    proptest::sample::select(Metric::ALL.iter().map(of).collect::<Vec<_>>())
}

/// Numbers of at most four digits, as people write them.
fn number() -> impl Strategy<Value = f64> {
    (1_u32..9_999, 0_i32..4).prop_map(|(digits, places)| f64::from(digits) / 10_f64.powi(places))
}

proptest! {
    #[test]
    fn limits_round_trip(metric in metrics(), form in 0_u8..4, number in number(), whole in 0_u32..1000) {
        let bound = good(metric);
        let share = metric.metric.scale() == Scale::Difference;
        let (against, limit) = match form {
            0 => {
                let text = match metric.metric.unit() {
                    "ms" => format!("{bound} {whole}.5us"),
                    _ if share => format!("{bound} {}%", number.min(100.0)),
                    _ => format!("{bound} {number}"),
                };
                (Against::Baseline, Limit::parse(&text, metric, Against::Baseline).unwrap())
            }
            1 => (Against::Baseline, Limit { bound, reference: Reference::Baseline(f64::from(whole) / 100.0) }),
            2 => {
                let tolerance = Margin::Tolerance(f64::from(whole) / 1000.0);
                (Against::Variant, Limit { bound, reference: Reference::Variant(tolerance) })
            }
            _ if share => (Against::Variant, Limit { bound, reference: Reference::Absolute(0.5) }),
            _ => (Against::Variant, Limit { bound, reference: Reference::Variant(Margin::Multiple(number)) }),
        };
        let text = limit.text(metric);
        let again = Limit::parse(&text, metric, against).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(again.bound, limit.bound);
        prop_assert!(close(again.reference, limit.reference), "{}: {:?} {:?}", text, again, limit);
        prop_assert_eq!(again.text(metric), text);
    }

    #[test]
    fn no_limit_panics(metric in metrics(), text in "[<>]=[ 0-9a-z.*%+-]{0,12}(reference|baseline)?[ 0-9.*%+p-]{0,8}") {
        for against in [Against::Baseline, Against::Variant] {
            if let Ok(limit) = Limit::parse(&text, metric, against) {
                prop_assert!(limit.tolerance().is_none_or(|tolerance| tolerance.is_finite() && tolerance > -1.0));
            }
        }
    }
}
