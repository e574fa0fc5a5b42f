//! What people read when a file is wrong.

use insta::assert_snapshot;

use super::super::{check, load};
use super::{GOOD, said, wrong};

#[test]
fn a_typo_in_a_key() {
    assert_snapshot!(wrong(&GOOD.replace("requests", "requsts")), @r#"
    error: unknown key `requsts`
     --> scenarios/chatbot.toml:6:1
      |
    6 | requsts = 100
      | ^^^^^^^
      |
      = hint: did you mean `requests`?
    "#);
}

#[test]
fn two_kinds_of_load() {
    assert_snapshot!(wrong(&GOOD.replace("requests = 100", "rate = 20.0\nrequests = 100")), @r#"
    error: `load.concurrency` and `load.rate` exclude each other
     --> scenarios/chatbot.toml:6:1
      |
    5 | concurrency = 8
      | ----------- the first one
    6 | rate = 20.0
      | ^^^^ a second kind of load
      |
      = hint: keep exactly one of `concurrency`, `rate`, `batch` and `trace`
    "#);
}

#[test]
fn a_bad_limit() {
    assert_snapshot!(wrong(&format!("{GOOD}[gate]\n\"ttft.p95\" = [\"<= 300ms\", \"<= baseline - 10%\"]\n")), @r#"
    error: `baseline - 10%` is not `baseline + N%`
     --> scenarios/chatbot.toml:8:27
      |
    8 | "ttft.p95" = ["<= 300ms", "<= baseline - 10%"]
      |                           ^^^^^^^^^^^^^^^^^^^
      |
      = hint: write for example `<= 300ms` or `<= baseline + 5%`
    "#);
}

#[test]
fn an_unknown_metric() {
    assert_snapshot!(wrong(&format!("{GOOD}[gate]\n\"tftt.p95\" = \"<= 300ms\"\n")), @r#"
    error: unknown metric `tftt`
     --> scenarios/chatbot.toml:8:1
      |
    8 | "tftt.p95" = "<= 300ms"
      | ^^^^^^^^^^
      |
      = hint: did you mean `ttft`?
    "#);
}

#[test]
fn no_request_at_all() {
    assert_snapshot!(wrong(&GOOD.replace("requests = 100", "requests = 0")), @r#"
    error: `load.requests` must be at least 1
     --> scenarios/chatbot.toml:6:12
      |
    6 | requests = 0
      |            ^
    "#);
}

#[test]
fn several_problems_in_one_file() {
    let text = "[workload]\ninput_tokens = \"many\"\n[load]\nconcurrency = 8\nspeed = 2.0\n\
                [request]\ntimeout = 60\n[trails]\nmin = 6\n";
    assert_snapshot!(wrong(text), @r#"
    error: `workload.input_tokens` must be a number of tokens, a list of them, or a table such as `{ mean = 128, stddev = 32 }`, not the text `many`
     --> scenarios/chatbot.toml:2:16
      |
    2 | input_tokens = "many"
      |                ^^^^^^

    error: `load` does not say when a trial ends
     --> scenarios/chatbot.toml:3:1
      |
    3 | [load]
      | ^^^^^^
      |
      = hint: write `requests = 100`, `duration = "30s"`, or both

    error: `load.speed` applies to `load.trace` only
     --> scenarios/chatbot.toml:5:1
      |
    4 | concurrency = 8
      | ----------- the kind of load
    5 | speed = 2.0
      | ^^^^^
      |
      = hint: remove `speed`

    error: `request.timeout` must be a text in quotes, not the number `60`
     --> scenarios/chatbot.toml:7:11
      |
    7 | timeout = 60
      |           ^^
      |
      = hint: write it in quotes, with its unit if it has one: `"60s"`, `"5%"`

    error: unknown key `trails`
     --> scenarios/chatbot.toml:8:2
      |
    8 | [trails]
      |  ^^^^^^
      |
      = hint: did you mean `trials`?
    "#);
}

#[test]
fn broken_syntax() {
    assert_snapshot!(wrong("[load\nconcurrency = 8\nrequests = \n"), @r#"
    error: unclosed table, expected `]`
     --> scenarios/chatbot.toml:1:6
      |
    1 | [load
      |      ^
    "#);
}

#[test]
fn a_bad_matrix() {
    let text = GOOD.to_owned()
        + "[matrix]\n\"load.concurency\" = [1, 2]\n\"workload.output_tokens\" = []\n\"load.requests\" = [10, 0, \"x\"]\n";
    assert_snapshot!(wrong(&text), @r#"
    error: unknown key `concurency`
     --> scenarios/chatbot.toml:8:1
      |
    8 | "load.concurency" = [1, 2]
      | ^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `concurrency`?

    error: `matrix."workload.output_tokens"` is an empty list
     --> scenarios/chatbot.toml:9:28
      |
    9 | "workload.output_tokens" = []
      |                            ^^
      |
      = hint: write at least one value

    error: `load.requests` must be at least 1
      --> scenarios/chatbot.toml:10:24
       |
    10 | "load.requests" = [10, 0, "x"]
       |                        ^

    error: `load.requests` must be a whole number of at least 0, not the text `x`
      --> scenarios/chatbot.toml:10:27
       |
    10 | "load.requests" = [10, 0, "x"]
       |                           ^^^
    "#);
}

#[test]
fn too_few_pairs_are_a_warning() {
    let text = format!("{GOOD}[trials]\nmax = 4\n[compare]\nreference = \"off\"\ncandidate = \"on\"\n");
    let (cases, problems) = check("chatbot", "scenarios/chatbot.toml", &text);
    assert_eq!(cases[0].trials.pairs(false), 4);
    assert_snapshot!(problems.render(false), @r#"
    warning: `trials.max` is 4, and nothing is decided below 6 pairs
     --> scenarios/chatbot.toml:8:7
      |
    8 | max = 4
      |       ^
    9 | [compare]
      |  ------- measured in pairs
      |
      = hint: raise it, or leave it out for 20; `quick` sets the pairs of `--quick`
    "#);
    let (_, problems) = check("chatbot", "scenarios/chatbot.toml", &text.replace("max = 4", "max = 6"));
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn a_doubtful_file_is_read_with_warnings() {
    let text = GOOD.replace("requests = 100", "requests = 6")
        + "[gate]\n\"ttft.p50\" = \"<= 1s\"\n\"ttft.p99\" = { limit = \"<= 1s\", advisory = true }\n";
    let (cases, problems) = check("chatbot", "scenarios/chatbot.toml", &text);
    assert_eq!(cases.len(), 1);
    assert_snapshot!(problems.render(false), @r#"
    warning: 6 requests never keep 8 users busy
     --> scenarios/chatbot.toml:6:12
      |
    5 | concurrency = 8
      |               - users
    6 | requests = 6
      |            ^
      |
      = hint: use several requests a user

    warning: `ttft.p50` cannot be resolved with 6 requests a trial
     --> scenarios/chatbot.toml:8:1
      |
    6 | requests = 6
      |            - 10 are needed
    7 | [gate]
    8 | "ttft.p50" = "<= 1s"
      | ^^^^^^^^^^ will be `unresolved`, which never passes
    "#);
}

#[test]
fn what_is_wrong_with_each_table() {
    let replaced = |from: &str, to: &str| said(&GOOD.replace(from, to));
    let added = |text: &str| said(&format!("{GOOD}{text}"));
    for (found, message) in [
        (replaced("requests = 100", ""), "`load` does not say when a trial ends"),
        (replaced("concurrency = 8", ""), "`load` does not say how requests are paced"),
        (replaced("concurrency = 8", "concurrency = 0"), "`load.concurrency` must be at least 1"),
        (replaced("concurrency = 8", "concurrency = 9999999"), "`load.concurrency` must be at most 100000"),
        (replaced("concurrency = 8", "rate = 0.0"), "`load.rate` must be above 0"),
        (replaced("concurrency = 8", "rate = inf"), "`load.rate` must be above 0"),
        (replaced("concurrency = 8", "rate = 1\narrival = { gamma = -1.0 }"), "`load.arrival.gamma` must be above 0"),
        (replaced("concurrency = 8", "rate = 1\narrival = \"poison\""), "`load.arrival` cannot be `poison`"),
        (
            replaced("concurrency = 8", "rate = 1\nramp_up = \"1s\""),
            "`load.ramp_up` applies to `load.concurrency` only",
        ),
        (
            replaced("concurrency = 8", "concurrency = 8\narrival = \"poisson\""),
            "`load.arrival` applies to `load.rate` only",
        ),
        (
            replaced("concurrency = 8", "batch = 8\nmax_in_flight = 9"),
            "`load.max_in_flight` applies to `load.rate` and `load.trace` only",
        ),
        (replaced("requests = 100", "duration = \"0s\""), "`load.duration` must be longer than 0"),
        (replaced("requests = 100", "duration = \"soon\""), "`load.duration`: `soon` is not a time"),
        (replaced("input_tokens = 128", ""), "`workload.input_tokens` is missing"),
        (replaced("128", "0"), "`workload.input_tokens` must be between 1 and 10000000"),
        (replaced("128", "[]"), "`workload.input_tokens` is an empty list"),
        (replaced("128", "[5, 0]"), "`workload.input_tokens.1` must be between 1 and 10000000"),
        (replaced("128", "{}"), "`workload.input_tokens` has no distribution"),
        (replaced("128", "{ mean = 9 }"), "`workload.input_tokens` needs `mean` and `stddev`"),
        (
            replaced("128", "{ mean = 9, stddev = 1, uniform = [1, 2] }"),
            "`workload.input_tokens` has more than one distribution",
        ),
        (
            replaced("128", "{ mean = 9, stddev = 1, min = 20 }"),
            "`workload.input_tokens` needs `min` <= `mean` <= `max`",
        ),
        (replaced("128", "{ mean = 9, stddev = nan }"), "`workload.input_tokens.stddev` must be at least 0"),
        (replaced("128", "{ uniform = [9, 2] }"), "`workload.input_tokens.uniform` ends before it starts"),
        (
            replaced("128", "{ uniform = [9] }"),
            "`workload.input_tokens.uniform` needs two numbers, the smallest and the largest",
        ),
        (
            replaced("128", "{ uniform = [1, 2], min = 1 }"),
            "`workload.input_tokens.min` applies to `mean` and `stddev` only",
        ),
        (
            replaced("128", "{ lognormal = { median = 90 } }"),
            "`workload.input_tokens.lognormal` needs `median` and `p95`",
        ),
        (
            replaced("128", "{ lognormal = { median = 90, p95 = 80 } }"),
            "`workload.input_tokens.lognormal.p95` must be between the median and 10000000",
        ),
        (
            replaced("128", "128\nprefix = { prefix_tokens = 128 }"),
            "a prefix of 128 tokens leaves no room in a prompt of 128",
        ),
        (replaced("128", "128\nprefix = { groups = 2 }"), "`workload.prefix.prefix_tokens` is missing"),
        (
            replaced("128", "128\nprefix = { prefix_tokens = 9, groups = 0 }"),
            "`workload.prefix.groups` must be at least 1",
        ),
        (replaced("input_tokens = 128", "dataset = { path = \"x\" }"), "`workload.dataset.format` is missing"),
        (
            replaced("128", "128\ndataset = { path = \"x.txt\" }"),
            "`workload.input_tokens` does not apply to the prompts of a dataset",
        ),
        (added("[trials]\nmin = 0"), "`trials.min` must be at least 1"),
        (added("[trials]\nmin = 8\nmax = 7"), "`trials.max` is 7, less than `trials.min`, which is 8"),
        (added("[request]\ntimeout = \"0s\""), "`request.timeout` must be longer than 0"),
        (added("[request]\nextra = { stream = false }"), "`request.extra` cannot set `stream`"),
        (
            added("[request]\ntimeout = \"5s\"\nno_progress = \"6s\""),
            "`request.no_progress` never applies: a request ends after 5s",
        ),
        (added("[slo]\n\"ttft.p50\" = \"1s\""), "`ttft.p50` is not a metric of a single request"),
        (added("[slo]\nttft = \"0s\""), "`slo.ttft` must be longer than 0"),
        (added("[gate]\nttft.p95 = \"<= 1s\""), "`ttft.p95` must be in quotes"),
        (added("[gate]\n\"ttft.p50\" = []"), "`ttft.p50` has an empty list of limits"),
        (added("[gate]\n\"ttft.p50\" = { advisory = true }"), "`gate.\"ttft.p50\"` needs the key `limit`"),
        (
            added("[gate]\n\"ttft.p50\" = \"<= 0.7 * reference\""),
            "`reference` needs a `[compare]` table that names two variants",
        ),
        (
            added("[gate]\ngoodput_ratio = \">= 95%\""),
            "`goodput_ratio` needs an `[slo]` that says which requests are good",
        ),
        (added("[gate]\nblind_above = \"0%\""), "`gate.blind_above` must be above 0"),
        (added("[gate]\non_inconclusiv = \"fail\""), "unknown metric `on_inconclusiv`"),
    ] {
        assert_eq!(found, [message]);
    }
}

#[test]
fn cancellations_that_say_too_little_or_too_much() {
    let request = |text: &str| said(&format!("{GOOD}[request]\n{text}"));
    for (found, message) in [
        (request("cancel = { after = \"1s\" }"), "`request.cancel` does not say how many requests are cancelled"),
        (request("cancel = { rate = \"10%\" }"), "`request.cancel` does not say when requests are cancelled"),
        (
            request("cancel = { rate = \"100%\", after = \"1s\" }"),
            "`request.cancel.rate` must be above 0% and below 100%",
        ),
        (request("cancel = { rate = \"10%\", after = \"0s\" }"), "`request.cancel.after` must be longer than 0"),
        (request("cancel = { rate = \"10%\", after_tokens = 0 }"), "`request.cancel.after_tokens` must be at least 1"),
        (
            request("stream = false\ncancel = { rate = \"10%\", after_tokens = 1 }"),
            "`request.cancel.after_tokens` needs a streamed answer",
        ),
        (
            request("timeout = \"5s\"\ncancel = { rate = \"10%\", after = \"5s\" }"),
            "`request.cancel.after` never applies: a request ends after 5s",
        ),
        (request("cancel = { rat = \"10%\", after = \"1s\" }"), "unknown key `rat`"),
    ] {
        assert_eq!(found, [message]);
    }
}

#[test]
fn names_of_scenarios_are_safe() {
    let problems = load("../x", "scenarios/../x.toml", GOOD).unwrap_err();
    assert_snapshot!(problems, @r#"
    error: `../x` cannot be the name of a scenario
    --> scenarios/../x.toml
     = hint: rename the file: use ASCII letters, digits, `.`, `_` and `-`, with no dot in front
    "#);
}

proptest::proptest! {
    #[test]
    fn no_file_panics(line in 0_usize..6, text in "[a-z_]{0,9}( = ([0-9.-]{1,4}|\"[<=>a-z0-9%+ ]{0,9}\"|\\{ [a-z]{1,6} = [0-9]{1,3} \\}|\\[[0-9, ]{0,9}\\]))?") {
        let mut lines: Vec<_> = GOOD.lines().collect();
        lines[line] = &text;
        let (cases, problems) = check("x", "x.toml", &lines.join("\n"));
        proptest::prop_assert_eq!(cases.is_empty(), problems.has_errors());
        let _ = problems.render(true);
    }
}
