//! Two live sides in one run: another profile, or two variants of one.

use serde_json::Value;

use crate::support::{Output, PROJECT, Project, SCENARIO, measuring, tokpace, wait_for};

/// A profile `previous` like the embedded one, and one that is half as slow again.
const PROFILES: &str = r#"
[profiles.previous]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "10us" }
itl = "3ms"
jitter = "0%"

[profiles.slower]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "10us" }
itl = "3ms"
jitter = "0%"
slowdown = { decode = "50%" }
"#;

/// Prompts of which seven eighths are shared by two groups.
const CACHE: &str = r#"
[workload]
input_tokens = 256
output_tokens = 3
prefix = { groups = 2, prefix_tokens = 224 }

[load]
concurrency = 1
requests = 12

[compare]
reference = "prefix-caching-off"
candidate = "prefix-caching-on"

[gate]
"ttft.p50" = "<= 0.7 * reference"
"prefix_hit_ratio" = ">= 60%"
"#;

fn project() -> Project {
    let wide = SCENARIO.replace("+ 15%", "+ 25%").replace("max = 6", "max = 8");
    Project::new()
        .with("tokpace.toml", &format!("{PROJECT}{PROFILES}"))
        .with("scenarios/chat.toml", &wide)
        .with("scenarios/other.toml", &wide.replace("output_tokens = 5", "output_tokens = 4"))
}

/// Slow prompts, so that what the cache saves is most of the first token's time.
fn caching() -> Project {
    let profile = PROJECT.replace("10us", "100us");
    Project::empty().with("tokpace.toml", &profile).with("scenarios/cache.toml", CACHE)
}

fn case(project: &Project, name: &str) -> Value {
    let run = project.json("target/tokpace/latest/run.json");
    let cases = run["cases"].as_array().unwrap();
    cases.iter().find(|case| case["case"] == name).unwrap_or_else(|| panic!("no `{name}` in {run}")).clone()
}

