//! Measuring one side of a case: trials until enough is known.

use std::sync::Arc;

use crate::baseline::{self, Baseline};
use crate::gate::{self, CaseInput, Job, TrialValues};
use crate::harness::MeasureError;
use crate::harness::bench::Side;
use crate::harness::tally::Tally;
use crate::harness::trial::{Context, Runner};
use crate::harness::verdict::{inputs, jobs};
use crate::measure::{Expected, Invalid, check_trust, gives_up, pause};
use crate::plan::Plan;
use crate::report::{CaseTrials, TrialReport};
use crate::scenario::{Case, Check};

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
