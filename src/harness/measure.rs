//! Measuring one side of a case: trials until enough is known.

use std::sync::Arc;
use std::time::Duration;

use crate::baseline::{self, Baseline};
use crate::gate::{self, CaseInput, Job, TrialValues};
use crate::harness::MeasureError;
use crate::harness::bench::Side;
use crate::harness::tally::Tally;
use crate::harness::trial::{Context, Runner};
use crate::harness::verdict::{inputs, jobs};
use crate::measure::{Expected, Invalid, check_trust};
use crate::plan::Plan;
use crate::report::{CaseTrials, TrialReport};
use crate::scenario::{Case, Check};

const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// What was measured of a case.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) plan: Plan,
    pub(crate) tally: Tally,
    /// Trials that were no measurement, by number.
    pub(crate) invalid: Vec<(u32, Vec<Invalid>)>,
    /// More trials were invalid than may be repeated.
    pub(crate) given_up: bool,
    pub(crate) interrupted: bool,
    pub(crate) seconds: f64,
}

/// How long to go on.
pub(crate) struct Until<'a> {
    pub(crate) quick: bool,
    pub(crate) baseline: Option<&'a Baseline>,
    pub(crate) job_noise: f64,
}

/// Measures `case` on `side`.
pub(crate) fn measure(
    case: &Case,
    plan: Plan,
    side: &mut Side,
    until: &Until<'_>,
    context: &mut Context<'_>,
) -> Result<Measured, MeasureError> {
    let (least, most) = case.trials.range(until.quick);
    let mut measured = Measured {
        plan,
        tally: Tally::default(),
        invalid: Vec::new(),
        given_up: false,
        interrupted: false,
        seconds: 0.0,
    };
    let expected = until
        .baseline
        .and_then(|b| baseline::middle(&b.jobs, "output_tokens.p50")?.value())
        .map(|output_tokens| Expected { output_tokens, of: "the baseline" });
    let words = Arc::clone(&side.words);
    Runner::new(case, side, Arc::clone(&words), context).prepare(&measured.plan)?;
    let mut reports: Vec<TrialReport> = Vec::new();
    for number in 1.. {
        if context.stop.requested() {
            measured.interrupted = true;
            break;
        }
        let have = measured.tally.trials.len() as u32;
        (context.progress)(&format!("{}: trial {} of {least} to {most}", case.name, have + 1));
        let taken = Runner::new(case, side, Arc::clone(&words), context).trial(&measured.plan, number)?;
        measured.seconds += taken.seconds;
        measured.tally.saw(&taken);
        let invalid = if taken.interrupted { Vec::new() } else { check_trust(&taken.trial, &taken.summary, expected) };
        reports.push(taken.report(invalid.is_empty()));
        let parts = CaseTrials { case: case.name.clone(), trials: reports.clone() };
        context.folder.save_part("trials", &case.name, &parts)?;
        if taken.interrupted {
            measured.interrupted = true;
            break;
        }
        if !invalid.is_empty() {
            measured.invalid.push((number, invalid));
            if gives_up(&measured.invalid, have, most) {
                measured.given_up = true;
                break;
            }
            context.stop.sleep(pause(&measured.invalid));
            continue;
        }
        measured.tally.take(&taken);
        let have = have + 1;
        if have >= most || (have >= least && !wants_more(case, &measured.tally.trials, until)?) {
            break;
        }
    }
    Ok(measured)
}

/// Whether too many trials (or pairs) were no measurement. A quarter of the most trials, but at least one, may be
/// repeated for what the target did. What the client's machine did says nothing of the target, so there half of them may
/// be, and as many more as there are good ones.
pub(super) fn gives_up(invalid: &[(u32, Vec<Invalid>)], good: u32, most: u32) -> bool {
    let passing = invalid.iter().filter(|(_, reasons)| is_passing(reasons)).count() as u32;
    let lasting = invalid.len() as u32 - passing;
    lasting > (most / 4).max(1) || passing > (most / 2).max(1) + good
}

/// Whether the machine alone is to blame.
fn is_passing(reasons: &[Invalid]) -> bool {
    reasons.iter().all(|reason| reason.passing)
}

/// How long to leave a machine alone that was too busy to measure on: twice as long for each such trial in a row.
pub(super) fn pause(invalid: &[(u32, Vec<Invalid>)]) -> Duration {
    let mut in_a_row = 0;
    let mut next = None;
    for (number, reasons) in invalid.iter().rev() {
        if !is_passing(reasons) || next.is_some_and(|next| number + 1 != next) {
            break;
        }
        in_a_row += 1;
        next = Some(*number);
    }
    if in_a_row == 0 { Duration::ZERO } else { SHORTEST_PAUSE * (1 << (in_a_row - 1).min(3)) }
}

/// Whether the trials' own noise still dominates: a rule that looks at variances only.
fn wants_more(case: &Case, trials: &[TrialValues], until: &Until<'_>) -> Result<bool, MeasureError> {
    let jobs = jobs(until.baseline);
    if jobs.is_empty() || until.quick {
        return Ok(false);
    }
    let checks: Vec<&Check> = case.gate.comparisons().collect();
    let inputs = inputs(&checks, trials, &jobs);
    let candidate = Job { trials: trials.to_vec() };
    let input = CaseInput::stored(case.name.clone(), inputs, until.job_noise, jobs, candidate);
    Ok(gate::needs_more_trials(&input)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(numbers: &[u32], passing: bool) -> Vec<(u32, Vec<Invalid>)> {
        let reason = Invalid { reason: String::new(), hint: String::new(), passing };
        numbers.iter().map(|number| (*number, vec![reason.clone()])).collect()
    }

    #[test]
    fn what_the_target_did_is_repeated_less_often_than_what_the_machine_did() {
        let most = 10;
        assert!(!gives_up(&invalid(&[1, 2], false), 0, most) && gives_up(&invalid(&[1, 2, 5], false), 2, most));
        let five = [1, 2, 3, 4, 5];
        assert!(!gives_up(&invalid(&five, true), 0, most));
        let six = [1, 2, 3, 4, 5, 7];
        assert!(gives_up(&invalid(&six, true), 0, most) && !gives_up(&invalid(&six, true), 1, most));
        // Both at once is the target's.
        let mut both = invalid(&[1], true);
        both[0].1.extend(invalid(&[1], false).remove(0).1);
        assert!(gives_up(&[both.clone(), both].concat(), 9, 4));
    }

    #[test]
    fn a_busy_machine_is_left_alone_for_longer_and_longer() {
        assert_eq!(pause(&invalid(&[3], true)), Duration::from_millis(500));
        assert_eq!(pause(&invalid(&[2, 3, 4], true)), Duration::from_secs(2));
        assert_eq!(pause(&invalid(&[1, 2, 3, 4, 5, 6], true)), Duration::from_secs(4));
        assert_eq!(pause(&invalid(&[2, 4], true)), Duration::from_millis(500));
        assert_eq!(pause(&invalid(&[2, 3], false)), Duration::ZERO);
    }
}
