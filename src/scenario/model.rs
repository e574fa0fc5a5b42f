//! A case: one scenario with every matrix value chosen and every default filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metric::{Metric, MetricId};
use crate::scenario::Limit;
use crate::units::{Growth, Nanos, Time};
use crate::wire::Protocol;

/// One test: what is sent, how it is paced, how often it is repeated and what must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Test name: `chatbot`, or `batch::batch=4` where a matrix has several values.
    pub name: String,
    /// The scenario's name: its file's stem.
    pub scenario: String,
    /// The scenario's file as it is shown to people (relative to the package root).
    pub file: String,
    /// What the scenario stands for, in the author's words.
    pub description: String,
    /// Prompts and lengths.
    pub workload: Workload,
    /// When requests are sent and when a trial ends.
    pub load: Load,
    /// How a request is made.
    pub request: RequestOptions,
    /// How often the case is measured.
    pub trials: Trials,
    /// What must hold.
    pub gate: Gate,
    /// What makes a request good, for goodput.
    pub slo: Slo,
    /// Two variants to compare in place of a baseline.
    pub compare: Option<Compare>,
    /// The server's memory must not grow without end.
    pub soak: Option<Soak>,
}

impl Case {
    /// The path of the trace that gives the prompts their lengths and shared prefixes, if there is one.
    pub fn trace(&self) -> Option<&str> {
        match (&self.load.kind, &self.workload.dataset) {
            (LoadKind::Trace { path, .. }, _) | (_, Some(Dataset { path, format: DatasetFormat::Mooncake })) => {
                Some(path)
            }
            _ => None,
        }
    }
}

/// What the prompts are.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Tokens of a prompt, salt and shared prefix included, system prompt excluded.
    pub input_tokens: Length,
    /// Tokens of an answer, sent as `max_tokens`.
    pub output_tokens: Length,
    /// Text that goes before each conversation.
    pub system_prompt: Option<SystemPrompt>,
    /// A file of prompts in place of synthetic ones.
    pub dataset: Option<Dataset>,
    /// Several turns a conversation.
    pub conversation: Option<Conversation>,
    /// Prefixes that groups of prompts share.
    pub prefix: Option<Prefix>,
    /// Seed of every draw of the plan.
    pub seed: u64,
    /// Whether each trial's prompts start with tokens of their own, so that no trial finds the last one's cache.
    pub salt: bool,
}

/// A number of tokens, fixed or drawn for each request.
#[derive(Clone, Debug, PartialEq)]
pub enum Length {
    /// Always the same.
    Fixed(u32),
    /// Normal, truncated to `min..=max`.
    Normal {
        /// Mean of the untruncated distribution.
        mean: f64,
        /// Its standard deviation.
        stddev: f64,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
    },
    /// Every whole number from the first to the second is equally likely.
    Uniform(u32, u32),
    /// Lognormal with this median and 95th percentile.
    Lognormal {
        /// Median.
        median: f64,
        /// 95th percentile.
        p95: f64,
    },
    /// These values in turn: request i takes value i modulo their number.
    List(Vec<u32>),
}

/// Where the system prompt comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SystemPrompt {
    /// The text itself.
    Text(String),
    /// A file, relative to the scenario file; may hold `${NAME}`.
    Path(String),
}

/// A file of prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Path, relative to the scenario file; may hold `${NAME}`.
    pub path: String,
    /// How to read it.
    pub format: DatasetFormat,
}

/// File formats of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DatasetFormat {
    /// One JSON object a line: `{"prompt": "…"}`, `{"messages": […]}` or `{"text": "…"}`, optional `output_tokens`.
    Jsonl,
    /// A JSON array of `{"conversations": [{"from": "human", "value": "…"}]}`; the first user turn is sent.
    Sharegpt,
    /// Mooncake's request trace: its lengths and shared prefixes, without its times.
    Mooncake,
    /// One prompt a line.
    Text,
}

/// Multi-turn conversations.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Turns a conversation.
    pub turns: u32,
    /// Pause between an answer and the next question.
    pub think_time: Time,
}

/// Shared prefixes.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefix {
    /// How many different prefixes; request i uses prefix i modulo this.
    pub groups: u32,
    /// Tokens of each prefix, salt included; the rest of `input_tokens` is a suffix of the request's own.
    pub prefix_tokens: u32,
    /// Whether each prefix is sent once, unmeasured, before a trial.
    pub prime: bool,
}

/// When requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Closed loop, open loop, batch or trace.
    pub kind: LoadKind,
    /// A trial ends after so many requests …
    pub requests: Option<u32>,
    /// … or sends none after so long, whichever is first.
    pub duration: Option<Time>,
    /// Requests sent before, once a case, outside every statistic.
    pub warmup: u32,
}

