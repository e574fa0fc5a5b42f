//! Every protocol against the embedded server: as a scenario's case, and answer by answer.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;
use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::plan::Pacing;
use tokpace::profile::{Embedded, Fault, FaultKind, TtftCost};
use tokpace::record::{FailureClass, RequestRecord};
use tokpace::sim::{Server, ServerOptions};
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};
use tokpace::wire::{Ask, Protocol};

use crate::support::{Project, SCENARIO, measuring};

/// Those that stream.
const STREAMED: [Protocol; 4] = [Protocol::OpenaiChat, Protocol::OpenaiCompletions, Protocol::Lightllm, Protocol::Tgi];

/// An embedding for each of ten texts.
const EMBEDDINGS: &str = r#"
[workload]
input_tokens = 100

[load]
concurrency = 2
ramp_up = "2ms"
requests = 10
warmup = 2

[request]
protocol = "openai-embeddings"

[trials]
min = 6
max = 6
"#;

/// Three lists of four prompts.
const LIST: &str = r#"
[workload]
input_tokens = 16
output_tokens = 5

[load]
batch = 4
requests = 12

[request]
protocol = "openai-completions"
prompt_list = true

[trials]
min = 6
max = 6

[gate]
"e2e_latency.p50" = "<= baseline + 25%"
"#;

fn scenario(protocol: Protocol, more: &str) -> String {
    format!("{SCENARIO}\n[request]\nprotocol = \"{protocol}\"\n{more}\n")
}

fn measured(project: &Project, case: &str) -> Vec<Value> {
    let mut lines = project.lines("target/tokpace/latest/requests.jsonl");
    lines.retain(|line| line["case"] == case && line["phase"] == "measured");
    lines
}

fn case(project: &Project, name: &str) -> Value {
    let run = project.json("target/tokpace/latest/run.json");
    let cases = run["cases"].as_array().unwrap();
    cases.iter().find(|case| case["case"] == name).unwrap_or_else(|| panic!("no `{name}` in {run}")).clone()
}

/// The smallest value of a column, in milliseconds: the one that the machine disturbed least.
fn least(lines: &[Value], column: &str) -> f64 {
    let values = lines.iter().map(|line| line[column].as_f64().unwrap_or_else(|| panic!("{column}: {line}")) / 1e6);
    values.fold(f64::INFINITY, f64::min)
}

#[test]
fn a_case_of_each_protocol_measures_what_the_model_says() {
    let mut project = Project::empty().with("tokpace.toml", crate::support::PROJECT);
    for protocol in STREAMED {
        project.write(&format!("scenarios/{protocol}.toml"), &scenario(protocol, ""));
        let whole = scenario(protocol, "stream = false").replace("tpot.p50", "e2e_latency.p50");
        project.write(&format!("scenarios/whole-{protocol}.toml"), &whole);
    }
    project = project.with("scenarios/embed.toml", EMBEDDINGS).with("scenarios/list.toml", LIST);
    project
        .tokpace("check")
        .expect(0, &["one embedding (`openai-embeddings`)", "events (`lightllm`)", "events (`tgi`)"]);
    project.tokpace("run").expect(0, &["10 cases"]);
    for protocol in STREAMED {
        let lines = measured(&project, protocol.name());
        assert!(lines.len() >= 60 && lines.iter().all(|line| line["status"] == 200), "{protocol}");
        for line in &lines {
            let counts = (&line["input_tokens"], &line["output_tokens"], &line["error"]);
            assert_eq!(counts, (&16.into(), &5.into(), &Value::Null), "{protocol}");
        }
        // 2 ms and 10 µs for each of 16 tokens; then 3 ms for each token.
        let (ttft, latency) = (least(&lines, "ttft_ns"), least(&lines, "e2e_latency_ns"));
        let tpot = case(&project, protocol.name())["statistics"]["tpot.p50"].as_f64().unwrap();
        assert!((2.15..6.0).contains(&ttft), "{protocol}: {ttft}");
        assert!((2.5..5.0).contains(&tpot), "{protocol}: {tpot}");
        assert!((14.1..20.0).contains(&latency), "{protocol}: {latency}");
        let whole = measured(&project, &format!("whole-{protocol}"));
        assert!(whole.iter().all(|line| line["output_tokens"] == 5 && line["ttft_ns"].is_null()), "{protocol}");
        let latency = least(&whole, "e2e_latency_ns");
        assert!((14.1..20.0).contains(&latency), "{protocol}: {latency}");
        let named = &case(&project, protocol.name())["conditions"]["protocol"];
        assert_eq!(named.as_str(), Some(protocol.name()).filter(|_| protocol != Protocol::OpenaiChat), "{protocol}");
    }

    let lines = measured(&project, "embed");
    assert!(lines.iter().all(|line| line["input_tokens"] == 100 && line["output_tokens"] == 0), "{lines:?}");
    let latency = least(&lines, "e2e_latency_ns");
    assert!((3.0..7.0).contains(&latency), "{latency}");
    let embed = case(&project, "embed");
    let statistics = embed["statistics"].as_object().unwrap();
    for name in ["e2e_latency.p50", "request_throughput", "input_throughput"] {
        assert!(statistics.contains_key(name), "{name} in {statistics:?}");
    }
    for name in ["ttft.p50", "tpot.p50", "output_throughput", "output_tokens.p50"] {
        assert!(!statistics.contains_key(name), "{name} in {statistics:?}");
    }

    let lines = measured(&project, "list");
    assert!(lines.iter().all(|line| line["input_tokens"] == 16 && line["output_tokens"] == 5), "{lines:?}");
    let first: Vec<&Value> = lines.iter().filter(|line| line["trial"] == 1).collect();
    let mut ids: Vec<&str> = first.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!((first.len(), ids.len()), (12, 3), "four prompts a request: {ids:?}");
    // One prefill of 64 tokens, and steps of four.
    let (ttft, latency) = (least(&lines, "ttft_ns"), least(&lines, "e2e_latency_ns"));
    assert!((2.6..7.0).contains(&ttft), "{ttft}");
    assert!((14.6..21.0).contains(&latency), "{latency}");
    assert_eq!(case(&project, "list")["conditions"]["prompt_list"], "true");

    for name in ["tgi", "embed", "list"] {
        project.tokpace(&format!("plan {name} --predict")).expect(0, &[name]);
    }
}

