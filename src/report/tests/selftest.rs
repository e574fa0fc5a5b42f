//! The tables of `cargo tokpace selftest` on a machine.

use super::fixture::{Bench, CHATBOT, slower};
use crate::gate::Verdict;
use crate::profile::Embedded;
use crate::selftest::{LiveRow, live_json, live_table};

fn row(name: &str, decode: f64, suites: usize) -> LiveRow {
    let case = Bench::new("chatbot", CHATBOT).pairs([&Embedded::default(), &slower(0.0, decode)], 20);
    LiveRow { name: name.into(), unchanged: decode == 0.0, suites: vec![vec![case]; suites] }
}

#[test]
fn what_was_seen_is_counted_and_advice_given() {
    let rows = [row("none", 0.0, 3), row("tpot +10 %", 0.1, 2)];
    assert_eq!(rows[1].suites_with(Verdict::Regressed).hits, 2);
    let table = live_table("the embedded target, on this machine", &rows);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    insta::assert_snapshot!(table, @r#"
    tokpace selftest · the embedded target, on this machine
    ────────────────────────────────────────────────────────────────────────────────
    slow-down                  regressed  open  pass improved invalid pairs s/suite
    none                               0     0     3        0       0     6       0
    tpot +10 %                         2     0     0        0       0     6       0
    ────────────────────────────────────────────────────────────────────────────────
    false alarms: 0 of 3 suites; with 95 % confidence at most 63.2 %
    unchanged sides                      sd of pairs  passes from pairs, 2×tolerance
      ttft.p50 chatbot                         2.5 %        4.9 %                  6
      tpot.p50 chatbot                         0.9 %        1.7 %                  6
      output_throughput chatbot                0.3 %        0.5 %                  6
    recommended: `trials.max = 10`
    "#);
    let lines: Vec<serde_json::Value> =
        live_json(&rows).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["pass"], &lines[0]["regressed"], &lines[1]["regressed"]), (&3.into(), &0.into(), &2.into()));
    assert_eq!(lines[1]["false_alarms_at_most"], serde_json::Value::Null);
    // Nothing in three suites: 1 - 0.05^(1/3).
    assert!((lines[0]["false_alarms_at_most"].as_f64().unwrap() - 0.6316).abs() < 1e-3);
}
