use super::*;
use crate::plan::{Plan, PlannedRequest, Salt, Sources, Words, build};
use crate::scenario::{self, Case};
use crate::tokens::Tokenizer;

const MS: Nanos = 1_000_000;

/// Two that share two blocks, one that shares nothing, one that shares the first block, and a stranger.
const TRACE: &str = r#"
{"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [7, 1, 2]}
{"timestamp": 1500, "input_length": 1300, "output_length": 6, "hash_ids": [7, 1, 3], "session": "x"}
{"timestamp": 1500.5, "input_length": 30, "output_length": 1}

{"timestamp": 6000, "input_tokens": 700, "output_tokens": 2, "hash_ids": [7, 4]}
{"timestamp": 11000, "input_length": 512, "output_length": 3, "hash_ids": [9]}
"#;

fn trace() -> Vec<TraceRequest> {
    parse_trace("trace.jsonl", TRACE).unwrap()
}

/// A case with these keys in `[load]` and `[workload]`.
fn case(load: &str, workload: &str) -> Case {
    let text = format!("[load]\n{load}\n[workload]\n{workload}\n");
    scenario::load("t", "scenarios/t.toml", &text).unwrap_or_else(|problems| panic!("{problems}")).remove(0)
}

fn planned(case: &Case, trace: &[TraceRequest], system_prompt: Option<&str>) -> Result<Plan, PlanError> {
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).unwrap();
    build(case, &Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: Some(trace), system_prompt })
}

fn plan(load: &str) -> Plan {
    planned(&case(load, ""), &trace(), None).unwrap()
}

/// The times in milliseconds.
fn times(load: &str) -> Vec<f64> {
    plan(load).requests.iter().map(|request| request.at as f64 / 1e6).collect()
}

/// What is sent as the user's message of each request in a trial.
fn sent(plan: &Plan, trial: u32) -> Vec<String> {
    let words = Words::of(&Tokenizer::bundled()).unwrap();
    let salt = Salt::new(&words, "run", "t", trial, "candidate");
    let text = |request: &PlannedRequest| request.prompt.with_salt(&salt.cut(request.prompt.salt_tokens)).1;
    plan.requests.iter().map(text).collect()
}

fn first_words(text: &str, count: usize) -> Vec<&str> {
    text.split(' ').take(count).collect()
}

#[test]
fn lines_become_requests() {
    let trace = trace();
    let facts: Vec<_> = trace.iter().map(|r| (r.at, r.input_tokens, r.output_tokens)).collect();
    let expected =
        [(0, 1100, 5), (500 * MS, 1300, 6), (500 * MS + MS / 2, 30, 1), (5_000 * MS, 700, 2), (10_000 * MS, 512, 3)];
    assert_eq!(facts, expected);
    assert_eq!(trace[1].blocks, [7, 1, 3]);
    assert!(trace[2].blocks.is_empty());
    // Times since 1970 lose nothing.
    let late = "{\"timestamp\": 1700000000000, \"input_length\": 1, \"output_length\": 1}\n\
                {\"timestamp\": 1700000000001, \"input_length\": 1, \"output_length\": 1}";
    assert_eq!(parse_trace("t", late).unwrap()[1].at, MS);
}