#[test]
fn figures_of_another_protocol_do_not_compare() {
    let project = Project::empty().with("tokpace.toml", crate::support::PROJECT);
    project.write("scenarios/chat.toml", SCENARIO);
    project.tokpace("run").expect(0, &[]);
    project.tokpace("accept --all").expect(0, &[]);
    project.write("scenarios/chat.toml", &scenario(Protocol::Tgi, ""));
    project.tokpace("run").expect(0, &["`protocol` was nothing and is `tgi`"]);
}

#[test]
fn checks_that_embeddings_cannot_have_are_refused() {
    let project = Project::empty().with("tokpace.toml", crate::support::PROJECT);
    project.write("scenarios/embed.toml", &format!("{EMBEDDINGS}\n[gate]\n\"ttft.p50\" = \"<= 1s\"\n"));
    project.tokpace("check").expect(
        2,
        &["`ttft.p50` needs answers with tokens", "answers in one piece, without tokens", "hint: use `e2e_latency`"],
    );
}

/// One answer of `protocol` by a server with a fault: 8 tokens in a stream, or in one piece.
fn ask(server: &Server, protocol: Protocol, stream: bool) -> RequestRecord {
    let max_tokens = if protocol.has_tokens() { 8 } else { 0 };
    let (system, user, extra) = (Some("the house"), "and the garden", BTreeMap::new());
    let ask = Ask { model: "tokpace-sim", system, user, max_tokens, stream, extra: &extra };
    let outgoing = Outgoing {
        index: 0,
        user: 0,
        at: 0,
        max_tokens,
        input_tokens: 3,
        request_id: "one".into(),
        body: protocol.body(&ask).into(),
        cancel: None,
    };
    let round = Round {
        url: protocol.url(&server.base_url(), stream),
        protocol,
        pacing: Pacing::Batch { size: 1 },
        duration: None,
        timeout: Duration::from_secs(20),
        no_progress: Duration::from_millis(500),
        requests: vec![outgoing],
    };
    let mut engine = Engine::start(1, &TransportOptions::default()).unwrap();
    let recording = engine.run(round, &AtomicBool::new(false)).unwrap();
    protocol.interpret(&recording.requests[0], &Tokenizer::bundled())
}

fn server(kind: Option<FaultKind>) -> Server {
    let config = Embedded {
        ttft: TtftCost { base: Time::from_millis(2), per_input_token: Time(10_000) },
        itl: Time::from_millis(1),
        jitter: Share(0.0),
        fault: kind.map(|kind| Fault { kind, rate: Share(1.0) }),
        ..Embedded::default()
    };
    Server::start(config, ServerOptions::default()).unwrap()
}

