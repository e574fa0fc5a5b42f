//! Two sides judged by the gate.

use serde::Serialize;

use super::demands::demands;
use super::differ::{changes, differences};
use super::model::{Measured, Tool};
use super::side::Side;
use super::turns::in_turn;
use crate::gate::{self, CaseInput, FEWEST, Job, JudgeError, Mode, Pair, Suite, TrialValues, Verdict};
use crate::harness::verdict::{estimate, medians};
use crate::metric::Better;
use crate::report::{CaseReport, CheckReport, ReferenceInfo};

pub use super::demands::Demand;

/// What the user said about a comparison.
#[derive(Clone, Debug, Default)]
pub struct CompareOptions {
    /// Comparisons beyond, or in place of, the usual ones.
    pub checks: Vec<Demand>,
    /// Conditions that are meant to differ.
    pub allowed: Vec<String>,
    /// Job-to-job noise to assume; else 3 %, and 0.3 % for the embedded server.
    pub job_noise: Option<f64>,
    /// Paired or stored; else as the times of the trials allow.
    pub mode: Option<Mode>,
}

/// Two sides and what the gate says of them.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The reference.
    pub a: String,
    /// The candidate.
    pub b: String,
    /// The worst of the cases.
    pub verdict: Verdict,
    /// The cases that both sides have.
    pub cases: Vec<CaseReport>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// A case of both sides on its way to the judge.
struct Both<'s> {
    report: CaseReport,
    demands: Vec<Demand>,
    a: Vec<Vec<&'s Measured>>,
    b: Vec<&'s Measured>,
    pairs: Option<Vec<Pair>>,
    job_noise: f64,
}

/// Judges what both sides have measured, A as the reference.
///
/// # Errors
/// If they have no case in common, if pairs are asked for that there are not, or if a value cannot be judged.
pub fn compare(a: &Side, b: &Side, options: &CompareOptions) -> Result<Comparison, JudgeError> {
    let (left, right) = (a.cases(), b.cases());
    let mut notes = Vec::new();
    let matched: Vec<(&str, &str)> = match (left.as_slice(), right.as_slice()) {
        // With one load a side it is clear what is meant; that they differ is said.
        ([one], [other]) => vec![(one, other)],
        _ => right.iter().filter(|case| left.contains(case)).map(|case| (*case, *case)).collect(),
    };
    for (side, cases) in [("A", &left), ("B", &right)] {
        let alone = cases.iter().filter(|case| !matched.iter().any(|(a, b)| a == *case || b == *case));
        notes.extend(alone.map(|case| format!("only {side} has `{case}`")));
    }
    if matched.is_empty() {
        return Err(JudgeError {
            message: format!("A and B have no case in common: A has {}, B has {}", quoted(&left), quoted(&right)),
            hint: "measure both under the same load".into(),
        });
    }
    let mut both = matched
        .into_iter()
        .map(|(of_a, of_b)| Both::new((a, of_a), (b, of_b), options))
        .collect::<Result<Vec<_>, _>>()?;
    for mode in [Mode::Paired, Mode::Stored] {
        judge(&mut both, mode)?;
    }
    let cases: Vec<CaseReport> = both.into_iter().map(|both| both.report).collect();
    Ok(Comparison {
        a: a.about(),
        b: b.about(),
        verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)),
        cases,
        notes,
    })
}