#[test]
fn a_broken_line_is_named_with_its_remedy() {
    let error = |line: &str| {
        let good = "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 1, \"hash_ids\": [1, 2]}";
        parse_trace("data/trace.jsonl", &format!("{good}\n{line}\n")).unwrap_err().to_string()
    };
    let line = |keys: &str| format!("{{\"timestamp\": 6, {keys}}}");
    for (text, message, hint) in [
        ("[1]".to_owned(), "not such an object: invalid", "optionally `hash_ids`"),
        ("{\"timestamp\": \"6\"}".to_owned(), "not such an object: invalid type", "(milliseconds)"),
        ("{\"input_length\": 1, \"output_length\": 1}".to_owned(), "no `timestamp`", "(milliseconds)"),
        (line("\"output_length\": 1"), "no `input_length`", "`input_tokens` and `output_tokens`"),
        (line("\"input_length\": 1"), "no `output_length`", "`input_tokens` and `output_tokens`"),
        (line("\"input_length\": 0, \"output_length\": 1"), "`input_length` is 0, which", "take the line out"),
        (line("\"input_length\": 1, \"output_tokens\": 0"), "`output_length` is 0, which", "take the line out"),
        (
            line("\"input_length\": 513, \"output_length\": 1, \"hash_ids\": [1]"),
            "1 `hash_ids` for 513 tokens, which are 2 blocks of 512",
            "an id for each block",
        ),
        (
            "{\"timestamp\": 4.5, \"input_length\": 1, \"output_length\": 1}".to_owned(),
            "`timestamp` is 4.5, before that of the line above, which is 5",
            "sort the lines by `timestamp`",
        ),
        (
            "{\"timestamp\": 1e14, \"input_length\": 1, \"output_length\": 1}".to_owned(),
            "`timestamp` is 100000000000000, more than a century after the first",
            "times in milliseconds",
        ),
    ] {
        let said = error(&text);
        let begin = format!("`data/trace.jsonl`, line 2: {message}");
        assert!(said.starts_with(&begin) && said.contains("\nhint: ") && said.contains(hint), "{text}\n{said}");
    }
    let empty = parse_trace("t.jsonl", "\n \n").unwrap_err().to_string();
    assert_eq!(empty, "`t.jsonl` holds no requests\nhint: check the path; a trace has a JSON object a line");
}

#[test]
fn times_are_those_of_the_trace_at_its_speed() {
    assert_eq!(times("trace = \"t\""), [0.0, 500.0, 500.5, 5_000.0, 10_000.0]);
    assert_eq!(times("trace = \"t\"\nspeed = 20"), [0.0, 25.0, 25.025, 250.0, 500.0]);
    assert_eq!(times("trace = \"t\"\nspeed = 0.5"), [0.0, 1_000.0, 1_001.0, 10_000.0, 20_000.0]);
}

#[test]
fn a_part_of_a_trace() {
    // The offset is in the trace's time, and what comes after it keeps its distance from there.
    assert_eq!(times("trace = \"t\"\noffset = \"4s\"\nspeed = 2"), [500.0, 3_000.0]);
    assert_eq!(times("trace = \"t\"\noffset = \"500ms\""), [0.0, 0.5, 4_500.0, 9_500.0]);
    assert_eq!(times("trace = \"t\"\nrequests = 2"), [0.0, 500.0]);
    // The duration is in the trial's time.
    assert_eq!(times("trace = \"t\"\nspeed = 10\nduration = \"500ms\""), [0.0, 50.0, 50.05]);
    assert_eq!(times("trace = \"t\"\nduration = \"6s\"\nrequests = 100"), [0.0, 500.0, 500.5, 5_000.0]);
    let wrong = |load: &str| planned(&case(load, ""), &trace(), None).unwrap_err().to_string();
    assert_eq!(
        wrong("trace = \"t\"\noffset = \"1s\"\nrequests = 3"),
        "`t` has 2 requests to replay, and `load.requests` is 3\n\
         hint: lower `load.requests`, or leave it out to replay all of them"
    );
    for load in ["trace = \"t\"\noffset = \"11s\"", "trace = \"t\"\noffset = \"1s\"\nduration = \"4s\""] {
        assert_eq!(
            wrong(load),
            "`t` has no request in the part that is to be replayed\n\
             hint: lower `load.offset`, or raise `load.duration`"
        );
    }
}

