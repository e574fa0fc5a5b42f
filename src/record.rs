//! What happened to each request: the hand-over from the engine (or its virtual twin) to the measurements.
//!
//! All times are nanoseconds since the epoch of the trial. A record holds facts only; every figure is
//! derived from it in [`crate::measure`], so that a recording can be saved, replayed and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::Nanos;

/// Which part of a case a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Sent before, never in a statistic.
    Warmup,
    /// Counted.
    Measured,
}

/// One request, from the plan's wish to the closed stream.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRecord {
    /// Position in the plan.
    pub index: u32,
    /// The user that sent it.
    pub user: u32,
    /// Answer tokens that were asked for.
    pub max_tokens: u32,
    /// Sent as `x-request-id`.
    pub request_id: String,
    /// When the plan wanted it to start.
    pub scheduled: Nanos,
    /// When the client began to write it.
    pub sent: Nanos,
    /// When the response's head was read.
    pub headers: Option<Nanos>,
    /// The first stream event of any kind.
    pub first_event: Option<Nanos>,
    /// Every stream event with text, in order.
    pub chunks: Vec<Chunk>,
    /// When the stream ended or was given up.
    pub closed: Nanos,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Whether the answer came as a stream of events (and not as one JSON body).
    pub streamed: bool,
    /// Stream events that shared a network read with an earlier one.
    pub coalesced: u32,
    /// The server's own token counts.
    pub usage: Option<Usage>,
    /// Prompt tokens: the server's count, else the plan's.
    pub input_tokens: u32,
    /// Answer tokens, reasoning included once: the server's count, else the tokenizer's of the whole text, else the
    /// number of chunks. May differ from the sum over `chunks` when the server counts tokens that show no text.
    pub output_tokens: u32,
    /// Where the tokens of `chunks` come from; without meaning if there are none.
    pub token_source: TokenSource,
    /// Why the answer ended, as the server says it (`stop`, `length`).
    pub finish_reason: Option<String>,
    /// Time to open the connection; `None` when a pooled one was used.
    pub connect: Option<Nanos>,
    /// How often it was sent again because the server had closed the pooled connection.
    pub resent: u32,
    /// The client was to give it up on purpose. Unless it failed, it enters no statistic, even if it ended before: else
    /// which requests count would depend on how fast the server is.
    pub to_cancel: bool,
    /// The client did give it up before its end, which is no failure.
    pub cancelled: bool,
    /// What went wrong; such a request never enters a latency statistic.
    pub failure: Option<Failure>,
}

impl RequestRecord {
    /// Whether it has an answer that counts: it did not fail and was not to be given up.
    pub fn is_answered(&self) -> bool {
        self.failure.is_none() && !self.to_cancel
    }

    /// Whether it is in no statistic: it was to be given up and did not fail.
    pub fn is_set_aside(&self) -> bool {
        self.failure.is_none() && self.to_cancel
    }
}

/// A stream event with text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Stamp of the read that completed it.
    pub at: Nanos,
    /// Tokens it carries, by the trial's token source.
    pub tokens: u32,
    /// Reasoning text only: a token, but not yet output.
    pub reasoning: bool,
}

/// Where the token counts of chunks come from. Counts from different sources are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// The server said with each chunk how many tokens there were so far.
    ContinuousUsage,
    /// The server's total shows that each chunk was one token, or there was one chunk with all of them.
    Usage,
    /// The tokenizer, on the whole text after the stream; the total is the server's if it gave one.
    Tokenizer,
    /// One token a chunk, for want of anything better.
    ChunkCount,
}

impl TokenSource {
    /// The source of most answers, the poorer one of two that have as many. One chunk of two tokens among thousands does
    /// not make another source of all.
    pub(crate) fn of_most(answers: &BTreeMap<Self, u64>) -> Option<Self> {
        answers.iter().max_by_key(|(source, count)| (**count, **source)).map(|(source, _)| *source)
    }

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContinuousUsage => "continuous_usage",
            Self::Usage => "usage",
            Self::Tokenizer => "tokenizer",
            Self::ChunkCount => "chunk_count",
        }
    }
}

/// Token counts as the server reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens.
    pub input: u32,
    /// Answer tokens, reasoning included once.
    pub output: u32,
    /// Prompt tokens that came from the prefix cache, if the server says.
    pub cached: Option<u32>,
    /// Answer tokens that were reasoning, if the server says.
    pub reasoning: Option<u32>,
}

/// Why a request did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub class: FailureClass,
    /// The client's or the server's words, redacted, at most 500 characters.
    pub message: String,
}

impl Failure {
    /// Longest message kept, in characters.
    pub const MAX_MESSAGE: usize = 500;

    /// A failure with at most [`Self::MAX_MESSAGE`] characters of `message`.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        let mut message = message.into();
        match cut(&message, Self::MAX_MESSAGE).len() {
            0 if !message.is_empty() => message = "(a word that is too long to quote)".into(),
            length => message.truncate(length),
        }
        Self { class, message }
    }
}

/// The beginning of a text, at most `most` characters.
///
/// A word that would be cut in two is left out: it may be an echoed key, whose half nobody would recognise as a secret.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(most) else { return text };
    let of_key = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%\\".contains(c);
    if text[end..].starts_with(of_key) { text[..end].trim_end_matches(of_key) } else { &text[..end] }
}

/// Classes of failed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// No connection.
    Connect,
    /// No secure connection.
    Tls,
    /// The request took longer than `request.timeout`.
    Timeout,
    /// No byte came for `request.no_progress`.
    NoProgress,
    /// Status 400 or above.
    HttpStatus,
    /// An `error` event inside a stream.
    ErrorEvent,
    /// The stream ended before any finish marker.
    Truncated,
    /// An answer without text although tokens were asked for.
    Empty,
    /// An answer that is not what the protocol says.
    Parse,
}

impl FailureClass {
    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::NoProgress => "no_progress",
            Self::HttpStatus => "http_status",
            Self::ErrorEvent => "error_event",
            Self::Truncated => "truncated",
            Self::Empty => "empty",
            Self::Parse => "parse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_messages_are_cut_between_characters() {
        let failure = Failure::new(FailureClass::HttpStatus, "é".repeat(501));
        assert_eq!(failure.message, "é".repeat(500));
        assert_eq!(Failure::new(FailureClass::Parse, "short").message, "short");
    }

    #[test]
    fn no_half_of_a_key_is_left_at_a_cut() {
        let text = "refused: Bearer abc-123/x==, sorry";
        assert_eq!(cut(text, 40), text);
        assert_eq!(cut(text, 27), "refused: Bearer abc-123/x==");
        for most in 17..27 {
            assert_eq!(cut(text, most), "refused: Bearer ", "{most}");
        }
    }

    #[test]
    fn the_source_of_most_answers_stands_for_all() {
        use TokenSource::{Tokenizer, Usage};
        let of = |usage, tokenizer| TokenSource::of_most(&BTreeMap::from([(Usage, usage), (Tokenizer, tokenizer)]));
        assert_eq!(TokenSource::of_most(&BTreeMap::new()), None);
        assert_eq!((of(95, 1), of(1, 95), of(48, 48)), (Some(Usage), Some(Tokenizer), Some(Tokenizer)));
    }
}
