//! `cargo tokpace check`: each thing that can be wrong with a target ends in a sentence and in what to change.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Output, Project, SCENARIO, nobody, respond, serve};

const MODEL: &str = "model = \"m\"";

/// What the scripted server is like.
#[derive(Clone, Copy)]
struct Server {
    /// Its list of models; `None` if it has none.
    models: Option<&'static [&'static str]>,
    /// The key that it asks for when it is to answer, but not when it lists its models.
    key: Option<&'static str>,
    streams: bool,
    /// Tokens that it counts for each word; `None` if it tells no counts.
    per_word: Option<usize>,
    /// Text of its counters.
    metrics: Option<&'static str>,
}

const WELL: Server = Server {
    models: Some(&["m"]),
    key: None,
    streams: true,
    per_word: Some(1),
    metrics: Some("vllm:num_requests_running 0\nvllm:prefix_cache_queries_total 8\nvllm:prefix_cache_hits_total 2\n"),
};

impl Server {
    fn start(self) -> SocketAddr {
        serve(move |request, stream| {
            let (status, kind, body) = self.answer(request);
            respond(stream, status, kind, &body);
        })
    }

    fn answer(self, request: &str) -> (&'static str, &'static str, String) {
        const MISSING: (&str, &str) = ("404 Not Found", "application/json");
        let path = request.split(' ').nth(1).unwrap();
        match (path, self.models, self.metrics) {
            ("/v1/models", Some(models), _) => {
                let data: Vec<Value> = models.iter().map(|id| json!({ "id": id, "owned_by": "somebody" })).collect();
                return ("200 OK", "application/json", json!({ "data": data }).to_string());
            }
            ("/metrics", _, Some(text)) => return ("200 OK", "text/plain", text.to_owned()),
            ("/v1/chat/completions", ..) => {}
            _ => return (MISSING.0, MISSING.1, json!({ "error": { "message": "no such path" } }).to_string()),
        }
        if self.key.is_some_and(|key| !request.contains(&format!("authorization: Bearer {key}\r\n"))) {
            let body = json!({ "error": { "message": "who are you?" } });
            return ("401 Unauthorized", "application/json", body.to_string());
        }
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        let words = body["messages"][0]["content"].as_str().unwrap().split(' ').count();
        let usage = self.per_word.map(|tokens| json!({ "prompt_tokens": 9 + words * tokens, "completion_tokens": 4 }));
        if body["stream"] != true || !self.streams {
            let choice = json!({ "message": { "content": "and the garden of" }, "finish_reason": "length" });
            return ("200 OK", "application/json", json!({ "choices": [choice], "usage": usage }).to_string());
        }
        let words =
            ["and", " the", " garden", " of"].map(|word| json!({ "choices": [{ "delta": { "content": word } }] }));
        let last = json!({ "choices": [], "usage": usage });
        let events: Vec<String> = words.iter().chain([&last]).map(|event| format!("data: {event}\n\n")).collect();
        ("200 OK", "text/event-stream", events.concat() + "data: [DONE]\n\n")
    }

    fn check(self, keys: &str) -> Output {
        Project::against(self.start(), keys).tokpace("check")
    }
}

#[test]
fn a_target_that_is_fit() {
    let output = WELL.check(MODEL);
    output.expect(0, &["-- auth no key is set", "ok model `m` is listed", "ok stream 4 tokens in 4 events"]);
    output.expect(0, &["ok tokens a prompt of 256 tokens has 256", "ok counters 0 requests run, tells hits"]);
    output.without("hint: ").without("FAIL");
    // What a chat template adds to every prompt is no difference.
    output.expect(0, &["ok usage 14 prompt and 4 answer tokens"]);
}

