//! A line of `requests.jsonl`, as exports read it.

use serde::Deserialize;

/// A request that was sent. Times are nanoseconds since the trial's beginning, latencies nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RequestLine {
    /// The case.
    pub case: String,
    /// The trial, from 1; 0 for the warm-up.
    pub trial: u32,
    /// `candidate` or `reference`.
    pub side: String,
    /// `warmup` or `measured`.
    pub phase: String,
    /// Position in the plan.
    pub index: u32,
    /// The user that sent it.
    pub user: u32,
    /// Sent as `x-request-id`.
    pub request_id: String,
    /// When the plan wanted it.
    pub scheduled_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// Time to first token.
    pub ttft_ns: Option<u64>,
    /// Time to first output.
    pub ttfo_ns: Option<u64>,
    /// First to second text event.
    pub ttst_ns: Option<u64>,
    /// Time per output token after the first.
    pub tpot_ns: Option<u64>,
    /// Start to last token.
    pub e2e_latency_ns: Option<u64>,
    /// Longest gap between text events.
    pub max_stall_ns: Option<u64>,
    /// Time to open the connection, where one was opened.
    pub connect_ns: Option<u64>,
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Answer tokens.
    pub output_tokens: u64,
    /// Prompt tokens from the cache.
    pub cached_tokens: Option<u64>,
    /// How tokens were counted.
    pub token_source: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The client was to give it up.
    pub to_cancel: bool,
    /// The client gave it up.
    pub cancelled: bool,
    /// Class of the failure.
    pub error_class: Option<String>,
    /// Words of the failure.
    pub error: Option<String>,
}
