//! The table on the terminal.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::chatbot;
use super::fixture::{Bench, CHATBOT, LIMITS, blank, faulty, run, slower};
use crate::gate::{CheckVerdict, Verdict};
use crate::profile::{Embedded, FaultKind};
use crate::report::{Calibration, CaseReport, CheckReport, RunReport, table};

fn eventful() -> RunReport {
    let matrix = "code-completion::load.concurrency=16,workload.input_tokens=4096";
    let bench = chatbot();
    run(vec![
        bench.run(&Embedded::default()),
        Bench::new("code-completion", CHATBOT).named(matrix).with_baseline().run(&slower(0.0, 0.1)),
        bench.run(&slower(0.3, -0.1)),
        bench.run(&slower(0.0, 0.028)),
        bench.run(&faulty(FaultKind::NoStream, 1.0)),
        bench.run(&faulty(FaultKind::Error, 0.03)),
        Bench::new("limits", LIMITS).with_baseline().run(&Embedded::default()),
        Bench::new("fresh", CHATBOT).run(&Embedded::default()),
    ])
}

#[test]
fn a_run_in_eighty_columns() {
    assert_snapshot!(table(&eventful(), false), @r#"
    tokpace · profile embedded · 8 cases · 42 trials · 67 s measured
    ────────────────────────────────────────────────────────────────────────────────
      check                 measured   change   90 % interval   limit verdict
    chatbot                                                  6 trials pass
      ttft.p50              50.12 ms   +0.1 %    [-1.2, +1.5]    +10% pass
      tpot.p50              4.193 ms   -0.1 %    [-0.8, +0.6]     +3% pass
      output_throughput  781.1 tok/s   +0.0 %    [-0.6, +0.6]     -5% pass
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    code-completion::load.concur…,workload.input_tokens=4096 6 trials REGRESSED
      ttft.p50              50.83 ms   +1.6 %    [+0.2, +3.0]    +10% pass
      tpot.p50              4.604 ms   +9.7 %   [+8.9, +10.4]     +3% REGRESSED
      output_throughput  722.8 tok/s   -7.5 %    [-8.0, -7.0]     -5% REGRESSED
      e2e_latency.p50       267.7 ms   +8.3 %    [+7.6, +9.0]     +5% (regressed)
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    chatbot                                                  6 trials REGRESSED
      ttft.p50              62.24 ms  +24.3 %  [+22.7, +26.0]    +10% REGRESSED
      tpot.p50              3.805 ms   -9.4 %   [-10.0, -8.8]     +3% improved
      output_throughput  798.2 tok/s   +2.2 %    [+1.6, +2.7]     -5% pass
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    chatbot                                                  6 trials INCONCLUSIVE
      ttft.p50              50.38 ms   +0.7 %    [-0.7, +2.0]    +10% pass
      tpot.p50              4.305 ms   +2.6 %    [+1.9, +3.3]     +3% INCONCLUSIVE ?
      output_throughput  763.7 tok/s   -2.3 %    [-2.8, -1.7]     -5% pass
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    chatbot                                                  0 trials INVALID
      24 of 24 answers came as one JSON body although streams were asked for
    chatbot                                                  6 trials REGRESSED
      ttft.p50              50.01 ms   -0.1 %    [-1.4, +1.2]    +10% pass
      tpot.p50              4.193 ms   -0.1 %    [-0.8, +0.6]     +3% pass
      output_throughput  781.5 tok/s   +0.0 %    [-0.5, +0.6]     -5% pass
      error_rate              4.17 % +4.17 pp [+1.26, +10.40]  +0.5pp REGRESSED
    limits                                                   6 trials EXCEEDED
      ttft.p50              50.12 ms           [49.82, 50.42] <= 44ms EXCEEDED
      ttft.p50              50.12 ms           [49.82, 50.42] <= 50ms EXCEEDED ~
      ttft.p50              50.12 ms         [49.82, 50.42] <= 50.2ms pass ~
      ttft.p95              56.27 ms          [55.72, 56.83] <= 200ms UNRESOLVED
      ttft.p95              56.27 ms                             +10% UNRESOLVED
      output_throughput  781.1 tok/s           [779.8, 782.5]  >= 900 EXCEEDED
      prefix_hit_ratio        0.00 %             [0.00, 0.00]  >= 60% EXCEEDED
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    fresh                                                    6 trials MISSING
      ttft.p50              50.12 ms                             +10% MISSING
      tpot.p50              4.193 ms                              +3% MISSING
      output_throughput  781.1 tok/s                              -5% MISSING
      e2e_latency.p50       247.0 ms                              +5% (missing)
      error_rate              0.00 %                           +0.5pp pass
    ────────────────────────────────────────────────────────────────────────────────
    8 cases: 1 pass
      3 REGRESSED: code-completion::load.concurre…16,workload.input_tokens=4096,
        chatbot, chatbot
      1 EXCEEDED: limits
      1 INVALID: chatbot
      1 MISSING: fresh
      1 INCONCLUSIVE: chatbot
    (…) advisory: shown, never fails the build
    ? worse than the other side for certain; whether by more than tolerated is open
    ~ the limit lies within the interval: another run may decide otherwise
    "#);
}

#[test]
fn a_good_run_is_short() {
    let mut run = run(vec![chatbot().run(&Embedded::default())]);
    assert_snapshot!(table(&run, true), @r#"
    tokpace · profile embedded · 1 case · 6 trials · 9 s measured
    ────────────────────────────────────────────────────────────────────────────────
      check                 measured   change   90 % interval   limit verdict
    chatbot                                                  6 trials pass
      ttft.p50              50.12 ms   +0.1 %    [-1.2, +1.5]    +10% pass
      tpot.p50              4.193 ms   -0.1 %    [-0.8, +0.6]     +3% pass
      output_throughput  781.1 tok/s   +0.0 %    [-0.6, +0.6]     -5% pass
      e2e_latency.p50       247.0 ms   -0.1 %    [-0.7, +0.5]     +5% (pass)
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    ────────────────────────────────────────────────────────────────────────────────
    1 case: 1 pass
    (…) advisory: shown, never fails the build
    "#);
    (run.run.quick, run.run.interrupted) = (true, true);
    let first: Vec<String> = table(&run, false).lines().take(2).map(str::to_owned).collect();
    let about = "tokpace · profile embedded · 1 case · 6 trials · 9 s measured · quick ·";
    assert_eq!(first, [about, "  interrupted"]);
}

#[test]
fn how_exact_the_client_was_stands_above_the_table() {
    let mut run = run(vec![chatbot().run(&Embedded::default())]);
    run.run.calibration = Some(Calibration {
        streams: 8,
        requests: 64,
        ttft_error_p50_ms: 0.29,
        ttft_error_p99_ms: 10.804,
        tpot_error_p50_ms: 0.0062,
        tpot_error_p99_ms: 0.0213,
    });
    let shown = table(&run, false);
    let second = shown.lines().nth(1).unwrap();
    assert_snapshot!(second, @"client error at p50 / p99: ttft 0.29 / 10.80 ms, tpot 0.006 / 0.021 ms");
}

#[test]
fn nothing_measured_is_said() {
    assert_snapshot!(table(&run(Vec::new()), false), @r#"
    tokpace · profile embedded · 0 cases · 0 s measured
    ────────────────────────────────────────────────────────────────────────────────
    ────────────────────────────────────────────────────────────────────────────────
    nothing was measured
    "#);
}

fn any_figure() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        (1e-9..1e12_f64).prop_map(Some),
        (0.9..1.1_f64).prop_map(Some),
        Just(Some(f64::INFINITY)),
        Just(Some(f64::NAN)),
        Just(Some(0.0)),
    ]
}

fn any_check() -> impl Strategy<Value = CheckReport> {
    let names = prop_oneof![Just("ttft.p50"), Just("service_e2e_latency.p99.99"), Just("error_rate"), Just("goodput")];
    let units = prop_oneof![Just("ms"), Just("tok/s"), Just("")];
    let verdicts = prop_oneof![Just(Verdict::Pass), Just(Verdict::Inconclusive), Just(Verdict::Exceeded)];
    let figures = (any_figure(), any_figure(), any_figure(), any_figure(), any_figure(), any_figure());
    (names, units, verdicts, figures, any::<[bool; 4]>()).prop_map(
        |(metric, unit, verdict, (value, low, high, ratio, difference, tolerance), flags)| {
            let mut judged = CheckVerdict::new(metric, verdict);
            judged.ratio = ratio;
            judged.difference = difference;
            judged.ci = low.zip(high).map(|(low, high)| [low, high]);
            judged.advisory = flags[0];
            judged.suspect = flags[1];
            CheckReport {
                judged,
                limit: "<= 123456789.25ms".into(),
                line: None,
                unit: unit.into(),
                value,
                reference: None,
                tolerance,
                marginal: flags[2],
                value_ci: low.zip(high).map(|(low, high)| [low, high]),
                higher_is_better: flags[3],
                waiver: None,
            }
        },
    )
}

proptest! {
    #[test]
    fn no_line_is_longer_than_eighty_columns(
        name in "\\PC{0,120}",
        profile in "[a-z]{1,100}",
        checks in proptest::collection::vec(any_check(), 0..6),
        reason in "\\PC{0,200}",
    ) {
        let mut case: CaseReport = blank(&Bench::new("chatbot", CHATBOT).case);
        case.case = name.replace(char::is_control, "");
        case.verdict = Verdict::of_all(checks.iter().map(|check| check.judged.verdict));
        case.checks = checks;
        let mut broken = case.clone();
        broken.verdict = Verdict::Invalid;
        broken.notes.push(reason);
        let mut run = run(vec![case, broken]);
        run.run.profile = profile;
        for verbose in [false, true] {
            let text = table(&run, verbose);
            prop_assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }
}
