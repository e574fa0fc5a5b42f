//! What was seen when the whole line judged servers whose difference is known.

use std::fmt::Write as _;

use serde::Serialize;

use super::Count;
use crate::gate::{Verdict, default_alpha, pairs_needed};
use crate::report::{CaseReport, CheckReport};
use crate::stats::quantile::quantile;

/// Suites of one kind.
#[derive(Clone, Debug)]
pub struct LiveRow {
    /// What was injected, in words.
    pub name: String,
    /// Whether nothing was, so that every *regressed* is a false alarm.
    pub unchanged: bool,
    /// The cases of each suite.
    pub suites: Vec<Vec<CaseReport>>,
}

/// How a check behaves between unchanged sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steadiness {
    /// The case.
    pub case: String,
    /// The check.
    pub metric: String,
    /// Standard deviation between pairs (logarithms), median over the suites.
    pub pair_sd: f64,
    /// The scenario's tolerance: a part.
    pub tolerance: f64,
    /// The smallest tolerance with which an unchanged server passes at the deciding look, 9 times out of 10.
    pub passes_from: f64,
    /// Pairs at which twice the tolerance is found 9 times out of 10; `None` if 400 would not do.
    pub pairs: Option<u32>,
}

impl LiveRow {
    fn cases(&self) -> impl Iterator<Item = &CaseReport> {
        self.suites.iter().flatten()
    }

    /// Suites in which some case had this verdict.
    pub fn suites_with(&self, verdict: Verdict) -> Count {
        let hits = self.suites.iter().filter(|cases| cases.iter().any(|case| case.verdict == verdict)).count();
        Count { hits: hits as u64, of: self.suites.len() as u64 }
    }

    fn median_pairs(&self) -> u32 {
        let mut pairs: Vec<u32> = self.cases().map(|case| case.pairs_used).collect();
        pairs.sort_unstable();
        pairs.get(pairs.len() / 2).copied().unwrap_or_default()
    }

    fn seconds_a_suite(&self) -> f64 {
        self.cases().map(|case| case.seconds).sum::<f64>() / self.suites.len().max(1) as f64
    }

    /// How each gating comparison of ratios behaves, by case and check.
    pub fn steadiness(&self) -> Vec<Steadiness> {
        let mut found: Vec<Steadiness> = Vec::new();
        for case in self.cases() {
            for check in case.checks.iter().filter(|check| usable(check)) {
                if !found.iter().any(|one| one.case == case.case && one.metric == check.judged.metric) {
                    found.extend(self.steadiness_of(&case.case, check));
                }
            }
        }
        found
    }

    fn steadiness_of(&self, case: &str, check: &CheckReport) -> Option<Steadiness> {
        let same = |other: &&CheckReport| other.judged.metric == check.judged.metric && usable(other);
        let all: Vec<&CheckReport> =
            self.cases().filter(|one| one.case == case).flat_map(|one| &one.checks).filter(same).collect();
        let pair_sd = median(all.iter().filter_map(|check| check.judged.pair_sd))?;
        let passes_from = median(all.iter().filter_map(|check| check.judged.certifiable))?;
        let tolerance = check.tolerance?;
        Some(Steadiness {
            case: case.to_owned(),
            metric: check.judged.metric.clone(),
            pair_sd,
            tolerance,
            passes_from,
            pairs: pairs_needed(pair_sd, tolerance, 2.0 * tolerance, default_alpha()),
        })
    }
}

fn usable(check: &CheckReport) -> bool {
    !check.judged.advisory && check.judged.ratio.is_some() && check.tolerance.is_some_and(|tolerance| tolerance > 0.0)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The tables, 80 columns wide. `target` says what was measured.
pub fn live_table(target: &str, rows: &[LiveRow]) -> String {
    let rule = "─".repeat(80);
    let line = |name: &str, cells: [String; 7]| {
        let [regressed, open, pass, improved, invalid, pairs, seconds] = cells;
        let row = format!("{name:<26}{regressed:>10}{open:>6}{pass:>6}{improved:>9}{invalid:>8}{pairs:>6}{seconds:>8}");
        row.trim_end().to_owned() + "\n"
    };
    let head = ["regressed", "open", "pass", "improved", "invalid", "pairs", "s/suite"];
    let mut text = format!("tokpace selftest · {target}\n{rule}\n");
    text += &line("slow-down", head.map(str::to_owned));
    for row in rows {
        let count = |verdict| row.suites_with(verdict).hits.to_string();
        let cells = [
            count(Verdict::Regressed),
            count(Verdict::Inconclusive),
            count(Verdict::Pass),
            count(Verdict::Improved),
            count(Verdict::Invalid),
            row.median_pairs().to_string(),
            format!("{:.0}", row.seconds_a_suite()),
        ];
        text += &line(&row.name, cells);
    }
    text += &(rule + "\n");
    for row in rows.iter().filter(|row| row.unchanged) {
        let alarms = row.suites_with(Verdict::Regressed);
        let _ = writeln!(
            text,
            "false alarms: {} of {} suites; with 95 % confidence at most {}",
            alarms.hits,
            alarms.of,
            percent(alarms.at_most())
        );
        text += &advice(&row.steadiness());
    }
    text
}

/// What the unchanged sides recommend.
fn advice(checks: &[Steadiness]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let mut text =
        format!("{:<36}{:>12}{:>13}{:>19}\n", "unchanged sides", "sd of pairs", "passes from", "pairs, 2×tolerance");
    for check in checks {
        let name: String = format!("  {} {}", check.metric, check.case).chars().take(36).collect();
        let pairs = check.pairs.map_or_else(|| "over 400".to_owned(), |pairs| pairs.to_string());
        let _ = writeln!(text, "{name:<36}{:>12}{:>13}{pairs:>19}", percent(check.pair_sd), percent(check.passes_from));
    }
    for check in checks.iter().filter(|check| check.passes_from > check.tolerance) {
        let wide = (check.passes_from * 100.0).ceil();
        let _ = writeln!(text, "recommended: a tolerance of {wide:.0} % for `{}` of `{}`", check.metric, check.case);
    }
    let most: Option<u32> = checks.iter().map(|check| check.pairs).try_fold(0, |most, pairs| Some(most.max(pairs?)));
    let _ = match most {
        Some(pairs) => writeln!(text, "recommended: `trials.max = {}`", pairs.max(10)),
        None => writeln!(text, "recommended: a calmer machine, or more requests a trial"),
    };
    text
}

/// One JSON object a row.
pub fn live_json(rows: &[LiveRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let count = |verdict| row.suites_with(verdict);
        let line = serde_json::json!({
            "slowdown": row.name,
            "suites": row.suites.len(),
            "regressed": count(Verdict::Regressed).hits,
            "inconclusive": count(Verdict::Inconclusive).hits,
            "pass": count(Verdict::Pass).hits,
            "improved": count(Verdict::Improved).hits,
            "invalid": count(Verdict::Invalid).hits,
            "pairs": row.median_pairs(),
            "false_alarms_at_most": row.unchanged.then(|| count(Verdict::Regressed).at_most()),
            "checks": row.steadiness(),
        });
        let _ = writeln!(text, "{line}");
    }
    text
}
