//! Runs that are ended from outside, and runs that meet.

use std::process::{Child, Command};

use crate::support::{Output, Project, SCENARIO, measuring, perf, tokpace, wait_for};

/// Trials for half a minute.
fn long() -> Project {
    let scenario = SCENARIO.replace("min = 6\nmax = 6", "min = 200\nmax = 200");
    Project::new().with("scenarios/chat.toml", &scenario).with("scenarios/later.toml", SCENARIO)
}

/// Waits until some trials were measured.
fn wait_for_trials(project: &Project) {
    wait_for("some trials", || {
        let file = project.path("target/tokpace/latest/requests.jsonl");
        std::fs::read_to_string(file).is_ok_and(|text| text.lines().count() > 30)
    });
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// What was measured is there, whole, and marked as interrupted.
#[track_caller]
fn assert_kept(project: &Project) {
    let run = project.json("target/tokpace/latest/run.json");
    assert_eq!(run["run"]["interrupted"], true, "{run}");
    let case = &run["cases"][0];
    assert_eq!((&case["case"], &case["verdict"]), (&"chat".into(), &"invalid".into()));
    assert!(case["text"].as_str().unwrap().contains("interrupted after "), "{case}");
    let requests = project.lines("target/tokpace/latest/requests.jsonl");
    assert!(requests.len() > 30, "{}", requests.len());
    let trials = project.json("target/tokpace/latest/trials.json");
    let trials = trials["cases"][0]["trials"].as_array().unwrap();
    assert!((2..200).contains(&trials.len()), "{}", trials.len());
    assert!(!project.exists("baselines"), "an interrupted run is nothing to accept");
}

#[test]
fn an_interrupt_keeps_what_was_measured() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let _alone = measuring();
        let project = long();
        let child = project.spawn(tokpace(), "run");
        wait_for_trials(&project);
        signal(name, &child);
        let output = Output::of(child);
        output.expect(code, &["chat ... invalid", "results: target/tokpace/"]).without("later ...");
        assert_kept(&project);
    }
}

#[test]
fn the_harness_fails_when_it_is_interrupted() {
    let _alone = measuring();
    let project = long();
    let child = project.spawn(perf(), "");
    wait_for_trials(&project);
    signal("-INT", &child);
    let output = Output::of(child);
    output.expect(101, &["test chat  ... FAILED", "test later ... FAILED", "interrupted after "]);
    assert_kept(&project);
}

#[test]
fn an_answer_that_never_ends_does_not_hold_an_interrupt_up() {
    let _alone = measuring();
    let project = Project::new();
    let child = project.spawn(tokpace(), "run --set fault.kind=stall --set fault.rate=30%");
    wait_for("a stall", || project.exists("target/tokpace/latest/log.txt"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal("-INT", &child);
    let start = std::time::Instant::now();
    assert_eq!(Output::of(child).code, 130);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_second_run_waits_for_the_first() {
    let _alone = measuring();
    let project = long();
    let first = project.spawn(tokpace(), "run chat");
    wait_for_trials(&project);
    let second = project.spawn(tokpace(), "run later --quick --out second");
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(!project.exists("second/requests.jsonl"), "nothing is sent while another run measures");
    signal("-INT", &first);
    let id = first.id();
    Output::of(first).expect(130, &[]);
    let waiting =
        format!("tokpace: waiting for another run to finish measuring (process {id}, `target/tokpace/measure");
    let second = Output::of(second);
    second.expect(0, &["later ... missing"]);
    assert!(second.stderr.starts_with(&waiting), "{second}");
    assert_eq!(second.stderr.lines().count(), 1, "{second}");
}

#[test]
fn a_run_that_waits_can_be_interrupted() {
    let _alone = measuring();
    let project = long();
    let first = project.spawn(tokpace(), "run chat");
    wait_for_trials(&project);
    let second = project.spawn(tokpace(), "run later --out second");
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal("-INT", &second);
    Output::of(second).expect(130, &["interrupted before the case was measured"]);
    signal("-INT", &first);
    Output::of(first).expect(130, &[]);
}
