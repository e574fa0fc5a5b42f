//! Traces are replayed with their times, their lengths and their shared prefixes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use tokpace::plan::{self, Plan, Sources, TraceRequest, Words};
use tokpace::predict;
use tokpace::profile::{Embedded, TtftCost};
use tokpace::scenario::{self, Case};
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};

use crate::support::{Project, measuring};

const LATEST: &str = "target/tokpace/latest";

/// Six conversations in turn, five turns each: a turn's prompt is the last one's and 450 tokens more. All begin with
/// the same block. A request every 60 ms.
fn conversations() -> String {
    let mut lines = String::new();
    for number in 0..30_u64 {
        let (turn, conversation) = (number / 6, number % 6);
        let tokens = 700 + 450 * turn;
        let id = |block: u64| match block {
            0 => 0,
            block if (block + 1) * 512 <= tokens => 100 * (conversation + 1) + block,
            _ => 10_000 + number,
        };
        let ids: Vec<u64> = (0..tokens.div_ceil(512)).map(id).collect();
        let at = 5_000 + 60 * number;
        let request = format!("\"timestamp\": {at}, \"input_length\": {tokens}, \"output_length\": 4");
        writeln!(lines, "{{{request}, \"hash_ids\": {ids:?}}}").unwrap();
    }
    lines
}

/// Fast enough to be done with a request before the next comes.
fn server() -> Embedded {
    Embedded {
        ttft: TtftCost { base: Time::from_millis(2), per_input_token: Time(1_000) },
        itl: Time::from_millis(1),
        jitter: Share(0.0),
        ..Embedded::default()
    }
}

const PROFILE: &str = r#"
[profiles.embedded]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "1us" }
itl = "1ms"
jitter = "0%"
"#;

const SCENARIO: &str = r#"
[load]
trace = "${TRACES}/day.jsonl"
speed = 2
warmup = 1

[trials]
min = 2
max = 2

[gate]
"tpot.p50" = "<= 1s"
"#;

fn planned(scenario: &str, trace: &[TraceRequest]) -> (Case, Plan) {
    let case = scenario::load("trace", "scenarios/trace.toml", scenario).unwrap().remove(0);
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).unwrap();
    let sources =
        Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: Some(trace), system_prompt: None };
    let plan = plan::build(&case, &sources).unwrap();
    (case, plan)
}

/// What the ids of the replayed part imply for the embedded server, as a share.
fn implied(case: &Case, trace: &[TraceRequest], config: &Embedded) -> f64 {
    plan::implied_reuse(plan::replayed(&case.load, trace).unwrap().0, 0, config.block_size).ratio()
}

#[test]
fn a_trace_reuses_in_virtual_time_what_its_ids_imply() {
    let trace = plan::parse_trace("day.jsonl", &conversations()).unwrap();
    let (case, plan) = planned(SCENARIO, &trace);
    let trials = predict::trials(&case, &plan, &server(), 1, 3);
    assert_eq!(trials.len(), 3);
    for trial in &trials {
        let ratio = trial.values["prefix_hit_ratio"].unwrap();
        assert!((ratio - implied(&case, &trace, &server())).abs() < 1e-12, "{ratio}");
        assert!(ratio > 0.6, "{ratio}");
        assert_eq!((trial.n, trial.errors), (30, 0));
    }
    // 29 gaps of 30 ms, then an answer.
    let seconds = predict::simulated(&case, &plan, &server()).trial;
    assert!((0.870..0.890).contains(&seconds), "{seconds}");
}

