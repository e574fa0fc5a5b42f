//! What the protocols that the server speaks have in common: a request, an answer, and the texts that each makes of it.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use serde_json::{Value, json};

use super::draw::{Purpose, generator};
use super::faults;
use super::http::Refusal;
use super::stream::Events;
use crate::profile::FaultKind;
use crate::tokens::corpus;

/// What the server takes from a request, whatever was spoken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The model that is asked for; `None` for any.
    pub(super) model: Option<String>,
    /// The texts of each prompt, in order.
    pub(super) prompts: Vec<Vec<String>>,
    /// Answer tokens, at least 1.
    pub(super) max_tokens: u32,
    /// What each prompt says for itself, in protocols in which it does.
    pub(super) own: Vec<Own>,
    /// Whether the answer comes as a stream.
    pub(super) stream: bool,
    /// Whether the stream ends with the token counts.
    pub(super) include_usage: bool,
}

/// What a prompt of several says for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// The client's number for it.
    pub(super) id: u64,
    /// Answer tokens, at least 1.
    pub(super) max_tokens: u32,
    /// The prompt, if it came as tokens in place of a text. Then the answer does, too.
    pub(super) tokens: Option<Vec<u32>>,
}

/// A protocol as the server speaks it.
pub(super) struct Dialect {
    /// What the ids of its answers begin with.
    pub(super) id: &'static str,
    /// Reads a request's body; the flag says whether the path is that of streams, where the path says it.
    pub(super) parse: fn(&[u8], Option<bool>) -> Result<Asked, Refusal>,
    /// What each event of an answer begins with.
    pub(super) head: fn(&Answer) -> String,
    /// The event before the first token, if there is one.
    pub(super) opening: fn(&Answer) -> Option<Bytes>,
    /// The event of a token.
    pub(super) token: fn(&mut Answer, Token) -> Option<Bytes>,
    /// What follows the last token of all choices.
    pub(super) end: fn(&mut Answer) -> Vec<Bytes>,
    /// An error inside a stream.
    pub(super) error: fn(&Answer, &str) -> Vec<Bytes>,
    /// Half an event.
    pub(super) garbage: &'static [u8],
    /// The whole answer as one JSON body.
    pub(super) body: fn(&mut Answer) -> Value,
    /// The answer as a stream.
    pub(super) stream: fn(Events) -> Response,
    /// An answer that is an error.
    pub(super) refusal: fn(&Refusal) -> Response,
}

/// A token on its way into an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// Which prompt it answers.
    pub(super) choice: usize,
    /// Whether it has a text: those of an empty answer have none.
    pub(super) said: bool,
    /// Whether the choice ends properly with it.
    pub(super) last: bool,
}

/// What all texts of one answer need.
pub(super) struct Answer {
    /// Completion id.
    pub(super) id: String,
    /// Unix time in seconds.
    pub(super) created: u64,
    /// The model's name.
    pub(super) model: String,
    /// Whether the stream ends with the counts.
    pub(super) include_usage: bool,
    /// What goes wrong.
    pub(super) fault: Option<FaultKind>,
    /// What each event begins with; made by the dialect.
    pub(super) head: String,
    /// An answer for each prompt.
    pub(super) choices: Vec<Choice>,
}

/// The answer to one prompt.
pub(super) struct Choice {
    /// The words.
    pub(super) words: Words,
    /// Prompt tokens.
    pub(super) prompt_tokens: u32,
    /// Prompt tokens that came from the prefix cache.
    pub(super) cached_tokens: u32,
    /// Answer tokens so far, those without a text left out.
    pub(super) tokens: u32,
    /// The text so far, in dialects that repeat it.
    pub(super) text: String,
    /// What its prompt says for itself.
    pub(super) own: Own,
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

impl Choice {
    /// The words of all its tokens, as one text.
    pub(super) fn whole(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.tokens {
            self.words.push_next(&mut text);
        }
        text
    }
}

impl Answer {
    /// The token counts of all choices as `OpenAI`'s protocols write them.
    pub(super) fn usage(&self) -> Value {
        let sum = |of: fn(&Choice) -> u32| self.choices.iter().map(of).sum::<u32>();
        let (prompt, tokens) = (sum(|choice| choice.prompt_tokens), sum(|choice| choice.tokens));
        json!({
            "prompt_tokens": prompt,
            "total_tokens": prompt + tokens,
            "completion_tokens": tokens,
            "prompt_tokens_details": { "cached_tokens": sum(|choice| choice.cached_tokens) },
        })
    }

    /// Why it ends.
    pub(super) fn finish_reason(&self) -> &'static str {
        faults::finish_reason(self.fault)
    }

    /// Whether its token counts are kept back.
    pub(super) fn is_uncounted(&self) -> bool {
        self.fault == Some(FaultKind::NoUsage)
    }
}

/// `OpenAI`'s error object.
pub(super) fn openai_refusal(refusal: &Refusal) -> Response {
    let kind = match refusal.status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "internal_server_error",
        _ => "invalid_request_error",
    };
    let error = json!({ "message": refusal.message, "type": kind, "param": null, "code": refusal.code });
    json_response(refusal.status, &json!({ "error": error }))
}

/// `OpenAI`'s error inside a stream, and the stream's end.
pub(super) fn openai_error(_: &Answer, message: &str) -> Vec<Bytes> {
    let error = json!({ "error": { "message": message, "type": "internal_server_error", "code": 500 } });
    vec![format!("data: {error}\n\n").into(), DONE]
}

/// A stream of server-sent events.
pub(super) fn events(events: Events) -> Response {
    let head = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (head, Body::new(events)).into_response()
}

/// A JSON body.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The end mark of `OpenAI`'s streams.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");
