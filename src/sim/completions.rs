//! Completions, of one prompt or of a list of them.

use std::fmt::Write as _;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::{Answer, Asked, DONE, Dialect, Token, events, openai_error, openai_refusal};
use super::http::Refusal;

/// As vLLM speaks it: the last token of a choice comes with the reason.
pub(super) const DIALECT: Dialect = Dialect {
    id: "cmpl",
    parse,
    head,
    opening: |_| None,
    token,
    end,
    error: openai_error,
    garbage: b"data: {\"id\": \"cmpl-\n\n",
    body,
    stream: events,
    refusal: openai_refusal,
};

#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    prompt: Prompt,
    max_tokens: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Prompt {
    One(String),
    List(Vec<String>),
}

impl Prompt {
    /// The texts of each prompt.
    pub(super) fn into_prompts(self) -> Vec<Vec<String>> {
        match self {
            Self::One(text) => vec![vec![text]],
            Self::List(texts) => texts.into_iter().map(|text| vec![text]).collect(),
        }
    }
}

const DEFAULT_MAX_TOKENS: u32 = 16;

fn parse(body: &[u8], _stream: Option<bool>) -> Result<Asked, Refusal> {
    let wire: Wire = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not a completion request: {error}")))?;
    let prompts = wire.prompt.into_prompts();
    if prompts.is_empty() {
        return Err(Refusal::bad_request("`prompt` is empty; send at least one"));
    }
    let max_tokens = wire.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    if max_tokens == 0 {
        return Err(Refusal::bad_request("`max_tokens` is 0; ask for at least 1"));
    }
    Ok(Asked {
        model: wire.model,
        prompts,
        max_tokens,
        own: Vec::new(),
        stream: wire.stream.unwrap_or_default(),
        include_usage: wire.stream_options.and_then(|options| options.include_usage).unwrap_or_default(),
    })
}

fn head(answer: &Answer) -> String {
    format!(
        "data: {{\"id\":{},\"object\":\"text_completion\",\"created\":{},\"model\":{},",
        json!(answer.id),
        answer.created,
        json!(answer.model)
    )
}

fn token(answer: &mut Answer, token: Token) -> Option<Bytes> {
    if !token.said && !token.last {
        return None;
    }
    let mut event = String::with_capacity(answer.head.len() + 160);
    event.push_str(&answer.head);
    // Writing to a string cannot fail.
    let _ = write!(event, "\"choices\":[{{\"index\":{},\"text\":\"", token.choice);
    if token.said {
        // The corpus is of plain words, which need no escaping in JSON.
        answer.choices[token.choice].words.push_next(&mut event);
    }
    let reason = if token.last { json!(answer.finish_reason()) } else { Value::Null };
    let _ = write!(event, "\",\"logprobs\":null,\"finish_reason\":{reason},\"stop_reason\":null}}]");
    event.push_str(if answer.include_usage { ",\"usage\":null}\n\n" } else { "}\n\n" });
    Some(event.into())
}

fn end(answer: &mut Answer) -> Vec<Bytes> {
    let mut events = Vec::new();
    if answer.include_usage && !answer.is_uncounted() {
        events.push(format!("{}\"choices\":[],\"usage\":{}}}\n\n", answer.head, answer.usage()).into());
    }
    events.push(DONE);
    events
}

fn body(answer: &mut Answer) -> Value {
    let reason = answer.finish_reason();
    let choice = |(index, text): (usize, String)| json!({ "index": index, "text": text, "logprobs": null, "finish_reason": reason });
    let texts = answer.choices.iter_mut().map(super::dialect::Choice::whole);
    let choices: Vec<Value> = texts.enumerate().map(choice).collect();
    let mut body = json!({
        "id": answer.id,
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
    });
    if !answer.is_uncounted() {
        body["usage"] = answer.usage();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_or_a_list_of_them() {
        let one = parse(br#"{"prompt": "one", "temperature": 0, "max_tokens": 3}"#, None).ok().unwrap();
        assert_eq!((one.prompts, one.max_tokens, one.stream), (vec![vec!["one".to_owned()]], 3, false));
        let list = br#"{"prompt": ["one", "two"], "stream": true, "stream_options": {"include_usage": true}}"#;
        let list = parse(list, None).ok().unwrap();
        assert_eq!(list.prompts, [["one"], ["two"]]);
        assert_eq!((list.max_tokens, list.stream, list.include_usage), (16, true, true));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        for body in [&b""[..], b"{}", br#"{"prompt": []}"#, br#"{"prompt": 5}"#, br#"{"prompt": "a", "max_tokens": 0}"#]
        {
            assert!(parse(body, None).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