#[test]
fn faults_have_the_same_class_in_every_protocol() {
    use FailureClass::{Empty, ErrorEvent, HttpStatus, NoProgress, Parse, Truncated};
    let _alone = measuring();
    for (kind, class, chunks) in [
        (FaultKind::Error, HttpStatus, 0),
        (FaultKind::RateLimit, HttpStatus, 0),
        (FaultKind::ErrorEvent, ErrorEvent, 4),
        (FaultKind::Truncate, Truncated, 4),
        (FaultKind::Stall, NoProgress, 4),
        (FaultKind::Empty, Empty, 0),
        (FaultKind::Garbage, Parse, 4),
    ] {
        let server = server(Some(kind));
        for protocol in STREAMED {
            let record = ask(&server, protocol, true);
            let failure = record.failure.unwrap_or_else(|| panic!("{protocol}: {kind:?}"));
            assert_eq!((failure.class, record.chunks.len()), (class, chunks), "{protocol}: {kind:?}: {failure:?}");
            if matches!(class, HttpStatus | ErrorEvent) {
                assert!(failure.message.starts_with("injected"), "{protocol}: {failure:?}");
            }
        }
        let embedding = ask(&server, Protocol::OpenaiEmbeddings, false);
        assert!(embedding.failure.is_some(), "{kind:?}");
    }
}

#[test]
fn all_are_served_on_one_port() {
    let _alone = measuring();
    let (plain, uncounted, short) = (server(None), server(Some(FaultKind::NoUsage)), server(Some(FaultKind::Short)));
    for protocol in STREAMED {
        for stream in [true, false] {
            let what = format!("{protocol}, stream {stream}");
            let record = ask(&plain, protocol, stream);
            assert_eq!((&record.failure, record.streamed), (&None, stream), "{what}");
            assert_eq!((record.output_tokens, record.finish_reason.as_deref()), (8, Some("length")), "{what}");
            assert_eq!(record.chunks.len(), if stream { 8 } else { 1 }, "{what}");
            // A whole answer of TGI says nothing of its prompt.
            let input = if protocol == Protocol::Tgi && !stream { 3 } else { 5 };
            assert_eq!(record.input_tokens, input, "{what}");
            let record = ask(&uncounted, protocol, stream);
            assert_eq!((&record.failure, record.output_tokens, record.input_tokens), (&None, 8, 3), "{what}");
            let record = ask(&short, protocol, stream);
            assert_eq!((&record.failure, record.output_tokens), (&None, 4), "{what}");
        }
    }
    let embedding = ask(&plain, Protocol::OpenaiEmbeddings, false);
    assert_eq!((&embedding.failure, embedding.input_tokens, embedding.output_tokens), (&None, 5, 0));
    assert_eq!(plain.counters().duplicate_ids, 2 * STREAMED.len() as u64, "one counter for all protocols");
}

/// PPL.LLM's service, over gRPC.
#[cfg(feature = "grpc")]
mod ppl {
    use axum::body::Body;
    use axum::http::header::CONTENT_TYPE;
    use axum::response::IntoResponse;
    use tokpace::wire::Listed;

    use super::*;

    /// Three calls of four prompts, with answers of two lengths.
    const CALLS: &str = r#"
[workload]
input_tokens = 16
output_tokens = [5, 3]

[load]
batch = 4
requests = 12

[request]
protocol = "ppl"
prompt_list = true

[trials]
min = 6
max = 6

[gate]
"e2e_latency.p50" = "<= baseline + 25%"
"#;

