//! Chat completions.

use std::fmt::Write as _;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::{Answer, Asked, DONE, Dialect, Token, events, openai_error, openai_refusal};
use super::http::Refusal;

/// As vLLM speaks it.
pub(super) const DIALECT: Dialect = Dialect {
    id: "chatcmpl",
    parse,
    head,
    opening: |answer| Some(opening(answer)),
    token,
    end,
    error: openai_error,
    garbage: b"data: {\"id\": \"chatcmpl-\n\n",
    body,
    stream: events,
    refusal: openai_refusal,
};

/// Fields that mean nothing to the model (temperature, `ignore_eos` and so on) are accepted and ignored.
#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    messages: Vec<Message>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// Parts that are not text (images) count nothing.
#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

const DEFAULT_MAX_TOKENS: u32 = 16;

/// Reads a request's body, or says why it is none.
fn parse(body: &[u8], _stream: Option<bool>) -> Result<Asked, Refusal> {
    let wire: Wire = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not a chat completion request: {error}")))?;
    if wire.messages.is_empty() {
        return Err(Refusal::bad_request("`messages` is empty; send at least one message"));
    }
    let max_tokens = wire.max_completion_tokens.or(wire.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
    if max_tokens == 0 {
        return Err(Refusal::bad_request("`max_tokens` is 0; ask for at least 1"));
    }
    let mut texts = Vec::new();
    for message in wire.messages {
        match message.content {
            Some(Content::Text(text)) => texts.push(text),
            Some(Content::Parts(parts)) => texts.extend(parts.into_iter().filter_map(|part| part.text)),
            None => {}
        }
    }
    Ok(Asked {
        model: wire.model,
        prompts: vec![texts],
        max_tokens,
        own: Vec::new(),
        stream: wire.stream.unwrap_or_default(),
        include_usage: wire.stream_options.and_then(|options| options.include_usage).unwrap_or_default(),
    })
}

fn head(answer: &Answer) -> String {
    format!(
        "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},",
        json!(answer.id),
        answer.created,
        json!(answer.model)
    )
}

const CHOICE: &str = "\"choices\":[{\"index\":0,\"delta\":{";

/// The beginning of an event up to what its delta holds.
fn chunk(answer: &Answer, delta: &str) -> String {
    let mut event = String::with_capacity(answer.head.len() + 160);
    event.push_str(&answer.head);
    event.push_str(CHOICE);
    event.push_str(delta);
    event
}

/// The rest of an event.
fn close(mut event: String, tail: &str, reason: &str, include_usage: bool) -> Bytes {
    event.push_str(tail);
    // Writing to a string cannot fail.
    let _ = write!(event, ",\"logprobs\":null,\"finish_reason\":{reason}}}]");
    event.push_str(if include_usage { ",\"usage\":null}\n\n" } else { "}\n\n" });
    event.into()
}

/// An event without text.
fn opening(answer: &Answer) -> Bytes {
    let event = chunk(answer, "\"role\":\"assistant\",\"content\":\"");
    close(event, "\"}", "null", answer.include_usage)
}

fn token(answer: &mut Answer, token: Token) -> Option<Bytes> {
    if !token.said {
        return None;
    }
    let mut event = chunk(answer, "\"content\":\"");
    // The corpus is of plain words, which need no escaping in JSON.
    answer.choices[token.choice].words.push_next(&mut event);
    Some(close(event, "\"}", "null", answer.include_usage))
}

fn end(answer: &mut Answer) -> Vec<Bytes> {
    let reason = format!("\"{}\"", answer.finish_reason());
    let mut events = vec![close(chunk(answer, ""), "}", &reason, answer.include_usage)];
    if answer.include_usage && !answer.is_uncounted() {
        events.push(format!("{}\"choices\":[],\"usage\":{}}}\n\n", answer.head, answer.usage()).into());
    }
    events.push(DONE);
    events
}

fn body(answer: &mut Answer) -> Value {
    let content: String = answer.choices.iter_mut().map(super::dialect::Choice::whole).collect();
    let mut body = json!({
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content },
            "logprobs": null,
            "finish_reason": answer.finish_reason(),
        }],
    });
    if !answer.is_uncounted() {
        body["usage"] = answer.usage();
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_and_parts_are_read_in_order() {
        let body = br#"{"model": "m", "temperature": 0.5, "messages": [
            {"role": "system", "content": "one"},
            {"role": "assistant", "content": null},
            {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image_url"}]}
        ]}"#;
        let chat = parse(body, None).ok().unwrap();
        assert_eq!(chat.prompts, [["one", "two"]]);
        assert_eq!((chat.max_tokens, chat.stream, chat.include_usage), (16, false, false));
    }

    #[test]
    fn the_newer_limit_wins() {
        let body = br#"{"messages": [{"content": ""}], "max_tokens": 3, "max_completion_tokens": 5, "stream": true,
            "stream_options": {"include_usage": true}}"#;
        let chat = parse(body, None).ok().unwrap();
        assert_eq!((chat.model, chat.max_tokens, chat.stream, chat.include_usage), (None, 5, true, true));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"messages": []}"#,
            br#"{"messages": [{"content": "a"}], "max_tokens": 0}"#,
            br#"{"messages": [{"content": "a"}], "max_tokens": -1}"#,
            br#"{"messages": [{"content": 5}]}"#,
        ] {
            assert!(parse(body, None).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&body, None);
        }
    }
}
