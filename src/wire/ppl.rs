//! PPL.LLM's gRPC service, `LLMService.Generation`: one call with one or several prompts, answered in one stream.
//!
//! Each response is one token of one prompt, which it names by the request's number; the last one has a status that says
//! so. A text that does not end in a whole character yet comes as the token's number alone.

use std::collections::BTreeMap;

use prost::Message as _;
use serde::Deserialize;
use serde_json::Value;

use super::decode::{self, Heard, MAX_EVENT_BYTES, Message, Part, PartUsage, Progress};
use super::grpc::{self, CallStatus, FrameParser};
use super::ppl_messages::{
    BatchedRequest, BatchedResponse, Request, Response, Status, StoppingCriteriaParameters, Tokens,
};
use super::prompt_list::{Listed, of_prompt};
use super::protocol::Ask;
use super::raw::RawRequest;
use crate::record::{Failure, FailureClass, RequestRecord};
use crate::tokens::Tokenizer;

/// What of a request may be set from outside: not what the plan says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Extra {
    temperature: Option<f32>,
    stopping_parameters: Stopping,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stopping {
    max_new_tokens: Option<u32>,
    stop_tokens: Option<Ids>,
    ignore_eos_token: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<u32>,
}

impl Extra {
    fn of(extra: &BTreeMap<String, Value>) -> Result<Self, serde_json::Error> {
        Self::deserialize(Value::Object(extra.clone().into_iter().collect()))
    }
}

/// Why the user's own fields cannot be sent, if they cannot: messages have no room for what they do not know.
pub(super) fn misfit(extra: &BTreeMap<String, Value>) -> Option<String> {
    Extra::of(extra).err().map(|error| error.to_string())
}

