//! The files of a run.

use insta::assert_snapshot;

use super::chatbot;
use super::fixture::{faulty, run, slower};
use crate::profile::{Embedded, FaultKind};
use crate::report::{RunReport, markdown, tsv};

fn two_cases() -> RunReport {
    let bench = chatbot();
    let mut fine = bench.run(&Embedded::default());
    fine.case = "chatbot::x=1|2".into();
    fine.client.cpu_share = Some(0.12);
    fine.client.server_late_p50_ms = Some(0.002);
    fine.client.server_late_p99_ms = Some(0.05);
    run(vec![bench.run(&slower(0.0, 0.1)), fine])
}

#[test]
fn report_md() {
    assert_snapshot!(markdown(&two_cases()), @r#"
    # tokpace: REGRESSED

    Profile `embedded` (embedded), 2 cases, 19 s measured, run `20260131T100000Z-4711`, started 2026-01-31T10:00:00Z.

    | case | verdict | measured | requests | failed |
    |---|---|--:|--:|--:|
    | `chatbot` | **REGRESSED** | 6 trials | 144 | 0 |
    | `chatbot::x=1\|2` | pass | 6 trials | 144 | 0 |

    ## chatbot — **REGRESSED**

    Short questions and short answers from several users at once

    | check | measured | compared with | change [90 %] | limit | would find | verdict |
    |---|--:|--:|--:|---|--:|---|
    | `ttft.p50` | 50.83 ms | 50.05 ms | +1.6 % [+0.2, +3.0] | `<= baseline + 10%` | +12.7 % | pass |
    | `tpot.p50` | 4.604 ms | 4.198 ms | +9.7 % [+8.9, +10.4] | `<= baseline + 3%` | +4.3 % | **REGRESSED** |
    | `output_throughput` | 722.8 tok/s | 781.3 tok/s | -7.5 % [-8.0, -7.0] | `>= baseline - 5%` | -5.7 % | **REGRESSED** |
    | `e2e_latency.p50` | 267.7 ms | 247.3 ms | +8.3 % [+7.6, +9.0] | `<= baseline + 5%` | +6.2 % | **REGRESSED** (advisory) |
    | `error_rate` | 0.00 % | 0.00 % | +0.00 pp | `<= baseline + 0.5pp` | – | pass |

    ```text
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
      baseline: baselines/embedded/chatbot.toml (3 jobs, the latest of 2026-01-20)
      pending: baselines/embedded/chatbot.toml.new
      hint: if the change is wanted, accept it:
        `cargo tokpace accept chatbot --reason "…"`
      report: target/tokpace/latest/report.html
    ```

    Medians over the trials: ttft.p50 50.68 ms, tpot.p50 4.610 ms, e2e_latency.p50 268.1 ms, output_throughput 722.6 tok/s.

    ## chatbot::x=1\|2 — pass

    Short questions and short answers from several users at once

    | check | measured | compared with | change [90 %] | limit | would find | verdict |
    |---|--:|--:|--:|---|--:|---|
    | `ttft.p50` | 50.12 ms | 50.05 ms | +0.1 % [-1.2, +1.5] | `<= baseline + 10%` | +12.6 % | pass |
    | `tpot.p50` | 4.193 ms | 4.198 ms | -0.1 % [-0.8, +0.6] | `<= baseline + 3%` | +4.2 % | pass |
    | `output_throughput` | 781.1 tok/s | 781.3 tok/s | +0.0 % [-0.6, +0.6] | `>= baseline - 5%` | -5.7 % | pass |
    | `e2e_latency.p50` | 247.0 ms | 247.3 ms | -0.1 % [-0.7, +0.5] | `<= baseline + 5%` | +6.2 % | pass (advisory) |
    | `error_rate` | 0.00 % | 0.00 % | +0.00 pp | `<= baseline + 0.5pp` | – | pass |

    Medians over the trials: ttft.p50 50.12 ms, tpot.p50 4.194 ms, e2e_latency.p50 247.0 ms, output_throughput 780.6 tok/s.

    ## The server's own view

    Nothing was seen of it: it has no counters that are known, and is no process of this run.

    ## Machine and client

    Debian GNU/Linux 13, Example CPU, 2 cores, debug build of tokpace 0.1.0, commit `abc1234`.

    | case | send lag p50 / p99 | wake-up lag p50 / p99 | worker CPU | server late p50 / p99 |
    |---|--:|--:|--:|--:|
    | `chatbot` | 0.000 / 0.000 ms | 0.000 / 0.000 ms | – | – |
    | `chatbot::x=1\|2` | 0.000 / 0.000 ms | 0.000 / 0.000 ms | 12 % | 0.002 / 0.050 ms |
    "#);
}

#[test]
fn report_md_of_what_is_no_measurement() {
    let mut case = chatbot().run(&faulty(FaultKind::NoStream, 1.0));
    case.text.push_str("\n```\n# not a heading");
    let mut run = run(vec![case]);
    run.run.interrupted = true;
    let text = markdown(&run);
    assert!(text.contains("**The run was interrupted"), "{text}");
    assert!(!text.contains("| check |") && text.matches("```").count() == 2, "{text}");
}

#[test]
fn summary_tsv() {
    assert_snapshot!(tsv(&two_cases()), @r#"
    case	metric	verdict	advisory	value	baseline	unit	ratio	ci_low	ci_high	limit	detectable	trials
    chatbot	ttft.p50	pass	false	50.832893	50.051249	ms	1.015625	1.001589	1.029857	<= baseline + 10%	0.127446	6
    chatbot	tpot.p50	regressed	false	4.604426	4.197562	ms	1.096932	1.089470	1.104444	<= baseline + 3%	0.042506	6
    chatbot	output_throughput	regressed	false	722.789857	781.331902	tok/s	1.080994	1.074823	1.087201	>= baseline - 5%	0.060632	6
    chatbot	e2e_latency.p50	regressed	true	267.743674	247.271758	ms	1.082792	1.076091	1.089534	<= baseline + 5%	0.061575	6
    chatbot	error_rate	pass	false	0.000000	0.000000		0.000000			<= baseline + 0.5pp		6
    chatbot::x=1|2	ttft.p50	pass	false	50.119358	50.051249	ms	1.001369	0.988337	1.014572	<= baseline + 10%	0.125819	6
    chatbot::x=1|2	tpot.p50	pass	false	4.193061	4.197562	ms	0.998930	0.992238	1.005668	<= baseline + 3%	0.042309	6
    chatbot::x=1|2	output_throughput	pass	false	781.137441	781.331902	tok/s	1.000249	0.994506	1.006025	>= baseline - 5%	0.060697	6
    chatbot::x=1|2	e2e_latency.p50	pass	true	246.956023	247.271758	ms	0.998723	0.992516	1.004969	<= baseline + 5%	0.061627	6
    chatbot::x=1|2	error_rate	pass	false	0.000000	0.000000		0.000000			<= baseline + 0.5pp		6
    "#);
}
