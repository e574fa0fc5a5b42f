//! From stamped bytes to a record: what is the same for every protocol.

use std::borrow::Cow;

use serde_json::Value;

use super::counts::{self, Pieces};
use super::raw::RawRequest;
use super::sse::{SseEvent, SseParser};
use super::template::Template;
use crate::record::{Chunk, Failure, FailureClass, RequestRecord, Usage};
use crate::tokens::Tokenizer;
use crate::units::Nanos;

/// No protocol has events anywhere near this size; a server that sends one is not speaking it.
pub(super) const MAX_EVENT_BYTES: usize = 4 << 20;

/// What one event, or a whole JSON body, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A part of the answer, or all of it.
    Part(Part),
    /// The stream's end mark.
    Done,
    /// The server's own error, in its words.
    Error(String),
}

/// A part of an answer; all of it may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Reasoning text.
    pub(super) reasoning: String,
    /// It is a token although it has no text.
    pub(super) silent: bool,
    /// Answer text and tool-call arguments.
    pub(super) answer: String,
    /// Why the answer ends here, if it does.
    pub(super) finish_reason: Option<String>,
    /// Whether nothing follows.
    pub(super) last: bool,
    /// Token counts up to here.
    pub(super) usage: Option<PartUsage>,
}

/// Token counts as far as a server gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartUsage {
    pub(super) input: Option<u32>,
    pub(super) output: Option<u32>,
    pub(super) cached: Option<u32>,
    pub(super) reasoning: Option<u32>,
}

/// Reads an event's name and data; a body without a stream comes under the name `message`. The error says what is
/// wrong with it.
pub(super) type Decode = fn(name: &str, data: &str) -> Result<Message, String>;

/// The answer so far.
#[derive(Default)]
struct Answer {
    streamed: bool,
    first_event: Option<Nanos>,
    coalesced: u32,
    /// One for each of `texts`.
    chunks: Vec<Chunk>,
    texts: Pieces,
    usage: Option<PartUsage>,
    finish_reason: Option<String>,
    /// Stamp of the end mark.
    done: Option<Nanos>,
    cancelled: bool,
    failure: Option<Failure>,
    template: Template,
}

/// Reads an answer with a protocol's `decode`.
pub(super) fn interpret(raw: &RawRequest, tokenizer: &Tokenizer, decode: Decode) -> RequestRecord {
    let mut answer = Answer::refused(raw);
    match raw.status {
        Some(_) if !raw.is_ok() => {}
        Some(_) if is_json(&raw.bytes) => answer.read_body(raw, decode),
        Some(_) => answer.read_stream(raw, decode),
        None => {}
    }
    answer.judge(raw);
    answer.into_record(raw, tokenizer)
}

/// An event of a stream that was found and read already.
#[cfg(feature = "grpc")]
#[derive(Debug)]
pub(super) struct Heard {
    /// Stamp of the read that completed it.
    pub(super) at: Nanos,
    /// Whether an earlier event was completed by the same read.
    pub(super) coalesced: bool,
    /// What it says, or what is wrong with it.
    pub(super) message: Result<Message, Failure>,
}

/// Makes a record of what was heard of a stream.
#[cfg(feature = "grpc")]
pub(super) fn interpret_heard(raw: &RawRequest, tokenizer: &Tokenizer, events: Vec<Heard>) -> RequestRecord {
    let mut answer = Answer::refused(raw);
    answer.streamed = raw.is_ok();
    for Heard { at, coalesced, message } in events {
        answer.hear(at, coalesced, message);
    }
    answer.judge(raw);
    answer.into_record(raw, tokenizer)
}

