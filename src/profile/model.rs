//! Profiles as the rest of the program uses them.

use std::collections::BTreeMap;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Aging, Preset, Waiver};
use crate::toml_file::{did_you_mean, join_path};
use crate::units::{Share, Time};

/// The project file, resolved: at least the profile `embedded` exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The profile that is used when nothing else is asked for.
    pub default_profile: String,
    /// Every profile by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Folder of the history, relative to the project; in cargo's target folder if absent.
    pub history: Option<String>,
    /// Checks that may regress for a while, in the order of the file.
    pub waivers: Vec<Waiver>,
}

/// A named machine and server set-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name: the baseline folder's.
    pub name: String,
    /// What is measured.
    pub kind: ProfileKind,
    /// Job-to-job noise (standard deviation) to assume until enough jobs have measured it.
    pub job_noise: f64,
    /// Facts about the machine that the user gives; part of the fingerprint's conditions.
    pub labels: BTreeMap<String, String>,
    /// How old a baseline may be, and what an older one does.
    pub aging: Aging,
    /// What is measured in place of `kind` where a scenario asks for a variant, by the variant's name.
    pub variants: BTreeMap<String, ProfileKind>,
    /// The variant that `kind` is, if it is one.
    pub variant: Option<String>,
}

impl Profile {
    /// The profile with one of its variants in place of its own `kind`.
    pub fn with_variant(&self, name: &str) -> Result<Self, UnknownVariant> {
        let Some(kind) = self.variants.get(name) else { return Err(self.unknown(name)) };
        Ok(Self { kind: kind.clone(), variant: Some(name.to_owned()), ..self.clone() })
    }

    fn unknown(&self, variant: &str) -> UnknownVariant {
        let known: Vec<_> = self.variants.keys().map(String::as_str).collect();
        let nearest = did_you_mean(variant, &known).map(|nearest| format!("{nearest} ")).unwrap_or_default();
        let mut rest = Vec::new();
        if !known.is_empty() {
            rest.push(format!("known variants: `{}`", known.join("`, `")));
        }
        let own = match self.kind {
            ProfileKind::Embedded(_) => None,
            ProfileKind::Endpoint(_) => Some("`url`, `model`, `headers` or `extra`"),
            ProfileKind::Managed(_) => Some("`args`, `env`, `command`, `model`, `headers` or `extra`"),
        };
        if let Some(own) = own {
            let table = join_path(["profiles", self.name.as_str(), "variants", variant]);
            rest.push(format!("declare it as `[{table}]` with its own {own}"));
        }
        let hint = format!("{nearest}{}", rest.join("; "));
        UnknownVariant { profile: self.name.clone(), variant: variant.to_owned(), hint }
    }
}

/// A variant that a profile does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("profile `{profile}` has no variant `{variant}`\nhint: {hint}")]
pub struct UnknownVariant {
    /// The profile's name.
    pub profile: String,
    /// What was asked for.
    pub variant: String,
    /// Which ones it has, the nearest first, and how the profile gets more.
    pub hint: String,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileKind {
    /// The simulated server, in this process.
    Embedded(Embedded),
    /// A server that somebody else runs.
    Endpoint(Endpoint),
    /// A server that is started and stopped with the run.
    Managed(Managed),
}

impl ProfileKind {
    /// As files write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Endpoint(_) => "endpoint",
            Self::Managed(_) => "managed",
        }
    }
}

/// The simulated server's settings. Every field has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Embedded {
    /// Cost of the prompt.
    pub ttft: TtftCost,
    /// One decode step with one sequence in the batch.
    pub itl: Time,
    /// Growth of a decode step for each further sequence in the batch.
    pub step_growth: Share,
    /// Standard deviation of each cost, relative to it.
    pub jitter: Share,
    /// Most sequences in a decode step; further ones queue.
    pub max_batch: u32,
    /// Blocks of the key-value cache.
    pub kv_blocks: u32,
    /// Tokens a block.
    pub block_size: u32,
    /// Whether blocks of a known prefix are reused.
    pub prefix_caching: bool,
    /// The model's name on the wire.
    pub model: String,
    /// Makes the server slower on purpose, to see the gate fail.
    pub slowdown: Slowdown,
    /// Makes the server fail on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// Cost of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TtftCost {
    /// Paid by each request without occupying the engine.
    pub base: Time,
    /// Engine time for each prompt token that is not in the prefix cache.
    pub per_input_token: Time,
}