/// A call with all of `asks`, of the length that is asked for. Whether the likeliest token is taken is a setting of the
/// server; it divides by the temperature, so that 0 is none.
pub(super) fn body(asks: &[Ask<'_>]) -> Vec<u8> {
    let req = (0..).zip(asks).map(|(id, ask)| request(id, ask)).collect();
    grpc::frame(&BatchedRequest { req }.encode_to_vec())
}

fn request(id: u64, ask: &Ask<'_>) -> Request {
    // What does not fit has been refused before there was anything to send.
    let Extra { temperature, stopping_parameters: stopping } = Extra::of(ask.extra).unwrap_or_default();
    Request {
        id,
        temperature: temperature.unwrap_or(1.0),
        prompt: ask.text().into_owned(),
        tokens: None,
        stopping_parameters: Some(StoppingCriteriaParameters {
            max_new_tokens: stopping.max_new_tokens.unwrap_or(ask.max_tokens),
            stop_tokens: stopping.stop_tokens.map(|Ids { ids }| Tokens { ids }),
            ignore_eos_token: stopping.ignore_eos_token.unwrap_or(true),
        }),
    }
}

/// Reads the answer to a call with one prompt.
pub(super) fn interpret(raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
    decode::interpret_heard(raw, tokenizer, Call::read(raw, 1).answers.remove(0))
}

/// Reads the answer to a call into a record for each of its prompts.
pub(super) fn interpret_list(raw: &RawRequest, prompts: &[Listed], tokenizer: &Tokenizer) -> Vec<RequestRecord> {
    let Call { answers } = Call::read(raw, prompts.len());
    let bare = RawRequest { bytes: Vec::new(), reads: Vec::new(), ..raw.clone() };
    let of = |(prompt, answer): (&Listed, _)| {
        // A body that is no answer is read by everybody.
        let raw = if raw.is_ok() { &bare } else { raw };
        decode::interpret_heard(&of_prompt(raw, prompt), tokenizer, answer)
    };
    prompts.iter().zip(answers).map(of).collect()
}

/// An answer to a call.
struct Call {
    /// What was heard of each prompt, in the order of their numbers.
    answers: Vec<Vec<Heard>>,
}

impl Call {
    fn read(raw: &RawRequest, prompts: usize) -> Self {
        let mut answers: Vec<Vec<Heard>> = (0..prompts).map(|_| Vec::new()).collect();
        if !raw.is_ok() {
            return Self { answers };
        }
        let mut tokens = vec![0; prompts];
        let mut messages = 0;
        // What befalls the call befalls every prompt, after what came of it.
        let mut ends = None;
        let mut parser = FrameParser::new(MAX_EVENT_BYTES);
        let result = raw.parts().try_for_each(|(at, bytes)| {
            parser.push(bytes, at, &mut |frame| match (&ends, frame.trailers) {
                (Some(_), _) => {}
                (None, true) => ends = Some((at, End::Status(CallStatus::read(frame.data)))),
                (None, false) => match BatchedResponse::decode(frame.data) {
                    Ok(batch) => {
                        messages += 1;
                        for response in batch.rsp {
                            let id = usize::try_from(response.id).unwrap_or(usize::MAX);
                            let Some((answer, tokens)) = answers.get_mut(id).zip(tokens.get_mut(id)) else { continue };
                            let coalesced = answer.last().is_some_and(|last| last.at == at);
                            answer.push(Heard { at, coalesced, message: message(response, tokens) });
                        }
                    }
                    Err(error) => ends = Some((at, End::Broken(format!("not a message of PPL.LLM ({error})")))),
                },
            })
        });
        if let (Err(error), None) = (result, &ends) {
            ends = Some((raw.closed, End::Broken(format!("{error}: {}", raw.text()))));
        }
        let Some((at, end)) = ends else { return Self { answers } };
        let failure = match end {
            End::Status(status) if status.is_ok() => return Self { answers },
            // Nothing had come yet: the server has refused the call.
            End::Status(status) if messages == 0 => Failure::new(FailureClass::HttpStatus, status.text()),
            End::Status(status) => {
                // The call has failed, so that no answer was the whole of what was meant.
                for heard in answers.iter_mut().flatten() {
                    if let Ok(Message::Part(part)) = &mut heard.message {
                        part.last = false;
                    }
                }
                Failure::new(FailureClass::ErrorEvent, status.text())
            }
            End::Broken(reason) => Failure::new(FailureClass::Parse, reason),
        };
        for answer in &mut answers {
            answer.push(Heard { at, coalesced: false, message: Err(failure.clone()) });
        }
        Self { answers }
    }
}

/// How a call ended.
enum End {
    /// The server said how.
    Status(CallStatus),
    /// Nothing can be read from there on.
    Broken(String),
}

/// What a response says, after `tokens` of its prompt.
fn message(response: Response, tokens: &mut u32) -> Result<Message, Failure> {
    let status = Status::try_from(response.status);
    let more = count(&response);
    *tokens += more;
    match status {
        Ok(status @ (Status::Processing | Status::Finished)) => {
            let last = status == Status::Finished;
            Ok(Message::Part(Part {
                answer: response.generated,
                silent: more > 0,
                last,
                finish_reason: last.then(|| "finished".to_owned()),
                usage: Some(PartUsage { output: Some(*tokens), ..PartUsage::default() }),
                ..Part::default()
            }))
        }
        Ok(Status::Failed) if response.generated.is_empty() => {
            Ok(Message::Error(format!("the server says `FAILED` of request {} and no more", response.id)))
        }
        Ok(Status::Failed) => Ok(Message::Error(response.generated)),
        Err(_) => {
            let reason = format!("the status {} of a response is none of PPL.LLM's", response.status);
            Err(Failure::new(FailureClass::Parse, reason))
        }
    }
}

/// Tokens of a response: those that it names, else one if it has a text.
fn count(response: &Response) -> u32 {
    match response.tokens.as_ref().map_or(0, |tokens| tokens.ids.len()) {
        0 => u32::from(!response.generated.is_empty()),
        named => named as u32,
    }
}

/// Counts the tokens of a call while they come.
#[derive(Debug)]
pub(super) struct Counter {
    parser: FrameParser,
    tokens: u32,
}

impl Counter {
    /// Takes the bytes of a read. The tokens so far.
    pub(super) fn push(&mut self, bytes: &[u8]) -> u32 {
        let Self { parser, tokens } = self;
        // What cannot be read has no tokens; what is wrong with it is found after the stream.
        let _ = parser.push(bytes, 0, &mut |frame| {
            if let (false, Ok(batch)) = (frame.trailers, BatchedResponse::decode(frame.data)) {
                *tokens += batch.rsp.iter().map(count).sum::<u32>();
            }
        });
        *tokens
    }
}

pub(super) fn progress() -> Progress {
    Progress::of_calls(Counter { parser: FrameParser::new(MAX_EVENT_BYTES), tokens: 0 })
}

#[cfg(test)]
mod tests;
