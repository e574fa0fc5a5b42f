//! Small measurements for tests.

use std::collections::BTreeMap;

use super::{Job, Pending, PendingVerdict};
use crate::gate::TrialValues;

/// A map of strings.
pub(crate) fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A job that was recorded at `recorded`, with these values of `tpot.p50`.
pub(crate) fn job(recorded: &str, tpot: &[f64]) -> Job {
    let trial =
        |value: &f64| TrialValues { n: 48, errors: 0, values: BTreeMap::from([("tpot.p50".to_owned(), Some(*value))]) };
    Job {
        recorded: recorded.into(),
        tokpace: "0.1.0".into(),
        trials: tpot.iter().map(trial).collect(),
        ..Job::default()
    }
}

/// The jobs as a pending measurement of `chatbot` on `embedded`.
pub(crate) fn pending(verdict: PendingVerdict, jobs: Vec<Job>) -> Pending {
    Pending {
        case: "chatbot".into(),
        profile: "embedded".into(),
        verdict,
        summary: Vec::new(),
        conditions: map(&[("plan", "sha256:1")]),
        jobs,
    }
}