fn quoted(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl<'s> Both<'s> {
    fn new(
        (a, of_a): (&'s Side, &str),
        (b, of_b): (&'s Side, &str),
        options: &CompareOptions,
    ) -> Result<Self, JudgeError> {
        let jobs = a.jobs(of_a);
        let candidate: Vec<&Measured> = b.jobs(of_b).into_iter().flatten().collect();
        let reference: Vec<&Measured> = jobs.iter().flatten().copied().collect();
        let pairs = match options.mode {
            Some(Mode::Stored) => None,
            Some(Mode::Paired) => Some(in_turn(&reference, &candidate).ok_or_else(|| JudgeError {
                message: format!(
                    "`{of_b}`: A and B were not measured in turn ({} and {} trials, by the times in the files)",
                    reference.len(),
                    candidate.len()
                ),
                hint: "measure A, B, B, A, … one after the other, or leave `--mode paired` out".into(),
            })?),
            None => in_turn(&reference, &candidate),
        };
        let source =
            b.sources.iter().find_map(|source| source.run.as_ref()?.cases.iter().find(|case| case.case == of_b));
        let embedded = a.sources.iter().chain(&b.sources).all(super::side::Source::is_embedded);
        let job_noise = options.job_noise.unwrap_or(if embedded { 0.003 } else { gate::default_job_noise() });
        let mode = if pairs.is_some() { Mode::Paired } else { Mode::Stored };
        let mut report = CaseReport { verdict: Verdict::Inconclusive, ..CaseReport::empty(of_b, mode) };
        report.differences = differences(&reference, &candidate, &options.allowed);
        if of_a != of_b {
            report.notes.push(format!("A's case is `{of_a}`"));
        }
        if let Some(source) = source {
            (report.file, report.scenario) = (source.file.clone(), source.scenario.clone());
            report.description.clone_from(&source.description);
        }
        report.reference = Some(ReferenceInfo {
            name: a.about(),
            candidate: b.about(),
            differences: changes(&reference, &candidate),
            statistics: medians(&values(&reference)),
        });
        let own = values(&candidate);
        report.statistics = medians(&own);
        report.requests = own.iter().map(|trial| trial.n).sum();
        report.errors = own.iter().map(|trial| trial.errors).sum();
        if [&reference, &candidate].iter().any(|side| side.iter().any(|trial| of_first_chunk(trial))) {
            report.notes.push(
                "vllm's chat backend takes the first chunk, which may have no text, for the first token: its TTFT and TPOT \
                 may not be those of the first token"
                    .into(),
            );
        }
        Ok(Self { report, demands: demands(source, &options.checks), a: jobs, b: candidate, pairs, job_noise })
    }

    fn input(&self) -> (Vec<Demand>, CaseInput) {
        let reference: Vec<&Measured> = self.a.iter().flatten().copied().collect();
        let (wanted, checks): (Vec<Demand>, Vec<_>) =
            self.demands.iter().filter_map(|demand| Some((*demand, demand.input(&reference, &self.b)?))).unzip();
        let case = self.report.case.clone();
        let input = if let Some(pairs) = &self.pairs {
            let mut input = CaseInput::paired(case, checks, pairs.clone());
            input.k_max = Some(pairs.len() as u32);
            input
        } else {
            let jobs = self.a.iter().map(|job| Job { trials: values(job) }).collect();
            CaseInput::stored(case, checks, self.job_noise, jobs, Job { trials: values(&self.b) })
        };
        (wanted, input)
    }
}

/// Whether the tool may have taken a chunk without text for the first token.
fn of_first_chunk(trial: &Measured) -> bool {
    trial.tool == Tool::Vllm && trial.conditions.get("backend").is_some_and(|backend| backend.contains("chat"))
}

fn values(trials: &[&Measured]) -> Vec<TrialValues> {
    trials.iter().map(|trial| trial.values.clone()).collect()
}

/// Judges the cases of a mode; those of both modes are one family.
fn judge(all: &mut [Both<'_>], mode: Mode) -> Result<(), JudgeError> {
    let gating = |both: &Both<'_>| {
        let (_, input) = both.input();
        input.checks.iter().filter(|c| !c.advisory && c.unresolved.is_none() && c.metric != "error_rate").count() as u64
    };
    let family = all.iter().map(gating).sum::<u64>().max(1);
    let family_cases = all.len() as u64;
    let mut of_mode: Vec<&mut Both<'_>> = all.iter_mut().filter(|both| both.report.mode == mode).collect();
    if of_mode.is_empty() {
        return Ok(());
    }
    let (wanted, inputs): (Vec<_>, Vec<_>) = of_mode.iter().map(|both| both.input()).unzip();
    let mut suite = Suite::new(mode, inputs);
    (suite.family, suite.family_cases) = (Some(family), Some(family_cases));
    let verdicts = gate::judge(&suite)?.cases;
    for ((both, verdict), wanted) in of_mode.iter_mut().zip(verdicts).zip(wanted) {
        conclude(both, verdict, &wanted);
    }
    Ok(())
}

fn conclude(both: &mut Both<'_>, verdict: gate::CaseVerdict, wanted: &[Demand]) {
    let reference: Vec<&Measured> = both.a.iter().flatten().copied().collect();
    let (left, right) = (values(&reference), values(&both.b));
    let other_conditions = !both.report.differences.is_empty();
    both.report.pairs_used = verdict.pairs_used;
    both.report.checks = verdict
        .checks
        .into_iter()
        .zip(wanted)
        .map(|(mut judged, demand)| {
            if other_conditions && judged.verdict != Verdict::Unresolved {
                // The figures stay; a verdict on another load would be about the load.
                (judged.verdict, judged.suspect) = (Verdict::Inconclusive, false);
                judged.reason = Some("measured under other conditions".into());
            }
            CheckReport {
                waiver: None,
                limit: demand.limit(),
                line: None,
                unit: demand.metric.metric.unit().to_owned(),
                value: estimate(demand.metric, &right),
                reference: estimate(demand.metric, &left),
                tolerance: Some(demand.tolerance),
                marginal: false,
                value_ci: None,
                higher_is_better: demand.metric.metric.better() == Better::Higher,
                judged,
            }
        })
        .collect();
    let gating = both.report.checks.iter().filter(|check| !check.judged.advisory);
    both.report.verdict = Verdict::of_all(gating.map(|check| check.judged.verdict));
    if both.report.verdict == Verdict::Regressed {
        both.report.failed = Some("a check is worse than its tolerance allows".into());
    }
    advise(both);
}

/// What would have to be measured for a verdict.
fn advise(both: &mut Both<'_>) {
    let report = &mut both.report;
    if !report.differences.is_empty() {
        report.hints.push(
            "measure both under the same conditions; if they are meant to differ, say so with `--allow NAME`".into(),
        );
        return;
    }
    let few = |have: usize| (FEWEST as usize).checked_sub(have).filter(|more| *more > 0);
    if let Some(pairs) = &both.pairs {
        if let Some(more) = few(pairs.len()) {
            report.hints.push(format!(
                "{} pairs decide nothing: at least {FEWEST} are needed, so measure {more} more on each side",
                pairs.len()
            ));
        }
    } else if let Some(more) = few(both.b.len()) {
        let have = both.b.len();
        let trials = if have == 1 { "1 trial decides" } else { &format!("{have} trials decide") };
        report.hints.push(format!(
            "B's {trials} nothing: at least {FEWEST} are needed, so measure {more} more and give all of them (and as many for A)"
        ));
    } else if report.verdict == Verdict::Inconclusive {
        let jobs = both.a.len();
        report.hints.push(format!(
            "A is {} and a job-to-job noise of {} % is assumed: give more jobs for A (a run or folder each), set `--job-noise` \
             to what you know of the machine, or measure A and B in turn (A, B, B, A, …), which cancels it",
            if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") },
            (both.job_noise * 1e4).round() / 1e2
        ));
    }
}
