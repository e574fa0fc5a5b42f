//! The server's counters as Prometheus text, under the names that vLLM uses.

use std::fmt::Write as _;

use super::model::Stats;

/// The answer of `/metrics`.
pub(super) fn render(stats: &Stats, model: &str) -> String {
    let model = model.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let rows = [
        ("num_requests_running", "gauge", "Sequences in the batch.", f64::from(stats.running)),
        ("num_requests_waiting", "gauge", "Requests that are not in the batch yet.", f64::from(stats.waiting)),
        ("kv_cache_usage_perc", "gauge", "Part of the blocks in use; 1 is all.", stats.kv_usage),
        ("prefix_cache_queries_total", "counter", "Prompt tokens looked up.", stats.prefix_queries as f64),
        ("prefix_cache_hits_total", "counter", "Prompt tokens found.", stats.prefix_hits as f64),
        ("prompt_tokens_total", "counter", "Prompt tokens processed.", stats.prompt_tokens as f64),
        ("generation_tokens_total", "counter", "Answer tokens emitted.", stats.generation_tokens as f64),
        ("num_preemptions_total", "counter", "Sequences that lost their blocks.", stats.preemptions as f64),
        ("request_success_total", "counter", "Answers completed.", stats.finished as f64),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        let reason = if name == "request_success_total" { "finished_reason=\"length\"," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP vllm:{name} {help}\n# TYPE vllm:{name} {kind}\n\
             vllm:{name}{{engine=\"0\",{reason}model_name=\"{model}\"}} {value}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_prometheus() {
        let stats = Stats { running: 2, kv_usage: 0.25, prefix_hits: 1 << 53, finished: 7, ..Stats::default() };
        let text = render(&stats, "a\"b");
        insta::assert_snapshot!(text, @r#"
        # HELP vllm:num_requests_running Sequences in the batch.
        # TYPE vllm:num_requests_running gauge
        vllm:num_requests_running{engine="0",model_name="a\"b"} 2
        # HELP vllm:num_requests_waiting Requests that are not in the batch yet.
        # TYPE vllm:num_requests_waiting gauge
        vllm:num_requests_waiting{engine="0",model_name="a\"b"} 0
        # HELP vllm:kv_cache_usage_perc Part of the blocks in use; 1 is all.
        # TYPE vllm:kv_cache_usage_perc gauge
        vllm:kv_cache_usage_perc{engine="0",model_name="a\"b"} 0.25
        # HELP vllm:prefix_cache_queries_total Prompt tokens looked up.
        # TYPE vllm:prefix_cache_queries_total counter
        vllm:prefix_cache_queries_total{engine="0",model_name="a\"b"} 0
        # HELP vllm:prefix_cache_hits_total Prompt tokens found.
        # TYPE vllm:prefix_cache_hits_total counter
        vllm:prefix_cache_hits_total{engine="0",model_name="a\"b"} 9007199254740992
        # HELP vllm:prompt_tokens_total Prompt tokens processed.
        # TYPE vllm:prompt_tokens_total counter
        vllm:prompt_tokens_total{engine="0",model_name="a\"b"} 0
        # HELP vllm:generation_tokens_total Answer tokens emitted.
        # TYPE vllm:generation_tokens_total counter
        vllm:generation_tokens_total{engine="0",model_name="a\"b"} 0
        # HELP vllm:num_preemptions_total Sequences that lost their blocks.
        # TYPE vllm:num_preemptions_total counter
        vllm:num_preemptions_total{engine="0",model_name="a\"b"} 0
        # HELP vllm:request_success_total Answers completed.
        # TYPE vllm:request_success_total counter
        vllm:request_success_total{engine="0",finished_reason="length",model_name="a\"b"} 7
        "#);
    }
}