    #[test]
    fn ppl_measures_what_the_model_says() {
        let project = Project::empty().with("tokpace.toml", crate::support::PROJECT);
        let project = project.with("scenarios/ppl.toml", &scenario(Protocol::Ppl, ""));
        let project = project.with("scenarios/calls.toml", CALLS);
        project.tokpace("check").expect(0, &["4 tokens in 4 events (`ppl`)"]);
        project.tokpace("run").expect(0, &["2 cases"]);
        let lines = measured(&project, "ppl");
        assert!(lines.len() >= 60, "{}", lines.len());
        for line in &lines {
            let counts = (&line["input_tokens"], &line["output_tokens"], &line["error"], &line["token_source"]);
            assert_eq!(counts, (&16.into(), &5.into(), &Value::Null, &"continuous_usage".into()));
        }
        // 2 ms and 10 µs for each of 16 tokens; then 3 ms for each token.
        let (ttft, latency) = (least(&lines, "ttft_ns"), least(&lines, "e2e_latency_ns"));
        let tpot = case(&project, "ppl")["statistics"]["tpot.p50"].as_f64().unwrap();
        assert!((2.15..6.0).contains(&ttft), "{ttft}");
        assert!((2.5..5.0).contains(&tpot), "{tpot}");
        assert!((14.1..20.0).contains(&latency), "{latency}");
        assert_eq!(case(&project, "ppl")["conditions"]["protocol"], "ppl");

        let lines = measured(&project, "calls");
        let first: Vec<&Value> = lines.iter().filter(|line| line["trial"] == 1).collect();
        let mut ids: Vec<&str> = first.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
        ids.dedup();
        assert_eq!((first.len(), ids.len()), (12, 3), "four prompts a call: {ids:?}");
        let lengths: Vec<u64> = first.iter().map(|line| line["output_tokens"].as_u64().unwrap()).collect();
        assert_eq!(lengths, [5, 3].repeat(6));
        let of = |length: u64| {
            let lines: Vec<Value> = lines.iter().filter(|line| line["output_tokens"] == length).cloned().collect();
            least(&lines, "e2e_latency_ns")
        };
        // One prefill of 64 tokens, and steps of four: two more for the longer ones.
        assert!((14.6..21.0).contains(&of(5)), "{}", of(5));
        assert!((8.6..15.0).contains(&of(3)), "{}", of(3));
        project.tokpace("plan calls --predict").expect(0, &["calls"]);
    }

    #[test]
    fn ppl_has_the_faults_of_the_others() {
        use FailureClass::{Empty, ErrorEvent, HttpStatus, NoProgress, Parse, Truncated};
        let _alone = measuring();
        for (kind, class, chunks) in [
            (FaultKind::Error, HttpStatus, 0),
            (FaultKind::RateLimit, HttpStatus, 0),
            (FaultKind::ErrorEvent, ErrorEvent, 4),
            (FaultKind::Truncate, Truncated, 4),
            (FaultKind::Stall, NoProgress, 4),
            (FaultKind::Empty, Empty, 0),
            (FaultKind::Garbage, Parse, 4),
            (FaultKind::NoStream, Parse, 0),
        ] {
            let record = ask(&server(Some(kind)));
            let failure = record.failure.unwrap_or_else(|| panic!("{kind:?}"));
            assert_eq!((failure.class, record.chunks.len()), (class, chunks), "{kind:?}: {failure:?}");
            if matches!(class, HttpStatus | ErrorEvent) {
                assert!(failure.message.starts_with("injected"), "{failure:?}");
            }
            assert_eq!(record.status, Some(200), "{kind:?}");
        }
        let (plain, short) = (ask(&server(None)), ask(&server(Some(FaultKind::Short))));
        assert_eq!((&plain.failure, plain.streamed, plain.chunks.len()), (&None, true, 8));
        assert_eq!((plain.output_tokens, plain.input_tokens, plain.finish_reason.as_deref()), (8, 3, Some("finished")));
        assert_eq!((&short.failure, short.output_tokens), (&None, 4));
    }

    fn ask(server: &Server) -> RequestRecord {
        asked(&server.base_url(), &["and the garden"]).remove(0)
    }

    /// The answers to one call with `prompts`, 8 tokens each.
    fn asked(base_url: &str, prompts: &[&str]) -> Vec<RequestRecord> {
        let protocol = Protocol::Ppl;
        let extra = BTreeMap::new();
        let ask = |user| Ask { model: "tokpace-sim", system: None, user, max_tokens: 8, stream: true, extra: &extra };
        let asks: Vec<Ask<'_>> = prompts.iter().copied().map(ask).collect();
        let outgoing = Outgoing {
            index: 0,
            user: 0,
            at: 0,
            max_tokens: 8,
            input_tokens: 3,
            request_id: "one".into(),
            body: protocol.list_body(&asks).into(),
            cancel: None,
        };
        let round = Round {
            url: protocol.url(base_url, true),
            protocol,
            pacing: Pacing::Batch { size: 1 },
            duration: None,
            timeout: Duration::from_secs(20),
            no_progress: Duration::from_millis(500),
            requests: vec![outgoing],
        };
        let options = TransportOptions { http2: true, ..TransportOptions::default() };
        let recording = Engine::start(1, &options).unwrap().run(round, &AtomicBool::new(false)).unwrap();
        let listed = |index: usize| Listed { index: index as u32, user: 0, max_tokens: 8, input_tokens: 3 };
        let prompts: Vec<Listed> = (0..prompts.len()).map(listed).collect();
        protocol.interpret_list(&recording.requests[0], &prompts, &Tokenizer::bundled())
    }

