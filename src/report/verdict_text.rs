//! The verdict of a case in words: the failure message of its test.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::number;
use crate::report::{CaseReport, CheckReport};

/// The change of a check in the metric's own direction: a throughput that fell by 3 % is `-3.0 % [-3.4, -2.6]`.
pub(crate) fn change(check: &CheckReport) -> Option<String> {
    let judged = &check.judged;
    let flip = check.higher_is_better;
    if let Some(difference) = judged.difference {
        let sign = if flip { -1.0 } else { 1.0 };
        let interval = judged.ci.or(judged.bounds).map(|[low, high]| {
            let [low, high] = if flip { [-high, -low] } else { [low, high] };
            format!(" {}", number::points_interval([low, high]))
        });
        // Adding 0 turns −0 into 0.
        return Some(format!("{}{}", number::points(sign * difference + 0.0), interval.unwrap_or_default()));
    }
    let ratio = judged.ratio?;
    let (ratio, interval) = match (flip, judged.ci) {
        (true, ci) => (1.0 / ratio, ci.map(|[low, high]| [1.0 / high, 1.0 / low])),
        (false, ci) => (ratio, ci),
    };
    let interval = interval.map(|ci| format!(" {}", number::change_interval(ci)));
    Some(format!("{}{}", number::change(ratio), interval.unwrap_or_default()))
}

/// What the check could have found: `+4.9 %`, or points for shares.
fn detectable(check: &CheckReport) -> Option<String> {
    let size = check.judged.detectable.filter(|size| size.is_finite())?;
    Some(if check.judged.difference.is_some() { number::points(size) } else { number::change(1.0 + size) })
}

fn tolerance(check: &CheckReport) -> Option<String> {
    let tolerance = check.tolerance?;
    Some(if check.judged.difference.is_some() || check.unit.is_empty() {
        format!("tolerance {} pp", (tolerance * 1e4).round() / 1e2)
    } else {
        format!("tolerance {}", number::percent(tolerance))
    })
}

/// One line on a check: `tpot.p50 chatbot +4.1 % [+3.2, +5.0] 8 trials, tolerance 3 %: REGRESSED`.
pub fn check_line(case: &CaseReport, check: &CheckReport) -> String {
    let mut line = format!("{} {}", check.judged.metric, case.case);
    if let Some(change) = change(check) {
        let _ = write!(line, " {change}");
    } else if let Some(value) = check.value {
        let _ = write!(line, " {}", number::value(value, &check.unit));
    }
    let _ = write!(line, " {}", number::count(u64::from(case.pairs_used), "trial"));
    match tolerance(check) {
        Some(tolerance) => {
            let _ = write!(line, ", {tolerance}");
        }
        None => {
            let _ = write!(line, ", limit {}", check.limit);
        }
    }
    let _ = write!(line, ": {}", word(check));
    line
}

/// The verdict as a word that stands out without colour.
pub(crate) fn word(check: &CheckReport) -> String {
    let verdict = check.judged.verdict;
    let word = if verdict.holds() { verdict.name().to_owned() } else { verdict.name().to_uppercase() };
    match (check.judged.suspect, check.marginal) {
        (true, _) => format!("{word} (suspect)"),
        (_, true) => format!("{word} (marginal)"),
        _ => word,
    }
}

