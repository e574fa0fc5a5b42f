//! What is said of two live sides, at 80 columns.

use super::fixture::{Bench, CHATBOT, run, slower};
use crate::profile::Embedded;
use crate::report::{PrefixReport, PrefixSide, markdown, table, verdict_text};
use crate::units::Share;

/// The limits of a comparison of variants.
const CACHE: &str = r#"[workload]
input_tokens = 896
output_tokens = 16
prefix = { groups = 4, prefix_tokens = 768 }

[load]
concurrency = 4
requests = 24

[compare]
reference = "prefix-caching-off"
candidate = "prefix-caching-on"

[gate]
"ttft.p50" = "<= 0.7 * reference"
"prefix_hit_ratio" = ">= 60%"
"#;

fn shaky(decode: f64) -> Embedded {
    Embedded { jitter: Share(0.5), ..slower(0.0, decode) }
}

#[track_caller]
fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_regression_says_how_much_how_sure_and_what_to_do() {
    let report = Bench::new("chatbot", CHATBOT).pairs([&Embedded::default(), &slower(0.0, 0.1)], 20);
    assert_fits(&report.text);
    insta::assert_snapshot!(report.text, @r#"
    chatbot: REGRESSED on profile `embedded` against profile `previous`, 6 pairs
      fails because a check is worse than its tolerance allows
      tpot.p50 chatbot +10.1 % [+9.2, +10.9] 6 pairs, tolerance 3 %: REGRESSED
        measured 4.615 ms, reference 4.193 ms; 90 % interval [+9.2, +10.9]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        a change of +5.2 % would have been found 9 times out of 10
        standard deviation between pairs 1 %; 6 pairs would find a change of 6 %
      output_throughput chatbot -7.6 % [-7.9, -7.4] 6 pairs, tolerance 5 %:
          REGRESSED
        measured 721.8 tok/s, reference 781.6 tok/s; 90 % interval [-7.9, -7.4]
        limit ">= baseline - 5%" at scenarios/chatbot.toml:15
        a change of -5.5 % would have been found 9 times out of 10
        standard deviation between pairs 0.3 %; 6 pairs would find a change of 10 %
      e2e_latency.p50 chatbot +8.3 % [+7.9, +8.7] 6 pairs, tolerance 5 %: REGRESSED
          (advisory)
      reference and candidate differ in: `slowdown.decode` nothing and `10%`
      hint: if the change is wanted, widen the limit at scenarios/chatbot.toml:14: a
        comparison of two live sides stores nothing
      report: target/tokpace/latest/report.html
    "#);
    let run = crate::report::RunReport {
        run: crate::report::RunInfo { against: Some("previous".into()), ..run(Vec::new()).run },
        ..run(vec![report])
    };
    let shown = table(&run, false);
    assert_fits(&shown);
    insta::assert_snapshot!(shown, @r#"
    tokpace · profile embedded against previous · 1 case · 6 pairs · 0 s measured
    ────────────────────────────────────────────────────────────────────────────────
      check                 measured   change   90 % interval   limit verdict
    chatbot                                                   6 pairs REGRESSED
      ttft.p50              50.97 ms   +2.3 %    [-0.5, +5.2]    +10% pass
      tpot.p50              4.615 ms  +10.1 %   [+9.2, +10.9]     +3% REGRESSED
      output_throughput  721.8 tok/s   -7.6 %    [-7.9, -7.4]     -5% REGRESSED
      e2e_latency.p50       268.0 ms   +8.3 %    [+7.9, +8.7]     +5% (regressed)
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    ────────────────────────────────────────────────────────────────────────────────
    1 case: 1 REGRESSED (chatbot)
    (…) advisory: shown, never fails the build
    "#);
    let first = markdown(&run).lines().take(16).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(first, @r#"
    # tokpace: REGRESSED

    Profile `embedded` against `previous` (embedded), 1 case, 0 s measured, run `20260131T100000Z-4711`, started 2026-01-31T10:00:00Z.

    | case | verdict | measured | requests | failed |
    |---|---|--:|--:|--:|
    | `chatbot` | **REGRESSED** | 6 pairs | 144 | 0 |

    ## chatbot — **REGRESSED**

    Short questions and short answers from several users at once

    | check | measured | compared with | change [90 %] | limit | would find | verdict |
    |---|--:|--:|--:|---|--:|---|
    | `ttft.p50` | 50.97 ms | 49.83 ms | +2.3 % [-0.5, +5.2] | `<= baseline + 10%` | +18.7 % | pass |
    | `tpot.p50` | 4.615 ms | 4.193 ms | +10.1 % [+9.2, +10.9] | `<= baseline + 3%` | +5.2 % | **REGRESSED** |
    "#);
}

#[test]
fn what_cannot_be_told_says_what_it_would_take() {
    let report = Bench::new("chatbot", CHATBOT).pairs([&shaky(0.0), &shaky(0.03)], 8);
    assert_fits(&report.text);
    insta::assert_snapshot!(report.text, @r#"
    chatbot: INCONCLUSIVE on profile `embedded` against profile `previous`, 8 pairs
      does not fail the build
      ttft.p50 chatbot +7.7 % [+0.2, +15.7] 8 pairs, tolerance 10 %: INCONCLUSIVE
        measured 47.79 ms, reference 44.39 ms; 90 % interval [+0.2, +15.7]
        limit "<= baseline + 10%" at scenarios/chatbot.toml:13
        neither clearly within the tolerance of 10 % nor beyond it
        a change of +25.9 % would have been found 9 times out of 10
        an unchanged build passes reliably only with a tolerance of 15.5 % or more
        standard deviation between pairs 11.4 %; 26 pairs would find a change of
          20 %
      tpot.p50 chatbot +6.0 % [+3.0, +9.1] 8 pairs, tolerance 3 %: INCONCLUSIVE
        measured 4.407 ms, reference 4.158 ms; 90 % interval [+3.0, +9.1]
        limit "<= baseline + 3%" at scenarios/chatbot.toml:14
        neither clearly within the tolerance of 3 % nor beyond it
        a change of +8.8 % would have been found 9 times out of 10
        an unchanged build passes reliably only with a tolerance of 6 % or more
        standard deviation between pairs 4.4 %; 38 pairs would find a change of 6 %
      output_throughput chatbot -6.0 % [-8.3, -3.7] 8 pairs, tolerance 5 %:
          INCONCLUSIVE (suspect)
        measured 738.4 tok/s, reference 785.6 tok/s; 90 % interval [-8.3, -3.7]
        limit ">= baseline - 5%" at scenarios/chatbot.toml:15
        neither clearly within the tolerance of 5 % nor beyond it
        worse than the reference for certain; whether by more than tolerated is open
        a change of -9.0 % would have been found 9 times out of 10
        standard deviation between pairs 3.7 %; 8 pairs would find a change of 10 %
      e2e_latency.p50 chatbot +6.1 % [+3.1, +9.2] 8 pairs, tolerance 5 %:
          INCONCLUSIVE (advisory)
      reference and candidate differ in: `slowdown.decode` nothing and `10%`
      hint: raise `trials.max`, or `load.requests` for calmer trials
      report: target/tokpace/latest/report.html
    "#);
}

#[test]
fn a_cache_that_does_nothing_is_named() {
    let off = Embedded { prefix_caching: false, ..Embedded::default() };
    let mut report = Bench::new("prefix-caching", CACHE).pairs([&off, &off], 20);
    let side = PrefixSide {
        input_tokens: 21_504,
        reused_tokens: Some(0),
        hit_ratio: Some(0.0),
        matched_tokens: Some(0.0),
        counter_hit_ratio: Some(0.0),
    };
    report.prefix = Some(PrefixReport { candidate: side.clone(), reference: Some(side) });
    let text = verdict_text(&report, false);
    assert_fits(&text);
    insta::assert_snapshot!(text, @r#"
    prefix-caching: REGRESSED on profile `embedded` against profile `previous`, 6
        pairs
      fails because a check is worse than its tolerance allows
      ttft.p50 prefix-caching +2.6 % [-2.5, +7.9] 6 pairs, limit <= 0.7 * reference:
          REGRESSED
        measured 71.86 ms, reference 70.06 ms; 90 % interval [-2.5, +7.9]
        limit "<= 0.7 * reference" at scenarios/prefix-caching.toml:15
        a change of -19.5 % would have been found 9 times out of 10
        standard deviation between pairs 6.4 %
      prefix_hit_ratio prefix-caching 0.00 % 6 pairs, limit >= 60%: EXCEEDED
        measured 0.00 %; 90 % interval 0.00 to 0.00 %
        limit ">= 60%" at scenarios/prefix-caching.toml:16
      reference and candidate differ in: `slowdown.decode` nothing and `10%`
      prefix cache: 0 % of the prompt tokens reused (its counters: 0 %); reference:
        0 % of the prompt tokens reused (its counters: 0 %)
      hint: if the fixed limit is wrong, change it at
        scenarios/prefix-caching.toml:16
      report: target/tokpace/latest/report.html
    "#);
    insta::assert_snapshot!(table(&run(vec![report]), false), @r#"
    tokpace · profile embedded · 1 case · 6 pairs · 0 s measured
    ────────────────────────────────────────────────────────────────────────────────
      check                 measured   change   90 % interval   limit verdict
    prefix-caching                                            6 pairs REGRESSED
      ttft.p50              71.86 ms   +2.6 %    [-2.5, +7.9]    ×0.7 REGRESSED
      prefix_hit_ratio        0.00 %             [0.00, 0.00]  >= 60% EXCEEDED
      error_rate              0.00 % +0.00 pp                  +0.5pp pass
    ────────────────────────────────────────────────────────────────────────────────
    1 case: 1 REGRESSED (prefix-caching)
    "#);
}