#[test]
fn pairs_of_all_cases_are_measured_in_rounds() {
    let project = project();
    let output = project.perf("--against previous");
    output.expect(0, &["test chat ... ok", "test other ... ok", "profile embedded against previous · 2 cases"]);
    assert!(!project.exists("baselines"), "a live comparison stores nothing");
    project.tokpace("accept").expect(0, &["nothing is pending, and no run was found to accept"]);
    for name in ["chat", "other"] {
        let case = case(&project, name);
        assert_eq!((&case["mode"], &case["verdict"]), (&"paired".into(), &"pass".into()), "{case}");
        assert_eq!(case["reference"]["name"], "profile `previous`");
        let pairs = case["pairs_used"].as_u64().unwrap();
        assert!(pairs == 6 || pairs == 8, "{pairs}");
    }
    let run = project.json("target/tokpace/latest/run.json");
    assert_eq!((&run["run"]["profile"], &run["run"]["against"]), (&"embedded".into(), &"previous".into()));

    // One pair of each case, then the next of each; the first trial of a pair is that of each side in turn.
    let requests = project.lines("target/tokpace/latest/requests.jsonl");
    let mut order: Vec<(String, u64, String)> = Vec::new();
    for request in requests.iter().filter(|request| request["phase"] == "measured") {
        let text = |key: &str| request[key].as_str().unwrap().to_owned();
        order.push((text("case"), request["trial"].as_u64().unwrap(), text("side")));
        order.dedup();
    }
    let sides = |pair: u64| if pair % 2 == 1 { ["reference", "candidate"] } else { ["candidate", "reference"] };
    let expected = (1..=6).flat_map(|pair| {
        ["chat", "other"]
            .into_iter()
            .flat_map(move |case| sides(pair).map(|side| (case.to_owned(), pair, side.to_owned())))
    });
    // A pair that was lost to a busy machine is measured again under the next number.
    if project.json("target/tokpace/latest/trials.json").to_string().contains("\"valid\":false") {
        eprintln!("skipped the order of the rounds: a pair was lost");
    } else {
        assert_eq!(order.iter().take(24).cloned().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    let ids: std::collections::BTreeSet<&str> = requests.iter().map(|r| r["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), requests.len(), "no request of either side shares its id");
    // Both sides sent the same lengths in the same order.
    let lengths = |side: &str| -> Vec<(u64, u64)> {
        let of = requests.iter().filter(|r| r["side"] == side && r["phase"] == "measured" && r["case"] == "chat");
        of.filter(|r| r["trial"] == 1)
            .map(|r| (r["index"].as_u64().unwrap(), r["input_tokens"].as_u64().unwrap()))
            .collect()
    };
    assert_eq!(lengths("reference"), lengths("candidate"));
}

#[test]
fn a_slower_candidate_regresses_and_the_text_names_both_sides() {
    let project = project();
    let output = project.perf("chat --profile slower --against previous");
    output.expect(
        101,
        &[
            "test chat ... FAILED",
            "chat: REGRESSED on profile `slower` against profile `previous`, 6 pairs",
            "tpot.p50 chat +",
            "6 pairs, tolerance 25 %: REGRESSED",
            ", reference 3.",
            "reference and candidate differ in: `slowdown.decode` nothing and `50%`",
            "would have been found 9 times out of 10",
            "standard deviation between pairs",
        ],
    );
    output.without("cargo tokpace accept");
    // The other way round it is an improvement, which fails nothing.
    let output = project.tokpace("run chat --profile embedded --against slower");
    output.expect(0, &["chat ... improved", "chat: improved on profile `embedded` against profile `slower`"]);
}

#[test]
fn a_case_of_its_own_process_is_judged_alone() {
    let project = project().with_variable("NEXTEST", "1").with_variable("NEXTEST_RUN_ID", "alone");
    let project = project.with_variable("TOKPACE_AGAINST", "previous");
    for name in ["chat", "other"] {
        project.perf(&format!("--exact {name} --nocapture")).expect(0, &["1 passed"]);
    }
    let run = project.json("target/tokpace/alone/run.json");
    assert_eq!(run["cases"].as_array().unwrap().len(), 2);
}

#[test]
fn variants_are_ignored_against_another_profile() {
    let project = project().with("scenarios/cache.toml", CACHE);
    project.perf("--against previous --list").expect(0, &["cache: test", "chat: test"]);
    project.perf("--against previous --list --ignored").expect(0, &["cache: test"]).without("chat: test");
    project.perf("--against previous cache").expect(0, &["test cache ... ignored"]);
    project.tokpace("run cache --against previous").expect(0, &["cache ... ignored"]);
}

#[test]
fn prefix_caching_is_compared_with_none() {
    let project = caching();
    project.perf("").expect(0, &["test cache ... ok", "×0.7 pass", ">= 60% pass"]);
    let case = case(&project, "cache");
    let (on, off) = (&case["prefix"]["candidate"], &case["prefix"]["reference"]);
    // Two of twelve requests are the first of their group, but both prefixes were primed: 224 of 256 tokens each.
    assert!((on["hit_ratio"].as_f64().unwrap() - 0.875).abs() < 1e-9, "{on}");
    assert!((on["counter_hit_ratio"].as_f64().unwrap() - 0.875).abs() < 1e-9, "{on}");
    assert!((on["matched_tokens"].as_f64().unwrap() - 224.0).abs() < 1e-9, "{on}");
    assert_eq!((off["hit_ratio"].as_f64(), off["reused_tokens"].as_u64()), (Some(0.0), Some(0)), "{off}");
}

#[test]
fn a_cache_that_is_silently_off_fails_and_is_named() {
    let project = caching();
    let output = project.perf("--set fault.kind=cold-cache");
    output.expect(
        101,
        &[
            "the prefix cache was hardly used: the hit ratio is 0 %, 0 of ",
            "hint: prefix caching is off or broken",
            "prefix_hit_ratio cache 0.00 % 6 pairs, limit >= 60%: EXCEEDED",
            "variant `prefix-caching-on` against variant `prefix-caching-off`",
        ],
    );
    // A flag that switches nothing off leaves both sides alike.
    let ignored = "\n[profiles.embedded.variants.prefix-caching-off]\nprefix_caching = true\n";
    project.write("tokpace.toml", &format!("{}{ignored}", PROJECT.replace("10us", "100us")));
    project.perf("").expect(
        101,
        &["both variants reuse as much: the hit ratio is 87.5 % and 87.5 %", "hint: the two variants do not differ"],
    );
}

#[test]
fn pairs_that_are_no_measurement_are_replaced_and_then_given_up() {
    let project = project();
    let output = project.perf("chat --against previous --set fault.kind=short");
    output.expect(
        101,
        &[
            "chat: INVALID on profile `embedded` against profile `previous`",
            "pairs 1, 2, 3 were no measurement: candidate: answers have 2 tokens at the median, those of the reference 5",
        ],
    );
    let trials = project.json("target/tokpace/latest/trials.json");
    assert_eq!(trials["cases"][0]["trials"].as_array().unwrap().len(), 6, "both trials of three pairs are kept");
}

#[test]
fn errors_of_the_candidate_regress() {
    let project = project();
    // The first request of all may be the one that fails.
    let run = || project.perf("chat --against previous --set fault.kind=error --set fault.rate=10%");
    let output = (0..9).map(|_| run()).find(|output| !output.stdout.contains("could not be measured")).unwrap();
    output.expect(101, &["chat: REGRESSED", "error_rate chat +", "http_status"]);
}

#[test]
fn answers_off_their_length_make_checks_advisory() {
    let project = project();
    project.write("scenarios/chat.toml", &SCENARIO.replace("+ 15%", "+ 25%"));
    let output = project.perf("chat --against previous --set fault.kind=short --set fault.rate=10%");
    output.expect(
        0,
        &["of the answers were off their planned length by more than 5 %", "latencies and rates are advisory"],
    );
}

#[test]
fn what_is_not_there_is_named() {
    let project =
        project().with("scenarios/cache.toml", &CACHE.replace("\"prefix-caching-on\"", "\"prefix-caching-in\""));
    project.perf("--against previos").expect(101, &["no profile `previos`", "known profiles: ", "`previous`"]);
    let output = project.perf("cache");
    output
        .expect(101, &["cache: INVALID", "profile `embedded` has no variant `prefix-caching-in`", "prefix-caching-on"]);
    project.tokpace("run chat --against previous --record 2").expect(2, &["--record", "--against"]);
}

#[test]
fn a_quick_run_decides_nothing() {
    let project = project();
    let output = project.perf("chat --against previous --quick");
    output.expect(0, &["chat: INCONCLUSIVE", "quick run: 2 pairs decide nothing (a verdict needs 6)"]);
}

#[test]
fn an_interrupt_keeps_the_pairs() {
    let _alone = measuring();
    let project = project();
    project.write("scenarios/chat.toml", &SCENARIO.replace("requests = 10", "requests = 200"));
    let child = project.spawn(tokpace(), "run --against previous");
    wait_for("a pair", || {
        let file = project.path("target/tokpace/latest/requests.jsonl");
        std::fs::read_to_string(file).is_ok_and(|text| text.lines().count() > 450)
    });
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    Output::of(child).expect(130, &["chat ... invalid", "interrupted after "]);
    let trials = project.json("target/tokpace/latest/trials.json");
    assert!(trials["cases"][0]["trials"].as_array().unwrap().len() >= 2, "{trials}");
}
