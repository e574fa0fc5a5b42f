//! What every format is read into.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::gate::TrialValues;

/// Which program measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// A run of this program.
    Tokpace,
    /// `vllm bench serve --save-result`.
    Vllm,
    /// `profile_export_aiperf.json`.
    Aiperf,
    /// GuideLLM's JSON.
    Guidellm,
    /// SGLang's `bench_serving`.
    Sglang,
}

impl Tool {
    /// The tool as people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokpace => "tokpace",
            Self::Vllm => "vllm bench serve",
            Self::Aiperf => "AIPerf",
            Self::Guidellm => "GuideLLM",
            Self::Sglang => "SGLang bench_serving",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One trial: what a tool found in one go against one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Who measured.
    pub tool: Tool,
    /// The case: our own name, or the load in words (`concurrency 8`).
    pub case: String,
    /// Counts and statistics under our names for them: milliseconds, tok/s, shares.
    pub values: TrialValues,
    /// What has to be equal for a comparison to mean anything.
    pub conditions: BTreeMap<String, String>,
    /// What a change may change, such as the tool's version.
    pub subject: BTreeMap<String, String>,
    /// When it began and ended, in seconds of the tool's own clock, where the tool says so.
    pub span: Option<[f64; 2]>,
}

impl Measured {
    /// A trial without any value yet.
    pub(super) fn new(tool: Tool, case: String, n: u64, errors: u64) -> Self {
        Self {
            tool,
            case,
            values: TrialValues { n, errors, values: BTreeMap::new() },
            conditions: BTreeMap::from([("tool".to_owned(), tool.name().to_owned())]),
            subject: BTreeMap::new(),
            span: None,
        }
    }

    /// Keeps a value under our name for it, if the tool gives one. Every failed request lies beyond a latency's
    /// quantile, so a quantile that the failures reach into is censored, as it is in trials of our own.
    pub(super) fn set(&mut self, metric: &str, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let reached =
            metric.parse::<crate::metric::MetricId>().ok().and_then(crate::metric::MetricId::quantile).is_some_and(
                |q| self.values.errors > 0 && self.values.errors as f64 >= self.values.n as f64 * (1.0 - q),
            );
        self.values.values.insert(metric.to_owned(), (!reached).then_some(value));
    }

    /// Keeps a condition, if the tool names it.
    pub(super) fn condition(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.conditions.insert(name.to_owned(), value);
        }
    }
}
