//! The body of a chat completion request.

use serde::Deserialize;

use super::http::Refusal;

/// What the server takes from a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chat {
    /// The model that is asked for; `None` for any.
    pub(super) model: Option<String>,
    /// The texts of all messages, in order.
    pub(super) texts: Vec<String>,
    /// Answer tokens, at least 1.
    pub(super) max_tokens: u32,
    /// Whether the answer comes as a stream.
    pub(super) stream: bool,
    /// Whether the stream ends with the token counts.
    pub(super) include_usage: bool,
}

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

impl Chat {
    /// Reads a request's body, or says why it is none.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
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
        Ok(Self {
            model: wire.model,
            texts,
            max_tokens,
            stream: wire.stream.unwrap_or_default(),
            include_usage: wire.stream_options.and_then(|options| options.include_usage).unwrap_or_default(),
        })
    }
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
        let chat = Chat::parse(body).ok().unwrap();
        assert_eq!(chat.texts, ["one", "two"]);
        assert_eq!((chat.max_tokens, chat.stream, chat.include_usage), (16, false, false));
    }

    #[test]
    fn the_newer_limit_wins() {
        let body = br#"{"messages": [{"content": ""}], "max_tokens": 3, "max_completion_tokens": 5, "stream": true,
            "stream_options": {"include_usage": true}}"#;
        let chat = Chat::parse(body).ok().unwrap();
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
            assert!(Chat::parse(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Chat::parse(&body);
        }
    }
}
