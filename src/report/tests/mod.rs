//! The texts, read as a user reads them.

mod exports;
mod files;
mod fixture;
mod html;
mod markup;
mod paired;
mod selftest;
mod table;

use crate::gate::Verdict;
use crate::profile::{Embedded, FaultKind};
use crate::report::{CaseReport, Invalidated, verdict_text};
use fixture::{Bench, CHATBOT, LIMITS, blank, faulty, slower};
use insta::assert_snapshot;

fn chatbot() -> Bench {
    Bench::new("chatbot", CHATBOT).with_baseline()
}

#[test]
fn a_regression_says_what_how_much_how_sure_where_and_what_to_do() {
    let mut case = chatbot().run(&slower(0.0, 0.1));
    case.subject.insert("slowdown.decode".into(), "10%".into());
    case.subject.insert("commit".into(), "abc1234-dirty".into());
    assert_snapshot!(verdict_text(&case, false), @r#"
    chatbot: REGRESSED on profile `embedded`, 6 trials against 3 accepted jobs
      fails because a check is worse than its tolerance allows
      tpot.p50 chatbot +9.7 % [+8.9, +10.4] 6 trials, tolerance 3 %: REGRESSED
        measured 4.604 ms, baseline 4.198 ms; 90 % interval [+8.9, +10.4]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        a change of +4.3 % would have been found 9 times out of 10
        job-to-job noise 0.28 % (0.30 % assumed, 0.20 % measured over 3 jobs)
      output_throughput chatbot -7.5 % [-8.0, -7.0] 6 trials, tolerance 5 %:
          REGRESSED
        measured 722.8 tok/s, baseline 781.3 tok/s; 90 % interval [-8.0, -7.0]
        limit ">= baseline - 5%" at scenarios/chatbot.toml:15
        a change of -5.7 % would have been found 9 times out of 10
        job-to-job noise 0.27 % (0.30 % assumed, 0.00 % measured over 3 jobs)
      e2e_latency.p50 chatbot +8.3 % [+7.6, +9.0] 6 trials, tolerance 5 %: REGRESSED
          (advisory)
      tested: commit abc1234-dirty, slowdown.decode 10%
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      pending: baselines/embedded/chatbot.toml.new
      hint: if the change is wanted, accept it:
        `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    "#);
    case.pending = None;
    let text = verdict_text(&case, false);
    assert!(text.contains("if the change is wanted, measure it outside of CI and accept it:"), "{text}");
}

#[test]
fn verbose_tells_of_every_check() {
    assert_snapshot!(verdict_text(&chatbot().run(&Embedded::default()), true), @r#"
    chatbot: pass on profile `embedded`, 6 trials against 3 accepted jobs
      ttft.p50 chatbot +0.1 % [-1.2, +1.5] 6 trials, tolerance 10 %: pass
        measured 50.12 ms, baseline 50.05 ms; 90 % interval [-1.2, +1.5]
        limit "<= baseline + 10%" at scenarios/chatbot.toml:13
        a change of +12.6 % would have been found 9 times out of 10
        job-to-job noise 0.27 % (0.30 % assumed, 0.00 % measured over 3 jobs)
      tpot.p50 chatbot -0.1 % [-0.8, +0.6] 6 trials, tolerance 3 %: pass
        measured 4.193 ms, baseline 4.198 ms; 90 % interval [-0.8, +0.6]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        a change of +4.2 % would have been found 9 times out of 10
        job-to-job noise 0.28 % (0.30 % assumed, 0.21 % measured over 3 jobs)
      output_throughput chatbot +0.0 % [-0.6, +0.6] 6 trials, tolerance 5 %: pass
        measured 781.1 tok/s, baseline 781.3 tok/s; 90 % interval [-0.6, +0.6]
        limit ">= baseline - 5%" at scenarios/chatbot.toml:15
        a change of -5.7 % would have been found 9 times out of 10
        job-to-job noise 0.27 % (0.30 % assumed, 0.00 % measured over 3 jobs)
      e2e_latency.p50 chatbot -0.1 % [-0.7, +0.5] 6 trials, tolerance 5 %: pass
          (advisory)
        measured 247.0 ms, baseline 247.3 ms; 90 % interval [-0.7, +0.5]
        limit "<= baseline + 5%" at scenarios/chatbot.toml:16
        a change of +6.2 % would have been found 9 times out of 10
        job-to-job noise 0.27 % (0.30 % assumed, 0.00 % measured over 3 jobs)
      error_rate chatbot +0.00 pp 6 trials, tolerance 0.5 pp: pass
        measured 0.00 %, baseline 0.00 %
        limit "<= baseline + 0.5pp" at scenarios/chatbot.toml (default check)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn an_improvement_is_offered() {
    assert_snapshot!(verdict_text(&chatbot().run(&slower(0.0, -0.1)), false), @r#"
    chatbot: improved on profile `embedded`, 6 trials against 3 accepted jobs
      tpot.p50 chatbot -9.9 % [-10.5, -9.3] 6 trials, tolerance 3 %: improved
      output_throughput chatbot +9.0 % [+8.4, +9.6] 6 trials, tolerance 5 %:
          improved
      e2e_latency.p50 chatbot -8.3 % [-8.9, -7.7] 6 trials, tolerance 5 %: improved
          (advisory)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      pending: baselines/embedded/chatbot.toml.new
      hint: to hold future builds to these figures, accept them:
        `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn without_a_baseline_the_figures_are_listed() {
    let bench = Bench::new("chatbot", CHATBOT);
    assert_snapshot!(verdict_text(&bench.run(&Embedded::default()), false), @r#"
    chatbot: MISSING on profile `embedded`, 6 trials
      does not fail the build
      no baseline to compare with: measured ttft.p50 50.12 ms, tpot.p50 4.193 ms,
        output_throughput 781.1 tok/s, e2e_latency.p50 247.0 ms
      pending: baselines/embedded/chatbot.toml.new
      hint: to make this the baseline: `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    "#);
    let mut case = bench.run(&Embedded::default());
    case.pending = None;
    let text = verdict_text(&case, false);
    assert!(text.contains("hint: record one outside of CI: `cargo tokpace run`"), "{text}");
}

#[test]
fn noise_is_named_with_its_remedy() {
    let bench = chatbot();
    assert_snapshot!(verdict_text(&bench.judge(&bench.job(&Embedded::default(), 7), 0.03), false), @r#"
    chatbot: INCONCLUSIVE on profile `embedded`, 6 trials against 3 accepted jobs
      does not fail the build
      tpot.p50 chatbot -0.1 % [-5.6, +5.7] 6 trials, tolerance 3 %: INCONCLUSIVE
        measured 4.193 ms, baseline 4.198 ms; 90 % interval [-5.6, +5.7]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        neither clearly within the tolerance of 3 % nor beyond it
        a change of +13.7 % would have been found 9 times out of 10
        an unchanged build passes reliably only with a tolerance of 10.4 % or more
        job-to-job noise 2.68 % (3.00 % assumed, 0.21 % measured over 3 jobs)
      output_throughput chatbot +0.0 % [-5.5, +5.8] 6 trials, tolerance 5 %:
          INCONCLUSIVE
        measured 781.1 tok/s, baseline 781.3 tok/s; 90 % interval [-5.5, +5.8]
        limit ">= baseline - 5%" at scenarios/chatbot.toml:15
        neither clearly within the tolerance of 5 % nor beyond it
        a change of -13.7 % would have been found 9 times out of 10
        an unchanged build passes reliably only with a tolerance of 10.4 % or more
        job-to-job noise 2.68 % (3.00 % assumed, 0.00 % measured over 3 jobs)
      e2e_latency.p50 chatbot -0.1 % [-5.6, +5.6] 6 trials, tolerance 5 %:
          INCONCLUSIVE (advisory)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: the noise is that between jobs: record more of them
        (`cargo tokpace run --record 8`, then accept), which measures it, or set the
        profile's `job_noise` to what you know of the machine
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn a_change_at_the_tolerance_is_suspect() {
    assert_snapshot!(verdict_text(&chatbot().run(&slower(0.0, 0.028)), false), @r#"
    chatbot: INCONCLUSIVE on profile `embedded`, 6 trials against 3 accepted jobs
      does not fail the build
      tpot.p50 chatbot +2.6 % [+1.9, +3.3] 6 trials, tolerance 3 %: INCONCLUSIVE
          (suspect)
        measured 4.305 ms, baseline 4.198 ms; 90 % interval [+1.9, +3.3]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        neither clearly within the tolerance of 3 % nor beyond it
        worse than the baseline for certain; whether by more than tolerated is open
        a change of +4.2 % would have been found 9 times out of 10
        job-to-job noise 0.28 % (0.30 % assumed, 0.20 % measured over 3 jobs)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: the change is close to the tolerance: find its cause, or record more
        jobs to tell for sure
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn other_conditions_compare_nothing() {
    let mut case = chatbot().run(&Embedded::default());
    case.verdict = Verdict::Inconclusive;
    case.checks.clear();
    case.differences = vec!["`embedded.itl` was `4ms` and is `5ms`".into()];
    assert_snapshot!(verdict_text(&case, false), @r#"
    chatbot: INCONCLUSIVE on profile `embedded`, 6 trials against 3 accepted jobs
      does not fail the build
      not comparable: `embedded.itl` was `4ms` and is `5ms`
      no check was judged
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: measure under the baseline's conditions, or make this the baseline:
        `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn no_measurement_is_no_verdict_on_any_limit() {
    assert_snapshot!(verdict_text(&chatbot().run(&faulty(FaultKind::NoStream, 1.0)), false), @r#"
    chatbot: INVALID on profile `embedded`, 0 trials against 3 accepted jobs
      fails because what was measured is no measurement
      trials 1, 2 were no measurement: 24 of 24 answers came as one JSON body
        although streams were asked for
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: check that the server streams (`stream: true`) and that no proxy in
        between buffers
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn equal_reasons_of_invalid_trials_stand_together() {
    let late = |trial, ms: f64| Invalidated {
        trial,
        reasons: vec![format!("the client woke up late: by {ms:.2} ms at the median (at most 1.00)")],
        hints: vec!["free a core for the client".into()],
    };
    let other = |trial, reason: &str| Invalidated { trial, reasons: vec![reason.into()], hints: Vec::new() };
    let mut case = chatbot().run(&Embedded::default());
    case.invalid = vec![late(1, 1.2), other(2, "no request was sent"), late(3, 4.56), late(4, 2.0)];
    assert_snapshot!(verdict_text(&case, false), @r#"
    chatbot: pass on profile `embedded`, 6 trials against 3 accepted jobs
      trials 1, 3, 4 were no measurement: the client woke up late: by 1.20 ms at the
        median (at most 1.00) (trial 1) (measured again)
      trial 2 was no measurement: no request was sent (measured again)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: free a core for the client
      report: target/tokpace/latest/report.html
    "#);
    case.invalid.extend(["a", "b", "c"].map(|reason| other(5, reason)));
    let text = verdict_text(&case, false);
    assert!(text.contains("\n  and 1 further reason; `run.json` has them all\n"), "{text}");
}

#[test]
fn fixed_limits_and_what_cannot_be_shown() {
    let bench = Bench::new("limits", LIMITS).with_baseline();
    assert_snapshot!(verdict_text(&bench.run(&Embedded::default()), false), @r#"
    limits: EXCEEDED on profile `embedded`, 6 trials against 3 accepted jobs
      fails because a fixed limit is missed
      ttft.p50 limits 50.12 ms 6 trials, limit <= 44ms: EXCEEDED
        measured 50.12 ms; 90 % interval 49.82 to 50.42 ms
        limit "<= 44ms" at scenarios/limits.toml:11
      ttft.p50 limits 50.12 ms 6 trials, limit <= 50ms: EXCEEDED (marginal)
        measured 50.12 ms; 90 % interval 49.82 to 50.42 ms
        limit "<= 50ms" at scenarios/limits.toml:11
        the limit lies within the interval: another run may decide otherwise
      ttft.p50 limits 50.12 ms 6 trials, limit <= 50.2ms: pass (marginal)
      ttft.p95 limits 56.27 ms 6 trials, limit <= 200ms: UNRESOLVED
        24 requests a trial cannot show this quantile; it needs 100
      ttft.p95 limits 56.27 ms 6 trials, tolerance 10 %: UNRESOLVED
        `ttft.p95` needs 100 requests in every trial, but one has 24
      output_throughput limits 781.1 tok/s 6 trials, limit >= 900: EXCEEDED
        measured 781.1 tok/s; 90 % interval 779.8 to 782.5 tok/s
        limit ">= 900" at scenarios/limits.toml:13
      prefix_hit_ratio limits 0.00 % 6 trials, limit >= 60%: EXCEEDED
        measured 0.00 %; 90 % interval 0.00 to 0.00 %
        limit ">= 60%" at scenarios/limits.toml:14
      baseline: baselines/embedded/limits.toml (3 jobs, the latest of 2026-01-20)
      hint: a fixed limit holds whatever is accepted; if it is wrong, change it at
        scenarios/limits.toml:11
      hint: raise `load.requests` to 100, or gate a lower quantile: 24 requests a
        trial show no higher one
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn a_quantile_that_cannot_be_shown_says_what_it_needs() {
    let text = CHATBOT.replace("\"ttft.p50\" = \"<= baseline", "\"ttft.p99\" = \"<= baseline");
    let bench = Bench::new("chatbot", &text).with_baseline();
    assert_snapshot!(verdict_text(&bench.run(&Embedded::default()), false), @r#"
    chatbot: UNRESOLVED on profile `embedded`, 6 trials against 3 accepted jobs
      does not fail the build
      ttft.p99 chatbot 56.97 ms 6 trials, tolerance 10 %: UNRESOLVED
        measured 56.97 ms, baseline 56.88 ms
        limit "<= baseline + 10%" at scenarios/chatbot.toml:13
        `ttft.p99` needs 500 requests in every trial, but one has 24
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      hint: raise `load.requests` to 500, or gate a lower quantile: 24 requests a
        trial show no higher one
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn failed_requests_come_first() {
    assert_snapshot!(verdict_text(&chatbot().run(&faulty(FaultKind::Error, 0.03)), false), @r#"
    chatbot: REGRESSED on profile `embedded`, 6 trials against 3 accepted jobs
      fails because a check is worse than its tolerance allows
      error_rate chatbot +4.17 pp [+1.26, +10.40] 6 trials, tolerance 0.5 pp:
          REGRESSED
        measured 4.17 % (6 of 144 requests: http_status 6), baseline 0.00 %;
          one-sided limits [+1.26, +10.40]
        limit "<= baseline + 0.5pp" at scenarios/chatbot.toml (default check)
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      pending: baselines/embedded/chatbot.toml.new
      hint: if the change is wanted, accept it:
        `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    "#);
    assert_snapshot!(verdict_text(&chatbot().run(&faulty(FaultKind::Error, 0.6)), false), @r#"
    chatbot: REGRESSED on profile `embedded`, 6 trials against 3 accepted jobs
      fails because a check is worse than its tolerance allows
      error_rate chatbot +61.81 pp [+51.51, +71.06] 6 trials, tolerance 0.5 pp:
          REGRESSED
        measured 61.81 % (89 of 144 requests: http_status 89), baseline 0.00 %;
          one-sided limits [+51.51, +71.06]
        limit "<= baseline + 0.5pp" at scenarios/chatbot.toml (default check)
        61.8 % of the requests fail; more than 5 % is a failure whatever the
          reference does
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      pending: baselines/embedded/chatbot.toml.new
      hint: `requests.jsonl` of the run says how each request failed
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn what_could_not_be_measured_says_why() {
    let mut case: CaseReport = blank(&chatbot().case);
    case.notes.push("failed to connect to `http://127.0.0.1:8000`: connection refused".into());
    case.hints.push("start the server, or choose another profile with `--profile`".into());
    case.failed = Some("the case could not be measured".into());
    assert_snapshot!(verdict_text(&case, false), @r#"
    chatbot: INVALID on profile `embedded`, 0 trials
      fails because the case could not be measured
      reason: failed to connect to `http://127.0.0.1:8000`: connection refused
      hint: start the server, or choose another profile with `--profile`
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn a_case_without_checks_is_told_too() {
    let mut case = blank(&chatbot().case);
    case.verdict = Verdict::Inconclusive;
    assert_snapshot!(verdict_text(&case, true), @r#"
    chatbot: INCONCLUSIVE on profile `embedded`, 0 trials
      does not fail the build
      no check was judged
      report: target/tokpace/latest/report.html
    "#);
}
