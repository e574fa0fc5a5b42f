//! Files that the tools themselves wrote, and what the gate makes of them.

use serde_json::{Value, json};

use super::{CompareOptions, Comparison, Demand, Imported, Measured, Side, Source, Tool, compare, read};
use crate::gate::{JudgeError, Mode, Verdict};

const AIPERF: &str = include_str!("../../tests/data/interop/aiperf-0.13.0.json");
const GUIDELLM: &str = include_str!("../../tests/data/interop/guidellm-0.8.1.json");
const SGLANG: &str = include_str!("../../tests/data/interop/sglang-0.5.23.jsonl");
const VLLM: &str = include_str!("../../tests/data/interop/vllm-0.32.0-completions.json");
const VLLM_CHAT: &str = include_str!("../../tests/data/interop/vllm-0.32.0-chat.json");

fn results(text: &str) -> Vec<Measured> {
    match read(text).unwrap() {
        Imported::Results(results) => results,
        other => panic!("{other:?}"),
    }
}

fn value(trial: &Measured, metric: &str) -> f64 {
    let known = || trial.values.values.keys().collect::<Vec<_>>();
    trial.values.values.get(metric).copied().flatten().unwrap_or_else(|| panic!("no {metric} among {:?}", known()))
}

#[track_caller]
fn near(trial: &Measured, metric: &str, expected: &Value) {
    let (found, expected) = (value(trial, metric), expected.as_f64().unwrap());
    assert!((found - expected).abs() <= 1e-9 * expected, "{metric}: {found} is not {expected}");
}

/// All were written under one load: 8 users, 104 requests, 64 tokens in and 32 out.
#[track_caller]
fn same_load(trial: &Measured, tool: Tool) {
    assert_eq!((trial.tool, trial.values.n, trial.values.errors), (tool, 104, 0));
    assert_eq!(trial.case, "concurrency 8");
    assert_eq!(trial.conditions["model"], "tokpace-sim");
    assert!((value(trial, "input_tokens.mean") - 64.0).abs() < 0.1);
    near(trial, "output_tokens.mean", &json!(32.0));
    let [start, end] = trial.span.unwrap();
    assert!((2.0..10.0).contains(&(end - start)), "{tool}: {} s", end - start);
}

#[test]
fn aiperf_calls_our_tpot_inter_token_latency() {
    let (file, trials): (Value, _) = (serde_json::from_str(AIPERF).unwrap(), results(AIPERF));
    let [trial] = trials.as_slice() else { panic!("one file is one trial") };
    same_load(trial, Tool::Aiperf);
    near(trial, "ttft.p50", &file["time_to_first_token"]["p50"]);
    near(trial, "ttft.p95", &file["time_to_first_token"]["p95"]);
    near(trial, "tpot.p50", &file["inter_token_latency"]["p50"]);
    near(trial, "chunk_gap.p99", &file["inter_chunk_latency"]["p99"]);
    near(trial, "e2e_latency.mean", &file["request_latency"]["avg"]);
    near(trial, "output_throughput", &file["output_token_throughput"]["avg"]);
    assert_eq!(trial.subject["aiperf"], "0.13.0");
}

#[test]
fn guidellms_time_per_output_token_has_the_first_token_in_it() {
    let (file, trials): (Value, _) = (serde_json::from_str(GUIDELLM).unwrap(), results(GUIDELLM));
    let [trial] = trials.as_slice() else { panic!("one benchmark is one trial") };
    same_load(trial, Tool::Guidellm);
    let metrics = &file["benchmarks"][0]["metrics"];
    near(trial, "ttft.p50", &metrics["time_to_first_token_ms"]["successful"]["percentiles"]["p50"]);
    near(trial, "tpot.p50", &metrics["inter_token_latency_ms"]["successful"]["percentiles"]["p50"]);
    assert!(
        metrics["time_per_output_token_ms"]["successful"]["median"].as_f64().unwrap() > 1.2 * value(trial, "tpot.p50")
    );
    let seconds = file["benchmarks"][0]["duration"].as_f64().unwrap();
    near(trial, "output_throughput", &json!(104.0 * 32.0 / seconds));
    let latency = metrics["request_latency"]["successful"]["percentiles"]["p50"].as_f64().unwrap();
    near(trial, "e2e_latency.p50", &json!(latency * 1e3));
}

#[test]
fn vllm_has_the_percentiles_that_were_asked_for() {
    let (file, trials): (Value, _) = (serde_json::from_str(VLLM).unwrap(), results(VLLM));
    let [trial] = trials.as_slice() else { panic!("one file is one trial") };
    same_load(trial, Tool::Vllm);
    near(trial, "ttft.p50", &file["median_ttft_ms"]);
    near(trial, "tpot.p95", &file["p95_tpot_ms"]);
    near(trial, "chunk_gap.p99", &file["p99_itl_ms"]);
    near(trial, "e2e_latency.mean", &file["mean_e2el_ms"]);
    near(trial, "output_throughput", &file["output_throughput"]);
    assert!(!trial.conditions.contains_key("rate"), "a rate without limit is none");
    // With the chat backend the first chunk, which has no text, counts as the first token.
    let chat = &results(VLLM_CHAT)[0];
    assert!(
        value(chat, "ttft.p50") < 0.6 * value(trial, "ttft.p50")
            && value(chat, "tpot.p50") > 1.2 * value(trial, "tpot.p50")
    );
}

