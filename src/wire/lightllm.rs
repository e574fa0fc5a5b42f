//! lightllm, `POST /generate_stream`, and `/generate` for answers in one piece.
//!
//! Every event is one token and says how many there are so far. The last one has a flag; there is no other end mark.

use serde::Deserialize;
use serde_json::json;

use super::body::merge;
use super::decode::{self, Event, Message, Part, PartUsage, Progress};
use super::protocol::Ask;
use super::raw::RawRequest;
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// A request's body as JSON: greedy, and of the length that is asked for.
pub(super) fn body(ask: &Ask<'_>) -> Vec<u8> {
    let mut body = json!({
        "inputs": ask.text(),
        "parameters": { "max_new_tokens": ask.max_tokens, "ignore_eos": true, "do_sample": false },
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
    token: Option<Token>,
    #[serde(default)]
    finished: bool,
    finish_reason: Option<OneOrMany<String>>,
    generated_text: Option<OneOrMany<String>>,
    count_output_tokens: Option<OneOrMany<u32>>,
    prompt_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Token {
    text: Option<String>,
    count_output_tokens: Option<u32>,
    prompt_tokens: Option<u32>,
}

/// A value, or the values of several answers to one request.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

fn decode(name: &str, data: &str) -> Result<Message, String> {
    let json = match decode::event(name, data)? {
        Event::Json(json) => json,
        Event::Error(message) => return Ok(Message::Error(message)),
    };
    let said = decode::error_text(&json);
    let mut reply = Reply::deserialize(json).map_err(|error| format!("not an answer of lightllm ({error})"))?;
    let reason = reply.finish_reason.take().and_then(|reason| reason.into_list().into_iter().next());
    let reason = reason.filter(|reason| !reason.is_empty());
    let counted = |input, output| Some(PartUsage { input, output, cached: None, reasoning: None });
    if let Some(token) = reply.token {
        // Of a server too old to say why.
        let finish_reason = reason.or_else(|| reply.finished.then(|| "finished".to_owned()));
        return Ok(Message::Part(Part {
            answer: token.text.unwrap_or_default(),
            last: reply.finished,
            finish_reason,
            usage: counted(token.prompt_tokens, token.count_output_tokens),
            ..Part::default()
        }));
    }
    if let Some(text) = reply.generated_text {
        let output = reply.count_output_tokens.map(|counts| counts.into_list().iter().sum());
        return Ok(Message::Part(Part {
            answer: text.into_list().concat(),
            last: true,
            finish_reason: reason,
            usage: counted(reply.prompt_tokens, output),
            ..Part::default()
        }));
    }
    match said {
        Some(message) => Ok(Message::Error(message)),
        None => Err("neither a token nor a text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn lengths_are_fixed_unless_the_user_says_otherwise() {
        let extra = BTreeMap::from([("parameters".to_owned(), json!({ "ignore_eos": false, "top_k": 1 }))]);
        let ask = Ask { model: "m", system: None, user: "hi", max_tokens: 7, stream: true, extra: &extra };
        let expected = json!({
            "inputs": "hi",
            "parameters": { "max_new_tokens": 7, "ignore_eos": false, "do_sample": false, "top_k": 1 },
        });
        assert_eq!(serde_json::from_slice::<Value>(&body(&ask)).unwrap(), expected);
    }

    fn part(data: &str) -> Part {
        match decode("message", data) {
            Ok(Message::Part(part)) => part,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn tokens_count_themselves() {
        let event = r#"{"token": {"id": 264, "text": " hi", "logprob": -0.1, "special": false, "count_output_tokens": 2,
            "prompt_tokens": 9}, "generated_text": null, "finished": false, "finish_reason": null, "details": null}"#;
        let usage = PartUsage { input: Some(9), output: Some(2), ..PartUsage::default() };
        let first = Part { answer: " hi".into(), usage: Some(usage), ..Part::default() };
        assert_eq!(part(event), first);
        let last = event.replace("false, \"finish_reason\": null", "true, \"finish_reason\": \"length\"");
        assert_eq!(part(&last), Part { last: true, finish_reason: Some("length".into()), ..first.clone() });
        let old = event.replace("\"finished\": false, \"finish_reason\": null", "\"finished\": true");
        assert_eq!(part(&old), Part { last: true, finish_reason: Some("finished".into()), ..first });
    }

    #[test]
    fn a_whole_answer_is_one_text() {
        let body = r#"{"generated_text": [" the house"], "count_output_tokens": 2, "finish_reason": "length",
            "prompt_tokens": 9}"#;
        let whole = part(body);
        assert_eq!((whole.answer.as_str(), whole.finish_reason.as_deref()), (" the house", Some("length")));
        assert_eq!(whole.usage, Some(PartUsage { input: Some(9), output: Some(2), ..PartUsage::default() }));
        assert_eq!(part(&body.replace(['[', ']'], "")), whole);
    }

    #[test]
    fn errors_and_nonsense() {
        let message = |text: &str| Ok(Message::Error(text.to_owned()));
        assert_eq!(decode("message", r#"{"message": "too long"}"#), message("too long"));
        assert_eq!(decode("error", "gone"), message("gone"));
        for data in ["", "{}", "[DONE]", "7", r#"{"token": 7}"#, r#"{"generated_text": 7}"#] {
            assert!(decode("message", data).is_err(), "{data}");
        }
    }
}
