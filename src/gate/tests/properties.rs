use proptest::prelude::*;

use super::*;
use crate::gate::{Verdict, judge_lines};

fn metric() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("ttft.p50"),
        Just("ttft.p99"),
        Just("output_throughput"),
        Just("goodput_ratio"),
        Just("error_rate"),
        Just("strange.p95"),
        Just(""),
    ]
}

fn checks() -> impl Strategy<Value = Vec<CheckInput>> {
    let tolerance = prop_oneof![40 => 0.0..0.2_f64, 5 => -0.9..0.0_f64, 1 => prop_oneof![Just(-1.0), any::<f64>()]];
    let one = (metric(), tolerance, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(metric, tolerance, higher, advisory)| CheckInput {
            metric: metric.into(),
            better: if higher { Better::Higher } else { Better::Lower },
            tolerance,
            advisory,
            unresolved: None,
        },
    );
    prop::collection::vec(one, 0..5)
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        2000 => (0.3..0.9_f64).prop_map(Some),
        100 => Just(None),
        1 => Just(Some(0.0)),
        1 => prop_oneof![Just(1e-300), Just(1e300), Just(5e-324), Just(-1.0), Just(f64::MAX), Just(f64::NAN)].prop_map(Some),
    ]
}

fn any_trial() -> impl Strategy<Value = TrialValues> {
    (prop_oneof![9 => 90..1000_u64, 1 => any::<u64>()], 0..8_u64, prop::collection::vec(value(), 6)).prop_map(
        |(n, errors, values)| {
            let names = ["ttft.p50", "ttft.p99", "output_throughput", "goodput_ratio", "strange.p95", ""];
            let values = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            TrialValues { n, errors, values }
        },
    )
}

fn any_job() -> impl Strategy<Value = Job> {
    prop_oneof![50 => 1..12_usize, 1 => Just(0)]
        .prop_flat_map(|count| prop::collection::vec(any_trial(), count))
        .prop_map(|trials| Job { trials })
}

fn any_pair() -> impl Strategy<Value = Pair> {
    let order = prop_oneof![Just(Order::Ab), Just(Order::Ba)];
    (order, any_trial(), any_trial()).prop_map(|(order, a, b)| Pair { order, a, b })
}

fn paired_case() -> impl Strategy<Value = CaseInput> {
    (checks(), prop::collection::vec(any_pair(), 0..24))
        .prop_map(|(checks, pairs)| CaseInput::paired("case", checks, pairs))
}

fn stored_case() -> impl Strategy<Value = CaseInput> {
    let noise = prop_oneof![9 => Just(0.03), 9 => Just(0.0), 1 => any::<f64>()];
    (checks(), noise, prop::collection::vec(any_job(), 0..5), any_job())
        .prop_map(|(checks, noise, jobs, candidate)| CaseInput::stored("case", checks, noise, jobs, candidate))
}

fn suite() -> impl Strategy<Value = Suite> {
    let alpha = prop_oneof![20 => Just(0.05), 3 => 1e-300..1.0_f64, 1 => any::<f64>()];
    let k_max = prop_oneof![4 => Just(20), 4 => 0..30_u32, 1 => any::<u32>()];
    let family = prop::option::of(prop_oneof![0..40_u64, any::<u64>()]);
    let cases = prop_oneof![
        prop::collection::vec(paired_case(), 0..4).prop_map(|cases| (Mode::Paired, cases)),
        prop::collection::vec(stored_case(), 0..4).prop_map(|cases| (Mode::Stored, cases)),
    ];
    (alpha, k_max, family, cases, any::<bool>()).prop_map(|(alpha, k_max, family, (mode, cases), alone)| Suite {
        alpha,
        k_max,
        family,
        alone,
        ..Suite::new(mode, cases)
    })
}

/// Both sides alike, with few enough errors that neither fails by itself.
fn unchanged() -> impl Strategy<Value = Suite> {
    let twins = any_trial().prop_map(|mut trial| {
        trial.n = trial.n.max(200);
        Pair { order: Order::Ab, a: trial.clone(), b: trial }
    });
    let case = (checks(), prop::collection::vec(twins, 0..24)).prop_map(|(mut checks, mut pairs)| {
        for (pair, at) in pairs.iter_mut().zip(0..) {
            pair.order = if at % 2 == 0 { Order::Ab } else { Order::Ba };
        }
        // A goal is missed by standing still.
        checks.retain(|check| check.tolerance >= 0.0);
        CaseInput::paired("case", checks, pairs)
    });
    prop::collection::vec(case, 0..4).prop_map(|cases| Suite::new(Mode::Paired, cases))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_judged_or_refused(suite in suite()) {
        if let Ok(answer) = judge(&suite) {
            prop_assert_eq!(answer.cases.len(), suite.cases.len());
            let text = serde_json::to_string(&answer).unwrap();
            prop_assert!(!text.contains("null"), "{}", text);
            for (case, input) in answer.cases.iter().zip(&suite.cases) {
                prop_assert_eq!(case.checks.len(), input.checks.len());
                prop_assert!(case.verdict != Verdict::Pass || case.pairs_used >= 6);
                for check in &case.checks {
                    for p in [check.p0, check.p_t, check.p_u, check.q0, check.q_t].into_iter().flatten() {
                        prop_assert!((0.0..=1.0).contains(&p), "{:?}", check);
                    }
                    prop_assert!(
                        check.reason.is_some() || check.verdict.holds() || check.verdict == Verdict::Regressed,
                        "{:?}", check
                    );
                }
            }
        }
    }

    #[test]
    fn an_unchanged_build_never_regresses(suite in unchanged()) {
        if let Ok(answer) = judge(&suite) {
            prop_assert!(answer.verdict != Verdict::Regressed && answer.verdict != Verdict::Improved, "{:?}", answer);
        }
    }

    #[test]
    fn order_does_not_matter(suite in suite()) {
        if let Ok(answer) = judge(&suite) {
            let mut reversed = suite;
            reversed.cases.reverse();
            let mut again = judge(&reversed).unwrap();
            again.cases.reverse();
            prop_assert_eq!(again, answer);
        }
    }

    #[test]
    fn broken_text_is_a_bad_line(suite in suite(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&suite).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let outcome = judge_lines(&text[..], &mut output, &mut errors).unwrap();
        prop_assert!(outcome.judged + outcome.bad >= 1 || byte == b'\n');
    }
}
