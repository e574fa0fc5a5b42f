//! Completions, `POST /v1/completions`: a text that is to be continued, without messages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::merge;
use super::decode::{self, Event, Message, Part, Progress};
use super::openai_chat::usage;
use super::protocol::Ask;
use super::raw::RawRequest;
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// Where requests go, after a base URL that ends in `/v1`.
pub(super) const PATH: &str = "/completions";

/// A request's body as JSON: greedy, and a stream is asked for its token counts.
pub(super) fn body(ask: &Ask<'_>) -> Vec<u8> {
    with_prompt(ask, &json!(ask.text()))
}

/// One request with the prompts of all of `asks`, which differ in nothing else.
pub(super) fn list_body(asks: &[Ask<'_>]) -> Vec<u8> {
    let prompts: Vec<_> = asks.iter().map(Ask::text).collect();
    asks.first().map_or_else(Vec::new, |ask| with_prompt(ask, &json!(prompts)))
}

fn with_prompt(ask: &Ask<'_>, prompt: &Value) -> Vec<u8> {
    let mut body = json!({
        "model": ask.model,
        "prompt": prompt,
        "max_tokens": ask.max_tokens,
        "temperature": 0,
        "stream": ask.stream,
    });
    if ask.stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    merge(&mut body, ask.extra);
    body.to_string().into_bytes()
}

pub(super) fn interpret(raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
    decode::interpret(raw, tokenizer, decode)
}

pub(super) fn progress() -> Progress {
    Progress::new(decode)
}

/// A chunk of a stream or a whole answer, which have the same form.
#[derive(Deserialize)]
struct Completion {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    text: Option<String>,
    finish_reason: Option<String>,
}

fn decode(name: &str, data: &str) -> Result<Message, String> {
    if data.trim() == "[DONE]" {
        return Ok(Message::Done);
    }
    let json = match decode::event(name, data)? {
        Event::Json(json) => json,
        Event::Error(message) => return Ok(Message::Error(message)),
    };
    let completion = Completion::deserialize(json).map_err(|error| format!("not a completion ({error})"))?;
    let mut part = Part { usage: completion.usage.as_ref().and_then(usage), ..Part::default() };
    for choice in completion.choices.into_iter().flatten() {
        part.answer.push_str(&choice.text.unwrap_or_default());
        part.finish_reason = part.finish_reason.or(choice.finish_reason.filter(|reason| !reason.is_empty()));
    }
    Ok(Message::Part(part))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::decode::PartUsage;

    #[test]
    fn a_prompt_is_one_text() {
        let extra = BTreeMap::from([("ignore_eos".to_owned(), json!(true))]);
        let ask = Ask { model: "m", system: Some("a"), user: "b", max_tokens: 7, stream: true, extra: &extra };
        let expected = json!({
            "model": "m", "prompt": "a b", "max_tokens": 7, "temperature": 0, "stream": true,
            "stream_options": { "include_usage": true }, "ignore_eos": true,
        });
        assert_eq!(serde_json::from_slice::<Value>(&body(&ask)).unwrap(), expected);
        let plain: Value = serde_json::from_slice(&body(&Ask { stream: false, ..ask })).unwrap();
        assert!(plain.get("stream_options").is_none());
        let list = list_body(&[ask, Ask { system: None, user: "c", ..ask }]);
        let list: Value = serde_json::from_slice(&list).unwrap();
        assert_eq!((&list["prompt"], &list["max_tokens"]), (&json!(["a b", "c"]), &json!(7)));
    }

    fn part(data: &str) -> Part {
        match decode("message", data) {
            Ok(Message::Part(part)) => part,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn chunks_have_text_reason_and_usage() {
        let chunk =
            r#"{"object":"text_completion","choices":[{"index":0,"text":" hi","finish_reason":null}],"usage":null}"#;
        assert_eq!(part(chunk), Part { answer: " hi".into(), ..Part::default() });
        // The last text with its reason, as some servers send it, or the reason and the counts without a text.
        let last = part(r#"{"choices":[{"index":0,"text":" so","finish_reason":"length"}]}"#);
        assert_eq!((last.answer.as_str(), last.finish_reason.as_deref()), (" so", Some("length")));
        let end = r#"{"choices":[{"text":"","index":0,"finish_reason":"stop"}],
            "usage":{"prompt_tokens":9,"completion_tokens":4},"timings":{"predicted_n":4}}"#;
        let counted = PartUsage { input: Some(9), output: Some(4), ..PartUsage::default() };
        assert_eq!(part(end), Part { finish_reason: Some("stop".into()), usage: Some(counted), ..Part::default() });
        assert_eq!(part(r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#).usage, Some(counted));
    }

    #[test]
    fn what_is_no_completion_is_refused() {
        for data in ["", "nonsense", "[1]", r#"{"choices":7}"#, r#"{"choices":[{"text":7}]}"#] {
            assert!(decode("message", data).is_err(), "{data}");
        }
        let error = r#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#;
        assert_eq!(decode("message", error), Ok(Message::Error("too long".into())));
        assert_eq!(decode("message", "[DONE]"), Ok(Message::Done));
    }
}
