//! The harness under the real `cargo nextest`: what it lists, what it runs, and what its processes leave behind.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tokpace::baseline::parse_baseline;

use crate::support::{Output, Project, SCENARIO, cargo, measuring, perf, tokpace, wait_for};

/// `cargo nextest …` on this package, with the scenarios and folders of `project`.
fn nextest(project: &Project, arguments: &str) -> Output {
    Output::of(started(project, arguments))
}

fn started(project: &Project, arguments: &str) -> Child {
    // It builds what it runs, with the same settings: then nothing is left to build.
    perf();
    let mut command = cargo();
    command.arg("nextest").args(arguments.split_whitespace());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--offline", "--color=never", "--profile=perf", "--test=perf"]);
    command.env("TOKPACE_SCENARIOS", project.path("scenarios")).env("TOKPACE_BASELINES", project.path("baselines"));
    command.env("TOKPACE_TARGET_DIR", project.path("target")).envs(project.variables());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn installed() -> bool {
    let mut command = cargo();
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn nextest_lists_and_runs_cases_in_processes_of_their_own() {
    if !installed() {
        eprintln!("skipped: `cargo nextest` is not installed");
        return;
    }
    let project = Project::new().with("scenarios/other.toml", SCENARIO).with("scenarios/third.toml", SCENARIO);
    let listed = nextest(&project, "list");
    let cases: Vec<&str> = listed.expect(0, &[]).stdout.lines().map(str::trim).collect();
    assert!(["chat", "other", "third"].iter().all(|case| cases.iter().any(|line| line.ends_with(case))), "{listed}");
    assert!(!project.exists("target"), "listing leaves no trace");

    let _alone = measuring();
    let run = nextest(&project, "run chat other");
    run.expect(0, &["2 tests run: 2 passed, 1 skipped"]);
    // The processes of the run share a folder, and the last one leaves the whole.
    let cases = |file: &str| -> Vec<String> {
        let file = project.json(&format!("target/tokpace/latest/{file}"));
        file["cases"].as_array().unwrap().iter().map(|case| case["case"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(cases("run.json"), ["chat", "other"]);
    assert_eq!(cases("trials.json"), ["chat", "other"]);
    for file in ["plan.jsonl", "requests.jsonl", "report.md", "report.html", "summary.tsv", "log.txt"] {
        let text = project.read(&format!("target/tokpace/latest/{file}"));
        assert!(file == "log.txt" || (text.contains("chat") && text.contains("other")), "{file}: {text}");
    }
    for case in ["chat", "other"] {
        for part in ["report", "trials"] {
            assert!(project.exists(&format!("target/tokpace/latest/cases/{case}.{part}.json")), "{case} {part}");
        }
        assert!(project.exists(&format!("baselines/embedded/{case}.toml.new")));
    }
}

/// A project with two cases that have a baseline.
fn accepted() -> Project {
    // nextest runs the package of this repository, whose project file it reads.
    let project =
        Project::new().with("scenarios/other.toml", SCENARIO).with("tokpace.toml", include_str!("../../tokpace.toml"));
    project.tokpace("run").expect(0, &["chat ... missing", "other ... missing"]);
    project.tokpace("accept --all --reason first").expect(0, &["accepted other"]);
    project
}

/// Comparisons of both cases that share the false-alarm rate; error rates have their own.
const FAMILY: u64 = 2;

/// The values that a JSON object has under some keys.
fn figures(check: &Value) -> Vec<(&'static str, Option<f64>)> {
    ["ratio", "se", "p0", "pT", "detectable"].map(|key| (key, check[key].as_f64())).to_vec()
}

/// Judges the trials of the latest run once more, with the family of all scenario files, by the kernel alone; gives the
/// verdict and the figures that belong to each of the run's own.
fn judged_again(project: &Project) -> Vec<[Value; 2]> {
    let run = project.json("target/tokpace/latest/run.json");
    let trials = project.json("target/tokpace/latest/trials.json");
    let mut pairs = Vec::new();
    for case in run["cases"].as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let baseline = parse_baseline(&project.read(&format!("baselines/embedded/{name}.toml"))).unwrap();
        let jobs: Vec<Value> = baseline.jobs.iter().map(|job| json!({ "trials": job.trials })).collect();
        let measured = trials["cases"].as_array().unwrap().iter().find(|one| one["case"] == name).unwrap();
        let valid = measured["trials"].as_array().unwrap().iter().filter(|trial| trial["valid"] == true);
        let candidate: Vec<&Value> = valid.map(|trial| &trial["values"]).collect();
        // What SCENARIO compares: its own check, and the one that is always there.
        let suite = json!({
            "mode": "stored", "family": FAMILY,
            "cases": [{
                "case": name, "job_noise": 0.003, "jobs": jobs, "candidate": { "trials": candidate },
                "checks": [
                    { "metric": "tpot.p50", "better": "lower", "tolerance": 0.15 },
                    { "metric": "error_rate", "better": "lower", "tolerance": 0.005 },
                ],
            }],
        });
        project.write("suite.jsonl", &format!("{suite}\n"));
        let output = Output::of(project.spawn(tokpace(), "judge suite.jsonl"));
        let judged: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        for metric in ["tpot.p50", "error_rate"] {
            let of = |case: &Value| {
                case["checks"].as_array().unwrap().iter().find(|check| check["metric"] == metric).unwrap().clone()
            };
            pairs.push([of(case), of(&judged["cases"][0])]);
        }
    }
    pairs
}

#[test]
fn both_runners_judge_alike() {
    if !installed() {
        eprintln!("skipped: `cargo nextest` is not installed");
        return;
    }
    let mut project = accepted();
    for slower in [false, true] {
        if slower {
            project.also_with("TOKPACE_SET", "slowdown.decode=50%");
        }
        let verdict = if slower { "regressed" } else { "pass" };
        for under_nextest in [false, true] {
            let output = if under_nextest {
                let _alone = measuring();
                nextest(&project, "run --no-fail-fast")
            } else {
                project.perf("")
            };
            assert_eq!(output.code != 0, slower, "{output}");
            let again = judged_again(&project);
            assert_eq!(again.len(), 4);
            for [own, other] in again {
                assert_eq!(own["verdict"], other["verdict"], "nextest: {under_nextest}: {own} and {other}\n{output}");
                for ((key, one), (_, two)) in figures(&own).into_iter().zip(figures(&other)) {
                    let close = match (one, two) {
                        (Some(one), Some(two)) => (one - two).abs() <= 1e-9 * two.abs().max(1e-12),
                        (one, two) => one == two,
                    };
                    assert!(close, "{key}: {one:?} and {two:?} of {} (nextest: {under_nextest})", own["metric"]);
                }
                if own["metric"] == "tpot.p50" {
                    assert_eq!(own["verdict"], verdict, "{output}");
                }
            }
        }
    }
    // The last run failed under nextest: JUnit has the verdict with its figures.
    let junit = std::fs::read_to_string(target().join("nextest/perf/junit.xml")).unwrap();
    assert!(junit.contains("chat: REGRESSED on profile") && junit.contains("tolerance 15 %: REGRESSED"), "{junit}");
}

/// Cargo's target folder.
fn target() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

#[test]
fn pairs_under_nextest_say_that_they_were_judged_alone() {
    if !installed() {
        eprintln!("skipped: `cargo nextest` is not installed");
        return;
    }
    let compare = "[compare]\nreference = \"prefix-caching-off\"\ncandidate = \"prefix-caching-on\"\n";
    let project = Project::new().with("scenarios/chat.toml", &(SCENARIO.replace("baseline", "reference") + compare));
    let _alone = measuring();
    let output = nextest(&project, "run");
    assert!(project.read("target/tokpace/latest/report.md").contains("Bonferroni in place of Holm"), "{output}");
}

#[test]
fn two_shells_do_not_measure_at_once() {
    if !installed() {
        eprintln!("skipped: `cargo nextest` is not installed");
        return;
    }
    let long = SCENARIO.replace("requests = 10", "requests = 200");
    let project = Project::new().with("scenarios/chat.toml", &long);
    let _alone = measuring();
    let mut first = project.spawn(tokpace(), "run");
    wait_for("the first shell measures", || project.exists("target/tokpace/latest/log.txt"));
    let holder = first.id();
    let second = nextest(&project, "run --success-output immediate");
    let text = format!("{}{}", second.stdout, second.stderr);
    assert!(text.contains(&format!("waiting for another run to finish measuring (process {holder}")), "{second}");
    assert!(first.try_wait().unwrap().is_some(), "the second shell measured after the first one");
}
