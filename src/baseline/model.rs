//! What a baseline is, and what can be read off it without judging anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gate::TrialValues;
use crate::metric::{Better, MetricId, Scale};

/// All trials of a case in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// When it was measured, RFC 3339.
    pub recorded: String,
    /// When it became part of the baseline, RFC 3339; absent while it is pending.
    pub accepted: Option<String>,
    /// Who accepted it.
    pub by: Option<String>,
    /// The commit that was measured, or else that at which it was accepted.
    pub commit: Option<String>,
    /// Why it was accepted.
    pub reason: Option<String>,
    /// The version of tokpace that measured.
    pub tokpace: String,
    /// What a change is expected to change (server version, flags): shown, never in the way.
    pub subject: BTreeMap<String, String>,
    /// The trials, in the order in which they ran; at least one.
    pub trials: Vec<TrialValues>,
}

/// The jobs that an earlier epoch ended with, kept so that slow creep stays visible.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// When the next epoch began, RFC 3339.
    pub until: String,
    /// Why it ended: the verdict, and the words of who accepted it.
    pub reason: String,
    /// Its conditions.
    pub conditions: BTreeMap<String, String>,
    /// Its jobs, oldest first.
    pub jobs: Vec<Job>,
}

/// The accepted measurements of a case on a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The case's test name.
    pub case: String,
    /// The profile's name.
    pub profile: String,
    /// What must be equal for a comparison to mean anything.
    pub conditions: BTreeMap<String, String>,
    /// The jobs of this epoch, oldest first; at least one.
    pub jobs: Vec<Job>,
    /// Earlier epochs, newest first; the last one is the oldest there ever was.
    pub anchors: Vec<Epoch>,
}

/// A measurement that waits to be accepted or rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The case's test name.
    pub case: String,
    /// The profile's name.
    pub profile: String,
    /// How it compared with the baseline.
    pub verdict: PendingVerdict,
    /// What changed, a line each.
    pub summary: Vec<String>,
    /// What must be equal for a comparison to mean anything.
    pub conditions: BTreeMap<String, String>,
    /// The measured jobs, oldest first; more than one after `run --record N`.
    pub jobs: Vec<Job>,
}

/// How a pending measurement compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PendingVerdict {
    /// There was no baseline.
    Missing,
    /// Slower than the tolerance allows.
    Regressed,
    /// Better than the tolerance.
    Improved,
    /// Measured to be stored (`run --record N`), not to be judged.
    Recorded,
    /// Within the tolerance.
    Pass,
    /// Too noisy to tell, or measured under other conditions.
    Inconclusive,
}

impl fmt::Display for PendingVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Recorded => "recorded",
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// A key of a fingerprint that has two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which key.
    pub key: String,
    /// Its value on the first side; `None` if it has none there.
    pub old: Option<String>,
    /// Its value on the second side; `None` if it has none there.
    pub new: Option<String>,
}

/// The keys in which two maps of conditions (or of subjects) differ, sorted; empty if they are equal.
pub fn conditions_differ(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Difference> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| Difference { key: key.clone(), old: old.get(key).cloned(), new: new.get(key).cloned() })
        .collect()
}

/// The middle of a metric over jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Middle {
    /// The median, in the metric's unit.
    Value(f64),
    /// The median falls among censored values: it is worse than anything that was measured.
    Censored,
}

impl Middle {
    /// The value, unless it is censored.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Censored => None,
        }
    }
}

/// The median over jobs of each job's median over trials, for people to look at; `None` if no trial has the metric.
///
/// Every job has the same weight, however many trials it has. Censored values count as the worst.
pub fn middle(jobs: &[Job], metric: &str) -> Option<Middle> {
    let better = metric.parse::<MetricId>().map_or(Better::Lower, |id| id.metric.better());
    let worst = match better {
        Better::Lower => f64::INFINITY,
        Better::Higher => f64::NEG_INFINITY,
    };
    let of_job = |job: &Job| {
        median(job.trials.iter().filter_map(|t| t.values.get(metric)).map(|value| value.unwrap_or(worst)).collect())
    };
    let value = median(jobs.iter().filter_map(of_job).collect())?;
    Some(if value.is_finite() { Middle::Value(value) } else { Middle::Censored })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[values.len() / 2 - 1];
    Some(f64::midpoint(lower, upper))
}

