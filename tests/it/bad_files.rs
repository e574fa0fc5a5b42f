//! Files that are not what they should be: the exit code, and words that say where and what to do.

use crate::support::{Output, PROJECT, Project, SCENARIO, assert_text};

/// Runs the scenario of every test with one part of it replaced.
fn scenario_with(from: &str, to: &str) -> Output {
    assert!(SCENARIO.contains(from), "{from}");
    let output = Project::new().with("scenarios/chat.toml", &SCENARIO.replace(from, to)).tokpace("run");
    assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output}");
    output
}

#[test]
fn a_typo_in_a_key_is_shown_in_its_place() {
    assert_text!(scenario_with("input_tokens", "input_token").stderr, @r"
    error: unknown key `input_token`
     --> scenarios/chat.toml:3:1
      |
    3 | input_token = 16
      | ^^^^^^^^^^^
      |
      = hint: did you mean `input_tokens`?
    ");
}

#[test]
fn two_load_modes_are_one_too_many() {
    assert_text!(scenario_with("concurrency = 2", "concurrency = 2\nrate = 20.0").stderr, @r"
    error: `load.concurrency` and `load.rate` exclude each other
     --> scenarios/chat.toml:8:1
      |
    7 | concurrency = 2
      | ----------- the first one
    8 | rate = 20.0
      | ^^^^ a second kind of load
      |
      = hint: keep exactly one of `concurrency`, `rate`, `batch` and `trace`
    ");
}

#[test]
fn a_limit_that_cannot_be_read() {
    assert_text!(scenario_with("<= baseline + 15%", "<= baseline plus 15%").stderr, @r#"
    error: `baseline plus 15%` is not `baseline + N%`
      --> scenarios/chat.toml:17:14
       |
    17 | "tpot.p50" = "<= baseline plus 15%"
       |              ^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: write for example `<= 300ms` or `<= baseline + 5%`
    "#);
}

#[test]
fn a_metric_that_is_none() {
    assert_text!(scenario_with("tpot.p50", "tpott.p50").stderr, @r#"
    error: unknown metric `tpott`
      --> scenarios/chat.toml:17:1
       |
    17 | "tpott.p50" = "<= baseline + 15%"
       | ^^^^^^^^^^^
       |
       = hint: did you mean `tpot`?
    "#);
}

#[test]
fn no_requests_at_all() {
    assert_text!(scenario_with("requests = 10", "requests = 0").stderr, @r#"
    error: `load.requests` must be at least 1
     --> scenarios/chat.toml:9:12
      |
    9 | requests = 0
      |            ^
    "#);
}

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    scenario_with("input_tokens = 16", "input_tokens = -1\nsed = 3").expect(2, &["`sed`", "seed", "input_tokens"]);
}

#[test]
fn no_scenarios() {
    let project = Project::empty().with("tokpace.toml", PROJECT);
    assert_text!(project.tokpace("run").expect(2, &[]).stderr, @r"
    error: failed to read the scenario folder `scenarios`: No such file or directory
    hint: make it with `cargo tokpace init`, or name another with `--scenarios`
    ");
    project.write("scenarios/notes.md", "nothing here\n");
    assert_text!(project.tokpace("run").expect(2, &[]).stderr, @r"
    error: no scenario files (`*.toml`) in `scenarios`
    hint: make one with `cargo tokpace init`, or name another folder with `--scenarios`
    ");
    // The harness says the same in libtest's terms.
    project.perf("").expect(101, &["no scenario files (`*.toml`) in `scenarios`"]);
}

#[test]
fn no_package() {
    let output = Project::empty().tokpace("run");
    assert_text!(output.expect(2, &[]).stderr, @r"
    error: no package in `[project]` or above
    hint: change into a package, or make one with `cargo tokpace init`
    ");
}

#[test]
fn a_broken_project_file() {
    let project = Project::new().with("tokpace.toml", &PROJECT.replace("itl = \"3ms\"", "itl = \"3 parsecs\""));
    assert_text!(project.tokpace("run").expect(2, &[]).stderr, @r#"
    error: `profiles.embedded.itl`: `3 parsecs` is not a time
     --> tokpace.toml:5:7
      |
    5 | itl = "3 parsecs"
      |       ^^^^^^^^^^^
      |
      = hint: write a number and a unit, such as `250us`, `300ms`, `2s` or `10m`
    "#);
    project.write("tokpace.toml", "[profiles.embedded\n");
    project.tokpace("run").expect(2, &["tokpace.toml:1"]);
}

#[test]
fn an_unknown_profile() {
    assert_text!(Project::new().tokpace("run --profile embeded").expect(2, &[]).stderr, @r"
    error: there is no profile `embeded`
    --> tokpace.toml
     = hint: did you mean `embedded`?
    ");
}

#[test]
fn a_setting_that_is_none() {
    assert_text!(Project::new().tokpace("run --set slowdown.decod=5%").expect(2, &[]).stderr, @r"
    error: unknown key `decod`
     --> --set:1:1
      |
    1 | slowdown.decod=5%
      | ^^^^^^^^^^^^^^
      |
      = hint: did you mean `decode`?
    ");
}

#[test]
fn no_case_of_that_name() {
    assert_text!(Project::new().tokpace("run chit").expect(2, &[]).stderr, @r"
    error: no case matches `chit`
    hint: known cases: `chat`
    ");
}

#[test]
fn a_broken_scenario_fails_beside_a_good_one_that_runs() {
    let project = Project::new().with("scenarios/broken.toml", "[workload]\n");
    let output = project.perf("");
    output.expect(101, &["test broken ... FAILED", "test chat   ... ok", "error: ", "1 passed; 1 failed"]);
    // The command line refuses the broken file, unless it is not meant.
    project.tokpace("run").expect(2, &["scenarios/broken.toml"]).without("chat ...");
    project.tokpace("run chat").expect(0, &["chat ... missing"]);
}

#[test]
fn a_corrupt_baseline_is_no_pass() {
    let project = Project::new().with("baselines/embedded/chat.toml", "version = 1\ncase = \"chat\"\njobs = 3\n");
    let output = project.tokpace("run");
    output.expect(3, &["chat ... invalid", "baselines/embedded/chat.toml` cannot be used: line 3", "hint: "]);
    assert!(!project.exists("baselines/embedded/chat.toml.new"), "nothing was compared");
    project.perf("").expect(101, &["baselines/embedded/chat.toml"]);
}

#[test]
fn a_baseline_of_another_plan_decides_nothing() {
    let project = Project::new();
    project.tokpace("run").expect(0, &["chat ... missing"]);
    project.tokpace("accept --all").expect(0, &["first baseline"]);
    project.write("scenarios/chat.toml", &SCENARIO.replace("input_tokens = 16", "input_tokens = 20"));
    let output = project.tokpace("run");
    output.expect(0, &["chat ... inconclusive", "not comparable: the plan (scenario, seed or corpus has changed) was"]);
    output.expect(0, &["make this the baseline: `cargo tokpace accept chat"]);
    // What the hint says can be done.
    project.tokpace("accept chat --reason longer").expect(0, &["new epoch, 1 job", "conditions changed (plan)"]);
    project.tokpace("run").expect(0, &["chat ... pass"]);
}

#[test]
fn a_percentile_that_so_few_requests_cannot_show() {
    let scenario = SCENARIO.replace("\"tpot.p50\" = \"<= baseline + 15%\"", "\"ttft.p99\" = \"<= 2s\"");
    let project = Project::new().with("scenarios/chat.toml", &scenario);
    let needed = "10 requests a trial cannot show this quantile; it needs 500";
    project.tokpace("run").expect(0, &["chat ... unresolved", needed]);
    project.write("scenarios/chat.toml", &format!("{scenario}on_inconclusive = \"fail\"\n"));
    project.tokpace("run").expect(1, &["chat ... unresolved", needed, "`on_inconclusive = \"fail\"`"]);
    // Beyond its limit it fails all the same: more requests would not mend that.
    project.write("scenarios/chat.toml", &scenario.replace("<= 2s", "<= 1ms"));
    project.tokpace("run").expect(1, &["chat ... exceeded", "a fixed limit is missed", "scenarios/chat.toml:17"]);
}

#[test]
fn flags_that_are_none() {
    let project = Project::new();
    project.tokpace("run --profil embedded").expect(2, &["--profile"]);
    project.tokpace("run --update=perhaps").expect(2, &["invalid value for `--update`: `perhaps`", "use `auto`"]);
    project.tokpace("frobnicate").expect(2, &["unrecognized subcommand"]);
    project.tokpace("").expect(2, &["Usage"]);
    project.tokpace("--version").expect(0, &["tokpace 0."]);
    project.perf("--profil embedded").expect(101, &["--profile"]);
}
