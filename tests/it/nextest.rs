//! The harness under the real `cargo nextest`: what it lists, what it runs, and what its processes leave behind.

use std::process::Stdio;

use crate::support::{Output, Project, SCENARIO, cargo, measuring, perf};

/// `cargo nextest …` on this package, with the scenarios and folders of `project`.
fn nextest(project: &Project, arguments: &str) -> Output {
    // It builds what it runs, with the same settings: then nothing is left to build.
    perf();
    let mut command = cargo();
    command.arg("nextest").args(arguments.split_whitespace());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--offline", "--color=never", "--profile=perf", "--test=perf"]);
    command.env("TOKPACE_SCENARIOS", project.path("scenarios")).env("TOKPACE_BASELINES", project.path("baselines"));
    command.env("TOKPACE_TARGET_DIR", project.path("target"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Output::of(command.spawn().unwrap())
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