/// How far a metric has moved since the oldest anchor with the same conditions: the ratio of today's middle to that
/// one's, or the difference for shares. `None` without such an anchor, or where either side has no finite value.
///
/// Each accepted step is within somebody's patience; their product is what users of the server feel.
pub fn drift(baseline: &Baseline, metric: &str) -> Option<f64> {
    let oldest = baseline.oldest_anchor()?;
    let was = middle(&oldest.jobs, metric)?.value()?;
    let is = middle(&baseline.jobs, metric)?.value()?;
    if metric.parse::<MetricId>().is_ok_and(|id| id.metric.scale() == Scale::Difference) {
        return Some(is - was);
    }
    (was > 0.0).then_some(is / was)
}

impl Job {
    /// Whether both hold the same measurement, as precisely as files keep it.
    pub(super) fn same_trials(&self, other: &Self) -> bool {
        let as_stored = |value: &Option<f64>| value.filter(|v| v.is_finite()).map(rounded);
        let same = |a: &TrialValues, b: &TrialValues| {
            (a.n, a.errors) == (b.n, b.errors)
                && a.values.keys().eq(b.values.keys())
                && a.values.values().map(as_stored).eq(b.values.values().map(as_stored))
        };
        self.trials.len() == other.trials.len() && self.trials.iter().zip(&other.trials).all(|(a, b)| same(a, b))
    }
}

/// Six significant digits: below any noise, and a diff stays readable.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

impl Baseline {
    /// The oldest anchor that this epoch may be compared with.
    pub fn oldest_anchor(&self) -> Option<&Epoch> {
        self.anchors.iter().rev().find(|epoch| epoch.conditions == self.conditions)
    }
}

/// The names of all metrics in these jobs, sorted.
pub(crate) fn metrics(jobs: &[Job]) -> BTreeSet<&str> {
    jobs.iter().flat_map(|job| &job.trials).flat_map(|trial| trial.values.keys()).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{job, map};
    use super::*;

    #[test]
    fn differences_name_each_side() {
        let old = map(&[("gpu", "H100"), ("model", "a"), ("plan", "1")]);
        let new = map(&[("model", "b"), ("plan", "1"), ("token_source", "usage")]);
        let found: Vec<_> = conditions_differ(&old, &new).into_iter().map(|d| (d.key, d.old, d.new)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("gpu".to_owned(), some("H100"), None),
                ("model".to_owned(), some("a"), some("b")),
                ("token_source".to_owned(), None, some("usage")),
            ]
        );
        assert!(conditions_differ(&old, &old).is_empty());
    }

    #[test]
    fn the_middle_weighs_jobs_alike_and_counts_censored_values_as_the_worst() {
        let jobs = [job("a", &[1.0, 2.0, 3.0]), job("b", &[10.0])];
        assert_eq!(middle(&jobs, "tpot.p50"), Some(Middle::Value(6.0)));
        assert_eq!(middle(&jobs, "ttft.p50"), None);
        assert_eq!(middle(&[], "tpot.p50"), None);

        let mut hung = job("c", &[1.0, 2.0, 3.0]);
        hung.trials[0].values.insert("tpot.p50".into(), None);
        assert_eq!(middle(std::slice::from_ref(&hung), "tpot.p50"), Some(Middle::Value(3.0)));
        hung.trials[1].values.insert("tpot.p50".into(), None);
        assert_eq!(middle(&[hung.clone()], "tpot.p50"), Some(Middle::Censored));

        for (trial, value) in hung.trials.iter_mut().zip([None, Some(250.0), Some(260.0)]) {
            trial.values = BTreeMap::from([("output_throughput".to_owned(), value)]);
        }
        assert_eq!(middle(&[hung], "output_throughput"), Some(Middle::Value(250.0)));
    }

    #[test]
    fn drift_looks_past_anchors_with_other_conditions() {
        let conditions = map(&[("plan", "sha256:1")]);
        let epoch = |conditions: &BTreeMap<_, _>, tpot| Epoch {
            until: "2026-01-01T00:00:00Z".into(),
            reason: "regressed".into(),
            conditions: conditions.clone(),
            jobs: vec![job("a", &[tpot])],
        };
        let mut baseline = Baseline {
            case: "chatbot".into(),
            profile: "embedded".into(),
            conditions: conditions.clone(),
            jobs: vec![job("d", &[6.0])],
            anchors: vec![epoch(&conditions, 5.5), epoch(&conditions, 5.0), epoch(&map(&[("plan", "sha256:0")]), 1.0)],
        };
        assert!((drift(&baseline, "tpot.p50").unwrap() - 1.2).abs() < 1e-12);
        assert_eq!(drift(&baseline, "ttft.p50"), None);
        baseline.anchors.drain(..2);
        assert_eq!(drift(&baseline, "tpot.p50"), None);
    }
}
