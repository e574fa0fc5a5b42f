//! Servers that the run starts: measured, and gone afterwards, however the run ends.

#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::{Output, Project, SCENARIO, measuring, perf, tokpace, wait_for};

/// Settings of a simulated server that answers as quickly as that of other tests.
const SETTINGS: &str = r#"[profiles.embedded]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "10us" }
itl = "3ms"
jitter = "0%"
"#;

/// A project whose profile `local` starts `command`, with further `keys`.
fn project(command: &str, keys: &str) -> Project {
    let file = format!("profile = \"local\"\n{SETTINGS}\n[profiles.local]\nkind = \"managed\"\n{command}\n{keys}\n");
    Project::new().with("tokpace.toml", &file)
}

/// A line for the project file that starts the simulated server.
fn sim(more: &str) -> String {
    format!("command = [{:?}, \"sim\", \"--port\", \"{{port}}\"{more}]", tokpace().to_str().unwrap())
}

/// A line for the project file that starts a shell script. `$0` is the port, `$1` the program `cargo tokpace`.
fn script(text: &str) -> String {
    format!("command = [\"sh\", \"-c\", {text:?}, \"{{port}}\", {:?}]", tokpace().to_str().unwrap())
}

/// Processes that were started for the project: their folder is the project's.
fn processes(project: &Project) -> Vec<String> {
    let root = std::fs::canonicalize(project.root()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let folder = entry.path();
        if std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&root)) {
            let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

#[track_caller]
fn assert_nothing_left(project: &Project) {
    wait_for("the end of every process of the run", || processes(project).is_empty());
}

/// The process of the managed server.
fn server(project: &Project) -> Option<u32> {
    let root = std::fs::canonicalize(project.root()).unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut of_project =
        entries.filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == root));
    let found = of_project.find(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').nth(1) == Some("sim")
    });
    found?.file_name().to_str()?.parse().ok()
}

fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args([name, &id.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Trials for half a minute.
fn long(command: &str, keys: &str) -> Project {
    project(command, keys).with("scenarios/chat.toml", &SCENARIO.replace("min = 6\nmax = 6", "min = 200\nmax = 200"))
}

fn requests(project: &Project) -> usize {
    let file = project.path("target/tokpace/latest/requests.jsonl");
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn start(project: &Project, program: &Path) -> Child {
    let child = project.spawn(program, if program == tokpace() { "run" } else { "" });
    wait_for("some trials", || requests(project) > 30);
    child
}

#[test]
fn a_managed_server_is_measured_and_stopped() {
    let project = project(&sim(""), "");
    for (program, output) in [(tokpace(), project.tokpace("run")), (perf(), project.perf(""))] {
        output.expect(0, &["1 MISSING (chat)"]);
        assert!(processes(&project).is_empty(), "{}: {:?}", program.display(), processes(&project));
    }
    let log = project.read("target/tokpace/latest/server-local.log");
    assert!(log.starts_with("--- start 1 on port "), "{log}");
    assert!(log.contains("\nserving `tokpace-sim` at http://127.0.0.1:"), "{log}");
    assert!(log.contains("\nserved "), "it was asked to end, not killed: {log}");
    let run = project.json("target/tokpace/latest/run.json");
    assert_eq!(run["run"]["target"], "managed");
    let command = run["cases"][0]["subject"]["server.command"].as_str().unwrap();
    assert!(command.ends_with(" sim --port {port}"), "{command}");
    let machine = run["cases"][0]["conditions"]["server.machine"].as_str().unwrap();
    assert!(machine.contains(" GiB"), "{machine}");
    project.tokpace("check").expect(0, &["ok    stream", "ok    counters 0 requests run, 0 wait"]);
    assert!(processes(&project).is_empty());
}

#[test]
fn a_server_whose_cache_can_be_emptied_is_asked_to() {
    // The simulated server has no such path, which is as well.
    let project = project(&sim(""), "preset = \"vllm\"\nready_path = \"/v1/models\"");
    project.tokpace("run").expect(0, &["1 MISSING (chat)"]);
    let subject = &project.json("target/tokpace/latest/run.json")["cases"][0]["subject"];
    assert_eq!(subject["server.name"], "vllm");
}

#[test]
fn a_server_that_was_changed_is_named_beside_the_verdict() {
    let project = project(&sim(""), "");
    project.tokpace("run").expect(0, &["1 MISSING (chat)"]);
    project.tokpace("accept --all").expect(0, &["first baseline"]);
    // Slow enough to regress, so that the verdict is told at all.
    let output = project.tokpace("run --set args=[\"--set\",\"itl=6ms\"]");
    output.expect(1, &["chat ... regressed", "the server has changed since the baseline: `server.command` was `"]);
    output.expect(1, &["--set itl=6ms`"]);
}

#[test]
fn a_server_that_exits_at_once() {
    let text = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); done; echo 'no such   model' >&2; exit 3";
    let project = project(&script(text), "");
    let output = project.tokpace("run");
    output.expect(3, &["chat ... invalid", "the server exited with status 3 before it was ready"]);
    output.expect(3, &["| no such   model", "| line 29", "its whole log is `target/tokpace/", "server-local.log`"]);
    output.without("line 9\n").without("line 10");
    assert!(output.stdout.contains("| no such   model\n"), "a log's lines stay as they are\n{output}");
    project.perf("").expect(101, &["exited with status 3"]);
    assert_nothing_left(&project);
}

#[test]
fn a_server_that_is_never_ready() {
    let project = project(&script("echo loading; sleep 600"), "ready_timeout = \"1s\"");
    let output = project.tokpace("run");
    output.expect(3, &["the server was not ready after 1s: failed to connect: ", "| loading", "raise `ready_timeout`"]);
    assert_nothing_left(&project);
    let project = self::project(&sim(""), "ready_timeout = \"1s\"\nready_path = \"/nowhere\"");
    let project = project.with("scenarios/later.toml", SCENARIO);
    project.tokpace("run").expect(3, &["not ready after 1s: it answered with status 404", "check `ready_path`"]);
    let log = project.read("target/tokpace/latest/server-local.log");
    assert_eq!(log.matches("--- start ").count(), 1, "nobody waits again for what was not ready: {log}");
    assert_nothing_left(&project);
}

#[test]
fn a_program_that_is_not_there() {
    let project = project("command = [\"./no-such-server\", \"{port}\"]", "");
    let output = project.tokpace("run");
    output.expect(3, &["failed to start `./no-such-server`: No such file", "check `command` and `cwd` of the profile"]);
    assert_nothing_left(&project);
}

#[test]
fn a_stranger_is_never_measured() {
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = stranger.local_addr().unwrap().port();
    let project = project(&sim(""), &format!("port = {port}"));
    let output = project.tokpace("run");
    output.expect(3, &[&format!("something already answers on port {port}"), "leave `port` out"]);
    assert!(!project.exists("target/tokpace/latest/server-local.log"), "nothing was started");
    drop(stranger);
    project.tokpace("run").expect(0, &["chat ... missing"]);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn a_killed_run_leaves_no_server() {
    for program in [tokpace(), perf()] {
        let _alone = measuring();
        let project = long(&sim(""), "");
        let mut run = start(&project, program);
        assert_eq!(processes(&project).len(), 3, "{:?}", processes(&project));
        run.kill().unwrap();
        run.wait().unwrap();
        assert_nothing_left(&project);
    }
}

#[test]
fn a_signal_ends_run_and_server() {
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let _alone = measuring();
        let project = long(&sim(""), "");
        let run = start(&project, tokpace());
        signal(name, run.id());
        Output::of(run).expect(code, &["interrupted after "]);
        assert!(processes(&project).is_empty(), "{:?}", processes(&project));
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_server() {
    let _alone = measuring();
    let project = project(&script("echo loading; sleep 600"), "");
    let run = project.spawn(tokpace(), "run");
    wait_for("the server", || {
        project.exists("target/tokpace/latest/server-local.log") && processes(&project).len() > 2
    });
    signal("-TERM", run.id());
    Output::of(run).expect(143, &["interrupted before the case was measured"]);
    assert_nothing_left(&project);
}

#[test]
fn a_server_that_does_not_listen_to_signals_is_killed_with_all_its_children() {
    // The shell's child goes on when the shell has been killed, unless it is killed as well.
    let text = "trap '' TERM; sleep 600 & \"$1\" sim --port \"$0\"; wait";
    let project = project(&script(text), "stop_timeout = \"1s\"");
    let begin = Instant::now();
    project.tokpace("run").expect(0, &["chat ... missing"]);
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert!(processes(&project).is_empty(), "{:?}", processes(&project));
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_trial() {
    let _alone = measuring();
    let project = long(&sim(""), "").with("scenarios/later.toml", SCENARIO);
    let run = start(&project, tokpace());
    signal("-KILL", server(&project).unwrap());
    let output = Output::of(run);
    output.expect(3, &["chat ... invalid", "the server ended with signal 9 (SIGKILL) while it was measured"]);
    output.expect(3, &["| serving `tokpace-sim` at", "memory ran out"]);
    assert!(processes(&project).is_empty(), "{:?}", processes(&project));
    // The next case has a server of its own, and what was measured before is kept.
    output.expect(3, &["later ... missing"]);
    assert!(project.read("target/tokpace/latest/server-local.log").contains("\n--- start 2 on port "));
    let trials = project.json("target/tokpace/latest/trials.json");
    assert!(trials["cases"][0]["trials"].as_array().unwrap().len() > 1, "{trials}");
    assert!(requests(&project) > 30);
}

#[test]
fn what_a_server_prints_hides_secrets() {
    let text = "echo \"key $SERVER_PASS and $1\"; exec \"$2\" sim --port \"$0\"";
    let command = format!("command = [\"sh\", \"-c\", {text:?}, \"{{port}}\", \"${{OTHER}}\", {:?}]", tokpace());
    let project = project(&command, "env = { SERVER_PASS = \"c0ffee-${OTHER}\" }\napi_key_env = \"THIRD\"")
        .with_variable("OTHER", "c0ffee-5ecret")
        .with_variable("THIRD", "c0ffee-third");
    let output = project.tokpace("run");
    output.expect(0, &["chat ... missing"]).without("c0ffee");
    assert!(project.read("target/tokpace/latest/server-local.log").contains("key "));
    for (path, bytes) in project.files().iter().filter(|(path, _)| !path.ends_with("tokpace.toml")) {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("5ecret") && !text.contains("c0ffee-third"), "{}:\n{text}", path.display());
    }
}

/// Two variants that differ in nothing.
const VARIANTS: &str = "[profiles.local.variants.a]\n[profiles.local.variants.b]\n";

const COMPARED: &str = "[compare]\nreference = \"a\"\ncandidate = \"b\"\n";

fn starts(project: &Project, side: &str) -> usize {
    project.read(&format!("target/tokpace/latest/server-local-{side}.log")).matches("--- start ").count()
}

#[test]
fn a_server_that_starts_quickly_is_started_anew_for_each_pair() {
    let scenario = format!("{}{COMPARED}", SCENARIO.replace("baseline + 15%", "1.15 * reference"));
    let project = project(&sim(""), VARIANTS).with("scenarios/chat.toml", &scenario);
    let output = project.tokpace("run");
    assert!(output.code == 0, "{output}");
    output.without("server start-to-start variation not measured").without("up in turn");
    assert!(starts(&project, "a-reference") >= 6 && starts(&project, "b") >= 6, "{output}");
    assert!(processes(&project).is_empty());
}

#[test]
fn a_server_that_starts_slowly_is_started_anew_before_some_rounds() {
    let scenario = format!("{}{COMPARED}", SCENARIO.replace("baseline + 15%", "1.15 * reference"));
    let project = project(&script("sleep 5.2; exec \"$1\" sim --port \"$0\""), &format!("starts = 2\n{VARIANTS}"))
        .with("scenarios/chat.toml", &scenario)
        .with("scenarios/more.toml", &scenario);
    let output = project.tokpace("run");
    assert!(output.code == 0, "{output}");
    output.without("server start-to-start variation not measured");
    // For both cases together, and more only if trials had to be repeated.
    let found = [starts(&project, "a-reference"), starts(&project, "b")];
    assert!(found.iter().all(|starts| (2..=4).contains(starts)), "{found:?} starts\n{output}");
    assert!(processes(&project).is_empty());
}

#[test]
fn exclusive_sides_are_up_in_turn() {
    let scenario = format!("{}{COMPARED}", SCENARIO.replace("baseline + 15%", "1.15 * reference"));
    // A port that both want: they would be in each other's way.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let project = project(&sim(""), &format!("exclusive = true\nport = {port}\n{VARIANTS}"))
        .with("scenarios/chat.toml", &scenario)
        .with("scenarios/more.toml", &scenario);
    let output = project.tokpace("run");
    assert!(output.code == 0, "{output}");
    output.expect(0, &["the sides were up in turn, never both"]);
    assert!(starts(&project, "a-reference") >= 6 && starts(&project, "b") >= 6);
    // One start a block, not one a trial of each of the two cases.
    let trials = project.json("target/tokpace/latest/trials.json");
    let cases = trials["cases"].as_array().unwrap();
    let taken: usize = cases.iter().map(|case| case["trials"].as_array().unwrap().len()).sum();
    assert!(starts(&project, "a-reference") < taken / 2, "{taken} trials, {} starts", starts(&project, "a-reference"));
    assert!(processes(&project).is_empty());
}

#[test]
fn a_recording_has_a_server_a_job() {
    let project = project(&sim(""), "");
    let output = project.tokpace("run --record 2");
    output.expect(0, &["(job 1 of 2)", "(job 2 of 2)"]);
    let log = project.read("target/tokpace/latest/server-local.log");
    assert_eq!(log.matches("\nserving ").count(), 2, "{log}");
    assert!(processes(&project).is_empty());
}

#[test]
fn a_server_is_up_for_as_long_as_a_program_runs() {
    let _alone = measuring();
    let project = project(&sim(""), "");
    let mut command = project.command(tokpace());
    let run = format!("{0} run && {0} run --out second && exit 7", tokpace().display());
    command.args(["up", "--", "sh", "-c", &run]);
    let output = Output::of(command.spawn().unwrap());
    output.expect(7, &["profile `local` is up at http://127.0.0.1:", "chat ... missing"]);
    let log = project.read("target/tokpace/check/server-local.log");
    assert_eq!(log.matches("\nserving ").count(), 1, "{log}");
    assert!(!project.exists("second/server-local.log"), "both runs measured the server that was up");
    assert!(project.read("second/run.json").contains("\"target\": \"managed\""));
    assert!(processes(&project).is_empty());
    let output = Output::of(project.spawn(tokpace(), "up --profile embedded -- true"));
    output.expect(2, &["profile `embedded` has no server to start"]);
}
