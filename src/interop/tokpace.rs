//! Runs of our own: `run.json` and `trials.json`.

use serde_json::Value;

use super::model::{Measured, Tool};
use super::time;
use crate::report::{CaseReport, CaseTrials};

/// `run.json`.
pub(super) fn is_run(value: &Value) -> bool {
    value["run"].is_object() && value["cases"].is_array()
}

/// `trials.json`.
pub(super) fn is_trials(value: &Value) -> bool {
    value["run"].is_string() && value["cases"].is_array()
}

/// The candidate's valid trials of a case. Without the report the conditions are unknown.
pub(super) fn trials(case: &CaseTrials, report: Option<&CaseReport>) -> Vec<Measured> {
    let valid = case.trials.iter().filter(|trial| trial.valid && trial.side == "candidate");
    valid
        .map(|trial| {
            let mut measured = Measured::new(Tool::Tokpace, case.case.clone(), 0, 0);
            measured.values = trial.values.clone();
            if let Some(report) = report {
                measured.conditions.extend(report.conditions.clone());
                measured.subject.clone_from(&report.subject);
                // The profile's name tells which side it is.
                if let Some(profile) = measured.conditions.remove("profile") {
                    measured.subject.insert("profile".into(), profile);
                }
            }
            measured.condition("token_source", trial.token_source.clone());
            measured.span = time::seconds(&trial.started).map(|start| [start, start + trial.seconds]);
            measured
        })
        .collect()
}
