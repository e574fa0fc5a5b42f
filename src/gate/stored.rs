//! A candidate's job against accepted jobs: one look, with job-to-job noise from a prior and what was measured.

use crate::stats::trimmed::trimmed_mean;
use crate::stats::variance::{mean, satterthwaite, squared_deviations, variance};

use super::check::{Check, Kind};
use super::errors::{Counts, ErrorRates};
use super::evidence::{Criticals, Estimate, Levels, Tests, describe, undecided};
use super::judge::{JudgeError, job_place, missing};
use super::looks::FEWEST;
use super::protocol::{CaseInput, Job, Suite, TrialValues};
use super::verdict::{CaseVerdict, CheckVerdict, JobNoise, SuiteVerdict, Verdict, of_checks};

/// Older jobs say little about today's machine.
pub const JOBS_AT_MOST: usize = 30;
/// The assumed job-to-job noise counts as so many observations.
const PRIOR_DF: f64 = 8.0;
/// Keeps the tests defined when neither jobs nor trials vary at all and none is assumed.
const LEAST_SE: f64 = 1e-9;

/// A case whose values have been read.
struct Case<'a> {
    input: &'a CaseInput,
    /// The last jobs, with the place of the first among all.
    jobs: &'a [Job],
    first_job: usize,
    candidate: &'a [TrialValues],
    checks: Vec<(Check<'a>, Option<String>)>,
}

/// The costs of one check, by job.
struct Costs {
    jobs: Vec<Vec<f64>>,
    candidate: Vec<f64>,
}

struct Weighed {
    estimate: Estimate,
    /// What more trials of the candidate could reduce, as a part of `se²`.
    trial_share: f64,
    noise: JobNoise,
}

pub(super) fn judge(suite: &Suite) -> Result<SuiteVerdict, JudgeError> {
    let cases = suite.cases.iter().map(Case::new).collect::<Result<Vec<_>, _>>()?;
    let own = cases
        .iter()
        .flat_map(|case| &case.checks)
        .filter(|(check, unresolved)| check.in_family() && unresolved.is_none())
        .count() as u64;
    let family = suite.family.unwrap_or(own);
    let error_cases = suite.family_cases.unwrap_or(suite.cases.len() as u64);
    let mut criticals = Criticals::default();
    let cases = cases
        .iter()
        .map(|case| case.judge(suite.alpha, family, error_cases, &mut criticals))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SuiteVerdict { verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)), cases })
}