#[test]
fn prompts_have_exactly_the_trace_s_tokens() {
    let tokenizer = Tokenizer::bundled();
    for (workload, system) in [("", None), ("salt = false", None), ("", Some("You are brief."))] {
        let plan = planned(&case("trace = \"t\"", workload), &trace(), system).unwrap();
        let counts: Vec<u32> = sent(&plan, 1).iter().map(|text| tokenizer.count(text)).collect();
        // A system prompt takes the salt, and stands in a message of its own.
        let salt = if system.is_some() { 8 } else { 0 };
        assert_eq!(counts, [1100, 1300, 30, 700, 512].map(|tokens| tokens - salt), "{workload} {system:?}");
        let lead = system.map_or(0, |text| tokenizer.count(text));
        let planned: Vec<u32> = plan.requests.iter().map(|request| request.prompt.input_tokens).collect();
        assert_eq!(planned, [1100, 1300, 30, 700, 512].map(|tokens| tokens + lead));
        assert_eq!(plan.requests.iter().map(|r| r.max_tokens).collect::<Vec<_>>(), [5, 6, 1, 2, 3]);
    }
}

#[test]
fn equal_leading_ids_are_equal_text_and_nothing_else_is() {
    for workload in ["", "salt = false"] {
        let plan = planned(&case("trace = \"t\"", workload), &trace(), None).unwrap();
        let texts = sent(&plan, 1);
        let words: Vec<Vec<&str>> = texts.iter().map(|text| text.split(' ').collect()).collect();
        let common = |a: usize, b: usize| words[a].iter().zip(&words[b]).take_while(|(a, b)| a == b).count();
        let salt = if workload.is_empty() { 8 } else { 0 };
        // A word that is the same by chance is no more than a word or two.
        let close = |found: usize, expected: usize| (expected..expected + 3).contains(&found);
        assert!(close(common(0, 1), 1024) && close(common(0, 3), 512) && close(common(1, 3), 512));
        for (a, b) in [(0, 2), (0, 4), (2, 4), (3, 4)] {
            assert!(close(common(a, b), salt), "{a} {b} share {}", common(a, b));
        }
        // The texts themselves are shared, not only equal.
        let shared = |a: usize, b: usize, at: usize| {
            std::sync::Arc::ptr_eq(&plan.requests[a].prompt.prefix[at], &plan.requests[b].prompt.prefix[at])
        };
        assert!(shared(0, 1, 0) && shared(0, 1, 1) && shared(0, 3, 0));
    }
}

#[test]
fn a_trial_s_salt_replaces_the_first_tokens_of_the_first_block() {
    let plan = plan("trace = \"t\"");
    let (one, other) = (sent(&plan, 1), sent(&plan, 2));
    for (one, other) in one.iter().zip(&other) {
        let words = one.split(' ').count();
        assert_ne!(first_words(one, 8), first_words(other, 8));
        assert!(one.split(' ').skip(8).eq(other.split(' ').skip(8)));
        assert_eq!(other.split(' ').count(), words);
    }
    assert_eq!(first_words(&one[0], 8), first_words(&one[4], 8), "one salt a trial");
    // Without a salt there is the block's own text in its place.
    let whole = sent(&planned(&case("trace = \"t\"", "salt = false"), &trace(), None).unwrap(), 1);
    assert!(whole[0].split(' ').skip(8).eq(one[0].split(' ').skip(8)));
    let tiny = parse_trace("t", "{\"timestamp\":0,\"input_length\":3,\"output_length\":1,\"hash_ids\":[7]}").unwrap();
    let tiny = planned(&case("trace = \"t\"", ""), &tiny, None).unwrap();
    assert_eq!((tiny.requests[0].prompt.salt_tokens, sent(&tiny, 1)[0].split(' ').count()), (1, 3));
}

#[test]
fn the_plan_s_name_covers_texts_and_times() {
    let name = |load: &str, workload: &str, text: &str| {
        planned(&case(load, workload), &parse_trace("t", text).unwrap(), None).unwrap().hash
    };
    let known = name("trace = \"t\"", "", TRACE);
    assert_eq!(known, name("trace = \"elsewhere\"", "", TRACE));
    // Pinned: a changed hash makes every stored baseline inconclusive.
    assert_eq!(known, "sha256:12b92a10f1c28e5fc0d44c0a025c7277");
    for other in [
        name("trace = \"t\"\nspeed = 2", "", TRACE),
        name("trace = \"t\"\nrequests = 4", "", TRACE),
        name("trace = \"t\"\nmax_in_flight = 9", "", TRACE),
        name("trace = \"t\"", "seed = 1", TRACE),
        name("trace = \"t\"", "salt = false", TRACE),
        name("trace = \"t\"", "", &TRACE.replace("[7, 1, 3]", "[7, 5, 3]")),
        name("trace = \"t\"", "", &TRACE.replace("6000", "6001")),
    ] {
        assert_ne!(other, known);
    }
}

