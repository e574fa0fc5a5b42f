//! lightllm's own interface.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::{Answer, Asked, Dialect, Token, events, json_response};
use super::http::Refusal;

/// As its server writes it: nothing between `data:` and the object, no end mark.
pub(super) const DIALECT: Dialect = Dialect {
    id: "lightllm",
    parse,
    head: |_| String::new(),
    opening: |_| None,
    token,
    end: |_| Vec::new(),
    error,
    garbage: b"data:{\"token\": {\"id\": \n\n",
    body,
    stream: events,
    refusal,
};

#[derive(Deserialize)]
struct Wire {
    inputs: String,
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    max_new_tokens: Option<u32>,
    ignore_eos: Option<bool>,
}

const DEFAULT_MAX_TOKENS: u32 = 16;

/// Whether a body on the path that TGI has, too, is meant for lightllm: only its requests say whether the mark that
/// ends an answer counts.
pub(super) fn speaks(body: &[u8]) -> bool {
    serde_json::from_slice::<Wire>(body).is_ok_and(|wire| wire.parameters.ignore_eos.is_some())
}

fn parse(body: &[u8], stream: Option<bool>) -> Result<Asked, Refusal> {
    let wire: Wire = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not a lightllm request: {error}")))?;
    let max_tokens = wire.parameters.max_new_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    if max_tokens == 0 {
        return Err(Refusal::bad_request("`max_new_tokens` is 0; ask for at least 1"));
    }
    Ok(Asked {
        model: None,
        prompts: vec![vec![wire.inputs]],
        max_tokens,
        own: Vec::new(),
        stream: stream.unwrap_or_default(),
        include_usage: true,
    })
}

fn token(answer: &mut Answer, token: Token) -> Option<Bytes> {
    if !token.said && !token.last {
        return None;
    }
    let (reason, uncounted) = (answer.finish_reason(), answer.is_uncounted());
    let choice = &mut answer.choices[token.choice];
    let mut text = String::new();
    if token.said {
        choice.words.push_next(&mut text);
    }
    let mut said = json!({ "id": choice.tokens, "text": text, "logprob": -0.5, "special": false });
    if !uncounted {
        said["count_output_tokens"] = choice.tokens.into();
        said["prompt_tokens"] = choice.prompt_tokens.into();
    }
    let event = json!({
        "token": said,
        "generated_text": null,
        "finished": token.last,
        "finish_reason": token.last.then_some(reason),
        "details": null,
    });
    Some(format!("data:{event}\n\n").into())
}

/// The server itself has no such events; a gateway in front of it may.
fn error(_: &Answer, message: &str) -> Vec<Bytes> {
    vec![format!("data:{}\n\n", json!({ "error": { "message": message } })).into()]
}

fn body(answer: &mut Answer) -> Value {
    let (reason, uncounted) = (answer.finish_reason(), answer.is_uncounted());
    let texts: Vec<String> = answer.choices.iter_mut().map(super::dialect::Choice::whole).collect();
    let mut body = json!({ "generated_text": texts, "finish_reason": reason });
    if !uncounted {
        body["count_output_tokens"] = answer.choices[0].tokens.into();
        body["prompt_tokens"] = answer.choices[0].prompt_tokens.into();
    }
    body
}

fn refusal(refusal: &Refusal) -> Response {
    let status = match refusal.status {
        StatusCode::BAD_REQUEST => StatusCode::EXPECTATION_FAILED,
        status => status,
    };
    json_response(status, &json!({ "message": refusal.message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_requests_are_told_from_tgi_s() {
        let body = br#"{"inputs": "one", "parameters": {"max_new_tokens": 3, "ignore_eos": true, "do_sample": false}}"#;
        assert!(speaks(body));
        let asked = parse(body, Some(true)).ok().unwrap();
        assert_eq!((asked.prompts, asked.max_tokens, asked.stream), (vec![vec!["one".to_owned()]], 3, true));
        assert!(!speaks(br#"{"inputs": "one", "parameters": {"max_new_tokens": 3, "details": true}}"#));
        assert!(!speaks(b"nonsense"));
        assert!(parse(br#"{"inputs": "one", "parameters": {"max_new_tokens": 0}}"#, None).is_err());
    }
}
