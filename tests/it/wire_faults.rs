//! The faults of the simulated server, through real sockets: each has its class, and none ends the engine.

use std::io::Write as _;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokpace::engine::{Engine, TransportOptions};
use tokpace::profile::{Embedded, Fault, FaultKind, TtftCost};
use tokpace::record::{FailureClass, RequestRecord};
use tokpace::sim::{Server, ServerOptions};
use tokpace::units::{Share, Time};

use crate::support::script::{Step, TOKENS, ask, round, run, scripted};
use crate::support::{measuring, nobody, respond, serve};

fn server(kind: Option<FaultKind>) -> Server {
    let config = Embedded {
        ttft: TtftCost { base: Time::from_millis(5), per_input_token: Time(10_000) },
        itl: Time::from_millis(2),
        jitter: Share(0.0),
        fault: kind.map(|kind| Fault { kind, rate: Share(1.0) }),
        ..Embedded::default()
    };
    Server::start(config, ServerOptions::default()).unwrap()
}

#[track_caller]
fn failed(record: &RequestRecord, class: FailureClass, text: &str) {
    let failure = record.failure.as_ref().unwrap_or_else(|| panic!("it succeeded: {record:?}"));
    assert_eq!(failure.class, class, "{failure:?}");
    assert!(failure.message.contains(text), "{failure:?}");
}

#[test]
fn every_fault_has_its_class() {
    for (kind, class, status, chunks) in [
        (FaultKind::Error, FailureClass::HttpStatus, 500, 0),
        (FaultKind::RateLimit, FailureClass::HttpStatus, 429, 0),
        (FaultKind::ErrorEvent, FailureClass::ErrorEvent, 200, 4),
        (FaultKind::Truncate, FailureClass::Truncated, 200, 4),
        (FaultKind::Empty, FailureClass::Empty, 200, 0),
        (FaultKind::Garbage, FailureClass::Parse, 200, 4),
    ] {
        let server = server(Some(kind));
        let record = ask(server.addr());
        let text = if matches!(kind, FaultKind::Error | FaultKind::RateLimit | FaultKind::ErrorEvent) {
            "injected"
        } else {
            ""
        };
        failed(&record, class, text);
        assert_eq!((record.status, record.chunks.len()), (Some(status), chunks), "{kind:?}");
    }
}

#[test]
fn odd_answers_that_are_no_failures() {
    let whole = ask(server(Some(FaultKind::NoStream)).addr());
    assert_eq!((&whole.failure, whole.streamed, whole.output_tokens), (&None, false, TOKENS));
    let short = ask(server(Some(FaultKind::Short)).addr());
    assert_eq!((&short.failure, short.output_tokens), (&None, TOKENS / 2));
    assert_eq!(short.finish_reason.as_deref(), Some("stop"));
    let uncounted = ask(server(Some(FaultKind::NoUsage)).addr());
    assert_eq!((&uncounted.failure, &uncounted.usage, uncounted.output_tokens), (&None, &None, TOKENS));
}

#[test]
fn a_stall_is_given_up_as_the_scenario_says() {
    let server = server(Some(FaultKind::Stall));
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let stalled = run(round(server.addr(), 1, seconds(20.0), seconds(0.3))).remove(0);
    failed(&stalled, FailureClass::NoProgress, "no byte for 300ms (`request.no_progress`)");
    assert_eq!(stalled.chunks.len(), 4, "what came before the stall is kept");
    let late = run(round(server.addr(), 1, seconds(0.3), seconds(20.0))).remove(0);
    failed(&late, FailureClass::Timeout, "no end after 300ms (`request.timeout`)");
    assert!(start.elapsed() < seconds(10.0), "{:?}", start.elapsed());
    assert!(stalled.closed >= 300_000_000 && late.closed >= 300_000_000);
}

#[test]
fn nobody_there() {
    let record = ask(nobody());
    failed(&record, FailureClass::Connect, "refused");
    assert_eq!((record.status, record.headers), (None, None));
    assert!(record.closed >= record.sent);
}

#[test]
fn a_connection_is_used_again() {
    let server = server(None);
    let records = run(round(server.addr(), 3, Duration::from_secs(20), Duration::from_secs(10)));
    assert!(records.iter().all(|record| record.failure.is_none()), "{records:?}");
    let opened: Vec<bool> = records.iter().map(|record| record.connect.is_some()).collect();
    assert_eq!(opened, [true, false, false]);
    // A server that closes each connection has each request pay for one.
    let closing = serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let records = run(round(closing, 3, Duration::from_secs(20), Duration::from_secs(10)));
    assert!(records.iter().all(|record| record.failure.is_none() && record.connect.is_some()), "{records:?}");
}

/// llama.cpp's server promises to keep a connection and closes it once a stream has ended. Nothing of that is the
/// request's fault that comes next; what happens on a connection of its own is.
#[test]
fn a_kept_connection_that_the_server_has_closed_fails_no_request() {
    let answered = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let forgetful = serve(move |_, stream| {
        if !answered.lock().unwrap().insert(stream.peer_addr().unwrap()) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        respond(stream, "200 OK", "application/json", body);
    });
    let records = run(round(forgetful, 4, Duration::from_secs(20), Duration::from_secs(10)));
    assert!(records.iter().all(|record| record.failure.is_none()), "{records:?}");
    // Not each has to be: the client may have opened a connection that another request then did not need.
    assert!(records[0].resent == 0 && records.iter().any(|record| record.resent > 0), "{records:?}");

    let (mute, requests) = scripted(vec![Step::Close]);
    let records = run(round(mute, 2, Duration::from_secs(20), Duration::from_secs(10)));
    for record in &records {
        failed(record, FailureClass::Connect, "connection closed before message completed");
        assert_eq!(record.resent, 0);
    }
    assert_eq!(requests.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn a_stop_ends_a_round_at_once() {
    let _alone = measuring();
    let server = server(Some(FaultKind::Stall));
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let stopper = stop.clone();
    let waiter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        stopper.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut engine = Engine::start(1, &TransportOptions::default()).unwrap();
    let start = Instant::now();
    let long = round(server.addr(), 5, Duration::from_secs(60), Duration::from_secs(60));
    let recording = engine.run(long, &stop).unwrap();
    waiter.join().unwrap();
    assert!(recording.interrupted && recording.requests.is_empty());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // The engine can be used again.
    let next = round(server.addr(), 1, Duration::from_millis(100), Duration::from_secs(5));
    assert_eq!(engine.run(next, &AtomicBool::new(false)).unwrap().requests.len(), 1);
}
