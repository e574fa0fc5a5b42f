//! What files mean.

use super::super::*;
use super::{GOOD, one, said};
use crate::metric::Metric;
use crate::units::Time;

fn listed(case: &Case) -> Vec<String> {
    let checks = case.gate.checks.iter();
    checks
        .map(|check| {
            let advisory = if check.advisory { " advisory" } else { "" };
            format!("{} {:?} line {:?}{advisory}", check.metric, check.limit.reference, check.line)
        })
        .collect()
}

#[test]
fn the_smallest_file_gets_the_defaults() {
    let case = one(GOOD);
    assert_eq!(
        (case.name.as_str(), case.scenario.as_str(), case.file.as_str()),
        ("chatbot", "chatbot", "scenarios/chatbot.toml")
    );
    assert_eq!(case.workload.input_tokens, Length::Fixed(128));
    assert_eq!((case.workload.seed, case.workload.salt), (42, true));
    assert_eq!(case.load.kind, LoadKind::Closed { concurrency: 8, ramp_up: Time::from_millis(800) });
    assert_eq!((case.load.requests, case.load.duration, case.load.warmup), (Some(100), None, 5));
    assert_eq!(
        case.request,
        RequestOptions {
            protocol: Protocol::OpenaiChat,
            stream: true,
            http2: false,
            timeout: Time::from_secs(60),
            no_progress: Time::from_secs(20),
            prompt_list: false,
            extra: std::collections::BTreeMap::new(),
            cancel: None,
        }
    );
    assert_eq!(case.trials, Trials { min: 6, max: None, quick: 2 });
    assert_eq!(case.gate.comparisons().count(), 3);
    assert!((case.gate.blind_above - 0.25).abs() < 1e-12);
    assert_eq!((case.slo, case.compare), (Slo::default(), None));
}

