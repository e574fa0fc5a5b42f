//! What the latest run measured, for `accept` where nothing is pending.

use std::io;

use crate::baseline::{Job, Pending, PendingVerdict};
use crate::erased;
use crate::gate::{Mode, Verdict};
use crate::harness::Paths;
use crate::report::{self, RunReport, RunTrials};

/// The measurements of the latest run; none if there was none. Cases that were not
/// measured, or measured in pairs, are left out.
pub fn latest_run(paths: &Paths) -> io::Result<Vec<Pending>> {
    let read = |name: &str| match std::fs::read(paths.latest().join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (Some(run), Some(trials)) = (read("run.json")?, read("trials.json")?) else { return Ok(Vec::new()) };
    let run: RunReport = erased::from_json(&run)?;
    let trials: RunTrials = erased::from_json(&trials)?;
    if run.run.quick {
        return Ok(Vec::new());
    }
    let mut pending = Vec::new();
    // What was measured beside another live side is no baseline: the candidate may be a variant, on another server.
    for case in run.cases.into_iter().filter(|case| case.mode == Mode::Stored) {
        let verdict = match case.verdict {
            Verdict::Invalid => continue,
            Verdict::Missing => PendingVerdict::Missing,
            Verdict::Regressed => PendingVerdict::Regressed,
            Verdict::Improved => PendingVerdict::Improved,
            Verdict::Pass => PendingVerdict::Pass,
            Verdict::Exceeded | Verdict::Inconclusive | Verdict::Unresolved => PendingVerdict::Inconclusive,
        };
        let Some(measured) = trials.cases.iter().find(|known| known.case == case.case) else { continue };
        let valid = measured.trials.iter().filter(|trial| trial.valid).map(|trial| trial.values.clone()).collect();
        let checks = case.checks.iter().filter(|check| check.judged.verdict != Verdict::Pass);
        pending.push(Pending {
            verdict,
            summary: checks.map(|check| report::check_line(&case, check)).collect(),
            jobs: vec![Job {
                recorded: case.recorded.clone(),
                tokpace: run.run.tokpace.clone(),
                commit: run.run.machine.commit.clone(),
                subject: case.subject.clone(),
                trials: valid,
                ..Job::default()
            }],
            conditions: case.conditions.clone(),
            profile: case.profile.clone(),
            case: case.case,
        });
    }
    Ok(pending)
}
