//! The texts of an answer: events of a stream, or one JSON body. One token is one event is one body frame.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use serde_json::json;

use super::draw::{Purpose, generator};
use super::engine::Ticket;
use super::faults;
use super::journal::Journal;
use super::model::Emission;
use crate::profile::FaultKind;
use crate::tokens::corpus;

/// What all texts of one answer need.
pub(super) struct Answer {
    /// Completion id.
    pub(super) id: String,
    /// Unix time in seconds.
    pub(super) created: u64,
    /// The model's name.
    pub(super) model: String,
    /// Prompt tokens.
    pub(super) prompt_tokens: u32,
    /// Answer tokens that were asked for.
    pub(super) max_tokens: u32,
    /// Whether the stream ends with the counts.
    pub(super) include_usage: bool,
    /// What goes wrong.
    pub(super) fault: Option<FaultKind>,
    /// The words.
    pub(super) words: Words,
}

/// An endless text in which each word is one token.
pub(super) struct Words {
    generator: Pcg64,
    first: bool,
}

impl Words {
    /// The text of the request with this number.
    pub(super) fn new(seed: u64, id: u64) -> Self {
        Self { generator: generator(seed, Purpose::Answer, id), first: true }
    }

    /// Appends the next word, with the space that separates it from the last one.
    pub(super) fn push_next(&mut self, text: &mut String) {
        let words = corpus::words();
        if !std::mem::replace(&mut self.first, false) {
            text.push(' ');
        }
        text.push_str(words[(self.generator.next_u64() % words.len() as u64) as usize]);
    }
}

impl Answer {
    fn usage(&self, tokens: u32, cached: u32) -> serde_json::Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + tokens,
            "completion_tokens": tokens,
            "prompt_tokens_details": { "cached_tokens": cached },
        })
    }

    /// The whole answer as one JSON body; `last` is its last token.
    pub(super) fn body(&mut self, last: &Emission) -> String {
        let tokens = if self.fault == Some(FaultKind::Empty) { 0 } else { last.index + 1 };
        let mut content = String::new();
        for _ in 0..tokens {
            self.words.push_next(&mut content);
        }
        let mut body = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": content },
                "logprobs": null,
                "finish_reason": faults::finish_reason(self.fault),
            }],
        });
        if self.fault != Some(FaultKind::NoUsage) {
            body["usage"] = self.usage(tokens, last.cached_tokens);
        }
        body.to_string()
    }
}

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

/// The answer as a stream of server-sent events.
pub(super) struct Events {
    answer: Answer,
    ticket: Ticket,
    /// What each event begins with.
    head: String,
    ready: VecDeque<Bytes>,
    then: Then,
    journal: Option<Journal>,
}

const CHOICE: &str = "\"choices\":[{\"index\":0,\"delta\":{";

impl Events {
    /// A stream that begins with an event without text.
    pub(super) fn new(answer: Answer, ticket: Ticket, journal: Option<Journal>) -> Self {
        let head = format!(
            "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},",
            json!(answer.id),
            answer.created,
            json!(answer.model)
        );
        let mut events = Self { answer, ticket, head, ready: VecDeque::new(), then: Then::Tokens, journal };
        events.chunk("\"role\":\"assistant\",\"content\":\"", |_, _| {}, "\"}", "null");
        events
    }

    /// Queues an event with one choice, whose text `fill` appends.
    fn chunk(&mut self, delta: &str, fill: impl FnOnce(&mut Words, &mut String), tail: &str, reason: &str) {
        let mut event = String::with_capacity(self.head.len() + 160);
        event.push_str(&self.head);
        event.push_str(CHOICE);
        event.push_str(delta);
        fill(&mut self.answer.words, &mut event);
        event.push_str(tail);
        // Writing to a string cannot fail.
        let _ = write!(event, ",\"logprobs\":null,\"finish_reason\":{reason}}}]");
        event.push_str(if self.answer.include_usage { ",\"usage\":null}\n\n" } else { "}\n\n" });
        self.ready.push_back(event.into());
    }

    fn token(&mut self, token: &Emission) {
        let fault = self.answer.fault;
        if fault != Some(FaultKind::Empty) {
            // The corpus is of plain words, which need no escaping in JSON.
            self.chunk("\"content\":\"", Words::push_next, "\"}", "null");
            if let Some(journal) = &mut self.journal {
                journal.token();
            }
        }
        if fault == Some(FaultKind::Garbage) && token.index + 1 == faults::half(self.answer.max_tokens) {
            self.ready.push_back(Bytes::from_static(b"data: {\"id\": \"chatcmpl-\n\n"));
        }
        if token.last {
            self.finish(token);
        }
    }

    fn finish(&mut self, last: &Emission) {
        self.then = match self.answer.fault {
            Some(FaultKind::Stall) => Then::Silence,
            Some(FaultKind::Truncate) => Then::Break,
            _ => Then::End,
        };
        if self.then != Then::End {
            return;
        }
        if self.answer.fault == Some(FaultKind::ErrorEvent) {
            let message = faults::message(FaultKind::ErrorEvent);
            let error = json!({ "error": { "message": message, "type": "internal_server_error", "code": 500 } });
            self.ready.push_back(format!("data: {error}\n\n").into());
        } else {
            let reason = json!(faults::finish_reason(self.answer.fault)).to_string();
            self.chunk("", |_, _| {}, "}", &reason);
            if self.answer.include_usage && self.answer.fault != Some(FaultKind::NoUsage) {
                let tokens = if self.answer.fault == Some(FaultKind::Empty) { 0 } else { last.index + 1 };
                let usage = self.answer.usage(tokens, last.cached_tokens);
                self.ready.push_back(format!("{}\"choices\":[],\"usage\":{usage}}}\n\n", self.head).into());
            }
        }
        self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
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
                Then::Tokens => match self.ticket.poll(cx) {
                    Poll::Ready(Some(token)) => self.token(&token),
                    Poll::Ready(None) => self.then = Then::Broken,
                    Poll::Pending => return Poll::Pending,
                },
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
