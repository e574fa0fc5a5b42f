//! Requests that the client gives up on purpose: it closes the connection, the server notices, and nothing counts them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::plan::{Cancel, Pacing};
use tokpace::profile::{Embedded, TtftCost};
use tokpace::record::RequestRecord;
use tokpace::sim::{Server, ServerOptions};
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};
use tokpace::wire::{Protocol, openai_chat};

use crate::support::{Project, measuring, wait_for};

const LATEST: &str = "target/tokpace/latest";

fn config() -> Embedded {
    Embedded {
        ttft: TtftCost { base: Time::from_millis(5), per_input_token: Time(1_000) },
        itl: Time::from_millis(2),
        jitter: Share(0.0),
        ..Embedded::default()
    }
}

/// One request for each of these, all at once: answers of so many tokens, given up when.
fn send(server: &Server, http2: bool, stream: bool, requests: &[(u32, Option<Cancel>)]) -> Vec<RequestRecord> {
    let outgoing = |(index, (max_tokens, cancel)): (u32, &(u32, Option<Cancel>))| Outgoing {
        index,
        user: 0,
        at: 0,
        max_tokens: *max_tokens,
        input_tokens: 3,
        request_id: format!("cancel-{index}"),
        body: openai_chat::body("tokpace-sim", None, "and the garden", *max_tokens, stream, &BTreeMap::new()).into(),
        cancel: *cancel,
    };
    let round = Round {
        url: format!("{}{}", server.base_url(), openai_chat::PATH),
        protocol: Protocol::OpenaiChat,
        pacing: Pacing::Open { max_in_flight: None },
        duration: None,
        timeout: Duration::from_secs(20),
        no_progress: Duration::from_secs(20),
        requests: (0..).zip(requests).map(outgoing).collect(),
    };
    let mut engine = Engine::start(1, &TransportOptions { http2, ..TransportOptions::default() }).unwrap();
    let recording = engine.run(round, &AtomicBool::new(false)).unwrap();
    recording.requests.iter().map(|raw| openai_chat::interpret(raw, &Tokenizer::bundled())).collect()
}

/// Asserts that the server has let go of `cancelled` requests and completed `finished`.
fn let_go(server: &Server, cancelled: u64, finished: u64) {
    wait_for("the server notices", || server.counters().cancelled == cancelled);
    let model = server.counters().model;
    assert_eq!((model.running, model.waiting, model.finished), (0, 0, finished));
    assert!(model.kv_usage.abs() < 1e-12, "blocks are free again");
}

#[test]
fn the_server_notices_and_counts_no_success() {
    let after = |ms: u64| Some(Cancel { after: Some(ms * 1_000_000), after_tokens: None });
    for http2 in [false, true] {
        let _alone = measuring();
        let server = Server::start(config(), ServerOptions::default()).unwrap();
        // A minute of answer, and one that is there long before it would be given up.
        let requests = [(30_000, after(60)), (4, None), (4, after(10_000)), (30_000, after(60))];
        let records = send(&server, http2, true, &requests);
        assert_eq!(records.iter().map(|record| record.cancelled).collect::<Vec<_>>(), [true, false, false, true]);
        for record in &records {
            assert_eq!(record.failure, None);
            if record.cancelled {
                assert!(record.closed - record.sent >= 60_000_000, "{}", record.closed - record.sent);
                assert!(!record.chunks.is_empty() && record.usage.is_none() && !record.is_answered());
            } else {
                assert_eq!((record.output_tokens, record.finish_reason.as_deref()), (4, Some("length")));
            }
        }
        let_go(&server, 2, 2);
    }
}

