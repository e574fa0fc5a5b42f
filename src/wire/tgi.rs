//! Text Generation Inference, `POST /generate_stream`, and `/generate` for answers in one piece.
//!
//! Every event is one token with its number. The last one has the whole text and the counts; there is no other end mark.

use serde::Deserialize;
use serde_json::json;

use super::body::merge;
use super::decode::{self, Event, Message, Part, PartUsage, Progress};
use super::protocol::Ask;
use super::raw::RawRequest;
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// A request's body as JSON: greedy, and the end is asked for its counts.
pub(super) fn body(ask: &Ask<'_>) -> Vec<u8> {
    let mut body = json!({
        "inputs": ask.text(),
        "parameters": { "max_new_tokens": ask.max_tokens, "do_sample": false, "details": true },
    });
    merge(&mut body, ask.extra);
    body.to_string().into_bytes()
}

pub(super) fn interpret(raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
    decode::interpret(raw, tokenizer, decode)
}

pub(super) fn progress() -> Progress {
    Progress::new(decode)
}

/// An event of a stream, or a whole answer, which has no `token`.
#[derive(Deserialize)]
struct Reply {
    /// Number of the token, from 1.
    index: Option<u32>,
    token: Option<Token>,
    generated_text: Option<String>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Token {
    text: Option<String>,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Details {
    finish_reason: Option<String>,
    generated_tokens: Option<u32>,
    input_length: Option<u32>,
}

fn decode(name: &str, data: &str) -> Result<Message, String> {
    let json = match decode::event(name, data)? {
        Event::Json(json) => json,
        Event::Error(message) => return Ok(Message::Error(message)),
    };
    let reply = Reply::deserialize(json).map_err(|error| format!("not an answer of TGI ({error})"))?;
    let last = reply.generated_text.is_some() || reply.details.is_some();
    let details = reply.details.unwrap_or(Details { finish_reason: None, generated_tokens: None, input_length: None });
    let output = details.generated_tokens.or(reply.index);
    let counted = output.is_some() || details.input_length.is_some();
    let usage = PartUsage { input: details.input_length, output, cached: None, reasoning: None };
    let answer = match (reply.token, reply.generated_text) {
        // The mark that ends an answer has a text of its own, which is no part of it.
        (Some(token), _) if token.special => String::new(),
        (Some(token), _) => token.text.unwrap_or_default(),
        (None, Some(text)) => text,
        (None, None) => return Err("neither a token nor a text".to_owned()),
    };
    Ok(Message::Part(Part {
        answer,
        last,
        finish_reason: details.finish_reason.filter(|reason| !reason.is_empty()),
        usage: counted.then_some(usage),
        ..Part::default()
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn bodies_ask_for_the_counts() {
        let extra = BTreeMap::from([("parameters".to_owned(), json!({ "truncate": 100 }))]);
        let ask = Ask { model: "m", system: None, user: "hi", max_tokens: 7, stream: true, extra: &extra };
        let expected = json!({
            "inputs": "hi",
            "parameters": { "max_new_tokens": 7, "do_sample": false, "details": true, "truncate": 100 },
        });
        assert_eq!(serde_json::from_slice::<Value>(&body(&ask)).unwrap(), expected);
    }

    fn part(data: &str) -> Part {
        match decode("message", data) {
            Ok(Message::Part(part)) => part,
            other => panic!("{data}: {other:?}"),
        }
    }

    fn usage(input: Option<u32>, output: u32) -> PartUsage {
        PartUsage { input, output: Some(output), cached: None, reasoning: None }
    }

    #[test]
    fn tokens_have_their_number_and_the_last_one_the_counts() {
        let event = r#"{"index":2,"token":{"id":264,"text":" hi","logprob":-0.1,"special":false},"generated_text":null,
            "details":null}"#;
        assert_eq!(part(event), Part { answer: " hi".into(), usage: Some(usage(None, 2)), ..Part::default() });
        let end = r#"{"index":3,"token":{"id":2,"text":"</s>","logprob":0.0,"special":true},"generated_text":"so hi",
            "details":{"finish_reason":"eos_token","generated_tokens":3,"seed":null,"input_length":9}}"#;
        let reason = Some("eos_token".to_owned());
        let last = Part { last: true, finish_reason: reason, usage: Some(usage(Some(9), 3)), ..Part::default() };
        assert_eq!(part(end), last, "its text is in `generated_text`, too, but for the mark");
    }

    #[test]
    fn a_whole_answer_is_one_text() {
        let whole = part(
            r#"{"generated_text":" the house","details":{"finish_reason":"length","generated_tokens":2,"seed":null,
            "prefill":[],"tokens":[]}}"#,
        );
        assert_eq!((whole.answer.as_str(), whole.finish_reason.as_deref()), (" the house", Some("length")));
        assert_eq!((whole.usage, whole.last), (Some(usage(None, 2)), true));
        let bare = part(r#"{"generated_text":" the house"}"#);
        assert_eq!((bare.answer.as_str(), bare.usage, bare.last), (" the house", None, true));
    }

    #[test]
    fn errors_and_nonsense() {
        let error = r#"{"error":"Model is overloaded","error_type":"overloaded"}"#;
        assert_eq!(decode("message", error), Ok(Message::Error("Model is overloaded".into())));
        for data in ["", "{}", "[DONE]", "7", r#"{"token":7}"#, r#"{"index":1,"generated_text":null}"#] {
            assert!(decode("message", data).is_err(), "{data}");
        }
    }
}