/// The four ways of pacing.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadKind {
    /// N users, each waiting for its answer before its next request.
    Closed {
        /// Number of users.
        concurrency: u32,
        /// Time over which the users start, spread evenly.
        ramp_up: Time,
    },
    /// Requests at a rate, whatever the server does.
    Open {
        /// Requests a second.
        rate: f64,
        /// Distribution of the gaps.
        arrival: Arrival,
        /// More requests in flight than this make the trial invalid; nothing is delayed.
        max_in_flight: Option<u32>,
    },
    /// Groups of requests sent at once, each group after the last one's answers.
    Batch {
        /// Requests a group.
        size: u32,
    },
    /// A trace's own times.
    Trace {
        /// Path of the trace, relative to the scenario file; may hold `${NAME}`.
        path: String,
        /// Time scale: 2 replays twice as fast.
        speed: f64,
        /// What is left out at the beginning, in the trace's own time.
        offset: Time,
        /// More requests in flight than this make the trial invalid; nothing is delayed.
        max_in_flight: Option<u32>,
    },
}

/// Distribution of the gaps between arrivals; the mean gap is `1 / rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// All gaps equal.
    Constant,
    /// Exponential gaps.
    Poisson,
    /// Gamma gaps of this shape: below 1 burstier than Poisson, above 1 smoother.
    Gamma(f64),
}

/// How a request is made and when it is given up.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestOptions {
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// HTTP/2 with prior knowledge in place of HTTP/1.1.
    pub http2: bool,
    /// Longest time of a request.
    pub timeout: Time,
    /// Longest time without a byte.
    pub no_progress: Time,
    /// The prompts of a batch go as a list in one request.
    pub prompt_list: bool,
    /// Merged into the request's body.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// Requests that the client gives up on purpose.
    pub cancel: Option<Cancellation>,
}

/// Requests that the client gives up on purpose, as users do who close a tab. What is first ends such a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cancellation {
    /// Part of a trial's requests, above 0 and below 1.
    pub rate: f64,
    /// Time after it was sent.
    pub after: Option<Time>,
    /// Tokens of its answer.
    pub after_tokens: Option<u32>,
}

impl Cancellation {
    /// How many of so many requests are given up: at least one, and not all.
    pub fn of(&self, requests: usize) -> usize {
        let most = requests.saturating_sub(1);
        ((self.rate * requests as f64).round() as usize).max(1).min(most)
    }
}

/// How often a case is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trials {
    /// Trials that are always run.
    pub min: u32,
    /// Most trials; `None` is 10 against a baseline and 20 pairs.
    pub max: Option<u32>,
    /// Trials with `--quick`.
    pub quick: u32,
}

impl Trials {
    /// Fewest and most trials of a run against a baseline.
    pub fn range(self, quick: bool) -> (u32, u32) {
        /// Most trials unless the scenario says otherwise.
        const MOST: u32 = 10;
        if quick { (self.quick, self.quick) } else { (self.min, self.max.unwrap_or(MOST).max(self.min)) }
    }

    /// Most pairs of a comparison of two variants.
    pub fn pairs(self, quick: bool) -> u32 {
        /// Most pairs unless the scenario says otherwise.
        const MOST: u32 = 20;
        if quick { self.quick } else { self.max.unwrap_or(MOST).max(self.min) }
    }
}

/// What must hold of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The checks, `error_rate` always among them.
    pub checks: Vec<Check>,
    /// What an inconclusive verdict does to the build.
    pub on_inconclusive: OnInconclusive,
    /// What a missing baseline does to the build.
    pub on_missing_baseline: OnMissing,
    /// In CI an inconclusive verdict fails when a slowdown of this size could not have been seen.
    pub blind_above: f64,
}

impl Gate {
    /// The checks that compare with a baseline or reference and can fail the build, without `error_rate`:
    /// what a suite's family of tests is made of.
    pub fn comparisons(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| !check.advisory && check.limit.is_comparison() && check.metric.metric != Metric::ErrorRate)
    }
}

/// One limit on one statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is judged.
    pub metric: MetricId,
    /// What must hold of it.
    pub limit: Limit,
    /// Shown, but never fails the build.
    pub advisory: bool,
    /// Line of the scenario file that says so, 1-based; `None` for a default check.
    pub line: Option<u32>,
}

/// Policy for inconclusive verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnInconclusive {
    /// Say so and go on.
    #[default]
    Warn,
    /// Fail the build.
    Fail,
}

/// Policy for missing baselines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Write a pending baseline and go on; in CI, fail.
    #[default]
    Record,
    /// Fail the build.
    Fail,
    /// Judge the absolute limits only.
    Skip,
}

/// Limits a single request must meet to be good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slo {
    /// Per-request metrics with their largest good value.
    pub limits: Vec<(Metric, Nanos)>,
}

/// How a managed server's memory may behave under sustained load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soak {
    /// How much its resident memory may grow.
    pub rss_growth: Growth,
    /// Part of a trial at its beginning that is left out, 0 to below 1.
    pub settle: f64,
    /// Line of the scenario file that says so, 1-based.
    pub line: Option<u32>,
}

/// Two variants of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The variant that is compared with.
    pub reference: String,
    /// The variant that is judged.
    pub candidate: String,
}
