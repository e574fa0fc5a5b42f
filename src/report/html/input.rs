//! What a page is made of, besides the report of the run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::{TrialValues, Verdict};
use crate::report::{CaseReport, RunReport, RunTrials, TrialReport};
use crate::units::Nanos;

/// A run with everything that its folder holds.
#[derive(Clone, Debug)]
pub struct Page {
    /// The run and its verdicts.
    pub run: RunReport,
    /// Its trials.
    pub trials: RunTrials,
    /// The accepted jobs that cases were compared with, as they were at the time.
    pub baselines: Vec<CaseBaseline>,
    /// The last runs of each case, as they were at the time.
    pub histories: Vec<CaseHistory>,
    /// The measured requests by case, in the order in which they were written.
    pub requests: BTreeMap<String, Vec<RequestRow>>,
}

impl Page {
    pub(super) fn trials_of(&self, case: &CaseReport) -> &[TrialReport] {
        self.trials.cases.iter().find(|known| known.case == case.case).map_or(&[], |known| &known.trials)
    }

    pub(super) fn baseline_of(&self, case: &CaseReport) -> Option<&CaseBaseline> {
        self.baselines.iter().find(|known| known.case == case.case)
    }

    pub(super) fn history_of(&self, case: &CaseReport) -> Option<&CaseHistory> {
        self.histories.iter().find(|known| known.case == case.case)
    }

    pub(super) fn requests_of(&self, case: &CaseReport) -> &[RequestRow] {
        self.requests.get(&case.case).map_or(&[], Vec::as_slice)
    }
}

/// `cases/<case>.baseline.json`: what a case was compared with. Baselines change when something is accepted; a report
/// of an old run shall not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseBaseline {
    /// The case's name.
    pub case: String,
    /// What must be equal for a comparison.
    pub conditions: BTreeMap<String, String>,
    /// The accepted jobs, oldest first.
    pub jobs: Vec<BaselineJob>,
}

/// An accepted job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineJob {
    /// When it was measured, RFC 3339.
    pub recorded: String,
    /// The commit that was measured.
    pub commit: Option<String>,
    /// What a change may change.
    pub subject: BTreeMap<String, String>,
    /// Its trials.
    pub trials: Vec<TrialValues>,
}

/// `cases/<case>.history.json`: the case's last runs under equal conditions, this one the last. The history goes on; a
/// report of an old run ends with that run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseHistory {
    /// The case's name.
    pub case: String,
    /// The runs, oldest first.
    pub runs: Vec<PastRun>,
    /// Runs, by their number from 0, from which on a metric was different.
    pub changes: BTreeMap<String, Vec<usize>>,
}

/// A run of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    /// When the case was measured, RFC 3339.
    pub time: String,
    /// The commit that was measured.
    pub commit: Option<String>,
    /// What was found.
    pub verdict: Verdict,
    /// The value of each check, by metric; `null` where there was no finite one.
    pub checks: BTreeMap<String, Option<f64>>,
}

/// What a page shows of a line of `requests.jsonl`. Times are nanoseconds, `sent` since the epoch of its trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRow {
    /// The case's name; empty where the rows are kept by case.
    pub case: String,
    /// The trial's number, from 1.
    pub trial: u32,
    /// `candidate` or `reference`.
    pub side: String,
    /// `warmup` or `measured`.
    pub phase: String,
    /// When the client began to write it.
    #[serde(rename = "sent_ns")]
    pub sent: Nanos,
    /// Time to first token.
    #[serde(rename = "ttft_ns")]
    pub ttft: Option<Nanos>,
    /// Time per output token after the first.
    #[serde(rename = "tpot_ns")]
    pub tpot: Option<Nanos>,
    /// Start to last token.
    #[serde(rename = "e2e_latency_ns")]
    pub e2e_latency: Option<Nanos>,
    /// The failure's class, if it failed.
    pub error_class: Option<String>,
    /// The failure in words.
    pub error: Option<String>,
    /// Given up on purpose: in no statistic.
    pub to_cancel: bool,
}