#[test]
fn a_line_of_sglang_is_a_trial() {
    // As Python writes a rate without limit, which is no JSON.
    assert!(SGLANG.contains("\"request_rate\": Infinity"));
    let file: Value = serde_json::from_str(&SGLANG.replace("Infinity", "null")).unwrap();
    let trials = results(&format!("{SGLANG}{SGLANG}"));
    assert_eq!(trials.len(), 2);
    let trial = &trials[1];
    assert_eq!((trial.tool, trial.values.n, trial.case.as_str()), (Tool::Sglang, 104, "concurrency 8"));
    near(trial, "ttft.p50", &file["median_ttft_ms"]);
    near(trial, "tpot.p99", &file["p99_tpot_ms"]);
    near(trial, "chunk_gap.p95", &file["p95_itl_ms"]);
    near(trial, "e2e_latency.p50", &file["median_e2e_latency_ms"]);
    near(trial, "output_throughput", &file["output_throughput"]);
    near(trial, "total_throughput", &file["total_throughput"]);
    near(trial, "input_tokens.mean", &json!(64.0));
    near(trial, "output_tokens.mean", &json!(32.0));
    assert!(!trial.conditions.contains_key("rate") && trial.span.is_none());
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let truncated = &AIPERF[..AIPERF.len() / 2];
    let no_count = AIPERF.replace("\"request_count\"", "\"counted\"");
    let cancelled = AIPERF.replace("\"was_cancelled\": false", "\"was_cancelled\": true");
    for (text, line, words) in [
        ("", None, "the file is empty"),
        (truncated, Some(truncated.lines().count()), "no JSON"),
        ("{}\n", Some(1), "of no tool that is known"),
        ("[1, 2]", Some(1), "of no tool that is known"),
        (&no_count, Some(1), "`request_count` is missing"),
        (&cancelled, Some(1), "cancelled"),
        ("{\"run\": {}, \"cases\": []}", Some(1), "not what a run of tokpace writes"),
        ("{\"benchmarks\": [], \"metadata\": {\"guidellm_version\": \"0.8.1\"}}", Some(1), "no benchmark"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.message.contains(words) && !error.hint.is_empty(), "{words}: {error:?}");
    }
    let one = serde_json::to_string(&serde_json::from_str::<Value>(VLLM).unwrap()).unwrap();
    assert_eq!(read(&format!("{one}\n{{\"x\": 1}}\n")).unwrap_err().line, Some(2), "the second line is meant");
}

#[test]
fn failures_that_reach_a_quantile_censor_it() {
    let mut file: Value = serde_json::from_str(VLLM).unwrap();
    (file["completed"], file["failed"]) = (json!(94), json!(10));
    let trial = &results(&file.to_string())[0];
    assert_eq!((trial.values.n, trial.values.errors), (104, 10));
    assert_eq!(trial.values.values["ttft.p95"], None, "10 of 104 are more than 5 %");
    assert!(trial.values.values["ttft.p50"].is_some());
}

/// A trial like the real one, `slower` in TPOT, that began at a second of the day.
fn vllm(at: usize, slower: f64) -> Measured {
    let mut file: Value = serde_json::from_str(VLLM).unwrap();
    // A per mille of noise that is not the same on both sides.
    let noise = 1.0 + 0.001 * ((at * 7919 % 13) as f64 - 6.0) / 6.0;
    for key in ["median_ttft_ms", "median_tpot_ms", "median_e2el_ms", "output_throughput"] {
        file[key] = json!(file[key].as_f64().unwrap() * noise);
    }
    file["median_tpot_ms"] = json!(file["median_tpot_ms"].as_f64().unwrap() * slower);
    // The same figure by another name, which would win.
    file.as_object_mut().unwrap().retain(|key, _| !key.starts_with("p50_"));
    file["date"] = json!(format!("20261123-10{:02}{:02}", at * 10 / 60, at * 10 % 60));
    results(&file.to_string()).remove(0)
}

fn side(name: &'static str, trials: Vec<Measured>) -> Side {
    let source = |(at, trial)| Source::of_results(format!("{name}/{at}.json"), name.to_owned(), vec![trial]);
    Side { name, sources: trials.into_iter().enumerate().map(source).collect() }
}

/// Judges `count` trials a side, in turn (AB, BA, …) or one side after the other.
fn judged(count: usize, slower: f64, in_turn: bool, options: &CompareOptions) -> Result<Comparison, JudgeError> {
    let second = |at: usize, b: bool| {
        if in_turn { 2 * at + usize::from(at.is_multiple_of(2) == b) } else { at + if b { count } else { 0 } }
    };
    let a = (0..count).map(|at| vllm(second(at, false), 1.0)).collect();
    let b = (0..count).map(|at| vllm(second(at, true), slower)).collect();
    compare(&side("A", a), &side("B", b), options)
}

