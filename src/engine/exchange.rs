//! One request on the wire: written, then read until its stream ends or is given up.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use http_body::{Body as _, Frame};
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::engine::body::{Body, Taken};
use crate::engine::stamps::Stamps;
use crate::engine::transport::{Transport, classify, met_closed_connection};
use crate::engine::watchdog::{GivenUp, Watchdog};
use crate::engine::{Clock, Outgoing, Round, connect};
use crate::record::{Failure, FailureClass};
use crate::units::Nanos;
use crate::wire::{RawRequest, Read};

/// Bytes that an answer may take with the stamps of its reads: far more than its tokens need, even with
/// probabilities beside each. A server that sends more is given up, since memory is finite.
const fn most_bytes(max_tokens: u32) -> usize {
    let wanted = (16 << 20) + max_tokens as usize * (16 << 10);
    if wanted < LONGEST_ANSWER { wanted } else { LONGEST_ANSWER }
}

/// No answer takes more than this.
const LONGEST_ANSWER: usize = 256 << 20;

/// Most memory that an answer is given before it has come.
const MOST_RESERVED: usize = 1 << 20;

/// A request is sent again so often at most. Each time it takes a connection that the client had kept out of use.
const MOST_RESENT: u32 = 16;

/// A request that only has to be polled to be written.
pub(crate) struct Prepared {
    response: Pin<Box<dyn Future<Output = reqwest::Result<reqwest::Response>> + Send>>,
    taken: Taken,
}

/// A request as it will be written. Made before the round begins: URLs, header maps and layers are no part of sending.
pub(crate) fn prepare(transport: &Transport, round: &Round, outgoing: &Outgoing) -> reqwest::Result<Prepared> {
    let taken = Taken::default();
    let mut request = transport
        .client
        .post(&*round.url)
        .header(reqwest::header::CONTENT_TYPE, round.protocol.content_type())
        .header(reqwest::header::ACCEPT_ENCODING, "identity")
        .header("x-request-id", &outgoing.request_id)
        .body(reqwest::Body::wrap(Body::new(outgoing.body.clone(), taken.clone())));
    if round.protocol.is_grpc() {
        request = request.header(reqwest::header::TE, "trailers").header("grpc-accept-encoding", "identity");
    }
    Ok(Prepared { response: Box::pin(transport.client.execute(request.build()?)), taken })
}

/// What a request is sent with.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) round: &'a Round,
    pub(crate) clock: Clock,
}

/// Sends `outgoing` and keeps what comes back with the stamp of each read.
pub(crate) async fn exchange(line: Line<'_>, outgoing: &Outgoing, request: Prepared, scheduled: Nanos) -> RawRequest {
    let clock = line.clock;
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
        resent: 0,
        to_cancel: outgoing.cancel.is_some(),
        cancelled: false,
        failure: None,
    };
    raw.sent = clock.now();
    raw.failure = match converse(line, outgoing, request, &mut raw).await {
        Ok(()) => None,
        Err(GivenUp::OnPurpose) => {
            raw.cancelled = true;
            None
        }
        Err(GivenUp::Failed(failure)) => Some(failure),
    };
    raw.closed = clock.now();
    if raw.failure.is_none()
        && !raw.cancelled
        && let Some(last) = raw.reads.last()
    {
        // A stream's end is its last read, not the moment at which this task saw that nothing follows.
        raw.closed = last.at;
    }
    raw
}

