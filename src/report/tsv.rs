//! `summary.tsv`: one line a check, to paste into a chat or a spreadsheet.

use std::fmt::Write as _;

use crate::report::RunReport;

/// Tab-separated checks of a run with a head line. Latencies in milliseconds, changes in the direction of cost:
/// a throughput that fell by 3 % has the ratio 1.031.
pub fn tsv(run: &RunReport) -> String {
    let mut text = String::from(
        "case\tmetric\tverdict\tadvisory\tvalue\tbaseline\tunit\tratio\tci_low\tci_high\tlimit\tdetectable\ttrials\n",
    );
    let figure = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.6}"));
    for case in &run.cases {
        for check in &case.checks {
            let judged = &check.judged;
            let cells = [
                case.case.replace(['\t', '\n'], " "),
                judged.metric.clone(),
                judged.verdict.name().to_owned(),
                judged.advisory.to_string(),
                figure(check.value),
                figure(check.reference),
                check.unit.clone(),
                figure(judged.ratio.or(judged.difference)),
                figure(judged.ci.map(|ci| ci[0])),
                figure(judged.ci.map(|ci| ci[1])),
                check.limit.clone(),
                figure(judged.detectable),
                case.pairs_used.to_string(),
            ];
            let _ = writeln!(text, "{}", cells.join("\t"));
        }
    }
    text
}
