//! Chat completions, `POST /v1/chat/completions`: what nearly every inference server speaks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::merge;
use super::decode::{self, Event, Message, Part, PartUsage, Progress};
use super::raw::RawRequest;
use super::token_chunk;
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// Where requests go, after a base URL that ends in `/v1`.
pub const PATH: &str = "/chat/completions";

/// A request's body as JSON.
///
/// Greedy (`temperature` 0), so that the same request has the same work. A stream is asked for its token counts.
/// `extra` comes last: its objects are merged field by field, its other values replace what is there.
pub fn body(
    model: &str,
    system: Option<&str>,
    user: &str,
    max_tokens: u32,
    stream: bool,
    extra: &BTreeMap<String, Value>,
) -> Vec<u8> {
    let mut messages = Vec::new();
    if let Some(system) = system {
        messages.push(json!({ "role": "system", "content": system }));
    }
    messages.push(json!({ "role": "user", "content": user }));
    let mut body = json!({
        "model": model,
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    merge(&mut body, extra);
    body.to_string().into_bytes()
}

/// Reads an answer, streamed or not, into a record.
///
/// Whether it was streamed is taken from the answer itself: a JSON body in place of a stream is readable, as one chunk
/// at [`RawRequest::closed`], and marked by [`RequestRecord::streamed`]. What is wrong with the answer becomes
/// [`RequestRecord::failure`]; the chunks read before it are kept.
pub fn interpret(raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
    decode::interpret(raw, tokenizer, decode)
}

/// Counts the tokens of a streamed answer while it comes.
pub fn progress() -> Progress {
    Progress::new(decode)
}

/// A chunk of a stream or a whole answer; they differ in `delta` and `message` only.
#[derive(Deserialize)]
struct Completion {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// Of a stream.
    delta: Option<Delta>,
    /// Of a whole answer. There are gateways that send both, one of them empty or with the same text.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    /// The older of two names in use.
    reasoning_content: Option<String>,
    /// The newer one. Servers that send both repeat the same text.
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    arguments: Option<String>,
}

pub(super) fn decode(name: &str, data: &str) -> Result<Message, String> {
    if data.trim() == "[DONE]" {
        return Ok(Message::Done);
    }
    if name != "error"
        && let Some(part) = token_chunk::read(data)
    {
        return Ok(Message::Part(part));
    }
    decode_any(name, data)
}

/// The full reading, of anything that a server may send.
fn decode_any(name: &str, data: &str) -> Result<Message, String> {
    let json = match decode::event(name, data)? {
        Event::Json(json) => json,
        Event::Error(message) => return Ok(Message::Error(message)),
    };
    let completion = Completion::deserialize(json).map_err(|error| format!("not a chat completion ({error})"))?;
    Ok(Message::Part(part(completion)))
}

fn part(completion: Completion) -> Part {
    let mut part = Part { usage: completion.usage.as_ref().and_then(usage), ..Part::default() };
    for choice in completion.choices.into_iter().flatten() {
        let said = |delta: Option<Delta>| delta.map(Delta::texts).filter(|texts| *texts != Default::default());
        let (reasoning, answer) = said(choice.delta).or_else(|| said(choice.message)).unwrap_or_default();
        part.reasoning.push_str(&reasoning);
        part.answer.push_str(&answer);
        // Some servers send an empty reason with every chunk.
        part.finish_reason = part.finish_reason.or(choice.finish_reason.filter(|reason| !reason.is_empty()));
    }
    part
}

impl Delta {
    /// Reasoning text, and answer text with tool-call arguments.
    fn texts(self) -> (String, String) {
        let reasoning = self.reasoning_content.filter(|text| !text.is_empty()).or(self.reasoning);
        let mut answer = self.content.unwrap_or_default();
        for call in self.tool_calls.into_iter().flatten() {
            answer.push_str(&call.function.and_then(|function| function.arguments).unwrap_or_default());
        }
        (reasoning.unwrap_or_default(), answer)
    }
}

/// Token counts of a `usage` object.
pub(super) fn usage(usage: &Value) -> Option<PartUsage> {
    let count = |pointer: &str| {
        let count = usage.pointer(pointer)?.as_u64()?;
        Some(u32::try_from(count).unwrap_or(u32::MAX))
    };
    usage.is_object().then(|| PartUsage {
        input: count("/prompt_tokens"),
        output: count("/completion_tokens"),
        cached: count("/prompt_tokens_details/cached_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_json(system: Option<&str>, stream: bool, extra: &Value) -> Value {
        let extra = extra.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        serde_json::from_slice(&body("m", system, "Hello \"you\"", 7, stream, &extra)).unwrap()
    }

    #[test]
    fn bodies_ask_for_usage_when_streaming() {
        let expected = json!({
            "model": "m",
            "messages": [{ "role": "system", "content": "Be brief" }, { "role": "user", "content": "Hello \"you\"" }],
            "max_tokens": 7,
            "temperature": 0,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        assert_eq!(body_json(Some("Be brief"), true, &json!({})), expected);
        let plain = body_json(None, false, &json!({}));
        assert_eq!(plain["messages"].as_array().unwrap().len(), 1);
        assert!(plain.get("stream_options").is_none());
    }

    #[test]
    fn the_user_s_fields_win() {
        let extra = json!({"temperature": 0.7, "stream_options": {"continuous_usage_stats": true}, "ignore_eos": true});
        let body = body_json(None, true, &extra);
        assert_eq!(body["temperature"], json!(0.7));
        assert_eq!(body["stream_options"], json!({"include_usage": true, "continuous_usage_stats": true}));
        assert_eq!(body["ignore_eos"], json!(true));
    }

    fn answer(data: &str) -> Part {
        match decode("message", data) {
            Ok(Message::Part(part)) => part,
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn chunks_give_text_of_each_kind() {
        let table = [
            (r#"{"choices":[{"delta":{"role":"assistant"}}]}"#, "", ""),
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, "", ""),
            (r#"{"choices":[{"delta":{"content":null,"refusal":null},"finish_reason":null}],"usage":null}"#, "", ""),
            (r#"{"choices":[{"delta":{"content":" hi"}}],"error":null}"#, "", " hi"),
            (r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, "hm", ""),
            (r#"{"choices":[{"delta":{"reasoning":"hm","content":""}}]}"#, "hm", ""),
            (r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#, "hm", ""),
            (r#"{"choices":[{"delta":{"reasoning":"hm","content":"so"}}]}"#, "hm", "so"),
            (r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}}]}"#, "", ""),
            (r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]}"#, "", "{\"a\""),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, "", ""),
            (r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#, "", ""),
            (r#"{"choices":[{"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}"#, "", "whole"),
            (r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#, "", "ab"),
            (r#"{"choices":[{"delta":{"content":"a"},"message":null}]}"#, "", "a"),
            (r#"{"choices":[{"delta":{"content":""},"message":{"content":"whole"}}]}"#, "", "whole"),
            (r#"{"choices":[{"delta":{"content":"a"},"message":{"content":"a"}}]}"#, "", "a"),
            ("{}", "", ""),
        ];
        for (data, reasoning, text) in table {
            let part = answer(data);
            assert_eq!((part.reasoning.as_str(), part.answer.as_str()), (reasoning, text), "{data}");
        }
    }

    #[test]
    fn the_short_reading_says_what_the_full_one_does() {
        let texts = ["null", "\"\"", "\" w\\n\\u00e9\"", "7"];
        let usages = [
            "null",
            r#"{"completion_tokens":4}"#,
            r#"{"completion_tokens":-4}"#,
            "7",
            "[]",
            r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":null}"#,
        ];
        let extras = [
            "",
            r#","error":null"#,
            r#","error":"x""#,
            r#","object":"error""#,
            r#","object":7"#,
            r#","choices":[]"#,
            r#","id":{"a":[1,2]}"#,
        ];
        let inners = ["", r#","message":{"content":"m"}"#, r#","tool_calls":[]"#, r#","delta":{}"#];
        let (mut short, mut all) = (0, 0);
        for content in texts {
            for reasoning in texts {
                for (usage, inner) in usages.iter().flat_map(|usage| inners.map(|inner| (usage, inner))) {
                    for (extra, reason) in extras.iter().flat_map(|extra| texts.map(|reason| (extra, reason))) {
                        let delta =
                            format!(r#"{{"content":{content},"reasoning":{reasoning},"reasoning_content":""}}"#);
                        let choice = format!(r#"{{"delta":{delta},"finish_reason":{reason}{inner}}}"#);
                        let data = format!(r#"{{"choices":[{choice}],"usage":{usage}{extra}}}"#);
                        all += 1;
                        if let Some(part) = token_chunk::read(&data) {
                            short += 1;
                            assert_eq!(decode_any("message", &data), Ok(Message::Part(part)), "{data}");
                        }
                    }
                }
            }
        }
        assert!(short > all / 20 && short < all, "{short} of {all}");
    }

    #[test]
    fn reasons_and_usage_are_read() {
        assert_eq!(answer(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#).finish_reason.unwrap(), "length");
        assert_eq!(answer(r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#).finish_reason, None);
        let data = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,
            "prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":1}}}"#;
        let expected = PartUsage { input: Some(9), output: Some(4), cached: Some(8), reasoning: Some(1) };
        assert_eq!(answer(data).usage, Some(expected));
        let data = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":null}}"#;
        assert_eq!(answer(data).usage, Some(PartUsage { cached: None, reasoning: None, ..expected }));
    }

    #[test]
    fn errors_keep_the_server_s_words() {
        let table = [
            ("message", r#"{"error":{"message":"out of memory","type":"server_error"}}"#, "out of memory"),
            ("message", r#"{"error":"out of memory"}"#, "out of memory"),
            ("message", r#"{"object":"error","message":"too long","code":400}"#, "too long"),
            ("message", r#"{"error":{"code":7}}"#, r#"{"code":7}"#),
            ("error", r#"{"message":"gone"}"#, "gone"),
            ("error", "plain words", "plain words"),
        ];
        for (name, data, expected) in table {
            assert_eq!(decode(name, data), Ok(Message::Error(expected.to_owned())), "{data}");
        }
    }

    #[test]
    fn what_is_not_a_completion_is_refused() {
        for data in ["", "nonsense", "5", "\"text\"", r#"{"choices":[{"delta":{"content":"cut"#, r#"{"choices":7}"#] {
            assert!(decode("message", data).is_err(), "{data}");
        }
        assert_eq!(decode("message", " [DONE] "), Ok(Message::Done));
    }
}
