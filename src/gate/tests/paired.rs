use super::*;
use crate::gate::Verdict::{Improved, Inconclusive, Pass, Regressed, Unresolved};
use crate::gate::check::Check;
use crate::gate::evidence::{Levels, Tests};
use crate::gate::pairing::{Pairing, weigh};
use crate::stats::multiple::holm;

/// A case with one latency check, B being `slower` than A by this factor.
fn latency(name: &str, count: usize, tolerance: f64, slower: f64) -> CaseInput {
    CaseInput::paired(name, vec![check("ttft.p50", tolerance)], pairs(count, |at| sides(at, slower)))
}

fn sides(at: usize, slower: f64) -> (TrialValues, TrialValues) {
    let side = |ms: f64| trial(0, &[("ttft.p50", Some(ms))]);
    (side(50.0), side(50.0 * wobble(at) * slower))
}

fn verdict(suite: &Suite) -> super::super::Verdict {
    judged(suite).verdict
}

/// Published figures of one look at three checks: 10 pairs, levels 0.010 and 0.0125.
#[test]
fn one_look_at_three_checks() {
    let a = [101.2, 99.8, 103.5, 100.1, 98.9, 102.3, 100.7, 99.5, 101.0, 100.4];
    let b1 = [107.9, 104.6, 108.8, 106.2, 103.0, 108.1, 105.1, 106.4, 106.5, 106.9];
    let b2 = [100.9, 100.6, 102.2, 101.4, 98.1, 102.9, 99.6, 100.3, 100.5, 101.3];
    let logs = |b: &[f64; 10]| a.iter().zip(b).map(|(a, b)| Some((b / a).ln())).collect::<Vec<_>>();
    let d3 = [0.060, 0.011, 0.052, -0.004, 0.071, 0.018, 0.043, 0.020, 0.038, 0.049].map(Some).to_vec();
    let expected = [
        (0.03, 0.054_230_654_61, 0.003_347_460_212, 4.153_992_846e-7, 7.662_425_071e-5, 0.999_923_375_7),
        (0.05, 0.000_465_896_625_5, 0.003_437_623_463, 0.448_004_446_4, 0.999_998_907_7, 1.092_312_083e-6),
        (0.05, 0.036_375, 0.007_859_934_569, 0.001_201_814_334, 0.920_889_900_5, 0.079_110_099_5),
    ];
    let mut tests = Vec::new();
    for (d, (tolerance, m, se, p0, p_t, p_u)) in [logs(&b1), logs(&b2), d3].iter().zip(expected) {
        let Pairing::Mean { estimate, .. } = weigh(d, &[Order::Ab; 10]) else { panic!() };
        let got = Tests::new(estimate, f64::ln_1p(tolerance));
        for (got, expected) in
            [(estimate.m, m), (estimate.se, se), (estimate.df, 7.0), (got.p0, p0), (got.p_t, p_t), (got.p_u, p_u)]
        {
            assert!((got - expected).abs() <= 1e-6 * expected, "{got} is not {expected}");
        }
        tests.push((tolerance, got));
    }
    let p0: Vec<f64> = tests.iter().map(|(_, t)| t.p0).collect();
    let rejected = holm(&p0, 0.01, 3, 0);
    assert_eq!(rejected, [0, 2]);
    let levels = Levels { regressed: 0.01, pass: 0.0125 };
    let decisions: Vec<_> = (0..3)
        .map(|at| {
            let input = check("ttft.p50", tests[at].0);
            let check = Check::new("c", &input).unwrap();
            tests[at].1.decide(&check, rejected.contains(&at), false, levels)
        })
        .collect();
    assert_eq!(decisions, [Some(Regressed), Some(Pass), None]);
}

#[test]
fn unchanged_slower_faster() {
    for (slower, expected) in [(1.0, Pass), (1.03, Pass), (1.2, Regressed), (0.8, Improved), (0.96, Pass)] {
        assert_eq!(verdict(&paired(vec![latency("c", 20, 0.05, slower)])), expected, "{slower}");
    }
    // At the tolerance nothing can be said, but that it is slower is clear.
    let at_tolerance = judged(&paired(vec![latency("c", 20, 0.05, 1.05)]));
    let check = only(&at_tolerance);
    assert_eq!((check.verdict, check.suspect, check.look), (Inconclusive, true, Some(4)));
    let reason = check.reason.as_deref().unwrap();
    assert!(reason.starts_with("neither clearly within the tolerance of 5 % nor beyond it: 4."), "{reason}");
    assert_eq!(at_tolerance.cases[0].next_look, None);
}

