//! When each token of an answer left: the server's own record, to hold against what a client reports.

use std::sync::Arc;
use std::time::Instant;

use super::server::Shared;

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
