//! AIPerf's `profile_export_aiperf.json`: each metric an object with its unit and statistics.

use serde_json::Value;

use super::json::{at, count, number, text};
use super::model::{Measured, Tool};
use super::time;

pub(super) fn is(value: &Value) -> bool {
    value["aiperf_version"].is_string() || (value["input_config"].is_object() && value["request_count"].is_object())
}

pub(super) fn read(value: &Value) -> Result<Measured, String> {
    if value["was_cancelled"] == true {
        return Err("the run was cancelled, so it is no measurement of its load".into());
    }
    let completed = count(value, &["request_count", "avg"]).ok_or("`request_count` is missing")?;
    let failed = count(value, &["error_request_count", "avg"]).unwrap_or(0);
    let config = &value["input_config"];
    let mut trial = Measured::new(Tool::Aiperf, load(config), completed + failed, failed);
    let names = config["models"]["items"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(config["endpoint"]["model_names"].as_array().into_iter().flatten());
    let model: Vec<String> = names.filter_map(|item| text(item, &["name"]).or_else(|| text(item, &[]))).collect();
    trial.condition("model", (!model.is_empty()).then(|| model.join(", ")));
    trial.condition("endpoint", text(config, &["endpoint", "type"]));
    trial.condition("tokenizer", text(config, &["tokenizer", "name"]));
    let phase = measured_phase(config);
    trial.condition("concurrency", text(phase, &["concurrency"]));
    trial.condition("rate", text(phase, &["rate"]));
    if let Some(version) = text(value, &["aiperf_version"]) {
        trial.subject.insert("aiperf".into(), version);
    }
    // What it calls inter-token latency is one value a request: our time per output token.
    for (ours, theirs) in [
        ("ttft", "time_to_first_token"),
        ("ttfo", "time_to_first_output_token"),
        ("ttst", "time_to_second_token"),
        ("tpot", "inter_token_latency"),
        ("chunk_gap", "inter_chunk_latency"),
        ("e2e_latency", "request_latency"),
        ("input_tokens", "input_sequence_length"),
        ("output_tokens", "output_sequence_length"),
    ] {
        statistics(&mut trial, &value[theirs], ours);
    }
    for (ours, theirs) in [
        ("output_throughput", "output_token_throughput"),
        ("input_throughput", "input_token_throughput"),
        ("total_throughput", "total_token_throughput"),
        ("request_throughput", "request_throughput"),
        ("user_throughput", "output_token_throughput_per_user"),
        ("goodput", "goodput"),
    ] {
        trial.set(ours, number(value, &[theirs, "avg"]));
    }
    let moment = |key: &str| text(value, &[key]).and_then(|text| time::seconds(&text));
    trial.span = moment("start_time").zip(moment("end_time")).map(|(start, end)| [start, end]);
    Ok(trial)
}

fn statistics(trial: &mut Measured, metric: &Value, ours: &str) {
    // Times may be written in another unit than milliseconds.
    let factor = match metric["unit"].as_str() {
        Some("sec" | "s") => 1e3,
        Some("us") => 1e-3,
        Some("ns") => 1e-6,
        _ => 1.0,
    };
    for (theirs, statistic) in [
        ("avg", "mean"),
        ("p50", "p50"),
        ("p90", "p90"),
        ("p95", "p95"),
        ("p99", "p99"),
        ("min", "min"),
        ("max", "max"),
        ("std", "std"),
    ] {
        trial.set(&format!("{ours}.{statistic}"), number(metric, &[theirs]).map(|value| value * factor));
    }
}

/// The phase that was measured, not its warm-up; older releases name the load at the top.
fn measured_phase(config: &Value) -> &Value {
    let mut phases = config["phases"].as_array().into_iter().flatten();
    phases.rfind(|phase| phase["kind"] != "warmup").unwrap_or_else(|| at(config, &["loadgen"]))
}

fn load(config: &Value) -> String {
    let phase = measured_phase(config);
    let rate = text(phase, &["rate"]).or_else(|| text(phase, &["request_rate"])).map(|rate| format!("rate {rate}"));
    let concurrency = text(phase, &["concurrency"]).map(|users| format!("concurrency {users}"));
    let parts: Vec<String> = rate.into_iter().chain(concurrency).collect();
    if parts.is_empty() { text(phase, &["type"]).unwrap_or_else(|| "load".into()) } else { parts.join(", ") }
}
