//! A server's own counters, from their text in Prometheus' form.

use std::fmt;

use crate::profile::Server;

/// What the server's counters say of its prefix cache, in prompt tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrefixCounters {
    /// Prompt tokens looked up.
    pub queries: f64,
    /// Prompt tokens found.
    pub hits: f64,
}

/// What the server's counters say of the tokens that it has worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenCounters {
    /// Prompt tokens.
    pub prompt: Option<f64>,
    /// Answer tokens.
    pub generation: Option<f64>,
}

/// What the server's gauges say of its load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerLoad {
    /// Requests that are being worked on.
    pub running: f64,
    /// Requests that wait.
    pub waiting: Option<f64>,
    /// Share of the key-value cache that is in use.
    pub kv_usage: Option<f64>,
    /// Requests that had to give up their place in it since the server started.
    pub preemptions: Option<f64>,
}

impl ServerLoad {
    /// Reads them from the text of the counters by the first of `servers` that knows how many requests run.
    pub fn read(text: &str, servers: &[&Server]) -> Option<Self> {
        let known = |server: &&&Server| !server.running.is_empty() && sum(text, server.running).is_some();
        let server = servers.iter().find(known)?;
        let named = |name: &str, all: fn(f64, f64) -> f64| {
            if name.is_empty() { None } else { values(text, name).reduce(all) }
        };
        Some(Self {
            running: sum(text, server.running)?,
            waiting: named(server.waiting, |a, b| a + b),
            // Of several engines the fullest.
            kv_usage: named(server.kv_usage, f64::max),
            preemptions: named(server.preemptions, |a, b| a + b),
        })
    }
}

impl fmt::Display for ServerLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests run", self.running)?;
        if let Some(waiting) = self.waiting {
            write!(f, ", {waiting} wait")?;
        }
        if let Some(usage) = self.kv_usage {
            write!(f, ", the key-value cache is {:.0} % full", usage * 100.0)?;
        }
        if let Some(preemptions) = self.preemptions {
            write!(f, ", {preemptions} were preempted so far")?;
        }
        Ok(())
    }
}

impl TokenCounters {
    /// Reads each from the text of the counters by the first of `servers` that has it.
    pub fn read(text: &str, servers: &[&Server]) -> Self {
        let named = |of: fn(&Server) -> &'static str| {
            let mut names = servers.iter().map(|server| of(server)).filter(|name| !name.is_empty());
            names.find_map(|name| sum(text, name))
        };
        Self { prompt: named(|server| server.prompt_tokens), generation: named(|server| server.generation_tokens) }
    }
}

impl PrefixCounters {
    /// Reads them from the text of the counters by the first of `servers` that has them all.
    pub fn read(text: &str, servers: &[&Server]) -> Option<Self> {
        let all = |names: &[&str]| names.iter().map(|name| sum(text, name)).sum::<Option<f64>>();
        let mut generations = servers.iter().flat_map(|server| server.prefix);
        generations.find_map(|[queries, hits]| Some(Self { queries: all(queries)?, hits: all(hits)? }))
    }

    /// What has come since `earlier`. A server that was restarted in between has begun anew.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        if self.queries < earlier.queries {
            return self;
        }
        Self { queries: self.queries - earlier.queries, hits: (self.hits - earlier.hits).max(0.0) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { queries: self.queries + other.queries, hits: self.hits + other.hits }
    }

    /// Part of the prompt tokens that was found; `None` if none was looked up.
    pub fn ratio(self) -> Option<f64> {
        (self.queries > 0.0).then(|| self.hits / self.queries)
    }
}

/// The sum over all label sets (engines, models) of a counter; `None` if there is none of this name.
fn sum(text: &str, name: &str) -> Option<f64> {
    values(text, name).reduce(|a, b| a + b)
}

/// The values of a counter or gauge, one a label set.
fn values<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = f64> + 't {
    let samples = text.lines().filter_map(sample);
    let named = samples.filter(move |(found, _)| *found == name || found.strip_suffix("_total") == Some(name));
    named.map(|(_, value)| value)
}

/// Name and value of a line; `None` for comments, other lines and what is no number.
fn sample(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (name, rest) = line.split_at(end);
    let rest = if rest.starts_with('{') { &rest[closing(rest)? + 1..] } else { rest };
    // A time stamp may follow.
    let value = rest.split_ascii_whitespace().next()?.parse::<f64>().ok()?;
    value.is_finite().then_some((name, value))
}

