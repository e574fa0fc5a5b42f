//! `vllm bench serve --save-result`: one flat object a run; `--append-result` writes one after the other.

use serde_json::Value;

use super::json::{count, number, ratio, text};
use super::model::{Measured, Tool};
use super::time;

pub(super) fn is(value: &Value) -> bool {
    value["model_id"].is_string() && value["num_prompts"].is_number() && value["completed"].is_number()
}

pub(super) fn read(value: &Value) -> Result<Measured, String> {
    let completed = count(value, &["completed"]).ok_or("`completed` is no count")?;
    // Releases before `failed` was written leave the difference.
    let planned = count(value, &["num_prompts"]).unwrap_or(completed);
    let failed = count(value, &["failed"]).unwrap_or_else(|| planned.saturating_sub(completed));
    let mut trial = Measured::new(Tool::Vllm, load(value), completed + failed, failed);
    trial.condition("model", text(value, &["model_id"]));
    trial.condition("tokenizer", text(value, &["tokenizer_id"]));
    // Of chat streams it takes the first chunk, which has no text, for the first token.
    trial.condition("backend", text(value, &["backend"]));
    trial.condition("concurrency", text(value, &["max_concurrency"]));
    trial.condition("rate", text(value, &["request_rate"]).filter(|rate| rate != "inf"));
    for (ours, theirs) in [("ttft", "ttft"), ("tpot", "tpot"), ("chunk_gap", "itl"), ("e2e_latency", "e2el")] {
        statistics(&mut trial, value, ours, theirs);
    }
    let done = Some(completed as f64);
    trial.set("input_tokens.mean", ratio(number(value, &["total_input_tokens"]), done));
    trial.set("output_tokens.mean", ratio(number(value, &["total_output_tokens"]), done));
    trial.set("output_throughput", number(value, &["output_throughput"]));
    trial.set("total_throughput", number(value, &["total_token_throughput"]));
    trial.set("request_throughput", number(value, &["request_throughput"]));
    trial.set("goodput", number(value, &["request_goodput"]));
    let end = text(value, &["date"]).and_then(|date| time::seconds(&date));
    trial.span = end.zip(number(value, &["duration"])).map(|(end, seconds)| [end - seconds, end]);
    Ok(trial)
}

/// `concurrency 8`, `rate 5`, or both; the request rate that is not limited is left out.
fn load(value: &Value) -> String {
    let rate = text(value, &["request_rate"]).filter(|rate| rate != "inf").map(|rate| format!("rate {rate}"));
    let concurrency = text(value, &["max_concurrency"]).map(|users| format!("concurrency {users}"));
    let parts: Vec<String> = rate.into_iter().chain(concurrency).collect();
    if parts.is_empty() { "all at once".into() } else { parts.join(", ") }
}

/// `mean_ttft_ms`, `median_ttft_ms`, `p99_ttft_ms` and whatever other percentiles were asked for.
pub(super) fn statistics(trial: &mut Measured, value: &Value, ours: &str, theirs: &str) {
    let ending = format!("_{theirs}_ms");
    for (key, value) in value.as_object().into_iter().flatten() {
        let Some(statistic) = key.strip_suffix(&ending) else { continue };
        let statistic = match statistic {
            "median" => "p50",
            "mean" | "std" => statistic,
            percentile if percentile.starts_with('p') => percentile,
            _ => continue,
        };
        trial.set(&format!("{ours}.{statistic}"), value.as_f64());
    }
}