    /// A server that answers every call with these bytes and headers; behind a body come no trailers.
    fn scripted(head: Vec<(&'static str, &'static str)>, body: &'static [u8]) -> String {
        let app = axum::Router::new().fallback(async move || {
            let mut response = ([(CONTENT_TYPE, "application/grpc")], Body::from(body)).into_response();
            for (name, value) in head {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        });
        let (address, addresses) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                address.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        format!("http://{}/v1", addresses.recv().unwrap())
    }

    #[test]
    fn ppl_failures_are_told_apart() {
        use FailureClass::{ErrorEvent, HttpStatus, Parse, Truncated};
        /// A response with the text `a`, and one that says that the request with the number 0 has failed.
        const TOKEN: &[u8] = b"\0\0\0\0\x05\x0a\x03\x1a\x01a";
        const FAILED: &[u8] = b"\0\0\0\0\x04\x0a\x02\x08\x02";
        let _alone = measuring();
        let refused = vec![("grpc-status", "16"), ("grpc-message", "no key%21")];
        for (head, body, class, message, chunks) in [
            (refused, &b""[..], HttpStatus, "no key! (grpc-status 16, UNAUTHENTICATED)", 0),
            (vec![], b"", Truncated, "before any text", 0),
            (vec![], TOKEN, Truncated, "after 1 chunks", 1),
            (vec![], &TOKEN[..7], Truncated, "before any text", 0),
            (vec![], FAILED, ErrorEvent, "`FAILED` of request 0", 0),
            (vec![], b"\0\xff\xff\xff\xff", Parse, "claims to have 4294967295 bytes", 0),
            (vec![], b"<html></html>", Parse, "not a stream of gRPC messages", 0),
        ] {
            let record = asked(&scripted(head, body), &["one"]).remove(0);
            let failure = record.failure.unwrap_or_else(|| panic!("{body:?}"));
            assert_eq!((failure.class, record.chunks.len()), (class, chunks), "{failure:?}");
            assert!(failure.message.contains(message), "{failure:?}");
        }
    }

    #[test]
    fn ppl_answers_several_prompts_in_one_stream() {
        let _alone = measuring();
        let server = server(None);
        let records = asked(&server.base_url(), &["the house", "and the garden", "so"]);
        assert!(records.iter().all(|record| record.failure.is_none() && record.output_tokens == 8), "{records:?}");
        assert_eq!(server.counters().requests, 1);
    }

    #[test]
    fn ppl_targets_are_checked_over_grpc() {
        let options = ServerOptions { api_key: Some("k".into()), ..ServerOptions::default() };
        let server = Server::start(Embedded::default(), options).unwrap();
        let nobody = crate::support::nobody();
        let profile = |name: &str, url: String, more: &str| {
            format!("[profiles.{name}]\nkind = \"endpoint\"\nurl = \"{url}\"\nmodel = \"m\"\n{more}\n")
        };
        let url = format!("http://{}", server.addr());
        let profiles = [
            profile("keyed", url.clone(), "headers = { authorization = \"Bearer k\" }"),
            profile("keyless", url.clone(), ""),
            profile("odd", url, "extra = { ignore_eos = true }"),
            profile("gone", format!("http://{nobody}"), ""),
        ];
        let project = Project::empty().with("tokpace.toml", &profiles.concat());
        project.write("scenarios/ppl.toml", &scenario(Protocol::Ppl, ""));
        for (profile, code, text) in [
            ("keyed", 0, "4 tokens in 4 events (`ppl`)"),
            ("keyless", 3, "hint: set `api_key_env`"),
            ("odd", 3, "`ppl` cannot send the profile's `extra`: unknown field `ignore_eos`"),
            ("gone", 3, "speaks gRPC (23333"),
        ] {
            project.tokpace(&format!("check --profile {profile}")).expect(code, &[text]);
        }
    }
}

#[cfg(not(feature = "grpc"))]
#[test]
fn ppl_needs_its_feature() {
    let project = Project::empty().with("tokpace.toml", crate::support::PROJECT);
    project.write("scenarios/ppl.toml", &format!("{SCENARIO}\n[request]\nprotocol = \"ppl\"\n"));
    let hint = "`tokpace = { version = \"0.1\", features = [\"grpc\"] }`";
    project.tokpace("check").expect(2, &["needs the feature `grpc`", hint, "`cargo install tokpace --features grpc`"]);
}