#[test]
fn results_measured_in_turn_are_pairs() {
    let usual = CompareOptions::default();
    let same = judged(6, 1.0, true, &usual).unwrap();
    assert_eq!((same.verdict, same.cases[0].mode, same.cases[0].pairs_used), (Verdict::Pass, Mode::Paired, 6));
    let slower = judged(6, 1.08, true, &usual).unwrap();
    assert_eq!(slower.verdict, Verdict::Regressed);
    let check = slower.cases[0].checks.iter().find(|check| check.judged.metric == "tpot.p50").unwrap();
    assert!((check.judged.ratio.unwrap() - 1.08).abs() < 0.003 && check.limit == "<= A + 3%", "{check:?}");
    assert_eq!(slower.cases[0].failed.as_deref(), Some("a check is worse than its tolerance allows"));
    let few = judged(3, 1.5, true, &usual).unwrap();
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.cases[0].hints[0].contains("measure 3 more"), "{:?}", few.cases[0].hints);
}

#[test]
fn results_measured_one_side_after_the_other_are_jobs() {
    let usual = CompareOptions::default();
    let same = judged(6, 1.0, false, &usual).unwrap();
    assert_eq!((same.verdict, same.cases[0].mode), (Verdict::Inconclusive, Mode::Stored), "noise of 3 % hides 3 %");
    assert!(same.cases[0].hints[0].contains("A is 1 job"), "{:?}", same.cases[0].hints);
    let known = CompareOptions { job_noise: Some(0.003), ..CompareOptions::default() };
    assert_eq!(judged(6, 1.0, false, &known).unwrap().verdict, Verdict::Pass);
    assert_eq!(judged(6, 1.3, false, &usual).unwrap().verdict, Verdict::Regressed);
    let few = judged(1, 1.3, false, &known).unwrap();
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.cases[0].hints[0].contains("measure 5 more"), "{:?}", few.cases[0].hints);
    let paired = CompareOptions { mode: Some(Mode::Paired), ..CompareOptions::default() };
    assert!(judged(6, 1.0, false, &paired).unwrap_err().message.contains("were not measured in turn"));
}

#[test]
fn another_load_is_named_and_not_judged() {
    let mut other: Vec<Measured> = (0..6).map(|at| vllm(2 * at + 1, 1.5)).collect();
    for trial in &mut other {
        trial.conditions.insert("concurrency".into(), "16".into());
        trial.values.n = 208;
        trial.case = "concurrency 16".into();
    }
    let a = side("A", (0..6).map(|at| vllm(2 * at, 1.0)).collect());
    let found = compare(&a, &side("B", other.clone()), &CompareOptions::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert_eq!(found.cases[0].differences, ["`concurrency`: A `8`, B `16`", "`requests`: A 104, B 208"]);
    assert!(found.cases[0].checks.iter().any(|check| check.judged.ratio.is_some()), "the figures are shown");
    let allowed =
        CompareOptions { allowed: vec!["concurrency".into(), "requests".into()], ..CompareOptions::default() };
    assert_eq!(compare(&a, &side("B", other), &allowed).unwrap().verdict, Verdict::Regressed);
}

#[test]
fn a_check_that_a_side_cannot_show_never_passes() {
    let asked = Demand { metric: "itl.p50".parse().unwrap(), tolerance: 0.1, advisory: false };
    let options = CompareOptions { checks: vec![asked], ..CompareOptions::default() };
    let found = judged(6, 1.0, true, &options).unwrap();
    let check = found.cases[0].checks.iter().find(|check| check.judged.metric == "itl.p50").unwrap();
    assert_eq!((found.verdict, check.judged.verdict), (Verdict::Unresolved, Verdict::Unresolved));
    assert!(check.judged.reason.as_ref().unwrap().contains("neither side has `itl.p50`"));
}

#[test]
fn different_tools_are_not_compared_unless_it_is_meant() {
    let a = side("A", results(AIPERF));
    let b = side("B", results(GUIDELLM));
    let found = compare(&a, &b, &CompareOptions::default()).unwrap();
    assert_eq!(found.cases[0].differences, ["`tool`: A `AIPerf`, B `GuideLLM`"]);
}

#[test]
fn loads_are_matched_by_name() {
    let mut many = vec![vllm(0, 1.0), vllm(2, 1.0)];
    many[1].case = "concurrency 32".into();
    let mut others = vec![vllm(1, 1.0), vllm(3, 1.0)];
    others[1].case = "concurrency 64".into();
    let found = compare(&side("A", many.clone()), &side("B", others.clone()), &CompareOptions::default()).unwrap();
    assert_eq!(found.cases.len(), 1);
    assert_eq!(found.notes, ["only A has `concurrency 32`", "only B has `concurrency 64`"]);
    many.remove(0);
    many.push(many[0].clone());
    many[1].case = "rate 5".into();
    assert!(
        compare(&side("A", many), &side("B", others), &CompareOptions::default())
            .unwrap_err()
            .message
            .contains("no case in common")
    );
}
