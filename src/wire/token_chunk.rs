//! The chunk that nearly every event of a chat completion is, read without looking at anything else.
//!
//! Whatever is not exactly of this form is left to the full reading, which decides; so this one may refuse freely but
//! must not say anything else than the full one would. Only nonsense in fields that nobody reads is passed over here.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::decode::Part;
use super::openai_chat::usage;

/// A chunk with one choice and without an error.
#[derive(Deserialize)]
struct TokenChunk<'a> {
    choices: [Choice; 1],
    usage: Option<Value>,
    error: Option<IgnoredAny>,
    /// A kind with an escape in it cannot be borrowed, and the full reading takes over.
    object: Option<&'a str>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
    message: Option<IgnoredAny>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<IgnoredAny>,
}

/// Reads the data of an event; `None` if it is anything but the usual chunk.
pub(super) fn read(data: &str) -> Option<Part> {
    // Fields without their names would be taken from a list, too.
    if !data.trim_start().starts_with('{') {
        return None;
    }
    let chunk: TokenChunk<'_> = serde_json::from_str(data).ok()?;
    let [choice] = chunk.choices;
    if chunk.error.is_some() || chunk.object == Some("error") || choice.message.is_some() {
        return None;
    }
    let delta = choice.delta;
    if delta.tool_calls.is_some() {
        return None;
    }
    Some(Part {
        reasoning: delta.reasoning_content.filter(|text| !text.is_empty()).or(delta.reasoning).unwrap_or_default(),
        answer: delta.content.unwrap_or_default(),
        finish_reason: choice.finish_reason.filter(|reason| !reason.is_empty()),
        last: false,
        silent: false,
        usage: chunk.usage.as_ref().and_then(usage),
    })
}
