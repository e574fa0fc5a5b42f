//! Embeddings: the model computes the prompt and nothing else.

use serde::Deserialize;
use serde_json::{Value, json};

use super::completions::Prompt;
use super::dialect::{Answer, Asked, Dialect, events, openai_error, openai_refusal};
use super::http::Refusal;
use crate::profile::FaultKind;

/// As `OpenAI` speaks it. It has no streams.
pub(super) const DIALECT: Dialect = Dialect {
    id: "embd",
    parse,
    head: |_| String::new(),
    opening: |_| None,
    token: |_, _| None,
    end: |_| Vec::new(),
    error: openai_error,
    garbage: b"",
    body,
    stream: events,
    refusal: openai_refusal,
};

/// Numbers of an embedding.
const DIMENSIONS: u32 = 64;

#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    input: Prompt,
}

fn parse(body: &[u8], _stream: Option<bool>) -> Result<Asked, Refusal> {
    let wire: Wire = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not an embedding request: {error}")))?;
    let prompts = wire.input.into_prompts();
    if prompts.is_empty() {
        return Err(Refusal::bad_request("`input` is empty; send at least one"));
    }
    // The embedding is there when the first token would be.
    Ok(Asked { model: wire.model, prompts, max_tokens: 1, own: Vec::new(), stream: false, include_usage: false })
}

fn body(answer: &mut Answer) -> Value {
    let numbers: Vec<f64> = (0..DIMENSIONS).map(|i| f64::from(i) / f64::from(DIMENSIONS) - 0.5).collect();
    let item = |index: usize| json!({ "object": "embedding", "index": index, "embedding": numbers });
    let count = if answer.fault == Some(FaultKind::Empty) { 0 } else { answer.choices.len() };
    let mut body = json!({ "object": "list", "model": answer.model, "data": (0..count).map(item).collect::<Vec<_>>() });
    if !answer.is_uncounted() {
        let tokens: u32 = answer.choices.iter().map(|choice| choice.prompt_tokens).sum();
        let cached: u32 = answer.choices.iter().map(|choice| choice.cached_tokens).sum();
        body["usage"] = json!({
            "prompt_tokens": tokens, "total_tokens": tokens, "prompt_tokens_details": { "cached_tokens": cached },
        });
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_or_a_list_of_them() {
        let asked =
            parse(br#"{"model": "m", "input": ["one", "two"], "encoding_format": "float"}"#, None).ok().unwrap();
        assert_eq!((asked.prompts.len(), asked.max_tokens, asked.stream), (2, 1, false));
        for body in [&b""[..], b"{}", br#"{"input": []}"#, br#"{"prompt": "a"}"#] {
            assert!(parse(body, None).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
