//! The verdict of a case in words: the failure message of its test.

use std::fmt::Write as _;

use crate::gate::{JobNoise, Mode, Verdict, default_alpha, pairs_needed};
use crate::report::check_text::{
    change, check_line, detectable, fails_by_itself, is_error_rate, measured as trials, of_case, other_side, place,
};
use crate::report::hints::hints;
use crate::report::lines::wrapped;
use crate::report::{CaseReport, CheckReport, Invalidated, PrefixReport, PrefixSide};
use crate::report::{number, server};

/// Most reasons for invalid trials that are listed.
const REASONS_SHOWN: usize = 4;

/// Everything a person needs to act on a verdict: what, how much, how sure, and what to do.
///
/// Checks that hold are left out unless `verbose`.
pub fn verdict_text(case: &CaseReport, verbose: bool) -> String {
    let mut lines = vec![headline(case)];
    lines.extend(consequence(case));
    lines.extend(no_measurements(case));
    lines.extend(case.differences.iter().map(|difference| item("not comparable: ", difference)));
    lines.extend(without_baseline(case));
    if case.checks.is_empty() && case.verdict != Verdict::Invalid {
        lines.push("  no check was judged".into());
    }
    lines.extend(case.checks.iter().flat_map(|check| told(case, check, verbose)));
    let label = if case.verdict == Verdict::Invalid { "reason: " } else { "note: " };
    lines.extend(case.notes.iter().map(|note| item(label, note)));
    if !case.subject.is_empty() && case.verdict != Verdict::Pass {
        let subject: Vec<String> = case.subject.iter().map(|(key, value)| format!("{key} {value}")).collect();
        lines.push(item("tested: ", &subject.join(", ")));
    }
    if let Some(reference) = case.reference.as_ref().filter(|reference| !reference.differences.is_empty()) {
        lines.push(item("reference and candidate differ in: ", &reference.differences.join(", ")));
    }
    lines.extend(case.prefix.as_ref().filter(|_| !case.verdict.holds() || verbose).map(prefix_cache));
    lines.extend(case.server.as_ref().and_then(server::remark).map(|remark| item("", &remark)));
    if let Some(baseline) = &case.baseline {
        let jobs = number::count(u64::from(baseline.jobs), "job");
        lines.push(format!("  baseline: {} ({jobs}, the latest of {})", baseline.path, day(&baseline.recorded)));
        lines.extend(baseline.stale.iter().map(|words| item("stale baseline: ", words)));
    }
    lines.extend(case.drift.iter().map(|drift| item("", drift)));
    lines.extend(case.pending.iter().map(|path| format!("  pending: {path}")));
    lines.extend(hints(case).iter().map(|hint| item("hint: ", hint)));
    lines.push("  report: target/tokpace/latest/report.html".into());
    lines.join("\n")
}

fn item(label: &str, text: &str) -> String {
    wrapped(&format!("  {label}"), "    ", text)
}

/// `2026-01-31` of a full timestamp.
fn day(timestamp: &str) -> &str {
    timestamp.split('T').next().unwrap_or(timestamp)
}

/// What was measured, and with what it is compared.
fn headline(case: &CaseReport) -> String {
    let mut line = format!("{}: {} on profile `{}`", case.case, of_case(case), case.profile);
    if let Some(reference) = &case.reference {
        let own = format!("profile `{}`", case.profile);
        if reference.candidate != own {
            let _ = write!(line, ", {}", reference.candidate);
        }
        let _ = write!(line, " against {}", reference.name);
    }
    let _ = write!(line, ", {}", trials(case));
    if let Some(baseline) = &case.baseline {
        let _ = write!(line, " against {}", number::count(u64::from(baseline.jobs), "accepted job"));
    }
    wrapped("", "    ", &line)
}

/// What the verdict does to the build.
fn consequence(case: &CaseReport) -> Option<String> {
    match &case.failed {
        Some(rule) => Some(item("fails because ", rule)),
        None => (!case.verdict.holds()).then(|| "  does not fail the build".into()),
    }
}

/// What the prefix cache did, on both sides.
fn prefix_cache(prefix: &PrefixReport) -> String {
    let side = |side: &PrefixSide| {
        let mut text = side.hit_ratio.map_or_else(
            || "the server does not say".to_owned(),
            |ratio| format!("{} of the prompt tokens reused", number::percent(ratio)),
        );
        if let Some(matched) = side.matched_tokens.filter(|matched| *matched > 0.0) {
            let _ = write!(text, ", {matched:.0} a request");
        }
        if let Some(counters) = side.counter_hit_ratio {
            let _ = write!(text, " (its counters: {})", number::percent(counters));
        }
        text
    };
    let mut text = side(&prefix.candidate);
    if let Some(reference) = &prefix.reference {
        let _ = write!(text, "; reference: {}", side(reference));
    }
    item("prefix cache: ", &text)
}

