//! A scenario file as it is written. The doc comments here are what an editor shows for a key.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{DatasetFormat, OnInconclusive, OnMissing, Protocol};
use crate::units::{Growth, Share, Time};

/// A performance test of an LLM inference server: what is sent, how fast, how often it is repeated, what must hold.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", schemars(title = "tokpace scenario"))]
pub(super) struct ScenarioFile {
    /// What the scenario stands for, in one sentence.
    pub description: String,
    /// Prompts and their lengths.
    pub workload: WorkloadFile,
    /// When requests are sent and when a trial ends. Exactly one of `concurrency`, `rate`, `batch` and `trace`;
    /// unless it is `trace`, at least one of `requests` and `duration`.
    pub load: LoadFile,
    /// How a request is made.
    pub request: RequestFile,
    /// How often the case is measured.
    pub trials: TrialsFile,
    /// What must hold. Without limits the default checks apply: `ttft.p50` (5%), `tpot.p50` (3%) and
    /// `output_throughput` (3%) against the baseline, or against the reference variant of `[compare]`.
    pub gate: GateFile,
    /// What makes a single request good, for goodput: `ttft = "500ms"`.
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = { "enum": ["ttft", "ttfo", "tpot", "e2e_latency", "max_stall", "service_ttft", "service_e2e_latency"] })))]
    pub slo: BTreeMap<String, Time>,
    /// Two variants of the target to compare with one another in place of a baseline.
    pub compare: Option<CompareFile>,
    /// Load for a long time, to see whether the memory of a managed server grows without end.
    pub soak: Option<SoakFile>,
}

/// Prompts and their lengths.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct WorkloadFile {
    /// Tokens of a prompt, shared prefix included, system prompt excluded.
    pub input_tokens: Option<LengthFile>,
    /// Tokens of an answer, sent as `max_tokens`. Embeddings have none.
    pub output_tokens: Option<LengthFile>,
    /// Text that goes before each conversation, or `{ path = "…" }` of a file that holds it.
    pub system_prompt: Option<SystemPromptFile>,
    /// A file of prompts in place of synthetic ones.
    pub dataset: Option<DatasetFile>,
    /// Several turns a conversation.
    pub conversation: Option<ConversationFile>,
    /// Prefixes that groups of prompts share.
    pub prefix: Option<PrefixFile>,
    /// Seed of every draw; the same seed gives the same requests. Default: 42.
    pub seed: Option<u64>,
    /// Whether each trial's prompts start with tokens of their own, so that no trial finds the cache of the last
    /// one. Default: true.
    pub salt: Option<bool>,
}

/// A number of tokens: fixed (`128`), in turn (`[64, 128]`), or drawn for each request.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub(super) enum LengthFile {
    /// Always the same.
    Fixed(#[cfg_attr(feature = "schema", schemars(range(min = 1)))] u32),
    /// These values in turn.
    List(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<u32>),
    /// Drawn for each request.
    Drawn(DrawnFile),
}

/// A distribution of lengths: `mean` with `stddev`, `uniform`, or `lognormal`.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct DrawnFile {
    /// Mean of a normal distribution; needs `stddev`.
    pub mean: Option<f64>,
    /// Standard deviation of the normal distribution.
    pub stddev: Option<f64>,
    /// Smallest value of the normal distribution. Default: 1.
    pub min: Option<u32>,
    /// Largest value of the normal distribution. Default: six standard deviations above the mean.
    pub max: Option<u32>,
    /// Smallest and largest value; all between them are equally likely.
    #[cfg_attr(feature = "schema", schemars(length(equal = 2)))]
    pub uniform: Option<Vec<u32>>,
    /// A lognormal distribution by its median and its 95th percentile.
    pub lognormal: Option<LognormalFile>,
}

/// A lognormal distribution.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LognormalFile {
    /// Median.
    pub median: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
}

/// A system prompt: the text, or the file that holds it.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub(super) enum SystemPromptFile {
    /// The text itself.
    Text(String),
    /// A file.
    File(PathFile),
}

/// A file.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct PathFile {
    /// Path, relative to the scenario file.
    pub path: String,
}

/// A file of prompts.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatasetFile {
    /// Path, relative to the scenario file.
    pub path: String,
    /// How to read it. Default: `jsonl` and `text` for files whose names end in `.jsonl` and `.txt`.
    pub format: Option<DatasetFormat>,
}