/// Where the label set ends: label values may hold braces, and quotes behind a backslash.
fn closing(labels: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in labels.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Preset;

    fn read(text: &str) -> Option<PrefixCounters> {
        PrefixCounters::read(text, &Preset::ALL.map(Preset::server))
    }

    #[test]
    fn counters_of_all_engines_are_added_up() {
        let text = "# HELP vllm:prefix_cache_queries_total Tokens.\n\
                    # TYPE vllm:prefix_cache_queries_total counter\n\
                    vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"a} \\\" 7\"} 100.0\n\
                    vllm:prefix_cache_queries_total{engine=\"1\",model_name=\"b\"} 20 1700000000\n\
                    vllm:prefix_cache_queries_created{engine=\"0\"} 1.7e9\n\
                    vllm:prefix_cache_hits_total{engine=\"0\"} 6e1\n";
        assert_eq!(read(text), Some(PrefixCounters { queries: 120.0, hits: 60.0 }));
        assert_eq!(read("up 1\n"), None);
        let plain = "sglang:prompt_tokens_total 50\nsglang:cached_tokens_total 5\n";
        assert_eq!(read(plain), Some(PrefixCounters { queries: 50.0, hits: 5.0 }));
    }

    #[test]
    fn each_server_has_its_own_names() {
        let llama = "llamacpp:prompt_tokens_total 30\nllamacpp:prompt_tokens_cached_total 70\n";
        assert_eq!(read(llama), Some(PrefixCounters { queries: 100.0, hits: 70.0 }));
        let light = "lightllm_request_input_length_sum 50\nlightllm_cache_length_sum 20\n";
        assert_eq!(read(light), Some(PrefixCounters { queries: 50.0, hits: 20.0 }));
        assert_eq!(PrefixCounters::read(llama, &[Preset::Vllm.server()]), None);
        // One without the other says nothing.
        assert_eq!(read("llamacpp:prompt_tokens_total 30\n"), None);
    }

    #[test]
    fn a_load_is_read_as_far_as_it_is_told() {
        let text = "vllm:num_requests_running{engine=\"0\"} 2\nvllm:num_requests_running{engine=\"1\"} 1\n\
                    vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.5\n\
                    vllm:num_preemptions_total 4\n";
        let load = ServerLoad::read(text, &Preset::ALL.map(Preset::server)).unwrap();
        assert_eq!(load, ServerLoad { running: 3.0, waiting: None, kv_usage: Some(0.5), preemptions: Some(4.0) });
        assert_eq!(load.to_string(), "3 requests run, the key-value cache is 50 % full, 4 were preempted so far");
        assert_eq!(ServerLoad::read(text, &[Preset::Sglang.server(), Preset::Generic.server()]), None);
    }

    #[test]
    fn tokens_are_counted_by_each_server_in_its_way() {
        let read = |text| TokenCounters::read(text, &Preset::ALL.map(Preset::server));
        let vllm = "vllm:prompt_tokens_total 7\nvllm:generation_tokens_total{engine=\"0\"} 9\n";
        assert_eq!(read(vllm), TokenCounters { prompt: Some(7.0), generation: Some(9.0) });
        let tgi = "tgi_request_generated_tokens_count 3\ntgi_request_generated_tokens_sum 48\n";
        assert_eq!(read(tgi), TokenCounters { prompt: None, generation: Some(48.0) });
        assert_eq!(read("up 1\n"), TokenCounters::default());
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for line in ["", "# TYPE a counter", "a", "a{b=\"c\" 1", "a NaN", "a +Inf", "a one"] {
            assert_eq!(sample(line), None, "{line}");
        }
        assert_eq!(sample("a{} 1"), Some(("a", 1.0)));
        assert_eq!(sample("  a 1.5 "), Some(("a", 1.5)));
    }

    #[test]
    fn deltas_survive_a_restart() {
        let counters = |queries, hits| PrefixCounters { queries, hits };
        assert_eq!(counters(300.0, 120.0).since(counters(100.0, 20.0)), counters(200.0, 100.0));
        assert_eq!(counters(40.0, 10.0).since(counters(100.0, 20.0)), counters(40.0, 10.0));
        assert_eq!(counters(200.0, 100.0).plus(counters(40.0, 20.0)).ratio(), Some(0.5));
        assert_eq!(PrefixCounters::default().ratio(), None);
    }
}