/// Trials that were no measurement, those with equal reasons together.
fn no_measurements(case: &CaseReport) -> Vec<String> {
    let groups = grouped(&case.invalid);
    let again = if case.verdict == Verdict::Invalid { "" } else { " (measured again)" };
    let mut lines: Vec<String> = groups
        .iter()
        .take(REASONS_SHOWN)
        .map(|Group { reason, trials, differ }| {
            let numbers: Vec<String> = trials.iter().map(u32::to_string).collect();
            let unit = if case.mode == Mode::Paired { "pair" } else { "trial" };
            let (plural, verb) = if trials.len() == 1 { ("", "was") } else { ("s", "were") };
            let of = if *differ { format!(" ({unit} {})", trials[0]) } else { String::new() };
            item(
                &format!("{unit}{plural} {} {verb} no measurement: ", numbers.join(", ")),
                &format!("{reason}{of}{again}"),
            )
        })
        .collect();
    if let Some(more) = groups.len().checked_sub(REASONS_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("  and {}; `run.json` has them all", number::count(more as u64, "further reason")));
    }
    lines
}

pub(super) struct Group<'a> {
    /// The first trial's words.
    pub(super) reason: &'a str,
    pub(super) trials: Vec<u32>,
    /// Whether the trials' figures differ.
    pub(super) differ: bool,
}

/// Reasons that differ in their figures at most belong together.
pub(super) fn grouped(invalid: &[Invalidated]) -> Vec<Group<'_>> {
    let shape = |reason: &str| reason.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    let mut groups: Vec<Group<'_>> = Vec::new();
    for Invalidated { trial, reasons, .. } in invalid {
        for reason in reasons {
            match groups.iter_mut().find(|group| shape(group.reason) == shape(reason)) {
                Some(group) => {
                    group.trials.push(*trial);
                    group.differ |= group.reason != reason;
                }
                None => groups.push(Group { reason, trials: vec![*trial], differ: false }),
            }
        }
    }
    groups
}

/// All figures that have nothing to be compared with, in one sentence.
fn without_baseline(case: &CaseReport) -> Option<String> {
    let figures: Vec<String> = case
        .checks
        .iter()
        .filter(|check| check.judged.verdict == Verdict::Missing)
        .filter_map(|check| Some(format!("{} {}", check.judged.metric, number::value(check.value?, &check.unit))))
        .collect();
    (!figures.is_empty()).then(|| item("no baseline to compare with: ", &format!("measured {}", figures.join(", "))))
}

/// The words on a check: none, its line, or everything that is known of it where it decides the case.
fn told(case: &CaseReport, check: &CheckReport, verbose: bool) -> Vec<String> {
    let verdict = check.judged.verdict;
    if verbose {
        return details(case, check);
    }
    let hopeless = case.checks.iter().any(fails_by_itself);
    match case.verdict {
        // What no measurement says about a limit is not worth reading, unless it condemns by itself.
        Verdict::Invalid if !matches!(verdict, Verdict::Regressed | Verdict::Exceeded) => Vec::new(),
        // Where hardly a request succeeds, there is nothing else to learn.
        _ if hopeless && !fails_by_itself(check) => Vec::new(),
        _ if verdict == Verdict::Missing && check.value.is_some() => Vec::new(),
        _ if verdict == Verdict::Pass && !check.marginal => Vec::new(),
        _ if check.judged.advisory || verdict.holds() || (verdict < case.verdict && verdict < Verdict::Exceeded) => {
            let reason = check.judged.reason.as_deref().filter(|_| verdict == Verdict::Unresolved);
            let reason = reason.map(|reason| wrapped("    ", "      ", reason));
            std::iter::once(line(case, check)).chain(reason).collect()
        }
        _ => details(case, check),
    }
}

fn line(case: &CaseReport, check: &CheckReport) -> String {
    let advisory = if check.judged.advisory { " (advisory)" } else { "" };
    wrapped("  ", "      ", &format!("{}{advisory}", check_line(case, check)))
}

