//! GuideLLM's JSON: a report with one benchmark for each load.

use serde_json::Value;

use super::json::{at, count, number, ratio, text};
use super::model::{Measured, Tool};

pub(super) fn is(value: &Value) -> bool {
    value["benchmarks"].is_array() && (value["metadata"]["guidellm_version"].is_string() || value["args"].is_object())
}

/// One trial a benchmark: a sweep measures several loads.
pub(super) fn read(value: &Value) -> Result<Vec<Measured>, String> {
    let benchmarks = value["benchmarks"].as_array().ok_or("`benchmarks` is no list")?;
    if benchmarks.is_empty() {
        return Err("it has no benchmark".into());
    }
    let version = text(value, &["metadata", "guidellm_version"]);
    benchmarks.iter().map(|benchmark| one(benchmark, version.as_deref())).collect()
}

fn one(benchmark: &Value, version: Option<&str>) -> Result<Measured, String> {
    let metrics = &benchmark["metrics"];
    let totals = at(metrics, &["request_totals"]);
    let done = count(totals, &["successful"]).ok_or("`metrics.request_totals.successful` is missing")?;
    // What was still under way when the time was up has neither failed nor been answered.
    let failed = count(totals, &["errored"]).unwrap_or(0);
    let config = &benchmark["config"];
    let mut trial = Measured::new(Tool::Guidellm, load(&config["strategy"]), done + failed, failed);
    trial.condition("model", text(config, &["backend", "model"]));
    trial.condition("endpoint", text(config, &["backend", "request_format"]));
    trial.condition("concurrency", text(config, &["strategy", "streams"]));
    trial.condition("rate", text(config, &["strategy", "rate"]));
    if let Some(version) = version {
        trial.subject.insert("guidellm".into(), version.into());
    }
    // Its time per output token has the first token in it; its inter-token latency is our time per output token.
    for (ours, theirs, factor) in [
        ("ttft", "time_to_first_token_ms", 1.0),
        ("ttfo", "time_to_first_output_token_ms", 1.0),
        ("tpot", "inter_token_latency_ms", 1.0),
        ("e2e_latency", "request_latency", 1e3),
        ("input_tokens", "prompt_token_count", 1.0),
        ("output_tokens", "output_token_count", 1.0),
    ] {
        statistics(&mut trial, at(metrics, &[theirs, "successful"]), ours, factor);
    }
    // Its own rates are means over moments, weighted by the tokens themselves. What we call throughput is the total
    // over the time it took.
    let seconds = number(benchmark, &["duration"]);
    let total = |metric: &str| number(metrics, &[metric, "successful", "total_sum"]);
    let (input, output) = (total("prompt_token_count"), total("output_token_count"));
    trial.set("output_throughput", ratio(output, seconds));
    trial.set("input_throughput", ratio(input, seconds));
    trial.set("total_throughput", ratio(input.zip(output).map(|(input, output)| input + output), seconds));
    trial.set("request_throughput", ratio(Some(done as f64), seconds));
    trial.span = number(benchmark, &["start_time"]).zip(number(benchmark, &["end_time"])).map(|(a, b)| [a, b]);
    Ok(trial)
}

fn statistics(trial: &mut Measured, values: &Value, ours: &str, factor: f64) {
    if count(values, &["count"]).unwrap_or(0) == 0 {
        return;
    }
    for (theirs, statistic) in [
        (&["mean"][..], "mean"),
        (&["std_dev"], "std"),
        (&["min"], "min"),
        (&["max"], "max"),
        (&["percentiles", "p50"], "p50"),
        (&["percentiles", "p90"], "p90"),
        (&["percentiles", "p95"], "p95"),
        (&["percentiles", "p99"], "p99"),
    ] {
        trial.set(&format!("{ours}.{statistic}"), number(values, theirs).map(|value| value * factor));
    }
}

fn load(strategy: &Value) -> String {
    let kind = text(strategy, &["type_"]).unwrap_or_else(|| "load".into());
    if let Some(streams) = text(strategy, &["streams"]) {
        return format!("concurrency {streams}");
    }
    match text(strategy, &["rate"]) {
        Some(rate) => format!("{kind} rate {rate}"),
        None => kind,
    }
}
