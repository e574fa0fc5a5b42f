//! The interface of Text Generation Inference.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::{Answer, Asked, Dialect, Token, events, json_response};
use super::http::Refusal;

/// As its router writes it: the last token's event has the whole text and the counts, there is no end mark.
pub(super) const DIALECT: Dialect = Dialect {
    id: "tgi",
    parse,
    head: |_| String::new(),
    opening: |_| None,
    token,
    end: |_| Vec::new(),
    error,
    garbage: b"data:{\"index\":1,\"token\":{\"id\":\n\n",
    body,
    stream: events,
    refusal,
};

#[derive(Deserialize)]
struct Wire {
    inputs: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    max_new_tokens: Option<u32>,
    details: Option<bool>,
}

const DEFAULT_MAX_TOKENS: u32 = 100;

fn parse(body: &[u8], stream: Option<bool>) -> Result<Asked, Refusal> {
    let wire: Wire = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not a TGI request: {error}")))?;
    let max_tokens = wire.parameters.max_new_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    if max_tokens == 0 {
        return Err(Refusal::bad_request("Input validation error: `max_new_tokens` must be strictly positive"));
    }
    Ok(Asked {
        model: None,
        prompts: vec![vec![wire.inputs]],
        max_tokens,
        own: Vec::new(),
        stream: stream.unwrap_or_default(),
        include_usage: wire.parameters.details.unwrap_or_default(),
    })
}

/// What the end of an answer says; `null` unless it was asked for.
fn details(answer: &Answer, whole: bool) -> Value {
    let choice = &answer.choices[0];
    if !answer.include_usage {
        return Value::Null;
    }
    let reason = if answer.finish_reason() == "stop" { "eos_token" } else { "length" };
    let mut details = json!({ "finish_reason": reason, "seed": null });
    if !answer.is_uncounted() {
        details["generated_tokens"] = choice.tokens.into();
        if !whole {
            details["input_length"] = choice.prompt_tokens.into();
        }
    }
    details
}

fn token(answer: &mut Answer, token: Token) -> Option<Bytes> {
    if !token.said && !token.last {
        return None;
    }
    let details = if token.last { details(answer, false) } else { Value::Null };
    let uncounted = answer.is_uncounted();
    let choice = &mut answer.choices[token.choice];
    let before = choice.text.len();
    if token.said {
        choice.words.push_next(&mut choice.text);
    }
    let said = json!({ "id": choice.tokens, "text": choice.text[before..], "logprob": -0.5, "special": false });
    let mut event = json!({
        "token": said,
        "generated_text": token.last.then_some(&choice.text),
        "details": details,
    });
    if !uncounted {
        event["index"] = choice.tokens.into();
    }
    Some(format!("data:{event}\n\n").into())
}

fn error(_: &Answer, message: &str) -> Vec<Bytes> {
    vec![format!("data:{}\n\n", json!({ "error": message, "error_type": "generation" })).into()]
}

fn body(answer: &mut Answer) -> Value {
    let text = answer.choices[0].whole();
    let mut body = json!({ "generated_text": text });
    if answer.include_usage {
        body["details"] = details(answer, true);
    }
    body
}

fn refusal(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal.status {
        StatusCode::BAD_REQUEST => (StatusCode::UNPROCESSABLE_ENTITY, "validation"),
        StatusCode::TOO_MANY_REQUESTS => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
        status => (status, "generation"),
    };
    json_response(status, &json!({ "error": refusal.message, "error_type": kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_may_be_left_out() {
        let asked = parse(br#"{"inputs": "one"}"#, Some(false)).ok().unwrap();
        assert_eq!((asked.max_tokens, asked.stream, asked.include_usage), (100, false, false));
        let full = br#"{"inputs": "one", "parameters": {"max_new_tokens": 3, "details": true, "do_sample": false}}"#;
        let asked = parse(full, Some(true)).ok().unwrap();
        assert_eq!((asked.max_tokens, asked.stream, asked.include_usage), (3, true, true));
        for body in [&b""[..], b"{}", br#"{"inputs": "a", "parameters": {"max_new_tokens": 0}}"#] {
            assert!(parse(body, None).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
