//! A case's verdict: the judge's answers on comparisons, fixed limits, and what keeps either from being asked.

use std::collections::BTreeMap;

use crate::baseline::Baseline;
use crate::gate::{self, CaseInput, CheckInput, CheckVerdict, Job, Mode, Pair, Suite, TrialValues, Verdict};
use crate::harness::soak;
use crate::metric::{Better, Metric, MetricId, Scale, Shape};
use crate::report::CheckReport;
use crate::scenario::{Case, Check, Gate, OnInconclusive, OnMissing, Reference};
use crate::stats::trimmed::trimmed_mean;

/// An error rate above this fails whatever the baseline.
const MOST_ERRORS: f64 = 0.05;

/// What a case is judged on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// The candidate's valid trials.
    pub(crate) trials: &'a [TrialValues],
    /// The accepted jobs.
    pub(crate) baseline: Option<&'a Baseline>,
    /// Conditions in which the two differ, in words.
    pub(crate) differences: &'a [String],
    /// Comparisons of all cases of the profile that share the false-alarm rate.
    pub(crate) family: u64,
    /// Cases that share the error rates' own.
    pub(crate) family_cases: u64,
    /// Job-to-job noise of the profile.
    pub(crate) job_noise: f64,
}

/// The checks of `case`, each with its verdict, in the order of the scenario.
pub(crate) fn judge(case: &Case, evidence: Evidence<'_>) -> Result<Vec<CheckReport>, gate::JudgeError> {
    let verdicts = compare(case, &comparisons(case), evidence)?;
    let jobs = jobs(evidence.baseline);
    let reference = |check: &Check| {
        let values: Vec<f64> = jobs.iter().filter_map(|job| estimate(check.metric, &job.trials)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Ok(reports(case, verdicts, evidence.trials, reference))
}

/// The same of a case that was measured in pairs, with what the judge said of its comparisons.
pub(crate) fn paired(case: &Case, verdicts: Vec<CheckVerdict>, pairs: &[Pair]) -> Vec<CheckReport> {
    let side = |of: fn(&Pair) -> &TrialValues| pairs.iter().map(|pair| of(pair).clone()).collect::<Vec<_>>();
    let (reference, candidate) = (side(|pair| &pair.a), side(|pair| &pair.b));
    reports(case, verdicts, &candidate, |check| estimate(check.metric, &reference))
}

/// A case that is measured in pairs, as the judge takes it. `most` is the most pairs that it may take.
pub(crate) fn paired_input(case: &Case, pairs: &[Pair], most: u32) -> CaseInput {
    let checks = comparisons(case);
    let trials: Vec<TrialValues> = pairs.iter().flat_map(|pair| [pair.a.clone(), pair.b.clone()]).collect();
    let mut input = CaseInput::paired(case.name.clone(), inputs(&checks, &trials, &[]), pairs.to_vec());
    input.k_max = Some(most);
    input
}

/// Verdicts of all comparisons of a case that cannot be compared.
pub(crate) fn incomparable(case: &Case, reason: &str) -> Vec<CheckVerdict> {
    all(&comparisons(case), Verdict::Inconclusive, reason)
}

/// What of a case is judged by comparison, in the order of the scenario.
fn comparisons(case: &Case) -> Vec<&Check> {
    case.gate.checks.iter().filter(|check| check.limit.is_comparison()).collect()
}

fn all(checks: &[&Check], verdict: Verdict, reason: &str) -> Vec<CheckVerdict> {
    let one = |check: &&Check| {
        let mut judged = CheckVerdict::new(check.metric.to_string(), verdict);
        judged.advisory = check.advisory;
        judged.reason = Some(reason.to_owned());
        judged
    };
    checks.iter().map(one).collect()
}

/// Fixed limits are judged on `trials`; the comparisons have their verdicts already.
fn reports(
    case: &Case,
    verdicts: Vec<CheckVerdict>,
    trials: &[TrialValues],
    reference: impl Fn(&Check) -> Option<f64>,
) -> Vec<CheckReport> {
    let mut verdicts = verdicts.into_iter();
    let report = |check: &Check| {
        if let Reference::Absolute(limit) = check.limit.reference {
            let absolute = gate::absolute(check.metric, limit, trials);
            let mut judged = absolute.check;
            judged.advisory = check.advisory;
            return CheckReport {
                value: absolute.value,
                value_ci: absolute.interval,
                marginal: absolute.marginal,
                ..plain(check, judged)
            };
        }
        let judged = verdicts.next().unwrap_or_else(|| CheckVerdict::new(check.metric.to_string(), Verdict::Missing));
        CheckReport { value: estimate(check.metric, trials), reference: reference(check), ..plain(check, judged) }
    };
    case.gate.checks.iter().map(report).collect()
}

fn plain(check: &Check, judged: CheckVerdict) -> CheckReport {
    CheckReport {
        judged,
        limit: check.limit.text(check.metric),
        line: check.line,
        unit: check.metric.metric.unit().to_owned(),
        value: None,
        reference: None,
        tolerance: check.limit.tolerance(),
        marginal: false,
        value_ci: None,
        higher_is_better: check.metric.metric.better() == Better::Higher,
        waiver: None,
    }
}

/// The accepted jobs in the judge's form.
pub(crate) fn jobs(baseline: Option<&Baseline>) -> Vec<Job> {
    baseline
        .map_or_else(Vec::new, |baseline| baseline.jobs.iter().map(|job| Job { trials: job.trials.clone() }).collect())
}

/// The checks of a case as the judge takes them: comparisons only, each with the reason if it cannot be assessed.
pub(crate) fn inputs(checks: &[&Check], trials: &[TrialValues], jobs: &[Job]) -> Vec<CheckInput> {
    checks
        .iter()
        .map(|check| {
            let metric = check.metric.to_string();
            let lacks = |trial: &TrialValues| !trial.values.contains_key(&metric);
            let counted = check.metric.metric == Metric::ErrorRate;
            let unresolved = if counted {
                None
            } else if trials.iter().any(lacks) {
                Some(absent(check))
            } else if jobs.iter().flat_map(|job| &job.trials).any(lacks) {
                Some("the baseline has no such value: record a new one and accept it".into())
            } else {
                None
            };
            CheckInput {
                better: check.metric.metric.better(),
                tolerance: check.limit.tolerance().unwrap_or_default(),
                advisory: check.advisory,
                unresolved,
                metric,
            }
        })
        .collect()
}

fn absent(check: &Check) -> String {
    match (check.metric.metric, check.metric.metric.shape()) {
        (Metric::Goodput | Metric::GoodputRatio, _) => "goodput needs an `[slo]` table".into(),
        (Metric::PrefixHitRatio | Metric::CachedTokens, _) => {
            "the server does not say how many tokens were cached".into()
        }
        (_, Shape::Single) => "the steady window is shorter than half of the trial: ask for more requests".into(),
        _ => "the trials have no such value".into(),
    }
}

fn compare(case: &Case, checks: &[&Check], evidence: Evidence<'_>) -> Result<Vec<CheckVerdict>, gate::JudgeError> {
    if evidence.baseline.is_none() {
        let mut verdicts = all(checks, Verdict::Missing, "there is no baseline to compare with");
        for judged in &mut verdicts {
            // Without a baseline the errors can still be too many, and need no comparison to be few enough.
            if judged.metric == Metric::ErrorRate.name() {
                *judged = without_baseline(judged, evidence.trials);
            } else if case.gate.on_missing_baseline == OnMissing::Skip {
                judged.advisory = true;
            }
        }
        return Ok(verdicts);
    }
    if !evidence.differences.is_empty() {
        return Ok(all(checks, Verdict::Inconclusive, "measured under other conditions than the baseline"));
    }
    let jobs = jobs(evidence.baseline);
    let inputs = inputs(checks, evidence.trials, &jobs);
    let candidate = Job { trials: evidence.trials.to_vec() };
    let mut suite = Suite::new(
        Mode::Stored,
        vec![CaseInput::stored(case.name.clone(), inputs, evidence.job_noise, jobs, candidate)],
    );
    suite.family = Some(evidence.family.max(1));
    suite.family_cases = Some(evidence.family_cases.max(1));
    Ok(gate::judge(&suite)?.cases.into_iter().next().map_or_else(Vec::new, |case| case.checks))
}

fn without_baseline(judged: &CheckVerdict, trials: &[TrialValues]) -> CheckVerdict {
    let absolute = gate::absolute(MetricId { metric: Metric::ErrorRate, statistic: None }, MOST_ERRORS, trials);
    let mut check = absolute.check;
    check.advisory = judged.advisory;
    check.reason = Some(format!("no baseline: only more than {} % of errors fails", MOST_ERRORS * 100.0));
    check
}

/// The estimate of a metric over trials: the trimmed mean, of logarithms for ratios, as the judge takes it.
pub(crate) fn estimate(id: MetricId, trials: &[TrialValues]) -> Option<f64> {
    if id.metric == Metric::ErrorRate {
        let (errors, n) = trials.iter().fold((0, 0), |(e, n), trial| (e + trial.errors, n + trial.n));
        return (n > 0).then(|| errors as f64 / n as f64);
    }
    let metric = id.to_string();
    let values: Option<Vec<f64>> = trials.iter().map(|trial| trial.values.get(&metric).copied().flatten()).collect();
    let values = values.filter(|values| !values.is_empty())?;
    if id.metric.scale() == Scale::Difference || values.iter().any(|value| *value <= 0.0) {
        return Some(trimmed_mean(&values));
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    Some(trimmed_mean(&logs).exp())
}

/// The rule by which a case fails the build, if it does.
pub(crate) fn failing_rule(
    verdict: Verdict,
    checks: &[CheckReport],
    gate: &Gate,
    ci: bool,
    quick: bool,
) -> Option<String> {
    match verdict {
        Verdict::Regressed => Some("a check is worse than its tolerance allows".into()),
        Verdict::Exceeded if leaks(checks) => Some("the server leaks memory".into()),
        Verdict::Exceeded => Some("a fixed limit is missed".into()),
        Verdict::Invalid => Some("what was measured is no measurement".into()),
        Verdict::Missing => match (gate.on_missing_baseline, ci) {
            (OnMissing::Fail, _) => Some("there is no baseline and `on_missing_baseline = \"fail\"`".into()),
            (OnMissing::Record, true) => Some("there is no baseline, and in CI none is recorded".into()),
            _ => None,
        },
        Verdict::Inconclusive | Verdict::Unresolved if gate.on_inconclusive == OnInconclusive::Fail => {
            Some(format!("the verdict is {verdict} and `on_inconclusive = \"fail\"`"))
        }
        // A quick run is asked for knowing that it decides nothing.
        Verdict::Inconclusive if ci && !quick => checks
            .iter()
            .filter(|check| check.judged.verdict == Verdict::Inconclusive && !check.judged.advisory)
            .find(|check| check.judged.detectable.is_none_or(|size| size > gate.blind_above))
            .map(|check| {
                if soak::is_soak(check) {
                    return format!("`{}` is inconclusive, and in CI nobody looks again", check.judged.metric);
                }
                format!(
                    "`{}` is inconclusive and a slowdown of {} could not have been seen (`blind_above`)",
                    check.judged.metric,
                    crate::report::percent(gate.blind_above)
                )
            }),
        Verdict::Inconclusive | Verdict::Unresolved | Verdict::Pass | Verdict::Improved => None,
    }
}

/// Whether all that is missed is the growth that a soak test allows.
fn leaks(checks: &[CheckReport]) -> bool {
    let missed = |check: &&CheckReport| check.judged.verdict == Verdict::Exceeded && !check.judged.advisory;
    checks.iter().any(|check| missed(&check)) && checks.iter().filter(missed).all(soak::is_soak)
}

/// Medians over trials of every value they hold.
pub(crate) fn medians(trials: &[TrialValues]) -> BTreeMap<String, f64> {
    let mut columns: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for trial in trials {
        for (metric, value) in &trial.values {
            columns.entry(metric).or_default().extend(value);
        }
    }
    columns
        .into_iter()
        .filter_map(|(metric, mut values)| {
            values.sort_by(f64::total_cmp);
            Some((metric.to_owned(), crate::stats::quantile::quantile(&values, 0.5)?))
        })
        .collect()
}
