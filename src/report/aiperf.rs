//! A trial in AIPerf's files, so that notebooks and dashboards made for them go on working: `profile_export_aiperf.json`
//! and `.csv` with statistics, `profile_export.jsonl` with a line a request.
//!
//! Names, units and statistics are AIPerf's, and so are the definitions where they differ from ours: rates are over the
//! whole trial, ramp-up and drain included.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::report::escape;
use crate::report::{CaseReport, RequestLine, TrialReport};
use crate::stats::quantile::quantile;

/// Version of AIPerf's format that is written.
const SCHEMA: &str = "1.4";

/// The trial to write.
#[derive(Clone, Copy, Debug)]
pub struct AiperfRun<'a> {
    /// Name of the run.
    pub run: &'a str,
    /// The command line, redacted.
    pub command: &'a str,
    /// The case.
    pub case: &'a CaseReport,
    /// The trial.
    pub trial: &'a TrialReport,
    /// The trial's measured requests.
    pub requests: &'a [&'a RequestLine],
    /// When the trial began, in nanoseconds since 1970.
    pub began_ns: u64,
    /// When it ended, RFC 3339.
    pub ended: &'a str,
}

/// The texts of AIPerf's files.
#[derive(Clone, Debug, PartialEq)]
pub struct AiperfFiles {
    /// `profile_export_aiperf.json`.
    pub json: String,
    /// `profile_export_aiperf.csv`.
    pub csv: String,
    /// `profile_export.jsonl`.
    pub jsonl: String,
}

/// A metric with one value a request: its name, its name in tables, its unit, and the value.
type PerRequest = (&'static str, &'static str, &'static str, fn(&RequestLine) -> Option<f64>);

const PER_REQUEST: [PerRequest; 16] = [
    ("request_latency", "Request Latency (ms)", "ms", |r| millis(r.e2e_latency_ns)),
    ("time_to_first_token", "Time to First Token (ms)", "ms", |r| millis(r.ttft_ns)),
    ("time_to_second_token", "Time to Second Token (ms)", "ms", |r| millis(r.ttst_ns)),
    ("time_to_first_output_token", "Time to First Output Token (ms)", "ms", |r| millis(r.ttfo_ns)),
    ("inter_token_latency", "Inter Token Latency (ms)", "ms", |r| millis(r.tpot_ns)),
    (
        "output_token_throughput_per_user",
        "Output Token Throughput Per User (tokens/sec/user)",
        "tokens/sec/user",
        |r| rate(1.0, r.tpot_ns),
    ),
    ("e2e_output_token_throughput", "E2E Output Token Throughput (tokens/sec/user)", "tokens/sec/user", |r| {
        rate(r.output_tokens as f64, r.e2e_latency_ns)
    }),
    ("prefill_throughput_per_user", "Prefill Throughput Per User (tokens/sec/user)", "tokens/sec/user", |r| {
        rate(r.input_tokens as f64, r.ttft_ns)
    }),
    ("decode_duration", "Decode Duration (ms)", "ms", |r| {
        millis(r.e2e_latency_ns.zip(r.ttft_ns).map(|(end, first)| end.saturating_sub(first)))
    }),
    ("output_sequence_length", "Output Sequence Length (tokens)", "tokens", |r| Some(r.output_tokens as f64)),
    ("input_sequence_length", "Input Sequence Length (tokens)", "tokens", |r| Some(r.input_tokens as f64)),
    ("output_token_count", "Output Token Count (tokens)", "tokens", |r| Some(r.output_tokens as f64)),
    ("usage_prompt_tokens", "Usage Prompt Tokens (tokens)", "tokens", |r| counted(r, r.input_tokens)),
    ("usage_completion_tokens", "Usage Completion Tokens (tokens)", "tokens", |r| counted(r, r.output_tokens)),
    ("usage_total_tokens", "Usage Total Tokens (tokens)", "tokens", |r| counted(r, r.input_tokens + r.output_tokens)),
    ("usage_prompt_cache_read_tokens", "Usage Prompt Cache Read Tokens (tokens)", "tokens", |r| {
        r.cached_tokens.map(|count| count as f64)
    }),
];

/// What the server itself counted.
fn counted(request: &RequestLine, tokens: u64) -> Option<f64> {
    matches!(request.token_source.as_deref(), Some("usage" | "continuous_usage")).then_some(tokens as f64)
}

fn millis(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e6)
}

fn rate(tokens: f64, nanos: Option<u64>) -> Option<f64> {
    nanos.filter(|nanos| *nanos > 0).map(|nanos| tokens * 1e9 / nanos as f64)
}