#[test]
fn every_key_has_its_meaning() {
    let case = one(r#"
description = "Short prompts"
[workload]
input_tokens  = { mean = 128, stddev = 32, min = 64 }
output_tokens = { lognormal = { median = 90, p95 = 400 } }
system_prompt = { path = "system.txt" }
prefix = { groups = 4, prefix_tokens = 32, prime = false }
seed = 7
salt = false
[load]
rate = 20.0
arrival = { gamma = 0.5 }
max_in_flight = 64
requests = 100
duration = "30s"
warmup = 3
[request]
protocol = "openai-chat"
http2 = true
timeout = "30s"
no_progress = "5s"
extra = { ignore_eos = true, min_tokens = 64 }
cancel = { rate = "10%", after = "200ms", after_tokens = 5 }
[trials]
min = 8
max = 12
quick = 1
[gate]
"ttft.p95" = ["<= 300ms", "<= baseline + 10%"]
"error_rate" = "<= 0.1%"
"e2e_latency.p99" = { limit = "<= 2s", advisory = true }
on_inconclusive = "fail"
on_missing_baseline = "skip"
blind_above = "10%"
[slo]
ttft = "500ms"
tpot = "50ms"
"#);
    assert_eq!(case.description, "Short prompts");
    assert_eq!(
        case.workload,
        Workload {
            input_tokens: Length::Normal { mean: 128.0, stddev: 32.0, min: 64, max: 320 },
            output_tokens: Length::Lognormal { median: 90.0, p95: 400.0 },
            system_prompt: Some(SystemPrompt::Path("system.txt".into())),
            dataset: None,
            conversation: None,
            prefix: Some(Prefix { groups: 4, prefix_tokens: 32, prime: false }),
            seed: 7,
            salt: false,
        }
    );
    assert_eq!(
        case.load,
        Load {
            kind: LoadKind::Open { rate: 20.0, arrival: Arrival::Gamma(0.5), max_in_flight: Some(64) },
            requests: Some(100),
            duration: Some(Time::from_secs(30)),
            warmup: 3,
        }
    );
    assert_eq!(case.request.extra["min_tokens"], 64);
    assert!(case.request.http2);
    let (after, after_tokens) = (Some(Time::from_millis(200)), Some(5));
    assert_eq!(case.request.cancel, Some(Cancellation { rate: 0.1, after, after_tokens }));
    assert_eq!(case.trials, Trials { min: 8, max: Some(12), quick: 1 });
    assert_eq!(
        listed(&case),
        [
            "ttft.p95 Absolute(300.0) line Some(29)",
            "ttft.p95 Baseline(0.1) line Some(29)",
            "error_rate Absolute(0.001) line Some(30)",
            "e2e_latency.p99 Absolute(2000.0) line Some(31) advisory",
        ]
    );
    assert_eq!(case.gate.on_inconclusive, OnInconclusive::Fail);
    assert_eq!(case.gate.on_missing_baseline, OnMissing::Skip);
    let ms = |n: u64| n * 1_000_000;
    assert_eq!(case.slo.limits, [(Metric::Tpot, ms(50)), (Metric::Ttft, ms(500))]);
}

#[test]
fn lengths_and_loads_in_all_forms() {
    let with = |from: &str, to: &str| one(&GOOD.replace(from, to));
    let length = |text: &str| with("input_tokens = 128", &format!("input_tokens = {text}")).workload.input_tokens;
    assert_eq!(length("{ uniform = [64, 256] }"), Length::Uniform(64, 256));
    assert_eq!(length("[64, 128]"), Length::List(vec![64, 128]));
    assert_eq!(
        length("{ mean = 100, stddev = 0, max = 110 }"),
        Length::Normal { mean: 100.0, stddev: 0.0, min: 1, max: 110 }
    );
    let kind = |text: &str| with("concurrency = 8", text).load;
    assert_eq!(kind("batch = 3").kind, LoadKind::Batch { size: 3 });
    assert_eq!(kind("batch = 3").warmup, 3);
    let open = |arrival| LoadKind::Open { rate: 2.0, arrival, max_in_flight: None };
    assert_eq!(kind("rate = 2").kind, open(Arrival::Constant));
    assert_eq!(kind("rate = 2\narrival = \"poisson\"").kind, open(Arrival::Poisson));
    let case = with("input_tokens = 128\noutput_tokens = 64", "dataset = { path = \"a.jsonl\" }");
    assert_eq!(case.workload.dataset, Some(Dataset { path: "a.jsonl".into(), format: DatasetFormat::Jsonl }));
    assert_eq!(case.workload.output_tokens, Length::Fixed(128));
    assert_eq!(case.trace(), None);
}

#[test]
fn some_requests_are_cancelled_but_never_all() {
    let cancelled = |rate, requests| Cancellation { rate, after: None, after_tokens: Some(1) }.of(requests);
    assert_eq!([10, 14, 16, 1000].map(|requests| cancelled(0.1, requests)), [1, 1, 2, 100]);
    assert_eq!((cancelled(0.1, 2), cancelled(0.99, 3), cancelled(0.5, 1), cancelled(0.5, 0)), (1, 2, 0, 0));
    // A quantile has to be resolved by those that are left.
    let text = |cancel| format!("{GOOD}[request]\n{cancel}\n[gate]\n\"ttft.p95\" = \"<= 1s\"\n");
    assert!(said(&text("")).is_empty());
    let found = said(&text("cancel = { rate = \"10%\", after = \"1s\" }"));
    assert_eq!(found, ["`ttft.p95` cannot be resolved with 90 requests a trial"]);
}

#[test]
fn only_the_limits_of_a_gate_and_the_error_rate_gate() {
    let case = one(&format!("{GOOD}[gate]\n\"ttft.p50\" = \"<= 1s\"\n"));
    assert_eq!(listed(&case), ["ttft.p50 Absolute(1000.0) line Some(8)", "error_rate Baseline(0.005) line None"]);
    let case = one(&format!("{GOOD}[gate]\non_inconclusive = \"fail\"\n"));
    assert_eq!(case.gate.comparisons().count(), 3, "a policy alone leaves the default checks");
}

#[test]
fn two_variants_are_compared_with_each_other() {
    let text = format!("{GOOD}[compare]\nreference = \"prefix-caching-off\"\ncandidate = \"prefix-caching-on\"\n");
    let case = one(&text);
    assert_eq!(
        case.compare,
        Some(Compare { reference: "prefix-caching-off".into(), candidate: "prefix-caching-on".into() })
    );
    assert_eq!(
        listed(&case),
        [
            "ttft.p50 Variant(Tolerance(0.05)) line None",
            "tpot.p50 Variant(Tolerance(0.03)) line None",
            "output_throughput Variant(Tolerance(0.03)) line None",
            "error_rate Variant(Tolerance(0.005)) line None",
            "e2e_latency.p50 Variant(Tolerance(0.05)) line None advisory",
            "ttft.p95 Variant(Tolerance(0.1)) line None advisory",
            "tpot.p95 Variant(Tolerance(0.05)) line None advisory",
            "itl.p99 Variant(Tolerance(0.1)) line None advisory",
        ]
    );
    let case = one(&(text
        + "[gate]\n\"ttft.p50\" = \"<= 0.7 * reference\"\n\"tpot.p50\" = [\"<= reference + 5%\", \"<= 20ms\"]\n\
           \"prefix_hit_ratio\" = \">= 60%\"\non_inconclusive = \"fail\"\nblind_above = \"10%\"\n"));
    assert_eq!(
        listed(&case),
        [
            "ttft.p50 Variant(Multiple(0.7)) line Some(11)",
            "tpot.p50 Variant(Tolerance(0.05)) line Some(12)",
            "tpot.p50 Absolute(20.0) line Some(12)",
            "prefix_hit_ratio Absolute(0.6) line Some(13)",
            "error_rate Variant(Tolerance(0.005)) line None",
        ]
    );
    let compared: Vec<_> = case.gate.comparisons().map(|check| check.limit.text(check.metric)).collect();
    assert_eq!(compared, ["<= 0.7 * reference", "<= reference + 5%"]);
    assert_eq!(case.gate.on_inconclusive, OnInconclusive::Fail);
}

#[test]
fn the_most_pairs_and_the_most_trials() {
    let trials = |text: &str| one(&format!("{GOOD}[trials]\n{text}\n")).trials;
    for (text, range, pairs) in [
        ("", (6, 10), 20),
        ("max = 8", (6, 8), 8),
        ("min = 30", (30, 30), 30),
        ("min = 8\nmax = 12\nquick = 3", (8, 12), 12),
    ] {
        let trials = trials(text);
        assert_eq!((trials.range(false), trials.pairs(false)), (range, pairs), "{text}");
        assert_eq!((trials.range(true), trials.pairs(true)), ((trials.quick, trials.quick), trials.quick), "{text}");
    }
}

#[test]
fn a_matrix_can_vary_the_variants() {
    let text =
        GOOD.to_owned() + "[compare]\nreference = \"off\"\n[matrix]\n\"compare.candidate\" = [\"on\", \"big\"]\n";
    let cases = load("chatbot", "scenarios/chatbot.toml", &text).unwrap();
    let found: Vec<_> = cases.iter().filter_map(|case| Some(case.compare.as_ref()?.candidate.as_str())).collect();
    assert_eq!(found, ["on", "big"]);
    assert_eq!(cases[1].name, "chatbot::candidate=big");
}

#[test]
fn without_a_stream_the_latency_gates() {
    let text = format!("{GOOD}[request]\nstream = false\n");
    let names: Vec<_> = one(&text).gate.comparisons().map(|check| check.metric.to_string()).collect();
    assert_eq!(names, ["output_throughput", "e2e_latency.p50"]);
    assert_eq!(
        said(&format!("{text}[gate]\n\"tpot.p50\" = \"<= 1s\"\n[slo]\nttft = \"1s\"")),
        ["`tpot.p50` needs a streamed answer", "`ttft` needs a streamed answer"]
    );
}

#[test]
fn a_matrix_makes_a_case_of_each_combination() {
    let text = GOOD.replace("concurrency = 8\n", "")
        + "[matrix]\n\"load.concurrency\" = [1, 4]\n\"workload.output_tokens\" = [64, [8, 16]]\n";
    let cases = load("chatbot", "scenarios/chatbot.toml", &text).unwrap();
    let found: Vec<_> = cases.iter().map(|case| (case.name.as_str(), case.load.warmup)).collect();
    assert_eq!(
        found,
        [
            ("chatbot::concurrency=1,output_tokens=64", 1),
            ("chatbot::concurrency=1,output_tokens=[8,16]", 1),
            ("chatbot::concurrency=4,output_tokens=64", 4),
            ("chatbot::concurrency=4,output_tokens=[8,16]", 4),
        ]
    );
    assert_eq!(cases[1].workload.output_tokens, Length::List(vec![8, 16]));
    assert!(cases.iter().all(|case| case.scenario == "chatbot"));
}

#[test]
fn the_scenarios_of_this_repository() {
    let mut names = Vec::new();
    for (name, text) in [
        ("chatbot", include_str!("../../../scenarios/chatbot.toml")),
        ("summarization", include_str!("../../../scenarios/summarization.toml")),
        ("long-generation", include_str!("../../../scenarios/long-generation.toml")),
        ("batch", include_str!("../../../scenarios/batch.toml")),
        ("prefix-caching", include_str!("../../../scenarios/prefix-caching.toml")),
    ] {
        assert!(text.starts_with("#:schema ../schemas/scenario.schema.json\n"));
        let (cases, problems) = check(name, &format!("scenarios/{name}.toml"), text);
        assert!(problems.is_empty(), "{problems}");
        for case in &cases {
            let comparisons = if case.compare.is_some() { 1 } else { 3 };
            assert_eq!(case.gate.comparisons().count(), comparisons, "{}", case.name);
            assert!(!case.description.is_empty());
        }
        names.extend(cases.into_iter().map(|case| case.name));
    }
    assert_eq!(
        names,
        [
            "chatbot",
            "summarization",
            "long-generation",
            "batch::batch=1",
            "batch::batch=4",
            "batch::batch=8",
            "prefix-caching"
        ]
    );
}

#[test]
fn embeddings_have_no_tokens() {
    let text = GOOD.replace("output_tokens = 64\n", "") + "[request]\nprotocol = \"openai-embeddings\"\n";
    let case = one(&text);
    assert_eq!((case.request.protocol, case.request.stream), (Protocol::OpenaiEmbeddings, false));
    assert_eq!(case.workload.output_tokens, Length::Fixed(0));
    assert!(listed(&case)[0].starts_with("e2e_latency.p50"), "{:?}", listed(&case));
    let with = |more: &str| said(&(text.clone() + more));
    assert_eq!(with("stream = true\n"), ["`openai-embeddings` answers in one piece"]);
    assert_eq!(with("stream = false\n"), Vec::<String>::new());
    assert_eq!(with("cancel = { rate = \"10%\", after_tokens = 2 }\n").len(), 1);
    assert_eq!(with("[slo]\nttft = \"1s\"\n"), ["`ttft` needs answers with tokens"]);
    for metric in ["tpot.p50", "itl.p99", "output_throughput", "output_tokens.mean", "user_throughput"] {
        let limit = format!("[gate]\n\"{metric}\" = \">= 1\"\n");
        assert!(with(&limit).contains(&format!("`{metric}` needs answers with tokens")), "{:?}", with(&limit));
    }
    assert_eq!(with("[gate]\ninput_throughput = \">= baseline - 3%\"\n"), Vec::<String>::new());
    let needless = said(&(GOOD.to_owned() + "[request]\nprotocol = \"openai-embeddings\"\n"));
    assert_eq!(needless, ["`workload.output_tokens` does not apply to the answers of `openai-embeddings`"]);
}

#[test]
fn a_list_of_prompts_is_a_batch_of_completions() {
    let request = "[request]\nprotocol = \"openai-completions\"\nprompt_list = true\n";
    let batch = GOOD.replace("concurrency = 8", "batch = 8") + request;
    assert!(one(&batch).request.prompt_list);
    assert_eq!(said(&(GOOD.to_owned() + request)), ["`request.prompt_list` needs `load.batch`"]);
    for (from, to, message) in [
        ("openai-completions", "tgi", "needs a protocol that takes several prompts in one request"),
        ("output_tokens = 64", "output_tokens = [8, 64]", "needs answers of one length"),
    ] {
        let problems = said(&batch.replace(from, to));
        assert!(problems.len() == 1 && problems[0].contains(message), "{problems:?}");
    }
    let cancelled = said(&(batch + "cancel = { rate = \"10%\", after = \"1s\" }\n"));
    assert_eq!(cancelled, ["`request.cancel` cannot give up one prompt of a list"]);
}

#[cfg(feature = "grpc")]
#[test]
fn a_call_of_ppl_may_have_answers_of_several_lengths() {
    let request = "[request]\nprotocol = \"ppl\"\nprompt_list = true\nextra = { temperature = 0.5 }\n";
    let batch = GOOD.replace("concurrency = 8", "batch = 8").replace("output_tokens = 64", "output_tokens = [8, 64]");
    let case = one(&(batch + request));
    let (options, lengths) = (case.request, case.workload.output_tokens);
    assert_eq!((options.protocol, options.http2, options.stream), (Protocol::Ppl, true, true));
    assert_eq!(lengths, Length::List(vec![8, 64]));
}
