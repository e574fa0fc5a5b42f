//! A check in words: its change, its verdict, what could have been found.

use std::fmt::Write as _;

use crate::gate::{Mode, Verdict};
use crate::metric::{Metric, MetricId};
use crate::report::number;
use crate::report::{CaseReport, CheckReport, WaiverInfo};

/// The size of a change with its interval, each as text, in the metric's own direction: a throughput that fell by 3 %
/// is `-3.0 %` and `[-3.4, -2.6]`.
pub(super) struct Change {
    pub(super) size: String,
    pub(super) interval: Option<String>,
}

/// What has changed; `None` where nothing was compared.
pub(super) fn change(check: &CheckReport) -> Option<Change> {
    let judged = &check.judged;
    let flip = check.higher_is_better;
    if let Some(difference) = judged.difference {
        let sign = if flip { -1.0 } else { 1.0 };
        let interval = judged.ci.or(judged.bounds).map(|[low, high]| if flip { [-high, -low] } else { [low, high] });
        // Few requests bound an error rate loosely, which says nothing where there are no more errors than before.
        let interval = interval.filter(|_| judged.ci.is_some() || !judged.verdict.holds());
        return Some(Change {
            size: number::points(sign * difference),
            interval: interval.map(number::points_interval),
        });
    }
    let ratio = judged.ratio?;
    let (ratio, interval) = match (flip, judged.ci) {
        (true, ci) => (1.0 / ratio, ci.map(|[low, high]| [1.0 / high, 1.0 / low])),
        (false, ci) => (ratio, ci),
    };
    Some(Change { size: number::change(ratio), interval: interval.map(number::change_interval) })
}

/// The change that would have been found with 90 %, in the metric's own direction: `+4.9 %`, or points for shares.
pub(super) fn detectable(check: &CheckReport) -> Option<String> {
    let size = check.judged.detectable.filter(|size| size.is_finite())?;
    Some(match (check.judged.difference.is_some(), check.higher_is_better) {
        (true, higher) => number::points(if higher { -size } else { size }),
        (false, true) => number::change(1.0 / (1.0 + size)),
        (false, false) => number::change(1.0 + size),
    })
}

/// `8 trials`, or `10 pairs`.
pub(super) fn measured(case: &CaseReport) -> String {
    let unit = if case.mode == Mode::Paired { "pair" } else { "trial" };
    number::count(u64::from(case.pairs_used), unit)
}

/// What the candidate is compared with, in a word.
pub(super) fn other_side(case: &CaseReport) -> &'static str {
    if case.mode == Mode::Paired { "reference" } else { "baseline" }
}

/// `0.7` of `<= 0.7 * reference`.
pub(super) fn multiple(check: &CheckReport) -> Option<&str> {
    let (bound, _) = check.limit.split_once('*')?;
    Some(bound.trim_start_matches(['<', '>', '=']).trim())
}

/// `3 %`, or `0.5 pp` for shares; `None` where the limit is fixed or a multiple.
pub(super) fn tolerance(check: &CheckReport) -> Option<String> {
    let tolerance = check.tolerance.filter(|_| multiple(check).is_none())?;
    Some(if check.judged.difference.is_some() || check.unit.is_empty() {
        format!("{} pp", (tolerance * 1e4).round() / 1e2)
    } else {
        number::percent(tolerance)
    })
}

/// One line on a check: `tpot.p50 chatbot +4.1 % [+3.2, +5.0] 8 trials, tolerance 3 %: REGRESSED`.
pub fn check_line(case: &CaseReport, check: &CheckReport) -> String {
    let mut line = format!("{} {}", check.judged.metric, case.case);
    if let Some(Change { size, interval }) = change(check) {
        let _ = write!(line, " {size}");
        if let Some(interval) = interval {
            let _ = write!(line, " {interval}");
        }
    } else if let Some(value) = check.value {
        let _ = write!(line, " {}", number::value(value, &check.unit));
    }
    let _ = write!(line, " {}", measured(case));
    let _ = match tolerance(check) {
        Some(tolerance) => write!(line, ", tolerance {tolerance}"),
        None => write!(line, ", limit {}", check.limit),
    };
    let _ = write!(line, ": {}", word(check));
    line
}

/// The verdict as a word that stands out without colour where something does not hold.
pub(super) fn loud(verdict: Verdict) -> String {
    if verdict.holds() { verdict.name().to_owned() } else { verdict.name().to_uppercase() }
}

/// The verdict of a case: in small letters where a waiver keeps it from failing.
pub(super) fn of_case(case: &CaseReport) -> String {
    if case.is_waived() { format!("{} (waived)", case.verdict) } else { loud(case.verdict) }
}

/// The verdict of a check with what tempers it.
pub(super) fn word(check: &CheckReport) -> String {
    let word = match &check.waiver {
        Some(WaiverInfo { until, reason, ended: false }) => {
            return format!("{} (waived until {until}: {reason})", check.judged.verdict);
        }
        Some(WaiverInfo { until, .. }) => format!("{} (its waiver ended on {until})", loud(check.judged.verdict)),
        None => loud(check.judged.verdict),
    };
    match (check.judged.suspect, check.marginal) {
        (true, _) => format!("{word} (suspect)"),
        (_, true) => format!("{word} (marginal)"),
        _ => word,
    }
}

/// The limit with its place, `<= baseline + 3%` at `scenarios/chatbot.toml:14`.
pub(super) fn place(case: &CaseReport, check: &CheckReport) -> String {
    match check.line {
        Some(line) => format!("{}:{line}", case.file),
        None => case.file.clone(),
    }
}

/// Whether the check counts failed requests.
pub(super) fn is_error_rate(check: &CheckReport) -> bool {
    check.judged.metric == Metric::ErrorRate.name()
}

/// Whether so many requests failed that no baseline was needed to tell.
pub(super) fn fails_by_itself(check: &CheckReport) -> bool {
    is_error_rate(check) && check.judged.verdict == Verdict::Regressed && check.judged.reason.is_some()
}

/// Requests a trial that the check's quantile needs; `None` if it is none.
pub(super) fn needed_requests(check: &CheckReport) -> Option<u64> {
    let id: MetricId = check.judged.metric.parse().ok()?;
    id.quantile().map(|_| id.needed_requests())
}
