//! What one run of a client says of itself.

use std::fs;

use serde::{Deserialize, Deserializer, Serialize};

/// The figures of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Tokens that came.
    pub(crate) tokens: u64,
    /// Requests that were sent.
    pub(crate) requests: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
    /// Why the first of them did.
    pub(crate) failure: Option<String>,
    /// Processor time of the process, user and system, from the first request to the summary.
    pub(crate) cpu_ns: u64,
    /// From the first request to the last token.
    pub(crate) wall_ns: u64,
    /// Memory before the round was prepared.
    pub(crate) base_kib: u64,
    /// Most memory so far.
    pub(crate) peak_kib: u64,
    /// Most requests in flight at once.
    pub(crate) in_flight: u32,
    /// Largest share of a core that a load worker used.
    pub(crate) worker_share: f64,
    /// p50 and p99.
    #[serde(deserialize_with = "null_is_unknown")]
    pub(crate) send_lag_ms: [f64; 2],
    /// p50 and p99.
    #[serde(deserialize_with = "null_is_unknown")]
    pub(crate) wake_lag_ms: [f64; 2],
    /// p50 and p99.
    #[serde(deserialize_with = "null_is_unknown")]
    pub(crate) ttft_ms: [f64; 2],
    /// Why the round is no measurement.
    pub(crate) invalid: Vec<String>,
}

/// JSON has no word for a quantile that failed requests reach into.
fn null_is_unknown<'de, D: Deserializer<'de>>(values: D) -> Result<[f64; 2], D::Error> {
    let values = <[Option<f64>; 2]>::deserialize(values)?;
    Ok(values.map(|value| value.unwrap_or(f64::NAN)))
}

impl Figures {
    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.wall_ns as f64 * 1e9
    }

    /// What tokpace itself says of the round.
    pub(crate) fn judgement(&self) -> String {
        if self.invalid.is_empty() {
            "as a trial it is        valid".to_owned()
        } else {
            format!("as a trial it is        invalid: {}", self.invalid.join("; "))
        }
    }
}

/// The median of a figure over runs.
pub(crate) fn median(runs: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Processor time of this process, ended threads included, to 10 ms: the kernel counts ticks of 1/100 s in this file,
/// whatever its own tick is.
pub(crate) fn cpu_ns() -> u64 {
    ticks(11) * 10_000_000
}

/// Processor time of all processes that this one has started and seen ending.
pub(crate) fn children_cpu_ns() -> u64 {
    ticks(13) * 10_000_000
}

/// The sum of two fields of the process's `stat`: time in programs and time in the kernel.
fn ticks(first: usize) -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in parentheses, in which anything may stand.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(first).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// A figure of `/proc/self/status` in KiB: `VmRSS` is the memory in use, `VmHWM` the most so far.
pub(crate) fn memory_kib(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}
