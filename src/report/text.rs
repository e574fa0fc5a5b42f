//! The verdict table on the terminal, 80 columns wide.

use std::fmt::Write as _;

use crate::gate::{Mode, Verdict};
use crate::report::check_text::{change, loud, measured, multiple};
use crate::report::lines::{WIDTH, clipped, wrapped};
use crate::report::verdict_text::grouped;
use crate::report::{Calibration, CaseReport, CheckReport, RunReport};
use crate::report::{number, server};

/// Columns of a check: its metric, its value, what it is compared with, its verdict. Two are the indent and three lie
/// between them.
const METRIC: usize = 18;
const VALUE: usize = 11;
const MIDDLE: usize = 32;
const VERDICT: usize = 14;

/// Most characters of a name within a sentence.
const NAME: usize = 60;

/// Verdicts that do not hold.
const WORST_FIRST: [Verdict; 6] = [
    Verdict::Regressed,
    Verdict::Exceeded,
    Verdict::Invalid,
    Verdict::Missing,
    Verdict::Inconclusive,
    Verdict::Unresolved,
];

/// The table of a run. Advisory checks are shown with `verbose` or when they do not hold.
pub fn table(run: &RunReport, verbose: bool) -> String {
    let mut lines = vec![wrapped("", "  ", &about(run))];
    lines.extend(run.run.calibration.as_ref().map(client_error));
    lines.extend(body(&run.cases, verbose));
    lines.join("\n") + "\n"
}

/// The table of some cases between its rules, with what explains it.
pub(super) fn body(cases: &[CaseReport], verbose: bool) -> Vec<String> {
    let rule = "─".repeat(WIDTH);
    let mut lines = vec![rule.clone()];
    if cases.iter().any(|case| case.verdict != Verdict::Invalid && !case.checks.is_empty()) {
        let comparison = format!("{:>8} {:>15} {:>7}", "change", "90 % interval", "limit");
        lines.push(assembled("check", "measured", &comparison, "verdict"));
    }
    for case in cases {
        lines.push(title(case));
        if case.verdict == Verdict::Invalid {
            lines.extend(no_measurement(case));
        } else {
            lines.extend(case.checks.iter().filter(|check| shown(check, verbose)).map(row));
            let remark = case.server.as_ref().and_then(server::remark);
            lines.extend(remark.map(|remark| wrapped("  ", "  ", &remark)));
        }
    }
    lines.push(rule);
    lines.push(summary(cases));
    let checks = || cases.iter().flat_map(|case| &case.checks).filter(|check| shown(check, verbose));
    if checks().any(|check| check.judged.advisory) {
        lines.push("(…) advisory: shown, never fails the build".into());
    }
    if checks().any(|check| mark(check) == " ?") {
        lines.push("? worse than the other side for certain; whether by more than tolerated is open".into());
    }
    if checks().any(|check| mark(check) == " ~") {
        lines.push("~ the limit lies within the interval: another run may decide otherwise".into());
    }
    lines.extend(over_time(cases));
    lines
}

/// What a table of one run does not show: waivers, baselines that have aged, and what many small steps add up to.
fn over_time(cases: &[CaseReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for case in cases {
        let name = clipped(&case.case, NAME);
        for check in &case.checks {
            if let Some(waiver) = check.waiver.as_ref().filter(|waiver| !waiver.ended && !check.judged.advisory) {
                let text = format!("{} of {name} until {}: {}", check.judged.metric, waiver.until, waiver.reason);
                lines.push(wrapped("w waived: ", "    ", &text));
            }
        }
        let stale = case.baseline.as_ref().and_then(|baseline| baseline.stale.as_ref());
        lines.extend(stale.map(|words| wrapped(&format!("stale baseline of {name}: "), "    ", words)));
        lines.extend(case.drift.as_ref().map(|drift| wrapped(&format!("{name}: "), "    ", drift)));
    }
    lines
}

fn about(run: &RunReport) -> String {
    let mut line = format!("tokpace · profile {}", clipped(&run.run.profile, NAME));
    if let Some(against) = &run.run.against {
        let _ = write!(line, " against {}", clipped(against, NAME));
    }
    let _ = write!(line, " · {}", number::count(run.cases.len() as u64, "case"));
    for (mode, unit) in [(Mode::Stored, "trial"), (Mode::Paired, "pair")] {
        let of_mode = || run.cases.iter().filter(|case| case.mode == mode);
        if of_mode().next().is_some() {
            let count: u32 = of_mode().map(|case| case.pairs_used).sum();
            let _ = write!(line, " · {}", number::count(u64::from(count), unit));
        }
    }
    let _ = write!(line, " · {:.0} s measured", run.run.measured_seconds);
    if run.run.quick {
        line.push_str(" · quick");
    }
    if run.run.interrupted {
        line.push_str(" · interrupted");
    }
    line
}

/// How exact the stopwatch was.
fn client_error(calibration: &Calibration) -> String {
    format!(
        "client error at p50 / p99: ttft {:.2} / {:.2} ms, tpot {:.3} / {:.3} ms",
        calibration.ttft_error_p50_ms,
        calibration.ttft_error_p99_ms,
        calibration.tpot_error_p50_ms,
        calibration.tpot_error_p99_ms
    )
}

fn shown(check: &CheckReport, verbose: bool) -> bool {
    verbose || !check.judged.advisory || !check.judged.verdict.holds()
}

/// The line of a case: its name, its trials, its verdict.
fn title(case: &CaseReport) -> String {
    let trials = measured(case);
    let width = WIDTH - VERDICT - 1 - trials.chars().count() - 1;
    let verdict = if case.is_waived() { "waived".to_owned() } else { loud(case.verdict) };
    format!("{:<width$} {trials} {verdict}", clipped(&case.case, width))
}

/// The first reason why there are no figures, on two lines at most.
fn no_measurement(case: &CaseReport) -> Vec<String> {
    let groups = grouped(&case.invalid);
    let reason = groups.first().map(|group| group.reason).or(case.notes.first().map(String::as_str));
    let text = wrapped("  ", "  ", reason.unwrap_or("nothing was measured"));
    text.lines().take(2).map(|line| clipped(line, WIDTH)).collect()
}

fn row(check: &CheckReport) -> String {
    let value = check.value.map_or_else(|| "–".to_owned(), |value| number::value(value, &check.unit));
    let verdict = if check.judged.advisory {
        format!("({})", check.judged.verdict)
    } else if check.is_waived() {
        format!("{} w", check.judged.verdict)
    } else {
        format!("{}{}", loud(check.judged.verdict), mark(check))
    };
    assembled(&check.judged.metric, &value, &comparison(check), &verdict)
}

/// What tempers a verdict, explained below the table.
fn mark(check: &CheckReport) -> &'static str {
    match (check.judged.advisory, check.judged.suspect, check.marginal) {
        (true, ..) => "",
        (_, true, _) => " ?",
        (_, _, true) => " ~",
        _ => "",
    }
}