fn details(case: &CaseReport, check: &CheckReport) -> Vec<String> {
    let judged = &check.judged;
    let mut lines = vec![line(case, check)];
    let mut push = |text: &str| lines.push(wrapped("    ", "      ", text));
    push(&measured(case, check));
    let origin = if check.line.is_some() { "" } else { " (default check)" };
    push(&format!("limit \"{}\" at {}{origin}", check.limit, place(case, check)));
    if let Some(reason) = &judged.reason {
        // Behind the colon the judge repeats the interval, in the direction of cost.
        let reason = if judged.ci.is_some() { reason.split(": ").next().unwrap_or(reason) } else { reason };
        push(reason);
    }
    if judged.suspect {
        let other = other_side(case);
        push(&format!("worse than the {other} for certain; whether by more than tolerated is open"));
    }
    if check.marginal {
        push("the limit lies within the interval: another run may decide otherwise");
    }
    if let Some(size) = detectable(check) {
        push(&format!("a change of {size} would have been found 9 times out of 10"));
    }
    if let Some(smallest) = judged.certifiable.filter(|size| too_noisy(check, *size)) {
        push(&format!(
            "an unchanged build passes reliably only with a tolerance of {} or more",
            number::percent(smallest)
        ));
    }
    if let Some(noise) = &judged.job_noise {
        push(&job_noise(noise));
    }
    if let Some(text) = pairs(check) {
        push(&text);
    }
    lines
}

/// Whether even an unchanged build could not pass, the smallest tolerance for which is `certifiable`.
pub(super) fn too_noisy(check: &CheckReport, certifiable: f64) -> bool {
    check.judged.verdict == Verdict::Inconclusive && check.tolerance.is_some_and(|tolerance| certifiable > tolerance)
}

/// What was measured, against what, and how sure that is.
fn measured(case: &CaseReport, check: &CheckReport) -> String {
    let value = |value: f64| number::value(value, &check.unit);
    let mut text = check.value.map_or_else(|| "no value".to_owned(), |v| format!("measured {}", value(v)));
    if is_error_rate(check) && case.errors > 0 {
        let classes: Vec<String> = case.failures.iter().map(|(class, n)| format!("{class} {n}")).collect();
        let classes = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
        let _ = write!(text, " ({} of {} requests{classes})", case.errors, case.requests);
    }
    if let Some(reference) = check.reference {
        let _ = write!(text, ", {} {}", other_side(case), value(reference));
    }
    if let Some(interval) = change(check).and_then(|change| change.interval) {
        let what = if check.judged.ci.is_some() { "90 % interval" } else { "one-sided limits" };
        let _ = write!(text, "; {what} {interval}");
    } else if let Some(interval) = check.value_ci {
        let _ = write!(text, "; 90 % interval {}", number::value_range(interval, &check.unit));
    }
    text
}

/// How the pairs behave, and what was done about it.
fn pairs(check: &CheckReport) -> Option<String> {
    let judged = &check.judged;
    let size = |cost: f64| {
        if judged.difference.is_some() { number::points(cost) } else { number::percent(cost.exp_m1()) }
    };
    let mut text = format!("standard deviation between pairs {}", size(judged.pair_sd?).trim_start_matches('+'));
    if let Some(tolerance) = check.tolerance.filter(|tolerance| *tolerance > 0.0 && judged.ratio.is_some())
        && let Some(pairs) = pairs_needed(judged.pair_sd?, tolerance, 2.0 * tolerance, default_alpha())
    {
        // Twice the tolerance is what most people would want to be told of.
        let _ = write!(text, "; {pairs} pairs would find a change of {}", number::percent(2.0 * tolerance));
    }
    if judged.trimmed > 0 {
        let _ = write!(text, "; the {} most extreme pairs left out", judged.trimmed);
    }
    if judged.censored > 0 {
        let _ = write!(text, "; {} without a finite value", number::count(u64::from(judged.censored), "pair"));
    }
    if let Some(slot) = judged.slot {
        let (slower, by) = if slot > 0.0 { ("second", slot) } else { ("first", -slot) };
        let _ = write!(text, "; the {slower} trial of a pair is worse by {} and that was taken out", size(2.0 * by));
    }
    Some(text)
}

fn job_noise(noise: &JobNoise) -> String {
    let share = |share: f64| format!("{:.2} %", share * 100.0);
    let jobs = number::count(u64::from(noise.jobs), "job");
    match noise.measured {
        None => format!("job-to-job noise {} assumed: {jobs} cannot measure it", share(noise.used)),
        Some(measured) => format!(
            "job-to-job noise {} ({} assumed, {} measured over {jobs})",
            share(noise.used),
            share(noise.assumed),
            share(measured)
        ),
    }
}