#[test]
fn a_trace_is_replayed_over_sockets() {
    let project = Project::empty()
        .with("tokpace.toml", PROFILE)
        .with("scenarios/trace.toml", SCENARIO)
        .with("data/day.jsonl", &conversations())
        .with_variable("TRACES", "../data");
    project.tokpace("run").expect(0, &["trace ... pass"]);

    let requests = project.lines(&format!("{LATEST}/requests.jsonl"));
    let measured: Vec<_> = requests.iter().filter(|line| line["phase"] == "measured").collect();
    assert_eq!((requests.len() - measured.len(), measured.len() % 30), (1, 0));
    for (number, line) in measured.iter().enumerate() {
        let at = |key: &str| line[key].as_u64().unwrap();
        let index = (number % 30) as u64;
        assert_eq!((at("index"), at("scheduled_ns")), (index, index * 30_000_000), "{line}");
        assert!(at("sent_ns") >= at("scheduled_ns"), "{line}");
        assert_eq!((at("input_tokens"), at("output_tokens")), (700 + 450 * (index / 6), 4), "{line}");
        assert_eq!(line["error"], serde_json::Value::Null);
        if index == 0 {
            assert_eq!(at("cached_tokens"), 0, "no trial finds what an earlier one has left");
        }
    }

    let trace = plan::parse_trace("day.jsonl", &conversations()).unwrap();
    let (case, _) = planned(SCENARIO, &trace);
    let prefix = &project.json(&format!("{LATEST}/run.json"))["cases"][0]["prefix"]["candidate"];
    // On a busy machine a turn may be sent before the one before it is computed.
    let implied = implied(&case, &trace, &Embedded::default());
    for key in ["hit_ratio", "counter_hit_ratio"] {
        let found = prefix[key].as_f64().unwrap();
        assert!(found <= implied + 1e-9 && found > implied - 0.05, "{key}: {found}, not {implied}");
    }
}

#[test]
fn a_trace_that_cannot_be_replayed_is_no_measurement() {
    let project = Project::empty()
        .with("tokpace.toml", PROFILE)
        .with("scenarios/trace.toml", &SCENARIO.replace("${TRACES}", "../data"))
        .with("data/day.jsonl", "{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 1}\n{\"timestamp\": 1}\n");
    let hint = "hint: each line is an object with `timestamp` (milliseconds)";
    project.tokpace("run").expect(3, &["trace ... invalid", "`../data/day.jsonl`, line 2: no `input_length`", hint]);
    project.write("data/day.jsonl", "");
    project.tokpace("plan").expect(2, &["`../data/day.jsonl` holds no requests"]);
    project.write("data/day.jsonl", &conversations());
    project.write("scenarios/trace.toml", "[load]\ntrace = \"../data/day.jsonl\"\nrequests = 31\n");
    project.tokpace("plan").expect(2, &["has 30 requests to replay, and `load.requests` is 31"]);
    project.write("scenarios/trace.toml", "[load]\ntrace = \"../data/night.jsonl\"\n");
    project.tokpace("plan").expect(2, &["failed to read `../data/night.jsonl`", "relative to its file"]);
}

/// Not by a macro for printing, whose output is shown of tests that fail only.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

/// The text of a file of real requests, which the package does not come with.
fn real(name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("TOKPACE_TEST_DATA") else {
        say(&format!("skipped: `TOKPACE_TEST_DATA` names no folder with `{name}`\n"));
        return None;
    };
    Some(std::fs::read_to_string(Path::new(&folder).join(name)).unwrap())
}

#[test]
fn a_thousand_real_requests_in_virtual_time() {
    let Some(text) = real("mooncake_conversation_4000.jsonl") else { return };
    // Some seconds of work, which others must not measure.
    let _alone = measuring();
    let begun = Instant::now();
    let trace = plan::parse_trace("mooncake", &text).unwrap();
    assert_eq!(trace.len(), 4000);
    let (case, plan) = planned("[load]\ntrace = \"t\"\nspeed = 20\nrequests = 1000\nwarmup = 0\n", &trace);
    let built = begun.elapsed();
    assert_eq!(plan.requests.len(), 1000);
    assert_eq!(plan.requests.iter().map(|request| u64::from(request.prompt.input_tokens)).sum::<u64>(), 13_732_944);
    assert_eq!(plan.requests[999].at, 16_500_000_000);
    // Room for everything, and far from saturated.
    let config = Embedded {
        ttft: TtftCost { base: Time::from_millis(1), per_input_token: Time(100) },
        max_batch: 256,
        kv_blocks: 4_000_000,
        ..server()
    };
    let trials = predict::trials(&case, &plan, &config, 1, 1);
    let (found, implied) = (trials[0].values["prefix_hit_ratio"].unwrap(), implied(&case, &trace, &config));
    let total = begun.elapsed();
    say(&format!("plan {built:.1?}, all {total:.1?}: hit ratio {found:.4}, implied {implied:.4}\n"));
    assert!((found - implied).abs() < 0.01, "{found}, not {implied}");
    assert_eq!((trials[0].n, trials[0].errors), (1000, 0));
}

