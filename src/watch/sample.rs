//! One look at a server, and what its counters' text says.

use serde::Serialize;

use crate::profile::Server;
use crate::target::{PrefixCounters, ServerLoad, TokenCounters};

/// When a sample was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Just before the first request.
    Before,
    /// Under load.
    During,
    /// Just after the last answer.
    After,
}

/// One look at a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// When.
    pub moment: Moment,
    /// Seconds since just before the first request.
    pub t_s: f64,
    /// What was found.
    pub values: Readings,
}

/// What was found; absent is what the server or the system does not tell. Counters are since the server's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Readings {
    /// Requests that are being worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<f64>,
    /// Requests that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Share of the key-value cache that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f64>,
    /// Requests that had to give up their place in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_queries: Option<f64>,
    /// Prompt tokens found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_hits: Option<f64>,
    /// Prompt tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<f64>,
    /// Answer tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_tokens: Option<f64>,
    /// Resident memory of all processes of a managed server, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Processor time of all of them since the first sample, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// How many they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// The machine's graphics cards, in the driver's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuReading>,
}

/// One look at a graphics card.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GpuReading {
    /// Share of the time in which it was busy.
    pub utilisation: f64,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
}

impl Readings {
    /// Reads the text of a server's counters by the names that `servers` have for them.
    pub(crate) fn of(text: &str, servers: &[&Server]) -> Self {
        let load = ServerLoad::read(text, servers);
        let prefix = PrefixCounters::read(text, servers);
        let tokens = TokenCounters::read(text, servers);
        Self {
            running: load.map(|load| load.running),
            waiting: load.and_then(|load| load.waiting),
            kv_usage: load.and_then(|load| load.kv_usage),
            preemptions: load.and_then(|load| load.preemptions),
            prefix_queries: prefix.map(|prefix| prefix.queries),
            prefix_hits: prefix.map(|prefix| prefix.hits),
            prompt_tokens: tokens.prompt,
            generation_tokens: tokens.generation,
            ..Self::default()
        }
    }

    /// Whether it holds anything from the server's counters.
    pub fn has_counters(&self) -> bool {
        [self.running, self.prefix_queries, self.prompt_tokens, self.generation_tokens].iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Preset;

    #[test]
    fn a_text_is_read_by_the_server_s_names() {
        let text = "sglang:num_running_reqs 3\nsglang:num_queue_reqs 1\nsglang:prompt_tokens_total 50\n\
                    sglang:cached_tokens_total 5\nsglang:generation_tokens_total 7\n";
        let found = Readings::of(text, &[Preset::Sglang.server()]);
        let json = serde_json::to_string(&found).unwrap();
        assert_eq!(
            json,
            r#"{"running":3.0,"waiting":1.0,"prefix_queries":50.0,"prefix_hits":5.0,"prompt_tokens":50.0,"generation_tokens":7.0}"#
        );
        assert!(found.has_counters());
        assert!(!Readings::of(text, &[Preset::Vllm.server()]).has_counters());
        assert_eq!(serde_json::to_string(&Readings::default()).unwrap(), "{}");
    }
}
