//! What servers do to a request, through real sockets: each fault has its class, and none ends the engine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::plan::Pacing;
use tokpace::profile::{Embedded, Fault, FaultKind, TtftCost};
use tokpace::record::{FailureClass, RequestRecord};
use tokpace::sim::{Server, ServerOptions};
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};
use tokpace::wire::openai_chat;

use crate::support::{measuring, nobody, respond, serve};

const TOKENS: u32 = 8;

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

/// `count` requests of one user to `address`, each given up after `timeout` or `no_progress`.
fn round(address: SocketAddr, count: u32, timeout: Duration, no_progress: Duration) -> Round {
    let body = openai_chat::body("tokpace-sim", None, "and the garden", TOKENS, true, &BTreeMap::new());
    let requests = (0..count).map(|index| Outgoing {
        index,
        user: 0,
        at: 0,
        max_tokens: TOKENS,
        input_tokens: 3,
        request_id: format!("fault-{index}"),
        body: body.clone().into(),
    });
    Round {
        url: format!("http://{address}/v1{}", openai_chat::PATH),
        pacing: Pacing::Closed { users: 1, ramp_up: 0 },
        duration: None,
        timeout,
        no_progress,
        requests: requests.collect(),
    }
}

fn run(round: Round) -> Vec<RequestRecord> {
    let _alone = measuring();
    let mut engine = Engine::start(1, &TransportOptions::default()).unwrap();
    let recording = engine.run(round, &AtomicBool::new(false)).unwrap();
    assert!(!recording.interrupted);
    recording.requests.iter().map(|raw| openai_chat::interpret(raw, &Tokenizer::bundled())).collect()
}

/// One request that may take long.
fn ask(address: SocketAddr) -> RequestRecord {
    run(round(address, 1, Duration::from_secs(20), Duration::from_secs(10))).remove(0)
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
fn a_server_that_never_answers_is_given_up() {
    // It reads, and that is all.
    let silent = serve(|_, _| std::thread::sleep(Duration::from_secs(2)));
    let record = run(round(silent, 1, Duration::from_millis(200), Duration::from_secs(20))).remove(0);
    failed(&record, FailureClass::Timeout, "`request.timeout`");
    assert_eq!((record.status, record.headers), (None, None));
}

#[test]
fn nobody_there() {
    let record = ask(nobody());
    failed(&record, FailureClass::Connect, "refused");
    assert_eq!((record.status, record.headers), (None, None));
    assert!(record.closed >= record.sent);
}

#[test]
fn a_connection_that_is_closed_before_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let records = run(round(address, 3, Duration::from_secs(20), Duration::from_secs(10)));
    // One failure each: nothing is sent again behind the user's back, nothing ends the round.
    assert_eq!(records.len(), 3);
    for record in &records {
        let class = record.failure.as_ref().map(|failure| failure.class);
        assert!(matches!(class, Some(FailureClass::Connect | FailureClass::Truncated)), "{record:?}");
        assert_eq!(record.status, None);
    }
}

#[test]
fn an_error_page_is_quoted() {
    let gateway = serve(|_, stream| respond(stream, "502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>"));
    let record = ask(gateway);
    failed(&record, FailureClass::HttpStatus, "<h1>Bad Gateway</h1>");
    assert_eq!(record.status, Some(502));
    let page = serve(|_, stream| respond(stream, "200 OK", "text/html", "<h1>Welcome</h1>"));
    failed(&ask(page), FailureClass::Parse, "Welcome");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = serve(|_, stream| {
        let head = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
    });
    let record = ask(elsewhere);
    assert!(record.failure.is_some(), "{record:?}");
    assert_eq!(record.status, Some(307));
}

#[test]
fn an_answer_that_trickles_is_read_whole() {
    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}llo\"}}]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let trickle = serve(|_, stream| {
        let length = STREAM.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{STREAM}");
        for byte in answer.as_bytes() {
            let _ = stream.write_all(&[*byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let record = ask(trickle);
    assert_eq!((&record.failure, record.chunks.len(), record.status), (&None, 1, Some(200)));
    // Every byte is progress: the answer as a whole may take longer than the longest silence.
    let patient = round(trickle, 1, Duration::from_secs(20), Duration::from_millis(150));
    assert_eq!(run(patient).remove(0).failure, None);
    // A head and then silence is none.
    let headless = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        std::thread::sleep(Duration::from_secs(1));
    });
    let record = run(round(headless, 1, Duration::from_secs(20), Duration::from_millis(200))).remove(0);
    failed(&record, FailureClass::NoProgress, "no byte for 200ms");
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