/// Injected slow-downs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Slowdown {
    /// Scales the base and the per-token cost of prompts.
    pub prefill: Share,
    /// Scales decode steps.
    pub decode: Share,
}

/// An injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For which part of the requests; all of them if absent.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share(1.0)
}

/// Ways in which the simulated server can misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// HTTP 500 with an error body.
    Error,
    /// HTTP 429 with `Retry-After`.
    RateLimit,
    /// An `error` event inside the 200 stream, after half of the tokens.
    ErrorEvent,
    /// The connection closes after half of the tokens, before any finish marker.
    Truncate,
    /// The stream stops after half of the tokens and stays open.
    Stall,
    /// A 200 stream without any text.
    Empty,
    /// A stream event that is not JSON.
    Garbage,
    /// One JSON body although a stream was asked for, after the time that the stream would have taken.
    NoStream,
    /// No `usage` in the stream.
    NoUsage,
    /// Answers are half as long as asked for.
    Short,
    /// Prompts are looked up in the prefix cache and never found there.
    ColdCache,
}

impl std::fmt::Display for FaultKind {
    /// As files write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self {
            ttft: TtftCost::default(),
            itl: Time::from_millis(4),
            step_growth: Share(0.01),
            jitter: Share(0.02),
            max_batch: 32,
            kv_blocks: 4096,
            block_size: 16,
            prefix_caching: true,
            model: "tokpace-sim".into(),
            slowdown: Slowdown::default(),
            fault: None,
        }
    }
}

impl Default for TtftCost {
    fn default() -> Self {
        Self { base: Time::from_millis(40), per_input_token: Time(25_000) }
    }
}

/// A server that is reached by URL. Strings may hold `${NAME}`; they are expanded when they are used,
/// so that nothing that is written to a file ever holds a secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoint {
    /// Base URL, with or without `/v1`.
    pub url: String,
    /// Model to ask for; the server's only one if absent.
    pub model: Option<String>,
    /// Name of the environment variable that holds the API key.
    pub api_key_env: Option<String>,
    /// Further request headers.
    pub headers: BTreeMap<String, String>,
    /// Merged into each request's body, before the scenario's own `extra`.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// PEM file of a further certificate authority.
    pub ca_cert: Option<String>,
    /// Proxy URL; the environment's proxies are never used.
    pub proxy: Option<String>,
    /// The model's `tokenizer.json`, relative to the project; the bundled one if absent.
    pub tokenizer: Option<String>,
}

/// A server that is started and stopped with the run. Strings may hold `${NAME}`, and those of the command, its
/// arguments and its environment `{port}`; both are put in when the server is started.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// Which server it is.
    pub preset: Preset,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Environment variables of the server, beside those of the run.
    pub env: BTreeMap<String, String>,
    /// Port on 127.0.0.1; a free one if absent.
    pub port: Option<u16>,
    /// Path that answers with a status of 200 to 299 once the server is ready.
    pub ready_path: String,
    /// Longest time until it is ready.
    pub ready_timeout: Time,
    /// How long it has to end when it is asked to, before it is killed.
    pub stop_timeout: Time,
    /// Folder in which it is started, relative to the project.
    pub cwd: Option<String>,
    /// Whether no other managed server may be up at the same time.
    pub exclusive: bool,
    /// How often each side of a comparison is started in its first six pairs, if that takes long; by its time if absent.
    pub starts: Option<u32>,
    /// How it is talked to. The URL holds `{port}`.
    pub endpoint: Endpoint,
}

/// What stands for the port in a command, its arguments and its environment.
pub const PORT: &str = "{port}";
