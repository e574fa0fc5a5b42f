//! The door to the kernel.

use super::protocol::{Job, Mode, Suite, TrialValues};
use super::verdict::SuiteVerdict;
use super::{paired, stored};

/// Values that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct JudgeError {
    /// What is wrong, with case, trial and metric.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl JudgeError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// Judges a suite: a pure function of its values.
///
/// A paired suite may be judged while it grows. Measure one pair of every case that is still open, then judge all
/// pairs again from the first: earlier looks are replayed, so what they decided stays decided, and
/// [`CaseVerdict::next_look`](super::CaseVerdict::next_look) says how many pairs each case needs next. Judge only
/// after whole rounds: a look is taken at all open cases together, and a case that lags behind would enter
/// that look in a later replay and could only then make the others' evidence sufficient. A case that was given up
/// simply stops growing; it takes no further look.
///
/// # Errors
///
/// Rates out of range, a checked metric without a value in some trial, a value that its metric cannot have, counts
/// that contradict each other, trials of the wrong mode. The first problem is reported.
pub fn judge(suite: &Suite) -> Result<SuiteVerdict, JudgeError> {
    if !(suite.alpha > 0.0 && suite.alpha < 1.0) {
        return Err(JudgeError::new(
            format!("`alpha` is {}", suite.alpha),
            "give a rate of false alarms above 0 and below 1, such as 0.05",
        ));
    }
    for case in &suite.cases {
        let (alien, other) = match suite.mode {
            Mode::Paired if case.jobs.is_some() => (Some("jobs"), "stored"),
            Mode::Paired => (case.candidate.as_ref().map(|_| "candidate"), "stored"),
            Mode::Stored => (case.pairs.as_ref().map(|_| "pairs"), "paired"),
        };
        if let Some(key) = alien {
            return Err(JudgeError::new(
                format!("case `{}`: `{key}` belongs to the mode `{other}`", case.case),
                format!("leave it out, or set `mode` to `{other}`"),
            ));
        }
        for (at, pair) in case.pairs.iter().flatten().enumerate() {
            validate_counts(&case.case, &pair.a, || pair_place(at, 'a'))?;
            validate_counts(&case.case, &pair.b, || pair_place(at, 'b'))?;
        }
        for (at, job) in case.jobs.iter().flatten().enumerate() {
            validate_job(&case.case, job, Some(at))?;
        }
        if let Some(job) = &case.candidate {
            validate_job(&case.case, job, None)?;
        }
    }
    match suite.mode {
        Mode::Paired => paired::judge(suite),
        Mode::Stored => stored::judge(suite),
    }
}

pub(super) fn missing(case: &str, key: &str) -> JudgeError {
    JudgeError::new(format!("case `{case}`: missing `{key}`"), format!("give `{key}`, empty if there is nothing"))
}

/// How errors name a trial of a pair, counted from 1.
pub(super) fn pair_place(at: usize, side: char) -> String {
    format!("pair {} side {side}", at + 1)
}

/// How errors name a trial of a job (`None`: the candidate's), counted from 1.
pub(super) fn job_place(job: Option<usize>, trial: usize) -> String {
    match job {
        Some(job) => format!("job {} trial {}", job + 1, trial + 1),
        None => format!("candidate trial {}", trial + 1),
    }
}

fn validate_job(case: &str, job: &Job, at: Option<usize>) -> Result<(), JudgeError> {
    if let (Some(at), true) = (at, job.trials.is_empty()) {
        return Err(JudgeError::new(format!("case `{case}`: job {} has no trials", at + 1), "leave the job out"));
    }
    job.trials.iter().enumerate().try_for_each(|(trial, values)| validate_counts(case, values, || job_place(at, trial)))
}

fn validate_counts(case: &str, trial: &TrialValues, place: impl Fn() -> String) -> Result<(), JudgeError> {
    let TrialValues { n, errors, .. } = trial;
    let wrong = |what: String, hint: &str| Err(JudgeError::new(format!("case `{case}`, {}: {what}", place()), hint));
    if *n == 0 {
        return wrong("`n` is 0".into(), "leave out trials that attempted nothing");
    }
    if errors > n {
        return wrong(format!("{errors} errors among {n} requests"), "`n` counts all requests, failures included");
    }
    Ok(())
}
