//! Rates for people and for programs.

use serde::Serialize;

use super::count::Count;
use super::noise::Noise;
use super::rates::Rates;
use super::suites::{CHECKS, SCENARIOS};

/// Columns of a terminal.
const WIDTH: usize = 80;

/// The table of rates, at most 80 columns wide. `seed` is shown, so that it can be made again.
pub fn rates_table(all: &[Rates], seed: u64) -> String {
    let rule = "─".repeat(WIDTH);
    let suites = all.first().map_or(0, |rates| rates.suites);
    let checks = SCENARIOS * CHECKS.len();
    let mut lines = vec![
        format!("tokpace · self-test of the gate · {suites} suites of {checks} checks a figure · seed {seed}"),
        rule.clone(),
        HEAD.into(),
        cells(["machine", "noise"], ["default", "zero", "regr.", "pass", "+5 %", "+10 %", "-10 %", "open", "pairs"]),
    ];
    lines.extend(all.iter().map(row));
    lines.push(rule);
    lines.extend(LEGEND.map(str::to_owned));
    let refuted: Vec<String> = all.iter().flat_map(Rates::refuted).collect();
    lines.push(if refuted.is_empty() {
        "no promise of the gate is refuted".into()
    } else {
        format!("REFUTED, as good as certainly:\n  {}", refuted.join("\n  "))
    });
    lines.join("\n") + "\n"
}

const HEAD: &str = "                    false alarms     at tolerance    slower    faster";

const LEGEND: [&str; 8] = [
    "all in %, but pairs; <: upper 95 % bound",
    "false alarms: suites in which an unchanged build regressed, with default",
    "  tolerances and with none",
    "at tolerance: checks slower by exactly their tolerance that regressed or passed",
    "+5 %, +10 %: decode steps so much slower in one of five scenarios, found there",
    "-10 %: decode steps faster in one scenario, found to be an improvement",
    "open: checks of an unchanged build that remained inconclusive",
    "pairs: median that a case of an unchanged build took, of at most 20",
];

fn row(rates: &Rates) -> String {
    let Noise { machine, shape } = rates.noise;
    let share = |count: Count| format!("{:.1}", 100.0 * count.rate());
    let bounded = |count: Count| format!("{} <{:.1}", share(count), 100.0 * count.at_most());
    cells(
        [machine.name(), shape.name()],
        [
            &bounded(rates.false_alarms),
            &bounded(rates.false_alarms_at_zero),
            &share(rates.regressed()),
            &share(rates.passed()),
            &share(rates.found_5),
            &share(rates.found_10),
            &share(rates.improved_10),
            &share(rates.inconclusive),
            &rates.pairs.to_string(),
        ],
    )
}

fn cells([machine, noise]: [&str; 2], figures: [&str; 9]) -> String {
    let [default, zero, regressed, pass, five, ten, faster, open, pairs] = figures;
    format!(
        "{machine:<8}{noise:<6}{default:>11}{zero:>11}{regressed:>6}{pass:>6}{five:>7}{ten:>7}{faster:>7}{open:>5}{pairs:>6}"
    )
    .trim_end()
    .to_owned()
}

/// A machine as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    machine: &'a str,
    noise: &'a str,
    suites: u64,
    seed: u64,
    false_alarms: Count,
    false_alarms_at_zero: Count,
    regressed_at_tolerance: Count,
    passed_at_tolerance: Count,
    checks: Vec<CheckLine<'a>>,
    found_5: Count,
    found_10: Count,
    improved_10: Count,
    inconclusive: Count,
    pairs: u32,
    refuted: Vec<String>,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    metric: &'a str,
    tolerance: f64,
    regressed: Count,
    passed: Count,
}

/// One JSON object a machine, with the counts and their one-sided 95 % bounds.
pub fn rates_json(all: &[Rates], seed: u64) -> String {
    all.iter().map(|rates| json(rates, seed) + "\n").collect()
}

fn json(rates: &Rates, seed: u64) -> String {
    let counts = rates.regressed_at_tolerance.into_iter().zip(rates.passed_at_tolerance);
    let check = |((metric, tolerance), (regressed, passed)): (&(&'static str, f64), (Count, Count))| CheckLine {
        metric,
        tolerance: *tolerance,
        regressed,
        passed,
    };
    let line = Line {
        machine: rates.noise.machine.name(),
        noise: rates.noise.shape.name(),
        suites: rates.suites,
        seed,
        false_alarms: rates.false_alarms,
        false_alarms_at_zero: rates.false_alarms_at_zero,
        regressed_at_tolerance: rates.regressed(),
        passed_at_tolerance: rates.passed(),
        checks: CHECKS.iter().zip(counts).map(check).collect(),
        found_5: rates.found_5,
        found_10: rates.found_10,
        improved_10: rates.improved_10,
        inconclusive: rates.inconclusive,
        pairs: rates.pairs,
        refuted: rates.refuted(),
    };
    serde_json::to_string(&line).expect("structs of numbers and texts have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::{Machine, NoiseShape, Pools, rates};

    fn of(shape: NoiseShape) -> Rates {
        rates(Noise { machine: Machine::Quiet, shape }, &Pools::exact(), 6, 0).unwrap()
    }

    #[test]
    fn json_has_the_counts_and_their_bounds() {
        let text = rates_json(&[of(NoiseShape::Normal), of(NoiseShape::Bursts)], 7);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [quiet, bursts] = &lines[..] else { panic!("{text}") };
        assert_eq!((&quiet["machine"], &quiet["noise"]), (&"quiet".into(), &"normal".into()));
        assert_eq!((&quiet["suites"], &quiet["seed"], &quiet["pairs"]), (&6.into(), &7.into(), &6.into()));
        // Nothing in six: 1 - 0.05^(1/6).
        let none = serde_json::json!({"hits": 0, "of": 6, "rate": 0.0, "at_least": 0.0, "at_most": 0.393_038});
        assert_eq!(quiet["false_alarms"], none);
        assert_eq!(quiet["found_10"]["at_least"], 0.606_962);
        assert_eq!((&quiet["inconclusive"]["of"], &quiet["regressed_at_tolerance"]["of"]), (&180.into(), &30.into()));
        let checks = quiet["checks"].as_array().unwrap();
        let of: Vec<_> = checks.iter().map(|check| check["passed"]["of"].as_u64().unwrap()).collect();
        assert_eq!((&checks[1]["metric"], &checks[1]["tolerance"]), (&"tpot.p50".into(), &0.03.into()));
        assert_eq!(of, [5; 6]);
        assert_eq!((&bursts["noise"], &bursts["refuted"]), (&"bursts".into(), &serde_json::json!([])));
    }

    #[test]
    fn a_refuted_promise_is_said_below_the_table() {
        let mut rates = of(NoiseShape::Normal);
        rates.found_10 = Count { hits: 1, of: 6 };
        let table = rates_table(&[rates], 7);
        assert!(table.starts_with("tokpace · self-test of the gate · 6 suites of 30 checks a figure · seed 7\n"));
        let end = "\nREFUTED, as good as certainly:\n  quiet, normal: +10 % found 16.7 %, promised at least 97 %\n";
        assert!(table.ends_with(end), "{table}");
    }
}
