//! The report of a run, as `run.json` and `trials.json` hold it.

use std::collections::BTreeMap;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::gate::{CheckVerdict, Mode, TrialValues, Verdict};
use crate::report::ServerReport;
use crate::scenario::Case;
use crate::target::Machine;
use crate::watch::ServerView;

/// `run.json`: a run and the verdict of each of its cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct RunReport {
    /// Version of this format.
    pub version: u32,
    /// What was run, where and when.
    pub run: RunInfo,
    /// The worst of the cases.
    pub verdict: Verdict,
    /// The cases in the order in which they were measured.
    pub cases: Vec<CaseReport>,
}

/// What was run, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct RunInfo {
    /// The run's name: its folder's.
    pub id: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When the report was last written, RFC 3339.
    pub updated: String,
    /// The profile that was measured.
    pub profile: String,
    /// The profile that it was paired with, if it was.
    pub against: Option<String>,
    /// `embedded` or `endpoint`.
    pub target: String,
    /// Version of tokpace.
    pub tokpace: String,
    /// Whether `--quick` was given, so that nothing could be decided.
    pub quick: bool,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// Seconds during which load was running.
    pub measured_seconds: f64,
    /// How exact the client was on this machine just before; absent in quick runs and in reports of before 0.1.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// The command line, redacted.
    pub command: Vec<String>,
    /// The client's machine.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub machine: Machine,
}

/// What the client reported of answers whose times are known, against the server's own record. Both errors include the
/// way through the loopback device and the wake-ups on either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Calibration {
    /// Answers at the same time.
    pub streams: u32,
    /// Answers in all.
    pub requests: u32,
    /// Median error of TTFT, in milliseconds.
    pub ttft_error_p50_ms: f64,
    /// 99th percentile.
    pub ttft_error_p99_ms: f64,
    /// Median error of TPOT, in milliseconds.
    pub tpot_error_p50_ms: f64,
    /// 99th percentile.
    pub tpot_error_p99_ms: f64,
}

/// A case of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct CaseReport {
    /// The case's name.
    pub case: String,
    /// The worst of what was judged.
    pub verdict: Verdict,
    /// Stored: the candidate's trials that were judged. Paired: the pairs.
    pub pairs_used: u32,
    /// What was judged.
    pub checks: Vec<CheckReport>,
    /// Whether the test fails, and the rule that makes it fail.
    pub failed: Option<String>,
    /// The verdict in words.
    pub text: String,
    /// The scenario it comes from.
    pub scenario: String,
    /// The scenario's file.
    pub file: String,
    /// What the scenario stands for.
    pub description: String,
    /// The profile it was measured on.
    pub profile: String,
    /// When it was measured, RFC 3339; the job's name in a baseline.
    pub recorded: String,
    /// Seconds of measuring.
    pub seconds: f64,
    /// Trials that were no measurement, with the reasons.
    pub invalid: Vec<Invalidated>,
    /// The baseline it was compared with.
    pub baseline: Option<BaselineInfo>,
    /// The pending file that was written.
    pub pending: Option<String>,
    /// What must be equal for a comparison.
    pub conditions: BTreeMap<String, String>,
    /// What a change may change.
    pub subject: BTreeMap<String, String>,
    /// Conditions in which this run and the baseline differ, in words.
    pub differences: Vec<String>,
    /// Anything else that a reader should know.
    pub notes: Vec<String>,
    /// What to do, besides what the verdict itself suggests.
    pub hints: Vec<String>,
    /// Medians over the trials of the usual statistics, by metric.
    pub statistics: BTreeMap<String, f64>,
    /// Requests attempted and failed over all judged trials.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Failed requests by class.
    pub failures: BTreeMap<String, u64>,
    /// What the client noticed about itself.
    pub client: ClientInfo,
    /// Trials of one side against accepted jobs, or pairs of both sides.
    pub mode: Mode,
    /// Paired: what the candidate was paired with.
    pub reference: Option<ReferenceInfo>,
    /// What the prefix cache did, where prompts share prefixes.
    pub prefix: Option<PrefixReport>,
    /// The server's own view; absent where nothing could be seen of it, and in reports of before 0.1.
    #[serde(default)]
    pub server: Option<ServerReport>,
    /// How far the checks' values are from the oldest anchor of the baseline, in words.
    #[serde(default)]
    pub drift: Option<String>,
}

impl CaseReport {
    /// Whether the case is worse than it may be, and does not fail only because of a waiver.
    pub fn is_waived(&self) -> bool {
        matches!(self.verdict, Verdict::Regressed | Verdict::Exceeded)
            && self.failed.is_none()
            && self.checks.iter().any(CheckReport::is_waived)
    }

    /// A report that says nothing yet: *invalid* until something was measured.
    pub fn blank(case: &Case, profile: &str, recorded: String) -> Self {
        Self {
            scenario: case.scenario.clone(),
            file: case.file.clone(),
            description: case.description.clone(),
            profile: profile.to_owned(),
            recorded,
            ..Self::empty(&case.name, Mode::Stored)
        }
    }

    /// The same for a case without a scenario.
    pub(crate) fn empty(case: &str, mode: Mode) -> Self {
        Self {
            case: case.to_owned(),
            verdict: Verdict::Invalid,
            pairs_used: 0,
            checks: Vec::new(),
            failed: None,
            text: String::new(),
            scenario: String::new(),
            file: String::new(),
            description: String::new(),
            profile: String::new(),
            recorded: String::new(),
            seconds: 0.0,
            invalid: Vec::new(),
            baseline: None,
            pending: None,
            conditions: BTreeMap::new(),
            subject: BTreeMap::new(),
            differences: Vec::new(),
            notes: Vec::new(),
            hints: Vec::new(),
            statistics: BTreeMap::new(),
            requests: 0,
            errors: 0,
            failures: BTreeMap::new(),
            client: ClientInfo::default(),
            mode,
            reference: None,
            prefix: None,
            server: None,
            drift: None,
        }
    }
}

