//! The face towards cargo and its friends: libtest's flags mean what libtest means by them.

use crate::support::{Output, Project, SCENARIO};

/// Cases `batch::batch=2`, `batch::batch=4` and `chat`.
fn project() -> Project {
    let batch = SCENARIO.replace("concurrency = 2\nramp_up = \"2ms\"", "");
    let batch = format!("{batch}\n[matrix]\n\"load.batch\" = [2, 4]\n");
    Project::new().with("scenarios/batch.toml", &batch)
}

fn listed(project: &Project, arguments: &str) -> Vec<String> {
    let output = project.perf(arguments);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output}");
    output.stdout.lines().map(str::to_owned).collect()
}

/// The lines that say how a test ended.
fn ended(output: &Output) -> Vec<&str> {
    output.stdout.lines().filter(|line| line.starts_with("test ") && line.contains(" ... ")).collect()
}

#[test]
fn listing_is_for_machines() {
    let project = project();
    let terse = ["batch::batch=2: test", "batch::batch=4: test", "chat: test"];
    assert_eq!(listed(&project, "--list --format terse"), terse);
    // As nextest asks, twice.
    assert_eq!(listed(&project, "--list --format terse --ignored"), [""; 0]);
    assert_eq!(listed(&project, "--list --format terse chat"), ["chat: test"]);
    assert_eq!(listed(&project, "--list --format terse --exact batch"), [""; 0]);
    assert_eq!(listed(&project, "--list --format terse batch --skip =4"), ["batch::batch=2: test"]);
    assert_eq!(listed(&project, "--list --format terse =2 chat"), ["batch::batch=2: test", "chat: test"]);
    assert_eq!(listed(&project, "--list --format terse =2 chat --skip batch"), ["chat: test"]);
    // A broken file is listed too: it fails when it is run.
    project.write("scenarios/broken.toml", "[workload\n");
    assert_eq!(listed(&project, "--list --format terse b --skip batch"), ["broken: test"]);
}

#[test]
fn filters_choose_what_is_measured() {
    let project = project();
    let output = project.perf("--exact chat batch::batch=2");
    output.expect(0, &["running 2 tests", "2 passed; 0 failed", "tokpace · profile embedded · 2 cases"]);
    assert_eq!(ended(&output).len(), 2, "{output}");
    project.perf("--skip batch").expect(0, &["running 1 test\n", "test chat ... ok", "2 filtered out"]);
    project.perf("nothing-like-it").expect(0, &["running 0 tests"]).without("tokpace ·");
}

#[test]
fn nothing_is_ignored() {
    let project = project();
    project.perf("--ignored").expect(0, &["running 0 tests", "0 failed"]).without("tokpace ·");
    assert!(!project.exists("target"), "nothing was measured");
    project.perf("--include-ignored chat").expect(0, &["test chat ... ok"]);
}

#[test]
fn json_lines_and_nothing_else() {
    let project = project();
    let output = project.perf("--format json -Z unstable-options chat");
    output.expect(0, &["tokpace · profile embedded"]);
    let events: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{output}"))).collect();
    assert_eq!(events.first().map(|event| &event["type"]), Some(&"suite".into()), "{output}");
    assert!(events.iter().any(|event| event["name"] == "chat" && event["event"] == "ok"), "{output}");
    assert_eq!(events.last().map(|event| &event["event"]), Some(&"ok".into()), "{output}");
}

#[test]
fn flags_that_change_nothing_are_taken() {
    let project = project();
    for flags in ["--nocapture", "--no-capture", "--show-output --color never --test-threads 8", "-q --report-time"] {
        project.perf(&format!("chat --quick {flags}")).expect(0, &["tokpace · profile embedded"]);
    }
    project.perf("--help").expect(0, &["--quick", "--profile", "--list", "--exact", "Usage: cargo test"]);
}

#[test]
fn a_regression_fails_its_test() {
    let project = Project::new();
    project.perf("--update=always").expect(0, &["test chat ... ok", "1 MISSING (chat)"]);
    let output = project.perf("--set slowdown.decode=50%");
    output.expect(101, &["test chat ... FAILED", "0 passed; 1 failed", "1 REGRESSED (chat)"]);
    for text in ["chat: REGRESSED on profile `embedded`", "tpot.p50 chat +", "at scenarios/chat.toml:17", "─────"]
    {
        assert!(output.stdout.contains(text), "{text}: {output}");
    }
    // The same by environment variables, as under a runner that passes no flags on.
    let project = project.with_variable("TOKPACE_SET", "slowdown.decode=50%;slowdown.prefill=1%");
    project.perf("").expect(101, &["chat: REGRESSED", "slowdown.prefill 1%"]);
    let project = project.with_variable("TOKPACE_QUICK", "1");
    project.perf("").expect(0, &["quick run: 2 trials decide nothing"]);
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let names = ["PROFILE", "AGAINST", "QUICK", "OUT", "SET", "SCENARIOS", "BASELINES", "EXPORT", "VERBOSE", "UPDATE"];
    let mut project = Project::new();
    for name in names {
        project = project.with_variable(&format!("TOKPACE_{name}"), "");
    }
    project.perf("").expect(0, &["test chat ... ok", "1 MISSING (chat)"]);
    project.tokpace("run").expect(0, &["6 trials", "on profile `embedded`"]);
    project.tokpace("pending").expect(0, &["chat"]);
}

#[test]
fn processes_of_one_nextest_run_share_a_report() {
    let project = project().with_variable("NEXTEST_RUN_ID", "5d2b7f7e-run").with_variable("NEXTEST", "1");
    for case in ["batch::batch=2", "batch::batch=4", "chat"] {
        project.perf(&format!("--exact {case} --nocapture")).expect(0, &["1 passed"]);
    }
    let run = project.json("target/tokpace/5d2b7f7e-run/run.json");
    let cases: Vec<&str> = run["cases"].as_array().unwrap().iter().map(|case| case["case"].as_str().unwrap()).collect();
    assert_eq!(cases, ["batch::batch=2", "batch::batch=4", "chat"]);
}