/// Waits for the answer to begin. A request that met a connection which the server had just closed is sent again, as
/// often as there may be others like it: it never reached the server, and says nothing of it.
async fn head(
    line: Line<'_>,
    outgoing: &Outgoing,
    mut request: Prepared,
    raw: &mut RawRequest,
    watchdog: &mut Watchdog,
) -> Result<reqwest::Response, GivenUp> {
    loop {
        let (response, connect) = connect::attributed(async {
            tokio::select! {
                biased;
                response = request.response => Ok(response),
                given_up = watchdog.wait() => Err(given_up),
            }
        })
        .await;
        raw.connect = connect;
        // What it took to open a connection stays within the latency; `connect` says how much that was.
        if let Some(taken) = request.taken.at()
            && connect.is_none()
            && raw.resent == 0
        {
            raw.sent = line.clock.stamp(taken);
        }
        let error = match response? {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        // On a connection of its own it did reach the server.
        if connect.is_some() || raw.resent == MOST_RESENT || !met_closed_connection(&error) {
            return Err(failure(classify(&error)));
        }
        raw.resent += 1;
        request = prepare(line.transport, line.round, outgoing).map_err(|error| failure(classify(&error)))?;
    }
}

/// Reads an answer to its end, or until it is given up. Its bytes are looked at only if a number of tokens ends it.
async fn converse(line: Line<'_>, outgoing: &Outgoing, request: Prepared, raw: &mut RawRequest) -> Result<(), GivenUp> {
    let Line { round, clock, .. } = line;
    let cancel_after = outgoing.cancel.and_then(|cancel| cancel.after).map(Duration::from_nanos);
    let mut until = outgoing.cancel.and_then(|cancel| Some((cancel.after_tokens?, round.protocol.progress())));
    let mut watchdog = Watchdog::new(round, cancel_after, request.taken.clone());
    let response = head(line, outgoing, request, raw, &mut watchdog).await?;
    let mut stamps = Stamps::begin(clock);
    raw.headers = Some(stamps.at());
    raw.status = Some(response.status().as_u16());
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let kind = header(reqwest::header::CONTENT_TYPE);
    raw.event_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    let coding = header(reqwest::header::CONTENT_ENCODING);
    if let Some(coding) = coding.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")) {
        // Compressed events come in blocks, whenever a block is full: they would have no times to speak of.
        let message =
            format!("the body is compressed (`content-encoding: {coding}`) although `identity` was asked for");
        return Err(failure((FailureClass::Parse, message)));
    }
    if let Some(status) = status_bytes(round, response.headers()) {
        keep(raw, &status, stamps.at());
    }
    let most = most_bytes(raw.max_tokens);
    watchdog.progressed(Instant::now());
    // The response itself passes over trailers.
    let mut body = reqwest::Body::from(response);
    loop {
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => frame,
            given_up = watchdog.wait() => return Err(given_up),
        };
        // Before anything else is done with the bytes: this is the stamp that every latency rests on.
        let now = std::time::Instant::now();
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(bytes))) => {
                keep(raw, &bytes, stamps.frame(now));
                watchdog.progressed(now.into());
                if let Some((tokens, progress)) = &mut until
                    && progress.push(&bytes) >= *tokens
                {
                    return Err(GivenUp::OnPurpose);
                }
                if raw.bytes.len() + raw.reads.len() * size_of::<Read>() > most {
                    let message = format!("the answer takes more than {} MiB of memory", most >> 20);
                    return Err(failure((FailureClass::Parse, message)));
                }
            }
            Some(Ok(Err(other))) => {
                if let Some(status) = other.trailers_ref().and_then(|trailers| status_bytes(round, trailers)) {
                    keep(raw, &status, stamps.frame(now));
                }
            }
            Some(Err(error)) => return Err(failure(classify(&error))),
            None => return Ok(()),
        }
    }
}

/// What a head or trailers say of an answer, where that is part of the answer.
fn status_bytes(round: &Round, headers: &HeaderMap) -> Option<Vec<u8>> {
    round.protocol.status_bytes(|name| headers.get(name).map(HeaderValue::as_bytes))
}

/// Adds a frame to its read, or begins a new one.
fn keep(raw: &mut RawRequest, bytes: &[u8], at: Nanos) {
    if raw.reads.is_empty() {
        // One event is as long as another: what grows while tokens come is moved again and again.
        raw.bytes.reserve(bytes.len().saturating_mul(raw.max_tokens as usize + 4).min(MOST_RESERVED));
    }
    raw.bytes.extend_from_slice(bytes);
    let end = raw.bytes.len() as u32;
    match raw.reads.last_mut() {
        Some(read) if read.at == at => read.end = end,
        _ => raw.reads.push(Read { at, end }),
    }
}

fn failure((class, message): (FailureClass, String)) -> GivenUp {
    GivenUp::Failed(Failure::new(class, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_long_but_not_endless() {
        assert_eq!(most_bytes(0), 16 << 20);
        assert_eq!(most_bytes(1024), 32 << 20);
        assert_eq!(most_bytes(u32::MAX), LONGEST_ANSWER);
        // Offsets of reads have 32 bits.
        assert!(u32::try_from(LONGEST_ANSWER * 2).is_ok());
    }
}
