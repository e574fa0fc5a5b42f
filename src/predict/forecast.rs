//! What the gate will say of a slowdown, before anything is measured.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Job};
use crate::gate::{self, JudgeError, Mode, Suite, Verdict};
use crate::harness::verdict::{self, Evidence};
use crate::metric::{Metric, MetricId, Scale};
use crate::plan::Plan;
use crate::predict::virtual_run::{VirtualJob, job_over_loopback, pairs_over_loopback};
use crate::profile::Embedded;
use crate::report::CheckReport;
use crate::scenario::{Case, Check};
use crate::stats::variance::{mean, variance};

/// Virtual jobs of each side that are added at a time. The draws of both sides are the same job by job, so that most of
/// the jitter cancels.
const JOBS: usize = 8;
/// Jobs of each side at most, for cases in which load and jitter play together.
const JOBS_AT_MOST: usize = 256;
/// Runs of pairs at most.
const RUNS_AT_MOST: usize = 64;
/// Jobs of the baseline that each candidate job is judged against, as `run --record 3` makes one.
const BASELINE_JOBS: usize = 3;

/// What a forecast is judged by, besides the case's own checks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Comparisons of all cases that share the false-alarm rate.
    pub family: u64,
    /// Cases that share the error rates' own.
    pub family_cases: u64,
    /// Job-to-job noise of the profile.
    pub job_noise: f64,
    /// Virtual jobs are added until the standard error of each gating change is below this (`0.002` is 0.2 points), or
    /// there are 256 of them.
    pub precision: f64,
}

/// What to expect of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The case's name.
    pub case: String,
    /// One for each comparison, in the order of the scenario.
    pub checks: Vec<CheckForecast>,
    /// Why the trials will be no measurement, if so.
    pub invalid: Option<String>,
}

/// What to expect of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckForecast {
    /// What is compared.
    pub metric: MetricId,
    /// Whether it has no say in the case's verdict.
    pub advisory: bool,
    /// Candidate over reference in cost (more is worse, whichever direction is good), or their difference for shares;
    /// `None` where one side has no finite value.
    pub change: Option<f64>,
    /// Standard error of `change`.
    pub error: f64,
    /// Standard deviation of what a single run will measure against a baseline of three jobs.
    pub spread: f64,
    /// How much worse is accepted: a part, or points for shares.
    pub tolerance: f64,
    /// Whether `change` exceeds the tolerance.
    pub beyond: bool,
    /// The verdict that most of the virtual jobs get.
    pub verdict: Verdict,
    /// How many of them get it.
    pub agree: u32,
    /// How many there were.
    pub jobs: u32,
}

impl CheckForecast {
    /// Whether `change` is a difference of shares and no ratio.
    pub fn is_difference(&self) -> bool {
        self.metric.metric.scale() == Scale::Difference
    }
}

/// Compares `candidate` with `reference`, two settings of the embedded server, on the case's plan.
///
/// # Errors
/// Only if the judge refuses the values.
pub fn forecast(
    case: &Case,
    plan: &Plan,
    reference: &Embedded,
    candidate: &Embedded,
    terms: Terms,
) -> Result<Forecast, JudgeError> {
    let mut pairs = Pairs { case, plan, sides: [reference, candidate], terms, jobs: Vec::new(), own: Vec::new() };
    loop {
        pairs.grow();
        let invalid = pairs.invalid();
        if invalid.is_none() {
            pairs.measure()?;
            if !pairs.precise() && pairs.jobs.len() < JOBS_AT_MOST {
                continue;
            }
        }
        let others = if invalid.is_none() { pairs.verdicts()? } else { Vec::new() };
        return Ok(Forecast { case: case.name.clone(), checks: pairs.checks(&others), invalid });
    }
}

/// The same of a case that is measured in pairs.
///
/// # Errors
/// Only if the judge refuses the values.
pub fn forecast_pairs(case: &Case, plan: &Plan, sides: [&Embedded; 2], terms: Terms) -> Result<Forecast, JudgeError> {
    let most = case.trials.pairs(false);
    let mut runs: Vec<Vec<CheckReport>> = Vec::new();
    loop {
        for seed in runs.len()..runs.len() + JOBS {
            let found = pairs_over_loopback(case, plan, sides, seed as u64, most);
            if let Some(invalid) = found.invalid {
                let checks = comparisons(case).map(|(at, check)| of_check(check, at, &[], &[])).collect();
                return Ok(Forecast { case: case.name.clone(), checks, invalid: Some(invalid.reason) });
            }
            let mut suite = Suite::new(Mode::Paired, vec![verdict::paired_input(case, &found.pairs, most)]);
            (suite.family, suite.family_cases) = (Some(terms.family.max(1)), Some(terms.family_cases.max(1)));
            let judged = gate::judge(&suite)?.cases.into_iter().next().map_or_else(Vec::new, |case| case.checks);
            runs.push(verdict::paired(case, judged, &found.pairs));
        }
        if precise(case, &runs, terms.precision) || runs.len() >= RUNS_AT_MOST {
            let checks = comparisons(case).map(|(at, check)| of_check(check, at, &runs, &runs)).collect();
            return Ok(Forecast { case: case.name.clone(), checks, invalid: None });
        }
    }
}

/// The comparisons with their places among all checks.
fn comparisons(case: &Case) -> impl Iterator<Item = (usize, &Check)> {
    case.gate.checks.iter().enumerate().filter(|(_, check)| check.limit.is_comparison())
}