#[test]
fn a_wrong_url() {
    let project = Project::against(nobody(), MODEL);
    project.tokpace("check").expect(3, &["FAIL reach", "does not answer", "hint: check that the server runs", "`url`"]);
    let address = WELL.start();
    let wrong = Project::against(address, MODEL);
    wrong.write("tokpace.toml", &wrong.read("tokpace.toml").replace(&format!("{address}"), &format!("{address}/api")));
    let output = wrong.tokpace("check");
    output.expect(3, &["FAIL reach the server has no `/chat/completions`", "hint: check `url` of the profile"]);
    output.without("stream");
    let page = serve(|_, stream| respond(stream, "200 OK", "text/html", "<!doctype html><title>Welcome</title>"));
    let output = Project::against(page, MODEL).tokpace("check");
    output.expect(3, &["FAIL stream a smoke request failed with `parse`", "Welcome", "hint: check that `url`"]);
}

#[test]
fn a_key_that_is_asked_for_only_with_a_prompt() {
    let server = Server { key: Some("right-key"), ..WELL };
    let output = server.check(MODEL);
    output.expect(3, &["ok reach", "FAIL auth the server asks for a key with status 401: who are you?"]);
    output.expect(3, &["hint: set `api_key_env` of the profile"]).without("model ").without("stream");
    let project = Project::against(server.start(), "model = \"m\"\napi_key_env = \"SERVER_KEY\"");
    let wrong = project.with_variable("SERVER_KEY", "wrong-key");
    let output = wrong.tokpace("check");
    output.expect(3, &["FAIL auth the server refused the key with status 401", "a valid key"]).without("wrong-key");
    let output = wrong.with_variable("SERVER_KEY", "right-key").tokpace("check");
    output.expect(0, &["ok auth the server takes the key"]).without("right-key");
}

#[test]
fn a_model_that_nobody_objects_to() {
    let server = Server { models: Some(&["a", "b"]), ..WELL };
    let output = server.check(MODEL);
    output.expect(3, &["FAIL model model `m` is not among the server's: a, b; it did not object"]);
    output.expect(3, &["hint: set `model` of the profile to one of them", "ok stream"]);
    let output = Server { models: None, ..WELL }.check(MODEL);
    output.expect(0, &["-- model the server lists none; it is asked for `m`"]);
}

#[test]
fn a_server_that_ignores_stream() {
    let server = Server { streams: false, ..WELL };
    let output = server.check(MODEL);
    output.expect(3, &["FAIL stream the server answered a stream request with one JSON body"]);
    output.expect(3, &["hint: ", "set `request.stream = false`", "ok model", "ok counters"]);
    // Where no scenario asks for a stream, there is nothing wrong.
    let project = Project::against(server.start(), MODEL);
    let whole =
        SCENARIO.replace("tpot.p50", "e2e_latency.p50").replace("[gate]", "[request]\nstream = false\n\n[gate]");
    let output = project.with("scenarios/chat.toml", &whole).tokpace("check");
    output.expect(0, &["-- stream no scenario asks for one", "ok usage 14 prompt", "ok tokens"]);
}

#[test]
fn a_server_that_tells_no_counts() {
    let output = Server { per_word: None, metrics: None, ..WELL }.check(MODEL);
    output.expect(3, &["FAIL usage the server sends no `usage`", "hint: ", "set `tokenizer` of the profile"]);
    output.expect(3, &["-- tokens there are no counts of the server", "-- counters none at `/metrics`"]);
}

#[test]
fn a_server_that_counts_otherwise() {
    let server = Server { per_word: Some(2), ..WELL };
    let output = server.check(MODEL);
    output.expect(0, &["note tokens the server counts 512 tokens where the bundled tokenizer counts 256"]);
    output.expect(0, &["hint: set `tokenizer` of the profile to the model's `tokenizer.json`", "ok counters"]);
    let tokenizer = include_str!("../../src/tokens/data/tokenizer.json");
    let project = Project::against(server.start(), "model = \"m\"\ntokenizer = \"t.json\"").with("t.json", tokenizer);
    let output = project.tokpace("check");
    output.expect(0, &["where `tokenizer` of the profile counts 256", "hint: set `tokenizer` of the profile"]);
}
