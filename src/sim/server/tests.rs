//! Over real sockets; nothing here asserts a time that a busy machine could break.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;
use crate::profile::{Fault, FaultKind, TtftCost};
use crate::tokens::Tokenizer;
use crate::units::{Share, Time};

/// A server that answers soon: 2 ms base, 1 ms a token.
fn config() -> Embedded {
    Embedded {
        ttft: TtftCost { base: Time::from_millis(2), per_input_token: Time(1_000) },
        itl: Time::from_millis(1),
        jitter: Share(0.0),
        ..Embedded::default()
    }
}

fn start(config: Embedded) -> Server {
    Server::start(config, ServerOptions::default()).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a request on its own connection and reads until the server closes it.
fn exchange(server: &Server, head: &str, body: &str) -> String {
    let mut stream = connect(server);
    let length = body.len();
    write!(stream, "{head}\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1";

fn ask(tokens: u32, stream: bool) -> String {
    let usage = if stream { r#","stream_options":{"include_usage":true}"# } else { "" };
    format!(
        r#"{{"model":"tokpace-sim","messages":[{{"role":"system","content":"the house"}},{{"role":"user","content":"and the garden"}}],"max_tokens":{tokens},"stream":{stream}{usage}}}"#
    )
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}

/// The JSON body of an answer with a `content-length`.
fn json_body(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The chunks of a chunked body: the server's frames. The second value says whether it ended properly.
pub(super) fn frames(answer: &str) -> (Vec<String>, bool) {
    let mut rest = answer.split_once("\r\n\r\n").unwrap().1;
    let mut frames = Vec::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (frames, true);
        }
        frames.push(tail[..size].to_owned());
        rest = tail[size..].strip_prefix("\r\n").unwrap();
    }
    (frames, false)
}

/// The events of the answer to a stream request under a fault that every request meets.
fn events(kind: Option<FaultKind>, tokens: u32) -> (Vec<String>, bool) {
    let fault = kind.map(|kind| Fault { kind, rate: Share(1.0) });
    let server = start(Embedded { fault, ..config() });
    let answer = exchange(&server, CHAT, &ask(tokens, true));
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("content-type: text/event-stream"));
    frames(&answer)
}

fn content(event: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    json["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_stream_has_one_event_a_token_in_a_frame_of_its_own() {
    let (events, whole) = events(None, 5);
    assert!(whole);
    assert!(events.iter().all(|event| event.starts_with("data: ") && event.ends_with("\n\n")));
    // Role, five tokens, finish, usage, the end.
    assert_eq!(events.len(), 9);
    assert!(events[0].contains(r#""delta":{"role":"assistant","content":""}"#));
    let text: String = events[1..6].iter().map(|event| content(event)).collect();
    assert_eq!(Tokenizer::bundled().count(&text), 5, "{text}");
    assert!(events[6].contains(r#""delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}"#));
    let usage: serde_json::Value = serde_json::from_str(&events[7][6..]).unwrap();
    assert_eq!(usage["choices"], serde_json::json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 5);
    assert_eq!(usage["usage"]["completion_tokens"], 5);
    assert_eq!(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(events[8], "data: [DONE]\n\n");
}

#[test]
fn the_server_keeps_when_tokens_left_if_asked_to() {
    let server = start(config());
    let head = format!("{CHAT}\r\nx-request-id: before");
    exchange(&server, &head, &ask(2, true));
    server.keep_departures(true);
    let begin = Instant::now();
    exchange(&server, &head.replace("before", "kept"), &ask(3, true));
    // The answer's body is dropped a moment after its last byte was written.
    let mut kept = Vec::new();
    while kept.is_empty() && begin.elapsed() < Duration::from_secs(10) {
        kept = server.take_departures();
        std::thread::sleep(Duration::from_millis(1));
    }
    let [departures] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((departures.request_id.as_str(), departures.tokens.len()), ("kept", 3));
    let times: Vec<Instant> = [begin, departures.received].into_iter().chain(departures.tokens.clone()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // The base and two steps after it: a token is never early.
    assert!(departures.tokens[2] - departures.received >= Duration::from_millis(4), "{departures:?}");
    assert!(server.take_departures().is_empty());
}

#[test]
fn a_plain_answer_is_one_body() {
    let server = start(config());
    let body = json_body(&exchange(&server, CHAT, &ask(3, false)));
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(Tokenizer::bundled().count(text), 3);
    assert_eq!(body["usage"]["total_tokens"], 8);
    assert_eq!(body["object"], "chat.completion");
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let options = ServerOptions { api_key: Some("open sesame".into()), ..ServerOptions::default() };
    let server = Server::start(Embedded { kv_blocks: 2, ..config() }, options).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer open sesame";
    let long = ask(1, false).replace("the garden", &["the garden"; 40].join(" "));
    for (head, body, expected, message) in [
        (CHAT, ask(1, true), 401, "API key"),
        (head, "{\"messages\":".to_owned(), 400, "not a chat completion request"),
        (head, "{\"messages\":[]}".to_owned(), 400, "at least one message"),
        (head, ask(1, true).replace("tokpace-sim", "other"), 404, "no model `other`"),
        (head, long, 400, "do not fit"),
        ("GET /nowhere HTTP/1.1", String::new(), 404, "no `/nowhere`"),
        ("GET /v1/models HTTP/1.1", String::new(), 401, "API key"),
    ] {
        let answer = exchange(&server, head, &body);
        assert_eq!(status(&answer), expected, "{answer}");
        let error = &json_body(&answer)["error"];
        assert!(error["message"].as_str().unwrap().contains(message), "{answer}");
        assert!(error["type"].is_string());
    }
    assert_eq!(status(&exchange(&server, head, &ask(1, false))), 200);
}

#[test]
fn the_other_endpoints() {
    let server = start(config());
    for _ in 0..2 {
        let body = ask(2, false).replace("the garden", &["the garden"; 10].join(" "));
        let answer = exchange(&server, &format!("{CHAT}\r\nx-request-id: abc"), &body);
        assert!(answer.contains("x-request-id: abc\r\n"), "{answer}");
    }
    let counters = server.counters();
    assert_eq!((counters.requests, counters.duplicate_ids, counters.cancelled), (2, 1, 0));
    assert_eq!((counters.model.prefix_queries, counters.model.prefix_hits), (46, 16));
    let metrics = exchange(&server, "GET /metrics HTTP/1.1", "");
    for row in [
        "vllm:num_requests_running{engine=\"0\",model_name=\"tokpace-sim\"} 0\n",
        "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"tokpace-sim\"} 46\n",
        "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"tokpace-sim\"} 16\n",
        "vllm:generation_tokens_total{engine=\"0\",model_name=\"tokpace-sim\"} 4\n",
        "vllm:request_success_total{engine=\"0\",finished_reason=\"length\",model_name=\"tokpace-sim\"} 2\n",
    ] {
        assert!(metrics.contains(row), "{row}{metrics}");
    }
    assert_eq!(status(&exchange(&server, "GET /health HTTP/1.1", "")), 200);
    let models = json_body(&exchange(&server, "GET /v1/models HTTP/1.1", ""));
    assert_eq!(models["data"][0]["id"], "tokpace-sim");
    let version = json_body(&exchange(&server, "GET /version HTTP/1.1", ""));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status(&exchange(&server, "GET /v1/chat/completions HTTP/1.1", "")), 405);
    assert_eq!(server.lateness().count(), 4);
}

#[test]
fn faults_of_the_status() {
    for (kind, expected) in [(FaultKind::Error, 500), (FaultKind::RateLimit, 429)] {
        let server = start(Embedded { fault: Some(Fault { kind, rate: Share(1.0) }), ..config() });
        let answer = exchange(&server, CHAT, &ask(4, true));
        assert_eq!(status(&answer), expected);
        assert_eq!(answer.contains("retry-after: 1\r\n"), kind == FaultKind::RateLimit);
        assert!(json_body(&answer)["error"]["message"].as_str().unwrap().contains("injected"));
    }
}

#[test]
fn faults_of_the_stream() {
    let (error, whole) = events(Some(FaultKind::ErrorEvent), 4);
    assert_eq!((error.len(), whole), (5, true));
    assert!(error[3].starts_with(r#"data: {"error":{"#), "{}", error[3]);

    let (truncated, whole) = events(Some(FaultKind::Truncate), 4);
    assert_eq!((truncated.len(), whole), (3, false));

    let (empty, whole) = events(Some(FaultKind::Empty), 4);
    assert_eq!((empty.len(), whole), (4, true));
    assert!(empty[2].contains(r#""completion_tokens":0"#));

    let (garbage, _) = events(Some(FaultKind::Garbage), 4);
    assert_eq!(garbage.len(), 9);
    assert!(serde_json::from_str::<serde_json::Value>(&garbage[3][6..]).is_err());

    let (no_usage, whole) = events(Some(FaultKind::NoUsage), 4);
    assert_eq!((no_usage.len(), whole), (7, true));
    assert!(no_usage.iter().all(|event| !event.contains("prompt_tokens")));

    let (short, whole) = events(Some(FaultKind::Short), 4);
    assert_eq!((short.len(), whole), (6, true));
    assert!(short[3].contains(r#""finish_reason":"stop""#));
}

#[test]
fn a_cold_cache_is_asked_and_never_hits() {
    let fault = Some(Fault { kind: FaultKind::ColdCache, rate: Share(1.0) });
    let server = start(Embedded { fault, ..config() });
    for _ in 0..2 {
        let body = ask(2, false).replace("the garden", &["the garden"; 10].join(" "));
        let usage = &json_body(&exchange(&server, CHAT, &body))["usage"];
        assert_eq!(
            (&usage["completion_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]),
            (&2.into(), &0.into())
        );
    }
    let metrics = exchange(&server, "GET /metrics HTTP/1.1", "");
    for row in [
        "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"tokpace-sim\"} 46\n",
        "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"tokpace-sim\"} 0\n",
    ] {
        assert!(metrics.contains(row), "{row}{metrics}");
    }
}

#[test]
fn no_stream_is_one_json_body() {
    let fault = Some(Fault { kind: FaultKind::NoStream, rate: Share(1.0) });
    let server = start(Embedded { fault, ..config() });
    let begun = Instant::now();
    let answer = exchange(&server, CHAT, &ask(20, true));
    assert!(begun.elapsed() >= Duration::from_millis(21));
    assert!(answer.contains("content-type: application/json"));
    assert_eq!(json_body(&answer)["usage"]["completion_tokens"], 20);
}

/// Reads what comes until the answer holds `wanted`.
fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed early");
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        if text.contains(wanted) {
            return text.into_owned();
        }
    }
}

fn send(server: &Server, body: &str) -> TcpStream {
    let mut stream = connect(server);
    write!(stream, "{CHAT}\r\nhost: sim\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

pub(super) fn eventually(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < deadline, "did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_stall_keeps_the_stream_open_and_the_batch_free() {
    let fault = Some(Fault { kind: FaultKind::Stall, rate: Share(1.0) });
    let server = start(Embedded { fault, ..config() });
    let mut stream = send(&server, &ask(4, true));
    eventually(|| server.counters().model.finished == 1);
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
    // The first event has the role.
    assert_eq!(String::from_utf8(answer).unwrap().matches("\"content\"").count(), 3);
    assert_eq!(server.counters().model.running, 0);
}

#[test]
fn a_client_that_goes_away_frees_its_sequence() {
    let server = start(config());
    for streamed in [true, false] {
        let before = server.counters().cancelled;
        let mut stream = send(&server, &ask(30_000, streamed));
        if streamed {
            read_until(&mut stream, "\"content\":\"");
        }
        eventually(|| server.counters().model.running == 1);
        assert!(server.counters().model.kv_usage > 0.0);
        drop(stream);
        eventually(|| server.counters().cancelled > before);
        let model = server.counters().model;
        assert_eq!((model.running, model.finished), (0, 0));
        assert!(model.kv_usage.abs() < 1e-12);
    }
}

#[test]
fn headers_come_before_the_first_token() {
    let base = Time::from_secs(3_600);
    let server = start(Embedded { ttft: TtftCost { base, per_input_token: Time(0) }, ..config() });
    let mut stream = send(&server, &ask(1, true));
    let answer = read_until(&mut stream, "\"role\"");
    assert_eq!(status(&answer), 200);
    eventually(|| server.counters().model.waiting == 1);
    // Neither the hour of this request nor its open stream holds up the end.
    let begun = Instant::now();
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(5));
    // Closed or reset, but not left open.
    let kind = stream.read_to_end(&mut Vec::new()).err().map(|error| error.kind());
    assert!(!matches!(kind, Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)));
}

#[test]
fn a_long_step_does_not_hold_up_the_end() {
    let server = start(Embedded { itl: Time::from_secs(3_600), ..config() });
    let mut stream = send(&server, &ask(3, true));
    read_until(&mut stream, "\"logprobs\":null,\"finish_reason\":null}]");
    eventually(|| server.counters().model.generation_tokens == 1 && server.counters().model.running == 1);
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn tokens_come_at_their_times() {
    let server = start(config());
    let begun = Instant::now();
    exchange(&server, CHAT, &ask(50, true));
    // 2 ms base, 5 µs prompt and 49 ms of steps at least; the upper bound is for a machine that is very busy.
    assert!(begun.elapsed() >= Duration::from_millis(51));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(server.lateness().count(), 50);
}

#[cfg(feature = "http2")]
#[test]
fn http2_with_prior_knowledge() {
    // Asked for even where nothing is encrypted; another test may have been first.
    #[cfg(feature = "tls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = start(config());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let text = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        let url = format!("{}/chat/completions", server.base_url());
        let answer = client.post(url).body(ask(3, true)).send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        answer.text().await.unwrap()
    });
    assert_eq!(text.matches("data: ").count(), 7);
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_taken_address_is_an_error() {
    let server = start(config());
    let options = ServerOptions { addr: server.addr(), ..ServerOptions::default() };
    assert!(Server::start(config(), options).is_err());
}
