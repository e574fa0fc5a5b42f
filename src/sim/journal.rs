//! When each token of an answer left: the server's own record, to hold against what a client reports.

use std::sync::Arc;
use std::time::Instant;

use super::server::Shared;
use crate::units::Nanos;

/// When the tokens of a streamed answer left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departures {
    /// The request's `x-request-id`; empty if it had none.
    pub request_id: String,
    /// When the request's body was complete.
    pub received: Instant,
    /// When each token's event was given to its connection, which writes it at once.
    pub tokens: Vec<Instant>,
}

impl Departures {
    /// From the request's arrival to the first token, and from there to the last by the number of gaps; `None` with
    /// fewer than two tokens. What a client reports as TTFT and TPOT is longer by the way there and back.
    pub fn ttft_and_tpot(&self) -> Option<[Nanos; 2]> {
        let (first, last) = (self.tokens.first()?, self.tokens.last()?);
        let gaps = (self.tokens.len() as u128 - 1).max(1);
        let ttft = first.duration_since(self.received).as_nanos();
        let tpot = last.duration_since(*first).as_nanos() / gaps;
        (self.tokens.len() > 1).then_some([ttft as Nanos, tpot as Nanos])
    }
}

/// The record of one answer, handed in when the answer is dropped.
pub(super) struct Journal {
    departures: Departures,
    shared: Arc<Shared>,
}

impl Journal {
    /// An empty record.
    pub(super) fn new(request_id: &str, received: Instant, shared: Arc<Shared>) -> Self {
        let departures = Departures { request_id: request_id.to_owned(), received, tokens: Vec::new() };
        Self { departures, shared }
    }

    /// A token leaves now.
    pub(super) fn token(&mut self) {
        self.departures.tokens.push(Instant::now());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let departures = Departures { tokens: std::mem::take(&mut self.departures.tokens), ..self.departures.clone() };
        self.shared.note_departures(departures);
    }
}
