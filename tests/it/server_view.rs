//! What is seen of the server while it is measured, and soak tests.

use serde_json::Value;

use crate::support::{PROJECT, Project, SCENARIO, tokpace};

const LATEST: &str = "target/tokpace/latest";

/// Two trials of about two seconds.
fn longer() -> String {
    SCENARIO.replace("requests = 10", "requests = 250").replace("min = 6\nmax = 6", "min = 2\nmax = 2")
}

fn view(project: &Project) -> Value {
    project.json(&format!("{LATEST}/run.json"))["cases"][0]["server"]["candidate"].clone()
}

#[test]
fn an_embedded_server_s_counters_are_read() {
    let project = Project::empty().with("tokpace.toml", PROJECT).with("scenarios/chat.toml", &longer());
    project.tokpace("run").expect(0, &["chat ... missing"]).without("preemption");
    let view = view(&project);
    assert!(view["samples"].as_u64().unwrap() >= 2 && view["gaps"] == 0, "{view}");
    let running = &view["running"];
    assert!(running["max"].as_f64().unwrap() >= 1.0 && running["max"].as_f64().unwrap() <= 2.0, "{view}");
    let trials = project.json(&format!("{LATEST}/trials.json"))["cases"][0]["trials"].clone();
    let valid = trials.as_array().unwrap().iter().filter(|trial| trial["valid"] == true);
    let valid: Vec<&Value> = valid.collect();
    assert!(valid.iter().all(|trial| trial["server"]["generation_tokens"] == 1250.0), "{trials}");
    assert_eq!(view["generation_tokens"], 1250.0 * valid.len() as f64);
    assert!(view["rss_bytes"].is_null(), "this process is the server's too: {view}");
    let looks = project.lines(&format!("{LATEST}/server.jsonl"));
    let during: Vec<&Value> = looks.iter().filter(|line| line["moment"] == "during").collect();
    assert!(during.iter().all(|line| line["case"] == "chat" && line["t_s"].as_f64().unwrap() >= 0.5), "{during:?}");
    let report = project.read(&format!("{LATEST}/report.md"));
    assert!(report.contains("## The server's own view") && report.contains("| `chat` | "), "{report}");
}

#[cfg(target_os = "linux")]
mod managed {
    use super::*;

    /// A project that measures a server of its own. `scenario` is its only one.
    fn project(command: &[&str], scenario: &str) -> Project {
        let file = format!(
            "profile = \"local\"\n[profiles.embedded]\nkind = \"embedded\"\nttft = {{ base = \"2ms\" }}\n\
             [profiles.local]\nkind = \"managed\"\nmodel = \"m\"\ncommand = {command:?}\n"
        );
        Project::empty().with("tokpace.toml", &file).with("scenarios/chat.toml", scenario)
    }

    #[test]
    fn a_managed_server_s_processes_are_watched() {
        // The shell stays the first of the group, so that there are two.
        let text = "\"$1\" sim --port \"$0\"; true";
        let project =
            project(&["sh", "-c", text, "{port}", tokpace().to_str().unwrap()], &longer()).with_variable("X", "");
        let sim = project.read("tokpace.toml").replace("model = \"m\"\n", "");
        project.write("tokpace.toml", &sim);
        project.tokpace("run").expect(0, &["chat ... missing"]);
        let view = view(&project);
        let peak = view["rss_bytes"]["max"].as_f64().unwrap();
        assert!((1e6..1e9).contains(&peak), "{view}");
        let cores = view["cpu_cores"]["mean"].as_f64().unwrap();
        assert!(cores > 0.0 && cores < 64.0, "{view}");
        assert_eq!(view["generation_tokens"], 2500.0, "{view}");
        let looks = project.lines(&format!("{LATEST}/server.jsonl"));
        assert!(looks.iter().all(|line| line["values"]["processes"] == 2), "{looks:?}");
    }

    /// A server that answers each request with five tokens, and keeps `$2` KiB of memory for each if it is to leak.
    const SERVER: &str = r#"
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

leak, kept = int(sys.argv[2]) * 1024, []

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        body = b'{"data": [{"id": "m"}]}'
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if leak:
            kept.append(b"x" * leak)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for token in range(5):
            time.sleep(0.01)
            event = {"choices": [{"index": 0, "delta": {"content": "a "}, "finish_reason": None}]}
            self.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
        usage = {"prompt_tokens": 16, "completion_tokens": 5, "total_tokens": 21}
        self.chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

    const SOAK: &str = "[workload]\ninput_tokens = 16\noutput_tokens = 5\n[load]\nconcurrency = 2\nduration = \"20s\"\n\
                        [soak]\nrss_growth = \"20MiB/min\"\n";

    fn soak(leak: &str) -> Project {
        // The interpreter itself, which no version manager has to find in another home.
        let found = std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = String::from_utf8(found.expect("these tests need python3").stdout).unwrap();
        project(&[python.trim(), "server.py", "{port}", leak], SOAK).with("server.py", SERVER)
    }

    #[test]
    fn a_server_that_leaks_fails_its_soak_test() {
        let project = soak("64");
        let output = project.tokpace("run");
        output.expect(1, &["chat ... exceeded", "fails because the server leaks memory", "rss_growth"]);
        output.expect(1, &["the server's memory grew by ", " MiB a minute, ", " KiB a request", "<= 20MiB/min"]);
        let growth = project.json(&format!("{LATEST}/run.json"))["cases"][0]["server"]["growth"].clone();
        let each = growth["per_request_kib"].as_f64().unwrap();
        assert!((55.0..80.0).contains(&each), "64 KiB a request: {growth}");
        let of = |key: &str, at: usize| growth[key][at].as_f64().unwrap();
        assert!(
            of("per_minute_mib_ci", 0) > 20.0 && of("per_minute_mib_ci", 0) < of("per_minute_mib_ci", 1),
            "{growth}"
        );
        assert!(project.read(&format!("{LATEST}/report.md")).contains("KiB a request"));
        assert!(!project.exists("baselines"), "there is nothing to compare with later");
    }

    #[test]
    fn a_server_whose_memory_stays_passes() {
        let project = soak("0");
        let output = project.tokpace("run");
        output.expect(0, &["chat ... pass", "rss_growth"]).without("leaks");
        let run = project.json(&format!("{LATEST}/run.json"));
        assert_eq!(run["cases"][0]["server"]["growth"]["verdict"], "pass", "{run}");
        assert!(run["cases"][0]["server"]["candidate"]["running"].is_null(), "it has no counters: {run}");
        assert!(!project.exists("baselines"), "there is nothing to compare with later");
    }
}

#[test]
fn a_soak_test_needs_the_server_s_memory() {
    let scenario = format!("{}[soak]\n", SCENARIO.split("[trials]").next().unwrap());
    let project = Project::empty().with("tokpace.toml", PROJECT).with("scenarios/chat.toml", &scenario);
    let output = project.tokpace("run");
    output.expect(0, &["chat ... unresolved", "the server's memory is not known", "does not fail the build"]);
    project.write("scenarios/chat.toml", &format!("{scenario}[gate]\non_inconclusive = \"fail\"\n"));
    project.tokpace("run").expect(1, &["chat ... unresolved"]);
}

#[test]
fn the_example_is_a_scenario() {
    let text = include_str!("../../examples/soak/scenarios/soak.toml");
    let cases = tokpace::scenario::load("soak", "scenarios/soak.toml", text).unwrap();
    assert!(cases[0].soak.is_some() && cases[0].trials.range(false) == (1, 1));
}
