//! A server's own counters, from the Prometheus text at `/metrics`.

/// What the server's counters say of its prefix cache, in prompt tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrefixCounters {
    /// Prompt tokens looked up.
    pub queries: f64,
    /// Prompt tokens found.
    pub hits: f64,
}

/// Names of the two counters, by server: vLLM, older vLLM, `SGLang`. A counter may end in `_total`.
const PREFIX: [[&str; 2]; 3] = [
    ["vllm:prefix_cache_queries", "vllm:prefix_cache_hits"],
    ["vllm:gpu_prefix_cache_queries", "vllm:gpu_prefix_cache_hits"],
    ["sglang:prompt_tokens", "sglang:cached_tokens"],
];

impl PrefixCounters {
    /// Reads them from the text of `/metrics`; `None` if the server has no such counters.
    pub fn read(text: &str) -> Option<Self> {
        PREFIX.iter().find_map(|[queries, hits]| Some(Self { queries: sum(text, queries)?, hits: sum(text, hits)? }))
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
    let values = text
        .lines()
        .filter_map(sample)
        .filter(|(found, _)| *found == name || found.strip_suffix("_total") == Some(name));
    values.map(|(_, value)| value).reduce(|a, b| a + b)
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

    #[test]
    fn counters_of_all_engines_are_added_up() {
        let text = "# HELP vllm:prefix_cache_queries_total Tokens.\n\
                    # TYPE vllm:prefix_cache_queries_total counter\n\
                    vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"a} \\\" 7\"} 100.0\n\
                    vllm:prefix_cache_queries_total{engine=\"1\",model_name=\"b\"} 20 1700000000\n\
                    vllm:prefix_cache_queries_created{engine=\"0\"} 1.7e9\n\
                    vllm:prefix_cache_hits_total{engine=\"0\"} 6e1\n";
        assert_eq!(PrefixCounters::read(text), Some(PrefixCounters { queries: 120.0, hits: 60.0 }));
        assert_eq!(PrefixCounters::read("up 1\n"), None);
        let plain = "sglang:prompt_tokens_total 50\nsglang:cached_tokens_total 5\n";
        assert_eq!(PrefixCounters::read(plain), Some(PrefixCounters { queries: 50.0, hits: 5.0 }));
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