#[test]
fn more_is_better_for_throughput() {
    let suite = |factor: f64| {
        let side = |rate: f64| trial(0, &[("output_throughput", Some(rate))]);
        let of = |at| (side(900.0), side(900.0 * factor * wobble(at)));
        paired(vec![CaseInput::paired("c", vec![check("output_throughput", 0.03)], pairs(20, of))])
    };
    assert_eq!(verdict(&suite(0.8)), Regressed);
    assert_eq!(verdict(&suite(1.2)), Improved);
    let slower = judged(&suite(0.8));
    assert!((only(&slower).ratio.unwrap() - 1.25).abs() < 0.01, "cost is worse when larger");
}

#[test]
fn shares_are_compared_in_points() {
    let suite = |b: f64| {
        let side = |share: f64| trial(0, &[("goodput_ratio", Some(share))]);
        let of = |at| (side(0.95), side(b - 0.002 * (wobble(at) - 1.0)));
        paired(vec![CaseInput::paired("c", vec![check("goodput_ratio", 0.01)], pairs(20, of))])
    };
    let worse = judged(&suite(0.90));
    let check = only(&worse);
    assert_eq!((check.verdict, check.ratio), (Regressed, None));
    assert!((check.difference.unwrap() - 0.05).abs() < 1e-3);
    assert!(check.detectable.unwrap() > 0.01 && check.detectable.unwrap() < 0.02);
    assert_eq!(verdict(&suite(0.95)), Pass);
}

#[test]
fn below_six_pairs_nothing_is_decided() {
    for k_max in 0..6 {
        let mut suite = paired(vec![latency("c", 20, 0.05, 2.0)]);
        suite.k_max = k_max;
        let answer = judged(&suite);
        assert_eq!((answer.verdict, answer.cases[0].pairs_used), (Inconclusive, 0), "{k_max}");
        assert_eq!(answer.cases[0].next_look, None);
    }
    for count in 0..6 {
        let answer = judged(&paired(vec![latency("c", count, 0.05, 2.0)]));
        assert_eq!((answer.verdict, answer.cases[0].pairs_used), (Inconclusive, 0), "{count}");
        assert_eq!(answer.cases[0].next_look, Some(6));
        let reason = only(&answer).reason.clone().unwrap();
        assert_eq!(reason, format!("{count} pairs measured; the first look needs 6"));
    }
}

/// Judging all pairs so far after each round never takes a decision back, and ends where one judgement does.
#[test]
fn growing_pairs_replay_what_was_decided() {
    let all =
        || vec![latency("steady", 20, 0.05, 1.0), latency("slow", 20, 0.05, 1.2), latency("edge", 20, 0.05, 1.05)];
    let whole = judged(&paired(all()));
    let mut growing = all();
    let mut kept = [0_usize; 3];
    let mut last = None;
    loop {
        let mut cases = growing.clone();
        for (case, kept) in cases.iter_mut().zip(kept) {
            case.pairs.as_mut().unwrap().truncate(kept);
        }
        let answer = judged(&paired(cases));
        if let Some(last) = &last {
            let last: &SuiteVerdict = last;
            for (now, before) in answer.cases.iter().zip(&last.cases) {
                if before.next_look.is_none() {
                    assert_eq!(now, before);
                }
            }
        }
        let mut grew = false;
        for (case, kept) in answer.cases.iter().zip(&mut kept) {
            if case.next_look.is_some() {
                *kept += 1;
                grew = true;
            }
        }
        last = Some(answer);
        if !grew {
            break;
        }
    }
    growing.clear();
    assert_eq!(last.unwrap(), whole);
    assert_eq!(kept, [6, 6, 20]);
}

#[test]
fn pairs_beyond_the_deciding_look_do_not_matter() {
    let answer = judged(&paired(vec![latency("c", 6, 0.05, 1.2)]));
    let mut longer = latency("c", 20, 0.05, 1.2);
    for pair in &mut longer.pairs.as_mut().unwrap()[6..] {
        pair.b.values.insert("ttft.p50".into(), Some(1.0));
        pair.b.n = 6;
        pair.b.errors = 6;
    }
    assert_eq!(judged(&paired(vec![longer])), answer);
}