/// Whether more trials of the candidate would still help: for some check that gates, the trials' part of `se²`
/// exceeds a quarter. Looks at variances only, so that it may be asked again after each trial without biasing the
/// verdict. `false` without accepted jobs.
///
/// # Errors
///
/// As [`judge`](super::judge()), for the values of this case.
pub fn needs_more_trials(case: &CaseInput) -> Result<bool, JudgeError> {
    let case = Case::new(case)?;
    if case.jobs.is_empty() || case.candidate.is_empty() {
        return Ok(false);
    }
    for (check, unresolved) in &case.checks {
        if !check.in_family() || unresolved.is_some() {
            continue;
        }
        let costs = case.costs(check)?;
        if costs.censored() == 0 && costs.weigh(case.input.job_noise).trial_share > 0.25 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'a> Case<'a> {
    fn new(input: &'a CaseInput) -> Result<Self, JudgeError> {
        if !(0.0..=1.0).contains(&input.job_noise) {
            return Err(JudgeError::new(
                format!("case `{}`: `job_noise` is {}", input.case, input.job_noise),
                "give a share from 0 to 1, such as 0.03 for 3 %",
            ));
        }
        let jobs = input.jobs.as_deref().ok_or_else(|| missing(&input.case, "jobs"))?;
        let first_job = jobs.len().saturating_sub(JOBS_AT_MOST);
        let jobs = &jobs[first_job..];
        let candidate = &input.candidate.as_ref().ok_or_else(|| missing(&input.case, "candidate"))?.trials[..];
        let sizes = || jobs.iter().flat_map(|job| &job.trials).chain(candidate).map(|trial| trial.n);
        let checks = input
            .checks
            .iter()
            .map(|check| {
                let check = Check::new(&input.case, check)?;
                let unresolved = check.unresolved(sizes());
                Ok((check, unresolved))
            })
            .collect::<Result<_, JudgeError>>()?;
        Ok(Self { input, jobs, first_job, candidate, checks })
    }

    fn costs(&self, check: &Check<'_>) -> Result<Costs, JudgeError> {
        let costs = |trials: &[TrialValues], job: Option<usize>| {
            let cost = |(at, trial)| check.cost(&self.input.case, trial, || job_place(job, at));
            trials.iter().enumerate().map(cost).collect::<Result<Vec<_>, _>>()
        };
        let jobs = self.jobs.iter().enumerate().map(|(at, job)| costs(&job.trials, Some(self.first_job + at)));
        Ok(Costs { jobs: jobs.collect::<Result<_, _>>()?, candidate: costs(self.candidate, None)? })
    }

    fn judge(
        &self,
        alpha: f64,
        family: u64,
        error_cases: u64,
        criticals: &mut Criticals,
    ) -> Result<CaseVerdict, JudgeError> {
        let levels = Levels { regressed: alpha, pass: alpha };
        let rates = (Counts::of(self.jobs.iter().flat_map(|job| &job.trials)), Counts::of(self.candidate));
        let checks = self
            .checks
            .iter()
            .map(|(check, unresolved)| {
                let mut answer = CheckVerdict::new(&check.input.metric, Verdict::Inconclusive);
                answer.advisory = check.input.advisory;
                match (unresolved, check.kind) {
                    (Some(reason), _) => {
                        answer.verdict = Verdict::Unresolved;
                        answer.reason = Some(reason.clone());
                    }
                    (None, Kind::ErrorRate) => self.error_rate(&mut answer, check, rates, levels, error_cases),
                    (None, _) => self.compare(&mut answer, check, rates.0, levels, family, criticals)?,
                }
                Ok(answer)
            })
            .collect::<Result<Vec<_>, JudgeError>>()?;
        Ok(CaseVerdict {
            case: self.input.case.clone(),
            verdict: of_checks(&checks),
            pairs_used: self.candidate.len() as u32,
            checks,
            next_look: None,
        })
    }

    /// Why nothing can be decided, whatever the values are.
    fn too_little(&self) -> Option<(Verdict, String)> {
        if self.jobs.is_empty() {
            return Some((Verdict::Missing, "no accepted job to compare with".into()));
        }
        let trials = self.candidate.len();
        (trials < FEWEST as usize)
            .then(|| (Verdict::Inconclusive, format!("{trials} trials; nothing is decided on fewer than {FEWEST}")))
    }

    fn error_rate(
        &self,
        answer: &mut CheckVerdict,
        check: &Check<'_>,
        (reference, candidate): (Counts, Counts),
        levels: Levels,
        cases: u64,
    ) {
        // A server that fails so often needs no baseline to be found out.
        let hopeless = candidate.fails_by_itself().filter(|_| self.candidate.len() >= FEWEST as usize);
        if !self.jobs.is_empty() && !self.candidate.is_empty() {
            let rates = ErrorRates::compare(reference, candidate, check.threshold, levels, cases);
            rates.describe(answer);
            answer.look = Some(1);
            answer.verdict = rates.verdict.unwrap_or(Verdict::Inconclusive);
        }
        if hopeless.is_some() {
            (answer.verdict, answer.reason) = (Verdict::Regressed, hopeless);
        } else if let Some((verdict, reason)) = self.too_little() {
            (answer.verdict, answer.reason) = (verdict, Some(reason));
        }
    }

    fn compare(
        &self,
        answer: &mut CheckVerdict,
        check: &Check<'_>,
        reference: Counts,
        levels: Levels,
        family: u64,
        criticals: &mut Criticals,
    ) -> Result<(), JudgeError> {
        let costs = self.costs(check)?;
        let too_little = self.too_little();
        if self.jobs.is_empty() || self.candidate.is_empty() {
            if let Some((verdict, reason)) = too_little {
                (answer.verdict, answer.reason) = (verdict, Some(reason));
            }
            return Ok(());
        }
        answer.look = Some(1);
        answer.censored = costs.censored();
        if answer.censored > 0 {
            answer.reason = Some(format!("{} trials have no finite value: too many failures", answer.censored));
            return Ok(());
        }
        let Weighed { estimate, noise, .. } = costs.weigh(self.input.job_noise);
        let tests = Tests::new(estimate, check.threshold);
        describe(answer, check, estimate, &tests, levels, criticals);
        answer.job_noise = Some(noise);
        if let Some(reason) = too_little.map(|(_, reason)| reason).or_else(|| reference.unfit_reference()) {
            answer.reason = Some(reason);
            return Ok(());
        }
        // Bonferroni, not Holm: neither the order nor the filter of cases, nor other processes, may matter.
        let each = levels.regressed / family.max(1) as f64;
        let slower = tests.slower(check) <= each;
        if let Some(verdict) = tests.decide(check, slower, tests.q0 <= each, levels) {
            answer.verdict = verdict;
        } else {
            answer.suspect = slower;
            answer.reason = Some(undecided(check, answer));
        }
        Ok(())
    }
}

impl Costs {
    fn censored(&self) -> u32 {
        self.jobs.iter().flatten().chain(&self.candidate).filter(|cost| cost.is_infinite()).count() as u32
    }

    /// Both sides must have a trial, and every cost must be finite.
    fn weigh(&self, assumed: f64) -> Weighed {
        let jobs = self.jobs.len() as f64;
        let size = |job: &Vec<f64>| 1.0 / job.len() as f64;
        let (mut within, mut trial_df) = (0.0, 0.0);
        for trials in self.jobs.iter().chain([&self.candidate]) {
            within += squared_deviations(trials);
            trial_df += trials.len() as f64 - 1.0;
        }
        let trial_variance = if trial_df > 0.0 { within / trial_df } else { 0.0 };
        let centres: Vec<f64> = self.jobs.iter().map(|job| trimmed_mean(job)).collect();
        let explained = trial_variance * self.jobs.iter().map(size).sum::<f64>() / jobs;
        let measured = (variance(&centres) - explained).max(0.0);
        let job_df = PRIOR_DF + jobs - 1.0;
        let weight = (jobs - 1.0) / job_df;
        let job_variance = (PRIOR_DF * assumed * assumed + (jobs - 1.0) * measured) / job_df;
        let job_part = job_variance * (1.0 + 1.0 / jobs);
        let trial_part = trial_variance
            * (1.0 / self.candidate.len() as f64 + self.jobs.iter().map(size).sum::<f64>() / (jobs * jobs));
        let total = job_part + trial_part;
        Weighed {
            estimate: Estimate {
                m: trimmed_mean(&self.candidate) - mean(&centres),
                se: total.sqrt().max(LEAST_SE),
                df: satterthwaite(&[(job_part, job_df), (trial_part, trial_df)]),
            },
            trial_share: if total > 0.0 { trial_part / total } else { 0.0 },
            noise: JobNoise {
                assumed,
                measured: (self.jobs.len() > 1).then(|| measured.sqrt()),
                weight,
                used: job_variance.sqrt(),
                jobs: self.jobs.len() as u32,
            },
        }
    }
}
