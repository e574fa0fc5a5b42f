//! What the judge is asked: a suite of cases with their checks and one value per trial and check.
//!
//! The same types carry the harness's own measurements and the JSON Lines of `cargo tokpace judge`.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metric::Better;

/// How the two sides were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Both sides live in one job; the unit is the pair of trials.
    Paired,
    /// Accepted jobs against a candidate's job; the unit is the job.
    Stored,
}

/// Everything that is judged together, and shares one false-alarm rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Paired or stored.
    pub mode: Mode,
    /// The chance of any false *regressed* in the suite, and of a *pass* at the tolerance; in (0, 1).
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// Paired: the most pairs a case may take, which fixes the looks. Below 6 nothing can be decided.
    #[serde(default = "default_k_max")]
    pub k_max: u32,
    /// The gating checks that share `alpha`, error rates excepted; those of this suite if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<u64>,
    /// What is judged, in the order of the answer.
    pub cases: Vec<CaseInput>,
    /// The cases that share the error rates' own `alpha`; those of this suite if `None`. Not part of the JSON.
    #[serde(skip)]
    pub family_cases: Option<u64>,
    /// Whether the cases of the family are measured in processes that know nothing of each other, so that Bonferroni
    /// must stand in for Holm. Not part of the JSON.
    #[serde(skip)]
    pub alone: bool,
}

/// The false-alarm rate of a suite unless it is given.
pub const fn default_alpha() -> f64 {
    0.05
}

/// The most pairs of a case unless it is given.
pub const fn default_k_max() -> u32 {
    20
}

/// The assumed job-to-job noise (standard deviation of the logarithm) unless a profile gives its own.
pub const fn default_job_noise() -> f64 {
    0.03
}

impl Suite {
    /// A suite with the default rates.
    pub fn new(mode: Mode, cases: Vec<CaseInput>) -> Self {
        let (alpha, k_max) = (default_alpha(), default_k_max());
        Self { mode, alpha, k_max, family: None, cases, family_cases: None, alone: false }
    }
}

/// One case: what to check, and the trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseInput {
    /// The case's name; the answer repeats it.
    pub case: String,
    /// Stored: the job-to-job noise assumed before any was measured (`0.03` is 3 %).
    #[serde(default = "default_job_noise")]
    pub job_noise: f64,
    /// What is compared.
    pub checks: Vec<CheckInput>,
    /// Paired: the pairs in the order in which they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Vec<Pair>>,
    /// Stored: the accepted jobs, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<Job>>,
    /// Stored: the job to judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Job>,
    /// Paired: the most pairs of this case where it is not the suite's `k_max`. Not part of the JSON.
    #[serde(skip)]
    pub k_max: Option<u32>,
}

impl CaseInput {
    /// A case of a paired suite.
    pub fn paired(case: impl Into<String>, checks: Vec<CheckInput>, pairs: Vec<Pair>) -> Self {
        let job_noise = default_job_noise();
        Self { case: case.into(), job_noise, checks, pairs: Some(pairs), jobs: None, candidate: None, k_max: None }
    }

    /// A case of a stored suite; `job_noise` as a share (`0.03`).
    pub fn stored(
        case: impl Into<String>,
        checks: Vec<CheckInput>,
        job_noise: f64,
        jobs: Vec<Job>,
        candidate: Job,
    ) -> Self {
        Self {
            case: case.into(),
            job_noise,
            checks,
            pairs: None,
            jobs: Some(jobs),
            candidate: Some(candidate),
            k_max: None,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInput {
    /// The key of the values in the trials, usually a metric's name; `error_rate` is judged from the counts.
    pub metric: String,
    /// Which direction is good.
    pub better: Better,
    /// How much worse is still accepted: a part for ratios (`0.05`), points for shares (`0.005`). Negative demands
    /// that the candidate be better.
    pub tolerance: f64,
    /// Judged and shown, but without a say in the case's verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
    /// Why the check cannot be assessed, if that is known before any value is read. Not part of the JSON.
    #[serde(skip)]
    pub unresolved: Option<String>,
}

/// Which side of a pair was measured first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// A, then B.
    #[serde(rename = "AB")]
    Ab,
    /// B, then A.
    #[serde(rename = "BA")]
    Ba,
}

/// One trial of each side, back to back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Which side went first.
    pub order: Order,
    /// The reference side.
    pub a: TrialValues,
    /// The candidate.
    pub b: TrialValues,
}

/// All trials of a case in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The trials in the order in which they were measured.
    pub trials: Vec<TrialValues>,
}