#[test]
fn the_family_makes_single_checks_harder_to_reject() {
    let mut suite = paired(vec![latency("c", 6, 0.05, 1.075)]);
    assert_eq!(verdict(&suite), Regressed);
    suite.family = Some(100_000);
    let answer = judged(&suite);
    assert_eq!((answer.verdict, only(&answer).suspect), (Inconclusive, false));
    suite.family = Some(0);
    assert_eq!(verdict(&suite), Regressed);
}

/// Each rejection relaxes the level of the next, in whatever case it is; without a view of the others it cannot.
#[test]
fn holm_runs_over_the_whole_suite() {
    let p0 = |suite: &Suite, case: usize| judged(suite).cases[case].checks[0].p0.unwrap();
    let cases = vec![latency("clear", 6, 0.05, 1.5), latency("weak", 6, 0.0, 1.02)];
    let mut suite = paired(cases);
    let weak = p0(&suite, 1);
    // A family in which the weak one holds only if the clear one went before.
    let level = 0.005;
    suite.family = Some((level / weak).floor() as u64 + 1);
    assert!(weak > level / suite.family.unwrap() as f64);
    assert!(weak <= level / (suite.family.unwrap() - 1) as f64);
    assert_eq!(judged(&suite).cases[1].verdict, Regressed);
    suite.alone = true;
    assert_eq!(judged(&suite).cases[1].verdict, Inconclusive);
    assert_eq!(judged(&suite).cases[0].verdict, Regressed);
}

#[test]
fn a_case_stops_at_its_first_regression() {
    let side = |ttft: f64, tpot: f64| trial(0, &[("ttft.p50", Some(ttft)), ("tpot.p50", Some(tpot))]);
    let of = |at: usize| (side(50.0, 10.0), side(60.0 * wobble(at), 10.3 * wobble(at)));
    let checks = vec![check("ttft.p50", 0.05), check("tpot.p50", 0.03)];
    let answer = judged(&paired(vec![CaseInput::paired("c", checks, pairs(20, of))]));
    let case = &answer.cases[0];
    assert_eq!((case.verdict, case.pairs_used, case.next_look), (Regressed, 6, None));
    assert_eq!((case.checks[1].verdict, case.checks[1].look), (Inconclusive, Some(1)));
}

#[test]
fn advisory_checks_are_judged_but_have_no_say() {
    let mut case = latency("c", 20, 0.05, 1.2);
    case.checks[0].advisory = true;
    let answer = judged(&paired(vec![case.clone()]));
    // Nothing gates, so that nothing was shown to hold.
    assert_eq!(answer.verdict, Inconclusive);
    assert_eq!((only(&answer).verdict, only(&answer).advisory), (Regressed, true));
    case.checks.push(check("error_rate", 0.005));
    let answer = judged(&paired(vec![case]));
    assert_eq!((answer.verdict, answer.cases[0].pairs_used), (Pass, 6));
}

#[test]
fn a_quantile_that_so_few_requests_cannot_show_never_passes() {
    let side = || trial(0, &[("ttft.p50", Some(50.0)), ("ttft.p99", Some(90.0))]);
    let checks = vec![check("ttft.p50", 0.05), check("ttft.p99", 0.05)];
    let case = CaseInput::paired("c", checks, pairs(20, |_| (side(), side())));
    let answer = judged(&paired(vec![case.clone()]));
    let case_answer = &answer.cases[0];
    assert_eq!((answer.verdict, case_answer.verdict, case_answer.pairs_used), (Unresolved, Unresolved, 6));
    assert_eq!(case_answer.checks[0].verdict, Pass);
    let reason = case_answer.checks[1].reason.as_deref();
    assert_eq!(reason, Some("`ttft.p99` needs 500 requests in every trial, but one has 200"));
    // One short trial is enough, but not one that no look reaches.
    let mut enough = case;
    for pair in enough.pairs.as_mut().unwrap() {
        (pair.a.n, pair.b.n) = (500, 500);
    }
    assert_eq!(verdict(&paired(vec![enough.clone()])), Pass);
    enough.pairs.as_mut().unwrap()[6].a.n = 499;
    assert_eq!(verdict(&paired(vec![enough.clone()])), Pass);
    enough.pairs.as_mut().unwrap()[5].a.n = 499;
    assert_eq!(verdict(&paired(vec![enough])), Unresolved);
}