impl Answer {
    /// The answer before anything of it is read, with what an error status says.
    fn refused(raw: &RawRequest) -> Self {
        // A redirect is not followed, so like an error it has no answer.
        let Some(status) = raw.status.filter(|_| !raw.is_ok()) else { return Self::default() };
        let message = match &raw.failure {
            // A body that nobody can read says nothing, but it is there.
            Some(failure) if failure.class == FailureClass::Parse && raw.bytes.is_empty() => {
                format!("status {status}: {}", failure.message)
            }
            _ => status_message(status, &raw.bytes),
        };
        let failure = Some(Failure::new(FailureClass::HttpStatus, message));
        Self { streamed: raw.event_stream, failure, ..Self::default() }
    }

    fn read_body(&mut self, raw: &RawRequest, decode: Decode) {
        match decode("message", &String::from_utf8_lossy(&raw.bytes)) {
            Ok(Message::Part(part)) => {
                self.add(part, raw.closed);
                self.done = Some(raw.closed);
            }
            Ok(Message::Done) => self.done = Some(raw.closed),
            Ok(Message::Error(message)) => self.failure = Some(Failure::new(FailureClass::ErrorEvent, message)),
            // A body that broke off is not JSON either, and that is the better reason.
            Err(_) if raw.failure.is_some() || raw.cancelled => {}
            Err(reason) => {
                self.failure = Some(Failure::new(FailureClass::Parse, format!("{reason} in the body: {}", raw.text())));
            }
        }
    }

    fn read_stream(&mut self, raw: &RawRequest, decode: Decode) {
        self.streamed = true;
        let mut parser = SseParser::new(MAX_EVENT_BYTES);
        let mut sink = |event: SseEvent<'_>| self.read_event(&event, decode);
        let result = raw.parts().try_for_each(|(at, bytes)| parser.push(bytes, at, &mut sink));
        let result = result.and_then(|()| parser.finish(&mut sink));
        if self.is_over() {
            return;
        }
        if let Err(error) = result {
            self.failure = Some(Failure::new(FailureClass::Parse, error.to_string()));
        } else if self.first_event.is_none()
            && !raw.event_stream
            && !raw.bytes.is_empty()
            && raw.failure.is_none()
            && !raw.cancelled
        {
            let message = format!("neither a stream of events nor JSON: {}", raw.text());
            self.failure = Some(Failure::new(FailureClass::Parse, message));
        }
    }

    fn read_event(&mut self, event: &SseEvent<'_>, decode: Decode) {
        if self.is_over() {
            return;
        }
        // Much quicker than the lossy reading, which is for servers that cut characters in two.
        let data = std::str::from_utf8(event.data).map_or_else(|_| String::from_utf8_lossy(event.data), Cow::Borrowed);
        // Some servers send empty events to keep the connection alive.
        if data.trim().is_empty() && event.name != "error" {
            return;
        }
        let usual = event.name == "message";
        if usual && let Some(text) = self.template.text(&data) {
            self.note(event.at, event.coalesced);
            self.chunks.push(Chunk { at: event.at, tokens: 0, reasoning: false });
            self.texts.push([text, ""], None);
            return;
        }
        let message = match decode(event.name, &data) {
            // Cut short by the stream's end: as if it had not come.
            Err(_) if event.unterminated => return,
            Err(reason) => Err(Failure::new(FailureClass::Parse, format!("{reason} in an event: {data}"))),
            Ok(message) => Ok(message),
        };
        if usual && let Ok(Message::Part(part)) = &message {
            self.template.learn(&data, part, decode);
        }
        self.hear(event.at, event.coalesced, message);
    }

    fn hear(&mut self, at: Nanos, coalesced: bool, message: Result<Message, Failure>) {
        if self.is_over() {
            return;
        }
        self.note(at, coalesced);
        match message {
            Ok(Message::Part(part)) => {
                self.done = part.last.then_some(at);
                self.add(part, at);
            }
            Ok(Message::Done) => self.done = Some(at),
            Ok(Message::Error(message)) => self.failure = Some(Failure::new(FailureClass::ErrorEvent, message)),
            Err(failure) => self.failure = Some(failure),
        }
    }