#[test]
fn warm_up_prompts_are_as_long_and_share_nothing() {
    let plan = plan("trace = \"t\"\nwarmup = 2");
    assert_eq!(plan.warmup.iter().map(|r| r.prompt.input_tokens).collect::<Vec<_>>(), [1100, 1300]);
    assert_eq!(plan.warmup[0].prompt.prefix[0], plan.warmup[1].prompt.prefix[0]);
    assert_ne!(plan.warmup[0].prompt.prefix[0], plan.requests[0].prompt.prefix[0]);
}

#[test]
fn a_trace_as_a_dataset_is_paced_otherwise() {
    let text = "dataset = { path = \"t\", format = \"mooncake\" }";
    let case = case("concurrency = 2\nrequests = 7", text);
    assert_eq!(case.trace(), Some("t"));
    let plan = planned(&case, &trace(), None).unwrap();
    let tokens: Vec<u32> = plan.requests.iter().map(|request| request.prompt.input_tokens).collect();
    assert_eq!(tokens, [1100, 1300, 30, 700, 512, 1100, 1300]);
    assert!(plan.requests.iter().all(|request| request.at == 0));
    assert_eq!(plan.requests[5].prompt, plan.requests[0].prompt);
}

#[test]
fn whether_prefixes_are_shared_is_known() {
    assert!(plan("trace = \"t\"").shares_prefix);
    assert!(!plan("trace = \"t\"\nrequests = 1").shares_prefix);
    assert!(!plan("trace = \"t\"\noffset = \"5s\"").shares_prefix);
    let apart = TRACE.replace("[7, 1, 2]", "[1, 2, 3]").replace("[7, 1, 3]", "[4, 5, 6]");
    assert!(!planned(&case("trace = \"t\"", ""), &parse_trace("t", &apart).unwrap(), None).unwrap().shares_prefix);
}

#[test]
fn what_a_cache_could_find_is_counted_in_its_blocks() {
    let trace = trace();
    let reuse = |lead, block| implied_reuse(&trace, lead, block);
    // 1024 of the second and 512 of the fourth.
    assert_eq!(reuse(0, 16), Reuse { input_tokens: 3642, cached_tokens: 1536 });
    assert_eq!(reuse(0, 1), reuse(0, 512));
    assert_eq!(reuse(0, 100).cached_tokens, 1000 + 500);
    // A system prompt of 20 tokens is cached from the second request on, as far as it fills blocks.
    assert_eq!(reuse(20, 16), Reuse { input_tokens: 3742, cached_tokens: 1040 + 16 + 528 + 16 });
    assert!((reuse(0, 16).ratio() - 1536.0 / 3642.0).abs() < 1e-12);
    // The last token is always computed, and an equal prompt is found up to the block before it.
    let twice = [trace[4].clone(), trace[4].clone()];
    assert_eq!(implied_reuse(&twice, 0, 16).cached_tokens, 496);
    // A shorter last block is the beginning of a longer one.
    let of = |tokens, id| TraceRequest { at: 0, input_tokens: tokens, output_tokens: 1, blocks: vec![7, id] };
    assert_eq!(implied_reuse(&[of(700, 1), of(800, 1), of(900, 1)], 0, 16).cached_tokens, 688 + 800);
    assert_eq!(implied_reuse(&[of(800, 1), of(700, 1), of(900, 2)], 0, 16).cached_tokens, 688 + 512);
    assert!(implied_reuse(&[], 0, 16).ratio().abs() < 1e-12);
}