/// Whether the changes of all gating comparisons are known well enough.
fn precise(case: &Case, answers: &[Vec<CheckReport>], precision: f64) -> bool {
    comparisons(case)
        .filter(|(_, check)| !check.advisory)
        .all(|(at, check)| steps(check, at, answers).is_none_or(|steps| standard_error(&steps) <= precision))
}

/// Jobs of both sides with the same draws.
struct Pairs<'a> {
    case: &'a Case,
    plan: &'a Plan,
    /// Settings of the reference and of the candidate.
    sides: [&'a Embedded; 2],
    terms: Terms,
    jobs: Vec<[VirtualJob; 2]>,
    /// Each candidate job against the reference job with the same draws: for the size of the change.
    own: Vec<Vec<CheckReport>>,
}

impl Pairs<'_> {
    fn grow(&mut self) {
        let (case, plan, sides) = (self.case, self.plan, self.sides);
        for seed in self.jobs.len()..self.jobs.len() + JOBS {
            let run = |config, length| job_over_loopback(case, plan, config, seed as u64, case.trials.min, length);
            let reference = run(sides[0], None);
            let length = reference.trials.iter().find_map(|trial| *trial.values.get("output_tokens.p50")?);
            let candidate = run(sides[1], length);
            self.jobs.push([reference, candidate]);
        }
    }

    fn invalid(&self) -> Option<String> {
        let given_up = self.jobs.iter().flatten().find(|job| job.given_up)?;
        let (_, reasons) = given_up.invalid.first()?;
        Some(reasons.first()?.reason.clone())
    }

    fn measure(&mut self) -> Result<(), JudgeError> {
        for at in self.own.len()..self.jobs.len() {
            let answer = self.judge(at, &[at])?;
            self.own.push(answer);
        }
        Ok(())
    }

    /// Each candidate job against reference jobs with other draws, as it will be.
    fn verdicts(&self) -> Result<Vec<Vec<CheckReport>>, JudgeError> {
        let others = |at: usize| (1..=BASELINE_JOBS).map(|step| (at + step) % self.jobs.len()).collect::<Vec<_>>();
        (0..self.jobs.len()).map(|at| self.judge(at, &others(at))).collect()
    }

    fn judge(&self, candidate: usize, references: &[usize]) -> Result<Vec<CheckReport>, JudgeError> {
        let accepted = |at: &usize| Job { trials: self.jobs[*at][0].trials.clone(), ..Job::default() };
        let baseline = Baseline {
            case: self.case.name.clone(),
            profile: String::new(),
            conditions: BTreeMap::new(),
            jobs: references.iter().map(accepted).collect(),
            anchors: Vec::new(),
        };
        let Terms { family, family_cases, job_noise, .. } = self.terms;
        let evidence = Evidence {
            trials: &self.jobs[candidate][1].trials,
            baseline: Some(&baseline),
            differences: &[],
            family,
            family_cases,
            job_noise,
        };
        verdict::judge(self.case, evidence)
    }

    fn precise(&self) -> bool {
        precise(self.case, &self.own, self.terms.precision)
    }

    fn checks(&self, others: &[Vec<CheckReport>]) -> Vec<CheckForecast> {
        comparisons(self.case).map(|(at, check)| of_check(check, at, &self.own, others)).collect()
    }
}

/// The changes in cost that each job was found to have; `None` unless every job has one.
fn steps(check: &Check, at: usize, answers: &[Vec<CheckReport>]) -> Option<Vec<f64>> {
    let step = |answer: &Vec<CheckReport>| {
        let judged = &answer[at].judged;
        if check.metric.metric == Metric::ErrorRate { judged.difference } else { judged.m }
    };
    answers.iter().map(step).collect::<Option<Vec<f64>>>().filter(|steps| !steps.is_empty())
}

fn standard_deviation(steps: &[f64]) -> f64 {
    if steps.len() < 2 { 0.0 } else { variance(steps).sqrt() }
}

fn standard_error(steps: &[f64]) -> f64 {
    standard_deviation(steps) / (steps.len() as f64).sqrt()
}

fn of_check(check: &Check, at: usize, own: &[Vec<CheckReport>], others: &[Vec<CheckReport>]) -> CheckForecast {
    let mut verdicts = BTreeMap::<Verdict, u32>::new();
    for answer in others {
        *verdicts.entry(answer[at].judged.verdict).or_default() += 1;
    }
    let (verdict, agree) = verdicts.into_iter().max_by_key(|(_, n)| *n).unwrap_or((Verdict::Invalid, 0));
    let steps_of = |answers| steps(check, at, answers);
    let ratio = check.metric.metric.scale() == Scale::Ratio;
    let cost = steps_of(own).map(|steps| mean(&steps));
    let change = cost.map(|cost| if ratio { cost.exp() } else { cost });
    // A small step of a logarithm is so large a part of the ratio.
    let scale = if ratio { change.unwrap_or(1.0) } else { 1.0 };
    let tolerance = check.limit.tolerance().unwrap_or_default();
    CheckForecast {
        metric: check.metric,
        advisory: check.advisory,
        change,
        error: steps_of(own).map_or(0.0, |steps| scale * standard_error(&steps)),
        spread: steps_of(others).map_or(0.0, |steps| scale * standard_deviation(&steps)),
        tolerance,
        beyond: change.is_some_and(|change| change > tolerance + if ratio { 1.0 } else { 0.0 }),
        verdict,
        agree,
        jobs: others.len() as u32,
    }
}
