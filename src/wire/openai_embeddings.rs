//! Embeddings, `POST /v1/embeddings`: an answer in one piece, of numbers and not of tokens.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::merge;
use super::decode::{self, Event, Message, Part};
use super::openai_chat::usage;
use super::protocol::Ask;
use super::raw::RawRequest;
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// Where requests go, after a base URL that ends in `/v1`.
pub(super) const PATH: &str = "/embeddings";

/// A request's body as JSON.
pub(super) fn body(ask: &Ask<'_>) -> Vec<u8> {
    let mut body = json!({ "model": ask.model, "input": ask.text(), "encoding_format": "float" });
    merge(&mut body, ask.extra);
    body.to_string().into_bytes()
}

/// Reads an answer into a record with one chunk, which has no tokens.
pub(super) fn interpret(raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
    let mut record = decode::interpret(raw, tokenizer, decode);
    record.chunks.iter_mut().for_each(|chunk| chunk.tokens = 0);
    record.output_tokens = 0;
    if let Some(usage) = &mut record.usage {
        usage.output = 0;
    }
    record
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Item>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Embedding,
}

/// Numbers, or their bytes in base 64.
#[derive(Deserialize)]
#[serde(untagged)]
enum Embedding {
    Numbers(Vec<f64>),
    Bytes(String),
}

impl Embedding {
    fn is_empty(&self) -> bool {
        match self {
            Self::Numbers(numbers) => numbers.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

fn decode(name: &str, data: &str) -> Result<Message, String> {
    let json = match decode::event(name, data)? {
        Event::Json(json) => json,
        Event::Error(message) => return Ok(Message::Error(message)),
    };
    let embeddings = Embeddings::deserialize(json).map_err(|error| format!("no embeddings ({error})"))?;
    if embeddings.data.is_empty() || embeddings.data.iter().any(|item| item.embedding.is_empty()) {
        return Err("an empty embedding".to_owned());
    }
    // A stand-in for what has come: only its moment counts.
    Ok(Message::Part(Part {
        answer: "embedding".to_owned(),
        last: true,
        usage: embeddings.usage.as_ref().and_then(usage),
        ..Part::default()
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::FailureClass;
    use crate::wire::Read;

    #[test]
    fn a_prompt_is_one_input() {
        let extra = BTreeMap::from([("encoding_format".to_owned(), json!("base64"))]);
        let ask = Ask { model: "m", system: None, user: "hi", max_tokens: 0, stream: false, extra: &extra };
        let expected = json!({ "model": "m", "input": "hi", "encoding_format": "base64" });
        assert_eq!(serde_json::from_slice::<Value>(&body(&ask)).unwrap(), expected);
    }

    fn record(body: &str) -> RequestRecord {
        let raw = RawRequest {
            index: 0,
            user: 0,
            max_tokens: 0,
            planned_input_tokens: 3,
            request_id: "r".into(),
            scheduled: 0,
            sent: 0,
            headers: Some(5),
            status: Some(200),
            event_stream: false,
            reads: vec![Read { at: 9, end: body.len() as u32 }],
            bytes: body.as_bytes().to_vec(),
            closed: 9,
            connect: None,
            resent: 0,
            to_cancel: false,
            cancelled: false,
            failure: None,
        };
        interpret(&raw, &Tokenizer::bundled())
    }

    #[test]
    fn an_answer_has_a_moment_and_no_tokens() {
        for (embedding, counts, input) in
            [("[0.5,-1,2e-3]", r#","usage":{"prompt_tokens":7,"total_tokens":7}"#, 7), (r#""AACAPwAAAEA=""#, "", 3)]
        {
            let body = format!(
                r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{embedding}}}]{counts}}}"#
            );
            let record = record(&body);
            assert_eq!(record.failure, None, "{body}");
            assert_eq!((record.input_tokens, record.output_tokens, record.streamed), (input, 0, false));
            assert_eq!(record.chunks.iter().map(|chunk| (chunk.at, chunk.tokens)).collect::<Vec<_>>(), [(9, 0)]);
        }
    }

    #[test]
    fn what_is_no_embedding_is_a_failure() {
        for body in ["{}", r#"{"data":[]}"#, r#"{"data":[{"embedding":[]}]}"#, r#"{"data":[{"embedding":[null]}]}"#] {
            assert_eq!(record(body).failure.unwrap().class, FailureClass::Parse, "{body}");
        }
        let failure = record(r#"{"error":{"message":"no such model"}}"#).failure.unwrap();
        assert_eq!((failure.class, failure.message.as_str()), (FailureClass::ErrorEvent, "no such model"));
        // A server that streams is not speaking this.
        assert_eq!(record("data: {\"data\":[]}\n\n").failure.unwrap().class, FailureClass::Parse);
    }
}