/// Writes a trial.
pub fn aiperf(run: AiperfRun<'_>) -> AiperfFiles {
    let counted: Vec<&RequestLine> =
        run.requests.iter().filter(|r| !r.to_cancel || r.error_class.is_some()).copied().collect();
    let (answered, failed): (Vec<&RequestLine>, Vec<&RequestLine>) =
        counted.into_iter().partition(|request| request.error_class.is_none());
    let mut distributions: Vec<(PerRequest, Vec<f64>)> = Vec::new();
    for metric in PER_REQUEST {
        let mut values: Vec<f64> = answered.iter().filter_map(|request| metric.3(request)).collect();
        values.sort_by(f64::total_cmp);
        if !values.is_empty() {
            distributions.push((metric, values));
        }
    }
    let totals = totals(run, &answered, &failed);
    AiperfFiles {
        json: summary(run, &distributions, &totals, &failed),
        csv: table(&distributions, &totals),
        jsonl: run.requests.iter().fold(String::new(), |text, request| text + &record(run, request) + "\n"),
    }
}

/// A metric with one value a run.
struct Total {
    tag: &'static str,
    header: &'static str,
    unit: &'static str,
    value: f64,
}

fn totals(run: AiperfRun<'_>, answered: &[&RequestLine], failed: &[&RequestLine]) -> Vec<Total> {
    let tokens = |of: fn(&RequestLine) -> u64| answered.iter().map(|r| of(r)).sum::<u64>() as f64;
    let (input, output) = (tokens(|r| r.input_tokens), tokens(|r| r.output_tokens));
    let begin = run.requests.iter().map(|r| r.sent_ns).min().unwrap_or(0);
    let end = run.requests.iter().filter_map(|r| Some(r.sent_ns + r.e2e_latency_ns?)).max().unwrap_or(begin);
    let seconds = end.saturating_sub(begin) as f64 / 1e9;
    let (good, bad) = (answered.len() as f64, failed.len() as f64);
    let per_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
    let total = |tag, header, unit, value| Total { tag, header, unit, value };
    let mut totals = vec![
        total("request_throughput", "Request Throughput (requests/sec)", "requests/sec", per_second(good)),
        total("request_count", "Request Count", "requests", good),
        total("completed_request_count", "Completed Requests (Success + Error)", "requests", good + bad),
        total("request_error_rate", "Request Error Rate (%)", "%", 100.0 * bad / (good + bad).max(1.0)),
        total("output_token_throughput", "Output Token Throughput (tokens/sec)", "tokens/sec", per_second(output)),
        total("input_token_throughput", "Input Token Throughput (tokens/sec)", "tokens/sec", per_second(input)),
        total(
            "total_token_throughput",
            "Total Token Throughput (tokens/sec)",
            "tokens/sec",
            per_second(input + output),
        ),
        total("total_output_tokens", "Total Output Tokens (tokens)", "tokens", output),
        total("total_isl", "Total Input Sequence Length (tokens)", "tokens", input),
        total("total_osl", "Total Output Sequence Length (tokens)", "tokens", output),
        total("benchmark_duration", "Benchmark Duration (sec)", "sec", seconds),
    ];
    if bad > 0.0 {
        totals.push(total("error_request_count", "Error Request Count", "requests", bad));
    }
    totals
}

const QUANTILES: [(&str, f64); 9] = [
    ("p1", 0.01),
    ("p5", 0.05),
    ("p10", 0.10),
    ("p25", 0.25),
    ("p50", 0.50),
    ("p75", 0.75),
    ("p90", 0.90),
    ("p95", 0.95),
    ("p99", 0.99),
];

/// Statistics of sorted values; the deviation is that of the values themselves, not of what they are a sample of.
fn statistics(values: &[f64]) -> BTreeMap<&'static str, f64> {
    let sum: f64 = values.iter().sum();
    let mean = sum / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    let mut all = BTreeMap::from([
        ("avg", mean),
        ("min", values[0]),
        ("max", values[values.len() - 1]),
        ("std", variance.sqrt()),
        ("sum", sum),
    ]);
    all.extend(QUANTILES.iter().filter_map(|(name, q)| Some((*name, quantile(values, *q)?))));
    all
}