#[test]
fn a_request_is_given_up_with_a_token() {
    let with = |tokens| Some(Cancel { after: None, after_tokens: Some(tokens) });
    let _alone = measuring();
    let server = Server::start(config(), ServerOptions::default()).unwrap();
    let records = send(&server, false, true, &[(30_000, with(1)), (30_000, with(5)), (3, with(5)), (3, with(3))]);
    assert_eq!(records.iter().map(|record| record.cancelled).collect::<Vec<_>>()[..3], [true, true, false]);
    for (record, tokens) in records.iter().zip([1, 5]) {
        // More only if several came at once.
        let chunks = record.chunks.len();
        assert!((tokens..tokens + 20).contains(&chunks), "{chunks}");
        assert_eq!(record.chunks[tokens - 1].at, record.chunks[chunks - 1].at);
    }
    // The last token of an answer may be its end or come before it.
    let whole = records.iter().filter(|record| !record.cancelled).count() as u64;
    wait_for("the server notices", || server.counters().model.running == 0);
    assert!(server.counters().model.finished >= whole);
    assert!((2..=3).contains(&server.counters().cancelled));
}

#[test]
fn an_answer_in_one_piece_is_given_up_before_it_is_there() {
    let _alone = measuring();
    let server = Server::start(config(), ServerOptions::default()).unwrap();
    let cancel = Some(Cancel { after: Some(50_000_000), after_tokens: None });
    let records = send(&server, false, false, &[(30_000, cancel), (4, cancel)]);
    assert_eq!(records.iter().map(|record| record.cancelled).collect::<Vec<_>>(), [true, false]);
    assert_eq!((records[0].status, records[0].chunks.len()), (None, 0));
    let_go(&server, 1, 1);
}

const PROFILE: &str = r#"
[profiles.embedded]
kind = "embedded"
ttft = { base = "2ms", per_input_token = "10us" }
itl = "3ms"
jitter = "0%"
"#;

const SCENARIO: &str = r#"
[workload]
input_tokens = 16
output_tokens = 40

[load]
concurrency = 2
ramp_up = "2ms"
requests = 20
warmup = 1

[request]
cancel = { rate = "20%", after = "30ms" }

[trials]
min = 2
max = 2

[gate]
"error_rate" = "<= 0.1%"
"#;

#[test]
fn a_case_counts_what_it_gave_up_and_nothing_else_does() {
    let project = Project::empty().with("tokpace.toml", PROFILE).with("scenarios/users.toml", SCENARIO);
    project.tokpace("run").expect(0, &["users ... pass"]);
    let requests = project.lines(&format!("{LATEST}/requests.jsonl"));
    let of_trial = |trial: u64| -> Vec<u64> {
        let given_up = requests.iter().filter(|line| line["trial"] == trial && line["phase"] == "measured");
        given_up.filter(|line| line["cancelled"] == true).map(|line| line["index"].as_u64().unwrap()).collect()
    };
    // A whole answer takes 119 ms.
    assert_eq!(of_trial(1).len(), 4);
    assert_eq!(of_trial(1), of_trial(2), "the seed has chosen them");
    let planned = project.lines(&format!("{LATEST}/plan.jsonl"));
    let planned = planned.iter().filter(|line| line["cancel_after_ns"] == 30_000_000);
    assert_eq!(planned.map(|line| line["index"].as_u64().unwrap()).collect::<Vec<_>>(), of_trial(1));
    for line in requests.iter().filter(|line| line["cancelled"] == true) {
        assert_eq!(line["to_cancel"], true);
        assert!(line["error"].is_null() && line["e2e_latency_ns"].is_null() && line["ttft_ns"].is_null(), "{line}");
    }
    for trial in project.json(&format!("{LATEST}/trials.json"))["cases"][0]["trials"].as_array().unwrap() {
        let values = &trial["values"];
        assert_eq!((&trial["cancelled"], &values["n"], &values["errors"]), (&4.into(), &16.into(), &0.into()));
        assert_eq!(values["error_rate"], 0.0);
        assert_eq!(values["output_tokens.mean"], 40.0);
    }
    let case = &project.json(&format!("{LATEST}/run.json"))["cases"][0];
    assert_eq!((&case["requests"], &case["errors"]), (&32.into(), &0.into()));
}
