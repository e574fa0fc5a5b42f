//! An answer as a stream of events. One token is one event is one body frame.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame};

use super::dialect::{Answer, Dialect, Token};
use super::engine::Ticket;
use super::faults;
use super::journal::Journal;
use super::model::Emission;
use crate::profile::FaultKind;

/// What comes after the frames that are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// More tokens.
    Tokens,
    /// The end of the stream.
    End,
    /// Nothing, ever.
    Silence,
    /// The connection breaks, once what was written has left.
    Break,
    /// The connection breaks.
    Broken,
}

/// The answer as a stream of body frames.
pub(super) struct Events {
    dialect: &'static Dialect,
    answer: Answer,
    /// One a choice; `None` when its last token has come.
    tickets: Vec<Option<Ticket>>,
    ready: VecDeque<Bytes>,
    then: Then,
    journal: Option<Journal>,
}

impl Events {
    /// A stream of the tokens of `tickets`, one a choice.
    pub(super) fn new(
        dialect: &'static Dialect,
        mut answer: Answer,
        tickets: Vec<Ticket>,
        journal: Option<Journal>,
    ) -> Self {
        answer.head = (dialect.head)(&answer);
        let ready = (dialect.opening)(&answer).into_iter().collect();
        let tickets = tickets.into_iter().map(Some).collect();
        Self { dialect, answer, tickets, ready, then: Then::Tokens, journal }
    }

    fn token(&mut self, choice: usize, token: &Emission) {
        let fault = self.answer.fault;
        let said = fault != Some(FaultKind::Empty);
        let broken = matches!(fault, Some(FaultKind::Stall | FaultKind::Truncate | FaultKind::ErrorEvent));
        let state = &mut self.answer.choices[choice];
        state.cached_tokens = token.cached_tokens;
        state.tokens += u32::from(said);
        let event = (self.dialect.token)(&mut self.answer, Token { choice, said, last: token.last && !broken });
        self.ready.extend(event);
        if let Some(journal) = self.journal.as_mut().filter(|_| said) {
            journal.token();
        }
        if fault == Some(FaultKind::Garbage)
            && token.index + 1 == faults::half(self.answer.choices[choice].own.max_tokens)
        {
            self.ready.push_back(Bytes::from_static(self.dialect.garbage));
        }
        if token.last {
            self.tickets[choice] = None;
            if self.tickets.iter().all(Option::is_none) {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        self.then = match self.answer.fault {
            Some(FaultKind::Stall) => Then::Silence,
            Some(FaultKind::Truncate) => Then::Break,
            _ => Then::End,
        };
        if self.then != Then::End {
            return;
        }
        self.ready.extend(if self.answer.fault == Some(FaultKind::ErrorEvent) {
            (self.dialect.error)(&self.answer, faults::message(FaultKind::ErrorEvent))
        } else {
            (self.dialect.end)(&mut self.answer)
        });
    }

    /// Takes a token of each choice that has one; false if none has.
    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let mut found = false;
        for choice in 0..self.tickets.len() {
            let Some(ticket) = &mut self.tickets[choice] else { continue };
            match ticket.poll(cx) {
                Poll::Ready(Some(token)) => self.token(choice, &token),
                Poll::Ready(None) => self.then = Then::Broken,
                Poll::Pending => continue,
            }
            found = true;
        }
        found
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            match self.then {
                Then::Tokens => {
                    if !self.take(cx) {
                        return Poll::Pending;
                    }
                }
                Then::End => return Poll::Ready(None),
                Then::Silence => return Poll::Pending,
                Then::Break => {
                    // Being pending makes the connection write what it has; an error would throw it away.
                    self.then = Then::Broken;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Then::Broken => {
                    self.then = Then::End;
                    return Poll::Ready(Some(Err("the stream was broken off")));
                }
            }
        }
    }
}