/// One trial: counts, and one value per metric. Flat in JSON: `{"n":200,"errors":0,"ttft.p50":51.2}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialValues {
    /// Requests attempted, failures included.
    pub n: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Values by metric name; `None` (JSON `null`) is censored: so many requests failed that the value is infinite.
    pub values: BTreeMap<String, Option<f64>>,
}

impl Serialize for TrialValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len() + 2))?;
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("errors", &self.errors)?;
        for (metric, value) in &self.values {
            map.serialize_entry(metric, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for TrialValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TrialVisitor)
    }
}

struct TrialVisitor;

impl<'de> Visitor<'de> for TrialVisitor {
    type Value = TrialValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trial, such as {\"n\":200,\"errors\":0,\"ttft.p50\":51.2}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<TrialValues, M::Error> {
        let (mut n, mut errors, mut values) = (None, None, BTreeMap::new());
        while let Some(key) = map.next_key::<String>()? {
            let named = |error: M::Error| de::Error::custom(format!("`{key}`: {error}"));
            let again = |again: bool| {
                if again { Err(de::Error::custom(format!("duplicate key `{key}` in a trial"))) } else { Ok(()) }
            };
            match key.as_str() {
                "n" => again(n.replace(map.next_value::<u64>().map_err(named)?).is_some())?,
                "errors" => again(errors.replace(map.next_value::<u64>().map_err(named)?).is_some())?,
                _ => {
                    let value = map.next_value::<Option<f64>>().map_err(named)?;
                    again(values.contains_key(&key))?;
                    values.insert(key, value);
                }
            }
        }
        Ok(TrialValues {
            n: n.ok_or_else(|| de::Error::missing_field("n"))?,
            errors: errors.ok_or_else(|| de::Error::missing_field("errors"))?,
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_flat_and_round_trips() {
        let text = r#"{"n":200,"errors":3,"tpot.p50":null,"ttft.p50":51.2}"#;
        let trial: TrialValues = serde_json::from_str(text).unwrap();
        assert_eq!((trial.n, trial.errors), (200, 3));
        assert_eq!(trial.values["ttft.p50"], Some(51.2));
        assert_eq!(trial.values["tpot.p50"], None);
        assert_eq!(serde_json::to_string(&trial).unwrap(), text);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            (r#"{"errors":0}"#, "missing field `n`"),
            (r#"{"n":5}"#, "missing field `errors`"),
            (r#"{"n":-5,"errors":0}"#, "`n`: invalid value"),
            (r#"{"n":5,"errors":0,"ttft.p50":"x"}"#, "`ttft.p50`: invalid type"),
            (r#"{"n":5,"errors":0,"x":1,"x":1}"#, "duplicate key `x`"),
            (r#"{"n":5,"n":5,"errors":0}"#, "duplicate key `n`"),
            ("[]", "expected a trial, such as"),
        ] {
            let error = serde_json::from_str::<TrialValues>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let suite = |text: &str| serde_json::from_str::<Suite>(text).unwrap_err().to_string();
        assert!(suite(r#"{"mode":"paired","cases":[],"alhpa":0.05}"#).contains("unknown field `alhpa`"));
        assert!(suite(r#"{"mode":"paired","cases":[],"alone":true}"#).contains("unknown field `alone`"));
        assert!(suite(r#"{"cases":[]}"#).contains("missing field `mode`"));
        assert!(suite(r#"{"mode":"both","cases":[]}"#).contains("unknown variant `both`"));
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let suite: Suite = serde_json::from_str(r#"{"mode":"stored","cases":[]}"#).unwrap();
        assert_eq!(suite, Suite::new(Mode::Stored, Vec::new()));
        assert!((suite.alpha - 0.05).abs() < 1e-15);
        assert_eq!(serde_json::to_string(&suite).unwrap(), r#"{"mode":"stored","alpha":0.05,"k_max":20,"cases":[]}"#);
    }
}
