//! What is known of each inference server: one row a server.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of inference server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// vLLM.
    Vllm,
    /// `SGLang`.
    Sglang,
    /// llama.cpp's llama-server.
    LlamaCpp,
    /// Text Generation Inference.
    Tgi,
    /// `LightLLM`.
    Lightllm,
    /// PPL.LLM, which speaks nothing but gRPC.
    Ppl,
    /// Any server with the `OpenAI` interface.
    #[default]
    Generic,
}

/// What is known of a kind of server. Empty where it has no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Path that answers with a status of 200 to 299 once the server is ready. Without one it is ready when it listens.
    pub ready_path: &'static str,
    /// Path of the counters in Prometheus' text form.
    pub metrics_path: &'static str,
    /// Counters of its prefix cache in prompt tokens, by generation of the server: those whose sum was looked up, those
    /// whose sum was found. A counter's name may end in `_total`.
    pub prefix: &'static [[&'static [&'static str]; 2]],
    /// Gauge of the requests that are being worked on.
    pub running: &'static str,
    /// Gauge of the requests that wait.
    pub waiting: &'static str,
    /// Gauge of the share of the key-value cache that is in use.
    pub kv_usage: &'static str,
    /// Counter of the requests that had to give up their place in the key-value cache.
    pub preemptions: &'static str,
    /// Counter of prompt tokens.
    pub prompt_tokens: &'static str,
    /// Counter of answer tokens.
    pub generation_tokens: &'static str,
    /// What switches its prefix cache on and off.
    pub prefix_caching: Option<[CacheSwitch; 2]>,
    /// Path that empties the prefix cache when something is posted to it.
    pub cache_reset: Option<&'static str>,
    /// Path that tells the version, and the key of its JSON that holds it.
    pub version: Option<[&'static str; 2]>,
}

/// Arguments and environment variables that switch a prefix cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSwitch {
    /// Arguments, each a word of its own that takes no value.
    pub args: &'static [&'static str],
    /// Variables.
    pub env: &'static [(&'static str, &'static str)],
}

const fn flags(args: &'static [&'static str]) -> CacheSwitch {
    CacheSwitch { args, env: &[] }
}

const UNKNOWN: Server = Server {
    ready_path: "/v1/models",
    metrics_path: "/metrics",
    prefix: &[],
    running: "",
    waiting: "",
    kv_usage: "",
    preemptions: "",
    prompt_tokens: "",
    generation_tokens: "",
    prefix_caching: None,
    cache_reset: None,
    version: Some(["/version", "version"]),
};

const VLLM: Server = Server {
    ready_path: "/health",
    prefix: &[
        [&["vllm:prefix_cache_queries"], &["vllm:prefix_cache_hits"]],
        [&["vllm:gpu_prefix_cache_queries"], &["vllm:gpu_prefix_cache_hits"]],
    ],
    running: "vllm:num_requests_running",
    waiting: "vllm:num_requests_waiting",
    kv_usage: "vllm:kv_cache_usage_perc",
    preemptions: "vllm:num_preemptions",
    prompt_tokens: "vllm:prompt_tokens",
    generation_tokens: "vllm:generation_tokens",
    prefix_caching: Some([flags(&["--enable-prefix-caching"]), flags(&["--no-enable-prefix-caching"])]),
    // Only with `VLLM_SERVER_DEV_MODE=1`.
    cache_reset: Some("/reset_prefix_cache"),
    ..UNKNOWN
};

const SGLANG: Server = Server {
    ready_path: "/health",
    prefix: &[[&["sglang:prompt_tokens"], &["sglang:cached_tokens"]]],
    running: "sglang:num_running_reqs",
    waiting: "sglang:num_queue_reqs",
    kv_usage: "sglang:token_usage",
    preemptions: "sglang:num_retracted_reqs",
    prompt_tokens: "sglang:prompt_tokens",
    generation_tokens: "sglang:generation_tokens",
    prefix_caching: Some([flags(&[]), flags(&["--disable-radix-cache"])]),
    cache_reset: Some("/flush_cache"),
    version: Some(["/get_server_info", "version"]),
    ..UNKNOWN
};

const LLAMA_CPP: Server = Server {
    ready_path: "/health",
    // The first counts tokens that were worked on, without the cached ones.
    prefix: &[[&["llamacpp:prompt_tokens", "llamacpp:prompt_tokens_cached"], &["llamacpp:prompt_tokens_cached"]]],
    running: "llamacpp:requests_processing",
    waiting: "llamacpp:requests_deferred",
    prompt_tokens: "llamacpp:prompt_tokens",
    generation_tokens: "llamacpp:tokens_predicted",
    prefix_caching: Some([flags(&["--cache-prompt"]), flags(&["--no-cache-prompt"])]),
    version: Some(["/props", "build_info"]),
    ..UNKNOWN
};

const TGI: Server = Server {
    ready_path: "/health",
    running: "tgi_batch_current_size",
    waiting: "tgi_queue_size",
    prompt_tokens: "tgi_request_input_length_sum",
    generation_tokens: "tgi_request_generated_tokens_sum",
    prefix_caching: Some([
        CacheSwitch { args: &[], env: &[("PREFIX_CACHING", "1")] },
        CacheSwitch { args: &[], env: &[("PREFIX_CACHING", "0")] },
    ]),
    version: Some(["/info", "version"]),
    ..UNKNOWN
};

const LIGHTLLM: Server = Server {
    ready_path: "/health",
    prefix: &[
        [
            &["lightllm_kv_cache_hit_tokens_sum", "lightllm_kv_cache_miss_tokens_sum"],
            &["lightllm_kv_cache_hit_tokens_sum"],
        ],
        [&["lightllm_request_input_length_sum"], &["lightllm_cache_length_sum"]],
    ],
    running: "lightllm_batch_current_size",
    waiting: "lightllm_queue_size",
    kv_usage: "lightllm_kv_cache_utilization_ratio",
    prompt_tokens: "lightllm_request_input_length_sum",
    generation_tokens: "lightllm_request_generated_tokens_sum",
    prefix_caching: Some([flags(&[]), flags(&["--disable_dynamic_prompt_cache"])]),
    ..UNKNOWN
};

/// Its server listens once the model is there, and has no other interface.
const PPL: Server = Server { ready_path: "", metrics_path: "", version: None, ..UNKNOWN };

impl Preset {
    /// Every kind of server.
    pub const ALL: [Self; 7] =
        [Self::Vllm, Self::Sglang, Self::LlamaCpp, Self::Tgi, Self::Lightllm, Self::Ppl, Self::Generic];

    /// Its name in project files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlamaCpp => "llama-cpp",
            Self::Tgi => "tgi",
            Self::Lightllm => "lightllm",
            Self::Ppl => "ppl",
            Self::Generic => "generic",
        }
    }

    /// The kind of server whose list of models names this owner, as `vllm` and `llamacpp` do.
    pub fn of_owner(owner: &str) -> Option<Self> {
        let own = |kind: &Self| *kind != Self::Generic && kind.name().replace('-', "") == owner.to_ascii_lowercase();
        Self::ALL.into_iter().find(own)
    }

    /// What is known of it.
    pub const fn server(self) -> &'static Server {
        match self {
            Self::Vllm => &VLLM,
            Self::Sglang => &SGLANG,
            Self::LlamaCpp => &LLAMA_CPP,
            Self::Tgi => &TGI,
            Self::Lightllm => &LIGHTLLM,
            Self::Ppl => &PPL,
            Self::Generic => &UNKNOWN,
        }
    }
}