fn summary(
    run: AiperfRun<'_>,
    distributions: &[(PerRequest, Vec<f64>)],
    totals: &[Total],
    failed: &[&RequestLine],
) -> String {
    let mut all = Map::new();
    all.insert("schema_version".into(), SCHEMA.into());
    // A reader can tell that this is no measurement of AIPerf's own.
    all.insert("aiperf_version".into(), format!("tokpace {}", env!("CARGO_PKG_VERSION")).into());
    all.insert("benchmark_id".into(), format!("{}-{}-{}", run.run, run.case.case, run.trial.trial).into());
    for total in totals {
        all.insert(total.tag.into(), json!({ "unit": total.unit, "avg": total.value }));
    }
    for ((tag, _, unit, _), values) in distributions {
        let mut entry = Map::from_iter([("unit".to_owned(), Value::from(*unit))]);
        entry.extend(statistics(values).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
        entry.insert("count".into(), values.len().into());
        all.insert((*tag).into(), entry.into());
    }
    let model = run.case.conditions.get("model").cloned().unwrap_or_default();
    let users: std::collections::BTreeSet<u32> = run.requests.iter().map(|request| request.user).collect();
    let mut phase = json!({ "name": "profiling", "kind": "profiling", "requests": run.requests.len() });
    if (2..run.requests.len()).contains(&users.len()) {
        phase["type"] = "concurrency".into();
        phase["concurrency"] = users.len().into();
    }
    all.insert(
        "input_config".into(),
        json!({ "models": { "items": [{ "name": model }] }, "endpoint": { "type": "chat" }, "phases": [phase] }),
    );
    all.insert("run_info".into(), json!({ "trial": run.trial.trial.saturating_sub(1), "cli_command": run.command }));
    all.insert("was_cancelled".into(), false.into());
    all.insert("is_complete".into(), run.trial.valid.into());
    let mut classes: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for request in failed {
        let class = classes.entry(request.error_class.as_deref().unwrap_or_default()).or_default();
        class.0 += 1;
        class.1 = request.error.as_deref().unwrap_or_default();
    }
    let errors: Vec<Value> = classes
        .iter()
        .map(|(class, (count, message))| json!({ "error_details": { "type": class, "message": message }, "count": count }))
        .collect();
    all.insert("error_summary".into(), errors.into());
    all.insert("start_time".into(), local(&run.trial.started).into());
    all.insert("end_time".into(), local(run.ended).into());
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

/// AIPerf writes times of day without a zone.
fn local(time: &str) -> &str {
    time.trim_end_matches('Z')
}

fn table(distributions: &[(PerRequest, Vec<f64>)], totals: &[Total]) -> String {
    let columns = ["avg", "min", "max", "sum", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "std"];
    let mut text = format!("Metric,{}\n", columns.join(","));
    let mut rows: Vec<(&str, String)> = distributions
        .iter()
        .map(|((_, header, ..), values)| {
            let known = statistics(values);
            let cells = columns.iter().map(|column| known.get(column).map_or_else(String::new, |v| format!("{v:.2}")));
            (*header, cells.collect::<Vec<_>>().join(","))
        })
        .collect();
    rows.sort_unstable();
    for (header, cells) in rows {
        let _ = writeln!(text, "{},{cells}", escape::csv(header));
    }
    text.push_str("\nMetric,Value\n");
    let mut rows: Vec<&Total> = totals.iter().collect();
    rows.sort_unstable_by_key(|total| total.header);
    for total in rows {
        let _ = writeln!(text, "{},{:.2}", escape::csv(total.header), total.value);
    }
    text
}

/// A line of `profile_export.jsonl`.
fn record(run: AiperfRun<'_>, request: &RequestLine) -> String {
    let at = |nanos: u64| run.began_ns.saturating_add(nanos);
    let mut metadata = json!({
        "session_num": request.index,
        "x_request_id": request.request_id,
        "x_correlation_id": request.request_id,
        "conversation_id": format!("user_{:06}", request.user),
        "turn_index": 0,
        "credit_issued_ns": at(request.scheduled_ns),
        "request_start_ns": at(request.sent_ns),
        "worker_id": format!("worker_{}", request.user),
        "benchmark_phase": "profiling",
        "phase_name": "profiling",
        "phase_kind": "profiling",
        "was_cancelled": request.cancelled,
    });
    if let Some(latency) = request.e2e_latency_ns {
        metadata["request_end_ns"] = at(request.sent_ns + latency).into();
    }
    let metrics: Map<String, Value> = PER_REQUEST
        .iter()
        .filter(|_| request.error_class.is_none())
        .filter_map(|(tag, _, unit, value)| {
            Some(((*tag).to_owned(), json!({ "value": value(request)?, "unit": unit })))
        })
        .collect();
    let mut line = json!({ "metadata": metadata, "metrics": metrics });
    if let Some(class) = &request.error_class {
        line["error"] = json!({ "code": request.status, "type": class, "message": request.error });
    }
    line.to_string()
}
