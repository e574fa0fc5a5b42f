//! Servers that cannot be measured: what is wrong is said, nothing passes, and the exit code is 3.

use std::net::SocketAddr;

use tokpace::profile::{Embedded, Fault, FaultKind, TtftCost};
use tokpace::sim::{Server, ServerOptions};
use tokpace::units::{Share, Time};

use crate::support::{Output, Project, SCENARIO, nobody, respond, serve};

const MODEL: &str = "model = \"tokpace-sim\"";

fn quick() -> Embedded {
    Embedded {
        ttft: TtftCost { base: Time::from_millis(5), per_input_token: Time(10_000) },
        itl: Time::from_millis(3),
        ..Embedded::default()
    }
}

fn server(fault: Option<FaultKind>, api_key: Option<&str>) -> Server {
    let fault = fault.map(|kind| Fault { kind, rate: Share(1.0) });
    let options = ServerOptions { api_key: api_key.map(str::to_owned), ..ServerOptions::default() };
    Server::start(Embedded { fault, ..quick() }, options).unwrap()
}

/// Runs the scenario against `server`; it cannot be measured.
#[track_caller]
fn unmeasured(project: &Project, texts: &[&str]) -> Output {
    let output = project.tokpace("run");
    output.expect(3, &["chat ... invalid", "fails because the case could not be measured", "  hint: "]);
    output.expect(3, texts);
    assert!(!project.exists("baselines"), "nothing is stored of what was not measured");
    output
}

#[test]
fn nobody_answers() {
    let address = nobody();
    let place = format!("`{address}` does not answer: ");
    for keys in ["", MODEL] {
        let project = Project::against(address, keys);
        unmeasured(&project, &[&place, "refused", "check that the server runs"]);
        project.tokpace("check").expect(3, &[&place]);
        project.perf("").expect(101, &[&place]);
    }
}

#[test]
fn a_wrong_key_is_told_from_a_missing_one() {
    let server = server(None, Some("right-key"));
    let keys = "api_key_env = \"SERVER_KEY\"";
    for model in ["", MODEL] {
        let project =
            Project::against(server.addr(), &format!("{keys}\n{model}")).with_variable("SERVER_KEY", "not-the-key");
        let refused = "the server refused the key with status 401";
        unmeasured(&project, &[refused, "the API key is missing or wrong", "set `api_key_env` of the profile"]);
        let project = Project::against(server.addr(), &format!("{keys}\n{model}"));
        unmeasured(&project, &["profile `server` takes its key from `SERVER_KEY`, which is not set"]);
        let project = project.with_variable("SERVER_KEY", "right-key");
        project.tokpace("run").expect(0, &["chat ... missing"]);
        project.tokpace("check").expect(0, &["`tokpace-sim` is listed", "ok    usage"]);
    }
}

#[test]
fn a_model_that_the_server_does_not_have() {
    let server = server(None, None);
    let project = Project::against(server.addr(), "model = \"gpt-5\"");
    unmeasured(&project, &["the server does not know the model `gpt-5`", "set `model` of the profile"]);
    project.tokpace("check").expect(3, &["FAIL  model", "model `gpt-5` is not among the server's: tokpace-sim"]);
}

#[test]
fn a_server_that_does_not_stream() {
    let server = server(Some(FaultKind::NoStream), None);
    let project = Project::against(server.addr(), MODEL);
    unmeasured(&project, &["answered a stream request with one JSON body", "set `request.stream = false`"]);
    // What the hint says can be done.
    project.write(
        "scenarios/chat.toml",
        &SCENARIO.replace("tpot.p50", "e2e_latency.p50").replace("[gate]", "[request]\nstream = false\n\n[gate]"),
    );
    project.tokpace("run").expect(0, &["chat ... missing"]);
}

#[test]
fn every_request_fails() {
    for (kind, texts) in [
        (FaultKind::Error, ["status 500", "injected internal error"]),
        (FaultKind::RateLimit, ["status 429", "injected rate limit"]),
        (FaultKind::ErrorEvent, ["`error_event`", "injected error inside the stream"]),
        (FaultKind::Truncate, ["`truncated`", ""]),
        (FaultKind::Empty, ["`empty`", ""]),
        (FaultKind::Garbage, ["`parse`", ""]),
    ] {
        let server = server(Some(kind), None);
        unmeasured(&Project::against(server.addr(), MODEL), &texts);
    }
}

#[test]
fn requests_that_fail_later_fail_the_gate() {
    // The smoke request and the baseline are well; then two of ten requests fail.
    let project = Project::new();
    project.tokpace("run").expect(0, &["chat ... missing"]);
    project.tokpace("accept --all").expect(0, &["first baseline"]);
    let fault = |rate: &str| format!("run --set fault.kind=error --set fault.rate={rate}");
    let mut output = project.tokpace(&fault("20%"));
    for _ in 0..20 {
        // The smoke request is one of those that fail.
        if output.code != 3 {
            break;
        }
        output = project.tokpace(&fault("20%"));
    }
    output.expect(1, &["chat ... regressed", "error_rate chat +", "more than 5 % is a failure whatever the reference"]);
    let case = &project.json("target/tokpace/latest/run.json")["cases"][0];
    assert!(case["failures"]["http_status"].as_u64().is_some_and(|failures| failures > 0), "{case}");
    let requests = project.lines("target/tokpace/latest/requests.jsonl");
    let failed = requests.iter().find(|line| line["error_class"] == "http_status").unwrap();
    assert!(failed["error"].as_str().unwrap().contains("injected internal error"), "{failed}");
    assert_eq!((&failed["status"], &failed["ttft_ns"]), (&500.into(), &serde_json::Value::Null));
}

/// What stands at the address is no inference server.
fn stranger(status: &'static str, kind: &'static str, body: &'static str) -> SocketAddr {
    serve(move |_, stream| respond(stream, status, kind, body))
}

#[test]
fn no_inference_server_at_all() {
    let page = stranger("200 OK", "text/html", "<!doctype html><title>Welcome</title>");
    unmeasured(&Project::against(page, MODEL), &["`parse`", "Welcome"]);
    unmeasured(&Project::against(page, ""), &["the server lists no models", "name one with `model`"]);
    let missing = stranger("404 Not Found", "text/html", "<h1>404</h1>");
    unmeasured(&Project::against(missing, MODEL), &["the server has no `/chat/completions`", "<h1>404</h1>"]);
    let gateway = stranger("502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>");
    unmeasured(&Project::against(gateway, MODEL), &["a chat request answered with status 502", "Bad Gateway"]);
}

#[test]
fn a_url_that_is_none() {
    let profile = |url: &str| format!("profile = \"s\"\n[profiles.s]\nkind = \"endpoint\"\nurl = \"{url}\"\n");
    let project = Project::new().with("tokpace.toml", &profile("localhost"));
    project.tokpace("run").expect(2, &["`profiles.s.url` is not a URL", "tokpace.toml:4:7", "hint: write"]);
    // What only the environment knows is found out when it is used.
    project.write("tokpace.toml", &profile("${PLACE}"));
    unmeasured(&project, &["profile `s`: ", "`PLACE`", "hint: "]);
    let project = project.with_variable("PLACE", "localhost");
    unmeasured(&project, &["profile `s`: `${PLACE}` is not an HTTP URL", "hint: write it as `http://host:port`"]);
}