/// Change, interval and limit; the interval gives way where they do not fit.
fn comparison(check: &CheckReport) -> String {
    let limit = match (multiple(check), check.tolerance) {
        (Some(factor), _) => format!("×{factor}"),
        (None, None) => check.limit.clone(),
        (None, Some(tolerance)) => {
            let sign = if check.higher_is_better { '-' } else { '+' };
            let unit = if check.unit.is_empty() { "pp" } else { "%" };
            format!("{sign}{}{unit}", (tolerance * 1e4).round() / 1e2)
        }
    };
    let (size, interval) = match change(check) {
        Some(change) => (change.size, change.interval.unwrap_or_default()),
        None => (String::new(), check.value_ci.map(|ci| number::value_interval(ci, &check.unit)).unwrap_or_default()),
    };
    let full = format!("{size:>8} {interval:>15} {limit:>7}");
    if full.chars().count() <= MIDDLE {
        return full;
    }
    let tight = format!("{size} {interval} {limit}");
    if tight.trim_start().chars().count() <= MIDDLE { tight.trim_start().to_owned() } else { format!("{size} {limit}") }
}

/// A row in its columns; a wide value takes room from the metric's name.
fn assembled(metric: &str, value: &str, comparison: &str, verdict: &str) -> String {
    let right = format!("{value:>VALUE$} {comparison:>MIDDLE$} {verdict:<VERDICT$}");
    let width = (METRIC + 1 + VALUE + 1 + MIDDLE + 1 + VERDICT).saturating_sub(right.chars().count() + 1);
    let row = format!("  {:<width$} {right}", clipped(metric, width));
    clipped(row.trim_end(), WIDTH)
}

/// `7 cases: 5 pass, 1 improved, 1 REGRESSED (chatbot)`; where that is too long, a line for each verdict that does not
/// hold, the worst first.
fn summary(cases: &[CaseReport]) -> String {
    if cases.is_empty() {
        return "nothing was measured".into();
    }
    let of = |verdict: Verdict| cases.iter().filter(move |case| case.verdict == verdict && !case.is_waived());
    let names = |verdict| of(verdict).map(|case| clipped(&case.case, NAME)).collect::<Vec<_>>().join(", ");
    let mut held: Vec<String> = [Verdict::Pass, Verdict::Improved]
        .into_iter()
        .filter(|verdict| of(*verdict).next().is_some())
        .map(|verdict| format!("{} {verdict}", of(verdict).count()))
        .collect();
    let waived = cases.iter().filter(|case| case.is_waived()).count();
    if waived > 0 {
        held.push(format!("{waived} waived"));
    }
    let failed: Vec<Verdict> = WORST_FIRST.into_iter().filter(|verdict| of(*verdict).next().is_some()).collect();
    let count = number::count(cases.len() as u64, "case");
    let parts =
        failed.iter().map(|verdict| format!("{} {} ({})", of(*verdict).count(), loud(*verdict), names(*verdict)));
    let line = format!("{count}: {}", held.iter().cloned().chain(parts).collect::<Vec<_>>().join(", "));
    if line.chars().count() <= WIDTH {
        return line;
    }
    let mut lines = vec![if held.is_empty() { count } else { format!("{count}: {}", held.join(", ")) }];
    for verdict in failed {
        let first = format!("  {} {}: ", of(verdict).count(), loud(verdict));
        lines.push(wrapped(&first, "    ", &names(verdict)));
    }
    lines.join("\n")
}
