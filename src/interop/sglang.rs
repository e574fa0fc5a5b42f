//! SGLang's `bench_serving --output-file`: JSON Lines, one object a run.

use serde_json::Value;

use super::json::{count, number, ratio, text};
use super::model::{Measured, Tool};
use super::vllm::statistics;

pub(super) fn is(value: &Value) -> bool {
    value["dataset_name"].is_string() && value["completed"].is_number() && value["request_rate"].is_number()
        || value["dataset_name"].is_string() && value["total_output_tokens_retokenized"].is_number()
}

pub(super) fn read(value: &Value) -> Result<Measured, String> {
    let completed = count(value, &["completed"]).ok_or("`completed` is no count")?;
    // Failures are told only with `--output-details`, as texts, empty where all went well.
    let failed = value["errors"].as_array().map_or(0, |errors| {
        errors.iter().filter(|error| error.as_str().is_some_and(|error| !error.is_empty())).count() as u64
    });
    let mut trial = Measured::new(Tool::Sglang, load(value), completed + failed, failed);
    trial.condition("model", text(value, &["server_info", "model_path"]).or_else(|| text(value, &["model"])));
    trial.condition("backend", text(value, &["backend"]));
    trial.condition("dataset", text(value, &["dataset_name"]));
    trial.condition("concurrency", text(value, &["max_concurrency"]));
    trial.condition("rate", rate(value));
    for (ours, theirs) in [("ttft", "ttft"), ("tpot", "tpot"), ("chunk_gap", "itl"), ("e2e_latency", "e2e_latency")] {
        statistics(&mut trial, value, ours, theirs);
    }
    let done = Some(completed as f64);
    trial.set("input_tokens.mean", ratio(number(value, &["total_input_tokens"]), done));
    trial.set("output_tokens.mean", ratio(number(value, &["total_output_tokens"]), done));
    trial.set("output_throughput", number(value, &["output_throughput"]));
    trial.set("request_throughput", number(value, &["request_throughput"]));
    let total = number(value, &["input_throughput"]).zip(number(value, &["output_throughput"]));
    trial.set("total_throughput", total.map(|(input, output)| input + output));
    Ok(trial)
}

/// Python writes a rate without limit as `Infinity`, which is no JSON, or as a huge number.
fn rate(value: &Value) -> Option<String> {
    number(value, &["request_rate"]).filter(|rate| *rate < 1e9).map(|rate| rate.to_string())
}

fn load(value: &Value) -> String {
    let rate = rate(value).map(|rate| format!("rate {rate}"));
    let concurrency = text(value, &["max_concurrency"]).map(|users| format!("concurrency {users}"));
    let parts: Vec<String> = rate.into_iter().chain(concurrency).collect();
    if parts.is_empty() { "all at once".into() } else { parts.join(", ") }
}