/// Multi-turn conversations.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConversationFile {
    /// Turns a conversation.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub turns: u32,
    /// Pause between an answer and the next question. Default: none.
    pub think_time: Time,
}

/// Shared prefixes.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrefixFile {
    /// How many different prefixes; request i uses prefix i modulo this. Default: 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub groups: Option<u32>,
    /// Tokens of each prefix; the rest of `input_tokens` is a suffix of the request's own.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub prefix_tokens: u32,
    /// Whether each prefix is sent once, unmeasured, before a trial. Default: true.
    pub prime: Option<bool>,
}

/// When requests are sent and when a trial ends.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoadFile {
    /// Closed loop: so many users, each waiting for its answer before its next request.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub concurrency: Option<u32>,
    /// Open loop: so many requests a second, whatever the server does.
    pub rate: Option<f64>,
    /// Offline: so many requests at once, wait for all, again.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub batch: Option<u32>,
    /// Open loop: replays a trace file, relative to the scenario file, with its times, lengths and shared prefixes.
    pub trace: Option<String>,
    /// Time over which the users of `concurrency` start. Default: 100ms a user.
    pub ramp_up: Option<Time>,
    /// Distribution of the gaps of `rate`. Default: `constant`.
    pub arrival: Option<ArrivalFile>,
    /// With `rate` or `trace`: more requests in flight than this make the trial invalid; nothing is delayed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_in_flight: Option<u32>,
    /// Time scale of `trace`: 2.0 replays twice as fast. Default: 1.0.
    pub speed: Option<f64>,
    /// Leaves out the beginning of `trace`, in the trace's own time. Default: nothing.
    pub offset: Option<Time>,
    /// A trial ends after so many requests.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub requests: Option<u32>,
    /// A trial sends no request after so long.
    pub duration: Option<Time>,
    /// Requests sent before, outside every statistic. Default: one a user, at most 5.
    pub warmup: Option<u32>,
}

/// Distribution of the gaps between requests.
#[derive(Debug, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum ArrivalFile {
    /// All gaps equal.
    Constant,
    /// Exponential gaps.
    Poisson,
    /// Gamma gaps of this shape: below 1 burstier than Poisson, above 1 smoother.
    Gamma(f64),
}

/// How a request is made.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RequestFile {
    /// What is spoken. Default: `openai-chat`.
    pub protocol: Option<Protocol>,
    /// Whether the answer is streamed. Default: true, where the protocol has streams.
    pub stream: Option<bool>,
    /// HTTP/2 with prior knowledge in place of HTTP/1.1. Default: false, but with gRPC.
    pub http2: Option<bool>,
    /// Longest time of a request. Default: 60s.
    pub timeout: Option<Time>,
    /// Longest time without a byte. Default: 20s.
    pub no_progress: Option<Time>,
    /// With `load.batch`, and `openai-completions` or `ppl`: the prompts of a batch go as a list in one request. Default: false.
    pub prompt_list: Option<bool>,
    /// Merged into the request's body: `{ ignore_eos = true }`.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub extra: BTreeMap<String, toml::Value>,
    /// Requests that the client gives up on purpose: `{ rate = "10%", after = "200ms" }`. Default: none.
    pub cancel: Option<CancelFile>,
}

/// Requests that the client gives up on purpose. Needs `rate` and at least one of `after` and `after_tokens`.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["rate"])))]
pub(super) struct CancelFile {
    /// Share of the requests of a trial, chosen by the seed.
    pub rate: Option<Share>,
    /// So long after a request was sent its connection is closed.
    pub after: Option<Time>,
    /// With so many tokens of its answer a request's connection is closed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub after_tokens: Option<u32>,
}

/// How often a case is measured.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrialsFile {
    /// Trials that are always run. Default: 6, the fewest that can be judged.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub min: Option<u32>,
    /// Most trials, or pairs of trials with `[compare]`. Default: 10, and 20 pairs.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max: Option<u32>,
    /// Trials with `--quick`. Default: 2.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub quick: Option<u32>,
}

/// Two variants of the target: `prefix-caching-off` and `prefix-caching-on`, or those of the profile's `variants`.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["reference", "candidate"])))]
pub(super) struct CompareFile {
    /// The variant that is compared with.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")))]
    pub reference: Option<String>,
    /// The variant that is judged.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")))]
    pub candidate: Option<String>,
}