/// What a candidate was paired with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct ReferenceInfo {
    /// The reference in words: ``profile `previous` `` or ``variant `prefix-caching-off` ``.
    pub name: String,
    /// The candidate in words.
    pub candidate: String,
    /// In what the two are known to differ, in words.
    pub differences: Vec<String>,
    /// Medians over the reference's trials of the usual statistics, by metric.
    pub statistics: BTreeMap<String, f64>,
}

/// What the prefix cache did in a case whose prompts share prefixes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct PrefixReport {
    /// The candidate's.
    pub candidate: PrefixSide,
    /// The reference's, where both sides were measured.
    pub reference: Option<PrefixSide>,
}

/// What the prefix cache did on one side, over all judged trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct PrefixSide {
    /// Prompt tokens of the answered requests.
    pub input_tokens: u64,
    /// Prompt tokens from the cache, by the server's `usage`; absent if it does not say.
    pub reused_tokens: Option<u64>,
    /// The one over the other.
    pub hit_ratio: Option<f64>,
    /// Reused tokens of a request, mean.
    pub matched_tokens: Option<f64>,
    /// The hit ratio by the server's own counters, as differences around each trial; absent without such counters.
    pub counter_hit_ratio: Option<f64>,
}

/// A check with its limit and values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct CheckReport {
    /// What the judge said.
    #[serde(flatten)]
    pub judged: CheckVerdict,
    /// The limit as written: `<= baseline + 5%`.
    pub limit: String,
    /// Line of the scenario file; absent for a default check.
    pub line: Option<u32>,
    /// Unit of the values; empty for shares.
    pub unit: String,
    /// The candidate's estimate over the trials.
    pub value: Option<f64>,
    /// The baseline's estimate.
    pub reference: Option<f64>,
    /// The tolerance: a part, or points for shares.
    pub tolerance: Option<f64>,
    /// An absolute limit that lies inside the interval of the estimate.
    pub marginal: bool,
    /// Two-sided 90 % interval of `value`, for absolute limits.
    pub value_ci: Option<[f64; 2]>,
    /// Whether `ratio` below 1 means a larger value (throughput) rather than a smaller one.
    pub higher_is_better: bool,
    /// The waiver under which the check may be worse; only where it is.
    #[serde(default)]
    pub waiver: Option<WaiverInfo>,
}

impl CheckReport {
    /// Whether the check is worse than it may be, under a waiver that holds.
    pub fn is_waived(&self) -> bool {
        self.waiver.as_ref().is_some_and(|waiver| !waiver.ended)
    }
}

/// A waiver of a check that is worse than it may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct WaiverInfo {
    /// The last day on which it holds.
    pub until: Date,
    /// Why.
    pub reason: String,
    /// Whether that day is over, so that it no longer holds.
    pub ended: bool,
}

/// The baseline that a case was compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct BaselineInfo {
    /// Its file, relative to the package root.
    pub path: String,
    /// Accepted jobs in it.
    pub jobs: u32,
    /// When the latest was recorded.
    pub recorded: String,
    /// Where it is older than the project allows: by how much, in words.
    #[serde(default)]
    pub stale: Option<String>,
}

/// A trial that was no measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Invalidated {
    /// Its number, from 1.
    pub trial: u32,
    /// Why, with figures.
    pub reasons: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

/// What the client noticed about itself, in milliseconds over all trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct ClientInfo {
    /// `sent - scheduled`, median.
    pub send_lag_p50_ms: f64,
    /// `sent - scheduled`, 99th percentile.
    pub send_lag_p99_ms: f64,
    /// How late a probe woke a load worker, median.
    pub wake_lag_p50_ms: f64,
    /// How late a probe woke a load worker, 99th percentile.
    pub wake_lag_p99_ms: f64,
    /// Largest share of a core that a worker used.
    pub cpu_share: Option<f64>,
    /// How late the embedded server's tokens left, median.
    pub server_late_p50_ms: Option<f64>,
    /// How late the embedded server's tokens left, 99th percentile.
    pub server_late_p99_ms: Option<f64>,
}

/// `trials.json`: the trials of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct RunTrials {
    /// Version of this format.
    pub version: u32,
    /// The run.
    pub run: String,
    /// The cases.
    pub cases: Vec<CaseTrials>,
}

/// The trials of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct CaseTrials {
    /// The case's name.
    pub case: String,
    /// The trials in order.
    pub trials: Vec<TrialReport>,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct TrialReport {
    /// Its number, from 1.
    pub trial: u32,
    /// `candidate` or `reference`.
    pub side: String,
    /// Whether it was a measurement.
    pub valid: bool,
    /// When it began, RFC 3339.
    pub started: String,
    /// Its length.
    pub seconds: f64,
    /// Length of the steady window.
    pub window_seconds: f64,
    /// Counts and statistics by metric: milliseconds, tok/s, shares.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub values: TrialValues,
    /// How tokens were counted.
    pub token_source: Option<String>,
    /// Failed requests by class.
    pub failures: BTreeMap<String, u64>,
    /// Requests that the client gave up on purpose before their end; in no other figure.
    #[serde(default)]
    pub cancelled: u64,
    /// Requests that opened a connection.
    pub new_connections: u64,
    /// Times that a request was sent again because the server had closed the connection that was kept.
    #[serde(default)]
    pub resent: u64,
    /// Stream events that shared a network read.
    pub coalesced: u64,
    /// What the client noticed about itself.
    pub client: ClientInfo,
    /// The server's own view.
    #[serde(default)]
    pub server: Option<ServerView>,
}