/// Room for all prompts, and fast enough that the load is the client's work rather than the server's.
const ROOMY: &str = r#"
[profiles.embedded]
kind = "embedded"
ttft = { base = "5ms", per_input_token = "200ns" }
itl = "2ms"
max_batch = 256
kv_blocks = 4000000
"#;

const SLICE: &str = r#"
[load]
trace = "${TRACES}/mooncake_conversation_4000.jsonl"
speed = 10
requests = 200

[trials]
min = 1
max = 1

[gate]
"tpot.p50" = "<= 10s"
"#;

/// The share of prompt tokens in blocks of 512 that an earlier prompt had: by the ids, without regard to their order.
fn seen_before(trace: &[TraceRequest]) -> f64 {
    let (mut seen, mut known, mut all) = (HashSet::<u64>::new(), 0, 0);
    for request in trace {
        let tokens = |at: usize| request.input_tokens.saturating_sub(512 * at as u32).min(512);
        let old = request.blocks.iter().enumerate().filter(|(_, id)| seen.contains(*id));
        known += old.map(|(at, _)| tokens(at)).sum::<u32>();
        all += request.input_tokens;
        seen.extend(&request.blocks);
    }
    f64::from(known) / f64::from(all)
}

#[test]
fn real_requests_over_sockets_keep_their_times_and_find_what_their_ids_imply() {
    let Some(text) = real("mooncake_conversation_4000.jsonl") else { return };
    let folder = std::env::var("TOKPACE_TEST_DATA").unwrap();
    let project = Project::empty()
        .with("tokpace.toml", ROOMY)
        .with("scenarios/trace.toml", SLICE)
        .with_variable("TRACES", &folder);
    project.tokpace("run").expect(0, &["trace ... pass"]);

    let trace = plan::parse_trace("mooncake", &text).unwrap();
    let requests = project.lines(&format!("{LATEST}/requests.jsonl"));
    let mut measured: Vec<_> = requests.iter().filter(|line| line["phase"] == "measured").collect();
    // An earlier trial may have been repeated.
    measured = measured.split_off(measured.len() - 200);
    let mut lags = Vec::new();
    for (line, request) in measured.iter().zip(&trace) {
        let at = |key: &str| line[key].as_u64().unwrap();
        assert_eq!(at("scheduled_ns"), request.at / 10, "{line}");
        assert_eq!(at("input_tokens"), u64::from(request.input_tokens), "{line}");
        assert_eq!(at("output_tokens"), u64::from(request.output_tokens), "{line}");
        lags.push(at("sent_ns") - at("scheduled_ns"));
    }
    lags.sort_unstable();
    let found =
        project.json(&format!("{LATEST}/run.json"))["cases"][0]["prefix"]["candidate"]["hit_ratio"].as_f64().unwrap();
    let implied = seen_before(&trace[..200]);
    let [p50, p99] = [99, 197].map(|at| lags[at] as f64 / 1e6);
    say(&format!("send lag p50 {p50:.2} ms, p99 {p99:.2} ms: hit ratio {found:.4}, implied {implied:.4}\n"));
    assert!((found - implied).abs() < 0.01, "{found}, not {implied}");
}