/// Load for a long time, to see whether the memory of a managed server grows without end. With this table a case has
/// one trial, and no default checks but that of `error_rate`, unless `[trials]` and `[gate]` say otherwise.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct SoakFile {
    /// How much the server's resident memory may grow. Default: 1MiB/min.
    pub rss_growth: Option<Growth>,
    /// The part of a trial at its beginning that is left out, in which the server still takes what it needs.
    /// Default: 20%.
    pub settle: Option<Share>,
}

/// What must hold.
#[derive(Debug, Default)]
pub(super) struct GateFile {
    /// What an inconclusive verdict does to the build.
    pub on_inconclusive: Option<OnInconclusive>,
    /// What a missing baseline does to the build.
    pub on_missing_baseline: Option<OnMissing>,
    /// The slowdown that an inconclusive verdict must have been able to see.
    pub blind_above: Option<Share>,
    /// By metric and statistic, as written.
    pub limits: BTreeMap<String, LimitsFile>,
}

/// The limits of one statistic: one, or a list.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub(super) enum LimitsFile {
    /// One limit.
    One(LimitFile),
    /// Several limits that must all hold.
    Many(Vec<LimitFile>),
}

/// One limit: `"<= 300ms"`, `"<= baseline + 5%"`, `"<= reference + 5%"`, `"<= 0.7 * reference"`, or a table.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub(super) enum LimitFile {
    /// A limit that gates.
    Text(#[cfg_attr(feature = "schema", schemars(regex(pattern = r"^\s*(<=|>=)")))] String),
    /// A limit with options.
    Table(LimitTable),
}

/// A limit with options.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitTable {
    /// The limit: `"<= 2s"`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^\s*(<=|>=)")))]
    pub limit: Option<String>,
    /// Shown, but never fails the build. Default: false.
    pub advisory: bool,
}

/// A `Deserialize` that takes each TOML form to its own variant, so that mistakes inside keep their place.
macro_rules! by_form {
    ($type:ident, $expecting:literal, { $($method:tt)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Forms;
                impl<'de> Visitor<'de> for Forms {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    $($method)*
                }
                deserializer.deserialize_any(Forms)
            }
        }
    };
}

by_form!(LengthFile, "a number of tokens, a list of them, or a table such as `{ mean = 128, stddev = 32 }`", {
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<LengthFile, E> {
        u32::try_from(value).map(LengthFile::Fixed).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<LengthFile, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(LengthFile::List)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LengthFile, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(LengthFile::Drawn)
    }
});

by_form!(SystemPromptFile, "a text, or `{ path = \"…\" }`", {
    fn visit_str<E: de::Error>(self, text: &str) -> Result<SystemPromptFile, E> {
        Ok(SystemPromptFile::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SystemPromptFile, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(SystemPromptFile::File)
    }
});

by_form!(LimitFile, "a limit such as `\"<= baseline + 5%\"`, or `{ limit = \"…\", advisory = true }`", {
    fn visit_str<E: de::Error>(self, text: &str) -> Result<LimitFile, E> {
        Ok(LimitFile::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LimitFile, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(LimitFile::Table)
    }
});

by_form!(
    LimitsFile,
    "a limit such as `\"<= baseline + 5%\"`, a list of limits, or `{ limit = \"…\", advisory = true }`",
    {
        fn visit_str<E: de::Error>(self, text: &str) -> Result<LimitsFile, E> {
            Ok(LimitsFile::One(LimitFile::Text(text.to_owned())))
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LimitsFile, A::Error> {
            Deserialize::deserialize(MapAccessDeserializer::new(map))
                .map(|table| LimitsFile::One(LimitFile::Table(table)))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<LimitsFile, A::Error> {
            Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(LimitsFile::Many)
        }
    }
);

by_form!(GateFile, "a table", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GateFile, A::Error> {
        let mut gate = GateFile::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "on_inconclusive" => gate.on_inconclusive = Some(map.next_value()?),
                "on_missing_baseline" => gate.on_missing_baseline = Some(map.next_value()?),
                "blind_above" => gate.blind_above = Some(map.next_value()?),
                _ => {
                    let limits = map.next_value()?;
                    gate.limits.insert(key, limits);
                }
            }
        }
        Ok(gate)
    }
});
