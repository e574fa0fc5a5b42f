use super::*;
use crate::gate::Verdict::{Improved, Inconclusive, Missing, Pass, Regressed, Unresolved};
use crate::gate::needs_more_trials;

const METRIC: &str = "ttft.p50";

fn trials(count: usize, ms: f64) -> Vec<TrialValues> {
    (0..count).map(|at| trial(0, &[(METRIC, Some(ms * wobble(at)))])).collect()
}

/// `jobs` accepted jobs around 50 ms and a candidate.
fn case(jobs: usize, count: usize, ms: f64) -> CaseInput {
    let jobs = (0..jobs).map(|at| job(trials(8, 50.0 * wobble(at + 3)))).collect();
    CaseInput::stored("c", vec![check(METRIC, 0.05)], 0.003, jobs, job(trials(count, ms)))
}

fn stored(cases: Vec<CaseInput>) -> Suite {
    Suite::new(Mode::Stored, cases)
}

#[test]
fn unchanged_slower_faster() {
    for (ms, expected) in [(50.0, Pass), (51.0, Pass), (60.0, Regressed), (42.0, Improved), (52.5, Inconclusive)] {
        let answer = judged(&stored(vec![case(10, 8, ms)]));
        assert_eq!((answer.verdict, answer.cases[0].pairs_used), (expected, 8), "{ms}");
        assert_eq!(only(&answer).look, Some(1));
    }
}

#[test]
fn one_job_under_the_usual_noise_cannot_tell() {
    let mut noisy = case(1, 8, 60.0);
    noisy.job_noise = 0.03;
    let answer = judged(&stored(vec![noisy]));
    let noise = only(&answer).job_noise.unwrap();
    assert_eq!(only(&answer).verdict, Regressed);
    assert_eq!((noise.assumed, noise.measured, noise.weight, noise.jobs), (0.03, None, 0.0, 1));
    assert!((noise.used - 0.03).abs() < 1e-12);
    let mut noisy = case(1, 8, 55.0);
    noisy.job_noise = 0.03;
    assert_eq!(judged(&stored(vec![noisy])).verdict, Inconclusive);
    let nine = judged(&stored(vec![case(9, 8, 50.0)]));
    let noise = only(&nine).job_noise.unwrap();
    assert!((noise.weight - 0.5).abs() < 1e-12 && noise.measured.unwrap() > 0.003);
}

#[test]
fn without_jobs_the_baseline_is_missing() {
    let answer = judged(&stored(vec![case(0, 8, 50.0)]));
    assert_eq!(answer.verdict, Missing);
    assert_eq!(only(&answer).reason.as_deref(), Some("no accepted job to compare with"));
    assert_eq!(judged(&stored(vec![case(0, 0, 50.0)])).verdict, Missing);
}

#[test]
fn fewer_than_six_trials_decide_nothing_but_have_figures() {
    for count in 0..6 {
        let answer = judged(&stored(vec![case(10, count, 80.0)]));
        assert_eq!((answer.verdict, answer.cases[0].pairs_used), (Inconclusive, count as u32));
        assert_eq!(only(&answer).ratio.is_some(), count > 0);
        let reason = only(&answer).reason.as_deref().unwrap();
        assert_eq!(reason, format!("{count} trials; nothing is decided on fewer than 6"));
    }
}

#[test]
fn only_the_last_thirty_jobs_count() {
    let recent = case(30, 8, 50.0);
    let mut more = recent.clone();
    // So old that even the metric was unknown.
    more.jobs.as_mut().unwrap().insert(0, job([trial(0, &[])]));
    assert_eq!(judged(&stored(vec![more])), judged(&stored(vec![recent])));
}

#[test]
fn a_censored_value_decides_nothing() {
    let mut censored = case(10, 8, 50.0);
    censored.jobs.as_mut().unwrap()[3].trials[2].values.insert(METRIC.into(), None);
    let answer = judged(&stored(vec![censored]));
    assert_eq!((answer.verdict, only(&answer).censored), (Inconclusive, 1));
}

#[test]
fn one_trial_a_job_leaves_the_trial_part_to_the_candidate() {
    let jobs = (0..10).map(|at| job(trials(1, 50.0 * wobble(at)))).collect();
    let single = CaseInput::stored("c", vec![check(METRIC, 0.05)], 0.003, jobs, job(trials(8, 50.0)));
    assert_eq!(judged(&stored(vec![single])).verdict, Pass);
}

#[test]
fn no_variation_at_all_is_judged() {
    let steady = |ms: f64| job((0..8).map(|_| trial(0, &[(METRIC, Some(ms))])));
    for (ms, expected) in [(50.0, Pass), (52.4, Pass), (52.6, Regressed), (40.0, Improved)] {
        let jobs = vec![steady(50.0); 3];
        let case = CaseInput::stored("c", vec![check(METRIC, 0.05)], 0.0, jobs, steady(ms));
        assert_eq!(judged(&stored(vec![case])).verdict, expected, "{ms}");
    }
}

#[test]
fn the_family_counts_what_gates_anywhere() {
    let mut suite = stored(vec![case(10, 8, 54.5)]);
    assert_eq!(judged(&suite).verdict, Regressed);
    suite.family = Some(u64::MAX);
    let answer = judged(&suite);
    assert_eq!((answer.verdict, only(&answer).suspect), (Inconclusive, false));
}

#[test]
fn too_few_requests_in_an_old_job_leave_a_quantile_unresolved() {
    let mut small = case(10, 8, 50.0);
    small.jobs.as_mut().unwrap()[0].trials[0].n = 9;
    assert_eq!(judged(&stored(vec![small])).verdict, Unresolved);
}

#[test]
fn errors_are_pooled_over_all_jobs() {
    let with_errors = |reference: u64, candidate: u64, jobs: usize| {
        let mut case = case(jobs, 8, 50.0);
        case.checks.push(check("error_rate", 0.005));
        for trial in case.jobs.iter_mut().flatten().flat_map(|job| &mut job.trials) {
            trial.errors = reference;
        }
        for trial in &mut case.candidate.as_mut().unwrap().trials {
            trial.errors = candidate;
        }
        let answer = judged(&stored(vec![case]));
        answer.cases[0].checks.iter().map(|check| check.verdict).collect::<Vec<_>>()
    };
    assert_eq!(with_errors(0, 0, 10), [Pass, Pass]);
    assert_eq!(with_errors(1, 1, 10), [Pass, Pass]);
    assert_eq!(with_errors(0, 4, 10), [Pass, Regressed]);
    assert_eq!(with_errors(4, 4, 10), [Inconclusive, Pass]);
    // No baseline is needed to find that more than 5 % fail.
    assert_eq!(with_errors(0, 4, 0), [Missing, Missing]);
    assert_eq!(with_errors(0, 11, 0), [Missing, Regressed]);
}

#[test]
fn more_trials_are_asked_for_while_they_dominate() {
    let quiet = case(10, 8, 50.0);
    let mut noisy_trials = quiet.clone();
    noisy_trials.candidate =
        Some(job((0..6).map(|at| trial(0, &[(METRIC, Some(if at % 2 == 0 { 45.0 } else { 55.0 }))]))));
    assert_eq!(needs_more_trials(&quiet), Ok(false));
    assert_eq!(needs_more_trials(&noisy_trials), Ok(true));
    noisy_trials.checks[0].advisory = true;
    assert_eq!(needs_more_trials(&noisy_trials), Ok(false));
    assert_eq!(needs_more_trials(&case(0, 8, 50.0)), Ok(false));
    assert_eq!(needs_more_trials(&case(10, 0, 50.0)), Ok(false));
}
