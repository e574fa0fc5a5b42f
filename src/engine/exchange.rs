//! One request on the wire: written, then read until its stream ends or is given up.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::engine::transport::{Transport, classify};
use crate::engine::{Clock, Outgoing, Round, connect};
use crate::record::{Failure, FailureClass};
use crate::units::Nanos;
use crate::wire::{RawRequest, Read};

/// An answer longer than this is given up: no server sends it, and memory is finite.
const LONGEST_ANSWER: usize = 256 << 20;

/// A request that only has to be polled to be written.
pub(crate) type Prepared = Pin<Box<dyn Future<Output = reqwest::Result<reqwest::Response>> + Send>>;

/// A request as it will be written. Made before the round begins: URLs, header maps and layers are no part of sending.
pub(crate) fn prepare(transport: &Transport, round: &Round, outgoing: &Outgoing) -> reqwest::Result<Prepared> {
    let request = transport
        .client
        .post(&*round.url)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .header(reqwest::header::ACCEPT_ENCODING, "identity")
        .header("x-request-id", &outgoing.request_id)
        .body(outgoing.body.clone())
        .build()?;
    Ok(Box::pin(transport.client.execute(request)))
}

/// Sends `outgoing` and keeps what comes back with the stamp of each read.
pub(crate) async fn exchange(
    round: &Round,
    clock: Clock,
    outgoing: &Outgoing,
    request: Prepared,
    scheduled: Nanos,
) -> RawRequest {
    let mut raw = RawRequest {
        index: outgoing.index,
        user: outgoing.user,
        max_tokens: outgoing.max_tokens,
        planned_input_tokens: outgoing.input_tokens,
        request_id: outgoing.request_id.clone(),
        scheduled,
        sent: 0,
        headers: None,
        status: None,
        event_stream: false,
        reads: Vec::with_capacity(outgoing.max_tokens as usize + 4),
        bytes: Vec::new(),
        closed: 0,
        connect: None,
        failure: None,
    };
    raw.sent = clock.now();
    let (failure, connect) = connect::attributed(converse(request, round, clock, &mut raw)).await;
    raw.connect = connect;
    raw.failure = failure;
    raw.closed = clock.now();
    if raw.failure.is_none()
        && let Some(last) = raw.reads.last()
    {
        // A stream's end is its last read, not the moment at which this task saw that nothing follows.
        raw.closed = last.at;
    }
    raw
}

async fn converse(request: Prepared, round: &Round, clock: Clock, raw: &mut RawRequest) -> Option<Failure> {
    let mut watchdog = Watchdog::new(round.timeout, round.no_progress);
    let mut response = tokio::select! {
        biased;
        response = request => match response {
            Ok(response) => response,
            Err(error) => return Some(failure(classify(&error))),
        },
        given_up = watchdog.wait() => return Some(given_up),
    };
    raw.headers = Some(clock.now());
    raw.status = Some(response.status().as_u16());
    raw.event_stream = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
    watchdog.progress();
    loop {
        let chunk: Result<Option<Bytes>, reqwest::Error> = tokio::select! {
            biased;
            chunk = response.chunk() => chunk,
            given_up = watchdog.wait() => return Some(given_up),
        };
        // Before anything else is done with the bytes: this is the stamp that every latency rests on.
        let at = clock.now();
        match chunk {
            Ok(Some(bytes)) => {
                raw.bytes.extend_from_slice(&bytes);
                raw.reads.push(Read { at, end: raw.bytes.len() as u32 });
                watchdog.progress();
                if raw.bytes.len() > LONGEST_ANSWER {
                    return Some(failure((
                        FailureClass::Parse,
                        format!("the answer is longer than {} MiB", LONGEST_ANSWER >> 20),
                    )));
                }
            }
            Ok(None) => return None,
            Err(error) => return Some(failure(classify(&error))),
        }
    }
}

fn failure((class, message): (FailureClass, String)) -> Failure {
    Failure::new(class, message)
}

/// Gives a request up when it takes too long as a whole or makes no progress.
///
/// One timer a request, moved only when it fires: per-token work is a single store.
struct Watchdog {
    started: Instant,
    progressed: Instant,
    timeout: Duration,
    no_progress: Duration,
    timer: std::pin::Pin<Box<tokio::time::Sleep>>,
}

impl Watchdog {
    fn new(timeout: Duration, no_progress: Duration) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            progressed: now,
            timeout,
            no_progress,
            timer: Box::pin(tokio::time::sleep_until(now + timeout.min(no_progress))),
        }
    }

    fn progress(&mut self) {
        self.progressed = Instant::now();
    }

    async fn wait(&mut self) -> Failure {
        loop {
            self.timer.as_mut().await;
            let now = Instant::now();
            if now >= self.started + self.timeout {
                return Failure {
                    class: FailureClass::Timeout,
                    message: format!("no end after {:?} (`request.timeout`)", self.timeout),
                };
            }
            if now >= self.progressed + self.no_progress {
                return Failure {
                    class: FailureClass::NoProgress,
                    message: format!("no byte for {:?} (`request.no_progress`)", self.no_progress),
                };
            }
            let next = (self.started + self.timeout).min(self.progressed + self.no_progress);
            self.timer.as_mut().reset(next);
        }
    }
}