    fn note(&mut self, at: Nanos, coalesced: bool) {
        self.first_event.get_or_insert(at);
        self.coalesced += u32::from(coalesced);
    }

    /// Nothing that comes after the end mark or an error belongs to the answer.
    fn is_over(&self) -> bool {
        self.done.is_some() || self.failure.is_some()
    }

    fn add(&mut self, part: Part, at: Nanos) {
        let said = !(part.answer.is_empty() && part.reasoning.is_empty());
        if said || part.silent {
            self.chunks.push(Chunk { at, tokens: 0, reasoning: said && part.answer.is_empty() });
            let tokens_so_far = part.usage.and_then(|usage| usage.output);
            self.texts.push([&part.reasoning, &part.answer], tokens_so_far);
        }
        if part.usage.is_some() {
            self.usage = part.usage;
        }
        if part.finish_reason.is_some() {
            self.finish_reason = part.finish_reason;
        }
    }

    /// Finds what is wrong with the answer as a whole; what the bytes themselves said came first and stands.
    fn judge(&mut self, raw: &RawRequest) {
        if self.failure.is_some() {
            return;
        }
        // What had its end mark was whole before it was given up.
        self.cancelled = raw.cancelled && self.done.is_none();
        if self.cancelled {
            return;
        }
        let finished = self.done.is_some() || self.finish_reason.is_some();
        if let Some(failure) = &raw.failure {
            // After the end mark nothing can be missing. After a finish reason alone, a connection that breaks off
            // takes nothing away either, but a time-out means that the server did not close.
            let broke_off = failure.class == FailureClass::Truncated;
            let harmless = self.streamed && (self.done.is_some() || (finished && broke_off));
            if !harmless {
                self.failure = Some(failure.clone());
            }
        } else if !finished {
            let message = match (raw.status, self.chunks.len()) {
                (None, _) => "there was no answer".to_owned(),
                (_, 0) => "the stream ended before any text".to_owned(),
                (_, n) => {
                    format!("the stream ended after {n} chunks with text, without a finish reason or an end mark")
                }
            };
            self.failure = Some(Failure::new(FailureClass::Truncated, message));
        } else if self.chunks.is_empty() && raw.max_tokens > 0 {
            let message = format!("the answer has no text although {} tokens were asked for", raw.max_tokens);
            self.failure = Some(Failure::new(FailureClass::Empty, message));
        }
    }

    fn into_record(mut self, raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
        let stopped = self.finish_reason.as_deref().is_some_and(|reason| ["stop", "eos_token"].contains(&reason));
        let counts = counts::count(&self.texts, self.usage.and_then(|usage| usage.output), stopped, tokenizer);
        for (chunk, tokens) in self.chunks.iter_mut().zip(&counts.pieces) {
            chunk.tokens = *tokens;
        }
        let input_tokens = self.usage.and_then(|usage| usage.input).unwrap_or(raw.planned_input_tokens);
        let usage = self.usage.map(|usage| Usage {
            input: input_tokens,
            output: usage.output.unwrap_or(counts.total),
            cached: usage.cached,
            reasoning: usage.reasoning,
        });
        RequestRecord {
            index: raw.index,
            user: raw.user,
            max_tokens: raw.max_tokens,
            request_id: raw.request_id.clone(),
            scheduled: raw.scheduled,
            sent: raw.sent,
            headers: raw.headers,
            first_event: self.first_event,
            chunks: self.chunks,
            closed: self.done.unwrap_or(raw.closed),
            status: raw.status,
            streamed: self.streamed,
            coalesced: self.coalesced,
            usage,
            input_tokens,
            output_tokens: counts.total,
            token_source: counts.source,
            finish_reason: self.finish_reason,
            connect: raw.connect,
            resent: raw.resent,
            to_cancel: raw.to_cancel,
            cancelled: self.cancelled,
            failure: self.failure,
        }
    }
}

