//! The error rate: pooled counts, judged before anything else.

use crate::stats::interval::{Proportion, difference_at_least, difference_at_most};
use crate::stats::student::normal_critical;

use super::evidence::{Levels, percent};
use super::protocol::TrialValues;
use super::verdict::{CheckVerdict, Verdict};

/// Above this the candidate fails whatever the reference does.
const NEVER_ABOVE: f64 = 0.05;
/// Above this the reference is in no state to be compared with.
const REFERENCE_AT_MOST: f64 = 0.01;
/// One bad trial may be an accident.
const FAILING_TRIALS: u32 = 2;

/// Requests and failures of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pooled: Proportion,
    failing_trials: u32,
}

impl Counts {
    pub(super) fn of<'a>(trials: impl IntoIterator<Item = &'a TrialValues>) -> Self {
        let mut counts = Self::default();
        for trial in trials {
            counts.pooled.count += trial.errors as f64;
            counts.pooled.of += trial.n as f64;
            counts.failing_trials += u32::from(trial.errors > 0);
        }
        counts
    }

    /// Why the reference's other values are not to be compared with, if so.
    pub(super) fn unfit_reference(self) -> Option<String> {
        (self.pooled.share() > REFERENCE_AT_MOST).then(|| {
            format!(
                "the reference itself fails {} of its requests, more than {}",
                percent(self.pooled.share()),
                percent(REFERENCE_AT_MOST)
            )
        })
    }

    /// Why no reference is needed to tell that too many requests fail, if so.
    pub(super) fn fails_by_itself(self) -> Option<String> {
        (self.pooled.share() > NEVER_ABOVE).then(|| {
            format!(
                "{} of the requests fail; more than {} is a failure whatever the reference does",
                percent(self.pooled.share()),
                percent(NEVER_ABOVE)
            )
        })
    }
}

/// What the counts of both sides say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ErrorRates {
    pub(super) verdict: Option<Verdict>,
    difference: f64,
    bounds: [f64; 2],
    reason: Option<String>,
}

impl ErrorRates {
    /// Compares the reference `a` with the candidate `b`; the levels are shared by `cases` cases.
    pub(super) fn compare(a: Counts, b: Counts, tolerance: f64, levels: Levels, cases: u64) -> Self {
        let z = |level: f64| normal_critical(level / cases.max(1) as f64);
        let lower = difference_at_least(a.pooled, b.pooled, z(levels.regressed));
        let upper = difference_at_most(a.pooled, b.pooled, z(levels.pass));
        let repeated = b.failing_trials >= FAILING_TRIALS;
        let verdict = if b.fails_by_itself().is_some() || (lower > tolerance && repeated) {
            Some(Verdict::Regressed)
        } else if upper < tolerance || b.pooled.share() <= a.pooled.share() {
            Some(Verdict::Pass)
        } else {
            None
        };
        let reason = b.fails_by_itself().or_else(|| {
            let why = if lower > tolerance {
                "all failures fell into one trial"
            } else {
                "too few requests to tell the error rates apart"
            };
            verdict.is_none().then(|| why.into())
        });
        Self { verdict, difference: b.pooled.share() - a.pooled.share(), bounds: [lower, upper], reason }
    }

    pub(super) fn describe(&self, answer: &mut CheckVerdict) {
        answer.difference = Some(self.difference);
        answer.bounds = Some(self.bounds);
        answer.reason.clone_from(&self.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: Levels = Levels { regressed: 0.05, pass: 0.05 };

    fn trials(n: u64, errors: &[u64]) -> Counts {
        let trials: Vec<_> =
            errors.iter().map(|e| TrialValues { n, errors: *e, values: std::collections::BTreeMap::new() }).collect();
        Counts::of(&trials)
    }

    fn verdict(a: &[u64], b: &[u64]) -> Option<Verdict> {
        ErrorRates::compare(trials(200, a), trials(200, b), 0.005, LEVELS, 1).verdict
    }

    #[test]
    fn counts_decide() {
        assert_eq!(verdict(&[0; 5], &[0; 5]), Some(Verdict::Pass));
        // 12 of 1000: the lower limit is 0.68 %.
        assert_eq!(verdict(&[0; 5], &[6, 6, 0, 0, 0]), Some(Verdict::Regressed));
        // 5 of 1000: from 0.13 % to 1.02 %.
        assert_eq!(verdict(&[0; 5], &[1; 5]), None);
        assert_eq!(verdict(&[1; 5], &[1; 5]), Some(Verdict::Pass));
        assert_eq!(verdict(&[3; 5], &[2; 5]), Some(Verdict::Pass));
    }

    #[test]
    fn one_bad_trial_is_not_enough_below_five_per_cent() {
        assert_eq!(verdict(&[0; 5], &[12, 0, 0, 0, 0]), None);
        assert_eq!(verdict(&[0; 5], &[51, 0, 0, 0, 0]), Some(Verdict::Regressed));
        // Even an equally broken reference does not excuse it.
        assert_eq!(verdict(&[11; 5], &[11; 5]), Some(Verdict::Regressed));
        assert_eq!(verdict(&[10; 5], &[10; 5]), Some(Verdict::Pass));
    }

    #[test]
    fn more_cases_make_it_harder() {
        let (a, b) = (trials(200, &[0; 5]), trials(200, &[6, 6, 0, 0, 0]));
        assert_eq!(ErrorRates::compare(a, b, 0.005, LEVELS, 1).verdict, Some(Verdict::Regressed));
        assert_eq!(ErrorRates::compare(a, b, 0.005, LEVELS, 100).verdict, None);
    }

    #[test]
    fn a_failing_reference_is_unfit() {
        assert_eq!(trials(200, &[2, 2]).unfit_reference(), None);
        let reason = trials(200, &[4, 4]).unfit_reference().unwrap();
        assert_eq!(reason, "the reference itself fails 2 % of its requests, more than 1 %");
    }
}
