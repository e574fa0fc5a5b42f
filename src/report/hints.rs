//! What to do about a verdict.

use crate::gate::{Mode, Verdict, default_alpha, pairs_needed};
use crate::report::check_text::{fails_by_itself, multiple, needed_requests, place};
use crate::report::number;
use crate::report::verdict_text::too_noisy;
use crate::report::{CaseReport, CheckReport};

/// The hints of a case: those of the measurement first, then what the verdict suggests.
pub(super) fn hints(case: &CaseReport) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    for hint in case.hints.iter().chain(case.invalid.iter().flat_map(|invalid| &invalid.hints)) {
        if !hints.contains(hint) {
            hints.push(hint.clone());
        }
    }
    hints.extend(of_verdict(case));
    hints.extend(of_fixed_limits(case));
    hints.extend(of_unresolved(case));
    hints.extend(of_stale(case));
    hints
}

fn of_stale(case: &CaseReport) -> Option<String> {
    case.baseline.as_ref()?.stale.as_ref()?;
    Some(format!(
        "to renew the baseline, `cargo tokpace run {0} --record 3`, then `cargo tokpace accept {0} --reason \"…\"`",
        quoted(&case.case)
    ))
}

fn of_verdict(case: &CaseReport) -> Option<String> {
    if case.checks.iter().any(fails_by_itself) {
        return Some("`requests.jsonl` of the run says how each request failed".into());
    }
    let accept = format!("`cargo tokpace accept {} --reason \"…\"`", quoted(&case.case));
    if case.mode == Mode::Paired {
        return of_pairs(case);
    }
    match case.verdict {
        Verdict::Regressed if case.pending.is_some() => Some(format!("if the change is wanted, accept it: {accept}")),
        Verdict::Improved if case.pending.is_some() => {
            Some(format!("to hold future builds to these figures, accept them: {accept}"))
        }
        Verdict::Regressed | Verdict::Improved => {
            Some(format!("if the change is wanted, measure it outside of CI and accept it: {accept}"))
        }
        Verdict::Missing if case.pending.is_some() => Some(format!("to make this the baseline: {accept}")),
        Verdict::Missing => Some(
            "record one outside of CI: `cargo tokpace run`, then `cargo tokpace accept`, and commit what it writes"
                .into(),
        ),
        Verdict::Inconclusive if !case.differences.is_empty() => {
            Some(format!("measure under the baseline's conditions, or make this the baseline: {accept}"))
        }
        Verdict::Inconclusive => case.checks.iter().find_map(of_inconclusive),
        _ => None,
    }
}

/// Two live sides leave nothing to accept.
fn of_pairs(case: &CaseReport) -> Option<String> {
    let gating = |check: &&CheckReport| check.judged.verdict == case.verdict && !check.judged.advisory;
    let check = case.checks.iter().find(gating)?;
    match case.verdict {
        // Nobody wants to miss a goal.
        Verdict::Regressed if multiple(check).is_some() => None,
        Verdict::Regressed => Some(format!(
            "if the change is wanted, widen the limit at {}: a comparison of two live sides stores nothing",
            place(case, check)
        )),
        Verdict::Inconclusive if !case.differences.is_empty() => {
            Some("make both servers report `usage`, or neither".into())
        }
        Verdict::Inconclusive => Some(of_open_pair(check)),
        _ => None,
    }
}

fn of_open_pair(check: &CheckReport) -> String {
    let judged = &check.judged;
    let (Some(certifiable), Some(sd), Some(tolerance)) = (judged.certifiable, judged.pair_sd, check.tolerance) else {
        return "measure more pairs: raise `trials.max`, and leave `--quick` out".into();
    };
    if !too_noisy(check, certifiable) || tolerance <= 0.0 {
        return "the change is close to the limit: find its cause, or raise `trials.max` to tell for sure".into();
    }
    match pairs_needed(sd, tolerance, 2.0 * tolerance, default_alpha()) {
        Some(_) => "raise `trials.max`, or `load.requests` for calmer trials".into(),
        None => format!(
            "the pairs are too noisy for a tolerance of {}: raise `load.requests`, free the machine, or widen it",
            number::percent(tolerance)
        ),
    }
}

fn of_inconclusive(check: &CheckReport) -> Option<String> {
    let judged = &check.judged;
    if judged.advisory || judged.verdict != Verdict::Inconclusive {
        return None;
    }
    let (Some(certifiable), Some(noise), Some(se)) = (judged.certifiable, &judged.job_noise, judged.se) else {
        return Some("measure more trials: raise `trials.min`, and leave `--quick` out".into());
    };
    if !too_noisy(check, certifiable) {
        return Some(
            "the change is close to the tolerance: find its cause, or record more jobs to tell for sure".into(),
        );
    }
    // The jobs' part of the variance, as the judge adds it up.
    let of_jobs = noise.used.powi(2) * (1.0 + 1.0 / f64::from(noise.jobs.max(1)));
    Some(if of_jobs > 0.5 * se * se {
        "the noise is that between jobs: record more of them (`cargo tokpace run --record 8`, then accept), which \
         measures it, or set the profile's `job_noise` to what you know of the machine"
            .into()
    } else {
        "the noise is that between trials: raise `trials.max` or `load.requests`".into()
    })
}

fn of_fixed_limits(case: &CaseReport) -> Option<String> {
    let missed =
        case.checks.iter().find(|check| check.judged.verdict == Verdict::Exceeded && !check.judged.advisory)?;
    Some(match case.mode {
        Mode::Stored => {
            format!("a fixed limit holds whatever is accepted; if it is wrong, change it at {}", place(case, missed))
        }
        Mode::Paired => format!("if the fixed limit is wrong, change it at {}", place(case, missed)),
    })
}

fn of_unresolved(case: &CaseReport) -> Option<String> {
    let unresolved = case.checks.iter().filter(|check| {
        check.judged.verdict == Verdict::Unresolved && !check.judged.advisory && case.verdict != Verdict::Invalid
    });
    let have = case.requests / u64::from(case.pairs_used.max(1));
    let needed = unresolved.filter_map(needed_requests).filter(|needed| *needed > have).max()?;
    Some(format!(
        "raise `load.requests` to {needed}, or gate a lower quantile: {} a trial show no higher one",
        number::count(have, "request")
    ))
}

/// A name as a shell word.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:=/,".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{name}'") }
}
