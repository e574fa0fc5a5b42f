//! `tokpace.toml` as it is written. The doc comments here are what an editor shows for a key.

use std::collections::BTreeMap;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{OnStale, Preset};
#[cfg(feature = "schema")]
use crate::calendar::Date;
use crate::calendar::Days;
use crate::units::{Share, Time};

/// What the file holds beside its profiles.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProjectFile {
    pub(super) profile: Option<String>,
    pub(super) history: Option<String>,
    pub(super) baseline_max_age: Option<Days>,
    pub(super) on_stale_baseline: Option<OnStale>,
    pub(super) waiver: Vec<WaiverFile>,
}

/// A check that may regress for a while.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct WaiverFile {
    /// The case's name, as tests are named.
    pub(super) case: Option<String>,
    /// The metric of the check, such as `tpot.p50`. Default: all checks of the case but `error_rate`.
    pub(super) check: Option<String>,
    /// The profile for which it holds. Default: every profile.
    pub(super) profile: Option<String>,
    /// The last day on which it holds, such as `2026-12-31`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    pub(super) until: Option<toml::Value>,
    /// Why; shown wherever the regression is.
    pub(super) reason: Option<String>,
}

/// What every kind of profile can hold.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct CommonFile {
    /// Where the server is.
    pub(super) kind: Option<KindFile>,
    /// Job-to-job noise (standard deviation) to assume until enough jobs have measured it. Default: 3%, and 0.3%
    /// for the embedded server.
    pub(super) job_noise: Option<Share>,
    /// Facts about the machine, such as `gpu = "H100"`; a baseline holds for equal labels only.
    pub(super) labels: BTreeMap<String, String>,
    /// How old a baseline may be, such as `90d`; counted from its latest job. Default: that of the whole file.
    pub(super) baseline_max_age: Option<Days>,
    /// What an older baseline does. Default: that of the whole file.
    pub(super) on_stale_baseline: Option<OnStale>,
}

/// Keys of every profile: those of [`CommonFile`], and its variants, which are decoded one by one.
pub(super) const COMMON_KEYS: [&str; 6] =
    ["kind", "job_noise", "labels", "baseline_max_age", "on_stale_baseline", "variants"];

/// Keys of [`EndpointFile`] that a variant of an endpoint may have.
pub(super) const ENDPOINT_VARIANT_KEYS: [&str; 4] = ["extra", "headers", "model", "url"];

/// Keys of [`ManagedFile`] that a variant of a managed server may have.
pub(super) const MANAGED_VARIANT_KEYS: [&str; 6] = ["args", "command", "env", "extra", "headers", "model"];

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum KindFile {
    /// The simulated server, in this process.
    Embedded,
    /// A server that somebody else runs.
    Endpoint,
    /// A server that is started and stopped with the run.
    Managed,
}

/// A server that somebody else runs. Texts may hold `${NAME}` and `${NAME:-default}` from the environment or `.env`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndpointFile {
    /// Base URL, with or without `/v1`.
    pub(super) url: Option<String>,
    /// Model to ask for. Default: the only one that the server has.
    pub(super) model: Option<String>,
    /// Name of the environment variable that holds the API key.
    pub(super) api_key_env: Option<String>,
    /// Further request headers; values never appear in any output.
    pub(super) headers: BTreeMap<String, String>,
    /// Merged into each request's body, before the scenario's own `extra`.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub(super) extra: BTreeMap<String, toml::Value>,
    /// PEM file of a further certificate authority.
    pub(super) ca_cert: Option<String>,
    /// Proxy URL; the environment's proxies are never used.
    pub(super) proxy: Option<String>,
    /// The model's `tokenizer.json`, relative to this file. Default: the bundled tokenizer.
    pub(super) tokenizer: Option<String>,
}

/// A server that is started and stopped with the run. Texts may hold `${NAME}` and `${NAME:-default}` from the
/// environment or `.env`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ManagedFile {
    /// Which server it is: where it says that it is ready, what its counters are called, and which flags switch its
    /// prefix cache on and off. Default: `generic`.
    pub(super) preset: Preset,
    /// The program and its arguments. `{port}` stands for the port.
    pub(super) command: Vec<String>,
    /// Further arguments, after those of `command`.
    pub(super) args: Vec<String>,
    /// Environment variables of the server, beside those of the run.
    pub(super) env: BTreeMap<String, String>,
    /// Port on 127.0.0.1. Default: a free one, which `{port}` passes on.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub(super) port: Option<u16>,
    /// Path that answers with a status of 200 to 299 once the server is ready. Default: the preset's.
    pub(super) ready_path: Option<String>,
    /// Longest time until the server is ready. Default: 5m.
    pub(super) ready_timeout: Option<Time>,
    /// How long the server has to end when it is asked to, before it is killed. Default: 15s.
    pub(super) stop_timeout: Option<Time>,
    /// Folder in which the server is started, relative to this file. Default: this file's.
    pub(super) cwd: Option<String>,
    /// Whether no other managed server may be up at the same time: the sides of a comparison are then started in turn.
    pub(super) exclusive: bool,
    /// How often each side of a comparison is started in its first six pairs, if a start takes longer than 5 s. Default:
    /// 4, but once if a start takes longer than 2 minutes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 6)))]
    pub(super) starts: Option<u32>,
    /// Model to ask for. Default: the only one that the server has.
    pub(super) model: Option<String>,
    /// Name of the environment variable that holds the API key.
    pub(super) api_key_env: Option<String>,
    /// Further request headers; values never appear in any output.
    pub(super) headers: BTreeMap<String, String>,
    /// Merged into each request's body, before the scenario's own `extra`.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub(super) extra: BTreeMap<String, toml::Value>,
    /// The model's `tokenizer.json`, relative to this file. Default: the bundled tokenizer.
    pub(super) tokenizer: Option<String>,
}
