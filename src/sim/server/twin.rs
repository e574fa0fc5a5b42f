//! What is read from the sockets has the shape that `replay` predicts.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::plan::{Pacing, Plan, PlannedRequest, Prompt};
use crate::profile::{Fault, FaultKind, TtftCost};
use crate::record::{Failure, FailureClass, RequestRecord};
use crate::sim::replay;
use crate::tokens::{Tokenizer, corpus};
use crate::units::{Share, Time};
use crate::wire::{RawRequest, Read, openai_chat};

const KINDS: [FaultKind; 11] = [
    FaultKind::Error,
    FaultKind::RateLimit,
    FaultKind::ErrorEvent,
    FaultKind::Truncate,
    FaultKind::Stall,
    FaultKind::Empty,
    FaultKind::Garbage,
    FaultKind::NoStream,
    FaultKind::NoUsage,
    FaultKind::Short,
    FaultKind::ColdCache,
];

fn config(fault: Option<FaultKind>) -> Embedded {
    Embedded {
        ttft: TtftCost { base: Time::from_millis(5), per_input_token: Time(20_000) },
        itl: Time::from_millis(1),
        fault: fault.map(|kind| Fault { kind, rate: Share(1.0) }),
        ..Embedded::default()
    }
}

fn plan(max_tokens: u32) -> Plan {
    let prompt = Prompt {
        system: Some("the house".into()),
        prefix: Vec::new(),
        body: corpus::words()[..40].join(" ").into(),
        input_tokens: 42,
        salt_tokens: 0,
    };
    let request = PlannedRequest { index: 0, user: 0, at: 0, prompt, max_tokens, cancel: None };
    Plan {
        pacing: Pacing::Closed { users: 1, ramp_up: 0 },
        warmup: Vec::new(),
        prime: Vec::new(),
        requests: vec![request],
        duration: None,
        shares_prefix: false,
        common_tokens: 0,
        hash: String::new(),
    }
}

/// Sends the plan's request to a fresh server and reads the answer as one network read.
fn ask(plan: &Plan, config: &Embedded, seed: u64) -> RequestRecord {
    let planned = &plan.requests[0];
    let server = Server::start(config.clone(), ServerOptions { seed, ..ServerOptions::default() }).unwrap();
    let (system, user) = planned.prompt.with_salt("");
    let body = openai_chat::body(&config.model, system.as_deref(), &user, planned.max_tokens, true, &BTreeMap::new());
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close";
    let started = Instant::now();
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(&body).unwrap();

    let mut answer = Vec::new();
    let stalls = config.fault.is_some_and(|fault| fault.kind == FaultKind::Stall);
    if stalls {
        super::tests::eventually(|| server.counters().model.finished == 1);
    }
    // What was sent is there long before either ends.
    stream.set_read_timeout(Some(Duration::from_millis(if stalls { 500 } else { 20_000 }))).unwrap();
    let mut failure =
        stream.read_to_end(&mut answer).is_err().then(|| Failure::new(FailureClass::NoProgress, "nothing came"));
    let closed = started.elapsed().as_nanos() as u64;

    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (bytes, whole) = if head.contains("transfer-encoding: chunked") {
        let (frames, whole) = super::tests::frames(&answer);
        (frames.concat(), whole)
    } else {
        (body.to_owned(), true)
    };
    if !whole {
        failure = failure.or_else(|| Some(Failure::new(FailureClass::Truncated, "the body broke off")));
    }
    let raw = RawRequest {
        index: 0,
        user: 0,
        max_tokens: planned.max_tokens,
        planned_input_tokens: planned.prompt.input_tokens,
        request_id: "replay-0".into(),
        scheduled: 0,
        sent: 0,
        headers: Some(closed),
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()),
        event_stream: head.contains("text/event-stream"),
        reads: vec![Read { at: closed, end: bytes.len() as u32 }],
        bytes: bytes.into_bytes(),
        closed,
        connect: None,
        resent: 0,
        to_cancel: false,
        cancelled: false,
        failure,
    };
    openai_chat::interpret(&raw, &Tokenizer::bundled())
}

#[test]
fn records_agree_in_everything_but_time() {
    for kind in KINDS.map(Some).into_iter().chain([None]) {
        for max_tokens in [1, 8] {
            let (plan, config) = (plan(max_tokens), config(kind));
            let predicted = replay(&plan, &config, 3, "", &Tokenizer::bundled()).remove(0);
            let real = ask(&plan, &config, 3);
            let what = format!("{kind:?}, {max_tokens} tokens");
            // The same jitter on both sides: nothing can be there sooner than the model has it.
            assert!(real.closed >= predicted.closed, "{what}: {} {}", real.closed, predicted.closed);
            let tokens = |record: &RequestRecord| record.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>();
            let class = |record: &RequestRecord| record.failure.as_ref().map(|failure| failure.class);
            assert_eq!(tokens(&real), tokens(&predicted), "{what}");
            assert_eq!(class(&real), class(&predicted), "{what}");
            assert_eq!(real.headers.is_some(), predicted.headers.is_some(), "{what}");
            assert_eq!(real.first_event.is_some(), predicted.first_event.is_some(), "{what}");
            let timeless = |record: RequestRecord| RequestRecord {
                headers: None,
                first_event: None,
                chunks: Vec::new(),
                closed: 0,
                coalesced: 0,
                failure: None,
                ..record
            };
            assert_eq!(timeless(real), timeless(predicted), "{what}");
        }
    }
}