/// Counts the tokens of an answer while it comes: those that the server counts, or events with text.
#[derive(Debug)]
pub struct Progress(Counter);

#[derive(Debug)]
enum Counter {
    Events {
        parser: SseParser,
        decode: Decode,
        events: u32,
        counted: u32,
    },
    #[cfg(feature = "grpc")]
    Calls(super::ppl::Counter),
}

impl Progress {
    pub(super) fn new(decode: Decode) -> Self {
        Self(Counter::Events { parser: SseParser::new(MAX_EVENT_BYTES), decode, events: 0, counted: 0 })
    }

    #[cfg(feature = "grpc")]
    pub(super) fn of_calls(counter: super::ppl::Counter) -> Self {
        Self(Counter::Calls(counter))
    }

    /// Takes the bytes of a read. The tokens so far.
    pub fn push(&mut self, bytes: &[u8]) -> u32 {
        let (parser, decode, events, counted) = match &mut self.0 {
            Counter::Events { parser, decode, events, counted } => (parser, decode, events, counted),
            #[cfg(feature = "grpc")]
            Counter::Calls(calls) => return calls.push(bytes),
        };
        // What cannot be read has no tokens; what is wrong with it is found after the stream.
        let _ = parser.push(bytes, 0, &mut |event: SseEvent<'_>| {
            if let Ok(Message::Part(part)) = decode(event.name, &String::from_utf8_lossy(event.data)) {
                *events += u32::from(!(part.answer.is_empty() && part.reasoning.is_empty()));
                *counted = (*counted).max(part.usage.and_then(|usage| usage.output).unwrap_or(0));
            }
        });
        (*events).max(*counted)
    }
}

impl RawRequest {
    /// Whether there is an answer, and no error in its place.
    pub(super) fn is_ok(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The beginning of the body, to quote it.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(4 * Failure::MAX_MESSAGE)]).into_owned()
    }
}

/// Whether a body is JSON and not a stream, whatever its content type claims: no line of a stream starts like this.
pub(super) fn is_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The data of an event, or a whole body, that is not an end mark.
pub(super) enum Event {
    /// What the protocol says.
    Json(Value),
    /// The server's own error, in its words.
    Error(String),
}

/// Reads what is JSON in every protocol, and the error objects that they have in common.
pub(super) fn event(name: &str, data: &str) -> Result<Event, String> {
    let json = serde_json::from_str::<Value>(data);
    if name == "error" {
        let text = json.ok().as_ref().and_then(error_text);
        return Ok(Event::Error(text.unwrap_or_else(|| data.to_owned())));
    }
    let json = json.map_err(|error| format!("invalid JSON ({error})"))?;
    let is_error = json.get("error").is_some_and(|error| !error.is_null())
        || json.get("object").is_some_and(|object| object == "error");
    if is_error {
        return Ok(Event::Error(error_text(&json).unwrap_or_else(|| data.to_owned())));
    }
    // A list would be taken for fields without their names.
    if json.is_object() { Ok(Event::Json(json)) } else { Err("not a JSON object".to_owned()) }
}

/// What a server says in a body that refuses a request.
pub(crate) fn status_message(status: u16, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    if body.trim().is_empty() {
        return format!("status {status} without a body");
    }
    let json = serde_json::from_str::<Value>(&body).ok();
    json.and_then(|json| error_text(&json)).unwrap_or_else(|| body.trim().to_owned())
}

/// The message of an error object in the forms that servers use: `{"error": {"message": …}}`, `{"error": "…"}`,
/// `{"message": …}`, `{"detail": …}`.
pub(super) fn error_text(json: &Value) -> Option<String> {
    let error = json.get("error").filter(|error| !error.is_null());
    let places = [error.and_then(|error| error.get("message")), error, json.get("message"), json.get("detail")];
    places.into_iter().flatten().find(|place| !place.is_null()).map(|place| match place {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}