#[test]
fn a_check_that_the_caller_gave_up_needs_no_values() {
    let mut case = latency("c", 6, 0.05, 1.0);
    let why = "the window is shorter than half the trial";
    case.checks.push(CheckInput { unresolved: Some(why.into()), ..check("output_throughput", 0.03) });
    let answer = judged(&paired(vec![case]));
    assert_eq!(answer.verdict, Unresolved);
    assert_eq!(answer.cases[0].checks[1].reason.as_deref(), Some(why));
}

#[test]
fn a_server_that_hangs_regresses_by_signs() {
    let side = |ms: Option<f64>| trial(0, &[("ttft.p50", ms)]);
    let suite = |b: Option<f64>, a: Option<f64>| {
        paired(vec![CaseInput::paired("c", vec![check("ttft.p50", 0.05)], pairs(20, |_| (side(a), side(b))))])
    };
    let hangs = judged(&suite(None, Some(50.0)));
    let check = only(&hangs);
    // 2^-6 is above the first look's 0.005, 2^-10 below the second's 0.01.
    assert_eq!((check.verdict, check.look, check.censored), (Regressed, Some(2), 10));
    assert!((check.p0.unwrap() * 1024.0 - 1.0).abs() < 1e-9 && check.p0 == check.p_t);
    // The other way round nothing passes, let alone improves.
    assert_eq!(verdict(&suite(Some(50.0), None)), Inconclusive);
    let both = judged(&suite(None, None));
    assert_eq!((both.verdict, only(&both).censored), (Inconclusive, 20));
    assert_eq!(only(&both).reason.as_deref(), Some("only 0 of 20 pairs have a finite value on either side"));
}

#[test]
fn errors_come_first() {
    let case = |a: u64, b: u64| {
        let of = |at: usize| {
            let (mut left, mut right) = sides(at, 1.2);
            (left.errors, right.errors) = (a, b);
            (left, right)
        };
        CaseInput::paired("c", vec![check("ttft.p50", 0.05), check("error_rate", 0.005)], pairs(20, of))
    };
    let verdicts = |case: CaseInput| {
        let answer = judged(&paired(vec![case]));
        let checks: Vec<_> = answer.cases[0].checks.iter().map(|check| check.verdict).collect();
        (answer.verdict, checks)
    };
    assert_eq!(verdicts(case(0, 0)), (Regressed, vec![Regressed, Pass]));
    // A reference that fails by itself is no reference for latencies.
    assert_eq!(verdicts(case(5, 5)), (Inconclusive, vec![Inconclusive, Pass]));
    assert_eq!(verdicts(case(5, 11)), (Regressed, vec![Inconclusive, Regressed]));
    let answer = judged(&paired(vec![case(5, 5)]));
    let reason = answer.cases[0].checks[0].reason.as_deref();
    assert_eq!(reason, Some("the reference itself fails 2.5 % of its requests, more than 1 %"));
    let rates = &answer.cases[0].checks[1];
    assert_eq!((rates.difference, rates.m, rates.look), (Some(0.0), None, Some(1)));
    let [lower, upper] = rates.bounds.unwrap();
    assert!(lower < 0.0 && upper > 0.0);
}

/// "At most 0.7 times the reference" fails when caching stops working, although nothing got slower.
#[test]
fn a_goal_must_be_reached() {
    for (slower, expected) in [(0.5, Pass), (0.7, Inconclusive), (0.9, Regressed), (1.0, Regressed), (1.5, Regressed)] {
        assert_eq!(verdict(&paired(vec![latency("c", 20, -0.3, slower)])), expected, "{slower}");
    }
}

#[test]
fn two_limits_on_one_metric_are_two_checks() {
    let mut case = latency("c", 20, 0.05, 1.08);
    case.checks.push(check("ttft.p50", 0.15));
    let answer = judged(&paired(vec![case]));
    let verdicts: Vec<_> = answer.cases[0].checks.iter().map(|check| check.verdict).collect();
    assert_eq!(verdicts, [Regressed, Pass]);
}