/// Everything a person needs to act on a verdict: what, how much, how sure, and what to do.
///
/// Checks that hold are left out unless `verbose`.
pub fn verdict_text(case: &CaseReport, verbose: bool) -> String {
    let mut text = headline(case);
    for invalid in &case.invalid {
        for reason in &invalid.reasons {
            let _ = write!(text, "\n  trial {} was no measurement: {}", invalid.trial, indented(reason));
        }
    }
    for difference in &case.differences {
        let _ = write!(text, "\n  not comparable: {difference}");
    }
    for check in &case.checks {
        if verbose || !check.judged.verdict.holds() || check.marginal {
            text.push('\n');
            text.push_str(&details(case, check));
        }
    }
    let label = if case.verdict == Verdict::Invalid { "reason" } else { "note" };
    for note in &case.notes {
        let _ = write!(text, "\n  {label}: {}", indented(note));
    }
    if !case.subject.is_empty() && case.verdict != Verdict::Pass {
        let subject: Vec<String> = case.subject.iter().map(|(key, value)| format!("{key} {value}")).collect();
        let _ = write!(text, "\n  measured: {}", subject.join(", "));
    }
    for hint in hints(case) {
        let _ = write!(text, "\n  hint: {}", indented(&hint));
    }
    text.push_str("\n  report: target/tokpace/latest/report.md");
    text
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

fn headline(case: &CaseReport) -> String {
    let mut line = format!("{}: {} on profile `{}`", case.case, case.verdict, case.profile);
    let _ = write!(line, ", {}", number::count(u64::from(case.pairs_used), "trial"));
    if let Some(baseline) = &case.baseline {
        let _ = write!(line, " against {}", number::count(u64::from(baseline.jobs), "accepted job"));
    }
    if let Some(rule) = &case.failed {
        let _ = write!(line, "\n  fails because {rule}");
    }
    line
}

fn details(case: &CaseReport, check: &CheckReport) -> String {
    let mut text = format!("  {}", check_line(case, check));
    if check.judged.advisory {
        text.push_str(" (advisory)");
    }
    let mut facts = Vec::new();
    if let Some(value) = check.value {
        let mut fact = format!("measured {}", number::value(value, &check.unit));
        if let Some([low, high]) = check.value_ci {
            let _ = write!(fact, " [{}, {}]", number::value(low, &check.unit), number::value(high, &check.unit));
        }
        facts.push(fact);
    }
    if let Some(reference) = check.reference {
        facts.push(format!("baseline {}", number::value(reference, &check.unit)));
    }
    if !facts.is_empty() {
        let _ = write!(text, "\n    {}", facts.join(", "));
    }
    let place = check.line.map_or_else(|| case.file.clone(), |line| format!("{}:{line}", case.file));
    let origin = if check.line.is_some() { "" } else { " (default check)" };
    let _ = write!(text, "\n    limit \"{}\" at {place}{origin}", check.limit);
    if let Some(reason) = &check.judged.reason {
        let _ = write!(text, "\n    {}", indented(reason));
    }
    if let Some(size) = detectable(check) {
        let _ = write!(text, "\n    a change of {size} would have been found with 90 %");
    }
    if let Some(smallest) = check.judged.certifiable.filter(|_| check.judged.verdict == Verdict::Inconclusive) {
        let _ = write!(text, "\n    the smallest tolerance that could pass here is {}", number::percent(smallest));
    }
    if let Some(noise) = &check.judged.job_noise {
        let _ = write!(text, "\n    {}", job_noise(noise));
    }
    text
}

fn job_noise(noise: &crate::gate::JobNoise) -> String {
    let assumed = format!("job-to-job noise {} assumed", number::percent(noise.assumed));
    match noise.measured {
        None => format!("{assumed} ({}; 8 would measure it)", number::count(u64::from(noise.jobs), "job")),
        Some(measured) => format!(
            "{assumed}, {} measured over {}: {} used",
            number::percent(measured),
            number::count(u64::from(noise.jobs), "job"),
            number::percent(noise.used)
        ),
    }
}

fn hints(case: &CaseReport) -> Vec<String> {
    let accept = format!("cargo tokpace accept {} --reason \"…\"", quoted(&case.case));
    let record = "cargo tokpace run --record 3";
    let mut hints: Vec<String> = Vec::new();
    for hint in case.hints.iter().chain(case.invalid.iter().flat_map(|invalid| &invalid.hints)) {
        if !hints.contains(hint) {
            hints.push(hint.clone());
        }
    }
    match case.verdict {
        Verdict::Regressed if case.pending.is_some() => {
            hints.push(format!("if the change is wanted: `{accept}`"));
        }
        Verdict::Improved if case.pending.is_some() => {
            hints.push(format!("to hold future builds to these figures: `{accept}`"));
        }
        Verdict::Regressed | Verdict::Improved => {
            hints.push(format!("if the change is wanted, run it outside of CI and `{accept}`"));
        }
        Verdict::Missing if case.pending.is_some() => hints.push(format!("to make this the baseline: `{accept}`")),
        Verdict::Missing => {
            hints.push(
                "record one outside of CI: `cargo tokpace run`, then `cargo tokpace accept`, and commit it".into(),
            );
        }
        Verdict::Inconclusive if !case.differences.is_empty() => {
            hints.push(format!("measure under the baseline's conditions, or make this the baseline: `{accept}`"))
        }
        Verdict::Inconclusive => {
            hints.push(format!("record more jobs (`{record}`, then accept), measure `job_noise`, or allow more trials"))
        }
        _ => {}
    }
    hints
}

/// A name as a shell word.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:=/,".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{name}'") }
}
